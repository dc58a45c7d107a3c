#include "node_cluster.h"

static struct cluster *make(uint32_t count, uint32_t wouldblock)
{
    struct cluster *cluster = moot_alloc_zero(sizeof(*cluster));
    cluster_init(cluster, count, wouldblock);
    return cluster;
}

/* Goal: one node is a cluster. Method: a write and reads through a pipeline. */
static void one_node_serves(void **state)
{
    (void)state;
    struct cluster *cluster = make(1, 0);
    cluster_expect(cluster, 1, "SET a 1\r\nGET a\r\nINCR a\r\nGET a\r\n",
                   "+OK\r\n$1\r\n1\r\n:2\r\n$1\r\n2\r\n");
    cluster_expect(cluster, 1, "PING\r\nGET nothing\r\n", "+PONG\r\n$-1\r\n");
    cluster_deinit(cluster);
}

/* Goal: any node serves any key, in the order of the pipeline. Method: pipelines to each of three
 * nodes. */
static void three_nodes_serve(void **state)
{
    (void)state;
    struct cluster *cluster = make(3, 3);
    for (uint32_t id = 1; id <= 3; id++) {
        cluster_expect(cluster, id, "SET k 1\r\nGET k\r\nSET k 2\r\nGET k\r\nDEL k\r\nGET k\r\n",
                       "+OK\r\n$1\r\n1\r\n+OK\r\n$1\r\n2\r\n:1\r\n$-1\r\n");
    }
    cluster_deinit(cluster);
}

/* Goal: EXEC holds WATCH's promise from any node. Method: a change between WATCH and EXEC, and
 * none. */
static void exec_with_watch_on_a_follower(void **state)
{
    (void)state;
    struct cluster *cluster = make(3, 3);
    cluster_expect(cluster, 1, "SET w 1\r\n", "+OK\r\n");
    uint32_t follower = cluster_leader(cluster) % 3 + 1;
    uint32_t other = follower % 3 + 1;
    cluster_expect(cluster, follower, "WATCH w\r\nMULTI\r\nINCR w\r\nGET w\r\n",
                   "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n");
    cluster_expect(cluster, follower, "EXEC\r\n", "*2\r\n:2\r\n$1\r\n2\r\n");
    cluster_expect(cluster, follower, "WATCH w\r\nMULTI\r\nINCR w\r\n",
                   "+OK\r\n+OK\r\n+QUEUED\r\n");
    cluster_expect(cluster, other, "SET w 9\r\n", "+OK\r\n");
    cluster_expect(cluster, follower, "EXEC\r\nGET w\r\n", "*-1\r\n$1\r\n9\r\n");
    cluster_deinit(cluster);
}

/* Goal: a blocked client gets what is pushed, from any node. Method: BLPOP on one, RPUSH on
 * another. */
static void blocked_client_is_served(void **state)
{
    (void)state;
    struct cluster *cluster = make(3, 3);
    cluster_send(cluster, 1, "BLPOP l 0\r\n");
    for (int i = 0; i < 5000; i++) {
        cluster_step(cluster);
    }
    assert_int_equal(cluster->nodes[1].replies.size, 0);
    cluster_send(cluster, 2, "RPUSH l x\r\n");
    for (int i = 0; i < 5000; i++) {
        cluster_step(cluster);
    }
    assert_true(moot_slice_equal(moot_buffer_slice(&cluster->nodes[1].replies),
                                 moot_slice_text("*2\r\n$1\r\nl\r\n$1\r\nx\r\n")));
    cluster_expect(cluster, 3, "LLEN l\r\n", ":0\r\n");
    cluster_expect(cluster, 3, "BLPOP l 0.01\r\n", "*-1\r\n");
    cluster_deinit(cluster);
}

/* Goal: killing the leader is a pause for clients of the others. Method: a write in flight when it
 * dies. */
