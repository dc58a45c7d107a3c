/* Turns: inputs in, groups and edge to a standstill, effects out. */
#include "database/node.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/status.h"
#include "database/node_internal.h"

void node__fail(struct moot_node *node, int status, const char *text)
{
    if (node->fatal == 0) {
        node->fatal = status;
        size_t size = moot_min_u64(strlen(text), sizeof(node->fatal_text) - 1);
        memcpy(node->fatal_text, text, size);
        node->fatal_text[size] = '\0';
    }
}

/* ---- inputs ---- */

static void on_message(struct moot_node *node, moot_node_id from,
                       const struct moot_message *message, struct moot_block *owner)
{
    if (message->kind == MOOT_MESSAGE_ROOM) {
        node__room_of(node, from, message->room);
    } else if (message->kind == MOOT_MESSAGE_ANSWER || message->kind == MOOT_MESSAGE_NACK ||
               message->kind == MOOT_MESSAGE_WAKE || message->kind == MOOT_MESSAGE_ASK) {
        moot_edge_receive(&node->edge, from, message);
    } else {
        moot_group_receive(node->groups[message->group], from, message, owner);
    }
}

static void on_peer_message(struct moot_node *node, const struct moot_input *input)
{
    struct moot_message message;
    moot_arena_reset(&node->arena);
    if (moot_message_decode(input->bytes, &node->arena, &message) != 0) {
        MOOT_SOMETIMES(true, "a peer's message was malformed");
        return;
    }
    on_message(node, input->node, &message, NULL);
}

/* What an answer begins with can be read as one; a part of anything else makes no message. */
static void on_peer_part(struct moot_node *node, const struct moot_input *input)
{
    struct moot_message message;
    moot_arena_reset(&node->arena);
    if (moot_message_decode(input->bytes, &node->arena, &message) == 0 &&
        message.kind == MOOT_MESSAGE_ANSWER) {
        moot_edge_part(&node->edge, input->node, &message);
    }
}

static void on_peer(struct moot_node *node, const struct moot_input *input)
{
    bool up = input->kind == MOOT_INPUT_PEER_UP;
    /* Who does not say is of a release that knew the first. */
    node__link(node, input->node, up, input->status > 0 ? (uint32_t)input->status : 1);
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        if (up) {
            moot_group_peer_up(node->groups[group], input->node, input->amount);
        } else {
            moot_group_peer_down(node->groups[group], input->node, input->status == 0);
        }
    }
    if (!up && input->status == MOOT_EREFUSED) {
        node__refused_by(node, input->node);
    }
    moot_edge_peer_changed(&node->edge, input->node);
}

static void on_durable(struct moot_node *node, const struct moot_input *input)
{
    moot_outbox_durable(&node->outbox, input->ticket);
    node__disk_answered(node);
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        moot_group_durable(node->groups[group]);
    }
    node->mark_due = moot_instant_add(node->context.now.instant, moot_ms(MOOT_IDLE_MARK_MS));
}

static void on_flushed(struct moot_node *node, const struct moot_input *input)
{
    if (!node->flushing || input->ticket != node->flush_ticket) {
        return;
    }
    if (input->status == MOOT_ECORRUPT) {
        /* What was merged meanwhile failed its checksum. The store takes no more: it goes on being
         * flushed, so to speak, until others lead and it may be given up. */
        for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
            group__rot(node->groups[group], "the store failed its checksum when it was merged");
        }
        return;
    }
    node->flushing = false;
    if (input->status != 0) {
        node__fail(node, input->status, "the store could not be flushed");
        return;
    }
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        moot_group_flush_done(node->groups[group], node->journal);
    }
}

static void on_ticket(struct moot_node *node, const struct moot_input *input)
{
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        struct moot_group *group = node->groups[id];
        if (input->kind == MOOT_INPUT_FETCHED) {
            moot_group_fetched(group, input->ticket, input->status);
        } else if (input->kind == MOOT_INPUT_CHUNK) {
            moot_group_chunk(group, input->ticket, input->status, input->bytes);
        } else if (input->kind == MOOT_INPUT_LONG_READ) {
            moot_group_long_read_done(group, input);
        } else {
            moot_group_ingested(group, input->ticket, input->status);
        }
    }
}

