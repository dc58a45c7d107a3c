#include "command_script.h"

#include "database/command/decimal.h"

#define RUN(steps) script_run(steps, MOOT_ARRAY_LEN(steps))
#define WRONG      "-WRONGTYPE Operation against a key holding the wrong kind of value"
#define NOT_INT    "-ERR value is not an integer or out of range"

/* Goal: every option of SET does what Redis documents, alone and together. */
static void set_with_every_option(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GET k", "$-1"},
        {"SET k v", "+OK"},
        {"GET k", "$1 v"},
        {"SET k w NX", "$-1"},
        {"GET k", "$1 v"},
        {"SET k w XX", "+OK"},
        {"SET other x XX", "$-1"},
        {"EXISTS other", ":0"},
        {"SET k x GET", "$1 w"},
        {"SET k y NX GET", "$1 x"},
        {"SET new z NX GET", "$-1"},
        {"GET new", "$1 z"},
        {"SET k y IFEQ x", "+OK"},
        {"SET k z IFEQ x", "$-1"},
        {"SET k z IFNE x", "+OK"},
        {"SET k z IFNE z", "$-1"},
        {"SET absent z IFEQ z", "$-1"},
        {"SET absent z IFNE q", "+OK"},
        {"SET k 1 EX 10", "+OK"},
        {"TTL k", ":10"},
        {"SET k 2 KEEPTTL", "+OK"},
        {"TTL k", ":10"},
        {"GET k", "$1 2"},
        {"SET k 3", "+OK"},
        {"TTL k", ":-1"},
        {"SET k v PX 1500", "+OK"},
        {"PTTL k", ":1500"},
        {"!pass 1499", ""},
        {"GET k", "$1 v"},
        {"!pass 1", ""},
        {"GET k", "$-1"},
        {"SET k v KEEPTTL", "+OK"},
        {"TTL k", ":-1"},
        {"SET k v EXAT 1700000100", "+OK"},
        {"EXPIRETIME k", ":1700000100"},
        {"SET k v PXAT 1700000100123", "+OK"},
        {"PEXPIRETIME k", ":1700000100123"},
        {"SET k v EX 5 EX 6", "+OK"},
        {"TTL k", ":6"},
        {"SET k gone PXAT 5", "+OK"},
        {"EXISTS k", ":0"},
        {"set k v ex 10 nx", "+OK"},
        {"SET k v NX XX", "-ERR syntax error"},
        {"SET k v XX IFEQ v", "-ERR syntax error"},
        {"SET k v EX 1 PX 1", "-ERR syntax error"},
        {"SET k v EX 1 KEEPTTL", "-ERR syntax error"},
        {"SET k v PERSIST", "-ERR syntax error"},
        {"SET k v EX", "-ERR syntax error"},
        {"SET k v IFEQ", "-ERR syntax error"},
        {"SET k v FOO", "-ERR syntax error"},
        {"SET k v EX x", NOT_INT},
        {"SET k v EX 0", "-ERR invalid expire time in 'set' command"},
        {"SET k v PX -1", "-ERR invalid expire time in 'set' command"},
        {"SET k v EX 9223372036854775807", "-ERR invalid expire time in 'set' command"},
        {"SET k v PX 9223372036854775807", "-ERR invalid expire time in 'set' command"},
        {"SET k v PXAT 9223372036854775807", "+OK"},
        {"RPUSH l a", ":1"},
        {"SET l v GET", WRONG},
        {"SET l v IFEQ v", WRONG},
        {"SET l v NX", "$-1"},
        {"TYPE l", "+list"},
        {"SET l v", "+OK"},
        {"GET l", "$1 v"},
        {"!resp3", ""},
        {"GET nosuch", "_"},
        {"SET k w NX", "_"},
        {"SET \"\" \"a b\\r\\n\\0c\"", "+OK"},
        {"STRLEN \"\"", ":7"},
    };
    RUN(steps);
}

