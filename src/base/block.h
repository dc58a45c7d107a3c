/* A block: immutable bytes with a reference count, so that one copy of an entry serves the
 * journal, the messages to every follower and execution.
 *
 * The count is not atomic: blocks belong to the turn loop. A driver that lends bytes to another
 * thread holds a reference on the loop's side until that thread has answered. */
#ifndef MOOT_BASE_BLOCK_H
#define MOOT_BASE_BLOCK_H

#include "moot/base.h"

struct moot_block {
    uint32_t references; /* private */
    size_t size;         /* read-only */
    uint8_t data[];      /* Written once by the maker, before the first retain. */
};

/* One reference, the caller's. */
struct moot_block *moot_block_make(size_t size);
struct moot_block *moot_block_copy(struct moot_slice bytes);
struct moot_block *moot_block_retain(struct moot_block *block);
/* NULL is allowed. */
void moot_block_release(struct moot_block *block);

static inline struct moot_slice moot_block_slice(const struct moot_block *block)
{
    return (struct moot_slice){block->data, block->size};
}

#endif
