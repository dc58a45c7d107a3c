/* The checkers against a naive twin: every order is tried, on an object written a second time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "check_histories.h"

enum { OPERATIONS_MAX = 1024, SMALL = 8 };

/* The naive object: a sequence of small numbers. A register holds none or one; a counter one. */
struct naive {
    int64_t items[OPERATIONS_MAX];
    size_t count;
};

/* Items are texts in a history: decimal digits, which stay where they are. */
static struct moot_slice text_of(int64_t item)
{
    static char texts[OPERATIONS_MAX][8];
    return moot_slice_make(texts[item], moot_text_i64(texts[item], item));
}

static int64_t item_of(const struct moot_history_value *value)
{
    int64_t item;
    assert_true(moot_slice_to_i64(value->bytes, &item));
    return item;
}

/* What the object answers, in the naive form: a list of items, or one number. */
struct answer {
    bool is_number;
    int64_t number;
    struct naive items;
};

static void naive_apply(struct naive *object, const struct moot_operation *operation,
                        struct answer *answer)
{
    *answer = (struct answer){.is_number = true};
    switch (operation->kind) {
    case MOOT_OPERATION_READ:
        answer->is_number = false;
        answer->items = *object;
        return;
    case MOOT_OPERATION_WRITE:
        object->count = 1;
        object->items[0] = item_of(&operation->argument);
        return;
    case MOOT_OPERATION_CAS:
        answer->number =
            operation->expected.kind == MOOT_HISTORY_NIL
                ? object->count == 0
                : object->count == 1 && object->items[0] == item_of(&operation->expected);
        if (answer->number == 1) {
            object->count = operation->argument.kind == MOOT_HISTORY_NIL ? 0 : 1;
            object->items[0] = object->count == 0 ? 0 : item_of(&operation->argument);
        }
        return;
    case MOOT_OPERATION_SWAP:
        answer->is_number = false;
        answer->items = *object;
        object->count = 1;
        object->items[0] = item_of(&operation->argument);
        return;
    case MOOT_OPERATION_DELETE:
        answer->number = object->count > 0;
        object->count = 0;
        return;
    case MOOT_OPERATION_INCREMENT:
        object->items[0] =
            (object->count == 0 ? 0 : object->items[0]) + operation->argument.integer;
        object->count = 1;
        answer->number = object->items[0];
        return;
    case MOOT_OPERATION_PUSH:
        object->items[object->count++] = item_of(&operation->argument);
        answer->number = (int64_t)object->count;
        return;
    case MOOT_OPERATION_PUSH_FRONT:
        memmove(object->items + 1, object->items, object->count++ * sizeof(object->items[0]));
        object->items[0] = item_of(&operation->argument);
        answer->number = (int64_t)object->count;
        return;
    case MOOT_OPERATION_POP_BACK:
        answer->is_number = false;
        if (object->count > 0) {
            answer->items.count = 1;
            answer->items.items[0] = object->items[--object->count];
        }
        return;
    case MOOT_OPERATION_POP:
        answer->is_number = false;
        if (object->count > 0) {
            answer->items.count = 1;
            answer->items.items[0] = object->items[0];
            object->count--;
            memmove(object->items, object->items + 1, object->count * sizeof(object->items[0]));
        }
        return;
    default:
        fail();
    }
}

/* A model's operations, and how its answers look in a history. */
struct workload {
    const char *name;
    const struct moot_model *model;
    enum moot_operation_kind kinds[6];
    size_t kinds_count;
    bool unique; /* Written values are all different. */
};

