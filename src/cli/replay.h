/* `moot replay`. */
#ifndef MOOT_CLI_REPLAY_H
#define MOOT_CLI_REPLAY_H

int moot_cli_replay(int argc, char **argv);

#endif
