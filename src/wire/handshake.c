#include "wire/handshake.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/rule.h"

/* A message: magic u32, format u8, type u8, length u16 (of the body), body. Bodies may grow at
 * their ends: a reader skips what it does not know, and the proofs cover it all the same. */
enum {
    HEAD_BYTES = 8,
    FORMAT = 1,
    TYPE_HELLO = 1,
    TYPE_REPLY = 2,
    TYPE_CONFIRM = 3,
    TYPE_REFUSED = 4,
};
static const uint8_t MAGIC[4] = {'M', 'O', 'O', 'T'};

const char *moot_refusal_text(enum moot_refusal reason)
{
    switch (reason) {
#define X(name, value, text)                                                                       \
    case MOOT_REFUSED_##name:                                                                      \
        return text;
        MOOT_REFUSAL_TABLE(X)
#undef X
    }
    return "a reason that this version does not know";
}

/* ---- writing ---- */

/* Starts a message; returns where it begins in `output`. */
static size_t start_message(struct moot_buffer *output, uint8_t type)
{
    size_t start = output->size;
    moot_buffer_append(output, MAGIC, sizeof(MAGIC));
    moot_put_u8(output, FORMAT);
    moot_put_u8(output, type);
    moot_put_u16(output, 0);
    return start;
}

/* Fills in the length, of which `still_to_come` bytes are not there yet. */
static void end_message(struct moot_buffer *output, size_t start, size_t still_to_come)
{
    size_t length = output->size - start - HEAD_BYTES + still_to_come;
    MOOT_ASSERT(HEAD_BYTES + length <= MOOT_HANDSHAKE_BYTES_MAX);
    output->data[start + 6] = (uint8_t)length;
    output->data[start + 7] = (uint8_t)(length >> 8);
}

static void remember(struct moot_handshake *handshake, const uint8_t *bytes, size_t size)
{
    MOOT_ASSERT(handshake->transcript_size + size <= sizeof(handshake->transcript));
    memcpy(handshake->transcript + handshake->transcript_size, bytes, size);
    handshake->transcript_size += (uint32_t)size;
}

static void put_identity(struct moot_buffer *output, const struct moot_handshake *handshake)
{
    const struct moot_handshake_options *options = &handshake->options;
    moot_put_u8(output, (uint8_t)options->purpose);
    moot_put_u16(output, options->version_min);
    moot_put_u16(output, options->version_max);
    moot_buffer_append(output, options->cluster_id, sizeof(options->cluster_id));
    moot_put_u32(output, options->node);
    moot_put_u64(output, options->incarnation);
    moot_buffer_append(output, options->nonce, sizeof(options->nonce));
    moot_put_bytes(output, moot_slice_text(handshake->address));
    moot_put_u32(output, options->feature_level);
}

static enum moot_handshake_state refuse(struct moot_handshake *handshake, enum moot_refusal reason,
                                        struct moot_buffer *output)
{
    MOOT_ASSERT(reason != MOOT_REFUSED_NONE);
    handshake->state = MOOT_HANDSHAKE_REFUSED;
    handshake->refusal = reason;
    if (reason != MOOT_REFUSED_NOT_MOOT) { /* Else nobody there could read it. */
        size_t start = start_message(output, TYPE_REFUSED);
        moot_put_u8(output, (uint8_t)reason);
        end_message(output, start, 0);
    }
    return handshake->state;
}

/* ---- proofs ---- */

/* What the secret says about the transcript so far, for one use: label, zero, transcript. */
static void seal(const struct moot_handshake *handshake, const char *label,
                 uint8_t out[MOOT_MAC_BYTES])
{
    uint8_t text[64 + sizeof(handshake->transcript)];
    size_t label_size = strlen(label) + 1;
    MOOT_ASSERT(label_size <= 64);
    MOOT_ASSERT(handshake->transcript_size > 0);
    memcpy(text, label, label_size);
    memcpy(text + label_size, handshake->transcript, handshake->transcript_size);
    const struct moot_mac *mac = &handshake->options.mac;
    mac->compute(mac->context, handshake->options.secret,
                 moot_slice_make(text, label_size + handshake->transcript_size), out);
}

static const char PROOF_OF_INITIATOR[] = "moot handshake proof of the initiator";
static const char PROOF_OF_ACCEPTOR[] = "moot handshake proof of the acceptor";

