/* CRUSH and the range map. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/slice.h"
#include "base/status.h"
#include "moot/crush.h"
#include "moot/range_map.h"

/* ---- CRUSH: 4 racks of 4 hosts of 4 devices ---- */

enum { DEVICE, HOST, RACK, ROOT, DEVICES = 64, KEYS = 4000 };

struct cluster {
    struct moot_crush map;
    struct moot_crush_item items[1 + 4 + 16 + DEVICES + 8];
    uint32_t place[DEVICES + 1]; /* Of device id 1 and on. */
};

static void cluster_open(struct cluster *cluster)
{
    moot_crush_init(&cluster->map, cluster->items, MOOT_ARRAY_LEN(cluster->items), ROOT);
    uint32_t id = 1;
    for (uint32_t r = 0; r < 4; r++) {
        uint32_t rack;
        assert_int_equal(moot_crush_add(&cluster->map, MOOT_CRUSH_ROOT, RACK, r, 0, &rack), 0);
        for (uint32_t h = 0; h < 4; h++) {
            uint32_t host;
            assert_int_equal(moot_crush_add(&cluster->map, rack, HOST, 4 * r + h, 0, &host), 0);
            for (uint32_t d = 0; d < 4; d++, id++) {
                assert_int_equal(moot_crush_add(&cluster->map, host, DEVICE, id, 64 + 64 * (d % 2),
                                                &cluster->place[id]),
                                 0);
            }
        }
    }
}
static uint32_t host_of(moot_node_id device) { return (device - 1) / 4; }
static uint32_t rack_of(moot_node_id device) { return (device - 1) / 16; }

/* Goal: what the rule says holds for every key, also with devices out. Method: three rules, random
 * devices out or half accepting. */
static void rules_hold(void **state)
{
    (void)state;
    static struct cluster cluster;
    static const struct moot_crush_rule three_racks = {MOOT_CRUSH_FIRST_N, 1, {{RACK, 3}}};
    static const struct moot_crush_rule two_by_two = {
        MOOT_CRUSH_FIRST_N, 2, {{RACK, 2}, {HOST, 2}}};
    static const struct moot_crush_rule six_hosts = {MOOT_CRUSH_INDEPENDENT, 1, {{HOST, 6}}};
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct moot_rng rng;
        moot_rng_init(&rng, seed);
        cluster_open(&cluster);
        for (uint32_t i = 0; i < seed; i++) {
            uint32_t id = 1 + (uint32_t)moot_rng_below(&rng, DEVICES);
            assert_int_equal(moot_crush_set_accept(&cluster.map, cluster.place[id],
                                                   moot_rng_chance(&rng, 1, 3) ? 30000 : 0),
                             0);
        }
        for (uint64_t k = 0; k < KEYS / 10; k++) {
            uint64_t key = moot_rng_next(&rng);
            moot_node_id out[MOOT_PLACE_REPLICAS_MAX];
            assert_int_equal(moot_crush_select(&cluster.map, &three_racks, key, out), 3);
            assert_true(rack_of(out[0]) != rack_of(out[1]) && rack_of(out[1]) != rack_of(out[2]) &&
                        rack_of(out[0]) != rack_of(out[2]));
            assert_int_equal(moot_crush_select(&cluster.map, &two_by_two, key, out), 4);
            assert_int_equal(rack_of(out[0]), rack_of(out[1]));
            assert_int_equal(rack_of(out[2]), rack_of(out[3]));
            assert_int_not_equal(rack_of(out[0]), rack_of(out[2]));
            assert_int_not_equal(host_of(out[0]), host_of(out[1]));
            assert_int_not_equal(host_of(out[2]), host_of(out[3]));
            assert_int_equal(moot_crush_select(&cluster.map, &six_hosts, key, out), 6);
            for (uint32_t i = 0; i < 6; i++) {
                assert_int_not_equal(out[i], 0);
                assert_int_not_equal(cluster.items[cluster.place[out[i]]].accept, 0);
                for (uint32_t j = 0; j < i; j++) {
                    assert_int_not_equal(host_of(out[i]), host_of(out[j]));
                }
            }
        }
    }
}

/* Goal: shares follow weights; a device that is out loses its keys and only they move; positions of
 * coded blocks stay. Method: one device of 64 goes out. */
