/* The view against a naive twin: the model keeps the whole contents, and a copy of them for each
 * layer. Two views run beside each other, over stores of different seeds, one that blocks and
 * remembers recent values and one that does neither: nothing that they show may differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/codec.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/slice.h"
#include "base/status.h"
#include "database/execute/recent.h"
#include "database/execute/view.h"
#include "storage/store_memory.h"

enum {
    KEYS = 48,
    COLLECTIONS = 24, /* Incarnations: written, then deleted as a range, never used again. */
    ELEMENTS = 4,
    PLACES = KEYS + COLLECTIONS * ELEMENTS,
    LAYERS = 6,
    SIDES = 2,
};

/* Places 0 .. KEYS-1 are plain keys; the others are elements. Values: 0 is none. */
struct contents {
    uint32_t value[PLACES];
    bool dead[COLLECTIONS];
};

struct side {
    struct moot_store *store;
    struct moot_view *view;
    struct moot_batch batch;
};

struct test_world {
    struct moot_rng rng;
    struct side sides[SIDES];
    struct contents layers[LAYERS + 1];
    moot_view_mark marks[SIDES][LAYERS];
    uint32_t depth;
    uint32_t next_value;
    uint64_t blocked;
};

static struct moot_slice key_bytes(uint8_t out[8], uint32_t place)
{
    if (place < KEYS) {
        out[0] = 'k';
        out[1] = (uint8_t)(place / 8); /* Six groups, for ranges to clear. */
        out[2] = (uint8_t)(place * 37);
        return (struct moot_slice){out, 3};
    }
    out[0] = 'z';
    out[1] = (uint8_t)((place - KEYS) / ELEMENTS);
    out[2] = (uint8_t)((place - KEYS) % ELEMENTS);
    return (struct moot_slice){out, 3};
}

enum { VALUE_MAX = 32 * 1024 };

/* Sizes from 4 bytes to 3 KiB, so that recent values are pushed out; and some that are large, which
 * have memory of their own. */
static struct moot_slice value_bytes(uint8_t out[VALUE_MAX], uint32_t value)
{
    size_t size = 4 + value * 31 % 3000 + (value % 5 == 0 ? 20000 : 0);
    memset(out, (int)(value & 0xff), size);
    moot_store_le32(out, value);
    return (struct moot_slice){out, size};
}
static void same_value(struct moot_slice bytes, uint32_t value)
{
    uint8_t want[VALUE_MAX];
    assert_true(moot_slice_equal(bytes, value_bytes(want, value)));
}

static struct contents *now(struct test_world *world) { return &world->layers[world->depth]; }
static bool is_dead(struct test_world *world, uint32_t place)
{
    return place >= KEYS && now(world)->dead[(place - KEYS) / ELEMENTS];
}

static void fetch(struct test_world *world, struct side *side)
{
    const struct moot_view_misses *misses = moot_view_misses(side->view);
    assert_true(misses->key_count + misses->range_count > 0);
    for (uint32_t i = 0; i < misses->key_count; i++) {
        (void)side->store->ops->fetch(side->store, misses->keys[i]);
    }
    for (uint32_t i = 0; i < misses->range_count; i++) {
        assert_int_equal(side->store->ops->fetch_range(side->store, misses->ranges[i],
                                                       misses->range_reverse[i], 1000),
                         MOOT_OK);
    }
    moot_view_forget_misses(side->view);
    world->blocked++;
}

static void check_get(struct test_world *world, uint32_t place)
{
    uint8_t bytes[8];
    struct moot_slice key = key_bytes(bytes, place), value;
    uint32_t want = now(world)->value[place];
    for (int i = 0; i < SIDES; i++) {
        int status;
        while ((status = moot_view_get(world->sides[i].view, MOOT_WHEN_NOW, key, &value)) ==
               MOOT_EWOULDBLOCK) {
            fetch(world, &world->sides[i]);
        }
        assert_int_equal(status, want == 0 ? MOOT_ENOTFOUND : MOOT_OK);
        if (want != 0) {
            same_value(value, want);
        }
    }
}

static void put(struct test_world *world, uint32_t place)
{
    uint8_t bytes[8], value[VALUE_MAX];
    uint32_t number = ++world->next_value;
    now(world)->value[place] = number;
    for (int i = 0; i < SIDES; i++) {
        assert_int_equal(moot_view_put(world->sides[i].view, key_bytes(bytes, place),
                                       value_bytes(value, number)),
                         MOOT_OK);
    }
}

