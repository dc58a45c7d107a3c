/* A small world for Raft cores: n nodes, a network and disks, all of it decided by one seed.
 *
 * It is a driver like any other: it performs effects in order, writes to a disk that takes time and
 * forgets what it had not finished when the node crashes, and holds back the sends that wait for
 * it. At every step it checks the five properties of the paper's figure 3 (and that reads are
 * linearizable) against what it has seen of the whole cluster, which no node could. */
#ifndef MOOT_TESTS_RAFT_CLUSTER_H
#define MOOT_TESTS_RAFT_CLUSTER_H

#include "base/assert.h"
#include "base/buffer.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/status.h"
#include "moot/raft.h"
#include "protocol/raft/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Says which belief failed; the library's own version only traps. */
_Noreturn void moot_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "# %s:%d: assertion failed: %s\n", file, line, expression);
    abort();
}

enum {
    CLUSTER_NODES = 9, /* Ids 1 to 9. */
    CLUSTER_LOG = 4096,
    CLUSTER_NET = 4096,
    CLUSTER_OPS = 1024,
    CLUSTER_READS = 256,
};

struct cluster_entry {
    moot_term term;
    uint32_t size;
    enum moot_raft_entry_kind kind;
    struct moot_members members;
    uint64_t value; /* Unique for each submit, so that two entries are one or are not. */
};
/* Entry `index` at entries[index]; (base, last] are there. */
struct cluster_log {
    moot_index base, last;
    moot_term base_term;
    struct cluster_entry *entries;
};
/* A state machine: what has been applied, as one hash, and the configuration as of there. */
struct cluster_state {
    moot_index index;
    moot_term term;
    uint64_t hash;
    struct moot_members members;
};
struct cluster_op {
    uint64_t number;
    uint64_t ready_ns;
    bool hard_state;
    moot_term term;
    moot_node_id vote;
    moot_index first, last;
    struct cluster_entry *entries; /* last - first + 1 */
};
struct cluster_packet {
    uint64_t at_ns, order;
    struct moot_raft_message message;
    struct cluster_entry *entries;
    struct cluster_state state; /* SNAPSHOT: its bytes. */
};
struct cluster_read {
    moot_node_id node;
    moot_term term;
    uint64_t round;
    moot_index needs;
};
struct cluster_node {
    bool up;
    void *memory;
    struct moot_raft *raft;
    struct cluster_log log;     /* In memory. */
    struct cluster_state state; /* In memory, applied. */
    moot_term disk_term;
    moot_node_id disk_vote;
    struct cluster_log disk;
    struct cluster_state disk_state;
    bool rotten;             /* The next start finds the disk impaired... */
    moot_index rotten_until; /* ... up to here. */
    bool repairing;       /* Started impaired: stays so on disk until what repaired it is there. */
    uint64_t repaired_by; /* The operation that does; 0: not repaired. */
    struct cluster_op ops[CLUSTER_OPS]; /* Not finished, oldest first. */
    uint32_t op_count;
    uint64_t op_made, op_done;
    struct cluster_packet held[CLUSTER_OPS]; /* Sends that wait; `order` is the op they wait for. */
    uint32_t held_count;
    bool disk_stalled;
    bool paused; /* Gets nothing, does nothing; comes back with everything late. */
    int64_t wall_offset_ms;
    uint64_t rounds_confirmed, members_done, transfers_done;
    int members_status, transfer_status;
    uint64_t snapshot_sent_ns[CLUSTER_NODES + 1];
};
struct cluster {
    struct moot_rng rng;
    struct moot_raft_options options;
    uint64_t now_ns;
    struct cluster_node nodes[CLUSTER_NODES + 1];
    struct cluster_packet net[CLUSTER_NET];
    uint32_t net_count;
    uint64_t order;
    uint64_t delay_min_ns, delay_max_ns, sync_min_ns, sync_max_ns;
    uint32_t lose_percent, copy_percent;
    bool cut[CLUSTER_NODES + 1][CLUSTER_NODES + 1]; /* From, to. */
    uint64_t value_last;
    struct cluster_entry committed[CLUSTER_LOG];
    moot_index committed_last;
    moot_node_id leader_of[CLUSTER_LOG]; /* By term. */
    struct cluster_read reads[CLUSTER_READS];
    uint32_t read_count;
    uint64_t reads_done, elections, snapshots;
    struct moot_buffer trace; /* Text, when options.trace. */
    bool check_matching;
    bool keep_sends; /* Every message sent is also counted by kind. */
    uint64_t sent[MOOT_RAFT_MESSAGE_KINDS];
    struct moot_raft_effects effects;
};

