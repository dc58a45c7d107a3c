/* Goal: no bytes crash the reader of Jepsen's histories, and what it accepts is written as JSON
 * lines and read back the same. */
#include "base/assert.h"
#include "base/slice.h"
#include "base/status.h"
#include "check/history.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct moot_history history, again;
    struct moot_buffer first, second;
    struct moot_slice text = moot_slice_make(data, size);
    size_t line;
    const char *why;
    moot_history_init(&history);
    moot_history_init(&again);
    moot_buffer_init(&first);
    moot_buffer_init(&second);
    bool edn = moot_history_is_edn(text);
    int status = moot_history_read_edn(&history, text, size % 2 == 0, &line, &why);
    MOOT_ASSERT((status == MOOT_OK) == (why == NULL));
    MOOT_ASSERT(line > 0);
    if (status == MOOT_OK && (edn || history.count > 0)) {
        moot_history_write(&history, &first);
        MOOT_ASSERT(moot_history_read(&again, moot_buffer_slice(&first), &line, &why) == MOOT_OK);
        moot_history_write(&again, &second);
        MOOT_ASSERT(moot_slice_equal(moot_buffer_slice(&first), moot_buffer_slice(&second)));
    }
    moot_buffer_deinit(&first);
    moot_buffer_deinit(&second);
    moot_history_deinit(&history);
    moot_history_deinit(&again);
    return 0;
}