/* Takes the same time wherever the first difference is. */
static bool proof_is_right(const struct moot_handshake *handshake, const char *label,
                           const uint8_t *proof)
{
    uint8_t wanted[MOOT_MAC_BYTES];
    seal(handshake, label, wanted);
    uint8_t difference = 0;
    for (size_t i = 0; i < sizeof(wanted); i++) {
        difference |= (uint8_t)(wanted[i] ^ proof[i]);
    }
    return MOOT_RULE(handshake_proof, difference == 0);
}

static uint64_t derive_key(const struct moot_handshake *handshake, const char *label)
{
    uint8_t bytes[MOOT_MAC_BYTES];
    seal(handshake, label, bytes);
    return moot_load_le64(bytes);
}

static enum moot_handshake_state finish(struct moot_handshake *handshake)
{
    uint64_t from_initiator = derive_key(handshake, "moot frame key of the initiator");
    uint64_t from_acceptor = derive_key(handshake, "moot frame key of the acceptor");
    bool initiator = handshake->options.initiator;
    handshake->peer.send_key = initiator ? from_initiator : from_acceptor;
    handshake->peer.receive_key = initiator ? from_acceptor : from_initiator;
    handshake->state = MOOT_HANDSHAKE_DONE;
    return handshake->state;
}

/* ---- reading ---- */

