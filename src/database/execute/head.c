#include "database/execute/head.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"

enum {
    HEAD_VERSION = 1,
    COMMON_BYTES = 3 + 8 + 4 + 8,
    COLLECTION_BYTES = 3 * 8,
    LIST_BYTES = 2 * 8,
};

const char *moot_type_name(enum moot_type type)
{
    static const char *const names[] = {"none", "string", "list", "set", "zset", "hash", "stream"};
    MOOT_ASSERT((unsigned)type < MOOT_ARRAY_LEN(names));
    return names[type];
}

size_t moot_head_size(const struct moot_head *head)
{
    if (head->type == MOOT_TYPE_STRING) {
        return COMMON_BYTES + head->string.size;
    }
    return COMMON_BYTES + COLLECTION_BYTES + (head->type == MOOT_TYPE_LIST ? LIST_BYTES : 0);
}

void moot_head_write(const struct moot_head *head, uint8_t *at)
{
    MOOT_ASSERT(head->type > MOOT_TYPE_NONE);
    MOOT_ASSERT(head->type <= MOOT_TYPE_STREAM);
    at[0] = HEAD_VERSION;
    at[1] = (uint8_t)head->type;
    at[2] = 0; /* No flag has a meaning yet. */
    moot_store_le64(at + 3, head->stamp.time);
    moot_store_le32(at + 11, head->stamp.ordinal);
    moot_store_le64(at + 15, head->expiry_ms);
    at += COMMON_BYTES;
    if (head->type == MOOT_TYPE_STRING) {
        if (head->string.size > 0) {
            memcpy(at, head->string.data, head->string.size);
        }
        return;
    }
    moot_store_le64(at, head->incarnation);
    moot_store_le64(at + 8, head->count);
    moot_store_le64(at + 16, head->digest);
    if (head->type == MOOT_TYPE_LIST) {
        moot_store_le64(at + 24, (uint64_t)head->first);
        moot_store_le64(at + 32, (uint64_t)head->last);
    }
}

void moot_head_encode(const struct moot_head *head, struct moot_buffer *out)
{
    size_t size = moot_head_size(head);
    moot_head_write(head, moot_buffer_reserve(out, size));
    out->size += size;
}

int moot_head_decode(struct moot_slice bytes, struct moot_head *out)
{
    *out = (struct moot_head){0};
    if (bytes.size < COMMON_BYTES) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    const uint8_t *at = bytes.data;
    if (at[0] != HEAD_VERSION || at[2] != 0) {
        return MOOT_FAIL(MOOT_EVERSION); /* A flag that is not known changes what is meant. */
    }
    if (at[1] == MOOT_TYPE_NONE || at[1] > MOOT_TYPE_STREAM) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    out->type = (enum moot_type)at[1];
    out->stamp.time = moot_load_le64(at + 3);
    out->stamp.ordinal = moot_load_le32(at + 11);
    out->expiry_ms = moot_load_le64(at + 15);
    at += COMMON_BYTES;
    if (out->type == MOOT_TYPE_STRING) {
        out->string = (struct moot_slice){at, bytes.size - COMMON_BYTES};
        return MOOT_OK;
    }
    if (bytes.size != moot_head_size(out)) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    out->incarnation = moot_load_le64(at);
    out->count = moot_load_le64(at + 8);
    out->digest = moot_load_le64(at + 16);
    if (out->type == MOOT_TYPE_LIST) {
        out->first = (int64_t)moot_load_le64(at + 24);
        out->last = (int64_t)moot_load_le64(at + 32);
    }
    return MOOT_OK;
}
