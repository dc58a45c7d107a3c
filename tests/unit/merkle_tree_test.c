/* Digests, trees of them, and the comparison of two replicas. */
#include "merkle_world.h"

/* Goal: whatever the order of changes, a tree is a function of its contents, inner nodes are right,
 * and what is taken back leaves nothing. Method: random adds and removals; the same ones shuffled.
 */
static void trees_know_no_order(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 2, 16, 17, 255, 1000, 16384};
    for (size_t s = 0; s < MOOT_ARRAY_LEN(sizes); s++) {
        struct moot_rng rng;
        struct moot_merkle a;
        struct moot_merkle b;
        uint64_t digests[200];
        moot_rng_init(&rng, s);
        moot_merkle_init(&a, malloc(moot_merkle_size(sizes[s])), sizes[s]);
        moot_merkle_init(&b, malloc(moot_merkle_size(sizes[s])), sizes[s]);
        for (uint32_t i = 0; i < 200; i++) {
            digests[i] = moot_rng_next(&rng);
            moot_merkle_add(&a, (uint32_t)(digests[i] % sizes[s]), digests[i]);
        }
        for (uint32_t i = 200; i > 0; i--) {
            moot_merkle_add(&b, (uint32_t)(digests[i - 1] % sizes[s]), digests[i - 1]);
        }
        moot_merkle_check(&a);
        assert_true(moot_merkle_root(&a) == moot_merkle_root(&b));
        assert_memory_equal(a.digests, b.digests, moot_merkle_size(sizes[s]));
        moot_merkle_replace(&b, (uint32_t)(digests[7] % sizes[s]), digests[7], digests[7] + 1);
        assert_true(moot_merkle_root(&a) != moot_merkle_root(&b));
        moot_merkle_replace(&b, (uint32_t)(digests[7] % sizes[s]), digests[7] + 1, digests[7]);
        assert_true(moot_merkle_root(&a) == moot_merkle_root(&b));
        for (uint32_t i = 0; i < 200; i++) {
            moot_merkle_add(&a, (uint32_t)(digests[i] % sizes[s]), 0 - digests[i]);
        }
        moot_merkle_check(&a);
        for (uint32_t node = 0; node < a.nodes; node++) {
            assert_true(a.digests[node] == 0);
        }
        free(a.digests);
        free(b.digests);
    }
}

/* Goal: equal contents in exchanged buckets do not agree. Method: two leaves, swapped, at each
 * level of the tree. */
static void places_count(void **state)
{
    (void)state;
    for (uint32_t other = 1; other < 4096; other *= 16) {
        struct moot_merkle a;
        struct moot_merkle b;
        moot_merkle_init(&a, malloc(moot_merkle_size(4096)), 4096);
        moot_merkle_init(&b, malloc(moot_merkle_size(4096)), 4096);
        moot_merkle_add(&a, 0, 111);
        moot_merkle_add(&a, other, 222);
        moot_merkle_add(&b, 0, 222);
        moot_merkle_add(&b, other, 111);
        assert_true(moot_merkle_root(&a) != moot_merkle_root(&b));
        free(a.digests);
        free(b.digests);
    }
}

/* Goal: the pair digest is moot's own algebra: additive, and a function of key and value. Method:
 * by hand. */
static void pairs_add(void **state)
{
    (void)state;
    struct moot_slice k = {(const uint8_t *)"k", 1};
    struct moot_slice v = {(const uint8_t *)"v", 1};
    assert_true(moot_digest_pair(k, v) != moot_digest_pair(v, k));
    assert_true(moot_digest_pair(k, v) == moot_hash_mix(moot_hash64(k, 0), moot_hash64(v, 0)));
}

/* Goal: exactly the differences are named, each once, whatever is lost, repeated or listed in
 * pieces. Method: random replicas of random sizes; the truth by walking both. */
static void every_difference_is_named_once(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 80; seed++) {
        struct moot_rng rng;
        struct merkle_replica a;
        struct merkle_replica b;
        enum { KEYS = 3000 };
        moot_rng_init(&rng, seed);
        uint32_t leaves = 1 + (uint32_t)moot_rng_below(&rng, seed % 2 == 0 ? 8 : 2000);
        uint64_t one_in = 1 + moot_rng_below(&rng, 200);
        uint64_t *truth = calloc(KEYS, sizeof(*truth));
        uint32_t differing = 0;
        replica_open(&a, KEYS, leaves);
        replica_open(&b, KEYS, leaves);
        uint64_t key = 0;
        for (uint32_t i = 0; i < KEYS; i++) {
            key += 1 + moot_rng_below(&rng, UINT64_MAX / KEYS - 1);
            uint64_t value = moot_rng_next(&rng);
            bool differs = moot_rng_chance(&rng, 1, one_in);
            uint64_t kind = differs ? 1 + moot_rng_below(&rng, 3) : 0;
            if (differs) {
                truth[differing++] = key;
            }
            if (kind != 1) {
                replica_put(&a, key, value);
            }
            if (kind != 2) {
                replica_put(&b, key, value + (kind == 3));
            }
        }
        struct merkle_talk talk = {.keys = calloc(KEYS, sizeof(uint64_t)),
                                   .list_max = 1 + (uint32_t)moot_rng_below(&rng, 256),
                                   .rng = &rng,
                                   .lose = seed % 3 == 0 ? 5 : 0};
        talk_run(&talk, &a, &b);
        assert_int_equal(talk.different, differing);
        assert_memory_equal(talk.keys, truth, differing * sizeof(truth[0]));
        free(talk.keys);
        free(truth);
        replica_close(&a);
        replica_close(&b);
    }
}

