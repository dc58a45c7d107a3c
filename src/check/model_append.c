/* Strings and lists: sequences that grow.
 *
 * A state is a node of a trie: the path from the root to it is the sequence. Equal sequences are
 * the same node, so comparing a read of a thousand elements with a state compares two numbers, and
 * pushing one element follows one edge. An element is a byte (strings), or 256 + the number of its
 * text (lists). */
#include <string.h>

#include "base/assert.h"
#include "check/intern.h"
#include "check/linearizability.h"

enum { ROOT = 0, TEXTS_FIRST = 256 };

struct node {
    uint32_t parent;
    uint32_t length;         /* Elements on the path. */
    uint64_t element, first; /* The path's last, and its first. */
};

struct sequences {
    struct moot_intern texts;
    struct moot_pairs edges;  /* (node, element) -> node */
    struct moot_pairs joined; /* (node, chunk, or POPPED) -> node; only what was asked before */
    struct node *nodes;
    uint32_t count, capacity;
    /* The path of the sequence read last. The next read mostly shares its beginning, which is then
     * compared, not looked up. */
    uint64_t *path_elements;
    uint32_t *path_nodes; /* After each element. */
    size_t path_length, path_capacity;
    uint64_t *scratch;
    size_t scratch_capacity;
    /* Of a list at whose ends different elements are pushed: what a read shows right behind an
     * element, by its number, and right before it; 0: not known. NULL where it says nothing. */
    uint64_t *behind, *before;
    bool grows; /* At the back only; and it is taken from in front. */
};

/* Keys of `joined`: what is done to a node. */
#define JOIN_BACK(chunk)  ((uint64_t)(chunk) << 2)
#define JOIN_FRONT(chunk) ((uint64_t)(chunk) << 2 | 1)
#define JOIN_POPPED       UINT64_C(2)

static uint32_t node_new(struct sequences *sequences, uint32_t parent, uint64_t element)
{
    MOOT_ASSERT(sequences->count < UINT32_MAX);
    if (sequences->count == sequences->capacity) {
        sequences->capacity = sequences->capacity == 0 ? 64 : sequences->capacity * 2;
        sequences->nodes =
            moot_realloc(sequences->nodes, sequences->capacity * sizeof(*sequences->nodes));
    }
    uint32_t length = sequences->count == ROOT ? 0 : sequences->nodes[parent].length + 1;
    sequences->nodes[sequences->count] =
        (struct node){.parent = parent,
                      .length = length,
                      .element = element,
                      .first = length > 1 ? sequences->nodes[parent].first : element};
    return sequences->count++;
}

static uint32_t follow(struct sequences *sequences, uint32_t node, uint64_t element)
{
    uint64_t *edge = moot_pairs_at(&sequences->edges, node, element, ROOT);
    if (*edge == ROOT) { /* The root is no node's child. */
        *edge = node_new(sequences, node, element);
    }
    return (uint32_t)*edge;
}

static void *append_open(void)
{
    struct sequences *sequences = moot_alloc_zero(sizeof(*sequences));
    moot_intern_init(&sequences->texts);
    moot_pairs_init(&sequences->edges);
    moot_pairs_init(&sequences->joined);
    uint32_t root = node_new(sequences, ROOT, 0);
    MOOT_ASSERT(root == ROOT);
    return sequences;
}

static void append_close(void *object)
{
    struct sequences *sequences = object;
    moot_intern_deinit(&sequences->texts);
    moot_pairs_deinit(&sequences->edges);
    moot_pairs_deinit(&sequences->joined);
    moot_free(sequences->nodes);
    moot_free(sequences->path_elements);
    moot_free(sequences->path_nodes);
    moot_free(sequences->scratch);
    moot_free(sequences->behind);
    moot_free(sequences->before);
    moot_free(sequences);
}

