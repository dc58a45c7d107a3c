#include "database/command/syntax.h"

#include "base/assert.h"
#include "base/slice.h"

enum { DEPTH_MAX = 8 };

struct parser {
    struct moot_arena *arena;
    const char *at;
    uint32_t depth;
};

/* A row of arguments under construction. */
struct row {
    struct moot_argument *first, *last;
    uint64_t count;
    bool repeats; /* Ended in dots. */
};

static void row_add(struct row *row, struct moot_argument *argument)
{
    MOOT_ASSERT(argument->next == NULL);
    if (row->first == NULL) {
        row->first = argument;
    } else {
        row->last->next = argument;
    }
    row->last = argument;
    row->count++;
}

uint64_t moot_argument_count(const struct moot_argument *first)
{
    uint64_t count = 0;
    for (; first != NULL; first = first->next) {
        count++;
    }
    return count;
}

/* What kind of value goes by a name. */
static const char *type_of(struct moot_slice name)
{
    static const struct {
        const char *name, *type;
    } types[] = {
        {"key", "key"},
        {"newkey", "key"},
        {"source", "key"},
        {"destination", "key"},
        {"pattern", "pattern"},
        {"timeout", "double"},
        {"seconds", "integer"},
        {"milliseconds", "integer"},
        {"count", "integer"},
        {"index", "integer"},
        {"index1", "integer"},
        {"index2", "integer"},
        {"start", "integer"},
        {"stop", "integer"},
        {"end", "integer"},
        {"offset", "integer"},
        {"db", "integer"},
        {"destination-db", "integer"},
        {"cursor", "integer"},
        {"numreplicas", "integer"},
        {"protover", "integer"},
        {"increment", "integer"},
        {"decrement", "integer"},
        {"version", "integer"},
        {"unix-time-seconds", "unix-time"},
        {"unix-time-milliseconds", "unix-time"},
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(types); i++) {
        if (moot_slice_equal(name, moot_slice_text(types[i].name))) {
            return types[i].type;
        }
    }
    return "string";
}

static struct moot_argument *make(struct parser *parser, struct moot_slice name, const char *type)
{
    struct moot_argument *argument = moot_arena_alloc(parser->arena, sizeof *argument);
    *argument = (struct moot_argument){.name = name, .type = type};
    return argument;
}

