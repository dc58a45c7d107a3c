#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "host/clock_error.h"

static uint64_t now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * MOOT_SEC_NS + (uint64_t)now.tv_nsec;
}

/* Goal: the reading is the kernel's: near the wall clock, on the loop's monotonic clock; and a
 * clock that nothing synchronises, as in most containers, is refused. Both kinds of machine are
 * fine. */
static void the_kernel_s_word_is_taken(void **state)
{
    (void)state;
    struct moot_instant at = {0};
    struct moot_bounded_reading reading;
    uint64_t wall_before_ns = now_ns(CLOCK_REALTIME), mono_before_ns = now_ns(CLOCK_MONOTONIC);
    int status = moot_clock_error_read(&at, &reading);
    uint64_t wall_after_ns = now_ns(CLOCK_REALTIME), mono_after_ns = now_ns(CLOCK_MONOTONIC);
    assert_in_range(at.ns, mono_before_ns, mono_after_ns);

    static const struct moot_bounded_options options = {
        .age_max = {60 * MOOT_SEC_NS}, .error_max_ns = 60 * MOOT_SEC_NS, .drift_ppm = 200};
    struct moot_bounded clock;
    struct moot_bounded_interval now;
    moot_bounded_init(&clock, &options, 0);
    enum moot_bounded_state fed = moot_bounded_feed(&clock, at, &reading);
    if (status != 0 || !reading.synchronised) {
        print_message("not synchronised here\n");
        assert_int_equal(fed, MOOT_BOUNDED_UNSYNCHRONISED);
        assert_int_equal(moot_bounded_now(&clock, at, &now), MOOT_EREFUSED);
        assert_false(moot_bounded_after(&clock, at, 0));
        return;
    }
    print_message("synchronised here, within %llu us\n",
                  (unsigned long long)(reading.error_ns / MOOT_USEC_NS));
    assert_in_range(reading.wall_ns, wall_before_ns - MOOT_SEC_NS, wall_after_ns + MOOT_SEC_NS);
    if (fed == MOOT_BOUNDED_GOOD) {
        assert_int_equal(moot_bounded_now(&clock, at, &now), 0);
        assert_true(now.earliest_ns <= reading.wall_ns && reading.wall_ns <= now.latest_ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_s_word_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
