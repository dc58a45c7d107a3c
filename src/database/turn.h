/* Turn and effects: the one contract between a server's brain and whoever drives it.
 *
 * moot_node_turn(node, inputs, now) -> effects. Inputs are values: bytes from a client, a message
 * from a peer, a ticket that has become durable. Effects are an ordered array of values: the driver
 * performs them in order, and may be killed between any two. The brain has no clock, socket, thread
 * or file; time is a field, randomness a seed. Two drivers exist: src/host (libuv, real disks) and
 * src/sim (virtual time, faults).
 *
 * A turn takes everything that is ready and flushes once: one journal batch, one message a peer and
 * lane, one store batch, one write a client.
 *
 * Who holds what until when: input slices are the driver's and may be reused when the turn returns.
 * Effect slices are the node's and valid until its next turn, except journal bytes, which stay
 * until the batch's DURABLE input.
 *
 * What leaves and what it waits for: every SEND carries `after`, the journal ticket that it depends
 * on; the node emits it only once that ticket was reported durable, and a driver asserts it.
 * Replies need none: they follow commits. */
#ifndef MOOT_DATABASE_TURN_H
#define MOOT_DATABASE_TURN_H

#include "base/block.h"
#include "moot/base.h"
#include "storage/journal.h"
#include "storage/store.h"

typedef uint64_t moot_connection_id; /* Given by the driver, never reused within a process. */

/* What time it is: both clocks, read once before the turn. */
struct moot_now {
    struct moot_instant instant; /* Monotonic. */
    uint64_t wall_ms;            /* Milliseconds since 1970 by this node's own clock: may jump. */
};

enum moot_input_kind {
    MOOT_INPUT_TICK,          /* The deadline came; nothing else. */
    MOOT_INPUT_CLIENT_OPENED, /* connection, bytes: the remote address as text */
    MOOT_INPUT_CLIENT_BYTES,  /* connection, bytes */
    MOOT_INPUT_CLIENT_ENDED,  /* connection: it sends no more, and may still read: what it asked is
                                 answered, then it is closed */
    MOOT_INPUT_CLIENT_SENT,   /* connection, amount: bytes of its replies still unsent */
    MOOT_INPUT_CLIENT_CLOSED, /* connection: by the other side, or after CLIENT_CLOSE */
    MOOT_INPUT_PEER_UP,       /* node, amount: its incarnation. The handshake proved who it is.
                                 status: the feature level that its release knows; 0: it does not
                                 say, as those from before that did not */
    MOOT_INPUT_PEER_DOWN,     /* node, status: 0 when its kernel closed the link (it may have died);
                                 MOOT_EREFUSED: it says that this node was removed */
    MOOT_INPUT_PEER_MESSAGE,  /* node, bytes: one whole message. Received: validated, never trusted.
                               */
    MOOT_INPUT_DURABLE,       /* ticket: the journal batch of that number is on disk */
    MOOT_INPUT_FETCHED,       /* ticket, status: what a FETCH asked for is in memory */
    MOOT_INPUT_FLUSHED,       /* ticket, status: what the store held at FLUSH is durable */
    MOOT_INPUT_CHUNK,         /* ticket, status, bytes: what a PIN_READ asked for (encoded:
                                 storage/snapshot.h) */
    MOOT_INPUT_INGESTED,      /* ticket, status: an INGEST effect is done */
    MOOT_INPUT_LONG_READ,     /* ticket, status, amount, bytes: what moot_long_read_run (group/
                                 long_read.h) made of a LONG_READ effect */
    MOOT_INPUT_SPACE,         /* amount: free bytes on the data disk, ticket: of how many (or 0) */
    MOOT_INPUT_HEALTH,        /* node, status: enum moot_health, amount: phi in thousandths, round
                                 trips: what the driver's failure detectors think. Advice. */
    MOOT_INPUT_STOP,   /* Hand over leadership, finish what can be finished, then effect STOP. */
    MOOT_INPUT_REOPEN, /* The driver wants to open the brain again at once, in the same process:
                          when the others can do without this node, make the store durable, hand
                          over leadership, let clients come to rest, then a CLIENT_KEEP for each,
                          and STOP. Until then it goes on as ever. */
    MOOT_INPUT_CLIENT_KEPT, /* connection, bytes: of its CLIENT_KEEP, by the brain before: in place
                               of CLIENT_OPENED */
    MOOT_INPUT_PEER_PART,   /* node, bytes: the first of a message, of which more have come now;
                               amount: how many. Now and then, while a large one is on its way. */
    MOOT_INPUT_KINDS,
};

/* What a failure detector thinks of a node. It may be wrong: no ownership and no vote depends on
 * it. */
enum moot_health {
    MOOT_HEALTH_UNKNOWN, /* Not heard of yet, or not for a while. */
    MOOT_HEALTH_ALIVE,
    MOOT_HEALTH_SUSPECT,
    MOOT_HEALTH_FAILED,
    MOOT_HEALTH_LEFT, /* It said goodbye. */
    MOOT_HEALTH_STATES,
};

struct moot_input {
    enum moot_input_kind kind;
    int status;
    moot_node_id node;
    uint64_t amount;
    union {
        moot_connection_id connection;
        moot_ticket ticket;
        struct {                    /* HEALTH; 0: not known. */
            uint32_t round_trip_us; /* Between this node and `node`, on their link. */
            uint32_t others_us;     /* The shortest that `node` has with a third one. */
        } link;
    };
    struct moot_slice bytes;
};

