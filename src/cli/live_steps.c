/* How an operation is asked: one command, several at once, or several that belong together; and
 * what its answer says of it. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "check/large.h"
#include "cli/live_clients.h"
#include "storage/journal_format.h"

enum {
    ANSWER_MS = 10000,
    ONCE_MS = 20000, /* An increment is sent again for so long. */
    ONCE_NAP_MS = 20,
};

static struct moot_instant instant(void) { return (struct moot_instant){live_now_ns()}; }

/* ---- asking ---- */

/* Appends one command. The value of a large one is filled; data may look like the journal's own. */
static void encode(struct live_client *client, const char *const *words, const char *filled)
{
    struct moot_resp resp = {&client->out, 2};
    uint64_t count = 0;
    while (count < LIVE_WORDS_MAX && words[count] != NULL) {
        count++;
    }
    moot_resp_array(&resp, count);
    for (uint64_t i = 0; i < count; i++) {
        if (words[i] == filled) {
            moot_buffer_reset(&client->large, MOOT_LARGE_MAX);
            moot_large_put(moot_slice_text(filled), JOURNAL_MAGIC, &client->large);
            moot_resp_bulk(&resp, moot_buffer_slice(&client->large));
        } else {
            moot_resp_bulk_text(&resp, words[i]);
        }
    }
}

static void encode_work(struct live_client *client, const struct live_work *work)
{
    encode(client, work->words, work->model == LIVE_LARGE ? work->value : NULL);
}

static bool send_out(struct live_client *client, size_t size)
{
    char why[256];
    MOOT_ASSERT(size <= client->out.size);
    struct moot_slice bytes = {client->out.data, size};
    client->connected = client->connected && cli_send(&client->link, bytes, ANSWER_MS, why) == 0;
    moot_buffer_reset(&client->out, MOOT_LARGE_MAX);
    return client->connected;
}

static bool receive(struct live_client *client, struct moot_resp_value *reply)
{
    char why[256];
    client->connected = client->connected && cli_receive(&client->link, ANSWER_MS, reply, why) == 0;
    return client->connected;
}

/* What an error says of the outcome. The words for "surely not done" are moot's and those of Redis
 * that come before a command is executed. */
static enum moot_outcome outcome_of_error(struct live_client *client, struct moot_slice text)
{
    static const char *const not_done[] = {"CLUSTERDOWN", "TRYAGAIN",   "OVERLOADED", "LOADING",
                                           "READONLY",    "MASTERDOWN", "NOREPLICAS", "MISCONF",
                                           "OOM",         "EXECABORT",  "NOAUTH",     "BUSY"};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(not_done); i++) {
        if (moot_slice_starts_with(text, moot_slice_text(not_done[i]))) {
            return MOOT_OUTCOME_FAIL;
        }
    }
    if (!moot_slice_starts_with(text, MOOT_SLICE_LITERAL("INDOUBT"))) {
        live__remember_strange(client->all, text);
    }
    return MOOT_OUTCOME_INDOUBT;
}

/* The next answer. */
static enum moot_outcome hear(struct live_client *client, struct moot_resp_value *reply)
{
    if (!receive(client, reply)) {
        return MOOT_OUTCOME_INDOUBT;
    }
    return reply->type == MOOT_RESP_ERROR ? outcome_of_error(client, reply->text) : MOOT_OUTCOME_OK;
}

/* Whoever was refused, or is in doubt, tries another server, if it is not pinned. */
static void after(struct live_client *client, enum moot_outcome worst)
{
    if (!client->connected || (worst != MOOT_OUTCOME_OK && !client->pinned)) {
        live__lose(client);
    }
}

enum moot_outcome live__ask(struct live_client *client, const char *const *words,
                            struct moot_resp_value *reply)
{
    encode(client, words, NULL);
    enum moot_outcome outcome = MOOT_OUTCOME_INDOUBT;
    if (send_out(client, client->out.size)) {
        outcome = hear(client, reply);
    }
    after(client, outcome);
    return outcome;
}

/* ---- answers ---- */

