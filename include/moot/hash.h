/* The hashes that reach disks, wires and other programs: the same numbers on every platform.
 *
 * XXH3 spreads keys and sums contents; it is quick, and no secret: whoever may choose keys can
 * choose them to collide. CRC16 (XMODEM: polynomial 0x1021, initial value 0, nothing reflected) is
 * what Redis Cluster cuts the key space with, and it is here only for that. */
#ifndef MOOT_HASH_H
#define MOOT_HASH_H

#include "moot/base.h"

/* XXH3 of the bytes, 64 bits. */
uint64_t moot_hash64(struct moot_slice bytes, uint64_t seed);
/* One word into another, order matters: chains. */
uint64_t moot_hash_mix(uint64_t chain, uint64_t word);

enum { MOOT_SLOTS = 16384 };
uint16_t moot_crc16(struct moot_slice bytes);
/* The slot of a key: CRC16 of the part between the first { and the next }, if that is not empty,
 * else of the whole key; modulo 16,384. Redis cluster specification, "Hash tags". */
uint16_t moot_key_slot(struct moot_slice key);

#endif
