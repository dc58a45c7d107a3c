/* What edges send to the leader: sessions, numbered batches of writes, batches of reads, and
 * waiters.
 *
 * Order: a session (edge incarnation, epoch) is taken strictly in sequence; anything else is
 * answered NACK, and the edge begins a new session in which it sends again all that is unanswered,
 * in order. Exactly once: a batch number at or below what was executed is answered from the ring;
 * one that is in the log already is not appended again. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/status.h"
#include "database/group/entry.h"
#include "database/group/group.h"

struct moot_stream *group__stream(struct moot_group *group, moot_node_id edge)
{
    for (uint32_t i = group->stream_count; i > 0; i--) { /* Who came last is still there. */
        if (group->streams[i - 1].edge == edge) {
            return &group->streams[i - 1];
        }
    }
    if (group->stream_count == group->stream_capacity) {
        group->stream_capacity = group->stream_capacity == 0 ? 16 : group->stream_capacity * 2;
        group->streams =
            moot_realloc(group->streams, sizeof(*group->streams) * group->stream_capacity);
    }
    struct moot_stream *stream = &group->streams[group->stream_count++];
    *stream = (struct moot_stream){.edge = edge};
    return stream;
}

void group__post(struct moot_group *group, moot_node_id to, const struct moot_message *message,
                 struct moot_block *owner)
{
    struct moot_post post = {.to = to, .message = message, .owner = owner};
    moot_outbox_post(group->context->outbox, &post);
}

void group__answer(struct moot_group *group, moot_node_id edge, enum moot_submit_kind kind,
                   uint64_t incarnation, uint64_t number, int status, moot_hlc_stamp stamp,
                   struct moot_block *replies)
{
    struct moot_message message = {.kind = MOOT_MESSAGE_ANSWER, .group = group->id};
    message.answer.kind = kind;
    message.answer.incarnation = incarnation;
    message.answer.number = number;
    message.answer.status = status;
    message.answer.stamp = stamp;
    if (replies != NULL) {
        message.answer.replies = moot_block_slice(replies);
    }
    group__post(group, edge, &message, replies);
}

void group__nack(struct moot_group *group, moot_node_id edge, uint64_t incarnation, uint64_t epoch,
                 int status)
{
    struct moot_message message = {.kind = MOOT_MESSAGE_NACK, .group = group->id};
    message.nack.incarnation = incarnation;
    message.nack.epoch = epoch;
    message.nack.leader = group->leader;
    message.nack.status = status;
    group__post(group, edge, &message, NULL);
}

/* 0: this submission is the next of its session. MOOT_EINVALID: drop it. MOOT_EAGAIN: a gap. It
 * counts as had when it is taken in: one that is refused ends its session, so that no read behind a
 * refused write is placed without it. */
static int check_sequence(struct moot_stream *stream, const struct moot_submit *submit)
{
    if (submit->incarnation < stream->session_incarnation ||
        submit->incarnation < stream->incarnation) {
        return MOOT_EINVALID; /* A dead edge's. */
    }
    bool newer = submit->incarnation > stream->session_incarnation || submit->epoch > stream->epoch;
    if (newer) {
        if (submit->sequence != 0) {
            return MOOT_EAGAIN;
        }
        stream->session_incarnation = submit->incarnation;
        stream->epoch = submit->epoch;
        stream->sequence = 0;
    }
    if (submit->epoch < stream->epoch || submit->sequence < stream->sequence) {
        return MOOT_EINVALID; /* Duplicated or delayed by the network. */
    }
    if (submit->sequence > stream->sequence) {
        MOOT_SOMETIMES(true, "a submission was lost between edge and leader");
        return MOOT_EAGAIN;
    }
    return 0;
}

/* ---- writes ---- */

/* A blocking command must not overtake those that wait already: it is told to wait without a try.
 * The flag is the leader's decision, so it is set or cleared on every append, also of a batch that
 * another leader has marked. False: the batch is malformed. */
static bool mark_blocking(struct moot_group *group, struct moot_slice items, uint8_t *bytes)
{
    struct moot_reader reader = moot_reader_make(items);
    struct moot_item item;
    size_t at = 0;
    while (moot_item_next(&reader, &item)) {
        size_t next = items.size - moot_reader_left(&reader);
        if ((item.flags & MOOT_ITEM_BLOCKING) != 0) {
            struct moot_reader body = moot_reader_make(item.body);
            struct moot_slice *args;
            uint32_t argc;
            bool defer = false;
            if ((item.flags & (MOOT_ITEM_RETRY | MOOT_ITEM_EXEC)) == 0 &&
                moot_item_args(&body, &group->arena, &args, &argc)) {
                moot_keyspace keyspace =
                    moot_engine_shared(group->engine)->keyspace_of[item.database];
                for (uint32_t i = 1; i + 1 < argc; i++) { /* BLPOP key ... timeout */
                    defer = defer || moot_waiters_any_for(&group->waiters, keyspace, args[i]);
                }
            }
            bytes[at] =
                (uint8_t)(defer ? item.flags | MOOT_ITEM_DEFER : item.flags & ~MOOT_ITEM_DEFER);
            MOOT_SOMETIMES(defer, "a blocking command waited behind others");
        }
        at = next;
    }
    return !reader.failed;
}

