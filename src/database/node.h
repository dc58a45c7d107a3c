/* One server's brain: everything between the bytes of clients and the bytes of disks.
 *
 * Deterministic and single-threaded: the same inputs, times and seed give the same effects, bit for
 * bit. It owns the edge (connections), the groups (`system`, `db0`), the journal's layout and the
 * routing between them. */
#ifndef MOOT_DATABASE_NODE_H
#define MOOT_DATABASE_NODE_H

#include "base/limits.h"
#include "base/rule.h"
#include "database/turn.h"
#include "wire/admission.h"

/* Where a node listens. */
struct moot_address {
    moot_node_id node;
    char peer[MOOT_ADDRESS_MAX];   /* host:port for other nodes */
    char client[MOOT_ADDRESS_MAX]; /* host:port for clients */
};

/* Who a node is: written to its journal once, when its disk is formatted, and never changed.
 * `initial` is the cluster's first membership, the same on every node for ever: the state before
 * the first log entry. A node that joins later has the same `initial`, and is not in it. A disk
 * that is lost takes its id with it: who comes back is a new node (PITFALLS, Raft 27). */
struct moot_identity {
    uint8_t cluster[MOOT_CLUSTER_ID_BYTES];
    moot_node_id node;
    struct moot_address self;
    struct moot_address initial[MOOT_MEMBERS_MAX];
    uint32_t initial_count;
};
/* One versioned encoding: for the journal, and (as hex) for the join reply. */
void moot_identity_encode(const struct moot_identity *identity, struct moot_buffer *out);
int moot_identity_decode(struct moot_slice bytes, struct moot_identity *out) MOOT_MUST_USE;
/* "N=PEER/CLIENT,...": the first members of a new cluster as a command line names them, in any
 * order, each address a HOST:PORT. Fills `initial`, sorted, and leaves the rest; false when it is
 * not one, or names a node twice, or one beyond MOOT_NODE_ID_MAX. */
bool moot_identity_parse_initial(struct moot_slice text, struct moot_identity *out);

struct moot_node_options {
    struct moot_disk *disk; /* The journal's. Outlives the node; used only inside moot_node_open. */
    struct moot_store *store; /* Outlives the node; the node reads it inside turns. */
    const struct moot_identity
        *format; /* Write this identity to an empty disk; NULL: the disk must have one. */
    struct moot_now now;
    uint64_t seed;
    struct moot_journal_options journal;
    struct moot_chance chance;          /* Rare choices; all zeros in production. */
    uint64_t election_ms, heartbeat_ms; /* 0: from limits.h */
    uint64_t flush_bytes;               /* 0: from limits.h */
    uint64_t log_memory_bytes;          /* 0: from limits.h */
    uint64_t recent_bytes;              /* Of a group, a power of two; 0: from limits.h */
    uint64_t read_elements;             /* Of one read within a turn; 0: from limits.h */
    uint64_t long_read_one_in;          /* Reads go on beside turns for no reason; 0: never. */
    struct moot_admission admission;    /* Who may join; all zeros: nobody. */
    uint32_t feature_level;             /* 0: from limits.h */
    uint64_t edge_queue_bytes;          /* Of commands for db0 that wait; 0: from limits.h */
    uint64_t clients_bytes;             /* Of the buffers of all clients; 0: from limits.h */
    uint64_t ring_bytes;                /* Of a group's last replies; 0: from limits.h */
    bool raft_trace;                    /* Decisions of Raft as LOG effects. */
    /* The store was rotten and is set aside; this one is new and empty. The journal is what it was:
     * the groups neither vote nor acknowledge until a leader has brought them as far as they may
     * have acknowledged. The store remembers that from here on; say so until open has succeeded. */
    bool store_lost;
};

struct moot_node; /* opaque */

/* Opens the disk and the store and comes back as a follower. Also performs the first journal write
 * (its new incarnation), through options->disk, so that the incarnation is durable before anything
 * leaves. On failure *out is NULL and `why` says it in a sentence with what to do. MOOT_ENOTFOUND:
 * the disk is empty and `format` is NULL. MOOT_EREFUSED: the disk has another identity.
 * MOOT_ECORRUPT, MOOT_EVERSION, MOOT_EIO. A node that finds its store rotten later, and hears that
 * others lead, stops with MOOT_ECORRUPT: set the store aside, and open it again with `store_lost`.
 */
int moot_node_open(const struct moot_node_options *options, struct moot_node **out,
                   char why[256]) MOOT_MUST_USE;
void moot_node_close(struct moot_node *node);

/* One turn. Effects stay valid until the next turn or close. */
void moot_node_turn(struct moot_node *node, const struct moot_input *inputs, size_t count,
                    struct moot_now now, struct moot_effects *out);

const struct moot_identity *moot_node_identity(const struct moot_node *node);
uint64_t moot_node_incarnation(const struct moot_node *node); /* Greater at every start. */
/* After the STOP that REOPEN led to: the name of a journal's file that nothing needs any more, for
 * the driver to remove, so that the next brain need not read it. False when there is none. */
bool moot_node_take_spare(struct moot_node *node, char name[32]);

/* For the simulator and for status: what this node believes about one of its groups. */
struct moot_group_view {
    bool exists;
    bool leads;
    uint8_t role; /* enum moot_raft_role */
    moot_node_id leader;
    moot_node_id vote; /* In `term`; 0: none. */
    moot_term term;
    moot_index first, last, durable, commit, applied;
    uint64_t chain;  /* Hash over the write sets up to `applied`. */
    uint64_t digest; /* Additive hash of the contents at `applied`. */
    bool fenced, impaired, changing;
    const struct moot_members *members; /* The group's, as they are now. */
    uint64_t log_bytes, waiters;
    uint64_t long_reads, long_reads_begun; /* Commands: under way, and ever of this process. */
    uint64_t unstored_bytes, recent_bytes, ring_bytes; /* Memory beside the log. */
    uint32_t feature_level;                            /* 0: its first leader has not set it yet. */
    uint64_t batches_run;                              /* Of clients, by this process. */
    /* Batches of reads that came to this process as the leader, that it served, that wait. */
    uint64_t reads_placed, reads_run, reads_waiting;
    uint64_t queued_bytes; /* Of commands of this node's clients to it that are not answered. */
    uint64_t stamp_ms; /* By which keys would expire if it led: what the next entry would say. */
};
void moot_node_group(const struct moot_node *node, moot_group_id group,
                     struct moot_group_view *out);
/* What `node` is in the group that it sees so, in a word or two for people. */
const char *moot_group_role_text(const struct moot_group_view *view, moot_node_id node);
/* Term and content hash of the entry at `index` in the group's log; false when it is not in memory.
 * With moot_node_group this is what the simulator's cross-node invariants (log matching, leader
 * completeness) read. */
bool moot_node_entry(const struct moot_node *node, moot_group_id group, moot_index index,
                     moot_term *term, uint64_t *hash);
/* Only the term; also of the entry before the first one in memory. */
bool moot_node_term(const struct moot_node *node, moot_group_id group, moot_index index,
                    moot_term *term);
/* How far one edge's stream has been executed, `number` counted from 0; false behind the last. */
bool moot_node_stream(const struct moot_node *node, moot_group_id group, size_t number,
                      moot_node_id *edge, uint64_t *incarnation, uint64_t *executed);
/* Is there rot in the journal, so that the next start finds it again, whatever it took? */
bool moot_node_has_rot(const struct moot_node *node);
/* All invariants of the node and its cores; aborts by assertion. */
void moot_node_check(const struct moot_node *node);

#endif
