/* Increments that count once, however often they were sent. Near-linear, and so weaker than the
 * counter of linearizability.h: sums bound each answer, and what only grows does not go back. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/slice.h"
#include "check/evidence.h"
#include "check/intern.h"
#include "check/set.h"

/* What one increment adds to the bounds, from an instant on. */
struct bound {
    uint32_t key;
    uint64_t at;
    int64_t delta;
};

static int compare_bounds(const void *left, const void *right)
{
    const struct bound *a = left, *b = right;
    if (a->key != b->key) {
        return (a->key > b->key) - (a->key < b->key);
    }
    return (a->at > b->at) - (a->at < b->at);
}

/* The sum of the deltas of `key` before `at`, or also at it. Sums were made by accumulate. */
static int64_t sum_until(const struct bound *bounds, size_t count, uint32_t key, uint64_t at,
                         bool inclusive)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct bound *bound = &bounds[middle];
        bool is_before = bound->key < key ||
                         (bound->key == key && (bound->at < at || (inclusive && bound->at == at)));
        low = is_before ? middle + 1 : low;
        high = is_before ? high : middle;
    }
    return low > 0 && bounds[low - 1].key == key ? bounds[low - 1].delta : 0;
}

static void accumulate(struct bound *bounds, size_t count)
{
    qsort(bounds, count, sizeof(*bounds), compare_bounds);
    for (size_t i = 1; i < count; i++) {
        if (bounds[i].key == bounds[i - 1].key) { /* Sums wrap, as two's complement does. */
            bounds[i].delta = (int64_t)((uint64_t)bounds[i].delta + (uint64_t)bounds[i - 1].delta);
        }
    }
}

/* What an answer told of a counter. */
struct told {
    uint32_t key;
    uint64_t at; /* Its return. */
    int64_t value;
    uint32_t operation;
};

/* A read's least value: what was surely done before its call, and every decrement that may have
 * been done by its return. Its greatest: the other way round. */
struct counters {
    struct moot_intern keys;
    struct bound *done_up, *done_down;   /* By return: acknowledged increments, decrements. */
    struct bound *maybe_up, *maybe_down; /* By call: all that did not fail. */
    size_t done_up_count, done_down_count, maybe_up_count, maybe_down_count;
};

static void counters_collect(struct counters *counters, const struct moot_history *history,
                             struct moot_verdict *verdict)
{
    for (uint32_t i = 0; i < history->count; i++) {
        const struct moot_operation *operation = &history->operations[i];
        uint32_t key = moot_intern_add(&counters->keys, operation->key);
        if (operation->kind == MOOT_OPERATION_READ || operation->outcome == MOOT_OUTCOME_FAIL) {
            continue;
        }
        if (operation->kind != MOOT_OPERATION_INCREMENT ||
            operation->argument.kind != MOOT_HISTORY_INTEGER) {
            moot_evidence_not_judged(history, verdict, i);
            continue;
        }
        int64_t delta = operation->argument.integer;
        struct bound maybe = {key, operation->called.ns, delta};
        struct bound done = {key, operation->returned.ns, delta};
        if (delta >= 0) {
            counters->maybe_up[counters->maybe_up_count++] = maybe;
        } else {
            counters->maybe_down[counters->maybe_down_count++] = maybe;
        }
        if (operation->outcome == MOOT_OUTCOME_OK) {
            if (delta >= 0) {
                counters->done_up[counters->done_up_count++] = done;
            } else {
                counters->done_down[counters->done_down_count++] = done;
            }
        }
    }
    accumulate(counters->done_up, counters->done_up_count);
    accumulate(counters->done_down, counters->done_down_count);
    accumulate(counters->maybe_up, counters->maybe_up_count);
    accumulate(counters->maybe_down, counters->maybe_down_count);
}

/* What an answer says the counter held: a read, or an increment that tells its result. False for
 * others, and for what cannot be judged. */
static bool value_told(const struct moot_history *history, uint32_t number,
                       struct moot_verdict *verdict, int64_t *value)
{
    const struct moot_operation *operation = &history->operations[number];
    const struct moot_history_value *result = &operation->result;
    bool increments = operation->kind == MOOT_OPERATION_INCREMENT &&
                      operation->outcome == MOOT_OUTCOME_OK && result->kind != MOOT_HISTORY_NONE;
    *value = result->integer;
    if (!increments && !moot_evidence_is_read(operation)) {
        return false;
    }
    bool good = result->kind == MOOT_HISTORY_INTEGER;
    if (result->kind == MOOT_HISTORY_NIL && !increments) {
        *value = 0;
        good = true;
    } else if (result->kind == MOOT_HISTORY_BYTES) {
        good = moot_slice_to_i64(result->bytes, value);
    }
    if (!good) {
        moot_evidence_not_judged(history, verdict, number);
    }
    return good;
}

/* What an increment adds itself; a read adds nothing. */
static int64_t own_delta(const struct moot_operation *operation)
{
    return operation->kind == MOOT_OPERATION_INCREMENT ? operation->argument.integer : 0;
}

