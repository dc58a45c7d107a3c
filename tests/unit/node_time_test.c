/* Time and fail-over through whole nodes: time to live, clocks that are wrong, ids of clients,
 * clients that wait. */
#include <stdlib.h>
#include <string.h>

#include "edge_clients.h"

#define GOT(element) "*2\r\n$1\r\nl\r\n$1\r\n" element "\r\n"

static int64_t integer_of(struct cluster *cluster, uint32_t id, const char *line)
{
    edge_send(cluster, id, 1, line);
    for (int i = 0; i < 100000 && cluster->nodes[id].replies.size < 4; i++) {
        cluster_step(cluster);
    }
    edge_turns(cluster, 3);
    const char *text = edge_text(cluster, id, 1);
    assert_int_equal(text[0], ':');
    return atoll(text + 1);
}

static void restart(struct cluster *cluster, uint32_t id)
{
    cluster_kill(cluster, id);
    cluster_open(cluster, id, 0);
}

/* Goal: time to live goes on across restarts of all nodes and through fail-over, and what was due
 * while nobody led is gone at once, for good. Method: keys of several ages; everything killed; the
 * leader killed; time passes meanwhile. */
static void time_to_live_goes_on(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    edge_expect(
        cluster, 1, 1,
        "SET long 1 EX 100\r\nSET short 1 PX 2500\r\nSET gone 1 PX 300\r\nSET kept 1 EX 9\r\n"
        "PERSIST kept\r\nHSET h f v\r\nEXPIRE h 50\r\nRPUSH l a b\r\nPEXPIRE l 400\r\n",
        "+OK\r\n+OK\r\n+OK\r\n+OK\r\n:1\r\n:1\r\n:1\r\n:2\r\n:1\r\n");
    uint64_t begin = cluster->now.wall_ms;
    int64_t until = integer_of(cluster, 2, "PEXPIRETIME long\r\n");
    assert_true(until >= (int64_t)begin + 99900 && until <= (int64_t)begin + 100100);
    for (uint32_t id = 1; id <= 3; id++) {
        cluster_kill(cluster, id);
    }
    cluster->now.instant.ns += 500 * MOOT_MSEC_NS; /* All are down. */
    for (uint32_t id = 1; id <= 3; id++) {
        cluster_open(cluster, id, 0);
    }
    edge_expect(cluster, 3, 1, "EXISTS gone l\r\nTTL kept\r\nEXISTS short h long\r\n",
                ":0\r\n:-1\r\n:3\r\n");
    assert_int_equal(integer_of(cluster, 2, "PEXPIRETIME long\r\n"), until);
    int64_t left = integer_of(cluster, 2, "PTTL long\r\n");
    int64_t passed = (int64_t)(cluster->now.wall_ms - begin);
    assert_true(left <= 100000 - passed + 50 && left >= 100000 - passed - 100);

    uint32_t leader = cluster_leader(cluster), other = leader % 3 + 1;
    cluster_kill(cluster, leader);
    while (cluster->now.wall_ms < begin + 2500) {
        cluster_step(cluster);
    }
    edge_expect(cluster, other, 1, "GET short\r\nTTL kept\r\n", "$-1\r\n:-1\r\n");
    assert_int_equal(integer_of(cluster, other, "PEXPIRETIME long\r\n"), until);
    cluster_open(cluster, leader, 0);
    edge_run_ms(cluster, 2000);
    edge_expect(cluster, leader, 1, "GET short\r\nEXISTS h\r\nDBSIZE\r\n", "$-1\r\n:1\r\n:4\r\n");
    restart(cluster, cluster_leader(cluster));
    edge_expect(cluster, other, 1, "GET short\r\nEXISTS h\r\nDBSIZE\r\n", "$-1\r\n:1\r\n:4\r\n");
    cluster_deinit(cluster);
}

/* Goal: what has expired does not come back under a leader whose clock is behind, within the bound.
 * Method: the next leader's clock is 400 ms late; the key expired 100 ms before the fail-over. */
static void what_expired_stays_away_under_a_slow_clock(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t leader = cluster_leader(cluster);
    for (uint32_t id = 1; id <= 3; id++) {
        cluster->nodes[id].wall_offset_ms = id == leader ? 0 : -400;
    }
    edge_expect(cluster, leader, 1, "SET a 1 PX 200\r\n", "+OK\r\n");
    edge_run_ms(cluster, 250);
    edge_expect(cluster, leader, 1, "GET a\r\nSETNX a 2\r\nPEXPIRE a 300\r\n",
                "$-1\r\n:1\r\n:1\r\n");
    edge_run_ms(cluster, 320);
    edge_expect(cluster, leader, 1, "GET a\r\n", "$-1\r\n");
    cluster_kill(cluster, leader);
    uint32_t other = leader % 3 + 1;
    edge_expect(cluster, other, 1, "EXISTS a\r\nDBSIZE\r\n", ":0\r\n:1\r\n");
    cluster_deinit(cluster);
}

