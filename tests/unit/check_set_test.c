#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "check_histories.h"

#define CASE_MAX 8
#define GOOD     MOOT_JUDGEMENT_VALID
#define BAD      MOOT_JUDGEMENT_VIOLATION
#define UNKNOWN  MOOT_JUDGEMENT_UNKNOWN

typedef void checker(const struct moot_history *history, struct moot_verdict *verdict);

struct hand_made {
    const char *name;
    enum moot_judgement judgement;
    struct moot_operation operations[CASE_MAX];
};

#define ADD(call, ret, text)   OK(1, ADD, call, ret, .argument = TEXT(text))
#define SEEN(call, ret, ...)   OK(2, READ, call, ret, .result = LIST(__VA_ARGS__))
#define PUSH(call, ret, text)  OK(1, PUSH, call, ret, .argument = TEXT(text))
#define POP(p, call, ret, ...) OK(p, POP, call, ret, .result = __VA_ARGS__)
#define TOLD(call, ret, n, r)                                                                      \
    OK(1, INCREMENT, call, ret, .argument = NUMBER(n), .result = NUMBER(r))
#define INCR(call, ret, n)  OK(1, INCREMENT, call, ret, .argument = NUMBER(n))
#define COUNT(call, ret, n) OK(2, READ, call, ret, .result = NUMBER(n))

static const struct hand_made sets[] = {
    {"all there", GOOD, {ADD(0, 1, "a"), ADD(2, 3, "b"), SEEN(4, 5, 2, ITEM("b"), ITEM("a"))}},
    {"an acknowledged element is missing",
     BAD,
     {ADD(0, 1, "a"), ADD(2, 3, "b"), SEEN(4, 5, 1, ITEM("b"))}},
    {"seen once, then gone",
     BAD,
     {DOUBT(1, ADD, 0, .argument = TEXT("a")), SEEN(4, 5, 1, ITEM("a")), SEEN(6, 7, 0, {0})}},
    {"in doubt, unseen, then seen",
     GOOD,
     {DOUBT(1, ADD, 0, .argument = TEXT("a")), SEEN(4, 5, 0, {0}), SEEN(6, 7, 1, ITEM("a"))}},
    {"during the add, either",
     GOOD,
     {ADD(0, 9, "a"), SEEN(1, 2, 0, {0}), SEEN(10, 11, 1, ITEM("a"))}},
    {"nobody added it", BAD, {ADD(0, 1, "a"), SEEN(4, 5, 2, ITEM("a"), ITEM("z"))}},
    {"its add failed", BAD, {FAIL(1, ADD, 0, 1, .argument = TEXT("a")), SEEN(4, 5, 1, ITEM("a"))}},
    {"seen before its add",
     BAD,
     {SEEN(0, 1, 1, ITEM("a")), ADD(2, 3, "a"), SEEN(4, 5, 1, ITEM("a"))}},
    {"twice", BAD, {ADD(0, 1, "a"), SEEN(4, 5, 2, ITEM("a"), ITEM("a"))}},
    {"nobody looked", UNKNOWN, {SEEN(0, 1, 0, {0}), ADD(2, 3, "a")}},
    {"another kind", UNKNOWN, {PUSH(0, 1, "a")}},
};

