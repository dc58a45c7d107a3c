/* A received snapshot chunk: arbitrary bytes are refused or read, and what is read is in order and
 * comes out again as it went in. The hash would hide everything behind it, so every second input
 * gets a good one. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/status.h"
#include "storage/snapshot.h"
#include "storage/store_memory.h"

static const struct moot_range ALL = {{NULL, 0}, {NULL, 0}};

static void read_and_write_again(struct moot_slice chunk)
{
    struct moot_snapshot_reader reader;
    if (moot_snapshot_read(&reader, chunk) != MOOT_OK) {
        MOOT_ASSERT(reader.failed);
        return;
    }
    struct moot_store *store = moot_store_memory_open(&(struct moot_store_memory_options){0});
    struct moot_batch batch;
    moot_batch_init(&batch);
    struct moot_slice key, value;
    bool at_end = reader.at_end;
    while (moot_snapshot_next(&reader, &key, &value)) {
        moot_batch_put(&batch, key, value);
    }
    MOOT_ASSERT(batch.count == reader.count);
    int status = store->ops->write(store, &batch);
    MOOT_ASSERT(status == MOOT_OK);

    struct moot_store_pin *pin = store->ops->pin(store);
    struct moot_buffer again;
    moot_buffer_init(&again);
    status = moot_snapshot_write(store, pin, ALL, SIZE_MAX, &again);
    MOOT_ASSERT(status == MOOT_OK);
    struct moot_snapshot_reader second;
    status = moot_snapshot_read(&second, moot_buffer_slice(&again));
    MOOT_ASSERT(status == MOOT_OK);
    MOOT_ASSERT(second.count == reader.count && second.at_end);
    /* Lengths have one shortest form, so only longer ones may differ. */
    MOOT_ASSERT(again.size <= chunk.size);
    MOOT_ASSERT(again.size < chunk.size || !at_end ||
                moot_slice_equal(moot_buffer_slice(&again), chunk));
    moot_buffer_deinit(&again);
    store->ops->unpin(store, pin);
    moot_batch_deinit(&batch);
    store->ops->close(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct moot_buffer chunk;
    moot_buffer_init(&chunk);
    moot_buffer_append(&chunk, data + 1, size - 1);
    if ((data[0] & 1) != 0) {
        moot_put_u64(&chunk, moot_hash64(moot_buffer_slice(&chunk), 1));
    }
    read_and_write_again(moot_buffer_slice(&chunk));
    moot_buffer_deinit(&chunk);
    return 0;
}
