#include "protocol/placement/planner_flow.h"

#include <string.h>

#include "base/assert.h"
#include "protocol/placement/mix.h"

/* A unit that brings a node nearer to its floor is worth more than any number of copies: paths have
 * fewer edges than this. */
static const int32_t FLOOR_WORTH = 1 << 28;
static const int32_t FAR = INT32_MAX;
static const uint32_t NOBODY = UINT32_MAX;
enum { MARK_QUEUED = 1, MARK_SEEN = 2, MARK_DEAD = 4 };

/* Vertices by number. */
static uint32_t door_of(const struct planner_flow *flow, uint32_t shard, uint32_t zone)
{
    return flow->shards + shard * flow->zones + zone;
}
static uint32_t node_vertex(const struct planner_flow *flow, uint32_t node)
{
    return flow->shards * (1 + flow->zones) + node;
}
static uint32_t vertex_count(const struct planner_flow *flow)
{
    return flow->shards * (1 + flow->zones) + flow->nodes;
}

static int32_t copy_cost(const struct planner_flow *flow, uint32_t shard, uint32_t node)
{
    return (flow->state[shard * flow->nodes + node] & PLANNER_WAS_THERE) != 0 ? 0 : 1;
}

/* From a node to the sink: FAR when it is full. */
static int32_t sink_cost(const struct planner_flow *flow, uint32_t node)
{
    MOOT_ASSERT(flow->load[node] <= flow->high[node]);
    return flow->load[node] < flow->low[node]    ? -FLOOR_WORTH
           : flow->load[node] < flow->high[node] ? 0
                                                 : FAR;
}

/* An edge with room left, of some vertex. next_edge gives them one by one: `at` starts at 0, and
 * there are no more when it returns false. */
struct edge {
    uint32_t to;
    int32_t cost;
};

/* Among equally cheap choices each shard begins elsewhere, so that the replicas of one node's
 * shards are scattered over all others, which then share the work when it is lost. */
static uint32_t turn_of(uint32_t shard) { return (uint32_t)(place__mix(shard + 1) >> 33); }

static bool shard_edge(const struct planner_flow *flow, uint32_t shard, uint32_t *at,
                       struct edge *out)
{
    while (*at < flow->zones) {
        uint32_t zone = ((*at)++ + turn_of(shard)) % flow->zones;
        if (flow->through[shard * flow->zones + zone] < flow->zone_cap) {
            *out = (struct edge){door_of(flow, shard, zone), 0};
            return true;
        }
    }
    return false;
}

/* A zone's nodes that the shard is not on; last, back to the shard. */
static bool door_edge(const struct planner_flow *flow, uint32_t door, uint32_t *at,
                      struct edge *out)
{
    uint32_t shard = (door - flow->shards) / flow->zones;
    uint32_t zone = (door - flow->shards) % flow->zones;
    uint32_t first = flow->zone_first[zone];
    uint32_t width = flow->zone_first[zone + 1] - first;
    while (*at < width) {
        uint32_t node = first + ((*at)++ + turn_of(shard) / 251) % width;
        if ((flow->state[shard * flow->nodes + node] & PLANNER_IS_THERE) == 0) {
            *out = (struct edge){node_vertex(flow, node), copy_cost(flow, shard, node)};
            return true;
        }
    }
    if ((*at)++ == width && flow->through[door - flow->shards] > 0) {
        *out = (struct edge){shard, 0};
        return true;
    }
    return false;
}

/* Back to the shards that flow through the node: undoing gives the cost back. */
static bool node_edge(const struct planner_flow *flow, uint32_t node, uint32_t *at,
                      struct edge *out)
{
    while (*at < flow->shards) {
        uint32_t shard = (*at)++;
        if ((flow->state[shard * flow->nodes + node] & PLANNER_IS_THERE) != 0) {
            *out = (struct edge){door_of(flow, shard, flow->zone_of[node]),
                                 -copy_cost(flow, shard, node)};
            return true;
        }
    }
    return false;
}

static bool next_edge(const struct planner_flow *flow, uint32_t vertex, uint32_t *at,
                      struct edge *out)
{
    if (vertex < flow->shards) {
        return shard_edge(flow, vertex, at, out);
    }
    if (vertex < flow->shards * (1 + flow->zones)) {
        return door_edge(flow, vertex, at, out);
    }
    return node_edge(flow, vertex - flow->shards * (1 + flow->zones), at, out);
}

/* Distances from all shards that still have something to give: label correcting (Ahuja, Magnanti,
 * Orlin, section 5.4), because costs may be negative; there is no negative cycle, by optimality of
 * what flows so far. */