static void delete_one(struct test_world *world, uint32_t place)
{
    uint8_t bytes[8];
    now(world)->value[place] = 0;
    for (int i = 0; i < SIDES; i++) {
        assert_int_equal(moot_view_delete(world->sides[i].view, key_bytes(bytes, place)), MOOT_OK);
    }
}

static void delete_collection(struct test_world *world, uint32_t collection)
{
    uint8_t from[2] = {'z', (uint8_t)collection}, to[2] = {'z', (uint8_t)(collection + 1)};
    now(world)->dead[collection] = true;
    for (uint32_t i = 0; i < ELEMENTS; i++) {
        now(world)->value[KEYS + collection * ELEMENTS + i] = 0;
    }
    for (int i = 0; i < SIDES; i++) {
        assert_int_equal(moot_view_delete_range(world->sides[i].view,
                                                (struct moot_slice){from, sizeof(from)},
                                                (struct moot_slice){to, sizeof(to)}),
                         MOOT_OK);
    }
}

static void clear_groups(struct test_world *world, uint32_t first, uint32_t last)
{
    uint8_t from[2] = {'k', (uint8_t)first}, to[2] = {'k', (uint8_t)(last + 1)};
    for (uint32_t place = first * 8; place < (last + 1) * 8; place++) {
        now(world)->value[place] = 0;
    }
    for (int i = 0; i < SIDES; i++) {
        assert_int_equal(moot_view_clear_range(world->sides[i].view,
                                               (struct moot_slice){from, sizeof(from)},
                                               (struct moot_slice){to, sizeof(to)}),
                         MOOT_OK);
    }
}

/* Changes made beside an iteration: the iterator must not see them, the layers must. */
static void random_change(struct test_world *world)
{
    uint32_t place = (uint32_t)moot_rng_below(&world->rng, PLACES);
    if (moot_rng_chance(&world->rng, 1, 30)) {
        uint32_t first = (uint32_t)moot_rng_below(&world->rng, 6);
        clear_groups(world, first, (uint32_t)moot_rng_between(&world->rng, first, 5));
        return;
    }
    if (is_dead(world, place)) {
        return;
    }
    if (moot_rng_chance(&world->rng, 2, 3)) {
        put(world, place);
    } else {
        delete_one(world, place);
    }
}

static uint32_t place_of(struct moot_slice key)
{
    uint8_t bytes[8];
    for (uint32_t place = 0; place < PLACES; place++) {
        if (moot_slice_equal(key, key_bytes(bytes, place))) {
            return place;
        }
    }
    fail();
    return 0;
}

static int compare_places(const void *a, const void *b)
{
    uint8_t bytes[2][8];
    return moot_slice_compare(key_bytes(bytes[0], *(const uint32_t *)a),
                              key_bytes(bytes[1], *(const uint32_t *)b));
}

/* Iterates a range of plain keys on one side; `change` now and then. False: it blocked. */
static bool iterate_once(struct test_world *world, struct side *side, struct moot_range range,
                         bool reverse, bool change)
{
    struct contents then = *now(world);
    uint32_t want[KEYS], count = 0, seen = 0;
    uint8_t bytes[8];
    for (uint32_t place = 0; place < KEYS; place++) {
        struct moot_slice key = key_bytes(bytes, place);
        if (then.value[place] != 0 && moot_slice_compare(key, range.from) >= 0 &&
            moot_slice_compare(key, range.to) < 0) {
            want[count++] = place;
        }
    }
    qsort(want, count, sizeof(want[0]), compare_places);
    struct moot_view_iterator iterator;
    struct moot_slice key, value;
    int status = moot_view_iterate(side->view, MOOT_WHEN_NOW, range, reverse, &iterator);
    for (; status == MOOT_OK; seen++) {
        status = moot_view_next(&iterator, &key, &value);
        if (status != MOOT_OK) {
            break;
        }
        assert_true(seen < count);
        uint32_t place = want[reverse ? count - 1 - seen : seen];
        assert_int_equal(place_of(key), place);
        same_value(value, then.value[place]);
        if (change && moot_rng_chance(&world->rng, 1, 3)) {
            random_change(world);
        }
    }
    moot_view_iterate_end(&iterator);
    if (status == MOOT_EWOULDBLOCK) {
        fetch(world, side);
        return false;
    }
    assert_int_equal(status, MOOT_ENOTFOUND);
    assert_int_equal(seen, count);
    return true;
}

