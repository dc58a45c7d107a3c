#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/status.h"
#include "moot/detector.h"
#include "sim/world.h"
#include "storage/store_memory.h"

enum { MILLION = 1000000, SPIN_MS = 20, SPINS_MAX = 100, OPEN_WRITES = 6, SHORT_US = 200 * 1000 };
static const uint64_t WALL_BEGIN_MS = UINT64_C(1700000000000);

/* ---- clocks ---- */

static uint64_t local_ns(const struct sim_machine *machine, uint64_t at)
{
    if (machine->drift_ppm == 0) {
        return machine->origin + (at - machine->born);
    }
    __int128 elapsed = (__int128)at - machine->born;
    return machine->origin + (uint64_t)(elapsed + elapsed * machine->drift_ppm / MILLION);
}

/* The first world time at which the machine's clock stands at `instant` or later. */
static uint64_t world_ns(const struct sim_machine *machine, uint64_t instant)
{
    __int128 ahead = instant > machine->origin ? (__int128)instant - machine->origin : 0;
    uint64_t at = machine->born + (uint64_t)(ahead * MILLION / (MILLION + machine->drift_ppm));
    while (local_ns(machine, at) < instant) {
        at++;
    }
    return at;
}

uint64_t sim__wall_ms(const struct sim_world *world)
{
    uint64_t begin_ms = world->options->wall_begin_ms;
    return (begin_ms == 0 ? WALL_BEGIN_MS : begin_ms) + world->now / MOOT_MSEC_NS;
}

struct moot_now sim__machine_now(const struct sim_world *world, const struct sim_machine *machine)
{
    uint64_t local = local_ns(machine, world->now);
    int64_t wall_ms = (int64_t)sim__wall_ms(world);
    return (struct moot_now){{local}, (uint64_t)(wall_ms + machine->wall_offset_ms)};
}

/* ---- life ---- */

static struct moot_store *new_store(struct sim_world *world)
{
    struct moot_store_memory_options store = {.seed = moot_rng_next(&world->rng),
                                              .wouldblock_one_in =
                                                  world->swarm.knobs[SIM_FAULT_WOULDBLOCK]};
    return moot_store_memory_open(&store);
}

struct sim_machine *sim__machine_make(struct sim_world *world, uint32_t slot)
{
    struct sim_machine *machine = moot_alloc_zero(sizeof(*machine));
    machine->slot = slot;
    machine->is_older = world->swarm.knobs[SIM_FAULT_UPGRADE] != 0 ||
                        (world->swarm.knobs[SIM_FAULT_OLDER] != 0 &&
                         slot == world->options->seed / 3 % world->swarm.nodes);
    machine->disk = moot_disk_sim_make(moot_rng_next(&world->rng));
    moot_disk_sim_sector(machine->disk, world->swarm.sector);
    machine->store = new_store(world);
    moot_arena_init(&machine->arena);
    return machine;
}

static void drop_inputs(struct sim_machine *machine)
{
    for (size_t i = 0; i < machine->input_count; i++) {
        moot_block_release(machine->owners[i]);
    }
    machine->input_count = 0;
    moot_arena_reset(&machine->arena);
}

void sim__machine_free(struct sim_machine *machine)
{
    if (machine == NULL) {
        return;
    }
    if (machine->node != NULL) {
        moot_node_close(machine->node);
    }
    sim__jobs_drop(machine);
    for (size_t i = 0; i < machine->connection_count; i++) {
        moot_buffer_deinit(&machine->connections[i].backlog);
        moot_buffer_deinit(&machine->connections[i].kept);
    }
    machine->store->ops->close(machine->store);
    moot_disk_sim_free(machine->disk);
    drop_inputs(machine);
    sim__witness_free_machine(machine);
    moot_arena_deinit(&machine->arena);
    moot_free(machine->inputs);
    moot_free(machine->owners);
    moot_free(machine);
}

void sim__new_store(struct sim_world *world, struct sim_machine *machine)
{
    MOOT_ASSERT(!machine->running);
    machine->store->ops->close(machine->store);
    machine->store = new_store(world);
    machine->store_lost = true;
}

