/* Commands over whole databases.
 *
 * Keys lie in the order (slot, print, key): random, but stable, so SCAN's cursor is a place in it.
 * A walk reads heads only: behind the head of a collection it jumps over the elements, and over
 * what may be left of dead ones.
 *
 * Keys past their expiry (by the leader's clock on a read) are left out. Unlike GET, a walk does
 * not put their expiry into the log first: it might meet millions. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/rng.h"
#include "database/command/handlers.h"

/* ---- walking over heads ---- */

struct walk {
    struct moot_call *call;
    struct moot_arena arena; /* Where the walk stands; reset at every jump. */
    struct moot_slice from, to;
    struct moot_view_iterator iterator;
    bool open;
    bool jump; /* The next step goes behind the elements of the key where the walk stands. */
    /* read-only: where the last walk_next arrived */
    struct moot_key_parts parts;
    struct moot_head head;
};

/* Over the keys at and behind a cursor's place. */
static void walk_begin(struct walk *walk, struct moot_call *call, uint64_t cursor)
{
    *walk = (struct walk){.call = call};
    moot_arena_init(&walk->arena);
    walk->from = moot_key_cursor_start(call->arena, call->keyspace, cursor);
    walk->to = moot_key_keyspace_range(call->arena, MOOT_KEY_DATA, call->keyspace).to;
}

static void walk_close(struct walk *walk)
{
    if (walk->open) {
        moot_view_iterate_end(&walk->iterator);
        walk->open = false;
    }
}

static void walk_end(struct walk *walk)
{
    walk_close(walk);
    moot_arena_deinit(&walk->arena);
}

/* To the place behind all elements of the key where the walk stands. */
static void walk_jump(struct walk *walk)
{
    /* The last place was read when its iterator began; the key belongs to that iterator. */
    moot_arena_reset(&walk->arena);
    struct moot_slice last =
        moot_key_elements(&walk->arena, walk->call->keyspace, walk->parts.key, UINT64_MAX);
    walk->from = moot_key_prefix_range(&walk->arena, last).to;
    MOOT_ASSERT(moot_slice_compare(walk->from, last) > 0);
    walk_close(walk);
}

/* MOOT_ENOTFOUND at the end. parts and head are valid until the next call. */
static int walk_next(struct walk *walk)
{
    if (walk->jump) {
        walk_jump(walk);
        walk->jump = false;
    }
    for (;;) {
        int status = 0;
        if (!walk->open) {
            struct moot_range range = {walk->from, walk->to};
            status =
                moot_view_iterate(walk->call->view, MOOT_WHEN_NOW, range, false, &walk->iterator);
            walk->open = status == 0;
        }
        struct moot_slice physical, value;
        status = status != 0 ? status : moot_view_next(&walk->iterator, &physical, &value);
        if (status != 0) {
            return status;
        }
        if (!moot_key_parse(physical, &walk->parts) ||
            walk->parts.keyspace != walk->call->keyspace) {
            return MOOT_FAIL(MOOT_ECORRUPT);
        }
        if (walk->parts.is_head) {
            status = moot_head_decode(value, &walk->head);
            walk->jump = status == 0 && walk->head.type != MOOT_TYPE_STRING;
            return status;
        }
        walk_jump(walk);
    }
}

static bool walk_is_due(const struct walk *walk)
{
    return walk->head.expiry_ms != 0 && walk->head.expiry_ms <= walk->call->now_ms;
}

/* Over so many keys, or all. */
static int will_walk(struct moot_call *call, uint64_t keys)
{
    uint64_t count;
    int status = moot_object_count(call, call->keyspace, &count);
    return status != 0 ? status : moot_call_will_touch(call, moot_min_u64(keys, count));
}

/* ---- looking ---- */

int moot_run_keys(struct moot_call *call)
{
    struct moot_slice pattern = call->args[1];
    bool all = moot_slice_equal(pattern, MOOT_SLICE_LITERAL("*"));
    struct moot_row row = {0};
    struct walk walk;
    int status = will_walk(call, UINT64_MAX);
    if (status != 0) {
        return status;
    }
    walk_begin(&walk, call, 0);
    while ((status = walk_next(&walk)) == 0) {
        if (walk_is_due(&walk) ||
            (!all && !moot_slice_matches_glob(walk.parts.key, pattern, false))) {
            continue;
        }
        status = moot_row_add(call, &row, walk.parts.key);
        if (status != 0) {
            break;
        }
    }
    walk_end(&walk);
    if (status != MOOT_ENOTFOUND) {
        return status;
    }
    moot_row_reply(call, &row);
    return 0;
}

/* Adds what fits of up to scan->count keys, and all of the last place; *next: the cursor to go on
 * with, 0 at the end. */
static int scan_keys(struct moot_call *call, uint64_t cursor, const struct moot_scan_options *scan,
                     struct moot_row *row, uint64_t *next)
{
    struct walk walk;
    uint64_t seen = 0, last = 0;
    int status;
    *next = 0;
    walk_begin(&walk, call, cursor);
    while ((status = walk_next(&walk)) == 0) {
        uint64_t after = moot_key_cursor_after(walk.parts.slot, walk.parts.print);
        if (seen >= scan->count && after != last) {
            *next = last;
            break;
        }
        seen++;
        last = after;
        if (walk_is_due(&walk) ||
            (scan->has_pattern && !moot_slice_matches_glob(walk.parts.key, scan->pattern, false)) ||
            (scan->has_type &&
             !moot_slice_equal_nocase(scan->type, moot_type_name(walk.head.type)))) {
            continue;
        }
        status = moot_row_add(call, row, walk.parts.key);
        if (status != 0) {
            break;
        }
    }
    walk_end(&walk);
    return status == MOOT_ENOTFOUND ? 0 : status;
}

