#include "sim/grammar.h"

#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "database/command/decimal.h"
#include "database/command/syntax.h"

enum {
    LONG_MAX_BYTES = 6000,
    LARGE_BYTES = 150000,
    MANY = 110,
    TWISTED_ONE_IN = 10,
    KEYS_OF_GROUP = 2
};
/* Seconds between two expiries: more than clocks differ by, and more than the time since 1970. */
#define EXPIRY_STEP_S UINT64_C(4000000000)

/* What is under construction. */
struct call {
    struct sim_grammar *grammar;
    const struct moot_command *command;
    struct moot_slice *args;
    uint32_t argc;
    uint64_t fixed;   /* Mask of the first 64 arguments: not to be exchanged for others. */
    uint64_t moments; /* The same: times of expiry, */
    uint64_t shorts;  /* and those that are short. */
};

static uint64_t below(struct sim_grammar *grammar, uint64_t bound)
{
    return moot_rng_below(grammar->rng, bound);
}
static bool one_in(struct sim_grammar *grammar, uint64_t n) { return below(grammar, n) == 0; }

#define ANY_OF(grammar, list) moot_slice_text((list)[below((grammar), MOOT_ARRAY_LEN(list))])

static struct moot_slice kept(struct sim_grammar *grammar, struct moot_slice bytes)
{
    return moot_arena_copy(grammar->arena, bytes);
}

static struct moot_slice integer(struct sim_grammar *grammar, int64_t value)
{
    char digits[24];
    return kept(grammar, moot_slice_make(digits, moot_text_i64(digits, value)));
}

static struct moot_slice filled(struct sim_grammar *grammar, size_t size)
{
    uint8_t *bytes = moot_arena_alloc(grammar->arena, size + 1);
    uint64_t kind = below(grammar, 3);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = kind == 0 ? (uint8_t)moot_rng_next(grammar->rng)
                             : (uint8_t)((kind == 1 ? 'a' : '0') + (i + size) % 10);
    }
    return (struct moot_slice){bytes, size};
}

/* ---- values ---- */

static struct moot_slice odd_integer(struct sim_grammar *grammar)
{
    static const char *const odd[] = {"9223372036854775807",
                                      "-9223372036854775808",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "18446744073709551616",
                                      "1.5",
                                      "",
                                      "abc",
                                      " 1",
                                      "+1",
                                      "01",
                                      "-0",
                                      "1e3",
                                      "4294967296"};
    return ANY_OF(grammar, odd);
}

static struct moot_slice number(struct sim_grammar *grammar)
{
    static const char *const numbers[] = {
        "0.1",  "-3.25", "1e3", "5.0e-3", "nan", "inf",  "-inf",  "1e400",
        "0x10", ".5",    "5.",  "3",      "-1",  "1e17", "1e-17", "0.30000000000000004"};
    return ANY_OF(grammar, numbers);
}

struct moot_slice sim_grammar_value(struct sim_grammar *grammar)
{
    switch (below(grammar, 12)) {
    case 0:
    case 1:
    case 2:
        return integer(grammar, (int64_t)below(grammar, 40) - 10);
    case 3:
        return number(grammar);
    case 4:
        return odd_integer(grammar);
    case 5:
        return filled(grammar, below(grammar, 16)); /* Perhaps empty. */
    case 6:
        return filled(grammar, below(grammar, grammar->is_small ? 80 : 700));
    case 7:
        if (grammar->is_small || !one_in(grammar, 8)) {
            return filled(grammar, below(grammar, 100));
        }
        return filled(grammar, below(grammar, grammar->is_large ? LARGE_BYTES : LONG_MAX_BYTES));
    default: {
        struct moot_slice value = integer(grammar, (int64_t)++grammar->values);
        uint8_t *bytes = moot_arena_alloc(grammar->arena, value.size + 1);
        bytes[0] = 'v';
        memcpy(bytes + 1, value.data, value.size);
        return (struct moot_slice){bytes, value.size + 1};
    }
    }
}

