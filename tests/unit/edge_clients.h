/* Several clients of an in-process cluster, links that are cut, and time: for the tests of edges.
 */
#ifndef MOOT_TESTS_EDGE_CLIENTS_H
#define MOOT_TESTS_EDGE_CLIENTS_H

#include "base/rng.h"
#include "node_cluster.h"

static inline struct cluster *edge_cluster(uint32_t count)
{
    struct cluster *cluster = moot_alloc_zero(sizeof(*cluster));
    cluster->quiet = true;
    cluster_init(cluster, count, 0);
    cluster_expect(cluster, 1, "SET ready 1\r\n", "+OK\r\n");
    return cluster;
}

static inline uint32_t edge_follower(const struct cluster *cluster)
{
    return cluster_leader(cluster) % cluster->count + 1;
}

static inline void edge_input(struct cluster *cluster, uint32_t id, enum moot_input_kind kind,
                              uint64_t connection, uint64_t amount, struct moot_slice bytes)
{
    struct moot_input input = {.kind = kind, .amount = amount, .bytes = bytes};
    input.connection = connection;
    cluster_input(&cluster->nodes[id], input, &cluster->arena);
}

static inline void edge_open(struct cluster *cluster, uint32_t id, uint64_t connection)
{
    edge_input(cluster, id, MOOT_INPUT_CLIENT_OPENED, connection, 0, moot_slice_text("test:2"));
}

static inline void edge_close(struct cluster *cluster, uint32_t id, uint64_t connection)
{
    edge_input(cluster, id, MOOT_INPUT_CLIENT_CLOSED, connection, 0, (struct moot_slice){0});
}

static inline void edge_send(struct cluster *cluster, uint32_t id, uint64_t connection,
                             const char *bytes)
{
    moot_buffer_reset(cluster_replies(&cluster->nodes[id], connection), 1024 * 1024);
    edge_input(cluster, id, MOOT_INPUT_CLIENT_BYTES, connection, 0, moot_slice_text(bytes));
}

static inline void edge_turns(struct cluster *cluster, int count) { cluster_steps(cluster, count); }

/* The bytes in pieces of 1 to `most`, a turn or two between some of them: no reader may rely on
 * where a read of a socket ends. */
static inline void edge_send_pieces(struct cluster *cluster, uint32_t id, struct moot_rng *rng,
                                    uint64_t most, struct moot_slice bytes)
{
    moot_buffer_reset(&cluster->nodes[id].replies, 1024 * 1024);
    for (size_t at = 0; at < bytes.size;) {
        size_t piece = moot_min_u64(1 + moot_rng_below(rng, most), bytes.size - at);
        edge_input(cluster, id, MOOT_INPUT_CLIENT_BYTES, 1, 0,
                   moot_slice_make(bytes.data + at, piece));
        at += piece;
        edge_turns(cluster, (int)moot_rng_below(rng, 3));
    }
}

static inline void edge_run_ms(struct cluster *cluster, uint64_t ms)
{
    struct moot_instant end = moot_instant_add(cluster->now.instant, moot_ms(ms));
    while (moot_instant_before(cluster->now.instant, end)) {
        cluster_step(cluster);
    }
}

static inline const char *edge_text(struct cluster *cluster, uint32_t id, uint64_t connection)
{
    struct moot_buffer *replies = cluster_replies(&cluster->nodes[id], connection);
    moot_buffer_append(replies, "", 1);
    replies->size--;
    return (const char *)replies->data;
}

/* Waits for exactly these reply bytes of a connection. */
static inline void edge_wait(struct cluster *cluster, uint32_t id, uint64_t connection,
                             const char *expected)
{
    struct moot_buffer *replies = cluster_replies(&cluster->nodes[id], connection);
    for (int i = 0; i < 100000 && replies->size < strlen(expected); i++) {
        cluster_step(cluster);
    }
    assert_string_equal(edge_text(cluster, id, connection), expected);
}

static inline void edge_expect(struct cluster *cluster, uint32_t id, uint64_t connection,
                               const char *bytes, const char *expected)
{
    edge_send(cluster, id, connection, bytes);
    edge_wait(cluster, id, connection, expected);
}

/* A silent partition ends: links are made anew. */
static inline void edge_heal(struct cluster *cluster, uint32_t id)
{
    cluster->nodes[id].cut = false;
    for (uint32_t i = 1; i <= cluster->count; i++) {
        if (i == id || cluster->nodes[i].dead) {
            continue;
        }
        uint32_t pair[2] = {i, id};
        for (uint32_t a = 0; a < 2; a++) {
            struct moot_input input = {.kind = MOOT_INPUT_PEER_DOWN, .node = pair[1 - a]};
            cluster_input(&cluster->nodes[pair[a]], input, &cluster->arena);
            input.kind = MOOT_INPUT_PEER_UP;
            input.amount = moot_node_incarnation(cluster->nodes[pair[1 - a]].node);
            input.status = cluster_level(cluster, pair[1 - a]);
            cluster_input(&cluster->nodes[pair[a]], input, &cluster->arena);
        }
    }
}

#endif
