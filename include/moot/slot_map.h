/* The slot map: Redis Cluster's 16,384 slots and who owns each.
 *
 * Intuition: between keys and shards lies a fixed number of boxes. Which box a key is in never
 * changes (moot_key_slot, in hash.h: CRC16 of the key, or of the part in braces, modulo 16,384);
 * which shard has the box is a table. So clients can compute the box alone, keys in one box move
 * together, "{user7}.name" and "{user7}.mail" are always on one shard, and a plan of moves is a
 * list of boxes rather than of arcs of a hash circle. (Redis cluster specification, "Key
 * distribution model" and "Hash tags"; Dynamo 2007, section 6.2, strategy 3: equal partitions are
 * why balance no longer depends on luck.)
 *
 * The hash tag rule exactly: the part between the first { and the first } after it; when that part
 * is empty, or a brace is missing, the whole key.
 *
 * A map is a plain value of 64 KiB in the caller's memory: copied, compared and hashed as such.
 * Owners are shards, groups or nodes: any number; 0 is nobody. The epoch grows with each change
 * that was decided elsewhere; a request made under an older epoch is answered with this map. */
#ifndef MOOT_SLOT_MAP_H
#define MOOT_SLOT_MAP_H

#include "moot/placement.h"

struct moot_slot_map {
    uint64_t epoch;
    uint32_t owner[MOOT_SLOTS]; /* read-only; 0: nobody */
};

/* A run of neighbouring slots with one owner: what CLUSTER SLOTS lists. */
struct moot_slot_run {
    uint16_t first, last; /* Both included. */
    uint32_t owner;
};
/* A run whose owner changes between two maps. */
struct moot_slot_move {
    uint16_t first, last;
    uint32_t from, to;
};

/* Owner and share: weights are relative, as everywhere. */
struct moot_slot_share {
    uint32_t owner; /* Not 0. */
    uint32_t weight;
};

void moot_slot_map_init(struct moot_slot_map *map);
static inline uint32_t moot_slot_map_owner(const struct moot_slot_map *map, struct moot_slice key)
{
    return map->owner[moot_key_slot(key)];
}
/* Slots first to last, both included, get an owner. MOOT_EINVALID: last is no slot, or precedes
 * first. */
int moot_slot_map_assign(struct moot_slot_map *map, uint16_t first, uint16_t last,
                         uint32_t owner) MOOT_MUST_USE;
/* How many slots an owner has; owner 0 counts those that nobody has. */
uint32_t moot_slot_map_count(const struct moot_slot_map *map, uint32_t owner);
/* The run that begins at slot `from`; false at the end. Runs of owner 0 are listed too. */
bool moot_slot_map_run(const struct moot_slot_map *map, uint32_t from, struct moot_slot_run *out);
/* The first run at or after slot `from` that moves between two maps; false when there is none. */
bool moot_slot_map_move(const struct moot_slot_map *old, const struct moot_slot_map *fresh,
                        uint32_t from, struct moot_slot_move *out);

enum { MOOT_SLOT_OWNERS_MAX = 4096 };
/* Deal the slots in proportion to weights: each owner gets its exact share, rounded down or up (by
 * largest remainder, then by who exceeds it most already, then by the lesser id), and no slot moves
 * that need not: the number of moves is the least possible, the sum of what each owner has too
 * little. Slots leave from the end of what an owner has. Owners not listed, or of weight 0, end
 * with none. The epoch stays. MOOT_EINVALID: an owner is 0 or listed twice, or no weight is above
 * 0; MOOT_ELIMIT: more than MOOT_SLOT_OWNERS_MAX. `scratch` has room for `count` numbers: it gets
 * each one's share.
 */
int moot_slot_map_balance(struct moot_slot_map *map, const struct moot_slot_share *shares,
                          size_t count, uint32_t *scratch) MOOT_MUST_USE;

enum { MOOT_SLOT_MAP_BYTES_MAX = 16 + 8 * MOOT_SLOTS };
/* Version, epoch, and the runs: (length, owner). MOOT_ELIMIT: `out` is too small. */
int moot_slot_map_encode(const struct moot_slot_map *map, uint8_t *out, size_t size,
                         size_t *used) MOOT_MUST_USE;
/* MOOT_EVERSION, MOOT_EINVALID; after a failure nobody owns anything. */
int moot_slot_map_decode(struct moot_slot_map *map, struct moot_slice bytes) MOOT_MUST_USE;

#endif
