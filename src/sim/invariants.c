/* What must hold between nodes. Raft's figure 3 (Ongaro and Ousterhout, "In Search of an
 * Understandable Consensus Algorithm", 2014), seen from outside: election safety, log matching of
 * what is committed, leader completeness, state machine safety; and that one process never takes
 * anything back. */
#include <string.h>

#include "base/assert.h"
#include "sim/world.h"

/* What may be under way when nobody asks any more: heartbeats go on. */
enum { LEFT_MAX = 8, INPUTS_LEFT_MAX = 64, LOG_BYTES_LEFT_MAX = 64 * 1024 * 1024 };

void *sim__grown(void *memory, size_t *capacity, uint64_t index, size_t item)
{
    if (index < *capacity) {
        return memory;
    }
    size_t before = *capacity;
    *capacity = (size_t)moot_max_u64(256, 2 * index);
    memory = moot_realloc(memory, *capacity * item);
    memset((uint8_t *)memory + before * item, 0, (*capacity - before) * item);
    return memory;
}

void sim__check_forget(struct sim_machine *machine)
{
    memset(machine->seen, 0, sizeof(machine->seen));
}

static void check_leader(struct sim_world *world, struct sim_machine *machine, moot_group_id group,
                         const struct moot_group_view *view)
{
    struct sim_group *all = &world->groups[group];
    struct sim_seen *seen = &machine->seen[group];
    if (!view->leads || (seen->led && seen->led_term == view->term)) {
        seen->led = view->leads;
        return;
    }
    seen->led = true;
    seen->led_term = view->term;
    world->result->counts.elections++;
    sim__note_behind(world, machine, view);
    sim__trace(world, "m%u leads group %u in term %llu", machine->slot, group,
               (unsigned long long)view->term);
    if (view->term > 1000 * 1000) {
        sim__violation(world, "terms ran away: %llu", (unsigned long long)view->term);
        return;
    }
    all->leaders =
        sim__grown(all->leaders, &all->leaders_capacity, view->term, sizeof(*all->leaders));
    moot_node_id *leader = &all->leaders[view->term];
    if (*leader != 0 && *leader != machine->id) {
        sim__violation(world, "group %u has two leaders in term %llu: nodes %u and %u", group,
                       (unsigned long long)view->term, *leader, machine->id);
    }
    *leader = machine->id;
    /* Of a later term than whoever committed it. A process that stood still for long may learn late
     * that it was elected once, and leads until it hears more. */
    if (view->last < all->committed_last && view->term > all->committed_term) {
        sim__violation(world,
                       "leader completeness: group %u: node %u leads with a log that ends at %llu, "
                       "and %llu is committed",
                       group, machine->id, (unsigned long long)view->last,
                       (unsigned long long)all->committed_last);
    }
}

/* Whoever takes the log from a majority gets all that was ever committed: it is on as many disks. A
 * disk counts as having what its process knew to be durable when it was last looked at. */
static uint32_t durable_on(struct sim_world *world, const struct sim_machine *leader,
                           moot_group_id group, const struct moot_group_view *view,
                           const moot_node_id *voters, uint32_t count)
{
    moot_term term = 0, other_term;
    uint64_t hash = 0, other_hash;
    uint32_t having = 0;
    bool known = moot_node_entry(leader->node, group, view->commit, &term, &hash);
    for (uint32_t i = 0; i < count; i++) {
        const struct sim_machine *voter = sim__machine_of(world, voters[i]);
        moot_index durable = voter == NULL     ? 0
                             : voter == leader ? view->durable
                                               : voter->kept[group].durable;
        bool differs =
            known && voter != NULL && voter->running &&
            moot_node_entry(voter->node, group, view->commit, &other_term, &other_hash) &&
            (term != other_term || hash != other_hash);
        having += durable >= view->commit && !differs;
    }
    return having;
}

static bool is_on_majority(struct sim_world *world, const struct sim_machine *leader,
                           moot_group_id group, const struct moot_group_view *view,
                           const struct moot_members *members)
{
    uint32_t having = durable_on(world, leader, group, view, members->voters, members->voter_count);
    uint32_t outgoing =
        durable_on(world, leader, group, view, members->outgoing, members->outgoing_count);
    return 2 * having > members->voter_count &&
           (members->outgoing_count == 0 || 2 * outgoing > members->outgoing_count);
}

/* By the members as they are, or as they were before this turn. Where disks are damaged (atlas.c),
 * what they had is not what they have. */
