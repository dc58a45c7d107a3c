/* TrueTime and commit-wait (Corbett and others, "Spanner", OSDI 2012, sections 3 and 4.1.2): two
 * transactions, one after the other, on machines whose clocks are off by less than they admit. */
#include "lab/scene.h"

#include <stdio.h>

#include "base/assert.h"
#include "moot/bounded.h"

enum { ERROR_MS = 7, BEGIN_S = 1000, ROUNDS = 200 };

static uint64_t read_wall(const struct lab *lab, int64_t offset_us)
{
    return (uint64_t)((int64_t)(BEGIN_S * MOOT_SEC_NS + lab->now_us * MOOT_USEC_NS) +
                      offset_us * (int64_t)MOOT_USEC_NS);
}

static void clock_at(const struct lab *lab, struct moot_bounded *clock, int64_t offset_us)
{
    struct moot_bounded_options options = {.age_max = {60 * MOOT_SEC_NS},
                                           .error_max_ns = MOOT_SEC_NS};
    moot_bounded_init(clock, &options, 0);
    struct moot_bounded_reading reading = {.wall_ns = read_wall(lab, offset_us),
                                           .error_ns = ERROR_MS * MOOT_MSEC_NS,
                                           .synchronised = true};
    enum moot_bounded_state state = moot_bounded_feed(
        clock, (struct moot_instant){MOOT_SEC_NS + lab->now_us * MOOT_USEC_NS}, &reading);
    MOOT_ASSERT(state == MOOT_BOUNDED_GOOD);
}

static struct moot_instant instant(const struct lab *lab)
{
    return (struct moot_instant){MOOT_SEC_NS + lab->now_us * MOOT_USEC_NS};
}

struct pair {
    uint64_t first, second, waited_us;
};

/* T1 commits on A and is shown; then, and only then, T2 begins on B and commits. */
static struct pair run(struct lab *lab, const uint32_t lines[3], int64_t a_us, int64_t b_us,
                       bool waits, bool drawn)
{
    struct moot_bounded a, b;
    struct pair pair = {0};
    uint64_t began = lab->now_us;
    clock_at(lab, &a, a_us);
    clock_at(lab, &b, b_us);
    int status = moot_bounded_commit(&a, instant(lab), &pair.first);
    MOOT_ASSERT(status == 0);
    if (waits) {
        struct moot_instant until = moot_bounded_wait(&a, instant(lab), pair.first);
        pair.waited_us = moot_instant_since(until, instant(lab)).ns / MOOT_USEC_NS + 1;
        lab->now_us += pair.waited_us;
        MOOT_ASSERT(moot_bounded_after(&a, instant(lab), pair.first));
    }
    uint64_t shown = lab->now_us;
    lab->now_us += 100; /* The client hears of T1 and asks for T2. */
    uint64_t asked = lab->now_us;
    status = moot_bounded_commit(&b, instant(lab), &pair.second);
    MOOT_ASSERT(status == 0);
    if (drawn) {
        uint64_t base = BEGIN_S * MOOT_SEC_NS;
        char first[64], second[64];
        snprintf(first, sizeof(first), "stamp %.2f ms", (double)(pair.first - base) / 1e6);
        snprintf(second, sizeof(second), "stamp %.2f ms", (double)(pair.second - base) / 1e6);
        lab->now_us = began;
        lab_say(lab, lines[0], "T1 commits, %s; %s", first,
                waits ? "and waits until that is surely past" : "and is shown at once");
        lab_operation(lab, lines[2], lines[0], shown, false, "T1", first);
        lab->now_us = asked;
        lab_say(lab, lines[1], "T2, which began after T1 was seen, commits, %s%s", second,
                pair.second <= pair.first ? ": before T1!" : "");
        lab_operation(lab, lines[2], lines[1], asked + 100, pair.second <= pair.first, "T2",
                      second);
    }
    return pair;
}

void lab_scene_commit_wait(struct lab *lab)
{
    const uint32_t lines[3] = {lab_line(lab, MOOT_PICTURE_NODE, "A (fast)"),
                               lab_line(lab, MOOT_PICTURE_NODE, "B (slow)"),
                               lab_line(lab, MOOT_PICTURE_CLIENT, "client")};
    int64_t off = ERROR_MS * 1000 - 500;
    lab_say(lab, MOOT_PICTURE_NOBODY, "without waiting");
    struct pair hasty = run(lab, lines, off, -off, false, true);
    lab->now_us += 5000;
    lab_say(lab, MOOT_PICTURE_NOBODY, "with commit-wait");
    struct pair patient = run(lab, lines, off, -off, true, true);
    uint32_t wrong_hasty = 0, wrong_patient = 0;
    uint64_t waited_us = 0;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t a = (int64_t)lab_below(lab, 2 * ERROR_MS * 1000) - ERROR_MS * 1000;
        int64_t b = (int64_t)lab_below(lab, 2 * ERROR_MS * 1000) - ERROR_MS * 1000;
        lab->now_us += 50000;
        struct pair pair = run(lab, lines, a, b, false, false);
        wrong_hasty += pair.second <= pair.first;
        pair = run(lab, lines, a, b, true, false);
        wrong_patient += pair.second <= pair.first;
        waited_us += pair.waited_us;
    }
    lab_claim(lab, hasty.second <= hasty.first && patient.second > patient.first,
              "clocks %d ms apart: without waiting T2 is stamped before T1, with it after",
              (int)(2 * off / 1000));
    lab_claim(lab, wrong_hasty > 0 && wrong_patient == 0,
              "of %d pairs under chance offsets %u come in the wrong order without waiting, none "
              "with it",
              ROUNDS, wrong_hasty);
    lab_answer(lab,
               "When its stamp is surely past everywhere: after waiting out the clock's own "
               "uncertainty, twice the error (here %.1f ms on average).",
               (double)waited_us / ROUNDS / 1000);
}
