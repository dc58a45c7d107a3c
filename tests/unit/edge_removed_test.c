/* Clients of a node that is no member any more: all are answered, with what is true. */
#include <string.h>

#include "edge_clients.h"

#define GOT "*2\r\n$1\r\nl\r\n$1\r\nx\r\n"
static const char GONE[] = "-CLUSTERDOWN this node was removed from the cluster; surely not done; "
                           "connect to 127.0.0.1:200";

static bool is_member(const struct cluster *cluster, uint32_t asked, uint32_t node)
{
    bool is = false;
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        struct moot_group_view view;
        moot_node_group(cluster->nodes[asked].node, group, &view);
        is = is || moot_members_has(view.members, node);
    }
    return is;
}

static void remove_node(struct cluster *cluster, uint32_t node)
{
    char line[64];
    uint32_t leader = cluster_leader(cluster);
    snprintf(line, sizeof(line), "MOOT CLUSTER REMOVE %u\r\n", node);
    cluster_send(cluster, leader, line);
    for (int i = 0; i < 200000 && is_member(cluster, cluster_leader(cluster), node); i++) {
        cluster_step(cluster);
    }
    assert_false(is_member(cluster, cluster_leader(cluster), node));
}

/* As links do when the other side says so. */
static void say_removed(struct cluster *cluster, uint32_t by, uint32_t node)
{
    struct moot_input input = {.kind = MOOT_INPUT_PEER_DOWN, .node = by, .status = MOOT_EREFUSED};
    cluster_input(&cluster->nodes[node], input, &cluster->arena);
}

static bool begins_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Goal: who waits on a node that is removed is told so, and where to go; so is who asks later; what
 * needs no cluster is answered. Method: a waiting client, then a write, a read, a transaction and a
 * pop. */
static void clients_are_sent_on(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    edge_run_ms(cluster, 300); /* The directory is being formed. */
    uint32_t id = edge_follower(cluster);
    edge_open(cluster, id, 2);
    edge_send(cluster, id, 2, "BLPOP l 0\r\n");
    edge_run_ms(cluster, 100);
    remove_node(cluster, id);
    edge_run_ms(cluster, 1000);
    assert_true(begins_with(edge_text(cluster, id, 2), GONE));
    static const char *const commands[] = {"SET a 1\r\n", "GET a\r\n", "BLPOP l 0\r\n",
                                           "WATCH a\r\n", "EXISTS a\r\n"};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(commands); i++) {
        edge_send(cluster, id, 2, commands[i]);
        edge_run_ms(cluster, 10);
        assert_true(begins_with(edge_text(cluster, id, 2), GONE));
    }
    edge_expect(cluster, id, 2, "PING\r\n", "+PONG\r\n");
    edge_send(cluster, id, 2, "MULTI\r\nSET a 1\r\nEXEC\r\n");
    edge_run_ms(cluster, 10);
    assert_true(begins_with(edge_text(cluster, id, 2), "+OK\r\n+QUEUED\r\n-CLUSTERDOWN "));
    uint32_t leader = cluster_leader(cluster);
    edge_expect(cluster, leader, 1, "RPUSH l x\r\nLLEN l\r\nEXISTS a\r\n", ":1\r\n:1\r\n:0\r\n");
    cluster_deinit(cluster);
}

/* Goal: a node that was cut off while it was removed learns it from others, and answers what it has
 * sent and what it has not: in doubt, and surely not done. Method: a write and a pop leave just
 * when the links are cut. */
