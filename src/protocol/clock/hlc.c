#include "moot/hlc.h"

#include "base/assert.h"
#include "base/rule.h"
#include "base/status.h"

enum { COUNTER_BITS = 16 };
static const uint64_t MS_MAX = UINT64_MAX >> COUNTER_BITS;

/* The first stamp of a wall-clock millisecond; a clock beyond the year 10,000 stops there. */
static moot_hlc_stamp stamp_of(uint64_t wall_ms)
{
    return moot_hlc_pack(moot_min_u64(wall_ms, MS_MAX), 0);
}

void moot_hlc_init(struct moot_hlc *clock, uint64_t bound_ms, moot_hlc_stamp floor)
{
    *clock = (struct moot_hlc){.last = floor, .bound_ms = bound_ms};
    MOOT_ASSERT(clock->last == floor);
}

moot_hlc_stamp moot_hlc_next(struct moot_hlc *clock, uint64_t wall_ms)
{
    MOOT_ASSERT(clock->last < UINT64_MAX);
    /* Figure 5, "send or local event". Adding one to the packed stamp is both cases at once: a
     * counter that is full carries into the milliseconds. */
    moot_hlc_stamp next = moot_max_u64(stamp_of(wall_ms), clock->last + 1);
    MOOT_ASSERT(next > clock->last);
    clock->last = next;
    return next;
}

int moot_hlc_observe(struct moot_hlc *clock, uint64_t wall_ms, moot_hlc_stamp remote)
{
    uint64_t ahead_max_ms =
        wall_ms > UINT64_MAX - clock->bound_ms ? UINT64_MAX : wall_ms + clock->bound_ms;
    if (remote == UINT64_MAX ||
        !MOOT_RULE(hlc_remote_within_bound, moot_hlc_ms(remote) <= ahead_max_ms)) {
        MOOT_SOMETIMES(true, "a stamp from too far ahead was refused");
        return MOOT_FAIL(MOOT_EREFUSED);
    }
    moot_hlc_raise(clock, remote);
    return 0;
}

void moot_hlc_raise(struct moot_hlc *clock, moot_hlc_stamp floor)
{
    clock->last = moot_max_u64(clock->last, floor);
    MOOT_ASSERT(clock->last >= floor);
}