/* The elements of an array that was read, as slices into the connection's buffer. */
static struct moot_slice *read_items(const struct cli_client *link, size_t items_count)
{
    struct moot_slice *items = moot_alloc((items_count + 1) * sizeof(*items));
    struct moot_slice bytes = {link->in.data, link->reply_size};
    struct moot_resp_value value;
    for (size_t i = 0; i <= items_count; i++) { /* The head comes first. */
        size_t size;
        MOOT_ASSERT(moot_resp_read(bytes, &value, &size) == 0);
        bytes = (struct moot_slice){bytes.data + size, bytes.size - size};
        if (i > 0) { /* An account that was never used holds nothing. */
            items[i - 1] = value.type == MOOT_RESP_NULL ? MOOT_SLICE_LITERAL("0") : value.text;
        }
    }
    return items;
}

/* The reply as a history wants it. *items is to be freed. */
static struct moot_history_value value_of(const struct cli_client *link,
                                          const struct moot_resp_value *reply,
                                          enum live_model model, struct moot_slice **items)
{
    bool number = model == LIVE_COUNTER || model == LIVE_ONCE || model == LIVE_IDS;
    struct moot_slice text = reply->text;
    int64_t integer;
    switch (reply->type) {
    case MOOT_RESP_INTEGER:
        return moot_history_integer(reply->integer);
    case MOOT_RESP_BULK:
        if (number && moot_slice_to_i64(text, &integer)) {
            return moot_history_integer(integer);
        }
        if (model == LIVE_LARGE && !moot_large_take(reply->text, JOURNAL_MAGIC, &text)) {
            return moot_history_bytes(MOOT_SLICE_LITERAL("damaged")); /* Nobody wrote that. */
        }
        return moot_history_bytes(text);
    case MOOT_RESP_ARRAY:
        *items = read_items(link, (size_t)reply->integer);
        return moot_history_list(*items, (size_t)reply->integer);
    case MOOT_RESP_NULL:
        return number ? moot_history_integer(0) : moot_history_nil();
    default:
        return moot_history_none();
    }
}

/* One operation that has been asked. */
struct asked {
    const struct live_work *work;
    size_t number; /* In its history. */
    uint64_t sent_ns;
};

static struct asked call(struct live_client *client, const struct live_work *work)
{
    struct asked asked = {.work = work, .sent_ns = live_now_ns()};
    asked.number = moot_history_call(&client->histories[work->model], client->id, work->kind,
                                     moot_slice_text(work->key), work->argument, instant());
    if (work->lives_ms != 0) {
        moot_history_lives(&client->histories[work->model], asked.number, work->lives_ms);
    }
    return asked;
}

/* `reply`: of one that is OK. */
static void settle(struct live_client *client, const struct asked *asked, enum moot_outcome outcome,
                   const struct moot_resp_value *reply)
{
    const struct live_work *work = asked->work;
    struct moot_history_value result = moot_history_none();
    struct moot_slice *items = NULL;
    bool silent = work->kind == MOOT_OPERATION_WRITE || work->kind == MOOT_OPERATION_ADD;
    if (outcome == MOOT_OUTCOME_OK && !silent) {
        result = value_of(&client->link, reply, work->model, &items);
        if (work->kind == MOOT_OPERATION_POP && result.kind == MOOT_HISTORY_LIST) {
            MOOT_ASSERT(result.count == 2); /* BLPOP names the key. */
            result = moot_history_bytes(items[1]);
        }
    }
    moot_history_return(&client->histories[work->model], asked->number, outcome, result, instant());
    moot_free(items);
    live__count(client, outcome, asked->sent_ns);
}

enum moot_outcome live__run_one(struct live_client *client, const struct live_work *work)
{
    struct moot_resp_value reply = {.type = MOOT_RESP_NULL};
    struct asked asked = call(client, work);
    enum moot_outcome outcome = MOOT_OUTCOME_INDOUBT;
    encode_work(client, work);
    if (send_out(client, client->out.size)) {
        outcome = hear(client, &reply);
    }
    settle(client, &asked, outcome, &reply);
    after(client, outcome);
    return outcome;
}