/* The block of an entry for this batch: the edge's own when it is local and nobody else holds it,
 * else a copy. NULL: a batch of another release, or of a broken edge, also of this node's own, must
 * not get into the log. There it would fence every replica. */
static struct moot_block *entry_of(struct moot_group *group, moot_node_id edge,
                                   const struct moot_submit *submit, struct moot_block *owner)
{
    struct moot_block *block;
    bool fits = owner != NULL && submit->items.data == owner->data + MOOT_ENTRY_HEADER_BYTES &&
                submit->items.size + MOOT_ENTRY_HEADER_BYTES == owner->size &&
                owner->references <= 2; /* The edge's and the post's. */
    if (fits) {
        block = moot_block_retain(owner);
    } else {
        block = moot_block_make(MOOT_ENTRY_HEADER_BYTES + submit->items.size);
        if (submit->items.size > 0) {
            memcpy(block->data + MOOT_ENTRY_HEADER_BYTES, submit->items.data, submit->items.size);
        }
    }
    uint32_t flags = group->context->refuse_growth ? MOOT_ENTRY_REFUSE_GROWTH : 0;
    flags |= MOOT_RARELY(group->context->chance, leaves_chained) ? MOOT_ENTRY_LEAVE_CHAINED : 0;
    struct moot_entry entry = {.kind = MOOT_ENTRY_COMMANDS,
                               .flags = (uint16_t)flags,
                               .stamp = moot_hlc_next(&group->clock, group->context->stamp_ms),
                               .seed = moot_rng_next(group->context->rng),
                               .edge = edge,
                               .edge_incarnation = submit->incarnation,
                               .batch = submit->number};
    moot_entry_put_header(block->data, &entry);
    struct moot_slice items = {block->data + MOOT_ENTRY_HEADER_BYTES, submit->items.size};
    if (!mark_blocking(group, items, block->data + MOOT_ENTRY_HEADER_BYTES)) {
        moot_block_release(block);
        return NULL;
    }
    return block;
}

static void answer_again(struct moot_group *group, moot_node_id edge,
                         const struct moot_submit *submit)
{
    const struct moot_ring_item *kept =
        moot_ring_find(&group->ring, edge, submit->incarnation, submit->number);
    MOOT_SOMETIMES(kept != NULL, "a re-sent batch was answered from the ring");
    MOOT_SOMETIMES(kept == NULL, "a re-sent batch's replies were no longer kept");
    group__answer(group, edge, MOOT_SUBMIT_WRITES, submit->incarnation, submit->number,
                  kept == NULL ? MOOT_EINDOUBT : 0, kept == NULL ? 0 : kept->stamp,
                  kept == NULL ? NULL : kept->replies);
}

/* New tries of woken waiters are in the log: those behind them may be told. */
static void note_tries(struct moot_group *group, moot_node_id edge,
                       const struct moot_submit *submit)
{
    struct moot_reader reader = moot_reader_make(submit->items);
    struct moot_item item;
    while (group->waiters.count > 0 && moot_item_next(&reader, &item)) {
        struct moot_reader body = moot_reader_make(item.body);
        struct moot_slice *args;
        uint32_t argc;
        if ((item.flags & MOOT_ITEM_BLOCKING) == 0 || (item.flags & MOOT_ITEM_RETRY) == 0 ||
            !moot_item_args(&body, &group->arena, &args, &argc) || argc < 3) {
            continue;
        }
        struct moot_waiter *waiter =
            moot_waiters_tried(&group->waiters, edge, submit->incarnation, item.database, args + 1,
                               argc - 2); /* BLPOP key ... timeout */
        if (waiter != NULL) {
            group__wake_keys(group, waiter);
        }
    }
}