static void set_clock(struct sim_world *world, struct sim_machine *machine)
{
    machine->born = world->now;
    machine->origin = MOOT_SEC_NS + sim__below(world, 1000 * MOOT_SEC_NS);
    uint32_t most_ppm = world->swarm.knobs[SIM_FAULT_DRIFT];
    machine->drift_ppm = (int64_t)sim__below(world, 2 * most_ppm + 1) - most_ppm;
    world->result->counts.faults[SIM_FAULT_DRIFT] += most_ppm > 0;
    uint32_t bad_ppm = world->swarm.knobs[SIM_FAULT_BAD_CLOCK];
    if (bad_ppm > 0 && machine->slot == world->options->seed % world->swarm.nodes) {
        sim__count(world, SIM_FAULT_BAD_CLOCK);
        machine->drift_ppm = sim__one_in(world, 2) ? bad_ppm : -(int64_t)bad_ppm;
    }
}

static void disk_crash(struct sim_world *world, struct sim_machine *machine)
{
    struct moot_disk_sim_losses before = moot_disk_sim_losses(machine->disk), after;
    moot_disk_sim_crash(machine->disk);
    after = moot_disk_sim_losses(machine->disk);
    world->result->counts.unsynced += after.unsynced - before.unsynced;
    world->result->counts.torn += after.torn - before.torn;
}

static void did_not_start(struct sim_world *world, struct sim_machine *machine, int status,
                          const char *why)
{
    sim__trace(world, "m%u does not start: %s: %s", machine->slot, moot_status_text(status), why);
    bool is_swept = machine->died_opening;
    machine->died_opening = false;
    if (status == MOOT_EIO && (is_swept || sim__level(world, SIM_FAULT_CRASH_OPEN) != 0)) {
        sim__count(world, SIM_FAULT_CRASH_OPEN);
        moot_store_memory_crash(machine->store);
        disk_crash(world, machine);
    } else if (status == MOOT_ENOSPACE && machine->full_until > world->now) {
        sim__count(world, SIM_FAULT_FULL_DISK);
    } else if (status == MOOT_EIO && machine->disk_dead_until > world->now) {
        moot_store_memory_crash(machine->store);
        disk_crash(world, machine);
    } else if (status == MOOT_EVERSION && machine->is_older) { /* As the text says. */
        sim__count_older(world);
        machine->is_older = false;
        machine->upgraded = true;
    } else if (status == MOOT_ECORRUPT && machine->store_gone) { /* As the text says. */
        MOOT_SOMETIMES(true, "a store that was gone was noticed");
        machine->store_gone = false;
        machine->store_lost = true;
    } else if (status == MOOT_ECORRUPT && machine->damaged) { /* As the text says: a new replica. */
        sim__lose_disk(world, machine);
        return;
    } else {
        sim__violation(world, "machine %u did not start: %s: %s", machine->slot,
                       moot_status_text(status), why);
        return;
    }
    sim__machine_start_later(world, machine);
}

void sim__machine_start_later(struct sim_world *world, const struct sim_machine *machine)
{
    uint64_t mean_us = world->phase == SIM_PHASE_FAULTS ? world->swarm.fault_us : 1000;
    if (machine->short_until > world->now) { /* Or it would die thousands of times. */
        mean_us = moot_max_u64(mean_us, SHORT_US);
    }
    sim__at(
        world, world->now + sim__around(world, mean_us),
        (struct sim_event){.kind = SIM_START, .machine = machine->slot, .epoch = machine->epoch});
}

void sim__count_older(struct sim_world *world)
{
    if (world->swarm.knobs[SIM_FAULT_UPGRADE] == 0) { /* That counts by itself. */
        sim__count(world, SIM_FAULT_OLDER);
    }
}

/* 0: the program's own. Who is upgraded comes from the last release to this one; who is older than
 * the others has this one, and they have the next. */
uint32_t sim__level_of(const struct sim_world *world, const struct sim_machine *machine)
{
    bool upgrades = world->swarm.knobs[SIM_FAULT_UPGRADE] != 0;
    if (!upgrades && world->swarm.knobs[SIM_FAULT_OLDER] == 0) {
        return 0;
    }
    if (!machine->is_older) {
        return MOOT_FEATURE_LEVEL + !upgrades;
    }
    /* Not every release differs from the next in what an entry comes to: any that came before. */
    return upgrades ? 1 + (uint32_t)(world->options->seed % (MOOT_FEATURE_LEVEL - 1))
                    : MOOT_FEATURE_LEVEL;
}

