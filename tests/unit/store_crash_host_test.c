/* What RocksDB leaves when its process is killed at any point: exactly a prefix of the steps, at
 * least to the last flush or ingest that was told to be done.
 *
 * A child (this program, started again) takes numbered steps on one store while a second thread
 * flushes, and tells each through a pipe; the parent kills it after some number of them, opens the
 * store, and compares all of it with what the steps up to the number found there must give. The
 * next child goes on from there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/status.h"
#include "host/store_rocksdb.h"

enum {
    INGEST_EVERY = 400, /* Steps; the others are batches. */
    FLUSH_EVERY = 60,
    WINDOW = 30, /* Steps whose own key is there. */
    SLOTS = 7,
    KILLS = 50,
};

/* --- What step n does; the same in both processes -------------------------------------------- */

static struct moot_slice own_key(char text[32], uint64_t n)
{
    return moot_slice_make(text, (size_t)snprintf(text, 32, "own/%012llu", (unsigned long long)n));
}
static struct moot_slice slot_key(char text[32], uint64_t n)
{
    return moot_slice_make(
        text, (size_t)snprintf(text, 32, "slot/%llu", (unsigned long long)(n % SLOTS)));
}
static struct moot_slice ingested_key(char text[32], uint64_t i)
{
    return moot_slice_make(text, (size_t)snprintf(text, 32, "i/%06llu", (unsigned long long)i));
}
static struct moot_slice between_key(char text[32], uint64_t n)
{
    return moot_slice_make(text, (size_t)snprintf(text, 32, "i/b%012llu", (unsigned long long)n));
}
static uint64_t ingested_count(uint64_t n) { return 20 + n % 191; }

static struct moot_slice value_of(uint8_t value[3000], uint64_t n)
{
    memset(value, (int)('a' + n % 26), 3000);
    memcpy(value, &n, sizeof(n));
    return moot_slice_make(value, 8 + n * 13 % 2900);
}

/* Everything that is there after `n` steps, ascending, as puts. */
static void state_after(uint64_t n, struct moot_batch *out)
{
    char key[32];
    uint8_t value[3000];
    uint64_t ingest = n - n % INGEST_EVERY;
    for (uint64_t i = 0; ingest > 0 && i < ingested_count(ingest); i++) {
        moot_batch_put(out, ingested_key(key, i), value_of(value, ingest + i));
    }
    for (uint64_t i = ingest + 1; i <= n; i++) {
        moot_batch_put(out, between_key(key, i), value_of(value, i));
    }
    if (n > 0) {
        moot_batch_put(out, MOOT_SLICE_LITERAL("n"), moot_slice_make(&n, sizeof(n)));
    }
    for (uint64_t i = n > WINDOW ? n - WINDOW + 1 : 1; i <= n; i++) {
        moot_batch_put(out, own_key(key, i), value_of(value, i));
    }
    for (uint64_t slot = 0; slot < SLOTS; slot++) {
        uint64_t last = n; /* The last step that wrote this slot. */
        while (last > 0 && last % SLOTS != slot) {
            last--;
        }
        if (last > 0) {
            moot_batch_put(out, slot_key(key, last), value_of(value, last));
        }
    }
}

static void fill_batch(struct moot_batch *batch, uint64_t n)
{
    char key[32];
    uint8_t value[3000];
    moot_batch_put(batch, own_key(key, n), value_of(value, n));
    if (n > WINDOW) {
        moot_batch_delete(batch, own_key(key, n - WINDOW));
    }
    moot_batch_put(batch, slot_key(key, n), value_of(value, n));
    moot_batch_put(batch, MOOT_SLICE_LITERAL("n"), moot_slice_make(&n, sizeof(n)));
}

