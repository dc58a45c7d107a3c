/* A simulated cluster that serves clients from outside: so that an application meets fail-over,
 * replies in doubt and slow quorums when it is asked to, and again the same way.
 *
 * The nodes are production nodes in a world of the simulator (sim.h), faults are the simulator's,
 * from a random stream of their own: with one seed the same faults come at the same times, whoever
 * visits. What must hold between nodes is checked after every turn. The caller decides how virtual
 * time passes: `moot rehearse` lets it pass as the wall's. */
#ifndef MOOT_SIM_REHEARSAL_H
#define MOOT_SIM_REHEARSAL_H

#include "database/node.h"
#include "sim/sim.h"

enum { MOOT_REHEARSAL_GUESTS_MAX = 64 };

struct moot_rehearsal;

struct moot_rehearsal_calls {
    void *context;
    void (*bytes)(void *context, uint64_t guest, struct moot_slice bytes);
    void (*closed)(void *context, uint64_t guest); /* By the cluster. The guest is gone. */
};

struct moot_rehearsal_options {
    struct moot_sim_options sim; /* operations is not used. */
    uint64_t gap_ms;             /* Between faults, on average. 0: as the seed says. */
    struct moot_rehearsal_calls calls;
};

/* Options and `result` outlive it. */
struct moot_rehearsal *moot_rehearsal_open(const struct moot_rehearsal_options *options,
                                           struct moot_sim_result *result);
/* Ends the faults, lets the cluster come to rest (in virtual time, as fast as can be) and judges
 * it: see result. Guests are forgotten. */
void moot_rehearsal_close(struct moot_rehearsal *rehearsal);

uint32_t moot_rehearsal_nodes(const struct moot_rehearsal *rehearsal);
/* The brain of node `slot`, to be looked at; NULL: it is not running. */
const struct moot_node *moot_rehearsal_node(const struct moot_rehearsal *rehearsal, uint32_t slot);
/* Everything up to then happens. False: a promise is broken, and the result says which. */
bool moot_rehearsal_run(struct moot_rehearsal *rehearsal, uint64_t until_ns);
/* When something happens next, in virtual time. */
uint64_t moot_rehearsal_next(const struct moot_rehearsal *rehearsal);

/* To node `slot`, from 0. The guest's number; 0: refused, as by a node that is not running. */
uint64_t moot_rehearsal_connect(struct moot_rehearsal *rehearsal, uint32_t slot);
void moot_rehearsal_send(struct moot_rehearsal *rehearsal, uint64_t guest, struct moot_slice bytes);
/* By the guest. */
void moot_rehearsal_leave(struct moot_rehearsal *rehearsal, uint64_t guest);

#endif
