/* The player: a brain that lives a recorded life again (replay/stream.h), and is compared with it.
 *
 * The third driver of database/turn.h beside host and sim, and the smallest: effects are compared
 * and dropped, because what they led to is in the recording. The brain's disk and store answer what
 * the recorded ones answered, in the same order; a question that is another than the recorded one
 * is where the two lives part.
 *
 * Why they may part: the program is another build; the recording is not whole; or the brain is not
 * deterministic, which is a bug. */
#ifndef MOOT_REPLAY_PLAYER_H
#define MOOT_REPLAY_PLAYER_H

#include "database/node.h"
#include "replay/stream.h"

/* A turn as it was recorded. */
struct moot_player_turn {
    uint64_t number;
    struct moot_now now;
    struct moot_duration age; /* Since the brain was opened. */
    const struct moot_input *inputs;
    size_t count;
};

struct moot_player_calls {
    void *context;
    /* Each may be NULL. `before` a turn: false ends the replay there. */
    void (*opened)(void *context, const struct moot_replay_open *open,
                   const struct moot_node *node);
    bool (*before)(void *context, const struct moot_player_turn *turn);
    void (*after)(void *context, const struct moot_player_turn *turn, const struct moot_node *node,
                  const struct moot_effects *effects);
};

enum { MOOT_PLAYER_WHY_BYTES = 512 };

struct moot_player_result {
    uint64_t turns;           /* Replayed with the recorded effects. */
    uint64_t lives;           /* Brains opened. */
    uint64_t program;         /* The recording's. */
    bool differs;             /* The lives part, at `turn` (0: while opening): */
    uint64_t turn;            /* see `why`. */
    struct moot_duration age; /* Of `turn`, or of the last one. */
    bool within_turn;         /* The recording ends within a turn. */
    struct moot_identity identity;
    char why[MOOT_PLAYER_WHY_BYTES];
};

/* Replays the stream to its end. `trace`: ask the brain for Raft's decisions, also when the
 * recorded one was not asked. */
void moot_player_run(struct moot_replay_stream *stream, bool trace,
                     const struct moot_player_calls *calls, struct moot_player_result *result);

#endif
