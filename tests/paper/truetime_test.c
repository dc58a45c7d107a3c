/* Spanner (OSDI 2012), section 3: "the daemon's poll interval is currently 30 seconds, and the
 * current applied drift rate is set at 200 microseconds/second, which together account for the
 * sawtooth bounds from 0 to 6 ms. The remaining 1 ms comes from the communication delay to the time
 * masters": epsilon is a sawtooth from about 1 to 7 ms, 4 ms most of the time. And section 4.1.2
 * with 4.2.1: the expected commit wait is at least twice the average epsilon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "moot/bounded.h"

/* Goal: the paper's sawtooth and commit wait from the paper's parameters. Method: a poll every 30 s
 * with an error of 1 ms; the width and a commit's wait are taken every 100 ms, for an hour. */
static void the_sawtooth(void **state)
{
    (void)state;
    static const struct moot_bounded_options options = {
        .age_max = {60 * MOOT_SEC_NS}, .error_max_ns = 100 * MOOT_MSEC_NS, .drift_ppm = 200};
    struct moot_bounded clock;
    moot_bounded_init(&clock, &options, 0);
    uint64_t least_us = UINT64_MAX;
    uint64_t most_us = 0;
    uint64_t sum_us = 0;
    uint64_t wait_us = 0;
    uint64_t count = 0;
    for (uint64_t ms = 0; ms < 3600000; ms += 100) {
        struct moot_instant now = {ms * MOOT_MSEC_NS};
        if (ms % 30000 == 0) {
            struct moot_bounded_reading reading = {.wall_ns = 1000 * MOOT_SEC_NS + now.ns,
                                                   .error_ns = MOOT_MSEC_NS,
                                                   .synchronised = true};
            assert_int_equal(moot_bounded_feed(&clock, now, &reading), MOOT_BOUNDED_GOOD);
        }
        struct moot_bounded asked =
            clock; /* A copy: what one asks must not smooth what others see. */
        struct moot_bounded_interval at;
        assert_int_equal(moot_bounded_now(&asked, now, &at), 0);
        uint64_t epsilon_us = (at.latest_ns - at.earliest_ns) / 2 / MOOT_USEC_NS;
        least_us = moot_min_u64(least_us, epsilon_us);
        most_us = moot_max_u64(most_us, epsilon_us);
        sum_us += epsilon_us;
        uint64_t stamp_ns;
        assert_int_equal(moot_bounded_commit(&asked, now, &stamp_ns), 0);
        wait_us +=
            moot_instant_since(moot_bounded_wait(&asked, now, stamp_ns), now).ns / MOOT_USEC_NS;
        count++;
    }
    print_message("                     paper     here\n");
    print_message("epsilon, least       1 ms      %llu us\n", (unsigned long long)least_us);
    print_message("epsilon, most        7 ms      %llu us\n", (unsigned long long)most_us);
    print_message("epsilon, average     4 ms      %llu us\n", (unsigned long long)(sum_us / count));
    print_message("commit wait, average >= 8 ms   %llu us\n",
                  (unsigned long long)(wait_us / count));
    assert_in_range(least_us, 1000, 1001);
    assert_in_range(most_us, 6900, 7000);
    assert_in_range(sum_us / count, 3950, 4050);
    assert_in_range(wait_us / count, 2 * (sum_us / count), 8100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sawtooth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
