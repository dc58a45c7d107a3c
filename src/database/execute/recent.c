#include "database/execute/recent.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/slice.h"

enum {
    ALIGN = 16,
    BYTES_PER_SLOT = 128, /* A small record with its key; with more, the slots fill up first. */
    SHARE_MAX = 64,       /* A value above this part of the ring would push out too many. */
    RESET_SHARE = 64,     /* What fills no more of it is forgotten one by one: a table is large. */
};

struct record {
    uint32_t size; /* Of the whole record, a multiple of ALIGN. */
    uint32_t kind;
    uint64_t hash; /* A filler may end here. */
    uint32_t key_size;
    uint32_t value_size;
    uint8_t bytes[]; /* key, value */
};
enum record_kind { RECORD_FILLER, RECORD_ABSENT, RECORD_PRESENT };

/* `place` is the ring's byte counter divided by ALIGN, plus one; 0: an empty slot. The counter may
 * wrap in 32 bits: what matters is its value modulo the ring, which is a power of two. */
struct moot_recent_slot {
    uint32_t place;
    uint32_t tag; /* The upper half of the hash; the lower one chooses the slot. */
};

_Static_assert(sizeof(struct record) == 24, "no hidden bytes in a record");
_Static_assert(offsetof(struct record, key_size) <= ALIGN, "the smallest filler has size and kind");

void moot_recent_init(struct moot_recent *recent, size_t capacity)
{
    *recent = (struct moot_recent){0};
    if (capacity == 0) {
        return;
    }
    MOOT_ASSERT((capacity & (capacity - 1)) == 0);
    MOOT_ASSERT(capacity >= 64 * 1024);
    MOOT_ASSERT(capacity / ALIGN < UINT32_MAX / 2);
    recent->capacity = capacity;
    recent->slot_mask = (uint32_t)(capacity / BYTES_PER_SLOT * 2 - 1);
}

/* When the first value comes: who is opened, and at once told to remember less, takes nothing. */
static void take_memory(struct moot_recent *recent)
{
    MOOT_ASSERT(recent->bytes == NULL && recent->capacity > 0);
    recent->bytes = moot_alloc(recent->capacity);
    recent->slots = moot_alloc_zero(sizeof(*recent->slots) * ((size_t)recent->slot_mask + 1));
}

void moot_recent_deinit(struct moot_recent *recent)
{
    moot_free(recent->bytes);
    moot_free(recent->slots);
    *recent = (struct moot_recent){0};
}

static uint32_t tag_of(uint64_t hash) { return (uint32_t)(hash >> 32); }

static uint32_t place_of(const struct moot_recent *recent, uint64_t at)
{
    return (uint32_t)((at & (recent->capacity - 1)) / ALIGN) + 1;
}

static struct record *record_at(const struct moot_recent *recent, uint64_t at)
{
    return (struct record *)(recent->bytes + (at & (recent->capacity - 1)));
}

static struct record *record_in(const struct moot_recent *recent, uint32_t slot)
{
    return (struct record *)(recent->bytes + (size_t)(recent->slots[slot].place - 1) * ALIGN);
}

/* The slot of the key, or UINT32_MAX. */
static uint32_t find_slot(const struct moot_recent *recent, uint64_t hash, struct moot_slice key)
{
    uint32_t tag = tag_of(hash);
    uint32_t slot = (uint32_t)hash & recent->slot_mask;
    for (; recent->slots[slot].place != 0; slot = (slot + 1) & recent->slot_mask) {
        if (recent->slots[slot].tag != tag) {
            continue;
        }
        const struct record *record = record_in(recent, slot);
        if (record->hash == hash && record->key_size == key.size &&
            memcmp(record->bytes, key.data, key.size) == 0) {
            return slot;
        }
    }
    return UINT32_MAX;
}

/* Empties a slot and closes the gap, so that no probe ends too early (Knuth 6.4, algorithm R). */
static void clear_slot(struct moot_recent *recent, uint32_t gap)
{
    MOOT_ASSERT(recent->used > 0);
    recent->used--;
    for (uint32_t slot = (gap + 1) & recent->slot_mask; recent->slots[slot].place != 0;
         slot = (slot + 1) & recent->slot_mask) {
        uint32_t home = (uint32_t)record_in(recent, slot)->hash & recent->slot_mask;
        if (((slot - home) & recent->slot_mask) >= ((slot - gap) & recent->slot_mask)) {
            recent->slots[gap] = recent->slots[slot];
            gap = slot;
        }
    }
    recent->slots[gap] = (struct moot_recent_slot){0, 0};
}

static void evict_one(struct moot_recent *recent)
{
    MOOT_ASSERT(recent->tail < recent->head);
    struct record *record = record_at(recent, recent->tail);
    if (record->kind != RECORD_FILLER) {
        uint32_t place = place_of(recent, recent->tail);
        uint32_t slot = (uint32_t)record->hash & recent->slot_mask;
        while (recent->slots[slot].place != 0 && recent->slots[slot].place != place) {
            slot = (slot + 1) & recent->slot_mask;
        }
        if (recent->slots[slot].place == place) { /* Else a newer record took its place. */
            clear_slot(recent, slot);
        }
    }
    recent->tail += record->size;
    MOOT_ASSERT(recent->tail <= recent->head);
}

