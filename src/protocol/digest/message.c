#include <string.h>

#include "base/codec.h"
#include "base/status.h"
#include "moot/merkle.h"

enum { MESSAGE_VERSION = 1 };

int moot_merkle_message_encode(const struct moot_merkle_message *message, uint8_t *out, size_t size,
                               size_t *used)
{
    struct moot_writer writer = moot_writer_make(out, size);
    moot_write_u8(&writer, MESSAGE_VERSION);
    moot_write_u8(&writer, (uint8_t)message->kind);
    moot_write_u64(&writer, message->scope);
    moot_write_varint(&writer, message->round);
    moot_write_varint(&writer, message->count);
    if (message->kind == MOOT_MERKLE_ITEMS) {
        moot_write_varint(&writer, message->items.leaf);
        moot_write_u64(&writer, message->items.from);
        moot_write_u64(&writer, message->items.upto);
    } else if (message->kind == MOOT_MERKLE_ITEMS_REPLY) {
        moot_write_varint(&writer, message->items_reply.leaf);
        moot_write_u64(&writer, message->items_reply.upto);
    }
    for (uint32_t i = 0; i < message->count; i++) {
        switch (message->kind) {
        case MOOT_MERKLE_NONE:
            break;
        case MOOT_MERKLE_NODES:
            moot_write_varint(&writer, message->nodes.node[i]);
            for (uint32_t child = 0; child < MOOT_MERKLE_FANOUT; child++) {
                moot_write_u64(&writer, message->nodes.child[i][child]);
            }
            break;
        case MOOT_MERKLE_NODES_REPLY:
            moot_write_u16(&writer, message->differs[i]);
            break;
        case MOOT_MERKLE_ITEMS:
            moot_write_u64(&writer, message->items.item[i].key);
            moot_write_u64(&writer, message->items.item[i].value);
            break;
        case MOOT_MERKLE_ITEMS_REPLY:
            moot_write_u64(&writer, message->items_reply.key[i]);
            break;
        }
    }
    *used = writer.failed ? 0 : (size_t)(writer.at - out);
    return writer.failed ? MOOT_FAIL(MOOT_ELIMIT) : MOOT_OK;
}

static uint32_t get_u32_varint(struct moot_reader *reader)
{
    uint64_t value = moot_get_varint(reader);
    reader->failed = reader->failed || value > UINT32_MAX;
    return reader->failed ? 0 : (uint32_t)value;
}

/* Element i; false when it is out of order. */
static bool decode_element(struct moot_reader *reader, uint32_t i, struct moot_merkle_message *out)
{
    switch (out->kind) {
    case MOOT_MERKLE_NONE:
        return false;
    case MOOT_MERKLE_NODES:
        out->nodes.node[i] = get_u32_varint(reader);
        for (uint32_t child = 0; child < MOOT_MERKLE_FANOUT; child++) {
            out->nodes.child[i][child] = moot_get_u64(reader);
        }
        return i == 0 || out->nodes.node[i - 1] < out->nodes.node[i];
    case MOOT_MERKLE_NODES_REPLY:
        out->differs[i] = moot_get_u16(reader);
        return true;
    case MOOT_MERKLE_ITEMS:
        out->items.item[i].key = moot_get_u64(reader);
        out->items.item[i].value = moot_get_u64(reader);
        return out->items.item[i].key >= out->items.from &&
               out->items.item[i].key <= out->items.upto &&
               (i == 0 || out->items.item[i - 1].key < out->items.item[i].key);
    case MOOT_MERKLE_ITEMS_REPLY:
        out->items_reply.key[i] = moot_get_u64(reader);
        return out->items_reply.key[i] <= out->items_reply.upto &&
               (i == 0 || out->items_reply.key[i - 1] < out->items_reply.key[i]);
    }
    return false;
}

static uint32_t count_max(enum moot_merkle_kind kind)
{
    switch (kind) {
    case MOOT_MERKLE_NONE:
        return 0;
    case MOOT_MERKLE_NODES:
    case MOOT_MERKLE_NODES_REPLY:
        return MOOT_MERKLE_NODES_PER_MESSAGE;
    case MOOT_MERKLE_ITEMS:
        return MOOT_MERKLE_ITEMS_PER_MESSAGE;
    case MOOT_MERKLE_ITEMS_REPLY:
        return 2 * MOOT_MERKLE_ITEMS_PER_MESSAGE;
    }
    return 0;
}

int moot_merkle_message_decode(struct moot_slice bytes, struct moot_merkle_message *out)
{
    struct moot_reader reader = moot_reader_make(bytes);
    memset(out, 0, sizeof(*out));
    uint8_t version = moot_get_u8(&reader);
    uint8_t kind = moot_get_u8(&reader);
    if (!reader.failed && version != MESSAGE_VERSION) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    out->scope = moot_get_u64(&reader);
    out->round = moot_get_varint(&reader);
    out->count = get_u32_varint(&reader);
    if (reader.failed || kind < MOOT_MERKLE_NODES || kind > MOOT_MERKLE_ITEMS_REPLY ||
        out->count > count_max((enum moot_merkle_kind)kind)) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    out->kind = (enum moot_merkle_kind)kind;
    if (out->kind == MOOT_MERKLE_ITEMS) {
        out->items.leaf = get_u32_varint(&reader);
        out->items.from = moot_get_u64(&reader);
        out->items.upto = moot_get_u64(&reader);
        if (out->items.from > out->items.upto) {
            return MOOT_FAIL(MOOT_EINVALID);
        }
    } else if (out->kind == MOOT_MERKLE_ITEMS_REPLY) {
        out->items_reply.leaf = get_u32_varint(&reader);
        out->items_reply.upto = moot_get_u64(&reader);
    }
    for (uint32_t i = 0; i < out->count; i++) {
        if (!decode_element(&reader, i, out) || reader.failed) {
            return MOOT_FAIL(MOOT_EINVALID);
        }
    }
    return reader.failed || moot_reader_left(&reader) != 0 ? MOOT_FAIL(MOOT_EINVALID) : MOOT_OK;
}
