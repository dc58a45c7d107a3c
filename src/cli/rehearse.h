/* `moot rehearse`: a simulated cluster on real ports, for an application to meet its faults. */
#ifndef MOOT_CLI_REHEARSE_H
#define MOOT_CLI_REHEARSE_H

int moot_cli_rehearse(int argc, char **argv);

#endif
