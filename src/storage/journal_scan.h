/* Reading segments, without judgement: every header that stands, in every segment file. */
#ifndef MOOT_STORAGE_JOURNAL_SCAN_H
#define MOOT_STORAGE_JOURNAL_SCAN_H

#include "storage/journal_format.h"

/* A batch whose header stands. Small: a full journal has 200,000 of them. */
struct journal_found {
    uint64_t batch, epoch, epoch_start, offset, chain, checksum, durable;
    uint64_t first_generation, first_batch;
    uint32_t file, length, header_size, records_size, record_count, flags;
    bool body;   /* The body stands. */
    bool linked; /* The chain does not contradict the batch before. Set by the judge. */
};

struct journal_file {
    uint64_t generation, size; /* size: whole blocks */
    uint64_t real_size;
    bool touched; /* A damaged header of this generation was seen. */
};

struct journal_scan {
    struct moot_disk *disk;
    struct journal_file *files; /* By generation. */
    uint32_t file_count;
    struct journal_found *found; /* By file and offset. */
    size_t found_count, found_capacity;
    /* A window onto one file. */
    uint8_t *memory, *window;
    uint64_t window_capacity, window_offset, window_size;
    uint32_t window_file;
};

/* Reads everything; changes nothing. MOOT_EIO, MOOT_EVERSION. End it in any case. */
int journal__scan_begin(struct journal_scan *scan, struct moot_disk *disk) MOOT_MUST_USE;
void journal__scan_end(struct journal_scan *scan);
/* `size` bytes of a file, whole blocks, valid until the next call. */
int journal__scan_read(struct journal_scan *scan, uint32_t file, uint64_t offset, uint64_t size,
                       const uint8_t **bytes) MOOT_MUST_USE;

#endif
