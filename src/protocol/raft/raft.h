/* Inside the Raft core: its state, and what its files share. Outside, moot/raft.h is the door.
 *
 * "Paper" is Ongaro and Ousterhout, 2014 (extended version); "thesis" is Ongaro, 2014.
 *
 *                 time-out                 majority of              majority of
 *   follower ------------> pre-candidate ------------> candidate ------------> leader
 *      ^   [campaign_pre]        |     [campaign_real]     |    [become_leader]   |
 *      |                         |                         |                      |
 *      +-------------------------+-------------------------+----------------------+
 *        leader of this term, a higher term, refusal by a majority; no quorum, removed
 *                                  [become_follower]
 */
#ifndef MOOT_PROTOCOL_RAFT_RAFT_H
#define MOOT_PROTOCOL_RAFT_RAFT_H

#include "base/rng.h"
#include "moot/raft.h"
#include "protocol/raft/trace.h"

enum {
    RAFT_PEERS_MAX = 2 * MOOT_QUORUM_VOTERS_MAX + 2 * MOOT_QUORUM_LEARNERS_MAX,
    RAFT_WINDOW_MAX = 64,
    /* A step leaves room for what must not be lost (hard state, commit, votes): traces and bulk
     * appends stop earlier. */
    RAFT_EFFECTS_FOR_TRACE = MOOT_RAFT_EFFECTS_MAX - 192,
    RAFT_EFFECTS_FOR_BULK = MOOT_RAFT_EFFECTS_MAX - 128,
    RAFT_LOG_RESERVE = 16,      /* Places that SUBMIT leaves for no-ops and configurations. */
    RAFT_ROUNDS_KEPT = 8,       /* Rounds whose sending time is remembered. */
    RAFT_ROUND_WIDEN_PART = 16, /* Of a heartbeat: then a round is sent to all voters. */
    RAFT_MEMBERS_SIZE = (int)sizeof(struct moot_members), /* Counted for a configuration. */
};
/* Received numbers beyond these are nonsense; so that adding to a good one never overflows. */
#define RAFT_TERM_MAX  (UINT64_MAX / 4)
#define RAFT_INDEX_MAX (UINT64_MAX / 4)

/* A stretch of entries of one term. */
struct raft_run {
    moot_index first;
    moot_term term;
};

enum raft_peer_state {
    RAFT_PEER_PROBE,     /* Where its log ends is a guess: one append at a time. */
    RAFT_PEER_REPLICATE, /* Known: a window of appends, sent optimistically (thesis 10.2.2). */
    RAFT_PEER_SNAPSHOT,  /* It needs what the log no longer has. */
};

/* What is known of another member's clock, in milliseconds relative to ours. A message can only be
 * late, so what it shows is one-sided; see clock.c. */
struct raft_clock_view {
    int64_t ahead_min; /* It is at least this much ahead of us. */
    int64_t ahead_max; /* It is at most this much ahead: only answers tell. */
};

struct raft_peer {
    moot_node_id node;
    uint64_t session;
    moot_index match, next, applied;
    uint64_t round; /* Highest read round that it echoed in this term. */
    struct moot_instant heard;
    enum raft_peer_state state;
    bool probing;              /* PROBE: an append is out. SNAPSHOT: the driver was asked. */
    struct moot_instant since; /* Of the oldest thing unanswered, for sending again. */
    uint32_t in_flight, in_flight_first;
    moot_index in_flight_last[RAFT_WINDOW_MAX]; /* Last index of each append out, oldest first. */
    uint64_t round_carried;                     /* Highest round in a message to it. */
    enum moot_vote vote;
    struct raft_clock_view clock_now, clock_before; /* Two windows, so that old views fade. */
};

struct raft_members_at {
    moot_index index;
    struct moot_members members;
};

struct moot_raft {
    struct moot_raft_options options;
    struct moot_rng rng;
    struct moot_instant now;
    uint64_t wall_ms;
    struct moot_raft_effects *out; /* Only during a step. */

    /* Hard state (paper figure 2, "persistent state"). */
    moot_term term;
    moot_node_id vote;
    bool hard_state_dirty;        /* Changed in this step, and no effect says so yet. */
    moot_term hard_state_durable; /* Highest term whose hard state is known to be on disk. */

    /* The log: (snapshot_index, last]. Sizes and runs lie behind this struct. */
    moot_index snapshot_index, last, durable;
    moot_term snapshot_term;
    uint32_t run_first, run_count;

    moot_index commit, applied;
    bool impaired;
    moot_index impaired_until;
    /* Impaired until what was refilled is durable up to here; 0: it was not. */
    moot_index refilled;

    enum moot_raft_role role;
    moot_node_id leader;
    struct moot_instant leader_heard;
    bool leader_lost; /* The link to it closed since. */
    struct moot_instant election_deadline;

    /* Configurations: the one at or below every possible truncation, and those above. */
    struct raft_members_at base;
    struct raft_members_at pending[MOOT_RAFT_MEMBERS_PENDING];
    uint32_t pending_count;

    struct raft_peer peers[RAFT_PEERS_MAX]; /* Everyone else, sorted by node. */
    uint32_t peer_count;

