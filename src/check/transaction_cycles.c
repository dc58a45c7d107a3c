/* Cycles that a level forbids, the worst first, and how to say one in words. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/slice.h"
#include "check/evidence.h"
#include "check/transactions.h"

/* One call or return of a transaction. */
struct event {
    uint32_t process; /* 0 when all are one. */
    uint64_t at;
    uint32_t txn;
    bool is_return;
};

/* Calls first where instants are equal: those are concurrent. */
static int compare_events(const void *left, const void *right)
{
    const struct event *a = left, *b = right;
    if (a->process != b->process) {
        return (a->process > b->process) - (a->process < b->process);
    }
    if (a->at != b->at) {
        return (a->at > b->at) - (a->at < b->at);
    }
    if (a->is_return != b->is_return) {
        return a->is_return ? 1 : -1;
    }
    return (a->txn > b->txn) - (a->txn < b->txn);
}

/* Edges from each transaction to all that were called after its return: along a chain of auxiliary
 * nodes, one a return, so that there are O(n) of them. */
static void add_order(struct moot_txns *txns, enum moot_edge_kind kind)
{
    struct event *events = moot_alloc(2 * (size_t)txns->count * sizeof(*events));
    size_t count = 0;
    for (uint32_t txn = 0; txn < txns->count; txn++) {
        const struct moot_operation *operation = moot_txn_operation(txns, txn);
        uint32_t process = kind == MOOT_EDGE_PROCESS ? operation->process : 0;
        if (!txns->txns[txn].committed) {
            continue;
        }
        events[count++] = (struct event){process, operation->called.ns, txn, false};
        if (operation->outcome == MOOT_OUTCOME_OK) {
            events[count++] = (struct event){process, operation->returned.ns, txn, true};
        }
    }
    qsort(events, count, sizeof(*events), compare_events);
    uint32_t last = MOOT_TXN_NONE;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && events[i].process != events[i - 1].process) {
            last = MOOT_TXN_NONE;
        }
        if (!events[i].is_return) {
            if (last != MOOT_TXN_NONE) {
                moot_graph_add(&txns->graph, last, events[i].txn, MOOT_EDGE_PASS, MOOT_TXN_NONE);
            }
            continue;
        }
        uint32_t join = moot_graph_join(&txns->graph);
        moot_graph_add(&txns->graph, events[i].txn, join, kind, MOOT_TXN_NONE);
        if (last != MOOT_TXN_NONE) {
            moot_graph_add(&txns->graph, last, join, MOOT_EDGE_PASS, MOOT_TXN_NONE);
        }
        last = join;
    }
    moot_free(events);
}

struct anomaly {
    const char *name;
    unsigned kinds;
    enum moot_rw_rule rule;
    enum moot_isolation level; /* The first that forbids it. */
};

static const struct anomaly anomalies[] = {
    {"G0 (write cycle)", MOOT_EDGES_WW, MOOT_RW_ANY, MOOT_ISOLATION_READ_UNCOMMITTED},
    {"G1c (circular information flow)", MOOT_EDGES_WR, MOOT_RW_ANY, MOOT_ISOLATION_READ_COMMITTED},
    {"G-single (read skew)", MOOT_EDGES_RW, MOOT_RW_ONE, MOOT_ISOLATION_SNAPSHOT},
    {"G-nonadjacent", MOOT_EDGES_RW, MOOT_RW_NOT_ADJACENT, MOOT_ISOLATION_SNAPSHOT},
    {"G2 (anti-dependency cycle, as in write skew)", MOOT_EDGES_RW, MOOT_RW_ANY,
     MOOT_ISOLATION_SERIALIZABLE},
};

