#include "storage/journal_format.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/rule.h"
#include "base/status.h"

/* Seeds that keep the two sums apart, and apart from every other checksum of the same bytes. */
#define HEADER_SEED UINT64_C(0x6a686561646572)
#define BODY_SEED   UINT64_C(0x6a626f6479)
/* Numbers grow by one a batch; a greater one is not ours, and could overflow. */
#define NUMBER_MAX (UINT64_C(1) << 62)

static const char NAME_PREFIX[] = "journal-";
enum { NAME_PREFIX_SIZE = sizeof(NAME_PREFIX) - 1, NAME_DIGITS = 16 };
_Static_assert(NAME_PREFIX_SIZE + NAME_DIGITS < JOURNAL_NAME_BYTES, "a name fits its field");
enum { MASKS = 1 << 16 };
_Static_assert(MOOT_JOURNAL_BATCH_BYTES_MAX / MOOT_JOURNAL_ALIGN + 2 < MASKS,
               "whatever a body holds, some mask is right for it");
_Static_assert((int)JOURNAL_SPANS_MAX >= (int)MOOT_GROUPS_MAX, "every group fits a header");

size_t journal_header_size(size_t span_count)
{
    MOOT_ASSERT(span_count <= JOURNAL_SPANS_MAX);
    return JOURNAL_HEADER_BYTES + span_count * JOURNAL_SPAN_BYTES;
}

uint64_t journal_header_sum(const uint8_t *block, size_t header_size)
{
    uint64_t sum = moot_hash64((struct moot_slice){block, 16}, HEADER_SEED);
    return moot_hash64((struct moot_slice){block + 24, header_size - 24}, sum);
}

uint64_t journal_body_sum(const uint8_t *batch, size_t header_size, size_t length)
{
    MOOT_ASSERT(header_size <= length);
    return moot_hash64((struct moot_slice){batch + header_size, length - header_size}, BODY_SEED);
}

void journal_header_put(uint8_t *block, struct journal_header *header,
                        const struct journal_span *spans)
{
    MOOT_ASSERT(header->durable < header->batch);
    MOOT_ASSERT(header->header_size == journal_header_size(header->span_count));
    const uint64_t words[] = {header->generation,       header->offset,        header->batch,
                              header->length,           header->body_checksum, header->chain,
                              header->durable,          header->epoch,         header->epoch_start,
                              header->first_generation, header->first_batch};
    _Static_assert(24 + sizeof(words) == 112, "the words end where the counts start");
    moot_store_le64(block, JOURNAL_MAGIC);
    moot_store_le32(block + 8, JOURNAL_VERSION);
    moot_store_le32(block + 12, header->header_size);
    for (size_t i = 0; i < MOOT_ARRAY_LEN(words); i++) {
        moot_store_le64(block + 24 + 8 * i, words[i]);
    }
    moot_store_le32(block + 112, header->records_size);
    moot_store_le32(block + 116, header->record_count);
    moot_store_le32(block + 120, header->span_count);
    moot_store_le32(block + 124, header->flags);
    uint8_t *at = block + JOURNAL_HEADER_BYTES;
    for (uint32_t i = 0; i < header->span_count; i++, at += JOURNAL_SPAN_BYTES) {
        moot_store_le32(at, spans[i].group);
        moot_store_le64(at + 4, spans[i].first);
        moot_store_le64(at + 12, spans[i].last);
    }
    header->checksum = journal_header_sum(block, header->header_size);
    moot_store_le64(block + 16, header->checksum);
}

static void header_read(const uint8_t *block, struct journal_header *header)
{
    *header = (struct journal_header){
        .generation = moot_load_le64(block + 24),
        .offset = moot_load_le64(block + 32),
        .batch = moot_load_le64(block + 40),
        .length = moot_load_le64(block + 48),
        .body_checksum = moot_load_le64(block + 56),
        .chain = moot_load_le64(block + 64),
        .durable = moot_load_le64(block + 72),
        .epoch = moot_load_le64(block + 80),
        .epoch_start = moot_load_le64(block + 88),
        .first_generation = moot_load_le64(block + 96),
        .first_batch = moot_load_le64(block + 104),
        .records_size = moot_load_le32(block + 112),
        .record_count = moot_load_le32(block + 116),
        .span_count = moot_load_le32(block + 120),
        .flags = moot_load_le32(block + 124),
        .header_size = moot_load_le32(block + 12),
        .checksum = moot_load_le64(block + 16),
    };
}

/* Whether all numbers of a header are ones that a journal writes: what keeps the reader inside the
 * segment even if a checksum should lie. */
