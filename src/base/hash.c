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

uint16_t moot_crc16(struct moot_slice bytes)
{
    uint16_t crc = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        crc = (uint16_t)(crc ^ (uint16_t)(bytes.data[i] << 8));
        for (int bit = 0; bit < 8; bit++) {
            crc = (uint16_t)((crc & 0x8000) != 0 ? crc << 1 ^ 0x1021 : crc << 1);
        }
    }
    return crc;
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
