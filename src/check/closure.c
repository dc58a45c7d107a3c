#include "check/closure.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/memory.h"

enum { NOBODY = UINT32_MAX };

static uint64_t bit_of(uint32_t column) { return UINT64_C(1) << (column % 64); }

static bool reaches(const struct moot_closure *closure, uint32_t from, uint32_t to)
{
    MOOT_ASSERT(from < closure->vertices && to < closure->vertices);
    if (to >= closure->high[from] || to < closure->low[from]) {
        return to >= closure->high[from];
    }
    size_t word = closure->start[from] + (to - closure->low[from]) / 64;
    return (closure->rows[word] & bit_of(to)) != 0;
}

/* ---- the columns ---- */

static int compare_calls(const void *left, const void *right, void *context)
{
    const struct moot_closure_time *times = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    uint64_t call_a = times[a].called, call_b = times[b].called;
    return call_a != call_b ? (call_a > call_b) - (call_a < call_b) : (a > b) - (a < b);
}

/* Gives those that are asked about their vertices; appends them to `nodes`, in that order. */
static void number_vertices(struct moot_closure *closure, const struct moot_graph *graph,
                            const bool *asked, const struct moot_closure_time *times,
                            uint32_t *nodes)
{
    uint32_t count = 0, states = closure->spaced ? 2 : 1;
    for (uint32_t node = 0; node < graph->real; node++) {
        closure->vertex[node] = NOBODY;
        if (asked[node]) {
            nodes[count++] = node;
        }
    }
    if (times != NULL) {
        qsort_r(nodes, count, sizeof(*nodes), compare_calls, (void *)times);
    }
    for (uint32_t i = 0; i < count; i++) {
        closure->vertex[nodes[i]] = i * states;
    }
    closure->vertices = count * states;
}

/* ---- the rows of a graph as it is ---- */

/* A depth-first walk over all vertices of the graph, auxiliary ones too. A row is made when those
 * that its vertex leads to have theirs. */
struct filling {
    const struct moot_graph *graph;
    const struct moot_closure *closure;
    const struct moot_closure_time *times;
    const uint32_t *nodes; /* Of the columns. */
    uint32_t *cursor;      /* By vertex: the next edge; NOBODY: not come to yet. */
    uint32_t *stack;
    uint32_t depth;
    uint64_t *over; /* By vertex: whoever is called after it is reached. */
    uint32_t *low;  /* The first word that is not empty; */
    size_t *start;  /* and where it is. */
    struct moot_buffer
        rows; /* uint64_t, from `low` to the word of the last column before `over`. */
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

/* The column of a vertex of the graph, or NOBODY. */
static uint32_t column_of(const struct filling *filling, uint32_t vertex)
{
    uint32_t node = vertex >> filling->closure->spaced;
    uint32_t first = node < filling->graph->real ? filling->closure->vertex[node] : NOBODY;
    return first == NOBODY ? NOBODY : first + (filling->closure->spaced ? vertex & 1 : 0);
}

/* The first column that is called after an instant. */
static uint32_t column_after(const struct filling *filling, uint64_t at)
{
    uint32_t low = 0, high = filling->closure->vertices;
    if (filling->times == NULL || at == UINT64_MAX) {
        return high;
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        bool is_after = filling->times[filling->nodes[middle]].called > at;
        low = is_after ? low : middle + 1;
        high = is_after ? middle : high;
    }
    return low;
}

static uint64_t *filled_row(const struct filling *filling, uint32_t vertex)
{
    return (uint64_t *)(void *)filling->rows.data + filling->start[vertex];
}

/* What the edges of a vertex say of its band. */
static void find_band(struct filling *filling, uint32_t vertex)
{
    const struct moot_graph *graph = filling->graph;
    uint32_t node = vertex >> filling->closure->spaced, low = NOBODY;
    uint64_t over =
        filling->times != NULL && node < graph->real ? filling->times[node].over : UINT64_MAX;
    for (uint32_t i = graph->start[node]; i < graph->start[node + 1]; i++) {
        uint32_t next = target(filling, vertex, &edges_of(graph)[i]);
        if (next == NOBODY) {
            continue;
        }
        uint32_t column = column_of(filling, next);
        low = column != NOBODY && column / 64 < low ? column / 64 : low;
        low = filling->low[next] < low ? filling->low[next] : low;
        over = filling->over[next] < over ? filling->over[next] : over;
    }
    filling->over[vertex] = over;
    filling->low[vertex] = low;
}

static void fill_row(struct filling *filling, uint32_t vertex)
{
    const struct moot_graph *graph = filling->graph;
    find_band(filling, vertex);
    uint32_t node = vertex >> filling->closure->spaced, low = filling->low[vertex];
    uint32_t high = column_after(filling, filling->over[vertex]), end = high / 64 + 1;
    filling->start[vertex] = filling->rows.size / sizeof(uint64_t);
    if (low >= end) {
        filling->low[vertex] = NOBODY; /* No bits: nothing, or all that comes after. */
        return;
    }
    size_t bytes = (end - low) * sizeof(uint64_t);
    memset(moot_buffer_reserve(&filling->rows, bytes), 0, bytes);
    filling->rows.size += bytes;
    uint64_t *row = filled_row(filling, vertex);
    for (uint32_t i = graph->start[node]; i < graph->start[node + 1]; i++) {
        uint32_t next = target(filling, vertex, &edges_of(graph)[i]);
        uint32_t column = next == NOBODY ? NOBODY : column_of(filling, next);
        if (column != NOBODY && column < high) {
            row[column / 64 - low] |= bit_of(column);
        }
        /* Whoever follows is over no earlier, so its row goes at least as far. */
        for (uint32_t word = next == NOBODY ? end : filling->low[next]; word < end; word++) {
            row[word - low] |= filled_row(filling, next)[word - filling->low[next]];
        }
    }
}

static void enter(struct filling *filling, uint32_t vertex)
{
    filling->cursor[vertex] = filling->graph->start[vertex >> filling->closure->spaced];
    filling->stack[filling->depth++] = vertex;
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
            fill_row(filling, vertex);
            continue;
        }
        uint32_t next = target(filling, vertex, &edges_of(graph)[filling->cursor[vertex]++]);
        if (next != NOBODY && filling->cursor[next] == NOBODY) {
            enter(filling, next);
        }
    }
}

