/* Whole nodes that stop and start, fall behind, come and go. */
#include "node_cluster.h"

static struct cluster *make(uint32_t count, uint32_t rarely_one_in)
{
    struct cluster *cluster = moot_alloc_zero(sizeof(*cluster));
    cluster->rarely_one_in = rarely_one_in;
    cluster->quiet = true;
    cluster_init(cluster, count, 3);
    return cluster;
}

/* Until all living nodes have executed the same; then their contents are the same. */
static void agree(struct cluster *cluster)
{
    for (int i = 0; i < 100000; i++) {
        bool same = cluster_leader(cluster) != 0;
        struct moot_group_view first = {0};
        for (uint32_t id = 1; id <= cluster->count; id++) {
            if (!cluster->nodes[id].dead && !cluster->nodes[id].stopped) {
                struct moot_group_view view = cluster_group(cluster, id, MOOT_GROUP_DB0);
                first = first.exists ? first : view;
                same = same && view.applied == first.applied;
                assert_false(view.fenced);
                if (view.applied == first.applied) {
                    assert_true(view.digest == first.digest);
                    assert_true(view.chain == first.chain);
                }
            }
        }
        if (same) {
            return;
        }
        cluster_step(cluster);
    }
    fail_msg("the replicas do not catch up");
}

/* `count` writes through node `id`, each acknowledged. */
static void write_many(struct cluster *cluster, uint32_t id, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        char line[64];
        snprintf(line, sizeof(line), "SET k%u v%u\r\nRPUSH l %u\r\n", i, i, i);
        char expected[64];
        snprintf(expected, sizeof(expected), "+OK\r\n:%u\r\n", i + 1);
        cluster_expect(cluster, id, line, expected);
    }
}

static void read_many(struct cluster *cluster, uint32_t id, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char line[64], expected[64], value[16];
        int size = snprintf(value, sizeof(value), "v%u", i);
        snprintf(line, sizeof(line), "GET k%u\r\n", i);
        snprintf(expected, sizeof(expected), "$%d\r\n%s\r\n", size, value);
        cluster_expect(cluster, id, line, expected);
    }
}

/* Goal: nothing that was acknowledged is lost when one node, or all, lose power. Method: crashes of
 * journal and store after writes, with early flushes and compactions, and without. */
static void restarts_lose_nothing(void **state)
{
    (void)state;
    for (uint32_t rarely = 0; rarely <= 20; rarely += 20) {
        struct cluster *cluster = make(3, rarely);
        uint32_t written = 0;
        for (uint32_t round = 0; round < 4; round++) {
            write_many(cluster, round % 3 + 1, written, 12);
            written += 12;
            uint32_t one = round % 3 + 1;
            cluster_kill(cluster, one);
            cluster_open(cluster, one, 3);
            write_many(cluster, one, written, 3);
            written += 3;
            for (uint32_t id = 1; id <= 3; id++) {
                cluster_kill(cluster, id);
            }
            for (uint32_t id = 1; id <= 3; id++) {
                cluster_open(cluster, id, 3);
            }
            read_many(cluster, one, written);
            agree(cluster);
        }
        cluster_deinit(cluster);
    }
}

/* Goal: a node alone comes back with all it acknowledged, and a greater incarnation. Method: many
 * crashes. */
static void one_node_comes_back(void **state)
{
    (void)state;
    struct cluster *cluster = make(1, 10);
    uint64_t incarnation = moot_node_incarnation(cluster->nodes[1].node);
    for (uint32_t i = 0; i < 20; i++) {
        write_many(cluster, 1, i * 3, 3);
        cluster_kill(cluster, 1);
        cluster_open(cluster, 1, 3);
        assert_true(moot_node_incarnation(cluster->nodes[1].node) > incarnation);
        incarnation = moot_node_incarnation(cluster->nodes[1].node);
    }
    read_many(cluster, 1, 60);
    cluster_deinit(cluster);
}

/* Goal: a follower that the log no longer reaches gets a snapshot, and then has the same contents,
 * also after a crash. Method: it is down while the others compact. */
