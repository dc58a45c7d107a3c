/* The kernel's clock with the kernel's own estimate of its error: what the bounded clock is fed. */
#ifndef MOOT_HOST_CLOCK_ERROR_H
#define MOOT_HOST_CLOCK_ERROR_H

#include "moot/bounded.h"

/* Reads, never adjusts (adjtimex(2) with modes 0), and needs no right to do so. `at` is the instant
 * of the reading, on the loop's monotonic clock. A clock that nothing disciplines, as in most
 * containers, gives a reading that is not synchronised. MOOT_EIO: the call itself failed; then
 * `reading` is not synchronised either. */
int moot_clock_error_read(struct moot_instant *at,
                          struct moot_bounded_reading *reading) MOOT_MUST_USE;

#endif
