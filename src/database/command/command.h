/* Commands: one table drives arity, flags, keys, docs and dispatch.
 *
 * A command is executed in one of three places. EDGE: by the connection's own node, from connection
 * state (HELLO, MULTI, CLIENT
 * ...; database/edge). READ: by the group's leader, at a place in the log. WRITE: by every replica,
 * as part of a log entry; so a write handler must be deterministic: its only inputs are the view,
 * its arguments, and what `struct moot_call` carries. */
#ifndef MOOT_DATABASE_COMMAND_COMMAND_H
#define MOOT_DATABASE_COMMAND_COMMAND_H

#include "base/limits.h"
#include "moot/quorum.h"
#include "database/execute/head.h"
#include "database/execute/key.h"
#include "database/execute/view.h"
#include "wire/resp.h"

struct moot_call;
struct moot_call_shared;

/* 0: a reply was written. MOOT_CALL_ERROR: an error reply was written: what the command changed is
 * undone. MOOT_CALL_WAITS: a blocking command found nothing, and no reply was written. Negative: no
 * reply yet: MOOT_EWOULDBLOCK (fetch and run again), MOOT_EDUE (a read met a key past its expiry:
 * see shared->due_key), MOOT_EBUDGET, MOOT_ECORRUPT, MOOT_ELIMIT. Handlers `return` any non-zero
 * status of what they call at once. */
typedef int (*moot_command_handler)(struct moot_call *call);
enum { MOOT_CALL_ERROR = 1, MOOT_CALL_WAITS = 2 };

enum moot_command_place { MOOT_PLACE_EDGE, MOOT_PLACE_READ, MOOT_PLACE_WRITE };

enum moot_command_flag {
    MOOT_FLAG_FAST = 1 << 0,
    MOOT_FLAG_DENYOOM = 1 << 1, /* Grows data: refused at the disk's low-water mark. */
    MOOT_FLAG_BLOCKING =
        1 << 2, /* May answer MOOT_CALL_WAITS. Inside MULTI that becomes a null reply. */
    MOOT_FLAG_NO_MULTI = 1 << 3, /* Not inside MULTI. */
    MOOT_FLAG_ADMIN = 1 << 4,
    MOOT_FLAG_LOADING = 1 << 5,     /* Allowed before the node serves. */
    MOOT_FLAG_SYSTEM = 1 << 6,      /* Goes to the `system` group. */
    MOOT_FLAG_MULTI_STATE = 1 << 7, /* MULTI, EXEC, DISCARD, WATCH ...: never queued. */
};

struct moot_command {
    const char *name; /* lower case */
    int arity; /* As Redis: exact when positive, at least -arity when negative; counts the name. */
    enum moot_command_place place;
    uint32_t flags;
    int16_t key_first, key_last, key_step; /* As COMMAND gives them; all 0: no keys. last -1: to the
                                              end, -2: all but the last. */
    moot_command_handler run; /* READ and WRITE. EDGE commands are dispatched by database/edge. */
    const char *group;        /* COMMAND DOCS: "string", "generic", "hash", "list", "transactions",
                                 "connection", "server", "cluster" */
    const char *summary, *since, *complexity;
    const char *syntax; /* Arguments in words: "key value [NX | XX]". */
};

/* NULL when there is none. Case is ignored. */
const struct moot_command *moot_command_find(struct moot_slice name);
/* The table, sorted by name. */
const struct moot_command *moot_command_table(size_t *count);
static inline bool moot_command_arity_fits(const struct moot_command *command, uint32_t argc)
{
    return command->arity >= 0 ? argc == (uint32_t)command->arity
                               : argc >= (uint32_t)-command->arity;
}
/* Positions of the keys in args; returns how many (`out` may be NULL to count). Every position is
 * below argc. */
uint32_t moot_command_keys(const struct moot_command *command, uint32_t argc, uint32_t *out,
                           uint32_t out_max);

