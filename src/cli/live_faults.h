/* What the files of the faults share: live_faults.c (which one comes when; processes and networks)
 * and live_machines.c (disks and clocks). */
#ifndef MOOT_CLI_LIVE_FAULTS_H
#define MOOT_CLI_LIVE_FAULTS_H

#include "cli/live.h"

/* The run ends: what a healthy cluster always does did not happen. */
void live__get_stuck(struct live_faults *faults, const char *what);
/* How long a fault lasts. */
uint64_t live__chance_ms(struct live_faults *faults);
uint32_t live__members(const struct live_faults *faults, uint32_t out[LIVE_SERVERS_MAX]);
/* A member; every second time the one that leads. */
uint32_t live__choose_victim(struct live_faults *faults);

void live__run_disk(struct live_faults *faults, struct live_band *band);
void live__run_clock(struct live_faults *faults, struct live_band *band);

#endif
