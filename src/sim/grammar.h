/* Arguments for any command of the table, drawn from the syntax that the table gives: so that a
 * command added to it is sent by the simulator's clients from then on.
 *
 * Most are of the right kind; some are at its edges, some of another kind, some are too few or too
 * many. Whatever is drawn, the command touches no key but those given, nor another database: who
 * draws them owns the keys, and knows what they must hold. No two expiries of one client are close:
 * clocks that disagree by years agree about which is the later one. But for those that are short,
 * where they are allowed, and never compared: these come within the life of a world. */
#ifndef MOOT_SIM_GRAMMAR_H
#define MOOT_SIM_GRAMMAR_H

#include "base/memory.h"
#include "base/rng.h"
#include "database/command/command.h"

enum { SIM_GRAMMAR_ARGS_MAX = 300 };
/* Short expiries in milliseconds from now are odd; all others, in seconds or of a time, are even.
 */
enum { SIM_GRAMMAR_SHORT_MIN_MS = 21, SIM_GRAMMAR_SHORT_MAX_MS = 1421 };

struct sim_grammar {
    struct moot_rng *rng;
    struct moot_arena *arena; /* Of what is drawn. */
    const struct moot_slice *keys;
    uint32_t key_count; /* Fewer are for groups of commands: "string", "hash", "list". */
    uint8_t database, database_count;  /* The first of those that may be named, and how many. */
    bool is_small;                     /* Neither long values nor many elements. */
    bool is_large;                     /* Values up to the largest. */
    bool waits;                        /* Commands that wait may do so for ever. */
    uint64_t wall_ms;                  /* The time; 0: no expiry is short. */
    bool in_multi;                     /* What expires at once would be gone for what follows. */
    uint64_t *drawn_ms;                /* When an odd short one was drawn last, by itself. */
    uint64_t expiries, values, shorts; /* Drawn so far. */
    uint64_t cursor;                   /* To be gone on with. */
};

/* Fills args[0..], and returns how many; args[0] is the name. */
uint32_t sim_grammar_draw(struct sim_grammar *grammar, const struct moot_command *command,
                          struct moot_slice args[SIM_GRAMMAR_ARGS_MAX]);
/* A value, as SET may have it. */
struct moot_slice sim_grammar_value(struct sim_grammar *grammar);
/* Any key. */
struct moot_slice sim_grammar_key(struct sim_grammar *grammar);

#endif
