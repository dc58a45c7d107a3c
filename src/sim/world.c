#include "sim/world.h"

#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"

_Static_assert((int)SIM_DEADLINES >= (int)SIM_MACHINES_MAX, "every machine has a deadline");

enum {
    AROUND_DOUBLINGS_MAX = 6,
    WATCH_MS = 20,
    HEALED_MAX_S = 40,   /* After it all clients must have their answers, */
    CONVERGE_MAX_S = 30, /* all replicas hold the same, */
    READS_MAX_S = 30,    /* and the last reads be done. */
    STOPPED_S = 12,      /* Then nobody is coming any more; before clients complain. */
};

/* ---- small services ---- */

void sim__trace(struct sim_world *world, const char *format, ...)
{
    if (world->options->trace == NULL || world->now < world->options->from_ns) {
        return;
    }
    va_list args;
    va_start(args, format);
    fprintf(world->options->trace, "%12.6f ", (double)world->now / 1e9);
    vfprintf(world->options->trace, format, args);
    fputc('\n', world->options->trace);
    va_end(args);
}

void sim__violation(struct sim_world *world, const char *format, ...)
{
    struct moot_sim_result *result = world->result;
    MOOT_ASSERT(format != NULL); /* Known to whoever compiles it with checks. */
    if (result->violated) {
        return;
    }
    result->violated = true;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    MOOT_ASSERT(size >= 0);
    char *text = (char *)moot_buffer_reserve(&result->words, (size_t)size + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)size + 1, format, args);
    va_end(args);
    result->words.size = (size_t)size;
    sim__trace(world, "VIOLATION %s", text);
    sim__record_violation(world, moot_buffer_slice(&result->words));
}

void sim__note(struct sim_world *world, uint64_t word)
{
    world->result->hash = moot_hash_mix(world->result->hash, word);
}

void sim__note_bytes(struct sim_world *world, struct moot_slice bytes)
{
    world->result->hash =
        bytes.size == 0 ? world->result->hash : moot_hash64(bytes, world->result->hash);
}

void sim__at(struct sim_world *world, uint64_t at, struct sim_event event)
{
    event.at = moot_max_u64(at, world->now);
    sim_events_add(&world->events, &event);
}

uint64_t sim__below(struct sim_world *world, uint64_t bound)
{
    return bound == 0 ? 0 : moot_rng_below(&world->rng, bound);
}

bool sim__one_in(struct sim_world *world, uint64_t n)
{
    return n != 0 && moot_rng_below(&world->rng, n) == 0;
}

uint32_t sim__level(const struct sim_world *world, enum sim_fault fault)
{
    return world->phase == SIM_PHASE_FAULTS ? world->swarm.knobs[fault] : 0;
}

void sim__count(struct sim_world *world, enum sim_fault fault)
{
    world->result->counts.faults[fault]++;
}

/* A geometric number of doublings, so that there is a tail, without libm; and an end to it, since
 * nothing that stays longer than clients wait is a delay. */
uint64_t sim__around(struct sim_world *world, uint64_t mean_us)
{
    uint64_t span = mean_us * MOOT_USEC_NS;
    uint64_t longest = span << AROUND_DOUBLINGS_MAX;
    while (sim__one_in(world, 4)) {
        span = moot_min_u64(2 * span, longest);
    }
    return 1 + sim__below(world, span);
}

/* ---- beginning and end ---- */

static void address_of(const struct sim_world *world, uint32_t slot, struct moot_address *address)
{
    *address = (struct moot_address){.node = world->swarm.ids_from + slot};
    snprintf(address->peer, sizeof(address->peer), "m%u:1", slot);
    snprintf(address->client, sizeof(address->client), "m%u:2", slot);
}

/* Clients from outside are sent to where they really find a node. */
static void public_address(const struct sim_world *world, uint32_t slot,
                           struct moot_address *address)
{
    if (world->options->client_port != 0) {
        snprintf(address->client, sizeof(address->client), "127.0.0.1:%u",
                 world->options->client_port + slot);
    }
}

