#include "database/edge/stream.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/rule.h"
#include "database/group/entry.h"

static void begin_building(struct moot_submission *building, enum moot_submit_kind kind)
{
    building->kind = kind;
    building->ref_count = 0;
    moot_buffer_reset(&building->items, MOOT_BATCH_BYTES_MAX * 2);
    moot_buffer_reserve(&building->items, MOOT_ENTRY_HEADER_BYTES);
    memset(building->items.data, 0, MOOT_ENTRY_HEADER_BYTES);
    building->items.size = MOOT_ENTRY_HEADER_BYTES;
}

void moot_stream_edge_init(struct moot_stream_edge *stream, moot_group_id group,
                           uint64_t incarnation)
{
    *stream = (struct moot_stream_edge){.group = group,
                                        .incarnation = incarnation,
                                        .queue_bytes_max = MOOT_EDGE_QUEUE_BYTES_MAX,
                                        .next_write = 1,
                                        .next_read = 1,
                                        .generation = 1,
                                        .read_generation = 1,
                                        .company_until = MOOT_NEVER,
                                        .broken = true};
    begin_building(&stream->writes, MOOT_SUBMIT_WRITES);
    begin_building(&stream->reads, MOOT_SUBMIT_READS);
}

static void release(struct moot_submission *submission)
{
    moot_block_release(submission->block);
    moot_block_release(submission->kept);
    moot_free(submission->refs);
    moot_buffer_deinit(&submission->items);
}

void moot_stream_edge_deinit(struct moot_stream_edge *stream)
{
    for (size_t i = 0; i < stream->sent_count; i++) {
        release(&stream->sent[i]);
    }
    moot_free(stream->sent);
    release(&stream->writes);
    release(&stream->reads);
}

bool moot_stream_edge_admits(const struct moot_stream_edge *stream, size_t bytes)
{
    return stream->queued_commands < MOOT_EDGE_QUEUE_COMMANDS_MAX &&
           stream->queued_bytes + bytes <= stream->queue_bytes_max;
}

static void add_ref(struct moot_submission *building, struct moot_ref ref, struct moot_instant now)
{
    if (building->ref_count == 0) {
        building->since = now;
    }
    if (building->ref_count == building->ref_capacity) {
        building->ref_capacity = building->ref_capacity == 0 ? 16 : building->ref_capacity * 2;
        building->refs = moot_realloc(building->refs, sizeof(ref) * building->ref_capacity);
    }
    building->refs[building->ref_count++] = ref;
}

struct moot_buffer *moot_stream_edge_add(struct moot_stream_edge *stream, bool is_write,
                                         struct moot_ref ref, struct moot_instant now)
{
    struct moot_submission *building = is_write ? &stream->writes : &stream->reads;
    add_ref(building, ref, now);
    return &building->items;
}

bool moot_stream_edge_move_reads(struct moot_stream_edge *stream, uint32_t ref, size_t from)
{
    struct moot_submission *reads = &stream->reads, *writes = &stream->writes;
    MOOT_ASSERT(ref < reads->ref_count);
    MOOT_ASSERT(from >= MOOT_ENTRY_HEADER_BYTES && from < reads->items.size);
    uint32_t count = reads->ref_count - ref;
    size_t bytes = reads->items.size - from;
    if (writes->items.size + bytes >= MOOT_BATCH_BYTES_MAX ||
        writes->ref_count + count >= MOOT_BATCH_COMMANDS_MAX) {
        return false;
    }
    struct moot_reader items =
        moot_reader_make((struct moot_slice){reads->items.data + from, bytes});
    struct moot_item item;
    for (uint32_t i = ref; i < reads->ref_count; i++) {
        reads->items.data[reads->items.size - moot_reader_left(&items)] |= MOOT_ITEM_CHAINED;
        bool good = moot_item_next(&items, &item);
        MOOT_ASSERT(good);
        reads->refs[i].is_placed_read = false;
        reads->refs[i].is_chained = true;
        add_ref(writes, reads->refs[i], reads->since);
    }
    moot_buffer_append(&writes->items, reads->items.data + from, bytes);
    reads->items.size = from;
    reads->ref_count = ref;
    return true;
}

