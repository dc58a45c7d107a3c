#include "journal_world.h"

/* Goal: every kind of record comes back as it was written, in order. Method: one of each, in two
 * batches, then open again. */
static void records_come_back(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 1);
    assert_int_equal(world_open(&w), MOOT_OK);
    assert_int_equal(w.report.damage, MOOT_DAMAGE_NONE);
    assert_int_equal(w.seen_count, 0);
    const struct moot_record records[] = {
        identity("cluster 1 node 2"),
        hard(1, 7, 3),
        snapshot(1, 10, 6, "members"),
        entry(1, 11, 7, "hello"),
        entry(0, 1, 1, ""),
        {.kind = MOOT_RECORD_COMMIT_HINT, .group = 1, .index = 11}};
    assert_int_equal(world_write(&w, records, 3), MOOT_OK);
    assert_int_equal(w.where.batch, 1);
    assert_int_equal(world_write(&w, records + 3, 3), MOOT_OK);
    assert_int_equal(w.where.batch, 2);
    world_close(&w);
    assert_int_equal(world_open(&w), MOOT_OK);
    assert_int_equal(w.report.damage, MOOT_DAMAGE_NONE);
    assert_int_equal(w.report.batches, 2);
    assert_int_equal(w.seen_count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_true(is_same(&w.seen[i], &records[i]));
    }
    world_deinit(&w);
}

/* Goal: a journal goes on over segments, and gives back those that are free. Method: write far more
 * than all segments hold, freeing as we go. */
static void segments_are_recycled(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 2);
    assert_int_equal(world_open(&w), MOOT_OK);
    const struct moot_record first[] = {identity("me"), hard(0, 3, 1), snapshot(1, 0, 0, "abc")};
    assert_int_equal(world_write(&w, first, 3), MOOT_OK);
    for (moot_index i = 1; i <= 500; i++) {
        const struct moot_record one = entry(1, i, 3, "an entry");
        assert_int_equal(world_write(&w, &one, 1), MOOT_OK);
        if (i > 5) {
            moot_journal_free(w.journal, 1, i - 5);
        }
        assert_true(moot_journal_bytes(w.journal) <= 4 * w.options.segment_bytes);
    }
    world_close(&w);
    assert_int_equal(world_open(&w), MOOT_OK);
    assert_int_equal(w.report.damage, MOOT_DAMAGE_NONE);
    bool has_identity = false, has_hard = false, has_snapshot = false;
    moot_index last = 0;
    for (size_t i = 0; i < w.seen_count; i++) {
        has_identity = has_identity || is_same(&w.seen[i], &first[0]);
        has_hard = has_hard || is_same(&w.seen[i], &first[1]);
        has_snapshot = has_snapshot || is_same(&w.seen[i], &first[2]);
        if (w.seen[i].record.kind == MOOT_RECORD_ENTRY) {
            assert_true(last == 0 || w.seen[i].record.index == last + 1);
            last = w.seen[i].record.index;
        }
    }
    assert_true(has_identity && has_hard && has_snapshot);
    assert_int_equal(last, 500);
    world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back),
        cmocka_unit_test(segments_are_recycled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
