/* Vector clocks: exactly which event could have caused which.
 *
 * Intuition: a Lamport clock is one counter for everybody, so it forgets whom it heard of. Keep one
 * counter per node instead: "of A I know 5 events, of B 3". A message carries the whole list, and
 * the receiver keeps the greater of each. Then one list is nowhere smaller than another exactly
 * when the other's event is in its past, and two lists that each have something more are the proof
 * that neither event could have caused the other. (Fidge: "Timestamps in Message-Passing Systems
 * That Preserve the Partial Ordering", 1988; Mattern: "Virtual Time and Global States of
 * Distributed Systems", 1989, section 4 and theorem 10.)
 *
 *     a happened before b   if and only if   vector(a) < vector(b)
 *
 * That costs one counter per node that ever wrote, and nothing smaller does (Charron-Bost, 1991).
 * A node that is absent from a list counts as 0.
 *
 * Bounded: a list holds at most MOOT_VECTOR_MAX nodes. The pruning rule is Dynamo's (DeCandia et
 * al., SOSP 2007, section 4.4): when there is no room, the entry that has not grown for the longest
 * time goes (`seen`, in any unit the callers agree on; ties: the lower node); the entry of the node
 * that prunes never goes. Dynamo prunes in silence, and then a shortened list can look *older* than
 * it is: {A 1, B 1} shortened to {A 1} seems to be in the past of {A 1, C 1}, and a write that
 * nobody has seen is thrown away. Here a list remembers that it was shortened (`pruned`, a hash of
 * what went). What it then costs:
 *   - A shortened list is taken to know something that the other one does not. So an order that the
 *     full lists have may be lost (the answer is CONCURRENT where BEFORE or EQUAL was true), but no
 *     order is ever invented. False conflicts, never lost writes: the caller's merge removes them.
 *   - Two lists that were shortened alike (the same entries went, in the same order) compare as if
 *     nothing had gone. Alike is judged by a 64-bit hash, which a peer that lies could forge.
 *   - After merge(into, from) onto a full list, `into` may compare CONCURRENT with `from`.
 *
 * Use: one clock per process, or one vector per message. For versions of a stored value, where
 * clients and not nodes make the updates, use moot/version.h: there a vector clock per server makes
 * false conflicts or loses writes by itself. */
#ifndef MOOT_VECTOR_H
#define MOOT_VECTOR_H

#include "moot/base.h"
#include "moot/order.h"
#include "moot/status.h"

enum {
    MOOT_VECTOR_MAX = 32,
    /* version, hash, count, and at most 5 + 10 + 5 bytes an entry. */
    MOOT_VECTOR_BYTES_MAX = 1 + 8 + 1 + MOOT_VECTOR_MAX * 20,
};

struct moot_vector_entry {
    uint64_t counter; /* Never 0. */
    moot_node_id node;
    uint32_t seen; /* When the counter last grew, as far as this list knows. Not compared. */
};
/* Plain memory: may be copied, and two equal lists have equal used entries.
 * Invariant: entries are sorted by node, without repeats. */
struct moot_vector {
    struct moot_vector_entry entries[MOOT_VECTOR_MAX]; /* read-only */
    uint32_t count;                                    /* read-only */
    uint64_t pruned;                                   /* read-only; 0: nothing was ever dropped */
};

void moot_vector_init(struct moot_vector *vector);
/* How many of the node's events this vector knows. */
uint64_t moot_vector_get(const struct moot_vector *vector, moot_node_id node);
/* An event at `node`: its counter grows by one. Returns how many entries were dropped for room. */
uint32_t moot_vector_tick(struct moot_vector *vector, moot_node_id node, uint32_t now);
/* Everything that `from` knows, `into` knows too. `self` is the node whose vector `into` is (0: of
 * nobody); its entry is never dropped. Returns how many entries were dropped for room.
 * On receipt of a message: merge, then tick. */
uint32_t moot_vector_merge(struct moot_vector *into, const struct moot_vector *from,
                           moot_node_id self);
/* How `a` stands to `b`. */
enum moot_order moot_vector_compare(const struct moot_vector *a, const struct moot_vector *b);
/* Sorted, no repeats, no zeros. What was decoded always is. */
bool moot_vector_is_valid(const struct moot_vector *vector);

/* MOOT_ELIMIT: `size` is too small; MOOT_VECTOR_BYTES_MAX always suffices. */
int moot_vector_encode(const struct moot_vector *vector, uint8_t *out, size_t size,
                       size_t *written) MOOT_MUST_USE;
/* MOOT_EINVALID, MOOT_EVERSION; then `out` is untouched. */
int moot_vector_decode(struct moot_slice bytes, struct moot_vector *out) MOOT_MUST_USE;

#endif