/* The elements of a node, in order; valid until the next call. */
static uint64_t *elements_of(struct sequences *sequences, uint32_t node)
{
    size_t length = sequences->nodes[node].length;
    if (length > sequences->scratch_capacity) {
        sequences->scratch_capacity = length * 2;
        sequences->scratch = moot_realloc(sequences->scratch, sequences->scratch_capacity *
                                                                  sizeof(*sequences->scratch));
    }
    for (size_t i = length; i > 0; i--) {
        sequences->scratch[i - 1] = sequences->nodes[node].element;
        node = sequences->nodes[node].parent;
    }
    MOOT_ASSERT(node == ROOT);
    return sequences->scratch;
}

static void path_reserve(struct sequences *sequences, size_t length)
{
    if (length > sequences->path_capacity) {
        sequences->path_capacity = length * 2;
        sequences->path_elements = moot_realloc(
            sequences->path_elements, sequences->path_capacity * sizeof(*sequences->path_elements));
        sequences->path_nodes = moot_realloc(
            sequences->path_nodes, sequences->path_capacity * sizeof(*sequences->path_nodes));
    }
}

/* True when element `at` of the last path is this one. */
static bool path_has(const struct sequences *sequences, size_t at, bool is_text,
                     struct moot_slice text)
{
    if (at >= sequences->path_length) {
        return false;
    }
    uint64_t element = sequences->path_elements[at];
    if (!is_text) {
        return element == text.data[0];
    }
    return element >= TEXTS_FIRST &&
           moot_slice_equal(sequences->texts.texts[element - TEXTS_FIRST], text);
}

/* The node of a sequence of texts (a list), or of the bytes of one slice (a string). */
static uint32_t node_of(struct sequences *sequences, bool is_text, const struct moot_slice *items,
                        size_t count)
{
    path_reserve(sequences, count);
    uint32_t node = ROOT;
    bool shared = true;
    for (size_t i = 0; i < count; i++) {
        struct moot_slice item = is_text ? items[i] : moot_slice_make(items->data + i, 1);
        shared = shared && path_has(sequences, i, is_text, item);
        if (!shared) {
            uint64_t element =
                is_text ? TEXTS_FIRST + (uint64_t)moot_intern_add(&sequences->texts, item)
                        : item.data[0];
            sequences->path_elements[i] = element;
            sequences->path_nodes[i] = follow(sequences, node, element);
            sequences->path_length = i + 1;
        }
        node = sequences->path_nodes[i];
    }
    MOOT_ASSERT(sequences->nodes[node].length == count);
    return node;
}

static bool string_node(struct sequences *sequences, const struct moot_history_value *value,
                        uint64_t *node)
{
    *node = value->kind == MOOT_HISTORY_BYTES
                ? node_of(sequences, false, &value->bytes, value->bytes.size)
                : ROOT;
    return value->kind == MOOT_HISTORY_BYTES;
}

static bool list_node(struct sequences *sequences, const struct moot_history_value *value,
                      uint64_t *node)
{
    char digits[24];
    struct moot_slice one = value->bytes;
    switch (value->kind) {
    case MOOT_HISTORY_LIST:
        *node = node_of(sequences, true, value->items, value->count);
        return true;
    case MOOT_HISTORY_INTEGER:
        one = moot_slice_make(digits, moot_text_i64(digits, value->integer));
        *node = node_of(sequences, true, &one, 1);
        return true;
    case MOOT_HISTORY_BYTES:
        *node = node_of(sequences, true, &one, 1);
        return true;
    default:
        *node = ROOT;
        return false;
    }
}

static bool compile_length(const struct moot_operation *operation, struct moot_model_step *step)
{
    step->result = (uint64_t)operation->result.integer;
    return !step->result_known ||
           (operation->result.kind == MOOT_HISTORY_INTEGER && operation->result.integer >= 0);
}

