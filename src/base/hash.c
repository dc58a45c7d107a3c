#include "base/hash.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t moot_hash64(struct moot_slice bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}

uint64_t moot_hash_mix(uint64_t chain, uint64_t word)
{
    uint64_t pair[2] = {chain, word};
    return XXH3_64bits(pair, sizeof(pair));
}

/* Half a byte at a time: a table of 32 bytes stays in the cache. */
uint16_t moot_crc16(struct moot_slice bytes)
{
    static const uint16_t table[16] = {
        0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
        0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef,
    };
    uint32_t crc = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        crc = (crc << 4 ^ table[(crc >> 12 ^ bytes.data[i] >> 4) & 15]) & 0xffff;
        crc = (crc << 4 ^ table[(crc >> 12 ^ bytes.data[i]) & 15]) & 0xffff;
    }
    return (uint16_t)crc;
}

uint16_t moot_key_slot(struct moot_slice key)
{
    const uint8_t *open = key.size == 0 ? NULL : memchr(key.data, '{', key.size);
    if (open != NULL) {
        const uint8_t *tag = open + 1;
        size_t left = key.size - (size_t)(tag - key.data);
        const uint8_t *close = left == 0 ? NULL : memchr(tag, '}', left);
        if (close != NULL && close > tag) {
            return moot_crc16((struct moot_slice){tag, (size_t)(close - tag)}) % MOOT_SLOTS;
        }
    }
    return moot_crc16(key) % MOOT_SLOTS;
}
