/* A hybrid clock meets a wall clock that jumps, and one that is an hour ahead. */
#include <stdio.h>

#include "moot/hlc.h"

static void show(const char *what, uint64_t wall_ms, moot_hlc_stamp stamp)
{
    printf("  wall %6llu ms   stamp %6llu ms + %2u   %s\n", (unsigned long long)wall_ms,
           (unsigned long long)moot_hlc_ms(stamp), (unsigned)(stamp & 0xffff), what);
}

int main(void)
{
    struct moot_hlc clock;
    moot_hlc_init(&clock, 500, 0);
    moot_hlc_stamp last = moot_hlc_next(&clock, 10000);
    show("an event", 10000, last);
    static const struct {
        uint64_t wall_ms;
        const char *what;
    } events[] = {
        {10000, "another in the same millisecond"},
        {10007, "time goes on"},
        {4000, "the wall clock was set back by six seconds"},
        {4001, "and the stamps count on"},
        {10020, "until it has caught up"},
    };
    bool rose = true;
    for (size_t i = 0; i < MOOT_ARRAY_LEN(events); i++) {
        moot_hlc_stamp next = moot_hlc_next(&clock, events[i].wall_ms);
        rose = rose && next > last;
        last = next;
        show(events[i].what, events[i].wall_ms, next);
    }
    bool near = moot_hlc_observe(&clock, 10030, moot_hlc_pack(10300, 4)) == 0;
    moot_hlc_stamp after = moot_hlc_next(&clock, 10031);
    show("after a message from a clock 270 ms ahead", 10031, after);
    bool far = moot_hlc_observe(&clock, 10032, moot_hlc_pack(10032 + 3600000, 0)) == MOOT_EREFUSED;
    show("a message from an hour ahead was refused", 10032, moot_hlc_next(&clock, 10032));
    printf("Refused so far: %llu, the worst %llu s ahead.\n", (unsigned long long)clock.refused,
           (unsigned long long)(clock.refused_ahead_ms / 1000));

    /* A crash: the promise on disk keeps the next life above this one. */
    struct moot_hlc_ceiling ceiling;
    moot_hlc_stamp promise = 0;
    moot_hlc_ceiling_init(&ceiling, 0, 1000);
    bool asked = moot_hlc_ceiling_wants(&ceiling, &clock, 10040, &promise);
    moot_hlc_ceiling_durable(&ceiling, promise);
    moot_hlc_stamp given = 0;
    bool fine = moot_hlc_next_below(&clock, &ceiling, 10040, &given) == 0;
    moot_hlc_init(&clock, 500, promise);
    moot_hlc_stamp reborn = moot_hlc_next(&clock, 5000);
    show("after a crash, with the wall clock back again", 5000, reborn);
    return rose && near && far && asked && fine && reborn > given ? 0 : 1;
}
