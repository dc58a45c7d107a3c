/* Beats: what keeps a link between two nodes from being silent, and measures it.
 *
 * Intuition: "are you there?" -- "yes, to your question number 7". The question comes at a steady
 * pace, so its absence means something (moot/detector.h); question and answer together take one
 * round trip. In its beats each side also says how quick its quickest other link is, so that a node
 * can tell "my link is slow" from "the network is slow".
 *
 * A beat is a message of the link's urgent lane, told from the brain's by its first byte:
 *
 *     mark u8 (0xFF), version u8, kind u8, number u64, others_us u32
 *
 * LEAVE says goodbye before a stop that was asked for: until the next handshake. REMOVED tells the
 * other side why its link is ended: the cluster has removed it.
 *
 * The number is the asker's own clock; an ECHO carries it back, so that nobody remembers it. */
#ifndef MOOT_WIRE_BEAT_H
#define MOOT_WIRE_BEAT_H

#include "base/slice.h"

enum { MOOT_BEAT_MARK = 0xFF, MOOT_BEAT_VERSION = 1, MOOT_BEAT_BYTES = 15 };
enum moot_beat_kind {
    MOOT_BEAT_ASK = 1,
    MOOT_BEAT_ECHO = 2,
    MOOT_BEAT_LEAVE = 3,
    MOOT_BEAT_REMOVED = 4
};

struct moot_beat {
    enum moot_beat_kind kind;
    uint64_t number;    /* Microseconds of the asker's monotonic clock. */
    uint32_t others_us; /* Shortest round trip of the sender with a third node; 0: not known. */
};

/* Is it the link's own? Then it is none of the brain's, well-formed or not. */
static inline bool moot_beat_is(struct moot_slice message)
{
    return message.size > 0 && message.data[0] == MOOT_BEAT_MARK;
}
void moot_beat_encode(const struct moot_beat *beat, uint8_t out[MOOT_BEAT_BYTES]);
/* False: malformed, or of a release that is not known. */
bool moot_beat_decode(struct moot_slice message, struct moot_beat *out);

#endif
