/* Time to live, judged: what was written to live for so long is there until its end, and not after.
 *
 * How long a value lives follows from the value itself, so that a history needs no field for it. A
 * read that finds nothing is right when some write that may have been the last one may have ended;
 * a value is wrong when it is seen after its end, or was never written. Which of several values a
 * read should have seen is not judged here: that is for registers that do not expire.
 *
 * Clocks are not perfect, and expiry follows that of a leader: `late_ms` and `early_ms` are what
 * they may be off. */
#ifndef MOOT_CHECK_EXPIRY_H
#define MOOT_CHECK_EXPIRY_H

#include "check/history.h"
#include "check/verdict.h"

struct moot_expiry_options {
    uint64_t (*lifetime_ms)(struct moot_slice value);
    uint64_t late_ms, early_ms;
};

/* Kinds write (bytes) and read -> bytes or nil; length is not looked at. `verdict` was initialised
 * and never used. Time grows with the product of reads and writes of one key. */
void moot_check_expiry(const struct moot_history *history,
                       const struct moot_expiry_options *options, struct moot_verdict *verdict);

#endif
