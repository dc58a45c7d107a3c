#include "base/assert.h"
#include "base/limits.h"
#include "database/command/handlers.h"

int moot_arg_i64(struct moot_call *call, uint32_t index, int64_t *out)
{
    MOOT_ASSERT(index < call->argc);
    return moot_slice_to_i64(call->args[index], out) ? 0 : moot_call_not_integer(call);
}

int moot_arg_moment(struct moot_call *call, struct moot_slice text, bool seconds, bool absolute,
                    uint64_t *at_ms)
{
    int64_t value;
    if (!moot_slice_to_i64(text, &value)) {
        return moot_call_not_integer(call);
    }
    uint64_t now_ms = absolute ? 0 : call->now_ms;
    MOOT_ASSERT(now_ms <= INT64_MAX);
    if (value <= 0 || (seconds && value > INT64_MAX / 1000) ||
        (uint64_t)value * (seconds ? 1000 : 1) > INT64_MAX - now_ms) {
        return moot_call_error_named(call, "ERR invalid expire time in", "command");
    }
    *at_ms = now_ms + (uint64_t)value * (seconds ? 1000 : 1);
    return 0;
}

int moot_arg_database(struct moot_call *call, uint32_t index, uint8_t *database)
{
    int64_t number;
    int status = moot_arg_i64(call, index, &number);
    if (status != 0) {
        return status;
    }
    if (number < 0 || number >= MOOT_DATABASES) {
        return moot_call_error(call, "ERR DB index is out of range");
    }
    *database = (uint8_t)number;
    return 0;
}

/* A NUL-terminated text in the arena out of parts; ends at a NULL part. */
static const char *join(struct moot_call *call, const struct moot_slice *parts, size_t count)
{
    size_t size = 1;
    for (size_t i = 0; i < count; i++) {
        size += parts[i].size;
    }
    char *text = moot_arena_alloc(call->arena, size), *at = text;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].size > 0) {
            memcpy(at, parts[i].data, parts[i].size);
        }
        at += parts[i].size;
    }
    *at = '\0';
    MOOT_ASSERT(at == text + size - 1);
    return text;
}

int moot_call_error_named(struct moot_call *call, const char *before, const char *after)
{
    struct moot_slice parts[] = {moot_slice_text(before), MOOT_SLICE_LITERAL(" '"),
                                 moot_slice_text(call->command->name), MOOT_SLICE_LITERAL("' "),
                                 moot_slice_text(after)};
    return moot_call_error(call, join(call, parts, MOOT_ARRAY_LEN(parts)));
}

int moot_call_wrong_count(struct moot_call *call)
{
    return moot_call_error_named(call, "ERR wrong number of arguments for", "command");
}

/* An argument as it may stand in an error: not too long, and no NUL, which would end the text. */
static struct moot_slice shown(struct moot_call *call, struct moot_slice given)
{
    enum { SHOWN_MAX = 128 };
    size_t size = given.size < SHOWN_MAX ? given.size : SHOWN_MAX;
    uint8_t *bytes = moot_arena_alloc(call->arena, size);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = given.data[i] == '\0' ? ' ' : given.data[i];
    }
    return (struct moot_slice){bytes, size};
}

int moot_call_unsupported_option(struct moot_call *call, uint32_t index)
{
    MOOT_ASSERT(index < call->argc);
    struct moot_slice parts[] = {MOOT_SLICE_LITERAL("ERR Unsupported option "),
                                 shown(call, call->args[index])};
    return moot_call_error(call, join(call, parts, MOOT_ARRAY_LEN(parts)));
}

