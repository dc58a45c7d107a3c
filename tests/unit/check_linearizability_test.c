#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "check_histories.h"

#define CASE_MAX 8

struct hand_made {
    const char *name;
    const struct moot_model *model;
    enum moot_judgement judgement;
    struct moot_operation operations[CASE_MAX];
};

#define GOOD                  MOOT_JUDGEMENT_VALID
#define BAD                   MOOT_JUDGEMENT_VIOLATION
#define W(p, call, ret, text) OK(p, WRITE, call, ret, .argument = TEXT(text))
#define R(p, call, ret, ...)  OK(p, READ, call, ret, .result = __VA_ARGS__)
#define INCR(p, call, ret, n)                                                                      \
    OK(p, INCREMENT, call, ret, .argument = NUMBER(1), .result = NUMBER(n))
#define CAS(p, call, ret, from, to, n)                                                             \
    OK(p, CAS, call, ret, .expected = TEXT(from), .argument = TEXT(to), .result = NUMBER(n))
#define PUSH(p, call, ret, text, n)                                                                \
    OK(p, PUSH, call, ret, .argument = TEXT(text), .result = NUMBER(n))
#define APPEND(p, call, ret, text, n)                                                              \
    OK(p, APPEND, call, ret, .argument = TEXT(text), .result = NUMBER(n))

