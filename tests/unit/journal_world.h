/* What the journal's tests share: a journal on a simulated disk, and the list of records that came
 * back. */
#ifndef MOOT_TESTS_JOURNAL_WORLD_H
#define MOOT_TESTS_JOURNAL_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/rule.h"
#include "base/status.h"
#include "sim/disk_sim.h"
#include "storage/journal_format.h"

/* A record that came back, its bytes reduced to a hash. */
struct seen {
    struct moot_record record;
    uint64_t hash;
};

struct world {
    struct moot_disk_sim *sim;
    struct moot_disk *disk;
    struct moot_journal *journal;
    struct moot_journal_options options;
    struct moot_journal_report report;
    struct moot_buffer out;
    struct moot_journal_write where; /* Of the last batch. */
    uint64_t durable;
    struct seen *seen;
    size_t seen_count, seen_capacity;
    int status; /* Of the last open. */
};

static inline struct moot_journal_options small_options(void)
{
    return (struct moot_journal_options){.segment_bytes = 16 * MOOT_JOURNAL_ALIGN,
                                         .segments_max = 4};
}

static inline int remember(void *context, const struct moot_record *record)
{
    struct world *w = context;
    if (w->seen_count == w->seen_capacity) {
        w->seen_capacity = w->seen_capacity * 2 + 16;
        w->seen = moot_realloc(w->seen, w->seen_capacity * sizeof(w->seen[0]));
    }
    struct seen *seen = &w->seen[w->seen_count++];
    *seen = (struct seen){*record, moot_hash64(record->bytes, 7)};
    seen->record.bytes.data = NULL;
    return MOOT_OK;
}

static inline int world_open(struct world *w)
{
    w->seen_count = 0;
    w->status = moot_journal_open(w->disk, &w->options, remember, w, &w->report, &w->journal);
    w->durable = w->status == MOOT_OK ? moot_journal_last(w->journal) : 0;
    return w->status;
}

static inline void world_close(struct world *w)
{
    if (w->journal != NULL) {
        moot_journal_close(w->journal);
        w->journal = NULL;
    }
}

static inline void world_init(struct world *w, uint64_t seed)
{
    *w = (struct world){.options = small_options()};
    w->sim = moot_disk_sim_make(seed);
    w->disk = moot_disk_sim_disk(w->sim);
    moot_buffer_init(&w->out);
}

static inline void world_deinit(struct world *w)
{
    world_close(w);
    moot_disk_sim_free(w->sim);
    moot_buffer_deinit(&w->out);
    moot_free(w->seen);
}

/* Lays out, without writing. */
static inline int world_layout(struct world *w, const struct moot_record *records, size_t count)
{
    return moot_journal_layout(w->journal, records, count, w->durable, &w->out, &w->where);
}

static inline int world_put(struct world *w)
{
    void *memory = aligned_alloc(MOOT_JOURNAL_ALIGN, w->out.size);
    memcpy(memory, w->out.data, w->out.size);
    int status =
        moot_journal_write_now(w->disk, w->options.segment_bytes, &w->where, memory, w->out.size);
    free(memory);
    return status;
}

/* One batch, durable when it returns MOOT_OK. */
static inline int world_write(struct world *w, const struct moot_record *records, size_t count)
{
    int status = world_layout(w, records, count);
    if (status == MOOT_OK) {
        status = world_put(w);
    }
    if (status == MOOT_OK) {
        w->durable = w->where.batch;
    }
    return status;
}

static inline struct moot_record entry(moot_group_id group, moot_index index, moot_term term,
                                       const char *text)
{
    return (struct moot_record){.kind = MOOT_RECORD_ENTRY,
                                .group = group,
                                .index = index,
                                .term = term,
                                .entry_kind = 1,
                                .bytes = moot_slice_text(text)};
}

static inline struct moot_record hard(moot_group_id group, moot_term term, moot_node_id vote)
{
    return (struct moot_record){
        .kind = MOOT_RECORD_HARD_STATE, .group = group, .term = term, .vote = vote};
}

static inline struct moot_record snapshot(moot_group_id group, moot_index index, moot_term term,
                                          const char *members)
{
    return (struct moot_record){.kind = MOOT_RECORD_SNAPSHOT,
                                .group = group,
                                .index = index,
                                .term = term,
                                .bytes = moot_slice_text(members)};
}

static inline struct moot_record identity(const char *text)
{
    return (struct moot_record){.kind = MOOT_RECORD_IDENTITY, .bytes = moot_slice_text(text)};
}

static inline bool is_same(const struct seen *seen, const struct moot_record *record)
{
    const struct moot_record *r = &seen->record;
    return r->kind == record->kind && r->group == record->group && r->index == record->index &&
           r->term == record->term && r->vote == record->vote &&
           r->entry_kind == record->entry_kind && r->bytes.size == record->bytes.size &&
           seen->hash == moot_hash64(record->bytes, 7);
}

#endif
