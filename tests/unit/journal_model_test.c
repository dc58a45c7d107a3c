/* The journal against a naive twin: a list of all batches ever laid out. After any crash the
 * reopened journal must mean the same as some prefix of that list, which has at least what was
 * acknowledged. What records mean is decided by apply(), the rules of storage/journal.h, for both
 * sides. */
#include "journal_world.h"

enum { GROUPS = 3, INDEX_MAX = 4000, BATCH_RECORDS_MAX = 4, FLIGHTS_MAX = 3 };

/* What a replay of records makes of one group. */
struct meaning {
    uint64_t term, vote;
    uint64_t base_index, base_term; /* Of the newest snapshot. */
    uint64_t base_hash;
    uint64_t last;
    uint64_t term_at[INDEX_MAX], hash_at[INDEX_MAX]; /* 0: not there. */
};

struct plain {
    struct moot_record record;
    uint64_t hash;
};

struct twin_batch {
    struct plain records[BATCH_RECORDS_MAX];
    size_t count;
    struct moot_journal_write where;
    size_t size;
};

struct twin {
    struct world w;
    struct moot_rng rng;
    struct twin_batch *batches; /* batches[i] is number i + 1 */
    uint64_t count, capacity;
    uint64_t acked;
    struct {
        uint64_t number, flight;
    } flights[FLIGHTS_MAX];
    uint32_t flight_count;
    uint64_t freed[GROUPS], last[GROUPS], committed[GROUPS], term;
    bool identity;
    uint32_t weights[6]; /* write, complete, free, mark, crash, reopen */
    uint64_t crashes, full;
    struct meaning meanings[GROUPS], expected[GROUPS];
};

static char text[20000];

/* MOOT_TEST_SCALE=20 runs twenty times as many seeds. */
static uint64_t seeds(uint64_t count)
{
    const char *scale = getenv("MOOT_TEST_SCALE");
    return count * (scale == NULL ? 1 : strtoull(scale, NULL, 10));
}

/* --- what records mean ------------------------------------------------------------------------ */

static void cut_above(struct meaning *m, uint64_t index)
{
    for (uint64_t i = index; i <= m->last; i++) {
        m->term_at[i] = m->hash_at[i] = 0;
    }
    m->last = moot_min_u64(m->last, index == 0 ? 0 : index - 1);
}

/* `freed`: entries up to there are in the store, and so is their term: a snapshot at or below it
 * agrees with the log. */
static void apply(struct meaning *m, const struct moot_record *record, uint64_t hash,
                  uint64_t freed)
{
    switch (record->kind) {
    case MOOT_RECORD_HARD_STATE:
        m->term = record->term;
        m->vote = record->vote;
        break;
    case MOOT_RECORD_ENTRY:
        assert_true(record->index < INDEX_MAX);
        cut_above(m, record->index);
        m->term_at[record->index] = record->term;
        m->hash_at[record->index] = hash;
        m->last = record->index;
        break;
    case MOOT_RECORD_SNAPSHOT:
        if (record->index > freed && m->term_at[record->index] != record->term &&
            !(m->base_index == record->index && m->base_term == record->term)) {
            cut_above(m, record->index);
        }
        m->base_index = record->index;
        m->base_term = record->term;
        m->base_hash = hash;
        break;
    case MOOT_RECORD_IDENTITY:
    case MOOT_RECORD_FREED:
        break;
    }
}

static bool same_meaning(const struct meaning *a, const struct meaning *b, uint64_t freed)
{
    if (a->term != b->term || a->vote != b->vote || a->base_index != b->base_index ||
        a->base_term != b->base_term || a->base_hash != b->base_hash) {
        return false;
    }
    uint64_t from = moot_max_u64(freed, a->base_index) + 1;
    uint64_t last = moot_max_u64(a->last, b->last);
    for (uint64_t i = from; i <= last; i++) {
        if (a->term_at[i] != b->term_at[i] || a->hash_at[i] != b->hash_at[i]) {
            return false;
        }
    }
    return true;
}

static void clear(struct meaning meanings[GROUPS])
{
    memset(meanings, 0, GROUPS * sizeof(meanings[0]));
}

/* --- the workload ----------------------------------------------------------------------------- */

