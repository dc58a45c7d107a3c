/* Membership as nodes bring it about: who is told, linked with, asked, and judged by what. */
#include <string.h>

#include "database/group/message.h"
#include "edge_clients.h"

static bool votes(const struct cluster *cluster, uint32_t asked, moot_group_id group, uint32_t node)
{
    struct moot_group_view view;
    moot_node_group(cluster->nodes[asked].node, group, &view);
    return moot_members_has_voter(view.members, node);
}

static const char *ask(struct cluster *cluster, const char *line)
{
    uint32_t leader = cluster_leader(cluster);
    cluster_send(cluster, leader, line);
    edge_run_ms(cluster, 200);
    return edge_text(cluster, leader, 1);
}

static void remove_node(struct cluster *cluster, uint32_t node)
{
    char line[64];
    snprintf(line, sizeof(line), "MOOT CLUSTER REMOVE %u\r\n", node);
    assert_string_equal(ask(cluster, line), "+OK\r\n");
    edge_run_ms(cluster, 2000);
    uint32_t leader = cluster_leader(cluster);
    assert_false(votes(cluster, leader, MOOT_GROUP_DB0, node));
    assert_false(votes(cluster, leader, MOOT_GROUP_SYSTEM, node));
}

static struct {
    moot_node_id about;
    uint32_t linked, told, ended;
} dials;

static void note_dials(const struct moot_effect *effect)
{
    if (effect->kind == MOOT_EFFECT_PEER && effect->peer.node == dials.about) {
        bool dialed = effect->peer.address.size > 0;
        dials.linked += dialed && !effect->peer.is_removed;
        dials.told += dialed && effect->peer.is_removed;
        dials.ended += !dialed;
    }
}

/* Goal: members dial a node that was removed, so that it hears of it even if it knows none of them;
 * not for ever; one that was removed itself leaves it to them. Method: of four two are removed, and
 * time passes. */
static void who_was_removed_is_dialed_for_a_while(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(4);
    edge_run_ms(cluster, 300);
    uint32_t id = edge_follower(cluster);
    remove_node(cluster, id);
    dials.about = 1;
    while (dials.about == id || dials.about == cluster_leader(cluster)) {
        dials.about++;
    }
    dials.linked = dials.told = dials.ended = 0;
    cluster->watch = note_dials;
    remove_node(cluster, dials.about);
    edge_run_ms(cluster, 1000);
    assert_int_equal(dials.told, 2);
    assert_int_equal(dials.ended, 0);
    edge_run_ms(cluster, MOOT_TELL_REMOVED_MS - 5000);
    assert_int_equal(dials.ended, 0);
    edge_run_ms(cluster, 5000);
    assert_int_equal(dials.told, 2);
    assert_int_equal(dials.ended, 2);
    cluster_deinit(cluster);
}

/* Goal: where another node listens now nobody dials for the one that was removed. Method: one joins
 * and never comes; it is removed, and another one joins with its address. */
static void another_node_at_its_address_is_left_alone(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(2);
    edge_run_ms(cluster, 300);
    char reply[4096];
    dials.about = 3;
    dials.linked = dials.told = dials.ended = 0;
    cluster->watch = note_dials;
    cluster_join(cluster, "the secret of the cluster", reply);
    assert_int_equal(reply[0], '$');
    edge_run_ms(cluster, 500);
    assert_int_equal(dials.linked, 2);
    remove_node(cluster, 3);
    assert_int_equal(dials.told, 2);
    cluster_join(cluster, "the secret of the cluster", reply);
    assert_int_equal(reply[0], '$');
    edge_run_ms(cluster, 500);
    assert_int_equal(dials.ended, 2);
    assert_int_equal(dials.told, 2);
    cluster_deinit(cluster);
}

/* Goal: a node that has no leader may have an old configuration, in which the leader that could
 * bring it a newer one never was; so it links with removed nodes as well, and refuses them again
 * when it is led. Method: one of three is removed; a member is cut off, and comes back. */
