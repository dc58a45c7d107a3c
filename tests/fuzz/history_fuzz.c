/* Goal: no bytes crash the reader of histories, or a checker of what it accepts, and what was read
 * is written and read back the same. */
#include "base/assert.h"
#include "base/slice.h"
#include "base/status.h"
#include "check/causal.h"
#include "check/linearizability.h"
#include "check/set.h"
#include "check/transaction.h"

static void write_and_read_back(const struct moot_history *history)
{
    struct moot_buffer first, second;
    struct moot_history again;
    size_t line;
    const char *why;
    moot_buffer_init(&first);
    moot_buffer_init(&second);
    moot_history_init(&again);
    moot_history_write(history, &first);
    MOOT_ASSERT(moot_history_read(&again, moot_buffer_slice(&first), &line, &why) == MOOT_OK);
    moot_history_write(&again, &second);
    MOOT_ASSERT(moot_slice_equal(moot_buffer_slice(&first), moot_buffer_slice(&second)));
    moot_buffer_deinit(&first);
    moot_buffer_deinit(&second);
    moot_history_deinit(&again);
}

static void bank(const struct moot_history *history, struct moot_verdict *verdict)
{
    moot_check_bank(history, 0, verdict);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct moot_model *const models[] = {&moot_model_register, &moot_model_counter,
                                                      &moot_model_append};
    static void (*const checkers[])(const struct moot_history *, struct moot_verdict *) = {
        moot_check_set, moot_check_queue,      moot_check_exactly_once,
        moot_check_ids, moot_check_sequential, bank,
    };
    struct moot_history history;
    size_t line;
    const char *why;
    moot_history_init(&history);
    if (moot_history_read(&history, moot_slice_make(data, size), &line, &why) == MOOT_OK) {
        write_and_read_back(&history);
    }
    for (size_t i = 0; i < 2 * MOOT_ARRAY_LEN(models); i++) {
        struct moot_linearizability_options options = {.configurations_max = 1000,
                                                       .search_only = i % 2 == 1};
        struct moot_verdict verdict;
        moot_verdict_init(&verdict);
        moot_check_linearizable(&history, models[i / 2], &options, &verdict);
        moot_verdict_deinit(&verdict);
    }
    for (size_t i = 0; i < MOOT_ARRAY_LEN(checkers); i++) {
        struct moot_verdict verdict;
        moot_verdict_init(&verdict);
        checkers[i](&history, &verdict);
        moot_verdict_deinit(&verdict);
    }
    for (unsigned level = 0; level < 2 * MOOT_ISOLATION_LEVELS_COUNT; level++) {
        struct moot_verdict verdict;
        moot_verdict_init(&verdict);
        (level % 2 == 0 ? moot_check_append_txns : moot_check_register_txns)(&history, level / 2,
                                                                             &verdict);
        moot_verdict_deinit(&verdict);
    }
    moot_history_deinit(&history);
    return 0;
}
