/* Hashes. XXH3 for checksums, chains and digests; CRC16 (XMODEM) for Redis' slots. All are the same
 * on every platform: they reach disks, wires and traces. */
#ifndef MOOT_BASE_HASH_H
#define MOOT_BASE_HASH_H

#include "moot/base.h"

uint64_t moot_hash64(struct moot_slice bytes, uint64_t seed);
/* One word into another, order matters: chains. */
uint64_t moot_hash_mix(uint64_t chain, uint64_t word);

enum { MOOT_SLOTS = 16384 };
uint16_t moot_crc16(struct moot_slice bytes);
/* The slot of a key: CRC16 of the part between the first { and the next }, if that is not empty,
 * else of the whole key; modulo 16,384. Redis cluster specification, "Hash tags". */
uint16_t moot_key_slot(struct moot_slice key);

#endif