static inline struct moot_members cluster_members(uint32_t voters, uint32_t learners)
{
    struct moot_members members = {0};
    for (uint32_t i = 1; i <= voters; i++) {
        members.voters[members.voter_count++] = i;
    }
    for (uint32_t i = voters + 1; i <= voters + learners; i++) {
        members.learners[members.learner_count++] = i;
    }
    return members;
}

static inline struct cluster *cluster_make(uint64_t seed)
{
    struct cluster *cluster = moot_alloc_zero(sizeof(*cluster));
    moot_rng_init(&cluster->rng, seed);
    cluster->options = (struct moot_raft_options){
        .election_min = moot_ms(100),
        .heartbeat = moot_ms(20),
        .append_bytes_max = 4096,
        .append_entries_max = 16,
        .window = 4,
        .uncommitted_bytes_max = 100000,
        .log_entries_max = CLUSTER_LOG,
        .clock_bound_ms = 500,
        .seed = seed,
    };
    cluster->delay_min_ns = cluster->delay_max_ns = MOOT_MSEC_NS;
    cluster->sync_min_ns = cluster->sync_max_ns = MOOT_MSEC_NS;
    moot_buffer_init(&cluster->trace);
    return cluster;
}

static inline void cluster_log_free(struct cluster_log *log) { moot_free(log->entries); }

static inline void cluster_forget_memory(struct cluster_node *node)
{
    for (uint32_t i = 0; i < node->op_count; i++) {
        moot_free(node->ops[i].entries);
    }
    for (uint32_t i = 0; i < node->held_count; i++) {
        moot_free(node->held[i].entries);
    }
    node->op_count = node->held_count = 0;
    node->op_done = node->op_made;
    moot_free(node->memory);
    node->memory = NULL;
    node->raft = NULL;
    node->up = false;
}

static inline void cluster_free(struct cluster *cluster)
{
    for (uint32_t id = 1; id <= CLUSTER_NODES; id++) {
        struct cluster_node *node = &cluster->nodes[id];
        cluster_forget_memory(node);
        cluster_log_free(&node->log);
        cluster_log_free(&node->disk);
    }
    for (uint32_t i = 0; i < cluster->net_count; i++) {
        moot_free(cluster->net[i].entries);
    }
    moot_buffer_deinit(&cluster->trace);
    moot_free(cluster);
}

static inline void cluster_say(struct cluster *cluster, moot_node_id node,
                               const struct moot_raft_trace *trace)
{
    struct moot_buffer *out = &cluster->trace;
    char digits[24];
    size_t size = moot_text_u64(digits, cluster->now_ns / MOOT_MSEC_NS);
    moot_buffer_append_text(out, "[");
    for (size_t pad = size; pad < 5; pad++) {
        moot_buffer_append_text(out, " ");
    }
    moot_buffer_append(out, digits, size);
    moot_buffer_append_text(out, "ms] n");
    moot_buffer_append_u64(out, node);
    moot_buffer_append_text(out, " ");
    moot_raft_trace_render(trace, out);
    moot_buffer_append_text(out, "\n");
}

/* ---- network ---- */
static inline void cluster_transmit(struct cluster *cluster, const struct cluster_packet *packet)
{
    moot_node_id from = packet->message.from;
    moot_node_id to = packet->message.to;
    cluster->sent[packet->message.kind]++;
    uint32_t copies = 1 + moot_rng_chance(&cluster->rng, cluster->copy_percent, 100);
    if (cluster->cut[from][to] || to > CLUSTER_NODES ||
        moot_rng_chance(&cluster->rng, cluster->lose_percent, 100)) {
        copies = 0;
    }
    for (uint32_t i = 0; i < copies && cluster->net_count < CLUSTER_NET; i++) {
        struct cluster_packet *slot = &cluster->net[cluster->net_count++];
        *slot = *packet;
        slot->order = cluster->order++;
        slot->at_ns = cluster->now_ns +
                      moot_rng_between(&cluster->rng, cluster->delay_min_ns, cluster->delay_max_ns);
        size_t bytes = packet->message.append.count * sizeof(*packet->entries);
        if (packet->entries != NULL) {
            slot->entries = moot_alloc(bytes);
            memcpy(slot->entries, packet->entries, bytes);
        }
    }
    moot_free(packet->entries);
}

