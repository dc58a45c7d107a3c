/* Encodings shared by everything that leaves a process: little-endian integers, varints and
 * length-prefixed bytes; big-endian where bytes must sort as numbers (keys).
 *
 * A reader never runs past its end: the first short read sets `failed`, and from then on every read
 * gives zeros. Check `failed` once, at the end. */
#ifndef MOOT_BASE_CODEC_H
#define MOOT_BASE_CODEC_H

#include "base/buffer.h"

/* Byte by byte and without loops: compilers make one instruction of it. */
static inline void moot_store_le32(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)v;
    at[1] = (uint8_t)(v >> 8);
    at[2] = (uint8_t)(v >> 16);
    at[3] = (uint8_t)(v >> 24);
}
static inline void moot_store_le64(uint8_t *at, uint64_t v)
{
    moot_store_le32(at, (uint32_t)v);
    moot_store_le32(at + 4, (uint32_t)(v >> 32));
}
static inline uint32_t moot_load_le32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}
static inline uint64_t moot_load_le64(const uint8_t *at)
{
    return (uint64_t)moot_load_le32(at) | (uint64_t)moot_load_le32(at + 4) << 32;
}
static inline void moot_store_be16(uint8_t *at, uint16_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}
static inline void moot_store_be32(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 24);
    at[1] = (uint8_t)(v >> 16);
    at[2] = (uint8_t)(v >> 8);
    at[3] = (uint8_t)v;
}
static inline void moot_store_be64(uint8_t *at, uint64_t v)
{
    moot_store_be32(at, (uint32_t)(v >> 32));
    moot_store_be32(at + 4, (uint32_t)v);
}
static inline uint16_t moot_load_be16(const uint8_t *at)
{
    return (uint16_t)((uint16_t)at[0] << 8 | at[1]);
}
static inline uint32_t moot_load_be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | (uint32_t)at[3];
}
static inline uint64_t moot_load_be64(const uint8_t *at)
{
    return (uint64_t)moot_load_be32(at) << 32 | moot_load_be32(at + 4);
}

void moot_put_u8(struct moot_buffer *out, uint8_t v);
void moot_put_u16(struct moot_buffer *out, uint16_t v);
void moot_put_u32(struct moot_buffer *out, uint32_t v);
void moot_put_u64(struct moot_buffer *out, uint64_t v);
/* LEB128, 1 to 10 bytes. */
void moot_put_varint(struct moot_buffer *out, uint64_t v);
/* A varint length, then the bytes. */
void moot_put_bytes(struct moot_buffer *out, struct moot_slice bytes);

/* Writes into memory of the caller's, for modules that own none. Like the reader: the first value
 * that does not fit sets `failed`, and nothing more is written. Check `failed` once, at the end. */
struct moot_writer {
    uint8_t *at;        /* private */
    const uint8_t *end; /* private */
    bool failed;        /* read-only */
};

static inline struct moot_writer moot_writer_make(uint8_t *out, size_t size)
{
    return (struct moot_writer){out, out == NULL ? NULL : out + size, false};
}
void moot_write_u8(struct moot_writer *writer, uint8_t v);
void moot_write_u16(struct moot_writer *writer, uint16_t v);
void moot_write_u32(struct moot_writer *writer, uint32_t v);
void moot_write_u64(struct moot_writer *writer, uint64_t v);
void moot_write_varint(struct moot_writer *writer, uint64_t v);
void moot_write_raw(struct moot_writer *writer, struct moot_slice bytes);
/* A varint length, then the bytes. */
void moot_write_bytes(struct moot_writer *writer, struct moot_slice bytes);

struct moot_reader {
    const uint8_t *at;  /* private */
    const uint8_t *end; /* private */
    bool failed;        /* read-only */
};

static inline struct moot_reader moot_reader_make(struct moot_slice bytes)
{
    return (struct moot_reader){bytes.data, bytes.data == NULL ? NULL : bytes.data + bytes.size,
                                false};
}
static inline size_t moot_reader_left(const struct moot_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}
uint8_t moot_get_u8(struct moot_reader *reader);
uint16_t moot_get_u16(struct moot_reader *reader);
uint32_t moot_get_u32(struct moot_reader *reader);
uint64_t moot_get_u64(struct moot_reader *reader);
uint64_t moot_get_varint(struct moot_reader *reader);
/* A view into the reader's bytes: valid as long as they are. */
struct moot_slice moot_get_bytes(struct moot_reader *reader);
struct moot_slice moot_get_raw(struct moot_reader *reader, size_t size);

#endif
