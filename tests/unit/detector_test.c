#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/slice.h"
#include "moot/detector.h"
#include "protocol/detector/normal_tail.h"

static struct moot_instant at_ms(uint64_t ms) { return (struct moot_instant){ms * MOOT_MSEC_NS}; }

static const struct moot_detector_options OPTIONS[] = {
    {.kind = MOOT_DETECTOR_TIMEOUT,
     .threshold_milli = 1000,
     .timeout = {500 * MOOT_MSEC_NS},
     .gap_first = {100 * MOOT_MSEC_NS},
     .gap_max = {5 * MOOT_SEC_NS}},
    {.kind = MOOT_DETECTOR_NORMAL,
     .threshold_milli = 8000,
     .gap_first = {100 * MOOT_MSEC_NS},
     .gap_max = {5 * MOOT_SEC_NS},
     .deviation_min = {10 * MOOT_MSEC_NS}},
    {.kind = MOOT_DETECTOR_EXPONENTIAL,
     .threshold_milli = 8000,
     .gap_first = {100 * MOOT_MSEC_NS},
     .gap_max = {5 * MOOT_SEC_NS}},
};

static struct moot_detector steady(int kind, uint64_t beats)
{
    struct moot_detector detector;
    moot_detector_init(&detector, &OPTIONS[kind], at_ms(0));
    for (uint64_t beat = 0; beat <= beats; beat++) {
        moot_detector_heard(&detector, at_ms(beat * 100));
    }
    return detector;
}

/* Goal: the tail of the normal distribution. Method: published values of Q(z), as -log10. */
static void the_table_is_the_normal_tail(void **state)
{
    (void)state;
    static const struct {
        int64_t z;
        uint64_t micro;
    } cases[] = {
        {0, 301030},    /* 0.5 */
        {1, 799546},    /* 0.158655254 */
        {2, 1643016},   /* 0.022750132 */
        {3, 2869699},   /* 0.001349898 */
        {4, 4499336},   /* 3.16712418e-5 */
        {5, 6542645},   /* 2.86651572e-7 */
        {6, 9005864},   /* 9.86587645e-10 */
        {10, 23118053}, /* 7.61985302e-24 */
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        uint64_t micro = detector__normal_tail_micro(cases[i].z * 1024);
        assert_in_range(micro, cases[i].micro - 2, cases[i].micro + 2);
    }
    assert_int_equal(detector__normal_tail_micro(INT64_MIN / 4), 0);
    assert_true(detector__normal_tail_micro(INT64_MAX / 4) > 100 * 1000 * 1000);
    uint64_t last = 0;
    for (int64_t z = -5 * 1024; z < 23 * 1024; z++) {
        uint64_t micro = detector__normal_tail_micro(z);
        assert_true(micro >= last);
        last = micro;
    }
}

/* Goal: levels by hand for a peer that beats every 100 ms exactly. */
static void levels_of_a_steady_peer(void **state)
{
    (void)state;
    struct moot_detector timeout = steady(0, 20);
    struct moot_detector normal = steady(1, 20);
    struct moot_detector exponential = steady(2, 20);
    assert_int_equal(normal.mean_us, 100000);
    assert_int_equal(normal.deviation_us, 0);
    static const struct {
        uint64_t silence_ms;
        uint32_t timeout, normal, exponential;
    } cases[] = {
        {0, 0, 0, 0},
        {100, 200, 301, 434},
        {110, 220, 799, 477},
        {120, 240, 1643, 521},
        {150, 300, 6542, 651},
        {499, 998, 100000, 2167},
        {500, 1000, 100000, 2171},
        {2303, 4606, 100000, 10001},
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        struct moot_instant now = at_ms(2000 + cases[i].silence_ms);
        assert_int_equal(moot_detector_milli(&timeout, now), cases[i].timeout);
        assert_int_equal(moot_detector_milli(&normal, now), cases[i].normal);
        assert_int_equal(moot_detector_milli(&exponential, now), cases[i].exponential);
    }
    assert_false(moot_detector_suspects(&timeout, at_ms(2499)));
    assert_true(moot_detector_suspects(&timeout, at_ms(2500)));
    assert_true(moot_detector_suspects(&normal, at_ms(2200)));
    moot_detector_heard(&timeout, at_ms(2600));
    assert_false(moot_detector_suspects(&timeout, at_ms(2600))); /* Alive after all. */
}

/* Goal: cold start (PITFALLS 91): before anything was learned the level rises as gap_first says,
 * and the time before the first heartbeat is not learned. */
