/* Envelopes of log entries, and the bodies that a group reads itself: a configuration, keys to
 * expire. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/memory.h"
#include "base/status.h"
#include "database/execute/engine.h"
#include "database/group/entry.h"
#include "storage/store_memory.h"

static void members(struct moot_slice body)
{
    struct moot_reader reader = moot_reader_make(body);
    struct moot_members out, again;
    if (!moot_members_decode(&reader, &out)) {
        return;
    }
    struct moot_buffer bytes;
    moot_buffer_init(&bytes);
    moot_members_encode(&out, &bytes);
    size_t read = body.size - moot_reader_left(&reader);
    MOOT_ASSERT(moot_slice_equal(moot_buffer_slice(&bytes), (struct moot_slice){body.data, read}));
    reader = moot_reader_make(moot_buffer_slice(&bytes));
    MOOT_ASSERT(moot_members_decode(&reader, &again));
    moot_buffer_deinit(&bytes);
}

static void expire(const struct moot_entry *entry)
{
    struct moot_store_memory_options options = {1, 0};
    struct moot_store *store = moot_store_memory_open(&options);
    struct moot_engine *engine = moot_engine_make_sized(store, MOOT_GROUP_DB0, 0);
    struct moot_stamp stamp = {entry->stamp, 0};
    int status = moot_engine_expire(engine, 1, stamp, entry->body);
    MOOT_ASSERT(status == 0 || status == MOOT_EINVALID);
    moot_engine_destroy(engine);
    store->ops->close(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct moot_entry entry;
    struct moot_slice bytes = {data, size};
    int status = moot_entry_decode(bytes, &entry);
    MOOT_ASSERT(status == 0 || status == MOOT_EINVALID || status == MOOT_EVERSION);
    if (status != 0) {
        return 0;
    }
    uint8_t header[MOOT_ENTRY_HEADER_BYTES];
    moot_entry_put_header(header, &entry);
    MOOT_ASSERT(memcmp(header, data, sizeof(header)) == 0);
    MOOT_ASSERT(entry.body.size == size - sizeof(header));
    if (entry.kind == MOOT_ENTRY_MEMBERS) {
        members(entry.body);
    } else if (entry.kind == MOOT_ENTRY_EXPIRE) {
        expire(&entry);
    }
    return 0;
}
