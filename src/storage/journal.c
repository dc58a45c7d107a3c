/* Laying out batches. One pass over the records' fields to learn sizes and spans, one copy of their
 * bytes, one checksum over the result: it runs every turn. */
#include "storage/journal_internal.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/rule.h"
#include "base/status.h"

/* The end of each segment is kept for a closing mark, so that an open can always make its cut
 * durable, on a full disk too. */
enum { RESERVE_BYTES = MOOT_JOURNAL_ALIGN };

/* A batch being put together. */
struct layout {
    struct moot_journal *journal;
    const struct moot_record *records;
    size_t count;
    bool identity;       /* First of a segment: the identity goes in front. */
    uint32_t retire;     /* Segments that this batch retires. */
    uint64_t retire_end; /* Newest generation among them; 0: none. */
    struct moot_record identity_record;
    struct journal_span spans[JOURNAL_SPANS_MAX];
    uint32_t span_count, span_recent, flags, record_count;
    uint64_t records_size, length;
};

/* A snapshot, too: when it is lost nobody knows what it made void. But not one that is carried
 * forward: what it made void has gone. */
static bool has_index(const struct moot_record *record, bool carried)
{
    return record->kind == MOOT_RECORD_ENTRY || (record->kind == MOOT_RECORD_SNAPSHOT && !carried);
}

static void plan_span(struct layout *l, const struct moot_record *record, bool carried)
{
    uint32_t at = l->span_recent;
    if (at >= l->span_count || l->spans[at].group != record->group) {
        for (at = 0; at < l->span_count && l->spans[at].group != record->group;) {
            at++;
        }
    }
    if (at == JOURNAL_SPANS_MAX) { /* Too many to name: then all of them. */
        l->spans[0].group = JOURNAL_EVERY_GROUP;
        at = 0;
    } else if (at == l->span_count) {
        l->spans[l->span_count++] = (struct journal_span){record->group, 0, 0};
    }
    l->span_recent = at;
    struct journal_span *span = &l->spans[at];
    if (has_index(record, carried)) {
        span->first = span->first == 0 ? record->index : moot_min_u64(span->first, record->index);
        span->last = moot_max_u64(span->last, record->index);
    }
}

static void plan_record(struct layout *l, const struct moot_record *record, bool carried)
{
    l->records_size += journal_record_size(record);
    l->record_count++;
    if (record->kind == MOOT_RECORD_IDENTITY) {
        l->flags |= JOURNAL_HAS_IDENTITY;
    } else {
        plan_span(l, record, carried);
    }
}

static bool carries_hard(const struct layout *l, const struct journal_group *group)
{
    return group->hard_generation != 0 &&
           !MOOT_RULE(journal_carry_forward, group->hard_generation > l->retire_end);
}

static bool carries_snapshot(const struct layout *l, const struct journal_group *group)
{
    return group->snapshot_generation != 0 &&
           !MOOT_RULE(journal_carry_forward, group->snapshot_generation > l->retire_end);
}

/* With the segments go entries: the batch says up to which. */
static bool says_freed(const struct journal_group *group, struct moot_record *record)
{
    *record =
        (struct moot_record){.kind = MOOT_RECORD_FREED, .group = group->id, .index = group->freed};
    return group->freed > 0;
}

/* Sizes and spans of the batch as it would be with `retire` and `identity`. */
static void plan(struct layout *l, uint32_t retire, bool identity)
{
    struct moot_journal *journal = l->journal;
    uint32_t retired = journal__retired(journal);
    l->retire = retire;
    l->retire_end = retire == 0 ? 0 : journal->segments[retired + retire - 1].generation;
    l->identity = identity && journal->has_identity;
    l->span_count = l->span_recent = l->flags = l->record_count = 0;
    l->records_size = 0;
    if (l->identity) {
        plan_record(l, &l->identity_record, false);
    }
    for (uint32_t i = 0; l->retire_end != 0 && i < journal->group_count; i++) {
        const struct journal_group *group = &journal->groups[i];
        if (carries_hard(l, group)) {
            plan_record(l, &group->hard, true);
            l->flags |= JOURNAL_HAS_CARRIED;
        }
        if (carries_snapshot(l, group)) {
            plan_record(l, &group->snapshot, true);
            l->flags |= JOURNAL_HAS_CARRIED;
        }
        struct moot_record freed;
        if (says_freed(group, &freed)) {
            plan_record(l, &freed, false);
        }
    }
    for (size_t i = 0; i < l->count; i++) {
        plan_record(l, &l->records[i], false);
    }
    l->length = journal_align(journal_header_size(l->span_count) + l->records_size);
}

/* A file for the next segment. The last one is kept for a batch that gives another back: without it
 * a full journal could never say what it has freed. A start is not refused: its batch says who the
 * node is now, and a node that could not write it would never come to free anything. */
