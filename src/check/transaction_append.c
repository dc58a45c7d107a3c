/* Lists of unique elements: the longest read of a key is the order of its versions, and every other
 * read is a beginning of it (Elle, section 4.2.1). What was appended and is not in the longest read
 * came after it: a list only grows. */
#include <string.h>

#include "base/assert.h"
#include "check/transactions.h"

struct order {
    uint32_t *versions; /* The longest read. */
    uint32_t count;
    uint32_t reader; /* Who read it, or NONE. */
};

struct appends {
    struct moot_txns *txns;
    struct order *orders;  /* By key. */
    uint32_t *place;       /* Of each version in its order, or NONE. */
    uint32_t *seen_by;     /* Of each version: the step that lists it, last. */
    uint32_t *tails;       /* Committed appends that are not in the longest read, by key; */
    uint32_t *tails_start; /* where each key's begin, and one more. */
};

static const struct moot_txn_step *read_at(const struct moot_txns *txns, uint32_t txn, uint32_t i)
{
    const struct moot_txn_step *step = moot_txn_step_at(txns, txns->txns[txn].first + i);
    return step->known ? step : NULL;
}

static bool is_failed(const struct moot_txns *txns, uint32_t version)
{
    return moot_txn_operation(txns, txns->versions[version].writer)->outcome == MOOT_OUTCOME_FAIL;
}

/* At read-uncommitted, what an aborted transaction appended may be seen, and go away again. */
static void forget_aborted(struct moot_txns *txns)
{
    uint32_t steps = (uint32_t)(txns->steps.size / sizeof(struct moot_txn_step));
    for (uint32_t i = 0; i < steps; i++) {
        struct moot_txn_step *step = moot_txn_step_at(txns, i);
        uint32_t *seen = (uint32_t *)(void *)txns->seen.data + step->seen, kept = 0;
        for (uint32_t j = 0; step->known && j < step->seen_count; j++) {
            if (!is_failed(txns, seen[j])) {
                seen[kept++] = seen[j];
            }
        }
        step->seen_count = kept;
        step->outside = MOOT_TXN_NONE; /* No edges from reads at this level. */
    }
}

static bool find_longest(struct appends *appends)
{
    struct moot_txns *txns = appends->txns;
    memset(appends->seen_by, 0xff, txns->versions_count * sizeof(*appends->seen_by));
    for (uint32_t txn = 0; txn < txns->count; txn++) {
        for (uint32_t i = 0; i < txns->txns[txn].count; i++) {
            const struct moot_txn_step *read = read_at(txns, txn, i);
            const uint32_t *seen = read == NULL ? NULL : moot_txn_seen(txns, read);
            for (uint32_t j = 0; read != NULL && j < read->seen_count; j++) {
                if (appends->seen_by[seen[j]] == txns->txns[txn].first + i) {
                    moot_txns_conclude(txns, MOOT_JUDGEMENT_VIOLATION,
                                       "duplicate elements: appended once, and twice in a list:",
                                       txn, txns->versions[seen[j]].writer);
                    return false;
                }
                appends->seen_by[seen[j]] = txns->txns[txn].first + i;
            }
            struct order *order = read == NULL ? NULL : &appends->orders[read->key];
            if (read != NULL &&
                (order->reader == MOOT_TXN_NONE || read->seen_count > order->count)) {
                *order = (struct order){
                    .versions = (uint32_t *)(void *)txns->seen.data + read->seen,
                    .count = read->seen_count,
                    .reader = txn,
                };
            }
        }
    }
    return true;
}

static bool check_prefixes(struct appends *appends)
{
    struct moot_txns *txns = appends->txns;
    for (uint32_t txn = 0; txn < txns->count; txn++) {
        for (uint32_t i = 0; i < txns->txns[txn].count; i++) {
            const struct moot_txn_step *read = read_at(txns, txn, i);
            if (read == NULL || read->seen_count == 0) {
                continue;
            }
            const struct order *order = &appends->orders[read->key];
            MOOT_ASSERT(read->seen_count <= order->count);
            if (memcmp(moot_txn_seen(txns, read), order->versions,
                       read->seen_count * sizeof(uint32_t)) != 0) {
                moot_txns_conclude(txns, MOOT_JUDGEMENT_VIOLATION,
                                   "incompatible orders: two reads of a list, and neither is the"
                                   " beginning of the other:",
                                   txn, order->reader);
                return false;
            }
        }
    }
    return true;
}

