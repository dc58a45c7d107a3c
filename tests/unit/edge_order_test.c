/* Order, limits and time-outs of commands at an edge. */
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

#include "edge_clients.h"

enum { KEYS = 4 };

struct model {
    bool there[KEYS];
    int64_t value[KEYS];
};

static void model_value(const struct model *model, uint64_t key, struct moot_buffer *out)
{
    char text[64], digits[32];
    if (!model->there[key]) {
        moot_buffer_append_text(out, "$-1\r\n");
        return;
    }
    snprintf(digits, sizeof(digits), "%lld", (long long)model->value[key]);
    snprintf(text, sizeof(text), "$%zu\r\n%s\r\n", strlen(digits), digits);
    moot_buffer_append_text(out, text);
}

static void random_command(struct moot_rng *rng, struct model *model, struct moot_buffer *in,
                           struct moot_buffer *out)
{
    char text[96];
    uint64_t key = moot_rng_below(rng, KEYS), kind = moot_rng_below(rng, 8);
    if (kind == 0) {
        int64_t value = (int64_t)moot_rng_below(rng, 1000);
        snprintf(text, sizeof(text), "SET k%d %d\r\n", (int)key, (int)value);
        model->there[key] = true;
        model->value[key] = value;
        moot_buffer_append_text(in, text);
        moot_buffer_append_text(out, "+OK\r\n");
    } else if (kind == 1) {
        snprintf(text, sizeof(text), "DEL k%d\r\n", (int)key);
        moot_buffer_append_text(in, text);
        moot_buffer_append_text(out, model->there[key] ? ":1\r\n" : ":0\r\n");
        model->there[key] = false;
    } else if (kind <= 3) {
        snprintf(text, sizeof(text), "INCR k%d\r\n", (int)key);
        moot_buffer_append_text(in, text);
        model->value[key] = (model->there[key] ? model->value[key] : 0) + 1;
        model->there[key] = true;
        snprintf(text, sizeof(text), ":%lld\r\n", (long long)model->value[key]);
        moot_buffer_append_text(out, text);
    } else if (kind == 4) {
        moot_buffer_append_text(in, "PING\r\n");
        moot_buffer_append_text(out, "+PONG\r\n");
    } else {
        snprintf(text, sizeof(text), "GET k%d\r\n", (int)key);
        moot_buffer_append_text(in, text);
        model_value(model, key, out);
    }
}

/* Goal: a pipeline means what it would mean one by one. Method: 200 random pipelines, cut into
 * pieces at random, to a follower, against a naive map. */
static void pipelines_keep_their_order(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster);
    struct moot_rng rng;
    moot_rng_init(&rng, 7);
    struct model model = {0};
    for (int round = 0; round < 200; round++) {
        struct moot_buffer in, out;
        moot_buffer_init(&in);
        moot_buffer_init(&out);
        for (uint64_t i = 1 + moot_rng_below(&rng, 30); i > 0; i--) {
            random_command(&rng, &model, &in, &out);
        }
        moot_buffer_append(&out, "", 1);
        edge_send_pieces(cluster, id, &rng, 60, moot_buffer_slice(&in));
        edge_wait(cluster, id, 1, (const char *)out.data);
        moot_buffer_deinit(&in);
        moot_buffer_deinit(&out);
    }
    cluster_deinit(cluster);
}

/* Goal: a read sees none of the writes behind it, also when it is asked again after a fail-over: by
 * then they may be in the log. Method: GET, a while, SET, a while, then the leader is cut off. */
