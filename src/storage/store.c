#include "storage/store.h"

#include "base/assert.h"
#include "base/codec.h"

enum { BATCH_KEEP_BYTES = 4 * 1024 * 1024 }; /* A turn's batch; what is larger is given back. */

void moot_batch_init(struct moot_batch *batch)
{
    moot_buffer_init(&batch->bytes);
    batch->count = 0;
}

void moot_batch_deinit(struct moot_batch *batch)
{
    moot_buffer_deinit(&batch->bytes);
    batch->count = 0;
}

void moot_batch_reset(struct moot_batch *batch)
{
    moot_buffer_reset(&batch->bytes, BATCH_KEEP_BYTES);
    batch->count = 0;
}

void moot_batch_put(struct moot_batch *batch, struct moot_slice key, struct moot_slice value)
{
    MOOT_ASSERT(key.size > 0);
    moot_put_u8(&batch->bytes, MOOT_BATCH_PUT);
    moot_put_bytes(&batch->bytes, key);
    moot_put_bytes(&batch->bytes, value);
    batch->count++;
}

void moot_batch_delete(struct moot_batch *batch, struct moot_slice key)
{
    MOOT_ASSERT(key.size > 0);
    moot_put_u8(&batch->bytes, MOOT_BATCH_DELETE);
    moot_put_bytes(&batch->bytes, key);
    batch->count++;
}

void moot_batch_delete_range(struct moot_batch *batch, struct moot_slice from, struct moot_slice to)
{
    MOOT_ASSERT(to.size > 0); /* "To the end of the store" is never meant by a delete. */
    if (moot_slice_compare(from, to) >= 0) {
        return; /* Nothing lies in it; RocksDB would refuse the whole batch. */
    }
    moot_put_u8(&batch->bytes, MOOT_BATCH_DELETE_RANGE);
    moot_put_bytes(&batch->bytes, from);
    moot_put_bytes(&batch->bytes, to);
    batch->count++;
}

bool moot_batch_next(struct moot_reader *reader, enum moot_batch_op *op, struct moot_slice *key,
                     struct moot_slice *value)
{
    if (reader->failed || moot_reader_left(reader) == 0) {
        return false;
    }
    uint8_t kind = moot_get_u8(reader);
    if (kind != MOOT_BATCH_PUT && kind != MOOT_BATCH_DELETE && kind != MOOT_BATCH_DELETE_RANGE) {
        reader->failed = true;
        return false;
    }
    *op = (enum moot_batch_op)kind;
    *key = moot_get_bytes(reader);
    *value = kind == MOOT_BATCH_DELETE ? (struct moot_slice){NULL, 0} : moot_get_bytes(reader);
    if (kind != MOOT_BATCH_DELETE_RANGE && key->size == 0) {
        reader->failed = true; /* The empty key is no key: ranges begin there. */
    }
    if (kind == MOOT_BATCH_DELETE_RANGE && moot_slice_compare(*key, *value) >= 0) {
        reader->failed = true;
    }
    return !reader->failed;
}

bool moot_batch_covers(const struct moot_batch *batch, struct moot_slice key)
{
    struct moot_reader reader = moot_reader_make(moot_buffer_slice(&batch->bytes));
    enum moot_batch_op op;
    struct moot_slice from, to;
    while (moot_batch_next(&reader, &op, &from, &to)) {
        if (op == MOOT_BATCH_DELETE_RANGE && moot_slice_compare(from, key) <= 0 &&
            moot_slice_compare(key, to) < 0) {
            return true;
        }
    }
    return false;
}
