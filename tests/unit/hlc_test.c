#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/status.h"
#include "moot/hlc.h"

/* Goal: stamps follow the wall clock, and never go back with it. Method: by hand. */
static void stamps_rise_whatever_the_wall_clock_does(void **state)
{
    (void)state;
    struct moot_hlc clock;
    moot_hlc_init(&clock, 500, 0);
    assert_true(moot_hlc_next(&clock, 1000) == moot_hlc_pack(1000, 0));
    assert_true(moot_hlc_next(&clock, 1000) == moot_hlc_pack(1000, 1));
    assert_true(moot_hlc_next(&clock, 400) == moot_hlc_pack(1000, 2)); /* PITFALLS 93. */
    assert_true(moot_hlc_next(&clock, 1001) == moot_hlc_pack(1001, 0));
    /* Started again: above the floor, though the wall clock is behind it. */
    moot_hlc_init(&clock, 500, moot_hlc_pack(2000, 7));
    assert_true(moot_hlc_next(&clock, 1500) == moot_hlc_pack(2000, 8));
}

/* Goal: a full counter carries and never wraps. PITFALLS 94. Method: 2^16 stamps in one tick. */
static void a_full_counter_carries(void **state)
{
    (void)state;
    struct moot_hlc clock;
    moot_hlc_init(&clock, 500, 0);
    moot_hlc_stamp last = moot_hlc_next(&clock, 10);
    for (uint32_t i = 0; i < 70000; i++) {
        moot_hlc_stamp next = moot_hlc_next(&clock, 10);
        assert_true(next > last);
        last = next;
    }
    assert_int_equal(moot_hlc_ms(last), 11);
}

/* Goal: seen stamps are exceeded; those from too far ahead are refused and change nothing. PITFALLS
 * 92. Method: the edges of the bound. */
static void one_broken_clock_does_not_pull_the_others(void **state)
{
    (void)state;
    struct moot_hlc clock;
    moot_hlc_init(&clock, 500, 0);
    (void)moot_hlc_next(&clock, 1000);
    assert_int_equal(moot_hlc_observe(&clock, 1000, moot_hlc_pack(1501, 0)), MOOT_EREFUSED);
    assert_int_equal(moot_hlc_observe(&clock, 1000, moot_hlc_pack(1000 + 3600000, 0)),
                     MOOT_EREFUSED);
    assert_int_equal(moot_hlc_observe(&clock, 1000, UINT64_MAX), MOOT_EREFUSED);
    assert_true(moot_hlc_next(&clock, 1000) == moot_hlc_pack(1000, 1));
    assert_int_equal(moot_hlc_observe(&clock, 1000, moot_hlc_pack(1500, 3)), 0);
    assert_true(moot_hlc_next(&clock, 1000) == moot_hlc_pack(1500, 4));
    assert_int_equal(moot_hlc_observe(&clock, 1000, moot_hlc_pack(900, 0)), 0);
    assert_true(moot_hlc_next(&clock, 1000) == moot_hlc_pack(1500, 5));
    moot_hlc_raise(&clock, moot_hlc_pack(9000, 0)); /* In the log already: no bound. */
    assert_true(moot_hlc_next(&clock, 1000) == moot_hlc_pack(9000, 1));
}

/* Goal: a bound of zero lets healthy nodes live (SERVER-27721), and huge clocks overflow nothing.
 */
static void extreme_bounds_and_clocks(void **state)
{
    (void)state;
    struct moot_hlc clock;
    moot_hlc_init(&clock, 0, 0);
    assert_int_equal(moot_hlc_observe(&clock, 1000, moot_hlc_pack(1000, 65535)), 0);
    assert_int_equal(moot_hlc_observe(&clock, 1000, moot_hlc_pack(1001, 0)), MOOT_EREFUSED);
    moot_hlc_init(&clock, UINT64_MAX, 0);
    assert_int_equal(moot_hlc_observe(&clock, UINT64_MAX, moot_hlc_pack(5, 0)), 0);
    assert_true(moot_hlc_ms(moot_hlc_next(&clock, UINT64_MAX)) == UINT64_MAX >> 16);
}

/* Goal: happened-before is order of stamps (Kulkarni et al., theorem 1). Method: three nodes with
 * clocks that jump within the bound pass messages; each receipt is above what was sent. */
static void causality_is_order(void **state)
{
    (void)state;
    struct moot_rng rng;
    moot_rng_init(&rng, 3);
    struct moot_hlc clocks[3];
    for (uint32_t i = 0; i < 3; i++) {
        moot_hlc_init(&clocks[i], 1000, 0);
    }
    for (uint64_t now = 5000; now < 25000; now++) {
        uint64_t from = moot_rng_below(&rng, 3);
        uint64_t to = moot_rng_below(&rng, 3);
        moot_hlc_stamp sent = moot_hlc_next(&clocks[from], now + moot_rng_below(&rng, 400));
        uint64_t wall_ms = now + moot_rng_below(&rng, 400);
        assert_int_equal(moot_hlc_observe(&clocks[to], wall_ms, sent), 0);
        assert_true(moot_hlc_next(&clocks[to], wall_ms) > sent);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stamps_rise_whatever_the_wall_clock_does),
        cmocka_unit_test(a_full_counter_carries),
        cmocka_unit_test(one_broken_clock_does_not_pull_the_others),
        cmocka_unit_test(extreme_bounds_and_clocks),
        cmocka_unit_test(causality_is_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
