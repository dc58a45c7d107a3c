/* Sending the state machine to a follower that the log no longer reaches, and installing it.
 *
 * Sending: the store is pinned at the end of a turn, exactly at the applied index, and read chunk
 * by chunk on a worker; one chunk is in flight, so that a slow receiver slows the reader. A chunk
 * that is not acknowledged is sent again. Installing: chunks go into files beside the store; one
 * atomic step replaces the group's ranges; only then does the core hear of it (paper section 7).
 * While it is under way the group executes nothing. */
#include "base/assert.h"
#include "base/status.h"
#include "database/group/entry.h"
#include "database/group/group.h"
#include "storage/snapshot.h"

/* What belongs to a group: its records, and the data, expiry index and counts of its keyspaces. */
uint32_t group__ranges(struct moot_arena *arena, moot_group_id id, struct moot_range out[4])
{
    uint8_t prefix[5] = {MOOT_KEY_GROUP, 0, 0, 0, (uint8_t)id};
    out[0] = moot_key_prefix_range(arena, moot_slice_make(prefix, sizeof(prefix)));
    out[0].from = moot_arena_copy(arena, out[0].from);
    out[0].to = moot_arena_copy(arena, out[0].to);
    if (id == MOOT_GROUP_SYSTEM) {
        return 1;
    }
    out[1] = moot_key_kind_range(arena, MOOT_KEY_DATA);
    out[2] = moot_key_kind_range(arena, MOOT_KEY_EXPIRY);
    out[3] = moot_key_kind_range(arena, MOOT_KEY_KEYSPACE);
    return 4;
}

/* ---- sending ---- */

void group__snapshot_needed(struct moot_group *group, moot_node_id node)
{
    if (group->send.node == node) {
        return;
    }
    for (uint32_t i = 0; i < group->snapshot_wanted_count; i++) {
        if (group->snapshot_wanted[i] == node) {
            return;
        }
    }
    if (group->snapshot_wanted_count < MOOT_QUORUM_VOTERS_MAX) {
        group->snapshot_wanted[group->snapshot_wanted_count++] = node;
    }
}

static void stop_sending(struct moot_group *group)
{
    struct moot_snapshot_send *send = &group->send;
    if (send->is_pinned) {
        moot_outbox_effect(group->context->outbox, MOOT_EFFECT_UNPIN)->ticket = send->pin;
    }
    send->node = 0;
    send->is_pinned = send->read_in_flight = false;
    moot_buffer_reset(&send->chunk, 0);
    moot_buffer_reset(&send->resume, 0);
}

void group__snapshot_stop(struct moot_group *group)
{
    if (group->send.node != 0) {
        stop_sending(group);
    }
    group->snapshot_wanted_count = 0;
}

static void read_next(struct moot_group *group)
{
    struct moot_snapshot_send *send = &group->send;
    struct moot_arena *arena = &group->context->outbox->arena;
    struct moot_range ranges[4];
    uint32_t count = group__ranges(arena, group->id, ranges);
    MOOT_ASSERT(send->range < count);
    struct moot_effect *effect = moot_outbox_effect(group->context->outbox, MOOT_EFFECT_PIN_READ);
    effect->ticket = send->read = ++group->context->next_ticket;
    effect->pin_read.pin = send->pin;
    effect->pin_read.range = ranges[send->range];
    if (send->resume.size > 0) {
        effect->pin_read.range.from = moot_arena_copy(arena, moot_buffer_slice(&send->resume));
    }
    effect->pin_read.bytes_max = MOOT_SNAPSHOT_CHUNK_BYTES;
    send->read_in_flight = true;
}

/* One that is not there would only keep others waiting. */
static bool is_active(const struct moot_group *group, moot_node_id node)
{
    struct moot_raft_progress progress;
    return moot_raft_progress(group->raft, node, &progress) && progress.active;
}

