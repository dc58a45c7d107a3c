#include <string.h>

#include "base/assert.h"
#include "base/status.h"
#include "database/work.h"
#include "sim/world.h"
#include "storage/store_memory.h"

enum {
    STALL_LOOK_NS = 10 * 1000 * 1000,
    BACKLOG_NS = 2 * 1000 * 1000 * 1000, /* Of a slow store. */
    LONG_READ_TIMES = 4, /* As long as other work beside turns: leaders change meanwhile. */
};

/* Work that the driver does beside turns: what the workers of src/host do, in the same order. */
struct sim_job {
    struct sim_job *next;
    uint64_t number;
    enum sim_queue queue;
    struct moot_work work;
    moot_ticket pin; /* 0: none */
    bool is_done;
};

void sim__process_ends(struct sim_world *world, struct sim_machine *machine)
{
    sim__machine_crash(world, machine, false);
    sim__machine_start_later(world, machine);
}

/* In a sweep this may be the moment, for it or for all. */
static bool dies_here(struct sim_world *world, struct sim_machine *machine)
{
    uint64_t epoch = machine->epoch;
    if (sim__sweep(world, MOOT_SIM_SWEEP_CRASH)) {
        sim__count(world, SIM_FAULT_CRASH);
        sim__sweep_again(world, machine);
        sim__process_ends(world, machine);
    } else if (sim__sweep(world, MOOT_SIM_SWEEP_POWER)) {
        sim__count(world, SIM_FAULT_POWER);
        for (uint32_t i = 0; i < world->machine_count; i++) {
            if (world->machines[i] != NULL && world->machines[i]->running) {
                sim__sweep_again(world, world->machines[i]);
            }
        }
        sim__power(world);
    }
    return machine->epoch != epoch;
}

/* ---- the journal ---- */

static void *aligned_copy(struct sim_world *world, struct moot_slice bytes)
{
    if (world->aligned_size < bytes.size) {
        moot_free(world->aligned);
        world->aligned = moot_alloc_aligned(MOOT_JOURNAL_ALIGN, bytes.size);
        world->aligned_size = bytes.size;
    }
    memcpy(world->aligned, bytes.data, bytes.size);
    return world->aligned;
}

/* False: there is no room, and nothing was written. */
static bool write_batch(struct sim_world *world, struct sim_machine *machine,
                        const struct moot_journal_write *where, struct moot_slice bytes)
{
    const struct sim_swarm *swarm = &world->swarm;
    MOOT_ASSERT(machine->flight_count < SIM_FLIGHTS_MAX);
    if (sim__sweep(world, MOOT_SIM_SWEEP_WRITE)) {
        machine->write_fails = true;
        machine->disk_dead_until = sim__sweep_until(world);
        moot_disk_sim_fail_at(machine->disk, 1, machine->disk_dead_until > 0);
    } else if (machine->write_fails) {
        sim__count(world, SIM_FAULT_FAIL_WRITE);
        moot_disk_sim_fail_at(machine->disk, 1, false);
    }
    uint64_t flight = moot_disk_sim_begin(machine->disk);
    int status = moot_journal_write_now(moot_disk_sim_disk(machine->disk), swarm->segment_bytes,
                                        where, aligned_copy(world, bytes), bytes.size);
    moot_disk_sim_end(machine->disk);
    if (status == MOOT_EIO && machine->write_fails) {
        sim__trace(world, "m%u ends: the journal's write failed", machine->slot);
        sim__process_ends(world, machine);
        return true;
    }
    if (status == MOOT_ENOSPACE && machine->full_until > world->now) {
        return false;
    }
    if (status != 0) {
        sim__violation(world, "m%u: the journal's write failed: %s", machine->slot,
                       moot_status_text(status));
    }
    machine->flights[machine->flight_count++] = (struct sim_flight){where->batch, flight};
    uint64_t takes =
        swarm->disk_us * MOOT_USEC_NS + sim__below(world, swarm->disk_jitter_us * MOOT_USEC_NS + 1);
    if (world->now < machine->disk_slow_until) {
        takes *= 20;
    }
    machine->disk_free_at = moot_max_u64(machine->disk_free_at, world->now) + takes;
    sim__at(world, machine->disk_free_at,
            (struct sim_event){.kind = SIM_DURABLE,
                               .machine = machine->slot,
                               .epoch = machine->epoch,
                               .number = where->batch});
    return true;
}

