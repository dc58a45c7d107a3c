/* Time to live: keys past their expiry are deleted by entries of their own, which the leader makes
 * from a time-ordered index, so that every replica deletes the same keys at the same place. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/rule.h"
#include "base/status.h"
#include "database/execute/engine_internal.h"

/* Deletes the key if it is there and due. */
static int expire_key(struct engine_pass *pass, moot_keyspace keyspace, struct moot_slice key)
{
    struct moot_engine *engine = pass->engine;
    struct moot_call call = engine__call(pass, 0);
    call.keyspace = keyspace;
    struct moot_head head;
    int status = moot_object_find(&call, key, &head); /* Finding a due key deletes it. */
    moot_arena_reset(&engine->arena);
    pass->ordinal++;
    return status == MOOT_ENOTFOUND ? MOOT_OK : status;
}

static int expire_keys(struct engine_pass *pass, struct moot_slice body)
{
    struct moot_reader reader = moot_reader_make(body);
    bool is_blocked = false;
    while (moot_reader_left(&reader) > 0) {
        moot_keyspace keyspace = moot_get_u16(&reader);
        struct moot_slice key = moot_get_bytes(&reader);
        if (reader.failed || key.size > MOOT_KEY_MAX) {
            return MOOT_FAIL(MOOT_EINVALID);
        }
        if (!moot_keyspace_is_live(&pass->engine->shared, keyspace)) {
            continue; /* It was flushed meanwhile. */
        }
        int status = expire_key(pass, keyspace, key);
        is_blocked = is_blocked || status == MOOT_EWOULDBLOCK;
        if (status != MOOT_OK && status != MOOT_EWOULDBLOCK) {
            return status;
        }
    }
    return is_blocked ? MOOT_EWOULDBLOCK : MOOT_OK;
}

int moot_engine_expire(struct moot_engine *engine, moot_index index, struct moot_stamp stamp,
                       struct moot_slice body)
{
    if (engine->status != MOOT_OK) {
        return engine->status;
    }
    struct moot_engine_run run = {
        .index = index, .stamp = stamp, .now_ms = moot_hlc_ms(stamp.time)};
    struct engine_pass pass = engine__begin(engine, &run);
    struct engine_state before;
    engine__take(engine, &before);
    moot_view_budget(engine->view, UINT64_MAX);
    moot_view_mark mark = moot_view_push(engine->view);
    int status = expire_keys(&pass, body);
    if (status == MOOT_OK) {
        status = engine__finish(&pass);
    }
    if (status == MOOT_OK) {
        moot_view_keep(engine->view, mark);
    } else {
        moot_view_drop(engine->view, mark);
        engine__restore(engine, &before);
    }
    return status;
}

/* Appends what is due in one keyspace; lowers *next_ms to the first that is not. */
static int collect_due(struct moot_engine *engine, moot_keyspace keyspace, uint64_t now_ms,
                       uint32_t max, struct moot_buffer *out, uint32_t *count, uint64_t *next_ms)
{
    struct moot_view_iterator iterator;
    struct moot_slice physical, value, key;
    moot_keyspace found;
    uint64_t expiry_ms;
    int status = moot_view_iterate(
        engine->view, MOOT_WHEN_NOW,
        moot_key_keyspace_range(&engine->arena, MOOT_KEY_EXPIRY, keyspace), false, &iterator);
    if (status != MOOT_OK) {
        return status;
    }
    while ((status = moot_view_next(&iterator, &physical, &value)) == MOOT_OK) {
        if (!moot_key_parse_expiry(physical, &found, &expiry_ms, &key) || found != keyspace) {
            status = MOOT_FAIL(MOOT_ECORRUPT);
            break;
        }
        if (expiry_ms > now_ms || *count == max) {
            *next_ms = moot_min_u64(*next_ms, moot_max_u64(expiry_ms, now_ms));
            break;
        }
        moot_put_u16(out, keyspace);
        moot_put_bytes(out, key);
        (*count)++;
    }
    moot_view_iterate_end(&iterator);
    return status == MOOT_ENOTFOUND ? MOOT_OK : status;
}

int moot_engine_due(struct moot_engine *engine, uint64_t now_ms, uint32_t max,
                    struct moot_buffer *out, uint32_t *count, uint64_t *next_ms)
{
    *count = 0;
    *next_ms = engine->shared.expiry_floor_ms;
    if (engine->status != MOOT_OK) {
        return engine->status;
    }
    if (engine->shared.expiry_floor_ms > now_ms) {
        return MOOT_OK;
    }
    size_t out_size = out->size;
    uint64_t floor_ms = UINT64_MAX;
    int status = MOOT_OK;
    moot_view_budget(engine->view, UINT64_MAX);
    for (size_t i = 0; i < MOOT_DATABASES && status == MOOT_OK; i++) {
        moot_keyspace keyspace = engine->shared.keyspace_of[i];
        if (engine->shared.sums[moot_keyspace_place(keyspace)].count > 0) {
            status = collect_due(engine, keyspace, now_ms, max, out, count, &floor_ms);
        }
    }
    moot_arena_reset(&engine->arena);
    if (status != MOOT_OK) {
        out->size = out_size;
        *count = 0;
        return status;
    }
    *next_ms = floor_ms;
    if (*count == 0) { /* What is due stays in the index until its entry is executed. */
        engine->shared.expiry_floor_ms = floor_ms;
    }
    return MOOT_OK;
}
