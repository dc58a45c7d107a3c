/* Redis Cluster's slots: hash tags, and what moves when a fourth shard joins three. */
#include <stdio.h>
#include <string.h>

#include "moot/slot_map.h"

static void print_runs(const struct moot_slot_map *map)
{
    struct moot_slot_run run;
    for (uint32_t at = 0; moot_slot_map_run(map, at, &run); at = run.last + 1u) {
        printf("  %5u-%5u  shard %u\n", run.first, run.last, run.owner);
    }
}

int main(void)
{
    static const char *keys[] = {"foo", "{user7}.name", "{user7}.mail", "user7", "foo{}{bar}"};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(keys); i++) {
        struct moot_slice key = {(const uint8_t *)keys[i], strlen(keys[i])};
        printf("%-14s slot %u\n", keys[i], moot_key_slot(key));
    }
    static struct moot_slot_map map;
    static struct moot_slot_map old;
    struct moot_slot_share shares[] = {{1, 1}, {2, 1}, {3, 1}, {4, 1}};
    uint32_t counts[4];
    moot_slot_map_init(&map);
    if (moot_slot_map_balance(&map, shares, 3, counts) != 0) {
        return 1;
    }
    printf("\nthree shards:\n");
    print_runs(&map);
    old = map;
    if (moot_slot_map_balance(&map, shares, 4, counts) != 0) {
        return 1;
    }
    printf("\na fourth joins; these slots move, and no others:\n");
    struct moot_slot_move move;
    uint32_t moved = 0;
    for (uint32_t at = 0; moot_slot_map_move(&old, &map, at, &move); at = move.last + 1u) {
        printf("  %5u-%5u  from shard %u to %u\n", move.first, move.last, move.from, move.to);
        moved += move.last - move.first + 1u;
    }
    printf("%u slots; the newcomer's share is %u\n", moved, counts[3]);
    return 0;
}
