#include "database/outbox.h"

#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/rule.h"
#include "base/status.h"

enum { PART_BYTES_MIN = 4096 }; /* A copy of less costs no more than a part does. */

struct held_record {
    struct moot_record record;
    struct moot_block *owner;
};

struct held_send {
    uint64_t after; /* Number of the record it waits for. */
    moot_node_id node;
    bool urgent;
    struct moot_block *head;
    uint32_t part_count;
    struct moot_block **parts;
};

struct journal_flight {
    moot_ticket ticket;
    uint64_t last_record;
    struct moot_buffer bytes;
};

struct effect_array {
    struct moot_effect *items;
    size_t count, capacity;
};

struct moot_effect_list {
    struct effect_array sends, replies, late, all;
    struct held_record *records;
    size_t record_count, record_capacity;
    struct held_send *held;
    size_t held_count, held_capacity;
    struct journal_flight flights[MOOT_OUTBOX_JOURNAL_IN_FLIGHT];
    uint32_t flight_count;
    struct moot_record *plain; /* For the journal's layout. */
    size_t plain_capacity;
    struct moot_buffer scratch;
    struct moot_block **kept; /* Referred to by sends of this turn: the log may let them go. */
    size_t kept_count, kept_capacity;
};

static void reserve(struct effect_array *array, size_t extra)
{
    if (array->capacity - array->count < extra) {
        array->capacity = moot_max_u64(64, 2 * (array->count + extra));
        array->items = moot_realloc(array->items, sizeof(*array->items) * array->capacity);
    }
}

static struct moot_effect *add(struct effect_array *array, enum moot_effect_kind kind)
{
    reserve(array, 1);
    struct moot_effect *effect = &array->items[array->count++];
    *effect = (struct moot_effect){.kind = kind};
    return effect;
}

void moot_outbox_init(struct moot_outbox *outbox, moot_node_id self)
{
    *outbox = (struct moot_outbox){.self = self};
    moot_arena_init(&outbox->arena);
    moot_batch_init(&outbox->batch);
    outbox->list = moot_alloc_zero(sizeof(*outbox->list));
}

/* Lets go of the first `count` posts to this node. */
static void release_local(struct moot_outbox *outbox, size_t count)
{
    MOOT_ASSERT(count <= outbox->local_count);
    for (size_t i = 0; i < count; i++) {
        moot_block_release(outbox->local[i].owner);
    }
    outbox->local_count -= count;
    outbox->local_next = 0;
    if (outbox->local_count > 0) {
        memmove(outbox->local, outbox->local + count, sizeof(*outbox->local) * outbox->local_count);
    }
}

static void keep(struct moot_effect_list *list, struct moot_block *block)
{
    if (block == NULL) {
        return;
    }
    if (list->kept_count == list->kept_capacity) {
        list->kept_capacity = list->kept_capacity == 0 ? 64 : list->kept_capacity * 2;
        list->kept = moot_realloc(list->kept, sizeof(*list->kept) * list->kept_capacity);
    }
    list->kept[list->kept_count++] = moot_block_retain(block);
}

static void release_kept(struct moot_effect_list *list)
{
    for (size_t i = 0; i < list->kept_count; i++) {
        moot_block_release(list->kept[i]);
    }
    list->kept_count = 0;
}

static void release_held(struct held_send *send)
{
    moot_block_release(send->head);
    for (uint32_t i = 0; i < send->part_count; i++) {
        moot_block_release(send->parts[i]);
    }
    moot_free(send->parts);
}

void moot_outbox_deinit(struct moot_outbox *outbox)
{
    struct moot_effect_list *list = outbox->list;
    release_local(outbox, outbox->local_count);
    release_kept(list);
    moot_free(list->kept);
    moot_free(outbox->local);
    for (size_t i = 0; i < list->record_count; i++) {
        moot_block_release(list->records[i].owner);
    }
    for (size_t i = 0; i < list->held_count; i++) {
        release_held(&list->held[i]);
    }
    for (uint32_t i = 0; i < MOOT_OUTBOX_JOURNAL_IN_FLIGHT; i++) {
        moot_buffer_deinit(&list->flights[i].bytes);
    }
    moot_buffer_deinit(&list->scratch);
    moot_free(list->records);
    moot_free(list->held);
    moot_free(list->plain);
    moot_free(list->sends.items);
    moot_free(list->replies.items);
    moot_free(list->late.items);
    moot_free(list->all.items);
    moot_free(list);
    moot_batch_deinit(&outbox->batch);
    moot_arena_deinit(&outbox->arena);
}

