/* A seeded generator (xoshiro256**, seeded by splitmix64; Blackman and Vigna 2018). Every random
 * choice below the host comes from one of these. */
#ifndef MOOT_BASE_RNG_H
#define MOOT_BASE_RNG_H

#include "moot/base.h"

struct moot_rng {
    uint64_t state[4]; /* private */
};

void moot_rng_init(struct moot_rng *rng, uint64_t seed);
uint64_t moot_rng_next(struct moot_rng *rng);
/* Uniform in [0, bound); `bound` must not be 0. */
uint64_t moot_rng_below(struct moot_rng *rng, uint64_t bound);
/* Uniform in [low, high], both included. */
uint64_t moot_rng_between(struct moot_rng *rng, uint64_t low, uint64_t high);
/* True with probability numerator/denominator. */
bool moot_rng_chance(struct moot_rng *rng, uint64_t numerator, uint64_t denominator);

#endif
