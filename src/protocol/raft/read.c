/* Reads without the log (thesis 6.4): a leader may serve what had arrived before a round began,
 * once a majority has echoed that round, because none of them had then voted for a later leader.
 *
 * Rounds are numbers that every append and heartbeat carries and every answer echoes. They are
 * never used twice by one process, whatever the term (etcd #20418: a request id used again after a
 * leader change confirmed the wrong leadership). */
#include "base/assert.h"
#include "base/rule.h"
#include "base/status.h"
#include "protocol/raft/raft.h"

bool raft__leads_committed(const struct moot_raft *raft)
{
    return raft->role == MOOT_RAFT_LEADER && raft->commit >= raft->term_first;
}

int raft__on_read(struct moot_raft *raft)
{
    if (raft->role != MOOT_RAFT_LEADER) {
        return MOOT_FAIL(MOOT_ENOTLEADER);
    }
    raft->reads_wait = true; /* For the round to be sent next: what is out already is too old. */
    if (raft__members(raft)->voter_count == 1 && raft__is_voter(raft) &&
        !moot_members_is_joint(raft__members(raft))) {
        raft__begin_round(raft);
        raft__maybe_confirm(raft);
    }
    return 0;
}

void raft__begin_round(struct moot_raft *raft)
{
    MOOT_ASSERT(raft->role == MOOT_RAFT_LEADER);
    raft->round_sent++;
    raft->round_wall_ms[raft->round_sent % RAFT_ROUNDS_KEPT] = raft->wall_ms;
    if (raft->reads_wait) {
        RAFT_TRACE(raft, ROUND_BEGUN, raft->round_sent);
        raft->reads_wait = false;
    }
}

static uint64_t value_carried(const void *context, moot_node_id node)
{
    const struct moot_raft *raft = context;
    if (node == raft->options.self) {
        return raft->round_sent;
    }
    const struct raft_peer *peer = raft__peer(raft, node);
    MOOT_ASSERT(peer != NULL);
    return peer->round_carried;
}

/* Of the voters that have not got the round, the one that echoed last; NULL: all have it. */
static struct raft_peer *next_to_ask(struct moot_raft *raft)
{
    struct raft_peer *best = NULL;
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        struct raft_peer *peer = &raft->peers[i];
        if (peer->round_carried < raft->round_sent && (best == NULL || peer->round > best->round) &&
            moot_members_has_voter(raft__members(raft), peer->node)) {
            best = peer;
        }
    }
    return best;
}

static struct moot_instant widen_at(const struct moot_raft *raft)
{
    uint64_t wait_ns = raft->options.heartbeat.ns / RAFT_ROUND_WIDEN_PART;
    return moot_instant_add(raft->now, (struct moot_duration){wait_ns});
}

/* Entries carry the round to their followers already. Of the others as many voters are asked as
 * complete a majority: a read then costs one follower in three, not two. Those that echoed last
 * come first, so that one that has fallen silent is asked in vain once. */
void raft__ask_round(struct moot_raft *raft)
{
    struct raft_peer *peer;
    while (moot_quorum_reached(raft__members(raft), value_carried, raft) < raft->round_sent &&
           (peer = next_to_ask(raft)) != NULL) {
        raft__send_heartbeat(raft, peer);
    }
    if (raft->round_widen.ns == MOOT_NEVER.ns) {
        raft->round_widen = widen_at(raft);
    }
}

void raft__widen_round(struct moot_raft *raft)
{
    MOOT_ASSERT(raft->role == MOOT_RAFT_LEADER);
    raft->round_widen = MOOT_NEVER; /* From here on it is the heartbeat's. */
    struct raft_peer *peer;
    while ((peer = next_to_ask(raft)) != NULL) {
        MOOT_SOMETIMES(true, "a read round was not answered soon, and others were asked");
        raft__send_heartbeat(raft, peer);
    }
}

void raft__maybe_confirm(struct moot_raft *raft)
{
    MOOT_ASSERT(raft->role == MOOT_RAFT_LEADER);
    /* Before its own no-op is committed a leader may not know of everything that is (thesis 6.4,
     * step 1). */
    if (raft->round_sent == raft->round_confirmed ||
        !MOOT_RULE(raft_read_after_noop, raft__leads_committed(raft))) {
        return;
    }
    uint64_t echoed = raft__quorum_round(raft);
    uint64_t confirmed =
        MOOT_RULE(raft_read_round_majority, echoed >= raft->round_sent) ? raft->round_sent : echoed;
    if (confirmed > raft->round_confirmed) {
        raft->round_confirmed = confirmed;
        raft->round_widen = confirmed == raft->round_sent ? MOOT_NEVER : widen_at(raft);
        RAFT_TRACE(raft, ROUND_CONFIRMED, confirmed);
        raft__effect(raft, MOOT_RAFT_EFFECT_ROUND)->round = confirmed;
    }
}
