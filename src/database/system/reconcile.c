#include "database/system/reconcile.h"

#include "base/assert.h"
#include "base/rule.h"

static bool is_removed(const struct moot_directory *directory, moot_node_id node)
{
    return moot_directory_state(directory, node) == MOOT_NODE_REMOVED;
}

static void insert(moot_node_id *nodes, uint8_t *count, moot_node_id node)
{
    uint8_t at = (*count)++;
    while (at > 0 && nodes[at - 1] > node) {
        nodes[at] = nodes[at - 1];
        at--;
    }
    nodes[at] = node;
}

/* The present configuration as a target, without one node (0: with all). */
static struct moot_members_change without(const struct moot_members *members, moot_node_id gone)
{
    struct moot_members_change change = {0};
    for (uint8_t i = 0; i < members->voter_count; i++) {
        if (members->voters[i] != gone) {
            insert(change.voters, &change.voter_count, members->voters[i]);
        }
    }
    for (uint8_t i = 0; i < members->learner_count; i++) {
        if (members->learners[i] != gone) {
            insert(change.learners, &change.learner_count, members->learners[i]);
        }
    }
    return change;
}

struct moot_reconcile moot_reconcile_next(const struct moot_directory *directory,
                                          const struct moot_members *members, moot_node_id self,
                                          const struct moot_caught_up *learners,
                                          uint32_t learner_count)
{
    struct moot_reconcile next = {.kind = MOOT_RECONCILE_NOTHING};
    if (!directory->formed || moot_members_is_joint(members)) {
        return next;
    }
    moot_node_id all[2 * MOOT_QUORUM_VOTERS_MAX + 2 * MOOT_QUORUM_LEARNERS_MAX];
    size_t count = moot_members_all(members, all);
    for (size_t i = 0; i <= count; i++) { /* Those who leave, first; itself, last. */
        moot_node_id node = i < count ? all[i] : self;
        if ((node == self && i < count) || !is_removed(directory, node) ||
            !moot_members_has(members, node)) {
            continue;
        }
        next.change = without(members, node);
        if (MOOT_RULE(reconcile_keeps_a_voter, next.change.voter_count > 0)) {
            next.kind = MOOT_RECONCILE_CHANGE;
            return next;
        }
    }
    for (uint32_t i = 0; i < learner_count; i++) {
        moot_node_id node = learners[i].node;
        if (learners[i].caught_up && moot_members_has_learner(members, node) &&
            members->voter_count < MOOT_QUORUM_VOTERS_MAX && !is_removed(directory, node)) {
            next.change = without(members, node);
            insert(next.change.voters, &next.change.voter_count, node);
            next.kind = MOOT_RECONCILE_CHANGE;
            return next;
        }
    }
    for (uint32_t i = 0; i < directory->count; i++) {
        moot_node_id node = directory->nodes[i].address.node;
        if (directory->nodes[i].state == MOOT_NODE_MEMBER && !moot_members_has(members, node) &&
            members->learner_count < MOOT_QUORUM_LEARNERS_MAX) {
            next.change = without(members, 0);
            insert(next.change.learners, &next.change.learner_count, node);
            next.kind = MOOT_RECONCILE_CHANGE;
            return next;
        }
    }
    return next;
}
