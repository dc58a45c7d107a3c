/* Every voter's journal rots at once, in different places.
 *
 * After a power failure, so that nobody is left to lead. No entry rots on two machines, so each
 * that was acknowledged still stands somewhere; and no hard state is lost for good, because a batch
 * rots only if the next one, which repeats them, stands. What must hold then whatever was hit: who
 * lost something says so, neither votes nor leads, and nothing wrong is answered. Where that is so
 * many that nobody can lead the group stops (sim__has_stopped_safely).
 *
 * Every other strike is arranged so that they must come back (database/group/holes.h): of each
 * batch that rots the header stands; the machine has a later entry of each group in it; and what
 * rotted, with the entry behind it, stands on another voter, in a part of the log that was the same
 * on both; and no journal has rotten before. Then nobody is excused. */
#include "sim/atlas.h"
#include "base/assert.h"
#include "sim/world.h"

enum { SPANS_MAX = 64, TRIES = 24, ROTTEN_MAX = 3, LEVEL_WITHIN = 8, LOG_BYTES_ENOUGH = 1 << 20 };

/* What has rotted so far, and where. */
struct scene {
    struct sim_world *world;
    struct sim_batches batches[SIM_MACHINES_MAX]; /* Of voters. */
    struct journal_span spans[SPANS_MAX];         /* That rotted. */
    uint32_t machines[SPANS_MAX];
    uint32_t count;
    bool arranged;
};

static bool has_index(const struct journal_span *span) { return span->last > 0; }

/* With the entry behind, if `wide`. */
static bool overlap(const struct journal_span *a, const struct journal_span *b, bool wide)
{
    return a->group == b->group && a->first <= b->last + wide && b->first <= a->last + wide;
}

static bool is_voter(const struct sim_world *world, const struct sim_machine *machine)
{
    bool votes = false;
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX && machine != NULL; group++) {
        votes = votes || (machine->id != 0 &&
                          moot_members_has_voter(&world->groups[group].members, machine->id));
    }
    return votes;
}

/* ---- what may rot ---- */

/* Each entry stands on all machines but one. Where it is arranged the entry behind it, too. */
static bool stands_elsewhere(const struct scene *scene, const struct sim_machine *machine,
                             const struct sim_batch *batch)
{
    for (uint32_t i = 0; i < batch->span_count; i++) {
        for (uint32_t k = 0; k < scene->count && has_index(&batch->spans[i]); k++) {
            bool concerns = scene->arranged || scene->machines[k] != machine->slot;
            if (concerns && overlap(&batch->spans[i], &scene->spans[k], scene->arranged)) {
                return false;
            }
        }
    }
    return scene->count + batch->span_count <= SPANS_MAX;
}

/* The next batch repeats its hard states, and stands. */
static bool is_repeated(const struct sim_batches *all, const struct sim_batch *batch)
{
    bool next = false;
    for (size_t i = 0; i < all->count; i++) {
        const struct sim_batch *other = &all->items[i];
        if (other->number == batch->number + 1) {
            if (other->epoch_start == other->number) {
                return false;
            }
            next = true;
        }
    }
    return next;
}

/* It retires segments, and says how far the store has come: without that nobody knows whether the
 * store is the one that it was. */
static bool retires(const struct sim_batches *all, const struct sim_batch *batch)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct sim_batch *other = &all->items[i];
        if (other->number + 1 == batch->number && other->first == batch->first) {
            return false;
        }
    }
    return true;
}

/* It lies behind a cut that a later start has made. */
static bool is_left_over(const struct sim_batches *all, const struct sim_batch *batch)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct sim_batch *other = &all->items[i];
        if (other->epoch > batch->epoch && other->epoch_start <= batch->number) {
            return true;
        }
    }
    return false;
}

