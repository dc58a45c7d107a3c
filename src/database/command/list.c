/* Lists: elements are named by their position, a number that grows to the right and shrinks to the
 * left; the head knows the first and the last. So both ends change at the cost of one element, and
 * any index is one look-up. There are no holes: count == last - first + 1. */
#include "base/assert.h"
#include "base/codec.h"
#include "database/command/decimal.h"
#include "database/command/handlers.h"

enum { POSITION_BYTES = 8 };

/* Big-endian with the sign flipped, so that positions sort as numbers. */
static struct moot_slice element_of(struct moot_call *call, int64_t position)
{
    uint8_t *element = moot_arena_alloc(call->arena, POSITION_BYTES);
    moot_store_be64(element, (uint64_t)position ^ UINT64_C(1) << 63);
    return moot_slice_make(element, POSITION_BYTES);
}

/* A list to be read or changed: `head` is what will be saved in place of `before`. */
struct list {
    struct moot_slice key;
    struct moot_head found, head;
    const struct moot_head *before;
};

static int list_open(struct moot_call *call, struct moot_slice key, struct list *list)
{
    *list = (struct list){.key = key};
    int status = moot_object_look(call, key, MOOT_TYPE_LIST, &list->found, &list->before);
    if (status != 0) {
        return status;
    }
    list->head = list->before != NULL ? list->found : (struct moot_head){.type = MOOT_TYPE_LIST};
    if (list->before != NULL &&
        (list->head.count == 0 || list->head.last < list->head.first ||
         (uint64_t)list->head.last - (uint64_t)list->head.first + 1 != list->head.count)) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    return 0;
}

/* Saves the head; a list without elements is no key. */
static int list_close(struct moot_call *call, struct list *list)
{
    if (list->head.count > 0) {
        return moot_object_save(call, list->key, list->before, &list->head);
    }
    /* Its elements were deleted one by one: the head's count of 0 says so. */
    return list->before == NULL ? 0 : moot_object_delete(call, list->key, &list->head);
}

static int list_push(struct moot_call *call, struct list *list, bool left, struct moot_slice value)
{
    struct moot_head *head = &list->head;
    if (head->count == 0) {
        if (list->before == NULL && head->incarnation == 0) {
            head->incarnation = call->incarnation++;
        }
        head->first = 0;
        head->last = -1;
    }
    if (left) {
        head->first--;
    } else {
        head->last++;
    }
    head->count++;
    bool existed;
    int status = moot_element_put(
        call, list->key, head, element_of(call, left ? head->first : head->last), value, &existed);
    if (status != 0) {
        return status;
    }
    return existed ? MOOT_FAIL(MOOT_ECORRUPT) : 0;
}

/* Reads the element at `position`, which is one of the list's. */
static int list_get(struct moot_call *call, const struct list *list, int64_t position,
                    struct moot_slice *value)
{
    MOOT_ASSERT(position >= list->head.first);
    MOOT_ASSERT(position <= list->head.last);
    int status = moot_element_get(call, list->key, &list->head, element_of(call, position), value);
    return status == MOOT_ENOTFOUND ? MOOT_FAIL(MOOT_ECORRUPT) : status;
}

static int list_drop(struct moot_call *call, struct list *list, bool left)
{
    struct moot_head *head = &list->head;
    MOOT_ASSERT(head->count > 0);
    bool existed;
    int status = moot_element_delete(call, list->key, head,
                                     element_of(call, left ? head->first : head->last), &existed);
    if (status != 0) {
        return status;
    }
    if (!existed) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    if (left) {
        head->first++;
    } else {
        head->last--;
    }
    head->count--;
    return 0;
}

/* Takes one element off; the value is a copy. */
static int list_pop(struct moot_call *call, struct list *list, bool left, struct moot_slice *value)
{
    int status = list_get(call, list, left ? list->head.first : list->head.last, value);
    if (status != 0) {
        return status;
    }
    *value = moot_arena_copy(call->arena, *value);
    return list_drop(call, list, left);
}