static int take_step(struct moot_store *store, uint64_t n)
{
    char key[32];
    uint8_t value[3000];
    struct moot_batch batch;
    moot_batch_init(&batch);
    fill_batch(&batch, n);
    int status = MOOT_OK;
    if (n % INGEST_EVERY != 0) {
        moot_batch_put(&batch, between_key(key, n), value_of(value, n));
        status = store->ops->write(store, &batch);
    } else {
        struct moot_range range = {MOOT_SLICE_LITERAL("i/"), MOOT_SLICE_LITERAL("i0")};
        status = store->ops->ingest_begin(store, &range, 1);
        for (uint64_t i = 0; i < ingested_count(n) && status == MOOT_OK; i++) {
            status = store->ops->ingest_add(store, ingested_key(key, i), value_of(value, n + i));
        }
        if (status == MOOT_OK) {
            status = store->ops->ingest_commit(store, &batch);
        }
    }
    moot_batch_deinit(&batch);
    return status;
}

/* --- The child ------------------------------------------------------------------------------- */

/* One line of the pipe: small enough to be written whole. */
struct told {
    uint64_t n;
    uint64_t durable; /* 1: at least n steps survive. 0: n has been taken. */
};

static struct {
    struct moot_store *store;
    atomic_ullong taken;
    int pipe;
} child;

static void tell(uint64_t n, bool durable)
{
    struct told told = {n, durable};
    if (write(child.pipe, &told, sizeof(told)) != sizeof(told)) {
        _exit(3);
    }
}

static void *flusher(void *unused)
{
    (void)unused;
    for (uint64_t last = 0;;) {
        uint64_t n = atomic_load(&child.taken);
        if (n < last + FLUSH_EVERY) {
            nanosleep(&(struct timespec){.tv_nsec = 200 * 1000}, NULL);
            continue;
        }
        last = n;
        if (child.store->ops->flush(child.store) != MOOT_OK) {
            _exit(4);
        }
        tell(n, true);
    }
    return NULL;
}

static struct moot_store *open_store(const char *folder)
{
    struct moot_store *store = NULL;
    int status = moot_store_rocksdb_open(
        &(struct moot_store_rocksdb_options){.path = folder,
                                             .cache_bytes = 1024 * 1024,
                                             .write_buffer_bytes = 64 * 1024,
                                             .file_bytes = 64 * 1024},
        &store);
    return status == MOOT_OK ? store : NULL;
}

static int child_main(char **arguments)
{
    child.store = open_store(arguments[2]);
    child.pipe = atoi(arguments[3]);
    uint64_t n = strtoull(arguments[4], NULL, 10);
    atomic_store(&child.taken, n);
    pthread_t thread;
    if (child.store == NULL || pthread_create(&thread, NULL, flusher, NULL) != 0) {
        return 5;
    }
    for (;;) {
        n++;
        if (take_step(child.store, n) != MOOT_OK) {
            return 6;
        }
        atomic_store(&child.taken, n);
        tell(n, n % INGEST_EVERY == 0);
    }
}

/* --- The parent ------------------------------------------------------------------------------ */

/* Runs a child from step `from` on, kills it after `steps` steps and a bit, and
 * says what it told last. */
static void run_child(const char *folder, uint64_t from, uint64_t steps, uint64_t linger_ns,
                      uint64_t *taken, uint64_t *durable)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    char number[32], start[32];
    snprintf(number, sizeof(number), "%d", ends[1]);
    snprintf(start, sizeof(start), "%llu", (unsigned long long)from);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) { /* RocksDB's threads do not survive a fork: a fresh program. */
        close(ends[0]);
        execl("/proc/self/exe", "store_crash_host_test", "child", folder, number, start, NULL);
        _exit(7);
    }
    close(ends[1]);
    struct told told;
    *taken = *durable = from;
    for (uint64_t seen = 0; read(ends[0], &told, sizeof(told)) == sizeof(told);) {
        if (told.durable != 0 && told.n > *durable) {
            *durable = told.n;
        }
        if (told.n > *taken) {
            *taken = told.n;
            seen++;
        }
        if (seen == steps) {
            seen++; /* Not a wait for anything: it spreads the points of death. */
            nanosleep(&(struct timespec){.tv_nsec = (long)linger_ns}, NULL);
            assert_int_equal(kill(pid, SIGKILL), 0);
        }
    }
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        fail_msg("the child ended by itself: %d", WEXITSTATUS(status));
    }
}

