/* Strings: the value lives in the head itself, so one read and one write do. */
#include "base/assert.h"
#include "base/limits.h"
#include "database/command/decimal.h"
#include "database/command/handlers.h"

static const char *const TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

static int save_string(struct moot_call *call, struct moot_slice key,
                       const struct moot_head *before, struct moot_slice value, uint64_t expiry_ms)
{
    MOOT_ASSERT(!call->is_read);
    MOOT_ASSERT(value.size <= MOOT_VALUE_MAX);
    struct moot_head head = {.type = MOOT_TYPE_STRING, .expiry_ms = expiry_ms, .string = value};
    return moot_object_save(call, key, before, &head);
}

/* The key's string, empty when there is none; *before as moot_object_look. */
static int look_string(struct moot_call *call, struct moot_slice key, struct moot_head *head,
                       const struct moot_head **before, struct moot_slice *value)
{
    int status = moot_object_look(call, key, MOOT_TYPE_STRING, head, before);
    *value = status == 0 && *before != NULL ? head->string : (struct moot_slice){NULL, 0};
    return status;
}

static void reply_string(struct moot_call *call, const struct moot_head *head)
{
    if (head == NULL) {
        moot_resp_null(&call->reply);
    } else {
        moot_resp_bulk(&call->reply, head->string);
    }
}

/* ---- GET and its kin ---- */

int moot_run_get(struct moot_call *call)
{
    struct moot_head head;
    const struct moot_head *before;
    int status = moot_object_look(call, call->args[1], MOOT_TYPE_STRING, &head, &before);
    if (status == 0) {
        reply_string(call, before);
    }
    return status;
}

int moot_run_mget(struct moot_call *call)
{
    size_t start = call->reply.out->size;
    int blocked = 0;
    moot_resp_array(&call->reply, call->argc - 1);
    for (uint32_t i = 1; i < call->argc; i++) {
        struct moot_head head;
        int status = moot_object_find(call, call->args[i], &head);
        if (status == MOOT_EWOULDBLOCK) {
            blocked = status;
            continue;
        }
        if (status != 0 && status != MOOT_ENOTFOUND) {
            return status;
        }
        /* Another type is no error here. */
        reply_string(call, status == 0 && head.type == MOOT_TYPE_STRING ? &head : NULL);
        status = moot_call_reply_fits(call, start);
        if (status != 0) {
            return status;
        }
    }
    return blocked;
}

int moot_run_strlen(struct moot_call *call)
{
    struct moot_head head;
    const struct moot_head *before;
    struct moot_slice value;
    int status = look_string(call, call->args[1], &head, &before, &value);
    if (status == 0) {
        moot_resp_integer(&call->reply, (int64_t)value.size);
    }
    return status;
}

/* GETRANGE, and SUBSTR, its old name. */
int moot_run_getrange(struct moot_call *call)
{
    int64_t start, end;
    int status = moot_arg_i64(call, 2, &start);
    status = status != 0 ? status : moot_arg_i64(call, 3, &end);
    if (status != 0) {
        return status;
    }
    struct moot_head head;
    const struct moot_head *before;
    struct moot_slice value;
    status = look_string(call, call->args[1], &head, &before, &value);
    if (status != 0) {
        return status;
    }
    int64_t size = (int64_t)value.size;
    bool empty = start < 0 && end < 0 && start > end;
    start = start < 0 ? start + size : start;
    end = end < 0 ? end + size : end;
    start = start < 0 ? 0 : start;
    end = end < 0 ? 0 : end;
    end = end >= size ? size - 1 : end;
    if (empty || start > end || size == 0) {
        moot_resp_bulk(&call->reply, MOOT_SLICE_LITERAL(""));
    } else {
        moot_resp_bulk(&call->reply,
                       moot_slice_make(value.data + start, (size_t)(end - start + 1)));
    }
    return 0;
}

int moot_run_getdel(struct moot_call *call)
{
    struct moot_head head;
    const struct moot_head *before;
    int status = moot_object_look(call, call->args[1], MOOT_TYPE_STRING, &head, &before);
    if (status != 0) {
        return status;
    }
    reply_string(call, before);
    return before == NULL ? 0 : moot_object_delete(call, call->args[1], before);
}

