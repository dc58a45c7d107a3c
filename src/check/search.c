/* The search of linearizability.h: Wing and Gong (1993), just in time and with memory (Lowe 2017,
 * sections 3 and 4).
 *
 * Completed operations are numbered by their returns. The frontier is the first return whose
 * operation is not placed; everything with a smaller number is. Before the frontier's return can
 * pass, its operation must be placed, perhaps after others that were called before that return. So
 * a configuration is (frontier, placed operations beyond it, used in-doubt operations, state), and
 * the search is a depth-first walk over configurations with an explicit stack. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/slice.h"
#include "check/intern.h"
#include "check/search.h"
enum { NOTHING = MOOT_SEARCH_NOTHING, STATES_SHOWN_MAX = 4 };

struct frame {
    uint32_t configuration;
    uint32_t cursor; /* The next candidate: open operations first, then in-doubt ones. */
};

static int compare_by_end(const void *left, const void *right)
{
    const struct moot_placeable *a = left, *b = right;
    if (a->end != b->end) {
        return (a->end > b->end) - (a->end < b->end);
    }
    return (a->operation > b->operation) - (a->operation < b->operation);
}

static void simplify(struct moot_search *search)
{
    size_t count = (size_t)search->completed_count + search->doubtful_count;
    struct moot_model_step **steps = moot_alloc(count * sizeof(struct moot_model_step *));
    for (uint32_t i = 0; i < search->completed_count; i++) {
        steps[i] = &search->completed[i].step;
    }
    for (uint32_t i = 0; i < search->doubtful_count; i++) {
        steps[search->completed_count + i] = &search->doubtful[i].step;
    }
    if (search->model->simplify != NULL && search->looks_ahead) {
        search->model->simplify(search->object, steps, count);
    }
    moot_free(steps);
}

static void list_seeing(struct moot_search *search)
{
    search->seeing = moot_alloc(search->doubtful_count * sizeof(*search->seeing));
    for (uint32_t i = 0; i < search->doubtful_count; i++) {
        if (!search->doubtful[i].step.blind) {
            search->seeing[search->seeing_count++] = i;
        }
    }
}

/* Splits the key's operations; false when the model cannot read one of them. */
static bool compile(struct moot_search *search, struct moot_verdict *verdict)
{
    const struct moot_judged_key *key = search->key;
    search->completed = moot_alloc(key->count * sizeof(*search->completed));
    search->doubtful = moot_alloc(key->count * sizeof(*search->doubtful));
    for (size_t i = 0; i < key->count; i++) {
        struct moot_operation operation = key->history->operations[key->operations[i]];
        if (operation.called.ns > search->cut) {
            continue;
        }
        if (operation.outcome == MOOT_OUTCOME_OK && operation.returned.ns > search->cut) {
            operation.outcome = MOOT_OUTCOME_INDOUBT;
        }
        if (operation.outcome != MOOT_OUTCOME_OK) {
            operation.result = moot_history_none();
        }
        struct moot_placeable one = {
            .called = operation.called.ns,
            .end = moot_judged_end(&operation),
            .operation = key->operations[i],
        };
        one.step.kind = operation.kind;
        if (!search->model->compile(search->object, &operation, &one.step)) {
            verdict->judgement = MOOT_JUDGEMENT_UNKNOWN;
            verdict->operation = key->operations[i];
            moot_buffer_append_text(&verdict->words, "the model ");
            moot_buffer_append_text(&verdict->words, search->model->name);
            moot_buffer_append_text(&verdict->words, " has no such operation:\n    ");
            moot_operation_describe(&operation, &verdict->words);
            moot_buffer_append_text(&verdict->words, "\n");
            return false;
        }
        if (one.step.changes_nothing && !one.step.result_known) {
            continue; /* Says nothing, does nothing. */
        }
        if (operation.outcome == MOOT_OUTCOME_OK) {
            search->completed[search->completed_count++] = one;
        } else {
            search->doubtful[search->doubtful_count++] = one;
        }
    }
    simplify(search);
    if (search->looks_ahead) {
        moot_search_promote(search);
    }
    list_seeing(search);
    qsort(search->completed, search->completed_count, sizeof(*search->completed), compare_by_end);
    if (search->looks_ahead) {
        moot_search_note(search);
    }
    return true;
}

