/* PITFALLS section 3, the Raft lines that are not the core's alone: 18, 20 to 23, 29 and 30, one
 * test a line. raft_pitfalls_test has the others. */
#include "edge_clients.h"
#include "node_leader.h"

/* Nodes that flush and compact once in so many times that they may. */
static struct cluster *restless_cluster(uint32_t count, uint32_t rarely_one_in)
{
    struct cluster *cluster = moot_alloc_zero(sizeof(*cluster));
    cluster->quiet = true;
    cluster->rarely_one_in = rarely_one_in;
    cluster_init(cluster, count, 0);
    return cluster;
}

static uint32_t wait_for_leader(struct cluster *cluster)
{
    for (int i = 0; i < 200000 && cluster_leader(cluster) == 0; i++) {
        cluster_step(cluster);
    }
    assert_int_not_equal(cluster_leader(cluster), 0);
    return cluster_leader(cluster);
}

/* A write or a read by whoever answers: for tests that kill, a refusal is no answer. */
static void expect_at_last(struct cluster *cluster, uint32_t id, const char *line,
                           const char *expected)
{
    for (int i = 0; i < 10; i++) {
        edge_send(cluster, id, 1, line);
        for (int k = 0; k < 100000 && cluster->nodes[id].replies.size == 0; k++) {
            cluster_step(cluster);
        }
        if (edge_text(cluster, id, 1)[0] != '-') {
            break;
        }
    }
    edge_wait(cluster, id, 1, expected);
}

/* All that live have executed the same, and it came to the same. */
static void replicas_are_equal(struct cluster *cluster)
{
    bool same = false;
    for (int i = 0; i < 100000 && !same; i++) {
        cluster_step(cluster);
        same = true;
        for (uint32_t id = 1; id <= cluster->count; id++) {
            same = same && leader_view(cluster, id).applied == leader_view(cluster, 1).applied;
        }
    }
    assert_true(same);
    for (uint32_t id = 2; id <= cluster->count; id++) {
        assert_true(leader_view(cluster, id).chain == leader_view(cluster, 1).chain);
        assert_true(leader_view(cluster, id).digest == leader_view(cluster, 1).digest);
    }
}

/* Goal: a leader that stood still answers no read by what it believes: there is no lease, so a
 * pause and a transfer cannot outlive one. Method: it is stopped and cut off, with a read in its
 * sockets; another one is elected (by time-out, or at once by a transfer) and writes; it goes on
 * and knows nothing of that; then it is heard again. */
static void pitfall_18_paused_leader_answers_no_stale_read(void **state)
{
    (void)state;
    for (int transferred = 0; transferred < 2; transferred++) {
        struct cluster *cluster = edge_cluster(3);
        uint32_t old = cluster_leader(cluster), other = old % 3 + 1;
        cluster_expect(cluster, old, "SET k before\r\n", "+OK\r\n");
        cluster_expect(cluster, old, "GET k\r\n", "$6\r\nbefore\r\n"); /* A majority just echoed. */
        if (transferred) {
            edge_send(cluster, old, 1, "MOOT CLUSTER TRANSFER\r\n");
            cluster_step(cluster);
        }
        edge_send(cluster, old, 1, "GET k\r\n");
        cluster->nodes[old].stopped = cluster->nodes[old].cut = true;
        struct moot_instant begin = cluster->now.instant;
        struct moot_instant end = moot_instant_add(cluster->now.instant, moot_ms(10000));
        bool led = false;
        while (!led && moot_instant_before(cluster->now.instant, end)) {
            cluster_step(cluster);
            for (uint32_t id = 1; id <= 3; id++) {
                led = led || (id != old && leader_view(cluster, id).leads);
            }
        }
        assert_true(led);
        assert_true(!transferred ||
                    cluster->now.instant.ns - begin.ns < MOOT_ELECTION_MS / 4 * MOOT_MSEC_NS);
        edge_expect(cluster, other, 1, "SET k after\r\n", "+OK\r\n");
        edge_send(cluster, old, 1, "GET k\r\nGET k\r\n");
        cluster->nodes[old].stopped = false;
        edge_run_ms(cluster, 50);
        assert_null(strstr(edge_text(cluster, old, 1), "before"));
        edge_heal(cluster, old);
        for (int i = 0; i < 100000 && cluster->nodes[old].replies.size < 22; i++) {
            cluster_step(cluster);
            assert_null(strstr(edge_text(cluster, old, 1), "before"));
        }
        assert_non_null(strstr(edge_text(cluster, old, 1), "$5\r\nafter\r\n"));
        cluster_deinit(cluster);
    }
}

