/* Is the peer gone, or only quiet? A number, and behind it one of three detectors.
 *
 * Intuition: you hear someone walking in the next room. A silence is alarming only against that
 * person's own pace. A *fixed time-out* asks whether the silence is longer than a number that
 * somebody chose; a *phi accrual* detector learns the pace from the last gaps and says how unlikely
 * an innocent silence of this length is:
 *
 *     phi(t) = -log10 P(a gap is longer than t)
 *
 * so at phi = 1 one silence in ten would be innocent, at 3 one in a thousand. The detector does not
 * decide: each user sets its own threshold on one number, a low one where a mistake is cheap (try
 * another replica), a high one where it is dear (move data). (Hayashibara, Defago, Yared, Katayama:
 * "The phi Accrual Failure Detector", SRDS 2004, sections 4 and 5; the fixed time-out is the
 * detector of Chandra and Toueg, JACM 1996.)
 *
 * No detector is right in a network without bounds: fast and never wrong cannot both be had. What
 * phi gives is a choice on that curve which holds while the network changes (tests/paper/phi_test.c
 * shows both curves).
 *
 * Kinds, all of them behind the same functions:
 *   TIMEOUT      level = silence / timeout. Suspected at 1.
 *   NORMAL       the paper's: gaps are taken to be normal with the window's mean and deviation.
 *                Sharp for a steady sender; `deviation_min` keeps it from being sharper than a
 *                scheduler's hiccup, `slack` adds a pause that is always innocent.
 *   EXPONENTIAL  gaps as if by chance (Cassandra's choice): phi = silence / mean * log10(e).
 * Blunter, slower, and calm with bursts. Levels are thousandths, so 1000 is phi = 1. Tables and
 * integers, no libm: the same on every machine.
 *
 * Cold start: until MOOT_DETECTOR_GAPS_FIRST gaps are there, the missing ones count as `gap_first`,
 * give or take a quarter of it. A gap longer than `gap_max` counts as gap_max: one outage must not
 * blind a whole window.
 *
 * A paused observer (stopped, swapped out, suspended) hears nothing from anybody, and must not
 * conclude that all its peers died at once. Tick a moot_observer each turn of the loop, before the
 * heartbeats of that turn are looked at; when it says that time was lost, excuse every detector.
 * The heartbeats that then arrive all at once say nothing about the pace, and are not learned from.
 *
 * What it does not do: agree. Each node has its own opinion; it may steer routing, but no ownership
 * and no vote may depend on it. Instants come from a monotonic clock. */
#ifndef MOOT_DETECTOR_H
#define MOOT_DETECTOR_H

#include "moot/base.h"
#include "moot/status.h"

enum {
    MOOT_DETECTOR_WINDOW = 128,
    MOOT_DETECTOR_GAPS_FIRST = 8,
    MOOT_DETECTOR_MILLI_MAX = 100000, /* phi = 100; levels stop there. */
    MOOT_DETECTOR_BYTES_MAX = 1 + 2 + MOOT_DETECTOR_WINDOW * 5,
    MOOT_HEARTBEAT_BYTES = 1 + 4 + 8 + 8,
};

enum moot_detector_kind {
    MOOT_DETECTOR_TIMEOUT,
    MOOT_DETECTOR_NORMAL,
    MOOT_DETECTOR_EXPONENTIAL,
};

struct moot_detector_options {
    enum moot_detector_kind kind;
    uint32_t threshold_milli;           /* Suspected from here on; 1 .. MILLI_MAX. TIMEOUT: 1000. */
    struct moot_duration timeout;       /* TIMEOUT only. */
    struct moot_duration gap_first;     /* The pace assumed at first. */
    struct moot_duration gap_max;       /* A longer gap counts as this one; at most two minutes. */
    struct moot_duration deviation_min; /* NORMAL only; not 0. */
    struct moot_duration slack;         /* NORMAL only: added to the mean. */
};
bool moot_detector_options_are_valid(const struct moot_detector_options *options);

/* One peer. Plain memory. Invariant: mean_us and deviation_us are those of the window. */
struct moot_detector {
    struct moot_detector_options options;   /* private */
    struct moot_instant heard_last;         /* private: or when listening began */
    uint32_t gaps_us[MOOT_DETECTOR_WINDOW]; /* private: a ring */
    uint32_t count, next;                   /* private */
    uint64_t mean_us, deviation_us;         /* read-only */
    bool heard;                             /* private: any heartbeat at all */
    bool catching_up;                       /* private: after an excuse */
};

/* Listens from `now`. The options must be valid, and are copied. */
void moot_detector_init(struct moot_detector *detector, const struct moot_detector_options *options,
                        struct moot_instant now);
/* A heartbeat, or anything else that proves that the peer was alive just now. Instants never go
 * back. */
void moot_detector_heard(struct moot_detector *detector, struct moot_instant now);
/* How alarming the silence is; saturates at MOOT_DETECTOR_MILLI_MAX. Never falls while silent. */
uint32_t moot_detector_milli(const struct moot_detector *detector, struct moot_instant now);
static inline bool moot_detector_suspects(const struct moot_detector *detector,
                                          struct moot_instant now)
{
    return moot_detector_milli(detector, now) >= detector->options.threshold_milli;
}
/* The first instant at which the level reaches `milli` if nothing more is heard; MOOT_NEVER when it
 * never does. Set a timer to it. */
struct moot_instant moot_detector_deadline(const struct moot_detector *detector, uint32_t milli);
/* The observer itself was away for `lost`, until `now`: that time is no silence. */
void moot_detector_excuse(struct moot_detector *detector, struct moot_instant now,
                          struct moot_duration lost);

/* Watches the one who watches. */
struct moot_observer {
    struct moot_instant last;       /* private */
    struct moot_duration pause_min; /* private */
};
/* `pause_min`: two turns further apart than this are a pause; well above the loop's longest sleep.
 */
void moot_observer_init(struct moot_observer *observer, struct moot_duration pause_min,
                        struct moot_instant now);
/* How long the observer was away: 0, or the time since its last turn. */
struct moot_duration moot_observer_tick(struct moot_observer *observer, struct moot_instant now);

/* What was learned (the gaps, not the instants: those mean nothing in another process). A restarted
 * observer begins with the pace it knew. MOOT_ELIMIT: `size` is too small. */
int moot_detector_encode(const struct moot_detector *detector, uint8_t *out, size_t size,
                         size_t *written) MOOT_MUST_USE;
/* Into a detector that has been initialised; silence and options stay. MOOT_EINVALID,
 * MOOT_EVERSION: nothing changed. */
int moot_detector_restore(struct moot_detector *detector, struct moot_slice bytes) MOOT_MUST_USE;

/* The message. A copy of an old one must not make a dead node live: only a heartbeat that is news
 * is heard. */
struct moot_heartbeat {
    moot_node_id node;
    uint64_t incarnation; /* Of the node: greater for each life. */
    uint64_t number;      /* Greater for each heartbeat of this life. */
};
/* Is `beat` newer than `last` (all zeros: none yet), and of the same node? */
bool moot_heartbeat_is_news(const struct moot_heartbeat *last, const struct moot_heartbeat *beat);
int moot_heartbeat_encode(const struct moot_heartbeat *beat, uint8_t *out, size_t size,
                          size_t *written) MOOT_MUST_USE;
int moot_heartbeat_decode(struct moot_slice bytes, struct moot_heartbeat *out) MOOT_MUST_USE;

#endif
