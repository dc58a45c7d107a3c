#include "database/execute/engine.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/rule.h"
#include "base/status.h"
#include "database/execute/engine_internal.h"

void engine__take(const struct moot_engine *engine, struct engine_state *state)
{
    memcpy(state->keyspace_of, engine->shared.keyspace_of, sizeof(state->keyspace_of));
    memcpy(state->sums, engine->shared.sums, sizeof(state->sums));
    state->contents_digest = engine->shared.contents_digest;
    state->garbage_count = engine->shared.garbage_count;
    state->ids_bytes = engine->ids_bytes;
    state->ids_next_ms = engine->ids_next_ms;
}

void engine__restore(struct moot_engine *engine, const struct engine_state *state)
{
    memcpy(engine->shared.keyspace_of, state->keyspace_of, sizeof(state->keyspace_of));
    memcpy(engine->shared.sums, state->sums, sizeof(state->sums));
    engine->shared.contents_digest = state->contents_digest;
    engine->shared.garbage_count = state->garbage_count;
    engine->ids_bytes = state->ids_bytes;
    engine->ids_next_ms = state->ids_next_ms;
}

static void load(struct moot_engine *engine)
{
    const struct moot_members *members = engine->shared.members; /* The group's, not the store's. */
    const uint32_t *feature_level = engine->shared.feature_level;
    memset(&engine->shared, 0, offsetof(struct moot_call_shared, signals));
    engine->shared.members = members;
    engine->shared.feature_level = feature_level;
    engine->shared.signal_arena = &engine->signal_arena;
    engine->shared.group = engine->group;
    for (moot_keyspace i = 0; i < MOOT_DATABASES; i++) {
        engine->shared.keyspace_of[i] = i;
    }
    engine->ids_bytes = 0;
    engine->ids_next_ms = UINT64_MAX;
    engine->status = engine__load(engine);
    engine__take(engine, &engine->saved);
}

struct moot_engine *moot_engine_make(struct moot_store *store, moot_group_id group)
{
    return moot_engine_make_sized(store, group, MOOT_RECENT_BYTES);
}

struct moot_engine *moot_engine_make_sized(struct moot_store *store, moot_group_id group,
                                           size_t recent_bytes)
{
    struct moot_engine *engine = moot_alloc(sizeof(*engine));
    memset(engine, 0, offsetof(struct moot_engine, shared.signals));
    engine->store = store;
    engine->group = group;
    engine->view = moot_view_make(store);
    moot_view_remember(engine->view, recent_bytes);
    moot_arena_init(&engine->arena);
    moot_arena_init(&engine->item_arena);
    moot_arena_init(&engine->signal_arena);
    load(engine);
    return engine;
}

void moot_engine_destroy(struct moot_engine *engine)
{
    moot_view_destroy(engine->view);
    moot_arena_deinit(&engine->arena);
    moot_arena_deinit(&engine->item_arena);
    moot_arena_deinit(&engine->signal_arena);
    moot_free(engine);
}

void moot_engine_reset(struct moot_engine *engine)
{
    moot_view_reset(engine->view);
    moot_arena_reset(&engine->signal_arena);
    load(engine);
}

int moot_engine_status(const struct moot_engine *engine) { return engine->status; }
struct moot_view *moot_engine_view(struct moot_engine *engine) { return engine->view; }
struct moot_call_shared *moot_engine_shared(struct moot_engine *engine) { return &engine->shared; }

struct moot_call engine__call(struct engine_pass *pass, uint8_t database)
{
    const struct moot_engine_run *run = pass->run;
    MOOT_ASSERT(database < MOOT_DATABASES);
    return (struct moot_call){
        .view = pass->engine->view,
        .arena = &pass->engine->arena,
        .database = database,
        .keyspace = pass->engine->shared.keyspace_of[database],
        .is_read = run->is_read,
        .stamp = {run->stamp.time, pass->ordinal},
        .incarnation = pass->incarnation,
        .now_ms = run->now_ms,
        .seed = run->seed,
        .reply = {run->replies, 2},
        .shared = &pass->engine->shared,
    };
}

static void forget_signals(struct moot_engine *engine)
{
    engine->shared.signal_count = 0;
    engine->shared.signals_lost = false;
    engine->shared.due_key = (struct moot_slice){NULL, 0};
    moot_arena_reset(&engine->signal_arena);
}

