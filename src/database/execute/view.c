#include "database/execute/view_internal.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/rule.h"
#include "base/status.h"

enum {
    SLOTS_FIRST = 128,
    SLOTS_KEEP = 64 * 1024, /* Of a turn's overlay; more is given back at the flush. */
    OPS_KEEP = 64 * 1024,
    /* How far ahead memory is asked for while thousands of entries are remembered: each costs two
     * cache misses, which so overlap. */
    AHEAD_FAR = 16,
    AHEAD_NEAR = 8,
};

/* ---- making, emptying ---- */

static void make_slots(struct moot_view *view, uint32_t count)
{
    MOOT_ASSERT((count & (count - 1)) == 0);
    view->slots = moot_alloc_zero(sizeof(*view->slots) * count);
    view->slot_mask = count - 1;
    view->generation = 1;
}

struct moot_view *moot_view_make(struct moot_store *store)
{
    struct moot_view *view = moot_alloc_zero(sizeof(*view));
    view->store = store;
    view->op_base = view->op_next = view->op_flushed = 1; /* 0 is "none". */
    view->budget = UINT64_MAX;
    view->miss_round = 1;
    moot_recent_init(&view->recent, MOOT_RECENT_BYTES);
    moot_arena_init(&view->arena);
    moot_arena_init(&view->miss_arena);
    make_slots(view, SLOTS_FIRST);
    return view;
}

/* Large values are in view_internal.h. */
static uint8_t *add_large(struct moot_view *view, size_t size)
{
    struct view_large *large = moot_alloc(sizeof(*large) + size);
    large->size = size;
    large->prev = NULL;
    large->next = view->large;
    if (view->large != NULL) {
        view->large->prev = large;
    }
    view->large = large;
    view->large_bytes += size;
    return large->bytes;
}

static void free_large(struct moot_view *view, struct view_large *large)
{
    MOOT_ASSERT(view->large_bytes >= large->size);
    *(large->prev == NULL ? &view->large : &large->prev->next) = large->next;
    if (large->next != NULL) {
        large->next->prev = large->prev;
    }
    view->large_bytes -= large->size;
    moot_free(large);
}

static void free_all_large(struct moot_view *view)
{
    while (view->large != NULL) {
        free_large(view, view->large);
    }
}

static bool is_large(enum view_state state, struct moot_slice value)
{
    return state == VIEW_PUT && value.size >= VIEW_LARGE_BYTES;
}

/* Nobody will ask for this value of an entry any more. */
static void forget_value(struct moot_view *view, enum view_state state, struct moot_slice value)
{
    if (is_large(state, value)) {
        size_t head = offsetof(struct view_large, bytes);
        struct view_large *large = (struct view_large *)(void *)((uint8_t *)value.data - head);
        MOOT_ASSERT(large->size == value.size);
        free_large(view, large);
    }
}

void moot_view_destroy(struct moot_view *view)
{
    MOOT_ASSERT(view->open_cursors == 0);
    view__free_cursors(view);
    moot_recent_deinit(&view->recent);
    free_all_large(view);
    moot_arena_deinit(&view->arena);
    moot_arena_deinit(&view->miss_arena);
    moot_free(view->slots);
    moot_free(view->entries);
    moot_free(view->ops);
    moot_free(view->ranges);
    moot_free(view->misses.keys);
    moot_free(view->misses.ranges);
    moot_free(view->misses.range_reverse);
    moot_free(view);
}

static void remember(struct moot_view *view, const struct view_entry *entry)
{
    switch (entry->state) {
    case VIEW_UNKNOWN:
        break;
    case VIEW_PRESENT:
    case VIEW_ABSENT:
        if (entry->is_fresh) {
            moot_recent_put(&view->recent, entry->hash, entry->key, entry->state == VIEW_PRESENT,
                            entry->value);
        }
        break;
    case VIEW_PUT:
        moot_recent_put(&view->recent, entry->hash, entry->key, true, entry->value);
        break;
    case VIEW_DELETED:
        moot_recent_put(&view->recent, entry->hash, entry->key, false, entry->value);
        break;
    case VIEW_GONE:
        moot_recent_forget(&view->recent, entry->hash, entry->key);
        break;
    }
}