/* Large values need room for a command and its reply. */
static uint64_t clients_bytes(struct sim_world *world)
{
    uint64_t bytes = sim__level(world, SIM_FAULT_CRAMPED) * UINT64_C(1024);
    if (bytes > 0) {
        sim__count(world, SIM_FAULT_CRAMPED);
    }
    return world->swarm.workload == SIM_WORKLOAD_LARGE ? 16 * bytes : bytes;
}

/* What a brain is opened with shows all its life. */
static void count_what_it_has(struct sim_world *world)
{
    const uint32_t *knobs = world->swarm.knobs;
    uint64_t *counts = world->result->counts.faults;
    bool is_large = world->swarm.workload == SIM_WORKLOAD_LARGE;
    counts[SIM_FAULT_TINY_JOURNAL] += knobs[SIM_FAULT_TINY_JOURNAL] != 0 && !is_large;
    counts[SIM_FAULT_NARROW] += knobs[SIM_FAULT_NARROW] != 0;
    counts[SIM_FAULT_RARELY] += sim__level(world, SIM_FAULT_RARELY) != 0;
}

static struct moot_node_options options_of(struct sim_world *world, struct sim_machine *machine)
{
    const struct sim_swarm *swarm = &world->swarm;
    count_what_it_has(world);
    bool may_format = machine->starts == 0 || machine->journal_lost || sim__one_in(world, 2);
    return (struct moot_node_options){.disk = moot_disk_sim_disk(machine->disk),
                                      .store = machine->store,
                                      .format = may_format ? &machine->identity : NULL,
                                      .now = sim__machine_now(world, machine),
                                      .seed = moot_rng_next(&world->rng),
                                      .journal = {.segment_bytes = swarm->segment_bytes,
                                                  .segments_max = (uint32_t)swarm->segments},
                                      .chance = sim__chance(world, machine),
                                      .admission = sim__admission(),
                                      .election_ms = swarm->election_ms,
                                      .heartbeat_ms = swarm->heartbeat_ms,
                                      .raft_trace = world->record != NULL,
                                      .store_lost = machine->store_lost,
                                      .flush_bytes = swarm->flush_bytes,
                                      .recent_bytes = swarm->recent_bytes,
                                      .log_memory_bytes = swarm->log_memory_bytes,
                                      .read_elements = swarm->read_elements,
                                      .long_read_one_in = swarm->long_read_one_in,
                                      .feature_level = sim__level_of(world, machine),
                                      .clients_bytes = clients_bytes(world),
                                      .ring_bytes = sim__level(world, SIM_FAULT_CRAMPED) * 16,
                                      .edge_queue_bytes = swarm->knobs[SIM_FAULT_NARROW]};
}

/* A newer program has taken up what an older one left in the journal. */
static void note_upgrade(struct sim_world *world, struct sim_machine *machine)
{
    struct moot_group_view view;
    moot_node_group(machine->node, MOOT_GROUP_DB0, &view);
    if (machine->upgraded && view.last > view.applied) {
        world->result->counts.faults[SIM_FAULT_UPGRADE] +=
            world->swarm.knobs[SIM_FAULT_UPGRADE] != 0;
    }
    machine->upgraded = false;
}

/* A brain has been opened: what was known of the one before is void. */
static void begin_life(struct sim_world *world, struct sim_machine *machine)
{
    machine->starts++;
    machine->epoch++;
    machine->running = true;
    machine->doomed = machine->stopping = machine->reopening = false;
    machine->steps_aside = machine->store_lost = machine->store_gone = false;
    machine->journal_last = machine->journal_durable = 0;
    machine->busy_until = machine->paused_until = machine->disk_free_at = world->now;
    world->result->counts.restarts += machine->starts > 1;
    sim__trace(world, "m%u starts as node %u, incarnation %llu", machine->slot, machine->id,
               (unsigned long long)moot_node_incarnation(machine->node));
    sim__record_start(world, machine);
    note_upgrade(world, machine);
    sim__check_opened(world, machine);
    sim__check_forget(machine);
    sim__witness_start(world, machine);
    sim__machine_came(world, machine);
}

