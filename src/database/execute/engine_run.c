/* Commands: one, and several as one (EXEC). */
#include "base/assert.h"
#include "base/codec.h"
#include "base/rule.h"
#include "base/status.h"
#include "database/execute/engine_internal.h"

static int refuse(struct moot_call *call, const char *text)
{
    moot_resp_error(&call->reply, text);
    return ENGINE_REFUSED;
}

int engine__refuse_reply(struct engine_pass *pass, size_t start)
{
    struct moot_resp reply = {pass->run->replies, 2};
    MOOT_ASSERT(start <= reply.out->size);
    /* Alone it would not fit either? Then to try again is of no use. */
    bool never = reply.out->size - pass->item_reply > MOOT_REPLIES_BYTES_MAX;
    reply.out->size = start;
    if (pass->is_chained && !never) {
        return ENGINE_LEFT;
    }
    pass->is_over = pass->is_over || !never;
    MOOT_SOMETIMES(true, "a reply was refused because it is too large");
    moot_resp_error(&reply, never
                                ? "ERR the reply would be larger than 18 MiB; nothing was done; "
                                  "ask for less at a time (HSCAN, LRANGE, GETRANGE)"
                                : "TRYAGAIN the replies to commands sent together would be larger "
                                  "than a batch may be; nothing was done, safe to retry");
    return ENGINE_REFUSED;
}

static int refuse_unknown(struct moot_call *call)
{
    /* The edge knows the table too: it is of another release, or its MULTI is. */
    struct moot_buffer text;
    moot_buffer_init(&text);
    moot_buffer_append_text(&text, "ERR unknown command '");
    moot_buffer_append(&text, call->args[0].data, moot_min_u64(call->args[0].size, 128));
    moot_buffer_append_text(&text, "' in this release");
    moot_resp_error_slice(&call->reply, moot_buffer_slice(&text));
    moot_buffer_deinit(&text);
    return ENGINE_REFUSED;
}

static bool keys_fit(const struct moot_call *call)
{
    size_t sizes = 0;
    for (uint32_t i = 1; i < call->argc && sizes <= MOOT_KEY_MAX; i++) {
        sizes += call->args[i].size;
    }
    if (sizes <= MOOT_KEY_MAX) {
        return true; /* Nearly always. */
    }
    uint32_t count = moot_command_keys(call->command, call->argc, NULL, 0);
    uint32_t *at = moot_arena_alloc(call->arena, sizeof(*at) * count);
    count = moot_command_keys(call->command, call->argc, at, count);
    for (uint32_t i = 0; i < count; i++) {
        if (call->args[at[i]].size > MOOT_KEY_MAX) {
            return false;
        }
    }
    return true;
}

/* 0: it may run. */
static int admit(const struct engine_pass *pass, struct moot_call *call, uint8_t flags)
{
    const struct moot_command *command = call->command;
    if (command == NULL) {
        return refuse_unknown(call);
    }
    if (!moot_command_arity_fits(command, call->argc)) {
        return refuse(call, "ERR wrong number of arguments");
    }
    bool may_run = command->place != MOOT_PLACE_WRITE || !pass->run->is_read;
    if (!MOOT_RULE(engine_read_leaves_nothing, may_run)) {
        return refuse(call, "ERR a command that writes was sent as a read");
    }
    bool grows = (command->flags & MOOT_FLAG_DENYOOM) != 0 && (flags & MOOT_ITEM_RETRY) == 0;
    if (pass->run->refuse_growth && grows) {
        return refuse(call, "OOM command not allowed: the disk is nearly full");
    }
    if (!keys_fit(call)) {
        return refuse(call, "ERR a key is longer than 32768 bytes");
    }
    return MOOT_OK;
}

/* The reply of a command that failed without one. Negative: it ends the run. */
static int answer_failure(struct moot_call *call, int status)
{
    switch (status) {
    case MOOT_EWOULDBLOCK:
    case MOOT_EDUE:
    case MOOT_ECORRUPT:
    case MOOT_EVERSION:
    case MOOT_EIO:
        return status;
    case MOOT_EBUDGET:
        return refuse(call, call->is_read
                                ? "ERR this command touches more elements than one read may"
                                : "ERR this command touches more elements than one write may");
    case MOOT_ELIMIT:
        return refuse(call, "ERR string exceeds maximum allowed size");
    default:
        return refuse(call, "ERR this command failed");
    }
}

/* ---- reads that take too long for a turn ---- */

bool engine__set_aside(struct engine_pass *pass)
{
    struct moot_engine_aside *aside = pass->run->aside;
    MOOT_ASSERT(pass->run->is_read && aside->room <= MOOT_LONG_READS_MAX);
    if (aside->count >= aside->room) {
        return false;
    }
    aside->items[aside->count++] = pass->item;
    return true;
}

