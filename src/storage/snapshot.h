/* Snapshot chunks: a run of the store as it was at a pin, in key order, on its way to another node.
 *
 *     version u8, flags u8 (1: nothing of the range follows), pairs u32,
 *     pairs times (key bytes, value bytes), hash u64 of all before it
 *
 * Which snapshot a chunk belongs to (group, index, term, sequence) is said by the message around
 * it, which the receiver checks first; a chunk says only what the store held. Keys ascend, so the
 * place to go on is the key after the last one: with the index that is the whole resume token, and
 * any replica that holds the same snapshot may continue (DESIGN section 8).
 *
 * The hash is there because a chunk crosses memory, network and memory, and what is ingested is
 * believed for ever. It is no defence against a liar: peers have proved the cluster's secret. */
#ifndef MOOT_STORAGE_SNAPSHOT_H
#define MOOT_STORAGE_SNAPSHOT_H

#include "base/codec.h"
#include "storage/store.h"

/* Appends one chunk to `out`: the entries of `range` in `pin`, as many as fit `bytes_max`, at least
 * one if there is one. May wait for I/O; safe on another thread. MOOT_ECORRUPT, MOOT_EIO: of the
 * store, and `out` is as before. */
int moot_snapshot_write(struct moot_store *store, struct moot_store_pin *pin,
                        struct moot_range range, size_t bytes_max,
                        struct moot_buffer *out) MOOT_MUST_USE;

/* Reads a received chunk. Slices are views into its bytes. */
struct moot_snapshot_reader {
    struct moot_reader pairs; /* private */
    struct moot_slice last;   /* read-only: the key given last */
    uint32_t count;           /* read-only: pairs in the chunk */
    bool at_end;              /* read-only: nothing of the range follows this chunk */
    bool failed;              /* read-only: never true after moot_snapshot_read said MOOT_OK */
};
/* Checks the whole chunk before the first pair is given: hash, form, count, order, limits of sizes.
 * MOOT_ECORRUPT; MOOT_EVERSION: written by a newer release. */
int moot_snapshot_read(struct moot_snapshot_reader *reader, struct moot_slice chunk) MOOT_MUST_USE;
/* The next pair; false after the last. */
bool moot_snapshot_next(struct moot_snapshot_reader *reader, struct moot_slice *key,
                        struct moot_slice *value);
/* Where to go on after a chunk: appends to `from` the key that follows its last one (nothing when
 * it holds no pair), and says whether the range has ended. MOOT_ECORRUPT, MOOT_EVERSION. */
int moot_snapshot_resume(struct moot_slice chunk, struct moot_buffer *from,
                         bool *at_end) MOOT_MUST_USE;

#endif