static void judge_bounds(const struct counters *counters, const struct told *told,
                         const struct moot_history *history, struct moot_verdict *verdict)
{
    const struct moot_operation *operation = &history->operations[told->operation];
    uint64_t call = operation->called.ns, end = operation->returned.ns;
    uint32_t key = told->key;
    int64_t own = own_delta(operation);
    int64_t least = sum_until(counters->done_up, counters->done_up_count, key, call, false) +
                    sum_until(counters->maybe_down, counters->maybe_down_count, key, end, true);
    int64_t most = sum_until(counters->done_down, counters->done_down_count, key, call, false) +
                   sum_until(counters->maybe_up, counters->maybe_up_count, key, end, true);
    least += own > 0 ? own : 0; /* The other bound has it among what was called. */
    most += own < 0 ? own : 0;
    if (told->value < least || told->value > most) {
        moot_evidence_conclude(history, verdict, MOOT_JUDGEMENT_VIOLATION,
                               told->value < least
                                   ? "acknowledged increments are missing from this answer:"
                                   : "this answer counts more than was ever asked for:",
                               told->operation, MOOT_EVIDENCE_NONE);
        moot_buffer_append_text(&verdict->words, "    it must be from ");
        moot_buffer_append_i64(&verdict->words, least);
        moot_buffer_append_text(&verdict->words, " to ");
        moot_buffer_append_i64(&verdict->words, most);
        moot_buffer_append_text(&verdict->words, "\n");
    }
}

static int compare_told(const void *left, const void *right)
{
    const struct told *a = left, *b = right;
    if (a->key != b->key) {
        return (a->key > b->key) - (a->key < b->key);
    }
    return a->at != b->at ? (a->at > b->at) - (a->at < b->at)
                          : (a->operation > b->operation) - (a->operation < b->operation);
}

/* The last one of `key` that returned before `at`, or NULL. */
static const struct told *told_before(const struct told *all, size_t count, uint32_t key,
                                      uint64_t at)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        bool is_before = all[middle].key < key || (all[middle].key == key && all[middle].at < at);
        low = is_before ? middle + 1 : low;
        high = is_before ? high : middle;
    }
    return low > 0 && all[low - 1].key == key ? &all[low - 1] : NULL;
}

/* A counter that nobody decrements never tells less than it had told before. */
static void judge_growth(const struct counters *counters, struct told *all, size_t count,
                         const struct moot_history *history, struct moot_verdict *verdict)
{
    struct told *greatest = moot_alloc((count + 1) * sizeof(*greatest)); /* Of all up to there. */
    qsort(all, count, sizeof(*all), compare_told);
    for (size_t i = 0; i < count; i++) {
        greatest[i] = all[i];
        if (i > 0 && all[i].key == all[i - 1].key && greatest[i - 1].value > all[i].value) {
            greatest[i].value = greatest[i - 1].value;
            greatest[i].operation = greatest[i - 1].operation;
        }
    }
    for (size_t i = 0; i < count && verdict->judgement == MOOT_JUDGEMENT_VALID; i++) {
        const struct moot_operation *one = &history->operations[all[i].operation];
        const struct told *before = told_before(greatest, count, all[i].key, one->called.ns);
        bool grows = sum_until(counters->maybe_down, counters->maybe_down_count, all[i].key,
                               UINT64_MAX, true) == 0;
        if (grows && before != NULL && all[i].value - own_delta(one) < before->value) {
            moot_evidence_conclude(history, verdict, MOOT_JUDGEMENT_VIOLATION,
                                   "the counter went back: the first was told after the second:",
                                   all[i].operation, before->operation);
        }
    }
    moot_free(greatest);
}

void moot_check_exactly_once(const struct moot_history *history, struct moot_verdict *verdict)
{
    moot_evidence_begin(history, verdict);
    size_t bytes = history->count * sizeof(struct bound);
    struct counters counters = {
        .done_up = moot_alloc(bytes),
        .done_down = moot_alloc(bytes),
        .maybe_up = moot_alloc(bytes),
        .maybe_down = moot_alloc(bytes),
    };
    moot_intern_init(&counters.keys);
    counters_collect(&counters, history, verdict);
    uint64_t *last_read = moot_alloc_zero((counters.keys.count + (size_t)1) * sizeof(*last_read));
    struct told *told = moot_alloc((history->count + 1) * sizeof(*told));
    size_t count = 0;
    for (uint32_t i = 0; i < history->count && verdict->judgement == MOOT_JUDGEMENT_VALID; i++) {
        const struct moot_operation *operation = &history->operations[i];
        uint32_t key = moot_intern_add(&counters.keys, operation->key);
        told[count] = (struct told){.key = key, .at = operation->returned.ns, .operation = i};
        if (!value_told(history, i, verdict, &told[count].value)) {
            continue;
        }
        if (operation->kind == MOOT_OPERATION_READ) {
            last_read[key] = moot_max_u64(last_read[key], operation->called.ns + 1);
        }
        judge_bounds(&counters, &told[count++], history, verdict);
    }
    if (verdict->judgement == MOOT_JUDGEMENT_VALID) {
        judge_growth(&counters, told, count, history, verdict);
    }
    for (uint32_t i = 0; i < history->count && verdict->judgement == MOOT_JUDGEMENT_VALID; i++) {
        const struct moot_operation *operation = &history->operations[i];
        uint32_t key = moot_intern_add(&counters.keys, operation->key);
        if (operation->kind == MOOT_OPERATION_INCREMENT && operation->outcome == MOOT_OUTCOME_OK &&
            operation->returned.ns >= last_read[key]) {
            moot_evidence_conclude(history, verdict, MOOT_JUDGEMENT_UNKNOWN,
                                   "an acknowledged increment is followed by no read:", i,
                                   MOOT_EVIDENCE_NONE);
        }
    }
    verdict->keys = counters.keys.count;
    moot_intern_deinit(&counters.keys);
    moot_free(counters.done_up);
    moot_free(counters.done_down);
    moot_free(counters.maybe_up);
    moot_free(counters.maybe_down);
    moot_free(last_read);
    moot_free(told);
}
