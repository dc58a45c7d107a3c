/* Committed entries and placed reads, in their order.
 *
 * The order is: entry, the reads whose place is right after it, the next entry. A read runs once
 * leadership is confirmed for its round and its place is reached. It cannot hold up the entries for
 * long: the messages that commit a later entry carry its round. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/status.h"
#include "database/group/entry.h"
#include "database/group/group.h"

/* Who comes back at the same place of the log for the rest of a range (its far end is the same)
 * found it longer than what was fetched of it. */
static uint64_t fetch_limit(struct moot_group *group, const struct moot_view_misses *misses)
{
    uint64_t hash = group->applied;
    for (uint32_t i = 0; i < misses->range_count; i++) {
        bool reverse = misses->range_reverse[i];
        hash = moot_hash64(reverse ? misses->ranges[i].from : misses->ranges[i].to, hash + reverse);
    }
    bool again = misses->range_count > 0 && hash == group->fetch_ranges;
    group->fetch_ranges = hash;
    group->fetch_limit = again ? moot_min_u64(4 * group->fetch_limit, MOOT_FETCH_ENTRIES_MAX)
                               : (uint64_t)MOOT_FETCH_ENTRIES;
    return group->fetch_limit;
}

/* Execution needs what is not in memory: ask for it, and stop until it is there. */
void group__stick(struct moot_group *group)
{
    const struct moot_view_misses *misses = moot_view_misses(moot_engine_view(group->engine));
    struct moot_arena *arena = &group->context->outbox->arena;
    MOOT_ASSERT(misses->key_count + misses->range_count > 0);
    struct moot_slice *keys = moot_arena_alloc(arena, sizeof(*keys) * (misses->key_count + 1));
    struct moot_range *ranges =
        moot_arena_alloc(arena, sizeof(*ranges) * (misses->range_count + 1));
    bool *reverse = moot_arena_alloc(arena, misses->range_count + 1);
    for (uint32_t i = 0; i < misses->key_count; i++) {
        keys[i] = moot_arena_copy(arena, misses->keys[i]);
    }
    for (uint32_t i = 0; i < misses->range_count; i++) {
        ranges[i].from = moot_arena_copy(arena, misses->ranges[i].from);
        ranges[i].to = moot_arena_copy(arena, misses->ranges[i].to);
        reverse[i] = misses->range_reverse[i];
    }
    struct moot_effect *effect = moot_outbox_effect(group->context->outbox, MOOT_EFFECT_FETCH);
    effect->ticket = group->fetch = ++group->context->next_ticket;
    effect->fetch.keys = keys;
    effect->fetch.ranges = ranges;
    effect->fetch.reverse = reverse;
    effect->fetch.key_count = misses->key_count;
    effect->fetch.range_count = misses->range_count;
    effect->fetch.range_limit = fetch_limit(group, misses);
    moot_view_forget_misses(moot_engine_view(group->engine));
    group->stuck = true;
    MOOT_SOMETIMES(true, "execution waited for a fetch");
}

/* False when the run did not finish. */
static bool handle(struct moot_group *group, int status)
{
    if (status == 0) {
        return true;
    }
    if (status == MOOT_EWOULDBLOCK) {
        group__stick(group);
    } else if (status == MOOT_ECORRUPT) {
        group__rot(group, "the store or an entry failed its checksum");
    } else {
        group__fence(group, moot_status_text(status));
    }
    return false;
}

/* ---- entries ---- */

/* May this batch run? Exactly the next number of its stream, or the first of a newer incarnation.
 */
static bool is_next_batch(const struct moot_stream *stream, const struct moot_entry *entry)
{
    bool same = entry->edge_incarnation == stream->incarnation;
    bool newer = entry->edge_incarnation > stream->incarnation;
    return MOOT_RULE(apply_exactly_next, (same && entry->batch == stream->executed + 1) ||
                                             (newer && entry->batch == 1));
}

static bool apply_commands(struct moot_group *group, moot_index index,
                           const struct moot_entry *entry)
{
    struct moot_stream *stream = group__stream(group, entry->edge);
    if (!is_next_batch(stream, entry)) {
        MOOT_SOMETIMES(true, "a batch that was not next was left out");
        return true;
    }
    moot_buffer_reset(&group->scratch, 4 * 1024 * 1024);
    struct moot_engine_run run = {.index = index,
                                  .stamp = {.time = entry->stamp},
                                  .now_ms = moot_hlc_ms(entry->stamp),
                                  .seed = entry->seed,
                                  .refuse_growth = (entry->flags & MOOT_ENTRY_REFUSE_GROWTH) != 0,
                                  .leaves_chained = (entry->flags & MOOT_ENTRY_LEAVE_CHAINED) != 0,
                                  .batch = entry->body,
                                  .replies = &group->scratch};
    if (!handle(group, moot_engine_run(group->engine, &run))) {
        return false;
    }
    stream->incarnation = entry->edge_incarnation;
    stream->executed = entry->batch;
    group->batches_run++;
    group__streams_put(group, stream);
    struct moot_block *replies = moot_block_copy(moot_buffer_slice(&group->scratch));
    struct moot_ring_item kept = {entry->edge, entry->edge_incarnation, entry->batch, entry->stamp,
                                  replies};
    if (group__leads(group)) {
        group__answer(group, entry->edge, MOOT_SUBMIT_WRITES, entry->edge_incarnation, entry->batch,
                      0, entry->stamp, replies);
    }
    moot_ring_put(&group->ring, &kept);
    return true;
}

