#include "journal_world.h"

enum { BATCHES = 7, BIG_BYTES = 9000 };

static char big[BIG_BYTES + 1];

/* What each batch of the sample holds; the last is the closing mark. */
struct sample {
    struct moot_record records[4];
    size_t count;
    struct moot_journal_write where;
    size_t size;
};

static void sample_fill(struct sample sample[BATCHES + 1])
{
    memset(big, 'b', BIG_BYTES);
    memset(sample, 0, (BATCHES + 1) * sizeof(sample[0]));
    sample[1].records[0] = identity("cluster 9, node 1");
    sample[1].records[1] = hard(0, 1, 1);
    sample[1].records[2] = hard(1, 2, 2);
    sample[1].count = 3;
    sample[2].records[0] = entry(0, 1, 1, "zero");
    sample[2].count = 1;
    sample[3].records[0] = entry(1, 1, 2, big);
    sample[3].count = 1;
    sample[4].records[0] = entry(0, 2, 1, "zero again");
    sample[4].records[1] = entry(1, 2, 2, "one");
    sample[4].records[2] = entry(1, 3, 2, "one again");
    sample[4].count = 3;
    sample[5].records[0] = hard(1, 3, 1);
    sample[5].count = 1;
    sample[6].records[0] = entry(1, 4, 3, "the last");
    sample[6].count = 1;
}

/* Writes the sample's first `batches` batches; each is durable before the next. */
static void sample_write(struct world *w, struct sample sample[BATCHES + 1], size_t batches)
{
    sample_fill(sample);
    world_init(w, 5);
    w->options.segment_bytes = 16 * MOOT_JOURNAL_ALIGN;
    assert_int_equal(world_open(w), MOOT_OK);
    for (size_t i = 1; i <= batches; i++) {
        assert_int_equal(world_write(w, sample[i].records, sample[i].count), MOOT_OK);
        assert_int_equal(w->where.batch, i);
        sample[i].where = w->where;
        sample[i].size = w->out.size;
    }
    world_close(w);
}

/* Opens a copy of the disk; `w` is another world, to be ended with world_deinit. */
static void open_copy(struct world *copy, const struct world *w, uint64_t seed)
{
    world_init(copy, seed);
    moot_disk_sim_free(copy->sim);
    copy->sim = moot_disk_sim_copy(w->sim, seed);
    copy->disk = moot_disk_sim_disk(copy->sim);
    copy->options = w->options;
}

/* The records of batches 1..`batches` without batch `lost`, exactly, in order. */
static void assert_seen(const struct world *w, const struct sample *sample, size_t batches,
                        size_t lost)
{
    size_t at = 0;
    for (size_t i = 1; i <= batches; i++) {
        for (size_t k = 0; i != lost && k < sample[i].count; k++, at++) {
            assert_true(at < w->seen_count);
            assert_true(is_same(&w->seen[at], &sample[i].records[k]));
        }
    }
    assert_int_equal(at, w->seen_count);
}

static bool report_names(const struct moot_journal_report *report, moot_group_id group)
{
    for (uint32_t i = 0; i < report->loss_count; i++) {
        if (report->losses[i].group == group) {
            return true;
        }
    }
    return false;
}

/* What must be said when byte `at` of batch `batch` is bad, and a later mark covers it. */
static void assert_rot(const struct world *w, const struct sample *sample, size_t batch, size_t at)
{
    assert_int_equal(w->report.damage, MOOT_DAMAGE_ROT);
    assert_int_equal(w->report.rotten_batches, 1);
    assert_int_equal(w->report.torn_batches, 0);
    assert_seen(w, sample, BATCHES, batch);
    bool in_zero = false, in_one = false, has_identity = false;
    moot_index first = 0, last = 0;
    for (size_t k = 0; k < sample[batch].count; k++) {
        const struct moot_record *record = &sample[batch].records[k];
        has_identity = has_identity || record->kind == MOOT_RECORD_IDENTITY;
        in_zero = in_zero || (record->kind != MOOT_RECORD_IDENTITY && record->group == 0);
        in_one = in_one || record->group == 1;
        if (record->kind == MOOT_RECORD_ENTRY && record->group == 1) {
            first = first == 0 ? record->index : first;
            last = record->index;
        }
    }
    if (at < journal_header_size((size_t)in_zero + in_one) || has_identity) {
        assert_int_equal(w->report.loss_count, 1);
        assert_int_equal(w->report.losses[0].group, UINT32_MAX);
        assert_true(w->report.losses[0].last == UINT64_MAX);
        return;
    }
    assert_int_equal(w->report.loss_count, (int)in_zero + in_one);
    assert_int_equal(report_names(&w->report, 0), in_zero);
    assert_int_equal(report_names(&w->report, 1), in_one);
    if (in_one) {
        const struct moot_journal_loss *loss = &w->report.losses[w->report.loss_count - 1];
        assert_int_equal(loss->first, first);
        assert_int_equal(loss->last, last);
    }
}

