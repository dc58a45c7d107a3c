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
    const struct moot_record records[] = {identity("cluster 1 node 2"),
                                          hard(1, 7, 3),
                                          snapshot(1, 10, 6, "members"),
                                          entry(1, 11, 7, "hello"),
                                          entry(0, 1, 1, ""),
                                          {.kind = MOOT_RECORD_FREED, .group = 1, .index = 10}};
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

/* What a fresh open hears that group 1 has freed; 0: nothing. */
static moot_index freed_by(struct world *w)
{
    moot_index freed = 0;
    world_close(w);
    assert_int_equal(world_open(w), MOOT_OK);
    for (size_t i = 0; i < w->seen_count; i++) {
        const struct moot_record *record = &w->seen[i].record;
        freed = record->kind == MOOT_RECORD_FREED && record->group == 1 ? record->index : freed;
    }
    return freed;
}

/* Goal: a journal never forgets up to where its entries may be gone. Method: it goes round several
 * times, opened anew each time, at the end without any entry; then the group begins again below. */
static void a_journal_says_what_it_freed(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 4);
    assert_int_equal(world_open(&w), MOOT_OK);
    moot_index index = 0, freed = 0;
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 10; i++) {
            const struct moot_record one = entry(1, ++index, 3, "an entry");
            assert_int_equal(world_write(&w, &one, 1), MOOT_OK);
            moot_journal_free(w.journal, 1, index);
        }
        moot_index now = freed_by(&w);
        assert_true(now >= freed && now <= index && (now > 0 || round < 2));
        freed = now;
    }
    const struct moot_record other = hard(0, 1, 1);
    moot_journal_free(w.journal, 1, index);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(world_write(&w, &other, 1), MOOT_OK);
    }
    assert_int_equal(freed_by(&w), index);
    for (size_t i = 0; i < w.seen_count; i++) {
        assert_int_not_equal(w.seen[i].record.kind, MOOT_RECORD_ENTRY);
    }
    for (moot_index i = 1; i <= 20; i++) { /* Another store: what is freed is counted anew, */
        const struct moot_record one = entry(1, i, 3, "an entry");
        assert_int_equal(world_write(&w, &one, 1), MOOT_OK);
    }
    moot_group_id group = 9;
    moot_index last = 0;
    assert_true(moot_journal_oldest(w.journal, &group, &last)); /* and these are needed. */
    assert_int_equal(group, 1);
    (void)freed_by(&w);
    assert_true(moot_journal_oldest(w.journal, &group, &last));
    assert_int_equal(group, 1);
    const struct moot_record installed = snapshot(1, 15, 3, "members");
    assert_int_equal(world_write(&w, &installed, 1), MOOT_OK);
    for (moot_index i = 21; i <= 80; i++) {
        const struct moot_record one = entry(1, i, 3, "an entry");
        assert_int_equal(world_write(&w, &one, 1), MOOT_OK);
        moot_journal_free(w.journal, 1, i == 40 ? 39 : 15);
        if (i >= 40) {
            moot_journal_free(w.journal, 1, i - 1);
        }
    }
    assert_true(freed_by(&w) >= 39);
    world_deinit(&w);
}

/* Goal: what holds the oldest segment is named, and entries that a later one overwrote hold
 * nothing. Method: fill a segment with one group's entries, then overwrite them from the next. */
static void overwritten_entries_hold_nothing(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 3);
    assert_int_equal(world_open(&w), MOOT_OK);
    moot_group_id group = 9;
    moot_index last = 0;
    for (moot_index i = 1; i <= 20; i++) { /* 15 blocks of a segment are for entries. */
        const struct moot_record one = entry(1, i, 1, "old");
        assert_int_equal(world_write(&w, &one, 1), MOOT_OK);
    }
    assert_true(moot_journal_oldest(w.journal, &group, &last));
    assert_int_equal(group, 1);
    assert_int_equal(last, 15);
    const struct moot_record over = entry(1, 6, 2, "new");
    assert_int_equal(world_write(&w, &over, 1), MOOT_OK);
    assert_true(moot_journal_oldest(w.journal, &group, &last));
    assert_int_equal(last, 5);
    uint64_t bytes = moot_journal_bytes(w.journal);
    moot_journal_free(w.journal, 1, 5);
    assert_false(moot_journal_oldest(w.journal, &group, &last));
    assert_int_equal(world_write(&w, NULL, 0), MOOT_OK); /* Retires. */
    assert_int_equal(world_write(&w, NULL, 0), MOOT_OK); /* Knows that durable, and recycles. */
    assert_true(moot_journal_bytes(w.journal) < bytes);
    world_deinit(&w);
}

