#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "database/group/message.h"
#include "sim/world.h"
#include "wire/frame.h"

enum {
    SLOW_LINK_TIMES = 100,
    SLOW_LINK_BYTE_NS = 20 * 1000, /* 50 KB a second, */
    SLOW_LINK_QUEUE_S = 8,         /* and so much that waits for them; then it drops. */
};

/* The pair's own fields stand at [lower][higher]. */
static struct sim_link *pair_of(struct sim_world *world, uint32_t a, uint32_t b)
{
    MOOT_ASSERT(a != b);
    return a < b ? &world->links[a][b] : &world->links[b][a];
}

static bool is_running(const struct sim_world *world, uint32_t slot)
{
    return world->machines[slot] != NULL && world->machines[slot]->running;
}

/* ---- links ---- */

static enum sim_wish wish_of(const struct sim_world *world, uint32_t a, uint32_t b, bool lower)
{
    bool a_is_lower = world->machines[a]->id < world->machines[b]->id;
    return a_is_lower == lower ? world->links[a][b].wish : world->links[b][a].wish;
}

static bool wants_link(const struct sim_world *world, uint32_t a, uint32_t b)
{
    enum sim_wish wishes[2] = {world->links[a][b].wish, world->links[b][a].wish};
    return is_running(world, a) && is_running(world, b) &&
           (wishes[0] == SIM_WISH_LINK || wishes[1] == SIM_WISH_LINK) &&
           wishes[0] != SIM_WISH_REFUSE && wishes[1] != SIM_WISH_REFUSE;
}

/* As the host's: however unlucky, nobody waits longer than this to dial again. */
static uint64_t patience(struct sim_world *world, uint64_t mean_us)
{
    return moot_min_u64(sim__around(world, mean_us), 4 * MOOT_SEC_NS);
}

static void dial_later(struct sim_world *world, uint32_t a, uint32_t b, uint64_t delay_us)
{
    struct sim_link *pair = pair_of(world, a, b);
    if (pair->dial_at < world->now || pair->dial_at == 0) {
        pair->dial_at = world->now + patience(world, delay_us);
        sim__at(world, pair->dial_at,
                (struct sim_event){.kind = SIM_DIAL, .machine = a, .other = b});
    }
}

static uint64_t delay_ns(struct sim_world *world)
{
    const struct sim_swarm *swarm = &world->swarm;
    uint64_t delay = swarm->delay_us * MOOT_USEC_NS;
    switch (swarm->delay_shape) {
    case 0: /* Even. */
        delay += sim__below(world, swarm->jitter_us * MOOT_USEC_NS + 1);
        break;
    case 1: /* With a tail. */
        delay += sim__around(world, swarm->jitter_us);
        break;
    case 2: /* Quick, but one in ten is slow. */
        delay = sim__one_in(world, 10) ? delay * 10 : delay;
        break;
    default: /* All alike. */
        break;
    }
    if (!sim__one_in(world, sim__level(world, SIM_FAULT_LATE))) {
        return delay + 1;
    }
    sim__count(world, SIM_FAULT_LATE);
    return delay * 50;
}

static void tell(struct sim_world *world, uint32_t to, uint32_t about, enum moot_input_kind kind,
                 int status);

/* Who was removed and does not know dials, or is dialed, and is told by those that do. */
static void dial_in_vain(struct sim_world *world, uint32_t from, uint32_t to)
{
    bool meet =
        world->links[from][to].wish == SIM_WISH_LINK || world->links[to][from].tells_removed;
    bool refused = is_running(world, from) && is_running(world, to) && meet &&
                   world->links[to][from].says_removed;
    if (refused && (world->links[from][to].cuts > 0 || world->links[to][from].cuts > 0)) {
        dial_later(world, from, to, 100 * 1000);
    } else if (refused) {
        tell(world, from, to, MOOT_INPUT_PEER_DOWN, MOOT_EREFUSED);
    }
}

