#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/slice.h"
#include "moot/bounded.h"

static const struct moot_bounded_options OPTIONS = {
    .age_max = {60 * MOOT_SEC_NS}, .error_max_ns = 2 * MOOT_SEC_NS, .drift_ppm = 200};
static const uint64_t EPOCH = 1000000 * MOOT_SEC_NS;

static struct moot_instant at_ms(uint64_t ms) { return (struct moot_instant){ms * MOOT_MSEC_NS}; }

static struct moot_bounded_reading reading_of(uint64_t wall_ms, uint64_t error_ms)
{
    return (struct moot_bounded_reading){.wall_ns = EPOCH + wall_ms * MOOT_MSEC_NS,
                                         .error_ns = error_ms * MOOT_MSEC_NS,
                                         .synchronised = true};
}

static enum moot_bounded_state feed(struct moot_bounded *clock, uint64_t now_ms, uint64_t wall_ms,
                                    uint64_t error_ms)
{
    struct moot_bounded_reading reading = reading_of(wall_ms, error_ms);
    return moot_bounded_feed(clock, at_ms(now_ms), &reading);
}

/* Goal: the interval around a reading, and its growth by the drift. Method: by hand. */
static void the_interval_grows_with_the_drift(void **state)
{
    (void)state;
    struct moot_bounded clock;
    struct moot_bounded_interval now;
    moot_bounded_init(&clock, &OPTIONS, 0);
    assert_int_equal(moot_bounded_now(&clock, at_ms(0), &now), MOOT_EREFUSED);
    assert_int_equal(moot_bounded_state(&clock, at_ms(0)), MOOT_BOUNDED_NO_READING);
    assert_int_equal(feed(&clock, 1000, 0, 3), MOOT_BOUNDED_GOOD);
    assert_int_equal(moot_bounded_now(&clock, at_ms(1000), &now), 0);
    assert_true(now.earliest_ns == EPOCH - 3 * MOOT_MSEC_NS);
    assert_true(now.latest_ns == EPOCH + 3 * MOOT_MSEC_NS);
    /* 30 s later the error has grown by 30 s * 200 ppm = 6 ms. */
    assert_int_equal(moot_bounded_now(&clock, at_ms(31000), &now), 0);
    assert_true(now.earliest_ns == EPOCH + 30000 * MOOT_MSEC_NS - 9 * MOOT_MSEC_NS);
    assert_true(now.latest_ns == EPOCH + 30000 * MOOT_MSEC_NS + 9 * MOOT_MSEC_NS);
    assert_true(moot_bounded_after(&clock, at_ms(31000), now.earliest_ns - 1));
    assert_false(moot_bounded_after(&clock, at_ms(31000), now.earliest_ns));
    assert_true(moot_bounded_before(&clock, at_ms(31000), now.latest_ns + 1));
    assert_false(moot_bounded_before(&clock, at_ms(31000), now.latest_ns));
}

/* Goal: what cannot be promised is refused, with the reason; and is promised again once it can be.
 */
static void refusals(void **state)
{
    (void)state;
    struct moot_bounded clock;
    struct moot_bounded_interval now = {1, 2};
    moot_bounded_init(&clock, &OPTIONS, 0);
    assert_int_equal(feed(&clock, 0, 0, 5), MOOT_BOUNDED_GOOD);
    assert_int_equal(moot_bounded_state(&clock, at_ms(60000)), MOOT_BOUNDED_GOOD);
    assert_int_equal(moot_bounded_state(&clock, at_ms(60001)), MOOT_BOUNDED_OLD);
    assert_int_equal(moot_bounded_now(&clock, at_ms(60001), &now), MOOT_EREFUSED);
    assert_true(now.earliest_ns == 1 && now.latest_ns == 2);
    assert_false(moot_bounded_after(&clock, at_ms(60001), 0));
    assert_false(moot_bounded_before(&clock, at_ms(60001), UINT64_MAX));
    assert_true(moot_bounded_wait(&clock, at_ms(60001), EPOCH).ns == MOOT_NEVER.ns);
    struct moot_bounded_reading lost = reading_of(70000, 5);
    lost.synchronised = false;
    assert_int_equal(moot_bounded_feed(&clock, at_ms(70000), &lost), MOOT_BOUNDED_UNSYNCHRONISED);
    uint64_t stamp = 7;
    assert_int_equal(moot_bounded_commit(&clock, at_ms(70000), &stamp), MOOT_EREFUSED);
    assert_int_equal(stamp, 7);
    assert_int_equal(feed(&clock, 80000, 80000, 2001), MOOT_BOUNDED_WIDE);
    assert_int_equal(feed(&clock, 81000, 81000, 1), MOOT_BOUNDED_GOOD);
    assert_int_equal(moot_bounded_now(&clock, at_ms(81000), &now), 0);
    for (enum moot_bounded_state each = 0; each <= MOOT_BOUNDED_CONTRADICTED; each++) {
        assert_true(strlen(moot_bounded_text(each)) > 20);
    }
}

