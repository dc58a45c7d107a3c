/* The planner: the optimum, by brute force on small cases; the way there, on random schedules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/status.h"
#include "moot/planner.h"

enum { SHARDS_MAX = 64, NODES_MAX = 16, MAP_MAX = SHARDS_MAX * MOOT_PLACE_REPLICAS_MAX };

struct world {
    struct moot_planner_options options;
    struct moot_planner_member members[NODES_MAX];
    size_t count;
    moot_node_id old[MAP_MAX], target[MAP_MAX];
    struct moot_planner_summary summary;
};

static int solve(struct world *world)
{
    size_t size = moot_planner_size(&world->options, world->members, world->count);
    void *memory = malloc(size);
    int status = moot_planner_solve(memory, &world->options, world->members, world->count,
                                    world->old, world->target, &world->summary);
    free(memory);
    return status;
}

static size_t member_of(const struct world *world, moot_node_id node)
{
    size_t i = 0;
    while (i < world->count && world->members[i].node != node) {
        i++;
    }
    return i;
}

static uint32_t load_of(const struct world *world, const moot_node_id *map, moot_node_id node)
{
    uint32_t load = 0;
    for (uint32_t i = 0; i < world->options.shards * world->options.replicas; i++) {
        load += map[i] == node;
    }
    return load;
}

/* What every plan promises: distinct nodes, zones within their cap, limits kept, nobody who leaves,
 * and a summary that is true. */
static void check_plan(const struct world *world)
{
    uint32_t copies = 0;
    uint32_t missing = 0;
    for (uint32_t shard = 0; shard < world->options.shards; shard++) {
        uint32_t replicas = world->options.replicas;
        const moot_node_id *list = &world->target[shard * replicas];
        const moot_node_id *old = &world->old[shard * replicas];
        for (uint32_t i = 0; i < replicas; i++) {
            if (list[i] == 0) {
                missing++;
                continue;
            }
            size_t member = member_of(world, list[i]);
            assert_true(member < world->count && world->members[member].weight > 0);
            uint32_t in_zone = 0;
            bool had = false;
            for (uint32_t j = 0; j < replicas; j++) {
                assert_true(i == j || list[i] != list[j]);
                size_t other = member_of(world, list[j]);
                in_zone += other < world->count &&
                           world->members[other].zone == world->members[member].zone;
                had = had || old[j] == list[i];
            }
            assert_true(in_zone <= world->summary.zone_cap);
            assert_true(!had || list[i] == old[i]); /* Who stays keeps its place. */
            copies += !had;
        }
    }
    assert_int_equal(copies, world->summary.copies);
    assert_int_equal(missing, world->summary.missing);
    for (size_t i = 0; i < world->count; i++) {
        uint32_t most = world->members[i].replicas_max;
        assert_true(most == 0 || load_of(world, world->target, world->members[i].node) <= most);
    }
}

/* ---- brute force ---- */

struct best {
    uint32_t missing, unfair, copies;
};

/* Every assignment of shards from `shard` on: bit sets of nodes. Quotas are those of equal weights
 * without limits, so that they can be written down here independently: floor and ceiling. */
static void try_all(const struct world *world, uint32_t shard, uint32_t *loads, uint32_t missing,
                    uint32_t copies, struct best *best)
{
    uint32_t nodes = (uint32_t)world->count;
    uint32_t replicas = world->options.replicas;
    if (shard == world->options.shards) {
        uint32_t total = world->options.shards * (replicas < nodes ? replicas : nodes);
        uint32_t unfair = 0;
        for (uint32_t i = 0; i < nodes; i++) {
            uint32_t low = total / nodes;
            uint32_t high = (total + nodes - 1) / nodes;
            unfair += loads[i] < low ? low - loads[i] : loads[i] > high ? loads[i] - high : 0;
        }
        if (missing < best->missing || (missing == best->missing && unfair < best->unfair) ||
            (missing == best->missing && unfair == best->unfair && copies < best->copies)) {
            *best = (struct best){missing, unfair, copies};
        }
        return;
    }
    for (uint32_t set = 0; set < 1u << nodes; set++) {
        uint32_t size = (uint32_t)__builtin_popcount(set);
        uint32_t zones[8] = {0};
        bool fits = size <= replicas;
        for (uint32_t i = 0; i < nodes; i++) {
            fits = fits && (((set >> i) & 1) == 0 ||
                            ++zones[world->members[i].zone] <= world->summary.zone_cap);
        }
        if (!fits) {
            continue;
        }
        uint32_t kept = 0;
        for (uint32_t i = 0; i < nodes; i++) {
            loads[i] += (set >> i) & 1;
            for (uint32_t r = 0; r < replicas; r++) {
                kept += ((set >> i) & 1) != 0 &&
                        world->old[shard * replicas + r] == world->members[i].node;
            }
        }
        try_all(world, shard + 1, loads, missing + replicas - size, copies + size - kept, best);
        for (uint32_t i = 0; i < nodes; i++) {
            loads[i] -= (set >> i) & 1;
        }
    }
}

