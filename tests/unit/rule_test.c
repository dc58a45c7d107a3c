/* Rare choices: the same for the same seed, node and turn; a knob takes one of them more often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rule.h"

enum { TURNS = 10000 };

static uint32_t how_often(struct moot_chance chance, const char *name)
{
    uint32_t taken = 0;
    for (chance.turn = 0; chance.turn < TURNS; chance.turn++) {
        taken += moot_chance_take(&chance, name);
    }
    return taken;
}

static void nothing_is_chosen_in_production(void **state)
{
    (void)state;
    assert_int_equal(how_often((struct moot_chance){.seed = 1}, "compacts"), 0);
}

static void a_choice_is_as_rare_as_it_is_said_to_be(void **state)
{
    (void)state;
    struct moot_chance chance = {.seed = 1, .node = 3, .one_in = 100};
    uint32_t taken = how_often(chance, "compacts");
    assert_in_range(taken, TURNS / 200, TURNS / 50);
    assert_int_equal(how_often(chance, "compacts"), taken);
}

/* Goal: a knob raises one choice and no other, and counts what it did; those that were taken
 * without it still are, so that a world without the fault stays as it is. */
static void a_knob_is_of_one_choice(void **state)
{
    (void)state;
    struct moot_chance_knob knobs[] = {{.name = "flushes", .one_in = 0},
                                       {.name = "compacts", .one_in = 4}};
    struct moot_chance plain = {.seed = 1, .node = 3, .one_in = 100}, raised = plain;
    raised.knobs = knobs;
    raised.knob_count = 2;
    uint32_t before = how_often(plain, "compacts"), after = how_often(raised, "compacts");
    assert_in_range(after, TURNS / 5, TURNS / 3);
    assert_int_equal(after, before + knobs[1].taken);
    assert_int_equal(how_often(raised, "flushes"), how_often(plain, "flushes"));
    assert_int_equal(knobs[0].taken, 0);
    raised.one_in = 0;
    assert_int_equal(how_often(raised, "flushes"), 0);
    assert_in_range(how_often(raised, "compacts"), TURNS / 5, TURNS / 3);
}

/* Goal: what is forced is never taken for chance's sake. */
static void what_is_forced_needs_its_knob(void **state)
{
    (void)state;
    struct moot_chance_knob knob = {.name = "level_rises", .one_in = 2};
    struct moot_chance chance = {
        .seed = 1, .node = 3, .one_in = 1, .knobs = &knob, .knob_count = 1};
    assert_false(moot_chance_force(&chance, "compacts_all"));
    for (chance.turn = 0; chance.turn < TURNS; chance.turn++) {
        (void)moot_chance_force(&chance, "level_rises");
    }
    assert_in_range(knob.taken, TURNS / 3, TURNS * 2 / 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_chosen_in_production),
        cmocka_unit_test(a_choice_is_as_rare_as_it_is_said_to_be),
        cmocka_unit_test(a_knob_is_of_one_choice),
        cmocka_unit_test(what_is_forced_needs_its_knob),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
