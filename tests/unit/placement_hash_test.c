/* Jump, rendezvous, skeleton, ring and slot map: what a caller relies on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/rng.h"
#include "base/status.h"
#include "moot/jump.h"
#include "moot/rendezvous.h"
#include "moot/ring.h"
#include "moot/slot_map.h"
#include "protocol/placement/mix.h"

enum { SEEDS = 40, KEYS = 2000, MEMBERS = 24, POINTS = 8192 };

/* ---- jump ---- */

/* The paper's figure 1, in floating point. */
static uint32_t jump_of_the_paper(uint64_t key, int32_t buckets)
{
    int64_t b = -1;
    int64_t j = 0;
    while (j < buckets) {
        b = j;
        key = key * 2862933555777941757ULL + 1;
        j = (int64_t)((double)(b + 1) * ((double)(1LL << 31) / (double)((key >> 33) + 1)));
    }
    return (uint32_t)b;
}

/* Goal: the published buckets, bit for bit, though there is no floating point in it. Method: random
 * keys and bucket counts of all sizes beside figure 1's code. */
static void jump_is_the_papers(void **state)
{
    (void)state;
    struct moot_rng rng;
    moot_rng_init(&rng, 1);
    for (uint32_t i = 0; i < 300000; i++) {
        uint64_t key = moot_rng_next(&rng);
        uint32_t buckets = (uint32_t)(1 + (moot_rng_next(&rng) & INT32_MAX) % INT32_MAX);
        buckets = (buckets >> moot_rng_below(&rng, 31)) | 1;
        assert_int_equal(moot_jump_bucket(key, buckets), jump_of_the_paper(key, (int32_t)buckets));
    }
    assert_int_equal(moot_jump_bucket(0, 1), 0);
    assert_int_equal(moot_jump_bucket(UINT64_MAX, MOOT_JUMP_BUCKETS_MAX),
                     jump_of_the_paper(UINT64_MAX, MOOT_JUMP_BUCKETS_MAX));
}

/* Goal: with one bucket more, a key stays or moves to the new one. Method: every size to 300. */
static void jump_moves_only_to_the_new_bucket(void **state)
{
    (void)state;
    for (uint64_t key = 0; key < 500; key++) {
        uint32_t old = 0;
        for (uint32_t buckets = 1; buckets <= 300; buckets++) {
            uint32_t bucket = moot_jump_bucket(place__mix(key), buckets);
            assert_true(bucket < buckets);
            assert_true(bucket == old || bucket == buckets - 1);
            old = bucket;
        }
    }
}

/* ---- the cost of a straw ---- */

/* Goal: the stated error, 2^-56. Method: hashes of every size beside -ln(hash/2^64) * 2^58 computed
 * with 60 digits and rounded; then the order across each edge of the table. */
