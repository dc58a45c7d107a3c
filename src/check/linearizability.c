#include "check/linearizability.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/slice.h"
#include "check/intern.h"
#include "check/judge.h"

enum { AROUND_MAX = 12 };

/* The operations of all keys, those of one key together. */
struct partition {
    struct moot_intern keys;
    uint32_t *operations;
    size_t *start; /* By key, and one more. */
};

static int compare_by_call(const void *left, const void *right, void *context)
{
    const struct moot_operation *operations = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    uint64_t called_a = operations[a].called.ns, called_b = operations[b].called.ns;
    return called_a != called_b ? (called_a > called_b) - (called_a < called_b) : (a > b) - (a < b);
}

/* Failed operations did not happen: they are left out, and a read of what one would have written
 * then finds no writer. */
static void partition_init(struct partition *partition, const struct moot_history *history)
{
    MOOT_ASSERT(history->count < UINT32_MAX);
    moot_intern_init(&partition->keys);
    partition->operations = moot_alloc(history->count * sizeof(*partition->operations));
    uint32_t *key_of = moot_alloc(history->count * sizeof(*key_of));
    for (size_t i = 0; i < history->count; i++) {
        key_of[i] = moot_intern_add(&partition->keys, history->operations[i].key);
    }
    size_t keys = partition->keys.count;
    partition->start = moot_alloc_zero((keys + 1) * sizeof(*partition->start));
    size_t *fill = moot_alloc_zero((keys + 1) * sizeof(*fill));
    for (size_t i = 0; i < history->count; i++) {
        partition->start[key_of[i] + 1] += history->operations[i].outcome != MOOT_OUTCOME_FAIL;
    }
    for (size_t key = 0; key < keys; key++) {
        partition->start[key + 1] += partition->start[key];
        fill[key] = partition->start[key];
    }
    for (size_t i = 0; i < history->count; i++) {
        if (history->operations[i].outcome != MOOT_OUTCOME_FAIL) {
            partition->operations[fill[key_of[i]]++] = (uint32_t)i;
        }
    }
    for (size_t key = 0; key < keys; key++) {
        MOOT_ASSERT(fill[key] == partition->start[key + 1]);
        qsort_r(partition->operations + partition->start[key], fill[key] - partition->start[key],
                sizeof(*partition->operations), compare_by_call, history->operations);
    }
    moot_free(fill);
    moot_free(key_of);
}

static void partition_deinit(struct partition *partition)
{
    moot_intern_deinit(&partition->keys);
    moot_free(partition->operations);
    moot_free(partition->start);
}

enum relation { CONCURRENT, BEFORE, IN_DOUBT, LATER };

static enum relation relation_to(const struct moot_operation *operation,
                                 const struct moot_operation *culprit)
{
    if (operation->called.ns > culprit->returned.ns) {
        return LATER;
    }
    if (operation->outcome == MOOT_OUTCOME_INDOUBT) {
        return operation->kind == MOOT_OPERATION_READ ? LATER : IN_DOUBT;
    }
    return operation->returned.ns < culprit->called.ns ? BEFORE : CONCURRENT;
}

void moot_judged_describe_around(const struct moot_judged_key *key, size_t culprit,
                                 struct moot_buffer *words)
{
    static const char *const titles[] = {
        [CONCURRENT] = "  concurrent with it:\n",
        [BEFORE] = "  before it, the latest last:\n",
        [IN_DOUBT] = "  in doubt, called before its return:\n",
    };
    const struct moot_operation *operations = key->history->operations;
    for (enum relation relation = CONCURRENT; relation <= IN_DOUBT; relation++) {
        size_t total = 0, seen = 0;
        for (size_t i = 0; i < key->count; i++) {
            total += key->operations[i] != culprit &&
                     relation_to(&operations[key->operations[i]], &operations[culprit]) == relation;
        }
        if (total > 0) {
            moot_buffer_append_text(words, titles[relation]);
        }
        for (size_t i = 0; i < key->count; i++) {
            const struct moot_operation *operation = &operations[key->operations[i]];
            if (key->operations[i] == culprit ||
                relation_to(operation, &operations[culprit]) != relation ||
                ++seen + AROUND_MAX <= total) {
                continue;
            }
            moot_buffer_append_text(words, "    ");
            moot_operation_describe(operation, words);
            moot_buffer_append_text(words, "\n");
        }
        if (total > AROUND_MAX) {
            moot_buffer_append_text(words, "    (and ");
            moot_buffer_append_u64(words, total - AROUND_MAX);
            moot_buffer_append_text(words, " earlier)\n");
        }
    }
}

static void name_key(struct moot_slice key, const char *after, struct moot_buffer *words)
{
    struct moot_history_value name = moot_history_bytes(key);
    moot_buffer_append_text(words, "key ");
    moot_history_value_describe(&name, words);
    moot_buffer_append_text(words, after);
}

/* One key into the whole; false when the rest need not be judged. */
static bool judge_key(const struct moot_judged_key *key, const struct moot_model *model,
                      const struct moot_linearizability_options *options,
                      struct moot_verdict *verdict)
{
    struct moot_verdict one;
    moot_verdict_init(&one);
    bool zones = model == &moot_model_register && !options->search_only;
    if (!zones || !moot_zones_judge(key, &one)) {
        uint64_t budget = options->configurations_max == 0 ? MOOT_CHECK_CONFIGURATIONS_MAX
                                                           : options->configurations_max;
        moot_search_judge(key, model, budget, &one);
    }
    verdict->keys++;
    verdict->operations += key->count;
    verdict->configurations += one.configurations;
    if (one.judgement == MOOT_JUDGEMENT_VIOLATION) {
        moot_buffer_reset(&verdict->words, 0); /* What is unknown elsewhere no longer matters. */
        const char *article = model->name[0] == 'a' ? "an " : "a ";
        name_key(key->key, " is not linearizable as ", &verdict->words);
        moot_buffer_append_text(&verdict->words, article);
        moot_buffer_append_text(&verdict->words, model->name);
        moot_buffer_append_text(&verdict->words, ":\n  ");
        verdict->operation = one.operation;
        verdict->judgement = MOOT_JUDGEMENT_VIOLATION;
    } else if (one.judgement == MOOT_JUDGEMENT_UNKNOWN) {
        name_key(key->key, " is not judged: ", &verdict->words);
        verdict->judgement = MOOT_JUDGEMENT_UNKNOWN;
        verdict->keys_unknown++;
    }
    moot_buffer_append_slice(&verdict->words, moot_buffer_slice(&one.words));
    moot_verdict_deinit(&one);
    return verdict->judgement != MOOT_JUDGEMENT_VIOLATION;
}

void moot_check_linearizable(const struct moot_history *history, const struct moot_model *model,
                             const struct moot_linearizability_options *options,
                             struct moot_verdict *verdict)
{
    MOOT_ASSERT(verdict->words.size == 0);
    MOOT_ASSERT(verdict->judgement == MOOT_JUDGEMENT_VALID);
    struct partition partition;
    partition_init(&partition, history);
    bool more = true;
    for (uint32_t i = 0; i < partition.keys.count && more; i++) {
        struct moot_judged_key key = {
            .history = history,
            .key = partition.keys.texts[i],
            .operations = partition.operations + partition.start[i],
            .count = partition.start[i + 1] - partition.start[i],
        };
        more = judge_key(&key, model, options, verdict);
    }
    partition_deinit(&partition);
}
