#include "protocol/swim/swim.h"

#include <string.h>

#include "base/assert.h"
#include "base/status.h"

/* version u8, kind u8, from varint, incarnation varint, address, seq u32; PING: target varint;
 * PING_REQ: target varint, address; SYNC: flags u8. Then sayings u8, each: state u8, id varint,
 * incarnation varint, address, and for SUSPECT who says so, varint. An address is size u8, bytes.
 */

enum { SAYINGS_MAX = 255, FLAG_WANTS_REPLY = 1 };

static void write_address(struct moot_writer *writer, const struct moot_swim_address *address)
{
    moot_write_u8(writer, address->size);
    moot_write_raw(writer, (struct moot_slice){address->bytes, address->size});
}

bool swim__packet_begin(struct moot_swim *swim, struct moot_swim_out *out, moot_node_id to,
                        const struct moot_swim_address *address, const struct swim_packet *packet,
                        struct swim_writing *writing)
{
    if (out->count == MOOT_SWIM_SENDS_MAX) {
        out->dropped++;
        return false;
    }
    uint8_t *bytes = out->sends[out->count].bytes;
    out->sends[out->count].to = to;
    out->sends[out->count].address = *address;
    struct moot_writer writer = moot_writer_make(bytes, MOOT_SWIM_PACKET_MAX);
    moot_write_u8(&writer, SWIM_VERSION);
    moot_write_u8(&writer, (uint8_t)packet->kind);
    moot_write_varint(&writer, swim->config.self);
    moot_write_varint(&writer, swim->slots[0].member.incarnation);
    write_address(&writer, &swim->config.address);
    moot_write_u32(&writer, packet->seq);
    if (packet->kind == SWIM_PING || packet->kind == SWIM_PING_REQ) {
        moot_write_varint(&writer, packet->target);
    }
    if (packet->kind == SWIM_PING_REQ) {
        write_address(&writer, &packet->target_address);
    }
    if (packet->kind == SWIM_SYNC) {
        moot_write_u8(&writer, packet->wants_reply ? FLAG_WANTS_REPLY : 0);
    }
    uint8_t *count_at = writer.at;
    moot_write_u8(&writer, 0);
    MOOT_ASSERT(!writer.failed);
    *writing = (struct swim_writing){out, writer, count_at, 0};
    return true;
}

bool swim__packet_say(struct moot_swim *swim, struct swim_writing *writing, uint32_t index)
{
    const struct swim_slot *slot = &swim->slots[index];
    if (writing->count == SAYINGS_MAX) {
        return false;
    }
    struct moot_writer writer = writing->writer;
    moot_write_u8(&writer, slot->member.state);
    moot_write_varint(&writer, slot->member.id);
    moot_write_varint(&writer, slot->member.incarnation);
    write_address(&writer, &slot->member.address);
    if (slot->member.state == MOOT_SWIM_SUSPECT) {
        /* The newest of those who agree: the others have been told of before. */
        moot_write_varint(&writer, slot->by[slot->confirmed - 1]);
    }
    if (writer.failed) {
        return false;
    }
    writing->writer = writer;
    writing->count++;
    return true;
}

void swim__packet_end(struct moot_swim *swim, struct swim_writing *writing)
{
    struct moot_swim_out *out = writing->out;
    *writing->count_at = writing->count;
    uint32_t size = (uint32_t)(writing->writer.at - out->sends[out->count].bytes);
    out->sends[out->count].size = size;
    out->count++;
    swim->counts.sent++;
    swim->counts.sent_bytes += size;
}