static struct moot_record random_record(struct twin *t)
{
    moot_group_id group = (moot_group_id)moot_rng_below(&t->rng, GROUPS);
    uint64_t dice = moot_rng_below(&t->rng, 100);
    struct moot_record record = {.group = group, .term = t->term};
    if (!t->identity) {
        t->identity = true;
        return identity("the one");
    }
    if (dice < 12) {
        t->term++;
        return hard(group, t->term, (moot_node_id)moot_rng_between(&t->rng, 1, 5));
    }
    if (dice < 20) { /* Installed from a peer: it is in the store. */
        record.kind = MOOT_RECORD_SNAPSHOT;
        record.index = t->last[group] + moot_rng_below(&t->rng, 5);
        record.bytes = (struct moot_slice){(uint8_t *)text, moot_rng_below(&t->rng, 90)};
        t->term++;
        record.term = t->term;
        t->last[group] = t->committed[group] = record.index;
        return record;
    }
    uint64_t size = moot_rng_chance(&t->rng, 1, 6) ? moot_rng_below(&t->rng, 9000)
                                                   : moot_rng_below(&t->rng, 200);
    record.kind = MOOT_RECORD_ENTRY;
    record.entry_kind = (uint8_t)moot_rng_below(&t->rng, 4);
    record.bytes =
        (struct moot_slice){(uint8_t *)text + moot_rng_below(&t->rng, 5000), (size_t)size};
    record.index = t->last[group] + 1;
    if (moot_rng_chance(&t->rng, 1, 12)) { /* Overwrites what was not committed. */
        record.index = moot_rng_between(&t->rng, t->committed[group] + 1, t->last[group] + 1);
        t->term++;
        record.term = t->term;
    }
    t->last[group] = record.index;
    if (moot_rng_chance(&t->rng, 1, 2)) {
        t->committed[group] = moot_rng_between(&t->rng, t->committed[group], t->last[group]);
    }
    return record;
}

static void twin_append(struct twin *t, const struct moot_record *records, size_t count)
{
    if (t->count == t->capacity) {
        t->capacity = t->capacity * 2 + 64;
        t->batches = moot_realloc(t->batches, t->capacity * sizeof(t->batches[0]));
    }
    struct twin_batch *batch = &t->batches[t->count++];
    *batch = (struct twin_batch){.count = count, .where = t->w.where, .size = t->w.out.size};
    for (size_t i = 0; i < count; i++) {
        batch->records[i] = (struct plain){records[i], moot_hash64(records[i].bytes, 7)};
    }
}

static void complete_oldest(struct twin *t)
{
    if (t->flight_count > 0) {
        moot_disk_sim_complete(t->w.sim, t->flights[0].flight);
        t->acked = t->w.durable = t->flights[0].number;
        t->flight_count--;
        memmove(t->flights, t->flights + 1, t->flight_count * sizeof(t->flights[0]));
    }
}

/* Entries up to the durable and committed may go to the store at any time. */
static void free_some(struct twin *t, bool all)
{
    while (t->flight_count > 0) {
        complete_oldest(t);
    }
    for (moot_group_id g = 0; g < GROUPS; g++) {
        if (all || moot_rng_chance(&t->rng, 1, 2)) {
            t->freed[g] = t->committed[g];
            moot_journal_free(t->w.journal, g, t->freed[g]);
        }
    }
}

/* The journal is full: everything laid out before this batch, and not overwritten by it, goes to
 * the store. */
static void make_room(struct twin *t, const struct moot_record *records, size_t count,
                      const uint64_t last_before[GROUPS])
{
    uint64_t stored[GROUPS];
    memcpy(stored, last_before, sizeof(stored));
    for (size_t i = 0; i < count; i++) {
        uint64_t *at = &stored[records[i].group];
        if (records[i].kind == MOOT_RECORD_ENTRY) {
            *at = moot_min_u64(*at, records[i].index - 1);
        }
    }
    while (t->flight_count > 0) {
        complete_oldest(t);
    }
    for (moot_group_id g = 0; g < GROUPS; g++) {
        t->freed[g] = moot_max_u64(t->freed[g], stored[g]);
        t->committed[g] = moot_max_u64(t->committed[g], t->freed[g]);
        moot_journal_free(t->w.journal, g, t->freed[g]);
    }
}

