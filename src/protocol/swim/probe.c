#include "protocol/swim/swim.h"

#include <string.h>

#include "base/assert.h"

static struct moot_instant after(struct moot_instant now, uint64_t ns)
{
    return moot_instant_add(now, (struct moot_duration){ns});
}

static uint32_t fresh_seq(struct moot_swim *swim)
{
    swim->seq = swim->seq == UINT32_MAX ? 1 : swim->seq + 1;
    return swim->seq;
}

uint32_t swim__pick(struct moot_swim *swim, enum swim_set_kind kind)
{
    const struct swim_set *set = &swim->sets[kind];
    return set->count == 0 ? SWIM_NONE : set->items[moot_rng_below(&swim->rng, set->count)];
}

/* SWIM 4.3: through the whole order, then shuffled anew (Fisher and Yates; Knuth, 3.4.2 P). */
static uint32_t next_target(struct moot_swim *swim)
{
    struct swim_set *order = &swim->sets[SWIM_SET_ORDER];
    if (order->count == 0) {
        return SWIM_NONE;
    }
    if (swim->next_probe >= order->count) {
        swim->next_probe = 0;
        for (uint32_t i = order->count - 1; i > 0; i--) {
            uint32_t j = (uint32_t)moot_rng_below(&swim->rng, i + 1);
            uint32_t moved = order->items[i];
            order->items[i] = order->items[j];
            order->items[j] = moved;
            swim->slots[order->items[i]].at[SWIM_SET_ORDER] = i;
            swim->slots[moved].at[SWIM_SET_ORDER] = j;
        }
    }
    return order->items[swim->next_probe++];
}

/* Lifeguard IV.A: with k times worse health, everything takes k times as long. */
static void probe_begin(struct moot_swim *swim, struct moot_instant now, struct moot_swim_out *out)
{
    uint64_t stretch = swim->awareness + 1;
    swim->probe = (struct swim_probe){.end = after(now, swim->config.interval.ns * stretch)};
    swim->probe.indirect_at = MOOT_NEVER;
    uint32_t target = next_target(swim);
    if (target == SWIM_NONE) {
        return;
    }
    const struct moot_swim_member *member = &swim->slots[target].member;
    swim->probe.target = member->id;
    swim->probe.seq = fresh_seq(swim);
    swim->probe.indirect_at = after(now, swim->config.timeout.ns * stretch);
    swim->counts.probes++;
    swim__send(
        swim, out, member->id, &member->address,
        &(struct swim_packet){.kind = SWIM_PING, .seq = swim->probe.seq, .target = member->id});
}

