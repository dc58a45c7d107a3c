/* The layout of physical keys: the one place that knows it.
 *
 *   01 group(4) 00                                  the group's record (group/record.h)
 *   01 group(4) kind(1) ...                         its other records: edge streams; of the engine
 *                                                   'e' state, 'g' garbage, 'i' and 'j' client ids
 *   02 keyspace(2) PLACE 00                         a key's head
 *   02 keyspace(2) PLACE 01 incarnation(8) ...      an element of that incarnation
 *   03 keyspace(2) expiry(8) PLACE                  the time-ordered index of what will expire
 *   04 keyspace(2) kind(1) ...                      a keyspace's own records: 'n' number of keys,
 *                                                   'd' and 'f' deletion stamps
 *   where PLACE is slot(2) print(4) size(2) key
 *
 * Numbers are big-endian, so that keys sort. `slot` is Redis' slot; `print` is a 32-bit hash of the
 * key: it makes the order within a slot stable and short enough for SCAN's cursor (slot and print
 * together are 46 bits, exact in every client's number type). No group or shard id is part of a
 * data key: splitting, merging and moving are metadata. */
#ifndef MOOT_DATABASE_EXECUTE_KEY_H
#define MOOT_DATABASE_EXECUTE_KEY_H

#include "base/memory.h"
#include "moot/base.h"
#include "storage/store.h"

enum {
    MOOT_KEY_GROUP = 1,
    MOOT_KEY_DATA = 2,
    MOOT_KEY_EXPIRY = 3,
    MOOT_KEY_KEYSPACE = 4,
};

/* A keyspace as keys name it: its place (below MOOT_DATABASES: SWAPDB exchanges places) and, above
 * MOOT_PLACE_BITS, a generation: FLUSHDB gives the place a new one and leaves the old to be
 * collected (command/garbage.c). So the keys of a group lie in *all* keyspaces: ask for them with
 * moot_key_kind_range. */
typedef uint16_t moot_keyspace;
enum { MOOT_PLACE_BITS = 4, MOOT_PLACES = 1 << MOOT_PLACE_BITS };
static inline uint16_t moot_keyspace_place(moot_keyspace keyspace)
{
    return keyspace & (MOOT_PLACES - 1);
}

/* All are made in the arena. */
struct moot_slice moot_key_head(struct moot_arena *arena, moot_keyspace keyspace,
                                struct moot_slice key);
/* The prefix of one incarnation's elements, and one element. */
struct moot_slice moot_key_elements(struct moot_arena *arena, moot_keyspace keyspace,
                                    struct moot_slice key, uint64_t incarnation);
struct moot_slice moot_key_element(struct moot_arena *arena, moot_keyspace keyspace,
                                   struct moot_slice key, uint64_t incarnation,
                                   struct moot_slice element);
struct moot_slice moot_key_expiry(struct moot_arena *arena, moot_keyspace keyspace,
                                  uint64_t expiry_ms, struct moot_slice key);
struct moot_slice moot_key_keyspace(struct moot_arena *arena, moot_keyspace keyspace, uint8_t kind,
                                    struct moot_slice rest);
struct moot_slice moot_key_group(struct moot_arena *arena, moot_group_id group, uint8_t kind,
                                 struct moot_slice rest); /* kind 0: the record */
/* [prefix, end of everything that starts with it) */
struct moot_range moot_key_prefix_range(struct moot_arena *arena, struct moot_slice prefix);
/* All of one keyspace, or of every keyspace, of the given kind (DATA, EXPIRY, KEYSPACE). */
struct moot_range moot_key_keyspace_range(struct moot_arena *arena, uint8_t kind,
                                          moot_keyspace keyspace);
struct moot_range moot_key_kind_range(struct moot_arena *arena, uint8_t kind);

/* Takes a physical data key apart; false when it is not one. */
struct moot_key_parts {
    moot_keyspace keyspace;
    uint16_t slot;
    uint32_t print;
    struct moot_slice key;
    bool is_head;
    uint64_t incarnation; /* of an element */
    struct moot_slice element;
};
bool moot_key_parse(struct moot_slice physical, struct moot_key_parts *out);
/* Of an expiry index key: when, and which key. */
bool moot_key_parse_expiry(struct moot_slice physical, moot_keyspace *keyspace, uint64_t *expiry_ms,
                           struct moot_slice *key);

/* SCAN: a cursor is slot * 2^32 + print + 1, and 0 at the start and at the end. */
uint64_t moot_key_cursor_after(uint16_t slot, uint32_t print);
struct moot_slice moot_key_cursor_start(struct moot_arena *arena, moot_keyspace keyspace,
                                        uint64_t cursor);

#endif