static void on_stop(struct moot_node *node)
{
    node__reopen_ends(node);
    if (!node->stopping) {
        node->stopping = true;
        node->stop_by = moot_instant_add(node->context.now.instant, moot_ms(MOOT_STOP_MS));
    }
}

static void on_input(struct moot_node *node, const struct moot_input *input)
{
    switch (input->kind) {
    case MOOT_INPUT_TICK:
        return;
    case MOOT_INPUT_CLIENT_OPENED:
        moot_edge_opened(&node->edge, input->connection, input->bytes);
        return;
    case MOOT_INPUT_CLIENT_BYTES:
        moot_edge_bytes(&node->edge, input->connection, input->bytes);
        return;
    case MOOT_INPUT_CLIENT_ENDED:
        moot_edge_ended(&node->edge, input->connection);
        return;
    case MOOT_INPUT_CLIENT_SENT:
        moot_edge_sent(&node->edge, input->connection, input->amount);
        return;
    case MOOT_INPUT_CLIENT_CLOSED:
        moot_edge_closed(&node->edge, input->connection);
        return;
    case MOOT_INPUT_CLIENT_KEPT:
        moot_edge_kept(&node->edge, input->connection, input->bytes);
        return;
    case MOOT_INPUT_PEER_UP:
    case MOOT_INPUT_PEER_DOWN:
        on_peer(node, input);
        return;
    case MOOT_INPUT_PEER_MESSAGE:
        on_peer_message(node, input);
        return;
    case MOOT_INPUT_PEER_PART:
        on_peer_part(node, input);
        return;
    case MOOT_INPUT_DURABLE:
        on_durable(node, input);
        return;
    case MOOT_INPUT_FLUSHED:
        on_flushed(node, input);
        return;
    case MOOT_INPUT_FETCHED:
    case MOOT_INPUT_CHUNK:
    case MOOT_INPUT_INGESTED:
    case MOOT_INPUT_LONG_READ:
        on_ticket(node, input);
        return;
    case MOOT_INPUT_SPACE:
        node__space(node, input->amount, input->ticket);
        return;
    case MOOT_INPUT_HEALTH:
        node__health(node, input);
        return;
    case MOOT_INPUT_STOP:
        on_stop(node);
        return;
    case MOOT_INPUT_REOPEN:
        node->reopen.wanted = !node->stopping;
        return;
    case MOOT_INPUT_KINDS:
        break;
    }
    MOOT_UNREACHABLE();
}

/* What rot had taken has been given back by a leader: the journal may retire the segments again. */
static void repaired_tick(struct moot_node *node)
{
    if (!node->rotten) {
        return;
    }
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        struct moot_raft_status raft;
        moot_raft_status(node->groups[id]->raft, &raft);
        if (raft.impaired || node->groups[id]->fenced) {
            node->repaired_record = 0;
            return;
        }
    }
    if (node->repaired_record == 0) {
        node->repaired_record = node->outbox.recorded;
    }
    if (node->outbox.durable < node->repaired_record) {
        return;
    }
    node->rotten = false;
    node->rotten_until = moot_journal_repaired(node->journal, UINT32_MAX);
    moot_outbox_log(&node->outbox, MOOT_LOG_INFO,
                    moot_slice_text("what the journal had lost to rot has been given back"));
}

/* As long as the journal has the rotten batch a start finds it again, and the node does not vote
 * before it is repaired once more; a second one would leave three without a majority. So the
 * journal is brought past it, also on a node that has little to write. */
static void forget_rot(struct moot_node *node)
{
    bool wants_batch = false;
    bool past =
        node->rotten_until == 0 || moot_journal_is_past(node->journal, node->rotten_until,
                                                        node->outbox.durable_batch, &wants_batch);
    node->rotten_until = past ? 0 : node->rotten_until;
    node->rot_mark_due = !past && wants_batch;
    node->rot_flush_due = !past && !wants_batch;
}

