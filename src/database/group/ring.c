#include "database/group/ring.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/rule.h"

void moot_ring_init(struct moot_ring *ring, size_t bytes_max)
{
    *ring = (struct moot_ring){.bytes_max = bytes_max};
    ring->items = moot_alloc(sizeof(*ring->items) * MOOT_REPLY_RING_BATCHES);
}

static void evict(struct moot_ring *ring)
{
    MOOT_ASSERT(ring->count > 0);
    struct moot_ring_item *item = &ring->items[ring->head];
    ring->bytes -= item->replies->size;
    moot_block_release(item->replies);
    ring->head = (ring->head + 1) % MOOT_REPLY_RING_BATCHES;
    ring->count--;
}

void moot_ring_clear(struct moot_ring *ring)
{
    while (ring->count > 0) {
        evict(ring);
    }
    MOOT_ASSERT(ring->bytes == 0);
}

void moot_ring_deinit(struct moot_ring *ring)
{
    moot_ring_clear(ring);
    moot_free(ring->items);
}

void moot_ring_put(struct moot_ring *ring, const struct moot_ring_item *item)
{
    while (ring->count == MOOT_REPLY_RING_BATCHES ||
           (ring->count > 0 && ring->bytes + item->replies->size > ring->bytes_max)) {
        evict(ring);
        MOOT_SOMETIMES(true, "a reply was evicted from the ring");
    }
    ring->items[(ring->head + ring->count) % MOOT_REPLY_RING_BATCHES] = *item;
    ring->count++;
    ring->bytes += item->replies->size;
}

const struct moot_ring_item *moot_ring_find(const struct moot_ring *ring, moot_node_id edge,
                                            uint64_t incarnation, uint64_t batch)
{
    for (uint32_t i = ring->count; i > 0; i--) {
        const struct moot_ring_item *item =
            &ring->items[(ring->head + i - 1) % MOOT_REPLY_RING_BATCHES];
        if (item->edge == edge && item->incarnation == incarnation && item->batch == batch) {
            return item;
        }
    }
    return NULL;
}