static const struct hand_made queues[] = {
    {"pushed and popped",
     GOOD,
     {PUSH(0, 1, "a"), PUSH(2, 3, "b"), POP(2, 4, 5, TEXT("a")), POP(2, 6, 7, TEXT("b"))}},
    {"double pop", BAD, {PUSH(0, 1, "a"), POP(2, 4, 5, TEXT("a")), POP(3, 4, 5, TEXT("a"))}},
    {"popped, and still there",
     BAD,
     {PUSH(0, 1, "a"), POP(2, 4, 5, TEXT("a")), SEEN(6, 7, 1, ITEM("a"))}},
    {"popped before it was pushed", BAD, {POP(2, 0, 1, TEXT("a")), PUSH(4, 5, "a")}},
    {"never pushed", BAD, {POP(2, 0, 1, TEXT("a"))}},
    {"its push failed", BAD, {FAIL(1, PUSH, 0, 1, .argument = TEXT("a")), POP(2, 4, 5, TEXT("a"))}},
    {"left", GOOD, {PUSH(0, 1, "a"), SEEN(4, 5, 1, ITEM("a"))}},
    {"lost", BAD, {PUSH(0, 1, "a"), SEEN(4, 5, 0, {0})}},
    {"lost, says a pop of nil", BAD, {PUSH(0, 1, "a"), POP(2, 4, 5, NIL)}},
    {"an in-doubt pop may have taken it",
     GOOD,
     {PUSH(0, 1, "a"), DOUBT(2, POP, 2), SEEN(4, 5, 0, {0})}},
    {"an in-doubt pop takes one",
     BAD,
     {PUSH(0, 1, "a"), PUSH(0, 1, "b"), DOUBT(2, POP, 2), SEEN(4, 5, 0, {0})}},
    {"an in-doubt push may come out",
     GOOD,
     {DOUBT(1, PUSH, 0, .argument = TEXT("a")), POP(2, 4, 5, TEXT("a"))}},
    {"an in-doubt push may be missing",
     GOOD,
     {DOUBT(1, PUSH, 0, .argument = TEXT("a")), SEEN(4, 5, 0, {0})}},
    {"nobody looked", UNKNOWN, {PUSH(0, 1, "a")}},
    {"out of order, one popper",
     BAD,
     {PUSH(0, 1, "a"), PUSH(2, 3, "b"), POP(2, 4, 5, TEXT("b")), POP(2, 6, 7, TEXT("a"))}},
    {"pushes that overlap have no order",
     GOOD,
     {PUSH(0, 3, "a"), PUSH(2, 3, "b"), POP(2, 4, 5, TEXT("b")), POP(2, 6, 7, TEXT("a"))}},
    {"two poppers at once may be told in another order",
     GOOD,
     {PUSH(0, 1, "a"), PUSH(2, 3, "b"), POP(2, 4, 6, TEXT("b")), POP(3, 6, 7, TEXT("a"))}},
    {"two poppers one after the other may not",
     BAD,
     {PUSH(0, 1, "a"), PUSH(2, 3, "b"), POP(2, 4, 5, TEXT("b")), POP(3, 6, 7, TEXT("a"))}},
    {"a third pop between them, that overlaps both, hides nothing",
     BAD,
     {PUSH(0, 1, "a"), PUSH(2, 3, "b"), PUSH(2, 3, "c"), POP(2, 4, 5, TEXT("b")),
      POP(4, 4, 9, TEXT("c")), POP(3, 6, 7, TEXT("a"))}},
    {"a read that shows one twice", BAD, {PUSH(0, 1, "a"), SEEN(2, 3, 2, ITEM("a"), ITEM("a"))}},
    {"a read from the other end",
     GOOD,
     {PUSH(0, 1, "a"), PUSH(2, 3, "b"), SEEN(4, 5, 2, ITEM("b"), ITEM("a"))}},
    {"a read in no order",
     BAD,
     {PUSH(0, 1, "a"), PUSH(2, 3, "b"), PUSH(4, 5, "c"),
      SEEN(6, 7, 3, ITEM("b"), ITEM("c"), ITEM("a"))}},
    {"a read of pushes at once",
     GOOD,
     {PUSH(0, 2, "a"), PUSH(2, 3, "b"), PUSH(4, 5, "c"),
      SEEN(6, 7, 3, ITEM("b"), ITEM("a"), ITEM("c"))}},
    {"a read that shows too little",
     BAD,
     {PUSH(0, 1, "a"), SEEN(2, 3, 0, {0}), SEEN(4, 5, 1, ITEM("a"))}},
    {"popped only later", BAD, {PUSH(0, 1, "a"), SEEN(2, 3, 0, {0}), POP(2, 4, 5, TEXT("a"))}},
    {"popped meanwhile, either",
     GOOD,
     {PUSH(0, 1, "a"), PUSH(0, 1, "b"), POP(2, 2, 9, TEXT("a")), POP(3, 2, 9, TEXT("b")),
      SEEN(4, 5, 1, ITEM("b"))}},
    {"pushed meanwhile, either",
     GOOD,
     {PUSH(0, 4, "a"), SEEN(2, 3, 0, {0}), SEEN(5, 6, 1, ITEM("a"))}},
    {"an in-doubt pop may give it back",
     GOOD,
     {PUSH(0, 1, "a"), DOUBT(2, POP, 2), SEEN(3, 4, 0, {0}), SEEN(5, 6, 1, ITEM("a"))}},
    {"an in-doubt pop after the read",
     BAD,
     {PUSH(0, 1, "a"), SEEN(2, 3, 0, {0}), DOUBT(2, POP, 4), SEEN(5, 6, 1, ITEM("a"))}},
    {"one element twice cannot be followed", UNKNOWN, {PUSH(0, 1, "a"), PUSH(2, 3, "a")}},
};