static int submit_writes(struct moot_group *group, struct moot_stream *stream,
                         const struct moot_submit *submit, struct moot_block *owner)
{
    uint64_t executed = stream->incarnation == submit->incarnation ? stream->executed : 0;
    if (stream->appended_incarnation != submit->incarnation) {
        stream->appended_incarnation = submit->incarnation;
        stream->appended = executed;
    }
    stream->appended = moot_max_u64(stream->appended, executed);
    if (!MOOT_RULE(stream_executed_once, submit->number > executed)) {
        answer_again(group, stream->edge, submit);
        return 0;
    }
    if (!MOOT_RULE(stream_appended_once, submit->number > stream->appended)) {
        MOOT_SOMETIMES(true, "a re-sent batch was in the log already");
        return 0;
    }
    if (!MOOT_RULE(stream_next_number, submit->number == stream->appended + 1)) {
        return MOOT_FAIL(MOOT_EAGAIN);
    }
    if (submit->items.size + MOOT_ENTRY_HEADER_BYTES > MOOT_ENTRY_BYTES_MAX) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    moot_index index;
    moot_node_id edge = stream->edge;
    struct moot_block *block = entry_of(group, edge, submit, owner);
    if (block == NULL) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    int status = group__append(group, block, &index);
    if (status == 0) {
        group__stream(group, edge)->appended = submit->number;
        note_tries(group, edge, submit);
    }
    return status;
}

/* ---- reads ---- */

void group__place_read(struct moot_group *group, const struct moot_placed_read *read)
{
    MOOT_ASSERT(group->read_count == 0 || group->reads[group->read_count - 1].place <= read->place);
    if (group->read_count == group->read_capacity) {
        group->read_capacity = group->read_capacity == 0 ? 64 : group->read_capacity * 2;
        group->reads = moot_realloc(group->reads, sizeof(*group->reads) * group->read_capacity);
    }
    group->reads_placed++;
    group->reads[group->read_count++] = *read;
}

static void submit_reads(struct moot_group *group, moot_node_id edge,
                         const struct moot_submit *submit, struct moot_block *owner)
{
    struct moot_block *block =
        owner != NULL ? moot_block_retain(owner) : moot_block_copy(submit->items);
    struct moot_placed_read read = {.edge = edge,
                                    .incarnation = submit->incarnation,
                                    .number = submit->number,
                                    .owner = block,
                                    .items =
                                        owner != NULL ? submit->items : moot_block_slice(block),
                                    .place = moot_log_last(&group->log),
                                    .round = MOOT_ROUND_NOT_ASKED};
    group__place_read(group, &read);
}

/* Reads that have arrived join the next round. While one is out, later reads wait for it to come
 * back, so that a busy leader asks its followers once for many reads; but a round that goes with
 * entries costs nothing. */
void group__ask_round(struct moot_group *group)
{
    size_t first = group->read_count;
    while (first > 0 && group->reads[first - 1].round == MOOT_ROUND_NOT_ASKED) {
        first--;
    }
    bool is_out = group->round_confirmed < group->round_asked;
    bool entries = moot_log_last(&group->log) != group->round_asked_at;
    if (first == group->read_count || (is_out && !entries)) {
        return;
    }
    struct moot_raft_status raft;
    moot_raft_status(group->raft, &raft);
    struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_READ};
    if (group__step(group, &event) != 0) {
        return;
    }
    for (size_t i = first; i < group->read_count; i++) {
        group->reads[i].round = raft.round;
    }
    group->round_asked = raft.round;
    group->round_asked_at = moot_log_last(&group->log);
}

/* ---- waiters ---- */

static int submit_waiters(struct moot_group *group, moot_node_id edge,
                          const struct moot_submit *submit)
{
    struct moot_reader reader = moot_reader_make(submit->items);
    struct moot_waiter_wish wish;
    while (moot_waiter_wish_next(&reader, &group->arena, &wish)) {
        moot_keyspace keyspace = moot_engine_shared(group->engine)->keyspace_of[wish.database];
        int status =
            moot_waiters_register(&group->waiters, edge, submit->incarnation, &wish, keyspace);
        if (status != 0) {
            return status;
        }
        struct moot_waiter *waiter =
            moot_waiters_find(&group->waiters, edge, submit->incarnation, wish.id);
        group__wake_keys(group, waiter);
    }
    return reader.failed ? MOOT_FAIL(MOOT_EINVALID) : 0;
}

/* The waiter is first for one of its keys: tell its edge. `waiter` may not be the one that is
 * woken. */