static bool has_cycle(const struct moot_txns *txns, unsigned more, const char *what)
{
    for (size_t i = 0; i < MOOT_ARRAY_LEN(anomalies); i++) {
        const struct anomaly *one = &anomalies[i];
        struct moot_buffer cycle;
        if (one->level > txns->level) {
            continue;
        }
        moot_buffer_init(&cycle);
        unsigned kinds = one->kinds | more;
        if ((kinds & MOOT_EDGES(MOOT_EDGE_RW)) != 0 && (more & MOOT_EDGES_REALTIME) != 0) {
            kinds |= MOOT_EDGES(MOOT_EDGE_RW_LATER);
        }
        bool found = moot_graph_cycle(&txns->graph, kinds, one->rule, &cycle);
        if (found) {
            struct moot_buffer name;
            moot_buffer_init(&name);
            moot_buffer_append_text(&name, one->name);
            moot_buffer_append_text(&name, what);
            moot_buffer_append(&name, "", 1);
            moot_txns_describe_cycle(txns, (const char *)name.data, &cycle);
            moot_buffer_deinit(&name);
        }
        moot_buffer_deinit(&cycle);
        if (found) {
            return true;
        }
    }
    return false;
}

bool moot_txns_judge_cycles(struct moot_txns *txns)
{
    bool sessions = txns->level >= MOOT_ISOLATION_SESSION_SERIALIZABLE;
    bool strict = txns->level >= MOOT_ISOLATION_STRICT_SERIALIZABLE;
    if (sessions) {
        add_order(txns, MOOT_EDGE_PROCESS);
    }
    if (strict) {
        add_order(txns, MOOT_EDGE_REALTIME);
    }
    moot_graph_seal(&txns->graph);
    return !has_cycle(txns, 0, "") &&
           !(sessions && has_cycle(txns, MOOT_EDGES_PROCESS, ", in the order of processes")) &&
           !(strict && has_cycle(txns, MOOT_EDGES_PROCESS | MOOT_EDGES_REALTIME, ", in real time"));
}

static void append_name(uint32_t number, struct moot_buffer *words)
{
    moot_buffer_append_text(words, "T");
    moot_buffer_append_u64(words, number);
}

static void append_bytes(struct moot_slice text, struct moot_buffer *words)
{
    struct moot_history_value value = moot_history_bytes(text);
    moot_history_value_describe(&value, words);
}

/* The value that `txn` wrote last to a key. */
static void append_written(const struct moot_txns *txns, uint32_t txn, uint32_t key,
                           struct moot_buffer *words)
{
    uint32_t step = moot_txns_write_of(txns, txn, key);
    MOOT_ASSERT(step != MOOT_TXN_NONE);
    append_bytes(txns->texts.texts[txns->versions[moot_txn_step_at(txns, step)->version].text],
                 words);
}

/* What `txn` saw of a key, with what it had not written itself. */
static void append_read(const struct moot_txns *txns, uint32_t txn, uint32_t key,
                        struct moot_buffer *words)
{
    const struct moot_txn *one = &txns->txns[txn];
    for (uint32_t i = 0; i < one->count; i++) {
        const struct moot_txn_step *step = moot_txn_step_at(txns, one->first + i);
        if (step->known && step->key == key && step->outside != MOOT_TXN_NONE) {
            moot_history_value_describe(&one->source[i].value, words);
            return;
        }
    }
    moot_buffer_append_text(words, "?");
}

