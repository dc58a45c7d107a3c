#include "engine_world.h"

#include <stdio.h>

#include "database/system/directory.h"

static struct moot_identity identity_of(uint32_t count)
{
    struct moot_identity identity = {.cluster = {1, 2, 3, 255}, .node = 1, .initial_count = count};
    for (uint32_t i = 0; i < count; i++) {
        struct moot_address *address = &identity.initial[i];
        address->node = i + 1;
        snprintf(address->peer, sizeof(address->peer), "host%u:1", i + 1);
        snprintf(address->client, sizeof(address->client), "host%u:2", i + 1);
    }
    identity.self = identity.initial[0];
    return identity;
}

static void same_identity(const struct moot_identity *a, const struct moot_identity *b)
{
    assert_memory_equal(a->cluster, b->cluster, MOOT_CLUSTER_ID_BYTES);
    assert_int_equal(a->node, b->node);
    assert_string_equal(a->self.peer, b->self.peer);
    assert_string_equal(a->self.client, b->self.client);
    assert_int_equal(a->initial_count, b->initial_count);
    for (uint32_t i = 0; i < a->initial_count; i++) {
        assert_int_equal(a->initial[i].node, b->initial[i].node);
        assert_string_equal(a->initial[i].peer, b->initial[i].peer);
        assert_string_equal(a->initial[i].client, b->initial[i].client);
    }
}

/* Goal: an identity comes back as it was; one cut short or longer is refused, and no changed byte
 * gives an invalid one. Method: the largest cluster, every length, every byte changed. */
static void identity_is_whole_or_refused(void **state)
{
    (void)state;
    struct moot_identity identity = identity_of(MOOT_MEMBERS_MAX), out;
    struct moot_buffer bytes;
    moot_buffer_init(&bytes);
    memset(identity.self.peer, 'x', MOOT_ADDRESS_MAX - 1);
    moot_identity_encode(&identity, &bytes);
    assert_int_equal(moot_identity_decode(moot_buffer_slice(&bytes), &out), 0);
    same_identity(&identity, &out);
    for (size_t size = 0; size < bytes.size; size++) {
        assert_int_equal(moot_identity_decode(moot_slice_make(bytes.data, size), &out),
                         MOOT_EINVALID);
    }
    for (size_t at = 0; at < bytes.size; at++) {
        uint8_t before = bytes.data[at];
        for (int value = 0; value < 256; value += 5) {
            bytes.data[at] = (uint8_t)value;
            if (moot_identity_decode(moot_buffer_slice(&bytes), &out) == 0) {
                assert_true(out.node != 0 && out.self.node == out.node);
                assert_in_range(out.initial_count, 1, MOOT_MEMBERS_MAX);
                assert_null(strpbrk(out.self.peer, " \r\n\t"));
            }
        }
        bytes.data[at] = before;
    }
    bytes.data[0]++;
    assert_int_equal(moot_identity_decode(moot_buffer_slice(&bytes), &out), MOOT_EVERSION);
    bytes.data[0]--;
    moot_put_u8(&bytes, 0);
    assert_int_equal(moot_identity_decode(moot_buffer_slice(&bytes), &out), MOOT_EINVALID);
    moot_buffer_deinit(&bytes);
}

static void to_hex(const struct moot_identity *identity, char *out)
{
    struct moot_buffer bytes;
    moot_buffer_init(&bytes);
    moot_identity_encode(identity, &bytes);
    for (size_t i = 0; i < bytes.size; i++) {
        sprintf(out + 2 * i, "%02x", bytes.data[i]);
    }
    moot_buffer_deinit(&bytes);
}

/* The identity in a reply of moot.join: "$size.hex.". */
static void from_reply(const char *reply, struct moot_identity *out)
{
    uint8_t bytes[8192];
    size_t size = 0;
    assert_int_equal(reply[0], '$');
    const char *hex = strchr(reply, '.') + 1;
    for (; hex[2 * size] != '.'; size++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * size, "%2x", &byte), 1);
        bytes[size] = (uint8_t)byte;
    }
    assert_int_equal(moot_identity_decode(moot_slice_make(bytes, size), out), 0);
}

