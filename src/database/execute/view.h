/* The view: how a command reads and writes, without ever naming a store.
 *
 * A stack of ordered layers: what this command changed, above what this entry changed, above what
 * this turn changed, above the store. Reads look from the top down; writes go to the top. A layer
 * can be dropped: that is how a failed command, a MULTI that aborts and a WOULDBLOCK restart undo
 * what they did. Layers are marks in one overlay with an undo log, so that a read is one look-up
 * whatever the depth.
 *
 * Reads never wait for I/O: MOOT_EWOULDBLOCK means that the layers back to the entry's start must
 * be dropped, what is missing (listed in `misses`) fetched, and the same work run again from its
 * start.
 *
 * `when` is the moment that reads see; only NOW until keyspaces keep history. */
#ifndef MOOT_DATABASE_EXECUTE_VIEW_H
#define MOOT_DATABASE_EXECUTE_VIEW_H

#include "base/memory.h"
#include "storage/store.h"

enum moot_when { MOOT_WHEN_NOW };

struct moot_view; /* opaque: src/database/execute/view.c */

struct moot_view *moot_view_make(struct moot_store *store);
void moot_view_destroy(struct moot_view *view);

/* ---- layers ---- */
typedef uint32_t moot_view_mark;
/* Opens a layer: everything from here on can be dropped as one. */
moot_view_mark moot_view_push(struct moot_view *view);
/* The layer's changes become part of the one below. */
void moot_view_keep(struct moot_view *view, moot_view_mark mark);
/* The layer's changes never happened. Also drops every layer above it. */
void moot_view_drop(struct moot_view *view, moot_view_mark mark);

/* ---- reading and writing; keys are physical (execute/key.h) ---- */
/* The value is valid until the view's next flush or reset, or until an outermost layer is pushed
 * while nothing is unflushed (what was only read is given back then). MOOT_ENOTFOUND,
 * MOOT_EWOULDBLOCK, MOOT_ECORRUPT, MOOT_EBUDGET. */
int moot_view_get(struct moot_view *view, enum moot_when when, struct moot_slice key,
                  struct moot_slice *value) MOOT_MUST_USE;
/* The caller knows that the store has nothing under this key: a get need not ask it. */
void moot_view_expect_absent(struct moot_view *view, struct moot_slice key);
/* Key and value are copied. Never blocks: it needs no old value. MOOT_EBUDGET. */
int moot_view_put(struct moot_view *view, struct moot_slice key,
                  struct moot_slice value) MOOT_MUST_USE;
/* As put, without a copy of the value: it is the whole of what moot_view_room gave last, where the
 * caller wrote it since. */
uint8_t *moot_view_room(struct moot_view *view, size_t size);
int moot_view_put_room(struct moot_view *view, struct moot_slice key,
                       struct moot_slice value) MOOT_MUST_USE;
int moot_view_delete(struct moot_view *view, struct moot_slice key) MOOT_MUST_USE;
/* Two deletions of whole ranges, each O(what the layers hold of it). delete_range is for keys that
 * will never be read or written again (the elements of a dead incarnation): what the layers hold is
 * gone, but what only the store holds is not hidden from reads until it is flushed (who walks over
 * dead keys asks moot_view_deleted). clear_range is for keys that will (a whole keyspace): reads
 * see the range empty at once, and later puts in it. Few cleared ranges may be unflushed at a time,
 * because every read looks at all of them. */
int moot_view_delete_range(struct moot_view *view, struct moot_slice from,
                           struct moot_slice to) MOOT_MUST_USE;
int moot_view_clear_range(struct moot_view *view, struct moot_slice from,
                          struct moot_slice to) MOOT_MUST_USE;

/* Does the range meet one that was deleted (delete_range) since the last flush? */
bool moot_view_meets_deleted(const struct moot_view *view, struct moot_range range);
/* Is the key inside one? Then the range's end, else NULL: when replicas flush is their own affair,
 * and what they remove must not depend on it. */
const struct moot_slice *moot_view_deleted(const struct moot_view *view, struct moot_slice key);

struct moot_view_iterator {
    struct moot_view *view;
    void *state; /* private */
};
/* Entries of [from, to) as the layers show them, in key order or downwards. The iterator does not
 * see changes made after it began; end it before the layer it began in is dropped, and before the
 * next flush. When this fails there is nothing to end (ending it is harmless). */
int moot_view_iterate(struct moot_view *view, enum moot_when when, struct moot_range range,
                      bool reverse, struct moot_view_iterator *iterator) MOOT_MUST_USE;
/* MOOT_ENOTFOUND at the end. Slices are valid until the next call on the iterator. Each step costs
 * one of the budget. */
int moot_view_next(struct moot_view_iterator *iterator, struct moot_slice *key,
                   struct moot_slice *value) MOOT_MUST_USE;
void moot_view_iterate_end(struct moot_view_iterator *iterator);

/* ---- budgets ---- */
/* From here on, `elements` touches are allowed (get, put, delete, step of an iterator); then
 * MOOT_EBUDGET. */
void moot_view_budget(struct moot_view *view, uint64_t elements);
uint64_t moot_view_left(const struct moot_view *view);

/* ---- what was missing ---- */
struct moot_view_misses {
    struct moot_slice *keys;
    struct moot_range *ranges;
    bool *range_reverse; /* In which direction each range is wanted. */
    uint32_t key_count, range_count;
};
/* What answered WOULDBLOCK since the last call of moot_view_forget_misses; slices are the view's.
 */
const struct moot_view_misses *moot_view_misses(const struct moot_view *view);
void moot_view_forget_misses(struct moot_view *view);
/* How often something did, ever. */
uint64_t moot_view_missed(const struct moot_view *view);

/* ---- the end of an entry and of a turn ---- */
/* Hash of the changes kept since the last call, in the order they were made: the entry's link of
 * the chain. Deterministic across replicas and stores. Only with no layer open. */
uint64_t moot_view_take_hash(struct moot_view *view);
/* Bytes that the overlay occupies, overwritten values included; and how many keys it holds. */
/* Of values remembered above the store. */
size_t moot_view_recent_bytes(const struct moot_view *view);
size_t moot_view_size(const struct moot_view *view);
uint32_t moot_view_count(const struct moot_view *view);
uint32_t moot_view_ranges(const struct moot_view *view); /* Deleted since the last flush. */
/* Appends everything kept to `batch` (each key once, its last value) and empties the overlay. Only
 * with no layer open. */
void moot_view_flush(struct moot_view *view, struct moot_batch *batch);
/* The store changed under the view (a snapshot was installed): forget everything. Only when nothing
 * is unflushed. */
void moot_view_reset(struct moot_view *view);
/* Is anything unflushed? */
bool moot_view_has_changes(const struct moot_view *view);
/* Bytes of recent values that are remembered above the store (execute/recent.h): a power of two, or
 * 0 for none, as the simulator likes now and then. MOOT_RECENT_BYTES at first. Only when nothing is
 * unflushed. */
void moot_view_remember(struct moot_view *view, size_t bytes);

#endif
