/* Two replicas' pairs, their trees, and a wire between them: for the tests of merkle.h. */
#ifndef MOOT_TESTS_MERKLE_WORLD_H
#define MOOT_TESTS_MERKLE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/status.h"
#include "moot/merkle.h"

/* Pairs sorted by key hash; leaves are slices of the hash, so a leaf's pairs are neighbours. */
struct merkle_replica {
    struct moot_merkle_item *items;
    uint32_t count;
    struct moot_merkle tree;
};

struct merkle_talk {
    uint64_t messages, bytes, different; /* Both directions. */
    uint64_t *keys;                      /* What differs, as named. */
    uint32_t lists;
    uint32_t list_max; /* Pairs that either side lists at once. */
    struct moot_rng *rng;
    uint32_t lose; /* One message in so many is lost, and one answered twice; 0: none. */
};

static inline void replica_open(struct merkle_replica *replica, uint32_t capacity, uint32_t leaves)
{
    replica->items = calloc(capacity, sizeof(replica->items[0]));
    replica->count = 0;
    moot_merkle_init(&replica->tree, calloc(1, moot_merkle_size(leaves)), leaves);
}
static inline void replica_close(struct merkle_replica *replica)
{
    free(replica->items);
    free(replica->tree.digests);
}
/* In rising order of keys. */
static inline void replica_put(struct merkle_replica *replica, uint64_t key, uint64_t value)
{
    replica->items[replica->count++] = (struct moot_merkle_item){key, value};
    moot_merkle_add(&replica->tree, moot_merkle_leaf(key, replica->tree.leaves),
                    moot_hash_mix(key, value));
}

/* The pairs of a leaf with keys in [from, upto], at most `max`. */
static inline uint32_t replica_list(const struct merkle_replica *replica, uint32_t leaf,
                                    uint64_t from, uint64_t upto, uint32_t max,
                                    const struct moot_merkle_item **out, bool *more)
{
    uint32_t low = 0;
    uint32_t high = replica->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint32_t at = moot_merkle_leaf(replica->items[middle].key, replica->tree.leaves);
        if (at < leaf || (at == leaf && replica->items[middle].key < from)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    uint32_t end = low;
    while (end < replica->count && replica->items[end].key <= upto &&
           moot_merkle_leaf(replica->items[end].key, replica->tree.leaves) == leaf &&
           end - low < max) {
        end++;
    }
    *more = end < replica->count && replica->items[end].key <= upto &&
            moot_merkle_leaf(replica->items[end].key, replica->tree.leaves) == leaf;
    *out = &replica->items[low];
    return end - low;
}

/* Over the wire and back: encoded, decoded. False when it was lost. */
static inline bool talk_carry(struct merkle_talk *talk, const struct moot_merkle_message *message,
                              struct moot_merkle_message *out)
{
    static uint8_t bytes[MOOT_MERKLE_MESSAGE_MAX];
    size_t used;
    assert_int_equal(moot_merkle_message_encode(message, bytes, sizeof(bytes), &used), 0);
    assert_int_equal(moot_merkle_message_decode((struct moot_slice){bytes, used}, out), 0);
    talk->messages++;
    talk->bytes += used;
    return talk->lose == 0 || !moot_rng_chance(talk->rng, 1, talk->lose);
}

static inline bool talk_answer(struct merkle_talk *talk, const struct merkle_replica *peer,
                               const struct moot_merkle_message *request,
                               struct moot_merkle_message *out)
{
    static struct moot_merkle_message heard;
    static struct moot_merkle_message reply;
    if (!talk_carry(talk, request, &heard)) {
        return false;
    }
    if (heard.kind == MOOT_MERKLE_NODES) {
        assert_int_equal(moot_merkle_answer_nodes(&peer->tree, 5, &heard, &reply), 0);
    } else {
        const struct moot_merkle_item *items;
        bool more;
        uint32_t count = replica_list(peer, heard.items.leaf, heard.items.from, heard.items.upto,
                                      talk->list_max, &items, &more);
        uint64_t covered = more ? items[count - 1].key : UINT64_MAX;
        assert_int_equal(moot_merkle_answer_items(items, count, covered, 5, &heard, &reply), 0);
    }
    return talk_carry(talk, &reply, out);
}

/* A whole comparison. */
static inline void talk_run(struct merkle_talk *talk, const struct merkle_replica *mine,
                            const struct merkle_replica *peer)
{
    static struct moot_merkle_compare compare;
    static struct moot_merkle_message reply;
    struct moot_merkle_effects effects;
    uint64_t keys[2 * MOOT_MERKLE_ITEMS_PER_MESSAGE];
    void *memory = malloc(moot_merkle_compare_size(&mine->tree));
    struct moot_instant now = {1};
    moot_merkle_compare_init(&compare, &mine->tree, memory, moot_ms(10));
    struct moot_merkle_event event = {.kind = MOOT_MERKLE_EVENT_START, .now = now, .scope = 5};
    moot_merkle_compare_step(&compare, &event, &effects);
    for (;;) {
        for (uint32_t i = 0; i < effects.different_count; i++) {
            assert_int_equal(moot_merkle_leaf(effects.different[i], mine->tree.leaves),
                             effects.different_leaf);
            talk->keys[talk->different++] = effects.different[i];
        }
        if (effects.next == MOOT_MERKLE_EFFECT_DONE) {
            break;
        }
        if (effects.next == MOOT_MERKLE_EFFECT_LIST) {
            bool more;
            const struct moot_merkle_item *items;
            uint32_t count = replica_list(mine, effects.leaf, effects.from, UINT64_MAX,
                                          talk->list_max, &items, &more);
            talk->lists++;
            event = (struct moot_merkle_event){.kind = MOOT_MERKLE_EVENT_LISTED,
                                               .now = now,
                                               .items = items,
                                               .item_count = count,
                                               .more = more};
        } else if (effects.next == MOOT_MERKLE_EFFECT_SEND &&
                   talk_answer(talk, peer, &compare.message, &reply)) {
            event = (struct moot_merkle_event){
                .kind = MOOT_MERKLE_EVENT_REPLY, .now = now, .message = &reply};
            if (talk->lose > 0 && moot_rng_chance(talk->rng, 1, 4)) {
                /* The same answer comes twice; the second changes nothing. */
                struct moot_merkle_effects again;
                moot_merkle_compare_step(&compare, &event, &effects);
                if (effects.different_count > 0) {
                    memcpy(keys, effects.different, effects.different_count * sizeof(keys[0]));
                    effects.different = keys;
                }
                moot_merkle_compare_step(&compare, &event, &again);
                assert_int_equal(again.next, MOOT_MERKLE_EFFECT_NONE);
                assert_int_equal(again.different_count, 0);
                continue;
            }
        } else {
            now = moot_merkle_compare_deadline(&compare);
            assert_true(now.ns != MOOT_NEVER.ns);
            event = (struct moot_merkle_event){.kind = MOOT_MERKLE_EVENT_TICK, .now = now};
        }
        moot_merkle_compare_step(&compare, &event, &effects);
    }
    assert_true(moot_merkle_compare_deadline(&compare).ns == MOOT_NEVER.ns);
    free(memory);
}

#endif
