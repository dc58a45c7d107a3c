/* A node whose journal has rotten while it was dead: what it says of itself, and what it does not
 * do twice. */
#include "node_cluster.h"
#include "storage/journal_format.h"

static const char SEGMENT[] = "journal-0000000000000001";

static struct cluster *make(void)
{
    struct cluster *cluster = moot_alloc_zero(sizeof(*cluster));
    cluster->quiet = true;
    cluster_init(cluster, 3, 0);
    return cluster;
}

static void write_some(struct cluster *cluster, uint32_t id)
{
    for (uint32_t i = 0; i < 5; i++) {
        cluster_expect(cluster, id, "SET k v\r\n", "+OK\r\n");
    }
    cluster_steps(cluster, 500);
}

/* Flips a byte in the body of each batch that holds the identity, from the newest back; how many.
 */
static uint32_t rot_identities(struct moot_disk_sim *disk, uint32_t most)
{
    uint64_t size;
    const uint8_t *bytes = moot_disk_sim_bytes(disk, SEGMENT, &size);
    uint32_t found = 0;
    assert_non_null(bytes);
    for (uint64_t at = size; at > 0 && found < most;) {
        struct journal_header header;
        at -= MOOT_JOURNAL_ALIGN;
        if (journal_header_get(bytes + at, 1, at, size, &header) == JOURNAL_GOOD &&
            (header.flags & JOURNAL_HAS_IDENTITY) != 0) {
            moot_disk_sim_rot(disk, SEGMENT, at + header.header_size + 40, 1);
            found++;
        }
    }
    return found;
}

/* Goal: an incarnation is never used twice, although the record of it is lost: streams of the edge
 * are told apart by it, and an old answer would be taken for a new one (moot sim found that).
 * Method: several starts; the newest identities rot. */
static void incarnations_are_never_used_twice(void **state)
{
    (void)state;
    struct cluster *cluster = make();
    write_some(cluster, 1);
    for (int i = 0; i < 3; i++) {
        cluster_kill(cluster, 2);
        cluster_open(cluster, 2, 0);
        write_some(cluster, 2);
    }
    uint64_t before = moot_node_incarnation(cluster->nodes[2].node);
    cluster_kill(cluster, 2);
    assert_int_equal(rot_identities(cluster->nodes[2].disk, 2), 2);
    cluster_open(cluster, 2, 0);
    assert_true(moot_node_incarnation(cluster->nodes[2].node) > before);
    write_some(cluster, 2);
    cluster_deinit(cluster);
}

/* Goal: a journal that has lost its identity is not taken for an empty folder, which could be
 * formatted. Method: every identity rots; with and without leave to format. */
static void a_lost_identity_is_not_an_empty_folder(void **state)
{
    (void)state;
    struct cluster *cluster = make();
    write_some(cluster, 1);
    cluster_kill(cluster, 2);
    assert_true(rot_identities(cluster->nodes[2].disk, UINT32_MAX) > 0);
    struct moot_node_options options = cluster_options(cluster, 2);
    struct moot_node *node;
    char why[256];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(moot_node_open(&options, &node, why), MOOT_ECORRUPT);
        assert_null(node);
        assert_non_null(strstr(why, "new replica"));
        options.format = NULL;
    }
    cluster_deinit(cluster);
}

/* The last batch with an entry of db0: how long its log was nobody knows then. */
static void rot_last_entry(struct moot_disk_sim *disk)
{
    uint64_t size, found = 0;
    const uint8_t *bytes = moot_disk_sim_bytes(disk, SEGMENT, &size);
    for (uint64_t at = 0; at < size; at += MOOT_JOURNAL_ALIGN) {
        struct journal_header header;
        if (journal_header_get(bytes + at, 1, at, size, &header) != JOURNAL_GOOD) {
            continue;
        }
        for (uint32_t i = 0; i < header.span_count; i++) {
            struct journal_span span = journal_span_get(bytes + at, i);
            bool has = span.group == MOOT_GROUP_DB0 && span.last > 0;
            found = has ? at + header.header_size + 8 : found;
        }
    }
    assert_true(found > 0);
    moot_disk_sim_rot(disk, SEGMENT, found, 1);
}

struct held {
    struct journal_header header;
    moot_term term[MOOT_GROUPS_MAX]; /* 0: it holds no hard state of the group. */
    moot_node_id vote[MOOT_GROUPS_MAX];
};

/* The batches of the first segment in order, with the hard states in them; how many. */
static uint32_t read_hard(struct moot_disk_sim *disk, struct held *out, uint32_t most)
{
    uint64_t size;
    const uint8_t *bytes = moot_disk_sim_bytes(disk, SEGMENT, &size);
    uint32_t count = 0;
    assert_non_null(bytes);
    for (uint64_t at = 0; at < size && count < most; count++) {
        struct held *held = &out[count];
        *held = (struct held){.header = {0}};
        if (journal_header_get(bytes + at, 1, at, size, &held->header) != JOURNAL_GOOD) {
            break;
        }
        struct moot_reader reader = moot_reader_make(
            moot_slice_make(bytes + at + held->header.header_size, held->header.records_size));
        for (uint32_t i = 0; i < held->header.record_count; i++) {
            struct moot_record record;
            bool carried;
            assert_true(journal_record_get(&reader, &record, &carried));
            if (record.kind == MOOT_RECORD_HARD_STATE) {
                held->term[record.group] = record.term;
                held->vote[record.group] = record.vote;
            }
        }
        at += held->header.length;
    }
    return count;
}

