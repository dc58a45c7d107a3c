/* Goal: events come in the order of time and, at the same time, of being decided; a deadline comes
 * once, unless it was set anew before.
 * Method: random operations, against a list that is searched from end to end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "sim/event.h"

enum { ROUNDS = 40000, MACHINES = 5, LIST_MAX = ROUNDS };

/* An event as the list has it; number 0: the deadline of `machine`. */
struct listed {
    uint64_t at, order, number;
    uint32_t machine;
};

struct list {
    struct listed items[LIST_MAX];
    size_t count;
    uint64_t order;
};

static void list_add(struct list *list, uint64_t at, uint64_t number, uint32_t machine)
{
    list->items[list->count++] = (struct listed){at, list->order++, number, machine};
}

static void list_set_deadline(struct list *list, uint64_t at, uint32_t machine)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].number == 0 && list->items[i].machine == machine) {
            list->items[i] = list->items[--list->count];
        }
    }
    if (at != UINT64_MAX) {
        list_add(list, at, 0, machine);
    }
}

static size_t list_first(const struct list *list)
{
    size_t first = 0;
    for (size_t i = 1; i < list->count; i++) {
        const struct listed *a = &list->items[i], *b = &list->items[first];
        first = a->at < b->at || (a->at == b->at && a->order < b->order) ? i : first;
    }
    return first;
}

static void take_both(struct sim_events *events, struct list *list, uint64_t *now)
{
    struct sim_event event;
    if (list->count == 0) {
        assert_true(sim_events_next(events) == UINT64_MAX);
        assert_false(sim_events_take(events, &event));
        return;
    }
    size_t first = list_first(list);
    struct listed wanted = list->items[first];
    list->items[first] = list->items[--list->count];
    assert_true(sim_events_next(events) == wanted.at);
    assert_true(sim_events_take(events, &event));
    assert_true(event.at == wanted.at);
    assert_true(event.machine == wanted.machine);
    assert_true((event.kind == SIM_TICK) == (wanted.number == 0));
    assert_true(event.number == wanted.number);
    assert_true(event.at >= *now);
    *now = event.at;
    moot_block_release(event.block);
}

static void test_order(void **state)
{
    (void)state;
    struct moot_rng rng;
    struct sim_events events;
    struct list *list = moot_alloc_zero(sizeof(*list));
    uint64_t now = 0, number = 0;
    moot_rng_init(&rng, 7);
    sim_events_init(&events);
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t machine = (uint32_t)moot_rng_below(&rng, MACHINES);
        uint64_t at = now + moot_rng_below(&rng, 50); /* Few instants, so many are the same. */
        uint64_t adds = round < ROUNDS / 2 ? 5 : 4;   /* It grows, and stays. */
        uint64_t what = moot_rng_below(&rng, 10);
        if (what < adds) {
            bool is_late = moot_rng_chance(&rng, 1, 3); /* Mostly in order. */
            at = is_late && !moot_rng_chance(&rng, 1, 20) ? now + 500 : at;
            struct sim_event event = {.at = at,
                                      .kind = is_late ? SIM_CLIENT_GIVEUP : SIM_CLIENT,
                                      .machine = machine,
                                      .number = ++number};
            event.block = what == 0 && !is_late ? moot_block_make(8) : NULL;
            sim_events_add(&events, &event);
            list_add(list, at, number, machine);
        } else if (what < adds + 2) {
            at = what == adds ? at : now + 1000;
            at = moot_rng_chance(&rng, 1, 8) ? UINT64_MAX : at;
            sim_events_set_deadline(&events, machine, at);
            list_set_deadline(list, at, machine);
        } else {
            take_both(&events, list, &now);
        }
    }
    assert_true(list->count > 0); /* What is left, blocks and all, ends with it. */
    sim_events_deinit(&events);
    moot_free(list);
}

static void test_nothing(void **state)
{
    (void)state;
    struct sim_events events;
    struct list *list = moot_alloc_zero(sizeof(*list));
    uint64_t now = 0;
    sim_events_init(&events);
    take_both(&events, list, &now);
    sim_events_set_deadline(&events, 2, 5);
    list_set_deadline(list, 5, 2);
    take_both(&events, list, &now);
    take_both(&events, list, &now); /* Once. */
    sim_events_deinit(&events);
    moot_free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
