/* The register and the counter: a state is a number. */
#include "base/assert.h"
#include "check/intern.h"
#include "check/linearizability.h"

/* A register's state is ABSENT, or 1 + the number of its value. */
enum { ABSENT = 0 };

static void *register_open(void)
{
    struct moot_intern *values = moot_alloc(sizeof(*values));
    moot_intern_init(values);
    return values;
}

static void register_close(void *object)
{
    moot_intern_deinit(object);
    moot_free(object);
}

/* The state in which a register holds `value`. An integer is its decimal digits, as in Redis. */
static bool value_state(struct moot_intern *values, const struct moot_history_value *value,
                        bool nil_allowed, uint64_t *state)
{
    if (value->kind == MOOT_HISTORY_BYTES) {
        *state = UINT64_C(1) + moot_intern_add(values, value->bytes);
        return true;
    }
    if (value->kind == MOOT_HISTORY_INTEGER) {
        char digits[24];
        size_t size = moot_text_i64(digits, value->integer);
        *state = UINT64_C(1) + moot_intern_add(values, moot_slice_make(digits, size));
        return true;
    }
    *state = ABSENT;
    return value->kind == MOOT_HISTORY_NIL && nil_allowed;
}

/* A result of 1 or 0, or one that nobody looked at. */
static bool compile_flag(const struct moot_operation *operation, struct moot_model_step *step)
{
    if (!step->result_known) {
        return true;
    }
    step->result = (uint64_t)operation->result.integer;
    return operation->result.kind == MOOT_HISTORY_INTEGER && step->result <= 1;
}

static bool register_compile(void *object, const struct moot_operation *operation,
                             struct moot_model_step *step)
{
    step->result_known = operation->result.kind != MOOT_HISTORY_NONE;
    switch (operation->kind) {
    case MOOT_OPERATION_READ:
        step->changes_nothing = true;
        return !step->result_known || value_state(object, &operation->result, true, &step->result);
    case MOOT_OPERATION_WRITE:
        step->result_known = false;
        step->blind = true;
        return value_state(object, &operation->argument, false, &step->argument);
    case MOOT_OPERATION_SWAP:
        return value_state(object, &operation->argument, false, &step->argument) &&
               (!step->result_known ||
                value_state(object, &operation->result, true, &step->result));
    case MOOT_OPERATION_CAS:
        if (!compile_flag(operation, step)) {
            return false;
        }
        step->changes_nothing = step->result_known && step->result == 0;
        return value_state(object, &operation->expected, true, &step->expected) &&
               value_state(object, &operation->argument, true, &step->argument);
    case MOOT_OPERATION_DELETE:
        if (!compile_flag(operation, step)) {
            return false;
        }
        step->changes_nothing = step->result_known && step->result == 0;
        step->blind = !step->result_known;
        return true;
    default:
        return false;
    }
}

/* Values that no result and no comparison names are one value: the state after the last of all. */
static void register_simplify(void *object, struct moot_model_step *const *steps, size_t count)
{
    const struct moot_intern *values = object;
    uint64_t other = UINT64_C(1) + values->count;
    bool *named = moot_alloc_zero(values->count + (size_t)1);
    for (size_t i = 0; i < count; i++) {
        bool value = steps[i]->kind == MOOT_OPERATION_READ || steps[i]->kind == MOOT_OPERATION_SWAP;
        if (value && steps[i]->result_known) {
            named[steps[i]->result] = true;
        }
        if (steps[i]->kind == MOOT_OPERATION_CAS) {
            named[steps[i]->expected] = true;
        }
    }
    for (size_t i = 0; i < count; i++) {
        MOOT_ASSERT(steps[i]->argument <= values->count);
        if (steps[i]->argument != ABSENT && !named[steps[i]->argument]) {
            steps[i]->argument = other;
        }
    }
    moot_free(named);
}

static void register_trace(const struct moot_model_step *step, uint64_t *leads_to, uint64_t *found)
{
    bool done = step->result_known && step->result == 1, refused = step->result_known && !done;
    *leads_to = *found = MOOT_STATE_ANY;
    switch (step->kind) {
    case MOOT_OPERATION_READ:
        *found = step->result_known ? step->result : MOOT_STATE_ANY;
        return;
    case MOOT_OPERATION_WRITE:
        *leads_to = step->argument;
        return;
    case MOOT_OPERATION_SWAP:
        *leads_to = step->argument;
        *found = step->result_known ? step->result : MOOT_STATE_ANY;
        return;
    case MOOT_OPERATION_CAS:
        *leads_to = refused ? MOOT_STATE_ANY : step->argument;
        *found = done ? step->expected : MOOT_STATE_ANY;
        return;
    case MOOT_OPERATION_DELETE:
        *leads_to = refused ? MOOT_STATE_ANY : ABSENT;
        *found = refused ? ABSENT : MOOT_STATE_ANY;
        return;
    default:
        MOOT_UNREACHABLE();
    }
}

