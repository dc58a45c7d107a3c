/* Commands that the edge answers from what it knows itself: connection state, the command table,
 * the node's own facts. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/memory.h"
#include "database/command/docs.h"
#include "database/edge/edge.h"

struct local {
    struct moot_edge *edge;
    struct moot_connection *connection;
    const struct moot_slice *args;
    uint32_t argc;
};

static void ok(const struct local *local)
{
    edge__reply_text(local->edge, local->connection, "+OK\r\n");
}
static void error(const struct local *local, const char *text)
{
    edge__error(local->edge, local->connection, text);
}
static bool is(const struct local *local, uint32_t at, const char *text)
{
    return at < local->argc && moot_slice_equal_nocase(local->args[at], text);
}

/* Copies a printable argument into a fixed field; false when it does not fit or has blanks. */
bool edge__take_text(struct moot_slice from, char *out, size_t max)
{
    if (from.size >= max) {
        return false;
    }
    for (size_t i = 0; i < from.size; i++) {
        if (from.data[i] <= ' ' || from.data[i] > '~') {
            return false;
        }
    }
    if (from.size > 0) {
        memcpy(out, from.data, from.size);
    }
    out[from.size] = '\0';
    return true;
}

/* ---- connection ---- */

static void ping(const struct local *local)
{
    if (local->argc > 2) {
        error(local, "ERR wrong number of arguments for 'ping' command");
        return;
    }
    struct moot_resp resp = edge__resp(local->edge, local->connection);
    if (local->argc == 2) {
        moot_resp_bulk(&resp, local->args[1]);
    } else {
        moot_resp_simple(&resp, "PONG");
    }
    edge__reply_scratch(local->edge, local->connection);
}

static void echo(const struct local *local)
{
    struct moot_resp resp = edge__resp(local->edge, local->connection);
    moot_resp_bulk(&resp, local->args[1]);
    edge__reply_scratch(local->edge, local->connection);
}

static void quit(const struct local *local)
{
    ok(local);
    local->connection->is_closing = true;
    edge__mark(local->edge, local->connection);
}

static void reset(const struct local *local)
{
    moot_connection_reset(local->connection);
    edge__reply_text(local->edge, local->connection, "+RESET\r\n");
}

static void select_database(const struct local *local)
{
    int64_t database;
    if (!moot_slice_to_i64(local->args[1], &database)) {
        error(local, "ERR value is not an integer or out of range");
    } else if (database < 0 || database >= MOOT_DATABASES) {
        error(local, "ERR DB index is out of range");
    } else {
        local->connection->database = (uint8_t)database;
        ok(local);
    }
}

/* The default user has no password: any is right, as in Redis. */
static void auth(const struct local *local)
{
    if (local->argc > 3) {
        error(local, "ERR syntax error");
    } else if (local->argc == 2) {
        error(local, "ERR AUTH <password> called without any password configured for the default "
                     "user. Are you sure your configuration is correct?");
    } else if (!moot_slice_equal(local->args[1], MOOT_SLICE_LITERAL("default"))) {
        error(local, "WRONGPASS invalid username-password pair or user is disabled.");
    } else {
        ok(local);
    }
}