static inline void cluster_release(struct cluster *cluster, struct cluster_node *node)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < node->held_count; i++) {
        if (node->held[i].order <= node->op_done) {
            cluster_transmit(cluster, &node->held[i]);
        } else {
            node->held[kept++] = node->held[i];
        }
    }
    node->held_count = kept;
}

static inline void cluster_send(struct cluster *cluster, moot_node_id id,
                                const struct moot_raft_effect *effect)
{
    struct cluster_node *node = &cluster->nodes[id];
    struct cluster_packet packet = {.message = effect->message, .state = node->state};
    if (packet.message.kind == MOOT_RAFT_APPEND && packet.message.append.count > 0) {
        moot_index first = packet.message.append.previous_index + 1;
        MOOT_ASSERT(first > node->log.base);
        MOOT_ASSERT(first + packet.message.append.count - 1 <= node->log.last);
        packet.entries = moot_alloc(packet.message.append.count * sizeof(*packet.entries));
        memcpy(packet.entries, &node->log.entries[first],
               packet.message.append.count * sizeof(*packet.entries));
    }
    if (effect->after_durable && node->op_done < node->op_made) {
        if (node->held_count == CLUSTER_OPS) {
            moot_free(packet.entries); /* A send may always be lost. */
            return;
        }
        packet.order = node->op_made;
        node->held[node->held_count++] = packet;
        return;
    }
    cluster_transmit(cluster, &packet);
}

/* ---- what is true of the whole cluster ---- */
static inline bool cluster_entry_is(const struct cluster_entry *a, const struct cluster_entry *b)
{
    return a->term == b->term && a->value == b->value && a->kind == b->kind;
}

/* Log matching: where two logs agree on a term, they agree on everything up to there. */
static inline void cluster_check_matching(struct cluster *cluster, moot_node_id id)
{
    const struct cluster_log *mine = &cluster->nodes[id].log;
    for (moot_node_id other = 1; other <= CLUSTER_NODES; other++) {
        const struct cluster_log *log = &cluster->nodes[other].log;
        if (other == id || !cluster->nodes[other].up) {
            continue;
        }
        moot_index floor = moot_max_u64(mine->base, log->base);
        moot_index index = moot_min_u64(mine->last, log->last);
        while (index > floor && mine->entries[index].term != log->entries[index].term) {
            index--;
        }
        for (; index > floor; index--) {
            MOOT_ASSERT(cluster_entry_is(&mine->entries[index], &log->entries[index]));
        }
    }
}

/* Leader completeness, and one leader a term. */
static inline void cluster_check_leader(struct cluster *cluster, moot_node_id id, moot_term term)
{
    const struct cluster_node *node = &cluster->nodes[id];
    MOOT_ASSERT(term < CLUSTER_LOG);
    MOOT_ASSERT(cluster->leader_of[term] == 0 || cluster->leader_of[term] == id);
    cluster->elections += cluster->leader_of[term] == 0;
    cluster->leader_of[term] = id;
    for (moot_term later = term + 1; later < CLUSTER_LOG; later++) {
        if (cluster->leader_of[later] != 0) {
            return; /* Its votes were late; what later leaders have committed it need not have. */
        }
    }
    MOOT_ASSERT(node->log.last >= cluster->committed_last);
    for (moot_index index = node->log.base + 1; index <= cluster->committed_last; index++) {
        MOOT_ASSERT(cluster_entry_is(&node->log.entries[index], &cluster->committed[index]));
    }
}

/* State machine safety: nobody applies anything else at an index. */
static inline void cluster_apply(struct cluster *cluster, moot_node_id id, moot_index commit)
{
    struct cluster_node *node = &cluster->nodes[id];
    MOOT_ASSERT(commit <= node->log.last);
    for (moot_index index = node->state.index + 1; index <= commit; index++) {
        const struct cluster_entry *entry = &node->log.entries[index];
        if (index > cluster->committed_last) {
            MOOT_ASSERT(index == cluster->committed_last + 1);
            cluster->committed[index] = *entry;
            cluster->committed_last = index;
        }
        MOOT_ASSERT(cluster_entry_is(entry, &cluster->committed[index]));
        node->state.index = index;
        node->state.term = entry->term;
        node->state.hash = moot_hash_mix(node->state.hash, entry->value);
        if (entry->kind == MOOT_RAFT_ENTRY_MEMBERS) {
            node->state.members = entry->members;
        }
    }
}

