/* The figures of placement, measured beside theory: balance against virtual nodes (Karger 1997,
 * section 4; Dynamo 2007, section 6.2), and the share of keys that moves on a join and a leave, for
 * every scheme (Lamping and Veach 2014, section 1; Weil 2006, section 3.3). Lines that begin with
 * `# data` are what tools/draw-placement draws. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "moot/crush.h"
#include "moot/jump.h"
#include "moot/planner.h"
#include "moot/rendezvous.h"
#include "moot/ring.h"
#include "moot/slot_map.h"

enum { NODES = 20, KEYS = 100000, POINTS_MAX = 1 << 16 };

static double square_root(double x)
{
    double root = x > 1 ? x : 1;
    for (int i = 0; i < 60; i++) {
        root = (root + x / root) / 2;
    }
    return root;
}

/* ---- balance ---- */

/* The standard deviation of 20 nodes' shares of the circle, relative to the fair share, over
 * several rings: exact, from the arcs, not from keys. */
static double ring_deviation(uint32_t points_each)
{
    static struct moot_place_member members[NODES];
    static struct moot_hash_ring_point points[POINTS_MAX];
    enum { RINGS = 40 };
    double sum = 0;
    for (uint64_t seed = 0; seed < RINGS; seed++) {
        struct moot_hash_ring ring;
        double shares[NODES + 1] = {0};
        moot_hash_ring_init(&ring, seed, members, NODES, points, POINTS_MAX);
        for (moot_node_id node = 1; node <= NODES; node++) {
            struct moot_place_member member = {node, 0, points_each};
            assert_int_equal(moot_hash_ring_set(&ring, &member), 0);
        }
        for (uint32_t i = 0; i < ring.point_count; i++) {
            const struct moot_hash_ring_point *before =
                &points[i == 0 ? ring.point_count - 1 : i - 1];
            shares[points[i].node] += (double)(points[i].position - before->position);
        }
        for (moot_node_id node = 1; node <= NODES; node++) {
            double relative = shares[node] / 18446744073709551616.0 * NODES - 1;
            sum += relative * relative;
        }
    }
    return square_root(sum / (RINGS * NODES));
}

/* Goal: the relative standard deviation of shares with v points each is that of random arcs: the
 * share is Beta(v, (n-1)v), so its deviation is sqrt((n-1)/(nv+1)), about 1/sqrt(v). Method: v from
 * 1 to 1,000. */
static void balance_improves_with_the_root_of_virtual_nodes(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};
    printf("# virtual nodes  deviation of shares  (theory)\n");
    for (size_t i = 0; i < MOOT_ARRAY_LEN(counts); i++) {
        double theory = square_root((NODES - 1.0) / (NODES * counts[i] + 1.0));
        double measured = ring_deviation(counts[i]);
        printf("# data balance %u %.4f %.4f\n", counts[i], measured, theory);
        assert_true(measured > theory * 0.85);
        assert_true(measured < theory * 1.15);
    }
}

/* ---- movement ---- */

/* Every scheme with NODES members, and one more, or without the last. */
enum scheme { MODULO, JUMP, RING, RENDEZVOUS, SKELETON, CRUSH, SLOTS, SCHEMES };
static const char *const NAMES[SCHEMES] = {"modulo",   "jump",  "ring",    "rendezvous",
                                           "skeleton", "CRUSH", "slot-map"};

struct schemes {
    struct moot_place_member ring_members[NODES + 1], members[NODES + 1];
    struct moot_hash_ring ring;
    struct moot_hash_ring_point points[POINTS_MAX];
    struct moot_skeleton skeleton;
    uint64_t skeleton_memory[256];
    struct moot_crush crush;
    struct moot_crush_item items[64];
    struct moot_slot_map slots;
    uint32_t count;
};

