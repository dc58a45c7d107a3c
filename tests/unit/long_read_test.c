/* Reads that take too long for a turn: they see exactly their place in the log, and nobody waits
 * for them but who asked. In whole nodes, in which a read may touch only a few elements within a
 * turn. */
#include <string.h>

#include "base/rule.h"
#include "edge_clients.h"

#define LIST "*5\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n"
#define ONE  "$1\r\n1\r\n"

static struct cluster *make(uint32_t count, uint64_t elements)
{
    struct cluster *cluster = moot_alloc_zero(sizeof(*cluster));
    cluster->quiet = true;
    cluster->read_elements = elements;
    cluster_init(cluster, count, 0);
    cluster_expect(cluster, 1, "SET ready 1\r\n", "+OK\r\n");
    return cluster;
}

/* With a list that is too long for a turn, and connections 2 to 4 of every node. */
static struct cluster *make_with_list(uint32_t count)
{
    struct cluster *cluster = make(count, 3);
    for (uint32_t id = 1; id <= count; id++) {
        for (uint64_t connection = 2; connection <= 4; connection++) {
            edge_open(cluster, id, connection);
        }
    }
    edge_expect(cluster, 1, 2, "RPUSH l a b c d e\r\n", ":5\r\n");
    cluster->keeps_long_reads = true;
    return cluster;
}

static struct moot_group_view db0_of(const struct cluster *cluster, uint32_t id)
{
    struct moot_group_view view;
    moot_node_group(cluster->nodes[id].node, MOOT_GROUP_DB0, &view);
    return view;
}

static void wait_until_kept(struct cluster *cluster, uint32_t id, uint32_t count)
{
    for (int i = 0; i < 100000 && cluster->nodes[id].long_read_count < count; i++) {
        cluster_step(cluster);
    }
    assert_int_equal(cluster->nodes[id].long_read_count, count);
}

static uint32_t hits(const char *why)
{
    size_t count;
    struct moot_mark *marks = moot_marks(&count);
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += strcmp(marks[i].why, why) == 0 ? marks[i].hits : 0;
    }
    return sum;
}

/* Goal: a long read sees what was written before it, also what the store does not have yet, and
 * nothing of what comes after; meanwhile all others are served. Method: a write in the same turn as
 * the read, and one while it is under way; its answer is kept back until then. */
static void it_sees_exactly_its_place(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= 3; count += 2) {
        struct cluster *cluster = make_with_list(count);
        uint32_t leader = cluster_leader(cluster);
        edge_send(cluster, leader, 2, "LRANGE l 0 -1\r\n");
        edge_expect(cluster, leader, 3, "RPUSH l x\r\n", ":6\r\n");
        wait_until_kept(cluster, leader, 1);
        edge_expect(cluster, leader, 3, "LPUSH l y\r\nGET ready\r\nPING\r\n",
                    ":7\r\n" ONE "+PONG\r\n");
        assert_string_equal(edge_text(cluster, leader, 2), "");
        assert_int_equal(db0_of(cluster, leader).long_reads, 1);
        cluster_long_reads(cluster, leader);
        edge_wait(cluster, leader, 2, LIST);
        assert_int_equal(db0_of(cluster, leader).long_reads, 0);
        assert_int_equal(db0_of(cluster, leader).long_reads_begun, 1);
        cluster_deinit(cluster);
    }
}

/* Goal: what was asked in the same turn does not wait, and replies of one connection keep their
 * order; a write behind a long read waits for it. */
static void only_its_own_connection_waits(void **state)
{
    (void)state;
    struct cluster *cluster = make_with_list(3);
    uint32_t leader = cluster_leader(cluster);
    edge_send(cluster, leader, 2, "LRANGE l 0 -1\r\nGET ready\r\n");
    edge_expect(cluster, leader, 3, "GET ready\r\nLLEN l\r\n", ONE ":5\r\n");
    edge_send(cluster, leader, 4, "LRANGE l 0 -1\r\nRPUSH l z\r\nLINDEX l -1\r\n");
    wait_until_kept(cluster, leader, 2);
    edge_run_ms(cluster, 20);
    assert_string_equal(edge_text(cluster, leader, 2), "");
    assert_string_equal(edge_text(cluster, leader, 4), "");
    edge_expect(cluster, leader, 3, "LLEN l\r\n", ":5\r\n");
    cluster_long_reads(cluster, leader);
    edge_wait(cluster, leader, 2, LIST ONE);
    edge_wait(cluster, leader, 4, LIST ":6\r\n$1\r\nz\r\n");
    cluster_deinit(cluster);
}

