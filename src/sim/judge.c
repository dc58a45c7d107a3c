/* What the history of a run is worth: each workload has its checker. */
#include "base/assert.h"
#include "check/linearizability.h"
#include "check/set.h"
#include "check/transaction.h"
#include "sim/world.h"

enum { CONFIGURATIONS_MAX = 50 * 1000, EXPIRY_SLACK_MS = 100 };
enum { STAMP_NS = 2 * 1000 * 1000 }; /* Stamps are whole milliseconds, rounded down. */

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

static bool is_write_of(const struct moot_operation *write, const struct moot_operation *read)
{
    return write->kind == MOOT_OPERATION_WRITE && write->outcome != MOOT_OUTCOME_FAIL &&
           moot_slice_equal(write->key, read->key);
}

/* What was written to live for so long is not seen later. */
static bool outlived(const struct sim_world *world, const struct moot_operation *read)
{
    for (size_t i = 0; i < world->history.count; i++) {
        const struct moot_operation *write = &world->history.operations[i];
        if (is_write_of(write, read) && write->outcome == MOOT_OUTCOME_OK &&
            moot_slice_equal(write->argument.bytes, read->result.bytes)) {
            uint64_t lives_ms = sim__lifetime_ms(read->result.bytes) + EXPIRY_SLACK_MS;
            return read->called.ns > write->returned.ns + lives_ms * MOOT_MSEC_NS;
        }
    }
    return false;
}

/* Nothing is there, although the last write before has not lived long enough. */
static bool went_early(const struct sim_world *world, const struct moot_operation *read)
{
    const struct moot_operation *last = NULL;
    for (size_t i = 0; i < world->history.count; i++) {
        const struct moot_operation *write = &world->history.operations[i];
        bool ended = write->outcome == MOOT_OUTCOME_OK && write->returned.ns < read->called.ns;
        if (!is_write_of(write, read) || write->called.ns > read->returned.ns) {
            continue;
        }
        if (!ended || (last != NULL && write->called.ns < last->returned.ns)) {
            return false; /* Nobody knows which was the last. */
        }
        last = write;
    }
    uint64_t until_ns =
        last == NULL ? 0 : last->called.ns + sim__lifetime_ms(last->argument.bytes) * MOOT_MSEC_NS;
    return read->returned.ns + STAMP_NS < until_ns;
}

static void judge_expiry(struct sim_world *world)
{
    for (size_t i = 0; i < world->history.count && !has_wrong_clocks(world); i++) {
        const struct moot_operation *read = &world->history.operations[i];
        if (read->kind != MOOT_OPERATION_READ || read->outcome != MOOT_OUTCOME_OK) {
            continue;
        }
        if (read->result.kind == MOOT_HISTORY_BYTES && outlived(world, read)) {
            sim__record_wrong(world, i);
            sim__violation(world, "a value was read long after it had expired: %.*s",
                           (int)read->result.bytes.size, (const char *)read->result.bytes.data);
        } else if (read->result.kind == MOOT_HISTORY_NIL && went_early(world, read)) {
            sim__record_wrong(world, i);
            sim__violation(world, "a value had gone before its time, seen by a read of %.*s",
                           (int)read->key.size, (const char *)read->key.data);
        }
    }
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
        verdict->judgement = MOOT_JUDGEMENT_VALID;
        judge_expiry(world);
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
