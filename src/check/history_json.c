/* Histories as JSON lines (docs/history.md): a small strict subset, because no JSON library may be
 * linked below the command line and a simulator must be able to write what it saw.
 *
 * Bytes are strings in which \u00XX stands for the byte XX; other escapes are JSON's. A raw byte
 * from 0x80 up is taken as it is, so UTF-8 text reads as its bytes. */
#include "check/history.h"

#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/status.h"

static void write_text(struct moot_slice bytes, struct moot_buffer *out)
{
    static const char hex[] = "0123456789abcdef";
    moot_buffer_append_text(out, "\"");
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t byte = bytes.data[i];
        if (byte == '"' || byte == '\\') {
            const char escaped[2] = {'\\', (char)byte};
            moot_buffer_append(out, escaped, sizeof(escaped));
        } else if (byte >= 0x20 && byte < 0x7f) {
            moot_buffer_append(out, &byte, 1);
        } else {
            const char escaped[6] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
            moot_buffer_append(out, escaped, sizeof(escaped));
        }
    }
    moot_buffer_append_text(out, "\"");
}

static void write_plain_value(const struct moot_history_value *value, struct moot_buffer *out)
{
    switch (value->kind) {
    case MOOT_HISTORY_NONE:
        MOOT_UNREACHABLE();
    case MOOT_HISTORY_NIL:
        moot_buffer_append_text(out, "null");
        return;
    case MOOT_HISTORY_INTEGER:
        moot_buffer_append_i64(out, value->integer);
        return;
    case MOOT_HISTORY_BYTES:
        write_text(value->bytes, out);
        return;
    case MOOT_HISTORY_LIST:
        moot_buffer_append_text(out, "[");
        for (size_t i = 0; i < value->count; i++) {
            moot_buffer_append_text(out, i > 0 ? "," : "");
            write_text(value->items[i], out);
        }
        moot_buffer_append_text(out, "]");
        return;
    }
    MOOT_UNREACHABLE();
}

static void write_value(const char *name, const struct moot_history_value *value,
                        struct moot_buffer *out)
{
    if (value->kind != MOOT_HISTORY_NONE) {
        moot_buffer_append_text(out, ",\"");
        moot_buffer_append_text(out, name);
        moot_buffer_append_text(out, "\":");
        write_plain_value(value, out);
    }
}

/* "steps":[["append","x","3"],["read","x",["1","2"]],["read","y"]] */
static void write_steps(const struct moot_operation *operation, struct moot_buffer *out)
{
    moot_buffer_append_text(out, ",\"steps\":[");
    for (size_t i = 0; i < operation->steps_count; i++) {
        const struct moot_history_step *step = &operation->steps[i];
        moot_buffer_append_text(out, i > 0 ? ",[\"" : "[\"");
        moot_buffer_append_text(out, moot_operation_kind_text(step->kind));
        moot_buffer_append_text(out, "\",");
        write_text(step->key, out);
        if (step->value.kind != MOOT_HISTORY_NONE) {
            moot_buffer_append_text(out, ",");
            write_plain_value(&step->value, out);
        }
        moot_buffer_append_text(out, "]");
    }
    moot_buffer_append_text(out, "]");
}

static const char *const outcome_texts[] = {
    [MOOT_OUTCOME_INDOUBT] = "indoubt",
    [MOOT_OUTCOME_OK] = "ok",
    [MOOT_OUTCOME_FAIL] = "fail",
};

void moot_history_write_operation(const struct moot_operation *operation, struct moot_buffer *out)
{
    moot_buffer_append_text(out, "{\"process\":");
    moot_buffer_append_u64(out, operation->process);
    moot_buffer_append_text(out, ",\"kind\":\"");
    moot_buffer_append_text(out, moot_operation_kind_text(operation->kind));
    if (operation->kind == MOOT_OPERATION_TXN) {
        moot_buffer_append_text(out, "\"");
        write_steps(operation, out);
    } else {
        moot_buffer_append_text(out, "\",\"key\":");
        write_text(operation->key, out);
    }
    write_value("expected", &operation->expected, out);
    write_value("argument", &operation->argument, out);
    if (operation->lives_ms != 0) {
        moot_buffer_append_text(out, ",\"lives\":");
        moot_buffer_append_u64(out, operation->lives_ms);
    }
    moot_buffer_append_text(out, ",\"call\":");
    moot_buffer_append_u64(out, operation->called.ns);
    if (operation->returned.ns != MOOT_NEVER.ns) {
        moot_buffer_append_text(out, ",\"return\":");
        moot_buffer_append_u64(out, operation->returned.ns);
    }
    moot_buffer_append_text(out, ",\"outcome\":\"");
    moot_buffer_append_text(out, outcome_texts[operation->outcome]);
    moot_buffer_append_text(out, "\"");
    if (operation->outcome == MOOT_OUTCOME_OK) {
        write_value("result", &operation->result, out);
    }
    moot_buffer_append_text(out, "}\n");
}