static void out_moves_only_its_own(void **state)
{
    (void)state;
    static struct cluster cluster;
    static const struct moot_crush_rule one = {MOOT_CRUSH_FIRST_N, 1, {{DEVICE, 1}}};
    static const struct moot_crush_rule four = {MOOT_CRUSH_INDEPENDENT, 1, {{HOST, 4}}};
    static moot_node_id before[KEYS][4];
    cluster_open(&cluster);
    uint32_t counts[DEVICES + 1] = {0};
    struct moot_rng rng;
    moot_rng_init(&rng, 3);
    for (uint32_t k = 0; k < 64000; k++) {
        moot_node_id out[MOOT_PLACE_REPLICAS_MAX];
        assert_int_equal(moot_crush_select(&cluster.map, &one, moot_rng_next(&rng), out), 1);
        counts[out[0]]++;
    }
    for (uint32_t id = 1; id <= DEVICES; id++) {
        uint32_t fair = id % 2 == 1 ? 64000 / 96 : 2 * 64000 / 96;
        assert_in_range(counts[id], fair * 8 / 10, fair * 12 / 10);
    }
    for (int round = 0; round < 2; round++) {
        moot_rng_init(&rng, 4);
        for (uint32_t k = 0; k < KEYS; k++) {
            moot_node_id out[MOOT_PLACE_REPLICAS_MAX];
            assert_int_equal(moot_crush_select(&cluster.map, &four, moot_rng_next(&rng), out), 4);
            for (uint32_t i = 0; i < 4 && round == 1; i++) {
                assert_int_not_equal(out[i], 10);
                /* Within the host there are others: every other position keeps its device. */
                assert_true(before[k][i] == 10 ? host_of(out[i]) == host_of(10)
                                               : out[i] == before[k][i]);
            }
            memcpy(before[k], out, sizeof(before[k]));
        }
        assert_int_equal(moot_crush_set_accept(&cluster.map, cluster.place[10], 0), 0);
    }
}

/* Goal: rules that cannot be met give what there is; malformed trees and rules are refused;
 * encodings are read back. Method: by hand. */
static void crush_edges(void **state)
{
    (void)state;
    static struct cluster cluster;
    static struct cluster copy;
    uint8_t bytes[2048];
    size_t used;
    uint32_t place;
    moot_node_id out[MOOT_PLACE_REPLICAS_MAX];
    struct moot_crush_rule rule = {MOOT_CRUSH_FIRST_N, 1, {{RACK, 5}}};
    cluster_open(&cluster);
    assert_int_equal(moot_crush_select(&cluster.map, &rule, 7, out), 4);
    rule.mode = MOOT_CRUSH_INDEPENDENT;
    assert_int_equal(moot_crush_select(&cluster.map, &rule, 7, out), 5);
    rule.steps[0].count = 17;
    assert_false(moot_crush_rule_is_valid(&rule));
    rule = (struct moot_crush_rule){MOOT_CRUSH_FIRST_N, 2, {{HOST, 2}, {RACK, 2}}};
    assert_false(moot_crush_rule_is_valid(&rule));
    assert_int_equal(moot_crush_add(&cluster.map, cluster.place[1], DEVICE, 99, 1, &place),
                     MOOT_EINVALID);
    assert_int_equal(moot_crush_add(&cluster.map, MOOT_CRUSH_ROOT, DEVICE, 1, 1, &place),
                     MOOT_EINVALID);
    assert_int_equal(moot_crush_add(&cluster.map, MOOT_CRUSH_ROOT, RACK, 9, 1, &place),
                     MOOT_EINVALID);
    assert_int_equal(moot_crush_find(&cluster.map, RACK, 9), MOOT_CRUSH_NONE);
    assert_int_equal(moot_crush_set_accept(&cluster.map, cluster.place[3], 5), 0);
    assert_int_equal(moot_crush_encode(&cluster.map, bytes, sizeof(bytes), &used), 0);
    moot_crush_init(&copy.map, copy.items, MOOT_ARRAY_LEN(copy.items), 1);
    assert_int_equal(moot_crush_decode(&copy.map, (struct moot_slice){bytes, used}), 0);
    assert_int_equal(copy.map.count, cluster.map.count);
    assert_memory_equal(copy.items, cluster.items, copy.map.count * sizeof(copy.items[0]));
    for (size_t size = 0; size < used; size++) {
        assert_int_not_equal(moot_crush_decode(&copy.map, (struct moot_slice){bytes, size}), 0);
        assert_int_equal(copy.map.count, 1);
    }
    struct moot_crush_item few[4];
    moot_crush_init(&copy.map, few, 4, 1);
    assert_int_equal(moot_crush_decode(&copy.map, (struct moot_slice){bytes, used}), MOOT_ELIMIT);
}

/* ---- ranges ---- */

static struct moot_slice text(const char *s) { return moot_slice_text(s); }