/* Runs after this turn's store batch is in the outbox: the pin is exactly at group->applied. */
static void begin_sending(struct moot_group *group)
{
    struct moot_snapshot_send *send = &group->send;
    moot_node_id node = group->snapshot_wanted[0]; /* First come, first served: nobody starves. */
    memmove(group->snapshot_wanted, group->snapshot_wanted + 1,
            sizeof(group->snapshot_wanted[0]) * --group->snapshot_wanted_count);
    struct moot_raft_progress progress;
    if (moot_raft_progress(group->raft, node, &progress) && !progress.wants_snapshot) {
        MOOT_SOMETIMES(true, "a follower that waited for a snapshot caught up without it");
        return;
    }
    struct moot_message message = {.kind = MOOT_MESSAGE_RAFT, .group = group->id};
    int status = moot_raft_snapshot_message(group->raft, node, group->applied, group->applied_term,
                                            &group->applied_members, &message.raft.message);
    if (status != 0 || group->applied == 0 || !is_active(group, node)) {
        struct moot_raft_event failed = {.kind = MOOT_RAFT_EVENT_SNAPSHOT_FAILED};
        failed.node = node;
        status = group__step(group, &failed);
        (void)status; /* It is no member any more. */
        return;
    }
    send->node = node;
    send->pin = ++group->context->next_ticket;
    send->is_pinned = true;
    send->index = group->applied;
    send->term = group->applied_term;
    send->members = group->applied_members;
    send->session = message.raft.message.session;
    send->sequence = 0;
    send->range = 0;
    send->resends = 0;
    moot_buffer_reset(&send->resume, 0);
    moot_buffer_reset(&send->chunk, 0);
    moot_outbox_effect(group->context->outbox, MOOT_EFFECT_PIN)->ticket = send->pin;
    group__post(group, node, &message, NULL);
    read_next(group);
    group__log(group, MOOT_LOG_INFO, "sending a snapshot at index ", send->index, " to node ",
               node);
}

static void send_chunk(struct moot_group *group)
{
    struct moot_snapshot_send *send = &group->send;
    struct moot_message message = {.kind = MOOT_MESSAGE_SNAPSHOT_CHUNK, .group = group->id};
    message.chunk.index = send->index;
    message.chunk.term = send->term;
    message.chunk.session = send->session;
    message.chunk.sequence = send->sequence;
    message.chunk.last = send->chunk_is_last;
    message.chunk.chunk = moot_buffer_slice(&send->chunk);
    group__post(group, send->node, &message, NULL);
    send->sent_at = group->context->now.instant;
}

static void fail_sending(struct moot_group *group)
{
    moot_node_id node = group->send.node;
    stop_sending(group);
    if (group__leads(group)) {
        struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_SNAPSHOT_FAILED};
        event.node = node;
        int status = group__step(group, &event);
        (void)status; /* Removed meanwhile: nothing to retry. */
    }
}

void moot_group_chunk(struct moot_group *group, moot_ticket ticket, int status,
                      struct moot_slice bytes)
{
    struct moot_snapshot_send *send = &group->send;
    if (send->node == 0 || !send->read_in_flight || send->read != ticket) {
        return;
    }
    send->read_in_flight = false;
    bool at_end = false;
    if (status == 0) {
        moot_buffer_reset(&send->resume, 4096);
        status = moot_snapshot_resume(bytes, &send->resume, &at_end);
    }
    if (status != 0) {
        fail_sending(group);
        if (status == MOOT_ECORRUPT) {
            group__rot(group, "the store failed its checksum while a snapshot was read");
        }
        return;
    }
    struct moot_range ranges[4];
    uint32_t count = group__ranges(&group->arena, group->id, ranges);
    if (at_end) {
        send->range++;
        moot_buffer_reset(&send->resume, 4096);
    }
    send->chunk_is_last = send->range == count;
    moot_buffer_reset(&send->chunk, MOOT_SNAPSHOT_CHUNK_BYTES * 2);
    moot_buffer_append_slice(&send->chunk, bytes);
    send_chunk(group);
}