/* What node 1 says to a candidate of this log, once. */
static struct moot_raft_message vote_reply;
static void see_vote(void *context, moot_node_id from, moot_node_id to, struct moot_slice bytes)
{
    struct cluster *cluster = context;
    struct moot_message message;
    (void)from, (void)to;
    bytes = moot_arena_copy(&cluster->arena, bytes);
    assert_int_equal(moot_message_decode(bytes, &cluster->arena, &message), 0);
    if (message.kind == MOOT_MESSAGE_RAFT && message.raft.message.kind == MOOT_RAFT_VOTE_REPLY) {
        vote_reply = message.raft.message;
    }
}

static bool votes_for(struct cluster *cluster, moot_index last, moot_term last_term)
{
    struct moot_message message = {.kind = MOOT_MESSAGE_RAFT, .group = MOOT_GROUP_DB0};
    struct moot_raft_message *raft = &message.raft.message;
    *raft = (struct moot_raft_message){.kind = MOOT_RAFT_VOTE,
                                       .from = 2,
                                       .to = 1,
                                       .term = leader_view(cluster, 1).term + 1,
                                       .wall_ms = cluster->now.wall_ms};
    raft->vote.last_index = last;
    raft->vote.last_term = last_term;
    raft->vote.transfer = true; /* Whoever leads: it is asked for. */
    cluster->spy = see_vote;
    cluster->spy_context = cluster;
    vote_reply = (struct moot_raft_message){.kind = MOOT_RAFT_APPEND};
    leader_deliver(cluster, 2, 1, &message, (struct moot_slice){NULL, 0});
    leader_steps(cluster, 50);
    assert_int_equal(vote_reply.kind, MOOT_RAFT_VOTE_REPLY);
    return vote_reply.vote_reply.granted;
}

/* Goal: entries that another leader overwrote stay away after a restart, also where the store has
 * meanwhile executed past them, and votes are given by the log as it is. Method: four entries of a
 * term that lost, then two of one that won, executed; with a flush, and with none. */
static void pitfall_20_overwritten_entries_are_no_ghosts(void **state)
{
    (void)state;
    static const uint64_t batches[] = {1, 2, 3, 4};
    for (int flushed = 0; flushed < 2; flushed++) {
        struct cluster *cluster = leader_follower(batches, 4, 0, 100);
        leader_says(cluster, &(struct leader_said){2, batches, 2, 0, 2, 200});
        edge_run_ms(cluster, MOOT_UNSTORED_MS + 100);
        struct moot_store *store = cluster->nodes[1].store;
        assert_int_equal(flushed ? store->ops->flush(store) : 0, 0);
        for (int restart = 0; restart < 2; restart++) {
            cluster_kill(cluster, 1);
            cluster_open(cluster, 1, 0);
            leader_steps(cluster, 50);
            assert_int_equal(leader_view(cluster, 1).last, 2);
            assert_int_equal(leader_view(cluster, 1).applied, flushed ? 2 : 0);
        }
        assert_false(votes_for(cluster, 4, 100)); /* Longer, but of the term that lost. */
        assert_true(votes_for(cluster, 2, 200));
        cluster_deinit(cluster);
    }
}

