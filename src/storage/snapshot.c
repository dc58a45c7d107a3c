#include "storage/snapshot.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/rule.h"
#include "base/status.h"

enum {
    VERSION = 1,
    FLAG_AT_END = 1,
    FLAGS_AT = 1,
    COUNT_AT = 2,
    HEAD_BYTES = 6,
    HASH_BYTES = 8,
    PAIR_BYTES_MAX = 20, /* Of the two lengths. */
    /* A physical key is a client's key, or an element's name, and what is put before and between
     * them; a stored value is a client's value with its head record. Both generously. */
    KEY_BYTES_MAX = 2 * MOOT_VALUE_MAX,
    VALUE_BYTES_MAX = 2 * MOOT_VALUE_MAX,
};

/* Appends pairs from where the iterator stands, and steps over them. */
static int append_pairs(const struct moot_store_ops *ops, struct moot_store_iterator *iterator,
                        size_t limit, struct moot_buffer *out, uint32_t *count, bool *at_end)
{
    for (*count = 0;; *count += 1) {
        struct moot_slice key, value;
        int status = ops->entry(iterator, &key, &value);
        if (status != MOOT_OK) {
            *at_end = status == MOOT_ENOTFOUND;
            return *at_end ? MOOT_OK : status;
        }
        MOOT_ASSERT(key.size > 0);
        bool fits = out->size + key.size + value.size + PAIR_BYTES_MAX <= limit;
        if ((*count > 0 && !fits) || *count == UINT32_MAX) {
            *at_end = false;
            return MOOT_OK;
        }
        moot_put_bytes(out, key);
        moot_put_bytes(out, value);
        status = ops->next(iterator);
        if (status != MOOT_OK) {
            return status;
        }
    }
}

int moot_snapshot_write(struct moot_store *store, struct moot_store_pin *pin,
                        struct moot_range range, size_t bytes_max, struct moot_buffer *out)
{
    MOOT_ASSERT(pin != NULL); /* Without one, two chunks would be of two moments. */
    struct moot_store_iterator *iterator;
    int status = store->ops->iterate(store, pin, range, false, &iterator);
    if (status != MOOT_OK) {
        return status;
    }
    size_t start = out->size;
    size_t limit = start + (bytes_max > HASH_BYTES ? bytes_max - HASH_BYTES : 0);
    moot_put_u8(out, VERSION);
    moot_put_u8(out, 0);
    moot_put_u32(out, 0);
    uint32_t count;
    bool at_end = false;
    status = append_pairs(store->ops, iterator, limit, out, &count, &at_end);
    store->ops->iterate_end(iterator);
    if (status != MOOT_OK) {
        out->size = start;
        return status;
    }
    MOOT_ASSERT(at_end || count > 0); /* Every chunk gets further. */
    out->data[start + FLAGS_AT] = at_end ? FLAG_AT_END : 0;
    moot_store_le32(out->data + start + COUNT_AT, count);
    struct moot_slice hashed = {out->data + start, out->size - start};
    moot_put_u64(out, moot_hash64(hashed, VERSION));
    MOOT_SOMETIMES(!at_end, "a snapshot takes more than one chunk");
    return MOOT_OK;
}

/* The next pair of bytes that are not trusted; false at the end and when something is wrong. */
static bool take_pair(struct moot_snapshot_reader *reader, struct moot_slice *key,
                      struct moot_slice *value)
{
    if (moot_reader_left(&reader->pairs) == 0) {
        return false;
    }
    *key = moot_get_bytes(&reader->pairs);
    *value = moot_get_bytes(&reader->pairs);
    if (reader->pairs.failed || key->size == 0 || key->size > KEY_BYTES_MAX ||
        value->size > VALUE_BYTES_MAX || moot_slice_compare(reader->last, *key) >= 0) {
        reader->failed = true;
        return false;
    }
    reader->last = *key;
    return true;
}

int moot_snapshot_read(struct moot_snapshot_reader *reader, struct moot_slice chunk)
{
    *reader = (struct moot_snapshot_reader){.failed = true};
    if (chunk.size == 0) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    if (chunk.data[0] > VERSION) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    if (chunk.data[0] != VERSION || chunk.size < HEAD_BYTES + HASH_BYTES) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    struct moot_slice hashed = {chunk.data, chunk.size - HASH_BYTES};
    uint64_t hash = moot_load_le64(chunk.data + hashed.size);
    if (!MOOT_RULE(snapshot_chunk_hash, moot_hash64(hashed, VERSION) == hash)) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    uint8_t flags = chunk.data[FLAGS_AT];
    struct moot_snapshot_reader fresh = {
        .pairs = moot_reader_make(
            (struct moot_slice){chunk.data + HEAD_BYTES, hashed.size - HEAD_BYTES}),
        .count = moot_load_le32(chunk.data + COUNT_AT),
        .at_end = (flags & FLAG_AT_END) != 0,
    };
    struct moot_snapshot_reader trial = fresh;
    struct moot_slice key, value;
    uint64_t count = 0;
    while (take_pair(&trial, &key, &value)) {
        count++;
    }
    if (trial.failed || count != fresh.count || (flags & ~FLAG_AT_END) != 0 ||
        (count == 0 && !fresh.at_end)) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    *reader = fresh;
    return MOOT_OK;
}

bool moot_snapshot_next(struct moot_snapshot_reader *reader, struct moot_slice *key,
                        struct moot_slice *value)
{
    if (reader->failed) {
        return false;
    }
    bool there = take_pair(reader, key, value);
    MOOT_ASSERT(!reader->failed); /* All of it was checked by moot_snapshot_read. */
    return there;
}

int moot_snapshot_resume(struct moot_slice chunk, struct moot_buffer *from, bool *at_end)
{
    struct moot_snapshot_reader reader;
    int status = moot_snapshot_read(&reader, chunk);
    if (status != MOOT_OK) {
        return status;
    }
    struct moot_slice key, value;
    while (moot_snapshot_next(&reader, &key, &value)) {
    }
    if (reader.count > 0) {
        moot_buffer_append_slice(from, reader.last);
        moot_put_u8(from, 0); /* The least key that is greater. */
    }
    *at_end = reader.at_end;
    return MOOT_OK;
}
