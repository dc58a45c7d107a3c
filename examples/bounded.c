/* Why commit wait: a transfer is made in Paris, a telephone rings, and a balance is read in Oslo.
 * Oslo's clock is 4 ms behind. Without waiting the later event gets the smaller stamp. */
#include <stdio.h>

#include "moot/bounded.h"

static struct moot_instant at_ms(uint64_t ms) { return (struct moot_instant){ms * MOOT_MSEC_NS}; }

static double ms_of(uint64_t wall_ns) { return (double)wall_ns / 1e6; }

int main(void)
{
    static const struct moot_bounded_options options = {
        .age_max = {60 * MOOT_SEC_NS}, .error_max_ns = 50 * MOOT_MSEC_NS, .drift_ppm = 200};
    struct moot_bounded paris;
    struct moot_bounded oslo;
    moot_bounded_init(&paris, &options, 0);
    moot_bounded_init(&oslo, &options, 0);
    /* True time is 1000 ms; each clock is wrong by less than it says. */
    struct moot_bounded_reading reading = {.error_ns = 5 * MOOT_MSEC_NS, .synchronised = true};
    reading.wall_ns = 1002 * MOOT_MSEC_NS;
    (void)moot_bounded_feed(&paris, at_ms(1000), &reading);
    reading.wall_ns = 998 * MOOT_MSEC_NS;
    (void)moot_bounded_feed(&oslo, at_ms(1000), &reading);

    struct moot_bounded_interval now;
    uint64_t transfer = 0;
    uint64_t balance = 0;
    bool fine = moot_bounded_now(&paris, at_ms(1000), &now) == 0 &&
                moot_bounded_commit(&paris, at_ms(1000), &transfer) == 0;
    printf("Paris: now is [%.3f, %.3f] ms; the transfer gets %.3f\n", ms_of(now.earliest_ns),
           ms_of(now.latest_ns), ms_of(transfer));
    struct moot_bounded hasty = oslo;
    fine = fine && moot_bounded_commit(&hasty, at_ms(1001), &balance) == 0;
    printf("Oslo, told at once:        the balance gets %.3f, before the transfer!\n",
           ms_of(balance));
    bool wrong = balance < transfer;

    struct moot_instant until = moot_bounded_wait(&paris, at_ms(1000), transfer);
    printf("Paris waits until %.3f, when its stamp is surely past (twice the error).\n",
           ms_of(until.ns));
    fine = fine && moot_bounded_after(&paris, until, transfer);
    fine = fine && moot_bounded_commit(&oslo, until, &balance) == 0;
    printf("Oslo, told after the wait: the balance gets %.3f, after the transfer.\n",
           ms_of(balance));

    reading.wall_ns = 4000 * MOOT_MSEC_NS;
    enum moot_bounded_state state = moot_bounded_feed(&oslo, at_ms(1100), &reading);
    printf("Somebody sets Oslo's clock ahead by three seconds: %s.\n", moot_bounded_text(state));
    return fine && wrong && balance > transfer && state == MOOT_BOUNDED_STEPPED ? 0 : 1;
}
