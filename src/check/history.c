#include "check/history.h"

#include <string.h>

#include "base/assert.h"
#include "check/verdict.h"

void moot_history_init(struct moot_history *history)
{
    *history = (struct moot_history){0};
    moot_arena_init(&history->arena);
}

void moot_history_deinit(struct moot_history *history)
{
    moot_free(history->operations);
    moot_arena_deinit(&history->arena);
    *history = (struct moot_history){0};
}

static struct moot_history_value value_copy(struct moot_arena *arena,
                                            const struct moot_history_value *value)
{
    struct moot_history_value copy = *value;
    if (value->kind == MOOT_HISTORY_BYTES) {
        copy.bytes = moot_arena_copy(arena, value->bytes);
    }
    if (value->kind == MOOT_HISTORY_LIST) {
        struct moot_slice *items = moot_arena_alloc(arena, value->count * sizeof(*items));
        for (size_t i = 0; i < value->count; i++) {
            items[i] = moot_arena_copy(arena, value->items[i]);
        }
        copy.items = items;
    }
    return copy;
}

static const struct moot_history_step *
steps_copy(struct moot_arena *arena, const struct moot_history_step *steps, size_t count)
{
    struct moot_history_step *copy = moot_arena_alloc(arena, count * sizeof(*copy));
    for (size_t i = 0; i < count; i++) {
        copy[i].kind = steps[i].kind;
        copy[i].key = moot_arena_copy(arena, steps[i].key);
        copy[i].value = value_copy(arena, &steps[i].value);
    }
    return copy;
}

size_t moot_history_add(struct moot_history *history, const struct moot_operation *operation)
{
    MOOT_ASSERT(operation->kind < MOOT_OPERATION_KINDS_COUNT);
    MOOT_ASSERT(operation->outcome <= MOOT_OUTCOME_FAIL);
    MOOT_ASSERT(operation->called.ns <= operation->returned.ns);
    if (history->count == history->capacity) {
        history->capacity = history->capacity == 0 ? 64 : history->capacity * 2;
        history->operations =
            moot_realloc(history->operations, history->capacity * sizeof(*history->operations));
    }
    struct moot_operation *copy = &history->operations[history->count];
    *copy = *operation;
    copy->key = moot_arena_copy(&history->arena, operation->key);
    copy->argument = value_copy(&history->arena, &operation->argument);
    copy->expected = value_copy(&history->arena, &operation->expected);
    copy->result = value_copy(&history->arena, &operation->result);
    copy->steps = steps_copy(&history->arena, operation->steps, operation->steps_count);
    return history->count++;
}

/* The recorder's clock: `now`, or a nanosecond after the event before. The calls of one thread come
 * in the order in which things happened, so what this adds to the instants is true. */
static struct moot_instant tick(struct moot_history *history, struct moot_instant now)
{
    MOOT_ASSERT(now.ns < UINT64_MAX);
    history->latest.ns =
        now.ns > history->latest.ns || history->count == 0 ? now.ns : history->latest.ns + 1;
    return history->latest;
}

size_t moot_history_call_cas(struct moot_history *history, uint32_t process, struct moot_slice key,
                             struct moot_history_value expected, struct moot_history_value argument,
                             struct moot_instant now)
{
    return moot_history_add(history, &(struct moot_operation){
                                         .process = process,
                                         .kind = MOOT_OPERATION_CAS,
                                         .key = key,
                                         .argument = argument,
                                         .expected = expected,
                                         .called = tick(history, now),
                                         .returned = MOOT_NEVER,
                                     });
}

size_t moot_history_call(struct moot_history *history, uint32_t process,
                         enum moot_operation_kind kind, struct moot_slice key,
                         struct moot_history_value argument, struct moot_instant now)
{
    MOOT_ASSERT(kind != MOOT_OPERATION_CAS);
    MOOT_ASSERT(kind != MOOT_OPERATION_TXN);
    size_t operation =
        moot_history_call_cas(history, process, key, moot_history_none(), argument, now);
    history->operations[operation].kind = kind;
    return operation;
}

void moot_history_lives(struct moot_history *history, size_t operation, uint64_t lives_ms)
{
    MOOT_ASSERT(operation < history->count);
    MOOT_ASSERT(history->operations[operation].kind == MOOT_OPERATION_WRITE);
    history->operations[operation].lives_ms = lives_ms;
}

