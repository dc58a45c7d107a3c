#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/codec.h"
#include "base/rng.h"
#include "database/group/log.h"

/* An entry that names itself: (index, term), and some bytes more. */
static void append(struct moot_log *log, moot_term term, size_t more)
{
    struct moot_block *block = moot_block_make(16 + more);
    memset(block->data, 0, block->size);
    moot_store_le64(block->data, moot_log_last(log) + 1);
    moot_store_le64(block->data + 8, term);
    moot_log_append(log, block, term, MOOT_RAFT_ENTRY_DATA);
}

/* Goal: the log is what an array would be, whatever the order of changes. Method: random appends,
 * truncations, compactions and resets against a model, across the growth and the wrap of the ring.
 */
static void agrees_with_an_array(void **state)
{
    (void)state;
    enum { MODEL_MAX = 200000 };
    static moot_term terms[MODEL_MAX];
    static size_t sizes[MODEL_MAX];
    struct moot_rng rng;
    struct moot_log log;
    moot_index first = 7, last = 6;
    moot_rng_init(&rng, 3);
    moot_log_init(&log, first);
    for (int step = 0; step < 6000; step++) {
        uint64_t choice = moot_rng_below(&rng, 200), span = last - first + 1;
        if (choice < 2) {
            last = first - 1 + moot_rng_below(&rng, span + 1);
            moot_log_truncate(&log, last + 1);
        } else if (choice < 6) {
            first += moot_rng_below(&rng, span + 1);
            moot_log_compact(&log, first - 1);
        } else if (choice == 6) {
            first = last + 1 + moot_rng_below(&rng, 100);
            last = first - 1;
            moot_log_reset(&log, last);
        } else {
            for (uint64_t i = moot_rng_below(&rng, 20); i > 0; i--) {
                last++;
                terms[last] = (moot_term)step;
                sizes[last] = moot_rng_below(&rng, 8);
                append(&log, terms[last], sizes[last]);
            }
        }
        assert_int_equal(log.first, first);
        assert_int_equal(moot_log_last(&log), last);
        assert_int_equal(log.count, last + 1 - first);
        assert_null(moot_log_at(&log, first - 1));
        assert_null(moot_log_at(&log, last + 1));
        if (step % 16 == 0) {
            uint64_t bytes = 0;
            for (moot_index index = first; index <= last; index++) {
                const struct moot_log_entry *entry = moot_log_at(&log, index);
                bytes += 16 + sizes[index];
                assert_int_equal(moot_load_le64(entry->block->data), index);
                assert_int_equal(entry->term, terms[index]);
                assert_int_equal(entry->block->size, 16 + sizes[index]);
            }
            assert_int_equal(log.bytes, bytes);
        }
    }
    moot_log_deinit(&log);
}

/* Goal: bytes that others still use outlive the log's hold on them. Method: a reference of one's
 * own, then compaction. */
static void a_block_outlives_the_log(void **state)
{
    (void)state;
    struct moot_log log;
    moot_log_init(&log, 1);
    append(&log, 9, 0);
    struct moot_block *kept = moot_block_retain(moot_log_at(&log, 1)->block);
    moot_log_compact(&log, 1);
    assert_int_equal(log.count, 0);
    assert_int_equal(log.first, 2);
    moot_log_deinit(&log);
    assert_int_equal(kept->references, 1);
    assert_int_equal(moot_load_le64(kept->data + 8), 9);
    moot_block_release(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_an_array),
        cmocka_unit_test(a_block_outlives_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
