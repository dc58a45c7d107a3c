/* What rot took from journals, given back by replicas to each other while nobody leads: what fills
 * a hole and what does not; and clusters in which every node has lost something. */
#include "database/group/holes.h"
#include "node_cluster.h"
#include "storage/journal_format.h"

/* ---- what is kept ---- */

enum { FIRST = 10, COUNT = 12, TERM = 3, ENTRY_BYTES = 50 };

static struct moot_block *entry_block(moot_index index)
{
    uint8_t bytes[ENTRY_BYTES];
    memset(bytes, (int)index, sizeof(bytes));
    return moot_block_copy(moot_slice_make(bytes, sizeof(bytes)));
}

/* Entries 10 to 21 of term 3, behind one of term 2; those in `lost` (0: no more) are. */
static struct moot_holes make_holes(const moot_index *lost)
{
    struct moot_holes holes = {
        .first = FIRST, .count = COUNT, .repairs = true, .begin = FIRST, .before = 2};
    holes.kept = moot_alloc_zero(sizeof(*holes.kept) * COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        holes.kept[i] = (struct moot_kept_entry){entry_block(FIRST + i), TERM, 0};
    }
    for (; *lost != 0; lost++) {
        struct moot_kept_entry *entry = &holes.kept[*lost - FIRST];
        moot_block_release(entry->block);
        *entry = (struct moot_kept_entry){NULL, 0, 0};
        holes.missing++;
    }
    return holes;
}

/* Entries [first, last], as of somebody who lost nothing. */
struct answer {
    struct moot_raft_entry entries[COUNT];
    struct moot_slice bytes[COUNT];
    struct moot_block *blocks[COUNT];
    struct moot_hole_give give;
};

static void make_answer(struct answer *answer, moot_index first, moot_index last)
{
    *answer = (struct answer){.give = {.last = last, .anchor = TERM}};
    answer->give.before = first == FIRST ? 2 : TERM;
    answer->give.count = (uint32_t)(last + 1 - first);
    answer->give.entries = answer->entries;
    answer->give.bytes = answer->bytes;
    for (uint32_t i = 0; i < answer->give.count; i++) {
        answer->blocks[i] = entry_block(first + i);
        answer->bytes[i] = moot_block_slice(answer->blocks[i]);
        answer->entries[i] = (struct moot_raft_entry){.term = TERM, .size = ENTRY_BYTES};
    }
}

static void drop_answer(struct answer *answer)
{
    for (uint32_t i = 0; i < COUNT; i++) {
        moot_block_release(answer->blocks[i]);
    }
}

/* What is filled by entries [first, last], behind one of that term. */
static uint64_t fill(struct moot_holes *holes, moot_index first, moot_index last, moot_term anchor)
{
    struct answer answer;
    uint64_t filled;
    make_answer(&answer, first, last);
    answer.give.anchor = anchor;
    assert_int_equal(moot_holes_fill(holes, &answer.give, &filled), 0);
    drop_answer(&answer);
    return filled;
}

/* Goal: every hole is asked for by the entry behind it. Method: two holes, by number, round again;
 * a third at the end has nothing behind it, and is no hole that anybody could fill. */
static void each_hole_is_asked_for(void **state)
{
    (void)state;
    struct moot_holes holes = make_holes((const moot_index[]){10, 14, 15, 16, 0});
    struct moot_hole_ask ask;
    for (uint64_t number = 0; number < 6; number++) {
        assert_true(moot_holes_ask(&holes, number, &ask));
        assert_int_equal(ask.first, number % 2 == 0 ? 10 : 14);
        assert_int_equal(ask.last, number % 2 == 0 ? 10 : 16);
        assert_int_equal(ask.anchor, TERM);
    }
    holes.repairs = false;
    assert_false(moot_holes_ask(&holes, 0, &ask));
    moot_holes_drop(&holes);
}

/* Goal: a hole is filled from its end, in any parts, by whoever has them, and with nothing else.
 * Method: the end, more than is missing, the rest; then every byte is what it was. */
static void holes_are_filled_in_parts(void **state)
{
    (void)state;
    struct moot_holes holes = make_holes((const moot_index[]){10, 13, 14, 15, 16, 0});
    assert_int_equal(fill(&holes, 15, 16, TERM), 2);
    assert_int_equal(holes.missing, 3);
    assert_int_equal(fill(&holes, 15, 16, TERM), 0); /* Twice. */
    assert_int_equal(fill(&holes, 13, 13, TERM), 0); /* Nothing stands behind it yet. */
    assert_int_equal(fill(&holes, 11, 14, TERM), 2);
    assert_int_equal(fill(&holes, 10, 10, TERM), 1);
    assert_int_equal(holes.missing, 0);
    struct moot_hole_ask ask;
    assert_false(moot_holes_ask(&holes, 0, &ask));
    for (moot_index index = FIRST; index < FIRST + COUNT; index++) {
        const struct moot_kept_entry *entry = moot_holes_at(&holes, index);
        assert_int_equal(entry->block->size, ENTRY_BYTES);
        assert_int_equal(entry->block->data[7], index);
        assert_int_equal(entry->term, TERM);
    }
    moot_holes_drop(&holes);
}

