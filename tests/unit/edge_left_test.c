/* Reads behind a write in one pipeline whose replies, or whose work, are too much for an entry of
 * the log: they mean what they would mean one by one. */
#include <string.h>

#include "base/rng.h"

#include "edge_clients.h"

enum { LARGE = 7000000, FIELDS = 20000 };

static void put_large(struct cluster *cluster, uint32_t id, char name)
{
    char line[64], reply[32];
    snprintf(line, sizeof(line), "SETRANGE %c %d %c\r\n", name, LARGE - 1, name);
    snprintf(reply, sizeof(reply), ":%d\r\n", LARGE);
    edge_expect(cluster, id, 1, line, reply);
}

/* Steps over one bulk reply of LARGE bytes that ends with this letter. */
static const char *large(const char *at, char last)
{
    char head[32];
    int size = snprintf(head, sizeof(head), "$%d\r\n", LARGE);
    assert_memory_equal(at, head, (size_t)size);
    at += size + LARGE;
    assert_int_equal(at[-1], last);
    assert_memory_equal(at, "\r\n", 2);
    return at + 2;
}

static const char *text(const char *at, const char *expected)
{
    assert_memory_equal(at, expected, strlen(expected));
    return at + strlen(expected);
}

static void wait_size(struct cluster *cluster, uint32_t id, uint64_t connection, size_t size)
{
    struct moot_buffer *replies = cluster_replies(&cluster->nodes[id], connection);
    for (int i = 0; i < 100000 && replies->size < size; i++) {
        cluster_step(cluster);
    }
    assert_int_equal(replies->size, size);
}

static size_t size_of_large(void) { return LARGE + strlen("$7000000\r\n") + 2; }

/* Goal: large values are read behind a write as well as without it, each between the writes around
 * it, whatever they are together; another client's commands of the same turn are not held up by it.
 * Method: a pipeline of 56 MB of replies to a follower and to the leader. */
static void large_replies_behind_a_write(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t ids[2] = {cluster_leader(cluster), edge_follower(cluster)};
    put_large(cluster, ids[0], 'a');
    for (int i = 0; i < 2; i++) {
        uint32_t id = ids[i];
        edge_open(cluster, id, 2);
        edge_open(cluster, id, 3);
        edge_send(cluster, id, 3, "SET other 1\r\nGET other\r\n");
        edge_send(cluster, id, 2,
                  "SET n 1\r\nGET a\r\nGET a\r\nGET n\r\nGET a\r\nGET a\r\nGET a\r\nINCR n\r\n"
                  "GET n\r\nGET a\r\nGET a\r\nINCR n\r\nGET a\r\nGET n\r\nPING\r\n"
                  "MULTI\r\nINCR n\r\nGET n\r\nEXEC\r\nGET n\r\n");
        edge_wait(cluster, id, 3, "+OK\r\n$1\r\n1\r\n");
        const char *rest = "+OK\r\n$1\r\n1\r\n:2\r\n$1\r\n2\r\n:3\r\n$1\r\n3\r\n+PONG\r\n+OK\r\n"
                           "+QUEUED\r\n+QUEUED\r\n*2\r\n:4\r\n$1\r\n4\r\n$1\r\n4\r\n";
        wait_size(cluster, id, 2, 8 * size_of_large() + strlen(rest));
        const char *at = edge_text(cluster, id, 2);
        at = large(large(text(at, "+OK\r\n"), 'a'), 'a');
        at = large(large(large(text(at, "$1\r\n1\r\n"), 'a'), 'a'), 'a');
        at = large(large(text(at, ":2\r\n$1\r\n2\r\n"), 'a'), 'a');
        at = large(text(at, ":3\r\n"), 'a');
        at = text(at, "$1\r\n3\r\n+PONG\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:4\r\n$1\r\n4\r\n");
        at = text(at, "$1\r\n4\r\n");
        assert_int_equal(*at, '\0');
    }
    cluster_deinit(cluster);
}

/* Goal: a collection that is too long for an entry is read behind a write as without it, as it is
 * at that place. Method: a hash and a list of more elements than a turn's reads may touch. */
