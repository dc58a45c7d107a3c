/* Concurrent clients of a real cluster, and the history of what they were told.
 *
 *     live_load --port 7001,7002,7003 --clients 16 --seed 7 --out FOLDER < something-that-closes
 *
 * Runs until standard input is closed; then every key is read once more through every node, and the
 * histories (docs/history.md) are written: FOLDER/register, counter, append, set, queue, for
 * `moot check`. One line of JSON sums up. FOLDER/events gets a line for each error, lost connection
 * or answer slower than 100 ms: when (seconds on CLOCK_MONOTONIC), through which port.
 *
 * Client i begins at port i. Every second client is pinned: when its connection is lost it comes
 * back to the same port; the others go on to the next one. A client never sends a command again.
 *
 * Keys change every two seconds: what is in doubt on a key stays concurrent with all that follows,
 * so one key for the whole run would make judging it slow. */
#include <argp.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/rng.h"
#include "base/slice.h"
#include "check/history.h"

enum {
    PORTS_MAX = 16,
    CLIENTS_MAX = 256,
    KEYS = 6, /* of a model, at one time */
    EPOCH_S = 2,
    SLOW_MS = 100,
    ANSWER_S = 20, /* Longer than any fault of the tests. */
    RECONNECT_MS = 20,
    WORD_BYTES = 64,
};

#define MODELS(X)                                                                                  \
    X(REGISTER, "register")                                                                        \
    X(COUNTER, "counter") X(APPEND, "append") X(SET, "set") X(QUEUE, "queue")
enum model {
#define X(name, text) MODEL_##name,
    MODELS(X)
#undef X
        MODELS_COUNT
};
static const char *const model_names[] = {
#define X(name, text) text,
    MODELS(X)
#undef X
};

struct settings {
    int ports[PORTS_MAX];
    uint32_t port_count, clients;
    uint64_t seed;
    double pace_ms;
    const char *out;
};

struct client {
    pthread_t thread;
    const struct settings *settings;
    uint32_t id, port; /* port: which of settings.ports */
    bool pinned, last_reads;
    struct moot_rng rng;
    redisContext *connection;
    uint64_t written; /* Makes every value different. */
    struct moot_history histories[MODELS_COUNT];
    uint64_t counts[3]; /* by moot_outcome */
};

static atomic_bool ending;
static uint64_t start_ns;
static uint32_t epochs; /* Once it is over. */
static FILE *events;
static pthread_mutex_t events_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct moot_instant instant(void) { return (struct moot_instant){now_ns()}; }

static void note(const struct client *client, const char *what, const char *text, double took_ms)
{
    pthread_mutex_lock(&events_lock);
    fprintf(events,
            "{\"at\": %.6f, \"client\": %u, \"port\": %d, \"pinned\": %s, \"what\": \"%s\", "
            "\"took_ms\": %.1f, \"text\": \"",
            (double)now_ns() * 1e-9, client->id, client->settings->ports[client->port],
            client->pinned ? "true" : "false", what, took_ms);
    for (; *text != '\0'; text++) {
        putc(*text < ' ' || *text == '"' || *text == '\\' ? ' ' : *text, events);
    }
    fputs("\"}\n", events);
    pthread_mutex_unlock(&events_lock);
}

/* ---- one request ---- */

static void lose(struct client *client)
{
    note(client, "lost", client->connection->errstr, 0);
    redisFree(client->connection);
    client->connection = NULL;
    if (!client->pinned) {
        client->port = (client->port + 1) % client->settings->port_count;
    }
}

/* False when it is over before there is a connection. */
static bool connected(struct client *client)
{
    struct timeval limit = {.tv_sec = 1}, answer = {.tv_sec = ANSWER_S};
    while (client->connection == NULL) {
        int port = client->settings->ports[client->port];
        redisContext *connection = redisConnectWithTimeout("127.0.0.1", port, limit);
        MOOT_ASSERT(connection != NULL);
        if (connection->err == 0) {
            redisSetTimeout(connection, answer);
            client->connection = connection;
            return true;
        }
        redisFree(connection);
        if (!client->pinned) {
            client->port = (client->port + 1) % client->settings->port_count;
        }
        struct timespec nap = {.tv_nsec = RECONNECT_MS * 1000000};
        nanosleep(&nap, NULL);
        if (atomic_load(&ending) && !client->last_reads) {
            return false;
        }
    }
    return true;
}