static void who_has_no_leader_refuses_nobody(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    edge_run_ms(cluster, 300);
    uint32_t gone = edge_follower(cluster), leader = cluster_leader(cluster);
    remove_node(cluster, gone);
    dials.about = gone;
    dials.linked = dials.told = dials.ended = 0;
    cluster->watch = note_dials;
    cluster->nodes[gone].cut = true;
    edge_run_ms(cluster, MOOT_UNLED_MS + 1000);
    assert_int_equal(dials.linked, 0);
    cluster->nodes[6 - gone - leader].cut = true; /* Now nobody has a leader. */
    edge_run_ms(cluster, MOOT_UNLED_MS - 500);
    assert_int_equal(dials.linked, 0);
    edge_run_ms(cluster, 6 * MOOT_ELECTION_MS);
    assert_int_equal(dials.linked, 2);
    assert_int_equal(dials.told, 0);
    cluster->nodes[6 - gone - leader].cut = false;
    edge_run_ms(cluster, 6 * MOOT_ELECTION_MS);
    assert_int_equal(dials.linked, 2);
    assert_int_equal(dials.told, 2);
    cluster_deinit(cluster);
}

static void link_with(struct cluster *cluster, uint32_t at, moot_node_id node, bool up)
{
    struct moot_input input = {
        .kind = up ? MOOT_INPUT_PEER_UP : MOOT_INPUT_PEER_DOWN, .node = node, .amount = up};
    input.status = up ? MOOT_FEATURE_LEVEL : 0;
    cluster_input(&cluster->nodes[at], input, &cluster->arena);
}

/* Goal: who was removed so long ago that nothing lists it is refused and told all the same, as
 * often as it links, also by nodes that never knew it; to remove it again is harmless. Method: six
 * join, never come, and are removed; a node starts again, and the first of the six links with it.
 */
static void who_left_long_ago_is_still_refused(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(2);
    edge_run_ms(cluster, 300);
    char reply[4096];
    for (uint32_t node = 3; node < 9; node++) {
        cluster_join(cluster, "the secret of the cluster", reply);
        assert_int_equal(reply[0], '$');
        edge_run_ms(cluster, 500);
        remove_node(cluster, node);
    }
    cluster_join(cluster, "the secret of the cluster", reply);
    edge_run_ms(cluster, 2000); /* A change of members is flushed. */
    const char *status = ask(cluster, "MOOT STATUS\r\n");
    assert_null(strstr(status, "\"node\": 3,\"client\""));
    assert_non_null(strstr(status, "\"node\": 8,\"client\""));
    uint32_t at = edge_follower(cluster);
    cluster_kill(cluster, at);
    cluster_open(cluster, at, 0);
    edge_run_ms(cluster, 6 * MOOT_ELECTION_MS);
    dials.about = 3;
    dials.linked = dials.told = dials.ended = 0;
    cluster->watch = note_dials;
    for (uint32_t times = 1; times <= 3; times++) {
        link_with(cluster, at, 3, true);
        edge_run_ms(cluster, 200);
        assert_int_equal(dials.ended, times);
        link_with(cluster, at, 3, false);
        edge_run_ms(cluster, 200);
    }
    assert_int_equal(dials.told + dials.linked, 0);
    assert_string_equal(ask(cluster, "MOOT CLUSTER REMOVE 3\r\n"), "+OK\r\n");
    assert_non_null(strstr(ask(cluster, "MOOT CLUSTER REMOVE 99\r\n"), "-ERR there is no such"));
    cluster_deinit(cluster);
}

/* Goal: a cluster of level 1 runs out of ids at the number of nodes; the join that meets this makes
 * it go over to level 2 when all members know that, and then joins go on as nodes leave. Method:
 * two nodes that know level 1 take in 62; both start again with this release; then the others link.
 */