/* ---- SET and GETEX: options ---- */

enum condition { ALWAYS, IF_ABSENT, IF_PRESENT, IF_EQUAL, IF_DIFFERENT };
enum expiry_option {
    EXPIRY_NONE,
    EXPIRY_EX,
    EXPIRY_PX,
    EXPIRY_EXAT,
    EXPIRY_PXAT,
    EXPIRY_KEEP,
    EXPIRY_PERSIST
};

struct string_options {
    enum condition condition;
    struct moot_slice compare; /* IF_EQUAL, IF_DIFFERENT */
    bool get;
    enum expiry_option expiry;
    struct moot_slice expiry_text; /* EX, PX, EXAT, PXAT */
};

static enum condition condition_named(const struct moot_call *call, uint32_t index)
{
    static const struct {
        const char *word;
        enum condition condition;
    } words[] = {{"nx", IF_ABSENT}, {"xx", IF_PRESENT}, {"ifeq", IF_EQUAL}, {"ifne", IF_DIFFERENT}};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(words); i++) {
        if (moot_arg_is(call, index, words[i].word)) {
            return words[i].condition;
        }
    }
    return ALWAYS;
}

static enum expiry_option expiry_named(const struct moot_call *call, uint32_t index)
{
    static const struct {
        const char *word;
        enum expiry_option expiry;
    } words[] = {{"ex", EXPIRY_EX},     {"px", EXPIRY_PX},        {"exat", EXPIRY_EXAT},
                 {"pxat", EXPIRY_PXAT}, {"keepttl", EXPIRY_KEEP}, {"persist", EXPIRY_PERSIST}};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(words); i++) {
        if (moot_arg_is(call, index, words[i].word)) {
            return words[i].expiry;
        }
    }
    return EXPIRY_NONE;
}

/* Options from args[first] on. SET knows all but PERSIST; GETEX only expiries but KEEPTTL. */
static int parse_options(struct moot_call *call, uint32_t first, bool is_set,
                         struct string_options *options)
{
    *options = (struct string_options){.condition = ALWAYS};
    for (uint32_t i = first; i < call->argc; i++) {
        enum condition condition = is_set ? condition_named(call, i) : ALWAYS;
        enum expiry_option expiry = expiry_named(call, i);
        if (is_set && moot_arg_is(call, i, "get")) {
            options->get = true;
        } else if (condition != ALWAYS) {
            bool takes_value = condition == IF_EQUAL || condition == IF_DIFFERENT;
            if ((options->condition != ALWAYS && options->condition != condition) ||
                (takes_value && i + 1 >= call->argc)) {
                return moot_call_syntax(call);
            }
            options->condition = condition;
            options->compare = takes_value ? call->args[++i] : options->compare;
        } else if (expiry != EXPIRY_NONE) {
            bool takes_value = expiry != EXPIRY_KEEP && expiry != EXPIRY_PERSIST;
            if ((options->expiry != EXPIRY_NONE && options->expiry != expiry) ||
                expiry == (is_set ? EXPIRY_PERSIST : EXPIRY_KEEP) ||
                (takes_value && i + 1 >= call->argc)) {
                return moot_call_syntax(call);
            }
            options->expiry = expiry;
            options->expiry_text = takes_value ? call->args[++i] : options->expiry_text;
        } else {
            return moot_call_syntax(call);
        }
    }
    return 0;
}

/* *at_ms: the moment that EX, PX, EXAT or PXAT mean, or `otherwise`. */
static int option_moment(struct moot_call *call, const struct string_options *options,
                         uint64_t otherwise, uint64_t *at_ms)
{
    *at_ms = otherwise;
    enum expiry_option expiry = options->expiry;
    if (expiry == EXPIRY_NONE || expiry == EXPIRY_KEEP || expiry == EXPIRY_PERSIST) {
        return 0;
    }
    return moot_arg_moment(call, options->expiry_text, expiry == EXPIRY_EX || expiry == EXPIRY_EXAT,
                           expiry == EXPIRY_EXAT || expiry == EXPIRY_PXAT, at_ms);
}

