/* What every store must do, whichever it is. Included by one test program a store, which defines
 * how one is opened, and closed and opened again after a flush (conformance_*). */
#ifndef MOOT_TESTS_STORE_CONFORMANCE_H
#define MOOT_TESTS_STORE_CONFORMANCE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/rng.h"
#include "base/status.h"
#include "storage/store.h"
#include "storage/store_pinned.h"

static struct moot_store *conformance_open(uint64_t seed);
/* All was flushed before; nothing is lost. */
static struct moot_store *conformance_reopen(struct moot_store *store);
static void conformance_close(struct moot_store *store);

/* --- What a caller does about WOULDBLOCK ------------------------------------------------------ */

static int get_now(struct moot_store *store, struct moot_slice key, struct moot_arena *arena,
                   struct moot_slice *value)
{
    for (int tries = 0; tries < 100; tries++) {
        int status = store->ops->get(store, key, arena, value);
        if (status != MOOT_EWOULDBLOCK) {
            return status;
        }
        assert_int_equal(store->ops->fetch(store, key), MOOT_OK);
    }
    fail_msg("a key blocks although it is fetched");
    return MOOT_EWOULDBLOCK;
}

static void assert_value(struct moot_store *store, const char *key, const char *value)
{
    struct moot_arena arena;
    moot_arena_init(&arena);
    struct moot_slice found;
    int status = get_now(store, moot_slice_text(key), &arena, &found);
    if (value == NULL) {
        assert_int_equal(status, MOOT_ENOTFOUND);
    } else {
        assert_int_equal(status, MOOT_OK);
        assert_true(moot_slice_equal(found, moot_slice_text(value)));
    }
    moot_arena_deinit(&arena);
}

/* Appends "key=value " for each entry of the range to `out`. */
static int walk_once(struct moot_store *store, struct moot_store_pin *pin, struct moot_range range,
                     bool reverse, struct moot_buffer *out, uint64_t *count)
{
    struct moot_store_iterator *iterator;
    *count = 0;
    int status = store->ops->iterate(store, pin, range, reverse, &iterator);
    if (status != MOOT_OK) {
        return status;
    }
    for (;;) {
        struct moot_slice key, value;
        status = store->ops->entry(iterator, &key, &value);
        if (status != MOOT_OK) {
            break;
        }
        *count += 1;
        moot_buffer_append_slice(out, key);
        moot_buffer_append_text(out, "=");
        moot_buffer_append_slice(out, value);
        moot_buffer_append_text(out, " ");
        status = store->ops->next(iterator);
        if (status != MOOT_OK) {
            break;
        }
    }
    store->ops->iterate_end(iterator);
    return status == MOOT_ENOTFOUND ? MOOT_OK : status;
}

static void walk(struct moot_store *store, struct moot_store_pin *pin, struct moot_range range,
                 bool reverse, struct moot_buffer *out)
{
    for (int tries = 0; tries < 100; tries++) {
        uint64_t count;
        moot_buffer_reset(out, SIZE_MAX);
        int status = walk_once(store, pin, range, reverse, out, &count);
        if (status == MOOT_OK) {
            return;
        }
        assert_int_equal(status, MOOT_EWOULDBLOCK);
        assert_null(pin); /* A pin waits instead. */
        assert_int_equal(store->ops->fetch_range(store, range, reverse, count + 100), MOOT_OK);
    }
    fail_msg("a range blocks although it is fetched");
}

static struct moot_range range_of(const char *from, const char *to)
{
    return (struct moot_range){moot_slice_text(from), moot_slice_text(to)};
}

static void assert_walk(struct moot_store *store, struct moot_store_pin *pin,
                        struct moot_range range, bool reverse, const char *expected)
{
    struct moot_buffer seen;
    moot_buffer_init(&seen);
    walk(store, pin, range, reverse, &seen);
    if (!moot_slice_equal(moot_buffer_slice(&seen), moot_slice_text(expected))) {
        fail_msg("expected %s, seen %.*s", expected, (int)seen.size, (const char *)seen.data);
    }
    moot_buffer_deinit(&seen);
}

