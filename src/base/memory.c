#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

__attribute__((weak)) _Noreturn void moot_memory_ran_out(size_t size)
{
    (void)size;
    moot_assert_failed("an allocation failed", __FILE__, __LINE__);
}

static void *given(void *memory, size_t size)
{
    if (__builtin_expect(memory == NULL, 0)) {
        moot_memory_ran_out(size);
    }
    return memory;
}

void *moot_alloc(size_t size) { return given(malloc(size == 0 ? 1 : size), size); }

void *moot_alloc_zero(size_t size) { return given(calloc(1, size == 0 ? 1 : size), size); }

void *moot_realloc(void *memory, size_t size)
{
    return given(realloc(memory, size == 0 ? 1 : size), size);
}

void *moot_alloc_aligned(size_t alignment, size_t size)
{
    MOOT_ASSERT(size % alignment == 0);
    return given(aligned_alloc(alignment, size), size);
}

void moot_free(void *memory) { free(memory); }

enum {
    CHUNK_BYTES = 64 * 1024,
    KEEP_BYTES = 4 * 1024 * 1024, /* A turn's working set; more is given back at reset. */
};

struct moot_arena_chunk {
    struct moot_arena_chunk *next;
    size_t capacity;
    _Alignas(16) uint8_t bytes[];
};

void moot_arena_init(struct moot_arena *arena) { *arena = (struct moot_arena){0}; }

void moot_arena_deinit(struct moot_arena *arena)
{
    while (arena->chunks != NULL) {
        struct moot_arena_chunk *next = arena->chunks->next;
        moot_free(arena->chunks);
        arena->chunks = next;
    }
    *arena = (struct moot_arena){0};
}

/* Keeps the first chunk only: after a few turns it is as large as a turn needs. */
void moot_arena_reset(struct moot_arena *arena)
{
    struct moot_arena_chunk *first = arena->chunks;
    if (first == NULL) {
        return;
    }
    bool grown = first->next != NULL;
    size_t total = arena->total;
    if (grown || first->capacity > KEEP_BYTES) {
        moot_arena_deinit(arena);
        if (total <= KEEP_BYTES) { /* One chunk that holds all of the last turn. */
            arena->chunks = moot_alloc(sizeof(*first) + total * 2);
            arena->chunks->next = NULL;
            arena->chunks->capacity = total * 2;
        }
    }
    arena->used = 0;
    arena->total = 0;
}

void *moot_arena_alloc(struct moot_arena *arena, size_t size)
{
    size_t need = (size + 15) & ~(size_t)15;
    MOOT_ASSERT(need >= size);
    if (arena->chunks == NULL || arena->chunks->capacity - arena->used < need) {
        size_t capacity = need > CHUNK_BYTES ? need : CHUNK_BYTES;
        struct moot_arena_chunk *chunk = moot_alloc(sizeof(*chunk) + capacity);
        chunk->capacity = capacity;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->used = 0;
    }
    void *memory = arena->chunks->bytes + arena->used;
    arena->used += need;
    arena->total += need;
    return memory;
}

struct moot_slice moot_arena_copy(struct moot_arena *arena, struct moot_slice bytes)
{
    uint8_t *copy = moot_arena_alloc(arena, bytes.size);
    if (bytes.size > 0) {
        memcpy(copy, bytes.data, bytes.size);
    }
    return (struct moot_slice){copy, bytes.size};
}
