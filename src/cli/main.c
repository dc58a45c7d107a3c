/* The one binary: a table of subcommands. */
#include <stdio.h>
#include <string.h>

#include "cli/check.h"
#include "moot/base.h"

static const struct {
    const char *name;
    const char *help;
    int (*run)(int argc, char **argv); /* argv[0] is the name. */
} commands[] = {
    {"check", "judge a history of operations", moot_cli_check},
};

static void usage(FILE *out)
{
    fprintf(out, "usage: moot COMMAND [OPTION...]\n\n");
    for (size_t i = 0; i < MOOT_ARRAY_LEN(commands); i++) {
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
    }
    fprintf(out, "\nmoot COMMAND --help says more; moot --version names the version.\n");
}

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("moot " MOOT_VERSION);
        return 0;
    }
    for (size_t i = 0; i < MOOT_ARRAY_LEN(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "moot: no command %s\n", argv[1]);
    usage(stderr);
    return 2;
}
