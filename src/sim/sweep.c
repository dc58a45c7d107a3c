#include <setjmp.h>

#include "sim/world.h"

enum { OPEN_CHANGES = 2 }; /* Most starts make so many. */
enum { DEAD_S = 3 };       /* Longer than elections, shorter than what clients wait at the end. */

bool sim__sweep(struct sim_world *world, enum moot_sim_sweep kind)
{
    const struct moot_sim_options *options = world->options;
    uint64_t number = ++world->result->counts.swept[kind];
    return options->sweep == kind && options->sweep_at == number;
}

uint64_t sim__sweep_until(const struct sim_world *world)
{
    return world->options->sweep_persists ? world->now + DEAD_S * MOOT_SEC_NS : 0;
}

uint64_t sim__sweep_open(const struct sim_world *world)
{
    const struct moot_sim_options *options = world->options;
    uint64_t so_far = world->result->counts.swept[MOOT_SIM_SWEEP_OPEN];
    bool wanted = options->sweep == MOOT_SIM_SWEEP_OPEN && options->sweep_at > so_far;
    return wanted ? options->sweep_at - so_far : 0;
}

void sim__sweep_again(const struct sim_world *world, struct sim_machine *machine)
{
    bool again = world->options->sweep_persists;
    machine->dies_opening = again ? 1 + world->options->sweep_at % OPEN_CHANGES : 0;
}

void sim__swept_open(struct sim_world *world, uint64_t changes)
{
    world->result->counts.swept[MOOT_SIM_SWEEP_OPEN] += changes;
}

/* ---- memory ---- */

struct way_out {
    jmp_buf point;
    struct moot_scarcity scarcity;
};

static void leave(void *context)
{
    struct way_out *out = context;
    longjmp(out->point, 1);
}

/* A function of its own: nothing but `out`, which is memory, is used after the jump. */
static bool turn_within(struct sim_machine *machine, struct moot_now now,
                        struct moot_effects *effects, struct way_out *out)
{
    if (setjmp(out->point) != 0) {
        return false;
    }
    moot_scarcity_begin(&out->scarcity);
    moot_node_turn(machine->node, machine->inputs, machine->input_count, now, effects);
    moot_scarcity_end();
    return true;
}

bool sim__turn(struct sim_world *world, struct sim_machine *machine, struct moot_effects *effects)
{
    const struct moot_sim_options *options = world->options;
    struct moot_now now = sim__machine_now(world, machine);
    if (options->sweep != MOOT_SIM_SWEEP_ALLOC) {
        moot_node_turn(machine->node, machine->inputs, machine->input_count, now, effects);
        return true;
    }
    uint64_t *all = &world->result->counts.swept[MOOT_SIM_SWEEP_ALLOC];
    struct way_out *out = moot_alloc_zero(sizeof(*out));
    bool is_short = machine->short_until > world->now;
    out->scarcity = (struct moot_scarcity){.run_out = leave, .context = out};
    out->scarcity.at = is_short ? 1 : options->sweep_at > *all ? options->sweep_at - *all : 0;
    bool whole = turn_within(machine, now, effects, out);
    *all += out->scarcity.counted;
    moot_free(out);
    if (!whole) {
        machine->node = NULL; /* Half done: lost, with all its memory. */
        machine->short_until = is_short ? machine->short_until : sim__sweep_until(world);
        sim__trace(world, "m%u runs out of memory", machine->slot);
    }
    return whole;
}
