#define CONFORMANCE_SEEDS 6
#define CONFORMANCE_STEPS 250
#include "store_conformance.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/store_rocksdb.h"

static char folder[64];

static struct moot_store *open_folder(uint64_t cache_bytes)
{
    struct moot_store *store = NULL;
    assert_int_equal(
        moot_store_rocksdb_open(
            &(struct moot_store_rocksdb_options){.path = folder, .cache_bytes = cache_bytes},
            &store),
        MOOT_OK);
    return store;
}

static struct moot_store *conformance_open(uint64_t seed)
{
    (void)seed;
    strcpy(folder, "/tmp/moot-store-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return open_folder(0);
}

static struct moot_store *conformance_reopen(struct moot_store *store)
{
    store->ops->close(store);
    return open_folder(0);
}

static void remove_tree(const char *path)
{
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char name[400];
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (strcmp(entry->d_name, "ingest") == 0) {
            remove_tree(name);
        } else if (entry->d_name[0] != '.') {
            unlink(name);
        }
    }
    closedir(directory);
    rmdir(path);
}

static void conformance_close(struct moot_store *store)
{
    store->ops->close(store);
    remove_tree(folder);
}

/* Writes `count` keys "key000000" on, each with 400 bytes. */
static void write_many(struct moot_store *store, int count)
{
    struct moot_batch batch;
    moot_batch_init(&batch);
    char name[32], value[400];
    memset(value, 'v', sizeof(value));
    for (int i = 0; i < count; i++) {
        int size = snprintf(name, sizeof(name), "key%06d", i);
        moot_batch_put(&batch, moot_slice_make(name, (size_t)size),
                       moot_slice_make(value, sizeof(value)));
        if (i % 500 == 499) {
            assert_int_equal(store->ops->write(store, &batch), MOOT_OK);
            moot_batch_reset(&batch);
        }
    }
    assert_int_equal(store->ops->write(store, &batch), MOOT_OK);
    moot_batch_deinit(&batch);
}

/* Goal: what is on disk only blocks, keys and ranges; once fetched it does not. */
static void cold_reads_block(void **state)
{
    (void)state;
    struct moot_store *store = conformance_open(1);
    write_many(store, 20000);
    store = conformance_reopen(store);
    struct moot_arena arena;
    moot_arena_init(&arena);
    struct moot_slice value;
    struct moot_slice key = MOOT_SLICE_LITERAL("key010000");
    assert_int_equal(store->ops->get(store, key, &arena, &value), MOOT_EWOULDBLOCK);
    assert_int_equal(store->ops->fetch(store, key), MOOT_OK);
    assert_int_equal(store->ops->get(store, key, &arena, &value), MOOT_OK);
    assert_int_equal(value.size, 400);

    struct moot_range range = range_of("key001000", "key002000");
    for (int reverse = 0; reverse < 2; reverse++) {
        struct moot_buffer seen;
        uint64_t count;
        moot_buffer_init(&seen);
        if (reverse == 0) {
            assert_int_equal(walk_once(store, NULL, range, reverse, &seen, &count),
                             MOOT_EWOULDBLOCK);
        }
        assert_int_equal(store->ops->fetch_range(store, range, reverse, 2000), MOOT_OK);
        assert_int_equal(walk_once(store, NULL, range, reverse, &seen, &count), MOOT_OK);
        assert_int_equal(count, 1000);
        moot_buffer_deinit(&seen);
    }
    moot_arena_deinit(&arena);
    conformance_close(store);
}

/* Goal: a flush does not make hot keys block. */
static void flushed_stays_warm(void **state)
{
    (void)state;
    struct moot_store *store = conformance_open(1);
    write_many(store, 20000);
    assert_int_equal(store->ops->flush(store), MOOT_OK);
    struct moot_arena arena;
    moot_arena_init(&arena);
    for (int i = 0; i < 20000; i += 7) {
        char name[32];
        struct moot_slice value;
        snprintf(name, sizeof(name), "key%06d", i);
        assert_int_equal(store->ops->get(store, moot_slice_text(name), &arena, &value), MOOT_OK);
    }
    moot_arena_deinit(&arena);
    conformance_close(store);
}

/* Goal: a range that is partly in memory is never given with a hole: it blocks, or it is whole.
 * Method: many small files on several levels, a cache that holds a small part of them, deletions in
 * between, random ranges both ways, warmed by random fetches before. */