static void a_join_raises_the_level(void **state)
{
    (void)state;
    struct cluster *cluster = moot_alloc_zero(sizeof(*cluster));
    struct moot_group_view view;
    char reply[4096];
    cluster->quiet = true;
    cluster->feature_level[1] = cluster->feature_level[2] = 1;
    cluster_init(cluster, 2, 0);
    edge_run_ms(cluster, 2000);
    for (uint32_t node = 3; node <= MOOT_NODES_MAX; node++) {
        cluster_join(cluster, "the secret of the cluster", reply);
        assert_int_equal(reply[0], '$');
    }
    cluster_join(cluster, "the secret of the cluster", reply);
    assert_int_equal(strncmp(reply, "-TRYAGAIN ", 10), 0);
    for (uint32_t id = 1; id <= 2; id++) {
        cluster_kill(cluster, id);
        cluster->feature_level[id] = 0;
        cluster_open(cluster, id, 0);
        edge_run_ms(cluster, 8 * MOOT_ELECTION_MS);
    }
    moot_node_group(cluster->nodes[1].node, MOOT_GROUP_SYSTEM, &view);
    assert_int_equal(view.feature_level, 1);
    cluster_join(cluster, "the secret of the cluster", reply);
    assert_int_equal(strncmp(reply, "-TRYAGAIN ", 10), 0);
    edge_run_ms(cluster, 200);
    moot_node_group(cluster->nodes[1].node, MOOT_GROUP_SYSTEM, &view);
    assert_int_equal(view.feature_level, 1); /* Nobody knows what the others know. */
    for (uint32_t node = 3; node <= MOOT_NODES_MAX; node++) {
        link_with(cluster, 1, node, true);
        link_with(cluster, 2, node, true);
    }
    edge_run_ms(cluster, 200);
    for (uint32_t id = 1; id <= 2; id++) {
        moot_node_group(cluster->nodes[id].node, MOOT_GROUP_SYSTEM, &view);
        assert_int_equal(view.feature_level, 2);
        assert_false(view.fenced);
        moot_node_group(cluster->nodes[id].node, MOOT_GROUP_DB0, &view);
        assert_int_equal(view.feature_level, 1); /* Nothing was asked of it. */
    }
    cluster_join(cluster, "the secret of the cluster", reply);
    assert_int_equal(strncmp(reply, "-ERR the cluster has as many", 28), 0);
    remove_node(cluster, 20);
    cluster_join(cluster, "the secret of the cluster", reply);
    assert_int_equal(reply[0], '$');
    edge_run_ms(cluster, 200);
    assert_non_null(strstr(ask(cluster, "MOOT STATUS\r\n"), "\"node\": 65,\"client\""));
    cluster_deinit(cluster);
}

/* Goal: links of strangers take no room that is needed: what is known of others is bounded, and a
 * node that was taken in is linked with. Method: twice as many strangers link as there is room for;
 * then one joins; then all strangers go, and others come. */
static void strangers_take_no_room(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(2);
    edge_run_ms(cluster, 300);
    uint32_t at = cluster_leader(cluster);
    for (moot_node_id node = 1000; node < 1000 + 2 * MOOT_PEERS_MAX; node++) {
        link_with(cluster, at, node, true);
    }
    char reply[4096];
    dials.about = 3;
    dials.linked = dials.told = dials.ended = 0;
    cluster->watch = note_dials;
    cluster_join(cluster, "the secret of the cluster", reply);
    assert_int_equal(reply[0], '$');
    edge_run_ms(cluster, 500);
    assert_int_equal(dials.linked, 1); /* By the node that has room. */
    link_with(cluster, at, 1000, false);
    edge_run_ms(cluster, 500);
    assert_int_equal(dials.linked, 2);
    edge_expect(cluster, at, 1, "SET k v\r\n", "+OK\r\n");
    cluster_deinit(cluster);
}

static moot_node_id unaware;
static bool unaware_hears_its_leader;