static void a_snapshot_brings_a_follower_back(void **state)
{
    (void)state;
    struct cluster *cluster = make(3, 10);
    write_many(cluster, 1, 0, 10);
    uint32_t leader = cluster_leader(cluster), follower = leader % 3 + 1;
    moot_index had = cluster_group(cluster, follower, MOOT_GROUP_DB0).last;
    cluster_kill(cluster, follower);
    write_many(cluster, leader, 10, 60);
    cluster_steps(cluster, 3000);
    assert_true(cluster_group(cluster, leader, MOOT_GROUP_DB0).first > had + 1);
    cluster_open(cluster, follower, 3);
    agree(cluster);
    assert_true(cluster->installs > 0);
    assert_true(cluster_group(cluster, follower, MOOT_GROUP_DB0).first > had + 1);
    read_many(cluster, follower, 70);
    cluster_kill(cluster, follower);
    cluster_open(cluster, follower, 3);
    agree(cluster);
    cluster_expect(cluster, follower, "LLEN l\r\n", ":70\r\n");
    cluster_deinit(cluster);
}

/* Asks the leader of db0; the reply is left with it. */
static struct moot_slice order(struct cluster *cluster, const char *line)
{
    uint32_t leader = cluster_leader(cluster);
    assert_int_not_equal(leader, 0);
    cluster_send(cluster, leader, line);
    struct moot_buffer *replies = &cluster->nodes[leader].replies;
    for (int i = 0; i < 100000 && replies->size == 0; i++) {
        cluster_step(cluster);
    }
    return moot_buffer_slice(replies);
}

static bool votes(struct cluster *cluster, uint32_t asked, uint32_t node)
{
    bool all = true;
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        struct moot_group_view view = cluster_group(cluster, asked, group);
        all = all && moot_members_has_voter(view.members, node) && !view.changing;
    }
    return all;
}

static bool is_member(struct cluster *cluster, uint32_t asked, uint32_t node)
{
    struct moot_group_view system = cluster_group(cluster, asked, MOOT_GROUP_SYSTEM);
    struct moot_group_view db0 = cluster_group(cluster, asked, MOOT_GROUP_DB0);
    return moot_members_has(system.members, node) || moot_members_has(db0.members, node);
}

static void join(struct cluster *cluster)
{
    char reply[4096];
    uint8_t bytes[2048];
    size_t size = 0;
    cluster_steps(cluster, 2000); /* It may still be forming. */
    cluster_join(cluster, "the secret of the cluster", reply);
    if (reply[0] != '$') {
        fail_msg("MOOT JOIN: %s", reply);
    }
    for (const char *hex = strchr(reply, '\n') + 1; hex[2 * size] != '\r'; size++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * size, "%2x", &byte), 1);
        bytes[size] = (uint8_t)byte;
    }
    struct moot_identity identity;
    assert_int_equal(moot_identity_decode(moot_slice_make(bytes, size), &identity), 0);
    assert_int_equal(identity.node, cluster->count + 1);
    cluster->count++;
    cluster->nodes[cluster->count].identity = identity;
    cluster_open(cluster, cluster->count, 3);
}

/* Goal: a node that joins gets everything, becomes a voter by itself, and counts. Method: a fourth
 * node joins three that have compacted; then it is in a majority without node 1. */
static void a_fourth_node_joins(void **state)
{
    (void)state;
    struct cluster *cluster = make(3, 10);
    write_many(cluster, 2, 0, 40);
    join(cluster);
    for (int i = 0; i < 100000 && !votes(cluster, 4, 4); i++) {
        cluster_step(cluster);
    }
    assert_true(votes(cluster, 4, 4));
    agree(cluster);
    read_many(cluster, 4, 40);
    cluster_kill(cluster, 1);
    write_many(cluster, 4, 40, 5);
    cluster_kill(cluster, 4);
    cluster_open(cluster, 1, 3);
    cluster_open(cluster, 4, 3);
    read_many(cluster, 4, 45);
    agree(cluster);
    cluster_deinit(cluster);
}

/* Goal: who joined finds who else joined, also when all have lost power and nothing can be
 * committed before they meet. Method: two nodes join three; all crash; only those two come back. */
static void late_members_know_each_other(void **state)
{
    (void)state;
    struct cluster *cluster = make(3, 0); /* No flush by chance. */
    for (uint32_t id = 4; id <= 5; id++) {
        join(cluster);
        for (int i = 0; i < 100000 && !votes(cluster, id, id); i++) {
            cluster_step(cluster);
        }
        assert_true(votes(cluster, id, id));
    }
    agree(cluster);
    cluster_steps(cluster, 2000);
    for (uint32_t id = 1; id <= 5; id++) {
        cluster_kill(cluster, id);
    }
    for (uint32_t id = 4; id <= 5; id++) {
        cluster_open(cluster, id, 3);
    }
    cluster_steps(cluster, 500);
    assert_int_equal(cluster->nodes[4].told_peers, 0x2e); /* 1, 2, 3 and 5. */
    assert_int_equal(cluster->nodes[5].told_peers, 0x1e);
    cluster_deinit(cluster);
}

