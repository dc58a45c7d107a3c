#include "check/closure.h"

#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/memory.h"

enum { NOBODY = UINT32_MAX };

static uint64_t *row_of(const struct moot_closure *closure, uint32_t vertex)
{
    return closure->rows + vertex * closure->words;
}

static bool reaches(const struct moot_closure *closure, uint32_t from, uint32_t to)
{
    MOOT_ASSERT(from < closure->vertices && to < closure->vertices);
    return (row_of(closure, from)[to / 64] >> (to % 64) & 1) != 0;
}

/* ---- the rows of a graph as it is ---- */

/* A depth-first walk over all vertices of the graph, auxiliary ones too. */
struct filling {
    const struct moot_graph *graph;
    const struct moot_closure *closure;
    uint64_t *rows;   /* By vertex of the graph. */
    uint32_t *cursor; /* The next edge; NOBODY: not come to yet. */
    uint32_t *stack;
    uint32_t depth;
};

static const struct moot_edge *edges_of(const struct moot_graph *graph)
{
    return (const struct moot_edge *)(const void *)graph->edges.data;
}

/* The vertex of the graph that an edge leads to, or NOBODY. */
static uint32_t target(const struct filling *filling, uint32_t vertex, const struct moot_edge *edge)
{
    if (!filling->closure->spaced) {
        return edge->to;
    }
    uint32_t was_anti = vertex & 1;
    if (moot_edge_is_anti(edge)) {
        return was_anti != 0 ? NOBODY : edge->to * 2 + 1;
    }
    return edge->to * 2 + (edge->kind == MOOT_EDGE_PASS ? was_anti : 0);
}

static void enter(struct filling *filling, uint32_t vertex)
{
    filling->cursor[vertex] = filling->graph->start[vertex >> filling->closure->spaced];
    filling->stack[filling->depth++] = vertex;
}

/* What `to` reaches, and itself, is reached by `from`. */
static void take_over(struct filling *filling, uint32_t from, uint32_t to)
{
    const struct moot_closure *closure = filling->closure;
    uint64_t *row = filling->rows + from * closure->words;
    const uint64_t *other = filling->rows + to * closure->words;
    for (size_t i = 0; i < closure->words; i++) {
        row[i] |= other[i];
    }
    uint32_t node = to >> closure->spaced;
    uint32_t first = node < filling->graph->real ? closure->vertex[node] : NOBODY;
    if (first != NOBODY) {
        uint32_t column = first + (closure->spaced ? to & 1 : 0);
        row[column / 64] |= UINT64_C(1) << (column % 64);
    }
}

static void fill_from(struct filling *filling, uint32_t root)
{
    const struct moot_graph *graph = filling->graph;
    enter(filling, root);
    while (filling->depth > 0) {
        uint32_t vertex = filling->stack[filling->depth - 1];
        uint32_t end = graph->start[(vertex >> filling->closure->spaced) + 1];
        if (filling->cursor[vertex] == end) {
            filling->depth--;
            if (filling->depth > 0) {
                take_over(filling, filling->stack[filling->depth - 1], vertex);
            }
            continue;
        }
        uint32_t next = target(filling, vertex, &edges_of(graph)[filling->cursor[vertex]++]);
        if (next == NOBODY) {
            continue;
        }
        if (filling->cursor[next] == NOBODY) {
            enter(filling, next);
        } else { /* There is no cycle, so it is done. */
            take_over(filling, vertex, next);
        }
    }
}

/* Keeps the rows of the closure's own vertices. Those are in the order of the graph's, so none is
 * overwritten before it has moved. */
static void keep_rows(struct moot_closure *closure, const struct moot_graph *graph)
{
    uint32_t states = closure->spaced ? 2 : 1;
    for (uint32_t node = 0; node < graph->real; node++) {
        for (uint32_t i = 0; i < states && closure->vertex[node] != NOBODY; i++) {
            memmove(row_of(closure, closure->vertex[node] + i),
                    closure->rows + ((size_t)node * states + i) * closure->words,
                    closure->words * sizeof(uint64_t));
        }
    }
    closure->rows =
        moot_realloc(closure->rows, (closure->vertices + (size_t)1) * closure->words * 8);
}

