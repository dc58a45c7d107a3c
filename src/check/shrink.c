#include "check/shrink.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/slice.h"

enum { TESTS_MIN = 60, CONFIGURATIONS_MAX = 5000 };

struct shrinking {
    const struct moot_history *history;
    const struct moot_model *model; /* Linearizability, of one key and until `cut`; */
    struct moot_slice key;
    uint64_t cut;
    moot_shrink_check *check; /* or else all of it, by this. */
    const void *context;
    bool *kept; /* By operation. */
    uint64_t tests_left;
};

static bool is_in_prefix(const struct shrinking *shrinking, const struct moot_operation *operation)
{
    return operation->outcome != MOOT_OUTCOME_FAIL &&
           (shrinking->check != NULL || (moot_slice_equal(operation->key, shrinking->key) &&
                                         operation->called.ns <= shrinking->cut));
}

/* True when what is kept fails by itself. */
static bool fails(struct shrinking *shrinking)
{
    struct moot_history weak;
    struct moot_verdict verdict;
    moot_history_init(&weak);
    moot_verdict_init(&verdict);
    for (size_t i = 0; i < shrinking->history->count; i++) {
        struct moot_operation one = shrinking->history->operations[i];
        if (!is_in_prefix(shrinking, &one)) {
            continue;
        }
        if (!shrinking->kept[i]) {
            if (one.kind == MOOT_OPERATION_READ || one.kind == MOOT_OPERATION_LENGTH) {
                continue;
            }
            one.outcome = MOOT_OUTCOME_INDOUBT;
            one.result = moot_history_none();
        }
        moot_history_add(&weak, &one);
    }
    struct moot_linearizability_options options = {.configurations_max = CONFIGURATIONS_MAX};
    if (shrinking->check != NULL) {
        shrinking->check(&weak, shrinking->context, &verdict);
    } else {
        moot_check_linearizable(&weak, shrinking->model, &options, &verdict);
    }
    bool violation = verdict.judgement == MOOT_JUDGEMENT_VIOLATION;
    moot_verdict_deinit(&verdict);
    moot_history_deinit(&weak);
    return violation;
}

/* Tries to do without `size` of them from each place on; returns how many are left. */
static size_t pass(struct shrinking *shrinking, uint32_t *operations, size_t count, size_t size)
{
    size_t at = 0;
    while (at < count && shrinking->tests_left > 0) {
        size_t end = moot_min_u64(at + size, count);
        shrinking->tests_left--;
        for (size_t i = at; i < end; i++) {
            shrinking->kept[operations[i]] = false;
        }
        if (fails(shrinking)) {
            memmove(operations + at, operations + end, (count - end) * sizeof(*operations));
            count -= end - at;
            continue;
        }
        for (size_t i = at; i < end; i++) {
            shrinking->kept[operations[i]] = true;
        }
        at = end;
    }
    return count;
}

static bool mentions(const struct moot_history_value *seen, const struct moot_history_value *value)
{
    if (value->kind == MOOT_HISTORY_NONE || value->kind == MOOT_HISTORY_NIL) {
        return false;
    }
    for (size_t i = 0; seen->kind == MOOT_HISTORY_LIST && i < seen->count; i++) {
        if (value->kind == MOOT_HISTORY_BYTES && moot_slice_equal(seen->items[i], value->bytes)) {
            return true;
        }
    }
    return moot_history_value_equal(seen, value);
}

/* Weakened operations whose value the kept ones saw, behind them. */
static void add_sources(const struct shrinking *shrinking, struct moot_buffer *evidence)
{
    const struct moot_operation *operations = shrinking->history->operations;
    size_t count = evidence->size / sizeof(uint32_t);
    for (size_t i = 0; i < shrinking->history->count; i++) {
        bool seen = false;
        for (size_t j = 0; j < count && !shrinking->kept[i] && !seen; j++) {
            const struct moot_operation *core =
                &operations[((const uint32_t *)(const void *)evidence->data)[j]];
            seen = mentions(&core->result, &operations[i].argument) ||
                   mentions(&core->expected, &operations[i].argument);
        }
        if (seen && is_in_prefix(shrinking, &operations[i])) {
            uint32_t number = (uint32_t)i;
            moot_buffer_append(evidence, &number, sizeof(number));
        }
    }
}

static int compare_by_return(const void *left, const void *right, void *context)
{
    const struct moot_operation *operations = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    uint64_t end_a = operations[a].returned.ns, end_b = operations[b].returned.ns;
    return end_a != end_b ? (end_a > end_b) - (end_a < end_b) : (a > b) - (a < b);
}