static void system_world(struct world *world, uint64_t seed)
{
    world_make(world, seed, 3);
    moot_engine_destroy(world->engine);
    world->engine = moot_engine_make(world->store, MOOT_GROUP_SYSTEM);
    assert_int_equal(moot_engine_status(world->engine), 0);
}

static void load(struct world *world, struct moot_directory *out)
{
    int status;
    *out = (struct moot_directory){0};
    while ((status = moot_directory_load(out, moot_engine_view(world->engine))) ==
           MOOT_EWOULDBLOCK) {
        assert_int_equal(out->count, 0); /* Then nothing has changed. */
        world_fetch(world);
    }
    assert_int_equal(status, 0);
}

/* As an edge asks that knows all that was executed. */
static const char *remove_node(struct world *world, moot_node_id node)
{
    char command[64];
    struct moot_directory directory;
    load(world, &directory);
    snprintf(command, sizeof(command), "moot.remove %u %llu", node,
             (unsigned long long)moot_directory_changes(&directory));
    return world_write(world, command);
}

static void form(struct world *world, uint64_t seed, struct moot_identity identity)
{
    char command[8192] = "moot.form ";
    to_hex(&identity, command + strlen(command));
    system_world(world, seed);
    assert_string_equal(world_write(world, command), "+OK.");
}

static moot_node_id join(struct world *world)
{
    struct moot_identity joined;
    from_reply(world_write(world, "moot.join a:1 b:2"), &joined);
    return joined.node;
}

/* Goal: the directory is formed once, grows by nodes with ids that are never used again, and
 * remembers who was removed. Method: the commands, on a store that often makes them start over. */
static void ids_are_never_used_again(void **state)
{
    (void)state;
    struct world world;
    struct moot_directory directory;
    struct moot_identity identity = identity_of(3), joined;
    char command[8192] = "moot.form ", again[8192] = "moot.form ";
    to_hex(&identity, command + strlen(command));
    struct moot_identity other = identity_of(5);
    to_hex(&other, again + strlen(again));
    system_world(&world, 5);

    load(&world, &directory);
    assert_false(directory.formed);
    assert_non_null(strstr(world_write(&world, "moot.join a:1 b:2"), "-TRYAGAIN"));
    assert_non_null(strstr(world_write(&world, "moot.form 0102"), "-ERR"));
    assert_non_null(strstr(world_write(&world, "moot.form zz"), "-ERR"));
    assert_string_equal(world_write(&world, command), "+OK.");
    assert_string_equal(world_write(&world, again), "+OK."); /* Changes nothing. */
    load(&world, &directory);
    assert_true(directory.formed);
    assert_int_equal(directory.count, 3);
    assert_string_equal(moot_directory_find(&directory, 2)->address.peer, "host2:1");
    assert_null(moot_directory_find(&directory, 4));

    from_reply(world_write(&world, "moot.join new:1 new:2"), &joined);
    assert_int_equal(joined.node, 4);
    assert_string_equal(joined.self.client, "new:2");
    assert_memory_equal(joined.cluster, identity.cluster, MOOT_CLUSTER_ID_BYTES);
    assert_int_equal(joined.initial_count, 3); /* It is not of the first. */
    assert_string_equal(remove_node(&world, 4), "+OK.");
    assert_string_equal(remove_node(&world, 4), "+OK.");
    from_reply(world_write(&world, "moot.join new:1 new:2"), &joined);
    assert_int_equal(joined.node, 5);
    assert_string_equal(remove_node(&world, 1), "+OK.");
    assert_string_equal(remove_node(&world, 2), "+OK.");
    assert_string_equal(remove_node(&world, 3), "+OK.");
    assert_non_null(strstr(remove_node(&world, 5), "-ERR refused: it is the last"));
    load(&world, &directory);
    assert_int_equal(directory.count, 5);
    assert_int_equal(moot_directory_find(&directory, 4)->state, MOOT_NODE_REMOVED);
    assert_int_equal(moot_directory_find(&directory, 5)->state, MOOT_NODE_MEMBER);
    world_end(&world);
}