/* Goal: nothing is filled from a log that is another one at the anchor, or that cannot be one.
 * Method: another term there, terms that fall, an anchor that is itself lost, one outside. */
static void only_the_same_anchor_counts(void **state)
{
    (void)state;
    struct moot_holes holes = make_holes((const moot_index[]){13, 14, 15, 0});
    struct answer answer;
    uint64_t filled;
    assert_int_equal(fill(&holes, 13, 15, TERM + 1), 0);
    assert_int_equal(fill(&holes, 13, 14, TERM), 0);
    assert_int_equal(fill(&holes, 20, 21, TERM), 0);
    make_answer(&answer, 13, 15);
    answer.entries[1].term = TERM + 1;
    assert_int_equal(moot_holes_fill(&holes, &answer.give, &filled), 0);
    assert_int_equal(filled, 0);
    drop_answer(&answer);
    assert_int_equal(holes.missing, 3);
    assert_int_equal(fill(&holes, 13, 15, TERM), 3);
    moot_holes_drop(&holes);
}

/* Goal: what does not follow the entry before the hole is refused, whole; and what may not, because
 * the other does not know, waits for one who does. Method: an answer that says another term, and
 * one that says none, before the hole and before the log. */
static void what_is_filled_follows(void **state)
{
    (void)state;
    static const moot_index firsts[] = {13, FIRST};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(firsts); i++) {
        struct moot_holes holes = make_holes((const moot_index[]){firsts[i], firsts[i] + 1, 0});
        struct answer answer;
        uint64_t filled;
        make_answer(&answer, firsts[i], firsts[i] + 1);
        answer.give.before = 1;
        assert_int_equal(moot_holes_fill(&holes, &answer.give, &filled), MOOT_EINVALID);
        assert_int_equal(filled, 0);
        answer.give.before = 0;
        assert_int_equal(moot_holes_fill(&holes, &answer.give, &filled), 0);
        assert_int_equal(filled, 1);
        assert_null(moot_holes_at(&holes, firsts[i]));
        drop_answer(&answer);
        assert_int_equal(fill(&holes, firsts[i], firsts[i], TERM), 1);
        moot_holes_drop(&holes);
    }
}

/* ---- clusters ---- */

static struct cluster *make(uint32_t nodes)
{
    struct cluster *cluster = moot_alloc_zero(sizeof(*cluster));
    cluster->quiet = true;
    cluster->keeps_flushes = true; /* So that the log is needed. */
    cluster_init(cluster, nodes, 0);
    return cluster;
}

/* Each is an entry, and mostly a batch of its own. */
static void write_some(struct cluster *cluster, uint32_t id, char key, uint32_t count)
{
    char command[64];
    for (uint32_t i = 0; i < count; i++) {
        snprintf(command, sizeof(command), "SET %c%u v%u\r\n", key, i, i);
        cluster_expect(cluster, id, command, "+OK\r\n");
    }
    cluster_steps(cluster, 500);
}

static void expect_all(struct cluster *cluster, uint32_t id, char key, uint32_t count)
{
    char command[64], reply[64], value[16];
    for (uint32_t i = 0; i < count; i++) {
        snprintf(command, sizeof(command), "GET %c%u\r\n", key, i);
        snprintf(value, sizeof(value), "v%u", i);
        snprintf(reply, sizeof(reply), "$%zu\r\n%s\r\n", strlen(value), value);
        cluster_expect(cluster, id, command, reply);
    }
}

/* The newest batch that has that entry rots: its header, or a byte of the entries. */
static void rot_entry(struct cluster *cluster, uint32_t id, moot_index index, bool header_too)
{
    static const char SEGMENT[] = "journal-0000000000000001";
    struct moot_disk_sim *disk = cluster->nodes[id].disk;
    uint64_t size, found = UINT64_MAX, head = 0;
    const uint8_t *bytes = moot_disk_sim_bytes(disk, SEGMENT, &size);
    for (uint64_t at = 0; at < size;) {
        struct journal_header header;
        if (journal_header_get(bytes + at, 1, at, size, &header) != JOURNAL_GOOD) {
            break;
        }
        for (uint32_t i = 0; i < header.span_count; i++) {
            struct journal_span span = journal_span_get(bytes + at, i);
            bool has = span.group == MOOT_GROUP_DB0 && span.first <= index && index <= span.last;
            found = has ? at : found;
            head = has ? header.header_size : head;
        }
        at += header.length;
    }
    assert_true(found != UINT64_MAX);
    moot_disk_sim_rot(disk, SEGMENT, found + (header_too ? 40 : head + 10), 1);
}