static void go_indirect(struct moot_swim *swim, struct moot_swim_out *out)
{
    struct swim_probe *probe = &swim->probe;
    probe->went_indirect = true;
    uint32_t target = swim__slot_of(swim, probe->target);
    const struct swim_set *order = &swim->sets[SWIM_SET_ORDER];
    if (target == SWIM_NONE || order->count < 2) {
        return;
    }
    uint32_t chosen[MOOT_SWIM_INDIRECT_MAX], count = 0;
    /* A few tries more than needed: repeats and suspects are passed over. */
    for (uint32_t i = 0; i < 4u * swim->config.indirect && count < swim->config.indirect; i++) {
        uint32_t index = swim__pick(swim, SWIM_SET_ORDER);
        bool fits = index != target && swim->slots[index].member.state == MOOT_SWIM_ALIVE;
        for (uint32_t j = 0; j < count; j++) {
            fits = fits && chosen[j] != index;
        }
        if (fits) {
            chosen[count++] = index;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct moot_swim_member *helper = &swim->slots[chosen[i]].member;
        swim->counts.indirect_probes++;
        swim__send(swim, out, helper->id, &helper->address,
                   &(struct swim_packet){.kind = SWIM_PING_REQ,
                                         .seq = probe->seq,
                                         .target = probe->target,
                                         .target_address = swim->slots[target].member.address});
    }
    probe->nacks_expected = (uint8_t)count;
}

/* A helper that does not even answer that it failed says something about us (Lifeguard IV.A). */
static void probe_end(struct moot_swim *swim, struct moot_instant now)
{
    struct swim_probe *probe = &swim->probe;
    if (probe->target == 0 || probe->acked) {
        return;
    }
    swim->counts.failed_probes++;
    if (probe->nacks_expected > 0) {
        swim__aware(swim, probe->nacks_expected - probe->nacks);
    } else {
        swim__aware(swim, 1);
    }
    uint32_t target = swim__slot_of(swim, probe->target);
    if (target != SWIM_NONE && swim__is_listed(&swim->slots[target])) {
        swim__suspect(swim, now, target);
    }
}

static void relays_tick(struct moot_swim *swim, struct moot_instant now, struct moot_swim_out *out)
{
    for (uint32_t i = 0; i < MOOT_SWIM_RELAYS_MAX; i++) {
        struct swim_relay *relay = &swim->relays[i];
        if (relay->seq == 0) {
            continue;
        }
        if (!relay->nacked && !moot_instant_before(now, relay->nack_at)) {
            relay->nacked = true;
            swim__send(swim, out, relay->origin, &relay->address,
                       &(struct swim_packet){.kind = SWIM_NACK, .seq = relay->origin_seq});
        }
        if (!moot_instant_before(now, relay->until)) {
            relay->seq = 0;
        }
    }
}

void swim__probe_tick(struct moot_swim *swim, struct moot_instant now, struct moot_swim_out *out)
{
    relays_tick(swim, now, out);
    struct swim_probe *probe = &swim->probe;
    if (probe->target != 0 && !probe->acked && !probe->went_indirect &&
        !moot_instant_before(now, probe->indirect_at)) {
        go_indirect(swim, out);
    }
    if (!moot_instant_before(now, probe->end)) {
        probe_end(swim, now);
        probe_begin(swim, now, out);
    }
}

struct moot_instant swim__probe_deadline(const struct moot_swim *swim)
{
    const struct swim_probe *probe = &swim->probe;
    struct moot_instant first = probe->end;
    if (probe->target != 0 && !probe->acked && !probe->went_indirect) {
        first = moot_instant_min(first, probe->indirect_at);
    }
    for (uint32_t i = 0; i < MOOT_SWIM_RELAYS_MAX; i++) {
        const struct swim_relay *relay = &swim->relays[i];
        if (relay->seq != 0) {
            first = moot_instant_min(first, relay->nacked ? relay->until : relay->nack_at);
        }
    }
    return first;
}

/* ---- packets ---- */

void swim__on_ping(struct moot_swim *swim, const struct swim_packet *packet,
                   struct moot_swim_out *out)
{
    if (packet->target != swim->config.self) {
        return; /* It was for who had this address before. */
    }
    swim__send(swim, out, packet->from, &packet->from_address,
               &(struct swim_packet){.kind = SWIM_ACK, .seq = packet->seq});
}

void swim__on_ping_req(struct moot_swim *swim, struct moot_instant now,
                       const struct swim_packet *packet, struct moot_swim_out *out)
{
    struct swim_relay *relay = swim->relays;
    while (relay < swim->relays + MOOT_SWIM_RELAYS_MAX && relay->seq != 0) {
        relay++;
    }
    if (relay == swim->relays + MOOT_SWIM_RELAYS_MAX) {
        return; /* Others help; this one is busy. */
    }
    *relay = (struct swim_relay){.seq = fresh_seq(swim),
                                 .origin_seq = packet->seq,
                                 .origin = packet->from,
                                 .address = packet->from_address,
                                 .nack_at = after(now, swim->config.timeout.ns / 10 * 8),
                                 .until = after(now, swim->config.interval.ns)};
    swim__send(
        swim, out, packet->target, &packet->target_address,
        &(struct swim_packet){.kind = SWIM_PING, .seq = relay->seq, .target = packet->target});
}

void swim__on_ack(struct moot_swim *swim, const struct swim_packet *packet,
                  struct moot_swim_out *out)
{
    struct swim_probe *probe = &swim->probe;
    if (probe->target != 0 && !probe->acked && packet->seq == probe->seq) {
        probe->acked = true; /* From the target, or from a helper. */
        swim__aware(swim, -1);
        return;
    }
    for (uint32_t i = 0; i < MOOT_SWIM_RELAYS_MAX; i++) {
        struct swim_relay *relay = &swim->relays[i];
        if (relay->seq != 0 && relay->seq == packet->seq) {
            swim__send(swim, out, relay->origin, &relay->address,
                       &(struct swim_packet){.kind = SWIM_ACK, .seq = relay->origin_seq});
            relay->seq = 0;
            return;
        }
    }
}

void swim__on_nack(struct moot_swim *swim, const struct swim_packet *packet)
{
    struct swim_probe *probe = &swim->probe;
    if (packet->seq == probe->seq && probe->nacks < probe->nacks_expected) {
        probe->nacks++;
    }
}