    /* Candidate. */
    bool campaign_transfer;
    bool campaign_answered; /* A voter answered: our own vote was durable, since asking waits. */
    uint64_t campaign_wall_ms;

    /* Leader. */
    uint64_t session_last;
    moot_index term_first; /* Our no-op. */
    uint64_t uncommitted_bytes;
    struct moot_instant heartbeat_deadline;
    uint64_t round_sent, round_confirmed;
    bool reads_wait;                 /* For the round after round_sent. */
    struct moot_instant round_widen; /* When all voters are asked for the round. */
    uint64_t round_wall_ms[RAFT_ROUNDS_KEPT];
    moot_node_id transfer_to;
    bool transfer_told;
    struct moot_instant transfer_deadline;
    moot_index change_index; /* Of our uncommitted configuration, while a change is under way. */

    /* Snapshot that is being received. */
    moot_node_id offer_from;
    uint64_t offer_session;
    moot_index offer_index;
    moot_term offer_term;

    bool clock_is_wrong;
    struct moot_instant clock_window_end;
    /* A majority has shown a time that ours is not ahead of, since we began or our wall clock leapt
     * last. */
    bool clock_is_proven;
    bool clock_has_offset;
    int64_t clock_offset_ms; /* Of our wall clock to our steady one, in the last step. */
    struct moot_instant clock_leapt_until; /* It leapt a short while ago, until then. */
};

#define RAFT_TRACE(raft, name, ...)                                                                \
    do {                                                                                           \
        if ((raft)->options.trace) {                                                               \
            raft__trace((raft), MOOT_RAFT_TRACE_##name,                                            \
                        (const uint64_t[MOOT_RAFT_TRACE_FIELDS]){__VA_ARGS__});                    \
        }                                                                                          \
    } while (0)

/* ---- effect.c: what a step says ---- */
void raft__trace(struct moot_raft *raft, uint16_t kind, const uint64_t *fields);
/* The next effect, zeroed but for its kind. */
struct moot_raft_effect *raft__effect(struct moot_raft *raft, enum moot_raft_effect_kind kind);
/* A message to `to` in the current term, to be filled in. A changed hard state goes first. */
struct moot_raft_message *raft__send(struct moot_raft *raft, enum moot_raft_message_kind kind,
                                     moot_node_id to, bool after_durable, bool urgent);
void raft__flush_hard_state(struct moot_raft *raft);
void raft__effect_state(struct moot_raft *raft);
bool raft__has_room_for_bulk(const struct moot_raft *raft);

/* ---- log.c: terms and sizes of the entries in memory ---- */
uint32_t *raft__log_sizes(const struct moot_raft *raft);
struct raft_run *raft__log_runs(const struct moot_raft *raft);
bool raft__log_term(const struct moot_raft *raft, moot_index index, moot_term *term);
moot_term raft__log_last_term(const struct moot_raft *raft);
uint32_t raft__log_size(const struct moot_raft *raft, moot_index index);
/* Places left. */
uint64_t raft__log_room(const struct moot_raft *raft);
void raft__log_push(struct moot_raft *raft, moot_term term, uint32_t size);
/* Drops `from` and everything above. */
void raft__log_truncate(struct moot_raft *raft, moot_index from);
/* The log starts after `index`, which it holds. */
void raft__log_compact(struct moot_raft *raft, moot_index index);
/* The log is empty after (index, term). */
void raft__log_reset(struct moot_raft *raft, moot_index index, moot_term term);
/* The greatest index at or below `index` whose term is at most `term`; at least the log's start. */
moot_index raft__log_find(const struct moot_raft *raft, moot_index index, moot_term term);
/* True when a log that ends at (index, term) is at least as up to date as ours (paper 5.4.1). */
bool raft__log_is_up_to_date(const struct moot_raft *raft, moot_index index, moot_term term);

/* ---- members.c: configurations ---- */
const struct moot_members *raft__members(const struct moot_raft *raft);
moot_index raft__members_index(const struct moot_raft *raft);
void raft__members_push(struct moot_raft *raft, moot_index index,
                        const struct moot_members *members);
/* Called when the log loses `from` and above. */
void raft__members_truncate(struct moot_raft *raft, moot_index from);
/* Called when entries up to `index` leave the log. */
void raft__members_compact(struct moot_raft *raft, moot_index index);
/* Another configuration is in force: peers to match, and say so. */
void raft__members_changed(struct moot_raft *raft);
bool raft__is_voter(const struct moot_raft *raft);
/* What a commit makes possible: leave a joint configuration, report, step down. */
void raft__members_committed(struct moot_raft *raft);
int raft__on_members(struct moot_raft *raft, const struct moot_members_change *change);

/* ---- role.c: terms, roles, time-outs ---- */
void raft__become_follower(struct moot_raft *raft, moot_term term, moot_node_id leader);
void raft__become_leader(struct moot_raft *raft);
void raft__step_down(struct moot_raft *raft, uint64_t reason);
void raft__reset_election(struct moot_raft *raft);
/* Why this node must not campaign; 0: it may. */
uint64_t raft__unfit(const struct moot_raft *raft);
void raft__on_tick(struct moot_raft *raft);
void raft__on_peer_lost(struct moot_raft *raft, moot_node_id node);
/* The leader was heard. */
void raft__heard_leader(struct moot_raft *raft, moot_node_id leader);
bool raft__leader_is_alive(const struct moot_raft *raft);

