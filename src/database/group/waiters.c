#include "database/group/waiters.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/rule.h"
#include "base/status.h"

void moot_waiters_init(struct moot_waiters *waiters) { *waiters = (struct moot_waiters){0}; }

static void release(struct moot_waiter *waiter)
{
    for (uint32_t i = 0; i < waiter->key_count; i++) {
        moot_free((void *)waiter->keys[i].data);
    }
    moot_free(waiter->keys);
    moot_free(waiter->prints);
    moot_free(waiter->keyspaces);
}

void moot_waiters_clear(struct moot_waiters *waiters)
{
    for (uint32_t i = 0; i < waiters->count; i++) {
        release(&waiters->items[i]);
    }
    waiters->count = 0;
}

void moot_waiters_deinit(struct moot_waiters *waiters)
{
    moot_waiters_clear(waiters);
    moot_free(waiters->items);
    *waiters = (struct moot_waiters){0};
}

uint64_t moot_waiters_print(moot_keyspace keyspace, struct moot_slice key)
{
    return moot_hash64(key, keyspace);
}

void moot_waiter_wish_put(struct moot_buffer *out, const struct moot_waiter_wish *wish)
{
    moot_put_u64(out, wish->id);
    moot_put_u64(out, wish->arrival.time);
    moot_put_u32(out, wish->arrival.ordinal);
    moot_put_u8(out, wish->database);
    moot_put_varint(out, wish->key_count);
    for (uint32_t i = 0; i < wish->key_count; i++) {
        moot_put_bytes(out, wish->keys[i]);
    }
}

bool moot_waiter_wish_next(struct moot_reader *reader, struct moot_arena *arena,
                           struct moot_waiter_wish *out)
{
    if (moot_reader_left(reader) == 0) {
        return false;
    }
    out->id = moot_get_u64(reader);
    out->arrival.time = moot_get_u64(reader);
    out->arrival.ordinal = moot_get_u32(reader);
    out->database = moot_get_u8(reader);
    uint64_t count = moot_get_varint(reader);
    if (reader->failed || out->database >= MOOT_DATABASES || count == 0 ||
        count > moot_reader_left(reader)) {
        reader->failed = true;
        return false;
    }
    struct moot_slice *keys = moot_arena_alloc(arena, sizeof(*keys) * count);
    for (uint64_t i = 0; i < count; i++) {
        keys[i] = moot_get_bytes(reader);
    }
    out->keys = keys;
    out->key_count = (uint32_t)count;
    return !reader->failed;
}

/* Order of arrival; edge and id make it total. */
static bool before(const struct moot_waiter *a, const struct moot_waiter *b)
{
    if (!moot_stamp_equal(a->arrival, b->arrival)) {
        return moot_stamp_before(a->arrival, b->arrival);
    }
    return a->edge != b->edge ? a->edge < b->edge : a->id < b->id;
}

struct moot_waiter *moot_waiters_find(struct moot_waiters *waiters, moot_node_id edge,
                                      uint64_t incarnation, uint64_t id)
{
    for (uint32_t i = 0; i < waiters->count; i++) {
        struct moot_waiter *waiter = &waiters->items[i];
        if (waiter->id == id && waiter->edge == edge && waiter->incarnation == incarnation) {
            return waiter;
        }
    }
    return NULL;
}

int moot_waiters_register(struct moot_waiters *waiters, moot_node_id edge, uint64_t incarnation,
                          const struct moot_waiter_wish *wish, moot_keyspace keyspace)
{
    struct moot_waiter *known = moot_waiters_find(waiters, edge, incarnation, wish->id);
    if (known != NULL) {
        known->woken = known->tried = known->overdue = false;
        return 0;
    }
    if (waiters->count == MOOT_WAITERS_MAX) {
        return MOOT_FAIL(MOOT_EOVERLOADED);
    }
    if (waiters->count == waiters->capacity) {
        waiters->capacity = waiters->capacity == 0 ? 64 : waiters->capacity * 2;
        waiters->items = moot_realloc(waiters->items, sizeof(*waiters->items) * waiters->capacity);
    }
    struct moot_waiter made = {.edge = edge,
                               .incarnation = incarnation,
                               .id = wish->id,
                               .arrival = wish->arrival,
                               .database = wish->database,
                               .key_count = wish->key_count};
    made.keys = moot_alloc(sizeof(*made.keys) * made.key_count);
    made.prints = moot_alloc(sizeof(*made.prints) * made.key_count);
    made.keyspaces = moot_alloc(sizeof(*made.keyspaces) * made.key_count);
    for (uint32_t i = 0; i < made.key_count; i++) {
        uint8_t *copy = moot_alloc(wish->keys[i].size);
        if (wish->keys[i].size > 0) {
            memcpy(copy, wish->keys[i].data, wish->keys[i].size);
        }
        made.keys[i] = moot_slice_make(copy, wish->keys[i].size);
        made.keyspaces[i] = keyspace;
        made.prints[i] = moot_waiters_print(keyspace, made.keys[i]);
    }
    uint32_t at = waiters->count++;
    while (at > 0 && before(&made, &waiters->items[at - 1])) {
        waiters->items[at] = waiters->items[at - 1];
        at--;
    }
    waiters->items[at] = made;
    return 0;
}

