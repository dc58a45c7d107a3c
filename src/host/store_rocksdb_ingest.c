/* Snapshot install for the store on disk: sorted files, and one edit that lets them all in. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/status.h"
#include "host/store_rocksdb_internal.h"

enum {
    FILE_BYTES = 64 * 1024 * 1024, /* Of keys and values, before the next file is begun. */
    READAHEAD_BYTES = 1024 * 1024,
};

static struct store_rocksdb *rocks_of(struct moot_store *store)
{
    return (struct store_rocksdb *)store;
}

/* "PATH/ingest", or file `number` in it; the caller frees it. */
static char *ingest_path(const struct store_rocksdb *rocks, int number)
{
    size_t size = strlen(rocks->path) + 40;
    char *path = moot_alloc(size);
    if (number < 0) {
        snprintf(path, size, "%s/ingest", rocks->path);
    } else {
        snprintf(path, size, "%s/ingest/%06d.part", rocks->path, number);
    }
    return path;
}

static int io_failed(struct store_rocksdb *rocks, const char *path)
{
    int code = errno;
    if (rocks->report != NULL) {
        char text[512];
        snprintf(text, sizeof(text), "ingest: %s: %s", path, strerror(code));
        rocks->report(rocks->report_context, text);
    }
    return MOOT_FAIL(code == ENOSPC ? MOOT_ENOSPACE : MOOT_EIO);
}

int store_rocksdb__ingest_clean(struct store_rocksdb *rocks)
{
    char *folder = ingest_path(rocks, -1);
    int status = MOOT_OK;
    DIR *directory = opendir(folder);
    if (directory == NULL) {
        status = errno == ENOENT ? MOOT_OK : io_failed(rocks, folder);
        moot_free(folder);
        return status;
    }
    for (struct dirent *entry; status == MOOT_OK && (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] != '.' && unlinkat(dirfd(directory), entry->d_name, 0) != 0) {
            status = io_failed(rocks, folder);
        }
    }
    closedir(directory);
    moot_free(folder);
    return status;
}

static void forget(struct store_rocksdb *rocks)
{
    struct ingest *ingest = &rocks->ingest;
    if (ingest->writer != NULL) {
        rocksdb_sstfilewriter_destroy(ingest->writer);
    }
    moot_batch_deinit(&ingest->ranges);
    moot_buffer_deinit(&ingest->last);
    *ingest = (struct ingest){0};
}

void store_rocksdb__ingest_abort(struct moot_store *store)
{
    struct store_rocksdb *rocks = rocks_of(store);
    if (!rocks->ingest.active) {
        return;
    }
    forget(rocks);
    /* What cannot be removed now is removed at the next begin or open, which say why not. */
    int ignored = store_rocksdb__ingest_clean(rocks);
    (void)ignored;
}

/* --- One file -------------------------------------------------------------------------------- */

static int file_begin(struct store_rocksdb *rocks)
{
    struct ingest *ingest = &rocks->ingest;
    MOOT_ASSERT(ingest->writer == NULL);
    ingest->file_bytes = 0;
    rocksdb_envoptions_t *env = rocksdb_envoptions_create();
    ingest->writer = rocksdb_sstfilewriter_create(env, rocks->options);
    rocksdb_envoptions_destroy(env);
    char *path = ingest_path(rocks, (int)ingest->files++);
    char *error = NULL;
    rocksdb_sstfilewriter_open(ingest->writer, path, &error);
    moot_free(path);
    return store_rocksdb__status(rocks, error);
}

static int file_end(struct store_rocksdb *rocks)
{
    if (rocks->ingest.writer == NULL) {
        return MOOT_OK;
    }
    char *error = NULL;
    rocksdb_sstfilewriter_finish(rocks->ingest.writer, &error); /* Synced. */
    rocksdb_sstfilewriter_destroy(rocks->ingest.writer);
    rocks->ingest.writer = NULL;
    return store_rocksdb__status(rocks, error);
}

/* A put, or a delete when `value` is NULL, in ascending order of keys; into the next file when this
 * one is full. */