static bool header_is_sound(const struct journal_header *h, uint64_t offset, uint64_t size)
{
    return h->span_count <= JOURNAL_SPANS_MAX &&
           h->header_size == journal_header_size(h->span_count) &&
           h->length % MOOT_JOURNAL_ALIGN == 0 && h->length > 0 && h->length <= size - offset &&
           h->length <= UINT32_MAX && (uint64_t)h->header_size + h->records_size <= h->length &&
           h->batch > 0 && h->batch < NUMBER_MAX && h->durable < h->batch && h->epoch > 0 &&
           h->epoch < NUMBER_MAX && h->epoch_start > 0 && h->epoch_start <= h->batch &&
           h->first_batch > 0 && h->first_batch <= h->batch && h->first_generation > 0 &&
           h->first_generation <= h->generation;
}

enum journal_verdict journal_header_get(const uint8_t *block, uint64_t generation, uint64_t offset,
                                        uint64_t size, struct journal_header *header)
{
    MOOT_ASSERT(offset + MOOT_JOURNAL_ALIGN <= size);
    uint64_t its_generation = moot_load_le64(block + 24);
    uint32_t header_size = moot_load_le32(block + 12);
    bool magic = moot_load_le64(block) == JOURNAL_MAGIC;
    bool this_generation = its_generation == generation;
    bool whole = magic && header_size >= JOURNAL_HEADER_BYTES && header_size <= MOOT_JOURNAL_ALIGN;
    if (!whole || !MOOT_RULE(journal_header_checksum, moot_load_le64(block + 16) ==
                                                          journal_header_sum(block, header_size))) {
        return magic || this_generation ? JOURNAL_DAMAGED : JOURNAL_NOTHING;
    }
    if (!MOOT_RULE(journal_generation_matches, this_generation)) {
        return JOURNAL_OLDER;
    }
    if (moot_load_le32(block + 8) > JOURNAL_VERSION) {
        return JOURNAL_NEWER;
    }
    header_read(block, header);
    if (!MOOT_RULE(journal_place_matches, header->offset == offset) ||
        !header_is_sound(header, offset, size)) {
        return JOURNAL_DAMAGED;
    }
    return JOURNAL_GOOD;
}

struct journal_span journal_span_get(const uint8_t *block, uint32_t at)
{
    MOOT_ASSERT(at < JOURNAL_SPANS_MAX);
    const uint8_t *span = block + JOURNAL_HEADER_BYTES + (size_t)at * JOURNAL_SPAN_BYTES;
    return (struct journal_span){moot_load_le32(span), moot_load_le64(span + 4),
                                 moot_load_le64(span + 12)};
}

static uint32_t first_two(uint64_t word) { return (uint32_t)word & (MASKS - 1); }

uint32_t journal_mask_choose(const uint8_t *batch, size_t length)
{
    bool begins = false;
    for (size_t at = MOOT_JOURNAL_ALIGN; at < length && !begins; at += MOOT_JOURNAL_ALIGN) {
        begins = moot_load_le64(batch + at) == JOURNAL_MAGIC;
    }
    if (!begins) {
        return 0;
    }
    MOOT_SOMETIMES(true, "journal: what a client sent looked like a header");
    uint8_t wrong[MASKS / 8] = {1}; /* 0 is. */
    for (size_t at = MOOT_JOURNAL_ALIGN; at < length; at += MOOT_JOURNAL_ALIGN) {
        uint32_t mask = first_two(moot_load_le64(batch + at)) ^ first_two(JOURNAL_MAGIC);
        wrong[mask / 8] |= (uint8_t)(1u << mask % 8);
    }
    uint32_t mask = 1;
    while ((wrong[mask / 8] >> mask % 8 & 1) != 0) {
        mask++;
        MOOT_ASSERT(mask < MASKS);
    }
    return mask;
}

void journal_mask_apply(uint8_t *batch, size_t length, uint32_t mask)
{
    MOOT_ASSERT(mask < MASKS);
    for (size_t at = MOOT_JOURNAL_ALIGN; at < length && mask != 0; at += MOOT_JOURNAL_ALIGN) {
        batch[at] ^= (uint8_t)mask;
        batch[at + 1] ^= (uint8_t)(mask >> 8);
    }
}

static size_t varint_size(uint64_t v)
{
    size_t size = 1;
    for (; v >= 0x80; v >>= 7) {
        size++;
    }
    return size;
}

static uint8_t *varint_put(uint8_t *at, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) {
        *at++ = (uint8_t)(v | 0x80);
    }
    *at++ = (uint8_t)v;
    return at;
}

static uint8_t *bytes_put(uint8_t *at, struct moot_slice bytes)
{
    at = varint_put(at, bytes.size);
    if (bytes.size > 0) {
        memcpy(at, bytes.data, bytes.size);
    }
    return at + bytes.size;
}

