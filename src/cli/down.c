/* `moot down`: stops the nodes whose process ids are in a folder. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/cli.h"
#include "cli/nodes.h"

static error_t parse(int key, char *text, struct argp_state *state)
{
    const char **dir = state->input;
    if (key == 'd') {
        *dir = text;
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option table[] = {
    {"dir", 'd', "DIR", 0, "the folder of `moot up` or `moot server` (./moot-data)", 0}, {0}};
static const struct argp argp = {
    table, parse,
    NULL,  "Stops the nodes of a folder, and waits until they are gone. Their data stays.",
    NULL,  NULL,
    NULL};

int moot_cli_down(int argc, char **argv)
{
    const char *dir = "./moot-data";
    argp_parse(&argp, argc, argv, 0, NULL, &dir);
    if (access(dir, F_OK) != 0) {
        return cli_fail("there is no folder %s: name the one of `moot up` with --dir", dir);
    }
    pid_t pids[MOOT_MEMBERS_MAX + 1];
    size_t count = 0;
    pids[count++] = cli_pid_of(dir); /* Of one server. */
    struct cli_nodes nodes;
    if (cli_nodes_read(&nodes, dir) == 0) {
        for (uint32_t k = 1; k <= nodes.count; k++) {
            char folder[CLI_PATH_BYTES];
            cli_nodes_folder(&nodes, k, folder);
            pids[count++] = cli_pid_of(folder);
        }
    }
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += pids[i] > 0 ? 1 : 0;
    }
    bool clean = cli_stop_all(pids, count, MOOT_DOWN_MS);
    if (found == 0) {
        printf("moot: nothing of %s is running\n", dir);
    } else if (clean) {
        printf("moot: stopped %zu node%s\n", found, found == 1 ? "" : "s");
    } else {
        printf("moot: stopped %zu node%s, at least one of them by force after %d s (nothing "
               "acknowledged is lost by that)\n",
               found, found == 1 ? "" : "s", MOOT_DOWN_MS / 1000);
    }
    return CLI_OK;
}
