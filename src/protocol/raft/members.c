/* Configurations: in force from their append, rolled back with their entry, complete when
 * committed. Paper section 6; thesis chapter 4.
 *
 * A configuration is appended only when the one before it is committed, so at most the newest of
 * those kept here can ever be rolled back; the rest are kept only until the log is compacted. */
#include "base/assert.h"
#include "base/rule.h"
#include "base/status.h"
#include "protocol/raft/raft.h"

#include <string.h>

const struct moot_members *raft__members(const struct moot_raft *raft)
{
    return raft->pending_count == 0 ? &raft->base.members
                                    : &raft->pending[raft->pending_count - 1].members;
}

moot_index raft__members_index(const struct moot_raft *raft)
{
    return raft->pending_count == 0 ? raft->base.index
                                    : raft->pending[raft->pending_count - 1].index;
}

static void drop_oldest(struct moot_raft *raft)
{
    MOOT_ASSERT(raft->pending_count > 0);
    raft->base = raft->pending[0];
    raft->pending_count--;
    memmove(raft->pending, raft->pending + 1, raft->pending_count * sizeof(raft->pending[0]));
}

void raft__members_push(struct moot_raft *raft, moot_index index,
                        const struct moot_members *members)
{
    MOOT_ASSERT(index > raft__members_index(raft));
    MOOT_ASSERT(moot_members_is_valid(members));
    if (raft->pending_count == MOOT_RAFT_MEMBERS_PENDING) {
        drop_oldest(raft);
    }
    struct raft_members_at *at = &raft->pending[raft->pending_count++];
    at->index = index;
    at->members = *members;
}

void raft__members_truncate(struct moot_raft *raft, moot_index from)
{
    bool changed = false;
    while (raft->pending_count > 0 && raft__members_index(raft) >= from) {
        moot_index gone = raft__members_index(raft);
        raft->pending_count--;
        RAFT_TRACE(raft, MEMBERS_ROLLED_BACK, gone, raft__members_index(raft));
        MOOT_SOMETIMES(true, "a configuration was rolled back");
        changed = true;
    }
    if (changed) {
        raft__members_changed(raft);
    }
}

void raft__members_compact(struct moot_raft *raft, moot_index index)
{
    while (raft->pending_count > 0 && raft->pending[0].index <= index) {
        drop_oldest(raft);
    }
}

bool raft__is_voter(const struct moot_raft *raft)
{
    return moot_members_has_voter(raft__members(raft), raft->options.self);
}

/* Peers are everyone else in the configuration in force. One who stays keeps its progress; one who
 * comes, or comes back, starts a new session. */
static void renew_peers(struct moot_raft *raft)
{
    moot_node_id all[RAFT_PEERS_MAX];
    size_t count = moot_members_all(raft__members(raft), all);
    /* Both lists are sorted. First drop who left, then open gaps for who came, from the end. */
    uint32_t kept = 0;
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        if (moot_members_has(raft__members(raft), raft->peers[i].node)) {
            if (kept != i) {
                raft->peers[kept] = raft->peers[i];
            }
            kept++;
        }
    }
    raft->peer_count = kept;
    for (size_t i = 0; i < count; i++) {
        if (all[i] == raft->options.self || raft__peer(raft, all[i]) != NULL) {
            continue;
        }
        uint32_t at = raft->peer_count;
        while (at > 0 && raft->peers[at - 1].node > all[i]) {
            raft->peers[at] = raft->peers[at - 1];
            at--;
        }
        memset(&raft->peers[at], 0, sizeof(raft->peers[at]));
        raft->peers[at].node = all[i];
        raft->peers[at].clock_now = (struct raft_clock_view){INT64_MIN, INT64_MAX};
        raft->peers[at].clock_before = raft->peers[at].clock_now;
        raft__peer_reset(raft, &raft->peers[at]);
        raft->peer_count++;
    }
}