/* One batch; false when the disk failed. */
static bool write_batch(struct twin *t, bool mark)
{
    if (t->flight_count == FLIGHTS_MAX) {
        complete_oldest(t);
    }
    struct moot_record records[BATCH_RECORDS_MAX];
    size_t count = mark ? 0 : (size_t)moot_rng_between(&t->rng, 1, BATCH_RECORDS_MAX);
    uint64_t last_before[GROUPS], term_before = t->term;
    bool identity_before = t->identity;
    memcpy(last_before, t->last, sizeof(last_before));
    for (size_t i = 0; i < count; i++) {
        records[i] = random_record(t);
    }
    int status = world_layout(&t->w, records, count);
    if (status == MOOT_ENOSPACE) {
        t->full++;
        make_room(t, records, count, last_before);
        status = world_layout(&t->w, records, count);
    }
    if (status == MOOT_ENOSPACE) {
        /* What this batch would overwrite fills the journal. Take it back and commit that first. */
        t->term = term_before;
        t->identity = identity_before;
        for (moot_group_id g = 0; g < GROUPS; g++) {
            t->last[g] = t->committed[g] = t->freed[g] = last_before[g];
            moot_journal_free(t->w.journal, g, t->freed[g]);
        }
        return true;
    }
    assert_int_equal(status, MOOT_OK);
    assert_int_equal(t->w.where.batch, t->count + 1);
    twin_append(t, records, count);
    uint64_t flight = moot_disk_sim_begin(t->w.sim);
    status = world_put(&t->w);
    moot_disk_sim_end(t->w.sim);
    if (status != MOOT_OK) {
        return false;
    }
    t->flights[t->flight_count].flight = flight;
    t->flights[t->flight_count++].number = t->count;
    return true;
}

/* --- crash and compare ------------------------------------------------------------------------ */

static void replay(const struct twin *t, uint64_t batches, struct meaning meanings[GROUPS])
{
    clear(meanings);
    for (uint64_t i = 0; i < batches; i++) {
        const struct twin_batch *batch = &t->batches[i];
        for (size_t k = 0; k < batch->count; k++) {
            const struct plain *plain = &batch->records[k];
            apply(&meanings[plain->record.group], &plain->record, plain->hash, 0);
        }
    }
}

static bool saw_identity(const struct world *w)
{
    for (size_t i = 0; i < w->seen_count; i++) {
        if (w->seen[i].record.kind == MOOT_RECORD_IDENTITY) {
            return true;
        }
    }
    return false;
}

static bool wrote_identity(const struct twin *t, uint64_t batches)
{
    for (uint64_t i = 0; i < batches; i++) {
        for (size_t k = 0; k < t->batches[i].count; k++) {
            if (t->batches[i].records[k].record.kind == MOOT_RECORD_IDENTITY) {
                return true;
            }
        }
    }
    return false;
}

/* The journal is open: what it says must be what the twin had after some batch from `acked` on.
 * The twin is cut there. */
static void compare(struct twin *t)
{
    clear(t->meanings);
    for (size_t i = 0; i < t->w.seen_count; i++) {
        const struct seen *seen = &t->w.seen[i];
        moot_group_id group = seen->record.group;
        apply(&t->meanings[group], &seen->record, seen->hash, t->freed[group]);
    }
    uint64_t last = moot_journal_last(t->w.journal);
    /* Each of two opens may have added a mark. */
    for (uint64_t marks = 0; marks < 3; marks++) {
        uint64_t prefix = last - marks;
        if (last < marks || prefix < t->acked || prefix > t->count) {
            continue;
        }
        replay(t, prefix, t->expected);
        bool same = saw_identity(&t->w) == wrote_identity(t, prefix);
        for (moot_group_id g = 0; g < GROUPS; g++) {
            same = same && same_meaning(&t->meanings[g], &t->expected[g], t->freed[g]);
        }
        if (same) {
            t->count = prefix;
            t->identity = saw_identity(&t->w);
            t->w.out.size = 0;
            for (uint64_t i = 0; i < marks; i++) {
                twin_append(t, NULL, 0);
            }
            t->acked = t->w.durable = t->count;
            for (moot_group_id g = 0; g < GROUPS; g++) {
                t->last[g] = moot_max_u64(t->expected[g].last, t->expected[g].base_index);
                t->last[g] = moot_max_u64(t->last[g], t->freed[g]);
                t->committed[g] = moot_max_u64(t->freed[g], t->expected[g].base_index);
            }
            return;
        }
    }
    fail_msg("no prefix from %llu to %llu fits (last %llu)", (unsigned long long)t->acked,
             (unsigned long long)t->count, (unsigned long long)last);
}

