/* What one process claims, against what it was seen to do. invariants.c compares nodes with each
 * other; here the claims are those on which Raft's proof stands, each looked at when it is made:
 *
 *   - who leads was voted for by a majority, whose votes are on disk;
 *   - an entry is called durable only after the batch it was written with (not another entry that
 *     stood at its index before, and not before the disk said so);
 *   - a leader commits by counting only entries of its own term (Raft 5.4.2);
 *   - the same index and term have the same term before them in every log (log matching, also of
 *     what is not committed);
 *   - a read that a leader serves knows all that was committed anywhere when it came (6.4);
 *   - who lost something to rot neither leads, stands for election, nor votes before that is over;
 *   - no node leads for long whose clock a majority knows to be wrong.
 *
 * Each is necessary and none is guessed: a node that does what is specified passes whatever the
 * network, the disks and the clocks do. */
#include <string.h>

#include "base/assert.h"
#include "moot/raft.h"
#include "sim/world.h"

enum {
    CLOCK_OFF_MS = 5000,
    CLOCK_OFF_MAX_S = 10,
    HEARD_MS = 1000,
    UNHEARD_S = 5,
    QUEUE_SLACK_BYTES = 1000
};

static struct sim_log *log_of(struct sim_machine *machine, moot_group_id group)
{
    return &machine->logs[group];
}

void sim__witness_free(struct sim_world *world)
{
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        moot_free(world->groups[group].lineage);
    }
}

void sim__witness_free_machine(struct sim_machine *machine)
{
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        moot_free(machine->logs[group].lines);
        moot_free(machine->logs[group].floors);
    }
}

/* ---- logs ---- */

/* The same (index, term) is the same entry, and so is all before it. */
static void check_lineage(struct sim_world *world, const struct sim_machine *machine,
                          moot_group_id group, moot_index index, moot_term term)
{
    struct sim_group *all = &world->groups[group];
    moot_term before;
    if (!moot_node_term(machine->node, group, index - 1, &before)) {
        return;
    }
    all->lineage = sim__grown(all->lineage, &all->lineage_capacity, index, sizeof(*all->lineage));
    struct sim_lineage *known = &all->lineage[index];
    for (uint32_t i = 0; i < SIM_LINEAGES; i++) {
        if (known->terms[i] == term && known->before[i] != before) {
            sim__violation(world,
                           "log matching: group %u: at %llu node %u has an entry of term %llu "
                           "behind one of term %llu; elsewhere it is behind one of term %llu",
                           group, (unsigned long long)index, machine->id, (unsigned long long)term,
                           (unsigned long long)before, (unsigned long long)known->before[i]);
        }
        if (known->terms[i] == term || known->terms[i] == 0) {
            known->terms[i] = term;
            known->before[i] = before;
            return;
        }
    }
    known->terms[index % SIM_LINEAGES] = term; /* One is forgotten. */
    known->before[index % SIM_LINEAGES] = before;
}

/* What was not there when the log was last looked at, from its end on: below an entry that was
 * there nothing has changed. */
static void note_log(struct sim_world *world, struct sim_machine *machine, moot_group_id group,
                     const struct moot_group_view *view, uint64_t since)
{
    struct sim_log *log = log_of(machine, group);
    log->lines = sim__grown(log->lines, &log->capacity, view->last, sizeof(*log->lines));
    moot_term term = 0;
    for (moot_index index = view->last; index >= view->first && index > 0; index--) {
        bool known = moot_node_term(machine->node, group, index, &term);
        if (!known || (index <= log->last && log->lines[index].term == term)) {
            break;
        }
        log->lines[index] = (struct sim_line){term, since};
        check_lineage(world, machine, group, index, term);
        if (since != SIM_SINCE_START && index <= view->durable) {
            sim__violation(world,
                           "group %u: node %u calls entry %llu durable, which it has not written",
                           group, machine->id, (unsigned long long)index);
        }
    }
    if (view->first != log->first && view->first <= view->last &&
        moot_node_term(machine->node, group, view->first, &term)) {
        check_lineage(world, machine, group, view->first, term); /* Behind a snapshot. */
    }
    log->first = view->first;
    log->last = view->last;
}

