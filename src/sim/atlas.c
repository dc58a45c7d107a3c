/* Which damage to disks the cluster must survive, and doing it.
 *
 * Damage is survivable by construction, so that any loss is a bug:
 *
 *   - Fewer machines than half of the voters of each group are damaged or lost at any time. One
 *     counts as damaged until a start finds no rot, and as lost until no group has it.
 *     So of every batch that a majority acknowledged some undamaged voter has a copy, and the
 *     undamaged are a majority, without the damaged having to vote.
 *   - Where disks are damaged, members leave only because they are lost: else those that hold the
 *     copies could be sent away.
 *   - Only what a later batch of the journal names as durable is damaged, and that later batch is
 *     spared: the last writes before a death may be gone without a trace, torn or rotten alike, and
 *     no journal on one disk can tell (storage/journal.h: the closing mark makes that window
 *     small; Alagappan et al., FAST 2018, section 3.3).
 *
 * One strike goes further: atlas_all.c.
 *
 * Everything happens while the process is dead, because nothing reads the journal while it lives.
 * After the next start each group either has what it acknowledged or says that it does not: a
 * journal that takes rot for a torn tail is a violation at once (sim__check_opened). */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "sim/atlas.h"
#include "sim/world.h"
#include "storage/store_memory.h"

enum { RUN_MAX = 3 };

/* ---- what is survivable ---- */

/* Also those count that are no voters yet: they may become some before they are whole. */
static bool group_survives(const struct sim_world *world, const struct moot_members *members,
                           moot_node_id also)
{
    uint32_t bad = 1;
    for (uint32_t i = 0; i < world->machine_count; i++) {
        const struct sim_machine *machine = world->machines[i];
        if (machine == NULL || machine->id == 0 || machine->id == also) {
            continue;
        }
        bool gone = machine->removed && !moot_members_has(members, machine->id);
        bad += machine->lost ? !gone : machine->damaged;
    }
    return !moot_members_is_joint(members) && 2 * bad < members->voter_count;
}

bool sim__may_damage(const struct sim_world *world, const struct sim_machine *machine)
{
    if (world->phase != SIM_PHASE_FAULTS || machine->lost) {
        return false;
    }
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        const struct moot_members *known = &world->groups[group].members;
        if (known->voter_count == 0 || !group_survives(world, known, machine->id)) {
            return false;
        }
        for (uint32_t i = 0; i < world->machine_count; i++) { /* Also by what all others knew. */
            const struct sim_machine *other = world->machines[i];
            const struct sim_kept *kept = other == NULL ? NULL : &other->kept[group];
            if (kept != NULL && kept->is_known && !other->lost && !other->removed &&
                (kept->changing || !group_survives(world, &kept->members, machine->id))) {
                return false;
            }
        }
    }
    return true;
}

/* ---- what is on the disk ---- */

static void add_file(void *context, const char *name)
{
    struct sim_batches *all = context;
    uint64_t generation, size;
    if (!journal_name_get(name, &generation)) {
        return;
    }
    const uint8_t *bytes = moot_disk_sim_bytes(all->disk, name, &size);
    for (uint64_t at = 0; at + MOOT_JOURNAL_ALIGN <= size; at += MOOT_JOURNAL_ALIGN) {
        struct journal_header header;
        if (journal_header_get(bytes + at, generation, at, size, &header) != JOURNAL_GOOD) {
            continue;
        }
        if (all->count < SIM_BATCHES_MAX) {
            struct sim_batch *batch = &all->items[all->count++];
            *batch = (struct sim_batch){.offset = at,
                                        .length = header.length,
                                        .number = header.batch,
                                        .durable = header.durable,
                                        .epoch = header.epoch,
                                        .epoch_start = header.epoch_start,
                                        .first = header.first_batch,
                                        .head = header.header_size,
                                        .identity = (header.flags & JOURNAL_HAS_IDENTITY) != 0};
            journal_name_put(batch->name, generation);
            MOOT_ASSERT(header.span_count <= MOOT_GROUPS_MAX);
            for (uint32_t i = 0; i < header.span_count; i++) {
                batch->spans[batch->span_count++] = journal_span_get(bytes + at, i);
            }
        }
        journal_name_put(all->end_name, generation);
        all->end_offset = at + header.length;
        all->end_size = size;
    }
}

