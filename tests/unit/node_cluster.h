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
#include "database/work.h"
#include "sim/disk_sim.h"
#include "storage/store_memory.h"

_Noreturn void moot_assert_failed(const char *expression, const char *file, int line)
{
    printf("# %s:%d: %s\n", file, line, expression);
    fflush(stdout);
    __builtin_trap();
}

enum { CLUSTER_MAX = 5, INPUTS_MAX = 65536, CLIENTS_MAX = 128, LONG_READS_MAX = 64 };

/* What became of one connection. Those of a greater id share the first. */
struct cluster_client {
    struct moot_buffer replies;
    uint32_t pauses, resumes;
    bool closed;
    bool is_kept;
    struct moot_buffer kept; /* What the next brain is to know of it. */
};

struct cluster_node {
    struct moot_node *node;
    struct moot_disk_sim *disk;
    struct moot_store *store;
    struct moot_input inputs[INPUTS_MAX];
    size_t input_count;
    struct moot_instant deadline;
    struct moot_buffer replies;        /* Of client 1. */
    struct moot_store_pin *pins[1024]; /* By ticket. */
    struct moot_identity identity;     /* Who it says it is; node 0: of the first members. */
    struct cluster_client clients[CLIENTS_MAX]; /* Of connections 2 and on. */
    uint32_t closings;
    bool dead, stopped;
    bool may_fail, store_lost; /* It may end by itself; its store is a new one. */
    int stop_status;
    bool cut;               /* From every other node: what is sent is lost, and nobody is told. */
    int64_t wall_offset_ms; /* How far its wall clock is off. */
    struct moot_input long_reads[LONG_READS_MAX]; /* Done, and kept back. */
    uint32_t long_read_count;
    uint64_t told_peers; /* A bit for each node whose address the driver was told. */
    uint32_t dies_after; /* 0, or: it dies when so many more effects were performed. */
};

struct cluster {
    struct cluster_node nodes[CLUSTER_MAX + 1]; /* By id. */
    uint32_t count;
    struct moot_now now;
    struct moot_arena arena;
    bool quiet;
    void (*watch)(const struct moot_effect *effect); /* NULL, or sees every effect. */
    uint32_t feature_level[CLUSTER_MAX + 1];         /* That a node knows; 0: this release's. */
    uint32_t rarely_one_in; /* Rare choices (flushes, compactions) of all nodes; 0: never. */
    uint64_t installs;      /* Snapshots that were installed. */
    uint64_t read_elements; /* That one read may touch within a turn; 0: as always. */
    bool keeps_long_reads;  /* Until cluster_long_reads. */
    bool keeps_flushes;     /* No store is flushed: none is over when the power fails. */
    /* Sees every message that is sent, also to nodes that are not there. */
    void (*spy)(void *context, moot_node_id from, moot_node_id to, struct moot_slice message);
    void *spy_context;
    /* NULL, or which messages the network loses. */
    bool (*loses)(moot_node_id from, moot_node_id to, struct moot_slice message);
};

static const struct moot_journal_options JOURNAL = {.segment_bytes = MOOT_JOURNAL_SEGMENT_BYTES,
                                                    .segments_max = 4};

/* Not a secure MAC; enough to differ whenever key or message do. */
static inline void cluster_mac(void *context, struct moot_slice key, struct moot_slice message,
                               uint8_t out[MOOT_MAC_BYTES])
{
    (void)context;
    for (uint64_t i = 0; i < MOOT_MAC_BYTES / 8; i++) {
        moot_store_le64(out + 8 * i, moot_hash64(message, moot_hash64(key, i)));
    }
}

static inline struct moot_admission cluster_admission(void)
{
    return (struct moot_admission){MOOT_SLICE_LITERAL("the secret of the cluster"),
                                   {cluster_mac, NULL}};
}

static inline void cluster_input(struct cluster_node *at, struct moot_input input,
                                 struct moot_arena *arena)
{
    input.bytes = moot_arena_copy(arena, input.bytes);
    assert_true(at->input_count < INPUTS_MAX);
    at->inputs[at->input_count++] = input;
}