/* The overlay becomes empty; what the store holds of it is remembered. */
static void empty_overlay(struct moot_view *view, bool keep_recent)
{
    MOOT_ASSERT(view->depth == 0);
    MOOT_ASSERT(view->open_cursors == 0);
    for (uint32_t i = 0; keep_recent && i < view->entry_count; i++) {
        if (i + AHEAD_FAR < view->entry_count) {
            moot_recent_expect_far(&view->recent, view->entries[i + AHEAD_FAR]->hash);
            moot_recent_expect_near(&view->recent, view->entries[i + AHEAD_NEAR]->hash);
        }
        remember(view, view->entries[i]);
    }
    view->entry_count = view->sorted_count = 0;
    view->last = NULL;
    view->range_count = view->clear_count = 0;
    view->op_base = view->op_flushed = view->op_next;
    memset(view->first, 0, sizeof(view->first));
    moot_arena_reset(&view->arena);
    free_all_large(view);
    if (view->slot_mask >= SLOTS_KEEP || view->generation == UINT32_MAX) {
        moot_free(view->slots);
        moot_free(view->entries);
        view->entries = NULL;
        view->entry_capacity = 0;
        make_slots(view, SLOTS_FIRST);
    } else {
        view->generation++; /* Every slot is empty now. */
    }
    if (view->op_capacity > OPS_KEEP) {
        moot_free(view->ops);
        view->ops = NULL;
        view->op_capacity = 0;
    }
}

bool moot_view_has_changes(const struct moot_view *view)
{
    return view->op_next != view->op_flushed;
}

void moot_view_reset(struct moot_view *view)
{
    MOOT_ASSERT(!moot_view_has_changes(view));
    empty_overlay(view, false);
    moot_recent_reset(&view->recent);
    view->chain = 0;
    moot_view_forget_misses(view);
}

void moot_view_remember(struct moot_view *view, size_t bytes)
{
    MOOT_ASSERT(!moot_view_has_changes(view));
    empty_overlay(view, false);
    moot_recent_deinit(&view->recent);
    moot_recent_init(&view->recent, bytes);
}

/* ---- entries ---- */

static void grow_slots(struct moot_view *view)
{
    uint32_t count = (view->slot_mask + 1) * 2;
    MOOT_ASSERT(count > 0);
    moot_free(view->slots);
    make_slots(view, count);
    for (uint32_t i = 0; i < view->entry_count; i++) {
        struct view_entry *entry = view->entries[i];
        uint32_t slot = (uint32_t)entry->hash & view->slot_mask;
        while (view->slots[slot].generation == view->generation) {
            slot = (slot + 1) & view->slot_mask;
        }
        view->slots[slot] =
            (struct view_slot){view->generation, (uint32_t)(entry->hash >> 32), entry};
    }
}

static struct view_entry *add_entry(struct moot_view *view, uint32_t slot, uint64_t hash,
                                    struct moot_slice key)
{
    struct view_entry *entry = moot_arena_alloc(&view->arena, sizeof(*entry));
    *entry = (struct view_entry){.hash = hash, .key = moot_arena_copy(&view->arena, key)};
    if (view->entry_count == view->entry_capacity) {
        view->entry_capacity = view->entry_capacity == 0 ? 256 : view->entry_capacity * 2;
        view->entries =
            moot_realloc(view->entries, sizeof(view->entries[0]) * view->entry_capacity);
    }
    view->entries[view->entry_count++] = entry;
    view->slots[slot] = (struct view_slot){view->generation, (uint32_t)(hash >> 32), entry};
    if (view->entry_count > (view->slot_mask + 1) / 2) {
        grow_slots(view);
    }
    return entry;
}

/* The entry of a key, made when there is none. */
static struct view_entry *entry_of(struct moot_view *view, struct moot_slice key)
{
    MOOT_ASSERT(key.size > 0);
    if (view->last != NULL && moot_slice_equal(view->last->key, key)) {
        return view->last;
    }
    uint64_t hash = moot_hash64(key, 0);
    uint32_t tag = (uint32_t)(hash >> 32);
    uint32_t slot = (uint32_t)hash & view->slot_mask;
    for (; view->slots[slot].generation == view->generation; slot = (slot + 1) & view->slot_mask) {
        if (view->slots[slot].tag == tag && moot_slice_equal(view->slots[slot].entry->key, key)) {
            view->last = view->slots[slot].entry;
            return view->last;
        }
    }
    view->last = add_entry(view, slot, hash, key);
    return view->last;
}

