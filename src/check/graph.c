#include "check/graph.h"

#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/memory.h"

enum { NOBODY = UINT32_MAX };
void moot_graph_init(struct moot_graph *graph, uint32_t nodes)
{
    *graph = (struct moot_graph){.real = nodes, .count = nodes};
    moot_buffer_init(&graph->edges);
}

void moot_graph_deinit(struct moot_graph *graph)
{
    moot_buffer_deinit(&graph->edges);
    moot_free(graph->start);
    *graph = (struct moot_graph){0};
}

uint32_t moot_graph_join(struct moot_graph *graph)
{
    MOOT_ASSERT(graph->count < UINT32_MAX / 4);
    return graph->count++;
}

void moot_graph_add(struct moot_graph *graph, uint32_t from, uint32_t to, enum moot_edge_kind kind,
                    uint32_t version)
{
    MOOT_ASSERT(graph->start == NULL);
    MOOT_ASSERT(from < graph->count && to < graph->count);
    MOOT_ASSERT((from >= graph->real) == (kind == MOOT_EDGE_PASS));
    if (from != to) {
        struct moot_edge edge = {.from = from, .to = to, .kind = kind, .version = version};
        moot_buffer_append(&graph->edges, &edge, sizeof(edge));
    }
}

static const struct moot_edge *edges_of(const struct moot_graph *graph)
{
    return (const struct moot_edge *)(const void *)graph->edges.data;
}

void moot_graph_seal(struct moot_graph *graph)
{
    MOOT_ASSERT(graph->start == NULL);
    size_t count = graph->edges.size / sizeof(struct moot_edge);
    MOOT_ASSERT(count < UINT32_MAX);
    uint32_t *start = moot_alloc_zero(((size_t)graph->count + 2) * sizeof(*start));
    for (size_t i = 0; i < count; i++) {
        start[edges_of(graph)[i].from + 2]++;
    }
    for (uint32_t i = 0; i <= graph->count; i++) {
        start[i + 1] += start[i];
    }
    struct moot_buffer sorted;
    moot_buffer_init(&sorted);
    struct moot_edge *out = (void *)moot_buffer_reserve(&sorted, graph->edges.size + 1);
    for (size_t i = 0; i < count; i++) { /* Stable: the order of adding is kept. */
        out[start[edges_of(graph)[i].from + 1]++] = edges_of(graph)[i];
    }
    sorted.size = graph->edges.size;
    moot_buffer_deinit(&graph->edges);
    graph->edges = sorted;
    graph->start = start;
}

/* With MOOT_RW_NOT_ADJACENT a vertex is a node and whether the edge into it was rw: only from the
 * other state may an rw edge leave. A walk that comes back to the same vertex never had two in a
 * row. Otherwise there is one state. */
struct walk {
    const struct moot_graph *graph;
    unsigned kinds;
    bool states;
    uint64_t budget;
    uint32_t vertices;
    uint32_t *component; /* Of each vertex, or NOBODY: alone in it. */
    uint32_t *from;      /* The edge by which a search came to a vertex. */
    uint32_t *round;     /* The search that did. */
    uint32_t *queue;     /* Twice the vertices long: a deque that grows both ways. */
    uint32_t *parent;    /* The vertex it came from. */
    uint32_t round_now;
};

/* The vertex that edge leads to, or NOBODY when it may not be taken. */
static uint32_t target(const struct walk *walk, uint32_t vertex, const struct moot_edge *edge)
{
    if ((walk->kinds >> edge->kind & 1) == 0) {
        return NOBODY;
    }
    if (!walk->states) {
        return edge->to;
    }
    uint32_t was_rw = vertex & 1, is_rw = moot_edge_is_anti(edge);
    if (was_rw == 1 && is_rw == 1) {
        return NOBODY;
    }
    return edge->to * 2 + (edge->kind == MOOT_EDGE_PASS ? was_rw : is_rw);
}

static uint32_t node_of(const struct walk *walk, uint32_t vertex)
{
    return walk->states ? vertex / 2 : vertex;
}

/* Tarjan (1972), with a stack of our own: components of more than one vertex get a number. */
struct tarjan {
    uint32_t *index, *low, *stack, *calls, *cursor;
    uint32_t depth, calls_depth, next, components;
};

static void tarjan_leave(struct walk *walk, struct tarjan *t, uint32_t vertex)
{
    if (t->low[vertex] != t->index[vertex]) {
        return;
    }
    bool alone = t->stack[t->depth - 1] == vertex;
    uint32_t member;
    do {
        member = t->stack[--t->depth];
        t->low[member] = NOBODY; /* Off the stack. */
        walk->component[member] = alone ? NOBODY : t->components;
    } while (member != vertex);
    t->components += !alone;
}

