/* Random bytes as a journal's folder: opening must end with a status, never with a crash, and a
 * journal that opened must take a batch and give it back.
 *
 * The first byte says how the rest is laid out: as one segment or two, raw, or with the checksums
 * of each block's header set right so that the fuzzer gets past them. */
#include <stdlib.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/status.h"
#include "sim/disk_sim.h"
#include "storage/journal_format.h"

enum { SEGMENT_BYTES = 8 * MOOT_JOURNAL_ALIGN };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct moot_slice last_bytes;
static uint8_t last_copy[64];

static int visit(void *context, const struct moot_record *record)
{
    uint64_t *sum = context;
    *sum += moot_hash64(record->bytes, record->index);
    last_bytes = (struct moot_slice){last_copy, record->bytes.size};
    if (record->bytes.size > 0 && record->bytes.size <= sizeof(last_copy)) {
        memcpy(last_copy, record->bytes.data, record->bytes.size);
    }
    return MOOT_OK;
}

static void seal(uint8_t *block, uint64_t generation)
{
    struct journal_header header;
    moot_store_le64(block, JOURNAL_MAGIC);
    moot_store_le32(block + 8, JOURNAL_VERSION);
    uint32_t spans = block[120] % 4;
    uint32_t header_size = (uint32_t)journal_header_size(spans);
    moot_store_le32(block + 12, header_size);
    moot_store_le32(block + 120, spans);
    moot_store_le64(block + 24, generation);
    moot_store_le64(block + 56, journal_body_sum(block, header_size, MOOT_JOURNAL_ALIGN));
    moot_store_le64(block + 16, journal_header_sum(block, header_size));
    (void)journal_header_get(block, generation, 0, SEGMENT_BYTES, &header);
}

static void put_segment(struct moot_disk *disk, uint64_t generation, const uint8_t *data,
                        size_t size, bool sealed)
{
    char name[JOURNAL_NAME_BYTES];
    journal_name_put(name, generation);
    if (disk->ops->create(disk, name, SEGMENT_BYTES) != MOOT_OK) {
        abort();
    }
    uint8_t *bytes = aligned_alloc(MOOT_JOURNAL_ALIGN, SEGMENT_BYTES);
    memset(bytes, 0, SEGMENT_BYTES);
    size_t blocks = SEGMENT_BYTES / MOOT_JOURNAL_ALIGN;
    size_t piece = sealed ? 256 : MOOT_JOURNAL_ALIGN;
    for (size_t i = 0; i < blocks && i * piece < size; i++) {
        size_t take = size - i * piece < piece ? size - i * piece : piece;
        memcpy(bytes + i * MOOT_JOURNAL_ALIGN, data + i * piece, take);
        if (sealed) {
            seal(bytes + i * MOOT_JOURNAL_ALIGN, generation);
        }
    }
    if (disk->ops->write(disk, name, 0, bytes, SEGMENT_BYTES) != MOOT_OK) {
        abort();
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct moot_disk_sim *sim = moot_disk_sim_make(1);
    struct moot_disk *disk = moot_disk_sim_disk(sim);
    bool two = (data[0] & 1) != 0, sealed = (data[0] & 2) != 0;
    size_t half = two ? (size - 1) / 2 : size - 1;
    put_segment(disk, data[0] >> 4 | 1, data + 1, half, sealed);
    if (two) {
        put_segment(disk, (uint64_t)(data[0] >> 4 | 1) + 1, data + 1 + half, size - 1 - half,
                    sealed);
    }
    const struct moot_journal_options options = {SEGMENT_BYTES, 6};
    struct moot_journal_report report;
    struct moot_journal *journal = NULL;
    uint64_t sum = 0;
    if (moot_journal_open(disk, &options, visit, &sum, &report, &journal) == MOOT_OK) {
        struct moot_buffer out;
        moot_buffer_init(&out);
        struct moot_journal_write where;
        const struct moot_record record = {.kind = MOOT_RECORD_ENTRY,
                                           .group = 1,
                                           .index = 5,
                                           .bytes = {(const uint8_t *)"last words", 10}};
        if (moot_journal_layout(journal, &record, 1, 0, &out, &where) == MOOT_OK) {
            uint8_t *bytes = aligned_alloc(MOOT_JOURNAL_ALIGN, out.size);
            memcpy(bytes, out.data, out.size);
            if (moot_journal_write_now(disk, SEGMENT_BYTES, &where, bytes, out.size) != MOOT_OK) {
                abort();
            }
            free(bytes);
            moot_journal_close(journal);
            if (moot_journal_open(disk, &options, visit, &sum, &report, &journal) != MOOT_OK ||
                last_bytes.size != 10 || memcmp(last_copy, "last words", 10) != 0) {
                abort();
            }
        }
        moot_buffer_deinit(&out);
        moot_journal_close(journal);
    }
    moot_disk_sim_free(sim);
    return 0;
}
