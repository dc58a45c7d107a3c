/* Version vectors and dotted version vectors: which values of a key replace which.
 *
 * Intuition: a client that writes says which values it had seen (its *context*), and replaces
 * exactly those. Whatever it had not seen stays beside the new value, as a sibling, until somebody
 * who has seen both writes again. So a store needs two names: a name for each write, and a short
 * form of "all the writes that this client had seen".
 *   - A *dot* (actor, n) names one write: the n-th that this actor coordinated.
 *   - A *version vector* {actor: n} is a set of writes without holes: of each actor, the first n.
 *     (Parker et al., "Detection of Mutual Inconsistency in Distributed Systems", 1983.)
 *
 * Why the vector alone is not enough: give each stored value one vector, as early Dynamo-like
 * stores did. Two clients that have both seen {A: 1} write through A. With one entry a server, the
 * second write gets {A: 3}, which looks newer than the first one's {A: 2}: a write nobody saw is
 * lost. With one entry a client nothing is lost, and the vectors grow for ever. If instead the
 * second write merges the first one's vector into its own, the stored siblings get a vector that
 * says less than it should, and each further write adds a sibling that no context covers: sibling
 * explosion. (Preguica, Baquero, Almeida, Fonte, Goncalves: "Dotted Version Vectors: Logical Clocks
 * for Optimistic Replication", arXiv 1011.5808, 2010, sections 3 and 4; brief announcement PODC
 * 2012.)
 *
 * The repair is to keep the name of the write apart from what it had seen: a *dotted version
 * vector* is (dot, context) (section 5). Then
 *     value a is replaced by value b   if and only if   a's dot is in b's context,
 * one comparison, and one entry a server is enough.
 *
 * Two forms are here:
 *   moot_dotted     the clock of one value, as in the paper of 2010. Good for shipping one value.
 *   moot_siblings   all values of one key under one vector (a *dotted version vector set*: Almeida,
 *                   Baquero, Goncalves, Preguica, Fonte: "Scalable and Accurate Causality Tracking
 *                   for Eventually Consistent Stores", DAIS 2014, section 5). Per actor a counter n
 *                   and the values of its last writes that still stand, newest first: the value at
 *                   place i has the dot (actor, n - i). No dot is stored at all.
 *
 * Laws, checked over random runs: sync is idempotent, commutative and associative; siblings are
 * never more than the writes that are truly concurrent; a value is gone exactly when some write had
 * seen it.
 *
 * The caller's part:
 *   - An actor is one *incarnation* of a replica: a node that lost its data must take a new actor,
 *     or its new dots repeat old ones and its writes vanish in the next sync (Riak's kv679).
 *   - A context belongs to one key: the wire form carries a tag (say, the key's hash), and a
 *     context with another key's tag is refused. So is one that claims writes of the coordinating
 *     actor that it never made.
 *   - Nothing is pruned in silence: a key that was written by more than MOOT_VERSION_MAX actors
 *     answers MOOT_ELIMIT. moot_siblings_retire() forgets an actor that will never write again,
 *     once every replica of the key holds all of its writes and no context out there names it;
 *     before that it makes false conflicts (old values come back as siblings). */
#ifndef MOOT_VERSION_H
#define MOOT_VERSION_H

#include "moot/base.h"
#include "moot/order.h"
#include "moot/status.h"

enum {
    MOOT_VERSION_MAX = 16,  /* Actors of one key. */
    MOOT_SIBLINGS_MAX = 64, /* Values of one key. */
    MOOT_VERSION_BYTES_MAX = 1 + 8 + 1 + MOOT_VERSION_MAX * 20,
    MOOT_DOTTED_BYTES_MAX = 1 + 20 + 1 + MOOT_VERSION_MAX * 20,
    MOOT_SIBLINGS_BYTES_MAX = 1 + 1 + MOOT_VERSION_MAX * 21 + MOOT_SIBLINGS_MAX * 8,
};

typedef uint64_t moot_actor; /* One incarnation of one replica; never 0. */

struct moot_dot {
    moot_actor actor;
    uint64_t counter; /* 1 and up. */
};

/* ---- a set of writes without holes ---- */

/* Plain memory. Invariant: sorted by actor, no repeats, no counter is 0; unused entries are 0. */
struct moot_version {
    struct moot_dot dots[MOOT_VERSION_MAX]; /* read-only */
    uint32_t count;                         /* read-only */
};

