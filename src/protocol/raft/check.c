/* Every local invariant, and a hash of the state. */
#include "base/assert.h"
#include "base/hash.h"
#include "protocol/raft/raft.h"

static void check_log(const struct moot_raft *raft)
{
    MOOT_ASSERT(raft->snapshot_index <= raft->last);
    MOOT_ASSERT(raft->last - raft->snapshot_index <= raft->options.log_entries_max);
    MOOT_ASSERT(raft->durable >= raft->snapshot_index);
    MOOT_ASSERT(raft->durable <= raft->last);
    MOOT_ASSERT((raft->run_count == 0) == (raft->last == raft->snapshot_index));
    struct raft_run before = {raft->snapshot_index, raft->snapshot_term};
    for (uint32_t i = 0; i < raft->run_count; i++) {
        uint64_t slot = ((uint64_t)raft->run_first + i) % raft->options.log_entries_max;
        struct raft_run run = raft__log_runs(raft)[slot];
        MOOT_ASSERT(run.first > before.first);
        MOOT_ASSERT(run.first <= raft->last);
        /* Terms never fall; within the log, a new run is a higher term. */
        MOOT_ASSERT(i == 0 ? run.term >= before.term : run.term > before.term);
        MOOT_ASSERT(i > 0 || run.first == raft->snapshot_index + 1);
        before = run;
    }
    MOOT_ASSERT(raft__log_last_term(raft) <= raft->term);
}

static void check_members(const struct moot_raft *raft)
{
    MOOT_ASSERT(moot_members_is_valid(&raft->base.members));
    moot_index before = raft->base.index;
    MOOT_ASSERT(before <= raft->last);
    for (uint32_t i = 0; i < raft->pending_count; i++) {
        MOOT_ASSERT(moot_members_is_valid(&raft->pending[i].members));
        MOOT_ASSERT(raft->pending[i].index > before);
        MOOT_ASSERT(raft->pending[i].index <= raft->last);
        before = raft->pending[i].index;
    }
    const struct moot_members *members = raft__members(raft);
    moot_node_id several[RAFT_PEERS_MAX];
    const moot_node_id *all = members->voters; /* Mostly these are all. */
    size_t count = members->voter_count;
    if (moot_members_is_joint(members) || members->learner_count > 0) {
        count = moot_members_all(members, several);
        all = several;
    }
    uint32_t peer = 0;
    for (size_t i = 0; i < count; i++) {
        if (all[i] != raft->options.self) {
            MOOT_ASSERT(peer < raft->peer_count);
            MOOT_ASSERT(raft->peers[peer].node == all[i]);
            peer++;
        }
    }
    MOOT_ASSERT(peer == raft->peer_count);
}

static void check_peer(const struct moot_raft *raft, const struct raft_peer *peer)
{
    MOOT_ASSERT(peer->match < peer->next);
    MOOT_ASSERT(peer->match <= raft->last);
    MOOT_ASSERT(peer->next <= raft->last + 1);
    MOOT_ASSERT(peer->in_flight <= raft->options.window);
    MOOT_ASSERT(peer->state == RAFT_PEER_REPLICATE || peer->in_flight == 0);
    MOOT_ASSERT(peer->round <= raft->round_sent);
    MOOT_ASSERT(peer->round_carried <= raft->round_sent);
    MOOT_ASSERT(peer->session > 0 && peer->session <= raft->session_last);
    moot_index before = peer->match;
    for (uint32_t i = 0; i < peer->in_flight; i++) {
        moot_index last = peer->in_flight_last[(peer->in_flight_first + i) % RAFT_WINDOW_MAX];
        MOOT_ASSERT(last > before);
        MOOT_ASSERT(last < peer->next);
        before = last;
    }
}

static void check_leader(const struct moot_raft *raft)
{
    MOOT_ASSERT(raft->leader == raft->options.self);
    MOOT_ASSERT(raft->vote == raft->options.self);
    MOOT_ASSERT(!raft->impaired);
    MOOT_ASSERT(raft->term_first > raft->snapshot_index || raft->commit >= raft->term_first);
    MOOT_ASSERT(raft->round_confirmed <= raft->round_sent);
    moot_term term = 0;
    if (raft__log_term(raft, raft->term_first, &term)) {
        MOOT_ASSERT(term == raft->term);
    }
    uint64_t bytes = 0;
    for (moot_index index = raft->commit + 1; index <= raft->last; index++) {
        bytes += raft__log_size(raft, index);
    }
    MOOT_ASSERT(bytes == raft->uncommitted_bytes);
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        check_peer(raft, &raft->peers[i]);
    }
    MOOT_ASSERT(raft->transfer_to == 0 || raft__peer(raft, raft->transfer_to) != NULL);
}

