/* The follower's side of replication (paper figure 2, AppendEntries; 5.3). */
#include "base/assert.h"
#include "base/rule.h"
#include "protocol/raft/raft.h"

static struct moot_raft_message *answer(struct moot_raft *raft,
                                        const struct moot_raft_message *message, bool gated)
{
    bool heartbeat = message->append.count == 0;
    struct moot_raft_message *reply = raft__send(
        raft, MOOT_RAFT_APPEND_REPLY, message->from,
        gated || raft->hard_state_durable < raft->term || raft->hard_state_dirty, heartbeat);
    reply->session = message->session;
    reply->append_reply.previous_index = message->append.previous_index;
    reply->append_reply.applied = raft->applied;
    /* Only a leader of our own term is confirmed by it. */
    reply->append_reply.round = message->term == raft->term ? message->append.round : 0;
    return reply;
}

/* Refuses with a hint: the last of our entries that may match the leader's, which skips a whole
 * term at a time (paper 5.3, end). */
static void refuse(struct moot_raft *raft, const struct moot_raft_message *message, moot_index hint)
{
    moot_term hint_term = 0;
    bool reached = raft__log_term(raft, hint, &hint_term);
    MOOT_ASSERT(reached);
    struct moot_raft_message *reply = answer(raft, message, false);
    reply->append_reply.accepted = false;
    reply->append_reply.hint_index = hint;
    reply->append_reply.hint_term = hint_term;
}

void raft__set_commit(struct moot_raft *raft, moot_index commit)
{
    MOOT_ASSERT(commit <= raft->last);
    MOOT_ASSERT(commit > raft->commit);
    raft->commit = commit;
    raft__effect(raft, MOOT_RAFT_EFFECT_COMMIT)->commit = commit;
}

/* PITFALLS section 2: who lost acknowledged records must not help to elect a leader that lacks
 * them. Known how far they went: a leader's log up to there repairs it. Not known: our term was
 * raised at the start, so that any leader of it was elected without us and holds all that our lost
 * acknowledgements helped to commit; an entry of its own term is above all of that. */
void raft__maybe_repaired(struct moot_raft *raft, moot_index match)
{
    if (!raft->impaired) {
        return;
    }
    moot_term term = 0;
    bool known = raft->impaired_until != UINT64_MAX;
    if (known ? match >= raft->impaired_until
              : raft__log_term(raft, match, &term) && term == raft->term) {
        RAFT_TRACE(raft, REPAIRED, match, raft->term);
        MOOT_SOMETIMES(true, "an impaired log was repaired");
        raft->impaired = false;
        raft->refilled = 0;
    }
}

/* First entry of the message that the log lacks or contradicts; `count` when it has them all. */
static uint32_t first_difference(const struct moot_raft *raft,
                                 const struct moot_raft_message *message)
{
    for (uint32_t i = 0; i < message->append.count; i++) {
        moot_index index = message->append.previous_index + 1 + i;
        moot_term term = 0;
        if (index <= raft->snapshot_index) {
            continue;
        }
        if (!raft__log_term(raft, index, &term) || term != message->append.entries[i].term) {
            return i;
        }
    }
    return message->append.count;
}

/* Appends entries from number `offset` on, as many as there is room for. Returns the last index of
 * the message that the log then has. */
static moot_index append_entries(struct moot_raft *raft, const struct moot_raft_message *message,
                                 uint32_t offset)
{
    const struct moot_raft_entry *entries = message->append.entries;
    moot_index first = message->append.previous_index + 1 + offset;
    MOOT_ASSERT(first == raft->last + 1);
    bool members = false;
    uint32_t kept = offset;
    while (kept < message->append.count && raft__log_room(raft) > 0) {
        raft__log_push(raft, entries[kept].term, entries[kept].size);
        if (entries[kept].kind == MOOT_RAFT_ENTRY_MEMBERS) {
            raft__members_push(raft, raft->last, entries[kept].members);
            members = true;
        }
        kept++;
    }
    if (kept < message->append.count) {
        RAFT_TRACE(raft, LOG_FULL, raft->last, kept - offset, message->append.count - offset);
    }
    if (kept > offset) {
        raft__flush_hard_state(raft);
        struct moot_raft_effect *effect = raft__effect(raft, MOOT_RAFT_EFFECT_APPENDED);
        effect->appended.first = first;
        effect->appended.last = raft->last;
        effect->appended.term = raft__log_last_term(raft);
        effect->appended.offset = offset;
        effect->appended.kind = MOOT_RAFT_ENTRY_DATA;
    }
    if (members) {
        raft__members_changed(raft); /* In force from its append (paper section 6). */
    }
    return raft->last;
}

/* The log holds everything before the message's entries. False: the message contradicts what is
 * committed, which no leader does. */