static inline struct moot_identity cluster_identity(const struct cluster *cluster, uint32_t id)
{
    struct moot_identity identity = {.node = id, .initial_count = cluster->count};
    for (uint32_t i = 1; i <= cluster->count; i++) {
        struct moot_address *address = &identity.initial[i - 1];
        address->node = i;
        snprintf(address->peer, sizeof(address->peer), "127.0.0.1:%u", 1000 + i);
        snprintf(address->client, sizeof(address->client), "127.0.0.1:%u", 2000 + i);
    }
    identity.self = identity.initial[id - 1];
    return identity;
}

static inline struct moot_node_options cluster_options(const struct cluster *cluster, uint32_t id)
{
    const struct cluster_node *at = &cluster->nodes[id];
    return (struct moot_node_options){
        .disk = moot_disk_sim_disk(at->disk),
        .store = at->store,
        .format = &at->identity,
        .now = cluster->now,
        .seed = id * 77,
        .journal = JOURNAL,
        .chance = {.seed = 1, .node = id, .one_in = cluster->rarely_one_in},
        .feature_level = cluster->feature_level[id],
        .store_lost = at->store_lost,
        .read_elements = cluster->read_elements,
        .admission = cluster_admission()};
}

static inline int cluster_level(const struct cluster *cluster, uint32_t id)
{
    return cluster->feature_level[id] != 0 ? (int)cluster->feature_level[id] : MOOT_FEATURE_LEVEL;
}

/* Both ends of every link of a node hear of it. */
static inline void cluster_links(struct cluster *cluster, uint32_t id, enum moot_input_kind kind)
{
    struct cluster_node *at = &cluster->nodes[id];
    for (uint32_t i = 1; i <= cluster->count; i++) {
        struct cluster_node *other = &cluster->nodes[i];
        if (i != id && !other->dead && other->node != NULL) {
            struct moot_input input = {.kind = kind, .node = i};
            input.amount = moot_node_incarnation(other->node);
            input.status = kind == MOOT_INPUT_PEER_UP ? cluster_level(cluster, i) : 0;
            if (!at->dead) {
                cluster_input(at, input, &cluster->arena);
                input.amount = moot_node_incarnation(at->node);
                input.status = kind == MOOT_INPUT_PEER_UP ? cluster_level(cluster, id) : 0;
            }
            input.node = id;
            cluster_input(other, input, &cluster->arena);
        }
    }
}

static inline void cluster_open(struct cluster *cluster, uint32_t id, uint32_t wouldblock)
{
    struct cluster_node *at = &cluster->nodes[id];
    if (at->identity.node == 0) {
        at->identity = cluster_identity(cluster, id);
    }
    if (at->disk == NULL) {
        at->disk = moot_disk_sim_make(id);
        struct moot_store_memory_options store = {.seed = id, .wouldblock_one_in = wouldblock};
        at->store = moot_store_memory_open(&store);
    }
    struct moot_node_options options = cluster_options(cluster, id);
    char why[256];
    int status = moot_node_open(&options, &at->node, why);
    if (status != 0) {
        fail_msg("open: %s: %s", moot_status_text(status), why);
    }
    at->dead = at->stopped = false;
    at->input_count = 0;
    at->told_peers = 0;
    at->deadline = cluster->now.instant;
    moot_buffer_init(&at->replies);
    cluster_links(cluster, id, MOOT_INPUT_PEER_UP);
    struct moot_input opened = {
        .kind = MOOT_INPUT_CLIENT_OPENED, .connection = 1, .bytes = moot_slice_text("127.0.0.1:1")};
    cluster_input(at, opened, &cluster->arena);
}

static inline void cluster_unpin(struct cluster_node *at)
{
    for (size_t i = 0; i < MOOT_ARRAY_LEN(at->pins); i++) {
        if (at->pins[i] != NULL) {
            at->store->ops->unpin(at->store, at->pins[i]);
            at->pins[i] = NULL;
        }
    }
}

/* A node that stopped because of REOPEN gets another brain beneath its clients, as the host does
 * it. */