static const struct hand_made counters[] = {
    {"counted", GOOD, {INCR(0, 1, 2), INCR(2, 3, 3), COUNT(4, 5, 5)}},
    {"lost", BAD, {INCR(0, 1, 2), INCR(2, 3, 3), COUNT(4, 5, 4)}},
    {"counted twice", BAD, {INCR(0, 1, 1), COUNT(4, 5, 2)}},
    {"in doubt, counted",
     GOOD,
     {INCR(0, 1, 1), DOUBT(1, INCREMENT, 2, .argument = NUMBER(1)), COUNT(4, 5, 2)}},
    {"in doubt, not counted",
     GOOD,
     {INCR(0, 1, 1), DOUBT(1, INCREMENT, 2, .argument = NUMBER(1)), COUNT(4, 5, 1)}},
    {"in doubt, counted, and then not",
     BAD,
     {INCR(0, 1, 1), DOUBT(1, INCREMENT, 2, .argument = NUMBER(1)), COUNT(4, 5, 2),
      COUNT(6, 7, 1)}},
    {"in doubt, not counted, and then it is",
     GOOD,
     {INCR(0, 1, 1), DOUBT(1, INCREMENT, 2, .argument = NUMBER(1)), COUNT(4, 5, 1),
      COUNT(6, 7, 2)}},
    {"two increments told the same", BAD, {TOLD(0, 1, 1, 1), TOLD(2, 3, 1, 1), COUNT(4, 5, 2)}},
    {"two increments at once, told one after the other",
     GOOD,
     {TOLD(0, 3, 1, 2), TOLD(2, 3, 1, 1), COUNT(4, 5, 2)}},
    {"told of an increment that was called later",
     BAD,
     {TOLD(0, 1, 1, 2), TOLD(2, 3, 1, 2), COUNT(4, 5, 2)}},
    {"down again by a decrement",
     GOOD,
     {INCR(0, 1, 2), COUNT(2, 3, 2), TOLD(4, 5, -1, 1), COUNT(6, 7, 1)}},
    {"in doubt, counted twice",
     BAD,
     {INCR(0, 1, 1), DOUBT(1, INCREMENT, 2, .argument = NUMBER(1)), COUNT(4, 5, 3)}},
    {"failed, and counted", BAD, {FAIL(1, INCREMENT, 0, 1, .argument = NUMBER(1)), COUNT(4, 5, 1)}},
    {"during it, either", GOOD, {INCR(0, 9, 1), COUNT(1, 2, 0), COUNT(3, 4, 1), COUNT(10, 11, 1)}},
    {"decrements",
     GOOD,
     {INCR(0, 1, 5), INCR(2, 9, -3), COUNT(3, 4, 2), COUNT(3, 4, 5), COUNT(10, 11, 2)}},
    {"a lost decrement", BAD, {INCR(0, 1, 5), INCR(2, 3, -3), COUNT(10, 11, 5)}},
    {"counted before it was called", BAD, {COUNT(0, 1, 1), INCR(2, 3, 1), COUNT(4, 5, 1)}},
    {"nil is none", BAD, {INCR(0, 1, 1), OK(2, READ, 4, 5, .result = NIL)}},
    {"nobody looked", UNKNOWN, {INCR(0, 1, 1)}},
};

static const struct hand_made ids[] = {
    {"different",
     GOOD,
     {OK(1, GENERATE, 0, 1, .result = NUMBER(1)), OK(2, GENERATE, 0, 1, .result = NUMBER(2)),
      DOUBT(3, GENERATE, 0)}},
    {"given twice",
     BAD,
     {OK(1, GENERATE, 0, 1, .result = NUMBER(1)), OK(2, GENERATE, 5, 6, .result = TEXT("1"))}},
};

static void check_bank_of_ten(const struct moot_history *history, struct moot_verdict *verdict)
{
    moot_check_bank(history, 10, verdict);
}

static const struct hand_made banks[] = {
    {"nothing made or lost", GOOD, {SEEN(0, 1, 2, ITEM("3"), ITEM("7")), DOUBT(1, READ, 2)}},
    {"overdrawn, and still right", GOOD, {SEEN(0, 1, 2, ITEM("-3"), ITEM("13"))}},
    {"half a transfer", BAD, {SEEN(0, 1, 2, ITEM("3"), ITEM("6"))}},
    {"not a balance", UNKNOWN, {SEEN(0, 1, 2, ITEM("3"), ITEM("seven"))}},
};