static const struct workload workloads[] = {
    {"register, unique",
     &moot_model_register,
     {MOOT_OPERATION_READ, MOOT_OPERATION_WRITE},
     2,
     true},
    {"register, unique, deleted",
     &moot_model_register,
     {MOOT_OPERATION_READ, MOOT_OPERATION_WRITE, MOOT_OPERATION_DELETE, MOOT_OPERATION_READ},
     4,
     true},
    {"register", &moot_model_register, {MOOT_OPERATION_READ, MOOT_OPERATION_WRITE}, 2, false},
    {"cas",
     &moot_model_register,
     {MOOT_OPERATION_READ, MOOT_OPERATION_WRITE, MOOT_OPERATION_CAS, MOOT_OPERATION_DELETE},
     4,
     false},
    {"counter", &moot_model_counter, {MOOT_OPERATION_READ, MOOT_OPERATION_INCREMENT}, 2, false},
    {"list",
     &moot_model_append,
     {MOOT_OPERATION_READ, MOOT_OPERATION_PUSH, MOOT_OPERATION_POP},
     3,
     false},
    {"list, unique",
     &moot_model_append,
     {MOOT_OPERATION_READ, MOOT_OPERATION_PUSH, MOOT_OPERATION_POP},
     3,
     true},
    {"register, unique, swapped",
     &moot_model_register,
     {MOOT_OPERATION_READ, MOOT_OPERATION_WRITE, MOOT_OPERATION_SWAP, MOOT_OPERATION_CAS,
      MOOT_OPERATION_DELETE, MOOT_OPERATION_READ},
     6,
     true},
    {"list, unique, both ends",
     &moot_model_append,
     {MOOT_OPERATION_READ, MOOT_OPERATION_PUSH, MOOT_OPERATION_PUSH_FRONT, MOOT_OPERATION_POP,
      MOOT_OPERATION_POP_BACK, MOOT_OPERATION_READ},
     6,
     true},
};

static struct moot_history_value value_of(const struct workload *workload,
                                          const struct moot_operation *operation,
                                          const struct answer *answer, struct moot_slice *items)
{
    if (operation->kind == MOOT_OPERATION_WRITE) {
        return moot_history_none();
    }
    if (answer->is_number) {
        return moot_history_integer(answer->number);
    }
    if (workload->model == &moot_model_counter) {
        return answer->items.count == 0 ? moot_history_nil()
                                        : moot_history_integer(answer->items.items[0]);
    }
    for (size_t i = 0; i < answer->items.count; i++) {
        items[i] = text_of(answer->items.items[i]);
    }
    if (workload->model == &moot_model_append && operation->kind == MOOT_OPERATION_READ) {
        return moot_history_list(items, answer->items.count);
    }
    return answer->items.count == 0 ? moot_history_nil() : moot_history_bytes(items[0]);
}

/* Mostly with what is there; sometimes with nothing, or to leave nothing. */
static void compare_with(struct moot_rng *rng, const struct naive *object, size_t i,
                         struct moot_operation *operation)
{
    operation->expected = moot_history_bytes(text_of((int64_t)moot_rng_below(rng, i + 1)));
    if (moot_rng_chance(rng, 2, 3)) {
        operation->expected =
            object->count == 0 ? moot_history_nil() : moot_history_bytes(text_of(object->items[0]));
    }
    if (moot_rng_chance(rng, 1, 8)) {
        operation->argument = moot_history_nil();
    }
}

/* A sequential run with intervals laid around its instants: linearizable by making. */
static void generate(struct moot_rng *rng, const struct workload *workload, struct moot_slice key,
                     size_t count, uint64_t reach, uint64_t doubt_percent,
                     struct moot_history *history)
{
    static struct moot_slice items[OPERATIONS_MAX];
    static struct naive object;
    static struct answer answer;
    assert_true(count <= OPERATIONS_MAX);
    object.count = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t at = 1000 + 10 * i;
        int64_t argument = workload->unique ? (int64_t)i : (int64_t)moot_rng_below(rng, 3);
        struct moot_operation operation = {
            .process = (uint32_t)moot_rng_below(rng, 20),
            .kind = workload->kinds[moot_rng_below(rng, workload->kinds_count)],
            .key = key,
            .called = {at - moot_rng_below(rng, reach)},
            .returned = {at + moot_rng_below(rng, reach)},
            .outcome = MOOT_OUTCOME_OK,
            .argument = moot_history_bytes(text_of(argument)),
            .expected = moot_history_bytes(text_of((int64_t)moot_rng_below(rng, 3))),
        };
        if (operation.kind == MOOT_OPERATION_CAS && workload->unique) {
            compare_with(rng, &object, i, &operation);
        }
        if (operation.kind == MOOT_OPERATION_INCREMENT) {
            operation.argument = moot_history_integer(1 + argument);
        }
        bool happens = true;
        if (moot_rng_chance(rng, doubt_percent, 100)) {
            bool failed = moot_rng_chance(rng, 1, 4);
            operation.outcome = failed ? MOOT_OUTCOME_FAIL : MOOT_OUTCOME_INDOUBT;
            happens = !failed && moot_rng_chance(rng, 1, 2);
        }
        if (happens) {
            naive_apply(&object, &operation, &answer);
        }
        if (operation.outcome == MOOT_OUTCOME_OK) {
            operation.result = value_of(workload, &operation, &answer, items);
        }
        moot_history_add(history, &operation);
    }
}