static inline void cluster_reopen(struct cluster *cluster, uint32_t id)
{
    struct cluster_node *at = &cluster->nodes[id];
    struct moot_disk *disk = moot_disk_sim_disk(at->disk);
    char why[256], spare[32];
    assert_true(at->stopped && at->stop_status == 0);
    at->dead = true;
    at->input_count = 0;
    while (moot_node_take_spare(at->node, spare)) {
        assert_int_equal(disk->ops->remove(disk, spare), 0);
    }
    moot_node_close(at->node);
    at->node = NULL;
    cluster_unpin(at);
    at->store->ops->ingest_abort(at->store);
    assert_int_equal(at->store->ops->flush(at->store), 0);
    cluster_links(cluster, id, MOOT_INPUT_PEER_DOWN);
    struct moot_node_options options = cluster_options(cluster, id);
    int status = moot_node_open(&options, &at->node, why);
    if (status != 0) {
        fail_msg("open: %s: %s", moot_status_text(status), why);
    }
    at->dead = at->stopped = false;
    at->deadline = cluster->now.instant;
    for (uint64_t i = 1; i < CLIENTS_MAX; i++) {
        struct cluster_client *client = &at->clients[i];
        if (client->is_kept) {
            struct moot_input kept = {.kind = MOOT_INPUT_CLIENT_KEPT,
                                      .connection = i,
                                      .bytes = moot_buffer_slice(&client->kept)};
            cluster_input(at, kept, &cluster->arena);
            client->is_kept = false;
        }
    }
    cluster_links(cluster, id, MOOT_INPUT_PEER_UP);
}

/* The process ends, and the machine loses what it may lose. */
static inline void cluster_kill(struct cluster *cluster, uint32_t id)
{
    struct cluster_node *at = &cluster->nodes[id];
    at->dead = true;
    at->input_count = at->long_read_count = 0;
    moot_node_close(at->node);
    at->node = NULL;
    cluster_unpin(at);
    at->store->ops->ingest_abort(at->store);
    moot_disk_sim_crash(at->disk);
    moot_store_memory_crash(at->store);
    moot_buffer_deinit(&at->replies);
    cluster_links(cluster, id, MOOT_INPUT_PEER_DOWN);
}

static inline void cluster_init(struct cluster *cluster, uint32_t count, uint32_t wouldblock)
{
    cluster->count = count;
    cluster->now = (struct moot_now){{1000 * MOOT_SEC_NS}, 1700000000000};
    moot_arena_init(&cluster->arena);
    for (uint32_t id = 1; id <= count; id++) {
        cluster_open(cluster, id, wouldblock);
    }
}

/* Work beside turns: done at once; the answer to a long read may be kept back. */
static inline void cluster_work(struct cluster *cluster, struct cluster_node *at,
                                const struct moot_effect *effect)
{
    if (effect->kind == MOOT_EFFECT_FLUSH && cluster->keeps_flushes) {
        return;
    }
    struct moot_work work;
    moot_work_init(&work, effect);
    struct moot_store_pin *pin =
        effect->kind == MOOT_EFFECT_PIN_READ    ? at->pins[effect->pin_read.pin]
        : effect->kind == MOOT_EFFECT_LONG_READ ? at->pins[effect->long_read.pin]
                                                : NULL;
    moot_work_perform(&work, at->store, pin, NULL, NULL);
    cluster->installs += moot_work_is_commit(&work);
    struct moot_input answer = moot_work_answer(&work);
    assert_true(answer.kind != MOOT_INPUT_FETCHED || answer.status == 0);
    if (answer.kind == MOOT_INPUT_LONG_READ && cluster->keeps_long_reads) {
        answer.bytes = moot_arena_copy(&cluster->arena, answer.bytes);
        assert_true(at->long_read_count < LONG_READS_MAX);
        at->long_reads[at->long_read_count++] = answer;
    } else {
        cluster_input(at, answer, &cluster->arena);
    }
    moot_work_deinit(&work);
}