static int file_add(struct store_rocksdb *rocks, struct moot_slice key,
                    const struct moot_slice *value)
{
    struct ingest *ingest = &rocks->ingest;
    int status = ingest->file_bytes < FILE_BYTES ? MOOT_OK : file_end(rocks);
    if (status == MOOT_OK && ingest->writer == NULL) {
        status = file_begin(rocks);
    }
    if (status != MOOT_OK) {
        return status;
    }
    char *error = NULL;
    if (value != NULL) {
        rocksdb_sstfilewriter_put(ingest->writer, (const char *)key.data, key.size,
                                  (const char *)value->data, value->size, &error);
    } else {
        rocksdb_sstfilewriter_delete(ingest->writer, (const char *)key.data, key.size, &error);
    }
    ingest->file_bytes += key.size + (value != NULL ? value->size : 0);
    return store_rocksdb__status(rocks, error);
}

/* --- Begin and add --------------------------------------------------------------------------- */

int store_rocksdb__ingest_begin(struct moot_store *store, const struct moot_range *ranges,
                                size_t count)
{
    struct store_rocksdb *rocks = rocks_of(store);
    struct ingest *ingest = &rocks->ingest;
    if (ingest->active) {
        return MOOT_FAIL(MOOT_EBUSY);
    }
    MOOT_ASSERT(count > 0);
    for (size_t i = 0; i < count; i++) {
        MOOT_ASSERT(moot_slice_compare(ranges[i].from, ranges[i].to) < 0);
        MOOT_ASSERT(i == 0 || moot_slice_compare(ranges[i - 1].to, ranges[i].from) <= 0);
        moot_batch_delete_range(&ingest->ranges, ranges[i].from, ranges[i].to);
    }
    ingest->active = true;
    char *folder = ingest_path(rocks, -1);
    int status = mkdir(folder, 0700) == 0 || errno == EEXIST ? MOOT_OK : io_failed(rocks, folder);
    moot_free(folder);
    if (status == MOOT_OK) {
        status = store_rocksdb__ingest_clean(rocks);
    }
    if (status != MOOT_OK) {
        forget(rocks);
    }
    return status;
}

int store_rocksdb__ingest_add(struct moot_store *store, struct moot_slice key,
                              struct moot_slice value)
{
    struct store_rocksdb *rocks = rocks_of(store);
    struct ingest *ingest = &rocks->ingest;
    MOOT_ASSERT(ingest->active);
    /* The pairs come from a peer: checked, not believed. */
    if (key.size == 0 || !moot_batch_covers(&ingest->ranges, key) ||
        moot_slice_compare(key, moot_buffer_slice(&ingest->last)) <= 0) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    moot_buffer_reset(&ingest->last, SIZE_MAX);
    moot_buffer_append_slice(&ingest->last, key);
    return file_add(rocks, key, &value);
}

/* --- Commit ---------------------------------------------------------------------------------- */

/* Deletes for all that the ranges hold now. */
static int write_deletes(struct store_rocksdb *rocks)
{
    rocksdb_readoptions_t *options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_ignore_range_deletions(options, 1);
    rocksdb_readoptions_set_verify_checksums(options, 1); /* A key missed here would come back. */
    rocksdb_readoptions_set_fill_cache(options, 0);
    rocksdb_readoptions_set_readahead_size(options, READAHEAD_BYTES);
    rocksdb_iterator_t *iterator = rocksdb_create_iterator(rocks->db, options);
    struct moot_reader reader = moot_reader_make(moot_buffer_slice(&rocks->ingest.ranges.bytes));
    enum moot_batch_op op;
    struct moot_slice from, to;
    int status = MOOT_OK;
    while (status == MOOT_OK && moot_batch_next(&reader, &op, &from, &to)) {
        rocksdb_iter_seek(iterator, (const char *)from.data, from.size);
        for (; status == MOOT_OK && rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator)) {
            struct moot_slice key;
            key.data = (const uint8_t *)rocksdb_iter_key(iterator, &key.size);
            if (moot_slice_compare(key, to) >= 0) {
                break;
            }
            status = file_add(rocks, key, NULL);
        }
        if (status == MOOT_OK) {
            char *error = NULL;
            rocksdb_iter_get_error(iterator, &error);
            status = store_rocksdb__status(rocks, error);
        }
    }
    rocksdb_iter_destroy(iterator);
    rocksdb_readoptions_destroy(options);
    return status != MOOT_OK ? status : file_end(rocks);
}

