#include "database/group/long_read.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"
#include "database/group/group.h"
#include "storage/store_pinned.h"

struct moot_long_read moot_long_read_copy(const struct moot_long_read *read,
                                          struct moot_arena *arena)
{
    struct moot_long_read copy = *read;
    size_t size = sizeof(*read->items) * read->item_count;
    copy.batch = moot_arena_copy(arena, read->batch);
    copy.items = moot_arena_alloc(arena, size);
    memcpy((void *)copy.items, read->items, size);
    return copy;
}

/* The applied index that the store says it contains. */
static int read_index(struct moot_store *store, moot_group_id group, struct moot_arena *arena,
                      moot_index *index)
{
    struct moot_slice nothing = {NULL, 0}, value;
    *index = 0;
    int status = store->ops->get(store, moot_key_group(arena, group, GROUP_KIND_RECORD, nothing),
                                 arena, &value);
    if (status != 0) {
        return status == MOOT_ENOTFOUND ? 0 : status; /* Nothing was applied yet. */
    }
    struct moot_reader reader = moot_reader_make(value);
    if (moot_get_u8(&reader) != GROUP_RECORD_VERSION) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    *index = moot_get_u64(&reader);
    return reader.failed ? MOOT_FAIL(MOOT_ECORRUPT) : 0;
}

static int run_on(struct moot_engine *engine, const struct moot_long_read *read, moot_index index,
                  struct moot_buffer *out)
{
    struct moot_engine_run run = {.index = index,
                                  .now_ms = read->now_ms,
                                  .seed = read->seed,
                                  .is_read = true,
                                  .replies_max = read->replies_max,
                                  .elements = MOOT_LONG_READ_ELEMENTS_MAX,
                                  .only = read->items,
                                  .only_count = read->item_count,
                                  .only_rest = read->rest,
                                  .batch = read->batch,
                                  .replies = out};
    int status = moot_engine_run(engine, &run);
    if (status == MOOT_EDUE) {
        const struct moot_call_shared *shared = moot_engine_shared(engine);
        moot_put_u16(out, shared->due_keyspace);
        moot_put_bytes(out, shared->due_key);
    }
    return status;
}

int moot_long_read_run(struct moot_store *store, struct moot_store_pin *pin,
                       const struct moot_long_read *read, bool (*is_over)(void *over), void *over,
                       moot_index *index, struct moot_buffer *out)
{
    MOOT_ASSERT(read->item_count > 0 && read->item_count <= MOOT_LONG_READS_MAX);
    struct moot_store_pinned pinned;
    moot_store_pinned_init(&pinned, store, pin, is_over, over);
    struct moot_arena arena;
    moot_arena_init(&arena);
    int status = read_index(&pinned.base, read->group, &arena, index);
    moot_arena_deinit(&arena);
    if (status != 0) {
        return status;
    }
    struct moot_engine *engine = moot_engine_make_sized(&pinned.base, read->group, 0);
    status = run_on(engine, read, *index, out);
    MOOT_ASSERT(status != MOOT_EWOULDBLOCK);
    moot_engine_destroy(engine);
    return status;
}
