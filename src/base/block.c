#include "base/block.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"

struct moot_block *moot_block_make(size_t size)
{
    struct moot_block *block = moot_alloc(sizeof(*block) + size);
    block->references = 1;
    block->size = size;
    return block;
}

struct moot_block *moot_block_copy(struct moot_slice bytes)
{
    struct moot_block *block = moot_block_make(bytes.size);
    if (bytes.size > 0) {
        memcpy(block->data, bytes.data, bytes.size);
    }
    return block;
}

struct moot_block *moot_block_retain(struct moot_block *block)
{
    MOOT_ASSERT(block->references > 0);
    MOOT_ASSERT(block->references < UINT32_MAX);
    block->references++;
    return block;
}

void moot_block_release(struct moot_block *block)
{
    if (block == NULL) {
        return;
    }
    MOOT_ASSERT(block->references > 0);
    if (--block->references == 0) {
        moot_free(block);
    }
}
