/* Client ids (WITH ID): a command that is sent again is not run again.
 *
 * An id says when it was made, so that forgetting is safe: an id older than the retention is
 * refused, whether or not it was ever seen, and its record may go. What is kept is bounded by
 * refusing new ids, never by forgetting young ones. A record: version u8, protocol u8, whole u8,
 * hash of the command u64, time of execution u64, the reply. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/rule.h"
#include "base/status.h"
#include "database/execute/engine_internal.h"

enum {
    ID_VERSION = 1,
    ID_HEAD_BYTES = 3 + 8 + 8,
    ID_KEY_BYTES = 6 + 6 + 8, /* Of its two physical keys, beside the id. */
    ID_RECORD_BYTES_MAX = ID_HEAD_BYTES + ID_KEY_BYTES + 2 * MOOT_ID_MAX + MOOT_ID_REPLY_BYTES_MAX,
};

/* ---- when was it made ---- */

static bool hex_digit(uint8_t c, uint64_t *digit)
{
    if (c >= '0' && c <= '9') {
        *digit = (uint64_t)(c - '0');
    } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
        *digit = (uint64_t)((c | 0x20) - 'a' + 10);
    } else {
        return false;
    }
    return true;
}

/* RFC 9562, section 5.7: 48 bits of Unix time in milliseconds, version 7, variant 10. */
static bool uuid7_time(struct moot_slice id, uint64_t *ms)
{
    if (id.size != 36) {
        return false;
    }
    uint64_t time = 0, digit = 0, digits = 0;
    for (size_t i = 0; i < id.size; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash ? id.data[i] != '-' : !hex_digit(id.data[i], &digit)) {
            return false;
        }
        if (!is_dash && digits++ < 12) {
            time = time << 4 | digit;
        }
    }
    if (id.data[14] != '7' || !hex_digit(id.data[19], &digit) || digit >> 2 != 2) {
        return false;
    }
    *ms = time;
    return true;
}

static bool id_time(struct moot_slice id, uint64_t *ms)
{
    const uint8_t *colon = memchr(id.data, ':', id.size);
    if (colon == NULL) {
        return uuid7_time(id, ms);
    }
    size_t digits = (size_t)(colon - id.data);
    return digits <= 15 && digits + 1 < id.size &&
           moot_slice_to_u64((struct moot_slice){id.data, digits}, ms);
}

/* ---- records ---- */

static struct moot_slice record_key(struct moot_engine *engine, struct moot_slice id)
{
    return moot_key_group(&engine->arena, engine->group, ENGINE_RECORD_ID, id);
}

static struct moot_slice age_key(struct moot_engine *engine, uint64_t until_ms,
                                 struct moot_slice id)
{
    uint8_t *rest = moot_arena_alloc(&engine->arena, 8 + id.size);
    moot_store_be64(rest, until_ms);
    memcpy(rest + 8, id.data, id.size);
    return moot_key_group(&engine->arena, engine->group, ENGINE_RECORD_ID_AGE,
                          (struct moot_slice){rest, 8 + id.size});
}

static uint64_t cost_of(struct moot_slice id, size_t value_size)
{
    return ID_KEY_BYTES + 2 * id.size + value_size;
}

/* Commands are the same when they would do the same: the database and every byte. But not what an
 * EXEC watches: who sends it again has watched again, and has seen what it did itself. */
static uint64_t hash_of(const struct moot_item *item)
{
    bool is_exec = (item->flags & MOOT_ITEM_EXEC) != 0;
    struct moot_slice body = is_exec ? moot_item_commands(item) : item->body;
    return moot_hash_mix(moot_hash64(body, 0), item->database | (uint64_t)is_exec << 8);
}

static uint8_t protocol_of(const struct moot_item *item)
{
    return (item->flags & MOOT_ITEM_RESP3) != 0 ? 3 : 2;
}

static int answer(struct engine_pass *pass, const char *error)
{
    struct moot_resp reply = {pass->run->replies, 2};
    moot_resp_error(&reply, error);
    return ENGINE_REFUSED;
}

/* The id was used before. */
static int answer_again(struct engine_pass *pass, const struct moot_item *item,
                        struct moot_slice record)
{
    struct moot_reader reader = moot_reader_make(record);
    if (moot_get_u8(&reader) != ID_VERSION) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    uint8_t protocol = moot_get_u8(&reader);
    bool is_whole = moot_get_u8(&reader) != 0;
    uint64_t hash = moot_get_u64(&reader);
    (void)moot_get_u64(&reader);
    struct moot_slice reply = moot_get_raw(&reader, moot_reader_left(&reader));
    if (reader.failed) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    MOOT_SOMETIMES(true, "a client id came a second time");
    if (!MOOT_RULE(engine_id_same_command, hash == hash_of(item))) {
        return answer(pass, "IDMISMATCH this id was used with another command; nothing was done");
    }
    if (!is_whole) {
        return answer(pass, "IDDONE this command was executed under this id; its reply was too "
                            "large to keep");
    }
    if (protocol != protocol_of(item)) {
        return answer(pass, "IDDONE this command was executed under this id; its reply is kept in "
                            "the other version of the protocol");
    }
    moot_buffer_append_slice(pass->run->replies, reply);
    return ENGINE_REFUSED;
}

