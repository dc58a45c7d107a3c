/* What is going to happen in the world, in the order of time; at the same time, in the order in
 * which it was decided. */
#ifndef MOOT_SIM_EVENT_H
#define MOOT_SIM_EVENT_H

#include "base/block.h"
#include "moot/base.h"

enum sim_event_kind {
    SIM_TURN,          /* machine */
    SIM_TICK,          /* machine: its deadline */
    SIM_START,         /* machine */
    SIM_DURABLE,       /* machine, number: ticket */
    SIM_JOB,           /* machine, number: job */
    SIM_DIAL,          /* machine, other */
    SIM_LINK_UP,       /* machine is told of other; epoch: the link */
    SIM_LINK_DOWN,     /* the same; number: status, negated */
    SIM_MESSAGE,       /* machine receives from other; epoch: the link */
    SIM_TO_NODE,       /* machine; number: connection; block NULL: closed, or ended if other is 1 */
    SIM_TO_CLIENT,     /* client; number: connection; block NULL: closed */
    SIM_TO_GUEST,      /* number: connection; block NULL: closed */
    SIM_CLIENT,        /* client acts; epoch: its patience or think time */
    SIM_CLIENT_GIVEUP, /* client; epoch */
    SIM_NEMESIS,       /* the next fault */
    SIM_MEND,          /* number: the fault that ends */
    SIM_READS,         /* machine; number: connection, which has read all it was sent */
    SIM_FLAP,          /* machine: how often still; number: from; other: to */
    SIM_ROOM,          /* machine: its disk has room again */
    SIM_PART,          /* As MESSAGE; number: so many bytes of it have come, block: the first. */
    SIM_FELL,          /* machine: it loses its office; epoch */
    SIM_WATCH,         /* phases are looked at */
};

struct sim_event {
    uint64_t at;
    enum sim_event_kind kind;
    uint32_t machine, other; /* Slots, or a client. */
    uint64_t epoch;          /* Of the process or link it is meant for. */
    uint64_t number;
    struct moot_block *block; /* A reference, or NULL. */
};

/* When something happens, and where it lies. What is decided later has a higher `order`; its low
 * bits are the place in `items`, which so costs no word of its own. */
struct sim_event_key {
    uint64_t at, order;
};

enum { SIM_DEADLINES = 16 };

/* Thousands of events wait at a time, and few of them are looked at: the heap is of keys alone,
 * four of them a cache line, and each has four children. A machine's deadline is set anew by each
 * of its turns, and nearly always before it comes: deadlines lie beside the heap, one a machine.
 * Clients are all patient for the same time, so the ends of their patience come in the order in
 * which they are decided: they, which would be most of the heap, stand in a queue. */
struct sim_events {
    struct sim_event_key *heap;
    struct sim_event_key *queue; /* A ring: rising. */
    size_t heap_count, queue_first, queue_count;
    size_t count, capacity; /* Of both together; a power of two. */
    struct sim_event *items;
    uint32_t *unused; /* Places in `items`. */
    size_t unused_count;
    uint64_t order;
    struct sim_event_key deadlines[SIM_DEADLINES]; /* at UINT64_MAX: none. */
    uint32_t first_deadline;                       /* The one that comes first. */
};

void sim_events_init(struct sim_events *events);
void sim_events_deinit(struct sim_events *events);
/* The block's reference goes with it. */
void sim_events_add(struct sim_events *events, const struct sim_event *event);
/* A SIM_TICK for the machine, in place of the one that it may have; UINT64_MAX: none. */
void sim_events_set_deadline(struct sim_events *events, uint32_t machine, uint64_t at);
/* When something happens next; UINT64_MAX when nothing will. */
uint64_t sim_events_next(const struct sim_events *events);
/* False when nothing will ever happen. */
bool sim_events_take(struct sim_events *events, struct sim_event *event);

#endif