/* HELLO [protover [AUTH user password] [SETNAME name]] */
static void hello(const struct local *local)
{
    struct moot_connection *connection = local->connection;
    uint64_t version = connection->protocol;
    if (local->argc > 1 &&
        (!moot_slice_to_u64(local->args[1], &version) || version < 2 || version > 3)) {
        error(local, "NOPROTO unsupported protocol version");
        return;
    }
    char name[MOOT_NAME_MAX];
    bool has_name = false;
    for (uint32_t i = 2; i < local->argc; i++) {
        if (is(local, i, "auth") && i + 2 < local->argc) {
            if (!moot_slice_equal(local->args[i + 1], MOOT_SLICE_LITERAL("default"))) {
                error(local, "WRONGPASS invalid username-password pair or user is disabled.");
                return;
            }
            i += 2; /* The default user has no password: any is right, as in Redis. */
        } else if (is(local, i, "setname") && i + 1 < local->argc) {
            has_name = edge__take_text(local->args[++i], name, sizeof(name));
            if (!has_name) {
                error(local,
                      "ERR Client names cannot contain spaces, newlines or special characters.");
                return;
            }
        } else {
            error(local, "ERR Syntax error in HELLO option");
            return;
        }
    }
    if (has_name) {
        memcpy(connection->name, name, sizeof(name));
    }
    connection->protocol = (uint8_t)version;
    struct moot_resp resp = edge__resp(local->edge, connection);
    moot_resp_map(&resp, 7);
    moot_resp_bulk_text(&resp, "server");
    moot_resp_bulk_text(&resp, "redis");
    moot_resp_bulk_text(&resp, "version");
    moot_resp_bulk_text(&resp, MOOT_REDIS_VERSION);
    moot_resp_bulk_text(&resp, "proto");
    moot_resp_integer(&resp, connection->protocol);
    moot_resp_bulk_text(&resp, "id");
    moot_resp_integer(&resp, (int64_t)connection->number);
    moot_resp_bulk_text(&resp, "mode");
    moot_resp_bulk_text(&resp, "standalone");
    moot_resp_bulk_text(&resp, "role");
    moot_resp_bulk_text(&resp, "master");
    moot_resp_bulk_text(&resp, "modules");
    moot_resp_array(&resp, 0);
    edge__reply_scratch(local->edge, connection);
}

/* ---- server ---- */

static void command_docs(const struct local *local)
{
    struct moot_resp resp = edge__resp(local->edge, local->connection);
    moot_command_answer(&resp, local->args, local->argc, &local->edge->arena);
    edge__reply_scratch(local->edge, local->connection);
}

static void time_now(const struct local *local)
{
    uint64_t ms = local->edge->now.wall_ms;
    struct moot_resp resp = edge__resp(local->edge, local->connection);
    moot_resp_array(&resp, 2);
    moot_resp_bulk_u64(&resp, ms / 1000);
    moot_resp_bulk_u64(&resp, ms % 1000 * 1000);
    edge__reply_scratch(local->edge, local->connection);
}

/* What clients and libraries ask for; moot has no settings of Redis' kind. */
static const struct {
    const char *name, *value;
} CONFIG[] = {
    {"appendfsync", "always"},
    {"appendonly", "yes"},
    {"databases", "16"},
    {"maxclients", "10000"},
    {"maxmemory", "0"},
    {"maxmemory-clients", "268435456"}, /* Checked below. */
    {"maxmemory-policy", "noeviction"},
    {"notify-keyspace-events", ""},
    {"proto-max-bulk-len", "8388608"},
    {"save", ""},
    {"timeout", "0"},
};

_Static_assert(MOOT_CLIENTS_BYTES_MAX == 268435456, "maxmemory-clients says what is so");

static void config(const struct local *local)
{
    if (is(local, 1, "resetstat") || is(local, 1, "rewrite")) {
        ok(local);
        return;
    }
    if (!is(local, 1, "get") || local->argc < 3) {
        error(local, is(local, 1, "set")
                         ? "ERR moot's settings are not changed with CONFIG SET"
                         : "ERR unknown subcommand or wrong number of arguments. Try CONFIG GET.");
        return;
    }
    uint64_t found = 0;
    bool wanted[MOOT_ARRAY_LEN(CONFIG)] = {false};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(CONFIG); i++) {
        for (uint32_t a = 2; a < local->argc && !wanted[i]; a++) {
            wanted[i] =
                moot_slice_matches_glob(moot_slice_text(CONFIG[i].name), local->args[a], true);
        }
        found += wanted[i];
    }
    struct moot_resp resp = edge__resp(local->edge, local->connection);
    moot_resp_map(&resp, found);
    for (size_t i = 0; i < MOOT_ARRAY_LEN(CONFIG); i++) {
        if (wanted[i]) {
            moot_resp_bulk_text(&resp, CONFIG[i].name);
            moot_resp_bulk_text(&resp, CONFIG[i].value);
        }
    }
    edge__reply_scratch(local->edge, local->connection);
}

