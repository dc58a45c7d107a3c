#include "storage/store_memory.h"

#include <string.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/rule.h"
#include "base/status.h"
#include "storage/versioned_map.h"

enum {
    ERA_WRITES = 64,      /* Batches of an era, at least: arbitrary; several turns. */
    ERA_FETCH_WRITES = 8, /* What each fetch adds, so that who fetches key by key gets done. */
    WARM_FIRST = 64,
};

/* A view at a sequence number; iterators without a pin have one of their own. */
struct moot_store_pin {
    struct moot_store_pin *next, *prev; /* Of the store's list. */
    uint64_t sequence;
    bool is_void;     /* The store has crashed since. */
    bool of_iterator; /* Part of it. */
};

struct store_memory {
    struct moot_store base; /* First. */
    struct moot_store_memory_options options;
    struct moot_versioned_map map;
    struct moot_rng rng;        /* Decides crashes. */
    uint64_t flushed;           /* Sequence that a crash does not go below. */
    struct moot_store_pin pins; /* Head of a ring. */

    /* What was fetched in this era: hashes of keys, open addressing, 0 is free. */
    uint64_t era, era_writes, era_fetches;
    uint64_t *warm;
    size_t warm_count, warm_capacity;

    /* Ingest under way: both in the form of a batch. */
    bool ingesting;
    struct moot_batch ingest_ranges, ingest_puts;
    struct moot_buffer ingest_last; /* Key added last. */
};

struct moot_store_iterator {
    struct store_memory *store;
    struct moot_store_pin *pin;
    struct moot_store_pin own; /* In the list only when the caller gave none. */
    struct moot_buffer bounds; /* from, then to */
    struct moot_range range;
    struct moot_versioned_node *at; /* NULL: the end. Visible at the pin's sequence otherwise. */
    bool reverse, with_pin;
};

static struct store_memory *memory_of(struct moot_store *store)
{
    return (struct store_memory *)store;
}

static void pin_link(struct store_memory *memory, struct moot_store_pin *pin)
{
    *pin = (struct moot_store_pin){
        .next = memory->pins.next, .prev = &memory->pins, .sequence = memory->map.sequence};
    pin->next->prev = pin;
    memory->pins.next = pin;
}

static void pin_unlink(struct moot_store_pin *pin)
{
    if (pin->next == NULL) {
        return; /* The store went first, after a crash. */
    }
    pin->next->prev = pin->prev;
    pin->prev->next = pin->next;
    pin->next = pin->prev = NULL;
}

/* --- WOULDBLOCK ------------------------------------------------------------------------------ */

static uint64_t warm_hash(struct moot_slice key)
{
    uint64_t hash = moot_hash64(key, 0);
    return hash == 0 ? 1 : hash;
}

static uint64_t *warm_slot(const struct store_memory *memory, uint64_t hash)
{
    MOOT_ASSERT(memory->warm_count < memory->warm_capacity);
    size_t at = hash & (memory->warm_capacity - 1);
    while (memory->warm[at] != 0 && memory->warm[at] != hash) {
        at = (at + 1) & (memory->warm_capacity - 1);
    }
    return &memory->warm[at];
}

static void warm_add(struct store_memory *memory, struct moot_slice key)
{
    if (memory->options.wouldblock_one_in == 0) {
        return;
    }
    if (2 * (memory->warm_count + 1) > memory->warm_capacity) {
        uint64_t *old = memory->warm;
        size_t old_capacity = memory->warm_capacity;
        memory->warm_capacity = old_capacity == 0 ? WARM_FIRST : 2 * old_capacity;
        memory->warm = moot_alloc_zero(memory->warm_capacity * sizeof(*memory->warm));
        for (size_t i = 0; i < old_capacity; i++) {
            if (old[i] != 0) {
                *warm_slot(memory, old[i]) = old[i];
            }
        }
        moot_free(old);
    }
    uint64_t hash = warm_hash(key);
    uint64_t *slot = warm_slot(memory, hash);
    memory->warm_count += *slot == 0;
    *slot = hash;
    memory->era_fetches++;
}