static const struct hand_made registers[] = {
    {"nothing happened", &moot_model_register, GOOD, {{0}}},
    {"nil before the first write", &moot_model_register, GOOD, {R(1, 0, 1, NIL), W(1, 2, 3, "a")}},
    {"a read during a write may see either",
     &moot_model_register,
     GOOD,
     {W(1, 0, 10, "a"), R(2, 1, 2, NIL), R(3, 3, 4, TEXT("a")), R(2, 11, 12, TEXT("a"))}},
    {"new, then old again, during one write",
     &moot_model_register,
     BAD,
     {W(1, 0, 10, "a"), R(2, 1, 2, TEXT("a")), R(3, 3, 4, NIL)}},
    {"stale read",
     &moot_model_register,
     BAD,
     {W(1, 0, 1, "a"), W(1, 2, 3, "b"), R(2, 4, 5, TEXT("a"))}},
    {"stale nil, with the first write at time 0",
     &moot_model_register,
     BAD,
     {W(1, 0, 5, "a"), R(2, 8, 9, NIL)}},
    {"acknowledged write lost",
     &moot_model_register,
     BAD,
     {W(1, 0, 1, "a"), R(2, 2, 3, TEXT("a")), R(2, 4, 5, NIL)}},
    {"read from the future", &moot_model_register, BAD, {R(2, 0, 1, TEXT("a")), W(1, 2, 3, "a")}},
    {"a value that nobody wrote",
     &moot_model_register,
     BAD,
     {W(1, 0, 1, "a"), R(2, 2, 3, TEXT("z"))}},
    {"dirty read of a failed write",
     &moot_model_register,
     BAD,
     {FAIL(1, WRITE, 0, 1, .argument = TEXT("a")), R(2, 2, 3, TEXT("a"))}},
    {"a failed write was not seen",
     &moot_model_register,
     GOOD,
     {FAIL(1, WRITE, 0, 1, .argument = TEXT("a")), R(2, 2, 3, NIL)}},
    {"in doubt, seen much later",
     &moot_model_register,
     GOOD,
     {DOUBT(1, WRITE, 0, .argument = TEXT("a")), R(2, 5, 6, NIL), R(2, 90, 91, TEXT("a"))}},
    {"in doubt, never seen",
     &moot_model_register,
     GOOD,
     {DOUBT(1, WRITE, 0, .argument = TEXT("a")), R(2, 5, 6, NIL)}},
    {"in doubt, seen, then unseen",
     &moot_model_register,
     BAD,
     {DOUBT(1, WRITE, 0, .argument = TEXT("a")), R(2, 5, 6, TEXT("a")), R(2, 7, 8, NIL)}},
    {"in doubt, seen before it was called",
     &moot_model_register,
     BAD,
     {R(2, 0, 1, TEXT("a")), DOUBT(1, WRITE, 5, .argument = TEXT("a"))}},
    {"in doubt, overwrites later",
     &moot_model_register,
     GOOD,
     {DOUBT(1, WRITE, 0, .argument = TEXT("a")), W(2, 5, 6, "b"), R(2, 7, 8, TEXT("b")),
      R(2, 9, 10, TEXT("a"))}},
    {"in doubt, happens twice",
     &moot_model_register,
     BAD,
     {DOUBT(1, WRITE, 0, .argument = TEXT("a")), R(2, 1, 2, TEXT("a")), W(2, 5, 6, "b"),
      R(2, 7, 8, TEXT("b")), R(2, 9, 10, TEXT("a"))}},
    {"two readers disagree on the order of two writes",
     &moot_model_register,
     BAD,
     {W(1, 0, 20, "a"), W(2, 0, 20, "b"), R(3, 21, 22, TEXT("a")), R(4, 23, 24, TEXT("b"))}},
    {"a read's missing result says nothing",
     &moot_model_register,
     GOOD,
     {W(1, 0, 1, "a"), R(2, 2, 3, NOTHING), DOUBT(2, READ, 4, .argument = NOTHING)}},
    {"cas moves on",
     &moot_model_register,
     GOOD,
     {W(1, 0, 1, "a"), CAS(1, 2, 3, "a", "b", 1), CAS(2, 4, 5, "a", "c", 0),
      R(2, 6, 7, TEXT("b"))}},
    {"two cas win from one value",
     &moot_model_register,
     BAD,
     {W(1, 0, 1, "a"), CAS(1, 2, 9, "a", "b", 1), CAS(2, 2, 9, "a", "c", 1)}},
    {"a cas is refused though its value was there",
     &moot_model_register,
     BAD,
     {W(1, 0, 1, "a"), CAS(1, 2, 3, "a", "b", 0)}},
    {"a refused cas changed the value",
     &moot_model_register,
     BAD,
     {W(1, 0, 1, "a"), CAS(1, 2, 3, "z", "b", 0), R(1, 4, 5, TEXT("b"))}},
    {"a cas in doubt may win late",
     &moot_model_register,
     GOOD,
     {W(1, 0, 1, "a"), DOUBT(1, CAS, 2, .expected = TEXT("a"), .argument = TEXT("b")),
      R(2, 6, 7, TEXT("a")), R(2, 8, 9, TEXT("b"))}},
    {"a cas in doubt cannot win against another value",
     &moot_model_register,
     BAD,
     {W(1, 0, 1, "z"), DOUBT(1, CAS, 2, .expected = TEXT("a"), .argument = TEXT("b")),
      R(2, 8, 9, TEXT("b"))}},
    {"create when absent",
     &moot_model_register,
     BAD,
     {OK(1, CAS, 0, 9, .expected = NIL, .argument = TEXT("a"), .result = NUMBER(1)),
      OK(2, CAS, 0, 9, .expected = NIL, .argument = TEXT("b"), .result = NUMBER(1))}},
    {"delete, then nil",
     &moot_model_register,
     GOOD,
     {W(1, 0, 1, "a"), OK(1, DELETE, 2, 3, .result = NUMBER(1)), R(1, 4, 5, NIL),
      OK(1, DELETE, 6, 7, .result = NUMBER(0))}},
    {"deleted data comes back",
     &moot_model_register,
     BAD,
     {W(1, 0, 1, "a"), OK(1, DELETE, 2, 3, .result = NUMBER(1)), R(1, 4, 5, TEXT("a"))}},
    {"two deletes of one value",
     &moot_model_register,
     BAD,
     {W(1, 0, 1, "a"), OK(1, DELETE, 2, 9, .result = NUMBER(1)),
      OK(2, DELETE, 2, 9, .result = NUMBER(1))}},
    {"swaps hand the value on",
     &moot_model_register,
     GOOD,
     {OK(1, SWAP, 0, 9, .argument = TEXT("a"), .result = TEXT("b")),
      OK(2, SWAP, 0, 9, .argument = TEXT("b"), .result = NIL), R(1, 10, 11, TEXT("a"))}},
    {"lost update of swaps",
     &moot_model_register,
     BAD,
     {OK(1, SWAP, 0, 9, .argument = TEXT("a"), .result = NIL),
      OK(2, SWAP, 0, 9, .argument = TEXT("b"), .result = NIL)}},
    {"a written integer reads as its digits",
     &moot_model_register,
     GOOD,
     {OK(1, WRITE, 0, 1, .argument = NUMBER(-7)), R(1, 2, 3, TEXT("-7"))}},
};

