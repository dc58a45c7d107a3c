/* Kulkarni et al., "Logical Physical Clocks" (2014). Section 3.2: the naive way, l = max(l + 1,
 * pt), satisfies causality but not closeness: where events come faster than the physical clock
 * ticks, l runs away from it without bound. Section 3.3 with figure 5, theorems 2 to 4: with the
 * counter, l is the physical clock of some node that was heard of, so it is ahead by no more than
 * the clocks are apart, and the counter stays small. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "moot/hlc.h"

enum { NODES = 4, EPSILON = 10, EVENTS_A_TICK = 3 };

struct drift {
    uint64_t naive, hybrid, counter;
};

/* A message goes round the nodes, EVENTS_A_TICK hops in one tick; node 0's clock is EPSILON ahead
 * of the others, as in the paper's example. */
static struct drift run(uint64_t ticks)
{
    struct moot_hlc_wide_clock clocks[NODES];
    uint64_t naive[NODES] = {0};
    struct drift drift = {0};
    for (moot_node_id i = 0; i < NODES; i++) {
        moot_hlc_wide_init(&clocks[i], i + 1, EPSILON, (struct moot_hlc_wide){0});
    }
    struct moot_hlc_wide message = moot_hlc_wide_next(&clocks[0], EPSILON);
    uint64_t naive_message = naive[0] = EPSILON;
    for (uint64_t hop = 1; hop < ticks * EVENTS_A_TICK; hop++) {
        uint64_t at = hop % NODES;
        uint64_t now = hop / EVENTS_A_TICK + (at == 0 ? EPSILON : 0);
        naive[at] = moot_max_u64(moot_max_u64(naive[at], naive_message) + 1, now);
        naive_message = naive[at];
        struct moot_hlc_wide last = message;
        assert_int_equal(moot_hlc_wide_receive(&clocks[at], now, last, &message), 0);
        assert_true(moot_hlc_wide_compare(last, message) < 0); /* Theorem 1. */
        assert_true(message.wall_ns >= now);                   /* Theorem 2. */
        drift.naive = moot_max_u64(drift.naive, naive[at] - now);
        drift.hybrid = moot_max_u64(drift.hybrid, message.wall_ns - now);
        drift.counter = moot_max_u64(drift.counter, message.counter);
    }
    return drift;
}

/* Goal: the naive drift grows with time, the hybrid one does not, and the counter is bounded.
 * Method: the same run for ten times as long, three times. */
static void closeness(void **state)
{
    (void)state;
    print_message(
        "paper: naive drift without bound; hybrid at most epsilon = %d; counter bounded by "
        "N * (epsilon + 1) = %d for one event a node and tick\n",
        EPSILON, NODES * (EPSILON + 1));
    uint64_t last_naive = 0;
    for (uint64_t ticks = 100; ticks <= 100000; ticks *= 10) {
        struct drift drift = run(ticks);
        print_message("here, after %6llu ticks: naive %6llu, hybrid %llu, counter %llu\n",
                      (unsigned long long)ticks, (unsigned long long)drift.naive,
                      (unsigned long long)drift.hybrid, (unsigned long long)drift.counter);
        assert_true(drift.naive > 5 * last_naive);
        assert_true(drift.hybrid <= EPSILON);
        assert_true(drift.counter <= NODES * (EPSILON + 1));
        last_naive = drift.naive;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closeness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
