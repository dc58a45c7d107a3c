/* Clients of real servers: one thread and one connection each, and a record of what they were told.
 *
 * With servers->spread every second client is pinned: when its connection is lost it comes back to
 * the same server; the others go on to the next. A client never sends a command again: what became
 * of one that was not answered stays in doubt, and is for the checkers to find out. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "cli/client.h"
#include "cli/live.h"

enum { ANSWER_MS = 10000, CONNECT_MS = 500, RECONNECT_MS = 20, LAST_READ_TRIES = 40 };

struct client {
    struct live_clients *all;
    pthread_t thread;
    uint32_t id, server;
    bool pinned, connected;
    struct moot_rng rng;
    struct cli_client link;
    uint64_t written; /* Makes every value different. */
    struct moot_history histories[LIVE_MODELS_COUNT];
    struct moot_buffer samples; /* struct live_sample */
    uint64_t outcomes[3];
};

struct live_clients {
    struct live_servers *servers;
    uint32_t count, started; /* started: with those of the last reads */
    uint64_t seed, start_ns, epochs;
    uint32_t pace_us;
    atomic_bool ending, unread;
    pthread_mutex_t lock;
    char strange[8][128];
    size_t strange_count;
    struct client clients[LIVE_CLIENTS_MAX + LIVE_SERVERS_MAX];
};

static struct moot_instant instant(void) { return (struct moot_instant){live_now_ns()}; }

/* ---- connections ---- */

static void move_on(struct client *client)
{
    struct live_servers *servers = client->all->servers;
    uint32_t count = atomic_load(&servers->count);
    bool gone = atomic_load(&servers->is_out[client->server]);
    if (!client->pinned || gone) {
        client->server = (client->server + 1) % count;
    }
}

static void lose(struct client *client)
{
    if (client->connected) {
        cli_disconnect(&client->link);
        client->connected = false;
    }
    move_on(client);
}

static bool connect_once(struct client *client)
{
    char why[256];
    struct live_servers *servers = client->all->servers;
    if (!client->connected && !atomic_load(&servers->is_out[client->server])) {
        client->connected =
            cli_connect(&client->link, servers->address[client->server], CONNECT_MS, why) == 0;
    }
    return client->connected;
}

/* False when it is over before there is a connection. */
static bool connected(struct client *client)
{
    const struct timespec nap = {.tv_nsec = RECONNECT_MS * 1000000};
    while (!connect_once(client)) {
        move_on(client);
        nanosleep(&nap, NULL);
        if (atomic_load(&client->all->ending)) {
            return false;
        }
    }
    return true;
}

bool live_serves(const char *address, int limit_ms)
{
    static const char *const words[] = {"DEL", "moot:check:ready"};
    struct cli_client link;
    struct moot_resp_value reply;
    char why[256];
    bool serves = false;
    if (cli_connect(&link, address, limit_ms, why) == 0) {
        serves = cli_command(&link, 2, words, limit_ms, &reply, why) == 0 &&
                 reply.type == MOOT_RESP_INTEGER;
        cli_disconnect(&link);
    }
    return serves;
}

/* ---- one request ---- */

static void remember_strange(struct live_clients *all, struct moot_slice text)
{
    char line[128];
    snprintf(line, sizeof(line), "%.*s", (int)moot_min_u64(text.size, 120),
             (const char *)text.data);
    pthread_mutex_lock(&all->lock);
    bool known = false;
    for (size_t i = 0; i < all->strange_count; i++) {
        known |= strcmp(all->strange[i], line) == 0;
    }
    if (!known && all->strange_count < MOOT_ARRAY_LEN(all->strange)) {
        memcpy(all->strange[all->strange_count++], line, sizeof(line));
    }
    pthread_mutex_unlock(&all->lock);
}

/* What an error says of the outcome. The words for "surely not done" are moot's and those of Redis
 * that come before a command is executed. */
static enum moot_outcome outcome_of_error(struct client *client, struct moot_slice text)
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
        remember_strange(client->all, text);
    }
    return MOOT_OUTCOME_INDOUBT;
}

