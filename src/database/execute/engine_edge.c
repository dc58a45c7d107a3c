/* Commands that an edge answers alone, met inside EXEC: only those that make sense there. All
 * replicas must give the same answer, so TIME is the entry's. */
#include "base/assert.h"
#include "base/slice.h"
#include "database/execute/engine_internal.h"

static int select_database(struct moot_call *call, uint8_t *database)
{
    int64_t number;
    if (call->argc != 2 || !moot_slice_to_i64(call->args[1], &number)) {
        return moot_call_not_integer(call);
    }
    if (number < 0 || number >= MOOT_DATABASES) {
        return moot_call_error(call, "ERR DB index is out of range");
    }
    *database = (uint8_t)number;
    moot_resp_simple(&call->reply, "OK");
    return 0;
}

static int answer_time(struct moot_call *call)
{
    moot_resp_array(&call->reply, 2);
    moot_resp_bulk_u64(&call->reply, call->now_ms / 1000);
    moot_resp_bulk_u64(&call->reply, call->now_ms % 1000 * 1000);
    return 0;
}

int engine__edge_command(struct moot_call *call, uint8_t *database)
{
    struct moot_slice name = call->args[0];
    MOOT_ASSERT(call->argc > 0);
    if (moot_slice_equal_nocase(name, "ping") && call->argc == 1) {
        moot_resp_simple(&call->reply, "PONG");
        return 0;
    }
    if ((moot_slice_equal_nocase(name, "ping") || moot_slice_equal_nocase(name, "echo")) &&
        call->argc == 2) {
        moot_resp_bulk(&call->reply, call->args[1]);
        return 0;
    }
    if (moot_slice_equal_nocase(name, "select")) {
        return select_database(call, database);
    }
    if (moot_slice_equal_nocase(name, "time") && call->argc == 1) {
        return answer_time(call);
    }
    return moot_call_error(call, "ERR this command is not allowed inside a transaction");
}
