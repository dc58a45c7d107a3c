/* A store that fails its checksum: its node steps aside, begins again with an empty store, and
 * neither votes nor acknowledges before it has what it had. */
#include <string.h>

#include "edge_clients.h"

static const struct moot_store_ops *memory_ops;
static const struct moot_store
    *rotten, /* Whose entries of keys with "rot" in their name are bad. */
    *merged; /* In which a merge finds something bad, so that it is never flushed again. */

static bool is_bad(const struct moot_store *store, struct moot_slice key)
{
    for (size_t i = 0; store == rotten && i + 3 <= key.size; i++) {
        if (memcmp(key.data + i, "rot", 3) == 0) {
            return true;
        }
    }
    return false;
}

static int get(struct moot_store *store, struct moot_slice key, struct moot_arena *arena,
               struct moot_slice *value)
{
    return is_bad(store, key) ? MOOT_ECORRUPT : memory_ops->get(store, key, arena, value);
}

static int flush(struct moot_store *store)
{
    return store == merged ? MOOT_ECORRUPT : memory_ops->flush(store);
}

static void watch_store(struct moot_store *store)
{
    static struct moot_store_ops ops;
    if (store->ops != &ops) {
        memory_ops = store->ops;
        ops = *store->ops;
        ops.get = get;
        ops.flush = flush;
        store->ops = &ops;
    }
}

static struct moot_group_view view_of(struct cluster *cluster, uint32_t id)
{
    struct moot_group_view view;
    moot_node_group(cluster->nodes[id].node, MOOT_GROUP_DB0, &view);
    return view;
}

static void write_many(struct cluster *cluster, uint32_t id, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        char line[64];
        snprintf(line, sizeof(line), "SET k%u v\r\n", i);
        edge_expect(cluster, id, 1, line, "+OK\r\n");
    }
}

static struct cluster *make(uint32_t count, uint32_t rarely_one_in)
{
    struct cluster *cluster = moot_alloc_zero(sizeof(*cluster));
    cluster->quiet = true;
    cluster->rarely_one_in = rarely_one_in;
    rotten = merged = NULL;
    cluster_init(cluster, count, 0);
    for (uint32_t id = 1; id <= count; id++) {
        watch_store(cluster->nodes[id].store);
    }
    edge_expect(cluster, 1, 1, "SET rot a\r\nSET n 0\r\n", "+OK\r\n+OK\r\n");
    write_many(cluster, 1, 0, 30);
    edge_run_ms(cluster, MOOT_UNSTORED_MS + 500);
    return cluster;
}

/* What was read lately need not be read again: a new process remembers nothing. */
static void make_rotten(struct cluster *cluster, uint32_t id)
{
    struct moot_store *store = cluster->nodes[id].store;
    assert_int_equal(memory_ops->flush(store), 0);
    cluster_kill(cluster, id);
    cluster_open(cluster, id, 0);
    edge_run_ms(cluster, 3000);
    rotten = store;
    cluster->nodes[id].may_fail = true;
}

static void wait_until_stopped(struct cluster *cluster, uint32_t id)
{
    for (int i = 0; i < 100000 && !cluster->nodes[id].stopped; i++) {
        cluster_step(cluster);
    }
    assert_true(cluster->nodes[id].stopped);
    assert_int_equal(cluster->nodes[id].stop_status, MOOT_ECORRUPT);
}

/* As the host does it: the process ends, its store is set aside, it comes back with an empty one.
 */
static uint64_t store_seed; /* It decides what a crash takes. */

static void begin_again(struct cluster *cluster, uint32_t id)
{
    struct cluster_node *at = &cluster->nodes[id];
    if (at->node != NULL) {
        cluster_kill(cluster, id);
    }
    memory_ops->close(at->store);
    rotten = merged = NULL;
    struct moot_store_memory_options options = {.seed = id + 100 + store_seed};
    at->store = moot_store_memory_open(&options);
    watch_store(at->store);
    at->store_lost = true;
    cluster_open(cluster, id, 0);
    at->store_lost = false;
}

static void agree(struct cluster *cluster)
{
    edge_run_ms(cluster, 3000);
    for (uint32_t id = 1; id <= 3; id++) {
        struct moot_group_view one = view_of(cluster, 1), view = view_of(cluster, id);
        assert_false(view.fenced || view.impaired);
        assert_int_equal(view.applied, one.applied);
        assert_true(view.chain == one.chain && view.digest == one.digest);
    }
}

/* Goal: a follower whose store is rotten comes back by itself, is whole again, and only then
 * counts; also when the log no longer reaches back, and when it is killed in between. Method: rot
 * met by a write; the leader cut off while it is empty: the other two elect nobody; healed; then it
 * votes. */