static const char *const COMMANDS[] = {
    "KEYS *\r\n",
    "KEYS k*\r\n",
    "KEYS none*\r\n",
    "SCAN 0\r\n",
    "SCAN 0 COUNT 4\r\n",
    "SCAN 0 MATCH k* COUNT 100 TYPE string\r\n",
    "HGETALL h\r\n",
    "HKEYS h\r\n",
    "HVALS h\r\n",
    "HGETALL none\r\n",
    "HSCAN h 0\r\n",
    "HSCAN h 0 COUNT 3 NOVALUES\r\n",
    "LRANGE l 0 -1\r\n",
    "LRANGE l -4 -2\r\n",
    "LRANGE l 3 9\r\n",
    "MGET k1 k2 k3 k4 none k5\r\n",
    "EXISTS k1 k2 k3 k4 none\r\n",
    "HMGET h f1 f2 f3 none f4\r\n",
    "DBSIZE\r\n",
    "HGETALL l\r\n",
    "LRANGE k1 0 -1\r\n",
    "SELECT 3\r\n",
    "KEYS *\r\n",
    "SELECT 0\r\n",
    "HELLO 3\r\n",
    "HGETALL h\r\n",
    "HELLO 2\r\n",
};

/* Goal: every read says the same whether it is long or not. Method: the same commands to two
 * clusters, one in which nearly all are. */
static void long_or_not_they_say_the_same(void **state)
{
    (void)state;
    struct cluster *clusters[2] = {make(1, 0), make(1, 2)};
    for (int i = 0; i < 2; i++) {
        edge_open(clusters[i], 1, 2);
        edge_expect(clusters[i], 1, 2,
                    "MSET k1 1 k2 2 k3 3 k4 4 k5 5\r\nRPUSH l a b c d e f g\r\n"
                    "HSET h f1 1 f2 2 f3 3 f4 4 f5 5 f6 6\r\nRPUSH g a b c d e f\r\n"
                    "SELECT 3\r\nMSET a 1 b 2 c 3 d 4 e 5\r\nSELECT 0\r\n",
                    "+OK\r\n:7\r\n:6\r\n:6\r\n+OK\r\n+OK\r\n+OK\r\n");
    }
    for (size_t c = 0; c < MOOT_ARRAY_LEN(COMMANDS); c++) {
        edge_send(clusters[0], 1, 2, COMMANDS[c]);
        edge_run_ms(clusters[0], 5);
        if (strncmp(COMMANDS[c], "HELLO", 5) == 0) { /* Says more than data: ids, times. */
            edge_send(clusters[1], 1, 2, COMMANDS[c]);
            edge_run_ms(clusters[1], 5);
            continue;
        }
        const char *expected = edge_text(clusters[0], 1, 2);
        assert_true(strlen(expected) > 3);
        edge_expect(clusters[1], 1, 2, COMMANDS[c], expected);
    }
    assert_int_equal(db0_of(clusters[0], 1).long_reads_begun, 0);
    assert_true(db0_of(clusters[1], 1).long_reads_begun >= 15);
    cluster_deinit(clusters[0]);
    cluster_deinit(clusters[1]);
}

/* Goal: a long read from another node is answered as any, exactly once, also when its answer takes
 * longer than the edge's patience with a silent leader, and longer than other commands may. */
