/* Which segment holds what, and which can go.
 *
 * A segment can be retired when it is the oldest and holds no entry that is needed: each is below
 * what its group freed, or void because a later record overwrote it. Hard states, snapshots and the
 * identity do not hold a segment: the batch that retires it carries them. Order matters: first that
 * batch is durable, then the file is written over. */
#include "storage/journal_internal.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/rule.h"

struct journal_group *journal__group(struct moot_journal *journal, moot_group_id id)
{
    uint32_t low = 0, high = journal->group_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (journal->groups[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < journal->group_count && journal->groups[low].id == id) {
        return &journal->groups[low];
    }
    if (journal->group_count == journal->group_capacity) {
        journal->group_capacity = journal->group_capacity * 2 + 4;
        journal->groups =
            moot_realloc(journal->groups, journal->group_capacity * sizeof(journal->groups[0]));
    }
    struct journal_group *group = &journal->groups[low];
    memmove(group + 1, group, (journal->group_count - low) * sizeof(*group));
    *group = (struct journal_group){.id = id};
    journal->group_count++;
    return group;
}

static const struct journal_group *find_group(const struct moot_journal *journal, moot_group_id id)
{
    for (uint32_t i = 0; i < journal->group_count; i++) {
        if (journal->groups[i].id == id) {
            return &journal->groups[i];
        }
    }
    return NULL;
}

struct journal_segment *journal__segment_add(struct moot_journal *journal, uint64_t generation,
                                             uint64_t size, uint64_t first_batch)
{
    MOOT_ASSERT(journal->segment_count == 0 ||
                journal->segments[journal->segment_count - 1].generation < generation);
    MOOT_ASSERT(size % MOOT_JOURNAL_ALIGN == 0);
    journal->segments = moot_realloc(journal->segments,
                                     (journal->segment_count + 1) * sizeof(journal->segments[0]));
    struct journal_segment *segment = &journal->segments[journal->segment_count++];
    *segment = (struct journal_segment){
        .generation = generation, .size = size, .first_batch = first_batch};
    return segment;
}

void journal__spare_add(struct moot_journal *journal, const char *name)
{
    MOOT_ASSERT(strlen(name) < JOURNAL_NAME_BYTES);
    journal->spares =
        moot_realloc(journal->spares, (journal->spare_count + 1) * sizeof(journal->spares[0]));
    struct journal_spare *spare = &journal->spares[journal->spare_count++];
    *spare = (struct journal_spare){{0}};
    memcpy(spare->name, name, strlen(name));
}

static struct journal_held *held_of(struct journal_segment *segment, moot_group_id group)
{
    for (uint32_t i = 0; i < segment->held_count; i++) {
        if (segment->held[i].group == group) {
            return &segment->held[i];
        }
    }
    return NULL;
}

static void hold(struct journal_segment *segment, moot_group_id group, moot_index last)
{
    struct journal_held *held = held_of(segment, group);
    if (held == NULL) {
        if (segment->held_count == segment->held_capacity) {
            segment->held_capacity = segment->held_capacity * 2 + 2;
            segment->held =
                moot_realloc(segment->held, segment->held_capacity * sizeof(segment->held[0]));
        }
        held = &segment->held[segment->held_count++];
    }
    *held = (struct journal_held){group, last};
}

/* An entry at `index` makes void whatever was written at or above it; so may a snapshot below. */
static void cut_held(struct moot_journal *journal, moot_group_id group, moot_index index)
{
    for (uint32_t i = 0; i < journal->segment_count; i++) {
        struct journal_held *held = held_of(&journal->segments[i], group);
        if (held != NULL && held->last >= index) {
            held->last = index == 0 ? 0 : index - 1;
            MOOT_SOMETIMES(i + 1 < journal->segment_count, "journal: entries in an older segment "
                                                           "became void");
        }
    }
}

void journal__account(struct moot_journal *journal, struct journal_segment *segment,
                      const struct moot_record *record)
{
    if (record->kind == MOOT_RECORD_IDENTITY) {
        moot_buffer_reset(&journal->identity, SIZE_MAX);
        moot_buffer_append_slice(&journal->identity, record->bytes);
        journal->has_identity = true;
        return;
    }
    struct journal_group *group = journal__group(journal, record->group);
    switch (record->kind) {
    case MOOT_RECORD_HARD_STATE:
        group->hard = *record;
        group->hard.bytes = (struct moot_slice){NULL, 0};
        group->hard_generation = segment->generation;
        break;
    case MOOT_RECORD_ENTRY:
        if (record->index <= group->last) {
            cut_held(journal, record->group, record->index);
        }
        group->last = record->index;
        if (record->index <= group->freed) {
            group->freed = record->index - 1; /* Its store began again: it is needed once more. */
        }
        hold(segment, record->group, record->index);
        break;
    case MOOT_RECORD_SNAPSHOT:
        moot_buffer_reset(&group->members, SIZE_MAX);
        moot_buffer_append_slice(&group->members, record->bytes);
        group->snapshot = *record;
        group->snapshot.voids = false; /* Carried on, it is older than all that stands. */
        group->snapshot.bytes = moot_buffer_slice(&group->members);
        group->snapshot_generation = segment->generation;
        group->freed = record->index;
        if (record->voids) {
            cut_held(journal, record->group, record->index + 1);
        }
        break;
    case MOOT_RECORD_FREED:
        group->freed = record->index;
        break;
    case MOOT_RECORD_IDENTITY:
        break;
    }
}

/* The first entry of a segment that is still needed; NULL: none is. */
static const struct journal_held *needed(const struct moot_journal *journal,
                                         const struct journal_segment *segment)
{
    for (uint32_t i = 0; i < segment->held_count; i++) {
        const struct journal_held *held = &segment->held[i];
        const struct journal_group *group = find_group(journal, held->group);
        MOOT_ASSERT(group != NULL);
        moot_index freed = moot_max_u64(group->freed, group->frees);
        moot_index last = held->last;
        if (group->cut != 0 && last >= group->cut) {
            last = group->cut - 1;
        }
        if (!MOOT_RULE(journal_free_only_below, last <= freed)) {
            return held;
        }
    }
    return NULL;
}

uint32_t journal__retired(const struct moot_journal *journal)
{
    uint32_t count = 0;
    while (count < journal->segment_count && journal->segments[count].retired_by != 0) {
        count++;
    }
    return count;
}

uint32_t journal__retirable(const struct moot_journal *journal)
{
    bool impaired = journal->lost.every || journal->lost.count > 0;
    if (!MOOT_RULE(journal_rot_holds_segments, !impaired)) {
        return 0;
    }
    uint32_t retired = journal__retired(journal), count = 0;
    while (retired + count + 1 < journal->segment_count &&
           needed(journal, &journal->segments[retired + count]) == NULL) {
        count++;
    }
    return count;
}

void journal__recycle(struct moot_journal *journal)
{
    uint32_t count = 0, retired = journal__retired(journal);
    while (count < retired && MOOT_RULE(journal_recycle_after_durable,
                                        journal->segments[count].retired_by <= journal->durable)) {
        struct journal_segment *segment = &journal->segments[count];
        char name[JOURNAL_NAME_BYTES];
        journal_name_put(name, segment->generation);
        if (segment->size == journal->options.segment_bytes) {
            journal__spare_add(journal, name);
        }
        moot_free(segment->held);
        count++;
    }
    if (count > 0) {
        journal->segment_count -= count;
        memmove(journal->segments, journal->segments + count,
                journal->segment_count * sizeof(journal->segments[0]));
        MOOT_SOMETIMES(true, "journal: a segment was recycled");
    }
}

void moot_journal_free(struct moot_journal *journal, moot_group_id group, moot_index index)
{
    struct journal_group *known = journal__group(journal, group);
    known->freed = moot_max_u64(known->freed, index);
}

uint64_t moot_journal_repaired(struct moot_journal *journal, moot_group_id group)
{
    struct journal_loss_set *lost = &journal->lost;
    if (group == JOURNAL_EVERY_GROUP) {
        *lost = (struct journal_loss_set){.count = 0};
    }
    for (uint32_t i = 0; i < lost->count; i++) {
        if (lost->groups[i] == group) {
            lost->groups[i] = lost->groups[--lost->count];
            break;
        }
    }
    /* On to a new segment, so that the one with the loss can be retired before it is full. */
    if (lost->every || lost->count > 0 || journal->segment_count == 0) {
        return 0;
    }
    struct journal_segment *current = &journal->segments[journal->segment_count - 1];
    current->used = current->size;
    return current->generation;
}

uint64_t moot_journal_turn_over(struct moot_journal *journal)
{
    journal->turning = true;
    if (journal->segment_count == 0) {
        return 0;
    }
    struct journal_segment *current = &journal->segments[journal->segment_count - 1];
    current->used = current->size;
    return current->generation;
}

void moot_journal_turn_back(struct moot_journal *journal) { journal->turning = false; }

bool moot_journal_is_past(struct moot_journal *journal, uint64_t generation, uint64_t durable,
                          bool *wants_batch)
{
    MOOT_ASSERT(durable < journal->next_batch);
    journal->durable = moot_max_u64(journal->durable, durable);
    journal__recycle(journal);
    *wants_batch = false;
    if (journal->segment_count == 0 || journal->segments[0].generation > generation) {
        return true;
    }
    const struct journal_segment *current = &journal->segments[journal->segment_count - 1];
    *wants_batch = current->generation <= generation || journal__retirable(journal) > 0;
    return false;
}

bool moot_journal_take_spare(struct moot_journal *journal, char name[32])
{
    if (journal->spare_count == 0) {
        return false;
    }
    memcpy(name, journal->spares[--journal->spare_count].name, JOURNAL_NAME_BYTES);
    return true;
}

bool moot_journal_oldest(const struct moot_journal *journal, moot_group_id *group, moot_index *last)
{
    uint32_t first = journal__retired(journal) + journal__retirable(journal);
    if (first + 1 >= journal->segment_count) {
        return false;
    }
    const struct journal_held *held = needed(journal, &journal->segments[first]);
    if (held == NULL) {
        return false; /* Rot holds it. */
    }
    *group = held->group;
    *last = held->last;
    return true;
}

uint64_t moot_journal_bytes(const struct moot_journal *journal)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < journal->segment_count; i++) {
        bytes += journal->segments[i].size;
    }
    return bytes;
}
