/* Clients that wait for a list to grow, on any node. */
#include <string.h>

#include "base/rng.h"

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
    edge_wait(cluster, 3, 2, GOT("l", "b"));
    edge_wait(cluster, 2, 3, GOT("l", "c"));
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
    edge_expect(cluster, id, 1, "BLPOP l 0.0000000001\r\nBLPOP l 1e-3\r\nBLPOP l 1e300\r\n",
                "*-1\r\n*-1\r\n-ERR timeout is out of range\r\n");
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

/* Goal: one push of many serves waiters of all nodes strictly in order of arrival, also when one
 * node is slow to answer. Method: 24 waiters on three nodes at random, one push; elements by
 * arrival. */
static void many_are_served_in_order(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    struct moot_rng rng;
    moot_rng_init(&rng, 5);
    uint32_t node[24];
    char push[256] = "RPUSH l";
    for (uint32_t i = 0; i < MOOT_ARRAY_LEN(node); i++) {
        node[i] = 1 + (uint32_t)moot_rng_below(&rng, 3);
        begin_to_wait(cluster, node[i], 10 + i, "BLPOP l 0\r\n");
        snprintf(push + strlen(push), sizeof(push) - strlen(push), " %c", 'a' + (int)i);
    }
    strcat(push, "\r\n");
    edge_expect(cluster, 1, 1, push, ":24\r\n");
    for (uint32_t i = 0; i < MOOT_ARRAY_LEN(node); i++) {
        char expected[64];
        snprintf(expected, sizeof(expected), "*2\r\n$1\r\nl\r\n$1\r\n%c\r\n", 'a' + (int)i);
        edge_wait(cluster, node[i], 10 + i, expected);
    }
    cluster_deinit(cluster);
}

/* Goal: a node that is stopped does not keep elements from the others' waiters for ever. Method:
 * the first waiter's node is silent when the element comes. */
static void a_silent_node_is_passed_over(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t leader = cluster_leader(cluster), a = leader % 3 + 1, b = a % 3 + 1;
    begin_to_wait(cluster, a, 2, "BLPOP l 0\r\n");
    begin_to_wait(cluster, b, 2, "BLPOP l 0\r\n");
    cluster->nodes[a].cut = true;
    edge_expect(cluster, leader, 1, "RPUSH l x\r\n", ":1\r\n");
    edge_run_ms(cluster, 500);
    assert_string_equal(edge_text(cluster, b, 2), "");
    edge_run_ms(cluster, 1500);
    assert_string_equal(edge_text(cluster, b, 2), GOT("l", "x"));
    edge_heal(cluster, a);
    edge_run_ms(cluster, 2000);
    assert_string_equal(edge_text(cluster, a, 2), "");
    edge_expect(cluster, leader, 1, "RPUSH l y\r\n", ":1\r\n");
    edge_wait(cluster, a, 2, GOT("l", "y"));
    cluster_deinit(cluster);
}

static void cut_two(struct cluster *cluster, uint32_t id)
{
    for (uint32_t i = 1; i <= 3; i++) {
        cluster->nodes[i].cut = i != id;
    }
}

/* Goal: a client that waits is never told INDOUBT and then loses the element. Method: no majority
 * for longer than a request may take, from every turn after the push on, and from the first try on;
 * then it is back. */