void group__snapshot_ack(struct moot_group *group, moot_node_id from,
                         const struct moot_message *message)
{
    struct moot_snapshot_send *send = &group->send;
    if (send->node != from || send->index != message->chunk_ack.index ||
        send->session != message->chunk_ack.session || send->read_in_flight) {
        return;
    }
    if (message->chunk_ack.status != 0) {
        fail_sending(group);
        return;
    }
    if (send->chunk.size == 0 || message->chunk_ack.sequence != send->sequence) {
        return; /* A duplicate. */
    }
    send->resends = 0;
    send->sequence++;
    moot_buffer_reset(&send->chunk, MOOT_SNAPSHOT_CHUNK_BYTES * 2);
    if (send->chunk_is_last) {
        /* The core hears of the end by SNAPSHOT_REPLY. If that is lost, nothing else would end its
         * waiting: let it probe, which finds out as well. */
        fail_sending(group);
        return;
    }
    read_next(group);
}

/* ---- installing ---- */

static void acknowledge(struct moot_group *group, uint64_t sequence, int status)
{
    struct moot_message message = {.kind = MOOT_MESSAGE_SNAPSHOT_ACK, .group = group->id};
    message.chunk_ack.index = group->install.index;
    message.chunk_ack.session = group->install.session;
    message.chunk_ack.sequence = sequence;
    message.chunk_ack.status = status;
    group__post(group, group->install.from, &message, NULL);
}

/* Who sends what is not expected would go on until it is out of patience, and others wait for their
 * turn meanwhile: it should look again at what is needed. */
static void refuse_chunk(struct moot_group *group, moot_node_id from,
                         const struct moot_message *chunk)
{
    struct moot_message message = {.kind = MOOT_MESSAGE_SNAPSHOT_ACK, .group = group->id};
    message.chunk_ack.index = chunk->chunk.index;
    message.chunk_ack.session = chunk->chunk.session;
    message.chunk_ack.sequence = chunk->chunk.sequence;
    message.chunk_ack.status = MOOT_EREFUSED;
    group__post(group, from, &message, NULL);
}

static struct moot_effect *ingest(struct moot_group *group, enum moot_ingest_step step)
{
    struct moot_effect *effect = moot_outbox_effect(group->context->outbox, MOOT_EFFECT_INGEST);
    effect->ticket = ++group->context->next_ticket;
    effect->ingest.step = step;
    return effect;
}

static void forget_install(struct moot_group *group)
{
    if (group->context->ingesting == group) {
        group->context->ingesting = NULL;
    }
    group->install = (struct moot_snapshot_install){0};
}

static void abort_install(struct moot_group *group)
{
    if (group->install.active && group->install.begun) {
        ingest(group, MOOT_INGEST_ABORT);
    }
    forget_install(group);
}

static bool is_overtaken(const struct moot_group *group)
{
    const struct moot_snapshot_install *install = &group->install;
    moot_term held;
    return install->index <= group->commit &&
           moot_raft_term_at(group->raft, install->index, &held) && held == install->term;
}

void group__snapshot_look(struct moot_group *group)
{
    struct moot_snapshot_install *install = &group->install;
    if (!install->active || install->committing) {
        return;
    }
    /* Whoever leads now offers its own, if one is needed; what the old leader still had to send may
     * never come. */
    bool another = group->leader != 0 && group->leader != install->from;
    bool overtaken = is_overtaken(group);
    MOOT_SOMETIMES(another, "a snapshot was given up because another leads");
    MOOT_SOMETIMES(overtaken, "a snapshot was given up because the log had come further");
    if (another || overtaken) {
        abort_install(group);
    }
}