static bool would_block(const struct store_memory *memory, struct moot_slice key)
{
    if (memory->options.wouldblock_one_in == 0) {
        return false;
    }
    uint64_t hash = warm_hash(key);
    uint64_t draw = moot_hash_mix(moot_hash_mix(memory->options.seed, memory->era), hash);
    if (draw % memory->options.wouldblock_one_in != 0) {
        return false;
    }
    return memory->warm_capacity == 0 || *warm_slot(memory, hash) != hash;
}

static void era_end(struct store_memory *memory)
{
    memory->era++;
    memory->era_writes = 0;
    memory->era_fetches = 0;
    memory->warm_count = 0;
    moot_free(memory->warm);
    memory->warm = NULL;
    memory->warm_capacity = 0;
}

static void era_count_write(struct store_memory *memory)
{
    memory->era_writes++;
    if (memory->era_writes >= ERA_WRITES + ERA_FETCH_WRITES * memory->era_fetches) {
        era_end(memory);
    }
}

/* --- Reading --------------------------------------------------------------------------------- */

/* The value of `key` then. */
static bool find(const struct store_memory *memory, uint64_t sequence, struct moot_slice key,
                 struct moot_slice *value)
{
    struct moot_versioned_node *node = moot_versioned_map_seek(&memory->map, key);
    return node != NULL && moot_slice_equal(node->key, key) &&
           moot_versioned_node_read(node, sequence, value);
}

static int memory_get(struct moot_store *store, struct moot_slice key, struct moot_arena *arena,
                      struct moot_slice *value)
{
    struct store_memory *memory = memory_of(store);
    if (would_block(memory, key)) {
        return MOOT_FAIL(MOOT_EWOULDBLOCK);
    }
    struct moot_slice found;
    if (!find(memory, memory->map.sequence, key, &found)) {
        return MOOT_ENOTFOUND; /* An answer, not a failure. */
    }
    *value = moot_arena_copy(arena, found);
    return MOOT_OK;
}

static int memory_pin_get(struct moot_store *store, struct moot_store_pin *pin,
                          struct moot_slice key, struct moot_arena *arena, struct moot_slice *value)
{
    struct moot_slice found;
    MOOT_ASSERT(!pin->is_void);
    if (!find(memory_of(store), pin->sequence, key, &found)) {
        return MOOT_ENOTFOUND;
    }
    *value = moot_arena_copy(arena, found);
    return MOOT_OK;
}

static int memory_fetch(struct moot_store *store, struct moot_slice key)
{
    warm_add(memory_of(store), key);
    return MOOT_OK;
}

static bool inside(const struct moot_store_iterator *iterator, struct moot_slice key)
{
    return moot_slice_compare(key, iterator->range.from) >= 0 &&
           (iterator->range.to.size == 0 || moot_slice_compare(key, iterator->range.to) < 0);
}

/* From `node` on, itself included, to the first that the iterator can see; NULL at the end. */
static void settle(struct moot_store_iterator *iterator, struct moot_versioned_node *node)
{
    struct moot_slice ignored;
    while (node != NULL && inside(iterator, node->key) &&
           !moot_versioned_node_read(node, iterator->pin->sequence, &ignored)) {
        node = iterator->reverse ? node->prev : node->next[0];
    }
    iterator->at = node != NULL && inside(iterator, node->key) ? node : NULL;
}

