/* A node whose journal has rotten while it was dead: what it says of itself, and what it does not
 * do twice. */
#include "node_cluster.h"
#include "storage/journal_format.h"

static const char SEGMENT[] = "journal-0000000000000001";

static struct cluster *make(void)
{
    struct cluster *cluster = moot_alloc_zero(sizeof(*cluster));
    cluster->quiet = true;
    cluster_init(cluster, 3, 0);
    return cluster;
}

static void steps(struct cluster *cluster, int count)
{
    for (int i = 0; i < count; i++) {
        cluster_step(cluster);
    }
}

static void write_some(struct cluster *cluster, uint32_t id)
{
    for (uint32_t i = 0; i < 5; i++) {
        cluster_expect(cluster, id, "SET k v\r\n", "+OK\r\n");
    }
    steps(cluster, 500);
}

/* Flips a byte in the body of each batch that holds the identity, from the newest back; how many.
 */
static uint32_t rot_identities(struct moot_disk_sim *disk, uint32_t most)
{
    uint64_t size;
    const uint8_t *bytes = moot_disk_sim_bytes(disk, SEGMENT, &size);
    uint32_t found = 0;
    assert_non_null(bytes);
    for (uint64_t at = size; at > 0 && found < most;) {
        struct journal_header header;
        at -= MOOT_JOURNAL_ALIGN;
        if (journal_header_get(bytes + at, 1, at, size, &header) == JOURNAL_GOOD &&
            (header.flags & JOURNAL_HAS_IDENTITY) != 0) {
            moot_disk_sim_rot(disk, SEGMENT, at + header.header_size + 40, 1);
            found++;
        }
    }
    return found;
}

/* Goal: an incarnation is never used twice, although the record of it is lost: streams of the edge
 * are told apart by it, and an old answer would be taken for a new one (moot sim found that).
 * Method: several starts; the newest identities rot. */
static void incarnations_are_never_used_twice(void **state)
{
    (void)state;
    struct cluster *cluster = make();
    write_some(cluster, 1);
    for (int i = 0; i < 3; i++) {
        cluster_kill(cluster, 2);
        cluster_open(cluster, 2, 0);
        write_some(cluster, 2);
    }
    uint64_t before = moot_node_incarnation(cluster->nodes[2].node);
    cluster_kill(cluster, 2);
    assert_int_equal(rot_identities(cluster->nodes[2].disk, 2), 2);
    cluster_open(cluster, 2, 0);
    assert_true(moot_node_incarnation(cluster->nodes[2].node) > before);
    write_some(cluster, 2);
    cluster_deinit(cluster);
}

/* Goal: a journal that has lost its identity is not taken for an empty folder, which could be
 * formatted. Method: every identity rots; with and without leave to format. */
static void a_lost_identity_is_not_an_empty_folder(void **state)
{
    (void)state;
    struct cluster *cluster = make();
    write_some(cluster, 1);
    cluster_kill(cluster, 2);
    assert_true(rot_identities(cluster->nodes[2].disk, UINT32_MAX) > 0);
    struct moot_node_options options = cluster_options(cluster, 2);
    struct moot_node *node;
    char why[256];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(moot_node_open(&options, &node, why), MOOT_ECORRUPT);
        assert_null(node);
        assert_non_null(strstr(why, "new replica"));
        options.format = NULL;
    }
    cluster_deinit(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(incarnations_are_never_used_twice),
        cmocka_unit_test(a_lost_identity_is_not_an_empty_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