/* Goal: rot anywhere in an acknowledged batch, padding too, is never taken for a torn tail, and
 * says whose it was. Method: flip every byte of every batch below the mark, one at a time. */
static void rot_below_the_mark_is_reported(void **state)
{
    (void)state;
    struct world w;
    struct sample sample[BATCHES + 1];
    sample_write(&w, sample, BATCHES);
    for (size_t batch = 1; batch < BATCHES; batch++) {
        for (size_t at = 0; at < sample[batch].size; at++) {
            struct world copy;
            open_copy(&copy, &w, at);
            moot_disk_sim_rot(copy.sim, sample[batch].where.segment,
                              sample[batch].where.offset + at, (uint8_t)(1u << at % 8));
            assert_int_equal(world_open(&copy), MOOT_OK);
            assert_rot(&copy, sample, batch, at);
            world_deinit(&copy);
        }
    }
    world_deinit(&w);
}

/* Goal: the same for whole sectors gone. Method: each sector of each batch, to garbage, and to
 * zeros. */
static void rotten_sectors_are_reported(void **state)
{
    (void)state;
    struct world w;
    struct sample sample[BATCHES + 1];
    sample_write(&w, sample, BATCHES);
    for (size_t batch = 1; batch < BATCHES; batch++) {
        for (size_t at = 0; at < sample[batch].size; at += MOOT_DISK_SIM_SECTOR) {
            struct world copy;
            open_copy(&copy, &w, at);
            moot_disk_sim_rot_range(copy.sim, sample[batch].where.segment,
                                    sample[batch].where.offset + at, MOOT_DISK_SIM_SECTOR);
            assert_int_equal(world_open(&copy), MOOT_OK);
            assert_rot(&copy, sample, batch, at);
            world_deinit(&copy);
        }
    }
    world_deinit(&w);
}

/* Goal: damage in the last batch, which no mark covers, is a torn tail: it opens clean, without
 * that batch, and without a loss. Method: as above, for the last of a journal without closing
 * mark, and for the closing mark itself. */
static void damage_above_the_mark_is_torn(void **state)
{
    (void)state;
    for (size_t batches = BATCHES - 1; batches <= BATCHES; batches++) {
        struct world w;
        struct sample sample[BATCHES + 1];
        sample_write(&w, sample, batches);
        for (size_t at = 0; at < sample[batches].size; at++) {
            struct world copy;
            open_copy(&copy, &w, at);
            moot_disk_sim_rot(copy.sim, sample[batches].where.segment,
                              sample[batches].where.offset + at, 0x10);
            assert_int_equal(world_open(&copy), MOOT_OK);
            assert_int_equal(copy.report.damage, MOOT_DAMAGE_TORN);
            assert_int_equal(copy.report.loss_count, 0);
            assert_seen(&copy, sample, batches - 1, 0);
            const struct moot_record more = entry(0, 3, 4, "goes on");
            assert_int_equal(world_write(&copy, &more, 1), MOOT_OK);
            world_close(&copy);
            assert_int_equal(world_open(&copy), MOOT_OK);
            assert_int_equal(copy.report.damage, MOOT_DAMAGE_NONE);
            assert_true(is_same(&copy.seen[copy.seen_count - 1], &more));
            world_deinit(&copy);
        }
        world_deinit(&w);
    }
}

/* Goal: a cut is durable when open returns: what stood then is acknowledged, and later rot of it is
 * rot, even if nothing was written since. Method: tear the last batch, open, power fails, rot of
 * the batch before. */
