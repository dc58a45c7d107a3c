#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "host/pulse.h"

#define START_NS (1000 * MOOT_SEC_NS)
#define BEAT_NS  (MOOT_LINK_BEAT_MS * MOOT_MSEC_NS)

/* Goal: the link corrects SWIM both ways, and says nothing of whom it never met. */
static void link_and_swim_are_one_word(void **state)
{
    (void)state;
    enum { NONE = -1 };
    static const struct {
        int swim;
        bool link_up, heard;
        uint32_t phi_milli;
        enum moot_health wanted;
    } cases[] = {
        {NONE, false, false, 0, MOOT_HEALTH_UNKNOWN},
        {NONE, true, true, 300, MOOT_HEALTH_ALIVE},
        {NONE, true, true, 8000, MOOT_HEALTH_SUSPECT},
        {NONE, true, true, 100000, MOOT_HEALTH_SUSPECT},
        {NONE, false, true, 31999, MOOT_HEALTH_SUSPECT},
        {NONE, false, true, 32000, MOOT_HEALTH_FAILED},
        {MOOT_SWIM_ALIVE, false, false, 0, MOOT_HEALTH_ALIVE},
        {MOOT_SWIM_ALIVE, true, true, 7999, MOOT_HEALTH_ALIVE},
        {MOOT_SWIM_ALIVE, true, true, 8000, MOOT_HEALTH_SUSPECT},
        {MOOT_SWIM_ALIVE, false, true, 0, MOOT_HEALTH_SUSPECT},
        {MOOT_SWIM_SUSPECT, true, true, 0, MOOT_HEALTH_ALIVE},
        {MOOT_SWIM_SUSPECT, false, true, 0, MOOT_HEALTH_SUSPECT},
        {MOOT_SWIM_DEAD, true, true, 0, MOOT_HEALTH_ALIVE},
        {MOOT_SWIM_DEAD, true, true, 31999, MOOT_HEALTH_SUSPECT},
        {MOOT_SWIM_DEAD, true, true, 32000, MOOT_HEALTH_FAILED},
        {MOOT_SWIM_DEAD, false, true, 0, MOOT_HEALTH_FAILED},
        {MOOT_SWIM_DEAD, false, false, 0, MOOT_HEALTH_FAILED},
        {MOOT_SWIM_LEFT, true, true, 0, MOOT_HEALTH_LEFT},
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        enum moot_swim_state swim = (enum moot_swim_state)cases[i].swim;
        enum moot_health got = pulse__judge(cases[i].swim == NONE ? NULL : &swim, cases[i].link_up,
                                            cases[i].heard, cases[i].phi_milli);
        if (got != cases[i].wanted) {
            fail_msg("case %zu: %d", i, (int)got);
        }
    }
}

/* Goal: a silence of two seconds alarms, one of two beats does not, and neither a flood of messages
 * before it nor an outage changes that. Method: idle, then 20 s of a message a millisecond. */
static void a_flood_teaches_no_pace(void **state)
{
    (void)state;
    struct pulse pulse;
    uint64_t now = START_NS;
    pulse__init(&pulse, now);
    pulse__link_begins(&pulse, now);
    for (int i = 0; i < 40; i++) {
        pulse__heard(&pulse, now += BEAT_NS);
    }
    for (int i = 0; i < 20000; i++) {
        pulse__heard(&pulse, now += MOOT_MSEC_NS);
    }
    assert_in_range(pulse__phi_milli(&pulse, now + 2 * BEAT_NS), 0, 2000);
    assert_in_range(pulse__phi_milli(&pulse, now + 2 * MOOT_SEC_NS), 8000, 100000);
    pulse__heard(&pulse, now += 30 * MOOT_SEC_NS); /* An outage without the link's end. */
    for (int i = 0; i < 8; i++) {
        pulse__heard(&pulse, now += BEAT_NS);
    }
    assert_in_range(pulse__phi_milli(&pulse, now + 2 * BEAT_NS), 0, 2000);
    assert_in_range(pulse__phi_milli(&pulse, now + 3 * MOOT_SEC_NS), 8000, 100000);
    now += 10 * MOOT_SEC_NS; /* This process stood still. */
    pulse__excuse(&pulse, now, 10 * MOOT_SEC_NS);
    assert_in_range(pulse__phi_milli(&pulse, now), 0, 2000);
}

/* Goal: a round trip is the least of the last eight, so that one hiccup does not show and a slow
 * link does; an echo of nothing that was asked is none. */
static void round_trips_show_links_not_hiccups(void **state)
{
    (void)state;
    struct pulse pulse;
    uint64_t now = START_NS;
    pulse__init(&pulse, now);
    static const struct {
        uint32_t took_us, wanted_us;
    } cases[] = {{100, 100}, {5000000, 100}, {90, 90}, {200, 90}};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        struct moot_beat echo = {MOOT_BEAT_ECHO, now / MOOT_USEC_NS, 0};
        now += cases[i].took_us * MOOT_USEC_NS;
        assert_true(pulse__echo(&pulse, &echo, now));
        assert_int_equal(pulse.round_trip_us, cases[i].wanted_us);
    }
    for (int i = 0; i < PULSE_ROUND_TRIPS; i++) {
        struct moot_beat echo = {MOOT_BEAT_ECHO, now / MOOT_USEC_NS, 0};
        now += 70000 * MOOT_USEC_NS;
        assert_true(pulse__echo(&pulse, &echo, now));
    }
    assert_int_equal(pulse.round_trip_us, 70000);
    struct moot_beat never = {MOOT_BEAT_ECHO, now / MOOT_USEC_NS + 1, 0};
    assert_false(pulse__echo(&pulse, &never, now));
    never.number = 0;
    assert_false(pulse__echo(&pulse, &never, now));
    pulse__link_ended(&pulse);
    assert_int_equal(pulse.round_trip_us, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(link_and_swim_are_one_word),
        cmocka_unit_test(a_flood_teaches_no_pace),
        cmocka_unit_test(round_trips_show_links_not_hiccups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
