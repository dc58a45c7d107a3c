/* The planner: twelve shards of two replicas on three nodes in three zones; a fourth node joins,
 * then node 1 leaves. Two copies at a time, one into each node. */
#include <stdio.h>
#include <stdlib.h>

#include "moot/planner.h"

enum { SHARDS = 12, REPLICAS = 2 };
static const struct moot_planner_options OPTIONS = {.shards = SHARDS, .replicas = REPLICAS};
static moot_node_id now[SHARDS * REPLICAS];

static int carry_out(const char *what, const struct moot_planner_member *members, size_t count)
{
    moot_node_id target[SHARDS * REPLICAS];
    struct moot_planner_summary summary;
    void *memory = malloc(moot_planner_size(&OPTIONS, members, count));
    int status = memory == NULL
                     ? -1
                     : moot_planner_solve(memory, &OPTIONS, members, count, now, target, &summary);
    free(memory);
    if (status != 0) {
        return status;
    }
    printf("%s: %u copies\n", what, summary.copies);
    const struct moot_planner_limits limits = {.moves_max = 2, .node_max = 1};
    for (uint32_t step = 1;; step++) {
        uint32_t scratch[12];
        struct moot_planner_move moves[2];
        size_t moved;
        status = moot_planner_step(&OPTIONS, members, count, now, target, &limits, scratch, moves,
                                   &moved);
        if (status != 0 || moved == 0) {
            return status;
        }
        printf("  step %2u:", step);
        for (size_t i = 0; i < moved; i++) {
            printf("  shard %2u: node %u copies to %u", moves[i].shard, moves[i].source,
                   moves[i].to);
            if (moves[i].from != 0) {
                printf(", then %u gives it up", moves[i].from);
            }
            moot_planner_apply(&OPTIONS, now, &moves[i]);
        }
        printf("\n");
    }
}

int main(void)
{
    struct moot_planner_member members[] = {
        {.node = 1, .zone = 1, .weight = 1},
        {.node = 2, .zone = 2, .weight = 1},
        {.node = 3, .zone = 3, .weight = 1},
        {.node = 4, .zone = 3, .weight = 1},
    };
    for (uint32_t i = 0; i < SHARDS * REPLICAS; i++) {
        now[i] = 1 + i % 3;
    }
    int status = carry_out("node 4 joins in zone 3", members, 4);
    members[0].weight = 0;
    if (status == 0) {
        status = carry_out("node 1 leaves", members, 4);
    }
    return status == 0 ? 0 : 1;
}