static int memory_iterate(struct moot_store *store, struct moot_store_pin *pin,
                          struct moot_range range, bool reverse, struct moot_store_iterator **out)
{
    struct store_memory *memory = memory_of(store);
    struct moot_slice start = reverse ? range.to : range.from;
    if (pin == NULL && would_block(memory, start)) {
        return MOOT_FAIL(MOOT_EWOULDBLOCK);
    }
    struct moot_store_iterator *iterator = moot_alloc_zero(sizeof(*iterator));
    iterator->store = memory;
    iterator->reverse = reverse;
    iterator->with_pin = pin != NULL;
    iterator->pin = pin;
    if (pin == NULL) {
        iterator->pin = &iterator->own;
        pin_link(memory, &iterator->own);
        iterator->own.of_iterator = true;
    }
    MOOT_ASSERT(!iterator->pin->is_void);
    moot_buffer_append_slice(&iterator->bounds, range.from);
    moot_buffer_append_slice(&iterator->bounds, range.to);
    iterator->range.from = moot_slice_make(iterator->bounds.data, range.from.size);
    iterator->range.to = moot_slice_make(
        range.to.size == 0 ? NULL : iterator->bounds.data + range.from.size, range.to.size);

    struct moot_versioned_node *first;
    if (!reverse) {
        first = moot_versioned_map_seek(&memory->map, iterator->range.from);
    } else if (range.to.size == 0) {
        first = memory->map.last;
    } else {
        first = moot_versioned_map_seek(&memory->map, iterator->range.to);
        first = first == NULL ? memory->map.last : first->prev;
    }
    settle(iterator, first);
    *out = iterator;
    return MOOT_OK;
}

static int memory_entry(struct moot_store_iterator *iterator, struct moot_slice *key,
                        struct moot_slice *value)
{
    MOOT_ASSERT(!iterator->pin->is_void);
    if (iterator->at == NULL) {
        return MOOT_ENOTFOUND; /* The end is no failure. */
    }
    if (!iterator->with_pin && would_block(iterator->store, iterator->at->key)) {
        return MOOT_FAIL(MOOT_EWOULDBLOCK);
    }
    *key = iterator->at->key;
    bool there = moot_versioned_node_read(iterator->at, iterator->pin->sequence, value);
    MOOT_ASSERT(there);
    return MOOT_OK;
}

static int memory_next(struct moot_store_iterator *iterator)
{
    MOOT_ASSERT(!iterator->pin->is_void);
    MOOT_ASSERT(iterator->at != NULL);
    if (!iterator->with_pin && would_block(iterator->store, iterator->at->key)) {
        return MOOT_FAIL(MOOT_EWOULDBLOCK);
    }
    settle(iterator, iterator->reverse ? iterator->at->prev : iterator->at->next[0]);
    return MOOT_OK;
}

static void memory_iterate_end(struct moot_store_iterator *iterator)
{
    if (!iterator->with_pin) {
        pin_unlink(&iterator->own);
    }
    moot_buffer_deinit(&iterator->bounds);
    moot_free(iterator);
}

static int memory_fetch_range(struct moot_store *store, struct moot_range range, bool reverse,
                              uint64_t limit)
{
    struct store_memory *memory = memory_of(store);
    struct moot_store_iterator *iterator;
    warm_add(memory, reverse ? range.to : range.from);
    int status = memory_iterate(store, NULL, range, reverse, &iterator);
    MOOT_ASSERT(status == MOOT_OK); /* Its start has just been warmed. */
    for (uint64_t i = 0; i < limit && iterator->at != NULL; i++) {
        warm_add(memory, iterator->at->key);
        settle(iterator, reverse ? iterator->at->prev : iterator->at->next[0]);
    }
    memory_iterate_end(iterator);
    return MOOT_OK;
}

/* --- Writing --------------------------------------------------------------------------------- */

static void delete_range(struct store_memory *memory, uint64_t sequence, struct moot_slice from,
                         struct moot_slice to)
{
    struct moot_versioned_node *node = moot_versioned_map_seek(&memory->map, from);
    for (; node != NULL && moot_slice_compare(node->key, to) < 0; node = node->next[0]) {
        moot_versioned_map_delete(&memory->map, sequence, node->key);
    }
}

