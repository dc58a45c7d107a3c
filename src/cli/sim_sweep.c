#include "cli/sim_sweep.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

static const struct {
    const char *name, *words;
} KINDS[MOOT_SIM_SWEEPS] = {
    [MOOT_SIM_SWEEP_WRITE] = {"write", "writes of journals, each failed once and for good"},
    [MOOT_SIM_SWEEP_SYNC] = {"sync", "syncs of journals, each failed once and for good"},
    [MOOT_SIM_SWEEP_STORE] = {"store", "writes of stores, each failed once and for good"},
    [MOOT_SIM_SWEEP_CRASH] = {"crash", "effects, with the death of the process after each"},
    [MOOT_SIM_SWEEP_ALLOC] = {"alloc", "allocations in turns, each failed once and for good"},
};

enum moot_sim_sweep moot_cli_sweep_kind(const char *name)
{
    for (int kind = MOOT_SIM_SWEEP_WRITE; kind < MOOT_SIM_SWEEPS; kind++) {
        if (strcmp(KINDS[kind].name, name) == 0) {
            return (enum moot_sim_sweep)kind;
        }
    }
    return MOOT_SIM_SWEEP_NONE;
}

const char *moot_cli_sweep_name(enum moot_sim_sweep kind) { return KINDS[kind].name; }

bool moot_cli_sweep(const struct moot_sim_options *options, const struct moot_cli_sweep_part *part,
                    struct moot_sim_counts *counts,
                    bool (*run)(const struct moot_sim_options *options,
                                struct moot_sim_counts *counts, void *context),
                    void *context)
{
    struct moot_sim_options how = *options;
    MOOT_ASSERT(how.sweep > MOOT_SIM_SWEEP_NONE && how.sweep < MOOT_SIM_SWEEPS);
    how.sweep_at = 0;
    if (!run(&how, counts, context)) {
        return false;
    }
    uint64_t all = counts->swept[how.sweep], worlds = 0;
    uint64_t first = part->first == 0 ? 1 : part->first, step = part->every == 0 ? 1 : part->every;
    uint64_t last = part->last == 0 ? all : moot_min_u64(part->last, all);
    int persists_max = how.sweep == MOOT_SIM_SWEEP_CRASH ? 0 : 1;
    for (int persists = 0; persists <= persists_max; persists++) {
        for (uint64_t at = first; at <= last; at += step) {
            how.sweep_at = at;
            how.sweep_persists = persists != 0;
            worlds++;
            if (!run(&how, counts, context)) {
                return false;
            }
        }
    }
    char which[80] = "";
    if (step > 1 || last - first + 1 < all) {
        snprintf(which, sizeof(which), " (tried: %" PRIu64 " to %" PRIu64 ", each %" PRIu64 ".)",
                 first, last, step);
    }
    printf("sweep=%s seed=%" PRIu64 ": %" PRIu64 " %s%s: %" PRIu64 " worlds keep their promises\n",
           KINDS[how.sweep].name, how.seed, all, KINDS[how.sweep].words, which, worlds);
    return true;
}