static void tarjan_visit(struct walk *walk, struct tarjan *t, uint32_t root)
{
    const struct moot_graph *graph = walk->graph;
    t->calls_depth = 1;
    t->calls[0] = root;
    t->index[root] = t->low[root] = t->next++;
    t->stack[t->depth++] = root;
    t->cursor[root] = graph->start[node_of(walk, root)];
    while (t->calls_depth > 0) {
        uint32_t vertex = t->calls[t->calls_depth - 1];
        if (t->cursor[vertex] == graph->start[node_of(walk, vertex) + 1]) {
            t->calls_depth--;
            uint32_t low = t->low[vertex];
            tarjan_leave(walk, t, vertex);
            if (t->calls_depth > 0) {
                uint32_t *above = &t->low[t->calls[t->calls_depth - 1]];
                *above = low < *above ? low : *above;
            }
            continue;
        }
        uint32_t next = target(walk, vertex, &edges_of(graph)[t->cursor[vertex]++]);
        if (next == NOBODY) {
            continue;
        }
        if (t->index[next] == NOBODY) {
            t->index[next] = t->low[next] = t->next++;
            t->stack[t->depth++] = next;
            t->cursor[next] = graph->start[node_of(walk, next)];
            t->calls[t->calls_depth++] = next;
        } else if (t->low[next] != NOBODY && t->index[next] < t->low[vertex]) {
            t->low[vertex] = t->index[next];
        }
    }
}

/* Returns how many components there are. */
static uint32_t find_components(struct walk *walk)
{
    size_t bytes = (size_t)walk->vertices * sizeof(uint32_t);
    struct tarjan t = {
        .index = moot_alloc(bytes),
        .low = moot_alloc(bytes),
        .stack = moot_alloc(bytes),
        .calls = moot_alloc(bytes),
        .cursor = moot_alloc(bytes),
    };
    memset(t.index, 0xff, bytes);
    for (uint32_t vertex = 0; vertex < walk->vertices; vertex++) {
        if (t.index[vertex] == NOBODY) {
            tarjan_visit(walk, &t, vertex);
        }
    }
    MOOT_ASSERT(t.depth == 0);
    moot_free(t.index);
    moot_free(t.low);
    moot_free(t.stack);
    moot_free(t.calls);
    moot_free(t.cursor);
    return t.components;
}

/* The fewest edges from `start` to `end` inside one component, passing edges free; the edges of the
 * way are found backwards by from and parent. NOBODY when there is no way, or the budget ended. */
static uint32_t shortest(struct walk *walk, uint32_t start, uint32_t end, uint32_t length_max)
{
    const struct moot_graph *graph = walk->graph;
    uint32_t head = walk->vertices, tail = walk->vertices, layer_end, length = 0;
    uint32_t round = ++walk->round_now;
    walk->queue[tail++] = start;
    walk->round[start] = start == end ? 0 : round; /* A cycle may come back to its start. */
    layer_end = tail;
    while (head < tail) {
        if (head == layer_end) {
            layer_end = tail;
            if (++length >= length_max) {
                return NOBODY;
            }
        }
        uint32_t vertex = walk->queue[head++];
        uint32_t node = node_of(walk, vertex);
        for (uint32_t i = graph->start[node]; i < graph->start[node + 1]; i++) {
            const struct moot_edge *edge = &edges_of(graph)[i];
            uint32_t next = target(walk, vertex, edge);
            if (next == NOBODY || walk->round[next] == round ||
                walk->component[next] != walk->component[start]) {
                continue;
            }
            if (walk->budget-- == 0) {
                walk->budget = 1;
                return NOBODY;
            }
            walk->round[next] = round;
            walk->from[next] = i;
            walk->parent[next] = vertex;
            if (next == end) {
                return length + (edge->kind != MOOT_EDGE_PASS);
            }
            if (edge->kind == MOOT_EDGE_PASS) {
                walk->queue[--head] = next; /* As near as this one. */
            } else {
                walk->queue[tail++] = next;
            }
        }
    }
    return NOBODY;
}

/* Appends the way that `shortest` found, last edge first. */
static void trace(const struct walk *walk, uint32_t start, uint32_t end, struct moot_buffer *way)
{
    uint32_t vertex = end;
    do {
        moot_buffer_append(way, &edges_of(walk->graph)[walk->from[vertex]],
                           sizeof(struct moot_edge));
        vertex = walk->parent[vertex];
    } while (vertex != start);
}

