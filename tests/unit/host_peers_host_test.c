/* Links between servers, and a brain that is exchanged beneath its clients; the brain is one of the
 * test's own (host_server.h). */
#include "host_server.h"

static struct server *peer_make(moot_node_id self, moot_node_id other, int *own_port,
                                int other_port)
{
    struct server *server = server_make();
    server->identity.node = self;
    server->options.peer_fd = listen_any(own_port);
    snprintf(server->identity.self.peer, MOOT_ADDRESS_MAX, "127.0.0.1:%d", *own_port);
    server->node.peer.node = other;
    snprintf(server->node.peer.peer, MOOT_ADDRESS_MAX, "127.0.0.1:%d", other_port);
    return server;
}

static void await(int fd, const char *question, const char *answer)
{
    for (int i = 0; i < 1000000; i++) {
        if (strcmp(ask(fd, question), answer) == 0) {
            return;
        }
    }
    fail_msg("%s never answered %s", question, answer);
}

/* Two nodes that know each other's address, not started yet. */
struct pair {
    int port_one, port_two, port_holder;
    struct server *one, *two;
};

static struct pair pair_make(void)
{
    struct pair pair = {0};
    /* Known before it starts, as in a configuration. A socket that never listens keeps the port
     * ours while nobody does: the kernel gives it to no other process meanwhile. */
    pair.port_holder = bind_to(&pair.port_two);
    pair.one = peer_make(1, 2, &pair.port_one, pair.port_two);
    pair.two = peer_make(2, 1, &pair.port_two, pair.port_one);
    return pair;
}

static void pair_end(struct pair *pair)
{
    server_stop(pair->one);
    server_stop(pair->two);
    server_free(pair->one);
    server_free(pair->two);
    close(pair->port_holder);
}

/* Goal: two nodes find each other, carry messages whole in both directions, and notice at once when
 * the other's process ends and when it is back. */
static void two_nodes_link_and_link_again(void **state)
{
    (void)state;
    struct pair pair = pair_make();
    struct server *one = pair.one, *two = pair.two;
    server_start(one);
    server_start(two);
    int fd_one = dial(one);
    int fd_two = dial(two);
    await(fd_one, "peer\n", "1 0 0");
    await(fd_two, "peer\n", "1 0 0");
    put(fd_one, "send 10\n");
    await(fd_two, "inbox\n", "12 <>");
    put(fd_two, "send 5000000\n");
    await(fd_one, "inbox\n", "5000002 <>");
    close(fd_two);
    server_stop(two);
    await(fd_one, "peer\n", "1 1 0");
    server_free(two);
    two = pair.two = peer_make(2, 1, &pair.port_two, pair.port_one);
    two->options.incarnation = 2;
    server_start(two);
    await(fd_one, "peer\n", "2 1 0");
    close(fd_one);
    pair_end(&pair);
}

/* Goal: a node that was removed is told so, now and whenever it dials again. Method: the second of
 * two nodes ends the link; the first one, which dials, hears why each time. */
static void a_removed_node_is_told(void **state)
{
    (void)state;
    struct pair pair = pair_make();
    struct server *one = pair.one, *two = pair.two;
    server_start(one);
    server_start(two);
    int fd_one = dial(one);
    int fd_two = dial(two);
    await(fd_one, "peer\n", "1 0 0");
    await(fd_two, "peer\n", "1 0 0");
    put(fd_two, "refuse\n");
    unsigned ups = 0, downs = 0, status = 0;
    for (int i = 0; i < 1000000 && (downs < 3 || status != -MOOT_EREFUSED); i++) {
        assert_int_equal(sscanf(ask(fd_one, "peer\n"), "%u %u %u", &ups, &downs, &status), 3);
    }
    assert_true(downs >= 3);
    assert_int_equal(status, -MOOT_EREFUSED);
    await(fd_two, "peer\n", "1 1 1"); /* Its own wish. */
    close(fd_one);
    close(fd_two);
    pair_end(&pair);
}

/* Goal: who was removed, and knows nobody to ask, is dialed to hear of it, more than once. Method:
 * of two nodes that have no link only the one that tells knows an address; it learns nothing of a
 * link, since it wants none. */
static void a_removed_node_is_dialed(void **state)
{
    (void)state;
    struct pair pair = pair_make();
    struct server *one = pair.one, *two = pair.two;
    one->node.peer_told = two->node.peer_told = true; /* No links. */
    server_start(one);
    server_start(two);
    int fd_one = dial(one);
    int fd_two = dial(two);
    put(fd_two, "tell\n"); /* Also where it is the other one who dials for links. */
    unsigned ups = 0, downs = 0, status = 0;
    for (int i = 0; i < 1000000 && (downs < 3 || status != -MOOT_EREFUSED); i++) {
        assert_int_equal(sscanf(ask(fd_one, "peer\n"), "%u %u %u", &ups, &downs, &status), 3);
    }
    assert_true(ups >= 3 && downs >= 3);
    assert_int_equal(status, -MOOT_EREFUSED);
    await(fd_two, "peer\n", "0 0 0");
    put(fd_two, "refuse\n"); /* It is over. */
    close(fd_one);
    close(fd_two);
    pair_end(&pair);
}

/* Goal: nodes that were removed take no room for links that are wanted, however many they are; one
 * that was given up for others may link again, so that the brain can say it anew. Method: of two
 * linked nodes one is told of twice as many removed ones as there is room for; then it removes the
 * other one, which dials in vain until as many more have come. */