static void cut_is_durable_before_new_writes(void **state)
{
    (void)state;
    struct world w;
    struct sample sample[BATCHES + 1];
    sample_write(&w, sample, BATCHES - 1);
    moot_disk_sim_rot_range(w.sim, sample[6].where.segment, sample[6].where.offset, 512);
    assert_int_equal(world_open(&w), MOOT_OK);
    assert_true(w.report.damage != MOOT_DAMAGE_ROT);
    assert_seen(&w, sample, 5, 0);
    world_close(&w);
    moot_disk_sim_crash(w.sim);
    moot_disk_sim_rot(w.sim, sample[5].where.segment, sample[5].where.offset + 4000, 1);
    assert_int_equal(world_open(&w), MOOT_OK);
    assert_int_equal(w.report.damage, MOOT_DAMAGE_ROT);
    assert_true(report_names(&w.report, 1));
    world_deinit(&w);
}

/* Goal: the same for a last batch that stands: once opened, it may be acknowledged without a write.
 * Method: no tear; open twice with rot of the last data batch between. */
static void what_was_found_is_covered(void **state)
{
    (void)state;
    struct world w;
    struct sample sample[BATCHES + 1];
    sample_write(&w, sample, BATCHES - 1);
    assert_int_equal(world_open(&w), MOOT_OK);
    assert_int_equal(w.report.damage, MOOT_DAMAGE_NONE);
    world_close(&w);
    uint64_t digest = moot_disk_sim_digest(w.sim);
    assert_int_equal(world_open(&w), MOOT_OK); /* Covered now: no second mark. */
    world_close(&w);
    assert_true(digest == moot_disk_sim_digest(w.sim));
    moot_disk_sim_rot(w.sim, sample[6].where.segment, sample[6].where.offset + 20, 1);
    assert_int_equal(world_open(&w), MOOT_OK);
    assert_int_equal(w.report.damage, MOOT_DAMAGE_ROT);
    assert_int_equal(w.report.losses[0].group, UINT32_MAX);
    world_deinit(&w);
}

/* Goal: all nodes torn at once must not block: whatever subset of the last batch's sectors reached
 * the disk, over zeros, over garbage or over an older batch, the journal opens, has lost nothing
 * acknowledged and takes writes. Method: all 256 subsets of a one-block batch. */
static void any_torn_tail_opens_clean(void **state)
{
    (void)state;
    for (unsigned subset = 0; subset < 3 * 256; subset++) {
        struct world w, before;
        struct sample sample[BATCHES + 1];
        sample_write(&w, sample, BATCHES - 1);
        sample_write(&before, sample, BATCHES - 2);
        uint64_t size = 0;
        const uint8_t *whole = moot_disk_sim_bytes(w.sim, sample[1].where.segment, &size);
        uint64_t offset = sample[5].where.offset + sample[5].size;
        for (size_t at = 0; at < MOOT_JOURNAL_ALIGN; at++) {
            bool written = (subset >> at / MOOT_DISK_SIM_SECTOR & 1) != 0;
            uint8_t stale[] = {0, (uint8_t)(at * 31 + 7), whole[sample[3].where.offset + at]};
            uint8_t to = written ? whole[offset + at] : stale[subset / 256];
            const uint8_t *now = moot_disk_sim_bytes(before.sim, sample[1].where.segment, &size);
            moot_disk_sim_rot(before.sim, sample[1].where.segment, offset + at,
                              now[offset + at] ^ to);
        }
        assert_int_equal(world_open(&before), MOOT_OK);
        assert_true(before.report.damage != MOOT_DAMAGE_ROT);
        assert_int_equal(before.report.loss_count, 0);
        bool all = before.seen_count > 9;
        sample_fill(sample);
        assert_seen(&before, sample, all ? 6 : 5, 0);
        assert_true(!all || subset % 256 == 255 || before.report.damage == MOOT_DAMAGE_NONE);
        const struct moot_record more = entry(1, 9, 9, "more");
        assert_int_equal(world_write(&before, &more, 1), MOOT_OK);
        world_deinit(&before);
        world_deinit(&w);
    }
}

/* Goal: rot and a torn tail at once are told apart. Method: damage batch k below the mark and the
 * last one, which has none. */
