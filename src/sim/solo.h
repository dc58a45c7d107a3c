/* One node, whose disk and store are memory: the third driver of database/turn.h.
 *
 * For programs that bring a network and clients of their own and want the production brain between
 * them: `moot maelstrom`. Everything beside turns (journal, fetches, flushes, snapshots) is done at
 * once, so a turn's answers are inputs of the next. What the node has written is as durable as the
 * process: solo nodes are for tests, never for data.
 *
 * The caller says when; solo says what: messages and replies come as calls, made inside
 * moot_solo_run. A call may give new inputs. */
#ifndef MOOT_SIM_SOLO_H
#define MOOT_SIM_SOLO_H

#include "base/buffer.h"
#include "database/node.h"

struct moot_solo;

struct moot_solo_calls {
    void *context;
    void (*send)(void *context, moot_node_id to, struct moot_slice message);
    void (*reply)(void *context, moot_connection_id connection, struct moot_slice bytes);
    void (*closed)(void *context, moot_connection_id connection);
    void (*say)(void *context, struct moot_slice line); /* for people */
    void (*stop)(void *context, int status, struct moot_slice why);
};

struct moot_solo_options {
    const struct moot_identity *identity; /* Copied. */
    uint64_t seed;
    struct moot_now now;
    struct moot_solo_calls calls;
};

/* On failure *out is NULL and `why` says it. Errors as moot_node_open. */
int moot_solo_open(const struct moot_solo_options *options, struct moot_solo **out,
                   char why[256]) MOOT_MUST_USE;
void moot_solo_close(struct moot_solo *solo);

/* Kept for the next turn; bytes are copied. */
void moot_solo_input(struct moot_solo *solo, const struct moot_input *input);
/* Turns until nothing is left to do at `now`. */
void moot_solo_run(struct moot_solo *solo, struct moot_now now);
/* When to run again if no input comes. */
struct moot_instant moot_solo_deadline(const struct moot_solo *solo);
uint64_t moot_solo_incarnation(const struct moot_solo *solo);

#endif
