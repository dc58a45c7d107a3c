#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slice.h"

/* Goal: globs match as Redis' do. Method: a table of hand-made points. */
static void glob_matches_as_redis_does(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"*", "", true},
        {"*", "abc", true},
        {"h?llo", "hello", true},
        {"h?llo", "hllo", false},
        {"h*llo", "heeeello", true},
        {"h[ae]llo", "hallo", true},
        {"h[ae]llo", "hillo", false},
        {"h[^e]llo", "hallo", true},
        {"h[^e]llo", "hello", false},
        {"h[a-b]llo", "hbllo", true},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"a*b*c", "aXbYbZc", true},
        {"a*b*c", "aXbYbZ", false},
        {"", "", true},
        {"", "a", false},
        {"[", "a", false},
        {"[a", "a", true},
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        assert_int_equal(moot_slice_matches_glob(moot_slice_text(cases[i].text),
                                                 moot_slice_text(cases[i].pattern), false),
                         cases[i].matches);
    }
}

/* Goal: numbers are read as Redis reads them: no leftovers, no overflow. Method: the edges. */
static void numbers_are_strict(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-1", true, -1},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"-9223372036854775808", true, INT64_MIN},
        {"-9223372036854775809", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"-0", false, 0},
        {"01", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1a", false, 0},
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        int64_t value = 0;
        assert_int_equal(moot_slice_to_i64(moot_slice_text(cases[i].text), &value), cases[i].good);
        assert_true(value == cases[i].value);
        if (cases[i].good) {
            char text[24];
            size_t size = moot_text_i64(text, value);
            assert_true(
                moot_slice_equal(moot_slice_make(text, size), moot_slice_text(cases[i].text)));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(glob_matches_as_redis_does),
        cmocka_unit_test(numbers_are_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
