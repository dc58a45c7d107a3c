/* Memory. Running out ends the process: a database that guesses after a failed allocation is
 * worse than one that restarts from its journal. All sizes are bounded before they get here. */
#ifndef MOOT_BASE_MEMORY_H
#define MOOT_BASE_MEMORY_H

#include "moot/base.h"

/* The door out of a failed allocation. Weak: the host's version says it and ends the process, the
 * library's own is that of a failed assertion. Never returns. */
_Noreturn void moot_memory_ran_out(size_t size);

/* Never NULL; `size` 0 is one byte. The bytes are not initialised. */
void *moot_alloc(size_t size);
/* As moot_alloc, zeroed. */
void *moot_alloc_zero(size_t size);
/* As realloc, never NULL. */
void *moot_realloc(void *memory, size_t size);
/* As moot_alloc, at an address that is a multiple of `alignment`; `size` must be one too. */
void *moot_alloc_aligned(size_t alignment, size_t size);
/* NULL is allowed. */
void moot_free(void *memory);

/* An arena: allocations that all end at once. Chunks are kept by reset and given back by deinit. */
struct moot_arena {
    struct moot_arena_chunk *chunks; /* private */
    size_t used;                     /* private: of the first chunk */
    size_t total;                    /* read-only: bytes handed out since the last reset */
};

void moot_arena_init(struct moot_arena *arena);
void moot_arena_deinit(struct moot_arena *arena);
/* Everything handed out is gone; memory up to a working-set size is kept for the next turn. */
void moot_arena_reset(struct moot_arena *arena);
/* Aligned to 16 bytes, never NULL. */
void *moot_arena_alloc(struct moot_arena *arena, size_t size);
/* A copy of `bytes` in the arena. */
struct moot_slice moot_arena_copy(struct moot_arena *arena, struct moot_slice bytes);

#endif