/* What a reply says of the outcome. NULL: the connection was lost after the command was sent. */
static enum moot_outcome outcome_of(struct client *client, const redisReply *reply)
{
    static const char *const not_done[] = {"CLUSTERDOWN", "TRYAGAIN", "OVERLOADED", "LOADING"};
    if (reply == NULL) {
        return MOOT_OUTCOME_INDOUBT;
    }
    if (reply->type != REDIS_REPLY_ERROR) {
        return MOOT_OUTCOME_OK;
    }
    for (size_t i = 0; i < MOOT_ARRAY_LEN(not_done); i++) {
        if (strncmp(reply->str, not_done[i], strlen(not_done[i])) == 0) {
            note(client, "refused", reply->str, 0);
            return MOOT_OUTCOME_FAIL;
        }
    }
    note(client, strncmp(reply->str, "INDOUBT", 7) == 0 ? "indoubt" : "unexpected", reply->str, 0);
    return MOOT_OUTCOME_INDOUBT;
}

static redisReply *ask(struct client *client, int count, const char **words)
{
    uint64_t sent_ns = now_ns();
    redisReply *reply = redisCommandArgv(client->connection, count, words, NULL);
    double took_ms = (double)(now_ns() - sent_ns) * 1e-6;
    if (took_ms >= SLOW_MS) {
        note(client, "slow", words[0], took_ms);
    }
    if (reply == NULL) {
        lose(client);
    }
    return reply;
}

/* The reply as a history wants it. Arrays end up in `items`. */
static struct moot_history_value value_of(const redisReply *reply, struct moot_slice *items,
                                          bool number)
{
    int64_t integer;
    switch (reply->type) {
    case REDIS_REPLY_INTEGER:
        return moot_history_integer(reply->integer);
    case REDIS_REPLY_STRING:
        if (number && moot_slice_to_i64(moot_slice_make(reply->str, reply->len), &integer)) {
            return moot_history_integer(integer);
        }
        return moot_history_bytes(moot_slice_make(reply->str, reply->len));
    case REDIS_REPLY_ARRAY:
        for (size_t i = 0; i < reply->elements; i++) {
            items[i] = moot_slice_make(reply->element[i]->str, reply->element[i]->len);
        }
        return moot_history_list(items, reply->elements);
    case REDIS_REPLY_NIL:
        return number ? moot_history_integer(0) : moot_history_nil();
    default:
        return moot_history_none();
    }
}

struct operation {
    enum model model;
    enum moot_operation_kind kind;
    const char *words[4];
    struct moot_history_value argument;
};

/* Sends it, records it. */
static void run(struct client *client, const struct operation *operation)
{
    int count = 0;
    while (count < 4 && operation->words[count] != NULL) {
        count++;
    }
    struct moot_history *history = &client->histories[operation->model];
    size_t number =
        moot_history_call(history, client->id, operation->kind,
                          moot_slice_text(operation->words[1]), operation->argument, instant());
    redisReply *reply = ask(client, count, (const char **)operation->words);
    enum moot_outcome outcome = outcome_of(client, reply);
    struct moot_history_value result = moot_history_none();
    struct moot_slice *items = NULL;
    if (outcome == MOOT_OUTCOME_OK) {
        items = moot_alloc((reply->elements + 1) * sizeof(*items));
        bool number_wanted = operation->model == MODEL_COUNTER;
        bool silent =
            operation->kind == MOOT_OPERATION_WRITE || operation->kind == MOOT_OPERATION_ADD;
        result = silent ? moot_history_none() : value_of(reply, items, number_wanted);
    }
    moot_history_return(history, number, outcome, result, instant());
    client->counts[outcome]++;
    moot_free(items);
    freeReplyObject(reply);
}

/* WATCH, GET, MULTI, SET, EXEC. An EXEC that did nothing is `fail`, not a cas that answered 0: it
 * may also do nothing after a change of leaders. */