/* Moves whoever wrote what the culprit saw, and the culprit, behind all others. */
static void sources_last(const struct shrinking *shrinking, uint32_t *operations, size_t count,
                         const struct moot_operation *culprit)
{
    uint32_t *sources = moot_alloc(count * sizeof(*sources));
    size_t others = 0, sources_count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct moot_operation *one = &shrinking->history->operations[operations[i]];
        if (one == culprit || mentions(&culprit->result, &one->argument) ||
            mentions(&culprit->expected, &one->argument)) {
            sources[sources_count++] = operations[i];
        } else {
            operations[others++] = operations[i];
        }
    }
    memcpy(operations + others, sources, sources_count * sizeof(*sources));
    moot_free(sources);
}

/* Keeps the last ones only, as few as fail (by doubling): what contradicts each other is mostly
 * near. Moves them to the front and returns how many; 0 when nothing is sure to fail. */
static size_t keep_last(struct shrinking *shrinking, uint32_t *operations, size_t count)
{
    for (size_t last = 1;; last = moot_min_u64(2 * last, count)) {
        for (size_t i = 0; i < count; i++) {
            shrinking->kept[operations[i]] = i + last >= count;
        }
        if (fails(shrinking)) {
            memmove(operations, operations + count - last, last * sizeof(*operations));
            return last;
        }
        if (last == count) {
            return 0;
        }
    }
}

/* What was answered, the last answer last. */
static size_t collect(struct shrinking *shrinking, uint32_t *operations)
{
    size_t count = 0;
    for (size_t i = 0; i < shrinking->history->count; i++) {
        const struct moot_operation *one = &shrinking->history->operations[i];
        if (is_in_prefix(shrinking, one) && one->outcome == MOOT_OUTCOME_OK &&
            one->returned.ns <= shrinking->cut) {
            shrinking->kept[i] = true;
            operations[count++] = (uint32_t)i;
        }
    }
    MOOT_ASSERT(count > 0);
    qsort_r(operations, count, sizeof(*operations), compare_by_return,
            shrinking->history->operations);
    shrinking->tests_left = moot_max_u64(TESTS_MIN, MOOT_CHECK_SHRINK_MAX / (count + 1));
    return count;
}

/* Halves, quarters and so on, until no single one can be done without. */
static size_t minimise(struct shrinking *shrinking, uint32_t *operations, size_t count)
{
    for (size_t size = (count + 1) / 2, before; size > 0 && shrinking->tests_left > 0;) {
        before = count;
        count = pass(shrinking, operations, count, size);
        size = size == 1 && count == before ? 0 : (size + 1) / 2;
    }
    return count;
}

void moot_shrink(const struct moot_history *history, const struct moot_model *model,
                 struct moot_verdict *verdict, size_t *needed)
{
    MOOT_ASSERT(verdict->judgement == MOOT_JUDGEMENT_VIOLATION);
    MOOT_ASSERT(verdict->operation < history->count);
    const struct moot_operation *culprit = &history->operations[verdict->operation];
    struct shrinking shrinking = {
        .history = history,
        .model = model,
        .key = culprit->key,
        .cut = culprit->returned.ns,
        .kept = moot_alloc_zero(history->count),
    };
    uint32_t *operations = moot_alloc(history->count * sizeof(*operations));
    size_t count = collect(&shrinking, operations);
    sources_last(&shrinking, operations, count, culprit);
    count = keep_last(&shrinking, operations, count);
    count = minimise(&shrinking, operations, count);
    *needed = count;
    if (count == 0) {
        operations[count++] = (uint32_t)verdict->operation;
    }
    moot_buffer_reset(&verdict->evidence, 0);
    moot_buffer_append(&verdict->evidence, operations, count * sizeof(*operations));
    add_sources(&shrinking, &verdict->evidence);
    moot_free(operations);
    moot_free(shrinking.kept);
}

void moot_shrink_whole(const struct moot_history *history, moot_shrink_check *check,
                       const void *context, struct moot_buffer *evidence)
{
    struct shrinking shrinking = {
        .history = history,
        .cut = UINT64_MAX,
        .check = check,
        .context = context,
        .kept = moot_alloc_zero(history->count),
    };
    uint32_t *operations = moot_alloc(history->count * sizeof(*operations));
    size_t count = collect(&shrinking, operations);
    count = minimise(&shrinking, operations, count);
    moot_buffer_append(evidence, operations, count * sizeof(*operations));
    moot_free(operations);
    moot_free(shrinking.kept);
}