/* A read served now sees at least all that was committed when it arrived. */
static inline void cluster_serve_reads(struct cluster *cluster, moot_node_id id, uint64_t round)
{
    struct moot_raft_status status;
    moot_raft_status(cluster->nodes[id].raft, &status);
    cluster->nodes[id].rounds_confirmed = round;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < cluster->read_count; i++) {
        struct cluster_read read = cluster->reads[i];
        if (read.node != id || read.term > status.term) {
            cluster->reads[kept++] = read;
        } else if (read.term == status.term && read.round > round) {
            cluster->reads[kept++] = read;
        } else if (read.term == status.term) {
            MOOT_ASSERT(cluster->nodes[id].state.index >= read.needs);
            cluster->reads_done++;
        }
    }
    cluster->read_count = kept;
}

/* ---- effects ---- */
static inline struct cluster_op *cluster_op(struct cluster *cluster, struct cluster_node *node)
{
    MOOT_ASSERT(node->op_count < CLUSTER_OPS);
    struct cluster_op *op = &node->ops[node->op_count++];
    memset(op, 0, sizeof(*op));
    op->number = ++node->op_made;
    op->ready_ns = cluster->now_ns +
                   moot_rng_between(&cluster->rng, cluster->sync_min_ns, cluster->sync_max_ns);
    return op;
}

static inline void cluster_on_appended(struct cluster *cluster, moot_node_id id,
                                       const struct moot_raft_effect *effect,
                                       const struct cluster_packet *packet)
{
    struct cluster_node *node = &cluster->nodes[id];
    moot_index first = effect->appended.first;
    MOOT_ASSERT(first > node->state.index); /* What is applied is never overwritten. */
    MOOT_ASSERT(first <= node->log.last + 1);
    MOOT_ASSERT(effect->appended.last < CLUSTER_LOG);
    for (moot_index index = first; index <= effect->appended.last; index++) {
        struct cluster_entry *entry = &node->log.entries[index];
        if (packet != NULL && packet->message.kind == MOOT_RAFT_APPEND) {
            *entry = packet->entries[effect->appended.offset + (index - first)];
        } else {
            *entry = (struct cluster_entry){.term = effect->appended.term,
                                            .size = 1,
                                            .kind = effect->appended.kind,
                                            .members = effect->appended.members,
                                            .value = ++cluster->value_last};
        }
    }
    node->log.last = effect->appended.last;
    struct cluster_op *op = cluster_op(cluster, node);
    op->first = first;
    op->last = node->log.last;
    op->term = effect->appended.term;
    op->entries = moot_alloc((op->last - first + 1) * sizeof(*op->entries));
    memcpy(op->entries, &node->log.entries[first], (op->last - first + 1) * sizeof(*op->entries));
    if (cluster->check_matching) {
        cluster_check_matching(cluster, id);
    }
}

static inline int cluster_step(struct cluster *cluster, moot_node_id id,
                               struct moot_raft_event event, const struct cluster_packet *packet);

static inline void cluster_install(struct cluster *cluster, moot_node_id id,
                                   const struct cluster_state *state);

static inline void cluster_send_snapshot(struct cluster *cluster, moot_node_id id, moot_node_id to)
{
    struct cluster_node *node = &cluster->nodes[id];
    struct moot_raft_effect effect = {.kind = MOOT_RAFT_EFFECT_SEND};
    node->snapshot_sent_ns[to] = cluster->now_ns;
    int status = moot_raft_snapshot_message(node->raft, to, node->state.index, node->state.term,
                                            &node->state.members, &effect.message);
    if (status == 0) {
        cluster->snapshots++;
        cluster_send(cluster, id, &effect);
    }
}