/* ---- the standstill ---- */

static void refresh_edge(struct moot_node *node)
{
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        moot_node_group(node, group, &node->edge.groups[group]);
    }
}

static void refresh_peers(struct moot_node *node)
{
    struct moot_group *db0 = node->groups[MOOT_GROUP_DB0];
    struct moot_edge *edge = &node->edge;
    const struct moot_call_shared *shared = moot_engine_shared(db0->engine);
    for (uint8_t database = 0; database < MOOT_DATABASES; database++) {
        edge->key_counts[database] =
            shared->sums[moot_keyspace_place(shared->keyspace_of[database])].count;
    }
    edge->follower_count = 0;
    if (!group__leads(db0)) {
        return;
    }
    for (uint32_t i = 0; i < node->directory.count; i++) {
        struct moot_raft_progress progress;
        moot_node_id peer = node->directory.nodes[i].address.node;
        if (peer == node->identity.node) {
            edge->followers[edge->follower_count++] =
                (struct moot_edge_follower){peer, moot_log_last(&db0->log), true};
        } else if (moot_raft_progress(db0->raft, peer, &progress)) {
            edge->followers[edge->follower_count++] =
                (struct moot_edge_follower){peer, progress.match, progress.active};
        }
    }
}

/* Messages of this node to itself, and what they cause, until nothing is left to do in this turn;
 * but a turn's work is bounded: what is left then is carried to the next turn, which comes at once.
 */
static bool settle(struct moot_node *node)
{
    bool again = false;
    for (int round = 0; round < MOOT_TURN_ROUNDS_MAX; round++) {
        while (node->outbox.local_next < node->outbox.local_count) {
            struct moot_local_post post = node->outbox.local[node->outbox.local_next++];
            on_message(node, node->identity.node, &post.message, post.owner);
        }
        again = false;
        for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
            again = moot_group_progress(node->groups[group]) || again;
        }
        node__tell_leaders(node);
        moot_edge_flush(&node->edge);
        if (node->outbox.local_next == node->outbox.local_count) {
            return again;
        }
        if (MOOT_RARELY(&node->chance, turn_breaks)) {
            break;
        }
    }
    MOOT_SOMETIMES(true, "a turn did not come to a standstill");
    return true;
}

static bool leads_any(const struct moot_node *node)
{
    bool leads = false;
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        leads = leads || group__leads(node->groups[group]);
    }
    return leads;
}

/* A flush makes what was executed durable in the store, so that the journal may forget it. */
static bool wants_flush(struct moot_node *node)
{
    moot_index most = 0;
    bool mended = false;
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        mended = mended || node->groups[group]->mended_unflushed;
        most = moot_max_u64(most, node->groups[group]->applied - node->groups[group]->flushed);
    }
    bool anything = most > 0 || mended;
    bool wanted = mended || node->outbox.journal_bytes >= node->flush_bytes ||
                  most >= MOOT_STORE_FLUSH_ENTRIES ||
                  moot_journal_bytes(node->journal) > node->journal_bytes_max ||
                  node->journal_is_full || node->directory_unflushed || node->reopen.flush_due ||
                  node->rot_flush_due;
    /* A flush takes room, for what a full follower has no more of than before. */
    bool may = !node->context.disk_is_full || leads_any(node);
    return !node->flushing && anything && may &&
           (wanted || MOOT_RARELY(&node->chance, store_flushes));
}

static void flush(struct moot_node *node)
{
    node->flushing = true;
    node->directory_unflushed = false;
    node->flush_ticket = ++node->context.next_ticket;
    node->reopen.flush_due = false;
    node->outbox.journal_bytes = 0;
    moot_outbox_effect(&node->outbox, MOOT_EFFECT_FLUSH)->ticket = node->flush_ticket;
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        moot_group_flush_begins(node->groups[group]);
    }
}

