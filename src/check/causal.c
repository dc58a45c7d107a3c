#include "check/causal.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "check/transactions.h"

/* A write, in the order of its key, session and place there. */
struct write {
    uint32_t key, session, place, operation;
};

struct causal {
    struct moot_txns *txns; /* Each transaction is one operation of one step. */
    uint32_t *order;        /* Operations by process and call. */
    uint32_t *session;      /* Of each operation, or NONE: it is left out. */
    uint32_t *place;        /* In its session, from 0. */
    uint32_t sessions;
    uint32_t *clocks; /* By operation and session: how many of it are causally before, or itself. */
    struct write *writes;
    uint32_t writes_count;
    uint32_t *start; /* By key: its writes, and one more. */
};

/* Sessions, and the edges of their orders. An in-doubt write comes after what its process did
 * before, but nothing comes after it: it is a session of its own. False when unknown. */
static bool find_sessions(struct causal *causal)
{
    struct moot_txns *txns = causal->txns;
    const struct moot_operation *operations = txns->history->operations;
    uint32_t last = MOOT_TXN_NONE, length = 0;
    memset(causal->session, 0xff, txns->count * sizeof(*causal->session)); /* NONE */
    moot_txns_order_by_process(txns, causal->order);
    for (uint32_t i = 0; i < txns->count; i++) {
        uint32_t one = causal->order[i];
        if (!txns->txns[one].committed) {
            continue;
        }
        bool same = last != MOOT_TXN_NONE && operations[last].process == operations[one].process;
        if (same && operations[last].returned.ns >= operations[one].called.ns) {
            moot_txns_conclude(txns, MOOT_JUDGEMENT_UNKNOWN,
                               "a process overlaps itself, and has no order of its own:", last,
                               one);
            return false;
        }
        if (same) {
            moot_graph_add(&txns->graph, last, one, MOOT_EDGE_PROCESS, MOOT_TXN_NONE);
        }
        if (operations[one].outcome != MOOT_OUTCOME_OK) {
            causal->session[one] = causal->sessions++;
            continue;
        }
        length = same ? length + 1 : 0;
        causal->session[one] = same ? causal->session[last] : causal->sessions++;
        causal->place[one] = length;
        last = one;
    }
    return true;
}

static void add_sources(struct causal *causal)
{
    struct moot_txns *txns = causal->txns;
    for (uint32_t i = 0; i < txns->count; i++) {
        uint32_t source = moot_txn_source(txns, i);
        if (causal->session[i] != MOOT_TXN_NONE && source != MOOT_TXN_NONE) {
            moot_graph_add(&txns->graph, source, i, MOOT_EDGE_WR,
                           moot_txn_seen(txns, moot_txn_only_step(txns, i))[0]);
        }
    }
}

static uint32_t *clock_of(const struct causal *causal, uint32_t operation)
{
    return causal->clocks + (size_t)operation * causal->sessions;
}

/* In an order that agrees with the graph, which has no cycle. */
static void compute_clocks(struct causal *causal, const struct moot_graph *graph)
{
    const struct moot_edge *edges = (const void *)graph->edges.data;
    uint32_t count = graph->count, head = 0, tail = 0;
    uint32_t *needs = moot_alloc_zero(count * sizeof(*needs));
    uint32_t *queue = moot_alloc(count * sizeof(*queue));
    for (size_t i = 0; i < graph->edges.size / sizeof(*edges); i++) {
        needs[edges[i].to]++;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (needs[i] == 0) {
            queue[tail++] = i;
        }
    }
    while (head < tail) {
        uint32_t one = queue[head++];
        uint32_t *clock = clock_of(causal, one);
        if (causal->session[one] != MOOT_TXN_NONE) {
            clock[causal->session[one]] = causal->place[one] + 1;
        }
        for (uint32_t i = graph->start[one]; i < graph->start[one + 1]; i++) {
            uint32_t *to = clock_of(causal, edges[i].to);
            for (uint32_t s = 0; s < causal->sessions; s++) {
                to[s] = clock[s] > to[s] ? clock[s] : to[s];
            }
            if (--needs[edges[i].to] == 0) {
                queue[tail++] = edges[i].to;
            }
        }
    }
    MOOT_ASSERT(tail == count);
    moot_free(needs);
    moot_free(queue);
}

static int compare_writes(const void *left, const void *right)
{
    const struct write *a = left, *b = right;
    if (a->key != b->key) {
        return (a->key > b->key) - (a->key < b->key);
    }
    if (a->session != b->session) {
        return (a->session > b->session) - (a->session < b->session);
    }
    return (a->place > b->place) - (a->place < b->place);
}

static void sort_writes(struct causal *causal)
{
    for (uint32_t i = 0; i < causal->txns->count; i++) {
        const struct moot_txn_step *step = moot_txn_only_step(causal->txns, i);
        if (causal->session[i] != MOOT_TXN_NONE && !step->is_read) {
            causal->writes[causal->writes_count++] =
                (struct write){step->key, causal->session[i], causal->place[i], i};
            causal->start[step->key + 1]++;
        }
    }
    for (uint32_t key = 0; key < causal->txns->keys.count; key++) {
        causal->start[key + 1] += causal->start[key];
    }
    qsort(causal->writes, causal->writes_count, sizeof(*causal->writes), compare_writes);
}

/* One read: against the last write of its key in each session that is causally before it. Adds what
 * it says of the order of writes to `conflicts`. False on a violation. */