static void leader_dies_and_a_write_goes_on(void **state)
{
    (void)state;
    struct cluster *cluster = make(3, 3);
    cluster_expect(cluster, 1, "SET c 0\r\n", "+OK\r\n");
    uint32_t leader = cluster_leader(cluster);
    uint32_t survivor = leader % 3 + 1;
    cluster_send(cluster, survivor, "INCR c\r\n");
    cluster_step(cluster);
    cluster_kill(cluster, leader);
    for (int i = 0; i < 100000 && cluster->nodes[survivor].replies.size < 4; i++) {
        cluster_step(cluster);
    }
    assert_true(moot_slice_equal(moot_buffer_slice(&cluster->nodes[survivor].replies),
                                 moot_slice_text(":1\r\n")));
    cluster_open(cluster, leader, 3);
    cluster_expect(cluster, leader, "GET c\r\n", "$1\r\n1\r\n");
    cluster_deinit(cluster);
}

static uint32_t known_nodes(struct cluster *cluster)
{
    cluster_send(cluster, 1, "MOOT STATUS\r\n");
    struct moot_buffer *replies = &cluster->nodes[1].replies;
    for (int i = 0; i < 10000 && replies->size == 0; i++) {
        cluster_step(cluster);
    }
    moot_buffer_append(replies, "", 1);
    uint32_t count = 0;
    for (const char *at = (char *)replies->data; (at = strstr(at, "\"role\":")) != NULL; at++) {
        count++;
    }
    return count;
}

/* Goal: only who knows the secret gets an identity; who does not changes nothing. Method: no nonce,
 * no proof, a wrong secret, the right one, and its proof once more on the same nonce. */
static void joining_takes_the_secret(void **state)
{
    (void)state;
    struct cluster *cluster = make(1, 0);
    char reply[4096], used[256];
    cluster_expect(cluster, 1, "SET a 1\r\n", "+OK\r\n");
    cluster_send(cluster, 1, "MOOT JOIN a:1 b:2\r\nMOOT JOIN a:1 b:2 00\r\n");
    for (int i = 0; i < 1000; i++) {
        cluster_step(cluster);
    }
    moot_buffer_append(&cluster->nodes[1].replies, "", 1);
    const char *said = (char *)cluster->nodes[1].replies.data;
    assert_non_null(strstr(said, "-NOAUTH joining takes a proof"));
    assert_non_null(strstr(said, "-NOAUTH no nonce was given"));
    cluster_join(cluster, "another secret of another cluster", reply);
    assert_non_null(strstr(reply, "-WRONGPASS wrong cluster secret"));
    assert_int_equal(known_nodes(cluster), 1);
    cluster_join(cluster, "the secret of the cluster", reply);
    assert_int_equal(reply[0], '$');
    assert_int_equal(known_nodes(cluster), 2);
    snprintf(used, sizeof(used), "MOOT JOIN a:1 b:2 %064d\r\n", 0);
    cluster_send(cluster, 1, used);
    for (int i = 0; i < 1000; i++) {
        cluster_step(cluster);
    }
    moot_buffer_append(&cluster->nodes[1].replies, "", 1);
    assert_non_null(strstr((char *)cluster->nodes[1].replies.data, "-NOAUTH no nonce was given"));
    assert_int_equal(known_nodes(cluster), 2);
    cluster_deinit(cluster);
}

static struct {
    uint32_t fetches;
    uint64_t most;
} fetched;

static void count_fetches(const struct moot_effect *effect)
{
    if (effect->kind == MOOT_EFFECT_FETCH && effect->fetch.range_count > 0) {
        fetched.fetches++;
        fetched.most = moot_max_u64(fetched.most, effect->fetch.range_limit);
        assert_non_null(effect->fetch.reverse);
        assert_false(effect->fetch.reverse[0]);
    }
}

/* Goal: a long range that is in no memory is read in few fetches, each larger than the one before.
 * Method: a hash of 60,000 fields, read by a node that has just started. */
