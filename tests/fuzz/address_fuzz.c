/* Addresses and first members, as typed: what is accepted is within its bounds, and what was put
 * together from the parts is accepted as the same. */
#include "base/assert.h"
#include "base/limits.h"
#include "database/node.h"
#include "wire/address.h"

static void address(struct moot_slice text)
{
    struct moot_slice host, again_host;
    uint16_t port, again_port;
    if (!moot_address_split(text, &host, &port)) {
        return;
    }
    MOOT_ASSERT(port > 0 && host.size > 0 && text.size < MOOT_ADDRESS_MAX);
    struct moot_buffer out;
    char digits[24];
    bool six = memchr(host.data, ':', host.size) != NULL;
    moot_buffer_init(&out);
    moot_buffer_append_text(&out, six ? "[" : "");
    moot_buffer_append_slice(&out, host);
    moot_buffer_append_text(&out, six ? "]:" : ":");
    moot_buffer_append(&out, digits, moot_text_u64(digits, port));
    MOOT_ASSERT(moot_address_split(moot_buffer_slice(&out), &again_host, &again_port));
    MOOT_ASSERT(moot_slice_equal(host, again_host) && port == again_port);
    moot_buffer_deinit(&out);
}

static void first_members(struct moot_slice text)
{
    struct moot_identity identity = {0}, again;
    if (!moot_identity_parse_initial(text, &identity)) {
        return;
    }
    /* Whatever a command line may say, a node can write down and read again. */
    identity.node = identity.initial[0].node;
    identity.self = identity.initial[0];
    struct moot_buffer bytes;
    moot_buffer_init(&bytes);
    moot_identity_encode(&identity, &bytes);
    MOOT_ASSERT(moot_identity_decode(moot_buffer_slice(&bytes), &again) == 0);
    MOOT_ASSERT(again.initial_count == identity.initial_count);
    moot_buffer_deinit(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    address(moot_slice_make(data, size));
    first_members(moot_slice_make(data, size));
    return 0;
}
