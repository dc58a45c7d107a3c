/* What must hold between nodes. Raft's figure 3 (Ongaro and Ousterhout, "In Search of an
 * Understandable Consensus Algorithm", 2014), seen from outside: election safety, log matching of
 * what is committed, leader completeness, state machine safety; and that one process never takes
 * anything back. */
#include <string.h>

#include "base/assert.h"
#include "sim/world.h"

static void *grown(void *memory, size_t *capacity, uint64_t index, size_t item)
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
    sim__trace(world, "m%u leads group %u in term %llu", machine->slot, group,
               (unsigned long long)view->term);
    if (view->term > 1000 * 1000) {
        sim__violation(world, "terms ran away: %llu", (unsigned long long)view->term);
        return;
    }
    all->leaders = grown(all->leaders, &all->leaders_capacity, view->term, sizeof(*all->leaders));
    moot_node_id *leader = &all->leaders[view->term];
    if (*leader != 0 && *leader != machine->id) {
        sim__violation(world, "group %u has two leaders in term %llu: nodes %u and %u", group,
                       (unsigned long long)view->term, *leader, machine->id);
    }
    *leader = machine->id;
    if (view->last < all->committed_last) {
        sim__violation(world,
                       "leader completeness: group %u: node %u leads with a log that ends at %llu, "
                       "and %llu is committed",
                       group, machine->id, (unsigned long long)view->last,
                       (unsigned long long)all->committed_last);
    }
}

static void check_committed(struct sim_world *world, struct sim_machine *machine,
                            moot_group_id group, const struct moot_group_view *view)
{
    struct sim_group *all = &world->groups[group];
    struct sim_seen *seen = &machine->seen[group];
    moot_index from = moot_max_u64(seen->checked + 1, view->first);
    all->committed =
        grown(all->committed, &all->committed_capacity, view->commit, sizeof(*all->committed));
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
    all->committed_last = moot_max_u64(all->committed_last, view->commit);
}

static void check_applied(struct sim_world *world, struct sim_machine *machine, moot_group_id group,
                          const struct moot_group_view *view)
{
    struct sim_group *all = &world->groups[group];
    all->applied =
        grown(all->applied, &all->applied_capacity, view->applied, sizeof(*all->applied));
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
    if (view->durable >= view->first) { /* Else it may only say what was compacted. */
        kept->durable = view->durable;
    }
    kept->durable = moot_min_u64(kept->durable, view->last);
    kept->members = view->members;
    kept->changing = view->changing;
    kept->is_known = true;
}

static void check_group(struct sim_world *world, struct sim_machine *machine, moot_group_id group)
{
    struct moot_group_view view;
    struct sim_seen *seen = &machine->seen[group];
    moot_node_group(machine->node, group, &view);
    if (view.fenced && machine->store_rots) { /* It says so itself: it needs a new disk. */
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
    check_leader(world, machine, group, &view);
    if (view.commit > seen->commit) {
        check_committed(world, machine, group, &view);
    }
    if (view.applied > seen->applied) {
        check_applied(world, machine, group, &view);
    }
    keep(machine, group, &view);
    if (view.leads && !view.changing) {
        world->groups[group].members = view.members;
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
    return moot_members_has(&view.members, machine->id);
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
        if (machine == NULL || machine->id == 0 || !moot_members_has(&lead.members, machine->id)) {
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
