/* Appends that nobody read, at snapshot isolation.
 *
 * Where two transactions appended to one key and no read shows which came first, edges between them
 * are left out. Mostly that is no loss: what has no cycle then can be put in a line, and the line
 * is an order of theirs without a cycle too. But snapshot isolation allows some cycles, and whether
 * one of those that it does not allow can be avoided depends on the order. (Found by trying all
 * orders: tests/unit/check_anomalies_test.c.)
 *
 * So an order is tried: the history is judged again with one more transaction at the end, which
 * reads every list whole. It reads all, so it adds nothing that could be wrong but that order. If
 * nothing is wrong, that proves it; after some tries it is unknown. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/rng.h"
#include "check/transactions.h"

enum { SMALL = 16 /* Transactions. */, TRIES = 8, SMALL_TRIES = 200 };

struct unread {
    struct moot_txns *txns;
    bool *is_read;     /* By version. */
    uint32_t *longest; /* By key: the step with the longest read, or NONE. */
    uint64_t *rank;    /* By transaction: in this order they come. */
    uint32_t *sorted;  /* Versions of one key. */
};

static void find_reads(struct unread *unread)
{
    const struct moot_txns *txns = unread->txns;
    uint32_t steps = (uint32_t)(txns->steps.size / sizeof(struct moot_txn_step));
    memset(unread->longest, 0xff, txns->keys.count * sizeof(*unread->longest));
    for (uint32_t i = 0; i < steps; i++) {
        const struct moot_txn_step *step = moot_txn_step_at(txns, i);
        uint32_t *longest = &unread->longest[step->key];
        for (uint32_t j = 0; step->known && j < step->seen_count; j++) {
            unread->is_read[moot_txn_seen(txns, step)[j]] = true;
        }
        if (step->known && (*longest == MOOT_TXN_NONE ||
                            step->seen_count > moot_txn_step_at(txns, *longest)->seen_count)) {
            *longest = i;
        }
    }
}

static bool is_unread(const struct unread *unread, uint32_t version)
{
    uint32_t writer = unread->txns->versions[version].writer;
    return !unread->is_read[version] && writer != MOOT_TXN_NONE &&
           unread->txns->txns[writer].committed;
}

/* Two transactions whose order on one key nobody knows; false when there are none. */
static bool find_pair(const struct unread *unread, uint32_t *first, uint32_t *second)
{
    const struct moot_txns *txns = unread->txns;
    uint32_t *writers = moot_alloc((txns->keys.count + (size_t)1) * sizeof(*writers));
    memset(writers, 0xff, (txns->keys.count + (size_t)1) * sizeof(*writers));
    bool found = false;
    for (uint32_t i = 0; i < txns->versions_count && !found; i++) {
        if (is_unread(unread, i)) {
            uint32_t *before = &writers[txns->versions[i].key];
            found = *before != MOOT_TXN_NONE && *before != txns->versions[i].writer;
            *first = *before;
            *second = *before = txns->versions[i].writer;
        }
    }
    moot_free(writers);
    return found;
}

/* By key, rank of the writer, and then as it wrote them: so versions are numbered. */
static int compare_versions(const void *left, const void *right, void *context)
{
    const struct unread *unread = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    const struct moot_txn_version *versions = unread->txns->versions;
    if (versions[a].key != versions[b].key) {
        return (versions[a].key > versions[b].key) - (versions[a].key < versions[b].key);
    }
    uint64_t rank_a = unread->rank[versions[a].writer], rank_b = unread->rank[versions[b].writer];
    return rank_a != rank_b ? (rank_a > rank_b) - (rank_a < rank_b) : (a > b) - (a < b);
}