/* The bands of the closure's own rows. An edge may come from whoever is not over when another is
 * called: the greatest `over` so far says from which column on there is one. */
static void set_bands(struct moot_closure *closure, const struct filling *filling)
{
    uint32_t states = closure->spaced ? 2 : 1, first = 0;
    for (uint32_t i = 0; i < closure->vertices; i++) {
        uint32_t node = filling->nodes[i / states];
        uint64_t called = filling->times == NULL ? 0 : filling->times[node].called;
        while (first < i && filling->over[filling->nodes[first / states] * states] < called) {
            first++;
        }
        closure->low[i] = first / 64 * 64;
        closure->high[i] = column_after(filling, filling->over[node * states + i % states]);
        closure->start[i] = closure->words;
        closure->words +=
            closure->high[i] < closure->low[i] ? 1 : (closure->high[i] - closure->low[i]) / 64 + 1;
    }
}

static void keep_rows(struct moot_closure *closure, const struct filling *filling)
{
    uint32_t states = closure->spaced ? 2 : 1;
    closure->rows = moot_alloc_zero((closure->words + 1) * sizeof(uint64_t));
    for (uint32_t i = 0; i < closure->vertices; i++) {
        uint32_t vertex = filling->nodes[i / states] * states + i % states;
        uint32_t low = filling->low[vertex], end = closure->high[i] / 64 + 1;
        MOOT_ASSERT(low == NOBODY || low >= closure->low[i] / 64);
        for (uint32_t word = low; word < end; word++) {
            closure->rows[closure->start[i] + word - closure->low[i] / 64] =
                filled_row(filling, vertex)[word - low];
        }
    }
}

static bool fill(struct moot_closure *closure, struct filling *filling, uint32_t count)
{
    bool fits = true;
    memset(filling->cursor, 0xff, count * sizeof(uint32_t));
    for (uint32_t vertex = 0; vertex < count && fits; vertex++) {
        if (filling->cursor[vertex] == NOBODY) {
            fill_from(filling, vertex);
        }
        fits = filling->rows.size <= MOOT_CHECK_CLOSURE_MAX;
    }
    if (fits) {
        set_bands(closure, filling);
        fits = closure->words <= MOOT_CHECK_CLOSURE_MAX / sizeof(uint64_t);
    }
    if (fits) {
        keep_rows(closure, filling);
    }
    return fits;
}