static void cost_is_the_logarithm(void **state)
{
    (void)state;
    static const struct {
        uint64_t hash, cost;
    } exact[] = {
        {UINT64_C(0x1), UINT64_C(12786308645202655660)},
        {UINT64_C(0x2), UINT64_C(12586522572621364165)},
        {UINT64_C(0x3), UINT64_C(12469655211994953478)},
        {UINT64_C(0xffffffffffffffff), UINT64_C(0)},
        {UINT64_C(0xfffffffffffffffe), UINT64_C(0)},
        {UINT64_C(0xffffffffffffff00), UINT64_C(4)},
        {UINT64_C(0xfffffffffff00000), UINT64_C(16384)},
        {UINT64_C(0xffffff0000000000), UINT64_C(17179869696)},
        {UINT64_C(0xff00000000000000), UINT64_C(1128104673551053)},
        {UINT64_C(0xfeffffffffffffff), UINT64_C(1128104673551053)},
        {UINT64_C(0x8000000000000000), UINT64_C(199786072581291495)},
        {UINT64_C(0x7fffffffffffffff), UINT64_C(199786072581291495)},
        {UINT64_C(0x8000000000000001), UINT64_C(199786072581291495)},
        {UINT64_C(0x8100000000000000), UINT64_C(197543023314412548)},
        {UINT64_C(0x80ffffffffffffff), UINT64_C(197543023314412548)},
        {UINT64_C(0xa6a3a4506513270f), UINT64_C(123750643352301518)},
        {UINT64_C(0xd), UINT64_C(12047012327091425581)},
        {UINT64_C(0x5d9dc9f81818e811), UINT64_C(289951762125623753)},
        {UINT64_C(0x40f3a77af4712ecb), UINT64_C(395317294902436452)},
        {UINT64_C(0x1600a35a099), UINT64_C(4703045049256684672)},
        {UINT64_C(0x8f105c7b586aa4d), UINT64_C(966861506045479204)},
        {UINT64_C(0x8d116ece173), UINT64_C(4167487938183607621)},
        {UINT64_C(0xd3ac94af0f21ddb7), UINT64_C(54801071403898017)},
        {UINT64_C(0x39263059f28c105d), UINT64_C(432205047619865940)},
        {UINT64_C(0x95e60af593b), UINT64_C(4149987637234714722)},
        {UINT64_C(0x7cf5ed660658f14f), UINT64_C(206712636724662965)},
        {UINT64_C(0x8e81973e0becd7b1), UINT64_C(168843001964877686)},
        {UINT64_C(0x6b4cb2424a23d597), UINT64_C(250631464095142077)},
        {UINT64_C(0x3c4f438114d4c7d), UINT64_C(1215834839313143098)},
        {UINT64_C(0xd0eda82f8f6d0559), UINT64_C(58564401976556634)},
        {UINT64_C(0x4a71dfc88d30edf1), UINT64_C(355998886709456043)},
        {UINT64_C(0x1), UINT64_C(12786308645202655660)},
        {UINT64_C(0x1012f037b64ce423), UINT64_C(797814693823583398)},
        {UINT64_C(0x34b9b5), UINT64_C(8446869895039494642)},
        {UINT64_C(0x881ed162ae3), UINT64_C(4177778648005305484)},
        {UINT64_C(0x506bf3), UINT64_C(8325183038428987838)},
        {UINT64_C(0xec66a7), UINT64_C(8014399873153888771)},
        {UINT64_C(0x265ec3d6ae4854ad), UINT64_C(547031554555031273)},
        {UINT64_C(0x170298cd65ae3a13), UINT64_C(694416808284759884)},
        {UINT64_C(0x1261add5e29e8e67), UINT64_C(759149674207466658)},
        {UINT64_C(0xfd7fe40d0ce68f), UINT64_C(1601117649348052091)},
        {UINT64_C(0xe5cd98757579da5), UINT64_C(830260072651351429)},
        {UINT64_C(0xfaecbd389be4bcfd), UINT64_C(5771612136194918)},
        {UINT64_C(0x830e07bc1e3), UINT64_C(4188709514351604897)},
        {UINT64_C(0x183a7f9fe5475e9), UINT64_C(1478689890090656842)},
        {UINT64_C(0xeeeacb), UINT64_C(8011348255408204336)},
        {UINT64_C(0xa097c976bf46c69), UINT64_C(933547481525642380)},
        {UINT64_C(0x11dbc1af58775d5), UINT64_C(1566615920071839904)},
        {UINT64_C(0x163fdc11eae2485), UINT64_C(1503250769075223267)},
        {UINT64_C(0x7f2615), UINT64_C(8193152204721230543)},
        {UINT64_C(0xd70820fe119a72d1), UINT64_C(50264995926899260)},
        {UINT64_C(0x451abd), UINT64_C(8368897404337176029)},
        {UINT64_C(0xaa05e11ab2715945), UINT64_C(117956529584898139)},
        {UINT64_C(0x1765a841e1f10101), UINT64_C(689610030677625604)},
        {UINT64_C(0x93f449), UINT64_C(8149472244180546291)},
        {UINT64_C(0xffffffa4458a56b7), UINT64_C(6155785959)},
        {UINT64_C(0xfffffea9a659c073), UINT64_C(22974733458)},
        {UINT64_C(0xfffffffc3cc69f2f), UINT64_C(252503427)},
        {UINT64_C(0xffffffffffd4fac8), UINT64_C(44053)},
        {UINT64_C(0xf819d55f5c40c050), UINT64_C(9033681177374712)},
        {UINT64_C(0xffffe76aa2a7f208), UINT64_C(422340860137)},
        {UINT64_C(0xffff42fa9e19bdc7), UINT64_C(3247374777208)},
        {UINT64_C(0xffffffff9beab863), UINT64_C(26236190)},
        {UINT64_C(0xfffffffeab48272e), UINT64_C(89317219)},
        {UINT64_C(0xffffdcd5f9fbcc96), UINT64_C(604116203992)},
        {UINT64_C(0xfffffffdcf268803), UINT64_C(147023328)},
        {UINT64_C(0xffffdcc933e81168), UINT64_C(604973436874)},
        {UINT64_C(0xffffff2b5e41652c), UINT64_C(14269479885)},
        {UINT64_C(0xffffff8ed2c4fd51), UINT64_C(7595158639)},
        {UINT64_C(0xfff13b5e00056910), UINT64_C(64958096355969)},
        {UINT64_C(0xfff4b8d943f560c1), UINT64_C(49605150103728)},
        {UINT64_C(0xfffeaed6e6ef1279), UINT64_C(5792432152887)},
        {UINT64_C(0xfffffffffe0f65ee), UINT64_C(508520)},
        {UINT64_C(0xfffff79794677454), UINT64_C(144446517137)},
        {UINT64_C(0xfffffffb569e763f), UINT64_C(312837671)},
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(exact); i++) {
        uint64_t cost = place__cost(exact[i].hash);
        uint64_t error = cost > exact[i].cost ? cost - exact[i].cost : exact[i].cost - cost;
        /* ln 2 and the table are each rounded to half a unit, the first up to 63 times. */
        assert_true(error <= 3 + (uint64_t)__builtin_clzll(exact[i].hash) / 2);
    }
    /* The function must fall as u grows: across each edge of the table, and near 0 and 1. */
    for (uint64_t i = 128; i <= 255; i++) {
        uint64_t edge = i << 56;
        assert_true(place__cost(edge - 1) + 1 >= place__cost(edge));
        assert_true(place__cost(edge - 1) - place__cost(edge + (UINT64_C(1) << 32)) < UINT64_C(1)
                                                                                          << 30);
        assert_true(place__cost(edge) > place__cost(edge + (UINT64_C(1) << 55)));
    }
    assert_true(place__cost(0) == place__cost(1));
}