static void cold_walks_have_no_holes(void **state)
{
    (void)state;
    enum { KEYS = 8000 };
    struct moot_store *store = conformance_open(1);
    store->ops->close(store);
    assert_int_equal(moot_store_rocksdb_open(
                         &(struct moot_store_rocksdb_options){.path = folder,
                                                              .cache_bytes = 512 * 1024,
                                                              .write_buffer_bytes = 256 * 1024,
                                                              .file_bytes = 64 * 1024},
                         &store),
                     MOOT_OK);
    struct moot_rng rng;
    moot_rng_init(&rng, 1);
    bool there[KEYS];
    memset(there, true, sizeof(there));
    struct moot_batch batch;
    moot_batch_init(&batch);
    char from[32], to[32];
    for (int round = 0; round < 3; round++) {
        write_many(store, KEYS);
        memset(there, true, sizeof(there));
        for (uint64_t i = moot_rng_below(&rng, 200); i < KEYS; i += moot_rng_below(&rng, 200)) {
            uint64_t end = moot_rng_between(&rng, i, i + 100 > KEYS ? KEYS : i + 100);
            snprintf(from, sizeof(from), "key%06d", (int)i);
            snprintf(to, sizeof(to), "key%06d", (int)end);
            moot_batch_delete_range(&batch, moot_slice_text(from), moot_slice_text(to));
            memset(there + i, false, end - i);
        }
        assert_int_equal(store->ops->write(store, &batch), MOOT_OK);
        moot_batch_reset(&batch);
    }
    moot_batch_deinit(&batch);
    assert_int_equal(store->ops->flush(store), MOOT_OK);
    unsigned blocked = 0, whole = 0;
    struct moot_buffer seen;
    moot_buffer_init(&seen);
    /* How much of it the cache holds depends on how far compaction is: index and filter blocks of
     * level 0 have their place in it for sure. So: until both have been seen often. */
    for (int turn = 0; turn < 1500 || (turn < 50000 && (blocked <= 100 || whole <= 100)); turn++) {
        uint64_t low = moot_rng_below(&rng, KEYS), high = moot_rng_between(&rng, low, KEYS);
        high = high > low + 1000 ? low + 1000 : high;
        bool reverse = moot_rng_chance(&rng, 1, 2);
        snprintf(from, sizeof(from), "key%06d", (int)low);
        snprintf(to, sizeof(to), "key%06d", (int)high);
        struct moot_range range = range_of(from, to);
        int status = store->ops->fetch_range(store, range, reverse, moot_rng_below(&rng, 1200));
        assert_int_equal(status, MOOT_OK);
        uint64_t count, expected = 0;
        for (uint64_t i = low; i < high; i++) {
            expected += there[i];
        }
        moot_buffer_reset(&seen, SIZE_MAX);
        status = walk_once(store, NULL, range, reverse, &seen, &count);
        blocked += status == MOOT_EWOULDBLOCK;
        if (status == MOOT_OK) {
            assert_int_equal(count, expected);
            whole++;
        } else {
            assert_int_equal(status, MOOT_EWOULDBLOCK);
        }
    }
    moot_buffer_deinit(&seen);
    assert_true(blocked > 100);
    assert_true(whole > 100);
    conformance_close(store);
}

/* Flips a byte in the middle of each sorted file. */
static void rot(void)
{
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    unsigned files = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        const char *end = strrchr(entry->d_name, '.');
        if (end == NULL || strcmp(end, ".sst") != 0) {
            continue;
        }
        char name[400];
        snprintf(name, sizeof(name), "%s/%s", folder, entry->d_name);
        int file = open(name, O_RDWR);
        assert_true(file >= 0);
        uint8_t byte;
        off_t middle = lseek(file, 0, SEEK_END) / 2;
        assert_int_equal(pread(file, &byte, 1, middle), 1);
        byte ^= 0x10;
        assert_int_equal(pwrite(file, &byte, 1, middle), 1);
        close(file);
        files++;
    }
    closedir(directory);
    assert_true(files > 0);
}

static void keep_text(void *context, const char *text) { snprintf(context, 200, "%s", text); }

/* Goal: a flipped byte is MOOT_ECORRUPT wherever somebody meets it, with RocksDB's own words, and
 * never a wrong value. */