void moot_outbox_begin(struct moot_outbox *outbox)
{
    struct moot_effect_list *list = outbox->list;
    /* What the last turn did not come to is the first work of this one. */
    bool drained = outbox->local_next == outbox->local_count;
    MOOT_SOMETIMES(!drained, "messages of a node to itself were carried to its next turn");
    bool none_left = MOOT_RULE(outbox_carries_local_posts, drained);
    release_local(outbox, none_left ? outbox->local_count : outbox->local_next);
    release_kept(list);
    moot_arena_reset(&outbox->arena);
    moot_batch_reset(&outbox->batch);
    list->sends.count = list->replies.count = list->late.count = list->all.count = 0;
}

uint64_t moot_outbox_record(struct moot_outbox *outbox, const struct moot_record *record,
                            struct moot_block *owner)
{
    struct moot_effect_list *list = outbox->list;
    if (list->record_count == list->record_capacity) {
        list->record_capacity = list->record_capacity == 0 ? 64 : list->record_capacity * 2;
        list->records = moot_realloc(list->records, sizeof(*list->records) * list->record_capacity);
    }
    struct held_record *held = &list->records[list->record_count++];
    held->record = *record;
    if (owner != NULL) {
        held->owner = moot_block_retain(owner);
    } else {
        held->owner = moot_block_copy(record->bytes);
        held->record.bytes = moot_block_slice(held->owner);
    }
    return ++outbox->recorded;
}

/* Without an owner a message may hold no bytes: they would not outlive the turn. */
static bool owns_its_bytes(const struct moot_post *post)
{
    const struct moot_message *message = post->message;
    bool bytes = (message->kind == MOOT_MESSAGE_SUBMIT && message->submit.items.size > 0) ||
                 (message->kind == MOOT_MESSAGE_ANSWER && message->answer.replies.size > 0) ||
                 message->kind == MOOT_MESSAGE_RAFT || message->kind == MOOT_MESSAGE_SNAPSHOT_CHUNK;
    return post->owner != NULL || !bytes;
}

static void post_local(struct moot_outbox *outbox, const struct moot_post *post)
{
    MOOT_ASSERT(owns_its_bytes(post));
    if (outbox->local_count == outbox->local_capacity) {
        outbox->local_capacity = outbox->local_capacity == 0 ? 64 : outbox->local_capacity * 2;
        outbox->local =
            moot_realloc(outbox->local, sizeof(*outbox->local) * outbox->local_capacity);
    }
    outbox->local[outbox->local_count++] = (struct moot_local_post){
        *post->message, post->owner == NULL ? NULL : moot_block_retain(post->owner)};
}

static void hold(struct moot_outbox *outbox, const struct moot_post *post, struct moot_slice head)
{
    struct moot_effect_list *list = outbox->list;
    bool may_be_lost = post->message->kind == MOOT_MESSAGE_RAFT;
    if (may_be_lost && list->held_count >= MOOT_HELD_SENDS_MAX) {
        return; /* The disk stands still for long; a later one says the same. */
    }
    if (list->held_count == list->held_capacity) {
        list->held_capacity = list->held_capacity == 0 ? 16 : list->held_capacity * 2;
        list->held = moot_realloc(list->held, sizeof(*list->held) * list->held_capacity);
    }
    struct held_send *send = &list->held[list->held_count++];
    *send = (struct held_send){.after = outbox->recorded,
                               .node = post->to,
                               .urgent = post->urgent,
                               .head = moot_block_copy(head),
                               .part_count = post->part_count};
    send->parts = moot_alloc(sizeof(*send->parts) * post->part_count);
    for (uint32_t i = 0; i < post->part_count; i++) {
        send->parts[i] = post->parts[i].owner != NULL ? moot_block_retain(post->parts[i].owner)
                                                      : moot_block_copy(post->parts[i].bytes);
    }
}