static void check_durable(struct sim_world *world, struct sim_machine *machine, moot_group_id group,
                          const struct moot_group_view *view)
{
    const struct sim_kept *before = &machine->kept[group];
    if (!view->leads || world->swarm.is_damaged ||
        view->commit <= world->groups[group].committed_last ||
        is_on_majority(world, machine, group, view, view->members) ||
        (before->is_known && is_on_majority(world, machine, group, view, &before->members))) {
        return;
    }
    sim__violation(world,
                   "group %u: node %u has committed entry %llu, which is not durable on a majority",
                   group, machine->id, (unsigned long long)view->commit);
}

static bool same_ids(const moot_node_id *a, uint32_t a_count, const moot_node_id *b,
                     uint32_t b_count)
{
    return a_count == b_count && memcmp(a, b, a_count * sizeof(*a)) == 0;
}

/* From one majority to another there is a step in which both are asked (joint consensus: Ongaro's
 * dissertation, 4.3), and no second change before the first is done. */
static void check_members(struct sim_world *world, struct sim_machine *machine, moot_group_id group,
                          const struct moot_group_view *view)
{
    const struct sim_seen *seen = &machine->seen[group];
    const struct moot_members *was = &machine->kept[group].members, *is = view->members;
    if (!view->leads || !seen->led || seen->led_term != view->term ||
        !machine->kept[group].is_known || moot_members_equal(was, is)) {
        return;
    }
    bool same = same_ids(was->voters, was->voter_count, is->voters, is->voter_count);
    bool good = same && (is->outgoing_count == 0 || same_ids(was->outgoing, was->outgoing_count,
                                                             is->outgoing, is->outgoing_count));
    if (was->outgoing_count == 0 && is->outgoing_count > 0) {
        good = same_ids(was->voters, was->voter_count, is->outgoing, is->outgoing_count);
    }
    if (!good) {
        sim__violation(world, "group %u: leader %u went over to other members at once", group,
                       machine->id);
    }
}

/* A batch of an edge's stream is executed once: what was run is how far the streams have come. */
static void check_streams(struct sim_world *world, struct sim_machine *machine, moot_group_id group,
                          const struct moot_group_view *view)
{
    struct sim_seen *seen = &machine->seen[group];
    uint64_t run = view->batches_run - seen->batches_run, came = 0;
    uint64_t incarnation, executed;
    moot_node_id edge;
    bool anew = false;
    for (size_t i = 0; moot_node_stream(machine->node, group, i, &edge, &incarnation, &executed);
         i++) {
        const struct sim_machine *owner = sim__machine_of(world, edge);
        if (owner == NULL) { /* It stands in the log before the machine hears its id. */
            MOOT_ASSERT(executed == 0);
            continue;
        }
        struct sim_stream *stream = &seen->streams[owner->slot];
        bool same = stream->incarnation == incarnation;
        if (incarnation < stream->incarnation || (same && executed < stream->executed)) {
            sim__violation(world, "group %u of node %u: the stream of edge %u went back", group,
                           machine->id, edge);
        }
        anew = anew || !same; /* Batches of the one before may be among those run. */
        came += same ? executed - stream->executed : executed;
        *stream = (struct sim_stream){incarnation, executed};
    }
    if (run > came && !anew) {
        sim__violation(world, "group %u of node %u ran %llu batches, and %llu were new", group,
                       machine->id, (unsigned long long)run, (unsigned long long)came);
    }
    seen->batches_run = view->batches_run;
}

static void check_committed(struct sim_world *world, struct sim_machine *machine,
                            moot_group_id group, const struct moot_group_view *view)
{
    struct sim_group *all = &world->groups[group];
    struct sim_seen *seen = &machine->seen[group];
    moot_index from = moot_max_u64(seen->checked + 1, view->first);
    all->committed =
        sim__grown(all->committed, &all->committed_capacity, view->commit, sizeof(*all->committed));
    for (moot_index index = from; index <= view->commit; index++) {
        moot_term term;
        uint64_t hash;
        if (!moot_node_entry(machine->node, group, index, &term, &hash)) {
            continue;
        }
        struct sim_committed *known = &all->committed[index];
        if (known->term != 0 && (known->term != term || known->hash != hash)) {
            sim__violation(world,
                           "log matching: group %u: node %u has committed another entry at %llu "
                           "(term %llu, elsewhere %llu)",
                           group, machine->id, (unsigned long long)index, (unsigned long long)term,
                           (unsigned long long)known->term);
        }
        *known = (struct sim_committed){term, hash};
    }
    seen->checked = moot_max_u64(seen->checked, view->commit);
    if (view->commit > all->committed_last) {
        all->committed_last = view->commit;
        all->committed_term = view->term;
    }
}

