/* Which rules a cluster goes by when not all of its nodes are of one release. */
#include <string.h>

#include "edge_clients.h"

static uint32_t warnings;
static char warned[256];

static void note_warning(const struct moot_effect *effect)
{
    if (effect->kind == MOOT_EFFECT_LOG && effect->log.level == MOOT_LOG_WARN) {
        warnings++;
        snprintf(warned, sizeof(warned), "%.*s", (int)effect->log.text.size,
                 (const char *)effect->log.text.data);
    }
}

/* Three nodes that know these levels; those named in `away` have not come yet. */
static struct cluster *mixed(const uint32_t levels[3], uint32_t away)
{
    struct cluster *cluster = moot_alloc_zero(sizeof(*cluster));
    cluster->quiet = true;
    cluster->count = 3;
    cluster->now = (struct moot_now){{1000 * MOOT_SEC_NS}, 1700000000000};
    moot_arena_init(&cluster->arena);
    for (uint32_t id = 1; id <= 3; id++) {
        cluster->feature_level[id] = levels[id - 1];
        if (id != away) {
            cluster_open(cluster, id, 0);
        }
    }
    warnings = 0;
    cluster->watch = note_warning;
    return cluster;
}

static void expect_level(struct cluster *cluster, uint32_t level)
{
    for (uint32_t id = 1; id <= 3; id++) {
        for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
            struct moot_group_view view = cluster_group(cluster, id, group);
            assert_false(view.fenced);
            assert_int_equal(view.feature_level, level);
        }
    }
}

/* Goal: a new cluster gets the rules of its release; of several releases, those that all know.
 * Method: all alike; one that knows less, at each place. */
static void a_new_cluster_goes_by_what_all_know(void **state)
{
    (void)state;
    for (uint32_t old = 0; old <= 3; old++) {
        uint32_t levels[3] = {MOOT_FEATURE_LEVEL, MOOT_FEATURE_LEVEL, MOOT_FEATURE_LEVEL};
        for (uint32_t id = 1; id <= 3; id++) {
            levels[id - 1] += old != 0 && id != old;
        }
        struct cluster *cluster = mixed(levels, 0);
        edge_expect(cluster, 1, 1, "SET a 1\r\n", "+OK\r\n");
        edge_run_ms(cluster, 3000);
        expect_level(cluster, MOOT_FEATURE_LEVEL);
        cluster_deinit(cluster);
    }
}

/* Goal: a replica that does not know the group's level stops instead of going on by other rules.
 * Method: one that was not there when the group got it. */
static void an_unknown_feature_level_fences(void **state)
{
    (void)state;
    const uint32_t levels[3] = {MOOT_FEATURE_LEVEL + 1, MOOT_FEATURE_LEVEL + 1, MOOT_FEATURE_LEVEL};
    struct cluster *cluster = mixed(levels, 3);
    edge_expect(cluster, 1, 1, "SET a 1\r\n", "+OK\r\n");
    edge_run_ms(cluster, 1000);
    cluster_open(cluster, 3, 0);
    edge_run_ms(cluster, 3000);
    struct moot_group_view one = cluster_group(cluster, 1, MOOT_GROUP_DB0);
    struct moot_group_view old = cluster_group(cluster, 3, MOOT_GROUP_DB0);
    assert_int_equal(one.feature_level, MOOT_FEATURE_LEVEL + 1);
    assert_false(one.fenced);
    assert_true(old.fenced);
    assert_true(old.applied < one.applied);
    cluster_deinit(cluster);
}

/* Goal: a leader does not take a group for a new one because it has not executed yet what its log
 * says of the level (moot sim found that). Method: two of three form a group by the rules of the
 * older one; then that one is away, and the other, which has executed nothing since it started
 * again, is elected by the third. */
