/* Names for what the tests must be able to see.
 *
 * MOOT_RULE(name, cond)   a safety rule. `cond` true means: safe to go on. It is plain `cond`,
 * except in the mutants build (-DMOOT_MUTANTS), where `--mutant name` makes it always true; some
 * test must then fail. A rule that nobody misses is a hole. MOOT_SOMETIMES(cond, "why")  a rare
 * path that the tests should reach. Counted; a mark never hit over a batch of seeds is listed.
 * MOOT_RARELY(chance, name)  a legal but rare choice (a tiny batch, an early time-out), taken now
 * and then in the simulator, never in production. Decided by hash(seed, name, node, turn), so that
 * a new one, or a line added above one, changes nothing for the old seeds.
 * MOOT_FORCED(chance, name)  one that shows too much for that: only a fault of its own takes it. */
#ifndef MOOT_BASE_RULE_H
#define MOOT_BASE_RULE_H

#include "moot/base.h"

#ifdef MOOT_MUTANTS
/* True when this rule is turned off; set by the mutants build's driver. */
bool moot_rule_is_off(const char *name);
#define MOOT_RULE(name, cond) ((cond) || moot_rule_is_off(#name))
#else
#define MOOT_RULE(name, cond) (cond)
#endif

/* A mark lives in its own linker section, so that a driver can walk all of them. Its size is its
 * alignment, because compilers align larger variables further, and a gap would end the walk. Hits
 * are counted without a lock, also beside turns: what two threads count at once may count as one.
 */
struct moot_mark {
    const char *why;
    const char *file;
    uint32_t line;
    uint32_t hits;
} __attribute__((aligned(32)));
#define MOOT_SOMETIMES(cond, text)                                                                 \
    do {                                                                                           \
        static struct moot_mark moot_mark_here                                                     \
            __attribute__((section("moot_marks"), used)) = {text, __FILE__, __LINE__, 0};          \
        if (cond) {                                                                                \
            uint32_t moot_hits = __atomic_load_n(&moot_mark_here.hits, __ATOMIC_RELAXED);          \
            __atomic_store_n(&moot_mark_here.hits, moot_hits + 1, __ATOMIC_RELAXED);               \
        }                                                                                          \
    } while (0)

/* All marks linked into this program: *count of them. */
struct moot_mark *moot_marks(size_t *count);

/* One choice that is taken more often than the others, by a fault of its own. */
struct moot_chance_knob {
    const char *name;
    uint32_t one_in; /* 0: no more often than the others. */
    uint64_t taken;  /* How often that was because of it. */
};
/* The seed of rare choices; all zeros is "never". */
struct moot_chance {
    uint64_t seed;
    uint32_t node;
    uint32_t one_in; /* 0: never. */
    uint64_t turn;   /* Raised by the owner once a turn. */
    struct moot_chance_knob *knobs;
    size_t knob_count;
};
bool moot_chance_take(const struct moot_chance *chance, const char *name);
#define MOOT_RARELY(chance, name) moot_chance_take((chance), #name)
/* Because of a knob alone. */
bool moot_chance_force(const struct moot_chance *chance, const char *name);
#define MOOT_FORCED(chance, name) moot_chance_force((chance), #name)

#endif