bool moot_closure_init(struct moot_closure *closure, const struct moot_graph *graph,
                       const bool *asked, bool spaced)
{
    MOOT_ASSERT(graph->start != NULL);
    *closure = (struct moot_closure){.spaced = spaced};
    uint32_t states = spaced ? 2 : 1, count = graph->count * states;
    closure->vertex = moot_alloc((graph->real + (size_t)1) * sizeof(*closure->vertex));
    for (uint32_t node = 0; node < graph->real; node++) {
        closure->vertex[node] = asked[node] ? closure->vertices : NOBODY;
        closure->vertices += asked[node] ? states : 0;
    }
    closure->words = closure->vertices / 64 + 1;
    if ((count + UINT64_C(1)) * closure->words * sizeof(uint64_t) > MOOT_CHECK_CLOSURE_MAX) {
        moot_closure_deinit(closure);
        return false;
    }
    closure->rows = moot_alloc_zero((count + (size_t)1) * closure->words * sizeof(uint64_t));
    struct filling filling = {
        .graph = graph,
        .closure = closure,
        .rows = closure->rows,
        .cursor = moot_alloc((count + (size_t)1) * sizeof(uint32_t)),
        .stack = moot_alloc((count + (size_t)1) * sizeof(uint32_t)),
    };
    memset(filling.cursor, 0xff, count * sizeof(uint32_t));
    for (uint32_t vertex = 0; vertex < count; vertex++) {
        if (filling.cursor[vertex] == NOBODY) {
            fill_from(&filling, vertex);
        }
    }
    moot_free(filling.cursor);
    moot_free(filling.stack);
    keep_rows(closure, graph);
    return true;
}

void moot_closure_deinit(struct moot_closure *closure)
{
    moot_free(closure->vertex);
    moot_free(closure->rows);
    *closure = (struct moot_closure){0};
}

void moot_closure_copy(struct moot_closure *to, const struct moot_closure *from)
{
    *to = *from;
    to->vertex = NULL;
    to->rows = moot_alloc((from->vertices + (size_t)1) * from->words * sizeof(uint64_t));
    memcpy(to->rows, from->rows, from->vertices * from->words * sizeof(uint64_t));
}

void moot_closure_restore(struct moot_closure *to, const struct moot_closure *from)
{
    MOOT_ASSERT(to->vertices == from->vertices);
    memcpy(to->rows, from->rows, from->vertices * from->words * sizeof(uint64_t));
    to->work += from->vertices * from->words;
}

/* ---- edges ---- */

/* The vertices that an edge between nodes connects: one pair, or with `spaced` and no rw two, of
 * which the second goes out from the vertex behind. */
struct ends {
    uint32_t from, to;
    bool from_both;
};

static struct ends ends_of(const struct moot_closure *closure, uint32_t from, uint32_t to,
                           bool is_anti)
{
    uint32_t first = closure->vertex[from], second = closure->vertex[to];
    MOOT_ASSERT(first != NOBODY && second != NOBODY);
    MOOT_ASSERT(from != to);
    return (struct ends){.from = first,
                         .to = second + (closure->spaced && is_anti ? 1 : 0),
                         .from_both = closure->spaced && !is_anti};
}

bool moot_closure_allows(const struct moot_closure *closure, uint32_t from, uint32_t to,
                         bool is_anti)
{
    struct ends ends = ends_of(closure, from, to, is_anti);
    return !reaches(closure, ends.to, ends.from) &&
           !(ends.from_both && reaches(closure, ends.to, ends.from + 1));
}

static void add(struct moot_closure *closure, uint32_t from, uint32_t to)
{
    MOOT_ASSERT(!reaches(closure, to, from));
    if (reaches(closure, from, to)) {
        return;
    }
    const uint64_t *more = row_of(closure, to);
    for (uint32_t i = 0; i < closure->vertices; i++) {
        if ((i != from && !reaches(closure, i, from)) || reaches(closure, i, to)) {
            continue;
        }
        uint64_t *row = row_of(closure, i);
        for (size_t word = 0; word < closure->words; word++) {
            row[word] |= more[word];
        }
        row[to / 64] |= UINT64_C(1) << (to % 64);
        closure->work += closure->words;
    }
    closure->work += closure->vertices;
}

void moot_closure_add(struct moot_closure *closure, uint32_t from, uint32_t to, bool is_anti)
{
    struct ends ends = ends_of(closure, from, to, is_anti);
    add(closure, ends.from, ends.to);
    if (ends.from_both) {
        add(closure, ends.from + 1, ends.to);
    }
}
