/* `moot server`: one node. */
#include <malloc.h>
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/status.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "host/server.h"

enum { CLI_AGAIN = -1 };

struct options {
    struct moot_server_options server;
    long id;
    const char *cluster, *initial, *join;
    bool no_format;
};

enum {
    KEY_PEER_PORT = 256,
    KEY_ID,
    KEY_CLUSTER,
    KEY_INITIAL,
    KEY_NO_FORMAT,
    KEY_JOIN,
    KEY_SECRET,
    KEY_CACHE,
    KEY_INSECURE,
    KEY_ADVERTISE,
    KEY_ELECTION,
    KEY_HEARTBEAT,
    KEY_TRACE,
    KEY_RECORD,
    KEY_RECORD_MB,
    KEY_RECORD_MINUTES,
    KEY_RECORD_ONCE,
};

static const struct argp_option table[] = {
    {"dir", 'd', "DIR", 0, "the node's folder; an empty one becomes a cluster of one", 0},
    {"port", 'p', "PORT", 0, "for clients (as last time, else 7001); 0: any free one", 0},
    {"peer-port", KEY_PEER_PORT, "PORT", 0, "for other nodes (PORT + 10000)", 0},
    {"bind", 'b', "HOST", 0, "listen here (127.0.0.1)", 0},
    {"advertise", KEY_ADVERTISE, "HOST", 0, "others reach this node by this host", 0},
    {"insecure-bind", KEY_INSECURE, NULL, 0, "allow --bind beyond loopback, without TLS", 0},
    {"secret-file", KEY_SECRET, "FILE", 0, "the cluster's secret (DIR/secret)", 0},
    {"join", KEY_JOIN, "HOST:PORT", 0, "a new node: join the cluster of that node", 1},
    {"id", KEY_ID, "N", 0, "format as node N of a new cluster", 2},
    {"cluster", KEY_CLUSTER, "HEX", 0, "with this id, the same on all its nodes", 2},
    {"initial", KEY_INITIAL, "N=PEER/CLIENT,...", 0, "and these first members, the same on all", 2},
    {"no-format", KEY_NO_FORMAT, NULL, 0, "an empty folder is an error", 2},
    {"store-cache-mb", KEY_CACHE, "MB", 0, "memory for the store's cache", 3},
    {"election-ms", KEY_ELECTION, "MS", 0, "least election time-out", 3},
    {"heartbeat-ms", KEY_HEARTBEAT, "MS", 0, "gap between heartbeats", 3},
    {"raft-trace", KEY_TRACE, NULL, 0, "log the decisions of Raft", 3},
    {"record", KEY_RECORD, "DIR", 0, "keep the last of what the node is told, for `moot replay`",
     4},
    {"record-mb", KEY_RECORD_MB, "MB", 0, "disk for all recordings in that folder (1024)", 4},
    {"record-minutes", KEY_RECORD_MINUTES, "M", 0,
     "keep at least the last M minutes, and at most twice as much, if the disk suffices", 4},
    {"record-once", KEY_RECORD_ONCE, NULL, 0,
     "keep the first instead, until the disk is used up; the node is never opened again", 4},
    {0},
};

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct options *options = state->input;
    struct moot_server_options *server = &options->server;
    switch (key) {
    case 'd':
        server->dir = text;
        return 0;
    case 'p':
        server->port = (int)cli_number("--port", text, 0, 65535);
        return 0;
    case KEY_PEER_PORT:
        server->peer_port = (int)cli_number("--peer-port", text, 0, 65535);
        return 0;
    case 'b':
        server->bind = text;
        return 0;
    case KEY_ADVERTISE:
        server->advertise = text;
        return 0;
    case KEY_INSECURE:
        server->insecure_bind = true;
        return 0;
    case KEY_SECRET:
        server->secret_file = text;
        return 0;
    case KEY_JOIN:
        options->join = text;
        return 0;
    case KEY_ID:
        options->id = cli_number("--id", text, 1, MOOT_NODE_ID_MAX);
        return 0;
    case KEY_CLUSTER:
        options->cluster = text;
        return 0;
    case KEY_INITIAL:
        options->initial = text;
        return 0;
    case KEY_NO_FORMAT:
        options->no_format = true;
        return 0;
    case KEY_CACHE:
        server->store_cache_bytes =
            (uint64_t)cli_number("--store-cache-mb", text, 1, 1 << 20) * 1024 * 1024;
        return 0;
    case KEY_ELECTION:
        server->election_ms = (uint64_t)cli_number("--election-ms", text, 10, 600000);
        return 0;
    case KEY_HEARTBEAT:
        server->heartbeat_ms = (uint64_t)cli_number("--heartbeat-ms", text, 1, 60000);
        return 0;
    case KEY_TRACE:
        server->raft_trace = true;
        return 0;
    case KEY_RECORD:
        server->record_dir = text;
        return 0;
    case KEY_RECORD_MB:
        server->record_bytes = (uint64_t)cli_number("--record-mb", text, 1, 1 << 20) * 1024 * 1024;
        return 0;
    case KEY_RECORD_MINUTES:
        server->record_minutes = (uint64_t)cli_number("--record-minutes", text, 1, 100000);
        return 0;
    case KEY_RECORD_ONCE:
        server->record_once = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    table,
    parse,
    NULL,
    "Runs one node until SIGTERM. A folder that holds a node goes on as that node; the options "
    "that format are then ignored.",
    NULL,
    NULL,
    NULL};

