/* Raft: one group's consensus as a pure function of events.
 *
 * Intuition: an assembly writes one list of decisions. It elects a chair for a term; only the chair
 * proposes, and a line of the list stands when a majority has it on disk under the chair's own
 * term. Who chairs next must already hold every line that stands, because a majority would not vote
 * for anyone who lacks one (Ongaro and Ousterhout, "In Search of an Understandable Consensus
 * Algorithm", 2014, section 5; Ongaro's thesis, 2014, for everything beyond).
 *
 * The core knows entries by (index, term, kind, size), never their bytes: the driver keeps those.
 * One call, moot_raft_step(event), returns effects *in order*. The driver performs them in order,
 * with one rule: a send marked `after_durable` leaves only once everything persisted up to then (in
 * this and all earlier steps) is durable. Everything else (commit, state, trace) may be acted on at
 * once.
 *
 * Work goes by turn. RECEIVE, DURABLE, SUBMIT, READ and the rest change state and answer what needs
 * an immediate answer; FLUSH, once at the end of a turn, sends what has collected: appends to each
 * follower, heartbeats for waiting reads. So a turn with a thousand submits is one message a
 * follower.
 *
 * What is here: pre-vote (thesis 9.6), check-quorum (6.2), randomized time-outs (paper 5.2), leader
 * no-op (5.4.2, 8), the current-term commit rule (5.4.2), parallel leader disk write
 * (thesis 10.2.1), pipelined, batched appends with a window (10.2.2), fast back-off by term (5.3,
 * end), learners (4.2.1), joint consensus (4.3), reads confirmed by rounds (6.4), leadership
 * transfer (3.10), snapshots (5), compaction, stepping down when removed (4.2.2), replication
 * sessions (a removed and re-added node is a new follower), and the wrong-clock rule (a node whose
 * clock is off the majority's gets no pre-votes and gives up leadership). What is not: leases,
 * priorities, quiescence, many groups' heartbeats coalesced.
 *
 * Memory: one allocation that the caller makes (moot_raft_size). The log's terms are kept as
 * runs, its sizes in a ring that covers the entries in memory. */
#ifndef MOOT_RAFT_H
#define MOOT_RAFT_H

#include "moot/base.h"
#include "moot/quorum.h"

enum {
    MOOT_RAFT_ENTRIES_PER_APPEND = 1024,
    MOOT_RAFT_EFFECTS_MAX = 512,   /* Effects of one step. */
    MOOT_RAFT_MEMBERS_PENDING = 4, /* Configurations in the log above the committed one. */
    MOOT_RAFT_TRACE_FIELDS = 6,
};

enum moot_raft_role {
    MOOT_RAFT_FOLLOWER,
    MOOT_RAFT_PRE_CANDIDATE,
    MOOT_RAFT_CANDIDATE,
    MOOT_RAFT_LEADER,
};

enum moot_raft_entry_kind {
    MOOT_RAFT_ENTRY_NOOP,    /* Appended by the core at the start of a term. The driver makes its
                                bytes. */
    MOOT_RAFT_ENTRY_DATA,    /* Submitted by the driver. */
    MOOT_RAFT_ENTRY_MEMBERS, /* A configuration, in force from its append (paper section 6). */
};

struct moot_raft_entry {
    moot_term term;
    uint32_t size; /* Bytes of the driver's encoding: for batching and the window only. */
    enum moot_raft_entry_kind kind;
    const struct moot_members *members; /* Non-NULL exactly for MEMBERS. */
};

struct moot_raft_options {
    moot_node_id self;
    struct moot_duration election_min; /* Time-outs are uniform in [min, 2*min). */
    struct moot_duration heartbeat;
    uint64_t append_bytes_max;      /* Of one append, unless one entry is larger. */
    uint32_t append_entries_max;    /* <= MOOT_RAFT_ENTRIES_PER_APPEND */
    uint32_t window;                /* Appends in flight to one follower. */
    uint64_t uncommitted_bytes_max; /* SUBMIT beyond it answers MOOT_EOVERLOADED. */
    uint32_t log_entries_max;       /* Entries above the compaction point that the core can hold. */
    uint64_t clock_bound_ms;        /* The wrong-clock rule; 0 turns it off. */
    uint64_t seed;                  /* For election time-outs. */
    bool trace;                     /* Emit trace effects. */
};

