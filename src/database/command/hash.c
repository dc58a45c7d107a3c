/* Hashes: one element a field, so that a hash of a million fields changes at the cost of one.
 *
 * An element's name is print(4) field: a 32-bit hash of the field before the field itself. So
 * elements lie in a random but stable order, which HSCAN walks with a cursor of 32 bits, and
 * HRANDFIELD enters anywhere. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/rng.h"
#include "database/command/handlers.h"

enum { PRINT_BYTES = 4 };
/* Seed of the prints: part of the format on disk. */
#define PRINT_SEED UINT64_C(0x68617368)

static struct moot_slice element_of(struct moot_call *call, struct moot_slice field)
{
    uint8_t *element = moot_arena_alloc(call->arena, PRINT_BYTES + field.size);
    moot_store_be32(element, (uint32_t)moot_hash64(field, PRINT_SEED));
    if (field.size > 0) {
        memcpy(element + PRINT_BYTES, field.data, field.size);
    }
    return moot_slice_make(element, PRINT_BYTES + field.size);
}

/* A hash to be changed: `head` is what will be saved in place of `before`. */
struct hash {
    struct moot_slice key;
    struct moot_head found, head;
    const struct moot_head *before;
};

static int hash_open(struct moot_call *call, struct hash *hash)
{
    MOOT_ASSERT(!call->is_read);
    hash->key = call->args[1];
    int status = moot_object_look(call, hash->key, MOOT_TYPE_HASH, &hash->found, &hash->before);
    if (status != 0) {
        return status;
    }
    if (hash->before != NULL) {
        hash->head = hash->found;
    } else {
        hash->head = (struct moot_head){.type = MOOT_TYPE_HASH, .incarnation = call->incarnation++};
    }
    return 0;
}

/* Saves the head; a hash without fields is no key. */
static int hash_close(struct moot_call *call, struct hash *hash)
{
    if (hash->head.count > 0) {
        return moot_object_save(call, hash->key, hash->before, &hash->head);
    }
    /* Its elements were deleted one by one: the head's count of 0 says so. */
    return hash->before == NULL ? 0 : moot_object_delete(call, hash->key, &hash->head);
}

static int hash_put(struct moot_call *call, struct hash *hash, struct moot_slice field,
                    struct moot_slice value, bool *existed)
{
    if (field.size > MOOT_KEY_MAX) {
        return moot_call_error(call, "ERR hash field exceeds maximum allowed size");
    }
    int status =
        moot_element_put(call, hash->key, &hash->head, element_of(call, field), value, existed);
    if (status == 0 && !*existed) {
        hash->head.count++;
    }
    return status;
}

/* MOOT_ENOTFOUND. */
static int hash_get(struct moot_call *call, const struct hash *hash, struct moot_slice field,
                    struct moot_slice *value)
{
    if (hash->before == NULL) {
        return MOOT_ENOTFOUND;
    }
    return moot_element_get(call, hash->key, &hash->head, element_of(call, field), value);
}

/* ---- one field ---- */

/* Looks for args[1]'s field args[2]; *found. */
static int get_field(struct moot_call *call, bool *found, struct moot_slice *value)
{
    struct moot_head head;
    const struct moot_head *before;
    *found = false;
    int status = moot_object_look(call, call->args[1], MOOT_TYPE_HASH, &head, &before);
    if (status != 0 || before == NULL) {
        return status;
    }
    status = moot_element_get(call, call->args[1], before, element_of(call, call->args[2]), value);
    *found = status == 0;
    return status == MOOT_ENOTFOUND ? 0 : status;
}

int moot_run_hget(struct moot_call *call)
{
    bool found;
    struct moot_slice value;
    int status = get_field(call, &found, &value);
    if (status == 0 && found) {
        moot_resp_bulk(&call->reply, value);
    } else if (status == 0) {
        moot_resp_null(&call->reply);
    }
    return status;
}

int moot_run_hexists(struct moot_call *call)
{
    bool found;
    struct moot_slice value;
    int status = get_field(call, &found, &value);
    if (status == 0) {
        moot_resp_integer(&call->reply, found);
    }
    return status;
}

int moot_run_hstrlen(struct moot_call *call)
{
    bool found;
    struct moot_slice value;
    int status = get_field(call, &found, &value);
    if (status == 0) {
        moot_resp_integer(&call->reply, found ? (int64_t)value.size : 0);
    }
    return status;
}

