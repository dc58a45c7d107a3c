#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slice.h"
#include "host/handshake_mac.h"

/* Goal: the MAC is HMAC-SHA256. Method: test cases 2 and 6 of RFC 4231. */
static void mac_is_hmac_sha256(void **state)
{
    (void)state;
    static const uint8_t wanted_2[] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e,
                                       0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7,
                                       0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83,
                                       0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
    static const uint8_t wanted_6[] = {0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f,
                                       0x0d, 0x8a, 0x26, 0xaa, 0xcb, 0xf5, 0xb7, 0x7f,
                                       0x8e, 0x0b, 0xc6, 0x21, 0x37, 0x28, 0xc5, 0x14,
                                       0x05, 0x46, 0x04, 0x0f, 0x0e, 0xe3, 0x7f, 0x54};
    uint8_t out[MOOT_MAC_BYTES], long_key[131];
    struct moot_mac mac = moot_host_mac();
    mac.compute(mac.context, MOOT_SLICE_LITERAL("Jefe"),
                MOOT_SLICE_LITERAL("what do ya want for nothing?"), out);
    assert_memory_equal(out, wanted_2, sizeof(out));
    memset(long_key, 0xaa, sizeof(long_key));
    mac.compute(mac.context, moot_slice_make(long_key, sizeof(long_key)),
                MOOT_SLICE_LITERAL("Test Using Larger Than Block-Size Key - Hash Key First"), out);
    assert_memory_equal(out, wanted_6, sizeof(out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(mac_is_hmac_sha256)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