const struct sim_batch *sim__witness_of(const struct sim_batches *all)
{
    const struct sim_batch *witness = NULL;
    for (size_t i = 0; i < all->count; i++) {
        const struct sim_batch *batch = &all->items[i];
        if (witness == NULL || batch->epoch > witness->epoch ||
            (batch->epoch == witness->epoch && batch->durable > witness->durable)) {
            witness = batch;
        }
    }
    return witness;
}

/* Keeps what may be damaged, by number. */
static void keep_durable(struct sim_batches *all)
{
    const struct sim_batch *found = sim__witness_of(all);
    if (found == NULL) {
        return;
    }
    struct sim_batch witness = *found;
    size_t kept = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (all->items[i].number <= witness.durable && all->items[i].number != witness.number) {
            all->items[kept++] = all->items[i];
        }
    }
    all->count = kept;
}

/* ---- damage ---- */

const struct sim_batch *sim__choose_batch(struct sim_world *world, const struct sim_batches *all,
                                          bool old)
{
    size_t part = all->count / 4 + 1;
    size_t at = (size_t)sim__below(world, moot_min_u64(part, all->count));
    return &all->items[old ? at : all->count - 1 - at];
}

void sim__rot_batch(struct sim_world *world, struct sim_machine *machine,
                    const struct sim_batch *batch, bool body)
{
    uint64_t at =
        sim__one_in(world, 4) ? sim__below(world, batch->head) : sim__below(world, batch->length);
    if (body) { /* The header stands, and says what is lost. */
        at = batch->head + sim__below(world, batch->length - batch->head);
    }
    if (!body && sim__one_in(world, 3)) { /* A sector, or more of them. */
        uint64_t from = at / MOOT_DISK_SIM_SECTOR * MOOT_DISK_SIM_SECTOR;
        uint64_t size = MOOT_DISK_SIM_SECTOR * (1 + sim__below(world, 8));
        moot_disk_sim_rot_range(machine->disk, batch->name, batch->offset + from,
                                moot_min_u64(size, batch->length - from));
    } else {
        moot_disk_sim_rot(machine->disk, batch->name, batch->offset + at,
                          (uint8_t)(1 << sim__below(world, 8)));
    }
    sim__record_strike(world, machine, "journal rots");
    sim__trace(world, "m%u: batch %llu rots at byte %llu", machine->slot,
               (unsigned long long)batch->number, (unsigned long long)at);
}

static void rot_padding(struct sim_world *world, struct sim_machine *machine,
                        const struct sim_batches *all)
{
    if (sim__one_in(world, 2) && all->end_offset + MOOT_JOURNAL_ALIGN < all->end_size) {
        /* Nothing was ever acknowledged here: it must do no harm. */
        uint64_t room = all->end_size - all->end_offset;
        moot_disk_sim_rot(machine->disk, all->end_name, all->end_offset + sim__below(world, room),
                          1);
        return;
    }
    const struct sim_batch *batch = sim__choose_batch(world, all, sim__one_in(world, 2));
    uint64_t last = 1 + sim__below(world, 64); /* Blocks end with zeros, mostly. */
    moot_disk_sim_rot(machine->disk, batch->name, batch->offset + batch->length - last, 0x10);
    machine->damaged = true;
}

/* `batch` was written where `hit` lies; its own place kept what was there before. */
static void misdirect(struct sim_world *world, struct sim_machine *machine,
                      const struct sim_batch *batch, const struct sim_batch *hit)
{
    static const uint8_t zeros[MOOT_JOURNAL_ALIGN];
    uint64_t size;
    const uint8_t *bytes = moot_disk_sim_bytes(machine->disk, batch->name, &size);
    if (batch != hit) {
        moot_disk_sim_overwrite(machine->disk, hit->name, hit->offset, bytes + batch->offset,
                                moot_min_u64(batch->length, hit->length));
    }
    for (uint64_t at = 0; at < batch->length; at += MOOT_JOURNAL_ALIGN) {
        moot_disk_sim_overwrite(machine->disk, batch->name, batch->offset + at, zeros,
                                MOOT_JOURNAL_ALIGN);
    }
    sim__record_strike(world, machine, "a write lies in a wrong place");
    sim__trace(world, "m%u: batch %llu lies where %llu should", machine->slot,
               (unsigned long long)batch->number, (unsigned long long)hit->number);
}