/* A number was answered, though its node may be dead by now. */
static bool is_counted;
static void see_count(const struct moot_effect *effect)
{
    is_counted =
        is_counted || (effect->kind == MOOT_EFFECT_REPLY && effect->client.bytes.size > 0 &&
                       effect->client.bytes.data[0] == ':');
}

/* Goal: a process may die after any effect, and nothing acknowledged is lost or done twice. Method:
 * one node of one and of three dies after the first effect from now on, after the second, and so
 * on, with flushes and compactions as often as may be, while a client of another node writes. */
static void pitfall_21_every_effect_may_be_the_last(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= 3; count += 2) {
        struct cluster *cluster = restless_cluster(count, 3);
        uint32_t done = 0, lists = 0;
        expect_at_last(cluster, 1, "SET n 0\r\n", "+OK\r\n");
        for (uint32_t i = 0; i < 120; i++) {
            uint32_t leader = wait_for_leader(cluster);
            uint32_t victim = i % 3 == 0 ? leader % count + 1 : leader;
            uint32_t edge = victim % count + 1;
            char line[64], expected[64];
            cluster->nodes[victim].dies_after = 1 + i % 40;
            snprintf(line, sizeof(line), "WITH ID %llu:%u INCR n\r\n",
                     (unsigned long long)cluster->now.wall_ms, i);
            snprintf(expected, sizeof(expected), ":%u\r\n", ++done);
            is_counted = false;
            cluster->watch = see_count;
            edge_send(cluster, edge, 1, line);
            bool waits = true;
            for (int k = 1; k < 100000 && waits; k++) {
                cluster_step(cluster);
                if (count == 1 && k % 1000 == 0) { /* One node alone comes to rest. */
                    edge_send(cluster, edge, 1, "SET more x\r\n");
                }
                waits = cluster->nodes[victim].dies_after > 0 ||
                        (edge != victim && cluster->nodes[edge].replies.size == 0);
            }
            assert_true(cluster->nodes[victim].dead);
            cluster->watch = NULL;
            cluster_open(cluster, victim, 0);
            if (is_counted) {
                char count_now[64];
                int digits = snprintf(count_now, sizeof(count_now), "%u", done);
                snprintf(count_now, sizeof(count_now), "$%d\r\n%u\r\n", digits, done);
                expect_at_last(cluster, victim, "GET n\r\n", count_now);
            }
            expect_at_last(cluster, victim, line, expected); /* Again, wherever it was. */
            snprintf(expected, sizeof(expected), ":%u\r\n", ++lists);
            expect_at_last(cluster, edge, "RPUSH l x\r\n", expected);
        }
        replicas_are_equal(cluster);
        cluster_deinit(cluster);
    }
}

/* Goal: the index that a store has executed to is as new as its contents: else an entry would be
 * lost, or done twice. Method: counters, which show either, and a crash after each write, with and
 * without a flush. */
static void pitfall_22_applied_index_is_one_with_the_state(void **state)
{
    (void)state;
    struct cluster *cluster = restless_cluster(1, 2);
    for (uint32_t i = 1; i <= 80; i++) {
        char expected[64];
        cluster->keeps_flushes = i % 4 == 0;
        snprintf(expected, sizeof(expected), ":%u\r\n:%u\r\n", i, i);
        cluster_expect(cluster, 1, "INCR n\r\nRPUSH l x\r\n", expected);
        if (i % 3 == 0) {
            edge_run_ms(cluster, MOOT_UNSTORED_MS + 100);
        }
        cluster_kill(cluster, 1);
        cluster_open(cluster, 1, 0);
    }
    cluster_expect(cluster, 1, "GET n\r\nLLEN l\r\n", "$2\r\n80\r\n:80\r\n");
    cluster_deinit(cluster);
}

/* Goal: what was executed under an id is known to who has it from a snapshot, with the first reply;
 * an id is forgotten by the log's time on all replicas alike, and then refused. Method: a node that
 * was away gets a snapshot and leads; clocks differ; then the retention passes. */
