#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/slice.h"
#include "database/execute/key.h"

/* Goal: what is put together comes apart again, and torn keys are refused. Method: random keys,
 * every prefix of them. */
static void parse_undoes_make(void **state)
{
    (void)state;
    struct moot_arena arena;
    struct moot_rng rng;
    moot_arena_init(&arena);
    moot_rng_init(&rng, 1);
    for (int i = 0; i < 300; i++) {
        uint8_t bytes[80];
        for (size_t j = 0; j < sizeof(bytes); j++) {
            bytes[j] = (uint8_t)moot_rng_next(&rng);
        }
        struct moot_slice key = {bytes, moot_rng_below(&rng, 41)};
        struct moot_slice element = {bytes + 40, moot_rng_below(&rng, 41)};
        moot_keyspace keyspace = (moot_keyspace)moot_rng_next(&rng), found;
        uint64_t number = moot_rng_next(&rng), found_ms;
        struct moot_key_parts parts;
        struct moot_slice head = moot_key_head(&arena, keyspace, key), found_key;
        assert_true(moot_key_parse(head, &parts));
        assert_true(parts.is_head);
        assert_int_equal(parts.keyspace, keyspace);
        assert_int_equal(parts.slot, moot_key_slot(key));
        assert_true(moot_slice_equal(parts.key, key));
        struct moot_slice physical = moot_key_element(&arena, keyspace, key, number, element);
        assert_true(moot_key_parse(physical, &parts));
        assert_false(parts.is_head);
        assert_int_equal(parts.incarnation, number);
        assert_true(moot_slice_equal(parts.key, key));
        assert_true(moot_slice_equal(parts.element, element));
        struct moot_slice expiry = moot_key_expiry(&arena, keyspace, number, key);
        assert_true(moot_key_parse_expiry(expiry, &found, &found_ms, &found_key));
        assert_int_equal(found, keyspace);
        assert_int_equal(found_ms, number);
        assert_true(moot_slice_equal(found_key, key));
        for (size_t size = 0; size < head.size; size++) {
            assert_false(moot_key_parse((struct moot_slice){head.data, size}, &parts));
        }
        for (size_t size = 0; size < expiry.size; size++) {
            assert_false(moot_key_parse_expiry((struct moot_slice){expiry.data, size}, &found,
                                               &found_ms, &found_key));
        }
        assert_false(moot_key_parse(expiry, &parts));
        assert_false(moot_key_parse_expiry(head, &found, &found_ms, &found_key));
        moot_arena_reset(&arena);
    }
    moot_arena_deinit(&arena);
}

static bool inside(struct moot_range range, struct moot_slice key)
{
    return moot_slice_compare(key, range.from) >= 0 && moot_slice_compare(key, range.to) < 0;
}

/* Goal: a range of elements holds all of one incarnation and nothing else, a keyspace's range all
 * of its keys and none of its neighbours'. Method: neighbours on both sides. */
static void ranges_hold_their_own(void **state)
{
    (void)state;
    struct moot_arena arena;
    moot_arena_init(&arena);
    struct moot_slice key = MOOT_SLICE_LITERAL("list"), longest = MOOT_SLICE_LITERAL("\xff\xff");
    struct moot_slice other = MOOT_SLICE_LITERAL("list\x01");
    static const uint64_t incarnations[] = {1, 0xff, 0xffff, UINT64_MAX};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(incarnations); i++) {
        uint64_t incarnation = incarnations[i];
        struct moot_range range =
            moot_key_prefix_range(&arena, moot_key_elements(&arena, 5, key, incarnation));
        assert_true(inside(range, moot_key_element(&arena, 5, key, incarnation, longest)));
        assert_true(
            inside(range, moot_key_element(&arena, 5, key, incarnation, (struct moot_slice){0})));
        assert_false(inside(range, moot_key_element(&arena, 5, key, incarnation + 1, longest)));
        assert_false(inside(range, moot_key_element(&arena, 5, key, incarnation - 1, longest)));
        assert_false(inside(range, moot_key_head(&arena, 5, key)));
        assert_false(inside(range, moot_key_element(&arena, 5, other, incarnation, longest)));
        assert_false(inside(range, moot_key_element(&arena, 6, key, incarnation, longest)));
    }
    static const moot_keyspace spaces[] = {0, 1, 0xff, 0x100, 0xffff};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(spaces); i++) {
        moot_keyspace space = spaces[i];
        struct moot_range range = moot_key_keyspace_range(&arena, MOOT_KEY_DATA, space);
        assert_true(inside(range, moot_key_head(&arena, space, key)));
        assert_true(inside(range, moot_key_element(&arena, space, key, UINT64_MAX, longest)));
        assert_false(inside(range, moot_key_head(&arena, (moot_keyspace)(space + 1), key)));
        assert_false(inside(range, moot_key_head(&arena, (moot_keyspace)(space - 1), key)));
        assert_false(inside(range, moot_key_expiry(&arena, space, 0, key)));
    }
    moot_arena_deinit(&arena);
}

/* Goal: expiry keys sort by time whatever the key, heads by slot, then print. Method: pairs. */
static void order_is_of_numbers(void **state)
{
    (void)state;
    struct moot_arena arena;
    moot_arena_init(&arena);
    struct moot_slice a = MOOT_SLICE_LITERAL("a"), z = MOOT_SLICE_LITERAL("zzzz");
    static const uint64_t times[] = {1, 0xff, 0x100, 0xffffffff, 0x100000000, UINT64_MAX};
    for (size_t i = 0; i + 1 < MOOT_ARRAY_LEN(times); i++) {
        assert_true(moot_slice_compare(moot_key_expiry(&arena, 1, times[i], z),
                                       moot_key_expiry(&arena, 1, times[i + 1], a)) < 0);
    }
    moot_arena_deinit(&arena);
}

/* Goal: a scan that goes on from the cursor after each key meets every key once, in any number
 * type of 48 bits. Method: 200 keys, sorted; a client's nonsense cursors end nowhere bad. */
static void cursors_go_on_behind(void **state)
{
    (void)state;
    struct moot_arena arena;
    moot_arena_init(&arena);
    for (uint32_t i = 0; i < 200; i++) {
        uint8_t name[4] = {'k', (uint8_t)('0' + i / 100), (uint8_t)('0' + i / 10 % 10),
                           (uint8_t)('0' + i % 10)};
        struct moot_slice head = moot_key_head(&arena, 2, (struct moot_slice){name, 4});
        struct moot_key_parts parts;
        assert_true(moot_key_parse(head, &parts));
        uint64_t after = moot_key_cursor_after(parts.slot, parts.print);
        assert_true(after > 0);
        assert_true(after < UINT64_C(1) << 48);
        struct moot_slice at = moot_key_cursor_start(&arena, 2, after);
        struct moot_slice before = moot_key_cursor_start(&arena, 2, after - 1);
        assert_true(moot_slice_compare(before, head) <= 0);
        assert_true(moot_slice_compare(head, at) < 0);
    }
    struct moot_range range = moot_key_keyspace_range(&arena, MOOT_KEY_DATA, 2);
    static const uint64_t cursors[] = {0, 1, UINT64_C(1) << 46, UINT64_C(1) << 47, UINT64_MAX};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cursors); i++) {
        struct moot_slice at = moot_key_cursor_start(&arena, 2, cursors[i]);
        assert_true(inside(range, at));
    }
    moot_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_undoes_make),
        cmocka_unit_test(ranges_hold_their_own),
        cmocka_unit_test(order_is_of_numbers),
        cmocka_unit_test(cursors_go_on_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