static void the_removed_take_no_room(void **state)
{
    (void)state;
    struct pair pair = pair_make();
    server_start(pair.one);
    server_start(pair.two);
    int fd_one = dial(pair.one);
    int fd_two = dial(pair.two);
    await(fd_one, "peer\n", "1 0 0");
    await(fd_two, "peer\n", "1 0 0");
    put(fd_two, "crowd\n");
    put(fd_two, "crowd\n");
    put(fd_one, "send 10\n");
    await(fd_two, "inbox\n", "12 <>");
    await(fd_two, "peer\n", "1 0 0");
    put(fd_two, "refuse\n");
    await(fd_two, "peer\n", "1 1 1");
    put(fd_two, "crowd\n");
    unsigned ups = 0, downs = 0, status = 0;
    for (int i = 0; i < 1000000 && ups < 2; i++) {
        assert_int_equal(sscanf(ask(fd_two, "peer\n"), "%u %u %u", &ups, &downs, &status), 3);
    }
    assert_int_equal(ups, 2);
    close(fd_one);
    close(fd_two);
    pair_end(&pair);
}

static bool wants(void *context)
{
    struct server *server = context;
    return atomic_exchange(&server->wants, false);
}

static struct moot_node *exchange(void *context, uint64_t *incarnation)
{
    struct server *server = context;
    sem_post(&server->opening);
    sem_wait(&server->go);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        server->node.connections[i].id = 0;
    }
    server->node.peer_told = false;
    server->node.waiting_count = 0;
    *incarnation = server->options.incarnation + 1;
    return &server->node;
}

/* Bytes from one socket to another, at most so many at a time; false: there was nothing. */
static bool relay(int from, int to, size_t most)
{
    char bytes[65536];
    ssize_t got = recv(from, bytes, most < sizeof(bytes) ? most : sizeof(bytes), MSG_DONTWAIT);
    for (ssize_t sent = 0; sent < got;) {
        ssize_t taken = send(to, bytes + sent, (size_t)(got - sent), MSG_NOSIGNAL);
        assert_true(taken > 0);
        sent += taken;
    }
    return got > 0;
}

/* Goal: of a large message that takes its time the brain hears now and then, and then gets it
 * whole. Method: the link leads over a relay that carries little at a time. */
static void parts_of_a_large_message_are_told(void **state)
{
    (void)state;
    struct pair pair = pair_make();
    int relay_port = 0, listener = listen_any(&relay_port);
    snprintf(pair.one->node.peer.peer, MOOT_ADDRESS_MAX, "127.0.0.1:%d", relay_port);
    server_start(pair.one);
    server_start(pair.two);
    int fd_one = dial(pair.one), fd_two = dial(pair.two);
    struct server target = {.port = pair.port_two};
    int left = accept(listener, NULL, NULL), right = dial(&target);
    unsigned long long parts = 0, bytes = 0;
    while (strcmp(ask(fd_one, "peer\n"), "1 0 0") != 0 ||
           strcmp(ask(fd_two, "peer\n"), "1 0 0") != 0) {
        relay(left, right, SIZE_MAX);
        relay(right, left, SIZE_MAX);
    }
    put(fd_two, "send 5000000\n");
    while (parts < 3) {
        relay(left, right, SIZE_MAX);
        relay(right, left, 64);
        assert_int_equal(sscanf(ask(fd_one, "parts\n"), "%llu %llu", &parts, &bytes), 2);
        assert_true(bytes < 5000000);
    }
    while (strcmp(ask(fd_one, "inbox\n"), "5000002 <>") != 0) {
        relay(left, right, SIZE_MAX);
        relay(right, left, SIZE_MAX);
    }
    int const fds[] = {fd_one, fd_two, listener, left, right};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(fds); i++) {
        close(fds[i]);
    }
    pair_end(&pair);
}

/* Goal: when a brain is exchanged, clients keep their connections, what they send meanwhile comes
 * to the next brain, also of new ones; links are made anew. Method: a client before, during and
 * after; a reply of a megabyte that is not taken yet; a second node. */
static void the_brain_is_exchanged_beneath_its_clients(void **state)
{
    (void)state;
    struct pair pair = pair_make();
    struct server *one = pair.one, *two = pair.two;
    one->options.reopen.context = one;
    one->options.reopen.wanted = wants;
    one->options.reopen.perform = exchange;
    sem_init(&one->opening, 0, 0);
    sem_init(&one->go, 0, 0);
    server_start(one);
    server_start(two);
    int fd_two = dial(two);
    await(fd_two, "peer\n", "1 0 0");
    int before = dial(one), slow = dial(one);
    assert_string_equal(ask(before, "echo a\n"), "a");
    put(slow, "big 8000000\n");
    put(before, "durable b\n");
    assert_string_equal(get(before), "b");
    atomic_store(&one->wants, true); /* Some turn comes soon. */
    sem_wait(&one->opening);
    int during = dial(one);
    put(during, "echo d\n");
    put(before, "echo e\n");
    sem_post(&one->go);
    assert_string_equal(get(before), "e");
    assert_string_equal(get(during), "d");
    int after = dial(one);
    assert_string_equal(ask(after, "echo f\n"), "f");
    for (size_t left = 8000000; left > 0;) {
        char bytes[65536];
        ssize_t got = recv(slow, bytes, sizeof(bytes), 0);
        assert_true(got > 0);
        left -= (size_t)got;
    }
    assert_string_equal(ask(slow, "echo g\n"), "g");
    await(fd_two, "peer\n", "2 1 0");
    int const fds[] = {before, during, after, slow, fd_two};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(fds); i++) {
        close(fds[i]);
    }
    pair_end(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_nodes_link_and_link_again),
        cmocka_unit_test(a_removed_node_is_told),
        cmocka_unit_test(a_removed_node_is_dialed),
        cmocka_unit_test(the_removed_take_no_room),
        cmocka_unit_test(parts_of_a_large_message_are_told),
        cmocka_unit_test(the_brain_is_exchanged_beneath_its_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
