/* One group on one node: a replica of an ordered shard.
 *
 * Consensus decides the order of entries (protocol/raft), the engine executes them (execute/), and
 * this puts the two together: it keeps the entries' bytes, talks to other replicas and to edges,
 * places reads in the log, executes every edge batch exactly once, answers re-sent batches from the
 * ring, expires keys, wakes waiters, compares hashes, and sends and installs snapshots.
 *
 *   submit.c    what edges send: sessions, batches, reads, waiters          [leader]
 *   raft_io.c   events into the core, its effects out                       [all]
 *   apply.c     committed entries and placed reads, in order                [all; reads: leader]
 *   long_reads.c  reads that go on beside turns                             [leader, and after]
 *   snapshot.c  sending and installing                                      [all]
 *   holes.c     what rot took, asked of each other                          [while nobody leads]
 *   group.c     open, close, turn, status
 *
 * A group never waits. When execution misses memory (WOULDBLOCK) it is `stuck` on a fetch;
 * consensus goes on meanwhile. */
#ifndef MOOT_DATABASE_GROUP_GROUP_H
#define MOOT_DATABASE_GROUP_GROUP_H

#include "base/limits.h"
#include "base/rng.h"
#include "base/rule.h"
#include "database/execute/engine.h"
#include "database/group/entry.h"
#include "database/group/holes.h"
#include "database/group/log.h"
#include "database/group/message.h"
#include "database/group/ring.h"
#include "database/group/waiters.h"
#include "database/node.h"
#include "database/outbox.h"
#include "database/peers.h"

struct moot_directory;

/* What the group sees of its node during a turn. */
struct moot_group_context {
    struct moot_outbox *outbox;
    struct moot_store *store;
    const struct moot_directory *directory;
    const struct moot_peers *peers;
    struct moot_now now;
    uint64_t stamp_ms; /* Of stamps and expiry: the wall clock, unless it just jumped. */
    moot_node_id self;
    uint64_t self_incarnation;
    struct moot_rng *rng;
    struct moot_chance *chance;
    uint32_t feature_level;             /* The highest that this node knows. */
    uint64_t log_memory_bytes;          /* Of one group's log. */
    uint64_t recent_bytes;              /* Of one group's recent values. */
    uint64_t read_elements;             /* That one read may touch within a turn. */
    uint64_t ring_bytes;                /* Of the last replies that are kept. */
    uint64_t long_read_one_in;          /* Reads that need not go on beside turns; 0: none. */
    uint64_t next_ticket;               /* For fetches, pins, ingests: counted by the node. */
    const struct moot_group *ingesting; /* The store takes one snapshot at a time; or NULL. */
    bool refuse_growth; /* The disk is below its low-water mark, or those of too many are. */
    bool disk_is_full;  /* A follower takes no entries. */
};

/* One edge's stream: the numbered client that a node is of this group. The first three fields are
 * the state machine's (in the store); the others belong to a leader's term of office. */
struct moot_stream {
    moot_node_id edge;
    uint64_t incarnation;
    uint64_t executed;                             /* Last batch number executed. */
    uint64_t appended_incarnation, appended;       /* Leader: last batch number in the log. */
    uint64_t session_incarnation, epoch, sequence; /* Leader: the session, and its next sequence. */
};

/* A batch of reads, waiting for its place. */
struct moot_placed_read {
    moot_node_id edge;
    uint64_t incarnation, number;
    struct moot_block *owner; /* of items */
    struct moot_slice items;
    moot_index place; /* After this entry, before the next. */
    uint64_t round;   /* Leadership must be confirmed for it. */
};

/* Commands of a placed read that go on beside turns, on a pin of the store at the read's place. */
struct moot_long_job {
    moot_ticket ticket;           /* 0: to be handed out at the end of this turn. */
    struct moot_placed_read read; /* Its place is what was applied. */
    moot_hlc_stamp stamp;         /* Of that entry. */
    uint64_t now_ms, seed;
    struct moot_engine_aside aside;
};

struct moot_long_reads {
    struct moot_long_job jobs[MOOT_LONG_READS_MAX];
    uint32_t count;    /* Of jobs. */
    uint32_t commands; /* Of all jobs. */
    bool waits;        /* A job is not pinned yet: until then no entry is applied. */
    uint64_t begun;    /* Commands, ever. */
};

struct moot_persisted { /* A promise of the journal to the core. */
    uint64_t record;
    moot_index index; /* 0: hard state only */
    moot_term term;
};

#define MOOT_ROUND_NOT_ASKED UINT64_MAX

