#include <stdlib.h>

#include "base/assert.h"
#include "base/slice.h"
#include "check/evidence.h"
#include "check/intern.h"
#include "check/set.h"

struct item {
    uint32_t key;
    uint32_t push, pop, left; /* Operations, or MOOT_EVIDENCE_NONE. `left`: the last read has it. */
    bool failed;              /* Its push was surely not done. */
};

struct queue {
    uint64_t settled; /* The last return of an acknowledged push. */
    uint32_t empty;   /* A read, or pop of nil, that says what is left after that; or none. */
    uint64_t doubtful_pops;
    uint32_t popper; /* The process of all pops, while `one_popper`. */
    bool has_popper, one_popper;
};

struct queues {
    const struct moot_history *history;
    struct moot_verdict *verdict;
    struct moot_intern keys, texts;
    struct moot_pairs numbers; /* (key, text) -> item + 1 */
    struct item *items;
    uint32_t count, capacity;
    struct queue *queues; /* By key. */
};

static struct item *item_of(struct queues *queues, uint32_t key, struct moot_slice text)
{
    uint64_t *number =
        moot_pairs_at(&queues->numbers, key, moot_intern_add(&queues->texts, text), 0);
    if (*number == 0) {
        if (queues->count == queues->capacity) {
            queues->capacity = queues->capacity == 0 ? 64 : queues->capacity * 2;
            queues->items = moot_realloc(queues->items, queues->capacity * sizeof(*queues->items));
        }
        queues->items[queues->count++] = (struct item){.key = key,
                                                       .push = MOOT_EVIDENCE_NONE,
                                                       .pop = MOOT_EVIDENCE_NONE,
                                                       .left = MOOT_EVIDENCE_NONE};
        *number = queues->count;
    }
    return &queues->items[*number - 1];
}

static void collect_push(struct queues *queues, uint32_t key, uint32_t number)
{
    const struct moot_operation *operation = &queues->history->operations[number];
    char digits[24];
    struct moot_slice one;
    const struct moot_slice *texts = &one;
    size_t count = 1;
    if (operation->argument.kind == MOOT_HISTORY_LIST) {
        texts = operation->argument.items;
        count = operation->argument.count;
    } else if (!moot_evidence_text(&operation->argument, digits, &one)) {
        moot_evidence_not_judged(queues->history, queues->verdict, number);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct item *item = item_of(queues, key, texts[i]);
        if (operation->outcome == MOOT_OUTCOME_FAIL) {
            item->failed = true;
        } else if (item->push != MOOT_EVIDENCE_NONE) {
            moot_evidence_conclude(
                queues->history, queues->verdict, MOOT_JUDGEMENT_UNKNOWN,
                "one element was pushed twice; this checker needs all different:", item->push,
                number);
        } else {
            item->push = number;
        }
    }
    if (operation->outcome == MOOT_OUTCOME_OK) {
        queues->queues[key].settled =
            moot_max_u64(queues->queues[key].settled, operation->returned.ns);
    }
}

/* Something came out of a queue, or was seen in it: was it put in? */
static bool was_pushed(struct queues *queues, const struct item *item, uint32_t seen)
{
    const struct moot_operation *operations = queues->history->operations;
    if (item->push == MOOT_EVIDENCE_NONE) {
        moot_evidence_conclude(queues->history, queues->verdict, MOOT_JUDGEMENT_VIOLATION,
                               item->failed ? "an element whose push failed came out:"
                                            : "an element that nobody pushed came out:",
                               seen, MOOT_EVIDENCE_NONE);
        return false;
    }
    if (operations[seen].returned.ns < operations[item->push].called.ns) {
        moot_evidence_conclude(queues->history, queues->verdict, MOOT_JUDGEMENT_VIOLATION,
                               "an element came out before its push was called:", seen, item->push);
        return false;
    }
    return true;
}

