/* A buffer of bytes that grows. The owner bounds what goes in before it appends; the buffer itself
 * only grows, by doubling. */
#ifndef MOOT_BASE_BUFFER_H
#define MOOT_BASE_BUFFER_H

#include "base/slice.h"
#include "moot/base.h"

struct moot_buffer {
    uint8_t *data;   /* read-only */
    size_t size;     /* read-only: bytes in use */
    size_t capacity; /* private */
};

void moot_buffer_init(struct moot_buffer *buffer);
void moot_buffer_deinit(struct moot_buffer *buffer);
/* Room for `extra` more bytes; returns where they go. Raise size by what was written. */
uint8_t *moot_buffer_reserve(struct moot_buffer *buffer, size_t extra);
void moot_buffer_append(struct moot_buffer *buffer, const void *bytes, size_t size);
/* Drop the first `count` bytes. */
void moot_buffer_consume(struct moot_buffer *buffer, size_t count);
/* Empty it; memory beyond `keep` bytes is given back. */
void moot_buffer_reset(struct moot_buffer *buffer, size_t keep);

static inline void moot_buffer_append_slice(struct moot_buffer *buffer, struct moot_slice bytes)
{
    moot_buffer_append(buffer, bytes.data, bytes.size);
}
static inline void moot_buffer_append_text(struct moot_buffer *buffer, const char *text)
{
    moot_buffer_append(buffer, text, strlen(text));
}
static inline struct moot_slice moot_buffer_slice(const struct moot_buffer *buffer)
{
    return (struct moot_slice){buffer->data, buffer->size};
}
/* Decimal digits appended: for texts below the host, where there is no printf. */
void moot_buffer_append_u64(struct moot_buffer *buffer, uint64_t value);
void moot_buffer_append_i64(struct moot_buffer *buffer, int64_t value);

#endif
