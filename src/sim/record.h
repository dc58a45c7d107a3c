/* The recorder: a run as a picture (picture/picture.h), while it happens.
 *
 * Off unless the options have a picture; then each of these is one comparison. It only looks:
 * a run goes the same way, bit for bit, with and without it. (Raft's decisions come as effects when
 * a node is asked for them; they are taken out here before anybody performs or counts effects.)
 *
 * A new fault that lasts is one line where it begins, and one where it ends unless its end is known
 * or is healing: sim__record_fault, sim__record_fault_ends. */
#ifndef MOOT_SIM_RECORD_H
#define MOOT_SIM_RECORD_H

#include "base/slice.h"

struct moot_effects;
struct sim_client;
struct sim_machine;
struct sim_record;
struct sim_world;

void sim__record_begin(struct sim_world *world);
void sim__record_end(struct sim_world *world); /* The history joins the picture. */

void sim__record_start(struct sim_world *world, const struct sim_machine *machine);
void sim__record_gone(struct sim_world *world, const struct sim_machine *machine, bool is_quiet);
/* After a turn: takes Raft's decisions out of `effects`, and sees what has changed. */
void sim__record_turn(struct sim_world *world, const struct sim_machine *machine,
                      struct moot_effects *effects);
/* What a node says to people, or what is done to it at one instant. */
void sim__record_says(struct sim_world *world, const struct sim_machine *machine,
                      struct moot_slice text);
void sim__record_strike(struct sim_world *world, const struct sim_machine *machine,
                        const char *words);
void sim__record_phase(struct sim_world *world, const char *name);
void sim__record_violation(struct sim_world *world, struct moot_slice words);
/* The operation of the history that is wrong; and those that show it, which are marked instead of
 * those that might: the page opens on them. */
void sim__record_wrong(struct sim_world *world, size_t operation);
void sim__record_evidence(struct sim_world *world, const uint32_t *operations, size_t count);

/* A message: its number, for the two below. `to` may be NULL. */
uint64_t sim__record_send(struct sim_world *world, const struct sim_machine *from,
                          const struct sim_machine *to, struct moot_slice bytes);
void sim__record_arrive(struct sim_world *world, uint64_t message);
void sim__record_lost(struct sim_world *world, uint64_t message, const char *why);
/* Bytes between a client and a machine, which arrive at `at`. */
void sim__record_bytes(struct sim_world *world, const struct sim_client *client, bool to_node,
                       struct moot_slice bytes, uint64_t at);

/* `lines` and `others`: sets of slots; `others` is the other side of a partition. `until` may be
 * UINT64_MAX. `number` names it among faults of its name that are in force. */
void sim__record_fault(struct sim_world *world, const char *name, uint64_t number, uint32_t lines,
                       uint32_t others, uint64_t until, const char *format, ...)
    __attribute__((format(printf, 7, 8)));
void sim__record_fault_ends(struct sim_world *world, const char *name, uint64_t number);
/* Whatever is in force ends. */
void sim__record_healed(struct sim_world *world);

#endif
