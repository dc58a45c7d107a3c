/* CLIENT, as Redis words it: texts written down from a Redis 7.0 (SETINFO and MAXAGE: from the
 * documentation of 7.2 and 7.4). */
#include <string.h>

#include "edge_clients.h"

/* Goal: every form that Redis refuses is refused in its words, and what changes nothing is
 * accepted. Method: a table of lines. */
static void texts_are_those_of_redis(void **state)
{
    (void)state;
    static const struct {
        const char *line, *reply;
    } cases[] = {
        {"", "-ERR wrong number of arguments for 'client' command\r\n"},
        {" nosuch", "-ERR unknown subcommand 'nosuch'. Try CLIENT HELP.\r\n"},
        {" kill", "-ERR wrong number of arguments for 'client|kill' command\r\n"},
        {" kill 1.2.3.4:5", "-ERR No such client\r\n"},
        {" kill id", "-ERR No such client\r\n"},
        {" kill id x", "-ERR client-id should be greater than 0\r\n"},
        {" kill id 0", "-ERR client-id should be greater than 0\r\n"},
        {" kill id 999", ":0\r\n"},
        {" kill addr 1.2.3.4:5", ":0\r\n"},
        {" kill id 999 type nosuch", "-ERR Unknown client type 'nosuch'\r\n"},
        {" kill type normal skipme maybe", "-ERR syntax error\r\n"},
        {" kill user nosuch", "-ERR No such user 'nosuch'\r\n"},
        {" kill user default id 999", ":0\r\n"},
        {" kill a b c", "-ERR syntax error\r\n"},
        {" kill laddr 127.0.0.1:1", ":0\r\n"},
        {" no-evict", "-ERR wrong number of arguments for 'client|no-evict' command\r\n"},
        {" no-evict maybe", "-ERR syntax error\r\n"},
        {" no-evict on", "+OK\r\n"},
        {" no-touch off", "+OK\r\n"},
        {" no-evict on off", "-ERR wrong number of arguments for 'client|no-evict' command\r\n"},
        {" list type nosuch", "-ERR Unknown client type 'nosuch'\r\n"},
        {" list id", "-ERR syntax error\r\n"},
        {" list id x", "-ERR Invalid client ID\r\n"},
        {" list id 999", "$0\r\n\r\n"},
        {" list foo", "-ERR syntax error\r\n"},
        {" list type master", "$0\r\n\r\n"},
        {" setname", "-ERR wrong number of arguments for 'client|setname' command\r\n"},
        {" setname 'a b'",
         "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"},
        {" getname x", "-ERR wrong number of arguments for 'client|getname' command\r\n"},
        {" id x", "-ERR wrong number of arguments for 'client|id' command\r\n"},
        {" info x", "-ERR wrong number of arguments for 'client|info' command\r\n"},
        {" setinfo lib-name", "-ERR wrong number of arguments for 'client|setinfo' command\r\n"},
        {" setinfo lib-nam x", "-ERR Unrecognized option 'lib-nam'\r\n"},
        {" setinfo lib-ver 'a b'",
         "-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n"},
        {" setinfo LIB-NAME x(y)", "+OK\r\n"},
        {" unblock", "-ERR wrong number of arguments for 'client|unblock' command\r\n"},
        {" unblock x", "-ERR value is not an integer or out of range\r\n"},
        {" unblock 999", ":0\r\n"},
        {" unblock 999 maybe", "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n"},
        {" unblock 999 error", ":0\r\n"},
        {" caching yes", "-ERR CLIENT CACHING can be called only when the client is in tracking "
                         "mode with OPTIN or OPTOUT mode enabled\r\n"},
        {" reply", "-ERR wrong number of arguments for 'client|reply' command\r\n"},
        {" reply maybe", "-ERR syntax error\r\n"},
        {" reply on", "+OK\r\n"},
        {" getredir", ":-1\r\n"},
        {" tracking off", "+OK\r\n"},
        {" trackinginfo", "*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$"
                          "8\r\nprefixes\r\n*0\r\n"},
        {" unpause", "+OK\r\n"},
    };
    struct cluster *cluster = edge_cluster(1);
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        char line[256];
        snprintf(line, sizeof(line), "CLIENT%s\r\n", cases[i].line);
        edge_expect(cluster, 1, 1, line, cases[i].reply);
    }
    cluster_deinit(cluster);
}

