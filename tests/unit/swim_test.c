/* SWIM and Lifeguard: what a member believes, says and does. Figures: tests/paper/swim_test.c. */
#include "swim_world.h"

static const uint64_t SECOND = MOOT_SEC_NS;

/* Goal: members that know one other find all. */
static void everyone_finds_everyone(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= 33; count += 8) {
        struct swim_world *world = swim_group(count, count, NULL);
        swim_check_all(world);
        swim_world_free(world);
    }
}

static void dead_counter(struct swim_world *world, moot_node_id at,
                         const struct moot_swim_change *change)
{
    (void)at;
    uint32_t *counts = world->context;
    if (!change->forgotten) {
        counts[change->state]++;
    }
}

/* Goal: a member that dies is dead to all others, and nobody else is. */
static void a_dead_member_is_dead_to_all(void **state)
{
    (void)state;
    struct swim_world *world = swim_group(16, 3, NULL);
    uint32_t counts[4] = {0};
    world->context = counts;
    world->changed = dead_counter;
    world->nodes[5].down = true;
    swim_run(world, 90 * SECOND);
    for (moot_node_id id = 1; id <= 16; id++) {
        if (id != 5) {
            assert_int_equal(swim_sees(world, id, 5), MOOT_SWIM_DEAD);
            assert_int_equal(moot_swim_count(world->nodes[id].swim), 15);
        }
    }
    assert_int_equal(counts[MOOT_SWIM_DEAD], 15);
    assert_int_equal(counts[MOOT_SWIM_ALIVE], 0);
    swim_check_all(world);
    swim_world_free(world);
}

/* Goal: a suspicion that is not true is refuted by a higher incarnation, and costs nobody its life.
 * Method: nobody can reach member 4 for a moment shorter than a suspicion. */
static void a_suspect_refutes(void **state)
{
    (void)state;
    struct swim_world *world = swim_group(12, 7, NULL);
    uint32_t counts[4] = {0};
    world->context = counts;
    world->changed = dead_counter;
    world->nodes[4].side = 1;
    for (int i = 0; i < 100 && counts[MOOT_SWIM_SUSPECT] == 0; i++) {
        swim_run(world, SECOND / 10);
    }
    assert_true(counts[MOOT_SWIM_SUSPECT] > 0);
    world->nodes[4].side = 0;
    swim_run(world, 30 * SECOND);
    assert_int_equal(counts[MOOT_SWIM_DEAD], 0);
    for (moot_node_id id = 1; id <= 12; id++) {
        assert_int_equal(swim_sees(world, id, 4), MOOT_SWIM_ALIVE);
    }
    struct moot_swim_member member;
    assert_true(moot_swim_find(world->nodes[1].swim, 4, &member));
    assert_true(member.incarnation > 1);
    assert_true(moot_swim_counts(world->nodes[4].swim)->refuted_self > 0);
    swim_world_free(world);
}

/* Goal: who leaves is left, not dead, and nobody suspects it first. */
static void a_leaver_is_left(void **state)
{
    (void)state;
    struct swim_world *world = swim_group(9, 11, NULL);
    uint32_t counts[4] = {0};
    world->context = counts;
    world->changed = dead_counter;
    moot_swim_leave(world->nodes[9].swim, (struct moot_instant){world->now});
    swim_arm(world, 9);
    for (int i = 0; i < 60 && !moot_swim_has_left(world->nodes[9].swim); i++) {
        swim_run(world, SECOND);
    }
    assert_true(moot_swim_has_left(world->nodes[9].swim));
    world->nodes[9].down = true;
    swim_run(world, 60 * SECOND);
    for (moot_node_id id = 1; id <= 8; id++) {
        assert_int_equal(swim_sees(world, id, 9), MOOT_SWIM_LEFT);
    }
    assert_int_equal(counts[MOOT_SWIM_SUSPECT] + counts[MOOT_SWIM_DEAD], 0);
    swim_world_free(world);
}

