#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/codec.h"
#include "database/group/ring.h"

static void put(struct moot_ring *ring, moot_node_id edge, uint64_t incarnation, uint64_t batch,
                size_t size)
{
    struct moot_block *block = moot_block_make(size);
    memset(block->data, 0, size);
    if (size >= 8) {
        moot_store_le64(block->data, batch);
    }
    struct moot_ring_item item = {edge, incarnation, batch, batch * 10, block};
    moot_ring_put(ring, &item);
}

static bool has(const struct moot_ring *ring, moot_node_id edge, uint64_t incarnation,
                uint64_t batch)
{
    return moot_ring_find(ring, edge, incarnation, batch) != NULL;
}

/* Goal: a reply is found under exactly its name. Method: names that differ in one part. */
static void finds_by_the_whole_name(void **state)
{
    (void)state;
    struct moot_ring ring;
    moot_ring_init(&ring, MOOT_REPLY_RING_BYTES);
    put(&ring, 1, 2, 3, 8);
    put(&ring, 1, 2, 4, 8);
    const struct moot_ring_item *item = moot_ring_find(&ring, 1, 2, 3);
    assert_non_null(item);
    assert_int_equal(item->stamp, 30);
    assert_int_equal(moot_load_le64(item->replies->data), 3);
    assert_false(has(&ring, 2, 2, 3));
    assert_false(has(&ring, 1, 1, 3));
    assert_false(has(&ring, 1, 2, 5));
    moot_ring_clear(&ring);
    assert_false(has(&ring, 1, 2, 3));
    assert_int_equal(ring.bytes, 0);
    put(&ring, 1, 2, 3, 8);
    assert_true(has(&ring, 1, 2, 3));
    moot_ring_deinit(&ring);
}

/* Goal: the ring is bounded by count; the oldest goes first. Method: more than it holds. */
static void the_oldest_goes_first(void **state)
{
    (void)state;
    struct moot_ring ring;
    moot_ring_init(&ring, MOOT_REPLY_RING_BYTES);
    for (uint64_t batch = 1; batch <= MOOT_REPLY_RING_BATCHES + 100; batch++) {
        put(&ring, 1, 1, batch, 8);
        assert_true(has(&ring, 1, 1, batch));
    }
    assert_int_equal(ring.bytes, 8 * MOOT_REPLY_RING_BATCHES);
    assert_false(has(&ring, 1, 1, 100));
    assert_true(has(&ring, 1, 1, 101));
    moot_ring_deinit(&ring);
}

/* Goal: the ring is bounded by bytes; the last reply is always kept. Method: large ones, and one
 * that is over the bound alone. */
static void bytes_are_bounded(void **state)
{
    (void)state;
    struct moot_ring ring;
    moot_ring_init(&ring, MOOT_REPLY_RING_BYTES);
    for (uint64_t batch = 1; batch <= 100; batch++) {
        put(&ring, 1, 1, batch, MOOT_REPLY_RING_BYTES / 10);
        assert_true(ring.bytes <= MOOT_REPLY_RING_BYTES);
    }
    assert_false(has(&ring, 1, 1, 90));
    assert_true(has(&ring, 1, 1, 91));
    put(&ring, 1, 1, 101, MOOT_REPLY_RING_BYTES + 1);
    assert_false(has(&ring, 1, 1, 100));
    assert_true(has(&ring, 1, 1, 101));
    put(&ring, 1, 1, 102, 8);
    assert_int_equal(ring.bytes, 8);
    moot_ring_deinit(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_by_the_whole_name),
        cmocka_unit_test(the_oldest_goes_first),
        cmocka_unit_test(bytes_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