static bool condition_holds(const struct string_options *options, const struct moot_head *before)
{
    switch (options->condition) {
    case ALWAYS:
        return true;
    case IF_ABSENT:
        return before == NULL;
    case IF_PRESENT:
        return before != NULL;
    case IF_EQUAL:
        return before != NULL && moot_slice_equal(before->string, options->compare);
    case IF_DIFFERENT:
        return before == NULL || !moot_slice_equal(before->string, options->compare);
    }
    MOOT_UNREACHABLE();
}

/* Saves a string that expires at `at_ms` (0: never); one whose time has passed is not there.
 * `before` may be NULL when nobody looked. */
static int save_until(struct moot_call *call, struct moot_slice key, const struct moot_head *before,
                      struct moot_slice value, uint64_t at_ms)
{
    if (at_ms != 0 && at_ms <= call->now_ms) {
        return moot_object_delete(call, key, before);
    }
    return save_string(call, key, before, value, at_ms);
}

int moot_run_set(struct moot_call *call)
{
    struct string_options options;
    uint64_t at_ms;
    int status = parse_options(call, 3, true, &options);
    status = status != 0 ? status : option_moment(call, &options, 0, &at_ms);
    if (status != 0) {
        return status;
    }
    if (options.condition == ALWAYS && !options.get && options.expiry != EXPIRY_KEEP) {
        moot_resp_simple(&call->reply, "OK"); /* A plain SET need not look first. */
        return save_until(call, call->args[1], NULL, call->args[2], at_ms);
    }
    struct moot_head head;
    const struct moot_head *before;
    /* Whoever looks at the old value wants it to be a string; a plain SET replaces anything. */
    bool compares = options.condition == IF_EQUAL || options.condition == IF_DIFFERENT;
    status = moot_object_look(call, call->args[1],
                              options.get || compares ? MOOT_TYPE_STRING : MOOT_TYPE_NONE, &head,
                              &before);
    if (status != 0) {
        return status;
    }
    bool holds = condition_holds(&options, before);
    if (options.get) {
        reply_string(call, before);
    } else if (holds) {
        moot_resp_simple(&call->reply, "OK");
    } else {
        moot_resp_null(&call->reply);
    }
    if (!holds) {
        return 0;
    }
    if (options.expiry == EXPIRY_KEEP && before != NULL) {
        return save_string(call, call->args[1], before, call->args[2], before->expiry_ms);
    }
    return save_until(call, call->args[1], before, call->args[2], at_ms);
}

int moot_run_getex(struct moot_call *call)
{
    struct string_options options;
    int status = parse_options(call, 2, false, &options);
    if (status != 0) {
        return status;
    }
    struct moot_head head;
    const struct moot_head *before;
    status = moot_object_look(call, call->args[1], MOOT_TYPE_STRING, &head, &before);
    if (status != 0) {
        return status;
    }
    if (before == NULL) {
        moot_resp_null(&call->reply);
        return 0;
    }
    uint64_t at_ms;
    uint64_t otherwise = options.expiry == EXPIRY_PERSIST ? 0 : before->expiry_ms;
    status = option_moment(call, &options, otherwise, &at_ms);
    if (status != 0) {
        return status;
    }
    reply_string(call, before);
    /* What changes nothing must not look like a write to WATCH; a new expiry is one. */
    bool changes = options.expiry != EXPIRY_NONE &&
                   (options.expiry != EXPIRY_PERSIST || before->expiry_ms != 0);
    return changes ? save_until(call, call->args[1], before, before->string, at_ms) : 0;
}

/* SETEX and PSETEX: key, time, value. */
static int set_for(struct moot_call *call, bool seconds)
{
    uint64_t at_ms;
    int status = moot_arg_moment(call, call->args[2], seconds, false, &at_ms);
    if (status != 0) {
        return status;
    }
    moot_resp_simple(&call->reply, "OK");
    return save_string(call, call->args[1], NULL, call->args[3], at_ms);
}
int moot_run_setex(struct moot_call *call) { return set_for(call, true); }
int moot_run_psetex(struct moot_call *call) { return set_for(call, false); }

