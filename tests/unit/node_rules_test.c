/* Safety rules of a node that only a strange neighbour, or none, puts to the test. */
#include "node_leader.h"
#include "storage/journal_format.h"

/* Goal: a replica whose contents differ stops serving instead of spreading them. Method: the leader
 * says the hashes it has, then another one for the same index: of what was done, or of what is
 * there. */
static void other_contents_fence(void **state)
{
    (void)state;
    for (int of_contents = 0; of_contents < 2; of_contents++) {
        struct cluster *cluster = leader_cluster(3);
        cluster_expect(cluster, 1, "SET a 1\r\n", "+OK\r\n");
        leader_steps(cluster, 3000);
        moot_node_id leader = cluster_leader(cluster), follower = leader % 3 + 1;
        struct moot_group_view view = leader_view(cluster, follower);
        assert_true(view.digest != 0);
        struct moot_message message = {.kind = MOOT_MESSAGE_CHAIN, .group = MOOT_GROUP_DB0};
        message.chain = (struct moot_contents){view.applied, view.chain, view.digest};
        leader_deliver(cluster, leader, follower, &message, (struct moot_slice){NULL, 0});
        cluster_step(cluster);
        assert_false(leader_view(cluster, follower).fenced);
        message.chain.chain ^= !of_contents;
        message.chain.digest ^= of_contents;
        leader_deliver(cluster, leader, follower, &message, (struct moot_slice){NULL, 0});
        cluster_step(cluster);
        assert_true(leader_view(cluster, follower).fenced);
        cluster_expect(cluster, leader, "GET a\r\n", "$1\r\n1\r\n"); /* The others go on. */
        cluster_deinit(cluster);
    }
}

/* Goal: a leader that cannot reach a majority answers no read, however short a time it has been
 * alone. Method: both followers die just before the read. */
static void a_lonely_leader_answers_no_read(void **state)
{
    (void)state;
    struct cluster *cluster = leader_cluster(3);
    cluster_expect(cluster, 1, "SET a 1\r\n", "+OK\r\n");
    leader_steps(cluster, 3000);
    moot_node_id leader = cluster_leader(cluster);
    cluster_expect(cluster, leader, "GET a\r\n", "$1\r\n1\r\n");
    cluster_kill(cluster, leader % 3 + 1);
    cluster_kill(cluster, (leader + 1) % 3 + 1);
    cluster_send(cluster, leader, "GET a\r\n");
    leader_steps(cluster, 500);
    assert_int_equal(cluster->nodes[leader].replies.size, 0);
    cluster_open(cluster, leader % 3 + 1, 0);
    for (int i = 0; i < 100000 && cluster->nodes[leader].replies.size == 0; i++) {
        cluster_step(cluster);
    }
    assert_true(moot_slice_equal(moot_buffer_slice(&cluster->nodes[leader].replies),
                                 MOOT_SLICE_LITERAL("$1\r\n1\r\n")));
    cluster_deinit(cluster);
}

static uint64_t contents_after(const uint64_t *batches, uint32_t count)
{
    struct cluster *cluster = leader_follower(batches, count, count, 100);
    uint64_t digest = leader_view(cluster, 1).digest;
    cluster_deinit(cluster);
    return digest;
}

/* Goal: a batch that is in the log twice, or after a hole, is executed once or not at all: leaders
 * may change between an append and its repetition. Method: logs with and without them. */
static void only_the_next_batch_is_executed(void **state)
{
    (void)state;
    static const uint64_t plain[] = {1, 0, 2, 0}, twice[] = {1, 1, 2, 1}, hole[] = {1, 3, 2, 4},
                          more[] = {1, 0, 2, 3};
    assert_true(contents_after(plain, 4) == contents_after(twice, 4));
    assert_true(contents_after(plain, 4) == contents_after(hole, 4));
    assert_true(contents_after(plain, 4) != contents_after(more, 4));
}

/* A node whose journal has `count` entries of a term that lost, and whose store has executed three
 * others: as after a crash between the two steps of an install. */
static struct cluster *half_installed(uint32_t count)
{
    static const uint64_t batches[] = {1, 2, 3, 4};
    struct cluster *old = leader_follower(batches, count, 0, 100);
    struct cluster *snapshot = leader_follower(batches, 3, 3, 200);
    /* What was executed goes to the store when it is that old. */
    struct moot_instant stored =
        moot_instant_add(snapshot->now.instant, moot_ms(MOOT_UNSTORED_MS + 100));
    while (moot_instant_before(snapshot->now.instant, stored)) {
        cluster_step(snapshot);
    }
    struct moot_store *store = snapshot->nodes[1].store;
    assert_int_equal(store->ops->flush(store), 0);
    cluster_kill(old, 1);
    cluster_kill(snapshot, 1);
    snapshot->nodes[1].store = old->nodes[1].store;
    old->nodes[1].store = store;
    cluster_open(old, 1, 0);
    assert_int_equal(leader_view(old, 1).applied, 3);
    assert_int_equal(leader_view(old, 1).last, 3);
    cluster_deinit(snapshot);
    return old;
}