/* Performs effect number `at` of a copy of the step's effects. */
static inline void cluster_perform(struct cluster *cluster, moot_node_id id,
                                   const struct moot_raft_effect *effect,
                                   const struct cluster_packet *packet)
{
    struct cluster_node *node = &cluster->nodes[id];
    switch (effect->kind) {
    case MOOT_RAFT_EFFECT_HARD_STATE: {
        struct cluster_op *op = cluster_op(cluster, node);
        op->hard_state = true;
        op->term = effect->hard_state.term;
        op->vote = effect->hard_state.vote;
        break;
    }
    case MOOT_RAFT_EFFECT_APPENDED:
        cluster_on_appended(cluster, id, effect, packet);
        break;
    case MOOT_RAFT_EFFECT_SEND:
        cluster_send(cluster, id, effect);
        break;
    case MOOT_RAFT_EFFECT_COMMIT:
        cluster_apply(cluster, id, effect->commit);
        break;
    case MOOT_RAFT_EFFECT_STATE:
        if (effect->state.role == MOOT_RAFT_LEADER) {
            cluster_check_leader(cluster, id, effect->state.term);
        }
        break;
    case MOOT_RAFT_EFFECT_ROUND:
        cluster_serve_reads(cluster, id, effect->round);
        break;
    case MOOT_RAFT_EFFECT_SNAPSHOT_NEEDED:
        cluster_send_snapshot(cluster, id, effect->snapshot.node);
        break;
    case MOOT_RAFT_EFFECT_TRANSFER_DONE:
        node->transfers_done++;
        node->transfer_status = effect->done.status;
        break;
    case MOOT_RAFT_EFFECT_MEMBERS_DONE:
        node->members_done++;
        node->members_status = effect->done.status;
        break;
    case MOOT_RAFT_EFFECT_TRACE:
        cluster_say(cluster, id, &effect->trace);
        break;
    default:
        break;
    }
}

static inline int cluster_step(struct cluster *cluster, moot_node_id id,
                               struct moot_raft_event event, const struct cluster_packet *packet)
{
    struct cluster_node *node = &cluster->nodes[id];
    MOOT_ASSERT(node->up);
    event.now.ns = cluster->now_ns;
    event.wall_ms =
        (uint64_t)(1000000 + (int64_t)(cluster->now_ns / MOOT_MSEC_NS) + node->wall_offset_ms);
    struct moot_raft_effects *effects = moot_alloc(sizeof(*effects));
    int status = moot_raft_step(node->raft, &event, effects);
    moot_raft_check(node->raft);
    struct moot_raft_status now;
    moot_raft_status(node->raft, &now);
    bool repaired = node->repairing && !now.impaired && node->repaired_by == 0;
    bool committed = false;
    bool offered = false;
    for (uint32_t i = 0; i < effects->count; i++) {
        cluster_perform(cluster, id, &effects->items[i], packet);
        committed |= effects->items[i].kind == MOOT_RAFT_EFFECT_COMMIT;
        offered |= effects->items[i].kind == MOOT_RAFT_EFFECT_SNAPSHOT_OFFERED;
    }
    moot_free(effects);
    if (repaired) {
        node->repaired_by = node->op_made;
    }
    if (committed) {
        int applied = cluster_step(
            cluster, id,
            (struct moot_raft_event){.kind = MOOT_RAFT_EVENT_APPLIED, .applied = node->state.index},
            NULL);
        MOOT_ASSERT(applied == 0);
    }
    if (offered) {
        cluster_install(cluster, id, &packet->state);
    }
    return status;
}

static inline int cluster_event(struct cluster *cluster, moot_node_id id,
                                enum moot_raft_event_kind kind)
{
    return cluster_step(cluster, id, (struct moot_raft_event){.kind = kind}, NULL);
}

static inline void cluster_flush(struct cluster *cluster, moot_node_id id)
{
    int status = cluster_event(cluster, id, MOOT_RAFT_EVENT_FLUSH);
    MOOT_ASSERT(status == 0);
}

/* ---- disk ---- */
static inline void cluster_op_to_disk(struct cluster_node *node, const struct cluster_op *op)
{
    if (op->hard_state) {
        node->disk_term = op->term;
        node->disk_vote = op->vote;
        return;
    }
    for (moot_index index = op->first; index <= op->last; index++) {
        node->disk.entries[index] = op->entries[index - op->first];
    }
    node->disk.last = op->last;
}

/* Finishes the oldest operation, and tells the core, unless `quietly`. */
static inline void cluster_finish_op(struct cluster *cluster, moot_node_id id, bool tell)
{
    struct cluster_node *node = &cluster->nodes[id];
    MOOT_ASSERT(node->op_count > 0);
    struct cluster_op op = node->ops[0];
    memmove(node->ops, node->ops + 1, --node->op_count * sizeof(op));
    cluster_op_to_disk(node, &op);
    node->op_done = op.number;
    moot_free(op.entries);
    if (!tell) {
        return;
    }
    cluster_release(cluster, node);
    struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_DURABLE};
    event.durable.index = op.hard_state ? 0 : op.last;
    event.durable.term = op.term;
    int status = cluster_step(cluster, id, event, NULL);
    MOOT_ASSERT(status == 0);
}