void moot_txns_describe_edge(const struct moot_txns *txns, const struct moot_edge *edge,
                             uint32_t from, uint32_t to, struct moot_buffer *words)
{
    const char *wrote = txns->lists ? " appended " : " wrote ";
    uint32_t key =
        edge->version == MOOT_TXN_NONE ? MOOT_TXN_NONE : txns->versions[edge->version].key;
    moot_buffer_append_text(words, "  ");
    append_name(from, words);
    switch (edge->kind) {
    case MOOT_EDGE_PASS:
    case MOOT_EDGE_KINDS:
        MOOT_UNREACHABLE();
    case MOOT_EDGE_WW:
    case MOOT_EDGE_WW_LATER:
    case MOOT_EDGE_WW_CHOSEN:
    case MOOT_EDGE_WR:
        moot_buffer_append_text(words, wrote);
        append_written(txns, edge->from, key, words);
        moot_buffer_append_text(words, " to ");
        append_bytes(txns->keys.texts[key], words);
        moot_buffer_append_text(words, edge->kind == MOOT_EDGE_WR ? ", and " : ", and later ");
        append_name(to, words);
        if (edge->kind != MOOT_EDGE_WR) {
            moot_buffer_append_text(words, wrote);
            append_written(txns, edge->to, key, words);
        } else {
            moot_buffer_append_text(words, " read ");
            append_read(txns, edge->to, key, words);
        }
        break;
    case MOOT_EDGE_RW:
    case MOOT_EDGE_RW_LATER:
    case MOOT_EDGE_RW_CHOSEN:
        moot_buffer_append_text(words, " read ");
        append_bytes(txns->keys.texts[key], words);
        moot_buffer_append_text(words, " = ");
        append_read(txns, edge->from, key, words);
        moot_buffer_append_text(words, ", before ");
        append_name(to, words);
        moot_buffer_append_text(words, wrote);
        append_written(txns, edge->to, key, words);
        break;
    case MOOT_EDGE_PROCESS:
        moot_buffer_append_text(words, " was over when the same process called ");
        append_name(to, words);
        break;
    case MOOT_EDGE_REALTIME:
        moot_buffer_append_text(words, " was over before ");
        append_name(to, words);
        moot_buffer_append_text(words, " was called");
        break;
    }
    static const char *const kinds[] = {
        [MOOT_EDGE_PASS] = "",
        [MOOT_EDGE_WW] = "ww",
        [MOOT_EDGE_WR] = "wr",
        [MOOT_EDGE_RW] = "rw",
        [MOOT_EDGE_PROCESS] = "process",
        [MOOT_EDGE_REALTIME] = "real time",
        [MOOT_EDGE_WW_LATER] = "ww, for whoever met the first value was over before the second was"
                               " last met",
        [MOOT_EDGE_RW_LATER] = "rw, for whoever met the first value was over before the second was"
                               " last met",
        [MOOT_EDGE_WW_CHOSEN] = "ww",
        [MOOT_EDGE_RW_CHOSEN] = "rw",
    };
    moot_buffer_append_text(words, ": ");
    append_name(from, words);
    moot_buffer_append_text(words, " is before ");
    append_name(to, words);
    moot_buffer_append_text(words, " (");
    moot_buffer_append_text(words, kinds[edge->kind]);
    moot_buffer_append_text(words, ")\n");
}

void moot_txns_describe_cycle(const struct moot_txns *txns, const char *name,
                              const struct moot_buffer *cycle)
{
    const struct moot_edge *edges = (const void *)cycle->data;
    uint32_t count = (uint32_t)(cycle->size / sizeof(*edges));
    struct moot_buffer *words = &txns->verdict->words;
    MOOT_ASSERT(count >= 2);
    moot_evidence_conclude(txns->history, txns->verdict, MOOT_JUDGEMENT_VIOLATION, name,
                           MOOT_EVIDENCE_NONE, MOOT_EVIDENCE_NONE);
    txns->verdict->operation = txns->txns[edges[0].from].operation;
    for (uint32_t i = 0; i < count; i++) {
        MOOT_ASSERT(edges[i].to == edges[(i + 1) % count].from);
        moot_buffer_append(&txns->verdict->evidence, &txns->txns[edges[i].from].operation,
                           sizeof(uint32_t));
        moot_buffer_append_text(words, "    ");
        append_name(i + 1, words);
        moot_buffer_append_text(words, ": ");
        moot_operation_describe(moot_txn_operation(txns, edges[i].from), words);
        moot_buffer_append_text(words, "\n");
    }
    for (uint32_t i = 0; i < count; i++) {
        moot_txns_describe_edge(txns, &edges[i], i + 1, (i + 1) % count + 1, words);
    }
    moot_buffer_append_text(words, "  so each is before itself: a cycle, and no order exists\n");
}
