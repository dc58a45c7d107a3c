/* CLIENT: who is connected to this node, told and ended as Redis words it. */
#include "base/assert.h"
#include "base/memory.h"
#include "database/edge/edge.h"

struct client {
    struct moot_edge *edge;
    struct moot_connection *connection;
    const struct moot_slice *args;
    uint32_t argc;
};

static bool is(const struct client *client, uint32_t at, const char *text)
{
    return at < client->argc && moot_slice_equal_nocase(client->args[at], text);
}
static void ok(const struct client *client)
{
    edge__reply_text(client->edge, client->connection, "+OK\r\n");
}
static void error(const struct client *client, const char *text)
{
    edge__error(client->edge, client->connection, text);
}

/* An error that repeats an argument. */
static void error_about(const struct client *client, const char *before, struct moot_slice argument,
                        const char *after)
{
    struct moot_buffer text;
    moot_buffer_init(&text);
    moot_buffer_append_text(&text, before);
    moot_buffer_append(&text, argument.data, moot_min_u64(argument.size, 128));
    moot_buffer_append_text(&text, after);
    struct moot_resp resp = edge__resp(client->edge, client->connection);
    moot_resp_error_slice(&resp, moot_buffer_slice(&text));
    edge__reply_scratch(client->edge, client->connection);
    moot_buffer_deinit(&text);
}

static void integer(const struct client *client, uint64_t value)
{
    struct moot_resp resp = edge__resp(client->edge, client->connection);
    moot_resp_integer(&resp, (int64_t)value);
    edge__reply_scratch(client->edge, client->connection);
}

static uint64_t age_s(const struct client *client, struct moot_instant since)
{
    return moot_instant_since(client->edge->now.instant, since).ns / MOOT_SEC_NS;
}

static struct moot_connection *find_number(const struct client *client, uint64_t number)
{
    for (size_t i = 0; i < client->edge->table_capacity; i++) {
        struct moot_connection *other = client->edge->table[i];
        if (other != NULL && other->number == number) {
            return other;
        }
    }
    return NULL;
}

/* ---- telling ---- */

static void put_text(struct moot_buffer *out, const char *name, const char *value)
{
    moot_buffer_append_text(out, name);
    moot_buffer_append_text(out, value);
}
static void put_number(struct moot_buffer *out, const char *name, uint64_t value)
{
    moot_buffer_append_text(out, name);
    moot_buffer_append_u64(out, value);
}

static const char *flags_of(const struct moot_connection *connection)
{
    return connection->waits ? "b" : connection->in_multi ? "x" : "N";
}

static void describe(const struct client *client, const struct moot_connection *connection,
                     struct moot_buffer *out)
{
    put_number(out, "id=", connection->number);
    put_text(out, " addr=", connection->address);
    put_text(out, " laddr=", client->edge->identity->self.client);
    put_text(out, " fd=0 name=", connection->name);
    put_number(out, " age=", age_s(client, connection->opened));
    put_number(out, " idle=", age_s(client, connection->active));
    put_text(out, " flags=", flags_of(connection));
    put_number(out, " db=", connection->database);
    moot_buffer_append_text(out, " sub=0 psub=0 ssub=0 multi=");
    moot_buffer_append_i64(out, connection->in_multi ? (int64_t)connection->queued : -1);
    put_number(out, " watch=", connection->watch_count);
    put_number(out, " qbuf=", connection->in.size);
    put_number(out, " obl=", connection->unsent);
    put_number(out, " tot-mem=", connection->held);
    put_text(out, " cmd=", connection->command == NULL ? "NULL" : connection->command);
    put_text(out, " user=default redir=-1 resp=", connection->protocol == 3 ? "3" : "2");
    put_text(out, " lib-name=", connection->library);
    put_text(out, " lib-ver=", connection->library_version);
    moot_buffer_append_text(out, "\n");
}

static void tell(const struct client *client, struct moot_buffer *text)
{
    struct moot_resp resp = edge__resp(client->edge, client->connection);
    moot_resp_verbatim(&resp, "txt", moot_buffer_slice(text));
    edge__reply_scratch(client->edge, client->connection);
    moot_buffer_deinit(text);
}

static void info(const struct client *client)
{
    struct moot_buffer text;
    moot_buffer_init(&text);
    describe(client, client->connection, &text);
    tell(client, &text);
}

/* All connections are normal ones. *normal: does this name them? False: an error was answered. */
static bool read_type(const struct client *client, struct moot_slice type, bool *normal)
{
    static const char *const others[] = {"master", "replica", "slave", "pubsub"};
    *normal = moot_slice_equal_nocase(type, "normal");
    bool known = *normal;
    for (size_t i = 0; i < MOOT_ARRAY_LEN(others); i++) {
        known = known || moot_slice_equal_nocase(type, others[i]);
    }
    if (!known) {
        error_about(client, "ERR Unknown client type '", type, "'");
    }
    return known;
}