/* Closing puts a batch behind those that were closed before. It gets its number when it is first
 * sent: until then it can be dropped, and is surely not done. */
static void close_building(struct moot_stream_edge *stream, struct moot_submission *building)
{
    MOOT_ASSERT(building->ref_count > 0);
    if (stream->sent_count == stream->sent_capacity) {
        stream->sent_capacity = stream->sent_capacity == 0 ? 16 : stream->sent_capacity * 2;
        stream->sent = moot_realloc(stream->sent, sizeof(*stream->sent) * stream->sent_capacity);
    }
    struct moot_submission *closed = &stream->sent[stream->sent_count++];
    *closed =
        (struct moot_submission){.kind = building->kind,
                                 .block = moot_block_copy(moot_buffer_slice(&building->items)),
                                 .refs = building->refs,
                                 .ref_count = building->ref_count,
                                 .since = building->since};
    building->refs = NULL;
    building->ref_capacity = 0;
    stream->generation += closed->kind == MOOT_SUBMIT_WRITES;
    stream->read_generation += closed->kind == MOOT_SUBMIT_READS;
    begin_building(building, closed->kind);
}

static bool is_full(const struct moot_submission *building)
{
    return building->items.size >= MOOT_BATCH_BYTES_MAX ||
           building->ref_count >= MOOT_BATCH_COMMANDS_MAX;
}

/* A batch is closed when it is full, also while there is no leader: it must fit one entry. Reads of
 * a connection that came before its writes stay before them. */
void moot_stream_edge_added(struct moot_stream_edge *stream, size_t bytes)
{
    stream->queued_bytes += bytes;
    stream->queued_commands++;
    bool writes_full = is_full(&stream->writes);
    if (stream->reads.ref_count > 0 && (writes_full || is_full(&stream->reads))) {
        close_building(stream, &stream->reads);
    }
    if (writes_full) {
        close_building(stream, &stream->writes);
    }
}

void moot_stream_edge_leader(struct moot_stream_edge *stream, moot_node_id leader, moot_term term)
{
    if (stream->leader != leader || stream->term != term) {
        stream->leader = leader;
        stream->term = term;
        stream->broken = true;
        stream->not_before = (struct moot_instant){0};
        stream->silences = 0;
    }
}

void moot_stream_edge_heard(struct moot_stream_edge *stream, struct moot_instant now)
{
    stream->heard = now;
    stream->silences = 0;
}

void moot_stream_edge_moved(struct moot_stream_edge *stream, struct moot_instant now)
{
    MOOT_SOMETIMES(true, "an answer came in parts");
    stream->moved = stream->broken ? stream->moved : now;
}

void moot_stream_edge_break(struct moot_stream_edge *stream, struct moot_instant not_before)
{
    /* The rest of a refused session is refused as a gap: that must not shorten the first wait. */
    bool waits = stream->broken && moot_instant_before(not_before, stream->not_before);
    stream->not_before = waits ? stream->not_before : not_before;
    stream->broken = true;
}

static void send(struct moot_stream_edge *stream, struct moot_outbox *outbox,
                 struct moot_submission *submission)
{
    struct moot_message message = {.kind = MOOT_MESSAGE_SUBMIT, .group = stream->group};
    message.submit =
        (struct moot_submit){.kind = submission->kind,
                             .incarnation = stream->incarnation,
                             .epoch = stream->epoch,
                             .sequence = stream->sequence++,
                             .number = submission->number,
                             .items = {submission->block->data + MOOT_ENTRY_HEADER_BYTES,
                                       submission->block->size - MOOT_ENTRY_HEADER_BYTES}};
    stream->resent += submission->epoch != 0;
    if (submission->is_long) { /* Whoever leads now has to say so again. */
        submission->is_long = false;
        submission->since = stream->heard; /* The session's start. */
    }
    submission->epoch = stream->epoch;
    struct moot_post post = {.to = stream->leader, .message = &message, .owner = submission->block};
    moot_outbox_post(outbox, &post);
}