/* Fields and elements come again. */
static struct moot_slice member(struct sim_grammar *grammar)
{
    if (one_in(grammar, 8)) {
        return sim_grammar_value(grammar);
    }
    uint8_t *bytes = moot_arena_alloc(grammar->arena, 2);
    bytes[0] = 'f';
    bytes[1] = (uint8_t)('0' + below(grammar, 20));
    return (struct moot_slice){bytes, 2};
}

static struct moot_slice small(struct sim_grammar *grammar)
{
    if (one_in(grammar, 8)) {
        return odd_integer(grammar);
    }
    return one_in(grammar, 2) ? integer(grammar, (int64_t)below(grammar, 6) - 2)
                              : integer(grammar, (int64_t)below(grammar, 24) - 8);
}

/* Soon. Those in milliseconds from now are odd, and come again only after hundreds of others. */
static struct moot_slice short_moment(struct sim_grammar *grammar, bool seconds, bool absolute)
{
    enum { SPAN = SIM_GRAMMAR_SHORT_MAX_MS - SIM_GRAMMAR_SHORT_MIN_MS, STEP = 382 };
    uint64_t ms = SIM_GRAMMAR_SHORT_MIN_MS + ++grammar->shorts * STEP % SPAN;
    if (seconds) {
        uint64_t s = 1 + below(grammar, 2);
        return integer(grammar, (int64_t)(absolute ? grammar->wall_ms / 1000 + s : s));
    }
    if (absolute) {
        return integer(grammar, (int64_t)((grammar->wall_ms + ms) & ~UINT64_C(1)));
    }
    MOOT_ASSERT(ms % 2 == 1 && ms < SIM_GRAMMAR_SHORT_MAX_MS);
    grammar->drawn_ms[ms] = grammar->wall_ms;
    return integer(grammar, (int64_t)ms);
}

/* Far ahead, each further than the last one; or long past; or nonsense. */
static struct moot_slice moment(struct sim_grammar *grammar, bool seconds)
{
    static const char *const odd[] = {"0",   "-1",    "-100",
                                      "",    "abc",   "9223372036854775807",
                                      "1.5", "1e300", "-9223372036854775808"};
    if (one_in(grammar, 7)) {
        return ANY_OF(grammar, odd);
    }
    uint64_t s = EXPIRY_STEP_S * (1 + ++grammar->expiries);
    if (seconds && one_in(grammar, 10)) {
        s += UINT64_C(9000000000000000); /* Nearly all that fits. */
    }
    return integer(grammar, (int64_t)(seconds ? s : s * 1000));
}

static struct moot_slice offset(struct sim_grammar *grammar)
{
    static const char *const odd[] = {"-1", "9000000", "536870912",           "9223372036854775807",
                                      "",   "abc",     "-9223372036854775808"};
    if (one_in(grammar, 6)) {
        return ANY_OF(grammar, odd);
    }
    if (grammar->is_large && one_in(grammar, 6)) { /* Perhaps just too far. */
        return integer(grammar, MOOT_VALUE_MAX - 8 + (int64_t)below(grammar, 10));
    }
    return integer(grammar, (int64_t)below(grammar, grammar->is_small ? 40 : 300));
}

static struct moot_slice timeout(struct sim_grammar *grammar)
{
    static const char *const some[] = {"0.001", "0.01", "0.01", "0.03", "0.03",
                                       "-1",    "abc",  "",     "nan"};
    return grammar->waits && one_in(grammar, 3) ? MOOT_SLICE_LITERAL("0") : ANY_OF(grammar, some);
}

static struct moot_slice database(struct sim_grammar *grammar)
{
    static const char *const odd[] = {"16", "-1", "", "x", "9223372036854775808"};
    return one_in(grammar, 8)
               ? ANY_OF(grammar, odd)
               : integer(grammar,
                         grammar->database + (int64_t)below(grammar, grammar->database_count));
}

