/* The edge's side of one group: batches what clients ask in a turn, sends it to the leader in
 * order, and keeps it until it is answered, whatever happens to leaders and links meanwhile.
 *
 * Writes are numbered: the state machine executes exactly the next number, so sending one again is
 * safe. Reads are sent again until answered or too old. A session with a leader takes submissions
 * strictly in sequence; when it breaks (another leader, a lost link, a NACK, silence) a new one
 * begins and everything unanswered is sent again in order.
 *
 * What a batch costs (a write and a flush of three disks, a message to each follower and back, the
 * threads and processes that are woken) it costs whether it holds one command or fifty. Clients
 * whose writes were answered together mostly ask again at once, but not all within the same turn:
 * sent turn by turn, the first few would be a batch of their own, and the rest the next, for ever.
 * So a small batch waits until it holds most of as many writes as were answered last, but not for
 * long: Nagle's algorithm (RFC 896), with the number of those in place of a segment's size. */
#ifndef MOOT_DATABASE_EDGE_STREAM_H
#define MOOT_DATABASE_EDGE_STREAM_H

#include "database/execute/engine.h"
#include "database/group/message.h"
#include "database/group/waiters.h"
#include "database/outbox.h"

enum moot_ref_kind {
    MOOT_REF_REPLY, /* The reply is the client's. */
    MOOT_REF_WATCH, /* Stamps to remember, then +OK. */
    MOOT_REF_EXEC,  /* The client's; ends its watches. */
    MOOT_REF_BLOCK, /* May come back empty: the client waits. */
    MOOT_REF_RETRY, /* Of a waiter that was woken: `slot` is the waiter's id. */
    MOOT_REF_NONE,  /* Nobody's: the node's own. */
    MOOT_REF_GIFT,  /* Nobody's, but not to be lost: an element that goes back to its list. */
};

/* Who gets the reply of one item. */
struct moot_ref {
    moot_connection_id connection;
    uint64_t slot;
    enum moot_ref_kind kind;
    bool is_placed_read; /* Not in the log. */
    bool is_chained;     /* In the log, and may be left for later: left.c. */
};

/* A batch under construction, or sent and unanswered. */
struct moot_submission {
    enum moot_submit_kind kind;
    uint64_t number;          /* 0 until it is first sent. */
    uint64_t epoch;           /* Session it was last sent in; 0: never sent. */
    struct moot_block *block; /* Header room, then items. */
    struct moot_ref *refs;
    uint32_t ref_count, ref_capacity;
    struct moot_buffer items;  /* While under construction: header room, then items. */
    struct moot_instant since; /* When its first item came. */
    bool is_long; /* READS: the leader has said, at `since`, that what is left takes a while. */
    /* READS: the state that the replies told so far have seen, the latest of them; and replies that
     * are known, and wait for those of commands before them on their connections. */
    moot_hlc_stamp told_stamp, kept_stamp;
    struct moot_block *kept; /* Or NULL. */
    bool given_up; /* Its clients were told (their refs are NONE since), but for those that may get
                      an element; it is kept to be executed exactly once. */
};

struct moot_stream_edge {
    moot_group_id group;
    uint64_t incarnation;
    /* the session */
    moot_node_id leader; /* 0: none is known */
    moot_term term;      /* Its term of office: what it held in an earlier one is lost. */
    uint64_t epoch, sequence;
    bool broken;                    /* Begin a new session at the next flush. */
    struct moot_instant not_before; /* After a NACK: wait a little. */
    struct moot_instant heard;      /* Last answer, or the session's start. */
    struct moot_instant moved;      /* Some bytes of an answer came, that was not whole then. */
    uint32_t silences;              /* Sessions in a row that ended without an answer. */
    uint64_t waiters_sent, waiters_answered; /* Registrations, by number. */
    /* batches */
    uint64_t next_write, next_read;
    uint64_t generation, read_generation; /* Of the batches under construction. */
    struct moot_submission writes, reads; /* under construction */
    struct moot_submission *sent;         /* closed and unanswered, in order */
    size_t sent_count, sent_capacity;
    size_t numbered; /* Of these, from the first: have a number, so were sent. */
    uint32_t writes_in_flight, reads_in_flight;
    uint64_t answered; /* Writes of one turn, at `answered_at`: the last such answers. */
    struct moot_instant answered_at;
    struct moot_instant company_until; /* The write batch under construction waits; or NEVER. */
    uint64_t queued_bytes, queued_commands;
    uint64_t queue_bytes_max;
    /* statistics */
    uint64_t sessions, resent;
};