static void a_rotten_follower_is_installed_anew(void **state)
{
    (void)state;
    for (uint32_t rarely = 0; rarely <= 10; rarely += 10) {
        struct cluster *cluster = make(3, rarely);
        uint32_t leader = cluster_leader(cluster), id = leader % 3 + 1, third = id % 3 + 1;
        make_rotten(cluster, id);
        assert_int_equal(cluster_leader(cluster), leader);
        edge_expect(cluster, leader, 1, "APPEND rot b\r\nINCR n\r\n", ":2\r\n:1\r\n");
        wait_until_stopped(cluster, id);
        cluster->nodes[leader].cut = true;
        begin_again(cluster, id);
        for (int round = 0; round < 30; round++) {
            edge_run_ms(cluster, 100);
            assert_true(view_of(cluster, id).impaired);
            assert_false(view_of(cluster, id).leads || view_of(cluster, third).leads);
            if (round == 15) { /* Its new store remembers what it is. */
                cluster_kill(cluster, id);
                cluster_open(cluster, id, 0);
            }
        }
        edge_heal(cluster, leader);
        for (int i = 0; i < 100000 && (view_of(cluster, id).impaired || !cluster_leader(cluster));
             i++) {
            cluster_step(cluster);
        }
        agree(cluster);
        cluster_kill(cluster, cluster_leader(cluster) == id ? third : cluster_leader(cluster));
        edge_expect(cluster, id, 1, "GET rot\r\nINCR n\r\nEXISTS k0 k29\r\n",
                    "$2\r\nab\r\n:2\r\n:2\r\n");
        edge_run_ms(cluster, MOOT_UNSTORED_MS + 100);
        cluster_kill(cluster, id); /* It is no longer special. */
        cluster_open(cluster, id, 0);
        assert_false(view_of(cluster, id).impaired);
        edge_expect(cluster, id, 1, "INCR n\r\n", ":3\r\n");
        cluster_deinit(cluster);
    }
}

/* Goal: a leader whose store is rotten is followed by another one; nobody's write is lost or done
 * twice. Method: the same at the leader, through another node. */
static void a_rotten_leader_is_replaced_and_installed(void **state)
{
    (void)state;
    struct cluster *cluster = make(3, 10);
    uint32_t id = cluster_leader(cluster), other = id % 3 + 1;
    make_rotten(cluster, id);
    for (int i = 0; i < 20 && cluster_leader(cluster) != id; i++) { /* It is to lead again. */
        uint32_t now = cluster_leader(cluster);
        if (now != 0) {
            char line[64];
            snprintf(line, sizeof(line), "MOOT CLUSTER TRANSFER %u\r\n", id);
            edge_send(cluster, now, 1, line);
        }
        edge_run_ms(cluster, 1000);
    }
    assert_int_equal(cluster_leader(cluster), id);
    edge_expect(cluster, other, 1, "INCR n\r\nAPPEND rot b\r\nINCR n\r\n", ":1\r\n:2\r\n:2\r\n");
    wait_until_stopped(cluster, id);
    begin_again(cluster, id);
    agree(cluster);
    edge_expect(cluster, id, 1, "GET rot\r\nINCR n\r\n", "$2\r\nab\r\n:3\r\n");
    cluster_deinit(cluster);
}

/* Goal: the only replica is never given up: it is fenced, says so, and keeps what it has. Method:
 * one node. */
static void the_only_replica_is_kept(void **state)
{
    (void)state;
    struct cluster *cluster = make(1, 0);
    make_rotten(cluster, 1);
    edge_send(cluster, 1, 1, "APPEND rot b\r\n");
    edge_run_ms(cluster, 8000);
    assert_false(cluster->nodes[1].stopped);
    assert_true(view_of(cluster, 1).fenced);
    assert_int_equal(edge_text(cluster, 1, 1)[0], '-');
    cluster_deinit(cluster);
}

/* Goal: rot that a merge in the background meets is treated as what a command meets: the only
 * replica is kept, a follower begins again when it has heard who leads. Method: a flush, of which
 * some come soon, fails so. */
static void rot_that_a_merge_meets_is_no_other(void **state)
{
    (void)state;
    struct cluster *cluster = make(1, 10);
    merged = cluster->nodes[1].store;
    cluster->nodes[1].may_fail = true;
    edge_send(cluster, 1, 1, "INCR n\r\n");
    edge_run_ms(cluster, 8000);
    assert_true(view_of(cluster, 1).fenced);
    assert_false(cluster->nodes[1].stopped);
    cluster_deinit(cluster);

    cluster = make(3, 10);
    uint32_t leader = cluster_leader(cluster), id = leader % 3 + 1;
    merged = cluster->nodes[id].store;
    cluster->nodes[id].may_fail = true;
    edge_expect(cluster, leader, 1, "APPEND rot b\r\nINCR n\r\n", ":2\r\n:1\r\n");
    wait_until_stopped(cluster, id);
    begin_again(cluster, id);
    agree(cluster);
    edge_expect(cluster, id, 1, "GET rot\r\nINCR n\r\n", "$2\r\nab\r\n:2\r\n");
    cluster_deinit(cluster);
}

static int ignore(void *context, const struct moot_record *record)
{
    (void)context;
    (void)record;
    return 0;
}

/* Behind its back: the journal of a node that is down lets go of all entries, as a flush and then
 * some batches of other things would have it do. */