static void a_long_range_takes_few_fetches(void **state)
{
    (void)state;
    enum { FIELDS = 60000, AT_ONCE = 1000 };
    struct cluster *cluster = make(1, 1);
    cluster->quiet = true;
    struct moot_buffer command;
    moot_buffer_init(&command);
    for (uint32_t i = 0; i < FIELDS; i += AT_ONCE) {
        moot_buffer_reset(&command, 1 << 20);
        moot_buffer_append_text(&command, "HSET h");
        for (uint32_t k = i; k < i + AT_ONCE; k++) {
            moot_buffer_append_text(&command, " field");
            moot_buffer_append_u64(&command, k);
            moot_buffer_append_text(&command, " v");
        }
        moot_buffer_append(&command, "\r\n", 3);
        cluster_expect(cluster, 1, (char *)command.data, ":1000\r\n");
    }
    moot_buffer_deinit(&command);
    for (int i = 0; i < 2000; i++) { /* What was written reaches the store. */
        cluster_step(cluster);
    }
    moot_node_close(cluster->nodes[1].node);
    moot_buffer_deinit(&cluster->nodes[1].replies);
    cluster->nodes[1].input_count = 0;
    cluster->read_elements = 2 * FIELDS; /* Within a turn. */
    cluster_open(cluster, 1, 1);
    cluster->watch = count_fetches;
    cluster_expect(cluster, 1, "HLEN h\r\n", ":60000\r\n");
    memset(&fetched, 0, sizeof(fetched));
    cluster_send(cluster, 1, "HVALS h\r\n");
    size_t size = strlen("*60000\r\n") + FIELDS * strlen("$1\r\nv\r\n");
    for (int i = 0; i < 200000 && cluster->nodes[1].replies.size < size; i++) {
        cluster_step(cluster);
    }
    assert_int_equal(cluster->nodes[1].replies.size, size);
    assert_true(fetched.fetches >= 2);
    assert_true(fetched.fetches <= 5);
    assert_true(fetched.most > MOOT_FETCH_ENTRIES);
    cluster_deinit(cluster);
}

static uint32_t closings;

static void count_closings(const struct moot_effect *effect)
{
    closings += effect->kind == MOOT_EFFECT_CLIENT_CLOSE;
}

static void end_input(struct cluster *cluster, uint32_t id)
{
    struct moot_input ended = {.kind = MOOT_INPUT_CLIENT_ENDED, .connection = 1};
    cluster_input(&cluster->nodes[id], ended, &cluster->arena);
}

/* Goal: who sends no more gets its replies, then is closed; nobody takes an element for who may
 * have gone. Method: half a close behind commands to a follower, behind an EXEC, and in a BLPOP. */
static void who_sends_no_more_gets_its_replies(void **state)
{
    (void)state;
    struct cluster *cluster = make(3, 0);
    cluster->watch = count_closings;
    cluster_expect(cluster, 1, "SET a 0\r\n", "+OK\r\n");
    uint32_t leader = cluster_leader(cluster), first = leader % 3 + 1, second = first % 3 + 1;
    closings = 0;
    cluster_send(cluster, first, "INCR a\r\nMULTI\r\nINCR a\r\nEXEC\r\nGET a\r\n");
    end_input(cluster, first);
    cluster_send(cluster, second, "BLPOP list 0\r\n");
    for (int i = 0; i < 20000; i++) {
        cluster_step(cluster);
    }
    assert_true(
        moot_slice_equal(moot_buffer_slice(&cluster->nodes[first].replies),
                         moot_slice_text(":1\r\n+OK\r\n+QUEUED\r\n*1\r\n:2\r\n$1\r\n2\r\n")));
    assert_int_equal(closings, 1);
    end_input(cluster, second);
    for (int i = 0; i < 1000; i++) {
        cluster_step(cluster);
    }
    assert_int_equal(closings, 2);
    cluster_expect(cluster, leader, "RPUSH list x\r\n", ":1\r\n");
    cluster_expect(cluster, leader, "LLEN list\r\n", ":1\r\n");
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_node_serves),
        cmocka_unit_test(three_nodes_serve),
        cmocka_unit_test(exec_with_watch_on_a_follower),
        cmocka_unit_test(blocked_client_is_served),
        cmocka_unit_test(leader_dies_and_a_write_goes_on),
        cmocka_unit_test(joining_takes_the_secret),
        cmocka_unit_test(who_sends_no_more_gets_its_replies),
        cmocka_unit_test(a_long_range_takes_few_fetches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