static bool judge_read(struct causal *causal, uint32_t read, struct moot_graph *conflicts)
{
    struct moot_txns *txns = causal->txns;
    const uint32_t *clock = clock_of(causal, read);
    uint32_t source = moot_txn_source(txns, read), key = moot_txn_only_step(txns, read)->key;
    for (uint32_t i = causal->start[key]; i < causal->start[key + 1]; i++) {
        const struct write *write = &causal->writes[i];
        bool visible = write->place < clock[write->session];
        bool last = i + 1 == causal->start[key + 1] || write[1].session != write->session ||
                    write[1].place >= clock[write->session];
        if (!visible || !last || write->operation == source) {
            continue;
        }
        if (source == MOOT_TXN_NONE) {
            moot_txns_conclude(txns, MOOT_JUDGEMENT_VIOLATION,
                               "WriteCOInitRead: a read of nil, though a write of the key is "
                               "causally before it:",
                               read, write->operation);
            return false;
        }
        if (clock_of(causal, write->operation)[causal->session[source]] > causal->place[source]) {
            moot_txns_conclude(txns, MOOT_JUDGEMENT_VIOLATION,
                               "WriteCORead: a read of a value that was overwritten by a write "
                               "causally before the read:",
                               read, write->operation);
            return false;
        }
        moot_graph_add(conflicts, write->operation, source, MOOT_EDGE_WW,
                       moot_txn_only_step(txns, source)->version);
    }
    return true;
}

/* A cycle of the graph of `txns`, told. */
static bool has_cycle(struct moot_txns *txns, const struct moot_graph *graph, const char *name)
{
    struct moot_buffer cycle;
    moot_buffer_init(&cycle);
    bool found = moot_graph_cycle(graph, MOOT_EDGES_WR | MOOT_EDGES_PROCESS, MOOT_RW_ANY, &cycle);
    if (found) {
        moot_txns_describe_cycle(txns, name, &cycle);
    }
    moot_buffer_deinit(&cycle);
    return found;
}

static void judge_reads(struct causal *causal, bool convergent)
{
    struct moot_txns *txns = causal->txns;
    const struct moot_edge *edges = (const void *)txns->graph.edges.data;
    struct moot_graph conflicts; /* The causal order, and what reads say of the writes. */
    moot_graph_init(&conflicts, txns->count);
    for (size_t i = 0; i < txns->graph.edges.size / sizeof(*edges); i++) {
        moot_graph_add(&conflicts, edges[i].from, edges[i].to, edges[i].kind, edges[i].version);
    }
    bool good = true;
    for (uint32_t i = 0; i < txns->count && good; i++) {
        if (causal->session[i] != MOOT_TXN_NONE && moot_txn_only_step(txns, i)->known) {
            good = judge_read(causal, i, &conflicts);
        }
    }
    moot_graph_seal(&conflicts);
    if (good && convergent) {
        has_cycle(txns, &conflicts,
                  "CyclicCF: replicas that read so cannot agree on an order of the writes");
    }
    moot_graph_deinit(&conflicts);
}

static void judge(struct causal *causal, bool convergent)
{
    struct moot_txns *txns = causal->txns;
    if (!find_sessions(causal)) {
        return;
    }
    if ((uint64_t)causal->sessions * txns->count > MOOT_CHECK_CAUSAL_MAX) {
        moot_txns_conclude(txns, MOOT_JUDGEMENT_UNKNOWN, "too many operations and processes",
                           MOOT_TXN_NONE, MOOT_TXN_NONE);
        return;
    }
    add_sources(causal);
    moot_graph_seal(&txns->graph);
    if (has_cycle(txns, &txns->graph, "CyclicCO: an effect before its cause")) {
        return;
    }
    causal->clocks =
        moot_alloc_zero(((size_t)causal->sessions * txns->count + 1) * sizeof(*causal->clocks));
    compute_clocks(causal, &txns->graph);
    sort_writes(causal);
    judge_reads(causal, convergent);
}

void moot_check_causal(const struct moot_history *history, bool convergent,
                       struct moot_verdict *verdict)
{
    struct moot_txns txns;
    if (moot_txns_collect(&txns, history, MOOT_ISOLATION_READ_COMMITTED, false /* lists */,
                          verdict) &&
        moot_txns_are_single(&txns) && moot_txns_judge_reads(&txns)) {
        size_t bytes = (txns.count + (size_t)1) * sizeof(uint32_t);
        struct causal causal = {
            .txns = &txns,
            .order = moot_alloc(bytes),
            .session = moot_alloc(bytes),
            .place = moot_alloc_zero(bytes),
            .writes = moot_alloc(txns.count * sizeof(struct write)),
            .start = moot_alloc_zero((txns.keys.count + (size_t)2) * sizeof(uint32_t)),
        };
        judge(&causal, convergent);
        moot_free(causal.order);
        moot_free(causal.session);
        moot_free(causal.place);
        moot_free(causal.clocks);
        moot_free(causal.writes);
        moot_free(causal.start);
    }
    moot_txns_deinit(&txns);
}

void moot_check_sequential(const struct moot_history *history, struct moot_verdict *verdict)
{
    moot_check_causal(history, true, verdict);
    if (verdict->judgement != MOOT_JUDGEMENT_VIOLATION) {
        moot_verdict_deinit(verdict);
        moot_verdict_init(verdict);
        moot_check_register_txns(history, MOOT_ISOLATION_SESSION_SERIALIZABLE, verdict);
    }
}
