/* The wrong-clock rule: a node whose wall clock is off a majority's by more than the bound gets no
 * pre-votes and gives up leadership. Terms and votes never depend on it: this is hygiene for
 * stamps, not safety.
 *
 * A message shows its sender's clock at the moment of sending, and can only be late. So
 *   (sender's stamp) - (our clock on receipt)      is a lower bound of how far ahead it is, and
 *   (sender's stamp) - (our clock when we asked)   is an upper bound, if the message is an answer.
 * "It is ahead of us" needs only the first; "it is behind us" needs the second, else every slow
 * network, and every node that slept, would look like a clock running fast.
 *
 * A node is wrong when a majority of all voters lie on one side of it. The median voter never has a
 * majority on one side, so at least one voter can always campaign; with one clock off, and a
 * majority alive, all the others can. */
#include "base/assert.h"
#include "base/rule.h"
#include "protocol/raft/raft.h"

static int64_t difference(uint64_t a_ms, uint64_t b_ms)
{
    const uint64_t limit = INT64_MAX / 4;
    return (int64_t)moot_min_u64(a_ms, limit) - (int64_t)moot_min_u64(b_ms, limit);
}

/* True when a new window began. */
static bool turn_window(struct moot_raft *raft)
{
    if (moot_instant_before(raft->now, raft->clock_window_end)) {
        return false;
    }
    uint64_t window_ns = 2 * raft->options.election_min.ns;
    bool long_ago = moot_instant_since(raft->now, raft->clock_window_end).ns >= window_ns;
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        struct raft_peer *peer = &raft->peers[i];
        const struct raft_clock_view nothing = {INT64_MIN, INT64_MAX};
        peer->clock_before = long_ago ? nothing : peer->clock_now;
        peer->clock_now = nothing;
    }
    raft->clock_window_end = moot_instant_add(raft->now, (struct moot_duration){window_ns});
    return true;
}

void raft__clock_seen(struct moot_raft *raft, const struct moot_raft_message *message,
                      uint64_t asked_wall_ms)
{
    struct raft_peer *peer = raft__peer(raft, message->from);
    if (raft->options.clock_bound_ms == 0 || peer == NULL) {
        return;
    }
    if (turn_window(raft)) {
        raft__clock_judge_self(raft); /* Old views fade: a clock that was put right is right. */
    }
    int64_t ahead = difference(message->wall_ms, raft->wall_ms);
    if (ahead > peer->clock_now.ahead_min) {
        peer->clock_now.ahead_min = ahead;
    }
    if (asked_wall_ms != UINT64_MAX) {
        int64_t at_most = difference(message->wall_ms, asked_wall_ms);
        if (at_most < peer->clock_now.ahead_max) {
            peer->clock_now.ahead_max = at_most;
        }
    }
}

/* The best of both windows. */
static struct raft_clock_view view_of(const struct raft_peer *peer)
{
    struct raft_clock_view view = peer->clock_now;
    if (peer->clock_before.ahead_min > view.ahead_min) {
        view.ahead_min = peer->clock_before.ahead_min;
    }
    if (peer->clock_before.ahead_max < view.ahead_max) {
        view.ahead_max = peer->clock_before.ahead_max;
    }
    return view;
}

static int64_t bound_of(const struct moot_raft *raft)
{
    return (int64_t)moot_min_u64(raft->options.clock_bound_ms, INT64_MAX / 4);
}

void raft__clock_judge_self(struct moot_raft *raft)
{
    if (raft->options.clock_bound_ms == 0) {
        return;
    }
    (void)turn_window(raft);
    int64_t bound = bound_of(raft);
    uint32_t voters = raft__is_voter(raft) ? 1 : 0;
    uint32_t ahead = 0;
    uint32_t behind = 0;
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        if (!moot_members_has_voter(raft__members(raft), raft->peers[i].node)) {
            continue;
        }
        struct raft_clock_view view = view_of(&raft->peers[i]);
        voters++;
        ahead += view.ahead_min > bound;
        behind += view.ahead_max < -bound;
    }
    uint32_t off = ahead > behind ? ahead : behind;
    bool wrong = !MOOT_RULE(raft_clock_within_majority, off < voters / 2 + 1);
    if (wrong != raft->clock_is_wrong) {
        raft->clock_is_wrong = wrong;
        if (wrong) {
            RAFT_TRACE(raft, CLOCK_WRONG, off, voters, raft->options.clock_bound_ms);
            MOOT_SOMETIMES(true, "a node found its own clock wrong");
        } else {
            RAFT_TRACE(raft, CLOCK_RIGHT, 0);
        }
    }
}

bool moot_raft_clock_is_agreed(const struct moot_raft *raft)
{
    int64_t bound = bound_of(raft);
    uint32_t voters = raft__is_voter(raft) ? 1 : 0;
    uint32_t agree = voters;
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        if (moot_members_has_voter(raft__members(raft), raft->peers[i].node)) {
            struct raft_clock_view view = view_of(&raft->peers[i]);
            bool heard = view.ahead_min != INT64_MIN;
            voters++;
            agree += heard && view.ahead_min <= bound && view.ahead_max >= -bound;
        }
    }
    return raft->options.clock_bound_ms == 0 || agree >= voters / 2 + 1;
}

bool raft__clock_accuses(const struct moot_raft *raft, const struct moot_raft_message *message)
{
    if (raft->options.clock_bound_ms == 0) {
        return false;
    }
    int64_t bound = bound_of(raft);
    int64_t asker = difference(message->wall_ms, raft->wall_ms);
    bool counted = raft__is_voter(raft); /* We are 0 ahead of ourselves. */
    uint32_t voters = counted ? 1 : 0;
    uint32_t below = counted && asker > bound ? 1 : 0;
    uint32_t above = counted && asker < -bound ? 1 : 0;
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        const struct raft_peer *peer = &raft->peers[i];
        if (!moot_members_has_voter(raft__members(raft), peer->node)) {
            continue;
        }
        voters++;
        int64_t other = view_of(peer).ahead_min;
        if (peer->node == message->from || other == INT64_MIN) {
            continue;
        }
        below += asker - other > bound;
        above += other - asker > bound;
    }
    return below >= voters / 2 + 1 || above >= voters / 2 + 1;
}
