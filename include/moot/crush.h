/* CRUSH: replicas over a tree of failure domains, computed by everybody from the same map.
 *
 * Intuition: a data centre is a tree: rows of racks of hosts of disks. A rule says how copies must
 * be apart: "two racks, in each two hosts". For a key and a replica's rank, walk down from the
 * root; in each inner node all children draw straws, long in proportion to their weights, and the
 * longest wins; at the level of the rule, an item that was taken already, or a device that is out,
 * is refused, and the walk is repeated with the next rank. So the placement of billions of keys is
 * a function of (map, rule, key): no table, no lookup service, and every constraint of the rule
 * holds by construction. (Weil, Brandt, Miller, Maltzahn: "CRUSH: Controlled, Scalable,
 * Decentralized Placement of Replicated Data", 2006; sections 3.1 to 3.3, algorithm 1.)
 *
 * Straws: the paper's straw buckets computed lengths that depended on all weights of the bucket, so
 * one changed weight moved keys between others. Here it is straw2, Ceph's correction: a child's
 * straw is ln(u)/weight, which depends on nothing but itself: weighted rendezvous, in a tree
 * (rendezvous.h has the arithmetic and its error).
 *
 * What moves: a device's weight counts in all its ancestors, so when a device comes or goes, up to
 * `depth` times its share moves (section 3.3.2 bounds it by the height); the ring and flat
 * rendezvous would move one share, and could not promise the racks.
 *
 * Failures: a device has an `accept`, in 65536ths: 0 is out (its keys go elsewhere, and nothing
 * else moves, for its weight still counts), in between a share of its keys is diverted: how an
 * overfull device is relieved (section 3.2.2). When the rank that is tried next is r + failures so
 * far (first-n, for replicas), the copies after a failed one shift up and all lists stay dense;
 * with r + failures * n (independent, for coded blocks, where the position says which block), the
 * other positions stay as they are (section 3.2.3 and figure 2).
 *
 * Not handled: changing the shape of the tree without moving data; a device that is lost keeps its
 * place with weight 0. A rule that the tree cannot satisfy gives fewer, after
 * MOOT_CRUSH_TRIES_MAX attempts for each. */
#ifndef MOOT_CRUSH_H
#define MOOT_CRUSH_H

#include "moot/placement.h"

enum {
    MOOT_CRUSH_LEVEL_MAX = 11, /* Of the root; devices are level 0. */
    MOOT_CRUSH_STEPS_MAX = 4,
    MOOT_CRUSH_TRIES_MAX = 64,
    MOOT_CRUSH_ACCEPT_ALL = 65536,
    MOOT_CRUSH_ROOT = 0,
};
#define MOOT_CRUSH_NONE UINT32_MAX

/* One device or domain. Ids are unique in their level; a device's is its node. */
struct moot_crush_item {
    uint32_t id;
    uint32_t level;
    uint32_t parent, child, sibling; /* Places; child: the newest one. */
    uint32_t accept;                 /* Of devices: 0 to MOOT_CRUSH_ACCEPT_ALL */
    uint64_t weight;                 /* Of domains: the sum of what is below. */
};

/* Complete so that it can be embedded; all fields private. Invariant: parents precede children. */
struct moot_crush {
    struct moot_crush_item *items;
    uint32_t count, capacity;
};

/* From each item chosen so far (at first: the root), `count` different items of `level`. */
struct moot_crush_step {
    uint32_t level;
    uint32_t count;
};
enum moot_crush_mode { MOOT_CRUSH_FIRST_N, MOOT_CRUSH_INDEPENDENT };
/* The steps' levels fall; one device in each item of the last step is the result. */
struct moot_crush_rule {
    enum moot_crush_mode mode;
    uint32_t step_count;
    struct moot_crush_step steps[MOOT_CRUSH_STEPS_MAX];
};

/* A tree that is only its root, of that level. `items` is the caller's, 1 to MOOT_PLACE_MEMBERS_MAX
 * of them, and outlives the map. */
void moot_crush_init(struct moot_crush *map, struct moot_crush_item *items, uint32_t capacity,
                     uint32_t root_level);
/* A domain, or a device (level 0) with a weight. *place is where it is. MOOT_EINVALID: the parent
 * is no domain of a higher level, the id is taken at this level, a device's id is 0, or a domain
 * comes with a weight; MOOT_ELIMIT: no room. */
int moot_crush_add(struct moot_crush *map, uint32_t parent, uint32_t level, uint32_t id,
                   uint32_t weight, uint32_t *place) MOOT_MUST_USE;
/* MOOT_CRUSH_NONE when there is no such item. */
uint32_t moot_crush_find(const struct moot_crush *map, uint32_t level, uint32_t id);
/* Of a device. MOOT_EINVALID: `place` is none, or the number is too great. */
int moot_crush_set_weight(struct moot_crush *map, uint32_t place, uint32_t weight) MOOT_MUST_USE;
int moot_crush_set_accept(struct moot_crush *map, uint32_t place, uint32_t accept) MOOT_MUST_USE;

/* False for a rule without steps, with levels that do not fall, or for more than
 * MOOT_PLACE_REPLICAS_MAX devices. */
bool moot_crush_rule_is_valid(const struct moot_crush_rule *rule);
/* The devices of a key, by a valid rule. FIRST_N: returns how many, in order. INDEPENDENT: returns
 * how many positions there are; 0 stands in one that could not be filled. */
size_t moot_crush_select(const struct moot_crush *map, const struct moot_crush_rule *rule,
                         uint64_t key, moot_node_id out[MOOT_PLACE_REPLICAS_MAX]);

/* Version, root level, and the items in order. MOOT_ELIMIT: `out` is too small. */
int moot_crush_encode(const struct moot_crush *map, uint8_t *out, size_t size,
                      size_t *used) MOOT_MUST_USE;
/* Into a map that init has made. MOOT_EVERSION, MOOT_EINVALID, MOOT_ELIMIT when its array is too
 * small; after a failure it is only a root. */
int moot_crush_decode(struct moot_crush *map, struct moot_slice bytes) MOOT_MUST_USE;

#endif