/* Writes "a=1 b=2 -c -d..f " as one batch: puts, deletes, deleted ranges. */
static void batch_text(struct moot_batch *batch, const char *text)
{
    while (*text != '\0') {
        const char *end = strchr(text, ' ');
        size_t size = end == NULL ? strlen(text) : (size_t)(end - text);
        const char *equals = memchr(text, '=', size);
        const char *dots = size > 2 ? strstr(text, "..") : NULL;
        if (text[0] != '-') {
            assert_non_null(equals);
            moot_batch_put(batch, moot_slice_make(text, (size_t)(equals - text)),
                           moot_slice_make(equals + 1, (size_t)(text + size - equals - 1)));
        } else if (dots != NULL && dots < text + size) {
            moot_batch_delete_range(batch, moot_slice_make(text + 1, (size_t)(dots - text - 1)),
                                    moot_slice_make(dots + 2, (size_t)(text + size - dots - 2)));
        } else {
            moot_batch_delete(batch, moot_slice_make(text + 1, size - 1));
        }
        text += size + (end != NULL);
    }
}

static void write_text(struct moot_store *store, const char *text)
{
    struct moot_batch batch;
    moot_batch_init(&batch);
    batch_text(&batch, text);
    assert_int_equal(store->ops->write(store, &batch), MOOT_OK);
    moot_batch_deinit(&batch);
}

/* --- The tests ------------------------------------------------------------------------------- */

/* Goal: what was written is read, until it is overwritten or deleted; before and after a flush and
 * a restart. */
static void written_is_read(void **state)
{
    (void)state;
    struct moot_store *store = conformance_open(1);
    assert_value(store, "a", NULL);
    write_text(store, "a=1 b=2 c=3 d=");
    for (int round = 0; round < 3; round++) {
        assert_value(store, "a", "1");
        assert_value(store, "b", "2");
        assert_value(store, "d", "");
        assert_value(store, "ab", NULL);
        if (round == 0) {
            assert_int_equal(store->ops->flush(store), MOOT_OK);
        } else if (round == 1) {
            store = conformance_reopen(store);
        }
    }
    write_text(store, "a=9 -b -nothing");
    assert_value(store, "a", "9");
    assert_value(store, "b", NULL);
    conformance_close(store);
}

/* Goal: the ops of a batch count in their order. */
static void batches_are_in_order(void **state)
{
    (void)state;
    struct moot_store *store = conformance_open(2);
    write_text(store, "a=1 b=1 c=1 d=1 e=1");
    write_text(store, "a=2 a=3 -b b=2 -c..e c=9 d=0 -d");
    assert_walk(store, NULL, range_of("a", "z"), false, "a=3 b=2 c=9 e=1 ");
    write_text(store, "");
    write_text(store, "x=1 -a..z");
    assert_walk(store, NULL, range_of("", ""), false, "");
    conformance_close(store);
}

/* Goal: an iteration gives its range, the end excluded, both ways, as the store was when it began.
 */
static void iteration_is_a_view(void **state)
{
    (void)state;
    struct moot_store *store = conformance_open(3);
    write_text(store, "a=1 b=2 c=3 d=4 e=5");
    for (int round = 0; round < 2; round++) {
        assert_walk(store, NULL, range_of("b", "e"), false, "b=2 c=3 d=4 ");
        assert_walk(store, NULL, range_of("b", "e"), true, "d=4 c=3 b=2 ");
        assert_walk(store, NULL, range_of("bb", "dd"), false, "c=3 d=4 ");
        assert_walk(store, NULL, range_of("bb", "dd"), true, "d=4 c=3 ");
        assert_walk(store, NULL, range_of("d", ""), false, "d=4 e=5 ");
        assert_walk(store, NULL, range_of("d", ""), true, "e=5 d=4 ");
        assert_walk(store, NULL, range_of("", "b"), false, "a=1 ");
        assert_walk(store, NULL, range_of("", "b"), true, "a=1 ");
        assert_walk(store, NULL, range_of("c", "c"), false, "");
        assert_walk(store, NULL, range_of("c", "c"), true, "");
        assert_walk(store, NULL, range_of("d", "b"), false, "");
        assert_walk(store, NULL, range_of("d", "b"), true, "");
        assert_walk(store, NULL, range_of("x", "z"), false, "");
        assert_walk(store, NULL, range_of("x", "z"), true, "");
        assert_int_equal(store->ops->flush(store), MOOT_OK);
    }
    struct moot_store_iterator *iterator = NULL;
    assert_int_equal(store->ops->fetch_range(store, range_of("a", "z"), false, 100), MOOT_OK);
    assert_int_equal(store->ops->iterate(store, NULL, range_of("a", "z"), false, &iterator),
                     MOOT_OK);
    write_text(store, "-a..c aa=7 c=0 f=8");
    static const char *const expected[] = {"a1", "b2", "c3", "d4", "e5"};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(expected); i++) {
        struct moot_slice key, value;
        assert_int_equal(store->ops->entry(iterator, &key, &value), MOOT_OK);
        assert_true(moot_slice_equal(key, moot_slice_make(expected[i], 1)));
        assert_true(moot_slice_equal(value, moot_slice_make(expected[i] + 1, 1)));
        assert_int_equal(store->ops->next(iterator), MOOT_OK);
    }
    struct moot_slice key, value;
    assert_int_equal(store->ops->entry(iterator, &key, &value), MOOT_ENOTFOUND);
    store->ops->iterate_end(iterator);
    conformance_close(store);
}