/* ---- rendezvous ---- */

static uint32_t make_members(struct moot_rng *rng, struct moot_place_member *members,
                             uint32_t zones)
{
    uint32_t count = 1 + (uint32_t)moot_rng_below(rng, MEMBERS);
    for (uint32_t i = 0; i < count; i++) {
        members[i] = (struct moot_place_member){10 + i, (uint32_t)moot_rng_below(rng, zones),
                                                (uint32_t)moot_rng_below(rng, 6) * 16};
    }
    return count;
}

/* Goal: a change of one weight moves keys only to that member (raised) or from it (lowered), for
 * the first place; and order of the array does not matter. Method: random members. */
static void rendezvous_moves_the_least(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct moot_rng rng;
        struct moot_place_member members[MEMBERS];
        moot_rng_init(&rng, seed);
        uint32_t count = make_members(&rng, members, 3);
        uint32_t changed = (uint32_t)moot_rng_below(&rng, count);
        for (uint32_t i = 0; i < KEYS / 10; i++) {
            uint64_t key = moot_rng_next(&rng);
            uint32_t old_weight = members[changed].weight;
            int32_t before = moot_rendezvous_pick(members, count, key);
            members[changed].weight = (uint32_t)moot_rng_below(&rng, 200);
            int32_t after = moot_rendezvous_pick(members, count, key);
            if (before != after && members[changed].weight > old_weight) {
                assert_int_equal(after, changed);
            } else if (before != after) {
                assert_int_equal(before, changed);
            }
            struct moot_place_member turned[MEMBERS];
            for (uint32_t m = 0; m < count; m++) {
                turned[m] = members[count - 1 - m];
            }
            int32_t other = moot_rendezvous_pick(turned, count, key);
            assert_true(after < 0 ? other < 0 : turned[other].node == members[after].node);
        }
    }
}

/* What both kinds of replica lists promise, for any list: distinct, as many as there can be, and
 * in each round one of every zone that has one left. */
static void check_list(const struct moot_place_member *members, uint32_t count, size_t wanted,
                       const moot_node_id *list, size_t got)
{
    uint32_t uses[8] = {0};
    uint32_t deep[8] = {0};
    size_t with_weight = 0;
    for (uint32_t m = 0; m < count; m++) {
        with_weight += members[m].weight > 0;
        deep[members[m].zone] += members[m].weight > 0;
    }
    assert_int_equal(got, with_weight < wanted ? with_weight : wanted);
    for (size_t i = 0; i < got; i++) {
        const struct moot_place_member *member = &members[list[i] - 10];
        assert_true(member->weight > 0);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(list[i], list[j]);
        }
        for (uint32_t zone = 0; zone < 8; zone++) {
            assert_true(deep[zone] <= uses[zone] || uses[zone] >= uses[member->zone]);
        }
        uses[member->zone] += 1;
    }
}