static bool append_compile(void *object, const struct moot_operation *operation,
                           struct moot_model_step *step)
{
    struct sequences *sequences = object;
    const struct moot_history_value *result = &operation->result;
    step->result_known = result->kind != MOOT_HISTORY_NONE;
    switch (operation->kind) {
    case MOOT_OPERATION_READ:
        step->changes_nothing = true;
        return !step->result_known || result->kind == MOOT_HISTORY_NIL ||
               (result->kind == MOOT_HISTORY_LIST ? list_node : string_node)(sequences, result,
                                                                             &step->result);
    case MOOT_OPERATION_LENGTH:
        step->changes_nothing = true;
        return compile_length(operation, step);
    case MOOT_OPERATION_APPEND:
        return string_node(sequences, &operation->argument, &step->argument) &&
               compile_length(operation, step);
    case MOOT_OPERATION_PUSH:
    case MOOT_OPERATION_PUSH_FRONT:
        return list_node(sequences, &operation->argument, &step->argument) &&
               compile_length(operation, step);
    case MOOT_OPERATION_POP:
    case MOOT_OPERATION_POP_BACK: /* Nil, or one element: the root, or a node of length 1. */
        step->changes_nothing = result->kind == MOOT_HISTORY_NIL;
        return !step->result_known || result->kind == MOOT_HISTORY_NIL ||
               (result->kind != MOOT_HISTORY_LIST && list_node(sequences, result, &step->result));
    case MOOT_OPERATION_WRITE:
        step->result_known = false;
        step->blind = true;
        return string_node(sequences, &operation->argument, &step->argument);
    case MOOT_OPERATION_DELETE:
        step->result = (uint64_t)result->integer;
        step->changes_nothing = step->result_known && step->result == 0;
        step->blind = !step->result_known;
        return !step->result_known || (result->kind == MOOT_HISTORY_INTEGER && step->result <= 1);
    default:
        return false;
    }
}

/* Whether every element is pushed once, at either end, and nothing else puts any there. *grows: at
 * the back only, and none is taken from there. */
static bool has_ends_only(const struct sequences *sequences, struct moot_model_step *const *steps,
                          size_t count, bool *grows)
{
    bool *pushed = moot_alloc_zero(sequences->texts.count + (size_t)1);
    bool good = true;
    *grows = true;
    for (size_t i = 0; i < count && good; i++) {
        enum moot_operation_kind kind = steps[i]->kind;
        bool pushes = kind == MOOT_OPERATION_PUSH || kind == MOOT_OPERATION_PUSH_FRONT;
        good = kind != MOOT_OPERATION_APPEND && kind != MOOT_OPERATION_WRITE;
        *grows &= kind != MOOT_OPERATION_PUSH_FRONT && kind != MOOT_OPERATION_POP_BACK;
        uint64_t node = pushes ? steps[i]->argument : ROOT;
        for (; node != ROOT && good; node = sequences->nodes[node].parent) {
            bool *same = &pushed[sequences->nodes[node].element - TEXTS_FIRST];
            good = !*same;
            *same = true;
        }
    }
    moot_free(pushed);
    return good;
}

/* Where many push at once, a search would try all their orders: the reads tell which it was. What
 * is next to each other in a read is so for as long as both are there; for where only the ends
 * change, nothing comes between, and nothing that was between goes. */
static void append_simplify(void *object, struct moot_model_step *const *steps, size_t count)
{
    struct sequences *sequences = object;
    if (!has_ends_only(sequences, steps, count, &sequences->grows)) {
        return;
    }
    size_t bytes = (sequences->texts.count + (size_t)1) * sizeof(uint64_t);
    bool *seen = moot_alloc_zero(sequences->count);
    sequences->behind = moot_alloc_zero(bytes);
    sequences->before = moot_alloc_zero(bytes);
    for (size_t i = 0; i < count; i++) {
        bool is_list = steps[i]->kind == MOOT_OPERATION_READ && steps[i]->result_known;
        uint64_t node = is_list ? steps[i]->result : ROOT;
        for (; node != ROOT && !seen[node]; node = sequences->nodes[node].parent) {
            const struct node *last = &sequences->nodes[node];
            seen[node] = true;
            uint64_t left = sequences->nodes[last->parent].element, right = last->element;
            if (last->parent != ROOT && left >= TEXTS_FIRST && right >= TEXTS_FIRST) {
                sequences->behind[left - TEXTS_FIRST] = right;
                sequences->before[right - TEXTS_FIRST] = left;
            }
        }
    }
    moot_free(seen);
}

