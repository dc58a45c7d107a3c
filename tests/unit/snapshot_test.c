#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/status.h"
#include "storage/snapshot.h"
#include "storage/store_memory.h"

static const struct moot_range ALL = {{(const uint8_t *)"k", 1}, {(const uint8_t *)"l", 1}};

static struct moot_store *filled_store(int keys, size_t value_bytes)
{
    struct moot_store *store =
        moot_store_memory_open(&(struct moot_store_memory_options){.seed = 1});
    struct moot_batch batch;
    moot_batch_init(&batch);
    uint8_t *value = moot_alloc_zero(value_bytes);
    for (int i = 0; i < keys; i++) {
        char key[16];
        int size = snprintf(key, sizeof(key), "k%04d", i);
        moot_batch_put(&batch, moot_slice_make(key, (size_t)size),
                       moot_slice_make(value, (size_t)i * 7 % (value_bytes + 1)));
    }
    moot_batch_put(&batch, MOOT_SLICE_LITERAL("outside"), MOOT_SLICE_LITERAL("x"));
    assert_int_equal(store->ops->write(store, &batch), MOOT_OK);
    moot_free(value);
    moot_batch_deinit(&batch);
    return store;
}

static struct moot_buffer one_chunk(int keys)
{
    struct moot_store *store = filled_store(keys, 20);
    struct moot_store_pin *pin = store->ops->pin(store);
    struct moot_buffer chunk;
    moot_buffer_init(&chunk);
    assert_int_equal(moot_snapshot_write(store, pin, ALL, SIZE_MAX, &chunk), MOOT_OK);
    store->ops->unpin(store, pin);
    store->ops->close(store);
    return chunk;
}

/* Goal: chunks of any size carry exactly the range as it was at the pin, whatever is written
 * meanwhile; each is within its size unless it holds one pair. */
static void chunks_carry_the_pinned_range(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 40, 100, 1000, 100000, SIZE_MAX};
    for (size_t s = 0; s < MOOT_ARRAY_LEN(sizes); s++) {
        struct moot_store *from = filled_store(300, 50);
        struct moot_store *to = moot_store_memory_open(&(struct moot_store_memory_options){0});
        struct moot_store_pin *pin = from->ops->pin(from);
        struct moot_batch batch;
        moot_batch_init(&batch);
        struct moot_buffer resume, chunk;
        moot_buffer_init(&resume);
        moot_buffer_init(&chunk);
        moot_buffer_append_slice(&resume, ALL.from);
        assert_int_equal(to->ops->ingest_begin(to, &ALL, 1), MOOT_OK);
        bool at_end = false;
        for (int chunks = 0; !at_end; chunks++) {
            assert_true(chunks <= 301);
            moot_buffer_reset(&chunk, SIZE_MAX);
            struct moot_range rest = {moot_buffer_slice(&resume), ALL.to};
            assert_int_equal(moot_snapshot_write(from, pin, rest, sizes[s], &chunk), MOOT_OK);
            moot_batch_reset(&batch);
            moot_batch_put(&batch, MOOT_SLICE_LITERAL("k0299x"), MOOT_SLICE_LITERAL("late"));
            moot_batch_delete(&batch, MOOT_SLICE_LITERAL("k0150"));
            assert_int_equal(from->ops->write(from, &batch), MOOT_OK);

            struct moot_snapshot_reader reader;
            assert_int_equal(moot_snapshot_read(&reader, moot_buffer_slice(&chunk)), MOOT_OK);
            assert_true(chunk.size <= sizes[s] || reader.count <= 1);
            struct moot_slice key, value;
            while (moot_snapshot_next(&reader, &key, &value)) {
                assert_int_equal(to->ops->ingest_add(to, key, value), MOOT_OK);
            }
            moot_buffer_reset(&resume, SIZE_MAX);
            assert_int_equal(moot_snapshot_resume(moot_buffer_slice(&chunk), &resume, &at_end),
                             MOOT_OK);
        }
        moot_batch_reset(&batch);
        moot_batch_put(&batch, MOOT_SLICE_LITERAL("outside"), MOOT_SLICE_LITERAL("x"));
        assert_int_equal(to->ops->ingest_commit(to, &batch), MOOT_OK);
        struct moot_store *expected = filled_store(300, 50);
        assert_true(moot_store_memory_digest(to) == moot_store_memory_digest(expected));
        from->ops->unpin(from, pin);
        moot_batch_deinit(&batch);
        moot_buffer_deinit(&resume);
        moot_buffer_deinit(&chunk);
        from->ops->close(from);
        to->ops->close(to);
        expected->ops->close(expected);
    }
}

