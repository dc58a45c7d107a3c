/* One run, two clocks: Lamport 1978, and Fidge and Mattern 1988. The truth is known:
 * happened-before is computed from the run itself. */
#include "lab/scene.h"

#include <stdio.h>

#include "base/assert.h"
#include "moot/lamport.h"
#include "moot/vector.h"

enum { PROCESSES = 3, EVENTS = 14 };

struct event {
    uint32_t process;
    struct moot_lamport_stamp lamport;
    struct moot_vector vector;
    uint32_t past; /* Bit i: event i happened before. */
};

struct run {
    struct event events[EVENTS];
    uint32_t count;
    struct moot_lamport lamport[PROCESSES];
    struct moot_vector vector[PROCESSES];
    uint32_t last[PROCESSES]; /* The last event + 1 of each. */
    uint32_t lines[PROCESSES];
};

/* An event at `process`; `cause` + 1 is the sending it receives, or 0. */
static void happen(struct lab *lab, struct run *run, uint32_t process, uint32_t cause)
{
    struct event *event = &run->events[run->count];
    event->process = process;
    event->past = 0;
    const uint32_t causes[2] = {run->last[process], cause};
    for (int i = 0; i < 2; i++) {
        if (causes[i] != 0) {
            event->past |= run->events[causes[i] - 1].past | 1u << (causes[i] - 1);
        }
    }
    if (cause != 0) {
        const struct event *sent = &run->events[cause - 1];
        int status = moot_lamport_receive(&run->lamport[process], sent->lamport, &event->lamport);
        MOOT_ASSERT(status == 0);
        (void)moot_vector_merge(&run->vector[process], &sent->vector, process + 1);
    } else {
        event->lamport = moot_lamport_tick(&run->lamport[process]);
    }
    (void)moot_vector_tick(&run->vector[process], process + 1, run->count);
    event->vector = run->vector[process];
    run->last[process] = ++run->count;
    lab_say(lab, run->lines[process], "event %c%s: Lamport %llu, vector [%llu %llu %llu]",
            (char)('a' + run->count - 1), cause != 0 ? " (a message came)" : "",
            (unsigned long long)event->lamport.time,
            (unsigned long long)moot_vector_get(&event->vector, 1),
            (unsigned long long)moot_vector_get(&event->vector, 2),
            (unsigned long long)moot_vector_get(&event->vector, 3));
    lab_state(lab, run->lines[process], "lamport", "%llu", (unsigned long long)event->lamport.time);
}

static void make_run(struct lab *lab, struct run *run)
{
    for (uint32_t i = 0; i < PROCESSES; i++) {
        char name[2] = {(char)('P' + i), '\0'};
        run->lines[i] = lab_line(lab, MOOT_PICTURE_NODE, name);
        moot_lamport_init(&run->lamport[i], i + 1, 0, UINT64_MAX);
        moot_vector_init(&run->vector[i]);
    }
    happen(lab, run, 0, 0); /* The first two are concurrent in every run. */
    lab->now_us += 1000;
    happen(lab, run, 1, 0);
    while (run->count + 1 < EVENTS) {
        lab->now_us += 1000;
        uint32_t from = (uint32_t)lab_below(lab, PROCESSES);
        uint32_t to = (from + 1 + (uint32_t)lab_below(lab, PROCESSES - 1)) % PROCESSES;
        happen(lab, run, from, 0);
        uint32_t sent = run->count;
        if (lab_below(lab, 3) > 0 && run->count < EVENTS) {
            lab_message(lab, run->lines[from], run->lines[to], "message", lab->now_us + 800, false,
                        "carries both stamps");
            lab->now_us += 800;
            happen(lab, run, to, sent);
        }
    }
}

void lab_scene_clocks(struct lab *lab)
{
    static struct run zero;
    struct run run = zero;
    make_run(lab, &run);
    uint32_t ordered = 0, concurrent = 0, vector_wrong = 0, lamport_wrong = 0, lamport_silent = 0;
    for (uint32_t i = 0; i < run.count; i++) {
        for (uint32_t j = i + 1; j < run.count; j++) {
            const struct event *a = &run.events[i], *b = &run.events[j];
            bool before = (b->past >> i & 1) != 0;
            enum moot_order by_vector = moot_vector_compare(&a->vector, &b->vector);
            int by_lamport =
                a->lamport.time < b->lamport.time ? -1 : a->lamport.time > b->lamport.time;
            ordered += before;
            concurrent += !before;
            vector_wrong += by_vector != (before ? MOOT_ORDER_BEFORE : MOOT_ORDER_CONCURRENT);
            lamport_wrong += before && by_lamport >= 0;
            lamport_silent += !before && by_lamport == 0;
        }
    }
    lab_tell(lab, "\n%u pairs of events: %u ordered by cause, %u concurrent", ordered + concurrent,
             ordered, concurrent);
    lab_claim(lab, vector_wrong == 0, "the vector clock tells every pair rightly");
    lab_claim(lab, lamport_wrong == 0, "a cause always has the smaller Lamport time");
    lab_claim(lab, concurrent > lamport_silent,
              "but %u of %u concurrent pairs have different Lamport times, and look ordered",
              concurrent - lamport_silent, concurrent);
    lab_answer(lab, "Vector clocks tell before, after and concurrent. Lamport clocks agree with "
                    "causes, and cannot say that there was none.");
}