/* ---- identities ---- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Exactly `size` bytes written as hex. */
static bool from_hex(const char *hex, size_t digits, uint8_t *out, size_t size)
{
    if (digits != 2 * size) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(hex[2 * i]);
        int low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static int identity_given(const struct options *options, struct moot_identity *identity)
{
    if (options->cluster == NULL || options->initial == NULL || options->id == 0) {
        return cli_fail("--id, --cluster and --initial go together: a new cluster needs all three");
    }
    if (!from_hex(options->cluster, strlen(options->cluster), identity->cluster,
                  MOOT_CLUSTER_ID_BYTES)) {
        return cli_fail("--cluster: '%s' is not %d hex digits", options->cluster,
                        2 * MOOT_CLUSTER_ID_BYTES);
    }
    if (!moot_identity_parse_initial(moot_slice_text(options->initial), identity)) {
        return cli_fail("--initial: '%s' is not N=HOST:PEERPORT/HOST:CLIENTPORT,... with "
                        "each N from 1 to %d once",
                        options->initial, MOOT_NODE_ID_MAX);
    }
    identity->node = (moot_node_id)options->id;
    for (uint32_t i = 0; i < identity->initial_count; i++) {
        if (identity->initial[i].node == identity->node) {
            identity->self = identity->initial[i];
            return CLI_OK;
        }
    }
    return cli_fail("--initial does not list node %ld", options->id);
}

static void identity_alone(const struct moot_address *address, struct moot_identity *identity)
{
    ssize_t got = getrandom(identity->cluster, MOOT_CLUSTER_ID_BYTES, 0);
    MOOT_ASSERT(got == MOOT_CLUSTER_ID_BYTES);
    identity->node = 1;
    identity->self = *address;
    identity->self.node = 1;
    identity->initial[0] = identity->self;
    identity->initial_count = 1;
}

/* Refused: 1 when it may be asked again. */
static int join_refused(const char *at, struct moot_slice text, char why[256])
{
    snprintf(why, 256, "%.*s", (int)moot_min_u64(text.size, 250), (const char *)text.data);
    bool later = moot_slice_starts_with(text, MOOT_SLICE_LITERAL("CLUSTERDOWN")) ||
                 moot_slice_starts_with(text, MOOT_SLICE_LITERAL("TRYAGAIN")) ||
                 moot_slice_starts_with(text, MOOT_SLICE_LITERAL("OVERLOADED"));
    return later ? 1 : -cli_fail("%s refused: %s", at, why);
}

/* The reply to the nonce that was asked for becomes a proof of the cluster's secret. */
static bool prove(const struct moot_admission *admission, const struct moot_resp_value *reply,
                  const struct moot_address *address, char proof[MOOT_ADMISSION_HEX + 1])
{
    uint8_t nonce[MOOT_MAC_BYTES], sealed[MOOT_MAC_BYTES];
    if (reply->type != MOOT_RESP_BULK || !moot_admission_from_hex(reply->text, nonce)) {
        return false;
    }
    moot_admission_proof(admission, nonce, moot_slice_text(address->peer),
                         moot_slice_text(address->client), sealed);
    moot_admission_to_hex(sealed, proof);
    proof[MOOT_ADMISSION_HEX] = '\0';
    return true;
}

static int take_identity(const char *at, const struct moot_resp_value *reply,
                         struct moot_identity *identity, char why[256])
{
    uint8_t *bytes = moot_alloc(reply->text.size / 2);
    struct moot_slice encoded = {bytes, reply->text.size / 2};
    int result = 0;
    if (reply->type == MOOT_RESP_ERROR) {
        result = join_refused(at, reply->text, why);
    } else if (reply->type != MOOT_RESP_BULK ||
               !from_hex((const char *)reply->text.data, reply->text.size, bytes, encoded.size) ||
               moot_identity_decode(encoded, identity) != MOOT_OK) {
        result = -cli_fail("%s answered with something that is no identity: is it a moot of this "
                           "version?",
                           at);
    }
    moot_free(bytes);
    return result;
}

/* One wish to join, in two steps: a nonce is asked for, then its proof is shown. 1: refused for
 * now, and surely not done. */
static int ask_to_join(const char *at, const struct moot_admission *admission,
                       const struct moot_address *address, struct moot_identity *identity,
                       char why[256])
{
    char proof[MOOT_ADMISSION_HEX + 1];
    const char *const words[] = {"MOOT", "JOIN", address->peer, address->client, proof};
    struct cli_client client;
    struct moot_resp_value reply;
    if (cli_connect(&client, at, MOOT_JOIN_MS, why) != 0) {
        return -cli_fail("%s. Name the client port of a running node with --join", why);
    }
    int result;
    if (cli_command(&client, 2, words, MOOT_JOIN_MS, &reply, why) != 0) {
        return -cli_fail("%s did not answer the wish to join: %s. Try again", at, why);
    }
    if (reply.type == MOOT_RESP_ERROR) {
        result = join_refused(at, reply.text, why);
    } else if (!prove(admission, &reply, address, proof)) {
        result =
            -cli_fail("%s asked for no proof of the secret: is it a moot of this version?", at);
    } else if (cli_command(&client, 5, words, MOOT_JOIN_MS, &reply, why) != 0) {
        return -cli_fail(
            "%s did not answer the wish to join: %s. Try again; an id given in vain is "
            "never used",
            at, why);
    } else {
        result = take_identity(at, &reply, identity, why);
    }
    cli_disconnect(&client);
    return result;
}

/* A node of the cluster gives the new one an id and the cluster's first membership. While the
 * cluster has no leader it says so, and is asked again. */
static int identity_joined(const char *at, const struct moot_server *server,
                           struct moot_identity *identity)
{
    char why[256] = "";
    struct moot_admission admission = moot_server_admission(server);
    for (int waited_ms = 0; waited_ms < MOOT_JOIN_MS; waited_ms += MOOT_JOIN_AGAIN_MS) {
        int result = ask_to_join(at, &admission, moot_server_address(server), identity, why);
        if (result != 1) {
            return result == 0 ? CLI_OK : CLI_FAILED;
        }
        usleep(MOOT_JOIN_AGAIN_MS * 1000);
    }
    return cli_fail("%s could not take this node in: %s", at, why);
}

/* The folder is empty: who shall it be? */
static int choose_identity(const struct options *options, const struct moot_server *server,
                           struct moot_identity *identity)
{
    *identity = (struct moot_identity){0};
    if (options->no_format) {
        return cli_fail(
            "%s holds no node any more. A node that lost its disk must not come back "
            "under its old id: start a new one with --join, then `moot cluster replace`",
            options->server.dir);
    }
    if (options->join != NULL) {
        return identity_joined(options->join, server, identity);
    }
    if (options->id != 0 || options->cluster != NULL || options->initial != NULL) {
        return identity_given(options, identity);
    }
    identity_alone(moot_server_address(server), identity);
    return CLI_OK;
}

static int start_and_run(const struct options *options, struct moot_server *server)
{
    char why[MOOT_WHY_BYTES];
    int status = moot_server_start(server, NULL, why);
    if (status == MOOT_ENOTFOUND) {
        struct moot_identity identity;
        int chosen = choose_identity(options, server, &identity);
        if (chosen != CLI_OK) {
            return chosen;
        }
        status = moot_server_start(server, &identity, why);
    }
    if (status != MOOT_OK) {
        return cli_fail("%s", why);
    }
    status = moot_server_run(server);
    return status == MOOT_ECORRUPT ? CLI_AGAIN : status == MOOT_OK ? CLI_OK : CLI_FAILED;
}

/* Opens, serves and closes. CLI_AGAIN: its store was rotten, and is to begin anew. */
static int serve(const struct options *options)
{
    char why[MOOT_WHY_BYTES];
    struct moot_server *server;
    if (moot_server_open(&options->server, &server, why) != MOOT_OK) {
        return cli_fail("%s", why);
    }
    int status = start_and_run(options, server);
    moot_server_close(server);
    return status;
}

int moot_cli_server(int argc, char **argv)
{
    /* Batches are large and short-lived: giving their pages back to the kernel each time costs more
     * than a tenth of a node's work. */
    mallopt(M_MMAP_THRESHOLD, 32 * 1024 * 1024);
    mallopt(M_TRIM_THRESHOLD, 256 * 1024 * 1024);
    struct options options = {.server = {.port = -1, .peer_port = -1}};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (options.server.dir == NULL) {
        cli_fail("--dir is missing: name the folder for this node's data");
        return CLI_USAGE;
    }
    options.server.make_secret =
        options.join == NULL && options.id == 0 && options.server.secret_file == NULL;
    int status;
    while ((status = serve(&options)) == CLI_AGAIN) {
        options.server.port = options.server.peer_port = -1; /* Where the others look for it. */
    }
    return status;
}