/* ---- vote.c ---- */
void raft__campaign_pre(struct moot_raft *raft);
void raft__campaign_real(struct moot_raft *raft, moot_node_id handed_by);
void raft__count_votes(struct moot_raft *raft);
void raft__on_pre_vote(struct moot_raft *raft, const struct moot_raft_message *message);
void raft__on_vote(struct moot_raft *raft, const struct moot_raft_message *message);
void raft__on_vote_reply(struct moot_raft *raft, const struct moot_raft_message *message);

/* ---- append.c: the follower's side ---- */
void raft__on_append(struct moot_raft *raft, const struct moot_raft_message *message);
void raft__set_commit(struct moot_raft *raft, moot_index commit);
void raft__maybe_repaired(struct moot_raft *raft, moot_index match);

/* ---- replicate.c: the leader's side ---- */
void raft__leader_append(struct moot_raft *raft, enum moot_raft_entry_kind kind, uint32_t size,
                         const struct moot_members *members);
int raft__on_submit(struct moot_raft *raft, uint32_t size);
void raft__on_append_reply(struct moot_raft *raft, const struct moot_raft_message *message);
void raft__maybe_commit(struct moot_raft *raft);
void raft__send_heartbeat(struct moot_raft *raft, struct raft_peer *peer);
void raft__replicate(struct moot_raft *raft, struct raft_peer *peer);
void raft__on_flush(struct moot_raft *raft);

/* ---- progress.c: what the leader knows of one follower ---- */
struct raft_peer *raft__peer(const struct moot_raft *raft, moot_node_id node);
void raft__peer_reset(struct moot_raft *raft, struct raft_peer *peer);
void raft__peer_probe(struct moot_raft *raft, struct raft_peer *peer, moot_index next);
void raft__peer_acknowledged(struct moot_raft *raft, struct raft_peer *peer, moot_index match);
void raft__peer_sent(struct moot_raft *raft, struct raft_peer *peer, moot_index last);
/* Majority values over the configuration in force; our own from ourselves. */
moot_index raft__quorum_match(const struct moot_raft *raft);
uint64_t raft__quorum_round(const struct moot_raft *raft);
bool raft__quorum_is_active(const struct moot_raft *raft);
bool raft__peer_is_active(const struct moot_raft *raft, const struct raft_peer *peer);

/* ---- read.c ---- */
int raft__on_read(struct moot_raft *raft);
void raft__begin_round(struct moot_raft *raft);
void raft__ask_round(struct moot_raft *raft);
void raft__widen_round(struct moot_raft *raft);
void raft__maybe_confirm(struct moot_raft *raft);
bool raft__leads_committed(const struct moot_raft *raft);

/* ---- snapshot.c ---- */
void raft__on_snapshot(struct moot_raft *raft, const struct moot_raft_message *message);
void raft__on_snapshot_reply(struct moot_raft *raft, const struct moot_raft_message *message);
int raft__on_installed(struct moot_raft *raft, moot_index index, moot_term term,
                       const struct moot_members *members);
void raft__on_snapshot_failed(struct moot_raft *raft, moot_node_id node);
int raft__on_compact(struct moot_raft *raft, moot_index index);

/* ---- transfer.c ---- */
int raft__on_transfer(struct moot_raft *raft, moot_node_id node);
void raft__on_timeout_now(struct moot_raft *raft, const struct moot_raft_message *message);
void raft__maybe_hand_over(struct moot_raft *raft);
void raft__end_transfer(struct moot_raft *raft, int status);
/* The voter to hand over to: active, with the longest log; NULL when there is none. */
struct raft_peer *raft__best_successor(struct moot_raft *raft);
void raft__tell_to_campaign(struct moot_raft *raft, struct raft_peer *peer);

/* ---- clock.c: the wrong-clock rule ---- */
/* Every message shows its sender's clock. `asked_wall_ms`: ours when we sent what this answers;
 * UINT64_MAX when it answers nothing. */
void raft__clock_seen(struct moot_raft *raft, const struct moot_raft_message *message,
                      uint64_t asked_wall_ms);
void raft__clock_judge_self(struct moot_raft *raft);
/* At each step: has our own wall clock leapt? */
void raft__clock_step(struct moot_raft *raft);
/* Its own answers show that this peer's clock is off ours. */
bool raft__clock_is_off(const struct moot_raft *raft, const struct raft_peer *peer);
bool raft__clock_accuses(const struct moot_raft *raft, const struct moot_raft_message *message);

/* ---- receive.c ---- */
/* 0, or why a received message is malformed. */
uint64_t raft__message_fault(const struct moot_raft *raft, const struct moot_raft_message *message);
void raft__on_receive(struct moot_raft *raft, const struct moot_raft_message *message);

#endif