static void a_cold_start(void **state)
{
    (void)state;
    struct moot_detector detector;
    moot_detector_init(&detector, &OPTIONS[1], at_ms(0));
    assert_int_equal(detector.mean_us, 100000);
    assert_int_equal(detector.deviation_us, 25000);
    assert_false(moot_detector_suspects(&detector, at_ms(150)));
    assert_true(moot_detector_suspects(&detector, at_ms(300)));
    moot_detector_heard(&detector, at_ms(4000));
    assert_int_equal(detector.count, 0);
    for (uint64_t beat = 1; beat <= MOOT_DETECTOR_GAPS_FIRST; beat++) {
        moot_detector_heard(&detector, at_ms(4000 + beat * 20));
    }
    assert_int_equal(detector.mean_us, 20000); /* Its own pace, and nothing else. */
}

/* Goal: the deadline is the first instant at which the level is reached, to a microsecond; the
 * level never falls while silent; one outage does not blind the window. Method: random histories.
 */
static void random_histories(void **state)
{
    (void)state;
    struct moot_rng rng;
    moot_rng_init(&rng, 11);
    for (int round = 0; round < 600; round++) {
        struct moot_instant now = {moot_rng_below(&rng, UINT64_C(1) << 50)};
        struct moot_detector detector;
        moot_detector_init(&detector, &OPTIONS[round % 3], now);
        for (uint64_t beats = moot_rng_below(&rng, 300); beats > 0; beats--) {
            bool outage = moot_rng_chance(&rng, 1, 50);
            now.ns += moot_rng_below(&rng, (outage ? 600000 : 200) * MOOT_MSEC_NS);
            moot_detector_heard(&detector, now);
        }
        assert_true(detector.mean_us <= 5000000);
        uint32_t milli = 1 + (uint32_t)moot_rng_below(&rng, 20000);
        struct moot_instant at = moot_detector_deadline(&detector, milli);
        if (at.ns != MOOT_NEVER.ns) {
            assert_true(moot_detector_milli(&detector, at) >= milli);
            assert_true(at.ns == now.ns ||
                        moot_detector_milli(&detector, (struct moot_instant){at.ns - 1}) < milli);
        }
        uint32_t last = 0;
        for (int i = 0; i < 50; i++) {
            now.ns += moot_rng_below(&rng, 300 * MOOT_MSEC_NS);
            uint32_t level = moot_detector_milli(&detector, now);
            assert_true(level >= last && level <= MOOT_DETECTOR_MILLI_MAX);
            last = level;
        }
        assert_true(moot_detector_milli(&detector, (struct moot_instant){UINT64_MAX}) >= last);
    }
}

/* Goal: an observer that was stopped for 30 s suspects nobody; the heartbeats that waited for it do
 * not spoil what it knows; and a peer that died meanwhile is suspected soon after. Method: twenty
 * peers; one is dead since the pause; the others' heartbeats arrive at once. */
static void a_paused_observer(void **state)
{
    (void)state;
    enum { PEERS = 20, DEAD = 7 };
    for (int kind = 0; kind < 3; kind++) {
        struct moot_detector peers[PEERS];
        struct moot_observer observer;
        moot_observer_init(&observer, (struct moot_duration){400 * MOOT_MSEC_NS}, at_ms(0));
        for (int i = 0; i < PEERS; i++) {
            peers[i] = steady(kind, 50);
        }
        for (uint64_t ms = 100; ms <= 5000; ms += 100) {
            assert_int_equal(moot_observer_tick(&observer, at_ms(ms)).ns, 0);
        }
        struct moot_instant woken = at_ms(35000);
        assert_true(moot_detector_suspects(&peers[0], woken)); /* Without the excuse. */
        struct moot_duration lost = moot_observer_tick(&observer, woken);
        assert_int_equal(lost.ns, 30000 * MOOT_MSEC_NS);
        for (int i = 0; i < PEERS; i++) {
            moot_detector_excuse(&peers[i], woken, lost);
            assert_false(moot_detector_suspects(&peers[i], woken));
            for (int beat = 0; i != DEAD && beat < 300; beat++) {
                moot_detector_heard(&peers[i], woken);
            }
            assert_int_equal(peers[i].mean_us, 100000);
        }
        uint64_t suspected_ms = 0;
        for (uint64_t ms = 35020; ms < 40000; ms += 20) {
            assert_int_equal(moot_observer_tick(&observer, at_ms(ms)).ns, 0);
            for (int i = 0; i < PEERS; i++) {
                if (i != DEAD && ms % 100 == 0) {
                    moot_detector_heard(&peers[i], at_ms(ms));
                }
                bool suspected = moot_detector_suspects(&peers[i], at_ms(ms));
                assert_false(i != DEAD && suspected);
                suspected_ms = suspected && suspected_ms == 0 ? ms : suspected_ms;
            }
        }
        assert_true(suspected_ms > 0 && suspected_ms < 37000);
    }
}

