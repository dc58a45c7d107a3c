#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slice.h"
#include "base/status.h"
#include "database/execute/head.h"

static const struct moot_head HEADS[] = {
    {.type = MOOT_TYPE_STRING, .stamp = {7, 8}, .expiry_ms = 9},
    {.type = MOOT_TYPE_STRING, .stamp = {UINT64_MAX, UINT32_MAX}, .string = {(uint8_t *)"abc", 3}},
    {.type = MOOT_TYPE_HASH, .stamp = {1, 2}, .incarnation = 3, .count = 4, .digest = 5},
    {.type = MOOT_TYPE_LIST,
     .incarnation = UINT64_MAX,
     .count = 2,
     .digest = UINT64_MAX,
     .first = -5,
     .last = INT64_MAX},
};

/* Goal: a head comes back as it was. Method: one of each kind, with extreme numbers. */
static void decode_undoes_encode(void **state)
{
    (void)state;
    for (size_t i = 0; i < MOOT_ARRAY_LEN(HEADS); i++) {
        struct moot_buffer bytes;
        struct moot_head out;
        moot_buffer_init(&bytes);
        moot_head_encode(&HEADS[i], &bytes);
        assert_int_equal(bytes.size, moot_head_size(&HEADS[i]));
        assert_int_equal(moot_head_decode(moot_buffer_slice(&bytes), &out), MOOT_OK);
        assert_int_equal(out.type, HEADS[i].type);
        assert_true(moot_stamp_equal(out.stamp, HEADS[i].stamp));
        assert_true(out.expiry_ms == HEADS[i].expiry_ms);
        assert_true(moot_slice_equal(out.string, HEADS[i].string));
        assert_true(out.incarnation == HEADS[i].incarnation);
        assert_true(out.count == HEADS[i].count);
        assert_true(out.digest == HEADS[i].digest);
        assert_true(out.first == HEADS[i].first);
        assert_true(out.last == HEADS[i].last);
        moot_buffer_deinit(&bytes);
    }
}

/* Goal: what is damaged or from another release is refused, not guessed at. Method: every length,
 * and each byte of the common part that has few legal values. */
static void decode_refuses_damage(void **state)
{
    (void)state;
    for (size_t i = 0; i < MOOT_ARRAY_LEN(HEADS); i++) {
        struct moot_buffer bytes;
        struct moot_head out;
        moot_buffer_init(&bytes);
        moot_head_encode(&HEADS[i], &bytes);
        moot_buffer_append(&bytes, "x", 1);
        bool is_string = HEADS[i].type == MOOT_TYPE_STRING;
        for (size_t size = 0; size <= bytes.size; size++) {
            bool is_whole = is_string ? size >= 23 : size == bytes.size - 1;
            assert_int_equal(moot_head_decode((struct moot_slice){bytes.data, size}, &out),
                             is_whole ? MOOT_OK : MOOT_ECORRUPT);
        }
        bytes.size--;
        for (size_t at = 0; at < 3; at++) {
            uint8_t was = bytes.data[at];
            bytes.data[at] = 0x80;
            assert_int_equal(moot_head_decode(moot_buffer_slice(&bytes), &out), MOOT_EVERSION);
            bytes.data[at] = was;
        }
        moot_buffer_deinit(&bytes);
    }
}

static void types_have_redis_names(void **state)
{
    (void)state;
    assert_string_equal(moot_type_name(MOOT_TYPE_NONE), "none");
    assert_string_equal(moot_type_name(MOOT_TYPE_STRING), "string");
    assert_string_equal(moot_type_name(MOOT_TYPE_LIST), "list");
    assert_string_equal(moot_type_name(MOOT_TYPE_SET), "set");
    assert_string_equal(moot_type_name(MOOT_TYPE_ZSET), "zset");
    assert_string_equal(moot_type_name(MOOT_TYPE_HASH), "hash");
    assert_string_equal(moot_type_name(MOOT_TYPE_STREAM), "stream");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_undoes_encode),
        cmocka_unit_test(decode_refuses_damage),
        cmocka_unit_test(types_have_redis_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