/* Numbers what steps do, and links each in-doubt operation to the one called before it that does
 * the same. */
static void link_equals(struct moot_search *search)
{
    struct moot_intern steps;
    moot_intern_init(&steps);
    uint32_t count = search->completed_count + search->doubtful_count;
    search->effect = moot_alloc((count + (size_t)1) * sizeof(*search->effect));
    search->equal_before = moot_alloc(search->doubtful_count * sizeof(*search->equal_before));
    uint32_t *last = moot_alloc((count + (size_t)1) * sizeof(*last)); /* By effect. */
    memset(last, 0xff, (count + (size_t)1) * sizeof(*last));
    for (uint32_t i = 0; i < count; i++) {
        const struct moot_model_step *step = moot_search_step(search, i);
        uint64_t text[3] = {step->kind, step->argument, step->expected};
        search->effect[i] = moot_intern_add(&steps, moot_slice_make(text, sizeof(text)));
        if (i >= search->completed_count) {
            search->equal_before[i - search->completed_count] = last[search->effect[i]];
            last[search->effect[i]] = i - search->completed_count;
        }
    }
    moot_free(last);
    moot_intern_deinit(&steps);
}

static int compare_by_call(const void *left, const void *right, void *context)
{
    const struct moot_placeable *completed = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    uint64_t called_a = completed[a].called, called_b = completed[b].called;
    return called_a != called_b ? (called_a > called_b) - (called_a < called_b) : (a > b) - (a < b);
}

/* Fills open and doubtful_visible by one sweep over the returns. False when what is open at once is
 * too much for the memory of the budget. */
static bool sweep(struct moot_search *search, uint64_t configurations_max)
{
    uint32_t n = search->completed_count, visible = 0, called = 0, active_count = 0;
    search->open_start = moot_alloc_zero(((size_t)n + 2) * sizeof(*search->open_start));
    search->doubtful_visible = moot_alloc(((size_t)n + 1) * sizeof(*search->doubtful_visible));
    uint32_t *by_call = moot_alloc(n * sizeof(*by_call));
    uint32_t *active = moot_alloc(n * sizeof(*active)); /* Ascending. */
    for (uint32_t i = 0; i < n; i++) {
        by_call[i] = i;
    }
    qsort_r(by_call, n, sizeof(*by_call), compare_by_call, search->completed);
    bool fits = true;
    for (uint32_t r = 0; r < n && fits; r++) {
        uint64_t end = search->completed[r].end;
        for (; called < n && search->completed[by_call[called]].called <= end; called++) {
            uint32_t at = active_count++;
            for (; at > 0 && active[at - 1] > by_call[called]; at--) {
                active[at] = active[at - 1];
            }
            active[at] = by_call[called];
        }
        MOOT_ASSERT(active_count > 0 && active[0] == r);
        moot_buffer_append(&search->open, active, active_count * sizeof(*active));
        active_count--;
        memmove(active, active + 1, active_count * sizeof(*active));
        search->open_start[r + 1] = search->open.size / sizeof(*active);
        while (visible < search->doubtful_count && search->doubtful[visible].called <= end) {
            visible++;
        }
        search->doubtful_visible[r] = visible;
        fits = search->open_start[r + 1] / 16 <= configurations_max;
    }
    moot_free(active);
    moot_free(by_call);
    return fits;
}

static void draft_insert(struct moot_search *search, uint32_t number)
{
    if (search->draft_count == search->draft_capacity) {
        search->draft_capacity = search->draft_capacity == 0 ? 64 : search->draft_capacity * 2;
        search->draft =
            moot_realloc(search->draft, search->draft_capacity * sizeof(*search->draft));
    }
    uint32_t at = search->draft_count++;
    for (; at > 0 && search->draft[at - 1] > number; at--) {
        search->draft[at] = search->draft[at - 1];
    }
    search->draft[at] = number;
}

/* True when `step` may happen in `state`, and not in `before`, or to another end. */
static bool tells(const struct moot_search *search, uint64_t before, uint64_t state,
                  const struct moot_model_step *step)
{
    uint64_t next, other;
    return search->model->apply(search->object, state, step, &next) &&
           !(search->model->apply(search->object, before, step, &other) && other == next);
}

/* True when something that may come next tells whether an in-doubt operation led from `before` to
 * `state`. If nothing does, the order without it is as good. */