static void find_distances(struct planner_flow *flow)
{
    uint32_t count = vertex_count(flow);
    uint32_t head = 0;
    uint32_t waiting = 0;
    memset(flow->mark, 0, count);
    for (uint32_t vertex = 0; vertex < count; vertex++) {
        flow->distance[vertex] = FAR;
        if (vertex < flow->shards && flow->placed[vertex] < flow->replicas) {
            flow->distance[vertex] = 0;
            flow->mark[vertex] = MARK_QUEUED;
            flow->queue[waiting++] = vertex;
        }
    }
    while (waiting > 0) { /* A circle of `count` places: no vertex waits twice. */
        uint32_t vertex = flow->queue[head];
        head = head + 1 == count ? 0 : head + 1;
        waiting -= 1;
        flow->mark[vertex] = 0;
        struct edge edge;
        for (uint32_t at = 0; next_edge(flow, vertex, &at, &edge);) {
            int32_t distance = flow->distance[vertex] + edge.cost;
            if (distance >= flow->distance[edge.to]) {
                continue;
            }
            flow->distance[edge.to] = distance;
            if (flow->mark[edge.to] == 0) {
                flow->mark[edge.to] = MARK_QUEUED;
                uint32_t tail = head + waiting++;
                flow->queue[tail >= count ? tail - count : tail] = edge.to;
            }
        }
    }
}

/* The distance of the sink; FAR when it cannot be reached. */
static int32_t sink_distance(const struct planner_flow *flow)
{
    int32_t best = FAR;
    for (uint32_t node = 0; node < flow->nodes; node++) {
        int32_t distance = flow->distance[node_vertex(flow, node)];
        int32_t cost = sink_cost(flow, node);
        if (distance != FAR && cost != FAR && distance + cost < best) {
            best = distance + cost;
        }
    }
    return best;
}

/* A shortest path from a shard to a node with room, by breadth; or NOBODY, and then everything
 * seen is dead: no path of this length goes through it, because whoever enters cannot get out. */
static uint32_t find_path(struct planner_flow *flow, uint32_t shard, int32_t length)
{
    uint32_t head = 0;
    uint32_t tail = 0;
    flow->queue[tail++] = shard;
    flow->mark[shard] |= MARK_SEEN;
    flow->previous[shard] = NOBODY;
    uint32_t found = NOBODY;
    while (head < tail && found == NOBODY) {
        uint32_t vertex = flow->queue[head++];
        struct edge edge;
        for (uint32_t at = 0; next_edge(flow, vertex, &at, &edge);) {
            if (flow->mark[edge.to] != 0 ||
                flow->distance[edge.to] != flow->distance[vertex] + edge.cost) {
                continue;
            }
            flow->mark[edge.to] |= MARK_SEEN;
            flow->previous[edge.to] = vertex;
            flow->queue[tail++] = edge.to;
            uint32_t node = edge.to - flow->shards * (1 + flow->zones);
            if (edge.to >= flow->shards * (1 + flow->zones) && sink_cost(flow, node) != FAR &&
                flow->distance[edge.to] + sink_cost(flow, node) == length) {
                found = edge.to;
                break;
            }
        }
    }
    for (uint32_t i = 0; i < tail; i++) {
        flow->mark[flow->queue[i]] = found == NOBODY ? MARK_DEAD : 0;
    }
    return found;
}

/* Undo or do what the edge from -> to stands for. */
static void push(struct planner_flow *flow, uint32_t from, uint32_t to)
{
    uint32_t nodes_from = flow->shards * (1 + flow->zones);
    if (from < flow->shards) {
        flow->through[to - flow->shards] += 1;
    } else if (to < flow->shards) {
        MOOT_ASSERT(flow->through[from - flow->shards] > 0);
        flow->through[from - flow->shards] -= 1;
    } else {
        uint32_t node = (from >= nodes_from ? from : to) - nodes_from;
        uint32_t door = from >= nodes_from ? to : from;
        uint32_t shard = (door - flow->shards) / flow->zones;
        flow->state[shard * flow->nodes + node] ^= PLANNER_IS_THERE;
    }
}

static void push_path(struct planner_flow *flow, uint32_t shard, uint32_t end)
{
    uint32_t node = end - flow->shards * (1 + flow->zones);
    MOOT_ASSERT(flow->load[node] < flow->high[node]);
    flow->load[node] += 1;
    flow->placed[shard] += 1;
    for (uint32_t vertex = end; vertex != shard; vertex = flow->previous[vertex]) {
        push(flow, flow->previous[vertex], vertex);
    }
}

uint32_t planner__flow(struct planner_flow *flow)
{
    uint32_t total = 0;
    int32_t length_before = INT32_MIN;
    for (;;) {
        find_distances(flow);
        int32_t length = sink_distance(flow);
        if (length == FAR) {
            return total;
        }
        MOOT_ASSERT(length > length_before); /* Each phase uses up the paths of one length. */
        length_before = length;
        memset(flow->mark, 0, vertex_count(flow));
        for (uint32_t shard = 0; shard < flow->shards; shard++) {
            while (flow->placed[shard] < flow->replicas && flow->distance[shard] == 0 &&
                   flow->mark[shard] == 0) {
                uint32_t end = find_path(flow, shard, length);
                if (end == NOBODY) {
                    break;
                }
                push_path(flow, shard, end);
                total += 1;
            }
        }
    }
}
