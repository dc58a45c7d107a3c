#include "database/execute/key.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/limits.h"

enum {
    HEAD_MARK = 0,
    ELEMENT_MARK = 1,
    PLACE_BYTES = 2 + 4 + 2,             /* slot, print, size */
    DATA_PREFIX_BYTES = 3 + PLACE_BYTES, /* before the key */
    EXPIRY_PREFIX_BYTES = 11 + PLACE_BYTES,
};

_Static_assert(MOOT_KEY_MAX <= UINT16_MAX, "a key's size is kept in 16 bits");

static uint32_t key_print(struct moot_slice key) { return (uint32_t)moot_hash64(key, 0); }

/* slot, print, size and the key itself. */
static uint8_t *put_place(uint8_t *at, struct moot_slice key)
{
    moot_store_be16(at, moot_key_slot(key));
    moot_store_be32(at + 2, key_print(key));
    moot_store_be16(at + 6, (uint16_t)key.size);
    if (key.size > 0) {
        memcpy(at + PLACE_BYTES, key.data, key.size);
    }
    return at + PLACE_BYTES + key.size;
}

/* A data key up to its mark, with room for `extra` bytes after it. */
static struct moot_slice data_key(struct moot_arena *arena, moot_keyspace keyspace,
                                  struct moot_slice key, uint8_t mark, size_t extra)
{
    MOOT_ASSERT(key.size <= MOOT_KEY_MAX);
    size_t size = DATA_PREFIX_BYTES + key.size + 1 + extra;
    uint8_t *bytes = moot_arena_alloc(arena, size);
    bytes[0] = MOOT_KEY_DATA;
    moot_store_be16(bytes + 1, keyspace);
    *put_place(bytes + 3, key) = mark;
    return (struct moot_slice){bytes, size};
}

struct moot_slice moot_key_head(struct moot_arena *arena, moot_keyspace keyspace,
                                struct moot_slice key)
{
    return data_key(arena, keyspace, key, HEAD_MARK, 0);
}

struct moot_slice moot_key_elements(struct moot_arena *arena, moot_keyspace keyspace,
                                    struct moot_slice key, uint64_t incarnation)
{
    return moot_key_element(arena, keyspace, key, incarnation, (struct moot_slice){NULL, 0});
}

struct moot_slice moot_key_element(struct moot_arena *arena, moot_keyspace keyspace,
                                   struct moot_slice key, uint64_t incarnation,
                                   struct moot_slice element)
{
    struct moot_slice made = data_key(arena, keyspace, key, ELEMENT_MARK, 8 + element.size);
    uint8_t *at = (uint8_t *)made.data + made.size - 8 - element.size;
    moot_store_be64(at, incarnation);
    if (element.size > 0) {
        memcpy(at + 8, element.data, element.size);
    }
    return made;
}

struct moot_slice moot_key_expiry(struct moot_arena *arena, moot_keyspace keyspace,
                                  uint64_t expiry_ms, struct moot_slice key)
{
    MOOT_ASSERT(key.size <= MOOT_KEY_MAX);
    size_t size = EXPIRY_PREFIX_BYTES + key.size;
    uint8_t *bytes = moot_arena_alloc(arena, size);
    bytes[0] = MOOT_KEY_EXPIRY;
    moot_store_be16(bytes + 1, keyspace);
    moot_store_be64(bytes + 3, expiry_ms);
    (void)put_place(bytes + 11, key);
    return (struct moot_slice){bytes, size};
}

struct moot_slice moot_key_keyspace(struct moot_arena *arena, moot_keyspace keyspace, uint8_t kind,
                                    struct moot_slice rest)
{
    uint8_t *bytes = moot_arena_alloc(arena, 4 + rest.size);
    bytes[0] = MOOT_KEY_KEYSPACE;
    moot_store_be16(bytes + 1, keyspace);
    bytes[3] = kind;
    if (rest.size > 0) {
        memcpy(bytes + 4, rest.data, rest.size);
    }
    return (struct moot_slice){bytes, 4 + rest.size};
}

struct moot_slice moot_key_group(struct moot_arena *arena, moot_group_id group, uint8_t kind,
                                 struct moot_slice rest)
{
    uint8_t *bytes = moot_arena_alloc(arena, 6 + rest.size);
    bytes[0] = MOOT_KEY_GROUP;
    moot_store_be32(bytes + 1, group);
    bytes[5] = kind;
    if (rest.size > 0) {
        memcpy(bytes + 6, rest.data, rest.size);
    }
    return (struct moot_slice){bytes, 6 + rest.size};
}

