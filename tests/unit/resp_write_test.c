#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/status.h"
#include "wire/resp.h"

static void write_one_of_each(struct moot_resp *resp)
{
    moot_resp_simple(resp, "OK");
    moot_resp_error(resp, "ERR no\r\nsuch thing");
    moot_resp_integer(resp, 7);
    moot_resp_integer(resp, -42);
    moot_resp_integer(resp, INT64_MIN);
    moot_resp_bulk(resp, MOOT_SLICE_LITERAL("a\r\nb"));
    moot_resp_bulk(resp, (struct moot_slice){NULL, 0});
    moot_resp_bulk_text(resp, "hello world");
    moot_resp_bulk_u64(resp, UINT64_MAX);
    moot_resp_null(resp);
    moot_resp_null_array(resp);
    moot_resp_array(resp, 0);
    moot_resp_map(resp, 1);
    moot_resp_bulk_text(resp, "k");
    moot_resp_set(resp, 1);
    moot_resp_integer(resp, 1);
    moot_resp_push(resp, 1);
    moot_resp_boolean(resp, true);
    moot_resp_boolean(resp, false);
    moot_resp_double_text(resp, MOOT_SLICE_LITERAL("1.5"));
    moot_resp_verbatim(resp, "txt", MOOT_SLICE_LITERAL("some text"));
}

static const char WANTED_2[] = "+OK\r\n-ERR no  such thing\r\n:7\r\n:-42\r\n"
                               ":-9223372036854775808\r\n$4\r\na\r\nb\r\n$0\r\n\r\n"
                               "$11\r\nhello world\r\n$20\r\n18446744073709551615\r\n"
                               "$-1\r\n*-1\r\n*0\r\n*2\r\n$1\r\nk\r\n*1\r\n:1\r\n*1\r\n:1\r\n:0\r\n"
                               "$3\r\n1.5\r\n$9\r\nsome text\r\n";
static const char WANTED_3[] = "+OK\r\n-ERR no  such thing\r\n:7\r\n:-42\r\n"
                               ":-9223372036854775808\r\n$4\r\na\r\nb\r\n$0\r\n\r\n"
                               "$11\r\nhello world\r\n$20\r\n18446744073709551615\r\n"
                               "_\r\n_\r\n*0\r\n%1\r\n$1\r\nk\r\n~1\r\n:1\r\n>1\r\n#t\r\n#f\r\n"
                               ",1.5\r\n=13\r\ntxt:some text\r\n";

static struct moot_slice replies(uint8_t protocol, struct moot_buffer *buffer)
{
    moot_buffer_init(buffer);
    struct moot_resp resp = {buffer, protocol};
    write_one_of_each(&resp);
    return moot_buffer_slice(buffer);
}

/* Goal: bytes on the wire are those of the specification, and RESP2 gets what Redis gives it. */
static void replies_are_written_in_both_protocols(void **state)
{
    (void)state;
    struct moot_buffer buffer;
    struct moot_slice bytes = replies(2, &buffer);
    assert_true(moot_slice_equal(bytes, moot_slice_text(WANTED_2)));
    moot_buffer_deinit(&buffer);
    bytes = replies(3, &buffer);
    assert_true(moot_slice_equal(bytes, moot_slice_text(WANTED_3)));
    moot_buffer_deinit(&buffer);
}

static void expect_reply(struct moot_slice *bytes, enum moot_resp_type type, int64_t integer,
                         const char *text)
{
    struct moot_resp_value value;
    size_t consumed;
    assert_int_equal(moot_resp_read(*bytes, &value, &consumed), MOOT_OK);
    assert_int_equal(value.type, type);
    assert_int_equal(value.integer, integer);
    assert_true(moot_slice_equal(value.text, moot_slice_text(text)));
    bytes->data += consumed;
    bytes->size -= consumed;
}

