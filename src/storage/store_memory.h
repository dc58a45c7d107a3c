/* A store in memory that behaves like the one on disk, only worse: at a crash exactly a prefix of
 * the batches is left, at least to the last flush; which, the seed says. Entries that were not
 * touched lately answer WOULDBLOCK at random.
 *
 * What blocks is a function of (seed, key, era), so that asking twice gives the same answer and no
 * stream of random numbers depends on how often somebody reads. A key blocks until it is fetched;
 * an era ends after some writes, and all keys are drawn again. Fetches prolong an era, so a command
 * that needs many keys gets them all in the end.
 *
 * For one thread: pins and fetches too are used where the writes are. */
#ifndef MOOT_STORAGE_STORE_MEMORY_H
#define MOOT_STORAGE_STORE_MEMORY_H

#include "base/rng.h"
#include "storage/store.h"

struct moot_store_memory_options {
    uint64_t seed;
    uint32_t wouldblock_one_in; /* 0: never. */
};

struct moot_store *moot_store_memory_open(const struct moot_store_memory_options *options);
/* The process died: keep a prefix of the batches, at least to the last flush. All iterators and
 * pins are void: they may be ended before the store is closed, but not used. An ingest under way is
 * forgotten. */
void moot_store_memory_crash(struct moot_store *store);
/* Additive hash of all contents: for comparing stores in tests. */
uint64_t moot_store_memory_digest(struct moot_store *store);

#endif
