#include "database/command/docs.h"

#include "base/assert.h"
#include "base/slice.h"
#include "database/command/command.h"
#include "database/command/syntax.h"

/* ---- small sets of words ---- */

enum { WORDS_MAX = 12 };
struct words {
    const char *items[WORDS_MAX];
    uint32_t count;
};

static void words_add(struct words *words, bool wanted, const char *word)
{
    if (wanted) {
        MOOT_ASSERT(words->count < WORDS_MAX);
        words->items[words->count++] = word;
    }
}

static bool words_have(const struct words *words, struct moot_slice word)
{
    for (uint32_t i = 0; i < words->count; i++) {
        if (moot_slice_equal_nocase(word, words->items[i])) {
            return true;
        }
    }
    return false;
}

static void reply_words(struct moot_resp *reply, const struct words *words)
{
    moot_resp_set(reply, words->count);
    for (uint32_t i = 0; i < words->count; i++) {
        moot_resp_simple(reply, words->items[i]);
    }
}

/* ---- what the table says, in Redis' words ---- */

/* Commands of the `system` group are between nodes: no client can send them. */
static bool is_for_clients(const struct moot_command *command)
{
    return (command->flags & MOOT_FLAG_SYSTEM) == 0;
}

static const struct moot_command *find(struct moot_slice name)
{
    const struct moot_command *command = moot_command_find(name);
    return command != NULL && is_for_clients(command) ? command : NULL;
}

static uint64_t count_all(void)
{
    size_t count;
    uint64_t shown = 0;
    const struct moot_command *table = moot_command_table(&count);
    for (size_t i = 0; i < count; i++) {
        shown += is_for_clients(&table[i]);
    }
    return shown;
}

static bool has(const struct moot_command *command, enum moot_command_flag flag)
{
    return (command->flags & flag) != 0;
}

static bool in_group(const struct moot_command *command, const char *group)
{
    return strcmp(command->group, group) == 0;
}

static struct words flags_of(const struct moot_command *command)
{
    struct words words = {0};
    words_add(&words, command->place == MOOT_PLACE_WRITE, "write");
    words_add(&words, command->place == MOOT_PLACE_READ, "readonly");
    words_add(&words, has(command, MOOT_FLAG_DENYOOM), "denyoom");
    words_add(&words, has(command, MOOT_FLAG_ADMIN), "admin");
    words_add(&words,
              has(command, MOOT_FLAG_BLOCKING) || has(command, MOOT_FLAG_ADMIN) ||
                  has(command, MOOT_FLAG_MULTI_STATE),
              "noscript");
    words_add(&words, has(command, MOOT_FLAG_BLOCKING), "blocking");
    words_add(&words, has(command, MOOT_FLAG_LOADING), "loading");
    words_add(&words, has(command, MOOT_FLAG_LOADING), "stale");
    words_add(&words, has(command, MOOT_FLAG_FAST), "fast");
    words_add(&words, has(command, MOOT_FLAG_NO_MULTI), "no_multi");
    return words;
}

/* Access categories, without their @. */
static struct words categories_of(const struct moot_command *command)
{
    bool keyed = command->place != MOOT_PLACE_EDGE;
    struct words words = {0};
    words_add(&words, keyed && (in_group(command, "generic") || in_group(command, "server")),
              "@keyspace");
    words_add(&words, command->place == MOOT_PLACE_READ, "@read");
    words_add(&words, command->place == MOOT_PLACE_WRITE, "@write");
    words_add(&words, in_group(command, "list"), "@list");
    words_add(&words, in_group(command, "hash"), "@hash");
    words_add(&words, in_group(command, "string"), "@string");
    words_add(&words, has(command, MOOT_FLAG_ADMIN), "@admin");
    words_add(&words, true, has(command, MOOT_FLAG_FAST) ? "@fast" : "@slow");
    words_add(&words, has(command, MOOT_FLAG_BLOCKING), "@blocking");
    words_add(&words,
              has(command, MOOT_FLAG_ADMIN) ||
                  (command->place == MOOT_PLACE_WRITE && in_group(command, "server")),
              "@dangerous");
    words_add(&words, !keyed && (in_group(command, "connection") || in_group(command, "cluster")),
              "@connection");
    words_add(&words, in_group(command, "transactions"), "@transaction");
    return words;
}

static struct words key_flags_of(const struct moot_command *command)
{
    bool writes = command->place == MOOT_PLACE_WRITE;
    struct words words = {0};
    words_add(&words, true, writes ? "RW" : "RO");
    words_add(&words, true, "access");
    words_add(&words, writes, "update");
    return words;
}