static void forget_entries(struct cluster *cluster, uint32_t id, const moot_index applied[])
{
    struct moot_journal *journal;
    struct moot_journal_report report;
    struct moot_disk *disk = moot_disk_sim_disk(cluster->nodes[id].disk);
    assert_int_equal(moot_journal_open(disk, &JOURNAL, ignore, NULL, &report, &journal), 0);
    (void)moot_journal_turn_over(journal);
    moot_journal_turn_back(journal);
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        moot_journal_free(journal, group, applied[group]);
    }
    struct moot_record hard[MOOT_GROUPS_MAX];
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        hard[group] = (struct moot_record){
            .kind = MOOT_RECORD_HARD_STATE, .group = group, .term = 100, .vote = 0};
    }
    for (int i = 0; i < 3; i++) {
        cluster_write_batch(cluster, id, journal, hard, MOOT_GROUPS_MAX);
    }
    assert_true(moot_journal_bytes(journal) <= JOURNAL.segment_bytes);
    moot_journal_close(journal);
}

static void expect_refused(struct cluster *cluster, uint32_t id)
{
    struct moot_node_options options = cluster_options(cluster, id);
    struct moot_node *node = NULL;
    char why[256];
    assert_int_equal(moot_node_open(&options, &node, why), MOOT_ECORRUPT);
    assert_non_null(strstr(why, "store.lost"));
    assert_null(node);
}

static void empty_store(struct cluster *cluster, uint32_t id)
{
    struct cluster_node *at = &cluster->nodes[id];
    memory_ops->close(at->store);
    struct moot_store_memory_options options = {.seed = id + 100};
    at->store = moot_store_memory_open(&options);
    watch_store(at->store);
}

/* Goal: a store that is gone is never taken for a new one, nor an old one for the last, also when
 * the journal has no entry any more: the node does not start, and says what may be done; told that
 * its store is lost, it begins again as a replica that may not vote, until it is whole: that is
 * durable then, without another write. Method: a journal that has let go of all, beside an empty
 * store, and beside one that lost its last writes. */
static void a_missing_store_is_noticed(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 16; round++) {
        bool is_old = round % 2 != 0;
        struct cluster *cluster = make(3, 0);
        uint32_t leader = cluster_leader(cluster), id = leader % 3 + 1;
        struct cluster_node *at = &cluster->nodes[id];
        assert_int_equal(memory_ops->flush(at->store), 0);
        edge_expect(cluster, leader, 1, "INCR n\r\n", ":1\r\n");
        edge_run_ms(cluster, MOOT_UNSTORED_MS + 500);
        moot_index applied[MOOT_GROUPS_MAX];
        for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
            applied[group] = cluster_group(cluster, id, group).applied;
        }
        cluster_kill(cluster, id); /* The last writes of its store go, too. */
        forget_entries(cluster, id, applied);
        if (!is_old) {
            empty_store(cluster, id);
        }
        expect_refused(cluster, id);
        expect_refused(cluster, id); /* Whoever tries has not changed that. */
        store_seed = round;
        begin_again(cluster, id);
        assert_true(view_of(cluster, id).impaired);
        agree(cluster);
        cluster_kill(cluster, id); /* Nothing of it waits for a flush. */
        cluster_open(cluster, id, 0);
        for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
            assert_false(cluster_group(cluster, id, group).impaired);
        }

        agree(cluster);
        cluster_deinit(cluster);
    }
}

/* Goal: what the store alone has is missed with it: an install that was cut short before the
 * journal heard of it (moot sim, seed 202674). Method: the disk of a node is that of before the
 * last writes; it starts and acknowledges them, since its store has them; then its store is gone.
 */
static void a_store_that_is_further_is_missed(void **state)
{
    (void)state;
    struct cluster *cluster = make(3, 0);
    uint32_t leader = cluster_leader(cluster), id = leader % 3 + 1;
    struct cluster_node *at = &cluster->nodes[id];
    struct moot_disk_sim *before = moot_disk_sim_copy(at->disk, 7);
    edge_expect(cluster, leader, 1, "INCR n\r\n", ":1\r\n");
    edge_run_ms(cluster, MOOT_UNSTORED_MS + 500);
    moot_index applied = cluster_group(cluster, id, MOOT_GROUP_DB0).applied;
    assert_int_equal(memory_ops->flush(at->store), 0);
    cluster_kill(cluster, id);
    moot_disk_sim_free(at->disk);
    at->disk = before;
    cluster_open(cluster, id, 0);
    assert_true(cluster_group(cluster, id, MOOT_GROUP_DB0).durable >= applied);
    agree(cluster);
    cluster_kill(cluster, id);
    empty_store(cluster, id);
    expect_refused(cluster, id);
    begin_again(cluster, id);
    agree(cluster);
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rotten_follower_is_installed_anew),
        cmocka_unit_test(a_rotten_leader_is_replaced_and_installed),
        cmocka_unit_test(the_only_replica_is_kept),
        cmocka_unit_test(a_missing_store_is_noticed),
        cmocka_unit_test(a_store_that_is_further_is_missed),
        cmocka_unit_test(rot_that_a_merge_meets_is_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
