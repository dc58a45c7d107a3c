/* Datagrams and beats from the network: what was not sealed is not believed, what was comes back as
 * it was, and a beat that is read is written as the same bytes. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "wire/beat.h"
#include "wire/datagram.h"

static void some_mac(void *context, struct moot_slice key, struct moot_slice message,
                     uint8_t out[MOOT_MAC_BYTES])
{
    (void)context;
    for (uint64_t i = 0; i < MOOT_MAC_BYTES / 8; i++) {
        moot_store_le64(out + 8 * i, moot_hash64(message, moot_hash64(key, i)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t cluster[MOOT_CLUSTER_ID_BYTES] = {1, 2, 3};
    struct moot_admission admission = {MOOT_SLICE_LITERAL("the secret"), {some_mac, NULL}};
    moot_node_id from = 0;
    struct moot_slice bytes = moot_slice_make(data, size), body = {NULL, 0};
    if (moot_datagram_open(&admission, cluster, bytes, &from, &body) == MOOT_DATAGRAM_ACCEPTED) {
        MOOT_ASSERT(from != 0 && body.size + MOOT_DATAGRAM_HEAD_BYTES == size);
    }
    if (size > 0 && size <= MOOT_DATAGRAM_BODY_MAX) {
        uint8_t sealed[MOOT_DATAGRAM_BYTES_MAX];
        size_t whole = moot_datagram_seal(&admission, cluster, 9, bytes, sealed);
        MOOT_ASSERT(moot_datagram_open(&admission, cluster, moot_slice_make(sealed, whole), &from,
                                       &body) == MOOT_DATAGRAM_ACCEPTED);
        MOOT_ASSERT(from == 9 && moot_slice_equal(body, bytes));
        sealed[data[0] % whole] ^= (uint8_t)(data[size - 1] | 1);
        MOOT_ASSERT(moot_datagram_open(&admission, cluster, moot_slice_make(sealed, whole), &from,
                                       &body) != MOOT_DATAGRAM_ACCEPTED);
    }
    struct moot_beat beat;
    if (moot_beat_decode(bytes, &beat)) {
        uint8_t again[MOOT_BEAT_BYTES];
        moot_beat_encode(&beat, again);
        MOOT_ASSERT(moot_beat_is(bytes));
        MOOT_ASSERT(moot_slice_equal(bytes, moot_slice_make(again, sizeof(again))));
    }
    return 0;
}