static bool merge(struct moot_raft *raft, const struct moot_raft_message *message,
                  moot_index *match, uint32_t *fresh)
{
    uint32_t offset = first_difference(raft, message);
    moot_index first = message->append.previous_index + 1 + offset;
    *match = message->append.previous_index + message->append.count;
    *fresh = message->append.count - offset;
    moot_term term = 0;
    bool conflict = offset < message->append.count && raft__log_term(raft, first, &term);
    /* Only a conflict truncates. A message may be old and shorter than the log; what follows its
     * entries may be acknowledged already. */
    moot_index cut = conflict ? first : *match + 1;
    if (cut <= raft->last && MOOT_RULE(raft_truncate_only_on_conflict, conflict)) {
        if (!MOOT_RULE(raft_truncate_above_commit, cut > raft->commit)) {
            RAFT_TRACE(raft, TRUNCATE_COMMITTED, message->from, cut, raft->commit);
            return false;
        }
        RAFT_TRACE(raft, TRUNCATED, cut, term, message->term, raft->last);
        MOOT_SOMETIMES(true, "a conflicting suffix was truncated");
        raft__log_truncate(raft, cut);
        raft__members_truncate(raft, cut);
    }
    if (offset < message->append.count) {
        *match = append_entries(raft, message, offset);
    }
    return true;
}

static void learn_commit(struct moot_raft *raft, moot_index leader_commit, moot_index match)
{
    /* Paper figure 2: the least of the leader's commit and the last *new* entry; what lies beyond
     * may be another leader's and yet to be overwritten. */
    moot_index bounded = moot_min_u64(leader_commit, match);
    moot_index commit = MOOT_RULE(raft_commit_bounded_by_match, leader_commit <= match)
                            ? moot_min_u64(leader_commit, raft->last)
                            : bounded;
    if (commit > raft->commit) {
        RAFT_TRACE(raft, COMMIT_LEARNED, leader_commit, match, commit);
        raft__set_commit(raft, commit);
    }
}

static void accept(struct moot_raft *raft, const struct moot_raft_message *message)
{
    moot_index match = 0;
    uint32_t fresh = 0;
    if (!merge(raft, message, &match, &fresh)) {
        return;
    }
    RAFT_TRACE(raft, APPEND_ACCEPTED, message->from, message->append.previous_index,
               message->append.count, fresh, match, message->append.round);
    raft__maybe_repaired(raft, match);
    learn_commit(raft, message->append.commit, match);
    if (!MOOT_RULE(raft_impaired_no_acknowledgement, !raft->impaired)) {
        /* The hint alone lets the leader go on. */
        refuse(raft, message, moot_max_u64(match, raft->snapshot_index));
        return;
    }
    /* What is committed here every later leader has (paper 5.4.3), whatever this message says. So a
     * leader that lost the answer to a snapshot learns from any heartbeat that it arrived. */
    match = moot_max_u64(match, raft->commit);
    /* A heartbeat's answer confirms the leader, and must not wait for the disk: it acknowledges
     * only what is there already. */
    if (message->append.count == 0) {
        match = moot_min_u64(match, raft->durable);
    }
    struct moot_raft_message *reply = answer(raft, message, match > raft->durable);
    reply->append_reply.accepted = true;
    reply->append_reply.match = match;
}

void raft__on_append(struct moot_raft *raft, const struct moot_raft_message *message)
{
    MOOT_ASSERT(message->term <= raft->term);
    if (message->term < raft->term) {
        /* The answer carries our term, so that a leader cut off in an older one learns of it and
         * gives way (etcd's check-quorum fix). */
        RAFT_TRACE(raft, APPEND_STALE, message->from, message->term, raft->term);
        refuse(raft, message, raft->snapshot_index);
        return;
    }
    MOOT_ASSERT(raft->role == MOOT_RAFT_FOLLOWER);
    MOOT_ASSERT(raft->leader == message->from);
    raft__heard_leader(raft, message->from);
    moot_index previous = message->append.previous_index;
    moot_term term = 0;
    if (previous < raft->snapshot_index) {
        /* What the snapshot covers is committed, so a leader agrees with it. */
        uint64_t covered = raft->snapshot_index - previous;
        if (message->append.count >= covered &&
            message->append.entries[covered - 1].term != raft->snapshot_term) {
            RAFT_TRACE(raft, TRUNCATE_COMMITTED, message->from, raft->snapshot_index, raft->commit);
            return;
        }
        accept(raft, message);
        return;
    }
    bool reached = raft__log_term(raft, previous, &term);
    if (reached && MOOT_RULE(raft_append_previous_matches, term == message->append.previous_term)) {
        accept(raft, message);
        return;
    }
    moot_index hint =
        reached ? raft__log_find(raft, previous, message->append.previous_term) : raft->last;
    moot_term hint_term = 0;
    (void)raft__log_term(raft, hint, &hint_term);
    RAFT_TRACE(raft, APPEND_MISMATCH, message->from, previous, message->append.previous_term, hint,
               hint_term);
    refuse(raft, message, hint);
}