static void a_log_that_is_not_executed_is_not_new(void **state)
{
    (void)state;
    const uint32_t levels[3] = {MOOT_FEATURE_LEVEL, MOOT_FEATURE_LEVEL + 1, MOOT_FEATURE_LEVEL + 1};
    struct cluster *cluster = mixed(levels, 3);
    edge_expect(cluster, 1, 1, "SET a 1\r\n", "+OK\r\n");
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        for (int i = 0; i < 10000 && cluster_group(cluster, 2, group).feature_level == 0; i++) {
            cluster_step(cluster);
        }
        assert_int_equal(cluster_group(cluster, 2, group).feature_level, MOOT_FEATURE_LEVEL);
    }
    cluster_kill(cluster, 1);
    cluster_kill(cluster, 2);
    struct moot_store_memory_options empty = {.seed = 2}; /* Nothing had gone to the store yet. */
    cluster->nodes[2].store->ops->close(cluster->nodes[2].store);
    cluster->nodes[2].store = moot_store_memory_open(&empty);
    cluster_open(cluster, 2, 0);
    assert_int_equal(cluster_group(cluster, 2, MOOT_GROUP_DB0).feature_level, 0);
    cluster_open(cluster, 3, 0);
    edge_expect(cluster, 2, 1, "GET a\r\n", "$1\r\n1\r\n");
    edge_run_ms(cluster, 1000);
    cluster_open(cluster, 1, 0);
    edge_run_ms(cluster, 3000);
    expect_level(cluster, MOOT_FEATURE_LEVEL);
    cluster_deinit(cluster);
}

/* A join asks for rules of level 2 (system/directory.c) when the first 64 ids are given. */
static void ask_for_newer_rules(struct cluster *cluster)
{
    char reply[4096];
    for (int i = 0; i < 1000; i++) {
        cluster_join(cluster, "the secret of the cluster", reply);
        if (reply[0] != '$') {
            break;
        }
    }
    assert_int_equal(strncmp(reply, "-TRYAGAIN ", 10), 0);
    assert_non_null(strstr(reply, "upgrade every node"));
}

/* Goal: newer rules do not come as long as a member does not know them; the leader says who it is,
 * and no node stops; then they come. Method: two of three know level 2; the third is of an older
 * release, then away, then back with a newer one. The ids are used up by nodes that never serve. */
static void nobody_is_left_behind(void **state)
{
    (void)state;
    const uint32_t levels[3] = {1, 1, 1};
    struct cluster *cluster = mixed(levels, 0);
    edge_expect(cluster, 1, 1, "SET a 1\r\n", "+OK\r\n");
    for (uint32_t id = 1; id <= 2; id++) { /* A rolling upgrade that is not over. */
        cluster_kill(cluster, id);
        cluster->feature_level[id] = 2;
        edge_run_ms(cluster, 3000);
        cluster_open(cluster, id, 0);
        edge_run_ms(cluster, 3000);
    }
    ask_for_newer_rules(cluster);
    for (uint32_t node = 4; node <= MOOT_NODES_MAX; node++) { /* They link, and are of this one. */
        for (uint32_t id = 1; id <= 3; id++) {
            struct moot_input input = {
                .kind = MOOT_INPUT_PEER_UP, .node = node, .amount = 1, .status = 2};
            cluster_input(&cluster->nodes[id], input, &cluster->arena);
        }
    }
    edge_run_ms(cluster, 5000);
    expect_level(cluster, 1);
    ask_for_newer_rules(cluster);
    edge_run_ms(cluster, 1000);
    expect_level(cluster, 1);
    assert_non_null(strstr(warned, "upgrade or remove node 3, whose release knows no more than "
                                   "feature level 1"));
    assert_true(warnings < 20); /* It does not go on about it. */

    cluster_kill(cluster, 3);
    cluster->feature_level[3] = 2;
    edge_run_ms(cluster, 5000);
    ask_for_newer_rules(cluster);
    edge_run_ms(cluster, 1000);
    assert_int_equal(cluster_group(cluster, 1, MOOT_GROUP_SYSTEM).feature_level, 1);
    cluster_open(cluster, 3, 0); /* It came to it by itself: nobody asks again. */
    edge_run_ms(cluster, 5000);
    for (uint32_t id = 1; id <= 3; id++) {
        struct moot_group_view view = cluster_group(cluster, id, MOOT_GROUP_SYSTEM);
        assert_false(view.fenced);
        assert_int_equal(view.feature_level, 2);
    }
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_cluster_goes_by_what_all_know),
        cmocka_unit_test(an_unknown_feature_level_fences),
        cmocka_unit_test(a_log_that_is_not_executed_is_not_new),
        cmocka_unit_test(nobody_is_left_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