/* A batch that counts has the entry; after `number`, any of the group's. */
static bool has_entry(const struct sim_batches *all, const struct sim_batch *witness,
                      moot_group_id group, moot_index index, uint64_t number)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct sim_batch *batch = &all->items[i];
        for (uint32_t k = 0; k < batch->span_count; k++) {
            const struct journal_span *span = &batch->spans[k];
            if (span->group == group && has_index(span) && batch->number >= witness->first &&
                batch->number <= witness->number && batch->number > number &&
                (index == 0 || (span->first <= index && index <= span->last)) &&
                !is_left_over(all, batch)) {
                return true;
            }
        }
    }
    return false;
}

/* The other one had the same entry behind `span`, and has on disk all that `span` names. */
static bool can_help(const struct scene *scene, const struct sim_machine *machine,
                     const struct sim_machine *other, const struct journal_span *span)
{
    const struct sim_log *own = &machine->logs[span->group], *log = &other->logs[span->group];
    const struct sim_batches *all = &scene->batches[other->slot];
    const struct sim_batch *witness = sim__witness_of(all);
    moot_index anchor = span->last + 1;
    bool same = anchor >= own->first && anchor <= own->durable && anchor >= log->first &&
                anchor <= log->durable && own->lines[anchor].term == log->lines[anchor].term;
    for (moot_index index = span->first; same && index <= anchor; index++) {
        same = witness != NULL && has_entry(all, witness, span->group, index, 0);
    }
    return same;
}

static bool must_come_back(const struct scene *scene, const struct sim_machine *machine,
                           const struct sim_batch *witness, const struct sim_batch *batch)
{
    const struct sim_batches *all = &scene->batches[machine->slot];
    bool comes_back = !is_left_over(all, batch) && !retires(all, batch);
    for (uint32_t i = 0; i < batch->span_count; i++) {
        const struct journal_span *span = &batch->spans[i];
        bool helped = !has_index(span);
        for (uint32_t k = 0; k < scene->world->machine_count && !helped; k++) {
            const struct sim_machine *other = scene->world->machines[k];
            helped = other != machine && is_voter(scene->world, other) &&
                     can_help(scene, machine, other, span);
        }
        comes_back = comes_back && helped &&
                     (!has_index(span) || (span->first > LEVEL_WITHIN &&
                                           has_entry(all, witness, span->group, 0, batch->number)));
    }
    return comes_back;
}

static bool may_rot(const struct scene *scene, const struct sim_machine *machine,
                    const struct sim_batch *witness, const struct sim_batch *batch)
{
    return !(scene->arranged && batch->identity) && batch->number >= witness->first &&
           batch->number <= witness->durable && batch->number != witness->number &&
           is_repeated(&scene->batches[machine->slot], batch) &&
           stands_elsewhere(scene, machine, batch) &&
           (!scene->arranged || must_come_back(scene, machine, witness, batch));
}

/* An entry of each group must stand behind all that rots: the last ones are spared. */
static bool spares_the_end(const struct scene *scene, const struct sim_machine *machine,
                           const struct sim_batch *witness, const struct sim_batch *batch)
{
    const struct sim_batches *all = &scene->batches[machine->slot];
    bool spares = true;
    for (uint32_t i = 0; i < batch->span_count && scene->arranged; i++) {
        spares = spares && (!has_index(&batch->spans[i]) ||
                            has_entry(all, witness, batch->spans[i].group, 0, batch->number));
    }
    return spares;
}

static void rot_some(struct scene *scene, struct sim_machine *machine)
{
    struct sim_world *world = scene->world;
    const struct sim_batches *all = &scene->batches[machine->slot];
    const struct sim_batch *witness = sim__witness_of(all);
    uint64_t wanted = 1 + sim__below(world, ROTTEN_MAX), numbers[ROTTEN_MAX];
    bool known = witness != NULL && all->count < SIM_BATCHES_MAX;
    for (uint32_t done = 0, tries = 0; known && done < wanted && tries < TRIES; tries++) {
        const struct sim_batch *batch = sim__choose_batch(world, all, sim__one_in(world, 4));
        bool apart = true;
        for (uint32_t i = 0; i < done; i++) { /* Of two neighbours the second repeats the first. */
            apart = apart && (batch->number + 1 < numbers[i] || batch->number > numbers[i] + 1);
        }
        if (!apart || !spares_the_end(scene, machine, witness, batch) ||
            !may_rot(scene, machine, witness, batch)) {
            continue;
        }
        numbers[done++] = batch->number;
        for (uint32_t i = 0; i < batch->span_count; i++) {
            scene->machines[scene->count] = machine->slot;
            scene->spans[scene->count++] = batch->spans[i];
        }
        sim__rot_batch(world, machine, batch, scene->arranged);
        machine->damaged = true;
    }
}