static inline void cluster_log_cut(struct cluster_log *log, moot_index index, moot_term term)
{
    bool agrees = index >= log->base && index <= log->last &&
                  (index == log->base ? log->base_term : log->entries[index].term) == term;
    if (!agrees) {
        log->last = index;
    }
    log->base = index;
    log->base_term = term;
}

static inline void cluster_install(struct cluster *cluster, moot_node_id id,
                                   const struct cluster_state *state)
{
    struct cluster_node *node = &cluster->nodes[id];
    while (node->op_count > 0) {
        cluster_finish_op(cluster, id, true);
    }
    MOOT_ASSERT(state->index <= cluster->committed_last);
    cluster_log_cut(&node->log, state->index, state->term);
    cluster_log_cut(&node->disk, state->index, state->term);
    node->state = node->disk_state = *state;
    struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_SNAPSHOT_INSTALLED};
    event.installed.index = state->index;
    event.installed.term = state->term;
    event.installed.members = state->members;
    int status = cluster_step(cluster, id, event, NULL);
    MOOT_ASSERT(status == 0);
}

/* Writes the applied state to disk and lets the log before it go. */
static inline void cluster_compact(struct cluster *cluster, moot_node_id id)
{
    struct cluster_node *node = &cluster->nodes[id];
    while (node->op_count > 0) {
        cluster_finish_op(cluster, id, true);
    }
    if (node->state.index <= node->log.base) {
        return;
    }
    cluster_log_cut(&node->log, node->state.index, node->state.term);
    cluster_log_cut(&node->disk, node->state.index, node->state.term);
    node->disk_state = node->state;
    int status = cluster_step(
        cluster, id,
        (struct moot_raft_event){.kind = MOOT_RAFT_EVENT_COMPACT, .compact = node->state.index},
        NULL);
    MOOT_ASSERT(status == 0);
}

/* ---- nodes ---- */
static inline void cluster_start(struct cluster *cluster, moot_node_id id)
{
    struct cluster_node *node = &cluster->nodes[id];
    MOOT_ASSERT(!node->up);
    struct moot_raft_options options = cluster->options;
    options.self = id;
    node->log.base = node->disk.base;
    node->log.base_term = node->disk.base_term;
    node->log.last = node->disk.last;
    memcpy(node->log.entries, node->disk.entries, CLUSTER_LOG * sizeof(*node->log.entries));
    node->state = node->disk_state;
    uint64_t count = node->log.last - node->log.base;
    struct moot_raft_entry *entries = moot_alloc_zero((count + 1) * sizeof(*entries));
    for (uint64_t i = 0; i < count; i++) {
        const struct cluster_entry *entry = &node->log.entries[node->log.base + 1 + i];
        entries[i] = (struct moot_raft_entry){
            entry->term, entry->size, entry->kind,
            entry->kind == MOOT_RAFT_ENTRY_MEMBERS ? &entry->members : NULL};
    }
    struct moot_raft_restore restore = {
        .term = node->disk_term,
        .vote = node->disk_vote,
        .snapshot_index = node->disk.base,
        .snapshot_term = node->disk.base_term,
        .members = node->disk_state.members,
        .applied = node->state.index,
        .entries = entries,
        .entry_count = count,
        .impaired = node->rotten,
        .impaired_until = node->rotten_until,
    };
    node->repairing = node->rotten;
    node->repaired_by = 0;
    node->rotten = false;
    node->memory = moot_alloc(moot_raft_size(&options));
    int status = moot_raft_init(node->memory, &options, &restore,
                                (struct moot_instant){cluster->now_ns}, &node->raft);
    MOOT_ASSERT(status == 0);
    moot_free(entries);
    node->up = true;
    node->paused = false;
}

/* A node with an empty disk that knows `members` as of index 0. */
static inline void cluster_create(struct cluster *cluster, moot_node_id id,
                                  const struct moot_members *members)
{
    struct cluster_node *node = &cluster->nodes[id];
    node->log.entries = moot_alloc_zero(CLUSTER_LOG * sizeof(*node->log.entries));
    node->disk.entries = moot_alloc_zero(CLUSTER_LOG * sizeof(*node->disk.entries));
    node->disk_state.members = *members;
    cluster_start(cluster, id);
}

static inline void cluster_create_all(struct cluster *cluster, uint32_t voters, uint32_t learners)
{
    struct moot_members members = cluster_members(voters, learners);
    for (moot_node_id id = 1; id <= voters + learners; id++) {
        cluster_create(cluster, id, &members);
    }
}