/* Goal: what a snapshot has replaced does not come back from the journal, however long it was. */
static void a_replaced_log_does_not_come_back(void **state)
{
    (void)state;
    for (uint32_t count = 2; count <= 4; count++) {
        cluster_deinit(half_installed(count));
    }
}

/* Goal: entries that follow a snapshot stay, though the journal has others in front of them that
 * the snapshot replaced (moot sim, seed 319789373053302361). Method: such a node acknowledges two
 * more entries, crashes and comes back. */
static void what_follows_a_half_installed_snapshot_stays(void **state)
{
    (void)state;
    for (uint32_t count = 2; count <= 4; count++) {
        static const uint64_t more[] = {4, 5};
        struct cluster *cluster = half_installed(count);
        leader_says(cluster, &(struct leader_said){2, more, 2, 3, 3, 200});
        cluster_kill(cluster, 1);
        cluster_open(cluster, 1, 0);
        assert_int_equal(leader_view(cluster, 1).last, 5);
        cluster_deinit(cluster);
    }
}

/* Where batch `number` of the only segment begins, and how many there are. */
static uint64_t batch_at(struct cluster *cluster, uint32_t number, uint32_t *count)
{
    static const char segment[] = "journal-0000000000000001";
    uint64_t size, found = 0;
    const uint8_t *bytes = moot_disk_sim_bytes(cluster->nodes[1].disk, segment, &size);
    *count = 0;
    for (uint64_t at = 0; at < size; (*count)++) {
        struct journal_header header;
        if (journal_header_get(bytes + at, 1, at, size, &header) != JOURNAL_GOOD) {
            break;
        }
        found = *count == number ? at : found;
        at += header.length;
    }
    return found;
}

/* Goal: a log never has an entry behind one that it did not follow (moot sim, seed
 * 350671270313310012): where the ends agree, a leader would take it for its own. Method: the batch
 * in which a new leader replaced entries is illegible, and one more entry is behind it. */
static void an_illegible_batch_may_have_replaced_entries(void **state)
{
    (void)state;
    static const uint64_t batches[] = {1, 2, 3, 4};
    uint32_t replaces, last;
    struct cluster *cluster = leader_follower(batches, 4, 0, 100);
    (void)batch_at(cluster, 0, &replaces);
    leader_says(cluster, &(struct leader_said){2, batches, 3, 0, 0, 101});
    leader_says(cluster, &(struct leader_said){2, batches, 1, 3, 0, 101});
    uint64_t at = batch_at(cluster, replaces, &last);
    assert_true(last >= replaces + 2);
    cluster_kill(cluster, 1);
    moot_disk_sim_rot(cluster->nodes[1].disk, "journal-0000000000000001", at + 8, 1);
    cluster_open(cluster, 1, 0);
    assert_true(leader_view(cluster, 1).impaired);
    assert_int_equal(leader_view(cluster, 1).last, 0);
    assert_true(leader_view(cluster, 1).term >= 101);
    cluster_deinit(cluster);
}

/* Goal: an install whose leader is gone keeps nobody from executing what another leader says (moot
 * sim, seed 319789373053319001). Method: node 2 offers a snapshot and is heard no more; node 3
 * sends entries, and few enough not to come to the snapshot's index. */
static void another_leader_ends_an_install(void **state)
{
    (void)state;
    struct cluster *cluster = leader_cluster(3);
    cluster_kill(cluster, 2);
    cluster_kill(cluster, 3);
    struct moot_message offer = {.kind = MOOT_MESSAGE_RAFT, .group = MOOT_GROUP_DB0};
    struct moot_raft_message *raft = &offer.raft.message;
    *raft = (struct moot_raft_message){.kind = MOOT_RAFT_SNAPSHOT,
                                       .from = 2,
                                       .to = 1,
                                       .term = 100,
                                       .session = 1,
                                       .wall_ms = cluster->now.wall_ms};
    raft->snapshot.index = 50;
    raft->snapshot.index_term = 100;
    raft->snapshot.members.voter_count = 3;
    for (moot_node_id node = 1; node <= 3; node++) {
        raft->snapshot.members.voters[node - 1] = node;
    }
    leader_deliver(cluster, 2, 1, &offer, (struct moot_slice){NULL, 0});
    leader_steps(cluster, 5);
    static const uint64_t batches[] = {1, 2, 3};
    leader_says(cluster, &(struct leader_said){3, batches, 3, 0, 3, 101});
    cluster_deinit(cluster);
}

/* Goal: without a leader the edge's queue is bounded; what is over it is refused at once. Method:
 * as many of the largest values as fit, then one more from another client. */