static void make_world(struct world *world, struct moot_rng *rng, uint32_t shards, uint32_t nodes,
                       uint32_t replicas, uint32_t zones)
{
    memset(world, 0, sizeof(*world));
    world->options = (struct moot_planner_options){.shards = shards, .replicas = replicas};
    world->count = nodes;
    for (uint32_t i = 0; i < nodes; i++) {
        world->members[i] = (struct moot_planner_member){
            .node = i + 1, .zone = (uint32_t)moot_rng_below(rng, zones), .weight = 1};
    }
    for (uint32_t shard = 0; shard < shards; shard++) {
        for (uint32_t r = 0; r < replicas; r++) {
            /* Some are dead or missing; never the same twice. */
            moot_node_id node = (moot_node_id)moot_rng_below(rng, nodes + 2);
            bool twice = false;
            for (uint32_t q = 0; q < r; q++) {
                twice = twice || world->old[shard * replicas + q] == node;
            }
            world->old[shard * replicas + r] = twice ? 0 : node;
        }
    }
}

/* Goal: as many placed, as fair, and as few copies as any assignment whatever. Method: all
 * assignments of up to three shards to four nodes, from random old maps; where zones force
 * unequal loads, fairness is not compared (the floor is then another), the rest is. */
static void the_optimum_is_reached(void **state)
{
    (void)state;
    static struct world world;
    for (uint64_t seed = 0; seed < 1500; seed++) {
        struct moot_rng rng;
        moot_rng_init(&rng, seed);
        uint32_t nodes = 1 + (uint32_t)moot_rng_below(&rng, 4);
        uint32_t replicas = 1 + (uint32_t)moot_rng_below(&rng, 3);
        make_world(&world, &rng, 1 + (uint32_t)moot_rng_below(&rng, 3), nodes, replicas, 1);
        for (uint32_t i = 0; i < nodes && seed % 3 == 0; i++) {
            world.members[i].zone = i; /* Each its own zone: a cap that binds nobody. */
        }
        for (uint32_t i = 0; i < nodes && seed % 3 == 1 && nodes == 4; i++) {
            world.members[i].zone = i / 2; /* Two and two: equal loads are possible. */
        }
        assert_int_equal(solve(&world), 0);
        check_plan(&world);
        uint32_t loads[NODES_MAX] = {0};
        struct best best = {UINT32_MAX, UINT32_MAX, UINT32_MAX};
        try_all(&world, 0, loads, 0, 0, &best);
        assert_int_equal(world.summary.missing, best.missing);
        assert_int_equal(world.summary.unfair, best.unfair);
        assert_int_equal(world.summary.copies, best.copies);
    }
}

/* Goal: with random weights, zones, limits, leavers and slack every promise holds; loads are within
 * the floor and ceiling of the shares when nothing is missing; a second plan moves nothing; the
 * order of members does not matter. Method: random worlds. */
