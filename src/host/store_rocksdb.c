#include "host/store_rocksdb.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/status.h"
#include "host/store_rocksdb_internal.h"

enum {
    BLOCK_BYTES = 4096,
    BLOOM_BITS = 10,      /* A key: 1 % false positives. */
    CACHE_SHARD_BITS = 2, /* Few threads; large filter blocks must fit a shard. */
    LEVEL0_COMPACT = 4,   /* Files of level 0 that start a compaction, */
    LEVEL0_WAIT = 20,     /* and at which flush() waits for it. */
    LEVEL0_NEVER = 1 << 30,
    /* A skip list is as slow as its cache misses: several memtables, merged in memory and flushed
     * together, take a put faster than one large one; a read of what is in none looks into the
     * bloom filters of all of them. */
    MEMTABLES = 4,
    TARGET_FILE_BYTES = 32 * 1024 * 1024,
    PIN_READAHEAD_BYTES = 256 * 1024,
    LZ4 = 4, /* rocksdb_lz4_compression */
    INFO_LOG_WARN = 2,
    TIER_ALL = 0,   /* ReadTier: kReadAllTier */
    TIER_CACHE = 1, /* kBlockCacheTier */
};

struct moot_store_iterator {
    struct store_rocksdb *rocks;
    rocksdb_iterator_t *at;
    rocksdb_readoptions_t *options; /* Holds the bounds, which point below: ends after `at`. */
    bool reverse;
    uint8_t bounds[]; /* from, then to */
};