static void apply(struct store_memory *memory, uint64_t sequence, const struct moot_batch *batch)
{
    struct moot_reader reader = moot_reader_make(moot_buffer_slice(&batch->bytes));
    enum moot_batch_op op;
    struct moot_slice key, value;
    uint64_t count = 0;
    for (; moot_batch_next(&reader, &op, &key, &value); count++) {
        switch (op) {
        case MOOT_BATCH_PUT:
            moot_versioned_map_put(&memory->map, sequence, key, value);
            break;
        case MOOT_BATCH_DELETE:
            moot_versioned_map_delete(&memory->map, sequence, key);
            break;
        case MOOT_BATCH_DELETE_RANGE:
            delete_range(memory, sequence, key, value);
            break;
        }
    }
    MOOT_ASSERT(!reader.failed); /* Batches are ours: made by moot_batch_*. */
    MOOT_ASSERT(count == batch->count);
    memory->map.sequence = sequence; /* Even when nothing was in it: it is a batch. */
}

static int memory_write(struct moot_store *store, const struct moot_batch *batch)
{
    struct store_memory *memory = memory_of(store);
    apply(memory, memory->map.sequence + 1, batch);
    era_count_write(memory);
    return MOOT_OK;
}

/* Versions below the horizon are read by nobody, not even by a crash. */
static void trim(struct store_memory *memory)
{
    uint64_t horizon = memory->flushed;
    for (struct moot_store_pin *pin = memory->pins.next; pin != &memory->pins; pin = pin->next) {
        if (pin->sequence < horizon) {
            horizon = pin->sequence;
        }
    }
    moot_versioned_map_trim(&memory->map, horizon);
}

static int memory_flush(struct moot_store *store)
{
    struct store_memory *memory = memory_of(store);
    memory->flushed = memory->map.sequence;
    trim(memory);
    return MOOT_OK;
}

static struct moot_store_pin *memory_pin(struct moot_store *store)
{
    struct moot_store_pin *pin = moot_alloc(sizeof(*pin));
    pin_link(memory_of(store), pin);
    return pin;
}

static void memory_unpin(struct moot_store *store, struct moot_store_pin *pin)
{
    bool was_void = pin->is_void;
    pin_unlink(pin);
    moot_free(pin);
    if (!was_void) {
        trim(memory_of(store));
    }
}

/* --- Ingest ---------------------------------------------------------------------------------- */

static int memory_ingest_begin(struct moot_store *store, const struct moot_range *ranges,
                               size_t count)
{
    struct store_memory *memory = memory_of(store);
    if (memory->ingesting) {
        return MOOT_FAIL(MOOT_EBUSY);
    }
    MOOT_ASSERT(count > 0);
    memory->ingesting = true;
    for (size_t i = 0; i < count; i++) {
        MOOT_ASSERT(moot_slice_compare(ranges[i].from, ranges[i].to) < 0);
        MOOT_ASSERT(i == 0 || moot_slice_compare(ranges[i - 1].to, ranges[i].from) <= 0);
        moot_batch_delete_range(&memory->ingest_ranges, ranges[i].from, ranges[i].to);
    }
    return MOOT_OK;
}

static int memory_ingest_add(struct moot_store *store, struct moot_slice key,
                             struct moot_slice value)
{
    struct store_memory *memory = memory_of(store);
    MOOT_ASSERT(memory->ingesting);
    /* The pairs come from a peer: checked, not believed. */
    if (key.size == 0 || !moot_batch_covers(&memory->ingest_ranges, key) ||
        moot_slice_compare(key, moot_buffer_slice(&memory->ingest_last)) <= 0) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    moot_buffer_reset(&memory->ingest_last, SIZE_MAX);
    moot_buffer_append_slice(&memory->ingest_last, key);
    moot_batch_put(&memory->ingest_puts, key, value);
    return MOOT_OK;
}