static void forwarded(void **state)
{
    (void)state;
    struct cluster *cluster = make_with_list(3);
    uint32_t leader = cluster_leader(cluster), edge = edge_follower(cluster);
    edge_send(cluster, edge, 2, "LRANGE l 0 -1\r\nGET ready\r\n");
    wait_until_kept(cluster, leader, 1);
    uint32_t again = hits("a long read came again while it was under way");
    edge_run_ms(cluster, MOOT_REQUEST_TIMEOUT_MS * 2);
    assert_true(hits("a long read came again while it was under way") > again);
    assert_int_equal(db0_of(cluster, leader).long_reads_begun, 1);
    assert_int_equal(cluster->nodes[leader].long_read_count, 1);
    assert_string_equal(edge_text(cluster, edge, 2), "");
    cluster_long_reads(cluster, leader);
    edge_wait(cluster, edge, 2, LIST ONE);
    edge_run_ms(cluster, 1000);
    assert_string_equal(edge_text(cluster, edge, 2), LIST ONE);
    edge_expect(cluster, edge, 2, "LLEN l\r\n", ":5\r\n");
    cluster_deinit(cluster);
}

/* Goal: who asked may go; the read ends for nobody. */
static void its_client_goes(void **state)
{
    (void)state;
    struct cluster *cluster = make_with_list(1);
    edge_send(cluster, 1, 2, "LRANGE l 0 -1\r\nGET ready\r\n");
    wait_until_kept(cluster, 1, 1);
    edge_close(cluster, 1, 2);
    edge_turns(cluster, 5);
    cluster_long_reads(cluster, 1);
    edge_turns(cluster, 5);
    assert_int_equal(db0_of(cluster, 1).long_reads, 0);
    assert_string_equal(edge_text(cluster, 1, 2), "");
    edge_expect(cluster, 1, 3, "LLEN l\r\n", ":5\r\n");
    cluster_deinit(cluster);
}

static uint32_t wait_for_another_leader(struct cluster *cluster, uint32_t not_this)
{
    uint32_t leader = 0;
    for (int i = 0; i < 100000 && (leader == 0 || leader == not_this); i++) {
        cluster_step(cluster);
        leader = cluster_leader(cluster);
    }
    assert_true(leader != 0 && leader != not_this);
    return leader;
}

/* Goal: a leader that hands over answers a long read all the same: it was confirmed at its place;
 * and who was asked again meanwhile does no harm. */
static void its_leader_steps_down(void **state)
{
    (void)state;
    struct cluster *cluster = make_with_list(3);
    uint32_t old = cluster_leader(cluster);
    edge_send(cluster, old, 2, "LRANGE l 0 -1\r\n");
    wait_until_kept(cluster, old, 1);
    edge_send(cluster, old, 1, "MOOT CLUSTER TRANSFER\r\n");
    uint32_t leader = wait_for_another_leader(cluster, old);
    edge_expect(cluster, leader, 2, "RPUSH l f\r\n", ":6\r\n");
    wait_until_kept(cluster, leader, 1); /* The old leader's edge has asked the new one. */
    cluster_long_reads(cluster, old);
    edge_wait(cluster, old, 2, LIST);
    cluster_long_reads(cluster, leader);
    edge_run_ms(cluster, 1000);
    assert_string_equal(edge_text(cluster, old, 2), LIST);
    assert_int_equal(db0_of(cluster, old).long_reads + db0_of(cluster, leader).long_reads, 0);
    cluster_deinit(cluster);
}

/* Goal: a leader that dies takes nothing with it: the next one is asked again. */
static void its_leader_dies(void **state)
{
    (void)state;
    struct cluster *cluster = make_with_list(3);
    uint32_t old = cluster_leader(cluster), edge = edge_follower(cluster);
    edge_send(cluster, edge, 2, "LRANGE l 0 -1\r\nLLEN l\r\n");
    wait_until_kept(cluster, old, 1);
    cluster_kill(cluster, old);
    uint32_t leader = wait_for_another_leader(cluster, old);
    wait_until_kept(cluster, leader, 1);
    cluster_long_reads(cluster, leader);
    edge_wait(cluster, edge, 2, LIST ":5\r\n");
    cluster_deinit(cluster);
}

#define LONGER "*6\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n$1\r\nf\r\n"

/* Goal: of two reads in one pipeline the second never goes back in time behind the first. Method:
 * the leader's first answer, to the short one, is lost; when it is asked again it is still at the
 * long one, and others have written meanwhile. */
