/* Events into the Raft core, and its effects out: into the log, the journal, messages, and the
 * group's own state. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"
#include "database/group/entry.h"
#include "database/group/group.h"
#include "database/system/directory.h"
#include "protocol/raft/trace.h"

/* What a step is about: the bytes of the entries being received. */
struct step {
    struct moot_group *group;
    const struct moot_raft_event *event;
    const struct moot_slice *bytes; /* RECEIVE of an APPEND */
};

static void persist_promise(struct moot_group *group, uint64_t record, moot_index index,
                            moot_term term)
{
    if (group->persisted_count == group->persisted_capacity) {
        group->persisted_capacity =
            group->persisted_capacity == 0 ? 64 : group->persisted_capacity * 2;
        group->persisted =
            moot_realloc(group->persisted, sizeof(*group->persisted) * group->persisted_capacity);
    }
    group->persisted[group->persisted_count++] = (struct moot_persisted){record, index, term};
}

static void on_hard_state(struct moot_group *group, const struct moot_raft_effect *effect)
{
    struct moot_record record = {.kind = MOOT_RECORD_HARD_STATE,
                                 .group = group->id,
                                 .term = effect->hard_state.term,
                                 .vote = effect->hard_state.vote};
    uint64_t number = moot_outbox_record(group->context->outbox, &record, NULL);
    persist_promise(group, number, 0, effect->hard_state.term);
}

/* Every entry of the log passes here, the leader's own and received ones. */
static uint64_t record_entry(struct moot_group *group, moot_index index)
{
    const struct moot_log_entry *entry = moot_log_at(&group->log, index);
    MOOT_ASSERT(entry != NULL);
    /* A stamp that is part of the log is a floor for ours, however wrong the clock that made it. */
    moot_hlc_raise(&group->clock, moot_load_le64(entry->block->data + 4));
    struct moot_record record = {.kind = MOOT_RECORD_ENTRY,
                                 .group = group->id,
                                 .index = index,
                                 .term = entry->term,
                                 .entry_kind = (uint8_t)entry->kind,
                                 .bytes = moot_block_slice(entry->block)};
    return moot_outbox_record(group->context->outbox, &record, entry->block);
}

static struct moot_block *own_entry(struct moot_group *group, const struct moot_raft_effect *effect)
{
    if (effect->appended.kind == MOOT_RAFT_ENTRY_DATA) {
        MOOT_ASSERT(group->submitting != NULL);
        struct moot_block *block = group->submitting;
        group->submitting = NULL;
        return block;
    }
    if (effect->appended.kind == MOOT_RAFT_ENTRY_MEMBERS) {
        moot_buffer_reset(&group->scratch, 4096);
        moot_members_encode(&effect->appended.members, &group->scratch);
        moot_directory_put_addresses(group->context->directory, &effect->appended.members,
                                     &group->scratch);
        return group__entry_block(group, MOOT_ENTRY_MEMBERS, moot_buffer_slice(&group->scratch));
    }
    return group__entry_block(group, MOOT_ENTRY_NOOP, (struct moot_slice){NULL, 0});
}

static void on_appended(const struct step *step, const struct moot_raft_effect *effect)
{
    struct moot_group *group = step->group;
    moot_index first = effect->appended.first, last = effect->appended.last;
    MOOT_ASSERT(first >= group->log.first);
    MOOT_ASSERT(first <= moot_log_last(&group->log) + 1);
    moot_log_truncate(&group->log, first);
    if (step->bytes == NULL) {
        MOOT_ASSERT(first == last);
        moot_log_append(&group->log, own_entry(group, effect), effect->appended.term,
                        effect->appended.kind);
    } else {
        const struct moot_raft_entry *entries = step->event->message->append.entries;
        for (moot_index index = first; index <= last; index++) {
            size_t at = effect->appended.offset + (index - first);
            MOOT_ASSERT(at < step->event->message->append.count);
            moot_log_append(&group->log, moot_block_copy(step->bytes[at]), entries[at].term,
                            entries[at].kind);
            group->addresses_came |= entries[at].kind == MOOT_RAFT_ENTRY_MEMBERS;
        }
    }
    uint64_t record = 0;
    for (moot_index index = first; index <= last; index++) {
        record = record_entry(group, index);
    }
    persist_promise(group, record, last, effect->appended.term);
}

