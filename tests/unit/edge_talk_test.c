/* What an edge says to a client without asking a group: states of a connection and error texts. */
#include <string.h>

#include "edge_clients.h"

#define ABORT "-EXECABORT Transaction discarded because of previous errors.\r\n"

/* Goal: MULTI is Redis'. Method: its errors, and what stays inside. */
static void transactions(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster);
    edge_expect(cluster, id, 1, "EXEC\r\nDISCARD\r\nMULTI\r\nMULTI\r\nEXEC\r\n",
                "-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n+OK\r\n"
                "-ERR MULTI calls can not be nested\r\n*0\r\n");
    edge_expect(
        cluster, id, 1, "MULTI\r\nSET a 1\r\nNOSUCH\r\nEXEC\r\nGET a\r\n",
        "+OK\r\n+QUEUED\r\n-ERR unknown command 'NOSUCH', with args beginning with: \r\n" ABORT
        "$-1\r\n");
    edge_expect(cluster, id, 1, "MULTI\r\nGET\r\nEXEC\r\n",
                "+OK\r\n-ERR wrong number of arguments for 'get' command\r\n" ABORT);
    edge_expect(cluster, id, 1, "MULTI\r\nWATCH a\r\nSET a x\r\nINCR a\r\nGET a\r\nEXEC\r\n",
                "+OK\r\n-ERR WATCH inside MULTI is not allowed\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
                "*3\r\n+OK\r\n-ERR value is not an integer or out of range\r\n$1\r\nx\r\n");
    edge_expect(cluster, id, 1, "MULTI\r\nDEL a\r\nDISCARD\r\nGET a\r\n",
                "+OK\r\n+QUEUED\r\n+OK\r\n$1\r\nx\r\n");
    edge_expect(cluster, id, 1,
                "MULTI\r\nSELECT 3\r\nSET s 1\r\nEXEC\r\nGET s\r\nSELECT 0\r\nGET s\r\n",
                "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n$1\r\n1\r\n+OK\r\n$-1\r\n");
    edge_expect(cluster, id, 1, "WATCH a\r\nSET a 2\r\nMULTI\r\nGET a\r\nEXEC\r\n",
                "+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*-1\r\n");
    edge_expect(cluster, id, 1, "WATCH a\r\nSET a 3\r\nUNWATCH\r\nMULTI\r\nGET a\r\nEXEC\r\n",
                "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n$1\r\n3\r\n");
    cluster_deinit(cluster);
}

/* Goal: a connection's own state. Method: HELLO, AUTH, CLIENT, RESET, as clients use them. */
static void states_of_a_connection(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(1);
    edge_expect(cluster, 1, 1, "HELLO 4\r\nGET none\r\n",
                "-NOPROTO unsupported protocol version\r\n$-1\r\n");
    edge_send(cluster, 1, 1,
              "HELLO 3 AUTH default any SETNAME me\r\nGET none\r\nCLIENT GETNAME\r\n");
    edge_run_ms(cluster, 20);
    const char *said = edge_text(cluster, 1, 1);
    assert_int_equal(strncmp(said, "%7\r\n$6\r\nserver\r\n", 16), 0);
    assert_non_null(strstr(said, "$5\r\nproto\r\n:3\r\n"));
    assert_non_null(strstr(said, "*0\r\n_\r\n$2\r\nme\r\n"));
    edge_send(cluster, 1, 1, "HELLO 2\r\n");
    edge_run_ms(cluster, 20);
    assert_int_equal(strncmp(edge_text(cluster, 1, 1), "*14\r\n", 5), 0);
    edge_expect(cluster, 1, 1, "AUTH default any\r\nAUTH other any\r\n",
                "+OK\r\n-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    edge_expect(cluster, 1, 1,
                "CLIENT SETNAME bob\r\nCLIENT GETNAME\r\nSELECT 5\r\nMULTI\r\n"
                "RESET\r\nCLIENT GETNAME\r\nEXEC\r\nGET ready\r\n",
                "+OK\r\n$3\r\nbob\r\n+OK\r\n+OK\r\n+RESET\r\n$-1\r\n-ERR EXEC without MULTI\r\n"
                "$1\r\n1\r\n");
    edge_send(cluster, 1, 1, "CLIENT NOSUCH\r\nnosuch a b\r\n\r\n  PING  'a b'\r\n");
    edge_run_ms(cluster, 20);
    said = edge_text(cluster, 1, 1);
    assert_int_equal(strncmp(said, "-ERR unknown subcommand", 23), 0);
    assert_non_null(
        strstr(said, "-ERR unknown command 'nosuch', with args beginning with: 'a' 'b' "));
    assert_non_null(strstr(said, "\r\n$3\r\na b\r\n"));
    cluster_deinit(cluster);
}

/* Goal: connections end with all their replies. Method: QUIT, KILL, nonsense, one too many. */
static void endings(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    struct cluster_node *at = &cluster->nodes[1];
    edge_open(cluster, 1, 2);
    edge_expect(cluster, 1, 2, "INCR n\r\nQUIT\r\nINCR n\r\n", ":1\r\n+OK\r\n");
    assert_true(at->clients[2].closed);
    edge_open(cluster, 1, 3);
    edge_send(cluster, 1, 3, "INCR n\r\n*1\r\n!x\r\nINCR n\r\n");
    edge_run_ms(cluster, 100);
    assert_int_equal(strncmp(edge_text(cluster, 1, 3), ":2\r\n-ERR Protocol error", 23), 0);
    assert_true(at->clients[3].closed);
    edge_expect(cluster, 1, 1, "GET n\r\n", "$1\r\n2\r\n");
    edge_close(cluster, 1, 2);
    edge_close(cluster, 1, 3);
    for (uint64_t c = 2; c <= MOOT_CLIENTS_MAX; c++) {
        edge_open(cluster, 1, 1000 + c);
    }
    edge_run_ms(cluster, 5);
    uint32_t before = at->closings;
    edge_open(cluster, 1, 4);
    edge_wait(cluster, 1, 4, "-ERR max number of clients reached\r\n");
    assert_int_equal(at->closings, before + 1);
    assert_true(at->clients[4].closed);
    edge_close(cluster, 1, 4);
    edge_close(cluster, 1, 1002);
    edge_open(cluster, 1, 5);
    edge_expect(cluster, 1, 5, "PING\r\n", "+PONG\r\n");
    cluster_deinit(cluster);
}

/* Goal: time to live. Method: a due key is absent at once and gone from the count, read or not. */
static void keys_that_are_due(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster);
    edge_expect(cluster, id, 1, "SET a 1 PX 100\r\nSET b 1 PX 100\r\nDBSIZE\r\n",
                "+OK\r\n+OK\r\n:3\r\n");
    edge_run_ms(cluster, 102);
    edge_expect(cluster, id, 1, "GET a\r\n", "$-1\r\n");
    edge_run_ms(cluster, 3000);
    edge_expect(cluster, id, 1, "DBSIZE\r\n", ":1\r\n");
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transactions),
        cmocka_unit_test(states_of_a_connection),
        cmocka_unit_test(endings),
        cmocka_unit_test(keys_that_are_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
