/* Commands that take keys of every type. */
#include "base/assert.h"
#include "database/command/handlers.h"

/* DEL and UNLINK: the same here, for deleting a collection is one change of its head. */
int moot_run_del(struct moot_call *call)
{
    int64_t deleted = 0;
    int blocked = 0;
    for (uint32_t i = 1; i < call->argc; i++) {
        struct moot_head head;
        int status = moot_object_find(call, call->args[i], &head);
        if (status == 0 && blocked == 0) {
            status = moot_object_delete(call, call->args[i], &head);
            deleted += status == 0;
        }
        if (status == MOOT_EWOULDBLOCK) {
            blocked = status;
        } else if (status != 0 && status != MOOT_ENOTFOUND) {
            return status;
        }
    }
    moot_resp_integer(&call->reply, deleted);
    return blocked;
}

/* EXISTS and TOUCH: there is no time of last use to touch. A key given twice counts twice. */
int moot_run_exists(struct moot_call *call)
{
    int64_t found = 0;
    int blocked = 0;
    for (uint32_t i = 1; i < call->argc; i++) {
        struct moot_head head;
        int status = moot_object_find(call, call->args[i], &head);
        found += status == 0;
        if (status == MOOT_EWOULDBLOCK) {
            blocked = status;
        } else if (status != 0 && status != MOOT_ENOTFOUND) {
            return status;
        }
    }
    moot_resp_integer(&call->reply, found);
    return blocked;
}
int moot_run_touch(struct moot_call *call) { return moot_run_exists(call); }

int moot_run_type(struct moot_call *call)
{
    struct moot_head head;
    const struct moot_head *before;
    int status = moot_object_look(call, call->args[1], MOOT_TYPE_NONE, &head, &before);
    if (status == 0) {
        moot_resp_simple(&call->reply, moot_type_name(before == NULL ? MOOT_TYPE_NONE : head.type));
    }
    return status;
}

/* ---- copying and moving ---- */

struct place {
    moot_keyspace keyspace;
    struct moot_slice key;
};

static int look_at(struct moot_call *call, const struct place *place, struct moot_head *head,
                   const struct moot_head **before)
{
    moot_keyspace keyspace = call->keyspace;
    call->keyspace = place->keyspace;
    int status = moot_object_look(call, place->key, MOOT_TYPE_NONE, head, before);
    call->keyspace = keyspace;
    return status;
}

/* Elements live under their key, so a collection is copied one element at a time: O(n), unlike
 * everything else that is done to a whole collection. */
static int copy_elements(struct moot_call *call, const struct place *from,
                         const struct moot_head *head, struct moot_slice to, struct moot_head *copy)
{
    struct moot_slice prefix =
        moot_key_elements(call->arena, from->keyspace, from->key, head->incarnation);
    struct moot_view_iterator iterator;
    int status = moot_view_iterate(call->view, MOOT_WHEN_NOW,
                                   moot_key_prefix_range(call->arena, prefix), false, &iterator);
    if (status != 0) {
        return status;
    }
    int blocked = 0;
    uint64_t copied = 0;
    struct moot_slice physical, value;
    while ((status = moot_view_next(&iterator, &physical, &value)) == 0) {
        struct moot_key_parts parts;
        bool existed;
        if (!moot_key_parse(physical, &parts) || parts.is_head) {
            status = MOOT_FAIL(MOOT_ECORRUPT);
            break;
        }
        status = moot_element_put(call, to, copy, parts.element, value, &existed);
        if (status == MOOT_EWOULDBLOCK) {
            blocked = status;
        } else if (status != 0) {
            break;
        }
        copied++;
    }
    moot_view_iterate_end(&iterator);
    if (status != MOOT_ENOTFOUND) {
        return status;
    }
    if (blocked == 0 && copied != head->count) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    return blocked;
}

/* Puts what is at `from` (`head`) also at `to`, in place of `to_before`; the expiry goes along. */
static int copy_object(struct moot_call *call, const struct place *from,
                       const struct moot_head *head, const struct place *to,
                       const struct moot_head *to_before)
{
    MOOT_ASSERT(!call->is_read);
    moot_keyspace keyspace = call->keyspace;
    call->keyspace = to->keyspace;
    struct moot_head copy = *head;
    int status = 0;
    if (head->type != MOOT_TYPE_STRING) {
        copy.incarnation = call->incarnation++;
        copy.digest = 0;
        status = copy_elements(call, from, head, to->key, &copy);
    }
    if (status == 0) {
        status = moot_object_save(call, to->key, to_before, &copy);
    }
    if (status == 0 && head->type == MOOT_TYPE_LIST) {
        moot_call_signal(call, to->key);
    }
    call->keyspace = keyspace;
    return status;
}

static int rename_key(struct moot_call *call, bool only_if_absent)
{
    struct place from = {call->keyspace, call->args[1]}, to = {call->keyspace, call->args[2]};
    struct moot_head head, there;
    const struct moot_head *before, *there_before;
    int status = look_at(call, &from, &head, &before);
    int other = look_at(call, &to, &there, &there_before);
    status = status != 0 ? status : other;
    if (status != 0) {
        return status;
    }
    if (before == NULL) {
        return moot_call_error(call, "ERR no such key");
    }
    bool same = moot_slice_equal(from.key, to.key);
    if (only_if_absent) {
        moot_resp_integer(&call->reply, there_before == NULL);
    } else {
        moot_resp_simple(&call->reply, "OK");
    }
    if (same || (only_if_absent && there_before != NULL)) {
        return 0;
    }
    status = copy_object(call, &from, before, &to, there_before);
    return status != 0 ? status : moot_object_delete(call, from.key, before);
}
int moot_run_rename(struct moot_call *call) { return rename_key(call, false); }
int moot_run_renamenx(struct moot_call *call) { return rename_key(call, true); }

