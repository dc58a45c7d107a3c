/* Where two runs of one seed part.
 *
 * Both go side by side, an event of one and then the same of the other, and after each their
 * hashes, random streams and queues are compared: so the first event that differs is known when it
 * comes, nothing has to be kept, and it need not happen again in a third run. */
#ifndef MOOT_SIM_COMPARE_H
#define MOOT_SIM_COMPARE_H

#include "sim/sim.h"

/* True when they part; `words` then says where, with the trace before it and of both after it. */
bool moot_sim_compare(const struct moot_sim_options *options, struct moot_buffer *words);

#endif
