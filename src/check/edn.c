#include "check/edn.h"

#include <string.h>

#include "base/buffer.h"
#include "base/limits.h"
#include "base/slice.h"

static bool fault(struct moot_edn_reader *reader, const char *why)
{
    if (reader->why == NULL) {
        reader->why = why;
    }
    reader->at = reader->end;
    return false;
}

void moot_edn_init(struct moot_edn_reader *reader, struct moot_slice text, struct moot_arena *arena)
{
    *reader = (struct moot_edn_reader){.at = text.data, .line = 1, .arena = arena};
    reader->end = text.size == 0 ? text.data : text.data + text.size;
}

static void skip_blanks(struct moot_edn_reader *reader)
{
    bool comment = false;
    for (; reader->at < reader->end; reader->at++) {
        uint8_t byte = *reader->at;
        bool blank = byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n' || byte == ',';
        comment = (comment || byte == ';') && byte != '\n';
        if (!blank && !comment) {
            return;
        }
        reader->line += byte == '\n';
    }
}

static bool ends_word(uint8_t byte) { return byte <= ' ' || strchr(",;\"()[]{}", byte) != NULL; }

static struct moot_slice read_word(struct moot_edn_reader *reader)
{
    const uint8_t *start = reader->at;
    while (reader->at < reader->end && !ends_word(*reader->at)) {
        reader->at++;
    }
    return moot_slice_make(start, (size_t)(reader->at - start));
}

/* Its bytes as they stand, up to the closing quote. */
static bool read_raw_string(struct moot_edn_reader *reader, struct moot_slice *text)
{
    const uint8_t *start = ++reader->at;
    while (reader->at < reader->end && *reader->at != '"') {
        reader->line += *reader->at == '\n';
        reader->at += *reader->at == '\\' && reader->at + 1 < reader->end ? 2 : 1;
    }
    if (reader->at >= reader->end) {
        return fault(reader, "a string has no end");
    }
    *text = moot_slice_make(start, (size_t)(reader->at++ - start));
    return true;
}

static bool read_string(struct moot_edn_reader *reader, struct moot_slice *text)
{
    struct moot_slice raw = {0};
    if (!read_raw_string(reader, &raw)) {
        return false;
    }
    uint8_t *out = moot_arena_alloc(reader->arena, raw.size + 1);
    size_t size = 0;
    for (const uint8_t *at = raw.data; at < raw.data + raw.size; at++) {
        static const char escapes[] = "n\nt\tr\rb\bf\f\"\"\\\\";
        uint8_t byte = *at;
        if (byte == '\\') {
            const char *escape = memchr(escapes, *++at, sizeof(escapes) - 1);
            if (escape == NULL || (escape - escapes) % 2 != 0) {
                return fault(reader,
                             "a string has an escape other than n t r b f \" and backslash");
            }
            byte = (uint8_t)escape[1];
        }
        out[size++] = byte;
    }
    *text = moot_slice_make(out, size);
    return true;
}

static bool read_value(struct moot_edn_reader *reader, struct moot_edn *value, size_t depth);

/* True when a value follows before `close`; hidden values are read over. */
static bool more(struct moot_edn_reader *reader, char close, size_t depth)
{
    skip_blanks(reader);
    while (reader->end - reader->at >= 2 && reader->at[0] == '#' && reader->at[1] == '_') {
        struct moot_edn hidden;
        reader->at += 2;
        if (depth >= MOOT_EDN_DEPTH_MAX || !read_value(reader, &hidden, depth + 1)) {
            return fault(reader, "nothing follows #_");
        }
        skip_blanks(reader);
    }
    if (reader->at == reader->end) {
        return close == 0 ? false : fault(reader, "a list or map has no end");
    }
    if (close != 0 && *reader->at == (uint8_t)close) {
        reader->at++;
        return false;
    }
    return true;
}