static void collect_pop(struct queues *queues, uint32_t key, uint32_t number)
{
    const struct moot_operation *operation = &queues->history->operations[number];
    struct queue *queue = &queues->queues[key];
    char digits[24];
    struct moot_slice text;
    if (operation->outcome == MOOT_OUTCOME_FAIL) {
        return;
    }
    queue->one_popper =
        !queue->has_popper || (queue->one_popper && queue->popper == operation->process);
    queue->popper = operation->process;
    queue->has_popper = true;
    if (operation->outcome == MOOT_OUTCOME_INDOUBT ||
        operation->result.kind == MOOT_HISTORY_NONE) { /* It may have taken one, unseen. */
        queue->doubtful_pops++;
    } else if (operation->result.kind == MOOT_HISTORY_NIL) {
        if (operation->called.ns > queue->settled && queue->empty == MOOT_EVIDENCE_NONE) {
            queue->empty = number;
        }
    } else if (!moot_evidence_text(&operation->result, digits, &text)) {
        moot_evidence_not_judged(queues->history, queues->verdict, number);
    } else {
        struct item *item = item_of(queues, key, text);
        if (item->pop != MOOT_EVIDENCE_NONE) {
            moot_evidence_conclude(queues->history, queues->verdict, MOOT_JUDGEMENT_VIOLATION,
                                   "one element was popped twice:", item->pop, number);
        } else if (was_pushed(queues, item, number)) {
            item->pop = number;
        }
    }
}

static void collect_read(struct queues *queues, uint32_t key, uint32_t number)
{
    const struct moot_operation *operation = &queues->history->operations[number];
    struct queue *queue = &queues->queues[key];
    if (!moot_evidence_is_read(operation)) {
        return;
    }
    if (operation->result.kind != MOOT_HISTORY_LIST && operation->result.kind != MOOT_HISTORY_NIL) {
        moot_evidence_not_judged(queues->history, queues->verdict, number);
        return;
    }
    bool is_last = operation->called.ns > queue->settled;
    for (size_t i = 0; i < operation->result.count; i++) {
        struct item *item = item_of(queues, key, operation->result.items[i]);
        if (!was_pushed(queues, item, number)) {
            return;
        }
        if (item->pop != MOOT_EVIDENCE_NONE &&
            queues->history->operations[item->pop].returned.ns < operation->called.ns) {
            moot_evidence_conclude(queues->history, queues->verdict, MOOT_JUDGEMENT_VIOLATION,
                                   "an element is still there after it was popped:", number,
                                   item->pop);
            return;
        }
        item->left = is_last ? number : item->left;
    }
    if (is_last) {
        queue->empty = number;
    }
}

/* Acknowledged, and then neither popped nor left: lost, but for what in-doubt pops may have taken.
 */
static void judge_lost(struct queues *queues)
{
    const struct moot_history *history = queues->history;
    uint64_t *lost = moot_alloc_zero((queues->keys.count + (size_t)1) * sizeof(*lost));
    for (uint32_t i = 0; i < queues->count; i++) {
        const struct item *item = &queues->items[i];
        const struct queue *queue = &queues->queues[item->key];
        if (item->push == MOOT_EVIDENCE_NONE || item->pop != MOOT_EVIDENCE_NONE ||
            item->left != MOOT_EVIDENCE_NONE ||
            history->operations[item->push].outcome != MOOT_OUTCOME_OK) {
            continue;
        }
        if (queue->empty == MOOT_EVIDENCE_NONE) {
            moot_evidence_conclude(history, queues->verdict, MOOT_JUDGEMENT_UNKNOWN,
                                   "nobody looked whether this acknowledged push is left:",
                                   item->push, MOOT_EVIDENCE_NONE);
        } else if (++lost[item->key] > queue->doubtful_pops) {
            moot_evidence_conclude(history, queues->verdict, MOOT_JUDGEMENT_VIOLATION,
                                   "an acknowledged push is lost: never popped, and not left:",
                                   item->push, queue->empty);
        }
    }
    moot_free(lost);
}

static int compare_by_pop(const void *left, const void *right, void *context)
{
    const struct queues *queues = context;
    const struct item *a = &queues->items[*(const uint32_t *)left];
    const struct item *b = &queues->items[*(const uint32_t *)right];
    uint64_t called_a = queues->history->operations[a->pop].called.ns;
    uint64_t called_b = queues->history->operations[b->pop].called.ns;
    if (a->key != b->key) {
        return (a->key > b->key) - (a->key < b->key);
    }
    return called_a != called_b ? (called_a > called_b) - (called_a < called_b)
                                : (a->pop > b->pop) - (a->pop < b->pop);
}

