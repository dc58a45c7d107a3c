/* The order of versions that no edge tells: which of two chains of a key's versions came first.
 *
 * A chain is versions in a row, of which each was written by who had read the one before; where
 * nobody read what he replaced, a chain is one version alone. If chain A is before chain B, then
 * A's last writer (ww) and all who left the key at it (rw) are before B's first writer; or else the
 * other way round. Known edges and one choice for each pair: a polygraph (Papadimitriou 1979). The
 * history is as promised exactly when some choices make no cycle.
 *
 * Mostly one of the two would close a cycle with what is known, so that the other is known too, and
 * so on until nothing changes (as Cobra prunes; Tan et al. 2020). Real time, sessions, reads of
 * nil, and long ways through other keys all come in by that. Where a pair could be either, one is
 * tried, and the other if that fails. For snapshot isolation the same holds of cycles in which no
 * two rw follow each other (PolySI; Huang et al. 2023). */
#include <stdlib.h>

#include "base/assert.h"
#include "base/limits.h"
#include "check/closure.h"
#include "check/transactions.h"

/* A pair of chains that could be either way, the one that was begun first in front. */
struct decision {
    struct moot_txn_choice choice;
    bool is_last; /* The other way was tried. */
};

struct ordering {
    const struct moot_txns *txns;
    const struct moot_txn_chains *chains;
    struct moot_closure closure, base;
    struct moot_buffer open, base_open; /* struct moot_txn_choice: not made yet. */
    struct moot_buffer decisions;       /* struct decision */
    struct moot_buffer *made;           /* Of the base: struct moot_txn_choice. */
    bool is_base;
    uint64_t looked;
};

static const struct moot_txn_chain *chain_at(const struct moot_txn_chains *chains, uint32_t number)
{
    return (const struct moot_txn_chain *)(const void *)chains->chains.data + number;
}

static uint32_t count_of(const struct moot_txn_chains *chains)
{
    return (uint32_t)(chains->chains.size / sizeof(struct moot_txn_chain));
}

static const uint32_t *readers_of(const struct moot_txn_chains *chains,
                                  const struct moot_txn_chain *chain)
{
    return (const uint32_t *)(const void *)chains->readers.data + chain->readers;
}

void moot_txn_chains_init(struct moot_txn_chains *chains)
{
    moot_buffer_init(&chains->chains);
    moot_buffer_init(&chains->readers);
    moot_buffer_reserve(&chains->readers, 1);
}

void moot_txn_chains_deinit(struct moot_txn_chains *chains)
{
    moot_buffer_deinit(&chains->chains);
    moot_buffer_deinit(&chains->readers);
}

/* Whether no edge that a choice stands for would close a cycle. All lead to one transaction, so
 * what none of them closes alone they do not close together. */
static bool allows(struct ordering *ordering, struct moot_txn_choice choice)
{
    const struct moot_txn_chain *first = chain_at(ordering->chains, choice.first);
    uint32_t to = chain_at(ordering->chains, choice.second)->head;
    const uint32_t *readers = readers_of(ordering->chains, first);
    bool allowed = moot_closure_allows(&ordering->closure, first->tail, to, false /* ww */);
    ordering->looked++;
    for (uint32_t i = 0; i < first->readers_count && allowed; i++) {
        allowed = moot_closure_allows(&ordering->closure, readers[i], to, true /* rw */);
        ordering->looked++;
    }
    return allowed;
}

static void make(struct ordering *ordering, struct moot_txn_choice choice)
{
    const struct moot_txn_chain *first = chain_at(ordering->chains, choice.first);
    uint32_t to = chain_at(ordering->chains, choice.second)->head;
    const uint32_t *readers = readers_of(ordering->chains, first);
    moot_closure_add(&ordering->closure, first->tail, to, false);
    for (uint32_t i = 0; i < first->readers_count; i++) {
        moot_closure_add(&ordering->closure, readers[i], to, true);
    }
    if (ordering->is_base) {
        moot_buffer_append(ordering->made, &choice, sizeof(choice));
    }
}

static struct moot_txn_choice reverse(struct moot_txn_choice choice)
{
    return (struct moot_txn_choice){.first = choice.second, .second = choice.first};
}

