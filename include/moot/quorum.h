/* Arithmetic of majorities: plain and joint.
 *
 * Intuition: a decision stands when every possible later decision must meet somebody who knows of
 * it. Two majorities of one set always meet. While membership changes, two sets are in force at
 * once, and a decision needs a majority of *both* (Ongaro's thesis, section 4.3, joint consensus).
 *
 * Not handled: zones and sloppy quorums (moot/quorum_math.h), weights. */
#ifndef MOOT_QUORUM_H
#define MOOT_QUORUM_H

#include "moot/base.h"

enum { MOOT_QUORUM_VOTERS_MAX = 9, MOOT_QUORUM_LEARNERS_MAX = 8 };

/* Who is in a group. `outgoing` is not empty exactly during a joint configuration: then decisions
 * need a majority of voters and a majority of outgoing. Arrays are sorted, without repeats. A
 * learner is never a voter of the incoming set; a node demoted by a joint change is listed in
 * learners_next until the change is left, because it still votes in `outgoing` (thesis 4.3; etcd's
 * LearnersNext). */
struct moot_members {
    moot_node_id voters[MOOT_QUORUM_VOTERS_MAX];
    moot_node_id outgoing[MOOT_QUORUM_VOTERS_MAX];
    moot_node_id learners[MOOT_QUORUM_LEARNERS_MAX];
    moot_node_id learners_next[MOOT_QUORUM_LEARNERS_MAX];
    uint8_t voter_count, outgoing_count, learner_count, learner_next_count;
};

bool moot_members_has_voter(const struct moot_members *members,
                            moot_node_id node); /* in either set */
bool moot_members_has_learner(const struct moot_members *members, moot_node_id node);
bool moot_members_has(const struct moot_members *members, moot_node_id node);
static inline bool moot_members_is_joint(const struct moot_members *members)
{
    return members->outgoing_count > 0;
}
/* Everyone: voters, outgoing and learners, sorted, without repeats. Returns how many. */
size_t
moot_members_all(const struct moot_members *members,
                 moot_node_id out[2 * MOOT_QUORUM_VOTERS_MAX + 2 * MOOT_QUORUM_LEARNERS_MAX]);
/* Sorted, no repeats, no overlap, at least one voter. A received configuration is checked, never
 * asserted. */
bool moot_members_is_valid(const struct moot_members *members);
bool moot_members_equal(const struct moot_members *a, const struct moot_members *b);

/* What a membership change asks for; learners_next is computed, not given. */
struct moot_members_change {
    moot_node_id voters[MOOT_QUORUM_VOTERS_MAX];
    moot_node_id learners[MOOT_QUORUM_LEARNERS_MAX];
    uint8_t voter_count, learner_count;
};
/* The configuration to enter: joint when the voters differ, plain when only learners do.
 * MOOT_EINVALID: the target is malformed; MOOT_EBUSY: `now` is already joint. */
int moot_members_enter(const struct moot_members *now, const struct moot_members_change *target,
                       struct moot_members *out) MOOT_MUST_USE;
/* The configuration after a joint one. `joint` must be joint. */
void moot_members_leave(const struct moot_members *joint, struct moot_members *out);

enum moot_vote { MOOT_VOTE_MISSING, MOOT_VOTE_YES, MOOT_VOTE_NO };
enum moot_tally { MOOT_TALLY_PENDING, MOOT_TALLY_WON, MOOT_TALLY_LOST };

/* Asks the caller about each voter; pure, called back only inside these two functions. */
typedef enum moot_vote (*moot_vote_of)(const void *context, moot_node_id node);
typedef uint64_t (*moot_value_of)(const void *context, moot_node_id node);

/* Won: a majority of each set said yes. Lost: that has become impossible. */
enum moot_tally moot_quorum_tally(const struct moot_members *members, moot_vote_of vote,
                                  const void *context);
/* The greatest value that a majority of each set has reached: the commit index from match indexes,
 * the confirmed read round from acknowledged rounds. UINT64_MAX is never returned for a non-empty
 * set. */
uint64_t moot_quorum_reached(const struct moot_members *members, moot_value_of value,
                             const void *context);

#endif