/* First in, first out, where one process pops: of two popped elements, the one whose push was over
 * before the other's was called comes out first. From the last pop back, so that the least end of a
 * push among those popped later is at hand. */
static void judge_order(struct queues *queues)
{
    const struct moot_operation *operations = queues->history->operations;
    uint32_t *popped = moot_alloc(queues->count * sizeof(*popped));
    uint32_t count = 0, earliest = MOOT_EVIDENCE_NONE;
    for (uint32_t i = 0; i < queues->count; i++) {
        const struct item *item = &queues->items[i];
        if (item->pop != MOOT_EVIDENCE_NONE && queues->queues[item->key].one_popper) {
            popped[count++] = i;
        }
    }
    qsort_r(popped, count, sizeof(*popped), compare_by_pop, queues);
    for (uint32_t i = count; i > 0; i--) {
        const struct item *item = &queues->items[popped[i - 1]];
        const struct item *next = i < count ? &queues->items[popped[i]] : NULL;
        if (next == NULL || next->key != item->key) {
            earliest = MOOT_EVIDENCE_NONE;
        } else if (operations[item->pop].returned.ns >= operations[next->pop].called.ns) {
            earliest = MOOT_EVIDENCE_NONE; /* Pops that overlap have no order. */
        }
        if (earliest != MOOT_EVIDENCE_NONE &&
            moot_evidence_end(&operations[earliest]) < operations[item->push].called.ns) {
            moot_evidence_conclude(queues->history, queues->verdict, MOOT_JUDGEMENT_VIOLATION,
                                   "popped out of order: the first was pushed before the second, "
                                   "and came out after it:",
                                   earliest, item->push);
            break;
        }
        if (earliest == MOOT_EVIDENCE_NONE ||
            moot_evidence_end(&operations[item->push]) < moot_evidence_end(&operations[earliest])) {
            earliest = item->push;
        }
    }
    moot_free(popped);
}

void moot_check_queue(const struct moot_history *history, struct moot_verdict *verdict)
{
    moot_evidence_begin(history, verdict);
    struct queues queues = {.history = history, .verdict = verdict};
    moot_intern_init(&queues.keys);
    moot_intern_init(&queues.texts);
    moot_pairs_init(&queues.numbers);
    uint32_t *key_of = moot_alloc(history->count * sizeof(*key_of));
    for (uint32_t i = 0; i < history->count; i++) {
        key_of[i] = moot_intern_add(&queues.keys, history->operations[i].key);
    }
    verdict->keys = queues.keys.count;
    queues.queues = moot_alloc_zero((queues.keys.count + (size_t)1) * sizeof(*queues.queues));
    for (uint32_t key = 0; key < queues.keys.count; key++) {
        queues.queues[key].empty = MOOT_EVIDENCE_NONE;
    }
    /* Pushes first, then pops, then reads: each looks back at the ones before. */
    static const enum moot_operation_kind order[] = {MOOT_OPERATION_PUSH, MOOT_OPERATION_POP,
                                                     MOOT_OPERATION_READ};
    for (size_t pass = 0; pass < MOOT_ARRAY_LEN(order); pass++) {
        for (uint32_t i = 0; i < history->count; i++) {
            enum moot_operation_kind kind = history->operations[i].kind;
            if (pass == 0 && kind != MOOT_OPERATION_PUSH && kind != MOOT_OPERATION_POP &&
                kind != MOOT_OPERATION_READ) {
                moot_evidence_not_judged(history, verdict, i);
            } else if (kind == order[pass]) {
                (pass == 0   ? collect_push
                 : pass == 1 ? collect_pop
                             : collect_read)(&queues, key_of[i], i);
            }
        }
    }
    if (verdict->judgement == MOOT_JUDGEMENT_VALID) {
        judge_order(&queues);
        judge_lost(&queues);
    }
    moot_intern_deinit(&queues.keys);
    moot_intern_deinit(&queues.texts);
    moot_pairs_deinit(&queues.numbers);
    moot_free(queues.items);
    moot_free(queues.queues);
    moot_free(key_of);
}
