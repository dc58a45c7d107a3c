/* Entries carried forward, so that a full journal can always give back its oldest segment.
 *
 * What a group has not executed yet keeps the segment that it lies in, and all behind it: a flush
 * frees only what was executed. While a group has no leader that may last for ever, and the other
 * group fills the journal meanwhile; then no new term could become durable either, and there would
 * never be a leader (moot sim found that, with a whole majority of such nodes). So the log from the
 * first entry that is needed is written again, in one batch: that makes the old copy void.
 *
 * The batch is whole or not there at all, and says what the journal said already: it needs no
 * number, and nobody waits for it. Entries whose truncation waits in the outbox are left out: their
 * leader was followed by one without them, so they were not committed (paper 5.4.3), and may go a
 * little early. */
#include "base/assert.h"
#include "base/rule.h"
#include "database/group/group.h"

void moot_group_free(struct moot_group *group, struct moot_journal *journal)
{
    /* A suffix of another history may lie above a snapshot that the journal does not know of: with
     * the entry at its index would go the knowledge that they differ. */
    bool knows = moot_outbox_first_waiting(group->context->outbox, group->id) != 0;
    if (!group->install.active && knows) {
        moot_journal_free(journal, group->id, group->flushed);
    }
}

void group__record_snapshot(struct moot_group *group)
{
    struct moot_buffer members;
    moot_buffer_init(&members);
    moot_members_encode(&group->applied_members, &members);
    struct moot_record record = {.kind = MOOT_RECORD_SNAPSHOT,
                                 .group = group->id,
                                 .index = group->applied,
                                 .term = group->applied_term,
                                 .voids = true,
                                 .bytes = moot_buffer_slice(&members)};
    moot_outbox_record(group->context->outbox, &record, NULL);
    moot_buffer_deinit(&members);
}

size_t moot_group_restate(struct moot_group *group, struct moot_journal *journal,
                          struct moot_record *out)
{
    moot_index waiting = moot_outbox_first_waiting(group->context->outbox, group->id);
    moot_index first = group->flushed + 1;
    if (group->install.active || waiting == 0 || group->holes.repairs) {
        return 0; /* Or what stands behind a hole would be void. */
    }
    if (group->log.count > MOOT_LOG_ENTRIES_MAX) {
        return 0; /* Of a restart that took up more: part of it would void the rest. */
    }
    moot_group_free(group, journal);
    size_t count = 0;
    for (moot_index index = first; index < waiting; index++) {
        const struct moot_log_entry *entry = moot_log_at(&group->log, index);
        if (entry == NULL) {
            break; /* The end; or the first was let go already, and a flush frees it. */
        }
        MOOT_ASSERT(count < MOOT_LOG_ENTRIES_MAX);
        out[count++] = (struct moot_record){.kind = MOOT_RECORD_ENTRY,
                                            .group = group->id,
                                            .index = index,
                                            .term = entry->term,
                                            .entry_kind = (uint8_t)entry->kind,
                                            .bytes = moot_block_slice(entry->block)};
    }
    return count;
}
