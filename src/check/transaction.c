/* Transactions collected from a history, and what can be wrong with one read alone. */
#include "check/transaction.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "check/evidence.h"
#include "check/transactions.h"

static const char *const level_texts[] = {
#define X(name, text) [MOOT_ISOLATION_##name] = text,
    MOOT_ISOLATION_LEVELS(X)
#undef X
};

bool moot_isolation_from_text(const char *text, enum moot_isolation *level)
{
    for (unsigned i = 0; i < MOOT_ISOLATION_LEVELS_COUNT; i++) {
        if (strcmp(text, level_texts[i]) == 0) {
            *level = i;
            return true;
        }
    }
    return false;
}

const char *moot_isolation_text(enum moot_isolation level)
{
    MOOT_ASSERT(level < MOOT_ISOLATION_LEVELS_COUNT);
    return level_texts[level];
}

void moot_txns_conclude(struct moot_txns *txns, enum moot_judgement judgement, const char *what,
                        uint32_t first, uint32_t second)
{
    moot_evidence_conclude(
        txns->history, txns->verdict, judgement, what,
        first == MOOT_TXN_NONE ? MOOT_EVIDENCE_NONE : txns->txns[first].operation,
        second == MOOT_TXN_NONE || second == first ? MOOT_EVIDENCE_NONE
                                                   : txns->txns[second].operation);
}

static uint32_t version_of(struct moot_txns *txns, uint32_t key, struct moot_slice text)
{
    uint32_t text_number = moot_intern_add(&txns->texts, text);
    uint64_t *number = moot_pairs_at(&txns->numbers, key, text_number, 0);
    if (*number == 0) {
        if (txns->versions_count == txns->versions_capacity) {
            txns->versions_capacity = txns->versions_capacity * 2 + 64;
            txns->versions =
                moot_realloc(txns->versions, txns->versions_capacity * sizeof(*txns->versions));
        }
        txns->versions[txns->versions_count++] = (struct moot_txn_version){
            .key = key, .text = text_number, .writer = MOOT_TXN_NONE, .is_final = true};
        *number = txns->versions_count;
    }
    return (uint32_t)*number - 1;
}

/* A single operation as steps; false when it is none of these. */
static bool steps_of(struct moot_txns *txns, const struct moot_operation *operation,
                     const struct moot_history_step **steps, uint32_t *count)
{
    *steps = operation->steps;
    *count = (uint32_t)operation->steps_count;
    if (operation->kind == MOOT_OPERATION_TXN) {
        return true;
    }
    bool many = operation->argument.kind == MOOT_HISTORY_LIST;
    *count = many ? (uint32_t)operation->argument.count : 1;
    struct moot_history_step *made = moot_arena_alloc(&txns->arena, *count * sizeof(*made) + 1);
    for (uint32_t i = 0; i < *count; i++) {
        made[i] = (struct moot_history_step){.kind = operation->kind, .key = operation->key};
        made[i].value = operation->argument;
        if (many) {
            made[i].value = moot_history_bytes(operation->argument.items[i]);
        }
        if (operation->kind == MOOT_OPERATION_READ) {
            made[i].value = operation->result;
        }
        if (operation->kind == MOOT_OPERATION_PUSH) {
            made[i].kind = MOOT_OPERATION_APPEND;
        }
    }
    *steps = made;
    return operation->kind == MOOT_OPERATION_READ ||
           (operation->kind == MOOT_OPERATION_WRITE && !many) ||
           operation->kind == MOOT_OPERATION_PUSH;
}