static void memory_ingest_abort(struct moot_store *store)
{
    struct store_memory *memory = memory_of(store);
    memory->ingesting = false;
    moot_batch_deinit(&memory->ingest_ranges);
    moot_batch_deinit(&memory->ingest_puts);
    moot_buffer_deinit(&memory->ingest_last);
}

static int memory_ingest_commit(struct moot_store *store, const struct moot_batch *extra)
{
    struct store_memory *memory = memory_of(store);
    MOOT_ASSERT(memory->ingesting);
    uint64_t sequence = memory->map.sequence + 1;
    apply(memory, sequence, &memory->ingest_ranges);
    apply(memory, sequence, &memory->ingest_puts);
    apply(memory, sequence, extra);
    memory_ingest_abort(store);
    era_end(memory); /* New files are cold. */
    return memory_flush(store);
}

/* --- Life ------------------------------------------------------------------------------------ */

static void memory_close(struct moot_store *store)
{
    struct store_memory *memory = memory_of(store);
    while (memory->pins.next != &memory->pins) {
        struct moot_store_pin *pin = memory->pins.next;
        MOOT_ASSERT(pin->is_void); /* Those of a living store end before it. */
        pin_unlink(pin);
        if (!pin->of_iterator) {
            moot_free(pin);
        }
    }
    memory_ingest_abort(store);
    moot_versioned_map_deinit(&memory->map);
    moot_free(memory->warm);
    moot_free(memory);
}

static const struct moot_store_ops memory_ops = {
    .get = memory_get,
    .pin_get = memory_pin_get,
    .fetch = memory_fetch,
    .iterate = memory_iterate,
    .entry = memory_entry,
    .next = memory_next,
    .iterate_end = memory_iterate_end,
    .fetch_range = memory_fetch_range,
    .write = memory_write,
    .flush = memory_flush,
    .pin = memory_pin,
    .unpin = memory_unpin,
    .ingest_begin = memory_ingest_begin,
    .ingest_add = memory_ingest_add,
    .ingest_commit = memory_ingest_commit,
    .ingest_abort = memory_ingest_abort,
    .close = memory_close,
};

struct moot_store *moot_store_memory_open(const struct moot_store_memory_options *options)
{
    struct store_memory *memory = moot_alloc_zero(sizeof(*memory));
    memory->base.ops = &memory_ops;
    memory->options = *options;
    memory->pins.next = memory->pins.prev = &memory->pins;
    moot_rng_init(&memory->rng, moot_hash_mix(options->seed, 1 /* crashes */));
    moot_versioned_map_init(&memory->map, moot_hash_mix(options->seed, 2 /* heights */));
    return &memory->base;
}

void moot_store_memory_crash(struct moot_store *store)
{
    struct store_memory *memory = memory_of(store);
    MOOT_ASSERT(memory->flushed <= memory->map.sequence);
    uint64_t left = moot_rng_between(&memory->rng, memory->flushed, memory->map.sequence);
    MOOT_SOMETIMES(left < memory->map.sequence, "a crash lost batches of the store");
    MOOT_SOMETIMES(left > memory->flushed, "a crash kept batches that were not flushed");
    for (struct moot_store_pin *pin = memory->pins.next; pin != &memory->pins; pin = pin->next) {
        pin->is_void = true;
        pin->sequence = UINT64_MAX; /* Holds nothing back. */
    }
    moot_versioned_map_rollback(&memory->map, left);
    memory->flushed = left;
    trim(memory);
    memory_ingest_abort(store);
    era_end(memory);
}

uint64_t moot_store_memory_digest(struct moot_store *store)
{
    struct store_memory *memory = memory_of(store);
    uint64_t digest = 0;
    struct moot_versioned_node *node = memory->map.head->next[0];
    for (; node != NULL; node = node->next[0]) {
        struct moot_slice value;
        if (moot_versioned_node_read(node, memory->map.sequence, &value)) {
            digest += moot_hash64(value, moot_hash64(node->key, 0));
        }
    }
    return digest;
}