/* ---- COMMAND and COMMAND INFO ---- */

static void reply_key_spec(struct moot_resp *reply, const struct moot_command *command)
{
    int first = command->key_first, last = command->key_last;
    struct words flags = key_flags_of(command);
    moot_resp_map(reply, 3);
    moot_resp_bulk_text(reply, "flags");
    reply_words(reply, &flags);
    moot_resp_bulk_text(reply, "begin_search");
    moot_resp_map(reply, 2);
    moot_resp_bulk_text(reply, "type");
    moot_resp_bulk_text(reply, "index");
    moot_resp_bulk_text(reply, "spec");
    moot_resp_map(reply, 1);
    moot_resp_bulk_text(reply, "index");
    moot_resp_integer(reply, first);
    moot_resp_bulk_text(reply, "find_keys");
    moot_resp_map(reply, 2);
    moot_resp_bulk_text(reply, "type");
    moot_resp_bulk_text(reply, "range");
    moot_resp_bulk_text(reply, "spec");
    moot_resp_map(reply, 3);
    moot_resp_bulk_text(reply, "lastkey"); /* Counted from the first. */
    moot_resp_integer(reply, last < 0 ? last : last - first);
    moot_resp_bulk_text(reply, "keystep");
    moot_resp_integer(reply, command->key_step);
    moot_resp_bulk_text(reply, "limit");
    moot_resp_integer(reply, 0);
}

static void reply_info(struct moot_resp *reply, const struct moot_command *command)
{
    struct words flags = flags_of(command), categories = categories_of(command);
    moot_resp_array(reply, 10);
    moot_resp_bulk_text(reply, command->name);
    moot_resp_integer(reply, command->arity);
    reply_words(reply, &flags);
    moot_resp_integer(reply, command->key_first);
    moot_resp_integer(reply, command->key_last);
    moot_resp_integer(reply, command->key_step);
    reply_words(reply, &categories);
    moot_resp_set(reply, 0); /* tips */
    moot_resp_set(reply, command->key_first != 0);
    if (command->key_first != 0) {
        reply_key_spec(reply, command);
    }
    moot_resp_set(reply, 0); /* subcommands */
}

static void answer_info(struct moot_resp *reply, const struct moot_slice *args, uint32_t argc)
{
    if (argc > 2) {
        moot_resp_array(reply, argc - 2);
        for (uint32_t i = 2; i < argc; i++) {
            const struct moot_command *command = find(args[i]);
            if (command != NULL) {
                reply_info(reply, command);
            } else {
                moot_resp_null(reply);
            }
        }
        return;
    }
    size_t count;
    const struct moot_command *table = moot_command_table(&count);
    moot_resp_array(reply, count_all());
    for (size_t i = 0; i < count; i++) {
        if (is_for_clients(&table[i])) {
            reply_info(reply, &table[i]);
        }
    }
}

/* ---- COMMAND DOCS ---- */

static void reply_text_pair(struct moot_resp *reply, const char *name, struct moot_slice value)
{
    moot_resp_bulk_text(reply, name);
    moot_resp_bulk(reply, value);
}

/* Trees are as deep as the table's brackets. */
static void reply_arguments(struct moot_resp *reply, const struct moot_argument *first)
{
    moot_resp_array(reply, moot_argument_count(first));
    for (const struct moot_argument *at = first; at != NULL; at = at->next) {
        bool is_key = strcmp(at->type, "key") == 0;
        struct words flags = {0};
        words_add(&flags, at->optional, "optional");
        words_add(&flags, at->multiple, "multiple");
        moot_resp_map(reply, 2ULL + is_key + (at->token.size > 0) + (flags.count > 0) +
                                 (at->children != NULL));
        reply_text_pair(reply, "name", at->name);
        reply_text_pair(reply, "type", moot_slice_text(at->type));
        if (is_key) {
            moot_resp_bulk_text(reply, "key_spec_index");
            moot_resp_integer(reply, 0);
        }
        if (at->token.size > 0) {
            reply_text_pair(reply, "token", at->token);
        }
        if (flags.count > 0) {
            moot_resp_bulk_text(reply, "flags");
            reply_words(reply, &flags);
        }
        if (at->children != NULL) {
            moot_resp_bulk_text(reply, "arguments");
            reply_arguments(reply, at->children);
        }
    }
}

