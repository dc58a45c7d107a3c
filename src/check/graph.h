/* Who must come before whom, and the cycles that say: nobody can.
 *
 * The nodes are transactions; an edge says why one precedes another (Adya 1999, section 4.2):
 *
 *     ww   one installed a version, the other the next one
 *     wr   one installed a version, the other read it
 *     rw   one read a version, the other installed the next one (an anti-dependency)
 *     process, real time   one was over before the other began, in one process or at all
 *
 * A cycle is an anomaly, and what edges it needs says how bad it is (Adya, section 4; the names are
 * Elle's, Kingsbury and Alvaro 2020, section 3):
 *
 *     G0             ww only
 *     G1c            ww and wr
 *     G-single       exactly one rw: read skew; lost update is a small one
 *     G-nonadjacent  several rw, no two in a row: what snapshot isolation still forbids
 *     G2             any: write skew
 *
 * Edges from one set of nodes to another go through auxiliary nodes, so that they are not |A||B|:
 * the edge into an auxiliary node has the kind, those behind it only pass it on. */
#ifndef MOOT_CHECK_GRAPH_H
#define MOOT_CHECK_GRAPH_H

#include "base/buffer.h"
#include "moot/base.h"

enum moot_edge_kind {
    MOOT_EDGE_PASS, /* Behind an auxiliary node. */
    MOOT_EDGE_WW,
    MOOT_EDGE_WR,
    MOOT_EDGE_RW,
    MOOT_EDGE_PROCESS,
    MOOT_EDGE_REALTIME,
    MOOT_EDGE_WW_LATER, /* As ww and rw, where only real time says which version is later. */
    MOOT_EDGE_RW_LATER,
    MOOT_EDGE_WW_CHOSEN, /* Where the other order of the versions would be a cycle. */
    MOOT_EDGE_RW_CHOSEN,
    MOOT_EDGE_KINDS,
};

#define MOOT_EDGES(kind)    (1U << (kind))
#define MOOT_EDGES_WW       (MOOT_EDGES(MOOT_EDGE_PASS) | MOOT_EDGES(MOOT_EDGE_WW))
#define MOOT_EDGES_WR       (MOOT_EDGES_WW | MOOT_EDGES(MOOT_EDGE_WR))
#define MOOT_EDGES_RW       (MOOT_EDGES_WR | MOOT_EDGES(MOOT_EDGE_RW))
#define MOOT_EDGES_PROCESS  MOOT_EDGES(MOOT_EDGE_PROCESS)
#define MOOT_EDGES_REALTIME (MOOT_EDGES(MOOT_EDGE_REALTIME) | MOOT_EDGES(MOOT_EDGE_WW_LATER))

struct moot_edge {
    uint32_t from, to;
    enum moot_edge_kind kind;
    uint32_t version; /* What it is about, for words: of the caller's numbering. */
};

static inline bool moot_edge_is_anti(const struct moot_edge *edge)
{
    return edge->kind == MOOT_EDGE_RW || edge->kind == MOOT_EDGE_RW_LATER ||
           edge->kind == MOOT_EDGE_RW_CHOSEN;
}

struct moot_graph {
    uint32_t real;            /* read-only: the first nodes are the caller's, */
    uint32_t count;           /* read-only: the others auxiliary. */
    struct moot_buffer edges; /* read-only: struct moot_edge, by `from` once sealed. */
    uint32_t *start;          /* read-only: by node, and one more; made by seal. */
};

void moot_graph_init(struct moot_graph *graph, uint32_t nodes);
void moot_graph_deinit(struct moot_graph *graph);
/* A new auxiliary node. */
uint32_t moot_graph_join(struct moot_graph *graph);
/* An edge from a node to itself is left out. */
void moot_graph_add(struct moot_graph *graph, uint32_t from, uint32_t to, enum moot_edge_kind kind,
                    uint32_t version);
/* Nothing may be added after it. */
void moot_graph_seal(struct moot_graph *graph);

enum moot_rw_rule {
    MOOT_RW_ANY,
    MOOT_RW_ONE,          /* Exactly one rw on the cycle. */
    MOOT_RW_NOT_ADJACENT, /* No two rw next to each other. */
};

/* A cycle of edges whose kinds are in `kinds`, a short one (the shortest, unless the component it
 * is in is large). Appends struct moot_edge to `cycle`, with auxiliary nodes left out: the kind and
 * version are those of the edge into them. False when there is none. MOOT_RW_ONE may miss one when
 * its budget ends; the other rules decide exactly. */
bool moot_graph_cycle(const struct moot_graph *graph, unsigned kinds, enum moot_rw_rule rule,
                      struct moot_buffer *cycle);

#endif