/* What keeps the oldest segment is not executed: no flush frees it. */
size_t node__restate(void *context, const struct moot_record **out)
{
    struct moot_node *node = context;
    moot_group_id holder;
    moot_index last;
    *out = NULL;
    if (!moot_journal_oldest(node->journal, &holder, &last)) {
        return 0;
    }
    if (node->restated == NULL) {
        node->restated =
            moot_alloc(sizeof(*node->restated) * MOOT_LOG_ENTRIES_MAX * MOOT_GROUPS_MAX);
    }
    size_t count = 0;
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        count += moot_group_restate(node->groups[id], node->journal, node->restated + count);
    }
    *out = node->restated;
    return count;
}

/* An idle journal is closed with a mark, so that a rotten tail is not taken for a torn one. */
static bool wants_mark(struct moot_node *node)
{
    bool idle = !moot_outbox_in_flight(&node->outbox) && !moot_outbox_is_waiting(&node->outbox);
    if (!idle) {
        node->mark_wanted = true;
        return false;
    }
    if (node->mark_wanted && !moot_instant_before(node->context.now.instant, node->mark_due)) {
        node->mark_wanted = false;
        return true;
    }
    return false;
}

static struct moot_instant next_deadline(const struct moot_node *node, bool again)
{
    if (again) {
        return node->context.now.instant;
    }
    struct moot_instant deadline = moot_edge_deadline(&node->edge);
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        deadline = moot_instant_min(deadline, moot_group_deadline(node->groups[group]));
    }
    deadline = moot_instant_min(deadline, node->reconcile_next);
    if (node->mark_wanted && !moot_outbox_in_flight(&node->outbox) && !node->journal_is_full) {
        deadline = moot_instant_min(deadline, node->mark_due);
    }
    return deadline;
}

static void end_turn(struct moot_node *node, bool again, struct moot_effects *out)
{
    forget_rot(node);
    bool flushes = wants_flush(node);
    bool force = flushes || node->stopped || node->fatal != 0;
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        moot_group_store(node->groups[group], force);
        moot_group_end_turn(node->groups[group]);
    }
    if (flushes) {
        flush(node);
    }
    moot_edge_reply(&node->edge);
    if (node->stopped && node->reopen.wanted) {
        moot_edge_keep(&node->edge);
    }
    bool mark = wants_mark(node) || node->reopen.mark_due || node->rot_mark_due;
    if (node->fatal != 0 || node->stopped) {
        struct moot_effect *effect = moot_outbox_effect(&node->outbox, MOOT_EFFECT_STOP);
        effect->status = node->fatal;
        effect->log.text = moot_slice_text(node->fatal_text);
    }
    int status = moot_outbox_finish(&node->outbox, node->journal, mark, out);
    node->journal_is_full = status == MOOT_ENOSPACE;
    if (status == MOOT_ENOSPACE) {
        MOOT_SOMETIMES(
            true, "the journal was full for a while"); /* Until the flush under way frees it. */
    } else if (status != 0) {
        node__fail(node, status, "the journal could not take a batch");
        out->deadline = node->context.now.instant;
        return;
    }
    out->deadline = next_deadline(node, again);
}

void moot_node_turn(struct moot_node *node, const struct moot_input *inputs, size_t count,
                    struct moot_now now, struct moot_effects *out)
{
    MOOT_ASSERT(now.instant.ns >= node->context.now.instant.ns);
    node->context.now = now;
    node->edge.now = now;
    node->chance.turn++;
    moot_outbox_begin(&node->outbox);
    node__clock(node);
    node__tell_peers(node);
    refresh_edge(node);
    for (size_t i = 0; i < count; i++) {
        on_input(node, &inputs[i]);
    }
    moot_edge_flush(&node->edge);
    bool again = settle(node);
    node__directory(node);
    node__late_addresses(node);
    refresh_peers(node);
    node__members_tick(node);
    node__space_tick(node);
    node__health_tick(node);
    node__stop_tick(node);
    node__reopen_tick(node);
    node__rot_tick(node);
    repaired_tick(node);
    again = settle(node) || again;
    node__reopen_end(node, again);
    end_turn(node, again, out);
}

/* ---- looking in ---- */

const struct moot_identity *moot_node_identity(const struct moot_node *node)
{
    return &node->identity;
}
uint64_t moot_node_incarnation(const struct moot_node *node) { return node->incarnation; }