int moot_run_hsetnx(struct moot_call *call)
{
    struct hash hash;
    struct moot_slice old;
    bool existed;
    int status = hash_open(call, &hash);
    status = status != 0 ? status : hash_get(call, &hash, call->args[2], &old);
    if (status == 0) {
        moot_resp_integer(&call->reply, 0);
        return 0;
    }
    if (status != MOOT_ENOTFOUND) {
        return status;
    }
    status = hash_put(call, &hash, call->args[2], call->args[3], &existed);
    if (status != 0) {
        return status;
    }
    moot_resp_integer(&call->reply, 1);
    return hash_close(call, &hash);
}

/* ---- several fields ---- */

/* HSET and HMSET. */
static int set_fields(struct moot_call *call, int64_t *created)
{
    if (call->argc % 2 != 0) {
        return moot_call_wrong_count(call);
    }
    struct hash hash;
    int blocked = 0, status = hash_open(call, &hash);
    if (status != 0) {
        return status;
    }
    *created = 0;
    for (uint32_t i = 2; i < call->argc; i += 2) {
        bool existed = false;
        status = hash_put(call, &hash, call->args[i], call->args[i + 1], &existed);
        if (status == MOOT_EWOULDBLOCK) {
            blocked = status;
            continue;
        }
        if (status != 0) {
            return status;
        }
        *created += !existed;
    }
    return blocked != 0 ? blocked : hash_close(call, &hash);
}

int moot_run_hset(struct moot_call *call)
{
    int64_t created;
    int status = set_fields(call, &created);
    if (status == 0) {
        moot_resp_integer(&call->reply, created);
    }
    return status;
}

int moot_run_hmset(struct moot_call *call)
{
    int64_t created;
    int status = set_fields(call, &created);
    if (status == 0) {
        moot_resp_simple(&call->reply, "OK");
    }
    return status;
}

int moot_run_hmget(struct moot_call *call)
{
    struct moot_head head;
    const struct moot_head *before;
    int blocked = 0;
    int status = moot_object_look(call, call->args[1], MOOT_TYPE_HASH, &head, &before);
    if (status != 0) {
        return status;
    }
    size_t start = call->reply.out->size;
    moot_resp_array(&call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        struct moot_slice value;
        status = before == NULL ? MOOT_ENOTFOUND
                                : moot_element_get(call, call->args[1], before,
                                                   element_of(call, call->args[i]), &value);
        if (status == MOOT_EWOULDBLOCK) {
            blocked = status;
            continue;
        }
        if (status == MOOT_ENOTFOUND) {
            moot_resp_null(&call->reply);
        } else if (status == 0) {
            moot_resp_bulk(&call->reply, value);
        } else {
            return status;
        }
        status = moot_call_reply_fits(call, start);
        if (status != 0) {
            return status;
        }
    }
    return blocked;
}

int moot_run_hdel(struct moot_call *call)
{
    struct hash hash;
    int blocked = 0, status = hash_open(call, &hash);
    if (status != 0) {
        return status;
    }
    int64_t deleted = 0;
    for (uint32_t i = 2; i < call->argc && hash.before != NULL; i++) {
        bool existed;
        status = moot_element_delete(call, hash.key, &hash.head, element_of(call, call->args[i]),
                                     &existed);
        if (status == MOOT_EWOULDBLOCK) {
            blocked = status;
            continue;
        }
        if (status != 0) {
            return status;
        }
        if (existed && hash.head.count == 0) {
            return MOOT_FAIL(MOOT_ECORRUPT);
        }
        hash.head.count -= existed;
        deleted += existed;
    }
    moot_resp_integer(&call->reply, deleted);
    return blocked != 0 || deleted == 0 ? blocked : hash_close(call, &hash);
}

/* ---- counting ---- */

int moot_run_hincrby(struct moot_call *call)
{
    int64_t increment, value = 0, sum;
    int status = moot_arg_i64(call, 3, &increment);
    if (status != 0) {
        return status;
    }
    struct hash hash;
    struct moot_slice text;
    status = hash_open(call, &hash);
    status = status != 0 ? status : hash_get(call, &hash, call->args[2], &text);
    if (status == 0 && !moot_slice_to_i64(text, &value)) {
        return moot_call_error(call, "ERR hash value is not an integer");
    }
    if (status != 0 && status != MOOT_ENOTFOUND) {
        return status;
    }
    if (__builtin_add_overflow(value, increment, &sum)) {
        return moot_call_error(call, "ERR increment or decrement would overflow");
    }
    char digits[24];
    bool existed;
    size_t size = moot_text_i64(digits, sum);
    status = hash_put(call, &hash, call->args[2], moot_slice_make(digits, size), &existed);
    if (status != 0) {
        return status;
    }
    moot_resp_integer(&call->reply, sum);
    return hash_close(call, &hash);
}