static void schemes_set(struct schemes *all, uint32_t count)
{
    struct moot_slot_share shares[NODES + 1];
    uint32_t scratch[NODES + 1];
    if (all->count == 0) {
        moot_hash_ring_init(&all->ring, 1, all->ring_members, NODES + 1, all->points, POINTS_MAX);
        moot_skeleton_init(&all->skeleton, all->skeleton_memory, NODES + 1);
        moot_crush_init(&all->crush, all->items, 64, 2);
        moot_slot_map_init(&all->slots);
        for (uint32_t rack = 0; rack < 4; rack++) {
            uint32_t place;
            assert_int_equal(moot_crush_add(&all->crush, MOOT_CRUSH_ROOT, 1, rack, 0, &place), 0);
        }
        for (moot_node_id node = 1; node <= NODES + 1; node++) {
            uint32_t place;
            uint32_t rack = moot_crush_find(&all->crush, 1, node % 4);
            assert_int_equal(moot_crush_add(&all->crush, rack, 0, node, 0, &place), 0);
        }
    }
    all->count = count;
    for (moot_node_id node = 1; node <= NODES + 1; node++) {
        uint32_t weight = node <= count ? 100 : 0;
        all->members[node - 1] = (struct moot_place_member){node, 0, weight};
        assert_int_equal(moot_hash_ring_set(&all->ring, &all->members[node - 1]), 0);
        assert_int_equal(moot_skeleton_set(&all->skeleton, node, weight), 0);
        uint32_t device = moot_crush_find(&all->crush, 0, node);
        assert_int_equal(moot_crush_set_weight(&all->crush, device, weight), 0);
        shares[node - 1] = (struct moot_slot_share){node, weight};
    }
    assert_int_equal(moot_slot_map_balance(&all->slots, shares, NODES + 1, scratch), 0);
}

static moot_node_id place(const struct schemes *all, enum scheme scheme, uint64_t key)
{
    static const struct moot_crush_rule one = {MOOT_CRUSH_FIRST_N, 1, {{0, 1}}};
    moot_node_id out[MOOT_PLACE_REPLICAS_MAX];
    switch (scheme) {
    case MODULO:
        return 1 + moot_modulo_bucket(key, all->count);
    case JUMP:
        return 1 + moot_jump_bucket(key, all->count);
    case RING:
        return moot_hash_ring_owner(&all->ring, key);
    case RENDEZVOUS:
        return all->members[moot_rendezvous_pick(all->members, all->count, key)].node;
    case SKELETON:
        return moot_skeleton_pick(&all->skeleton, key);
    case CRUSH:
        return moot_crush_select(&all->crush, &one, key, out) == 1 ? out[0] : 0;
    case SLOTS:
    default:
        return all->slots.owner[key % MOOT_SLOTS];
    }
}

/* Bands in hundredths of the optimum. Modulo keeps 1/(n+1) of the keys and no more. */
static void check_moved(enum scheme scheme, double moved, double optimum)
{
    static const double most[SCHEMES] = {0, 1.05, 1.35, 1.05, 3, 2, 1.05};
    if (scheme == MODULO) {
        assert_true(moved > 1 - 1.2 * optimum);
        return;
    }
    assert_true(moved > optimum * 0.7);
    assert_true(moved < optimum * most[scheme]);
}

/* Goal: on a join the share moved is the optimum 1/(n+1) for jump, ring (its newcomer's share,
 * which varies by 1/sqrt(v)), rendezvous and the table; at most `levels` times that for trees; all
 * but 1/(n+1) for modulo. A leave is the join played backwards. Method: 100,000 keys, 20 nodes of
 * 100 points; every scheme's balance beside it (20 equal bins: sqrt(n/keys) is chance). */