/* The number that CLIENT ID gives to a connection. */
static unsigned number_of(struct cluster *cluster, uint64_t connection)
{
    unsigned number = 0;
    edge_send(cluster, 1, connection, "CLIENT ID\r\n");
    edge_run_ms(cluster, 5);
    assert_int_equal(sscanf(edge_text(cluster, 1, connection), ":%u\r\n", &number), 1);
    return number;
}

/* Goal: the list tells each client's state. Method: one that waits, one in a transaction with a
 * name and a library, one that is idle. */
static void the_list_tells_states(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(1);
    for (uint64_t c = 2; c <= 4; c++) {
        edge_open(cluster, 1, c);
    }
    unsigned idle = number_of(cluster, 4);
    edge_run_ms(cluster, 3000);
    edge_send(cluster, 1, 2, "BLPOP l 0\r\n");
    edge_send(
        cluster, 1, 3,
        "HELLO 3\r\nCLIENT SETNAME bob\r\nCLIENT SETINFO lib-name lib\r\nCLIENT SETINFO lib-ver "
        "1.2\r\nSELECT 3\r\nMULTI\r\nGET a\r\n");
    edge_run_ms(cluster, 100);
    edge_send(cluster, 1, 1, "CLIENT LIST\r\n");
    edge_run_ms(cluster, 5);
    const char *text = edge_text(cluster, 1, 1);
    const char *lines[4] = {strstr(text, "cmd=client "), strstr(text, "flags=b "),
                            strstr(text, "name=bob "), NULL};
    for (int i = 0; i < 3; i++) {
        assert_non_null(lines[i]);
    }
    assert_non_null(strstr(lines[1], "cmd=blpop "));
    assert_non_null(strstr(lines[2], "flags=x db=3 "));
    assert_non_null(strstr(lines[2], "multi=1 "));
    assert_non_null(strstr(lines[2], "resp=3 lib-name=lib lib-ver=1.2\n"));
    char line[64];
    snprintf(line, sizeof(line), "CLIENT LIST ID %u 998\r\n", idle);
    edge_send(cluster, 1, 1, line);
    edge_run_ms(cluster, 5);
    text = edge_text(cluster, 1, 1);
    assert_non_null(strstr(text, " age=3 idle=3 flags=N "));
    assert_null(strstr(text, "bob"));
    cluster_deinit(cluster);
}

/* Goal: KILL ends whom it names and nobody else, and who waits is gone at once. Method: by number,
 * by age; itself only when asked to; an element pushed after the waiter was killed stays. */
