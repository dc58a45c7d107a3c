/* What the history of a run is worth: each workload has its checker. */
#include "base/assert.h"
#include "check/expiry.h"
#include "check/linearizability.h"
#include "check/set.h"
#include "check/transaction.h"
#include "sim/world.h"

enum { CONFIGURATIONS_MAX = 50 * 1000 };
enum {
    LATE_MS = 100,
    STAMP_MS = 2, /* Stamps are whole milliseconds, rounded down. */
};

/* ---- expiry ---- */

static bool has_wrong_clocks(const struct sim_world *world)
{
    static const enum sim_fault faults[] = {SIM_FAULT_CLOCK_JUMP, SIM_FAULT_CLOCK_FAR,
                                            SIM_FAULT_BAD_CLOCK, SIM_FAULT_DRIFT};
    bool wrong = false;
    for (size_t i = 0; i < MOOT_ARRAY_LEN(faults); i++) {
        wrong = wrong || world->swarm.knobs[faults[i]] != 0;
    }
    return wrong;
}

/* ---- the judgement ---- */

static void check(struct sim_world *world, struct moot_verdict *verdict)
{
    struct moot_linearizability_options how = {.configurations_max = CONFIGURATIONS_MAX};
    const struct moot_expiry_options expiry = {sim__lifetime_ms, LATE_MS, STAMP_MS};
    const struct moot_model *model = NULL;
    if (world->history.count == 0) {
        verdict->judgement = MOOT_JUDGEMENT_VALID;
        return;
    }
    switch (world->swarm.workload) {
    case SIM_WORKLOAD_REGISTER:
    case SIM_WORKLOAD_LARGE:
        model = &moot_model_register;
        break;
    case SIM_WORKLOAD_COUNTER:
        model = &moot_model_counter;
        break;
    case SIM_WORKLOAD_LIST:
        model = &moot_model_append;
        break;
    case SIM_WORKLOAD_SET:
        moot_check_set(&world->history, verdict);
        return;
    case SIM_WORKLOAD_QUEUE:
        moot_check_queue(&world->history, verdict);
        return;
    case SIM_WORKLOAD_BANK:
        moot_check_bank(&world->history, 0, verdict);
        return;
    case SIM_WORKLOAD_IDS:
        moot_check_ids(&world->history, verdict);
        return;
    case SIM_WORKLOAD_ONCE:
        moot_check_exactly_once(&world->history, verdict);
        return;
    case SIM_WORKLOAD_TXN:
        sim__note_txns(world);
        moot_check_append_txns(&world->history, MOOT_ISOLATION_STRICT_SERIALIZABLE, verdict);
        return;
    case SIM_WORKLOAD_EXPIRY:
        if (!has_wrong_clocks(world)) {
            moot_check_expiry(&world->history, &expiry, verdict);
        }
        return;
    case SIM_WORKLOADS:
        break;
    }
    MOOT_ASSERT(model != NULL);
    moot_check_linearizable(&world->history, model, &how, verdict);
}

void sim__judge(struct sim_world *world)
{
    struct moot_verdict verdict;
    moot_verdict_init(&verdict);
    check(world, &verdict);
    if (verdict.judgement == MOOT_JUDGEMENT_VIOLATION) {
        sim__record_wrong(world, verdict.operation);
        sim__violation(world, "the history of the %s is wrong:\n%.*s",
                       sim__workload_name(world->swarm.workload), (int)verdict.words.size,
                       (const char *)verdict.words.data);
    }
    world->result->counts.unknown += verdict.judgement == MOOT_JUDGEMENT_UNKNOWN;
    moot_verdict_deinit(&verdict);
}
