/* A violation made small: which few operations contradict each other.
 *
 * Delta debugging (Zeller and Hildebrandt 2002), with one care: what is left must be wrong by
 * itself, not because something was taken away. So a read is left out, and a write is only
 * *weakened*: as if it had been in doubt, it may have happened at any time after its call, or
 * never. If a history is linearizable, so is each that was weakened from it; a weakened one that is
 * not proves the violation. */
#ifndef MOOT_CHECK_SHRINK_H
#define MOOT_CHECK_SHRINK_H

#include "check/history.h"
#include "check/linearizability.h"
#include "check/verdict.h"

/* `verdict` is a violation that moot_check_linearizable found. Its evidence becomes the operations
 * that fail by themselves, and the weakened ones whose values these saw; *needed is how many of
 * them were not weakened (the first). Bounded work: the result may not be the smallest, and
 * *needed is 0 when no part was decided; then the evidence is the operation that fits nowhere. */
void moot_shrink(const struct moot_history *history, const struct moot_model *model,
                 struct moot_verdict *verdict, size_t *needed);

/* The same for any other checker that takes what was weakened for less, with the whole history:
 * appends to `evidence` the operations that cannot be weakened too. */
typedef void moot_shrink_check(const struct moot_history *weak, const void *context,
                               struct moot_verdict *verdict);
void moot_shrink_whole(const struct moot_history *history, moot_shrink_check *check,
                       const void *context, struct moot_buffer *evidence);

/* A lane for each process, time from left to right, not to scale:
 *
 *     process 1  |-write "a"-|
 *     process 2                |-read -> nil-|
 */
void moot_draw_lanes(const struct moot_history *history, const uint32_t *operations, size_t count,
                     struct moot_buffer *out);

#endif