/* ---- pushing ---- */

static int push(struct moot_call *call, bool left, bool only_if_present)
{
    struct list list;
    int blocked = 0, status = list_open(call, call->args[1], &list);
    if (status != 0) {
        return status;
    }
    if (only_if_present && list.before == NULL) {
        moot_resp_integer(&call->reply, 0);
        return 0;
    }
    for (uint32_t i = 2; i < call->argc; i++) {
        status = list_push(call, &list, left, call->args[i]);
        if (status == MOOT_EWOULDBLOCK) {
            blocked = status;
        } else if (status != 0) {
            return status;
        }
    }
    if (blocked != 0) {
        return blocked;
    }
    moot_resp_integer(&call->reply, (int64_t)list.head.count);
    status = list_close(call, &list);
    if (status == 0) {
        moot_call_signal(call, list.key);
    }
    return status;
}
int moot_run_lpush(struct moot_call *call) { return push(call, true, false); }
int moot_run_rpush(struct moot_call *call) { return push(call, false, false); }
int moot_run_lpushx(struct moot_call *call) { return push(call, true, true); }
int moot_run_rpushx(struct moot_call *call) { return push(call, false, true); }

/* ---- popping ---- */

static int pop_many(struct moot_call *call, struct list *list, bool left, uint64_t want)
{
    uint64_t count = moot_min_u64(want, list->head.count);
    size_t start = call->reply.out->size;
    moot_resp_array(&call->reply, count);
    for (uint64_t i = 0; i < count; i++) {
        struct moot_slice value;
        int status = list_pop(call, list, left, &value);
        if (status != 0) {
            return status;
        }
        moot_resp_bulk(&call->reply, value);
        status = moot_call_reply_fits(call, start);
        if (status != 0) {
            return status;
        }
    }
    return count == 0 ? 0 : list_close(call, list);
}

static int pop(struct moot_call *call, bool left)
{
    int64_t want = 1;
    bool has_count = call->argc == 3;
    if (call->argc > 3) {
        return moot_call_wrong_count(call);
    }
    if (has_count && (!moot_slice_to_i64(call->args[2], &want) || want < 0)) {
        return moot_call_error(call, "ERR value is out of range, must be positive");
    }
    struct list list;
    int status = list_open(call, call->args[1], &list);
    if (status != 0) {
        return status;
    }
    if (list.before == NULL) {
        if (has_count) {
            moot_resp_null_array(&call->reply);
        } else {
            moot_resp_null(&call->reply);
        }
        return 0;
    }
    if (has_count) {
        return pop_many(call, &list, left, (uint64_t)want);
    }
    struct moot_slice value;
    status = list_pop(call, &list, left, &value);
    if (status != 0) {
        return status;
    }
    moot_resp_bulk(&call->reply, value);
    return list_close(call, &list);
}
int moot_run_lpop(struct moot_call *call) { return pop(call, true); }
int moot_run_rpop(struct moot_call *call) { return pop(call, false); }

/* As list_open; but to who has waited another type is no error: it came since, and what it waits
 * for may be in another key. */
static int list_open_to_pop(struct moot_call *call, struct moot_slice key, struct list *list)
{
    struct moot_head head;
    const struct moot_head *before;
    if (call->is_retry) {
        int status = moot_object_look(call, key, MOOT_TYPE_NONE, &head, &before);
        if (status != 0 || (before != NULL && before->type != MOOT_TYPE_LIST)) {
            *list = (struct list){.key = key};
            return status;
        }
    }
    return list_open(call, key, list);
}

/* BLPOP and BRPOP try once over their keys, in order. Who waits, for how long and in which order is
 * not decided here: waiting is never in the log. */