static bool begin_session(struct moot_stream_edge *stream, struct moot_instant now)
{
    if (!stream->broken) {
        return false;
    }
    stream->broken = false;
    stream->epoch++;
    stream->sequence = 0;
    stream->heard = now;
    stream->moved = (struct moot_instant){0};        /* What comes now was asked for before. */
    stream->waiters_answered = stream->waiters_sent; /* They will be registered anew. */
    stream->sessions++;
    return true;
}

void moot_stream_edge_answered(struct moot_stream_edge *stream, uint32_t writes,
                               struct moot_instant now)
{
    bool together = stream->answered_at.ns == now.ns;
    stream->answered = together ? stream->answered + writes : writes;
    stream->answered_at = now;
}

/* It is small, fewer than three quarters of those just answered have asked again, and it is early.
 */
static bool waits_for_company(struct moot_stream_edge *stream, struct moot_instant now)
{
    uint64_t enough = moot_min_u64(stream->answered * 3 / 4, MOOT_EDGE_COMPANY);
    struct moot_instant until =
        moot_instant_add(stream->answered_at, moot_ms(MOOT_EDGE_COMPANY_MS));
    bool waits = stream->writes.ref_count > 0 && stream->writes.ref_count < enough &&
                 moot_instant_before(now, until);
    stream->company_until = waits ? until : MOOT_NEVER;
    return waits;
}

/* Batches under construction go out when there is room; reads before writes: see moot_edge's rule
 * of order. */
static void close_what_may_go(struct moot_stream_edge *stream, struct moot_instant now)
{
    bool waits = waits_for_company(stream, now);
    if (stream->sent_count > stream->numbered) {
        return; /* Full ones wait already. */
    }
    if (stream->reads.ref_count > 0 && stream->reads_in_flight < MOOT_EDGE_READS_MAX) {
        close_building(stream, &stream->reads);
    }
    bool may = !waits && stream->writes_in_flight < MOOT_EDGE_BATCHES_MAX;
    /* Reads of a connection that came before its writes must leave before them. */
    if (stream->writes.ref_count > 0 && may && stream->reads.ref_count == 0) {
        close_building(stream, &stream->writes);
    }
}

/* A batch that leaves for the first time; false when too many are under way. */
static bool take_number(struct moot_stream_edge *stream, struct moot_submission *submission)
{
    if (submission->kind == MOOT_SUBMIT_WRITES) {
        if (stream->writes_in_flight >= MOOT_EDGE_BATCHES_MAX) {
            return false;
        }
        submission->number = stream->next_write++;
        stream->writes_in_flight++;
    } else {
        if (stream->reads_in_flight >= MOOT_EDGE_READS_MAX) {
            return false;
        }
        submission->number = stream->next_read++;
        stream->reads_in_flight++;
    }
    stream->numbered++;
    return true;
}

static void send_what_may_go(struct moot_stream_edge *stream, struct moot_outbox *outbox)
{
    for (size_t i = 0; i < stream->sent_count; i++) {
        struct moot_submission *submission = &stream->sent[i];
        if (submission->epoch == stream->epoch) {
            continue;
        }
        MOOT_ASSERT((submission->number == 0) == (i >= stream->numbered));
        if (submission->number == 0 && !take_number(stream, submission)) {
            return;
        }
        send(stream, outbox, submission);
    }
}

static bool awaits_answer(const struct moot_stream_edge *stream)
{
    return stream->sent_count > 0 || stream->waiters_answered < stream->waiters_sent;
}

static struct moot_instant later(struct moot_instant a, struct moot_instant b)
{
    return moot_instant_before(a, b) ? b : a;
}

/* What a slow link needs for it, beside the time that everything gets. */
static uint64_t carry_ms(uint64_t bytes) { return bytes / MOOT_EDGE_SLOW_BYTES_A_MS; }

