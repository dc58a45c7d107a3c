/* Bringing a group's configuration in line with the directory, one step at a time, by its leader.
 *
 * A member that is not in the group becomes a learner; a learner that has caught up becomes a
 * voter; a removed node is taken out. Each step is one configuration change; the next is chosen
 * when it is done. A pure function of what is, so a new leader simply goes on.
 *
 * A leader that was removed takes itself out, the last of those it knows of, and hands over when
 * that is committed (thesis 4.2.2). It does not hand over before: whoever gets it may have been
 * removed as well and not know of the others, and would give it back. A change is a step that
 * nobody undoes. */
#ifndef MOOT_DATABASE_SYSTEM_RECONCILE_H
#define MOOT_DATABASE_SYSTEM_RECONCILE_H

#include "database/system/directory.h"
#include "moot/raft.h"

enum moot_reconcile_kind { MOOT_RECONCILE_NOTHING, MOOT_RECONCILE_CHANGE };

struct moot_reconcile {
    enum moot_reconcile_kind kind;
    struct moot_members_change change;
};

/* What the leader knows of each node's log. */
struct moot_caught_up {
    moot_node_id node;
    bool caught_up;
};

struct moot_reconcile moot_reconcile_next(const struct moot_directory *directory,
                                          const struct moot_members *members, moot_node_id self,
                                          const struct moot_caught_up *learners,
                                          uint32_t learner_count);

#endif
