/* A leader that is ill hands over, says why, and nothing else follows from what detectors say. */
#include "database/group/group.h"
#include "node_cluster.h"

enum { HELD_MAX = 4096 };

static struct cluster *make(uint32_t count)
{
    struct cluster *cluster = moot_alloc_zero(sizeof(*cluster));
    cluster->quiet = true;
    cluster_init(cluster, count, 0);
    cluster_expect(cluster, 1, "SET a 1\r\n", "+OK\r\n");
    return cluster;
}

/* A disk that takes writes and never says that they are durable. */
struct hung_disk {
    moot_node_id node;
    struct moot_input held[HELD_MAX];
    size_t count;
};

static void hold_durable(struct cluster *cluster, struct hung_disk *disk)
{
    struct cluster_node *at = &cluster->nodes[disk->node];
    size_t kept = 0;
    for (size_t i = 0; i < at->input_count; i++) {
        if (at->inputs[i].kind == MOOT_INPUT_DURABLE) {
            assert_true(disk->count < HELD_MAX);
            disk->held[disk->count++] = at->inputs[i];
        } else {
            at->inputs[kept++] = at->inputs[i];
        }
    }
    at->input_count = kept;
}

static void release(struct cluster *cluster, struct hung_disk *disk)
{
    for (size_t i = 0; i < disk->count; i++) {
        cluster_input(&cluster->nodes[disk->node], disk->held[i], &cluster->arena);
    }
    disk->count = 0;
}

static void run_ms(struct cluster *cluster, uint64_t ms, struct hung_disk *disk)
{
    struct moot_instant end = moot_instant_add(cluster->now.instant, moot_ms(ms));
    while (moot_instant_before(cluster->now.instant, end)) {
        cluster_step(cluster);
        if (disk != NULL) {
            hold_durable(cluster, disk);
        }
    }
}

/* What INFO peers of `node` says. */
static const char *info(struct cluster *cluster, uint32_t node)
{
    static char text[4096];
    cluster_send(cluster, node, "INFO peers\r\n");
    for (int i = 0; i < 1000 && cluster->nodes[node].replies.size == 0; i++) {
        cluster_step(cluster);
    }
    struct moot_slice reply = moot_buffer_slice(&cluster->nodes[node].replies);
    snprintf(text, sizeof(text), "%.*s", (int)reply.size, (const char *)reply.data);
    return text;
}

static void health(struct cluster *cluster, moot_node_id at, moot_node_id node,
                   enum moot_health state, uint32_t round_trip_us, uint32_t others_us)
{
    struct moot_input input = {.kind = MOOT_INPUT_HEALTH, .node = node, .status = (int)state};
    input.amount = 3200;
    input.link.round_trip_us = round_trip_us;
    input.link.others_us = others_us;
    cluster_input(&cluster->nodes[at], input, &cluster->arena);
}

/* Goal: a leader whose disk hangs gives its office to another, who takes writes, and both log and
 * INFO say why; when the disk answers, the node is as good as before. */
static void a_hung_disk_hands_over(void **state)
{
    (void)state;
    struct cluster *cluster = make(3);
    run_ms(cluster, 500, NULL);
    moot_node_id first = cluster_leader(cluster);
    struct hung_disk *disk = moot_alloc_zero(sizeof(*disk));
    disk->node = first;
    uint32_t other = first % 3 + 1;
    cluster_send(cluster, other, "SET b 2\r\n");
    run_ms(cluster, MOOT_DISK_HUNG_MS - 300, disk);
    assert_int_equal(cluster_leader(cluster), first); /* A disk may be slow. */
    run_ms(cluster, 1300, disk);
    moot_node_id second = cluster_leader(cluster);
    assert_int_not_equal(second, 0);
    assert_int_not_equal(second, first);
    cluster_expect(cluster, second, "SET c 3\r\n", "+OK\r\n");
    const char *text = info(cluster, first);
    assert_non_null(strstr(text, "moot_disk_hangs:1"));
    assert_non_null(strstr(text, "moot_hand_overs:1"));
    assert_non_null(strstr(text, "moot_last_hand_over:the disk hangs: no journal write"));
    release(cluster, disk);
    run_ms(cluster, 500, NULL);
    assert_non_null(strstr(info(cluster, first), "moot_disk_hangs:0"));
    cluster_expect(cluster, first, "GET c\r\n", "$1\r\n3\r\n");
    cluster_deinit(cluster);
    moot_free(disk);
}

