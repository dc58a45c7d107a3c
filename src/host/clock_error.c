#include "host/clock_error.h"

#include "base/limits.h"
#include "base/status.h"

#include <sys/timex.h>
#include <uv.h>

enum { DAY_S = 86400 };

/* The kernel announces a leap second up to a day ahead; only around midnight it matters. */
static bool leap_is_near(int state, int64_t second)
{
    if (state == TIME_OOP) {
        return true;
    }
    return (state == TIME_INS || state == TIME_DEL) &&
           DAY_S - second % DAY_S <= MOOT_CLOCK_LEAP_NEAR_S;
}

int moot_clock_error_read(struct moot_instant *at, struct moot_bounded_reading *reading)
{
    *reading = (struct moot_bounded_reading){0};
    struct timex kernel = {.modes = 0};
    uint64_t before_ns = uv_hrtime();
    int state = adjtimex(&kernel);
    uint64_t took_ns = uv_hrtime() - before_ns;
    at->ns = before_ns;
    if (state < 0) {
        return MOOT_FAIL(MOOT_EIO);
    }
    uint64_t part_ns =
        (uint64_t)kernel.time.tv_usec * ((kernel.status & STA_NANO) != 0 ? 1 : MOOT_USEC_NS);
    reading->wall_ns = (uint64_t)kernel.time.tv_sec * MOOT_SEC_NS + part_ns;
    /* It was read somewhere between the two instants. */
    reading->error_ns = (uint64_t)kernel.maxerror * MOOT_USEC_NS + took_ns;
    reading->drift_ppm = (uint32_t)(kernel.tolerance >> 16); /* 16 bits behind the point. */
    reading->synchronised = state != TIME_ERROR && (kernel.status & STA_UNSYNC) == 0;
    reading->leap_near = leap_is_near(state, kernel.time.tv_sec);
    return 0;
}
