#include "protocol/swim/swim.h"

#include "base/assert.h"
#include "base/rule.h"
#include "base/status.h"

void swim__sync_begin(struct moot_swim *swim, moot_node_id to,
                      const struct moot_swim_address *address, bool wants_reply)
{
    for (uint32_t i = 0; i < MOOT_SWIM_SYNCS_MAX; i++) {
        struct swim_sync *sync = &swim->syncs[i];
        if (!sync->active) {
            *sync = (struct swim_sync){true, wants_reply, to, *address, 0};
            swim->counts.syncs++;
            return;
        }
    }
    /* All are busy: there will be another time. */
}

/* One packet: as many members as fit. Only the last asks for the other's state. */
static void send_chunk(struct moot_swim *swim, struct swim_sync *sync, struct moot_swim_out *out)
{
    struct swim_packet packet = {.kind = SWIM_SYNC, .wants_reply = false};
    struct swim_writing writing;
    if (!swim__packet_begin(swim, out, sync->to, &sync->address, &packet, &writing)) {
        return;
    }
    uint8_t *flags_at = writing.count_at - 1;
    while (sync->next < swim->capacity) {
        const struct swim_slot *slot = &swim->slots[sync->next];
        if (slot->member.id != 0 && !swim__packet_say(swim, &writing, sync->next)) {
            break;
        }
        sync->next++;
    }
    if (sync->next == swim->capacity) {
        *flags_at = sync->wants_reply ? 1 : 0;
        sync->active = false;
    }
    swim__packet_end(swim, &writing);
}

/* An exchange costs in proportion to the group: it comes so much less often. And not at the same
 * time for all, though all may have started together. */
static struct moot_duration sync_period(struct moot_swim *swim)
{
    uint64_t mean = swim->config.sync.ns * (1 + swim->listed / 64);
    return (struct moot_duration){mean / 2 + moot_rng_below(&swim->rng, mean)};
}

void swim__sync_tick(struct moot_swim *swim, struct moot_instant now, struct moot_swim_out *out)
{
    if (!moot_instant_before(now, swim->sync_at)) {
        swim->sync_at = moot_instant_add(now, sync_period(swim));
        uint32_t peer = swim__pick(swim, SWIM_SET_ORDER);
        if (peer != SWIM_NONE) {
            const struct moot_swim_member *member = &swim->slots[peer].member;
            swim__sync_begin(swim, member->id, &member->address, true);
        }
    }
    if (!moot_instant_before(now, swim->reconnect_at)) {
        swim->reconnect_at = moot_instant_add(now, swim->config.reconnect);
        uint32_t gone = swim__pick(swim, SWIM_SET_GONE);
        if (gone != SWIM_NONE && swim->slots[gone].member.state == MOOT_SWIM_DEAD) {
            const struct moot_swim_member *member = &swim->slots[gone].member;
            swim__sync_begin(swim, member->id, &member->address, true);
        }
    }
    uint32_t chunks = 0;
    for (uint32_t i = 0; i < MOOT_SWIM_SYNCS_MAX; i++) {
        while (swim->syncs[i].active && chunks++ < SWIM_CHUNKS_A_TICK) {
            send_chunk(swim, &swim->syncs[i], out);
        }
    }
}

struct moot_instant swim__sync_deadline(const struct moot_swim *swim)
{
    for (uint32_t i = 0; i < MOOT_SWIM_SYNCS_MAX; i++) {
        if (swim->syncs[i].active) {
            return (struct moot_instant){0};
        }
    }
    return moot_instant_min(swim->sync_at, swim->reconnect_at);
}

void moot_swim_join(struct moot_swim *swim, struct moot_instant now,
                    const struct moot_swim_address *seeds, uint32_t count,
                    struct moot_swim_out *out)
{
    (void)now;
    out->count = out->dropped = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct swim_sync sync = {true, true, 0, seeds[i], 0};
        while (sync.active && out->count < MOOT_SWIM_SENDS_MAX) {
            send_chunk(swim, &sync, out);
        }
    }
}

/* ---- the two doors ---- */

/* Ticks come when they are due. Who comes a whole period late did not run: what this member did not
 * hear in that time says nothing about the others. */
