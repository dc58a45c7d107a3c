/* Reading commands. The common command, an array of short bulk strings that is all there, runs
 * through one loop over a pointer; everything else (torn lines, long numbers, errors) leaves that
 * loop through line_end(), which remembers how far it has looked. Error texts are those of Redis
 * (networking.c of Redis 7 answers them as "-ERR Protocol error: ..."). */
#include "base/assert.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/rule.h"
#include "base/status.h"
#include "wire/resp.h"

enum {
    ARGS_FIRST = 16,    /* Fits nearly every command. */
    ARGS_KEEP = 1024,   /* More than this is given back before the next command. */
    INLINE_KEEP = 1024, /* As ARGS_KEEP, bytes. */
};

void moot_resp_parser_init(struct moot_resp_parser *parser)
{
    *parser = (struct moot_resp_parser){.state = MOOT_RESP_AT_START};
    moot_buffer_init(&parser->inline_text);
}

void moot_resp_parser_deinit(struct moot_resp_parser *parser)
{
    moot_free(parser->args);
    moot_buffer_deinit(&parser->inline_text);
    *parser = (struct moot_resp_parser){.state = MOOT_RESP_AT_START};
}

static int fail(struct moot_resp_parser *parser, int status, const char *text)
{
    parser->state = MOOT_RESP_FAILED;
    parser->error = text;
    parser->arg_count = 0;
    parser->failure = MOOT_FAIL(status);
    return parser->failure;
}

static int fail_expected_bulk(struct moot_resp_parser *parser, uint8_t got)
{
    static const char TEXT[] = "ERR Protocol error: expected '$', got ' '";
    _Static_assert(sizeof(TEXT) <= sizeof(parser->error_text), "the text must fit");
    memcpy(parser->error_text, TEXT, sizeof(TEXT));
    if (got != '\r' && got != '\n') { /* Redis has blanks for these in every error. */
        parser->error_text[sizeof(TEXT) - 3] = got >= ' ' && got <= '~' ? (char)got : '?';
    }
    return fail(parser, MOOT_EINVALID, parser->error_text);
}

static void add_arg(struct moot_resp_parser *parser, size_t offset, size_t size)
{
    MOOT_ASSERT(offset + size <= UINT32_MAX);
    if (__builtin_expect(parser->arg_count == parser->arg_capacity, 0)) {
        /* Grows with what has arrived, not with what was announced: `*1048576` alone is cheap. */
        parser->arg_capacity = parser->arg_capacity == 0 ? ARGS_FIRST : 2 * parser->arg_capacity;
        parser->args =
            moot_realloc(parser->args, parser->arg_capacity * sizeof(struct moot_resp_arg));
    }
    parser->args[parser->arg_count++] = (struct moot_resp_arg){(uint32_t)offset, (uint32_t)size};
}

static void begin(struct moot_resp_parser *parser)
{
    parser->arg_count = 0;
    parser->args_are_inline = false;
    parser->token = 0;
    parser->scanned = 0;
    if (__builtin_expect(parser->arg_capacity > ARGS_KEEP, 0)) {
        moot_free(parser->args);
        parser->args = NULL;
        parser->arg_capacity = 0;
    }
    if (__builtin_expect(parser->inline_text.size > 0, 0)) {
        moot_buffer_reset(&parser->inline_text, INLINE_KEEP);
    }
}

/* The end of the line that begins at parser->token: 0, and *end is the offset of `last`, which is
 * among its first MOOT_INLINE_MAX bytes. Nothing is looked at twice. MOOT_ELIMIT: it is not. */
static int line_end(struct moot_resp_parser *parser, struct moot_slice bytes, int last, size_t *end)
{
    size_t from = parser->scanned > parser->token ? parser->scanned : parser->token;
    size_t to = moot_min_u64(bytes.size, parser->token + MOOT_INLINE_MAX);
    const uint8_t *found = from < to ? memchr(bytes.data + from, last, to - from) : NULL;
    if (found != NULL) {
        *end = (size_t)(found - bytes.data);
        parser->scanned = *end;
        return MOOT_OK;
    }
    parser->scanned = to;
    return to == parser->token + MOOT_INLINE_MAX ? MOOT_ELIMIT : MOOT_EAGAIN;
}