static void post_remote(struct moot_outbox *outbox, const struct moot_post *post)
{
    struct moot_effect_list *list = outbox->list;
    moot_buffer_reset(&list->scratch, 1024 * 1024);
    moot_message_encode(post->message, &list->scratch);
    struct moot_slice head = moot_buffer_slice(&list->scratch);
    bool may_leave = outbox->durable >= outbox->recorded || !post->after_durable;
    if (!MOOT_RULE(outbox_send_after_durable, may_leave)) {
        hold(outbox, post, head);
        return;
    }
    struct moot_part *parts =
        moot_arena_alloc(&outbox->arena, sizeof(*parts) * (post->part_count + 1));
    parts[0] = (struct moot_part){moot_arena_copy(&outbox->arena, head), NULL};
    for (uint32_t i = 0; i < post->part_count; i++) {
        parts[i + 1] = post->parts[i];
        keep(list, post->parts[i].owner);
    }
    struct moot_effect *effect = add(&list->sends, MOOT_EFFECT_SEND);
    effect->send.node = post->to;
    effect->send.urgent = post->urgent;
    effect->send.after = post->after_durable ? outbox->durable_batch : 0;
    effect->send.parts = parts;
    effect->send.part_count = post->part_count + 1;
}

/* The bytes that the message's encoding ends with. */
static struct moot_slice *tail_of(struct moot_message *message)
{
    switch (message->kind) {
    case MOOT_MESSAGE_SUBMIT:
        return &message->submit.items;
    case MOOT_MESSAGE_ANSWER:
        return &message->answer.replies;
    default:
        return NULL;
    }
}

/* Large bytes that the owner holds go as they are, behind the encoding of the rest. */
static bool post_in_parts(struct moot_outbox *outbox, const struct moot_post *post)
{
    if (post->owner == NULL || post->owner->size < PART_BYTES_MIN || post->part_count > 0) {
        return false;
    }
    struct moot_message head = *post->message;
    struct moot_slice *tail = tail_of(&head);
    const uint8_t *held = post->owner->data;
    if (tail == NULL || tail->size < PART_BYTES_MIN || tail->data < held ||
        tail->data + tail->size > held + post->owner->size) {
        return false;
    }
    struct moot_part part = {*tail, post->owner};
    *tail = (struct moot_slice){NULL, 0};
    struct moot_post in_parts = *post;
    in_parts.message = &head;
    in_parts.parts = &part;
    in_parts.part_count = 1;
    post_remote(outbox, &in_parts);
    return true;
}

void moot_outbox_post(struct moot_outbox *outbox, const struct moot_post *post)
{
    MOOT_ASSERT(post->to != 0);
    MOOT_ASSERT(post->part_count <= MOOT_OUTBOX_PARTS_MAX);
    if (post->to == outbox->self) {
        post_local(outbox, post);
    } else if (!post_in_parts(outbox, post)) {
        post_remote(outbox, post);
    }
}

struct moot_effect *moot_outbox_effect(struct moot_outbox *outbox, enum moot_effect_kind kind)
{
    return add(&outbox->list->late, kind);
}

void moot_outbox_reply(struct moot_outbox *outbox, moot_connection_id connection,
                       struct moot_slice bytes)
{
    struct moot_effect *effect = add(&outbox->list->replies, MOOT_EFFECT_REPLY);
    effect->client.connection = connection;
    effect->client.bytes = moot_arena_copy(&outbox->arena, bytes);
}

void moot_outbox_log(struct moot_outbox *outbox, enum moot_log_level level, struct moot_slice text)
{
    struct moot_effect *effect = add(&outbox->list->late, MOOT_EFFECT_LOG);
    effect->log.level = level;
    effect->log.text = moot_arena_copy(&outbox->arena, text);
}

/* The blocks of a held send must outlive the turn's effects: copied into the arena, then released.
 * Held sends are votes and acknowledgements: small. */
static void emit_held(struct moot_outbox *outbox, struct held_send *send)
{
    struct moot_part *parts =
        moot_arena_alloc(&outbox->arena, sizeof(*parts) * (send->part_count + 1));
    parts[0] =
        (struct moot_part){moot_arena_copy(&outbox->arena, moot_block_slice(send->head)), NULL};
    for (uint32_t i = 0; i < send->part_count; i++) {
        parts[i + 1] = (struct moot_part){
            moot_arena_copy(&outbox->arena, moot_block_slice(send->parts[i])), NULL};
    }
    struct moot_effect *effect = add(&outbox->list->sends, MOOT_EFFECT_SEND);
    effect->send.node = send->node;
    effect->send.urgent = send->urgent;
    effect->send.after = outbox->durable_batch;
    effect->send.parts = parts;
    effect->send.part_count = send->part_count + 1;
    release_held(send);
}