static void space(struct cluster *cluster, moot_node_id node, uint64_t free_mib, uint64_t disk_mib)
{
    struct moot_input input = {.kind = MOOT_INPUT_SPACE, .amount = free_mib * 1024 * 1024};
    input.ticket = disk_mib * 1024 * 1024;
    cluster_input(&cluster->nodes[node], input, &cluster->arena);
}

/* Goal: leadership goes to a node with space, as long as there is one; where there is none it stays
 * somewhere, and where fewer than a majority have space growth is refused, and reads and deletions
 * go on. Method: one disk after the other is nearly full; then all have space again. */
static void a_full_disk_hands_over(void **state)
{
    (void)state;
    static const char refused[] = "-OOM command not allowed: the disk is nearly full\r\n";
    struct cluster *cluster = make(3);
    run_ms(cluster, 500, NULL);
    moot_node_id first = cluster_leader(cluster);
    space(cluster, first, 300, 1024); /* A quarter of a small disk is enough. */
    run_ms(cluster, 2000, NULL);
    assert_int_equal(cluster_leader(cluster), first);
    space(cluster, first, 300, 10240);
    run_ms(cluster, 2000, NULL);
    moot_node_id second = cluster_leader(cluster);
    assert_true(second != 0 && second != first);
    assert_non_null(strstr(info(cluster, first), "moot_last_hand_over:the disk is nearly full"));
    cluster_expect(cluster, first, "SET b 2\r\n", "+OK\r\n");
    cluster_expect(cluster, second, "SET c 3\r\n", "+OK\r\n");
    space(cluster, second, 200, 0);
    run_ms(cluster, 4000, NULL);
    moot_node_id third = cluster_leader(cluster);
    assert_true(third != 0 && third != first && third != second);
    cluster_expect(cluster, second, "SET e 3\r\n", refused);
    space(cluster, third, 200, 0);
    run_ms(cluster, 30000, NULL);
    moot_node_id at_rest = cluster_leader(cluster);
    for (int i = 0; i < 100; i++) {
        run_ms(cluster, 100, NULL);
        assert_int_equal(cluster_leader(cluster), at_rest);
    }
    cluster_expect(cluster, first, "SET d 4\r\n", refused);
    cluster_expect(cluster, first, "DEL b\r\nGET c\r\n", ":1\r\n$1\r\n3\r\n");
    for (moot_node_id id = 1; id <= 3; id++) {
        space(cluster, id, 20000, 0);
    }
    run_ms(cluster, 500, NULL); /* They tell it at once. */
    cluster_expect(cluster, second, "SET d 4\r\n", "+OK\r\n");
    cluster_deinit(cluster);
}

/* Goal: a follower whose disk is full takes nothing more, and says so; it serves its clients, keeps
 * what it has, votes, and catches up when there is space. Method: no room at all on one of three;
 * many writes; the leader dies when it has room again. */