void sim__dial(struct sim_world *world, const struct sim_event *event)
{
    uint32_t a = event->machine, b = event->other;
    struct sim_link *pair = pair_of(world, a, b);
    pair->dial_at = 0;
    if (pair->up) {
        return;
    }
    if (!wants_link(world, a, b)) { /* Whoever starts, or is told an address, dials again. */
        dial_in_vain(world, a, b);
        dial_in_vain(world, b, a);
        return;
    }
    if (wish_of(world, a, b, true) != SIM_WISH_LINK && event->number == 0) {
        /* The lower id should dial; after a while the other one does. */
        pair->dial_at = world->now + patience(world, 2000 * 1000);
        sim__at(world, pair->dial_at,
                (struct sim_event){.kind = SIM_DIAL, .machine = a, .other = b, .number = 1});
        return;
    }
    if (world->links[a][b].cuts > 0 || world->links[b][a].cuts > 0) {
        dial_later(world, a, b, 100 * 1000);
        return;
    }
    if (sim__one_in(world, sim__level(world, SIM_FAULT_STRANGER))) {
        sim__meet_stranger(world, world->machines[a], world->machines[b]);
        dial_later(world, a, b, 100 * 1000);
        return;
    }
    pair->up = true;
    pair->link = ++world->link_number;
    const uint32_t ends[2][2] = {{a, b}, {b, a}};
    for (int i = 0; i < 2; i++) {
        world->links[ends[i][0]][ends[i][1]].last_at[0] = 0;
        world->links[ends[i][0]][ends[i][1]].last_at[1] = 0;
        sim__at(world, world->now + delay_ns(world),
                (struct sim_event){.kind = SIM_LINK_UP,
                                   .machine = ends[i][0],
                                   .other = ends[i][1],
                                   .epoch = pair->link});
    }
}

static void tell(struct sim_world *world, uint32_t to, uint32_t about, enum moot_input_kind kind,
                 int status)
{
    struct moot_input *input =
        sim__input(world, world->machines[to], kind, (struct moot_slice){NULL, 0});
    input->node = world->machines[about]->id;
    input->status = status;
    if (kind == MOOT_INPUT_PEER_UP) {
        uint32_t level = sim__level_of(world, world->machines[about]);
        input->amount = moot_node_incarnation(world->machines[about]->node);
        input->status = (int)(level != 0 ? level : MOOT_FEATURE_LEVEL);
    }
}

void sim__link_up(struct sim_world *world, const struct sim_event *event)
{
    uint32_t to = event->machine, about = event->other;
    struct sim_link *mine = &world->links[to][about];
    const struct sim_link *pair = pair_of(world, to, about);
    if (!pair->up || pair->link != event->epoch || mine->told == event->epoch) {
        return;
    }
    MOOT_ASSERT(is_running(world, to) && is_running(world, about));
    if (mine->told != 0) {
        tell(world, to, about, MOOT_INPUT_PEER_DOWN, 0);
    }
    mine->told = event->epoch;
    tell(world, to, about, MOOT_INPUT_PEER_UP, 0);
}

void sim__link_down(struct sim_world *world, const struct sim_event *event)
{
    struct sim_link *mine = &world->links[event->machine][event->other];
    if (mine->told == event->epoch && is_running(world, event->machine)) {
        mine->told = 0;
        tell(world, event->machine, event->other, MOOT_INPUT_PEER_DOWN, -(int)event->number);
    }
    dial_later(world, event->machine, event->other, 5 * 1000);
}

static void end_side(struct sim_world *world, uint32_t to, uint32_t about, uint64_t link,
                     int status, uint64_t delay_us)
{
    sim__at(world, world->now + sim__around(world, delay_us),
            (struct sim_event){.kind = SIM_LINK_DOWN,
                               .machine = to,
                               .other = about,
                               .epoch = link,
                               .number = (uint64_t)-status});
}

void sim__link_break(struct sim_world *world, uint32_t a, uint32_t b, int status, uint64_t delay_us)
{
    struct sim_link *pair = pair_of(world, a, b);
    if (!pair->up) {
        return;
    }
    pair->up = false;
    end_side(world, a, b, pair->link, status, delay_us);
    end_side(world, b, a, pair->link, status, delay_us);
}

/* Those who want a link to it find it again. */
void sim__machine_came(struct sim_world *world, struct sim_machine *machine)
{
    for (uint32_t other = 0; other < world->machine_count; other++) {
        if (other != machine->slot && is_running(world, other)) {
            dial_later(world, machine->slot, other, 50 * 1000);
        }
    }
}