static void movement_beside_the_optimum(void **state)
{
    (void)state;
    static struct schemes all;
    static moot_node_id before[SCHEMES][KEYS];
    static moot_node_id joined[SCHEMES][KEYS];
    struct moot_rng rng;
    for (int pass = 0; pass < 3; pass++) { /* 20 nodes, 21, 20 again. */
        schemes_set(&all, pass == 1 ? NODES + 1 : NODES);
        moot_rng_init(&rng, 9);
        for (uint32_t i = 0; i < KEYS; i++) {
            uint64_t key = moot_rng_next(&rng);
            for (int scheme = 0; scheme < SCHEMES; scheme++) {
                moot_node_id node = place(&all, (enum scheme)scheme, key);
                assert_true(node >= 1 && node <= all.count);
                if (pass == 0) {
                    before[scheme][i] = node;
                } else if (pass == 1) {
                    joined[scheme][i] = node;
                } else if (scheme != SLOTS) { /* A table remembers; the others are functions. */
                    assert_int_equal(node, before[scheme][i]);
                }
                before[scheme][i] = pass == 2 && scheme == SLOTS ? node : before[scheme][i];
                if (pass == 2 && scheme == SLOTS) {
                    assert_true(node == joined[scheme][i] || joined[scheme][i] == NODES + 1);
                }
            }
        }
    }
    double optimum = 1.0 / (NODES + 1);
    printf("# scheme  moved on a join  optimum  least and greatest share of a node\n");
    for (int scheme = 0; scheme < SCHEMES; scheme++) {
        uint32_t counts[NODES + 2] = {0};
        uint32_t moved = 0;
        uint32_t low = KEYS;
        uint32_t high = 0;
        for (uint32_t i = 0; i < KEYS; i++) {
            /* The table's plan of the leave has its own deal; its moves are the newcomer's. */
            moved += scheme == SLOTS ? joined[scheme][i] == NODES + 1
                                     : joined[scheme][i] != before[scheme][i];
            counts[joined[scheme][i]]++;
            /* Only the newcomer gains, unless sums above it changed too. */
            assert_true(scheme == MODULO || scheme == SKELETON || scheme == CRUSH ||
                        scheme == SLOTS || joined[scheme][i] == before[scheme][i] ||
                        joined[scheme][i] == NODES + 1);
        }
        for (moot_node_id node = 1; node <= NODES + 1; node++) {
            low = counts[node] < low ? counts[node] : low;
            high = counts[node] > high ? counts[node] : high;
        }
        double fair = (double)KEYS / (NODES + 1);
        printf("# data moved %s %.4f %.4f %.3f %.3f\n", NAMES[scheme], (double)moved / KEYS,
               optimum, low / fair, high / fair);
        check_moved((enum scheme)scheme, (double)moved / KEYS, optimum);
        assert_true(scheme == RING || (low > fair * 0.93 && high < fair * 1.07));
        assert_true(low > fair * 0.7 && high < fair * 1.35);
    }
}

/* Goal: the planner's join moves floor(share) replicas exactly, where the zones allow it. Method:
 * 512 shards of three on 20 nodes, and one more. */
static void the_plan_of_a_join_is_the_newcomers_share(void **state)
{
    (void)state;
    enum { SHARDS = 512, REPLICAS = 3 };
    struct moot_planner_options options = {.shards = SHARDS, .replicas = REPLICAS};
    struct moot_planner_member members[NODES + 1];
    static moot_node_id old[SHARDS * REPLICAS];
    static moot_node_id target[SHARDS * REPLICAS];
    struct moot_planner_summary summary;
    for (uint32_t i = 0; i <= NODES; i++) {
        members[i] = (struct moot_planner_member){.node = i + 1, .zone = i % 7, .weight = 1};
    }
    void *memory = malloc(moot_planner_size(&options, members, NODES + 1));
    assert_int_equal(moot_planner_solve(memory, &options, members, NODES, old, target, &summary),
                     0);
    memcpy(old, target, sizeof(old));
    assert_int_equal(
        moot_planner_solve(memory, &options, members, NODES + 1, old, target, &summary), 0);
    printf("# planner: a join moves %u of %u replicas; the newcomer's share is %.2f\n",
           summary.copies, SHARDS * REPLICAS, SHARDS * REPLICAS / (NODES + 1.0));
    assert_in_range(summary.copies, SHARDS * REPLICAS / (NODES + 1),
                    SHARDS * REPLICAS / (NODES + 1) + 1);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(balance_improves_with_the_root_of_virtual_nodes),
        cmocka_unit_test(movement_beside_the_optimum),
        cmocka_unit_test(the_plan_of_a_join_is_the_newcomers_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
