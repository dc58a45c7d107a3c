/* Leadership transfer (thesis 3.10): let one follower catch up, then tell it to campaign at once.
 */
#include "base/assert.h"
#include "base/rule.h"
#include "base/status.h"
#include "protocol/raft/raft.h"

static bool may_succeed(const struct moot_raft *raft, moot_node_id node)
{
    const struct moot_members *members = raft__members(raft);
    for (uint32_t i = 0; i < members->voter_count; i++) {
        if (members->voters[i] == node) {
            return true; /* Of the incoming set: who is on the way out is no successor. */
        }
    }
    return false;
}

/* Who is told to campaign asks for no pre-votes, so it would lead before it finds itself wrong. */
static bool shows_our_time(const struct moot_raft *raft, const struct raft_peer *peer)
{
    return raft->clock_is_wrong || !raft__clock_is_off(raft, peer);
}

struct raft_peer *raft__best_successor(struct moot_raft *raft)
{
    struct raft_peer *best = NULL;
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        struct raft_peer *peer = &raft->peers[i];
        if (may_succeed(raft, peer->node) && raft__peer_is_active(raft, peer) &&
            shows_our_time(raft, peer) && (best == NULL || peer->match > best->match)) {
            best = peer;
        }
    }
    return best;
}

int raft__on_transfer(struct moot_raft *raft, moot_node_id node)
{
    if (raft->role != MOOT_RAFT_LEADER) {
        return MOOT_FAIL(MOOT_ENOTLEADER);
    }
    if (raft->transfer_to != 0) {
        return MOOT_FAIL(MOOT_EBUSY);
    }
    struct raft_peer *peer = node == 0 ? raft__best_successor(raft) : raft__peer(raft, node);
    if (peer == NULL || !may_succeed(raft, peer->node) || !shows_our_time(raft, peer)) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    raft->transfer_to = peer->node;
    raft->transfer_told = false;
    raft->transfer_deadline = moot_instant_add(raft->now, raft->options.election_min);
    RAFT_TRACE(raft, TRANSFER_STARTED, peer->node, peer->match, raft->last);
    raft__maybe_hand_over(raft);
    return 0;
}

void raft__tell_to_campaign(struct moot_raft *raft, struct raft_peer *peer)
{
    RAFT_TRACE(raft, TRANSFER_NOW, peer->node, peer->match);
    (void)raft__send(raft, MOOT_RAFT_TIMEOUT_NOW, peer->node, false, true);
}

void raft__maybe_hand_over(struct moot_raft *raft)
{
    if (raft->transfer_to == 0 || raft->transfer_told) {
        return;
    }
    struct raft_peer *peer = raft__peer(raft, raft->transfer_to);
    MOOT_ASSERT(peer != NULL);
    if (peer->match == raft->last) {
        raft->transfer_told = true;
        raft__tell_to_campaign(raft, peer);
    }
}

void raft__end_transfer(struct moot_raft *raft, int status)
{
    MOOT_ASSERT(raft->transfer_to != 0);
    MOOT_ASSERT(status <= 0);
    RAFT_TRACE(raft, TRANSFER_ENDED, raft->transfer_to, (uint64_t)-status);
    struct moot_raft_effect *effect = raft__effect(raft, MOOT_RAFT_EFFECT_TRANSFER_DONE);
    effect->done.status = status;
    raft->transfer_to = 0;
}

void raft__on_timeout_now(struct moot_raft *raft, const struct moot_raft_message *message)
{
    uint64_t unfit = raft__unfit(raft);
    /* Its sender may have stepped down already, in this same term; it led it, and that is enough.
     */
    if (unfit == 0 && (raft->role != MOOT_RAFT_FOLLOWER ||
                       (raft->leader != 0 && raft->leader != message->from))) {
        unfit = 5;
    }
    if (unfit != 0) {
        RAFT_TRACE(raft, TIMEOUT_NOW_IGNORED, message->from, unfit);
        return;
    }
    raft__campaign_real(raft, message->from);
}
