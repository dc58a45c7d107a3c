/* Clients that send any command there is: what its files share.
 *
 *   any.c          what is asked
 *   any_edge.c     what a connection's node answers of itself, and what it makes of commands
 *   any_judge.c    what the group may answer, where some commands are in doubt
 *   grammar.c      arguments
 *   reference.c    a lone engine
 *
 * Each client has databases and keys of its own, so all that it is told follows from what it has
 * asked, in that order: the reference says it. A command in doubt may be done at any later time, or
 * never: from then on there are several *candidates* for what the keys hold, and each answer leaves
 * those that would have given it. None left: somebody was told something wrong. Of one connection a
 * later command that was done says of those in doubt before it that they are done or never will be.
 *
 * When too much is in doubt a client goes on with other keys (a *generation* of them) and, if it is
 * not far too much, reads the old ones at the end. */
#ifndef MOOT_SIM_ANY_H
#define MOOT_SIM_ANY_H

#include "database/command/command.h"
#include "sim/grammar.h"
#include "sim/reference.h"
#include "sim/world.h"

enum {
    ANY_KEYS = 8,
    ANY_CANDIDATES_MAX = 40,
    ANY_PENDINGS_MAX = 10,
    ANY_GLOBAL_ROOM = 3, /* Of these, for what is done to whole databases. */
    ANY_KEPT_MAX = 3,    /* Generations to be read at the end, beside the last one. */
    ANY_KEY_BYTES = 32,
};
#define ANY_TOUCHES_ALL UINT64_MAX /* Else the last bit is not set. */

/* ---- what a connection knows (any_edge.c) ---- */

struct any_mirror {
    uint64_t connection; /* Of which this is said. */
    uint8_t protocol, database, multi_database;
    bool in_multi, multi_failed;
    bool watch_refused; /* Nobody knows what it watches. */
    uint32_t watched;   /* Keys. */
    uint32_t queued;
    bool writes, grows, is_global, exec_selects; /* What is queued. */
    uint64_t touches, watch_touches;
    struct moot_buffer queue; /* Bodies. */
    char name[16];            /* As CLIENT SETNAME gave it. */
};

enum any_kind {
    ANY_SAID,     /* The node answers it: exactly `said`. */
    ANY_SAID_SO,  /* The same, or something of that kind. */
    ANY_SAID_ALL, /* It may say what it likes. */
    ANY_COMMAND,  /* For the group. */
    ANY_WATCH,
    ANY_EXEC,
};
/* What one command comes to, at its place in the connection. */
struct any_meaning {
    enum any_kind kind;
    uint8_t protocol, database, database_then;
    const struct moot_slice *args; /* Without WITH ID. */
    uint32_t argc;
    struct moot_slice id;
    bool writes, grows;
    bool may_wait;  /* Or: nobody can say what it comes to if it is in doubt. */
    bool is_global; /* Of a whole database, or several. */
    bool ends_watch;
    bool watch_refused;      /* EXEC: nobody knows what it watches. */
    uint64_t touches;        /* Bits of the keys' hashes. */
    struct moot_buffer said; /* The reply, or the item's body. */
};
uint64_t any_touch(struct moot_slice key);
void any_mirror_begin(struct any_mirror *mirror, const struct sim_client *client, uint8_t database);
/* `meaning->said` is in use already. The mirror goes on as if it were answered. */
void any_mirror_step(struct any_mirror *mirror, const struct moot_slice *args, uint32_t argc,
                     struct any_meaning *meaning);

/* ---- what the keys may hold (any_judge.c) ---- */

struct any_pending {
    struct moot_buffer item;
    uint64_t touches, connection;
    bool is_global;
};
struct any_candidate {
    struct sim_reference *reference;
    uint32_t open;              /* Mask of pendings that may still be done. */
    uint64_t contents;          /* A hash; 0: not known since it changed. */
    struct moot_buffer watches; /* As EXEC carries them. */
};
struct any_generation {
    uint32_t number;
    bool is_lost;    /* Nobody knows what its keys hold. */
    bool is_haunted; /* Nor those of any later one. */
    uint8_t database, database_count;
    bool has_shorts;                             /* Keys may expire. */
    uint64_t drawn_ms[SIM_GRAMMAR_SHORT_MAX_MS]; /* See sim/grammar.h. */
    struct any_candidate candidates[ANY_CANDIDATES_MAX];
    uint32_t count;
    struct any_pending pendings[ANY_PENDINGS_MAX];
    uint32_t pending_count;
    char names[ANY_KEYS][ANY_KEY_BYTES];
    struct moot_slice keys[ANY_KEYS];
};
struct any_generation *any_generation_make(uint32_t number, uint8_t database,
                                           uint8_t database_count);
void any_generation_free(struct any_generation *generation);
/* Another one after it, which inherits what may still be done to whole databases. */
struct any_generation *any_generation_next(const struct any_generation *generation);
bool any_generation_in_doubt(const struct any_generation *generation);
bool any_generation_in_global_doubt(const struct any_generation *generation);
/* The command may be done from now on, or never. */
void any_doubt(struct any_generation *generation, const struct any_meaning *meaning,
               uint64_t connection);
/* It was answered with `reply`; false: that cannot be, and `expected` is what could. */
struct any_answer {
    uint64_t connection;
    uint64_t wall_ms; /* Now; what expires before or just then may be gone. */
    bool is_known;    /* Else it was done, but the answer says nothing more. */
    struct moot_slice reply;
};
bool any_judge(struct any_generation *generation, const struct any_meaning *meaning,
               const struct any_answer *answer, struct moot_buffer *expected);
void any_forget_watches(struct any_generation *generation);
/* Is the answer of that kind? */
bool any_is_alike(struct moot_slice a, struct moot_slice b);

/* ---- one client (any.c) ---- */

/* May the owner of so many databases ask for it? */
bool any_may_ask(const struct moot_command *command, uint32_t database_count);

struct any_unit { /* What was asked and not answered. */
    struct moot_buffer body;
    struct any_generation *generation;
    uint32_t last;  /* Of the last reads: which, from 1 on. */
    uint32_t times; /* So often it was asked and is not answered. */
};
struct sim_any {
    struct any_mirror mirror;
    struct any_generation *now, *kept[ANY_KEPT_MAX];
    uint32_t kept_count;
    struct any_unit units[SIM_EXPECTED_MAX]; /* In order. */
    uint32_t unit_count;
    uint8_t database, database_count;
    uint64_t expiries, values, shorts, cursor;
    uint64_t waited_until; /* A pop of its own that waited may be taken to wait still. */
    struct {               /* Asked again and again under an id. */
        bool active;
        uint32_t tries;
        uint8_t database;
        struct moot_buffer bodies; /* (size varint, body)* */
    } again;
    uint32_t last_generation, last_read, last_expected;
    bool last_done;
    struct moot_arena arena;
    struct any_meaning meaning;
};

#endif
