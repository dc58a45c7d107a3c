/* Histories written by hand: one line an operation, in the tests of the checkers.
 *
 *     const struct moot_operation stale[] = {
 *         OK(1, WRITE, 0, 10, .argument = TEXT("a")), ...
 *
 * and a run of the checker over them. */
#ifndef MOOT_TESTS_CHECK_HISTORIES_H
#define MOOT_TESTS_CHECK_HISTORIES_H

#include <stdio.h>
#include <string.h>

#include "base/slice.h"
#include "check/history.h"
#include "check/linearizability.h"
#include "check/set.h"

#define NOTHING                                                                                    \
    {                                                                                              \
        .kind = MOOT_HISTORY_NONE                                                                  \
    }
#define NIL                                                                                        \
    {                                                                                              \
        .kind = MOOT_HISTORY_NIL                                                                   \
    }
#define NUMBER(n)                                                                                  \
    {                                                                                              \
        .kind = MOOT_HISTORY_INTEGER, .integer = (n)                                               \
    }
#define TEXT(t)                                                                                    \
    {                                                                                              \
        .kind = MOOT_HISTORY_BYTES, .bytes = {(const uint8_t *)(t), sizeof(t) - 1 }                \
    }
#define LIST(n, ...)                                                                               \
    {                                                                                              \
        .kind = MOOT_HISTORY_LIST, .items = (const struct moot_slice[]){__VA_ARGS__}, .count = (n) \
    }
#define ITEM(t)                                                                                    \
    {                                                                                              \
        (const uint8_t *)(t), sizeof(t) - 1                                                        \
    }

#define OPERATION(p, k, key_text, call_ns, return_ns, how, ...)                                    \
    {                                                                                              \
        .process = (p), .kind = MOOT_OPERATION_##k, .key = ITEM(key_text), .called = {call_ns},    \
        .returned = {return_ns}, .outcome = MOOT_OUTCOME_##how, __VA_ARGS__                        \
    }
#define OK(p, k, call, ret, ...)   OPERATION(p, k, "k", call, ret, OK, __VA_ARGS__)
#define FAIL(p, k, call, ret, ...) OPERATION(p, k, "k", call, ret, FAIL, __VA_ARGS__)
#define DOUBT(p, k, call, ...)     OPERATION(p, k, "k", call, UINT64_MAX, INDOUBT, __VA_ARGS__)

static inline void history_of(struct moot_history *history, const struct moot_operation *operations,
                              size_t count)
{
    moot_history_init(history);
    for (size_t i = 0; i < count; i++) {
        moot_history_add(history, &operations[i]);
    }
}

static inline enum moot_judgement judge(const struct moot_history *history,
                                        const struct moot_model *model, bool search_only, bool show)
{
    struct moot_linearizability_options options = {.search_only = search_only};
    struct moot_verdict verdict;
    moot_verdict_init(&verdict);
    moot_check_linearizable(history, model, &options, &verdict);
    if (show && verdict.words.size > 0) {
        fprintf(stderr, "%.*s", (int)verdict.words.size, (const char *)verdict.words.data);
    }
    enum moot_judgement judgement = verdict.judgement;
    moot_verdict_deinit(&verdict);
    return judgement;
}

#endif