/* ---- layers and the undo log ---- */

moot_view_mark moot_view_push(struct moot_view *view)
{
    MOOT_ASSERT(view->depth < MOOT_LAYERS_MAX);
    if (view->depth == 0 && !moot_view_has_changes(view) && view->open_cursors == 0 &&
        view->entry_count > 0) {
        empty_overlay(view, true); /* Only reads are in it. */
    }
    view->layers[view->depth] = view->op_next;
    return view->depth++;
}

/* What operations from `from` on have replaced is wanted again only if one of them can be dropped
 * without that which made it: when a layer begins between the two. */
static void forget_replaced(struct moot_view *view, uint64_t from)
{
    uint64_t begins = view->depth > 0 ? view->layers[view->depth - 1] : 0;
    MOOT_ASSERT(from >= view->op_base);
    for (uint64_t at = from; at < view->op_next; at++) {
        struct view_op *op = &view->ops[at - view->op_base];
        bool of_entry = op->kind != VIEW_OP_RANGE && op->kind != VIEW_OP_AGAIN;
        if (of_entry && op->op >= begins && is_large(op->state, op->value)) {
            forget_value(view, op->state, op->value);
            op->value = (struct moot_slice){NULL, 0};
        }
    }
}

void moot_view_keep(struct moot_view *view, moot_view_mark mark)
{
    MOOT_ASSERT(mark < view->depth);
    view->depth = mark;
    if (view->large != NULL && view->open_cursors == 0) {
        forget_replaced(view, view->layers[mark]);
    }
}

static void undo(struct moot_view *view, const struct view_op *op)
{
    if (op->kind == VIEW_OP_RANGE) {
        MOOT_ASSERT(view->range_count > 0);
        view->range_count--;
        view->clear_count -= view->ranges[view->range_count].is_clear;
    } else if (op->kind != VIEW_OP_AGAIN) {
        MOOT_ASSERT(op->entry != NULL);
        forget_value(view, op->entry->state, op->entry->value);
        op->entry->state = op->state;
        op->entry->value = op->value;
        op->entry->op = op->op;
    }
    view->chain = op->chain;
}

void moot_view_drop(struct moot_view *view, moot_view_mark mark)
{
    MOOT_ASSERT(mark < view->depth);
    uint64_t to = view->layers[mark];
    MOOT_ASSERT(to >= view->op_base);
    MOOT_ASSERT(to <= view->op_next);
    view->depth = mark;
    while (!MOOT_RULE(view_drop_undoes, view->op_next == to)) {
        view->op_next--;
        undo(view, &view->ops[view->op_next - view->op_base]);
    }
}

static struct view_op *add_op(struct moot_view *view)
{
    size_t count = (size_t)(view->op_next - view->op_base);
    if (count == view->op_capacity) {
        view->op_capacity = view->op_capacity == 0 ? 256 : view->op_capacity * 2;
        view->ops = moot_realloc(view->ops, sizeof(view->ops[0]) * view->op_capacity);
    }
    return &view->ops[count];
}

/* One change of one entry; the chain is the caller's. */
static void change(struct moot_view *view, enum view_op_kind kind, struct view_entry *entry,
                   enum view_state state, struct moot_slice value)
{
    MOOT_ASSERT(view_state_is_change(state));
    *add_op(view) =
        (struct view_op){kind, entry->state, entry->value, entry->op, entry, view->chain};
    entry->state = state;
    entry->value = value;
    entry->op = view->op_next++;
}

enum view_state view__state_at(const struct moot_view *view, const struct view_entry *entry,
                               uint64_t op, struct moot_slice *value)
{
    enum view_state state = entry->state;
    *value = entry->value;
    for (uint64_t at = entry->op; at >= op && at != 0;) {
        MOOT_ASSERT(at >= view->op_base);
        const struct view_op *made = &view->ops[at - view->op_base];
        MOOT_ASSERT(made->entry == entry);
        state = made->state;
        *value = made->value;
        at = made->op;
    }
    return state;
}

/* ---- budgets and misses ---- */

void moot_view_budget(struct moot_view *view, uint64_t elements) { view->budget = elements; }

uint64_t moot_view_left(const struct moot_view *view) { return view->budget; }

bool view__spend(struct moot_view *view)
{
    if (view->budget == 0) {
        return false;
    }
    view->budget--;
    return true;
}

