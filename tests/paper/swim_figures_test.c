/* The figures of the SWIM and Lifeguard papers, beside what these members do.
 *
 * SWIM (Das, Gupta, Motivala 2002), sections 3.1, 4.1 and figures 2 to 4: the time until a failure
 * is first noticed, and the load of a member, do not depend on the size of the group; news reach
 * everybody within a multiple of log(n) periods. Lifeguard (Dadgar, Phillips, Currey 2018), section
 * V: members that are slow themselves make plain SWIM accuse healthy ones; its three parts end most
 * of that, at little cost in detection time. */
#include "../unit/swim_world.h"

#include <stdio.h>

/* MOOT_SWIM_MEMBERS adds a larger group: 2048 take a minute. */
enum { SIZES = 5 };
static const uint32_t SIZE[SIZES] = {16, 64, 256, 512, 0};
static const uint64_t PERIOD = MOOT_SEC_NS;

struct watch {
    moot_node_id victim;
    uint64_t suspected_at, dead_at, last_dead_at, false_deaths, slow_from;
};

static void look(struct swim_world *world, moot_node_id at, const struct moot_swim_change *change)
{
    struct watch *watch = world->context;
    (void)at;
    if (change->id != watch->victim) {
        /* Members below slow_from are healthy: who calls one dead is wrong. */
        watch->false_deaths += change->state == MOOT_SWIM_DEAD && change->id < watch->slow_from;
        return;
    }
    if (change->state == MOOT_SWIM_SUSPECT && watch->suspected_at == 0) {
        watch->suspected_at = world->now;
    }
    if (change->state == MOOT_SWIM_DEAD) {
        watch->dead_at = watch->dead_at == 0 ? world->now : watch->dead_at;
        watch->last_dead_at = world->now;
    }
}

static uint32_t log2_of(uint32_t n) { return 31 - (uint32_t)__builtin_clz(n); }

/* SWIM 3.1: a failed member is first probed after e / (e - 1) = 1.58 whole periods on average,
 * whatever n; 1.0 when members do not start their periods together, as here. */
static void detection_time_and_load_do_not_grow(void **state)
{
    (void)state;
    printf(
        "#      n   first notice   packets/period   bytes/period   last to know  (per log2 n)\n");
    printf("#  paper           1.58        constant                      O(log n)      constant\n");
    for (uint32_t size = 0; size < SIZES; size++) {
        const char *more = getenv("MOOT_SWIM_MEMBERS");
        uint32_t n = SIZE[size] != 0 ? SIZE[size] : more != NULL ? (uint32_t)atoi(more) : 0;
        if (n == 0) {
            break;
        }
        struct swim_world *world = swim_group(n, 100 + n, NULL);
        struct watch watch = {0};
        world->context = &watch;
        world->changed = look;
        swim_run(world, (30 + n / 2) * PERIOD); /* Until the news of all the joining are old. */
        uint64_t sent = 0, bytes = 0, notice = 0, spread = 0;
        for (moot_node_id id = 1; id <= n; id++) {
            sent -= moot_swim_counts(world->nodes[id].swim)->sent;
            bytes -= moot_swim_counts(world->nodes[id].swim)->sent_bytes;
        }
        swim_run(world, 20 * PERIOD);
        for (moot_node_id id = 1; id <= n; id++) {
            sent += moot_swim_counts(world->nodes[id].swim)->sent;
            bytes += moot_swim_counts(world->nodes[id].swim)->sent_bytes;
        }
        enum { VICTIMS = 4 };
        for (uint32_t i = 0; i < VICTIMS; i++) {
            watch = (struct watch){.victim = 1 + i};
            uint64_t died_at = world->now;
            world->nodes[1 + i].down = true;
            swim_run(world, 40 * PERIOD);
            assert_true(watch.suspected_at > 0 && watch.dead_at > 0);
            assert_int_equal(watch.false_deaths, 0);
            notice += watch.suspected_at - died_at;
            spread += watch.last_dead_at - watch.dead_at;
        }
        /* A probe that fails ends with its period: the notice comes one later than the probe. */
        double periods = (double)notice / VICTIMS / (double)PERIOD - 1.0;
        double packets = (double)sent / n / 20, volume = (double)bytes / n / 20;
        double last = (double)spread / VICTIMS / (double)PERIOD;
        printf("#  %5u %14.2f %16.2f %14.0f %14.2f %13.2f\n", n, periods, packets, volume, last,
               last / log2_of(n));
        printf("# data swim %u %.3f %.3f %.1f %.3f\n", n, periods, packets, volume, last);
        assert_true(periods < 3.0);
        assert_true(packets > 1.8 && packets < 2.5);
        assert_true(volume < 200);
        assert_true(last <= 3.0 * log2_of(n));
        swim_world_free(world);
    }
}

/* Lifeguard, section V: some members look at what came too late, now and then. Counted are deaths
 * of members that were healthy all the time, as any member saw them. */
static void lifeguard_ends_most_false_deaths(void **state)
{
    (void)state;
    enum { COUNT = 96, SLOW = 12, SECONDS = 240 };
    uint64_t false_deaths[2], detection[2];
    for (int lifeguard = 0; lifeguard < 2; lifeguard++) {
        struct moot_swim_config config = {.suspicion_multiplier = 3};
        if (!lifeguard) {
            config.suspicion_max_multiplier = 1;
            config.awareness_max = 1;
            config.no_buddy = true;
        }
        struct swim_world *world = swim_group(COUNT, 77, &config);
        struct watch watch = {.slow_from = COUNT - SLOW + 1};
        world->context = &watch;
        world->changed = look;
        for (int second = 0; second < SECONDS; second += 20) {
            for (uint32_t i = 0; i < SLOW; i++) {
                world->nodes[COUNT - i].slow_ns = 30 * MOOT_SEC_NS;
            }
            swim_run(world, 16 * MOOT_SEC_NS);
            for (uint32_t i = 0; i < SLOW; i++) {
                world->nodes[COUNT - i].slow_ns = 0;
            }
            swim_run(world, 4 * MOOT_SEC_NS);
        }
        false_deaths[lifeguard] = watch.false_deaths;
        swim_run(world, 200 * MOOT_SEC_NS);
        watch = (struct watch){.victim = 1};
        uint64_t died_at = world->now;
        world->nodes[1].down = true;
        swim_run(world, 100 * MOOT_SEC_NS);
        assert_true(watch.dead_at > 0);
        detection[lifeguard] = watch.dead_at - died_at;
        swim_world_free(world);
    }
    printf("#  %u of %u members slow: deaths of healthy members, plain SWIM %llu, Lifeguard %llu "
           "(paper: 50 to 100 times fewer); detection %.1f s and %.1f s\n",
           SLOW, COUNT, (unsigned long long)false_deaths[0], (unsigned long long)false_deaths[1],
           (double)detection[0] / 1e9, (double)detection[1] / 1e9);
    printf("# data deaths %llu %llu\n", (unsigned long long)false_deaths[0],
           (unsigned long long)false_deaths[1]);
    assert_true(false_deaths[0] >= 50);
    assert_true(false_deaths[1] * 5 <= false_deaths[0]);
    assert_true(detection[1] <= 3 * detection[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(detection_time_and_load_do_not_grow),
        cmocka_unit_test(lifeguard_ends_most_false_deaths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
