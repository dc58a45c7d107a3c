/* The four session guarantees (Terry, Demers, Petersen, Spreitzer, Theimer and Welch, "Session
 * Guarantees for Weakly Consistent Replicated Data", PDIS 1994), over registers whose written
 * values are all different.
 *
 * Intuition: the store is copied, the copies lag, and a client may be served by another copy each
 * time. A guarantee says what a client's next copy must already know. A session is a process.
 *
 *     read your writes      a read sees what its process wrote before
 *     monotonic reads       a read sees what the reads of its process saw before
 *     monotonic writes      who sees a write sees what its process wrote before it
 *     writes follow reads   who sees a write sees what its process had read before it
 *
 * The model (their section 3): each read is answered from a set of writes, in one order that all
 * copies agree on; it returns the last one of its key in the set, or nil. Who read from whom is
 * known, so the smallest set that a guarantee allows is known too: what leads to the read along
 * the arrows that the guarantee draws,
 *
 *     write -> read        of its value
 *     write -> read        later in the process     (read your writes)
 *     read  -> read        later in the process     (monotonic reads)
 *     write -> write       later in the process     (monotonic writes)
 *     read  -> write       later in the process     (writes follow reads)
 *
 * and a larger set is never easier to explain. So the verdict is exact: it is a violation when a
 * read returned nil though a write of its key leads to it, or when the arrows, with those from
 * each write that leads to a read to the one that it returned, go round.
 *
 * What must be said of the models:
 *
 * - What one process writes to one key is always taken to stay in its order: without that no
 *   client could say which of two values is the newer one.
 * - Monotonic writes and writes follow reads are judged together with monotonic reads. They speak
 *   of the order in which copies take writes, and only who reads twice, without going back, can
 *   see that. A violation says whether it already is one of monotonic reads.
 * - All four together are causal convergence (`convergent` of check/causal.h): the arrows are then
 *   the causal order. `causal` is a little weaker: it lets copies order concurrent writes
 *   differently for ever.
 * - A read of what is only written later in the causal order is a violation of every model: no
 *   store answers from the future. No real time is in it otherwise: a copy may lag for ever. */
#ifndef MOOT_CHECK_SESSIONS_H
#define MOOT_CHECK_SESSIONS_H

#include "check/history.h"
#include "check/verdict.h"

enum moot_session_guarantee {
    MOOT_SESSION_READ_YOUR_WRITES = 1,
    MOOT_SESSION_MONOTONIC_READS = 2,
    MOOT_SESSION_MONOTONIC_WRITES = 4,
    MOOT_SESSION_WRITES_FOLLOW_READS = 8,
};

/* X(text, set of guarantees, what a violation is called): the models, the narrower ones first. */
#define MOOT_SESSION_MODELS(X)                                                                     \
    X("monotonic-reads", MOOT_SESSION_MONOTONIC_READS,                                             \
      "monotonic reads: a process reads something older than what it had read before")             \
    X("read-your-writes", MOOT_SESSION_READ_YOUR_WRITES,                                           \
      "read your writes: a process does not see what it had written before")                       \
    X("monotonic-writes", MOOT_SESSION_MONOTONIC_READS | MOOT_SESSION_MONOTONIC_WRITES,            \
      "monotonic writes: a write is seen, but not what its process had written before it")         \
    X("writes-follow-reads", MOOT_SESSION_MONOTONIC_READS | MOOT_SESSION_WRITES_FOLLOW_READS,      \
      "writes follow reads: a write is seen, but not what its process had read before it")         \
    X("sessions",                                                                                  \
      MOOT_SESSION_READ_YOUR_WRITES | MOOT_SESSION_MONOTONIC_READS |                               \
          MOOT_SESSION_MONOTONIC_WRITES | MOOT_SESSION_WRITES_FOLLOW_READS,                        \
      "the four session guarantees do not hold together")

/* False when no model is called so. */
bool moot_session_model_from_text(const char *text, unsigned *guarantees);

/* `guarantees` is one of the models' sets. A violation's evidence is a smallest part of the history
 * that is one by itself: nothing can be left out of it. Unknown when a process overlaps itself, a
 * value is written twice, or operations times processes are more than half of
 * MOOT_CHECK_CAUSAL_MAX (the first two models: never). Time: O(n log n) for those two, else O(n p
 * log n) for p processes. `verdict` was initialised and never used. */
void moot_check_sessions(const struct moot_history *history, unsigned guarantees,
                         struct moot_verdict *verdict);

#endif