static bool read_items(struct moot_edn_reader *reader, char close, struct moot_edn *value,
                       size_t depth)
{
    struct moot_buffer items; /* struct moot_edn */
    moot_buffer_init(&items);
    while (more(reader, close, depth)) {
        struct moot_edn item;
        if (read_value(reader, &item, depth)) {
            moot_buffer_append(&items, &item, sizeof(item));
        }
    }
    struct moot_slice kept = moot_arena_copy(reader->arena, moot_buffer_slice(&items));
    moot_buffer_deinit(&items);
    value->items = (const struct moot_edn *)(const void *)kept.data;
    value->count = kept.size / sizeof(struct moot_edn);
    if (value->kind == MOOT_EDN_MAP && value->count % 2 != 0) {
        fault(reader, "a map has a key without a value");
    }
    return reader->why == NULL;
}

static bool read_number_or_symbol(struct moot_edn_reader *reader, struct moot_edn *value)
{
    struct moot_slice word = read_word(reader);
    if (word.size == 0) {
        return fault(reader, "a closing bracket without its opening one");
    }
    struct moot_slice digits = word;
    digits.size -= word.size > 1 && word.data[word.size - 1] == 'N'; /* A big integer. */
    value->kind = MOOT_EDN_SYMBOL;
    value->text = word;
    if (moot_slice_to_i64(digits, &value->integer)) {
        value->kind = MOOT_EDN_INTEGER;
    } else if (moot_slice_equal(word, moot_slice_text("nil"))) {
        value->kind = MOOT_EDN_NIL;
    }
    return true;
}

/* The first byte of a value is there. */
static bool read_value(struct moot_edn_reader *reader, struct moot_edn *value, size_t depth)
{
    *value = (struct moot_edn){.kind = MOOT_EDN_NIL};
    skip_blanks(reader);
    if (reader->at == reader->end) {
        return fault(reader, "a value is expected");
    }
    if (depth >= MOOT_EDN_DEPTH_MAX) {
        return fault(reader, "lists and maps are nested too deep");
    }
    value->line = reader->line;
    switch (*reader->at) {
    case '"':
        value->kind = MOOT_EDN_STRING;
        return read_string(reader, &value->text);
    case ':':
        reader->at++;
        value->kind = MOOT_EDN_KEYWORD;
        value->text = read_word(reader);
        return value->text.size > 0 || fault(reader, "a keyword is empty");
    case '[':
    case '(':
        value->kind = MOOT_EDN_SEQUENCE;
        return read_items(reader, *reader->at++ == '[' ? ']' : ')', value, depth + 1);
    case '{':
        reader->at++;
        value->kind = MOOT_EDN_MAP;
        return read_items(reader, '}', value, depth + 1);
    case '#':
        reader->at++;
        if (reader->at < reader->end && *reader->at == '{') {
            reader->at++;
            value->kind = MOOT_EDN_SEQUENCE;
            return read_items(reader, '}', value, depth + 1);
        }
        if (reader->at < reader->end && *reader->at == '"') { /* Its backslashes are its own. */
            value->kind = MOOT_EDN_STRING;
            return read_raw_string(reader, &value->text);
        }
        if (read_word(reader).size == 0) {
            return fault(reader, "a tag is empty");
        }
        return read_value(reader, value, depth + 1);
    default:
        return read_number_or_symbol(reader, value);
    }
}

bool moot_edn_next(struct moot_edn_reader *reader, struct moot_edn *value)
{
    return reader->why == NULL && more(reader, 0, 0) && read_value(reader, value, 0);
}

bool moot_edn_is_keyword(const struct moot_edn *value, const char *keyword)
{
    return value != NULL && value->kind == MOOT_EDN_KEYWORD &&
           moot_slice_equal(value->text, moot_slice_text(keyword));
}

const struct moot_edn *moot_edn_get(const struct moot_edn *map, const char *keyword)
{
    for (size_t i = 0; map->kind == MOOT_EDN_MAP && i + 1 < map->count; i += 2) {
        if (moot_edn_is_keyword(&map->items[i], keyword)) {
            return &map->items[i + 1];
        }
    }
    return NULL;
}