struct moot_snapshot_send {
    moot_node_id node; /* 0: none */
    moot_ticket pin, read;
    bool read_in_flight, is_pinned;
    moot_index index;
    moot_term term;
    struct moot_members members;
    uint64_t session, sequence;
    uint32_t range;            /* Which of the group's ranges. */
    struct moot_buffer resume; /* Key to go on from, in that range. */
    struct moot_buffer chunk;  /* The chunk that is not acknowledged yet. */
    bool chunk_is_last;
    struct moot_instant sent_at;
    uint32_t resends;
};

struct moot_snapshot_install {
    bool active, committing;
    moot_node_id from;
    moot_index index;
    moot_term term;
    struct moot_members members;
    uint64_t session, next_sequence;
    moot_ticket step; /* In flight. */
    uint64_t step_sequence;
    bool step_is_last, begun;
    struct moot_instant heard;
};

struct moot_group {
    moot_group_id id;
    struct moot_group_context *context;

    void *raft_memory;
    struct moot_raft *raft;
    struct moot_raft_effects *effects;
    struct moot_log log;
    struct moot_persisted *persisted; /* FIFO */
    size_t persisted_count, persisted_capacity;

    /* what the core told */
    enum moot_raft_role role;
    moot_term term;
    moot_node_id leader;
    moot_index commit;
    uint64_t round_confirmed;
    uint64_t round_asked;      /* By reads; out while it is not confirmed. */
    moot_index round_asked_at; /* End of the log then. */
    struct moot_members members;

    /* the state machine */
    struct moot_engine *engine;
    struct moot_hlc clock;
    moot_index applied;
    moot_index applied_told; /* To the core. */
    moot_term applied_term;
    moot_hlc_stamp applied_stamp;
    uint64_t chain;
    struct moot_members applied_members;
    uint32_t feature_level;
    struct moot_stream *streams;
    uint64_t batches_run; /* By this process: what the streams say must agree. */
    uint32_t stream_count, stream_capacity;
    struct moot_ring ring;
    struct moot_contents chains[MOOT_CHAIN_WINDOW];
    struct moot_holes holes;
    moot_index flushed;  /* Applied index that is durable in the store. */
    moot_index flushing; /* ... that the flush under way will make durable. */

    /* the leader's office */
    struct moot_placed_read *reads; /* FIFO */
    size_t read_count, read_capacity;
    struct moot_long_reads long_reads; /* They outlive the office. */
    uint64_t read_bytes;               /* Replies to them in this turn. */
    uint64_t reads_placed, reads_run;  /* By this process: how many came, how many were served. */
    struct moot_waiters waiters;
    struct moot_instant wake_next, ask_next; /* When they are looked at again. */
    uint32_t asked_last;                     /* Where asking got to. */
    bool feature_asked;                      /* A FEATURE_LEVEL entry under way. */
    moot_node_id level_told;   /* That this member keeps it from going over to newer rules. */
    moot_index expire_pending; /* An EXPIRE entry under way. */
    struct moot_instant expire_next;
    struct moot_instant chain_next;
    moot_index transfer_target_done;
    int transfer_status; /* Of the last leadership transfer that ended. */
    uint64_t transfers;

    bool stuck; /* Execution waits for fetch `fetch`. */
    moot_ticket fetch;
    uint64_t fetch_ranges; /* Hash of what was last fetched, */
    uint64_t fetch_limit;  /* and how many entries of each. */
    bool fenced;
    bool rotten;           /* Fenced because the store failed its checksum ... */
    bool others_lead;      /* ... and since then another one was heard that leads. */
    bool mended_unflushed; /* It says so no more, but not durably yet. */
    bool store_lost;       /* The store began empty (lost.c), and says so until that is mended. */
    uint64_t mended;       /* 0, or: it is mended once this record is durable. */
    struct moot_batch lost_again; /* For an install, which empties the group's records too. */
    struct moot_instant dirty_since;
    bool dirty;             /* The record must be written with this turn's batch. */
    bool addresses_came;    /* With a configuration in the log: node__late_addresses. */
    bool directory_changed; /* system: an entry may have changed the directory. */
    struct moot_snapshot_send send;
    struct moot_snapshot_install install;
    struct moot_arena arena; /* Of one step. */
    struct moot_buffer scratch;
    struct moot_block *submitting; /* During a SUBMIT step: the entry's bytes. */
    uint64_t receiving_session;    /* During a RECEIVE step. */
    moot_node_id snapshot_wanted[MOOT_QUORUM_VOTERS_MAX];
    uint32_t snapshot_wanted_count;
};