/* The number of steps that the store holds; fails unless it holds exactly these. */
static uint64_t steps_held(const char *folder)
{
    struct moot_store *store = open_store(folder);
    assert_non_null(store);
    struct moot_store_pin *pin = store->ops->pin(store);
    struct moot_batch held, expected;
    moot_batch_init(&held);
    moot_batch_init(&expected);
    struct moot_store_iterator *iterator;
    struct moot_range all = {{NULL, 0}, {NULL, 0}};
    struct moot_slice key, value;
    uint64_t n = 0;
    assert_int_equal(store->ops->iterate(store, pin, all, false, &iterator), MOOT_OK);
    while (store->ops->entry(iterator, &key, &value) == MOOT_OK) {
        moot_batch_put(&held, key, value);
        if (moot_slice_equal(key, MOOT_SLICE_LITERAL("n"))) {
            assert_int_equal(value.size, sizeof(n));
            memcpy(&n, value.data, sizeof(n));
        }
        assert_int_equal(store->ops->next(iterator), MOOT_OK);
    }
    assert_int_equal(store->ops->entry(iterator, &key, &value), MOOT_ENOTFOUND);
    store->ops->iterate_end(iterator);
    state_after(n, &expected);
    assert_true(
        moot_slice_equal(moot_buffer_slice(&held.bytes), moot_buffer_slice(&expected.bytes)));
    moot_batch_deinit(&held);
    moot_batch_deinit(&expected);
    store->ops->unpin(store, pin);
    store->ops->close(store);
    return n;
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

/* Goal: after a kill a store holds exactly a prefix of the steps, batches and ingests alike, and at
 * least what was told to be durable; and deaths fall before, between and within ingests. */
static void killed_store_holds_a_prefix(void **state)
{
    (void)state;
    char folder[] = "/tmp/moot-store-XXXXXX";
    assert_non_null(mkdtemp(folder));
    struct moot_rng rng;
    uint64_t seed = (uint64_t)getpid();
    print_message("# seed %llu\n", (unsigned long long)seed);
    moot_rng_init(&rng, seed);
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    uint64_t held = 0;
    unsigned lost = 0, mid_ingest = 0, kills = 0;
    /* Until each kind of death has been met: a slow machine does fewer, but these. */
    for (; kills < KILLS || lost == 0 || mid_ingest == 0; kills++) {
        uint64_t taken, durable;
        uint64_t steps = 1 + moot_rng_below(&rng, 600);
        if (kills % 2 == 0) { /* Within the next ingest, which takes some milliseconds. */
            steps = INGEST_EVERY - 1 - held % INGEST_EVERY;
        }
        uint64_t linger_ns = moot_rng_below(&rng, kills % 2 == 0 ? 12000000 : 300000);
        run_child(folder, held, steps == 0 ? 1 : steps, linger_ns, &taken, &durable);
        uint64_t found = steps_held(folder);
        if (found < durable || found > taken + 1) {
            fail_msg("durable to %llu, taken %llu, found %llu", (unsigned long long)durable,
                     (unsigned long long)taken, (unsigned long long)found);
        }
        lost += found < taken;
        mid_ingest += (taken + 1) % INGEST_EVERY == 0;
        held = found;
        clock_gettime(CLOCK_MONOTONIC, &now);
        int64_t spent_s = now.tv_sec - start.tv_sec;
        if ((spent_s >= 6 && lost > 0 && mid_ingest > 0) || spent_s >= 120) {
            break;
        }
    }
    print_message("# %u kills, %u lost steps, %u during an ingest, %llu steps\n", kills, lost,
                  mid_ingest, (unsigned long long)held);
    assert_true(lost > 0);
    assert_true(mid_ingest > 0);
    remove_tree(folder);
}

int main(int count, char **arguments)
{
    if (count == 5 && strcmp(arguments[1], "child") == 0) {
        return child_main(arguments);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_store_holds_a_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