/* SWIM 4.1: those sent least often go first; each so many times. */
static void say_rumours(struct moot_swim *swim, struct swim_writing *writing, uint32_t except)
{
    struct swim_set *rumours = &swim->sets[SWIM_SET_RUMOURS];
    uint32_t most = swim__transmits_max(swim);
    for (uint32_t i = rumours->count; i > 0; i--) {
        if (swim->slots[rumours->items[i - 1]].transmits >= most) { /* The group has shrunk. */
            swim__set_remove(swim, SWIM_SET_RUMOURS, rumours->items[i - 1]);
        }
    }
    uint32_t said[SAYINGS_MAX], said_count = 0;
    bool room = true;
    for (uint32_t times = 0; times < most && room; times++) {
        uint32_t left = 0; /* With more transmits than `times`. */
        for (uint32_t i = rumours->count; i > 0 && room; i--) {
            uint32_t index = rumours->items[i - 1];
            left += swim->slots[index].transmits > times;
            if (swim->slots[index].transmits == times && index != except) {
                room = swim__packet_say(swim, writing, index);
                if (room) {
                    said[said_count++] = index;
                }
            }
        }
        if (left == 0) {
            break;
        }
    }
    for (uint32_t i = 0; i < said_count; i++) {
        if (++swim->slots[said[i]].transmits >= most) {
            swim__set_remove(swim, SWIM_SET_RUMOURS, said[i]);
        }
    }
}

void swim__send(struct moot_swim *swim, struct moot_swim_out *out, moot_node_id to,
                const struct moot_swim_address *address, const struct swim_packet *packet)
{
    struct swim_writing writing;
    if (!swim__packet_begin(swim, out, to, address, packet, &writing)) {
        return;
    }
    uint32_t buddy = to == 0 ? SWIM_NONE : swim__slot_of(swim, to);
    bool is_suspect = buddy != SWIM_NONE && !swim->config.no_buddy &&
                      swim->slots[buddy].member.state == MOOT_SWIM_SUSPECT;
    if (is_suspect) {
        (void)swim__packet_say(swim, &writing, buddy); /* Lifeguard IV.C. */
    }
    say_rumours(swim, &writing, is_suspect ? buddy : SWIM_NONE);
    swim__packet_end(swim, &writing);
}

/* ---- reading ---- */

static void read_address(struct moot_reader *reader, struct moot_swim_address *address)
{
    memset(address, 0, sizeof(*address));
    uint8_t size = moot_get_u8(reader);
    if (size > MOOT_SWIM_ADDRESS_MAX) {
        reader->failed = true;
        return;
    }
    struct moot_slice bytes = moot_get_raw(reader, size);
    if (!reader->failed && size > 0) {
        address->size = size;
        memcpy(address->bytes, bytes.data, size);
    }
}

static moot_node_id read_id(struct moot_reader *reader, bool may_be_nobody)
{
    uint64_t id = moot_get_varint(reader);
    if (id > UINT32_MAX || (id == 0 && !may_be_nobody)) {
        reader->failed = true;
    }
    return (moot_node_id)id;
}

int swim__packet_read(struct moot_reader *reader, struct swim_packet *packet)
{
    *packet = (struct swim_packet){0};
    uint8_t version = moot_get_u8(reader);
    if (!reader->failed && version != SWIM_VERSION) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    uint8_t kind = moot_get_u8(reader);
    if (reader->failed || kind >= SWIM_KINDS) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    packet->kind = (enum swim_kind)kind;
    packet->from = read_id(reader, false);
    packet->incarnation = moot_get_varint(reader);
    read_address(reader, &packet->from_address);
    packet->seq = moot_get_u32(reader);
    if (kind == SWIM_PING || kind == SWIM_PING_REQ) {
        packet->target = read_id(reader, false);
    }
    if (kind == SWIM_PING_REQ) {
        read_address(reader, &packet->target_address);
    }
    if (kind == SWIM_SYNC) {
        packet->wants_reply = (moot_get_u8(reader) & FLAG_WANTS_REPLY) != 0;
    }
    return reader->failed ? MOOT_FAIL(MOOT_EINVALID) : MOOT_OK;
}

bool swim__saying_read(struct moot_reader *reader, struct swim_saying *saying)
{
    *saying = (struct swim_saying){0};
    uint8_t state = moot_get_u8(reader);
    saying->id = read_id(reader, false);
    saying->incarnation = moot_get_varint(reader);
    read_address(reader, &saying->address);
    if (state == MOOT_SWIM_SUSPECT) {
        saying->by = read_id(reader, true);
    }
    if (state > MOOT_SWIM_LEFT) {
        reader->failed = true;
    }
    saying->state = (enum moot_swim_state)state;
    return !reader->failed;
}
