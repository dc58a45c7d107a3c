#include "protocol/raft/trace.h"

#include "base/assert.h"

static const char *const SENTENCES[] = {
#define X(name, text) text,
    MOOT_RAFT_TRACE_TABLE(X)
#undef X
};

void moot_raft_trace_render(const struct moot_raft_trace *trace, struct moot_buffer *out)
{
    if (trace->kind >= MOOT_RAFT_TRACE_KINDS) {
        moot_buffer_append_text(out, "unknown trace");
        return;
    }
    const char *text = SENTENCES[trace->kind];
    for (size_t at = 0; text[at] != '\0'; at++) {
        if (text[at] != '{') {
            moot_buffer_append(out, &text[at], 1);
            continue;
        }
        uint32_t field = (uint32_t)(text[at + 1] - '0');
        MOOT_ASSERT(field < MOOT_RAFT_TRACE_FIELDS);
        MOOT_ASSERT(text[at + 2] == '}');
        moot_buffer_append_u64(out, trace->field[field]);
        at += 2;
    }
}