static void check_durable(struct sim_world *world, struct sim_machine *machine, moot_group_id group,
                          const struct moot_group_view *view)
{
    struct sim_log *log = log_of(machine, group);
    moot_index from = moot_max_u64(log->durable + 1, view->first);
    for (moot_index index = from; index <= moot_min_u64(view->durable, view->last); index++) {
        uint64_t since = log->lines[index].since;
        if (log->lines[index].term != 0 && since != SIM_SINCE_START &&
            machine->journal_durable <= since) {
            sim__violation(world,
                           "group %u: node %u calls entry %llu durable; it came after batch %llu, "
                           "and the disk has batch %llu",
                           group, machine->id, (unsigned long long)index, (unsigned long long)since,
                           (unsigned long long)machine->journal_durable);
        }
    }
    log->durable = view->durable;
}

/* ---- leaders ---- */

static void note_promise(struct sim_machine *machine, moot_group_id group,
                         const struct moot_group_view *view, uint64_t since)
{
    struct sim_log *log = log_of(machine, group);
    const struct sim_promise *last =
        &log->promises[(log->promise_count - 1) % MOOT_ARRAY_LEN(log->promises)];
    if (log->promise_count == 0 || last->term != view->term || last->vote != view->vote ||
        since == SIM_SINCE_START) {
        log->promises[log->promise_count++ % MOOT_ARRAY_LEN(log->promises)] =
            (struct sim_promise){view->term, view->vote, since, machine->epoch};
    }
}

/* Has it voted for `leader` in that term, and is it on its disk? What a process that is gone had
 * written, and what one that has moved on to a later term had voted on its way, counts as both. */
static bool has_voted(const struct sim_machine *voter, moot_group_id group, moot_term term,
                      moot_node_id leader)
{
    const struct sim_log *log = &voter->logs[group];
    for (uint32_t i = 0; i < MOOT_ARRAY_LEN(log->promises) && i < log->promise_count; i++) {
        const struct sim_promise *promise = &log->promises[i];
        bool is_durable = promise->since == SIM_SINCE_START || promise->epoch != voter->epoch ||
                          voter->journal_durable > promise->since;
        if (promise->term > term ||
            (promise->term == term && promise->vote == leader && is_durable)) {
            return true;
        }
    }
    return false;
}

static uint32_t votes_of(struct sim_world *world, moot_node_id leader, moot_group_id group,
                         moot_term term, const moot_node_id *voters, uint32_t count)
{
    uint32_t votes = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct sim_machine *voter = sim__machine_of(world, voters[i]);
        votes += voter != NULL && has_voted(voter, group, term, leader);
    }
    return votes;
}

/* Alagappan et al., "Protocol-Aware Recovery", FAST 2018, section 3.5. Before note_promise. */
static void check_impaired(struct sim_world *world, struct sim_machine *machine,
                           moot_group_id group, const struct moot_group_view *view)
{
    struct sim_log *log = log_of(machine, group);
    const struct sim_promise *last =
        &log->promises[(log->promise_count - 1) % MOOT_ARRAY_LEN(log->promises)];
    bool votes = log->was_impaired && log->promise_count > 0 && view->vote != 0 &&
                 (last->term != view->term || last->vote != view->vote);
    if (view->impaired && (view->role != MOOT_RAFT_FOLLOWER || votes)) {
        sim__violation(world, "group %u: node %u %s in term %llu, and has lost entries to rot",
                       group, machine->id, votes ? "votes" : "leads or would lead",
                       (unsigned long long)view->term);
    }
    log->was_impaired = view->impaired;
}

/* Where disks are damaged, what they had is not what they have. */
static void check_votes(struct sim_world *world, struct sim_machine *machine, moot_group_id group,
                        const struct moot_group_view *view)
{
    const struct moot_members *members = view->members;
    uint32_t having =
        votes_of(world, machine->id, group, view->term, members->voters, members->voter_count);
    uint32_t outgoing =
        votes_of(world, machine->id, group, view->term, members->outgoing, members->outgoing_count);
    bool enough = 2 * having > members->voter_count &&
                  (members->outgoing_count == 0 || 2 * outgoing > members->outgoing_count);
    if (!enough && !world->swarm.is_damaged) {
        sim__violation(world,
                       "group %u: node %u leads in term %llu, and the votes for it on disks are no "
                       "majority",
                       group, machine->id, (unsigned long long)view->term);
    }
}

static void check_commit(struct sim_world *world, struct sim_machine *machine, moot_group_id group,
                         const struct moot_group_view *view)
{
    moot_term term;
    if (view->commit > machine->seen[group].commit && view->commit >= view->first &&
        moot_node_term(machine->node, group, view->commit, &term) && term != view->term) {
        sim__violation(world,
                       "group %u: leader %u of term %llu commits entry %llu of term %llu by "
                       "counting it",
                       group, machine->id, (unsigned long long)view->term,
                       (unsigned long long)view->commit, (unsigned long long)term);
    }
}