static void a_pop_in_doubt_is_resolved_first(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster);
    for (int turns = -1; turns < 14; turns++) {
        edge_run_ms(cluster, 100);
        edge_open(cluster, id, 2);
        edge_send(cluster, id, 2, "BLPOP l 0\r\n");
        edge_run_ms(cluster, turns < 0 ? 0 : 100);
        uint32_t leader = cluster_leader(cluster);
        if (turns >= 0) {
            edge_send(cluster, leader, 1, "RPUSH l x\r\n");
            edge_turns(cluster, turns);
        }
        cut_two(cluster, id);
        edge_run_ms(cluster, MOOT_REQUEST_TIMEOUT_MS + 1500);
        const char *text = edge_text(cluster, id, 2);
        assert_true(text[0] == '\0' || strcmp(text, GOT("l", "x")) == 0);
        for (uint32_t i = 1; i <= 3; i++) {
            if (i != id) {
                edge_heal(cluster, i);
            }
        }
        edge_run_ms(cluster, 3000);
        text = edge_text(cluster, id, 2);
        bool served = text[0] != '\0';
        if (!served) { /* The push itself was in doubt, and was lost; or it was not sent yet. */
            edge_expect(cluster, id, 1, "RPUSH l x\r\n", ":1\r\n");
            edge_wait(cluster, id, 2, GOT("l", "x"));
        }
        edge_expect(cluster, id, 1, "LLEN l\r\n", ":0\r\n");
        edge_close(cluster, id, 2);
    }
    cluster_deinit(cluster);
}

/* More batches of writes than may be under way at a time. */
static void send_many_batches(struct cluster *cluster, uint32_t id, uint64_t connection)
{
    struct moot_buffer in;
    moot_buffer_init(&in);
    uint8_t *value = moot_alloc(MOOT_BATCH_BYTES_MAX);
    memset(value, 'v', MOOT_BATCH_BYTES_MAX);
    for (int i = 0; i < MOOT_EDGE_BATCHES_MAX + 2; i++) {
        char head[64];
        snprintf(head, sizeof(head), "*3\r\n$3\r\nSET\r\n$1\r\nv\r\n$%d\r\n",
                 (int)MOOT_BATCH_BYTES_MAX);
        moot_buffer_append_text(&in, head);
        moot_buffer_append(&in, value, MOOT_BATCH_BYTES_MAX);
        moot_buffer_append_text(&in, "\r\n");
    }
    edge_input(cluster, id, MOOT_INPUT_CLIENT_BYTES, connection, 0, moot_buffer_slice(&in));
    moot_free(value);
    moot_buffer_deinit(&in);
}

/* Goal: an element that came for a client that is gone is given back, also when its turn comes
 * after a majority was away for longer than a request may take. Method: it stands behind large
 * writes when the majority goes, some turns after the push. */
static void elements_wait_to_go_back(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster);
    for (int turns = 0; turns < 4; turns++) {
        begin_to_wait(cluster, id, 2, "BLPOP l 0\r\n");
        edge_open(cluster, id, 3);
        edge_send(cluster, cluster_leader(cluster), 1, "RPUSH l x\r\n");
        edge_turns(cluster, 3);
        send_many_batches(cluster, id, 3);
        edge_turns(cluster, turns);
        bool served = cluster->nodes[id].clients[2].replies.size > 0;
        edge_close(cluster, id, 2);
        edge_turns(cluster, 1);
        cut_two(cluster, id);
        edge_run_ms(cluster, 2 * MOOT_REQUEST_TIMEOUT_MS + 1500);
        for (uint32_t i = 1; i <= 3; i++) {
            if (i != id) {
                edge_heal(cluster, i);
            }
        }
        edge_run_ms(cluster, 3000);
        edge_expect(cluster, id, 1, "LLEN l\r\nDEL l\r\n",
                    served ? ":0\r\n:0\r\n" : ":1\r\n:1\r\n");
        edge_close(cluster, id, 3);
    }
    cluster_deinit(cluster);
}

/* Goal: an element that came for a client that is gone is given back, also on a full disk. Method:
 * no space; the client goes at every turn after the push. */