static struct moot_slice pattern(struct sim_grammar *grammar)
{
    static const char *const some[] = {"*", "*", "*a*", "?*", "[a-f]*", "*[^b]", "\\*", "", "f1*"};
    return ANY_OF(grammar, some);
}

static struct moot_slice cursor(struct sim_grammar *grammar)
{
    if (one_in(grammar, 10)) {
        return odd_integer(grammar);
    }
    return one_in(grammar, 3) ? MOOT_SLICE_LITERAL("0")
                              : integer(grammar, (int64_t)grammar->cursor);
}

/* ---- keys ---- */

struct moot_slice sim_grammar_key(struct sim_grammar *grammar)
{
    MOOT_ASSERT(grammar->key_count > 0);
    return grammar->keys[below(grammar, grammar->key_count)];
}

/* Of each type there are keys that mostly have it, so that commands often find what they want. */
static struct moot_slice key_for(struct sim_grammar *grammar, const struct moot_command *command)
{
    static const char *const groups[] = {"string", "hash", "list"};
    for (uint32_t i = 0; i < MOOT_ARRAY_LEN(groups); i++) {
        uint32_t from = i * KEYS_OF_GROUP;
        if (strcmp(command->group, groups[i]) == 0 && from + KEYS_OF_GROUP <= grammar->key_count &&
            !one_in(grammar, 4)) {
            return grammar->keys[from + below(grammar, KEYS_OF_GROUP)];
        }
    }
    return sim_grammar_key(grammar);
}

/* ---- one argument ---- */

static void add(struct call *call, struct moot_slice bytes)
{
    if (call->argc < SIM_GRAMMAR_ARGS_MAX) {
        call->args[call->argc++] = bytes;
    }
}

static void fix(struct call *call, uint64_t *mask)
{
    if (call->argc > 0 && call->argc <= 64) {
        *mask |= UINT64_C(1) << (call->argc - 1);
    }
}

static bool is(struct moot_slice name, const char *text)
{
    return moot_slice_equal(name, moot_slice_text(text));
}

static bool is_any_of(struct moot_slice name, const char *const *texts, size_t count)
{
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        found = found || is(name, texts[i]);
    }
    return found;
}

static void add_moment(struct call *call, struct moot_slice name, bool seconds)
{
    bool absolute = moot_slice_starts_with(name, MOOT_SLICE_LITERAL("unix"));
    bool may_be_past = absolute && call->grammar->in_multi;
    bool is_short = call->grammar->wall_ms != 0 && !may_be_past && one_in(call->grammar, 3);
    add(call,
        is_short ? short_moment(call->grammar, seconds, absolute) : moment(call->grammar, seconds));
    fix(call, &call->moments);
    if (is_short) {
        fix(call, &call->shorts);
    }
}