/* Goal: a pin goes on showing its moment, whatever is written, flushed or ingested since. */
static void pin_shows_its_moment(void **state)
{
    (void)state;
    struct moot_store *store = conformance_open(4);
    write_text(store, "a=1 b=2 c=3");
    struct moot_store_pin *first = store->ops->pin(store);
    write_text(store, "a=5 -b d=4");
    struct moot_store_pin *second = store->ops->pin(store);
    assert_int_equal(store->ops->flush(store), MOOT_OK);
    write_text(store, "-a..z");
    assert_int_equal(store->ops->flush(store), MOOT_OK);

    struct moot_range all = range_of("a", "z");
    assert_int_equal(store->ops->ingest_begin(store, &all, 1), MOOT_OK);
    assert_int_equal(
        store->ops->ingest_add(store, MOOT_SLICE_LITERAL("n"), MOOT_SLICE_LITERAL("6")), MOOT_OK);
    struct moot_batch none;
    moot_batch_init(&none);
    assert_int_equal(store->ops->ingest_commit(store, &none), MOOT_OK);

    assert_walk(store, first, all, false, "a=1 b=2 c=3 ");
    assert_walk(store, second, all, true, "d=4 c=3 a=5 ");
    store->ops->unpin(store, first);
    assert_walk(store, second, all, false, "a=5 c=3 d=4 ");
    store->ops->unpin(store, second);
    assert_walk(store, NULL, all, false, "n=6 ");
    conformance_close(store);
}

static bool is_over(void *over) { return *(bool *)over; }

/* Goal: a pin can be read as a store, one key or many, and who reads can be stopped. Method: a pin
 * that later writes have nothing in common with. */
static void pin_is_a_store(void **state)
{
    (void)state;
    struct moot_store *store = conformance_open(9);
    write_text(store, "a=1 b=2 c=3");
    struct moot_store_pin *pin = store->ops->pin(store);
    write_text(store, "a=5 -b d=4");
    assert_int_equal(store->ops->flush(store), MOOT_OK);
    write_text(store, "c=9");
    struct moot_store_pinned pinned;
    bool over = false;
    moot_store_pinned_init(&pinned, store, pin, is_over, &over);
    assert_walk(&pinned.base, NULL, range_of("a", "z"), false, "a=1 b=2 c=3 ");
    assert_walk(&pinned.base, NULL, range_of("b", "z"), true, "c=3 b=2 ");
    assert_value(&pinned.base, "a", "1");
    assert_value(&pinned.base, "b", "2");
    assert_value(&pinned.base, "c", "3");
    assert_value(&pinned.base, "d", NULL);

    struct moot_store_iterator *iterator;
    struct moot_slice key, value;
    struct moot_arena arena;
    moot_arena_init(&arena);
    const struct moot_store_ops *ops = pinned.base.ops;
    assert_int_equal(ops->iterate(&pinned.base, NULL, range_of("a", "z"), false, &iterator), 0);
    assert_int_equal(ops->entry(iterator, &key, &value), MOOT_OK);
    over = true;
    assert_int_equal(ops->entry(iterator, &key, &value), MOOT_EIO);
    assert_int_equal(ops->get(&pinned.base, moot_slice_text("a"), &arena, &value), MOOT_EIO);
    ops->iterate_end(iterator);
    moot_arena_deinit(&arena);
    store->ops->unpin(store, pin);
    conformance_close(store);
}

