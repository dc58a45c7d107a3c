/* Jepsen's histories: maps of EDN, an invocation and a completion for each operation.
 *
 *     {:type :invoke, :f :write, :value 3, :process 0, :time 120, :index 0}
 *     {:type :ok, :f :write, :value 3, :process 0, :time 190, :index 1}
 *
 * The order of the maps is the order of the events; times are only for people, and a tie is moved
 * on by a nanosecond. `:info`, and no completion at all, is in doubt. Maps whose process is no
 * number (the nemesis) are read over. jepsen.independent's values are [key value]; that is assumed
 * when a read is invoked with a pair. */
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "base/status.h"
#include "check/edn.h"
#include "check/history.h"
#include "check/intern.h"

struct events {
    struct moot_history *history;
    struct moot_arena arena;
    bool add_is_increment, keyed, keyed_known;
    struct moot_pairs open; /* process -> operation + 1 */
    uint64_t latest;
    size_t line; /* Of the map under way. */
    const char *why;
};

static const struct {
    const char *f;
    enum moot_operation_kind kind;
} functions[] = {
    {"read", MOOT_OPERATION_READ},
    {"r", MOOT_OPERATION_READ},
    {"write", MOOT_OPERATION_WRITE},
    {"w", MOOT_OPERATION_WRITE},
    {"cas", MOOT_OPERATION_CAS},
    {"add", MOOT_OPERATION_ADD},
    {"increment", MOOT_OPERATION_INCREMENT},
    {"enqueue", MOOT_OPERATION_PUSH},
    {"dequeue", MOOT_OPERATION_POP},
    {"drain", MOOT_OPERATION_POP},
    {"generate", MOOT_OPERATION_GENERATE},
    {"txn", MOOT_OPERATION_TXN},
};

static bool fault(struct events *events, const char *why)
{
    if (events->why == NULL) {
        events->why = why;
    }
    return false;
}

/* Keys, and elements of lists. A keyword keeps its colon: :x is not "x". */
static struct moot_slice text_of(struct events *events, const struct moot_edn *value)
{
    char digits[24];
    if (value->kind == MOOT_EDN_INTEGER) {
        return moot_arena_copy(&events->arena,
                               moot_slice_make(digits, moot_text_i64(digits, value->integer)));
    }
    if (value->kind == MOOT_EDN_KEYWORD) {
        return moot_slice_make(value->text.data - 1, value->text.size + 1);
    }
    if (value->kind != MOOT_EDN_STRING && value->kind != MOOT_EDN_SYMBOL) {
        fault(events, "a list or map stands where a plain value is expected");
    }
    return value->text;
}

static struct moot_history_value value_of(struct events *events, const struct moot_edn *value)
{
    switch (value->kind) {
    case MOOT_EDN_NIL:
        return moot_history_nil();
    case MOOT_EDN_INTEGER:
        return moot_history_integer(value->integer);
    case MOOT_EDN_SEQUENCE:
    case MOOT_EDN_MAP: { /* Of a map the values: a bank's balances by account. */
        size_t step = value->kind == MOOT_EDN_MAP ? 2 : 1, count = value->count / step;
        struct moot_slice *items = moot_arena_alloc(&events->arena, count * sizeof(*items) + 1);
        for (size_t i = 0; i < count; i++) {
            items[i] = text_of(events, &value->items[i * step + step - 1]);
        }
        return moot_history_list(items, count);
    }
    case MOOT_EDN_STRING:
    case MOOT_EDN_KEYWORD:
    case MOOT_EDN_SYMBOL:
        return moot_history_bytes(text_of(events, value));
    }
    MOOT_UNREACHABLE();
}