/* Power off and on, maybe several times while it opens. */
static void crash_and_reopen(struct twin *t, uint64_t crash_in_open)
{
    world_close(&t->w);
    moot_disk_sim_crash(t->w.sim);
    t->flight_count = 0;
    t->crashes++;
    if (crash_in_open > 0) {
        moot_disk_sim_crash_at(t->w.sim, crash_in_open);
        if (world_open(&t->w) != MOOT_OK) {
            assert_int_equal(t->w.status, MOOT_EIO);
        }
        world_close(&t->w);
        moot_disk_sim_crash(t->w.sim);
    }
    assert_int_equal(world_open(&t->w), MOOT_OK);
    assert_true(t->w.report.damage != MOOT_DAMAGE_ROT);
    assert_int_equal(t->w.report.loss_count, 0);
    compare(t);
    for (moot_group_id g = 0; g < GROUPS; g++) {
        moot_journal_free(t->w.journal, g, t->freed[g]);
    }
}

static void twin_init(struct twin *t, uint64_t seed)
{
    memset(t, 0, sizeof(*t));
    world_init(&t->w, seed);
    moot_rng_init(&t->rng, seed);
    t->term = 1;
    t->w.options.segment_bytes = moot_rng_between(&t->rng, 10, 24) * MOOT_JOURNAL_ALIGN;
    t->w.options.segments_max = (uint32_t)moot_rng_between(&t->rng, 3, 8);
    static const uint32_t most[] = {60, 40, 20, 10, 3, 3};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(most); i++) {
        t->weights[i] = (uint32_t)moot_rng_below(&t->rng, most[i] + 1);
    }
    t->weights[0] += 20;
    assert_int_equal(world_open(&t->w), MOOT_OK);
}

static void twin_deinit(struct twin *t)
{
    world_deinit(&t->w);
    moot_free(t->batches);
}

static bool is_near_the_end(const struct twin *t)
{
    for (moot_group_id g = 0; g < GROUPS; g++) {
        if (t->last[g] + 50 > INDEX_MAX) {
            return true;
        }
    }
    return false;
}

static void step(struct twin *t)
{
    uint32_t total = 0;
    for (size_t i = 0; i < MOOT_ARRAY_LEN(t->weights); i++) {
        total += t->weights[i];
    }
    uint64_t dice = moot_rng_below(&t->rng, total);
    size_t op = 0;
    while (dice >= t->weights[op]) {
        dice -= t->weights[op++];
    }
    bool works = true;
    switch (op) {
    case 0:
        works = write_batch(t, false);
        break;
    case 1:
        complete_oldest(t);
        break;
    case 2:
        free_some(t, false);
        break;
    case 3:
        works = write_batch(t, true);
        break;
    case 4:
        crash_and_reopen(t, moot_rng_below(&t->rng, 4));
        break;
    default:
        while (t->flight_count > 0) {
            complete_oldest(t);
        }
        crash_and_reopen(t, 0);
        break;
    }
    if (!works) {
        crash_and_reopen(t, moot_rng_below(&t->rng, 4));
    }
}

/* Goal: through any mix of writes in flight, frees, recycling and crashes, nothing acknowledged is
 * lost and nothing else comes back. Method: random operations against the twin, weights drawn a
 * seed. */
static void random_operations_match_the_twin(void **state)
{
    (void)state;
    static struct twin t;
    uint64_t crashes = 0, batches = 0, full = 0;
    for (uint64_t seed = 1; seed <= seeds(150); seed++) {
        twin_init(&t, seed);
        for (int i = 0; i < 400 && !is_near_the_end(&t); i++) {
            step(&t);
        }
        crash_and_reopen(&t, 0);
        crashes += t.crashes;
        batches += t.count;
        full += t.full;
        twin_deinit(&t);
    }
    assert_true(crashes > 500);
    assert_true(batches > 10000);
    assert_true(full > 50);
}

