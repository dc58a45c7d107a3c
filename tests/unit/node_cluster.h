/* A few whole nodes in one process, with a perfect network and disks: for tests of the brain that
 * need no faults. */
#ifndef MOOT_TESTS_NODE_CLUSTER_H
#define MOOT_TESTS_NODE_CLUSTER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/status.h"
#include "database/node.h"
#include "sim/disk_sim.h"
#include "storage/snapshot.h"
#include "storage/store_memory.h"

_Noreturn void moot_assert_failed(const char *expression, const char *file, int line)
{
    printf("# %s:%d: %s\n", file, line, expression);
    fflush(stdout);
    __builtin_trap();
}

enum { CLUSTER_MAX = 5, INPUTS_MAX = 65536 };

struct cluster_node {
    struct moot_node *node;
    struct moot_disk_sim *disk;
    struct moot_store *store;
    struct moot_input inputs[INPUTS_MAX];
    size_t input_count;
    struct moot_instant deadline;
    struct moot_buffer replies; /* Of client 1. */
    struct moot_store_pin *pins[1024];
    bool dead;
};

struct cluster {
    struct cluster_node nodes[CLUSTER_MAX + 1]; /* By id. */
    uint32_t count;
    struct moot_now now;
    struct moot_arena arena;
    bool quiet;
    void (*watch)(const struct moot_effect *effect); /* NULL, or sees every effect. */
    uint32_t feature_level[CLUSTER_MAX + 1];         /* That a node knows; 0: this release's. */
};

static const struct moot_journal_options JOURNAL = {.segment_bytes = MOOT_JOURNAL_SEGMENT_BYTES,
                                                    .segments_max = 4};

/* Not a secure MAC; enough to differ whenever key or message do. */
static void cluster_mac(void *context, struct moot_slice key, struct moot_slice message,
                        uint8_t out[MOOT_MAC_BYTES])
{
    (void)context;
    for (uint64_t i = 0; i < MOOT_MAC_BYTES / 8; i++) {
        moot_store_le64(out + 8 * i, moot_hash64(message, moot_hash64(key, i)));
    }
}

static struct moot_admission cluster_admission(void)
{
    return (struct moot_admission){MOOT_SLICE_LITERAL("the secret of the cluster"),
                                   {cluster_mac, NULL}};
}

static void cluster_input(struct cluster_node *at, struct moot_input input,
                          struct moot_arena *arena)
{
    input.bytes = moot_arena_copy(arena, input.bytes);
    assert_true(at->input_count < INPUTS_MAX);
    at->inputs[at->input_count++] = input;
}

static void cluster_open(struct cluster *cluster, uint32_t id, uint32_t wouldblock)
{
    struct moot_identity identity = {.node = id, .initial_count = cluster->count};
    for (uint32_t i = 1; i <= cluster->count; i++) {
        struct moot_address *address = &identity.initial[i - 1];
        address->node = i;
        snprintf(address->peer, sizeof(address->peer), "127.0.0.1:%u", 1000 + i);
        snprintf(address->client, sizeof(address->client), "127.0.0.1:%u", 2000 + i);
    }
    identity.self = identity.initial[id - 1];
    struct cluster_node *at = &cluster->nodes[id];
    if (at->disk == NULL) {
        at->disk = moot_disk_sim_make(id);
        struct moot_store_memory_options store = {.seed = id, .wouldblock_one_in = wouldblock};
        at->store = moot_store_memory_open(&store);
    }
    struct moot_node_options options = {.disk = moot_disk_sim_disk(at->disk),
                                        .store = at->store,
                                        .format = &identity,
                                        .now = cluster->now,
                                        .seed = id * 77,
                                        .journal = JOURNAL,
                                        .feature_level = cluster->feature_level[id],
                                        .admission = cluster_admission()};
    char why[256];
    int status = moot_node_open(&options, &at->node, why);
    if (status != 0) {
        fail_msg("open: %s: %s", moot_status_text(status), why);
    }
    at->dead = false;
    moot_buffer_init(&at->replies);
    for (uint32_t i = 1; i <= cluster->count; i++) {
        if (i != id && !cluster->nodes[i].dead && cluster->nodes[i].node != NULL) {
            struct moot_input up = {.kind = MOOT_INPUT_PEER_UP, .node = i, .amount = 1};
            cluster_input(at, up, &cluster->arena);
            up.node = id;
            up.amount = moot_node_incarnation(at->node);
            cluster_input(&cluster->nodes[i], up, &cluster->arena);
        }
    }
    struct moot_input opened = {
        .kind = MOOT_INPUT_CLIENT_OPENED, .connection = 1, .bytes = moot_slice_text("test:1")};
    cluster_input(at, opened, &cluster->arena);
}

