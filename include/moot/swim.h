/* SWIM: who is in the group and who is gone, at a price per member that does not grow.
 *
 * Intuition: nobody watches everybody. Each member asks *one* other, each period, whether it lives;
 * no answer: a few others are asked to try, because the road may be bad and not the member. Still
 * nothing: the member is a suspect, and everybody hears so; it may refute, and only when it does
 * not, in time, is it dead. News travel on the back of the questions and answers themselves, as
 * rumours that each member passes on some multiple of log(n) times, so they reach all n in about
 * log(n) periods and cost no message of their own.
 *
 *   A.Das, I.Gupta, A.Motivala: "SWIM: Scalable Weakly-consistent Infection-style Process Group
 *   Membership Protocol", DSN 2002. Shuffled round-robin probing is section 4.3 (a member that
 *   fails is probed within 2n-1 periods), indirect probes 3.1, suspicion and incarnations 4.2,
 *   dissemination 4.1 and 3.2.
 *   A.Dadgar, J.Phillips, J.Currey: "Lifeguard: Local Health Awareness for More Accurate Failure
 *   Detection", DSN 2018. Its three parts: a member that misses answers doubts itself and slows
 *   down (local health, IV.A); a suspicion heard from several members ends sooner, from one later
 *   (IV.B); a suspect is told first (the buddy system, IV.C).
 *
 * What an incarnation is: a number that only the member itself raises. Of two sayings about it the
 * one with the higher incarnation counts; of equal ones the worse. A member refutes a suspicion by
 * raising it above the suspicion's. Give a restarted process a higher one than its last.
 *
 * Around the paper: a dead member that is heard again with a higher incarnation is alive (a healed
 * partition), so from time to time a dead one is asked; members exchange their whole state when
 * they join, and now and then; what another calls dead in such an exchange is only suspected, so
 * that it may refute; an observer that was itself paused suspects nobody for it.
 *
 * Shape: caller-owned memory, no I/O. Received packets and ticks in, packets out. Packets may be
 * lost, repeated, reordered, and forged ones cannot be told: authenticate them around this.
 *
 *   struct moot_swim_out out;
 *   moot_swim_init(&swim, &config, memory, bytes, now);
 *   moot_swim_join(&swim, now, seeds, count, &out);                      send what is in `out`
 *   at moot_swim_deadline(&swim): moot_swim_tick(&swim, now, &out);      send
 *   a packet came: moot_swim_receive(&swim, now, packet, &out);          send
 *   then: while (moot_swim_next_change(&swim, &change)) ...
 *
 * Advice only: two members may disagree at any time, for ever if the network says so. Never let
 * ownership or a vote depend on it. */
#ifndef MOOT_SWIM_H
#define MOOT_SWIM_H

#include "moot/base.h"

enum {
    MOOT_SWIM_PACKET_MAX =
        1400,                 /* Bytes: fits a datagram of Ethernet, and all IPv6 paths but few. */
    MOOT_SWIM_SENDS_MAX = 32, /* Packets of one step. */
    MOOT_SWIM_ADDRESS_MAX = 19, /* IPv6 and port are 18. */
    MOOT_SWIM_INDIRECT_MAX = 8,
    MOOT_SWIM_CONFIRM_MAX = 4,
    MOOT_SWIM_RELAYS_MAX = 64, /* Indirect probes under way for others. */
    MOOT_SWIM_SYNCS_MAX = 4,   /* Whole states being sent. */
    MOOT_SWIM_CAPACITY_MAX = 65536,
};

/* Where packets go, in whatever form the caller's network has. */
struct moot_swim_address {
    uint8_t size;
    uint8_t bytes[MOOT_SWIM_ADDRESS_MAX];
};

enum moot_swim_state { MOOT_SWIM_ALIVE, MOOT_SWIM_SUSPECT, MOOT_SWIM_DEAD, MOOT_SWIM_LEFT };
const char *moot_swim_state_text(enum moot_swim_state state);