struct engine_pass engine__begin(struct moot_engine *engine, const struct moot_engine_run *run)
{
    MOOT_ASSERT(run->index < UINT64_C(1) << (64 - MOOT_INCARNATION_BITS));
    MOOT_ASSERT(run->is_read || (run->aside == NULL && run->only == NULL && run->elements == 0));
    forget_signals(engine);
    if (run->aside != NULL) {
        run->aside->count = 0;
        run->aside->rest = false;
    }
    return (struct engine_pass){.engine = engine,
                                .run = run,
                                .ordinal = run->stamp.ordinal,
                                .incarnation = run->index << MOOT_INCARNATION_BITS,
                                .first_reply = run->replies == NULL ? 0 : run->replies->size};
}

static size_t replies_max(const struct moot_engine_run *run)
{
    return run->is_read && run->replies_max != 0 ? run->replies_max : MOOT_REPLIES_BYTES_MAX;
}

bool engine__reply_fits(const struct engine_pass *pass)
{
    size_t size = pass->run->replies->size;
    MOOT_ASSERT(pass->first_reply <= pass->item_reply && pass->item_reply <= size);
    size_t own = size - pass->item_reply;
    return own <= MOOT_REPLY_SHORT_BYTES ||
           (own <= MOOT_REPLIES_BYTES_MAX && size - pass->first_reply <= replies_max(pass->run));
}

/* ---- one item ---- */

/* The reply begins after one byte for its size; most are short. */
static void end_reply(struct moot_buffer *replies, size_t start)
{
    size_t size = replies->size - start - 1;
    if (size < 0x80) {
        replies->data[start] = (uint8_t)size;
        return;
    }
    uint8_t head[10];
    size_t head_size = 0;
    for (uint64_t left = size; left > 0; left >>= 7) {
        head[head_size++] = (uint8_t)((left & 0x7f) | (left >= 0x80 ? 0x80 : 0));
    }
    (void)moot_buffer_reserve(replies, head_size - 1);
    memmove(replies->data + start + head_size, replies->data + start + 1, size);
    memcpy(replies->data + start, head, head_size);
    replies->size += head_size - 1;
}

/* WATCH: the stamps of the keys that are the arguments. Behind a write of the same connection it
 * stands in the write's batch, and sees that write's stamp: a pipeline keeps its order. What makes
 * no sense is answered with an error, not with MOOT_EINVALID: in the log that would fence every
 * replica. */
static int answer_stamps(struct engine_pass *pass, const struct moot_item *item)
{
    struct moot_reader reader = moot_reader_make(item->body);
    struct moot_slice *args;
    uint32_t argc;
    if (!moot_item_args(&reader, &pass->engine->item_arena, &args, &argc)) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    bool makes_sense = argc > 1 && (item->flags & MOOT_ITEM_EXEC) == 0;
    for (uint32_t i = 1; i < argc; i++) {
        makes_sense = makes_sense && args[i].size <= MOOT_KEY_MAX;
    }
    if (!makes_sense) {
        struct moot_resp reply = {pass->run->replies, 2};
        moot_resp_error(&reply, "ERR stamps are asked for keys");
        return ENGINE_REFUSED;
    }
    for (uint32_t i = 1; i < argc; i++) {
        struct moot_call call = engine__call(pass, item->database);
        struct moot_stamp stamp;
        moot_view_budget(pass->engine->view, UINT64_MAX);
        int status = moot_object_stamp(&call, args[i], &stamp);
        if (status != MOOT_OK) {
            return status;
        }
        moot_put_u64(pass->run->replies, stamp.time);
        moot_put_u32(pass->run->replies, stamp.ordinal);
        moot_arena_reset(&pass->engine->arena);
    }
    return engine__reply_fits(pass) ? MOOT_OK : engine__refuse_reply(pass, pass->item_reply);
}

static uint64_t elements_max(const struct moot_engine_run *run)
{
    if (!run->is_read) {
        return MOOT_WRITE_ELEMENTS_MAX; /* The same on every replica. */
    }
    return run->elements != 0 ? run->elements : MOOT_READ_ELEMENTS_MAX;
}