/* Goal: an option that would make no sense is named before it does harm. */
static void options_are_judged(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        assert_true(moot_detector_options_are_valid(&OPTIONS[kind]));
        struct moot_detector_options wrong = OPTIONS[kind];
        wrong.threshold_milli = 0;
        assert_false(moot_detector_options_are_valid(&wrong));
        wrong = OPTIONS[kind];
        wrong.gap_max.ns = 121 * MOOT_SEC_NS;
        assert_false(moot_detector_options_are_valid(&wrong));
        wrong = OPTIONS[kind];
        wrong.gap_first.ns = wrong.gap_max.ns + 1;
        assert_false(moot_detector_options_are_valid(&wrong));
    }
    struct moot_detector_options wrong = OPTIONS[1];
    wrong.deviation_min.ns = 0; /* One late packet of a steady peer would be certain death. */
    assert_false(moot_detector_options_are_valid(&wrong));
}

/* Goal: what was learned survives; a heartbeat's copy is no news. */
static void the_wire_forms(void **state)
{
    (void)state;
    uint8_t bytes[MOOT_DETECTOR_BYTES_MAX];
    struct moot_rng rng;
    moot_rng_init(&rng, 3);
    for (uint64_t beats = 0; beats < 300; beats += 7) {
        struct moot_detector detector = steady(1, 0);
        struct moot_instant now = at_ms(0);
        for (uint64_t i = 0; i < beats; i++) {
            now.ns += moot_rng_below(&rng, 300 * MOOT_MSEC_NS);
            moot_detector_heard(&detector, now);
        }
        size_t size;
        assert_int_equal(moot_detector_encode(&detector, bytes, sizeof(bytes), &size), 0);
        struct moot_detector again;
        moot_detector_init(&again, &OPTIONS[1], now);
        for (size_t cut = 0; cut < size; cut++) {
            assert_int_equal(moot_detector_restore(&again, moot_slice_make(bytes, cut)),
                             MOOT_EINVALID);
        }
        assert_int_equal(moot_detector_restore(&again, moot_slice_make(bytes, size)), 0);
        assert_int_equal(again.mean_us, detector.mean_us);
        assert_int_equal(again.deviation_us, detector.deviation_us);
        assert_int_equal(again.count, detector.count);
        /* It goes on forgetting in the same order. */
        now.ns += 77 * MOOT_MSEC_NS;
        moot_detector_heard(&again, now);
        moot_detector_heard(&again, now);
        moot_detector_heard(&detector, now);
        moot_detector_heard(&detector, now);
    }
    struct moot_heartbeat none = {0};
    struct moot_heartbeat beat = {.node = 4, .incarnation = 9, .number = 100};
    struct moot_heartbeat back;
    size_t size;
    assert_int_equal(moot_heartbeat_encode(&beat, bytes, sizeof(bytes), &size), 0);
    assert_int_equal(moot_heartbeat_decode(moot_slice_make(bytes, size), &back), 0);
    assert_true(moot_heartbeat_is_news(&none, &back));
    assert_false(moot_heartbeat_is_news(&beat, &back));
    back.number = 1;
    assert_false(moot_heartbeat_is_news(&beat, &back));
    back.incarnation = 10; /* Another life counts from the start. */
    assert_true(moot_heartbeat_is_news(&beat, &back));
    back.node = 5;
    assert_false(moot_heartbeat_is_news(&beat, &back));
    assert_int_equal(moot_heartbeat_decode(moot_slice_make(bytes, size - 1), &back), MOOT_EINVALID);
    bytes[0] = 7;
    assert_int_equal(moot_heartbeat_decode(moot_slice_make(bytes, size), &back), MOOT_EVERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_the_normal_tail),
        cmocka_unit_test(levels_of_a_steady_peer),
        cmocka_unit_test(a_cold_start),
        cmocka_unit_test(random_histories),
        cmocka_unit_test(a_paused_observer),
        cmocka_unit_test(options_are_judged),
        cmocka_unit_test(the_wire_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
