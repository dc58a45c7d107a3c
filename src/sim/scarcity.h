/* Memory that runs out in the middle of a turn, for `moot sim --sweep alloc`.
 *
 * In production an allocation that fails ends the process (base/memory.h). Here one process is many
 * nodes: what fails does not return, but calls `run_out`, which leaves the turn for good. What the
 * turn had begun stays half done; nobody looks at it again, and it is not freed.
 *
 * Nothing in production code is made for this. It takes a program that is linked with an allocator
 * that counts (tests/lib/scarce.c, the program `moot_scarce`); in any other the functions here are
 * those of scarcity.c, which can do nothing. */
#ifndef MOOT_SIM_SCARCITY_H
#define MOOT_SIM_SCARCITY_H

#include "moot/base.h"

struct moot_scarcity {
    uint64_t at;                    /* The so-manieth allocation fails; 0: none. */
    void (*run_out)(void *context); /* Does not return. It is over then, as after end. */
    void *context;
    uint64_t counted; /* Allocations, and reallocations, so far. */
};

/* False: this program's allocator never fails. */
bool moot_scarcity_is_there(void);
/* Until end, or until one has failed, allocations are counted in *scarcity. */
void moot_scarcity_begin(struct moot_scarcity *scarcity);
void moot_scarcity_end(void);

#endif
