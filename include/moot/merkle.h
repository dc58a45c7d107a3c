/* Digests of contents, and trees of them: find what differs between two replicas at a cost in
 * proportion to the differences.
 *
 * Intuition: two librarians with equal catalogues of a million cards want to find the three that
 * differ, by telephone. Each drawer has a number that sums up its cards, each cabinet one that sums
 * up its drawers, the library one for its cabinets. If the libraries' numbers agree, they hang up.
 * If not, they read out the cabinets', open those that differ, read out their drawers', and compare
 * cards only in the drawers that differ. Each difference costs one path down the tree; what is
 * equal costs nothing. (Merkle: "A Digital Signature Based on a Conventional Encryption Function",
 * 1987, for the tree; DeCandia and others: "Dynamo", 2007, section 4.7, for replicas.)
 *
 * Digests are sums. A bucket's digest is the sum, modulo 2^64, of h(key, value) over its pairs, the
 * algebra of moot's content digest (DESIGN 6; AdHash of Bellare and Micciancio, 1997). A sum knows
 * no order, so replicas that wrote in different orders agree; and it has an inverse, so a write is
 * one addition and one subtraction and nothing is ever read again to rebuild a bucket. An inner
 * node is the sum of mix(place, digest) over its children: the place is mixed in, so that equal
 * contents in exchanged buckets do not agree, and one write costs one multiply-and-add a level.
 *
 * What a sum of 64-bit hashes is not: proof against an adversary. Two different contents have equal
 * digests by chance once in 2^64; who may choose keys can build such pairs. Between replicas that
 * do not lie it is enough. Hash only what replicas share: no local metadata, no time of arrival.
 *
 * Leaves are numbered 0 to leaves-1, and what a leaf is, is the caller's: a slot (moot_key_slot), a
 * slot and some bits of the key's hash, a slice of the hash (moot_merkle_leaf), or a range of a
 * range map. Both sides must cut alike: every message names `scope`, a number for (replica set,
 * epoch, way of cutting), and one of another scope is refused rather than misunderstood.
 *
 * The comparison is a conversation. The initiator is a state machine: step(event) -> effects, next
 * deadline pulled; the responder is two pure functions and remembers nothing, so that lost,
 * repeated and late messages are harmless and many peers may ask at once. Level by level the
 * initiator sends the digests of the children of nodes known to differ; the answer is a bit for
 * each that differs. Then, leaf by leaf, it sends (key hash, value hash) of its pairs and learns
 * which differ. Writes go on meanwhile: a leaf that changed between two messages may be reported as
 * different although it no longer is, or be missed until the next comparison; repairs are merges
 * of values, so a false difference costs a message and no more.
 *
 * Not handled: repairing (the driver reads and merges what DIFFERENT names), and when to compare.
 */
#ifndef MOOT_MERKLE_H
#define MOOT_MERKLE_H

#include "moot/base.h"
#include "moot/hash.h"

/* ---- digests ---- */

/* Of one pair; a bucket's digest is the sum of these, and one taken away is subtracted. */
static inline uint64_t moot_digest_pair(struct moot_slice key, struct moot_slice value)
{
    return moot_hash_mix(moot_hash64(key, 0), moot_hash64(value, 0));
}

/* ---- the tree ---- */

enum {
    MOOT_MERKLE_FANOUT = 16,
    MOOT_MERKLE_LEVELS_MAX = 7, /* 16^6 leaves. */
    MOOT_MERKLE_LEAVES_MAX = 1 << 24,
    MOOT_MERKLE_NODES_PER_MESSAGE = 64,  /* 64 nodes with 16 children each: 8 KiB. */
    MOOT_MERKLE_ITEMS_PER_MESSAGE = 256, /* 4 KiB. */
    MOOT_MERKLE_MESSAGE_MAX = 9 * 1024,
};

/* Complete so that it can be embedded; all fields private. Level 0 is the root. */
struct moot_merkle {
    uint64_t *digests; /* Level by level. */
    uint32_t leaves, levels, nodes;
    uint32_t first[MOOT_MERKLE_LEVELS_MAX + 1]; /* Of each level. */
};

