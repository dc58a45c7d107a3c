/* A test that is a leader itself: it says to node 1 of a small cluster what a leader would, and
 * what none should. */
#ifndef MOOT_TESTS_NODE_LEADER_H
#define MOOT_TESTS_NODE_LEADER_H

#include "database/execute/engine.h"
#include "database/group/entry.h"
#include "database/group/message.h"
#include "node_cluster.h"

static inline struct cluster *leader_cluster(uint32_t count)
{
    struct cluster *cluster = moot_alloc_zero(sizeof(*cluster));
    cluster->quiet = true;
    cluster_init(cluster, count, 0);
    return cluster;
}

static inline void leader_steps(struct cluster *cluster, int count)
{
    for (int i = 0; i < count; i++) {
        cluster_step(cluster);
    }
}

static inline struct moot_group_view leader_view(struct cluster *cluster, uint32_t id)
{
    struct moot_group_view view;
    moot_node_group(cluster->nodes[id].node, MOOT_GROUP_DB0, &view);
    return view;
}

static inline void leader_deliver(struct cluster *cluster, moot_node_id from, moot_node_id to,
                                  const struct moot_message *message, struct moot_slice more)
{
    struct moot_buffer bytes;
    moot_buffer_init(&bytes);
    moot_message_encode(message, &bytes);
    moot_buffer_append_slice(&bytes, more);
    struct moot_input input = {.kind = MOOT_INPUT_PEER_MESSAGE, .node = from};
    input.bytes = moot_buffer_slice(&bytes);
    cluster_input(&cluster->nodes[to], input, &cluster->arena);
    moot_buffer_deinit(&bytes);
}

/* What the test says as the leader of a term: entries after those that node 1 has of that term (or
 * of none), each with this batch of one edge (0: without one). */
struct leader_said {
    moot_node_id leader;
    const uint64_t *batches;
    uint32_t count;
    moot_index previous, commit;
    moot_term term;
};

static inline void leader_says(struct cluster *cluster, const struct leader_said *said)
{
    struct moot_buffer entries;
    struct moot_raft_entry heads[8];
    moot_buffer_init(&entries);
    for (uint32_t i = 0; i < said->count; i++) {
        struct moot_entry entry = {.kind = said->batches[i] == 0 ? MOOT_ENTRY_NOOP
                                                                 : MOOT_ENTRY_COMMANDS,
                                   .stamp = moot_hlc_pack(cluster->now.wall_ms, (uint16_t)i),
                                   .edge = 2,
                                   .edge_incarnation = 1,
                                   .batch = said->batches[i]};
        struct moot_slice args[3] = {MOOT_SLICE_LITERAL("RPUSH"), MOOT_SLICE_LITERAL("l"),
                                     MOOT_SLICE_LITERAL("x")};
        size_t before = entries.size;
        moot_entry_put_header(moot_buffer_reserve(&entries, MOOT_ENTRY_HEADER_BYTES), &entry);
        entries.size += MOOT_ENTRY_HEADER_BYTES;
        moot_item_put(&entries, 0, 0, (struct moot_slice){NULL, 0}, args, 3);
        heads[i] =
            (struct moot_raft_entry){.term = said->term, .size = (uint32_t)(entries.size - before)};
    }
    struct moot_message message = {.kind = MOOT_MESSAGE_RAFT, .group = MOOT_GROUP_DB0};
    struct moot_raft_message *raft = &message.raft.message;
    *raft = (struct moot_raft_message){.kind = MOOT_RAFT_APPEND,
                                       .from = said->leader,
                                       .to = 1,
                                       .term = said->term,
                                       .session = 1,
                                       .wall_ms = cluster->now.wall_ms};
    raft->append.previous_index = said->previous;
    raft->append.previous_term = said->previous > 0 ? said->term : 0;
    raft->append.commit = said->commit;
    raft->append.count = said->count;
    raft->append.entries = heads;
    leader_deliver(cluster, said->leader, 1, &message, moot_buffer_slice(&entries));
    leader_steps(cluster, 50);
    assert_int_equal(leader_view(cluster, 1).last, said->previous + said->count);
    assert_int_equal(leader_view(cluster, 1).applied, said->commit);
    assert_false(leader_view(cluster, 1).fenced);
    moot_buffer_deinit(&entries);
}

/* A follower that was given these batches by a leader that is the test. */
static inline struct cluster *leader_follower(const uint64_t *batches, uint32_t count,
                                              moot_index commit, moot_term term)
{
    struct cluster *cluster = leader_cluster(2);
    cluster_kill(cluster, 2);
    leader_says(cluster, &(struct leader_said){2, batches, count, 0, commit, term});
    return cluster;
}

#endif