/* As the host does it: who has no room for a segment waits for it, and what comes later with it. */
static void do_journal(struct sim_world *world, struct sim_machine *machine,
                       const struct moot_effect *effect)
{
    const struct moot_journal_write *where = &effect->journal.where;
    MOOT_ASSERT(effect->ticket == where->batch || effect->ticket == 0);
    machine->journal_last = where->batch;
    if (machine->unwritten_count > 0 ||
        !write_batch(world, machine, where, effect->journal.bytes)) {
        MOOT_SOMETIMES(true, "a journal waited for room on its disk");
        sim__trace(world, "m%u has no room for the journal", machine->slot);
        MOOT_ASSERT(machine->unwritten_count < SIM_FLIGHTS_MAX);
        machine->unwritten[machine->unwritten_count++] =
            (struct sim_unwritten){*where, moot_block_copy(effect->journal.bytes)};
    }
}

void sim__write_again(struct sim_world *world, struct sim_machine *machine)
{
    while (machine->running && machine->unwritten_count > 0) {
        struct sim_unwritten next = machine->unwritten[0];
        if (!write_batch(world, machine, &next.where, moot_block_slice(next.bytes))) {
            return;
        }
        if (machine->unwritten_count == 0) {
            return; /* The process has ended, and took them along. */
        }
        moot_block_release(next.bytes);
        machine->unwritten_count--;
        memmove(machine->unwritten, machine->unwritten + 1,
                sizeof(machine->unwritten[0]) * machine->unwritten_count);
    }
}

void sim__durable(struct sim_world *world, struct sim_machine *machine, moot_ticket ticket)
{
    MOOT_ASSERT(machine->flight_count > 0);
    if (world->now < machine->disk_stalled_until || machine->flights[0].ticket != ticket) {
        uint64_t look =
            world->now + (world->now < machine->disk_stalled_until ? STALL_LOOK_NS : 1000);
        sim__at(world, look,
                (struct sim_event){.kind = SIM_DURABLE,
                                   .machine = machine->slot,
                                   .epoch = machine->epoch,
                                   .number = ticket});
        return;
    }
    if (sim__sweep(world, MOOT_SIM_SWEEP_SYNC)) {
        machine->sync_fails = true;
        machine->disk_dead_until = sim__sweep_until(world);
    }
    if (machine->sync_fails) { /* Nobody knows what the disk holds: never tried again. */
        sim__count(world, SIM_FAULT_FAIL_SYNC);
        sim__process_ends(world, machine);
        return;
    }
    moot_disk_sim_complete(machine->disk, machine->flights[0].flight);
    machine->journal_durable = ticket;
    if (dies_here(world, machine)) {
        return;
    }
    machine->flight_count--;
    memmove(machine->flights, machine->flights + 1,
            sizeof(machine->flights[0]) * machine->flight_count);
    sim__input(world, machine, MOOT_INPUT_DURABLE, (struct moot_slice){NULL, 0})->ticket = ticket;
}

/* ---- jobs ---- */

static struct sim_pin *find_pin(struct sim_machine *machine, moot_ticket ticket)
{
    for (size_t i = 0; i < machine->pin_count; i++) {
        if (machine->pins[i].ticket == ticket) {
            return &machine->pins[i];
        }
    }
    return NULL;
}

static void pin_end(struct sim_machine *machine, struct sim_pin *pin)
{
    machine->store->ops->unpin(machine->store, pin->pin);
    *pin = machine->pins[--machine->pin_count];
}

