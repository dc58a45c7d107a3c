/* How unlikely it is to be z deviations above the mean. */
#ifndef MOOT_PROTOCOL_DETECTOR_NORMAL_TAIL_H
#define MOOT_PROTOCOL_DETECTOR_NORMAL_TAIL_H

#include "moot/base.h"

/* -log10 of the upper tail of the standard normal distribution, in millionths; z in 1/1024ths.
 * Rises from 0 below -4 to more than 100 at 22, where it stops. */
uint64_t detector__normal_tail_micro(int64_t z_1024);

#endif
