#include "base/assert.h"
#include "base/hash.h"
#include "base/status.h"
#include "sim/world.h"

enum { PARTITIONS_MAX = 64, LENGTHS = 4, FLAP_US = 50 * 1000, DAYS_MS = 20 * 24 * 3600 * 1000 };
enum { REOPEN_STALL_S = 8, RING_MIN = 4, TXNS_EVERY = 11, ANY_AT = 2 };

/* ---- swarm: the first random stream (Groce et al., "Swarm Testing", ISSTA 2012) ---- */

static uint64_t pick(struct moot_rng *rng, const uint64_t *choices, size_t count)
{
    return choices[moot_rng_below(rng, count)];
}
#define PICK(rng, ...)                                                                             \
    pick((rng), (const uint64_t[]){__VA_ARGS__},                                                   \
         sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static bool damages_disks(sim_fault_set set)
{
    static const enum sim_fault faults[] = {
        SIM_FAULT_LOSE_JOURNAL, SIM_FAULT_LOSE_DISK,  SIM_FAULT_STORE_CHECKSUM,
        SIM_FAULT_ROT_OLD,      SIM_FAULT_ROT_RECENT, SIM_FAULT_ROT_PADDING,
        SIM_FAULT_MISDIRECT,    SIM_FAULT_ROT_ALL,    SIM_FAULT_LOSE_STORE};
    bool any = false;
    for (size_t i = 0; i < MOOT_ARRAY_LEN(faults); i++) {
        any = any || sim_fault_has(set, faults[i]);
    }
    return any;
}

static void draw_faults(struct sim_world *world, struct moot_rng *rng)
{
    struct sim_swarm *swarm = &world->swarm;
    uint64_t seed = world->options->seed;
    sim_fault_set set = sim_faults_of(seed, &world->options->faults);
    for (uint32_t i = 0; i < SIM_FAULTS; i++) {
        swarm->knobs[i] = sim_fault_has(set, i) ? sim_fault_knob(seed, (enum sim_fault)i) : 0;
    }
    if (damages_disks(set)) { /* See atlas.c. */
        swarm->knobs[SIM_FAULT_REMOVE] = swarm->knobs[SIM_FAULT_REMOVE_TWO] = 0;
        swarm->is_damaged = true;
    }
    world->result->faults = set;
    swarm->fault_gap_us = PICK(rng, 50, 150, 400, 1000, 3000) * 1000;
    swarm->fault_us = PICK(rng, 20, 200, 800, 2500) * 1000;
}

static void draw_machines(struct sim_swarm *swarm, struct moot_rng *rng)
{
    swarm->delay_us = PICK(rng, 20, 100, 500, 3000);
    swarm->delay_shape = PICK(rng, 0, 0, 1, 2, 3);
    swarm->sector = PICK(rng, 512, 512, 4096);
    swarm->jitter_us = PICK(rng, 0, 50, 500, 5000);
    swarm->disk_us = PICK(rng, 20, 100, 1000, 8000);
    swarm->disk_jitter_us = PICK(rng, 10, 200, 5000);
    swarm->turn_us = PICK(rng, 1, 5, 50, 300);
    swarm->election_ms = PICK(rng, 0, 150, 300, 1000);
    swarm->heartbeat_ms = swarm->election_ms / 8;
    swarm->flush_bytes = PICK(rng, 16, 64, 256, 2048) * 1024;
    swarm->log_memory_bytes = PICK(rng, 0, 16, 64, 1024) * 1024;
    swarm->segments = PICK(rng, 4, 6, 16, 16);
    if (swarm->is_damaged) { /* Rot keeps its segment: one that is full cannot be repaired. */
        swarm->segments = 32;
    }
    swarm->segment_bytes = PICK(rng, 256, 512, 2048) * 1024;
}

/* From a hash of its own, so that it disturbs no other choice. Most reads touch few elements here:
 * a tiny budget makes those of whole collections long, and chance makes any. */
static void draw_long_reads(struct sim_swarm *swarm, uint64_t seed)
{
    static const uint64_t elements[] = {1, 3, 10, 0}, one_in[] = {2, 4, 8};
    uint64_t hash = moot_hash_mix(seed, 0x10e6);
    swarm->read_elements = elements[hash % MOOT_ARRAY_LEN(elements)];
    swarm->long_read_one_in = one_in[hash / 16 % MOOT_ARRAY_LEN(one_in)];
}

/* Ids end far above the number of nodes: in one world of three they pass what one cluster has at
 * once, or begin far beyond. Clients from outside see them, and get small ones. */
static moot_node_id draw_ids(const struct moot_sim_options *options)
{
    uint64_t hash = moot_hash_mix(options->seed, 0x1d5);
    uint64_t far = hash / 64 % 2 == 0 ? 65000 : 1000;
    uint64_t from = hash / 16 % 4 == 0 ? far : MOOT_NODES_MAX - 8 + hash / 256 % 8;
    return hash % 3 != 0 || options->client_port != 0 ? 1 : (moot_node_id)from;
}

void sim__swarm(struct sim_world *world)
{
    struct sim_swarm *swarm = &world->swarm;
    struct moot_rng rng;
    moot_rng_init(&rng, moot_hash_mix(world->options->seed, 0x5aa2));
    *swarm = (struct sim_swarm){0};
    draw_faults(world, &rng);
    draw_machines(swarm, &rng);
    swarm->nodes = (uint32_t)PICK(&rng, 1, 2, 3, 3, 3, 3, 4, 5, 5);
    if (world->options->nodes != 0) {
        swarm->nodes = world->options->nodes;
    }
    swarm->clients = 1 + (uint32_t)PICK(&rng, 1, 3, 5, 8, 16);
    swarm->keys = (uint32_t)PICK(&rng, 1, 2, 4, SIM_KEYS_MAX);
    swarm->workload = (uint32_t)moot_rng_below(&rng, SIM_WORKLOAD_TXN);
    if (world->options->seed % TXNS_EVERY == TXNS_EVERY - 1) { /* Not drawn: others stay as is. */
        swarm->workload = SIM_WORKLOAD_TXN;
    } else if (world->options->seed % TXNS_EVERY == TXNS_EVERY / 2) {
        swarm->workload = SIM_WORKLOAD_REGISTER_TXN;
    } else if (world->options->seed % TXNS_EVERY == ANY_AT) {
        swarm->workload = SIM_WORKLOAD_ANY;
    }
    if (world->options->workload != 0) {
        swarm->workload = world->options->workload - 1;
    }
    swarm->pipeline = (uint32_t)PICK(&rng, 1, 1, 3, 8);
    swarm->think_us = PICK(&rng, 1, 5, 20, 80) * 1000;
    swarm->patience_ms = PICK(&rng, 700, 3000, 8000);
    swarm->database = (uint8_t)PICK(&rng, 0, 0, 0, 7, 15);
    if (swarm->workload == SIM_WORKLOAD_LARGE) { /* A batch must fit a segment. */
        swarm->segment_bytes = 4 * 1024 * 1024;
        swarm->pipeline = (uint32_t)moot_min_u64(swarm->pipeline, 3);
        swarm->keys = SIM_KEYS_MAX; /* Snapshots of more than one chunk. */
        swarm->log_memory_bytes = 64 * 1024;
        swarm->knobs[SIM_FAULT_NARROW] = 0; /* One value may be more than that. */
    }
    if (swarm->workload == SIM_WORKLOAD_ANY) { /* Each has two databases of its own, or more. */
        swarm->clients = (uint32_t)moot_min_u64(swarm->clients, 1 + MOOT_DATABASES / 2);
        if (sim__any_is_large(world->options->seed)) { /* As below. */
            swarm->segment_bytes = 8 * 1024 * 1024;
            swarm->knobs[SIM_FAULT_NARROW] = swarm->knobs[SIM_FAULT_CRAMPED] = 0;
            swarm->knobs[SIM_FAULT_TINY_JOURNAL] = 0;
        }
    }
    if (swarm->knobs[SIM_FAULT_TINY_JOURNAL] != 0 && swarm->workload != SIM_WORKLOAD_LARGE) {
        swarm->segment_bytes = swarm->knobs[SIM_FAULT_TINY_JOURNAL] / 4 * 4096;
        swarm->segments = swarm->is_damaged ? swarm->segments : 4;
    }
    swarm->faults_end_us = PICK(&rng, 10, 20, 40) * 1000 * 1000;
    draw_long_reads(swarm, world->options->seed);
    swarm->ids_from = draw_ids(world->options);
    swarm->recent_bytes = PICK(&rng, 64, 1024, 1024) * 1024; /* Some are pushed out. */
    if (world->options->faults_ns != 0) {
        swarm->faults_end_us = world->options->faults_ns / MOOT_USEC_NS;
    }
}

/* ---- who is where ---- */

moot_node_id sim__leader(struct sim_world *world, moot_group_id group)
{
    moot_node_id leader = 0;
    moot_term term = 0;
    for (uint32_t i = 0; i < world->machine_count; i++) {
        const struct sim_machine *machine = world->machines[i];
        struct moot_group_view view;
        if (machine == NULL || !machine->running) {
            continue;
        }
        moot_node_group(machine->node, group, &view);
        if (view.leads && view.term >= term) {
            leader = machine->id;
            term = view.term;
        }
    }
    return leader;
}

static struct sim_machine *any_running(struct sim_world *world)
{
    uint32_t first = (uint32_t)sim__below(world, world->machine_count);
    for (uint32_t i = 0; i < world->machine_count; i++) {
        struct sim_machine *machine = world->machines[(first + i) % world->machine_count];
        if (machine != NULL && machine->running) {
            return machine;
        }
    }
    return NULL;
}

static struct sim_machine *leader_of_some_group(struct sim_world *world)
{
    moot_group_id group = sim__one_in(world, 4) ? MOOT_GROUP_SYSTEM : MOOT_GROUP_DB0;
    moot_node_id leader = sim__leader(world, group);
    return leader == 0 ? any_running(world) : sim__machine_of(world, leader);
}

/* ---- faults ---- */

static uint64_t how_long(struct sim_world *world)
{
    return sim__around(world, sim__one_in(world, LENGTHS) ? world->swarm.fault_us * 3
                                                          : world->swarm.fault_us);
}

static void crash(struct sim_world *world, enum sim_fault fault, struct sim_machine *machine)
{
    if (machine == NULL || machine->doomed) {
        return;
    }
    sim__count(world, fault);
    uint64_t back = world->now + MOOT_MSEC_NS + how_long(world);
    if (sim__one_in(world, 3)) {
        sim__machine_crash(world, machine, sim__one_in(world, 4));
    } else { /* Between two effects of its next turn, which may take a while to come. */
        machine->doomed = true;
    }
    sim__at(world, back, (struct sim_event){.kind = SIM_START, .machine = machine->slot});
}

void sim__power(struct sim_world *world)
{
    for (uint32_t i = 0; i < world->machine_count; i++) {
        struct sim_machine *machine = world->machines[i];
        if (machine != NULL && machine->running) {
            sim__machine_crash(world, machine, true);
            /* In a sweep it may be long over with faults, and nobody waits for one. */
            uint64_t down =
                world->phase == SIM_PHASE_FAULTS ? how_long(world) : sim__around(world, 1000);
            sim__at(world, world->now + down, (struct sim_event){.kind = SIM_START, .machine = i});
        }
    }
}

static void partition_for(struct sim_world *world, uint32_t from, uint32_t to, bool both_ways,
                          uint64_t length)
{
    for (uint32_t i = 0; i + 1 < PARTITIONS_MAX; i += 2) {
        if (world->partition_in_force[i] || world->partition_in_force[i + 1]) {
            continue;
        }
        sim__trace(world, "partition %x > %x%s", from, to, both_ways ? " both ways" : "");
        for (uint32_t k = 0; k < (both_ways ? 2 : 1); k++) {
            world->partitions[i + k][0] = k == 0 ? from : to;
            world->partitions[i + k][1] = k == 0 ? to : from;
            world->partition_in_force[i + k] = true;
            sim__cut(world, world->partitions[i + k][0], world->partitions[i + k][1], true);
        }
        sim__record_fault(world, both_ways ? "partition" : "one-way partition", i, from, to,
                          UINT64_MAX, "%s", "");
        sim__at(world, world->now + length, (struct sim_event){.kind = SIM_MEND, .number = i});
        return;
    }
}

static void partition(struct sim_world *world, uint32_t from, uint32_t to, bool both_ways)
{
    partition_for(world, from, to, both_ways, how_long(world));
}

/* As long again without as with it. */
void sim__flap(struct sim_world *world, const struct sim_event *event)
{
    uint64_t length = 1 + sim__around(world, FLAP_US);
    if (event->machine == 0 || sim__level(world, SIM_FAULT_FLAP) == 0) {
        return;
    }
    partition_for(world, (uint32_t)event->number, event->other, true, length);
    struct sim_event next = *event;
    next.machine--;
    sim__at(world, world->now + 2 * length, next);
}

void sim__mend(struct sim_world *world, uint64_t number)
{
    for (uint64_t i = number; i < number + 2; i++) {
        if (world->partition_in_force[i]) {
            world->partition_in_force[i] = false;
            sim__cut(world, world->partitions[i][0], world->partitions[i][1], false);
        }
    }
    sim__trace(world, "partition %llu mends", (unsigned long long)number);
    sim__record_fault_ends(world, "partition", number);
    sim__record_fault_ends(world, "one-way partition", number);
}

/* Links across a partition end after a while, as kernels and heartbeats of links see to. */
static void links_end(struct sim_world *world, uint32_t from, uint32_t to)
{
    if (sim__one_in(world, 2)) {
        return;
    }
    for (uint32_t a = 0; a < world->machine_count; a++) {
        for (uint32_t b = a + 1; b < world->machine_count; b++) {
            bool apart = ((from >> a & 1) != 0 && (to >> b & 1) != 0) ||
                         ((from >> b & 1) != 0 && (to >> a & 1) != 0);
            if (apart) {
                sim__link_break(world, a, b, -9, 1000 * 1000);
            }
        }
    }
}

void sim__isolate(struct sim_world *world, const struct sim_machine *machine)
{
    uint32_t all = (1U << world->machine_count) - 1, it = 1U << machine->slot;
    if (all != it) {
        partition(world, it, all & ~it, true);
        links_end(world, it, all & ~it);
    }
}

static void some_partition(struct sim_world *world, enum sim_fault fault)
{
    uint32_t all = (1U << world->machine_count) - 1;
    uint32_t from = (uint32_t)sim__below(world, all + 1), to = all & ~from;
    struct sim_machine *leader = leader_of_some_group(world);
    if (fault == SIM_FAULT_ISOLATE_LEADER && leader != NULL) {
        from = 1U << leader->slot;
        to = all & ~from;
    } else if (fault == SIM_FAULT_CUT) {
        from = 1U << sim__below(world, world->machine_count);
        to = 1U << sim__below(world, world->machine_count);
        to &= ~from;
    }
    if (from != 0 && to != 0 && fault == SIM_FAULT_FLAP) {
        sim__count(world, fault);
        sim__at(world, world->now,
                (struct sim_event){.kind = SIM_FLAP,
                                   .machine = 2 + (uint32_t)sim__below(world, 20),
                                   .number = from,
                                   .other = to});
    } else if (from != 0 && to != 0) {
        sim__count(world, fault);
        partition(world, from, to, fault != SIM_FAULT_ONE_WAY);
        links_end(world, from, to);
    }
}

/* Each reaches a majority and no two the same one, or the sides have one node in common: then
 * everybody may be led, and nobody agrees with all others on by whom. */
static void partial(struct sim_world *world)
{
    uint32_t count = world->machine_count, all = (1U << count) - 1;
    uint64_t length = how_long(world);
    bool is_ring = count >= RING_MIN && sim__one_in(world, 2);
    uint32_t bridge = 1U << sim__below(world, count);
    uint32_t side = (uint32_t)sim__below(world, all + 1) & ~bridge;
    uint32_t other = all & ~bridge & ~side;
    if (!is_ring && (side == 0 || other == 0)) {
        return;
    }
    sim__count(world, SIM_FAULT_PARTIAL);
    if (!is_ring) {
        partition_for(world, side, other, true, length);
        links_end(world, side, other);
        return;
    }
    for (uint32_t a = 0; a < count; a++) {
        for (uint32_t b = a + 2; b < count && b - a < count - 1; b++) {
            partition_for(world, 1U << a, 1U << b, true, length);
            links_end(world, 1U << a, 1U << b);
        }
    }
}

static void pause_one(struct sim_world *world, enum sim_fault fault, struct sim_machine *machine)
{
    sim__count(world, fault);
    uint64_t length = fault == SIM_FAULT_PAUSE
                          ? how_long(world)
                          : 3 * MOOT_SEC_NS + sim__below(world, 10 * MOOT_SEC_NS);
    machine->paused_until = world->now + length;
    sim__record_fault(world, "pause", machine->slot, 1U << machine->slot, 0, machine->paused_until,
                      "%s", "");
    sim__trace(world, "m%u pauses for %.3f s", machine->slot,
               (double)(machine->paused_until - world->now) / 1e9);
}

static void jump_clock(struct sim_world *world, enum sim_fault fault, struct sim_machine *machine)
{
    sim__count(world, fault);
    uint64_t most_ms = sim__one_in(world, 3) ? 60 * 1000 : 300;
    if (fault == SIM_FAULT_CLOCK_FAR) {
        most_ms = DAYS_MS;
    }
    machine->wall_offset_ms = (int64_t)sim__below(world, 2 * most_ms) - (int64_t)most_ms;
    int64_t off_ms = machine->wall_offset_ms;
    off_ms = off_ms < 0 ? -off_ms : off_ms;
    if (off_ms > MOOT_CLOCK_BOUND_MS) {
        world->leapt |= 1U << machine->slot;
        world->fell_behind |= machine->wall_offset_ms < 0;
    } else {
        world->nudged_ms = moot_max_u64(world->nudged_ms, (uint64_t)off_ms);
    }
    sim__record_fault(world, "wrong clock", machine->slot, 1U << machine->slot, 0, UINT64_MAX,
                      "%+lld ms", (long long)machine->wall_offset_ms);
    sim__trace(world, "m%u has a wall clock %lld ms off", machine->slot,
               (long long)machine->wall_offset_ms);
}

static void break_link(struct sim_world *world)
{
    uint32_t a = (uint32_t)sim__below(world, world->machine_count);
    uint32_t b = (uint32_t)sim__below(world, world->machine_count);
    if (a != b) {
        sim__count(world, SIM_FAULT_BREAK_LINK);
        sim__link_break(world, a, b, sim__one_in(world, 2) ? 0 : -9, 1000);
    }
}

static void hinder_link(struct sim_world *world, enum sim_fault fault)
{
    uint32_t a = (uint32_t)sim__below(world, world->machine_count);
    uint32_t b = (uint32_t)sim__below(world, world->machine_count);
    uint64_t until = world->now + how_long(world);
    if (a == b) {
        return;
    }
    sim__count(world, fault);
    if (fault == SIM_FAULT_SLOW_LINK) {
        world->links[a][b].slow_until = until;
    } else {
        world->links[a][b].clogged_until = until;
    }
    sim__record_fault(world, SIM_FAULT_ROWS[fault].name, a * SIM_MACHINES_MAX + b, 1U << a, 1U << b,
                      until, "%s", "one way");
}

static void no_room(struct sim_world *world, enum sim_fault fault, struct sim_machine *machine)
{
    sim__count(world, fault);
    machine->full_until = world->now + how_long(world);
    sim__record_fault(world, SIM_FAULT_ROWS[fault].name, machine->slot, 1U << machine->slot, 0,
                      machine->full_until, "%s", "");
    if (fault == SIM_FAULT_FULL_DISK) {
        sim__disk_room(world, machine, true);
    } else {
        uint64_t left = sim__one_in(world, 2) ? 0 : (uint64_t)MOOT_DISK_LOW_MIB << 19;
        sim__input(world, machine, MOOT_INPUT_SPACE, (struct moot_slice){NULL, 0})->amount = left;
    }
    sim__at(world, machine->full_until,
            (struct sim_event){.kind = SIM_ROOM, .machine = machine->slot});
}

static void stall_disk(struct sim_world *world, struct sim_machine *machine, uint64_t length_ns)
{
    sim__count(world, SIM_FAULT_STALL_DISK);
    machine->disk_stalled_until = world->now + length_ns;
    sim__record_fault(world, "stalled disk", machine->slot, 1U << machine->slot, 0,
                      machine->disk_stalled_until, "%s", "");
}

/* Journal and store each make up for the other, once. Who loses one while the other is not whole
 * has lost its disk, which is another fault: nothing is left that could know what it had. */
static bool may_lose_half(const struct sim_world *world, const struct sim_machine *machine)
{
    return sim__may_damage(world, machine) && !machine->damaged;
}

/* Damage that the next use of the disk or store shows. */
static void strike_disk(struct sim_world *world, enum sim_fault fault, struct sim_machine *machine)
{
    if (fault == SIM_FAULT_FULL_DISK || fault == SIM_FAULT_LOW_SPACE) {
        no_room(world, fault, machine);
    } else if (fault == SIM_FAULT_STALL_DISK) {
        stall_disk(world, machine, 4 * how_long(world));
    } else if (fault == SIM_FAULT_FAIL_SYNC) {
        machine->sync_fails = true;
    } else if (fault == SIM_FAULT_FAIL_WRITE) {
        machine->write_fails = true;
    } else if (fault == SIM_FAULT_STORE_WRITE) {
        machine->store_fails = true;
    } else if (fault == SIM_FAULT_STORE_CHECKSUM && sim__may_damage(world, machine)) {
        machine->store_rots = machine->damaged = true;
        world->must_recover = false;
    } else if (fault == SIM_FAULT_LOSE_DISK && sim__may_damage(world, machine) &&
               world->machine_count < SIM_MACHINES_MAX) {
        sim__count(world, fault);
        sim__lose_disk(world, machine);
    } else if (fault == SIM_FAULT_LOSE_JOURNAL && may_lose_half(world, machine) &&
               world->machine_count < SIM_MACHINES_MAX) {
        sim__lose_journal(world, machine);
    } else if (fault == SIM_FAULT_LOSE_STORE && may_lose_half(world, machine)) {
        sim__lose_store(world, machine);
    }
}

/* A client reads nothing for a while; its node hears how much of what it was sent is unread. */
static void slow_reader(struct sim_world *world)
{
    struct sim_client *client = &world->clients[sim__below(world, world->swarm.clients)];
    if (!client->connected) {
        return;
    }
    struct sim_machine *machine = world->machines[client->machine];
    uint64_t length = how_long(world);
    bool is_hopeless = sim__one_in(world, 8);
    sim__count(world, SIM_FAULT_SLOW_READER);
    /* What it is sent by then is on its way already: healing could not hasten it. */
    client->slow_until = moot_max_u64(
        world->now, moot_min_u64(world->now + length, world->swarm.faults_end_us * MOOT_USEC_NS));
    if (machine->running && machine->epoch == client->machine_epoch) {
        struct moot_input *input =
            sim__input(world, machine, MOOT_INPUT_CLIENT_SENT, (struct moot_slice){NULL, 0});
        input->connection = client->connection;
        input->amount = is_hopeless ? (uint64_t)MOOT_OUTPUT_HARD + 1
                                    : 2 * (uint64_t)MOOT_OUTPUT_SOFT * sim__below(world, 2);
        sim__at(world, client->slow_until,
                (struct sim_event){.kind = SIM_READS,
                                   .machine = client->machine,
                                   .epoch = client->machine_epoch,
                                   .number = client->connection});
    }
}

static void strike_machine(struct sim_world *world, enum sim_fault fault,
                           struct sim_machine *machine)
{
    if (fault == SIM_FAULT_PAUSE || fault == SIM_FAULT_LONG_PAUSE) {
        pause_one(world, fault, machine);
    } else if (fault == SIM_FAULT_CLOCK_JUMP || fault == SIM_FAULT_CLOCK_FAR) {
        jump_clock(world, fault, machine);
    } else if (fault == SIM_FAULT_DROP_CLIENTS) {
        sim__count(world, fault);
        sim__connections_break(world, machine);
    } else if (fault == SIM_FAULT_SLOW_DISK) {
        sim__count(world, fault);
        machine->disk_slow_until = world->now + how_long(world);
        sim__record_fault(world, "slow disk", machine->slot, 1U << machine->slot, 0,
                          machine->disk_slow_until, "%s", "");
    } else if (fault == SIM_FAULT_REOPEN && !machine->doomed && !machine->stopping) {
        machine->reopening = true;
        sim__input(world, machine, MOOT_INPUT_REOPEN, (struct moot_slice){NULL, 0});
        bool may_stall = world->swarm.knobs[SIM_FAULT_STALL_DISK] != 0;
        if (may_stall && sim__one_in(world, 2)) { /* Which cannot be waited for. */
            stall_disk(world, machine, REOPEN_STALL_S * MOOT_SEC_NS);
        }
    } else if (fault == SIM_FAULT_STOP && !machine->doomed) {
        machine->stopping = true;
        sim__input(world, machine, MOOT_INPUT_STOP, (struct moot_slice){NULL, 0});
    } else if (fault == SIM_FAULT_CRASH) {
        crash(world, fault, machine);
    } else if (fault == SIM_FAULT_UPGRADE) {
        machine->upgrade = machine->upgrade || machine->is_older; /* After its next turn. */
    } else {
        strike_disk(world, fault, machine);
    }
}

static void strike_with(struct sim_world *world, enum sim_fault fault)
{
    struct sim_machine *machine = any_running(world);
    switch (fault) {
    case SIM_FAULT_CRASH_LEADER:
        crash(world, fault, leader_of_some_group(world));
        return;
    case SIM_FAULT_POWER:
        sim__count(world, fault);
        sim__power(world);
        return;
    case SIM_FAULT_ROT_ALL:
        if (sim__may_damage_all(world)) {
            sim__power(world);
            sim__rot_all(world);
        }
        return;
    case SIM_FAULT_PARTITION:
    case SIM_FAULT_ISOLATE_LEADER:
    case SIM_FAULT_ONE_WAY:
    case SIM_FAULT_CUT:
    case SIM_FAULT_FLAP:
        some_partition(world, fault);
        return;
    case SIM_FAULT_PARTIAL:
        partial(world);
        return;
    case SIM_FAULT_BEHIND:
        machine = leader_of_some_group(world);
        if (machine != NULL && sim__leader(world, MOOT_GROUP_DB0) != 0) {
            sim__set_ahead(world, machine);
        }
        return;
    case SIM_FAULT_SLOW_READER:
        slow_reader(world);
        return;
    case SIM_FAULT_SLOW_LINK:
    case SIM_FAULT_CLOG:
        hinder_link(world, fault);
        return;
    case SIM_FAULT_BREAK_LINK:
        break_link(world);
        return;
    case SIM_FAULT_BREAK_CLIENT:
        sim__count(world, fault);
        sim__client_break(world, &world->clients[sim__below(world, world->swarm.clients)]);
        return;
    case SIM_FAULT_JOIN:
    case SIM_FAULT_REMOVE:
    case SIM_FAULT_REMOVE_TWO:
    case SIM_FAULT_TRANSFER:
        world->admin_wish = fault; /* One at a time; the last wish counts. */
        return;
    default:
        if (machine != NULL) {
            strike_machine(world, fault, machine);
        }
        return;
    }
}

void sim__strike(struct sim_world *world)
{
    uint64_t sum = 0, weights[SIM_FAULTS];
    for (uint32_t i = 0; i < SIM_FAULTS; i++) {
        weights[i] = SIM_FAULT_ROWS[i].sort == SIM_FAULT_STRIKES ? world->swarm.knobs[i] : 0;
        sum += weights[i];
    }
    if (sum == 0 || world->phase != SIM_PHASE_FAULTS) {
        return;
    }
    uint64_t at = sim__below(world, sum);
    uint32_t fault = 0;
    while (at >= weights[fault]) {
        at -= weights[fault++];
    }
    strike_with(world, (enum sim_fault)fault);
    sim__at(world, world->now + sim__around(world, world->swarm.fault_gap_us),
            (struct sim_event){.kind = SIM_NEMESIS});
}

/* From now on nothing fails. Whoever is down starts; clocks are set. */
void sim__heal(struct sim_world *world)
{
    sim__record_healed(world);
    for (uint64_t i = 0; i < PARTITIONS_MAX; i += 2) {
        sim__mend(world, i);
    }
    for (uint32_t i = 0; i < world->machine_count; i++) {
        struct sim_machine *machine = world->machines[i];
        if (machine == NULL) {
            continue;
        }
        machine->doomed = false;
        machine->disk_slow_until = 0;
        machine->disk_stalled_until = 0;
        machine->sync_fails = machine->store_fails = machine->write_fails = false;
        machine->disk_dead_until = machine->store_dead_until = machine->short_until = 0;
        if (machine->full_until > 0) {
            sim__disk_room(world, machine, false);
        }
        machine->wall_offset_ms = 0;
        sim__forced_end(machine);
        machine->paused_until = moot_min_u64(machine->paused_until, world->now);
        if (machine->running) {
            sim__input(world, machine, MOOT_INPUT_TICK, (struct moot_slice){NULL, 0});
        } else if (machine->id != 0 && !machine->lost) {
            sim__at(world, world->now + sim__around(world, 1000),
                    (struct sim_event){.kind = SIM_START, .machine = i});
        }
    }
    for (uint32_t a = 0; a < SIM_MACHINES_MAX; a++) {
        for (uint32_t b = 0; b < SIM_MACHINES_MAX; b++) {
            struct sim_link *link = &world->links[a][b];
            link->slow_until = link->clogged_until = 0;
            if (moot_max_u64(link->last_at[0], link->last_at[1]) > world->now + MOOT_SEC_NS) {
                sim__link_break(world, a, b, MOOT_EIO, 1000); /* What it still holds is lost. */
            }
        }
    }
    for (uint32_t i = 0; i < world->swarm.clients; i++) { /* Who would read much later goes. */
        struct sim_client *client = &world->clients[i];
        uint64_t until = moot_max_u64(client->slow_until, client->to_client_at);
        if (client->connected && until > world->now + MOOT_SEC_NS) {
            sim__client_break(world, client);
        }
    }
    world->admin_wish = SIM_FAULTS;
}