static void rot_and_torn_tail_together(void **state)
{
    (void)state;
    struct world w;
    struct sample sample[BATCHES + 1];
    sample_write(&w, sample, BATCHES - 1);
    for (size_t batch = 1; batch < BATCHES - 2; batch++) {
        struct world copy;
        open_copy(&copy, &w, batch);
        moot_disk_sim_rot(copy.sim, sample[batch].where.segment, sample[batch].where.offset + 3, 1);
        moot_disk_sim_rot(copy.sim, sample[6].where.segment, sample[6].where.offset + 2000, 1);
        assert_int_equal(world_open(&copy), MOOT_OK);
        assert_int_equal(copy.report.damage, MOOT_DAMAGE_ROT);
        assert_int_equal(copy.report.rotten_batches, 1);
        assert_int_equal(copy.report.torn_batches, 1);
        assert_seen(&copy, sample, 5, batch);
        world_deinit(&copy);
    }
    world_deinit(&w);
}

/* Goal: a mark counts even if the batch that has it is torn: its header stands. Method: rot of
 * batch 5 and of the body of batch 6, which says that 5 is durable. */
static void a_torn_batch_still_testifies(void **state)
{
    (void)state;
    struct world w;
    struct sample sample[BATCHES + 1];
    sample_write(&w, sample, BATCHES - 1);
    moot_disk_sim_rot(w.sim, sample[5].where.segment, sample[5].where.offset + 1, 1);
    moot_disk_sim_rot(w.sim, sample[6].where.segment, sample[6].where.offset + 3000, 1);
    assert_int_equal(world_open(&w), MOOT_OK);
    assert_int_equal(w.report.damage, MOOT_DAMAGE_ROT);
    assert_int_equal(w.report.durable_seen, 5);
    assert_seen(&w, sample, 4, 0);
    /* Where the last acknowledged batch ends is not known: nothing may be written over it. */
    const struct moot_record more = entry(0, 5, 5, "elsewhere");
    assert_int_equal(world_write(&w, &more, 1), MOOT_OK);
    assert_true(strcmp(w.where.segment, sample[6].where.segment) != 0);
    world_close(&w);
    assert_int_equal(world_open(&w), MOOT_OK);
    assert_int_equal(w.report.damage, MOOT_DAMAGE_ROT); /* Not repaired: said again. */
    assert_int_equal(w.report.rotten_batches, 1);
    assert_true(is_same(&w.seen[w.seen_count - 1], &more));
    world_deinit(&w);
}

/* Goal: of a cut tail nothing comes back, even when whole batches of it lie behind what was written
 * since. Method: of three batches in flight the first is lost and the others are there; open; write
 * smaller and larger batches over; open after each. */
static void leftovers_of_a_cut_stay_cut(void **state)
{
    (void)state;
    struct world w;
    struct sample sample[BATCHES + 1];
    sample_write(&w, sample, 5);
    assert_int_equal(world_open(&w), MOOT_OK);
    const struct moot_record lost[] = {entry(1, 4, 3, big), entry(1, 5, 3, "five"),
                                       entry(1, 6, 3, "six")};
    for (size_t i = 0; i < 3; i++) { /* In flight together: none knows the others durable. */
        assert_int_equal(world_layout(&w, &lost[i], 1), MOOT_OK);
        moot_disk_sim_lose_at(w.sim, i == 0);
        assert_int_equal(world_put(&w), MOOT_OK);
    }
    world_close(&w);
    for (int round = 0; round < 4; round++) {
        size_t before = w.seen_count;
        assert_int_equal(world_open(&w), MOOT_OK);
        assert_int_equal(w.report.damage, round == 0 ? MOOT_DAMAGE_TORN : MOOT_DAMAGE_NONE);
        assert_true(round == 0 || w.seen_count == before + 1);
        for (size_t i = 0; i < w.seen_count; i++) {
            for (size_t k = 0; k < 3; k++) {
                assert_false(is_same(&w.seen[i], &lost[k]));
            }
        }
        const struct moot_record fresh = entry(1, 4 + (moot_index)round, 8, "fresh");
        assert_int_equal(world_write(&w, &fresh, 1), MOOT_OK);
        world_close(&w);
    }
    world_deinit(&w);
}

/* Goal: the chain notices a lost write that left an older, whole batch in place. Method: the disk
 * keeps the first form of batch 6 although it was cut and written again. */