static void is_member(struct world *world, moot_node_id node, bool is)
{
    struct moot_directory directory;
    load(world, &directory);
    assert_int_equal(moot_directory_find(&directory, node)->state == MOOT_NODE_MEMBER, is);
}

/* Goal: of orders that are on their way at once, each judged by the same members, one is carried
 * out, also when a join came between; the others are told to ask again, and nothing is done.
 * Method: of three nodes two are removed by orders that know of three, one by an order that knows
 * of a fourth. */
static void orders_at_once_are_not_judged_alone(void **state)
{
    (void)state;
    struct world world;
    struct moot_identity identity = identity_of(3);
    char command[8192] = "moot.form ";
    to_hex(&identity, command + strlen(command));
    system_world(&world, 7);
    assert_string_equal(world_write(&world, command), "+OK.");
    assert_string_equal(world_write(&world, "moot.remove 1 3"), "+OK.");
    assert_non_null(strstr(world_write(&world, "moot.remove 2 3"), "-TRYAGAIN"));
    is_member(&world, 2, true);
    assert_string_equal(world_write(&world, "moot.remove 1 3"), "+OK."); /* Done is done. */
    assert_int_equal(world_write(&world, "moot.join a:1 b:2")[0], '$');
    assert_non_null(strstr(world_write(&world, "moot.remove 2 4"), "-TRYAGAIN"));
    is_member(&world, 2, true);
    assert_string_equal(world_write(&world, "moot.remove 2 5"), "+OK.");
    is_member(&world, 2, false);
    world_end(&world);
}

/* Goal: who has joined, and may never come, is nobody that stays. Method: of two that vote and one
 * that has joined the voters are removed; only when the third votes the last of them goes. */
static void somebody_who_votes_stays(void **state)
{
    (void)state;
    struct world world;
    struct moot_identity identity = identity_of(2);
    struct moot_members members = {.voters = {1, 2}, .voter_count = 2};
    char command[8192] = "moot.form ";
    to_hex(&identity, command + strlen(command));
    system_world(&world, 8);
    moot_engine_shared(world.engine)->members = &members;
    assert_string_equal(world_write(&world, command), "+OK.");
    assert_int_equal(world_write(&world, "moot.join a:1 b:2")[0], '$');
    assert_string_equal(remove_node(&world, 1), "+OK.");
    assert_non_null(strstr(remove_node(&world, 2), "-ERR refused: it is the last"));
    is_member(&world, 2, true);
    members =
        (struct moot_members){.voters = {2}, .voter_count = 1, .learners = {3}, .learner_count = 1};
    assert_non_null(strstr(remove_node(&world, 2), "-ERR refused: it is the last"));
    members = (struct moot_members){.voters = {2, 3}, .voter_count = 2};
    assert_string_equal(remove_node(&world, 2), "+OK.");
    is_member(&world, 2, false);
    is_member(&world, 3, true);
    world_end(&world);
}

/* Goal: the directory holds no nonsense, and no more than it may. Method: bad addresses and
 * numbers; joins until it is full. */