/* Goal: an ingest empties its ranges, fills them, adds the group's record, touches nothing else,
 * and is there after a restart with everything that was written before it. */
static void ingest_replaces_ranges(void **state)
{
    (void)state;
    struct moot_store *store = conformance_open(5);
    write_text(store, "a=1 b=1 c=1 d=1");
    assert_int_equal(store->ops->flush(store), MOOT_OK);
    write_text(store, "bb=2 dd=2 e=1 g=1 h=1 r=1");

    struct moot_range ranges[] = {range_of("b", "c"), range_of("d", "f"), range_of("g", "h")};
    assert_int_equal(store->ops->ingest_begin(store, ranges, 3), MOOT_OK);
    assert_int_equal(store->ops->ingest_begin(store, ranges, 3), MOOT_EBUSY);
    static const char *const pairs[] = {"b7", "ba8", "d9"};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(pairs); i++) {
        size_t size = strlen(pairs[i]);
        assert_int_equal(store->ops->ingest_add(store, moot_slice_make(pairs[i], size - 1),
                                                moot_slice_make(pairs[i] + size - 1, 1)),
                         MOOT_OK);
    }
    /* Out of order, and outside. */
    assert_int_equal(store->ops->ingest_add(store, MOOT_SLICE_LITERAL("d"), MOOT_SLICE_LITERAL("")),
                     MOOT_EINVALID);
    assert_int_equal(store->ops->ingest_add(store, MOOT_SLICE_LITERAL("f"), MOOT_SLICE_LITERAL("")),
                     MOOT_EINVALID);
    write_text(store, "b=late z=1"); /* Writes go on; what falls into a range is replaced too. */
    assert_walk(store, NULL, range_of("a", "i"), false,
                "a=1 b=late bb=2 c=1 d=1 dd=2 e=1 g=1 h=1 ");
    struct moot_batch extra;
    moot_batch_init(&extra);
    batch_text(&extra, "dz=0 -dz r=2 dx=5 -h i=1 i=2 -j -d");
    assert_int_equal(store->ops->ingest_commit(store, &extra), MOOT_OK);
    moot_batch_deinit(&extra);
    for (int round = 0; round < 2; round++) {
        assert_walk(store, NULL, range_of("", ""), false, "a=1 b=7 ba=8 c=1 dx=5 i=2 r=2 z=1 ");
        store = conformance_reopen(store);
    }
    write_text(store, "b=3 -ba"); /* Later writes win over ingested ones. */
    assert_walk(store, NULL, range_of("a", "c"), false, "a=1 b=3 ");

    assert_int_equal(store->ops->ingest_begin(store, ranges, 1), MOOT_OK);
    store->ops->ingest_abort(store);
    assert_walk(store, NULL, range_of("a", "c"), false, "a=1 b=3 ");
    conformance_close(store);
}

/* Goal: keys and values are bytes: zeros, 0xff, a value at the limit. */
static void bytes_are_bytes(void **state)
{
    (void)state;
    struct moot_store *store = conformance_open(6);
    struct moot_arena arena;
    moot_arena_init(&arena);
    struct moot_batch batch;
    moot_batch_init(&batch);
    enum { LARGE = 8 * 1024 * 1024 };
    uint8_t *large = moot_alloc(LARGE);
    memset(large, 0xa5, LARGE);
    static const uint8_t keys[][3] = {{0, 0, 0}, {0, 0xff, 0}, {0xff, 0xff, 0xff}};
    for (size_t i = 0; i < 3; i++) {
        moot_batch_put(&batch, moot_slice_make(keys[i], 3), moot_slice_make(large, i * LARGE / 2));
    }
    assert_int_equal(store->ops->write(store, &batch), MOOT_OK);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 3; i++) {
            struct moot_slice value;
            assert_int_equal(get_now(store, moot_slice_make(keys[i], 3), &arena, &value), MOOT_OK);
            assert_true(moot_slice_equal(value, moot_slice_make(large, i * LARGE / 2)));
        }
        assert_int_equal(store->ops->flush(store), MOOT_OK);
    }
    moot_free(large);
    moot_batch_deinit(&batch);
    moot_arena_deinit(&arena);
    conformance_close(store);
}

/* --- The model ------------------------------------------------------------------------------- */