void moot_outbox_durable(struct moot_outbox *outbox, moot_ticket ticket)
{
    struct moot_effect_list *list = outbox->list;
    MOOT_ASSERT(list->flight_count > 0);
    MOOT_ASSERT(list->flights[0].ticket == ticket); /* The driver writes in order. */
    struct journal_flight done = list->flights[0];
    memmove(&list->flights[0], &list->flights[1],
            sizeof(list->flights[0]) * (MOOT_OUTBOX_JOURNAL_IN_FLIGHT - 1));
    list->flights[MOOT_OUTBOX_JOURNAL_IN_FLIGHT - 1] = done; /* Its buffer is used again. */
    list->flight_count--;
    outbox->durable = done.last_record;
    outbox->durable_batch = ticket;
    size_t released = 0;
    while (released < list->held_count && list->held[released].after <= outbox->durable) {
        emit_held(outbox, &list->held[released++]);
    }
    list->held_count -= released;
    if (list->held_count > 0) {
        memmove(list->held, list->held + released, sizeof(*list->held) * list->held_count);
    }
}

bool moot_outbox_is_waiting(const struct moot_outbox *outbox)
{
    return outbox->list->record_count > 0;
}

bool moot_outbox_in_flight(const struct moot_outbox *outbox)
{
    return outbox->list->flight_count > 0;
}

moot_index moot_outbox_first_waiting(const struct moot_outbox *outbox, moot_group_id group)
{
    const struct moot_effect_list *list = outbox->list;
    moot_index first = UINT64_MAX;
    for (size_t i = 0; i < list->record_count; i++) {
        const struct moot_record *record = &list->records[i].record;
        if (record->group == group && record->kind == MOOT_RECORD_SNAPSHOT) {
            return 0;
        }
        if (record->group == group && record->kind == MOOT_RECORD_ENTRY) {
            first = moot_min_u64(first, record->index);
        }
    }
    return first;
}

/* How many of the waiting records fit one batch. */
static size_t batch_records(const struct moot_outbox *outbox)
{
    const struct moot_effect_list *list = outbox->list;
    size_t most = outbox->batch_bytes_max != 0 ? outbox->batch_bytes_max
                                               : (size_t)MOOT_JOURNAL_BATCH_BYTES_MAX / 2;
    size_t count = 0, bytes = 0;
    while (count < list->record_count) {
        bytes += list->records[count].record.bytes.size + 64; /* 64: more than a record's header. */
        if (count > 0 && bytes > most) {
            break;
        }
        count++;
    }
    return count;
}

void moot_outbox_repeat(struct moot_outbox *outbox, const struct moot_record *record)
{
    MOOT_ASSERT(record->kind == MOOT_RECORD_HARD_STATE);
    MOOT_ASSERT(record->group < MOOT_GROUPS_MAX);
    outbox->hard[record->group].record = *record;
    outbox->hard[record->group].record.bytes = (struct moot_slice){NULL, 0};
    outbox->hard[record->group].repeats = true;
}

static size_t repeat_hard(const struct moot_outbox *outbox, struct moot_record *out)
{
    size_t count = 0;
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        bool is_safe = false; /* One copy. */
        if (outbox->hard[id].repeats && !MOOT_RULE(journal_hard_state_twice, is_safe)) {
            out[count++] = outbox->hard[id].record;
        }
    }
    return count;
}

/* The batch is laid out, with what was to be repeated. */
static void note_hard(struct moot_outbox *outbox, size_t count, bool carries)
{
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        outbox->hard[id].repeats = carries && outbox->hard[id].record.kind != 0;
    }
    for (size_t i = 0; i < count; i++) {
        const struct moot_record *record = &outbox->list->records[i].record;
        if (record->kind == MOOT_RECORD_HARD_STATE) {
            moot_outbox_repeat(outbox, record);
        }
    }
}

/* With the batch that ends with this record. */
static void say_whole(const struct moot_outbox *outbox, struct moot_journal *journal,
                      uint64_t record)
{
    uint32_t groups = 0;
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX && id < MOOT_JOURNAL_WHOLE_MAX; id++) {
        groups |= (uint32_t)(outbox->whole_from[id] <= record) << id;
    }
    moot_journal_whole(journal, groups);
}

