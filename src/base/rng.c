#include "base/rng.h"

#include "base/assert.h"

static uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

void moot_rng_init(struct moot_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        rng->state[i] = z ^ (z >> 31);
    }
}

uint64_t moot_rng_next(struct moot_rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t moot_rng_below(struct moot_rng *rng, uint64_t bound)
{
    MOOT_ASSERT(bound > 0);
    /* Lemire's method: a multiplication, and a rejection that is almost never taken. */
    uint64_t x = moot_rng_next(rng);
    __uint128_t m = (__uint128_t)x * bound;
    if ((uint64_t)m < bound) {
        uint64_t threshold = (0 - bound) % bound;
        while ((uint64_t)m < threshold) {
            x = moot_rng_next(rng);
            m = (__uint128_t)x * bound;
        }
    }
    return (uint64_t)(m >> 64);
}

uint64_t moot_rng_between(struct moot_rng *rng, uint64_t low, uint64_t high)
{
    MOOT_ASSERT(low <= high);
    if (low == 0 && high == UINT64_MAX) {
        return moot_rng_next(rng);
    }
    return low + moot_rng_below(rng, high - low + 1);
}

bool moot_rng_chance(struct moot_rng *rng, uint64_t numerator, uint64_t denominator)
{
    return moot_rng_below(rng, denominator) < numerator;
}