/* Goal: two halves that held each other for dead find each other again by themselves. */
static void a_healed_partition_is_whole_again(void **state)
{
    (void)state;
    struct swim_world *world = swim_group(10, 13, NULL);
    for (moot_node_id id = 6; id <= 10; id++) {
        world->nodes[id].side = 1;
    }
    swim_run(world, 120 * SECOND);
    for (moot_node_id id = 1; id <= 10; id++) {
        assert_int_equal(moot_swim_count(world->nodes[id].swim), 5);
    }
    for (moot_node_id id = 6; id <= 10; id++) {
        world->nodes[id].side = 0;
    }
    swim_run(world, 120 * SECOND);
    for (moot_node_id id = 1; id <= 10; id++) {
        assert_int_equal(moot_swim_count(world->nodes[id].swim), 10);
    }
    swim_check_all(world);
    swim_world_free(world);
}

/* Goal: an observer that was itself paused accuses nobody for it. Method: member 2 does not run for
 * a minute, then finds all its time-outs over at once. */
static void a_paused_observer_suspects_nobody(void **state)
{
    (void)state;
    struct swim_world *world = swim_group(8, 17, NULL);
    /* The group forgives it too: no suspicion can run out meanwhile. */
    world->nodes[2].stuck_until = world->now + 60 * SECOND;
    swim_run(world, 59 * SECOND);
    uint64_t before = moot_swim_counts(world->nodes[2].swim)->suspicions;
    world->context = (uint32_t[4]){0};
    swim_run(world, 2 * SECOND);
    assert_int_equal(moot_swim_counts(world->nodes[2].swim)->suspicions, before);
    swim_run(world, 120 * SECOND);
    for (moot_node_id id = 1; id <= 8; id++) {
        assert_int_equal(moot_swim_count(world->nodes[id].swim), 8);
    }
    swim_world_free(world);
}

/* Goal: a process that comes back takes the place of its earlier life at once. */
static void a_restarted_member_is_alive(void **state)
{
    (void)state;
    struct swim_world *world = swim_group(6, 19, NULL);
    world->nodes[3].down = true;
    swim_run(world, 90 * SECOND);
    assert_int_equal(swim_sees(world, 1, 3), MOOT_SWIM_DEAD);
    swim_start(world, 3, 2, 1);
    swim_run(world, 10 * SECOND);
    for (moot_node_id id = 1; id <= 6; id++) {
        assert_int_equal(moot_swim_count(world->nodes[id].swim), 6);
    }
    /* And even if it forgot its incarnation: it learns that it must have had a higher one. */
    world->nodes[3].down = true;
    swim_run(world, 90 * SECOND);
    swim_start(world, 3, 0, 1);
    swim_run(world, 20 * SECOND);
    for (moot_node_id id = 1; id <= 6; id++) {
        assert_int_equal(swim_sees(world, id, 3), MOOT_SWIM_ALIVE);
    }
    swim_world_free(world);
}

/* Goal: the dead are forgotten in the end, and forgotten for good. */
static void the_dead_are_forgotten(void **state)
{
    (void)state;
    struct moot_swim_config config = {.forget = {40 * MOOT_SEC_NS}};
    struct swim_world *world = swim_group(7, 23, &config);
    world->nodes[7].down = true;
    swim_run(world, 200 * SECOND);
    struct moot_swim_member member;
    for (moot_node_id id = 1; id <= 6; id++) {
        assert_false(moot_swim_find(world->nodes[id].swim, 7, &member));
    }
    swim_check_all(world);
    swim_world_free(world);
}

/* Goal: SWIM 4.3: every live member is asked within 2n - 1 periods, though others come and go.
 * Method: one member alone, whose packets all are lost in silence, and a clock. */