static int run_body(struct engine_pass *pass, const struct moot_item *item)
{
    bool is_command = (item->flags & (MOOT_ITEM_STAMP | MOOT_ITEM_EXEC)) == 0;
    if ((item->flags & MOOT_ITEM_DEFER) != 0 && !is_command) {
        return MOOT_CALL_WAITS; /* Of no leader of this release. */
    }
    if ((item->flags & MOOT_ITEM_STAMP) != 0) {
        return answer_stamps(pass, item);
    }
    moot_view_budget(pass->engine->view, elements_max(pass->run));
    if ((item->flags & MOOT_ITEM_EXEC) != 0) {
        pass->is_long_exec =
            pass->run->aside != NULL || (pass->is_chained && moot_item_is_read(item));
        int status = engine__exec(pass, item);
        return status == MOOT_EBUDGET ? engine__exec_is_long(pass) : status;
    }
    struct moot_reader reader = moot_reader_make(item->body);
    struct moot_slice *args;
    uint32_t argc;
    if (!moot_item_args(&reader, &pass->engine->item_arena, &args, &argc)) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    uint8_t database = item->database;
    return engine__command(pass, item->flags, &database, false, args, argc);
}

/* Runs the item under its id, if it has one; a read has no effect to remember. */
static int run_remembered(struct engine_pass *pass, const struct moot_item *item,
                          size_t reply_start)
{
    if ((item->flags & MOOT_ITEM_ID) == 0 || pass->run->is_read) {
        return run_body(pass, item);
    }
    struct engine_state before;
    engine__take(pass->engine, &before);
    moot_view_mark mark = moot_view_push(pass->engine->view);
    pass->ids_seen++;
    int status = engine__id_check(pass, item);
    if (status > 0 && !engine__reply_fits(pass)) {
        status = engine__refuse_reply(pass, reply_start); /* It stays remembered. */
    }
    if (status == MOOT_OK) {
        status = run_body(pass, item);
        if (status == MOOT_OK || status == MOOT_CALL_ERROR) {
            int kept = engine__id_keep(pass, item, reply_start);
            status = kept == MOOT_OK ? status : kept;
        }
    }
    if (status < 0) {
        moot_view_drop(pass->engine->view, mark);
        engine__restore(pass->engine, &before);
    } else {
        moot_view_keep(pass->engine->view, mark);
    }
    return status;
}

/* Is the item under way one of those that were asked for? They come in the same order. */
static bool is_wanted(struct engine_pass *pass)
{
    const struct moot_engine_run *run = pass->run;
    if (run->only == NULL) {
        return true;
    }
    if (pass->only_next == run->only_count) {
        return run->only_rest;
    }
    bool wanted = run->only[pass->only_next] == pass->item;
    pass->only_next += wanted;
    return wanted;
}

/* Have the items before this one touched what a batch may within a turn? */
static bool is_rest(struct engine_pass *pass)
{
    struct moot_engine_aside *aside = pass->run->aside;
    if (aside == NULL || aside->rest) {
        return aside != NULL;
    }
    if (pass->touched < elements_max(pass->run) * MOOT_READ_BATCH_TIMES ||
        !engine__set_aside(pass)) {
        return false;
    }
    MOOT_SOMETIMES(true, "the rest of a batch of reads went on beside turns");
    aside->rest = true;
    return true;
}

static void count_touched(struct engine_pass *pass, const struct moot_item *item)
{
    if (pass->run->is_read && (item->flags & MOOT_ITEM_STAMP) == 0) {
        pass->touched += elements_max(pass->run) - moot_view_left(pass->engine->view);
    }
}

static int run_item(struct engine_pass *pass, const struct moot_item *item)
{
    struct moot_buffer *replies = pass->run->replies;
    size_t start = replies->size;
    moot_put_u8(replies, 0);
    pass->item_reply = start + 1;
    int status = MOOT_CALL_WAITS;
    pass->is_chained = !pass->run->is_read && (item->flags & MOOT_ITEM_CHAINED) != 0;
    pass->is_left |= pass->is_chained && pass->run->leaves_chained;
    if (!MOOT_RULE(engine_left_with_all_behind, !(pass->is_chained && pass->is_left))) {
        status = ENGINE_LEFT;
    } else if (is_wanted(pass) && !is_rest(pass)) {
        status = run_remembered(pass, item, start + 1);
        count_touched(pass, item);
    }
    moot_arena_reset(&pass->engine->item_arena);
    if (status < 0 || pass->is_blocked) {
        replies->size = start; /* Nobody will read it. */
        return status < 0 ? status : MOOT_OK;
    }
    pass->is_left |= status == ENGINE_LEFT;
    if (status == MOOT_CALL_WAITS || status == ENGINE_ASIDE || status == ENGINE_LEFT) {
        replies->size = start + 1;
    } else {
        MOOT_ASSERT(replies->size > start + 1);
    }
    end_reply(replies, start);
    return MOOT_OK;
}

