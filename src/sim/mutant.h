/* Mutants: one safety rule (base/rule.h) turned off, so that somebody must notice. */
#ifndef MOOT_SIM_MUTANT_H
#define MOOT_SIM_MUTANT_H

#include "moot/base.h"

/* From now on the rule of this name is off. False in a build without mutants. The text must stay.
 */
bool moot_sim_mutant(const char *rule);

/* The rules that refused something while none was off, in the order in which they first did; NULL
 * after the last. Only who met a rule can miss it. */
const char *moot_sim_met(uint32_t i);

#endif
