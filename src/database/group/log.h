/* The part of a group's log that is in memory: everything after the compaction point, as blocks.
 *
 * The Raft core knows (index, term, kind, size); this knows the bytes. One block serves the
 * journal, the messages to every follower and execution. Bounded by the group, which compacts
 * before the limit of limits.h is passed. */
#ifndef MOOT_DATABASE_GROUP_LOG_H
#define MOOT_DATABASE_GROUP_LOG_H

#include "base/block.h"
#include "moot/raft.h"

struct moot_log_entry {
    struct moot_block *block; /* The whole envelope. */
    moot_term term;
    enum moot_raft_entry_kind kind;
};

struct moot_log {
    struct moot_log_entry *ring; /* private */
    uint64_t capacity, head;     /* private; capacity is a power of two */
    moot_index first;            /* read-only: lowest index held (or the next to come) */
    uint64_t count;              /* read-only */
    uint64_t bytes;              /* read-only */
};

void moot_log_init(struct moot_log *log, moot_index first);
void moot_log_deinit(struct moot_log *log);
static inline moot_index moot_log_last(const struct moot_log *log)
{
    return log->first + log->count - 1;
}
/* At last + 1. Takes over the caller's reference. */
void moot_log_append(struct moot_log *log, struct moot_block *block, moot_term term,
                     enum moot_raft_entry_kind kind);
/* Everything from `index` on is gone. */
void moot_log_truncate(struct moot_log *log, moot_index index);
/* Everything up to `index` is gone. */
void moot_log_compact(struct moot_log *log, moot_index index);
/* Empty, and to go on after `index` (a snapshot was installed). */
void moot_log_reset(struct moot_log *log, moot_index index);
/* NULL when it is not held. */
const struct moot_log_entry *moot_log_at(const struct moot_log *log, moot_index index);

#endif