/* Until when what has come in part is waited for. */
static struct moot_instant stalls_at(const struct moot_stream_edge *stream)
{
    bool moves = stream->moved.ns != 0;
    return moves ? moot_instant_add(stream->moved, moot_ms(MOOT_EDGE_STALL_MS)) : stream->moved;
}

/* When a leader that has answered nothing is silent, and is asked everything again. That puts the
 * same load on it and on the link once more: so it is not done while what was asked, or what is
 * answered, is still on its way. */
static struct moot_instant patience_ends(const struct moot_stream_edge *stream)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < stream->numbered; i++) {
        bytes += stream->sent[i].block->size;
    }
    uint64_t silence = MOOT_EDGE_SILENCE_MS << moot_min_u64(stream->silences, MOOT_EDGE_SILENCES);
    uint64_t limit = moot_min_u64(silence + carry_ms(bytes), MOOT_REQUEST_TIMEOUT_MS);
    return later(moot_instant_add(stream->heard, moot_ms(limit)), stalls_at(stream));
}

bool moot_stream_edge_flush(struct moot_stream_edge *stream, struct moot_outbox *outbox,
                            struct moot_instant now)
{
    stream->company_until = MOOT_NEVER;
    if (stream->leader == 0 || moot_instant_before(now, stream->not_before)) {
        return false;
    }
    if (awaits_answer(stream) && !moot_instant_before(now, patience_ends(stream))) {
        MOOT_SOMETIMES(true, "a silent leader was sent everything again");
        stream->broken = true;
        stream->silences++;
    }
    bool renewed = begin_session(stream, now);
    if (!awaits_answer(stream)) {
        stream->heard = now;
    }
    send_what_may_go(stream, outbox);
    close_what_may_go(stream, now);
    send_what_may_go(stream, outbox);
    return renewed;
}

bool moot_stream_edge_send_waiters(struct moot_stream_edge *stream, struct moot_outbox *outbox,
                                   struct moot_slice wishes)
{
    if (stream->leader == 0 || stream->broken) {
        return false;
    }
    struct moot_message message = {.kind = MOOT_MESSAGE_SUBMIT, .group = stream->group};
    message.submit = (struct moot_submit){.kind = MOOT_SUBMIT_WAITERS,
                                          .incarnation = stream->incarnation,
                                          .epoch = stream->epoch,
                                          .sequence = stream->sequence++,
                                          .number = ++stream->waiters_sent,
                                          .items = wishes};
    struct moot_block *block = moot_block_copy(wishes);
    message.submit.items = moot_block_slice(block);
    struct moot_post post = {.to = stream->leader, .message = &message, .owner = block};
    moot_outbox_post(outbox, &post);
    moot_block_release(block);
    return true;
}

void moot_stream_edge_waiters_answered(struct moot_stream_edge *stream, uint64_t number)
{
    if (number <= stream->waiters_sent) {
        stream->waiters_answered = moot_max_u64(stream->waiters_answered, number);
    }
}

struct moot_submission *moot_stream_edge_find(struct moot_stream_edge *stream,
                                              enum moot_submit_kind kind, uint64_t number)
{
    for (size_t i = 0; i < stream->sent_count; i++) {
        if (stream->sent[i].number != 0 && stream->sent[i].kind == kind &&
            stream->sent[i].number == number) {
            return &stream->sent[i];
        }
    }
    return NULL;
}

void moot_stream_edge_remove(struct moot_stream_edge *stream, struct moot_submission *submission)
{
    size_t at = (size_t)(submission - stream->sent);
    MOOT_ASSERT(at < stream->sent_count);
    if (submission->number != 0) {
        stream->numbered--;
        stream->writes_in_flight -= submission->kind == MOOT_SUBMIT_WRITES;
        stream->reads_in_flight -= submission->kind == MOOT_SUBMIT_READS;
    }
    stream->queued_bytes -= submission->block->size - MOOT_ENTRY_HEADER_BYTES;
    stream->queued_commands -= submission->ref_count;
    release(submission);
    stream->sent_count--;
    memmove(submission, submission + 1, sizeof(*submission) * (stream->sent_count - at));
}