static void a_full_follower_waits(void **state)
{
    (void)state;
    struct cluster *cluster = make(3);
    run_ms(cluster, 500, NULL);
    moot_node_id leader = cluster_leader(cluster), full = leader % 3 + 1, other = 6 - leader - full;
    cluster_expect(cluster, full, "SET a 1\r\n", "+OK\r\n");
    run_ms(cluster, 100, NULL);
    space(cluster, full, 1, 10240);
    run_ms(cluster, 100, NULL);
    struct moot_group_view before, after;
    moot_node_group(cluster->nodes[full].node, MOOT_GROUP_DB0, &before);
    for (int i = 0; i < 50; i++) {
        char expected[32];
        snprintf(expected, sizeof(expected), ":%d\r\n:%d\r\n", i + 1, i + 1);
        cluster_expect(cluster, full, "INCR n\r\nRPUSH l x\r\n", expected);
    }
    run_ms(cluster, 5000, NULL);
    moot_node_group(cluster->nodes[full].node, MOOT_GROUP_DB0, &after);
    assert_int_equal(after.last, before.last);
    assert_int_equal(after.term, before.term); /* It has heard its leader all the time. */
    assert_int_equal(cluster_leader(cluster), leader);
    assert_non_null(strstr(info(cluster, full), "moot_disk:full"));
    cluster_expect(cluster, full, "GET n\r\nLLEN l\r\nDEL l\r\n", "$2\r\n50\r\n:50\r\n:1\r\n");
    space(cluster, full, 5000, 10240);
    run_ms(cluster, 3000, NULL);
    assert_non_null(strstr(info(cluster, full), "moot_disk:ok"));
    moot_node_group(cluster->nodes[full].node, MOOT_GROUP_DB0, &after);
    moot_node_group(cluster->nodes[leader].node, MOOT_GROUP_DB0, &before);
    assert_int_equal(after.last, before.last);
    cluster_kill(cluster, leader);
    cluster_expect(cluster, other, "INCR n\r\n", ":51\r\n");
    cluster_deinit(cluster);
}

/* Goal: growth is refused where a majority has no space, though the leader has; deletions go on, by
 * what is kept for them. Method: both followers nearly full, then one of them with the other down.
 */
static void a_majority_without_space_refuses_growth(void **state)
{
    (void)state;
    static const char refused[] = "-OOM command not allowed: the disk is nearly full\r\n";
    struct cluster *cluster = make(3);
    run_ms(cluster, 500, NULL);
    moot_node_id leader = cluster_leader(cluster), one = leader % 3 + 1, two = 6 - leader - one;
    cluster_expect(cluster, leader, "SET a 1\r\nSET b 1\r\n", "+OK\r\n+OK\r\n");
    space(cluster, one, 300, 10240);
    run_ms(cluster, 2000, NULL);
    cluster_expect(cluster, leader, "SET c 1\r\n", "+OK\r\n");
    space(cluster, two, 300, 10240);
    run_ms(cluster, 2000, NULL);
    assert_int_equal(cluster_leader(cluster), leader);
    cluster_expect(cluster, leader, "SET d 1\r\nDEL a\r\nGET b\r\n",
                   "-OOM command not allowed: the disk is nearly full\r\n:1\r\n$1\r\n1\r\n");
    space(cluster, two, 5000, 10240);
    run_ms(cluster, 4000, NULL);
    cluster_expect(cluster, leader, "SET d 1\r\n", "+OK\r\n");
    cluster_kill(cluster, two);
    run_ms(cluster, 2000, NULL);
    cluster_expect(cluster, leader, "SET e 1\r\n", refused);
    cluster_expect(cluster, leader, "DEL b\r\n", ":1\r\n");
    cluster_deinit(cluster);
}

/* Goal: who stood still as a whole does not blame its disk. Method: time jumps by ten seconds with
 * a write under way; its answer comes a turn later. */
static void a_paused_process_does_not_blame_its_disk(void **state)
{
    (void)state;
    struct cluster *cluster = make(1);
    struct hung_disk *disk = moot_alloc_zero(sizeof(*disk));
    disk->node = 1;
    cluster_send(cluster, 1, "SET b 2\r\n");
    run_ms(cluster, 30, disk);
    assert_true(disk->count > 0);
    cluster->now.instant.ns += 10 * MOOT_SEC_NS;
    run_ms(cluster, 100, disk);
    assert_non_null(strstr(info(cluster, 1), "moot_disk_hangs:0"));
    release(cluster, disk);
    run_ms(cluster, 100, NULL);
    assert_non_null(strstr(info(cluster, 1), "moot_disk_hangs:0"));
    cluster_deinit(cluster);
    moot_free(disk);
}

