/* What a node does when it must (compact a log, flush a store, go over to newer rules) it may do at
 * any time. Mostly it does it rarely, and then when little happens; here it is a fault that strikes
 * in the middle of everything else. The doors are MOOT_RARELY and MOOT_FORCED (base/rule.h);
 * `rarely` opens all of the former now and then, these faults open one door often, and count what
 * came of it. */
#include "sim/world.h"

static const struct {
    const char *name;
    enum sim_fault fault;
} CHOICES[SIM_CHOICES] = {
    [SIM_CHOICE_COMPACT] = {"compacts", SIM_FAULT_COMPACT},
    [SIM_CHOICE_SNAPSHOT] = {"compacts_all", SIM_FAULT_SNAPSHOT},
    [SIM_CHOICE_FLUSH] = {"store_flushes", SIM_FAULT_FLUSH},
    [SIM_CHOICE_LEVEL] = {"level_rises", SIM_FAULT_LEVEL},
};

struct moot_chance sim__chance(struct sim_world *world, struct sim_machine *machine)
{
    struct moot_chance chance = {.seed = moot_rng_next(&world->rng),
                                 .node = machine->id,
                                 .one_in = sim__level(world, SIM_FAULT_RARELY)};
    for (size_t i = 0; i < SIM_CHOICES; i++) {
        uint32_t one_in = sim__level(world, CHOICES[i].fault);
        machine->forced.knobs[i] =
            (struct moot_chance_knob){.name = CHOICES[i].name, .one_in = one_in};
        machine->forced.counted[i] = 0;
        if (one_in != 0) {
            chance.knobs = machine->forced.knobs;
            chance.knob_count = SIM_CHOICES;
        }
    }
    return chance;
}

void sim__forced_end(struct sim_machine *machine)
{
    for (size_t i = 0; i < SIM_CHOICES; i++) {
        machine->forced.knobs[i].one_in = 0;
    }
}

void sim__note_forced(struct sim_world *world, struct sim_machine *machine)
{
    struct sim_forced *forced = &machine->forced;
    bool has_compacted = false;
    if (sim__level(world, SIM_FAULT_COMPACT) == 0 && sim__level(world, SIM_FAULT_FLUSH) == 0) {
        return;
    }
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        struct moot_group_view view;
        moot_node_group(machine->node, group, &view);
        has_compacted = has_compacted || view.first > forced->first[group];
        forced->first[group] = view.first;
    }
    for (size_t i = 0; i < SIM_CHOICES; i++) {
        bool taken = forced->knobs[i].taken > forced->counted[i];
        forced->counted[i] = forced->knobs[i].taken;
        /* The others are counted by what comes of them: an install, another level. */
        if (taken && (i == SIM_CHOICE_FLUSH || (i == SIM_CHOICE_COMPACT && has_compacted))) {
            sim__count(world, CHOICES[i].fault);
        }
    }
}
