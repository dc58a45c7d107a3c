/* The range map: an ordered key space cut into shards, with split and merge.
 *
 * Intuition: a shelf of encyclopaedia volumes. "A-Ca", "Cb-F", ...: each volume begins where the
 * one before ends, so it is enough to remember the beginnings, sorted; a word's volume is the last
 * one that does not begin after it. A volume that grows too thick is bound as two (one new
 * beginning), two thin neighbours as one (a beginning is forgotten). Nothing else on the shelf
 * changes: that is why ranges can follow the data, where hash partitions cannot. (Chang and others:
 * "Bigtable", 2006, sections 5.1 and 5.2: tablets.)
 *
 * Epochs: each split and merge gives the ranges it makes an epoch greater than any of those they
 * come from. A request names (shard, epoch) as its sender knew it; who has a later one answers with
 * the map instead of serving a key that is no longer its own. Epochs, not clocks, decide.
 *
 * Beginnings are at most MOOT_RANGE_KEY_MAX bytes: a cut need not be a key. moot_range_separator
 * gives the shortest cut between two keys (as B-trees truncate; Bayer and Unterauer 1977). The map
 * is plain memory of the caller's; which node holds a shard is the planner's business (planner.h).
 */
#ifndef MOOT_RANGE_MAP_H
#define MOOT_RANGE_MAP_H

#include "moot/placement.h"

enum { MOOT_RANGE_KEY_MAX = 64, MOOT_RANGES_MAX = 1 << 20 };

struct moot_key_range {
    uint8_t start[MOOT_RANGE_KEY_MAX]; /* The first key it may hold. The first range's is empty. */
    uint8_t start_size;
    uint32_t shard; /* Not 0, and of one range only. */
    uint64_t epoch;
    uint64_t bytes, load; /* As last reported; a split gives half to each. */
};

/* Complete so that it can be embedded. Invariant: at least one range, the first starts at the empty
 * key, starts rise strictly, shards differ. */
struct moot_range_map {
    struct moot_key_range *ranges; /* read-only: `count` of them, in order */
    uint32_t count;                /* read-only */
    uint32_t capacity;             /* private */
};

/* All keys in one shard, epoch 1. `ranges` is the caller's, and outlives the map. */
void moot_range_map_init(struct moot_range_map *map, struct moot_key_range *ranges,
                         uint32_t capacity, uint32_t shard);
/* The place of the range that a key is in. */
uint32_t moot_range_map_find(const struct moot_range_map *map, struct moot_slice key);
/* The place of a shard's range, or map->count. */
uint32_t moot_range_map_place(const struct moot_range_map *map, uint32_t shard);
/* May `shard`, known under `epoch`, serve the key? MOOT_OK, or MOOT_EREFUSED: send the map. */
int moot_range_map_check(const struct moot_range_map *map, struct moot_slice key, uint32_t shard,
                         uint64_t epoch) MOOT_MUST_USE;
/* The range that contains `at` ends there, and a new one, `shard`, begins. MOOT_EINVALID: a range
 * begins at `at` already, `at` is too long, or the shard is 0 or in use; MOOT_ELIMIT: no room. */
int moot_range_map_split(struct moot_range_map *map, struct moot_slice at,
                         uint32_t shard) MOOT_MUST_USE;
/* `shard` takes over its right neighbour, whose shard is gone. MOOT_ENOTFOUND: no such shard, or it
 * is the last one. */
int moot_range_map_merge(struct moot_range_map *map, uint32_t shard) MOOT_MUST_USE;
/* The shortest key s with a < s <= b: where to cut between two neighbouring keys. Returns its size.
 * MOOT_EINVALID: not a < b; MOOT_ELIMIT: they agree in MOOT_RANGE_KEY_MAX bytes. */
int moot_range_separator(struct moot_slice a, struct moot_slice b, uint8_t out[MOOT_RANGE_KEY_MAX],
                         size_t *size) MOOT_MUST_USE;

/* When to cut and when to join. A merge makes no more than half of what would be split, or the two
 * would alternate. */
struct moot_range_policy {
    uint64_t split_bytes, split_load; /* More than either: split. */
    uint64_t merge_bytes, merge_load; /* Two neighbours with less than both together: merge. */
};
enum moot_range_advice_kind { MOOT_RANGE_KEEP, MOOT_RANGE_SPLIT, MOOT_RANGE_MERGE };
struct moot_range_advice {
    enum moot_range_advice_kind kind;
    uint32_t shard; /* To be split, or to take over its right neighbour. */
    uint32_t place;
};
bool moot_range_policy_is_valid(const struct moot_range_policy *policy);
/* The first advice at or after `from`; KEEP when there is none. */
struct moot_range_advice moot_range_map_advise(const struct moot_range_map *map,
                                               const struct moot_range_policy *policy,
                                               uint32_t from);

/* All invariants; aborts by assertion. */
void moot_range_map_check_all(const struct moot_range_map *map);

/* Version and the ranges. MOOT_ELIMIT: `out` is too small. */
int moot_range_map_encode(const struct moot_range_map *map, uint8_t *out, size_t size,
                          size_t *used) MOOT_MUST_USE;
/* Into a map that init has made. MOOT_EVERSION, MOOT_EINVALID, MOOT_ELIMIT when its array is too
 * small; after a failure all keys are in shard 1. */
int moot_range_map_decode(struct moot_range_map *map, struct moot_slice bytes) MOOT_MUST_USE;

#endif
