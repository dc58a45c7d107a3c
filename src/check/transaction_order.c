/* An order of all committed transactions in which every read is right: the proof that registers,
 * whose order of versions is known only in part, are serializable.
 *
 * Transactions are placed one after the other. One may be next when everything before it in the
 * graph is placed, the versions it read are the current ones, and nobody else still has to read a
 * version that it replaces. That last rule mostly keeps out of dead ends; where it does not, the
 * search begins again with other choices, a few times: to find an order is NP-complete
 * (Papadimitriou 1979). What is not found so is left to transaction_chains.c, which is exact and
 * not linear. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/rng.h"
#include "check/transactions.h"

enum { TRIES = 4, LARGE_TRIES = 32, LARGE = 10 * 1000 /* Transactions. */ };

struct placing {
    const struct moot_txns *txns;
    struct moot_rng rng;
    uint32_t tries;
    uint32_t *current; /* By key: its version + 1, or 0 for nil. */
    uint32_t *unread;  /* By version: transactions not placed that read it; then by key, of nil. */
    uint32_t *needs;   /* By node: edges into it from what is not placed. */
    uint32_t *ready;   /* A queue; each transaction enters again when what held it up changed. */
    size_t head, count;
    uint32_t *held;  /* By key: the first transaction held up by it, or NONE; */
    uint32_t *next;  /* by transaction: the next one. */
    uint32_t *joins; /* A stack of auxiliary nodes with no needs. */
    uint32_t placed;
};

static uint32_t *unread_of(const struct placing *placing, uint32_t key, uint32_t version_plus_one)
{
    return version_plus_one == 0 ? &placing->unread[placing->txns->versions_count + key]
                                 : &placing->unread[version_plus_one - 1];
}

/* The version that a step of a transaction must find, + 1; false when it looks for none. */
static bool wanted(const struct moot_txns *txns, const struct moot_txn_step *step,
                   uint32_t *version_plus_one)
{
    if (!step->known || step->outside == MOOT_TXN_NONE) {
        return false;
    }
    *version_plus_one = step->seen_count == 0 ? 0 : moot_txn_seen(txns, step)[0] + 1;
    return true;
}

static void enter(struct placing *placing, uint32_t txn)
{
    placing->ready[placing->head + placing->count++] = txn;
}

/* The key that holds a transaction up, or NONE. */
static uint32_t held_by(const struct placing *placing, uint32_t txn)
{
    const struct moot_txns *txns = placing->txns;
    const struct moot_txn *one = &txns->txns[txn];
    for (uint32_t i = 0; i < one->count; i++) {
        const struct moot_txn_step *step = moot_txn_step_at(txns, one->first + i);
        uint32_t version, current = placing->current[step->key];
        if (step->is_read) {
            if (wanted(txns, step, &version) && version != current) {
                return step->key;
            }
            continue;
        }
        uint32_t others = *unread_of(placing, step->key, current);
        for (uint32_t j = 0; j < one->count && others > 0; j++) { /* Its own reads do not count. */
            const struct moot_txn_step *own = moot_txn_step_at(txns, one->first + j);
            others -= own->key == step->key && wanted(txns, own, &version) && version == current;
        }
        if (others > 0) {
            return step->key;
        }
    }
    return MOOT_TXN_NONE;
}

/* One edge into a node less. */
static void relieve(struct placing *placing, uint32_t node, size_t *joins)
{
    const struct moot_graph *graph = &placing->txns->graph;
    const struct moot_edge *edges = (const void *)graph->edges.data;
    for (uint32_t i = graph->start[node]; i < graph->start[node + 1]; i++) {
        uint32_t to = edges[i].to;
        if (--placing->needs[to] > 0) {
            continue;
        }
        if (to >= graph->real) {
            placing->joins[(*joins)++] = to;
        } else if (placing->txns->txns[to].committed) {
            enter(placing, to);
        }
    }
}

static void release(struct placing *placing, uint32_t key)
{
    uint32_t txn = placing->held[key];
    placing->held[key] = MOOT_TXN_NONE;
    while (txn != MOOT_TXN_NONE) {
        enter(placing, txn);
        txn = placing->next[txn];
    }
}

static void place(struct placing *placing, uint32_t txn)
{
    const struct moot_txns *txns = placing->txns;
    const struct moot_txn *one = &txns->txns[txn];
    for (uint32_t i = 0; i < one->count; i++) {
        const struct moot_txn_step *step = moot_txn_step_at(txns, one->first + i);
        uint32_t version;
        if (step->is_read && wanted(txns, step, &version)) {
            --*unread_of(placing, step->key, version);
        }
    }
    for (uint32_t i = 0; i < one->count; i++) {
        const struct moot_txn_step *step = moot_txn_step_at(txns, one->first + i);
        if (!step->is_read) {
            placing->current[step->key] = step->version + 1;
        }
        release(placing, step->key);
    }
    size_t joins = 0;
    relieve(placing, txn, &joins);
    while (joins > 0) {
        relieve(placing, placing->joins[--joins], &joins);
    }
    placing->placed++;
}