enum { UNIVERSE = 200, MODEL_PINS = 3 };

/* A naive twin: key i is three letters in order of i; value 0 is "not there". */
struct twin {
    uint32_t value[UNIVERSE];
};
struct model {
    struct moot_store *store;
    struct moot_rng rng;
    struct twin now;
    struct moot_store_pin *pins[MODEL_PINS];
    struct twin pinned[MODEL_PINS];
    uint32_t value_next;
};

static struct moot_slice model_key(char text[4], uint64_t i)
{
    text[0] = 'k';
    text[1] = (char)('a' + i / 26);
    text[2] = (char)('a' + i % 26);
    text[3] = '\0';
    return moot_slice_make(text, 3);
}

/* Sometimes longer than a block of the file, so that a range is many blocks. */
static struct moot_slice model_value(char text[6000], uint32_t value)
{
    size_t digits = moot_text_u64(text, value);
    size_t size = value % 7 == 0 ? 5000 : digits + value % 50;
    memset(text + digits, '.', size - digits);
    return moot_slice_make(text, size);
}

static void model_interval(struct model *model, uint64_t *low, uint64_t *high)
{
    *low = moot_rng_below(&model->rng, UNIVERSE);
    *high = moot_rng_between(&model->rng, *low, UNIVERSE);
}

static void model_batch(struct model *model, struct moot_batch *batch, bool ranges)
{
    char from[4], to[4], text[6000];
    for (uint64_t ops = moot_rng_below(&model->rng, 20); ops > 0; ops--) {
        uint64_t low, high;
        model_interval(model, &low, &high);
        uint64_t dice = moot_rng_below(&model->rng, ranges ? 100 : 97);
        if (dice < 65) {
            model->now.value[low] = ++model->value_next;
            moot_batch_put(batch, model_key(from, low), model_value(text, model->value_next));
        } else if (dice < 97) {
            model->now.value[low] = 0;
            moot_batch_delete(batch, model_key(from, low));
        } else {
            memset(&model->now.value[low], 0, (high - low) * sizeof(uint32_t));
            moot_batch_delete_range(batch, model_key(from, low), model_key(to, high));
        }
    }
}

static void model_write(struct model *model)
{
    struct moot_batch batch;
    moot_batch_init(&batch);
    model_batch(model, &batch, true);
    assert_int_equal(model->store->ops->write(model->store, &batch), MOOT_OK);
    moot_batch_deinit(&batch);
}

static void model_ingest(struct model *model)
{
    uint64_t low, high;
    model_interval(model, &low, &high);
    if (low == high) {
        return;
    }
    char from[4], to[4], text[6000];
    struct moot_range range = {model_key(from, low), model_key(to, high)};
    assert_int_equal(model->store->ops->ingest_begin(model->store, &range, 1), MOOT_OK);
    struct twin before = model->now;
    for (uint64_t i = low; i < high; i++) {
        char name[4];
        model->now.value[i] = moot_rng_chance(&model->rng, 1, 2) ? ++model->value_next : 0;
        if (model->now.value[i] != 0) {
            assert_int_equal(model->store->ops->ingest_add(model->store, model_key(name, i),
                                                           model_value(text, model->now.value[i])),
                             MOOT_OK);
        }
    }
    if (moot_rng_chance(&model->rng, 1, 4)) {
        model->now = before;
        model->store->ops->ingest_abort(model->store);
        return;
    }
    struct moot_batch extra;
    moot_batch_init(&extra);
    model_batch(model, &extra, false);
    assert_int_equal(model->store->ops->ingest_commit(model->store, &extra), MOOT_OK);
    moot_batch_deinit(&extra);
}

static void model_check_walk(struct model *model, struct moot_store_pin *pin,
                             const struct twin *twin, uint64_t low, uint64_t high, bool reverse)
{
    struct moot_buffer expected, seen;
    moot_buffer_init(&expected);
    moot_buffer_init(&seen);
    char from[4], to[4], text[6000];
    for (uint64_t n = 0; n < high - low; n++) {
        uint64_t i = reverse ? high - 1 - n : low + n;
        if (twin->value[i] != 0) {
            moot_buffer_append_slice(&expected, model_key(from, i));
            moot_buffer_append_text(&expected, "=");
            moot_buffer_append_slice(&expected, model_value(text, twin->value[i]));
            moot_buffer_append_text(&expected, " ");
        }
    }
    struct moot_range range = {model_key(from, low), model_key(to, high)};
    walk(model->store, pin, range, reverse, &seen);
    assert_true(moot_slice_equal(moot_buffer_slice(&expected), moot_buffer_slice(&seen)));
    moot_buffer_deinit(&expected);
    moot_buffer_deinit(&seen);
}