/* Goal: find, split, merge and epochs. Method: by hand. */
static void ranges_by_hand(void **state)
{
    (void)state;
    struct moot_range_map map;
    struct moot_key_range ranges[4];
    moot_range_map_init(&map, ranges, 4, 1);
    assert_int_equal(moot_range_map_find(&map, text("zebra")), 0);
    assert_int_equal(moot_range_map_split(&map, text("m"), 2), 0);
    assert_int_equal(moot_range_map_split(&map, text("t"), 3), 0);
    assert_int_equal(map.ranges[moot_range_map_find(&map, text("lzzz"))].shard, 1);
    assert_int_equal(map.ranges[moot_range_map_find(&map, text("m"))].shard, 2);
    assert_int_equal(map.ranges[moot_range_map_find(&map, text("zebra"))].shard, 3);
    assert_int_equal(map.ranges[moot_range_map_find(&map, text(""))].shard, 1);
    assert_int_equal(moot_range_map_check(&map, text("apple"), 1, 2), 0);
    assert_int_equal(moot_range_map_check(&map, text("apple"), 1, 1), MOOT_EREFUSED);
    assert_int_equal(moot_range_map_check(&map, text("zebra"), 2, 3), MOOT_EREFUSED);
    assert_int_equal(moot_range_map_split(&map, text("t"), 4), MOOT_EINVALID);
    assert_int_equal(moot_range_map_split(&map, text(""), 4), MOOT_EINVALID);
    assert_int_equal(moot_range_map_split(&map, text("x"), 3), MOOT_EINVALID);
    assert_int_equal(moot_range_map_split(&map, text("x"), 4), 0);
    assert_int_equal(moot_range_map_split(&map, text("y"), 5), MOOT_ELIMIT);
    assert_int_equal(moot_range_map_merge(&map, 4), MOOT_ENOTFOUND);
    assert_int_equal(moot_range_map_merge(&map, 2), 0);
    assert_int_equal(moot_range_map_place(&map, 3), map.count);
    assert_int_equal(map.ranges[moot_range_map_find(&map, text("t"))].shard, 2);
    assert_int_equal(map.ranges[1].epoch, 5); /* Its own 3, its neighbour's 4, and one. */
    moot_range_map_check_all(&map);
}

/* Goal: after any splits and merges the map agrees with a table of all keys, epochs only rise where
 * something changed, and encodings are read back. Method: keys of one byte; the table has 256. */
static void ranges_follow_a_table(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct moot_rng rng;
        struct moot_range_map map;
        struct moot_range_map copy;
        struct moot_key_range ranges[40];
        struct moot_key_range copies[40];
        uint32_t table[256];
        uint32_t next = 2;
        moot_rng_init(&rng, seed);
        moot_range_map_init(&map, ranges, 40, 1);
        moot_range_map_init(&copy, copies, 40, 1);
        for (uint32_t i = 0; i < 256; i++) {
            table[i] = 1;
        }
        for (uint32_t step = 0; step < 200; step++) {
            uint8_t key = (uint8_t)moot_rng_below(&rng, 256);
            uint64_t epoch =
                map.ranges[moot_range_map_find(&map, (struct moot_slice){&key, 1})].epoch;
            if (moot_rng_chance(&rng, 1, 2)) {
                uint32_t old = table[key];
                bool begins = key > 0 && table[key - 1] != old;
                int status = moot_range_map_split(&map, (struct moot_slice){&key, 1}, next);
                assert_true(status == (begins           ? MOOT_EINVALID
                                       : map.count > 40 ? MOOT_ELIMIT
                                                        : 0) ||
                            status == MOOT_ELIMIT);
                for (uint32_t i = key; status == 0 && i < 256 && table[i] == old; i++) {
                    table[i] = next;
                }
                next += status == 0;
                assert_true(status != 0 ||
                            map.ranges[moot_range_map_place(&map, old)].epoch > epoch);
            } else {
                uint32_t left = table[key];
                uint32_t end = key;
                while (end < 256 && table[end] == left) {
                    end++;
                }
                int status = moot_range_map_merge(&map, left);
                assert_int_equal(status, end == 256 ? MOOT_ENOTFOUND : 0);
                for (uint32_t right = end < 256 ? table[end] : 0; end < 256 && table[end] == right;
                     end++) {
                    table[end] = left;
                }
                assert_true(status != 0 ||
                            map.ranges[moot_range_map_place(&map, left)].epoch > epoch);
            }
            moot_range_map_check_all(&map);
            for (uint32_t i = 0; i < 256; i++) {
                uint8_t byte = (uint8_t)i;
                struct moot_slice slice = {&byte, 1};
                assert_int_equal(map.ranges[moot_range_map_find(&map, slice)].shard, table[i]);
            }
        }
        uint8_t bytes[2048];
        size_t used;
        assert_int_equal(moot_range_map_encode(&map, bytes, sizeof(bytes), &used), 0);
        assert_int_equal(moot_range_map_decode(&copy, (struct moot_slice){bytes, used}), 0);
        assert_int_equal(copy.count, map.count);
        for (uint32_t i = 0; i < map.count; i++) {
            assert_int_equal(copies[i].shard, ranges[i].shard);
            assert_int_equal(copies[i].epoch, ranges[i].epoch);
        }
        for (size_t size = 0; size < used; size++) {
            assert_int_equal(moot_range_map_decode(&copy, (struct moot_slice){bytes, size}),
                             MOOT_EINVALID);
            moot_range_map_check_all(&copy);
        }
    }
}

