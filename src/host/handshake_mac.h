/* HMAC-SHA256 (RFC 2104) for handshakes, by OpenSSL. */
#ifndef MOOT_HOST_HANDSHAKE_MAC_H
#define MOOT_HOST_HANDSHAKE_MAC_H

#include "wire/handshake.h"

struct moot_mac moot_host_mac(void);

#endif
