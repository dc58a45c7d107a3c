/* What a brain asks, as a hash: recorder and player must make the same of it. */
#ifndef MOOT_REPLAY_QUESTION_H
#define MOOT_REPLAY_QUESTION_H

#include "base/hash.h"
#include "base/slice.h"
#include "storage/store.h"

static inline uint64_t replay_ask_bytes(uint64_t hash, struct moot_slice bytes)
{
    return moot_hash64(bytes, hash);
}
static inline uint64_t replay_ask_file(const char *name, uint64_t offset, uint64_t size)
{
    return moot_hash_mix(moot_hash_mix(moot_hash64(moot_slice_text(name), 0), offset), size);
}
static inline uint64_t replay_ask_names(const char *from, const char *to)
{
    return moot_hash64(moot_slice_text(to), moot_hash64(moot_slice_text(from), 0));
}
static inline uint64_t replay_ask_range(const struct moot_range *range, bool reverse)
{
    return moot_hash64(range->to, moot_hash64(range->from, reverse));
}

#endif