int moot_run_hincrbyfloat(struct moot_call *call)
{
    struct moot_slice sum, text = MOOT_SLICE_LITERAL("0");
    /* Redis looks at the increment before it looks at the hash. */
    int status = moot_call_check_decimal(call, call->args[3]);
    if (status != 0) {
        return status;
    }
    struct hash hash;
    status = hash_open(call, &hash);
    status = status != 0 ? status : hash_get(call, &hash, call->args[2], &text);
    if (status != 0 && status != MOOT_ENOTFOUND) {
        return status;
    }
    status =
        moot_call_add_decimals(call, text, call->args[3], "ERR hash value is not a float", &sum);
    bool existed;
    status = status != 0 ? status : hash_put(call, &hash, call->args[2], sum, &existed);
    if (status != 0) {
        return status;
    }
    moot_resp_bulk(&call->reply, sum);
    return hash_close(call, &hash);
}

/* ---- the whole hash ---- */

int moot_run_hlen(struct moot_call *call)
{
    struct moot_head head;
    const struct moot_head *before;
    int status = moot_object_look(call, call->args[1], MOOT_TYPE_HASH, &head, &before);
    if (status == 0) {
        moot_resp_integer(&call->reply, before == NULL ? 0 : (int64_t)before->count);
    }
    return status;
}

/* Fields from `print` on. */
static int fields_begin(struct moot_call *call, const struct moot_head *head, uint32_t print,
                        struct moot_view_iterator *iterator)
{
    uint8_t from[PRINT_BYTES];
    moot_store_be32(from, print);
    struct moot_slice key = call->args[1];
    struct moot_range range = moot_key_prefix_range(
        call->arena, moot_key_elements(call->arena, call->keyspace, key, head->incarnation));
    range.from = moot_key_element(call->arena, call->keyspace, key, head->incarnation,
                                  moot_slice_make(from, sizeof from));
    return moot_view_iterate(call->view, MOOT_WHEN_NOW, range, false, iterator);
}

/* MOOT_ENOTFOUND at the end. */
static int fields_next(struct moot_view_iterator *iterator, uint32_t *print,
                       struct moot_slice *field, struct moot_slice *value)
{
    struct moot_slice physical;
    int status = moot_view_next(iterator, &physical, value);
    if (status != 0) {
        return status;
    }
    struct moot_key_parts parts;
    if (!moot_key_parse(physical, &parts) || parts.is_head || parts.element.size < PRINT_BYTES) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    *print = moot_load_be32(parts.element.data);
    *field = moot_slice_make(parts.element.data + PRINT_BYTES, parts.element.size - PRINT_BYTES);
    return 0;
}

static int reply_all(struct moot_call *call, bool fields, bool values)
{
    struct moot_head head;
    const struct moot_head *before;
    int status = moot_object_look(call, call->args[1], MOOT_TYPE_HASH, &head, &before);
    if (status != 0) {
        return status;
    }
    size_t start = call->reply.out->size;
    uint64_t count = before == NULL ? 0 : before->count, seen = 0;
    status = moot_call_will_touch(call, count);
    if (status != 0) {
        return status;
    }
    if (fields && values) {
        moot_resp_map(&call->reply, count);
    } else {
        moot_resp_array(&call->reply, count);
    }
    if (before == NULL) {
        return 0;
    }
    struct moot_view_iterator iterator;
    status = fields_begin(call, before, 0, &iterator);
    if (status != 0) {
        return status;
    }
    uint32_t print;
    struct moot_slice field, value;
    while ((status = fields_next(&iterator, &print, &field, &value)) == 0) {
        seen++;
        if (fields) {
            moot_resp_bulk(&call->reply, field);
        }
        if (values) {
            moot_resp_bulk(&call->reply, value);
        }
        status = moot_call_reply_fits(call, start);
        if (status != 0) {
            break;
        }
    }
    moot_view_iterate_end(&iterator);
    if (status != MOOT_ENOTFOUND) {
        return status;
    }
    return seen == count ? 0 : MOOT_FAIL(MOOT_ECORRUPT);
}
int moot_run_hgetall(struct moot_call *call) { return reply_all(call, true, true); }
int moot_run_hkeys(struct moot_call *call) { return reply_all(call, true, false); }
int moot_run_hvals(struct moot_call *call) { return reply_all(call, false, true); }