bool moot_node_has_rot(const struct moot_node *node)
{
    return node->rotten || node->rotten_until != 0;
}

void moot_node_group(const struct moot_node *node, moot_group_id id, struct moot_group_view *out)
{
    const struct moot_group *group = node->groups[id];
    struct moot_raft_status raft;
    moot_raft_status(group->raft, &raft);
    *out = (struct moot_group_view){
        .exists = true,
        .leads = group__leads(group),
        .role = (uint8_t)raft.role,
        .leader = group->fenced ? 0 : raft.leader,
        .vote = raft.vote,
        .term = raft.term,
        .first = group->log.first,
        .last = moot_log_last(&group->log),
        .durable = raft.durable,
        .commit = group->commit,
        .applied = group->applied,
        .chain = group->chain,
        .digest = moot_engine_shared(group->engine)->contents_digest,
        .fenced = group->fenced,
        .impaired = raft.impaired,
        .changing = raft.changing,
        .members = &group->members,
        .log_bytes = group->log.bytes,
        .waiters = group->waiters.count,
        .long_reads = group->long_reads.commands,
        .long_reads_begun = group->long_reads.begun,
        .unstored_bytes = moot_view_size(moot_engine_view(group->engine)),
        .recent_bytes = moot_view_recent_bytes(moot_engine_view(group->engine)),
        .ring_bytes = group->ring.bytes,
        .feature_level = group->feature_level,
        .batches_run = group->batches_run,
        .reads_placed = group->reads_placed,
        .reads_run = group->reads_run,
        .reads_waiting = group->read_count,
        .queued_bytes = node->edge.streams[id].queued_bytes,
        .stamp_ms = moot_max_u64(group->context->stamp_ms, moot_hlc_ms(group->clock.last))};
}

const char *moot_group_role_text(const struct moot_group_view *view, moot_node_id node)
{
    static const char *const names[] = {
        [MOOT_RAFT_FOLLOWER] = "follower",
        [MOOT_RAFT_PRE_CANDIDATE] = "pre-candidate",
        [MOOT_RAFT_CANDIDATE] = "candidate",
        [MOOT_RAFT_LEADER] = "leader",
    };
    if (view->impaired) {
        return "impaired";
    }
    for (uint32_t i = 0; i < view->members->learner_count; i++) {
        if (view->members->learners[i] == node) {
            return "learner";
        }
    }
    return moot_members_has(view->members, node) ? names[view->role] : "no member";
}

bool moot_node_entry(const struct moot_node *node, moot_group_id id, moot_index index,
                     moot_term *term, uint64_t *hash)
{
    const struct moot_log_entry *entry = moot_log_at(&node->groups[id]->log, index);
    if (entry == NULL) {
        return false;
    }
    *term = entry->term;
    *hash = moot_hash64(moot_block_slice(entry->block), entry->term);
    return true;
}

bool moot_node_term(const struct moot_node *node, moot_group_id id, moot_index index,
                    moot_term *term)
{
    return moot_raft_term_at(node->groups[id]->raft, index, term);
}

bool moot_node_stream(const struct moot_node *node, moot_group_id id, size_t number,
                      moot_node_id *edge, uint64_t *incarnation, uint64_t *executed)
{
    const struct moot_group *group = node->groups[id];
    if (number >= group->stream_count) {
        return false;
    }
    *edge = group->streams[number].edge;
    *incarnation = group->streams[number].incarnation;
    *executed = group->streams[number].executed;
    return true;
}

void moot_node_check(const struct moot_node *node)
{
    moot_edge_check(&node->edge);
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        const struct moot_group *group = node->groups[id];
        moot_raft_check(group->raft);
        /* Who installed a snapshot of a newer release is fenced before the core hears of it. */
        MOOT_ASSERT(group->applied <= group->commit || group->fenced);
        MOOT_ASSERT(group->flushed <= group->applied);
        MOOT_ASSERT(group->commit <= moot_log_last(&group->log) || group->install.active);
    }
}