static void a_stale_batch_in_place_is_rot(void **state)
{
    (void)state;
    struct world w;
    struct sample sample[BATCHES + 1];
    sample_write(&w, sample, 5);
    struct world other; /* The same history but for one record. */
    open_copy(&other, &w, 3);
    const struct moot_record one = entry(1, 4, 3, "one"), two = entry(1, 4, 3, "two");
    const struct moot_record next = entry(1, 5, 3, "next");
    assert_int_equal(world_open(&w), MOOT_OK);
    assert_int_equal(world_open(&other), MOOT_OK);
    assert_int_equal(world_write(&w, &one, 1), MOOT_OK);
    struct moot_journal_write where = w.where;
    assert_int_equal(world_write(&w, &next, 1), MOOT_OK);
    assert_int_equal(world_write(&w, NULL, 0), MOOT_OK);
    assert_int_equal(world_write(&other, &two, 1), MOOT_OK);
    uint64_t size = 0;
    for (uint64_t at = where.offset; at < where.offset + MOOT_JOURNAL_ALIGN; at++) {
        uint8_t a = moot_disk_sim_bytes(w.sim, where.segment, &size)[at];
        uint8_t b = moot_disk_sim_bytes(other.sim, where.segment, &size)[at];
        moot_disk_sim_rot(w.sim, where.segment, at, a ^ b);
    }
    world_close(&w);
    assert_int_equal(world_open(&w), MOOT_OK);
    assert_int_equal(w.report.damage, MOOT_DAMAGE_ROT);
    assert_int_equal(w.report.losses[0].group, UINT32_MAX);
    world_deinit(&other);
    world_deinit(&w);
}

/* Goal: a misdirected write is noticed at both places. Method: batch 5 lands on batch 2 of the same
 * segment, and on an unused block; then a mark. */
static void misdirected_writes_are_rot(void **state)
{
    (void)state;
    for (int onto = 0; onto < 2; onto++) {
        struct world w;
        struct sample sample[BATCHES + 1];
        sample_write(&w, sample, 4);
        assert_int_equal(world_open(&w), MOOT_OK);
        uint64_t target = onto == 0 ? sample[2].where.offset : 12 * MOOT_JOURNAL_ALIGN;
        moot_disk_sim_misdirect_at(w.sim, 1, sample[2].where.segment, target);
        assert_int_equal(world_write(&w, sample[5].records, 1), MOOT_OK);
        assert_int_equal(world_write(&w, NULL, 0), MOOT_OK);
        world_close(&w);
        assert_int_equal(world_open(&w), MOOT_OK);
        assert_int_equal(w.report.damage, MOOT_DAMAGE_ROT);
        assert_int_equal(w.report.rotten_batches, onto == 0 ? 2 : 1);
        assert_int_equal(w.report.losses[0].group, UINT32_MAX);
        assert_seen(&w, sample, 4, onto == 0 ? 2 : 0);
        world_deinit(&w);
    }
}

/* Goal: a journal of a newer version is refused and left alone; a newer batch that only lies in a
 * recycled file is not in the way. Method: raise the version of a header and seal it again. */
static void newer_version_is_refused(void **state)
{
    (void)state;
    struct world w;
    struct sample sample[BATCHES + 1];
    sample_write(&w, sample, BATCHES - 1);
    uint64_t size = 0;
    const char *name = sample[1].where.segment;
    uint64_t offset = sample[4].where.offset;
    uint8_t block[MOOT_JOURNAL_ALIGN];
    memcpy(block, moot_disk_sim_bytes(w.sim, name, &size) + offset, sizeof(block));
    moot_store_le32(block + 8, JOURNAL_VERSION + 1);
    moot_store_le64(block + 16, journal_header_sum(block, moot_load_le32(block + 12)));
    for (size_t i = 0; i < sizeof(block); i++) {
        uint8_t now = moot_disk_sim_bytes(w.sim, name, &size)[offset + i];
        moot_disk_sim_rot(w.sim, name, offset + i, now ^ block[i]);
    }
    uint64_t digest = moot_disk_sim_digest(w.sim);
    assert_int_equal(world_open(&w), MOOT_EVERSION);
    assert_null(w.journal);
    assert_true(digest == moot_disk_sim_digest(w.sim));
    struct journal_header header;
    assert_int_equal(journal_header_get(block, 77, offset, size, &header), JOURNAL_OLDER);
    world_deinit(&w);
}

/* Goal: when nothing can be made out, open says so instead of starting afresh. Method: a journal
 * whose first segment was recycled long ago, every block overwritten. */