static void a_read_stays_before_the_writes_behind_it(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    for (int between = 0; between < 4; between++) {
        for (int after = 0; after < 8; after++) {
            uint32_t leader = cluster_leader(cluster), id = edge_follower(cluster);
            edge_open(cluster, id, 2);
            edge_expect(cluster, id, 1, "SET k old\r\n", "+OK\r\n");
            if (between == 0) {
                edge_send(cluster, id, 2, "GET k\r\nLRANGE l 0 -1\r\nSET k new\r\nGET k\r\n");
            } else {
                edge_send(cluster, id, 2, "GET k\r\nLRANGE l 0 -1\r\n");
                edge_turns(cluster, between);
                edge_input(cluster, id, MOOT_INPUT_CLIENT_BYTES, 2, 0,
                           MOOT_SLICE_LITERAL("SET k new\r\nGET k\r\n"));
            }
            edge_turns(cluster, after);
            cluster->nodes[leader].cut = true;
            edge_wait(cluster, id, 2, "$3\r\nold\r\n*0\r\n+OK\r\n$3\r\nnew\r\n");
            edge_heal(cluster, leader);
            edge_close(cluster, id, 2);
            edge_run_ms(cluster, 1000);
        }
    }
    cluster_deinit(cluster);
}

/* Goal: the same when the write has an id. Method: as above, with WITH ID. */
static void a_read_stays_before_a_write_with_an_id(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    for (int between = 0; between < 3; between++) {
        for (int after = 0; after < 8; after++) {
            uint32_t leader = cluster_leader(cluster), id = edge_follower(cluster);
            edge_open(cluster, id, 2);
            edge_expect(cluster, id, 1, "SET k old\r\n", "+OK\r\n");
            edge_send(cluster, id, 2, "GET k\r\nLRANGE l 0 -1\r\n");
            edge_turns(cluster, between);
            char line[96];
            snprintf(line, sizeof(line), "WITH ID %llu:a SET k new\r\nGET k\r\n",
                     (unsigned long long)cluster->now.wall_ms);
            edge_input(cluster, id, MOOT_INPUT_CLIENT_BYTES, 2, 0, moot_slice_text(line));
            edge_turns(cluster, after);
            cluster->nodes[leader].cut = true;
            edge_wait(cluster, id, 2, "$3\r\nold\r\n*0\r\n+OK\r\n$3\r\nnew\r\n");
            edge_heal(cluster, leader);
            edge_close(cluster, id, 2);
            edge_run_ms(cluster, 1000);
        }
    }
    cluster_deinit(cluster);
}

/* WATCH of `count` keys of the greatest size, beginning with the number `from`. */
static void watch_large(struct moot_buffer *out, int from, int count)
{
    char head[64];
    uint8_t *key = moot_alloc(MOOT_KEY_MAX);
    memset(key, 'k', MOOT_KEY_MAX);
    snprintf(head, sizeof(head), "*%d\r\n$5\r\nWATCH\r\n", count + 1);
    moot_buffer_append_text(out, head);
    for (int i = from; i < from + count; i++) {
        memcpy(key, &i, sizeof(i));
        snprintf(head, sizeof(head), "$%d\r\n", (int)MOOT_KEY_MAX);
        moot_buffer_append_text(out, head);
        moot_buffer_append(out, key, MOOT_KEY_MAX);
        moot_buffer_append_text(out, "\r\n");
    }
    moot_free(key);
}

/* Goal: a transaction that no entry has room for is refused, and harms nobody. Method: one that
 * watches 23 MB of keys. */
static void watched_keys_that_fit_no_entry(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster);
    struct moot_buffer in;
    moot_buffer_init(&in);
    watch_large(&in, 0, 350);
    watch_large(&in, 350, 350);
    moot_buffer_append_text(&in, "MULTI\r\nSET a 1\r\nEXEC\r\nGET a\r\n");
    edge_open(cluster, id, 2);
    edge_input(cluster, id, MOOT_INPUT_CLIENT_BYTES, 2, 0, moot_buffer_slice(&in));
    edge_wait(cluster, id, 2,
              "+OK\r\n+OK\r\n+OK\r\n+QUEUED\r\n-EXECABORT Transaction discarded because of: it "
              "is too large\r\n$-1\r\n");
    edge_expect(cluster, id, 1, "SET b 1\r\n", "+OK\r\n");
    moot_buffer_deinit(&in);
    cluster_deinit(cluster);
}

/* Goal: a key that is too long to be one harms nobody. Method: it is watched at every node, also at
 * the leader, before a transaction. */