static void who_is_killed_is_gone(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(1);
    struct cluster_node *at = &cluster->nodes[1];
    char line[64];
    edge_open(cluster, 1, 2);
    edge_open(cluster, 1, 3);
    unsigned second = number_of(cluster, 2);
    edge_send(cluster, 1, 2, "BLPOP l 0\r\n");
    edge_run_ms(cluster, 100);
    snprintf(line, sizeof(line), "CLIENT KILL ID %u\r\n", second);
    edge_expect(cluster, 1, 1, line, ":1\r\n");
    assert_true(at->clients[2].closed);
    assert_false(at->clients[3].closed);
    edge_close(cluster, 1, 2); /* As the driver does then. */
    edge_expect(cluster, 1, 1, "RPUSH l x\r\nLLEN l\r\n", ":1\r\n:1\r\n");
    edge_expect(cluster, 1, 1, "CLIENT KILL MAXAGE 100\r\n", ":0\r\n");
    edge_run_ms(cluster, 2000);
    edge_open(cluster, 1, 4);
    edge_expect(cluster, 1, 4, "PING\r\n", "+PONG\r\n");
    edge_expect(cluster, 1, 1, "CLIENT KILL MAXAGE 2 SKIPME YES\r\n", ":1\r\n");
    assert_true(at->clients[3].closed);
    assert_false(at->clients[4].closed);
    edge_close(cluster, 1, 3);
    snprintf(line, sizeof(line), "CLIENT KILL ID %u\r\n", number_of(cluster, 1));
    edge_expect(cluster, 1, 1, line, ":0\r\n");
    snprintf(line, sizeof(line), "CLIENT KILL ID %u SKIPME NO\r\n", number_of(cluster, 4));
    edge_expect(cluster, 1, 4, line, ":1\r\n"); /* Its reply, then the end. */
    assert_true(at->clients[4].closed);
    cluster_deinit(cluster);
}

/* Goal: an element on its way to a client that is killed is not lost, also while the driver has not
 * told yet that it is gone. Method: KILL at every turn after the push. */
static void what_comes_for_one_that_is_killed_stays(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    char line[64];
    for (int turns = 0; turns < 16; turns++) {
        edge_open(cluster, 1, 2);
        unsigned second = number_of(cluster, 2);
        edge_send(cluster, 1, 2, "BLPOP l 0\r\n");
        edge_run_ms(cluster, turns % 2 == 0 ? 100 : 0); /* It waits; or this is its first try. */
        edge_open(cluster, 2, 3);
        edge_send(cluster, 2, 3, "RPUSH l x\r\n");
        edge_turns(cluster, turns / 2);
        bool served = cluster_replies(&cluster->nodes[1], 2)->size > 0;
        snprintf(line, sizeof(line), "CLIENT KILL ID %u\r\n", second);
        edge_expect(cluster, 1, 1, line, ":1\r\n");
        edge_run_ms(cluster, 300);
        served = served || cluster_replies(&cluster->nodes[1], 2)->size > 0;
        edge_close(cluster, 1, 2);
        edge_close(cluster, 2, 3);
        edge_run_ms(cluster, 300);
        edge_expect(cluster, 1, 1, "LPOP l\r\n", served ? "$-1\r\n" : "$1\r\nx\r\n");
    }
    cluster_deinit(cluster);
}

/* Goal: a client that waits can be told to stop waiting; what comes later is not its. Method:
 * UNBLOCK in both forms; a push after it. */
static void who_waits_can_be_unblocked(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    static const char *const how[] = {"", " TIMEOUT", " ERROR"};
    edge_open(cluster, 1, 2);
    for (size_t i = 0; i < MOOT_ARRAY_LEN(how); i++) {
        char line[64];
        unsigned number = number_of(cluster, 2);
        snprintf(line, sizeof(line), "CLIENT UNBLOCK %u%s\r\n", number, how[i]);
        edge_send(cluster, 1, 2, "BLPOP l 0\r\nPING\r\n");
        edge_run_ms(cluster, 100);
        edge_expect(cluster, 1, 1, line, ":1\r\n");
        edge_wait(cluster, 1, 2,
                  i == 2 ? "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n+PONG\r\n"
                         : "*-1\r\n+PONG\r\n");
        edge_expect(cluster, 1, 1, line, ":0\r\n");
    }
    edge_expect(cluster, 1, 1, "RPUSH l x\r\n", ":1\r\n");
    edge_run_ms(cluster, 300);
    edge_expect(cluster, 1, 1, "LLEN l\r\n", ":1\r\n");
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_those_of_redis),
        cmocka_unit_test(the_list_tells_states),
        cmocka_unit_test(who_is_killed_is_gone),
        cmocka_unit_test(what_comes_for_one_that_is_killed_stays),
        cmocka_unit_test(who_waits_can_be_unblocked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