static void begin(struct placing *placing)
{
    const struct moot_txns *txns = placing->txns;
    const struct moot_graph *graph = &txns->graph;
    const struct moot_edge *edges = (const void *)graph->edges.data;
    size_t joins = 0;
    placing->head = placing->count = placing->placed = 0;
    memset(placing->current, 0, txns->keys.count * sizeof(*placing->current));
    memset(placing->held, 0xff, txns->keys.count * sizeof(*placing->held));
    memset(placing->needs, 0, graph->count * sizeof(*placing->needs));
    memset(placing->unread, 0,
           ((size_t)txns->versions_count + txns->keys.count) * sizeof(*placing->unread));
    for (size_t i = 0; i < graph->edges.size / sizeof(*edges); i++) {
        placing->needs[edges[i].to]++;
    }
    for (uint32_t txn = 0; txn < txns->count; txn++) {
        for (uint32_t i = 0; i < txns->txns[txn].count && txns->txns[txn].committed; i++) {
            const struct moot_txn_step *step = moot_txn_step_at(txns, txns->txns[txn].first + i);
            uint32_t version;
            if (step->is_read && wanted(txns, step, &version)) {
                ++*unread_of(placing, step->key, version);
            }
        }
    }
    for (uint32_t node = 0; node < graph->count; node++) {
        if (placing->needs[node] == 0 && node < graph->real && txns->txns[node].committed) {
            enter(placing, node);
        } else if (placing->needs[node] == 0 && node >= graph->real) {
            placing->joins[joins++] = node;
        }
    }
    while (joins > 0) {
        relieve(placing, placing->joins[--joins], &joins);
    }
}

/* The first try takes what became ready first, the second what did last, the others any. */
static uint32_t choose(struct placing *placing)
{
    size_t last = placing->head + placing->count - 1, at = placing->head;
    if (placing->tries == 1) {
        at = last;
    } else if (placing->tries > 1) {
        at += moot_rng_below(&placing->rng, placing->count);
    }
    uint32_t txn = placing->ready[at];
    placing->count--;
    if (at == placing->head) {
        placing->head++;
    } else {
        placing->ready[at] = placing->ready[last];
    }
    return txn;
}

static bool try_once(struct placing *placing, size_t ready_max)
{
    begin(placing);
    while (placing->count > 0) {
        if (placing->head + placing->count + placing->txns->count >= ready_max) {
            memmove(placing->ready, placing->ready + placing->head,
                    placing->count * sizeof(*placing->ready));
            placing->head = 0;
        }
        uint32_t txn = choose(placing);
        uint32_t key = held_by(placing, txn);
        if (key == MOOT_TXN_NONE) {
            place(placing, txn);
        } else {
            placing->next[txn] = placing->held[key];
            placing->held[key] = txn;
        }
    }
    uint32_t committed = 0;
    for (uint32_t txn = 0; txn < placing->txns->count; txn++) {
        committed += placing->txns->txns[txn].committed;
    }
    return placing->placed == committed;
}

bool moot_txns_find_order(const struct moot_txns *txns)
{
    size_t words = sizeof(uint32_t), ready_max = 4 * ((size_t)txns->count + 1);
    struct placing placing = {
        .txns = txns,
        .current = moot_alloc(txns->keys.count * words),
        .unread = moot_alloc(((size_t)txns->versions_count + txns->keys.count) * words),
        .needs = moot_alloc(txns->graph.count * words),
        .ready = moot_alloc(ready_max * words),
        .held = moot_alloc(txns->keys.count * words),
        .next = moot_alloc(txns->count * words),
        .joins = moot_alloc(txns->graph.count * words),
    };
    MOOT_ASSERT(txns->graph.start != NULL);
    moot_rng_init(&placing.rng, 1); /* Any: the verdict must be the same each time. */
    uint32_t tries = txns->count <= LARGE ? TRIES : LARGE_TRIES;
    bool found = false;
    for (placing.tries = 0; placing.tries < tries && !found; placing.tries++) {
        found = try_once(&placing, ready_max);
    }
    moot_free(placing.current);
    moot_free(placing.unread);
    moot_free(placing.needs);
    moot_free(placing.ready);
    moot_free(placing.held);
    moot_free(placing.next);
    moot_free(placing.joins);
    return found;
}
