#include "wire/datagram.h"

#include "base/assert.h"
#include "base/codec.h"

enum { PROOF_AT = MOOT_DATAGRAM_HEAD_BYTES - MOOT_DATAGRAM_PROOF_BYTES, LABEL_BYTES = 16 };

/* What is sealed in front of a datagram's bytes, so that no other message's proof serves here. */
static const uint8_t LABEL[LABEL_BYTES] = "moot datagram 1";

static void prove(const struct moot_admission *admission, const uint8_t head[PROOF_AT],
                  struct moot_slice body, uint8_t out[MOOT_MAC_BYTES])
{
    uint8_t message[LABEL_BYTES + PROOF_AT + MOOT_DATAGRAM_BODY_MAX];
    MOOT_ASSERT(admission->mac.compute != NULL);
    MOOT_ASSERT(admission->secret.size > 0);
    MOOT_ASSERT(body.size <= MOOT_DATAGRAM_BODY_MAX);
    memcpy(message, LABEL, LABEL_BYTES);
    memcpy(message + LABEL_BYTES, head, PROOF_AT);
    memcpy(message + LABEL_BYTES + PROOF_AT, body.data, body.size);
    admission->mac.compute(admission->mac.context, admission->secret,
                           moot_slice_make(message, LABEL_BYTES + PROOF_AT + body.size), out);
}

size_t moot_datagram_seal(const struct moot_admission *admission,
                          const uint8_t cluster[MOOT_CLUSTER_ID_BYTES], moot_node_id from,
                          struct moot_slice body, uint8_t out[MOOT_DATAGRAM_BYTES_MAX])
{
    MOOT_ASSERT(from != 0);
    MOOT_ASSERT(body.size > 0);
    MOOT_ASSERT(body.size <= MOOT_DATAGRAM_BODY_MAX);
    out[0] = MOOT_DATAGRAM_VERSION;
    memcpy(out + 1, cluster, MOOT_CLUSTER_ID_BYTES);
    moot_store_le32(out + 1 + MOOT_CLUSTER_ID_BYTES, from);
    uint8_t proof[MOOT_MAC_BYTES];
    prove(admission, out, body, proof);
    memcpy(out + PROOF_AT, proof, MOOT_DATAGRAM_PROOF_BYTES);
    memcpy(out + MOOT_DATAGRAM_HEAD_BYTES, body.data, body.size);
    return MOOT_DATAGRAM_HEAD_BYTES + body.size;
}

/* In time that does not tell how much of it is right. */
static bool is_equal(const uint8_t *left, const uint8_t *right)
{
    uint8_t difference = 0;
    for (size_t i = 0; i < MOOT_DATAGRAM_PROOF_BYTES; i++) {
        difference |= (uint8_t)(left[i] ^ right[i]);
    }
    return difference == 0;
}

enum moot_datagram_verdict moot_datagram_open(const struct moot_admission *admission,
                                              const uint8_t cluster[MOOT_CLUSTER_ID_BYTES],
                                              struct moot_slice bytes, moot_node_id *from,
                                              struct moot_slice *body)
{
    if (bytes.size <= MOOT_DATAGRAM_HEAD_BYTES || bytes.size > MOOT_DATAGRAM_BYTES_MAX ||
        bytes.data[0] != MOOT_DATAGRAM_VERSION) {
        return MOOT_DATAGRAM_MALFORMED;
    }
    if (memcmp(bytes.data + 1, cluster, MOOT_CLUSTER_ID_BYTES) != 0) {
        return MOOT_DATAGRAM_FOREIGN;
    }
    struct moot_slice inside = moot_slice_make(bytes.data + MOOT_DATAGRAM_HEAD_BYTES,
                                               bytes.size - MOOT_DATAGRAM_HEAD_BYTES);
    uint8_t proof[MOOT_MAC_BYTES];
    prove(admission, bytes.data, inside, proof);
    moot_node_id sender = moot_load_le32(bytes.data + 1 + MOOT_CLUSTER_ID_BYTES);
    if (!is_equal(proof, bytes.data + PROOF_AT) || sender == 0) {
        return MOOT_DATAGRAM_FORGED;
    }
    *from = sender;
    *body = inside;
    return MOOT_DATAGRAM_ACCEPTED;
}
