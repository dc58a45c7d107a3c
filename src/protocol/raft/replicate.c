/* The leader's side of replication (paper 5.3; thesis 10.2). */
#include "base/assert.h"
#include "base/rule.h"
#include "base/status.h"
#include "protocol/raft/raft.h"

void raft__leader_append(struct moot_raft *raft, enum moot_raft_entry_kind kind, uint32_t size,
                         const struct moot_members *members)
{
    MOOT_ASSERT(raft->role == MOOT_RAFT_LEADER);
    MOOT_ASSERT((kind == MOOT_RAFT_ENTRY_MEMBERS) == (members != NULL));
    raft__flush_hard_state(raft);
    raft__log_push(raft, raft->term, size);
    raft->uncommitted_bytes += size;
    RAFT_TRACE(raft, SUBMITTED, raft->last, raft->term, size);
    struct moot_raft_effect *effect = raft__effect(raft, MOOT_RAFT_EFFECT_APPENDED);
    effect->appended.first = raft->last;
    effect->appended.last = raft->last;
    effect->appended.term = raft->term;
    effect->appended.kind = kind;
    if (members != NULL) {
        effect->appended.members = *members;
        raft__members_push(raft, raft->last, members);
        raft__members_changed(raft);
    }
}

int raft__on_submit(struct moot_raft *raft, uint32_t size)
{
    if (raft->role != MOOT_RAFT_LEADER) {
        return MOOT_FAIL(MOOT_ENOTLEADER);
    }
    if (raft->transfer_to != 0) {
        return MOOT_FAIL(MOOT_EBUSY); /* Thesis 3.10: the target must be able to catch up. */
    }
    bool fits = raft->uncommitted_bytes == 0 ||
                raft->uncommitted_bytes + size <= raft->options.uncommitted_bytes_max;
    /* Half of the places at most are not committed, so that compaction can always free some. */
    if (!fits || raft__log_room(raft) <= RAFT_LOG_RESERVE ||
        raft->last - raft->commit >= raft->options.log_entries_max / 2) {
        return MOOT_FAIL(MOOT_EOVERLOADED);
    }
    raft__leader_append(raft, MOOT_RAFT_ENTRY_DATA, size, NULL);
    return 0;
}

void raft__maybe_commit(struct moot_raft *raft)
{
    MOOT_ASSERT(raft->role == MOOT_RAFT_LEADER);
    moot_index reached = moot_min_u64(raft__quorum_match(raft), raft->last);
    moot_term term = 0;
    if (reached <= raft->commit || !raft__log_term(raft, reached, &term)) {
        return;
    }
    /* Paper 5.4.2, figure 8: replicas are counted only for entries of the leader's own term; what
     * is older is committed by what follows it. */
    if (!MOOT_RULE(raft_commit_current_term, term == raft->term)) {
        return;
    }
    for (moot_index index = raft->commit + 1; index <= reached; index++) {
        raft->uncommitted_bytes -= raft__log_size(raft, index);
    }
    RAFT_TRACE(raft, COMMITTED, reached, term);
    raft__set_commit(raft, reached);
    raft__maybe_confirm(raft);
    raft__members_committed(raft);
}

/* Empty, and after what the follower is known to have: it is refused only by one that lost data.
 * So it may overtake the appends in flight. */
void raft__send_heartbeat(struct moot_raft *raft, struct raft_peer *peer)
{
    moot_index match = peer->match;
    moot_term term = 0;
    if (!raft__log_term(raft, match, &term)) {
        match = 0; /* It needs a snapshot; "after nothing" always agrees. */
    }
    RAFT_TRACE(raft, HEARTBEAT_SENT, peer->node, match, raft->commit, raft->round_sent);
    struct moot_raft_message *message = raft__send(raft, MOOT_RAFT_APPEND, peer->node, false, true);
    message->session = peer->session;
    message->append.previous_index = match;
    message->append.previous_term = term;
    message->append.commit = raft->commit;
    message->append.round = raft->round_sent;
    peer->round_carried = raft->round_sent;
}

/* The entries of one append: as many as its limits allow, and at least one. */
static uint32_t batch_after(const struct moot_raft *raft, moot_index previous)
{
    uint32_t count = 0;
    uint64_t bytes = 0;
    while (previous + count < raft->last && count < raft->options.append_entries_max) {
        bytes += raft__log_size(raft, previous + count + 1);
        if (count > 0 && bytes > raft->options.append_bytes_max) {
            break;
        }
        count++;
    }
    return count;
}

static void send_append(struct moot_raft *raft, struct raft_peer *peer)
{
    moot_index previous = peer->next - 1;
    moot_term term = 0;
    bool reached = raft__log_term(raft, previous, &term);
    MOOT_ASSERT(reached);
    uint32_t count = batch_after(raft, previous);
    RAFT_TRACE(raft, APPEND_SENT, peer->node, previous, term, count, raft->commit,
               raft->round_sent);
    /* Not after our own disk: the leader writes in parallel (thesis 10.2.1). */
    struct moot_raft_message *message =
        raft__send(raft, MOOT_RAFT_APPEND, peer->node, false, false);
    message->session = peer->session;
    message->append.previous_index = previous;
    message->append.previous_term = term;
    message->append.commit = raft->commit;
    message->append.round = raft->round_sent;
    message->append.count = count;
    peer->round_carried = raft->round_sent;
    if (peer->state == RAFT_PEER_REPLICATE) {
        raft__peer_sent(raft, peer, previous + count);
    } else {
        peer->probing = true;
        peer->since = raft->now;
    }
}