static void the_old_setters(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"SETNX k a", ":1"},
        {"SETNX k b", ":0"},
        {"GETSET k c", "$1 a"},
        {"GETSET new c", "$-1"},
        {"SETEX k 10 d", "+OK"},
        {"TTL k", ":10"},
        {"GETSET k e", "$1 d"},
        {"TTL k", ":-1"},
        {"PSETEX k 1600 f", "+OK"},
        {"TTL k", ":2"},
        {"SETEX k 0 v", "-ERR invalid expire time in 'setex' command"},
        {"PSETEX k -1 v", "-ERR invalid expire time in 'psetex' command"},
        {"SETEX k x v", NOT_INT},
        {"GETDEL k", "$1 f"},
        {"GETDEL k", "$-1"},
        {"RPUSH l a", ":1"},
        {"GETSET l v", WRONG},
        {"GETDEL l", WRONG},
        {"SETNX l v", ":0"},
        {"SETEX l 5 v", "+OK"},
        {"TYPE l", "+string"},
    };
    RUN(steps);
}

static void getex_changes_the_expiry(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"GETEX k", "$-1"},
        {"GETEX k EX 0", "$-1"},
        {"SET k v", "+OK"},
        {"GETEX k", "$1 v"},
        {"TTL k", ":-1"},
        {"GETEX k EX 10", "$1 v"},
        {"TTL k", ":10"},
        {"GETEX k", "$1 v"},
        {"TTL k", ":10"},
        {"GETEX k PXAT 1700000009000", "$1 v"},
        {"PTTL k", ":9000"},
        {"GETEX k PERSIST", "$1 v"},
        {"TTL k", ":-1"},
        {"GETEX k EX 0", "-ERR invalid expire time in 'getex' command"},
        {"GETEX k KEEPTTL", "-ERR syntax error"},
        {"GETEX k NX", "-ERR syntax error"},
        {"GETEX k EX 1 PERSIST", "-ERR syntax error"},
        {"GETEX k EXAT 1", "$1 v"},
        {"EXISTS k", ":0"},
        {"RPUSH l a", ":1"},
        {"GETEX l", WRONG},
    };
    RUN(steps);
}

static void many_keys(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"MSET a 1 b 2 a 3", "+OK"},
        {"MGET a b c", "*3 $1 3 $1 2 $-1"},
        {"MSET a 1 b", "-ERR wrong number of arguments for 'mset' command"},
        {"MSETNX a 1 b", "-ERR wrong number of arguments for 'msetnx' command"},
        {"MSETNX c 1 a 2", ":0"},
        {"EXISTS c", ":0"},
        {"MSETNX c 1 d 2 c 3", ":1"},
        {"MGET c d", "*2 $1 3 $1 2"},
        {"RPUSH l a", ":1"},
        {"MGET l a", "*2 $-1 $1 3"},
        {"MSET l 1 a 2", "+OK"},
        {"TYPE l", "+string"},
        {"!resp3", ""},
        {"MGET a nosuch", "*2 $1 2 _"},
    };
    RUN(steps);
}

static void parts_of_strings(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"APPEND k hello", ":5"},
        {"APPEND k \" world\"", ":11"},
        {"GETRANGE k 0 4", "$5 hello"},
        {"GETRANGE k -5 -1", "$5 world"},
        {"SUBSTR k -5 100", "$5 world"},
        {"GETRANGE k 5 3", "$0 "},
        {"GETRANGE k -1 -5", "$0 "},
        {"GETRANGE k -100 -50", "$1 h"},
        {"GETRANGE k 100 200", "$0 "},
        {"GETRANGE k 0 -1", "$11 hello world"},
        {"GETRANGE k -9223372036854775808 9223372036854775807", "$11 hello world"},
        {"GETRANGE nosuch 0 -1", "$0 "},
        {"GETRANGE k x 1", NOT_INT},
        {"GETRANGE k 1 x", NOT_INT},
        {"EXPIRE k 100", ":1"},
        {"SETRANGE k 6 redis", ":11"},
        {"GET k", "$11 hello redis"},
        {"TTL k", ":100"},
        {"APPEND k !", ":12"},
        {"TTL k", ":100"},
        {"SETRANGE new 3 x", ":4"},
        {"STRLEN new", ":4"},
        {"GETRANGE new 3 3", "$1 x"},
        {"SETRANGE nosuch 5 \"\"", ":0"},
        {"EXISTS nosuch", ":0"},
        {"SETRANGE new 100 \"\"", ":4"},
        {"SETRANGE new -1 x", "-ERR offset is out of range"},
        {"SETRANGE new x x", NOT_INT},
        {"SETRANGE new 8388607 x", ":8388608"},
        {"SETRANGE new 8388608 x", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"},
        {"SETRANGE new 9223372036854775807 x",
         "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"},
        {"APPEND new x", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)"},
        {"STRLEN new", ":8388608"},
        {"STRLEN nosuch", ":0"},
        {"APPEND empty \"\"", ":0"},
        {"EXISTS empty", ":1"},
        {"RPUSH l a", ":1"},
        {"APPEND l x", WRONG},
        {"STRLEN l", WRONG},
        {"GETRANGE l 0 1", WRONG},
        {"SETRANGE l 0 x", WRONG},
    };
    RUN(steps);
}