/* Which fields a kind has, in this order after kind and group: index, term, vote, entry kind,
 * bytes. */
static const struct record_form {
    bool known, index, term, vote, entry_kind, bytes;
} FORMS[] = {
    [MOOT_RECORD_IDENTITY] = {.known = true, .bytes = true},
    [MOOT_RECORD_HARD_STATE] = {.known = true, .term = true, .vote = true},
    [MOOT_RECORD_ENTRY] = {true, true, true, false, true, true},
    [MOOT_RECORD_SNAPSHOT] = {true, true, true, false, false, true},
    [MOOT_RECORD_FREED] = {.known = true, .index = true},
};

static const struct record_form *form_of(uint32_t kind)
{
    return kind < MOOT_ARRAY_LEN(FORMS) && FORMS[kind].known ? &FORMS[kind] : NULL;
}

size_t journal_record_size(const struct moot_record *record)
{
    const struct record_form *form = form_of(record->kind);
    MOOT_ASSERT(form != NULL);
    return 1 + varint_size(record->group) + (form->index ? varint_size(record->index) : 0) +
           (form->term ? varint_size(record->term) : 0) +
           (form->vote ? varint_size(record->vote) : 0) + (form->entry_kind ? 1 : 0) +
           (form->bytes ? varint_size(record->bytes.size) + record->bytes.size : 0);
}

uint8_t *journal_record_put(uint8_t *at, const struct moot_record *record, bool carried)
{
    const struct record_form *form = form_of(record->kind);
    MOOT_ASSERT(form != NULL);
    MOOT_ASSERT(!record->voids || record->kind == MOOT_RECORD_SNAPSHOT);
    *at++ = (uint8_t)((uint32_t)record->kind | (carried ? JOURNAL_CARRIED : 0) |
                      (record->voids ? JOURNAL_VOIDS : 0));
    at = varint_put(at, record->group);
    at = form->index ? varint_put(at, record->index) : at;
    at = form->term ? varint_put(at, record->term) : at;
    at = form->vote ? varint_put(at, record->vote) : at;
    if (form->entry_kind) {
        *at++ = record->entry_kind;
    }
    return form->bytes ? bytes_put(at, record->bytes) : at;
}

bool journal_record_get(struct moot_reader *reader, struct moot_record *record, bool *carried)
{
    uint8_t first = moot_get_u8(reader);
    uint8_t kind = first & (uint8_t) ~(JOURNAL_CARRIED | JOURNAL_VOIDS);
    const struct record_form *form = form_of(kind);
    bool voids = (first & JOURNAL_VOIDS) != 0;
    *carried = (first & JOURNAL_CARRIED) != 0;
    if (form == NULL || (voids && kind != MOOT_RECORD_SNAPSHOT)) {
        reader->failed = true;
        return false;
    }
    uint64_t group = moot_get_varint(reader);
    *record = (struct moot_record){.kind = kind, .group = (moot_group_id)group, .voids = voids};
    record->index = form->index ? moot_get_varint(reader) : 0;
    record->term = form->term ? moot_get_varint(reader) : 0;
    uint64_t vote = form->vote ? moot_get_varint(reader) : 0;
    record->vote = (moot_node_id)vote;
    record->entry_kind = form->entry_kind ? moot_get_u8(reader) : 0;
    record->bytes = form->bytes ? moot_get_bytes(reader) : (struct moot_slice){NULL, 0};
    if (group > UINT32_MAX || vote > UINT32_MAX) {
        reader->failed = true;
    }
    return !reader->failed;
}

void journal_name_put(char name[JOURNAL_NAME_BYTES], uint64_t generation)
{
    memset(name, 0, JOURNAL_NAME_BYTES);
    memcpy(name, NAME_PREFIX, NAME_PREFIX_SIZE);
    for (int i = 0; i < NAME_DIGITS; i++) {
        name[NAME_PREFIX_SIZE + i] = "0123456789abcdef"[generation >> (60 - 4 * i) & 15];
    }
}

bool journal_name_get(const char *name, uint64_t *generation)
{
    if (strlen(name) != NAME_PREFIX_SIZE + NAME_DIGITS ||
        memcmp(name, NAME_PREFIX, NAME_PREFIX_SIZE) != 0) {
        return false;
    }
    uint64_t value = 0;
    for (const char *at = name + NAME_PREFIX_SIZE; *at != 0; at++) {
        bool digit = *at >= '0' && *at <= '9';
        if (!digit && (*at < 'a' || *at > 'f')) {
            return false;
        }
        value = value << 4 | (uint64_t)(digit ? *at - '0' : *at - 'a' + 10);
    }
    *generation = value;
    return value > 0 && value < NUMBER_MAX;
}