static void the_directory_is_guarded(void **state)
{
    (void)state;
    struct world world;
    struct moot_directory directory;
    struct moot_identity identity = identity_of(1);
    char command[8192] = "moot.form ";
    to_hex(&identity, command + strlen(command));
    system_world(&world, 6);
    assert_string_equal(world_write(&world, command), "+OK.");
    assert_non_null(strstr(world_write(&world, "moot.join nocolon b:2"), "-ERR"));
    assert_non_null(strstr(world_write(&world, "moot.join a:1 b\t:2"), "-ERR"));
    char large[400] = "moot.join a:";
    memset(large + strlen(large), '1', MOOT_ADDRESS_MAX);
    strcat(large, " b:2");
    assert_non_null(strstr(world_write(&world, large), "-ERR"));
    assert_non_null(strstr(world_write(&world, "moot.remove 0 1"), "-ERR"));
    assert_non_null(strstr(world_write(&world, "moot.remove 2 1"), "-ERR"));
    assert_non_null(strstr(world_write(&world, "moot.remove 4294967297 1"), "-ERR"));
    assert_non_null(strstr(world_write(&world, "moot.remove 1 x"), "-ERR"));
    for (uint32_t node = 2; node <= MOOT_NODES_MAX; node++) {
        assert_int_equal(world_write(&world, "moot.join a:1 b:2")[0], '$');
    }
    assert_non_null(
        strstr(world_write(&world, "moot.join a:1 b:2"), "-ERR the cluster has as many"));
    load(&world, &directory);
    assert_int_equal(directory.count, MOOT_NODES_MAX);
    assert_string_equal(remove_node(&world, 7), "+OK."); /* One goes, one may come. */
    assert_int_equal(join(&world), MOOT_NODES_MAX + 1);
    assert_non_null(
        strstr(world_write(&world, "moot.join a:1 b:2"), "-ERR the cluster has as many"));
    load(&world, &directory);
    assert_int_equal(directory.count, MOOT_NODES_MAX);
    assert_int_equal(moot_directory_state(&directory, 7), MOOT_NODE_REMOVED);
    world_end(&world);
}

/* Goal: nodes may be replaced for ever. Ids go on, all that were removed stay it, and what is kept
 * of them is bounded. Method: three hundred times a node joins and another one leaves; one stays
 * from the beginning. */
static void nodes_are_replaced_for_ever(void **state)
{
    (void)state;
    struct world world;
    struct moot_directory directory;
    form(&world, 9, identity_of(3));
    for (moot_node_id last = 3; last < 303; last++) {
        load(&world, &directory);
        uint64_t changes = moot_directory_changes(&directory);
        assert_int_equal(join(&world), last + 1);
        assert_string_equal(remove_node(&world, last == 3 ? 1 : last - 1), "+OK.");
        load(&world, &directory);
        assert_int_equal(moot_directory_changes(&directory), changes + 2);
        assert_true(directory.count <= 3 + MOOT_REMOVED_LISTED_MAX + 1);
    }
    for (moot_node_id node = 1; node <= 301; node++) {
        assert_int_equal(moot_directory_state(&directory, node),
                         node == 2 ? MOOT_NODE_MEMBER : MOOT_NODE_REMOVED);
    }
    assert_int_equal(moot_directory_state(&directory, 302), MOOT_NODE_MEMBER);
    assert_int_equal(moot_directory_state(&directory, 303), MOOT_NODE_MEMBER);
    assert_int_equal(moot_directory_state(&directory, 304), MOOT_NODE_UNKNOWN);
    assert_null(moot_directory_find(&directory, 100));
    assert_string_equal(remove_node(&world, 100), "+OK."); /* Done is done. */
    assert_non_null(strstr(remove_node(&world, 304), "-ERR there is no such node"));
    world_end(&world);
}

/* Goal: those that are still listed are those that were removed last, whatever their ids; and who
 * is still in the group stays listed. Method: the first node leaves last; another one is a voter
 * all the time. */
static void the_last_that_were_removed_are_listed(void **state)
{
    (void)state;
    struct world world;
    struct moot_directory directory;
    struct moot_members members = {.voters = {2, 3}, .voter_count = 2};
    form(&world, 10, identity_of(3));
    moot_engine_shared(world.engine)->members = &members;
    assert_string_equal(remove_node(&world, 2), "+OK.");
    for (moot_node_id node = 4; node <= 9; node++) {
        assert_int_equal(join(&world), node);
        assert_string_equal(remove_node(&world, node), "+OK.");
    }
    assert_string_equal(remove_node(&world, 1), "+OK.");
    assert_int_equal(join(&world), 10);
    load(&world, &directory);
    assert_int_equal(directory.count, 2 + MOOT_REMOVED_LISTED_MAX);
    assert_non_null(moot_directory_find(&directory, 1));
    assert_non_null(moot_directory_find(&directory, 2));
    assert_null(moot_directory_find(&directory, 7));
    assert_non_null(moot_directory_find(&directory, 8));
    world_end(&world);
}