const struct moot_view_misses *moot_view_misses(const struct moot_view *view)
{
    return &view->misses;
}

uint64_t moot_view_missed(const struct moot_view *view) { return view->missed; }

void moot_view_forget_misses(struct moot_view *view)
{
    view->misses.key_count = view->misses.range_count = 0;
    moot_arena_reset(&view->miss_arena);
    view->miss_round++;
}

static void miss_key(struct moot_view *view, struct view_entry *entry)
{
    struct moot_view_misses *misses = &view->misses;
    view->missed++;
    if (entry->missed == view->miss_round || misses->key_count == MOOT_MISSES_MAX) {
        return;
    }
    entry->missed = view->miss_round;
    if (misses->key_count == view->miss_key_capacity) {
        view->miss_key_capacity = view->miss_key_capacity == 0 ? 64 : view->miss_key_capacity * 2;
        misses->keys =
            moot_realloc(misses->keys, sizeof(misses->keys[0]) * view->miss_key_capacity);
    }
    misses->keys[misses->key_count++] = moot_arena_copy(&view->miss_arena, entry->key);
}

void view__miss_range(struct moot_view *view, struct moot_range range, bool reverse)
{
    struct moot_view_misses *misses = &view->misses;
    view->missed++;
    for (uint32_t i = 0; i < misses->range_count; i++) {
        if (misses->range_reverse[i] == reverse &&
            moot_slice_equal(misses->ranges[i].from, range.from) &&
            moot_slice_equal(misses->ranges[i].to, range.to)) {
            return;
        }
    }
    if (misses->range_count == MOOT_MISSES_MAX / 16) {
        return; /* The next run asks for the rest. */
    }
    if (misses->range_count == view->miss_range_capacity) {
        uint32_t capacity = view->miss_range_capacity == 0 ? 16 : view->miss_range_capacity * 2;
        misses->ranges = moot_realloc(misses->ranges, sizeof(misses->ranges[0]) * capacity);
        misses->range_reverse = moot_realloc(misses->range_reverse, sizeof(bool) * capacity);
        view->miss_range_capacity = capacity;
    }
    misses->range_reverse[misses->range_count] = reverse;
    misses->ranges[misses->range_count++] =
        (struct moot_range){moot_arena_copy(&view->miss_arena, range.from),
                            moot_arena_copy(&view->miss_arena, range.to)};
}

/* ---- reading ---- */

static bool range_has(const struct moot_range *range, struct moot_slice key)
{
    return moot_slice_compare(key, range->from) >= 0 && moot_slice_compare(key, range->to) < 0;
}

const struct moot_range *view__cleared(const struct moot_view *view, struct moot_slice key,
                                       uint64_t op)
{
    if (view->clear_count == 0) {
        return NULL;
    }
    for (uint32_t i = 0; i < view->range_count && view->ranges[i].op < op; i++) {
        if (view->ranges[i].is_clear && range_has(&view->ranges[i].range, key)) {
            return &view->ranges[i].range;
        }
    }
    return NULL;
}

/* Asks what lies below the overlay, and notes it in the entry. */
static int read_below(struct moot_view *view, struct view_entry *entry)
{
    bool present, is_old;
    struct moot_slice value;
    if (moot_recent_get(&view->recent, entry->hash, entry->key, &value, &present, &is_old)) {
        entry->state = present ? VIEW_PRESENT : VIEW_ABSENT;
        entry->is_fresh = is_old;
        entry->value = is_old ? moot_arena_copy(&view->arena, value) : value;
        return MOOT_OK;
    }
    int status = view->store->ops->get(view->store, entry->key, &view->arena, &value);
    if (status == MOOT_EWOULDBLOCK) {
        miss_key(view, entry);
        return status;
    }
    if (status != MOOT_OK && status != MOOT_ENOTFOUND) {
        return status;
    }
    entry->state = status == MOOT_OK ? VIEW_PRESENT : VIEW_ABSENT;
    entry->value = status == MOOT_OK ? value : (struct moot_slice){NULL, 0};
    entry->is_fresh = true;
    return MOOT_OK;
}

