#include "sim/mutant.h"

#include "base/rule.h"

#ifdef MOOT_MUTANTS

#include <string.h>

static const char *off; /* Set once, before the first world begins. */

bool moot_sim_mutant(const char *rule)
{
    off = rule;
    return true;
}

bool moot_rule_is_off(const char *name) { return off != NULL && strcmp(name, off) == 0; }

#else

bool moot_sim_mutant(const char *rule)
{
    (void)rule;
    return false;
}

#endif