static void do_job(struct sim_world *world, struct sim_machine *machine, struct sim_job *job)
{
    struct moot_work *work = &job->work;
    MOOT_ASSERT(!job->is_done);
    job->is_done = true;
    if (machine->store_rots && job->queue != SIM_QUEUE_STORE) {
        work->status = MOOT_ECORRUPT;
        return;
    }
    moot_work_perform(work, machine->store, job->pin == 0 ? NULL : find_pin(machine, job->pin)->pin,
                      NULL, NULL);
    if (work->kind == MOOT_EFFECT_FLUSH) {
        world->result->counts.flushes++;
    } else if (work->kind == MOOT_EFFECT_FETCH) {
        world->result->counts.fetches++;
        sim__count(world, SIM_FAULT_WOULDBLOCK);
    } else if (moot_work_is_commit(work)) {
        world->result->counts.installs++;
        world->result->counts.faults[SIM_FAULT_SNAPSHOT] +=
            world->swarm.knobs[SIM_FAULT_SNAPSHOT] != 0;
    } else if (work->kind == MOOT_EFFECT_LONG_READ) {
        world->result->counts.long_reads += work->long_read.item_count;
    }
    if (work->status != 0 && work->status != MOOT_EDUE) {
        sim__violation(world, "m%u: work beside turns failed: %s", machine->slot,
                       moot_status_text(work->status));
    }
}

static void job_free(struct sim_job *job)
{
    moot_work_deinit(&job->work);
    moot_free(job);
}

static void use_pin(struct sim_machine *machine, struct sim_job *job, moot_ticket ticket)
{
    struct sim_pin *pin = find_pin(machine, ticket);
    MOOT_ASSERT(pin != NULL && !pin->unpinned);
    pin->readers++;
    job->pin = ticket;
}

static void do_work(struct sim_world *world, struct sim_machine *machine,
                    const struct moot_effect *effect)
{
    struct sim_job *job = moot_alloc_zero(sizeof(*job));
    moot_work_init(&job->work, effect);
    job->number = ++machine->job_number;
    job->queue = effect->kind == MOOT_EFFECT_FETCH       ? SIM_QUEUE_FETCH
                 : effect->kind == MOOT_EFFECT_PIN_READ  ? SIM_QUEUE_PIN
                 : effect->kind == MOOT_EFFECT_LONG_READ ? SIM_QUEUE_LONG_READ
                                                         : SIM_QUEUE_STORE;
    if (effect->kind == MOOT_EFFECT_PIN_READ) {
        use_pin(machine, job, effect->pin_read.pin);
    } else if (effect->kind == MOOT_EFFECT_LONG_READ) {
        use_pin(machine, job, effect->long_read.pin);
    }
    struct sim_job **end = &machine->jobs;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = job;
    uint64_t *free_at = &machine->queue_free_at[job->queue];
    uint64_t takes_us = world->swarm.disk_us + 20;
    takes_us *= job->queue == SIM_QUEUE_LONG_READ ? LONG_READ_TIMES : 1;
    *free_at = moot_max_u64(*free_at, world->now) + sim__around(world, takes_us);
    uint32_t slow_ms = sim__level(world, SIM_FAULT_SLOW_STORE);
    bool has_room =
        *free_at < world->now + BACKLOG_NS; /* Else it would not end after the faults. */
    if (job->queue == SIM_QUEUE_STORE && slow_ms != 0 && has_room) {
        sim__count(world, SIM_FAULT_SLOW_STORE);
        *free_at += sim__below(world, 2 * slow_ms * MOOT_MSEC_NS);
    }
    sim__at(world, *free_at,
            (struct sim_event){.kind = SIM_JOB,
                               .machine = machine->slot,
                               .epoch = machine->epoch,
                               .number = job->number});
}