static void populate(struct sim_world *world)
{
    struct moot_identity identity = {.initial_count = world->swarm.nodes};
    for (uint32_t slot = 0; slot < world->swarm.nodes; slot++) {
        address_of(world, slot, &identity.initial[slot]);
        public_address(world, slot, &identity.initial[slot]);
    }
    memset(identity.cluster, 0x6d, sizeof(identity.cluster));
    for (uint32_t slot = 0; slot < world->swarm.nodes; slot++) {
        struct sim_machine *machine = sim__machine_make(world, slot);
        identity.node = identity.initial[slot].node;
        identity.self = identity.initial[slot];
        machine->identity = identity;
        machine->id = identity.node;
        world->machines[slot] = machine;
        sim__at(world, sim__around(world, 2000),
                (struct sim_event){.kind = SIM_START, .machine = slot});
    }
    world->machine_count = world->swarm.nodes;
    for (uint32_t i = 0; i < world->swarm.clients; i++) {
        sim__client_init(world, i, i == 0);
    }
    sim__at(world, sim__around(world, world->swarm.fault_gap_us),
            (struct sim_event){.kind = SIM_NEMESIS});
    sim__at(world, 1, (struct sim_event){.kind = SIM_WATCH});
}

static void depopulate(struct sim_world *world)
{
    for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++) {
        sim__machine_free(world->machines[i]);
    }
    for (uint32_t i = 0; i < world->swarm.clients; i++) {
        sim__client_deinit(&world->clients[i]);
    }
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        moot_free(world->groups[group].committed);
        moot_free(world->groups[group].applied);
        moot_free(world->groups[group].leaders);
    }
    sim__witness_free(world);
    sim_events_deinit(&world->events);
    moot_history_deinit(&world->history);
    moot_buffer_deinit(&world->large);
    moot_buffer_deinit(&world->unseen);
    moot_buffer_deinit(&world->asked);
    moot_free(world->aligned);
}

/* ---- phases ---- */

static void enter(struct sim_world *world, enum sim_phase phase)
{
    static const char *const names[] = {"faults", "healed", "converge", "last reads", "done"};
    world->phase = phase;
    world->phase_since = world->now;
    sim__trace(world, "phase: %s", names[phase]);
    sim__record_phase(world, names[phase]);
    if (phase == SIM_PHASE_HEALED) {
        world->healed_at = world->now;
        sim__heal(world);
    }
    for (uint32_t i = 0; i < world->swarm.clients && phase == SIM_PHASE_LAST_READS; i++) {
        if (world->clients[i].expected_count == 0) {
            sim__client_wake(world, &world->clients[i], 1 + sim__around(world, 100));
        }
    }
}

static bool have_all_finished(const struct sim_world *world)
{
    for (uint32_t i = 0; i < world->swarm.clients; i++) {
        if (!sim__has_finished(world, &world->clients[i])) {
            return false;
        }
    }
    return true;
}

static void trace_views(struct sim_world *world)
{
    for (uint32_t i = 0; i < world->machine_count && world->options->trace != NULL; i++) {
        const struct sim_machine *machine = world->machines[i];
        for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
            struct moot_group_view view;
            if (machine == NULL || !machine->running) {
                continue;
            }
            moot_node_group(machine->node, group, &view);
            sim__trace(world,
                       "m%u group %u: leader %u%s term %llu first %llu last %llu durable %llu "
                       "commit %llu applied %llu voters %u learners %u%s%s",
                       i, group, view.leader, view.leads ? " (leads)" : "",
                       (unsigned long long)view.term, (unsigned long long)view.first,
                       (unsigned long long)view.last, (unsigned long long)view.durable,
                       (unsigned long long)view.commit, (unsigned long long)view.applied,
                       view.members->voter_count, view.members->learner_count,
                       view.changing ? " changing" : "", view.impaired ? " impaired" : "");
        }
    }
}

static void look_for_planted(struct sim_world *world)
{
    const struct moot_sim_counts *counts = &world->result->counts;
    if (world->options->planted != 0 && counts->operations >= world->options->planted &&
        counts->faults[SIM_FAULT_CRASH] > 0) {
        sim__record_wrong(world, world->history.count - 1);
        sim__violation(world, "planted: %llu operations and a crash",
                       (unsigned long long)counts->operations);
    }
}

