/* What the simulator says of a wrong history: the smallest part of it, when and by which node, and
 * the same operations marked in the picture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "picture/picture.h"
#include "sim/world.h"

enum { OPERATIONS = 200, LINES_MAX = 50, SEEDS = 20 };

/* Each changes one answer, so that it must be wrong; false when this world has none to change. */
static bool read_another(struct moot_history *history) /* After somebody has read a value. */
{
    bool seen = false;
    for (size_t i = 0; i < history->count; i++) {
        struct moot_operation *one = &history->operations[i];
        bool reads = one->kind == MOOT_OPERATION_READ && one->outcome == MOOT_OUTCOME_OK &&
                     moot_slice_equal(one->key, MOOT_SLICE_LITERAL("k0"));
        if (reads && seen) {
            one->result = moot_history_bytes(MOOT_SLICE_LITERAL("nobody wrote this"));
            return true;
        }
        seen |= reads && one->result.kind == MOOT_HISTORY_BYTES;
    }
    return false;
}

static bool count_too_far(struct moot_history *history)
{
    for (size_t i = history->count; i > 0; i--) {
        struct moot_operation *one = &history->operations[i - 1];
        if (one->kind == MOOT_OPERATION_READ && one->result.kind == MOOT_HISTORY_INTEGER) {
            one->result.integer += 1000 * 1000;
            return true;
        }
    }
    return false;
}

static bool lose_the_second(struct moot_history_value *list)
{
    bool lost = list->kind == MOOT_HISTORY_LIST && list->count > 2;
    if (lost) {
        struct moot_slice *items = (struct moot_slice *)list->items;
        items[1] = items[0];
        list->items++;
        list->count--;
    }
    return lost;
}

static bool lose_an_element(struct moot_history *history)
{
    for (size_t i = history->count / 2; i < history->count; i++) {
        struct moot_operation *one = &history->operations[i];
        if (one->outcome == MOOT_OUTCOME_OK && lose_the_second(&one->result)) {
            return true;
        }
        for (size_t j = 0; j < one->steps_count && one->outcome == MOOT_OUTCOME_OK; j++) {
            if (one->steps[j].kind == MOOT_OPERATION_READ &&
                lose_the_second((struct moot_history_value *)&one->steps[j].value)) {
                return true;
            }
        }
    }
    return false;
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;
    assert_non_null(text);
    for (; (text = strstr(text, what)) != NULL; text += strlen(what)) {
        count++;
    }
    return count;
}

/* The operations of the picture's data, alone. */
static char *operations_of(struct moot_picture *picture)
{
    struct moot_buffer json;
    moot_buffer_init(&json);
    moot_picture_json(picture, 0, &json);
    moot_buffer_append(&json, "", 1);
    const char *from = strstr((const char *)json.data, "\"operations\":[");
    assert_non_null(from);
    const char *to = strstr(from, "\"messages\":[");
    char *text = strndup(from, to == NULL ? strlen(from) : (size_t)(to - from));
    moot_buffer_deinit(&json);
    return text;
}

struct lie {
    const char *workload;
    bool (*tell)(struct moot_history *history);
    const char *says;
};

/* The words for a world of a seed in which something is wrong; NULL when the lie is not possible.
 * `marked`: how many operations its picture frames. */
static char *judge(const struct lie *lie, uint64_t seed, size_t *accused, size_t *marked)
{
    struct moot_picture_options whole = {.title = MOOT_SLICE_LITERAL("a lie")};
    struct moot_picture *picture = moot_picture_make(&whole);
    struct moot_sim_options options = {.seed = seed,
                                       .nodes = 3,
                                       .operations = OPERATIONS,
                                       .workload = moot_sim_workload(lie->workload),
                                       .picture = picture};
    struct moot_sim_result result;
    char *words = NULL;
    moot_sim_result_init(&result);
    assert_true(options.workload != 0 && sim_fault_wish_parse("crash", &options.faults));
    struct sim_world *world = sim__open(&options, &result, NULL, NULL);
    while (sim__step(world)) {
    }
    assert_false(result.violated);
    if (lie->tell(&world->history)) {
        sim__judge(world);
    }
    if (result.violated) { /* An element may be missing for other reasons. */
        words = strndup((const char *)result.words.data, result.words.size);
    }
    sim__record_end(world);
    if (words != NULL) {
        char *drawn = operations_of(picture);
        *accused = count_of(drawn, ",2]");
        *marked = count_of(drawn, ",1]");
        free(drawn);
    }
    sim__close(world);
    moot_picture_free(picture);
    moot_sim_result_deinit(&result);
    return words;
}

/* Goal: a wrong answer is told with the few operations that show it, when they were, of whom they
 * were asked; those and no others are marked; the same each time.
 * Method: one answer of a world's history is changed before it is judged. */
static void a_lie_is_explained(void **state)
{
    (void)state;
    static const struct lie lies[] = {
        {"register", read_another, "is not linearizable as a register"},
        {"counter", count_too_far, "is not linearizable as a counter"},
        {"once", count_too_far, "counts more than was ever asked for"},
        {"list", lose_an_element, "the smallest part found that fails by itself"},
        {"set", lose_an_element, "an element is lost"},
        {"txn", lose_an_element, "the history of the txn is wrong"},
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(lies); i++) {
        char *words = NULL;
        size_t accused = 0, marked = 0, seed = 0;
        while (words == NULL) {
            assert_true(++seed < SEEDS);
            words = judge(&lies[i], seed, &accused, &marked);
        }
        const char *lines = strstr(words, "in virtual time, and by which node:\n");
        if (count_of(words, "the history of the ") != 1) {
            fail_msg("%s, seed %zu: %s", lies[i].workload, seed, words);
        }
        assert_non_null(lines);
        size_t shown = count_of(lines, "\n    ");
        if (shown == 0 || shown > LINES_MAX || count_of(lines, " by n") < 1 || accused > 1 ||
            accused + marked != shown || strstr(words, lies[i].says) == NULL) {
            fail_msg("%s, seed %zu: %zu accused, %zu marked\n%s", lies[i].workload, seed, accused,
                     marked, words);
        }
        size_t accused_again = 0, marked_again = 0;
        char *again = judge(&lies[i], seed, &accused_again, &marked_again);
        assert_string_equal(again, words);
        assert_int_equal(marked_again, marked);
        free(again);
        free(words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_lie_is_explained)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