static const char *const SAME = "ERR source and destination objects are the same";

int moot_run_move(struct moot_call *call)
{
    uint8_t database;
    int status = moot_arg_database(call, 2, &database);
    if (status != 0) {
        return status;
    }
    if (database == call->database) {
        return moot_call_error(call, SAME);
    }
    struct place from = {call->keyspace, call->args[1]};
    struct place to = {call->shared->keyspace_of[database], call->args[1]};
    MOOT_ASSERT(from.keyspace != to.keyspace);
    struct moot_head head, there;
    const struct moot_head *before, *there_before;
    status = look_at(call, &from, &head, &before);
    int other = look_at(call, &to, &there, &there_before);
    status = status != 0 ? status : other;
    if (status != 0) {
        return status;
    }
    bool moves = before != NULL && there_before == NULL;
    moot_resp_integer(&call->reply, moves);
    if (!moves) {
        return 0;
    }
    status = copy_object(call, &from, before, &to, NULL);
    return status != 0 ? status : moot_object_delete(call, from.key, before);
}

int moot_run_copy(struct moot_call *call)
{
    uint8_t database = call->database;
    bool replace = false;
    for (uint32_t i = 3; i < call->argc; i++) {
        if (moot_arg_is(call, i, "replace")) {
            replace = true;
        } else if (moot_arg_is(call, i, "db") && i + 1 < call->argc) {
            int status = moot_arg_database(call, ++i, &database);
            if (status != 0) {
                return status;
            }
        } else {
            return moot_call_syntax(call);
        }
    }
    struct place from = {call->keyspace, call->args[1]};
    struct place to = {call->shared->keyspace_of[database], call->args[2]};
    if (from.keyspace == to.keyspace && moot_slice_equal(from.key, to.key)) {
        return moot_call_error(call, SAME);
    }
    struct moot_head head, there;
    const struct moot_head *before, *there_before;
    int status = look_at(call, &from, &head, &before);
    int other = look_at(call, &to, &there, &there_before);
    status = status != 0 ? status : other;
    if (status != 0) {
        return status;
    }
    bool copies = before != NULL && (replace || there_before == NULL);
    moot_resp_integer(&call->reply, copies);
    return copies ? copy_object(call, &from, before, &to, there_before) : 0;
}

/* ---- OBJECT ---- */

/* What Redis would use for such a value: tools print it; nothing here depends on it. */
static const char *encoding(const struct moot_head *head)
{
    enum { EMBEDDED_MAX = 44, LISTPACK_MAX = 128 };
    int64_t number;
    switch (head->type) {
    case MOOT_TYPE_STRING:
        if (moot_slice_to_i64(head->string, &number)) {
            return "int";
        }
        return head->string.size <= EMBEDDED_MAX ? "embstr" : "raw";
    case MOOT_TYPE_LIST:
        return "quicklist";
    case MOOT_TYPE_ZSET:
        return head->count <= LISTPACK_MAX ? "listpack" : "skiplist";
    case MOOT_TYPE_STREAM:
        return "stream";
    case MOOT_TYPE_HASH:
    case MOOT_TYPE_SET:
        return head->count <= LISTPACK_MAX ? "listpack" : "hashtable";
    case MOOT_TYPE_NONE:
        break;
    }
    MOOT_UNREACHABLE();
}

static const char *const OBJECT_HELP[] = {
    "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ENCODING <key>",
    "    Return the kind of internal representation that Redis would use for the value at <key>.",
    "FREQ <key>",
    "    Access frequencies are not kept: an error.",
    "HELP",
    "    Print this help.",
    "IDLETIME <key>",
    "    Return the seconds since the last write of <key>.",
    "REFCOUNT <key>",
    "    Return 1.",
};

int moot_run_object(struct moot_call *call)
{
    if (moot_arg_is(call, 1, "help")) {
        if (call->argc != 2) {
            return moot_call_wrong_count_of_subcommand(call);
        }
        moot_call_help(call, OBJECT_HELP, MOOT_ARRAY_LEN(OBJECT_HELP));
        return 0;
    }
    bool wants_encoding = moot_arg_is(call, 1, "encoding"),
         wants_freq = moot_arg_is(call, 1, "freq");
    bool wants_idle = moot_arg_is(call, 1, "idletime");
    if (!wants_encoding && !wants_freq && !wants_idle && !moot_arg_is(call, 1, "refcount")) {
        return moot_call_unknown_subcommand(call);
    }
    if (call->argc != 3) {
        return moot_call_wrong_count_of_subcommand(call);
    }
    struct moot_head head;
    const struct moot_head *before;
    int status = moot_object_look(call, call->args[2], MOOT_TYPE_NONE, &head, &before);
    if (status != 0) {
        return status;
    }
    if (before == NULL) {
        moot_resp_null(&call->reply);
    } else if (wants_encoding) {
        moot_resp_bulk_text(&call->reply, encoding(before));
    } else if (wants_freq) {
        return moot_call_error(
            call, "ERR An LFU maxmemory policy is not selected, access frequency not tracked. "
                  "Please note that when switching between policies at runtime LRU and LFU data "
                  "will take some time to adjust.");
    } else if (wants_idle) {
        uint64_t written_ms = moot_hlc_ms(before->stamp.time);
        moot_resp_integer(&call->reply, call->now_ms > written_ms
                                            ? (int64_t)((call->now_ms - written_ms) / 1000)
                                            : 0);
    } else {
        moot_resp_integer(&call->reply, 1);
    }
    return 0;
}