static void compare_and_set(struct client *client, const char *key, const char *value)
{
    struct moot_history *history = &client->histories[MODEL_REGISTER];
    struct moot_instant called = instant();
    redisReply *watch = ask(client, 2, (const char *[]){"WATCH", key});
    redisReply *get = watch == NULL ? NULL : ask(client, 2, (const char *[]){"GET", key});
    if (get != NULL && watch->type != REDIS_REPLY_ERROR && get->type != REDIS_REPLY_ERROR) {
        struct moot_history_value expected = value_of(get, NULL, false);
        size_t read = moot_history_call(history, client->id, MOOT_OPERATION_READ,
                                        moot_slice_text(key), moot_history_none(), called);
        moot_history_return(history, read, MOOT_OUTCOME_OK, expected, instant());
        size_t number =
            moot_history_call_cas(history, client->id, moot_slice_text(key), expected,
                                  moot_history_bytes(moot_slice_text(value)), instant());
        redisAppendCommand(client->connection, "MULTI");
        redisAppendCommand(client->connection, "SET %s %s", key, value);
        redisReply *reply = ask(client, 1, (const char *[]){"EXEC"});
        enum moot_outcome outcome = MOOT_OUTCOME_INDOUBT;
        for (int i = 0; i < 2 && reply != NULL; i++) { /* ask() got the first of three replies. */
            void *next = NULL;
            outcome_of(client, reply);
            freeReplyObject(reply);
            if (redisGetReply(client->connection, &next) != REDIS_OK) {
                lose(client);
            }
            reply = next;
        }
        outcome = outcome_of(client, reply);
        bool done = outcome == MOOT_OUTCOME_OK && reply->type == REDIS_REPLY_ARRAY;
        bool aborted = outcome == MOOT_OUTCOME_OK && !done;
        moot_history_return(history, number, aborted ? MOOT_OUTCOME_FAIL : outcome,
                            done ? moot_history_integer(1) : moot_history_none(), instant());
        client->counts[outcome]++;
        freeReplyObject(reply);
    } else if (get != NULL) {
        outcome_of(client, watch);
        outcome_of(client, get);
        redisReply *unwatch = ask(client, 1, (const char *[]){"UNWATCH"});
        freeReplyObject(unwatch);
    }
    freeReplyObject(watch);
    freeReplyObject(get);
}

/* ---- the workload ---- */

/* With the seed, because keys must be new: a second run may follow on the same cluster. */
static void make_key(const struct client *client, char out[WORD_BYTES], enum model model,
                     uint64_t epoch, uint64_t i)
{
    snprintf(out, WORD_BYTES, "%s:%llu:%llu:%llu", model_names[model],
             (unsigned long long)client->settings->seed, (unsigned long long)epoch,
             (unsigned long long)i);
}

/* The last keys of the registers also see SWAP and CAS, which a judge has to search; the first ones
 * are judged fast however many they are. */
static struct operation choose_register(struct client *client, const char *key, const char *value)
{
    bool plain = key[strlen(key) - 1] < '0' + KEYS / 2;
    uint64_t dice = moot_rng_below(&client->rng, plain ? 5 : 8);
    struct moot_history_value argument = moot_history_bytes(moot_slice_text(value));
    if (dice < 2) {
        return (struct operation){
            MODEL_REGISTER, MOOT_OPERATION_WRITE, {"SET", key, value}, argument};
    }
    if (dice < 5) {
        return (struct operation){
            MODEL_REGISTER, MOOT_OPERATION_READ, {"GET", key}, moot_history_none()};
    }
    if (dice == 5) {
        return (struct operation){
            MODEL_REGISTER, MOOT_OPERATION_SWAP, {"GETSET", key, value}, argument};
    }
    if (dice == 6) {
        return (struct operation){
            MODEL_REGISTER, MOOT_OPERATION_DELETE, {"DEL", key}, moot_history_none()};
    }
    return (struct operation){MODEL_REGISTER, MOOT_OPERATION_CAS, {"EXEC", key, value}, argument};
}

static struct operation choose_append(struct client *client, const char *key, const char *value)
{
    static const struct {
        enum moot_operation_kind kind;
        const char *name;
        bool has_value;
    } kinds[] = {
        {MOOT_OPERATION_PUSH, "RPUSH", true},   {MOOT_OPERATION_PUSH_FRONT, "LPUSH", true},
        {MOOT_OPERATION_POP, "LPOP", false},    {MOOT_OPERATION_POP_BACK, "RPOP", false},
        {MOOT_OPERATION_LENGTH, "LLEN", false},
    };
    uint64_t dice = moot_rng_below(&client->rng, MOOT_ARRAY_LEN(kinds) + 1);
    if (dice == MOOT_ARRAY_LEN(kinds)) {
        return (struct operation){
            MODEL_APPEND, MOOT_OPERATION_READ, {"LRANGE", key, "0", "-1"}, moot_history_none()};
    }
    struct operation operation = {
        MODEL_APPEND, kinds[dice].kind, {kinds[dice].name, key}, moot_history_none()};
    if (kinds[dice].has_value) {
        operation.words[2] = value;
        operation.argument = moot_history_bytes(moot_slice_text(value));
    }
    return operation;
}