/* Goal: what one group cannot free never stops the others, nor its own next term (moot sim found
 * that a full journal stayed so). Method: group 0 has three entries that nobody commits; group 1
 * writes and frees far more than all segments hold. Whenever the journal is full, the three are
 * written again, in one batch with group 0's next hard state; at the end all is there. */
static void a_held_segment_is_carried_forward(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 5);
    assert_int_equal(world_open(&w), MOOT_OK);
    struct moot_record held[] = {hard(0, 1, 1), entry(0, 1, 1, "one"), entry(0, 2, 1, "two"),
                                 entry(0, 3, 1, "three")};
    assert_int_equal(world_write(&w, held, 4), MOOT_OK);
    uint32_t carried = 0;
    for (moot_index i = 1; i <= 1000; i++) {
        const struct moot_record one = entry(1, i, 1, "an entry");
        int status = world_write(&w, &one, 1);
        if (status == MOOT_ENOSPACE) {
            moot_group_id group = 9;
            moot_index last = 0;
            assert_true(moot_journal_oldest(w.journal, &group, &last));
            assert_int_equal(group, 0);
            assert_int_equal(last, 3);
            held[0] = hard(0, 2 + carried, 2);
            struct moot_record again[] = {held[1], held[2], held[3], held[0]};
            assert_int_equal(world_write(&w, again, 4), MOOT_OK);
            assert_int_equal(world_write(&w, NULL, 0), MOOT_OK); /* Knows that durable. */
            carried++;
            status = world_write(&w, &one, 1);
        }
        assert_int_equal(status, MOOT_OK);
        moot_journal_free(w.journal, 1, i);
        assert_true(moot_journal_bytes(w.journal) <= 4 * w.options.segment_bytes);
    }
    assert_true(carried > 5);
    world_close(&w);
    assert_int_equal(world_open(&w), MOOT_OK);
    assert_int_equal(w.report.damage, MOOT_DAMAGE_NONE);
    moot_index last = 0;
    moot_term term = 0;
    for (size_t i = 0; i < w.seen_count; i++) {
        const struct moot_record *seen = &w.seen[i].record;
        if (seen->group == 0 && seen->kind == MOOT_RECORD_ENTRY) {
            last = seen->index;
            assert_true(is_same(&w.seen[i], &held[last]));
        }
        if (seen->group == 0 && seen->kind == MOOT_RECORD_HARD_STATE) {
            term = seen->term;
        }
    }
    assert_int_equal(last, 3);
    assert_int_equal(term, 1 + carried);
    world_deinit(&w);
}

/* Goal: limits answer, and change nothing. Method: a batch over a segment, then a full journal;
 * open says the same after each. */
static void limits_change_nothing(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 4);
    assert_int_equal(world_open(&w), MOOT_OK);
    static uint8_t large[16 * MOOT_JOURNAL_ALIGN];
    struct moot_record record = entry(1, 1, 1, "");
    record.bytes = (struct moot_slice){large, sizeof(large)};
    assert_int_equal(world_layout(&w, &record, 1), MOOT_ELIMIT);
    record.bytes.size = MOOT_JOURNAL_BATCH_BYTES_MAX + 1; /* Refused before it is read. */
    assert_int_equal(world_layout(&w, &record, 1), MOOT_ELIMIT);
    moot_index index = 0;
    int status = MOOT_OK;
    while (status == MOOT_OK) {
        const struct moot_record one = entry(1, ++index, 1, "fills");
        status = world_write(&w, &one, 1);
    }
    assert_int_equal(status, MOOT_ENOSPACE);
    uint64_t last = moot_journal_last(w.journal);
    assert_int_equal(last, index - 1);
    moot_journal_free(w.journal, 1, 15);
    const struct moot_record one = entry(1, index, 1, "fits again");
    assert_int_equal(world_write(&w, &one, 1), MOOT_OK);
    world_close(&w);
    assert_int_equal(world_open(&w), MOOT_OK);
    assert_int_equal(w.report.damage, MOOT_DAMAGE_NONE);
    assert_true(is_same(&w.seen[w.seen_count - 1], &one));
    world_deinit(&w);
}

/* Goal: a node whose journal is full can start, however often, and comes back to its size once it
 * has freed something. Method: fill it, start until new segments were needed, free, write on. */