/* Sends and waits. In doubt and refused clients that are not pinned try the next server. */
static enum moot_outcome ask(struct client *client, const char *const *words,
                             struct moot_resp_value *reply)
{
    int count = 0;
    char why[256];
    while (count < 4 && words[count] != NULL) {
        count++;
    }
    if (cli_command(&client->link, count, words, ANSWER_MS, reply, why) != 0) {
        client->connected = false; /* It was closed. */
        lose(client);
        return MOOT_OUTCOME_INDOUBT;
    }
    if (reply->type != MOOT_RESP_ERROR) {
        return MOOT_OUTCOME_OK;
    }
    enum moot_outcome outcome = outcome_of_error(client, reply->text);
    if (!client->pinned) {
        lose(client);
    }
    return outcome;
}

static void count(struct client *client, enum moot_outcome outcome, uint64_t sent_ns)
{
    uint64_t now = live_now_ns();
    struct live_sample sample = {
        .at_ns = now,
        .took_us = (uint32_t)moot_min_u64((now - sent_ns) / 1000, UINT32_MAX),
        .outcome = (uint8_t)outcome,
    };
    client->outcomes[outcome]++;
    moot_buffer_append(&client->samples, &sample, sizeof(sample));
}

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
        if (i > 0) {
            items[i - 1] = value.text;
        }
    }
    return items;
}

/* The reply as a history wants it. *items is to be freed. */
static struct moot_history_value value_of(const struct cli_client *link,
                                          const struct moot_resp_value *reply, bool number,
                                          struct moot_slice **items)
{
    int64_t integer;
    switch (reply->type) {
    case MOOT_RESP_INTEGER:
        return moot_history_integer(reply->integer);
    case MOOT_RESP_BULK:
        if (number && moot_slice_to_i64(reply->text, &integer)) {
            return moot_history_integer(integer);
        }
        return moot_history_bytes(reply->text);
    case MOOT_RESP_ARRAY:
        *items = read_items(link, (size_t)reply->integer);
        return moot_history_list(*items, (size_t)reply->integer);
    case MOOT_RESP_NULL:
        return number ? moot_history_integer(0) : moot_history_nil();
    default:
        return moot_history_none();
    }
}

/* Sends it, records it. */
static enum moot_outcome run(struct client *client, const struct live_work *work)
{
    struct moot_history *history = &client->histories[work->model];
    struct moot_resp_value reply;
    struct moot_slice *items = NULL;
    uint64_t sent_ns = live_now_ns();
    size_t number = moot_history_call(history, client->id, work->kind, moot_slice_text(work->key),
                                      work->argument, instant());
    enum moot_outcome outcome = ask(client, work->words, &reply);
    struct moot_history_value result = moot_history_none();
    bool silent = work->kind == MOOT_OPERATION_WRITE || work->kind == MOOT_OPERATION_ADD;
    if (outcome == MOOT_OUTCOME_OK && !silent) {
        result = value_of(&client->link, &reply, work->model == LIVE_COUNTER, &items);
        if (work->kind == MOOT_OPERATION_POP && result.kind == MOOT_HISTORY_LIST) {
            MOOT_ASSERT(result.count == 2); /* BLPOP names the key. */
            result = moot_history_bytes(items[1]);
        }
    }
    moot_history_return(history, number, outcome, result, instant());
    moot_free(items);
    count(client, outcome, sent_ns);
    return outcome;
}

