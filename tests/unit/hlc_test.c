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

/* Goal: a refusal is reported, with the worst of them. */
static void refusals_are_reported(void **state)
{
    (void)state;
    struct moot_hlc clock;
    moot_hlc_init(&clock, 500, 0);
    assert_int_equal(moot_hlc_observe(&clock, 1000, moot_hlc_pack(1000 + 3600000, 0)),
                     MOOT_EREFUSED);
    assert_int_equal(moot_hlc_observe(&clock, 1000, moot_hlc_pack(2000, 0)), MOOT_EREFUSED);
    assert_int_equal(clock.refused, 2);
    assert_int_equal(clock.refused_ahead_ms, 3600000);
    moot_hlc_init(&clock, UINT64_MAX, 0); /* No bound: the end of the numbers is still one. */
    assert_int_equal(moot_hlc_observe(&clock, 1000, MOOT_HLC_RECEIVED_MAX + 1), MOOT_EREFUSED);
    assert_int_equal(moot_hlc_observe(&clock, 1000, MOOT_HLC_RECEIVED_MAX), 0);
    assert_true(moot_hlc_next(&clock, 1000) > MOOT_HLC_RECEIVED_MAX);
}

/* Goal: stamps rise across crashes, whatever was persisted and however the wall clock was set back
 * (PITFALLS 93). Method: a disk whose writes land late or never; each life begins at what landed;
 * the wall clock jumps by up to a minute at each crash. */
static void stamps_rise_across_crashes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct moot_rng rng;
        moot_rng_init(&rng, seed);
        moot_hlc_stamp disk = 0;
        moot_hlc_stamp on_its_way = 0;
        moot_hlc_stamp last = 0;
        uint64_t wall_ms = 1000000;
        uint64_t window_ms = 1 + moot_rng_below(&rng, 1000);
        uint32_t given = 0;
        uint32_t held = 0;
        for (uint32_t life = 0; life < 30; life++) {
            struct moot_hlc clock;
            struct moot_hlc_ceiling ceiling;
            moot_hlc_init(&clock, 500, disk);
            moot_hlc_ceiling_init(&ceiling, disk, window_ms);
            for (uint32_t step = 0; step < 200; step++) {
                wall_ms += moot_rng_below(&rng, 20);
                if (moot_rng_chance(&rng, 1, 10)) {
                    (void)!moot_hlc_observe(&clock, wall_ms,
                                            moot_hlc_pack(wall_ms + moot_rng_below(&rng, 600), 9));
                }
                moot_hlc_stamp persist;
                if (moot_hlc_ceiling_wants(&ceiling, &clock, wall_ms, &persist)) {
                    on_its_way = persist;
                }
                if (on_its_way > disk && moot_rng_chance(&rng, 1, 4)) {
                    disk = on_its_way;
                    moot_hlc_ceiling_durable(&ceiling, disk);
                }
                moot_hlc_stamp stamp;
                int status = moot_hlc_next_below(&clock, &ceiling, wall_ms, &stamp);
                held += status == MOOT_EBUSY;
                if (status == 0) {
                    assert_true(stamp > last);
                    assert_true(stamp <= disk);
                    last = stamp;
                    given++;
                }
            }
            on_its_way = 0;
            wall_ms -= moot_rng_below(&rng, 60000);
        }
        assert_true(given > 0 && held > 0);
    }
}

static int compare_wide(const struct moot_hlc_wide *a, const struct moot_hlc_wide *b)
{
    return moot_hlc_wide_compare(*a, *b);
}