/* The next version by another committed transaction than `txn`, from place `at` on. */
static uint32_t next_version(const struct moot_txns *txns, const struct order *order, uint32_t at,
                             uint32_t txn)
{
    while (at < order->count && (txns->versions[order->versions[at]].writer == txn ||
                                 is_failed(txns, order->versions[at]))) {
        at++;
    }
    return at < order->count ? order->versions[at] : MOOT_TXN_NONE;
}

static bool is_tail(const struct appends *appends, uint32_t version)
{
    const struct moot_txns *txns = appends->txns;
    const struct moot_txn_version *one = &txns->versions[version];
    return one->writer != MOOT_TXN_NONE && txns->txns[one->writer].committed && one->is_final &&
           appends->place[version] == MOOT_TXN_NONE;
}

static void collect_tails(struct appends *appends)
{
    struct moot_txns *txns = appends->txns;
    uint32_t keys = txns->keys.count, *start = appends->tails_start;
    memset(appends->place, 0xff, txns->versions_count * sizeof(*appends->place));
    for (uint32_t key = 0; key < keys; key++) {
        for (uint32_t i = 0; i < appends->orders[key].count; i++) {
            appends->place[appends->orders[key].versions[i]] = i;
        }
    }
    for (uint32_t i = 0; i < txns->versions_count; i++) {
        start[txns->versions[i].key + 2] += is_tail(appends, i);
    }
    for (uint32_t key = 0; key <= keys; key++) {
        start[key + 1] += start[key];
    }
    for (uint32_t i = 0; i < txns->versions_count; i++) {
        if (is_tail(appends, i)) {
            appends->tails[start[txns->versions[i].key + 1]++] = i;
        }
    }
}

/* From one version to the next, along a key; from the last one to all that nobody saw. */
static void add_writes(struct appends *appends)
{
    struct moot_txns *txns = appends->txns;
    for (uint32_t key = 0; key < txns->keys.count; key++) {
        const struct order *order = &appends->orders[key];
        for (uint32_t i = 0; i < order->count; i++) {
            uint32_t writer = txns->versions[order->versions[i]].writer;
            if (is_failed(txns, order->versions[i])) {
                continue;
            }
            /* Only to the next one: of a transaction's own it follows from the last of them. */
            uint32_t next = i + 1 < order->count ? next_version(txns, order, i + 1, MOOT_TXN_NONE)
                                                 : MOOT_TXN_NONE;
            if (next != MOOT_TXN_NONE) {
                moot_graph_add(&txns->graph, writer, txns->versions[next].writer, MOOT_EDGE_WW,
                               next);
            }
        }
    }
    for (uint32_t i = 0; i < appends->tails_start[txns->keys.count]; i++) {
        uint32_t version = appends->tails[i];
        const struct order *order = &appends->orders[txns->versions[version].key];
        uint32_t last = order->count;
        while (last > 0 && is_failed(txns, order->versions[last - 1])) {
            last--;
        }
        if (last > 0) {
            moot_graph_add(&txns->graph, txns->versions[order->versions[last - 1]].writer,
                           txns->versions[version].writer, MOOT_EDGE_WW, version);
        }
    }
}

/* A read of the longest list, which lacks all that nobody saw. `joins`: by key, the auxiliary node
 * before them. A reader that is one of them needs edges to each of the others; there is one such at
 * most, or an update is lost. */
static void add_read_of_all(struct appends *appends, uint32_t txn, uint32_t key, uint32_t join)
{
    struct moot_txns *txns = appends->txns;
    uint32_t first = appends->tails_start[key], end = appends->tails_start[key + 1];
    MOOT_ASSERT(first < end);
    if (moot_txns_write_of(txns, txn, key) == MOOT_TXN_NONE) {
        moot_graph_add(&txns->graph, txn, join, MOOT_EDGE_RW, appends->tails[first]);
        return;
    }
    for (uint32_t i = first; i < end; i++) {
        uint32_t writer = txns->versions[appends->tails[i]].writer;
        moot_graph_add(&txns->graph, txn, writer, MOOT_EDGE_RW, appends->tails[i]);
        /* And its own version is the next, or its update would lose another. */
        moot_graph_add(&txns->graph, txn, writer, MOOT_EDGE_WW, appends->tails[i]);
    }
}

static uint32_t *join_tails(struct appends *appends)
{
    struct moot_txns *txns = appends->txns;
    uint32_t *joins = moot_alloc((txns->keys.count + (size_t)1) * sizeof(*joins));
    memset(joins, 0xff, (txns->keys.count + (size_t)1) * sizeof(*joins));
    for (uint32_t i = 0; i < appends->tails_start[txns->keys.count]; i++) {
        const struct moot_txn_version *version = &txns->versions[appends->tails[i]];
        uint32_t *join = &joins[version->key];
        *join = *join == MOOT_TXN_NONE ? moot_graph_join(&txns->graph) : *join;
        moot_graph_add(&txns->graph, *join, version->writer, MOOT_EDGE_PASS, appends->tails[i]);
    }
    return joins;
}

