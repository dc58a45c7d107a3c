/* What the buffers of all clients may take together. (That they are counted right is asserted after
 * every turn of every test: moot_edge_check.) */
#include <stdlib.h>
#include <string.h>

#include "edge_clients.h"

#define MIB UINT64_C(1048576)

static void unsent(struct cluster *cluster, uint64_t connection, uint64_t bytes)
{
    edge_input(cluster, 1, MOOT_INPUT_CLIENT_SENT, connection, bytes, (struct moot_slice){0});
}

static bool is_closed(const struct cluster *cluster, uint64_t connection)
{
    return cluster->nodes[1].clients[connection].closed;
}

/* A number that INFO says. */
static uint64_t info(struct cluster *cluster, uint64_t connection, const char *field)
{
    edge_send(cluster, 1, connection, "INFO\r\n");
    edge_run_ms(cluster, 5);
    const char *at = strstr(edge_text(cluster, 1, connection), field);
    if (at == NULL) {
        fail_msg("INFO has no %s", field);
    }
    return strtoull(at + strlen(field) + 1, NULL, 10);
}

/* Goal: who holds most is closed first, and no more than must be; others go on meanwhile. Method:
 * eight clients that hold a little more than is allowed. */
static void the_greediest_is_closed(void **state)
{
    (void)state;
    enum { FIRST = 10, COUNT = 8 };
    struct cluster *cluster = edge_cluster(1);
    uint64_t sum = 0;
    edge_open(cluster, 1, 2);
    for (uint64_t i = 0; i < COUNT; i++) {
        edge_open(cluster, 1, FIRST + i);
        uint64_t bytes = (28 + 2 * (i + 5) % 16) * MIB; /* 28 to 42, 42 for the third. */
        sum += bytes;
        unsent(cluster, FIRST + i, bytes);
    }
    assert_true(sum > MOOT_CLIENTS_BYTES_MAX && sum - 42 * MIB < MOOT_CLIENTS_BYTES_MAX);
    edge_turns(cluster, 3);
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_int_equal(is_closed(cluster, FIRST + i), i == 2);
    }
    assert_int_equal(info(cluster, 2, "evicted_clients"), 1);
    uint64_t held = info(cluster, 2, "mem_clients_normal");
    assert_true(held >= sum - 42 * MIB && held <= MOOT_CLIENTS_BYTES_MAX);
    edge_expect(cluster, 1, 2, "SET a 1\r\nGET a\r\n", "+OK\r\n$1\r\n1\r\n");
    cluster_deinit(cluster);
}

/* A transaction of one large value: bytes that a client may hold as long as it likes. */
static void queue_large(struct cluster *cluster, uint64_t connection, size_t size)
{
    struct moot_buffer text;
    moot_buffer_init(&text);
    moot_buffer_append_text(&text, "MULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$");
    moot_buffer_append_u64(&text, size);
    moot_buffer_append_text(&text, "\r\n");
    memset(moot_buffer_reserve(&text, size), 'v', size);
    text.size += size;
    moot_buffer_append(&text, "\r\n", 3);
    edge_expect(cluster, 1, connection, (const char *)text.data, "+OK\r\n+QUEUED\r\n");
    moot_buffer_deinit(&text);
}

enum { SLOW = 10, SLOW_COUNT = 4, SMALL = 20, SMALL_COUNT = 100 };

/* Four that do not read hold more than the soft limit; a hundred hold nothing; one, number 2, has
 * something large queued. */
static struct cluster *crowd(void)
{
    struct cluster *cluster = edge_cluster(1);
    edge_open(cluster, 1, 2);
    queue_large(cluster, 2, 4 * MIB);
    for (uint64_t c = SMALL; c < SMALL + SMALL_COUNT; c++) {
        edge_open(cluster, 1, c);
    }
    for (uint64_t i = 0; i < SLOW_COUNT; i++) {
        edge_open(cluster, 1, SLOW + i);
        unsent(cluster, SLOW + i, (40 + i) * MIB);
    }
    edge_turns(cluster, 3);
    return cluster;
}

/* Goal: past the soft limit nothing is read from who holds more than the average, everybody else is
 * served, and nobody is closed; then all goes on. Method: the crowd; the four read again. */