static void check_iterate(struct test_world *world)
{
    uint8_t from[3] = {'k', (uint8_t)moot_rng_below(&world->rng, 7), 0};
    uint8_t to[3] = {'k', (uint8_t)moot_rng_below(&world->rng, 7), 0};
    from[2] = (uint8_t)moot_rng_next(&world->rng);
    to[2] = (uint8_t)moot_rng_next(&world->rng);
    struct moot_range range = {{from, sizeof(from)}, {to, sizeof(to)}};
    if (moot_slice_compare(range.from, range.to) > 0) {
        struct moot_slice swap = range.from;
        range.from = range.to;
        range.to = swap;
    }
    bool reverse = moot_rng_chance(&world->rng, 1, 2);
    for (int i = 0; i < SIDES; i++) {
        bool change = moot_rng_chance(&world->rng, 1, 2);
        while (!iterate_once(world, &world->sides[i], range, reverse, change)) {
        }
    }
}

static void push(struct test_world *world)
{
    for (int i = 0; i < SIDES; i++) {
        world->marks[i][world->depth] = moot_view_push(world->sides[i].view);
    }
    world->layers[world->depth + 1] = world->layers[world->depth];
    world->depth++;
}

static void keep(struct test_world *world, uint32_t to)
{
    world->layers[to] = world->layers[world->depth];
    world->depth = to;
    for (int i = 0; i < SIDES; i++) {
        moot_view_keep(world->sides[i].view, world->marks[i][to]);
    }
}

static void drop(struct test_world *world, uint32_t to)
{
    world->depth = to;
    for (int i = 0; i < SIDES; i++) {
        moot_view_drop(world->sides[i].view, world->marks[i][to]);
    }
}

/* One side alone does something that is dropped again: it must leave no trace in the chain. */
static void detour(struct test_world *world)
{
    uint8_t bytes[8];
    struct moot_view *view = world->sides[1].view;
    moot_view_mark mark = moot_view_push(view);
    for (int i = 0; i < 5; i++) {
        uint32_t place = (uint32_t)moot_rng_below(&world->rng, KEYS);
        assert_int_equal(moot_view_put(view, key_bytes(bytes, place), MOOT_SLICE_LITERAL("detour")),
                         MOOT_OK);
    }
    assert_int_equal(moot_view_clear_range(view, MOOT_SLICE_LITERAL("k"), MOOT_SLICE_LITERAL("l")),
                     MOOT_OK);
    moot_view_drop(view, mark);
}

static void flush(struct test_world *world)
{
    assert_int_equal(moot_view_take_hash(world->sides[0].view),
                     moot_view_take_hash(world->sides[1].view));
    for (int i = 0; i < SIDES; i++) {
        struct side *side = &world->sides[i];
        moot_batch_reset(&side->batch);
        moot_view_flush(side->view, &side->batch);
        assert_false(moot_view_has_changes(side->view));
        assert_int_equal(side->store->ops->write(side->store, &side->batch), MOOT_OK);
    }
}

/* What the stores hold is what the model says, dead elements included: they are gone. */
static void check_stores(struct test_world *world)
{
    assert_int_equal(moot_store_memory_digest(world->sides[0].store),
                     moot_store_memory_digest(world->sides[1].store));
    struct moot_store *store = world->sides[1].store; /* The one that does not block. */
    struct moot_store_iterator *iterator;
    struct moot_slice key, value;
    uint32_t seen = 0, want = 0;
    for (uint32_t place = 0; place < PLACES; place++) {
        want += now(world)->value[place] != 0;
    }
    struct moot_range all = {{NULL, 0}, {NULL, 0}};
    assert_int_equal(store->ops->iterate(store, NULL, all, false, &iterator), MOOT_OK);
    while (store->ops->entry(iterator, &key, &value) == MOOT_OK) {
        same_value(value, now(world)->value[place_of(key)]);
        seen++;
        (void)store->ops->next(iterator);
    }
    store->ops->iterate_end(iterator);
    assert_int_equal(seen, want);
}