static void long_reads_behind_a_write(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster);
    struct moot_buffer line;
    moot_buffer_init(&line);
    for (int from = 0; from < FIELDS; from += 1000) {
        char field[32], expected[64];
        moot_buffer_reset(&line, SIZE_MAX);
        moot_buffer_append_text(&line, "RPUSH l");
        for (int i = from; i < from + 1000; i++) {
            snprintf(field, sizeof(field), " %05d", i);
            moot_buffer_append_text(&line, field);
        }
        moot_buffer_append(&line, "\r\n", 3);
        snprintf(expected, sizeof(expected), ":%d\r\n", from + 1000);
        edge_expect(cluster, id, 1, (const char *)line.data, expected);
    }
    moot_buffer_deinit(&line);
    edge_open(cluster, id, 2);
    edge_send(cluster, id, 2,
              "LPOP l\r\nLRANGE l 0 -1\r\nRPUSH l x\r\nLRANGE l 0 -1\r\nLLEN l\r\n");
    size_t element = strlen("$5\r\n00000\r\n");
    size_t head = strlen("*19999\r\n");
    size_t first = element + head + (FIELDS - 1) * element;
    size_t second = strlen(":20000\r\n") + head + (FIELDS - 1) * element + strlen("$1\r\nx\r\n");
    wait_size(cluster, id, 2, first + second + strlen(":20000\r\n"));
    const char *at = edge_text(cluster, id, 2);
    text(at, "$5\r\n00000\r\n*19999\r\n$5\r\n00001\r\n");
    text(at + first, ":20000\r\n*20000\r\n$5\r\n00001\r\n");
    text(at + first + second - strlen("$1\r\nx\r\n"), "$1\r\nx\r\n:20000\r\n");
    /* A transaction that only reads is a read: alone, watched, and behind a write; the list is as
     * long as at its place. */
    static const char *const before[] = {"", "WATCH l\r\n", "SET other 1\r\n"};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(before); i++) {
        char lines[256];
        snprintf(lines, sizeof(lines),
                 "%sMULTI\r\nLLEN l\r\nLRANGE l 0 -1\r\nLLEN l\r\nEXEC\r\nLPOP l\r\n", before[i]);
        edge_send(cluster, id, 2, lines);
        size_t length = FIELDS - i, head_size = i == 0 ? 0 : strlen("+OK\r\n");
        char expected[64];
        snprintf(expected, sizeof(expected), "*3\r\n:%zu\r\n*%zu\r\n", length, length);
        const char *queued = "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n";
        snprintf(lines, sizeof(lines), "$1\r\nx\r\n:%zu\r\n$5\r\n%05zu\r\n", length, i + 1);
        size_t body = strlen(expected) + (length - 1) * element;
        wait_size(cluster, id, 2, head_size + strlen(queued) + body + strlen(lines));
        at = text(edge_text(cluster, id, 2) + head_size, queued);
        text(at, expected);
        text(at + body, lines);
    }
    cluster_deinit(cluster);
}

/* Goal: what a client is given waits for it to take what it was given before: so much of it is
 * bounded, however much it asked for. Method: twelve large reads behind a write, of a client that
 * takes nothing at first, then all. */
static void the_rest_waits_for_the_client(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster);
    put_large(cluster, id, 'a');
    edge_open(cluster, id, 2);
    struct moot_buffer *replies = cluster_replies(&cluster->nodes[id], 2);
    edge_send(cluster, id, 2,
              "SET n 1\r\nGET a\r\nGET a\r\nGET a\r\nGET a\r\nGET a\r\nGET a\r\nGET a\r\nGET a\r\n"
              "GET a\r\nGET a\r\nGET a\r\nGET a\r\nGET n\r\n");
    size_t whole = 12 * size_of_large() + strlen("+OK\r\n$1\r\n1\r\n"), taken = 0;
    for (int rounds = 0; taken < whole; rounds++) {
        assert_in_range(rounds, 0, 20);
        for (int i = 0; i < 2000; i++) {
            cluster_step(cluster);
            edge_input(cluster, id, MOOT_INPUT_CLIENT_SENT, 2, replies->size - taken,
                       (struct moot_slice){0});
        }
        assert_in_range(replies->size - taken, 1, MOOT_OUTPUT_HARD);
        assert_false(cluster->nodes[id].clients[2].closed);
        taken = replies->size; /* It takes them all. */
        edge_input(cluster, id, MOOT_INPUT_CLIENT_SENT, 2, 0, (struct moot_slice){0});
    }
    assert_int_equal(taken, whole);
    cluster_deinit(cluster);
}

/* Goal: nothing of it is done twice or lost, and the order stays, when the leader goes in the
 * middle. Method: it is cut off at every turn after such a pipeline was sent. */
static void the_leader_goes_meanwhile(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    put_large(cluster, 1, 'a');
    for (int turns = 1; turns < 14; turns += 2) {
        uint32_t leader = cluster_leader(cluster), id = edge_follower(cluster);
        edge_expect(cluster, id, 1, "SET n 0\r\n", "+OK\r\n");
        edge_open(cluster, id, 2);
        edge_send(cluster, id, 2,
                  "INCR n\r\nGET a\r\nGET a\r\nGET a\r\nINCR n\r\nGET n\r\nINCR n\r\n");
        edge_turns(cluster, turns);
        cluster->nodes[leader].cut = true;
        wait_size(cluster, id, 2, 3 * size_of_large() + strlen(":1\r\n:2\r\n$1\r\n2\r\n:3\r\n"));
        const char *at =
            large(large(large(text(edge_text(cluster, id, 2), ":1\r\n"), 'a'), 'a'), 'a');
        text(at, ":2\r\n$1\r\n2\r\n:3\r\n");
        edge_heal(cluster, leader);
        edge_close(cluster, id, 2);
        edge_run_ms(cluster, 1500);
    }
    cluster_deinit(cluster);
}

