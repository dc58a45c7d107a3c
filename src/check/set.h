/* Checkers that need no search: each looks for the evidence of one promise.
 *
 * They see less than linearizability, but in linear time, over any number of in-doubt operations
 * and over values that no search could hold. `verdict` was initialised and never used. */
#ifndef MOOT_CHECK_SET_H
#define MOOT_CHECK_SET_H

#include "check/history.h"
#include "check/verdict.h"

/* Sets (kinds add, read -> list), each key one set, each element added at most once, never removed.
 * A read must hold every element whose add was acknowledged, or that another read saw, before the
 * read was called; and nothing twice, and nothing that was not being added. Unknown when some
 * acknowledged add is followed by no read. */
void moot_check_set(const struct moot_history *history, struct moot_verdict *verdict);

/* A bank: every read -> list of balances sums up to `total`. */
void moot_check_bank(const struct moot_history *history, int64_t total,
                     struct moot_verdict *verdict);

/* Ids: all that generate returned are different, over all keys. */
void moot_check_ids(const struct moot_history *history, struct moot_verdict *verdict);

/* Counters (kinds increment, read), each increment applied exactly once when acknowledged, at most
 * once in doubt, never when failed: what a read or an increment tells lies between the sum of what
 * was acknowledged before its call and that sum with all that was called before its return and may
 * have been done; and where nothing is decremented, it is never less than what was told before.
 * Unknown when an increment is followed by no read. */
void moot_check_exactly_once(const struct moot_history *history, struct moot_verdict *verdict);

/* Queues (kinds push, pop, and a last read of what is left), each key one queue, each element
 * pushed once: popped at most once, only what was pushed, none acknowledged lost, in the order of
 * the pushes where neither those nor the pops overlap. An in-doubt pop may have taken one element,
 * or given it back: after the first such one nothing is said of the order.
 * Unknown when acknowledged pushes were not popped and no last read says whether they are left. */
void moot_check_queue(const struct moot_history *history, struct moot_verdict *verdict);

#endif