static void a_key_that_is_too_long_is_not_watched(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    for (uint32_t id = 1; id <= 3; id++) {
        struct moot_buffer in;
        moot_buffer_init(&in);
        char head[64];
        snprintf(head, sizeof(head), "*2\r\n$5\r\nWATCH\r\n$%d\r\n", MOOT_KEY_MAX + 1);
        moot_buffer_append_text(&in, head);
        memset(moot_buffer_reserve(&in, MOOT_KEY_MAX + 1), 'k', MOOT_KEY_MAX + 1);
        in.size += MOOT_KEY_MAX + 1;
        moot_buffer_append_text(&in, "\r\nMULTI\r\nSET a 1\r\nEXEC\r\n");
        edge_open(cluster, id, 2);
        edge_input(cluster, id, MOOT_INPUT_CLIENT_BYTES, 2, 0, moot_buffer_slice(&in));
        edge_wait(cluster, id, 2,
                  "-ERR a key is longer than 32768 bytes\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
        edge_expect(cluster, id, 1, "SET b 1\r\n", "+OK\r\n");
        moot_buffer_deinit(&in);
    }
    cluster_deinit(cluster);
}

/* Goal: a burst of cheap reads and writes costs one entry, not one for each change from reading to
 * writing; and what is sent while a write waits is limited. Method: entries of a mixed pipeline; 1
 * MB behind a GET and a SET without a majority. */
static void a_mixed_pipeline_is_one_entry(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster);
    edge_open(cluster, id, 2);
    struct moot_group_view before, after;
    moot_node_group(cluster->nodes[id].node, MOOT_GROUP_DB0, &before);
    edge_expect(cluster, id, 2, "GET a\r\nGET b\r\nSET a 1\r\nGET a\r\nSET b 2\r\nGET b\r\n",
                "$-1\r\n$-1\r\n+OK\r\n$1\r\n1\r\n+OK\r\n$1\r\n2\r\n");
    moot_node_group(cluster->nodes[id].node, MOOT_GROUP_DB0, &after);
    assert_int_equal(after.last - before.last, 1);
    for (uint32_t i = 1; i <= 3; i++) {
        cluster->nodes[i].cut = i != id;
    }
    edge_send(cluster, id, 2, "GET a\r\n");
    edge_turns(cluster, 3);
    struct cluster_client *client = &cluster->nodes[id].clients[2];
    uint32_t paused = client->pauses;
    char *large = moot_alloc(1000 * 1000);
    memset(large, 'x', 1000 * 1000);
    edge_input(cluster, id, MOOT_INPUT_CLIENT_BYTES, 2, 0, moot_slice_text("SET a 2\r\n"));
    edge_turns(cluster, 3);
    assert_int_equal(client->pauses, paused); /* It is little so far. */
    edge_input(cluster, id, MOOT_INPUT_CLIENT_BYTES, 2, 0,
               moot_slice_text("*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1000000\r\n"));
    edge_input(cluster, id, MOOT_INPUT_CLIENT_BYTES, 2, 0, moot_slice_make(large, 1000 * 1000));
    edge_input(cluster, id, MOOT_INPUT_CLIENT_BYTES, 2, 0, moot_slice_text("\r\n"));
    edge_turns(cluster, 3);
    assert_int_equal(client->pauses, paused + 1);
    moot_free(large);
    for (uint32_t i = 1; i <= 3; i++) {
        if (i != id) {
            edge_heal(cluster, i);
        }
    }
    edge_wait(cluster, id, 2, "$1\r\n1\r\n+OK\r\n+OK\r\n");
    assert_int_equal(client->resumes, client->pauses);
    cluster_deinit(cluster);
}

/* Goal: one turn's work is bounded, and what is left over is done in the next turns, which come at
 * once. Method: on a node that is its own majority every WATCH of a pipeline waits for the one
 * before it: a round of messages to itself each, more of them than a turn takes. */