static void rot_body(struct moot_disk_sim *disk, const struct held *held)
{
    moot_disk_sim_rot(disk, SEGMENT, held->header.offset + held->header.header_size + 8, 1);
}

/* Goal: no rotten batch takes the last copy of a term and a vote. Method: elections and starts;
 * then each hard state on the disk is again in the next batch, unless that one has a newer. The
 * batch of the last vote rots: the node starts, and knows at least that term. */
static void every_hard_state_is_in_two_batches(void **state)
{
    (void)state;
    struct cluster *cluster = make();
    for (int i = 0; i < 4; i++) {
        write_some(cluster, 2);
        uint32_t leader = cluster_leader(cluster);
        uint32_t gone = leader == 2 ? 3 : leader;
        cluster_kill(cluster, gone);
        cluster_steps(cluster, 4000);
        cluster_open(cluster, gone, 0);
    }
    write_some(cluster, 2);
    cluster_kill(cluster, 2);
    struct moot_disk_sim *disk = cluster->nodes[2].disk;
    static struct held batches[4000];
    uint32_t count = read_hard(disk, batches, MOOT_ARRAY_LEN(batches)), seen = 0, last = 0;
    assert_true(count > 10 && count < MOOT_ARRAY_LEN(batches));
    moot_term term[MOOT_GROUPS_MAX] = {0};
    moot_node_id vote[MOOT_GROUPS_MAX] = {0};
    for (uint32_t i = 0; i + 1 < count; i++) {
        for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
            const struct held *now = &batches[i];
            bool fresh =
                now->term[id] != 0 && (now->term[id] != term[id] || now->vote[id] != vote[id]);
            if (fresh) {
                assert_true(batches[i + 1].term[id] >= now->term[id]);
                term[id] = now->term[id];
                vote[id] = now->vote[id];
                last = id == MOOT_GROUP_DB0 ? i : last;
                seen++;
            }
        }
    }
    assert_true(seen >= 2);
    rot_body(disk, &batches[last]);
    cluster_open(cluster, 2, 0);
    struct moot_group_view view;
    moot_node_group(cluster->nodes[2].node, MOOT_GROUP_DB0, &view);
    assert_true(view.term >= term[MOOT_GROUP_DB0]);
    write_some(cluster, 2);
    cluster_deinit(cluster);
}

/* Goal: a node that cannot know how it voted does not start: it could vote twice in one term.
 * Method: every batch with the newest hard state rots, and what stands says nothing of it. */
static void an_unknown_vote_is_not_guessed(void **state)
{
    (void)state;
    struct cluster *cluster = make();
    write_some(cluster, 2);
    cluster_kill(cluster, 2);
    struct moot_disk_sim *disk = cluster->nodes[2].disk;
    static struct held batches[4000];
    uint32_t count = read_hard(disk, batches, MOOT_ARRAY_LEN(batches)), rotten = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (batches[i].term[MOOT_GROUP_DB0] != 0) {
            rot_body(disk, &batches[i]);
            rotten++;
        }
    }
    assert_true(rotten >= 2);
    struct moot_node_options options = cluster_options(cluster, 2);
    struct moot_node *node;
    char why[256];
    assert_int_equal(moot_node_open(&options, &node, why), MOOT_ECORRUPT);
    assert_non_null(strstr(why, "voted last"));
    cluster_deinit(cluster);
}

/* Goal: rot that has been repaired is forgotten, also on a node with little to write: else a second
 * one, a year later, would leave a cluster of three without a majority at the next start. Method:
 * its last entry rots; the node is repaired, and nothing happens for a while; then it starts again.
 */
static void repaired_rot_is_forgotten(void **state)
{
    (void)state;
    struct cluster *cluster = make();
    write_some(cluster, 2);
    uint32_t id = cluster_leader(cluster) % 3 + 1;
    cluster_kill(cluster, id);
    cluster_open(cluster, id, 0);
    write_some(cluster, id);
    cluster_kill(cluster, id);
    rot_last_entry(cluster->nodes[id].disk);
    cluster_open(cluster, id, 0);
    struct moot_group_view view;
    moot_node_group(cluster->nodes[id].node, MOOT_GROUP_DB0, &view);
    assert_true(view.impaired);
    cluster_steps(cluster, 20000);
    write_some(cluster, id);
    moot_node_group(cluster->nodes[id].node, MOOT_GROUP_DB0, &view);
    assert_false(view.impaired);
    cluster_steps(cluster, 20000);
    cluster_kill(cluster, id);
    cluster_open(cluster, id, 0);
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        moot_node_group(cluster->nodes[id].node, group, &view);
        assert_false(view.impaired);
    }
    write_some(cluster, id);
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(incarnations_are_never_used_twice),
        cmocka_unit_test(every_hard_state_is_in_two_batches),
        cmocka_unit_test(an_unknown_vote_is_not_guessed),
        cmocka_unit_test(repaired_rot_is_forgotten),
        cmocka_unit_test(a_lost_identity_is_not_an_empty_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