void moot_stream_edge_init(struct moot_stream_edge *stream, moot_group_id group,
                           uint64_t incarnation);
void moot_stream_edge_deinit(struct moot_stream_edge *stream);
/* Room for one more item of `bytes`? */
bool moot_stream_edge_admits(const struct moot_stream_edge *stream, size_t bytes);
/* The buffer to append one item to, for which `ref` gets the reply. Close with
 * moot_stream_edge_added. */
struct moot_buffer *moot_stream_edge_add(struct moot_stream_edge *stream, bool is_write,
                                         struct moot_ref ref, struct moot_instant now);
void moot_stream_edge_added(struct moot_stream_edge *stream, size_t bytes);
/* The items of the read batch under construction from reference `ref` on, which begin at `from`,
 * become chained items of the write batch: they go into the log. Only if it has room for them as it
 * is. */
bool moot_stream_edge_move_reads(struct moot_stream_edge *stream, uint32_t ref, size_t from);
/* The node's view of who leads has changed, or the link to the leader broke. */
void moot_stream_edge_leader(struct moot_stream_edge *stream, moot_node_id leader, moot_term term);
void moot_stream_edge_break(struct moot_stream_edge *stream, struct moot_instant not_before);
/* Sends what can be sent. True when a new session has begun with this call: waiters must be
 * registered again. */
bool moot_stream_edge_flush(struct moot_stream_edge *stream, struct moot_outbox *outbox,
                            struct moot_instant now);
/* Sends waiter registrations in the session; all are registered again with the next one, which
 * begins also when these are not answered. False without a leader. */
bool moot_stream_edge_send_waiters(struct moot_stream_edge *stream, struct moot_outbox *outbox,
                                   struct moot_slice wishes);
void moot_stream_edge_waiters_answered(struct moot_stream_edge *stream, uint64_t number);
/* The leader has answered something; or some bytes of an answer have come. */
void moot_stream_edge_heard(struct moot_stream_edge *stream, struct moot_instant now);
void moot_stream_edge_moved(struct moot_stream_edge *stream, struct moot_instant now);
/* So many writes are answered now: their clients may soon ask again. */
void moot_stream_edge_answered(struct moot_stream_edge *stream, uint32_t writes,
                               struct moot_instant now);
/* The submission of that number, or NULL; take it out with remove. */
struct moot_submission *moot_stream_edge_find(struct moot_stream_edge *stream,
                                              enum moot_submit_kind kind, uint64_t number);
void moot_stream_edge_remove(struct moot_stream_edge *stream, struct moot_submission *submission);
/* Of a batch of reads only what is not answered (whose reference is not NONE) stays: it is asked
 * for anew, in its place and under another number, so that what comes late is not mistaken for it.
 */
void moot_stream_edge_shorten(struct moot_stream_edge *stream, struct moot_submission *submission);
/* Drops the batch under construction after its refs were answered. */
void moot_stream_edge_drop_building(struct moot_submission *building,
                                    struct moot_stream_edge *stream);
/* When its clients are told that there is no answer. Not while answers are on their way: links keep
 * the order, so what has come in part is its own, or what its own stands behind. */
struct moot_instant moot_stream_edge_over(const struct moot_stream_edge *stream,
                                          const struct moot_submission *submission);
struct moot_instant moot_stream_edge_deadline(const struct moot_stream_edge *stream);

#endif