void moot_recent_reset(struct moot_recent *recent)
{
    if (recent->bytes == NULL || recent->head == 0) {
        return; /* Nothing was ever put. */
    }
    if (recent->head - recent->tail <= recent->capacity / RESET_SHARE) {
        while (recent->tail < recent->head) {
            evict_one(recent);
        }
        MOOT_ASSERT(recent->used == 0);
        recent->head = recent->tail = 0;
        return;
    }
    size_t capacity =
        recent->capacity; /* New memory: its pages cost nothing until they are used. */
    moot_recent_deinit(recent);
    moot_recent_init(recent, capacity);
}

static void make_room(struct moot_recent *recent, size_t size)
{
    while (recent->head + size - recent->tail > recent->capacity) {
        evict_one(recent);
    }
}

static bool is_old(const struct moot_recent *recent, const struct record *record)
{
    size_t place = (size_t)((const uint8_t *)record - recent->bytes);
    uint64_t age = (recent->head - place) & (recent->capacity - 1);
    return age > recent->capacity / 2;
}

static void write_value(struct record *record, bool present, struct moot_slice value)
{
    record->kind = present ? RECORD_PRESENT : RECORD_ABSENT;
    record->value_size = present ? (uint32_t)value.size : 0;
    if (record->value_size > 0) {
        memcpy(record->bytes + record->key_size, value.data, value.size);
    }
}

bool moot_recent_get(struct moot_recent *recent, uint64_t hash, struct moot_slice key,
                     struct moot_slice *value, bool *present, bool *old)
{
    if (recent->bytes == NULL) {
        return false;
    }
    uint32_t slot = find_slot(recent, hash, key);
    if (slot == UINT32_MAX) {
        return false;
    }
    const struct record *record = record_in(recent, slot);
    *present = record->kind == RECORD_PRESENT;
    *value = (struct moot_slice){record->bytes + key.size, record->value_size};
    *old = is_old(recent, record);
    return true;
}

void moot_recent_put(struct moot_recent *recent, uint64_t hash, struct moot_slice key, bool present,
                     struct moot_slice value)
{
    if (recent->capacity == 0) {
        return;
    }
    if (recent->bytes == NULL) {
        take_memory(recent);
    }
    size_t value_size = present ? value.size : 0;
    size_t size =
        (sizeof(struct record) + key.size + value_size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (size > recent->capacity / SHARE_MAX) {
        moot_recent_forget(recent, hash, key);
        return;
    }
    uint32_t slot = find_slot(recent, hash, key);
    struct record *record = slot == UINT32_MAX ? NULL : record_in(recent, slot);
    if (record != NULL && size <= record->size && !is_old(recent, record)) {
        write_value(record, present, value); /* What is hot does not wander through the memory. */
        return;
    }
    size_t to_end = recent->capacity - (recent->head & (recent->capacity - 1));
    if (to_end < size) { /* A record does not wrap; sizes are multiples of ALIGN: a filler fits. */
        make_room(recent, to_end);
        struct record *filler = record_at(recent, recent->head);
        filler->size = (uint32_t)to_end;
        filler->kind = RECORD_FILLER;
        recent->head += to_end;
    }
    make_room(recent, size);
    while (recent->used > recent->slot_mask / 4 * 3) {
        evict_one(recent);
    }
    record = record_at(recent, recent->head);
    *record = (struct record){.size = (uint32_t)size, .hash = hash, .key_size = (uint32_t)key.size};
    memcpy(record->bytes, key.data, key.size);
    write_value(record, present, value);
    slot = find_slot(recent, hash, key); /* Making room may have moved or removed it. */
    if (slot == UINT32_MAX) {
        slot = (uint32_t)hash & recent->slot_mask;
        while (recent->slots[slot].place != 0) {
            slot = (slot + 1) & recent->slot_mask;
        }
        recent->used++;
    }
    recent->slots[slot] = (struct moot_recent_slot){place_of(recent, recent->head), tag_of(hash)};
    recent->head += size;
}

void moot_recent_forget(struct moot_recent *recent, uint64_t hash, struct moot_slice key)
{
    if (recent->bytes == NULL) {
        return;
    }
    uint32_t slot = find_slot(recent, hash, key);
    if (slot != UINT32_MAX) {
        clear_slot(recent, slot); /* The record itself falls off the tail in its turn. */
    }
}

void moot_recent_expect_far(const struct moot_recent *recent, uint64_t hash)
{
    if (recent->bytes != NULL) {
        __builtin_prefetch(&recent->slots[(uint32_t)hash & recent->slot_mask]);
    }
}

void moot_recent_expect_near(const struct moot_recent *recent, uint64_t hash)
{
    if (recent->bytes == NULL) {
        return;
    }
    uint32_t slot = (uint32_t)hash & recent->slot_mask; /* Its neighbours share its cache line. */
    while (recent->slots[slot].place != 0 && recent->slots[slot].tag != tag_of(hash)) {
        slot = (slot + 1) & recent->slot_mask;
    }
    if (recent->slots[slot].place != 0) {
        __builtin_prefetch(record_in(recent, slot));
    }
}

void moot_recent_check(const struct moot_recent *recent)
{
    MOOT_ASSERT(recent->tail <= recent->head);
    MOOT_ASSERT(recent->head - recent->tail <= recent->capacity);
    uint32_t used = 0;
    for (uint32_t slot = 0; recent->bytes != NULL && slot <= recent->slot_mask; slot++) {
        if (recent->slots[slot].place != 0) {
            used++;
            const struct record *record = record_in(recent, slot);
            MOOT_ASSERT(record->kind != RECORD_FILLER);
            MOOT_ASSERT(tag_of(record->hash) == recent->slots[slot].tag);
        }
    }
    MOOT_ASSERT(used == recent->used);
}