static bool holds(const struct sequences *sequences, uint32_t state, uint64_t element)
{
    while (state != ROOT && sequences->nodes[state].element != element) {
        state = sequences->nodes[state].parent;
    }
    return state != ROOT;
}

/* False when a read shows other neighbours of what is pushed than those that it would get. */
static bool may_join(const struct sequences *sequences, uint32_t state, uint32_t chunk, bool front)
{
    if (sequences->behind == NULL || state == ROOT || chunk == ROOT) {
        return true;
    }
    /* LPUSH a b puts a next to what is there, and b in front. */
    uint64_t joins = sequences->nodes[chunk].first;
    uint64_t end = front ? sequences->nodes[state].first : sequences->nodes[state].element;
    uint64_t inner = (front ? sequences->behind : sequences->before)[joins - TEXTS_FIRST];
    uint64_t outer = (front ? sequences->before : sequences->behind)[joins - TEXTS_FIRST];
    if (sequences->grows) { /* What is pushed next to something is its neighbour for good. */
        uint64_t behind = sequences->behind[end - TEXTS_FIRST];
        return (behind == 0 || behind == joins) && (inner == 0 || inner == end);
    }
    return (inner == 0 || inner == end || !holds(sequences, state, inner)) &&
           (outer == 0 || !holds(sequences, state, outer));
}

/* An element that was taken does not come back. */
static uint64_t append_gone(void *object, uint64_t state, uint64_t next)
{
    const struct sequences *sequences = object;
    const struct node *now = &sequences->nodes[state], *then = &sequences->nodes[next];
    if (sequences->behind == NULL || then->length + 1 != now->length) {
        return MOOT_STATE_ANY;
    }
    return (now->parent == next ? now->element : now->first) - TEXTS_FIRST;
}

/* What a read shows and a pop takes. */
static const uint64_t *append_needed(void *object, const struct moot_model_step *step,
                                     size_t *count)
{
    struct sequences *sequences = object;
    bool finds = step->kind == MOOT_OPERATION_READ || step->kind == MOOT_OPERATION_POP ||
                 step->kind == MOOT_OPERATION_POP_BACK;
    *count = 0;
    if (sequences->behind == NULL || !finds || !step->result_known) {
        return NULL;
    }
    uint64_t *elements = elements_of(sequences, (uint32_t)step->result);
    for (uint32_t i = 0; i < sequences->nodes[step->result].length; i++) {
        if (elements[i] >= TEXTS_FIRST) { /* A string fits nowhere anyway. */
            elements[(*count)++] = elements[i] - TEXTS_FIRST;
        }
    }
    return elements;
}

static uint64_t append_initial(void *object)
{
    (void)object;
    return ROOT;
}

/* `node` with the elements of `tail` behind it, from `first` on. */
static uint32_t walk(struct sequences *sequences, uint32_t node, uint32_t tail, size_t first)
{
    const uint64_t *elements = elements_of(sequences, tail);
    size_t length = sequences->nodes[tail].length;
    for (size_t i = first; i < length; i++) {
        node = follow(sequences, node, elements[i]);
    }
    return node;
}

/* LPUSH a b puts b in front of a. */
static uint32_t push_front(struct sequences *sequences, uint32_t state, uint32_t chunk)
{
    uint32_t node = ROOT;
    for (uint32_t at = chunk; at != ROOT; at = sequences->nodes[at].parent) {
        node = follow(sequences, node, sequences->nodes[at].element);
    }
    return walk(sequences, node, state, 0);
}

/* The node reached by `join` from `state`, remembered: a search asks again and again. */
static uint32_t joined(struct sequences *sequences, uint32_t state, uint64_t join)
{
    static const uint64_t unknown = UINT64_MAX;
    uint64_t known = *moot_pairs_at(&sequences->joined, state, join, unknown);
    if (known == unknown) {
        uint32_t chunk = (uint32_t)(join >> 2);
        known = join == JOIN_POPPED         ? walk(sequences, ROOT, state, 1)
                : join == JOIN_FRONT(chunk) ? push_front(sequences, state, chunk)
                                            : walk(sequences, state, chunk, 0);
        *moot_pairs_at(&sequences->joined, state, join, unknown) = known;
    }
    return (uint32_t)known;
}

