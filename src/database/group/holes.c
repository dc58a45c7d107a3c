#include "database/group/holes.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/rule.h"
#include "base/status.h"
#include "database/group/entry.h"
#include "database/group/group.h"

/* ---- what is kept, and its holes ---- */

void moot_holes_drop(struct moot_holes *holes)
{
    for (uint64_t i = 0; i < holes->count; i++) {
        moot_block_release(holes->kept[i].block);
    }
    moot_free(holes->kept);
    *holes = (struct moot_holes){.kept = NULL};
}

const struct moot_kept_entry *moot_holes_at(const struct moot_holes *holes, moot_index index)
{
    bool inside = index >= holes->first && index - holes->first < holes->count;
    const struct moot_kept_entry *entry = inside ? &holes->kept[index - holes->first] : NULL;
    return entry == NULL || entry->block == NULL ? NULL : entry;
}

bool moot_holes_ask(const struct moot_holes *holes, uint64_t number, struct moot_hole_ask *ask)
{
    struct moot_hole_ask found;
    uint64_t count = 0;
    moot_index last = holes->repairs ? moot_holes_last(holes) : 0;
    for (uint64_t round = 0; round < 2; round++) { /* The second knows how many there are. */
        uint64_t at = 0, wanted = count == 0 ? 0 : number % count;
        for (moot_index index = holes->begin; index < last; index++) {
            if (moot_holes_at(holes, index) != NULL) {
                continue;
            }
            found.first = index;
            while (moot_holes_at(holes, index) == NULL) {
                index++; /* The last one stands. */
            }
            found.last = index - 1;
            found.anchor = moot_holes_at(holes, index)->term;
            if (round == 1 && at++ == wanted) {
                *ask = found;
                return true;
            }
            count += round == 0;
        }
    }
    return false;
}

/* Terms rise along a log. */
static bool terms_rise(const struct moot_hole_give *give)
{
    moot_term term = moot_max_u64(give->before, 1);
    for (uint32_t i = 0; i < give->count; i++) {
        if (give->entries[i].term < term) {
            return false;
        }
        term = give->entries[i].term;
    }
    return term <= give->anchor;
}

/* The term of the entry before `index`, as far as it is known here. */
static bool term_before(const struct moot_holes *holes, moot_index index, moot_term *term)
{
    const struct moot_kept_entry *entry = moot_holes_at(holes, index - 1);
    bool is_stored = index == holes->begin;
    *term = is_stored ? holes->before : entry != NULL ? entry->term : 0;
    return is_stored ? holes->before != MOOT_HOLES_UNKNOWN : entry != NULL;
}

int moot_holes_fill(struct moot_holes *holes, const struct moot_hole_give *give, uint64_t *filled)
{
    *filled = 0;
    const struct moot_kept_entry *anchor = moot_holes_at(holes, give->last + 1);
    bool same = anchor != NULL && anchor->term == give->anchor;
    if (!holes->repairs || anchor == NULL ||
        !MOOT_RULE(holes_need_the_same_anchor, same && terms_rise(give))) {
        return 0;
    }
    uint64_t first = give->count;
    while (first > 0) { /* As many from the end as are missing. */
        moot_index index = give->last - (give->count - first);
        if (index < holes->begin || moot_holes_at(holes, index) != NULL) {
            break;
        }
        moot_term here, there = first > 1 ? give->entries[first - 2].term : give->before;
        bool is_known = there > 0 || index == 1;
        if (term_before(holes, index, &here)) {
            if (is_known && here != there) {
                return MOOT_FAIL(MOOT_EINVALID);
            }
            if (!is_known) {
                break; /* Somebody else will know whether it follows. */
            }
        }
        first--;
    }
    for (uint64_t i = first; i < give->count; i++) {
        moot_index index = give->last - (give->count - 1 - i);
        struct moot_kept_entry *entry = &holes->kept[index - holes->first];
        MOOT_ASSERT(entry->block == NULL);
        *entry = (struct moot_kept_entry){moot_block_copy(give->bytes[i]), give->entries[i].term,
                                          give->entries[i].kind};
    }
    *filled = give->count - first;
    MOOT_ASSERT(*filled <= holes->missing);
    holes->missing -= *filled;
    return 0;
}

/* ---- opening ---- */

static const struct moot_block *restored(const struct moot_group_restore *restore, moot_index index)
{
    bool inside = index >= restore->first && index - restore->first < restore->entry_count;
    return inside ? restore->blocks[index - restore->first] : NULL;
}

/* Leaves entries [from, to). */
static void narrow(struct moot_group_restore *restore, moot_index from, moot_index to)
{
    uint64_t kept = 0;
    for (uint64_t i = 0; i < restore->entry_count; i++) {
        moot_index index = restore->first + i;
        if (index >= from && index < to) {
            restore->entries[kept] = restore->entries[i];
            restore->blocks[kept++] = restore->blocks[i];
        } else {
            moot_block_release(restore->blocks[i]);
        }
    }
    restore->first = from;
    restore->entry_count = kept;
}