void moot_history_write(const struct moot_history *history, struct moot_buffer *out)
{
    for (size_t i = 0; i < history->count; i++) {
        moot_history_write_operation(&history->operations[i], out);
    }
}

/* A line being read. The first fault sets `why`, and from then on nothing is read. */
struct line {
    const uint8_t *at, *end;
    const char *why;
    struct moot_arena *arena;
};

static void fault(struct line *line, const char *why)
{
    if (line->why == NULL) {
        line->why = why;
    }
    line->at = line->end;
}

static void skip_blanks(struct line *line)
{
    while (line->at < line->end && (*line->at == ' ' || *line->at == '\t' || *line->at == '\r')) {
        line->at++;
    }
}

static bool peek(struct line *line, char wanted)
{
    skip_blanks(line);
    return line->at < line->end && *line->at == (uint8_t)wanted;
}

static bool take(struct line *line, char wanted)
{
    bool there = peek(line, wanted);
    line->at += there;
    return there;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    uint8_t lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* After a backslash. */
static uint8_t read_escape(struct line *line)
{
    static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    if (line->at == line->end) {
        fault(line, "a string has no end");
        return 0;
    }
    uint8_t name = *line->at++;
    if (name != 'u') {
        const char *found = name == 0 ? NULL : strchr(names, name);
        if (found == NULL) {
            fault(line, "an escape that JSON does not have");
            return 0;
        }
        return (uint8_t)bytes[found - names];
    }
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = line->at < line->end ? hex_digit(*line->at) : -1;
        if (digit < 0) {
            fault(line, "\\u needs four hexadecimal digits");
            return 0;
        }
        value = value * 16 + digit;
        line->at++;
    }
    if (value > 0xff) {
        fault(line, "\\u stands for one byte here: at most \\u00ff");
        return 0;
    }
    return (uint8_t)value;
}

static struct moot_slice read_text(struct line *line)
{
    if (!take(line, '"')) {
        fault(line, "a string is expected");
        return (struct moot_slice){0};
    }
    /* No text is longer than what it is written as. */
    size_t longest = 0;
    while (line->at + longest < line->end && line->at[longest] != '"') {
        longest += line->at[longest] == '\\' ? 2 : 1;
    }
    uint8_t *bytes = moot_arena_alloc(line->arena, longest);
    size_t size = 0;
    while (line->at < line->end && *line->at != '"') {
        uint8_t byte = *line->at++;
        if (byte < 0x20) {
            fault(line, "a control character inside a string");
            break;
        }
        bytes[size++] = byte == '\\' ? read_escape(line) : byte;
        MOOT_ASSERT(size <= longest);
    }
    if (line->why == NULL && !take(line, '"')) {
        fault(line, "a string has no end");
    }
    return moot_slice_make(bytes, size);
}

/* The characters of an integer. */
static struct moot_slice read_digits(struct line *line)
{
    skip_blanks(line);
    const uint8_t *start = line->at;
    while (line->at < line->end && (*line->at == '-' || (*line->at >= '0' && *line->at <= '9'))) {
        line->at++;
    }
    int64_t value;
    struct moot_slice digits = moot_slice_make(start, (size_t)(line->at - start));
    if (!moot_slice_to_i64(digits, &value)) {
        fault(line, "an integer of 64 bits, a string, null or a list is expected");
    }
    return digits;
}

static uint64_t read_natural(struct line *line)
{
    int64_t value = 0;
    if (!moot_slice_to_i64(read_digits(line), &value) || value < 0) {
        fault(line, "an integer from 0 to 2^63 - 1 is expected");
        return 0;
    }
    return (uint64_t)value;
}

static struct moot_history_value read_list(struct line *line)
{
    struct moot_buffer items; /* Of struct moot_slice. */
    moot_buffer_init(&items);
    size_t count = 0;
    bool more = !take(line, ']');
    while (more && line->why == NULL) {
        struct moot_slice item = peek(line, '"') ? read_text(line) : read_digits(line);
        item = moot_arena_copy(line->arena, item);
        moot_buffer_append(&items, &item, sizeof(item));
        count++;
        more = take(line, ',');
        if (!more && !take(line, ']')) {
            fault(line, "a comma or the end of the list is expected");
        }
    }
    struct moot_slice *kept = moot_arena_alloc(line->arena, count * sizeof(*kept));
    if (count > 0) {
        memcpy(kept, items.data, count * sizeof(*kept));
    }
    moot_buffer_deinit(&items);
    return moot_history_list(kept, count);
}