static void a_full_journal_can_be_started(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 9);
    assert_int_equal(world_open(&w), MOOT_OK);
    moot_index index = 0;
    int status = MOOT_OK;
    while (status == MOOT_OK) {
        const struct moot_record one = entry(1, ++index, 1, "fills");
        status = world_write(&w, &one, 1);
    }
    assert_int_equal(status, MOOT_ENOSPACE);
    uint64_t full = moot_journal_bytes(w.journal);
    for (int i = 0; i < 60; i++) {
        const struct moot_record start = identity("incarnation");
        world_close(&w);
        assert_int_equal(world_open(&w), MOOT_OK);
        assert_int_equal(world_write(&w, &start, 1), MOOT_OK);
    }
    assert_true(moot_journal_bytes(w.journal) > full);
    moot_journal_free(w.journal, 1, index);
    for (int i = 0; i < 40; i++) {
        const struct moot_record one = entry(1, ++index, 1, "fits again");
        assert_int_equal(world_write(&w, &one, 1), MOOT_OK);
        moot_journal_free(w.journal, 1, index);
    }
    assert_true(moot_journal_bytes(w.journal) < full);
    world_close(&w);
    world_deinit(&w);
}

/* Goal: a full disk is definite: the same write succeeds once there is space. Method: no room for
 * the first segment, then room. */
static void a_full_disk_can_be_tried_again(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 5);
    assert_int_equal(world_open(&w), MOOT_OK);
    const struct moot_record one = entry(1, 1, 1, "patient");
    moot_disk_sim_capacity(w.sim, 100);
    assert_int_equal(world_layout(&w, &one, 1), MOOT_OK);
    assert_int_equal(world_put(&w), MOOT_ENOSPACE);
    moot_disk_sim_capacity(w.sim, 0);
    assert_int_equal(world_put(&w), MOOT_OK);
    world_close(&w);
    assert_int_equal(world_open(&w), MOOT_OK);
    assert_int_equal(w.seen_count, 1);
    world_deinit(&w);
}

/* Goal: what a snapshot made void holds no segment, also after a restart: nobody would ever write
 * over it, while a group has nothing more to say. Method: entries of another history above a
 * snapshot, with and without its word for it; rot of it names what nobody knows then. */
static void what_a_snapshot_voids_holds_nothing(void **state)
{
    (void)state;
    for (int voids = 0; voids < 2; voids++) {
        struct world w;
        world_init(&w, 5);
        assert_int_equal(world_open(&w), MOOT_OK);
        struct moot_record dead[] = {entry(1, 1, 3, "a"), entry(1, 2, 3, "b"), entry(1, 3, 3, "c")};
        assert_int_equal(world_write(&w, dead, 3), MOOT_OK);
        (void)moot_journal_turn_over(w.journal);
        struct moot_record it = snapshot(1, 2, 4, "members");
        it.voids = voids;
        assert_int_equal(world_write(&w, &it, 1), MOOT_OK);
        uint64_t at = w.where.offset;
        char name[32];
        memcpy(name, w.where.segment, sizeof(name));
        moot_group_id group;
        moot_index last;
        assert_int_equal(moot_journal_oldest(w.journal, &group, &last), !voids);
        world_close(&w);
        assert_int_equal(world_open(&w), MOOT_OK);
        assert_int_equal(moot_journal_oldest(w.journal, &group, &last), !voids);
        size_t snapshots = 0;
        for (size_t i = 0; i < w.seen_count; i++) {
            const struct moot_record *record = &w.seen[i].record;
            snapshots += record->kind == MOOT_RECORD_SNAPSHOT && record->voids == voids;
        }
        assert_int_equal(snapshots, 1);
        world_close(&w);
        moot_disk_sim_rot(w.sim, name, at + MOOT_JOURNAL_ALIGN - 1, 1);
        assert_int_equal(world_open(&w), MOOT_OK);
        assert_int_equal(w.report.damage, MOOT_DAMAGE_ROT);
        assert_int_equal(w.report.losses[0].first, 2);
        world_deinit(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back),
        cmocka_unit_test(segments_are_recycled),
        cmocka_unit_test(a_journal_says_what_it_freed),
        cmocka_unit_test(overwritten_entries_hold_nothing),
        cmocka_unit_test(a_held_segment_is_carried_forward),
        cmocka_unit_test(limits_change_nothing),
        cmocka_unit_test(a_full_journal_can_be_started),
        cmocka_unit_test(a_full_disk_can_be_tried_again),
        cmocka_unit_test(what_a_snapshot_voids_holds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