/* Goal: the same whichever change the power fails at, or the disk refuses: create, rename or write,
 * in a turn or in an open. Method: one workload a seed; fail at its 1st, 2nd, ... change. */
static void every_change_may_be_the_last(void **state)
{
    (void)state;
    static struct twin t;
    for (uint64_t seed = 1; seed <= seeds(6); seed++) {
        bool reached = true;
        for (uint64_t n = 1; reached && n < 400; n++) {
            twin_init(&t, seed);
            t.weights[4] = t.weights[5] = 0;
            t.weights[2] = 30;
            if (n % 2 == 0) {
                moot_disk_sim_crash_at(t.w.sim, (n + 1) / 2);
            } else {
                moot_disk_sim_fail_at(t.w.sim, (n + 1) / 2, n % 4 == 1);
            }
            uint64_t before = t.crashes;
            for (int i = 0; i < 200 && t.crashes == before; i++) {
                step(&t);
            }
            reached = t.crashes > before;
            for (int i = 0; i < 20 && reached; i++) {
                step(&t);
            }
            crash_and_reopen(&t, n % 3);
            twin_deinit(&t);
        }
    }
}

/* The header of a batch where the twin believes it. False when it is not there: a mark that open
 * wrote took the place of one that was lost, and looks the same in a replay. */
static bool header_of(const struct twin *t, uint64_t number, struct journal_header *header)
{
    const struct moot_journal_write *where = &t->batches[number - 1].where;
    uint64_t size = 0, generation = 0;
    if (!journal_name_get(where->segment, &generation)) {
        return false;
    }
    const uint8_t *bytes = moot_disk_sim_bytes(t->w.sim, where->segment, &size);
    return bytes != NULL && where->offset + MOOT_JOURNAL_ALIGN <= size &&
           journal_header_get(bytes + where->offset, generation, where->offset, size, header) ==
               JOURNAL_GOOD &&
           header->batch == number;
}

/* Goal: rot of any live batch that a mark covers is reported, at any stage of the ring, and never
 * shortens the journal. Method: a random workload, a mark, then one damaged block of a live
 * batch. */
static void rot_in_any_live_batch_is_reported(void **state)
{
    (void)state;
    static struct twin t;
    uint64_t checked = 0;
    for (uint64_t seed = 1; seed <= seeds(300); seed++) {
        twin_init(&t, seed);
        uint64_t steps = moot_rng_between(&t.rng, 10, 200);
        for (uint64_t i = 0; i < steps; i++) {
            step(&t);
        }
        while (t.flight_count > 0) {
            complete_oldest(&t);
        }
        assert_true(write_batch(&t, true));
        complete_oldest(&t);
        struct journal_header header;
        if (!header_of(&t, t.count, &header)) { /* The journal was full. */
            twin_deinit(&t);
            continue;
        }
        uint64_t last = moot_journal_last(t.w.journal);
        uint64_t victim = moot_rng_between(&t.rng, header.first_batch, last);
        const struct twin_batch *batch = &t.batches[victim - 1];
        if (victim < last && header_of(&t, victim, &header)) {
            moot_disk_sim_rot(t.w.sim, batch->where.segment,
                              batch->where.offset + moot_rng_below(&t.rng, header.length),
                              (uint8_t)moot_rng_between(&t.rng, 1, 255));
            world_close(&t.w);
            assert_int_equal(world_open(&t.w), MOOT_OK);
            assert_int_equal(t.w.report.damage, MOOT_DAMAGE_ROT);
            assert_int_equal(t.w.report.rotten_batches, 1);
            assert_true(moot_journal_last(t.w.journal) >= last);
            assert_true(t.w.report.loss_count > 0 || header.span_count == 0);
            checked++;
        }
        twin_deinit(&t);
    }
    assert_true(checked > 100);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (char)('a' + i % 23);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_match_the_twin),
        cmocka_unit_test(every_change_may_be_the_last),
        cmocka_unit_test(rot_in_any_live_batch_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
