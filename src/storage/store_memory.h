/* A store in memory that behaves like the one on disk, only worse: at a crash exactly a prefix of
 * the batches is left, at least to the last flush; which, the seed says. Entries that were not
 * touched lately answer WOULDBLOCK at random. */
#ifndef MOOT_STORAGE_STORE_MEMORY_H
#define MOOT_STORAGE_STORE_MEMORY_H

#include "base/rng.h"
#include "storage/store.h"

struct moot_store_memory_options {
    uint64_t seed;
    uint32_t wouldblock_one_in; /* 0: never. A key that was fetched does not block again until it is
                                   evicted (at random). */
};

struct moot_store *moot_store_memory_open(const struct moot_store_memory_options *options);
/* The process died: keep a prefix of the batches, at least to the last flush; all iterators and
 * pins are void. */
void moot_store_memory_crash(struct moot_store *store);
/* Additive hash of all contents: for comparing stores in tests. */
uint64_t moot_store_memory_digest(struct moot_store *store);

#endif