/* An empty sequence pops nil, which is the root; another pops one element. */
static bool pop(struct sequences *sequences, uint32_t state, const struct moot_model_step *step,
                uint64_t *next)
{
    *next = state;
    if (state == ROOT) {
        return !step->result_known || step->result == ROOT;
    }
    bool back = step->kind == MOOT_OPERATION_POP_BACK;
    uint64_t popped = back ? sequences->nodes[state].element : sequences->nodes[state].first;
    if (step->result_known &&
        (step->result == ROOT || sequences->nodes[step->result].element != popped)) {
        return false;
    }
    *next = back ? sequences->nodes[state].parent : joined(sequences, state, JOIN_POPPED);
    return true;
}

static bool append_apply(void *object, uint64_t state64, const struct moot_model_step *step,
                         uint64_t *next)
{
    struct sequences *sequences = object;
    MOOT_ASSERT(state64 < sequences->count);
    uint32_t state = (uint32_t)state64;
    uint64_t result = state; /* Of a read. */
    *next = state;
    switch (step->kind) {
    case MOOT_OPERATION_READ:
        break;
    case MOOT_OPERATION_LENGTH:
        result = sequences->nodes[state].length;
        break;
    case MOOT_OPERATION_APPEND:
    case MOOT_OPERATION_PUSH:
    case MOOT_OPERATION_PUSH_FRONT:
        result = (uint64_t)sequences->nodes[state].length + sequences->nodes[step->argument].length;
        if (!may_join(sequences, state, (uint32_t)step->argument,
                      step->kind == MOOT_OPERATION_PUSH_FRONT)) {
            return false;
        }
        if (!step->result_known || step->result == result) {
            *next = joined(sequences, state,
                           step->kind == MOOT_OPERATION_PUSH_FRONT ? JOIN_FRONT(step->argument)
                                                                   : JOIN_BACK(step->argument));
        }
        break;
    case MOOT_OPERATION_POP:
    case MOOT_OPERATION_POP_BACK:
        return pop(sequences, state, step, next);
    case MOOT_OPERATION_WRITE:
        *next = step->argument;
        break;
    case MOOT_OPERATION_DELETE:
        result = state != ROOT;
        *next = ROOT;
        break;
    default:
        MOOT_UNREACHABLE();
    }
    return !step->result_known || step->result == result;
}

static void append_describe(void *object, uint64_t state, struct moot_buffer *out)
{
    struct sequences *sequences = object;
    size_t length = sequences->nodes[state].length;
    const uint64_t *elements = elements_of(sequences, (uint32_t)state);
    struct moot_history_value value = moot_history_nil();
    struct moot_buffer bytes; /* Of the string, or the list's struct moot_slice. */
    moot_buffer_init(&bytes);
    bool is_list = false; /* A key with both kinds of operations shows as a list. */
    for (size_t i = 0; i < length; i++) {
        is_list = is_list || elements[i] >= TEXTS_FIRST;
    }
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)elements[i];
        if (!is_list) {
            moot_buffer_append(&bytes, &byte, 1);
            continue;
        }
        uint64_t text = elements[i] >= TEXTS_FIRST
                            ? elements[i] - TEXTS_FIRST
                            : moot_intern_add(&sequences->texts, moot_slice_make(&byte, 1));
        moot_buffer_append(&bytes, &sequences->texts.texts[text], sizeof(struct moot_slice));
    }
    if (is_list) {
        value = moot_history_list((const struct moot_slice *)(const void *)bytes.data, length);
    } else if (length > 0) {
        value = moot_history_bytes(moot_buffer_slice(&bytes));
    }
    moot_history_value_describe(&value, out);
    moot_buffer_deinit(&bytes);
}

const struct moot_model moot_model_append = {
    .name = "append",
    .open = append_open,
    .close = append_close,
    .compile = append_compile,
    .simplify = append_simplify,
    .gone = append_gone,
    .needed = append_needed,
    .initial = append_initial,
    .apply = append_apply,
    .describe = append_describe,
};
