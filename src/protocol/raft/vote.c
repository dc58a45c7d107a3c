/* Elections: pre-vote (thesis 9.6), vote (paper 5.2, 5.4.1), and counting. */
#include "base/assert.h"
#include "base/rule.h"
#include "protocol/raft/raft.h"

static void ask_voters(struct moot_raft *raft, enum moot_raft_message_kind kind, moot_term term,
                       bool transfer)
{
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        struct raft_peer *peer = &raft->peers[i];
        peer->vote = MOOT_VOTE_MISSING;
        if (!moot_members_has_voter(raft__members(raft), peer->node)) {
            continue;
        }
        /* A real request leaves only after our own vote is on disk: else we could win with it,
         * crash, and give it to another in the same term. */
        struct moot_raft_message *message =
            raft__send(raft, kind, peer->node, kind == MOOT_RAFT_VOTE, true);
        message->term = term;
        message->vote.last_index = raft->last;
        message->vote.last_term = raft__log_last_term(raft);
        message->vote.transfer = transfer;
    }
}

void raft__campaign_pre(struct moot_raft *raft)
{
    MOOT_ASSERT(raft->role != MOOT_RAFT_LEADER);
    MOOT_ASSERT(raft__unfit(raft) == 0);
    raft->role = MOOT_RAFT_PRE_CANDIDATE;
    raft->leader = 0;
    raft->campaign_wall_ms = raft->wall_ms;
    raft__reset_election(raft);
    raft__effect_state(raft);
    RAFT_TRACE(raft, PRE_VOTE_STARTED, raft->term, raft->term + 1, raft->last,
               raft__log_last_term(raft));
    ask_voters(raft, MOOT_RAFT_PRE_VOTE, raft->term + 1, false);
    raft__count_votes(raft);
}

void raft__campaign_real(struct moot_raft *raft, moot_node_id handed_by)
{
    MOOT_ASSERT(raft->role != MOOT_RAFT_LEADER);
    MOOT_ASSERT(raft__unfit(raft) == 0);
    raft->term++;
    raft->vote = raft->options.self;
    raft->hard_state_dirty = true;
    raft->role = MOOT_RAFT_CANDIDATE;
    raft->leader = 0;
    raft->campaign_answered = false;
    raft->campaign_wall_ms = raft->wall_ms;
    raft__reset_election(raft);
    if (!moot_instant_before(raft->now, raft->election_deadline)) {
        /* Alone, the deadline is `now`, and the vote waits for the disk: do not spin. */
        raft->election_deadline = moot_instant_add(raft->now, raft->options.election_min);
    }
    raft__flush_hard_state(raft);
    raft__effect_state(raft);
    if (handed_by != 0) {
        RAFT_TRACE(raft, CANDIDATE_TRANSFER, handed_by, raft->term);
    } else {
        RAFT_TRACE(raft, CANDIDATE, raft->term, raft->last, raft__log_last_term(raft));
    }
    ask_voters(raft, MOOT_RAFT_VOTE, raft->term, handed_by != 0);
    raft__count_votes(raft);
}

static enum moot_vote vote_of(const void *context, moot_node_id node)
{
    const struct moot_raft *raft = context;
    if (node != raft->options.self) {
        const struct raft_peer *peer = raft__peer(raft, node);
        MOOT_ASSERT(peer != NULL);
        return peer->vote;
    }
    if (raft->role == MOOT_RAFT_PRE_CANDIDATE) {
        return MOOT_VOTE_YES;
    }
    /* Our own vote counts like any other: when it is on disk. An answer proves that it is, because
     * the question waited for it. */
    return MOOT_RULE(raft_own_vote_durable,
                     raft->hard_state_durable >= raft->term || raft->campaign_answered)
               ? MOOT_VOTE_YES
               : MOOT_VOTE_MISSING;
}

void raft__count_votes(struct moot_raft *raft)
{
    if (raft->role != MOOT_RAFT_PRE_CANDIDATE && raft->role != MOOT_RAFT_CANDIDATE) {
        return;
    }
    enum moot_tally tally = moot_quorum_tally(raft__members(raft), vote_of, raft);
    if (tally == MOOT_TALLY_PENDING) {
        return;
    }
    if (tally == MOOT_TALLY_LOST) {
        RAFT_TRACE(raft, ELECTION_LOST, raft->term);
        raft__become_follower(raft, raft->term, 0);
        return;
    }
    if (raft->role == MOOT_RAFT_CANDIDATE) {
        if (raft__log_room(raft) > 0) {
            raft__become_leader(raft);
        }
        return;
    }
    raft__clock_judge_self(raft); /* The answers may have shown that our clock is off. */
    uint64_t unfit = raft__unfit(raft);
    if (unfit != 0) {
        RAFT_TRACE(raft, STAY, unfit);
        raft__become_follower(raft, raft->term, 0);
        return;
    }
    raft__campaign_real(raft, 0);
}

/* What both kinds of vote ask of the log (paper 5.4.1) and of this node. */
static bool log_allows(struct moot_raft *raft, const struct moot_raft_message *message)
{
    moot_node_id from = message->from;
    if (!MOOT_RULE(raft_impaired_no_vote, !raft->impaired)) {
        RAFT_TRACE(raft, REFUSE_IMPAIRED, from, message->term);
        return false;
    }
    if (!MOOT_RULE(raft_vote_log_up_to_date, raft__log_is_up_to_date(raft, message->vote.last_index,
                                                                     message->vote.last_term))) {
        RAFT_TRACE(raft, REFUSE_LOG, from, message->term, message->vote.last_index,
                   message->vote.last_term, raft->last, raft__log_last_term(raft));
        return false;
    }
    return true;
}