/* One op of `extra`, with its place in it. */
struct extra_op {
    enum moot_batch_op op;
    size_t place;
    struct moot_slice key, value;
};

static int compare_extra(const void *a, const void *b)
{
    const struct extra_op *left = a, *right = b;
    int order = moot_slice_compare(left->key, right->key);
    return order != 0 ? order : (left->place > right->place) - (left->place < right->place);
}

/* A file holds each key once, in order of keys: the last op on it. */
static int write_extra(struct store_rocksdb *rocks, const struct moot_batch *extra)
{
    struct extra_op *ops = moot_alloc(extra->count * sizeof(*ops));
    struct moot_reader reader = moot_reader_make(moot_buffer_slice(&extra->bytes));
    size_t count = 0;
    for (struct extra_op op; moot_batch_next(&reader, &op.op, &op.key, &op.value); count++) {
        MOOT_ASSERT(count < extra->count);
        MOOT_ASSERT(op.op != MOOT_BATCH_DELETE_RANGE);
        op.place = count;
        ops[count] = op;
    }
    MOOT_ASSERT(!reader.failed);
    qsort(ops, count, sizeof(*ops), compare_extra);
    int status = MOOT_OK;
    for (size_t i = 0; i < count && status == MOOT_OK; i++) {
        if (i + 1 == count || !moot_slice_equal(ops[i].key, ops[i + 1].key)) {
            status =
                file_add(rocks, ops[i].key, ops[i].op == MOOT_BATCH_PUT ? &ops[i].value : NULL);
        }
    }
    moot_free(ops);
    return status != MOOT_OK ? status : file_end(rocks);
}

/* One edit of the manifest lets all files in; a later file of the list wins over an earlier one.
 * Files 0 to `content` came by add(); from there to `deletes` they empty the ranges. */
static int let_in(struct store_rocksdb *rocks, uint32_t content, uint32_t deletes)
{
    size_t count = rocks->ingest.files;
    if (count == 0) {
        return MOOT_OK;
    }
    char **paths = moot_alloc(count * sizeof(*paths));
    size_t at = 0;
    for (uint32_t i = content; i < deletes; i++) {
        paths[at++] = ingest_path(rocks, (int)i);
    }
    for (uint32_t i = 0; i < content; i++) {
        paths[at++] = ingest_path(rocks, (int)i);
    }
    for (uint32_t i = deletes; i < count; i++) {
        paths[at++] = ingest_path(rocks, (int)i);
    }
    MOOT_ASSERT(at == count);
    rocksdb_ingestexternalfileoptions_t *options = rocksdb_ingestexternalfileoptions_create();
    rocksdb_ingestexternalfileoptions_set_move_files(options, 1);
    rocksdb_ingestexternalfileoptions_set_snapshot_consistency(options, 1);
    char *error = NULL;
    rocksdb_ingest_external_file(rocks->db, (const char *const *)paths, count, options, &error);
    rocksdb_ingestexternalfileoptions_destroy(options);
    for (size_t i = 0; i < count; i++) {
        moot_free(paths[i]);
    }
    moot_free(paths);
    return store_rocksdb__status(rocks, error);
}

int store_rocksdb__ingest_commit(struct moot_store *store, const struct moot_batch *extra)
{
    struct store_rocksdb *rocks = rocks_of(store);
    MOOT_ASSERT(rocks->ingest.active);
    bool other = atomic_exchange_explicit(&rocks->committing, true, memory_order_acq_rel);
    MOOT_ASSERT(!other);
    int status = file_end(rocks);
    uint32_t content = rocks->ingest.files;
    if (status == MOOT_OK) {
        status = store_writer__wait(rocks->writer);
    }
    if (status == MOOT_OK) { /* What was written before must not be younger than the ingest. */
        char *error = NULL;
        rocksdb_flush(rocks->db, rocks->flush_wait, &error);
        status = store_rocksdb__status(rocks, error);
    }
    if (status == MOOT_OK) {
        status = write_deletes(rocks);
    }
    uint32_t deletes = rocks->ingest.files;
    if (status == MOOT_OK) {
        status = write_extra(rocks, extra);
    }
    if (status == MOOT_OK) {
        status = let_in(rocks, content, deletes);
    }
    store_rocksdb__ingest_abort(store);
    atomic_store_explicit(&rocks->committing, false, memory_order_release);
    return status;
}
