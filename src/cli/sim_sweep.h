/* `moot sim --sweep KIND`: one world again and again, with another failure each time. */
#ifndef MOOT_CLI_SIM_SWEEP_H
#define MOOT_CLI_SIM_SWEEP_H

#include "sim/sim.h"

enum moot_cli_world { MOOT_WORLD_FINE, MOOT_WORLD_UNKNOWN, MOOT_WORLD_WRONG };

/* MOOT_SIM_SWEEP_NONE when `name` is none. */
enum moot_sim_sweep moot_cli_sweep_kind(const char *name);
const char *moot_cli_sweep_name(enum moot_sim_sweep kind);
/* Which of them are tried; all zeros: every one. */
struct moot_cli_sweep_part {
    uint64_t first, last, every;
};
struct moot_cli_sweep {
    struct moot_sim_options options;
    struct moot_cli_sweep_part part;
    uint32_t jobs; /* Processes that share the worlds; at least 1. */
    /* Runs one world and says what is not fine about it. */
    enum moot_cli_world (*run)(const struct moot_sim_options *options,
                               struct moot_sim_result *result, void *context);
    void *context;
};
/* What all its worlds were together. */
struct moot_cli_swept {
    uint64_t worlds, operations, virtual_ns, unknown;
};
/* Runs the world without the failure, which counts what may fail, then one for each failure; prints
 * a line. The first that is wrong is the last one. */
enum moot_cli_world moot_cli_sweep(const struct moot_cli_sweep *sweep,
                                   struct moot_cli_swept *swept);

#endif
