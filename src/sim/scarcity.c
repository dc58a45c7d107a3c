#include "sim/scarcity.h"

__attribute__((weak)) bool moot_scarcity_is_there(void) { return false; }

__attribute__((weak)) void moot_scarcity_begin(struct moot_scarcity *scarcity) { (void)scarcity; }

__attribute__((weak)) void moot_scarcity_end(void) {}