enum moot_effect_kind {
    /* Disk */
    MOOT_EFFECT_JOURNAL,     /* Write `journal` (its batch number is the ticket); answer DURABLE. In
                                order. */
    MOOT_EFFECT_STORE_WRITE, /* Apply `batch` now, before the next turn. An error ends the process.
                              */
    MOOT_EFFECT_FLUSH,       /* Flush the store beside other work; answer FLUSHED. */
    MOOT_EFFECT_FETCH,       /* Bring `fetch` into memory beside other work; answer FETCHED. */
    /* Snapshots */
    MOOT_EFFECT_PIN,      /* Pin the store as it is now, under the number `ticket`. */
    MOOT_EFFECT_UNPIN,    /* Forget pin `ticket`. */
    MOOT_EFFECT_PIN_READ, /* Read up to `pin_read.bytes_max` of a pin; answer CHUNK with `ticket`.
                           */
    MOOT_EFFECT_INGEST,   /* One step of installing a snapshot; answer INGESTED. In order. */
    /* Reads that take too long for a turn */
    MOOT_EFFECT_LONG_READ, /* Run `long_read` on its pin, beside other work; answer LONG_READ. The
                              pin may be forgotten (UNPIN) before: it ends with the last reader. */
    /* Network */
    MOOT_EFFECT_SEND, /* To peer `send.node`; may be dropped when there is no link. */
    MOOT_EFFECT_PEER, /* The peer's address: keep a link to it; empty, or `is_removed`: end the
                         link, and refuse it. */
    /* Clients */
    MOOT_EFFECT_REPLY,        /* Bytes to a client. */
    MOOT_EFFECT_CLIENT_PAUSE, /* Read no more from it (client.on), or go on. */
    MOOT_EFFECT_CLIENT_CLOSE, /* Send what is unsent, then close; answer CLIENT_CLOSED. At once, and
                                 drop what is unsent: client.on. */
    /* People */
    MOOT_EFFECT_LOG,         /* A line for people: text. */
    MOOT_EFFECT_STOP,        /* End the process: status 0 when asked for, else why, with text. */
    MOOT_EFFECT_CLIENT_KEEP, /* Before STOP, when REOPEN was asked for: the connection stays; the
                                next brain gets these bytes by CLIENT_KEPT. */
    MOOT_EFFECT_KINDS,
};

/* Bytes of a message. With an owner the driver may retain the block instead of copying; without one
 * the bytes are valid until the next turn. */
struct moot_part {
    struct moot_slice bytes;
    struct moot_block *owner; /* NULL, or the block that holds `bytes`. */
};

/* Commands of a batch of reads, to be run on a pin of the store: see group/long_read.h. */
struct moot_long_read {
    moot_ticket pin;
    moot_group_id group;
    uint64_t now_ms, seed; /* Of the turn that they were placed in. */
    size_t replies_max;
    struct moot_slice batch; /* execute/engine.h */
    const uint32_t *items;   /* Which of the batch's, counted from 0; ascending. */
    uint32_t item_count;
    bool rest; /* And all behind the last of these. */
};

enum moot_ingest_step { MOOT_INGEST_BEGIN, MOOT_INGEST_ADD, MOOT_INGEST_COMMIT, MOOT_INGEST_ABORT };

enum moot_log_level { MOOT_LOG_INFO, MOOT_LOG_WARN, MOOT_LOG_ERROR };

struct moot_effect {
    enum moot_effect_kind kind;
    int status;         /* STOP */
    moot_ticket ticket; /* FLUSH, FETCH, PIN, UNPIN, PIN_READ, INGEST, LONG_READ */
    union {
        struct {
            struct moot_journal_write where;
            struct moot_slice bytes;
            bool answers_wait; /* Messages wait for it: the driver may let the node wait too. */
        } journal;
        const struct moot_batch *batch; /* STORE_WRITE */
        struct {
            const struct moot_slice *keys;
            const struct moot_range *ranges;
            const bool *reverse; /* Of each range: is its end wanted first? */
            uint32_t key_count, range_count;
            uint64_t range_limit; /* Entries to warm of each range. */
        } fetch;
        struct {
            moot_ticket pin;
            struct moot_range range; /* `from` is where to go on. */
            size_t bytes_max;
        } pin_read;
        struct {
            enum moot_ingest_step step;
            const struct moot_range *ranges; /* BEGIN */
            uint32_t range_count;
            struct moot_slice chunk;        /* ADD: encoded pairs (storage/snapshot.h) */
            const struct moot_batch *extra; /* COMMIT */
        } ingest;
        struct moot_long_read long_read;
        struct {
            moot_node_id node;
            bool urgent; /* Overtakes bulk. */
            moot_ticket after;
            const struct moot_part *parts;
            uint32_t part_count;
        } send;
        struct {
            moot_node_id node;
            struct moot_slice address; /* host:port */
            bool is_removed; /* Refuse its links, and tell it why: that it was removed. With an
                                address: dial it to say so, it may not know whom to ask. */
        } peer;
        struct {
            moot_connection_id connection;
            struct moot_slice bytes; /* REPLY, CLIENT_KEEP */
            bool on;                 /* CLIENT_PAUSE, CLIENT_CLOSE */
        } client;
        struct {
            enum moot_log_level level;
            struct moot_slice text; /* LOG, STOP */
        } log;
    };
};

struct moot_effects {
    struct moot_effect *items; /* read-only, in order */
    size_t count;
    struct moot_instant deadline; /* When to come again with TICK if nothing else happens. */
};

#endif