/* Bytes for a tree of so many leaves, 1 to MOOT_MERKLE_LEAVES_MAX. */
size_t moot_merkle_size(uint32_t leaves);
/* Empty. `memory` is of that size, aligned to 8, the caller's, and outlives the tree. */
void moot_merkle_init(struct moot_merkle *tree, void *memory, uint32_t leaves);
/* A pair comes (its digest is added) or goes (subtract: 0 - digest). O(levels). */
void moot_merkle_add(struct moot_merkle *tree, uint32_t leaf, uint64_t digest);
/* A pair's value changes. */
static inline void moot_merkle_replace(struct moot_merkle *tree, uint32_t leaf, uint64_t old,
                                       uint64_t fresh)
{
    moot_merkle_add(tree, leaf, fresh - old);
}
uint64_t moot_merkle_leaf_digest(const struct moot_merkle *tree, uint32_t leaf);
/* Of everything. Equal roots: equal contents, but for a chance of 2^-64. */
uint64_t moot_merkle_root(const struct moot_merkle *tree);
/* Which leaf a key's hash falls in, when leaves are slices of the hash. */
static inline uint32_t moot_merkle_leaf(uint64_t key_hash, uint32_t leaves)
{
    return (uint32_t)((__uint128_t)key_hash * leaves >> 64);
}
/* Every inner node is the sum over its children; aborts by assertion. */
void moot_merkle_check(const struct moot_merkle *tree);

/* A tree to be saved: version, leaves, and the digests of the leaves that are not empty.
 * MOOT_ELIMIT: `out` is too small. */
int moot_merkle_encode(const struct moot_merkle *tree, uint8_t *out, size_t size,
                       size_t *used) MOOT_MUST_USE;
/* Into a tree that init has made for as many leaves. MOOT_EVERSION, MOOT_EINVALID; after a failure
 * it is empty. */
int moot_merkle_decode(struct moot_merkle *tree, struct moot_slice bytes) MOOT_MUST_USE;

/* ---- messages ---- */

/* Two keys of one hash are one item, their values added. */
struct moot_merkle_item {
    uint64_t key;   /* Hash of the key. */
    uint64_t value; /* Hash of the value. */
};

enum moot_merkle_kind {
    MOOT_MERKLE_NONE = 0,        /* No message. */
    MOOT_MERKLE_NODES = 1,       /* Digests of the children of some nodes. */
    MOOT_MERKLE_NODES_REPLY = 2, /* Which of them differ. */
    MOOT_MERKLE_ITEMS = 3,       /* Pairs of a leaf, sorted, that cover [from, upto]. */
    MOOT_MERKLE_ITEMS_REPLY = 4, /* Keys of those that differ. */
};

struct moot_merkle_message {
    enum moot_merkle_kind kind;
    uint64_t scope;
    uint64_t round; /* Echoed: an answer to another question is dropped. */
    uint32_t count;
    union {
        struct {
            uint32_t node[MOOT_MERKLE_NODES_PER_MESSAGE]; /* Rising. */
            uint64_t child[MOOT_MERKLE_NODES_PER_MESSAGE][MOOT_MERKLE_FANOUT];
        } nodes;
        uint16_t differs[MOOT_MERKLE_NODES_PER_MESSAGE]; /* A bit a child. */
        struct {
            uint32_t leaf;
            uint64_t from, upto; /* Key hashes covered, both included. */
            struct moot_merkle_item item[MOOT_MERKLE_ITEMS_PER_MESSAGE]; /* Rising by key. */
        } items;
        struct {
            uint32_t leaf;
            uint64_t upto; /* Covered up to here: the replier may have had to stop early. */
            uint64_t key[2 * MOOT_MERKLE_ITEMS_PER_MESSAGE]; /* Rising. */
        } items_reply;
    };
};

/* MOOT_ELIMIT: `out` is too small; MOOT_MERKLE_MESSAGE_MAX is enough for any. */
int moot_merkle_message_encode(const struct moot_merkle_message *message, uint8_t *out, size_t size,
                               size_t *used) MOOT_MUST_USE;