static void check_applied(struct sim_world *world, struct sim_machine *machine, moot_group_id group,
                          const struct moot_group_view *view)
{
    struct sim_group *all = &world->groups[group];
    all->applied =
        sim__grown(all->applied, &all->applied_capacity, view->applied, sizeof(*all->applied));
    struct sim_applied *known = &all->applied[view->applied];
    if (known->known && (known->chain != view->chain || known->digest != view->digest)) {
        sim__violation(world, "state machine safety: group %u: node %u holds another %s at %llu",
                       group, machine->id, known->chain != view->chain ? "chain" : "content",
                       (unsigned long long)view->applied);
    }
    *known = (struct sim_applied){view->chain, view->digest, true};
}

/* What the disk has, as far as others may rely on it. */
static void keep(struct sim_machine *machine, moot_group_id group,
                 const struct moot_group_view *view)
{
    struct sim_kept *kept = &machine->kept[group];
    if (kept->ticket == 0 && machine->journal_last > kept->since) {
        kept->ticket = machine->journal_last;
    }
    if (kept->ticket != 0 && kept->ticket <= machine->journal_durable) {
        kept->term = kept->seen_term;
        kept->vote = kept->seen_vote;
    }
    if (kept->seen_term != view->term || kept->seen_vote != view->vote) {
        kept->seen_term = view->term;
        kept->seen_vote = view->vote;
        kept->since = machine->journal_last;
        kept->ticket = 0;
    }
    if (view->durable >= view->first) {
        kept->durable = view->durable;
    } else if (view->durable + 1 == view->first) { /* Not more: that was compacted. */
        kept->durable = moot_min_u64(kept->durable, view->durable);
    }
    kept->durable = moot_min_u64(kept->durable, view->last);
    kept->owed = view->impaired ? kept->owed : 0;
    kept->members = *view->members;
    kept->changing = view->changing;
    kept->is_known = true;
}

/* Nobody goes over to rules that a member does not know: it would stop. Of the first members: who
 * joins may come just then. */
static void check_level(struct sim_world *world, moot_group_id group,
                        const struct moot_group_view *view)
{
    for (uint32_t i = 0; i < world->swarm.nodes; i++) {
        const struct sim_machine *machine = world->machines[i];
        bool is_member = moot_members_has(view->members, machine->id); /* By who is first there. */
        if (is_member && machine->is_older && sim__level_of(world, machine) < view->feature_level) {
            sim__violation(world,
                           "group %u goes over to feature level %u, and node %u, a member, does "
                           "not know it",
                           group, view->feature_level, machine->id);
        }
    }
}

/* From nothing to the first is no change. */
static void note_level(struct sim_world *world, moot_group_id group,
                       const struct moot_group_view *view)
{
    struct sim_group *all = &world->groups[group];
    uint32_t level = view->feature_level;
    if (level > all->level && all->level != 0) {
        check_level(world, group, view);
    } else if (level > all->level && world->swarm.knobs[SIM_FAULT_OLDER] != 0 &&
               level == MOOT_FEATURE_LEVEL) { /* Most know more. */
        sim__count_older(world);
    }
    if (level > all->level && all->level != 0 && sim__level(world, SIM_FAULT_LEVEL) != 0) {
        sim__count(world, SIM_FAULT_LEVEL);
    }
    all->level = level > all->level ? level : all->level;
}