static void run_cases(checker *check, const struct hand_made *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct moot_history history;
        struct moot_verdict verdict;
        size_t operations = 0;
        while (operations < CASE_MAX && cases[i].operations[operations].process != 0) {
            operations++;
        }
        history_of(&history, cases[i].operations, operations);
        moot_verdict_init(&verdict);
        check(&history, &verdict);
        if (verdict.judgement != cases[i].judgement) {
            fail_msg("%s: %s: %.*s", cases[i].name, moot_judgement_text(verdict.judgement),
                     (int)verdict.words.size, (const char *)verdict.words.data);
        }
        assert_int_equal(verdict.words.size > 0, verdict.judgement != MOOT_JUDGEMENT_VALID);
        moot_verdict_deinit(&verdict);
        moot_history_deinit(&history);
    }
}

/* Goal: each checker finds what it is for, passes what only looks alike, and says unknown when the
 * evidence is missing. Method: histories made by hand. */
static void sets_by_hand(void **state)
{
    (void)state;
    run_cases(moot_check_set, sets, MOOT_ARRAY_LEN(sets));
}
static void queues_by_hand(void **state)
{
    (void)state;
    run_cases(moot_check_queue, queues, MOOT_ARRAY_LEN(queues));
}

/* ---- reads of queues, against their definition ---- */

enum { ROUNDS = 20000, ELEMENTS = 5, READS = 3, DOUBTS = 2, TIMES = 12, KEYS = 2 };

static const char *const element_names[] = {"a", "b", "c", "d", "e"};
static const char *const key_names[] = {"k", "l"};

/* Of one random history; a time of TIMES: never. */
struct world_of_queues {
    struct {
        uint64_t push[2], pop[2];
        bool popped;
        uint32_t key;
    } elements[ELEMENTS];
    struct {
        uint64_t at[2];
        uint32_t key;
        bool shows[ELEMENTS];
    } reads[READS];
    struct {
        uint64_t called;
        uint32_t key;
    } doubts[DOUBTS];
};

static void two_times(struct moot_rng *rng, uint64_t from, uint64_t at[2])
{
    at[0] = from + moot_rng_below(rng, TIMES);
    at[1] = at[0] + 1 + moot_rng_below(rng, 4);
}

static void draw(struct moot_rng *rng, struct world_of_queues *all)
{
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        two_times(rng, 0, all->elements[i].push);
        two_times(rng, all->elements[i].push[0], all->elements[i].pop);
        all->elements[i].popped = moot_rng_below(rng, 3) != 0;
        all->elements[i].key = (uint32_t)moot_rng_below(rng, KEYS);
    }
    for (uint32_t i = 0; i < DOUBTS; i++) {
        all->doubts[i].called = moot_rng_below(rng, 4 * TIMES); /* Often after all reads. */
        all->doubts[i].key = (uint32_t)moot_rng_below(rng, KEYS);
    }
    for (uint32_t i = 0; i < READS; i++) {
        two_times(rng, 0, all->reads[i].at);
        all->reads[i].key = i < KEYS ? i : (uint32_t)moot_rng_below(rng, KEYS);
        if (i < KEYS) { /* Each has a last one. */
            all->reads[i].at[0] += 3 * TIMES;
            all->reads[i].at[1] += 3 * TIMES;
        }
        for (uint32_t j = 0; j < ELEMENTS; j++) { /* Nothing that could not be there. */
            bool may = all->elements[j].key == all->reads[i].key &&
                       all->elements[j].push[0] <= all->reads[i].at[1] &&
                       (!all->elements[j].popped || all->elements[j].pop[1] >= all->reads[i].at[0]);
            all->reads[i].shows[j] = may && moot_rng_below(rng, 3) != 0;
        }
    }
}

static bool shows_enough(const struct world_of_queues *all, uint32_t read)
{
    uint32_t missing = 0, doubtful = 0;
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        bool before = all->elements[i].key == all->reads[read].key &&
                      all->elements[i].push[1] < all->reads[read].at[0];
        bool after = !all->elements[i].popped || all->elements[i].pop[0] > all->reads[read].at[1];
        missing += before && after && !all->reads[read].shows[i];
    }
    for (uint32_t i = 0; i < DOUBTS; i++) {
        doubtful += all->doubts[i].key == all->reads[read].key &&
                    all->doubts[i].called <= all->reads[read].at[1];
    }
    return missing <= doubtful;
}

