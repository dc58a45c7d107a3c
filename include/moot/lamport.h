/* Lamport's clock: one number that never contradicts cause and effect.
 *
 * Intuition: nobody needs to know what time it is, only what could have caused what. Count your own
 * events; put the count on every message; on receipt, jump past what the message says. Then a cause
 * always has a smaller number than its effect. (Lamport: "Time, Clocks, and the Ordering of Events
 * in a Distributed System", CACM 21(7), 1978: the clock condition and rules IR1 and IR2.)
 *
 *     a happened before b   implies   time(a) < time(b)
 *
 * The arrow goes one way only. Two events that know nothing of each other get numbers too, and the
 * smaller one proves nothing: what tells those apart is a vector clock (moot/vector.h).
 *
 * Total order: equal times are ordered by node, the paper's "=>". Any fixed order of the nodes
 * serves; what matters is that everybody agrees without another message. That is enough to build a
 * lock without a server (the paper's own example, and examples/lamport.c), a replicated state
 * machine, a fair queue.
 *
 * What it does not do: nothing here bounds how far the count is from anybody's wall clock (the
 * hybrid clock does, moot/hlc.h), and Lamport's "anomalous behaviour" is real: a telephone call
 * between two users is a message that the clock never saw.
 *
 * A number from outside is not trusted blindly: one that is more than `ahead_max` beyond the local
 * count, or beyond MOOT_LAMPORT_TIME_MAX, is refused and changes nothing; so no peer can use up the
 * numbers of everybody else. After a restart the clock must begin at a floor that is at least the
 * largest time it ever gave out; that number is the caller's to keep. */
#ifndef MOOT_LAMPORT_H
#define MOOT_LAMPORT_H

#include "moot/base.h"
#include "moot/status.h"

/* A message may not push a clock beyond this; half of the numbers are left for local events. */
#define MOOT_LAMPORT_TIME_MAX (UINT64_MAX >> 1)
enum { MOOT_LAMPORT_STAMP_BYTES = 13 };

struct moot_lamport_stamp {
    uint64_t time;
    moot_node_id node;
};
struct moot_lamport {
    uint64_t time;      /* private: of the last event */
    uint64_t ahead_max; /* private */
    moot_node_id node;  /* private */
};

/* `floor`: every stamp that is given exceeds it. `ahead_max`: UINT64_MAX for no such bound. */
void moot_lamport_init(struct moot_lamport *clock, moot_node_id node, uint64_t floor,
                       uint64_t ahead_max);
/* IR1: an event here, or the sending of a message: the stamp goes onto the message. */
struct moot_lamport_stamp moot_lamport_tick(struct moot_lamport *clock);
/* IR2: a message arrived. `out` is the stamp of the receipt, which is an event too; it exceeds the
 * message's. MOOT_EREFUSED: the stamp is too far ahead; nothing changed. */
int moot_lamport_receive(struct moot_lamport *clock, struct moot_lamport_stamp message,
                         struct moot_lamport_stamp *out) MOOT_MUST_USE;
/* The total order: -1, 0 or 1. 0 only for the same stamp: a node never gives one time twice. */
int moot_lamport_compare(struct moot_lamport_stamp a, struct moot_lamport_stamp b);

/* The wire form: version, time, node; always MOOT_LAMPORT_STAMP_BYTES. MOOT_ELIMIT: `size` is too
 * small. */
int moot_lamport_encode(struct moot_lamport_stamp stamp, uint8_t *out, size_t size,
                        size_t *written) MOOT_MUST_USE;
/* MOOT_EINVALID, MOOT_EVERSION; then `out` is untouched. */
int moot_lamport_decode(struct moot_slice bytes, struct moot_lamport_stamp *out) MOOT_MUST_USE;

#endif
