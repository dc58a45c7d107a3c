/* Clients that wait for a list to grow, on any node. */
#include <string.h>

#include "edge_clients.h"

#define GOT(key, element) "*2\r\n$1\r\n" key "\r\n$1\r\n" element "\r\n"

/* Lets a first try come back and the waiter be registered. */
static void begin_to_wait(struct cluster *cluster, uint32_t id, uint64_t connection,
                          const char *command)
{
    edge_open(cluster, id, connection);
    edge_send(cluster, id, connection, command);
    edge_run_ms(cluster, 200);
    assert_string_equal(edge_text(cluster, id, connection), "");
}

/* Goal: who waits longest is served first, wherever it is connected. Method: waiters on three nodes
 * in turn; one push of one, then one push of many. */
static void served_in_order_of_arrival(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    begin_to_wait(cluster, 2, 2, "BLPOP l 0\r\n");
    begin_to_wait(cluster, 1, 2, "BRPOP m l 0\r\n");
    begin_to_wait(cluster, 3, 2, "BLPOP l 0\r\n");
    begin_to_wait(cluster, 2, 3, "BLPOP l 0\r\n");
    edge_expect(cluster, 3, 1, "RPUSH l a\r\n", ":1\r\n");
    edge_wait(cluster, 2, 2, GOT("l", "a"));
    edge_run_ms(cluster, 200);
    assert_string_equal(edge_text(cluster, 1, 2), "");
    edge_expect(cluster, 1, 1, "RPUSH l b c d e\r\n", ":4\r\n");
    edge_wait(cluster, 1, 2, GOT("l", "e"));
    /* Those of other nodes are woken together: each gets one, either of the two. */
    edge_run_ms(cluster, 300);
    const char *third = edge_text(cluster, 3, 2), *fourth = edge_text(cluster, 2, 3);
    bool straight = strcmp(third, GOT("l", "b")) == 0 && strcmp(fourth, GOT("l", "c")) == 0;
    bool crossed = strcmp(third, GOT("l", "c")) == 0 && strcmp(fourth, GOT("l", "b")) == 0;
    assert_true(straight || crossed);
    edge_expect(cluster, 1, 1, "LRANGE l 0 -1\r\n", "*1\r\n$1\r\nd\r\n");
    cluster_deinit(cluster);
}

/* Goal: time-outs come in time, and a transaction does not wait. Method: 0.01 s; MULTI; bad ones.
 */
static void time_outs(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster);
    struct moot_instant begin = cluster->now.instant;
    edge_expect(cluster, id, 1, "BLPOP l m 0.01\r\nPING\r\n", "*-1\r\n+PONG\r\n");
    uint64_t ms = moot_instant_since(cluster->now.instant, begin).ns / MOOT_MSEC_NS;
    assert_true(ms >= 9 && ms <= 50);
    edge_expect(cluster, id, 1, "MULTI\r\nBLPOP l 0\r\nEXEC\r\n",
                "+OK\r\n+QUEUED\r\n*1\r\n*-1\r\n");
    edge_expect(cluster, id, 1, "BLPOP l -1\r\nBLPOP l x\r\n",
                "-ERR timeout is negative\r\n"
                "-ERR timeout is not a float or out of range\r\n");
    cluster_deinit(cluster);
}

/* Goal: an element is never lost with a client. Method: one vanishes while it waits; one after it
 * was woken, at every turn from the push on. */
static void clients_that_vanish_lose_nothing(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster);
    for (int turns = -1; turns < 16; turns++) {
        begin_to_wait(cluster, id, 2, "BLPOP l 0\r\n");
        if (turns >= 0) {
            edge_send(cluster, cluster_leader(cluster), 1, "RPUSH l x\r\n");
            edge_turns(cluster, turns);
        }
        bool served = cluster->nodes[id].clients[2].replies.size > 0;
        edge_close(cluster, id, 2);
        if (turns < 0) {
            edge_send(cluster, cluster_leader(cluster), 1, "RPUSH l x\r\n");
        }
        /* A reply may leave in the very turn in which the client goes: not before it is closed. */
        edge_run_ms(cluster, 300);
        served = served || cluster->nodes[id].clients[2].replies.size > 0;
        edge_expect(cluster, 1, 1, "LLEN l\r\n", served ? ":0\r\n" : ":1\r\n");
        edge_send(cluster, 1, 1, "DEL l\r\n");
        edge_run_ms(cluster, 20);
    }
    cluster_deinit(cluster);
}

/* Goal: waiting survives the leader. Method: cut the leader off while clients of two nodes wait,
 * then push as many as wait, and one more. */
static void the_leader_goes_while_clients_wait(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t leader = cluster_leader(cluster), a = leader % 3 + 1, b = a % 3 + 1;
    begin_to_wait(cluster, a, 2, "BLPOP l 0\r\n");
    begin_to_wait(cluster, b, 2, "BLPOP l 0\r\n");
    cluster->nodes[leader].cut = true;
    edge_expect(cluster, a, 1, "RPUSH l a b c\r\n", ":3\r\n");
    edge_wait(cluster, a, 2, GOT("l", "a"));
    edge_wait(cluster, b, 2, GOT("l", "b"));
    edge_heal(cluster, leader);
    edge_run_ms(cluster, 2000);
    edge_expect(cluster, leader, 1, "LRANGE l 0 -1\r\n", "*1\r\n$1\r\nc\r\n");
    cluster_deinit(cluster);
}

/* Goal: a swap of databases brings a list to those who wait for it. Method: a list in database 1,
 * waiters in 0. */
static void a_swap_wakes(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    begin_to_wait(cluster, 2, 2, "BLPOP l 0\r\n");
    edge_expect(cluster, 1, 1, "SELECT 1\r\nRPUSH l x\r\nSWAPDB 0 1\r\n", "+OK\r\n:1\r\n+OK\r\n");
    edge_wait(cluster, 2, 2, GOT("l", "x"));
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(served_in_order_of_arrival),
        cmocka_unit_test(time_outs),
        cmocka_unit_test(clients_that_vanish_lose_nothing),
        cmocka_unit_test(the_leader_goes_while_clients_wait),
        cmocka_unit_test(a_swap_wakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