static void watch(struct sim_world *world)
{
    look_for_planted(world);
    trace_views(world);
    uint64_t seconds = (world->now - world->phase_since) / MOOT_SEC_NS;
    const char *why = "";
    sim__at(world, world->now + WATCH_MS * MOOT_MSEC_NS, (struct sim_event){.kind = SIM_WATCH});
    if (world->phase != SIM_PHASE_FAULTS && seconds >= STOPPED_S &&
        sim__has_stopped_safely(world)) {
        world->result->counts.stopped = 1; /* What clients were told is judged all the same. */
        enter(world, SIM_PHASE_DONE);
    }
    switch (world->phase) {
    case SIM_PHASE_FAULTS:
        if (world->result->counts.operations >= world->options->operations ||
            world->now >= world->swarm.faults_end_us * MOOT_USEC_NS) {
            enter(world, SIM_PHASE_HEALED);
        }
        return;
    case SIM_PHASE_HEALED:
        if (have_all_finished(world)) {
            enter(world, SIM_PHASE_CONVERGE);
        } else if (seconds > HEALED_MAX_S) {
            sim__violation(world, "liveness: clients have not finished after all was healed");
        }
        return;
    case SIM_PHASE_CONVERGE:
        if (sim__has_converged(world, &why)) {
            enter(world, SIM_PHASE_LAST_READS);
        } else if (seconds > CONVERGE_MAX_S) {
            sim__violation(world, "liveness: replicas do not come to hold the same: %s", why);
        }
        return;
    case SIM_PHASE_LAST_READS:
        if (have_all_finished(world) && sim__has_emptied(world, &why)) {
            enter(world, SIM_PHASE_DONE);
        } else if (seconds > READS_MAX_S) {
            sim__violation(world,
                           "liveness: the last reads do not end, or a queue is not empty: %s", why);
        }
        return;
    case SIM_PHASE_DONE:
        return;
    }
}

/* ---- events ---- */

static void on_machine(struct sim_world *world, const struct sim_event *event)
{
    struct sim_machine *machine = world->machines[event->machine];
    if (event->kind == SIM_START) {
        if (machine->running && machine->doomed) { /* It has not died yet. */
            sim__at(world, world->now + 10 * MOOT_MSEC_NS, *event);
        } else if (!machine->running && !machine->lost) {
            sim__machine_start(world, machine);
        }
        return;
    }
    /* Connections have numbers of their own, and may outlive a brain. */
    bool by_connection = event->kind == SIM_TO_NODE || event->kind == SIM_READS;
    if (!machine->running || (machine->epoch != event->epoch && !by_connection)) {
        return;
    }
    switch (event->kind) {
    case SIM_TURN:
        sim__machine_turn(world, machine);
        return;
    case SIM_DURABLE:
        sim__durable(world, machine, event->number);
        return;
    case SIM_JOB:
        sim__job_done(world, machine, event->number);
        return;
    case SIM_TO_NODE:
        sim__to_node(world, event);
        return;
    case SIM_READS:
        sim__reads(world, event);
        return;
    case SIM_FELL:
        sim__fell(world, machine);
        return;
    default:
        MOOT_UNREACHABLE();
    }
}

static void on_client(struct sim_world *world, const struct sim_event *event)
{
    struct sim_client *client = &world->clients[event->machine];
    if (event->kind == SIM_TO_CLIENT) {
        if (sim__client_of(world, event->number) == client) {
            sim__client_bytes(world, client, event);
        }
    } else if (event->epoch == client->epoch && event->kind == SIM_CLIENT) {
        sim__client_act(world, client);
    } else if (event->epoch == client->epoch) {
        sim__client_give_up(world, client);
    }
}