int moot_run_setnx(struct moot_call *call)
{
    struct moot_head head;
    const struct moot_head *before;
    int status = moot_object_look(call, call->args[1], MOOT_TYPE_NONE, &head, &before);
    if (status != 0) {
        return status;
    }
    moot_resp_integer(&call->reply, before == NULL);
    return before != NULL ? 0 : save_string(call, call->args[1], NULL, call->args[2], 0);
}

int moot_run_getset(struct moot_call *call)
{
    struct moot_head head;
    const struct moot_head *before;
    int status = moot_object_look(call, call->args[1], MOOT_TYPE_STRING, &head, &before);
    if (status != 0) {
        return status;
    }
    reply_string(call, before);
    return save_string(call, call->args[1], before, call->args[2], 0);
}

/* ---- many keys ---- */

/* Sets every pair. A key given twice gets its last value. */
static int set_pairs(struct moot_call *call)
{
    int blocked = 0;
    for (uint32_t i = 1; i + 1 < call->argc; i += 2) {
        int status = save_string(call, call->args[i], NULL, call->args[i + 1], 0);
        if (status == MOOT_EWOULDBLOCK) {
            blocked = status;
        } else if (status != 0) {
            return status;
        }
    }
    return blocked;
}

int moot_run_mset(struct moot_call *call)
{
    if (call->argc % 2 == 0) {
        return moot_call_wrong_count(call);
    }
    int status = set_pairs(call);
    if (status == 0) {
        moot_resp_simple(&call->reply, "OK");
    }
    return status;
}

int moot_run_msetnx(struct moot_call *call)
{
    if (call->argc % 2 == 0) {
        return moot_call_wrong_count(call);
    }
    int blocked = 0;
    for (uint32_t i = 1; i < call->argc; i += 2) {
        struct moot_head head;
        int status = moot_object_find(call, call->args[i], &head);
        if (status == 0 && blocked == 0) {
            moot_resp_integer(&call->reply, 0);
            return 0;
        }
        if (status == MOOT_EWOULDBLOCK) {
            blocked = status;
        } else if (status != 0 && status != MOOT_ENOTFOUND) {
            return status;
        }
    }
    int status = blocked != 0 ? blocked : set_pairs(call);
    if (status == 0) {
        moot_resp_integer(&call->reply, 1);
    }
    return status;
}

/* ---- changing in place; the expiry stays ---- */

int moot_run_append(struct moot_call *call)
{
    struct moot_head head;
    const struct moot_head *before;
    struct moot_slice value, more = call->args[2];
    int status = look_string(call, call->args[1], &head, &before, &value);
    if (status != 0) {
        return status;
    }
    if (value.size + more.size > MOOT_VALUE_MAX) {
        return moot_call_error(call, TOO_LONG);
    }
    uint8_t *joined = moot_arena_alloc(call->arena, value.size + more.size);
    if (value.size > 0) {
        memcpy(joined, value.data, value.size);
    }
    if (more.size > 0) {
        memcpy(joined + value.size, more.data, more.size);
    }
    moot_resp_integer(&call->reply, (int64_t)(value.size + more.size));
    return save_string(call, call->args[1], before, moot_slice_make(joined, value.size + more.size),
                       before == NULL ? 0 : before->expiry_ms);
}

int moot_run_setrange(struct moot_call *call)
{
    int64_t offset;
    int status = moot_arg_i64(call, 2, &offset);
    if (status != 0) {
        return status;
    }
    if (offset < 0) {
        return moot_call_error(call, "ERR offset is out of range");
    }
    struct moot_head head;
    const struct moot_head *before;
    struct moot_slice value, patch = call->args[3];
    status = look_string(call, call->args[1], &head, &before, &value);
    if (status != 0) {
        return status;
    }
    if (patch.size == 0) { /* Makes no key, and no zeros. */
        moot_resp_integer(&call->reply, (int64_t)value.size);
        return 0;
    }
    if (offset > MOOT_VALUE_MAX || (size_t)offset + patch.size > MOOT_VALUE_MAX) {
        return moot_call_error(call, TOO_LONG);
    }
    size_t end = (size_t)offset + patch.size, size = end > value.size ? end : value.size;
    uint8_t *patched = moot_arena_alloc(call->arena, size);
    if (value.size > 0) {
        memcpy(patched, value.data, value.size);
    }
    memset(patched + value.size, 0, size - value.size);
    memcpy(patched + offset, patch.data, patch.size);
    moot_resp_integer(&call->reply, (int64_t)size);
    return save_string(call, call->args[1], before, moot_slice_make(patched, size),
                       before == NULL ? 0 : before->expiry_ms);
}