/* What the journal gave back for one group. */
struct moot_group_restore {
    moot_term term;
    moot_node_id vote;
    uint64_t hard_batch; /* Of the journal, with the last hard state; 0: none, or carried. */
    struct moot_record *entries; /* with owned bytes: blocks */
    struct moot_block **blocks;
    uint64_t entry_count;
    moot_index first;   /* index of entries[0] */
    moot_index highest; /* of all that the journal ever spoke of, also of what was since dropped */
    moot_index freed;   /* up to which the journal need not have entries: they are in the store */
    bool impaired;
    moot_index impaired_until;
    /* Impaired: entries of which the block is NULL are lost. */
    bool knows_log;       /* They are all that is: the log ended with the last entry. */
    moot_index lost_from; /* The least index that may be lost; UINT64_MAX: none. */
    uint64_t touched;     /* The greatest batch with an entry or a snapshot. */
    uint64_t ended;       /* The batch that said where the log ends; 0: not known. */
    uint64_t freed_batch; /* The last that said `freed`. */
    bool knows_freed;     /* It came after all that is lost. */
};

/* At open: writes down, durably, that the store of these groups began empty. */
int moot_group_store_is_lost(struct moot_store *store, const struct moot_group_restore *restores,
                             moot_group_id count) MOOT_MUST_USE;
int moot_group_open(struct moot_group_context *context, moot_group_id id,
                    const struct moot_node_options *options, const struct moot_members *initial,
                    struct moot_group_restore *restore, struct moot_group **out,
                    const char **why) MOOT_MUST_USE;
void moot_group_close(struct moot_group *group);

/* ---- inputs of a turn ---- */
void moot_group_receive(struct moot_group *group, moot_node_id from,
                        const struct moot_message *message, struct moot_block *owner);
void moot_group_peer_down(struct moot_group *group, moot_node_id node, bool closed_by_kernel);
void moot_group_peer_up(struct moot_group *group, moot_node_id node, uint64_t incarnation);
void moot_group_durable(struct moot_group *group); /* outbox->durable has moved */
void moot_group_fetched(struct moot_group *group, moot_ticket ticket, int status);
void moot_group_chunk(struct moot_group *group, moot_ticket ticket, int status,
                      struct moot_slice bytes);
void moot_group_ingested(struct moot_group *group, moot_ticket ticket, int status);
void moot_group_long_read_done(struct moot_group *group, const struct moot_input *input);
void moot_group_flush_begins(
    struct moot_group *group); /* A FLUSH effect goes out with this turn. */
void moot_group_flush_done(struct moot_group *group, struct moot_journal *journal);
/* restate.c: tells the journal what it may forget, unless it does not yet know of a snapshot. */
void moot_group_free(struct moot_group *group, struct moot_journal *journal);
/* Records that say the group's log once more, from the first entry that is needed: `out` has room
 * for MOOT_LOG_ENTRIES_MAX. The bytes are the log's. */
size_t moot_group_restate(struct moot_group *group, struct moot_journal *journal,
                          struct moot_record *out);

/* ---- the end of a turn ---- */
/* Ticks the core when due, executes what can be, and flushes. True when it wants another turn at
 * once. */
bool moot_group_progress(struct moot_group *group);
/* Adds what was executed to the outbox's store batch, when it is large or old enough, or has to be
 * now
 * (`force`: a flush or a pin is to contain it). */
void moot_group_store(struct moot_group *group, bool force);
/* After moot_group_store: what needs the store exactly as it is then (pins). */
void moot_group_end_turn(struct moot_group *group);
struct moot_instant moot_group_deadline(const struct moot_group *group);

/* ---- orders ---- */
int moot_group_transfer(struct moot_group *group, moot_node_id to) MOOT_MUST_USE;
void moot_group_step_down(struct moot_group *group);
int moot_group_change_members(struct moot_group *group,
                              const struct moot_members_change *change) MOOT_MUST_USE;

/* ---- inside the room ---- */
int group__step(struct moot_group *group, struct moot_raft_event *event);
/* An event that has nothing but its kind. */
int group__step_plain(struct moot_group *group, enum moot_raft_event_kind kind);
/* As step, for the message being received, whose entries have these bytes. */
int group__step_with(struct moot_group *group, struct moot_raft_event *event,
                     const struct moot_slice *bytes, struct moot_block *owner);
int group__append(struct moot_group *group, struct moot_block *block, moot_index *index);
struct moot_block *group__entry_block(struct moot_group *group, enum moot_entry_kind kind,
                                      struct moot_slice body);
void group__submit(struct moot_group *group, moot_node_id from, const struct moot_submit *submit,
                   struct moot_block *owner);
void group__nack(struct moot_group *group, moot_node_id edge, uint64_t incarnation, uint64_t epoch,
                 int status);
