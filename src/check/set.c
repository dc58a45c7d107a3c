#include "check/set.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/slice.h"
#include "check/evidence.h"
#include "check/intern.h"

/* A set's element. It is known from the instant at which somebody was told that it is there. */
struct element {
    uint32_t key;
    uint32_t add, witness; /* Operations, or MOOT_EVIDENCE_NONE. `witness` is the one that told. */
    uint64_t known;
    bool failed; /* Its add was surely not done. */
};

struct sets {
    const struct moot_history *history;
    struct moot_verdict *verdict;
    struct moot_intern keys, texts;
    struct moot_pairs numbers; /* (key, text) -> element + 1 */
    struct element *elements;
    uint32_t count, capacity;
    uint32_t *seen_by; /* By element: the read that lists it, last. */
};

static struct element *element_of(struct sets *sets, struct moot_slice key, struct moot_slice text)
{
    uint32_t key_number = moot_intern_add(&sets->keys, key);
    uint64_t *number =
        moot_pairs_at(&sets->numbers, key_number, moot_intern_add(&sets->texts, text), 0);
    if (*number == 0) {
        if (sets->count == sets->capacity) {
            sets->capacity = sets->capacity == 0 ? 64 : sets->capacity * 2;
            sets->elements = moot_realloc(sets->elements, sets->capacity * sizeof(*sets->elements));
        }
        sets->elements[sets->count++] = (struct element){.key = key_number,
                                                         .add = MOOT_EVIDENCE_NONE,
                                                         .witness = MOOT_EVIDENCE_NONE,
                                                         .known = MOOT_NEVER.ns};
        *number = sets->count;
    }
    return &sets->elements[*number - 1];
}

static void set_collect_adds(struct sets *sets)
{
    for (uint32_t i = 0; i < sets->history->count; i++) {
        const struct moot_operation *operation = &sets->history->operations[i];
        char digits[24];
        struct moot_slice text;
        if (operation->kind == MOOT_OPERATION_READ) {
            continue;
        }
        if (operation->kind != MOOT_OPERATION_ADD ||
            !moot_evidence_text(&operation->argument, digits, &text)) {
            moot_evidence_not_judged(sets->history, sets->verdict, i);
            continue;
        }
        struct element *element = element_of(sets, operation->key, text);
        if (operation->outcome == MOOT_OUTCOME_FAIL) {
            element->failed = true;
            continue;
        }
        if (element->add == MOOT_EVIDENCE_NONE ||
            operation->called.ns < sets->history->operations[element->add].called.ns) {
            element->add = i; /* Added again: the first call is what a read may see. */
        }
        if (moot_evidence_end(operation) < element->known) {
            element->known = moot_evidence_end(operation);
            element->witness = i;
        }
    }
}

static void set_judge_seen(struct sets *sets, uint32_t read)
{
    const struct moot_operation *operation = &sets->history->operations[read];
    for (size_t i = 0; i < operation->result.count; i++) {
        struct element *element = element_of(sets, operation->key, operation->result.items[i]);
        if (element->add == MOOT_EVIDENCE_NONE) {
            moot_evidence_conclude(sets->history, sets->verdict, MOOT_JUDGEMENT_VIOLATION,
                                   element->failed ? "a set holds an element whose add failed:"
                                                   : "a set holds an element that nobody added:",
                                   read, MOOT_EVIDENCE_NONE);
            return;
        }
        if (operation->returned.ns < sets->history->operations[element->add].called.ns) {
            moot_evidence_conclude(sets->history, sets->verdict, MOOT_JUDGEMENT_VIOLATION,
                                   "a read saw an element before its add was called:", read,
                                   element->add);
            return;
        }
        if (operation->returned.ns < element->known) {
            element->known = operation->returned.ns;
            element->witness = read;
        }
    }
}

static int compare_known(const void *left, const void *right)
{
    const struct element *a = *(const struct element *const *)left;
    const struct element *b = *(const struct element *const *)right;
    if (a->key != b->key) {
        return (a->key > b->key) - (a->key < b->key);
    }
    if (a->known != b->known) {
        return (a->known > b->known) - (a->known < b->known);
    }
    return (a > b) - (a < b); /* Both in one array: the order of first appearance. */
}

/* `sorted` is by key and known. What a read must hold is a prefix of its key's part. */
static void set_judge_missing(struct sets *sets, uint32_t read, struct element *const *sorted,
                              const size_t *start)
{
    const struct moot_operation *operation = &sets->history->operations[read];
    for (size_t i = 0; i < operation->result.count; i++) {
        struct element *element = element_of(sets, operation->key, operation->result.items[i]);
        if (sets->seen_by[element - sets->elements] == read) {
            moot_evidence_conclude(sets->history, sets->verdict, MOOT_JUDGEMENT_VIOLATION,
                                   "a set holds an element twice:", read, element->add);
            return;
        }
        sets->seen_by[element - sets->elements] = read;
    }
    uint32_t key = moot_intern_add(&sets->keys, operation->key);
    for (size_t i = start[key]; i < start[key + 1] && sorted[i]->known < operation->called.ns;
         i++) {
        if (sets->seen_by[sorted[i] - sets->elements] != read) {
            moot_evidence_conclude(sets->history, sets->verdict, MOOT_JUDGEMENT_VIOLATION,
                                   "an element is lost: this read lacks it, though it was there:",
                                   read, sorted[i]->witness);
            return;
        }
    }
}