static void on_event(struct sim_world *world, const struct sim_event *event)
{
    switch (event->kind) {
    case SIM_TICK:
        sim__machine_tick(world, world->machines[event->machine]);
        return;
    case SIM_TURN:
    case SIM_START:
    case SIM_DURABLE:
    case SIM_JOB:
    case SIM_TO_NODE:
    case SIM_READS:
    case SIM_FELL:
        on_machine(world, event);
        return;
    case SIM_DIAL:
        sim__dial(world, event);
        return;
    case SIM_LINK_UP:
        sim__link_up(world, event);
        return;
    case SIM_LINK_DOWN:
        sim__link_down(world, event);
        return;
    case SIM_MESSAGE:
        sim__message(world, event);
        return;
    case SIM_PART:
        sim__part(world, event);
        return;
    case SIM_TO_CLIENT:
    case SIM_CLIENT:
    case SIM_CLIENT_GIVEUP:
        on_client(world, event);
        return;
    case SIM_TO_GUEST:
        sim__guest_gets(world, event);
        return;
    case SIM_NEMESIS:
        sim__rehearse_strike(world);
        return;
    case SIM_MEND:
        sim__mend(world, event->number);
        return;
    case SIM_FLAP:
        sim__flap(world, event);
        return;
    case SIM_ROOM:
        sim__disk_room(world, world->machines[event->machine], false);
        return;
    case SIM_WATCH:
        watch(world);
        return;
    }
    MOOT_UNREACHABLE();
}

uint32_t moot_sim_workload(const char *name)
{
    uint32_t number = SIM_WORKLOADS;
    while (number > 0 && strcmp(sim__workload_name(number - 1), name) != 0) {
        number--;
    }
    return number;
}

void moot_sim_result_init(struct moot_sim_result *result)
{
    *result = (struct moot_sim_result){0};
    moot_buffer_init(&result->words);
}

void moot_sim_result_deinit(struct moot_sim_result *result) { moot_buffer_deinit(&result->words); }

struct sim_world *sim__open(const struct moot_sim_options *options, struct moot_sim_result *result,
                            void (*tune)(struct sim_world *world, void *context), void *context)
{
    struct sim_world *world = moot_alloc_zero(sizeof(*world));
    world->options = options;
    world->result = result;
    world->admin_wish = SIM_FAULTS;
    sim_events_init(&world->events);
    moot_history_init(&world->history);
    moot_buffer_init(&world->large);
    moot_buffer_init(&world->unseen);
    moot_buffer_init(&world->asked);
    moot_rng_init(&world->rng, moot_hash_mix(options->seed, 0xe7e27));
    sim__swarm(world);
    if (tune != NULL) {
        tune(world, context);
    }
    result->nodes = world->swarm.nodes;
    result->workload = sim__workload_name(world->swarm.workload);
    populate(world);
    sim__record_begin(world);
    static uint64_t worlds; /* What no world may depend on; see the option. */
    world->is_upset = options->upset_ns != 0 && ++worlds % 2 == 0;
    return world;
}

/* A debugger stops here, before the first event at or after the time that was asked for. */
static void stop_for_debugger(struct sim_world *world)
{
    if (world->options->break_ns != 0 && world->now >= world->options->break_ns &&
        !world->has_stopped) {
        world->has_stopped = true;
        raise(SIGTRAP);
    }
}

bool sim__step(struct sim_world *world)
{
    struct sim_event event;
    if (world->phase == SIM_PHASE_DONE || world->result->violated) {
        return false;
    }
    bool some = sim_events_take(&world->events, &event);
    MOOT_ASSERT(some); /* The watch never ends. */
    world->now = event.at;
    stop_for_debugger(world);
    if (world->is_upset && world->now >= world->options->upset_ns) {
        world->is_upset = false;
        (void)sim__below(world, 2);
    }
    on_event(world, &event);
    moot_block_release(event.block);
    return true;
}

void sim__close(struct sim_world *world)
{
    depopulate(world);
    moot_free(world);
}

void moot_sim_run(const struct moot_sim_options *options, struct moot_sim_result *result)
{
    struct sim_world *world = sim__open(options, result, NULL, NULL);
    while (sim__step(world)) {
    }
    if (!result->violated) {
        sim__judge(world);
    }
    result->virtual_ns = world->now;
    sim__record_end(world);
    sim__close(world);
}
