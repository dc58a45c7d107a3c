/* Hybrid logical clock: timestamps that respect causality and stay close to wall time.
 *
 * Intuition: read the wall clock, but never go back and never fall behind a stamp you have seen;
 * ties are broken by a counter. (Kulkarni, Demirbas, Madappa, Avva, Leone: "Logical Physical
 * Clocks", 2014, figure 5.)
 *
 * Packed: 48 bits of milliseconds since 1970, 16 bits of counter. A full counter carries into the
 * milliseconds, so it never wraps. A remote stamp further ahead than `bound_ms` is refused and
 * reported, never followed: one broken clock must not pull the others along. */
#ifndef MOOT_HLC_H
#define MOOT_HLC_H

#include "moot/base.h"

typedef uint64_t moot_hlc_stamp;

struct moot_hlc {
    moot_hlc_stamp last; /* private */
    uint64_t bound_ms;   /* private */
};

static inline uint64_t moot_hlc_ms(moot_hlc_stamp stamp) { return stamp >> 16; }
static inline moot_hlc_stamp moot_hlc_pack(uint64_t ms, uint16_t counter)
{
    return ms << 16 | counter;
}

/* `floor`: a stamp that every later one exceeds (the last in the log; the persisted ceiling). */
void moot_hlc_init(struct moot_hlc *clock, uint64_t bound_ms, moot_hlc_stamp floor);
/* A stamp greater than every one given or seen before. */
moot_hlc_stamp moot_hlc_next(struct moot_hlc *clock, uint64_t wall_ms);
/* Take note of a remote stamp. MOOT_EREFUSED when it is more than bound_ms ahead of wall_ms; then
 * nothing changes. */
int moot_hlc_observe(struct moot_hlc *clock, uint64_t wall_ms, moot_hlc_stamp remote) MOOT_MUST_USE;
/* Raise the floor without the bound: for stamps that are already part of the log. */
void moot_hlc_raise(struct moot_hlc *clock, moot_hlc_stamp floor);

#endif