/* [[:append :x 1] [:r :y [2 3]]] */
static const struct moot_history_step *steps_of(struct events *events, const struct moot_edn *value,
                                                size_t *count)
{
    *count = value->kind == MOOT_EDN_SEQUENCE ? value->count : 0;
    struct moot_history_step *steps = moot_arena_alloc(&events->arena, *count * sizeof(*steps) + 1);
    for (size_t i = 0; i < *count; i++) {
        const struct moot_edn *one = &value->items[i];
        if (one->kind != MOOT_EDN_SEQUENCE || one->count < 2 || one->count > 3) {
            *count = 0;
            fault(events, "a step of a transaction is [:append k v], [:r k v] or [:w k v]");
            break;
        }
        bool append = moot_edn_is_keyword(&one->items[0], "append");
        bool write = moot_edn_is_keyword(&one->items[0], "w");
        bool read = moot_edn_is_keyword(&one->items[0], "r"); /* It may say no value. */
        if ((!append && !write && !read) || (!read && one->count != 3)) {
            *count = 0;
            fault(events, "a step of a transaction is [:append k v], [:r k v] or [:w k v]");
            break;
        }
        steps[i] = (struct moot_history_step){
            .kind = append  ? MOOT_OPERATION_APPEND
                    : write ? MOOT_OPERATION_WRITE
                            : MOOT_OPERATION_READ,
            .key = text_of(events, &one->items[1]),
            .value = one->count == 3 ? value_of(events, &one->items[2]) : moot_history_none(),
        };
    }
    return steps;
}

/* Takes [key value] apart. */
static bool take_key(struct events *events, const struct moot_edn **value, struct moot_slice *key)
{
    *key = moot_slice_text("");
    if (!events->keyed) {
        return true;
    }
    if ((*value)->kind != MOOT_EDN_SEQUENCE || (*value)->count != 2) {
        return fault(events, "some values are [key value], as jepsen.independent's, and this one"
                             " is not");
    }
    *key = text_of(events, &(*value)->items[0]);
    *value = &(*value)->items[1];
    return true;
}

static size_t call(struct events *events, enum moot_operation_kind kind, uint32_t process,
                   struct moot_slice key, const struct moot_edn *value, struct moot_instant at)
{
    struct moot_history_value argument = moot_history_none();
    if (kind == MOOT_OPERATION_TXN) {
        size_t count;
        const struct moot_history_step *steps = steps_of(events, value, &count);
        return moot_history_call_txn(events->history, process, steps, count, at);
    }
    if (kind == MOOT_OPERATION_CAS) {
        bool pair = value->kind == MOOT_EDN_SEQUENCE && value->count == 2;
        if (!pair) {
            fault(events, "the value of :cas is [old new]");
        }
        return moot_history_call_cas(events->history, process, key,
                                     pair ? value_of(events, &value->items[0]) : argument,
                                     pair ? value_of(events, &value->items[1]) : argument, at);
    }
    if (kind == MOOT_OPERATION_WRITE || kind == MOOT_OPERATION_PUSH || kind == MOOT_OPERATION_ADD ||
        kind == MOOT_OPERATION_INCREMENT) {
        argument = value_of(events, value);
    }
    return moot_history_call(events->history, process, kind, key, argument, at);
}

/* A drain took many: each is a pop of the same time, and the last found nothing. */
static void return_drained(struct events *events, size_t number, const struct moot_edn *value)
{
    struct moot_operation one = events->history->operations[number];
    for (size_t i = 0; i < value->count; i++) {
        one.result = moot_history_bytes(text_of(events, &value->items[i]));
        moot_history_add(events->history, &one);
    }
}

