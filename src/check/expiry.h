/* Time to live, judged: what was written to live for so long is there until its end, and not after;
 * and what has gone, or has been written over, does not come back.
 *
 * By time: a read that finds nothing is right when some write that may have been the last one may
 * have ended; a value is wrong when it is seen after its end. Clocks are not perfect, and expiry
 * follows that of a leader: `late_ms` and `early_ms` are what they may be off.
 *
 * By order, whatever clocks do: who finds nothing has found a deletion that was made before. So the
 * history in which each such read is a delete is one of a register, and linearizable. */
#ifndef MOOT_CHECK_EXPIRY_H
#define MOOT_CHECK_EXPIRY_H

#include "check/history.h"
#include "check/verdict.h"

struct moot_expiry_options {
    uint64_t late_ms, early_ms;
    uint64_t configurations_max; /* Of the judgement by order; 0: MOOT_CHECK_CONFIGURATIONS_MAX. */
};

/* What to allow where clocks that give stamps are at most so far apart: nothing is seen later than
 * a tenth of a second after its end, and stamps are whole milliseconds. */
struct moot_expiry_options moot_expiry_within(uint64_t clocks_ms);

/* Kinds write (bytes; `lives_ms`) and read -> bytes or nil; length is not looked at. `verdict` was
 * initialised and never used. Time grows with the product of reads and writes of one key. */
void moot_check_expiry(const struct moot_history *history,
                       const struct moot_expiry_options *options, struct moot_verdict *verdict);

#endif
