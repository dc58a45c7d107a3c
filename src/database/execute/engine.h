/* The engine: runs the commands of one batch, in order, against a view, and collects one reply a
 * command.
 *
 * A batch is what an edge collected in a turn. Its encoding (one form: in log entries, in messages,
 * at the edge): item*  = flags u8, database u8, body body   = argc varint, (size varint, bytes)* a
 * command | watches varint, (database u8, key bytes, time u64, ordinal u32)*, commands varint,
 * body*   when flags has EXEC Every item gives exactly one reply, in the item's protocol version.
 * Replies are collected as (size varint, bytes)*; size 0 means: the item waits (a blocking command
 * that found nothing), or was left for later (a read that takes long, a chained item).
 *
 * Used twice: for committed entries (is_read false: every replica, the same result everywhere), and
 * for read batches on the leader (is_read true). */
#ifndef MOOT_DATABASE_EXECUTE_ENGINE_H
#define MOOT_DATABASE_EXECUTE_ENGINE_H

#include "database/command/command.h"

enum moot_item_flag {
    MOOT_ITEM_RESP3 = 1 << 0,
    MOOT_ITEM_EXEC = 1 << 1, /* MULTI/EXEC: preconditions, then commands; all or nothing of a WATCH,
                                not of errors (as Redis). */
    MOOT_ITEM_DEFER = 1 << 2, /* Set by the leader on a blocking command: others wait before it;
                                 answer "waits" where it would take an element. */
    MOOT_ITEM_RETRY = 1 << 3, /* A waiter that was woken tries again, or gives back what it got for
                                 a client that is gone: not refused for want of space. */
    MOOT_ITEM_STAMP = 1 << 4, /* `WATCH key ...`: answer each key's stamp as time u64,
                                 ordinal u32 (raw, not RESP). */
    MOOT_ITEM_ID = 1 << 5, /* A client id follows the database: bytes id; the command is remembered
                              under it (WITH ID). */
    MOOT_ITEM_BLOCKING = 1 << 6, /* The command may wait. */
    MOOT_ITEM_CHAINED = 1 << 7,  /* In the log: a read that does not fit there is left, undone and
                                    with an empty reply, and so are all such items behind it. */
    MOOT_ITEM_FLAGS = (1 << 8) - 1, /* All of them. */
};

struct moot_item {
    uint8_t flags, database;
    struct moot_slice id;   /* with MOOT_ITEM_ID */
    struct moot_slice body; /* from argc, or from watches, to the item's end */
};
/* Walks a batch. False at the end or when malformed (reader->failed). Items received from peers are
 * validated here: counts and sizes within limits. */
struct moot_reader;
bool moot_item_next(struct moot_reader *reader, struct moot_item *item);
/* Does it leave everything as it is? An EXEC does, when all of its commands do. */
bool moot_item_is_read(const struct moot_item *item);
/* Of an EXEC: its commands (a varint, and their bodies), without what it watches. */
struct moot_slice moot_item_commands(const struct moot_item *item);
/* Appends one command item; the caller has checked the limits. */
void moot_item_put(struct moot_buffer *out, uint8_t flags, uint8_t database, struct moot_slice id,
                   const struct moot_slice *args, uint32_t argc);
/* The body of one command without the item's head: for EXEC's queue. */
void moot_item_put_body(struct moot_buffer *out, const struct moot_slice *args, uint32_t argc);
/* Takes the arguments of a body apart, into the arena; false when malformed. */
bool moot_item_args(struct moot_reader *reader, struct moot_arena *arena, struct moot_slice **args,
                    uint32_t *argc);

struct moot_engine; /* opaque */

/* Reads what the engine keeps of the group from the store (keyspace_of, sums, digest): a few
 * records, for which it may wait. What cannot be read makes every run fail with that status. */
struct moot_engine *moot_engine_make(struct moot_store *store, moot_group_id group);
/* The same, with that much memory for recent values: see moot_view_remember. */
struct moot_engine *moot_engine_make_sized(struct moot_store *store, moot_group_id group,
                                           size_t recent_bytes);
void moot_engine_destroy(struct moot_engine *engine);
/* After a snapshot was installed: forget what was read, and read it anew. Nothing may be unflushed.
 */