void moot_version_init(struct moot_version *version);
uint64_t moot_version_get(const struct moot_version *version, moot_actor actor);
static inline bool moot_version_has(const struct moot_version *version, struct moot_dot dot)
{
    return dot.counter <= moot_version_get(version, dot.actor);
}
/* Adds the dot and everything before it. MOOT_ELIMIT: no room for another actor. */
int moot_version_add(struct moot_version *version, struct moot_dot dot) MOOT_MUST_USE;
/* MOOT_ELIMIT: no room; then `into` is unchanged. */
int moot_version_merge(struct moot_version *into, const struct moot_version *from) MOOT_MUST_USE;
enum moot_order moot_version_compare(const struct moot_version *a, const struct moot_version *b);
/* What was decoded always is. */
bool moot_version_is_valid(const struct moot_version *version);

/* A context on its way to a client and back. `tag` says what it is about. MOOT_ELIMIT: `size` is
 * too small; MOOT_VERSION_BYTES_MAX always suffices. */
int moot_version_encode(const struct moot_version *version, uint64_t tag, uint8_t *out, size_t size,
                        size_t *written) MOOT_MUST_USE;
/* MOOT_EINVALID, MOOT_EVERSION; MOOT_EREFUSED: it is about something else. `out` is then untouched.
 */
int moot_version_decode(struct moot_slice bytes, uint64_t tag,
                        struct moot_version *out) MOOT_MUST_USE;

/* ---- the clock of one value ---- */

struct moot_dotted {
    struct moot_dot dot;         /* The write that made the value. */
    struct moot_version context; /* What its client had seen. */
};
/* BEFORE: b's writer had seen a. EQUAL: one write. CONCURRENT: neither had seen the other. */
enum moot_order moot_dotted_compare(const struct moot_dotted *a, const struct moot_dotted *b);
int moot_dotted_encode(const struct moot_dotted *dotted, uint8_t *out, size_t size,
                       size_t *written) MOOT_MUST_USE;
int moot_dotted_decode(struct moot_slice bytes, struct moot_dotted *out) MOOT_MUST_USE;

/* ---- all values of one key ---- */

struct moot_siblings_actor {
    moot_actor actor;
    uint64_t counter; /* This actor's writes 1..counter are known. */
    uint32_t live;    /* Of these, the last `live` still stand. */
};
/* A value is a number that means something to the caller: a place, a hash, a handle.
 * Plain memory; unused parts are 0, so that equal states have equal bytes in use.
 * Invariant: actors sorted; value_count is the sum of `live`; values lie in the actors' order,
 * newest first. */
struct moot_siblings {
    struct moot_siblings_actor actors[MOOT_VERSION_MAX]; /* read-only */
    uint64_t values[MOOT_SIBLINGS_MAX];                  /* read-only */
    uint32_t actor_count, value_count;                   /* read-only */
};

void moot_siblings_init(struct moot_siblings *siblings);
/* The context to hand to a client that reads: all that is known here. */
void moot_siblings_context(const struct moot_siblings *siblings, struct moot_version *out);
/* `actor` coordinates the write of `value` by a client with `context` (empty: a blind write, which
 * replaces nothing). MOOT_EREFUSED: the context claims writes of `actor` that it has not made: it
 * is about another key, or this replica has lost data and must take a new actor. MOOT_ELIMIT: no
 * room. Then nothing changed. */
int moot_siblings_write(struct moot_siblings *siblings, const struct moot_version *context,
                        moot_actor actor, uint64_t value, struct moot_dot *dot) MOOT_MUST_USE;
/* Deletes what the client had seen, and nothing else. The counters stay: they are the tombstone.
 * MOOT_ELIMIT: no room for the actors of the context. */
int moot_siblings_remove(struct moot_siblings *siblings,
                         const struct moot_version *context) MOOT_MUST_USE;
/* Everything known there is known here: read repair, hand-off, anti-entropy. MOOT_ELIMIT: no room;
 * `into` is unchanged. */
int moot_siblings_sync(struct moot_siblings *into, const struct moot_siblings *from) MOOT_MUST_USE;
/* Forgets an actor: see above for when that is safe. Its values must be gone; false: they are not,
 * or it is not known. */
bool moot_siblings_retire(struct moot_siblings *siblings, moot_actor actor);
/* The dot of the value at `place` of values. */
struct moot_dot moot_siblings_dot(const struct moot_siblings *siblings, uint32_t place);
bool moot_siblings_equal(const struct moot_siblings *a, const struct moot_siblings *b);
bool moot_siblings_is_valid(const struct moot_siblings *siblings);
int moot_siblings_encode(const struct moot_siblings *siblings, uint8_t *out, size_t size,
                         size_t *written) MOOT_MUST_USE;
int moot_siblings_decode(struct moot_slice bytes, struct moot_siblings *out) MOOT_MUST_USE;

#endif