/* ---- one batch ---- */

/* After something was missing, the remaining items still run, for what else they will miss: one
 * fetch then serves them all. All of it is dropped. */
static int run_items(struct engine_pass *pass)
{
    struct moot_reader reader = moot_reader_make(pass->run->batch);
    struct moot_item item;
    bool may_stop = pass->run->is_read && pass->run->stopped != NULL;
    for (; moot_item_next(&reader, &item); pass->item++) {
        size_t before = pass->run->replies->size;
        int status = run_item(pass, &item);
        if (may_stop && pass->is_over && pass->item > 0 && !pass->is_blocked) {
            pass->run->replies->size = before;
            *pass->run->stopped = true;
            return MOOT_OK;
        }
        if (status == MOOT_EWOULDBLOCK) {
            pass->is_blocked = true;
        } else if (status == MOOT_EDUE && pass->is_blocked) {
            continue;
        } else if (status != MOOT_OK) {
            return status;
        }
        if (pass->is_blocked &&
            moot_view_misses(pass->engine->view)->key_count >= MOOT_MISSES_MAX / 2) {
            break;
        }
    }
    if (reader.failed) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    return pass->is_blocked ? MOOT_EWOULDBLOCK : MOOT_OK;
}

int moot_engine_run(struct moot_engine *engine, const struct moot_engine_run *run)
{
    if (engine->status != MOOT_OK) {
        return engine->status;
    }
    struct engine_pass pass = engine__begin(engine, run);
    struct engine_state before;
    engine__take(engine, &before);
    size_t replies_size = run->replies->size;
    moot_view_mark mark = moot_view_push(engine->view);
    int status = run_items(&pass);
    if (status == MOOT_OK && !run->is_read) {
        status = engine__id_remove(&pass);
    }
    if (status == MOOT_OK && !run->is_read) {
        status = engine__finish(&pass);
    }
    moot_arena_reset(&engine->arena);
    if (status == MOOT_OK && !run->is_read) {
        moot_view_keep(engine->view, mark);
        return MOOT_OK;
    }
    moot_view_drop(engine->view, mark);
    engine__restore(engine, &before);
    if (status != MOOT_OK) {
        run->replies->size = replies_size;
        MOOT_SOMETIMES(status == MOOT_EWOULDBLOCK, "a run met what was not in memory");
        if (status != MOOT_EDUE) {
            forget_signals(engine);
        }
    }
    return status;
}

int engine__finish(struct engine_pass *pass)
{
    struct moot_call call = engine__call(pass, 0);
    uint64_t commands = pass->ordinal - pass->run->stamp.ordinal;
    moot_view_budget(pass->engine->view, UINT64_MAX);
    int status = moot_garbage_collect(&call, MOOT_COLLECT_MAX + MOOT_COLLECT_FOR_EACH * commands);
    moot_arena_reset(&pass->engine->arena);
    return status == MOOT_OK ? engine__save(pass->engine) : status;
}

bool moot_engine_list_length(struct moot_engine *engine, moot_keyspace keyspace,
                             struct moot_slice key, uint64_t *length)
{
    struct moot_slice bytes;
    struct moot_head head;
    *length = 0;
    if (!moot_keyspace_is_live(&engine->shared, keyspace)) {
        return true; /* It was flushed: whoever waits there has to look where its database is. */
    }
    moot_view_budget(engine->view, UINT64_MAX);
    int status = moot_view_get(engine->view, MOOT_WHEN_NOW,
                               moot_key_head(&engine->arena, keyspace, key), &bytes);
    if (status == MOOT_OK) {
        status = moot_head_decode(bytes, &head);
    }
    moot_arena_reset(&engine->arena);
    if (status == MOOT_OK && head.type == MOOT_TYPE_LIST) {
        *length = head.count;
    }
    return status != MOOT_ENOTFOUND && (status != MOOT_OK || *length > 0);
}