static void nobody_waits_longer_than_two_rounds(void **state)
{
    (void)state;
    enum { COUNT = 12 };
    struct swim_world *world = swim_group(COUNT, 29, NULL);
    struct moot_swim *swim = world->nodes[1].swim;
    uint64_t asked_at[COUNT + 1] = {0}, period = 0;
    uint64_t probes = moot_swim_counts(swim)->probes;
    for (moot_node_id id = 2; id <= COUNT; id++) {
        asked_at[id] = 0;
    }
    while (period < 400) {
        struct moot_instant at = moot_swim_deadline(swim);
        world->now = at.ns > world->now ? at.ns : world->now;
        moot_swim_tick(swim, (struct moot_instant){world->now}, &world->out);
        for (uint32_t i = 0; i < world->out.count; i++) {
            /* A ping has kind 0 at byte 1; an answer keeps the target alive. */
            if (world->out.sends[i].bytes[1] != 0) {
                continue;
            }
            moot_node_id to = world->out.sends[i].to;
            asked_at[to] = period;
            struct swim_node *node = &world->nodes[to];
            struct moot_swim_out back;
            assert_int_equal(moot_swim_receive(node->swim, (struct moot_instant){world->now},
                                               (struct moot_slice){world->out.sends[i].bytes,
                                                                   world->out.sends[i].size},
                                               &back),
                             MOOT_OK);
            for (uint32_t j = 0; j < back.count; j++) {
                struct moot_swim_out ignored;
                (void)moot_swim_receive(
                    swim, (struct moot_instant){world->now},
                    (struct moot_slice){back.sends[j].bytes, back.sends[j].size}, &ignored);
            }
        }
        if (moot_swim_counts(swim)->probes != probes) {
            probes = moot_swim_counts(swim)->probes;
            period++;
            for (moot_node_id id = 2; id <= COUNT; id++) {
                assert_true(period - asked_at[id] <= 2 * (COUNT - 1) - 1 + 1);
            }
        }
    }
    swim_world_free(world);
}

/* Goal: whatever bytes come, nothing is read past them, and malformed packets change nothing.
 * Method: cut a true packet at every length, and flip every bit. */
static void garbage_is_refused(void **state)
{
    (void)state;
    struct swim_world *world = swim_group(5, 31, NULL);
    struct moot_swim *from = world->nodes[1].swim, *to = world->nodes[2].swim;
    struct moot_swim_address address = swim_address(2);
    struct moot_swim_out out, ignored;
    moot_swim_join(from, (struct moot_instant){world->now}, &address, 1, &out);
    assert_int_equal(out.count, 1);
    struct moot_instant now = {world->now};
    for (uint32_t size = 0; size < out.sends[0].size; size++) {
        uint8_t *cut = malloc(size + 1);
        memcpy(cut, out.sends[0].bytes, size);
        assert_int_not_equal(moot_swim_receive(to, now, (struct moot_slice){cut, size}, &ignored),
                             MOOT_OK);
        free(cut);
    }
    uint64_t malformed = moot_swim_counts(to)->malformed;
    assert_int_equal(malformed, out.sends[0].size);
    for (uint32_t bit = 0; bit < 8 * out.sends[0].size; bit++) {
        out.sends[0].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)moot_swim_receive(to, now, (struct moot_slice){out.sends[0].bytes, out.sends[0].size},
                                &ignored);
        out.sends[0].bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        moot_swim_check(to);
    }
    swim_world_free(world);
}

/* Goal: a full table refuses newcomers and keeps those it has. */
static void a_full_table_keeps_what_it_has(void **state)
{
    (void)state;
    struct swim_world *world = swim_world_make(8, 37);
    struct swim_world *small = swim_world_make(8, 37);
    free(small->nodes[1].memory);
    size_t bytes = moot_swim_memory(3);
    small->nodes[1].memory = malloc(bytes);
    struct moot_swim_config config = {.self = 1, .address = swim_address(1)};
    assert_int_equal(moot_swim_init(&config, 3, small->nodes[1].memory, bytes - 1,
                                    (struct moot_instant){0}, &small->nodes[1].swim),
                     MOOT_EINVALID);
    assert_int_equal(moot_swim_init(&config, 3, small->nodes[1].memory, bytes,
                                    (struct moot_instant){0}, &small->nodes[1].swim),
                     MOOT_OK);
    for (moot_node_id id = 2; id <= 8; id++) {
        swim_start(world, id, 1, 0);
        struct moot_swim_address address = swim_address(1);
        struct moot_swim_out out, ignored;
        moot_swim_join(world->nodes[id].swim, (struct moot_instant){0}, &address, 1, &out);
        assert_int_equal(
            moot_swim_receive(small->nodes[1].swim, (struct moot_instant){0},
                              (struct moot_slice){out.sends[0].bytes, out.sends[0].size}, &ignored),
            MOOT_OK);
        moot_swim_check(small->nodes[1].swim);
    }
    assert_int_equal(moot_swim_count(small->nodes[1].swim), 3);
    assert_true(moot_swim_counts(small->nodes[1].swim)->full > 0);
    swim_world_free(small);
    swim_world_free(world);
}

