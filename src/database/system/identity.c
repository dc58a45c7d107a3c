#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"
#include "database/node.h"
#include "wire/address.h"

enum { IDENTITY_VERSION = 1 };

static void put_address(struct moot_buffer *out, const struct moot_address *address)
{
    moot_put_u32(out, address->node);
    moot_put_bytes(out, moot_slice_text(address->peer));
    moot_put_bytes(out, moot_slice_text(address->client));
}

static bool get_text(struct moot_reader *reader, char *out)
{
    struct moot_slice text = moot_get_bytes(reader);
    if (text.size >= MOOT_ADDRESS_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~') {
            return false;
        }
        out[i] = (char)text.data[i];
    }
    out[text.size] = '\0';
    return true;
}

static bool get_address(struct moot_reader *reader, struct moot_address *out)
{
    out->node = moot_get_u32(reader);
    return get_text(reader, out->peer) && get_text(reader, out->client) && out->node != 0;
}

void moot_identity_encode(const struct moot_identity *identity, struct moot_buffer *out)
{
    moot_put_u8(out, IDENTITY_VERSION);
    moot_buffer_append(out, identity->cluster, MOOT_CLUSTER_ID_BYTES);
    moot_put_u32(out, identity->node);
    put_address(out, &identity->self);
    moot_put_u32(out, identity->initial_count);
    for (uint32_t i = 0; i < identity->initial_count; i++) {
        put_address(out, &identity->initial[i]);
    }
}

int moot_identity_decode(struct moot_slice bytes, struct moot_identity *out)
{
    struct moot_reader reader = moot_reader_make(bytes);
    *out = (struct moot_identity){0};
    if (moot_get_u8(&reader) != IDENTITY_VERSION) {
        return MOOT_FAIL(reader.failed ? MOOT_EINVALID : MOOT_EVERSION);
    }
    struct moot_slice cluster = moot_get_raw(&reader, MOOT_CLUSTER_ID_BYTES);
    if (reader.failed) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    memcpy(out->cluster, cluster.data, MOOT_CLUSTER_ID_BYTES);
    out->node = moot_get_u32(&reader);
    bool good = get_address(&reader, &out->self) && out->self.node == out->node;
    out->initial_count = moot_get_u32(&reader);
    good = good && out->initial_count >= 1 && out->initial_count <= MOOT_MEMBERS_MAX;
    for (uint32_t i = 0; good && i < out->initial_count; i++) {
        good = get_address(&reader, &out->initial[i]) &&
               (i == 0 || out->initial[i].node > out->initial[i - 1].node);
    }
    if (!good || reader.failed || moot_reader_left(&reader) != 0) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    return 0;
}

/* ---- as text ---- */

/* What is before the first `mark`, or all; *text goes on behind it. */
static struct moot_slice take_until(struct moot_slice *text, uint8_t mark)
{
    size_t size = 0;
    while (size < text->size && text->data[size] != mark) {
        size++;
    }
    struct moot_slice taken = moot_slice_make(text->data, size);
    size_t past = size < text->size ? size + 1 : size;
    *text = moot_slice_make(text->data + past, text->size - past);
    return taken;
}

static bool parse_member(struct moot_slice text, struct moot_address *out)
{
    uint64_t node;
    struct moot_slice number = take_until(&text, '=');
    struct moot_slice peer = take_until(&text, '/');
    *out = (struct moot_address){0};
    if (!moot_slice_to_u64(number, &node) || node == 0 || node > MOOT_NODE_ID_MAX) {
        return false;
    }
    out->node = (moot_node_id)node;
    return moot_address_copy(peer, out->peer) && moot_address_copy(text, out->client);
}

/* Keeps `initial` sorted; false when the node is in it already. */
static bool insert_member(struct moot_identity *identity, const struct moot_address *member)
{
    uint32_t at = identity->initial_count;
    while (at > 0 && identity->initial[at - 1].node > member->node) {
        at--;
    }
    if (identity->initial_count == MOOT_MEMBERS_MAX ||
        (at > 0 && identity->initial[at - 1].node == member->node)) {
        return false;
    }
    memmove(&identity->initial[at + 1], &identity->initial[at],
            (identity->initial_count - at) * sizeof(*member));
    identity->initial[at] = *member;
    identity->initial_count++;
    return true;
}

bool moot_identity_parse_initial(struct moot_slice text, struct moot_identity *out)
{
    out->initial_count = 0;
    while (text.size > 0) {
        struct moot_address member;
        if (!parse_member(take_until(&text, ','), &member) || !insert_member(out, &member)) {
            return false;
        }
    }
    MOOT_ASSERT(out->initial_count <= MOOT_MEMBERS_MAX);
    return out->initial_count > 0;
}