static void pitfall_23_ids_are_in_the_snapshot_and_expire_by_the_log(void **state)
{
    (void)state;
    struct cluster *cluster = restless_cluster(3, 3);
    uint32_t leader = wait_for_leader(cluster), late = leader % 3 + 1;
    cluster_kill(cluster, late);
    char line[64], order[64];
    snprintf(line, sizeof(line), "WITH ID %llu:once INCR n\r\n",
             (unsigned long long)cluster->now.wall_ms);
    edge_expect(cluster, leader, 1, line, ":1\r\n");
    for (int i = 1; i <= 60; i++) {
        char expected[64];
        snprintf(expected, sizeof(expected), ":%d\r\n", 1 + 10 * i);
        edge_expect(cluster, leader, 1, "INCRBY n 10\r\n", expected);
        edge_run_ms(cluster, 20);
    }
    edge_run_ms(cluster, 3000);
    cluster_open(cluster, late, 0);
    replicas_are_equal(cluster);
    assert_true(cluster->installs > 0);
    snprintf(order, sizeof(order), "MOOT CLUSTER TRANSFER %u\r\n", late);
    edge_send(cluster, leader, 1, order);
    edge_run_ms(cluster, 500);
    assert_int_equal(wait_for_leader(cluster), late);
    edge_expect(cluster, late, 1, line, ":1\r\n");
    edge_expect(cluster, late, 1, "GET n\r\n", "$3\r\n601\r\n");
    for (uint32_t id = 1; id <= 3; id++) {
        cluster->nodes[id].wall_offset_ms = 150 * (int64_t)id - 300;
    }
    cluster->now.instant = moot_instant_add(cluster->now.instant, moot_ms(MOOT_ID_RETENTION_MS));
    edge_run_ms(cluster, 3000);
    expect_at_last(cluster, 1, "INCR m\r\n", ":1\r\n");
    edge_send(cluster, 2, 1, line);
    for (int i = 0; i < 100000 && cluster->nodes[2].replies.size == 0; i++) {
        cluster_step(cluster);
    }
    assert_non_null(strstr(edge_text(cluster, 2, 1), "-IDEXPIRED "));
    edge_expect(cluster, 3, 1, "GET n\r\n", "$3\r\n601\r\n");
    replicas_are_equal(cluster);
    cluster_deinit(cluster);
}

static moot_node_id silent_leader;
static enum moot_message_kind silent_about;
static bool is_lost(moot_node_id from, moot_node_id to, struct moot_slice message)
{
    (void)to;
    return from == silent_leader && message.size > 1 && message.data[1] == silent_about;
}

/* Goal: a batch that an edge sends to two leaders is executed once. Method: the first one executes
 * it, but its answer is lost, and dies; or what it says to the others is lost, and only it has the
 * entry. */
static void pitfall_29_sent_to_two_leaders_executed_once(void **state)
{
    (void)state;
    static const enum moot_message_kind lost[] = {MOOT_MESSAGE_ANSWER, MOOT_MESSAGE_RAFT};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(lost); i++) {
        struct cluster *cluster = edge_cluster(3);
        uint32_t edge = edge_follower(cluster);
        cluster_expect(cluster, edge, "SET n 0\r\n", "+OK\r\n");
        silent_leader = cluster_leader(cluster);
        silent_about = lost[i];
        cluster->loses = is_lost;
        moot_index last = leader_view(cluster, silent_leader).last;
        edge_send(cluster, edge, 1, "INCR n\r\nRPUSH l x\r\n");
        edge_run_ms(cluster, 100);
        assert_true(leader_view(cluster, silent_leader).last > last);
        assert_int_equal(leader_view(cluster, edge).last > last, lost[i] == MOOT_MESSAGE_ANSWER);
        assert_int_equal(cluster->nodes[edge].replies.size, 0);
        cluster_kill(cluster, silent_leader);
        cluster->loses = NULL;
        edge_wait(cluster, edge, 1, ":1\r\n:1\r\n");
        cluster_open(cluster, silent_leader, 0);
        cluster_expect(cluster, silent_leader, "GET n\r\nLLEN l\r\n", "$1\r\n1\r\n:1\r\n");
        replicas_are_equal(cluster);
        cluster_deinit(cluster);
    }
}