static void its_pipeline_goes_forward(void **state)
{
    (void)state;
    struct cluster *cluster = make_with_list(3);
    uint32_t leader = cluster_leader(cluster), edge = edge_follower(cluster);
    edge_send(cluster, edge, 2, "GET ready\r\nLRANGE l 0 -1\r\n");
    for (int i = 0; i < 100000 && db0_of(cluster, leader).reads_waiting == 0; i++) {
        cluster_step(cluster);
    }
    cluster->nodes[edge].cut = true; /* The leader has the reads, and no answer leaves it. */
    wait_until_kept(cluster, leader, 1);
    assert_string_equal(edge_text(cluster, edge, 2), "");
    edge_expect(cluster, leader, 3, "SET ready 2\r\nRPUSH l f\r\n", "+OK\r\n:6\r\n");
    uint32_t again = hits("a long read came again while it was under way");
    edge_heal(cluster, edge);
    edge_wait(cluster, edge, 2, "$1\r\n2\r\n");
    assert_true(hits("a long read came again while it was under way") > again);
    cluster_long_reads(cluster, leader); /* As the list was before. */
    wait_until_kept(cluster, leader, 1); /* It is asked again. */
    cluster_long_reads(cluster, leader);
    edge_wait(cluster, edge, 2, "$1\r\n2\r\n" LONGER);
    edge_expect(cluster, edge, 2, "LLEN l\r\n", ":6\r\n");
    cluster_deinit(cluster);
}

/* Others write, the leader that has the long one dies, and the next one reads for both. */
static void answer_by_the_next(struct cluster *cluster, uint32_t old, uint32_t edge)
{
    edge_run_ms(cluster, 20);
    edge_expect(cluster, edge, 3, "SET ready 2\r\nRPUSH l f\r\n", "+OK\r\n:6\r\n");
    cluster_kill(cluster, old);
    uint32_t leader = wait_for_another_leader(cluster, old);
    wait_until_kept(cluster, leader, 1);
    cluster_long_reads(cluster, leader);
    edge_wait(cluster, edge, 2, LONGER "$1\r\n2\r\n");
}

/* Goal: the same the other way round: what the first leader said of the short one, which stands
 * behind the long one, is too old when the next leader reads for the long one. */
static void its_pipeline_goes_forward_with_the_leader(void **state)
{
    (void)state;
    struct cluster *cluster = make_with_list(3);
    uint32_t old = cluster_leader(cluster), edge = edge_follower(cluster);
    edge_send(cluster, edge, 2, "LRANGE l 0 -1\r\nGET ready\r\n");
    wait_until_kept(cluster, old, 1);
    answer_by_the_next(cluster, old, edge);
    cluster_deinit(cluster);
}

/* Goal: nor does the second when it came later, in a batch of its own. Method: the same, the short
 * one sent when the leader has the long one. */
static void its_connection_goes_forward(void **state)
{
    (void)state;
    struct cluster *cluster = make_with_list(3);
    uint32_t old = cluster_leader(cluster), edge = edge_follower(cluster);
    edge_send(cluster, edge, 2, "LRANGE l 0 -1\r\n");
    wait_until_kept(cluster, old, 1);
    edge_send(cluster, edge, 2, "GET ready\r\n");
    answer_by_the_next(cluster, old, edge);
    cluster_deinit(cluster);
}

/* Goal: there are only so many at a time; what is beyond is refused at once, and may be asked
 * again. Method: many connections, one after the other, and one more. */
static void they_are_bounded(void **state)
{
    (void)state;
    struct cluster *cluster = make_with_list(1);
    enum { FIRST = 10, COUNT = MOOT_LONG_READS_MAX };
    for (uint32_t i = 0; i < COUNT; i++) {
        edge_open(cluster, 1, FIRST + i);
        edge_send(cluster, 1, FIRST + i, "LRANGE l 0 -1\r\n");
        wait_until_kept(cluster, 1, i + 1);
    }
    assert_int_equal(db0_of(cluster, 1).long_reads, COUNT);
    edge_expect(cluster, 1, 2, "LRANGE l 0 -1\r\nLLEN l\r\n",
                "-OVERLOADED as many long reads are under way as may be; nothing was done, retry "
                "after 400 ms\r\n:5\r\n");
    cluster_long_reads(cluster, 1);
    for (uint64_t i = 0; i < COUNT; i++) {
        edge_wait(cluster, 1, FIRST + i, LIST);
    }
    edge_send(cluster, 1, 2, "LRANGE l 0 -1\r\n");
    wait_until_kept(cluster, 1, 1);
    cluster_long_reads(cluster, 1);
    edge_wait(cluster, 1, 2, LIST);
    cluster_deinit(cluster);
}

