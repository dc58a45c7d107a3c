#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/status.h"
#include "wire/resp.h"

/* What a parser made of some bytes, as text: `[SET][k]` a command, `()` an empty line, then how it
 * ended: `...` or the error. */
static void note_command(const struct moot_resp_parser *parser, struct moot_slice bytes,
                         struct moot_buffer *out)
{
    if (parser->arg_count == 0) {
        moot_buffer_append_text(out, "()");
    }
    for (uint32_t i = 0; i < parser->arg_count; i++) {
        moot_buffer_append_text(out, "[");
        moot_buffer_append_slice(out, moot_resp_arg(parser, bytes, i));
        moot_buffer_append_text(out, "]");
    }
    moot_buffer_append_text(out, ";");
}

/* Reads commands out of bytes[*at..size); `bytes` is a copy, so that reading past its end is seen
 * by the sanitizers. */
static int drain(struct moot_resp_parser *parser, struct moot_slice all, size_t size, size_t *at,
                 struct moot_buffer *out)
{
    for (;;) {
        size_t left = size - *at, consumed;
        uint8_t *copy = moot_alloc(left);
        if (left > 0) {
            memcpy(copy, all.data + *at, left);
        }
        struct moot_slice bytes = {copy, left};
        int status = moot_resp_parse(parser, bytes, &consumed);
        if (status == MOOT_OK) {
            assert_true(consumed > 0 && consumed <= left);
            note_command(parser, bytes, out);
            *at += consumed;
        }
        moot_free(copy);
        if (status != MOOT_OK) {
            return status;
        }
    }
}

/* Feeds `all` in pieces that end at each offset of `stops`, then whole. */
static void transcript(struct moot_slice all, size_t first_stop, size_t step,
                       struct moot_buffer *out)
{
    struct moot_resp_parser parser;
    moot_resp_parser_init(&parser);
    size_t at = 0;
    int status = MOOT_EAGAIN;
    for (size_t stop = first_stop; status == MOOT_EAGAIN; stop += step) {
        size_t size = stop < all.size ? stop : all.size;
        status = drain(&parser, all, size, &at, out);
        if (size == all.size) {
            break;
        }
    }
    if (status == MOOT_EAGAIN) {
        moot_buffer_append_text(out, "...");
    } else {
        moot_buffer_append_text(out, parser.error);
        size_t consumed;
        assert_int_equal(moot_resp_parse(&parser, all, &consumed), status);
    }
    moot_resp_parser_deinit(&parser);
}

static void expect(struct moot_slice all, size_t first_stop, size_t step, const char *wanted)
{
    struct moot_buffer out;
    moot_buffer_init(&out);
    transcript(all, first_stop, step, &out);
    moot_buffer_append(&out, "", 1);
    assert_string_equal((const char *)out.data, wanted);
    moot_buffer_deinit(&out);
}

/* Goal: commands, empty lines and errors are as Redis has them, however the bytes arrive.
 * Method: a table of hand-made points; each is read whole, torn once at every offset, and byte by
 * byte. */