static const struct hand_made counters[] = {
    {"increments in either order",
     &moot_model_counter,
     GOOD,
     {INCR(1, 0, 9, 2), INCR(2, 0, 9, 1), R(1, 10, 11, TEXT("2"))}},
    {"lost update", &moot_model_counter, BAD, {INCR(1, 0, 9, 1), INCR(2, 0, 9, 1)}},
    {"order against time", &moot_model_counter, BAD, {INCR(1, 0, 1, 2), INCR(2, 2, 3, 1)}},
    {"applied twice", &moot_model_counter, BAD, {INCR(1, 0, 1, 1), R(1, 2, 3, NUMBER(2))}},
    {"in doubt counts once or not at all",
     &moot_model_counter,
     GOOD,
     {DOUBT(1, INCREMENT, 0, .argument = NUMBER(1)), R(2, 1, 2, NIL), R(2, 3, 4, NUMBER(1)),
      INCR(2, 5, 6, 2)}},
    {"in doubt counts twice",
     &moot_model_counter,
     BAD,
     {DOUBT(1, INCREMENT, 0, .argument = NUMBER(1)), R(2, 1, 2, NIL), R(2, 3, 4, NUMBER(2))}},
    {"failed but counted",
     &moot_model_counter,
     BAD,
     {FAIL(1, INCREMENT, 0, 1, .argument = NUMBER(1)), R(2, 2, 3, NUMBER(1))}},
    {"set and delete",
     &moot_model_counter,
     GOOD,
     {OK(1, WRITE, 0, 1, .argument = NUMBER(41)), INCR(1, 2, 3, 42), OK(1, DELETE, 4, 5),
      INCR(1, 6, 7, 1)}},
};

