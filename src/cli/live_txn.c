/* Transactions over several keys, on lists or on registers: MULTI, reads and writes, EXEC. In a
 * third of them keys are watched and read before, and what was seen decides which one is written:
 * that transaction is the reads and the writes together, at one instant, or it is nothing. */
#include <string.h>

#include "base/assert.h"
#include "cli/live_clients.h"

static struct moot_instant instant(void) { return (struct moot_instant){live_now_ns()}; }

static bool is_of_lists(const struct live_work *work) { return work->model == LIVE_APPEND_TXN; }

/* As the history wants them; what reads see is not known yet. */
static void write_down(const struct live_work *work, struct moot_history_step *steps)
{
    enum moot_operation_kind write =
        is_of_lists(work) ? MOOT_OPERATION_APPEND : MOOT_OPERATION_WRITE;
    for (uint32_t i = 0; i < work->txn_count; i++) {
        const struct live_txn_step *step = &work->txn[i];
        steps[i] = (struct moot_history_step){
            .kind = step->writes ? write : MOOT_OPERATION_READ,
            .key = moot_slice_text(step->key),
            .value = step->writes ? moot_history_bytes(moot_slice_text(step->value))
                                  : moot_history_none(),
        };
    }
}

static enum moot_outcome ask_step(struct live_client *client, const struct live_work *work,
                                  const struct live_txn_step *step, struct moot_resp_value *reply)
{
    const char *const push[LIVE_WORDS_MAX] = {"RPUSH", step->key, step->value},
                      *const range[LIVE_WORDS_MAX] = {"LRANGE", step->key, "0", "-1"},
                      *const set[LIVE_WORDS_MAX] = {"SET", step->key, step->value},
                      *const get[LIVE_WORDS_MAX] = {"GET", step->key};
    if (is_of_lists(work)) {
        return live__ask(client, step->writes ? push : range, reply);
    }
    return live__ask(client, step->writes ? set : get, reply);
}

/* ---- answers ---- */

/* The next part of the reply that came last; false: it is over. */
static bool next_part(const struct live_client *client, size_t *at, struct moot_resp_value *part)
{
    size_t size;
    MOOT_ASSERT(*at <= client->link.reply_size);
    struct moot_slice rest = {client->link.in.data + *at, client->link.reply_size - *at};
    if (rest.size == 0 || moot_resp_read(rest, part, &size) != 0) {
        return false;
    }
    *at += size;
    return true;
}

/* What a read saw. The bytes are the history's: the next reply overwrites these. */
static bool take_read(struct live_client *client, const struct live_work *work, size_t *at,
                      struct moot_history_value *seen)
{
    struct moot_arena *arena = &client->histories[work->model].arena;
    struct moot_resp_value part;
    if (!next_part(client, at, &part)) {
        return false;
    }
    if (!is_of_lists(work)) {
        *seen = part.type == MOOT_RESP_NULL ? moot_history_nil()
                                            : moot_history_bytes(moot_arena_copy(arena, part.text));
        return part.type == MOOT_RESP_NULL || part.type == MOOT_RESP_BULK;
    }
    if (part.type != MOOT_RESP_ARRAY) {
        return false;
    }
    size_t count = (size_t)part.integer;
    struct moot_slice *items = moot_arena_alloc(arena, (count + 1) * sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        if (!next_part(client, at, &part) || part.type != MOOT_RESP_BULK) {
            return false;
        }
        items[i] = moot_arena_copy(arena, part.text);
    }
    *seen = moot_history_list(items, count);
    return true;
}

/* EXEC's answers, into the steps after the watched ones. */
static bool take_exec(struct live_client *client, const struct live_work *work,
                      struct moot_history_step *steps)
{
    struct moot_resp_value part;
    size_t at = 0;
    if (!next_part(client, &at, &part) || part.type != MOOT_RESP_ARRAY ||
        part.integer != (int64_t)(work->txn_count - work->watched)) {
        return false;
    }
    for (uint32_t i = work->watched; i < work->txn_count; i++) {
        bool good;
        if (work->txn[i].writes) {
            good = next_part(client, &at, &part) &&
                   part.type == (is_of_lists(work) ? MOOT_RESP_INTEGER : MOOT_RESP_SIMPLE);
        } else {
            good = take_read(client, work, &at, &steps[i].value);
        }
        if (!good) {
            return false;
        }
    }
    return true;
}