static struct moot_history_value read_value(struct line *line)
{
    if (peek(line, '"')) {
        return moot_history_bytes(read_text(line));
    }
    if (take(line, '[')) {
        return read_list(line);
    }
    if (line->end - line->at >= 4 && memcmp(line->at, "null", 4) == 0) {
        line->at += 4;
        return moot_history_nil();
    }
    int64_t integer = 0;
    if (!moot_slice_to_i64(read_digits(line), &integer)) {
        return moot_history_none();
    }
    return moot_history_integer(integer);
}

static enum moot_operation_kind read_kind(struct line *line)
{
    struct moot_slice text = read_text(line);
    for (unsigned kind = 0; kind < MOOT_OPERATION_KINDS_COUNT; kind++) {
        if (moot_slice_equal(text, moot_slice_text(moot_operation_kind_text(kind)))) {
            return kind;
        }
    }
    fault(line, "an unknown kind of operation");
    return MOOT_OPERATION_READ;
}

static enum moot_outcome read_outcome(struct line *line)
{
    struct moot_slice text = read_text(line);
    for (unsigned outcome = 0; outcome < MOOT_ARRAY_LEN(outcome_texts); outcome++) {
        if (moot_slice_equal(text, moot_slice_text(outcome_texts[outcome]))) {
            return outcome;
        }
    }
    fault(line, "outcome is ok, fail or indoubt");
    return MOOT_OUTCOME_INDOUBT;
}

static enum moot_operation_kind read_step_kind(struct line *line)
{
    enum moot_operation_kind kind = read_kind(line);
    if (kind != MOOT_OPERATION_READ && kind != MOOT_OPERATION_WRITE &&
        kind != MOOT_OPERATION_APPEND) {
        fault(line, "a step is a read, write or append");
    }
    return kind;
}

static void read_step(struct line *line, struct moot_history_step *step)
{
    *step = (struct moot_history_step){.kind = MOOT_OPERATION_READ};
    if (!take(line, '[')) {
        fault(line, "a step is a list: kind, key and value");
        return;
    }
    step->kind = read_step_kind(line);
    if (!take(line, ',')) {
        fault(line, "a step is a list: kind, key and value");
        return;
    }
    step->key = read_text(line);
    if (take(line, ',')) {
        step->value = read_value(line);
    } else if (step->kind != MOOT_OPERATION_READ) {
        fault(line, "a write or append needs its value");
    }
    if (!take(line, ']')) {
        fault(line, "the end of a step is expected");
    }
}

static void read_steps(struct line *line, struct moot_operation *operation)
{
    struct moot_buffer steps; /* Of struct moot_history_step. */
    moot_buffer_init(&steps);
    if (!take(line, '[')) {
        fault(line, "steps is a list");
    }
    bool more = !take(line, ']');
    while (more && line->why == NULL) {
        struct moot_history_step step;
        read_step(line, &step);
        moot_buffer_append(&steps, &step, sizeof(step));
        more = take(line, ',');
        if (!more && !take(line, ']')) {
            fault(line, "a comma or the end of the steps is expected");
        }
    }
    struct moot_slice kept = moot_arena_copy(line->arena, moot_buffer_slice(&steps));
    operation->steps = (const struct moot_history_step *)(const void *)kept.data;
    operation->steps_count = kept.size / sizeof(struct moot_history_step);
    moot_buffer_deinit(&steps);
}

enum field {
    PROCESS,
    KIND,
    KEY,
    EXPECTED,
    ARGUMENT,
    LIVES,
    CALL,
    RETURN,
    OUTCOME,
    RESULT,
    STEPS,
    FIELDS
};
static const char *const field_names[FIELDS] = {
    "process", "kind",   "key",     "expected", "argument", "lives",
    "call",    "return", "outcome", "result",   "steps",
};

