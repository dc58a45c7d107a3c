#include "storage/journal_scan.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/rule.h"
#include "base/status.h"

enum {
    WINDOW_BYTES = 4 * 1024 * 1024, /* Large enough to read at a disk's full speed. */
    WINDOW_FIRST = 64 * 1024,       /* Doubled by each read that goes on where one ended. */
};

static void window_grow(struct journal_scan *scan, uint64_t capacity)
{
    if (capacity <= scan->window_capacity) {
        return;
    }
    moot_free(scan->memory);
    scan->memory = moot_alloc((size_t)capacity + MOOT_JOURNAL_ALIGN);
    uintptr_t misaligned = (uintptr_t)scan->memory % MOOT_JOURNAL_ALIGN;
    scan->window = scan->memory + (misaligned == 0 ? 0 : MOOT_JOURNAL_ALIGN - misaligned);
    scan->window_capacity = capacity;
    scan->window_size = 0;
}

int journal__scan_read(struct journal_scan *scan, uint32_t file, uint64_t offset, uint64_t size,
                       const uint8_t **bytes)
{
    MOOT_ASSERT(file < scan->file_count);
    MOOT_ASSERT(offset <= scan->files[file].size && size <= scan->files[file].size - offset);
    bool inside = scan->window_size > 0 && scan->window_file == file &&
                  offset >= scan->window_offset &&
                  offset + size <= scan->window_offset + scan->window_size;
    if (!inside) {
        bool goes_on = scan->window_size > 0 && scan->window_file == file &&
                       offset > scan->window_offset &&
                       offset <= scan->window_offset + scan->window_size;
        uint64_t want = goes_on ? moot_min_u64(2 * scan->window_size, WINDOW_BYTES) : WINDOW_FIRST;
        uint64_t rest = scan->files[file].size - offset;
        uint64_t take = moot_min_u64(moot_max_u64(size, want), rest);
        window_grow(scan, take);
        char name[JOURNAL_NAME_BYTES];
        journal_name_put(name, scan->files[file].generation);
        scan->window_size = 0;
        int status = scan->disk->ops->read(scan->disk, name, offset, scan->window, (size_t)take);
        if (status != MOOT_OK) {
            return status;
        }
        scan->window_file = file;
        scan->window_offset = offset;
        scan->window_size = take;
    }
    *bytes = scan->window + (offset - scan->window_offset);
    return MOOT_OK;
}

static void each_name(void *context, const char *name)
{
    struct journal_scan *scan = context;
    uint64_t generation = 0;
    if (!journal_name_get(name, &generation)) {
        return;
    }
    scan->files = moot_realloc(scan->files, (scan->file_count + 1) * sizeof(scan->files[0]));
    /* Names come sorted, and sort as their generations. */
    MOOT_ASSERT(scan->file_count == 0 || scan->files[scan->file_count - 1].generation < generation);
    scan->files[scan->file_count++] = (struct journal_file){.generation = generation};
}

static struct journal_found *found_add(struct journal_scan *scan)
{
    if (scan->found_count == scan->found_capacity) {
        scan->found_capacity = scan->found_capacity * 2 + 64;
        scan->found =
            moot_realloc(scan->found, scan->found_capacity * sizeof(struct journal_found));
    }
    return &scan->found[scan->found_count++];
}

static int note_batch(struct journal_scan *scan, uint32_t file, const struct journal_header *header)
{
    const uint8_t *batch = NULL;
    int status = journal__scan_read(scan, file, header->offset, header->length, &batch);
    if (status != MOOT_OK) {
        return status;
    }
    uint64_t sum = journal_body_sum(batch, header->header_size, (size_t)header->length);
    *found_add(scan) = (struct journal_found){
        .batch = header->batch,
        .epoch = header->epoch,
        .epoch_start = header->epoch_start,
        .offset = header->offset,
        .chain = header->chain,
        .checksum = header->checksum,
        .durable = header->durable,
        .first_generation = header->first_generation,
        .first_batch = header->first_batch,
        .file = file,
        .length = (uint32_t)header->length,
        .header_size = header->header_size,
        .records_size = header->records_size,
        .record_count = header->record_count,
        .flags = header->flags,
        .body = MOOT_RULE(journal_body_checksum, sum == header->body_checksum),
        .linked = true,
    };
    return MOOT_OK;
}

