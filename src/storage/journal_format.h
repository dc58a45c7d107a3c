/* The bytes of a journal: a batch header, and the records behind it.
 *
 * A batch starts on a block of MOOT_JOURNAL_ALIGN bytes and fills whole blocks: header, spans
 * (which group and which indexes are inside), records, zeros. Two checksums: one over header and
 * spans, so that a header that stands can say what a bad body has lost; one over all the rest,
 * padding included. All integers are little-endian.
 *
 *   0 magic        8 version      12 header size   16 header checksum  24 generation  32 offset
 *  40 batch       48 length       56 body checksum 64 chain            72 durable     80 epoch
 *  88 epoch start 96 first generation            104 first batch
 * 112 records size 116 records   120 spans        124 flags          128 span (group, first,
 * last)...
 *
 * Magic, version, header size, checksum and generation keep their places in every version, so that
 * an older program can tell a newer batch from garbage. The first 512 bytes hold the header of any
 * batch of up to 19 groups: it is in one sector, and a torn write has all of it or none.
 *
 * Behind a torn header the scan looks at every block for the next one, and bodies hold what clients
 * send. So no block of a body begins with the magic: should one, the first two bytes of all of them
 * are xored with a mask, the upper half of the flags. There are more masks than blocks. */
#ifndef MOOT_STORAGE_JOURNAL_FORMAT_H
#define MOOT_STORAGE_JOURNAL_FORMAT_H

#include "base/codec.h"
#include "base/limits.h"
#include "storage/journal.h"

enum {
    JOURNAL_VERSION = 1,
    JOURNAL_HEADER_BYTES = 128,
    JOURNAL_SPAN_BYTES = 20,
    JOURNAL_SPANS_MAX = (MOOT_JOURNAL_ALIGN - JOURNAL_HEADER_BYTES) / JOURNAL_SPAN_BYTES,

    /* Header flags. */
    JOURNAL_HAS_IDENTITY = 1,
    JOURNAL_HAS_CARRIED = 2,
    JOURNAL_WHOLE_SHIFT = 2, /* A bit for each of the first groups: see moot_journal_whole. */
    JOURNAL_MASK_SHIFT = 16, /* Nearly always 0. */
    /* Beside a record's kind: written again when its segment was retired. Such a record is older
     * than every other in the journal, whatever its place. */
    JOURNAL_CARRIED = 0x80,
    JOURNAL_VOIDS = 0x40, /* Beside SNAPSHOT: so are the entries above it. */
};
#define JOURNAL_MAGIC       UINT64_C(0x6c6e726a746f6f6d) /* "mootjrnl" */
#define JOURNAL_EVERY_GROUP UINT32_MAX

/* What a batch holds of one group: the least and greatest index of its entries and snapshots; 0, 0
 * when it holds only other records. */
struct journal_span {
    moot_group_id group;
    moot_index first, last;
};

struct journal_header {
    uint64_t generation; /* Of the segment; must be the one in the file's name. */
    uint64_t offset;     /* Its place in the segment: a misdirected write does not pass for one. */
    uint64_t batch, length;
    uint64_t checksum, body_checksum;
    uint64_t chain;   /* Header checksum of batch - 1, which covers that body's; 0: not known. */
    uint64_t durable; /* Greatest batch known durable when this was written; < batch. */
    uint64_t epoch;   /* Raised by each open. */
    uint64_t epoch_start; /* First batch of the epoch: an older epoch's at or above it was cut. */
    uint64_t first_generation, first_batch; /* What is before them was retired. */
    uint32_t records_size, record_count, span_count, flags, header_size;
};

enum journal_verdict {
    JOURNAL_GOOD,
    JOURNAL_NOTHING, /* Not a header at all. */
    JOURNAL_DAMAGED, /* It was a header of this generation once. */
    JOURNAL_OLDER,   /* A whole header, of another generation: what was here before recycling. */
    JOURNAL_NEWER,   /* Of this generation, written by a newer version. */
};

/* Bytes of header and spans. */
size_t journal_header_size(size_t span_count);
/* Sum over header and spans, but for the eight bytes where it stands. */
uint64_t journal_header_sum(const uint8_t *block, size_t header_size);
/* Writes header and spans with their checksum, which is also set in `header`. */
void journal_header_put(uint8_t *block, struct journal_header *header,
                        const struct journal_span *spans);
/* Judges the block at `offset` of a segment of `size` bytes. Only GOOD fills `header`, and then all
 * its numbers are within bounds: the batch lies inside the segment, the records inside the batch.
 */
enum journal_verdict journal_header_get(const uint8_t *block, uint64_t generation, uint64_t offset,
                                        uint64_t size, struct journal_header *header);
/* Span `at` of a block whose header is GOOD. */
struct journal_span journal_span_get(const uint8_t *block, uint32_t at);
/* Sum over the `length` bytes of a batch that are not its header. */
uint64_t journal_body_sum(const uint8_t *batch, size_t header_size, size_t length);

/* A mask for a batch of `length` bytes after which no block but the first begins with the magic. */
uint32_t journal_mask_choose(const uint8_t *batch, size_t length);
/* Applies it; once more takes it away. */
void journal_mask_apply(uint8_t *batch, size_t length, uint32_t mask);

/* Exact encoded size. */
size_t journal_record_size(const struct moot_record *record);
/* Writes one record; returns what follows it. */
uint8_t *journal_record_put(uint8_t *at, const struct moot_record *record, bool carried);
/* False when it is malformed, and the reader has failed. Slices point into the reader's bytes. */
bool journal_record_get(struct moot_reader *reader, struct moot_record *record, bool *carried);

/* "journal-" and 16 hex digits of the generation. */
enum { JOURNAL_NAME_BYTES = 32 };
void journal_name_put(char name[JOURNAL_NAME_BYTES], uint64_t generation);
/* False when it is the name of something else. */
bool journal_name_get(const char *name, uint64_t *generation);

static inline uint64_t journal_align(uint64_t size)
{
    return (size + MOOT_JOURNAL_ALIGN - 1) / MOOT_JOURNAL_ALIGN * MOOT_JOURNAL_ALIGN;
}

#endif
