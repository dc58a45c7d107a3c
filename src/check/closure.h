/* Who reaches whom, in a graph without cycles that grows by an edge at a time: a row of bits for
 * each node (Italiano 1986), so that whether an edge would close a cycle is one look.
 *
 * With `spaced`, ways on which two rw edges follow each other do not count (graph.h,
 * MOOT_RW_NOT_ADJACENT): each node is there twice, as after an rw edge and as after another. */
#ifndef MOOT_CHECK_CLOSURE_H
#define MOOT_CHECK_CLOSURE_H

#include "check/graph.h"

struct moot_closure {
    /* private */
    bool spaced;
    uint32_t *vertex;  /* By real node: its first vertex, or UINT32_MAX: nobody asks about it. */
    uint32_t vertices; /* Each a row, and a column. */
    size_t words;      /* Of a row. */
    uint64_t *rows;
    uint64_t work; /* read-only: words looked at while it grew. */
};

/* Of a sealed graph without a cycle (with `spaced`: without such a one). `asked`, by real node:
 * those that later calls name. False, and nothing to deinit, when it would need more than
 * MOOT_CHECK_CLOSURE_MAX bytes. */
bool moot_closure_init(struct moot_closure *closure, const struct moot_graph *graph,
                       const bool *asked, bool spaced);
void moot_closure_deinit(struct moot_closure *closure);
/* A copy, to go back to; and back to it. */
void moot_closure_copy(struct moot_closure *to, const struct moot_closure *from);
void moot_closure_restore(struct moot_closure *to, const struct moot_closure *from);

/* Whether an edge would close no cycle. */
bool moot_closure_allows(const struct moot_closure *closure, uint32_t from, uint32_t to,
                         bool is_anti);
/* Adds one that is allowed. */
void moot_closure_add(struct moot_closure *closure, uint32_t from, uint32_t to, bool is_anti);

#endif