/* Turns a cycle round, begins it at a real node, and leaves auxiliary nodes out. */
static void straighten(const struct moot_graph *graph, struct moot_buffer *way,
                       struct moot_buffer *cycle)
{
    const struct moot_edge *edges = (const void *)way->data;
    size_t count = way->size / sizeof(*edges), first = 0;
    while (edges[count - 1 - first].from >= graph->real) {
        first++;
        MOOT_ASSERT(first < count);
    }
    for (size_t i = 0; i < count; i++) {
        const struct moot_edge *edge = &edges[count - 1 - (first + i) % count];
        if (edge->from < graph->real) {
            moot_buffer_append(cycle, edge, sizeof(*edge));
        }
        ((struct moot_edge *)(void *)(cycle->data + cycle->size - sizeof(*edge)))->to = edge->to;
    }
}

static bool any_cycle(struct walk *walk, struct moot_buffer *way)
{
    uint32_t best = NOBODY;
    for (uint32_t vertex = 0; vertex < walk->vertices; vertex++) {
        bool spent = walk->budget < 2 && best != NOBODY;
        if (walk->component[vertex] == NOBODY || node_of(walk, vertex) >= walk->graph->real ||
            spent || best == 2) {
            continue;
        }
        uint32_t length = shortest(walk, vertex, vertex, best);
        if (length == NOBODY && best == NOBODY) { /* The first one must not fail for its budget. */
            walk->budget = UINT64_MAX;
            length = shortest(walk, vertex, vertex, best);
            walk->budget = 1;
        }
        if (length < best) {
            best = length;
            moot_buffer_reset(way, way->capacity);
            trace(walk, vertex, vertex, way);
        }
    }
    return best != NOBODY;
}

/* One rw edge and the shortest way back without another. */
static bool one_rw_cycle(struct walk *walk, struct moot_buffer *way)
{
    const struct moot_graph *graph = walk->graph;
    size_t count = graph->edges.size / sizeof(struct moot_edge);
    unsigned kinds = walk->kinds;
    uint32_t best = NOBODY;
    for (size_t i = 0; i < count; i++) {
        struct moot_edge edge = edges_of(graph)[i];
        if (!moot_edge_is_anti(&edge) || (kinds >> edge.kind & 1) == 0 ||
            walk->component[edge.from] == NOBODY ||
            walk->component[edge.from] != walk->component[edge.to] || best == 1) {
            continue;
        }
        if (walk->budget < 2) {
            break;
        }
        walk->kinds = kinds & ~MOOT_EDGES(MOOT_EDGE_RW) & ~MOOT_EDGES(MOOT_EDGE_RW_LATER) &
                      ~MOOT_EDGES(MOOT_EDGE_RW_CHOSEN);
        uint32_t length = shortest(walk, edge.to, edge.from, best);
        walk->kinds = kinds;
        if (length < best) {
            best = length;
            moot_buffer_reset(way, way->capacity);
            trace(walk, edge.to, edge.from, way);
            moot_buffer_append(way, &edge, sizeof(edge));
        }
    }
    return best != NOBODY;
}

bool moot_graph_cycle(const struct moot_graph *graph, unsigned kinds, enum moot_rw_rule rule,
                      struct moot_buffer *cycle)
{
    MOOT_ASSERT(graph->start != NULL);
    struct walk walk = {
        .graph = graph,
        .kinds = kinds,
        .states = rule == MOOT_RW_NOT_ADJACENT,
        .budget = MOOT_CHECK_STEPS_MAX,
    };
    walk.vertices = walk.states ? 2 * graph->count : graph->count;
    size_t bytes = (size_t)walk.vertices * sizeof(uint32_t);
    walk.component = moot_alloc(bytes);
    walk.from = moot_alloc(bytes);
    walk.parent = moot_alloc(bytes);
    walk.round = moot_alloc_zero(bytes);
    walk.queue = moot_alloc(2 * bytes);
    struct moot_buffer way;
    moot_buffer_init(&way);
    bool found =
        find_components(&walk) > 0 && (rule == MOOT_RW_ONE ? one_rw_cycle : any_cycle)(&walk, &way);
    if (found) {
        straighten(graph, &way, cycle);
    }
    moot_buffer_deinit(&way);
    moot_free(walk.component);
    moot_free(walk.from);
    moot_free(walk.parent);
    moot_free(walk.round);
    moot_free(walk.queue);
    return found;
}