void live__run_pipeline(struct live_client *client, const struct live_work *works, size_t count)
{
    struct asked asked[LIVE_PIPELINE_MAX];
    enum moot_outcome worst = MOOT_OUTCOME_OK;
    MOOT_ASSERT(count > 0 && count <= LIVE_PIPELINE_MAX);
    for (size_t i = 0; i < count; i++) {
        asked[i] = call(client, &works[i]);
        encode_work(client, &works[i]);
    }
    (void)send_out(client, client->out.size);
    for (size_t i = 0; i < count; i++) {
        struct moot_resp_value reply = {.type = MOOT_RESP_NULL};
        enum moot_outcome outcome = hear(client, &reply); /* In doubt when it could not be sent. */
        settle(client, &asked[i], outcome, &reply);
        worst = outcome == MOOT_OUTCOME_OK ? worst : outcome;
    }
    after(client, worst);
}

/* Half a command is none: what was not sent to its end is surely not done. */
void live__vanish(struct live_client *client, const struct live_work *work)
{
    struct asked asked = call(client, work);
    encode_work(client, work);
    size_t size = client->out.size;
    bool whole = moot_rng_chance(&client->rng, 1, 2);
    (void)send_out(client, whole ? size : moot_rng_below(&client->rng, size));
    moot_history_return(&client->histories[work->model], asked.number,
                        whole ? MOOT_OUTCOME_INDOUBT : MOOT_OUTCOME_FAIL, moot_history_none(),
                        instant());
    live__leave(client);
}

/* ---- compare and set ---- */

/* WATCH, GET, MULTI, SET: up to here nothing is done. *expected is what GET saw. False: no. */
static bool prepare_cas(struct live_client *client, const struct live_work *work,
                        struct moot_history_value *expected)
{
    struct moot_history *history = &client->histories[LIVE_REGISTER];
    const char *const watch[LIVE_WORDS_MAX] = {"WATCH", work->key},
                      *const get[LIVE_WORDS_MAX] = {"GET", work->key},
                      *const multi[LIVE_WORDS_MAX] = {"MULTI"},
                      *const set[LIVE_WORDS_MAX] = {"SET", work->key, work->value};
    struct moot_resp_value reply;
    struct moot_slice *none = NULL;
    if (live__ask(client, watch, &reply) != MOOT_OUTCOME_OK) {
        return false;
    }
    struct moot_instant called = instant();
    if (live__ask(client, get, &reply) != MOOT_OUTCOME_OK) {
        return false;
    }
    struct moot_history_value seen = value_of(&client->link, &reply, LIVE_REGISTER, &none);
    MOOT_ASSERT(none == NULL);
    size_t read = moot_history_call(history, client->id, MOOT_OPERATION_READ,
                                    moot_slice_text(work->key), moot_history_none(), called);
    moot_history_return(history, read, MOOT_OUTCOME_OK, seen, instant());
    /* The copy: what was seen lies in a buffer that the next reply overwrites. */
    *expected = history->operations[read].result;
    return live__ask(client, multi, &reply) == MOOT_OUTCOME_OK &&
           live__ask(client, set, &reply) == MOOT_OUTCOME_OK;
}

/* An EXEC that did nothing is `fail`, not a cas that answered 0: it may also do nothing after a
 * change of leaders. */
static void compare_and_set(struct live_client *client, const struct live_work *work)
{
    static const char *const exec[LIVE_WORDS_MAX] = {"EXEC"};
    struct moot_history *history = &client->histories[LIVE_REGISTER];
    struct moot_history_value expected;
    struct moot_resp_value reply;
    uint64_t sent_ns = live_now_ns();
    if (!prepare_cas(client, work, &expected)) {
        live__leave(client); /* With what is watched and queued. */
        live__count(client, MOOT_OUTCOME_FAIL, sent_ns);
        return;
    }
    size_t number = moot_history_call_cas(history, client->id, moot_slice_text(work->key), expected,
                                          work->argument, instant());
    enum moot_outcome outcome = live__ask(client, exec, &reply);
    bool done = outcome == MOOT_OUTCOME_OK && reply.type == MOOT_RESP_ARRAY;
    bool aborted = outcome == MOOT_OUTCOME_OK && !done;
    moot_history_return(history, number, aborted ? MOOT_OUTCOME_FAIL : outcome,
                        done ? moot_history_integer(1) : moot_history_none(), instant());
    live__count(client, outcome, sent_ns);
}

/* ---- transfers ---- */

/* MULTI and both increments; false when nothing will be done, and the connection is not to be used
 * on: whoever did not hear that MULTI was taken would change one account alone. */
