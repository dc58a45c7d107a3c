/* Questions and answers that are large, on links that are slow: what is on its way is not begun
 * anew, and what will not come is not waited for. */
#include <string.h>

#include "database/group/message.h"

#include "edge_clients.h"

enum { BIG = 7 * 1024 * 1024, HEAD_BYTES = 64 };

/* What the network does to large messages of one way, and what it has seen. */
static struct {
    moot_node_id from, to;
    enum moot_message_kind kind;
    bool holds; /* They do not come; the last one is kept. */
    uint32_t count;
    struct moot_buffer kept;
} way;

static bool on_the_way(moot_node_id from, moot_node_id to, struct moot_slice message)
{
    bool is_it = from == way.from && to == way.to && message.size > HEAD_BYTES &&
                 message.data[1] == way.kind &&
                 (message.size > BIG || way.kind == MOOT_MESSAGE_SUBMIT);
    if (is_it) {
        way.count++;
        moot_buffer_reset(&way.kept, SIZE_MAX);
        moot_buffer_append_slice(&way.kept, message);
    }
    return is_it && way.holds;
}

static void watch_way(struct cluster *cluster, moot_node_id from, moot_node_id to,
                      enum moot_message_kind kind, bool holds)
{
    way.from = from;
    way.to = to;
    way.kind = kind;
    way.holds = holds;
    way.count = 0;
    cluster->loses = on_the_way;
}

static void part_comes(struct cluster *cluster, uint32_t id, uint64_t amount)
{
    struct moot_input input = {.kind = MOOT_INPUT_PEER_PART,
                               .node = way.from,
                               .amount = amount,
                               .bytes = {way.kept.data, HEAD_BYTES}};
    cluster_input(&cluster->nodes[id], input, &cluster->arena);
}

static void all_comes(struct cluster *cluster, uint32_t id)
{
    struct moot_input input = {
        .kind = MOOT_INPUT_PEER_MESSAGE, .node = way.from, .bytes = moot_buffer_slice(&way.kept)};
    cluster_input(&cluster->nodes[id], input, &cluster->arena);
}

/* For so long a part comes every 100 ms. */
static void trickle(struct cluster *cluster, uint32_t id, uint64_t ms)
{
    for (uint64_t at = 0; at < ms; at += 100) {
        part_comes(cluster, id, 1024 + at);
        edge_run_ms(cluster, 100);
    }
}

static void send_big(struct cluster *cluster, uint32_t id, uint64_t connection)
{
    struct moot_buffer in;
    moot_buffer_init(&in);
    uint8_t *value = moot_alloc(BIG);
    char head[64];
    memset(value, 'v', BIG);
    snprintf(head, sizeof(head), "*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n", (int)BIG);
    moot_buffer_append_text(&in, head);
    moot_buffer_append(&in, value, BIG);
    moot_buffer_append_text(&in, "\r\n");
    moot_buffer_reset(cluster_replies(&cluster->nodes[id], connection), 1024);
    edge_input(cluster, id, MOOT_INPUT_CLIENT_BYTES, connection, 0, moot_buffer_slice(&in));
    moot_free(value);
    moot_buffer_deinit(&in);
}

static struct cluster *with_big(uint32_t *leader, uint32_t *id)
{
    struct cluster *cluster = edge_cluster(3);
    *leader = cluster_leader(cluster);
    *id = edge_follower(cluster);
    send_big(cluster, *leader, 1);
    edge_wait(cluster, *leader, 1, "+OK\r\n");
    edge_run_ms(cluster, 200);
    return cluster;
}

static size_t got(struct cluster *cluster, uint32_t id)
{
    return cluster_replies(&cluster->nodes[id], 1)->size;
}

static void deinit(struct cluster *cluster)
{
    moot_buffer_deinit(&way.kept);
    cluster_deinit(cluster);
}

/* Goal: an answer on its way is not asked for again, however long it takes, and its client and
 * those behind it wait for it. Method: 12 s of parts; then the whole. */