/* Goal: ids do end, and it is told. Method: a cluster that begins three below the last. */
static void the_last_id_is_given_once(void **state)
{
    (void)state;
    struct world world;
    struct moot_identity identity = identity_of(1);
    identity.node = identity.self.node = identity.initial[0].node = MOOT_NODE_ID_MAX - 2;
    form(&world, 11, identity);
    assert_int_equal(join(&world), MOOT_NODE_ID_MAX - 1);
    assert_int_equal(join(&world), MOOT_NODE_ID_MAX);
    assert_string_equal(remove_node(&world, MOOT_NODE_ID_MAX), "+OK.");
    assert_non_null(strstr(world_write(&world, "moot.join a:1 b:2"), "-ERR every node id"));
    world_end(&world);
}

/* Goal: under level 1 everything is as the release before has it, so that replicas of both are the
 * same: ids end at the number of nodes, and nobody is taken off the list; who joins then asks for
 * level 2. Method: 64 ids under level 1, its records, then level 2. */
static void under_level_1_ids_end(void **state)
{
    (void)state;
    struct world world;
    struct moot_directory directory;
    uint32_t level = 1;
    form(&world, 12, identity_of(1));
    struct moot_call_shared *shared = moot_engine_shared(world.engine);
    shared->feature_level = &level;
    for (moot_node_id node = 2; node <= MOOT_NODES_MAX; node++) {
        assert_int_equal(join(&world), node);
        assert_string_equal(remove_node(&world, node - 1), "+OK.");
    }
    assert_int_equal(shared->level_wanted, 0);
    load(&world, &directory);
    assert_int_equal(directory.count, MOOT_NODES_MAX);
    assert_int_equal(directory.unlisted, 0);
    assert_int_equal(directory.nodes[0].removed_as, 0);
    assert_non_null(strstr(world_write(&world, "moot.join a:1 b:2"), "-TRYAGAIN"));
    assert_int_equal(shared->level_wanted, 2);
    uint64_t changes = moot_directory_changes(&directory);
    level = 2;
    assert_int_equal(join(&world), MOOT_NODES_MAX + 1);
    load(&world, &directory);
    assert_int_equal(directory.count, 2 + MOOT_REMOVED_LISTED_MAX);
    assert_int_equal(moot_directory_changes(&directory), changes + 1);
    assert_int_equal(moot_directory_state(&directory, 1), MOOT_NODE_REMOVED);
    world_end(&world);
}

/* Goal: before the first entry is executed, the nodes are those of the identity. */
static void the_identity_is_the_first_directory(void **state)
{
    (void)state;
    struct world world;
    struct moot_identity identity = identity_of(3);
    struct moot_directory directory;
    moot_directory_from_identity(&directory, &identity);
    assert_int_equal(directory.count, 3);
    assert_false(directory.formed);
    system_world(&world, 7);
    int status;
    while ((status = moot_directory_load(&directory, moot_engine_view(world.engine))) ==
           MOOT_EWOULDBLOCK) {
        world_fetch(&world);
    }
    assert_int_equal(status, 0);
    assert_int_equal(directory.count, 3); /* Nothing is in the store: they stay. */
    assert_false(directory.formed);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity_is_whole_or_refused),
        cmocka_unit_test(ids_are_never_used_again),
        cmocka_unit_test(orders_at_once_are_not_judged_alone),
        cmocka_unit_test(somebody_who_votes_stays),
        cmocka_unit_test(the_directory_is_guarded),
        cmocka_unit_test(nodes_are_replaced_for_ever),
        cmocka_unit_test(the_last_that_were_removed_are_listed),
        cmocka_unit_test(the_last_id_is_given_once),
        cmocka_unit_test(under_level_1_ids_end),
        cmocka_unit_test(the_identity_is_the_first_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