/* Node `id` gets the answers that were kept back. */
static inline void cluster_long_reads(struct cluster *cluster, uint32_t id)
{
    struct cluster_node *at = &cluster->nodes[id];
    for (uint32_t i = 0; i < at->long_read_count; i++) {
        cluster_input(at, at->long_reads[i], &cluster->arena);
    }
    at->long_read_count = 0;
}

static inline struct cluster_client *cluster_client(struct cluster_node *at, uint64_t connection)
{
    return &at->clients[connection < CLIENTS_MAX ? connection : 0];
}

static inline struct moot_buffer *cluster_replies(struct cluster_node *at, uint64_t connection)
{
    return connection == 1 ? &at->replies : &cluster_client(at, connection)->replies;
}

static inline void cluster_journal(struct cluster *cluster, struct cluster_node *at,
                                   const struct moot_effect *effect)
{
    void *aligned = moot_alloc_aligned(MOOT_JOURNAL_ALIGN, effect->journal.bytes.size);
    memcpy(aligned, effect->journal.bytes.data, effect->journal.bytes.size);
    int status =
        moot_journal_write_now(moot_disk_sim_disk(at->disk), JOURNAL.segment_bytes,
                               &effect->journal.where, aligned, effect->journal.bytes.size);
    moot_free(aligned);
    assert_int_equal(status, 0);
    struct moot_input answer = {.kind = MOOT_INPUT_DURABLE, .ticket = effect->ticket};
    cluster_input(at, answer, &cluster->arena);
}

static inline void cluster_post(struct cluster *cluster, struct cluster_node *at,
                                const struct moot_effect *effect)
{
    moot_node_id from = (moot_node_id)(at - cluster->nodes), to = effect->send.node;
    struct moot_buffer bytes;
    moot_buffer_init(&bytes);
    for (uint32_t i = 0; i < effect->send.part_count; i++) {
        moot_buffer_append_slice(&bytes, effect->send.parts[i].bytes);
    }
    struct moot_input message = {
        .kind = MOOT_INPUT_PEER_MESSAGE, .node = from, .bytes = moot_buffer_slice(&bytes)};
    assert_true(bytes.size <= MOOT_MESSAGE_BYTES_MAX); /* Else a link drops it. */
    if (cluster->spy != NULL) {
        cluster->spy(cluster->spy_context, from, to, message.bytes);
    }
    bool lost = cluster->loses != NULL && cluster->loses(from, to, message.bytes);
    if (!lost && to <= cluster->count && cluster->nodes[to].node != NULL &&
        !cluster->nodes[to].dead && !cluster->nodes[to].cut && !at->cut) {
        cluster_input(&cluster->nodes[to], message, &cluster->arena);
    }
    moot_buffer_deinit(&bytes);
}

static inline void cluster_to_client(struct cluster_node *at, const struct moot_effect *effect)
{
    struct cluster_client *client = cluster_client(at, effect->client.connection);
    if (effect->kind == MOOT_EFFECT_CLIENT_PAUSE) {
        client->pauses += effect->client.on;
        client->resumes += !effect->client.on;
    } else if (effect->kind == MOOT_EFFECT_CLIENT_CLOSE) {
        client->closed = true;
        at->closings++;
    } else {
        moot_buffer_reset(&client->kept, SIZE_MAX);
        moot_buffer_append_slice(&client->kept, effect->client.bytes);
        client->is_kept = true;
    }
}

