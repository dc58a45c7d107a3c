/* A node whose journal holds more entries than the core keeps in memory: what is in the store
 * leaves memory, but it leaves the journal only with a flush. */
#include "database/group/entry.h"
#include "moot/raft.h"
#include "node_cluster.h"

enum { MORE = MOOT_LOG_ENTRIES_MAX + 5000, BATCH = 5000 };

static uint64_t flushes;

static void count_flushes(const struct moot_effect *effect)
{
    flushes += effect->kind == MOOT_EFFECT_FLUSH;
}

/* The last entry of db0 in the journal. */
struct end {
    moot_index index;
    moot_term term;
    uint64_t stamp;
};

static int find_end(void *context, const struct moot_record *record)
{
    struct end *end = context;
    if (record->kind == MOOT_RECORD_ENTRY && record->group == MOOT_GROUP_DB0) {
        struct moot_entry entry;
        assert_int_equal(moot_entry_decode(record->bytes, &entry), 0);
        *end = (struct end){record->index, record->term, entry.stamp};
    }
    return 0;
}

/* `MORE` further entries of the same term, as a slow disk writes them: many in each batch. */
static void write_more(struct cluster *cluster)
{
    struct moot_disk *disk = moot_disk_sim_disk(cluster->nodes[1].disk);
    struct moot_journal_report report;
    struct moot_journal *journal;
    struct end end = {0};
    assert_int_equal(moot_journal_open(disk, &JOURNAL, find_end, &end, &report, &journal), 0);
    assert_true(end.index > 0);
    struct moot_record *records = moot_alloc_zero(BATCH * sizeof(*records));
    uint8_t(*bytes)[MOOT_ENTRY_HEADER_BYTES] = moot_alloc(BATCH * sizeof(*bytes));
    for (uint32_t at = 0; at < MORE; at += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            struct moot_entry entry = {.kind = MOOT_ENTRY_NOOP, .stamp = end.stamp + at + i + 1};
            moot_entry_put_header(bytes[i], &entry);
            records[i] = (struct moot_record){
                .kind = MOOT_RECORD_ENTRY,
                .group = MOOT_GROUP_DB0,
                .index = end.index + at + i + 1,
                .term = end.term,
                .entry_kind = MOOT_RAFT_ENTRY_DATA,
                .bytes = moot_slice_make(bytes[i], sizeof(bytes[i])),
            };
        }
        cluster_write_batch(cluster, 1, journal, records, moot_min_u64(BATCH, MORE - at));
    }
    moot_free(bytes);
    moot_free(records);
    moot_journal_close(journal);
}

/* Goal: a node comes back with all that its journal holds above what its store has, however many
 * entries that is; and asks for a flush before it is that many again. Method: a journal as a slow
 * disk leaves it behind when the power fails. */
static void a_longer_log_than_memory_holds_comes_back(void **state)
{
    (void)state;
    struct cluster *cluster = moot_alloc_zero(sizeof(*cluster));
    cluster->quiet = true;
    cluster->watch = count_flushes;
    cluster_init(cluster, 1, 0);
    cluster_expect(cluster, 1, "SET k v\r\n", "+OK\r\n");
    cluster_kill(cluster, 1);
    write_more(cluster);
    flushes = 0;
    cluster_open(cluster, 1, 0);
    cluster_expect(cluster, 1, "GET k\r\n", "$1\r\nv\r\n");
    for (int i = 0; i < 100; i++) {
        cluster_step(cluster);
    }
    struct moot_group_view view;
    moot_node_group(cluster->nodes[1].node, MOOT_GROUP_DB0, &view);
    assert_true(view.applied > MORE);
    assert_true(flushes > 0);
    assert_true(view.last - view.first < MOOT_LOG_ENTRIES_MAX);
    cluster_expect(cluster, 1, "SET k w\r\n", "+OK\r\n");
    cluster_kill(cluster, 1);
    cluster_open(cluster, 1, 0);
    cluster_expect(cluster, 1, "GET k\r\n", "$1\r\nw\r\n");
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_longer_log_than_memory_holds_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