static void step(struct test_world *world)
{
    uint32_t place = (uint32_t)moot_rng_below(&world->rng, PLACES);
    uint64_t choice = moot_rng_below(&world->rng, 100);
    if (choice < 8 && world->depth < LAYERS) {
        push(world);
    } else if (choice < 12 && world->depth > 0) {
        keep(world, (uint32_t)moot_rng_below(&world->rng, world->depth));
    } else if (choice < 16 && world->depth > 0) {
        drop(world, (uint32_t)moot_rng_below(&world->rng, world->depth));
    } else if (choice < 18) {
        delete_collection(world, (uint32_t)moot_rng_below(&world->rng, COLLECTIONS));
    } else if (choice < 26) {
        check_iterate(world);
    } else if (choice < 28) {
        detour(world);
    } else if (choice < 34 && world->depth == 0) {
        flush(world);
        check_stores(world);
    } else if (choice < 60 && !is_dead(world, place)) {
        check_get(world, place);
    } else {
        random_change(world);
    }
}

/* Goal: reads, iterations both ways, layers, ranges and flushes behave as plain copies would, with
 * stores that block or not and recent values or none; hashes agree; the stores end up equal.
 * Method: random operations against the model. */
static void behaves_as_copies_would(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct test_world *world = calloc(1, sizeof(*world));
        moot_rng_init(&world->rng, seed);
        for (int i = 0; i < SIDES; i++) {
            struct moot_store_memory_options options = {seed + (uint64_t)i * 1000, i == 0 ? 3 : 0};
            world->sides[i].store = moot_store_memory_open(&options);
            world->sides[i].view = moot_view_make(world->sides[i].store);
            moot_view_remember(world->sides[i].view, i == 0 ? 64 * 1024 : 0);
            moot_batch_init(&world->sides[i].batch);
        }
        for (int i = 0; i < 1500; i++) {
            step(world);
        }
        if (world->depth > 0) {
            keep(world, 0);
        }
        flush(world);
        check_stores(world);
        assert_true(world->blocked > 0);
        for (int i = 0; i < SIDES; i++) {
            moot_view_destroy(world->sides[i].view);
            moot_batch_deinit(&world->sides[i].batch);
            world->sides[i].store->ops->close(world->sides[i].store);
        }
        free(world);
    }
}

static struct moot_view *plain_view(struct moot_store **store)
{
    struct moot_store_memory_options options = {1, 0};
    *store = moot_store_memory_open(&options);
    return moot_view_make(*store);
}
static void end_plain(struct moot_view *view, struct moot_store *store)
{
    moot_view_destroy(view);
    store->ops->close(store);
}

/* Goal: a budget allows exactly so many touches, then says so, and again when it is renewed.
 * Method: every kind of touch with none and with enough left. */
static void budgets_are_exact(void **state)
{
    (void)state;
    struct moot_store *store;
    struct moot_view *view = plain_view(&store);
    struct moot_slice a = MOOT_SLICE_LITERAL("a"), b = MOOT_SLICE_LITERAL("b"), value;
    moot_view_budget(view, 3);
    assert_int_equal(moot_view_put(view, a, b), MOOT_OK);
    assert_int_equal(moot_view_get(view, MOOT_WHEN_NOW, a, &value), MOOT_OK);
    assert_int_equal(moot_view_delete(view, b), MOOT_OK);
    assert_int_equal(moot_view_get(view, MOOT_WHEN_NOW, a, &value), MOOT_EBUDGET);
    assert_int_equal(moot_view_put(view, a, a), MOOT_EBUDGET);
    assert_int_equal(moot_view_delete(view, a), MOOT_EBUDGET);
    assert_int_equal(moot_view_delete_range(view, a, b), MOOT_EBUDGET);
    moot_view_budget(view, 1);
    struct moot_view_iterator iterator;
    struct moot_range range = {a, b};
    struct moot_slice key;
    assert_int_equal(moot_view_iterate(view, MOOT_WHEN_NOW, range, false, &iterator), MOOT_OK);
    assert_int_equal(moot_view_next(&iterator, &key, &value), MOOT_OK);
    assert_int_equal(moot_view_next(&iterator, &key, &value), MOOT_ENOTFOUND);
    moot_view_iterate_end(&iterator);
    moot_view_budget(view, 0);
    assert_int_equal(moot_view_iterate(view, MOOT_WHEN_NOW, range, false, &iterator), MOOT_OK);
    assert_int_equal(moot_view_next(&iterator, &key, &value), MOOT_EBUDGET);
    moot_view_iterate_end(&iterator);
    end_plain(view, store);
}

/* Goal: the hash names the operations kept, their order and their values; nothing kept is 0.
 * Method: permutations of two puts. */