struct moot_range moot_key_prefix_range(struct moot_arena *arena, struct moot_slice prefix)
{
    struct moot_slice end = moot_arena_copy(arena, prefix);
    uint8_t *bytes = (uint8_t *)end.data;
    while (end.size > 0 && bytes[end.size - 1] == 0xff) {
        end.size--;
    }
    MOOT_ASSERT(end.size > 0); /* Kinds are small: a physical key never starts with 0xff. */
    bytes[end.size - 1]++;
    return (struct moot_range){prefix, end};
}

struct moot_range moot_key_keyspace_range(struct moot_arena *arena, uint8_t kind,
                                          moot_keyspace keyspace)
{
    uint8_t *bytes = moot_arena_alloc(arena, 3);
    bytes[0] = kind;
    moot_store_be16(bytes + 1, keyspace);
    return moot_key_prefix_range(arena, (struct moot_slice){bytes, 3});
}

struct moot_range moot_key_kind_range(struct moot_arena *arena, uint8_t kind)
{
    return moot_key_prefix_range(arena,
                                 moot_arena_copy(arena, (struct moot_slice){&kind, sizeof(kind)}));
}

/* slot, print, size, key at `at`; false when they do not fit. */
static bool take_place(struct moot_slice bytes, size_t at, uint16_t *slot, uint32_t *print,
                       struct moot_slice *key)
{
    if (bytes.size < at + PLACE_BYTES) {
        return false;
    }
    *slot = moot_load_be16(bytes.data + at);
    *print = moot_load_be32(bytes.data + at + 2);
    size_t size = moot_load_be16(bytes.data + at + 6);
    if (size > MOOT_KEY_MAX || bytes.size - at - PLACE_BYTES < size) {
        return false;
    }
    *key = (struct moot_slice){bytes.data + at + PLACE_BYTES, size};
    return true;
}

bool moot_key_parse(struct moot_slice physical, struct moot_key_parts *out)
{
    *out = (struct moot_key_parts){0};
    if (physical.size < DATA_PREFIX_BYTES + 1 || physical.data[0] != MOOT_KEY_DATA) {
        return false;
    }
    out->keyspace = moot_load_be16(physical.data + 1);
    if (!take_place(physical, 3, &out->slot, &out->print, &out->key)) {
        return false;
    }
    size_t at = DATA_PREFIX_BYTES + out->key.size;
    if (physical.size <= at) {
        return false;
    }
    out->is_head = physical.data[at] == HEAD_MARK;
    if (out->is_head) {
        return physical.size == at + 1;
    }
    if (physical.data[at] != ELEMENT_MARK || physical.size < at + 9) {
        return false;
    }
    out->incarnation = moot_load_be64(physical.data + at + 1);
    out->element = (struct moot_slice){physical.data + at + 9, physical.size - at - 9};
    return true;
}

bool moot_key_parse_expiry(struct moot_slice physical, moot_keyspace *keyspace, uint64_t *expiry_ms,
                           struct moot_slice *key)
{
    uint16_t slot;
    uint32_t print;
    if (physical.size < EXPIRY_PREFIX_BYTES || physical.data[0] != MOOT_KEY_EXPIRY) {
        return false;
    }
    *keyspace = moot_load_be16(physical.data + 1);
    *expiry_ms = moot_load_be64(physical.data + 3);
    return take_place(physical, 11, &slot, &print, key) &&
           physical.size == EXPIRY_PREFIX_BYTES + key->size;
}

uint64_t moot_key_cursor_after(uint16_t slot, uint32_t print)
{
    MOOT_ASSERT(slot < MOOT_SLOTS);
    return ((uint64_t)slot << 32 | print) + 1;
}

struct moot_slice moot_key_cursor_start(struct moot_arena *arena, moot_keyspace keyspace,
                                        uint64_t cursor)
{
    /* A cursor comes from a client: one beyond the last slot is the end, not an overflow. */
    uint64_t place = moot_min_u64(cursor, (uint64_t)MOOT_SLOTS << 32);
    uint8_t *bytes = moot_arena_alloc(arena, 9);
    bytes[0] = MOOT_KEY_DATA;
    moot_store_be16(bytes + 1, keyspace);
    moot_store_be16(bytes + 3, (uint16_t)(place >> 32));
    moot_store_be32(bytes + 5, (uint32_t)place);
    return (struct moot_slice){bytes, 9};
}