static void nothing_legible_is_corrupt(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 2);
    assert_int_equal(world_open(&w), MOOT_OK);
    for (moot_index i = 1; i <= 100; i++) {
        const struct moot_record one = entry(1, i, 3, "an entry");
        assert_int_equal(world_write(&w, &one, 1), MOOT_OK);
        moot_journal_free(w.journal, 1, i - 1);
    }
    world_close(&w);
    for (uint64_t generation = 1; generation < 20; generation++) {
        char name[JOURNAL_NAME_BYTES];
        journal_name_put(name, generation);
        uint64_t size = 0;
        if (moot_disk_sim_bytes(w.sim, name, &size) != NULL) {
            moot_disk_sim_rot_range(w.sim, name, 0, size);
        }
    }
    assert_int_equal(world_open(&w), MOOT_ECORRUPT);
    world_deinit(&w);
}

/* Goal: rot keeps its segment until it is repaired, and then lets go. Method: rot in an old
 * segment, free everything, write on; then say repaired. */
static void rot_holds_segments_until_repaired(void **state)
{
    (void)state;
    struct world w;
    struct sample sample[BATCHES + 1];
    sample_write(&w, sample, BATCHES);
    moot_disk_sim_rot(w.sim, sample[4].where.segment, sample[4].where.offset + 4000, 1);
    assert_int_equal(world_open(&w), MOOT_OK);
    assert_int_equal(w.report.damage, MOOT_DAMAGE_ROT);
    moot_index index = 10;
    int status = MOOT_OK;
    while (status == MOOT_OK) {
        const struct moot_record one = entry(1, index, 9, "more");
        status = world_write(&w, &one, 1);
        moot_journal_free(w.journal, 1, index++);
        moot_journal_free(w.journal, 0, 100);
    }
    assert_int_equal(status, MOOT_ENOSPACE);
    assert_int_equal(moot_journal_repaired(w.journal, 0), 0);
    assert_true(moot_journal_repaired(w.journal, 1) > 0);
    for (int i = 0; i < 40; i++) {
        const struct moot_record one = entry(1, index, 9, "more");
        assert_int_equal(world_write(&w, &one, 1), MOOT_OK);
        moot_journal_free(w.journal, 1, index++);
    }
    world_close(&w);
    assert_int_equal(world_open(&w), MOOT_OK);
    assert_int_equal(w.report.damage, MOOT_DAMAGE_NONE);
    world_deinit(&w);
}

/* Goal: a disk that cannot be read is an error, not an empty journal. Method: fail each read. */
static void unreadable_is_an_error(void **state)
{
    (void)state;
    struct world w;
    struct sample sample[BATCHES + 1];
    sample_write(&w, sample, BATCHES);
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        moot_disk_sim_fail_read_at(w.sim, n);
        int status = world_open(&w);
        done = status == MOOT_OK;
        assert_true(done || status == MOOT_EIO);
        assert_true(n < 100);
        moot_disk_sim_fail_read_at(w.sim, 0);
        world_close(&w);
    }
    world_deinit(&w);
}

/* A value that holds, where a block of its batch will begin, a header such as a journal writes: of
 * this segment and place, and with a mark that is far ahead. */
static void craft(struct world *w, struct moot_record *record, uint8_t *value, size_t size)
{
    struct moot_record empty = *record;
    empty.bytes.size = 0;
    *record = empty;
    record->bytes = (struct moot_slice){value, size};
    size_t before = journal_header_size(1) + journal_record_size(record) - size;
    struct moot_journal_write where = w->where;
    uint64_t block = where.offset + w->out.size + MOOT_JOURNAL_ALIGN; /* The batch's second. */
    struct journal_header header = {.generation = 1,
                                    .offset = block,
                                    .batch = 1000,
                                    .length = MOOT_JOURNAL_ALIGN,
                                    .durable = 999,
                                    .epoch = 1,
                                    .epoch_start = 1,
                                    .first_generation = 1,
                                    .first_batch = 1,
                                    .header_size = (uint32_t)journal_header_size(0)};
    memset(value, 'v', size);
    uint8_t *at = value + MOOT_JOURNAL_ALIGN - before;
    memset(at, 0, MOOT_JOURNAL_ALIGN);
    header.body_checksum = journal_body_sum(at, header.header_size, MOOT_JOURNAL_ALIGN);
    journal_header_put(at, &header, NULL);
}