static void ask_for_snapshot(struct moot_raft *raft, struct raft_peer *peer)
{
    RAFT_TRACE(raft, SNAPSHOT_NEEDED, peer->node, peer->next, raft->snapshot_index + 1);
    MOOT_SOMETIMES(true, "a follower needed a snapshot");
    raft__peer_probe(raft, peer, peer->next);
    peer->state = RAFT_PEER_SNAPSHOT;
    struct moot_raft_effect *effect = raft__effect(raft, MOOT_RAFT_EFFECT_SNAPSHOT_NEEDED);
    effect->snapshot.node = peer->node;
    effect->snapshot.index = raft->snapshot_index; /* At least this far. */
    effect->snapshot.term = raft->snapshot_term;
}

void raft__replicate(struct moot_raft *raft, struct raft_peer *peer)
{
    if (peer->state == RAFT_PEER_SNAPSHOT || (peer->state == RAFT_PEER_PROBE && peer->probing)) {
        return;
    }
    if (peer->state == RAFT_PEER_PROBE && peer->next > raft->snapshot_index) {
        send_append(raft, peer);
        return;
    }
    while (peer->next > raft->snapshot_index && peer->next <= raft->last &&
           peer->in_flight < raft->options.window && raft__has_room_for_bulk(raft)) {
        send_append(raft, peer);
    }
    if (peer->next <= raft->snapshot_index) {
        ask_for_snapshot(raft, peer);
    }
}

/* The follower misses what we thought it had. */
static void on_refused(struct moot_raft *raft, struct raft_peer *peer,
                       const struct moot_raft_message *message)
{
    moot_index previous = message->append_reply.previous_index;
    moot_index hint = message->append_reply.hint_index;
    moot_term hint_term = message->append_reply.hint_term;
    if (peer->match > 0 && previous == peer->match && hint < peer->match) {
        /* It refuses at what it had acknowledged: its disk lost entries (or this is a late copy of
         * an old answer; then this only costs sending again). Its old acknowledgements must not
         * count for anything more. */
        MOOT_SOMETIMES(true, "a follower refused at its own match");
        peer->match = 0;
    } else if (peer->state == RAFT_PEER_SNAPSHOT || previous < peer->match ||
               (peer->state == RAFT_PEER_PROBE && previous != peer->next - 1)) {
        RAFT_TRACE(raft, REFUSED_STALE, peer->node, previous);
        return;
    }
    moot_index next = hint + 1;
    moot_term own_term = 0;
    bool agrees = raft__log_term(raft, hint, &own_term) && own_term == hint_term;
    if (!agrees && hint >= raft->snapshot_index) {
        next = raft__log_find(raft, hint, hint_term) + 1;
        if (previous == raft->snapshot_index) {
            next = raft->snapshot_index; /* Nothing lower is in the log: a snapshot. */
        }
    }
    next = moot_max_u64(moot_min_u64(next, raft->last + 1), peer->match + 1);
    RAFT_TRACE(raft, REFUSED, peer->node, previous, hint, hint_term, next);
    bool same = peer->state == RAFT_PEER_PROBE && next == peer->next;
    struct moot_instant since = peer->since;
    bool probing = peer->probing;
    raft__peer_probe(raft, peer, next);
    if (same) {
        /* An impaired follower answers so until it is repaired. Asking the same again can wait, but
         * not for ever: the entries that would repair it may have been lost on the way, and every
         * heartbeat is refused as well. */
        peer->probing = probing;
        peer->since = since;
    }
}

void raft__on_append_reply(struct moot_raft *raft, const struct moot_raft_message *message)
{
    struct raft_peer *peer = raft__peer(raft, message->from);
    if (raft->role != MOOT_RAFT_LEADER || peer == NULL) {
        return;
    }
    /* Who was removed and added again is a new follower: its old acknowledgements are of a log
     * that it may no longer have. */
    if (!MOOT_RULE(raft_session_match, message->session == peer->session)) {
        RAFT_TRACE(raft, SESSION_STALE, peer->node, message->session, peer->session);
        return;
    }
    peer->heard = raft->now;
    peer->applied = moot_max_u64(peer->applied, message->append_reply.applied);
    peer->round =
        moot_max_u64(peer->round, moot_min_u64(message->append_reply.round, raft->round_sent));
    if (!message->append_reply.accepted) {
        on_refused(raft, peer, message);
    } else if (message->append_reply.match <= raft->last) {
        raft__peer_acknowledged(raft, peer, message->append_reply.match);
        RAFT_TRACE(raft, ACKNOWLEDGED, peer->node, message->append_reply.match, peer->next,
                   message->append_reply.round);
        raft__maybe_commit(raft);
    }
    if (raft->role == MOOT_RAFT_LEADER) { /* The commit may have removed us. */
        raft__maybe_confirm(raft);
        raft__maybe_hand_over(raft);
    }
}

void raft__on_flush(struct moot_raft *raft)
{
    if (raft->role != MOOT_RAFT_LEADER) {
        return;
    }
    bool reads = raft->reads_wait;
    if (reads) {
        raft__begin_round(raft);
    }
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        raft__replicate(raft, &raft->peers[i]);
    }
    if (reads) {
        raft__ask_round(raft);
    }
    raft__maybe_confirm(raft);
}
