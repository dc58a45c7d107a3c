/* Who holds what: the words that all schemes of placement share, and how to choose one.
 *
 * Intuition: a key becomes a number (moot_hash64), and a rule that everybody can compute turns the
 * number into nodes, so that nobody has to be asked. The rules differ in three things: how even
 * the shares are, how much moves when a node comes or goes, and what must be remembered.
 *
 *   scheme                 balance           moved on join         state      look-up
 *   modulo      (jump.h)   exact             nearly everything     a count    O(1)
 *   jump        (jump.h)   exact             the optimum           a count    O(log n)
 *   ring        (ring.h)   1/sqrt(vnodes)    the optimum           points     O(log points)
 *   rendezvous             exact, weighted   the optimum           members    O(n)
 *   skeleton               exact, weighted   levels * optimum      sums       O(log n)
 *   CRUSH       (crush.h)  exact, weighted   levels * optimum      a tree     O(children * depth)
 *   slot map, range map    as planned        as planned (planner)  a table    O(1), O(log ranges)
 *
 * "Exact" is in expectation: each key falls independently, so n nodes that share k keys differ as
 * dice do. The optimum on a join is the newcomer's own share, and nothing that moves between two
 * old nodes. Jump can only grow and shrink at its end; the ring's preference lists and rendezvous
 * name replicas as well; a table (Dynamo 2007, section 6.2, strategy 3) is what moot's keyspaces
 * use, because its moves can be planned, shown, throttled and paused.
 *
 * Weights are relative: a node of weight 2 gets twice the share of one of weight 1; weight 0 keeps
 * a member listed and gives it nothing. Zones are failure domains: a scheme that lists replicas
 * takes one of each zone before it takes a second of any, a second of each before a third. Numbers
 * only, no memory but the caller's, no floating point. */
#ifndef MOOT_PLACEMENT_H
#define MOOT_PLACEMENT_H

#include "moot/base.h"
#include "moot/hash.h"

enum {
    MOOT_PLACE_REPLICAS_MAX = 16,       /* Of one key. */
    MOOT_PLACE_WEIGHT_MAX = 1 << 20,    /* Of one member. */
    MOOT_PLACE_MEMBERS_MAX = 64 * 1024, /* Sums of weights stay below 2^36. */
};

struct moot_place_member {
    moot_node_id node; /* Not 0. */
    uint32_t zone;
    uint32_t weight; /* 0 to MOOT_PLACE_WEIGHT_MAX */
};

/* The number of a key: XXH3 with seed 0. */
static inline uint64_t moot_place_key(struct moot_slice key) { return moot_hash64(key, 0); }

#endif