static int take_file(struct moot_journal *journal, const struct layout *l,
                     struct moot_journal_write *where)
{
    bool gives_back = l->retire > 0 || journal__retired(journal) > 0;
    uint32_t limit = journal->options.segments_max - (gives_back ? 0 : 1);
    bool starts = l->count > 0 && l->records[0].kind == MOOT_RECORD_IDENTITY;
    /* Starts may have taken the last one, and more: then a batch that retires as much as it takes
     * is the way back. */
    bool shrinks = l->retire > 0 && (journal->segment_count > journal->options.segments_max ||
                                     journal__retired(journal) == 0);
    if (journal->segment_count >= limit && !journal->opening && !starts && !shrinks) {
        MOOT_SOMETIMES(true, "journal: all segments are in use");
        return MOOT_FAIL(MOOT_ENOSPACE);
    }
    where->creates_segment = true;
    if (journal->spare_count > 0 && !journal->turning) {
        memcpy(where->recycles, journal->spares[--journal->spare_count].name,
               sizeof(where->recycles));
    }
    return MOOT_OK;
}

/* The batch may itself free the segments that it retires: it is whole on the disk, or not there. */
static uint32_t retirable_with(struct moot_journal *journal, const struct layout *l)
{
    if (journal->opening) {
        return 0;
    }
    for (size_t i = 0; i < l->count; i++) {
        const struct moot_record *record = &l->records[i];
        if (record->kind == MOOT_RECORD_ENTRY) {
            struct journal_group *group = journal__group(journal, record->group);
            group->cut = group->cut == 0 ? record->index : moot_min_u64(group->cut, record->index);
        } else if (record->kind == MOOT_RECORD_SNAPSHOT) {
            struct journal_group *group = journal__group(journal, record->group);
            group->frees = moot_max_u64(group->frees, record->index);
            if (record->voids) {
                moot_index above = record->index + 1;
                group->cut = group->cut == 0 ? above : moot_min_u64(group->cut, above);
            }
        }
    }
    uint32_t retirable = journal__retirable(journal);
    for (uint32_t i = 0; i < journal->group_count; i++) {
        journal->groups[i].cut = journal->groups[i].frees = 0;
    }
    return retirable;
}

/* Decides where the batch goes, and what it carries. Nothing has changed when it fails. */
static int place(struct layout *l, struct moot_journal_write *where)
{
    struct moot_journal *journal = l->journal;
    uint32_t retirable = retirable_with(journal, l);
    uint64_t room = 0;
    if (journal->segment_count > 0) {
        const struct journal_segment *current = &journal->segments[journal->segment_count - 1];
        MOOT_ASSERT(current->used <= current->size);
        room = current->size - current->used;
    }
    plan(l, retirable, room > 0 && journal->segments[journal->segment_count - 1].used == 0);
    if ((l->record_count > 0 || retirable > 0) && l->length + RESERVE_BYTES <= room) {
        return MOOT_OK;
    }
    if (l->count == 0 && room >= RESERVE_BYTES) {
        plan(l, 0, false);
        MOOT_ASSERT(l->length == RESERVE_BYTES);
        return MOOT_OK;
    }
    plan(l, retirable, true);
    if (l->length + RESERVE_BYTES > journal->options.segment_bytes && retirable > 0) {
        plan(l, 0, true);
    }
    if (l->length + RESERVE_BYTES > journal->options.segment_bytes) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    return take_file(journal, l, where);
}

/* The segment that takes the batch, with this batch's retirements done. */
static struct journal_segment *enter(struct layout *l, const struct moot_journal_write *where)
{
    struct moot_journal *journal = l->journal;
    uint32_t retired = journal__retired(journal);
    for (uint32_t i = 0; i < l->retire; i++) {
        journal->segments[retired + i].retired_by = journal->next_batch;
    }
    if (where->creates_segment) {
        journal__segment_add(journal, journal->next_generation++, journal->options.segment_bytes,
                             journal->next_batch);
    }
    MOOT_ASSERT(retired + l->retire < journal->segment_count);
    if (l->retire > 0 || journal->first_generation == 0) {
        const struct journal_segment *first = &journal->segments[retired + l->retire];
        MOOT_ASSERT(first->first_batch >= journal->first_batch);
        journal->first_generation = first->generation;
        journal->first_batch = first->first_batch;
    }
    return &journal->segments[journal->segment_count - 1];
}

