#include "moot/planner.h"

#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "protocol/placement/planner_flow.h"

/* One problem laid out in the caller's memory: the network, and what fair shares are found with. */
struct problem {
    struct planner_flow flow;
    uint32_t *by_id;   /* Places of members in order of their ids. */
    uint32_t *limit;   /* Replicas that each node can hold. */
    uint8_t *at_limit; /* Its share is its limit. */
    uint8_t *settled;  /* Zones whose share is their cap. */
};

/* ---- memory ---- */

struct carver {
    uint8_t *base; /* NULL: only count. */
    size_t used;
};
static void *carve(struct carver *carver, size_t count, size_t width)
{
    size_t at = carver->used;
    carver->used += (count * width + 7) / 8 * 8;
    return carver->base == NULL ? NULL : carver->base + at;
}

static uint32_t count_zones(const struct moot_planner_member *members, size_t count)
{
    uint32_t zones = 0;
    for (size_t i = 0; i < count; i++) {
        size_t j = 0;
        while (j < i && members[j].zone != members[i].zone) {
            j += 1;
        }
        zones += j == i;
    }
    return zones;
}

static size_t lay_out(struct problem *problem, void *memory,
                      const struct moot_planner_options *options, size_t nodes, uint32_t zones)
{
    struct planner_flow *flow = &problem->flow;
    struct carver carver = {memory, 0};
    size_t doors = (size_t)options->shards * zones;
    size_t vertices = options->shards + doors + nodes;
    *problem = (struct problem){.flow = {.shards = options->shards,
                                         .replicas = options->replicas,
                                         .nodes = (uint32_t)nodes,
                                         .zones = zones}};
    flow->members = carve(&carver, nodes, sizeof(*flow->members));
    flow->zone_of = carve(&carver, nodes, 4);
    flow->zone_first = carve(&carver, zones + 1, 4);
    flow->low = carve(&carver, nodes, 4);
    flow->high = carve(&carver, nodes, 4);
    flow->load = carve(&carver, nodes, 4);
    flow->state = carve(&carver, options->shards * nodes, 1);
    flow->through = carve(&carver, doors, 1);
    flow->placed = carve(&carver, options->shards, 1);
    flow->distance = carve(&carver, vertices, 4);
    flow->previous = carve(&carver, vertices, 4);
    flow->queue = carve(&carver, vertices, 4);
    flow->mark = carve(&carver, vertices, 1);
    problem->by_id = carve(&carver, nodes, 4);
    problem->limit = carve(&carver, nodes, 4);
    problem->at_limit = carve(&carver, nodes, 1);
    problem->settled = carve(&carver, zones, 1);
    return carver.used;
}

static bool options_are_valid(const struct moot_planner_options *options,
                              const struct moot_planner_member *members, size_t count)
{
    if (options->shards < 1 || options->shards > MOOT_PLANNER_SHARDS_MAX || options->replicas < 1 ||
        options->replicas > MOOT_PLACE_REPLICAS_MAX ||
        options->zone_cap > MOOT_PLACE_REPLICAS_MAX || count > MOOT_PLANNER_MEMBERS_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (members[i].node == 0 || members[i].weight > MOOT_PLACE_WEIGHT_MAX) {
            return false;
        }
        for (size_t j = 0; j < i; j++) {
            if (members[j].node == members[i].node) {
                return false;
            }
        }
    }
    return true;
}

size_t moot_planner_size(const struct moot_planner_options *options,
                         const struct moot_planner_member *members, size_t member_count)
{
    MOOT_ASSERT(options->shards <= MOOT_PLANNER_SHARDS_MAX);
    MOOT_ASSERT(member_count <= MOOT_PLANNER_MEMBERS_MAX);
    struct problem problem;
    return lay_out(&problem, NULL, options, member_count, count_zones(members, member_count));
}

/* ---- the network ---- */

static void sort_members(struct problem *problem, const struct moot_planner_member *members)
{
    struct planner_flow *flow = &problem->flow;
    for (uint32_t i = 0; i < flow->nodes; i++) {
        struct moot_planner_member member = members[i];
        uint32_t at = i;
        for (; at > 0; at--) {
            const struct moot_planner_member *other = &flow->members[at - 1];
            if (other->zone < member.zone ||
                (other->zone == member.zone && other->node < member.node)) {
                break;
            }
            flow->members[at] = *other;
        }
        flow->members[at] = member;
    }
    uint32_t zone = 0;
    for (uint32_t i = 0; i < flow->nodes; i++) {
        zone += i > 0 && flow->members[i].zone != flow->members[i - 1].zone;
        flow->zone_of[i] = zone;
        if (i == 0 || flow->zone_of[i - 1] != zone) {
            flow->zone_first[zone] = i;
        }
        uint32_t at = i;
        for (; at > 0; at--) {
            if (flow->members[problem->by_id[at - 1]].node < flow->members[i].node) {
                break;
            }
            problem->by_id[at] = problem->by_id[at - 1];
        }
        problem->by_id[at] = i;
    }
    flow->zone_first[flow->zones] = flow->nodes;
}