void sim__machine_start(struct sim_world *world, struct sim_machine *machine)
{
    MOOT_ASSERT(!machine->running && machine->id != 0);
    set_clock(world, machine);
    struct moot_node_options options = options_of(world, machine);
    char why[256] = "";
    bool dies = sim__one_in(world, sim__level(world, SIM_FAULT_CRASH_OPEN));
    uint64_t swept = machine->dies_opening != 0 ? machine->dies_opening : sim__sweep_open(world);
    uint64_t changes = moot_disk_sim_changes(machine->disk);
    if (dies || swept != 0) {
        moot_disk_sim_crash_at(machine->disk,
                               swept != 0 ? swept : 1 + sim__below(world, OPEN_WRITES));
    }
    if (machine->disk_dead_until > world->now) {
        moot_disk_sim_fail_at(machine->disk, 1, true);
    }
    int status = moot_node_open(&options, &machine->node, why);
    changes = moot_disk_sim_changes(machine->disk) - changes;
    machine->died_opening = swept != 0 && changes >= swept;
    if (machine->died_opening && machine->dies_opening == 0) {
        machine->disk_dead_until = sim__sweep_until(world);
    }
    machine->dies_opening = 0;
    sim__swept_open(world, changes);
    moot_disk_sim_crash_at(machine->disk, 0);
    if (status != 0) {
        did_not_start(world, machine, status, why);
        return;
    }
    machine->sync_fails = machine->store_fails = machine->store_rots = false;
    machine->write_fails = false;
    machine->disk_stalled_until = 0;
    begin_life(world, machine);
    sim__connections_reset(world, machine);
    sim__input(world, machine, MOOT_INPUT_TICK, (struct moot_slice){NULL, 0});
}

bool sim__machine_reopen(struct sim_world *world, struct sim_machine *machine)
{
    char spare[32], why[256] = "";
    bool fails = machine->sync_fails || machine->store_fails || machine->write_fails ||
                 machine->disk_dead_until > world->now || machine->store_dead_until > world->now ||
                 machine->disk_stalled_until > world->now || machine->full_until > world->now;
    if (fails || machine->store->ops->flush(machine->store) != 0) {
        return false;
    }
    sim__trace(world, "m%u gets a fresh brain", machine->slot);
    sim__record_gone(world, machine, false);
    for (size_t i = 0; i < machine->flight_count; i++) { /* The journal's thread ends its work. */
        moot_disk_sim_complete(machine->disk, machine->flights[i].flight);
    }
    while (moot_node_take_spare(machine->node, spare)) {
        struct moot_disk *disk = moot_disk_sim_disk(machine->disk);
        (void)disk->ops->remove(disk, spare);
    }
    moot_node_close(machine->node);
    machine->node = NULL;
    machine->input_count = 0;
    machine->turn_is_due = false;
    moot_arena_reset(&machine->arena);
    sim__jobs_drop(machine);
    machine->store->ops->ingest_abort(machine->store);
    sim__machine_gone(world, machine, false);
    struct moot_node_options options = options_of(world, machine);
    int status = moot_node_open(&options, &machine->node, why);
    if (status != 0) {
        machine->running = false;
        machine->epoch++;
        sim__connections_drop(world, machine, false);
        did_not_start(world, machine, status, why);
        return true;
    }
    begin_life(world, machine);
    sim__connections_kept(world, machine);
    sim__input(world, machine, MOOT_INPUT_TICK, (struct moot_slice){NULL, 0});
    return true;
}

void sim__machine_crash(struct sim_world *world, struct sim_machine *machine, bool is_quiet)
{
    MOOT_ASSERT(machine->running);
    sim__trace(world, "m%u is gone%s", machine->slot, is_quiet ? " without a word" : "");
    sim__record_gone(world, machine, is_quiet);
    machine->running = false;
    machine->down_since = world->now;
    machine->fenced_at = 0;
    machine->epoch++;
    sim_events_set_deadline(&world->events, machine->slot, UINT64_MAX);
    if (machine->node != NULL) {
        moot_node_close(machine->node);
    }
    machine->node = NULL;
    drop_inputs(machine);
    machine->turn_is_due = false;
    sim__jobs_drop(machine);
    moot_store_memory_crash(machine->store);
    disk_crash(world, machine);
    sim__rot(world, machine);
    sim__connections_drop(world, machine, is_quiet);
    sim__machine_gone(world, machine, is_quiet);
}