void sim__job_done(struct sim_world *world, struct sim_machine *machine, uint64_t number)
{
    struct sim_job **at = &machine->jobs;
    while (*at != NULL && (*at)->number != number) {
        at = &(*at)->next;
    }
    struct sim_job *job = *at;
    MOOT_ASSERT(job != NULL);
    if (!job->is_done) {
        do_job(world, machine, job);
    }
    if (dies_here(world, machine)) {
        return;
    }
    if (moot_work_is_commit(&job->work) &&
        sim__one_in(world, sim__level(world, SIM_FAULT_CRASH_INSTALL))) {
        sim__count(world, SIM_FAULT_CRASH_INSTALL);
        sim__process_ends(world, machine);
        return;
    }
    *at = job->next;
    struct moot_input answer = moot_work_answer(&job->work);
    struct moot_input *input = sim__input(world, machine, answer.kind, answer.bytes);
    input->ticket = answer.ticket;
    input->status = answer.status;
    input->amount = answer.amount;
    if (job->pin != 0) {
        struct sim_pin *pin = find_pin(machine, job->pin);
        if (--pin->readers == 0 && pin->unpinned) {
            pin_end(machine, pin);
        }
    }
    job_free(job);
}

void sim__jobs_drop(struct sim_machine *machine)
{
    while (machine->jobs != NULL) {
        struct sim_job *next = machine->jobs->next;
        job_free(machine->jobs);
        machine->jobs = next;
    }
    while (machine->pin_count > 0) {
        pin_end(machine, &machine->pins[0]);
    }
    machine->flight_count = 0;
    while (machine->unwritten_count > 0) {
        moot_block_release(machine->unwritten[--machine->unwritten_count].bytes);
    }
    memset(machine->queue_free_at, 0, sizeof(machine->queue_free_at));
}

static void do_pin(struct sim_world *world, struct sim_machine *machine,
                   const struct moot_effect *effect)
{
    (void)world;
    MOOT_ASSERT(machine->pin_count < SIM_PINS_MAX);
    MOOT_ASSERT(find_pin(machine, effect->ticket) == NULL);
    machine->pins[machine->pin_count++] =
        (struct sim_pin){.ticket = effect->ticket, .pin = machine->store->ops->pin(machine->store)};
}

static void do_unpin(struct sim_world *world, struct sim_machine *machine,
                     const struct moot_effect *effect)
{
    (void)world;
    struct sim_pin *pin = find_pin(machine, effect->ticket);
    MOOT_ASSERT(pin != NULL && !pin->unpinned);
    pin->unpinned = true;
    if (pin->readers == 0) {
        pin_end(machine, pin);
    }
}

/* ---- the store ---- */

/* A commit of a snapshot is performed before any later write, as on the host: the loop waits. */
static void commit_first(struct sim_world *world, struct sim_machine *machine)
{
    struct sim_job *last = NULL;
    for (struct sim_job *job = machine->jobs; job != NULL; job = job->next) {
        if (!job->is_done && moot_work_is_commit(&job->work)) {
            last = job;
        }
    }
    for (struct sim_job *job = machine->jobs; last != NULL; job = job->next) {
        if (job->queue == SIM_QUEUE_STORE && !job->is_done) {
            do_job(world, machine, job);
        }
        if (job == last) {
            return;
        }
    }
}

static void do_store_write(struct sim_world *world, struct sim_machine *machine,
                           const struct moot_effect *effect)
{
    commit_first(world, machine);
    sim__note_bytes(world, moot_buffer_slice(&effect->batch->bytes));
    if (sim__sweep(world, MOOT_SIM_SWEEP_STORE)) {
        machine->store_fails = true;
        machine->store_dead_until = sim__sweep_until(world);
    }
    if (machine->store_fails || machine->store_dead_until > world->now) {
        sim__count(world, SIM_FAULT_STORE_WRITE);
        sim__process_ends(world, machine);
        return;
    }
    int status = machine->store->ops->write(machine->store, effect->batch);
    if (status != 0) {
        sim__violation(world, "m%u: the store refused a batch: %s", machine->slot,
                       moot_status_text(status));
    }
}