void moot_raft_check(const struct moot_raft *raft)
{
    MOOT_ASSERT(raft->snapshot_index <= raft->applied);
    MOOT_ASSERT(raft->applied <= raft->commit);
    MOOT_ASSERT(raft->commit <= raft->last);
    MOOT_ASSERT(raft->hard_state_durable <= raft->term);
    check_log(raft);
    check_members(raft);
    switch (raft->role) {
    case MOOT_RAFT_LEADER:
        check_leader(raft);
        break;
    case MOOT_RAFT_CANDIDATE:
        MOOT_ASSERT(raft->vote == raft->options.self);
        MOOT_ASSERT(raft->leader == 0);
        break;
    case MOOT_RAFT_PRE_CANDIDATE:
        MOOT_ASSERT(raft->leader == 0);
        break;
    default:
        MOOT_ASSERT(raft->role == MOOT_RAFT_FOLLOWER);
        MOOT_ASSERT(raft->leader != raft->options.self);
        MOOT_ASSERT(raft->transfer_to == 0);
        break;
    }
}

static uint64_t mix_members(uint64_t hash, const struct raft_members_at *at)
{
    moot_node_id all[RAFT_PEERS_MAX];
    size_t count = moot_members_all(&at->members, all);
    hash = moot_hash_mix(hash, at->index);
    hash = moot_hash_mix(hash, (uint64_t)at->members.voter_count << 8 | at->members.outgoing_count);
    for (size_t i = 0; i < count; i++) {
        hash = moot_hash_mix(hash, all[i]);
    }
    return hash;
}

static uint64_t mix_peer(uint64_t hash, const struct raft_peer *peer)
{
    const uint64_t words[] = {
        peer->node,      peer->session,       peer->match, peer->next,
        peer->applied,   peer->round,         peer->state, peer->heard.ns,
        peer->in_flight, peer->round_carried, peer->vote,  (uint64_t)peer->clock_now.ahead_min,
        peer->probing,   peer->since.ns,
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(words); i++) {
        hash = moot_hash_mix(hash, words[i]);
    }
    return hash;
}

uint64_t moot_raft_digest(const struct moot_raft *raft)
{
    const uint64_t words[] = {
        raft->options.self,
        raft->now.ns,
        raft->wall_ms,
        raft->term,
        raft->vote,
        raft->hard_state_durable,
        raft->snapshot_index,
        raft->snapshot_term,
        raft->last,
        raft->durable,
        raft->commit,
        raft->applied,
        raft->impaired,
        raft->refilled,
        raft->role,
        raft->leader,
        raft->leader_lost,
        raft->leader_heard.ns,
        raft->election_deadline.ns,
        raft->heartbeat_deadline.ns,
        raft->round_sent,
        raft->round_confirmed,
        raft->reads_wait,
        raft->round_widen.ns,
        raft->transfer_to,
        raft->change_index,
        raft->uncommitted_bytes,
        raft->clock_is_wrong,
        raft->clock_is_proven,
        raft->clock_leapt_until.ns,
        raft->rng.state[0],
        raft->rng.state[1],
    };
    uint64_t hash = 0;
    for (size_t i = 0; i < MOOT_ARRAY_LEN(words); i++) {
        hash = moot_hash_mix(hash, words[i]);
    }
    for (uint32_t i = 0; i < raft->run_count; i++) {
        uint64_t slot = ((uint64_t)raft->run_first + i) % raft->options.log_entries_max;
        hash = moot_hash_mix(hash, raft__log_runs(raft)[slot].first);
        hash = moot_hash_mix(hash, raft__log_runs(raft)[slot].term);
    }
    hash = mix_members(hash, &raft->base);
    for (uint32_t i = 0; i < raft->pending_count; i++) {
        hash = mix_members(hash, &raft->pending[i]);
    }
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        hash = mix_peer(hash, &raft->peers[i]);
    }
    return hash;
}
