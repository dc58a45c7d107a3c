/* `moot sim`: whole clusters of the production code in virtual time, under faults. */
#ifndef MOOT_CLI_SIM_H
#define MOOT_CLI_SIM_H

int moot_cli_sim(int argc, char **argv);

#endif
