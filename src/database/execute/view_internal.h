/* What the files of the view share: the overlay, its undo log, and its order.
 *
 * The overlay holds one entry for each key that was read or changed since the last flush. Changes
 * are operations with growing numbers; each remembers what its entry was before, so that
 *  - dropping a layer walks the log backwards, and
 *  - an iterator that began at operation n finds what an entry was then: it follows the entry's
 *    operations back to before n.
 * The chain's hash is kept before each operation too, so that a dropped one leaves no trace in it.
 *
 * Order is made only when somebody asks for it: entries are put into a skip list (Pugh, 1990) at
 * the first range operation that needs them. A turn of plain gets and puts never pays for it. */
#ifndef MOOT_DATABASE_EXECUTE_VIEW_INTERNAL_H
#define MOOT_DATABASE_EXECUTE_VIEW_INTERNAL_H

#include "base/buffer.h"
#include "base/limits.h"
#include "database/execute/recent.h"
#include "database/execute/view.h"

enum view_state {
    VIEW_UNKNOWN, /* The layers say nothing: ask below. */
    VIEW_PRESENT, /* Read from below: the store has `value`. */
    VIEW_ABSENT,  /* Read from below: the store has nothing. */
    VIEW_PUT,
    VIEW_DELETED,
    VIEW_GONE, /* Inside a range that was deleted: nothing of its own to flush. */
};
static inline bool view_state_is_change(enum view_state state) { return state >= VIEW_PUT; }

struct view_entry {
    uint64_t hash; /* moot_hash64(key, 0) */
    struct moot_slice key, value;
    enum view_state state;
    bool is_fresh;   /* PRESENT or ABSENT: to be remembered as a recent value. */
    uint32_t missed; /* The round of misses that has this key already. */
    uint64_t op;     /* The last operation on it that has not been dropped; 0: none. */
};

enum view_op_kind {
    VIEW_OP_PUT,
    VIEW_OP_DELETE,
    VIEW_OP_COVER, /* One entry of a deleted range. */
    VIEW_OP_RANGE, /* One more deleted range. */
    VIEW_OP_AGAIN, /* A range that is among the deleted ones already. */
};
struct view_op {
    enum view_op_kind kind;
    enum view_state state; /* What the entry was before ... */
    struct moot_slice value;
    uint64_t op;
    struct view_entry *entry; /* PUT, DELETE, COVER */
    uint64_t chain;           /* ... and the chain. */
};

struct view_range {
    struct moot_range range;
    uint64_t op;
    bool is_clear;
};

struct view_slot {
    uint32_t generation; /* Another than the view's: empty. */
    uint32_t tag;
    struct view_entry *entry;
};

enum { VIEW_LEVELS = 12 }; /* 4^12 entries before the list degrades; a turn has thousands. */
struct view_node {
    struct view_entry *entry;
    struct view_node *next[]; /* As many as its level. */
};

/* A large value that was put, with memory of its own: it ends as soon as nobody can want it any
 * more. In the arena a string that a client appends to would stay as often as it was appended to,
 * in one batch. */
enum { VIEW_LARGE_BYTES = 16 * 1024 };
struct view_large {
    struct view_large *next, *prev;
    size_t size;
    _Alignas(16) uint8_t bytes[];
};

struct view_cursor; /* view_iterate.c */

struct moot_view {
    struct moot_store *store;
    struct moot_recent recent;
    struct moot_arena arena; /* Everything below that ends with a flush. */
    struct view_large *large;
    size_t large_bytes;

    struct view_slot *slots; /* Open addressing. */
    uint32_t slot_mask, generation;
    struct view_entry **entries; /* In the order of their creation. */
    uint32_t entry_count, entry_capacity;
    struct view_entry *last; /* The last one looked up: a get is often followed by a put. */

    /* Operations op_base .. op_next - 1. op_flushed: the first after the last flush. */
    struct view_op *ops;
    uint64_t op_base, op_next, op_flushed;
    size_t op_capacity;
    uint64_t chain;
    uint64_t layers[MOOT_LAYERS_MAX]; /* op_next when each was pushed. */
    uint32_t depth;

    struct view_range *ranges; /* In the order they were deleted. */
    uint32_t range_count, range_capacity, clear_count;

    struct view_node *first[VIEW_LEVELS]; /* The skip list. */
    uint32_t sorted_count;                /* How many of `entries` are in it. */

    uint64_t budget;
    struct moot_view_misses misses;
    uint32_t miss_key_capacity, miss_range_capacity, miss_round;
    uint64_t missed; /* So often, in all. */
    struct moot_arena miss_arena;

    struct view_cursor *free_cursors;
    uint32_t open_cursors;
};

/* view.c */
bool view__spend(struct moot_view *view);
/* Is the key inside a range that was cleared before operation `op`? Gives the range. */
const struct moot_range *view__cleared(const struct moot_view *view, struct moot_slice key,
                                       uint64_t op);
/* What the entry was just before operation `op`. */
enum view_state view__state_at(const struct moot_view *view, const struct view_entry *entry,
                               uint64_t op, struct moot_slice *value);
void view__miss_range(struct moot_view *view, struct moot_range range, bool reverse);

/* view_order.c */
/* Puts every entry into the skip list. */
void view__sort(struct moot_view *view);
/* The first node at or after `key`; the last one before `key` (an empty key with `all`: the last of
 * all). NULL: none. */
struct view_node *view__at_or_after(const struct moot_view *view, struct moot_slice key);
struct view_node *view__before(const struct moot_view *view, struct moot_slice key, bool all);

/* view_iterate.c */
void view__free_cursors(struct moot_view *view);

#endif