/* Goal: a step within the error is swallowed; one beyond it is never silent (PITFALLS 95), forward
 * or back, also when nobody had asked for the time meanwhile. */
static void steps(void **state)
{
    (void)state;
    struct moot_bounded clock;
    struct moot_bounded_interval before;
    struct moot_bounded_interval now;
    moot_bounded_init(&clock, &OPTIONS, 0);
    assert_int_equal(feed(&clock, 0, 0, 5), MOOT_BOUNDED_GOOD);
    assert_int_equal(moot_bounded_now(&clock, at_ms(0), &before), 0);
    assert_int_equal(feed(&clock, 0, 0 - 8, 4), MOOT_BOUNDED_GOOD); /* Back by 8 ms; 5 + 4 > 8. */
    assert_int_equal(moot_bounded_now(&clock, at_ms(0), &now), 0);
    assert_true(now.earliest_ns >= before.earliest_ns);
    assert_true(now.latest_ns >= before.latest_ns);

    static const int64_t steps_ms[] = {-10, 10, -3600000, 3600000};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(steps_ms); i++) {
        moot_bounded_init(&clock, &OPTIONS, 0);
        assert_int_equal(feed(&clock, 0, 4000000, 5), MOOT_BOUNDED_GOOD);
        uint64_t wall_ms = (uint64_t)(4000100 + steps_ms[i]);
        assert_int_equal(feed(&clock, 100, wall_ms, 4), MOOT_BOUNDED_STEPPED);
        assert_int_equal(moot_bounded_now(&clock, at_ms(100), &now), MOOT_EREFUSED);
        /* It does not heal by itself. */
        assert_int_equal(feed(&clock, 200, 4000200, 5), MOOT_BOUNDED_STEPPED);
    }
    /* Back while it was unsynchronised: what was promised before still binds. */
    moot_bounded_init(&clock, &OPTIONS, 0);
    assert_int_equal(feed(&clock, 0, 10000, 5), MOOT_BOUNDED_GOOD);
    assert_int_equal(moot_bounded_now(&clock, at_ms(0), &now), 0);
    struct moot_bounded_reading lost = reading_of(10, 5);
    lost.synchronised = false;
    (void)moot_bounded_feed(&clock, at_ms(10), &lost);
    assert_int_equal(feed(&clock, 20, 9000, 5), MOOT_BOUNDED_STEPPED);
}

/* Goal: a peer's interval that cannot be is noticed. */
static void peers_contradict(void **state)
{
    (void)state;
    struct moot_bounded clock;
    struct moot_bounded_interval now;
    moot_bounded_init(&clock, &OPTIONS, 0);
    struct moot_bounded_interval sent = {EPOCH + 5 * MOOT_MSEC_NS, EPOCH + 9 * MOOT_MSEC_NS};
    assert_int_equal(moot_bounded_check(&clock, at_ms(0), sent), 0); /* Nothing to say yet. */
    assert_int_equal(feed(&clock, 0, 0, 5), MOOT_BOUNDED_GOOD);
    assert_int_equal(moot_bounded_check(&clock, at_ms(0), sent), 0);
    sent.earliest_ns += 1;
    assert_int_equal(moot_bounded_check(&clock, at_ms(0), sent), MOOT_EREFUSED);
    assert_int_equal(moot_bounded_state(&clock, at_ms(1)), MOOT_BOUNDED_CONTRADICTED);
    assert_int_equal(moot_bounded_now(&clock, at_ms(1), &now), MOOT_EREFUSED);
}

/* ---- random runs: clocks with honest errors, on one true time ---- */

enum { NODES = 4 };
struct node {
    struct moot_bounded clock;
    int64_t offset_ns; /* Of its wall clock from true time. */
    int64_t pace_ppm;  /* Of its oscillator, the monotonic clock too. */
    uint64_t origin_ns, error_ns;
    struct moot_bounded_interval last;
    uint64_t stamp_ns;
};

static struct moot_instant instant_of(const struct node *node, uint64_t true_ns)
{
    int64_t drift = (int64_t)(true_ns / 1000000) * node->pace_ppm;
    return (struct moot_instant){node->origin_ns + true_ns + (uint64_t)drift};
}

/* A synchronisation: a new offset, within an error that the daemon is told honestly. Between two,
 * the wall clock's own error grows with the oscillator's, as the kernel's estimate does. */