static bool lose_the_directory(moot_node_id from, moot_node_id to, struct moot_slice bytes)
{
    struct moot_arena arena;
    struct moot_message message;
    moot_arena_init(&arena);
    bool lost = to == unaware && moot_message_decode(bytes, &arena, &message) == 0 &&
                message.kind == MOOT_MESSAGE_RAFT && message.group == MOOT_GROUP_SYSTEM &&
                (!unaware_hears_its_leader || (message.raft.message.kind == MOOT_RAFT_APPEND &&
                                               message.raft.message.append.count > 0));
    moot_arena_deinit(&arena);
    (void)from;
    return lost;
}

/* Goal: a node that was removed and cannot know it does not lead for ever. Method: the leader of
 * three loses the other group, hears of its leader, but gets no entry of it, and removes itself. */
static void a_leader_that_cannot_know_is_relieved(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(3);
    edge_run_ms(cluster, 300);
    uint32_t gone = cluster_leader(cluster), other = edge_follower(cluster);
    unaware = gone;
    unaware_hears_its_leader = false;
    cluster->loses = lose_the_directory;
    edge_run_ms(cluster, 6 * MOOT_ELECTION_MS);
    unaware_hears_its_leader = true;
    edge_run_ms(cluster, MOOT_ELECTION_MS);
    assert_int_equal(cluster_leader(cluster), gone);
    char line[64];
    snprintf(line, sizeof(line), "MOOT CLUSTER REMOVE %u\r\n", gone);
    assert_string_equal(ask(cluster, line), "+OK\r\n");
    edge_run_ms(cluster, MOOT_TAKE_OVER_MS / 2);
    assert_false(votes(cluster, other, MOOT_GROUP_SYSTEM, gone));
    assert_true(votes(cluster, other, MOOT_GROUP_DB0, gone)); /* It does not know. */
    edge_run_ms(cluster, MOOT_TAKE_OVER_MS + 6 * MOOT_ELECTION_MS);
    assert_false(votes(cluster, other, MOOT_GROUP_DB0, gone));
    edge_expect(cluster, other, 1, "SET k v\r\n", "+OK\r\n");
    cluster_deinit(cluster);
}

/* Goal: two removals asked for at once are not both judged by the same members. Method: of four
 * nodes one is dead; one more may go, and two would leave one of two. */
static void two_removals_at_once(void **state)
{
    (void)state;
    struct cluster *cluster = edge_cluster(4);
    edge_run_ms(cluster, 300);
    uint32_t leader = cluster_leader(cluster), dead = leader % 4 + 1, first = dead % 4 + 1,
             second = first % 4 + 1;
    cluster_kill(cluster, dead);
    edge_run_ms(cluster, 6 * MOOT_ELECTION_MS);
    assert_int_equal(cluster_leader(cluster), leader);
    char lines[128];
    snprintf(lines, sizeof(lines), "MOOT CLUSTER REMOVE %u\r\nMOOT CLUSTER REMOVE %u\r\n", first,
             second);
    const char *text = ask(cluster, lines);
    assert_int_equal(strncmp(text, "+OK\r\n-TRYAGAIN ", 15), 0);
    edge_run_ms(cluster, 2000);
    assert_false(votes(cluster, leader, MOOT_GROUP_DB0, first));
    assert_true(votes(cluster, leader, MOOT_GROUP_DB0, second));
    snprintf(lines, sizeof(lines), "MOOT CLUSTER REMOVE %u\r\n", second);
    assert_non_null(strstr(ask(cluster, lines), "-ERR refused: too few"));
    edge_expect(cluster, leader, 1, "SET k v\r\n", "+OK\r\n");
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_was_removed_is_dialed_for_a_while),
        cmocka_unit_test(another_node_at_its_address_is_left_alone),
        cmocka_unit_test(who_has_no_leader_refuses_nobody),
        cmocka_unit_test(who_left_long_ago_is_still_refused),
        cmocka_unit_test(a_join_raises_the_level),
        cmocka_unit_test(strangers_take_no_room),
        cmocka_unit_test(a_leader_that_cannot_know_is_relieved),
        cmocka_unit_test(two_removals_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
