/* The pulse of one link: how alive its other end seems (phi, moot/detector.h), how long a round
 * trip takes (wire/beat.h), and what that and SWIM say of the peer together. No I/O in here. */
#ifndef MOOT_HOST_PULSE_H
#define MOOT_HOST_PULSE_H

#include "database/turn.h"
#include "moot/detector.h"
#include "moot/swim.h"
#include "wire/beat.h"

enum { PULSE_ROUND_TRIPS = 8 };

struct pulse {
    struct moot_detector detector;
    uint64_t fed_ns; /* When the detector last got a heartbeat. */
    bool heard;      /* Ever. */
    bool left;       /* It said goodbye on its last link. */
    /* The least of the last ones: a slow link shows, a process that stood still does not. */
    uint32_t round_trip_us; /* 0: not known. */
    uint32_t round_trips_us[PULSE_ROUND_TRIPS], echoes;
    uint32_t others_us; /* As the peer says: its shortest with a third node. */
};

void pulse__init(struct pulse *pulse, uint64_t now_ns);
/* Any message. */
void pulse__heard(struct pulse *pulse, uint64_t now_ns);
/* A beat's answer; false: it answers nothing that was asked within the last minute. */
bool pulse__echo(struct pulse *pulse, const struct moot_beat *beat, uint64_t now_ns);
/* A handshake is done: the peer lives. */
void pulse__link_begins(struct pulse *pulse, uint64_t now_ns);
/* The link has ended: what was measured on it is void. */
void pulse__link_ended(struct pulse *pulse);
/* This process stood still until `now_ns`. */
void pulse__excuse(struct pulse *pulse, uint64_t now_ns, uint64_t lost_ns);
uint32_t pulse__phi_milli(const struct pulse *pulse, uint64_t now_ns);

/* SWIM's word, unless the link knows better: who is heard on a proven link is alive, whatever
 * rumours say; who is silent on it is suspect, however well UDP works. `swim`: NULL, not known. */
enum moot_health pulse__judge(const enum moot_swim_state *swim, bool link_up, bool heard,
                              uint32_t phi_milli);

#endif
