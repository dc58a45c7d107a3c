/* `moot sim --sweep KIND`: one world again and again, with another failure each time. */
#ifndef MOOT_CLI_SIM_SWEEP_H
#define MOOT_CLI_SIM_SWEEP_H

#include "sim/sim.h"

/* MOOT_SIM_SWEEP_NONE when `name` is none. */
enum moot_sim_sweep moot_cli_sweep_kind(const char *name);
const char *moot_cli_sweep_name(enum moot_sim_sweep kind);
/* Which of them are tried; all zeros: every one. */
struct moot_cli_sweep_part {
    uint64_t first, last, every;
};
/* Calls `run` with options for a world without the failure, which counts in `counts` what may fail,
 * then for each failure; false when one run was false, which is the last one. */
bool moot_cli_sweep(const struct moot_sim_options *options, const struct moot_cli_sweep_part *part,
                    struct moot_sim_counts *counts,
                    bool (*run)(const struct moot_sim_options *options,
                                struct moot_sim_counts *counts, void *context),
                    void *context);

#endif