void sim__machine_gone(struct sim_world *world, struct sim_machine *machine, bool is_quiet)
{
    for (uint32_t other = 0; other < SIM_MACHINES_MAX; other++) {
        if (other == machine->slot) {
            continue;
        }
        struct sim_link *mine = &world->links[machine->slot][other];
        mine->told = 0;
        mine->wish = SIM_WISH_NONE;
        mine->says_removed = mine->tells_removed = false;
        if (is_quiet) {
            sim__link_break(world, machine->slot, other, MOOT_EIO, 2000 * 1000);
        } else {
            sim__link_break(world, machine->slot, other, 0, 500);
        }
    }
}

static uint32_t slot_of(struct moot_slice address)
{
    uint32_t slot = 0;
    size_t i = 1; /* m12:1 */
    while (i < address.size && address.data[i] >= '0' && address.data[i] <= '9') {
        slot = slot * 10 + (uint32_t)(address.data[i++] - '0');
    }
    MOOT_ASSERT(address.data[0] == 'm' && slot < SIM_MACHINES_MAX);
    return slot;
}

void sim__peer(struct sim_world *world, struct sim_machine *machine,
               const struct moot_effect *effect)
{
    struct sim_machine *peer = sim__machine_of(world, effect->peer.node);
    bool dials = effect->peer.address.size > 0, wanted = dials && !effect->peer.is_removed;
    if (effect->peer.node == machine->id || (peer == NULL && !dials)) {
        return;
    }
    /* The cluster may know of one that has not heard of its own joining: by its address. */
    uint32_t slot = dials ? slot_of(effect->peer.address) : peer->slot;
    MOOT_ASSERT(peer == NULL || slot == peer->slot);
    world->links[machine->slot][slot].wish = wanted ? SIM_WISH_LINK : SIM_WISH_REFUSE;
    world->links[machine->slot][slot].says_removed = effect->peer.is_removed;
    world->links[machine->slot][slot].tells_removed = effect->peer.is_removed && dials;
    if (!wanted) { /* The other one is told why when it dials. */
        sim__link_break(world, machine->slot, slot, MOOT_ENOTFOUND, 100);
    }
    dial_later(world, machine->slot, slot, 500);
}

/* ---- messages ---- */

static struct moot_block *put_together(const struct moot_effect *effect)
{
    size_t size = 0;
    for (uint32_t i = 0; i < effect->send.part_count; i++) {
        size += effect->send.parts[i].bytes.size;
    }
    struct moot_block *block = moot_block_make(size);
    size = 0;
    for (uint32_t i = 0; i < effect->send.part_count; i++) {
        struct moot_slice part = effect->send.parts[i].bytes;
        if (part.size > 0) {
            memcpy(block->data + size, part.data, part.size);
        }
        size += part.size;
    }
    return block;
}

/* A fault whose knob is a number in a million. */
static bool happens(struct sim_world *world, enum sim_fault fault)
{
    uint32_t ppm = sim__level(world, fault);
    bool yes = ppm > 0 && sim__below(world, 1000000) < ppm;
    world->result->counts.faults[fault] += yes;
    return yes;
}

/* Of a message that takes so long the receiver is told now and then that more has come. */
static void come_in_parts(struct sim_world *world, struct sim_machine *machine,
                          struct sim_machine *to, const struct moot_block *block, uint64_t from,
                          uint64_t until)
{
    const struct sim_link *way = &world->links[machine->slot][to->slot];
    uint64_t step = MOOT_PART_MS * MOOT_MSEC_NS;
    struct moot_slice first = {block->data, moot_min_u64(block->size, MOOT_PART_BYTES)};
    for (uint64_t at = from + step; at < until; at += step) {
        sim__at(world, at,
                (struct sim_event){.kind = SIM_PART,
                                   .machine = to->slot,
                                   .other = machine->slot,
                                   .epoch = way->told,
                                   .number = (at - from) / SLOW_LINK_BYTE_NS,
                                   .block = moot_block_copy(first)});
    }
}