static void a_full_disk_takes_elements_back(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster);
    struct moot_slice none = {NULL, 0};
    for (int turns = 0; turns < 16; turns++) {
        begin_to_wait(cluster, id, 2, "BLPOP l 0\r\n");
        edge_send(cluster, cluster_leader(cluster), 1, "RPUSH l x\r\n");
        edge_turns(cluster, 1); /* It is in the log; what comes later is refused. */
        for (uint32_t i = 1; i <= 3; i++) {
            edge_input(cluster, i, MOOT_INPUT_SPACE, 0, 300 << 20, none);
        }
        edge_turns(cluster, turns);
        bool served = cluster->nodes[id].clients[2].replies.size > 0;
        edge_close(cluster, id, 2);
        edge_run_ms(cluster, 300);
        served = served || cluster->nodes[id].clients[2].replies.size > 0;
        edge_expect(cluster, 1, 1, "LLEN l\r\nAPPEND a b\r\n",
                    served ? ":0\r\n-OOM command not allowed: the disk is nearly full\r\n"
                           : ":1\r\n-OOM command not allowed: the disk is nearly full\r\n");
        for (uint32_t i = 1; i <= 3; i++) {
            edge_input(cluster, i, MOOT_INPUT_SPACE, 0, UINT64_MAX, none);
        }
        edge_run_ms(cluster, 10);
        edge_send(cluster, 1, 1, "DEL l\r\n");
        edge_run_ms(cluster, 20);
    }
    cluster_deinit(cluster);
}

static uint64_t waiters_at_leader(struct cluster *cluster)
{
    struct moot_group_view view;
    moot_node_group(cluster->nodes[cluster_leader(cluster)].node, MOOT_GROUP_DB0, &view);
    return view.waiters;
}

/* Goal: a leader keeps no waiter whose client has gone or has waited long enough, also when what
 * says so is lost on a link that stays up. Method: the edge is cut off when its client goes, and
 * when a time-out ends; too short for an election. */
static void no_waiter_stays_behind(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster), leader = cluster_leader(cluster);
    begin_to_wait(cluster, id, 2, "BLPOP l 0\r\n");
    begin_to_wait(cluster, id, 4, "BLPOP m 0\r\n");
    begin_to_wait(cluster, id, 3, "BLPOP l 0.25\r\n");
    assert_int_equal(waiters_at_leader(cluster), 3);
    cluster->nodes[id].cut = true;
    edge_close(cluster, id, 2);
    edge_run_ms(cluster, 100);
    cluster->nodes[id].cut = false;
    assert_string_equal(edge_text(cluster, id, 3), "*-1\r\n");
    edge_run_ms(cluster, 10);
    assert_int_equal(waiters_at_leader(cluster), 3);
    edge_run_ms(cluster, MOOT_WAITERS_ASK_MS + 100);
    assert_int_equal(waiters_at_leader(cluster), 1);
    assert_int_equal(cluster_leader(cluster), leader);
    edge_expect(cluster, leader, 1, "RPUSH m x\r\n", ":1\r\n");
    edge_wait(cluster, id, 4, GOT("m", "x"));
    edge_run_ms(cluster, 50);
    assert_int_equal(waiters_at_leader(cluster), 0);
    cluster_deinit(cluster);
}

/* Goal: what waits does not fill the memory, and reaches the next leader however much it is.
 * Method: pops of 12 MB of keys each, of which two may wait; then the leader goes. */
static void what_waits_is_bounded(void **state)
{
    (void)state;
    enum { KEYS = 12 * 1000 * 1000 / MOOT_KEY_MAX };
    struct cluster *cluster = edge_cluster(3);
    uint32_t leader = cluster_leader(cluster), id = edge_follower(cluster);
    struct moot_buffer in;
    moot_buffer_init(&in);
    char head[64];
    uint8_t *key = moot_alloc(MOOT_KEY_MAX);
    memset(key, 'k', MOOT_KEY_MAX);
    snprintf(head, sizeof(head), "*%d\r\n$5\r\nBLPOP\r\n$1\r\nl\r\n", KEYS + 3);
    moot_buffer_append_text(&in, head);
    for (int i = 0; i < KEYS; i++) {
        memcpy(key, &i, sizeof(i));
        snprintf(head, sizeof(head), "$%d\r\n", (int)MOOT_KEY_MAX);
        moot_buffer_append_text(&in, head);
        moot_buffer_append(&in, key, MOOT_KEY_MAX);
        moot_buffer_append_text(&in, "\r\n");
    }
    moot_buffer_append_text(&in, "$1\r\n0\r\n");
    for (uint64_t c = 2; c <= 4; c++) {
        edge_open(cluster, id, c);
        edge_input(cluster, id, MOOT_INPUT_CLIENT_BYTES, c, 0, moot_buffer_slice(&in));
        edge_run_ms(cluster, 200);
        assert_int_equal(strncmp(edge_text(cluster, id, c), "-OVERLOADED ", 12) == 0, c == 4);
    }
    cluster->nodes[leader].cut = true;
    edge_expect(cluster, id, 1, "RPUSH l x y\r\n", ":2\r\n");
    edge_wait(cluster, id, 2, GOT("l", "x"));
    edge_wait(cluster, id, 3, GOT("l", "y"));
    moot_buffer_reset(cluster_replies(&cluster->nodes[id], 4), 1024);
    edge_input(cluster, id, MOOT_INPUT_CLIENT_BYTES, 4, 0, moot_buffer_slice(&in));
    edge_run_ms(cluster, 200);
    assert_string_equal(edge_text(cluster, id, 4), ""); /* Now there is room. */
    moot_free(key);
    moot_buffer_deinit(&in);
    cluster_deinit(cluster);
}

