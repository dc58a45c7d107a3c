/* `moot maelstrom`: one node on standard input and output, in the language of Maelstrom. */
#ifndef MOOT_CLI_MAELSTROM_H
#define MOOT_CLI_MAELSTROM_H

int moot_cli_maelstrom(int argc, char **argv);

#endif