static void reply_docs(struct moot_resp *reply, const struct moot_command *command,
                       struct moot_arena *arena)
{
    const struct moot_argument *arguments = moot_syntax_parse(arena, command->syntax);
    moot_resp_bulk_text(reply, command->name);
    moot_resp_map(reply, arguments == NULL ? 4 : 5);
    reply_text_pair(reply, "summary", moot_slice_text(command->summary));
    reply_text_pair(reply, "since", moot_slice_text(command->since));
    reply_text_pair(reply, "group", moot_slice_text(command->group));
    reply_text_pair(reply, "complexity", moot_slice_text(command->complexity));
    if (arguments != NULL) {
        moot_resp_bulk_text(reply, "arguments");
        reply_arguments(reply, arguments);
    }
}

static void answer_docs(struct moot_resp *reply, const struct moot_slice *args, uint32_t argc,
                        struct moot_arena *arena)
{
    size_t count;
    const struct moot_command *table = moot_command_table(&count);
    if (argc == 2) {
        moot_resp_map(reply, count_all());
        for (size_t i = 0; i < count; i++) {
            if (is_for_clients(&table[i])) {
                reply_docs(reply, &table[i], arena);
            }
        }
        return;
    }
    uint64_t known = 0;
    for (uint32_t i = 2; i < argc; i++) {
        known += find(args[i]) != NULL;
    }
    moot_resp_map(reply, known); /* Unknown names are left out. */
    for (uint32_t i = 2; i < argc; i++) {
        const struct moot_command *command = find(args[i]);
        if (command != NULL) {
            reply_docs(reply, command, arena);
        }
    }
}

/* ---- COMMAND LIST ---- */

enum filter { FILTER_NONE, FILTER_MODULE, FILTER_CATEGORY, FILTER_PATTERN };

static bool passes(const struct moot_command *command, enum filter filter, struct moot_slice by)
{
    struct words categories = categories_of(command);
    uint8_t name[32] = {'@'};
    if (!is_for_clients(command)) {
        return false;
    }
    switch (filter) {
    case FILTER_NONE:
        return true;
    case FILTER_MODULE:
        return false; /* There are no modules. */
    case FILTER_PATTERN:
        return moot_slice_matches_glob(moot_slice_text(command->name), by, true);
    case FILTER_CATEGORY:
        if (by.size == 0 || by.size + 1 > sizeof name) {
            return false;
        }
        memcpy(name + 1, by.data, by.size);
        return words_have(&categories, moot_slice_make(name, by.size + 1));
    }
    MOOT_UNREACHABLE();
}

static void answer_list(struct moot_resp *reply, const struct moot_slice *args, uint32_t argc)
{
    enum filter filter = FILTER_NONE;
    struct moot_slice by = {NULL, 0};
    if (argc == 5 && moot_slice_equal_nocase(args[2], "filterby")) {
        filter = moot_slice_equal_nocase(args[3], "module")    ? FILTER_MODULE
                 : moot_slice_equal_nocase(args[3], "aclcat")  ? FILTER_CATEGORY
                 : moot_slice_equal_nocase(args[3], "pattern") ? FILTER_PATTERN
                                                               : FILTER_NONE;
        by = args[4];
    }
    if (argc > 2 && filter == FILTER_NONE) {
        moot_resp_error(reply, "ERR syntax error");
        return;
    }
    size_t count;
    const struct moot_command *table = moot_command_table(&count);
    uint64_t passing = 0;
    for (size_t i = 0; i < count; i++) {
        passing += passes(&table[i], filter, by);
    }
    moot_resp_array(reply, passing);
    for (size_t i = 0; i < count; i++) {
        if (passes(&table[i], filter, by)) {
            moot_resp_bulk_text(reply, table[i].name);
        }
    }
}

/* ---- COMMAND GETKEYS and GETKEYSANDFLAGS ---- */

static void answer_keys(struct moot_resp *reply, const struct moot_slice *args, uint32_t argc,
                        bool with_flags, struct moot_arena *arena)
{
    const struct moot_slice *inner = args + 2;
    uint32_t inner_argc = argc - 2;
    const struct moot_command *command = find(inner[0]);
    if (command == NULL) {
        moot_resp_error(reply, "ERR Invalid command specified");
        return;
    }
    if (!moot_command_arity_fits(command, inner_argc)) {
        moot_resp_error(reply, "ERR Invalid number of arguments specified for command");
        return;
    }
    uint32_t count = moot_command_keys(command, inner_argc, NULL, 0);
    if (count == 0) {
        moot_resp_error(reply, "ERR The command has no key arguments");
        return;
    }
    uint32_t *positions = moot_arena_alloc(arena, count * sizeof(uint32_t));
    moot_command_keys(command, inner_argc, positions, count);
    struct words flags = key_flags_of(command);
    moot_resp_array(reply, count);
    for (uint32_t i = 0; i < count; i++) {
        MOOT_ASSERT(positions[i] < inner_argc);
        if (with_flags) {
            moot_resp_array(reply, 2);
        }
        moot_resp_bulk(reply, inner[positions[i]]);
        if (with_flags) {
            reply_words(reply, &flags);
        }
    }
}