/* What was durable when the process last stopped: from the journal and the store. */
struct moot_raft_restore {
    moot_term term;
    moot_node_id vote;
    moot_index snapshot_index; /* The log starts after it. */
    moot_term snapshot_term;
    struct moot_members members; /* As of snapshot_index. */
    moot_index applied;          /* In [snapshot_index, last entry]: all up to it is committed. */
    const struct moot_raft_entry *entries; /* snapshot_index+1 and on. */
    uint64_t entry_count;
    bool impaired; /* The journal lost acknowledged records of this group (rot): no votes, no
                      acknowledgements, no candidacy until the log reaches impaired_until from a
                      leader. The driver remembers it on disk, and gives it again at every start,
                      until status says that it is over *and* what was appended by then is durable.
                    */
    moot_index impaired_until; /* UINT64_MAX when it is not known: then the core raises its term,
                                  and is repaired by an entry of the own term of a leader elected
                                  without it. */
};

/* ---- messages between cores ---- */
enum moot_raft_message_kind {
    MOOT_RAFT_PRE_VOTE,
    MOOT_RAFT_PRE_VOTE_REPLY,
    MOOT_RAFT_VOTE,
    MOOT_RAFT_VOTE_REPLY,
    MOOT_RAFT_APPEND, /* With no entries it is a heartbeat. */
    MOOT_RAFT_APPEND_REPLY,
    MOOT_RAFT_SNAPSHOT, /* "You need a snapshot at (index, term)"; its bytes travel beside, by the
                           driver. */
    MOOT_RAFT_SNAPSHOT_REPLY, /* Installed, or refused. */
    MOOT_RAFT_TIMEOUT_NOW,    /* Leadership transfer. */
    MOOT_RAFT_MESSAGE_KINDS,
};

struct moot_raft_message {
    enum moot_raft_message_kind kind;
    moot_node_id from, to;
    moot_term term;
    uint64_t
        session; /* Replication session (append, snapshot and their replies): the leader's name for
                    "this follower since it was added"; a reply of another session is dropped. */
    uint64_t wall_ms; /* The sender's wall clock, for the wrong-clock rule. */
    union {
        struct {
            moot_index last_index;
            moot_term last_term;
            bool transfer; /* Asked for by the leader: leader stickiness does not apply. */
        } vote;            /* PRE_VOTE, VOTE */
        struct {
            bool granted;
        } vote_reply; /* The term is: granted pre-vote: the request's term; else the voter's own. */
        struct {
            moot_index previous_index;
            moot_term previous_term;
            moot_index commit;
            uint64_t round; /* Leader's read round when sent; echoed. */
            uint32_t count;
            const struct moot_raft_entry
                *entries; /* `count` of them. Owned by whoever made the message. */
        } append;
        struct {
            bool accepted;
            moot_index match;          /* accepted: durable and equal up to here. */
            moot_index hint_index;     /* refused: last index that may match ... */
            moot_term hint_term;       /* ... and its term (thesis, end of 3.5; etcd's hint). */
            moot_index previous_index; /* refused: of the append that was refused. */
            uint64_t round;
            moot_index applied; /* For lag, transfer and status. */
        } append_reply;
        struct {
            moot_index index;
            moot_term index_term;
            struct moot_members members; /* As of index. */
        } snapshot;
        struct {
            bool installed;
            moot_index index;
        } snapshot_reply;
    };
};

/* ---- events ---- */
enum moot_raft_event_kind {
    MOOT_RAFT_EVENT_TICK,    /* The deadline came. */
    MOOT_RAFT_EVENT_RECEIVE, /* A message. Received, so validated: a bad one is dropped with a
                                trace. */
    MOOT_RAFT_EVENT_DURABLE, /* Entries up to (index, term) as appended, and the hard state, are on
                                disk. */
    MOOT_RAFT_EVENT_APPLIED, /* The driver applied up to index. */
    MOOT_RAFT_EVENT_SUBMIT,  /* Append one entry (leader only). */
    MOOT_RAFT_EVENT_READ, /* Confirm leadership for reads that have arrived by now (leader only). */
    MOOT_RAFT_EVENT_MEMBERS,  /* Begin a membership change (leader only). */
    MOOT_RAFT_EVENT_TRANSFER, /* Hand leadership to `node`, or to the best follower when 0. */
    MOOT_RAFT_EVENT_COMPACT,  /* Entries up to index are in the store for good, and no longer wanted
                                 in the log. */
    MOOT_RAFT_EVENT_SNAPSHOT_INSTALLED, /* The driver has made the store equal to (index, term,
                                           members). */
    MOOT_RAFT_EVENT_SNAPSHOT_FAILED, /* Sending a snapshot to `node` failed, or took too long (the
                                        core has no time-out for it); try again later. */
    MOOT_RAFT_EVENT_PEER_LOST, /* The kernel closed the link to `node`: a hint that may start a
                                  pre-vote early. */
    MOOT_RAFT_EVENT_STEP_DOWN, /* Give up leadership now (disk stalled, shutting down, wrong clock).
                                */
    MOOT_RAFT_EVENT_FLUSH,     /* End of turn: send what has collected. */
    MOOT_RAFT_EVENT_REFILL,    /* Impaired, and nobody leads: these entries follow the log, and with
                                  them it is what it was before anything was lost. With the DURABLE
                                  of the last of them it is impaired no more. The driver knows that:
                                  by the entries behind each that was lost (log matching, 5.3), and
                                  it knows the term and the vote. MOOT_EREFUSED: too late. */
    MOOT_RAFT_EVENT_KINDS,
};