static void counters(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {"INCR n", ":1"},
        {"INCRBY n 10", ":11"},
        {"DECR n", ":10"},
        {"DECRBY n 15", ":-5"},
        {"INCRBY n -5", ":-10"},
        {"GET n", "$3 -10"},
        {"EXPIRE n 50", ":1"},
        {"INCR n", ":-9"},
        {"TTL n", ":50"},
        {"SET n 9223372036854775807", "+OK"},
        {"INCR n", "-ERR increment or decrement would overflow"},
        {"DECRBY n -1", "-ERR increment or decrement would overflow"},
        {"SET n -9223372036854775808", "+OK"},
        {"DECR n", "-ERR increment or decrement would overflow"},
        {"INCRBY n 9223372036854775807", ":-1"},
        {"DECRBY n -9223372036854775808", "-ERR decrement would overflow"},
        {"INCRBY n x", NOT_INT},
        {"INCRBY n 1.5", NOT_INT},
        {"INCRBY n 9223372036854775808", NOT_INT},
        {"SET n abc", "+OK"},
        {"INCR n", NOT_INT},
        {"SET n \"1 \"", "+OK"},
        {"INCR n", NOT_INT},
        {"SET n \"\"", "+OK"},
        {"INCR n", NOT_INT},
        {"RPUSH l a", ":1"},
        {"INCR l", WRONG},
        {"INCRBYFLOAT l 1", WRONG},
        {"INCRBYFLOAT f 10.5", "$4 10.5"},
        {"INCRBYFLOAT f 0.1", "$4 10.6"},
        {"INCRBYFLOAT f -5", "$3 5.6"},
        {"INCRBYFLOAT f -5.6", "$1 0"},
        {"INCRBYFLOAT f 5.0e3", "$4 5000"},
        {"EXPIRE f 50", ":1"},
        {"INCRBYFLOAT f 2.0e2", "$4 5200"},
        {"TTL f", ":50"},
        {"INCRBYFLOAT f x", "-ERR value is not a valid float"},
        {"INCRBYFLOAT f nan", "-ERR value is not a valid float"},
        {"INCRBYFLOAT f \"\"", "-ERR value is not a valid float"},
        {"INCRBYFLOAT f inf", "-ERR increment would produce NaN or Infinity"},
        {"INCRBYFLOAT f 1e400", "-ERR increment would produce NaN or Infinity"},
        {"GET f", "$4 5200"},
        {"SET f abc", "+OK"},
        {"INCRBYFLOAT f 1", "-ERR value is not a valid float"},
        {"SET f \" 1\"", "+OK"},
        {"INCRBYFLOAT f 1", "-ERR value is not a valid float"},
    };
    RUN(steps);
}

