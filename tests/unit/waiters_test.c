#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/codec.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/status.h"
#include "database/group/waiters.h"

static int wait_for(struct moot_waiters *waiters, moot_node_id edge, uint64_t id, uint64_t time,
                    const char *key)
{
    struct moot_slice keys[2] = {MOOT_SLICE_LITERAL("other"), moot_slice_text(key)};
    struct moot_waiter_wish wish = {
        .id = id, .arrival = {time, (uint32_t)id}, .key_count = 2, .keys = keys};
    return moot_waiters_register(waiters, edge, 1, &wish, 3);
}

static uint64_t wake(struct moot_waiters *waiters, const char *key, uint64_t length)
{
    struct moot_waiter *next = moot_waiters_next(waiters, 3, moot_slice_text(key), length);
    if (next == NULL) {
        return 0;
    }
    moot_waiters_wake(next, (struct moot_instant){0});
    next->tried = true; /* At once; see tries_stand_in_order. */
    return next->id;
}

/* Goal: who came first is served first, whatever the order of registering. Method: registrations
 * out of order; equal times. */
static void order_is_of_arrival(void **state)
{
    (void)state;
    struct moot_waiters waiters;
    moot_waiters_init(&waiters);
    assert_int_equal(wait_for(&waiters, 1, 30, 300, "l"), 0);
    assert_int_equal(wait_for(&waiters, 2, 10, 100, "l"), 0);
    assert_int_equal(wait_for(&waiters, 1, 21, 200, "l"), 0);
    assert_int_equal(wait_for(&waiters, 3, 20, 200, "l"), 0);
    assert_int_equal(wait_for(&waiters, 1, 5, 50, "elsewhere"), 0);
    static const uint64_t expected[] = {10, 20, 21, 30};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(expected); i++) {
        assert_int_equal(wake(&waiters, "l", 100), expected[i]);
    }
    assert_int_equal(wake(&waiters, "l", 100), 0);
    moot_waiters_deinit(&waiters);
}

/* Goal: no more are woken than there are elements; a renewed or removed waiter makes room. Method:
 * a list of two, three waiters. */
static void no_more_are_woken_than_elements(void **state)
{
    (void)state;
    struct moot_waiters waiters;
    moot_waiters_init(&waiters);
    for (uint64_t id = 1; id <= 4; id++) {
        assert_int_equal(wait_for(&waiters, 1, id, id, "l"), 0);
    }
    assert_int_equal(wake(&waiters, "l", 0), 0);
    assert_int_equal(wake(&waiters, "l", 2), 1);
    assert_int_equal(wake(&waiters, "l", 2), 2);
    assert_int_equal(wake(&waiters, "l", 2), 0);
    moot_waiters_remove(&waiters, moot_waiters_find(&waiters, 1, 1, 1)); /* It declined. */
    assert_int_equal(wake(&waiters, "l", 2), 3);
    assert_int_equal(wake(&waiters, "l", 2), 0);
    assert_int_equal(wait_for(&waiters, 1, 2, 2, "l"), 0); /* It found nothing: keeps its place. */
    assert_int_equal(waiters.count, 3);
    assert_int_equal(wake(&waiters, "l", 2), 2);
    moot_waiters_deinit(&waiters);
}

/* Goal: nobody is told while an earlier waiter of another edge was told and has not tried; those of
 * one edge are told together. Method: waiters of two edges in turn; tries, and one that is overdue.
 */
static void tries_stand_in_order(void **state)
{
    (void)state;
    struct moot_waiters waiters;
    moot_waiters_init(&waiters);
    static const moot_node_id edges[] = {1, 1, 2, 2, 1, 3};
    for (uint64_t id = 1; id <= MOOT_ARRAY_LEN(edges); id++) {
        assert_int_equal(wait_for(&waiters, edges[id - 1], id, id, "l"), 0);
    }
    struct moot_slice key = MOOT_SLICE_LITERAL("l");
    struct moot_slice keys[2] = {MOOT_SLICE_LITERAL("other"), key};
    struct moot_waiter *next;
    for (uint64_t id = 1; id <= 2; id++) {
        next = moot_waiters_next(&waiters, 3, key, 100);
        assert_int_equal(next->id, id);
        moot_waiters_wake(next, (struct moot_instant){0});
    }
    assert_null(moot_waiters_next(&waiters, 3, key, 100));
    assert_int_equal(moot_waiters_tried(&waiters, 1, 1, 0, keys, 2)->id, 1);
    assert_null(moot_waiters_tried(&waiters, 2, 1, 0, keys, 2)); /* Not woken. */
    assert_null(moot_waiters_tried(&waiters, 1, 1, 0, keys, 1)); /* Other keys. */
    assert_null(moot_waiters_next(&waiters, 3, key, 100));
    assert_int_equal(moot_waiters_tried(&waiters, 1, 1, 0, keys, 2)->id, 2);
    assert_null(moot_waiters_tried(&waiters, 1, 1, 0, keys, 2));
    next = moot_waiters_next(&waiters, 3, key, 100);
    assert_int_equal(next->id, 3);
    moot_waiters_wake(next, (struct moot_instant){0});
    assert_int_equal(moot_waiters_next(&waiters, 3, key, 100)->id, 4);
    moot_waiters_find(&waiters, 2, 1, 4)->woken = true;
    assert_null(moot_waiters_next(&waiters, 3, key, 100));
    moot_waiters_find(&waiters, 2, 1, 3)->overdue = true;
    assert_null(moot_waiters_next(&waiters, 3, key, 100));
    moot_waiters_find(&waiters, 2, 1, 4)->overdue = true;
    assert_int_equal(moot_waiters_next(&waiters, 3, key, 3)->id,
                     5); /* Overdue ones hold nothing. */
    assert_null(moot_waiters_next(&waiters, 3, key, 2));
    moot_waiters_deinit(&waiters);
}