static bool comes_out_in_order(const struct world_of_queues *all)
{
    uint64_t first_doubt[KEYS] = {UINT64_MAX, UINT64_MAX};
    for (uint32_t i = 0; i < DOUBTS; i++) {
        uint64_t *first = &first_doubt[all->doubts[i].key];
        *first = moot_min_u64(*first, all->doubts[i].called);
    }
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        for (uint32_t j = 0; j < ELEMENTS; j++) {
            if (all->elements[j].pop[1] < first_doubt[all->elements[j].key] &&
                all->elements[i].key == all->elements[j].key && all->elements[i].popped &&
                all->elements[j].popped && all->elements[i].push[1] < all->elements[j].push[0] &&
                all->elements[j].pop[1] < all->elements[i].pop[0]) {
                return false;
            }
        }
    }
    return true;
}

/* What a read shows, the push that was called first in front. */
static size_t items_of(const struct world_of_queues *all, uint32_t read,
                       struct moot_slice items[ELEMENTS])
{
    size_t count = 0;
    for (uint64_t called = 0; called < TIMES; called++) {
        for (uint32_t i = 0; i < ELEMENTS; i++) {
            if (all->reads[read].shows[i] && all->elements[i].push[0] == called) {
                items[count++] = moot_slice_text(element_names[i]);
            }
        }
    }
    return count;
}

static void write_down(const struct world_of_queues *all, struct moot_history *history)
{
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        struct moot_operation one = OK(1, PUSH, all->elements[i].push[0], all->elements[i].push[1]);
        one.key = moot_slice_text(key_names[all->elements[i].key]);
        one.argument = moot_history_bytes(moot_slice_text(element_names[i]));
        moot_history_add(history, &one);
        if (all->elements[i].popped) { /* Each by a process of its own. */
            struct moot_operation pop =
                OK(10 + i, POP, all->elements[i].pop[0], all->elements[i].pop[1]);
            pop.key = one.key;
            pop.result = one.argument;
            moot_history_add(history, &pop);
        }
    }
    for (uint32_t i = 0; i < READS; i++) {
        struct moot_slice items[ELEMENTS];
        size_t count = items_of(all, i, items);
        struct moot_operation read = OK(2, READ, all->reads[i].at[0], all->reads[i].at[1]);
        read.key = moot_slice_text(key_names[all->reads[i].key]);
        read.result = moot_history_list(items, count);
        moot_history_add(history, &read);
    }
    for (uint32_t i = 0; i < DOUBTS; i++) {
        struct moot_operation pop = DOUBT(20 + i, POP, all->doubts[i].called);
        pop.key = moot_slice_text(key_names[all->doubts[i].key]);
        moot_history_add(history, &pop);
    }
}

static void reads_of_queues(void **state)
{
    (void)state;
    struct moot_rng rng;
    uint32_t good = 0;
    moot_rng_init(&rng, 11);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct world_of_queues all;
        struct moot_history history;
        struct moot_verdict verdict;
        draw(&rng, &all);
        bool enough = comes_out_in_order(&all);
        for (uint32_t i = 0; i < READS; i++) {
            enough = enough && shows_enough(&all, i);
        }
        moot_history_init(&history);
        write_down(&all, &history);
        moot_verdict_init(&verdict);
        moot_check_queue(&history, &verdict);
        if ((verdict.judgement == MOOT_JUDGEMENT_VIOLATION) == enough) {
            fail_msg("round %u, %s: %.*s", round, enough ? "right" : "wrong",
                     (int)verdict.words.size, (const char *)verdict.words.data);
        }
        good += enough;
        moot_verdict_deinit(&verdict);
        moot_history_deinit(&history);
    }
    assert_in_range(good, ROUNDS / 10, ROUNDS - ROUNDS / 10);
}

static void counters_by_hand(void **state)
{
    (void)state;
    run_cases(moot_check_exactly_once, counters, MOOT_ARRAY_LEN(counters));
}
static void ids_by_hand(void **state)
{
    (void)state;
    run_cases(moot_check_ids, ids, MOOT_ARRAY_LEN(ids));
}
static void banks_by_hand(void **state)
{
    (void)state;
    run_cases(check_bank_of_ten, banks, MOOT_ARRAY_LEN(banks));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_by_hand),     cmocka_unit_test(queues_by_hand),
        cmocka_unit_test(counters_by_hand), cmocka_unit_test(ids_by_hand),
        cmocka_unit_test(banks_by_hand),    cmocka_unit_test(reads_of_queues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