struct sim_batches sim__batches(const struct sim_machine *machine)
{
    struct sim_batches all = {.disk = machine->disk};
    struct moot_disk *disk = moot_disk_sim_disk(machine->disk);
    all.items = moot_alloc(SIM_BATCHES_MAX * sizeof(*all.items));
    int status = disk->ops->list(disk, add_file, &all);
    MOOT_ASSERT(status == 0);
    return all;
}

static void damage(struct sim_world *world, struct sim_machine *machine, enum sim_fault fault)
{
    struct sim_batches all = sim__batches(machine);
    keep_durable(&all);
    if (all.count > 0 && all.count < SIM_BATCHES_MAX) {
        sim__count(world, fault);
        world->must_recover = false;
        world->has_rotted = true;
        machine->damaged = machine->damaged || fault != SIM_FAULT_ROT_PADDING;
        if (fault == SIM_FAULT_ROT_PADDING) {
            rot_padding(world, machine, &all);
        } else if (fault == SIM_FAULT_MISDIRECT) {
            misdirect(world, machine, sim__choose_batch(world, &all, sim__one_in(world, 2)),
                      sim__choose_batch(world, &all, sim__one_in(world, 2)));
        } else {
            for (uint64_t i = 1 + sim__below(world, RUN_MAX); i > 0; i--) {
                sim__rot_batch(world, machine,
                               sim__choose_batch(world, &all, fault == SIM_FAULT_ROT_OLD), false);
            }
        }
    }
    moot_free(all.items);
}

void sim__rot(struct sim_world *world, struct sim_machine *machine)
{
    static const enum sim_fault faults[] = {SIM_FAULT_ROT_OLD, SIM_FAULT_ROT_RECENT,
                                            SIM_FAULT_ROT_PADDING, SIM_FAULT_MISDIRECT};
    MOOT_ASSERT(!machine->running);
    for (size_t i = 0; i < MOOT_ARRAY_LEN(faults); i++) {
        if (sim__one_in(world, sim__level(world, faults[i])) && sim__may_damage(world, machine)) {
            damage(world, machine, faults[i]);
        }
    }
}

void sim__lose_disk(struct sim_world *world, struct sim_machine *machine)
{
    MOOT_ASSERT(!machine->lost);
    world->must_recover = false;
    sim__record_strike(world, machine, "lost with its disk");
    sim__trace(world, "m%u is lost with its disk", machine->slot);
    if (machine->running) {
        sim__machine_crash(world, machine, sim__one_in(world, 2));
    }
    machine->lost = true;
}

static void name_file(void *context, const char *name)
{
    char *found = context;
    snprintf(found, JOURNAL_NAME_BYTES, "%s", name);
}

/* Without a store the folder is an empty one, as far as a program can tell: whoever takes it for
 * that of a new node breaks the rule that an id dies with its disk. */
void sim__lose_journal(struct sim_world *world, struct sim_machine *machine)
{
    sim__machine_crash(world, machine, false);
    sim__at(world, world->now + sim__around(world, world->swarm.fault_us),
            (struct sim_event){.kind = SIM_START, .machine = machine->slot});
    if (moot_store_memory_digest(machine->store) == 0) {
        return;
    }
    struct moot_disk *disk = moot_disk_sim_disk(machine->disk);
    char name[JOURNAL_NAME_BYTES] = "";
    while (disk->ops->list(disk, name_file, name) == 0 && name[0] != '\0') {
        int status = disk->ops->remove(disk, name);
        MOOT_ASSERT(status == 0);
        name[0] = '\0';
    }
    machine->journal_lost = machine->damaged = true;
    world->must_recover = false;
    sim__count(world, SIM_FAULT_LOSE_JOURNAL);
    sim__record_strike(world, machine, "its journal is gone");
    sim__trace(world, "m%u: the journal's files are gone", machine->slot);
}

