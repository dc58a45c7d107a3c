/* What the parts of the journal share: journal.c lays batches out, journal_account.c knows which
 * segment holds what, journal_scan.c reads segments, journal_recover.c judges and opens. */
#ifndef MOOT_STORAGE_JOURNAL_INTERNAL_H
#define MOOT_STORAGE_JOURNAL_INTERNAL_H

#include "storage/journal_format.h"

/* The greatest index of a group's entries in a segment that are not void. */
struct journal_held {
    moot_group_id group;
    moot_index last;
};

/* A file with batches in it. */
struct journal_segment {
    uint64_t generation, size;
    uint64_t used; /* Bytes taken by batches; the next one goes there. */
    uint64_t first_batch;
    uint64_t retired_by; /* The batch that carries its rest and declares it gone; 0: none yet. */
    struct journal_held *held;
    uint32_t held_count, held_capacity;
};

/* A file without live batches, waiting to be renamed. */
struct journal_spare {
    char name[JOURNAL_NAME_BYTES];
};

/* What the journal must not lose of a group when segments are retired. */
struct journal_group {
    moot_group_id id;
    moot_index freed; /* Entries at or below are not needed. */
    moot_index last;  /* Of the newest entry. */
    /* What the batch being laid out does by itself: its least entry makes void what lies at or
     * above `cut` (0: nothing), and its snapshot frees up to `frees`. */
    moot_index cut, frees;
    /* Generations of the segments with the newest of each; 0: never written. */
    uint64_t hard_generation, snapshot_generation;
    struct moot_record hard, snapshot; /* snapshot.bytes is in `members` */
    struct moot_buffer members;
};

struct moot_journal {
    struct moot_journal_options options;
    /* Oldest first; the last is the one being written. Retired ones are at the front. */
    struct journal_segment *segments;
    uint32_t segment_count;
    struct journal_spare *spares;
    uint32_t spare_count;
    struct journal_group *groups; /* Sorted by id. */
    uint32_t group_count, group_capacity;
    struct moot_buffer identity;
    bool has_identity;
    /* Who lost something to rot and is not repaired yet: until then nothing is retired, because
     * with the first segment would go the knowledge of the loss. */
    struct journal_loss_set {
        moot_group_id groups[MOOT_JOURNAL_LOSSES_MAX];
        uint32_t count;
        bool every;
    } lost;
    uint32_t whole; /* Bits of groups, for the next batch. */
    bool turning;   /* No file is recycled. */
    bool opening;   /* Only open's mark is written: it retires nothing, and knows no limit. */
    uint64_t next_batch, next_generation;
    uint64_t chain; /* Header checksum of the last batch; 0: none, or not known. */
    uint64_t durable;
    uint64_t epoch, epoch_start; /* epoch_start 0: the next batch starts it. */
    /* What the next header will call the first. Behind the segments only when rot took those at the
     * front; 0: there is none yet. */
    uint64_t first_generation, first_batch;
};

/* journal_account.c */
struct journal_group *journal__group(struct moot_journal *journal, moot_group_id id);
struct journal_segment *journal__segment_add(struct moot_journal *journal, uint64_t generation,
                                             uint64_t size, uint64_t first_batch);
void journal__spare_add(struct moot_journal *journal, const char *name);
/* `record` now stands in `segment`, the newest. */
void journal__account(struct moot_journal *journal, struct journal_segment *segment,
                      const struct moot_record *record);
/* How many segments at the front hold nothing that is needed, after those already retired. */
uint32_t journal__retirable(const struct moot_journal *journal);
uint32_t journal__retired(const struct moot_journal *journal);
/* Retired segments whose successor is durable become spares. */
void journal__recycle(struct moot_journal *journal);

#endif
