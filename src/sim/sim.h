/* One whole cluster in one thread: production nodes, virtual time, and faults; one seed decides
 * everything.
 *
 * The simulator is the other driver of database/turn.h (the first is src/host). It gives nodes
 * their inputs and performs their effects in order, on disks that lose what was not synced, over a
 * network that loses, delays, repeats and reorders, under clocks that drift and jump; it kills
 * processes between any two effects. Clients speak bytes. What they asked and were told is judged
 * by src/check, and what the nodes hold is compared after every turn (invariants.c).
 *
 * A run has four phases: faults; then everything is healed, and all clients must finish; then all
 * replicas must come to hold the same; then last reads of every key join the history.
 *
 * The handshake of links between members is not simulated: PEER_UP comes with the right identity;
 * only what strangers get to hear is (admission.c). Memory is limited
 * only in a sweep of allocations (scarcity.h). Damage to disks is what the cluster must survive
 * (atlas.c). */
#ifndef MOOT_SIM_SIM_H
#define MOOT_SIM_SIM_H

#include <stdio.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "moot/base.h"
#include "sim/faults.h"

/* A sweep runs a world again and again, and in each another one of these fails; of faults that a
 * seed draws, the worst moment may never be among. */
enum moot_sim_sweep {
    MOOT_SIM_SWEEP_NONE,
    MOOT_SIM_SWEEP_WRITE, /* A write of a journal: the process ends. */
    MOOT_SIM_SWEEP_SYNC,  /* The same of its sync. */
    MOOT_SIM_SWEEP_STORE, /* A write of a store. */
    MOOT_SIM_SWEEP_CRASH, /* The process dies after this effect, or when work beside turns is done,
                             which it does not hear of any more. */
    MOOT_SIM_SWEEP_POWER, /* All processes die then. */
    MOOT_SIM_SWEEP_OPEN,  /* A change of a disk while a process starts: it dies there. */
    MOOT_SIM_SWEEP_ALLOC, /* An allocation within a turn: the process ends then and there. */
    MOOT_SIM_SWEEPS
};

struct moot_sim_options {
    uint64_t seed;
    uint32_t nodes; /* First members; 0: the seed says. */
    uint64_t operations;
    struct sim_fault_wish faults;
    uint32_t workload;      /* As moot_sim_workload says; 0: the seed says. */
    uint16_t client_port;   /* Node k's address for clients: 127.0.0.1:port+k. 0: none real. */
    uint64_t wall_begin_ms; /* The true time at which the world begins. 0: long ago. */
    /* What a byte that a node takes in, sends or writes costs its processor: then a node can be
     * overloaded. 0: turns are short or long as the seed says, whatever is in them. */
    uint64_t byte_ns;
    FILE *trace;        /* NULL: none. Every input and effect, a line each. */
    uint64_t from_ns;   /* The trace begins here. */
    uint64_t break_ns;  /* SIGTRAP is raised here, for a debugger; 0: nowhere. */
    uint64_t faults_ns; /* Faults end here; 0: when the seed says. */
    uint64_t upset_ns;  /* For tests of who finds it: every second world in a process draws once too
                           often here; 0: none. */
    uint64_t judge_max; /* Configurations that the judge may look at, of a key; 0: as many as mostly
                           do. */
    uint64_t planted;   /* For tests of who explains it: a violation once a process has crashed and
                           so many operations were asked; 0: none. */
    enum moot_sim_sweep sweep;    /* What fails, as the so-manieth in the world; */
    uint64_t sweep_at;            /* 0: none. */
    bool sweep_persists;          /* That disk, store or memory refuses all for a while. */
    struct moot_picture *picture; /* NULL: none. All that is worth seeing (sim/record.h). */
};

struct moot_sim_counts {
    uint64_t operations, ok, failed, in_doubt;
    uint64_t turns, messages, lost, restarts, flushes, installs, fetches, elections, long_reads;
    uint64_t unsynced, torn;     /* Changes of disks that a death has not kept, and torn writes. */
    uint64_t faults[SIM_FAULTS]; /* How often each has shown. */
    uint64_t swept[MOOT_SIM_SWEEPS]; /* How many there were of each. */
    uint64_t unknown;                /* 1: the judge ran out of budget. */
    uint64_t stopped; /* 1: every majority lost something to rot, and nobody leads (atlas.c). */
};

struct moot_sim_result {
    bool violated;
    uint64_t virtual_ns;
    uint64_t hash; /* Over all inputs and effects: their kinds, times and bytes. */
    uint32_t nodes;
    const char *workload;
    sim_fault_set faults; /* That this world has. */
    struct moot_sim_counts counts;
    struct moot_buffer words; /* What is wrong; empty when nothing is. */
};

void moot_sim_result_init(struct moot_sim_result *result);
void moot_sim_result_deinit(struct moot_sim_result *result);

/* The number of a workload, from 1 on; 0: there is none of that name. */
uint32_t moot_sim_workload(const char *name);

/* Same options, same result, bit for bit. A failed assertion ends the process. */
void moot_sim_run(const struct moot_sim_options *options, struct moot_sim_result *result);

#endif