/* WATCH, GET, MULTI, SET: up to here nothing is done. *expected is what GET saw. False: no. */
static bool prepare_cas(struct client *client, const struct live_work *work,
                        struct moot_history_value *expected)
{
    struct moot_history *history = &client->histories[LIVE_REGISTER];
    const char *const watch[4] = {"WATCH", work->key}, *const get[4] = {"GET", work->key},
                      *const multi[4] = {"MULTI"}, *const set[4] = {"SET", work->key, work->value};
    struct moot_resp_value reply;
    struct moot_slice *none = NULL;
    if (ask(client, watch, &reply) != MOOT_OUTCOME_OK) {
        return false;
    }
    struct moot_instant called = instant();
    if (ask(client, get, &reply) != MOOT_OUTCOME_OK) {
        return false;
    }
    struct moot_history_value seen = value_of(&client->link, &reply, false, &none);
    MOOT_ASSERT(none == NULL);
    size_t read = moot_history_call(history, client->id, MOOT_OPERATION_READ,
                                    moot_slice_text(work->key), moot_history_none(), called);
    moot_history_return(history, read, MOOT_OUTCOME_OK, seen, instant());
    /* The copy: what was seen lies in a buffer that the next reply overwrites. */
    *expected = history->operations[read].result;
    return ask(client, multi, &reply) == MOOT_OUTCOME_OK &&
           ask(client, set, &reply) == MOOT_OUTCOME_OK;
}

/* An EXEC that did nothing is `fail`, not a cas that answered 0: it may also do nothing after a
 * change of leaders. */
static void compare_and_set(struct client *client, const struct live_work *work)
{
    static const char *const exec[4] = {"EXEC"};
    struct moot_history *history = &client->histories[LIVE_REGISTER];
    struct moot_history_value expected;
    struct moot_resp_value reply;
    uint64_t sent_ns = live_now_ns();
    if (!prepare_cas(client, work, &expected)) {
        if (client->connected) { /* With what is watched and queued. */
            cli_disconnect(&client->link);
            client->connected = false;
        }
        count(client, MOOT_OUTCOME_FAIL, sent_ns);
        return;
    }
    size_t number = moot_history_call_cas(history, client->id, moot_slice_text(work->key), expected,
                                          work->argument, instant());
    enum moot_outcome outcome = ask(client, exec, &reply);
    bool done = outcome == MOOT_OUTCOME_OK && reply.type == MOOT_RESP_ARRAY;
    bool aborted = outcome == MOOT_OUTCOME_OK && !done;
    moot_history_return(history, number, aborted ? MOOT_OUTCOME_FAIL : outcome,
                        done ? moot_history_integer(1) : moot_history_none(), instant());
    count(client, outcome, sent_ns);
}

/* ---- threads ---- */

static void *run_client(void *argument)
{
    struct client *client = argument;
    struct live_clients *all = client->all;
    while (!atomic_load(&all->ending) && connected(client)) {
        struct live_work work;
        uint64_t epoch = (live_now_ns() - all->start_ns) / 1000000000u / LIVE_EPOCH_S;
        live_work_choose(&work, &client->rng, all->seed, epoch, client->id, client->written++);
        if (work.kind == MOOT_OPERATION_CAS) {
            compare_and_set(client, &work);
        } else {
            run(client, &work);
        }
        uint64_t pace_ns = moot_rng_below(&client->rng, (uint64_t)all->pace_us * 2000 + 1);
        struct timespec nap = {.tv_nsec = (long)moot_min_u64(pace_ns, 999999999)};
        nanosleep(&nap, NULL);
    }
    lose(client);
    return NULL;
}

/* Every key of every model, through one server; each is asked again until it is answered. */
static void *run_last_reads(void *argument)
{
    struct client *client = argument;
    struct live_clients *all = client->all;
    const struct timespec nap = {.tv_nsec = 100 * 1000000};
    for (uint64_t at = 0; at < live_work_last_reads(all->epochs); at++) {
        struct live_work work;
        bool answered = false;
        live_work_last_read(&work, all->seed, at);
        for (int i = 0; i < LAST_READ_TRIES && !answered && !live_is_interrupted(); i++) {
            answered = connect_once(client) && run(client, &work) == MOOT_OUTCOME_OK;
            if (!answered) {
                nanosleep(&nap, NULL);
            }
        }
        if (!answered) {
            atomic_store(&all->unread, true);
            break;
        }
    }
    lose(client);
    return NULL;
}