static void kill_all(struct cluster *cluster)
{
    for (uint32_t id = 1; id <= cluster->count; id++) {
        cluster_kill(cluster, id);
    }
}

static void open_all(struct cluster *cluster)
{
    for (uint32_t id = 1; id <= cluster->count; id++) {
        cluster_open(cluster, id, 0);
    }
}

static struct moot_group_view view_of(const struct cluster *cluster, uint32_t id)
{
    return cluster_group(cluster, id, MOOT_GROUP_DB0);
}

/* Goal: after a power failure every node has lost other entries, and the cluster comes back with
 * all that was acknowledged. Method: three entries in the middle of the log, one on each of three
 * nodes. They are impaired, nobody is whole, and then all are; so they are after another failure,
 * although the rot is still there. */
static void all_help_each_other(void **state)
{
    (void)state;
    struct cluster *cluster = make(3);
    write_some(cluster, 2, 'a', 40);
    kill_all(cluster);
    for (uint32_t id = 1; id <= 3; id++) {
        rot_entry(cluster, id, 10 + 6 * id, false);
    }
    open_all(cluster);
    for (uint32_t id = 1; id <= 3; id++) {
        assert_true(view_of(cluster, id).impaired);
    }
    cluster_steps(cluster, 5000);
    for (uint32_t id = 1; id <= 3; id++) {
        assert_false(view_of(cluster, id).impaired);
    }
    expect_all(cluster, 1, 'a', 40);
    write_some(cluster, 3, 'b', 10);
    kill_all(cluster);
    open_all(cluster);
    for (uint32_t id = 1; id <= 3; id++) {
        assert_false(view_of(cluster, id).impaired);
    }
    expect_all(cluster, 2, 'a', 40);
    expect_all(cluster, 2, 'b', 10);
    cluster_deinit(cluster);
}

/* Goal: nobody comes back who does not know what its log was. Method: on two of three nodes the end
 * of the log rots; or a batch in the middle so that not even its header stands. They wait, and
 * nobody leads; a third that has lost something else fills it if they still have it, and waits. */
static void who_does_not_know_the_log_waits(void **state)
{
    (void)state;
    for (int by_header = 0; by_header < 2; by_header++) {
        struct cluster *cluster = make(3);
        write_some(cluster, 2, 'a', 40);
        moot_index last = view_of(cluster, 2).last;
        kill_all(cluster);
        rot_entry(cluster, 1, by_header != 0 ? 16 : last, by_header != 0);
        rot_entry(cluster, 2, by_header != 0 ? 20 : last, by_header != 0);
        rot_entry(cluster, 3, 26, false);
        open_all(cluster);
        cluster_steps(cluster, 20000);
        for (uint32_t id = 1; id <= 3; id++) {
            assert_int_equal(view_of(cluster, id).impaired, id != 3 || by_header != 0);
            assert_false(view_of(cluster, id).leads);
        }
        cluster_deinit(cluster);
    }
}

/* Goal: what was filled stays, and what was not is asked for again. Method: node 1 dies before
 * anybody could answer; then, with one other node, which lacks other entries, as soon as it is
 * whole. */
static void restarts_in_the_middle(void **state)
{
    (void)state;
    struct cluster *cluster = make(3);
    write_some(cluster, 2, 'a', 40);
    kill_all(cluster);
    rot_entry(cluster, 1, 15, false);
    rot_entry(cluster, 1, 30, false);
    rot_entry(cluster, 2, 22, false);
    for (int i = 0; i < 3; i++) {
        cluster_open(cluster, 1, 0);
        cluster_steps(cluster, 300);
        assert_true(view_of(cluster, 1).impaired);
        cluster_kill(cluster, 1);
    }
    cluster_open(cluster, 1, 0);
    cluster_open(cluster, 2, 0);
    int steps = 0;
    while (view_of(cluster, 1).impaired) {
        assert_true(++steps < 20000);
        cluster_step(cluster);
    }
    cluster_kill(cluster, 1);
    cluster_open(cluster, 1, 0);
    assert_false(view_of(cluster, 1).impaired);
    cluster_steps(cluster, 5000);
    expect_all(cluster, 1, 'a', 40);
    cluster_deinit(cluster);
}

