/* What the leader knows of one follower (paper figure 2, nextIndex and matchIndex), and what a
 * majority of followers adds up to. */
#include "base/assert.h"
#include "base/rule.h"
#include "protocol/raft/raft.h"

struct raft_peer *raft__peer(const struct moot_raft *raft, moot_node_id node)
{
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        if (raft->peers[i].node == node) {
            return (struct raft_peer *)&raft->peers[i];
        }
    }
    return NULL;
}

/* A new follower as far as this leader goes: nothing it acknowledged earlier counts. */
void raft__peer_reset(struct moot_raft *raft, struct raft_peer *peer)
{
    peer->session = ++raft->session_last;
    peer->match = 0;
    peer->applied = 0;
    peer->round = 0;
    peer->round_carried = 0;
    peer->heard = raft->now;
    peer->vote = MOOT_VOTE_MISSING;
    raft__peer_probe(raft, peer, raft->last + 1);
}

void raft__peer_probe(struct moot_raft *raft, struct raft_peer *peer, moot_index next)
{
    MOOT_ASSERT(next > peer->match);
    MOOT_ASSERT(next <= raft->last + 1);
    peer->state = RAFT_PEER_PROBE;
    peer->probing = false;
    peer->next = next;
    peer->in_flight = 0;
    peer->since = raft->now;
}

void raft__peer_sent(struct moot_raft *raft, struct raft_peer *peer, moot_index last)
{
    MOOT_ASSERT(peer->in_flight < raft->options.window);
    if (peer->in_flight == 0) {
        peer->since = raft->now;
    }
    peer->in_flight_last[(peer->in_flight_first + peer->in_flight) % RAFT_WINDOW_MAX] = last;
    peer->in_flight++;
    peer->next = last + 1;
}

void raft__peer_acknowledged(struct moot_raft *raft, struct raft_peer *peer, moot_index match)
{
    MOOT_ASSERT(match <= raft->last);
    if (match > peer->match) {
        peer->match = match;
        peer->since = raft->now;
    }
    while (peer->in_flight > 0 && peer->in_flight_last[peer->in_flight_first] <= peer->match) {
        peer->in_flight_first = (peer->in_flight_first + 1) % RAFT_WINDOW_MAX;
        peer->in_flight--;
    }
    bool reaches_guess = match + 1 >= peer->next;
    peer->next = moot_max_u64(peer->next, peer->match + 1);
    if (peer->state == RAFT_PEER_PROBE && reaches_guess) {
        peer->state = RAFT_PEER_REPLICATE;
        peer->probing = false;
    } else if (peer->state == RAFT_PEER_SNAPSHOT && peer->match >= raft->snapshot_index) {
        /* It caught up by other means; a probe finds out how far it is (etcd #10308: where the
         * snapshot's index is the last one, no further entry would come to end the state). */
        raft__peer_probe(raft, peer, peer->match + 1);
    }
}

bool raft__peer_is_active(const struct moot_raft *raft, const struct raft_peer *peer)
{
    return moot_instant_since(raft->now, peer->heard).ns <= raft->options.election_min.ns;
}

static uint64_t value_match(const void *context, moot_node_id node)
{
    const struct moot_raft *raft = context;
    if (node == raft->options.self) {
        /* Thesis 10.2.1: the leader writes in parallel with its followers, and counts itself only
         * for what is on its own disk. With one node that is the whole guarantee (etcd #14370). */
        return MOOT_RULE(raft_leader_counts_only_durable, raft->durable >= raft->last)
                   ? raft->last
                   : raft->durable;
    }
    const struct raft_peer *peer = raft__peer(raft, node);
    MOOT_ASSERT(peer != NULL);
    return peer->match;
}

moot_index raft__quorum_match(const struct moot_raft *raft)
{
    return moot_quorum_reached(raft__members(raft), value_match, raft);
}

static uint64_t value_round(const void *context, moot_node_id node)
{
    const struct moot_raft *raft = context;
    if (node == raft->options.self) {
        return raft->round_sent;
    }
    const struct raft_peer *peer = raft__peer(raft, node);
    MOOT_ASSERT(peer != NULL);
    return peer->round;
}

uint64_t raft__quorum_round(const struct moot_raft *raft)
{
    return moot_quorum_reached(raft__members(raft), value_round, raft);
}

static enum moot_vote vote_active(const void *context, moot_node_id node)
{
    const struct moot_raft *raft = context;
    if (node == raft->options.self) {
        return MOOT_VOTE_YES;
    }
    const struct raft_peer *peer = raft__peer(raft, node);
    MOOT_ASSERT(peer != NULL);
    return raft__peer_is_active(raft, peer) ? MOOT_VOTE_YES : MOOT_VOTE_NO;
}

/* Thesis 6.2: a leader that has not heard from a majority for an election time-out is none. */
bool raft__quorum_is_active(const struct moot_raft *raft)
{
    return moot_quorum_tally(raft__members(raft), vote_active, raft) == MOOT_TALLY_WON;
}