void group__wake_keys(struct moot_group *group, struct moot_waiter *waiter)
{
    for (uint32_t i = 0; i < waiter->key_count; i++) {
        uint64_t length = 0;
        if (!moot_engine_list_length(group->engine, waiter->keyspaces[i], waiter->keys[i],
                                     &length)) {
            continue;
        }
        struct moot_waiter *next;
        while ((next = moot_waiters_next(&group->waiters, waiter->keyspaces[i], waiter->keys[i],
                                         length)) != NULL) {
            moot_waiters_wake(next, group->context->now.instant);
            struct moot_message message = {.kind = MOOT_MESSAGE_WAKE, .group = group->id};
            message.wake.incarnation = next->incarnation;
            message.wake.waiter = next->id;
            group__post(group, next->edge, &message, NULL);
        }
    }
}

void group__serve_waiters(struct moot_group *group)
{
    struct moot_call_shared *shared = moot_engine_shared(group->engine);
    if (group->waiters.count > 0 && group__leads(group)) {
        uint32_t count = shared->signals_lost ? 0 : shared->signal_count;
        for (uint32_t i = 0; i < count; i++) {
            struct moot_waiter key = {.key_count = 1,
                                      .keys = &shared->signals[i].key,
                                      .keyspaces = &shared->signals[i].keyspace};
            group__wake_keys(group, &key);
        }
        if (shared->signals_lost) {
            moot_waiters_move(&group->waiters, shared->keyspace_of);
        }
        for (uint32_t i = 0; shared->signals_lost && i < group->waiters.count; i++) {
            group__wake_keys(group, &group->waiters.items[i]);
        }
    }
    shared->signal_count = 0;
    shared->signals_lost = false;
    moot_arena_reset(shared->signal_arena);
}

/* ---- the door ---- */

void group__submit(struct moot_group *group, moot_node_id from, const struct moot_submit *submit,
                   struct moot_block *owner)
{
    if (!group__leads(group)) {
        group__nack(group, from, submit->incarnation, submit->epoch, MOOT_ENOTLEADER);
        return;
    }
    struct moot_stream *stream = group__stream(group, from);
    int status = check_sequence(stream, submit);
    if (status == MOOT_EINVALID) {
        return;
    }
    if (status == 0 && submit->kind == MOOT_SUBMIT_WRITES) {
        status = submit_writes(group, stream, submit, owner);
    } else if (status == 0 && submit->kind == MOOT_SUBMIT_READS) {
        submit_reads(group, from, submit, owner);
    } else if (status == 0) {
        status = submit_waiters(group, from, submit);
        if (status == 0) {
            group__answer(group, from, submit->kind, submit->incarnation, submit->number, 0, 0,
                          NULL);
        }
    }
    if (status != 0) {
        group__nack(group, from, submit->incarnation, submit->epoch, status);
    }
    if (MOOT_RULE(stream_refused_is_not_counted, status == 0)) {
        group__stream(group, from)->sequence++;
    }
}

/* A term of office begins: what each edge has in the log is read from the log. */
void group__lead(struct moot_group *group)
{
    for (uint32_t i = 0; i < group->stream_count; i++) {
        struct moot_stream *stream = &group->streams[i];
        stream->appended_incarnation = stream->incarnation;
        stream->appended = stream->executed;
        stream->session_incarnation = 0;
        stream->epoch = stream->sequence = 0;
    }
    for (moot_index index = moot_max_u64(group->applied + 1, group->log.first);
         index <= moot_log_last(&group->log); index++) {
        struct moot_entry entry;
        const struct moot_log_entry *held = moot_log_at(&group->log, index);
        if (moot_entry_decode(moot_block_slice(held->block), &entry) != 0 || entry.edge == 0) {
            continue;
        }
        struct moot_stream *stream = group__stream(group, entry.edge);
        if (entry.edge_incarnation > stream->appended_incarnation) {
            stream->appended_incarnation = entry.edge_incarnation;
            stream->appended = 0;
        }
        if (entry.edge_incarnation == stream->appended_incarnation) {
            stream->appended = moot_max_u64(stream->appended, entry.batch);
        }
    }
    group->feature_asked = false;
    group->level_told = 0;
    moot_engine_shared(group->engine)->level_wanted = 0; /* It was asked of another leader. */
    group->expire_pending = 0;
    group->expire_next = group->context->now.instant;
    group->chain_next = group->context->now.instant;
}

/* The term of office is over: reads have lost their place, waiters their table. */
void group__follow(struct moot_group *group)
{
    for (size_t i = 0; i < group->read_count; i++) {
        struct moot_placed_read *read = &group->reads[i];
        group__nack(group, read->edge, read->incarnation, UINT64_MAX, MOOT_ENOTLEADER);
        moot_block_release(read->owner);
    }
    group->read_count = 0;
    moot_waiters_clear(&group->waiters);
    group__snapshot_stop(group);
    group->expire_pending = 0;
}
