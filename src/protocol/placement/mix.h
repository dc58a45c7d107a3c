/* Inside the placement modules: one number out of two or three, every bit of each counting.
 *
 * The finalizer of splitmix64 (Steele, Lea, Flood 2014): a bijection in a few cycles, where a look-
 * up hashes once for each node. Inputs are hashes already, or small numbers; both come out even. */
#ifndef MOOT_PROTOCOL_PLACEMENT_MIX_H
#define MOOT_PROTOCOL_PLACEMENT_MIX_H

#include "moot/placement.h"

static inline uint64_t place__mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
static inline uint64_t place__mix2(uint64_t a, uint64_t b)
{
    return place__mix(a + place__mix(b + UINT64_C(0x9e3779b97f4a7c15)));
}
static inline uint64_t place__mix3(uint64_t a, uint64_t b, uint64_t c)
{
    return place__mix2(place__mix2(a, b), c);
}

/* How long a straw is, or rather how short: -ln(u) in units of 2^-58, where u = hash / 2^64.
 * The member with the least cost/weight wins with probability weight / sum of weights. */
uint64_t place__cost(uint64_t hash);

/* Is a/wa less than b/wb? Weights are not 0. */
static inline bool place__cost_before(uint64_t a, uint64_t wa, uint64_t b, uint64_t wb)
{
    return (__uint128_t)a * wb < (__uint128_t)b * wa;
}

#endif