static void list_numbers(const struct client *client)
{
    struct moot_buffer text;
    moot_buffer_init(&text);
    for (uint32_t i = 3; i < client->argc; i++) {
        uint64_t number;
        if (!moot_slice_to_u64(client->args[i], &number)) {
            moot_buffer_deinit(&text);
            error(client, "ERR Invalid client ID");
            return;
        }
        const struct moot_connection *other = find_number(client, number);
        if (other != NULL) {
            describe(client, other, &text);
        }
    }
    tell(client, &text);
}

/* CLIENT LIST [TYPE type] | [ID id ...] */
static void list(const struct client *client)
{
    if (is(client, 2, "id") && client->argc > 3) {
        list_numbers(client);
        return;
    }
    bool normal = true;
    if (client->argc == 4 && is(client, 2, "type")) {
        if (!read_type(client, client->args[3], &normal)) {
            return;
        }
    } else if (client->argc != 2) {
        error(client, "ERR syntax error");
        return;
    }
    struct moot_buffer text;
    moot_buffer_init(&text);
    for (size_t i = 0; normal && i < client->edge->table_capacity; i++) {
        if (client->edge->table[i] != NULL) {
            describe(client, client->edge->table[i], &text);
        }
    }
    tell(client, &text);
}

/* ---- naming ---- */

static void get_name(const struct client *client)
{
    struct moot_resp resp = edge__resp(client->edge, client->connection);
    if (client->connection->name[0] == '\0') {
        moot_resp_null(&resp);
    } else {
        moot_resp_bulk_text(&resp, client->connection->name);
    }
    edge__reply_scratch(client->edge, client->connection);
}

static void set_name(const struct client *client)
{
    if (!edge__take_text(client->args[2], client->connection->name, MOOT_NAME_MAX)) {
        error(client, "ERR Client names cannot contain spaces, newlines or special characters.");
    } else {
        ok(client);
    }
}

static void set_info(const struct client *client)
{
    struct moot_connection *connection = client->connection;
    bool name = is(client, 2, "lib-name");
    if (!name && !is(client, 2, "lib-ver")) {
        error_about(client, "ERR Unrecognized option '", client->args[2], "'");
    } else if (!edge__take_text(client->args[3],
                                name ? connection->library : connection->library_version,
                                MOOT_NAME_MAX)) {
        error_about(client, "ERR ", client->args[2],
                    " cannot contain spaces, newlines or special characters.");
    } else {
        ok(client);
    }
}

/* ---- ending ---- */

struct filter {
    uint64_t number, older_than_s; /* 0: any */
    struct moot_slice address;     /* empty: any */
    bool nobody, skips_me;
};

static bool fits(const struct client *client, const struct filter *filter,
                 const struct moot_connection *other)
{
    return !filter->nobody && !other->is_closed &&
           !(filter->skips_me && other == client->connection) &&
           (filter->number == 0 || other->number == filter->number) &&
           (filter->address.size == 0 ||
            moot_slice_equal(moot_slice_text(other->address), filter->address)) &&
           (filter->older_than_s == 0 || age_s(client, other->opened) >= filter->older_than_s);
}

static void end(const struct client *client, struct moot_connection *other)
{
    other->is_closing = true;
    other->barrier = false;
    if (other != client->connection) {
        edge__close(client->edge, other);
    }
    edge__mark(client->edge, other);
}

static uint64_t end_all(const struct client *client, const struct filter *filter)
{
    uint64_t ended = 0;
    for (size_t i = 0; i < client->edge->table_capacity; i++) {
        struct moot_connection *other = client->edge->table[i];
        if (other != NULL && fits(client, filter, other)) {
            end(client, other);
            ended++;
        }
    }
    return ended;
}

/* One filter of CLIENT KILL and its value; false: an error was answered. */
static bool read_filter(const struct client *client, uint32_t at, struct filter *filter)
{
    struct moot_slice value = client->args[at + 1];
    bool normal = true;
    if (is(client, at, "id")) {
        if (!moot_slice_to_u64(value, &filter->number) || filter->number == 0) {
            error(client, "ERR client-id should be greater than 0");
            return false;
        }
    } else if (is(client, at, "maxage")) {
        if (!moot_slice_to_u64(value, &filter->older_than_s) || filter->older_than_s == 0) {
            error(client, "ERR maxage is not an integer or out of range");
            return false;
        }
    } else if (is(client, at, "type")) {
        if (!read_type(client, value, &normal)) {
            return false;
        }
    } else if (is(client, at, "user")) {
        if (!moot_slice_equal(value, MOOT_SLICE_LITERAL("default"))) {
            error_about(client, "ERR No such user '", value, "'");
            return false;
        }
    } else if (is(client, at, "addr")) {
        filter->address = value;
    } else if (is(client, at, "laddr")) {
        normal = moot_slice_equal(value, moot_slice_text(client->edge->identity->self.client));
    } else if (is(client, at, "skipme") &&
               (is(client, at + 1, "yes") || is(client, at + 1, "no"))) {
        filter->skips_me = is(client, at + 1, "yes");
    } else {
        error(client, "ERR syntax error");
        return false;
    }
    filter->nobody = filter->nobody || !normal;
    return true;
}

