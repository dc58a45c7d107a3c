/* A brain that is exchanged for another beneath its clients: the flight recorder's ring does it. */
#include <stdlib.h>

#include "edge_clients.h"

static void ask(struct cluster *cluster, uint32_t id)
{
    struct moot_input input = {.kind = MOOT_INPUT_REOPEN};
    cluster_input(&cluster->nodes[id], input, &cluster->arena);
}

static bool leads_something(const struct cluster *cluster, uint32_t id)
{
    bool leads = false;
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        struct moot_group_view view;
        moot_node_group(cluster->nodes[id].node, group, &view);
        leads = leads || (view.leads && view.members->voter_count > 1);
    }
    return leads;
}

/* Asks, waits until the node has come to rest, and exchanges its brain. */
static void reopen(struct cluster *cluster, uint32_t id)
{
    uint64_t before = moot_node_incarnation(cluster->nodes[id].node);
    ask(cluster, id);
    for (int i = 0; i < 200000 && !cluster->nodes[id].stopped; i++) {
        cluster_step(cluster);
    }
    assert_true(cluster->nodes[id].stopped);
    assert_false(leads_something(cluster, id));
    cluster_reopen(cluster, id);
    assert_true(moot_node_incarnation(cluster->nodes[id].node) > before);
}

/* Goal: a client does not notice: its name, database, protocol, transaction, watched keys, wait and
 * half a command are as they were. Method: one client of each, at a follower and at the leader. */
static void clients_outlive_the_brain(void **state)
{
    (void)state;
    for (int at_leader = 0; at_leader < 2; at_leader++) {
        struct cluster *cluster = edge_cluster(3);
        uint32_t id = at_leader ? cluster_leader(cluster) : edge_follower(cluster);
        uint32_t other = id % 3 + 1;
        for (uint64_t c = 2; c <= 9; c++) {
            edge_open(cluster, id, c);
        }
        edge_expect(cluster, id, 2, "CLIENT SETNAME ann\r\nSELECT 3\r\nCLIENT ID\r\n",
                    "+OK\r\n+OK\r\n:2\r\n");
        edge_send(cluster, id, 3, "HELLO 3\r\n");
        edge_turns(cluster, 100);
        edge_expect(cluster, id, 4, "MULTI\r\nSET t 1\r\nGET t\r\n",
                    "+OK\r\n+QUEUED\r\n+QUEUED\r\n");
        edge_expect(cluster, id, 5, "SET w 1\r\nWATCH w\r\n", "+OK\r\n+OK\r\n");
        edge_expect(cluster, id, 6, "SET v 1\r\nWATCH v\r\n", "+OK\r\n+OK\r\n");
        edge_send(cluster, id, 7, "BLPOP q 0\r\nSET behind 1\r\n");
        edge_send(cluster, id, 8, "SET half ");
        edge_expect(cluster, id, 9, "MULTI\r\nNONSENSE\r\n",
                    "+OK\r\n-ERR unknown command 'NONSENSE', with args beginning with: \r\n");
        edge_turns(cluster, 200);

        reopen(cluster, id);

        for (uint64_t c = 1; c <= 9; c++) {
            assert_false(cluster_client(&cluster->nodes[id], c)->closed);
        }
        edge_expect(cluster, id, 2, "CLIENT GETNAME\r\nCLIENT ID\r\nSET in3 1\r\n",
                    "$3\r\nann\r\n:2\r\n+OK\r\n");
        edge_expect(cluster, id, 1, "GET in3\r\nSELECT 3\r\nGET in3\r\nSELECT 0\r\n",
                    "$-1\r\n+OK\r\n$1\r\n1\r\n+OK\r\n");
        edge_expect(cluster, id, 3, "GET nothing\r\n", "_\r\n");
        edge_expect(cluster, id, 4, "EXEC\r\n", "*2\r\n+OK\r\n$1\r\n1\r\n");
        cluster_expect(cluster, other, "SET w 2\r\n", "+OK\r\n");
        edge_expect(cluster, id, 5, "MULTI\r\nSET w 3\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*-1\r\n");
        edge_expect(cluster, id, 6, "MULTI\r\nSET v 3\r\nEXEC\r\n",
                    "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
        assert_string_equal(edge_text(cluster, id, 7), "");
        cluster_expect(cluster, other, "RPUSH q x\r\n", ":1\r\n");
        edge_wait(cluster, id, 7, "*2\r\n$1\r\nq\r\n$1\r\nx\r\n+OK\r\n");
        edge_expect(cluster, id, 8, "whole\r\nGET half\r\n", "+OK\r\n$5\r\nwhole\r\n");
        edge_expect(cluster, id, 9, "EXEC\r\n",
                    "-EXECABORT Transaction discarded because of previous errors.\r\n");
        edge_open(cluster, id, 10);
        edge_expect(cluster, id, 10, "CLIENT ID\r\n", ":10\r\n");
        cluster_deinit(cluster);
    }
}

/* Goal: a wait ends in its time, also beneath another brain. */
static void a_wait_ends_in_its_time(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster);
    edge_open(cluster, id, 2);
    edge_send(cluster, id, 2, "BLPOP q 1\r\n");
    edge_run_ms(cluster, 300);
    reopen(cluster, id);
    edge_run_ms(cluster, 300);
    assert_string_equal(edge_text(cluster, id, 2), "");
    edge_run_ms(cluster, 900);
    assert_string_equal(edge_text(cluster, id, 2), "*-1\r\n");
    cluster_deinit(cluster);
}