struct moot_swim_config {
    moot_node_id self;
    struct moot_swim_address address; /* Where others reach this member. */
    uint64_t incarnation;             /* At least; above that of an earlier life. */
    uint64_t seed;                    /* Of its random choices. */
    struct moot_duration interval;    /* Protocol period. 0: 1 s */
    struct moot_duration timeout; /* Of a direct probe; shorter than interval. 0: interval / 2 */
    struct moot_duration
        sync; /* Between exchanges of whole states, for each 64 members. 0: 30 intervals */
    struct moot_duration reconnect; /* Between questions to a dead member. 0: 10 intervals */
    struct moot_duration forget; /* Dead and left members are remembered for it. 0: 300 intervals */
    uint8_t indirect;            /* Members asked to probe instead; the paper's k. 0: 3 */
    uint8_t gossip_multiplier;   /* Each rumour is sent so many times log2(n). 0: 3 */
    uint8_t
        suspicion_multiplier; /* Lifeguard's alpha: least time-out in log10(n) intervals. 0: 5 */
    uint8_t suspicion_max_multiplier; /* Lifeguard's beta: greatest, in least ones. 0: 6; 1: plain
                                         SWIM */
    uint8_t confirmations; /* Lifeguard's K: independent suspicions that end it soonest. 0: 3 */
    uint8_t awareness_max; /* Lifeguard's S: of local health. 0: 8; 1: plain SWIM */
    bool no_buddy;         /* Without Lifeguard's third part: for comparison. */
};

/* What is known of one member. */
struct moot_swim_member {
    moot_node_id id;
    uint8_t state; /* enum moot_swim_state */
    uint64_t incarnation;
    struct moot_swim_address address;
    struct moot_instant since; /* When the state became what it is, here. */
};

struct moot_swim_change {
    moot_node_id id;
    enum moot_swim_state state; /* Now. Changes in between may be skipped, the last never. */
    bool forgotten;             /* It was dead or left, and is no longer listed. */
};

struct moot_swim_out {
    uint32_t count;   /* Packets to send. */
    uint32_t dropped; /* Did not fit: as good as lost. */
    struct {
        moot_node_id to; /* 0: an address given to join. */
        struct moot_swim_address address;
        uint32_t size;
        uint8_t bytes[MOOT_SWIM_PACKET_MAX];
    } sends[MOOT_SWIM_SENDS_MAX];
};

/* Counted since init. */
struct moot_swim_counts {
    uint64_t sent, sent_bytes, received, malformed;
    uint64_t probes, failed_probes, indirect_probes, suspicions, refuted_self, deaths, syncs, full;
};

struct moot_swim; /* Opaque; lives in the caller's memory. */

/* Bytes that `capacity` members (with oneself) need, for init. */
size_t moot_swim_memory(uint32_t capacity);
/* Into `memory`, aligned for uint64_t, which the caller keeps until it no longer uses the result.
 * MOOT_EINVALID: the config contradicts itself, or `bytes` is too small. */
int moot_swim_init(const struct moot_swim_config *config, uint32_t capacity, void *memory,
                   size_t bytes, struct moot_instant now, struct moot_swim **out) MOOT_MUST_USE;

/* Asks the addresses for their state: up to MOOT_SWIM_SENDS_MAX at once. Again while
 * moot_swim_count says 1: nobody else will think of a member that nobody has heard of. */
void moot_swim_join(struct moot_swim *swim, struct moot_instant now,
                    const struct moot_swim_address *seeds, uint32_t count,
                    struct moot_swim_out *out);
/* Tells the others that this member leaves. Go on with ticks until moot_swim_has_left. */
void moot_swim_leave(struct moot_swim *swim, struct moot_instant now);
bool moot_swim_has_left(const struct moot_swim *swim);

void moot_swim_tick(struct moot_swim *swim, struct moot_instant now, struct moot_swim_out *out);
/* MOOT_EINVALID, MOOT_EVERSION: nothing is believed of it, and nothing changes. */
int moot_swim_receive(struct moot_swim *swim, struct moot_instant now, struct moot_slice packet,
                      struct moot_swim_out *out);
struct moot_instant moot_swim_deadline(const struct moot_swim *swim);

/* What changed since it was last asked; false when nothing more. */
bool moot_swim_next_change(struct moot_swim *swim, struct moot_swim_change *out);
/* False: nothing is known of it. */
bool moot_swim_find(const struct moot_swim *swim, moot_node_id id, struct moot_swim_member *out);
/* Walks all members, oneself included: begin with *at = 0; false at the end. */
bool moot_swim_next_member(const struct moot_swim *swim, uint32_t *at,
                           struct moot_swim_member *out);
/* Alive and suspect ones, with oneself. */
uint32_t moot_swim_count(const struct moot_swim *swim);
/* 0: answers come as they should; up to awareness_max - 1: this member should doubt itself. */
uint32_t moot_swim_awareness(const struct moot_swim *swim);
const struct moot_swim_counts *moot_swim_counts(const struct moot_swim *swim);
/* All invariants; aborts by assertion. */
void moot_swim_check(const struct moot_swim *swim);

#endif
