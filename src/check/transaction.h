/* Are transactions isolated as promised?
 *
 * Intuition: let every written value be different. Then what a transaction read says which others
 * it must come after, and what it did not yet see says which it must come before. Draw both as
 * edges (graph.h): where they go round in a cycle, no order exists, and the kind of edges in the
 * cycle names the anomaly (Adya 1999; Elle, Kingsbury and Alvaro 2020).
 *
 * - Lists (`append`): a list of what was appended tells the whole order of the versions before it
 *   (section 4.2 of Elle: traceability), so nothing has to be guessed. Only at snapshot isolation
 *   it can depend on the order of appends that nobody read.
 * - Registers (`write`): the order of versions is known only in part: nil comes first; who read one
 *   version and wrote another put them in this order; with real time, so did everybody whose
 *   transactions did not overlap. A cycle is proof of a violation. Where there is none, an order of
 *   all transactions is looked for (transaction_order.c).
 *
 * What is left open by that is decided by choices (transaction_chains.c): the verdict is exact, and
 * `unknown` only beyond the limits MOOT_CHECK_CLOSURE_MAX, _PAIRS_MAX and _ORDER_MAX.
 *
 * An in-doubt transaction happened if a committed one saw what it wrote; else it is left out. A
 * read, write or push alone is a transaction of one step, so register histories can be judged for
 * sequential consistency: that is `session-serializable`.
 *
 * Not handled: predicates (G1-predicate, phantoms), deletes. */
#ifndef MOOT_CHECK_TRANSACTION_H
#define MOOT_CHECK_TRANSACTION_H

#include "check/history.h"
#include "check/verdict.h"

/* X(NAME, text), each forbids what the one before does, and more. */
#define MOOT_ISOLATION_LEVELS(X)                                                                   \
    X(READ_UNCOMMITTED, "read-uncommitted") /* G0 */                                               \
    X(READ_COMMITTED, "read-committed")     /* G1a, G1b, G1c */                                    \
    X(SNAPSHOT, "snapshot-isolation")       /* internal, lost update, G-single, -nonadj. */        \
    X(SERIALIZABLE, "serializable")         /* G2 */                                               \
    X(SESSION_SERIALIZABLE, "session-serializable") /* and in the order of each process */         \
    X(STRICT_SERIALIZABLE, "strict-serializable")   /* and in real time */

enum moot_isolation {
#define X(name, text) MOOT_ISOLATION_##name,
    MOOT_ISOLATION_LEVELS(X)
#undef X
        MOOT_ISOLATION_LEVELS_COUNT
};

/* False when there is no such level. */
bool moot_isolation_from_text(const char *text, enum moot_isolation *level);
const char *moot_isolation_text(enum moot_isolation level);

/* Steps append, and read -> list. `verdict` was initialised and never used. */
void moot_check_append_txns(const struct moot_history *history, enum moot_isolation level,
                            struct moot_verdict *verdict);
/* Steps write, and read -> the value or nil. */
void moot_check_register_txns(const struct moot_history *history, enum moot_isolation level,
                              struct moot_verdict *verdict);

#endif
