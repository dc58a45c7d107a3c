/* Jump consistent hash, and modulo for comparison: buckets 0 to n-1, no state at all.
 *
 * Intuition: follow one key while buckets are added one by one. When the n-th comes, the key must
 * move to it with probability 1/n, and must not move otherwise; then all shares are equal and only
 * the newcomer gains. Deciding that at every n would take n coin flips. But the coins are pseudo-
 * random, so the *next* bucket at which this key moves can be drawn directly: standing at bucket b,
 * the chance to stay put through bucket j is (b+1)/(j+1), so with a uniform u the next jump lands
 * at floor((b+1)/u). Jump until the target is beyond n; where the key stands is its bucket. About
 * ln(n) jumps, a few nanoseconds, no memory. (Lamping and Veach: "A Fast, Minimal Memory,
 * Consistent Hash Algorithm", 2014, section 3; the code of figure 1.)
 *
 * The buckets are those of the paper's C++ code, bit for bit: its two double-precision roundings
 * are done here in integers, because a libmoot module has no floating point.
 *
 * Not handled: weights (give a node several buckets), replicas, and removing any bucket but the
 * last. Modulo (key mod n) has the same balance in one instruction, and when n becomes n+1 it moves
 * n/(n+1) of all keys: that is the mistake which consistent hashing exists to avoid. */
#ifndef MOOT_JUMP_H
#define MOOT_JUMP_H

#include "moot/placement.h"

enum { MOOT_JUMP_BUCKETS_MAX = INT32_MAX };

/* The bucket of a key; `buckets` in 1 to MOOT_JUMP_BUCKETS_MAX. */
uint32_t moot_jump_bucket(uint64_t key, uint32_t buckets);
/* key mod buckets; `buckets` is not 0. */
static inline uint32_t moot_modulo_bucket(uint64_t key, uint32_t buckets)
{
    return (uint32_t)(key % buckets);
}

#endif
