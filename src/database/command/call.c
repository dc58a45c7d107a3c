#include "base/assert.h"
#include "base/slice.h"
#include "database/command/command.h"

void moot_call_signal(struct moot_call *call, struct moot_slice key)
{
    struct moot_call_shared *shared = call->shared;
    MOOT_ASSERT(!call->is_read);
    MOOT_ASSERT(shared->signal_count <= MOOT_SIGNALS_MAX);
    if (shared->signal_count > 0 &&
        shared->signals[shared->signal_count - 1].keyspace == call->keyspace &&
        moot_slice_equal(shared->signals[shared->signal_count - 1].key, key)) {
        return; /* A pipeline of pushes to one list. */
    }
    if (shared->signal_count == MOOT_SIGNALS_MAX) {
        shared->signals_lost = true;
        return;
    }
    shared->signals[shared->signal_count].keyspace = call->keyspace;
    shared->signals[shared->signal_count].key = moot_arena_copy(shared->signal_arena, key);
    shared->signal_count++;
}

int moot_call_error(struct moot_call *call, const char *text)
{
    moot_resp_error(&call->reply, text);
    return MOOT_CALL_ERROR;
}

int moot_call_wrong_type(struct moot_call *call)
{
    return moot_call_error(call,
                           "WRONGTYPE Operation against a key holding the wrong kind of value");
}

int moot_call_syntax(struct moot_call *call) { return moot_call_error(call, "ERR syntax error"); }

int moot_call_not_integer(struct moot_call *call)
{
    return moot_call_error(call, "ERR value is not an integer or out of range");
}
