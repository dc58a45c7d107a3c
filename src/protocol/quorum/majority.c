/* Counting: has a majority said yes, and how far has a majority come? */
#include "base/assert.h"
#include "moot/quorum.h"

static size_t majority_of(size_t count) { return count / 2 + 1; }

static enum moot_tally tally_set(const moot_node_id *set, size_t count, moot_vote_of vote,
                                 const void *context)
{
    MOOT_ASSERT(count > 0);
    size_t yes = 0;
    size_t no = 0;
    for (size_t i = 0; i < count; i++) {
        enum moot_vote answer = vote(context, set[i]);
        yes += answer == MOOT_VOTE_YES;
        no += answer == MOOT_VOTE_NO;
    }
    if (yes >= majority_of(count)) {
        return MOOT_TALLY_WON;
    }
    return count - no >= majority_of(count) ? MOOT_TALLY_PENDING : MOOT_TALLY_LOST;
}

enum moot_tally moot_quorum_tally(const struct moot_members *members, moot_vote_of vote,
                                  const void *context)
{
    enum moot_tally incoming = tally_set(members->voters, members->voter_count, vote, context);
    if (!moot_members_is_joint(members) || incoming == MOOT_TALLY_LOST) {
        return incoming;
    }
    /* Thesis 4.3: agreement needs separate majorities from both sets. */
    enum moot_tally outgoing = tally_set(members->outgoing, members->outgoing_count, vote, context);
    if (outgoing == MOOT_TALLY_LOST) {
        return MOOT_TALLY_LOST;
    }
    return incoming == MOOT_TALLY_WON && outgoing == MOOT_TALLY_WON ? MOOT_TALLY_WON
                                                                    : MOOT_TALLY_PENDING;
}

static uint64_t reached_by_set(const moot_node_id *set, size_t count, moot_value_of value,
                               const void *context)
{
    MOOT_ASSERT(count > 0);
    MOOT_ASSERT(count <= MOOT_QUORUM_VOTERS_MAX);
    /* Largest first; insertion, because a set has at most nine members. */
    uint64_t sorted[MOOT_QUORUM_VOTERS_MAX];
    for (size_t i = 0; i < count; i++) {
        uint64_t one = value(context, set[i]);
        size_t at = i;
        while (at > 0 && sorted[at - 1] < one) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = one;
    }
    return sorted[majority_of(count) - 1];
}

uint64_t moot_quorum_reached(const struct moot_members *members, moot_value_of value,
                             const void *context)
{
    uint64_t reached = reached_by_set(members->voters, members->voter_count, value, context);
    if (moot_members_is_joint(members)) {
        uint64_t outgoing =
            reached_by_set(members->outgoing, members->outgoing_count, value, context);
        reached = moot_min_u64(reached, outgoing);
    }
    return reached;
}
