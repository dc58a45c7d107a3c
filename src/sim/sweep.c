#include "sim/world.h"

enum { DEAD_S = 3 }; /* Longer than elections, shorter than what clients wait at the end. */

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