static void the_queue_of_an_edge_is_bounded(void **state)
{
    (void)state;
    struct cluster *cluster = leader_cluster(3);
    cluster_kill(cluster, 2);
    cluster_kill(cluster, 3);
    leader_steps(cluster, 10);
    size_t fits = MOOT_EDGE_QUEUE_BYTES_MAX / MOOT_VALUE_MAX;
    char *command = moot_alloc(MOOT_VALUE_MAX + 64);
    size_t size = (size_t)sprintf(command, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n", MOOT_VALUE_MAX);
    memset(command + size, 'x', MOOT_VALUE_MAX);
    memcpy(command + size + MOOT_VALUE_MAX, "\r\n", 2);
    size += MOOT_VALUE_MAX + 2;
    for (moot_connection_id id = 2; id < 2 + fits; id++) {
        struct moot_input input = {.kind = MOOT_INPUT_CLIENT_OPENED, .connection = id};
        input.bytes = MOOT_SLICE_LITERAL("test:2");
        cluster_input(&cluster->nodes[1], input, &cluster->arena);
        input.kind = MOOT_INPUT_CLIENT_BYTES;
        input.bytes = moot_slice_make(command, size);
        cluster_input(&cluster->nodes[1], input, &cluster->arena);
    }
    moot_free(command);
    leader_steps(cluster, 20);
    uint32_t refused = 0; /* One: the others wait for a leader. */
    for (moot_connection_id id = 2; id < 2 + fits; id++) {
        struct moot_buffer *replies = cluster_replies(&cluster->nodes[1], id);
        moot_buffer_append(replies, "", 1);
        refused += strstr((const char *)replies->data, "-OVERLOADED") != NULL;
    }
    assert_int_equal(refused, 1);
    cluster_deinit(cluster);
}

static uint32_t strangers_refused;

static void note_refusal(const struct moot_effect *effect)
{
    strangers_refused += effect->kind == MOOT_EFFECT_PEER && effect->peer.node == 9 &&
                         effect->peer.address.size == 0;
}

static void run_for(struct cluster *cluster, uint64_t ms)
{
    struct moot_instant end = moot_instant_add(cluster->now.instant, moot_ms(ms));
    while (moot_instant_before(cluster->now.instant, end)) {
        cluster_step(cluster);
    }
}

/* Goal: a link of a node that nothing names does not stay, and a member's does. */
static void a_strangers_link_ends(void **state)
{
    (void)state;
    struct cluster *cluster = leader_cluster(2);
    strangers_refused = 0;
    cluster->watch = note_refusal;
    struct moot_input up = {.kind = MOOT_INPUT_PEER_UP, .node = 9, .amount = 1};
    cluster_input(&cluster->nodes[1], up, &cluster->arena);
    run_for(cluster, MOOT_STRANGER_MS - 1000);
    assert_int_equal(strangers_refused, 0);
    run_for(cluster, 2000);
    assert_int_equal(strangers_refused, 1);
    cluster_expect(cluster, 1, "SET k v\r\n", "+OK\r\n"); /* Node 2 is still there. */
    cluster_deinit(cluster);
}

/* Goal: the cluster is changed from a node's own machine only; what would be done may be asked. */
static void orders_come_from_here(void **state)
{
    (void)state;
    static const char *const from[] = {"127.0.0.1:5", "[::1]:5",     "[::ffff:127.0.0.1]:5",
                                       "10.0.0.7:5",  "[fe80::1]:5", "1270.0.0.1:5"};
    struct cluster *cluster = leader_cluster(1);
    cluster_expect(cluster, 1, "SET k v\r\n", "+OK\r\n");
    for (moot_connection_id id = 2; id < 2 + MOOT_ARRAY_LEN(from); id++) {
        struct moot_input input = {.kind = MOOT_INPUT_CLIENT_OPENED, .connection = id};
        input.bytes = moot_slice_text(from[id - 2]);
        cluster_input(&cluster->nodes[1], input, &cluster->arena);
        input.kind = MOOT_INPUT_CLIENT_BYTES;
        input.bytes = MOOT_SLICE_LITERAL("MOOT CLUSTER TRANSFER PLAN\r\nMOOT CLUSTER TRANSFER\r\n");
        cluster_input(&cluster->nodes[1], input, &cluster->arena);
        leader_steps(cluster, 20);
        struct moot_slice replies = moot_buffer_slice(cluster_replies(&cluster->nodes[1], id));
        assert_true(moot_slice_starts_with(replies, MOOT_SLICE_LITERAL("$")));
        moot_buffer_append(cluster_replies(&cluster->nodes[1], id), "", 1);
        bool refused =
            strstr((const char *)cluster_replies(&cluster->nodes[1], id)->data, "-NOPERM") != NULL;
        assert_int_equal(refused, id >= 5);
    }
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_contents_fence),
        cmocka_unit_test(a_lonely_leader_answers_no_read),
        cmocka_unit_test(only_the_next_batch_is_executed),
        cmocka_unit_test(a_replaced_log_does_not_come_back),
        cmocka_unit_test(what_follows_a_half_installed_snapshot_stays),
        cmocka_unit_test(an_illegible_batch_may_have_replaced_entries),
        cmocka_unit_test(another_leader_ends_an_install),
        cmocka_unit_test(the_queue_of_an_edge_is_bounded),
        cmocka_unit_test(a_strangers_link_ends),
        cmocka_unit_test(orders_come_from_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