/* The write of a step; false when it cannot be judged. */
static bool collect_write(struct moot_txns *txns, uint32_t txn, uint32_t number,
                          const struct moot_history_value *value)
{
    struct moot_txn_step *step = moot_txn_step_at(txns, number);
    bool failed = moot_txn_operation(txns, txn)->outcome == MOOT_OUTCOME_FAIL;
    char digits[24];
    struct moot_slice text;
    if (!moot_evidence_text(value, digits, &text)) {
        moot_evidence_not_judged(txns->history, txns->verdict, txns->txns[txn].operation);
        return false;
    }
    step->version = version_of(txns, step->key, text);
    struct moot_txn_version *version = &txns->versions[step->version];
    bool other_failed = version->writer != MOOT_TXN_NONE &&
                        moot_txn_operation(txns, version->writer)->outcome == MOOT_OUTCOME_FAIL;
    if (version->writer != MOOT_TXN_NONE && !failed && !other_failed) {
        moot_txns_conclude(txns, MOOT_JUDGEMENT_UNKNOWN,
                           "one value was written twice to one key; this checker needs all"
                           " different:",
                           version->writer, txn);
        return false;
    }
    if (version->writer == MOOT_TXN_NONE || !failed) {
        version->writer = txn;
    }
    for (uint32_t i = number; i > txns->txns[txn].first; i--) { /* The one before is not final. */
        const struct moot_txn_step *before = moot_txn_step_at(txns, i - 1);
        if (!before->is_read && before->key == step->key) {
            txns->versions[before->version].is_final &=
                txns->versions[before->version].writer != txn;
            break;
        }
    }
    return true;
}

static bool collect_steps(struct moot_txns *txns, uint32_t txn)
{
    struct moot_txn *one = &txns->txns[txn];
    enum moot_operation_kind writes = txns->lists ? MOOT_OPERATION_APPEND : MOOT_OPERATION_WRITE;
    const struct moot_operation *operation = moot_txn_operation(txns, txn);
    one->committed = operation->outcome == MOOT_OUTCOME_OK;
    one->first = (uint32_t)(txns->steps.size / sizeof(struct moot_txn_step));
    if (!steps_of(txns, operation, &one->source, &one->count)) {
        moot_evidence_not_judged(txns->history, txns->verdict, one->operation);
        return false;
    }
    uint32_t count = one->count;
    one->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct moot_history_step *source = &one->source[i];
        struct moot_txn_step step = {
            .is_read = source->kind == MOOT_OPERATION_READ,
            .key = moot_intern_add(&txns->keys, source->key),
            .version = MOOT_TXN_NONE,
            .outside = MOOT_TXN_NONE,
        };
        moot_buffer_append(&txns->steps, &step, sizeof(step));
        if (!step.is_read && source->kind != writes) {
            moot_evidence_not_judged(txns->history, txns->verdict, one->operation);
            return false;
        }
        if (!step.is_read && !collect_write(txns, txn, one->first + i, &source->value)) {
            return false;
        }
        one->count++;
    }
    return true;
}

/* The last list read of a key: the next mostly begins like it, and then need not be looked up. */
struct last_list {
    const struct moot_slice *items;
    size_t count, seen;
};

static bool collect_list(struct moot_txns *txns, struct moot_txn_step *step, uint32_t txn,
                         const struct moot_history_value *value, struct last_list *last)
{
    bool shared = true;
    if (value->kind != MOOT_HISTORY_LIST && value->kind != MOOT_HISTORY_NIL) {
        moot_evidence_not_judged(txns->history, txns->verdict, txns->txns[txn].operation);
        return false;
    }
    for (size_t i = 0; i < value->count; i++) {
        shared = shared && i < last->count && moot_slice_equal(last->items[i], value->items[i]);
        uint32_t version = shared ? ((uint32_t *)(void *)txns->seen.data)[last->seen + i]
                                  : version_of(txns, step->key, value->items[i]);
        moot_buffer_append(&txns->seen, &version, sizeof(version));
    }
    step->seen_count = (uint32_t)value->count;
    *last = (struct last_list){.items = value->items, .count = value->count, .seen = step->seen};
    return true;
}