static struct store_rocksdb *rocks_of(struct moot_store *store)
{
    return (struct store_rocksdb *)store;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* The C API gives a Status only as its text (rocksdb/status.h, Status::ToString). */
int store_rocksdb__status(struct store_rocksdb *rocks, char *error)
{
    if (error == NULL) {
        return MOOT_OK;
    }
    int status = MOOT_EIO; /* What we do not know, we do not trust. */
    if (begins(error, "Result incomplete")) {
        status = MOOT_EWOULDBLOCK;
    } else if (begins(error, "Corruption")) {
        status = MOOT_ECORRUPT;
    } else if (strstr(error, "No space left on device") != NULL ||
               strstr(error, "Max allowed space was reached") != NULL) {
        status = MOOT_ENOSPACE;
    }
    if (status != MOOT_EWOULDBLOCK && rocks->report != NULL) {
        rocks->report(rocks->report_context, error);
    }
    rocksdb_free(error);
    return MOOT_FAIL(status);
}

/* --- Reading --------------------------------------------------------------------------------- */

static int get_with(struct store_rocksdb *rocks, const rocksdb_readoptions_t *options,
                    struct moot_slice key, struct moot_arena *arena, struct moot_slice *value)
{
    char *error = NULL;
    rocksdb_pinnableslice_t *found =
        rocksdb_get_pinned(rocks->db, options, (const char *)key.data, key.size, &error);
    if (error != NULL) {
        return store_rocksdb__status(rocks, error);
    }
    if (found == NULL) {
        return MOOT_ENOTFOUND; /* An answer, not a failure. */
    }
    size_t size;
    const char *bytes = rocksdb_pinnableslice_value(found, &size);
    *value = moot_arena_copy(arena, moot_slice_make(bytes, size));
    rocksdb_pinnableslice_destroy(found);
    return MOOT_OK;
}

static int rocks_get(struct moot_store *store, struct moot_slice key, struct moot_arena *arena,
                     struct moot_slice *value)
{
    struct store_rocksdb *rocks = rocks_of(store);
    bool present;
    struct moot_slice under_way;
    if (store_writer__find(rocks->writer, key, &present, &under_way)) {
        *value = present ? moot_arena_copy(arena, under_way) : *value;
        return present ? MOOT_OK : MOOT_ENOTFOUND;
    }
    int status = store_writer__status(rocks->writer);
    if (status != MOOT_OK) {
        return status;
    }
    return get_with(rocks, rocks->read_cached, key, arena, value);
}

static int rocks_pin_get(struct moot_store *store, struct moot_store_pin *pin,
                         struct moot_slice key, struct moot_arena *arena, struct moot_slice *value)
{
    int status = store_writer__pinned(rocks_of(store)->writer, pin);
    if (status != MOOT_OK) {
        return status;
    }
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(options, 1);
    rocksdb_readoptions_set_ignore_range_deletions(options, 1);
    rocksdb_readoptions_set_snapshot(options, pin->snapshot);
    status = get_with(rocks_of(store), options, key, arena, value);
    rocksdb_readoptions_destroy(options);
    return status;
}

static int rocks_fetch(struct moot_store *store, struct moot_slice key)
{
    struct store_rocksdb *rocks = rocks_of(store);
    char *error = NULL;
    rocksdb_pinnableslice_t *found =
        rocksdb_get_pinned(rocks->db, rocks->read_any, (const char *)key.data, key.size, &error);
    if (found != NULL) {
        rocksdb_pinnableslice_destroy(found);
    }
    return store_rocksdb__status(rocks, error);
}

static struct moot_store_iterator *iterator_make(struct store_rocksdb *rocks,
                                                 const struct moot_store_pin *pin, int tier,
                                                 struct moot_range range, bool reverse)
{
    struct moot_store_iterator *iterator =
        moot_alloc(sizeof(*iterator) + range.from.size + range.to.size);
    iterator->rocks = rocks;
    iterator->reverse = reverse;
    rocksdb_readoptions_t *options = iterator->options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(options, 1);
    rocksdb_readoptions_set_ignore_range_deletions(options,
                                                   1); /* There are none: see the header. */
    rocksdb_readoptions_set_read_tier(options, tier);
    if (pin != NULL) {
        rocksdb_readoptions_set_snapshot(options, pin->snapshot);
        rocksdb_readoptions_set_fill_cache(options, 0); /* A long walk must not empty the cache. */
        rocksdb_readoptions_set_readahead_size(options, PIN_READAHEAD_BYTES);
    }
    const char *from = (const char *)iterator->bounds;
    const char *to = from + range.from.size;
    if (range.from.size > 0) {
        memcpy(iterator->bounds, range.from.data, range.from.size);
        rocksdb_readoptions_set_iterate_lower_bound(options, from, range.from.size);
    }
    if (range.to.size > 0) {
        memcpy(iterator->bounds + range.from.size, range.to.data, range.to.size);
        rocksdb_readoptions_set_iterate_upper_bound(options, to, range.to.size);
    }
    iterator->at = rocksdb_create_iterator(rocks->db, options);
    if (range.to.size > 0 && moot_slice_compare(range.from, range.to) >= 0) {
        /* An empty range: where it stands now is the end. */
    } else if (reverse) {
        rocksdb_iter_seek_to_last(iterator->at);
    } else {
        rocksdb_iter_seek_to_first(iterator->at); /* Begins at the lower bound. */
    }
    return iterator;
}

static void rocks_iterate_end(struct moot_store_iterator *iterator)
{
    rocksdb_iter_destroy(iterator->at);
    rocksdb_readoptions_destroy(iterator->options);
    moot_free(iterator);
}

/* MOOT_OK while there is an entry, MOOT_ENOTFOUND at the end. */
static int iterator_status(const struct moot_store_iterator *iterator)
{
    if (rocksdb_iter_valid(iterator->at)) {
        return MOOT_OK;
    }
    char *error = NULL;
    rocksdb_iter_get_error(iterator->at, &error);
    return error == NULL ? MOOT_ENOTFOUND : store_rocksdb__status(iterator->rocks, error);
}

static int rocks_iterate(struct moot_store *store, struct moot_store_pin *pin,
                         struct moot_range range, bool reverse, struct moot_store_iterator **out)
{
    struct store_writer *writer = rocks_of(store)->writer;
    int status = pin == NULL ? store_writer__wait(writer) : store_writer__pinned(writer, pin);
    if (status != MOOT_OK) {
        return status;
    }
    struct moot_store_iterator *iterator =
        iterator_make(rocks_of(store), pin, pin == NULL ? TIER_CACHE : TIER_ALL, range, reverse);
    status = iterator_status(iterator);
    if (status != MOOT_OK && status != MOOT_ENOTFOUND) {
        rocks_iterate_end(iterator);
        return status;
    }
    *out = iterator;
    return MOOT_OK;
}

static int rocks_entry(struct moot_store_iterator *iterator, struct moot_slice *key,
                       struct moot_slice *value)
{
    int status = iterator_status(iterator);
    if (status != MOOT_OK) {
        return status;
    }
    key->data = (const uint8_t *)rocksdb_iter_key(iterator->at, &key->size);
    value->data = (const uint8_t *)rocksdb_iter_value(iterator->at, &value->size);
    return MOOT_OK;
}

static void step(struct moot_store_iterator *iterator)
{
    if (iterator->reverse) {
        rocksdb_iter_prev(iterator->at);
    } else {
        rocksdb_iter_next(iterator->at);
    }
}

static int rocks_next(struct moot_store_iterator *iterator)
{
    MOOT_ASSERT(rocksdb_iter_valid(iterator->at));
    step(iterator);
    int status = iterator_status(iterator);
    return status == MOOT_ENOTFOUND ? MOOT_OK : status;
}

static int rocks_fetch_range(struct moot_store *store, struct moot_range range, bool reverse,
                             uint64_t limit)
{
    struct moot_store_iterator *iterator =
        iterator_make(rocks_of(store), NULL, TIER_ALL, range, reverse);
    for (uint64_t i = 0; i < limit && rocksdb_iter_valid(iterator->at); i++) {
        step(iterator);
    }
    int status = iterator_status(iterator);
    rocks_iterate_end(iterator);
    return status == MOOT_ENOTFOUND ? MOOT_OK : status;
}

static struct moot_store_pin *rocks_pin(struct moot_store *store)
{
    struct moot_store_pin *pin = moot_alloc(sizeof(*pin));
    store_writer__pin(rocks_of(store)->writer, pin);
    return pin;
}

static void rocks_unpin(struct moot_store *store, struct moot_store_pin *pin)
{
    struct store_rocksdb *rocks = rocks_of(store);
    int status = store_writer__pinned(rocks->writer, pin);
    (void)status; /* It is given up either way. */
    rocksdb_release_snapshot(rocks->db, pin->snapshot);
    moot_free(pin);
}

/* --- Writing --------------------------------------------------------------------------------- */

/* Deletes for the keys of [from, to) that the first `ops` of the batch have put. */
static void delete_earlier_puts(rocksdb_writebatch_t *out, const struct moot_batch *batch,
                                uint64_t ops, struct moot_range range)
{
    struct moot_reader reader = moot_reader_make(moot_buffer_slice(&batch->bytes));
    enum moot_batch_op op;
    struct moot_slice key, value;
    for (; ops > 0 && moot_batch_next(&reader, &op, &key, &value); ops--) {
        if (op == MOOT_BATCH_PUT && moot_slice_compare(range.from, key) <= 0 &&
            moot_slice_compare(key, range.to) < 0) {
            rocksdb_writebatch_delete(out, (const char *)key.data, key.size);
        }
    }
}

/* Deletes for the keys of [from, to) that the store holds. May wait for I/O. */
static int delete_stored(struct store_rocksdb *rocks, struct moot_range range)
{
    struct moot_store_iterator *iterator = iterator_make(rocks, NULL, TIER_ALL, range, false);
    for (; rocksdb_iter_valid(iterator->at); rocksdb_iter_next(iterator->at)) {
        size_t size;
        const char *key = rocksdb_iter_key(iterator->at, &size);
        rocksdb_writebatch_delete(rocks->batch, key, size);
    }
    int status = iterator_status(iterator);
    rocks_iterate_end(iterator);
    return status == MOOT_ENOTFOUND ? MOOT_OK : status;
}

static int translate(struct store_rocksdb *rocks, const struct moot_batch *batch)
{
    struct moot_reader reader = moot_reader_make(moot_buffer_slice(&batch->bytes));
    enum moot_batch_op op;
    struct moot_slice key, value;
    uint64_t count = 0;
    int status = MOOT_OK;
    for (; status == MOOT_OK && moot_batch_next(&reader, &op, &key, &value); count++) {
        switch (op) {
        case MOOT_BATCH_PUT:
            rocksdb_writebatch_put(rocks->batch, (const char *)key.data, key.size,
                                   (const char *)value.data, value.size);
            break;
        case MOOT_BATCH_DELETE:
            rocksdb_writebatch_delete(rocks->batch, (const char *)key.data, key.size);
            break;
        case MOOT_BATCH_DELETE_RANGE:
            delete_earlier_puts(rocks->batch, batch, count, (struct moot_range){key, value});
            status = delete_stored(rocks, (struct moot_range){key, value});
            break;
        }
    }
    MOOT_ASSERT(!reader.failed); /* Batches are ours: made by moot_batch_*. */
    MOOT_ASSERT(status != MOOT_OK || count == batch->count);
    return status;
}

static bool deletes_ranges(const struct moot_batch *batch)
{
    struct moot_reader reader = moot_reader_make(moot_buffer_slice(&batch->bytes));
    enum moot_batch_op op;
    struct moot_slice key, value;
    bool found = false;
    while (!found && moot_batch_next(&reader, &op, &key, &value)) {
        found = op == MOOT_BATCH_DELETE_RANGE;
    }
    return found;
}

static int rocks_write(struct moot_store *store, const struct moot_batch *batch)
{
    struct store_rocksdb *rocks = rocks_of(store);
    MOOT_ASSERT(!atomic_load_explicit(&rocks->committing, memory_order_acquire));
    return store_writer__give(rocks->writer, batch);
}

int store_rocksdb__write_batch(struct store_rocksdb *rocks, const struct moot_batch *batch)
{
    rocksdb_writebatch_clear(rocks->batch);
    int status = MOOT_OK;
    if (deletes_ranges(batch)) {
        status = translate(rocks, batch);
    } else {
        store_writer__put_sorted(rocks->batch, batch);
    }
    if (status != MOOT_OK) {
        return status;
    }
    char *error = NULL;
    rocksdb_write(rocks->db, rocks->write_fast, rocks->batch, &error);
    if (error != NULL && begins(error, "Result incomplete")) {
        atomic_fetch_add_explicit(&rocks->stalls, 1, memory_order_relaxed);
        rocksdb_free(error);
        error = NULL;
        rocksdb_write(rocks->db, rocks->write_wait, rocks->batch, &error);
    }
    return store_rocksdb__status(rocks, error);
}

static uint64_t property(const struct store_rocksdb *rocks, const char *name)
{
    uint64_t value = 0;
    int missing = rocksdb_property_int(rocks->db, name, &value);
    MOOT_ASSERT(missing == 0);
    return value;
}

static uint64_t level0_files(const struct store_rocksdb *rocks)
{
    char *text = rocksdb_property_value(rocks->db, "rocksdb.num-files-at-level0");
    MOOT_ASSERT(text != NULL);
    uint64_t files = strtoull(text, NULL, 10);
    rocksdb_free(text);
    return files;
}

/* Back-pressure: who produces files faster than they are merged waits here, on its own thread. */
static void wait_for_compaction(const struct store_rocksdb *rocks)
{
    while (level0_files(rocks) >= LEVEL0_WAIT &&
           property(rocks, "rocksdb.num-running-compactions") > 0 &&
           property(rocks, "rocksdb.background-errors") == 0) {
        nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
    }
}

static int rocks_flush(struct moot_store *store)
{
    struct store_rocksdb *rocks = rocks_of(store);
    int status = store_writer__wait(rocks->writer);
    if (status != MOOT_OK) {
        return status;
    }
    wait_for_compaction(rocks);
    char *error = NULL;
    rocksdb_flush(rocks->db, rocks->flush_wait, &error);
    return store_rocksdb__status(rocks, error);
}

/* --- Life ------------------------------------------------------------------------------------ */

static void options_free(struct store_rocksdb *rocks)
{
    rocksdb_writebatch_destroy(rocks->batch);
    rocksdb_flushoptions_destroy(rocks->flush_wait);
    rocksdb_writeoptions_destroy(rocks->write_wait);
    rocksdb_writeoptions_destroy(rocks->write_fast);
    rocksdb_readoptions_destroy(rocks->read_any);
    rocksdb_readoptions_destroy(rocks->read_cached);
    rocksdb_options_destroy(rocks->options);
    rocksdb_cache_destroy(rocks->cache);
    rocksdb_env_destroy(rocks->env);
    moot_free(rocks->path);
    moot_free(rocks);
}

/* RocksDB writes what is left in its memtables: a clean stop needs no replay. */
static void rocks_close(struct moot_store *store)
{
    struct store_rocksdb *rocks = rocks_of(store);
    store_writer__stop(rocks->writer);
    store_rocksdb__ingest_abort(store);
    rocksdb_close(rocks->db);
    options_free(rocks);
}

static const struct moot_store_ops rocks_ops = {
    .get = rocks_get,
    .pin_get = rocks_pin_get,
    .fetch = rocks_fetch,
    .iterate = rocks_iterate,
    .entry = rocks_entry,
    .next = rocks_next,
    .iterate_end = rocks_iterate_end,
    .fetch_range = rocks_fetch_range,
    .write = rocks_write,
    .flush = rocks_flush,
    .pin = rocks_pin,
    .unpin = rocks_unpin,
    .ingest_begin = store_rocksdb__ingest_begin,
    .ingest_add = store_rocksdb__ingest_add,
    .ingest_commit = store_rocksdb__ingest_commit,
    .ingest_abort = store_rocksdb__ingest_abort,
    .close = rocks_close,
};

static void set_table_options(struct store_rocksdb *rocks)
{
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(table, rocks->cache);
    rocksdb_block_based_options_set_block_size(table, BLOCK_BYTES);
    rocksdb_block_based_options_set_format_version(table, 5);
    rocksdb_block_based_options_set_filter_policy(
        table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
    rocksdb_block_based_options_set_whole_key_filtering(table, 1);
    rocksdb_block_based_options_set_data_block_index_type(table, 1); /* Binary search and hash. */
    /* Within the cache, so that its size bounds them too. */
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1);
    rocksdb_options_set_block_based_table_factory(rocks->options, table);
    rocksdb_block_based_options_destroy(table);
}

static void set_database_options(struct store_rocksdb *rocks,
                                 const struct moot_store_rocksdb_options *given)
{
    rocksdb_options_t *options = rocks->options;
    rocksdb_options_set_env(options, rocks->env);
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_paranoid_checks(options, 1);
    rocksdb_options_set_info_log_level(options, INFO_LOG_WARN);
    rocksdb_options_set_max_log_file_size(options, 1024 * 1024);
    rocksdb_options_set_keep_log_file_num(options, 2);
    rocksdb_options_set_stats_dump_period_sec(options, 0);
    rocksdb_options_set_stats_persist_period_sec(options, 0);
    rocksdb_options_set_max_open_files(options, -1); /* All open: a read never opens one. */
    rocksdb_options_set_compression(options, given->compress ? LZ4 : 0);

    uint64_t buffer_bytes =
        given->write_buffer_bytes > 0 ? given->write_buffer_bytes : MOOT_STORE_WRITE_BUFFER_BYTES;
    rocksdb_options_set_write_buffer_size(options, buffer_bytes / MEMTABLES);
    rocksdb_options_set_min_write_buffer_number_to_merge(options, MEMTABLES);
    rocksdb_options_set_max_write_buffer_number(options, 2 * MEMTABLES);
    rocksdb_options_set_memtable_prefix_bloom_size_ratio(options, 0.05);
    rocksdb_options_set_memtable_whole_key_filtering(options, 1);
    /* Old versions are stepped over rather than sought past: a seek visits every memtable. */
    rocksdb_options_set_max_sequential_skip_in_iterations(options, 64);
    rocksdb_options_set_allow_concurrent_memtable_write(options, 0); /* One writer. */
    rocksdb_options_set_enable_pipelined_write(options, 0);
    rocksdb_options_set_unordered_write(options, 0);

    rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1);
    rocksdb_options_set_target_file_size_base(options, given->file_bytes > 0 ? given->file_bytes
                                                                             : TARGET_FILE_BYTES);
    rocksdb_options_set_level0_file_num_compaction_trigger(options, LEVEL0_COMPACT);
    rocksdb_options_set_level0_slowdown_writes_trigger(options, LEVEL0_NEVER);
    rocksdb_options_set_level0_stop_writes_trigger(options, LEVEL0_NEVER);
    rocksdb_options_set_soft_pending_compaction_bytes_limit(options, 0); /* 0: none */
    rocksdb_options_set_hard_pending_compaction_bytes_limit(options, 0);
    rocksdb_options_set_max_background_jobs(options, 2);           /* One flush, one compaction. */
    rocksdb_options_set_bytes_per_sync(options, 1024 * 1024);      /* No burst at the final sync. */
    rocksdb_options_set_avoid_unnecessary_blocking_io(options, 1); /* Files die off the loop. */
}