/* Goal: replica lists are distinct, spread over zones, and the list for k is a prefix of that for
 * k+1. Method: random members and zones. */
static void rendezvous_lists_spread(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct moot_rng rng;
        struct moot_place_member members[MEMBERS];
        moot_rng_init(&rng, seed);
        uint32_t count = make_members(&rng, members, 1 + (uint32_t)seed % 6);
        for (uint32_t i = 0; i < 50; i++) {
            uint64_t key = moot_rng_next(&rng);
            moot_node_id longest[MOOT_PLACE_REPLICAS_MAX];
            size_t most =
                moot_rendezvous_replicas(members, count, key, MOOT_PLACE_REPLICAS_MAX, longest);
            check_list(members, count, MOOT_PLACE_REPLICAS_MAX, longest, most);
            moot_node_id list[MOOT_PLACE_REPLICAS_MAX];
            size_t got = moot_rendezvous_replicas(members, count, key, 3, list);
            check_list(members, count, 3, list, got);
            assert_memory_equal(list, longest, got * sizeof(list[0]));
            int32_t first = moot_rendezvous_pick(members, count, key);
            assert_true(got == 0 ? first < 0 : members[first].node == list[0]);
        }
    }
}

/* ---- skeleton ---- */

/* Goal: shares follow weights though the tree is ragged; a leaf's departure moves no more than
 * levels times its share; an encoding gives the same winners. Method: 83 members, weights 1 to 4.
 */
static void skeleton_is_fair_and_calm(void **state)
{
    (void)state;
    enum { COUNT = 83, DRAWS = 100000 };
    uint64_t memory[256];
    uint64_t copy_memory[256];
    struct moot_skeleton skeleton;
    struct moot_skeleton copy;
    uint32_t hits[COUNT + 1] = {0};
    static moot_node_id before[DRAWS];
    assert_true(moot_skeleton_size(100) <= sizeof(memory));
    moot_skeleton_init(&skeleton, memory, 100);
    moot_skeleton_init(&copy, copy_memory, 100);
    assert_int_equal(moot_skeleton_pick(&skeleton, 1), 0);
    uint32_t sum = 0;
    for (moot_node_id node = 1; node <= COUNT; node++) {
        assert_int_equal(moot_skeleton_set(&skeleton, node, 1 + node % 4), 0);
        sum += 1 + node % 4;
    }
    for (uint32_t i = 0; i < DRAWS; i++) {
        before[i] = moot_skeleton_pick(&skeleton, place__mix(i));
        hits[before[i]] += 1;
    }
    for (moot_node_id node = 1; node <= COUNT; node++) {
        uint32_t fair = DRAWS * (1 + node % 4) / sum;
        assert_in_range(hits[node], fair * 3 / 4, fair * 5 / 4);
    }
    uint8_t bytes[2048];
    size_t used;
    assert_int_equal(moot_skeleton_encode(&skeleton, bytes, sizeof(bytes), &used), 0);
    assert_int_equal(moot_skeleton_decode(&copy, (struct moot_slice){bytes, used}), 0);
    assert_int_equal(moot_skeleton_set(&skeleton, 7, 0), 0);
    uint32_t moved = 0;
    for (uint32_t i = 0; i < DRAWS; i++) {
        moot_node_id now = moot_skeleton_pick(&skeleton, place__mix(i));
        assert_int_equal(moot_skeleton_pick(&copy, place__mix(i)), before[i]);
        assert_int_not_equal(now, 7);
        moved += now != before[i];
    }
    assert_in_range(moved, hits[7], 3 * hits[7] + 300);
    assert_int_equal(moot_skeleton_set(&skeleton, 0, 1), MOOT_EINVALID);
    for (moot_node_id node = 101; node <= 118; node++) {
        assert_int_equal(moot_skeleton_set(&skeleton, node, 1), 0);
    }
    assert_int_equal(moot_skeleton_set(&skeleton, 200, 1), MOOT_ELIMIT);
    bytes[0] = 9;
    assert_int_equal(moot_skeleton_decode(&copy, (struct moot_slice){bytes, used}), MOOT_EVERSION);
    assert_int_equal(moot_skeleton_pick(&copy, 1), 0);
}