void group__refilled(struct moot_group *group, moot_index first, moot_index last)
{
    MOOT_ASSERT(first == moot_log_last(&group->log) + 1);
    for (moot_index index = first; index <= last; index++) {
        const struct moot_kept_entry *kept = moot_holes_at(&group->holes, index);
        moot_log_append(&group->log, moot_block_retain(kept->block), kept->term, kept->kind);
        group->addresses_came |= kept->kind == MOOT_RAFT_ENTRY_MEMBERS;
    }
    uint64_t record = 0;
    for (moot_index index = first; index <= last; index++) {
        record = record_entry(group, index);
    }
    persist_promise(group, record, last, moot_holes_at(&group->holes, last)->term);
}

static void on_send(struct moot_group *group, const struct moot_raft_effect *effect)
{
    const struct moot_peer *to = moot_peers_look(group->context->peers, effect->message.to);
    if (effect->message.kind == MOOT_RAFT_APPEND && effect->message.append.count > 0 &&
        to != NULL && to->has_no_room) {
        return; /* It would drop them. The core tries again, as after a loss. */
    }
    struct moot_message message = {.kind = MOOT_MESSAGE_RAFT, .group = group->id};
    message.raft.message = effect->message;
    struct moot_post post = {.to = effect->message.to,
                             .message = &message,
                             .urgent = effect->urgent,
                             .after_durable = effect->after_durable};
    if (effect->message.kind == MOOT_RAFT_APPEND && effect->message.append.count > 0) {
        uint32_t count = effect->message.append.count;
        struct moot_arena *arena = &group->context->outbox->arena;
        struct moot_raft_entry *entries = moot_arena_alloc(arena, sizeof(*entries) * count);
        struct moot_part *parts = moot_arena_alloc(arena, sizeof(*parts) * count);
        for (uint32_t i = 0; i < count; i++) {
            const struct moot_log_entry *entry =
                moot_log_at(&group->log, effect->message.append.previous_index + 1 + i);
            MOOT_ASSERT(entry != NULL);
            entries[i] = (struct moot_raft_entry){
                .term = entry->term, .size = (uint32_t)entry->block->size, .kind = entry->kind};
            parts[i] = (struct moot_part){moot_block_slice(entry->block), entry->block};
        }
        message.raft.message.append.entries = entries;
        post.parts = parts;
        post.part_count = count;
    }
    moot_outbox_post(group->context->outbox, &post);
}

static void on_state(struct moot_group *group, const struct moot_raft_effect *effect)
{
    bool led = group->role == MOOT_RAFT_LEADER;
    bool leads = effect->state.role == MOOT_RAFT_LEADER;
    moot_term before = group->term;
    moot_node_id leader = group->leader;
    group->role = effect->state.role;
    group->term = effect->state.term;
    group->leader = effect->state.leader;
    if (led && (!leads || before != group->term)) {
        group__log(group, MOOT_LOG_INFO, "no longer leads, now in term ", group->term, ", commit ",
                   group->commit);
        group__follow(group);
    }
    if (leads && (!led || before != group->term)) {
        group__log(group, MOOT_LOG_INFO, "leads term ", group->term, ", log ends at ",
                   moot_log_last(&group->log));
        group__lead(group);
    } else if (!leads && group->leader != 0 && (leader != group->leader || before != group->term)) {
        group__log(group, MOOT_LOG_INFO, "follows node ", group->leader, " in term ", group->term);
    }
}

static void on_done(struct moot_group *group, const struct moot_raft_effect *effect)
{
    if (effect->kind == MOOT_RAFT_EFFECT_TRANSFER_DONE) {
        group->transfers++;
        group->transfer_status = effect->done.status;
    }
}

static void on_trace(struct moot_group *group, const struct moot_raft_effect *effect)
{
    struct moot_buffer line;
    moot_buffer_init(&line);
    moot_buffer_append_text(&line, group->id == MOOT_GROUP_SYSTEM ? "system raft: " : "db0 raft: ");
    moot_raft_trace_render(&effect->trace, &line);
    moot_outbox_log(group->context->outbox, MOOT_LOG_INFO, moot_buffer_slice(&line));
    moot_buffer_deinit(&line);
}