static void torn_anywhere_reads_the_same(void **state)
{
    (void)state;
#define INVALID(text) "ERR Protocol error: " text
    static const struct {
        const char *bytes, *wanted;
    } cases[] = {
        {"*1\r\n$4\r\nPING\r\n", "[PING];..."},
        {"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
         "[SET][k][value];[GET][k];..."},
        {"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", "[GET][];..."},
        {"*1\r\n$12\r\n$1\r\n*2\r\nab\r\n\r\n", "[$1\r\n*2\r\nab\r\n];..."},
        {"*0\r\n*-1\r\n*-10\r\nPING\r\n", "();();();[PING];..."},
        {"\r\n\n  \r\nPING\n", "();();();[PING];..."},
        {"GET  key \t v\r\n*1\r\n$1\r\nx\r\n", "[GET][key][v];[x];..."},
        {"SET k \"a b\\n\\r\\t\\b\\a\\\\\\\"\\x41\\xfg\\q\" 'c \\' \\n'\r\n",
         "[SET][k][a b\n\r\t\b\a\\\"Axfgq][c ' \\n];..."},
        {"a\"b c\" '' \"\"\r\n", "[ab c][][];..."},
        {"*2\r\n$3\r\nGET\r\n$1\r\n", "..."},
        {"PING", "..."},
        /* Redis' own tests/unit/protocol.tcl has these. */
        {"*3000000000\r\n", INVALID("invalid multibulk length")},
        {"*1x\r\n", INVALID("invalid multibulk length")},
        {"*\r\n", INVALID("invalid multibulk length")},
        {"*01\r\n", INVALID("invalid multibulk length")},
        {"*1\rx", INVALID("invalid multibulk length")},
        {"*1048577\r\n", INVALID("invalid multibulk length")},
        {"*99999999999999999999\r\n", INVALID("invalid multibulk length")},
        {"*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", INVALID("expected '$', got 'f'")},
        {"*1\r\n\r\n", INVALID("expected '$', got ' '")},
        {"*1\r\n\x01", INVALID("expected '$', got '?'")},
        {"*1\r\n$-10\r\n", INVALID("invalid bulk length")},
        {"*1\r\n$2000000000\r\n", INVALID("invalid bulk length")},
        {"*1\r\n$8388609\r\n", INVALID("invalid bulk length")},
        {"*1\r\n$blabla\r\n", INVALID("invalid bulk length")},
        {"*1\r\n$3\r\nabcde\r\n", INVALID("invalid bulk length")},
        {"*1\r\n$3 \r\nabc\r\n", INVALID("invalid bulk length")},
        {"set \"\"\"test-key\"\"\" test-value\r\n", INVALID("unbalanced quotes in request")},
        {"PING\r\nset \"a\"b\r\nPING\r\n", "[PING];" INVALID("unbalanced quotes in request")},
        {"set 'a\r\n", INVALID("unbalanced quotes in request")},
        {"set \"a\\\r\n", INVALID("unbalanced quotes in request")},
        {"*1\r\n$4\r\nPING\r\n*1\r\n$x\r\n", "[PING];" INVALID("invalid bulk length")},
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        struct moot_slice all = moot_slice_text(cases[i].bytes);
        for (size_t stop = 0; stop <= all.size; stop++) {
            expect(all, stop, all.size, cases[i].wanted);
        }
        expect(all, 1, 1, cases[i].wanted);
        expect(all, 2, 3, cases[i].wanted);
    }
}

static struct moot_slice filled(struct moot_buffer *buffer, const char *start, char with,
                                size_t count, const char *end)
{
    moot_buffer_init(buffer);
    moot_buffer_append_text(buffer, start);
    memset(moot_buffer_reserve(buffer, count), with, count);
    buffer->size += count;
    moot_buffer_append_text(buffer, end);
    return moot_buffer_slice(buffer);
}

/* Goal: endless lines are refused at MOOT_INLINE_MAX, not collected, and a line just below it is
 * read; the same when torn. */
static void endless_lines_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *start, *wanted;
    } cases[] = {
        {"", INVALID("too big inline request")},
        {"*", INVALID("too big mbulk count string")},
        {"*1\r\n$", INVALID("too big bulk count string")},
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        struct moot_buffer buffer;
        struct moot_slice all = filled(&buffer, cases[i].start, '1', MOOT_INLINE_MAX, "\r\n");
        expect(all, all.size, 1, cases[i].wanted);
        expect(all, 1, 4099, cases[i].wanted);
        moot_buffer_deinit(&buffer);
        all = filled(&buffer, cases[i].start, '1', MOOT_INLINE_MAX - 10, "");
        expect(all, 1, 4099, "...");
        moot_buffer_deinit(&buffer);
    }
    struct moot_buffer buffer;
    struct moot_slice all = filled(&buffer, "", ' ', MOOT_INLINE_MAX - 6, "PING\r\n");
    expect(all, 1, 5000, "[PING];...");
    moot_buffer_deinit(&buffer);
}