static void read_field(struct line *line, enum field field, struct moot_operation *operation)
{
    switch (field) {
    case PROCESS: {
        uint64_t process = read_natural(line);
        if (process > UINT32_MAX) {
            fault(line, "process is an integer from 0 to 2^32 - 1");
        }
        operation->process = (uint32_t)process;
        return;
    }
    case KIND:
        operation->kind = read_kind(line);
        return;
    case KEY:
        operation->key = read_text(line);
        return;
    case EXPECTED:
        operation->expected = read_value(line);
        return;
    case ARGUMENT:
        operation->argument = read_value(line);
        return;
    case LIVES:
        operation->lives_ms = read_natural(line);
        if (operation->lives_ms == 0) {
            fault(line, "lives is milliseconds, and not 0");
        }
        return;
    case CALL:
        operation->called.ns = read_natural(line);
        return;
    case RETURN:
        operation->returned.ns = read_natural(line);
        return;
    case OUTCOME:
        operation->outcome = read_outcome(line);
        return;
    case RESULT:
        operation->result = read_value(line);
        return;
    case STEPS:
        read_steps(line, operation);
        return;
    case FIELDS:
        break;
    }
    fault(line, "an unknown field");
}

/* What must and must not be there. */
static void check_fields(struct line *line, unsigned seen, const struct moot_operation *operation)
{
    const unsigned needed = 1U << PROCESS | 1U << KIND | 1U << CALL | 1U << OUTCOME;
    const unsigned single = 1U << KEY | 1U << EXPECTED | 1U << ARGUMENT | 1U << RESULT;
    bool txn = operation->kind == MOOT_OPERATION_TXN;
    if ((seen & needed) != needed || (!txn && (seen & 1U << KEY) == 0)) {
        fault(line, "process, kind, key, call and outcome are needed");
    }
    if (txn != ((seen & 1U << STEPS) != 0) || (txn && (seen & single) != 0)) {
        fault(line, "a txn, and only a txn, has steps, and no key, argument or result of its own");
    }
    if (operation->outcome != MOOT_OUTCOME_INDOUBT && (seen & 1U << RETURN) == 0) {
        fault(line, "an operation that is not in doubt needs its return");
    }
    if (operation->outcome != MOOT_OUTCOME_OK && (seen & 1U << RESULT) != 0) {
        fault(line, "only an operation that is ok has a result");
    }
    if ((operation->kind == MOOT_OPERATION_CAS) != ((seen & 1U << EXPECTED) != 0)) {
        fault(line, "cas, and only cas, has expected");
    }
    if (operation->lives_ms != 0 && operation->kind != MOOT_OPERATION_WRITE) {
        fault(line, "only a write has lives");
    }
    if (operation->returned.ns < operation->called.ns) {
        fault(line, "return is before call");
    }
}

static void read_operation(struct line *line, struct moot_operation *operation)
{
    *operation = (struct moot_operation){.returned = MOOT_NEVER};
    unsigned seen = 0;
    if (!take(line, '{')) {
        fault(line, "an object is expected");
    }
    bool more = !take(line, '}');
    while (more && line->why == NULL) {
        struct moot_slice name = read_text(line);
        unsigned field = 0;
        while (field < FIELDS && !moot_slice_equal(name, moot_slice_text(field_names[field]))) {
            field++;
        }
        if (!take(line, ':')) {
            fault(line, "a colon is expected");
        } else if ((seen & 1U << field) != 0) {
            fault(line, "a field is there twice");
        }
        seen |= 1U << field;
        read_field(line, field, operation);
        more = take(line, ',');
        if (!more && !take(line, '}')) {
            fault(line, "a comma or the end of the object is expected");
        }
    }
    skip_blanks(line);
    if (line->at != line->end) {
        fault(line, "something follows the object");
    }
    check_fields(line, seen, operation);
}

int moot_history_read(struct moot_history *history, struct moot_slice text, size_t *line,
                      const char **why)
{
    const uint8_t *at = text.data, *end = text.size == 0 ? at : at + text.size;
    struct moot_arena arena;
    moot_arena_init(&arena);
    *line = 0;
    *why = NULL;
    while (at < end && *why == NULL) {
        const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
        const uint8_t *stop = newline == NULL ? end : newline;
        struct line one = {.at = at, .end = stop, .arena = &arena};
        ++*line;
        skip_blanks(&one);
        if (stop - at > MOOT_HISTORY_LINE_MAX) {
            *why = "a line is longer than 1 MiB";
        } else if (one.at < one.end) {
            struct moot_operation operation;
            read_operation(&one, &operation);
            *why = one.why;
            if (one.why == NULL) {
                moot_history_add(history, &operation);
            }
            moot_arena_reset(&arena);
        }
        at = newline == NULL ? end : newline + 1;
    }
    moot_arena_deinit(&arena);
    return *why == NULL ? MOOT_OK : MOOT_FAIL(MOOT_EINVALID);
}
