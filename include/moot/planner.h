/* The planner: from who has what now to who should, in the fewest copies, never below the replica
 * count.
 *
 * Intuition: think of water. Each shard is a tap that must give R units; a unit flows through one
 * of the shard's zones (at most c units through each, so that a zone's loss costs at most c
 * replicas) into a node (at most one unit of a shard into each node: replicas are on different
 * nodes), and out of the node, which passes at least floor(f) and at most ceil(f) units, f being
 * its fair share. Water through a node that has the shard already is free; elsewhere it costs a
 * copy. The cheapest way to let everything flow is the plan, and that problem, minimum-cost flow,
 * has an exact and quick solution: send each unit along the cheapest path that is left, where
 * undoing an earlier choice gives its cost back (successive shortest paths with potentials left
 * out: costs are -1, 0 and 1; Ford and Fulkerson 1962, Busacker and Gowen 1961; Ahuja, Magnanti,
 * Orlin: "Network Flows", 1993, section 9.7).
 *
 * The optimum, in this order: (1) as many replicas placed as members, zones and limits allow;
 * (2) every node between the floor and the ceiling of its fair share (widened by `slack`); (3) the
 * fewest replicas on nodes that do not have them yet. Tests compare it with every possible
 * assignment on small cases. Fair shares are in proportion to weights, but no node gets more than
 * one replica of each shard or than its own limit, no zone more than c of each shard; what these
 * cut off is shared among the others in proportion.
 *
 * Then the way there, step by step: moot_planner_step names the copies to be made now, under limits
 * (copies at a time, copies into and out of one node), at most one for a shard at a time; those
 * with the fewest live replicas go first. In each move the new replica is complete before the old
 * one is given up, so no shard has less than it had, at any moment. A step depends on the present
 * map and the target only: after a pause, a crash or a change of mind, ask again.
 *
 * A member of weight 0 is leaving: it keeps nothing, and serves as a source until then. One that is
 * not listed is dead: nothing can be copied from it. Whether somebody *is* dead is not decided
 * here; transient losses should not be planned for at all.
 *
 * Not handled: shards of different sizes or loads (give heavy shards more slots), who leads, and
 * changing R in the middle of a plan. Deterministic: the same input, in any order of members, gives
 * the same plan. Cost: about (moves + phases) * shards * members in the worst case; 1,024 shards on
 * 64 nodes take milliseconds. */
#ifndef MOOT_PLANNER_H
#define MOOT_PLANNER_H

#include "moot/placement.h"

enum { MOOT_PLANNER_SHARDS_MAX = 16384, MOOT_PLANNER_MEMBERS_MAX = 1024 };

struct moot_planner_member {
    moot_node_id node; /* Not 0. */
    uint32_t zone;
    uint32_t weight;       /* 0: leaving. At most MOOT_PLACE_WEIGHT_MAX. */
    uint32_t replicas_max; /* What it can hold at most; 0: no limit. */
};

struct moot_planner_options {
    uint32_t shards;   /* 1 to MOOT_PLANNER_SHARDS_MAX */
    uint32_t replicas; /* R: 1 to MOOT_PLACE_REPLICAS_MAX */
    uint32_t zone_cap; /* c: replicas of one shard in one zone; 0: the least that places R. */
    uint32_t slack;    /* Replicas by which a node may miss its fair share before anything moves. */
};

struct moot_planner_summary {
    uint32_t copies;   /* Replicas on nodes that do not have them yet: the cost of the plan. */
    uint32_t missing;  /* Replicas that cannot be placed. */
    uint32_t zone_cap; /* The one used. */
    uint32_t unfair;   /* Replicas by which nodes miss their shares: 0 when nothing is missing. */
};

/* A map is shards * replicas node ids; those of shard s begin at s * replicas. 0: no replica there.
 */

/* Bytes that moot_planner_solve needs, aligned to 8; options and members within their limits. */
size_t moot_planner_size(const struct moot_planner_options *options,
                         const struct moot_planner_member *members, size_t member_count);
/* `target` becomes the best map; replicas that stay keep their places in the list. `old` and
 * `target` may not overlap. MOOT_EINVALID: options or members out of their limits, a node listed
 * twice, or twice in one shard. */
int moot_planner_solve(void *memory, const struct moot_planner_options *options,
                       const struct moot_planner_member *members, size_t member_count,
                       const moot_node_id *old, moot_node_id *target,
                       struct moot_planner_summary *summary) MOOT_MUST_USE;

/* Copy `shard` from `source` to `to`, then give up `from`, whose place in the list it takes. */
struct moot_planner_move {
    uint32_t shard;
    moot_node_id to;
    moot_node_id from;   /* 0: nobody gives it up, there was one too few. */
    moot_node_id source; /* 0: nobody alive has the shard. */
    uint32_t place;      /* Below R. */
};
struct moot_planner_limits {
    uint32_t moves_max; /* At a time; at least 1. */
    uint32_t node_max;  /* Copies into one node at a time, and out of one; at least 1. */
};
/* The next moves from `now` towards `target`: up to limits->moves_max of them. 0 when `now` has
 * every replica of the target. While a step is under way a node holds at most node_max replicas
 * more than its replicas_max, and that only when no other move is possible (two full nodes that
 * must exchange). `scratch` is member_count * 12 bytes, aligned to 4. MOOT_EINVALID as above, or a
 * target node that the shard has in another place. */
int moot_planner_step(const struct moot_planner_options *options,
                      const struct moot_planner_member *members, size_t member_count,
                      const moot_node_id *now, const moot_node_id *target,
                      const struct moot_planner_limits *limits, uint32_t *scratch,
                      struct moot_planner_move *moves, size_t *count) MOOT_MUST_USE;
/* `map` after a move is complete. */
void moot_planner_apply(const struct moot_planner_options *options, moot_node_id *map,
                        const struct moot_planner_move *move);

/* A map: version, shards, replicas, and the nodes. MOOT_ELIMIT: `out` is too small. */
int moot_planner_map_encode(const struct moot_planner_options *options, const moot_node_id *map,
                            uint8_t *out, size_t size, size_t *used) MOOT_MUST_USE;
/* MOOT_EVERSION, MOOT_EINVALID (also: of other shards or replicas than the options say, or a node
 * twice in a shard). */
int moot_planner_map_decode(const struct moot_planner_options *options, struct moot_slice bytes,
                            moot_node_id *map) MOOT_MUST_USE;
/* The moves of a step: version, count, and each move. */
int moot_planner_moves_encode(const struct moot_planner_move *moves, size_t count, uint8_t *out,
                              size_t size, size_t *used) MOOT_MUST_USE;
/* Up to `capacity` moves. MOOT_EVERSION, MOOT_EINVALID, MOOT_ELIMIT. */
int moot_planner_moves_decode(struct moot_slice bytes, struct moot_planner_move *moves,
                              size_t capacity, size_t *count) MOOT_MUST_USE;

#endif
