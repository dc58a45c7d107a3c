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
 * majority alive, all the others can.
 *
 * Of two voters, or of two that are left of three, no majority can call a clock wrong. Then a node
 * goes by what it knows of its own:
 *   - its wall clock has just moved against its steady clock by more than the bound: for a short
 *     while it is wrong as soon as more voters differ than agree. Only for a while, because all may
 *     have leapt, each to another time;
 *   - since it began, or since that, no majority has shown that it is not ahead of them: it is
 *     wrong as long as most of those it hears are behind it. Of the heard ones the lower median
 *     never is, so somebody can lead; and of two clocks that differ the earlier leads, so nothing
 *     expires before its time.
 *
 * Who leads with a clock that was agreed with is not disturbed by another's leap.
 */
#include "base/assert.h"
#include "base/rule.h"
#include "protocol/raft/raft.h"

enum { LEAPT_ELECTIONS = 8 }; /* Twice as long as what was heard before it counts. */

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

static bool is_heard(struct raft_clock_view view) { return view.ahead_min != INT64_MIN; }

bool raft__clock_is_off(const struct moot_raft *raft, const struct raft_peer *peer)
{
    struct raft_clock_view view = view_of(peer);
    return raft->options.clock_bound_ms != 0 &&
           (view.ahead_min > bound_of(raft) || view.ahead_max < -bound_of(raft));
}

void raft__clock_step(struct moot_raft *raft)
{
    int64_t steady_ms = (int64_t)(raft->now.ns / MOOT_MSEC_NS);
    int64_t offset_ms = difference(raft->wall_ms, 0) - steady_ms;
    int64_t moved_ms = offset_ms - raft->clock_offset_ms;
    bool leapt = raft->clock_has_offset && raft->options.clock_bound_ms != 0 &&
                 (moved_ms > bound_of(raft) || moved_ms < -bound_of(raft));
    raft->clock_offset_ms = offset_ms;
    raft->clock_has_offset = true;
    if (leapt) {
        uint64_t while_ns = LEAPT_ELECTIONS * raft->options.election_min.ns;
        raft->clock_leapt_until = moot_instant_add(raft->now, (struct moot_duration){while_ns});
        raft->clock_is_proven = false;
    }
}

/* Of the other voters. */
struct clock_count {
    uint32_t voters, ahead, behind, agree;
    uint32_t within; /* Of those that agree: surely not behind us, however late they were heard. */
};

static struct clock_count count_clocks(const struct moot_raft *raft)
{
    struct clock_count count = {0};
    int64_t bound = bound_of(raft);
    for (uint32_t i = 0; i < raft->peer_count; i++) {
        const struct raft_peer *peer = &raft->peers[i];
        if (!moot_members_has_voter(raft__members(raft), peer->node)) {
            continue;
        }
        struct raft_clock_view view = view_of(peer);
        bool agrees = is_heard(view) && !raft__clock_is_off(raft, peer);
        count.voters++;
        count.ahead += view.ahead_min > bound;
        count.behind += view.ahead_max < -bound;
        count.agree += agrees;
        count.within += agrees && view.ahead_min >= -bound;
    }
    return count;
}

/* Where no majority tells: what we know of our own clock. */
static bool must_yield(const struct moot_raft *raft, const struct clock_count *count)
{
    uint32_t off = count->ahead > count->behind ? count->ahead : count->behind;
    bool leapt = moot_instant_before(raft->now, raft->clock_leapt_until);
    bool doubted = (leapt && off > count->agree) ||
                   (!raft->clock_is_proven && count->behind > count->agree + count->ahead);
    return !MOOT_RULE(raft_doubted_clock_yields, !doubted);
}

void raft__clock_judge_self(struct moot_raft *raft)
{
    if (raft->options.clock_bound_ms == 0) {
        return;
    }
    (void)turn_window(raft);
    struct clock_count count = count_clocks(raft);
    uint32_t self = raft__is_voter(raft) ? 1 : 0;
    uint32_t majority = (count.voters + self) / 2 + 1;
    bool leapt = moot_instant_before(raft->now, raft->clock_leapt_until);
    raft->clock_is_proven |= !leapt && self + count.within >= majority;
    uint32_t off = count.ahead > count.behind ? count.ahead : count.behind;
    bool wrong = !MOOT_RULE(raft_clock_within_majority, off < majority) || must_yield(raft, &count);
    if (wrong != raft->clock_is_wrong) {
        raft->clock_is_wrong = wrong;
        if (wrong) {
            RAFT_TRACE(raft, CLOCK_WRONG, off, self + count.voters, raft->options.clock_bound_ms);
            MOOT_SOMETIMES(true, "a node found its own clock wrong");
            MOOT_SOMETIMES(off < majority, "a node found its own clock wrong without a majority");
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
            voters++;
            agree +=
                view.ahead_min >= -bound && view.ahead_min <= bound && view.ahead_max >= -bound;
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