struct moot_raft_event {
    enum moot_raft_event_kind kind;
    struct moot_instant now;
    uint64_t wall_ms;
    union {
        const struct moot_raft_message *message;
        struct {
            moot_index index;
            moot_term
                term; /* Of the entry at index: an older term's acknowledgement is void (ABA). */
        } durable; /* index 0: hard state only; `term` is then the HARD_STATE's. A batch that held
                      both is reported as both: a sole voter leads only when its vote is on disk.
                    */
        moot_index applied;
        struct {
            uint32_t size;
        } submit; /* The index it got is effect APPENDED; refused: the step's status. */
        struct moot_members_change members;
        moot_node_id node;
        moot_index compact;
        struct {
            moot_index first;
            uint64_t count;
            const struct moot_raft_entry *entries; /* Of the caller. */
        } refill;
        struct {
            moot_index index;
            moot_term term;
            struct moot_members members;
        } installed;
    };
};

/* ---- effects ---- */
enum moot_raft_effect_kind {
    MOOT_RAFT_EFFECT_HARD_STATE, /* Persist (term, vote). */
    MOOT_RAFT_EFFECT_APPENDED,   /* Persist entries first..last at `term`s given; everything from
                                    `first` on that was there   before is gone. On a follower their
                                    bytes are in the message being   received, from entry number
                                    `offset`; on the leader they were just submitted, or are   the
                                    core's own (kind says which: NOOP and MEMBERS come alone). */
    MOOT_RAFT_EFFECT_SEND,    /* See `message`; for APPEND the driver adds the bytes of the entries
                                 named by    message.append.previous_index and count (entries is NULL).
                               */
    MOOT_RAFT_EFFECT_COMMIT,  /* Entries up to `index` stand; apply them in order. */
    MOOT_RAFT_EFFECT_STATE,   /* Role, term, leader changed. */
    MOOT_RAFT_EFFECT_MEMBERS, /* The configuration in force changed (append, rollback or restore).
                               */
    MOOT_RAFT_EFFECT_ROUND,   /* Leadership is confirmed for read rounds up to `round`. */
    MOOT_RAFT_EFFECT_SNAPSHOT_NEEDED, /* Leader: follower `node` is behind the log; pin one and send
                                    SNAPSHOT's bytes. The driver answers with SEND of
                                    MOOT_RAFT_SNAPSHOT through moot_raft_snapshot_message(). */
    MOOT_RAFT_EFFECT_SNAPSHOT_OFFERED, /* Follower: accept the snapshot (index, term, members) from
                                          `node`. */
    MOOT_RAFT_EFFECT_TRANSFER_DONE,    /* Transfer ended: status 0, or why not. */
    MOOT_RAFT_EFFECT_MEMBERS_DONE, /* The change is complete and committed (`index`), or was rolled
                                      back (status). */
    MOOT_RAFT_EFFECT_TRACE,
};

struct moot_raft_trace {
    uint16_t
        kind; /* enum moot_raft_trace_kind, in src/protocol/raft/trace.h, which also renders it. */
    uint64_t field[MOOT_RAFT_TRACE_FIELDS];
};