static void arrive(struct sim_world *world, struct sim_machine *machine, struct sim_machine *to,
                   bool urgent, struct moot_block *block)
{
    struct sim_link *way = &world->links[machine->slot][to->slot];
    uint64_t delay = delay_ns(world), *last = &way->last_at[urgent];
    uint64_t carry = 0;
    if (world->now < way->slow_until) {
        delay *= SLOW_LINK_TIMES;
        carry = block->size * SLOW_LINK_BYTE_NS;
    }
    uint64_t at = moot_max_u64(world->now + delay, way->clogged_until);
    bool in_order = sim__level(world, SIM_FAULT_REORDER) == 0;
    at = (in_order ? moot_max_u64(at, *last) : at) + carry;
    come_in_parts(world, machine, to, block, at - carry, at);
    if (in_order) {
        *last = at;
    } else if (at < *last) {
        sim__count(world, SIM_FAULT_REORDER);
    } else {
        *last = at;
    }
    sim__at(
        world, at,
        (struct sim_event){.kind = SIM_MESSAGE,
                           .machine = to->slot,
                           .other = machine->slot,
                           .epoch = way->told,
                           .number = sim__record_send(world, machine, to, moot_block_slice(block)),
                           .block = moot_block_retain(block)});
}

/* Bytes that no release ever sent, in a whole frame. Nodes lie only in `bft` keyspaces: what
 * happens to be a message is not sent. */
static void send_garbage(struct sim_world *world, struct sim_machine *machine,
                         struct sim_machine *to, const struct moot_block *like)
{
    size_t size = 1 + (size_t)sim__below(world, like->size + 8);
    struct moot_block *block = moot_block_make(size);
    bool is_random = sim__one_in(world, 3);
    for (size_t i = 0; i < size; i++) {
        bool copied = i < like->size && !is_random && !sim__one_in(world, 64);
        block->data[i] = copied ? like->data[i] : (uint8_t)sim__below(world, 256);
    }
    struct moot_arena arena;
    struct moot_message message;
    moot_arena_init(&arena);
    if (moot_message_decode(moot_block_slice(block), &arena, &message) != 0) {
        sim__count(world, SIM_FAULT_GARBAGE);
        arrive(world, machine, to, sim__one_in(world, 2), block);
    }
    moot_arena_deinit(&arena);
    moot_block_release(block);
}

/* One bit is wrong on the wire. The receiver's frames must notice; then it ends the link. */
static void send_damaged(struct sim_world *world, struct sim_machine *machine,
                         struct sim_machine *to, struct moot_block *block)
{
    struct moot_frame_sender sender;
    struct moot_frame_receiver receiver;
    struct moot_frame_message message;
    struct moot_buffer wire;
    struct moot_frame_part part = {block, 0, (uint32_t)block->size};
    moot_buffer_init(&wire);
    moot_frame_sender_init(&sender, world->link_number);
    moot_frame_receiver_init(&receiver, world->link_number);
    int status = moot_frame_send(&sender, MOOT_LANE_BULK, (struct moot_slice){NULL, 0}, &part, 1);
    MOOT_ASSERT(status == 0);
    while (moot_frame_take(&sender, &wire, MOOT_FRAME_BYTES_MAX) > 0) {
    }
    wire.data[sim__below(world, wire.size)] ^= (uint8_t)(1 << sim__below(world, 8));
    struct moot_slice bytes = moot_buffer_slice(&wire);
    if (moot_frame_receive(&receiver, &bytes, &message) != MOOT_ECORRUPT) {
        sim__violation(world, "a frame with a wrong bit was not noticed");
    }
    moot_frame_receiver_deinit(&receiver);
    moot_frame_sender_deinit(&sender);
    moot_buffer_deinit(&wire);
    sim__link_break(world, machine->slot, to->slot, MOOT_ECORRUPT, 1000);
}

/* One bit of a snapshot's chunk is wrong, and it was so before the frames were made: memory rots,
 * too. */
static void rot_chunk(struct sim_world *world, struct moot_block *block)
{
    struct moot_arena arena;
    struct moot_message message;
    moot_arena_init(&arena);
    if (moot_message_decode(moot_block_slice(block), &arena, &message) == 0 &&
        message.kind == MOOT_MESSAGE_SNAPSHOT_CHUNK && message.chunk.chunk.size > 0 &&
        sim__one_in(world, sim__level(world, SIM_FAULT_ROT_CHUNK))) {
        size_t at = (size_t)(message.chunk.chunk.data - block->data);
        MOOT_ASSERT(at + message.chunk.chunk.size <= block->size); /* The slice is of the block. */
        at += (size_t)sim__below(world, message.chunk.chunk.size);
        block->data[at] ^= (uint8_t)(1 << sim__below(world, 8));
        sim__count(world, SIM_FAULT_ROT_CHUNK);
    }
    moot_arena_deinit(&arena);
}