/* Goal: what a client sends is never taken for the journal's own words: else a torn write would
 * make a node believe that it had lost what it acknowledged. Method: a value with a whole header in
 * it, read back as it is, and its batch torn so that the scan comes past it. */
static void a_value_is_no_header(void **state)
{
    (void)state;
    enum { SIZE = 3 * MOOT_JOURNAL_ALIGN };
    struct world w, torn;
    uint8_t *value = moot_alloc(SIZE);
    world_init(&w, 3);
    assert_int_equal(world_open(&w), MOOT_OK);
    struct moot_record record = entry(1, 1, 2, "first");
    assert_int_equal(world_write(&w, &record, 1), MOOT_OK);
    record.index = 2;
    craft(&w, &record, value, SIZE);
    assert_int_equal(world_write(&w, &record, 1), MOOT_OK);
    open_copy(&torn, &w, 4);
    assert_int_equal(world_open(&torn), MOOT_OK);
    assert_int_equal(torn.report.damage, MOOT_DAMAGE_NONE);
    assert_int_equal(torn.seen_count, 2);
    assert_true(is_same(&torn.seen[1], &record));
    world_deinit(&torn);

    open_copy(&torn, &w, 5);
    uint8_t *zeros = aligned_alloc(MOOT_JOURNAL_ALIGN, MOOT_JOURNAL_ALIGN);
    memset(zeros, 0, MOOT_JOURNAL_ALIGN);
    assert_int_equal(torn.disk->ops->write(torn.disk, w.where.segment, w.where.offset, zeros,
                                           MOOT_JOURNAL_ALIGN),
                     MOOT_OK);
    assert_int_equal(world_open(&torn), MOOT_OK);
    assert_int_equal(torn.report.rotten_batches, 0);
    assert_int_equal(torn.report.durable_seen, 0);
    assert_int_equal(torn.seen_count, 1);
    world_deinit(&torn);
    free(zeros);
    moot_free(value);
    world_deinit(&w);
}

/* Goal: a mask exists for every body. Method: bodies whose blocks begin with the magic, and with
 * what the first masks would make of it. */
static void a_mask_hides_every_magic(void **state)
{
    (void)state;
    enum { BLOCKS = 600, BYTES = BLOCKS * MOOT_JOURNAL_ALIGN };
    uint8_t *batch = moot_alloc_zero(BYTES), *before = moot_alloc(BYTES);
    assert_int_equal(journal_mask_choose(batch, BYTES), 0);
    for (uint32_t i = 1; i < BLOCKS; i++) {
        moot_store_le64(batch + (size_t)i * MOOT_JOURNAL_ALIGN, JOURNAL_MAGIC ^ (i - 1));
    }
    memcpy(before, batch, BYTES);
    uint32_t mask = journal_mask_choose(batch, BYTES);
    assert_int_equal(mask, BLOCKS - 1);
    journal_mask_apply(batch, BYTES, mask);
    for (uint32_t i = 1; i < BLOCKS; i++) {
        assert_true(moot_load_le64(batch + (size_t)i * MOOT_JOURNAL_ALIGN) != JOURNAL_MAGIC);
    }
    journal_mask_apply(batch, BYTES, mask);
    assert_memory_equal(batch, before, BYTES);
    moot_free(batch);
    moot_free(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rot_below_the_mark_is_reported),
        cmocka_unit_test(rotten_sectors_are_reported),
        cmocka_unit_test(damage_above_the_mark_is_torn),
        cmocka_unit_test(cut_is_durable_before_new_writes),
        cmocka_unit_test(what_was_found_is_covered),
        cmocka_unit_test(any_torn_tail_opens_clean),
        cmocka_unit_test(rot_and_torn_tail_together),
        cmocka_unit_test(a_torn_batch_still_testifies),
        cmocka_unit_test(leftovers_of_a_cut_stay_cut),
        cmocka_unit_test(a_stale_batch_in_place_is_rot),
        cmocka_unit_test(misdirected_writes_are_rot),
        cmocka_unit_test(newer_version_is_refused),
        cmocka_unit_test(nothing_legible_is_corrupt),
        cmocka_unit_test(rot_holds_segments_until_repaired),
        cmocka_unit_test(unreadable_is_an_error),
        cmocka_unit_test(a_value_is_no_header),
        cmocka_unit_test(a_mask_hides_every_magic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