static void complete(struct events *events, size_t number, enum moot_outcome outcome,
                     const struct moot_edn *value, struct moot_instant at)
{
    enum moot_operation_kind kind = events->history->operations[number].kind;
    struct moot_history_value result = moot_history_none();
    if (kind == MOOT_OPERATION_TXN) {
        size_t count, called = events->history->operations[number].steps_count;
        const struct moot_history_step *steps = NULL;
        if (outcome == MOOT_OUTCOME_OK) {
            steps = steps_of(events, value, &count);
            if (count != called) {
                fault(events, "a transaction returned other steps than it was called with");
                outcome = MOOT_OUTCOME_INDOUBT;
            }
        }
        moot_history_return_txn(events->history, number, outcome, steps, at);
        return;
    }
    bool drained = kind == MOOT_OPERATION_POP && value->kind == MOOT_EDN_SEQUENCE;
    if (outcome == MOOT_OUTCOME_OK && (kind == MOOT_OPERATION_READ || kind == MOOT_OPERATION_POP ||
                                       kind == MOOT_OPERATION_GENERATE)) {
        result = drained ? moot_history_nil() : value_of(events, value);
    }
    if (outcome == MOOT_OUTCOME_OK && kind == MOOT_OPERATION_CAS) {
        result = moot_history_integer(1);
    }
    moot_history_return(events->history, number, outcome, result, at);
    if (drained && outcome == MOOT_OUTCOME_OK) {
        return_drained(events, number, value);
    }
}

/* Elle's examples have transactions that say no :f. */
static bool is_steps(const struct moot_edn *value)
{
    return value->kind == MOOT_EDN_SEQUENCE && value->count > 0 &&
           value->items[0].kind == MOOT_EDN_SEQUENCE && value->items[0].count > 0 &&
           value->items[0].items[0].kind == MOOT_EDN_KEYWORD;
}

static bool kind_of(struct events *events, const struct moot_edn *f, const struct moot_edn *value,
                    enum moot_operation_kind *kind)
{
    if (f == NULL) {
        *kind = MOOT_OPERATION_TXN;
        return is_steps(value) || fault(events, "an operation without :f that is no transaction");
    }
    for (size_t i = 0; i < MOOT_ARRAY_LEN(functions); i++) {
        if (moot_edn_is_keyword(f, functions[i].f)) {
            *kind = functions[i].kind;
            if (*kind == MOOT_OPERATION_ADD && events->add_is_increment) {
                *kind = MOOT_OPERATION_INCREMENT;
            }
            return true;
        }
    }
    return fault(events, "an unknown :f");
}

static void take_event(struct events *events, const struct moot_edn *map)
{
    static const struct moot_edn nil = {.kind = MOOT_EDN_NIL};
    const struct moot_edn *type = moot_edn_get(map, "type"), *f = moot_edn_get(map, "f");
    const struct moot_edn *process = moot_edn_get(map, "process"),
                          *time = moot_edn_get(map, "time");
    const struct moot_edn *value = moot_edn_get(map, "value");
    value = value == NULL ? &nil : value;
    enum moot_operation_kind kind;
    struct moot_slice key;
    if (map->kind != MOOT_EDN_MAP || type == NULL || process == NULL) {
        fault(events, "an operation is a map with :type, :f, :process and :value");
        return;
    }
    if (process->kind != MOOT_EDN_INTEGER || moot_edn_is_keyword(f, "transfer")) {
        return; /* The nemesis; and what a bank's reads alone judge. */
    }
    if (process->integer < 0 || process->integer > UINT32_MAX) {
        fault(events, ":process is from 0 to 2^32 - 1");
        return;
    }
    if (!kind_of(events, f, value, &kind)) {
        return;
    }
    if (time != NULL && time->kind == MOOT_EDN_INTEGER && time->integer > 0) {
        events->latest = moot_max_u64(events->latest, (uint64_t)time->integer);
    }
    struct moot_instant at = {events->latest}; /* The recorder breaks ties. */
    uint64_t *open = moot_pairs_at(&events->open, (uint64_t)process->integer, 0, 0);
    bool invoke = moot_edn_is_keyword(type, "invoke"), ok = moot_edn_is_keyword(type, "ok");
    bool failed = moot_edn_is_keyword(type, "fail");
    if (!invoke && !ok && !failed && !moot_edn_is_keyword(type, "info")) {
        fault(events, ":type is :invoke, :ok, :fail or :info");
        return;
    }
    if (invoke && *open != 0) {
        fault(events, "a process invokes while its last operation is open");
        return;
    }
    if (invoke) {
        if (take_key(events, &value, &key)) {
            *open = 1 + call(events, kind, (uint32_t)process->integer, key, value, at);
        }
        return;
    }
    if (*open == 0) {
        fault(events, "a completion without its invocation");
        return;
    }
    size_t number = *open - 1;
    *open = 0;
    if (ok && !take_key(events, &value, &key)) {
        return;
    }
    complete(events, number,
             ok       ? MOOT_OUTCOME_OK
             : failed ? MOOT_OUTCOME_FAIL
                      : MOOT_OUTCOME_INDOUBT,
             value, at);
}

