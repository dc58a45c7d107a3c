/* `moot check`: judges a history read from a file (docs/history.md). */
#ifndef MOOT_CLI_CHECK_H
#define MOOT_CLI_CHECK_H

/* argv[0] is the subcommand's name. Returns the process's exit status: 0 valid, 1 violation, 2 not
 * known, or the command line or the file is wrong. */
int moot_cli_check(int argc, char **argv);

#endif