/* ---- ring ---- */

struct ring_world {
    struct moot_hash_ring ring;
    struct moot_place_member members[MEMBERS];
    struct moot_hash_ring_point points[POINTS];
};

static void ring_open(struct ring_world *world)
{
    moot_hash_ring_init(&world->ring, 5, world->members, MEMBERS, world->points, POINTS);
}

/* Goal: whatever the order of arrivals, changes and departures, a ring depends on its members only,
 * every invariant holds, the owner is that of a naive search, and preference lists spread. Method:
 * random schedules beside an array of members. */
static void ring_is_a_function_of_its_members(void **state)
{
    (void)state;
    static struct ring_world world;
    static struct ring_world again;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct moot_rng rng;
        struct moot_place_member members[MEMBERS] = {{0}};
        moot_rng_init(&rng, seed);
        ring_open(&world);
        for (uint32_t i = 0; i < MEMBERS; i++) {
            members[i] = (struct moot_place_member){10 + i, 0, 0};
        }
        for (uint32_t step = 0; step < 60; step++) {
            uint32_t i = (uint32_t)moot_rng_below(&rng, MEMBERS);
            if (moot_rng_chance(&rng, 1, 4)) {
                (void)moot_hash_ring_remove(&world.ring, members[i].node);
                members[i].weight = 0;
            } else {
                members[i].weight = (uint32_t)moot_rng_below(&rng, 60);
                members[i].zone = (uint32_t)moot_rng_below(&rng, 5);
                assert_int_equal(moot_hash_ring_set(&world.ring, &members[i]), 0);
            }
            moot_hash_ring_check(&world.ring);
        }
        ring_open(&again);
        for (uint32_t i = MEMBERS; i > 0; i--) {
            assert_int_equal(moot_hash_ring_set(&again.ring, &members[i - 1]), 0);
        }
        for (uint32_t i = 0; i < 50; i++) {
            uint64_t key = moot_rng_next(&rng);
            moot_node_id list[MOOT_PLACE_REPLICAS_MAX];
            moot_node_id other[MOOT_PLACE_REPLICAS_MAX];
            size_t wanted = 1 + moot_rng_below(&rng, MOOT_PLACE_REPLICAS_MAX);
            size_t got = moot_hash_ring_preference(&world.ring, key, wanted, list);
            check_list(members, MEMBERS, wanted, list, got);
            assert_int_equal(moot_hash_ring_preference(&again.ring, key, wanted, other), got);
            assert_memory_equal(list, other, got * sizeof(list[0]));
            assert_int_equal(moot_hash_ring_owner(&world.ring, key), got == 0 ? 0 : list[0]);
        }
    }
}

/* Goal: a node that comes takes keys and gives none to others; when it goes everything is as it
 * was. Method: ten nodes and an eleventh. */
static void ring_moves_only_to_the_newcomer(void **state)
{
    (void)state;
    static struct ring_world world;
    static moot_node_id before[KEYS];
    ring_open(&world);
    for (moot_node_id node = 1; node <= 10; node++) {
        assert_int_equal(
            moot_hash_ring_set(&world.ring, &(struct moot_place_member){node, node % 3, 100}), 0);
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        before[i] = moot_hash_ring_owner(&world.ring, place__mix(i));
    }
    assert_int_equal(moot_hash_ring_set(&world.ring, &(struct moot_place_member){11, 0, 100}), 0);
    uint32_t moved = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        moot_node_id now = moot_hash_ring_owner(&world.ring, place__mix(i));
        assert_true(now == before[i] || now == 11);
        moved += now != before[i];
    }
    assert_in_range(moved, KEYS / 22, KEYS / 6);
    assert_true(moot_hash_ring_remove(&world.ring, 11));
    assert_false(moot_hash_ring_remove(&world.ring, 11));
    for (uint32_t i = 0; i < KEYS; i++) {
        assert_int_equal(moot_hash_ring_owner(&world.ring, place__mix(i)), before[i]);
    }
}

/* Goal: refusals change nothing; an encoding is read back, and a bad one is refused. Method: by
 * hand, and every byte cut off. */
