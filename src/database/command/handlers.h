/* What the files of one data type share: the handlers that the table names, and how they read
 * their arguments.
 *
 * A handler reads before it writes: an error found late would still be undone, but costs more.
 * Commands over many keys or elements do not stop at the first MOOT_EWOULDBLOCK: they touch all
 * they will need, change nothing more, and return it at the end, so that one fetch brings
 * everything. */
#ifndef MOOT_DATABASE_COMMAND_HANDLERS_H
#define MOOT_DATABASE_COMMAND_HANDLERS_H

#include "base/slice.h"
#include "base/status.h"
#include "database/command/command.h"

/* ---- command/argument.c ---- */
static inline bool moot_arg_is(const struct moot_call *call, uint32_t index, const char *word)
{
    return index < call->argc && moot_slice_equal_nocase(call->args[index], word);
}
/* MOOT_CALL_ERROR after "ERR value is not an integer or out of range". */
int moot_arg_i64(struct moot_call *call, uint32_t index, int64_t *out) MOOT_MUST_USE;
/* A moment from an option's number, in seconds or milliseconds, from now or from 1970. Only what is
 * above zero is one; MOOT_CALL_ERROR after "ERR invalid expire time in '...' command". */
int moot_arg_moment(struct moot_call *call, struct moot_slice text, bool seconds, bool absolute,
                    uint64_t *at_ms) MOOT_MUST_USE;
/* A database's number; MOOT_CALL_ERROR after "ERR DB index is out of range". */
int moot_arg_database(struct moot_call *call, uint32_t index, uint8_t *database) MOOT_MUST_USE;
/* MOOT_CALL_ERROR after `before` 'name' `after`, with the command's name. */
int moot_call_error_named(struct moot_call *call, const char *before,
                          const char *after) MOOT_MUST_USE;
/* MOOT_CALL_ERROR after "ERR wrong number of arguments for '...' command". */
int moot_call_wrong_count(struct moot_call *call) MOOT_MUST_USE;
/* MOOT_CALL_ERROR after "ERR wrong number of arguments for 'command|subcommand' command". */
int moot_call_wrong_count_of_subcommand(struct moot_call *call) MOOT_MUST_USE;
/* MOOT_CALL_ERROR after "ERR unknown subcommand '...'. Try ... HELP." */
int moot_call_unknown_subcommand(struct moot_call *call) MOOT_MUST_USE;
/* MOOT_CALL_ERROR after "ERR Unsupported option ...". */
int moot_call_unsupported_option(struct moot_call *call, uint32_t index) MOOT_MUST_USE;
/* A HELP reply: lines, as simple strings. */
void moot_call_help(struct moot_call *call, const char *const *lines, size_t count);
/* MOOT_ELIMIT when this command's reply, which began at `start` bytes of reply.out, has grown
 * beyond what a client may be owed. For loops whose replies have no other bound. */
int moot_call_reply_fits(const struct moot_call *call, size_t start) MOOT_MUST_USE;

/* MOOT_EBUDGET when a read is about to touch this many elements and may not: then it need not
 * begin. (A write finds out on its way: when it is refused is part of what replicas agree on.) */
int moot_call_will_touch(const struct moot_call *call, uint64_t elements) MOOT_MUST_USE;
/* As moot_object_find and moot_object_find_type (NONE: any), but absence is no failure: *before is
 * then NULL, else `head`: what save and delete want. */
int moot_object_look(struct moot_call *call, struct moot_slice key, enum moot_type type,
                     struct moot_head *head, const struct moot_head **before) MOOT_MUST_USE;
/* The options that SCAN and its kin share: [MATCH pattern] [COUNT count] from args[first] on, and
 * what `scan` allows besides. MOOT_CALL_ERROR on others. */
struct moot_scan_options {
    bool allow_type, allow_novalues; /* in */
    bool has_pattern, has_type, no_values;
    struct moot_slice pattern, type;
    uint64_t count;
};
int moot_arg_scan_options(struct moot_call *call, uint32_t first,
                          struct moot_scan_options *scan) MOOT_MUST_USE;
/* MOOT_CALL_ERROR after "ERR invalid cursor". */
int moot_arg_cursor(struct moot_call *call, uint32_t index, uint64_t *cursor) MOOT_MUST_USE;

/* A row of byte strings in the arena, for replies whose length is known only at the end. */
struct moot_row {
    struct moot_slice *items; /* read-only */
    size_t count;             /* read-only */
    size_t capacity, bytes;   /* private */
};
/* Adds a copy of `bytes`. MOOT_ELIMIT when the row has grown beyond what a client may be owed. */
int moot_row_add(struct moot_call *call, struct moot_row *row,
                 struct moot_slice bytes) MOOT_MUST_USE;
void moot_row_reply(struct moot_call *call, const struct moot_row *row);

/* ---- string.c: what others need ---- */
/* The sum of two texts as INCRBYFLOAT prints it, in the arena. `bad`: the error when `value` is not
 * a number. */
int moot_call_add_decimals(struct moot_call *call, struct moot_slice value,
                           struct moot_slice increment, const char *bad,
                           struct moot_slice *sum) MOOT_MUST_USE;

/* MOOT_CALL_ERROR when the text is no number, or an infinite one. */
int moot_call_check_decimal(struct moot_call *call, struct moot_slice text) MOOT_MUST_USE;

/* ---- the handlers, each in the file of its data type ---- */
/* clang-format finds no end with this list. */
/* clang-format off */
#define MOOT_HANDLERS(X)                                                                           \
    /* string.c */                                                                                 \
    X(append) X(decr) X(decrby) X(get) X(getdel) X(getex) X(getrange) X(getset) X(incr) X(incrby)  \
    X(incrbyfloat) X(mget) X(mset) X(msetnx) X(psetex) X(set) X(setex) X(setnx) X(setrange)        \
    X(strlen)                                                                                      \
    /* generic.c, expire.c */                                                                      \
    X(copy) X(del) X(exists) X(expire) X(expireat) X(expiretime) X(move) X(object) X(persist)      \
    X(pexpire) X(pexpireat) X(pexpiretime) X(pttl) X(rename) X(renamenx) X(touch) X(ttl) X(type)   \
    /* hash.c */                                                                                   \
    X(hdel) X(hexists) X(hget) X(hgetall) X(hincrby) X(hincrbyfloat) X(hkeys) X(hlen) X(hmget)     \
    X(hmset) X(hrandfield) X(hscan) X(hset) X(hsetnx) X(hstrlen) X(hvals)                          \
    /* list.c */                                                                                   \
    X(blpop) X(brpop) X(lindex) X(llen) X(lmove) X(lpop) X(lpush) X(lpushx) X(lrange) X(lset)      \
    X(ltrim) X(rpop) X(rpoplpush) X(rpush) X(rpushx)                                               \
    /* database.c */                                                                               \
    X(dbsize) X(flushall) X(flushdb) X(keys) X(randomkey) X(scan) X(swapdb)
/* clang-format on */
#define X(name) int moot_run_##name(struct moot_call *call);
MOOT_HANDLERS(X)
#undef X

#endif