/* It touches more than a turn has time for. */
static int leave_for_later(struct engine_pass *pass, struct moot_resp *reply)
{
    if (engine__set_aside(pass)) {
        return ENGINE_ASIDE;
    }
    MOOT_SOMETIMES(true, "a long read was refused: too many are under way");
    moot_resp_error(reply,
                    "OVERLOADED as many long reads are under way as may be; nothing was done, "
                    "retry after 400 ms");
    return ENGINE_REFUSED;
}

int engine__exec_is_long(struct engine_pass *pass)
{
    struct moot_resp reply = {pass->run->replies, 2};
    MOOT_ASSERT(pass->is_long_exec);
    MOOT_SOMETIMES(true, "a transaction of reads was left for later");
    reply.out->size = pass->item_reply;
    return pass->is_chained ? ENGINE_LEFT : leave_for_later(pass, &reply);
}

/* It need not go through the log: nothing that it could touch there is worth holding up others. */
static bool is_chained_read(const struct engine_pass *pass, const struct moot_call *call,
                            bool in_exec)
{
    return pass->is_chained && !in_exec && call->command->place == MOOT_PLACE_READ;
}

/* Whatever a handler made of it, when something was missing nothing is decided: a pop from several
 * lists that met one of another type behind the missing one would else fail here, and take an
 * element where all was in memory. */
static int handle(struct moot_call *call)
{
    const struct moot_view *view = call->view;
    uint64_t missed = moot_view_missed(view);
    int status = call->command->run(call);
    bool is_answer = status >= 0 || status == MOOT_EBUDGET || status == MOOT_ELIMIT;
    bool is_decided = !is_answer || moot_view_missed(view) == missed;
    return MOOT_RULE(engine_missing_decides_nothing, is_decided) ? status : MOOT_EWOULDBLOCK;
}

/* Runs the handler in a layer of its own. */
static int run_handler(struct engine_pass *pass, struct moot_call *call, bool in_exec)
{
    struct moot_engine *engine = pass->engine;
    struct engine_state before;
    engine__take(engine, &before);
    uint32_t signals = engine->shared.signal_count;
    size_t reply_start = call->reply.out->size;
    moot_view_mark mark = moot_view_push(engine->view);
    if (is_chained_read(pass, call, in_exec)) {
        moot_view_budget(engine->view, MOOT_READ_ELEMENTS_MAX);
    }
    int status = handle(call);
    bool fits = status != MOOT_OK || in_exec || engine__reply_fits(pass);
    if (status == MOOT_OK && fits) {
        moot_view_keep(engine->view, mark);
        pass->incarnation = call->incarnation;
        return MOOT_OK;
    }
    moot_view_drop(engine->view, mark);
    engine__restore(engine, &before);
    engine->shared.signal_count = signals;
    if (!fits) {
        return engine__refuse_reply(pass, reply_start);
    }
    if (status < 0) {
        call->reply.out->size = reply_start;
        bool later = status == MOOT_EBUDGET && pass->run->aside != NULL && !in_exec;
        if (status == MOOT_EBUDGET && is_chained_read(pass, call, in_exec)) {
            return ENGINE_LEFT;
        }
        if (status == MOOT_EBUDGET && in_exec && pass->is_long_exec) {
            return status;
        }
        return later ? leave_for_later(pass, &call->reply) : answer_failure(call, status);
    }
    return status;
}

int engine__command(struct engine_pass *pass, uint8_t flags, uint8_t *database, bool in_exec,
                    const struct moot_slice *args, uint32_t argc)
{
    MOOT_ASSERT(argc > 0);
    struct moot_call call = engine__call(pass, *database);
    call.reply.protocol = (flags & MOOT_ITEM_RESP3) != 0 ? 3 : 2;
    call.args = args;
    call.argc = argc;
    call.command = moot_command_find(args[0]);
    call.is_retry = (flags & MOOT_ITEM_RETRY) != 0;
    call.is_deferred = (flags & MOOT_ITEM_DEFER) != 0;
    pass->ordinal++;
    int status = admit(pass, &call, flags);
    if (call.is_deferred && status == MOOT_OK && (call.command->flags & MOOT_FLAG_BLOCKING) == 0) {
        return MOOT_CALL_WAITS; /* Only these know what it means. */
    }
    if (status == MOOT_OK && call.command->place == MOOT_PLACE_EDGE) {
        status = in_exec ? engine__edge_command(&call, database)
                         : refuse(&call, "ERR this command is not for a log");
    } else if (status == MOOT_OK) {
        bool later = pass->run->aside != NULL && pass->run->aside->all && !in_exec;
        status =
            later && engine__set_aside(pass) ? ENGINE_ASIDE : run_handler(pass, &call, in_exec);
    }
    if (in_exec && status == MOOT_CALL_WAITS) {
        moot_resp_null_array(&call.reply); /* Inside EXEC nothing waits. */
        status = MOOT_OK;
    }
    moot_arena_reset(&pass->engine->arena);
    return status;
}