static bool is_useful(const struct moot_search *search, const struct moot_configuration *parent,
                      uint32_t doubtful, uint64_t state)
{
    size_t open_count;
    const uint32_t *open = moot_search_open(search, parent->frontier, &open_count);
    const uint64_t *used = moot_search_used(search, parent);
    for (size_t i = 0; i < open_count; i++) {
        if (!moot_search_is_placed(moot_search_placed(search, parent), parent->placed_count,
                                   open[i]) &&
            tells(search, parent->state, state, &search->completed[open[i]].step)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < search->seeing_count; i++) {
        uint32_t other = search->seeing[i];
        if (other >= search->doubtful_visible[parent->frontier]) {
            break;
        }
        if (other != doubtful && (used[other / 64] >> (other % 64) & 1) == 0 &&
            tells(search, parent->state, state, &search->doubtful[other].step)) {
            return true;
        }
    }
    return false;
}

/* Places what fits now and changes nothing, and moves the frontier over what is placed, until
 * neither can be done. */
static uint32_t settle(struct moot_search *search, uint32_t frontier, uint64_t state, bool *pending)
{
    bool moved = true;
    while (moved && frontier < search->completed_count) {
        size_t open_count;
        const uint32_t *open = moot_search_open(search, frontier, &open_count);
        for (size_t i = 0; i < open_count; i++) {
            const struct moot_model_step *step = &search->completed[open[i]].step;
            uint64_t next;
            if (step->changes_nothing &&
                !moot_search_is_placed(search->draft, search->draft_count, open[i]) &&
                search->model->apply(search->object, state, step, &next)) {
                MOOT_ASSERT(next == state);
                draft_insert(search, open[i]);
                *pending = false; /* It did not fit before. */
            }
        }
        uint32_t passed = 0;
        while (passed < search->draft_count && search->draft[passed] == frontier) {
            passed++;
            frontier++;
        }
        moved = passed > 0;
        search->draft_count -= passed;
        if (!moved) {
            break;
        }
        memmove(search->draft, search->draft + passed,
                search->draft_count * sizeof(*search->draft));
    }
    return frontier;
}

static uint32_t slot_of(const struct moot_search *search, uint32_t frontier, uint64_t state,
                        const uint32_t *placed, uint32_t placed_count)
{
    uint64_t hash = moot_hash64(moot_slice_make(placed, placed_count * sizeof(*placed)), frontier);
    return (uint32_t)(moot_hash_mix(hash, state) >> 24) & (search->slots_count - 1);
}

static void slots_grow(struct moot_search *search)
{
    search->slots_count *= 2;
    search->slots = moot_realloc(search->slots, search->slots_count * sizeof(*search->slots));
    memset(search->slots, 0xff, search->slots_count * sizeof(*search->slots));
    for (uint32_t i = 0; i < search->count; i++) {
        struct moot_configuration *one = &search->configurations[i];
        uint32_t slot = slot_of(search, one->frontier, one->state, moot_search_placed(search, one),
                                one->placed_count);
        one->same_next = search->slots[slot];
        search->slots[slot] = i;
    }
}

static bool same_numbers(const uint32_t *a, const uint32_t *b, uint32_t count)
{
    return count == 0 || memcmp(a, b, count * sizeof(*a)) == 0;
}

/* True when a configuration that could do as much was searched already: the same but for in-doubt
 * operations, of which it used the same ones or fewer. */
static bool is_known(struct moot_search *search, uint32_t frontier, uint64_t state,
                     const uint64_t *before, const uint64_t *used)
{
    uint32_t at =
        search->slots[slot_of(search, frontier, state, search->draft, search->draft_count)];
    for (; at != NOTHING; at = search->configurations[at].same_next) {
        const struct moot_configuration *one = &search->configurations[at];
        search->looked++;
        if (one->frontier != frontier || one->state != state ||
            (one->pending && (before == NULL || one->before != *before)) ||
            one->placed_count != search->draft_count ||
            !same_numbers(moot_search_placed(search, one), search->draft, search->draft_count)) {
            continue;
        }
        const uint64_t *fewer = moot_search_used(search, one);
        size_t word = 0;
        while (word < search->bits_words && (fewer[word] & ~used[word]) == 0) {
            word++;
        }
        if (word == search->bits_words) {
            return true;
        }
    }
    return false;
}

/* Makes the drafted configuration and puts it on the stack. */
static void push(struct moot_search *search, uint32_t frontier, uint64_t state,
                 const uint64_t *before, size_t used)
{
    if (search->count == search->capacity) {
        search->capacity = search->capacity == 0 ? 256 : search->capacity * 2;
        search->configurations = moot_realloc(search->configurations,
                                              search->capacity * sizeof(*search->configurations));
    }
    if (search->count >= search->slots_count) {
        slots_grow(search);
    }
    uint32_t number = search->count++;
    uint32_t slot = slot_of(search, frontier, state, search->draft, search->draft_count);
    search->configurations[number] = (struct moot_configuration){
        .state = state,
        .before = before == NULL ? 0 : *before,
        .pending = before != NULL,
        .frontier = frontier,
        .placed_count = search->draft_count,
        .placed = search->words.size / sizeof(*search->draft),
        .used = used,
        .same_next = search->slots[slot],
    };
    search->slots[slot] = number;
    moot_buffer_append(&search->words, search->draft, search->draft_count * sizeof(*search->draft));
    struct frame frame = {.configuration = number};
    moot_buffer_append(&search->frames, &frame, sizeof(frame));
    search->farthest = frontier > search->farthest ? frontier : search->farthest;
}

/* Tries to go on from the draft; the draft's placed operations are those of the parent, and
 * `doubtful` is the in-doubt operation just used, or NOTHING. */
static void descend(struct moot_search *search, const struct moot_configuration *parent,
                    uint64_t state, uint32_t doubtful)
{
    size_t used = parent->used;
    if (state != parent->state && moot_search_is_lost(search, parent, state, doubtful)) {
        return;
    }
    if (doubtful != NOTHING) {
        used = search->bits.size / sizeof(uint64_t);
        size_t from = parent->used * sizeof(uint64_t), size = search->bits_words * sizeof(uint64_t);
        moot_buffer_reserve(&search->bits, size); /* First: it may move what is copied. */
        moot_buffer_append(&search->bits, search->bits.data + from, size);
        uint64_t *bits = (uint64_t *)(void *)search->bits.data + used;
        bits[doubtful / 64] |= UINT64_C(1) << (doubtful % 64);
    }
    bool pending = doubtful != NOTHING;
    uint32_t frontier = settle(search, parent->frontier, state, &pending);
    const uint64_t *before = pending ? &parent->state : NULL;
    const uint64_t *bits = (const uint64_t *)(const void *)search->bits.data + used;
    if (!is_known(search, frontier, state, before, bits)) {
        push(search, frontier, state, before, used);
    } else if (doubtful != NOTHING) {
        search->bits.size = used * sizeof(uint64_t); /* Nobody names it. */
    }
}

/* True when another open operation could stand here that does the same, and is answered the same or
 * may be: the two could change places, and that one must return before this one does. */
static bool has_elder(const struct moot_search *search, const struct moot_configuration *parent,
                      uint32_t number, uint64_t leads_to)
{
    size_t open_count;
    const uint32_t *open = moot_search_open(search, parent->frontier, &open_count);
    uint64_t next;
    for (size_t i = 0; i < open_count && open[i] < number; i++) {
        if (search->effect[open[i]] == search->effect[number] &&
            !moot_search_is_placed(moot_search_placed(search, parent), parent->placed_count,
                                   open[i]) &&
            search->model->apply(search->object, parent->state, moot_search_step(search, open[i]),
                                 &next)) {
            const struct moot_model_step *elder = moot_search_step(search, open[i]);
            const struct moot_model_step *step = moot_search_step(search, number);
            MOOT_ASSERT(next == leads_to);
            if (!step->result_known || (elder->result_known && elder->result == step->result)) {
                return true;
            }
        }
    }
    return false;
}

/* Candidate `cursor` of a configuration. */
static void try_candidate(struct moot_search *search, uint32_t number, uint32_t cursor)
{
    struct moot_configuration parent = search->configurations[number];
    size_t open_count;
    const uint32_t *open = moot_search_open(search, parent.frontier, &open_count);
    uint64_t next;
    search->draft_count = 0;
    if (cursor < open_count) {
        uint32_t chosen = open[cursor];
        const struct moot_model_step *step = &search->completed[chosen].step;
        if (step->changes_nothing || /* If it fits, it is placed. */
            moot_search_is_placed(moot_search_placed(search, &parent), parent.placed_count,
                                  chosen) ||
            !search->model->apply(search->object, parent.state, step, &next) ||
            (parent.pending && !tells(search, parent.before, parent.state, step)) ||
            has_elder(search, &parent, chosen, next)) {
            return;
        }
        draft_insert(search, chosen);
        for (uint32_t i = 0; i < parent.placed_count; i++) {
            draft_insert(search, moot_search_placed(search, &parent)[i]);
        }
        descend(search, &parent, next, NOTHING);
        return;
    }
    uint32_t chosen = cursor - (uint32_t)open_count;
    const uint64_t *used = moot_search_used(search, &parent);
    uint32_t before = search->equal_before[chosen];
    if ((used[chosen / 64] >> (chosen % 64) & 1) != 0 ||
        (before != NOTHING && (used[before / 64] >> (before % 64) & 1) == 0) ||
        !search->model->apply(search->object, parent.state, &search->doubtful[chosen].step,
                              &next) ||
        next == parent.state ||
        has_elder(search, &parent, search->completed_count + chosen, next) ||
        (parent.pending &&
         !tells(search, parent.before, parent.state, &search->doubtful[chosen].step)) ||
        !is_useful(search, &parent, chosen, next)) {
        return;
    }
    for (uint32_t i = 0; i < parent.placed_count; i++) {
        draft_insert(search, moot_search_placed(search, &parent)[i]);
    }
    descend(search, &parent, next, chosen);
}

static enum moot_judgement walk(struct moot_search *search, uint64_t configurations_max)
{
    search->slots_count = 1024;
    search->slots = moot_alloc(search->slots_count * sizeof(*search->slots));
    memset(search->slots, 0xff, search->slots_count * sizeof(*search->slots));
    search->bits_words = (size_t)search->doubtful_count / 64 + 1;
    size_t bytes = search->bits_words * sizeof(uint64_t);
    memset(moot_buffer_reserve(&search->bits, bytes), 0, bytes);
    search->bits.size = bytes;
    uint64_t initial = search->model->initial(search->object);
    bool pending = false;
    push(search, settle(search, 0, initial, &pending), initial, NULL, 0);
    while (search->frames.size > 0) {
        if (search->farthest == search->completed_count) {
            return MOOT_JUDGEMENT_VALID;
        }
        if (search->count >= configurations_max ||
            search->looked / MOOT_CHECK_COMPARISONS >= configurations_max) {
            return MOOT_JUDGEMENT_UNKNOWN;
        }
        struct frame *top = (struct frame *)(void *)(search->frames.data + search->frames.size -
                                                     sizeof(struct frame));
        uint32_t number = top->configuration, cursor = top->cursor++;
        uint32_t frontier = search->configurations[number].frontier;
        size_t open_count;
        moot_search_open(search, frontier, &open_count);
        if (cursor >= open_count + search->doubtful_visible[frontier]) {
            search->frames.size -= sizeof(struct frame);
            continue;
        }
        try_candidate(search, number, cursor);
    }
    return MOOT_JUDGEMENT_VIOLATION;
}

/* The states in which a search ended that went as far as it could. */
static void describe_states(const struct moot_search *search, struct moot_buffer *words)
{
    moot_buffer_append_text(words, "  state before it: ");
    uint64_t shown[STATES_SHOWN_MAX];
    size_t shown_count = 0;
    for (uint32_t i = 0; i < search->count && shown_count < STATES_SHOWN_MAX; i++) {
        if (search->configurations[i].frontier != search->farthest) {
            continue;
        }
        size_t same = 0;
        while (same < shown_count && shown[same] != search->configurations[i].state) {
            same++;
        }
        if (same == shown_count) {
            moot_buffer_append_text(words, shown_count > 0 ? ", or " : "");
            shown[shown_count++] = search->configurations[i].state;
            search->model->describe(search->object, search->configurations[i].state, words);
        }
    }
    moot_buffer_append_text(words, "\n");
}

/* The operation whose return no order reaches, and what the states were just before it. */
static void explain(const struct moot_search *search, bool states_known,
                    struct moot_verdict *verdict)
{
    struct moot_buffer *words = &verdict->words;
    moot_operation_describe(&search->key->history->operations[verdict->operation], words);
    moot_buffer_append_text(words,
                            "\n  fits nowhere: the shortest failing prefix ends at its return,"
                            " after ");
    moot_buffer_append_u64(words, search->completed_count - 1);
    moot_buffer_append_text(words, " operations that have an order\n");
    if (states_known) {
        describe_states(search, words);
    }
    moot_judged_describe_around(search->key, verdict->operation, words);
}

static void deinit(struct moot_search *search)
{
    moot_search_forget(search);
    moot_free(search->seeing);
    moot_free(search->completed);
    moot_free(search->doubtful);
    moot_free(search->equal_before);
    moot_free(search->effect);
    moot_free(search->doubtful_visible);
    moot_free(search->open_start);
    moot_free(search->configurations);
    moot_free(search->slots);
    moot_free(search->draft);
    moot_buffer_deinit(&search->open);
    moot_buffer_deinit(&search->words);
    moot_buffer_deinit(&search->bits);
    moot_buffer_deinit(&search->frames);
    search->model->close(search->object);
}

/* Judges the prefix up to `cut`; the search stays open, to be looked at. */
static void judge_prefix(struct moot_search *search, const struct moot_judged_key *key,
                         const struct moot_model *model, uint64_t cut, bool looks_ahead,
                         uint64_t configurations_max, struct moot_verdict *verdict)
{
    *search = (struct moot_search){.key = key,
                                   .model = model,
                                   .object = model->open(),
                                   .looks_ahead = looks_ahead,
                                   .cut = cut};
    moot_pairs_init(&search->states);
    moot_buffer_init(&search->open);
    moot_buffer_init(&search->words);
    moot_buffer_init(&search->bits);
    moot_buffer_init(&search->frames);
    moot_buffer_reserve(&search->open, 1); /* Never NULL: an empty part of one has an address. */
    moot_buffer_reserve(&search->words, 1);
    if (!compile(search, verdict)) {
        return;
    }
    link_equals(search);
    verdict->judgement = MOOT_JUDGEMENT_UNKNOWN;
    if (sweep(search, configurations_max)) {
        verdict->judgement = walk(search, configurations_max);
    }
    if (verdict->judgement == MOOT_JUDGEMENT_UNKNOWN) {
        moot_buffer_append_text(&verdict->words, "the budget ended before the search did\n");
    }
    verdict->configurations += search->count;
}

/* The return at which the shortest failing prefix ends, among those of a search that failed. A
 * prefix of what is linearizable is linearizable, so halving finds it; where a prefix is not
 * decided within a small budget, a longer one that surely fails is named. */
static uint64_t shortest_failing(const struct moot_search *failed)
{
    uint32_t low = 0, high = failed->completed_count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct moot_search search;
        struct moot_verdict verdict;
        moot_verdict_init(&verdict);
        judge_prefix(&search, failed->key, failed->model, failed->completed[middle].end, true,
                     MOOT_CHECK_PREFIX_MAX, &verdict);
        if (verdict.judgement == MOOT_JUDGEMENT_VIOLATION) {
            high = middle;
        } else {
            low = middle + 1;
        }
        deinit(&search);
        moot_verdict_deinit(&verdict);
    }
    return failed->completed[high].end;
}

static void explain_violation(const struct moot_search *failed, struct moot_verdict *verdict)
{
    struct moot_search search;
    struct moot_verdict again;
    moot_verdict_init(&again);
    judge_prefix(&search, failed->key, failed->model, shortest_failing(failed), false,
                 MOOT_CHECK_PREFIX_MAX, &again);
    verdict->operation = search.completed[search.completed_count - 1].operation;
    explain(&search, again.judgement == MOOT_JUDGEMENT_VIOLATION, verdict);
    deinit(&search);
    moot_verdict_deinit(&again);
}

void moot_search_judge(const struct moot_judged_key *key, const struct moot_model *model,
                       uint64_t configurations_max, struct moot_verdict *verdict)
{
    MOOT_ASSERT(configurations_max < UINT32_MAX / 2);
    MOOT_ASSERT(key->count < UINT32_MAX);
    struct moot_search search;
    judge_prefix(&search, key, model, MOOT_NEVER.ns, true, configurations_max, verdict);
    if (verdict->judgement == MOOT_JUDGEMENT_VIOLATION) {
        explain_violation(&search, verdict);
    }
    deinit(&search);
}