static void perform(const struct step *step, const struct moot_raft_effect *effect)
{
    struct moot_group *group = step->group;
    switch (effect->kind) {
    case MOOT_RAFT_EFFECT_HARD_STATE:
        on_hard_state(group, effect);
        return;
    case MOOT_RAFT_EFFECT_APPENDED:
        on_appended(step, effect);
        return;
    case MOOT_RAFT_EFFECT_SEND:
        on_send(group, effect);
        return;
    case MOOT_RAFT_EFFECT_COMMIT:
        /* After an install the group may know of more than the core has counted yet. */
        group->commit = moot_max_u64(group->commit, effect->commit);
        return;
    case MOOT_RAFT_EFFECT_STATE:
        on_state(group, effect);
        return;
    case MOOT_RAFT_EFFECT_MEMBERS:
        group->members = effect->members;
        return;
    case MOOT_RAFT_EFFECT_ROUND:
        group->round_confirmed = effect->round;
        return;
    case MOOT_RAFT_EFFECT_SNAPSHOT_NEEDED:
        group__snapshot_needed(group, effect->snapshot.node);
        return;
    case MOOT_RAFT_EFFECT_SNAPSHOT_OFFERED:
        group__snapshot_offered(group, effect->snapshot.node, effect->snapshot.index,
                                effect->snapshot.term, &effect->snapshot.members,
                                group->receiving_session);
        return;
    case MOOT_RAFT_EFFECT_TRANSFER_DONE:
    case MOOT_RAFT_EFFECT_MEMBERS_DONE:
        on_done(group, effect);
        return;
    case MOOT_RAFT_EFFECT_TRACE:
        on_trace(group, effect);
        return;
    }
    MOOT_UNREACHABLE();
}

int group__step_with(struct moot_group *group, struct moot_raft_event *event,
                     const struct moot_slice *bytes, struct moot_block *owner)
{
    (void)owner;
    event->now = group->context->now.instant;
    event->wall_ms = group->context->now.wall_ms;
    struct step step = {group, event, bytes};
    int status = moot_raft_step(group->raft, event, group->effects);
    /* A step inside this loop would overwrite the effects: nothing that perform() calls steps the
     * core. */
    for (uint32_t i = 0; i < group->effects->count; i++) {
        perform(&step, &group->effects->items[i]);
    }
    return status;
}

int group__step(struct moot_group *group, struct moot_raft_event *event)
{
    return group__step_with(group, event, NULL, NULL);
}

int group__step_plain(struct moot_group *group, enum moot_raft_event_kind kind)
{
    struct moot_raft_event event; /* Nobody reads more of it; every turn has several such steps. */
    event.kind = kind;
    return group__step(group, &event);
}

struct moot_block *group__entry_block(struct moot_group *group, enum moot_entry_kind kind,
                                      struct moot_slice body)
{
    struct moot_block *block = moot_block_make(MOOT_ENTRY_HEADER_BYTES + body.size);
    struct moot_entry entry = {.kind = kind,
                               .stamp = moot_hlc_next(&group->clock, group->context->stamp_ms),
                               .seed = moot_rng_next(group->context->rng)};
    moot_entry_put_header(block->data, &entry);
    if (body.size > 0) {
        memcpy(block->data + MOOT_ENTRY_HEADER_BYTES, body.data, body.size);
    }
    return block;
}

/* Takes over the caller's reference, whatever the outcome. */
int group__append(struct moot_group *group, struct moot_block *block, moot_index *index)
{
    MOOT_ASSERT(group->submitting == NULL);
    group->submitting = block;
    struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_SUBMIT};
    event.submit.size = (uint32_t)block->size;
    int status = group__step(group, &event);
    if (status != 0) {
        moot_block_release(block);
        group->submitting = NULL;
        return status;
    }
    MOOT_ASSERT(group->submitting == NULL);
    *index = moot_log_last(&group->log);
    return 0;
}

void moot_group_durable(struct moot_group *group)
{
    size_t done = 0;
    while (done < group->persisted_count &&
           group->persisted[done].record <= group->context->outbox->durable) {
        struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_DURABLE};
        event.durable.index = group->persisted[done].index;
        event.durable.term = group->persisted[done].term;
        done++;
        int status = group__step(group, &event);
        MOOT_ASSERT(status == 0);
    }
    group->persisted_count -= done;
    if (group->persisted_count > 0) {
        memmove(group->persisted, group->persisted + done,
                sizeof(*group->persisted) * group->persisted_count);
    }
}