static void register_confirm(struct moot_model_step *step)
{
    MOOT_ASSERT(!step->changes_nothing);
    if (step->kind == MOOT_OPERATION_CAS) {
        step->result_known = true;
        step->result = 1;
    }
}

static uint64_t register_initial(void *object)
{
    (void)object;
    return ABSENT;
}

static bool register_apply(void *object, uint64_t state, const struct moot_model_step *step,
                           uint64_t *next)
{
    (void)object;
    uint64_t result = state; /* Of a read or swap. */
    switch (step->kind) {
    case MOOT_OPERATION_READ:
        *next = state;
        break;
    case MOOT_OPERATION_WRITE:
    case MOOT_OPERATION_SWAP:
        *next = step->argument;
        break;
    case MOOT_OPERATION_CAS:
        result = state == step->expected;
        *next = result == 1 ? step->argument : state;
        break;
    case MOOT_OPERATION_DELETE:
        result = state != ABSENT;
        *next = ABSENT;
        break;
    default:
        MOOT_UNREACHABLE();
    }
    return !step->result_known || step->result == result;
}

static void register_describe(void *object, uint64_t state, struct moot_buffer *out)
{
    const struct moot_intern *values = object;
    struct moot_history_value value = moot_history_nil();
    if (state == UINT64_C(1) + values->count) {
        moot_buffer_append_text(out, "a value that nobody read");
        return;
    }
    if (state != ABSENT) {
        MOOT_ASSERT(state <= values->count);
        value = moot_history_bytes(values->texts[state - 1]);
    }
    moot_history_value_describe(&value, out);
}

const struct moot_model moot_model_register = {
    .name = "register",
    .open = register_open,
    .close = register_close,
    .compile = register_compile,
    .simplify = register_simplify,
    .trace = register_trace,
    .confirm = register_confirm,
    .initial = register_initial,
    .apply = register_apply,
    .describe = register_describe,
};

/* A counter's state is its value, as 64 bits of two's complement. */
static void *counter_open(void) { return NULL; }
static void counter_close(void *object) { MOOT_ASSERT(object == NULL); }

static bool value_number(const struct moot_history_value *value, bool nil_allowed, uint64_t *number)
{
    int64_t integer = value->integer;
    bool good = value->kind == MOOT_HISTORY_INTEGER;
    if (value->kind == MOOT_HISTORY_BYTES) {
        good = moot_slice_to_i64(value->bytes, &integer);
    }
    if (value->kind == MOOT_HISTORY_NIL) {
        good = nil_allowed;
        integer = 0;
    }
    *number = (uint64_t)integer;
    return good;
}

static bool counter_compile(void *object, const struct moot_operation *operation,
                            struct moot_model_step *step)
{
    MOOT_ASSERT(object == NULL);
    step->result_known = operation->result.kind != MOOT_HISTORY_NONE;
    switch (operation->kind) {
    case MOOT_OPERATION_READ:
        step->changes_nothing = true;
        return !step->result_known || value_number(&operation->result, true, &step->result);
    case MOOT_OPERATION_INCREMENT:
        return value_number(&operation->argument, false, &step->argument) &&
               (!step->result_known || value_number(&operation->result, false, &step->result));
    case MOOT_OPERATION_WRITE:
        step->result_known = false;
        step->blind = true;
        return value_number(&operation->argument, false, &step->argument);
    case MOOT_OPERATION_DELETE: /* Absent and 0 are one state, so its result says nothing. */
        step->result_known = false;
        step->blind = true;
        return true;
    default:
        return false;
    }
}

static uint64_t counter_initial(void *object)
{
    (void)object;
    return 0;
}

static bool counter_apply(void *object, uint64_t state, const struct moot_model_step *step,
                          uint64_t *next)
{
    MOOT_ASSERT(object == NULL);
    switch (step->kind) {
    case MOOT_OPERATION_READ:
        *next = state;
        break;
    case MOOT_OPERATION_INCREMENT: {
        int64_t sum;
        if (__builtin_add_overflow((int64_t)state, (int64_t)step->argument, &sum)) {
            return false; /* Redis refuses it, so it was not done. */
        }
        *next = (uint64_t)sum;
        break;
    }
    case MOOT_OPERATION_WRITE:
        *next = step->argument;
        break;
    case MOOT_OPERATION_DELETE:
        *next = 0;
        break;
    default:
        MOOT_UNREACHABLE();
    }
    return !step->result_known || step->result == *next;
}

static void counter_describe(void *object, uint64_t state, struct moot_buffer *out)
{
    MOOT_ASSERT(object == NULL);
    moot_buffer_append_i64(out, (int64_t)state);
}

const struct moot_model moot_model_counter = {
    .name = "counter",
    .open = counter_open,
    .close = counter_close,
    .compile = counter_compile,
    .initial = counter_initial,
    .apply = counter_apply,
    .describe = counter_describe,
};
