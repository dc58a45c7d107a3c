/* The store: an ordered map of bytes to bytes, that can lose what it has not flushed but never half
 * of a batch.
 *
 * Contract (one conformance suite, tests/unit/store_conformance.h, runs against every
 * implementation):
 *  - get and iterate see every batch written before, and never wait for I/O: what is not in memory
 * answers MOOT_EWOULDBLOCK, and `fetch` (which may do I/O, on any thread) brings it in.
 *  - A batch is atomic. After a crash the store holds exactly a prefix of the batches, at least up
 * to the last completed flush.
 *  - pin() is a view of the store at that moment, readable from another thread until unpin().
 *  - ingest replaces whole key ranges by the contents of sorted chunks in one atomic step, durable
 * on return.
 *  - MOOT_ECORRUPT: a checksum failed: the replica is fenced. MOOT_EIO on a write: the process
 * ends.
 *
 * Two implementations: storage/store_memory.c (for the simulator and tests: answers WOULDBLOCK at
 * random from a seed, and crashes on request) and host/store_rocksdb.c. */
#ifndef MOOT_STORAGE_STORE_H
#define MOOT_STORAGE_STORE_H

#include "base/buffer.h"
#include "base/memory.h"

struct moot_store;
struct moot_store_iterator;
struct moot_store_pin;

/* A batch in its one wire form: ops one after the other: kind u8, varint key size, key, and for PUT
 * varint value size, value; for DELETE_RANGE the second key is given as the value (end, exclusive).
 *
 * A DELETE_RANGE takes a step for each key that is there, and its write may wait for I/O: give it
 * ranges whose contents are bounded. */
enum moot_batch_op { MOOT_BATCH_PUT = 1, MOOT_BATCH_DELETE = 2, MOOT_BATCH_DELETE_RANGE = 3 };
struct moot_batch {
    struct moot_buffer bytes;
    uint64_t count;
};
void moot_batch_init(struct moot_batch *batch);
void moot_batch_deinit(struct moot_batch *batch);
void moot_batch_reset(struct moot_batch *batch);
void moot_batch_put(struct moot_batch *batch, struct moot_slice key, struct moot_slice value);
void moot_batch_delete(struct moot_batch *batch, struct moot_slice key);
void moot_batch_delete_range(struct moot_batch *batch, struct moot_slice from,
                             struct moot_slice to);
/* Walks the ops of an encoded batch: `reader` from the bytes; false at the end, or when malformed
 * (check reader.failed). */
struct moot_reader;
bool moot_batch_next(struct moot_reader *reader, enum moot_batch_op *op, struct moot_slice *key,
                     struct moot_slice *value);
/* Does one of a batch's DELETE_RANGEs cover the key? */
bool moot_batch_covers(const struct moot_batch *batch, struct moot_slice key);

/* An empty `to` is the end of the store: iterate and fetch_range only. */
struct moot_range {
    struct moot_slice from; /* included */
    struct moot_slice to;   /* excluded */
};

struct moot_store_ops {
    /* The value is copied into the arena. MOOT_ENOTFOUND, MOOT_EWOULDBLOCK, MOOT_ECORRUPT. */
    int (*get)(struct moot_store *store, struct moot_slice key, struct moot_arena *arena,
               struct moot_slice *value);
    /* The same at a pin. May wait for I/O, and may run on another thread. */
    int (*pin_get)(struct moot_store *store, struct moot_store_pin *pin, struct moot_slice key,
                   struct moot_arena *arena, struct moot_slice *value);
    /* Like get, but may wait for I/O, and only warms the cache. Safe on another thread. */
    int (*fetch)(struct moot_store *store, struct moot_slice key);

    /* Iterates [from, to) upwards, or downwards when `reverse`. Sees the store as of now (or of the
     * pin, when given). With `pin` it may wait for I/O and may run on another thread. */
    int (*iterate)(struct moot_store *store, struct moot_store_pin *pin, struct moot_range range,
                   bool reverse, struct moot_store_iterator **out);
    /* The entry under the iterator: slices are valid until the next call. MOOT_ENOTFOUND at the
     * end; MOOT_EWOULDBLOCK: end the iterator, fetch, and begin again. MOOT_ECORRUPT. */
    int (*entry)(struct moot_store_iterator *iterator, struct moot_slice *key,
                 struct moot_slice *value);
    /* Steps; what it arrived at (or failed with) is what entry says next. Not after the end. */
    int (*next)(struct moot_store_iterator *iterator);
    void (*iterate_end)(struct moot_store_iterator *iterator);
    /* Warm what an iteration over `range` in that direction needs, up to `limit` entries. May wait;
     * safe on another thread. */
    int (*fetch_range)(struct moot_store *store, struct moot_range range, bool reverse,
                       uint64_t limit);

    /* Atomic; visible to every later get. The batch is the caller's again on return. A failure may
     * be told by a later call instead; then all fail, and nothing follows in the store. MOOT_EIO,
     * MOOT_ENOSPACE. */
    int (*write)(struct moot_store *store, const struct moot_batch *batch);
    /* Everything written before is durable on return. May take long; safe on another thread, beside
     * gets and writes. */
    int (*flush)(struct moot_store *store);

    struct moot_store_pin *(*pin)(struct moot_store *store);
    void (*unpin)(struct moot_store *store, struct moot_store_pin *pin);

    /* Snapshot install. begin names what is to be replaced (ascending, apart, not empty): `ranges`
     * are emptied and filled with what add() was given (ascending keys, all inside the ranges, else
     * MOOT_EINVALID); commit does it atomically, together with `extra` (the group's own record: no
     * DELETE_RANGE, and it wins over what was added), durable on return with all that was written
     * before. abort forgets it. All may run on another thread, one at a time; no write may run
     * beside commit, which lists what the ranges hold and may take seconds. After a crash before
     * commit's end either nothing has changed or all. MOOT_EBUSY: one is under way. When commit
     * fails nothing has changed, and the ingest is forgotten. */
    int (*ingest_begin)(struct moot_store *store, const struct moot_range *ranges, size_t count);
    int (*ingest_add)(struct moot_store *store, struct moot_slice key, struct moot_slice value);
    int (*ingest_commit)(struct moot_store *store, const struct moot_batch *extra);
    void (*ingest_abort)(struct moot_store *store);

    void (*close)(struct moot_store *store);
};

/* The first member of every implementation. */
struct moot_store {
    const struct moot_store_ops *ops;
};

#endif
