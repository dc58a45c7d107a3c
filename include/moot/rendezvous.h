/* Rendezvous hashing: every member draws a straw for the key, and the best straw wins.
 *
 * Intuition: two people who know the same list of meeting places and the name of the day can meet
 * without talking: each scores every place by hash(day, place) and goes to the highest. If that
 * place is closed, the next highest; nobody who was going elsewhere changes plans. (Thaler and
 * Ravishankar: "Using Name-Based Mappings to Increase Hit Rates", 1998: highest random weight.)
 * So a member that leaves hands exactly its own keys on, spread over all others, and one that comes
 * takes its share from all: the optimum. The k best are the replicas, and k+1 of them are the k
 * best plus one: growing the replica count moves nothing.
 *
 * Weights: with u uniform in (0, 1], -ln(u)/w is the time until the first ring of a bell that rings
 * w times an hour, and the first of several bells to ring is number i with probability
 * w_i / sum(w), independently of the others. So the member with the least -ln(u)/w (the greatest
 * -w/ln(u); Schindler and Schomaker 2005 have the family of such functions) gives shares in
 * proportion to weights, and a change of one weight moves keys only to or from that member. Scores
 * are compared by cross multiplication in 128 bits; -ln(u) is computed in integers, in units of
 * 2^-58, with an error of at most three units for u of 1/2 and up (where winners are) and half a
 * unit more each time that u is halved. Among n equal members the winner's -ln(u) is about 1/n, so
 * a share is off by a relative error of about n * 2^-56. A tie goes to the lesser id.
 *
 * In O(log n): scoring 1,000 members for each key is 1,000 hashes. The skeleton is a tree of fan-
 * out 8 whose leaves are members and whose inner nodes carry the sums of weights; a look-up walks
 * from the root, by weighted rendezvous among eight children (Wang, Ravishankar: "Hash-Based
 * Virtual Hierarchies for Caching in Hybrid Content-Delivery Networks", 2009, has virtual nodes of
 * equal weight; sums make shares exact when the tree is not full). The price: when a leaf's weight
 * changes, so do those of its ancestors, and keys that enter or leave a subtree are dealt among
 * all of its leaves. At most `levels` times the optimum moves. The tree deepens without moving
 * more than the newcomer's share, because a node with one child in use passes every key on to it.
 *
 * Plain rendezvous is stateless: the members are any array of the caller's, in any order. */
#ifndef MOOT_RENDEZVOUS_H
#define MOOT_RENDEZVOUS_H

#include "moot/placement.h"

/* The member (its place in `members`) that wins the key, or -1 when all weights are 0. */
int32_t moot_rendezvous_pick(const struct moot_place_member *members, size_t count, uint64_t key);
/* The `replicas` best, best first, zone by zone: one of each zone before a second of any. Give all
 * members one zone each (or all the same) for the plain order. Returns how many there are: fewer
 * than `replicas` only when fewer members have a weight. */
size_t moot_rendezvous_replicas(const struct moot_place_member *members, size_t count, uint64_t key,
                                size_t replicas, moot_node_id out[MOOT_PLACE_REPLICAS_MAX]);

enum { MOOT_SKELETON_FANOUT = 8, MOOT_SKELETON_LEVELS_MAX = 6 };

/* Complete so that it can be embedded; all fields private. */
struct moot_skeleton {
    uint64_t *sums; /* Level by level, leaves first. */
    moot_node_id *nodes;
    uint32_t capacity, levels;
    uint32_t first[MOOT_SKELETON_LEVELS_MAX + 1]; /* Of each level, in sums. */
};

/* Bytes for up to `capacity` members, 1 to MOOT_PLACE_MEMBERS_MAX. */
size_t moot_skeleton_size(uint32_t capacity);
/* `memory` is of that size, aligned to 8, the caller's, and outlives the skeleton. */
void moot_skeleton_init(struct moot_skeleton *skeleton, void *memory, uint32_t capacity);
/* Add a member or change its weight; 0 removes it. A place in the tree is given by age: a newcomer
 * takes the first free one. MOOT_EINVALID: node 0 or too great a weight; MOOT_ELIMIT: full. */
int moot_skeleton_set(struct moot_skeleton *skeleton, moot_node_id node,
                      uint32_t weight) MOOT_MUST_USE;
/* The winner of the key, or 0 when there is nobody. */
moot_node_id moot_skeleton_pick(const struct moot_skeleton *skeleton, uint64_t key);

/* The tree as version, capacity, and (place, node, weight) of the leaves in use. Both sides must
 * agree on places, so it is the encoding that travels, not a list of members.
 * MOOT_ELIMIT: `out` is too small. */
int moot_skeleton_encode(const struct moot_skeleton *skeleton, uint8_t *out, size_t size,
                         size_t *used) MOOT_MUST_USE;
/* Into a skeleton that init has made, whose leaves are replaced. MOOT_EVERSION, MOOT_EINVALID,
 * MOOT_ELIMIT when it was made for another capacity; after a failure it is empty. */
int moot_skeleton_decode(struct moot_skeleton *skeleton, struct moot_slice bytes) MOOT_MUST_USE;

#endif
