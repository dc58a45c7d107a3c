/* One client's connection, as the brain sees it: what it has sent, what it is owed, and its state.
 *
 * Replies leave in the order of the commands: every command gets a slot; a slot that is ready waits
 * for the ones before it. */
#ifndef MOOT_DATABASE_EDGE_CONNECTION_H
#define MOOT_DATABASE_EDGE_CONNECTION_H

#include "base/limits.h"
#include "database/execute/head.h"
#include "database/turn.h"
#include "wire/admission.h"
#include "wire/resp.h"

struct moot_slot {
    bool ready;
    uint8_t *bytes; /* Only of a slot that is ready and not first. */
    size_t size;
};

struct moot_watch {
    uint8_t database;
    struct moot_block *key;
    struct moot_stamp stamp;
};

/* Reads of a connection that are not in the log and not answered: after a fail-over they are sent
 * again, so no write may follow them yet. */
struct moot_open_reads {
    uint32_t count;
    uint64_t generation; /* Of the read batch that the first was put into, */
    uint32_t ref;        /* as which of its references, */
    size_t from;         /* and where. */
};

struct moot_connection {
    moot_connection_id id;
    uint64_t number; /* CLIENT ID: small, counted from 1. */
    char address[MOOT_PEERNAME_MAX];
    char name[MOOT_NAME_MAX], library[MOOT_NAME_MAX], library_version[MOOT_NAME_MAX];
    struct moot_instant opened, active; /* Since when it is there; when it last sent a command, */
    const char *command;                /* which was this one; NULL: none yet. */

    struct moot_resp_parser parser;
    struct moot_buffer in;
    struct moot_buffer out; /* Replies of this turn. */
    size_t unsent;          /* What the driver holds. */
    size_t held;            /* moot_connection_bytes when it was last counted; see budget.c. */
    size_t slot_bytes;      /* Of replies in slots that wait for earlier ones. */
    size_t watch_bytes;     /* Of watched keys. */
    uint8_t protocol, database;
    bool is_dirty;   /* In the edge's list of connections with output. */
    bool is_paused;  /* The driver was told not to read. */
    bool has_ended;  /* Sends no more. */
    bool is_closing; /* No more commands; close when all slots are answered. */
    bool is_closed;  /* CLIENT_CLOSE is on its way. */
    bool waits;      /* The barrier is a blocking command's. */
    bool barrier;    /* Parse no further command until all slots are answered. */
    bool wants_pump;

    struct moot_slot *slots; /* ring */
    uint32_t slot_capacity, slot_head, slot_count;
    uint64_t slot_first; /* Sequence of the first slot. */

    bool in_multi, multi_failed;
    bool multi_writes;        /* Some of what is queued; else EXEC is a read. */
    struct moot_buffer queue; /* Bodies of the queued commands. */
    uint32_t queued;
    uint8_t multi_database; /* SELECT inside MULTI. */
    bool exec_selects;      /* An EXEC under way decides the database: the one at exec_slot. */
    uint64_t exec_slot;
    struct moot_watch *watches;
    uint32_t watch_count, watch_capacity;

    struct moot_block *with_id; /* WITH ID ..., for the next command. */
    bool has_with;
    uint8_t nonce[MOOT_MAC_BYTES]; /* Given by MOOT JOIN, for one proof. */
    bool has_nonce;
    uint64_t
        building[MOOT_GROUPS_MAX]; /* Generation of the write batch it last has a command in. */
    struct moot_open_reads reads;
    uint64_t open_in_part; /* That answer to a batch of reads left one of its commands open. */
    /* left.c: commands in the log behind a read; not answered, and all in one batch. */
    uint32_t chained;
    uint64_t chain_generation;
    struct moot_buffer left; /* Those to be asked for again: (slot u64, kind u8, item bytes)* */
    bool is_held;            /* The next command writes, and waits for `reads`. */
};

struct moot_connection *moot_connection_make(moot_connection_id id, struct moot_slice address);
void moot_connection_destroy(struct moot_connection *connection);
/* All memory that it takes, here and in the driver. */
size_t moot_connection_bytes(const struct moot_connection *connection);
/* Gives back what is kept for later and is empty now. */
void moot_connection_trim(struct moot_connection *connection);
/* A new slot, not ready; returns its sequence. */
uint64_t moot_connection_slot(struct moot_connection *connection);
/* The slot's reply. Replies that are first in order go to `out`. */
void moot_connection_answer(struct moot_connection *connection, uint64_t slot,
                            struct moot_slice reply);
void moot_connection_forget_watches(struct moot_connection *connection);
void moot_connection_end_multi(struct moot_connection *connection);
/* RESET: back to how it was opened. */
void moot_connection_reset(struct moot_connection *connection);

#endif
