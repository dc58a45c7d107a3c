/* What the node of a connection answers without asking a group, and what it makes of MULTI. Written
 * anew here, from what is promised (docs/, Redis' documentation), not shared with database/edge. */
#include <string.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "database/command/decimal.h"
#include "database/execute/engine.h"
#include "sim/any.h"

enum { WITH_ID_ARGS = 3, SHOWN_MAX = 256 };

void any_mirror_begin(struct any_mirror *mirror, const struct sim_client *client, uint8_t database)
{
    struct moot_buffer queue = mirror->queue;
    moot_buffer_reset(&queue, 4096);
    *mirror = (struct any_mirror){.connection = client->connection,
                                  .protocol = client->protocol,
                                  .database = database,
                                  .queue = queue};
}

static bool is(struct moot_slice word, const char *text)
{
    return moot_slice_equal_nocase(word, text);
}

static bool is_named(const struct moot_command *command, const char *name)
{
    return strcmp(command->name, name) == 0;
}

/* ---- what is said ---- */

static struct moot_resp resp(const struct any_mirror *mirror, struct any_meaning *meaning)
{
    return (struct moot_resp){&meaning->said, mirror->protocol};
}

static void ok(const struct any_mirror *mirror, struct any_meaning *meaning)
{
    struct moot_resp out = resp(mirror, meaning);
    moot_resp_simple(&out, "OK");
}

static void error(const struct any_mirror *mirror, struct any_meaning *meaning, const char *text)
{
    struct moot_resp out = resp(mirror, meaning);
    moot_resp_error(&out, text);
}

static void error_in_parts(const struct any_mirror *mirror, struct any_meaning *meaning,
                           const char *before, struct moot_slice what, const char *after)
{
    struct moot_buffer text;
    moot_buffer_init(&text);
    moot_buffer_append_text(&text, before);
    moot_buffer_append(&text, what.data, moot_min_u64(what.size, 128));
    moot_buffer_append_text(&text, after);
    struct moot_resp out = resp(mirror, meaning);
    moot_resp_error_slice(&out, moot_buffer_slice(&text));
    moot_buffer_deinit(&text);
}

static void unknown(const struct any_mirror *mirror, struct any_meaning *meaning)
{
    struct moot_buffer text;
    moot_buffer_init(&text);
    moot_buffer_append_text(&text, "ERR unknown command '");
    moot_buffer_append(&text, meaning->args[0].data, moot_min_u64(meaning->args[0].size, 128));
    moot_buffer_append_text(&text, "', with args beginning with: ");
    for (uint32_t i = 1; i < meaning->argc && text.size < SHOWN_MAX; i++) {
        moot_buffer_append_text(&text, "'");
        moot_buffer_append(&text, meaning->args[i].data, moot_min_u64(meaning->args[i].size, 64));
        moot_buffer_append_text(&text, "' ");
    }
    struct moot_resp out = resp(mirror, meaning);
    moot_resp_error_slice(&out, moot_buffer_slice(&text));
    moot_buffer_deinit(&text);
}

/* ---- what is touched ---- */

uint64_t any_touch(struct moot_slice key) { return UINT64_C(1) << moot_hash64(key, 0x70c4) % 63; }

static uint64_t touches(const struct moot_command *command, const struct moot_slice *args,
                        uint32_t argc)
{
    uint32_t count = moot_command_keys(command, argc, NULL, 0);
    if (count == 0) {
        return ANY_TOUCHES_ALL;
    }
    uint32_t *at = moot_alloc(sizeof(*at) * count);
    uint64_t mask = 0;
    (void)moot_command_keys(command, argc, at, count);
    for (uint32_t i = 0; i < count; i++) {
        mask |= any_touch(args[at[i]]);
    }
    moot_free(at);
    return mask;
}

/* ---- MULTI and its family ---- */

static void end_multi(struct any_mirror *mirror)
{
    mirror->in_multi = mirror->multi_failed = false;
    mirror->queued = mirror->watched = 0;
    mirror->watch_refused = false;
    mirror->writes = mirror->grows = mirror->is_global = false;
    mirror->touches = mirror->watch_touches = 0;
    moot_buffer_reset(&mirror->queue, 4096);
}

static void queue_failed(struct any_mirror *mirror, struct any_meaning *meaning, const char *text)
{
    error(mirror, meaning, text);
    mirror->multi_failed = true;
}