/* Goal: a key is a key of one keyspace. Method: the same name elsewhere. */
static void keys_are_of_a_keyspace(void **state)
{
    (void)state;
    struct moot_waiters waiters;
    moot_waiters_init(&waiters);
    assert_int_equal(wait_for(&waiters, 1, 1, 1, "l"), 0);
    assert_true(moot_waiters_any_for(&waiters, 3, MOOT_SLICE_LITERAL("l")));
    assert_true(moot_waiters_any_for(&waiters, 3, MOOT_SLICE_LITERAL("other")));
    assert_false(moot_waiters_any_for(&waiters, 4, MOOT_SLICE_LITERAL("l")));
    assert_false(moot_waiters_any_for(&waiters, 3, MOOT_SLICE_LITERAL("m")));
    assert_null(moot_waiters_next(&waiters, 4, MOOT_SLICE_LITERAL("l"), 9));
    moot_waiters_deinit(&waiters);
}

/* Goal: an edge that is gone waits no more; its newer incarnation does. Method: two edges, two
 * incarnations. */
static void an_edge_is_removed(void **state)
{
    (void)state;
    struct moot_waiters waiters;
    struct moot_slice key = MOOT_SLICE_LITERAL("l");
    struct moot_waiter_wish wish = {.arrival = {1, 0}, .key_count = 1, .keys = &key};
    moot_waiters_init(&waiters);
    for (moot_node_id edge = 1; edge <= 2; edge++) {
        for (uint64_t incarnation = 1; incarnation <= 2; incarnation++) {
            for (wish.id = 1; wish.id <= 3; wish.id++) {
                assert_int_equal(moot_waiters_register(&waiters, edge, incarnation, &wish, 3), 0);
            }
        }
    }
    assert_int_equal(waiters.count, 12);
    moot_waiters_remove_edge(&waiters, 1, 2);
    assert_int_equal(waiters.count, 9);
    assert_null(moot_waiters_find(&waiters, 1, 1, 1));
    assert_non_null(moot_waiters_find(&waiters, 1, 2, 3));
    moot_waiters_remove_edge(&waiters, 2, 0);
    assert_int_equal(waiters.count, 3);
    assert_null(moot_waiters_find(&waiters, 2, 2, 1));
    moot_waiters_deinit(&waiters);
}

/* Goal: the table is bounded; who is in it already may renew. Method: one more than it holds. */
static void the_table_is_bounded(void **state)
{
    (void)state;
    struct moot_waiters waiters;
    moot_waiters_init(&waiters);
    for (uint64_t id = 1; id <= MOOT_WAITERS_MAX; id++) {
        assert_int_equal(wait_for(&waiters, 1, id, id, "l"), 0);
    }
    assert_int_equal(wait_for(&waiters, 1, MOOT_WAITERS_MAX + 1, 1, "l"), MOOT_EOVERLOADED);
    assert_int_equal(wait_for(&waiters, 1, 1, 1, "l"), 0);
    assert_int_equal(waiters.count, MOOT_WAITERS_MAX);
    moot_waiters_deinit(&waiters);
}

/* Goal: a wish arrives as it was sent; one cut short is refused. Method: two wishes, every length.
 */
static void wishes_are_read_as_written(void **state)
{
    (void)state;
    struct moot_slice keys[2] = {MOOT_SLICE_LITERAL("a"), MOOT_SLICE_LITERAL("")};
    struct moot_waiter_wish wish = {
        .id = 7, .arrival = {8, 9}, .database = MOOT_DATABASES - 1, .key_count = 2, .keys = keys};
    struct moot_waiter_wish out;
    struct moot_buffer bytes;
    struct moot_arena arena;
    moot_arena_init(&arena);
    moot_buffer_init(&bytes);
    moot_waiter_wish_put(&bytes, &wish);
    size_t one = bytes.size;
    moot_waiter_wish_put(&bytes, &wish);
    for (size_t size = 0; size <= bytes.size; size++) {
        struct moot_reader reader = moot_reader_make(moot_slice_make(bytes.data, size));
        size_t count = 0;
        while (moot_waiter_wish_next(&reader, &arena, &out)) {
            count++;
            assert_int_equal(out.id, 7);
            assert_int_equal(out.arrival.time, 8);
            assert_int_equal(out.arrival.ordinal, 9);
            assert_int_equal(out.database, MOOT_DATABASES - 1);
            assert_int_equal(out.key_count, 2);
            assert_true(moot_slice_equal(out.keys[0], keys[0]));
            assert_true(moot_slice_equal(out.keys[1], keys[1]));
        }
        assert_int_equal(count, size / one);
        assert_int_equal(reader.failed, size % one != 0);
    }
    bytes.data[20] = MOOT_DATABASES;
    struct moot_reader reader = moot_reader_make(moot_buffer_slice(&bytes));
    assert_false(moot_waiter_wish_next(&reader, &arena, &out));
    assert_true(reader.failed);
    moot_buffer_deinit(&bytes);
    moot_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_of_arrival),
        cmocka_unit_test(no_more_are_woken_than_elements),
        cmocka_unit_test(keys_are_of_a_keyspace),
        cmocka_unit_test(an_edge_is_removed),
        cmocka_unit_test(tries_stand_in_order),
        cmocka_unit_test(the_table_is_bounded),
        cmocka_unit_test(wishes_are_read_as_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