static void check_group(struct sim_world *world, struct sim_machine *machine, moot_group_id group)
{
    struct moot_group_view view;
    struct sim_seen *seen = &machine->seen[group];
    moot_node_group(machine->node, group, &view);
    if (view.feature_level > sim__level_of(world, machine) && machine->is_older && !view.fenced) {
        sim__violation(world, "group %u of node %u runs by rules that its program does not know",
                       group, machine->id);
    }
    note_level(world, group, &view);
    if (view.fenced && machine->is_older) { /* It says so itself: it needs a newer program. */
        sim__count_older(world);
        machine->upgrade = true;
        return;
    }
    if (view.fenced && machine->store_rots) { /* It says so itself: it needs a new disk. */
        machine->fenced_at = machine->fenced_at == 0 ? world->now : machine->fenced_at;
        if (!machine->steps_aside && !machine->replace) {
            sim__count(world, SIM_FAULT_STORE_CHECKSUM);
            machine->steps_aside = sim__one_in(world, 2);
            machine->replace = !machine->steps_aside;
        }
        return;
    }
    if (view.fenced) {
        sim__violation(world, "group %u of node %u has fenced itself", group, machine->id);
        return;
    }
    if (view.term < seen->term || view.commit < seen->commit || view.applied < seen->applied) {
        sim__violation(world, "group %u of node %u went back in term, commit or applied", group,
                       machine->id);
    }
    sim__witness(world, machine, group, &view);
    check_members(world, machine, group, &view);
    check_leader(world, machine, group, &view);
    if (view.commit > seen->commit) {
        check_durable(world, machine, group, &view);
        check_committed(world, machine, group, &view);
    }
    if (view.applied > seen->applied) {
        check_applied(world, machine, group, &view);
        check_streams(world, machine, group, &view);
    }
    keep(machine, group, &view);
    if (view.leads && !view.changing) {
        world->groups[group].members = *view.members;
    }
    seen->term = view.term;
    seen->commit = view.commit;
    seen->applied = view.applied;
}

void sim__check(struct sim_world *world, struct sim_machine *machine)
{
    moot_node_check(machine->node);
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        check_group(world, machine, group);
    }
}

/* ---- the end ---- */

bool sim__is_member(struct sim_world *world, const struct sim_machine *machine)
{
    moot_node_id leader = sim__leader(world, MOOT_GROUP_DB0);
    struct moot_group_view view;
    if (leader == 0) {
        return true;
    }
    moot_node_group(sim__machine_of(world, leader)->node, MOOT_GROUP_DB0, &view);
    return moot_members_has(view.members, machine->id);
}

static bool group_has_converged(struct sim_world *world, moot_group_id group, const char **why)
{
    moot_node_id leader = sim__leader(world, group);
    struct moot_group_view lead, view;
    *why = "a group has no leader";
    if (leader == 0) {
        return false;
    }
    moot_node_group(sim__machine_of(world, leader)->node, group, &lead);
    *why = "the leader has not applied its log";
    if (lead.applied != lead.last) {
        return false;
    }
    for (uint32_t i = 0; i < world->machine_count; i++) {
        const struct sim_machine *machine = world->machines[i];
        if (machine == NULL || machine->id == 0 || !moot_members_has(lead.members, machine->id)) {
            continue;
        }
        *why = machine->lost ? "a lost machine is still a member" : "a member does not run";
        if (!machine->running) {
            return false;
        }
        moot_node_group(machine->node, group, &view);
        *why = "a member has not applied what the leader has";
        if (view.applied != lead.applied || view.term != lead.term) {
            return false;
        }
        if (view.chain != lead.chain || view.digest != lead.digest) {
            sim__violation(world,
                           "at the end node %u holds something else than node %u in group %u",
                           machine->id, leader, group);
        }
    }
    return true;
}

bool sim__has_converged(struct sim_world *world, const char **why)
{
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        if (!group_has_converged(world, group, why)) {
            return false;
        }
    }
    return true;
}

static const char *left_behind(const struct sim_machine *machine)
{
    struct moot_group_view view;
    for (size_t i = 0; i < machine->connection_count; i++) {
        if (machine->connections[i].backlog.size > 0) {
            return "bytes of a client that are not read";
        }
    }
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        moot_node_group(machine->node, group, &view);
        if (view.waiters > 0) {
            return "a client that waits, and is not there";
        }
        if (view.log_bytes > LOG_BYTES_LEFT_MAX) {
            return "a log that is not compacted";
        }
    }
    return machine->flight_count > LEFT_MAX         ? "journal writes in flight"
           : machine->pin_count > LEFT_MAX          ? "pins of the store"
           : machine->input_count > INPUTS_LEFT_MAX ? "inputs"
                                                    : NULL;
}

bool sim__has_emptied(struct sim_world *world, const char **what)
{
    for (uint32_t i = 0; i < world->machine_count; i++) {
        const struct sim_machine *machine = world->machines[i];
        if (machine != NULL && machine->running && sim__is_member(world, machine)) {
            *what = left_behind(machine);
            if (*what != NULL) {
                return false;
            }
        }
    }
    return true;
}