void raft__members_changed(struct moot_raft *raft)
{
    const struct moot_members *members = raft__members(raft);
    renew_peers(raft);
    if (raft->out == NULL) {
        return; /* While starting: status tells. */
    }
    RAFT_TRACE(raft, MEMBERS_IN_FORCE, raft__members_index(raft), members->voter_count,
               members->outgoing_count, members->learner_count);
    raft__effect(raft, MOOT_RAFT_EFFECT_MEMBERS)->members = *members;
    if (raft->role == MOOT_RAFT_LEADER && raft->transfer_to != 0 &&
        !moot_members_has_voter(members, raft->transfer_to)) {
        raft__end_transfer(raft, MOOT_EINVALID);
    }
}

int raft__on_members(struct moot_raft *raft, const struct moot_members_change *change)
{
    if (raft->role != MOOT_RAFT_LEADER) {
        return MOOT_FAIL(MOOT_ENOTLEADER);
    }
    /* One at a time (paper section 6; thesis 4.1). */
    if (!MOOT_RULE(raft_one_change_at_a_time, raft__members_index(raft) <= raft->commit &&
                                                  !moot_members_is_joint(raft__members(raft)))) {
        return MOOT_FAIL(MOOT_EBUSY);
    }
    /* And only after an entry of our own term is committed: else two leaders of two terms, each
     * with a configuration the other lacks, could both count a majority (Ongaro, "bug in
     * single-server membership changes", raft-dev, July 2015). */
    if (!MOOT_RULE(raft_change_after_noop, raft__leads_committed(raft))) {
        return MOOT_FAIL(MOOT_EBUSY);
    }
    if (raft->transfer_to != 0 || raft__log_room(raft) == 0) {
        return MOOT_FAIL(MOOT_EBUSY);
    }
    struct moot_members next;
    int status = moot_members_enter(raft__members(raft), change, &next);
    if (status != 0) {
        return status;
    }
    raft->change_index = raft->last + 1;
    raft__leader_append(raft, MOOT_RAFT_ENTRY_MEMBERS, RAFT_MEMBERS_SIZE, &next);
    return 0;
}

/* Thesis 4.3: once C-old,new is committed, the leader appends C-new. A new leader that finds a
 * joint configuration does so too, when its own term has committed it. */
static bool maybe_leave_joint(struct moot_raft *raft)
{
    const struct moot_members *members = raft__members(raft);
    if (!moot_members_is_joint(members) || raft__members_index(raft) > raft->commit ||
        !raft__leads_committed(raft) || raft__log_room(raft) == 0) {
        return false;
    }
    RAFT_TRACE(raft, MEMBERS_LEAVE, raft__members_index(raft));
    struct moot_members next;
    moot_members_leave(members, &next);
    raft->change_index = raft->last + 1;
    raft__leader_append(raft, MOOT_RAFT_ENTRY_MEMBERS, RAFT_MEMBERS_SIZE, &next);
    return true;
}

/* Thesis 4.2.2: a leader that is not in the configuration it has committed steps down; until then
 * it leads without counting itself. The others hear of the commit first, and the best of them is
 * told to campaign (3.10), so that nobody has to wait for a time-out. */
static void leave_office(struct moot_raft *raft)
{
    struct raft_peer *successor = raft__best_successor(raft);
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        raft__send_heartbeat(raft, &raft->peers[i]);
    }
    if (successor != NULL) {
        raft__tell_to_campaign(raft, successor);
    }
    raft__step_down(raft, 3);
}

void raft__members_committed(struct moot_raft *raft)
{
    MOOT_ASSERT(raft->role == MOOT_RAFT_LEADER);
    if (maybe_leave_joint(raft) || !raft__leads_committed(raft) ||
        raft__members_index(raft) > raft->commit || moot_members_is_joint(raft__members(raft))) {
        return;
    }
    if (raft->change_index != 0) {
        RAFT_TRACE(raft, MEMBERS_DONE, raft->change_index);
        struct moot_raft_effect *effect = raft__effect(raft, MOOT_RAFT_EFFECT_MEMBERS_DONE);
        effect->done.status = 0;
        effect->done.index = raft__members_index(raft);
        raft->change_index = 0;
    }
    if (!raft__is_voter(raft)) {
        MOOT_SOMETIMES(true, "a removed leader stepped down");
        leave_office(raft);
    }
}