static void ring_refuses_and_encodes(void **state)
{
    (void)state;
    static struct ring_world world;
    static struct ring_world copy;
    uint8_t bytes[512];
    size_t used;
    ring_open(&world);
    ring_open(&copy);
    assert_int_equal(moot_hash_ring_owner(&world.ring, 1), 0);
    assert_int_equal(moot_hash_ring_set(&world.ring, &(struct moot_place_member){1, 7, 100}), 0);
    assert_int_equal(moot_hash_ring_set(&world.ring, &(struct moot_place_member){2, 8, 300}), 0);
    assert_int_equal(moot_hash_ring_set(&world.ring, &(struct moot_place_member){3, 8, 0}), 0);
    assert_int_equal(moot_hash_ring_set(&world.ring, &(struct moot_place_member){0, 8, 1}),
                     MOOT_EINVALID);
    assert_int_equal(moot_hash_ring_set(&world.ring, &(struct moot_place_member){2, 8, POINTS}),
                     MOOT_ELIMIT);
    moot_hash_ring_check(&world.ring);
    assert_int_equal(world.ring.point_count, 400);
    assert_int_equal(moot_hash_ring_encode(&world.ring, bytes, 10, &used), MOOT_ELIMIT);
    assert_int_equal(moot_hash_ring_encode(&world.ring, bytes, sizeof(bytes), &used), 0);
    assert_int_equal(moot_hash_ring_decode(&copy.ring, (struct moot_slice){bytes, used}), 0);
    assert_int_equal(copy.ring.point_count, 400);
    assert_memory_equal(copy.points, world.points, 400 * sizeof(world.points[0]));
    for (size_t size = 0; size < used; size++) {
        assert_int_equal(moot_hash_ring_decode(&copy.ring, (struct moot_slice){bytes, size}),
                         MOOT_EINVALID);
        assert_int_equal(copy.ring.point_count, 0);
    }
    bytes[0] = 2;
    assert_int_equal(moot_hash_ring_decode(&copy.ring, (struct moot_slice){bytes, used}),
                     MOOT_EVERSION);
}

/* ---- slots ---- */

/* Goal: slots are Redis Cluster's. Method: the specification's own values and rules. */
static void slots_are_redis_clusters(void **state)
{
    (void)state;
    static const struct {
        const char *key, *same;
    } pairs[] = {
        {"{user1000}.following", "user1000"},
        {"foo{}{bar}", NULL},
        {"foo{{bar}}zap", "{bar"},
        {"foo{bar}{zap}", "bar"},
        {"foo{bar", NULL},
        {"}foo{bar}", "bar"},
    };
    struct moot_slice check = {(const uint8_t *)"123456789", 9};
    assert_int_equal(moot_crc16(check), 0x31c3); /* Specification, appendix A. */
    assert_int_equal(moot_key_slot(check), 0x31c3);
    assert_int_equal(moot_key_slot((struct moot_slice){(const uint8_t *)"foo", 3}), 12182);
    for (size_t i = 0; i < MOOT_ARRAY_LEN(pairs); i++) {
        struct moot_slice key = {(const uint8_t *)pairs[i].key, strlen(pairs[i].key)};
        uint16_t whole = moot_crc16(key) % MOOT_SLOTS;
        uint16_t wanted = whole;
        if (pairs[i].same != NULL) {
            struct moot_slice same = {(const uint8_t *)pairs[i].same, strlen(pairs[i].same)};
            wanted = moot_crc16(same) % MOOT_SLOTS;
        }
        assert_int_equal(moot_key_slot(key), wanted);
    }
}

/* Goal: balance gives exact shares with the fewest moves. Method: random maps and weights; the
 * fewest is what owners lack of their share, summed. */
