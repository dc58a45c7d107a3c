/* A log whose end a snapshot has replaced: what the journal is told of it, and what a restart makes
 * of that when the first part of it has gone with its segment. */
#include "database/group/entry.h"
#include "moot/raft.h"
#include "node_cluster.h"

static struct cluster *make(uint32_t rarely_one_in)
{
    struct cluster *cluster = moot_alloc_zero(sizeof(*cluster));
    cluster->quiet = true;
    cluster->rarely_one_in = rarely_one_in;
    cluster_init(cluster, 3, 0);
    cluster_expect(cluster, 1, "SET k v\r\n", "+OK\r\n");
    return cluster;
}

/* What the journal says of db0. */
struct found {
    struct moot_record snapshot, hard;
};

static int find(void *context, const struct moot_record *record)
{
    struct found *found = context;
    if (record->group == MOOT_GROUP_DB0 && record->kind == MOOT_RECORD_SNAPSHOT) {
        found->snapshot = *record;
    } else if (record->group == MOOT_GROUP_DB0 && record->kind == MOOT_RECORD_HARD_STATE) {
        found->hard = *record;
    }
    return 0;
}

static struct moot_journal *open_journal(struct cluster *cluster, uint32_t id, struct found *found)
{
    struct moot_journal_report report;
    struct moot_journal *journal;
    assert_int_equal(moot_journal_open(moot_disk_sim_disk(cluster->nodes[id].disk), &JOURNAL, find,
                                       found, &report, &journal),
                     0);
    return journal;
}

/* Goal: who installs a snapshot below the end of a log that never was committed tells its journal
 * that this end is void. Method: a leader alone appends; the others go on without it, with fewer
 * entries, and compact; then it hears of them. */
static void an_install_says_what_it_voids(void **state)
{
    (void)state;
    struct cluster *cluster = make(10);
    cluster_steps(cluster, 2000);
    uint32_t old = cluster_leader(cluster), other = old % 3 + 1;
    moot_index common = cluster_group(cluster, old, MOOT_GROUP_DB0).last;
    cluster->nodes[old].cut = true;
    for (int i = 0; i < 8; i++) {
        cluster_send(cluster, old, "SET k dead\r\n");
        cluster_step(cluster);
    }
    moot_index dead = cluster_group(cluster, old, MOOT_GROUP_DB0).last;
    assert_true(dead > common + 4);
    for (int i = 0; i < 100000 && cluster_group(cluster, other, MOOT_GROUP_DB0).first <= common + 1;
         i++) {
        cluster_step(cluster);
        assert_true(cluster_group(cluster, other, MOOT_GROUP_DB0).last < dead);
    }
    cluster->nodes[old].cut = false;
    for (int i = 0; i < 100000 && cluster_group(cluster, old, MOOT_GROUP_DB0).first <= common + 1;
         i++) {
        cluster_step(cluster);
    }
    assert_true(cluster->installs > 0);
    cluster_steps(cluster, 2000);
    struct found found = {0};
    cluster_kill(cluster, old);
    moot_journal_close(open_journal(cluster, old, &found));
    assert_true(found.snapshot.index > common && found.snapshot.index < dead);
    assert_true(found.snapshot.voids);
    cluster_open(cluster, old, 0);
    cluster_expect(cluster, old, "SET k w\r\n", "+OK\r\n");
    cluster_steps(cluster, 2000);
    struct moot_group_view one = cluster_group(cluster, old, MOOT_GROUP_DB0);
    struct moot_group_view two = cluster_group(cluster, other, MOOT_GROUP_DB0);
    assert_true(one.applied == two.applied && one.chain == two.chain && one.digest == two.digest);
    cluster_deinit(cluster);
}

static void append(struct cluster *cluster, struct moot_journal *journal, moot_group_id group,
                   moot_index first, uint32_t count, moot_term term)
{
    struct moot_record records[16];
    uint8_t bytes[16][MOOT_ENTRY_HEADER_BYTES];
    for (uint32_t i = 0; i < count; i++) {
        /* Later than all there is. */
        struct moot_entry entry = {.kind = MOOT_ENTRY_NOOP, .stamp = (UINT64_C(1) << 60) + i};
        moot_entry_put_header(bytes[i], &entry);
        records[i] = (struct moot_record){.kind = MOOT_RECORD_ENTRY,
                                          .group = group,
                                          .index = first + i,
                                          .term = term,
                                          .entry_kind = MOOT_RAFT_ENTRY_DATA,
                                          .bytes = moot_slice_make(bytes[i], sizeof(bytes[i]))};
    }
    cluster_write_batch(cluster, 1, journal, records, count);
}