static bool is_sticky(struct moot_raft *raft, const struct moot_raft_message *message)
{
    if (message->vote.transfer || MOOT_RULE(raft_prevote_sticky, !raft__leader_is_alive(raft))) {
        return false; /* Thesis 4.2.3, end: a transfer's request comes with the leader's leave. */
    }
    RAFT_TRACE(raft, REFUSE_STICKY, message->from, message->term, raft->leader,
               moot_instant_since(raft->now, raft->leader_heard).ns / MOOT_MSEC_NS);
    return true;
}

static bool grants_pre_vote(struct moot_raft *raft, const struct moot_raft_message *message)
{
    if (message->term <= raft->term) {
        RAFT_TRACE(raft, REFUSE_TERM, message->from, message->term, raft->term);
        return false;
    }
    if (is_sticky(raft, message) || !log_allows(raft, message)) {
        return false;
    }
    if (!MOOT_RULE(raft_wrong_clock_no_pre_vote, !raft__clock_accuses(raft, message))) {
        RAFT_TRACE(raft, REFUSE_CLOCK, message->from, message->term);
        return false;
    }
    RAFT_TRACE(raft, PRE_VOTE_GRANTED, message->from, message->term, message->vote.last_index,
               message->vote.last_term, raft->last, raft__log_last_term(raft));
    return true;
}

/* Changes nothing here: a voter may pre-vote for any number of candidates. A grant carries the
 * request's term, a refusal our own, so that a candidate that is behind in terms learns the term
 * and one that is ahead is not held back (etcd #8243, #8501: both directions have wedged). */
void raft__on_pre_vote(struct moot_raft *raft, const struct moot_raft_message *message)
{
    bool granted = grants_pre_vote(raft, message);
    struct moot_raft_message *reply = raft__send(raft, MOOT_RAFT_PRE_VOTE_REPLY, message->from,
                                                 raft->hard_state_durable < raft->term, true);
    reply->term = granted ? message->term : raft->term;
    reply->vote_reply.granted = granted;
}

void raft__on_vote(struct moot_raft *raft, const struct moot_raft_message *message)
{
    /* Neither grant nor adopt the term while a leader stands, or a removed server could depose it
     * for ever (paper section 6, end). */
    if (message->term > raft->term && is_sticky(raft, message)) {
        return;
    }
    if (message->term > raft->term) {
        RAFT_TRACE(raft, TERM_ADOPTED, message->from, message->term, raft->term);
        raft__become_follower(raft, message->term, 0);
    }
    bool granted = false;
    if (message->term < raft->term) {
        RAFT_TRACE(raft, REFUSE_TERM, message->from, message->term, raft->term);
    } else if (!MOOT_RULE(raft_vote_once, raft->vote == 0 || raft->vote == message->from)) {
        RAFT_TRACE(raft, REFUSE_VOTED, message->from, message->term, raft->vote);
    } else if (log_allows(raft, message) && raft->role == MOOT_RAFT_FOLLOWER) {
        granted = true;
        RAFT_TRACE(raft, VOTE_GRANTED, message->from, message->term, message->vote.last_index,
                   message->vote.last_term, raft->last, raft__log_last_term(raft));
        if (raft->vote != message->from) {
            raft->vote = message->from;
            raft->hard_state_dirty = true;
        }
        raft__reset_election(raft);
    }
    struct moot_raft_message *reply =
        raft__send(raft, MOOT_RAFT_VOTE_REPLY, message->from, true, true);
    reply->vote_reply.granted = granted;
}

void raft__on_vote_reply(struct moot_raft *raft, const struct moot_raft_message *message)
{
    bool pre = message->kind == MOOT_RAFT_PRE_VOTE_REPLY;
    bool granted = message->vote_reply.granted;
    if (raft->role != (pre ? MOOT_RAFT_PRE_CANDIDATE : MOOT_RAFT_CANDIDATE)) {
        return;
    }
    if (message->term != raft->term + (pre && granted ? 1 : 0) && !(pre && !granted)) {
        return;
    }
    struct raft_peer *peer = raft__peer(raft, message->from);
    if (peer == NULL) {
        return;
    }
    RAFT_TRACE(raft, VOTE_COUNTED, message->from, pre ? raft->term + 1 : raft->term, granted);
    if (peer->vote == MOOT_VOTE_MISSING) {
        peer->vote = granted ? MOOT_VOTE_YES : MOOT_VOTE_NO;
    }
    raft->campaign_answered |= !pre;
    if (!pre && !granted) {
        /* A split vote. A majority has just pre-voted, so nobody leads: waiting a whole time-out
         * (paper 5.2) would protect no one. Random again, and pre-vote comes first again. */
        uint64_t share_ns = raft->options.election_min.ns / 16;
        uint64_t wait_ns = share_ns + moot_rng_below(&raft->rng, 2 * share_ns + 1);
        raft->election_deadline = moot_instant_min(
            raft->election_deadline, moot_instant_add(raft->now, (struct moot_duration){wait_ns}));
        MOOT_SOMETIMES(true, "a vote was split");
    }
    raft__count_votes(raft);
}