/* Goal: an empty range is one chunk, which says so. */
static void empty_range_is_one_chunk(void **state)
{
    (void)state;
    struct moot_buffer chunk = one_chunk(0), resume;
    moot_buffer_init(&resume);
    struct moot_snapshot_reader reader;
    struct moot_slice key, value;
    bool at_end = false;
    assert_int_equal(moot_snapshot_read(&reader, moot_buffer_slice(&chunk)), MOOT_OK);
    assert_true(reader.at_end);
    assert_false(moot_snapshot_next(&reader, &key, &value));
    assert_int_equal(moot_snapshot_resume(moot_buffer_slice(&chunk), &resume, &at_end), MOOT_OK);
    assert_true(at_end);
    assert_int_equal(resume.size, 0);
    moot_buffer_deinit(&resume);
    moot_buffer_deinit(&chunk);
}

/* Goal: a chunk with any one bit changed, or cut anywhere, is refused before its first pair. */
static void damage_is_refused(void **state)
{
    (void)state;
    struct moot_buffer chunk = one_chunk(20);
    struct moot_snapshot_reader reader;
    for (size_t bit = 0; bit < 8 * chunk.size; bit++) {
        chunk.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(moot_snapshot_read(&reader, moot_buffer_slice(&chunk)), MOOT_OK);
        assert_true(reader.failed);
        chunk.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t size = 0; size < chunk.size; size++) {
        assert_int_equal(moot_snapshot_read(&reader, moot_slice_make(chunk.data, size)),
                         MOOT_ECORRUPT);
    }
    assert_int_equal(moot_snapshot_read(&reader, moot_buffer_slice(&chunk)), MOOT_OK);
    chunk.data[0] = 2;
    assert_int_equal(moot_snapshot_read(&reader, moot_buffer_slice(&chunk)), MOOT_EVERSION);
    moot_buffer_deinit(&chunk);
}

/* A chunk made by hand, with a good hash: pairs are "key=value ". */
static int read_forged(const char *pairs, uint8_t flags, uint32_t count, const char *garbage)
{
    struct moot_buffer chunk;
    moot_buffer_init(&chunk);
    moot_put_u8(&chunk, 1);
    moot_put_u8(&chunk, flags);
    moot_put_u32(&chunk, count);
    while (*pairs != '\0') {
        const char *equals = strchr(pairs, '='), *end = strchr(pairs, ' ');
        moot_put_bytes(&chunk, moot_slice_make(pairs, (size_t)(equals - pairs)));
        moot_put_bytes(&chunk, moot_slice_make(equals + 1, (size_t)(end - equals - 1)));
        pairs = end + 1;
    }
    moot_buffer_append_text(&chunk, garbage);
    moot_put_u64(&chunk, moot_hash64(moot_buffer_slice(&chunk), 1));
    struct moot_snapshot_reader reader;
    int status = moot_snapshot_read(&reader, moot_buffer_slice(&chunk));
    moot_buffer_deinit(&chunk);
    return status;
}

/* Goal: a chunk whose hash is right and whose form is wrong is refused as well. */
static void malformed_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *pairs;
        uint8_t flags;
        uint32_t count;
        const char *garbage;
        int status;
    } cases[] = {
        {"a=1 b=2 ", 0, 2, "", MOOT_OK},
        {"", 1, 0, "", MOOT_OK},
        {"a=1 b=2 ", 0, 3, "", MOOT_ECORRUPT},  /* Fewer than it says. */
        {"a=1 b=2 ", 0, 1, "", MOOT_ECORRUPT},  /* More. */
        {"b=2 a=1 ", 0, 2, "", MOOT_ECORRUPT},  /* Out of order. */
        {"a=1 a=1 ", 0, 2, "", MOOT_ECORRUPT},  /* Twice. */
        {"=1 ", 0, 1, "", MOOT_ECORRUPT},       /* The empty key is no key. */
        {"", 0, 0, "", MOOT_ECORRUPT},          /* Gets no further, and never ends. */
        {"a=1 ", 2, 1, "", MOOT_ECORRUPT},      /* A flag that nobody knows. */
        {"a=1 ", 1, 1, "\x01", MOOT_ECORRUPT},  /* A length without its bytes. */
        {"a=1 ", 1, 2, "\x01z", MOOT_ECORRUPT}, /* A key without a value. */
        {"a=1 ", 1, 2, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", MOOT_ECORRUPT},
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        assert_int_equal(
            read_forged(cases[i].pairs, cases[i].flags, cases[i].count, cases[i].garbage),
            cases[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_carry_the_pinned_range),
        cmocka_unit_test(empty_range_is_one_chunk),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(malformed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