static inline void cluster_perform(struct cluster *cluster, struct cluster_node *at,
                                   const struct moot_effect *effect)
{
    if (cluster->watch != NULL) {
        cluster->watch(effect);
    }
    switch (effect->kind) {
    case MOOT_EFFECT_JOURNAL:
        cluster_journal(cluster, at, effect);
        return;
    case MOOT_EFFECT_STORE_WRITE:
        assert_int_equal(at->store->ops->write(at->store, effect->batch), 0);
        return;
    case MOOT_EFFECT_FLUSH:
    case MOOT_EFFECT_FETCH:
    case MOOT_EFFECT_PIN_READ:
    case MOOT_EFFECT_INGEST:
    case MOOT_EFFECT_LONG_READ:
        cluster_work(cluster, at, effect);
        return;
    case MOOT_EFFECT_SEND:
        cluster_post(cluster, at, effect);
        return;
    case MOOT_EFFECT_REPLY:
        moot_buffer_append_slice(cluster_replies(at, effect->client.connection),
                                 effect->client.bytes);
        return;
    case MOOT_EFFECT_CLIENT_PAUSE:
    case MOOT_EFFECT_CLIENT_CLOSE:
    case MOOT_EFFECT_CLIENT_KEEP:
        cluster_to_client(at, effect);
        return;
    case MOOT_EFFECT_LOG:
        if (!cluster->quiet) {
            printf("# node %d: %.*s\n", (int)(at - cluster->nodes), (int)effect->log.text.size,
                   (const char *)effect->log.text.data);
        }
        return;
    case MOOT_EFFECT_PIN:
        assert_true(effect->ticket < MOOT_ARRAY_LEN(at->pins));
        at->pins[effect->ticket] = at->store->ops->pin(at->store);
        return;
    case MOOT_EFFECT_UNPIN:
        at->store->ops->unpin(at->store, at->pins[effect->ticket]);
        at->pins[effect->ticket] = NULL;
        return;
    case MOOT_EFFECT_PEER:
        if (effect->peer.address.size > 0 && !effect->peer.is_removed && effect->peer.node < 64) {
            at->told_peers |= UINT64_C(1) << effect->peer.node;
        }
        return;
    case MOOT_EFFECT_STOP:
        at->stopped = true;
        at->stop_status = effect->status;
        if (effect->status == 0 || at->may_fail) {
            return;
        }
        fail_msg("node stopped: %.*s", (int)effect->log.text.size,
                 (const char *)effect->log.text.data);
        return;
    default:
        return;
    }
}

/* One turn of every node; time moves on by 1 ms when nobody has anything to do. */
static inline void cluster_step(struct cluster *cluster)
{
    bool idle = true;
    for (uint32_t id = 1; id <= cluster->count; id++) {
        struct cluster_node *at = &cluster->nodes[id];
        if (at->dead || at->node == NULL || at->stopped ||
            (at->input_count == 0 && moot_instant_before(cluster->now.instant, at->deadline))) {
            continue;
        }
        idle = false;
        static struct moot_input inputs[INPUTS_MAX];
        size_t count = at->input_count;
        memcpy(inputs, at->inputs, sizeof(inputs[0]) * count);
        at->input_count = 0;
        struct moot_effects effects;
        struct moot_now now = cluster->now;
        now.wall_ms += (uint64_t)at->wall_offset_ms;
        moot_node_turn(at->node, inputs, count, now, &effects);
        at->deadline = effects.deadline;
        for (size_t i = 0; i < effects.count && !at->dead; i++) {
            cluster_perform(cluster, at, &effects.items[i]);
            if (at->dies_after > 0 && --at->dies_after == 0) {
                cluster_kill(cluster, id);
            }
        }
        if (!at->dead) {
            moot_node_check(at->node);
        }
    }
    uint64_t step = idle ? MOOT_MSEC_NS : 10 * MOOT_USEC_NS;
    cluster->now.instant.ns += step;
    cluster->now.wall_ms =
        1700000000000 + (cluster->now.instant.ns - 1000 * MOOT_SEC_NS) / MOOT_MSEC_NS;
}

static inline void cluster_steps(struct cluster *cluster, int count)
{
    for (int i = 0; i < count; i++) {
        cluster_step(cluster);
    }
}

static inline struct moot_group_view cluster_group(const struct cluster *cluster, uint32_t id,
                                                   moot_group_id group)
{
    struct moot_group_view view;
    moot_node_group(cluster->nodes[id].node, group, &view);
    return view;
}