/* Where a node is among the members; `nodes` when it is not listed. */
static uint32_t place_of(const struct problem *problem, moot_node_id node)
{
    const struct planner_flow *flow = &problem->flow;
    uint32_t low = 0;
    uint32_t high = flow->nodes;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (flow->members[problem->by_id[middle]].node < node) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < flow->nodes && flow->members[problem->by_id[low]].node == node) {
        return problem->by_id[low];
    }
    return flow->nodes;
}

static bool is_twice(const moot_node_id *list, uint32_t count, uint32_t at)
{
    for (uint32_t i = 0; i < at && i < count; i++) {
        if (list[at] != 0 && list[i] == list[at]) {
            return true;
        }
    }
    return false;
}

static bool mark_old(struct problem *problem, const moot_node_id *old)
{
    struct planner_flow *flow = &problem->flow;
    for (uint32_t shard = 0; shard < flow->shards; shard++) {
        const moot_node_id *list = &old[(size_t)shard * flow->replicas];
        for (uint32_t i = 0; i < flow->replicas; i++) {
            if (is_twice(list, flow->replicas, i)) {
                return false;
            }
            uint32_t node = list[i] == 0 ? flow->nodes : place_of(problem, list[i]);
            if (node < flow->nodes) {
                flow->state[(size_t)shard * flow->nodes + node] = PLANNER_WAS_THERE;
            }
        }
    }
    return true;
}

/* Replicas of one shard that fit with at most `cap` in a zone. */
static uint32_t fits(const struct planner_flow *flow, uint32_t cap)
{
    uint32_t fit = 0;
    for (uint32_t zone = 0; zone < flow->zones; zone++) {
        uint32_t usable = 0;
        for (uint32_t node = flow->zone_first[zone]; node < flow->zone_first[zone + 1]; node++) {
            usable += flow->members[node].weight > 0;
        }
        fit += (uint32_t)moot_min_u64(usable, cap);
    }
    return (uint32_t)moot_min_u64(fit, flow->replicas);
}

static uint32_t least_zone_cap(const struct planner_flow *flow)
{
    uint32_t cap = 1;
    while (cap < flow->replicas && fits(flow, cap) < fits(flow, flow->replicas)) {
        cap += 1;
    }
    return cap;
}

/* ---- fair shares ---- */

/* Which nodes a pool of replicas is shared by: one zone's, or those of all zones not settled. */
struct pool {
    uint32_t zone;    /* zones: all. */
    uint64_t left;    /* Replicas, less those of nodes at their limits. */
    uint64_t weights; /* Of nodes below their limits. */
};

static bool in_pool(const struct problem *problem, const struct pool *pool, uint32_t node)
{
    uint32_t zone = problem->flow.zone_of[node];
    return pool->zone == problem->flow.zones ? !problem->settled[zone] : pool->zone == zone;
}

/* Gives everybody its share by weight; whom that would give more than it can hold, its limit; and
 * what these leave to the others, until nobody is over. */
static void fill(struct problem *problem, struct pool *pool, uint64_t replicas)
{
    struct planner_flow *flow = &problem->flow;
    for (bool changed = true; changed;) {
        changed = false;
        pool->left = replicas;
        pool->weights = 0;
        for (uint32_t node = 0; node < flow->nodes; node++) {
            if (!in_pool(problem, pool, node)) {
                continue;
            }
            pool->left -= problem->at_limit[node] ? problem->limit[node] : 0;
            pool->weights += problem->at_limit[node] ? 0 : flow->members[node].weight;
        }
        for (uint32_t node = 0; node < flow->nodes; node++) {
            if (in_pool(problem, pool, node) && !problem->at_limit[node] &&
                flow->members[node].weight * pool->left > problem->limit[node] * pool->weights) {
                problem->at_limit[node] = true;
                changed = true;
            }
        }
    }
}

/* The shares of a pool's nodes, rounded down and up. */
static void set_quotas(struct problem *problem, const struct pool *pool, uint32_t slack)
{
    struct planner_flow *flow = &problem->flow;
    for (uint32_t node = 0; node < flow->nodes; node++) {
        if (!in_pool(problem, pool, node)) {
            continue;
        }
        uint64_t low = problem->limit[node];
        uint64_t high = low;
        if (!problem->at_limit[node]) {
            uint64_t share = flow->members[node].weight * pool->left;
            low = pool->weights == 0 ? 0 : share / pool->weights;
            high = pool->weights == 0 ? 0 : (share + pool->weights - 1) / pool->weights;
        }
        flow->low[node] = (uint32_t)(low > slack ? low - slack : 0);
        flow->high[node] = (uint32_t)moot_min_u64(high + slack, problem->limit[node]);
        MOOT_ASSERT(flow->low[node] <= flow->high[node]);
    }
}

