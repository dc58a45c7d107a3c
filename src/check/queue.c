#include <stdlib.h>

#include "base/assert.h"
#include "base/slice.h"
#include "check/evidence.h"
#include "check/intern.h"
#include "check/set.h"

struct item {
    uint32_t key;
    uint32_t push, pop, left; /* Operations, or MOOT_EVIDENCE_NONE. `left`: the last read has it. */
    uint32_t seen;            /* The read that showed it last, or NONE. */
    bool failed;              /* Its push was surely not done. */
};

struct queue {
    uint64_t settled; /* The last return of an acknowledged push. */
    uint32_t empty;   /* A read, or pop of nil, that says what is left after that; or none. */
    uint64_t doubtful_pops;
    uint64_t first_doubt; /* When the first of them was called; UINT64_MAX: there are none. */
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
                                                       .left = MOOT_EVIDENCE_NONE,
                                                       .seen = MOOT_EVIDENCE_NONE};
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
    if (operation->outcome == MOOT_OUTCOME_INDOUBT ||
        operation->result.kind == MOOT_HISTORY_NONE) { /* It may have taken one, unseen. */
        queue->doubtful_pops++;
        queue->first_doubt = moot_min_u64(queue->first_doubt, operation->called.ns);
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

/* The pushes of what a read shows, so far: it may be shown from either end (clients that push with
 * LPUSH and pop with RPOP read the last first). */
struct shown_order {
    uint32_t called_last, over_first; /* Pushes; or NONE, at first. */
    uint32_t onward, back;            /* The first push that is wrong so; or NONE. */
};

static void note_shown(const struct moot_operation *operations, uint32_t push,
                       struct shown_order *order)
{
    if (order->called_last == MOOT_EVIDENCE_NONE) {
        order->called_last = order->over_first = push;
        return;
    }
    uint64_t called = operations[push].called.ns, end = moot_evidence_end(&operations[push]);
    if (order->onward == MOOT_EVIDENCE_NONE && end < operations[order->called_last].called.ns) {
        order->onward = push;
    }
    if (order->back == MOOT_EVIDENCE_NONE &&
        moot_evidence_end(&operations[order->over_first]) < called) {
        order->back = push;
    }
    order->called_last =
        called > operations[order->called_last].called.ns ? push : order->called_last;
    order->over_first =
        end < moot_evidence_end(&operations[order->over_first]) ? push : order->over_first;
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
    struct shown_order order = {MOOT_EVIDENCE_NONE, MOOT_EVIDENCE_NONE, MOOT_EVIDENCE_NONE,
                                MOOT_EVIDENCE_NONE};
    for (size_t i = 0; i < operation->result.count; i++) {
        struct item *item = item_of(queues, key, operation->result.items[i]);
        if (!was_pushed(queues, item, number)) {
            return;
        }
        if (item->seen == number) {
            moot_evidence_conclude(queues->history, queues->verdict, MOOT_JUDGEMENT_VIOLATION,
                                   "a read shows one element twice:", number, item->push);
            return;
        }
        item->seen = number;
        note_shown(queues->history->operations, item->push, &order);
        if (item->pop != MOOT_EVIDENCE_NONE &&
            queues->history->operations[item->pop].returned.ns < operation->called.ns) {
            moot_evidence_conclude(queues->history, queues->verdict, MOOT_JUDGEMENT_VIOLATION,
                                   "an element is still there after it was popped:", number,
                                   item->pop);
            return;
        }
        item->left = is_last ? number : item->left;
    }
    if (order.onward != MOOT_EVIDENCE_NONE && order.back != MOOT_EVIDENCE_NONE &&
        operation->called.ns < queue->first_doubt) {
        moot_evidence_conclude(queues->history, queues->verdict, MOOT_JUDGEMENT_VIOLATION,
                               "a read shows elements in no order of their pushes:", number,
                               order.onward);
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

/* The first of sorted items whose pop is of the key and was called after `at`, or of a later key.
 */
static uint32_t popped_after(const struct queues *queues, const uint32_t *popped, uint32_t count,
                             uint32_t key, uint64_t at)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct item *item = &queues->items[popped[middle]];
        bool is_before =
            item->key < key ||
            (item->key == key && queues->history->operations[item->pop].called.ns <= at);
        low = is_before ? middle + 1 : low;
        high = is_before ? high : middle;
    }
    return low;
}

static void add_evidence(struct queues *queues, uint32_t operation)
{
    struct moot_buffer *words = &queues->verdict->words;
    moot_buffer_append(&queues->verdict->evidence, &operation, sizeof(operation));
    moot_buffer_append_text(words, "    ");
    moot_operation_describe(&queues->history->operations[operation], words);
    moot_buffer_append_text(words, "\n");
}

/* First in, first out: of two elements the one whose push was over before the other's was called
 * does not come out by a pop that was called after the other's was over. For each, the least end of
 * a push among those that were popped so late.
 *
 * Not once a pop is in doubt: it may have taken the first, and given it back when its client was
 * gone (as moot's do that waited). */
static void judge_order(struct queues *queues)
{
    const struct moot_operation *operations = queues->history->operations;
    uint32_t *popped = moot_alloc((queues->count + (size_t)1) * sizeof(*popped)), count = 0;
    uint32_t *earliest = moot_alloc((queues->count + (size_t)1) * sizeof(*earliest));
    for (uint32_t i = 0; i < queues->count; i++) {
        if (queues->items[i].pop != MOOT_EVIDENCE_NONE) {
            popped[count++] = i;
        }
    }
    qsort_r(popped, count, sizeof(*popped), compare_by_pop, queues);
    for (uint32_t i = count; i > 0; i--) { /* The push that was over first, from there on. */
        const struct item *item = &queues->items[popped[i - 1]];
        bool alone = i == count || queues->items[popped[i]].key != item->key;
        earliest[i - 1] = alone || moot_evidence_end(&operations[item->push]) <
                                       moot_evidence_end(&operations[earliest[i]])
                              ? item->push
                              : earliest[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct item *item = &queues->items[popped[i]];
        uint32_t later =
            popped_after(queues, popped, count, item->key, operations[item->pop].returned.ns);
        if (operations[item->pop].returned.ns < queues->queues[item->key].first_doubt &&
            later < count && queues->items[popped[later]].key == item->key &&
            moot_evidence_end(&operations[earliest[later]]) < operations[item->push].called.ns) {
            moot_evidence_conclude(queues->history, queues->verdict, MOOT_JUDGEMENT_VIOLATION,
                                   "popped out of order: the first was pushed before the second, "
                                   "and came out after it:",
                                   earliest[later], item->push);
            while (queues->items[popped[later]].push != earliest[later]) {
                later++; /* It is one of those behind. */
            }
            add_evidence(queues, item->pop);
            add_evidence(queues, queues->items[popped[later]].pop);
            break;
        }
    }
    moot_free(popped);
    moot_free(earliest);
}

/* ---- reads ---- */

/* A read shows every element whose push had returned before it was called, but for those that pops
 * took which were called before it returned: of these one for each that is in doubt. (A pop
 * that waited may be told that its time is over while something is there.)
 *
 * How many a read must show is counted without looking at each: all pushed before, less those of
 * them that were popped so early. Reads in the order of their returns, items in the order of their
 * pops, and a Fenwick tree (1994) over the items of each key in the order of their pushes. */
struct shown {
    struct queues *queues;
    uint32_t *by_push, *by_pop; /* Items whose pushes were acknowledged, by key. */
    uint32_t *sums;             /* The tree, over places in by_push; from 1. */
    uint32_t *place;            /* Of an item in by_push. */
    uint32_t count;
    uint32_t *reads,
        *pops; /* Operations: reads by key and return; in-doubt pops by key and call. */
    uint32_t read_count, pop_count;
    const uint32_t *key_of;
};

static uint64_t pushed_at(const struct queues *queues, uint32_t item)
{
    return queues->history->operations[queues->items[item].push].returned.ns;
}

/* Nobody popped it before then. */
static uint64_t popped_at(const struct queues *queues, uint32_t item)
{
    uint32_t pop = queues->items[item].pop;
    return pop == MOOT_EVIDENCE_NONE ? UINT64_MAX : queues->history->operations[pop].called.ns;
}

static int compare_words(uint64_t a, uint64_t b) { return (a > b) - (a < b); }

static int compare_items(const void *left, const void *right, void *context,
                         uint64_t (*at)(const struct queues *queues, uint32_t item))
{
    const struct queues *queues = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    int by_key = compare_words(queues->items[a].key, queues->items[b].key);
    int by_time = compare_words(at(queues, a), at(queues, b));
    return by_key != 0 ? by_key : by_time != 0 ? by_time : compare_words(a, b);
}

static int compare_by_push(const void *left, const void *right, void *context)
{
    return compare_items(left, right, context, pushed_at);
}

static int compare_by_popped(const void *left, const void *right, void *context)
{
    return compare_items(left, right, context, popped_at);
}

static int compare_reads(const void *left, const void *right, void *context)
{
    const struct shown *shown = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    const struct moot_operation *operations = shown->queues->history->operations;
    int by_key = compare_words(shown->key_of[a], shown->key_of[b]);
    int by_time = compare_words(operations[a].returned.ns, operations[b].returned.ns);
    return by_key != 0 ? by_key : by_time != 0 ? by_time : compare_words(a, b);
}

static int compare_calls(const void *left, const void *right, void *context)
{
    const struct shown *shown = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    const struct moot_operation *operations = shown->queues->history->operations;
    int by_key = compare_words(shown->key_of[a], shown->key_of[b]);
    int by_time = compare_words(operations[a].called.ns, operations[b].called.ns);
    return by_key != 0 ? by_key : by_time != 0 ? by_time : compare_words(a, b);
}

static void add_at(struct shown *shown, uint32_t place)
{
    for (uint32_t i = place + 1; i <= shown->count; i += i & (~i + 1)) {
        shown->sums[i]++;
    }
}

/* Of the places before `end`. */
static uint32_t sum_before(const struct shown *shown, uint32_t end)
{
    uint32_t sum = 0;
    for (uint32_t i = end; i > 0; i -= i & (~i + 1)) {
        sum += shown->sums[i];
    }
    return sum;
}

/* The first place whose item is of the key and pushed at or after `at`, or of a later key. */
static uint32_t place_of(const struct shown *shown, uint32_t key, uint64_t at)
{
    uint32_t low = 0, high = shown->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2, item = shown->by_push[middle];
        uint32_t its_key = shown->queues->items[item].key;
        if (its_key < key || (its_key == key && pushed_at(shown->queues, item) < at)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_due(const struct queues *queues, uint32_t item, const struct moot_operation *read)
{
    return queues->items[item].push != MOOT_EVIDENCE_NONE &&
           queues->history->operations[queues->items[item].push].outcome == MOOT_OUTCOME_OK &&
           pushed_at(queues, item) < read->called.ns && popped_at(queues, item) > read->returned.ns;
}

static bool holds(const struct moot_operation *read, struct queues *queues, uint32_t key,
                  uint32_t item)
{
    for (size_t i = 0; i < read->result.count; i++) {
        if (item_of(queues, key, read->result.items[i]) == &queues->items[item]) {
            return true;
        }
    }
    return false;
}

/* Which one it does not show, for the words. */
static void conclude_missing(struct shown *shown, uint32_t number, uint32_t key)
{
    const struct moot_operation *read = &shown->queues->history->operations[number];
    for (uint32_t i = place_of(shown, key, 0); i < shown->count; i++) {
        uint32_t item = shown->by_push[i];
        if (is_due(shown->queues, item, read) && !holds(read, shown->queues, key, item)) {
            moot_evidence_conclude(shown->queues->history, shown->queues->verdict,
                                   MOOT_JUDGEMENT_VIOLATION,
                                   "a read does not show an element that was pushed before, and"
                                   " that nobody popped before it returned:",
                                   number, shown->queues->items[item].push);
            return;
        }
    }
    MOOT_UNREACHABLE();
}

static bool judge_read(struct shown *shown, uint32_t number, uint32_t key, uint32_t doubtful)
{
    const struct moot_operation *read = &shown->queues->history->operations[number];
    uint32_t first = place_of(shown, key, 0), end = place_of(shown, key, read->called.ns);
    uint32_t popped = sum_before(shown, end) - sum_before(shown, first);
    uint32_t due = end - first - popped, held = 0;
    for (size_t i = 0; i < read->result.count; i++) {
        struct item *item = item_of(shown->queues, key, read->result.items[i]);
        held += is_due(shown->queues, (uint32_t)(item - shown->queues->items), read);
    }
    MOOT_ASSERT(popped <= end - first);
    if (due > held + doubtful) {
        conclude_missing(shown, number, key);
        return false;
    }
    return true;
}

static void judge_all_reads(struct shown *shown)
{
    struct queues *queues = shown->queues;
    const struct moot_operation *operations = queues->history->operations;
    uint32_t popped = 0, pop = 0, doubtful = 0;
    for (uint32_t i = 0; i < shown->read_count; i++) {
        uint32_t number = shown->reads[i], key = shown->key_of[number];
        const struct moot_operation *read = &operations[number];
        if (i == 0 || shown->key_of[shown->reads[i - 1]] != key) {
            doubtful = 0;
        }
        for (; popped < shown->count; popped++) { /* Those of keys before, too. */
            uint32_t item = shown->by_pop[popped];
            if (queues->items[item].key > key ||
                (queues->items[item].key == key && popped_at(queues, item) > read->returned.ns)) {
                break;
            }
            if (queues->items[item].key == key) {
                add_at(shown, shown->place[item]);
            }
        }
        for (; pop < shown->pop_count; pop++) {
            uint32_t other = shown->pops[pop];
            if (shown->key_of[other] > key ||
                (shown->key_of[other] == key && operations[other].called.ns > read->returned.ns)) {
                break;
            }
            doubtful += shown->key_of[other] == key;
        }
        if (!judge_read(shown, number, key, doubtful)) {
            return;
        }
    }
}

static void judge_shown(struct queues *queues, const uint32_t *key_of)
{
    const struct moot_history *history = queues->history;
    size_t items = queues->count + (size_t)1, all = history->count + (size_t)1;
    struct shown shown = {.queues = queues,
                          .by_push = moot_alloc(items * sizeof(uint32_t)),
                          .by_pop = moot_alloc(items * sizeof(uint32_t)),
                          .sums = moot_alloc_zero((items + 1) * sizeof(uint32_t)),
                          .place = moot_alloc(items * sizeof(uint32_t)),
                          .reads = moot_alloc(all * sizeof(uint32_t)),
                          .pops = moot_alloc(all * sizeof(uint32_t)),
                          .key_of = key_of};
    for (uint32_t i = 0; i < queues->count; i++) {
        uint32_t push = queues->items[i].push;
        if (push != MOOT_EVIDENCE_NONE && history->operations[push].outcome == MOOT_OUTCOME_OK) {
            shown.by_push[shown.count] = i;
            shown.by_pop[shown.count++] = i;
        }
    }
    for (uint32_t i = 0; i < history->count; i++) {
        const struct moot_operation *one = &history->operations[i];
        if (moot_evidence_is_read(one)) {
            shown.reads[shown.read_count++] = i;
        } else if (one->kind == MOOT_OPERATION_POP && one->outcome != MOOT_OUTCOME_FAIL &&
                   (one->outcome == MOOT_OUTCOME_INDOUBT ||
                    one->result.kind == MOOT_HISTORY_NONE)) {
            shown.pops[shown.pop_count++] = i;
        }
    }
    qsort_r(shown.by_push, shown.count, sizeof(uint32_t), compare_by_push, queues);
    qsort_r(shown.by_pop, shown.count, sizeof(uint32_t), compare_by_popped, queues);
    qsort_r(shown.reads, shown.read_count, sizeof(uint32_t), compare_reads, &shown);
    qsort_r(shown.pops, shown.pop_count, sizeof(uint32_t), compare_calls, &shown);
    for (uint32_t i = 0; i < shown.count; i++) {
        shown.place[shown.by_push[i]] = i;
    }
    judge_all_reads(&shown);
    moot_free(shown.by_push);
    moot_free(shown.by_pop);
    moot_free(shown.sums);
    moot_free(shown.place);
    moot_free(shown.reads);
    moot_free(shown.pops);
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
        queues.queues[key].first_doubt = UINT64_MAX;
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
        judge_shown(&queues, key_of);
        judge_lost(&queues);
    }
    moot_intern_deinit(&queues.keys);
    moot_intern_deinit(&queues.texts);
    moot_pairs_deinit(&queues.numbers);
    moot_free(queues.items);
    moot_free(queues.queues);
    moot_free(key_of);
}
