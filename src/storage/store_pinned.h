/* A pin of a store, as a store of its own: of one moment, only to be read, and never WOULDBLOCK,
 * because who reads a pin may wait. So what runs on a store within turns, commands above all, runs
 * unchanged on a pin beside them.
 *
 * Whoever reads it may be on any thread, one at a time. A walk may be long: `is_over` (NULL: never)
 * is asked before each entry, and when it says yes everything fails with MOOT_EIO. */
#ifndef MOOT_STORAGE_STORE_PINNED_H
#define MOOT_STORAGE_STORE_PINNED_H

#include "storage/store.h"

struct moot_store_pinned {
    struct moot_store base;      /* First. */
    struct moot_store *below;    /* private */
    struct moot_store_pin *pin;  /* private */
    bool (*is_over)(void *over); /* private */
    void *over;                  /* private */
};

/* Store and pin outlive it; nothing is to be closed. */
void moot_store_pinned_init(struct moot_store_pinned *pinned, struct moot_store *below,
                            struct moot_store_pin *pin, bool (*is_over)(void *over), void *over);

#endif
