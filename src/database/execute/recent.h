/* Recent values: what the store was last known to hold for keys that are in use, and that it holds
 * nothing for others.
 *
 * Why: a get from the store on disk costs 1 to 2 microseconds even when nothing is read from disk;
 * most commands touch a key that was touched lately. The view asks here first.
 *
 * How: a ring of bytes; a new value is written at its head and the oldest fall off its tail; a
 * changed one is written where it is, if it fits. A value that is used again while it sits in the
 * older half is written again (the caller is told), so that what is in use stays: nearly LRU,
 * without lists, and without any allocation.
 *
 * A pure function of the calls made: no time, no addresses. It must be told of every change of the
 * store (moot_recent_put, moot_recent_forget), or be reset. */
#ifndef MOOT_DATABASE_EXECUTE_RECENT_H
#define MOOT_DATABASE_EXECUTE_RECENT_H

#include "moot/base.h"

/* Invariant: records lie in [tail, head) of the ring, modulo its size; `slots` holds exactly the
 * newest record of each key. All private. */
struct moot_recent {
    uint8_t *bytes;      /* NULL: nothing was put yet. */
    size_t capacity;     /* 0: the cache is off. */
    uint64_t head, tail; /* Ever growing; the place in the ring is the value modulo capacity. */
    struct moot_recent_slot *slots;
    uint32_t slot_mask, used;
};

/* `capacity` is a power of two of at least 64 KiB, or 0: remember nothing. */
void moot_recent_init(struct moot_recent *recent, size_t capacity);
void moot_recent_deinit(struct moot_recent *recent);
/* Forget everything. */
void moot_recent_reset(struct moot_recent *recent);

/* False: not known. True: *present says whether the store has the key; the value is valid until the
 * next put. *old: it should be put again to stay. `hash` is moot_hash64(key, 0) everywhere. */
bool moot_recent_get(struct moot_recent *recent, uint64_t hash, struct moot_slice key,
                     struct moot_slice *value, bool *present, bool *old);
/* Neither key nor value may lie in the ring. Values too large to keep are forgotten instead. */
void moot_recent_put(struct moot_recent *recent, uint64_t hash, struct moot_slice key, bool present,
                     struct moot_slice value);
void moot_recent_forget(struct moot_recent *recent, uint64_t hash, struct moot_slice key);
/* Somebody will soon ask for this key: brings in the memory that says where it is (far), or, a
 * little later, the value itself (near). Changes nothing. */
void moot_recent_expect_far(const struct moot_recent *recent, uint64_t hash);
void moot_recent_expect_near(const struct moot_recent *recent, uint64_t hash);
/* All invariants; slow. */
void moot_recent_check(const struct moot_recent *recent);

#endif