void group__snapshot_offered(struct moot_group *group, moot_node_id from, moot_index index,
                             moot_term term, const struct moot_members *members, uint64_t session)
{
    struct moot_snapshot_install *install = &group->install;
    if (install->committing) {
        return; /* Too late to stop; the leader asks again. */
    }
    bool same = install->active && install->index == index && install->session == session &&
                install->from == from;
    if (same || index <= group->applied) {
        return;
    }
    abort_install(group);
    *install = (struct moot_snapshot_install){.active = true,
                                              .from = from,
                                              .index = index,
                                              .term = term,
                                              .members = *members,
                                              .session = session,
                                              .heard = group->context->now.instant};
    group__log(group, MOOT_LOG_INFO, "installing a snapshot at index ", index, " from node ", from);
    MOOT_SOMETIMES(true, "a snapshot was offered and accepted");
}

void group__snapshot_chunk(struct moot_group *group, moot_node_id from,
                           const struct moot_message *message)
{
    struct moot_snapshot_install *install = &group->install;
    bool ours = install->active && install->from == from &&
                install->index == message->chunk.index &&
                install->session == message->chunk.session;
    if (!install->active) {
        MOOT_SOMETIMES(true, "a chunk of a snapshot that nobody expects was refused");
        refuse_chunk(group, from, message);
        return;
    }
    if (!ours || install->committing || install->step != 0) {
        return;
    }
    install->heard = group->context->now.instant;
    if (message->chunk.sequence < install->next_sequence) {
        acknowledge(group, message->chunk.sequence, 0);
        return;
    }
    struct moot_snapshot_reader reader;
    if (message->chunk.sequence > install->next_sequence ||
        moot_snapshot_read(&reader, message->chunk.chunk) != 0) {
        return; /* Damaged on the way, or out of order: it comes again. */
    }
    struct moot_arena *arena = &group->context->outbox->arena;
    if (!install->begun && group->context->ingesting != NULL) {
        MOOT_SOMETIMES(true, "a snapshot waited for that of another group");
        return; /* The chunk comes again. */
    }
    if (!install->begun) {
        struct moot_range *ranges = moot_arena_alloc(arena, sizeof(*ranges) * 4);
        uint32_t count = group__ranges(arena, group->id, ranges);
        struct moot_effect *begin = ingest(group, MOOT_INGEST_BEGIN);
        begin->ingest.ranges = ranges;
        begin->ingest.range_count = count;
        install->begun = true;
        group->context->ingesting = group;
    }
    struct moot_effect *add = ingest(group, MOOT_INGEST_ADD);
    add->ingest.chunk = moot_arena_copy(arena, message->chunk.chunk);
    install->step = add->ticket;
    install->step_sequence = message->chunk.sequence;
    install->step_is_last = message->chunk.last;
}

/* The store is the snapshot now: everything that was derived from the old contents is read again.
 */
static void installed(struct moot_group *group)
{
    struct moot_snapshot_install done = group->install;
    forget_install(group);
    moot_term held;
    bool suffix = moot_raft_term_at(group->raft, done.index, &held) && held == done.term;
    moot_view_reset(moot_engine_view(group->engine));
    moot_engine_reset(group->engine);
    int status = group__record_load(group, &done.members);
    if (status == MOOT_EVERSION) {
        group__fence(group, GROUP_UPGRADE_TEXT);
        return;
    }
    if (status != 0 || group->applied != done.index) {
        group__fence(group, "a snapshot was installed that is not what was offered");
        return;
    }
    group->stuck = false;
    group->dirty = false;
    group->flushed = done.index; /* An ingest is durable on return. */
    group->directory_changed = group->id == MOOT_GROUP_SYSTEM;
    group->commit = moot_max_u64(group->commit, done.index);
    moot_hlc_raise(&group->clock, group->applied_stamp);
    moot_ring_clear(&group->ring);
    moot_buffer_reset(&group->scratch, 4096);
    moot_members_encode(&done.members, &group->scratch);
    struct moot_record record = {.kind = MOOT_RECORD_SNAPSHOT,
                                 .group = group->id,
                                 .index = done.index,
                                 .term = done.term,
                                 .voids = !suffix,
                                 .bytes = moot_buffer_slice(&group->scratch)};
    moot_outbox_record(group->context->outbox, &record, NULL);
    struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_SNAPSHOT_INSTALLED};
    event.installed.index = done.index;
    event.installed.term = done.term;
    event.installed.members = done.members;
    status = group__step(group, &event);
    if (status != 0) {
        /* Meanwhile the log itself has come this far, and the core needs no snapshot any more. */
        MOOT_SOMETIMES(true, "a snapshot was overtaken by the log");
        MOOT_ASSERT(suffix);
    } else if (suffix) {
        moot_log_compact(&group->log, done.index);
    } else {
        moot_log_reset(&group->log, done.index);
    }
    group__log(group, MOOT_LOG_INFO, "installed a snapshot at index ", done.index, NULL, 0);
}