int moot_call_wrong_count_of_subcommand(struct moot_call *call)
{
    MOOT_ASSERT(call->argc >= 2);
    struct moot_slice given = shown(call, call->args[1]);
    uint8_t *lower = moot_arena_alloc(call->arena, given.size);
    for (size_t i = 0; i < given.size; i++) {
        uint8_t c = given.data[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
    }
    struct moot_slice parts[] = {MOOT_SLICE_LITERAL("ERR wrong number of arguments for '"),
                                 moot_slice_text(call->command->name),
                                 MOOT_SLICE_LITERAL("|"),
                                 {lower, given.size},
                                 MOOT_SLICE_LITERAL("' command")};
    return moot_call_error(call, join(call, parts, MOOT_ARRAY_LEN(parts)));
}

int moot_call_unknown_subcommand(struct moot_call *call)
{
    MOOT_ASSERT(call->argc >= 2);
    struct moot_slice name = moot_slice_text(call->command->name);
    uint8_t *upper = moot_arena_alloc(call->arena, name.size);
    for (size_t i = 0; i < name.size; i++) {
        upper[i] = (uint8_t)(name.data[i] - ('a' - 'A'));
    }
    struct moot_slice parts[] = {MOOT_SLICE_LITERAL("ERR unknown subcommand '"),
                                 shown(call, call->args[1]),
                                 MOOT_SLICE_LITERAL("'. Try "),
                                 {upper, name.size},
                                 MOOT_SLICE_LITERAL(" HELP.")};
    return moot_call_error(call, join(call, parts, MOOT_ARRAY_LEN(parts)));
}

void moot_call_help(struct moot_call *call, const char *const *lines, size_t count)
{
    moot_resp_array(&call->reply, count);
    for (size_t i = 0; i < count; i++) {
        moot_resp_simple(&call->reply, lines[i]);
    }
}

int moot_call_reply_fits(const struct moot_call *call, size_t start)
{
    MOOT_ASSERT(call->reply.out->size >= start);
    return call->reply.out->size - start <= MOOT_OUTPUT_HARD ? 0 : MOOT_FAIL(MOOT_ELIMIT);
}

int moot_call_will_touch(const struct moot_call *call, uint64_t elements)
{
    bool fits = !call->is_read || elements <= moot_view_left(call->view);
    return fits ? 0 : MOOT_FAIL(MOOT_EBUDGET);
}

int moot_object_look(struct moot_call *call, struct moot_slice key, enum moot_type type,
                     struct moot_head *head, const struct moot_head **before)
{
    int status = type == MOOT_TYPE_NONE ? moot_object_find(call, key, head)
                                        : moot_object_find_type(call, key, type, head);
    *before = status == 0 ? head : NULL;
    return status == MOOT_ENOTFOUND ? 0 : status;
}

int moot_arg_scan_options(struct moot_call *call, uint32_t first, struct moot_scan_options *scan)
{
    scan->count = 10; /* As Redis. */
    for (uint32_t i = first; i < call->argc; i++) {
        bool more = i + 1 < call->argc;
        if (moot_arg_is(call, i, "count") && more) {
            int64_t count;
            int status = moot_arg_i64(call, ++i, &count);
            if (status != 0) {
                return status;
            }
            if (count < 1) {
                return moot_call_syntax(call);
            }
            scan->count = (uint64_t)count;
        } else if (moot_arg_is(call, i, "match") && more) {
            scan->pattern = call->args[++i];
            scan->has_pattern = !moot_slice_equal(scan->pattern, MOOT_SLICE_LITERAL("*"));
        } else if (scan->allow_type && moot_arg_is(call, i, "type") && more) {
            scan->type = call->args[++i];
            scan->has_type = true;
        } else if (scan->allow_novalues && moot_arg_is(call, i, "novalues")) {
            scan->no_values = true;
        } else {
            return moot_call_syntax(call);
        }
    }
    return 0;
}

int moot_arg_cursor(struct moot_call *call, uint32_t index, uint64_t *cursor)
{
    MOOT_ASSERT(index < call->argc);
    return moot_slice_to_u64(call->args[index], cursor)
               ? 0
               : moot_call_error(call, "ERR invalid cursor");
}

int moot_row_add(struct moot_call *call, struct moot_row *row, struct moot_slice bytes)
{
    enum { OVERHEAD = 16 }; /* Of a bulk string in a reply. */
    row->bytes += bytes.size + OVERHEAD;
    if (row->bytes > MOOT_OUTPUT_HARD) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    if (row->count == row->capacity) {
        row->capacity = row->capacity == 0 ? 16 : 2 * row->capacity;
        struct moot_slice *items =
            moot_arena_alloc(call->arena, row->capacity * sizeof(struct moot_slice));
        if (row->count > 0) {
            memcpy(items, row->items, row->count * sizeof(struct moot_slice));
        }
        row->items = items;
    }
    row->items[row->count++] = moot_arena_copy(call->arena, bytes);
    MOOT_ASSERT(row->count <= row->capacity);
    return 0;
}

void moot_row_reply(struct moot_call *call, const struct moot_row *row)
{
    moot_resp_array(&call->reply, row->count);
    for (size_t i = 0; i < row->count; i++) {
        moot_resp_bulk(&call->reply, row->items[i]);
    }
}