static const struct hand_made sequences[] = {
    {"appends in either order",
     &moot_model_append,
     GOOD,
     {APPEND(1, 0, 9, "ab", 3), APPEND(2, 0, 9, "c", 1), R(1, 10, 11, TEXT("cab"))}},
    {"an order that the lengths forbid",
     &moot_model_append,
     BAD,
     {APPEND(1, 0, 9, "ab", 3), APPEND(2, 0, 9, "c", 1), R(1, 10, 11, TEXT("abc"))}},
    {"lost append", &moot_model_append, BAD, {APPEND(1, 0, 9, "a", 1), APPEND(2, 0, 9, "b", 1)}},
    {"append applied twice",
     &moot_model_append,
     BAD,
     {APPEND(1, 0, 1, "a", 1), R(1, 2, 3, TEXT("aa"))}},
    {"a read shrinks",
     &moot_model_append,
     BAD,
     {APPEND(1, 0, 1, "a", 1), APPEND(1, 2, 3, "b", 2), R(2, 4, 5, TEXT("a"))}},
    {"in-doubt append in the middle",
     &moot_model_append,
     GOOD,
     {DOUBT(1, APPEND, 0, .argument = TEXT("x")), APPEND(2, 1, 2, "a", 1), APPEND(2, 3, 4, "b", 3),
      R(2, 5, 6, TEXT("axb"))}},
    {"in-doubt append seen, then gone",
     &moot_model_append,
     BAD,
     {DOUBT(1, APPEND, 0, .argument = TEXT("x")), R(2, 1, 2, TEXT("x")), R(2, 3, 4, NIL)}},
    {"pushes and a list",
     &moot_model_append,
     GOOD,
     {PUSH(1, 0, 9, "a", 1), PUSH(2, 0, 9, "b", 2), R(1, 10, 11, LIST(2, ITEM("a"), ITEM("b"))),
      OK(1, LENGTH, 12, 13, .result = NUMBER(2))}},
    {"two readers see two orders",
     &moot_model_append,
     BAD,
     {OK(1, PUSH, 0, 9, .argument = TEXT("a")), OK(2, PUSH, 0, 9, .argument = TEXT("b")),
      R(1, 10, 11, LIST(2, ITEM("a"), ITEM("b"))), R(2, 12, 13, LIST(2, ITEM("b"), ITEM("a")))}},
    {"a push of two, and one in front",
     &moot_model_append,
     GOOD,
     {OK(1, PUSH, 0, 1, .argument = LIST(2, ITEM("a"), ITEM("b")), .result = NUMBER(2)),
      OK(1, PUSH_FRONT, 2, 3, .argument = LIST(2, ITEM("x"), ITEM("y")), .result = NUMBER(4)),
      R(1, 4, 5, LIST(4, ITEM("y"), ITEM("x"), ITEM("a"), ITEM("b")))}},
    {"pops from both ends",
     &moot_model_append,
     GOOD,
     {OK(1, PUSH, 0, 1, .argument = LIST(3, ITEM("a"), ITEM("b"), ITEM("c"))),
      OK(1, POP, 2, 3, .result = TEXT("a")), OK(1, POP_BACK, 4, 5, .result = TEXT("c")),
      OK(1, POP, 6, 7, .result = TEXT("b")), OK(1, POP, 8, 9, .result = NIL),
      R(1, 10, 11, LIST(0, {0}))}},
    {"double pop",
     &moot_model_append,
     BAD,
     {PUSH(1, 0, 1, "a", 1), OK(1, POP, 2, 9, .result = TEXT("a")),
      OK(2, POP, 2, 9, .result = TEXT("a"))}},
    {"popped out of order",
     &moot_model_append,
     BAD,
     {PUSH(1, 0, 1, "a", 1), PUSH(1, 2, 3, "b", 2), OK(2, POP, 4, 5, .result = TEXT("b"))}},
    {"an in-doubt pop took it",
     &moot_model_append,
     GOOD,
     {PUSH(1, 0, 1, "a", 1), DOUBT(2, POP, 2), OK(1, POP, 5, 6, .result = NIL)}},
    {"an in-doubt pop takes one only",
     &moot_model_append,
     BAD,
     {PUSH(1, 0, 1, "a", 1), PUSH(1, 2, 3, "b", 2), DOUBT(2, POP, 4),
      OK(1, POP, 5, 6, .result = NIL)}},
    {"deleted",
     &moot_model_append,
     GOOD,
     {PUSH(1, 0, 1, "a", 1), OK(1, DELETE, 2, 3, .result = NUMBER(1)), PUSH(1, 4, 5, "b", 1)}},
    {"a string that becomes a list",
     &moot_model_append,
     BAD,
     {APPEND(1, 0, 1, "a", 1), PUSH(1, 2, 3, "b", 2), R(1, 4, 5, TEXT("ab"))}},
    {"a string and a list of the same letters differ",
     &moot_model_append,
     BAD,
     {APPEND(1, 0, 1, "a", 1), R(1, 2, 3, LIST(1, ITEM("a")))}},
};

static void run_cases(const struct hand_made *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct moot_history history;
        size_t operations = 0;
        while (operations < CASE_MAX && cases[i].operations[operations].process != 0) {
            operations++;
        }
        history_of(&history, cases[i].operations, operations);
        for (int search_only = 0; search_only <= 1; search_only++) {
            enum moot_judgement got = judge(&history, cases[i].model, search_only, false);
            if (got != cases[i].judgement) {
                judge(&history, cases[i].model, search_only, true);
                fail_msg("%s (%s): %s", cases[i].name, search_only ? "search" : "zones",
                         moot_judgement_text(got));
            }
        }
        moot_history_deinit(&history);
    }
}

/* Goal: each anomaly of the field is called by its name, and each look-alike passes.
 * Method: histories made by hand, judged by zones and by search. */
static void registers_by_hand(void **state)
{
    (void)state;
    run_cases(registers, MOOT_ARRAY_LEN(registers));
}
static void counters_by_hand(void **state)
{
    (void)state;
    run_cases(counters, MOOT_ARRAY_LEN(counters));
}
static void sequences_by_hand(void **state)
{
    (void)state;
    run_cases(sequences, MOOT_ARRAY_LEN(sequences));
}

/* The words of a verdict, as a text that ends. */
static const char *words_of(struct moot_verdict *verdict)
{
    moot_buffer_append(&verdict->words, "", 1);
    return (const char *)verdict->words.data;
}

/* Goal: a person who reads the verdict finds the key, the culprit, and what was around it; the
 * prefix is the shortest. Method: a stale read among later, good operations; both ways. */