/* Reads the line `<mark><number>\r\n` at parser->token, whatever the number is. *next is the offset
 * behind it. Reached by long numbers, torn lines and malformed ones. */
static int number_line(struct moot_resp_parser *parser, struct moot_slice bytes, int64_t *number,
                       size_t *next, const char *invalid, const char *too_big)
{
    size_t end;
    int status = line_end(parser, bytes, '\r', &end);
    if (status == MOOT_ELIMIT) {
        return fail(parser, MOOT_ELIMIT, too_big);
    }
    if (status != MOOT_OK || end + 1 == bytes.size) {
        MOOT_SOMETIMES(status == MOOT_OK, "a command torn between CR and LF");
        return MOOT_EAGAIN;
    }
    struct moot_slice digits = {bytes.data + parser->token + 1, end - parser->token - 1};
    if (bytes.data[end + 1] != '\n' || !moot_slice_to_i64(digits, number)) {
        return fail(parser, MOOT_EINVALID, invalid);
    }
    *next = end + 2;
    return MOOT_OK;
}

/* ---- inline commands ---- */

/* As isspace() in the C locale. */
static bool is_blank(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One escape of a double-quoted string: at[0] is the backslash. Returns the bytes it takes. */
static size_t unescape(const uint8_t *at, size_t left, uint8_t *out)
{
    MOOT_ASSERT(left >= 2);
    if (at[1] == 'x' && left >= 4 && hex_digit(at[2]) >= 0 && hex_digit(at[3]) >= 0) {
        *out = (uint8_t)(hex_digit(at[2]) * 16 + hex_digit(at[3]));
        return 4;
    }
    switch (at[1]) {
    case 'n':
        *out = '\n';
        break;
    case 'r':
        *out = '\r';
        break;
    case 't':
        *out = '\t';
        break;
    case 'b':
        *out = '\b';
        break;
    case 'a':
        *out = '\a';
        break;
    default:
        *out = at[1];
    }
    return 2;
}

/* Copies the quoted part that begins behind line[from - 1], a quote. Returns the offset behind the
 * closing quote, which must end the argument; 0 when the quotes are unbalanced. */
static size_t copy_quoted(struct moot_slice line, size_t from, struct moot_buffer *out)
{
    uint8_t quote = line.data[from - 1];
    MOOT_ASSERT(quote == '"' || quote == '\'');
    for (size_t at = from; at < line.size;) {
        uint8_t c = line.data[at];
        if (c == quote) {
            bool ends = at + 1 == line.size || is_blank(line.data[at + 1]);
            return ends ? at + 1 : 0;
        }
        size_t taken = 1;
        if (c == '\\' && at + 1 < line.size) {
            if (quote == '"') {
                taken = unescape(line.data + at, line.size - at, &c);
            } else if (line.data[at + 1] == '\'') {
                c = '\'';
                taken = 2;
            }
        }
        moot_buffer_append(out, &c, 1);
        at += taken;
    }
    return 0;
}

/* Splits a line as Redis' sdssplitargs does. False: unbalanced quotes. */
static bool split(struct moot_resp_parser *parser, struct moot_slice line)
{
    struct moot_buffer *out = &parser->inline_text;
    size_t at = 0;
    for (;;) {
        while (at < line.size && is_blank(line.data[at])) {
            at++;
        }
        if (at == line.size) {
            return true;
        }
        size_t start = out->size;
        while (at < line.size) {
            uint8_t c = line.data[at];
            if (c == ' ' || c == '\t' || c == '\r') {
                break;
            }
            at++;
            if (c == '"' || c == '\'') {
                at = copy_quoted(line, at, out);
                if (at == 0) {
                    return false;
                }
                break;
            }
            moot_buffer_append(out, &c, 1);
        }
        add_arg(parser, start, out->size - start);
    }
}

static int parse_inline(struct moot_resp_parser *parser, struct moot_slice bytes, size_t *consumed)
{
    size_t end;
    int status = line_end(parser, bytes, '\n', &end);
    if (status == MOOT_ELIMIT) {
        return fail(parser, MOOT_ELIMIT, "ERR Protocol error: too big inline request");
    }
    if (status != MOOT_OK) {
        return status;
    }
    struct moot_slice line = {bytes.data, end};
    if (line.size > 0 && line.data[line.size - 1] == '\r') {
        line.size--;
    }
    parser->args_are_inline = true;
    /* Never NULL, so that an empty argument has an address too. */
    moot_buffer_reserve(&parser->inline_text, line.size + 1);
    if (!split(parser, line)) {
        return fail(parser, MOOT_EINVALID, "ERR Protocol error: unbalanced quotes in request");
    }
    parser->state = MOOT_RESP_AT_START;
    *consumed = end + 1;
    return MOOT_OK;
}

/* ---- arrays of bulk strings ---- */

/* A number of up to 7 digits without leading zeros, and CR LF: returns what follows, or NULL when
 * the line is not so plain or not all there. */
static inline const uint8_t *plain_number(const uint8_t *at, const uint8_t *end, uint32_t *number)
{
    if (end - at < 3) {
        return NULL;
    }
    const uint8_t *stop = end - at < 9 ? end - 2 : at + 7;
    uint32_t value = (uint32_t)*at - '0';
    if (value > 9) {
        return NULL;
    }
    at++;
    if (value != 0) {
        while (at < stop) {
            uint32_t digit = (uint32_t)*at - '0';
            if (digit > 9) {
                break;
            }
            value = value * 10 + digit;
            at++;
        }
    }
    if (at[0] != '\r' || at[1] != '\n') {
        return NULL;
    }
    *number = value;
    return at + 2;
}

static int parse_count(struct moot_resp_parser *parser, struct moot_slice bytes, size_t *consumed)
{
    static const char INVALID[] = "ERR Protocol error: invalid multibulk length";
    int64_t count = 0;
    size_t next = 0;
    uint32_t plain;
    const uint8_t *behind = plain_number(bytes.data + 1, bytes.data + bytes.size, &plain);
    if (behind != NULL) {
        count = plain;
        next = (size_t)(behind - bytes.data);
    } else {
        int status = number_line(parser, bytes, &count, &next, INVALID,
                                 "ERR Protocol error: too big mbulk count string");
        if (status != MOOT_OK) {
            return status;
        }
    }
    if (count > MOOT_ARGS_MAX) {
        return fail(parser, MOOT_ELIMIT, INVALID);
    }
    if (count <= 0) { /* Redis takes `*0` and `*-1` for an empty line. */
        parser->state = MOOT_RESP_AT_START;
        *consumed = next;
        return MOOT_OK;
    }
    parser->arg_want = (uint32_t)count;
    parser->token = next;
    parser->state = MOOT_RESP_IN_SIZE;
    return MOOT_OK;
}

/* The size line at parser->token, which is not plain or not all there. */
static int parse_size(struct moot_resp_parser *parser, struct moot_slice bytes)
{
    static const char INVALID[] = "ERR Protocol error: invalid bulk length";
    if (parser->token == bytes.size) {
        return MOOT_EAGAIN;
    }
    if (bytes.data[parser->token] != '$') {
        return fail_expected_bulk(parser, bytes.data[parser->token]);
    }
    int64_t size = 0;
    size_t next = 0;
    int status = number_line(parser, bytes, &size, &next, INVALID,
                             "ERR Protocol error: too big bulk count string");
    if (status != MOOT_OK) {
        return status;
    }
    if (size < 0) {
        return fail(parser, MOOT_EINVALID, INVALID);
    }
    if (size > MOOT_VALUE_MAX) {
        return fail(parser, MOOT_ELIMIT, INVALID);
    }
    parser->bulk_size = (uint32_t)size;
    parser->token = next;
    parser->state = MOOT_RESP_IN_BODY;
    return MOOT_OK;
}

/* The bulk string at parser->token, of which the size is known. */
static int parse_body(struct moot_resp_parser *parser, struct moot_slice bytes)
{
    size_t end = parser->token + parser->bulk_size;
    if (end + 2 > MOOT_QUERY_MAX) {
        return fail(parser, MOOT_ELIMIT, "ERR Protocol error: too big request");
    }
    if (bytes.size < end + 2) {
        return MOOT_EAGAIN;
    }
    /* Redis skips these two unseen; a client that counts wrongly is told here, not commands later.
     */
    if (bytes.data[end] != '\r' || bytes.data[end + 1] != '\n') {
        return fail(parser, MOOT_EINVALID, "ERR Protocol error: invalid bulk length");
    }
    add_arg(parser, parser->token, parser->bulk_size);
    parser->token = end + 2;
    parser->state = MOOT_RESP_IN_SIZE;
    return MOOT_OK;
}

/* Takes whole plain bulk strings as long as they last; stops before the first that is not. */
static void take_plain_bulks(struct moot_resp_parser *parser, struct moot_slice bytes)
{
    const uint8_t *end = bytes.data + bytes.size;
    const uint8_t *at = bytes.data + parser->token;
    uint32_t size;
    while (parser->arg_count < parser->arg_want && at < end && *at == '$') {
        const uint8_t *body = plain_number(at + 1, end, &size);
        if (body == NULL || size > MOOT_VALUE_MAX || size + 2 > (size_t)(end - body) ||
            body[size] != '\r' || body[size + 1] != '\n' ||
            size + 2 + (size_t)(body - bytes.data) > MOOT_QUERY_MAX) {
            break;
        }
        add_arg(parser, (size_t)(body - bytes.data), size);
        at = body + size + 2;
    }
    parser->token = (size_t)(at - bytes.data);
}

static int parse_bulks(struct moot_resp_parser *parser, struct moot_slice bytes, size_t *consumed)
{
    MOOT_ASSERT(parser->token <= bytes.size);
    while (parser->arg_count < parser->arg_want) {
        int status;
        if (parser->state == MOOT_RESP_IN_SIZE) {
            take_plain_bulks(parser, bytes);
            if (parser->arg_count == parser->arg_want) {
                break;
            }
            status = parse_size(parser, bytes);
        } else {
            MOOT_ASSERT(parser->state == MOOT_RESP_IN_BODY);
            status = parse_body(parser, bytes);
        }
        if (status != MOOT_OK) {
            return status;
        }
    }
    MOOT_ASSERT(parser->token <= bytes.size);
    parser->state = MOOT_RESP_AT_START;
    *consumed = parser->token;
    return MOOT_OK;
}

int moot_resp_parse(struct moot_resp_parser *parser, struct moot_slice bytes, size_t *consumed)
{
    *consumed = 0;
    if (parser->state == MOOT_RESP_FAILED) {
        return parser->failure;
    }
    if (bytes.size == 0) {
        return MOOT_EAGAIN;
    }
    if (parser->state == MOOT_RESP_AT_START) {
        begin(parser);
        parser->state = bytes.data[0] == '*' ? MOOT_RESP_IN_COUNT : MOOT_RESP_IN_INLINE;
    }
    if (parser->state == MOOT_RESP_IN_INLINE) {
        return parse_inline(parser, bytes, consumed);
    }
    if (parser->state == MOOT_RESP_IN_COUNT) {
        int status = parse_count(parser, bytes, consumed);
        if (status != MOOT_OK || parser->state == MOOT_RESP_AT_START) {
            return status;
        }
    }
    return parse_bulks(parser, bytes, consumed);
}