static void plans_hold_their_promises(void **state)
{
    (void)state;
    static struct world world;
    static struct world turned;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct moot_rng rng;
        moot_rng_init(&rng, seed);
        uint32_t nodes = 1 + (uint32_t)moot_rng_below(&rng, NODES_MAX);
        make_world(&world, &rng, 1 + (uint32_t)moot_rng_below(&rng, SHARDS_MAX), nodes,
                   1 + (uint32_t)moot_rng_below(&rng, 4), 1 + (uint32_t)moot_rng_below(&rng, 5));
        for (uint32_t i = 0; i < nodes; i++) {
            world.members[i].weight = (uint32_t)moot_rng_below(&rng, 5);
            world.members[i].replicas_max =
                moot_rng_chance(&rng, 1, 4) ? 1 + (uint32_t)moot_rng_below(&rng, 40) : 0;
        }
        world.options.slack = moot_rng_chance(&rng, 1, 3) ? 2 : 0;
        assert_int_equal(solve(&world), 0);
        check_plan(&world);
        turned = world;
        for (uint32_t i = 0; i < nodes; i++) {
            turned.members[i] = world.members[nodes - 1 - i];
        }
        assert_int_equal(solve(&turned), 0);
        assert_memory_equal(turned.target, world.target, sizeof(world.target));
        if (world.summary.missing == 0) {
            assert_int_equal(world.summary.unfair, 0);
        }
        memcpy(turned.old, world.target, sizeof(turned.old));
        assert_int_equal(solve(&turned), 0);
        assert_int_equal(turned.summary.copies, 0);
        assert_memory_equal(turned.target, turned.old, sizeof(turned.old));
    }
}

/* Goal: by hand: a join moves exactly the newcomer's share, a death exactly what the dead had, and
 * a heavy node is cut at one replica of each shard. Method: 60 shards of three on six nodes. */
static void joins_and_losses_move_their_share(void **state)
{
    (void)state;
    static struct world world;
    struct moot_rng rng;
    moot_rng_init(&rng, 1);
    make_world(&world, &rng, 60, 6, 3, 1);
    memset(world.old, 0, sizeof(world.old));
    for (uint32_t i = 0; i < 6; i++) {
        world.members[i].zone = i / 2;
    }
    assert_int_equal(solve(&world), 0);
    check_plan(&world);
    assert_int_equal(world.summary.zone_cap, 1);
    assert_int_equal(world.summary.copies, 180);
    for (moot_node_id node = 1; node <= 6; node++) {
        assert_int_equal(load_of(&world, world.target, node), 30);
    }
    memcpy(world.old, world.target, sizeof(world.old));
    world.members[6] = (struct moot_planner_member){.node = 7, .zone = 0, .weight = 1};
    world.count = 7;
    assert_int_equal(solve(&world), 0);
    check_plan(&world);
    assert_int_equal(world.summary.copies, 20); /* A third of its zone's 60. */
    assert_int_equal(load_of(&world, world.target, 7), 20);
    memcpy(world.old, world.target, sizeof(world.old));
    world.members[3] = world.members[6]; /* Node 4 is dead. */
    world.count = 6;
    assert_int_equal(solve(&world), 0);
    check_plan(&world);
    assert_int_equal(world.summary.copies, 30);
    assert_int_equal(load_of(&world, world.target, 3), 60); /* It is alone in its zone. */
    for (uint32_t i = 0; i < 6; i++) {
        world.members[i].zone = i;
    }
    world.members[0].weight = 100;
    assert_int_equal(solve(&world), 0);
    check_plan(&world);
    assert_int_equal(load_of(&world, world.target, 1), 60);
    assert_int_equal(load_of(&world, world.target, 5), 24);
}

/* Goal: on the way nothing is ever below what it was or R, limits hold, and the way ends. Method:
 * random worlds; each move is played as add, then remove, and everything is counted in between. */