/* Whoever serves others wants what the store contains, too; but there may be much of it. */
static moot_index keep_from(const struct moot_group *group,
                            const struct moot_group_restore *restore)
{
    uint64_t bytes = 0;
    moot_index index = restore->first + restore->entry_count;
    while (index > restore->first) {
        const struct moot_block *block = restored(restore, index - 1);
        bytes += block == NULL ? 0 : block->size;
        if (bytes > group->context->log_memory_bytes && index <= group->applied + 1) {
            break;
        }
        index--;
    }
    return index;
}

static void keep(struct moot_group *group, const struct moot_group_restore *restore)
{
    struct moot_holes *holes = &group->holes;
    moot_index end = restore->first + restore->entry_count;
    moot_index from = restore->entry_count == 0 ? end : keep_from(group, restore);
    if (holes->repairs) {
        from = moot_min_u64(from, holes->begin);
    }
    if (from >= end) {
        return;
    }
    holes->first = from;
    holes->count = end - from;
    holes->kept = moot_alloc_zero(sizeof(*holes->kept) * (size_t)holes->count);
    for (moot_index index = moot_max_u64(from, restore->first); index < end; index++) {
        uint64_t at = index - restore->first;
        if (restore->blocks[at] != NULL) {
            holes->kept[index - from] = (struct moot_kept_entry){
                moot_block_retain(restore->blocks[at]), restore->entries[at].term,
                (enum moot_raft_entry_kind)restore->entries[at].entry_kind};
        }
    }
}

enum follows { FOLLOWS, FOLLOWS_PERHAPS, FOLLOWS_NOT };

/* Does the log go on where the store ends? Not if the store was replaced by a snapshot whose last
 * entry is another than the log has there. If that entry is lost, whoever has those behind it will
 * know which it was. */
static enum follows follows_store(const struct moot_group *group,
                                  const struct moot_group_restore *restore)
{
    moot_index applied = group->applied;
    if (restored(restore, applied) != NULL) {
        const struct moot_record *record = &restore->entries[applied - restore->first];
        return record->term == group->applied_term ? FOLLOWS : FOLLOWS_NOT;
    }
    bool was_here = restore->entry_count > 0 && restore->first <= applied;
    return applied > 0 && (was_here || restore->lost_from <= applied) ? FOLLOWS_PERHAPS : FOLLOWS;
}

/* The holes behind what the store contains. */
static void find_missing(struct moot_group *group, const struct moot_group_restore *restore,
                         enum follows follows)
{
    struct moot_holes *holes = &group->holes;
    moot_index end = restore->first + restore->entry_count;
    holes->begin = group->applied + (follows == FOLLOWS);
    holes->before = follows == FOLLOWS ? group->applied_term : MOOT_HOLES_UNKNOWN;
    bool is_explained = restore->first <= holes->begin + MOOT_LOG_ENTRIES_MAX;
    for (moot_index index = holes->begin; is_explained && restore->entry_count > 0 && index < end;
         index++) {
        bool is_missing = restored(restore, index) == NULL;
        holes->missing += is_missing;
        is_explained = !is_missing || index >= restore->lost_from;
    }
    holes->repairs = is_explained && holes->missing <= MOOT_LOG_ENTRIES_MAX;
}

void group__holes_open(struct moot_group *group, struct moot_group_restore *restore)
{
    struct moot_holes *holes = &group->holes;
    if (!restore->impaired) {
        keep(group, restore);
        return;
    }
    enum follows follows = follows_store(group, restore);
    if (follows == FOLLOWS_NOT) {
        narrow(restore, restore->first, restore->first);
        group__record_snapshot(group);
        return;
    }
    while (restore->entry_count > 0 && restore->blocks[restore->entry_count - 1] == NULL) {
        restore->entry_count--; /* How long the log was is not known. */
        restore->knows_log = false;
    }
    /* Else the store may be another one than it was, and nobody would notice. */
    bool reaches = restore->entry_count > 0 && restore->first <= group->applied + 1;
    bool is_its_store = MOOT_RULE(holes_need_the_store, restore->knows_freed || reaches);
    if (restore->knows_log && is_its_store && !group->store_lost) {
        find_missing(group, restore, follows);
    }
    if (holes->repairs && holes->missing == 0) {
        MOOT_SOMETIMES(true, "rot took nothing that is needed");
        holes->repairs = false;
        restore->impaired = false;
    }
    keep(group, restore);
    moot_index from = group->applied + 1, to = from;
    while (follows == FOLLOWS && restored(restore, to) != NULL) {
        to++;
    }
    from -= to > from && restored(restore, group->applied) != NULL;
    narrow(restore, from, to);
}