/* One batch: hard states to repeat, `again`, and then the first `count` of the waiting records. */
static int lay_out_records(struct moot_outbox *outbox, struct moot_journal *journal,
                           struct moot_slice again, size_t count)
{
    struct moot_effect_list *list = outbox->list;
    size_t before = MOOT_GROUPS_MAX + again.size / sizeof(*list->plain);
    if (list->plain_capacity < before + count) {
        list->plain_capacity = (before + count) * 2;
        list->plain = moot_realloc(list->plain, sizeof(*list->plain) * list->plain_capacity);
    }
    before = repeat_hard(outbox, list->plain);
    if (again.size > 0) {
        memcpy(list->plain + before, again.data, again.size);
        before += again.size / sizeof(*list->plain);
    }
    for (size_t i = 0; i < count; i++) {
        list->plain[before + i] = list->records[i].record;
    }
    say_whole(outbox, journal, outbox->recorded - (list->record_count - count));
    struct journal_flight *flight = &list->flights[list->flight_count];
    moot_buffer_reset(&flight->bytes, 4 * 1024 * 1024);
    struct moot_journal_write where;
    int status = moot_journal_layout(journal, list->plain, before + count, outbox->durable_batch,
                                     &flight->bytes, &where);
    if (status != 0) {
        return status;
    }
    note_hard(outbox, count, where.carries);
    flight->ticket = where.batch;
    flight->last_record = outbox->recorded - (list->record_count - count);
    list->flight_count++;
    outbox->journal_bytes += flight->bytes.size;
    for (size_t i = 0; i < count; i++) {
        moot_block_release(list->records[i].owner);
    }
    list->record_count -= count;
    if (list->record_count > 0) { /* Else the array may not be there: an idle mark came first. */
        memmove(list->records, list->records + count, sizeof(*list->records) * list->record_count);
    }
    struct moot_effect *effect = add(&list->all, MOOT_EFFECT_JOURNAL);
    effect->ticket = where.batch;
    effect->journal.where = where;
    effect->journal.bytes = moot_buffer_slice(&flight->bytes);
    effect->journal.answers_wait = list->held_count > 0;
    return 0;
}

/* The journal is full. What keeps its oldest segment is written again, and with it what waits; or
 * alone, when that would be too much for one batch. */
static int lay_out_again(struct moot_outbox *outbox, struct moot_journal *journal, size_t count)
{
    const struct moot_record *records;
    size_t before = outbox->restate.records(outbox->restate.context, &records);
    if (before == 0) {
        return MOOT_FAIL(MOOT_ENOSPACE); /* A flush frees it, or a batch in flight. */
    }
    struct moot_slice again = moot_slice_make((const uint8_t *)records, before * sizeof(*records));
    int status = lay_out_records(outbox, journal, again, count);
    if (status != 0) {
        status = lay_out_records(outbox, journal, again, 0);
    }
    MOOT_SOMETIMES(status == 0, "entries were carried forward in a full journal");
    return status == MOOT_ELIMIT ? MOOT_FAIL(MOOT_ENOSPACE) : status;
}

static int lay_out(struct moot_outbox *outbox, struct moot_journal *journal, bool idle_mark)
{
    struct moot_effect_list *list = outbox->list;
    bool wanted = list->record_count > 0 || (idle_mark && list->flight_count == 0);
    if (!wanted || list->flight_count == MOOT_OUTBOX_JOURNAL_IN_FLIGHT) {
        return 0;
    }
    size_t count = batch_records(outbox);
    int status = lay_out_records(outbox, journal, (struct moot_slice){NULL, 0}, count);
    bool is_full = status == MOOT_ENOSPACE && outbox->restate.records != NULL;
    return is_full ? lay_out_again(outbox, journal, count) : status;
}

static void join(struct effect_array *all, const struct effect_array *part)
{
    if (part->count > 0) {
        reserve(all, part->count);
        memcpy(all->items + all->count, part->items, sizeof(*part->items) * part->count);
        all->count += part->count;
    }
}

int moot_outbox_finish(struct moot_outbox *outbox, struct moot_journal *journal, bool idle_mark,
                       struct moot_effects *out)
{
    struct moot_effect_list *list = outbox->list;
    int status = lay_out(outbox, journal, idle_mark);
    join(&list->all, &list->sends);
    join(&list->all, &list->replies);
    if (outbox->batch.count > 0) {
        add(&list->all, MOOT_EFFECT_STORE_WRITE)->batch = &outbox->batch;
    }
    join(&list->all, &list->late);
    out->items = list->all.items;
    out->count = list->all.count;
    return status;
}
