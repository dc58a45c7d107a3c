/* Hashes; they are public, in moot/hash.h. XXH3 for checksums, chains and digests; CRC16 (XMODEM)
 * for Redis' slots. */
#ifndef MOOT_BASE_HASH_H
#define MOOT_BASE_HASH_H

#include "moot/hash.h"

#endif
