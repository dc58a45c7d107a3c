/* Time to live. An expiry is a moment in milliseconds since 1970, kept in the head; relative forms
 * add to the moment of the log entry, so every replica computes the same. A moment that has passed
 * deletes at once. */
#include "base/assert.h"
#include "database/command/handlers.h"

struct expire_options {
    bool if_none, if_some, if_later, if_earlier; /* NX, XX, GT, LT */
};

static int parse_expire_options(struct moot_call *call, struct expire_options *options)
{
    *options = (struct expire_options){0};
    for (uint32_t i = 3; i < call->argc; i++) {
        if (moot_arg_is(call, i, "nx")) {
            options->if_none = true;
        } else if (moot_arg_is(call, i, "xx")) {
            options->if_some = true;
        } else if (moot_arg_is(call, i, "gt")) {
            options->if_later = true;
        } else if (moot_arg_is(call, i, "lt")) {
            options->if_earlier = true;
        } else {
            return moot_call_unsupported_option(call, i);
        }
    }
    if (options->if_none && (options->if_some || options->if_later || options->if_earlier)) {
        return moot_call_error(
            call, "ERR NX and XX, GT or LT options at the same time are not compatible");
    }
    if (options->if_later && options->if_earlier) {
        return moot_call_error(call, "ERR GT and LT options at the same time are not compatible");
    }
    return 0;
}

/* args[2] as a moment; unlike in SET, the past is allowed, even before 1970 (then *at_ms is 0). */
static int parse_moment(struct moot_call *call, bool seconds, bool absolute, uint64_t *at_ms)
{
    int64_t value, scaled, moment;
    int status = moot_arg_i64(call, 2, &value);
    if (status != 0) {
        return status;
    }
    MOOT_ASSERT(call->now_ms <= INT64_MAX);
    if (__builtin_mul_overflow(value, seconds ? 1000 : 1, &scaled) ||
        __builtin_add_overflow(scaled, absolute ? 0 : (int64_t)call->now_ms, &moment)) {
        return moot_call_error_named(call, "ERR invalid expire time in", "command");
    }
    *at_ms = moment < 0 ? 0 : (uint64_t)moment;
    return 0;
}

/* A key that never expires counts as one that expires after all others. */
static bool allows(const struct expire_options *options, const struct moot_head *head,
                   uint64_t at_ms)
{
    bool has = head->expiry_ms != 0;
    return !(options->if_none && has) && !(options->if_some && !has) &&
           !(options->if_later && (!has || at_ms <= head->expiry_ms)) &&
           !(options->if_earlier && has && at_ms >= head->expiry_ms);
}

static int expire(struct moot_call *call, bool seconds, bool absolute)
{
    struct expire_options options;
    uint64_t at_ms = 0;
    int status = parse_expire_options(call, &options);
    status = status != 0 ? status : parse_moment(call, seconds, absolute, &at_ms);
    if (status != 0) {
        return status;
    }
    struct moot_head head;
    const struct moot_head *before;
    status = moot_object_look(call, call->args[1], MOOT_TYPE_NONE, &head, &before);
    if (status != 0) {
        return status;
    }
    if (before == NULL || !allows(&options, before, at_ms)) {
        moot_resp_integer(&call->reply, 0);
        return 0;
    }
    moot_resp_integer(&call->reply, 1);
    if (at_ms <= call->now_ms) {
        return moot_object_delete(call, call->args[1], before);
    }
    struct moot_head changed = head;
    changed.expiry_ms = at_ms;
    return moot_object_save(call, call->args[1], before, &changed);
}

int moot_run_expire(struct moot_call *call) { return expire(call, true, false); }
int moot_run_pexpire(struct moot_call *call) { return expire(call, false, false); }
int moot_run_expireat(struct moot_call *call) { return expire(call, true, true); }
int moot_run_pexpireat(struct moot_call *call) { return expire(call, false, true); }

/* TTL and its kin: -2 without a key, -1 without an expiry. Seconds are rounded, as Redis rounds. */
static int reply_expiry(struct moot_call *call, bool seconds, bool absolute)
{
    struct moot_head head;
    const struct moot_head *before;
    int status = moot_object_look(call, call->args[1], MOOT_TYPE_NONE, &head, &before);
    if (status != 0) {
        return status;
    }
    int64_t answer = before == NULL ? -2 : -1;
    if (before != NULL && before->expiry_ms != 0) {
        uint64_t ms = before->expiry_ms;
        if (!absolute) {
            ms = ms > call->now_ms ? ms - call->now_ms : 0;
        }
        answer = (int64_t)(seconds ? (ms + 500) / 1000 : ms);
    }
    moot_resp_integer(&call->reply, answer);
    return 0;
}

int moot_run_ttl(struct moot_call *call) { return reply_expiry(call, true, false); }
int moot_run_pttl(struct moot_call *call) { return reply_expiry(call, false, false); }
int moot_run_expiretime(struct moot_call *call) { return reply_expiry(call, true, true); }
int moot_run_pexpiretime(struct moot_call *call) { return reply_expiry(call, false, true); }

int moot_run_persist(struct moot_call *call)
{
    struct moot_head head;
    const struct moot_head *before;
    int status = moot_object_look(call, call->args[1], MOOT_TYPE_NONE, &head, &before);
    if (status != 0) {
        return status;
    }
    bool had = before != NULL && before->expiry_ms != 0;
    moot_resp_integer(&call->reply, had);
    if (!had) {
        return 0;
    }
    struct moot_head changed = head;
    changed.expiry_ms = 0;
    return moot_object_save(call, call->args[1], before, &changed);
}