/* A read of every list whole, into `steps`. */
static void read_all(const struct unread *unread, struct moot_arena *arena,
                     struct moot_history_step *steps)
{
    const struct moot_txns *txns = unread->txns;
    uint32_t count = 0, at = 0;
    for (uint32_t i = 0; i < txns->versions_count; i++) {
        if (is_unread(unread, i)) {
            unread->sorted[count++] = i;
        }
    }
    qsort_r(unread->sorted, count, sizeof(*unread->sorted), compare_versions, (void *)unread);
    for (uint32_t key = 0; key < txns->keys.count; key++) {
        const struct moot_txn_step *longest = unread->longest[key] == MOOT_TXN_NONE
                                                  ? NULL
                                                  : moot_txn_step_at(txns, unread->longest[key]);
        uint32_t end = at, length = longest == NULL ? 0 : longest->seen_count;
        while (end < count && txns->versions[unread->sorted[end]].key == key) {
            end++;
        }
        struct moot_slice *items =
            moot_arena_alloc(arena, ((size_t)length + end - at + 1) * sizeof(*items));
        for (uint32_t i = 0; i < length; i++) {
            uint32_t version = moot_txn_seen(txns, longest)[i];
            items[i] = txns->texts.texts[txns->versions[version].text];
        }
        for (; at < end; at++) {
            items[length++] = txns->texts.texts[txns->versions[unread->sorted[at]].text];
        }
        steps[key] = (struct moot_history_step){.kind = MOOT_OPERATION_READ,
                                                .key = txns->keys.texts[key],
                                                .value = moot_history_list(items, length)};
    }
}

static bool is_valid_so(const struct unread *unread)
{
    const struct moot_txns *txns = unread->txns;
    struct moot_history whole;
    struct moot_verdict verdict;
    struct moot_arena arena;
    moot_history_init(&whole);
    moot_verdict_init(&verdict);
    moot_arena_init(&arena);
    for (size_t i = 0; i < txns->history->count; i++) {
        moot_history_add(&whole, &txns->history->operations[i]);
    }
    struct moot_history_step *steps =
        moot_arena_alloc(&arena, (txns->keys.count + (size_t)1) * sizeof(*steps));
    read_all(unread, &arena, steps);
    moot_history_add(&whole, &(struct moot_operation){.kind = MOOT_OPERATION_TXN,
                                                      .outcome = MOOT_OUTCOME_OK,
                                                      .steps = steps,
                                                      .steps_count = txns->keys.count});
    moot_check_append_txns(&whole, txns->level, &verdict); /* Nothing is unread in it. */
    bool valid = verdict.judgement == MOOT_JUDGEMENT_VALID;
    moot_history_deinit(&whole);
    moot_verdict_deinit(&verdict);
    moot_arena_deinit(&arena);
    return valid;
}

/* First as they were called, then as they returned, then any. */
static bool some_order(struct unread *unread)
{
    const struct moot_txns *txns = unread->txns;
    uint32_t tries = txns->count <= SMALL ? SMALL_TRIES : TRIES;
    struct moot_rng rng;
    moot_rng_init(&rng, 1); /* Any: the verdict must be the same each time. */
    bool valid = false;
    for (uint32_t try = 0; try < tries && !valid; try++) {
        for (uint32_t i = 0; i < txns->count; i++) {
            const struct moot_operation *operation = moot_txn_operation(txns, i);
            unread->rank[i] = try == 0   ? operation->called.ns
                              : try == 1 ? operation->returned.ns
                                         : moot_rng_next(&rng);
        }
        valid = is_valid_so(unread);
    }
    return valid;
}

void moot_txns_order_unread(struct moot_txns *txns)
{
    size_t words = (size_t)txns->count + txns->versions_count + txns->keys.count + 1;
    struct unread unread = {
        .txns = txns,
        .is_read = moot_alloc_zero(words * sizeof(bool)),
        .longest = moot_alloc(words * sizeof(uint32_t)),
        .rank = moot_alloc(words * sizeof(uint64_t)),
        .sorted = moot_alloc(words * sizeof(uint32_t)),
    };
    uint32_t first, second;
    MOOT_ASSERT(txns->verdict->judgement == MOOT_JUDGEMENT_VALID);
    find_reads(&unread);
    if (find_pair(&unread, &first, &second) && !some_order(&unread)) {
        moot_txns_conclude(txns, MOOT_JUDGEMENT_UNKNOWN,
                           "no anomaly was found, but nobody read what these two appended to one"
                           " key, and no order of them was found that shows none:",
                           first, second);
    }
    moot_free(unread.is_read);
    moot_free(unread.longest);
    moot_free(unread.rank);
    moot_free(unread.sorted);
}