static void hash_names_what_was_done(void **state)
{
    (void)state;
    struct moot_store *store;
    struct moot_view *view = plain_view(&store);
    struct moot_slice a = MOOT_SLICE_LITERAL("a"), b = MOOT_SLICE_LITERAL("b");
    uint64_t hashes[6];
    assert_int_equal(moot_view_take_hash(view), 0);
    for (int i = 0; i < 6; i++) {
        int status = moot_view_put(view, i == 1 ? b : a, i == 2 ? b : a);
        status |= i == 3 ? moot_view_delete(view, b) : moot_view_put(view, i == 1 ? a : b, a);
        status |= i == 4 ? moot_view_delete_range(view, a, b) : 0;
        status |= i == 5 ? moot_view_clear_range(view, a, b) : 0;
        assert_int_equal(status, MOOT_OK);
        hashes[i] = moot_view_take_hash(view);
        for (int j = 0; j < i; j++) {
            assert_true(hashes[i] != hashes[j]);
        }
    }
    assert_int_equal(moot_view_take_hash(view), 0);
    end_plain(view, store);
}

/* Goal: a whole range that is cleared twice in a turn, with puts between, leaves what came last.
 * Method: SET, FLUSHDB, SET, FLUSHDB, SET on another key; the second clear dropped, then kept. */
static void clears_twice(void **state)
{
    (void)state;
    struct moot_store *store;
    struct moot_view *view = plain_view(&store);
    struct moot_slice from = MOOT_SLICE_LITERAL("a"), to = MOOT_SLICE_LITERAL("z"), value;
    struct moot_slice b = MOOT_SLICE_LITERAL("b"), c = MOOT_SLICE_LITERAL("c");
    struct moot_batch batch;
    moot_batch_init(&batch);
    assert_int_equal(moot_view_put(view, b, b), MOOT_OK);
    moot_view_flush(view, &batch);
    assert_int_equal(store->ops->write(store, &batch), MOOT_OK);
    assert_int_equal(moot_view_clear_range(view, from, to), MOOT_OK);
    assert_int_equal(moot_view_get(view, MOOT_WHEN_NOW, b, &value), MOOT_ENOTFOUND);
    assert_int_equal(moot_view_put(view, c, c), MOOT_OK);
    moot_view_mark mark = moot_view_push(view);
    assert_int_equal(moot_view_clear_range(view, from, to), MOOT_OK);
    assert_int_equal(moot_view_get(view, MOOT_WHEN_NOW, c, &value), MOOT_ENOTFOUND);
    moot_view_drop(view, mark);
    assert_int_equal(moot_view_get(view, MOOT_WHEN_NOW, c, &value), MOOT_OK);
    assert_int_equal(moot_view_get(view, MOOT_WHEN_NOW, b, &value), MOOT_ENOTFOUND);
    assert_int_equal(moot_view_clear_range(view, from, to), MOOT_OK);
    assert_int_equal(moot_view_put(view, b, c), MOOT_OK);
    moot_batch_reset(&batch);
    moot_view_flush(view, &batch);
    assert_int_equal(batch.count, 2); /* One range, one put. */
    assert_int_equal(store->ops->write(store, &batch), MOOT_OK);
    assert_int_equal(moot_view_get(view, MOOT_WHEN_NOW, b, &value), MOOT_OK);
    assert_true(moot_slice_equal(value, c));
    assert_int_equal(moot_view_get(view, MOOT_WHEN_NOW, c, &value), MOOT_ENOTFOUND);
    moot_batch_deinit(&batch);
    end_plain(view, store);
}

/* Goal: after a snapshot replaced the store's contents nothing old is shown. Method: change the
 * store behind the view's back, and reset. */
static void reset_forgets_recent_values(void **state)
{
    (void)state;
    struct moot_store *store;
    struct moot_view *view = plain_view(&store);
    struct moot_slice a = MOOT_SLICE_LITERAL("a"), b = MOOT_SLICE_LITERAL("b"), value;
    struct moot_batch batch;
    moot_batch_init(&batch);
    assert_int_equal(moot_view_put(view, a, a), MOOT_OK);
    moot_view_flush(view, &batch);
    assert_int_equal(store->ops->write(store, &batch), MOOT_OK);
    moot_batch_reset(&batch);
    moot_batch_put(&batch, a, b);
    assert_int_equal(store->ops->write(store, &batch), MOOT_OK);
    (void)moot_view_take_hash(view);
    moot_view_reset(view);
    assert_int_equal(moot_view_get(view, MOOT_WHEN_NOW, a, &value), MOOT_OK);
    assert_true(moot_slice_equal(value, b));
    moot_batch_deinit(&batch);
    end_plain(view, store);
}