/* Goal: a client that waits for several lists is served by one of them, whatever the other keys
 * have become; asked anew, the same is an error. Method: the first key is a string by then; the
 * only key becomes one while the client is told of its list. */
static void another_type_is_passed_over(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster);
    begin_to_wait(cluster, id, 2, "BLPOP l m 0\r\n");
    begin_to_wait(cluster, id, 3, "BRPOP l 0\r\n");
    edge_expect(cluster, 1, 1, "SET l x\r\nRPUSH m y\r\n", "+OK\r\n:1\r\n");
    edge_wait(cluster, id, 2, GOT("m", "y"));
    edge_expect(cluster, 1, 1, "BLPOP l m 0\r\n",
                "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    edge_expect(cluster, 1, 1, "DEL l\r\nRPUSH l a\r\nDEL l\r\nSET l x\r\n",
                ":1\r\n:1\r\n:1\r\n+OK\r\n");
    edge_run_ms(cluster, 300);
    assert_string_equal(edge_text(cluster, id, 3), "");
    edge_expect(cluster, 1, 1, "DEL l\r\nRPUSH l b\r\n", ":1\r\n:1\r\n");
    edge_wait(cluster, id, 3, GOT("l", "b"));
    cluster_deinit(cluster);
}

/* Goal: a client that waits is known to the leader, whatever was lost on the way. Method: its edge
 * is cut off for a moment at every turn after it asked; then nobody there asks anything else. */
static void a_lost_registration_is_said_again(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster), leader = cluster_leader(cluster);
    for (int turns = 0; turns < 12; turns++) {
        edge_open(cluster, id, 2);
        edge_send(cluster, id, 2, "BLPOP l 0\r\n");
        edge_turns(cluster, turns);
        cluster->nodes[id].cut = true;
        edge_run_ms(cluster, 30);
        cluster->nodes[id].cut = false;
        edge_run_ms(cluster, 1500);
        assert_int_equal(waiters_at_leader(cluster), 1);
        edge_expect(cluster, leader, 1, "RPUSH l x\r\n", ":1\r\n");
        edge_wait(cluster, id, 2, GOT("l", "x"));
        edge_close(cluster, id, 2);
        edge_run_ms(cluster, 50);
    }
    assert_int_equal(cluster_leader(cluster), leader);
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
        cmocka_unit_test(many_are_served_in_order),
        cmocka_unit_test(a_silent_node_is_passed_over),
        cmocka_unit_test(a_pop_in_doubt_is_resolved_first),
        cmocka_unit_test(elements_wait_to_go_back),
        cmocka_unit_test(a_full_disk_takes_elements_back),
        cmocka_unit_test(no_waiter_stays_behind),
        cmocka_unit_test(what_waits_is_bounded),
        cmocka_unit_test(another_type_is_passed_over),
        cmocka_unit_test(a_lost_registration_is_said_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