/* Goal: the largest value is read, whole or torn; one command over MOOT_QUERY_MAX is refused before
 * its bytes have arrived. */
static void largest_values_pass_and_no_larger_request(void **state)
{
    (void)state;
    struct moot_buffer buffer;
    struct moot_slice all =
        filled(&buffer, "*2\r\n$3\r\nSET\r\n$8388608\r\n", 'v', MOOT_VALUE_MAX, "\r\n");
    struct moot_resp_parser parser;
    moot_resp_parser_init(&parser);
    size_t consumed;
    for (size_t size = 1; size < all.size; size += 70001) {
        struct moot_slice part = {all.data, size};
        assert_int_equal(moot_resp_parse(&parser, part, &consumed), MOOT_EAGAIN);
    }
    assert_int_equal(moot_resp_parse(&parser, all, &consumed), MOOT_OK);
    assert_int_equal(consumed, all.size);
    assert_int_equal(parser.arg_count, 2);
    assert_int_equal(moot_resp_arg(&parser, all, 1).size, MOOT_VALUE_MAX);

    /* Two of them do not fit a command. */
    buffer.data[1] = '3';
    all = moot_buffer_slice(&buffer);
    assert_int_equal(moot_resp_parse(&parser, all, &consumed), MOOT_EAGAIN);
    moot_buffer_append_text(&buffer, "$8388608\r\n");
    all = moot_buffer_slice(&buffer);
    assert_int_equal(moot_resp_parse(&parser, all, &consumed), MOOT_ELIMIT);
    assert_string_equal(parser.error, INVALID("too big request"));
    moot_resp_parser_deinit(&parser);
    moot_buffer_deinit(&buffer);

    /* A larger one is refused also when all of it is there at once. */
    all = filled(&buffer, "*2\r\n$3\r\nSET\r\n$8388609\r\n", 'v', MOOT_VALUE_MAX + 1, "\r\n");
    moot_resp_parser_init(&parser);
    assert_int_equal(moot_resp_parse(&parser, all, &consumed), MOOT_ELIMIT);
    assert_string_equal(parser.error, INVALID("invalid bulk length"));
    moot_resp_parser_deinit(&parser);
    moot_buffer_deinit(&buffer);
}

/* Goal: a command of MOOT_ARGS_MAX arguments is read; memory follows what arrived, not what was
 * announced, and is given back after. */
static void many_arguments_cost_only_what_arrives(void **state)
{
    (void)state;
    struct moot_buffer buffer;
    moot_buffer_init(&buffer);
    moot_buffer_append_text(&buffer, "*1048576\r\n");
    struct moot_resp_parser parser;
    moot_resp_parser_init(&parser);
    size_t consumed;
    assert_int_equal(moot_resp_parse(&parser, moot_buffer_slice(&buffer), &consumed), MOOT_EAGAIN);
    assert_int_equal(parser.arg_capacity, 0);
    for (int i = 0; i < MOOT_ARGS_MAX; i++) {
        moot_buffer_append_text(&buffer, "$1\r\na\r\n");
    }
    struct moot_slice all = moot_buffer_slice(&buffer);
    assert_int_equal(moot_resp_parse(&parser, all, &consumed), MOOT_OK);
    assert_int_equal(parser.arg_count, MOOT_ARGS_MAX);
    assert_int_equal(consumed, all.size);
    assert_int_equal(
        moot_resp_parse(&parser, MOOT_SLICE_LITERAL("*1\r\n$4\r\nPING\r\n"), &consumed), MOOT_OK);
    assert_true(parser.arg_capacity <= 1024);
    moot_resp_parser_deinit(&parser);
    moot_buffer_deinit(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torn_anywhere_reads_the_same),
        cmocka_unit_test(endless_lines_are_refused),
        cmocka_unit_test(largest_values_pass_and_no_larger_request),
        cmocka_unit_test(many_arguments_cost_only_what_arrives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