/* A start must notice that, unless all is in the journal still: sim__check_opened looks. */
void sim__lose_store(struct sim_world *world, struct sim_machine *machine)
{
    bool had_any = moot_store_memory_digest(machine->store) != 0;
    sim__machine_crash(world, machine, false);
    sim__at(world, world->now + sim__around(world, world->swarm.fault_us),
            (struct sim_event){.kind = SIM_START, .machine = machine->slot});
    sim__new_store(world, machine);
    machine->store_lost = false;
    machine->store_gone = machine->damaged = true;
    world->must_recover = false;
    world->result->counts.faults[SIM_FAULT_LOSE_STORE] += had_any;
    sim__record_strike(world, machine, "its store is gone");
    sim__trace(world, "m%u: the store's files are gone", machine->slot);
}

/* ---- what a start finds ---- */

/* A snapshot is in the store, and its process ended before the journal heard of it. What lies
 * behind its index in the log is void if the entry there was another (Raft, figure 13). */
static bool is_replaced(const struct sim_machine *machine, moot_group_id group,
                        const struct moot_group_view *view)
{
    const struct sim_log *log = &machine->logs[group]; /* Of the process before. */
    moot_term term;
    return view->last == view->applied && log->lines != NULL && view->applied >= log->first &&
           view->applied <= log->last &&
           moot_node_term(machine->node, group, view->applied, &term) &&
           log->lines[view->applied].term != term;
}

void sim__check_opened(struct sim_world *world, struct sim_machine *machine)
{
    bool is_whole = true;
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        struct sim_kept *kept = &machine->kept[group];
        struct moot_group_view view;
        moot_node_group(machine->node, group, &view);
        is_whole = is_whole && !view.impaired;
        if (!view.impaired && view.term >= kept->term && is_replaced(machine, group, &view)) {
            MOOT_SOMETIMES(view.last < kept->durable, "an install that was cut short voided a log");
            kept->durable = moot_min_u64(kept->durable, view.last);
        }
        if (!view.impaired &&
            (view.term < kept->term || moot_max_u64(view.last, view.applied) < kept->durable)) {
            sim__violation(world,
                           "group %u of node %u has forgotten without a word: term %llu and entry "
                           "%llu were durable, %llu and %llu are there",
                           group, machine->id, (unsigned long long)kept->term,
                           (unsigned long long)kept->durable, (unsigned long long)view.term,
                           (unsigned long long)view.last);
        }
        kept->owed = view.impaired ? moot_max_u64(kept->owed, kept->durable) : kept->owed;
        if (!view.impaired && moot_max_u64(view.last, view.applied) < kept->owed) {
            sim__violation(world,
                           "group %u of node %u knew that entries up to %llu were lost, and has "
                           "forgotten it: %llu are there",
                           group, machine->id, (unsigned long long)kept->owed,
                           (unsigned long long)view.last);
        }
        if (!view.impaired && view.term == kept->term && kept->vote != 0 &&
            view.vote != kept->vote) {
            sim__violation(world,
                           "group %u of node %u has forgotten its vote in term %llu: it was for "
                           "node %u, and is for %u",
                           group, machine->id, (unsigned long long)kept->term, kept->vote,
                           view.vote);
        }
        kept->term = kept->seen_term = view.term;
        kept->vote = kept->seen_vote = view.vote;
        kept->durable = view.durable;
        kept->ticket = kept->since = 0;
    }
    if (!is_whole && !machine->damaged) {
        sim__violation(world, "node %u says that its disk is rotten, and it is not", machine->id);
    }
    /* Rot that took nothing from this start may take something from the next. And an exchanged
     * brain has the same store. */
    bool is_sound = is_whole && !moot_node_has_rot(machine->node) && !machine->store_rots;
    machine->damaged = machine->damaged && !is_sound;
}

/* ---- room ---- */

void sim__disk_room(struct sim_world *world, struct sim_machine *machine, bool is_full)
{
    uint64_t capacity = is_full ? moot_max_u64(1, moot_disk_sim_total(machine->disk)) : 0;
    moot_disk_sim_capacity(machine->disk, capacity);
    machine->full_until = is_full ? machine->full_until : 0;
    if (machine->running) {
        sim__input(world, machine, MOOT_INPUT_SPACE, (struct moot_slice){NULL, 0})->amount =
            is_full ? 0 : UINT64_MAX;
    }
    if (!is_full) {
        sim__write_again(world, machine);
    }
    sim__trace(world, "m%u %s", machine->slot, is_full ? "has little room" : "has room again");
}