static void violation_is_explained(void **state)
{
    (void)state;
    const struct moot_operation operations[] = {
        W(1, 0, 1000, "old"),          W(1, 2000, 3000, "new"),   R(2, 3500, 6000, TEXT("new")),
        R(3, 4000, 5000, TEXT("old")), W(1, 7000, 8000, "newer"), R(2, 9000, 9500, TEXT("newer")),
    };
    struct moot_history history;
    history_of(&history, operations, MOOT_ARRAY_LEN(operations));
    for (int search_only = 0; search_only <= 1; search_only++) {
        struct moot_linearizability_options options = {.search_only = search_only};
        struct moot_verdict verdict;
        moot_verdict_init(&verdict);
        moot_check_linearizable(&history, &moot_model_register, &options, &verdict);
        const char *words = words_of(&verdict);
        assert_int_equal(verdict.judgement, MOOT_JUDGEMENT_VIOLATION);
        assert_int_equal(verdict.operation, 3);
        assert_non_null(strstr(words, "key \"k\" is not linearizable as a register"));
        assert_non_null(strstr(words, "process 3 read \"k\" -> \"old\", 0.004 to 0.005 ms"));
        assert_non_null(strstr(words, "concurrent with it:\n    process 2 read \"k\" -> \"new\""));
        assert_null(strstr(words, "newer"));
        if (search_only) {
            assert_non_null(strstr(words, "state before it: \"new\""));
        }
        moot_verdict_deinit(&verdict);
    }
    moot_history_deinit(&history);
}

/* Goal: keys are judged apart, and the bad one is named. */
static void keys_are_independent(void **state)
{
    (void)state;
    struct moot_history history;
    moot_history_init(&history);
    for (uint32_t key = 0; key < 10; key++) {
        uint8_t name = (uint8_t)('a' + key);
        struct moot_operation write = W(1, 0, 10, "1"), read = R(2, 20, 30, TEXT("1"));
        write.key = read.key = moot_slice_make(&name, 1);
        moot_history_add(&history, &write);
        if (key == 7) {
            read.result = moot_history_nil();
        }
        moot_history_add(&history, &read);
    }
    struct moot_linearizability_options options = {0};
    struct moot_verdict verdict;
    moot_verdict_init(&verdict);
    moot_check_linearizable(&history, &moot_model_register, &options, &verdict);
    assert_int_equal(verdict.judgement, MOOT_JUDGEMENT_VIOLATION);
    assert_non_null(strstr(words_of(&verdict), "key \"h\""));
    assert_int_equal(verdict.keys, 8);
    moot_verdict_deinit(&verdict);
    moot_history_deinit(&history);
}

/* Goal: an ended budget is `unknown`, never a pass, and a violation on another key still counts. */
static void budget_is_unknown(void **state)
{
    (void)state;
    struct moot_history history;
    moot_history_init(&history);
    for (int i = 0; i < 12; i++) { /* Many equal orders, and a read that none explains. */
        struct moot_operation write = W(1, 0, 10, "");
        write.argument = moot_history_integer(i / 2);
        moot_history_add(&history, &write);
    }
    struct moot_operation read = R(2, 20, 30, TEXT("z"));
    moot_history_add(&history, &read);
    struct moot_linearizability_options options = {.configurations_max = 5};
    struct moot_verdict verdict;
    moot_verdict_init(&verdict);
    moot_check_linearizable(&history, &moot_model_register, &options, &verdict);
    assert_int_equal(verdict.judgement, MOOT_JUDGEMENT_UNKNOWN);
    assert_int_equal(verdict.keys_unknown, 1);
    moot_verdict_deinit(&verdict);

    struct moot_operation other = R(2, 0, 1, TEXT("z"));
    other.key = moot_slice_text("other");
    moot_history_add(&history, &other);
    moot_verdict_init(&verdict);
    moot_check_linearizable(&history, &moot_model_register, &options, &verdict);
    assert_int_equal(verdict.judgement, MOOT_JUDGEMENT_VIOLATION);
    moot_verdict_deinit(&verdict);

    assert_int_equal(judge(&history, &moot_model_counter, false, false), MOOT_JUDGEMENT_UNKNOWN);
    moot_history_deinit(&history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registers_by_hand),    cmocka_unit_test(counters_by_hand),
        cmocka_unit_test(sequences_by_hand),    cmocka_unit_test(violation_is_explained),
        cmocka_unit_test(keys_are_independent), cmocka_unit_test(budget_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
