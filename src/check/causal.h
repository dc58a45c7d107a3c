/* Causal consistency of registers whose written values are all different (Bouajjani, Enea,
 * Guerraoui and Hamza, POPL 2017).
 *
 * Intuition: what I did or read before, comes before what I do now; and who reads what I wrote
 * comes after me. Nobody may see an effect without its cause. No real time is in it: a replica may
 * lag, but not turn back.
 *
 * With different values who read from whom is known, so the causal order is: the order of each
 * process and reads-from, and what follows. Then no search is needed: a history is causally
 * consistent unless it shows a bad pattern (their section 4), and those are looked for in O(n p),
 * with a vector of the p processes for each of n operations, and a look at the writes of a read's
 * key. The session guarantees (Terry et al. 1994) alone, and all four, are in sessions.h: with one
 * order of writes for all copies they are this and convergence; without, this.
 *
 *     CyclicCO          the causal order has a cycle
 *     ThinAirRead       a value that nobody wrote
 *     WriteCOInitRead   nil, with a write causally before it
 *     WriteCORead       a value that was overwritten causally before the read
 *     CyclicCF          convergence: what reads say of the order of concurrent writes has a cycle
 */
#ifndef MOOT_CHECK_CAUSAL_H
#define MOOT_CHECK_CAUSAL_H

#include "check/history.h"
#include "check/verdict.h"

/* `convergent`: all replicas also agree on the order of concurrent writes (the paper's CCv).
 * Unknown when a process overlaps itself, a value is written twice, or operations times processes
 * are more than MOOT_CHECK_CAUSAL_MAX. `verdict` was initialised and never used. */
void moot_check_causal(const struct moot_history *history, bool convergent,
                       struct moot_verdict *verdict);

/* Sequential consistency (Lamport 1979): one order of all operations in which each process keeps
 * its own. It implies convergence, so what shows a bad pattern is a violation; else an order is
 * looked for (transaction.h, session-serializable), and the verdict is unknown if none is found. */
void moot_check_sequential(const struct moot_history *history, struct moot_verdict *verdict);

#endif