/* Goal: the end of a replaced log does not come back when its beginning, with the entry at the
 * snapshot's index, has gone with its segment, and the end has not. Method: such a journal: the end
 * shares a segment with what another group still needs. */
static void the_end_of_a_replaced_log_stays_void(void **state)
{
    (void)state;
    struct cluster *cluster = make(0);
    cluster_steps(cluster, 5000); /* All that was executed goes to the store. */
    struct cluster_node *at = &cluster->nodes[1];
    assert_int_equal(at->store->ops->flush(at->store), 0);
    struct moot_group_view db0 = cluster_group(cluster, 1, MOOT_GROUP_DB0);
    struct moot_group_view system = cluster_group(cluster, 1, MOOT_GROUP_SYSTEM);
    assert_true(db0.applied == db0.last && system.applied == system.last);
    struct moot_members members = *db0.members;
    cluster_kill(cluster, 1);

    struct found found = {0};
    struct moot_journal *journal = open_journal(cluster, 1, &found);
    moot_term snapshot_term = found.hard.term, dead_term = snapshot_term + 1;
    struct moot_record hard[] = {
        {.kind = MOOT_RECORD_HARD_STATE, .group = MOOT_GROUP_DB0, .term = dead_term},
        {.kind = MOOT_RECORD_HARD_STATE, .group = MOOT_GROUP_SYSTEM, .term = system.term}};
    (void)moot_journal_turn_over(journal);
    append(cluster, journal, MOOT_GROUP_DB0, db0.applied - 1, 2, dead_term);
    (void)moot_journal_turn_over(journal);
    append(cluster, journal, MOOT_GROUP_DB0, db0.applied + 1, 5, dead_term);
    append(cluster, journal, MOOT_GROUP_SYSTEM, system.last + 1, 1, system.term);
    cluster_write_batch(cluster, 1, journal, hard, 2);
    (void)moot_journal_turn_over(journal);
    moot_journal_turn_back(journal);
    moot_journal_free(journal, MOOT_GROUP_SYSTEM, system.applied);
    struct moot_buffer encoded;
    moot_buffer_init(&encoded);
    moot_members_encode(&members, &encoded);
    struct moot_record it = {.kind = MOOT_RECORD_SNAPSHOT,
                             .group = MOOT_GROUP_DB0,
                             .index = db0.applied,
                             .term = snapshot_term,
                             .voids = true,
                             .bytes = moot_buffer_slice(&encoded)};
    cluster_write_batch(cluster, 1, journal, &it, 1);
    cluster_write_batch(cluster, 1, journal, hard, 2);
    assert_true(moot_journal_bytes(journal) == 2 * JOURNAL.segment_bytes); /* The others went. */
    moot_journal_close(journal);
    moot_buffer_deinit(&encoded);

    cluster_open(cluster, 1, 0);
    assert_int_equal(cluster_group(cluster, 1, MOOT_GROUP_SYSTEM).last, system.last + 1);
    assert_int_equal(cluster_group(cluster, 1, MOOT_GROUP_DB0).last, db0.applied);
    cluster_deinit(cluster);
}

/* Goal: a start makes the term durable that it takes from its store, before it answers anybody in
 * it. Method: a journal of before an election, as a disk leaves it that hung, beside the store of
 * after it. */
static void a_term_of_the_store_becomes_durable(void **state)
{
    (void)state;
    struct cluster *cluster = make(0);
    cluster_steps(cluster, 3000);
    uint32_t old = cluster_leader(cluster), id = old % 3 + 1;
    struct cluster_node *at = &cluster->nodes[id];
    struct moot_disk_sim *before = moot_disk_sim_copy(at->disk, 7);
    moot_term term = cluster_group(cluster, id, MOOT_GROUP_DB0).term;
    cluster_kill(cluster, old);
    cluster_expect(cluster, id, "SET k w\r\n", "+OK\r\n");
    cluster_steps(cluster, 3000);
    assert_int_equal(at->store->ops->flush(at->store), 0);
    moot_term later = cluster_group(cluster, id, MOOT_GROUP_DB0).term;
    assert_true(later > term);
    cluster_kill(cluster, id);
    moot_disk_sim_free(at->disk);
    at->disk = before;
    cluster_open(cluster, id, 0);
    assert_true(cluster_group(cluster, id, MOOT_GROUP_DB0).term >= later);
    cluster_kill(cluster, id); /* At once: only the start's own batch is there. */
    struct found found = {0};
    moot_journal_close(open_journal(cluster, id, &found));
    assert_true(found.hard.term >= later);
    assert_int_equal(found.hard.vote, 0);
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_install_says_what_it_voids),
        cmocka_unit_test(the_end_of_a_replaced_log_stays_void),
        cmocka_unit_test(a_term_of_the_store_becomes_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