static void what_a_turn_leaves_is_done_in_the_next(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(1);
    struct moot_buffer in, out;
    moot_buffer_init(&in);
    moot_buffer_init(&out);
    enum { WATCHES = 300 };
    for (int i = 0; i < WATCHES; i++) {
        moot_buffer_append_text(&in, "WATCH a\r\n");
        moot_buffer_append_text(&out, "+OK\r\n");
    }
    moot_buffer_append_text(&in, "SET a 2\r\nMULTI\r\nSET a 3\r\nEXEC\r\nGET a\r\n");
    moot_buffer_append_text(&out, "+OK\r\n+OK\r\n+QUEUED\r\n*-1\r\n$1\r\n2\r\n");
    moot_buffer_append(&in, "", 1);
    moot_buffer_append(&out, "", 1);
    edge_run_ms(cluster, 100);
    edge_send(cluster, 1, 1, (const char *)in.data);
    edge_turns(cluster, 1);
    size_t first = cluster->nodes[1].replies.size;
    assert_true(first > 0 && first < (size_t)WATCHES * 5);
    assert_true(cluster->nodes[1].deadline.ns <= cluster->now.instant.ns);
    edge_wait(cluster, 1, 1, (const char *)out.data);
    moot_buffer_deinit(&in);
    moot_buffer_deinit(&out);
    cluster_deinit(cluster);
}

/* Goal: one client cannot make the node queue without bound. Method: more commands at once than may
 * be unanswered, with no leader to answer; then all are answered in order. */
static void a_long_pipeline_is_paused(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t leader = cluster_leader(cluster), id = edge_follower(cluster);
    edge_open(cluster, id, 2);
    struct moot_buffer in, out;
    moot_buffer_init(&in);
    moot_buffer_init(&out);
    for (int i = 1; i <= 3 * MOOT_PIPELINE_MAX; i++) {
        char text[32];
        snprintf(text, sizeof(text), ":%d\r\n", i);
        moot_buffer_append_text(&in, "INCR n\r\n");
        moot_buffer_append_text(&out, text);
    }
    moot_buffer_append(&in, "", 1);
    moot_buffer_append(&out, "", 1);
    cluster->nodes[leader].cut = true;
    edge_send(cluster, id, 2, (const char *)in.data);
    edge_turns(cluster, 10);
    struct cluster_client *client = &cluster->nodes[id].clients[2];
    assert_int_equal(client->pauses, 1);
    assert_int_equal(client->resumes, 0);
    assert_int_equal(client->replies.size, 0);
    edge_wait(cluster, id, 2, (const char *)out.data);
    assert_true(client->resumes > 0 && client->resumes == client->pauses);
    moot_buffer_deinit(&in);
    moot_buffer_deinit(&out);
    cluster_deinit(cluster);
}

/* Goal: who does not read its replies is not read, then closed. Method: say what is unsent. */
static void a_slow_reader_is_paused_then_closed(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(1);
    edge_open(cluster, 1, 2);
    edge_expect(cluster, 1, 2, "PING\r\n", "+PONG\r\n");
    struct cluster_client *client = &cluster->nodes[1].clients[2];
    struct moot_slice none = {0};
    edge_input(cluster, 1, MOOT_INPUT_CLIENT_SENT, 2, MOOT_OUTPUT_SOFT + 1, none);
    edge_send(cluster, 1, 2, "PING\r\n");
    edge_turns(cluster, 10);
    assert_int_equal(client->replies.size, 0);
    assert_int_equal(client->pauses, 1);
    edge_input(cluster, 1, MOOT_INPUT_CLIENT_SENT, 2, 0, none);
    edge_wait(cluster, 1, 2, "+PONG\r\n");
    assert_int_equal(client->resumes, 1);
    edge_input(cluster, 1, MOOT_INPUT_CLIENT_SENT, 2, MOOT_OUTPUT_HARD, none);
    edge_turns(cluster, 10);
    assert_false(client->closed);
    edge_input(cluster, 1, MOOT_INPUT_CLIENT_SENT, 2, MOOT_OUTPUT_HARD + 1, none);
    edge_turns(cluster, 10);
    assert_true(client->closed);
    cluster_deinit(cluster);
}

