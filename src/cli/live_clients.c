/* Clients of real servers: one thread and one connection each, and a record of what they were told.
 *
 * With servers->spread every second client is pinned: when its connection is lost it comes back to
 * the same server; the others go on to the next. Every third sends several commands at a time. Now
 * and then one asks and is gone. A client never sends a command again, unless it has an id: what
 * became of one that was not answered stays in doubt, and is for the checkers to find out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "cli/live_clients.h"

enum {
    CONNECT_MS = 500,
    RECONNECT_MS = 20,
    LAST_READ_TRIES = 40,
    LAST_SERVES_MS = 10000,
    VANISH_ONE_IN = 200,
};

struct live_clients {
    struct live_servers *servers;
    uint32_t count, started; /* started: with those of the last reads */
    uint64_t seed, start_ns, epochs;
    uint32_t pace_us, models;
    atomic_bool ending, unread;
    pthread_mutex_t lock;
    char strange[8][128];
    size_t strange_count;
    struct live_client clients[LIVE_CLIENTS_MAX + LIVE_SERVERS_MAX];
};

/* ---- connections ---- */

static void move_on(struct live_client *client)
{
    struct live_servers *servers = client->all->servers;
    uint32_t count = atomic_load(&servers->count);
    bool gone = atomic_load(&servers->is_out[client->server]);
    if (!client->pinned || gone) {
        client->server = (client->server + 1) % count;
    }
}

void live__leave(struct live_client *client)
{
    if (client->connected) {
        cli_disconnect(&client->link);
        client->connected = false;
    }
}

void live__lose(struct live_client *client)
{
    live__leave(client);
    move_on(client);
}

static bool connect_once(struct live_client *client)
{
    char why[256];
    struct live_servers *servers = client->all->servers;
    if (!client->connected && !atomic_load(&servers->is_out[client->server])) {
        client->connected =
            cli_connect(&client->link, servers->address[client->server], CONNECT_MS, why) == 0;
    }
    return client->connected;
}

bool live__connected(struct live_client *client)
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

bool live_knows(const struct live_servers *servers, const char *command)
{
    const char *const words[] = {command};
    struct cli_client link;
    struct moot_resp_value reply;
    char why[256], text[128] = "unknown command";
    for (uint32_t i = 0; i < atomic_load(&servers->count); i++) {
        if (cli_connect(&link, servers->address[i], CONNECT_MS, why) != 0) {
            continue;
        }
        if (cli_command(&link, 1, words, CONNECT_MS, &reply, why) == 0) {
            bool refused = reply.type == MOOT_RESP_ERROR;
            snprintf(text, sizeof(text), "%.*s",
                     refused ? (int)moot_min_u64(reply.text.size, 100) : 0,
                     (const char *)reply.text.data);
            cli_disconnect(&link);
            break;
        }
    }
    return strstr(text, "unknown command") == NULL;
}

/* ---- what is remembered ---- */

void live__remember_strange(struct live_clients *all, struct moot_slice text)
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

void live__count(struct live_client *client, enum moot_outcome outcome, uint64_t sent_ns)
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

/* ---- threads ---- */

static void choose(struct live_client *client, struct live_work *work)
{
    const struct live_clients *all = client->all;
    const struct live_choice choice = {
        .seed = all->seed,
        .epoch = (live_now_ns() - all->start_ns) / 1000000000u / LIVE_EPOCH_S,
        .number = client->written++,
        .client = client->id,
        .models = all->models,
    };
    live_work_choose(work, &client->rng, &choice);
}

/* A work of one command. */
static void choose_one(struct live_client *client, struct live_work *work)
{
    do {
        choose(client, work);
    } while (work->steps != LIVE_STEPS_ONE);
}

static void ask_some(struct live_client *client)
{
    struct live_work works[LIVE_PIPELINE_MAX];
    if (moot_rng_chance(&client->rng, 1, VANISH_ONE_IN)) {
        choose_one(client, works);
        live__vanish(client, works);
        return;
    }
    size_t count = client->pipelines ? 1 + moot_rng_below(&client->rng, LIVE_PIPELINE_MAX) : 1;
    if (count == 1) {
        choose(client, works);
        live__run(client, works);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        choose_one(client, &works[i]);
    }
    live__run_pipeline(client, works, count);
}

static void *run_client(void *argument)
{
    struct live_client *client = argument;
    struct live_clients *all = client->all;
    while (!atomic_load(&all->ending) && live__connected(client)) {
        ask_some(client);
        uint64_t pace_ns = moot_rng_below(&client->rng, (uint64_t)all->pace_us * 2000 + 1);
        struct timespec nap = {.tv_nsec = (long)moot_min_u64(pace_ns, 999999999)};
        nanosleep(&nap, NULL);
    }
    live__leave(client);
    return NULL;
}

/* Every key of every model, through one server; each is asked again until it is answered. */
static void *run_last_reads(void *argument)
{
    struct live_client *client = argument;
    struct live_clients *all = client->all;
    const struct timespec nap = {.tv_nsec = 100 * 1000000};
    for (uint64_t at = 0; at < live_work_last_reads(all->epochs); at++) {
        struct live_work work;
        bool wanted = (all->models >> at % LIVE_MODELS_COUNT & 1) != 0;
        bool answered = !live_work_last_read(&work, all->seed, at) || !wanted;
        for (int i = 0; i < LAST_READ_TRIES && !answered && !live_is_interrupted(); i++) {
            answered = connect_once(client) && live__run_one(client, &work) == MOOT_OUTCOME_OK;
            if (!answered) {
                nanosleep(&nap, NULL);
            }
        }
        if (!answered) {
            atomic_store(&all->unread, true);
            break;
        }
    }
    live__leave(client);
    return NULL;
}

static void start_one(struct live_clients *all, uint32_t server, bool pinned,
                      void *(*body)(void *argument))
{
    uint32_t id = all->started++;
    struct live_client *client = &all->clients[id];
    MOOT_ASSERT(id < MOOT_ARRAY_LEN(all->clients));
    *client = (struct live_client){.all = all, .id = id, .server = server, .pinned = pinned};
    client->pipelines = id % 3 == 2;
    moot_rng_init(&client->rng, all->seed * 1000 + id);
    moot_buffer_init(&client->samples);
    moot_buffer_init(&client->out);
    moot_buffer_init(&client->large);
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
                                        uint64_t seed, uint32_t pace_us, uint32_t models)
{
    struct live_clients *all = moot_alloc_zero(sizeof(*all));
    uint32_t servers_count = atomic_load(&servers->count);
    MOOT_ASSERT(client_count <= LIVE_CLIENTS_MAX && servers_count > 0);
    all->servers = servers;
    all->count = client_count;
    all->seed = seed;
    all->pace_us = pace_us;
    all->models = models;
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
        if (wanted && live_serves(all->servers->address[i], LAST_SERVES_MS)) {
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
        struct live_client *client = &all->clients[i];
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
        moot_buffer_deinit(&client->out);
        moot_buffer_deinit(&client->large);
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
