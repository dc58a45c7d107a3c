/* Hybrid logical clock: timestamps that respect causality and stay close to wall time.
 *
 * Intuition: read the wall clock, but never go back and never fall behind a stamp you have seen;
 * ties are broken by a counter. (Kulkarni, Demirbas, Madappa, Avva, Leone: "Logical Physical
 * Clocks", 2014, section 3 and figure 5.) What one gets:
 *
 *     a happened before b   implies   stamp(a) < stamp(b)             (theorem 1)
 *     the stamp is never behind the wall clock of the node, and ahead of it by no more than the
 *     clocks are apart from each other                                (theorems 2 and 3)
 *
 * so a stamp serves as a version, as a snapshot's name, and, roughly, as a time to show. It does
 * not tell concurrent events apart (moot/vector.h does), and it does not prove that an event with a
 * smaller stamp ended before another began: for that one needs a bound on the error of the clocks
 * (moot/bounded.h).
 *
 * Two forms:
 *   packed   64 bits: 48 of milliseconds since 1970, 16 of counter. A full counter carries into the
 *            milliseconds, so it never wraps. Good until the year 10,889.
 *   wide     nanoseconds, a counter of 32 bits and the node that gave the stamp, which makes every
 *            stamp unique and their order total. The figure's l, c and j.
 * moot_hlc_from_wide() keeps order; wide stamps of less than 16 ns apart may become equal.
 *
 * What can go wrong, and what happens then:
 *   - A clock far in the future. A remote stamp further ahead than the bound is refused and
 *     reported (`refused`, `refused_ahead`), never followed: one broken clock must not pull the
 *     others along. The bound should exceed how far apart healthy clocks are: with 0, or seconds
 *     too few, healthy nodes refuse each other.
 *   - A clock that goes back, by a step or a restart. The stamps go on from the last one by
 *     counting. Across a restart something must remember: either the last stamp in a log, given
 *     back as `floor`, or a *ceiling*: a promise on disk, renewed now and then, that no stamp above
 *     it has been given out. After a restart the clock begins at the ceiling. One small write a
 *     window, and no write per stamp. */
#ifndef MOOT_HLC_H
#define MOOT_HLC_H

#include "moot/base.h"
#include "moot/status.h"

typedef uint64_t moot_hlc_stamp;

enum { MOOT_HLC_STAMP_BYTES = 9, MOOT_HLC_WIDE_BYTES = 17 };
/* Remote stamps beyond this are refused whatever the bound is: 49 days of milliseconds are left for
 * counting. */
#define MOOT_HLC_RECEIVED_MAX (UINT64_MAX - (UINT64_C(1) << 48))

struct moot_hlc {
    moot_hlc_stamp last;       /* read-only: every later one exceeds it */
    uint64_t bound_ms;         /* private */
    uint64_t refused;          /* read-only: how many remote stamps were too far ahead, */
    uint64_t refused_ahead_ms; /* read-only: and by how much the furthest. */
};

static inline uint64_t moot_hlc_ms(moot_hlc_stamp stamp) { return stamp >> 16; }
static inline moot_hlc_stamp moot_hlc_pack(uint64_t ms, uint16_t counter)
{
    return ms << 16 | counter;
}

/* `floor`: a stamp that every later one exceeds (the last in the log; the persisted ceiling). */
void moot_hlc_init(struct moot_hlc *clock, uint64_t bound_ms, moot_hlc_stamp floor);
/* A stamp greater than every one given or seen before. */
moot_hlc_stamp moot_hlc_next(struct moot_hlc *clock, uint64_t wall_ms);
/* Take note of a remote stamp. MOOT_EREFUSED when it is more than bound_ms ahead of wall_ms; then
 * nothing changes but the report. */
int moot_hlc_observe(struct moot_hlc *clock, uint64_t wall_ms, moot_hlc_stamp remote) MOOT_MUST_USE;
/* Raise the floor without the bound: for stamps that are already part of the log. */
void moot_hlc_raise(struct moot_hlc *clock, moot_hlc_stamp floor);

/* ---- the persisted ceiling ---- */

struct moot_hlc_ceiling {
    moot_hlc_stamp durable; /* private: no stamp above it may be given out */
    moot_hlc_stamp asked;   /* private: what the caller has been told to persist */
    uint64_t window_ms;     /* private */
};
/* `durable`: what was on disk (0: nothing); the clock must have been given it as floor. */
void moot_hlc_ceiling_init(struct moot_hlc_ceiling *ceiling, moot_hlc_stamp durable,
                           uint64_t window_ms);
/* True when it is time to persist a new ceiling: less than half a window is left above the clock.
 * Each is asked for once. */
bool moot_hlc_ceiling_wants(struct moot_hlc_ceiling *ceiling, const struct moot_hlc *clock,
                            uint64_t wall_ms, moot_hlc_stamp *persist);
/* It is on disk. */
void moot_hlc_ceiling_durable(struct moot_hlc_ceiling *ceiling, moot_hlc_stamp persisted);
/* As moot_hlc_next, but MOOT_EBUSY, and no change, while that would pass the ceiling on disk. */
int moot_hlc_next_below(struct moot_hlc *clock, const struct moot_hlc_ceiling *ceiling,
                        uint64_t wall_ms, moot_hlc_stamp *out) MOOT_MUST_USE;

/* ---- the wide form ---- */

struct moot_hlc_wide {
    uint64_t wall_ns; /* l: the greatest wall time heard of. */
    uint32_t counter; /* c: events since l last rose. */
    moot_node_id node;
};
struct moot_hlc_wide_clock {
    struct moot_hlc_wide last; /* private */
    uint64_t bound_ns;         /* private */
    uint64_t refused;          /* read-only */
    uint64_t refused_ahead_ns; /* read-only */
};
void moot_hlc_wide_init(struct moot_hlc_wide_clock *clock, moot_node_id node, uint64_t bound_ns,
                        struct moot_hlc_wide floor);
/* Figure 5, "send or local event". */
struct moot_hlc_wide moot_hlc_wide_next(struct moot_hlc_wide_clock *clock, uint64_t wall_ns);
/* Figure 5, "receive event of message m": the stamp of the receipt. MOOT_EREFUSED as above. */
int moot_hlc_wide_receive(struct moot_hlc_wide_clock *clock, uint64_t wall_ns,
                          struct moot_hlc_wide message, struct moot_hlc_wide *out) MOOT_MUST_USE;
/* By time, counter, node: -1, 0 or 1. */
int moot_hlc_wide_compare(struct moot_hlc_wide a, struct moot_hlc_wide b);
/* The packed stamp of the same time; the counter tells parts of the millisecond. */
moot_hlc_stamp moot_hlc_from_wide(struct moot_hlc_wide wide);

/* ---- wire forms ---- */

/* MOOT_ELIMIT: `size` is too small. */
int moot_hlc_encode(moot_hlc_stamp stamp, uint8_t *out, size_t size, size_t *written) MOOT_MUST_USE;
/* MOOT_EINVALID, MOOT_EVERSION; then `out` is untouched. */
int moot_hlc_decode(struct moot_slice bytes, moot_hlc_stamp *out) MOOT_MUST_USE;
int moot_hlc_wide_encode(struct moot_hlc_wide stamp, uint8_t *out, size_t size,
                         size_t *written) MOOT_MUST_USE;
int moot_hlc_wide_decode(struct moot_slice bytes, struct moot_hlc_wide *out) MOOT_MUST_USE;

#endif