void moot_waiters_move(struct moot_waiters *waiters,
                       const moot_keyspace keyspace_of[MOOT_DATABASES])
{
    for (uint32_t w = 0; w < waiters->count; w++) {
        struct moot_waiter *waiter = &waiters->items[w];
        MOOT_ASSERT(waiter->database < MOOT_DATABASES);
        for (uint32_t i = 0; i < waiter->key_count; i++) {
            waiter->keyspaces[i] = keyspace_of[waiter->database];
            waiter->prints[i] = moot_waiters_print(waiter->keyspaces[i], waiter->keys[i]);
        }
    }
}

void moot_waiters_remove(struct moot_waiters *waiters, struct moot_waiter *waiter)
{
    size_t at = (size_t)(waiter - waiters->items);
    MOOT_ASSERT(at < waiters->count);
    release(waiter);
    memmove(waiter, waiter + 1, sizeof(*waiter) * (waiters->count - at - 1));
    waiters->count--;
}

void moot_waiters_remove_edge(struct moot_waiters *waiters, moot_node_id edge, uint64_t keep)
{
    for (uint32_t i = waiters->count; i > 0; i--) {
        struct moot_waiter *waiter = &waiters->items[i - 1];
        if (waiter->edge == edge && (keep == 0 || waiter->incarnation != keep)) {
            moot_waiters_remove(waiters, waiter);
        }
    }
}

static bool waits_for(const struct moot_waiter *waiter, uint64_t print, moot_keyspace keyspace,
                      struct moot_slice key)
{
    for (uint32_t i = 0; i < waiter->key_count; i++) {
        if (waiter->prints[i] == print && waiter->keyspaces[i] == keyspace &&
            moot_slice_equal(waiter->keys[i], key)) {
            return true;
        }
    }
    return false;
}

bool moot_waiters_any_for(const struct moot_waiters *waiters, moot_keyspace keyspace,
                          struct moot_slice key)
{
    uint64_t print = moot_waiters_print(keyspace, key);
    for (uint32_t i = 0; i < waiters->count; i++) {
        if (waits_for(&waiters->items[i], print, keyspace, key)) {
            return true;
        }
    }
    return false;
}

struct moot_waiter *moot_waiters_next(struct moot_waiters *waiters, moot_keyspace keyspace,
                                      struct moot_slice key, uint64_t length)
{
    uint64_t print = moot_waiters_print(keyspace, key);
    uint64_t woken = 0;
    moot_node_id trying = 0; /* The last edge before `first` that was told and has not tried. */
    bool several = false;    /* More than one such edge. */
    struct moot_waiter *first = NULL;
    for (uint32_t i = 0; i < waiters->count; i++) {
        struct moot_waiter *waiter = &waiters->items[i];
        if (!waits_for(waiter, print, keyspace, key)) {
            continue;
        }
        woken += waiter->woken && !waiter->overdue;
        if (first == NULL && !waiter->woken) {
            first = waiter;
        } else if (first == NULL && !waiter->tried && !waiter->overdue) {
            several = several || (trying != 0 && trying != waiter->edge);
            trying = waiter->edge;
        }
    }
    if (first == NULL || woken >= length) {
        return NULL;
    }
    bool in_order = trying == 0 || (trying == first->edge && !several);
    return MOOT_RULE(waiters_tried_in_order, in_order) ? first : NULL;
}

void moot_waiters_wake(struct moot_waiter *waiter, struct moot_instant now)
{
    MOOT_ASSERT(!waiter->woken);
    waiter->woken = true;
    waiter->tried = waiter->overdue = false;
    waiter->woken_first = waiter->woken_at = now;
}

struct moot_waiter *moot_waiters_tried(struct moot_waiters *waiters, moot_node_id edge,
                                       uint64_t incarnation, uint8_t database,
                                       const struct moot_slice *keys, uint32_t key_count)
{
    for (uint32_t i = 0; i < waiters->count; i++) {
        struct moot_waiter *waiter = &waiters->items[i];
        bool same = waiter->woken && !waiter->tried && waiter->edge == edge &&
                    waiter->incarnation == incarnation && waiter->database == database &&
                    waiter->key_count == key_count;
        for (uint32_t k = 0; same && k < key_count; k++) {
            same = moot_slice_equal(waiter->keys[k], keys[k]);
        }
        if (same) {
            waiter->tried = true;
            return waiter;
        }
    }
    return NULL;
}