/* A batch is sorted. With a hint, here one for all keys that begin with the same byte, the skip
 * list searches on from where it inserted last; without one, from its head. The C API has no
 * function for it; a RocksDB that does not know it is a little slower. */
static void set_hint(struct store_rocksdb *rocks)
{
    char *error = NULL;
    rocksdb_options_t *hinted = rocksdb_options_create();
    rocksdb_get_options_from_string(
        rocks->options, "memtable_insert_with_hint_prefix_extractor=fixed:1", hinted, &error);
    if (error != NULL) {
        rocksdb_free(error);
        rocksdb_options_destroy(hinted);
        return;
    }
    rocksdb_options_destroy(rocks->options);
    rocks->options = hinted;
}

static void set_call_options(struct store_rocksdb *rocks)
{
    rocks->read_cached = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(rocks->read_cached, 1);
    rocksdb_readoptions_set_ignore_range_deletions(rocks->read_cached, 1);
    rocksdb_readoptions_set_read_tier(rocks->read_cached, TIER_CACHE);
    rocks->read_any = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(rocks->read_any, 1);
    rocksdb_readoptions_set_ignore_range_deletions(rocks->read_any, 1);
    rocks->write_fast = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(rocks->write_fast, 1);
    rocksdb_writeoptions_set_no_slowdown(rocks->write_fast, 1);
    rocks->write_wait = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(rocks->write_wait, 1);
    rocks->flush_wait = rocksdb_flushoptions_create();
    rocksdb_flushoptions_set_wait(rocks->flush_wait, 1);
    rocks->batch = rocksdb_writebatch_create();
}

