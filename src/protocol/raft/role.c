/* Terms, roles and time-outs. */
#include "base/assert.h"
#include "base/rule.h"
#include "base/status.h"
#include "protocol/raft/raft.h"

static bool is_sole_voter(const struct moot_raft *raft)
{
    const struct moot_members *members = raft__members(raft);
    return members->voter_count == 1 && members->outgoing_count == 0 &&
           members->voters[0] == raft->options.self;
}

/* Paper 5.2: random, so that mostly one server times out first. Alone there is nobody to wait for.
 */
void raft__reset_election(struct moot_raft *raft)
{
    uint64_t min_ns = raft->options.election_min.ns;
    uint64_t wait_ns = min_ns + moot_rng_below(&raft->rng, min_ns);
    raft->election_deadline = is_sole_voter(raft)
                                  ? raft->now
                                  : moot_instant_add(raft->now, (struct moot_duration){wait_ns});
}

void raft__heard_leader(struct moot_raft *raft, moot_node_id leader)
{
    MOOT_ASSERT(raft->role == MOOT_RAFT_FOLLOWER);
    MOOT_ASSERT(raft->leader == leader);
    raft->leader_heard = raft->now;
    raft->leader_lost = false;
    raft__reset_election(raft);
}

/* Paper section 6, end; thesis 4.2.3: within a minimum election time-out of a leader's word, that
 * leader stands. A link that the kernel closed is as good as silence. */
bool raft__leader_is_alive(const struct moot_raft *raft)
{
    if (raft->role == MOOT_RAFT_LEADER) {
        return true; /* Check-quorum would have ended it. */
    }
    return raft->leader != 0 && !raft->leader_lost &&
           moot_instant_since(raft->now, raft->leader_heard).ns < raft->options.election_min.ns;
}

static void leave_leadership(struct moot_raft *raft, bool term_rose)
{
    if (raft->transfer_to != 0) {
        /* A later term is what a transfer is for; without one its outcome is open. */
        raft__end_transfer(raft, term_rose ? 0 : MOOT_EINDOUBT);
    }
    if (raft->change_index != 0) {
        struct moot_raft_effect *effect = raft__effect(raft, MOOT_RAFT_EFFECT_MEMBERS_DONE);
        effect->done.status = MOOT_EINDOUBT; /* The next leader completes it or overwrites it. */
        effect->done.index = raft->change_index;
        raft->change_index = 0;
    }
    raft->reads_wait = false;
    raft->term_first = 0;
    raft__reset_election(raft);
}

void raft__become_follower(struct moot_raft *raft, moot_term term, moot_node_id leader)
{
    MOOT_ASSERT(term >= raft->term);
    MOOT_ASSERT(leader != raft->options.self);
    bool changed = raft->role != MOOT_RAFT_FOLLOWER || raft->term != term || raft->leader != leader;
    bool was_leader = raft->role == MOOT_RAFT_LEADER;
    bool term_rose = term > raft->term;
    if (term_rose) {
        raft->term = term;
        raft->vote = 0; /* Only a higher term frees the vote (paper figure 2). */
        raft->hard_state_dirty = true;
    }
    raft->role = MOOT_RAFT_FOLLOWER;
    raft->leader = leader;
    if (was_leader) {
        leave_leadership(raft, term_rose);
    }
    if (changed) {
        raft__effect_state(raft); /* The hard state waits: a vote in the same step joins it. */
    }
}

void raft__become_leader(struct moot_raft *raft)
{
    MOOT_ASSERT(raft->role == MOOT_RAFT_CANDIDATE);
    MOOT_ASSERT(raft->vote == raft->options.self);
    MOOT_ASSERT(raft__log_room(raft) > 0);
    raft->role = MOOT_RAFT_LEADER;
    raft->leader = raft->options.self;
    raft->term_first = raft->last + 1;
    raft->reads_wait = false;
    raft->round_widen = MOOT_NEVER;
    raft->transfer_to = 0;
    raft->change_index = 0;
    raft->round_confirmed = raft->round_sent;
    raft__begin_round(raft); /* What we send now is of this leadership, and of this clock. */
    raft->heartbeat_deadline = moot_instant_add(raft->now, raft->options.heartbeat);
    raft->uncommitted_bytes = 0;
    for (moot_index index = raft->commit + 1; index <= raft->last; index++) {
        raft->uncommitted_bytes += raft__log_size(raft, index);
    }
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        raft__peer_reset(raft, &raft->peers[i]);
    }
    raft__effect_state(raft);
    RAFT_TRACE(raft, LEADER, raft->term, raft->term_first);
    /* Paper 5.4.2 and section 8: earlier terms' entries are committed by one of our own. */
    raft__leader_append(raft, MOOT_RAFT_ENTRY_NOOP, 1, NULL);
    if (raft__members_index(raft) > raft->commit || moot_members_is_joint(raft__members(raft))) {
        raft->change_index = raft__members_index(raft); /* Inherited; ours to complete. */
    }
}

void raft__step_down(struct moot_raft *raft, uint64_t reason)
{
    MOOT_ASSERT(raft->role == MOOT_RAFT_LEADER);
    RAFT_TRACE(raft, STEP_DOWN, raft->term, reason);
    raft__become_follower(raft, raft->term, 0);
    if (reason != 2) {
        /* Whoever gives up on purpose lets the others go first. */
        uint64_t min_ns = raft->options.election_min.ns;
        uint64_t wait_ns = 2 * min_ns + moot_rng_below(&raft->rng, min_ns);
        raft->election_deadline = moot_instant_add(raft->now, (struct moot_duration){wait_ns});
    }
}

