/* What a checker says. `unknown` is not a pass: the budget ended before the search did, or the
 * history does not hold what would decide. */
#ifndef MOOT_CHECK_VERDICT_H
#define MOOT_CHECK_VERDICT_H

#include "base/buffer.h"

enum moot_judgement {
    MOOT_JUDGEMENT_VALID,
    MOOT_JUDGEMENT_VIOLATION,
    MOOT_JUDGEMENT_UNKNOWN,
};

struct moot_verdict {
    enum moot_judgement judgement;
    size_t operation;        /* Violation: number of the operation that nothing explains. */
    size_t operations;       /* Judged. */
    size_t keys;             /* Judged. */
    size_t keys_unknown;     /* Keys on which the budget ended. */
    uint64_t configurations; /* Visited by searches; 0 when every key was decided without one. */
    struct moot_buffer evidence; /* uint32_t: operations that show a violation. */
    struct moot_buffer words;    /* Why, for people: empty when valid; several lines otherwise. */
};

void moot_verdict_init(struct moot_verdict *verdict);
void moot_verdict_deinit(struct moot_verdict *verdict);
/* "valid", "violation", "unknown". */
const char *moot_judgement_text(enum moot_judgement judgement);

#endif