void sim__send(struct sim_world *world, struct sim_machine *machine,
               const struct moot_effect *effect)
{
    /* Nothing leaves before what it depends on is durable. */
    MOOT_ASSERT(machine->flight_count == 0 || effect->send.after < machine->flights[0].ticket);
    struct sim_machine *to = sim__machine_of(world, effect->send.node);
    struct moot_block *block = put_together(effect);
    sim__note_bytes(world, moot_block_slice(block));
    struct sim_link *way = to == NULL ? NULL : &world->links[machine->slot][to->slot];
    bool is_lost = way == NULL || way->told == 0 || way->cuts > 0;
    if (!is_lost) {
        const struct sim_link *pair = pair_of(world, machine->slot, to->slot);
        is_lost = !pair->up || pair->link != way->told;
    }
    bool is_full = way != NULL && world->now < way->slow_until &&
                   way->last_at[effect->send.urgent] > world->now + SLOW_LINK_QUEUE_S * MOOT_SEC_NS;
    is_lost = is_lost || is_full || happens(world, SIM_FAULT_LOSE);
    if (is_lost) {
        const char *why = way == NULL      ? "nobody knows it"
                          : way->told == 0 ? "no link"
                          : way->cuts > 0  ? "partition"
                          : is_full        ? "the queue is full"
                                           : "by chance";
        sim__trace(world, "m%u: lost on the way to node %u: %s", machine->slot, effect->send.node,
                   why);
        sim__record_lost(world, sim__record_send(world, machine, to, moot_block_slice(block)), why);
    }
    world->result->counts.messages++;
    world->result->counts.lost += is_lost;
    if (!is_lost && sim__level(world, SIM_FAULT_ROT_CHUNK) != 0) {
        rot_chunk(world, block);
    }
    if (!is_lost && happens(world, SIM_FAULT_CORRUPT)) {
        send_damaged(world, machine, to, block);
    } else if (!is_lost) {
        arrive(world, machine, to, effect->send.urgent, block);
        if (happens(world, SIM_FAULT_REPEAT)) {
            arrive(world, machine, to, effect->send.urgent, block);
        }
        uint32_t garbage_ppm = sim__level(world, SIM_FAULT_GARBAGE);
        if (garbage_ppm > 0 && sim__below(world, 1000000) < garbage_ppm) {
            send_garbage(world, machine, to, block);
        }
    }
    moot_block_release(block);
}

void sim__message(struct sim_world *world, const struct sim_event *event)
{
    const struct sim_link *mine = &world->links[event->machine][event->other];
    if (!is_running(world, event->machine)) {
        sim__record_lost(world, event->number, "the receiver is down");
        return;
    }
    if (mine->told != event->epoch) {
        sim__link_up(world, event); /* It was ready before its first message came. */
    }
    if (mine->told == event->epoch) {
        struct moot_input *input = sim__input_block(world, world->machines[event->machine],
                                                    MOOT_INPUT_PEER_MESSAGE, event->block);
        input->node = world->machines[event->other]->id;
        world->links[event->other][event->machine].heard_at = world->now;
        sim__record_arrive(world, event->number);
    } else {
        sim__record_lost(world, event->number, "its link has ended");
    }
}

void sim__part(struct sim_world *world, const struct sim_event *event)
{
    if (is_running(world, event->machine) &&
        world->links[event->machine][event->other].told == event->epoch) {
        struct moot_input *input = sim__input_block(world, world->machines[event->machine],
                                                    MOOT_INPUT_PEER_PART, event->block);
        input->node = world->machines[event->other]->id;
        input->amount = event->number;
    }
}

void sim__cut(struct sim_world *world, uint32_t from, uint32_t to, bool on)
{
    for (uint32_t a = 0; a < SIM_MACHINES_MAX; a++) {
        for (uint32_t b = 0; b < SIM_MACHINES_MAX; b++) {
            if (a != b && (from >> a & 1) != 0 && (to >> b & 1) != 0) {
                MOOT_ASSERT(on || world->links[a][b].cuts > 0);
                world->links[a][b].cuts += on ? 1 : UINT32_MAX;
            }
        }
    }
}