static bool is_spent(const struct ordering *ordering)
{
    return ordering->looked + ordering->closure.work > MOOT_CHECK_ORDER_MAX;
}

/* Makes each choice that only one way is left for, until nothing changes. False when there is none
 * for some pair: it is the last in `made`, if this is the base. */
static bool make_forced(struct ordering *ordering)
{
    for (bool changed = true; changed && !is_spent(ordering);) {
        struct moot_txn_choice *open = (void *)ordering->open.data;
        size_t count = ordering->open.size / sizeof(*open), kept = 0;
        changed = false;
        for (size_t i = 0; i < count; i++) {
            struct moot_txn_choice choice = open[i];
            bool onward = allows(ordering, choice), back = allows(ordering, reverse(choice));
            if (onward && back) {
                open[kept++] = choice;
            } else if (onward || back) {
                make(ordering, onward ? choice : reverse(choice));
                changed = true;
            } else {
                if (ordering->is_base) {
                    moot_buffer_append(ordering->made, &choice, sizeof(choice));
                }
                return false;
            }
        }
        ordering->open.size = kept * sizeof(*open);
    }
    return true;
}

/* ---- choices that could be either ---- */

static struct decision *last_decision(struct ordering *ordering)
{
    return ordering->decisions.size == 0
               ? NULL
               : (struct decision *)(void *)(ordering->decisions.data + ordering->decisions.size -
                                             sizeof(struct decision));
}

/* Makes a choice that is open, and all that follows from it. */
static bool follow(struct ordering *ordering, struct moot_txn_choice choice)
{
    if (!allows(ordering, choice)) {
        return false;
    }
    make(ordering, choice); /* The pair leaves `open` by itself: only one way is left for it. */
    return make_forced(ordering);
}

/* From the base on, all decisions again. False, with those behind it forgotten, at the first that
 * does not go. */
static bool replay(struct ordering *ordering)
{
    size_t count = ordering->decisions.size / sizeof(struct decision);
    moot_closure_restore(&ordering->closure, &ordering->base);
    moot_buffer_reset(&ordering->open, ordering->open.capacity);
    moot_buffer_append(&ordering->open, ordering->base_open.data, ordering->base_open.size);
    for (size_t i = 0; i < count; i++) {
        struct decision *one = (struct decision *)(void *)ordering->decisions.data + i;
        if (!follow(ordering, one->choice)) {
            ordering->decisions.size = (i + 1) * sizeof(*one);
            return false;
        }
    }
    return true;
}

/* The last decision that was not tried both ways goes the other; false when there is none. */
static bool turn_back(struct ordering *ordering)
{
    struct decision *last;
    while ((last = last_decision(ordering)) != NULL && last->is_last) {
        ordering->decisions.size -= sizeof(*last);
    }
    if (last != NULL) {
        last->choice = reverse(last->choice);
        last->is_last = true;
    }
    return last != NULL;
}

static enum moot_judgement decide(struct ordering *ordering)
{
    moot_closure_copy(&ordering->base, &ordering->closure);
    moot_buffer_append(&ordering->base_open, ordering->open.data, ordering->open.size);
    ordering->is_base = false;
    while (ordering->open.size > 0) {
        struct decision next = {.choice = *(struct moot_txn_choice *)(void *)ordering->open.data};
        moot_buffer_append(&ordering->decisions, &next, sizeof(next));
        bool goes = follow(ordering, next.choice);
        while (!goes && !is_spent(ordering)) {
            if (!turn_back(ordering)) {
                return MOOT_JUDGEMENT_VIOLATION;
            }
            goes = replay(ordering);
        }
        if (is_spent(ordering)) {
            return MOOT_JUDGEMENT_UNKNOWN;
        }
    }
    return MOOT_JUDGEMENT_VALID;
}

/* ---- all of it ---- */

static void ask_about(const struct moot_txn_chains *chains, const struct moot_txn_chain *chain,
                      bool *asked)
{
    asked[chain->head] = asked[chain->tail] = true;
    for (uint32_t i = 0; i < chain->readers_count; i++) {
        asked[readers_of(chains, chain)[i]] = true;
    }
}

