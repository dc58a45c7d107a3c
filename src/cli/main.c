/* The program: a table of subcommands. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/check.h"
#include "cli/cli.h"
#include "cli/lab.h"
#include "cli/maelstrom.h"
#include "cli/rehearse.h"
#include "cli/replay.h"
#include "cli/sim.h"
#include "moot/base.h"
#include "sim/mutant.h"

struct subcommand {
    const char *name;
    const char *line; /* What it does. */
    int (*run)(int argc, char **argv);
};

static const struct subcommand subcommands[] = {
    {"server", "run one node", moot_cli_server},
    {"up", "start a cluster on this machine and watch it", moot_cli_up},
    {"down", "stop the nodes of a folder", moot_cli_down},
    {"status", "who is there, who leads, how far behind", moot_cli_status},
    {"cluster", "remove or replace nodes; move leadership", moot_cli_cluster},
    {"sim", "clusters of this code in virtual time, under faults", moot_cli_sim},
    {"check", "judge a history of operations", moot_cli_check},
    {"rehearse", "a simulated cluster on real ports, for your application's tests",
     moot_cli_rehearse},
    {"replay", "let recorded nodes live again, and see where they differ", moot_cli_replay},
    {"lab", "small scenes: one question, one picture, one answer", moot_cli_lab},
    {"maelstrom", "one node on standard input and output, for Maelstrom", moot_cli_maelstrom},
};

static void usage(FILE *out)
{
    fprintf(out, "moot " MOOT_VERSION ": a distributed database that speaks the Redis protocol\n\n"
                 "usage: moot SUBCOMMAND [OPTION...]\n\n");
    for (size_t i = 0; i < MOOT_ARRAY_LEN(subcommands); i++) {
        fprintf(out, "  %-10s %s\n", subcommands[i].name, subcommands[i].line);
    }
    fprintf(out, "\n`moot SUBCOMMAND --help` says more. Begin with: moot up\n");
}

int cli_fail(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("moot: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    return CLI_FAILED;
}

long cli_number(const char *option, const char *text, long low, long high)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < low || number > high) {
        cli_fail("%s: '%s' is not a whole number from %ld to %ld", option, text, low, high);
        exit(CLI_USAGE);
    }
    return number;
}

int main(int argc, char **argv)
{
    const char *name = argc < 2 ? "--help" : argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        usage(stdout);
        return argc < 2 ? CLI_USAGE : CLI_OK;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        puts("moot " MOOT_VERSION);
        return CLI_OK;
    }
    (void)moot_sim_mutant(getenv("MUTANT")); /* Deaf to it, but for a mutants build. */
    for (size_t i = 0; i < MOOT_ARRAY_LEN(subcommands); i++) {
        if (strcmp(name, subcommands[i].name) == 0) {
            char full[64];
            snprintf(full, sizeof(full), "moot %s", name);
            argv[1] = full; /* What --help and errors call it. */
            return subcommands[i].run(argc - 1, argv + 1);
        }
    }
    cli_fail("'%s' is no subcommand; these are:", name);
    usage(stderr);
    return CLI_USAGE;
}