/* Goal: no batch of reads holds up the others, however many its reads: when it has touched enough,
 * its rest goes on beside turns, with WATCH and what is not there, and all is answered in order.
 * Method: a pipeline of small reads, longer than a batch may be here. */
static void the_rest_of_a_batch(void **state)
{
    (void)state;
    struct cluster *cluster = make_with_list(3);
    uint32_t leader = cluster_leader(cluster);
    enum { COUNT = 3 * MOOT_READ_BATCH_TIMES + 5 }; /* A read may touch 3 elements. */
    struct moot_buffer line, expected;
    moot_buffer_init(&line);
    moot_buffer_init(&expected);
    for (int i = 0; i < COUNT; i++) {
        moot_buffer_append_text(&line, i % 4 == 3 ? "LLEN l\r\n" : "GET ready\r\n");
        moot_buffer_append_text(&expected, i % 4 == 3 ? ":5\r\n" : ONE);
    }
    static const char last[] = "GET none\r\nLRANGE l 0 -1\r\nLLEN l\r\nWATCH l\r\n";
    static const char last_replies[] = "$-1\r\n" LIST ":5\r\n+OK\r\n";
    moot_buffer_append(&line, last, sizeof(last)); /* With its end. */
    moot_buffer_append(&expected, last_replies, sizeof(last_replies));
    edge_send(cluster, leader, 2, (const char *)line.data);
    edge_expect(cluster, leader, 3, "RPUSH l x\r\n", ":6\r\n");
    wait_until_kept(cluster, leader, 1);
    assert_int_equal(db0_of(cluster, leader).long_reads, 1); /* As one. */
    edge_expect(cluster, leader, 3, "LLEN l\r\n", ":6\r\n");
    assert_true(strlen(edge_text(cluster, leader, 2)) > 4 * MOOT_READ_BATCH_TIMES);
    assert_null(strstr(edge_text(cluster, leader, 2), "$-1"));
    cluster_long_reads(cluster, leader);
    edge_wait(cluster, leader, 2, (const char *)expected.data);
    /* What WATCH remembered is of its place: the push came after. */
    edge_expect(cluster, leader, 2, "MULTI\r\nDEL l\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*-1\r\n");
    moot_buffer_deinit(&line);
    moot_buffer_deinit(&expected);
    cluster_deinit(cluster);
}

/* Goal: a key past its expiry is expired through the log before a long read says that it is not
 * there, as by any read. Method: the last of several keys becomes due; the leader, which looks for
 * such keys now and then, must not be faster. */
static void it_expires_what_is_due(void **state)
{
    (void)state;
    struct cluster *cluster = make(1, 2);
    uint32_t before = hits("a long read waited for the expiry of a key");
    edge_open(cluster, 1, 2);
    edge_expect(cluster, 1, 2, "MSET a 1 b 1 c 1\r\n", "+OK\r\n");
    for (int i = 0; i < 20; i++) {
        edge_expect(cluster, 1, 2, "SET due 1 PX 3\r\n", "+OK\r\n");
        edge_run_ms(cluster, 4);
        edge_expect(cluster, 1, 2, "MGET a b c due\r\n", "*4\r\n" ONE ONE ONE "$-1\r\n");
        edge_run_ms(cluster, 7); /* Another moment between two looks. */
    }
    assert_true(hits("a long read waited for the expiry of a key") > before);
    cluster_deinit(cluster);
}

/* Goal: a transaction that only reads goes on beside turns, as a whole, at one moment; one that
 * writes stays within its turn, and its reads too. Method: a write while it is under way; with and
 * without WATCH; then with a write of its own. */
