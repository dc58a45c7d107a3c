#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "raft_cluster.h"

/* Goal: clusters of every size elect a leader, commit, confirm reads, and do so again after all of
 * them restart. Method: a quiet network. */
static void clusters_of_every_size_work_and_restart(void **state)
{
    (void)state;
    for (uint32_t size = 1; size <= 7; size++) {
        struct cluster *cluster = cluster_make(size);
        cluster->check_matching = true;
        cluster_create_all(cluster, size, 0);
        for (uint32_t life = 0; life < 3; life++) {
            moot_node_id leader = cluster_elect(cluster, 2000);
            assert_int_not_equal(leader, 0);
            moot_index before = cluster->committed_last;
            for (uint32_t i = 0; i < 50; i++) {
                assert_int_equal(cluster_submit(cluster, leader), 0);
            }
            assert_int_equal(cluster_read(cluster, leader), 0);
            cluster_flush(cluster, leader);
            cluster_run_ms(cluster, 200);
            assert_int_equal(cluster->committed_last, before + 50);
            assert_int_equal(cluster->read_count, 0);
            for (moot_node_id id = 1; id <= size; id++) {
                assert_int_equal(cluster->nodes[id].state.index, cluster->committed_last);
                cluster_crash(cluster, id, 0);
            }
            for (moot_node_id id = 1; id <= size; id++) {
                cluster_start(cluster, id);
            }
        }
        assert_int_equal(cluster->reads_done, 3);
        cluster_free(cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clusters_of_every_size_work_and_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
