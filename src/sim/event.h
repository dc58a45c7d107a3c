/* What is going to happen in the world, in the order of time; at the same time, in the order in
 * which it was decided. */
#ifndef MOOT_SIM_EVENT_H
#define MOOT_SIM_EVENT_H

#include "base/block.h"
#include "moot/base.h"

enum sim_event_kind {
    SIM_TURN,          /* machine */
    SIM_TICK,          /* machine, number: which deadline */
    SIM_START,         /* machine */
    SIM_DURABLE,       /* machine, number: ticket */
    SIM_JOB,           /* machine, number: job */
    SIM_DIAL,          /* machine, other */
    SIM_LINK_UP,       /* machine is told of other; epoch: the link */
    SIM_LINK_DOWN,     /* the same; number: status, negated */
    SIM_MESSAGE,       /* machine receives from other; epoch: the link */
    SIM_TO_NODE,       /* machine; number: connection; block NULL: closed */
    SIM_TO_CLIENT,     /* client; number: connection; block NULL: closed */
    SIM_TO_GUEST,      /* number: connection; block NULL: closed */
    SIM_CLIENT,        /* client acts; epoch: its patience or think time */
    SIM_CLIENT_GIVEUP, /* client; epoch */
    SIM_NEMESIS,       /* the next fault */
    SIM_MEND,          /* number: the fault that ends */
    SIM_READS,         /* machine; number: connection, which has read all it was sent */
    SIM_FLAP,          /* machine: how often still; number: from; other: to */
    SIM_ROOM,          /* machine: its disk has room again */
    SIM_WATCH,         /* phases are looked at */
};

struct sim_event {
    uint64_t at, order;
    enum sim_event_kind kind;
    uint32_t machine, other; /* Slots, or a client. */
    uint64_t epoch;          /* Of the process or link it is meant for. */
    uint64_t number;
    struct moot_block *block; /* A reference, or NULL. */
};

struct sim_events {
    struct sim_event *heap;
    size_t count, capacity;
    uint64_t order;
};

void sim_events_deinit(struct sim_events *events);
/* `event->order` is set here. The block's reference goes with it. */
void sim_events_add(struct sim_events *events, const struct sim_event *event);
/* False when nothing will ever happen. */
bool sim_events_take(struct sim_events *events, struct sim_event *event);

#endif