/* Adds up to scan->count fields from `first` on (and all of the last print) to the row; *next: the
 * cursor to go on with, 0 at the end. */
static int scan_fields(struct moot_call *call, const struct moot_head *head, uint32_t first,
                       const struct moot_scan_options *scan, struct moot_row *row, uint64_t *next)
{
    struct moot_view_iterator iterator;
    int status = fields_begin(call, head, first, &iterator);
    if (status != 0) {
        return status;
    }
    uint64_t seen = 0;
    uint32_t print, last = 0;
    struct moot_slice field, value;
    *next = 0;
    while ((status = fields_next(&iterator, &print, &field, &value)) == 0) {
        if (seen >= scan->count && print != last) {
            *next = (uint64_t)last + 1;
            break;
        }
        seen++;
        last = print;
        if (scan->has_pattern && !moot_slice_matches_glob(field, scan->pattern, false)) {
            continue;
        }
        status = moot_row_add(call, row, field);
        if (status == 0 && !scan->no_values) {
            status = moot_row_add(call, row, value);
        }
        if (status != 0) {
            break;
        }
    }
    moot_view_iterate_end(&iterator);
    return status == MOOT_ENOTFOUND ? 0 : status;
}

int moot_run_hscan(struct moot_call *call)
{
    uint64_t cursor, next = 0;
    int status = moot_arg_cursor(call, 2, &cursor);
    if (status != 0) {
        return status;
    }
    struct moot_head head;
    const struct moot_head *before;
    struct moot_scan_options scan = {.allow_novalues = true};
    status = moot_object_look(call, call->args[1], MOOT_TYPE_HASH, &head, &before);
    if (status == 0 && before != NULL) {
        status = moot_arg_scan_options(call, 3, &scan);
    }
    if (status != 0) {
        return status;
    }
    struct moot_row row = {0};
    if (before != NULL && cursor <= UINT32_MAX) {
        status = moot_call_will_touch(call, moot_min_u64(scan.count, before->count));
        status =
            status != 0 ? status : scan_fields(call, before, (uint32_t)cursor, &scan, &row, &next);
        if (status != 0) {
            return status;
        }
    }
    moot_resp_array(&call->reply, 2);
    moot_resp_bulk_u64(&call->reply, next);
    moot_row_reply(call, &row);
    return 0;
}

/* ---- HRANDFIELD ---- */

/* One field near a random print: the first at or after it, or the first of all. Prints are evenly
 * spread, so fields are drawn in proportion to the gap before them: fair enough, and O(1). */
static int draw_field(struct moot_call *call, const struct moot_head *head, struct moot_rng *rng,
                      struct moot_slice *field, struct moot_slice *value)
{
    uint32_t from = (uint32_t)moot_rng_next(rng), print;
    for (int round = 0; round < 2; round++) {
        struct moot_view_iterator iterator;
        int status = fields_begin(call, head, round == 0 ? from : 0, &iterator);
        if (status != 0) {
            return status;
        }
        status = fields_next(&iterator, &print, field, value);
        if (status == 0) {
            *field = moot_arena_copy(call->arena, *field);
            *value = moot_arena_copy(call->arena, *value);
        }
        moot_view_iterate_end(&iterator);
        if (status != MOOT_ENOTFOUND) {
            return status;
        }
    }
    return MOOT_FAIL(MOOT_ECORRUPT); /* A hash that is there has a field. */
}

/* `want` different fields: each is taken with the probability (still wanted) / (still to come), so
 * every subset is equally likely (Knuth, volume 2, algorithm 3.4.2 S). */
static int sample_fields(struct moot_call *call, const struct moot_head *head, struct moot_rng *rng,
                         uint64_t want, struct moot_row *row)
{
    MOOT_ASSERT(want <= head->count);
    struct moot_view_iterator iterator;
    int status = fields_begin(call, head, 0, &iterator);
    if (status != 0) {
        return status;
    }
    uint64_t left = head->count;
    uint32_t print;
    struct moot_slice field, value;
    while (want > 0 && left > 0 && (status = fields_next(&iterator, &print, &field, &value)) == 0) {
        if (moot_rng_below(rng, left) < want) {
            want--;
            status = moot_row_add(call, row, field);
            status = status != 0 ? status : moot_row_add(call, row, value);
            if (status != 0) {
                break;
            }
        }
        left--;
    }
    moot_view_iterate_end(&iterator);
    return status == MOOT_ENOTFOUND ? MOOT_FAIL(MOOT_ECORRUPT) : status;
}