/* ---- the rest ---- */

static void do_log(struct sim_world *world, struct sim_machine *machine,
                   const struct moot_effect *effect)
{
    sim__record_says(world, machine, effect->log.text);
    sim__trace(world, "m%u says: %.*s", machine->slot, (int)effect->log.text.size,
               (const char *)effect->log.text.data);
}

static void do_stop(struct sim_world *world, struct sim_machine *machine,
                    const struct moot_effect *effect)
{
    if (effect->status == MOOT_ECORRUPT && machine->store_rots) {
        sim__check_given_up(world, machine);
        sim__process_ends(world, machine);
        sim__new_store(world, machine);
        return;
    }
    if (effect->status != 0) {
        sim__violation(world, "m%u ended itself: %s: %.*s", machine->slot,
                       moot_status_text(effect->status), (int)effect->log.text.size,
                       (const char *)effect->log.text.data);
        return;
    }
    if (machine->reopening && !machine->stopping) {
        sim__count(world, SIM_FAULT_REOPEN);
        if (!sim__machine_reopen(world, machine)) {
            sim__process_ends(world, machine);
        }
        return;
    }
    sim__count(world, SIM_FAULT_STOP);
    sim__process_ends(world, machine);
}

typedef void (*perform_effect)(struct sim_world *world, struct sim_machine *machine,
                               const struct moot_effect *effect);
static const perform_effect PERFORMERS[MOOT_EFFECT_KINDS] = {
    [MOOT_EFFECT_JOURNAL] = do_journal,
    [MOOT_EFFECT_STORE_WRITE] = do_store_write,
    [MOOT_EFFECT_FLUSH] = do_work,
    [MOOT_EFFECT_FETCH] = do_work,
    [MOOT_EFFECT_PIN] = do_pin,
    [MOOT_EFFECT_UNPIN] = do_unpin,
    [MOOT_EFFECT_PIN_READ] = do_work,
    [MOOT_EFFECT_INGEST] = do_work,
    [MOOT_EFFECT_LONG_READ] = do_work,
    [MOOT_EFFECT_SEND] = sim__send,
    [MOOT_EFFECT_PEER] = sim__peer,
    [MOOT_EFFECT_REPLY] = sim__reply,
    [MOOT_EFFECT_CLIENT_PAUSE] = sim__client_pause,
    [MOOT_EFFECT_CLIENT_CLOSE] = sim__client_close,
    [MOOT_EFFECT_LOG] = do_log,
    [MOOT_EFFECT_STOP] = do_stop,
    [MOOT_EFFECT_CLIENT_KEEP] = sim__client_keep,
};

void sim__perform(struct sim_world *world, struct sim_machine *machine,
                  const struct moot_effect *effects, size_t count)
{
    static const char *const names[MOOT_EFFECT_KINDS] = {
        "journal",  "store-write", "flush",     "fetch", "pin",  "unpin",
        "pin-read", "ingest",      "long-read", "send",  "peer", "reply",
        "pause",    "close",       "log",       "stop",  "keep"};
    uint64_t epoch = machine->epoch;
    for (size_t i = 0; i < count && machine->epoch == epoch; i++) {
        const struct moot_effect *effect = &effects[i];
        MOOT_ASSERT(effect->kind < MOOT_EFFECT_KINDS);
        sim__note(world, (uint64_t)effect->kind << 32 ^ effect->ticket);
        sim__trace(world, "m%u -> %s ticket %llu", machine->slot, names[effect->kind],
                   (unsigned long long)effect->ticket);
        PERFORMERS[effect->kind](world, machine, effect);
        if (machine->epoch == epoch) {
            (void)dies_here(world, machine);
        }
    }
}