bool moot_history_is_edn(struct moot_slice text)
{
    struct moot_arena arena;
    struct moot_edn_reader reader;
    size_t at = 0;
    while (at < text.size && text.data[at] <= ' ') {
        at++;
    }
    if (at == text.size) {
        return false;
    }
    if (text.data[at] != '{') {
        return strchr("[(#;,", text.data[at]) != NULL;
    }
    moot_arena_init(&arena); /* JSON's first key is a string, EDN's a keyword. */
    moot_edn_init(&reader, moot_slice_make(text.data + at + 1, text.size - at - 1), &arena);
    struct moot_edn first;
    bool edn = moot_edn_next(&reader, &first) && first.kind == MOOT_EDN_KEYWORD;
    moot_arena_deinit(&arena);
    return edn;
}

/* jepsen.independent is seen at the first read or write; operations before it need it too. */
static void find_keyed(struct events *events, struct moot_slice text)
{
    struct moot_edn_reader reader;
    struct moot_edn value;
    struct moot_arena arena;
    moot_arena_init(&arena);
    moot_edn_init(&reader, text, &arena);
    while (!events->keyed_known && moot_edn_next(&reader, &value)) {
        bool many = value.kind == MOOT_EDN_SEQUENCE;
        const struct moot_edn *maps = many ? value.items : &value;
        for (size_t i = 0; i < (many ? value.count : 1) && !events->keyed_known; i++) {
            const struct moot_edn *f = moot_edn_get(&maps[i], "f");
            const struct moot_edn *of = moot_edn_get(&maps[i], "value");
            if (moot_edn_is_keyword(moot_edn_get(&maps[i], "type"), "invoke") && of != NULL &&
                (moot_edn_is_keyword(f, "read") || moot_edn_is_keyword(f, "write"))) {
                events->keyed = of->kind == MOOT_EDN_SEQUENCE && of->count == 2;
                events->keyed_known = true;
            }
        }
    }
    moot_arena_deinit(&arena);
}

int moot_history_read_edn(struct moot_history *history, struct moot_slice text,
                          bool add_is_increment, size_t *line, const char **why)
{
    struct events events = {.history = history, .add_is_increment = add_is_increment, .line = 1};
    struct moot_arena arena;
    struct moot_edn_reader reader;
    struct moot_edn value;
    moot_arena_init(&arena);
    moot_arena_init(&events.arena);
    moot_pairs_init(&events.open);
    find_keyed(&events, text);
    moot_edn_init(&reader, text, &arena);
    *line = 1;
    while (events.why == NULL && moot_edn_next(&reader, &value)) {
        bool many = value.kind == MOOT_EDN_SEQUENCE;
        const struct moot_edn *maps = many ? value.items : &value;
        for (size_t i = 0; i < (many ? value.count : 1) && events.why == NULL; i++) {
            events.line = maps[i].line;
            take_event(&events, &maps[i]);
            moot_arena_reset(&events.arena);
        }
        moot_arena_reset(&arena);
    }
    *line = reader.why != NULL ? reader.line : events.line;
    *why = reader.why != NULL ? reader.why : events.why;
    moot_pairs_deinit(&events.open);
    moot_arena_deinit(&events.arena);
    moot_arena_deinit(&arena);
    return *why == NULL ? MOOT_OK : MOOT_FAIL(MOOT_EINVALID);
}
