/* What the history of a run is worth: each workload has its checker. */
#include "base/assert.h"
#include "check/expiry.h"
#include "check/linearizability.h"
#include "check/set.h"
#include "check/transaction.h"
#include "sim/world.h"

enum { CONFIGURATIONS_MAX = 50 * 1000 };

/* ---- expiry ---- */

static bool has_any(const struct sim_world *world, const enum sim_fault *faults, size_t count)
{
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        any = any || world->swarm.knobs[faults[i]] != 0;
    }
    return any;
}

/* Keys expire by leaders' stamps, early and late by what those were apart. And a clock that leaps
 * ahead does not expire anything early, where another is there to lead: none of two either. (Of two
 * whose clocks differ the earlier leads: what is written by one that is behind ends early when a
 * right one leads again.) */
static void check_expiry(struct sim_world *world, struct moot_verdict *verdict)
{
    static const enum sim_fault others[] = {SIM_FAULT_BAD_CLOCK,  SIM_FAULT_DRIFT,
                                            SIM_FAULT_JOIN,       SIM_FAULT_REMOVE,
                                            SIM_FAULT_REMOVE_TWO, SIM_FAULT_LOSE_DISK};
    struct moot_expiry_options options = moot_expiry_within(sim__clocks_apart_ms(world));
    bool one_of_several = world->swarm.nodes > 1 && (world->leapt & (world->leapt - 1)) == 0;
    if (one_of_several && !world->fell_behind && !has_any(world, others, MOOT_ARRAY_LEN(others))) {
        uint64_t nudged_ms = moot_expiry_within(2 * world->nudged_ms).early_ms;
        options.early_ms = moot_min_u64(options.early_ms, nudged_ms);
    }
    options.configurations_max = CONFIGURATIONS_MAX;
    moot_check_expiry(&world->history, &options, verdict);
}

/* ---- the judgement ---- */

static void check(struct sim_world *world, struct moot_verdict *verdict)
{
    struct moot_linearizability_options how = {.configurations_max = CONFIGURATIONS_MAX};
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
        sim__check_unseen(world);
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
    case SIM_WORKLOAD_REGISTER_TXN:
        moot_check_register_txns(&world->history, MOOT_ISOLATION_STRICT_SERIALIZABLE, verdict);
        return;
    case SIM_WORKLOAD_EXPIRY:
        check_expiry(world, verdict);
        return;
    case SIM_WORKLOAD_ANY: /* Every answer was, when it came. */
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
    bool is_unknown = verdict.judgement == MOOT_JUDGEMENT_UNKNOWN;
    /* Without last reads nobody knows what is there; and that nobody could read is known. */
    world->result->counts.unknown += is_unknown && world->result->counts.stopped == 0;
    moot_verdict_deinit(&verdict);
}
