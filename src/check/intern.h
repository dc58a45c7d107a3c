/* Numbers for things, so that the checkers compare numbers: equal numbers mean equal things,
 * exactly, because a checker that trusts a hash may pass what is wrong. Numbers count from 0 in the
 * order of first appearance, so nothing here depends on addresses. */
#ifndef MOOT_CHECK_INTERN_H
#define MOOT_CHECK_INTERN_H

#include "base/memory.h"
#include "moot/base.h"

/* Bytes to numbers. */
struct moot_intern {
    struct moot_slice *texts; /* read-only: by number */
    uint32_t count;           /* read-only */
    uint32_t capacity;        /* private */
    uint32_t *slots;          /* private: number + 1, open addressing */
    uint32_t slots_count;     /* private: a power of two */
    struct moot_arena arena;  /* private */
};

void moot_intern_init(struct moot_intern *intern);
void moot_intern_deinit(struct moot_intern *intern);
/* The number of `bytes`, which are copied when new. */
uint32_t moot_intern_add(struct moot_intern *intern, struct moot_slice bytes);
/* False when they have none. */
bool moot_intern_find(const struct moot_intern *intern, struct moot_slice bytes, uint32_t *number);

/* Pairs of words to a value. */
struct moot_pairs {
    struct moot_pair {
        uint64_t a, b;
        uint64_t value;
        bool taken;
    } * slots;            /* private */
    uint32_t count;       /* read-only */
    uint32_t slots_count; /* private: a power of two */
};

void moot_pairs_init(struct moot_pairs *pairs);
void moot_pairs_deinit(struct moot_pairs *pairs);
/* Where the value of (a, b) is, until the next call. A new one is `value_new`. */
uint64_t *moot_pairs_at(struct moot_pairs *pairs, uint64_t a, uint64_t b, uint64_t value_new);

#endif