/* A voter of the configuration in force; or of the one before, while the newer one is not known to
 * be committed: who appended its own removal may hold the only log that can win the election that
 * commits it (thesis 4.2.2, figure 4.6). */
static bool may_be_needed(const struct moot_raft *raft)
{
    if (raft__is_voter(raft)) {
        return true;
    }
    for (uint32_t i = raft->pending_count; i > 0 && raft->pending[i - 1].index > raft->commit;
         i--) {
        const struct moot_members *before =
            i == 1 ? &raft->base.members : &raft->pending[i - 2].members;
        if (moot_members_has_voter(before, raft->options.self)) {
            return true;
        }
    }
    return false;
}

uint64_t raft__unfit(const struct moot_raft *raft)
{
    if (!may_be_needed(raft)) {
        return 1;
    }
    if (!MOOT_RULE(raft_impaired_no_candidacy, !raft->impaired)) {
        return 2;
    }
    if (raft->clock_is_wrong) {
        return 3;
    }
    return raft__log_room(raft) == 0 || raft->term >= RAFT_TERM_MAX ? 4 : 0;
}

static void election_timeout(struct moot_raft *raft)
{
    raft__clock_judge_self(raft);
    uint64_t unfit = raft__unfit(raft);
    if (unfit == 0) {
        raft__campaign_pre(raft);
        return;
    }
    RAFT_TRACE(raft, STAY, unfit);
    raft__become_follower(raft, raft->term, 0);
    raft__reset_election(raft);
    raft->election_deadline =
        moot_instant_add(raft->now, raft->options.election_min); /* Alone and unfit: no spinning. */
}

/* Sends again what has gone unanswered for long: the network may lose messages, and no later one
 * need come to uncover it. */
static void resend(struct moot_raft *raft, struct raft_peer *peer)
{
    uint64_t silent_ns = moot_instant_since(raft->now, peer->since).ns;
    if (peer->state == RAFT_PEER_PROBE && peer->probing &&
        silent_ns >= raft->options.election_min.ns / 4) {
        peer->probing = false;
    } else if (peer->state == RAFT_PEER_REPLICATE && peer->in_flight > 0 &&
               silent_ns >= raft->options.election_min.ns / 2) {
        RAFT_TRACE(raft, RESEND, peer->node, peer->in_flight, peer->match + 1);
        MOOT_SOMETIMES(true, "unanswered appends were sent again");
        raft__peer_probe(raft, peer, peer->match + 1);
    }
}

static void leader_tick(struct moot_raft *raft)
{
    raft->heartbeat_deadline = moot_instant_add(raft->now, raft->options.heartbeat);
    if (!raft__quorum_is_active(raft)) {
        MOOT_SOMETIMES(true, "a leader without quorum stepped down");
        raft__step_down(raft, 2); /* Thesis 6.2. */
        return;
    }
    raft__clock_judge_self(raft);
    if (raft->clock_is_wrong) {
        struct raft_peer *successor = raft__best_successor(raft);
        if (successor != NULL) {
            raft__tell_to_campaign(raft, successor);
        }
        raft__step_down(raft, 4);
        return;
    }
    raft__begin_round(raft);
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        resend(raft, &raft->peers[i]);
        raft__send_heartbeat(raft, &raft->peers[i]);
    }
    raft__maybe_confirm(raft);
    raft__members_committed(raft); /* If the log had no room for the entry that leaves. */
}

void raft__on_tick(struct moot_raft *raft)
{
    if (raft->role != MOOT_RAFT_LEADER) {
        if (!moot_instant_before(raft->now, raft->election_deadline)) {
            election_timeout(raft);
        }
        return;
    }
    if (raft->transfer_to != 0 && !moot_instant_before(raft->now, raft->transfer_deadline)) {
        MOOT_SOMETIMES(true, "a transfer was aborted after one election time-out");
        raft__end_transfer(raft, MOOT_EINDOUBT);
    }
    if (!moot_instant_before(raft->now, raft->heartbeat_deadline)) {
        leader_tick(raft);
    } else if (!moot_instant_before(raft->now, raft->round_widen)) {
        raft__widen_round(raft);
    }
}

void raft__on_peer_lost(struct moot_raft *raft, moot_node_id node)
{
    if (raft->role == MOOT_RAFT_LEADER) {
        struct raft_peer *peer = raft__peer(raft, node);
        if (peer != NULL && peer->state == RAFT_PEER_REPLICATE) {
            raft__peer_probe(raft, peer, peer->match + 1); /* What was in flight is lost. */
        }
        return;
    }
    if (raft->role != MOOT_RAFT_FOLLOWER || node == 0 || raft->leader != node) {
        return;
    }
    raft->leader_lost = true;
    uint64_t wait_ns = 1 + moot_rng_below(&raft->rng, raft->options.election_min.ns / 8);
    raft->election_deadline = moot_instant_min(
        raft->election_deadline, moot_instant_add(raft->now, (struct moot_duration){wait_ns}));
    RAFT_TRACE(raft, PEER_LOST, node,
               moot_instant_since(raft->election_deadline, raft->now).ns / MOOT_MSEC_NS);
}
