/* What the files of the store on RocksDB share. */
#ifndef MOOT_HOST_STORE_ROCKSDB_INTERNAL_H
#define MOOT_HOST_STORE_ROCKSDB_INTERNAL_H

#include <rocksdb/c.h>
#include <stdatomic.h>

#include "host/store_rocksdb.h"

/* Sorted files being made for an ingest. */
struct ingest {
    bool active;
    struct moot_batch ranges;        /* What is emptied, as DELETE_RANGE ops, ascending. */
    rocksdb_sstfilewriter_t *writer; /* NULL: no file is open. */
    struct moot_buffer last;         /* Key added last. */
    uint64_t file_bytes;             /* Of keys and values in the open file. */
    uint32_t files;                  /* Begun; numbered from 0. */
};

/* Who pins does not wait for the batch under way; who reads the pin does. */
struct moot_store_pin {
    struct moot_store_pin *next;        /* The writer's. */
    const rocksdb_snapshot_t *snapshot; /* NULL: the writer makes it when the batch is written. */
};

struct store_rocksdb {
    struct moot_store base; /* First. */
    char *path;
    void (*report)(void *context, const char *text);
    void *report_context;

    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_cache_t *cache;
    rocksdb_env_t *env;
    rocksdb_readoptions_t *read_cached; /* Never waits. */
    rocksdb_readoptions_t *read_any;    /* May read files. */
    rocksdb_writeoptions_t *write_fast; /* Fails rather than stalls. */
    rocksdb_writeoptions_t *write_wait;
    rocksdb_flushoptions_t *flush_wait;
    rocksdb_writebatch_t *batch; /* Of the writer's thread, used again and again. */
    struct store_writer *writer;
    atomic_bool committing; /* ingest_commit runs. */
    atomic_ullong stalls;
    struct ingest ingest;
};

/* What RocksDB says, as a status; frees `error`. NULL is MOOT_OK. */
int store_rocksdb__status(struct store_rocksdb *rocks, char *error) MOOT_MUST_USE;

/* On the writer's thread. */
int store_rocksdb__write_batch(struct store_rocksdb *rocks,
                               const struct moot_batch *batch) MOOT_MUST_USE;

/* store_rocksdb_writer.c */
struct store_writer *store_writer__start(struct store_rocksdb *rocks);
/* Ends after what was given is written. */
void store_writer__stop(struct store_writer *writer);
/* Takes a copy. What it says is how the batch before went: after a failure nothing is taken. */
int store_writer__give(struct store_writer *writer, const struct moot_batch *batch) MOOT_MUST_USE;
/* Until what was given is in RocksDB; on any thread. */
int store_writer__wait(struct store_writer *writer) MOOT_MUST_USE;
/* Pins what was given so far; on the thread that gives. */
void store_writer__pin(struct store_writer *writer, struct moot_store_pin *pin);
/* Until the pin is made; on any thread. After a failure it may lack what was given last. */
int store_writer__pinned(struct store_writer *writer,
                         const struct moot_store_pin *pin) MOOT_MUST_USE;
/* Of what was given so far: after a failure RocksDB is not what reads should see. */
int store_writer__status(const struct store_writer *writer) MOOT_MUST_USE;
/* What the batch under way says of a key; false: nothing. On the thread that gives. The value is
 * valid until the next batch is given. */
bool store_writer__find(struct store_writer *writer, struct moot_slice key, bool *present,
                        struct moot_slice *value);
/* All of a batch that deletes no ranges, in key order. */
void store_writer__put_sorted(rocksdb_writebatch_t *out, const struct moot_batch *batch);

int store_rocksdb__ingest_begin(struct moot_store *store, const struct moot_range *ranges,
                                size_t count) MOOT_MUST_USE;
int store_rocksdb__ingest_add(struct moot_store *store, struct moot_slice key,
                              struct moot_slice value) MOOT_MUST_USE;
int store_rocksdb__ingest_commit(struct moot_store *store,
                                 const struct moot_batch *extra) MOOT_MUST_USE;
void store_rocksdb__ingest_abort(struct moot_store *store);
/* Removes what a crash has left of an ingest. */
int store_rocksdb__ingest_clean(struct store_rocksdb *rocks) MOOT_MUST_USE;

#endif