static struct operation choose(struct client *client, enum model model, const char *key,
                               const char *value)
{
    struct moot_history_value argument = moot_history_bytes(moot_slice_text(value));
    bool write = moot_rng_chance(&client->rng, 1, 2);
    switch (model) {
    case MODEL_REGISTER:
        return choose_register(client, key, value);
    case MODEL_APPEND:
        return choose_append(client, key, value);
    case MODEL_COUNTER:
        return write ? (struct operation){model,
                                          MOOT_OPERATION_INCREMENT,
                                          {"INCRBY", key, "1"},
                                          moot_history_integer(1)}
                     : (struct operation){
                           model, MOOT_OPERATION_READ, {"GET", key}, moot_history_none()};
    case MODEL_SET: /* The fields of a hash are a set. */
        return write ? (struct operation){model,
                                          MOOT_OPERATION_ADD,
                                          {"HSET", key, value, "1"},
                                          argument}
                     : (struct operation){
                           model, MOOT_OPERATION_READ, {"HKEYS", key}, moot_history_none()};
    default:
        return write
                   ? (struct operation){model, MOOT_OPERATION_PUSH, {"RPUSH", key, value}, argument}
                   : (struct operation){
                         model, MOOT_OPERATION_POP, {"LPOP", key}, moot_history_none()};
    }
}

static void one_operation(struct client *client)
{
    char key[WORD_BYTES], value[WORD_BYTES];
    enum model model = (enum model)moot_rng_below(&client->rng, MODELS_COUNT);
    uint64_t epoch = (now_ns() - start_ns) / 1000000000u / EPOCH_S;
    make_key(client, key, model, epoch, moot_rng_below(&client->rng, KEYS));
    snprintf(value, sizeof(value), "%u.%llu", client->id, (unsigned long long)client->written++);
    struct operation operation = choose(client, model, key, value);
    if (operation.kind == MOOT_OPERATION_CAS) {
        compare_and_set(client, key, value);
    } else {
        run(client, &operation);
    }
}

static void *run_client(void *argument)
{
    struct client *client = argument;
    uint64_t pace_ns = (uint64_t)(client->settings->pace_ms * 2e6) + 1;
    while (!atomic_load(&ending) && connected(client)) {
        one_operation(client);
        struct timespec nap = {.tv_nsec = (long)moot_rng_below(&client->rng, pace_ns)};
        nanosleep(&nap, NULL);
    }
    return NULL;
}

/* Every key of every model, through one node. */
static void *run_last_reads(void *argument)
{
    struct client *client = argument;
    static const char *const commands[MODELS_COUNT][3] = {
        {"GET"}, {"GET"}, {"LRANGE", "0", "-1"}, {"HKEYS"}, {"LRANGE", "0", "-1"}};
    client->last_reads = true;
    for (uint32_t at = 0; at < epochs * MODELS_COUNT * KEYS; at++) {
        char key[WORD_BYTES];
        enum model model = (enum model)(at % MODELS_COUNT);
        make_key(client, key, model, at / MODELS_COUNT / KEYS, at / MODELS_COUNT % KEYS);
        const char *const *command = commands[model];
        struct operation operation = {model,
                                      MOOT_OPERATION_READ,
                                      {command[0], key, command[1], command[2]},
                                      moot_history_none()};
        connected(client);
        run(client, &operation);
    }
    return NULL;
}

/* ---- the whole ---- */

static struct client *clients;

static void make_client(uint32_t id, const struct settings *settings)
{
    struct client *client = &clients[id];
    *client = (struct client){.settings = settings, .id = id};
    client->port = id % settings->port_count;
    client->pinned = id / settings->port_count % 2 == 0;
    moot_rng_init(&client->rng, settings->seed * 1000 + id);
    for (int model = 0; model < MODELS_COUNT; model++) {
        moot_history_init(&client->histories[model]);
    }
}