static void cluster_init(struct cluster *cluster, uint32_t count, uint32_t wouldblock)
{
    cluster->count = count;
    cluster->now = (struct moot_now){{1000 * MOOT_SEC_NS}, 1700000000000};
    moot_arena_init(&cluster->arena);
    for (uint32_t id = 1; id <= count; id++) {
        cluster_open(cluster, id, wouldblock);
    }
}

static void cluster_perform(struct cluster *cluster, struct cluster_node *at,
                            const struct moot_effect *effect)
{
    struct moot_input answer = {.ticket = effect->ticket};
    const struct moot_store_ops *ops = at->store->ops;
    if (cluster->watch != NULL) {
        cluster->watch(effect);
    }
    switch (effect->kind) {
    case MOOT_EFFECT_JOURNAL: {
        void *aligned = moot_alloc_aligned(MOOT_JOURNAL_ALIGN, effect->journal.bytes.size);
        memcpy(aligned, effect->journal.bytes.data, effect->journal.bytes.size);
        int status =
            moot_journal_write_now(moot_disk_sim_disk(at->disk), JOURNAL.segment_bytes,
                                   &effect->journal.where, aligned, effect->journal.bytes.size);
        moot_free(aligned);
        assert_int_equal(status, 0);
        answer.kind = MOOT_INPUT_DURABLE;
        cluster_input(at, answer, &cluster->arena);
        return;
    }
    case MOOT_EFFECT_STORE_WRITE:
        assert_int_equal(ops->write(at->store, effect->batch), 0);
        return;
    case MOOT_EFFECT_FLUSH:
        answer.kind = MOOT_INPUT_FLUSHED;
        answer.status = ops->flush(at->store);
        cluster_input(at, answer, &cluster->arena);
        return;
    case MOOT_EFFECT_FETCH:
        for (uint32_t i = 0; i < effect->fetch.key_count; i++) {
            int status = ops->fetch(at->store, effect->fetch.keys[i]);
            assert_true(status == 0 || status == MOOT_ENOTFOUND);
        }
        for (uint32_t i = 0; i < effect->fetch.range_count; i++) {
            assert_int_equal(ops->fetch_range(at->store, effect->fetch.ranges[i],
                                              effect->fetch.reverse[i], effect->fetch.range_limit),
                             0);
        }
        answer.kind = MOOT_INPUT_FETCHED;
        cluster_input(at, answer, &cluster->arena);
        return;
    case MOOT_EFFECT_SEND: {
        struct cluster_node *to = &cluster->nodes[effect->send.node];
        if (effect->send.node > cluster->count || to->dead) {
            return;
        }
        struct moot_buffer bytes;
        moot_buffer_init(&bytes);
        for (uint32_t i = 0; i < effect->send.part_count; i++) {
            moot_buffer_append_slice(&bytes, effect->send.parts[i].bytes);
        }
        struct moot_input message = {.kind = MOOT_INPUT_PEER_MESSAGE,
                                     .bytes = moot_buffer_slice(&bytes)};
        message.node = (moot_node_id)(at - cluster->nodes);
        cluster_input(to, message, &cluster->arena);
        moot_buffer_deinit(&bytes);
        return;
    }
    case MOOT_EFFECT_REPLY:
        moot_buffer_append_slice(&at->replies, effect->client.bytes);
        return;
    case MOOT_EFFECT_LOG:
        if (!cluster->quiet) {
            printf("# node %d: %.*s\n", (int)(at - cluster->nodes), (int)effect->log.text.size,
                   (const char *)effect->log.text.data);
        }
        return;
    case MOOT_EFFECT_STOP:
        fail_msg("node stopped: %.*s", (int)effect->log.text.size,
                 (const char *)effect->log.text.data);
        return;
    default:
        return;
    }
}