/* What the C API has no function for. */
static int set_by_name(struct store_rocksdb *rocks)
{
    /* Blocks stay warm across a flush: otherwise all that was in a memtable would block at once. */
    const char *const names[] = {"block_based_table_factory"};
    const char *const values[] = {"{prepopulate_block_cache=kFlushOnly;}"};
    char *error = NULL;
    rocksdb_set_options(rocks->db, 1, names, values, &error);
    return store_rocksdb__status(rocks, error);
}

int moot_store_rocksdb_open(const struct moot_store_rocksdb_options *given, struct moot_store **out)
{
    struct store_rocksdb *rocks = moot_alloc_zero(sizeof(*rocks));
    rocks->base.ops = &rocks_ops;
    rocks->path = moot_alloc(strlen(given->path) + 1);
    memcpy(rocks->path, given->path, strlen(given->path) + 1);
    rocks->report = given->report;
    rocks->report_context = given->report_context;
    rocks->env = rocksdb_create_default_env();
    rocksdb_env_lower_thread_pool_cpu_priority(rocks->env); /* Compaction yields to turns. */
    rocks->options = rocksdb_options_create();
    rocksdb_lru_cache_options_t *cache = rocksdb_lru_cache_options_create();
    rocksdb_lru_cache_options_set_capacity(cache, given->cache_bytes > 0 ? given->cache_bytes
                                                                         : MOOT_STORE_CACHE_BYTES);
    rocksdb_lru_cache_options_set_num_shard_bits(cache, CACHE_SHARD_BITS);
    rocks->cache = rocksdb_cache_create_lru_opts(cache);
    rocksdb_lru_cache_options_destroy(cache);
    set_table_options(rocks);
    set_database_options(rocks, given);
    set_hint(rocks);
    set_call_options(rocks);

    char *error = NULL;
    rocks->db = rocksdb_open(rocks->options, rocks->path, &error);
    bool locked = error != NULL && (strstr(error, "LOCK: Resource temporarily") != NULL ||
                                    strstr(error, "lock hold by current process") != NULL);
    int status = store_rocksdb__status(rocks, error);
    if (status == MOOT_OK) {
        status = store_rocksdb__ingest_clean(rocks);
    }
    if (status == MOOT_OK) {
        status = set_by_name(rocks);
    }
    if (status != MOOT_OK) {
        if (rocks->db != NULL) {
            rocksdb_close(rocks->db);
        }
        options_free(rocks);
        return locked ? MOOT_FAIL(MOOT_EBUSY) : status;
    }
    rocks->writer = store_writer__start(rocks);
    *out = &rocks->base;
    return MOOT_OK;
}

void moot_store_rocksdb_stats(struct moot_store *store, struct moot_store_rocksdb_stats *out)
{
    struct store_rocksdb *rocks = rocks_of(store);
    *out = (struct moot_store_rocksdb_stats){
        .memtable_bytes = property(rocks, "rocksdb.cur-size-all-mem-tables"),
        .cache_bytes = rocksdb_cache_get_usage(rocks->cache),
        .disk_bytes = property(rocks, "rocksdb.live-sst-files-size"),
        .level0_files = level0_files(rocks),
        .compaction_bytes = property(rocks, "rocksdb.estimate-pending-compaction-bytes"),
        .keys_estimate = property(rocks, "rocksdb.estimate-num-keys"),
        .stalls = atomic_load_explicit(&rocks->stalls, memory_order_relaxed),
    };
}