static bool collect_read(struct moot_txns *txns, uint32_t txn, uint32_t i, struct last_list *lasts)
{
    struct moot_txn_step *step = moot_txn_step_at(txns, txns->txns[txn].first + i);
    const struct moot_history_value *value = &txns->txns[txn].source[i].value;
    if (!step->is_read || value->kind == MOOT_HISTORY_NONE ||
        moot_txn_operation(txns, txn)->outcome != MOOT_OUTCOME_OK) {
        return true;
    }
    step->known = true;
    step->seen = txns->seen.size / sizeof(uint32_t);
    if (txns->lists) {
        return collect_list(txns, step, txn, value, &lasts[step->key]);
    }
    char digits[24];
    struct moot_slice text;
    if (value->kind == MOOT_HISTORY_NIL) {
        return true;
    }
    if (!moot_evidence_text(value, digits, &text)) {
        moot_evidence_not_judged(txns->history, txns->verdict, txns->txns[txn].operation);
        return false;
    }
    uint32_t version = version_of(txns, step->key, text);
    moot_buffer_append(&txns->seen, &version, sizeof(version));
    step->seen_count = 1;
    return true;
}

bool moot_txns_collect(struct moot_txns *txns, const struct moot_history *history,
                       enum moot_isolation level, bool lists, struct moot_verdict *verdict)
{
    moot_evidence_begin(history, verdict);
    *txns =
        (struct moot_txns){.history = history, .verdict = verdict, .level = level, .lists = lists};
    moot_arena_init(&txns->arena);
    moot_intern_init(&txns->keys);
    moot_intern_init(&txns->texts);
    moot_pairs_init(&txns->numbers);
    moot_buffer_init(&txns->steps);
    moot_buffer_init(&txns->seen);
    moot_buffer_reserve(&txns->seen, 1);
    moot_graph_init(&txns->graph, (uint32_t)history->count);
    txns->count = (uint32_t)history->count;
    txns->txns = moot_alloc_zero(history->count * sizeof(*txns->txns));
    bool good = true;
    for (uint32_t i = 0; i < txns->count && good; i++) {
        txns->txns[i].operation = i;
        good = collect_steps(txns, i);
    }
    struct last_list *lasts = moot_alloc_zero((txns->keys.count + (size_t)1) * sizeof(*lasts));
    for (uint32_t txn = 0; txn < txns->count && good; txn++) {
        for (uint32_t i = 0; i < txns->txns[txn].count && good; i++) {
            good = collect_read(txns, txn, i, lasts);
        }
    }
    verdict->keys = txns->keys.count;
    moot_free(lasts);
    return good;
}

void moot_txns_deinit(struct moot_txns *txns)
{
    moot_arena_deinit(&txns->arena);
    moot_intern_deinit(&txns->keys);
    moot_intern_deinit(&txns->texts);
    moot_pairs_deinit(&txns->numbers);
    moot_buffer_deinit(&txns->steps);
    moot_buffer_deinit(&txns->seen);
    moot_graph_deinit(&txns->graph);
    moot_free(txns->txns);
    moot_free(txns->versions);
}

uint32_t moot_txns_write_of(const struct moot_txns *txns, uint32_t txn, uint32_t key)
{
    const struct moot_txn *one = &txns->txns[txn];
    for (uint32_t i = one->count; i > 0; i--) {
        const struct moot_txn_step *step = moot_txn_step_at(txns, one->first + i - 1);
        if (!step->is_read && step->key == key) {
            return one->first + i - 1;
        }
    }
    return MOOT_TXN_NONE;
}

bool moot_txns_are_single(struct moot_txns *txns)
{
    for (uint32_t i = 0; i < txns->count; i++) {
        if (txns->txns[i].count != 1) {
            moot_txns_conclude(txns, MOOT_JUDGEMENT_UNKNOWN,
                               "this checker judges single reads and writes:", i, MOOT_TXN_NONE);
            return false;
        }
    }
    return true;
}

uint32_t moot_txn_source(const struct moot_txns *txns, uint32_t txn)
{
    const struct moot_txn_step *step = moot_txn_only_step(txns, txn);
    if (!step->is_read || !step->known || step->seen_count == 0) {
        return MOOT_TXN_NONE;
    }
    return txns->versions[moot_txn_seen(txns, step)[0]].writer;
}