/* Goal: figure 5 by hand, with the counter's carry, the refusal, and packing that keeps order. */
static void the_wide_form(void **state)
{
    (void)state;
    struct moot_hlc_wide_clock clock;
    struct moot_hlc_wide out = {0};
    moot_hlc_wide_init(&clock, 3, 1000, (struct moot_hlc_wide){.wall_ns = 50});
    out = moot_hlc_wide_next(&clock, 100);
    assert_true(out.wall_ns == 100 && out.counter == 0 && out.node == 3);
    out = moot_hlc_wide_next(&clock, 90);
    assert_true(out.wall_ns == 100 && out.counter == 1);
    /* l.m is alone the greatest: its counter goes on. */
    struct moot_hlc_wide message = {200, 7, 1};
    assert_int_equal(moot_hlc_wide_receive(&clock, 150, message, &out), 0);
    assert_true(out.wall_ns == 200 && out.counter == 8 && out.node == 3);
    /* l = l.m: the greater counter goes on. */
    message.counter = 2;
    assert_int_equal(moot_hlc_wide_receive(&clock, 150, message, &out), 0);
    assert_true(out.wall_ns == 200 && out.counter == 9);
    /* pt is alone the greatest: counting begins again. */
    assert_int_equal(moot_hlc_wide_receive(&clock, 300, message, &out), 0);
    assert_true(out.wall_ns == 300 && out.counter == 0);
    message.wall_ns = 1301;
    assert_int_equal(moot_hlc_wide_receive(&clock, 300, message, &out), MOOT_EREFUSED);
    assert_true(clock.refused == 1 && clock.refused_ahead_ns == 1001);
    message = (struct moot_hlc_wide){400, UINT32_MAX, 1};
    assert_int_equal(moot_hlc_wide_receive(&clock, 300, message, &out), 0);
    assert_true(out.wall_ns == 401 && out.counter == 0); /* Carried, not wrapped. */

    struct moot_rng rng;
    moot_rng_init(&rng, 4);
    for (int i = 0; i < 100000; i++) {
        struct moot_hlc_wide a = {moot_rng_below(&rng, 3 * MOOT_MSEC_NS), 0, 1};
        struct moot_hlc_wide b = {moot_rng_below(&rng, 3 * MOOT_MSEC_NS), 0, 2};
        int order = compare_wide(&a, &b);
        assert_int_equal(order, -compare_wide(&b, &a));
        uint64_t pa = moot_hlc_from_wide(a);
        uint64_t pb = moot_hlc_from_wide(b);
        assert_true(order < 0 ? pa <= pb : pa >= pb);
        assert_true(moot_hlc_ms(pa) == a.wall_ns / MOOT_MSEC_NS);
    }
}

/* Goal: wire forms come back as they were, and nothing shorter, longer or newer is taken. */
static void the_wire_forms(void **state)
{
    (void)state;
    uint8_t bytes[MOOT_HLC_WIDE_BYTES + 1] = {0};
    size_t size;
    moot_hlc_stamp stamp;
    struct moot_hlc_wide wide = {UINT64_C(0x0123456789abcdef), 77, 5};
    struct moot_hlc_wide back;
    assert_int_equal(moot_hlc_encode(moot_hlc_pack(123456789, 4321), bytes, 9, &size), 0);
    assert_int_equal(moot_hlc_decode((struct moot_slice){bytes, size}, &stamp), 0);
    assert_true(stamp == moot_hlc_pack(123456789, 4321));
    assert_int_equal(moot_hlc_decode((struct moot_slice){bytes, size + 1}, &stamp), MOOT_EINVALID);
    assert_int_equal(moot_hlc_encode(stamp, bytes, 8, &size), MOOT_ELIMIT);
    assert_int_equal(moot_hlc_wide_encode(wide, bytes, sizeof(bytes), &size), 0);
    assert_int_equal(moot_hlc_wide_decode((struct moot_slice){bytes, size}, &back), 0);
    assert_int_equal(moot_hlc_wide_compare(wide, back), 0);
    assert_int_equal(moot_hlc_wide_decode((struct moot_slice){bytes, size - 1}, &back),
                     MOOT_EINVALID);
    bytes[0] = 2;
    assert_int_equal(moot_hlc_wide_decode((struct moot_slice){bytes, size}, &back), MOOT_EVERSION);
    assert_int_equal(moot_hlc_decode((struct moot_slice){bytes, 9}, &stamp), MOOT_EVERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stamps_rise_whatever_the_wall_clock_does),
        cmocka_unit_test(a_full_counter_carries),
        cmocka_unit_test(one_broken_clock_does_not_pull_the_others),
        cmocka_unit_test(extreme_bounds_and_clocks),
        cmocka_unit_test(causality_is_order),
        cmocka_unit_test(refusals_are_reported),
        cmocka_unit_test(stamps_rise_across_crashes),
        cmocka_unit_test(the_wide_form),
        cmocka_unit_test(the_wire_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