/* Goal: an address is as durable as the membership that it is needed for, also in the moment
 * before any flush. Method: two nodes join one, whose votes it takes then; nothing is flushed, all
 * lose power, and the two who joined have to elect a leader without the first. */
static void an_address_is_as_durable_as_the_membership(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 8; round++) {
        struct cluster *cluster = make(1, 0);
        write_many(cluster, 1, 0, 3 + round); /* Another place for the stores to be torn. */
        cluster->keeps_flushes = true;
        for (uint32_t id = 2; id <= 3; id++) {
            join(cluster);
            for (int i = 0; i < 100000 && !votes(cluster, id, id); i++) {
                cluster_step(cluster);
            }
            assert_true(votes(cluster, id, id));
        }
        agree(cluster);
        for (uint32_t id = 1; id <= 3; id++) {
            cluster_kill(cluster, id);
        }
        cluster->keeps_flushes = false;
        for (uint32_t id = 2; id <= 3; id++) {
            cluster_open(cluster, id, 3);
        }
        cluster_steps(cluster, 100); /* Far less than an election takes. */
        assert_int_equal(cluster->nodes[2].told_peers & 0x8, 0x8); /* 3 */
        assert_int_equal(cluster->nodes[3].told_peers & 0x4, 0x4);
        cluster_deinit(cluster);
    }
}

/* Goal: a node is taken out of both groups, also the leader, and what it held stays. Method: remove
 * the leader of three, then go on with two. */
static void the_leader_is_removed(void **state)
{
    (void)state;
    struct cluster *cluster = make(3, 0);
    write_many(cluster, 1, 0, 10);
    uint32_t gone = cluster_leader(cluster), other = gone % 3 + 1;
    cluster_steps(cluster, 2000);
    assert_int_equal(cluster_leader(cluster), gone);
    char line[64];
    snprintf(line, sizeof(line), "MOOT CLUSTER REMOVE %u\r\n", gone);
    assert_int_equal(order(cluster, line).data[0], '+');
    for (int i = 0; i < 100000 && is_member(cluster, other, gone); i++) {
        cluster_step(cluster);
    }
    assert_false(is_member(cluster, other, gone));
    cluster_kill(cluster, gone);
    write_many(cluster, other, 10, 5);
    read_many(cluster, other, 15);
    assert_int_not_equal(cluster_leader(cluster), gone);
    cluster_deinit(cluster);
}

/* Goal: a removal that would lose the majority is refused. Method: one of three is dead; removing a
 * living one would leave one of two. */
static void an_unsafe_removal_is_refused(void **state)
{
    (void)state;
    struct cluster *cluster = make(3, 0);
    write_many(cluster, 1, 0, 3);
    uint32_t leader = cluster_leader(cluster), dead = leader % 3 + 1, living = dead % 3 + 1;
    cluster_kill(cluster, dead);
    cluster_steps(cluster, 5000);
    assert_int_equal(cluster_leader(cluster), leader);
    char line[64];
    snprintf(line, sizeof(line), "MOOT CLUSTER REMOVE %u\r\n", living);
    assert_int_equal(order(cluster, line).data[0], '-');
    cluster_steps(cluster, 2000);
    assert_true(is_member(cluster, leader, living));
    snprintf(line, sizeof(line), "MOOT CLUSTER REMOVE %u\r\n", dead);
    assert_int_equal(order(cluster, line).data[0], '+');
    for (int i = 0; i < 100000 && is_member(cluster, leader, dead); i++) {
        cluster_step(cluster);
    }
    assert_false(is_member(cluster, leader, dead));
    write_many(cluster, living, 3, 3);
    cluster_deinit(cluster);
}

/* Goal: also a leader that has just been elected, and could not miss anybody's answers yet, refuses
 * a removal that would lose the majority (moot sim, seed 319789373053290758). */
static void a_new_leader_knows_who_is_dead(void **state)
{
    (void)state;
    struct cluster *cluster = make(3, 0);
    write_many(cluster, 1, 0, 3);
    uint32_t dead = cluster_leader(cluster), leader;
    cluster_kill(cluster, dead);
    while ((leader = cluster_leader(cluster)) == 0) {
        cluster_step(cluster);
    }
    char line[64];
    snprintf(line, sizeof(line), "MOOT CLUSTER REMOVE %u\r\n", 6 - dead - leader);
    assert_true(moot_slice_starts_with(order(cluster, line), MOOT_SLICE_LITERAL("-ERR refused")));
    cluster_deinit(cluster);
}

