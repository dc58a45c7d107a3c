#include "store_conformance.h"

#include "storage/store_memory.h"

static struct moot_store *conformance_open(uint64_t seed)
{
    return moot_store_memory_open(
        &(struct moot_store_memory_options){.seed = seed, .wouldblock_one_in = seed % 4});
}

static struct moot_store *conformance_reopen(struct moot_store *store)
{
    moot_store_memory_crash(store);
    return store;
}

static void conformance_close(struct moot_store *store) { store->ops->close(store); }

/* Goal: a crash leaves exactly a prefix of the batches, at least to the last flush, and now and
 * then more, and now and then less than all. Method: batch n writes n under two keys and a key of
 * its own. */
static void crash_leaves_a_prefix(void **state)
{
    (void)state;
    unsigned kept_all = 0, kept_flushed = 0, between = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct moot_store *store = conformance_open(seed * 4);
        char text[100];
        for (int batch = 1; batch <= 9; batch++) {
            snprintf(text, sizeof(text), "n=%d own%d=x m=%d -own%d", batch, batch, batch,
                     batch - 3);
            write_text(store, text);
            if (batch == 5) {
                assert_int_equal(store->ops->flush(store), MOOT_OK);
            }
        }
        struct moot_store_pin *pin = store->ops->pin(store);
        moot_store_memory_crash(store);
        store->ops->unpin(store, pin);
        int left = 0;
        for (int n = 5; n <= 9; n++) {
            char expected[100];
            int size = snprintf(expected, sizeof(expected), "m=%d n=%d ", n, n);
            for (int own = n - 2; own <= n; own++) {
                size += snprintf(expected + size, sizeof(expected) - (size_t)size, "own%d=x ", own);
            }
            struct moot_buffer seen;
            moot_buffer_init(&seen);
            walk(store, NULL, range_of("a", "z"), false, &seen);
            if (moot_slice_equal(moot_buffer_slice(&seen), moot_slice_text(expected))) {
                left = n;
            }
            moot_buffer_deinit(&seen);
        }
        assert_int_not_equal(left, 0);
        kept_all += left == 9;
        kept_flushed += left == 5;
        between += left > 5 && left < 9;
        write_text(store, "n=10");
        moot_store_memory_crash(store);
        conformance_close(store);
    }
    assert_true(kept_all > 20);
    assert_true(kept_flushed > 20);
    assert_true(between > 20);
}

/* Goal: equal contents have equal digests, by whatever way they came about; and the same seed loses
 * the same. */
static void digest_is_of_contents(void **state)
{
    (void)state;
    struct moot_store *one = conformance_open(8), *two = conformance_open(12);
    write_text(one, "a=1 b=2 c=3 -c");
    write_text(two, "b=2");
    assert_true(moot_store_memory_digest(one) != moot_store_memory_digest(two));
    write_text(two, "a=0");
    write_text(two, "a=1");
    assert_true(moot_store_memory_digest(one) == moot_store_memory_digest(two));
    conformance_close(one);
    conformance_close(two);

    uint64_t digests[2];
    for (int run = 0; run < 2; run++) {
        struct moot_store *store = conformance_open(7);
        for (int i = 0; i < 50; i++) {
            char text[20];
            snprintf(text, sizeof(text), "key%d=%d", i % 7, i);
            write_text(store, text);
        }
        moot_store_memory_crash(store);
        digests[run] = moot_store_memory_digest(store);
        conformance_close(store);
    }
    assert_true(digests[0] == digests[1]);
}

/* Goal: a share of reads blocks, fetched keys do not, and many keys can be had at once although
 * writes go on. */
static void blocking_is_rare_and_ends(void **state)
{
    (void)state;
    enum { KEYS = 2000 };
    struct moot_store *store = moot_store_memory_open(
        &(struct moot_store_memory_options){.seed = 1, .wouldblock_one_in = 4});
    struct moot_arena arena;
    moot_arena_init(&arena);
    char text[40];
    for (int i = 0; i < KEYS; i++) {
        snprintf(text, sizeof(text), "key%05d=v", i);
        write_text(store, text);
    }
    unsigned blocked = 0, runs = 0;
    for (bool done = false; !done; runs++) { /* A command that reads all, restarted at each miss. */
        assert_true(runs < 2 * KEYS);
        done = true;
        for (int i = 0; i < KEYS && done; i++) {
            struct moot_slice key, value;
            snprintf(text, sizeof(text), "key%05d", i);
            key = moot_slice_text(text);
            int status = store->ops->get(store, key, &arena, &value);
            if (status == MOOT_EWOULDBLOCK) {
                blocked++;
                assert_int_equal(store->ops->fetch(store, key), MOOT_OK);
                done = false;
            } else {
                assert_int_equal(status, MOOT_OK);
            }
        }
        write_text(store, "other=1");
        moot_arena_reset(&arena);
    }
    assert_true(blocked > KEYS / 8);
    moot_arena_deinit(&arena);
    conformance_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONFORMANCE_TESTS,
        cmocka_unit_test(crash_leaves_a_prefix),
        cmocka_unit_test(digest_is_of_contents),
        cmocka_unit_test(blocking_is_rare_and_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