static int compare_by_process(const void *left, const void *right, void *context)
{
    const struct moot_operation *operations = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    if (operations[a].process != operations[b].process) {
        return (operations[a].process > operations[b].process) -
               (operations[a].process < operations[b].process);
    }
    uint64_t call_a = operations[a].called.ns, call_b = operations[b].called.ns;
    return call_a != call_b ? (call_a > call_b) - (call_a < call_b) : (a > b) - (a < b);
}

void moot_txns_order_by_process(const struct moot_txns *txns, uint32_t *order)
{
    for (uint32_t i = 0; i < txns->count; i++) {
        order[i] = i;
    }
    qsort_r(order, txns->count, sizeof(*order), compare_by_process, txns->history->operations);
}

static bool same_seen(const struct moot_txns *txns, const struct moot_txn_step *read,
                      uint32_t count, const struct moot_txn_step *before)
{
    return count == before->seen_count &&
           (count == 0 || memcmp(moot_txn_seen(txns, read), moot_txn_seen(txns, before),
                                 count * sizeof(uint32_t)) == 0);
}

/* Sets `outside`; false when the read contradicts its own transaction. */
static bool look_inside(const struct moot_txns *txns, const struct moot_txn *one, uint32_t number)
{
    struct moot_txn_step *read = moot_txn_step_at(txns, number);
    uint32_t left = read->seen_count;
    for (uint32_t i = number; i > one->first; i--) {
        const struct moot_txn_step *before = moot_txn_step_at(txns, i - 1);
        if (before->key != read->key || (before->is_read && !before->known)) {
            continue;
        }
        if (before->is_read) { /* What was outside is known from there. */
            return same_seen(txns, read, left, before);
        }
        if (left == 0 || moot_txn_seen(txns, read)[left - 1] != before->version) {
            return false;
        }
        left--;
        if (!txns->lists) {
            return true; /* A register holds what was written last, and hides the rest. */
        }
    }
    read->outside = left;
    return true;
}

/* Below snapshots a transaction may read one key twice and find two states. Then each read is a
 * read of what others wrote, up to the transaction's own. */
static uint32_t count_foreign(const struct moot_txns *txns, uint32_t txn,
                              const struct moot_txn_step *read)
{
    uint32_t left = read->seen_count;
    while (left > 0 && txns->versions[moot_txn_seen(txns, read)[left - 1]].writer == txn) {
        left--;
    }
    return left == 0 ? MOOT_TXN_NONE : left;
}

/* True when the transaction writes the version only after the step `number`. */
static bool is_written_after(const struct moot_txns *txns, uint32_t txn, uint32_t number,
                             uint32_t version)
{
    bool is_own = txns->versions[version].writer == txn;
    for (uint32_t i = txns->txns[txn].first; i < number && is_own; i++) {
        is_own = moot_txn_step_at(txns, i)->version != version;
    }
    return is_own;
}