/* Goal: a full queue is told at once, and nothing in it is lost or reordered. Method: more counting
 * than the queue holds from many clients while there is no leader. */
static void a_full_queue_says_so(void **state)
{
    (void)state;
    enum { CLIENTS = 100, FIRST = 2 };
    struct cluster *cluster = edge_cluster(3);
    uint32_t leader = cluster_leader(cluster), id = edge_follower(cluster);
    cluster->nodes[leader].cut = true;
    edge_run_ms(cluster, 10);
    struct moot_buffer in;
    moot_buffer_init(&in);
    for (int i = 0; i < MOOT_PIPELINE_MAX; i++) {
        moot_buffer_append_text(&in, "INCR n\r\n");
    }
    moot_buffer_append(&in, "", 1);
    for (uint64_t c = FIRST; c < FIRST + CLIENTS; c++) {
        edge_open(cluster, id, c);
        edge_send(cluster, id, c, (const char *)in.data);
    }
    edge_run_ms(cluster, 4000);
    int64_t done = 0, refused = 0;
    for (uint64_t c = FIRST; c < FIRST + CLIENTS; c++) {
        int64_t last = 0;
        char *save = NULL, *text = strdup(edge_text(cluster, id, c));
        for (char *line = strtok_r(text, "\r\n", &save); line != NULL;
             line = strtok_r(NULL, "\r\n", &save)) {
            if (line[0] == ':') {
                assert_true(atoll(line + 1) > last);
                last = atoll(line + 1);
                done++;
            } else {
                assert_non_null(strstr(line, "-OVERLOADED"));
                refused++;
            }
        }
        free(text);
    }
    assert_int_equal(done + refused, CLIENTS * MOOT_PIPELINE_MAX);
    assert_true(refused > 0 &&
                refused <= CLIENTS * MOOT_PIPELINE_MAX - MOOT_EDGE_QUEUE_COMMANDS_MAX);
    char expected[64], digits[32];
    snprintf(digits, sizeof(digits), "%lld", (long long)done);
    snprintf(expected, sizeof(expected), "$%zu\r\n%s\r\n", strlen(digits), digits);
    edge_expect(cluster, id, 1, "GET n\r\n", expected);
    moot_buffer_deinit(&in);
    cluster_deinit(cluster);
}

/* Goal: what waits for a leader is cut into batches that fit an entry. Method: more bytes than an
 * entry holds while there is no leader. */