/* Goal: under loss, deaths, restarts, cuts and pauses at random the table's invariants hold, and
 * when all is well again, all agree. */
static void random_worlds_heal(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        enum { COUNT = 14 };
        struct swim_world *world = swim_group(COUNT, 1000 + seed, NULL);
        uint64_t lives[COUNT + 1] = {0};
        for (int step = 0; step < 120; step++) {
            moot_node_id id = 1 + (moot_node_id)moot_rng_below(&world->rng, COUNT);
            struct swim_node *node = &world->nodes[id];
            switch (moot_rng_below(&world->rng, 5)) {
            case 0:
                node->down = true;
                break;
            case 1:
                if (node->down) {
                    swim_start(world, id, 2 + ++lives[id], id == 1 ? COUNT : id - 1);
                }
                break;
            case 2:
                node->side ^= 1;
                break;
            case 3:
                world->loss_ppm = (uint32_t)moot_rng_below(&world->rng, 300000);
                break;
            default:
                node->stuck_until = world->now + moot_rng_below(&world->rng, 10 * SECOND);
                break;
            }
            swim_run(world, moot_rng_below(&world->rng, 3 * SECOND));
            swim_check_all(world);
        }
        world->loss_ppm = 0;
        for (moot_node_id id = 1; id <= COUNT; id++) {
            world->nodes[id].side = 0;
            if (world->nodes[id].down) {
                swim_start(world, id, 2 + ++lives[id], id == 1 ? 2 : 1);
            } else if (moot_swim_count(world->nodes[id].swim) == 1) {
                struct moot_swim_address seed_address = swim_address(id == 1 ? 2 : 1);
                moot_swim_join(world->nodes[id].swim, (struct moot_instant){world->now},
                               &seed_address, 1, &world->out);
                swim_flush(world, id);
            }
        }
        swim_run(world, 200 * SECOND);
        for (moot_node_id id = 1; id <= COUNT; id++) {
            assert_int_equal(moot_swim_count(world->nodes[id].swim), COUNT);
        }
        swim_check_all(world);
        swim_world_free(world);
    }
}

/* Goal: same seed, same packets. */
static void the_same_seed_goes_the_same_way(void **state)
{
    (void)state;
    struct moot_swim_counts counts[2];
    for (int i = 0; i < 2; i++) {
        struct swim_world *world = swim_group(20, 41, NULL);
        world->loss_ppm = 100000;
        swim_run(world, 60 * SECOND);
        counts[i] = *moot_swim_counts(world->nodes[7].swim);
        swim_world_free(world);
    }
    assert_memory_equal(&counts[0], &counts[1], sizeof(counts[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everyone_finds_everyone),
        cmocka_unit_test(a_dead_member_is_dead_to_all),
        cmocka_unit_test(a_suspect_refutes),
        cmocka_unit_test(a_leaver_is_left),
        cmocka_unit_test(a_healed_partition_is_whole_again),
        cmocka_unit_test(a_paused_observer_suspects_nobody),
        cmocka_unit_test(a_restarted_member_is_alive),
        cmocka_unit_test(the_dead_are_forgotten),
        cmocka_unit_test(nobody_waits_longer_than_two_rounds),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(a_full_table_keeps_what_it_has),
        cmocka_unit_test(random_worlds_heal),
        cmocka_unit_test(the_same_seed_goes_the_same_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