static bool apply_expire(struct moot_group *group, moot_index index, const struct moot_entry *entry)
{
    struct moot_stamp stamp = {.time = entry->stamp};
    return handle(group, moot_engine_expire(group->engine, index, stamp, entry->body));
}

static bool apply_members(struct moot_group *group, const struct moot_entry *entry)
{
    struct moot_reader reader = moot_reader_make(entry->body);
    struct moot_members members;
    if (!moot_members_decode(&reader, &members)) {
        return handle(group, MOOT_FAIL(MOOT_ECORRUPT));
    }
    group->applied_members = members;
    return true;
}

/* Never lower: an old leader's wish may come late. */
static bool apply_level(struct moot_group *group, uint32_t level)
{
    if (!group__knows_level(group, level)) {
        group__fence(group, GROUP_UPGRADE_TEXT);
        return false;
    }
    MOOT_SOMETIMES(group->feature_level != 0 && level > group->feature_level,
                   "a cluster went over to newer rules");
    group->feature_level = level > group->feature_level ? level : group->feature_level;
    group->feature_asked = false;
    return true;
}

static bool apply_body(struct moot_group *group, moot_index index, const struct moot_entry *entry)
{
    switch (entry->kind) {
    case MOOT_ENTRY_COMMANDS:
        return apply_commands(group, index, entry);
    case MOOT_ENTRY_EXPIRE:
        return apply_expire(group, index, entry);
    case MOOT_ENTRY_MEMBERS:
        return apply_members(group, entry);
    case MOOT_ENTRY_FEATURE_LEVEL: {
        struct moot_reader reader = moot_reader_make(entry->body);
        uint32_t level = moot_get_u32(&reader);
        return apply_level(group, level);
    }
    case MOOT_ENTRY_NOOP:
    case MOOT_ENTRY_SETTINGS:
        return true;
    case MOOT_ENTRY_EFFECTS:
    case MOOT_ENTRY_PREPARE:
    case MOOT_ENTRY_DECIDE:
    case MOOT_ENTRY_CUT:
        break; /* Of a later release: this one must not guess. */
    }
    group__fence(group, GROUP_UPGRADE_TEXT);
    return false;
}

static bool apply_entry(struct moot_group *group)
{
    moot_index index = group->applied + 1;
    const struct moot_log_entry *held = moot_log_at(&group->log, index);
    MOOT_ASSERT(held != NULL);
    struct moot_entry entry;
    int status = moot_entry_decode(moot_block_slice(held->block), &entry);
    if (status != 0) {
        return handle(group, status);
    }
    MOOT_ASSERT(entry.stamp > group->applied_stamp);
    if (!apply_body(group, index, &entry)) {
        return false;
    }
    if (held->term != group->term) { /* The same; and a restart meets old entries. */
        moot_engine_shared(group->engine)->level_wanted = 0;
    }
    group->applied = index;
    group->applied_term = held->term;
    group->applied_stamp = entry.stamp;
    group->chain =
        moot_hash_mix(group->chain, moot_view_take_hash(moot_engine_view(group->engine)));
    /* For when the leader says what it has come to here. */
    group->chains[index % MOOT_CHAIN_WINDOW] = group__contents(group);
    if (!group->dirty) {
        group->dirty = true;
        group->dirty_since = group->context->now.instant;
    }
    group->directory_changed = group->id == MOOT_GROUP_SYSTEM;
    if (group->expire_pending != 0 && index >= group->expire_pending) {
        group->expire_pending = 0;
    }
    group__serve_waiters(group);
    return true;
}

/* ---- reads ---- */

/* A read met a key past its expiry: its expiry becomes an entry, and the read waits for that. */
static void expire_for_read(struct moot_group *group, struct moot_placed_read *read)
{
    struct moot_call_shared *shared = moot_engine_shared(group->engine);
    moot_buffer_reset(&group->scratch, 4096);
    moot_put_u16(&group->scratch, shared->due_keyspace);
    moot_put_bytes(&group->scratch, shared->due_key);
    moot_index index;
    struct moot_block *block =
        group__entry_block(group, MOOT_ENTRY_EXPIRE, moot_buffer_slice(&group->scratch));
    if (group__append(group, block, &index) == 0) {
        read->place = index;
        MOOT_SOMETIMES(true, "a read waited for the expiry of its key");
    }
}

static void drop_first_read(struct moot_group *group)
{
    MOOT_ASSERT(group->read_count > 0);
    moot_block_release(group->reads[0].owner);
    group->read_count--;
    memmove(group->reads, group->reads + 1, sizeof(*group->reads) * group->read_count);
}