static void write_histories(const struct settings *settings, uint32_t count)
{
    struct moot_buffer text;
    moot_buffer_init(&text);
    for (int model = 0; model < MODELS_COUNT; model++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", settings->out, model_names[model]);
        FILE *file = fopen(path, "w");
        MOOT_ASSERT(file != NULL);
        for (uint32_t i = 0; i < count; i++) {
            moot_buffer_reset(&text, 1 << 20);
            moot_history_write(&clients[i].histories[model], &text);
            fwrite(text.data, 1, text.size, file);
        }
        MOOT_ASSERT(fclose(file) == 0);
    }
    moot_buffer_deinit(&text);
}

static void run_all(uint32_t from, uint32_t count, void *(*body)(void *))
{
    for (uint32_t i = from; i < from + count; i++) {
        MOOT_ASSERT(pthread_create(&clients[i].thread, NULL, body, &clients[i]) == 0);
    }
    if (body == run_client) { /* Until standard input closes. */
        char byte;
        while (read(0, &byte, 1) > 0) {
        }
        atomic_store(&ending, true);
    }
    for (uint32_t i = from; i < from + count; i++) {
        pthread_join(clients[i].thread, NULL);
    }
}

static const struct argp_option table[] = {
    {"port", 'p', "PORT,...", 0, "the nodes", 0},
    {"clients", 'c', "N", 0, "clients (16)", 0},
    {"seed", 's', "N", 0, "of their choices (1)", 0},
    {"pace", 'm', "MS", 0, "mean pause between a client's operations (4)", 0},
    {"out", 'o', "FOLDER", 0, "where the histories go", 0},
    {0},
};

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct settings *settings = state->input;
    switch (key) {
    case 'p':
        for (char *one = strtok(text, ","); one != NULL && settings->port_count < PORTS_MAX;
             one = strtok(NULL, ",")) {
            settings->ports[settings->port_count++] = atoi(one);
        }
        return 0;
    case 'c':
        settings->clients = (uint32_t)atoi(text);
        return 0;
    case 's':
        settings->seed = strtoull(text, NULL, 10);
        return 0;
    case 'm':
        settings->pace_ms = atof(text);
        return 0;
    case 'o':
        settings->out = text;
        return 0;
    case ARGP_KEY_END:
        if (settings->port_count == 0 || settings->out == NULL || settings->clients == 0 ||
            settings->clients > CLIENTS_MAX) {
            argp_error(state, "--port and --out are needed, and 1 to %d clients", CLIENTS_MAX);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        .options = table, .parser = parse, .doc = "Clients of a live cluster, with a history."};
    struct settings settings = {.clients = 16, .seed = 1, .pace_ms = 4};
    argp_parse(&argp, argc, argv, 0, NULL, &settings);
    char path[4096];
    snprintf(path, sizeof(path), "%s/events", settings.out);
    events = fopen(path, "w");
    if (events == NULL) {
        fprintf(stderr, "live_load: %s: %s\n", path, strerror(errno));
        return 1;
    }
    setvbuf(events, NULL, _IOLBF, 0);
    uint32_t count = settings.clients + settings.port_count;
    clients = moot_alloc_zero(count * sizeof(*clients));
    for (uint32_t i = 0; i < count; i++) {
        make_client(i, &settings);
    }
    start_ns = now_ns();
    run_all(0, settings.clients, run_client);
    epochs = (uint32_t)((now_ns() - start_ns) / 1000000000u / EPOCH_S) + 1;
    for (uint32_t i = settings.clients; i < count; i++) {
        clients[i].port = i - settings.clients;
        clients[i].pinned = true;
    }
    run_all(settings.clients, settings.port_count, run_last_reads);
    write_histories(&settings, count);
    uint64_t sums[3] = {0};
    for (uint32_t i = 0; i < count; i++) {
        for (int outcome = 0; outcome < 3; outcome++) {
            sums[outcome] += clients[i].counts[outcome];
        }
    }
    printf("{\"ok\": %llu, \"fail\": %llu, \"indoubt\": %llu}\n",
           (unsigned long long)sums[MOOT_OUTCOME_OK], (unsigned long long)sums[MOOT_OUTCOME_FAIL],
           (unsigned long long)sums[MOOT_OUTCOME_INDOUBT]);
    return fclose(events) == 0 ? 0 : 1;
}