void moot_history_return(struct moot_history *history, size_t operation, enum moot_outcome outcome,
                         struct moot_history_value result, struct moot_instant now)
{
    MOOT_ASSERT(operation < history->count);
    struct moot_operation *done = &history->operations[operation];
    MOOT_ASSERT(done->returned.ns == MOOT_NEVER.ns);
    MOOT_ASSERT(done->outcome == MOOT_OUTCOME_INDOUBT);
    done->outcome = outcome;
    done->returned = tick(history, now);
    MOOT_ASSERT(done->called.ns < done->returned.ns);
    if (outcome == MOOT_OUTCOME_OK) {
        done->result = value_copy(&history->arena, &result);
    }
}

size_t moot_history_call_txn(struct moot_history *history, uint32_t process,
                             const struct moot_history_step *steps, size_t count,
                             struct moot_instant now)
{
    return moot_history_add(history, &(struct moot_operation){
                                         .process = process,
                                         .kind = MOOT_OPERATION_TXN,
                                         .steps = steps,
                                         .steps_count = count,
                                         .called = tick(history, now),
                                         .returned = MOOT_NEVER,
                                     });
}

void moot_history_return_txn(struct moot_history *history, size_t operation,
                             enum moot_outcome outcome, const struct moot_history_step *steps,
                             struct moot_instant now)
{
    moot_history_return(history, operation, outcome, moot_history_none(), now);
    struct moot_operation *done = &history->operations[operation];
    MOOT_ASSERT(done->kind == MOOT_OPERATION_TXN);
    if (outcome == MOOT_OUTCOME_OK) {
        done->steps = steps_copy(&history->arena, steps, done->steps_count);
    }
}

const char *moot_operation_kind_text(enum moot_operation_kind kind)
{
    switch (kind) {
#define X(name, text)                                                                              \
    case MOOT_OPERATION_##name:                                                                    \
        return text;
        MOOT_OPERATION_KINDS(X)
#undef X
    case MOOT_OPERATION_KINDS_COUNT:
        break;
    }
    MOOT_UNREACHABLE();
}

bool moot_history_value_equal(const struct moot_history_value *a,
                              const struct moot_history_value *b)
{
    if (a->kind != b->kind) {
        return false;
    }
    switch (a->kind) {
    case MOOT_HISTORY_NONE:
    case MOOT_HISTORY_NIL:
        return true;
    case MOOT_HISTORY_INTEGER:
        return a->integer == b->integer;
    case MOOT_HISTORY_BYTES:
        return moot_slice_equal(a->bytes, b->bytes);
    case MOOT_HISTORY_LIST:
        if (a->count != b->count) {
            return false;
        }
        for (size_t i = 0; i < a->count; i++) {
            if (!moot_slice_equal(a->items[i], b->items[i])) {
                return false;
            }
        }
        return true;
    }
    MOOT_UNREACHABLE();
}

/* Long values are cut: the words are for reading, the file has everything. */
static void describe_bytes(struct moot_slice bytes, struct moot_buffer *out)
{
    static const size_t shown_max = 40;
    static const char hex[] = "0123456789abcdef";
    moot_buffer_append_text(out, "\"");
    for (size_t i = 0; i < bytes.size && i < shown_max; i++) {
        uint8_t byte = bytes.data[i];
        if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\') {
            moot_buffer_append(out, &byte, 1);
        } else {
            const char escaped[4] = {'\\', 'x', hex[byte >> 4], hex[byte & 15]};
            moot_buffer_append(out, escaped, sizeof(escaped));
        }
    }
    moot_buffer_append_text(out, "\"");
    if (bytes.size > shown_max) {
        moot_buffer_append_text(out, " (");
        moot_buffer_append_u64(out, bytes.size);
        moot_buffer_append_text(out, " bytes)");
    }
}

void moot_history_value_describe(const struct moot_history_value *value, struct moot_buffer *out)
{
    static const size_t shown_max = 16; /* The last ones: what was added lately matters most. */
    switch (value->kind) {
    case MOOT_HISTORY_NONE:
        moot_buffer_append_text(out, "?");
        return;
    case MOOT_HISTORY_NIL:
        moot_buffer_append_text(out, "nil");
        return;
    case MOOT_HISTORY_INTEGER:
        moot_buffer_append_i64(out, value->integer);
        return;
    case MOOT_HISTORY_BYTES:
        describe_bytes(value->bytes, out);
        return;
    case MOOT_HISTORY_LIST: {
        size_t first = value->count > shown_max ? value->count - shown_max : 0;
        moot_buffer_append_text(out, first > 0 ? "[... " : "[");
        for (size_t i = first; i < value->count; i++) {
            moot_buffer_append_text(out, i > first ? ", " : "");
            describe_bytes(value->items[i], out);
        }
        moot_buffer_append_text(out, "]");
        if (first > 0) {
            moot_buffer_append_text(out, " (");
            moot_buffer_append_u64(out, value->count);
            moot_buffer_append_text(out, " elements)");
        }
        return;
    }
    }
    MOOT_UNREACHABLE();
}