/* Changes one answer; false when the one drawn has none. */
static bool mutate(struct moot_rng *rng, struct moot_history *history)
{
    struct moot_operation *operation = &history->operations[moot_rng_below(rng, history->count)];
    struct moot_history_value *result = &operation->result;
    if (operation->outcome != MOOT_OUTCOME_OK) {
        return false;
    }
    switch (result->kind) {
    case MOOT_HISTORY_NONE:
        return false;
    case MOOT_HISTORY_NIL:
        *result = moot_history_bytes(text_of(1));
        return true;
    case MOOT_HISTORY_INTEGER:
        result->integer = operation->kind == MOOT_OPERATION_INCREMENT ||
                                  operation->kind == MOOT_OPERATION_PUSH ||
                                  operation->kind == MOOT_OPERATION_PUSH_FRONT ||
                                  operation->kind == MOOT_OPERATION_READ
                              ? result->integer + (moot_rng_chance(rng, 1, 2) ? 1 : -1)
                              : 1 - result->integer;
        return result->integer >= 0;
    case MOOT_HISTORY_BYTES:
        result->bytes = text_of((int64_t)moot_rng_below(rng, SMALL));
        return true;
    case MOOT_HISTORY_LIST:
        result->count -= result->count > 0;
        return true;
    }
    return false;
}

static bool answers(const struct workload *workload, const struct moot_operation *operation,
                    const struct answer *answer)
{
    static struct moot_slice items[OPERATIONS_MAX];
    struct moot_history_value value = value_of(workload, operation, answer, items);
    if (operation->outcome != MOOT_OUTCOME_OK || operation->result.kind == MOOT_HISTORY_NONE) {
        return true;
    }
    if (workload->model == &moot_model_counter && value.kind == MOOT_HISTORY_NIL) {
        value = moot_history_integer(0);
    }
    struct moot_history_value got = operation->result;
    if (workload->model == &moot_model_counter && got.kind == MOOT_HISTORY_NIL) {
        got = moot_history_integer(0);
    }
    if (workload->model == &moot_model_counter && got.kind == MOOT_HISTORY_BYTES) {
        got = moot_history_integer(item_of(&got));
    }
    return moot_history_value_equal(&value, &got);
}

/* Every order of what is left, from this state. */
static bool some_order(const struct workload *workload, const struct moot_history *history,
                       unsigned placed, const struct naive *object)
{
    bool done = true;
    for (size_t i = 0; i < history->count; i++) {
        done =
            done && ((placed >> i & 1) != 0 || history->operations[i].outcome != MOOT_OUTCOME_OK);
    }
    if (done) {
        return true;
    }
    for (size_t i = 0; i < history->count; i++) {
        const struct moot_operation *operation = &history->operations[i];
        bool may_be_next = (placed >> i & 1) == 0 && operation->outcome != MOOT_OUTCOME_FAIL;
        for (size_t j = 0; j < history->count && may_be_next; j++) {
            const struct moot_operation *other = &history->operations[j];
            may_be_next = (placed >> j & 1) != 0 || other->outcome != MOOT_OUTCOME_OK ||
                          other->returned.ns >= operation->called.ns;
        }
        if (!may_be_next) {
            continue;
        }
        struct naive next;
        struct answer answer;
        next.count = object->count;
        memcpy(next.items, object->items, (object->count + 1) * sizeof(next.items[0]));
        naive_apply(&next, operation, &answer);
        if (answers(workload, operation, &answer) &&
            some_order(workload, history, placed | 1U << i, &next)) {
            return true;
        }
    }
    return false;
}

static void show(const struct moot_history *history)
{
    struct moot_buffer text;
    moot_buffer_init(&text);
    moot_history_write(history, &text);
    fprintf(stderr, "%.*s", (int)text.size, (const char *)text.data);
    moot_buffer_deinit(&text);
}

/* Goal: the checker says what trying every order says, on good and on damaged histories.
 * Method: thousands of random histories of up to eight operations; both outcomes must be common. */