/* ---- COMMAND ---- */

static void answer_help(struct moot_resp *reply)
{
    static const char *const lines[] = {
        "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "(no subcommand)",
        "    Describe all commands.",
        "COUNT",
        "    Return how many commands there are.",
        "DOCS [<command-name> ...]",
        "    Return the documentation of some commands, or of all.",
        "GETKEYS <full-command>",
        "    Return the keys among the arguments of a command.",
        "GETKEYSANDFLAGS <full-command>",
        "    Return the keys among the arguments of a command, and how it uses them.",
        "INFO [<command-name> ...]",
        "    Describe some commands, or all.",
        "LIST [FILTERBY (MODULE <module-name>|ACLCAT <category>|PATTERN <pattern>)]",
        "    Return the names of commands.",
        "HELP",
        "    Print this help.",
    };
    moot_resp_array(reply, MOOT_ARRAY_LEN(lines));
    for (size_t i = 0; i < MOOT_ARRAY_LEN(lines); i++) {
        moot_resp_simple(reply, lines[i]);
    }
}

enum subcommand { INFO, COUNT, DOCS, LIST, GETKEYS, GETKEYSANDFLAGS, HELP };
static const struct {
    const char *name;
    uint32_t argc_min, argc_max; /* 0: no bound */
    const char *wrong_count;
} SUBCOMMANDS[] = {
    [INFO] = {"info", 2, 0, ""},
    [COUNT] = {"count", 2, 2, "ERR wrong number of arguments for 'command|count' command"},
    [DOCS] = {"docs", 2, 0, ""},
    [LIST] = {"list", 2, 0, ""},
    [GETKEYS] = {"getkeys", 4, 0, "ERR wrong number of arguments for 'command|getkeys' command"},
    [GETKEYSANDFLAGS] = {"getkeysandflags", 4, 0,
                         "ERR wrong number of arguments for 'command|getkeysandflags' command"},
    [HELP] = {"help", 2, 2, "ERR wrong number of arguments for 'command|help' command"},
};

static void answer_unknown(struct moot_resp *reply, struct moot_slice given,
                           struct moot_arena *arena)
{
    enum { SHOWN_MAX = 128 };
    static const struct moot_slice before = {(const uint8_t *)"ERR unknown subcommand '", 24};
    static const struct moot_slice after = {(const uint8_t *)"'. Try COMMAND HELP.", 20};
    size_t shown = given.size < SHOWN_MAX ? given.size : SHOWN_MAX;
    uint8_t *text = moot_arena_alloc(arena, before.size + shown + after.size);
    memcpy(text, before.data, before.size);
    if (shown > 0) {
        memcpy(text + before.size, given.data, shown);
    }
    memcpy(text + before.size + shown, after.data, after.size);
    moot_resp_error_slice(reply, moot_slice_make(text, before.size + shown + after.size));
}

void moot_command_answer(struct moot_resp *reply, const struct moot_slice *args, uint32_t argc,
                         struct moot_arena *arena)
{
    MOOT_ASSERT(argc >= 1);
    if (argc == 1) {
        answer_info(reply, args, 2);
        return;
    }
    size_t which = 0;
    while (which < MOOT_ARRAY_LEN(SUBCOMMANDS) &&
           !moot_slice_equal_nocase(args[1], SUBCOMMANDS[which].name)) {
        which++;
    }
    if (which == MOOT_ARRAY_LEN(SUBCOMMANDS)) {
        answer_unknown(reply, args[1], arena);
        return;
    }
    if (argc < SUBCOMMANDS[which].argc_min ||
        (SUBCOMMANDS[which].argc_max != 0 && argc > SUBCOMMANDS[which].argc_max)) {
        moot_resp_error(reply, SUBCOMMANDS[which].wrong_count);
        return;
    }
    switch ((enum subcommand)which) {
    case INFO:
        answer_info(reply, args, argc);
        return;
    case COUNT:
        moot_resp_integer(reply, (int64_t)count_all());
        return;
    case DOCS:
        answer_docs(reply, args, argc, arena);
        return;
    case LIST:
        answer_list(reply, args, argc);
        return;
    case GETKEYS:
    case GETKEYSANDFLAGS:
        answer_keys(reply, args, argc, which == GETKEYSANDFLAGS, arena);
        return;
    case HELP:
        answer_help(reply);
        return;
    }
    MOOT_UNREACHABLE();
}
