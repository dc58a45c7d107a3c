#include "sim/reference.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/status.h"
#include "database/execute/engine.h"
#include "storage/store_memory.h"

enum { FLUSH_EVERY = 64, RECENT_BYTES = 64 * 1024 };

struct sim_reference {
    struct moot_store *store;
    struct moot_engine *engine;
    moot_index index;
    struct moot_buffer scratch;
};

static struct sim_reference *make(void)
{
    struct sim_reference *reference = moot_alloc_zero(sizeof(*reference));
    reference->store = moot_store_memory_open(&(struct moot_store_memory_options){0});
    moot_buffer_init(&reference->scratch);
    return reference;
}

static void add_engine(struct sim_reference *reference)
{
    reference->engine = moot_engine_make_sized(reference->store, MOOT_GROUP_DB0, RECENT_BYTES);
    MOOT_ASSERT(moot_engine_status(reference->engine) == MOOT_OK);
}

struct sim_reference *sim_reference_make(void)
{
    struct sim_reference *reference = make();
    add_engine(reference);
    return reference;
}

void sim_reference_free(struct sim_reference *reference)
{
    if (reference == NULL) {
        return;
    }
    moot_engine_destroy(reference->engine);
    reference->store->ops->close(reference->store);
    moot_buffer_deinit(&reference->scratch);
    moot_free(reference);
}

static void write_batch(struct sim_reference *reference, struct moot_batch *batch)
{
    int status = reference->store->ops->write(reference->store, batch);
    MOOT_ASSERT(status == MOOT_OK); /* Memory does not fail. */
    moot_batch_deinit(batch);
}

static void flush(struct sim_reference *reference)
{
    struct moot_batch batch;
    moot_batch_init(&batch);
    moot_view_flush(moot_engine_view(reference->engine), &batch);
    write_batch(reference, &batch);
}

struct sim_reference *sim_reference_copy(struct sim_reference *reference)
{
    struct sim_reference *copy = make();
    struct moot_store *from = reference->store;
    struct moot_store_iterator *iterator;
    struct moot_batch batch;
    struct moot_slice key, value;
    flush(reference);
    moot_batch_init(&batch);
    int status = from->ops->iterate(from, NULL, (struct moot_range){0}, false, &iterator);
    MOOT_ASSERT(status == MOOT_OK);
    while (from->ops->entry(iterator, &key, &value) == MOOT_OK) {
        moot_batch_put(&batch, key, value);
        status = from->ops->next(iterator);
        MOOT_ASSERT(status == MOOT_OK || status == MOOT_ENOTFOUND);
    }
    from->ops->iterate_end(iterator);
    write_batch(copy, &batch);
    copy->index = reference->index;
    add_engine(copy);
    return copy;
}

void sim_reference_run(struct sim_reference *reference, struct moot_slice item,
                       struct moot_buffer *reply)
{
    struct moot_reader reader = moot_reader_make(item);
    struct moot_item decoded;
    bool whole = moot_item_next(&reader, &decoded);
    MOOT_ASSERT(whole && moot_reader_left(&reader) == 0); /* Its makers are in this folder. */
    uint64_t index = ++reference->index;
    moot_buffer_reset(&reference->scratch, MOOT_QUERY_MAX);
    struct moot_engine_run run = {.index = index,
                                  .stamp = {moot_hlc_pack(SIM_REFERENCE_NOW_MS, 0) + index, 0},
                                  .now_ms = SIM_REFERENCE_NOW_MS,
                                  .seed = index,
                                  .is_read = moot_item_is_read(&decoded),
                                  .batch = item,
                                  .replies = &reference->scratch};
    int status = moot_engine_run(reference->engine, &run);
    MOOT_ASSERT(status == MOOT_OK);
    moot_buffer_reset(reply, MOOT_QUERY_MAX);
    reader = moot_reader_make(moot_buffer_slice(&reference->scratch));
    moot_buffer_append_slice(reply, moot_get_bytes(&reader));
    MOOT_ASSERT(!reader.failed && moot_reader_left(&reader) == 0);
    if (index % FLUSH_EVERY == 0) {
        flush(reference);
    }
}

void sim_reference_ask(struct sim_reference *reference, uint8_t database,
                       const struct moot_slice *args, uint32_t argc, struct moot_buffer *reply)
{
    struct moot_buffer item;
    moot_buffer_init(&item);
    moot_item_put(&item, MOOT_ITEM_RESP3, database, (struct moot_slice){NULL, 0}, args, argc);
    sim_reference_run(reference, moot_buffer_slice(&item), reply);
    moot_buffer_deinit(&item);
}

static uint64_t hash_key(struct sim_reference *reference, uint8_t database, struct moot_slice key,
                         uint64_t hash)
{
    struct moot_slice asked[][4] = {
        {MOOT_SLICE_LITERAL("PEXPIRETIME"), key},
        {MOOT_SLICE_LITERAL("GET"), key},
        {MOOT_SLICE_LITERAL("HGETALL"), key},
        {MOOT_SLICE_LITERAL("LRANGE"), key, MOOT_SLICE_LITERAL("0"), MOOT_SLICE_LITERAL("-1")}};
    struct moot_buffer reply;
    moot_buffer_init(&reply);
    for (size_t i = 0; i < MOOT_ARRAY_LEN(asked); i++) {
        uint32_t argc = asked[i][2].size == 0 ? 2 : 4;
        sim_reference_ask(reference, database, asked[i], argc, &reply);
        hash = moot_hash64(moot_buffer_slice(&reply), hash);
    }
    moot_buffer_deinit(&reply);
    return hash;
}

uint64_t sim_reference_contents(struct sim_reference *reference, uint8_t first, uint8_t count)
{
    struct moot_slice all[] = {MOOT_SLICE_LITERAL("KEYS"), MOOT_SLICE_LITERAL("*")};
    struct moot_buffer reply;
    uint64_t hash = 0;
    moot_buffer_init(&reply);
    for (uint8_t database = first; database < first + count; database++) {
        sim_reference_ask(reference, database, all, 2, &reply);
        struct moot_resp_value head;
        size_t at, size;
        int status = moot_resp_read(moot_buffer_slice(&reply), &head, &at);
        MOOT_ASSERT(status == MOOT_OK && head.type == MOOT_RESP_ARRAY);
        hash = moot_hash_mix(hash, (uint64_t)head.integer);
        for (int64_t left = head.integer; left > 0; left--) {
            status =
                moot_resp_read(moot_slice_make(reply.data + at, reply.size - at), &head, &size);
            MOOT_ASSERT(status == MOOT_OK);
            hash = hash_key(reference, database, head.text, moot_hash64(head.text, hash));
            at += size;
        }
    }
    moot_buffer_deinit(&reply);
    return hash;
}
