/* The smallest part of a history that is wrong by itself, for people: in numbers, and as a lane of
 * text for each process. */
#ifndef MOOT_CHECK_EXPLAIN_H
#define MOOT_CHECK_EXPLAIN_H

#include "check/linearizability.h"

/* `verdict` is a violation. `model`: what it is not linearizable by, and then its evidence is made
 * small first (shrink.h); NULL where the checker has named the evidence. Same history, same words.
 */
void moot_explain_evidence(const struct moot_history *history, const struct moot_model *model,
                           struct moot_verdict *verdict, struct moot_buffer *out);

static inline const uint32_t *moot_evidence_of(const struct moot_verdict *verdict, size_t *count)
{
    *count = verdict->evidence.size / sizeof(uint32_t);
    return (const uint32_t *)(const void *)verdict->evidence.data;
}

#endif