static void a_transaction_of_reads_is_long(void **state)
{
    (void)state;
    struct cluster *cluster = make_with_list(3);
    uint32_t leader = cluster_leader(cluster), edge = edge_follower(cluster);
    for (uint64_t round = 0; round < 2; round++) {
        edge_send(cluster, edge, 2,
                  round == 0 ? "MULTI\r\nLLEN l\r\nLRANGE l 0 -1\r\nLLEN l\r\nEXEC\r\n"
                             : "WATCH l\r\nMULTI\r\nLLEN l\r\nLRANGE l 0 -1\r\nLLEN l\r\nEXEC\r\n");
        wait_until_kept(cluster, leader, 1);
        edge_expect(cluster, leader, 3, "RPUSH l x\r\nRPOP l\r\nRPUSH l y\r\n",
                    ":6\r\n$1\r\nx\r\n:6\r\n");
        cluster_long_reads(cluster, leader);
        edge_wait(cluster, edge, 2,
                  round == 0 ? "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:5\r\n" LIST ":5\r\n"
                             : "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:5\r\n" LIST
                               ":5\r\n");
        assert_int_equal(db0_of(cluster, leader).long_reads_begun, round + 1);
        edge_expect(cluster, leader, 3, "RPOP l\r\n", "$1\r\ny\r\n");
    }
    /* What it watches may be too much for a turn as well (moot sim, seed 49006194446440912). */
    edge_send(cluster, edge, 2, "WATCH l a b c d e f g\r\nMULTI\r\nLLEN l\r\nEXEC\r\n");
    wait_until_kept(cluster, leader, 1);
    cluster_long_reads(cluster, leader);
    edge_wait(cluster, edge, 2, "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n:5\r\n");
    edge_expect(cluster, leader, 2, "MULTI\r\nLRANGE l 0 -1\r\nLLEN l\r\nDEL z\r\nEXEC\r\n",
                "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n" LIST ":5\r\n:0\r\n");
    edge_expect(cluster, leader, 2, "SET k v\r\nLRANGE l 0 -1\r\n", "+OK\r\n" LIST);
    assert_int_equal(db0_of(cluster, leader).long_reads_begun, 3);
    cluster_deinit(cluster);
}

/* Goal: KEYS of many keys behind a write of its pipeline is not put into the log, where it would be
 * refused: it sees the write, and is a long read. */
static void behind_a_write(void **state)
{
    (void)state;
    struct cluster *cluster = make(1, 0);
    enum { KEYS = 17000, EACH = 1000 };
    _Static_assert((int)KEYS > (int)MOOT_READ_ELEMENTS_MAX, "too many for a turn");
    struct moot_buffer line;
    moot_buffer_init(&line);
    edge_open(cluster, 1, 2);
    for (int i = 0; i < KEYS; i += EACH) {
        moot_buffer_reset(&line, SIZE_MAX);
        moot_buffer_append_text(&line, "MSET");
        for (uint64_t key = (uint64_t)i; key < (uint64_t)i + EACH; key++) {
            moot_buffer_append_text(&line, " n");
            moot_buffer_append_u64(&line, key);
            moot_buffer_append_text(&line, " v");
        }
        moot_buffer_append(&line, "\r\n", 3);
        edge_expect(cluster, 1, 2, (const char *)line.data, "+OK\r\n");
    }
    moot_buffer_deinit(&line);
    edge_expect(cluster, 1, 2, "SET kept v\r\nKEYS k*\r\nSET kind v\r\nKEYS none*\r\n",
                "+OK\r\n*1\r\n$4\r\nkept\r\n+OK\r\n*0\r\n");
    assert_int_equal(db0_of(cluster, 1).long_reads_begun, 2);
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_sees_exactly_its_place),
        cmocka_unit_test(only_its_own_connection_waits),
        cmocka_unit_test(long_or_not_they_say_the_same),
        cmocka_unit_test(forwarded),
        cmocka_unit_test(its_client_goes),
        cmocka_unit_test(its_leader_steps_down),
        cmocka_unit_test(its_leader_dies),
        cmocka_unit_test(its_pipeline_goes_forward),
        cmocka_unit_test(its_pipeline_goes_forward_with_the_leader),
        cmocka_unit_test(its_connection_goes_forward),
        cmocka_unit_test(they_are_bounded),
        cmocka_unit_test(the_rest_of_a_batch),
        cmocka_unit_test(it_expires_what_is_due),
        cmocka_unit_test(a_transaction_of_reads_is_long),
        cmocka_unit_test(behind_a_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