/* What stands for a word of the syntax; false: nothing here knows the word. */
static bool add_word(struct call *call, struct moot_slice name)
{
    static const char *const keys[] = {"key", "newkey", "source", "destination"};
    static const char *const databases[] = {"db", "destination-db", "index1", "index2"};
    static const char *const values[] = {"value", "compare"};
    static const char *const members[] = {"field", "element"};
    static const char *const smalls[] = {"count", "index", "start", "stop", "end", "decrement"};
    static const char *const seconds[] = {"seconds", "unix-time-seconds"};
    static const char *const milliseconds[] = {"milliseconds", "unix-time-milliseconds"};
    static const char *const objects[] = {"ENCODING", "REFCOUNT", "IDLETIME", "FREQ", "HELP", "x"};
    struct sim_grammar *grammar = call->grammar;
    if (is_any_of(name, keys, MOOT_ARRAY_LEN(keys))) {
        add(call, key_for(grammar, call->command));
        fix(call, &call->fixed);
    } else if (is_any_of(name, databases, MOOT_ARRAY_LEN(databases))) {
        add(call, database(grammar));
        fix(call, &call->fixed);
    } else if (is_any_of(name, seconds, MOOT_ARRAY_LEN(seconds)) ||
               is_any_of(name, milliseconds, MOOT_ARRAY_LEN(milliseconds))) {
        add_moment(call, name, is_any_of(name, seconds, MOOT_ARRAY_LEN(seconds)));
    } else if (is_any_of(name, values, MOOT_ARRAY_LEN(values))) {
        add(call, sim_grammar_value(grammar));
    } else if (is_any_of(name, members, MOOT_ARRAY_LEN(members))) {
        add(call, member(grammar));
    } else if (is_any_of(name, smalls, MOOT_ARRAY_LEN(smalls))) {
        add(call, small(grammar));
    } else if (is(name, "increment")) {
        bool is_float = strstr(call->command->name, "float") != NULL;
        add(call, is_float ? number(grammar) : small(grammar));
    } else if (is(name, "offset")) {
        add(call, offset(grammar));
        fix(call, &call->fixed);
    } else if (is(name, "timeout")) {
        add(call, timeout(grammar));
        fix(call, &call->fixed);
    } else if (is(name, "pattern")) {
        add(call, pattern(grammar));
    } else if (is(name, "cursor")) {
        add(call, cursor(grammar));
    } else if (is(name, "type")) {
        static const char *const types[] = {"string", "hash", "list", "zset", "LIST"};
        add(call, ANY_OF(grammar, types));
    } else if (is(name, "subcommand")) {
        add(call, ANY_OF(grammar, objects));
    } else {
        return false;
    }
    return true;
}

static void add_all(struct call *call, const struct moot_argument *first);

/* A word of the syntax, sometimes in the other case. */
static void add_token(struct call *call, struct moot_slice token, int to_other)
{
    struct moot_slice word = kept(call->grammar, token);
    if (one_in(call->grammar, 5)) {
        uint8_t *bytes = moot_arena_alloc(call->grammar->arena, word.size);
        for (size_t i = 0; i < word.size; i++) {
            uint8_t c = word.data[i];
            bool is_letter = to_other > 0 ? c >= 'A' && c <= 'Z' : c >= 'a' && c <= 'z';
            bytes[i] = is_letter ? (uint8_t)(c + to_other) : c;
        }
        word.data = bytes;
    }
    add(call, word);
}

static void add_one(struct call *call, const struct moot_argument *argument)
{
    if (argument->token.size > 0) {
        add_token(call, argument->token, 'a' - 'A');
    }
    if (strcmp(argument->type, "pure-token") == 0) {
        return;
    }
    if (strcmp(argument->type, "block") == 0) {
        add_all(call, argument->children);
        return;
    }
    if (strcmp(argument->type, "oneof") == 0) {
        uint64_t which = below(call->grammar, moot_argument_count(argument->children));
        const struct moot_argument *child = argument->children;
        while (which-- > 0) {
            child = child->next;
        }
        add_one(call, child);
        return;
    }
    bool known = add_word(call, argument->name);
    MOOT_ASSERT(
        known); /* Whoever adds a word to the table's syntax says here what it stands for. */
}

static uint64_t how_many(struct sim_grammar *grammar)
{
    if (one_in(grammar, 8)) {
        bool many = !grammar->is_small && one_in(grammar, 4);
        return many ? MANY : 1 + below(grammar, 12);
    }
    return 1 + below(grammar, 3);
}

static void add_all(struct call *call, const struct moot_argument *first)
{
    for (const struct moot_argument *argument = first; argument != NULL;
         argument = argument->next) {
        if (argument->optional && !one_in(call->grammar, 3)) {
            continue;
        }
        uint64_t times = argument->multiple ? how_many(call->grammar) : 1;
        while (times-- > 0) {
            add_one(call, argument);
        }
    }
}