/* Whether the next file starts with the batch after the last one found: then nothing that counts
 * can be behind it, and the rest of this file need not be read. */
static int goes_on(struct journal_scan *scan, uint32_t file, bool *yes)
{
    *yes = false;
    if (file + 1 >= scan->file_count || scan->found_count == 0 ||
        scan->files[file + 1].size < MOOT_JOURNAL_ALIGN) {
        return MOOT_OK;
    }
    const struct journal_found *last = &scan->found[scan->found_count - 1];
    const struct journal_file *next = &scan->files[file + 1];
    const uint8_t *block = NULL;
    int status = journal__scan_read(scan, file + 1, 0, MOOT_JOURNAL_ALIGN, &block);
    if (status != MOOT_OK) {
        return status;
    }
    struct journal_header header;
    *yes = last->file == file &&
           journal_header_get(block, next->generation, 0, next->size, &header) == JOURNAL_GOOD &&
           header.batch == last->batch + 1 && header.chain == last->checksum;
    return MOOT_OK;
}

/* A bad batch does not end the walk: it goes on to the next aligned header of the generation. */
static int scan_file(struct journal_scan *scan, uint32_t file)
{
    struct journal_file *of = &scan->files[file];
    bool asked = false;
    for (uint64_t offset = 0; offset + MOOT_JOURNAL_ALIGN <= of->size;) {
        const uint8_t *block = NULL;
        int status = journal__scan_read(scan, file, offset, MOOT_JOURNAL_ALIGN, &block);
        if (status != MOOT_OK) {
            return status;
        }
        struct journal_header header;
        enum journal_verdict verdict =
            journal_header_get(block, of->generation, offset, of->size, &header);
        if (verdict == JOURNAL_NEWER) {
            return MOOT_FAIL(MOOT_EVERSION);
        }
        if (verdict == JOURNAL_GOOD) {
            status = note_batch(scan, file, &header);
            if (status != MOOT_OK) {
                return status;
            }
            offset += header.length;
            continue;
        }
        MOOT_SOMETIMES(verdict == JOURNAL_OLDER, "journal: passed a batch of an older generation");
        of->touched = of->touched || verdict == JOURNAL_DAMAGED;
        if (!asked) {
            asked = true;
            bool done = false;
            status = goes_on(scan, file, &done);
            if (status != MOOT_OK || done) {
                return status;
            }
        }
        offset += MOOT_JOURNAL_ALIGN;
    }
    return MOOT_OK;
}

int journal__scan_begin(struct journal_scan *scan, struct moot_disk *disk)
{
    *scan = (struct journal_scan){.disk = disk};
    int status = disk->ops->list(disk, each_name, scan);
    for (uint32_t i = 0; status == MOOT_OK && i < scan->file_count; i++) {
        char name[JOURNAL_NAME_BYTES];
        journal_name_put(name, scan->files[i].generation);
        status = disk->ops->size(disk, name, &scan->files[i].real_size);
        scan->files[i].size = scan->files[i].real_size / MOOT_JOURNAL_ALIGN * MOOT_JOURNAL_ALIGN;
    }
    for (uint32_t i = 0; status == MOOT_OK && i < scan->file_count; i++) {
        status = scan_file(scan, i);
    }
    return status;
}

void journal__scan_end(struct journal_scan *scan)
{
    moot_free(scan->files);
    moot_free(scan->found);
    moot_free(scan->memory);
    *scan = (struct journal_scan){0};
}