struct sim_machine *sim__machine_of(struct sim_world *world, moot_node_id id)
{
    for (uint32_t i = 0; i < world->machine_count; i++) {
        if (world->machines[i] != NULL && world->machines[i]->id == id) {
            return world->machines[i];
        }
    }
    return NULL;
}

/* ---- turns ---- */

void sim__arrange_turn(struct sim_world *world, struct sim_machine *machine)
{
    if (machine->turn_is_due) {
        return;
    }
    machine->turn_is_due = true;
    uint64_t at = world->now + 1 + sim__below(world, world->swarm.turn_us * MOOT_USEC_NS);
    at = moot_max_u64(at, machine->busy_until);
    sim__at(
        world, at,
        (struct sim_event){.kind = SIM_TURN, .machine = machine->slot, .epoch = machine->epoch});
}

static struct moot_input *add_input(struct sim_world *world, struct sim_machine *machine,
                                    enum moot_input_kind kind, struct moot_block *owner)
{
    MOOT_ASSERT(machine->running);
    if (machine->input_count ==
        machine->input_capacity) { /* It pauses, and the kernel keeps them. */
        size_t capacity = moot_max_u64(64, 2 * machine->input_capacity);
        machine->inputs = moot_realloc(machine->inputs, capacity * sizeof(*machine->inputs));
        machine->owners = moot_realloc(machine->owners, capacity * sizeof(*machine->owners));
        machine->input_capacity = capacity;
    }
    struct moot_input *input = &machine->inputs[machine->input_count];
    *input = (struct moot_input){.kind = kind};
    machine->owners[machine->input_count++] = owner;
    sim__arrange_turn(world, machine);
    return input;
}

struct moot_input *sim__input(struct sim_world *world, struct sim_machine *machine,
                              enum moot_input_kind kind, struct moot_slice bytes)
{
    struct moot_input *input = add_input(world, machine, kind, NULL);
    if (bytes.size > 0) {
        input->bytes = moot_arena_copy(&machine->arena, bytes);
    }
    return input;
}

struct moot_input *sim__input_block(struct sim_world *world, struct sim_machine *machine,
                                    enum moot_input_kind kind, struct moot_block *block)
{
    struct moot_input *input = add_input(world, machine, kind, moot_block_retain(block));
    input->bytes = moot_block_slice(block);
    return input;
}

void sim__machine_tick(struct sim_world *world, struct sim_machine *machine)
{
    MOOT_ASSERT(machine->running); /* Else its deadline went with it. */
    sim__input(world, machine, MOOT_INPUT_TICK, (struct moot_slice){NULL, 0});
}

static void note_inputs(struct sim_world *world, const struct sim_machine *machine)
{
    static const char *const names[MOOT_INPUT_KINDS] = {
        "tick",      "opened",  "bytes",   "ended",   "sent",    "closed", "peer-up",
        "peer-down", "message", "durable", "fetched", "flushed", "chunk",  "ingested",
        "long-read", "space",   "health",  "stop",    "reopen",  "kept",   "part"};
    sim__note(world, world->now);
    sim__note(world, machine->slot);
    for (size_t i = 0; i < machine->input_count; i++) {
        const struct moot_input *input = &machine->inputs[i];
        sim__note(world, (uint64_t)input->kind << 32 ^ input->node ^ (uint64_t)input->status << 40);
        sim__note(world, input->amount ^ input->ticket << 32);
        sim__note_bytes(world, input->bytes);
        sim__trace(world, "m%u <- %s node %u ticket %llu status %d, %zu bytes", machine->slot,
                   names[input->kind], input->node, (unsigned long long)input->ticket,
                   input->status, input->bytes.size);
    }
}

static void arm(struct sim_world *world, const struct sim_machine *machine,
                struct moot_instant deadline)
{
    uint64_t at = UINT64_MAX;
    if (deadline.ns != MOOT_NEVER.ns) {
        at = moot_max_u64(world_ns(machine, deadline.ns), world->now + MOOT_USEC_NS);
    }
    sim_events_set_deadline(&world->events, machine->slot, at);
}

/* A deadline that is always over, and nothing to do: it would burn a processor. */
static void watch_for_spin(struct sim_world *world, struct sim_machine *machine, bool is_tick,
                           size_t effects)
{
    if (!is_tick || effects > 0 || world->now - machine->idle_since > SPIN_MS * MOOT_MSEC_NS) {
        machine->idle_ticks = 0;
        machine->idle_since = world->now;
    } else if (++machine->idle_ticks > SPINS_MAX) {
        sim__violation(world, "m%u spins: %u turns within %u ms with nothing to do", machine->slot,
                       machine->idle_ticks, SPIN_MS);
    }
}

