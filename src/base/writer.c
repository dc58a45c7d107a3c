#include "base/codec.h"

#include <string.h>

/* NULL, and the writer failed from now on, when fewer than `size` bytes are free. */
static uint8_t *claim(struct moot_writer *writer, size_t size)
{
    if (writer->failed || (size_t)(writer->end - writer->at) < size) {
        writer->failed = true;
        return NULL;
    }
    uint8_t *at = writer->at;
    writer->at += size;
    return at;
}

void moot_write_u8(struct moot_writer *writer, uint8_t v)
{
    uint8_t *at = claim(writer, 1);
    if (at != NULL) {
        at[0] = v;
    }
}

void moot_write_u16(struct moot_writer *writer, uint16_t v)
{
    uint8_t *at = claim(writer, 2);
    if (at != NULL) {
        at[0] = (uint8_t)v;
        at[1] = (uint8_t)(v >> 8);
    }
}

void moot_write_u32(struct moot_writer *writer, uint32_t v)
{
    uint8_t *at = claim(writer, 4);
    if (at != NULL) {
        moot_store_le32(at, v);
    }
}

void moot_write_u64(struct moot_writer *writer, uint64_t v)
{
    uint8_t *at = claim(writer, 8);
    if (at != NULL) {
        moot_store_le64(at, v);
    }
}

void moot_write_varint(struct moot_writer *writer, uint64_t v)
{
    size_t size = 1;
    for (uint64_t rest = v >> 7; rest > 0; rest >>= 7) {
        size += 1;
    }
    uint8_t *at = claim(writer, size);
    if (at == NULL) {
        return;
    }
    for (; size > 1; size--) {
        *at++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *at = (uint8_t)v;
}

void moot_write_raw(struct moot_writer *writer, struct moot_slice bytes)
{
    uint8_t *at = claim(writer, bytes.size);
    if (at != NULL && bytes.size > 0) {
        memcpy(at, bytes.data, bytes.size);
    }
}

void moot_write_bytes(struct moot_writer *writer, struct moot_slice bytes)
{
    moot_write_varint(writer, bytes.size);
    moot_write_raw(writer, bytes);
}
