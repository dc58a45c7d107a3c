/* What the two halves of the search hand each other: search.c walks over configurations,
 * search_known.c says what all operations together tell, so that the walk need not try it. */
#ifndef MOOT_CHECK_SEARCH_H
#define MOOT_CHECK_SEARCH_H

#include "base/buffer.h"
#include "check/intern.h"
#include "check/judge.h"

enum { MOOT_SEARCH_NOTHING = UINT32_MAX };

struct moot_placeable {
    struct moot_model_step step;
    uint64_t called, end;
    uint32_t operation; /* Number in the history. */
};

struct moot_configuration {
    uint64_t state;
    uint64_t before; /* `pending`: the state before the in-doubt operation placed last, which */
    bool pending;    /* nothing has told of yet: what is placed next must. */
    uint32_t frontier;
    uint32_t placed_count;
    size_t placed;      /* Index in `words`: ascending numbers, all beyond the frontier. */
    size_t used;        /* Index in `bits`: one bit an in-doubt operation. */
    uint32_t same_next; /* The next with the same frontier, placed and state, or hash chain. */
};

/* What an operation has to do with a state. */
enum moot_search_role {
    MOOT_SEARCH_FINDS,    /* Completed: it must have been in this state. */
    MOOT_SEARCH_LEADS,    /* Completed: it led to it, if it changed anything. */
    MOOT_SEARCH_MAY_LEAD, /* The same in doubt, by number among those in doubt. */
    MOOT_SEARCH_ROLES,
};

struct moot_search {
    const struct moot_judged_key *key;
    const struct moot_model *model;
    void *object;
    bool looks_ahead; /* By simplify and trace. Not where words are made of the states. */
    uint64_t cut; /* The prefix up to this instant is judged: what had not returned is in doubt. */
    struct moot_placeable *completed; /* By return. */
    uint32_t completed_count;
    struct moot_placeable *doubtful; /* By call. */
    uint32_t doubtful_count;
    uint32_t *equal_before;     /* Of each in-doubt one: the equal one before it, or NOTHING. */
    uint32_t *effect;           /* Of each, completed first: equal where they do the same. */
    uint32_t *doubtful_visible; /* By frontier: how many were called by its return. */
    size_t *open_start;         /* By frontier, and one more: its part of open_items. */
    struct moot_buffer open;    /* uint32_t: completed operations, from the frontier on, that were
                                   called by its return, ascending. */
    struct moot_configuration *configurations;
    uint32_t count, capacity;
    uint32_t *slots; /* Heads of hash chains, NOTHING when empty; a power of two. */
    uint32_t slots_count;
    struct moot_buffer words;  /* uint32_t */
    struct moot_buffer bits;   /* uint64_t */
    size_t bits_words;         /* uint64_t of one `used`. */
    struct moot_buffer frames; /* struct frame */
    uint32_t *draft;           /* The placed operations of the configuration being made. */
    uint32_t draft_count, draft_capacity;
    struct moot_pairs states; /* (state, 0) -> its place below. */
    struct moot_search_by_state {
        uint32_t *start;      /* By place, and one more. */
        uint32_t *operations; /* Of each, ascending. */
    } roles[MOOT_SEARCH_ROLES];
    uint64_t *first_call; /* By place in MOOT_SEARCH_LEADS: the least call from there on in the same
                             state. */
    uint64_t looked;      /* Comparisons of configurations. */
    uint32_t *last_need; /* By part of a state: the last completed one that needs it, or NOTHING. */
    uint64_t parts;
    uint32_t *seeing; /* In-doubt operations that are not blind, by call. */
    uint32_t seeing_count;
    uint32_t farthest; /* The greatest frontier reached. */
};

static inline const uint32_t *moot_search_open(const struct moot_search *search, uint32_t frontier,
                                               size_t *count)
{
    *count = search->open_start[frontier + 1] - search->open_start[frontier];
    return (const uint32_t *)(const void *)search->open.data + search->open_start[frontier];
}

static inline const uint32_t *moot_search_placed(const struct moot_search *search,
                                                 const struct moot_configuration *one)
{
    return (const uint32_t *)(const void *)search->words.data + one->placed;
}

static inline const uint64_t *moot_search_used(const struct moot_search *search,
                                               const struct moot_configuration *one)
{
    return (const uint64_t *)(const void *)search->bits.data + one->used;
}

static inline bool moot_search_is_placed(const uint32_t *placed, uint32_t count, uint32_t number)
{
    for (uint32_t i = 0; i < count && placed[i] <= number; i++) {
        if (placed[i] == number) {
            return true;
        }
    }
    return false;
}

static inline const struct moot_model_step *moot_search_step(const struct moot_search *search,
                                                             uint32_t i)
{
    return i < search->completed_count ? &search->completed[i].step
                                       : &search->doubtful[i - search->completed_count].step;
}

/* Before completed operations are sorted: those in doubt that surely happened join them. */
void moot_search_promote(struct moot_search *search);
/* After: who leads to which state and must find it, and who needs which part of one. */
void moot_search_note(struct moot_search *search);
void moot_search_forget(struct moot_search *search);

/* The parent's state becomes `state`, by what is in the draft, or by `doubtful`, or
 * MOOT_SEARCH_NOTHING: true when somebody else must still find it, or a part of it that goes, and
 * cannot any more. */
bool moot_search_is_lost(struct moot_search *search, const struct moot_configuration *parent,
                         uint64_t state, uint32_t doubtful);

#endif
