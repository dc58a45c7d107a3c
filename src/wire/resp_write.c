/* Writing replies. What RESP2 lacks degrades as Redis degrades it, so that a client that never said
 * HELLO 3 sees what it would see there. (Redis protocol specification, "RESP3 ... types".) */
#include "base/assert.h"
#include "base/limits.h"
#include "base/status.h"
#include "wire/resp.h"

enum { HEAD_MAX = 1 + 20 + 2 }; /* A mark, a number, CR LF. */

static void check(const struct moot_resp *resp)
{
    MOOT_ASSERT(resp->out != NULL);
    MOOT_ASSERT(resp->protocol == 2 || resp->protocol == 3);
}

/* Writes `<mark><number>\r\n` to `at` and returns what follows. */
static uint8_t *put_head(uint8_t *at, char mark, uint64_t number)
{
    *at++ = (uint8_t)mark;
    if (number < 10) {
        *at++ = (uint8_t)('0' + number);
    } else {
        at += moot_text_u64((char *)at, number);
    }
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

static void append_head(struct moot_resp *resp, char mark, uint64_t number)
{
    check(resp);
    uint8_t *at = moot_buffer_reserve(resp->out, HEAD_MAX);
    resp->out->size += (size_t)(put_head(at, mark, number) - at);
}

static void append_bulk(struct moot_resp *resp, char mark, const char *prefix,
                        struct moot_slice bytes)
{
    check(resp);
    MOOT_ASSERT(bytes.size <= UINT32_MAX);
    size_t prefix_size = strlen(prefix);
    uint8_t *start = moot_buffer_reserve(resp->out, HEAD_MAX + prefix_size + bytes.size + 2);
    uint8_t *at = put_head(start, mark, prefix_size + bytes.size);
    memcpy(at, prefix, prefix_size);
    at += prefix_size;
    if (bytes.size > 0) {
        memcpy(at, bytes.data, bytes.size);
        at += bytes.size;
    }
    *at++ = '\r';
    *at++ = '\n';
    resp->out->size += (size_t)(at - start);
}

/* `<mark><text>\r\n`, where the text must stay on its line. */
static void append_line(struct moot_resp *resp, char mark, struct moot_slice text)
{
    check(resp);
    uint8_t *at = moot_buffer_reserve(resp->out, text.size + 3);
    *at++ = (uint8_t)mark;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        *at++ = c == '\r' || c == '\n' ? ' ' : c;
    }
    *at++ = '\r';
    *at++ = '\n';
    resp->out->size += text.size + 3;
}

void moot_resp_simple(struct moot_resp *resp, const char *text)
{
    append_line(resp, '+', moot_slice_text(text));
}

void moot_resp_error(struct moot_resp *resp, const char *text)
{
    moot_resp_error_slice(resp, moot_slice_text(text));
}

void moot_resp_error_slice(struct moot_resp *resp, struct moot_slice text)
{
    MOOT_ASSERT(text.size > 0);
    append_line(resp, '-', text);
}

void moot_resp_integer(struct moot_resp *resp, int64_t value)
{
    check(resp);
    uint8_t *start = moot_buffer_reserve(resp->out, HEAD_MAX + 1);
    uint8_t *at = start;
    if (value >= 0) {
        at = put_head(at, ':', (uint64_t)value);
    } else {
        *at++ = ':';
        at += moot_text_i64((char *)at, value);
        *at++ = '\r';
        *at++ = '\n';
    }
    resp->out->size += (size_t)(at - start);
}

void moot_resp_bulk(struct moot_resp *resp, struct moot_slice bytes)
{
    append_bulk(resp, '$', "", bytes);
}

void moot_resp_bulk_text(struct moot_resp *resp, const char *text)
{
    append_bulk(resp, '$', "", moot_slice_text(text));
}

void moot_resp_bulk_u64(struct moot_resp *resp, uint64_t value)
{
    char digits[24];
    append_bulk(resp, '$', "", moot_slice_make(digits, moot_text_u64(digits, value)));
}

static void append_null(struct moot_resp *resp, const char *resp2)
{
    check(resp);
    moot_buffer_append_text(resp->out, resp->protocol == 3 ? "_\r\n" : resp2);
}

void moot_resp_null(struct moot_resp *resp) { append_null(resp, "$-1\r\n"); }

void moot_resp_null_array(struct moot_resp *resp) { append_null(resp, "*-1\r\n"); }

void moot_resp_array(struct moot_resp *resp, uint64_t count) { append_head(resp, '*', count); }

void moot_resp_map(struct moot_resp *resp, uint64_t pairs)
{
    MOOT_ASSERT(pairs <= UINT64_MAX / 2);
    if (resp->protocol == 3) {
        append_head(resp, '%', pairs);
    } else {
        append_head(resp, '*', 2 * pairs);
    }
}

void moot_resp_set(struct moot_resp *resp, uint64_t count)
{
    append_head(resp, resp->protocol == 3 ? '~' : '*', count);
}

void moot_resp_push(struct moot_resp *resp, uint64_t count)
{
    append_head(resp, resp->protocol == 3 ? '>' : '*', count);
}

void moot_resp_boolean(struct moot_resp *resp, bool value)
{
    check(resp);
    const char *text = value ? "#t\r\n" : "#f\r\n";
    if (resp->protocol == 2) {
        text = value ? ":1\r\n" : ":0\r\n";
    }
    moot_buffer_append_text(resp->out, text);
}

void moot_resp_double_text(struct moot_resp *resp, struct moot_slice text)
{
    MOOT_ASSERT(text.size > 0);
    if (resp->protocol == 3) {
        append_line(resp, ',', text);
    } else {
        append_bulk(resp, '$', "", text);
    }
}

void moot_resp_verbatim(struct moot_resp *resp, const char format[4], struct moot_slice text)
{
    MOOT_ASSERT(strlen(format) == 3);
    if (resp->protocol == 3) {
        char prefix[5] = {format[0], format[1], format[2], ':', 0};
        append_bulk(resp, '=', prefix, text);
    } else {
        append_bulk(resp, '$', "", text);
    }
}