/* The first `finished` operations under way still reach the disk. */
static inline void cluster_crash(struct cluster *cluster, moot_node_id id, uint32_t finished)
{
    struct cluster_node *node = &cluster->nodes[id];
    MOOT_ASSERT(node->up);
    while (finished-- > 0 && node->op_count > 0) {
        cluster_finish_op(cluster, id, false);
    }
    if (node->repairing && (node->repaired_by == 0 || node->repaired_by > node->op_done)) {
        node->rotten = true; /* Impaired it was, and is. */
    }
    cluster_forget_memory(node);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < cluster->read_count; i++) {
        if (cluster->reads[i].node != id) {
            cluster->reads[kept++] = cluster->reads[i];
        }
    }
    cluster->read_count = kept;
}

static inline struct moot_raft_status cluster_status(struct cluster *cluster, moot_node_id id)
{
    struct moot_raft_status status;
    moot_raft_status(cluster->nodes[id].raft, &status);
    return status;
}

/* The leader of the highest term, 0 when there is none. */
static inline moot_node_id cluster_leader(struct cluster *cluster)
{
    moot_node_id leader = 0;
    moot_term term = 0;
    for (moot_node_id id = 1; id <= CLUSTER_NODES; id++) {
        if (cluster->nodes[id].up) {
            struct moot_raft_status status = cluster_status(cluster, id);
            if (status.role == MOOT_RAFT_LEADER && status.term > term) {
                leader = id;
                term = status.term;
            }
        }
    }
    return leader;
}

static inline int cluster_submit(struct cluster *cluster, moot_node_id id)
{
    struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_SUBMIT};
    event.submit.size = 1;
    return cluster_step(cluster, id, event, NULL);
}

static inline int cluster_read(struct cluster *cluster, moot_node_id id)
{
    struct moot_raft_status status = cluster_status(cluster, id);
    if (status.role == MOOT_RAFT_LEADER && cluster->read_count < CLUSTER_READS) {
        cluster->reads[cluster->read_count++] =
            (struct cluster_read){id, status.term, status.round, cluster->committed_last};
    }
    return cluster_event(cluster, id, MOOT_RAFT_EVENT_READ);
}

static inline int cluster_change(struct cluster *cluster, moot_node_id id,
                                 const moot_node_id *voters, uint8_t voter_count,
                                 const moot_node_id *learners, uint8_t learner_count)
{
    struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_MEMBERS};
    memcpy(event.members.voters, voters, voter_count * sizeof(*voters));
    event.members.voter_count = voter_count;
    if (learner_count > 0) {
        memcpy(event.members.learners, learners, learner_count * sizeof(*learners));
    }
    event.members.learner_count = learner_count;
    return cluster_step(cluster, id, event, NULL);
}

static inline int cluster_event_node(struct cluster *cluster, moot_node_id id,
                                     enum moot_raft_event_kind kind, moot_node_id node)
{
    return cluster_step(cluster, id, (struct moot_raft_event){.kind = kind, .node = node}, NULL);
}

/* ---- time ---- */
static inline void cluster_deliver(struct cluster *cluster, uint32_t slot)
{
    struct cluster_packet packet = cluster->net[slot];
    cluster->net[slot] = cluster->net[--cluster->net_count];
    moot_node_id to = packet.message.to;
    if (cluster->nodes[to].up) {
        struct moot_raft_entry *entries = NULL;
        if (packet.message.kind == MOOT_RAFT_APPEND && packet.message.append.count > 0) {
            entries = moot_alloc(packet.message.append.count * sizeof(*entries));
            for (uint32_t i = 0; i < packet.message.append.count; i++) {
                const struct cluster_entry *entry = &packet.entries[i];
                entries[i] = (struct moot_raft_entry){
                    entry->term, entry->size, entry->kind,
                    entry->kind == MOOT_RAFT_ENTRY_MEMBERS ? &entry->members : NULL};
            }
            packet.message.append.entries = entries;
        }
        int status = cluster_step(
            cluster, to,
            (struct moot_raft_event){.kind = MOOT_RAFT_EVENT_RECEIVE, .message = &packet.message},
            &packet);
        MOOT_ASSERT(status == 0);
        cluster_flush(cluster, to);
        moot_free(entries);
    }
    moot_free(packet.entries);
}

enum cluster_next { CLUSTER_NOTHING, CLUSTER_PACKET, CLUSTER_DISK, CLUSTER_TICK };