static void queue(struct any_mirror *mirror, const struct moot_command *command,
                  struct any_meaning *meaning)
{
    uint64_t database = 0;
    bool runs_inside = command->place != MOOT_PLACE_EDGE || is_named(command, "ping") ||
                       is_named(command, "echo") || is_named(command, "time") ||
                       is_named(command, "select");
    if (!runs_inside || (command->flags & MOOT_FLAG_NO_MULTI) != 0) {
        queue_failed(mirror, meaning, "ERR Command not allowed inside a transaction");
        return;
    }
    if (is_named(command, "select") &&
        (!moot_slice_to_u64(meaning->args[1], &database) || database >= MOOT_DATABASES)) {
        queue_failed(mirror, meaning, "ERR DB index is out of range");
        return;
    }
    if (is_named(command, "select")) {
        mirror->multi_database = (uint8_t)database;
    }
    moot_item_put_body(&mirror->queue, meaning->args, meaning->argc);
    mirror->queued++;
    if (command->place != MOOT_PLACE_EDGE) {
        mirror->writes |= command->place == MOOT_PLACE_WRITE;
        mirror->grows |= (command->flags & MOOT_FLAG_DENYOOM) != 0;
        mirror->touches |= touches(command, meaning->args, meaning->argc);
        mirror->is_global |= command->place == MOOT_PLACE_WRITE &&
                             moot_command_keys(command, meaning->argc, NULL, 0) == 0;
    }
    struct moot_resp out = resp(mirror, meaning);
    moot_resp_simple(&out, "QUEUED");
}

static void exec(struct any_mirror *mirror, struct any_meaning *meaning)
{
    if (!mirror->in_multi) {
        error(mirror, meaning, "ERR EXEC without MULTI");
        return;
    }
    meaning->ends_watch = true;
    if (mirror->multi_failed) {
        error(mirror, meaning, "EXECABORT Transaction discarded because of previous errors.");
    } else if (mirror->queued == 0 && mirror->watched == 0) {
        struct moot_resp out = resp(mirror, meaning);
        moot_resp_array(&out, 0);
    } else {
        meaning->kind = ANY_EXEC;
        meaning->writes = mirror->writes;
        meaning->grows = mirror->grows;
        meaning->is_global = mirror->is_global;
        meaning->touches = mirror->touches | mirror->watch_touches;
        meaning->watch_refused = mirror->watch_refused;
        meaning->database_then = mirror->multi_database;
        moot_put_varint(&meaning->said, mirror->queued);
        moot_buffer_append_slice(&meaning->said, moot_buffer_slice(&mirror->queue));
    }
    end_multi(mirror);
}