/* MOOT_EVERSION, MOOT_EINVALID. */
int moot_merkle_message_decode(struct moot_slice bytes,
                               struct moot_merkle_message *out) MOOT_MUST_USE;

/* ---- the responder ---- */

/* Answers NODES. MOOT_EREFUSED: of another scope. MOOT_EINVALID: names nodes that this tree has
 * not, or is no NODES. */
int moot_merkle_answer_nodes(const struct moot_merkle *tree, uint64_t scope,
                             const struct moot_merkle_message *request,
                             struct moot_merkle_message *reply) MOOT_MUST_USE;
/* Answers ITEMS with the keys in [from, upto] whose values differ or that only one side has. `mine`
 * are this side's pairs of the leaf with keys in [from, covered], sorted, all of them; `covered`
 * may be less than upto when there are too many to list: the rest is asked for again. Same errors.
 */
int moot_merkle_answer_items(const struct moot_merkle_item *mine, size_t count, uint64_t covered,
                             uint64_t scope, const struct moot_merkle_message *request,
                             struct moot_merkle_message *reply) MOOT_MUST_USE;

/* ---- the initiator ---- */

enum moot_merkle_event_kind {
    MOOT_MERKLE_EVENT_START,  /* Compare: forgets whatever was under way. */
    MOOT_MERKLE_EVENT_REPLY,  /* Any message from the peer; one that does not fit is dropped. */
    MOOT_MERKLE_EVENT_LISTED, /* The answer to LIST. */
    MOOT_MERKLE_EVENT_TICK,   /* The deadline came: the last message is sent again. */
};
struct moot_merkle_event {
    enum moot_merkle_event_kind kind;
    struct moot_instant now;
    uint64_t scope;                            /* START */
    const struct moot_merkle_message *message; /* REPLY */
    const struct moot_merkle_item *items;      /* LISTED: sorted, keys of at least `from`, at most
                                                  ITEMS_PER_MESSAGE of them ... */
    uint32_t item_count;
    bool more; /* ... and there are more behind them. */
};
enum moot_merkle_effect_kind {
    MOOT_MERKLE_EFFECT_NONE,
    MOOT_MERKLE_EFFECT_SEND, /* moot_merkle_compare.message */
    MOOT_MERKLE_EFFECT_LIST, /* List the pairs of `leaf` from key hash `from` on. */
    MOOT_MERKLE_EFFECT_DONE, /* All differences have been named. */
};
/* The differences are named first, then comes what to do next. */
struct moot_merkle_effects {
    const uint64_t *different; /* Key hashes; valid until the next step. */
    uint32_t different_count, different_leaf;
    enum moot_merkle_effect_kind next;
    uint32_t leaf; /* LIST */
    uint64_t from; /* LIST */
};

/* Fields private, but for `message`. */
struct moot_merkle_compare {
    const struct moot_merkle *tree;
    uint64_t *pending; /* A bit a node: known to differ, and not yet opened. */
    uint64_t scope, round, from;
    uint32_t at; /* No pending node precedes it. */
    bool active;
    struct moot_duration patience;
    struct moot_instant deadline;
    struct moot_merkle_message message; /* The last one sent. */
    uint64_t different[2 * MOOT_MERKLE_ITEMS_PER_MESSAGE];
};

/* Bytes of the bits for a tree. */
size_t moot_merkle_compare_size(const struct moot_merkle *tree);
/* `memory` is of that size, aligned to 8. `patience`: how long to wait before sending again. */
void moot_merkle_compare_init(struct moot_merkle_compare *compare, const struct moot_merkle *tree,
                              void *memory, struct moot_duration patience);
void moot_merkle_compare_step(struct moot_merkle_compare *compare,
                              const struct moot_merkle_event *event,
                              struct moot_merkle_effects *out);
/* When to send TICK; MOOT_NEVER while nothing is awaited from the peer. */
struct moot_instant moot_merkle_compare_deadline(const struct moot_merkle_compare *compare);

#endif