static void agrees_with_every_order(void **state)
{
    (void)state;
    struct moot_rng rng;
    moot_rng_init(&rng, 1);
    for (size_t w = 0; w < MOOT_ARRAY_LEN(workloads); w++) {
        const struct workload *workload = &workloads[w];
        size_t verdicts[2] = {0};
        for (int round = 0; round < 1500; round++) {
            struct moot_history history;
            size_t count = 1 + moot_rng_below(&rng, SMALL);
            uint64_t reach = 1 + moot_rng_below(&rng, 60);
            moot_history_init(&history);
            generate(&rng, workload, text_of(1), count, reach, 10 * moot_rng_below(&rng, 5),
                     &history);
            if (moot_rng_chance(&rng, 3, 4) && !mutate(&rng, &history)) {
                moot_history_deinit(&history);
                continue;
            }
            static struct naive empty;
            bool expected = some_order(workload, &history, 0, &empty);
            for (int search_only = 0; search_only <= 1; search_only++) {
                enum moot_judgement got = judge(&history, workload->model, search_only, false);
                if (got != (expected ? MOOT_JUDGEMENT_VALID : MOOT_JUDGEMENT_VIOLATION)) {
                    show(&history);
                    fail_msg("%s, round %d: %s, by %s", workload->name, round,
                             moot_judgement_text(got), search_only ? "search" : "zones");
                }
            }
            verdicts[expected]++;
            moot_history_deinit(&history);
        }
        assert_true(verdicts[0] > 100);
        assert_true(verdicts[1] > 100);
    }
}

/* Goal: a real run's history is judged in a second or so. Method: 100 keys of 1,000 operations, a
 * few open at once on each, 1 % in doubt or failed, every workload, by zones and by search. */
static void long_histories_pass(void **state)
{
    (void)state;
    struct moot_rng rng;
    moot_rng_init(&rng, 2);
    for (size_t w = 0; w < MOOT_ARRAY_LEN(workloads); w++) {
        struct moot_history history;
        moot_history_init(&history);
        for (int64_t key = 0; key < 100; key++) {
            uint64_t reach = 10 + moot_rng_below(&rng, 20);
            generate(&rng, &workloads[w], text_of(key), 1000, reach, 1, &history);
        }
        for (int search_only = 0; search_only <= 1; search_only++) {
            enum moot_judgement got = judge(&history, workloads[w].model, search_only, true);
            if (got != MOOT_JUDGEMENT_VALID) {
                fail_msg("%s: %s, by %s", workloads[w].name, moot_judgement_text(got),
                         search_only ? "search" : "zones");
            }
        }
        moot_history_deinit(&history);
    }
}

/* Goal: twenty clients on one key are judged too, when written values are different, within the
 * simulator's budget. Method: intervals so long that twenty are open at any time, some in doubt.
 * (Lists that change at both ends, of which the order of what nobody read is not known, may need
 * more.) */
static void crowded_keys_pass(void **state)
{
    (void)state;
    struct moot_rng rng;
    moot_rng_init(&rng, 3);
    for (size_t i = 0; i < 10 * MOOT_ARRAY_LEN(workloads); i++) {
        const struct workload *workload = &workloads[i % MOOT_ARRAY_LEN(workloads)];
        if (!workload->unique || workload->kinds[3] == MOOT_OPERATION_POP) {
            continue;
        }
        struct moot_linearizability_options options = {.configurations_max = 50 * 1000,
                                                       .search_only = i % 2 == 1};
        struct moot_history history;
        struct moot_verdict verdict;
        moot_history_init(&history);
        moot_verdict_init(&verdict);
        generate(&rng, workload, text_of(1), OPERATIONS_MAX, 150, i % 3 * 4, &history);
        moot_check_linearizable(&history, workload->model, &options, &verdict);
        if (verdict.judgement != MOOT_JUDGEMENT_VALID) {
            fail_msg("%s, %zu: %s", workload->name, i, moot_judgement_text(verdict.judgement));
        }
        moot_verdict_deinit(&verdict);
        moot_history_deinit(&history);
    }
}

/* Some answers become those of another time: nothing where there was a value, the last value where
 * there was nothing, a delete that did the contrary. */