static void rot_is_told(void **state)
{
    (void)state;
    struct moot_store *store = conformance_open(1);
    write_many(store, 20000);
    store->ops->close(store);
    rot();
    char text[200] = "";
    assert_int_equal(moot_store_rocksdb_open(
                         &(struct moot_store_rocksdb_options){
                             .path = folder, .report = keep_text, .report_context = text},
                         &store),
                     MOOT_OK);
    struct moot_range all = range_of("key", "kez");
    assert_int_equal(store->ops->fetch_range(store, all, false, 100000), MOOT_ECORRUPT);
    assert_non_null(strstr(text, "Corruption"));
    struct moot_store_pin *pin = store->ops->pin(store);
    struct moot_buffer seen;
    uint64_t count;
    moot_buffer_init(&seen);
    assert_int_equal(walk_once(store, pin, all, false, &seen, &count), MOOT_ECORRUPT);
    assert_true(count > 0);
    moot_buffer_deinit(&seen);
    store->ops->unpin(store, pin);
    unsigned corrupt = 0;
    for (int i = 0; i < 20000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "key%06d", i);
        corrupt += store->ops->fetch(store, moot_slice_text(name)) == MOOT_ECORRUPT;
    }
    assert_true(corrupt > 0);
    conformance_close(store);
}

/* Goal: one folder, one owner. */
static void second_owner_is_refused(void **state)
{
    (void)state;
    struct moot_store *store = conformance_open(1), *other = NULL;
    assert_int_equal(
        moot_store_rocksdb_open(&(struct moot_store_rocksdb_options){.path = folder}, &other),
        MOOT_EBUSY);
    conformance_close(store);
}

/* Goal: who writes faster than RocksDB flushes waits, and nothing is lost or refused. Method: write
 * buffers at the least size, no flush, two orders of magnitude more bytes. */
static void stalled_writes_wait(void **state)
{
    (void)state;
    struct moot_store *store = conformance_open(1);
    store->ops->close(store);
    assert_int_equal(moot_store_rocksdb_open(
                         &(struct moot_store_rocksdb_options){
                             .path = folder, .write_buffer_bytes = 64 * 1024, .compress = true},
                         &store),
                     MOOT_OK);
    write_many(store, 20000);
    struct moot_store_pin *pin = store->ops->pin(store);
    struct moot_buffer seen;
    uint64_t count;
    moot_buffer_init(&seen);
    assert_int_equal(walk_once(store, pin, range_of("", ""), false, &seen, &count), MOOT_OK);
    assert_int_equal(count, 20000);
    moot_buffer_deinit(&seen);
    store->ops->unpin(store, pin);
    struct moot_store_rocksdb_stats stats;
    moot_store_rocksdb_stats(store, &stats);
    print_message("# %llu stalls\n", (unsigned long long)stats.stalls);
    conformance_close(store);
}

/* Goal: a range of many keys is deleted as one batch, through memtables, files and pins. */
static void large_range_is_deleted(void **state)
{
    (void)state;
    struct moot_store *store = conformance_open(1);
    write_many(store, 30000);
    assert_int_equal(store->ops->flush(store), MOOT_OK);
    write_text(store, "key015000=new key0150001=more kez=out");
    struct moot_store_pin *pin = store->ops->pin(store);
    write_text(store, "a=1 -key..kez key02=again");
    assert_walk(store, NULL, range_of("", ""), false, "a=1 key02=again kez=out ");
    struct moot_buffer seen;
    uint64_t count;
    moot_buffer_init(&seen);
    assert_int_equal(walk_once(store, pin, range_of("", ""), false, &seen, &count), MOOT_OK);
    assert_int_equal(count, 30002);
    moot_buffer_deinit(&seen);
    store->ops->unpin(store, pin);
    store = conformance_reopen(store);
    assert_walk(store, NULL, range_of("", ""), true, "kez=out key02=again a=1 ");
    conformance_close(store);
}

/* Goal: the gauges are there and move. */
static void stats_are_told(void **state)
{
    (void)state;
    struct moot_store *store = conformance_open(1);
    struct moot_store_rocksdb_stats before, after;
    moot_store_rocksdb_stats(store, &before);
    write_many(store, 5000);
    moot_store_rocksdb_stats(store, &after);
    assert_true(after.memtable_bytes > before.memtable_bytes + 5000 * 400);
    assert_int_equal(store->ops->flush(store), MOOT_OK);
    moot_store_rocksdb_stats(store, &after);
    assert_true(after.disk_bytes > 5000 * 400 / 2);
    assert_int_equal(after.level0_files, 1);
    assert_int_equal(after.stalls, 0);
    conformance_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONFORMANCE_TESTS,
        cmocka_unit_test(cold_reads_block),
        cmocka_unit_test(flushed_stays_warm),
        cmocka_unit_test(cold_walks_have_no_holes),
        cmocka_unit_test(rot_is_told),
        cmocka_unit_test(second_owner_is_refused),
        cmocka_unit_test(stalled_writes_wait),
        cmocka_unit_test(large_range_is_deleted),
        cmocka_unit_test(stats_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