bool moot_closure_init(struct moot_closure *closure, const struct moot_graph *graph,
                       const bool *asked, bool spaced, const struct moot_closure_time *times)
{
    MOOT_ASSERT(graph->start != NULL);
    MOOT_ASSERT(!spaced || times == NULL);
    *closure = (struct moot_closure){.spaced = spaced};
    uint32_t *nodes = moot_alloc((graph->real + (size_t)1) * sizeof(*nodes));
    closure->vertex = moot_alloc((graph->real + (size_t)1) * sizeof(*closure->vertex));
    number_vertices(closure, graph, asked, times, nodes);
    size_t rows = closure->vertices + (size_t)1;
    closure->low = moot_alloc(rows * sizeof(*closure->low));
    closure->high = moot_alloc(rows * sizeof(*closure->high));
    closure->start = moot_alloc(rows * sizeof(*closure->start));
    uint32_t count = spaced ? 2 * graph->count : graph->count;
    struct filling filling = {
        .graph = graph,
        .closure = closure,
        .times = times,
        .nodes = nodes,
        .cursor = moot_alloc((count + (size_t)1) * sizeof(uint32_t)),
        .stack = moot_alloc((count + (size_t)1) * sizeof(uint32_t)),
        .over = moot_alloc((count + (size_t)1) * sizeof(uint64_t)),
        .low = moot_alloc((count + (size_t)1) * sizeof(uint32_t)),
        .start = moot_alloc((count + (size_t)1) * sizeof(size_t)),
    };
    moot_buffer_init(&filling.rows);
    bool fits = fill(closure, &filling, count);
    moot_free(filling.cursor);
    moot_free(filling.stack);
    moot_free(filling.over);
    moot_free(filling.low);
    moot_free(filling.start);
    moot_buffer_deinit(&filling.rows);
    moot_free(nodes);
    if (!fits) {
        moot_closure_deinit(closure);
    }
    return fits;
}

void moot_closure_deinit(struct moot_closure *closure)
{
    moot_free(closure->vertex);
    moot_free(closure->low);
    moot_free(closure->high);
    moot_free(closure->start);
    moot_free(closure->rows);
    *closure = (struct moot_closure){0};
}

void moot_closure_copy(struct moot_closure *to, const struct moot_closure *from)
{
    *to = (struct moot_closure){.words = from->words};
    to->rows = moot_alloc((from->words + 1) * sizeof(uint64_t));
    memcpy(to->rows, from->rows, from->words * sizeof(uint64_t));
}

void moot_closure_restore(struct moot_closure *to, const struct moot_closure *from)
{
    MOOT_ASSERT(to->words == from->words);
    memcpy(to->rows, from->rows, from->words * sizeof(uint64_t));
    to->work += from->words;
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

/* Row `i` has all that row `to` has, and that column. */
static void unite(struct moot_closure *closure, uint32_t i, uint32_t to)
{
    uint32_t first = closure->low[i] / 64, end = closure->high[i] / 64 + 1;
    uint32_t other = closure->low[to] / 64, other_end = closure->high[to] / 64 + 1;
    uint64_t *row = closure->rows + closure->start[i];
    const uint64_t *more = closure->rows + closure->start[to];
    for (uint32_t word = first > other ? first : other; word < end && word < other_end; word++) {
        row[word - first] |= more[word - other];
    }
    for (uint32_t column = closure->high[to]; column < closure->high[i]; column++) {
        row[column / 64 - first] |= bit_of(column);
    }
    row[to / 64 - first] |= bit_of(to);
    closure->work += end - first;
}

static void add(struct moot_closure *closure, uint32_t from, uint32_t to)
{
    MOOT_ASSERT(!reaches(closure, to, from));
    if (reaches(closure, from, to)) {
        return;
    }
    /* Who comes before `low` of `to` reaches it anyway, and whose `low` is behind `from` does not
     * reach that; `low` never goes back. */
    for (uint32_t i = closure->low[to]; i < closure->vertices && closure->low[i] <= from; i++) {
        closure->work++;
        if ((i == from || reaches(closure, i, from)) && !reaches(closure, i, to)) {
            unite(closure, i, to);
        }
    }
}

void moot_closure_add(struct moot_closure *closure, uint32_t from, uint32_t to, bool is_anti)
{
    struct ends ends = ends_of(closure, from, to, is_anti);
    add(closure, ends.from, ends.to);
    if (ends.from_both) {
        add(closure, ends.from + 1, ends.to);
    }
}