int moot_view_get(struct moot_view *view, enum moot_when when, struct moot_slice key,
                  struct moot_slice *value)
{
    MOOT_ASSERT(when == MOOT_WHEN_NOW);
    if (!view__spend(view)) {
        return MOOT_FAIL(MOOT_EBUDGET);
    }
    struct view_entry *entry = entry_of(view, key);
    if (entry->state == VIEW_UNKNOWN) {
        if (!MOOT_RULE(view_cleared_is_hidden, view__cleared(view, key, view->op_next) == NULL)) {
            return MOOT_ENOTFOUND;
        }
        int status = read_below(view, entry);
        if (status != MOOT_OK) {
            return status;
        }
    }
    if (entry->state != VIEW_PRESENT && entry->state != VIEW_PUT) {
        return MOOT_ENOTFOUND;
    }
    *value = entry->value;
    return MOOT_OK;
}

void moot_view_expect_absent(struct moot_view *view, struct moot_slice key)
{
    struct view_entry *entry = entry_of(view, key);
    if (entry->state == VIEW_UNKNOWN) {
        entry->state = VIEW_ABSENT;
        entry->is_fresh = false; /* Worth no place among the recent values: it will be written. */
    }
}

/* ---- writing ---- */

uint8_t *moot_view_room(struct moot_view *view, size_t size)
{
    return size >= VIEW_LARGE_BYTES ? add_large(view, size) : moot_arena_alloc(&view->arena, size);
}

static uint64_t link_of(uint64_t chain, enum view_op_kind kind, uint64_t a, uint64_t b)
{
    return moot_hash_mix(moot_hash_mix(chain, a + (uint64_t)kind), b);
}

int moot_view_put_room(struct moot_view *view, struct moot_slice key, struct moot_slice value)
{
    if (!view__spend(view)) {
        return MOOT_FAIL(MOOT_EBUDGET);
    }
    MOOT_ASSERT(value.size < VIEW_LARGE_BYTES || value.data == view->large->bytes);
    struct view_entry *entry = entry_of(view, key);
    uint64_t chain = link_of(view->chain, VIEW_OP_PUT, entry->hash, moot_hash64(value, 0));
    change(view, VIEW_OP_PUT, entry, VIEW_PUT, value);
    view->chain = chain;
    return MOOT_OK;
}

int moot_view_put(struct moot_view *view, struct moot_slice key, struct moot_slice value)
{
    if (value.size < VIEW_LARGE_BYTES) {
        return moot_view_put_room(view, key, moot_arena_copy(&view->arena, value));
    }
    uint8_t *room = moot_view_room(view, value.size);
    memcpy(room, value.data, value.size);
    return moot_view_put_room(view, key, (struct moot_slice){room, value.size});
}

int moot_view_delete(struct moot_view *view, struct moot_slice key)
{
    if (!view__spend(view)) {
        return MOOT_FAIL(MOOT_EBUDGET);
    }
    struct view_entry *entry = entry_of(view, key);
    uint64_t chain = link_of(view->chain, VIEW_OP_DELETE, entry->hash, 0);
    change(view, VIEW_OP_DELETE, entry, VIEW_DELETED, (struct moot_slice){NULL, 0});
    view->chain = chain;
    return MOOT_OK;
}

/* What the layers hold of the range is gone. Only changes, not what was merely read, decide what is
 * flushed; but what was read must not be remembered either, so both are covered. */
static void cover(struct moot_view *view, const struct moot_range *range)
{
    if (view->entry_count == 0) {
        return;
    }
    view__sort(view);
    for (struct view_node *node = view__at_or_after(view, range->from);
         node != NULL && moot_slice_compare(node->entry->key, range->to) < 0;
         node = node->next[0]) {
        if (node->entry->state != VIEW_GONE) {
            change(view, VIEW_OP_COVER, node->entry, VIEW_GONE, (struct moot_slice){NULL, 0});
        }
    }
}

/* True when the same range was deleted in this turn already: once is enough, as all range deletions
 * come before all puts in a batch. */
static bool was_deleted(const struct moot_view *view, const struct moot_range *range, bool is_clear)
{
    if (!is_clear) {
        return false;
    }
    for (uint32_t i = 0; i < view->range_count; i++) {
        if (view->ranges[i].is_clear && moot_slice_equal(view->ranges[i].range.from, range->from) &&
            moot_slice_equal(view->ranges[i].range.to, range->to)) {
            return true;
        }
    }
    return false;
}

