/* The algebra of membership: who is in, what a change enters, what it leaves. */
#include "base/assert.h"
#include "base/limits.h"
#include "base/status.h"
#include "moot/quorum.h"

#include <string.h>

_Static_assert((int)MOOT_QUORUM_VOTERS_MAX == (int)MOOT_MEMBERS_MAX, "one limit, two names");
_Static_assert((int)MOOT_QUORUM_LEARNERS_MAX == (int)MOOT_LEARNERS_MAX, "one limit, two names");

static bool set_has(const moot_node_id *set, size_t count, moot_node_id node)
{
    for (size_t i = 0; i < count; i++) {
        if (set[i] == node) {
            return true;
        }
    }
    return false;
}

static bool set_equal(const moot_node_id *a, size_t a_count, const moot_node_id *b, size_t b_count)
{
    return a_count == b_count && (a_count == 0 || memcmp(a, b, a_count * sizeof(*a)) == 0);
}

/* Sorted without repeats, and nobody is node 0. */
static bool set_is_valid(const moot_node_id *set, size_t count, size_t max)
{
    if (count > max) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (set[i] == 0 || (i > 0 && set[i] <= set[i - 1])) {
            return false;
        }
    }
    return true;
}

static bool sets_overlap(const moot_node_id *a, size_t a_count, const moot_node_id *b,
                         size_t b_count)
{
    for (size_t i = 0; i < a_count; i++) {
        if (set_has(b, b_count, a[i])) {
            return true;
        }
    }
    return false;
}

/* Adds to a sorted set, once. Returns the new count. */
static size_t set_add(moot_node_id *set, size_t count, moot_node_id node)
{
    size_t at = count;
    while (at > 0 && set[at - 1] > node) {
        at--;
    }
    if (at > 0 && set[at - 1] == node) {
        return count;
    }
    if (at < count) { /* Mostly they come in order. */
        memmove(set + at + 1, set + at, (count - at) * sizeof(*set));
    }
    set[at] = node;
    return count + 1;
}

bool moot_members_has_voter(const struct moot_members *members, moot_node_id node)
{
    return set_has(members->voters, members->voter_count, node) ||
           set_has(members->outgoing, members->outgoing_count, node);
}

bool moot_members_has_learner(const struct moot_members *members, moot_node_id node)
{
    return set_has(members->learners, members->learner_count, node) ||
           set_has(members->learners_next, members->learner_next_count, node);
}

bool moot_members_has(const struct moot_members *members, moot_node_id node)
{
    return moot_members_has_voter(members, node) || moot_members_has_learner(members, node);
}

size_t moot_members_all(const struct moot_members *members,
                        moot_node_id out[2 * MOOT_QUORUM_VOTERS_MAX + 2 * MOOT_QUORUM_LEARNERS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < members->voter_count; i++) {
        count = set_add(out, count, members->voters[i]);
    }
    for (size_t i = 0; i < members->outgoing_count; i++) {
        count = set_add(out, count, members->outgoing[i]);
    }
    for (size_t i = 0; i < members->learner_count; i++) {
        count = set_add(out, count, members->learners[i]);
    }
    for (size_t i = 0; i < members->learner_next_count; i++) {
        count = set_add(out, count, members->learners_next[i]);
    }
    return count;
}

bool moot_members_is_valid(const struct moot_members *members)
{
    if (!set_is_valid(members->voters, members->voter_count, MOOT_QUORUM_VOTERS_MAX) ||
        !set_is_valid(members->outgoing, members->outgoing_count, MOOT_QUORUM_VOTERS_MAX) ||
        !set_is_valid(members->learners, members->learner_count, MOOT_QUORUM_LEARNERS_MAX) ||
        !set_is_valid(members->learners_next, members->learner_next_count,
                      MOOT_QUORUM_LEARNERS_MAX)) {
        return false;
    }
    if (members->voter_count == 0) {
        return false;
    }
    /* A learner now is nobody's voter, in either set: its silence must never count. */
    if (sets_overlap(members->learners, members->learner_count, members->voters,
                     members->voter_count) ||
        sets_overlap(members->learners, members->learner_count, members->outgoing,
                     members->outgoing_count) ||
        sets_overlap(members->learners, members->learner_count, members->learners_next,
                     members->learner_next_count)) {
        return false;
    }
    /* Waiting to become a learner means: still a voter of the outgoing set, and of that only. */
    for (size_t i = 0; i < members->learner_next_count; i++) {
        if (!set_has(members->outgoing, members->outgoing_count, members->learners_next[i]) ||
            set_has(members->voters, members->voter_count, members->learners_next[i])) {
            return false;
        }
    }
    return (size_t)members->learner_count + members->learner_next_count <= MOOT_QUORUM_LEARNERS_MAX;
}

bool moot_members_equal(const struct moot_members *a, const struct moot_members *b)
{
    return set_equal(a->voters, a->voter_count, b->voters, b->voter_count) &&
           set_equal(a->outgoing, a->outgoing_count, b->outgoing, b->outgoing_count) &&
           set_equal(a->learners, a->learner_count, b->learners, b->learner_count) &&
           set_equal(a->learners_next, a->learner_next_count, b->learners_next,
                     b->learner_next_count);
}

int moot_members_enter(const struct moot_members *now, const struct moot_members_change *target,
                       struct moot_members *out)
{
    MOOT_ASSERT(moot_members_is_valid(now));
    if (moot_members_is_joint(now)) {
        return MOOT_FAIL(MOOT_EBUSY);
    }
    if (!set_is_valid(target->voters, target->voter_count, MOOT_QUORUM_VOTERS_MAX) ||
        !set_is_valid(target->learners, target->learner_count, MOOT_QUORUM_LEARNERS_MAX) ||
        target->voter_count == 0 ||
        sets_overlap(target->voters, target->voter_count, target->learners,
                     target->learner_count)) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    struct moot_members next = {0};
    next.voter_count = target->voter_count;
    memcpy(next.voters, target->voters, target->voter_count * sizeof(next.voters[0]));
    if (!set_equal(now->voters, now->voter_count, target->voters, target->voter_count)) {
        next.outgoing_count = now->voter_count;
        memcpy(next.outgoing, now->voters, now->voter_count * sizeof(next.outgoing[0]));
    }
    for (size_t i = 0; i < target->learner_count; i++) {
        moot_node_id node = target->learners[i];
        if (set_has(next.outgoing, next.outgoing_count, node)) {
            next.learners_next[next.learner_next_count++] = node;
        } else {
            next.learners[next.learner_count++] = node;
        }
    }
    MOOT_ASSERT(moot_members_is_valid(&next));
    *out = next;
    return 0;
}

void moot_members_leave(const struct moot_members *joint, struct moot_members *out)
{
    MOOT_ASSERT(moot_members_is_joint(joint));
    struct moot_members next = {0};
    next.voter_count = joint->voter_count;
    memcpy(next.voters, joint->voters, joint->voter_count * sizeof(next.voters[0]));
    size_t count = 0;
    for (size_t i = 0; i < joint->learner_count; i++) {
        count = set_add(next.learners, count, joint->learners[i]);
    }
    for (size_t i = 0; i < joint->learner_next_count; i++) {
        count = set_add(next.learners, count, joint->learners_next[i]);
    }
    next.learner_count = (uint8_t)count;
    MOOT_ASSERT(moot_members_is_valid(&next));
    *out = next;
}