static struct moot_slice lower(struct parser *parser, struct moot_slice word)
{
    uint8_t *bytes = moot_arena_alloc(parser->arena, word.size);
    for (size_t i = 0; i < word.size; i++) {
        uint8_t c = word.data[i];
        bytes[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
    }
    return (struct moot_slice){bytes, word.size};
}

static struct moot_argument *make_token(struct parser *parser, struct moot_slice word)
{
    struct moot_argument *argument = make(parser, lower(parser, word), "pure-token");
    argument->token = word;
    return argument;
}

static void skip_blanks(struct parser *parser)
{
    while (*parser->at == ' ') {
        parser->at++;
    }
}

/* The next word: up to a blank or a bracket. Empty at a bracket, a lone bar, or the end. */
static struct moot_slice peek_word(struct parser *parser)
{
    skip_blanks(parser);
    size_t size = 0;
    while (parser->at[size] != '\0' && strchr(" []", parser->at[size]) == NULL) {
        size++;
    }
    if (size == 1 && parser->at[0] == '|') {
        size = 0;
    }
    return moot_slice_make(parser->at, size);
}

static bool is_token(struct moot_slice word)
{
    return word.size > 0 && word.data[0] >= 'A' && word.data[0] <= 'Z';
}

/* LEFT|RIGHT */
static struct moot_argument *parse_choice(struct parser *parser, struct moot_slice word)
{
    struct row row = {0};
    size_t from = 0;
    for (size_t i = 0; i <= word.size; i++) {
        if (i == word.size || word.data[i] == '|') {
            row_add(&row, make_token(parser, moot_slice_make(word.data + from, i - from)));
            from = i + 1;
        }
    }
    struct moot_argument *choice = make(parser, MOOT_SLICE_LITERAL("where"), "oneof");
    choice->children = row.first;
    return choice;
}

/* A token, with the arguments that it names: `GET`, `EX seconds`, `AUTH username password`. */
static struct moot_argument *parse_token(struct parser *parser, struct moot_slice token)
{
    struct row row = {0};
    struct moot_slice word;
    while ((word = peek_word(parser)).size > 0 && !is_token(word) && word.data[0] != '.') {
        row_add(&row, make(parser, word, type_of(word)));
        parser->at += word.size;
    }
    if (row.count == 0) {
        return make_token(parser, token);
    }
    struct moot_argument *argument = row.first;
    if (row.count > 1) {
        argument = make(parser, lower(parser, token), "block");
        argument->children = row.first;
    }
    argument->token = token;
    return argument;
}

static bool same_names(const struct moot_argument *a, const struct moot_argument *b)
{
    for (; a != NULL && b != NULL; a = a->next, b = b->next) {
        if (!moot_slice_equal(a->name, b->name)) {
            return false;
        }
    }
    return a == NULL && b == NULL;
}

/* `key value [key value ...]`: the last arguments of the row become one that repeats. */
static bool fold(struct parser *parser, struct row *row, const struct row *again)
{
    if (again->count > row->count) {
        return false;
    }
    struct moot_argument *before = NULL, *at = row->first;
    for (uint64_t i = 0; i < row->count - again->count; i++) {
        before = at;
        at = at->next;
    }
    if (!same_names(at, again->first)) {
        return false;
    }
    struct moot_argument *folded = at;
    if (again->count > 1) {
        folded = make(parser, MOOT_SLICE_LITERAL("data"), "block");
        folded->children = at;
    }
    folded->multiple = true;
    *(before == NULL ? &row->first : &before->next) = folded;
    row->last = folded;
    row->count -= again->count - 1;
    return true;
}

static struct moot_argument *one_of_row(struct parser *parser, struct row row)
{
    if (row.count == 1) {
        return row.first;
    }
    struct moot_argument *block = make(parser, MOOT_SLICE_LITERAL("arguments"), "block");
    block->children = row.first;
    return block;
}

static struct row parse_row(struct parser *parser);

/* What stands between brackets: one row, or choices. */
static void parse_bracket(struct parser *parser, struct row *into)
{
    struct row choices = {0}, row = {0};
    MOOT_ASSERT(*parser->at == '[');
    MOOT_ASSERT(parser->depth < DEPTH_MAX);
    parser->depth++;
    do {
        parser->at++;
        row = parse_row(parser);
        MOOT_ASSERT(row.count > 0);
        if (choices.count == 0 && *parser->at == ']' && row.repeats && fold(parser, into, &row)) {
            parser->at++;
            parser->depth--;
            return;
        }
        row_add(&choices, one_of_row(parser, row));
    } while (*parser->at == '|');
    MOOT_ASSERT(*parser->at == ']');
    parser->at++;
    parser->depth--;
    struct moot_argument *argument = choices.first;
    if (choices.count > 1) {
        argument = make(parser, MOOT_SLICE_LITERAL("option"), "oneof");
        argument->children = choices.first;
    }
    argument->optional = true;
    argument->multiple = row.repeats;
    row_add(into, argument);
}

/* Up to a bar, the closing bracket, or the end. */
static struct row parse_row(struct parser *parser)
{
    struct row row = {0};
    for (;;) {
        struct moot_slice word = peek_word(parser);
        if (word.size == 0 && *parser->at == '[') {
            parse_bracket(parser, &row);
            continue;
        }
        if (word.size == 0) {
            return row;
        }
        parser->at += word.size;
        if (moot_slice_equal(word, MOOT_SLICE_LITERAL("..."))) {
            row.repeats = true;
        } else if (memchr(word.data, '|', word.size) != NULL) {
            row_add(&row, parse_choice(parser, word));
        } else if (is_token(word)) {
            row_add(&row, parse_token(parser, word));
        } else {
            row_add(&row, make(parser, word, type_of(word)));
        }
    }
}

struct moot_argument *moot_syntax_parse(struct moot_arena *arena, const char *text)
{
    struct parser parser = {.arena = arena, .at = text};
    struct row row = parse_row(&parser);
    MOOT_ASSERT(*parser.at == '\0');
    MOOT_ASSERT(!row.repeats);
    return row.first;
}