/* Fields and values of a row, in turn: is this field among them? */
static bool row_has(const struct moot_row *row, struct moot_slice field)
{
    for (size_t i = 0; i < row->count; i += 2) {
        if (moot_slice_equal(row->items[i], field)) {
            return true;
        }
    }
    return false;
}

/* `want` fields, one drawn after the other; `distinct`: all different. *enough is false when luck
 * ran out before. */
static int draw_fields(struct moot_call *call, const struct moot_head *head, struct moot_rng *rng,
                       uint64_t want, bool distinct, struct moot_row *row, bool *enough)
{
    enum { TRIES_EACH = 8 }; /* Of many more fields than are wanted. */
    uint64_t tries = distinct ? want * TRIES_EACH : want;
    *enough = want == 0;
    for (uint64_t i = 0; i < tries && !*enough; i++) {
        struct moot_slice field, value;
        int status = draw_field(call, head, rng, &field, &value);
        if (status == 0 && distinct && row_has(row, field)) {
            continue;
        }
        status = status != 0 ? status : moot_row_add(call, row, field);
        status = status != 0 ? status : moot_row_add(call, row, value);
        if (status != 0) {
            return status;
        }
        *enough = row->count == 2 * want;
    }
    return 0;
}

/* Few of many are drawn; many are sampled in one pass. */
static int choose_fields(struct moot_call *call, const struct moot_head *head, struct moot_rng *rng,
                         uint64_t want, struct moot_row *row)
{
    enum { FEW = 32, MANY = 1024 };
    if (want <= FEW && head->count >= MANY) {
        bool enough;
        int status = draw_fields(call, head, rng, want, true, row, &enough);
        if (status != 0 || enough) {
            return status;
        }
        row->count = 0;
    }
    return sample_fields(call, head, rng, want, row);
}

/* The row holds fields and values in turn. */
static void reply_drawn(struct moot_call *call, const struct moot_row *row, bool with_values)
{
    bool nested = with_values && call->reply.protocol == 3;
    size_t pairs = row->count / 2;
    moot_resp_array(&call->reply, with_values && !nested ? 2 * pairs : pairs);
    for (size_t i = 0; i < pairs; i++) {
        if (nested) {
            moot_resp_array(&call->reply, 2);
        }
        moot_resp_bulk(&call->reply, row->items[2 * i]);
        if (with_values) {
            moot_resp_bulk(&call->reply, row->items[2 * i + 1]);
        }
    }
}

int moot_run_hrandfield(struct moot_call *call)
{
    int64_t count = 0;
    bool has_count = call->argc >= 3, with_values = call->argc >= 4;
    int status = has_count ? moot_arg_i64(call, 2, &count) : 0;
    if (status != 0) {
        return status;
    }
    if (count == INT64_MIN) {
        return moot_call_error(call, "ERR value is out of range, value must between "
                                     "-9223372036854775807 and 9223372036854775807");
    }
    if (call->argc > 4 || (with_values && !moot_arg_is(call, 3, "withvalues"))) {
        return moot_call_syntax(call);
    }
    if (count < -INT64_MAX / (with_values ? 2 : 1) || count > INT64_MAX / (with_values ? 2 : 1)) {
        return moot_call_error(call, "ERR value is out of range");
    }
    struct moot_head head;
    const struct moot_head *before;
    status = moot_object_look(call, call->args[1], MOOT_TYPE_HASH, &head, &before);
    if (status != 0) {
        return status;
    }
    struct moot_row row = {0};
    struct moot_rng rng;
    moot_rng_init(&rng, moot_hash_mix(call->seed, call->stamp.ordinal));
    if (before != NULL && (!has_count || count < 0)) {
        bool enough;
        status =
            draw_fields(call, before, &rng, has_count ? (uint64_t)-count : 1, false, &row, &enough);
    } else if (before != NULL && count > 0) {
        uint64_t want = moot_min_u64((uint64_t)count, before->count);
        status = choose_fields(call, before, &rng, want, &row);
    }
    if (status != 0) {
        return status;
    }
    if (has_count) {
        reply_drawn(call, &row, with_values);
    } else if (row.count > 0) {
        moot_resp_bulk(&call->reply, row.items[0]);
    } else {
        moot_resp_null(&call->reply);
    }
    return 0;
}