/* Detectors are advice: whatever they say, nothing is lost and everything ends. For seconds at a
 * time they insist that a node's links are slow, which moves a leader; else they talk at random. */
static void lie(struct sim_world *world, struct sim_machine *machine)
{
    if (!sim__one_in(world, sim__level(world, SIM_FAULT_LIE))) {
        return;
    }
    sim__count(world, SIM_FAULT_LIE);
    moot_node_id about = 1 + (moot_node_id)sim__below(world, world->machine_count + 1);
    uint64_t seconds = world->now / (4 * MOOT_SEC_NS);
    bool insists = moot_hash_mix(seconds, machine->slot) % 2 == 0;
    struct moot_input *input =
        sim__input(world, machine, MOOT_INPUT_HEALTH, (struct moot_slice){NULL, 0});
    input->node = about;
    input->status = (int)sim__below(world, MOOT_HEALTH_STATES);
    input->amount = sim__below(world, MOOT_DETECTOR_MILLI_MAX + 1);
    input->link.round_trip_us = insists ? 300000 : (uint32_t)sim__below(world, 1000000);
    input->link.others_us = insists ? 100 : (uint32_t)sim__below(world, 1000000);
}

/* What a turn has to do with, in bytes: the measure of its work. */
static uint64_t bytes_of(const struct sim_machine *machine, const struct moot_effects *effects)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < machine->input_count; i++) {
        bytes += machine->inputs[i].bytes.size;
    }
    for (size_t i = 0; i < effects->count; i++) {
        const struct moot_effect *effect = &effects->items[i];
        bytes += effect->kind == MOOT_EFFECT_JOURNAL ? effect->journal.bytes.size : 0;
        bytes += effect->kind == MOOT_EFFECT_REPLY ? effect->client.bytes.size : 0;
        for (uint32_t k = 0; effect->kind == MOOT_EFFECT_SEND && k < effect->send.part_count; k++) {
            bytes += effect->send.parts[k].bytes.size;
        }
    }
    return bytes;
}

void sim__machine_turn(struct sim_world *world, struct sim_machine *machine)
{
    if (machine->paused_until > world->now) {
        uint64_t look = world->now + 20 * MOOT_MSEC_NS; /* The pause may end before its time. */
        sim__at(world, moot_min_u64(look, machine->paused_until),
                (struct sim_event){
                    .kind = SIM_TURN, .machine = machine->slot, .epoch = machine->epoch});
        return;
    }
    lie(world, machine);
    note_inputs(world, machine);
    bool is_tick = machine->input_count == 1 && machine->inputs[0].kind == MOOT_INPUT_TICK;
    struct moot_effects effects;
    if (!sim__turn(world, machine, &effects)) {
        sim__process_ends(world, machine);
        return;
    }
    sim__record_turn(world, machine, &effects);
    world->result->counts.turns++;
    uint64_t work_ns =
        world->options->byte_ns == 0 ? 0 : world->options->byte_ns * bytes_of(machine, &effects);
    drop_inputs(machine);
    machine->turn_is_due = false;
    machine->busy_until =
        world->now + MOOT_USEC_NS + work_ns + sim__below(world, world->swarm.turn_us * 500);
    sim__note_forced(world, machine);
    sim__check(world, machine);
    watch_for_spin(world, machine, is_tick, effects.count);
    if (machine->upgrade) {
        machine->upgrade = machine->is_older = false;
        machine->upgraded = true;
        sim__record_strike(world, machine, "gets a newer program");
        sim__process_ends(world, machine);
        return;
    }
    if (machine->replace) {
        machine->replace = false;
        sim__lose_disk(world, machine);
        return;
    }
    size_t count = effects.count;
    if (machine->doomed) {
        count = (size_t)sim__below(world, effects.count + 1);
    }
    arm(world, machine, effects.deadline);
    bool doomed = machine->doomed;
    uint64_t epoch = machine->epoch;
    sim__perform(world, machine, effects.items, count);
    if (doomed && machine->running && machine->epoch == epoch) {
        sim__machine_crash(world, machine, false);
    }
}