static void model_check_get(struct model *model, uint64_t i)
{
    struct moot_arena arena;
    moot_arena_init(&arena);
    char name[4], text[6000];
    struct moot_slice value;
    int status = get_now(model->store, model_key(name, i), &arena, &value);
    assert_int_equal(status, model->now.value[i] == 0 ? MOOT_ENOTFOUND : MOOT_OK);
    if (status == MOOT_OK) {
        assert_true(moot_slice_equal(value, model_value(text, model->now.value[i])));
    }
    moot_arena_deinit(&arena);
}

static void model_unpin(struct model *model)
{
    for (size_t i = 0; i < MODEL_PINS; i++) {
        if (model->pins[i] != NULL) {
            model->store->ops->unpin(model->store, model->pins[i]);
            model->pins[i] = NULL;
        }
    }
}

static void model_step(struct model *model, const uint64_t *weights, size_t count)
{
    uint64_t total = 0, low, high;
    for (size_t i = 0; i < count; i++) {
        total += weights[i];
    }
    uint64_t dice = moot_rng_below(&model->rng, total);
    size_t choice = 0;
    for (; dice >= weights[choice]; choice++) {
        dice -= weights[choice];
    }
    size_t pin = moot_rng_below(&model->rng, MODEL_PINS);
    model_interval(model, &low, &high);
    bool reverse = moot_rng_chance(&model->rng, 1, 2);
    switch (choice) {
    case 0:
        model_write(model);
        break;
    case 1:
        model_check_get(model, low);
        break;
    case 2:
        model_check_walk(model, NULL, &model->now, low, high, reverse);
        break;
    case 3:
        if (model->pins[pin] == NULL) {
            model->pins[pin] = model->store->ops->pin(model->store);
            model->pinned[pin] = model->now;
        } else {
            model_check_walk(model, model->pins[pin], &model->pinned[pin], low, high, reverse);
            model->store->ops->unpin(model->store, model->pins[pin]);
            model->pins[pin] = NULL;
        }
        break;
    case 4:
        assert_int_equal(model->store->ops->flush(model->store), MOOT_OK);
        break;
    case 5:
        model_ingest(model);
        break;
    default:
        model_unpin(model);
        assert_int_equal(model->store->ops->flush(model->store), MOOT_OK);
        model->store = conformance_reopen(model->store);
        break;
    }
}

#ifndef CONFORMANCE_SEEDS
#define CONFORMANCE_SEEDS 20
#define CONFORMANCE_STEPS 1000
#endif

/* Goal: a store is its naive twin, whatever the order of calls. Method: random operations; weights
 * are drawn for each seed, and some are zero. */
static void store_is_its_twin(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= CONFORMANCE_SEEDS; seed++) {
        struct model model = {.store = conformance_open(seed)};
        moot_rng_init(&model.rng, seed);
        uint64_t weights[] = {40, 40, 20, 10, 2, 1, 1};
        for (size_t i = 1; i < MOOT_ARRAY_LEN(weights); i++) {
            weights[i] *= moot_rng_below(&model.rng, 3);
        }
        for (int step = 0; step < CONFORMANCE_STEPS; step++) {
            model_step(&model, weights, MOOT_ARRAY_LEN(weights));
        }
        model_unpin(&model);
        model_check_walk(&model, NULL, &model.now, 0, UNIVERSE, false);
        conformance_close(model.store);
    }
}

#define CONFORMANCE_TESTS                                                                          \
    cmocka_unit_test(written_is_read), cmocka_unit_test(batches_are_in_order),                     \
        cmocka_unit_test(iteration_is_a_view), cmocka_unit_test(pin_shows_its_moment),             \
        cmocka_unit_test(pin_is_a_store), cmocka_unit_test(ingest_replaces_ranges),                \
        cmocka_unit_test(bytes_are_bytes), cmocka_unit_test(store_is_its_twin)

#endif