/* ---- counting ---- */

static int add(struct moot_call *call, int64_t increment)
{
    struct moot_head head;
    const struct moot_head *before;
    struct moot_slice text;
    int status = look_string(call, call->args[1], &head, &before, &text);
    if (status != 0) {
        return status;
    }
    int64_t value = 0, sum;
    if (before != NULL && !moot_slice_to_i64(text, &value)) {
        return moot_call_not_integer(call);
    }
    if (__builtin_add_overflow(value, increment, &sum)) {
        return moot_call_error(call, "ERR increment or decrement would overflow");
    }
    char digits[24];
    size_t size = moot_text_i64(digits, sum);
    moot_resp_integer(&call->reply, sum);
    return save_string(call, call->args[1], before, moot_slice_make(digits, size),
                       before == NULL ? 0 : before->expiry_ms);
}

int moot_run_incr(struct moot_call *call) { return add(call, 1); }
int moot_run_decr(struct moot_call *call) { return add(call, -1); }

int moot_run_incrby(struct moot_call *call)
{
    int64_t increment;
    int status = moot_arg_i64(call, 2, &increment);
    return status != 0 ? status : add(call, increment);
}

int moot_run_decrby(struct moot_call *call)
{
    int64_t decrement;
    int status = moot_arg_i64(call, 2, &decrement);
    if (status != 0) {
        return status;
    }
    if (decrement == INT64_MIN) {
        return moot_call_error(call, "ERR decrement would overflow");
    }
    return add(call, -decrement);
}

int moot_call_add_decimals(struct moot_call *call, struct moot_slice value,
                           struct moot_slice increment, const char *bad, struct moot_slice *sum)
{
    static const char *const INFINITE = "ERR increment would produce NaN or Infinity";
    struct moot_decimal a, b, result;
    int status = moot_decimal_parse(value, &a);
    if (status == MOOT_EINVALID) {
        return moot_call_error(call, bad);
    }
    int other = moot_decimal_parse(increment, &b);
    if (other == MOOT_EINVALID) {
        return moot_call_error(call, "ERR value is not a valid float");
    }
    if (status != 0 || other != 0 || moot_decimal_add(&a, &b, &result) != 0) {
        return moot_call_error(call, INFINITE);
    }
    char *text = moot_arena_alloc(call->arena, MOOT_DECIMAL_TEXT_MAX);
    *sum = moot_slice_make(text, moot_decimal_text(&result, text));
    return 0;
}

int moot_call_check_decimal(struct moot_call *call, struct moot_slice text)
{
    struct moot_decimal number;
    int status = moot_decimal_parse(text, &number);
    if (status == 0) {
        return 0;
    }
    return moot_call_error(call, status == MOOT_EINVALID ? "ERR value is not a valid float"
                                                         : "ERR value is NaN or Infinity");
}

int moot_run_incrbyfloat(struct moot_call *call)
{
    struct moot_head head;
    const struct moot_head *before;
    struct moot_slice value, sum = {NULL, 0};
    int status = look_string(call, call->args[1], &head, &before, &value);
    if (status != 0) {
        return status;
    }
    status = moot_call_add_decimals(call, before == NULL ? MOOT_SLICE_LITERAL("0") : value,
                                    call->args[2], "ERR value is not a valid float", &sum);
    if (status != 0) {
        return status;
    }
    moot_resp_bulk(&call->reply, sum);
    return save_string(call, call->args[1], before, sum, before == NULL ? 0 : before->expiry_ms);
}