static int compare_by_call(const void *left, const void *right, void *context)
{
    const struct moot_txn_chain *chains = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    if (chains[a].key != chains[b].key) {
        return (chains[a].key > chains[b].key) - (chains[a].key < chains[b].key);
    }
    uint64_t call_a = chains[a].last_call, call_b = chains[b].last_call;
    return call_a != call_b ? (call_a > call_b) - (call_a < call_b) : (a > b) - (a < b);
}

/* Every two chains of a key of which real time does not say which was first: a sweep over their
 * calls. False when there are too many. */
static bool pair_up(struct ordering *ordering, bool *asked)
{
    const struct moot_txn_chains *chains = ordering->chains;
    uint32_t count = count_of(chains), active_count = 0;
    uint32_t *sorted = moot_alloc((count + (size_t)1) * sizeof(*sorted));
    uint32_t *active = moot_alloc((count + (size_t)1) * sizeof(*active));
    for (uint32_t i = 0; i < count; i++) {
        sorted[i] = i;
    }
    qsort_r(sorted, count, sizeof(*sorted), compare_by_call, chains->chains.data);
    for (uint32_t i = 0; i < count && ordering->looked <= MOOT_CHECK_PAIRS_MAX; i++) {
        const struct moot_txn_chain *chain = chain_at(chains, sorted[i]);
        uint32_t kept = 0;
        for (uint32_t j = 0; j < active_count; j++) {
            const struct moot_txn_chain *other = chain_at(chains, active[j]);
            if (other->key != chain->key || other->first_end < chain->last_call) {
                continue; /* It is over for all that follow, too. */
            }
            active[kept++] = active[j];
            if (chain->first_end >= other->last_call) {
                struct moot_txn_choice choice = {.first = active[j], .second = sorted[i]};
                moot_buffer_append(&ordering->open, &choice, sizeof(choice));
                ordering->looked++;
                ask_about(chains, other, asked);
                ask_about(chains, chain, asked);
            }
        }
        active[kept++] = sorted[i];
        active_count = kept;
    }
    moot_free(sorted);
    moot_free(active);
    return ordering->looked <= MOOT_CHECK_PAIRS_MAX;
}

/* Real time, where the graph has it; else NULL. */
static struct moot_closure_time *times_of(const struct moot_txns *txns)
{
    struct moot_closure_time *times = NULL;
    if (txns->level == MOOT_ISOLATION_STRICT_SERIALIZABLE) {
        times = moot_alloc((txns->count + (size_t)1) * sizeof(*times));
    }
    for (uint32_t txn = 0; txn < txns->count && times != NULL; txn++) {
        const struct moot_operation *operation = moot_txn_operation(txns, txn);
        bool is_over = operation->outcome == MOOT_OUTCOME_OK;
        times[txn] = (struct moot_closure_time){
            .called = operation->called.ns,
            .over = is_over ? operation->returned.ns : UINT64_MAX,
        };
    }
    return times;
}

enum moot_judgement moot_txns_order_chains(const struct moot_txns *txns,
                                           const struct moot_txn_chains *chains,
                                           struct moot_buffer *made)
{
    struct ordering ordering = {.txns = txns, .chains = chains, .made = made, .is_base = true};
    enum moot_judgement judgement = MOOT_JUDGEMENT_UNKNOWN;
    bool *asked = moot_alloc_zero(txns->count + (size_t)1);
    MOOT_ASSERT(txns->level >= MOOT_ISOLATION_SNAPSHOT);
    moot_buffer_init(&ordering.open);
    moot_buffer_init(&ordering.base_open);
    moot_buffer_init(&ordering.decisions);
    struct moot_closure_time *times = times_of(txns);
    if (pair_up(&ordering, asked) &&
        moot_closure_init(&ordering.closure, &txns->graph, asked,
                          txns->level == MOOT_ISOLATION_SNAPSHOT, times)) {
        judgement = MOOT_JUDGEMENT_VIOLATION;
        if (make_forced(&ordering)) {
            judgement = decide(&ordering);
            moot_buffer_reset(made, 0);
        }
        moot_closure_deinit(&ordering.closure);
        moot_closure_deinit(&ordering.base);
    }
    moot_buffer_deinit(&ordering.open);
    moot_buffer_deinit(&ordering.base_open);
    moot_buffer_deinit(&ordering.decisions);
    moot_free(asked);
    moot_free(times);
    return judgement;
}