static bool prepare_transfer(struct live_client *client, const struct live_work *work)
{
    const char *const multi[LIVE_WORDS_MAX] = {"MULTI"},
                      *const take[LIVE_WORDS_MAX] = {"INCRBY", work->key, work->less},
                      *const give[LIVE_WORDS_MAX] = {"INCRBY", work->other[0], work->number};
    struct moot_resp_value reply;
    return live__ask(client, multi, &reply) == MOOT_OUTCOME_OK &&
           live__ask(client, take, &reply) == MOOT_OUTCOME_OK &&
           live__ask(client, give, &reply) == MOOT_OUTCOME_OK;
}

static void transfer(struct live_client *client, const struct live_work *work)
{
    static const char *const exec[LIVE_WORDS_MAX] = {"EXEC"};
    struct moot_resp_value reply = {.type = MOOT_RESP_NULL};
    struct asked asked = call(client, work);
    enum moot_outcome outcome = MOOT_OUTCOME_FAIL;
    bool vanishes = moot_rng_chance(&client->rng, 1, 50);
    if (!prepare_transfer(client, work) || vanishes) {
        live__leave(client);
    } else {
        outcome = live__ask(client, exec, &reply);
        if (outcome == MOOT_OUTCOME_OK && reply.type != MOOT_RESP_ARRAY) {
            live__remember_strange(client->all, MOOT_SLICE_LITERAL("nil for an EXEC unwatched"));
            outcome = MOOT_OUTCOME_INDOUBT;
        }
    }
    settle(client, &asked, outcome, &reply);
}

/* ---- exactly once ---- */

static bool is_text(const struct moot_resp_value *reply, const char *text)
{
    return reply->type == MOOT_RESP_ERROR &&
           moot_slice_starts_with(reply->text, moot_slice_text(text));
}

/* One try. True: there will be no other; *outcome is then what is known of all of them together. */
static bool try_once(struct live_client *client, const struct live_work *work,
                     enum moot_outcome *outcome)
{
    struct moot_resp_value reply;
    bool refused_before = *outcome == MOOT_OUTCOME_FAIL; /* No try was done so far. */
    encode_work(client, work);
    bool answered = send_out(client, client->out.size) && receive(client, &reply);
    enum moot_outcome now = MOOT_OUTCOME_INDOUBT;
    bool over = false;
    if (answered && (reply.type != MOOT_RESP_ERROR || is_text(&reply, "IDDONE "))) {
        now = MOOT_OUTCOME_OK; /* IDDONE: and the answer is no longer kept. */
        over = true;
    } else if (answered && (is_text(&reply, "IDEXPIRED ") ||
                            is_text(&reply, "ERR the id must not be made in the future"))) {
        now = MOOT_OUTCOME_FAIL; /* A clock is far off. */
        over = true;
    } else if (answered) {
        now = outcome_of_error(client, reply.text);
    }
    after(client, now);
    bool known = now == MOOT_OUTCOME_OK || refused_before;
    *outcome = known ? now : MOOT_OUTCOME_INDOUBT;
    return over;
}

/* The same command under the same id, wherever it is taken, until it is answered. */
static void once(struct live_client *client, const struct live_work *work)
{
    const struct timespec nap = {.tv_nsec = ONCE_NAP_MS * 1000000};
    struct asked asked = call(client, work);
    enum moot_outcome outcome = MOOT_OUTCOME_FAIL;
    uint64_t end_ns = asked.sent_ns + ONCE_MS * UINT64_C(1000000);
    while (live__connected(client) && !try_once(client, work, &outcome) && live_now_ns() < end_ns) {
        nanosleep(&nap, NULL);
    }
    moot_history_return(&client->histories[LIVE_ONCE], asked.number, outcome, moot_history_none(),
                        instant());
    live__count(client, outcome, asked.sent_ns);
}

void live__run(struct live_client *client, const struct live_work *work)
{
    switch (work->steps) {
    case LIVE_STEPS_ONE:
        (void)live__run_one(client, work);
        return;
    case LIVE_STEPS_CAS:
        compare_and_set(client, work);
        return;
    case LIVE_STEPS_TRANSFER:
        transfer(client, work);
        return;
    case LIVE_STEPS_ONCE:
        once(client, work);
        return;
    case LIVE_STEPS_TXN:
        live__run_txn(client, work);
        return;
    }
    MOOT_UNREACHABLE();
}