/* ---- and then something else ---- */

static void add_strange(struct call *call)
{
    static const char *const words[] = {"NX",      "XX",      "GT",         "LT",    "GET",
                                        "EX",      "PX",      "KEEPTTL",    "COUNT", "MATCH",
                                        "PERSIST", "REPLACE", "WITHVALUES", "EXAT",  "PXAT"};
    add(call, ANY_OF(call->grammar, words));
    if (one_in(call->grammar, 2)) {
        add(call, moment(call->grammar, false)); /* Far ahead in any unit. */
    }
}

static void exchange(struct call *call)
{
    uint32_t at = 1 + (uint32_t)below(call->grammar, moot_max_u64(1, call->argc - 1));
    if (at >= call->argc || at >= 64 || ((call->fixed | call->moments) >> at & 1) != 0) {
        return;
    }
    call->args[at] =
        one_in(call->grammar, 2) ? odd_integer(call->grammar) : sim_grammar_value(call->grammar);
}

static void twist(struct call *call)
{
    switch (below(call->grammar, 5)) {
    case 0:
        call->argc = 1 + (uint32_t)below(call->grammar, call->argc);
        return;
    case 1:
        add(call, sim_grammar_key(call->grammar));
        return;
    case 2:
        exchange(call);
        return;
    default:
        add_strange(call);
        return;
    }
}

/* Who waits does not wait long. */
static void keep_waits_short(struct call *call)
{
    uint64_t ms;
    bool waits = (call->command->flags & MOOT_FLAG_BLOCKING) != 0 && !call->grammar->waits;
    if (waits && moot_decimal_timeout(call->args[call->argc - 1], &ms) == NULL &&
        (ms == 0 || ms > 1000) && ms <= MOOT_BLOCK_SECONDS_MAX * UINT64_C(1000)) {
        call->args[call->argc - 1] = MOOT_SLICE_LITERAL("0.01");
    }
}

/* What is compared with another one is far from it. */
static void keep_apart(struct call *call)
{
    bool compares = false;
    for (uint32_t i = 0; i < call->argc; i++) {
        compares = compares || moot_slice_equal_nocase(call->args[i], "gt") ||
                   moot_slice_equal_nocase(call->args[i], "lt");
    }
    for (uint32_t i = 0; i < call->argc && i < 64 && compares; i++) {
        if ((call->shorts >> i & 1) != 0) {
            call->args[i] = moment(call->grammar, false);
        }
    }
}

/* Arguments too few or too many may have moved others to where a key is to be. */
static void keep_keys(struct call *call)
{
    uint32_t at[SIM_GRAMMAR_ARGS_MAX];
    if (!moot_command_arity_fits(call->command, call->argc)) {
        return; /* It is refused. */
    }
    uint32_t count = moot_command_keys(call->command, call->argc, at, SIM_GRAMMAR_ARGS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        bool is_own = false;
        for (uint32_t k = 0; k < call->grammar->key_count; k++) {
            is_own = is_own || moot_slice_equal(call->args[at[i]], call->grammar->keys[k]);
        }
        if (!is_own) {
            call->args[at[i]] = sim_grammar_key(call->grammar);
        }
    }
}

uint32_t sim_grammar_draw(struct sim_grammar *grammar, const struct moot_command *command,
                          struct moot_slice args[SIM_GRAMMAR_ARGS_MAX])
{
    struct call call = {.grammar = grammar, .command = command, .args = args};
    add_token(&call, moot_slice_text(command->name), 'A' - 'a');
    add_all(&call, moot_syntax_parse(grammar->arena, command->syntax));
    if (one_in(grammar, TWISTED_ONE_IN)) {
        twist(&call);
    }
    keep_keys(&call);
    keep_apart(&call);
    keep_waits_short(&call);
    MOOT_ASSERT(call.argc > 0 && call.argc <= SIM_GRAMMAR_ARGS_MAX);
    return call.argc;
}