/* Writes records behind the header, and takes them into account. */
static void fill(struct layout *l, uint8_t *block, struct journal_segment *segment)
{
    struct moot_journal *journal = l->journal;
    size_t header_size = journal_header_size(l->span_count);
    uint8_t *at = block + header_size;
    if (l->identity) {
        at = journal_record_put(at, &l->identity_record, false);
    }
    for (uint32_t i = 0; l->retire_end != 0 && i < journal->group_count; i++) {
        struct journal_group *group = &journal->groups[i];
        if (carries_hard(l, group)) {
            at = journal_record_put(at, &group->hard, true);
            group->hard_generation = segment->generation;
        }
        if (carries_snapshot(l, group)) {
            at = journal_record_put(at, &group->snapshot, true);
            group->snapshot_generation = segment->generation;
        }
        struct moot_record freed;
        if (says_freed(group, &freed)) {
            at = journal_record_put(at, &freed, false);
        }
    }
    for (size_t i = 0; i < l->count; i++) {
        at = journal_record_put(at, &l->records[i], false);
        journal__account(journal, segment, &l->records[i]);
    }
    MOOT_ASSERT((size_t)(at - block) == header_size + l->records_size);
    memset(at, 0, (size_t)(l->length - (uint64_t)(at - block)));
}

static void seal(struct layout *l, uint8_t *block, struct journal_segment *segment)
{
    struct moot_journal *journal = l->journal;
    if (journal->epoch_start == 0) {
        journal->epoch_start = journal->next_batch;
    }
    size_t header_size = journal_header_size(l->span_count);
    uint32_t mask = journal_mask_choose(block, (size_t)l->length);
    journal_mask_apply(block, (size_t)l->length, mask);
    l->flags |= mask << JOURNAL_MASK_SHIFT;
    l->flags |= journal->whole << JOURNAL_WHOLE_SHIFT;
    struct journal_header header = {
        .generation = segment->generation,
        .offset = segment->used,
        .batch = journal->next_batch,
        .length = l->length,
        .body_checksum = journal_body_sum(block, header_size, (size_t)l->length),
        .chain = journal->chain,
        .durable = journal->durable,
        .epoch = journal->epoch,
        .epoch_start = journal->epoch_start,
        .first_generation = journal->first_generation,
        .first_batch = journal->first_batch,
        .records_size = (uint32_t)l->records_size,
        .record_count = l->record_count,
        .span_count = l->span_count,
        .flags = l->flags,
        .header_size = (uint32_t)header_size,
    };
    journal_header_put(block, &header, l->spans);
    segment->used += l->length;
    journal->chain = header.checksum;
    journal->next_batch++;
}

int moot_journal_layout(struct moot_journal *journal, const struct moot_record *records,
                        size_t count, uint64_t durable, struct moot_buffer *out,
                        struct moot_journal_write *where)
{
    MOOT_ASSERT(durable < journal->next_batch);
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += journal_record_size(&records[i]);
    }
    if (bytes > MOOT_JOURNAL_BATCH_BYTES_MAX) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    journal->durable = moot_max_u64(journal->durable, durable);
    journal__recycle(journal);

    struct layout l = {.journal = journal, .records = records, .count = count};
    l.identity_record = (struct moot_record){.kind = MOOT_RECORD_IDENTITY,
                                             .bytes = moot_buffer_slice(&journal->identity)};
    *where = (struct moot_journal_write){.batch = journal->next_batch};
    int status = place(&l, where);
    if (status != MOOT_OK) {
        return status;
    }
    where->carries = (l.flags & JOURNAL_HAS_CARRIED) != 0;
    struct journal_segment *segment = enter(&l, where);
    journal_name_put(where->segment, segment->generation);
    where->offset = segment->used;
    out->size = 0;
    uint8_t *block = moot_buffer_reserve(out, (size_t)l.length);
    fill(&l, block, segment);
    seal(&l, block, segment);
    out->size = (size_t)l.length;
    return MOOT_OK;
}

int moot_journal_write_now(struct moot_disk *disk, uint64_t segment_bytes,
                           const struct moot_journal_write *where, const void *bytes, size_t size)
{
    MOOT_ASSERT(size > 0 && size % MOOT_JOURNAL_ALIGN == 0);
    MOOT_ASSERT(where->offset + size <= segment_bytes || !where->creates_segment);
    int status = MOOT_OK;
    if (where->creates_segment && where->recycles[0] != 0) {
        status = disk->ops->rename(disk, where->recycles, where->segment);
    } else if (where->creates_segment) {
        status = disk->ops->create(disk, where->segment, segment_bytes);
    }
    if (status != MOOT_OK) {
        return status;
    }
    return disk->ops->write(disk, where->segment, where->offset, bytes, size);
}

void moot_journal_whole(struct moot_journal *journal, uint32_t groups)
{
    MOOT_ASSERT(groups < 1u << MOOT_JOURNAL_WHOLE_MAX);
    journal->whole = groups;
}

uint64_t moot_journal_last(const struct moot_journal *journal) { return journal->next_batch - 1; }

void moot_journal_close(struct moot_journal *journal)
{
    for (uint32_t i = 0; i < journal->segment_count; i++) {
        moot_free(journal->segments[i].held);
    }
    for (uint32_t i = 0; i < journal->group_count; i++) {
        moot_buffer_deinit(&journal->groups[i].members);
    }
    moot_buffer_deinit(&journal->identity);
    moot_free(journal->segments);
    moot_free(journal->spares);
    moot_free(journal->groups);
    moot_free(journal);
}
