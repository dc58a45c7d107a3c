/* Who reaches whom, in a graph without cycles that grows by an edge at a time: a row of bits for
 * each node (Italiano 1986), so that whether an edge would close a cycle is one look.
 *
 * With times, a node that is over reaches all that are called later, and is reached by none of
 * them. So a row has bits only for a band: those that are under way at once with its node, or with
 * what follows from that; rows are short, and an edge changes only those near it.
 *
 * With `spaced`, ways on which two rw edges follow each other do not count (graph.h,
 * MOOT_RW_NOT_ADJACENT): each node is there twice, as after an rw edge and as after another. */
#ifndef MOOT_CHECK_CLOSURE_H
#define MOOT_CHECK_CLOSURE_H

#include "check/graph.h"

struct moot_closure_time {
    uint64_t called, over; /* UINT64_MAX: never over, as far as is known. */
};

struct moot_closure {
    /* private */
    bool spaced;
    uint32_t *vertex;     /* By real node: its first vertex, or UINT32_MAX: nobody asks about it. */
    uint32_t vertices;    /* Each a row, and a column; with times, in the order of their calls. */
    uint32_t *low, *high; /* Of a row: below `low` it reaches none, from `high` on all. */
    size_t *start;        /* Its first word, which is that of column `low`. */
    size_t words;         /* Of all rows. */
    uint64_t *rows;
    uint64_t work; /* read-only: words looked at while it grew. */
};

/* Of a sealed graph without a cycle (with `spaced`: without such a one). `asked`, by real node:
 * those that later calls name. `times`, by real node, or NULL: who is over before another is called
 * reaches it in the graph; not with `spaced`. False, and nothing to deinit, when it would need more
 * than MOOT_CHECK_CLOSURE_MAX bytes. */
bool moot_closure_init(struct moot_closure *closure, const struct moot_graph *graph,
                       const bool *asked, bool spaced, const struct moot_closure_time *times);
void moot_closure_deinit(struct moot_closure *closure);
/* A copy, only to go back to; and back to it. */
void moot_closure_copy(struct moot_closure *to, const struct moot_closure *from);
void moot_closure_restore(struct moot_closure *to, const struct moot_closure *from);

/* Whether an edge would close no cycle. */
bool moot_closure_allows(const struct moot_closure *closure, uint32_t from, uint32_t to,
                         bool is_anti);
/* Adds one that is allowed. */
void moot_closure_add(struct moot_closure *closure, uint32_t from, uint32_t to, bool is_anti);

#endif
