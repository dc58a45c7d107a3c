/* What nodes say to each other, and its one encoding.
 *
 *   version u8, kind u8, group u32, then by kind
 *
 * Everything here was received from a process that may be of another release, or broken: decoding
 * validates, and a message that does not parse is dropped. Bodies (entries, batches, chunks) are
 * views into the received bytes. */
#ifndef MOOT_DATABASE_GROUP_MESSAGE_H
#define MOOT_DATABASE_GROUP_MESSAGE_H

#include "base/buffer.h"
#include "base/memory.h"
#include "moot/hlc.h"
#include "moot/raft.h"

enum { MOOT_MESSAGE_VERSION = 1 };

/* Numbers are for ever. */
enum moot_message_kind {
    MOOT_MESSAGE_RAFT = 1,
    MOOT_MESSAGE_SUBMIT =
        2, /* edge -> leader: a numbered batch of writes, a batch of reads, or waiters */
    MOOT_MESSAGE_ANSWER = 3, /* leader -> edge: the replies of one batch */
    MOOT_MESSAGE_NACK =
        4, /* leader or not -> edge: this session is void; begin a new one with the leader named */
    MOOT_MESSAGE_WAKE = 5,           /* leader -> edge: this waiter may try again */
    MOOT_MESSAGE_DECLINE = 6,        /* edge -> leader: the waiter is gone; wake the next */
    MOOT_MESSAGE_CHAIN = 7,          /* leader -> followers: both hashes at an index, to compare */
    MOOT_MESSAGE_SNAPSHOT_CHUNK = 8, /* leader -> follower */
    MOOT_MESSAGE_SNAPSHOT_ACK = 9,   /* follower -> leader: go on, or failed */
    MOOT_MESSAGE_TRANSFER = 10,      /* any node -> leader: hand leadership over */
    MOOT_MESSAGE_ASK = 11,  /* leader -> edge: does this waiter still wait? If not: DECLINE */
    MOOT_MESSAGE_ROOM = 12, /* follower -> leader: what room there is on my disk */
    /* Between replicas while nobody leads (holes.c). Only of feature level 3 on. */
    MOOT_MESSAGE_HOLE_ASK = 13,  /* these entries are lost to rot: what were they? */
    MOOT_MESSAGE_HOLE_GIVE = 14, /* some of them, the last ones; none: they are not here */
};

enum moot_room { MOOT_ROOM_ENOUGH = 0, MOOT_ROOM_LOW = 1, MOOT_ROOM_NONE = 2 };

enum moot_submit_kind { MOOT_SUBMIT_WRITES = 1, MOOT_SUBMIT_READS = 2, MOOT_SUBMIT_WAITERS = 3 };

/* One submission of an edge. Submissions of a session (edge incarnation, epoch) are taken by the
 * leader strictly in `sequence` order, 0 first: that is what keeps a connection's reads and writes
 * in order. `number` names the batch: of the edge stream for WRITES (exactly-once), of the edge's
 * own counting for READS and WAITERS. */
struct moot_submit {
    enum moot_submit_kind kind;
    uint64_t incarnation; /* of the edge */
    uint64_t epoch, sequence;
    uint64_t number;
    struct moot_slice items; /* engine.h; for WAITERS: (waiter u64, stamp time u64, ordinal u32,
                                keyspace count u8 ...): waiters.h */
};

/* What a replica has come to at an index: a hash over all write sets, and the additive one of what
 * is there. They differ from another replica's for different reasons: what was done, and what it
 * was done to. */
struct moot_contents {
    moot_index index;
    uint64_t chain, digest;
};

/* Entries first..last are lost, and behind them stands one of term `anchor`: by that whoever has it
 * knows that it has the same before it (Raft, log matching). */
struct moot_hole_ask {
    moot_index first, last;
    moot_term anchor; /* Of the entry at last + 1. */
};
/* Entries (last - count, last] of a log in which the entry at last + 1 is of term `anchor`. */
struct moot_hole_give {
    moot_index last;
    moot_term anchor, before; /* before: of the entry before them; 0: not known, or there is none */
    uint32_t count;
    const struct moot_raft_entry *entries; /* in the arena */
    const struct moot_slice *bytes;        /* one for each */
};

/* Nothing is known against it: of two indexes nothing can be said. */
static inline bool moot_contents_agree(const struct moot_contents *a, const struct moot_contents *b)
{
    return a->index != b->index || (a->chain == b->chain && a->digest == b->digest);
}

struct moot_message {
    enum moot_message_kind kind;
    moot_group_id group;
    union {
        struct {
            struct moot_raft_message message; /* append.entries is in the arena */
            const struct moot_slice *bytes;   /* APPEND: one for each entry */
        } raft;
        struct moot_submit submit;
        struct {
            enum moot_submit_kind kind;
            uint64_t incarnation, number;
            /* 0; MOOT_EINDOUBT: executed, the reply is no longer kept; MOOT_EINVALID; MOOT_EAGAIN
             * (READS): those replies that are empty come in another answer; those that are missing
             * at the end are to be asked for again, in a new session: this one is over. */
            int status;
            struct moot_slice replies; /* (size varint, bytes)* */
            moot_hlc_stamp stamp;      /* WRITES: of the entry: the arrival stamp of what waits */
                                       /* WAITERS: nothing but that they are registered */
        } answer;
        struct {
            uint64_t incarnation, epoch;
            moot_node_id leader; /* 0: not known */
            int status;          /* MOOT_ENOTLEADER, MOOT_EAGAIN (a gap), MOOT_EOVERLOADED */
        } nack;
        struct {
            uint64_t incarnation, waiter;
        } wake; /* WAKE, DECLINE, ASK */
        struct moot_contents chain;
        struct {
            moot_index index;
            moot_term term; /* of the entry at index */
            uint64_t session, sequence;
            bool last;
            struct moot_slice chunk; /* storage/snapshot.h */
        } chunk;
        struct {
            moot_index index;
            uint64_t session, sequence; /* of the chunk that was taken */
            int status;
        } chunk_ack;
        moot_node_id transfer_to; /* 0: to the most advanced */
        enum moot_room room;
        struct moot_hole_ask hole_ask;
        struct moot_hole_give hole_give;
    };
};

/* Appends the message; for APPEND and HOLE_GIVE without the entries' bytes, for ANSWER, SUBMIT and
 * CHUNK with everything: the entries' bytes follow the encoded message, one after the other, as
 * further parts.
 */
void moot_message_encode(const struct moot_message *message, struct moot_buffer *out);
/* MOOT_EINVALID, MOOT_EVERSION. */
int moot_message_decode(struct moot_slice bytes, struct moot_arena *arena,
                        struct moot_message *out) MOOT_MUST_USE;

#endif
