/* A range map that follows its data: a shard grows, is cut between two keys, and joined again. */
#include <stdio.h>
#include <string.h>

#include "moot/range_map.h"

static struct moot_slice text(const char *s)
{
    return (struct moot_slice){(const uint8_t *)s, strlen(s)};
}

static void print_map(const struct moot_range_map *map)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const struct moot_key_range *range = &map->ranges[i];
        printf("  from %-8.*s shard %u, epoch %llu, %llu bytes\n",
               range->start_size == 0 ? 2 : range->start_size,
               range->start_size == 0 ? "\"\"" : (const char *)range->start, range->shard,
               (unsigned long long)range->epoch, (unsigned long long)range->bytes);
    }
}

int main(void)
{
    static struct moot_key_range ranges[8];
    const struct moot_range_policy policy = {1000, 1000, 400, 400};
    struct moot_range_map map;
    uint8_t cut[MOOT_RANGE_KEY_MAX];
    size_t size;
    moot_range_map_init(&map, ranges, 8, 1);
    ranges[0].bytes = 1500; /* As its replicas report. */
    struct moot_range_advice advice = moot_range_map_advise(&map, &policy, 0);
    if (advice.kind != MOOT_RANGE_SPLIT ||
        moot_range_separator(text("invoice:77"), text("order:1"), cut, &size) != 0 ||
        moot_range_map_split(&map, (struct moot_slice){cut, size}, 2) != 0) {
        return 1;
    }
    printf("1500 bytes are too many; cut between invoice:77 and order:1 at \"%.*s\":\n", (int)size,
           (const char *)cut);
    print_map(&map);
    printf("shard 1 of epoch 1 is asked for order:1: %s\n",
           moot_range_map_check(&map, text("order:1"), 1, 1) == 0 ? "served"
                                                                  : "refused, here is the map");
    ranges[0].bytes = 200;
    ranges[1].bytes = 100;
    advice = moot_range_map_advise(&map, &policy, 0);
    if (advice.kind != MOOT_RANGE_MERGE || moot_range_map_merge(&map, advice.shard) != 0) {
        return 1;
    }
    printf("both have shrunk, and are joined:\n");
    print_map(&map);
    return 0;
}