/* Goal: a node never starts on a disk that is not its own, nor without the journal that its store
 * belongs to, nor on nothing. Method: another node's identity, another cluster's; an empty disk
 * beside the store; no identity. */
static void wrong_disks_are_refused(void **state)
{
    (void)state;
    struct cluster *cluster = make(1, 5);
    write_many(cluster, 1, 0, 20);
    cluster_steps(cluster, 1000);
    cluster_kill(cluster, 1);
    struct cluster_node *at = &cluster->nodes[1];
    struct moot_identity own = at->identity;
    struct moot_node *node;
    char why[256];

    struct moot_node_options options = cluster_options(cluster, 1);
    at->identity.node = at->identity.self.node = at->identity.initial[0].node = 2;
    assert_int_equal(moot_node_open(&options, &node, why), MOOT_EREFUSED);
    assert_null(node);
    assert_non_null(strstr(why, "another node or cluster"));
    at->identity = own;
    at->identity.cluster[3] ^= 1;
    assert_int_equal(moot_node_open(&options, &node, why), MOOT_EREFUSED);
    at->identity = own;

    struct moot_disk_sim *empty = moot_disk_sim_make(9);
    options.disk = moot_disk_sim_disk(empty);
    assert_int_equal(moot_node_open(&options, &node, why), MOOT_ECORRUPT);
    assert_non_null(strstr(why, "its journal is lost"));
    options.format = NULL;
    assert_int_equal(moot_node_open(&options, &node, why), MOOT_ENOTFOUND);
    moot_disk_sim_free(empty);

    options.disk = moot_disk_sim_disk(at->disk); /* Its own: no need to say who it is. */
    assert_int_equal(moot_node_open(&options, &node, why), 0);
    assert_int_equal(moot_node_identity(node)->node, 1);
    moot_node_close(node);
    cluster_open(cluster, 1, 3);
    read_many(cluster, 1, 20);
    cluster_deinit(cluster);
}

/* Goal: a node that is asked to stop hands over leadership first, so that nobody waits for an
 * election. Method: stop the leader; a write elsewhere sooner than an election could be over. */
static void a_graceful_stop_hands_over(void **state)
{
    (void)state;
    struct cluster *cluster = make(3, 0);
    write_many(cluster, 1, 0, 5);
    cluster_steps(cluster, 3000);
    uint32_t leader = cluster_leader(cluster), other = leader % 3 + 1;
    struct moot_input stop = {.kind = MOOT_INPUT_STOP};
    uint64_t before = cluster->now.instant.ns;
    cluster_input(&cluster->nodes[leader], stop, &cluster->arena);
    for (int i = 0; i < 100000 && !cluster->nodes[leader].stopped; i++) {
        cluster_step(cluster);
    }
    assert_true(cluster->nodes[leader].stopped);
    cluster_steps(cluster, 100); /* The others hear of it: no time-out is over by then. */
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        moot_node_id now = cluster_group(cluster, other, group).leader;
        assert_true(now != 0 && now != leader);
    }
    /* Faster than an election would be. */
    assert_true(cluster->now.instant.ns - before < MOOT_ELECTION_MS * MOOT_MSEC_NS);
    cluster_kill(cluster, leader);
    write_many(cluster, other, 5, 5);
    assert_true(cluster->now.instant.ns - before < MOOT_ELECTION_MS * MOOT_MSEC_NS);
    cluster_open(cluster, leader, 3);
    read_many(cluster, leader, 10);
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(restarts_lose_nothing),
        cmocka_unit_test(one_node_comes_back),
        cmocka_unit_test(a_snapshot_brings_a_follower_back),
        cmocka_unit_test(a_fourth_node_joins),
        cmocka_unit_test(late_members_know_each_other),
        cmocka_unit_test(an_address_is_as_durable_as_the_membership),
        cmocka_unit_test(the_leader_is_removed),
        cmocka_unit_test(an_unsafe_removal_is_refused),
        cmocka_unit_test(a_new_leader_knows_who_is_dead),
        cmocka_unit_test(wrong_disks_are_refused),
        cmocka_unit_test(a_graceful_stop_hands_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
