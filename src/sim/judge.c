/* What the history of a run is worth: each workload has its checker. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "check/expiry.h"
#include "check/explain.h"
#include "check/linearizability.h"
#include "check/set.h"
#include "check/transaction.h"
#include "sim/record_words.h"
#include "sim/world.h"

enum { CONFIGURATIONS_MAX = 50 * 1000, SHOWN_MAX = 60 };

static uint64_t configurations_max(const struct sim_world *world)
{
    uint64_t wanted = world->options->judge_max;
    return wanted != 0 ? wanted : CONFIGURATIONS_MAX;
}

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
    options.configurations_max = configurations_max(world);
    moot_check_expiry(&world->history, &options, verdict);
}

/* ---- the judgement ---- */

/* Returns the model that it was judged by, or NULL when the checker has no other. */
static const struct moot_model *check(struct sim_world *world, struct moot_verdict *verdict)
{
    struct moot_linearizability_options how = {.configurations_max = configurations_max(world)};
    const struct moot_model *model = NULL;
    if (world->history.count == 0) {
        verdict->judgement = MOOT_JUDGEMENT_VALID;
        return NULL;
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
        break;
    case SIM_WORKLOAD_QUEUE:
        sim__check_unseen(world);
        moot_check_queue(&world->history, verdict);
        break;
    case SIM_WORKLOAD_BANK:
        moot_check_bank(&world->history, 0, verdict);
        break;
    case SIM_WORKLOAD_IDS:
        moot_check_ids(&world->history, verdict);
        break;
    case SIM_WORKLOAD_ONCE:
        moot_check_exactly_once(&world->history, verdict);
        break;
    case SIM_WORKLOAD_TXN:
        sim__note_txns(world);
        moot_check_append_txns(&world->history, MOOT_ISOLATION_STRICT_SERIALIZABLE, verdict);
        break;
    case SIM_WORKLOAD_REGISTER_TXN:
        moot_check_register_txns(&world->history, MOOT_ISOLATION_STRICT_SERIALIZABLE, verdict);
        break;
    case SIM_WORKLOAD_EXPIRY:
        check_expiry(world, verdict);
        break;
    case SIM_WORKLOAD_ANY: /* Every answer was, when it came. */
        break;
    case SIM_WORKLOADS:
        MOOT_UNREACHABLE();
    }
    if (model != NULL) {
        moot_check_linearizable(&world->history, model, &how, verdict);
    }
    return model;
}

/* ---- what is wrong, small ---- */

void sim__note_call(struct sim_world *world, const struct sim_client *client, size_t operation)
{
    const struct sim_machine *machine = world->machines[client->machine];
    struct sim_asked asked = {.machine = UINT32_MAX};
    while (world->asked.size <= operation * sizeof(asked)) {
        moot_buffer_append(&world->asked, &asked, sizeof(asked));
    }
    asked.machine = client->machine;
    asked.node = machine == NULL ? 0 : machine->id;
    memcpy(world->asked.data + operation * sizeof(asked), &asked, sizeof(asked));
}

struct sim_asked sim__asked(const struct sim_world *world, size_t operation)
{
    struct sim_asked asked = {.machine = UINT32_MAX};
    if ((operation + 1) * sizeof(asked) <= world->asked.size) {
        memcpy(&asked, world->asked.data + operation * sizeof(asked), sizeof(asked));
    }
    return asked;
}

static void append_seconds(uint64_t ns, struct moot_buffer *words)
{
    char text[32];
    snprintf(text, sizeof(text), "%.6f", (double)ns / 1e9);
    moot_buffer_append_text(words, text);
}

/* "3.021334 to 3.029481 s, c4 by n2: write ..." */
static void describe(const struct sim_world *world, uint32_t number, struct moot_buffer *words)
{
    const struct moot_operation *one = &world->history.operations[number];
    uint32_t client = one->process % SIM_CLIENTS_MAX;
    struct sim_asked asked = sim__asked(world, number);
    moot_buffer_append_text(words, "    ");
    append_seconds(one->called.ns, words);
    if (one->outcome == MOOT_OUTCOME_INDOUBT) {
        moot_buffer_append_text(words, " s on, in doubt, ");
    } else {
        moot_buffer_append_text(words, " to ");
        append_seconds(one->returned.ns, words);
        moot_buffer_append_text(words, " s, ");
    }
    moot_buffer_append_text(words, world->clients[client].is_admin ? "admin" : "c");
    if (!world->clients[client].is_admin) {
        moot_buffer_append_u64(words, client);
    }
    if (asked.node != 0) {
        moot_buffer_append_text(words, " by n");
        moot_buffer_append_u64(words, asked.node);
    }
    moot_buffer_append_text(words, ": ");
    sim_record_asked(one, words);
    moot_buffer_append_text(words, " -> ");
    sim_record_answered(one, words);
    moot_buffer_append_text(words, "\n");
}

void sim__show_evidence(struct sim_world *world, const uint32_t *operations, size_t count,
                        struct moot_buffer *words)
{
    if (count > 0) {
        moot_buffer_append_text(words, "  in virtual time, and by which node:\n");
    }
    for (size_t i = 0; i < moot_min_u64(count, SHOWN_MAX); i++) {
        describe(world, operations[i], words);
    }
    sim__record_evidence(world, operations, count);
}

static int compare_by_call(const void *left, const void *right, void *context)
{
    const struct moot_operation *operations = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    uint64_t call_a = operations[a].called.ns, call_b = operations[b].called.ns;
    return call_a != call_b ? (call_a > call_b) - (call_a < call_b) : (a > b) - (a < b);
}

/* As `moot check` explains it (check/explain.h), and who asked whom. */
static void explain(struct sim_world *world, const struct moot_model *model,
                    struct moot_verdict *verdict, struct moot_buffer *words)
{
    size_t count;
    moot_explain_evidence(&world->history, model, verdict, words);
    (void)moot_evidence_of(verdict, &count);
    qsort_r(verdict->evidence.data, count, sizeof(uint32_t), compare_by_call,
            world->history.operations);
    sim__show_evidence(world, moot_evidence_of(verdict, &count), count, words);
}

void sim__judge(struct sim_world *world)
{
    struct moot_verdict verdict;
    moot_verdict_init(&verdict);
    const struct moot_model *model = check(world, &verdict);
    if (verdict.judgement == MOOT_JUDGEMENT_VIOLATION && !world->result->violated) {
        struct moot_buffer part;
        moot_buffer_init(&part);
        sim__record_wrong(world, verdict.operation);
        explain(world, model, &verdict, &part);
        sim__violation(world, "the history of the %s is wrong:\n%.*s%.*s",
                       sim__workload_name(world->swarm.workload), (int)verdict.words.size,
                       (const char *)verdict.words.data, (int)part.size, (const char *)part.data);
        moot_buffer_deinit(&part);
    }
    bool is_unknown = verdict.judgement == MOOT_JUDGEMENT_UNKNOWN;
    /* Without last reads nobody knows what is there; and that nobody could read is known. */
    world->result->counts.unknown += is_unknown && world->result->counts.stopped == 0;
    moot_verdict_deinit(&verdict);
}
