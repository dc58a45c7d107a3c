/* The encoding of batches: the one place that knows it. What is read here came from a peer or from
 * the log: it is checked, never believed. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/rule.h"
#include "database/execute/engine.h"

enum { ARG_BYTES_MIN = 1 }; /* An argument's size at least: bounds counts by what is there. */

static bool fail(struct moot_reader *reader)
{
    reader->failed = true;
    return false;
}

/* Steps over one command. */
static bool skip_body(struct moot_reader *reader)
{
    uint64_t argc = moot_get_varint(reader);
    if (argc == 0 || argc > MOOT_ARGS_MAX || argc > moot_reader_left(reader) / ARG_BYTES_MIN) {
        return fail(reader);
    }
    for (uint64_t i = 0; i < argc && !reader->failed; i++) {
        if (moot_get_bytes(reader).size > MOOT_VALUE_MAX) {
            return fail(reader);
        }
    }
    return !reader->failed;
}

static bool skip_exec(struct moot_reader *reader)
{
    uint64_t watches = moot_get_varint(reader);
    if (watches > MOOT_WATCH_MAX) {
        return fail(reader);
    }
    for (uint64_t i = 0; i < watches && !reader->failed; i++) {
        uint8_t database = moot_get_u8(reader);
        struct moot_slice key = moot_get_bytes(reader);
        (void)moot_get_raw(reader, 8 + 4);
        if (database >= MOOT_DATABASES || key.size > MOOT_KEY_MAX) {
            return fail(reader);
        }
    }
    uint64_t commands = moot_get_varint(reader);
    if (commands > MOOT_MULTI_COMMANDS_MAX) {
        return fail(reader);
    }
    for (uint64_t i = 0; i < commands; i++) {
        if (!skip_body(reader)) {
            return false;
        }
    }
    return !reader->failed;
}

/* Steps over one command, which has been checked. */
static bool next_is_read(struct moot_reader *reader)
{
    uint64_t argc = moot_get_varint(reader);
    const struct moot_command *command = moot_command_find(moot_get_bytes(reader));
    for (uint64_t i = 1; i < argc && !reader->failed; i++) {
        (void)moot_get_bytes(reader);
    }
    return command != NULL && command->place != MOOT_PLACE_WRITE;
}

struct moot_slice moot_item_commands(const struct moot_item *item)
{
    struct moot_reader reader = moot_reader_make(item->body);
    MOOT_ASSERT((item->flags & MOOT_ITEM_EXEC) != 0);
    for (uint64_t i = moot_get_varint(&reader); i > 0 && !reader.failed; i--) {
        (void)moot_get_u8(&reader);
        (void)moot_get_bytes(&reader);
        (void)moot_get_raw(&reader, 8 + 4);
    }
    size_t left = moot_reader_left(&reader);
    return moot_slice_make(item->body.data + item->body.size - left, left);
}

bool moot_item_is_read(const struct moot_item *item)
{
    struct moot_reader reader = moot_reader_make(item->body);
    if ((item->flags & (MOOT_ITEM_EXEC | MOOT_ITEM_STAMP)) == 0) {
        return next_is_read(&reader);
    }
    if ((item->flags & MOOT_ITEM_STAMP) != 0) {
        return true;
    }
    reader = moot_reader_make(moot_item_commands(item));
    bool is_read = true;
    for (uint64_t i = moot_get_varint(&reader); i > 0 && is_read && !reader.failed; i--) {
        is_read = next_is_read(&reader);
    }
    return is_read && !reader.failed;
}

bool moot_item_next(struct moot_reader *reader, struct moot_item *item)
{
    *item = (struct moot_item){0};
    if (reader->failed || moot_reader_left(reader) == 0) {
        return false;
    }
    item->flags = moot_get_u8(reader);
    item->database = moot_get_u8(reader);
    if (item->database >= MOOT_DATABASES || (item->flags & ~MOOT_ITEM_FLAGS) != 0) {
        return fail(reader);
    }
    if ((item->flags & MOOT_ITEM_ID) != 0) {
        item->id = moot_get_bytes(reader);
        if (item->id.size == 0 || item->id.size > MOOT_ID_MAX) {
            return fail(reader);
        }
    }
    const uint8_t *start = reader->at;
    bool whole = (item->flags & MOOT_ITEM_EXEC) != 0 ? skip_exec(reader) : skip_body(reader);
    if (!whole || reader->failed) {
        return fail(reader);
    }
    item->body = (struct moot_slice){start, (size_t)(reader->at - start)};
    return true;
}

void moot_item_put_body(struct moot_buffer *out, const struct moot_slice *args, uint32_t argc)
{
    MOOT_ASSERT(argc > 0);
    moot_put_varint(out, argc);
    for (uint32_t i = 0; i < argc; i++) {
        moot_put_bytes(out, args[i]);
    }
}

void moot_item_put(struct moot_buffer *out, uint8_t flags, uint8_t database, struct moot_slice id,
                   const struct moot_slice *args, uint32_t argc)
{
    MOOT_ASSERT(database < MOOT_DATABASES);
    MOOT_ASSERT((flags & MOOT_ITEM_EXEC) == 0); /* Its body is put together by the edge. */
    MOOT_ASSERT(((flags & MOOT_ITEM_ID) != 0) == (id.size > 0));
    moot_put_u8(out, flags);
    moot_put_u8(out, database);
    if (id.size > 0) {
        moot_put_bytes(out, id);
    }
    moot_item_put_body(out, args, argc);
}

bool moot_item_args(struct moot_reader *reader, struct moot_arena *arena, struct moot_slice **args,
                    uint32_t *argc)
{
    uint64_t count = moot_get_varint(reader);
    if (reader->failed || count == 0 || count > MOOT_ARGS_MAX ||
        count > moot_reader_left(reader) / ARG_BYTES_MIN) {
        return fail(reader);
    }
    *args = moot_arena_alloc(arena, sizeof(**args) * (size_t)count);
    for (uint64_t i = 0; i < count; i++) {
        (*args)[i] = moot_get_bytes(reader);
    }
    *argc = (uint32_t)count;
    return !reader->failed;
}
