#include "replay/stream.h"

#include <lz4.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/slice.h"
#include "base/status.h"

enum {
    FILE_VERSION = 1,
    CHUNK_MAGIC = 0x6b6e6863, /* "chnk" */
    CODEC_RAW = 0,
    CODEC_LZ4 = 1,
    /* LZ4 writes at most 255 bytes for one. */
    EXPANSION_MAX = 255,
    EXPANSION_SLACK = 64,
};

static const char FILE_MAGIC[8] = "mootrec";

void moot_replay_file_header(struct moot_buffer *out)
{
    moot_buffer_append(out, FILE_MAGIC, sizeof(FILE_MAGIC));
    moot_put_u32(out, FILE_VERSION);
    moot_put_u32(out, 0);
}

/* magic, number, raw size, stored size, codec, body's hash (8), header's hash */
void moot_replay_chunk(uint64_t number, struct moot_slice records, struct moot_buffer *out)
{
    MOOT_ASSERT(records.size > 0 && records.size <= MOOT_REPLAY_CHUNK_MAX);
    size_t begin = out->size;
    int bound = LZ4_compressBound((int)records.size);
    uint8_t *header = moot_buffer_reserve(out, MOOT_REPLAY_CHUNK_HEADER_BYTES + (size_t)bound);
    uint8_t *body = header + MOOT_REPLAY_CHUNK_HEADER_BYTES;
    int packed =
        LZ4_compress_default((const char *)records.data, (char *)body, (int)records.size, bound);
    bool pays = packed > 0 && (size_t)packed < records.size;
    size_t stored = pays ? (size_t)packed : records.size;
    if (!pays) {
        memcpy(body, records.data, records.size);
    }
    moot_store_le32(header, CHUNK_MAGIC);
    moot_store_le32(header + 4, (uint32_t)number);
    moot_store_le32(header + 8, (uint32_t)records.size);
    moot_store_le32(header + 12, (uint32_t)stored);
    moot_store_le32(header + 16, pays ? CODEC_LZ4 : CODEC_RAW);
    moot_store_le64(header + 20, moot_hash64(moot_slice_make(body, stored), number));
    moot_store_le32(header + 28, (uint32_t)moot_hash64(moot_slice_make(header, 28), number));
    out->size = begin + MOOT_REPLAY_CHUNK_HEADER_BYTES + stored;
}

int moot_replay_stream_open(struct moot_replay_stream *stream, struct moot_slice file)
{
    if (file.size < MOOT_REPLAY_HEADER_BYTES ||
        memcmp(file.data, FILE_MAGIC, sizeof(FILE_MAGIC)) != 0) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    if (moot_load_le32(file.data + sizeof(FILE_MAGIC)) != FILE_VERSION) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    *stream = (struct moot_replay_stream){.file = file, .at = MOOT_REPLAY_HEADER_BYTES};
    moot_buffer_init(&stream->raw);
    moot_arena_init(&stream->arena);
    stream->reader = moot_reader_make((struct moot_slice){NULL, 0});
    return MOOT_OK;
}

void moot_replay_stream_close(struct moot_replay_stream *stream)
{
    moot_buffer_deinit(&stream->raw);
    moot_arena_deinit(&stream->arena);
}

static enum moot_replay_ending unpack(struct moot_replay_stream *stream, uint32_t codec,
                                      struct moot_slice stored, size_t raw)
{
    if (codec > CODEC_LZ4 || raw == 0 || raw > MOOT_REPLAY_CHUNK_MAX ||
        (codec == CODEC_RAW && raw != stored.size) ||
        raw > stored.size * EXPANSION_MAX + EXPANSION_SLACK) {
        return MOOT_REPLAY_MALFORMED;
    }
    moot_buffer_reset(&stream->raw, MOOT_REPLAY_CHUNK_KEEP);
    uint8_t *to = moot_buffer_reserve(&stream->raw, raw);
    if (codec == CODEC_RAW) {
        memcpy(to, stored.data, raw);
    } else if (LZ4_decompress_safe((const char *)stored.data, (char *)to, (int)stored.size,
                                   (int)raw) != (int)raw) {
        return MOOT_REPLAY_MALFORMED;
    }
    stream->raw.size = raw;
    stream->reader = moot_reader_make(moot_buffer_slice(&stream->raw));
    return MOOT_REPLAY_MORE;
}

static enum moot_replay_ending next_chunk(struct moot_replay_stream *stream)
{
    size_t left = stream->file.size - stream->at;
    const uint8_t *header = stream->file.data + stream->at;
    if (left < MOOT_REPLAY_CHUNK_HEADER_BYTES) {
        return left == 0 ? MOOT_REPLAY_UNMARKED : MOOT_REPLAY_CUT;
    }
    uint32_t sum = (uint32_t)moot_hash64(moot_slice_make(header, 28), stream->chunks);
    if (moot_load_le32(header) != CHUNK_MAGIC || moot_load_le32(header + 28) != sum ||
        moot_load_le32(header + 4) != (uint32_t)stream->chunks) {
        return MOOT_REPLAY_ROTTEN;
    }
    size_t size = moot_load_le32(header + 12);
    if (left - MOOT_REPLAY_CHUNK_HEADER_BYTES < size) {
        return MOOT_REPLAY_CUT;
    }
    struct moot_slice stored = {header + MOOT_REPLAY_CHUNK_HEADER_BYTES, size};
    if (size > MOOT_REPLAY_CHUNK_MAX ||
        moot_hash64(stored, stream->chunks) != moot_load_le64(header + 20)) {
        return MOOT_REPLAY_ROTTEN;
    }
    enum moot_replay_ending ending =
        unpack(stream, moot_load_le32(header + 16), stored, moot_load_le32(header + 8));
    if (ending == MOOT_REPLAY_MORE) {
        stream->at += MOOT_REPLAY_CHUNK_HEADER_BYTES + size;
        stream->chunks++;
    }
    return ending;
}

bool moot_replay_stream_next(struct moot_replay_stream *stream, struct moot_replay_record *out)
{
    stream->ending_at = stream->at;
    if (stream->ending == MOOT_REPLAY_MORE && moot_reader_left(&stream->reader) == 0) {
        stream->ending = next_chunk(stream);
    }
    if (stream->ending != MOOT_REPLAY_MORE) {
        return false;
    }
    moot_arena_reset(&stream->arena);
    if (moot_replay_decode(&stream->reader, &stream->arena, out) != MOOT_OK) {
        stream->ending = MOOT_REPLAY_MALFORMED;
        return false;
    }
    if (out->kind == MOOT_REPLAY_END) {
        stream->ending = MOOT_REPLAY_MARKED;
        stream->marked = out->end;
        return false;
    }
    return true;
}
