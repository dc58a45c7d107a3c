#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/slice.h"
#include "moot/lamport.h"

/* Goal: IR1 and IR2 of the paper. Method: by hand. */
static void events_count_and_messages_jump(void **state)
{
    (void)state;
    struct moot_lamport a;
    struct moot_lamport b;
    moot_lamport_init(&a, 1, 0, UINT64_MAX);
    moot_lamport_init(&b, 2, 10, UINT64_MAX);
    assert_int_equal(moot_lamport_tick(&a).time, 1);
    struct moot_lamport_stamp sent = moot_lamport_tick(&b);
    assert_int_equal(sent.time, 11); /* Above the floor. */
    assert_int_equal(sent.node, 2);
    struct moot_lamport_stamp receipt;
    assert_int_equal(moot_lamport_receive(&a, sent, &receipt), 0);
    assert_int_equal(receipt.time, 12);
    sent = (struct moot_lamport_stamp){.time = 3, .node = 1}; /* Late: no jump, still an event. */
    assert_int_equal(moot_lamport_receive(&b, sent, &receipt), 0);
    assert_int_equal(receipt.time, 12);
}

/* Goal: equal times are ordered by node, everywhere alike. */
static void the_order_is_total(void **state)
{
    (void)state;
    const struct moot_lamport_stamp stamps[] = {{1, 1}, {1, 2}, {2, 1}, {2, 2}, {UINT64_MAX, 1}};
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < 5; j++) {
            assert_int_equal(moot_lamport_compare(stamps[i], stamps[j]), (i > j) - (i < j));
        }
    }
}

/* Goal: nobody can use up another's numbers. Method: the edges of both bounds. */
static void a_time_from_far_ahead_is_refused(void **state)
{
    (void)state;
    struct moot_lamport clock;
    struct moot_lamport_stamp out = {77, 7};
    moot_lamport_init(&clock, 1, 100, 1000);
    assert_int_equal(moot_lamport_receive(&clock, (struct moot_lamport_stamp){1101, 2}, &out),
                     MOOT_EREFUSED);
    assert_int_equal(out.time, 77);
    assert_int_equal(moot_lamport_receive(&clock, (struct moot_lamport_stamp){1100, 2}, &out), 0);
    assert_int_equal(out.time, 1101);
    moot_lamport_init(&clock, 1, 0, UINT64_MAX);
    struct moot_lamport_stamp last = {MOOT_LAMPORT_TIME_MAX, 2};
    struct moot_lamport_stamp beyond = {MOOT_LAMPORT_TIME_MAX + 1, 2};
    assert_int_equal(moot_lamport_receive(&clock, beyond, &out), MOOT_EREFUSED);
    assert_int_equal(moot_lamport_receive(&clock, last, &out), 0);
    assert_true(moot_lamport_tick(&clock).time > MOOT_LAMPORT_TIME_MAX); /* Local events go on. */
}

/* Goal: the clock condition. Method: random runs of six nodes with messages that are delayed,
 * reordered and lost; for each pair of events, causality as known from a full record of the past
 * (one bit an event) implies the order of times, and no stamp is given twice. */
enum { NODES = 6, EVENTS = 250, WIRES = 12 };
static void causes_have_smaller_numbers(void **state)
{
    (void)state;
    static uint8_t past[EVENTS][EVENTS];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct moot_rng rng;
        moot_rng_init(&rng, seed);
        memset(past, 0, sizeof(past));
        struct moot_lamport clocks[NODES];
        struct moot_lamport_stamp stamps[EVENTS];
        int last[NODES];
        int wires[WIRES];
        for (moot_node_id node = 0; node < NODES; node++) {
            moot_lamport_init(&clocks[node], node + 1, 0, UINT64_MAX);
            last[node] = -1;
        }
        memset(wires, -1, sizeof(wires));
        for (int event = 0; event < EVENTS; event++) {
            uint64_t node = moot_rng_below(&rng, NODES);
            uint64_t wire = moot_rng_below(&rng, WIRES);
            if (last[node] >= 0) {
                memcpy(past[event], past[last[node]], EVENTS);
            }
            if (wires[wire] >= 0 && moot_rng_chance(&rng, 1, 2)) {
                for (int i = 0; i < EVENTS; i++) {
                    past[event][i] |= past[wires[wire]][i];
                }
                assert_int_equal(
                    moot_lamport_receive(&clocks[node], stamps[wires[wire]], &stamps[event]), 0);
                wires[wire] = -1;
            } else {
                stamps[event] = moot_lamport_tick(&clocks[node]);
                wires[wire] = event;
            }
            for (int i = 0; i < event; i++) {
                assert_true(!past[event][i] || stamps[i].time < stamps[event].time);
                assert_true(moot_lamport_compare(stamps[i], stamps[event]) != 0);
            }
            past[event][event] = 1;
            last[node] = event;
        }
    }
}

/* Goal: the wire form comes back as it was; anything else is refused. */
static void the_wire_form(void **state)
{
    (void)state;
    struct moot_lamport_stamp stamp = {UINT64_C(0x123456789a), 9};
    struct moot_lamport_stamp back;
    uint8_t bytes[MOOT_LAMPORT_STAMP_BYTES + 1] = {0};
    size_t size;
    for (size_t room = 0; room < MOOT_LAMPORT_STAMP_BYTES; room++) {
        assert_int_equal(moot_lamport_encode(stamp, bytes, room, &size), MOOT_ELIMIT);
    }
    assert_int_equal(moot_lamport_encode(stamp, bytes, sizeof(bytes), &size), 0);
    assert_int_equal(moot_lamport_decode(moot_slice_make(bytes, size), &back), 0);
    assert_int_equal(moot_lamport_compare(stamp, back), 0);
    assert_int_equal(moot_lamport_decode(moot_slice_make(bytes, size + 1), &back), MOOT_EINVALID);
    assert_int_equal(moot_lamport_decode(moot_slice_make(bytes, size - 1), &back), MOOT_EINVALID);
    bytes[0] = 2;
    assert_int_equal(moot_lamport_decode(moot_slice_make(bytes, size), &back), MOOT_EVERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_count_and_messages_jump),
        cmocka_unit_test(the_order_is_total),
        cmocka_unit_test(a_time_from_far_ahead_is_refused),
        cmocka_unit_test(causes_have_smaller_numbers),
        cmocka_unit_test(the_wire_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
