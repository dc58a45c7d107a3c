#include "sim/rehearsal.h"

#include "base/assert.h"
#include "base/hash.h"
#include "sim/world.h"

struct guest {
    uint64_t id; /* 0: free. */
    uint32_t slot;
    uint64_t machine_epoch;
    uint64_t to_node_at, to_guest_at; /* Bytes arrive in order. */
};

struct moot_rehearsal {
    const struct moot_rehearsal_options *options;
    struct sim_world *world;
    struct moot_rng faults;
    struct guest guests[MOOT_REHEARSAL_GUESTS_MAX];
};

/* The last client's numbers are the guests'. */
bool sim__is_guest(uint64_t connection)
{
    return connection % SIM_CLIENTS_MAX == SIM_CLIENTS_MAX - 1;
}

static struct guest *find(struct moot_rehearsal *rehearsal, uint64_t id)
{
    for (uint32_t i = 0; i < MOOT_REHEARSAL_GUESTS_MAX; i++) {
        if (rehearsal->guests[i].id == id) {
            return &rehearsal->guests[i];
        }
    }
    return NULL;
}

/* ---- hooks of the world ---- */

void sim__to_guest(struct sim_world *world, uint64_t connection, struct moot_block *block,
                   uint64_t delay_ns)
{
    struct guest *guest = find(world->rehearsal, connection);
    if (guest == NULL) {
        moot_block_release(block);
        return;
    }
    guest->to_guest_at = moot_max_u64(guest->to_guest_at, world->now + delay_ns);
    sim__at(world, guest->to_guest_at,
            (struct sim_event){.kind = SIM_TO_GUEST, .number = connection, .block = block});
}

void sim__guest_gets(struct sim_world *world, const struct sim_event *event)
{
    const struct moot_rehearsal_calls *calls = &world->rehearsal->options->calls;
    struct guest *guest = find(world->rehearsal, event->number);
    if (guest == NULL) {
        return;
    }
    if (event->block != NULL) {
        calls->bytes(calls->context, event->number, moot_block_slice(event->block));
    } else {
        guest->id = 0;
        calls->closed(calls->context, event->number);
    }
}

void sim__guests_reset(struct sim_world *world, const struct sim_machine *machine)
{
    for (uint32_t i = 0; world->rehearsal != NULL && i < MOOT_REHEARSAL_GUESTS_MAX; i++) {
        const struct guest *guest = &world->rehearsal->guests[i];
        if (guest->id != 0 && guest->slot == machine->slot &&
            guest->machine_epoch != machine->epoch) {
            sim__to_guest(world, guest->id, NULL, sim__around(world, 200));
        }
    }
}

void sim__rehearse_strike(struct sim_world *world)
{
    if (world->rehearsal == NULL) {
        sim__strike(world);
        return;
    }
    struct moot_rng kept = world->rng;
    world->rng = world->rehearsal->faults;
    sim__strike(world);
    world->rehearsal->faults = world->rng;
    world->rng = kept;
}

/* ---- the caller's side ---- */

static void tune(struct sim_world *world, void *context)
{
    struct moot_rehearsal *rehearsal = context;
    struct sim_swarm *swarm = &world->swarm;
    world->rehearsal = rehearsal;
    swarm->clients = 1; /* Who makes changes of members, where such faults are wanted. */
    swarm->faults_end_us = UINT64_MAX / MOOT_USEC_NS;
    if (rehearsal->options->gap_ms != 0) {
        swarm->fault_gap_us = rehearsal->options->gap_ms * 1000;
        /* Mostly one at a time, or there would be nothing but faults. */
        swarm->fault_us = moot_min_u64(swarm->fault_us, swarm->fault_gap_us / 6);
    }
    /* Else as a cluster of production: times of a network and disks that one would buy. */
    swarm->election_ms = swarm->heartbeat_ms = 0;
    swarm->delay_us = moot_min_u64(swarm->delay_us, 500);
    swarm->jitter_us = moot_min_u64(swarm->jitter_us, 500);
    swarm->disk_us = moot_min_u64(swarm->disk_us, 1000);
    swarm->disk_jitter_us = moot_min_u64(swarm->disk_jitter_us, 1000);
}