/* CLIENT KILL address | CLIENT KILL filter value ... */
static void kill(const struct client *client)
{
    struct filter filter = {.skips_me = client->argc > 3};
    if (client->argc == 3) {
        filter.address = client->args[2];
        if (filter.address.size == 0 || end_all(client, &filter) == 0) {
            error(client, "ERR No such client");
        } else {
            ok(client);
        }
        return;
    }
    if (client->argc % 2 != 0) {
        error(client, "ERR syntax error");
        return;
    }
    for (uint32_t i = 2; i < client->argc; i += 2) {
        if (!read_filter(client, i, &filter)) {
            return;
        }
    }
    integer(client, end_all(client, &filter));
}

/* CLIENT UNBLOCK id [TIMEOUT | ERROR] */
static void unblock(const struct client *client)
{
    uint64_t number;
    bool with_error = is(client, 3, "error");
    if (client->argc > 4) {
        error(client, "ERR syntax error");
    } else if (client->argc == 4 && !with_error && !is(client, 3, "timeout")) {
        error(client, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    } else if (!moot_slice_to_u64(client->args[2], &number)) {
        error(client, "ERR value is not an integer or out of range");
    } else {
        struct moot_connection *other = find_number(client, number);
        struct moot_slice reply =
            with_error ? MOOT_SLICE_LITERAL("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n")
            : other != NULL && other->protocol == 3 ? MOOT_SLICE_LITERAL("_\r\n")
                                                    : MOOT_SLICE_LITERAL("*-1\r\n");
        integer(client, other != NULL && edge__unblock(client->edge, other, reply));
    }
}

/* ---- what changes nothing here ---- */

/* No access time is kept, and nobody is spared when all clients hold too much: a limit that clients
 * could lift would be none. */
static void on_or_off(const struct client *client)
{
    if (!is(client, 2, "on") && !is(client, 2, "off")) {
        error(client, "ERR syntax error");
    } else {
        ok(client);
    }
}

static void reply(const struct client *client)
{
    if (is(client, 2, "on")) {
        ok(client);
    } else {
        error(client, is(client, 2, "off") || is(client, 2, "skip")
                          ? "ERR this release answers every command: CLIENT REPLY ON"
                          : "ERR syntax error");
    }
}

static void tracking(const struct client *client)
{
    if (is(client, 2, "off")) {
        ok(client);
    } else {
        error(client, is(client, 2, "on") ? "ERR this release does not track keys for clients"
                                          : "ERR syntax error");
    }
}

static void caching(const struct client *client)
{
    error(client, "ERR CLIENT CACHING can be called only when the client is in tracking mode with "
                  "OPTIN or OPTOUT mode enabled");
}

static void tracking_info(const struct client *client)
{
    struct moot_resp resp = edge__resp(client->edge, client->connection);
    moot_resp_map(&resp, 3);
    moot_resp_bulk_text(&resp, "flags");
    moot_resp_array(&resp, 1);
    moot_resp_bulk_text(&resp, "off");
    moot_resp_bulk_text(&resp, "redirect");
    moot_resp_integer(&resp, -1);
    moot_resp_bulk_text(&resp, "prefixes");
    moot_resp_array(&resp, 0);
    edge__reply_scratch(client->edge, client->connection);
}

static void number(const struct client *client) { integer(client, client->connection->number); }
static void no_redirection(const struct client *client)
{
    edge__reply_text(client->edge, client->connection, ":-1\r\n");
}

static const struct {
    const char *name;
    uint32_t argc_min, argc_max; /* With CLIENT and the subcommand. */
    void (*run)(const struct client *client);
} SUBCOMMANDS[] = {
    {"caching", 3, 3, caching},
    {"getname", 2, 2, get_name},
    {"getredir", 2, 2, no_redirection},
    {"id", 2, 2, number},
    {"info", 2, 2, info},
    {"kill", 3, UINT32_MAX, kill},
    {"list", 2, UINT32_MAX, list},
    {"no-evict", 3, 3, on_or_off},
    {"no-touch", 3, 3, on_or_off},
    {"reply", 3, 3, reply},
    {"setinfo", 4, 4, set_info},
    {"setname", 3, 3, set_name},
    {"tracking", 3, UINT32_MAX, tracking},
    {"trackinginfo", 2, 2, tracking_info},
    {"unblock", 3, UINT32_MAX, unblock},
    {"unpause", 2, 2, ok},
};

void edge__client(struct moot_edge *edge, struct moot_connection *connection,
                  const struct moot_slice *args, uint32_t argc)
{
    struct client client = {edge, connection, args, argc};
    MOOT_ASSERT(argc >= 2);
    for (size_t i = 0; i < MOOT_ARRAY_LEN(SUBCOMMANDS); i++) {
        if (!is(&client, 1, SUBCOMMANDS[i].name)) {
            continue;
        }
        if (argc < SUBCOMMANDS[i].argc_min || argc > SUBCOMMANDS[i].argc_max) {
            error_about(&client, "ERR wrong number of arguments for 'client|",
                        moot_slice_text(SUBCOMMANDS[i].name), "' command");
        } else {
            SUBCOMMANDS[i].run(&client);
        }
        return;
    }
    error_about(&client, "ERR unknown subcommand '", args[1], "'. Try CLIENT HELP.");
}