static bool address_is_valid(struct moot_slice address)
{
    if (address.size == 0 || address.size >= MOOT_ADDRESS_MAX) {
        return false;
    }
    for (size_t i = 0; i < address.size; i++) {
        if (address.data[i] <= ' ' || address.data[i] > '~') {
            return false;
        }
    }
    return true;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

struct offer {
    uint16_t version_min, version_max;
    const uint8_t *nonce;
};

/* The other side's identity, not yet believed. */
static enum moot_refusal get_identity(struct moot_handshake *handshake, struct moot_reader *reader,
                                      struct offer *offer)
{
    struct moot_peer_identity *peer = &handshake->peer;
    uint8_t purpose = moot_get_u8(reader);
    offer->version_min = moot_get_u16(reader);
    offer->version_max = moot_get_u16(reader);
    struct moot_slice cluster_id = moot_get_raw(reader, MOOT_CLUSTER_ID_BYTES);
    peer->node = moot_get_u32(reader);
    peer->incarnation = moot_get_u64(reader);
    struct moot_slice nonce = moot_get_raw(reader, MOOT_NONCE_BYTES);
    struct moot_slice address = moot_get_bytes(reader);
    bool says_level =
        !reader->failed && moot_reader_left(reader) >= 4; /* Releases from before it did not. */
    peer->feature_level = says_level ? moot_get_u32(reader) : 0;
    if (reader->failed || (purpose != MOOT_LINK_PEER && purpose != MOOT_LINK_JOIN) ||
        offer->version_min > offer->version_max || !address_is_valid(address)) {
        return MOOT_REFUSED_MALFORMED;
    }
    offer->nonce = nonce.data;
    peer->purpose = (enum moot_link_purpose)purpose;
    memcpy(peer->cluster_id, cluster_id.data, sizeof(peer->cluster_id));
    memcpy(peer->address, address.data, address.size);
    peer->address[address.size] = 0;
    return MOOT_REFUSED_NONE;
}

static bool is_our_cluster(const struct moot_handshake *handshake)
{
    const struct moot_handshake_options *options = &handshake->options;
    const struct moot_peer_identity *peer = &handshake->peer;
    bool same = memcmp(peer->cluster_id, options->cluster_id, sizeof(options->cluster_id)) == 0;
    /* Who asks to join need not know the cluster yet: neither side of that may be a member of
     * another one. */
    const uint8_t *joiner = options->initiator ? options->cluster_id : peer->cluster_id;
    bool joins = peer->purpose == MOOT_LINK_JOIN && is_zero(joiner, MOOT_CLUSTER_ID_BYTES);
    return MOOT_RULE(handshake_cluster, same || joins);
}

/* Whether this node and the other one may talk at all, if what the other says is true. */
static enum moot_refusal judge(struct moot_handshake *handshake, const struct offer *offer)
{
    const struct moot_handshake_options *options = &handshake->options;
    struct moot_peer_identity *peer = &handshake->peer;
    uint16_t low =
        offer->version_min > options->version_min ? offer->version_min : options->version_min;
    uint16_t high =
        offer->version_max < options->version_max ? offer->version_max : options->version_max;
    if (low > high) {
        return MOOT_REFUSED_VERSION;
    }
    peer->version = high;
    if (!options->initiator && options->node == 0) {
        return MOOT_REFUSED_NOT_MEMBER;
    }
    if (options->initiator && (peer->node == 0 || peer->purpose != options->purpose)) {
        return MOOT_REFUSED_MALFORMED; /* A member would have said NOT_MEMBER, and our purpose. */
    }
    if (!options->initiator && (peer->node == 0) != (peer->purpose == MOOT_LINK_JOIN)) {
        return peer->node == 0 ? MOOT_REFUSED_NO_ID : MOOT_REFUSED_HAS_ID;
    }
    if (!is_our_cluster(handshake)) {
        return MOOT_REFUSED_OTHER_CLUSTER;
    }
    if (peer->node == options->node ||
        memcmp(offer->nonce, options->nonce, MOOT_NONCE_BYTES) == 0) {
        return MOOT_REFUSED_SELF;
    }
    if (options->initiator && options->expected != 0 && peer->node != options->expected) {
        return MOOT_REFUSED_OTHER_NODE;
    }
    return MOOT_REFUSED_NONE;
}

static enum moot_handshake_state on_hello(struct moot_handshake *handshake, struct moot_slice body,
                                          struct moot_buffer *output)
{
    struct moot_reader reader = moot_reader_make(body);
    struct offer offer;
    enum moot_refusal reason = get_identity(handshake, &reader, &offer);
    if (reason == MOOT_REFUSED_NONE) {
        reason = judge(handshake, &offer);
    }
    if (reason != MOOT_REFUSED_NONE) {
        return refuse(handshake, reason, output);
    }
    remember(handshake, handshake->input, handshake->input_size);
    handshake->options.purpose = handshake->peer.purpose;
    size_t start = start_message(output, TYPE_REPLY);
    put_identity(output, handshake);
    end_message(output, start, MOOT_MAC_BYTES);
    remember(handshake, output->data + start, output->size - start);
    uint8_t proof[MOOT_MAC_BYTES];
    seal(handshake, PROOF_OF_ACCEPTOR, proof);
    moot_buffer_append(output, proof, sizeof(proof));
    handshake->awaited = TYPE_CONFIRM;
    return handshake->state;
}

static enum moot_handshake_state on_reply(struct moot_handshake *handshake, struct moot_slice body,
                                          struct moot_buffer *output)
{
    if (body.size < MOOT_MAC_BYTES) {
        return refuse(handshake, MOOT_REFUSED_MALFORMED, output);
    }
    const uint8_t *proof = body.data + body.size - MOOT_MAC_BYTES;
    body.size -= MOOT_MAC_BYTES;
    struct moot_reader reader = moot_reader_make(body);
    struct offer offer;
    enum moot_refusal reason = get_identity(handshake, &reader, &offer);
    if (reason == MOOT_REFUSED_NONE) {
        reason = judge(handshake, &offer);
    }
    if (reason == MOOT_REFUSED_NONE) {
        remember(handshake, handshake->input, handshake->input_size - MOOT_MAC_BYTES);
        if (!proof_is_right(handshake, PROOF_OF_ACCEPTOR, proof)) {
            reason = MOOT_REFUSED_PROOF;
        }
    }
    if (reason != MOOT_REFUSED_NONE) {
        return refuse(handshake, reason, output);
    }
    uint8_t own_proof[MOOT_MAC_BYTES];
    seal(handshake, PROOF_OF_INITIATOR, own_proof);
    size_t start = start_message(output, TYPE_CONFIRM);
    moot_buffer_append(output, own_proof, sizeof(own_proof));
    end_message(output, start, 0);
    return finish(handshake);
}

static enum moot_handshake_state on_confirm(struct moot_handshake *handshake,
                                            struct moot_slice body, struct moot_buffer *output)
{
    if (body.size < MOOT_MAC_BYTES) {
        return refuse(handshake, MOOT_REFUSED_MALFORMED, output);
    }
    if (!proof_is_right(handshake, PROOF_OF_INITIATOR, body.data)) {
        return refuse(handshake, MOOT_REFUSED_PROOF, output);
    }
    return finish(handshake);
}

static enum moot_handshake_state on_refused(struct moot_handshake *handshake,
                                            struct moot_slice body)
{
    handshake->state = MOOT_HANDSHAKE_REFUSED;
    handshake->refused_by_peer = true;
    handshake->refusal = MOOT_REFUSED_MALFORMED;
    if (body.size > 0 && body.data[0] != MOOT_REFUSED_NONE) {
        handshake->refusal = (enum moot_refusal)body.data[0];
    }
    return handshake->state;
}

/* Moves bytes from *bytes until the input has `size`. False: there are not so many. */
static bool take(struct moot_handshake *handshake, struct moot_slice *bytes, size_t size)
{
    MOOT_ASSERT(size <= sizeof(handshake->input));
    size_t missing = size > handshake->input_size ? size - handshake->input_size : 0;
    size_t count = moot_min_u64(missing, bytes->size);
    if (count > 0) {
        memcpy(handshake->input + handshake->input_size, bytes->data, count);
        handshake->input_size += (uint32_t)count;
        bytes->data += count;
        bytes->size -= count;
    }
    return handshake->input_size >= size;
}

/* What is wrong with the head so far: strangers are refused at their first wrong byte, since a
 * short one would otherwise be waited for. */
static enum moot_refusal check_head(const struct moot_handshake *handshake)
{
    const uint8_t *at = handshake->input;
    size_t size = handshake->input_size;
    if (memcmp(at, MAGIC, size < sizeof(MAGIC) ? size : sizeof(MAGIC)) != 0) {
        return MOOT_REFUSED_NOT_MOOT;
    }
    if (size >= 5 && at[4] != FORMAT) {
        return MOOT_REFUSED_VERSION;
    }
    if (size >= 6 && at[5] != handshake->awaited && at[5] != TYPE_REFUSED) {
        return MOOT_REFUSED_MALFORMED;
    }
    if (size >= HEAD_BYTES && (at[6] | at[7] << 8) > MOOT_HANDSHAKE_BYTES_MAX - HEAD_BYTES) {
        return MOOT_REFUSED_OVERSIZED;
    }
    return MOOT_REFUSED_NONE;
}

static enum moot_handshake_state on_message(struct moot_handshake *handshake,
                                            struct moot_slice body, struct moot_buffer *output)
{
    switch (handshake->input[5]) {
    case TYPE_HELLO:
        return on_hello(handshake, body, output);
    case TYPE_REPLY:
        return on_reply(handshake, body, output);
    case TYPE_CONFIRM:
        return on_confirm(handshake, body, output);
    default:
        MOOT_ASSERT(handshake->input[5] == TYPE_REFUSED);
        return on_refused(handshake, body);
    }
}

enum moot_handshake_state moot_handshake_input(struct moot_handshake *handshake,
                                               struct moot_slice *bytes, struct moot_buffer *output)
{
    while (handshake->state == MOOT_HANDSHAKE_MORE) {
        bool has_head = take(handshake, bytes, HEAD_BYTES);
        enum moot_refusal reason = check_head(handshake);
        if (reason != MOOT_REFUSED_NONE) {
            return refuse(handshake, reason, output);
        }
        if (!has_head) {
            break;
        }
        size_t length = (size_t)(handshake->input[6] | handshake->input[7] << 8);
        if (!take(handshake, bytes, HEAD_BYTES + length)) {
            break;
        }
        on_message(handshake, moot_slice_make(handshake->input + HEAD_BYTES, length), output);
        handshake->input_size = 0;
    }
    return handshake->state;
}

void moot_handshake_begin(struct moot_handshake *handshake,
                          const struct moot_handshake_options *options, struct moot_buffer *output)
{
    MOOT_ASSERT(address_is_valid(options->address));
    MOOT_ASSERT(options->secret.size > 0);
    MOOT_ASSERT(options->secret.size <= MOOT_SECRET_MAX);
    MOOT_ASSERT(!is_zero(options->nonce, sizeof(options->nonce)));
    MOOT_ASSERT(options->mac.compute != NULL);
    MOOT_ASSERT(options->node == 0 || !is_zero(options->cluster_id, MOOT_CLUSTER_ID_BYTES));
    *handshake = (struct moot_handshake){.options = *options, .state = MOOT_HANDSHAKE_MORE};
    memcpy(handshake->address, options->address.data, options->address.size);
    handshake->options.address = (struct moot_slice){NULL, 0}; /* The copy is used: not ours. */
    if (options->version_max == 0) {
        handshake->options.version_min = MOOT_PEER_VERSION_MIN;
        handshake->options.version_max = MOOT_PEER_VERSION_MAX;
    }
    if (options->feature_level == 0) {
        handshake->options.feature_level = MOOT_FEATURE_LEVEL;
    }
    if (!options->initiator) {
        handshake->awaited = TYPE_HELLO;
        return;
    }
    MOOT_ASSERT((options->node == 0) == (options->purpose == MOOT_LINK_JOIN));
    size_t start = start_message(output, TYPE_HELLO);
    put_identity(output, handshake);
    end_message(output, start, 0);
    remember(handshake, output->data + start, output->size - start);
    handshake->awaited = TYPE_REPLY;
}
