/* What the files of the engine share.
 *
 * Memory beside the view: the group's sums and directory live in `state`, because reading and
 * writing them through the view for each command would cost as much as the command. They are saved
 * into the view once a run, and follow the view's layers by hand: whoever drops a layer restores
 * the state that was taken when it was pushed. */
#ifndef MOOT_DATABASE_EXECUTE_ENGINE_INTERNAL_H
#define MOOT_DATABASE_EXECUTE_ENGINE_INTERNAL_H

#include "base/limits.h"
#include "database/execute/engine.h"

enum engine_record {
    ENGINE_RECORD_STATE = 'e',  /* group: directory, digest, ids */
    ENGINE_RECORD_ID = 'i',     /* group: id -> what was answered */
    ENGINE_RECORD_ID_AGE = 'j', /* group: when it may be removed be64, id */
    ENGINE_RECORD_COUNT = 'n',  /* keyspace: number of keys, digest */
};

/* What a dropped layer takes back. */
struct engine_state {
    moot_keyspace keyspace_of[MOOT_DATABASES];
    struct moot_keyspace_sums sums[MOOT_DATABASES];
    uint64_t contents_digest, garbage_count;
    uint64_t ids_bytes;   /* Of all records of ids. */
    uint64_t ids_next_ms; /* Not above the time at which the first of them may be removed. */
};

struct moot_engine {
    struct moot_store *store;
    struct moot_view *view;
    moot_group_id group;
    int status;                   /* Of reading the group's records. */
    struct moot_arena arena;      /* Of one command. */
    struct moot_arena item_arena; /* Of one item: outlives its commands. */
    struct moot_arena signal_arena;
    uint64_t ids_bytes, ids_next_ms;
    struct engine_state saved; /* As the view has it. */
    struct moot_call_shared shared;
};

/* One run under way. */
struct engine_pass {
    struct moot_engine *engine;
    const struct moot_engine_run *run;
    bool is_blocked; /* Something was missing: go on only to find out what else is. */
    uint32_t ordinal;
    uint64_t incarnation;
    uint32_t ids_seen;
    uint32_t item;      /* The one under way, counted from 0. */
    uint32_t only_next; /* Of run->only. */
    uint64_t touched;   /* Elements, by the items before. */
    size_t first_reply; /* Where the run's replies begin, if it has any, ... */
    size_t item_reply;  /* ... and that of the item under way. */
    bool is_over;       /* A reply was refused for what is before it. */
    bool is_long_exec;  /* The EXEC under way may be left when it touches too much: all of it. */
    bool is_chained;    /* WRITE: the item under way may be left for later, ... */
    bool is_left;       /* ... and all such items are, from here on. */
};

/* What became of a command, beside 0, MOOT_CALL_ERROR, MOOT_CALL_WAITS and the negative statuses
 * that end a run: it was refused before it did anything, and an error reply was written; or it was
 * set aside, or left, and none was. */
enum { ENGINE_REFUSED = 3, ENGINE_ASIDE = 4, ENGINE_LEFT = 5 };

/* engine.c */
void engine__take(const struct moot_engine *engine, struct engine_state *state);
void engine__restore(struct moot_engine *engine, const struct engine_state *state);
struct engine_pass engine__begin(struct moot_engine *engine, const struct moot_engine_run *run);
/* A call without a command, for reading and expiring. */
struct moot_call engine__call(struct engine_pass *pass, uint8_t database);

/* Does the reply of the item under way, as far as it is written, fit what one run may answer? The
 * same on every replica: it goes by sizes alone. */
bool engine__reply_fits(const struct engine_pass *pass);

/* engine_run.c */
/* Cuts the replies back to `start`, and says there that the reply does not fit. ENGINE_REFUSED, or
 * ENGINE_LEFT. */
int engine__refuse_reply(struct engine_pass *pass, size_t start);
/* Runs one command and writes its reply. `in_exec`: what may only happen at an edge is answered
 * here, SELECT changes *database, and a command never waits. */
int engine__command(struct engine_pass *pass, uint8_t flags, uint8_t *database, bool in_exec,
                    const struct moot_slice *args, uint32_t argc);
int engine__exec(struct engine_pass *pass, const struct moot_item *item);
/* One that touched more than it may here: for later, as a whole. */
int engine__exec_is_long(struct engine_pass *pass);
/* Leaves the item under way for later; false when there is no room. */
bool engine__set_aside(struct engine_pass *pass);

/* engine_edge.c: commands that need no data, when they were queued by MULTI. */
int engine__edge_command(struct moot_call *call, uint8_t *database);

/* engine_id.c */
/* Has the item's id been used? 0: no, run it. ENGINE_REFUSED, MOOT_CALL_ERROR: a reply was written
 * (an error, or what the item was answered the first time). */
int engine__id_check(struct engine_pass *pass, const struct moot_item *item);
/* Keeps the reply that begins at `reply_start` under the item's id. */
int engine__id_keep(struct engine_pass *pass, const struct moot_item *item, size_t reply_start);
/* Removes some of the oldest ids. */
int engine__id_remove(struct engine_pass *pass);

/* engine.c: the end of a run that writes: some garbage goes, sums are saved. */
int engine__finish(struct engine_pass *pass);

/* engine_record.c */
/* Reads the group's records from the store, waiting if need be. */
int engine__load(struct moot_engine *engine);
/* Writes what has changed into the view. */
int engine__save(struct moot_engine *engine);

#endif
