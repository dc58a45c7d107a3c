#include "host/handshake_mac.h"

#include <openssl/evp.h>

#include "base/assert.h"

static void hmac_sha256(void *context, struct moot_slice key, struct moot_slice message,
                        uint8_t out[MOOT_MAC_BYTES])
{
    (void)context;
    size_t size = 0;
    unsigned char *done = EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key.data, key.size,
                                    message.data, message.size, out, MOOT_MAC_BYTES, &size);
    /* Only a broken installation of OpenSSL fails here; no node may go on without its MAC. */
    MOOT_ASSERT(done != NULL);
    MOOT_ASSERT(size == MOOT_MAC_BYTES);
}

struct moot_mac moot_host_mac(void) { return (struct moot_mac){hmac_sha256, NULL}; }
