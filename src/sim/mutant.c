#include "sim/mutant.h"

#include "base/rule.h"

#ifdef MOOT_MUTANTS

#include <string.h>

enum { MET_MAX = 256 };

static const char *off; /* Set once, before the first world begins. */
static const char *met[MET_MAX];
static uint32_t met_count;

bool moot_sim_mutant(const char *rule)
{
    off = rule;
    return true;
}

const char *moot_sim_met(uint32_t i) { return i < met_count ? met[i] : NULL; }

static void note_met(const char *name)
{
    for (uint32_t i = 0; i < met_count; i++) {
        if (met[i] == name || strcmp(met[i], name) == 0) {
            return;
        }
    }
    if (met_count < MET_MAX) {
        met[met_count++] = name;
    }
}

bool moot_rule_is_off(const char *name)
{
    if (off == NULL) {
        note_met(name);
        return false;
    }
    return strcmp(name, off) == 0;
}

#else

bool moot_sim_mutant(const char *rule)
{
    (void)rule;
    return false;
}

const char *moot_sim_met(uint32_t i)
{
    (void)i;
    return NULL;
}

#endif