/* How many of the voters that it hears show the leader that its clock is ahead, or behind. */
static uint32_t voters_off(struct sim_world *world, const struct sim_machine *machine,
                           const struct moot_members *members, bool ahead)
{
    uint32_t off = 0;
    for (uint32_t i = 0; i < members->voter_count; i++) {
        const struct sim_machine *voter = sim__machine_of(world, members->voters[i]);
        if (voter == NULL || voter == machine ||
            world->links[voter->slot][machine->slot].heard_at + HEARD_MS * MOOT_MSEC_NS <
                world->now) {
            continue;
        }
        int64_t by = machine->wall_offset_ms - voter->wall_offset_ms;
        off += ahead ? by > CLOCK_OFF_MS : -by > CLOCK_OFF_MS;
    }
    return off;
}

static void check_clock(struct sim_world *world, struct sim_machine *machine, moot_group_id group,
                        const struct moot_group_view *view)
{
    struct sim_log *log = log_of(machine, group);
    bool was_silent = world->now - log->looked_at > HEARD_MS * MOOT_MSEC_NS;
    uint32_t off = 0;
    if (view->leads) {
        off = (uint32_t)moot_max_u64(voters_off(world, machine, view->members, true),
                                     voters_off(world, machine, view->members, false));
    }
    if (off <= view->members->voter_count / 2 || was_silent || log->off_term != view->term) {
        log->off_since = world->now;
        log->off_term = view->term;
    } else if (world->now - log->off_since > CLOCK_OFF_MAX_S * MOOT_SEC_NS) {
        sim__violation(world,
                       "group %u: node %u has led for %u s with a clock that %u voters contradict",
                       group, machine->id, CLOCK_OFF_MAX_S, off);
    }
    log->looked_at = world->now;
}

/* By which time keys expire: none but leaders give stamps. */
static void note_stamps(struct sim_world *world, moot_group_id group,
                        const struct moot_group_view *view)
{
    struct sim_group *all = &world->groups[group];
    int64_t off_ms = (int64_t)(view->stamp_ms - sim__wall_ms(world));
    all->ahead_ms = !all->has_stamps || off_ms > all->ahead_ms ? off_ms : all->ahead_ms;
    all->behind_ms = !all->has_stamps || off_ms < all->behind_ms ? off_ms : all->behind_ms;
    all->has_stamps = true;
}

uint64_t sim__clocks_apart_ms(const struct sim_world *world)
{
    const struct sim_group *all = &world->groups[MOOT_GROUP_DB0];
    MOOT_ASSERT(all->ahead_ms >= all->behind_ms);
    return (uint64_t)(all->ahead_ms - all->behind_ms);
}

/* Who has not run for a while is not heard, and so does not count as alive. */
static void check_removal(struct sim_world *world, moot_group_id group,
                          const struct sim_client *client, const struct sim_machine *removed)
{
    const struct moot_members *members = &world->groups[group].members;
    uint32_t left = 0, down = 0;
    for (uint32_t i = 0; i < members->voter_count; i++) {
        const struct sim_machine *voter = sim__machine_of(world, members->voters[i]);
        if (voter == NULL || voter == removed || voter->removed) {
            continue;
        }
        left++;
        down += !voter->running && voter->starts > 0 &&
                voter->down_since + UNHEARD_S * MOOT_SEC_NS < client->ordered_at;
    }
    if (left > 0 && 2 * (left - down) <= left) {
        sim__violation(world,
                       "the removal of node %u was taken: of %u voters that stay %u are down "
                       "(group %u)",
                       removed->id, left, down, group);
    }
    moot_node_id leader = sim__leader(world, group);
    const struct sim_machine *led = leader == 0 ? NULL : sim__machine_of(world, leader);
    if (left == 0 && led != NULL && led->kept[group].is_known && !led->kept[group].changing) {
        sim__violation(world, "the removal of node %u was taken: no voter of group %u stays",
                       removed->id, group);
    }
}

void sim__check_removal(struct sim_world *world, const struct sim_client *client,
                        const struct sim_machine *removed)
{
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        check_removal(world, group, client, removed);
    }
}

