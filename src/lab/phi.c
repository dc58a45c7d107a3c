/* phi accrual (Hayashibara and others 2004) and a fixed time-out watch one peer over a link that is
 * calm, then jitters, then the peer dies. */
#include "lab/scene.h"

#include <stdio.h>

#include "moot/detector.h"

enum { GAP_MS = 100, PHASE_BEATS = 400, WATCHERS = 3 };

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

void lab_scene_phi(struct lab *lab)
{
    uint32_t peer = lab_line(lab, MOOT_PICTURE_NODE, "peer");
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
    struct watcher watchers[WATCHERS] = {
        {.name = "180 ms"}, {.name = "2000 ms"}, {.name = "phi 8"}};
    for (uint32_t i = 0; i < WATCHERS; i++) {
        watchers[i].line = lab_line(lab, MOOT_PICTURE_NODE, watchers[i].name);
        moot_detector_init(&watchers[i].detector, options[i], at(lab->now_us));
    }
    uint64_t jitter_us = 10000, arrives = 0;
    for (uint32_t beat = 0; beat < 2 * PHASE_BEATS; beat++) {
        uint64_t sent = lab->now_us;
        if (beat == PHASE_BEATS) {
            jitter_us = 250000;
            lab_say(lab, MOOT_PICTURE_NOBODY, "the link begins to jitter: 0 to 250 ms");
        }
        uint64_t due = sent + 1000 + lab_below(lab, jitter_us);
        arrives = due > arrives ? due : arrives + 1; /* A connection keeps order. */
        if (beat % 8 == 0) {
            lab_message(lab, peer, watchers[2].line, "heartbeat", arrives, false, "");
        }
        /* The watchers look every 10 ms, and when a heartbeat comes. */
        uint64_t until = sent + GAP_MS * 1000;
        for (uint64_t step = sent; step < until; step += 10000) {
            lab->now_us = step;
            if (arrives >= step && arrives < step + 10000) {
                lab->now_us = arrives;
                for (uint32_t i = 0; i < WATCHERS; i++) {
                    moot_detector_heard(&watchers[i].detector, at(arrives));
                }
            }
            for (uint32_t i = 0; i < WATCHERS; i++) {
                look(lab, &watchers[i], false);
            }
        }
        if (arrives >= until) { /* Late: it is heard in the next period. */
            lab->now_us = until;
            for (uint32_t i = 0; i < WATCHERS; i++) {
                look(lab, &watchers[i], false);
            }
            lab->now_us = arrives;
            for (uint32_t i = 0; i < WATCHERS; i++) {
                look(lab, &watchers[i], false);
                moot_detector_heard(&watchers[i].detector, at(arrives));
                look(lab, &watchers[i], false);
            }
            until = arrives + 1;
        }
        lab->now_us = until;
    }
    uint64_t died = lab->now_us;
    lab_say(lab, peer, "dies");
    lab_role(lab, peer, "down", 0);
    for (; lab->now_us < died + 20000 * 1000; lab->now_us += 10000) {
        for (uint32_t i = 0; i < WATCHERS; i++) {
            look(lab, &watchers[i], true);
        }
    }
    for (uint32_t i = 0; i < WATCHERS; i++) {
        lab_tell(lab, "  %-8s %3u false alarms, finds the death after %6.0f ms", watchers[i].name,
                 watchers[i].false_alarms,
                 watchers[i].found_us == 0 ? -1.0 : (double)(watchers[i].found_us - died) / 1000);
    }
    const struct watcher *fast = &watchers[0], *late = &watchers[1], *adaptive = &watchers[2];
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