static void large_values_wait_for_a_leader(void **state)
{
    (void)state;
    enum { SIZE = 7 * 1024 * 1024, COUNT = 5 };
    struct cluster *cluster = edge_cluster(3);
    uint32_t leader = cluster_leader(cluster), id = edge_follower(cluster);
    cluster->nodes[leader].cut = true;
    edge_run_ms(cluster, 550);
    struct moot_buffer in;
    moot_buffer_init(&in);
    for (int i = 0; i < COUNT; i++) {
        char text[64];
        snprintf(text, sizeof(text), "*3\r\n$3\r\nSET\r\n$2\r\nb%d\r\n$%d\r\n", i, SIZE);
        moot_buffer_append_text(&in, text);
        moot_buffer_reserve(&in, SIZE);
        memset(in.data + in.size, 'x', SIZE);
        in.size += SIZE;
        moot_buffer_append_text(&in, "\r\n");
    }
    edge_turns(cluster, 1);
    moot_buffer_reset(&cluster->nodes[id].replies, 1024);
    edge_input(cluster, id, MOOT_INPUT_CLIENT_BYTES, 1, 0, moot_buffer_slice(&in));
    edge_wait(cluster, id, 1, "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
    edge_expect(cluster, id, 1, "STRLEN b4\r\n", ":7340032\r\n");
    moot_buffer_deinit(&in);
    cluster_deinit(cluster);
}

/* Goal: a command that never left is answered as surely not done, and is not done. Method: a node
 * cut off for longer than anybody waits; it knows no leader when the command comes. */
static void without_a_leader_nothing_is_done(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = edge_follower(cluster);
    cluster->nodes[id].cut = true;
    edge_run_ms(cluster, 3000);
    edge_open(cluster, id, 2);
    edge_send(cluster, id, 1, "INCR n\r\n");
    edge_send(cluster, id, 2, "GET ready\r\n");
    edge_run_ms(cluster, MOOT_REQUEST_TIMEOUT_MS - 100);
    assert_int_equal(cluster->nodes[id].replies.size, 0);
    edge_run_ms(cluster, 200);
    assert_non_null(strstr(edge_text(cluster, id, 1), "-CLUSTERDOWN"));
    assert_non_null(strstr(edge_text(cluster, id, 2), "-CLUSTERDOWN"));
    edge_heal(cluster, id);
    edge_run_ms(cluster, 3000);
    edge_expect(cluster, id, 1, "GET n\r\n", "$-1\r\n");
    cluster_deinit(cluster);
}

/* Goal: a write that may be in the log is in doubt, a read is not, and either is done at most once.
 * Method: a leader cut off from everybody with both under way; then it heals. */
static void a_cut_leader_leaves_doubt(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    uint32_t id = cluster_leader(cluster);
    edge_open(cluster, id, 2);
    edge_turns(cluster, 100);
    cluster->nodes[id].cut = true;
    edge_send(cluster, id, 1, "INCR n\r\n");
    edge_send(cluster, id, 2, "GET ready\r\n");
    edge_run_ms(cluster, MOOT_REQUEST_TIMEOUT_MS + 100);
    assert_non_null(strstr(edge_text(cluster, id, 1), "-INDOUBT"));
    assert_non_null(strstr(edge_text(cluster, id, 2), "-TRYAGAIN"));
    uint32_t other = id % 3 + 1;
    edge_expect(cluster, other, 1, "SET m 1\r\n", "+OK\r\n");
    edge_heal(cluster, id);
    edge_run_ms(cluster, 5000);
    edge_send(cluster, other, 1, "GET n\r\n");
    edge_run_ms(cluster, 100);
    const char *said = edge_text(cluster, other, 1);
    assert_true(strcmp(said, "$-1\r\n") == 0 || strcmp(said, "$1\r\n1\r\n") == 0);
    edge_expect(cluster, id, 2, "GET m\r\n", "$1\r\n1\r\n");
    cluster_deinit(cluster);
}

/* Goal: an id makes a retry safe on any node. Method: the same command under one id on two nodes.
 */
static void an_id_executes_once(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    char command[128];
    snprintf(command, sizeof(command), "WITH ID 1700000000000:order-17 INCR n\r\n");
    edge_expect(cluster, 1, 1, command, ":1\r\n");
    edge_expect(cluster, 2, 1, command, ":1\r\n");
    edge_expect(cluster, 3, 1, "WITH ID 1700000000000:order-17\r\nINCR n\r\nINCR n\r\n",
                "+OK\r\n:1\r\n:2\r\n");
    edge_expect(cluster, 3, 1, "GET n\r\n", "$1\r\n2\r\n");
    /* Where it would not hold it is refused. */
    edge_expect(cluster, 3, 1, "WITH ID 1700000000000:a BLPOP l 0\r\nPING\r\n",
                "-ERR a command that may wait has no id: WITH ID goes with LPOP and RPOP\r\n"
                "+PONG\r\n");
    edge_expect(cluster, 3, 1, "MULTI\r\nWITH ID 1700000000000:b INCR n\r\nEXEC\r\nGET n\r\n",
                "+OK\r\n-ERR a transaction has one id: WITH ID goes with EXEC\r\n-EXECABORT "
                "Transaction discarded because of previous errors.\r\n$1\r\n2\r\n");
    for (uint32_t id = 1; id <= 3; id++) {
        edge_expect(cluster, id, 1,
                    "WATCH n\r\nMULTI\r\nINCR n\r\nWITH ID 1700000000000:c EXEC\r\n",
                    "+OK\r\n+OK\r\n+QUEUED\r\n*1\r\n:3\r\n");
    }
    edge_send(cluster, 1, 1, "MULTI\r\nINCR m\r\nWITH ID 1700000000000:c EXEC\r\n");
    edge_run_ms(cluster, 50);
    assert_non_null(strstr(edge_text(cluster, 1, 1), "+QUEUED\r\n-IDMISMATCH "));
    cluster_deinit(cluster);
}

/* Goal: a pipeline with more replies than may be unsent goes on when the driver gets rid of them at
 * once, and so has nothing to tell. Method: 1500 reads of 1100 bytes; no driver tells anything. */
static void a_quick_driver_is_enough(void **state)
{
    (void)state;
    enum { READS = 1500, BYTES = 1100 };
    struct cluster *cluster = edge_cluster(1);
    struct moot_buffer in;
    moot_buffer_init(&in);
    char line[64];
    snprintf(line, sizeof(line), "SETRANGE k %d x\r\n", BYTES - 1);
    edge_expect(cluster, 1, 1, line, ":1100\r\n");
    for (int i = 0; i < READS; i++) {
        moot_buffer_append_text(&in, "GET k\r\n");
    }
    struct moot_buffer *replies = &cluster->nodes[1].replies;
    moot_buffer_reset(replies, 1024);
    edge_input(cluster, 1, MOOT_INPUT_CLIENT_BYTES, 1, 0, moot_buffer_slice(&in));
    size_t whole = READS * (BYTES + strlen("$1100\r\n\r\n"));
    for (int i = 0; i < 10000 && replies->size < whole; i++) {
        cluster_step(cluster);
    }
    assert_int_equal(replies->size, whole);
    moot_buffer_deinit(&in);
    cluster_deinit(cluster);
}

/* Goal: a read sees the write before it, also when the leader refuses the write and would take the
 * read. Method: a leader that hands over to a node that is silent takes no writes for a while; the
 * read comes some turns after the write, so that it is in a batch of its own, but before the edge
 * hears of the refusal. */
static void a_refused_write_is_not_overtaken(void **state)
{
    (void)state;
    for (int between = 1; between <= 12; between++) {
        struct cluster *cluster = edge_cluster(3);
        uint32_t leader = cluster_leader(cluster), edge = leader % 3 + 1, silent = edge % 3 + 1;
        edge_open(cluster, edge, 2);
        edge_expect(cluster, edge, 2, "SET a 0\r\n", "+OK\r\n");
        edge_run_ms(cluster, 500);
        cluster->nodes[silent].cut = true;
        char order[64];
        snprintf(order, sizeof(order), "MOOT CLUSTER TRANSFER %u\r\n", silent);
        edge_send(cluster, leader, 1, order);
        edge_turns(cluster, 1);
        edge_send(cluster, edge, 2, "SET a 1\r\n");
        edge_turns(cluster, between);
        edge_input(cluster, edge, MOOT_INPUT_CLIENT_BYTES, 2, 0, moot_slice_text("GET a\r\n"));
        edge_wait(cluster, edge, 2, "+OK\r\n$1\r\n1\r\n");
        cluster_deinit(cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipelines_keep_their_order),
        cmocka_unit_test(a_read_stays_before_the_writes_behind_it),
        cmocka_unit_test(a_read_stays_before_a_write_with_an_id),
        cmocka_unit_test(watched_keys_that_fit_no_entry),
        cmocka_unit_test(a_key_that_is_too_long_is_not_watched),
        cmocka_unit_test(a_mixed_pipeline_is_one_entry),
        cmocka_unit_test(what_a_turn_leaves_is_done_in_the_next),
        cmocka_unit_test(a_long_pipeline_is_paused),
        cmocka_unit_test(a_slow_reader_is_paused_then_closed),
        cmocka_unit_test(a_full_queue_says_so),
        cmocka_unit_test(large_values_wait_for_a_leader),
        cmocka_unit_test(without_a_leader_nothing_is_done),
        cmocka_unit_test(a_cut_leader_leaves_doubt),
        cmocka_unit_test(an_id_executes_once),
        cmocka_unit_test(a_quick_driver_is_enough),
        cmocka_unit_test(a_refused_write_is_not_overtaken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
