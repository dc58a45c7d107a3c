/* The group's records that the engine owns: which database is which keyspace, how many keys each
 * has, and the digests. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/slice.h"
#include "base/status.h"
#include "database/execute/engine_internal.h"

enum {
    RECORD_VERSION = 1,
    STATE_BYTES = 1 + MOOT_DATABASES * 2 + 4 * 8,
    COUNT_BYTES = 1 + 2 * 8,
};

static const struct moot_slice nothing = {NULL, 0};

/* Reads a record past the view, before there is anything in it. It may wait: this happens when a
 * node starts, and after a snapshot, for at most seventeen records. */
static int read_record(struct moot_engine *engine, struct moot_slice key, struct moot_slice *value)
{
    const struct moot_store_ops *ops = engine->store->ops;
    int status = ops->get(engine->store, key, &engine->arena, value);
    for (int i = 0; i < 3 && status == MOOT_EWOULDBLOCK; i++) {
        status = ops->fetch(engine->store, key);
        if (status == MOOT_OK || status == MOOT_ENOTFOUND) {
            status = ops->get(engine->store, key, &engine->arena, value);
        }
    }
    return status;
}

static int decode_state(struct moot_engine *engine, struct moot_slice bytes)
{
    struct moot_reader reader = moot_reader_make(bytes);
    if (moot_get_u8(&reader) != RECORD_VERSION) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    uint32_t places = 0;
    for (size_t i = 0; i < MOOT_DATABASES; i++) {
        engine->shared.keyspace_of[i] = moot_get_u16(&reader);
        places |= UINT32_C(1) << moot_keyspace_place(engine->shared.keyspace_of[i]);
    }
    if (places != (UINT32_C(1) << MOOT_DATABASES) - 1) {
        return MOOT_FAIL(MOOT_ECORRUPT); /* Each place belongs to one database. */
    }
    engine->shared.contents_digest = moot_get_u64(&reader);
    engine->shared.garbage_count = moot_get_u64(&reader);
    engine->ids_bytes = moot_get_u64(&reader);
    engine->ids_next_ms = moot_get_u64(&reader);
    return reader.failed || moot_reader_left(&reader) > 0 ? MOOT_FAIL(MOOT_ECORRUPT) : MOOT_OK;
}

static int decode_count(struct moot_keyspace_sums *sums, struct moot_slice bytes)
{
    struct moot_reader reader = moot_reader_make(bytes);
    if (moot_get_u8(&reader) != RECORD_VERSION) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    sums->count = moot_get_u64(&reader);
    sums->digest = moot_get_u64(&reader);
    return reader.failed || moot_reader_left(&reader) > 0 ? MOOT_FAIL(MOOT_ECORRUPT) : MOOT_OK;
}

int engine__load(struct moot_engine *engine)
{
    struct moot_slice bytes;
    uint64_t digest = 0;
    int status = read_record(
        engine, moot_key_group(&engine->arena, engine->group, ENGINE_RECORD_STATE, nothing),
        &bytes);
    if (status == MOOT_ENOTFOUND) {
        moot_arena_reset(&engine->arena);
        return MOOT_OK; /* A new group. */
    }
    status = status == MOOT_OK ? decode_state(engine, bytes) : status;
    /* Only db0 holds keys: all keyspaces are its. */
    size_t keyspaces = engine->group == MOOT_GROUP_DB0 ? MOOT_DATABASES : 0;
    for (size_t i = 0; i < keyspaces && status == MOOT_OK; i++) {
        moot_keyspace keyspace = engine->shared.keyspace_of[i];
        struct moot_keyspace_sums *sums = &engine->shared.sums[moot_keyspace_place(keyspace)];
        status = read_record(
            engine, moot_key_keyspace(&engine->arena, keyspace, ENGINE_RECORD_COUNT, nothing),
            &bytes);
        if (status == MOOT_ENOTFOUND) {
            status = MOOT_OK;
        } else if (status == MOOT_OK) {
            status = decode_count(sums, bytes);
            digest += sums->digest;
        }
    }
    moot_arena_reset(&engine->arena);
    if (status == MOOT_OK && digest != engine->shared.contents_digest) {
        status = MOOT_FAIL(MOOT_ECORRUPT);
    }
    return status;
}

static int save_state(struct moot_engine *engine, const struct engine_state *state)
{
    uint8_t *bytes = moot_view_room(engine->view, STATE_BYTES);
    uint8_t *at = bytes;
    *at++ = RECORD_VERSION;
    for (size_t i = 0; i < MOOT_DATABASES; i++, at += 2) {
        at[0] = (uint8_t)state->keyspace_of[i];
        at[1] = (uint8_t)(state->keyspace_of[i] >> 8);
    }
    moot_store_le64(at, state->contents_digest);
    moot_store_le64(at + 8, state->garbage_count);
    moot_store_le64(at + 16, state->ids_bytes);
    moot_store_le64(at + 24, state->ids_next_ms);
    return moot_view_put_room(
        engine->view, moot_key_group(&engine->arena, engine->group, ENGINE_RECORD_STATE, nothing),
        (struct moot_slice){bytes, STATE_BYTES});
}

static int save_count(struct moot_engine *engine, moot_keyspace keyspace,
                      const struct moot_keyspace_sums *sums)
{
    uint8_t *bytes = moot_view_room(engine->view, COUNT_BYTES);
    bytes[0] = RECORD_VERSION;
    moot_store_le64(bytes + 1, sums->count);
    moot_store_le64(bytes + 9, sums->digest);
    return moot_view_put_room(
        engine->view, moot_key_keyspace(&engine->arena, keyspace, ENGINE_RECORD_COUNT, nothing),
        (struct moot_slice){bytes, COUNT_BYTES});
}

int engine__save(struct moot_engine *engine)
{
    struct engine_state now;
    engine__take(engine, &now);
    moot_view_budget(engine->view, UINT64_MAX);
    bool is_changed =
        now.contents_digest != engine->saved.contents_digest ||
        now.garbage_count != engine->saved.garbage_count ||
        now.ids_bytes != engine->saved.ids_bytes || now.ids_next_ms != engine->saved.ids_next_ms ||
        memcmp(now.keyspace_of, engine->saved.keyspace_of, sizeof(now.keyspace_of)) != 0;
    int status = is_changed ? save_state(engine, &now) : MOOT_OK;
    for (size_t i = 0; i < MOOT_DATABASES && status == MOOT_OK; i++) {
        uint16_t place = moot_keyspace_place(now.keyspace_of[i]);
        if (now.sums[place].count != engine->saved.sums[place].count ||
            now.sums[place].digest != engine->saved.sums[place].digest) {
            status = save_count(engine, now.keyspace_of[i], &now.sums[place]);
        }
    }
    if (status == MOOT_OK) {
        engine->saved = now;
    }
    moot_arena_reset(&engine->arena);
    return status;
}