/* Goal: recent values are the last ones put, whatever falls off, and what is used stays. Method:
 * random puts and forgets of random sizes against an array; one key that is always put again when
 * it is old. */
static void recent_values_are_the_last(void **state)
{
    (void)state;
    struct moot_recent recent;
    moot_recent_init(&recent, 64 * 1024);
    struct moot_rng rng;
    moot_rng_init(&rng, 7);
    uint32_t last[512] = {0};
    static uint8_t bytes[VALUE_MAX], copy[VALUE_MAX];
    uint64_t hits = 0, misses_of_used = 0;
    for (uint32_t i = 1; i < 60000; i++) {
        uint32_t place = i % 3 == 0 ? 0 : (uint32_t)moot_rng_below(&rng, 512);
        uint8_t key[4];
        moot_store_le32(key, place);
        struct moot_slice name = {key, 4}, value;
        uint64_t hash = place * UINT64_C(0x9e3779b97f4a7c15) >> 20; /* Crowded slots. */
        bool present, is_old;
        if (moot_recent_get(&recent, hash, name, &value, &present, &is_old)) {
            hits++;
            assert_int_equal(present, last[place] % 2 == 1);
            if (present) {
                same_value(value, last[place]);
            }
            if (is_old) {
                memcpy(copy, value.data, value.size);
                value.data = copy;
                moot_recent_put(&recent, hash, name, present, value);
            }
        } else {
            misses_of_used += place == 0;
        }
        if (place != 0 || i < 10) {
            last[place] = i;
            moot_recent_put(&recent, hash, name, i % 2 == 1, value_bytes(bytes, i));
        }
        if (moot_rng_chance(&rng, 1, 10) && place != 0) {
            moot_recent_forget(&recent, hash, name);
            assert_false(moot_recent_get(&recent, hash, name, &value, &present, &is_old));
        }
        if (i % 1000 == 0) {
            moot_recent_check(&recent);
        }
    }
    assert_true(hits > 1000);
    assert_true(misses_of_used <= 1);
    moot_recent_reset(&recent);
    moot_recent_check(&recent);
    moot_recent_deinit(&recent);
}

/* Goal: what was overwritten, and will not be wanted again, takes no room; what may be, does.
 * Method: a large value is written again and again, in one layer after the other within one that
 * may still be dropped. */
static void overwritten_values_take_no_room(void **state)
{
    (void)state;
    enum { LARGE = 1024 * 1024, TIMES = 200 };
    struct moot_store *store;
    struct moot_view *view = plain_view(&store);
    uint8_t *bytes = calloc(1, LARGE);
    struct moot_slice key = MOOT_SLICE_LITERAL("a"), value = {bytes, LARGE};
    moot_view_budget(view, UINT64_MAX);
    bytes[0] = 'a';
    moot_view_mark first = moot_view_push(view);
    assert_int_equal(moot_view_put(view, key, value), MOOT_OK);
    moot_view_keep(view, first);
    moot_view_mark entry = moot_view_push(view);
    for (int i = 0; i < TIMES; i++) {
        moot_view_mark item = moot_view_push(view);
        moot_view_mark command = moot_view_push(view);
        bytes[0] = (uint8_t)('b' + i % 20);
        assert_int_equal(moot_view_put(view, key, value), MOOT_OK);
        moot_view_keep(view, command);
        if (i % 3 == 0) {
            moot_view_drop(view, item);
        } else {
            moot_view_keep(view, item);
        }
        assert_true(moot_view_size(view) < 4 * LARGE);
    }
    assert_int_equal(moot_view_get(view, MOOT_WHEN_NOW, key, &value), MOOT_OK);
    assert_int_equal(value.data[0], 'b' + (TIMES - 1) % 20);
    moot_view_drop(view, entry);
    assert_int_equal(moot_view_get(view, MOOT_WHEN_NOW, key, &value), MOOT_OK);
    assert_int_equal(value.data[0], 'a');
    assert_true(moot_view_size(view) < 2 * LARGE);
    free(bytes);
    end_plain(view, store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaves_as_copies_would),
        cmocka_unit_test(overwritten_values_take_no_room),
        cmocka_unit_test(budgets_are_exact),
        cmocka_unit_test(hash_names_what_was_done),
        cmocka_unit_test(clears_twice),
        cmocka_unit_test(reset_forgets_recent_values),
        cmocka_unit_test(recent_values_are_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
