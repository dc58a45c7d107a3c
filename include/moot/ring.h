/* Consistent hashing: a ring of points with weighted virtual nodes, and zone-aware preference
 * lists.
 *
 * Intuition: bend the numbers 0 to 2^64-1 into a circle. Each node stands on the circle in many
 * places (its virtual nodes, at hash(node, i)); a key stands at its own hash and belongs to the
 * first node clockwise. A node that comes splits the arcs it lands in and nothing else moves; one
 * that goes leaves its arcs to the next ones. (Karger, Lehman, Leighton, Levine, Lewin, Panigrahy:
 * "Consistent Hashing and Random Trees", 1997, section 4; DeCandia and others: "Dynamo", 2007,
 * sections 4.2 and 4.3.)
 *
 * Why virtual: with one point each, the arcs of n nodes are as uneven as n random cuts of a circle,
 * and the unlucky one gets ln(n) times its share. The share of a node with v points has a relative
 * standard deviation of about 1/sqrt(v), and a node that dies is inherited by up to v others
 * rather than by one. A node's weight *is* its number of points, so a node of weight 200 gets twice
 * the keys of one of weight 100, and raising a weight only adds points. Some 100 to 200 points for
 * a node keep most shares within a tenth of fair (tests/paper/placement_test.c measures it); beyond
 * that Dynamo gave up on random points (section 6.2: strategy 3, equal partitions assigned by a
 * table): that is slot_map.h with planner.h.
 *
 * The preference list of a key: walk on from its owner, and take the nodes that are met, each once
 * (Dynamo 4.3: "skipping positions in the ring to ensure that the list contains only distinct
 * physical nodes"), and one of each zone before a second of any zone, a second before a third.
 *
 * Not handled: who is alive (walk the list), and moving data. Points are kept sorted in the
 * caller's memory: adding or removing a node of v points is O(points + v log v), a look-up is
 * O(log points). Two rings of the same members are equal, whatever the order of arrival. */
#ifndef MOOT_RING_H
#define MOOT_RING_H

#include "moot/placement.h"

enum { MOOT_RING_POINTS_MAX = 1 << 24 };

struct moot_hash_ring_point {
    uint64_t position;
    moot_node_id node;
    uint32_t zone;
};

/* Complete so that it can be embedded; all fields private.
 * Invariant: points are sorted by (position, node); member weights sum to point_count; members are
 * sorted by node. zones_deep[r] zones have more than r members with points. */
struct moot_hash_ring {
    struct moot_place_member *members;
    struct moot_hash_ring_point *points;
    uint32_t member_count, member_capacity;
    uint32_t point_count, point_capacity;
    uint64_t seed;
    uint32_t zones_deep[MOOT_PLACE_REPLICAS_MAX];
};

/* Arrays are the caller's and outlive the ring. Rings agree when their seeds and members do.
 * `points` holds the sum of all weights and, free, the weight of the member being added once more:
 * that is where its points are sorted before they are merged. */
void moot_hash_ring_init(struct moot_hash_ring *ring, uint64_t seed,
                         struct moot_place_member *members, uint32_t member_capacity,
                         struct moot_hash_ring_point *points, uint32_t point_capacity);
/* Add a member, or give one that is there another weight or zone. Weight 0: listed, without points.
 * MOOT_EINVALID: node 0 or a weight over MOOT_PLACE_WEIGHT_MAX; MOOT_ELIMIT: no room for the member
 * or its points. A refused change changes nothing. */
int moot_hash_ring_set(struct moot_hash_ring *ring,
                       const struct moot_place_member *member) MOOT_MUST_USE;
/* False when it was not there. */
bool moot_hash_ring_remove(struct moot_hash_ring *ring, moot_node_id node);

/* The node a key belongs to; 0 when no member has points. */
moot_node_id moot_hash_ring_owner(const struct moot_hash_ring *ring, uint64_t key);
/* The first `replicas` of the key's preference list, the owner first. Returns how many there are:
 * fewer than asked only when fewer members have points. */
size_t moot_hash_ring_preference(const struct moot_hash_ring *ring, uint64_t key, size_t replicas,
                                 moot_node_id out[MOOT_PLACE_REPLICAS_MAX]);

/* All invariants; aborts by assertion. */
void moot_hash_ring_check(const struct moot_hash_ring *ring);

/* Version, seed and members: points are computed again. MOOT_ELIMIT: `out` is too small. */
int moot_hash_ring_encode(const struct moot_hash_ring *ring, uint8_t *out, size_t size,
                          size_t *used) MOOT_MUST_USE;
/* Into a ring that init has made: replaces seed and members. MOOT_EVERSION, MOOT_EINVALID,
 * MOOT_ELIMIT when its arrays are too small; after a failure the ring is empty. */
int moot_hash_ring_decode(struct moot_hash_ring *ring, struct moot_slice bytes) MOOT_MUST_USE;

#endif