/* An acknowledged add that no read came after has not been looked for. */
static void set_judge_unread(struct sets *sets)
{
    const struct moot_history *history = sets->history;
    uint64_t *last_read = moot_alloc_zero((sets->keys.count + (size_t)1) * sizeof(*last_read));
    for (uint32_t i = 0; i < history->count; i++) {
        const struct moot_operation *operation = &history->operations[i];
        if (moot_evidence_is_read(operation)) {
            uint64_t *last = &last_read[moot_intern_add(&sets->keys, operation->key)];
            *last = moot_max_u64(*last, operation->called.ns + 1);
        }
    }
    for (uint32_t i = 0; i < history->count; i++) {
        const struct moot_operation *operation = &history->operations[i];
        if (operation->kind == MOOT_OPERATION_ADD && operation->outcome == MOOT_OUTCOME_OK &&
            operation->returned.ns >= last_read[moot_intern_add(&sets->keys, operation->key)]) {
            moot_evidence_conclude(history, sets->verdict, MOOT_JUDGEMENT_UNKNOWN,
                                   "an acknowledged add is followed by no read:", i,
                                   MOOT_EVIDENCE_NONE);
            break;
        }
    }
    moot_free(last_read);
}

static void set_judge_all_missing(struct sets *sets)
{
    const struct moot_history *history = sets->history;
    struct element **sorted = moot_alloc(sets->count * sizeof(struct element *));
    size_t *start = moot_alloc_zero((sets->keys.count + (size_t)1) * sizeof(*start));
    sets->seen_by = moot_alloc(sets->count * sizeof(*sets->seen_by));
    for (uint32_t i = 0; i < sets->count; i++) {
        sorted[i] = &sets->elements[i];
        sets->seen_by[i] = MOOT_EVIDENCE_NONE;
        start[sets->elements[i].key + 1]++;
    }
    for (uint32_t key = 0; key < sets->keys.count; key++) {
        start[key + 1] += start[key];
    }
    qsort(sorted, sets->count, sizeof(struct element *), compare_known);
    for (uint32_t i = 0; i < history->count; i++) {
        if (moot_evidence_is_read(&history->operations[i])) {
            set_judge_missing(sets, i, sorted, start);
        }
    }
    moot_free(sorted);
    moot_free(start);
}

void moot_check_set(const struct moot_history *history, struct moot_verdict *verdict)
{
    moot_evidence_begin(history, verdict);
    struct sets sets = {.history = history, .verdict = verdict};
    moot_intern_init(&sets.keys);
    moot_intern_init(&sets.texts);
    moot_pairs_init(&sets.numbers);
    set_collect_adds(&sets);
    for (uint32_t i = 0; i < history->count; i++) {
        const struct moot_operation *operation = &history->operations[i];
        moot_intern_add(&sets.keys, operation->key);
        if (moot_evidence_is_read(operation)) {
            if (operation->result.kind != MOOT_HISTORY_LIST &&
                operation->result.kind != MOOT_HISTORY_NIL) {
                moot_evidence_not_judged(history, verdict, i);
            }
            set_judge_seen(&sets, i);
        }
    }
    if (verdict->judgement != MOOT_JUDGEMENT_VIOLATION) {
        set_judge_all_missing(&sets); /* Now every element that a read lists is numbered. */
    }
    if (verdict->judgement == MOOT_JUDGEMENT_VALID) {
        set_judge_unread(&sets);
    }
    verdict->keys = sets.keys.count;
    moot_intern_deinit(&sets.keys);
    moot_intern_deinit(&sets.texts);
    moot_pairs_deinit(&sets.numbers);
    moot_free(sets.elements);
    moot_free(sets.seen_by);
}

void moot_check_bank(const struct moot_history *history, int64_t total,
                     struct moot_verdict *verdict)
{
    moot_evidence_begin(history, verdict);
    for (uint32_t i = 0; i < history->count; i++) {
        const struct moot_operation *operation = &history->operations[i];
        if (!moot_evidence_is_read(operation)) {
            continue;
        }
        bool good = operation->result.kind == MOOT_HISTORY_LIST;
        int64_t sum = 0, balance = 0;
        for (size_t j = 0; good && j < operation->result.count; j++) {
            good = moot_slice_to_i64(operation->result.items[j], &balance) &&
                   !__builtin_add_overflow(sum, balance, &sum);
        }
        if (!good) {
            moot_evidence_not_judged(history, verdict, i);
        } else if (sum != total) {
            moot_evidence_conclude(history, verdict, MOOT_JUDGEMENT_VIOLATION,
                                   "the balances do not sum up to the total:", i,
                                   MOOT_EVIDENCE_NONE);
        }
    }
}

void moot_check_ids(const struct moot_history *history, struct moot_verdict *verdict)
{
    moot_evidence_begin(history, verdict);
    struct moot_intern ids;
    moot_intern_init(&ids);
    uint32_t *given_by = moot_alloc(history->count * sizeof(*given_by));
    for (uint32_t i = 0; i < history->count; i++) {
        const struct moot_operation *operation = &history->operations[i];
        char digits[24];
        struct moot_slice text;
        if (operation->kind != MOOT_OPERATION_GENERATE) {
            moot_evidence_not_judged(history, verdict, i);
        } else if (operation->outcome == MOOT_OUTCOME_OK) {
            if (!moot_evidence_text(&operation->result, digits, &text)) {
                moot_evidence_not_judged(history, verdict, i);
                continue;
            }
            uint32_t known = ids.count, number = moot_intern_add(&ids, text);
            if (number < known) {
                moot_evidence_conclude(history, verdict, MOOT_JUDGEMENT_VIOLATION,
                                       "one id was given twice:", given_by[number], i);
            } else {
                given_by[number] = i;
            }
        }
    }
    moot_free(given_by);
    moot_intern_deinit(&ids);
}