void group__holes_opened(struct moot_group *group)
{
    struct moot_raft_status raft;
    struct moot_holes *holes = &group->holes;
    moot_raft_status(group->raft, &raft);
    group->context->outbox->whole_from[group->id] = raft.impaired ? UINT64_MAX : 0;
    const struct moot_kept_entry *stored = moot_holes_at(holes, group->applied);
    if (stored != NULL && stored->term != group->applied_term) {
        moot_holes_drop(holes); /* A snapshot has replaced that log. */
        return;
    }
    holes->log_last = raft.last;
    bool known = moot_raft_term_at(group->raft, raft.last, &holes->log_term);
    MOOT_ASSERT(known);
}

/* ---- asking ---- */

/* What is kept belongs to the log as it was when it was opened. */
static bool is_current(const struct moot_group *group)
{
    moot_term term;
    return !group->install.active && moot_log_last(&group->log) == group->holes.log_last &&
           moot_raft_term_at(group->raft, group->holes.log_last, &term) &&
           term == group->holes.log_term;
}

/* Each hole of each replica that there is a link to, in turn; those of older releases do not know
 * the question. */
static void ask(struct moot_group *group)
{
    struct moot_holes *holes = &group->holes;
    const struct moot_peers *peers = group->context->peers;
    moot_node_id all[MOOT_PEERS_MAX];
    size_t linked = 0;
    for (uint32_t i = 0; i < peers->count; i++) {
        const struct moot_peer *peer = &peers->all[i];
        if (peer->linked && peer->level >= MOOT_HOLES_LEVEL) { /* Members may be lost, too. */
            all[linked++] = peer->node;
        }
    }
    struct moot_message message = {.kind = MOOT_MESSAGE_HOLE_ASK, .group = group->id};
    if (linked > 0 && holes->asked == 0) {
        group__log(group, MOOT_LOG_INFO,
                   "while nobody leads, entries that rot took from the journal are asked of other "
                   "replicas: ",
                   holes->missing, NULL, 0);
    }
    if (linked > 0 && moot_holes_ask(holes, holes->asked / linked, &message.hole_ask)) {
        group__post(group, all[holes->asked % linked], &message, NULL);
        holes->asked++;
    }
}

static bool entry_of(struct moot_group *group, const struct moot_kept_entry *kept,
                     struct moot_raft_entry *out)
{
    struct moot_entry envelope;
    if (moot_entry_decode(moot_block_slice(kept->block), &envelope) != 0) {
        return false;
    }
    *out = (struct moot_raft_entry){
        .term = kept->term, .size = (uint32_t)kept->block->size, .kind = kept->kind};
    if (kept->kind == MOOT_RAFT_ENTRY_MEMBERS) {
        struct moot_members *members = moot_arena_alloc(&group->arena, sizeof(*members));
        struct moot_reader reader = moot_reader_make(envelope.body);
        out->members = members;
        return moot_members_decode(&reader, members);
    }
    return true;
}

/* The log is what it was: the core takes it back, and the journal is told. */
static void refill(struct moot_group *group)
{
    struct moot_holes *holes = &group->holes;
    moot_index first = holes->log_last + 1, last = moot_holes_last(holes);
    MOOT_ASSERT(first > group->applied && first <= last);
    struct moot_raft_entry *entries = moot_alloc(sizeof(*entries) * (size_t)(last - first + 1));
    const struct moot_kept_entry *stored = moot_holes_at(holes, group->applied);
    bool readable = stored == NULL || stored->term == group->applied_term; /* Else: a snapshot. */
    for (moot_index index = first; index <= last && readable; index++) {
        readable = entry_of(group, moot_holes_at(holes, index), &entries[index - first]);
    }
    struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_REFILL};
    event.refill.first = first;
    event.refill.count = last - first + 1;
    event.refill.entries = entries;
    holes->repairs = false;
    if (readable && group__step(group, &event) == 0) {
        group__log(group, MOOT_LOG_INFO, "what rot had taken is there again: entries ", first,
                   " to ", last);
        group__refilled(group, first, last);
        group->context->outbox->whole_from[group->id] = group->context->outbox->recorded;
        holes->log_last = last;
        holes->log_term = moot_holes_at(holes, last)->term;
    }
    moot_free(entries);
}

/* A leader has repaired the log: from here on the journal tells all of it. */
static void say_whole(struct moot_group *group)
{
    struct moot_outbox *outbox = group->context->outbox;
    struct moot_raft_status raft;
    if (outbox->whole_from[group->id] == UINT64_MAX) {
        moot_raft_status(group->raft, &raft);
        bool is_whole = !raft.impaired && !group->install.active;
        outbox->whole_from[group->id] = is_whole ? outbox->recorded : UINT64_MAX;
    }
}

