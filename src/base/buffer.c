#include "base/buffer.h"

#include "base/assert.h"
#include "base/memory.h"

void moot_buffer_init(struct moot_buffer *buffer) { *buffer = (struct moot_buffer){0}; }

void moot_buffer_deinit(struct moot_buffer *buffer)
{
    moot_free(buffer->data);
    *buffer = (struct moot_buffer){0};
}

uint8_t *moot_buffer_reserve(struct moot_buffer *buffer, size_t extra)
{
    MOOT_ASSERT(extra <= SIZE_MAX / 4);
    if (buffer->capacity - buffer->size < extra) {
        size_t capacity = buffer->capacity == 0 ? 256 : buffer->capacity;
        while (capacity - buffer->size < extra) {
            capacity *= 2;
        }
        buffer->data = moot_realloc(buffer->data, capacity);
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->size;
}

void moot_buffer_append(struct moot_buffer *buffer, const void *bytes, size_t size)
{
    if (size == 0) {
        return;
    }
    memcpy(moot_buffer_reserve(buffer, size), bytes, size);
    buffer->size += size;
}

void moot_buffer_consume(struct moot_buffer *buffer, size_t count)
{
    MOOT_ASSERT(count <= buffer->size);
    buffer->size -= count;
    if (buffer->size > 0 && count > 0) {
        memmove(buffer->data, buffer->data + count, buffer->size);
    }
}

void moot_buffer_reset(struct moot_buffer *buffer, size_t keep)
{
    buffer->size = 0;
    if (buffer->capacity > keep) {
        moot_buffer_deinit(buffer);
    }
}

void moot_buffer_append_u64(struct moot_buffer *buffer, uint64_t value)
{
    char digits[24];
    moot_buffer_append(buffer, digits, moot_text_u64(digits, value));
}

void moot_buffer_append_i64(struct moot_buffer *buffer, int64_t value)
{
    char digits[24];
    moot_buffer_append(buffer, digits, moot_text_i64(digits, value));
}