/* ---- EXEC ---- */

/* Are all watched keys as they were? 0: yes. ENGINE_REFUSED: no. */
static int check_watches(struct engine_pass *pass, struct moot_reader *reader)
{
    uint64_t watches = moot_get_varint(reader);
    bool equal = true;
    for (uint64_t i = 0; i < watches; i++) {
        uint8_t database = moot_get_u8(reader);
        struct moot_slice key = moot_get_bytes(reader);
        struct moot_stamp then, now;
        then.time = moot_get_u64(reader);
        then.ordinal = moot_get_u32(reader);
        if (reader->failed || database >= MOOT_DATABASES || key.size > MOOT_KEY_MAX) {
            return MOOT_FAIL(MOOT_EINVALID);
        }
        struct moot_call call = engine__call(pass, database);
        int status = moot_object_stamp(&call, key, &now);
        moot_arena_reset(&pass->engine->arena);
        if (status != MOOT_OK) {
            return status;
        }
        equal = equal && MOOT_RULE(engine_watch_stamp_equal, moot_stamp_equal(then, now));
    }
    return equal ? MOOT_OK : ENGINE_REFUSED;
}

/* A transaction is refused as a whole when space is short and any of its commands grows data. */
static bool exec_grows(struct engine_pass *pass, struct moot_reader reader)
{
    uint64_t count = moot_get_varint(&reader);
    bool grows = false;
    for (uint64_t i = 0; i < count && !grows; i++) {
        struct moot_slice *args;
        uint32_t argc;
        if (!moot_item_args(&reader, &pass->engine->item_arena, &args, &argc)) {
            return false; /* Said again where the commands are run. */
        }
        const struct moot_command *command = moot_command_find(args[0]);
        grows = command != NULL && (command->flags & MOOT_FLAG_DENYOOM) != 0;
    }
    return grows;
}

static int run_commands(struct engine_pass *pass, const struct moot_item *item,
                        struct moot_reader *reader)
{
    struct moot_resp reply = {pass->run->replies, (item->flags & MOOT_ITEM_RESP3) != 0 ? 3 : 2};
    uint64_t count = moot_get_varint(reader);
    uint8_t database = item->database;
    moot_resp_array(&reply, count);
    int blocked = MOOT_OK;
    for (uint64_t i = 0; i < count; i++) {
        struct moot_slice *args;
        uint32_t argc;
        if (!moot_item_args(reader, &pass->engine->item_arena, &args, &argc)) {
            return MOOT_FAIL(MOOT_EINVALID);
        }
        int status = engine__command(pass, item->flags, &database, true, args, argc);
        if (status == MOOT_EWOULDBLOCK) {
            blocked = status; /* Go on, for what the others will miss. */
        } else if (status < 0 && blocked == MOOT_OK) {
            return status;
        }
        if (!engine__reply_fits(pass)) { /* All or nothing: there is one reply. */
            return blocked != MOOT_OK ? blocked : engine__refuse_reply(pass, pass->item_reply);
        }
    }
    return blocked;
}

int engine__exec(struct engine_pass *pass, const struct moot_item *item)
{
    struct moot_engine *engine = pass->engine;
    struct engine_state before;
    engine__take(engine, &before);
    struct moot_reader reader = moot_reader_make(item->body);
    moot_view_mark mark = moot_view_push(engine->view);
    int status = check_watches(pass, &reader);
    if (status == MOOT_OK && pass->run->refuse_growth && exec_grows(pass, reader)) {
        struct moot_resp reply = {pass->run->replies, 2};
        moot_resp_error(&reply,
                        "EXECABORT Transaction discarded because of: OOM the disk is nearly full");
        status = ENGINE_REFUSED; /* Not remembered under an id: it may be sent again. */
    } else if (status == MOOT_OK) {
        status = run_commands(pass, item, &reader);
    } else if (status == ENGINE_REFUSED) {
        MOOT_SOMETIMES(true, "EXEC found that a watched key had changed");
        struct moot_resp reply = {pass->run->replies, (item->flags & MOOT_ITEM_RESP3) != 0 ? 3 : 2};
        moot_resp_null_array(&reply);
        moot_view_drop(engine->view, mark);
        engine__restore(engine, &before);
        return MOOT_OK;
    } else if (status == MOOT_EBUDGET && !pass->is_long_exec) {
        status = MOOT_FAIL(MOOT_EINVALID); /* Watches are few beside what a write may touch. */
    }
    if (status != MOOT_OK) {
        moot_view_drop(engine->view, mark);
        engine__restore(engine, &before);
        return status;
    }
    moot_view_keep(engine->view, mark);
    return MOOT_OK;
}