/* Goal: no command is lost, done twice or left unanswered. Method: counters are raised without a
 * pause, at all nodes, while their brains are exchanged one after the other, many times; a client
 * that finds its node stopped sends later, as a socket would keep it. */
static void nothing_is_lost_under_load(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    struct moot_buffer expected[4];
    uint32_t asked[4] = {0};
    for (uint32_t id = 1; id <= 3; id++) {
        moot_buffer_init(&expected[id]);
        moot_buffer_reset(&cluster->nodes[id].replies, SIZE_MAX);
    }
    for (uint32_t round = 0; round < 9; round++) {
        uint32_t one = round % 3 + 1;
        ask(cluster, one);
        for (int i = 0; i < 200000 && !cluster->nodes[one].stopped; i++) {
            for (uint32_t id = 1; id <= 3; id++) {
                char line[32], answer[32];
                if (i % 7 != 0 || cluster->nodes[id].stopped) {
                    continue;
                }
                snprintf(line, sizeof(line), "INCR c%u\r\n", id);
                snprintf(answer, sizeof(answer), ":%u\r\n", ++asked[id]);
                edge_input(cluster, id, MOOT_INPUT_CLIENT_BYTES, 1, 0, moot_slice_text(line));
                moot_buffer_append_text(&expected[id], answer);
            }
            cluster_step(cluster);
        }
        assert_true(cluster->nodes[one].stopped);
        cluster_reopen(cluster, one);
    }
    for (uint32_t id = 1; id <= 3; id++) {
        for (int i = 0; i < 200000 && cluster->nodes[id].replies.size < expected[id].size; i++) {
            cluster_step(cluster);
        }
        assert_true(asked[id] > 20);
        assert_true(moot_slice_equal(moot_buffer_slice(&cluster->nodes[id].replies),
                                     moot_buffer_slice(&expected[id])));
        moot_buffer_deinit(&expected[id]);
    }
    cluster_deinit(cluster);
}

/* Goal: what was acknowledged survives the power, though the journal forgot at the exchange what
 * the store had. Method: write, exchange, lose the power of all; a node alone, and three. */
static void acknowledged_is_durable(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= 3; count += 2) {
        struct cluster *cluster = edge_cluster(count);
        char line[64], expected[64];
        for (uint32_t i = 0; i < 12; i++) {
            uint32_t id = i % count + 1;
            snprintf(line, sizeof(line), "SET k%u v%u\r\nRPUSH l %u\r\n", i, i, i);
            snprintf(expected, sizeof(expected), "+OK\r\n:%u\r\n", i + 1);
            cluster_expect(cluster, id, line, expected);
            reopen(cluster, id);
            for (uint32_t each = 1; each <= count; each++) {
                cluster_kill(cluster, each);
            }
            for (uint32_t each = 1; each <= count; each++) {
                cluster_open(cluster, each, 0);
            }
            snprintf(line, sizeof(line), "GET k%u\r\n", i);
            snprintf(expected, sizeof(expected), "$%u\r\nv%u\r\n", i < 10 ? 2u : 3u, i);
            cluster_expect(cluster, id, line, expected);
        }
        cluster_expect(cluster, 1, "LLEN l\r\n", ":12\r\n");
        cluster_deinit(cluster);
    }
}

/* Goal: the node stays while the others need it, and goes once they do not. Method: one of three is
 * dead; then it comes back. */
static void it_waits_for_a_majority_of_others(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster), dead = id % 3 + 1;
    cluster_kill(cluster, dead);
    ask(cluster, id);
    edge_run_ms(cluster, 10000);
    assert_false(cluster->nodes[id].stopped);
    cluster_expect(cluster, id, "SET a 1\r\n", "+OK\r\n");
    cluster_open(cluster, dead, 0);
    for (int i = 0; i < 200000 && !cluster->nodes[id].stopped; i++) {
        cluster_step(cluster);
    }
    assert_true(cluster->nodes[id].stopped);
    cluster_reopen(cluster, id);
    cluster_expect(cluster, id, "GET a\r\n", "$1\r\n1\r\n");
    cluster_deinit(cluster);
}

static void until_stopped(struct cluster *cluster, uint32_t id)
{
    for (int i = 0; i < 200000 && !cluster->nodes[id].stopped; i++) {
        cluster_step(cluster);
    }
    assert_true(cluster->nodes[id].stopped);
}

/* Goal: a command whose answer does not come holds the exchange up, and loses nothing; a stop
 * overtakes it. Method: the node is cut off from the others, who are still linked to it. */
