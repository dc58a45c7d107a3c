/* The last replies of a group, by edge stream and batch: what a new leader answers a re-sent batch
 * with.
 *
 * Kept by every replica, in memory, bounded by count and bytes; what was evicted is answered
 * INDOUBT. */
#ifndef MOOT_DATABASE_GROUP_RING_H
#define MOOT_DATABASE_GROUP_RING_H

#include "base/block.h"
#include "base/limits.h"
#include "moot/hlc.h"

struct moot_ring_item {
    moot_node_id edge;
    uint64_t incarnation, batch;
    moot_hlc_stamp stamp;
    struct moot_block *replies;
};

struct moot_ring {
    struct moot_ring_item *items; /* private */
    uint32_t head, count;         /* private */
    size_t bytes;                 /* read-only */
    size_t bytes_max;             /* private */
};

void moot_ring_init(struct moot_ring *ring, size_t bytes_max);
void moot_ring_deinit(struct moot_ring *ring);
/* Takes over the caller's reference of item->replies. */
void moot_ring_put(struct moot_ring *ring, const struct moot_ring_item *item);
/* NULL when it is not there (any more). */
const struct moot_ring_item *moot_ring_find(const struct moot_ring *ring, moot_node_id edge,
                                            uint64_t incarnation, uint64_t batch);
void moot_ring_clear(struct moot_ring *ring);

#endif