static void damage_absence(struct moot_rng *rng, struct moot_history *history)
{
    for (uint64_t tries = 1 + moot_rng_below(rng, 4); tries > 0; tries--) {
        size_t at = moot_rng_below(rng, history->count);
        struct moot_operation *operation = &history->operations[at];
        if (operation->outcome != MOOT_OUTCOME_OK) {
            continue;
        }
        if (operation->kind == MOOT_OPERATION_DELETE) {
            operation->result.integer = 1 - operation->result.integer;
        } else if (operation->kind == MOOT_OPERATION_READ &&
                   operation->result.kind == MOOT_HISTORY_BYTES) {
            operation->result = moot_history_nil();
        } else if (operation->kind == MOOT_OPERATION_READ && at > 0 &&
                   history->operations[at - 1].kind == MOOT_OPERATION_WRITE) {
            operation->result = history->operations[at - 1].argument;
        }
    }
}

/* A result that nobody looked at. */
static void forget_some(struct moot_rng *rng, struct moot_history *history)
{
    for (size_t i = 0; i < history->count; i++) {
        if (history->operations[i].outcome == MOOT_OUTCOME_OK && moot_rng_chance(rng, 1, 12)) {
            history->operations[i].result = moot_history_none();
        }
    }
}

static enum moot_judgement judge_counted(const struct moot_history *history, bool search_only,
                                         bool *searched)
{
    struct moot_linearizability_options options = {.search_only = search_only};
    struct moot_verdict verdict;
    moot_verdict_init(&verdict);
    moot_check_linearizable(history, &moot_model_register, &options, &verdict);
    enum moot_judgement judgement = verdict.judgement;
    *searched = verdict.configurations > 0;
    moot_verdict_deinit(&verdict);
    return judgement;
}

/* Goal: deletes are judged by zones as the search judges them, and nearly always without it.
 * Method: thousands of random histories, longer and more crowded than all orders could be tried
 * of, with writes, deletes and reads in different shares, good ones and damaged ones. */
static void deletes_by_zones(void **state)
{
    (void)state;
    static const struct workload kinds[] = {
        {"few deletes",
         &moot_model_register,
         {MOOT_OPERATION_READ, MOOT_OPERATION_WRITE, MOOT_OPERATION_DELETE, MOOT_OPERATION_READ},
         4,
         true},
        {"half deletes",
         &moot_model_register,
         {MOOT_OPERATION_WRITE, MOOT_OPERATION_DELETE},
         2,
         true},
        {"most deletes",
         &moot_model_register,
         {MOOT_OPERATION_READ, MOOT_OPERATION_WRITE, MOOT_OPERATION_DELETE, MOOT_OPERATION_DELETE},
         4,
         true},
    };
    struct moot_rng rng;
    size_t verdicts[2] = {0}, searched[2] = {0};
    moot_rng_init(&rng, 4);
    for (int round = 0; round < 12000; round++) {
        struct moot_history history;
        moot_history_init(&history);
        size_t count = 1 + moot_rng_below(&rng, 24);
        uint64_t reach = 1 + moot_rng_below(&rng, 60);
        generate(&rng, &kinds[round % 3], text_of(1), count, reach, 5 * moot_rng_below(&rng, 4),
                 &history);
        if (moot_rng_chance(&rng, 2, 3)) {
            damage_absence(&rng, &history);
        }
        if (moot_rng_chance(&rng, 1, 4)) {
            forget_some(&rng, &history);
        }
        bool by_search, was_searched;
        enum moot_judgement wanted = judge_counted(&history, true, &by_search);
        enum moot_judgement got = judge_counted(&history, false, &was_searched);
        assert_int_not_equal(wanted, MOOT_JUDGEMENT_UNKNOWN);
        if (got != wanted) {
            show(&history);
            fail_msg("round %d: %s, by search %s", round, moot_judgement_text(got),
                     moot_judgement_text(wanted));
        }
        verdicts[got == MOOT_JUDGEMENT_VALID]++;
        searched[got == MOOT_JUDGEMENT_VALID] += was_searched;
        moot_history_deinit(&history);
    }
    bool common = verdicts[0] > 1500 && verdicts[1] > 1500;
    /* Of these about one in seventy is searched. */
    if (!common || searched[0] * 40 > verdicts[0] || searched[1] * 40 > verdicts[1]) {
        fail_msg("searched: %zu of %zu violations, %zu of %zu valid ones", searched[0], verdicts[0],
                 searched[1], verdicts[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deletes_by_zones),
        cmocka_unit_test(agrees_with_every_order),
        cmocka_unit_test(long_histories_pass),
        cmocka_unit_test(crowded_keys_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