/* What happens next, and when. */
static inline enum cluster_next cluster_find_next(struct cluster *cluster, uint64_t *at_ns,
                                                  uint32_t *which)
{
    enum cluster_next next = CLUSTER_NOTHING;
    *at_ns = UINT64_MAX;
    uint64_t order = UINT64_MAX;
    for (uint32_t i = 0; i < cluster->net_count; i++) {
        const struct cluster_packet *packet = &cluster->net[i];
        if (cluster->nodes[packet->message.to].paused) {
            continue;
        }
        if (packet->at_ns < *at_ns || (packet->at_ns == *at_ns && packet->order < order)) {
            next = CLUSTER_PACKET;
            *at_ns = packet->at_ns;
            order = packet->order;
            *which = i;
        }
    }
    for (moot_node_id id = 1; id <= CLUSTER_NODES; id++) {
        const struct cluster_node *node = &cluster->nodes[id];
        if (!node->up || node->paused) {
            continue;
        }
        if (node->op_count > 0 && (!node->disk_stalled || node->op_count > 300) &&
            node->ops[0].ready_ns < *at_ns) {
            next = CLUSTER_DISK;
            *at_ns = node->ops[0].ready_ns;
            *which = id;
        }
        if (moot_raft_deadline(node->raft).ns < *at_ns) {
            next = CLUSTER_TICK;
            *at_ns = moot_raft_deadline(node->raft).ns;
            *which = id;
        }
    }
    return next;
}

/* The driver that sends a snapshot's bytes gives up on it after a while. */
static inline void cluster_give_up_snapshots(struct cluster *cluster, moot_node_id id)
{
    struct cluster_node *node = &cluster->nodes[id];
    for (moot_node_id to = 1; to <= CLUSTER_NODES; to++) {
        struct moot_raft_progress progress;
        if (moot_raft_progress(node->raft, to, &progress) && progress.wants_snapshot &&
            cluster->now_ns - node->snapshot_sent_ns[to] > 300 * MOOT_MSEC_NS) {
            int status = cluster_event_node(cluster, id, MOOT_RAFT_EVENT_SNAPSHOT_FAILED, to);
            MOOT_ASSERT(status == 0);
        }
    }
}

/* One thing happens, if it does before `until_ns`. */
static inline bool cluster_advance(struct cluster *cluster, uint64_t until_ns)
{
    uint64_t at_ns = 0;
    uint32_t which = 0;
    enum cluster_next next = cluster_find_next(cluster, &at_ns, &which);
    if (next == CLUSTER_NOTHING || at_ns > until_ns) {
        cluster->now_ns = moot_max_u64(cluster->now_ns, until_ns);
        return false;
    }
    cluster->now_ns = moot_max_u64(cluster->now_ns, at_ns);
    switch (next) {
    case CLUSTER_PACKET:
        cluster_deliver(cluster, which);
        break;
    case CLUSTER_DISK:
        cluster_finish_op(cluster, which, true);
        if (cluster->nodes[which].up) {
            cluster_flush(cluster, which);
        }
        break;
    default:
        (void)!cluster_event(cluster, which, MOOT_RAFT_EVENT_TICK);
        cluster_give_up_snapshots(cluster, which);
        cluster_flush(cluster, which);
        break;
    }
    return true;
}

static inline void cluster_run_ms(struct cluster *cluster, uint64_t ms)
{
    uint64_t until_ns = cluster->now_ns + ms * MOOT_MSEC_NS;
    while (cluster_advance(cluster, until_ns)) {
    }
}

/* Runs until somebody leads and has committed in its term; fails after `ms`. */
static inline moot_node_id cluster_elect(struct cluster *cluster, uint64_t ms)
{
    uint64_t until_ns = cluster->now_ns + ms * MOOT_MSEC_NS;
    do {
        moot_node_id leader = cluster_leader(cluster);
        if (leader != 0 && cluster_status(cluster, leader).leads_committed) {
            return leader;
        }
    } while (cluster_advance(cluster, until_ns));
    return 0;
}

/* Makes node `id` time out now, and everything settle for a little. */
static inline void cluster_cut_node(struct cluster *cluster, moot_node_id id, bool cut)
{
    for (moot_node_id other = 1; other <= CLUSTER_NODES; other++) {
        cluster->cut[id][other] = cluster->cut[other][id] = cut && other != id;
    }
}

static inline void cluster_heal(struct cluster *cluster)
{
    memset(cluster->cut, 0, sizeof(cluster->cut));
}

#endif