/* Goal: decimal sums are exact and printed as Redis prints. Method: a table by hand. */
static void decimals_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b, *sum;
    } cases[] = {
        {"0.1", "0.2", "0.3"},
        {"3.0e3", ".1", "3000.1"},
        {"1e17", "0.00000000000000001", "100000000000000000.00000000000000001"},
        {"-1", "1", "0"},
        {"-0", "0", "0"},
        {"-0.5", "0.25", "-0.25"},
        {"+1.", "2", "3"},
        {"9.99999999999999999", "0.00000000000000001", "10"},
        {"0.000000000000000005", "0", "0"}, /* A half: to the even digit. */
        {"0.000000000000000015", "0", "0.00000000000000002"},
        {"0.0000000000000000050001", "0", "0.00000000000000001"},
        {"-0.000000000000000001", "0", "0"},
        {"123e-2", "0", "1.23"},
        {"1e-300", "1", "1"},
        {"0e999999", "7", "7"},
        {"1E2", "1e+2", "200"},
        {"18446744073709551616", "1", "18446744073709551617"},
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        struct moot_decimal a, b, sum;
        char text[MOOT_DECIMAL_TEXT_MAX + 1];
        assert_int_equal(moot_decimal_parse(moot_slice_text(cases[i].a), &a), 0);
        assert_int_equal(moot_decimal_parse(moot_slice_text(cases[i].b), &b), 0);
        assert_int_equal(moot_decimal_add(&a, &b, &sum), 0);
        text[moot_decimal_text(&sum, text)] = '\0';
        assert_string_equal(text, cases[i].sum);
        assert_int_equal(moot_decimal_add(&b, &a, &sum), 0);
        text[moot_decimal_text(&sum, text)] = '\0';
        assert_string_equal(text, cases[i].sum);
    }
    static const char *const bad[] = {"",   ".", "-",     "+",    "e5",  "1e",  "1e+", "1 ",
                                      " 1", "x", "1.2.3", "0x10", "nan", "1,5", "--1", "1e5.5"};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(bad); i++) {
        struct moot_decimal number;
        assert_int_equal(moot_decimal_parse(moot_slice_text(bad[i]), &number), MOOT_EINVALID);
    }
    static const char *const infinite[] = {"inf", "-Infinity", "1e309", "1e99999999999999999999"};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(infinite); i++) {
        struct moot_decimal number;
        assert_int_equal(moot_decimal_parse(moot_slice_text(infinite[i]), &number), MOOT_ELIMIT);
    }
}

/* Goal: sums agree with integer arithmetic over many magnitudes. Method: random numbers with a
 * fixed count of decimals, compared with the sum of scaled integers. */
static void decimals_agree_with_integers(void **state)
{
    (void)state;
    struct moot_rng rng;
    moot_rng_init(&rng, 20);
    for (int round = 0; round < 3000; round++) {
        int64_t numbers[2];
        struct moot_decimal parsed[2], sum;
        for (int i = 0; i < 2; i++) {
            numbers[i] = (int64_t)(moot_rng_next(&rng) >> moot_rng_between(&rng, 3, 60));
            numbers[i] = moot_rng_chance(&rng, 1, 2) ? -numbers[i] : numbers[i];
            char text[64];
            int size = snprintf(text, sizeof text, "%lde-5", (long)numbers[i]);
            assert_int_equal(moot_decimal_parse(moot_slice_make(text, (size_t)size), &parsed[i]),
                             0);
        }
        assert_int_equal(moot_decimal_add(&parsed[0], &parsed[1], &sum), 0);
        char got[MOOT_DECIMAL_TEXT_MAX + 1], want[64];
        got[moot_decimal_text(&sum, got)] = '\0';
        int64_t total = numbers[0] + numbers[1];
        uint64_t size = (uint64_t)(total < 0 ? -total : total);
        int length = snprintf(want, sizeof want, "%s%lu.%05lu", total < 0 ? "-" : "",
                              (unsigned long)(size / 100000), (unsigned long)(size % 100000));
        while (want[length - 1] == '0') {
            want[--length] = '\0';
        }
        want[length - (want[length - 1] == '.')] = '\0';
        assert_string_equal(got, want);
    }
}

static void timeouts_are_rounded_up(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
        const char *error;
    } cases[] = {
        {"0", 0, NULL},
        {"1", 1000, NULL},
        {"0.0001", 1, NULL},
        {"1.5", 1500, NULL},
        {"0.0019", 2, NULL},
        {"-0", 0, NULL},
        {"1e3", 1000000, NULL},
        {"x", 0, "ERR timeout is not a float or out of range"},
        {"-1", 0, "ERR timeout is negative"},
        {"1e30", 0, "ERR timeout is out of range"},
        {"inf", 0, "ERR timeout is out of range"},
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        uint64_t ms = 0;
        const char *error = moot_decimal_timeout(moot_slice_text(cases[i].text), &ms);
        assert_int_equal(error == NULL, cases[i].error == NULL);
        if (error != NULL) {
            assert_string_equal(error, cases[i].error);
        } else {
            assert_int_equal(ms, cases[i].ms);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_with_every_option),    cmocka_unit_test(the_old_setters),
        cmocka_unit_test(getex_changes_the_expiry), cmocka_unit_test(many_keys),
        cmocka_unit_test(parts_of_strings),         cmocka_unit_test(counters),
        cmocka_unit_test(decimals_are_exact),       cmocka_unit_test(decimals_agree_with_integers),
        cmocka_unit_test(timeouts_are_rounded_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
