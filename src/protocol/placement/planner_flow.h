/* Inside the planner: the network of one problem, and its cheapest flow.
 *
 *   source -> shard (R) -> (shard, zone) (zone_cap) -> node (1) -> sink ([low, high])
 *
 * Edges are not stored: `state` says of each (shard, node) whether the shard was there and whether
 * it is now, `through` how much flows through each (shard, zone), `load` how much through each
 * node. Nodes are sorted by (zone, id), so that a zone is a run of them. */
#ifndef MOOT_PROTOCOL_PLACEMENT_PLANNER_FLOW_H
#define MOOT_PROTOCOL_PLACEMENT_PLANNER_FLOW_H

#include "moot/planner.h"

enum { PLANNER_WAS_THERE = 1, PLANNER_IS_THERE = 2 };

struct planner_flow {
    uint32_t shards, replicas, nodes, zones, zone_cap;
    struct moot_planner_member *members; /* Sorted. */
    uint32_t *zone_of;                   /* Of each node: 0 and up, in order. */
    uint32_t *zone_first;                /* zones + 1 of them: its first node. */
    uint32_t *low, *high, *load;         /* Of each node. */
    uint8_t *state;                      /* [shard * nodes + node] */
    uint8_t *through;                    /* [shard * zones + zone] */
    uint8_t *placed;                     /* Of each shard. */
    int32_t *distance;                   /* Of each vertex: shards, (shard, zone)s, nodes. */
    uint32_t *previous, *queue;
    uint8_t *mark;
};

/* Finds the best flow from an empty one. Returns how much flows. */
uint32_t planner__flow(struct planner_flow *flow);

#endif
