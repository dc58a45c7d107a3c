/* What a command must be answered: one engine on a store in memory, with no cluster around it and
 * nothing that fails.
 *
 * It runs the items of an edge's batch (database/execute/engine.h) one after the other, at a time
 * that stands still. So an answer that depends on time or chance is another one in a cluster; all
 * others are the same bytes. */
#ifndef MOOT_SIM_REFERENCE_H
#define MOOT_SIM_REFERENCE_H

#include "base/buffer.h"

/* When it is there, always. */
#define SIM_REFERENCE_NOW_MS UINT64_C(1700000000000)

struct sim_reference;

struct sim_reference *sim_reference_make(void);
void sim_reference_free(struct sim_reference *reference);
/* With the same contents, and stamps. */
struct sim_reference *sim_reference_copy(struct sim_reference *reference);

/* Runs one item; `reply` is emptied, then holds what it answers: nothing when it waits. */
void sim_reference_run(struct sim_reference *reference, struct moot_slice item,
                       struct moot_buffer *reply);
/* The same of one command, in RESP3. */
void sim_reference_ask(struct sim_reference *reference, uint8_t database,
                       const struct moot_slice *args, uint32_t argc, struct moot_buffer *reply);
/* A hash over all that can be read of some databases; not of stamps. */
uint64_t sim_reference_contents(struct sim_reference *reference, uint8_t first, uint8_t count);

#endif