static void what_moves_is_waited_for(void **state)
{
    (void)state;
    uint32_t leader, id;
    struct cluster *cluster = with_big(&leader, &id);
    watch_way(cluster, leader, id, MOOT_MESSAGE_ANSWER, true);
    edge_send(cluster, id, 1, "GET big\r\n");
    edge_run_ms(cluster, 100);
    assert_int_equal(way.count, 1);
    trickle(cluster, id, 12000);
    assert_int_equal(way.count, 1);
    assert_int_equal(got(cluster, id), 0);
    all_comes(cluster, id);
    edge_run_ms(cluster, 10);
    assert_int_equal(got(cluster, id), strlen("$7340032\r\n") + BIG + 2);
    cluster->loses = NULL;
    edge_expect(cluster, id, 1, "GET ready\r\n", "$1\r\n1\r\n");
    deinit(cluster);
}

/* Goal: an answer that stops on its way is given up soon, and one that never ends, in the end.
 * Method: parts for 6 s, then none; parts for ever. */
static void what_stalls_is_given_up(void **state)
{
    (void)state;
    uint32_t leader, id;
    struct cluster *cluster = with_big(&leader, &id);
    for (int i = 0; i < 2; i++) {
        watch_way(cluster, leader, id, MOOT_MESSAGE_ANSWER, true);
        edge_send(cluster, id, 1, "GET big\r\n");
        edge_run_ms(cluster, 100);
        trickle(cluster, id, i == 0 ? 6000 : MOOT_LONG_READ_MS - 2000);
        assert_int_equal(got(cluster, id), 0);
        if (i == 0) {
            edge_run_ms(cluster, MOOT_EDGE_STALL_MS + 50);
        } else {
            trickle(cluster, id, 2000);
        }
        const char *text = edge_text(cluster, id, 1);
        assert_true(strncmp(text, "-TRYAGAIN", 9) == 0);
        uint32_t asked = way.count;
        assert_true(asked <= 2);
        edge_run_ms(cluster, 10000); /* Nobody waits for it any more. */
        assert_int_equal(way.count, asked);
    }
    deinit(cluster);
}

/* Goal: an answer that is lost is asked for again, and a leader that is slow is not flooded.
 * Method: all answers are lost for 5 s; then one comes. */
static void what_is_lost_is_asked_for_again(void **state)
{
    (void)state;
    uint32_t leader, id;
    struct cluster *cluster = with_big(&leader, &id);
    watch_way(cluster, leader, id, MOOT_MESSAGE_ANSWER, true);
    edge_send(cluster, id, 1, "GET big\r\n");
    edge_run_ms(cluster, MOOT_REQUEST_TIMEOUT_MS - 100);
    assert_true(way.count >= 3 && way.count <= 5);
    way.holds = false;
    edge_run_ms(cluster, 2 * MOOT_REQUEST_TIMEOUT_MS);
    assert_true(way.count <= 5);
    edge_send(cluster, id, 1, "GET big\r\n");
    edge_run_ms(cluster, 10);
    assert_int_equal(got(cluster, id), strlen("$7340032\r\n") + BIG + 2);
    deinit(cluster);
}

/* Goal: a large question on its way is not asked again. Method: it takes 3.5 s. */
static void what_is_asked_takes_its_time(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t leader = cluster_leader(cluster), id = edge_follower(cluster);
    watch_way(cluster, id, leader, MOOT_MESSAGE_SUBMIT, true);
    send_big(cluster, id, 1);
    edge_run_ms(cluster, 3500);
    assert_int_equal(way.count, 1);
    struct moot_input input = {
        .kind = MOOT_INPUT_PEER_MESSAGE, .node = id, .bytes = moot_buffer_slice(&way.kept)};
    cluster_input(&cluster->nodes[leader], input, &cluster->arena);
    way.holds = false;
    edge_wait(cluster, id, 1, "+OK\r\n");
    edge_expect(cluster, id, 1, "STRLEN big\r\n", ":7340032\r\n");
    deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_moves_is_waited_for),
        cmocka_unit_test(what_stalls_is_given_up),
        cmocka_unit_test(what_is_lost_is_asked_for_again),
        cmocka_unit_test(what_is_asked_takes_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