static void synchronise(struct node *node, struct moot_rng *rng, uint64_t true_ns)
{
    node->error_ns = 1000 + moot_rng_below(rng, 5 * MOOT_MSEC_NS);
    node->offset_ns = (int64_t)moot_rng_below(rng, 2 * node->error_ns) - (int64_t)node->error_ns;
    struct moot_bounded_reading reading = {
        .wall_ns = (uint64_t)((int64_t)(EPOCH + true_ns) + node->offset_ns),
        .error_ns = node->error_ns,
        .drift_ppm = 100,
        .synchronised = true,
    };
    enum moot_bounded_state state =
        moot_bounded_feed(&node->clock, instant_of(node, true_ns), &reading);
    assert_int_equal(state, MOOT_BOUNDED_GOOD); /* Honest clocks are never called broken. */
}

/* Goal: true time is always inside; intervals, stamps and `after` never go back; commit wait makes
 * stamps agree with real order; peers with honest bounds never contradict. Method: four nodes with
 * oscillators up to 200 ppm wrong, synchronised and stepped at random within the honest error. */
static void random_runs(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct moot_rng rng;
        moot_rng_init(&rng, seed);
        struct node nodes[NODES] = {0};
        for (int i = 0; i < NODES; i++) {
            moot_bounded_init(&nodes[i].clock, &OPTIONS, 0);
            nodes[i].pace_ppm = (int64_t)moot_rng_below(&rng, 400) - 200;
            nodes[i].origin_ns = moot_rng_below(&rng, UINT64_C(1) << 40);
            synchronise(&nodes[i], &rng, 0);
        }
        uint64_t true_ns = 0;
        uint64_t committed_ns = 0; /* The stamp of the last commit that became visible. */
        for (int step = 0; step < 500; step++) {
            true_ns += moot_rng_below(&rng, 50 * MOOT_MSEC_NS);
            struct node *node = &nodes[moot_rng_below(&rng, NODES)];
            const struct node *peer = &nodes[moot_rng_below(&rng, NODES)];
            if (moot_rng_chance(&rng, 1, 8)) {
                synchronise(node, &rng, true_ns);
            }
            struct moot_bounded_interval now;
            assert_int_equal(moot_bounded_now(&node->clock, instant_of(node, true_ns), &now), 0);
            assert_true(now.earliest_ns <= EPOCH + true_ns);
            assert_true(now.latest_ns >= EPOCH + true_ns);
            assert_true(now.earliest_ns >= node->last.earliest_ns);
            assert_true(now.latest_ns >= node->last.latest_ns);
            node->last = now;
            assert_int_equal(
                moot_bounded_check(&node->clock, instant_of(node, true_ns), peer->last), 0);
            if (moot_rng_chance(&rng, 1, 4)) {
                uint64_t stamp_ns;
                struct moot_instant start = instant_of(node, true_ns);
                assert_int_equal(moot_bounded_commit(&node->clock, start, &stamp_ns), 0);
                assert_true(stamp_ns > committed_ns); /* External consistency. */
                assert_true(stamp_ns > node->stamp_ns);
                node->stamp_ns = stamp_ns;
                struct moot_instant until = moot_bounded_wait(&node->clock, start, stamp_ns);
                assert_false(moot_bounded_after(&node->clock, start, stamp_ns));
                uint64_t wait_ns = moot_instant_since(until, start).ns;
                assert_true(wait_ns <= 40 * MOOT_MSEC_NS);
                true_ns += wait_ns + wait_ns / 1000; /* The node's oscillator may be slow. */
                until = instant_of(node, true_ns);
                assert_true(moot_bounded_after(&node->clock, until, stamp_ns));
                assert_true(EPOCH + true_ns > stamp_ns);
                committed_ns = stamp_ns;
            }
        }
    }
}

/* Goal: the instant that wait() names is right to a microsecond or so. */
static void the_wait_is_exact(void **state)
{
    (void)state;
    struct moot_rng rng;
    moot_rng_init(&rng, 6);
    for (int round = 0; round < 2000; round++) {
        struct moot_bounded clock;
        moot_bounded_init(&clock, &OPTIONS, 0);
        (void)feed(&clock, 0, 0, moot_rng_below(&rng, 900));
        struct moot_instant now = {moot_rng_below(&rng, 20 * MOOT_SEC_NS)};
        uint64_t stamp_ns;
        assert_int_equal(moot_bounded_commit(&clock, now, &stamp_ns), 0);
        struct moot_instant until = moot_bounded_wait(&clock, now, stamp_ns);
        struct moot_bounded copy = clock;
        assert_true(moot_bounded_after(&copy, until, stamp_ns));
        until.ns -= 10;
        assert_false(moot_bounded_after(&clock, until, stamp_ns));
    }
}