/* One turn of every node; time moves on by 1 ms when nobody has anything to do. */
static void cluster_step(struct cluster *cluster)
{
    bool idle = true;
    for (uint32_t id = 1; id <= cluster->count; id++) {
        struct cluster_node *at = &cluster->nodes[id];
        if (at->dead ||
            (at->input_count == 0 && moot_instant_before(cluster->now.instant, at->deadline))) {
            continue;
        }
        idle = false;
        static struct moot_input inputs[INPUTS_MAX];
        size_t count = at->input_count;
        memcpy(inputs, at->inputs, sizeof(inputs[0]) * count);
        at->input_count = 0;
        struct moot_effects effects;
        moot_node_turn(at->node, inputs, count, cluster->now, &effects);
        at->deadline = effects.deadline;
        for (size_t i = 0; i < effects.count; i++) {
            cluster_perform(cluster, at, &effects.items[i]);
        }
        moot_node_check(at->node);
    }
    uint64_t step = idle ? MOOT_MSEC_NS : 10 * MOOT_USEC_NS;
    cluster->now.instant.ns += step;
    cluster->now.wall_ms =
        1700000000000 + (cluster->now.instant.ns - 1000 * MOOT_SEC_NS) / MOOT_MSEC_NS;
}

static moot_node_id cluster_leader(const struct cluster *cluster)
{
    for (uint32_t id = 1; id <= cluster->count; id++) {
        struct moot_group_view view;
        if (!cluster->nodes[id].dead) {
            moot_node_group(cluster->nodes[id].node, MOOT_GROUP_DB0, &view);
            if (view.leads) {
                return id;
            }
        }
    }
    return 0;
}

static void cluster_send(struct cluster *cluster, uint32_t id, const char *bytes)
{
    struct moot_input input = {
        .kind = MOOT_INPUT_CLIENT_BYTES, .connection = 1, .bytes = moot_slice_text(bytes)};
    moot_buffer_reset(&cluster->nodes[id].replies, 1024 * 1024);
    cluster_input(&cluster->nodes[id], input, &cluster->arena);
}

/* Sends inline commands to node `id` and waits for exactly these reply bytes. */
static void cluster_expect(struct cluster *cluster, uint32_t id, const char *bytes,
                           const char *expected)
{
    cluster_send(cluster, id, bytes);
    struct moot_buffer *replies = &cluster->nodes[id].replies;
    for (int i = 0; i < 200000 && replies->size < strlen(expected); i++) {
        cluster_step(cluster);
    }
    if (!moot_slice_equal(moot_buffer_slice(replies), moot_slice_text(expected))) {
        fail_msg("%s: expected %s, got %.*s", bytes, expected, (int)replies->size,
                 (const char *)replies->data);
    }
}

static void cluster_deinit(struct cluster *cluster)
{
    for (uint32_t id = 1; id <= cluster->count; id++) {
        struct cluster_node *at = &cluster->nodes[id];
        if (!at->dead) {
            moot_node_close(at->node);
        }
        moot_disk_sim_free(at->disk);
        at->store->ops->close(at->store);
        moot_buffer_deinit(&at->replies);
    }
    moot_arena_deinit(&cluster->arena);
    moot_free(cluster);
}

#endif