static void say_links(struct cluster *cluster, moot_node_id leader, uint32_t own_us,
                      uint32_t others_us, int times)
{
    for (int i = 0; i < times; i++) {
        health(cluster, leader, leader % 3 + 1, MOOT_HEALTH_ALIVE, own_us, others_us);
        health(cluster, leader, (leader + 1) % 3 + 1, MOOT_HEALTH_ALIVE, own_us, others_us);
        run_ms(cluster, MOOT_LINK_BEAT_MS, NULL);
    }
}

/* Goal: a leader whose links are ten times slower than the others' hands over, and only then.
 * Method: all slow; nine times; one of two links slow; ten times. */
static void slow_links_hand_over(void **state)
{
    (void)state;
    struct cluster *cluster = make(3);
    run_ms(cluster, 500, NULL);
    moot_node_id first = cluster_leader(cluster);
    say_links(cluster, first, 200000, 200000, 20); /* The network is slow, not this node. */
    say_links(cluster, first, 90000, 10000, 20);
    say_links(cluster, first, 2000, 100, 20); /* Ten times quick is still quick. */
    for (int i = 0; i < 20; i++) {            /* One peer is slow: a majority is not. */
        health(cluster, first, first % 3 + 1, MOOT_HEALTH_ALIVE, 100, 200000);
        health(cluster, first, (first + 1) % 3 + 1, MOOT_HEALTH_ALIVE, 200000, 100);
        run_ms(cluster, MOOT_LINK_BEAT_MS, NULL);
    }
    say_links(cluster, first, 100000, 200, 4); /* Not for long enough. */
    assert_int_equal(cluster_leader(cluster), first);
    say_links(cluster, first, 100, 100, 2);
    say_links(cluster, first, 100000, 200, 14);
    assert_int_not_equal(cluster_leader(cluster), 0);
    assert_int_not_equal(cluster_leader(cluster), first);
    assert_non_null(strstr(info(cluster, first),
                           "moot_last_hand_over:the links of this node are slow: a majority "
                           "answers it in 100 ms, others each other in 0 ms"));
    cluster_deinit(cluster);
}

/* Goal: what detectors say is shown, and forgotten when they fall silent; that all are said to have
 * failed moves no leader and stops no write. */
static void advice_is_shown_and_decides_nothing(void **state)
{
    (void)state;
    struct cluster *cluster = make(3);
    run_ms(cluster, 500, NULL);
    moot_node_id leader = cluster_leader(cluster);
    for (int i = 0; i < 40; i++) {
        for (moot_node_id at = 1; at <= 3; at++) {
            for (moot_node_id node = 0; node <= 4; node++) {
                health(cluster, at, node == 0 ? MOOT_NODE_ID_MAX + 1 : node, MOOT_HEALTH_FAILED, 0,
                       0);
            }
        }
        run_ms(cluster, MOOT_LINK_BEAT_MS, NULL);
        assert_int_equal(cluster_leader(cluster), leader);
    }
    cluster_expect(cluster, 1, "SET d 4\r\n", "+OK\r\n");
    assert_non_null(strstr(info(cluster, 1), "peer2:state=failed,phi=3.2,"));
    cluster_send(cluster, 1, "CLUSTER NODES\r\n");
    run_ms(cluster, 100, NULL);
    struct moot_slice nodes = moot_buffer_slice(&cluster->nodes[1].replies);
    assert_non_null(memmem(nodes.data, nodes.size, ",fail ", 6));
    run_ms(cluster, MOOT_HEALTH_STALE_MS, NULL);
    assert_non_null(strstr(info(cluster, 1), "peer2:state=unknown,phi=0.0,"));
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hung_disk_hands_over),
        cmocka_unit_test(a_full_disk_hands_over),
        cmocka_unit_test(a_full_follower_waits),
        cmocka_unit_test(a_majority_without_space_refuses_growth),
        cmocka_unit_test(a_paused_process_does_not_blame_its_disk),
        cmocka_unit_test(slow_links_hand_over),
        cmocka_unit_test(advice_is_shown_and_decides_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
