/* Registers of unique values. What is known of the order of a key's versions:
 *
 * - nil is before them all;
 * - a transaction that read one version and wrote another put the second after the first;
 * - with real time: where somebody who left a key
 *   at version a was over before somebody who found it at version b was called, a is before b (the
 *   zones of Gibbons and Korach 1997, for transactions).
 *
 * A reader of a version is then before the writers of all that are known to be after it. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "check/shrink.h"
#include "check/transactions.h"

enum { SMALL = 1000 /* Transactions: all is quick. */ };

/* What is known of one committed version. Instants + 1, as in zones.c: nil ended at 0. */
struct known {
    uint64_t first_end; /* The least return of a transaction that left the key at it. */
    uint64_t last_call; /* The greatest call of one that found the key at it, or wrote it. */
    uint32_t successor; /* Written by the one that read it; or NONE. */
    uint32_t place;     /* In `sorted`, or NONE. */
};

struct registers {
    struct moot_txns *txns;
    struct known *known; /* By version. */
    uint32_t *sorted;    /* Versions by key and last_call. */
    uint32_t *joins;     /* Auxiliary nodes: before the version there, and those behind it. */
    uint32_t *start;     /* By key, and one more. */
    uint32_t sorted_count;
};

static bool is_live(const struct moot_txns *txns, uint32_t version)
{
    const struct moot_txn_version *one = &txns->versions[version];
    return one->writer != MOOT_TXN_NONE && one->is_final && txns->txns[one->writer].committed;
}

/* The version that a read found, or NONE for nil. */
static uint32_t found_by(const struct moot_txns *txns, const struct moot_txn_step *read)
{
    return read->seen_count == 0 ? MOOT_TXN_NONE : moot_txn_seen(txns, read)[0];
}

static bool is_outside(const struct moot_txn_step *step)
{
    return step->known && step->outside != MOOT_TXN_NONE;
}

static void note_step(struct registers *registers, uint32_t txn, const struct moot_txn_step *step)
{
    const struct moot_txns *txns = registers->txns;
    const struct moot_operation *operation = moot_txn_operation(txns, txn);
    uint64_t end = operation->outcome == MOOT_OUTCOME_OK ? operation->returned.ns + 1 : UINT64_MAX;
    uint64_t call = operation->called.ns + 1;
    uint32_t own = moot_txns_write_of(txns, txn, step->key);
    if (!step->is_read) {
        struct known *written = &registers->known[step->version];
        if (is_live(txns, step->version)) {
            written->first_end = moot_min_u64(written->first_end, end);
            written->last_call = moot_max_u64(written->last_call, call);
        }
        return;
    }
    uint32_t found = is_outside(step) ? found_by(txns, step) : MOOT_TXN_NONE;
    if (found == MOOT_TXN_NONE) {
        return;
    }
    struct known *read = &registers->known[found];
    read->last_call = moot_max_u64(read->last_call, call);
    if (own == MOOT_TXN_NONE) {
        read->first_end = moot_min_u64(read->first_end, end);
    } else {
        read->successor = moot_txn_step_at(txns, own)->version;
    }
}

static int compare_by_call(const void *left, const void *right, void *context)
{
    const struct registers *registers = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    uint32_t key_a = registers->txns->versions[a].key, key_b = registers->txns->versions[b].key;
    uint64_t call_a = registers->known[a].last_call, call_b = registers->known[b].last_call;
    if (key_a != key_b) {
        return (key_a > key_b) - (key_a < key_b);
    }
    return call_a != call_b ? (call_a > call_b) - (call_a < call_b) : (a > b) - (a < b);
}

static void sort_versions(struct registers *registers)
{
    struct moot_txns *txns = registers->txns;
    for (uint32_t i = 0; i < txns->versions_count; i++) {
        if (is_live(txns, i)) {
            registers->sorted[registers->sorted_count++] = i;
            registers->start[txns->versions[i].key + 1]++;
        }
    }
    for (uint32_t key = 0; key < txns->keys.count; key++) {
        registers->start[key + 1] += registers->start[key];
    }
    qsort_r(registers->sorted, registers->sorted_count, sizeof(*registers->sorted), compare_by_call,
            registers);
    for (uint32_t i = registers->sorted_count; i > 0; i--) {
        uint32_t version = registers->sorted[i - 1];
        uint32_t join = moot_graph_join(&txns->graph);
        registers->known[version].place = i - 1;
        registers->joins[i - 1] = join;
        moot_graph_add(&txns->graph, join, txns->versions[version].writer, MOOT_EDGE_PASS, version);
        if (i < registers->start[txns->versions[version].key + 1]) {
            moot_graph_add(&txns->graph, join, registers->joins[i], MOOT_EDGE_PASS, version);
        }
    }
}