/* Goal: execution knows nothing but the log: not a node's clock, seed, cache or history. Method:
 * three nodes that differ in all of these execute what could tell them apart, one of them from a
 * snapshot and one again from its journal; their contents are compared. */
static void pitfall_30_execution_is_deterministic(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "SET s%u v%u EX 2\r\n",
        "INCRBYFLOAT f 0.1\r\n",
        "HSET h f%u v%u g%u w\r\n",
        "HINCRBYFLOAT h x 1.7\r\n",
        "RPUSH l%u a b c\r\n",
        "MULTI\r\nRANDOMKEY\r\nINCR n\r\nHRANDFIELD h 2\r\nEXEC\r\n",
        "LMOVE l%u k LEFT RIGHT\r\n",
        "COPY h h%u REPLACE\r\n",
        "DEL h%u\r\n",
        "PEXPIRE l%u 700\r\n",
        "APPEND s%u xyz\r\n",
        "SELECT 3\r\nSET s%u t\r\nMOVE s%u 4\r\nSELECT 0\r\n",
        "SWAPDB 3 4\r\n",
        "SETRANGE r%u 40 tail\r\n",
        "MULTI\r\nSCAN 0\r\nDEL n\r\nEXEC\r\n",
        "GETEX s%u PX 900\r\n"};
    struct cluster *cluster = moot_alloc_zero(sizeof(*cluster));
    struct moot_rng rng;
    cluster->quiet = true;
    cluster->count = 3;
    cluster->rarely_one_in = 5;
    cluster->now = (struct moot_now){{1000 * MOOT_SEC_NS}, 1700000000000};
    moot_arena_init(&cluster->arena);
    moot_rng_init(&rng, 30);
    for (uint32_t id = 1; id <= 3; id++) {
        cluster->nodes[id].wall_offset_ms = 150 * (int64_t)id - 300;
        cluster_open(cluster, id, id == 1 ? 0 : id);
    }
    expect_at_last(cluster, 1, "SET n 0\r\n", "+OK\r\n");
    for (int i = 0; i < 400; i++) {
        char text[256];
        uint32_t id = 1 + (uint32_t)moot_rng_below(&rng, 3), k = (uint32_t)moot_rng_below(&rng, 8);
        if (i == 150 || i == 250) { /* It comes back by a snapshot, or by its journal. */
            cluster_kill(cluster, 2);
        } else if (i == 200 || i == 251) {
            cluster_open(cluster, 2, 2);
        }
        if (cluster->nodes[id].dead) {
            continue;
        }
        const char *line = lines[moot_rng_below(&rng, MOOT_ARRAY_LEN(lines))];
        snprintf(text, sizeof(text), line, k, k, k);
        edge_send(cluster, id, 1, text);
        edge_run_ms(cluster, 30);
        if (i % 50 == 49 && !cluster->nodes[2].dead) {
            replicas_are_equal(cluster);
        }
    }
    replicas_are_equal(cluster);
    assert_true(leader_view(cluster, 1).applied > 200);
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pitfall_18_paused_leader_answers_no_stale_read),
        cmocka_unit_test(pitfall_20_overwritten_entries_are_no_ghosts),
        cmocka_unit_test(pitfall_21_every_effect_may_be_the_last),
        cmocka_unit_test(pitfall_22_applied_index_is_one_with_the_state),
        cmocka_unit_test(pitfall_23_ids_are_in_the_snapshot_and_expire_by_the_log),
        cmocka_unit_test(pitfall_29_sent_to_two_leaders_executed_once),
        cmocka_unit_test(pitfall_30_execution_is_deterministic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