/* Goal: the wrong-clock rule: a leader whose wall clock jumps by more than the bound gives up, the
 * others serve with good time, and it leads no more until its clock is right. Method: 10 s
 * forwards, then back; both groups. */
static void a_wrong_clock_does_not_lead(void **state)
{
    (void)state;
    static const int64_t offsets[] = {10000, -10000};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(offsets); i++) {
        struct cluster *cluster = edge_cluster(3);
        edge_run_ms(cluster, 2000);
        uint32_t wrong = cluster_leader(cluster), other = wrong % 3 + 1;
        cluster->nodes[wrong].wall_offset_ms = offsets[i];
        edge_run_ms(cluster, 6000);
        uint32_t now = cluster_leader(cluster);
        assert_true(now != 0 && now != wrong);
        edge_expect(cluster, wrong, 1, "SET a 1\r\nGET a\r\n", "+OK\r\n$1\r\n1\r\n");
        cluster_kill(cluster,
                     now); /* The wrong one is needed for a majority, and still not led by. */
        uint32_t third = 6 - wrong - now;
        for (int ms = 0; ms < 5000; ms += 100) {
            edge_run_ms(cluster, 100);
            assert_int_not_equal(cluster_leader(cluster), wrong);
        }
        edge_expect(cluster, third, 1, "INCR n\r\n", ":1\r\n");
        cluster->nodes[wrong].wall_offset_ms = 0;
        cluster_open(cluster, now, 0);
        edge_run_ms(cluster, 4000);
        cluster_kill(cluster, third);
        edge_expect(cluster, wrong, 1, "INCR n\r\n", ":2\r\n");
        cluster_kill(cluster, now);
        cluster_open(cluster, now, 0);
        edge_expect(cluster, wrong, 1, "INCR n\r\n", ":3\r\n");
        (void)other;
        cluster_deinit(cluster);
    }
}

/* Goal: a leader whose clock leaps an hour ahead expires nothing before its time, and does not stop
 * the time of those who come after it, nor of itself. Method: keys that live for a minute, asked
 * for in the turns after the leap, and when another leads; then a key that lives shortly. With one
 * node down, or of two, no majority tells who is wrong, but the leader knows that it leapt. */
static void a_leap_of_the_leaders_clock_expires_nothing(void **state)
{
    (void)state;
    for (int turns = 0; turns < 12; turns++) {
        uint32_t count = turns % 4 == 2 ? 2 : 3;
        struct cluster *cluster = edge_cluster(count);
        uint32_t wrong = cluster_leader(cluster), other = wrong % count + 1;
        edge_expect(cluster, wrong, 1, "SET a 1 PX 60000\r\n", "+OK\r\n");
        if (turns % 4 == 3) {
            cluster_kill(cluster, 6 - wrong - other);
        }
        cluster->nodes[wrong].wall_offset_ms = 3600 * 1000;
        edge_turns(cluster, turns);
        edge_expect(cluster, wrong, 1, "SET b 1\r\nGET a\r\n", "+OK\r\n$1\r\n1\r\n");
        edge_run_ms(cluster, 6000);
        assert_int_not_equal(cluster_leader(cluster), wrong);
        edge_expect(cluster, other, 1, "GET a\r\nSET c 1 PX 300\r\n", "$1\r\n1\r\n+OK\r\n");
        int64_t left = integer_of(cluster, other, "PTTL a\r\n");
        assert_true(left > 50000 && left < 55000);
        edge_run_ms(cluster, 400);
        edge_expect(cluster, other, 1, "EXISTS c\r\n", ":0\r\n");
        cluster_deinit(cluster);
    }
}

/* Goal: a clock that was put right is believed after a while, where there is nobody to ask. Method:
 * one node, an hour ahead. */
static void a_lone_clock_is_believed_in_the_end(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(1);
    edge_expect(cluster, 1, 1, "SET a 1 PX 60000\r\n", "+OK\r\n");
    cluster->nodes[1].wall_offset_ms = 3600 * 1000;
    edge_run_ms(cluster, 1000);
    edge_expect(cluster, 1, 1, "EXISTS a\r\n", ":1\r\n");
    edge_run_ms(cluster, 3000);
    edge_expect(cluster, 1, 1, "EXISTS a\r\n", ":0\r\n");
    cluster_deinit(cluster);
}