static bool holes_are_lost(moot_node_id from, moot_node_id to, struct moot_slice message)
{
    (void)from;
    (void)to;
    return message.size > 1 &&
           (message.data[1] == MOOT_MESSAGE_HOLE_ASK || message.data[1] == MOOT_MESSAGE_HOLE_GIVE);
}

/* Goal: where a leader is there it repairs, as it ever did, and a question that nobody hears does
 * no harm. Method: one node of three has lost something; all questions and answers are lost. */
static void a_leader_repairs_as_ever(void **state)
{
    (void)state;
    struct cluster *cluster = make(3);
    write_some(cluster, 2, 'a', 40);
    kill_all(cluster);
    rot_entry(cluster, 1, 20, false);
    cluster->loses = holes_are_lost;
    open_all(cluster);
    assert_true(view_of(cluster, 1).impaired);
    cluster_steps(cluster, 20000);
    assert_false(view_of(cluster, 1).impaired);
    expect_all(cluster, 1, 'a', 40);
    cluster_deinit(cluster);
}

struct found_entry {
    moot_index index;
    struct moot_record record;
    struct moot_block *block;
};

static int find_entry(void *context, const struct moot_record *record)
{
    struct found_entry *found = context;
    if (record->kind == MOOT_RECORD_ENTRY && record->group == MOOT_GROUP_DB0 &&
        record->index == found->index) {
        moot_block_release(found->block);
        found->block = moot_block_copy(record->bytes);
        found->record = *record;
        found->record.bytes = moot_block_slice(found->block);
    }
    return 0;
}

/* Opens the journal of a node that is dead, and writes `record` unless it is NULL. */
static void with_journal(struct cluster *cluster, uint32_t id, struct found_entry *found,
                         const struct moot_record *record)
{
    struct moot_disk *disk = moot_disk_sim_disk(cluster->nodes[id].disk);
    struct moot_journal_report report;
    struct moot_journal *journal;
    struct moot_journal_write where;
    struct moot_buffer bytes;
    uint64_t durable = 0;
    moot_buffer_init(&bytes);
    assert_int_equal(moot_journal_open(disk, &JOURNAL, find_entry, found, &report, &journal), 0);
    for (size_t count = 1; record != NULL && count < 2; count--) { /* And the closing mark. */
        assert_int_equal(moot_journal_layout(journal, record, count, durable, &bytes, &where), 0);
        void *aligned = moot_alloc_aligned(MOOT_JOURNAL_ALIGN, bytes.size);
        memcpy(aligned, bytes.data, bytes.size);
        int status =
            moot_journal_write_now(disk, JOURNAL.segment_bytes, &where, aligned, bytes.size);
        assert_int_equal(status, 0);
        moot_free(aligned);
        durable = where.batch;
    }
    moot_buffer_deinit(&bytes);
    moot_journal_close(journal);
}

/* Goal: who followed a leader from where its own log had broken off does not take that for what its
 * log was. Method: node 1 loses entry 20, and its next process dies when a leader has given it back
 * that one and no more: less than was acknowledged. It says so, however long it waits. */
static void a_log_that_broke_off_is_not_the_log(void **state)
{
    (void)state;
    struct cluster *cluster = make(3);
    write_some(cluster, 2, 'a', 40);
    kill_all(cluster);
    struct found_entry found = {.index = 20};
    with_journal(cluster, 1, &found, NULL);
    assert_non_null(found.block);
    rot_entry(cluster, 1, 20, false);
    with_journal(cluster, 1, &found, &found.record);
    cluster_open(cluster, 1, 0);
    assert_true(view_of(cluster, 1).impaired);
    cluster_steps(cluster, 2000);
    assert_true(view_of(cluster, 1).impaired);
    cluster_open(cluster, 2, 0);
    cluster_open(cluster, 3, 0);
    cluster_steps(cluster, 5000);
    expect_all(cluster, 1, 'a', 40);
    moot_block_release(found.block);
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_hole_is_asked_for),
        cmocka_unit_test(holes_are_filled_in_parts),
        cmocka_unit_test(only_the_same_anchor_counts),
        cmocka_unit_test(what_is_filled_follows),
        cmocka_unit_test(all_help_each_other),
        cmocka_unit_test(who_does_not_know_the_log_waits),
        cmocka_unit_test(restarts_in_the_middle),
        cmocka_unit_test(a_leader_repairs_as_ever),
        cmocka_unit_test(a_log_that_broke_off_is_not_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
