#include "base/codec.h"
#include "base/status.h"
#include "database/node.h"

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
