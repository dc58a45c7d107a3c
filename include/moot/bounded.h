/* A clock that knows how wrong it may be: now() is an interval, not a number.
 *
 * Intuition: no clock shows the true time, but a good one can say "it is between 12:00:00.003 and
 * 12:00:00.009, I promise". Then "surely past" and "surely not yet" are questions with sound
 * answers; and who waits until its own stamp is surely past, before it tells anybody, makes the
 * order of stamps agree with the order in which things really happened. (Corbett et al.: "Spanner:
 * Google's Globally-Distributed Database", OSDI 2012: TrueTime, section 3; commit wait, 4.1.2.)
 *
 *     tt = now()        tt.earliest <= true time <= tt.latest
 *     after(t)          true time has surely passed t         t < tt.earliest
 *     before(t)         true time has surely not reached t    tt.latest < t
 *
 * Commit wait: give the event the stamp s = now().latest; do not let anybody see its effect until
 * after(s). If one event is visible before another begins, its stamp is smaller (Spanner's external
 * consistency): abs(e1) < after(s1) ... <= start of e2 <= s2. The price is about twice the error.
 *
 * Where the error comes from: the host hands in readings of the kernel's clock with the kernel's
 * own estimate of its greatest error (adjtimex(2), maintained by the NTP or PTP daemon). Between
 * readings the interval grows by `drift_ppm` (Spanner assumes 200), which gives the paper's saw
 * teeth. The monotonic clock carries the time from reading to reading, so a reading may be old, and
 * a step of the wall clock shows only in the next one.
 *
 * Refused, with a reason, rather than guessed: no reading yet; the kernel says it is not
 * synchronised; the last reading is too old; the interval is wider than the caller can use; or the
 * promise was *broken*: a reading lies outside the interval that was promised for that instant (a
 * step of the clock by more than its error), or a peer proved that its time is later than our
 * latest. A broken clock stays refused until moot_bounded_init: stamps may already be wrong, and
 * that is for somebody to know and not for a clock to paper over.
 *
 * Monotone: earliest and latest never go back, whatever the readings do; so what was after stays
 * after. This holds for steps within the error, for slewing, and for a smeared leap second (a smear
 * of a second over a day is 12 ppm, far below the drift). A leap second that is *stepped* repeats a
 * second of the scale itself: near one (`leap_near`) the interval is a second wider on both sides.
 *
 * What it does not do: it believes the error it is handed. A daemon that is fed by wrong servers
 * promises wrongly, and only the last check above can show it. Every node must use one time scale:
 * all smear alike, or none does. */
#ifndef MOOT_BOUNDED_H
#define MOOT_BOUNDED_H

#include "moot/base.h"
#include "moot/status.h"

enum { MOOT_BOUNDED_READING_BYTES = 1 + 1 + 8 + 8 + 4, MOOT_BOUNDED_INTERVAL_BYTES = 1 + 8 + 8 };

/* What the host read, all at one instant. */
struct moot_bounded_reading {
    uint64_t wall_ns;   /* Since 1970. */
    uint64_t error_ns;  /* The true time is within this of wall_ns, if synchronised. */
    uint32_t drift_ppm; /* How fast the oscillator may be wrong; the kernel's tolerance. */
    bool synchronised;
    bool leap_near; /* A stepped leap second is announced for the near future, or under way. */
};
struct moot_bounded_interval {
    uint64_t earliest_ns, latest_ns; /* Both included. Since 1970. */
};

struct moot_bounded_options {
    struct moot_duration age_max; /* Of a reading; at most an hour. */
    uint64_t error_max_ns;        /* Wider than this to either side is refused. */
    uint32_t drift_ppm;           /* At least this is assumed; at most 100,000. */
};

enum moot_bounded_state {
    MOOT_BOUNDED_GOOD,
    MOOT_BOUNDED_NO_READING,
    MOOT_BOUNDED_UNSYNCHRONISED,
    MOOT_BOUNDED_OLD,
    MOOT_BOUNDED_WIDE,
    MOOT_BOUNDED_STEPPED,      /* Broken: a reading outside what was promised. */
    MOOT_BOUNDED_CONTRADICTED, /* Broken: a peer's time is outside what was promised. */
};
/* A sentence. */
const char *moot_bounded_text(enum moot_bounded_state state);

struct moot_bounded {
    struct moot_bounded_options options; /* private */
    struct moot_bounded_reading reading; /* private */
    struct moot_instant read_at;         /* private */
    enum moot_bounded_state state;       /* private: without age and width, which time decides */
    struct moot_bounded_interval floor;  /* private: what was promised already */
    uint64_t stamp_ns;                   /* private: the last that commit() gave */
};

/* `floor_ns`: every stamp that is given exceeds it (the last one of the life before; 0: none). */
void moot_bounded_init(struct moot_bounded *clock, const struct moot_bounded_options *options,
                       uint64_t floor_ns);
/* A reading taken at `now`, on the monotonic clock; instants never go back. Returns the state after
 * it: not GOOD means that now() refuses. */
enum moot_bounded_state moot_bounded_feed(struct moot_bounded *clock, struct moot_instant now,
                                          const struct moot_bounded_reading *reading);
/* MOOT_EREFUSED: see moot_bounded_state; then `out` is untouched. */
int moot_bounded_now(struct moot_bounded *clock, struct moot_instant now,
                     struct moot_bounded_interval *out) MOOT_MUST_USE;
/* Why now() would answer as it would. */
enum moot_bounded_state moot_bounded_state(const struct moot_bounded *clock,
                                           struct moot_instant now);
/* Surely past; false also when the clock refuses. */
bool moot_bounded_after(struct moot_bounded *clock, struct moot_instant now, uint64_t wall_ns);
/* Surely not reached; false also when the clock refuses. */
bool moot_bounded_before(struct moot_bounded *clock, struct moot_instant now, uint64_t wall_ns);

/* A stamp for a commit: now().latest, and above every stamp before. MOOT_EREFUSED as now(). */
int moot_bounded_commit(struct moot_bounded *clock, struct moot_instant now,
                        uint64_t *stamp_ns) MOOT_MUST_USE;
/* The instant to wait for before the effect of `stamp_ns` may be seen: then after(stamp_ns) holds
 * if the clock does not refuse. Ask again at that instant; a better reading may make it earlier.
 * MOOT_NEVER while the clock refuses. */
struct moot_instant moot_bounded_wait(struct moot_bounded *clock, struct moot_instant now,
                                      uint64_t stamp_ns);
/* A message carried its sender's interval. Sending came before receipt, so the sender's earliest
 * cannot be later than our latest; if it is, one of the two is broken: MOOT_EREFUSED, and this
 * clock refuses from now on. While it refuses anyway, nothing can be said: 0. */
int moot_bounded_check(struct moot_bounded *clock, struct moot_instant now,
                       struct moot_bounded_interval sent) MOOT_MUST_USE;

/* Wire forms. MOOT_ELIMIT: `size` is too small. */
int moot_bounded_reading_encode(const struct moot_bounded_reading *reading, uint8_t *out,
                                size_t size, size_t *written) MOOT_MUST_USE;
/* MOOT_EINVALID, MOOT_EVERSION; then `out` is untouched. */
int moot_bounded_reading_decode(struct moot_slice bytes,
                                struct moot_bounded_reading *out) MOOT_MUST_USE;
int moot_bounded_interval_encode(struct moot_bounded_interval interval, uint8_t *out, size_t size,
                                 size_t *written) MOOT_MUST_USE;
int moot_bounded_interval_decode(struct moot_slice bytes,
                                 struct moot_bounded_interval *out) MOOT_MUST_USE;

#endif