static int pop_or_wait(struct moot_call *call, bool left)
{
    uint64_t timeout_ms;
    const char *error = moot_decimal_timeout(call->args[call->argc - 1], &timeout_ms);
    if (error != NULL) {
        return moot_call_error(call, error);
    }
    int blocked = 0;
    for (uint32_t i = 1; i + 1 < call->argc; i++) {
        struct list list;
        struct moot_slice value;
        int status = list_open_to_pop(call, call->args[i], &list);
        if (status == MOOT_EWOULDBLOCK) {
            blocked = status;
            continue;
        }
        if (status != 0) {
            return status;
        }
        if (list.before == NULL || blocked != 0) {
            continue;
        }
        if (call->is_deferred) {
            return MOOT_CALL_WAITS;
        }
        status = list_pop(call, &list, left, &value);
        if (status != 0) {
            return status;
        }
        moot_resp_array(&call->reply, 2);
        moot_resp_bulk(&call->reply, list.key);
        moot_resp_bulk(&call->reply, value);
        return list_close(call, &list);
    }
    return blocked != 0 ? blocked : MOOT_CALL_WAITS;
}
int moot_run_blpop(struct moot_call *call) { return pop_or_wait(call, true); }
int moot_run_brpop(struct moot_call *call) { return pop_or_wait(call, false); }

/* ---- moving ---- */

static int move(struct moot_call *call, bool from_left, bool to_left)
{
    struct list from, to;
    struct moot_slice value;
    bool same = moot_slice_equal(call->args[1], call->args[2]);
    int status = list_open(call, call->args[1], &from);
    if (status != 0) {
        return status;
    }
    if (from.before == NULL) {
        moot_resp_null(&call->reply);
        return 0;
    }
    status = same ? 0 : list_open(call, call->args[2], &to);
    status = status != 0 ? status : list_pop(call, &from, from_left, &value);
    if (status != 0) {
        return status;
    }
    struct list *target = same ? &from : &to;
    status = list_push(call, target, to_left, value);
    status = status != 0 ? status : list_close(call, target);
    if (status == 0 && !same) {
        status = list_close(call, &from);
    }
    if (status != 0) {
        return status;
    }
    moot_resp_bulk(&call->reply, value);
    moot_call_signal(call, target->key);
    return 0;
}

/* Which end args[index] names: LEFT or RIGHT. */
static int end_named(struct moot_call *call, uint32_t index, bool *left)
{
    *left = moot_arg_is(call, index, "left");
    return *left || moot_arg_is(call, index, "right") ? 0 : moot_call_syntax(call);
}

int moot_run_lmove(struct moot_call *call)
{
    bool from_left, to_left;
    int status = end_named(call, 3, &from_left);
    status = status != 0 ? status : end_named(call, 4, &to_left);
    return status != 0 ? status : move(call, from_left, to_left);
}
int moot_run_rpoplpush(struct moot_call *call) { return move(call, false, true); }

/* ---- reading and changing by index ---- */

int moot_run_llen(struct moot_call *call)
{
    struct list list;
    int status = list_open(call, call->args[1], &list);
    if (status == 0) {
        moot_resp_integer(&call->reply, (int64_t)list.head.count);
    }
    return status;
}

/* The position of an index, which counts from the right when it is negative; false outside. */
static bool position_of(const struct list *list, int64_t index, int64_t *position)
{
    int64_t count = (int64_t)list->head.count;
    if (index < -count || index >= count) {
        return false;
    }
    *position = index < 0 ? list->head.last + 1 + index : list->head.first + index;
    return true;
}

int moot_run_lindex(struct moot_call *call)
{
    struct list list;
    struct moot_slice value;
    int64_t index, position;
    int status = list_open(call, call->args[1], &list);
    if (status != 0) {
        return status;
    }
    if (list.before == NULL) {
        moot_resp_null(&call->reply);
        return 0;
    }
    status = moot_arg_i64(call, 2, &index);
    if (status != 0) {
        return status;
    }
    if (!position_of(&list, index, &position)) {
        moot_resp_null(&call->reply);
        return 0;
    }
    status = list_get(call, &list, position, &value);
    if (status == 0) {
        moot_resp_bulk(&call->reply, value);
    }
    return status;
}