/* Behind a node's back, while it is down: a batch in its journal. */
static inline void cluster_write_batch(struct cluster *cluster, uint32_t id,
                                       struct moot_journal *journal,
                                       const struct moot_record *records, size_t count)
{
    struct moot_journal_write where;
    struct moot_buffer bytes;
    moot_buffer_init(&bytes);
    assert_int_equal(
        moot_journal_layout(journal, records, count, moot_journal_last(journal), &bytes, &where),
        0);
    void *aligned = moot_alloc_aligned(MOOT_JOURNAL_ALIGN, bytes.size);
    memcpy(aligned, bytes.data, bytes.size);
    assert_int_equal(moot_journal_write_now(moot_disk_sim_disk(cluster->nodes[id].disk),
                                            JOURNAL.segment_bytes, &where, aligned, bytes.size),
                     0);
    moot_free(aligned);
    moot_buffer_deinit(&bytes);
}

static inline moot_node_id cluster_leader(const struct cluster *cluster)
{
    for (uint32_t id = 1; id <= cluster->count; id++) {
        struct moot_group_view view;
        if (cluster->nodes[id].node != NULL && !cluster->nodes[id].dead) {
            moot_node_group(cluster->nodes[id].node, MOOT_GROUP_DB0, &view);
            if (view.leads) {
                return id;
            }
        }
    }
    return 0;
}

static inline void cluster_send(struct cluster *cluster, uint32_t id, const char *bytes)
{
    struct moot_input input = {
        .kind = MOOT_INPUT_CLIENT_BYTES, .connection = 1, .bytes = moot_slice_text(bytes)};
    moot_buffer_reset(&cluster->nodes[id].replies, 1024 * 1024);
    cluster_input(&cluster->nodes[id], input, &cluster->arena);
}

/* Sends inline commands to node `id` and waits for exactly these reply bytes. */
static inline void cluster_expect(struct cluster *cluster, uint32_t id, const char *bytes,
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

/* What MOOT JOIN says to node 1 about a proof made of the nonce with this secret. */
static inline void cluster_join(struct cluster *cluster, const char *secret, char out[4096])
{
    cluster_send(cluster, 1, "MOOT JOIN\r\n");
    struct moot_buffer *replies = &cluster->nodes[1].replies;
    for (int i = 0; i < 10000 && replies->size < 5 + MOOT_ADMISSION_HEX + 2; i++) {
        cluster_step(cluster);
    }
    assert_int_equal(replies->size, 5 + MOOT_ADMISSION_HEX + 2);
    uint8_t nonce[MOOT_MAC_BYTES], proof[MOOT_MAC_BYTES];
    assert_true(
        moot_admission_from_hex(moot_slice_make(replies->data + 5, MOOT_ADMISSION_HEX), nonce));
    struct moot_admission admission = cluster_admission();
    admission.secret = moot_slice_text(secret);
    moot_admission_proof(&admission, nonce, MOOT_SLICE_LITERAL("127.0.0.1:1009"),
                         MOOT_SLICE_LITERAL("127.0.0.1:2009"), proof);
    char hex[MOOT_ADMISSION_HEX], command[256];
    moot_admission_to_hex(proof, hex);
    snprintf(command, sizeof(command), "MOOT JOIN 127.0.0.1:1009 127.0.0.1:2009 %.*s\r\n",
             MOOT_ADMISSION_HEX, hex);
    cluster_send(cluster, 1, command);
    for (int i = 0; i < 100000 && replies->size == 0; i++) {
        cluster_step(cluster);
    }
    snprintf(out, 4096, "%.*s", (int)replies->size, (const char *)replies->data);
}

static inline void cluster_deinit(struct cluster *cluster)
{
    for (uint32_t id = 1; id <= cluster->count; id++) {
        struct cluster_node *at = &cluster->nodes[id];
        if (at->node != NULL && !at->dead) {
            cluster_unpin(at);
            moot_node_close(at->node);
            moot_buffer_deinit(&at->replies);
        }
        for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
            moot_buffer_deinit(&at->clients[i].replies);
            moot_buffer_deinit(&at->clients[i].kept);
        }
        moot_disk_sim_free(at->disk);
        at->store->ops->close(at->store);
    }
    moot_arena_deinit(&cluster->arena);
    moot_free(cluster);
}

#endif