int engine__id_check(struct engine_pass *pass, const struct moot_item *item)
{
    struct moot_engine *engine = pass->engine;
    uint64_t made_ms = 0;
    if (!id_time(item->id, &made_ms)) {
        return answer(pass, "ERR the id must be a UUID of version 7, or milliseconds:anything");
    }
    uint64_t now_ms = pass->run->now_ms;
    if (!MOOT_RULE(engine_id_not_expired, made_ms + MOOT_ID_RETENTION_MS >= now_ms)) {
        return answer(pass, "IDEXPIRED this id is older than ids are remembered; nothing was done");
    }
    if (made_ms > now_ms + MOOT_ID_AHEAD_MS) {
        return answer(pass, "ERR the id must not be made in the future; nothing was done");
    }
    struct moot_slice record;
    moot_view_budget(engine->view, UINT64_MAX);
    int status = moot_view_get(engine->view, MOOT_WHEN_NOW, record_key(engine, item->id), &record);
    if (status == MOOT_OK) {
        status = answer_again(pass, item, record);
    } else if (status == MOOT_ENOTFOUND) {
        status = MOOT_OK;
        if (engine->ids_bytes + ID_RECORD_BYTES_MAX > MOOT_IDS_BYTES_MAX) {
            MOOT_SOMETIMES(true, "no room for one more client id");
            status = answer(pass, "OVERLOADED too many ids are remembered; nothing was done, retry "
                                  "later");
        }
    }
    moot_arena_reset(&engine->arena);
    return status;
}

int engine__id_keep(struct engine_pass *pass, const struct moot_item *item, size_t reply_start)
{
    struct moot_engine *engine = pass->engine;
    struct moot_buffer *replies = pass->run->replies;
    size_t size = replies->size - reply_start;
    bool is_whole = size <= MOOT_ID_REPLY_BYTES_MAX;
    size = is_whole ? size : 0;
    uint64_t made_ms = 0;
    bool dated = id_time(item->id, &made_ms);
    MOOT_ASSERT(dated);
    uint64_t until_ms = made_ms + MOOT_ID_RETENTION_MS;
    uint8_t *value = moot_view_room(engine->view, ID_HEAD_BYTES + size);
    value[0] = ID_VERSION;
    value[1] = protocol_of(item);
    value[2] = is_whole;
    moot_store_le64(value + 3, hash_of(item));
    moot_store_le64(value + 11, pass->run->stamp.time);
    memcpy(value + ID_HEAD_BYTES, replies->data + reply_start, size);
    struct moot_slice record = {value, ID_HEAD_BYTES + size};
    moot_view_budget(engine->view, UINT64_MAX);
    int status = moot_view_put_room(engine->view, record_key(engine, item->id), record);
    if (status == MOOT_OK) {
        uint8_t cost[4]; /* So that removing needs no look at the record. */
        moot_store_le32(cost, (uint32_t)cost_of(item->id, record.size));
        status = moot_view_put(engine->view, age_key(engine, until_ms, item->id),
                               (struct moot_slice){cost, sizeof(cost)});
    }
    engine->ids_bytes += cost_of(item->id, record.size);
    engine->ids_next_ms = moot_min_u64(engine->ids_next_ms, until_ms);
    moot_arena_reset(&engine->arena);
    return status;
}

/* ---- removing ---- */

static int remove_one(struct moot_engine *engine, struct moot_slice physical,
                      struct moot_slice value)
{
    if (value.size != 4 || moot_load_le32(value.data) > engine->ids_bytes) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    engine->ids_bytes -= moot_load_le32(value.data);
    struct moot_slice id = {physical.data + 6 + 8, physical.size - 6 - 8};
    int status = moot_view_delete(engine->view, record_key(engine, id));
    return status == MOOT_OK ? moot_view_delete(engine->view, physical) : status;
}

int engine__id_remove(struct engine_pass *pass)
{
    struct moot_engine *engine = pass->engine;
    if (pass->run->now_ms <= engine->ids_next_ms) {
        return MOOT_OK;
    }
    uint32_t left = MOOT_ID_REMOVE_MAX + 2 * pass->ids_seen;
    struct moot_range range = moot_key_prefix_range(
        &engine->arena, moot_key_group(&engine->arena, engine->group, ENGINE_RECORD_ID_AGE,
                                       (struct moot_slice){NULL, 0}));
    struct moot_view_iterator iterator;
    moot_view_budget(engine->view, UINT64_MAX);
    int status = moot_view_iterate(engine->view, MOOT_WHEN_NOW, range, false, &iterator);
    if (status != MOOT_OK) {
        return status;
    }
    struct moot_slice physical, value;
    engine->ids_next_ms = UINT64_MAX;
    while ((status = moot_view_next(&iterator, &physical, &value)) == MOOT_OK) {
        if (physical.size <= 6 + 8) {
            status = MOOT_FAIL(MOOT_ECORRUPT);
            break;
        }
        uint64_t until_ms = moot_load_be64(physical.data + 6);
        if (until_ms >= pass->run->now_ms || left-- == 0) { /* Still accepted, or enough for now. */
            engine->ids_next_ms = until_ms;
            break;
        }
        status = remove_one(engine, moot_arena_copy(&engine->arena, physical), value);
        if (status != MOOT_OK) {
            break;
        }
    }
    moot_view_iterate_end(&iterator);
    moot_arena_reset(&engine->arena);
    return status == MOOT_ENOTFOUND ? MOOT_OK : status;
}