static void an_answer_is_waited_for(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster);
    edge_open(cluster, id, 2);
    cluster->nodes[id].cut = true;
    edge_send(cluster, id, 2, "SET a 1\r\n");
    edge_turns(cluster, 10);
    ask(cluster, id);
    edge_run_ms(cluster, 400);
    assert_false(cluster->nodes[id].stopped);
    edge_heal(cluster, id);
    until_stopped(cluster, id);
    assert_string_equal(edge_text(cluster, id, 2), "+OK\r\n");
    cluster_reopen(cluster, id);
    edge_expect(cluster, id, 2, "GET a\r\n", "$1\r\n1\r\n");

    cluster->nodes[id].cut = true;
    edge_send(cluster, id, 2, "SET a 2\r\n");
    edge_turns(cluster, 10);
    ask(cluster, id);
    edge_run_ms(cluster, 100);
    struct moot_input stop = {.kind = MOOT_INPUT_STOP};
    cluster_input(&cluster->nodes[id], stop, &cluster->arena);
    until_stopped(cluster, id);
    assert_false(cluster_client(&cluster->nodes[id], 2)->is_kept);
    cluster_deinit(cluster);
}

static void count_name(void *context, const char *name)
{
    (void)name;
    ++*(uint32_t *)context;
}

/* Goal: what a brain reads at its start stays little, however much was written. Method: more than a
 * segment is written between exchanges; the files of the journal are counted. */
static void the_journal_stays_short(void **state)
{
    (void)state;
    enum { VALUE_BYTES = 4 * 1024 * 1024, VALUES = 17 };
    struct cluster *cluster = edge_cluster(1);
    struct moot_disk *disk = moot_disk_sim_disk(cluster->nodes[1].disk);
    char *command = malloc(VALUE_BYTES + 128);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < VALUES; i++) {
            int head = snprintf(command, 64, "*3\r\n$3\r\nSET\r\n$1\r\n%c\r\n$%d\r\n", 'a' + i,
                                VALUE_BYTES);
            memset(command + head, 'x', VALUE_BYTES);
            memcpy(command + head + VALUE_BYTES, "\r\n", 3);
            cluster_expect(cluster, 1, command, "+OK\r\n");
        }
        reopen(cluster, 1);
        uint32_t files = 0;
        assert_int_equal(disk->ops->list(disk, count_name, &files), 0);
        assert_int_equal(files, 1);
        cluster_expect(cluster, 1, "STRLEN a\r\n", ":4194304\r\n");
    }
    free(command);
    cluster_deinit(cluster);
}

/* Goal: bytes that no brain has said close the connection, and nothing else. Method: every prefix
 * of what one has said, and every byte of it changed. */
static void wrong_bytes_close_the_connection(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(1);
    edge_open(cluster, 1, 2);
    edge_expect(cluster, 1, 2, "WATCH w\r\nMULTI\r\nSET t 1\r\n", "+OK\r\n+OK\r\n+QUEUED\r\n");
    ask(cluster, 1);
    for (int i = 0; i < 200000 && !cluster->nodes[1].stopped; i++) {
        cluster_step(cluster);
    }
    struct cluster_client *client = cluster_client(&cluster->nodes[1], 2);
    assert_true(client->is_kept);
    struct moot_block *said = moot_block_copy(moot_buffer_slice(&client->kept));
    client->is_kept = false;
    cluster_reopen(cluster, 1);
    for (size_t cut = 0; cut < said->size; cut++) {
        edge_input(cluster, 1, MOOT_INPUT_CLIENT_KEPT, 3, 0, moot_slice_make(said->data, cut));
        edge_turns(cluster, 3);
        assert_true(cluster_client(&cluster->nodes[1], 3)->closed);
        cluster_client(&cluster->nodes[1], 3)->closed = false;
        edge_close(cluster, 1, 3);
    }
    struct moot_buffer bent;
    moot_buffer_init(&bent);
    for (size_t at = 0; at < said->size; at++) {
        moot_buffer_reset(&bent, SIZE_MAX);
        moot_buffer_append_slice(&bent, moot_block_slice(said));
        bent.data[at] ^= 0xff;
        edge_input(cluster, 1, MOOT_INPUT_CLIENT_KEPT, 3, 0, moot_buffer_slice(&bent));
        edge_turns(cluster, 3);
        edge_close(cluster, 1, 3);
        edge_turns(cluster, 3);
    }
    moot_buffer_deinit(&bent);
    moot_block_release(said);
    cluster_expect(cluster, 1, "PING\r\n", "+PONG\r\n");
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_outlive_the_brain),
        cmocka_unit_test(a_wait_ends_in_its_time),
        cmocka_unit_test(nothing_is_lost_under_load),
        cmocka_unit_test(acknowledged_is_durable),
        cmocka_unit_test(it_waits_for_a_majority_of_others),
        cmocka_unit_test(an_answer_is_waited_for),
        cmocka_unit_test(the_journal_stays_short),
        cmocka_unit_test(wrong_bytes_close_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