struct moot_raft_effect {
    enum moot_raft_effect_kind kind;
    bool after_durable; /* SEND only. */
    bool urgent;        /* SEND only: votes, heartbeats and read confirmations overtake bulk. */
    union {
        struct {
            moot_term term;
            moot_node_id vote;
        } hard_state;
        struct {
            moot_index first, last;
            moot_term term; /* Of entry `last`: to be given back with DURABLE. */
            uint32_t offset;
            enum moot_raft_entry_kind
                kind; /* Of the leader's own single entry; DATA on followers (may be mixed). */
            struct moot_members members; /* kind MEMBERS, on the leader: what to write. */
        } appended;
        struct moot_raft_message message;
        moot_index commit;
        struct {
            enum moot_raft_role role;
            moot_term term;
            moot_node_id leader; /* 0: not known. */
        } state;
        struct moot_members members;
        uint64_t round;
        struct {
            moot_node_id node;
            moot_index index;
            moot_term term;
            struct moot_members members;
        } snapshot;
        struct {
            int status;
            moot_index index;
        } done;
        struct moot_raft_trace trace;
    };
};

struct moot_raft_effects {
    uint32_t count;
    struct moot_raft_effect items[MOOT_RAFT_EFFECTS_MAX];
};

struct moot_raft; /* opaque; plain memory: may be copied and hashed */

size_t moot_raft_size(const struct moot_raft_options *options);
/* `memory` is moot_raft_size() bytes aligned to 16, the caller's, and outlives the core. Options
 * and restore are copied. MOOT_EINVALID: restore contradicts itself (that is received data: from a
 * disk). */
int moot_raft_init(void *memory, const struct moot_raft_options *options,
                   const struct moot_raft_restore *restore, struct moot_instant now,
                   struct moot_raft **out) MOOT_MUST_USE;

/* The one door. `out` is emptied first. Returns 0, or for SUBMIT, READ, MEMBERS, TRANSFER why it
 * was refused (MOOT_ENOTLEADER, MOOT_EOVERLOADED, MOOT_EBUSY, MOOT_EREFUSED, MOOT_EINVALID); a
 * refused event has no effect. */
int moot_raft_step(struct moot_raft *raft, const struct moot_raft_event *event,
                   struct moot_raft_effects *out) MOOT_MUST_USE;
/* When to send TICK. */
struct moot_instant moot_raft_deadline(const struct moot_raft *raft);

/* What the driver needs to know, without an event. */
struct moot_raft_status {
    enum moot_raft_role role;
    moot_term term;
    moot_node_id leader, vote;
    moot_index first, last, durable, commit, applied; /* first: lowest entry in the log. */
    uint64_t round;       /* The round that a READ event now would belong to. */
    bool leads_committed; /* Leader, and an entry of its own term is committed: reads may be served.
                           */
    bool impaired;
    bool changing;       /* A membership change is under way. */
    bool clock_is_wrong; /* A majority of voters shows a time that is off on the same side. */
    moot_node_id transfer_to;
    const struct moot_members *members; /* The core's: valid until its next step. */
};
void moot_raft_status(const struct moot_raft *raft, struct moot_raft_status *out);
moot_node_id moot_raft_leader(const struct moot_raft *raft); /* Of the status alone; 0: none. */
moot_term moot_raft_term(const struct moot_raft *raft);      /* The same. */
/* A majority, this node with it, shows a time within the bound. */
bool moot_raft_clock_is_agreed(const struct moot_raft *raft);
/* Leader's view of one follower; false when it has none. */
struct moot_raft_progress {
    moot_index match, next, applied;
    bool active; /* Heard within the last election time-out. */
    bool wants_snapshot;
    uint32_t in_flight;
};
bool moot_raft_progress(const struct moot_raft *raft, moot_node_id node,
                        struct moot_raft_progress *out);
/* Term of the entry at index; false when the log does not reach it (the snapshot's own index counts
 * as reached). */
bool moot_raft_term_at(const struct moot_raft *raft, moot_index index, moot_term *term);
/* The SNAPSHOT message that opens sending a pinned snapshot to `node`; MOOT_ENOTLEADER,
 * MOOT_EINVALID. */
int moot_raft_snapshot_message(const struct moot_raft *raft, moot_node_id node, moot_index index,
                               moot_term term, const struct moot_members *members,
                               struct moot_raft_message *out) MOOT_MUST_USE;

/* Every invariant; aborts by assertion. The simulator calls it after each step. */
void moot_raft_check(const struct moot_raft *raft);
/* A hash of the whole state: run twice and compare. */
uint64_t moot_raft_digest(const struct moot_raft *raft);

#endif