/* What its edge asked behind the first read is not to be executed before the rest of that: the edge
 * asks again for all of it, in order, in a new session. */
static void end_session(struct moot_group *group, moot_node_id edge, uint64_t incarnation)
{
    struct moot_stream *stream = group__stream(group, edge);
    if (stream->session_incarnation == incarnation) {
        stream->sequence = UINT64_MAX;
    }
    size_t kept = 1;
    for (size_t i = 1; i < group->read_count; i++) {
        struct moot_placed_read *read = &group->reads[i];
        if (read->edge == edge && read->incarnation == incarnation) {
            moot_block_release(read->owner);
        } else {
            group->reads[kept++] = *read;
        }
    }
    group->read_count = kept;
}

static size_t replies_max(struct moot_group *group, const struct moot_placed_read *read)
{
    if (MOOT_RARELY(group->context->chance, replies_short)) {
        return MOOT_REPLY_SHORT_BYTES;
    }
    return read->edge == group->context->self ? MOOT_REPLIES_HERE_BYTES_MAX
                                              : MOOT_REPLIES_BYTES_MAX;
}

/* True when the first read was served. */
static bool serve_read(struct moot_group *group)
{
    struct moot_placed_read *read = &group->reads[0];
    struct moot_engine_aside aside;
    bool stopped = false;
    uint64_t seed = moot_rng_next(group->context->rng);
    group__long_reads_admit(group, read, seed, &aside);
    moot_buffer_reset(&group->scratch, 4 * 1024 * 1024);
    struct moot_engine_run run = {
        .index = group->applied,
        .stamp = {.time = group->applied_stamp},
        .now_ms = moot_max_u64(group->context->stamp_ms, moot_hlc_ms(group->clock.last)),
        .seed = seed,
        .is_read = true,
        .elements = group->context->read_elements,
        .aside = &aside,
        .replies_max = replies_max(group, read),
        .stopped = &stopped,
        .batch = read->items,
        .replies = &group->scratch};
    int status = moot_engine_run(group->engine, &run);
    if (status == MOOT_OK && stopped && aside.count > 0) {
        /* What was set aside has its place here, and would be asked for again behind others. */
        group__long_reads_admit(group, read, seed, &aside);
        group->scratch.size = 0;
        stopped = false;
        run.stopped = NULL;
        status = moot_engine_run(group->engine, &run);
    }
    if (status == MOOT_EDUE) {
        expire_for_read(group, read);
        return false;
    }
    if (status == MOOT_EINVALID) {
        group__answer(group, read->edge, MOOT_SUBMIT_READS, read->incarnation, read->number, status,
                      0, NULL);
        group->reads_run++;
        drop_first_read(group);
        return true;
    }
    if (!handle(group, status)) {
        return false;
    }
    struct moot_block *replies = moot_block_copy(moot_buffer_slice(&group->scratch));
    if (stopped) {
        MOOT_SOMETIMES(true, "replies to reads were given in parts");
        end_session(group, read->edge, read->incarnation);
    }
    group__answer(group, read->edge, MOOT_SUBMIT_READS, read->incarnation, read->number,
                  stopped || aside.count > 0 ? MOOT_EAGAIN : 0, group->applied_stamp, replies);
    group->read_bytes += replies->size;
    moot_block_release(replies);
    group->reads_run++;
    if (aside.count > 0) {
        group__long_reads_begin(group, read, &run);
    }
    drop_first_read(group);
    return true;
}

void group__apply(struct moot_group *group, bool *again)
{
    uint32_t entries = 0;
    group__snapshot_look(group);
    while (!group->stuck && !group->fenced && !group->install.active) {
        bool waits = group->read_count > 0 && group->reads[0].place <= group->applied;
        bool confirmed = waits && MOOT_RULE(read_round_confirmed,
                                            group->reads[0].round <= group->round_confirmed);
        if (waits && confirmed && group->read_bytes >= MOOT_REPLIES_HERE_BYTES_MAX) {
            *again = true; /* First these leave; or their clients are closed. */
            return;
        }
        if (waits && confirmed) {
            moot_index place = group->reads[0].place;
            if (!serve_read(group) && group->read_count > 0 && group->reads[0].place == place) {
                return;
            }
            continue;
        }
        if (!MOOT_RULE(apply_only_committed, group->applied < group->commit) || waits) {
            return;
        }
        if (!MOOT_RULE(long_read_pinned_at_its_place, !group->long_reads.waits)) {
            *again = true; /* At the end of this turn it is. */
            return;
        }
        bool is_much = entries > 0 && moot_view_size(moot_engine_view(group->engine)) >=
                                          MOOT_UNSTORED_BYTES; /* The store takes it first. */
        if (++entries > MOOT_APPLY_ENTRIES_A_TURN || is_much) {
            *again = true;
            return;
        }
        if (!apply_entry(group)) {
            return;
        }
    }
}