struct moot_rehearsal *moot_rehearsal_open(const struct moot_rehearsal_options *options,
                                           struct moot_sim_result *result)
{
    struct moot_rehearsal *rehearsal = moot_alloc_zero(sizeof(*rehearsal));
    rehearsal->options = options;
    MOOT_ASSERT(options->sim.operations == UINT64_MAX);
    moot_rng_init(&rehearsal->faults, moot_hash_mix(options->sim.seed, 0xfa017));
    rehearsal->world = sim__open(&options->sim, result, tune, rehearsal);
    return rehearsal;
}

void moot_rehearsal_close(struct moot_rehearsal *rehearsal)
{
    struct sim_world *world = rehearsal->world;
    for (uint32_t i = 0; i < MOOT_REHEARSAL_GUESTS_MAX; i++) {
        if (rehearsal->guests[i].id != 0) {
            moot_rehearsal_leave(rehearsal, rehearsal->guests[i].id);
        }
    }
    world->swarm.faults_end_us = 0;
    while (sim__step(world)) {
    }
    world->result->virtual_ns = world->now;
    sim__record_end(world);
    sim__close(world);
    moot_free(rehearsal);
}

uint32_t moot_rehearsal_nodes(const struct moot_rehearsal *rehearsal)
{
    return rehearsal->world->swarm.nodes;
}

const struct moot_node *moot_rehearsal_node(const struct moot_rehearsal *rehearsal, uint32_t slot)
{
    MOOT_ASSERT(slot < SIM_MACHINES_MAX);
    const struct sim_machine *machine = rehearsal->world->machines[slot];
    return machine == NULL || !machine->running ? NULL : machine->node;
}

uint64_t moot_rehearsal_next(const struct moot_rehearsal *rehearsal)
{
    return sim_events_next(&rehearsal->world->events);
}

bool moot_rehearsal_run(struct moot_rehearsal *rehearsal, uint64_t until_ns)
{
    struct sim_world *world = rehearsal->world;
    while (moot_rehearsal_next(rehearsal) <= until_ns && sim__step(world)) {
    }
    world->now = moot_max_u64(world->now, until_ns);
    return !world->result->violated;
}

uint64_t moot_rehearsal_connect(struct moot_rehearsal *rehearsal, uint32_t slot)
{
    struct sim_world *world = rehearsal->world;
    struct guest *guest = find(rehearsal, 0);
    MOOT_ASSERT(slot < SIM_MACHINES_MAX);
    struct sim_machine *machine = world->machines[slot];
    if (guest == NULL || machine == NULL || !machine->running ||
        machine->connection_count == SIM_CONNECTIONS_MAX) {
        return 0;
    }
    uint64_t id = (world->connection_number += SIM_CLIENTS_MAX) + SIM_CLIENTS_MAX - 1;
    *guest = (struct guest){.id = id, .slot = slot, .machine_epoch = machine->epoch};
    sim__connection_open(world, machine, id);
    return id;
}

/* A block, or NULL for the end. */
static void to_node(struct moot_rehearsal *rehearsal, struct guest *guest, struct moot_block *block)
{
    struct sim_world *world = rehearsal->world;
    uint64_t at = world->now + 1 + sim__around(world, world->swarm.delay_us + 10);
    guest->to_node_at = moot_max_u64(at, guest->to_node_at);
    sim__at(world, guest->to_node_at,
            (struct sim_event){.kind = SIM_TO_NODE,
                               .machine = guest->slot,
                               .epoch = guest->machine_epoch,
                               .number = guest->id,
                               .block = block});
}

void moot_rehearsal_send(struct moot_rehearsal *rehearsal, uint64_t id, struct moot_slice bytes)
{
    struct guest *guest = find(rehearsal, id);
    if (guest != NULL && bytes.size > 0) {
        to_node(rehearsal, guest, moot_block_copy(bytes));
    }
}

void moot_rehearsal_leave(struct moot_rehearsal *rehearsal, uint64_t id)
{
    struct guest *guest = find(rehearsal, id);
    MOOT_ASSERT(id != 0);
    if (guest != NULL) {
        to_node(rehearsal, guest, NULL);
        guest->id = 0;
    }
}
