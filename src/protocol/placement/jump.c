#include "moot/jump.h"

#include "base/assert.h"

/* A double that is known to be positive: mantissa * 2^exponent, 53 bits of mantissa. */
struct real {
    uint64_t mantissa;
    int exponent;
};

/* To 53 bits, nearest, ties to even: what IEEE 754 prescribes for every basic operation. `sticky`:
 * the value is a little more than `bits` says. */
static struct real rounded(__uint128_t bits, int exponent, bool sticky)
{
    MOOT_ASSERT(bits > 0);
    uint64_t high = (uint64_t)(bits >> 64);
    int width = high > 0 ? 128 - __builtin_clzll(high) : 64 - __builtin_clzll((uint64_t)bits);
    int excess = width - 53;
    if (excess <= 0) {
        MOOT_ASSERT(!sticky); /* Nothing was cut off, so nothing is owed. */
        return (struct real){(uint64_t)bits, exponent};
    }
    uint64_t mantissa = (uint64_t)(bits >> excess);
    __uint128_t rest = bits & (((__uint128_t)1 << excess) - 1);
    __uint128_t half = (__uint128_t)1 << (excess - 1);
    if (rest > half || (rest == half && (sticky || (mantissa & 1) != 0))) {
        mantissa += 1; /* May become 2^53: still exact. */
    }
    return (struct real){mantissa, exponent + excess};
}

/* double(2^31) / double(d), for d in 1 to 2^31. */
static struct real divide_2_31(uint64_t d)
{
    MOOT_ASSERT(d >= 1 && d <= UINT64_C(1) << 31);
    enum { SHIFT = 63 }; /* 2^31 * 2^63 / d has at least 64 bits, more than 53 and a half. */
    uint64_t top = (UINT64_C(1) << 63) / d;
    uint64_t rest = (UINT64_C(1) << 63) % d; /* Long division of 2^94: two digits. */
    __uint128_t quotient = (__uint128_t)top << 31 | (rest << 31) / d;
    bool sticky = (rest << 31) % d != 0;
    return rounded(quotient, -SHIFT, sticky);
}

uint32_t moot_jump_bucket(uint64_t key, uint32_t buckets)
{
    MOOT_ASSERT(buckets >= 1);
    MOOT_ASSERT(buckets <= MOOT_JUMP_BUCKETS_MAX);
    uint64_t bucket = 0;
    uint64_t next = 0;
    while (next < buckets) {
        bucket = next;
        key = key * UINT64_C(2862933555777941757) + 1;
        struct real u = divide_2_31((key >> 33) + 1);
        struct real jump =
            rounded((__uint128_t)u.mantissa * (bucket + 1), u.exponent, false /* exact */);
        /* Truncation; the product is below 2^62, and is at least 1. */
        next = jump.exponent >= 0    ? jump.mantissa << jump.exponent
               : jump.exponent > -64 ? jump.mantissa >> -jump.exponent
                                     : 0;
        MOOT_ASSERT(next > bucket);
    }
    return (uint32_t)bucket;
}