/* Goal: leap seconds. Smeared: a wall clock that runs 11.6 ppm slow for a day, honestly within its
 * error on the smeared scale, is monotone and never refused. Stepped: the scale repeats a second;
 * with the announcement nothing breaks, without it the step is noticed. */
static void leap_seconds(void **state)
{
    (void)state;
    struct moot_bounded clock;
    struct moot_bounded_interval now;
    struct moot_bounded_interval last = {0, 0};
    moot_bounded_init(&clock, &OPTIONS, 0);
    for (uint64_t second = 0; second <= 86400; second += 15) {
        uint64_t wall_ms = second * 1000 - second * 1000 / 86400;
        assert_int_equal(feed(&clock, second * 1000, wall_ms, 1), MOOT_BOUNDED_GOOD);
        assert_int_equal(moot_bounded_now(&clock, at_ms(second * 1000 + 14999), &now), 0);
        assert_true(now.earliest_ns >= last.earliest_ns && now.latest_ns >= last.latest_ns);
        last = now;
    }
    for (int announced = 0; announced < 2; announced++) {
        moot_bounded_init(&clock, &OPTIONS, 0);
        struct moot_bounded_reading before = reading_of(59000, 1);
        struct moot_bounded_reading after = reading_of(60000, 1); /* Two seconds later. */
        before.leap_near = announced == 1;
        after.leap_near = announced == 1;
        (void)moot_bounded_feed(&clock, at_ms(0), &before);
        assert_int_equal(moot_bounded_now(&clock, at_ms(1990), &last), 0);
        assert_int_equal(moot_bounded_feed(&clock, at_ms(2000), &after),
                         announced ? MOOT_BOUNDED_GOOD : MOOT_BOUNDED_STEPPED);
        if (announced) {
            assert_int_equal(moot_bounded_now(&clock, at_ms(2000), &now), 0);
            assert_true(now.earliest_ns >= last.earliest_ns && now.latest_ns >= last.latest_ns);
            assert_int_equal(feed(&clock, 20000, 78000, 1), MOOT_BOUNDED_GOOD); /* It is over. */
        }
    }
}

/* Goal: stamps rise across a restart, from the floor that is handed in. */
static void a_floor_for_stamps(void **state)
{
    (void)state;
    struct moot_bounded clock;
    uint64_t stamp_ns;
    moot_bounded_init(&clock, &OPTIONS, EPOCH + MOOT_SEC_NS);
    (void)feed(&clock, 0, 0, 5);
    assert_int_equal(moot_bounded_commit(&clock, at_ms(0), &stamp_ns), 0);
    assert_true(stamp_ns == EPOCH + MOOT_SEC_NS + 1);
}

/* Goal: wire forms come back as they were; contradictions in themselves are refused. */
static void the_wire_forms(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t size;
    struct moot_bounded_reading reading = reading_of(5, 6);
    reading.drift_ppm = 500;
    reading.leap_near = true;
    struct moot_bounded_reading back;
    assert_int_equal(moot_bounded_reading_encode(&reading, bytes, sizeof(bytes), &size), 0);
    assert_int_equal(moot_bounded_reading_decode(moot_slice_make(bytes, size), &back), 0);
    assert_true(back.wall_ns == reading.wall_ns && back.error_ns == reading.error_ns &&
                back.drift_ppm == 500 && back.leap_near && back.synchronised);
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(moot_bounded_reading_decode(moot_slice_make(bytes, cut), &back),
                         MOOT_EINVALID);
    }
    struct moot_bounded_interval interval = {7, 9};
    struct moot_bounded_interval interval_back;
    assert_int_equal(moot_bounded_interval_encode(interval, bytes, sizeof(bytes), &size), 0);
    assert_int_equal(moot_bounded_interval_decode(moot_slice_make(bytes, size), &interval_back), 0);
    assert_true(interval_back.earliest_ns == 7 && interval_back.latest_ns == 9);
    bytes[1] = 10; /* Earliest after latest. */
    assert_int_equal(moot_bounded_interval_decode(moot_slice_make(bytes, size), &interval_back),
                     MOOT_EINVALID);
    bytes[0] = 2;
    assert_int_equal(moot_bounded_interval_decode(moot_slice_make(bytes, size), &interval_back),
                     MOOT_EVERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_interval_grows_with_the_drift),
        cmocka_unit_test(refusals),
        cmocka_unit_test(steps),
        cmocka_unit_test(peers_contradict),
        cmocka_unit_test(random_runs),
        cmocka_unit_test(the_wait_is_exact),
        cmocka_unit_test(leap_seconds),
        cmocka_unit_test(a_floor_for_stamps),
        cmocka_unit_test(the_wire_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