static void add_reads(struct appends *appends)
{
    struct moot_txns *txns = appends->txns;
    uint32_t *joins = join_tails(appends);
    for (uint32_t txn = 0; txn < txns->count; txn++) {
        for (uint32_t i = 0; i < txns->txns[txn].count; i++) {
            const struct moot_txn_step *read = read_at(txns, txn, i);
            if (read == NULL || read->outside == MOOT_TXN_NONE) {
                continue;
            }
            const struct order *order = &appends->orders[read->key];
            if (read->outside > 0) {
                uint32_t last = order->versions[read->outside - 1];
                moot_graph_add(&txns->graph, txns->versions[last].writer, txn, MOOT_EDGE_WR, last);
            }
            if (txns->level < MOOT_ISOLATION_SNAPSHOT) {
                continue;
            }
            uint32_t next = next_version(txns, order, read->outside, txn);
            if (next != MOOT_TXN_NONE) {
                moot_graph_add(&txns->graph, txn, txns->versions[next].writer, MOOT_EDGE_RW, next);
            } else if (joins[read->key] != MOOT_TXN_NONE) {
                add_read_of_all(appends, txn, read->key, joins[read->key]);
            }
        }
    }
    moot_free(joins);
}

/* What nobody read came after all that somebody did, but in which order? Mostly that is no matter:
 * what has no cycle can be put in a line, and the line is an order without a cycle too. But
 * snapshot isolation allows some cycles, and then whether one that it does not allow can be avoided
 * depends on the order. (Found by trying all: tests/unit/check_anomalies_test.c.) */
static void order_tails(struct appends *appends)
{
    struct moot_txns *txns = appends->txns;
    struct moot_txn_chains chains;
    moot_txn_chains_init(&chains);
    for (uint32_t i = 0; i < appends->tails_start[txns->keys.count]; i++) {
        uint32_t version = appends->tails[i], writer = txns->versions[version].writer;
        struct moot_txn_chain chain = {.key = txns->versions[version].key,
                                       .head = writer,
                                       .tail = writer,
                                       .head_version = version,
                                       .tail_version = version,
                                       .first_end = UINT64_MAX};
        moot_buffer_append(&chains.chains, &chain, sizeof(chain));
    }
    moot_txns_judge_order(txns, &chains);
    moot_txn_chains_deinit(&chains);
}

static void judge_appends(struct moot_txns *txns)
{
    if (!moot_txns_judge_reads(txns)) {
        return;
    }
    struct appends appends = {
        .txns = txns,
        .orders = moot_alloc_zero((txns->keys.count + (size_t)1) * sizeof(*appends.orders)),
        .place = moot_alloc((txns->versions_count + (size_t)1) * sizeof(uint32_t)),
        .seen_by = moot_alloc((txns->versions_count + (size_t)1) * sizeof(uint32_t)),
    };
    for (uint32_t key = 0; key < txns->keys.count; key++) {
        appends.orders[key].reader = MOOT_TXN_NONE;
    }
    appends.tails = moot_alloc((txns->versions_count + (size_t)1) * sizeof(uint32_t));
    appends.tails_start = moot_alloc_zero((txns->keys.count + (size_t)3) * sizeof(uint32_t));
    if (txns->level < MOOT_ISOLATION_READ_COMMITTED) {
        forget_aborted(txns);
    }
    bool good = find_longest(&appends) && check_prefixes(&appends);
    if (good) {
        collect_tails(&appends);
        add_writes(&appends);
        add_reads(&appends);
        good = moot_txns_judge_cycles(txns);
    }
    if (good && txns->level == MOOT_ISOLATION_SNAPSHOT) {
        order_tails(&appends);
    }
    moot_free(appends.tails);
    moot_free(appends.tails_start);
    moot_free(appends.orders);
    moot_free(appends.place);
    moot_free(appends.seen_by);
}

void moot_check_append_txns(const struct moot_history *history, enum moot_isolation level,
                            struct moot_verdict *verdict)
{
    struct moot_txns txns;
    if (moot_txns_collect(&txns, history, level, true /* lists */, verdict)) {
        judge_appends(&txns);
    }
    moot_txns_deinit(&txns);
}