void group__ask_round(struct moot_group *group);
/* Puts a read behind those that wait for their place; takes over its reference. */
void group__place_read(struct moot_group *group, const struct moot_placed_read *read);
void group__lead(struct moot_group *group);
void group__follow(struct moot_group *group);
void group__apply(struct moot_group *group, bool *again);
void group__post(struct moot_group *group, moot_node_id to, const struct moot_message *message,
                 struct moot_block *owner);
void group__answer(struct moot_group *group, moot_node_id edge, enum moot_submit_kind kind,
                   uint64_t incarnation, uint64_t number, int status, moot_hlc_stamp stamp,
                   struct moot_block *replies);
void group__serve_waiters(struct moot_group *group);
void group__wake_keys(struct moot_group *group, struct moot_waiter *waiter);
struct moot_stream *group__stream(struct moot_group *group, moot_node_id edge);
/* What to do about a level that this release does not know. */
#define GROUP_UPGRADE_TEXT                                                                         \
    "the group runs by rules of a newer release than this program: upgrade moot on this node, "    \
    "then start it again"
/* level.c: does this program know these rules; and the leader's part of going over to newer ones.
 */
bool group__knows_level(const struct moot_group *group, uint32_t level);
void group__give_level(struct moot_group *group);
/* holes.c. Before the core is opened: leaves in `restore` what follows the store without a gap, and
 * says that it is not impaired when nothing is missing. */
void group__holes_open(struct moot_group *group, struct moot_group_restore *restore);
void group__holes_opened(struct moot_group *group); /* The core is. */
void group__holes_tick(struct moot_group *group);
/* The core has taken these back from what is kept: so do log and journal. */
void group__refilled(struct moot_group *group, moot_index first, moot_index last);
struct moot_instant group__holes_deadline(const struct moot_group *group);
void group__hole_ask(struct moot_group *group, moot_node_id from, const struct moot_hole_ask *ask);
void group__hole_give(struct moot_group *group, const struct moot_hole_give *give);
void group__fence(struct moot_group *group, const char *why);
/* lost.c: a store that is rotten, and one that began anew */
void group__rot(struct moot_group *group, const char *why);
void group__heard_while_fenced(struct moot_group *group, moot_node_id from,
                               const struct moot_message *message);
int group__lost_load(struct moot_group *group, struct moot_group_restore *restore);
void group__lost_tick(struct moot_group *group);
const struct moot_batch *group__lost_again(struct moot_group *group);
/* As get, but waits for what is not in memory: at open and after an install. */
int group__get_now(struct moot_store *store, struct moot_slice key, struct moot_arena *arena,
                   struct moot_slice *value);
bool group__leads(const struct moot_group *group);
void group__log(struct moot_group *group, enum moot_log_level level, const char *text, uint64_t a,
                const char *text2, uint64_t b);
void group__stick(struct moot_group *group);
/* long_reads.c */
/* How many commands of the read may go on beside turns; sets the rest of `aside` for a run. */
void group__long_reads_admit(struct moot_group *group, const struct moot_placed_read *read,
                             uint64_t seed, struct moot_engine_aside *aside);
/* The read has been run at its place, but for what `run` set aside. */
void group__long_reads_begin(struct moot_group *group, const struct moot_placed_read *read,
                             const struct moot_engine_run *run);
/* The store is at the applied index: pins it for who waits for that. */
void group__long_reads_pin(struct moot_group *group);
void group__long_reads_drop(struct moot_group *group);
/* snapshot.c */
void group__snapshot_needed(struct moot_group *group, moot_node_id node);
void group__snapshot_offered(struct moot_group *group, moot_node_id from, moot_index index,
                             moot_term term, const struct moot_members *members, uint64_t session);
void group__snapshot_chunk(struct moot_group *group, moot_node_id from,
                           const struct moot_message *message);
void group__snapshot_ack(struct moot_group *group, moot_node_id from,
                         const struct moot_message *message);
void group__snapshot_tick(struct moot_group *group);
/* Gives up an install that is not needed any more: nothing is executed while one is under way. */
void group__snapshot_look(struct moot_group *group);
void group__snapshot_stop(struct moot_group *group);
uint32_t group__ranges(struct moot_arena *arena, moot_group_id id, struct moot_range out[4]);
/* restate.c: a SNAPSHOT record of what is applied */
void group__record_snapshot(struct moot_group *group);
/* record.c: the group's record in the store, and what it has come to at the applied index */
struct moot_contents group__contents(const struct moot_group *group);
enum { GROUP_RECORD_VERSION = 1, GROUP_KIND_RECORD = 0 };
void group__record_put(struct moot_group *group, struct moot_batch *batch);
int group__record_load(struct moot_group *group, const struct moot_members *initial);
void group__streams_put(struct moot_group *group, const struct moot_stream *stream);

#endif