/* An incarnation is the entry's index above these bits, and a counter within the entry: of 16
 * million collections that it may make. So one can see that a collection was made by this entry. */
enum { MOOT_INCARNATION_BITS = 24 };

/* Everything one execution of one command may know. */
struct moot_call {
    struct moot_view *view;
    struct moot_arena *arena; /* Reset after the command. */
    const struct moot_command *command;
    const struct moot_slice *args; /* args[0] is the name as sent. */
    uint32_t argc;
    uint8_t database;       /* The connection's: 0..15. */
    moot_keyspace keyspace; /* What that database is now (SWAPDB). */
    bool is_read;  /* On the leader only, not in the log: must not write; a due key is MOOT_EDUE. */
    bool is_retry; /* Of a client that has waited for a list. */
    bool is_deferred; /* Others wait before it: it may fail, or wait too, but takes nothing. */
    struct moot_stamp stamp; /* WRITE: this command's own. */
    uint64_t incarnation; /* WRITE: unique in the group, for a new collection: use it, then ++. */
    uint64_t now_ms;      /* WRITE: the stamp's time. READ: the leader's clock. */
    uint64_t seed;        /* WRITE: of the entry; READ: of the turn. */
    struct moot_resp reply;
    struct moot_call_shared *shared; /* What the commands of one group share. */
    struct {                         /* private: object.c: the last key asked for, made physical */
        moot_keyspace keyspace;
        struct moot_slice key, physical;
    } memo;
};

/* Group state that handlers may read or change. */
struct moot_call_shared {
    moot_keyspace keyspace_of[16]; /* database -> keyspace; SWAPDB exchanges two. Kept in the
                                      group's record by the engine. */
    moot_group_id group;
    const struct moot_members *members; /* As of the last entry applied; NULL: not known. */
    const uint32_t *feature_level;      /* The same; NULL: this release's. */
    /* A command was refused that would not be under this level; not part of the state. 0: none. */
    uint32_t level_wanted;
    /* Number of keys, and sum over heads of hash(physical key, head bytes): of the keyspace in each
     * place, and the sum of all. Kept by moot_object_*, saved (and undone) by the engine. */
    struct moot_keyspace_sums {
        uint64_t count, digest;
    } sums[MOOT_DATABASES];
    uint64_t garbage_count; /* Dead ranges that are not yet collected; the same. */
    uint64_t contents_digest;
    /* Not above the earliest expiry in the group; not part of its state. Lowered by moot_object_*,
     * raised by moot_engine_due: so that asking when nothing is due costs nothing. */
    uint64_t expiry_floor_ms;
    /* Keys whose lists grew, for waiters, copied into signal_arena. The leader reads it after each
     * entry. */
    struct moot_arena *signal_arena;
    uint32_t signal_count;
    bool signals_lost; /* More than fit: look at every waiter. */
    /* READ, after MOOT_EDUE: what to expire; in signal_arena. */
    moot_keyspace due_keyspace;
    struct moot_slice due_key;
    struct { /* Last, so that nobody clears them: there are many. */
        moot_keyspace keyspace;
        struct moot_slice key;
    } signals[MOOT_SIGNALS_MAX];
};

/* ---- what every handler uses (command/object.c) ---- */
/* Finds the key's head. MOOT_ENOTFOUND also when it is past its expiry at call->now_ms on a write
 * (it is deleted first); on a read that is MOOT_EDUE. */
int moot_object_find(struct moot_call *call, struct moot_slice key,
                     struct moot_head *head) MOOT_MUST_USE;
/* As find, and checks the type: MOOT_CALL_ERROR after writing WRONGTYPE. */
int moot_object_find_type(struct moot_call *call, struct moot_slice key, enum moot_type type,
                          struct moot_head *head) MOOT_MUST_USE;