/* Milliseconds with three decimals or more: the tie-breaking nanosecond must show. */
static void describe_instant(struct moot_instant at, struct moot_buffer *out)
{
    uint64_t rest = at.ns % MOOT_MSEC_NS;
    moot_buffer_append_u64(out, at.ns / MOOT_MSEC_NS);
    moot_buffer_append_text(out, ".");
    uint64_t unit = MOOT_MSEC_NS / 10;
    for (int digits = 0; digits < 3 || rest > 0; digits++) {
        moot_buffer_append_u64(out, rest / unit);
        rest %= unit;
        unit /= 10;
    }
}

static void describe_steps(const struct moot_operation *operation, struct moot_buffer *out)
{
    for (size_t i = 0; i < operation->steps_count; i++) {
        const struct moot_history_step *step = &operation->steps[i];
        bool read = step->kind == MOOT_OPERATION_READ;
        moot_buffer_append_text(out, i > 0 ? "; " : " ");
        moot_buffer_append_text(out, moot_operation_kind_text(step->kind));
        moot_buffer_append_text(out, " ");
        describe_bytes(step->key, out);
        if (!read || operation->outcome == MOOT_OUTCOME_OK) {
            moot_buffer_append_text(out, read ? " -> " : " ");
            moot_history_value_describe(&step->value, out);
        }
    }
}

void moot_operation_describe(const struct moot_operation *operation, struct moot_buffer *out)
{
    moot_buffer_append_text(out, "process ");
    moot_buffer_append_u64(out, operation->process);
    moot_buffer_append_text(out, " ");
    moot_buffer_append_text(out, moot_operation_kind_text(operation->kind));
    if (operation->kind == MOOT_OPERATION_TXN) {
        describe_steps(operation, out);
    } else {
        moot_buffer_append_text(out, " ");
        describe_bytes(operation->key, out);
    }
    if (operation->kind == MOOT_OPERATION_CAS) {
        moot_buffer_append_text(out, " from ");
        moot_history_value_describe(&operation->expected, out);
        moot_buffer_append_text(out, " to");
    }
    if (operation->argument.kind != MOOT_HISTORY_NONE) {
        moot_buffer_append_text(out, " ");
        moot_history_value_describe(&operation->argument, out);
    }
    if (operation->lives_ms != 0) {
        moot_buffer_append_text(out, " for ");
        moot_buffer_append_u64(out, operation->lives_ms);
        moot_buffer_append_text(out, " ms");
    }
    if (operation->outcome == MOOT_OUTCOME_OK && operation->result.kind != MOOT_HISTORY_NONE) {
        moot_buffer_append_text(out, " -> ");
        moot_history_value_describe(&operation->result, out);
    }
    if (operation->outcome == MOOT_OUTCOME_FAIL) {
        moot_buffer_append_text(out, " -> not done");
    }
    moot_buffer_append_text(out, ", ");
    describe_instant(operation->called, out);
    if (operation->outcome == MOOT_OUTCOME_INDOUBT) {
        moot_buffer_append_text(out, " ms, in doubt");
        return;
    }
    moot_buffer_append_text(out, " to ");
    describe_instant(operation->returned, out);
    moot_buffer_append_text(out, " ms");
}

void moot_verdict_init(struct moot_verdict *verdict)
{
    *verdict = (struct moot_verdict){0};
    moot_buffer_init(&verdict->evidence);
    moot_buffer_init(&verdict->words);
}

void moot_verdict_deinit(struct moot_verdict *verdict)
{
    moot_buffer_deinit(&verdict->evidence);
    moot_buffer_deinit(&verdict->words);
}

const char *moot_judgement_text(enum moot_judgement judgement)
{
    switch (judgement) {
    case MOOT_JUDGEMENT_VALID:
        return "valid";
    case MOOT_JUDGEMENT_VIOLATION:
        return "violation";
    case MOOT_JUDGEMENT_UNKNOWN:
        return "unknown";
    }
    MOOT_UNREACHABLE();
}