/* Goal: whatever is left, a pipeline means what it means one by one. Method: leaders leave half of
 * what they may; random pipelines of counters that are read and changed, transactions and WATCH
 * among them, cut into pieces. */
static void random_pipelines(void **state)
{
    (void)state;
    struct cluster *cluster = moot_alloc_zero(sizeof(*cluster));
    cluster->quiet = true;
    cluster->rarely_one_in = 2;
    cluster_init(cluster, 3, 0);
    cluster_expect(cluster, 1, "SET ready 1\r\n", "+OK\r\n");
    struct moot_rng rng;
    moot_rng_init(&rng, 11);
    int n = 0;
    for (int round = 0; round < 120; round++) {
        uint32_t id = 1 + (uint32_t)moot_rng_below(&rng, 3);
        struct moot_buffer in, out;
        moot_buffer_init(&in);
        moot_buffer_init(&out);
        for (uint64_t i = 1 + moot_rng_below(&rng, 20); i > 0; i--) {
            uint64_t kind = moot_rng_below(&rng, 10);
            char reply[96], digits[16];
            int size = snprintf(digits, sizeof(digits), "%d", n);
            if (kind < 3) {
                moot_buffer_append_text(&in, "INCR n\r\n");
                snprintf(reply, sizeof(reply), ":%d\r\n", ++n);
            } else if (kind < 8 && n > 0) {
                moot_buffer_append_text(&in, "GET n\r\n");
                snprintf(reply, sizeof(reply), "$%d\r\n%s\r\n", size, digits);
            } else if (kind == 8) {
                moot_buffer_append_text(&in, "MULTI\r\nINCR n\r\nINCR n\r\nEXEC\r\n");
                snprintf(reply, sizeof(reply), "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:%d\r\n:%d\r\n",
                         n + 1, n + 2);
                n += 2;
            } else {
                moot_buffer_append_text(&in, "WATCH n\r\nMULTI\r\nINCR n\r\nEXEC\r\n");
                snprintf(reply, sizeof(reply), "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n:%d\r\n", ++n);
            }
            moot_buffer_append_text(&out, reply);
        }
        moot_buffer_append(&out, "", 1);
        edge_send_pieces(cluster, id, &rng, 90, moot_buffer_slice(&in));
        edge_wait(cluster, id, 1, (const char *)out.data);
        moot_buffer_deinit(&in);
        moot_buffer_deinit(&out);
    }
    cluster_deinit(cluster);
}

/* Goal: a pop that waits is behind a read what it is alone, and what follows is answered. Method:
 * it waits in vain, or is given an element by another; behind a read, a write and both. */
static void a_pop_waits_behind_a_read(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    for (uint32_t id = 1; id <= 3; id++) {
        edge_expect(cluster, id, 1, "GET a\r\nBRPOP l 0.001\r\nPING\r\n",
                    "$-1\r\n*-1\r\n+PONG\r\n");
        edge_expect(cluster, id, 1, "GET a\r\nSET b 1\r\nGET a\r\nBLPOP l 0.001\r\nGET b\r\n",
                    "$-1\r\n+OK\r\n$-1\r\n*-1\r\n$1\r\n1\r\n");
        edge_expect(
            cluster, id, 1,
            "GET a\r\nSET b 1\r\nGET a\r\nWITH ID 1700000000000:b BLPOP l "
            "0.001\r\nWITH ID 1700000000000:a\r\nBLPOP l 0.001\r\nGET b\r\n",
            "$-1\r\n+OK\r\n$-1\r\n"
            "-ERR a command that may wait has no id: WITH ID goes with LPOP and RPOP\r\n"
            "+OK\r\n-ERR a command that may wait has no id: WITH ID goes with LPOP and RPOP\r\n"
            "$1\r\n1\r\n");
        edge_open(cluster, id, 2);
        edge_send(cluster, id, 2, "GET a\r\nBLPOP l 0\r\nGET b\r\n");
        edge_expect(cluster, id, 1, "RPUSH l x\r\n", ":1\r\n");
        edge_wait(cluster, id, 2, "$-1\r\n*2\r\n$1\r\nl\r\n$1\r\nx\r\n$1\r\n1\r\n");
    }
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_replies_behind_a_write),
        cmocka_unit_test(long_reads_behind_a_write),
        cmocka_unit_test(the_rest_waits_for_the_client),
        cmocka_unit_test(the_leader_goes_meanwhile),
        cmocka_unit_test(random_pipelines),
        cmocka_unit_test(a_pop_waits_behind_a_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