static void slots_balance_with_the_fewest_moves(void **state)
{
    (void)state;
    static struct moot_slot_map old;
    static struct moot_slot_map map;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct moot_rng rng;
        struct moot_slot_share shares[12];
        uint32_t scratch[12];
        moot_rng_init(&rng, seed);
        moot_slot_map_init(&old);
        size_t count = 1 + moot_rng_below(&rng, 12);
        uint64_t sum = 0;
        for (size_t i = 0; i < count; i++) {
            shares[i] =
                (struct moot_slot_share){(uint32_t)i + 1, (uint32_t)moot_rng_below(&rng, 5)};
            sum += shares[i].weight;
        }
        for (uint32_t at = 0; at < MOOT_SLOTS;) {
            uint32_t last = at + (uint32_t)moot_rng_below(&rng, 900);
            last = last < MOOT_SLOTS ? last : MOOT_SLOTS - 1;
            uint32_t owner = (uint32_t)moot_rng_below(&rng, count + 3);
            assert_int_equal(moot_slot_map_assign(&old, (uint16_t)at, (uint16_t)last, owner), 0);
            at = last + 1;
        }
        map = old;
        int status = moot_slot_map_balance(&map, shares, count, scratch);
        assert_int_equal(status, sum == 0 ? MOOT_EINVALID : 0);
        if (sum == 0) {
            assert_memory_equal(&map, &old, sizeof(map));
            continue;
        }
        uint32_t lacking = 0;
        for (size_t i = 0; i < count; i++) {
            uint32_t fair = (uint32_t)(MOOT_SLOTS * (uint64_t)shares[i].weight / sum);
            uint32_t has = moot_slot_map_count(&map, shares[i].owner);
            uint32_t had = moot_slot_map_count(&old, shares[i].owner);
            assert_in_range(has, fair,
                            fair + (fair * sum < (uint64_t)MOOT_SLOTS * shares[i].weight));
            assert_int_equal(has, scratch[i]);
            lacking += has > had ? has - had : 0;
        }
        uint32_t moved = 0;
        struct moot_slot_move move;
        for (uint32_t at = 0; moot_slot_map_move(&old, &map, at, &move); at = move.last + 1u) {
            moved += move.last - move.first + 1u;
            assert_int_equal(old.owner[move.first], move.from);
            assert_int_equal(map.owner[move.last], move.to);
        }
        assert_int_equal(moved, lacking);
        assert_int_equal(moot_slot_map_count(&map, 0), 0);
        /* Balanced is balanced: a second time nothing moves. */
        old = map;
        assert_int_equal(moot_slot_map_balance(&map, shares, count, scratch), 0);
        assert_memory_equal(&map, &old, sizeof(map));
    }
}

/* Goal: a map is read back; what is cut, joined or too long is not. Method: by hand. */
static void slots_encode(void **state)
{
    (void)state;
    static struct moot_slot_map map;
    static struct moot_slot_map copy;
    static uint8_t bytes[MOOT_SLOT_MAP_BYTES_MAX];
    size_t used;
    moot_slot_map_init(&map);
    map.epoch = 77;
    for (uint32_t slot = 0; slot < MOOT_SLOTS; slot++) {
        map.owner[slot] = UINT32_MAX - slot; /* The longest encoding. */
    }
    assert_int_equal(moot_slot_map_encode(&map, bytes, sizeof(bytes), &used), 0);
    assert_int_equal(moot_slot_map_decode(&copy, (struct moot_slice){bytes, used}), 0);
    assert_memory_equal(&map, &copy, sizeof(map));
    assert_int_equal(moot_slot_map_decode(&copy, (struct moot_slice){bytes, used - 1}),
                     MOOT_EINVALID);
    assert_int_equal(moot_slot_map_assign(&map, 0, MOOT_SLOTS - 1, 3), 0);
    assert_int_equal(moot_slot_map_assign(&map, 0, MOOT_SLOTS, 3), MOOT_EINVALID);
    assert_int_equal(moot_slot_map_assign(&map, 2, 1, 3), MOOT_EINVALID);
    assert_int_equal(moot_slot_map_encode(&map, bytes, sizeof(bytes), &used), 0);
    assert_true(used <= 14);
    assert_int_equal(moot_slot_map_decode(&copy, (struct moot_slice){bytes, used + 1}),
                     MOOT_EINVALID);
    assert_int_equal(moot_slot_map_count(&copy, 0), MOOT_SLOTS);
    assert_int_equal(moot_slot_map_owner(&map, (struct moot_slice){(const uint8_t *)"foo", 3}), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jump_is_the_papers),
        cmocka_unit_test(jump_moves_only_to_the_new_bucket),
        cmocka_unit_test(cost_is_the_logarithm),
        cmocka_unit_test(rendezvous_moves_the_least),
        cmocka_unit_test(rendezvous_lists_spread),
        cmocka_unit_test(skeleton_is_fair_and_calm),
        cmocka_unit_test(ring_is_a_function_of_its_members),
        cmocka_unit_test(ring_moves_only_to_the_newcomer),
        cmocka_unit_test(ring_refuses_and_encodes),
        cmocka_unit_test(slots_are_redis_clusters),
        cmocka_unit_test(slots_balance_with_the_fewest_moves),
        cmocka_unit_test(slots_encode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