static void the_greedy_are_not_read(void **state)
{
    (void)state;
    struct cluster *cluster = crowd();
    struct cluster_client *large = &cluster->nodes[1].clients[2];
    uint32_t pauses = large->pauses;
    edge_send(cluster, 1, 2, "GET k\r\n");
    edge_run_ms(cluster, 1000);
    assert_int_equal(large->replies.size, 0);
    assert_int_equal(large->pauses, pauses + 1);
    edge_expect(cluster, 1, SMALL, "SET a 1\r\nGET a\r\n", "+OK\r\n$1\r\n1\r\n");
    assert_int_equal(info(cluster, SMALL, "evicted_clients"), 0);
    for (uint64_t i = 0; i < SLOW_COUNT; i++) {
        unsent(cluster, SLOW + i, 0);
    }
    edge_wait(cluster, 1, 2, "+QUEUED\r\n");
    assert_int_equal(large->resumes, large->pauses);
    edge_expect(cluster, 1, 2, "DISCARD\r\n", "+OK\r\n");
    cluster_deinit(cluster);
}

/* Goal: who was not read because all held too much within a turn is read on though the turn ended
 * within the limit. Method: somebody's bytes come, a large client's command, and the bytes leave,
 * all told in one turn. */
static void a_moment_is_enough(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(1);
    edge_open(cluster, 1, 2);
    queue_large(cluster, 2, 4 * MIB);
    edge_open(cluster, 1, SLOW);
    for (uint64_t i = 0; i < SMALL_COUNT; i++) { /* So that 4 MiB are more than the average. */
        edge_open(cluster, 1, SMALL + i);
    }
    edge_turns(cluster, 3);
    unsent(cluster, SLOW, 129 * MIB);
    edge_send(cluster, 1, 2, "GET k\r\n");
    unsent(cluster, SLOW, 0);
    edge_wait(cluster, 1, 2, "+QUEUED\r\n");
    assert_int_equal(cluster->nodes[1].clients[2].resumes, cluster->nodes[1].clients[2].pauses);
    cluster_deinit(cluster);
}

/* Goal: some that never read do not stop those that hold much for a moment, for ever. Method: the
 * crowd, and patience: as many as must be are closed, those that have most unread first. */
static void who_never_reads_is_closed(void **state)
{
    (void)state;
    struct cluster *cluster = crowd();
    edge_send(cluster, 1, 2, "GET k\r\n");
    edge_run_ms(cluster, MOOT_CLIENTS_PATIENCE_MS - 100);
    assert_int_equal(cluster->nodes[1].clients[2].replies.size, 0);
    for (uint64_t i = 0; i < SLOW_COUNT; i++) {
        assert_false(is_closed(cluster, SLOW + i));
    }
    edge_wait(cluster, 1, 2, "+QUEUED\r\n");
    edge_run_ms(cluster, 1000);
    assert_false(is_closed(cluster, SLOW) || is_closed(cluster, SLOW + 1));
    assert_true(is_closed(cluster, SLOW + 2) && is_closed(cluster, SLOW + 3));
    assert_false(is_closed(cluster, 2));
    assert_int_equal(info(cluster, SMALL, "evicted_clients"), 2);
    cluster_deinit(cluster);
}

/* Goal: what is kept empty for later is no reason to close anybody. Method: a client with a large
 * empty buffer behind it; the crowd. */
static void empty_buffers_are_given_back(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(1);
    edge_open(cluster, 1, 2);
    for (int i = 0; i < 5; i++) { /* Many slots, and some output, all answered. */
        struct moot_buffer text;
        moot_buffer_init(&text);
        for (int k = 0; k < 1000; k++) {
            moot_buffer_append_text(&text, "PING\r\n");
        }
        moot_buffer_append(&text, "", 1);
        edge_send(cluster, 1, 2, (const char *)text.data);
        edge_run_ms(cluster, 5);
        assert_int_equal(cluster->nodes[1].clients[2].replies.size, 7000);
        moot_buffer_deinit(&text);
    }
    uint64_t before = info(cluster, 2, "mem_clients_normal");
    for (uint64_t i = 0; i < SLOW_COUNT; i++) {
        edge_open(cluster, 1, SLOW + i);
        unsent(cluster, SLOW + i, 40 * MIB);
    }
    edge_run_ms(cluster, 200);
    for (uint64_t i = 0; i < SLOW_COUNT; i++) {
        unsent(cluster, SLOW + i, 0);
    }
    edge_run_ms(cluster, 200);
    uint64_t after = info(cluster, 2, "mem_clients_normal");
    assert_true(after < before);
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greediest_is_closed),      cmocka_unit_test(the_greedy_are_not_read),
        cmocka_unit_test(a_moment_is_enough),           cmocka_unit_test(who_never_reads_is_closed),
        cmocka_unit_test(empty_buffers_are_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
