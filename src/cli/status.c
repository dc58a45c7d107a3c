/* `moot status`: one node's picture of its cluster, and what each node says of itself. */
#include <argp.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/view.h"

struct options {
    const char *host;
    long port;
    bool json;
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
    case 'j':
        options->json = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option table[] = {
    {"port", 'p', "PORT", 0, "client port of any node (7001)", 0},
    {"host", 'h', "HOST", 0, "its host (127.0.0.1)", 0},
    {"json", 'j', NULL, 0, "the same as JSON, and all else that the node says", 0},
    {0},
};
static const struct argp argp = {
    table, parse, NULL, "Shows the nodes of a cluster, as one of them sees it.", NULL, NULL, NULL};

/* How a member stands, by its own word, or else by its leader's. */
struct standing {
    bool is_removed, answers;
    int64_t applied, lag; /* -1: nobody knows */
};

static struct standing standing_of(const struct cli_view *view, const struct cli_member *member)
{
    struct cli_view own;
    char why[256];
    struct standing standing = {.is_removed = strcmp(member->role, "removed") == 0, .lag = -1};
    standing.answers =
        !standing.is_removed && cli_view_ask(&own, member->client, MOOT_STATUS_OTHERS_MS, why);
    standing.applied = standing.answers ? own.applied : member->match;
    if (standing.applied >= 0) {
        standing.lag = view->commit > standing.applied ? view->commit - standing.applied : 0;
    }
    return standing;
}

static void print_member(const struct cli_view *view, const struct cli_member *member)
{
    char applied[24] = "-", lag[24] = "-", phi[24] = "-";
    struct standing standing = standing_of(view, member);
    bool removed = standing.is_removed;
    if (standing.applied >= 0) {
        snprintf(applied, sizeof(applied), "%lld", (long long)standing.applied);
        snprintf(lag, sizeof(lag), "%lld", (long long)standing.lag);
    }
    if (!removed && member->phi_milli >= 0 && member->node != view->node) {
        snprintf(phi, sizeof(phi), "%lld.%lld", (long long)member->phi_milli / 1000,
                 (long long)member->phi_milli / 100 % 10);
    }
    const char *role = member->node == view->leader ? "leader" : member->role;
    printf("%6lld  %-8s  %-22s  %-6s  %12s  %8s  %-8s  %5s\n", (long long)member->node, role,
           member->client,
           removed            ? "-"
           : standing.answers ? "up"
                              : "down",
           applied, lag, removed || member->health[0] == '\0' ? "-" : member->health, phi);
}

static void print_table(const struct cli_view *view)
{
    if (view->leader > 0) {
        printf("leader: node %lld", (long long)view->leader);
    } else {
        printf("leader: none");
    }
    printf("   term: %lld   commit: %lld%s\n\n", (long long)view->term, (long long)view->commit,
           view->changing ? "   membership is changing" : "");
    printf("%6s  %-8s  %-22s  %-6s  %12s  %8s  %-8s  %5s\n", "node", "role", "clients at", "state",
           "applied", "lag", "health", "phi");
    for (uint32_t i = 0; i < view->member_count; i++) {
        print_member(view, &view->members[i]);
    }
    if (view->handed_over[0] != '\0') {
        printf("\nnode %lld last handed over leadership: %s\n", (long long)view->node,
               view->handed_over);
    }
}

/* What the node said, and of each node what the table has, too. */
static int print_json(const struct cli_view *view, const struct moot_buffer *said)
{
    size_t i;
    json_t *item, *root = json_loadb((const char *)said->data, said->size, 0, NULL);
    json_array_foreach(json_object_get(root, "nodes"), i, item)
    {
        if (i >= view->member_count) {
            break;
        }
        struct standing standing = standing_of(view, &view->members[i]);
        json_object_set_new(item, "up", json_boolean(standing.answers));
        if (standing.applied >= 0) {
            json_object_set_new(item, "applied", json_integer(standing.applied));
            json_object_set_new(item, "lag", json_integer(standing.lag));
        }
    }
    int status = json_dumpf(root, stdout, JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(root);
    return status == 0 ? CLI_OK : CLI_FAILED;
}

int moot_cli_status(int argc, char **argv)
{
    struct options options = {.host = "127.0.0.1", .port = CLI_PORT_DEFAULT};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    char address[MOOT_ADDRESS_MAX], why[256];
    bool six = strchr(options.host, ':') != NULL;
    snprintf(address, sizeof(address), six ? "[%.250s]:%ld" : "%.250s:%ld", options.host,
             options.port);
    struct moot_buffer json;
    moot_buffer_init(&json);
    struct cli_view view;
    int status = CLI_OK;
    if (cli_status_of(address, MOOT_STATUS_MS, &json, why) != 0) {
        status = cli_fail(
            "%s. Is it running? `moot up` starts a cluster; --port names another node", why);
    } else if (!cli_view_read(&view, (const char *)json.data, json.size)) {
        status = cli_fail("%s did not answer in JSON: is it a moot?", address);
    } else if (options.json) {
        status = print_json(&view, &json);
    } else {
        print_table(&view);
    }
    moot_buffer_deinit(&json);
    return status;
}
