/* `moot lab`: scenes that answer one question each. */
#ifndef MOOT_CLI_LAB_H
#define MOOT_CLI_LAB_H

int moot_cli_lab(int argc, char **argv);

#endif