/* ---- the strike ---- */

bool sim__may_damage_all(const struct sim_world *world)
{
    bool may = world->phase == SIM_PHASE_FAULTS;
    for (uint32_t i = 0; i < world->machine_count; i++) {
        const struct sim_machine *machine = world->machines[i];
        if (!is_voter(world, machine)) {
            continue;
        }
        may = may && !machine->lost && !machine->damaged && !machine->store_lost;
        for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
            may = may && machine->kept[group].is_known && !machine->kept[group].changing;
        }
    }
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        const struct moot_members *members = &world->groups[group].members;
        may = may && members->voter_count > 1 && !moot_members_is_joint(members);
    }
    return may;
}

/* Replicas keep for each other what they have room for, and a journal that is nearly full, or a
 * program that does not know the question, may not answer. */
static bool can_be_arranged(const struct sim_world *world)
{
    const struct sim_swarm *swarm = &world->swarm;
    bool has_room = swarm->log_memory_bytes == 0 || swarm->log_memory_bytes >= LOG_BYTES_ENOUGH;
    return has_room && !world->has_rotted && swarm->workload != SIM_WORKLOAD_LARGE &&
           swarm->knobs[SIM_FAULT_TINY_JOURNAL] == 0 && swarm->knobs[SIM_FAULT_OLDER] == 0;
}

void sim__rot_all(struct sim_world *world)
{
    struct scene *scene = moot_alloc_zero(sizeof(*scene));
    uint32_t first = (uint32_t)sim__below(world, world->machine_count), damaged = 0;
    scene->world = world;
    scene->arranged = sim__one_in(world, 2) && can_be_arranged(world);
    world->has_rotted = true;
    for (uint32_t i = 0; i < world->machine_count; i++) {
        if (is_voter(world, world->machines[i])) {
            scene->arranged = scene->arranged && !world->machines[i]->damaged;
            MOOT_ASSERT(!world->machines[i]->running);
            scene->batches[i] = sim__batches(world->machines[i]);
        }
    }
    for (uint32_t i = 0; i < world->machine_count; i++) {
        struct sim_machine *machine = world->machines[(first + i) % world->machine_count];
        if (is_voter(world, machine)) {
            rot_some(scene, machine);
            damaged += machine->damaged;
        }
    }
    if (damaged > 0) {
        sim__count(world, SIM_FAULT_ROT_ALL);
        world->all_rotted = true;
        /* Where stores are flushed at once the entry that a store ends with may be lost everywhere,
         * and who needs it to go on waits for a leader (group/holes.h). */
        world->must_recover = scene->arranged && world->swarm.knobs[SIM_FAULT_FLUSH] == 0;
        sim__trace(world, "every journal rots%s", world->must_recover ? ", and all come back" : "");
    }
    for (uint32_t i = 0; i < SIM_MACHINES_MAX; i++) {
        moot_free(scene->batches[i].items);
    }
    moot_free(scene);
}

bool sim__has_stopped_safely(struct sim_world *world)
{
    bool stopped = false;
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX && world->all_rotted; group++) {
        const struct moot_members *members = &world->groups[group].members;
        uint32_t sound = 0;
        for (uint32_t i = 0; i < members->voter_count; i++) {
            const struct sim_machine *voter = sim__machine_of(world, members->voters[i]);
            struct moot_group_view view = {.impaired = true};
            if (voter != NULL && voter->running) {
                moot_node_group(voter->node, group, &view);
            }
            sound += !view.impaired && !view.fenced;
        }
        stopped = stopped || 2 * sound <= members->voter_count;
    }
    return stopped && !world->must_recover;
}