static bool judge_read(struct moot_txns *txns, uint32_t txn, uint32_t number)
{
    struct moot_txn_step *read = moot_txn_step_at(txns, number);
    const uint32_t *seen = moot_txn_seen(txns, read);
    bool inside = look_inside(txns, &txns->txns[txn], number);
    if (!inside && txns->level < MOOT_ISOLATION_SNAPSHOT) {
        read->outside = count_foreign(txns, txn, read);
    }
    for (uint32_t i = 0; i < read->seen_count; i++) {
        uint32_t writer = txns->versions[seen[i]].writer;
        if (writer == MOOT_TXN_NONE) {
            moot_txns_conclude(txns, MOOT_JUDGEMENT_VIOLATION,
                               "garbage read: this transaction saw a value that nobody wrote:", txn,
                               MOOT_TXN_NONE);
            return false;
        }
        bool failed = moot_txn_operation(txns, writer)->outcome == MOOT_OUTCOME_FAIL;
        if (failed && txns->level >= MOOT_ISOLATION_READ_COMMITTED) {
            bool built_on = i + 1 < read->seen_count;
            moot_txns_conclude(
                txns, MOOT_JUDGEMENT_VIOLATION,
                built_on ? "dirty update (G1a, aborted read): the first transaction saw what the"
                           " second, aborted, wrote, and that others had built on it:"
                         : "G1a, aborted read: the first transaction saw what the second, aborted,"
                           " wrote:",
                txn, writer);
            return false;
        }
        txns->txns[writer].committed |= !failed;
    }
    if (!inside && txns->level >= MOOT_ISOLATION_SNAPSHOT) {
        moot_txns_conclude(txns, MOOT_JUDGEMENT_VIOLATION,
                           "internal inconsistency: a read disagrees with what its own transaction"
                           " had read or written before:",
                           txn, MOOT_TXN_NONE);
        return false;
    }
    for (uint32_t i = 0; i < read->seen_count; i++) {
        if (is_written_after(txns, txn, number, seen[i]) &&
            txns->level >= MOOT_ISOLATION_READ_COMMITTED) {
            moot_txns_conclude(txns, MOOT_JUDGEMENT_VIOLATION,
                               "internal inconsistency: a transaction read what it only wrote"
                               " later:",
                               txn, MOOT_TXN_NONE);
            return false;
        }
    }
    if (read->outside != MOOT_TXN_NONE && read->outside > 0 &&
        txns->level >= MOOT_ISOLATION_READ_COMMITTED) {
        const struct moot_txn_version *last = &txns->versions[seen[read->outside - 1]];
        if (last->writer != txn && !last->is_final) {
            moot_txns_conclude(txns, MOOT_JUDGEMENT_VIOLATION,
                               "G1b, intermediate read: the first transaction saw a state from the"
                               " middle of the second:",
                               txn, last->writer);
            return false;
        }
    }
    return true;
}

/* Two transactions that read one version of a key and both replaced it: whichever came second did
 * not see the first. */
static bool judge_lost_updates(struct moot_txns *txns)
{
    struct moot_pairs replaced; /* (key, version + 1, or 0 at first) -> transaction + 1 */
    moot_pairs_init(&replaced);
    bool good = true;
    for (uint32_t txn = 0; txn < txns->count && good; txn++) {
        const struct moot_txn *one = &txns->txns[txn];
        for (uint32_t i = 0; i < one->count && good && one->committed; i++) {
            const struct moot_txn_step *step = moot_txn_step_at(txns, one->first + i);
            if (!step->is_read || !step->known || step->outside == MOOT_TXN_NONE ||
                moot_txns_write_of(txns, txn, step->key) == MOOT_TXN_NONE) {
                continue;
            }
            uint64_t last =
                step->outside == 0 ? 0 : moot_txn_seen(txns, step)[step->outside - 1] + UINT64_C(1);
            uint64_t *first = moot_pairs_at(&replaced, step->key, last, txn + UINT64_C(1));
            if (*first != txn + UINT64_C(1)) {
                moot_txns_conclude(txns, MOOT_JUDGEMENT_VIOLATION,
                                   "lost update (G-single): both transactions read the same version"
                                   " of a key and wrote it, so one did not see the other:",
                                   (uint32_t)*first - 1, txn);
                good = false;
            }
        }
    }
    moot_pairs_deinit(&replaced);
    return good;
}

bool moot_txns_judge_reads(struct moot_txns *txns)
{
    for (uint32_t txn = 0; txn < txns->count; txn++) {
        const struct moot_txn *one = &txns->txns[txn];
        for (uint32_t i = 0; i < one->count; i++) {
            if (moot_txn_step_at(txns, one->first + i)->known &&
                !judge_read(txns, txn, one->first + i)) {
                return false;
            }
        }
    }
    return txns->level < MOOT_ISOLATION_SNAPSHOT || judge_lost_updates(txns);
}