/* Would the zone get more than its cap, were the pool shared by weight alone? */
static bool zone_is_over(const struct problem *problem, const struct pool *pool, uint32_t zone,
                         uint64_t cap)
{
    const struct planner_flow *flow = &problem->flow;
    uint64_t at_limits = 0;
    uint64_t weights = 0;
    for (uint32_t node = flow->zone_first[zone]; node < flow->zone_first[zone + 1]; node++) {
        at_limits += problem->at_limit[node] ? problem->limit[node] : 0;
        weights += problem->at_limit[node] ? 0 : flow->members[node].weight;
    }
    return at_limits > cap || weights * pool->left > (cap - at_limits) * pool->weights;
}

static void find_shares(struct problem *problem, uint32_t slack)
{
    struct planner_flow *flow = &problem->flow;
    uint64_t cap = (uint64_t)flow->zone_cap * flow->shards;
    uint64_t replicas = (uint64_t)fits(flow, flow->zone_cap) * flow->shards;
    struct pool all = {.zone = flow->zones};
    for (uint32_t node = 0; node < flow->nodes; node++) {
        const struct moot_planner_member *member = &flow->members[node];
        uint32_t limit = member->replicas_max == 0 ? flow->shards : member->replicas_max;
        problem->limit[node] =
            member->weight == 0 ? 0 : (uint32_t)moot_min_u64(limit, flow->shards);
    }
    for (bool changed = true; changed;) {
        changed = false;
        fill(problem, &all, replicas);
        for (uint32_t zone = 0; zone < flow->zones; zone++) {
            /* A settled zone takes less than its weight says, so the others' rates only rise. */
            if (!problem->settled[zone] && zone_is_over(problem, &all, zone, cap)) {
                problem->settled[zone] = true;
                for (uint32_t node = flow->zone_first[zone]; node < flow->zone_first[zone + 1];
                     node++) {
                    problem->at_limit[node] = false;
                }
                struct pool own = {.zone = zone};
                fill(problem, &own, cap);
                set_quotas(problem, &own, slack);
                replicas -= cap;
                changed = true;
                break;
            }
        }
    }
    set_quotas(problem, &all, slack);
}

/* ---- the plan ---- */

/* Who stays keeps its place in the list; newcomers fill the gaps, lesser ids first. */
static void write_target(const struct problem *problem, const moot_node_id *old,
                         moot_node_id *target, struct moot_planner_summary *summary)
{
    const struct planner_flow *flow = &problem->flow;
    for (uint32_t shard = 0; shard < flow->shards; shard++) {
        const moot_node_id *had = &old[(size_t)shard * flow->replicas];
        moot_node_id *list = &target[(size_t)shard * flow->replicas];
        const uint8_t *state = &flow->state[(size_t)shard * flow->nodes];
        for (uint32_t i = 0; i < flow->replicas; i++) {
            uint32_t node = had[i] == 0 ? flow->nodes : place_of(problem, had[i]);
            bool stays = node < flow->nodes && (state[node] & PLANNER_IS_THERE) != 0;
            list[i] = stays ? had[i] : 0;
        }
        uint32_t gap = 0;
        for (uint32_t i = 0; i < flow->nodes; i++) {
            uint32_t node = problem->by_id[i];
            if (state[node] != PLANNER_IS_THERE) {
                continue;
            }
            while (list[gap] != 0) {
                gap += 1;
                MOOT_ASSERT(gap < flow->replicas);
            }
            list[gap] = flow->members[node].node;
            summary->copies += 1;
        }
    }
}

int moot_planner_solve(void *memory, const struct moot_planner_options *options,
                       const struct moot_planner_member *members, size_t member_count,
                       const moot_node_id *old, moot_node_id *target,
                       struct moot_planner_summary *summary)
{
    MOOT_ASSERT((uintptr_t)memory % 8 == 0);
    if (!options_are_valid(options, members, member_count)) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    struct problem problem;
    memset(memory, 0, moot_planner_size(options, members, member_count));
    (void)lay_out(&problem, memory, options, member_count, count_zones(members, member_count));
    struct planner_flow *flow = &problem.flow;
    sort_members(&problem, members);
    if (!mark_old(&problem, old)) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    flow->zone_cap = options->zone_cap > 0 ? options->zone_cap : least_zone_cap(flow);
    find_shares(&problem, options->slack);
    uint32_t placed = planner__flow(flow);
    *summary = (struct moot_planner_summary){.missing = flow->shards * flow->replicas - placed,
                                             .zone_cap = flow->zone_cap};
    for (uint32_t node = 0; node < flow->nodes; node++) {
        summary->unfair +=
            flow->load[node] < flow->low[node] ? flow->low[node] - flow->load[node] : 0;
    }
    write_target(&problem, old, target, summary);
    return MOOT_OK;
}
