/* Goal: the checker of time to live finds values that live too long or go too early, and passes
 * what may have happened; large values come back as their text or not at all.
 * Method: histories made by hand, in milliseconds; every value lives for 100 of them, but those
 * that live for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "check/expiry.h"
#include "check/large.h"
#include "check_histories.h"

#define CASE_MAX 6
#define GOOD     MOOT_JUDGEMENT_VALID
#define BAD      MOOT_JUDGEMENT_VIOLATION
#define UNKNOWN  MOOT_JUDGEMENT_UNKNOWN
#define MS(n)    ((n)*MOOT_MSEC_NS)

#define SET(call, ret, text)                                                                       \
    OK(1, WRITE, MS(call), MS(ret), .argument = TEXT(text), .lives_ms = 100)
#define KEPT(call, ret, text) OK(1, WRITE, MS(call), MS(ret), .argument = TEXT(text))
#define SEEN(call, ret, text) OK(2, READ, MS(call), MS(ret), .result = TEXT(text))
#define GONE(call, ret)       OK(2, READ, MS(call), MS(ret), .result = NIL)
#define MAYBE(call, text)     DOUBT(3, WRITE, MS(call), .argument = TEXT(text), .lives_ms = 100)

static const struct hand_made {
    const char *name;
    enum moot_judgement judgement;
    struct moot_operation operations[CASE_MAX];
} cases[] = {
    {"there, then gone", GOOD, {SET(0, 1, "a"), SEEN(50, 51, "a"), GONE(101, 102)}},
    {"seen a little late", GOOD, {SET(0, 1, "a"), SEEN(110, 111, "a")}},
    {"seen too late", BAD, {SET(0, 1, "a"), SEEN(112, 113, "a")}},
    {"gone a little early", GOOD, {SET(0, 1, "a"), GONE(94, 95)}},
    {"gone too early", BAD, {SET(0, 1, "a"), GONE(93, 94)}},
    {"not there yet", GOOD, {GONE(0, 1), SET(2, 3, "a")}},
    {"during the write, either", GOOD, {SET(0, 9, "a"), GONE(1, 2), SEEN(3, 4, "a")}},
    {"a later write lives longer", BAD, {SET(0, 1, "a"), SET(90, 91, "b"), GONE(120, 121)}},
    {"its end is its own", GOOD, {SET(0, 1, "a"), SET(90, 91, "b"), GONE(190, 191)}},
    {"which was last is not known", GOOD, {SET(0, 99, "a"), SET(90, 91, "b"), GONE(120, 121)}},
    {"in doubt, it may have been last and ended",
     GOOD,
     {MAYBE(0, "a"), SET(50, 51, "b"), GONE(120, 121)}},
    {"in doubt, but it cannot have ended", BAD, {SET(0, 1, "a"), MAYBE(2, "b"), GONE(60, 61)}},
    {"in doubt, it may come late", GOOD, {MAYBE(0, "a"), SEEN(900, 901, "a")}},
    {"nobody wrote it", BAD, {SET(0, 1, "a"), SEEN(2, 3, "z")}},
    {"its write failed",
     BAD,
     {FAIL(1, WRITE, MS(0), MS(1), .argument = TEXT("a")), SEEN(2, 3, "a")}},
    {"a length says nothing", GOOD, {SET(0, 1, "a"), OK(2, LENGTH, MS(2), MS(3), .result = NIL)}},
    {"what lives for ever stays", GOOD, {KEPT(0, 1, "a"), SEEN(900, 901, "a")}},
    {"what lives for ever is gone", BAD, {KEPT(0, 1, "a"), GONE(900, 901)}},
    {"it came back", BAD, {SET(0, 1, "a"), GONE(96, 97), SEEN(98, 99, "a")}},
    {"it came back in another's eyes, who asked at once",
     GOOD,
     {SET(0, 1, "a"), GONE(96, 99), SEEN(97, 98, "a")}},
    {"an old value was read", BAD, {SET(0, 1, "a"), SET(2, 3, "b"), SEEN(4, 5, "a")}},
    {"an old value came back when the new one had gone",
     BAD,
     {SET(0, 1, "a"), SET(2, 3, "b"), SEEN(4, 5, "b"), SEEN(104, 105, "a")}},
    {"gone, and written anew",
     GOOD,
     {SET(0, 1, "a"), GONE(101, 102), SET(103, 104, "b"), SEEN(105, 106, "b")}},
    {"in doubt, it came after the other had gone",
     GOOD,
     {MAYBE(0, "a"), SET(1, 2, "b"), GONE(110, 111), SEEN(112, 113, "a")}},
    {"another kind", UNKNOWN, {SET(0, 1, "a"), OK(2, DELETE, MS(2), MS(3))}},
};

static void by_hand(void **state)
{
    (void)state;
    const struct moot_expiry_options options = {.late_ms = 10, .early_ms = 5};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        struct moot_history history;
        struct moot_verdict verdict;
        size_t operations = 0;
        while (operations < CASE_MAX && cases[i].operations[operations].process != 0) {
            operations++;
        }
        history_of(&history, cases[i].operations, operations);
        moot_verdict_init(&verdict);
        moot_check_expiry(&history, &options, &verdict);
        if (verdict.judgement != cases[i].judgement) {
            fail_msg("%s: %s: %.*s", cases[i].name, moot_judgement_text(verdict.judgement),
                     (int)verdict.words.size, (const char *)verdict.words.data);
        }
        moot_verdict_deinit(&verdict);
        moot_history_deinit(&history);
    }
}

static void large_values(void **state)
{
    (void)state;
    const uint64_t magic = 0x91a2b3c4d5e6f7e8;
    struct moot_buffer bytes;
    moot_buffer_init(&bytes);
    size_t longest = 0;
    for (unsigned i = 0; i < 64; i++) {
        char name[16];
        struct moot_slice text;
        moot_buffer_reset(&bytes, SIZE_MAX);
        size_t size = (size_t)snprintf(name, sizeof(name), "%u.%u", i, i * i);
        moot_large_put(moot_slice_make(name, size), magic, &bytes);
        longest = bytes.size > longest ? bytes.size : longest;
        assert_true(moot_large_take(moot_buffer_slice(&bytes), magic, &text));
        assert_true(moot_slice_equal(text, moot_slice_make(name, size)));
        bytes.data[bytes.size - 1] ^= 1;
        bool taken = moot_large_take(moot_buffer_slice(&bytes), magic, &text);
        assert_false(taken && moot_slice_equal(text, moot_slice_make(name, size)));
        if (bytes.size > size + 1) {
            bytes.data[bytes.size - 1] ^= 1;
            assert_false(
                moot_large_take((struct moot_slice){bytes.data, bytes.size - 1}, magic, &text));
        }
    }
    assert_true(longest > MOOT_LARGE_MAX / 2);
    moot_buffer_deinit(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(large_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
