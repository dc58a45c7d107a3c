/* `moot sim --shrink`: from a command line that fails to the smallest that fails in the same way.
 */
#ifndef MOOT_CLI_SIM_SHRINK_H
#define MOOT_CLI_SIM_SHRINK_H

#include "sim/faults.h"

struct moot_shrink {
    uint64_t seed, nodes, operations, faults_ms; /* nodes, faults_ms 0: as the seed says */
    sim_fault_set faults;
    uint64_t planted;              /* 0: no */
    const char *mutant, *workload; /* or NULL */
};

/* Prints what it tries and what is left. False: it does not fail at all. */
bool moot_cli_shrink(struct moot_shrink *smallest);

#endif