static void watch(struct any_mirror *mirror, struct any_meaning *meaning)
{
    if (mirror->in_multi) {
        error(mirror, meaning, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    meaning->kind = ANY_WATCH;
    mirror->watched += meaning->argc - 1;
    for (uint32_t i = 1; i < meaning->argc; i++) {
        meaning->touches |= any_touch(meaning->args[i]);
    }
    mirror->watch_touches |= meaning->touches;
    moot_item_put_body(&meaning->said, meaning->args, meaning->argc);
}

static bool of_multi(struct any_mirror *mirror, const struct moot_command *command,
                     struct any_meaning *meaning)
{
    if (is_named(command, "multi") && mirror->in_multi) {
        error(mirror, meaning, "ERR MULTI calls can not be nested");
    } else if (is_named(command, "multi")) {
        mirror->in_multi = true;
        mirror->multi_failed = false;
        mirror->multi_database = mirror->database;
        ok(mirror, meaning);
    } else if (is_named(command, "exec")) {
        exec(mirror, meaning);
    } else if (is_named(command, "discard") && !mirror->in_multi) {
        error(mirror, meaning, "ERR DISCARD without MULTI");
    } else if (is_named(command, "discard")) {
        meaning->ends_watch = true;
        end_multi(mirror);
        ok(mirror, meaning);
    } else if (is_named(command, "watch")) {
        watch(mirror, meaning);
    } else if (mirror->in_multi && (command->flags & MOOT_FLAG_MULTI_STATE) == 0) {
        queue(mirror, command, meaning);
    } else {
        return false;
    }
    return true;
}

/* ---- other commands of the connection's node ---- */

static void select_database(struct any_mirror *mirror, struct any_meaning *meaning)
{
    int64_t database;
    if (!moot_slice_to_i64(meaning->args[1], &database)) {
        error(mirror, meaning, "ERR value is not an integer or out of range");
    } else if (database < 0 || database >= MOOT_DATABASES) {
        error(mirror, meaning, "ERR DB index is out of range");
    } else {
        mirror->database = (uint8_t)database;
        ok(mirror, meaning);
    }
}

static void hello(struct any_mirror *mirror, struct any_meaning *meaning)
{
    uint64_t version = mirror->protocol;
    if (meaning->argc > 1 &&
        (!moot_slice_to_u64(meaning->args[1], &version) || version < 2 || version > 3)) {
        error(mirror, meaning, "NOPROTO unsupported protocol version");
        return;
    }
    mirror->protocol = (uint8_t)version;
    struct moot_resp out = resp(mirror, meaning);
    moot_resp_map(&out, 7);
    meaning->kind = ANY_SAID_SO;
}

static void client(struct any_mirror *mirror, struct any_meaning *meaning)
{
    struct moot_resp out = resp(mirror, meaning);
    bool sets = is(meaning->args[1], "setname") && meaning->argc == 3;
    if (sets && meaning->args[2].size < sizeof(mirror->name)) {
        memcpy(mirror->name, meaning->args[2].data, meaning->args[2].size);
        mirror->name[meaning->args[2].size] = '\0';
        ok(mirror, meaning);
    } else if (is(meaning->args[1], "getname") && meaning->argc == 2) {
        mirror->name[0] == '\0' ? moot_resp_null(&out) : moot_resp_bulk_text(&out, mirror->name);
    } else {
        meaning->kind = ANY_SAID_ALL;
    }
}

static void local(struct any_mirror *mirror, const struct moot_command *command,
                  struct any_meaning *meaning)
{
    struct moot_resp out = resp(mirror, meaning);
    if (is_named(command, "ping") && meaning->argc > 2) {
        error(mirror, meaning, "ERR wrong number of arguments for 'ping' command");
    } else if (is_named(command, "ping") && meaning->argc == 1) {
        moot_resp_simple(&out, "PONG");
    } else if (is_named(command, "ping") || is_named(command, "echo")) {
        moot_resp_bulk(&out, meaning->args[1]);
    } else if (is_named(command, "select")) {
        select_database(mirror, meaning);
    } else if (is_named(command, "hello")) {
        hello(mirror, meaning);
    } else if (is_named(command, "client")) {
        client(mirror, meaning);
    } else if (is_named(command, "reset")) {
        end_multi(mirror);
        meaning->ends_watch = true;
        mirror->protocol = 2;
        mirror->database = 0;
        mirror->name[0] = '\0';
        moot_resp_simple(&out, "RESET");
    } else if (is_named(command, "unwatch")) {
        mirror->watched = 0;
        mirror->watch_touches = 0;
        mirror->watch_refused = false;
        meaning->ends_watch = true;
        ok(mirror, meaning);
    } else if (is_named(command, "quit") || is_named(command, "readonly") ||
               is_named(command, "readwrite") || is_named(command, "asking")) {
        ok(mirror, meaning);
    } else if (is_named(command, "time")) {
        moot_resp_array(&out, 2);
        meaning->kind = ANY_SAID_SO;
    } else {
        meaning->kind = ANY_SAID_ALL;
    }
}

/* How long to wait is looked at where the client is. */
static const char *bad_timeout(const struct any_meaning *meaning)
{
    uint64_t ms;
    const char *bad = moot_decimal_timeout(meaning->args[meaning->argc - 1], &ms);
    bool is_long = bad == NULL && ms > MOOT_BLOCK_SECONDS_MAX * UINT64_C(1000);
    return is_long ? "ERR timeout is out of range" : bad;
}

static void for_group(const struct any_mirror *mirror, const struct moot_command *command,
                      struct any_meaning *meaning)
{
    bool may_wait = (command->flags & MOOT_FLAG_BLOCKING) != 0;
    if (may_wait && bad_timeout(meaning) != NULL) {
        error(mirror, meaning, bad_timeout(meaning));
        return;
    }
    meaning->kind = ANY_COMMAND;
    meaning->writes = command->place == MOOT_PLACE_WRITE;
    meaning->grows = (command->flags & MOOT_FLAG_DENYOOM) != 0;
    meaning->may_wait = may_wait;
    meaning->touches = touches(command, meaning->args, meaning->argc);
    meaning->is_global = meaning->writes && moot_command_keys(command, meaning->argc, NULL, 0) == 0;
    moot_item_put_body(&meaning->said, meaning->args, meaning->argc);
}

void any_mirror_step(struct any_mirror *mirror, const struct moot_slice *args, uint32_t argc,
                     struct any_meaning *meaning)
{
    struct moot_buffer said = meaning->said;
    moot_buffer_reset(&said, 64 * 1024);
    *meaning = (struct any_meaning){.kind = ANY_SAID,
                                    .protocol = mirror->protocol,
                                    .database = mirror->database,
                                    .database_then = mirror->database,
                                    .args = args,
                                    .argc = argc,
                                    .said = said};
    MOOT_ASSERT(argc > 0);
    if (is(args[0], "with") && argc > WITH_ID_ARGS) {
        meaning->id = args[2];
        meaning->args += WITH_ID_ARGS;
        meaning->argc -= WITH_ID_ARGS;
    }
    const struct moot_command *command = moot_command_find(meaning->args[0]);
    if (is(args[0], "with") && (argc < WITH_ID_ARGS || !is(args[1], "id"))) {
        error(mirror, meaning, "ERR WITH knows ID <id> so far: WITH ID <id> <command ...>");
    } else if (command == NULL || (command->flags & MOOT_FLAG_SYSTEM) != 0) {
        unknown(mirror, meaning);
        mirror->multi_failed = true;
    } else if (!moot_command_arity_fits(command, meaning->argc)) {
        error_in_parts(mirror, meaning, "ERR wrong number of arguments for '",
                       moot_slice_text(command->name), "' command");
        mirror->multi_failed = true;
    } else if (of_multi(mirror, command, meaning)) {
        return;
    } else if (command->place == MOOT_PLACE_EDGE) {
        local(mirror, command, meaning);
    } else {
        for_group(mirror, command, meaning);
    }
}