void group__holes_tick(struct moot_group *group)
{
    struct moot_holes *holes = &group->holes;
    say_whole(group);
    if (holes->kept == NULL || group->install.active) {
        return;
    }
    if (!is_current(group) || (group->leader != 0 && !holes->repairs)) {
        MOOT_SOMETIMES(holes->repairs, "a leader was heard before all holes were filled");
        moot_holes_drop(holes);
        return;
    }
    if (!holes->repairs || group->leader != 0 || group->context->disk_is_full) {
        return;
    }
    struct moot_instant now = group->context->now.instant;
    if (holes->missing == 0) {
        refill(group);
    } else if (!moot_instant_before(now, holes->ask_next)) {
        holes->ask_next = moot_instant_add(now, moot_ms(MOOT_HOLES_ASK_MS));
        ask(group);
    }
}

struct moot_instant group__holes_deadline(const struct moot_group *group)
{
    const struct moot_holes *holes = &group->holes;
    bool asks = holes->repairs && group->leader == 0 && !group->context->disk_is_full &&
                !group->install.active;
    return asks ? holes->ask_next : MOOT_NEVER;
}

void group__hole_give(struct moot_group *group, const struct moot_hole_give *give)
{
    struct moot_holes *holes = &group->holes;
    uint64_t filled = 0;
    if (holes->kept == NULL || !holes->repairs || group->leader != 0 || !is_current(group)) {
        return;
    }
    if (moot_holes_fill(holes, give, &filled) != 0) {
        group__log(group, MOOT_LOG_ERROR,
                   "another replica's log contradicts what rot has left of "
                   "this one, at entry ",
                   give->last, NULL, 0);
        holes->repairs = false;
    }
    if (filled > 0) {
        MOOT_SOMETIMES(holes->missing > 0, "a hole was filled in parts");
        holes->ask_next = group->context->now.instant;
    }
}

/* ---- answering ---- */

static bool entry_at(const struct moot_group *group, moot_index index, struct moot_kept_entry *out)
{
    const struct moot_log_entry *entry = moot_log_at(&group->log, index);
    const struct moot_kept_entry *kept =
        is_current(group) ? moot_holes_at(&group->holes, index) : NULL;
    if (entry != NULL) {
        *out = (struct moot_kept_entry){entry->block, entry->term, entry->kind};
    } else if (kept != NULL) {
        *out = *kept;
    }
    return entry != NULL || kept != NULL;
}

static moot_term term_at(const struct moot_group *group, moot_index index)
{
    struct moot_kept_entry entry;
    moot_term term;
    if (entry_at(group, index, &entry)) {
        return entry.term;
    }
    return moot_raft_term_at(group->raft, index, &term) ? term : 0;
}

void group__hole_ask(struct moot_group *group, moot_node_id from, const struct moot_hole_ask *ask)
{
    struct moot_kept_entry anchor, entry;
    bool same = entry_at(group, ask->last + 1, &anchor) && anchor.term == ask->anchor;
    same = MOOT_RULE(holes_need_the_same_anchor, same) && !group->install.active;
    uint32_t count = 0;
    uint64_t bytes = 0;
    moot_index wanted = moot_min_u64(ask->last - ask->first + 1, MOOT_APPEND_ENTRIES_MAX);
    while (same && count < wanted && entry_at(group, ask->last - count, &entry) &&
           (count == 0 || bytes + entry.block->size <= MOOT_APPEND_BYTES_MAX)) {
        bytes += entry.block->size;
        count++;
    }
    MOOT_SOMETIMES(count == 0, "a replica could not help another with its holes");
    struct moot_arena *arena = &group->context->outbox->arena;
    struct moot_raft_entry *entries = moot_arena_alloc(arena, sizeof(*entries) * (count + 1));
    struct moot_part *parts = moot_arena_alloc(arena, sizeof(*parts) * (count + 1));
    for (uint32_t i = 0; i < count; i++) {
        bool there = entry_at(group, ask->last - count + 1 + i, &entry);
        MOOT_ASSERT(there);
        entries[i] = (struct moot_raft_entry){
            .term = entry.term, .size = (uint32_t)entry.block->size, .kind = entry.kind};
        parts[i] = (struct moot_part){moot_block_slice(entry.block), entry.block};
    }
    struct moot_message message = {.kind = MOOT_MESSAGE_HOLE_GIVE, .group = group->id};
    message.hole_give = (struct moot_hole_give){.last = ask->last,
                                                .anchor = ask->anchor,
                                                .before = term_at(group, ask->last - count),
                                                .count = count,
                                                .entries = entries};
    struct moot_post post = {.to = from, .message = &message, .parts = parts, .part_count = count};
    moot_outbox_post(group->context->outbox, &post);
}
