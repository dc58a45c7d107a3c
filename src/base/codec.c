#include "base/codec.h"

/* There mostly is room. */
static inline uint8_t *room(struct moot_buffer *out, size_t size)
{
    return out->capacity - out->size >= size ? out->data + out->size
                                             : moot_buffer_reserve(out, size);
}

void moot_put_u8(struct moot_buffer *out, uint8_t v)
{
    *room(out, 1) = v;
    out->size += 1;
}

void moot_put_u16(struct moot_buffer *out, uint16_t v)
{
    uint8_t *at = room(out, 2);
    at[0] = (uint8_t)v;
    at[1] = (uint8_t)(v >> 8);
    out->size += 2;
}

void moot_put_u32(struct moot_buffer *out, uint32_t v)
{
    moot_store_le32(room(out, 4), v);
    out->size += 4;
}

void moot_put_u64(struct moot_buffer *out, uint64_t v)
{
    moot_store_le64(room(out, 8), v);
    out->size += 8;
}

void moot_put_varint(struct moot_buffer *out, uint64_t v)
{
    uint8_t *at = room(out, 10);
    size_t size = 0;
    while (v >= 0x80) {
        at[size++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    at[size++] = (uint8_t)v;
    out->size += size;
}

void moot_put_bytes(struct moot_buffer *out, struct moot_slice bytes)
{
    moot_put_varint(out, bytes.size);
    moot_buffer_append_slice(out, bytes);
}

/* NULL, and the reader failed from now on, when fewer than `size` bytes are left. */
static const uint8_t *take(struct moot_reader *reader, size_t size)
{
    if (reader->failed || moot_reader_left(reader) < size) {
        reader->failed = true;
        reader->at = reader->end;
        return NULL;
    }
    const uint8_t *at = reader->at;
    reader->at += size;
    return at;
}

uint8_t moot_get_u8(struct moot_reader *reader)
{
    const uint8_t *at = take(reader, 1);
    return at == NULL ? 0 : *at;
}

uint16_t moot_get_u16(struct moot_reader *reader)
{
    const uint8_t *at = take(reader, 2);
    return at == NULL ? 0 : (uint16_t)((uint32_t)at[0] | (uint32_t)at[1] << 8);
}

uint32_t moot_get_u32(struct moot_reader *reader)
{
    const uint8_t *at = take(reader, 4);
    return at == NULL ? 0 : moot_load_le32(at);
}

uint64_t moot_get_u64(struct moot_reader *reader)
{
    const uint8_t *at = take(reader, 8);
    return at == NULL ? 0 : moot_load_le64(at);
}

uint64_t moot_get_varint(struct moot_reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = moot_get_u8(reader);
        uint64_t part = byte & 0x7f;
        if (shift == 63 && part > 1) {
            break; /* More than 64 bits. */
        }
        value |= part << shift;
        if ((byte & 0x80) == 0) {
            return reader->failed ? 0 : value;
        }
    }
    reader->failed = true;
    return 0;
}

struct moot_slice moot_get_raw(struct moot_reader *reader, size_t size)
{
    const uint8_t *at = take(reader, size);
    return at == NULL ? (struct moot_slice){NULL, 0} : (struct moot_slice){at, size};
}

struct moot_slice moot_get_bytes(struct moot_reader *reader)
{
    uint64_t size = moot_get_varint(reader);
    if (size > moot_reader_left(reader)) {
        reader->failed = true;
        return (struct moot_slice){NULL, 0};
    }
    return moot_get_raw(reader, (size_t)size);
}