/* ---- asking ---- */

/* Of two keys that were read, the shorter list, or the lesser text: nil is the least. */
static bool is_less(const struct moot_history_value *a, const struct moot_history_value *b)
{
    if (a->kind == MOOT_HISTORY_LIST || a->kind == MOOT_HISTORY_NIL ||
        b->kind == MOOT_HISTORY_NIL) {
        return a->kind == MOOT_HISTORY_LIST ? a->count < b->count : b->kind != MOOT_HISTORY_NIL;
    }
    return moot_slice_compare(a->bytes, b->bytes) < 0;
}

/* WATCH and the reads; then it is decided what is written. */
static bool watch(struct live_client *client, const struct live_work *work,
                  struct moot_history_step *steps)
{
    MOOT_ASSERT(work->watched == 2);
    const char *const words[LIVE_WORDS_MAX] = {"WATCH", work->txn[0].key, work->txn[1].key};
    struct moot_resp_value reply;
    if (live__ask(client, words, &reply) != MOOT_OUTCOME_OK) {
        return false;
    }
    for (uint32_t i = 0; i < work->watched; i++) {
        size_t at = 0;
        if (ask_step(client, work, &work->txn[i], &reply) != MOOT_OUTCOME_OK ||
            !take_read(client, work, &at, &steps[i].value)) {
            return false;
        }
    }
    return true;
}

/* MULTI and what belongs to it; false when nothing will be done. */
static bool queue(struct live_client *client, const struct live_work *work)
{
    static const char *const multi[LIVE_WORDS_MAX] = {"MULTI"};
    struct moot_resp_value reply;
    bool good = live__ask(client, multi, &reply) == MOOT_OUTCOME_OK;
    for (uint32_t i = work->watched; i < work->txn_count && good; i++) {
        good = ask_step(client, work, &work->txn[i], &reply) == MOOT_OUTCOME_OK;
    }
    return good;
}

static enum moot_outcome execute(struct live_client *client, const struct live_work *work,
                                 struct moot_history_step *steps)
{
    static const char *const exec[LIVE_WORDS_MAX] = {"EXEC"};
    struct moot_resp_value reply;
    enum moot_outcome outcome = live__ask(client, exec, &reply);
    if (outcome != MOOT_OUTCOME_OK) {
        return outcome;
    }
    if (reply.type == MOOT_RESP_NULL && work->watched > 0) {
        return MOOT_OUTCOME_FAIL; /* Somebody wrote meanwhile, or there is another leader. */
    }
    if (!take_exec(client, work, steps)) {
        live__remember_strange(client->all, MOOT_SLICE_LITERAL("an EXEC's reply"));
        return MOOT_OUTCOME_INDOUBT;
    }
    return MOOT_OUTCOME_OK;
}

/* Called before anything of it is sent, though it is written down only when all steps are known. */
void live__run_txn(struct live_client *client, const struct live_work *work)
{
    struct moot_history *history = &client->histories[work->model];
    struct moot_history_step steps[LIVE_TXN_STEPS_MAX] = {{0}};
    struct live_work decided = *work;
    struct moot_instant called = instant();
    MOOT_ASSERT(work->txn_count <= LIVE_TXN_STEPS_MAX);
    MOOT_ASSERT(work->watched < work->txn_count);
    write_down(work, steps);
    if (work->watched > 0) {
        if (!watch(client, work, steps)) {
            live__leave(client); /* With what is watched. */
            live__count(client, MOOT_OUTCOME_FAIL, called.ns);
            return;
        }
        uint32_t least = is_less(&steps[1].value, &steps[0].value) ? 1 : 0;
        memcpy(decided.txn[work->watched].key, work->txn[least].key, sizeof(work->txn[least].key));
        steps[work->watched].key = steps[least].key;
    }
    size_t operation = moot_history_call_txn(history, client->id, steps, work->txn_count, called);
    enum moot_outcome outcome = MOOT_OUTCOME_FAIL;
    if (queue(client, &decided)) {
        outcome = execute(client, work, steps);
    } else {
        live__leave(client); /* With what is queued. */
    }
    moot_history_return_txn(history, operation, outcome, outcome == MOOT_OUTCOME_OK ? steps : NULL,
                            instant());
    live__count(client, outcome, called.ns);
}
