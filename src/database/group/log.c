#include "database/group/log.h"

#include "base/assert.h"
#include "base/memory.h"

enum { LOG_CAPACITY_FIRST = 1024 };

void moot_log_init(struct moot_log *log, moot_index first)
{
    *log = (struct moot_log){.first = first, .capacity = LOG_CAPACITY_FIRST};
    log->ring = moot_alloc(sizeof(*log->ring) * log->capacity);
}

static struct moot_log_entry *slot(const struct moot_log *log, moot_index index)
{
    MOOT_ASSERT(index >= log->first);
    MOOT_ASSERT(index - log->first < log->count);
    return &log->ring[(log->head + (index - log->first)) & (log->capacity - 1)];
}

void moot_log_deinit(struct moot_log *log)
{
    moot_log_truncate(log, log->first);
    moot_free(log->ring);
    *log = (struct moot_log){0};
}

static void grow(struct moot_log *log)
{
    struct moot_log_entry *ring = moot_alloc(sizeof(*ring) * log->capacity * 2);
    for (uint64_t i = 0; i < log->count; i++) {
        ring[i] = log->ring[(log->head + i) & (log->capacity - 1)];
    }
    moot_free(log->ring);
    log->ring = ring;
    log->head = 0;
    log->capacity *= 2;
}

void moot_log_append(struct moot_log *log, struct moot_block *block, moot_term term,
                     enum moot_raft_entry_kind kind)
{
    if (log->count == log->capacity) {
        grow(log);
    }
    log->count++;
    *slot(log, moot_log_last(log)) = (struct moot_log_entry){block, term, kind};
    log->bytes += block->size;
}

void moot_log_truncate(struct moot_log *log, moot_index index)
{
    MOOT_ASSERT(index >= log->first);
    while (log->count > 0 && moot_log_last(log) >= index) {
        struct moot_log_entry *entry = slot(log, moot_log_last(log));
        log->bytes -= entry->block->size;
        moot_block_release(entry->block);
        log->count--;
    }
}

void moot_log_compact(struct moot_log *log, moot_index index)
{
    while (log->count > 0 && log->first <= index) {
        struct moot_log_entry *entry = slot(log, log->first);
        log->bytes -= entry->block->size;
        moot_block_release(entry->block);
        log->head = (log->head + 1) & (log->capacity - 1);
        log->first++;
        log->count--;
    }
}

void moot_log_reset(struct moot_log *log, moot_index index)
{
    moot_log_truncate(log, log->first);
    log->first = index + 1;
    MOOT_ASSERT(log->bytes == 0);
}

const struct moot_log_entry *moot_log_at(const struct moot_log *log, moot_index index)
{
    return index < log->first || index - log->first >= log->count ? NULL : slot(log, index);
}
