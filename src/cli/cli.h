/* The program `moot`: what its subcommands share. One file a subcommand; the table is in main.c. */
#ifndef MOOT_CLI_CLI_H
#define MOOT_CLI_CLI_H

#include "base/buffer.h"

/* Exit statuses. Subcommands get their own arguments; argv[0] is "moot NAME". */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

enum { CLI_PORT_DEFAULT = 7001, CLI_PATH_BYTES = 4096 };

int moot_cli_server(int argc, char **argv);
int moot_cli_up(int argc, char **argv);
int moot_cli_down(int argc, char **argv);
int moot_cli_status(int argc, char **argv);
int moot_cli_cluster(int argc, char **argv);

/* "moot: " and the text and a line end on standard error; returns CLI_FAILED. */
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A whole number within bounds, or ends the program with a sentence that names the option. */
long cli_number(const char *option, const char *text, long low, long high);

#endif