void moot_engine_reset(struct moot_engine *engine);
/* 0, or why the group's records cannot be read (MOOT_ECORRUPT, MOOT_EVERSION): fence it. */
int moot_engine_status(const struct moot_engine *engine) MOOT_MUST_USE;

/* Commands of a batch of reads that touch more elements than one may within a turn: they are left
 * for later, with an empty reply. Of an EXEC, all of it. When those before have touched many
 * times that, all the rest of the batch is, as one. */
struct moot_engine_aside {
    bool all;       /* in: every command, as long as there is room, whatever it touches */
    uint32_t room;  /* in: so many at most; what is beyond is refused */
    uint32_t count; /* out */
    bool rest;      /* out: also all items behind the last of these */
    uint32_t items[MOOT_LONG_READS_MAX]; /* out: which of the batch's, counted from 0 */
};

struct moot_engine_run {
    moot_index index;        /* Of the entry: makes incarnations unique. */
    struct moot_stamp stamp; /* time; ordinals are counted by the engine. */
    uint64_t now_ms;         /* WRITE: the stamp's; READ: the leader's clock. */
    uint64_t seed;
    bool is_read;
    bool
        refuse_growth; /* READ of no use; WRITE: as the entry says: DENYOOM commands answer -OOM. */
    bool leaves_chained; /* WRITE: as the entry says: the first chained item does not fit. */
    size_t replies_max;  /* READ: bytes of all replies; what is beyond is refused. 0, and always for
                            WRITE: MOOT_REPLIES_BYTES_MAX. */
    uint64_t elements;   /* READ: that one command may touch. 0: MOOT_READ_ELEMENTS_MAX. */
    struct moot_engine_aside *aside; /* READ; NULL: what touches more is refused. */
    const uint32_t *only; /* READ; NULL, or: run these items, ascending; others get no reply. */
    uint32_t only_count;
    bool only_rest; /* And all behind the last of them. */
    bool *stopped;  /* READ, or NULL. Not refused is what is beyond, but left out, from the first
                       such item on: then set to true. At least one item has its reply. */
    struct moot_slice batch;
    struct moot_buffer *replies; /* Appended; restored to its size when the run does not finish. */
};
/* Runs one batch as a whole. 0: done; the changes are kept in the view (moot_engine_view) and
 * `replies` is complete; a layer that the caller has open around it must not be dropped any more,
 * because the engine keeps sums in memory beside the view. MOOT_EWOULDBLOCK: nothing is kept;
 * misses (also those that later items of the batch will meet) are in the view; fetch, then run
 * again. MOOT_EDUE (reads): nothing is kept; expire shared->due_key through the log, then run
 * again. MOOT_ECORRUPT: fence the replica. MOOT_EINVALID: the batch is malformed (an edge of
 * another release, or a bug): answered as an error to every item is not possible; fence. */
int moot_engine_run(struct moot_engine *engine, const struct moot_engine_run *run) MOOT_MUST_USE;
/* Deletes keys that are due at now_ms: the body of an EXPIRE entry: (keyspace u16, key bytes)*.
 * Keys that are not due (any more) are left alone. Same results as moot_engine_run. */
int moot_engine_expire(struct moot_engine *engine, moot_index index, struct moot_stamp stamp,
                       struct moot_slice body) MOOT_MUST_USE;
/* For the leader: up to `max` keys due at now_ms, from the time-ordered index, as an EXPIRE body
 * appended to `out`; *next_ms: when the earliest that is not due yet will be (UINT64_MAX: none).
 * MOOT_EWOULDBLOCK. */
int moot_engine_due(struct moot_engine *engine, uint64_t now_ms, uint32_t max,
                    struct moot_buffer *out, uint32_t *count, uint64_t *next_ms) MOOT_MUST_USE;

struct moot_view *moot_engine_view(struct moot_engine *engine);
struct moot_call_shared *moot_engine_shared(struct moot_engine *engine);
/* Does this key hold a non-empty list now (in the view)? For waiters. Any error counts as yes. */
bool moot_engine_list_length(struct moot_engine *engine, moot_keyspace keyspace,
                             struct moot_slice key, uint64_t *length);

#endif