/* The first place of a key whose last_call is greater than `end`. */
static uint32_t place_after(const struct registers *registers, uint32_t key, uint64_t end)
{
    uint32_t low = registers->start[key], high = registers->start[key + 1];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (registers->known[registers->sorted[middle]].last_call > end) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* Edges from `from` to the writers of all versions of a key that are after `version` (NONE: nil),
 * but not to itself, nor to the writer of `version`. Those two may stand among the others: up to
 * them each edge is added alone, the rest through a join. In a history without a violation there
 * are only as many to add alone as were open at once. */
static void add_after(struct registers *registers, uint32_t from, uint32_t key, uint32_t version,
                      enum moot_edge_kind kind)
{
    struct moot_txns *txns = registers->txns;
    bool strict = txns->level == MOOT_ISOLATION_STRICT_SERIALIZABLE;
    uint32_t own_step = moot_txns_write_of(txns, from, key);
    uint32_t own = own_step == MOOT_TXN_NONE ? own_step : moot_txn_step_at(txns, own_step)->version;
    MOOT_ASSERT(registers->known != NULL); /* Of each version that somebody wrote or read. */
    const struct known *known = version == MOOT_TXN_NONE ? NULL : &registers->known[version];
    uint32_t end = registers->start[key + 1], at = end, alone = 0;
    if (known != NULL && known->successor != MOOT_TXN_NONE) {
        moot_graph_add(&txns->graph, from, txns->versions[known->successor].writer, kind,
                       known->successor);
    }
    enum moot_edge_kind later = kind == MOOT_EDGE_WW ? MOOT_EDGE_WW_LATER : MOOT_EDGE_RW_LATER;
    later = known == NULL ? kind : later; /* Nil needs no clock to be first. */
    if (known == NULL) {
        at = registers->start[key];
    } else if (strict && known->first_end != UINT64_MAX) {
        at = place_after(registers, key, known->first_end);
    }
    if (known != NULL && known->place != MOOT_TXN_NONE && known->place >= at) {
        alone = known->place + 1;
    }
    if (own != MOOT_TXN_NONE && registers->known[own].place != MOOT_TXN_NONE &&
        registers->known[own].place >= at) {
        alone = registers->known[own].place + 1 > alone ? registers->known[own].place + 1 : alone;
    }
    for (; at < alone; at++) {
        uint32_t other = registers->sorted[at];
        if (other != version && other != own) {
            moot_graph_add(&txns->graph, from, txns->versions[other].writer, later, other);
            if (known != NULL && registers->known[other].first_end < known->last_call) {
                return; /* Each is before the other: that is a cycle, and needs no more edges. */
            }
        }
    }
    if (at < end) {
        moot_graph_add(&txns->graph, from, registers->joins[at], later, registers->sorted[at]);
    }
}

static void add_edges(struct registers *registers)
{
    struct moot_txns *txns = registers->txns;
    for (uint32_t i = 0; i < registers->sorted_count; i++) {
        uint32_t version = registers->sorted[i];
        add_after(registers, txns->versions[version].writer, txns->versions[version].key, version,
                  MOOT_EDGE_WW);
    }
    for (uint32_t txn = 0; txn < txns->count; txn++) {
        for (uint32_t i = 0; i < txns->txns[txn].count; i++) {
            const struct moot_txn_step *step = moot_txn_step_at(txns, txns->txns[txn].first + i);
            if (!is_outside(step)) {
                continue;
            }
            uint32_t found = found_by(txns, step);
            if (found != MOOT_TXN_NONE && is_live(txns, found)) {
                moot_graph_add(&txns->graph, txns->versions[found].writer, txn, MOOT_EDGE_WR,
                               found);
            }
            if (txns->level >= MOOT_ISOLATION_SNAPSHOT) {
                add_after(registers, txn, step->key, found, MOOT_EDGE_RW);
                if (moot_txns_write_of(txns, txn, step->key) != MOOT_TXN_NONE) {
                    /* Its own version is the next, or its update would lose another. */
                    add_after(registers, txn, step->key, found, MOOT_EDGE_WW);
                }
            }
        }
    }
}

static struct known *learn(struct moot_txns *txns)
{
    struct known *known = moot_alloc((txns->versions_count + (size_t)1) * sizeof(*known));
    struct registers registers = {.txns = txns, .known = known};
    for (uint32_t i = 0; i < txns->versions_count; i++) {
        known[i] = (struct known){
            .first_end = UINT64_MAX, .successor = MOOT_TXN_NONE, .place = MOOT_TXN_NONE};
    }
    for (uint32_t txn = 0; txn < txns->count; txn++) {
        for (uint32_t i = 0; i < txns->txns[txn].count && txns->txns[txn].committed; i++) {
            note_step(&registers, txn, moot_txn_step_at(txns, txns->txns[txn].first + i));
        }
    }
    return known;
}

static void build(struct moot_txns *txns)
{
    size_t versions = txns->versions_count + (size_t)1;
    struct registers registers = {
        .txns = txns,
        .known = learn(txns),
        .sorted = moot_alloc(versions * sizeof(uint32_t)),
        .joins = moot_alloc(versions * sizeof(uint32_t)),
        .start = moot_alloc_zero((txns->keys.count + (size_t)2) * sizeof(uint32_t)),
    };
    sort_versions(&registers);
    add_edges(&registers);
    moot_free(registers.known);
    moot_free(registers.sorted);
    moot_free(registers.joins);
    moot_free(registers.start);
}

/* ---- the order of what is left ---- */

/* By version: what follows it at once, whether it follows another, and who left its key at it. */
struct links {
    uint32_t *successor;
    bool *follows;
    uint32_t *readers_start; /* And one more. */
};

/* The steps of committed transactions that found a version which others wrote. */
static const struct moot_txn_step *next_find(const struct moot_txns *txns, uint32_t *txn,
                                             uint32_t *at)
{
    for (; *txn < txns->count; ++*txn, *at = 0) {
        while (*at < txns->txns[*txn].count && txns->txns[*txn].committed) {
            const struct moot_txn_step *step =
                moot_txn_step_at(txns, txns->txns[*txn].first + (*at)++);
            if (step->is_read && is_outside(step) && found_by(txns, step) != MOOT_TXN_NONE) {
                return step;
            }
        }
    }
    return NULL;
}

static void link_versions(const struct moot_txns *txns, struct links *links,
                          struct moot_txn_chains *chains)
{
    const struct moot_txn_step *find;
    uint32_t *start = links->readers_start, own;
    for (uint32_t txn = 0, at = 0; (find = next_find(txns, &txn, &at)) != NULL;) {
        uint32_t found = found_by(txns, find);
        if ((own = moot_txns_write_of(txns, txn, find->key)) == MOOT_TXN_NONE) {
            start[found + 2]++;
        } else {
            own = moot_txn_step_at(txns, own)->version;
            links->successor[found] = own;
            links->follows[own] = true;
        }
    }
    for (uint32_t i = 0; i <= txns->versions_count; i++) {
        start[i + 1] += start[i];
    }
    size_t bytes = start[txns->versions_count + 1] * sizeof(uint32_t);
    uint32_t *readers = (void *)moot_buffer_reserve(&chains->readers, bytes + 1);
    chains->readers.size = bytes;
    for (uint32_t txn = 0, at = 0; (find = next_find(txns, &txn, &at)) != NULL;) {
        if (moot_txns_write_of(txns, txn, find->key) == MOOT_TXN_NONE) {
            readers[start[found_by(txns, find) + 1]++] = txn;
        }
    }
}

/* `known`: NULL when real time does not count. */
static void add_chain(const struct moot_txns *txns, const struct links *links,
                      const struct known *known, uint32_t head, struct moot_txn_chains *chains)
{
    uint32_t tail = head;
    while (links->successor[tail] != MOOT_TXN_NONE) { /* Round and round it is a G1c. */
        tail = links->successor[tail];
    }
    struct moot_txn_chain chain = {
        .key = txns->versions[head].key,
        .head = txns->versions[head].writer,
        .tail = txns->versions[tail].writer,
        .head_version = head,
        .tail_version = tail,
        .readers_count = links->readers_start[tail + 1] - links->readers_start[tail],
        .readers = links->readers_start[tail],
    };
    chain.last_call = known == NULL ? 0 : known[head].last_call;
    chain.first_end = known == NULL ? UINT64_MAX : known[tail].first_end;
    moot_buffer_append(&chains->chains, &chain, sizeof(chain));
}

static void collect_chains(struct moot_txns *txns, struct moot_txn_chains *chains)
{
    bool strict = txns->level == MOOT_ISOLATION_STRICT_SERIALIZABLE;
    struct known *known = strict ? learn(txns) : NULL;
    size_t versions = txns->versions_count;
    struct links links = {
        .successor = moot_alloc((versions + 1) * sizeof(uint32_t)),
        .follows = moot_alloc_zero(versions + 1),
        .readers_start = moot_alloc_zero((versions + 3) * sizeof(uint32_t)),
    };
    memset(links.successor, 0xff, (versions + 1) * sizeof(uint32_t));
    link_versions(txns, &links, chains);
    uint32_t *heads = moot_alloc_zero((txns->keys.count + (size_t)3) * sizeof(*heads));
    uint32_t *by_key = moot_alloc((versions + 1) * sizeof(*by_key)), count = 0;
    for (uint32_t i = 0; i < versions; i++) {
        heads[txns->versions[i].key + 2] += is_live(txns, i) && !links.follows[i];
    }
    for (uint32_t key = 0; key <= txns->keys.count; key++) {
        heads[key + 1] += heads[key];
    }
    for (uint32_t i = 0; i < versions; i++) {
        if (is_live(txns, i) && !links.follows[i]) {
            by_key[heads[txns->versions[i].key + 1]++] = i;
            count++;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        add_chain(txns, &links, known, by_key[i], chains);
    }
    moot_free(known);
    moot_free(heads);
    moot_free(by_key);
    moot_free(links.successor);
    moot_free(links.follows);
    moot_free(links.readers_start);
}

static void order_versions(struct moot_txns *txns)
{
    struct moot_txn_chains chains;
    moot_txn_chains_init(&chains);
    collect_chains(txns, &chains);
    moot_txns_judge_order(txns, &chains);
    moot_txn_chains_deinit(&chains);
}

static void check_at(const struct moot_history *history, enum moot_isolation level,
                     struct moot_verdict *verdict)
{
    struct moot_txns txns;
    if (moot_txns_collect(&txns, history, level, false /* lists */, verdict) &&
        moot_txns_judge_reads(&txns)) {
        if (level >= MOOT_ISOLATION_READ_COMMITTED) {
            build(&txns); /* Below, any order of the versions will do. */
        }
        /* Up to read-committed, each edge is needed and any order that agrees with them will do. */
        if (moot_txns_judge_cycles(&txns) && level >= MOOT_ISOLATION_SNAPSHOT &&
            !moot_txns_find_order(&txns)) {
            order_versions(&txns);
        }
    }
    moot_txns_deinit(&txns);
}

static void check_weak(const struct moot_history *weak, const void *level,
                       struct moot_verdict *verdict)
{
    check_at(weak, *(const enum moot_isolation *)level, verdict);
}

/* A violation that only trying has shown names nobody: those who cannot be done without. */
static void name_some(const struct moot_history *history, enum moot_isolation level,
                      struct moot_verdict *verdict)
{
    moot_shrink_whole(history, check_weak, &level, &verdict->evidence);
    const uint32_t *operations = (const void *)verdict->evidence.data;
    MOOT_ASSERT(verdict->evidence.size > 0); /* What nobody saw is right. */
    verdict->operation = operations[0];
    for (size_t i = 0; i < verdict->evidence.size / sizeof(*operations); i++) {
        moot_buffer_append_text(&verdict->words, "    ");
        moot_operation_describe(&history->operations[operations[i]], &verdict->words);
        moot_buffer_append_text(&verdict->words, "\n");
    }
}

/* What is strict is also serializable, and real time shows most of the order: of many transactions
 * that is asked first. */
void moot_check_register_txns(const struct moot_history *history, enum moot_isolation level,
                              struct moot_verdict *verdict)
{
    bool strict = level == MOOT_ISOLATION_STRICT_SERIALIZABLE;
    if (!strict && level >= MOOT_ISOLATION_SNAPSHOT && history->count > SMALL) {
        struct moot_verdict strictly;
        moot_verdict_init(&strictly);
        check_at(history, MOOT_ISOLATION_STRICT_SERIALIZABLE, &strictly);
        if (strictly.judgement == MOOT_JUDGEMENT_VALID) {
            moot_verdict_deinit(verdict);
            *verdict = strictly;
            return;
        }
        moot_verdict_deinit(&strictly);
    }
    check_at(history, level, verdict);
    if (verdict->judgement == MOOT_JUDGEMENT_VIOLATION && verdict->evidence.size == 0) {
        name_some(history, level, verdict);
    }
}
