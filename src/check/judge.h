/* What the parts of the linearizability checker hand each other: the operations of one key. */
#ifndef MOOT_CHECK_JUDGE_H
#define MOOT_CHECK_JUDGE_H

#include "check/linearizability.h"

/* The operations of one key that are not `fail`, by number in the history, in the order of their
 * calls. */
struct moot_judged_key {
    const struct moot_history *history;
    struct moot_slice key;
    const uint32_t *operations;
    size_t count;
};

/* When an operation surely was over: never, while in doubt. */
static inline uint64_t moot_judged_end(const struct moot_operation *operation)
{
    return operation->outcome == MOOT_OUTCOME_OK ? operation->returned.ns : MOOT_NEVER.ns;
}

/* By zones. False when they do not apply to this key, or do not decide it. Otherwise
 * verdict->judgement, and for a violation its words. */
bool moot_zones_judge(const struct moot_judged_key *key, struct moot_verdict *verdict);

/* By search. */
void moot_search_judge(const struct moot_judged_key *key, const struct moot_model *model,
                       uint64_t configurations_max, struct moot_verdict *verdict);

/* Appends what happened around operation `culprit`: concurrent with it, before it, in doubt. */
void moot_judged_describe_around(const struct moot_judged_key *key, size_t culprit,
                                 struct moot_buffer *words);

#endif
