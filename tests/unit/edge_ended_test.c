/* Clients that send no more, and may still read: `printf ... | nc`. What they asked before is
 * answered, in its order; a pop that would have to wait ends there, as with Redis, and nothing
 * behind it is done. */
#include <string.h>

#include "edge_clients.h"

enum { TURNS = 16 }; /* More than what a command of a follower takes. */

static void end(struct cluster *cluster, uint32_t id, uint64_t connection)
{
    edge_input(cluster, id, MOOT_INPUT_CLIENT_ENDED, connection, 0, (struct moot_slice){0});
}

/* A fresh connection sends all this, and no more some turns later; it is closed with these replies.
 */
static void half_close(struct cluster *cluster, uint32_t id, uint64_t connection,
                       const char *commands, int turns, const char *expected)
{
    struct cluster_client *client = &cluster->nodes[id].clients[connection];
    client->closed = false;
    edge_open(cluster, id, connection);
    edge_send(cluster, id, connection, commands);
    edge_turns(cluster, turns);
    end(cluster, id, connection);
    edge_run_ms(cluster, 50);
    assert_string_equal(edge_text(cluster, id, connection), expected);
    assert_true(client->closed);
    edge_close(cluster, id, connection);
    client->pauses = client->resumes = 0;
}

/* Goal: a pop that would wait takes no earlier reply with it, and nothing behind it is done.
 * Method: half a close at every turn after the commands, on a follower and on the leader. */
static void a_pop_that_would_wait_ends(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    for (int turns = 0; turns < TURNS; turns++) {
        for (uint32_t id = 1; id <= 3; id++) {
            half_close(cluster, id, 2, "SET a 1\r\nGET a\r\nBLPOP l 0\r\nSET b 1\r\n", turns,
                       "+OK\r\n$1\r\n1\r\n");
            half_close(cluster, id, 2, "INCR n\r\nDEL n\r\nBLPOP l 0\r\nSET b 1\r\n", turns,
                       ":1\r\n:1\r\n");
            half_close(cluster, id, 2, "GET a\r\nBRPOP l 0.5\r\nSET b 1\r\n", turns, "$1\r\n1\r\n");
        }
    }
    edge_expect(cluster, 1, 1, "EXISTS b\r\nRPUSH l x\r\nLLEN l\r\n", ":0\r\n:1\r\n:1\r\n");
    cluster_deinit(cluster);
}

/* Goal: a pop that finds an element is a command as any other. Method: as above, with a list; a
 * pipeline that empties it, and then would wait. */
static void a_pop_that_finds_something_is_answered(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    for (int turns = 0; turns < TURNS; turns++) {
        for (uint32_t id = 1; id <= 3; id++) {
            half_close(cluster, id, 2, "RPUSH l x\r\nBLPOP l 0\r\nSET b 1\r\n", turns,
                       ":1\r\n*2\r\n$1\r\nl\r\n$1\r\nx\r\n+OK\r\n");
            half_close(cluster, id, 2,
                       "RPUSH l x y\r\nBLPOP l 0\r\nBLPOP l 0\r\nPING\r\nBLPOP l 0\r\nPING\r\n",
                       turns,
                       ":2\r\n*2\r\n$1\r\nl\r\n$1\r\nx\r\n*2\r\n$1\r\nl\r\n$1\r\ny\r\n+PONG\r\n");
        }
    }
    edge_expect(cluster, 1, 1, "LLEN l\r\n", ":0\r\n");
    cluster_deinit(cluster);
}

/* Goal: nobody takes an element for who waited and may have gone, whatever it has sent behind its
 * pop. Method: it goes on being read; half a close at every turn after the push that wakes it;
 * either it has the element, or the list has. */
static void who_waited_gets_nothing_more(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster);
    for (int turns = 0; turns < TURNS; turns++) {
        struct cluster_client *client = &cluster->nodes[id].clients[2];
        client->closed = false;
        edge_open(cluster, id, 2);
        edge_send(cluster, id, 2, "PING\r\nBLPOP l 0\r\nPING\r\n");
        edge_run_ms(cluster, 50);
        assert_string_equal(edge_text(cluster, id, 2), "+PONG\r\n");
        assert_int_equal(client->pauses, client->resumes); /* Else nobody hears of its end. */
        edge_send(cluster, cluster_leader(cluster), 1, "RPUSH l x\r\n");
        edge_turns(cluster, turns);
        end(cluster, id, 2);
        edge_run_ms(cluster, 100);
        bool served = client->replies.size > strlen("+PONG\r\n");
        assert_string_equal(edge_text(cluster, id, 2),
                            served ? "+PONG\r\n*2\r\n$1\r\nl\r\n$1\r\nx\r\n+PONG\r\n"
                                   : "+PONG\r\n");
        assert_true(client->closed);
        edge_expect(cluster, 1, 1, "LLEN l\r\nDEL l\r\n", served ? ":0\r\n:0\r\n" : ":1\r\n:1\r\n");
        edge_close(cluster, id, 2);
        client->pauses = client->resumes = 0;
    }
    cluster_deinit(cluster);
}

/* Goal: a pop in doubt does not keep the connection of who may have gone, and its element is not
 * lost. Method: no leader when its first try is under way, for longer than a request may take; half
 * a close before and after that time. */
static void a_pop_in_doubt_ends(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster);
    for (int turns = 0; turns < TURNS; turns++) {
        struct cluster_client *client = &cluster->nodes[id].clients[2];
        client->closed = false;
        edge_expect(cluster, 1, 1, "DEL l\r\nRPUSH l x\r\n",
                    turns == 0 ? ":0\r\n:1\r\n" : ":1\r\n:1\r\n");
        edge_open(cluster, id, 2);
        edge_send(cluster, id, 2, "PING\r\nBLPOP l 0\r\nPING\r\n");
        edge_turns(cluster, turns);
        cluster->nodes[id].cut = true;
        edge_run_ms(cluster, turns % 2 == 0 ? 0 : MOOT_REQUEST_TIMEOUT_MS + 500);
        end(cluster, id, 2);
        edge_run_ms(cluster, MOOT_REQUEST_TIMEOUT_MS + 1000);
        assert_true(client->closed);
        const char *text = edge_text(cluster, id, 2);
        bool served = strncmp(text, "+PONG\r\n*2", 9) == 0;
        if (!served) {
            assert_true(strncmp(text, "+PONG\r\n-", 8) == 0);
        }
        edge_close(cluster, id, 2);
        edge_heal(cluster, id);
        edge_run_ms(cluster, 2000);
        if (served) {
            edge_expect(cluster, 1, 1, "RPUSH l x\r\n", ":1\r\n");
        }
        edge_expect(cluster, 1, 1, "LLEN l\r\n", ":1\r\n");
    }
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pop_that_would_wait_ends),
        cmocka_unit_test(a_pop_that_finds_something_is_answered),
        cmocka_unit_test(who_waited_gets_nothing_more),
        cmocka_unit_test(a_pop_in_doubt_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