static void the_way_is_safe(void **state)
{
    (void)state;
    static struct world world;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct moot_rng rng;
        moot_rng_init(&rng, seed);
        uint32_t nodes = 2 + (uint32_t)moot_rng_below(&rng, NODES_MAX - 1);
        make_world(&world, &rng, 1 + (uint32_t)moot_rng_below(&rng, SHARDS_MAX), nodes,
                   1 + (uint32_t)moot_rng_below(&rng, 4), 1 + (uint32_t)moot_rng_below(&rng, 3));
        for (uint32_t i = 0; i < nodes; i++) {
            world.members[i].weight = (uint32_t)moot_rng_below(&rng, 3);
        }
        assert_int_equal(solve(&world), 0);
        struct moot_planner_limits limits = {1 + (uint32_t)moot_rng_below(&rng, 9),
                                             1 + (uint32_t)moot_rng_below(&rng, 3)};
        uint32_t scratch[3 * NODES_MAX];
        struct moot_planner_move moves[9];
        struct moot_planner_move read[9];
        size_t count;
        uint32_t total = 0;
        for (;;) {
            assert_int_equal(moot_planner_step(&world.options, world.members, world.count,
                                               world.old, world.target, &limits, scratch, moves,
                                               &count),
                             0);
            if (count == 0) {
                break;
            }
            assert_true(count <= limits.moves_max);
            uint32_t in[NODES_MAX + 3] = {0};
            uint32_t out[NODES_MAX + 3] = {0};
            for (size_t i = 0; i < count; i++) {
                assert_true(++in[moves[i].to] <= limits.node_max);
                assert_true(moves[i].source == 0 || ++out[moves[i].source] <= limits.node_max);
                const moot_node_id *list = &world.old[moves[i].shard * world.options.replicas];
                bool has_source = moves[i].source == 0;
                for (uint32_t r = 0; r < world.options.replicas; r++) {
                    assert_int_not_equal(list[r], moves[i].to);
                    has_source = has_source || list[r] == moves[i].source;
                    /* No source only when nobody is alive. */
                    assert_true(moves[i].source != 0 || list[r] == 0 ||
                                member_of(&world, list[r]) == world.count);
                }
                assert_true(has_source);
                for (size_t j = 0; j < i; j++) {
                    assert_int_not_equal(moves[i].shard, moves[j].shard);
                }
            }
            uint8_t bytes[256];
            size_t used;
            size_t got;
            assert_int_equal(moot_planner_moves_encode(moves, count, bytes, sizeof(bytes), &used),
                             0);
            assert_int_equal(moot_planner_moves_decode((struct moot_slice){bytes, used}, read,
                                                       limits.moves_max, &got),
                             0);
            assert_memory_equal(read, moves, count * sizeof(moves[0]));
            for (size_t i = 0; i < count; i++) {
                moot_planner_apply(&world.options, world.old, &moves[i]);
            }
            total += (uint32_t)count;
        }
        assert_int_equal(total, world.summary.copies);
        for (uint32_t i = 0; i < world.options.shards * world.options.replicas; i++) {
            assert_true(world.target[i] == 0 || world.target[i] == world.old[i]);
        }
    }
}

/* Goal: two full nodes exchange; malformed input is refused; maps are read back. Method: by hand.
 */
static void edges(void **state)
{
    (void)state;
    static struct world world = {.options = {.shards = 2, .replicas = 1},
                                 .members = {{1, 0, 1, 1}, {2, 0, 1, 1}},
                                 .count = 2};
    const moot_node_id now[] = {1, 2};
    const moot_node_id target[] = {2, 1};
    struct moot_planner_limits limits = {4, 1};
    uint32_t scratch[6];
    struct moot_planner_move moves[4];
    size_t count;
    assert_int_equal(moot_planner_step(&world.options, world.members, 2, now, target, &limits,
                                       scratch, moves, &count),
                     0);
    assert_int_equal(count, 2);
    memcpy(world.old, now, sizeof(now));
    world.members[1].node = 1;
    assert_int_equal(solve(&world), MOOT_EINVALID);
    world.members[1].node = 2;
    world.options.replicas = 2;
    world.old[0] = world.old[1] = 1;
    world.options.shards = 1;
    assert_int_equal(solve(&world), MOOT_EINVALID);
    world.options.replicas = 0;
    assert_int_equal(moot_planner_step(&(struct moot_planner_options){1, 2, 0, 0}, world.members, 2,
                                       (moot_node_id[]){1, 0}, (moot_node_id[]){0, 1}, &limits,
                                       scratch, moves, &count),
                     MOOT_EINVALID);
    struct moot_planner_options options = {.shards = 2, .replicas = 1};
    moot_node_id read[2];
    uint8_t bytes[16];
    size_t used;
    assert_int_equal(moot_planner_map_encode(&options, now, bytes, sizeof(bytes), &used), 0);
    assert_int_equal(moot_planner_map_decode(&options, (struct moot_slice){bytes, used}, read), 0);
    assert_memory_equal(read, now, sizeof(now));
    for (size_t size = 0; size < used; size++) {
        assert_int_equal(moot_planner_map_decode(&options, (struct moot_slice){bytes, size}, read),
                         MOOT_EINVALID);
    }
    bytes[0] = 7;
    assert_int_equal(moot_planner_map_decode(&options, (struct moot_slice){bytes, used}, read),
                     MOOT_EVERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_optimum_is_reached),
        cmocka_unit_test(plans_hold_their_promises),
        cmocka_unit_test(joins_and_losses_move_their_share),
        cmocka_unit_test(the_way_is_safe),
        cmocka_unit_test(edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