static int delete_range(struct moot_view *view, struct moot_slice from, struct moot_slice to,
                        bool is_clear)
{
    MOOT_ASSERT(to.size > 0);
    if (!view__spend(view)) {
        return MOOT_FAIL(MOOT_EBUDGET);
    }
    if (moot_slice_compare(from, to) >= 0) {
        return MOOT_OK;
    }
    uint64_t chain =
        link_of(view->chain, VIEW_OP_RANGE, moot_hash64(from, is_clear), moot_hash64(to, 0));
    struct moot_range range = {from, to};
    cover(view, &range);
    bool again = was_deleted(view, &range, is_clear);
    if (!again) {
        if (view->range_count == view->range_capacity) {
            view->range_capacity = view->range_capacity == 0 ? 16 : view->range_capacity * 2;
            view->ranges =
                moot_realloc(view->ranges, sizeof(view->ranges[0]) * view->range_capacity);
        }
        range.from = moot_arena_copy(&view->arena, from);
        range.to = moot_arena_copy(&view->arena, to);
        view->ranges[view->range_count++] = (struct view_range){range, view->op_next, is_clear};
        view->clear_count += is_clear;
    }
    *add_op(view) =
        (struct view_op){.kind = again ? VIEW_OP_AGAIN : VIEW_OP_RANGE, .chain = view->chain};
    view->op_next++;
    view->chain = chain;
    return MOOT_OK;
}

int moot_view_delete_range(struct moot_view *view, struct moot_slice from, struct moot_slice to)
{
    return delete_range(view, from, to, false);
}

int moot_view_clear_range(struct moot_view *view, struct moot_slice from, struct moot_slice to)
{
    return delete_range(view, from, to, true);
}

bool moot_view_meets_deleted(const struct moot_view *view, struct moot_range range)
{
    for (uint32_t i = 0; i < view->range_count; i++) {
        const struct moot_range *deleted = &view->ranges[i].range;
        if (moot_slice_compare(deleted->from, range.to) < 0 &&
            moot_slice_compare(range.from, deleted->to) < 0) {
            return true;
        }
    }
    return false;
}

const struct moot_slice *moot_view_deleted(const struct moot_view *view, struct moot_slice key)
{
    for (uint32_t i = 0; i < view->range_count; i++) {
        const struct moot_range *deleted = &view->ranges[i].range;
        if (moot_slice_compare(deleted->from, key) <= 0 &&
            moot_slice_compare(key, deleted->to) < 0) {
            return &deleted->to;
        }
    }
    return NULL;
}

/* ---- the end of an entry and of a turn ---- */

uint64_t moot_view_take_hash(struct moot_view *view)
{
    MOOT_ASSERT(view->depth == 0);
    MOOT_ASSERT(view->open_cursors == 0);
    uint64_t chain = view->chain;
    view->chain = 0;
    view->op_base = view->op_next; /* Nothing before can be dropped any more. */
    for (uint32_t i = 0; i < view->range_count; i++) {
        MOOT_ASSERT(view->ranges[i].op < view->op_next);
    }
    return chain;
}

size_t moot_view_recent_bytes(const struct moot_view *view)
{
    return (size_t)(view->recent.head - view->recent.tail);
}

size_t moot_view_size(const struct moot_view *view)
{
    return view->arena.total + view->large_bytes;
}

uint32_t moot_view_count(const struct moot_view *view) { return view->entry_count; }
uint32_t moot_view_ranges(const struct moot_view *view) { return view->range_count; }

void moot_view_flush(struct moot_view *view, struct moot_batch *batch)
{
    MOOT_ASSERT(view->depth == 0);
    /* All range deletions first: an entry's last state already knows which of them came after it,
     * so that a put that is left was made after every deletion that covers it. */
    for (uint32_t i = 0; i < view->range_count; i++) {
        moot_batch_delete_range(batch, view->ranges[i].range.from, view->ranges[i].range.to);
    }
    if (view->clear_count > 0) {
        moot_recent_reset(&view->recent);
    }
    for (uint32_t i = 0; i < view->entry_count; i++) {
        const struct view_entry *entry = view->entries[i];
        if (entry->state == VIEW_PUT) {
            moot_batch_put(batch, entry->key, entry->value);
        } else if (entry->state == VIEW_DELETED) {
            moot_batch_delete(batch, entry->key);
        }
    }
    empty_overlay(view, true);
}