/* Goal: a write under an id is executed once, wherever and whenever it is sent again. Method: its
 * node dies at every turn after it was sent, so that the reply is lost; the same is sent to another
 * node, twice; the node that dies is the leader, or not. */
static void a_write_with_an_id_is_executed_once(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    int executed_before = 0, sent_anew = 0;
    for (int turns = 0; turns < 20; turns++) {
        edge_run_ms(cluster, 2000);
        uint32_t first = turns % 2 == 0 ? cluster_leader(cluster) : edge_follower(cluster);
        uint32_t second = first % 3 + 1;
        char line[96], expected[96];
        snprintf(line, sizeof(line), "WITH ID %llu:%d INCR n\r\n",
                 (unsigned long long)cluster->now.wall_ms, turns);
        edge_send(cluster, first, 1, line);
        edge_turns(cluster, turns / 2);
        cluster_kill(cluster, first);
        edge_run_ms(cluster, 2500);
        edge_send(cluster, second, 1, "GET n\r\n");
        edge_run_ms(cluster, 100);
        char count[16];
        snprintf(count, sizeof(count), "\n%d\r", turns + 1);
        bool before = strstr(edge_text(cluster, second, 1), count) != NULL;
        executed_before += before;
        sent_anew += !before;
        snprintf(expected, sizeof(expected), ":%d\r\n:%d\r\n", turns + 1, turns + 1);
        char twice[256];
        snprintf(twice, sizeof(twice), "%s%s", line, line);
        edge_expect(cluster, second, 1, twice, expected);
        cluster_open(cluster, first, 0);
        snprintf(expected, sizeof(expected), ":%d\r\n", turns + 1);
        edge_expect(cluster, first, 1, line, expected);
    }
    assert_true(executed_before > 0 && sent_anew > 0); /* The turns covered both. */
    cluster_deinit(cluster);
}

/* Goal: clients that wait notice nothing of a leader that is killed, in order, and no element is
 * lost; also when one of them goes meanwhile. Method: the leader dies at every turn after a push
 * through another node; three waiters on the others, the first of which closes just then, every
 * second time. */
static void the_leader_is_killed_while_clients_wait(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    for (int turns = 0; turns < 16; turns++) {
        edge_run_ms(cluster, 3000);
        uint32_t leader = cluster_leader(cluster), a = leader % 3 + 1, b = a % 3 + 1;
        static const uint64_t ids[] = {2, 3, 2};
        uint32_t at[3] = {a, a, b};
        for (int i = 0; i < 3; i++) {
            edge_open(cluster, at[i], ids[i]);
            edge_send(cluster, at[i], ids[i], "BLPOP l 0\r\n");
            edge_run_ms(cluster, 100);
        }
        bool goes = turns % 2 == 1;
        edge_send(cluster, b, 1, "RPUSH l a b c d\r\n");
        edge_turns(cluster, turns / 2);
        cluster_kill(cluster, leader);
        const char *first = edge_text(cluster, a, 2);
        bool served = strcmp(first, GOT("a")) == 0;
        if (goes) {
            edge_close(cluster, a, 2);
        }
        edge_run_ms(cluster, 5000);
        assert_string_equal(edge_text(cluster, b, 1), ":4\r\n");
        served = served || strcmp(edge_text(cluster, a, 2), GOT("a")) == 0;
        if (!goes) {
            assert_true(served);
        }
        const char *two = edge_text(cluster, a, 3), *three = edge_text(cluster, b, 2);
        if (served) {
            assert_string_equal(two, GOT("b"));
            assert_string_equal(three, GOT("c"));
            edge_expect(cluster, b, 1, "LRANGE l 0 -1\r\n", "*1\r\n$1\r\nd\r\n");
        } else { /* The first went before it got any: nothing of its is lost. */
            assert_true(strncmp(two, "*2", 2) == 0 && strncmp(three, "*2", 2) == 0);
            assert_string_not_equal(two, three);
            edge_expect(cluster, b, 1, "LLEN l\r\n", ":2\r\n");
        }
        edge_send(cluster, b, 1, "DEL l\r\n");
        edge_run_ms(cluster, 50);
        cluster_open(cluster, leader, 0);
        for (int i = goes; i < 3; i++) {
            edge_close(cluster, at[i], ids[i]);
        }
    }
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_to_live_goes_on),
        cmocka_unit_test(what_expired_stays_away_under_a_slow_clock),
        cmocka_unit_test(a_wrong_clock_does_not_lead),
        cmocka_unit_test(a_leap_of_the_leaders_clock_expires_nothing),
        cmocka_unit_test(a_lone_clock_is_believed_in_the_end),
        cmocka_unit_test(a_write_with_an_id_is_executed_once),
        cmocka_unit_test(the_leader_is_killed_while_clients_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