static void notice_pause(struct moot_swim *swim, struct moot_instant now)
{
    struct moot_duration late = moot_instant_since(now, swim->due);
    if (late.ns > swim->config.interval.ns) {
        MOOT_SOMETIMES(swim->sets[SWIM_SET_SUSPECTS].count > 0, "a paused observer had suspects");
        swim__aware(swim, 1);
        swim__forgive(swim, late);
        swim->probe.target = 0;
        swim->probe.end = now;
    }
}

static void done_at(struct moot_swim *swim, struct moot_instant now)
{
    swim->due = moot_swim_deadline(swim);
    swim->due.ns = moot_max_u64(swim->due.ns, now.ns);
}

void moot_swim_tick(struct moot_swim *swim, struct moot_instant now, struct moot_swim_out *out)
{
    out->count = out->dropped = 0;
    notice_pause(swim, now);
    swim__expire(swim, now);
    swim__probe_tick(swim, now, out);
    swim__sync_tick(swim, now, out);
    done_at(swim, now);
}

struct moot_instant moot_swim_deadline(const struct moot_swim *swim)
{
    struct moot_instant first =
        moot_instant_min(swim__probe_deadline(swim), swim__news_deadline(swim));
    return moot_instant_min(first, swim__sync_deadline(swim));
}

/* The whole packet is read before any of it is believed. */
static bool is_well_formed(struct moot_reader reader)
{
    struct swim_saying saying;
    uint8_t count = moot_get_u8(&reader);
    for (uint32_t i = 0; i < count && !reader.failed; i++) {
        (void)swim__saying_read(&reader, &saying);
    }
    return !reader.failed && moot_reader_left(&reader) == 0;
}

static void believe_all(struct moot_swim *swim, struct moot_instant now,
                        const struct swim_packet *packet, struct moot_reader *reader)
{
    swim__believe(swim, now,
                  &(struct swim_saying){.id = packet->from,
                                        .incarnation = packet->incarnation,
                                        .state = MOOT_SWIM_ALIVE,
                                        .address = packet->from_address});
    uint8_t count = moot_get_u8(reader);
    for (uint32_t i = 0; i < count; i++) {
        struct swim_saying saying;
        bool whole = swim__saying_read(reader, &saying);
        MOOT_ASSERT(whole);
        if (packet->kind == SWIM_SYNC && saying.state == MOOT_SWIM_DEAD &&
            swim__slot_of(swim, saying.id) != SWIM_NONE) {
            saying.state = MOOT_SWIM_SUSPECT; /* It may refute. Who is long forgotten, stays so. */
            saying.by = packet->from;
        }
        swim__believe(swim, now, &saying);
    }
}

int moot_swim_receive(struct moot_swim *swim, struct moot_instant now, struct moot_slice bytes,
                      struct moot_swim_out *out)
{
    out->count = out->dropped = 0;
    struct moot_reader reader = moot_reader_make(bytes);
    struct swim_packet packet;
    int status = bytes.size > MOOT_SWIM_PACKET_MAX ? MOOT_FAIL(MOOT_EINVALID)
                                                   : swim__packet_read(&reader, &packet);
    if (status == 0 && (packet.from == swim->config.self || !is_well_formed(reader))) {
        status = MOOT_FAIL(MOOT_EINVALID);
    }
    if (status != 0) {
        swim->counts.malformed++;
        return status;
    }
    swim->counts.received++;
    notice_pause(swim, now);
    believe_all(swim, now, &packet, &reader);
    switch (packet.kind) {
    case SWIM_PING:
        swim__on_ping(swim, &packet, out);
        break;
    case SWIM_ACK:
        swim__on_ack(swim, &packet, out);
        break;
    case SWIM_NACK:
        swim__on_nack(swim, &packet);
        break;
    case SWIM_PING_REQ:
        swim__on_ping_req(swim, now, &packet, out);
        break;
    case SWIM_SYNC:
        if (packet.wants_reply) {
            swim__sync_begin(swim, packet.from, &packet.from_address, false);
            swim__sync_tick(swim, now, out);
        }
        break;
    case SWIM_KINDS:
        MOOT_UNREACHABLE();
    }
    done_at(swim, now);
    return MOOT_OK;
}
