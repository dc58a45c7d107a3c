/* The reader of recordings: the first byte says whether the rest is a file (odd), or records that
 * are put into sound chunks, so that what is behind the checksums is reached too. Whatever the
 * bytes, the reader ends, and what it has read is written again as the same bytes. */
#include "base/assert.h"
#include "base/memory.h"
#include "base/slice.h"
#include "base/status.h"
#include "replay/stream.h"

static void read_all(struct moot_slice file)
{
    struct moot_replay_stream stream;
    struct moot_replay_record record;
    struct moot_buffer out, again;
    if (moot_replay_stream_open(&stream, file) != MOOT_OK) {
        return;
    }
    moot_buffer_init(&out);
    moot_buffer_init(&again);
    while (moot_replay_stream_next(&stream, &record)) {
        struct moot_arena arena;
        struct moot_replay_record second;
        moot_arena_init(&arena);
        moot_buffer_reset(&out, SIZE_MAX);
        moot_buffer_reset(&again, SIZE_MAX);
        moot_replay_encode(&record, &out);
        struct moot_reader reader = moot_reader_make(moot_buffer_slice(&out));
        int status = moot_replay_decode(&reader, &arena, &second);
        MOOT_ASSERT(status == MOOT_OK);
        MOOT_ASSERT(moot_reader_left(&reader) == 0);
        moot_replay_encode(&second, &again);
        MOOT_ASSERT(moot_slice_equal(moot_buffer_slice(&out), moot_buffer_slice(&again)));
        moot_arena_deinit(&arena);
    }
    MOOT_ASSERT(stream.ending != MOOT_REPLAY_MORE);
    moot_replay_stream_close(&stream);
    moot_buffer_deinit(&out);
    moot_buffer_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct moot_slice rest = {data + 1, size - 1};
    struct moot_buffer file;
    moot_buffer_init(&file);
    if ((data[0] & 1) != 0) {
        moot_buffer_append_slice(&file, rest);
    } else {
        size_t half = data[0] / 2 % rest.size;
        moot_replay_file_header(&file);
        if (half > 0) { /* A record that a chunk's end cuts makes no sense. */
            moot_replay_chunk(0, moot_slice_make(rest.data, half), &file);
        }
        moot_replay_chunk(half > 0, moot_slice_make(rest.data + half, rest.size - half), &file);
    }
    read_all(moot_buffer_slice(&file));
    moot_buffer_deinit(&file);
    return 0;
}
