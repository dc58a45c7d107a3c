/* Physical keys, as a store or a snapshot gives them: what can be taken apart is put together again
 * to the same bytes. */
#include "base/assert.h"
#include "base/memory.h"
#include "database/execute/key.h"

static void data_key(struct moot_slice physical, struct moot_arena *arena)
{
    struct moot_key_parts parts;
    if (!moot_key_parse(physical, &parts)) {
        return;
    }
    struct moot_slice again = parts.is_head ? moot_key_head(arena, parts.keyspace, parts.key)
                                            : moot_key_element(arena, parts.keyspace, parts.key,
                                                               parts.incarnation, parts.element);
    struct moot_key_parts placed;
    MOOT_ASSERT(again.size == physical.size && moot_key_parse(again, &placed));
    /* The place is a function of the key; one that contradicts it is read, and never written. */
    bool right = placed.slot == parts.slot && placed.print == parts.print;
    MOOT_ASSERT(right == moot_slice_equal(again, physical));
}

static void expiry_key(struct moot_slice physical, struct moot_arena *arena)
{
    moot_keyspace keyspace;
    uint64_t expiry_ms;
    struct moot_slice key;
    if (moot_key_parse_expiry(physical, &keyspace, &expiry_ms, &key)) {
        MOOT_ASSERT(moot_key_expiry(arena, keyspace, expiry_ms, key).size == physical.size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct moot_arena arena;
    struct moot_slice physical = {data, size};
    moot_arena_init(&arena);
    data_key(physical, &arena);
    expiry_key(physical, &arena);
    if (size >= 8) {
        uint64_t cursor;
        memcpy(&cursor, data, 8);
        struct moot_slice start = moot_key_cursor_start(&arena, 0, cursor);
        MOOT_ASSERT(start.size == 9);
    }
    moot_arena_deinit(&arena);
    return 0;
}
