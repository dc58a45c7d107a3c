/* `moot cluster`: changes of membership and leadership, with progress. The node does the work and
 * says what would be lost; this only asks, and watches until it is done. */
#include <argp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/view.h"

enum { ARGS_MAX = 8, ASK_MS = 10000, POLL_MS = 200, WAIT_SECONDS = 600 };

struct options {
    const char *host;
    long port;
    bool plan, no_wait;
    const char *args[ARGS_MAX];
    int arg_count;
};

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case 'h':
        options->host = text;
        return 0;
    case 'p':
        options->port = cli_number("--port", text, 1, 65535);
        return 0;
    case 'n':
        options->plan = true;
        return 0;
    case 'w':
        options->no_wait = true;
        return 0;
    case ARGP_KEY_ARG:
        if (options->arg_count == ARGS_MAX) {
            argp_error(state, "too many words");
        }
        options->args[options->arg_count++] = text;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option table[] = {
    {"port", 'p', "PORT", 0, "client port of any node (7001)", 0},
    {"host", 'h', "HOST", 0, "its host (127.0.0.1)", 0},
    {"plan", 'n', NULL, 0, "say what would be done, and do nothing", 0},
    {"no-wait", 'w', NULL, 0, "do not wait until it is done", 0},
    {0},
};
static const struct argp argp = {
    table,
    parse,
    "remove NODE\ntransfer [NODE]\nreplace OLD NEW\nadd NODE",
    "Changes a cluster. What would lose data or a majority is refused, with the reason.\v"
    "remove    take a node out for good\n"
    "transfer  move leadership, to NODE or to the most advanced one\n"
    "replace   NEW (which has joined) votes instead of OLD\n"
    "add       make a learner vote\n\n"
    "A new node joins by itself: moot server --dir DIR --join HOST:PORT --secret-file FILE",
    NULL,
    NULL,
    NULL};

static void describe(const struct cli_view *view, char out[512])
{
    int size = snprintf(out, 512, "leader %lld, term %lld, nodes", (long long)view->leader,
                        (long long)view->term);
    for (uint32_t i = 0; i < view->member_count && size > 0 && size < 480; i++) {
        const struct cli_member *member = &view->members[i];
        size += snprintf(out + size, 512 - (size_t)size, " %lld%s%s", (long long)member->node,
                         strcmp(member->role, "voter") == 0 ? "" : ":",
                         strcmp(member->role, "voter") == 0 ? "" : member->role);
    }
}

/* Prints each new state until the cluster no longer changes. */
static int watch(const char *address)
{
    char last[512] = "", now[512], why[256];
    for (int i = 0; i < WAIT_SECONDS * 1000 / POLL_MS; i++) {
        struct cli_view view;
        if (cli_view_ask(&view, address, ASK_MS, why)) {
            describe(&view, now);
            if (strcmp(now, last) != 0) {
                printf("%s\n", now);
                memcpy(last, now, sizeof(last));
            }
            if (!view.changing && view.leader > 0) {
                printf("done\n");
                return CLI_OK;
            }
        }
        usleep(POLL_MS * 1000);
    }
    return cli_fail("not done after %d s; it goes on: `moot status` shows it", WAIT_SECONDS);
}

int moot_cli_cluster(int argc, char **argv)
{
    struct options options = {.host = "127.0.0.1", .port = CLI_PORT_DEFAULT};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    const char *words[ARGS_MAX + 3] = {"MOOT", "CLUSTER"};
    int count = 2;
    for (int i = 0; i < options.arg_count; i++) {
        words[count++] = options.args[i];
    }
    if (options.plan) {
        words[count++] = "PLAN";
    }
    char address[MOOT_ADDRESS_MAX], why[256];
    bool six = strchr(options.host, ':') != NULL;
    snprintf(address, sizeof(address), six ? "[%.250s]:%ld" : "%.250s:%ld", options.host,
             options.port);
    struct cli_client client;
    struct moot_resp_value reply;
    if (cli_connect(&client, address, ASK_MS, why) != 0) {
        return cli_fail("%s. --port names another node", why);
    }
    int status = CLI_OK;
    if (cli_command(&client, count, words, ASK_MS, &reply, why) != 0) {
        status = cli_fail("%s: %s; whether it was begun is not known: `moot status` shows it",
                          address, why);
    } else if (reply.type == MOOT_RESP_ERROR) {
        status = cli_fail("%.*s", (int)reply.text.size, (const char *)reply.text.data);
    } else {
        printf("%.*s\n", (int)reply.text.size, (const char *)reply.text.data);
    }
    cli_disconnect(&client);
    return status != CLI_OK || options.plan || options.no_wait ? status : watch(address);
}
