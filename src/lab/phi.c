/* phi accrual (Hayashibara and others 2004) and a fixed time-out watch one peer over a link that is
 * calm, then jitters, then the peer dies. */
#include "lab/scene.h"

#include <stdio.h>

#include "moot/detector.h"

enum { GAP_MS = 100, PHASE_BEATS = 400, WATCHERS = 3, STEP_US = 10000 };

struct watcher {
    const char *name;
    struct moot_detector detector;
    uint32_t line, false_alarms;
    bool suspects;
    uint64_t found_us;
};

static struct moot_instant at(uint64_t us) { return (struct moot_instant){us * MOOT_USEC_NS}; }

static void look(struct lab *lab, struct watcher *watcher, bool is_dead)
{
    bool now = moot_detector_suspects(&watcher->detector, at(lab->now_us));
    if (now && !watcher->suspects) {
        lab_say(lab, watcher->line, "suspects the peer%s", is_dead ? "" : ", wrongly");
        if (is_dead) {
            watcher->found_us = lab->now_us;
        } else {
            watcher->false_alarms++;
        }
        lab_role(lab, watcher->line, "suspects", 0);
    } else if (!now && watcher->suspects) {
        lab_role(lab, watcher->line, "trusts", 0);
    }
    watcher->suspects = now;
}

struct watch {
    struct watcher watchers[WATCHERS];
    uint32_t peer;
    uint64_t arrives_us; /* The heartbeat sent last. */
};

static void look_all(struct lab *lab, struct watch *watch, bool is_dead)
{
    for (uint32_t i = 0; i < WATCHERS; i++) {
        look(lab, &watch->watchers[i], is_dead);
    }
}

static void hear_all(struct lab *lab, struct watch *watch)
{
    for (uint32_t i = 0; i < WATCHERS; i++) {
        moot_detector_heard(&watch->watchers[i].detector, at(lab->now_us));
    }
}

static void begin(struct lab *lab, struct watch *watch)
{
    struct moot_detector_options phi = {.kind = MOOT_DETECTOR_NORMAL,
                                        .threshold_milli = 8000,
                                        .gap_first = moot_ms(GAP_MS),
                                        .gap_max = moot_ms(60000),
                                        .deviation_min = moot_ms(10)};
    struct moot_detector_options hasty = {.kind = MOOT_DETECTOR_TIMEOUT,
                                          .threshold_milli = 1000,
                                          .timeout = moot_ms(180),
                                          .gap_first = moot_ms(GAP_MS),
                                          .gap_max = moot_ms(60000)};
    struct moot_detector_options slow = hasty;
    slow.timeout = moot_ms(2000);
    const struct moot_detector_options *options[WATCHERS] = {&hasty, &slow, &phi};
    static const char *const names[WATCHERS] = {"180 ms", "2000 ms", "phi 8"};
    watch->peer = lab_line(lab, MOOT_PICTURE_NODE, "peer");
    for (uint32_t i = 0; i < WATCHERS; i++) {
        struct watcher *watcher = &watch->watchers[i];
        watcher->name = names[i];
        watcher->line = lab_line(lab, MOOT_PICTURE_NODE, names[i]);
        moot_detector_init(&watcher->detector, options[i], at(lab->now_us));
    }
}

/* One heartbeat, and the watchers' looks until the next: each 10 ms, and when it comes. */
static void beat(struct lab *lab, struct watch *watch, uint64_t jitter_us, bool drawn)
{
    uint64_t sent = lab->now_us, until = sent + GAP_MS * 1000;
    uint64_t due = sent + 1000 + lab_below(lab, jitter_us);
    /* A connection keeps order. */
    watch->arrives_us = due > watch->arrives_us ? due : watch->arrives_us + 1;
    if (drawn) {
        lab_message(lab, watch->peer, watch->watchers[2].line, "heartbeat", watch->arrives_us,
                    false, "");
    }
    for (uint64_t step = sent; step < until; step += STEP_US) {
        lab->now_us = step;
        if (watch->arrives_us >= step && watch->arrives_us < step + STEP_US) {
            lab->now_us = watch->arrives_us;
            hear_all(lab, watch);
        }
        look_all(lab, watch, false);
    }
    lab->now_us = until;
    if (watch->arrives_us >= until) { /* Late: it is heard in the next period. */
        look_all(lab, watch, false);
        lab->now_us = watch->arrives_us;
        look_all(lab, watch, false);
        hear_all(lab, watch);
        look_all(lab, watch, false);
        lab->now_us++;
    }
}

void lab_scene_phi(struct lab *lab)
{
    struct watch watch = {0};
    begin(lab, &watch);
    for (uint32_t i = 0; i < 2 * PHASE_BEATS; i++) {
        if (i == PHASE_BEATS) {
            lab_say(lab, MOOT_PICTURE_NOBODY, "the link begins to jitter: 0 to 250 ms");
        }
        beat(lab, &watch, i < PHASE_BEATS ? 10000 : 250000, i % 8 == 0);
    }
    uint64_t died = lab->now_us;
    lab_say(lab, watch.peer, "dies");
    lab_role(lab, watch.peer, "down", 0);
    for (; lab->now_us < died + 20000 * 1000; lab->now_us += STEP_US) {
        look_all(lab, &watch, true);
    }
    for (uint32_t i = 0; i < WATCHERS; i++) {
        const struct watcher *watcher = &watch.watchers[i];
        lab_tell(lab, "  %-8s %3u false alarms, finds the death after %6.0f ms", watcher->name,
                 watcher->false_alarms,
                 watcher->found_us == 0 ? -1.0 : (double)(watcher->found_us - died) / 1000);
    }
    const struct watcher *fast = &watch.watchers[0], *late = &watch.watchers[1],
                         *adaptive = &watch.watchers[2];
    lab_claim(lab, fast->false_alarms > 0, "the short time-out cries wolf when the link jitters");
    lab_claim(lab, adaptive->false_alarms * 10 <= fast->false_alarms,
              "phi learns the jitter: at most a tenth of its false alarms");
    lab_claim(lab,
              adaptive->found_us != 0 && late->found_us != 0 &&
                  adaptive->found_us - died < late->found_us - died,
              "and still finds the death sooner than the long time-out");
    lab_answer(lab, "As soon as it would be surprising: phi is the surprise, by what this link has "
                    "been like. No one time-out is right before and after the link changes.");
}