void sim__check_given_up(struct sim_world *world, const struct sim_machine *machine)
{
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        bool led = false;
        for (uint32_t i = 0; i < world->machine_count; i++) {
            const struct sim_machine *other = world->machines[i];
            led =
                led || (other != NULL && other != machine && other->logs[group].led_at > 0 &&
                        other->logs[group].led_at + UNHEARD_S * MOOT_SEC_NS >= machine->fenced_at);
        }
        if (!led) {
            sim__violation(world, "node %u gives up its store, and nobody else leads group %u",
                           machine->id, group);
        }
    }
}

/* ---- reads ---- */

static void push_floor(struct sim_log *log, moot_index floor)
{
    if (log->floor_count == log->floor_capacity) {
        log->floor_capacity = log->floor_capacity == 0 ? 64 : 2 * log->floor_capacity;
        log->floors = moot_realloc(log->floors, log->floor_capacity * sizeof(*log->floors));
    }
    log->floors[log->floor_count++] = floor;
}

static void drop_floors(struct sim_log *log, size_t count)
{
    MOOT_ASSERT(count <= log->floor_count);
    if (count == 0) {
        return;
    }
    log->floor_count -= count;
    memmove(log->floors, log->floors + count, log->floor_count * sizeof(*log->floors));
}

/* First come, first served; those that have lost their leader are dropped, all at once. */
static void check_reads(struct sim_world *world, struct sim_machine *machine, moot_group_id group,
                        const struct moot_group_view *view)
{
    struct sim_log *log = log_of(machine, group);
    for (uint64_t i = log->reads_placed; i < view->reads_placed; i++) {
        push_floor(log, world->groups[group].committed_last);
    }
    size_t run = (size_t)(view->reads_run - log->reads_run);
    MOOT_ASSERT(run <= log->floor_count);
    for (size_t i = 0; i < run; i++) {
        if (view->applied < log->floors[i]) {
            sim__violation(world,
                           "group %u: node %u has served a read at %llu, and %llu was committed "
                           "when the read came",
                           group, machine->id, (unsigned long long)view->applied,
                           (unsigned long long)log->floors[i]);
        }
    }
    drop_floors(log, run);
    MOOT_ASSERT(view->reads_waiting <= log->floor_count);
    drop_floors(log, log->floor_count - view->reads_waiting);
    log->reads_placed = view->reads_placed;
    log->reads_run = view->reads_run;
}

/* An edge takes no more than it has room for; a little more, where a try again needs no leave. */
static void check_queue(struct sim_world *world, const struct sim_machine *machine,
                        moot_group_id group, const struct moot_group_view *view)
{
    uint64_t room = world->swarm.knobs[SIM_FAULT_NARROW];
    if (group == MOOT_GROUP_DB0 && room != 0 && view->queued_bytes > room + QUEUE_SLACK_BYTES) {
        sim__violation(world, "node %u has %llu bytes of commands waiting, and room for %llu",
                       machine->id, (unsigned long long)view->queued_bytes,
                       (unsigned long long)room);
    }
}

/* ---- the doors ---- */

void sim__witness_start(struct sim_world *world, struct sim_machine *machine)
{
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        struct sim_log *log = log_of(machine, group);
        struct moot_group_view view;
        moot_node_group(machine->node, group, &view);
        log->first = log->last = log->durable = 0;
        log->reads_placed = log->reads_run = 0;
        log->floor_count = 0;
        log->off_since = log->looked_at = world->now;
        log->was_impaired = view.impaired;
        note_log(world, machine, group, &view, SIM_SINCE_START);
        note_promise(machine, group, &view, SIM_SINCE_START);
        log->durable = view.durable;
    }
}

void sim__witness(struct sim_world *world, struct sim_machine *machine, moot_group_id group,
                  const struct moot_group_view *view)
{
    const struct sim_seen *seen = &machine->seen[group];
    struct sim_log *log = log_of(machine, group);
    bool led = seen->led && seen->led_term == view->term;
    note_log(world, machine, group, view, machine->journal_last);
    check_impaired(world, machine, group, view);
    note_promise(machine, group, view, machine->journal_last);
    check_durable(world, machine, group, view);
    check_reads(world, machine, group, view);
    check_queue(world, machine, group, view);
    check_clock(world, machine, group, view);
    if (view->leads || seen->led) {
        note_stamps(world, group, view);
    }
    log->led_at = view->leads ? world->now : log->led_at;
    if (view->leads && !led) {
        check_votes(world, machine, group, view);
    } else if (view->leads) {
        check_commit(world, machine, group, view);
    }
}
