#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "wire/beat.h"
#include "wire/datagram.h"

/* Not a secure MAC; enough to differ whenever key or message do. */
static void some_mac(void *context, struct moot_slice key, struct moot_slice message,
                     uint8_t out[MOOT_MAC_BYTES])
{
    (void)context;
    for (uint64_t i = 0; i < MOOT_MAC_BYTES / 8; i++) {
        moot_store_le64(out + 8 * i, moot_hash64(message, moot_hash64(key, i)));
    }
}

static const uint8_t OURS[MOOT_CLUSTER_ID_BYTES] = "one cluster";
static const uint8_t OTHERS[MOOT_CLUSTER_ID_BYTES] = "another";

static struct moot_admission with(const char *secret)
{
    return (struct moot_admission){moot_slice_text(secret), {some_mac, NULL}};
}

static enum moot_datagram_verdict open_with(const char *secret, const uint8_t *bytes, size_t size)
{
    struct moot_admission admission = with(secret);
    moot_node_id from = 99;
    struct moot_slice body = {NULL, 0};
    enum moot_datagram_verdict verdict =
        moot_datagram_open(&admission, OURS, moot_slice_make(bytes, size), &from, &body);
    assert_int_equal(from == 99, verdict != MOOT_DATAGRAM_ACCEPTED);
    return verdict;
}

/* Goal: a sealed body comes back with its sender, at every size that is allowed. */
static void what_is_sealed_opens(void **state)
{
    (void)state;
    struct moot_admission admission = with("secret");
    uint8_t body[MOOT_DATAGRAM_BODY_MAX], bytes[MOOT_DATAGRAM_BYTES_MAX];
    memset(body, 'x', sizeof(body));
    for (size_t size = 1; size <= sizeof(body); size += size < 40 ? 1 : 340) {
        size_t all = moot_datagram_seal(&admission, OURS, 7, moot_slice_make(body, size), bytes);
        moot_node_id from;
        struct moot_slice inside;
        assert_int_equal(all, size + MOOT_DATAGRAM_HEAD_BYTES);
        assert_int_equal(
            moot_datagram_open(&admission, OURS, moot_slice_make(bytes, all), &from, &inside),
            MOOT_DATAGRAM_ACCEPTED);
        assert_int_equal(from, 7);
        assert_int_equal(inside.size, size);
        assert_memory_equal(inside.data, body, size);
    }
}

/* Goal: no bit of a datagram can be changed, none of its bytes taken away, and no other secret or
 * cluster opens it. */
static void what_was_touched_does_not_open(void **state)
{
    (void)state;
    struct moot_admission admission = with("secret");
    uint8_t bytes[MOOT_DATAGRAM_BYTES_MAX + 1];
    size_t size =
        moot_datagram_seal(&admission, OURS, 7, MOOT_SLICE_LITERAL("ping, or what it is"), bytes);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(open_with("secret", bytes, size), MOOT_DATAGRAM_ACCEPTED);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t less = 0; less < size; less++) {
        assert_int_not_equal(open_with("secret", bytes, less), MOOT_DATAGRAM_ACCEPTED);
    }
    assert_int_equal(open_with("secret", bytes, size), MOOT_DATAGRAM_ACCEPTED);
    assert_int_equal(open_with("Secret", bytes, size), MOOT_DATAGRAM_FORGED);
    assert_int_equal(open_with("secret", bytes, MOOT_DATAGRAM_HEAD_BYTES), MOOT_DATAGRAM_MALFORMED);
    assert_int_equal(open_with("secret", bytes, sizeof(bytes)), MOOT_DATAGRAM_MALFORMED);
    size = moot_datagram_seal(&admission, OTHERS, 7, MOOT_SLICE_LITERAL("ping"), bytes);
    assert_int_equal(open_with("secret", bytes, size), MOOT_DATAGRAM_FOREIGN);
}

/* Goal: beats come back as they were, and nothing else is one. */
static void beats_are_told_from_all_else(void **state)
{
    (void)state;
    struct moot_beat beat = {MOOT_BEAT_ECHO, UINT64_C(0x123456789abcdef0), 4711}, back;
    uint8_t bytes[MOOT_BEAT_BYTES + 1] = {0};
    moot_beat_encode(&beat, bytes);
    assert_true(moot_beat_is(moot_slice_make(bytes, 1)));
    assert_true(moot_beat_decode(moot_slice_make(bytes, MOOT_BEAT_BYTES), &back));
    assert_int_equal(back.kind, beat.kind);
    assert_int_equal(back.number, beat.number);
    assert_int_equal(back.others_us, beat.others_us);
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        assert_int_equal(moot_beat_decode(moot_slice_make(bytes, size), &back),
                         size == MOOT_BEAT_BYTES);
    }
    for (size_t at = 0; at < 3; at++) {
        bytes[at] ^= 0x40;
        assert_false(moot_beat_decode(moot_slice_make(bytes, MOOT_BEAT_BYTES), &back));
        bytes[at] ^= 0x40;
    }
    assert_false(moot_beat_is(moot_slice_make(bytes + 1, 5)));
    assert_false(moot_beat_is(moot_slice_make(bytes, 0)));
}

_Noreturn void moot_assert_failed(const char *expression, const char *file, int line)
{
    printf("# %s:%d: %s\n", file, line, expression);
    fflush(stdout);
    __builtin_trap();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_opens),
        cmocka_unit_test(what_was_touched_does_not_open),
        cmocka_unit_test(beats_are_told_from_all_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
