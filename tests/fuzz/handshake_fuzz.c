/* Any bytes, whole and torn, to either side: the same end, and never DONE without the secret. A
 * second part changes a good handshake at one byte. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/slice.h"
#include "wire/handshake.h"

static void mac_of_fuzzer(void *context, struct moot_slice key, struct moot_slice message,
                          uint8_t out[MOOT_MAC_BYTES])
{
    (void)context;
    for (uint64_t i = 0; i < MOOT_MAC_BYTES / 8; i++) {
        uint64_t word = moot_hash64(message, moot_hash64(key, i));
        memcpy(out + 8 * i, &word, 8);
    }
}

static void begin(struct moot_handshake *handshake, bool initiator, struct moot_buffer *output)
{
    struct moot_handshake_options options = {
        .initiator = initiator,
        .purpose = MOOT_LINK_PEER,
        .node = initiator ? 1 : 2,
        .address = MOOT_SLICE_LITERAL("127.0.0.1:1"),
        .cluster_id = {7},
        .nonce = {initiator ? 1 : 2},
        .secret = MOOT_SLICE_LITERAL("fuzz"),
        .mac = {mac_of_fuzzer, NULL},
    };
    moot_buffer_init(output);
    moot_handshake_begin(handshake, &options, output);
}

static enum moot_handshake_state feed(struct moot_handshake *handshake, struct moot_slice all,
                                      size_t step, struct moot_buffer *output)
{
    enum moot_handshake_state state = MOOT_HANDSHAKE_MORE;
    for (size_t at = 0; at < all.size && state == MOOT_HANDSHAKE_MORE; at += step) {
        size_t size = all.size - at < step ? all.size - at : step;
        uint8_t *copy = moot_alloc(size);
        memcpy(copy, all.data + at, size);
        struct moot_slice bytes = {copy, size};
        state = moot_handshake_input(handshake, &bytes, output);
        MOOT_ASSERT(state != MOOT_HANDSHAKE_MORE || bytes.size == 0);
        moot_free(copy);
    }
    return state;
}

static void any_bytes(bool initiator, struct moot_slice all, size_t step)
{
    struct moot_handshake whole, torn;
    struct moot_buffer whole_output, torn_output;
    begin(&whole, initiator, &whole_output);
    begin(&torn, initiator, &torn_output);
    enum moot_handshake_state a = feed(&whole, all, all.size, &whole_output);
    enum moot_handshake_state b = feed(&torn, all, step, &torn_output);
    MOOT_ASSERT(a == b);
    MOOT_ASSERT(a != MOOT_HANDSHAKE_DONE);
    MOOT_ASSERT(whole.refusal == torn.refusal);
    MOOT_ASSERT(
        moot_slice_equal(moot_buffer_slice(&whole_output), moot_buffer_slice(&torn_output)));
    moot_buffer_deinit(&whole_output);
    moot_buffer_deinit(&torn_output);
}

/* HELLO and what the acceptor makes of it, with one byte changed on the way there. */
static void changed_hello(size_t at, uint8_t change, size_t step)
{
    struct moot_handshake initiator, acceptor;
    struct moot_buffer from_initiator, from_acceptor;
    begin(&initiator, true, &from_initiator);
    begin(&acceptor, false, &from_acceptor);
    from_initiator.data[at % from_initiator.size] ^= change;
    size_t hello_size = from_initiator.size;
    feed(&acceptor, moot_buffer_slice(&from_initiator), step, &from_acceptor);
    enum moot_handshake_state state =
        feed(&initiator, moot_buffer_slice(&from_acceptor), step, &from_initiator);
    MOOT_ASSERT((state == MOOT_HANDSHAKE_DONE) == (change == 0));
    if (state == MOOT_HANDSHAKE_DONE) {
        struct moot_slice confirm = {from_initiator.data + hello_size,
                                     from_initiator.size - hello_size};
        MOOT_ASSERT(feed(&acceptor, confirm, step, &from_acceptor) == MOOT_HANDSHAKE_DONE);
    }
    moot_buffer_deinit(&from_initiator);
    moot_buffer_deinit(&from_acceptor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4) {
        return 0;
    }
    size_t step = 1 + data[0] % 61;
    any_bytes((data[1] & 1) != 0, moot_slice_make(data + 3, size - 3), step);
    changed_hello(data[1], data[2], step);
    return 0;
}