/* Goal: separators are between their keys and the shortest; advice splits, merges and ends. Method:
 * random keys; a policy played until it is content. */
static void cuts_and_advice(void **state)
{
    (void)state;
    struct moot_rng rng;
    uint8_t out[MOOT_RANGE_KEY_MAX];
    size_t size;
    moot_rng_init(&rng, 5);
    for (uint32_t i = 0; i < 5000; i++) {
        uint8_t a[6];
        uint8_t b[6];
        for (uint32_t j = 0; j < 6; j++) {
            a[j] = (uint8_t)moot_rng_below(&rng, 3);
            b[j] = (uint8_t)moot_rng_below(&rng, 3);
        }
        struct moot_slice low = {a, moot_rng_below(&rng, 7)};
        struct moot_slice high = {b, moot_rng_below(&rng, 7)};
        int status = moot_range_separator(low, high, out, &size);
        assert_int_equal(status, moot_slice_compare(low, high) < 0 ? 0 : MOOT_EINVALID);
        if (status == 0) {
            struct moot_slice cut = {out, size};
            assert_true(moot_slice_compare(low, cut) < 0 && moot_slice_compare(cut, high) <= 0);
            cut.size -= 1; /* Every shorter beginning of b is not above a. */
            assert_true(moot_slice_compare(cut, low) <= 0);
        }
    }
    uint8_t same[MOOT_RANGE_KEY_MAX + 1] = {0};
    assert_int_equal(moot_range_separator((struct moot_slice){same, MOOT_RANGE_KEY_MAX},
                                          (struct moot_slice){same, MOOT_RANGE_KEY_MAX + 1}, out,
                                          &size),
                     MOOT_ELIMIT);
    struct moot_range_map map;
    struct moot_key_range ranges[64];
    struct moot_range_policy policy = {1000, 1000, 400, 400};
    moot_range_map_init(&map, ranges, 64, 1);
    ranges[0].bytes = 16000;
    uint32_t actions = 0;
    uint8_t at[2] = {0, 1};
    for (;; actions++) {
        struct moot_range_advice advice = moot_range_map_advise(&map, &policy, 0);
        if (advice.kind == MOOT_RANGE_KEEP) {
            break;
        }
        assert_true(actions < 40);
        assert_int_equal(advice.kind, MOOT_RANGE_SPLIT);
        memcpy(at, ranges[advice.place].start, ranges[advice.place].start_size);
        at[1]++; /* Any key inside will do. */
        uint32_t depth = 16000 / (uint32_t)ranges[advice.place].bytes;
        at[0] = (uint8_t)(ranges[advice.place].start[0] + 128 / depth);
        at[1] = 0;
        assert_int_equal(moot_range_map_split(&map, (struct moot_slice){at, 1}, 100 + actions), 0);
    }
    assert_int_equal(map.count, 16);
    for (uint32_t i = 0; i < 16; i++) {
        ranges[i].bytes = 100;
    }
    for (actions = 0;; actions++) {
        struct moot_range_advice advice = moot_range_map_advise(&map, &policy, 0);
        if (advice.kind == MOOT_RANGE_KEEP) {
            break;
        }
        assert_int_equal(advice.kind, MOOT_RANGE_MERGE);
        assert_int_equal(moot_range_map_merge(&map, advice.shard), 0);
        assert_true(actions < 20);
    }
    assert_int_equal(map.count, 6); /* 100 and 100 and 100, then 300 and 100 is not below 400. */
    policy.merge_bytes = 501;
    assert_false(moot_range_policy_is_valid(&policy));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_hold),
        cmocka_unit_test(out_moves_only_its_own),
        cmocka_unit_test(crush_edges),
        cmocka_unit_test(ranges_by_hand),
        cmocka_unit_test(ranges_follow_a_table),
        cmocka_unit_test(cuts_and_advice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