/* Goal: another scope is refused, malformed questions are; answers that do not fit are dropped.
 * Method: by hand. */
static void strangers_are_refused(void **state)
{
    (void)state;
    static struct moot_merkle_message request;
    static struct moot_merkle_message reply;
    struct merkle_replica a;
    replica_open(&a, 1, 100);
    request = (struct moot_merkle_message){.kind = MOOT_MERKLE_NODES, .scope = 5, .count = 1};
    assert_int_equal(moot_merkle_answer_nodes(&a.tree, 5, &request, &reply), 0);
    assert_int_equal(moot_merkle_answer_nodes(&a.tree, 6, &request, &reply), MOOT_EREFUSED);
    request.nodes.node[0] = a.tree.nodes;
    assert_int_equal(moot_merkle_answer_nodes(&a.tree, 5, &request, &reply), MOOT_EINVALID);
    request.nodes.node[0] = a.tree.nodes - 1; /* A leaf has no children. */
    assert_int_equal(moot_merkle_answer_nodes(&a.tree, 5, &request, &reply), MOOT_EINVALID);
    assert_int_equal(moot_merkle_answer_items(NULL, 0, UINT64_MAX, 5, &request, &reply),
                     MOOT_EINVALID);
    static struct moot_merkle_compare compare;
    uint64_t bits[4];
    struct moot_merkle_effects effects;
    moot_merkle_compare_init(&compare, &a.tree, bits, moot_ms(1));
    struct moot_merkle_event event = {.kind = MOOT_MERKLE_EVENT_START, .scope = 5};
    moot_merkle_compare_step(&compare, &event, &effects);
    assert_int_equal(effects.next, MOOT_MERKLE_EFFECT_SEND);
    reply = (struct moot_merkle_message){
        .kind = MOOT_MERKLE_NODES_REPLY, .scope = 5, .round = compare.message.round, .count = 2};
    event = (struct moot_merkle_event){.kind = MOOT_MERKLE_EVENT_REPLY, .message = &reply};
    moot_merkle_compare_step(&compare, &event, &effects);
    assert_int_equal(effects.next, MOOT_MERKLE_EFFECT_NONE);
    reply.count = 1;
    reply.scope = 6;
    moot_merkle_compare_step(&compare, &event, &effects);
    assert_int_equal(effects.next, MOOT_MERKLE_EFFECT_NONE);
    reply.scope = 5;
    moot_merkle_compare_step(&compare, &event, &effects);
    assert_int_equal(effects.next, MOOT_MERKLE_EFFECT_DONE);
    replica_close(&a);
}

/* Goal: a saved tree is read back; what is cut is refused and leaves it empty; of messages too.
 * Method: every prefix. */
static void trees_and_messages_encode(void **state)
{
    (void)state;
    struct merkle_replica a;
    struct merkle_replica b;
    static uint8_t bytes[MOOT_MERKLE_MESSAGE_MAX];
    size_t used;
    replica_open(&a, 50, 300);
    replica_open(&b, 50, 300);
    for (uint64_t i = 0; i < 50; i++) {
        replica_put(&a, i * (UINT64_MAX / 50), i);
    }
    assert_int_equal(moot_merkle_encode(&a.tree, bytes, sizeof(bytes), &used), 0);
    assert_int_equal(moot_merkle_decode(&b.tree, (struct moot_slice){bytes, used}), 0);
    assert_true(moot_merkle_root(&a.tree) == moot_merkle_root(&b.tree));
    for (size_t size = 0; size < used; size++) {
        assert_int_equal(moot_merkle_decode(&b.tree, (struct moot_slice){bytes, size}),
                         MOOT_EINVALID);
        assert_true(moot_merkle_root(&b.tree) == 0);
    }
    static struct moot_merkle_message message;
    static struct moot_merkle_message copy;
    message = (struct moot_merkle_message){
        .kind = MOOT_MERKLE_ITEMS, .scope = 1, .round = 300, .count = 256};
    message.items.leaf = 7;
    message.items.upto = 1000;
    for (uint32_t i = 0; i < 256; i++) {
        message.items.item[i] = (struct moot_merkle_item){i, i};
    }
    assert_int_equal(moot_merkle_message_encode(&message, bytes, sizeof(bytes), &used), 0);
    assert_int_equal(moot_merkle_message_decode((struct moot_slice){bytes, used}, &copy), 0);
    assert_memory_equal(copy.items.item, message.items.item, sizeof(copy.items.item));
    for (size_t size = 0; size < used; size++) {
        assert_int_equal(moot_merkle_message_decode((struct moot_slice){bytes, size}, &copy),
                         MOOT_EINVALID);
    }
    message.items.item[9].key = 8; /* Out of order. */
    assert_int_equal(moot_merkle_message_encode(&message, bytes, sizeof(bytes), &used), 0);
    assert_int_equal(moot_merkle_message_decode((struct moot_slice){bytes, used}, &copy),
                     MOOT_EINVALID);
    bytes[0] = 9;
    assert_int_equal(moot_merkle_message_decode((struct moot_slice){bytes, used}, &copy),
                     MOOT_EVERSION);
    replica_close(&a);
    replica_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees_know_no_order),
        cmocka_unit_test(places_count),
        cmocka_unit_test(pairs_add),
        cmocka_unit_test(every_difference_is_named_once),
        cmocka_unit_test(strangers_are_refused),
        cmocka_unit_test(trees_and_messages_encode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
