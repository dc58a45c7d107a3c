/* How fast the stores are by themselves: batches of 500 puts of 100 bytes over random keys, and
 * gets of them, from memtables, from the block cache, and by iteration. One thread; RocksDB's own
 * threads run beside it, so CPU time of the calling thread is shown beside wall time.
 *
 *     build/store_bench [KEYS [BATCHES]]      (a folder below the current one, removed at the end)
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/rng.h"
#include "base/status.h"
#include "host/store_rocksdb.h"
#include "storage/store_memory.h"

enum { BATCH = 500, VALUE = 100, GETS = 200000 };

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

struct stopwatch {
    double wall, cpu;
};
static struct stopwatch start(void)
{
    return (struct stopwatch){seconds(CLOCK_MONOTONIC), seconds(CLOCK_THREAD_CPUTIME_ID)};
}
static void stop(struct stopwatch begun, const char *what, uint64_t count)
{
    double wall = seconds(CLOCK_MONOTONIC) - begun.wall;
    double cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - begun.cpu;
    printf("  %-34s %10.0f/s  %7.3f us wall  %7.3f us cpu\n", what, (double)count / wall,
           wall * 1e6 / (double)count, cpu * 1e6 / (double)count);
}

/* As physical keys are: a prefix, then what differs. */
static struct moot_slice make_key(char text[32], uint64_t i)
{
    memcpy(text, "\0\0\0\1D\0\0key:", 11);
    for (int at = 22; at >= 11; at--, i /= 10) {
        text[at] = (char)('0' + i % 10);
    }
    return moot_slice_make(text, 23);
}

static void put_all(struct moot_store *store, struct moot_rng *rng, uint64_t keys, uint64_t batches,
                    bool ordered)
{
    struct moot_batch batch;
    moot_batch_init(&batch);
    char key[32];
    uint8_t value[VALUE];
    memset(value, 'v', sizeof(value));
    for (uint64_t b = 0; b < batches; b++) {
        moot_batch_reset(&batch);
        for (uint64_t i = 0; i < BATCH; i++) {
            uint64_t n = ordered ? (b * BATCH + i) % keys : moot_rng_below(rng, keys);
            moot_batch_put(&batch, make_key(key, n), moot_slice_make(value, sizeof(value)));
        }
        int status = store->ops->write(store, &batch);
        MOOT_ASSERT(status == MOOT_OK);
    }
    moot_batch_deinit(&batch);
}

static void get_some(struct moot_store *store, struct moot_rng *rng, uint64_t keys,
                     const char *what)
{
    struct moot_arena arena;
    moot_arena_init(&arena);
    char key[32];
    uint64_t blocked = 0;
    struct stopwatch begun = start();
    for (int i = 0; i < GETS; i++) {
        struct moot_slice value;
        blocked += store->ops->get(store, make_key(key, moot_rng_below(rng, keys)), &arena,
                                   &value) == MOOT_EWOULDBLOCK;
        if (i % 1000 == 0) {
            moot_arena_reset(&arena);
        }
    }
    stop(begun, what, GETS);
    if (blocked > 0) {
        printf("    (%.2f %% would block)\n", 100.0 * (double)blocked / GETS);
    }
    moot_arena_deinit(&arena);
}

static void iterate_all(struct moot_store *store)
{
    struct moot_range all = {{NULL, 0}, {NULL, 0}};
    struct moot_store_pin *pin = store->ops->pin(store);
    struct moot_store_iterator *iterator;
    struct moot_slice key, value;
    uint64_t count = 0;
    struct stopwatch begun = start();
    int status = store->ops->iterate(store, pin, all, false, &iterator);
    MOOT_ASSERT(status == MOOT_OK);
    for (; store->ops->entry(iterator, &key, &value) == MOOT_OK; count++) {
        status = store->ops->next(iterator);
        MOOT_ASSERT(status == MOOT_OK);
    }
    store->ops->iterate_end(iterator);
    stop(begun, "iterate all, pinned", count);
    store->ops->unpin(store, pin);
}

static void iterate_short(struct moot_store *store, struct moot_rng *rng, uint64_t keys)
{
    struct stopwatch begun = start();
    uint64_t rounds = 20000;
    for (uint64_t i = 0; i < rounds; i++) {
        char from[32], to[32];
        uint64_t low = moot_rng_below(rng, keys);
        struct moot_range range = {make_key(from, low), make_key(to, low + 10)};
        struct moot_store_iterator *iterator;
        if (store->ops->iterate(store, NULL, range, false, &iterator) != MOOT_OK) {
            continue;
        }
        struct moot_slice key, value;
        while (store->ops->entry(iterator, &key, &value) == MOOT_OK &&
               store->ops->next(iterator) == MOOT_OK) {
        }
        store->ops->iterate_end(iterator);
    }
    stop(begun, "iterate 10 entries, in the turn", rounds);
}

static void measure(struct moot_store *store, uint64_t keys, uint64_t batches)
{
    struct moot_rng rng;
    moot_rng_init(&rng, 1);
    struct stopwatch begun = start();
    put_all(store, &rng, keys, keys / BATCH, true);
    stop(begun, "put, ascending (the first fill)", keys / BATCH * BATCH);
    begun = start();
    put_all(store, &rng, keys, batches, false);
    stop(begun, "put, random", batches * BATCH);
    get_some(store, &rng, keys, "get, from memtables");
    iterate_short(store, &rng, keys);
    begun = start();
    int status = store->ops->flush(store);
    MOOT_ASSERT(status == MOOT_OK);
    stop(begun, "flush, a put", batches * BATCH + keys);
    get_some(store, &rng, keys, "get, after the flush");
    iterate_short(store, &rng, keys);
    iterate_all(store);
}

static void remove_folder(const char *path)
{
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] != '.') {
            unlinkat(dirfd(directory), entry->d_name, 0);
        }
    }
    closedir(directory);
    rmdir(path);
}

int main(int count, char **arguments)
{
    uint64_t keys = count > 1 ? strtoull(arguments[1], NULL, 10) : 1000000;
    uint64_t batches = count > 2 ? strtoull(arguments[2], NULL, 10) : 1000;
    struct moot_store *store;
    char folder[] = "./store-bench-XXXXXX";
    if (keys < BATCH || mkdtemp(folder) == NULL) {
        fprintf(stderr, "usage: store_bench [KEYS [BATCHES]], at least %d keys\n", BATCH);
        return 1;
    }
    int status =
        moot_store_rocksdb_open(&(struct moot_store_rocksdb_options){.path = folder}, &store);
    MOOT_ASSERT(status == MOOT_OK);
    printf("RocksDB, %llu keys, values of %d bytes, batches of %d\n", (unsigned long long)keys,
           VALUE, BATCH);
    measure(store, keys, batches);
    struct moot_store_rocksdb_stats stats;
    moot_store_rocksdb_stats(store, &stats);
    printf("  memtables %llu MB, cache %llu MB, disk %llu MB, stalls %llu\n",
           (unsigned long long)stats.memtable_bytes >> 20,
           (unsigned long long)stats.cache_bytes >> 20, (unsigned long long)stats.disk_bytes >> 20,
           (unsigned long long)stats.stalls);
    store->ops->close(store);
    remove_folder(folder);
    printf("memory\n");
    store = moot_store_memory_open(&(struct moot_store_memory_options){.seed = 1});
    measure(store, keys, batches);
    store->ops->close(store);
    return 0;
}
