/* `moot cluster`: changes of membership and leadership, with progress. The node does the work and
 * says what would be lost; this only asks, and watches until it is done. */
#include <argp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/view.h"

enum {
    ARGS_MAX = 8,
    POLL_MS = 100,
};

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
    "remove NODE\ntransfer [NODE]\nreplace OLD NEW",
    "Changes a cluster. What would lose data or a majority is refused, with the reason.\v"
    "remove    take a node out for good\n"
    "transfer  move leadership, to NODE or to the most advanced one\n"
    "replace   wait until NEW (which has joined) votes, then take OLD out\n"
    "\nA new node joins by itself, and votes when it has caught up: moot server --dir DIR --join "
    "HOST:PORT --secret-file FILE",
    NULL,
    NULL,
    NULL};

/* ---- asking ---- */

/* The cluster as seen by the node of `first`, or, when that does not answer, by another that was
 * seen before; a removed node's own view is out of date and not asked. */
static bool ask_any(const char *first, const struct cli_view *known, struct cli_view *view)
{
    char why[256];
    if (cli_view_ask(view, first, MOOT_CHANGE_ASK_MS, why) && view->leader > 0) {
        return true;
    }
    for (uint32_t i = 0; i < known->member_count; i++) {
        const struct cli_member *member = &known->members[i];
        if (strcmp(member->role, "voter") == 0 &&
            cli_view_ask(view, member->client, MOOT_CHANGE_ASK_MS / 10, why) && view->leader > 0) {
            return true;
        }
    }
    return false;
}

static const struct cli_member *find_member(const struct cli_view *view, int64_t node)
{
    for (uint32_t i = 0; i < view->member_count; i++) {
        if (view->members[i].node == node) {
            return &view->members[i];
        }
    }
    return NULL;
}

static bool is_voter(const struct cli_view *view, int64_t node)
{
    const struct cli_member *member = find_member(view, node);
    return member != NULL && strcmp(member->role, "voter") == 0;
}

static void describe(const struct cli_view *view, char out[512])
{
    int size = snprintf(out, 512, "leader %lld, term %lld, nodes", (long long)view->leader,
                        (long long)view->term);
    for (uint32_t i = 0; i < view->member_count && size > 0 && size < 480; i++) {
        const struct cli_member *member = &view->members[i];
        bool votes = strcmp(member->role, "voter") == 0;
        size += snprintf(out + size, 512 - (size_t)size, votes ? " %lld" : " %lld (%s)",
                         (long long)member->node, member->role);
    }
}

/* ---- waiting, with progress ---- */

/* What is waited for. */
struct goal {
    int64_t gone, voter; /* This node is no member, that one votes; 0: nobody. */
    int64_t leader;      /* > 0: this node leads; < 0: a node other than -leader leads. */
    int seconds;
    const char *too_late;
};

static bool is_reached(const struct goal *goal, const struct cli_view *view)
{
    if (goal->leader != 0) {
        return goal->leader > 0 ? view->leader == goal->leader : view->leader != -goal->leader;
    }
    return (goal->voter == 0 || is_voter(view, goal->voter)) &&
           (goal->gone == 0 || (!is_voter(view, goal->gone) && !view->changing));
}

/* Prints each new state until the goal is reached. */
static int watch(const char *address, const struct cli_view *known, const struct goal *goal)
{
    char last[512] = "", now[512];
    static struct cli_view view; /* Large. */
    for (int i = 0; i <= goal->seconds * 1000 / POLL_MS; i++) {
        if (ask_any(address, known, &view)) {
            describe(&view, now);
            if (strcmp(now, last) != 0) {
                printf("%s\n", now);
                fflush(stdout);
                memcpy(last, now, sizeof(last));
            }
            if (is_reached(goal, &view)) {
                return CLI_OK;
            }
        }
        usleep(POLL_MS * 1000);
    }
    return cli_fail("not done after %d s: %s", goal->seconds, goal->too_late);
}

/* ---- orders ---- */

/* Sends the order to `address`; what the node answers is printed. 1: it is not the leader, or
 * another change came first, as `refusal` says: ask again. */