static void start_one(struct live_clients *all, uint32_t server, bool pinned,
                      void *(*body)(void *argument))
{
    uint32_t id = all->started++;
    struct client *client = &all->clients[id];
    MOOT_ASSERT(id < MOOT_ARRAY_LEN(all->clients));
    *client = (struct client){.all = all, .id = id, .server = server, .pinned = pinned};
    moot_rng_init(&client->rng, all->seed * 1000 + id);
    moot_buffer_init(&client->samples);
    for (int model = 0; model < LIVE_MODELS_COUNT; model++) {
        moot_history_init(&client->histories[model]);
    }
    MOOT_ASSERT(pthread_create(&client->thread, NULL, body, client) == 0);
}

static void join_from(struct live_clients *all, uint32_t first)
{
    for (uint32_t i = first; i < all->started; i++) {
        pthread_join(all->clients[i].thread, NULL);
    }
}

struct live_clients *live_clients_start(struct live_servers *servers, uint32_t client_count,
                                        uint64_t seed, uint32_t pace_us)
{
    struct live_clients *all = moot_alloc_zero(sizeof(*all));
    uint32_t servers_count = atomic_load(&servers->count);
    MOOT_ASSERT(client_count <= LIVE_CLIENTS_MAX && servers_count > 0);
    all->servers = servers;
    all->count = client_count;
    all->seed = seed;
    all->pace_us = pace_us;
    all->start_ns = live_now_ns();
    pthread_mutex_init(&all->lock, NULL);
    for (uint32_t i = 0; i < client_count; i++) {
        bool pinned = servers->spread && i / servers_count % 2 == 0;
        start_one(all, servers->spread ? i % servers_count : 0, pinned, run_client);
    }
    return all;
}

void live_clients_end(struct live_clients *all)
{
    atomic_store(&all->ending, true);
    join_from(all, 0);
    all->epochs = (live_now_ns() - all->start_ns) / 1000000000u / LIVE_EPOCH_S + 1;
}

bool live_clients_last_reads(struct live_clients *all)
{
    uint32_t first = all->started, read = 0;
    for (uint32_t i = 0; i < atomic_load(&all->servers->count); i++) {
        bool wanted = !atomic_load(&all->servers->is_out[i]) && (all->servers->spread || read == 0);
        if (wanted && live_serves(all->servers->address[i], 2000)) {
            start_one(all, i, true, run_last_reads);
            read++;
        }
    }
    join_from(all, first);
    return read > 0 && !atomic_load(&all->unread);
}

/* ---- afterwards ---- */

void live_clients_result(struct live_clients *all, struct live_result *result)
{
    *result = (struct live_result){.strange_count = all->strange_count};
    memcpy(result->strange, all->strange, sizeof(result->strange));
    struct moot_buffer samples;
    moot_buffer_init(&samples);
    for (int model = 0; model < LIVE_MODELS_COUNT; model++) {
        moot_history_init(&result->histories[model]);
    }
    for (uint32_t i = 0; i < all->started; i++) {
        struct client *client = &all->clients[i];
        for (int model = 0; model < LIVE_MODELS_COUNT; model++) {
            struct moot_history *history = &client->histories[model];
            for (size_t k = 0; k < history->count; k++) {
                struct moot_operation *one = &history->operations[k];
                one->called.ns -= all->start_ns;
                one->returned.ns -= moot_min_u64(one->returned.ns, all->start_ns);
                moot_history_add(&result->histories[model], one);
            }
            moot_history_deinit(history);
        }
        if (i < all->count) { /* The last reads are no part of the load. */
            moot_buffer_append_slice(&samples, moot_buffer_slice(&client->samples));
            for (int outcome = 0; outcome < 3; outcome++) {
                result->outcomes[outcome] += client->outcomes[outcome];
            }
        }
        moot_buffer_deinit(&client->samples);
    }
    result->count = samples.size / sizeof(struct live_sample);
    result->samples = moot_alloc(samples.size + 1);
    if (samples.size > 0) {
        memcpy(result->samples, samples.data, samples.size);
    }
    moot_buffer_deinit(&samples);
    pthread_mutex_destroy(&all->lock);
    moot_free(all);
}

void live_result_deinit(struct live_result *result)
{
    for (int model = 0; model < LIVE_MODELS_COUNT; model++) {
        moot_history_deinit(&result->histories[model]);
    }
    moot_free(result->samples);
}