void moot_stream_edge_shorten(struct moot_stream_edge *stream, struct moot_submission *submission)
{
    MOOT_ASSERT(submission->kind == MOOT_SUBMIT_READS && submission->number != 0);
    struct moot_block *whole = submission->block;
    struct moot_slice items = {whole->data + MOOT_ENTRY_HEADER_BYTES,
                               whole->size - MOOT_ENTRY_HEADER_BYTES};
    struct moot_reader reader = moot_reader_make(items);
    struct moot_buffer left;
    struct moot_item item;
    uint32_t kept = 0;
    moot_buffer_init(&left);
    memset(moot_buffer_reserve(&left, MOOT_ENTRY_HEADER_BYTES), 0, MOOT_ENTRY_HEADER_BYTES);
    left.size = MOOT_ENTRY_HEADER_BYTES;
    for (uint32_t i = 0; i < submission->ref_count; i++) {
        size_t from = items.size - moot_reader_left(&reader);
        bool good = moot_item_next(&reader, &item);
        MOOT_ASSERT(good);
        if (submission->refs[i].kind != MOOT_REF_NONE) {
            size_t to = items.size - moot_reader_left(&reader);
            moot_buffer_append(&left, items.data + from, to - from);
            submission->refs[kept++] = submission->refs[i];
        }
    }
    MOOT_ASSERT(kept > 0);
    stream->queued_bytes -= whole->size - left.size;
    stream->queued_commands -= submission->ref_count - kept;
    submission->ref_count = kept;
    moot_block_release(submission->kept);
    submission->kept = NULL;
    submission->number = stream->next_read++;
    submission->block = moot_block_copy(moot_buffer_slice(&left));
    moot_buffer_deinit(&left);
    moot_block_release(whole);
}

void moot_stream_edge_drop_building(struct moot_submission *building,
                                    struct moot_stream_edge *stream)
{
    stream->queued_bytes -= building->items.size - MOOT_ENTRY_HEADER_BYTES;
    stream->queued_commands -= building->ref_count;
    stream->generation += building->kind == MOOT_SUBMIT_WRITES;
    stream->read_generation += building->kind == MOOT_SUBMIT_READS;
    begin_building(building, building->kind);
}

struct moot_instant moot_stream_edge_over(const struct moot_stream_edge *stream,
                                          const struct moot_submission *submission)
{
    uint64_t size = submission->block->size;
    uint64_t limit_ms =
        submission->is_long ? MOOT_LONG_READ_MS : MOOT_REQUEST_TIMEOUT_MS + carry_ms(size);
    struct moot_instant over = moot_instant_add(submission->since, moot_ms(limit_ms));
    struct moot_instant most = moot_instant_add(submission->since, moot_ms(MOOT_LONG_READ_MS));
    return submission->number == 0 ? over : later(over, moot_instant_min(stalls_at(stream), most));
}

struct moot_instant moot_stream_edge_deadline(const struct moot_stream_edge *stream)
{
    struct moot_duration limit = moot_ms(MOOT_REQUEST_TIMEOUT_MS);
    struct moot_instant deadline = MOOT_NEVER;
    if (stream->writes.ref_count > 0) {
        deadline = moot_instant_add(stream->writes.since, limit);
        deadline = moot_instant_min(deadline, stream->company_until);
    }
    if (stream->reads.ref_count > 0) {
        deadline = moot_instant_min(deadline, moot_instant_add(stream->reads.since, limit));
    }
    for (size_t i = 0; i < stream->sent_count; i++) {
        if (!stream->sent[i].given_up) {
            deadline = moot_instant_min(deadline, moot_stream_edge_over(stream, &stream->sent[i]));
        }
    }
    bool waits =
        awaits_answer(stream) || stream->writes.ref_count > 0 || stream->reads.ref_count > 0;
    if (stream->leader != 0 && waits) {
        struct moot_instant again = stream->broken ? stream->not_before : patience_ends(stream);
        deadline = moot_instant_min(deadline, later(again, stream->not_before));
    }
    return deadline;
}