/* Saves a head: sets its stamp, keeps the expiry index, the key count and the contents' digest.
 * `before`: what find gave, or NULL when there was none, or when it was not asked (a plain SET
 * needs no find). When the key holds a collection of another incarnation its elements are removed.
 * MOOT_ELIMIT: the string is larger than a value may be. */
int moot_object_save(struct moot_call *call, struct moot_slice key, const struct moot_head *before,
                     struct moot_head *head) MOOT_MUST_USE;
/* Deletes key and all elements in O(1); leaves its deletion stamp for WATCH. `before` is what find
 * gave; with before->count set to 0 by a caller that has deleted every element one by one (the last
 * pop of a list) no range deletion is made. */
int moot_object_delete(struct moot_call *call, struct moot_slice key,
                       const struct moot_head *before) MOOT_MUST_USE;
/* Elements of a collection; put and delete keep head->digest (the caller keeps count, and saves the
 * head) and answer in *existed. */
int moot_element_get(struct moot_call *call, struct moot_slice key, const struct moot_head *head,
                     struct moot_slice element, struct moot_slice *value) MOOT_MUST_USE;
int moot_element_put(struct moot_call *call, struct moot_slice key, struct moot_head *head,
                     struct moot_slice element, struct moot_slice value,
                     bool *existed) MOOT_MUST_USE;
/* As put, for an element that surely is not there (a list's new end): asks no store. */
int moot_element_add(struct moot_call *call, struct moot_slice key, struct moot_head *head,
                     struct moot_slice element, struct moot_slice value) MOOT_MUST_USE;
int moot_element_delete(struct moot_call *call, struct moot_slice key, struct moot_head *head,
                        struct moot_slice element, bool *existed) MOOT_MUST_USE;
/* The stamp that WATCH remembers: of the last write, or, for a key that is not there, of the last
 * deletion in its bucket (a deletion stamp is kept for each of 4,096 hash buckets of a keyspace: a
 * rare false abort, never a missed change). */
int moot_object_stamp(struct moot_call *call, struct moot_slice key,
                      struct moot_stamp *stamp) MOOT_MUST_USE;
/* Removes everything in the keyspace in O(1): its place gets a new generation (call->keyspace and
 * keyspace_of change where they named the old one); moves the deletion stamp of every bucket (one
 * floor stamp). Waiters are to be looked at: signals_lost. */
int moot_object_flush(struct moot_call *call, moot_keyspace keyspace) MOOT_MUST_USE;
/* Is this the keyspace of some database now (and not a generation that was flushed)? */
bool moot_keyspace_is_live(const struct moot_call_shared *shared, moot_keyspace keyspace);
/* Number of keys of a keyspace, due ones included. Never blocks. */
int moot_object_count(struct moot_call *call, moot_keyspace keyspace,
                      uint64_t *count) MOOT_MUST_USE;
/* ---- garbage (command/garbage.c) ---- */
/* The range is dead: nobody will read or write it again. It is removed piece by piece by later
 * runs: a store takes time for each key of a range that it deletes. */
int moot_garbage_add(struct moot_call *call, struct moot_range range) MOOT_MUST_USE;
/* Is something of this keyspace waiting to be collected? */
int moot_garbage_has(struct moot_call *call, moot_keyspace keyspace, bool *has) MOOT_MUST_USE;
/* Removes up to `left` keys of garbage. */
int moot_garbage_collect(struct moot_call *call, uint64_t left) MOOT_MUST_USE;
/* Tell waiters that a key's list has grown. */
void moot_call_signal(struct moot_call *call, struct moot_slice key);
/* Each writes an error reply and returns MOOT_CALL_ERROR. */
int moot_call_error(struct moot_call *call, const char *text) MOOT_MUST_USE;
int moot_call_wrong_type(struct moot_call *call) MOOT_MUST_USE;
int moot_call_syntax(struct moot_call *call) MOOT_MUST_USE; /* ERR syntax error */
int moot_call_not_integer(struct moot_call *call)
    MOOT_MUST_USE; /* ERR value is not an integer or out of range */

#endif