static int order(const struct options *options, const char *address, char refusal[256])
{
    const char *words[ARGS_MAX + 3] = {"MOOT", "CLUSTER"};
    int count = 2;
    for (int i = 0; i < options->arg_count; i++) {
        words[count++] = options->args[i];
    }
    if (options->plan) {
        words[count++] = "PLAN";
    }
    char why[256];
    struct cli_client client;
    struct moot_resp_value reply;
    if (cli_connect(&client, address, MOOT_CHANGE_ASK_MS, why) != 0) {
        cli_fail("%s. --port names another node", why);
        return -1;
    }
    int result = 0;
    if (cli_command(&client, count, words, MOOT_CHANGE_ASK_MS, &reply, why) != 0) {
        cli_fail("%s: %s; whether it was begun is not known: `moot status` shows it", address, why);
        return -1;
    }
    if (reply.type == MOOT_RESP_ERROR) {
        bool again = moot_slice_starts_with(reply.text, MOOT_SLICE_LITERAL("NOTLEADER")) ||
                     moot_slice_starts_with(reply.text, MOOT_SLICE_LITERAL("TRYAGAIN"));
        snprintf(refusal, 256, "%.*s", (int)reply.text.size, (const char *)reply.text.data);
        result = again ? 1 : -1;
        if (!again) {
            cli_fail("%.*s", (int)reply.text.size, (const char *)reply.text.data);
        }
    } else if (reply.text.size > 0) {
        printf("%.*s\n", (int)reply.text.size, (const char *)reply.text.data);
    }
    cli_disconnect(&client);
    return result;
}

/* The leader knows who is alive, so it gets the orders. */
static int order_leader(const struct options *options, const char *first,
                        const struct cli_view *known)
{
    static struct cli_view view;
    const char *address = first;
    char refusal[256] = "";
    for (int i = 0; i < 50; i++) {
        int result = order(options, address, refusal);
        if (result != 1) {
            return result == 0 ? CLI_OK : CLI_FAILED;
        }
        const struct cli_member *leader =
            ask_any(first, known, &view) ? find_member(&view, view.leader) : NULL;
        address = leader != NULL ? leader->client : first;
        if (i > 0) {
            usleep(POLL_MS * 1000);
        }
    }
    return cli_fail("%s (`moot status` shows who is there)", refusal);
}

static int64_t node_argument(const struct options *options, int at)
{
    return options->arg_count <= at
               ? 0
               : cli_number(options->args[0], options->args[at], 1, UINT32_MAX);
}

static int carry_out(const struct options *options, const char *address,
                     const struct cli_view *before)
{
    const char *verb = options->args[0];
    bool waits = !options->plan && !options->no_wait;
    struct goal goal = {.seconds = MOOT_CHANGE_S,
                        .too_late = "it goes on; `moot status` shows how far it is"};
    if (strcmp(verb, "replace") == 0) {
        goal.voter = node_argument(options, 2);
        if (waits && watch(address, before, &goal) != CLI_OK) {
            return CLI_FAILED;
        }
    }
    int status = order_leader(options, address, before);
    if (status != CLI_OK || !waits) {
        return status;
    }
    if (strcmp(verb, "transfer") == 0) {
        int64_t target = node_argument(options, 1);
        goal = (struct goal){.leader = target > 0 ? target : -before->leader,
                             .seconds = MOOT_TRANSFER_S,
                             .too_late = "the target did not catch up; nothing has changed"};
    } else {
        goal.gone = node_argument(options, 1);
    }
    status = watch(address, before, &goal);
    if (status == CLI_OK) {
        printf("done\n");
    }
    return status;
}

int moot_cli_cluster(int argc, char **argv)
{
    struct options options = {.host = "127.0.0.1", .port = CLI_PORT_DEFAULT};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    char address[MOOT_ADDRESS_MAX], why[256];
    bool six = strchr(options.host, ':') != NULL;
    snprintf(address, sizeof(address), six ? "[%.250s]:%ld" : "%.250s:%ld", options.host,
             options.port);
    static struct cli_view before; /* Large. */
    if (!cli_view_ask(&before, address, MOOT_CHANGE_ASK_MS, why)) {
        return cli_fail("%s. --port names another node", why);
    }
    return carry_out(&options, address, &before);
}