int moot_run_lset(struct moot_call *call)
{
    struct list list;
    int64_t index, position;
    int status = list_open(call, call->args[1], &list);
    if (status != 0) {
        return status;
    }
    if (list.before == NULL) {
        return moot_call_error(call, "ERR no such key");
    }
    status = moot_arg_i64(call, 2, &index);
    if (status != 0) {
        return status;
    }
    if (!position_of(&list, index, &position)) {
        return moot_call_error(call, "ERR index out of range");
    }
    bool existed;
    status = moot_element_put(call, list.key, &list.head, element_of(call, position), call->args[3],
                              &existed);
    if (status != 0) {
        return status;
    }
    if (!existed) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    moot_resp_simple(&call->reply, "OK");
    return list_close(call, &list);
}

/* args[2] and args[3] as a range of indexes within the list; an empty one has *start > *end. */
static int range_args(struct moot_call *call, int64_t *start, int64_t *end)
{
    int status = moot_arg_i64(call, 2, start);
    return status != 0 ? status : moot_arg_i64(call, 3, end);
}
static void range_within(const struct list *list, int64_t *start, int64_t *end)
{
    int64_t count = (int64_t)list->head.count;
    *start = *start < 0 ? *start + count : *start;
    *end = *end < 0 ? *end + count : *end;
    *start = *start < 0 ? 0 : *start;
    *end = *end >= count ? count - 1 : *end;
    if (*start > *end || *start >= count) {
        *start = 0;
        *end = -1;
    }
}

int moot_run_lrange(struct moot_call *call)
{
    struct list list;
    int64_t start, end;
    int status = range_args(call, &start, &end);
    status = status != 0 ? status : list_open(call, call->args[1], &list);
    if (status != 0) {
        return status;
    }
    range_within(&list, &start, &end);
    size_t begun = call->reply.out->size;
    uint64_t count = (uint64_t)(end - start + 1), seen = 0;
    moot_resp_array(&call->reply, count);
    status = moot_call_will_touch(call, count);
    if (status != 0 || count == 0) {
        return status;
    }
    struct moot_range range = {
        moot_key_element(call->arena, call->keyspace, list.key, list.head.incarnation,
                         element_of(call, list.head.first + start)),
        moot_key_element(call->arena, call->keyspace, list.key, list.head.incarnation,
                         element_of(call, list.head.first + end + 1))};
    struct moot_view_iterator iterator;
    status = moot_view_iterate(call->view, MOOT_WHEN_NOW, range, false, &iterator);
    if (status != 0) {
        return status;
    }
    struct moot_slice physical, value;
    while ((status = moot_view_next(&iterator, &physical, &value)) == 0) {
        seen++;
        moot_resp_bulk(&call->reply, value);
        status = moot_call_reply_fits(call, begun);
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

int moot_run_ltrim(struct moot_call *call)
{
    struct list list;
    int64_t start, end;
    int status = range_args(call, &start, &end);
    status = status != 0 ? status : list_open(call, call->args[1], &list);
    if (status != 0) {
        return status;
    }
    moot_resp_simple(&call->reply, "OK");
    if (list.before == NULL) {
        return 0;
    }
    range_within(&list, &start, &end);
    if (start > end) {
        return moot_object_delete(call, list.key, list.before);
    }
    int64_t from_left = start, from_right = (int64_t)list.head.count - 1 - end;
    for (int64_t i = 0; i < from_left + from_right && status == 0; i++) {
        status = list_drop(call, &list, i < from_left);
    }
    /* Saved in any case: to WATCH every LTRIM is a write, as in Redis. */
    return status != 0 ? status : list_close(call, &list);
}