void moot_group_ingested(struct moot_group *group, moot_ticket ticket, int status)
{
    struct moot_snapshot_install *install = &group->install;
    if (!install->active || install->step != ticket) {
        return;
    }
    install->step = 0;
    if (status != 0) {
        acknowledge(group, install->step_sequence, status);
        abort_install(group);
        return;
    }
    if (install->committing) {
        moot_node_id from = install->from;
        uint64_t sequence = install->step_sequence;
        struct moot_snapshot_install kept = *install;
        installed(group);
        struct moot_message message = {.kind = MOOT_MESSAGE_SNAPSHOT_ACK, .group = group->id};
        message.chunk_ack.index = kept.index;
        message.chunk_ack.session = kept.session;
        message.chunk_ack.sequence = sequence;
        group__post(group, from, &message, NULL);
        return;
    }
    install->next_sequence = install->step_sequence + 1;
    if (!install->step_is_last) {
        acknowledge(group, install->step_sequence, 0);
        return;
    }
    if (is_overtaken(group)) {
        acknowledge(group, install->step_sequence, 0);
        abort_install(group);
        return;
    }
    struct moot_effect *commit = ingest(group, MOOT_INGEST_COMMIT);
    commit->ingest.extra = group__lost_again(group);
    install->step = commit->ticket;
    install->committing = true;
}

/* ---- time ---- */

void group__snapshot_tick(struct moot_group *group)
{
    struct moot_snapshot_send *send = &group->send;
    struct moot_instant now = group->context->now.instant;
    if (send->node != 0 && !send->read_in_flight && send->chunk.size > 0 &&
        !moot_instant_before(now,
                             moot_instant_add(send->sent_at, moot_ms(MOOT_SNAPSHOT_RESEND_MS)))) {
        MOOT_SOMETIMES(true, "a snapshot chunk was sent again");
        if (++send->resends > MOOT_SNAPSHOT_RESENDS_MAX || !is_active(group, send->node)) {
            fail_sending(group);
        } else {
            struct moot_message message = {.kind = MOOT_MESSAGE_RAFT, .group = group->id};
            if (moot_raft_snapshot_message(group->raft, send->node, send->index, send->term,
                                           &send->members, &message.raft.message) == 0) {
                group__post(group, send->node, &message,
                            NULL); /* The offer itself may have been lost. */
            }
            send_chunk(group);
        }
    }
    struct moot_snapshot_install *install = &group->install;
    if (install->active && !install->committing && install->step == 0 &&
        !moot_instant_before(now,
                             moot_instant_add(install->heard, moot_ms(MOOT_SNAPSHOT_SILENCE_MS)))) {
        abort_install(group);
    }
}

void moot_group_end_turn(struct moot_group *group)
{
    group__long_reads_pin(group);
    group->read_bytes = 0;
    if (group->send.node == 0 && group->snapshot_wanted_count > 0 && group__leads(group)) {
        begin_sending(group);
    }
}