/* Goal: our own clients read back what was written. */
static void replies_are_read_back(void **state)
{
    (void)state;
    for (uint8_t protocol = 2; protocol <= 3; protocol++) {
        bool three = protocol == 3;
        struct moot_buffer buffer;
        struct moot_slice left = replies(protocol, &buffer);
        expect_reply(&left, MOOT_RESP_SIMPLE, 0, "OK");
        expect_reply(&left, MOOT_RESP_ERROR, 0, "ERR no  such thing");
        expect_reply(&left, MOOT_RESP_INTEGER, 7, "");
        expect_reply(&left, MOOT_RESP_INTEGER, -42, "");
        expect_reply(&left, MOOT_RESP_INTEGER, INT64_MIN, "");
        expect_reply(&left, MOOT_RESP_BULK, 0, "a\r\nb");
        expect_reply(&left, MOOT_RESP_BULK, 0, "");
        expect_reply(&left, MOOT_RESP_BULK, 0, "hello world");
        expect_reply(&left, MOOT_RESP_BULK, 0, "18446744073709551615");
        expect_reply(&left, MOOT_RESP_NULL, 0, "");
        expect_reply(&left, MOOT_RESP_NULL, 0, "");
        expect_reply(&left, MOOT_RESP_ARRAY, 0, "");
        expect_reply(&left, three ? MOOT_RESP_MAP : MOOT_RESP_ARRAY, three ? 1 : 2, "");
        expect_reply(&left, MOOT_RESP_BULK, 0, "k");
        expect_reply(&left, three ? MOOT_RESP_SET : MOOT_RESP_ARRAY, 1, "");
        expect_reply(&left, MOOT_RESP_INTEGER, 1, "");
        expect_reply(&left, three ? MOOT_RESP_PUSH : MOOT_RESP_ARRAY, 1, "");
        expect_reply(&left, three ? MOOT_RESP_BOOLEAN : MOOT_RESP_INTEGER, 1, "");
        expect_reply(&left, three ? MOOT_RESP_BOOLEAN : MOOT_RESP_INTEGER, 0, "");
        expect_reply(&left, three ? MOOT_RESP_DOUBLE : MOOT_RESP_BULK, 0, "1.5");
        expect_reply(&left, three ? MOOT_RESP_VERBATIM : MOOT_RESP_BULK, 0, "some text");
        assert_int_equal(left.size, 0);
        moot_buffer_deinit(&buffer);
    }
}

/* Goal: a torn reply is never taken for a whole one. Method: every prefix of a stream of replies
 * splits into whole replies at the same places. */
static void torn_replies_need_more(void **state)
{
    (void)state;
    for (uint8_t protocol = 2; protocol <= 3; protocol++) {
        struct moot_buffer buffer;
        struct moot_slice all = replies(protocol, &buffer);
        size_t ends[64], end_count = 0, consumed;
        for (size_t at = 0; at < all.size; at += consumed) {
            struct moot_slice left = {all.data + at, all.size - at};
            assert_int_equal(moot_resp_skip(left, &consumed), MOOT_OK);
            for (size_t size = 0; size < consumed; size++) {
                size_t none;
                left.size = size;
                assert_int_equal(moot_resp_skip(left, &none), MOOT_EAGAIN);
                assert_int_equal(none, 0);
            }
            ends[end_count++] = at + consumed;
        }
        assert_int_equal(end_count, 17); /* A map or array with its elements is one reply. */
        assert_int_equal(ends[end_count - 1], all.size);
        moot_buffer_deinit(&buffer);
    }
}

/* Goal: what no server writes is refused, and nesting is bounded. */
static void malformed_replies_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "x\r\n",    "$x\r\n",        "$-2\r\n",        "*-2\r\n",     "$3\r\nabcd\r\n",
        ":1.5\r\n", "#x\r\n",        "_x\r\n",         "%-1\r\n",     ",\r\n",
        "+OK\rx",   "=3\r\nabc\r\n", "=4\r\nabcd\r\n", "*1\r\nx\r\n", "$999999999999\r\n",
    };
    size_t consumed;
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        assert_int_equal(moot_resp_skip(moot_slice_text(cases[i]), &consumed), MOOT_EINVALID);
    }
    struct moot_buffer nest;
    moot_buffer_init(&nest);
    for (int i = 0; i < 32; i++) {
        moot_buffer_append_text(&nest, "*1\r\n");
    }
    moot_buffer_append_text(&nest, ":1\r\n");
    assert_int_equal(moot_resp_skip(moot_buffer_slice(&nest), &consumed), MOOT_OK);
    assert_int_equal(consumed, nest.size);
    nest.size = 0;
    for (int i = 0; i < 33; i++) {
        moot_buffer_append_text(&nest, "*1\r\n");
    }
    assert_int_equal(moot_resp_skip(moot_buffer_slice(&nest), &consumed), MOOT_EINVALID);
    moot_buffer_deinit(&nest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_written_in_both_protocols),
        cmocka_unit_test(replies_are_read_back),
        cmocka_unit_test(torn_replies_need_more),
        cmocka_unit_test(malformed_replies_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