/* WAIT replicas timeout: every acknowledged write is on a majority already; how many replicas that
 * is at least. */
static void wait(const struct local *local)
{
    int64_t replicas, timeout;
    if (!moot_slice_to_i64(local->args[1], &replicas) ||
        !moot_slice_to_i64(local->args[2], &timeout)) {
        error(local, "ERR value is not an integer or out of range");
        return;
    }
    uint32_t voters = local->edge->groups[MOOT_GROUP_DB0].members->voter_count;
    struct moot_resp resp = edge__resp(local->edge, local->connection);
    moot_resp_integer(&resp, voters / 2);
    edge__reply_scratch(local->edge, local->connection);
}

static void unwatch(const struct local *local)
{
    moot_connection_forget_watches(local->connection);
    ok(local);
}

/* SLOWLOG and LATENCY: nothing is kept yet. */
static void empty_list(const struct local *local)
{
    bool slowlog = is(local, 0, "slowlog");
    if (is(local, 1, "reset") && slowlog) {
        ok(local);
    } else if (is(local, 1, slowlog ? "len" : "reset")) {
        edge__reply_text(local->edge, local->connection, ":0\r\n");
    } else {
        edge__reply_text(local->edge, local->connection, "*0\r\n");
    }
}

static void acl(const struct local *local)
{
    if (is(local, 1, "whoami")) {
        edge__reply_text(local->edge, local->connection, "$7\r\ndefault\r\n");
    } else {
        error(local, "ERR there are no users but `default` yet");
    }
}

static void lolwut(const struct local *local)
{
    struct moot_resp resp = edge__resp(local->edge, local->connection);
    moot_resp_bulk_text(&resp, "moot ver. " MOOT_VERSION "\n");
    edge__reply_scratch(local->edge, local->connection);
}

static void info(const struct local *local)
{
    edge__info(local->edge, local->connection, local->args, local->argc);
}
static void client(const struct local *local)
{
    edge__client(local->edge, local->connection, local->args, local->argc);
}
static void role(const struct local *local) { edge__role(local->edge, local->connection); }
static void cluster(const struct local *local)
{
    edge__cluster(local->edge, local->connection, local->args, local->argc);
}
static void moot(const struct local *local)
{
    edge__moot(local->edge, local->connection, local->args, local->argc);
}

static const struct {
    const char *name;
    void (*run)(const struct local *local);
} LOCAL[] = {
    {"ping", ping},          {"hello", hello},   {"select", select_database},
    {"client", client},      {"info", info},     {"command", command_docs},
    {"echo", echo},          {"quit", quit},     {"reset", reset},
    {"auth", auth},          {"time", time_now}, {"config", config},
    {"cluster", cluster},    {"role", role},     {"wait", wait},
    {"unwatch", unwatch},    {"moot", moot},     {"readonly", ok},
    {"readwrite", ok},       {"asking", ok},     {"slowlog", empty_list},
    {"latency", empty_list}, {"acl", acl},       {"lolwut", lolwut},
};

void edge__local(struct moot_edge *edge, struct moot_connection *connection,
                 const struct moot_command *command, const struct moot_slice *args, uint32_t argc)
{
    struct local local = {edge, connection, args, argc};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(LOCAL); i++) {
        if (moot_slice_equal(moot_slice_text(LOCAL[i].name), moot_slice_text(command->name))) {
            LOCAL[i].run(&local);
            return;
        }
    }
    error(&local, "ERR this command is not offered by this release");
}