static void what_was_sent_is_in_doubt(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    edge_run_ms(cluster, 300);
    uint32_t id = edge_follower(cluster), leader = cluster_leader(cluster);
    for (uint64_t c = 2; c <= 5; c++) {
        edge_open(cluster, id, c);
    }
    edge_send(cluster, id, 4, "BLPOP m 0\r\n");
    edge_run_ms(cluster, 100); /* It is registered. */
    cluster->nodes[id].cut = true;
    edge_send(cluster, id, 2, "BLPOP l 0\r\n");
    edge_send(cluster, id, 3, "INCR n\r\n");
    remove_node(cluster, id);
    edge_run_ms(cluster, MOOT_REQUEST_TIMEOUT_MS + 200);
    assert_true(begins_with(edge_text(cluster, id, 3), "-INDOUBT "));
    assert_string_equal(edge_text(cluster, id, 2), ""); /* It may only be cut off. */
    assert_string_equal(edge_text(cluster, id, 4), "");
    edge_send(cluster, id, 5, "INCR n\r\n"); /* Without a leader it stays here. */
    edge_run_ms(cluster, 10);
    assert_string_equal(edge_text(cluster, id, 5), "");
    say_removed(cluster, leader, id);
    edge_run_ms(cluster, 10);
    assert_true(begins_with(edge_text(cluster, id, 2), "-INDOUBT this node was removed"));
    assert_true(begins_with(edge_text(cluster, id, 4), GONE));
    assert_true(begins_with(edge_text(cluster, id, 5), GONE));
    edge_send(cluster, id, 5, "INCR n\r\n");
    edge_run_ms(cluster, 10);
    assert_true(begins_with(edge_text(cluster, id, 5), GONE));
    edge_expect(cluster, leader, 1, "EXISTS n\r\n", ":0\r\n");
    cluster_deinit(cluster);
}

/* Goal: what a waiting client is told is true: "surely not done" never with its element gone.
 * Method: an element comes, and the node is cut off at every turn after it, and removed. */
static void an_element_is_not_lost_by_a_removal(void **state)
{
    (void)state;
    for (int turns = 0; turns < 12; turns++) {
        struct cluster *cluster = edge_cluster(3);
        edge_run_ms(cluster, 300);
        uint32_t id = edge_follower(cluster), leader = cluster_leader(cluster);
        edge_open(cluster, id, 2);
        edge_send(cluster, id, 2, "BLPOP l 0\r\n");
        edge_run_ms(cluster, 100);
        edge_send(cluster, leader, 1, "RPUSH l x\r\n");
        edge_turns(cluster, turns);
        cluster->nodes[id].cut = true;
        edge_run_ms(cluster, 100);
        remove_node(cluster, id);
        say_removed(cluster, leader, id);
        edge_run_ms(cluster, MOOT_REQUEST_TIMEOUT_MS + 200);
        const char *text = edge_text(cluster, id, 2);
        bool got = strcmp(text, GOT) == 0, doubt = begins_with(text, "-INDOUBT ");
        assert_true(got || doubt || begins_with(text, GONE));
        cluster_send(cluster, leader, "LLEN l\r\n");
        edge_run_ms(cluster, 100);
        bool there = strcmp(edge_text(cluster, leader, 1), ":1\r\n") == 0;
        assert_true(doubt || there == !got);
        cluster_deinit(cluster);
    }
}

/* Goal: only a node that may know is believed. Method: a link that ends for another reason; one
 * that is ended by a node that was removed itself. */
static void other_ends_of_links_say_nothing(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    edge_run_ms(cluster, 300);
    uint32_t id = edge_follower(cluster), leader = cluster_leader(cluster), gone = 6 - id - leader;
    remove_node(cluster, gone);
    edge_run_ms(cluster, 200);
    say_removed(cluster, gone, id);
    struct moot_input input = {
        .kind = MOOT_INPUT_PEER_DOWN, .node = gone, .status = MOOT_ENOTFOUND};
    cluster_input(&cluster->nodes[id], input, &cluster->arena);
    edge_run_ms(cluster, 10);
    edge_expect(cluster, id, 1, "SET a 1\r\n", "+OK\r\n");
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_are_sent_on),
        cmocka_unit_test(what_was_sent_is_in_doubt),
        cmocka_unit_test(an_element_is_not_lost_by_a_removal),
        cmocka_unit_test(other_ends_of_links_say_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
