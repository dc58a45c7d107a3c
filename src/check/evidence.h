/* What the checkers that need no search share: looking at operations, and making a verdict. */
#ifndef MOOT_CHECK_EVIDENCE_H
#define MOOT_CHECK_EVIDENCE_H

#include "check/history.h"
#include "check/verdict.h"

enum { MOOT_EVIDENCE_NONE = UINT32_MAX }; /* No operation. */

/* Before a checker starts. */
void moot_evidence_begin(const struct moot_history *history, struct moot_verdict *verdict);
/* Makes the verdict, with `what` and up to two operations that show it for words. A violation is
 * not taken back by what is unknown, and the first one stays. */
void moot_evidence_conclude(const struct moot_history *history, struct moot_verdict *verdict,
                            enum moot_judgement judgement, const char *what, uint32_t first,
                            uint32_t second);
/* Unknown, because of an operation that the checker cannot read. */
void moot_evidence_not_judged(const struct moot_history *history, struct moot_verdict *verdict,
                              uint32_t operation);
/* When it surely was over: never, while in doubt. */
uint64_t moot_evidence_end(const struct moot_operation *operation);
/* True for a read whose result is known. */
bool moot_evidence_is_read(const struct moot_operation *operation);
/* The text of a value that is bytes or an integer, else false. `digits` has 24 bytes. */
bool moot_evidence_text(const struct moot_history_value *value, char *digits,
                        struct moot_slice *text);

#endif
