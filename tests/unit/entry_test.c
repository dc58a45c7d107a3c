#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/codec.h"
#include "base/status.h"
#include "database/group/entry.h"

static const struct moot_entry ENTRY = {.kind = MOOT_ENTRY_EXPIRE,
                                        .flags = 0x8001,
                                        .stamp = 0x1122334455667788,
                                        .seed = UINT64_MAX - 1,
                                        .edge = 0xfffffffe,
                                        .edge_incarnation = 0x0102030405060708,
                                        .batch = 1ull << 63};

/* Goal: an entry comes back as it was. Method: extreme numbers, with and without a body. */
static void decode_undoes_put_header(void **state)
{
    (void)state;
    uint8_t bytes[MOOT_ENTRY_HEADER_BYTES + 3] = {0};
    struct moot_entry out;
    moot_entry_put_header(bytes, &ENTRY);
    memcpy(bytes + MOOT_ENTRY_HEADER_BYTES, "abc", 3);
    for (size_t body = 0; body <= 3; body += 3) {
        struct moot_slice all = moot_slice_make(bytes, MOOT_ENTRY_HEADER_BYTES + body);
        assert_int_equal(moot_entry_decode(all, &out), 0);
        assert_int_equal(out.kind, ENTRY.kind);
        assert_int_equal(out.flags, ENTRY.flags);
        assert_true(out.stamp == ENTRY.stamp);
        assert_true(out.seed == ENTRY.seed);
        assert_true(out.edge == ENTRY.edge);
        assert_true(out.edge_incarnation == ENTRY.edge_incarnation);
        assert_true(out.batch == ENTRY.batch);
        assert_true(moot_slice_equal(out.body, moot_slice_make("abc", body)));
    }
}

/* Goal: the layout never changes: journals of older releases hold it. Method: the bytes. */
static void layout_is_for_ever(void **state)
{
    (void)state;
    static const uint8_t expected[MOOT_ENTRY_HEADER_BYTES] = {
        1,    5,    1,    0x80, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0xfe, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 8,    7,    6,    5,
        4,    3,    2,    1,    0,    0,    0,    0,    0,    0,    0,    0x80};
    uint8_t bytes[MOOT_ENTRY_HEADER_BYTES];
    moot_entry_put_header(bytes, &ENTRY);
    assert_memory_equal(bytes, expected, sizeof(expected));
}

/* Goal: what is not an entry of this release is refused. Method: every short length, every version,
 * every kind. */
static void others_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[MOOT_ENTRY_HEADER_BYTES];
    struct moot_entry out;
    moot_entry_put_header(bytes, &ENTRY);
    for (size_t size = 0; size < sizeof(bytes); size++) {
        assert_int_equal(moot_entry_decode(moot_slice_make(bytes, size), &out), MOOT_EINVALID);
    }
    for (int value = 0; value < 256; value++) {
        bytes[0] = (uint8_t)value;
        assert_int_equal(moot_entry_decode(moot_slice_make(bytes, sizeof(bytes)), &out),
                         value == MOOT_ENTRY_VERSION ? 0 : MOOT_EVERSION);
    }
    bytes[0] = MOOT_ENTRY_VERSION;
    for (int value = 0; value < 256; value++) {
        bytes[1] = (uint8_t)value;
        assert_int_equal(moot_entry_decode(moot_slice_make(bytes, sizeof(bytes)), &out),
                         value <= MOOT_ENTRY_CUT ? 0 : MOOT_EVERSION);
    }
}

static bool decode_members(struct moot_slice bytes, struct moot_members *out)
{
    struct moot_reader reader = moot_reader_make(bytes);
    return moot_members_decode(&reader, out);
}

/* Goal: a configuration comes back as it was; one cut short, or not valid, is refused. Method: a
 * joint one and the largest, every truncation, every byte changed to every value. */
static void members_are_valid_or_refused(void **state)
{
    (void)state;
    struct moot_members samples[2] = {{.voters = {1, 2, 5},
                                       .voter_count = 3,
                                       .outgoing = {1, 2, 3},
                                       .outgoing_count = 3,
                                       .learners = {7},
                                       .learner_count = 1,
                                       .learners_next = {3},
                                       .learner_next_count = 1}};
    for (uint8_t i = 0; i < MOOT_QUORUM_VOTERS_MAX; i++) {
        samples[1].voters[samples[1].voter_count++] = i + 1u;
    }
    for (uint8_t i = 0; i < MOOT_QUORUM_LEARNERS_MAX; i++) {
        samples[1].learners[samples[1].learner_count++] = i + 100u;
    }
    for (size_t i = 0; i < MOOT_ARRAY_LEN(samples); i++) {
        struct moot_buffer bytes;
        struct moot_members out;
        moot_buffer_init(&bytes);
        moot_members_encode(&samples[i], &bytes);
        assert_true(decode_members(moot_buffer_slice(&bytes), &out));
        assert_true(moot_members_equal(&samples[i], &out));
        for (size_t size = 0; size < bytes.size; size++) {
            assert_false(decode_members(moot_slice_make(bytes.data, size), &out));
        }
        for (size_t at = 0; at < bytes.size; at++) {
            uint8_t before = bytes.data[at];
            for (int value = 0; value < 256; value++) {
                bytes.data[at] = (uint8_t)value;
                if (decode_members(moot_buffer_slice(&bytes), &out)) {
                    assert_true(moot_members_is_valid(&out));
                }
            }
            bytes.data[at] = before;
        }
        moot_buffer_deinit(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_undoes_put_header),
        cmocka_unit_test(layout_is_for_ever),
        cmocka_unit_test(others_are_refused),
        cmocka_unit_test(members_are_valid_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