int moot_run_scan(struct moot_call *call)
{
    uint64_t cursor, next;
    struct moot_scan_options scan = {.allow_type = true};
    struct moot_row row = {0};
    int status = moot_arg_cursor(call, 1, &cursor);
    status = status != 0 ? status : moot_arg_scan_options(call, 2, &scan);
    status = status != 0 ? status : will_walk(call, scan.count);
    status = status != 0 ? status : scan_keys(call, cursor, &scan, &row, &next);
    if (status != 0) {
        return status;
    }
    moot_resp_array(&call->reply, 2);
    moot_resp_bulk_u64(&call->reply, next);
    moot_row_reply(call, &row);
    return 0;
}

/* The first key at or behind a cursor's place that is not due. */
static int key_behind(struct moot_call *call, uint64_t cursor, struct moot_slice *key,
                      uint16_t *slot)
{
    struct walk walk;
    int status;
    walk_begin(&walk, call, cursor);
    do {
        status = walk_next(&walk);
    } while (status == 0 && walk_is_due(&walk));
    if (status == 0) {
        *key = moot_arena_copy(call->arena, walk.parts.key);
        *slot = walk.parts.slot;
    }
    walk_end(&walk);
    return status;
}

/* A random slot that has keys (or the next such), then the key behind a random place in it: all
 * keys may share one slot (`{tag}`). Not exactly even, as Redis' is not. */
int moot_run_randomkey(struct moot_call *call)
{
    struct moot_rng rng;
    struct moot_slice key;
    uint16_t slot, other;
    moot_rng_init(&rng, moot_hash_mix(call->seed, call->stamp.ordinal));
    uint64_t start = moot_rng_below(&rng, MOOT_SLOTS) << 32;
    int status = key_behind(call, start, &key, &slot);
    if (status == MOOT_ENOTFOUND) {
        status = key_behind(call, 0, &key, &slot);
    }
    if (status == MOOT_ENOTFOUND) {
        moot_resp_null(&call->reply);
        return 0;
    }
    if (status != 0) {
        return status;
    }
    struct moot_slice better;
    uint64_t within = (uint64_t)slot << 32 | (moot_rng_next(&rng) & UINT32_MAX);
    status = key_behind(call, within, &better, &other);
    if (status != 0 && status != MOOT_ENOTFOUND) {
        return status;
    }
    moot_resp_bulk(&call->reply, status == 0 && other == slot ? better : key);
    return 0;
}

int moot_run_dbsize(struct moot_call *call)
{
    uint64_t count;
    int status = moot_object_count(call, call->keyspace, &count);
    if (status == 0) {
        moot_resp_integer(&call->reply, (int64_t)count);
    }
    return status;
}

/* ---- emptying and exchanging ---- */

/* ASYNC and SYNC are allowed, and the same: emptying is O(1). */
static int check_flush(struct moot_call *call)
{
    bool good =
        call->argc == 1 ||
        (call->argc == 2 && (moot_arg_is(call, 1, "async") || moot_arg_is(call, 1, "sync")));
    return good ? 0 : moot_call_syntax(call);
}

int moot_run_flushdb(struct moot_call *call)
{
    int status = check_flush(call);
    status = status != 0 ? status : moot_object_flush(call, call->keyspace);
    if (status == 0) {
        moot_resp_simple(&call->reply, "OK");
    }
    return status;
}

int moot_run_flushall(struct moot_call *call)
{
    int status = check_flush(call);
    for (int i = 0; i < MOOT_DATABASES && status == 0; i++) {
        status = moot_object_flush(call, call->shared->keyspace_of[i]);
    }
    if (status == 0) {
        moot_resp_simple(&call->reply, "OK");
    }
    return status;
}

int moot_run_swapdb(struct moot_call *call)
{
    int64_t first, second;
    if (!moot_slice_to_i64(call->args[1], &first) || first < INT32_MIN || first > INT32_MAX) {
        return moot_call_error(call, "ERR invalid first DB index");
    }
    if (!moot_slice_to_i64(call->args[2], &second) || second < INT32_MIN || second > INT32_MAX) {
        return moot_call_error(call, "ERR invalid second DB index");
    }
    if (first < 0 || first >= MOOT_DATABASES || second < 0 || second >= MOOT_DATABASES) {
        return moot_call_error(call, "ERR DB index is out of range");
    }
    moot_keyspace *keyspace_of = call->shared->keyspace_of, kept = keyspace_of[first];
    keyspace_of[first] = keyspace_of[second];
    keyspace_of[second] = kept;
    call->keyspace = keyspace_of[call->database];
    call->shared->signals_lost = true; /* A waiter may now look at a list that was there before. */
    moot_resp_simple(&call->reply, "OK");
    return 0;
}
