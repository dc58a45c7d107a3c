/* The store on disk: RocksDB through its C API (Dong et al., "RocksDB: Evolution of Development
 * Priorities in a Key-value Store", TOS 2021).
 *
 * How it keeps the contract of storage/store.h:
 *  - RocksDB's own log is off and there is one column family, so memtables reach the disk in the
 *    order of the batches, and none holds part of a batch: what a crash leaves is a prefix.
 *  - get and iterate read at the block cache's tier: what would need I/O is "Incomplete", which is
 *    MOOT_EWOULDBLOCK. fetch reads at the normal tier and so warms the cache. What one command
 *    needs must fit the cache, or it never gets done: long reads go by a pin.
 *  - write only hands its batch to a thread (store_rocksdb_writer.c); reads look into the batch
 * under way first, and what cannot (walks, flush, ingests) waits for it; a pin is made behind it.
 *  - A write never stalls: the triggers for that are off. Back-pressure is in flush(), which waits
 *    while compaction is behind. Should RocksDB stall all the same (nobody flushes, and two
 *    write buffers are full), the write waits and is counted.
 *  - RocksDB's range tombstones are never used. In 7.8 an iterator that meets one can lose the
 *    error of one of its children (facebook/rocksdb, pull requests 11783 and 11786, of 2023), and
 *    at the cache's tier "Incomplete" is such an error: the range came back with holes. The random
 *    test of tests/unit/store_conformance.h showed it. So DELETE_RANGE becomes one delete a key: it
 *    takes a step for each key that is there, and may read files.
 *  - Ingest: sorted files in a folder of their own: deletes for all that the ranges hold, then what
 *    was added, then `extra`. All enter by one edit of the manifest, which is atomic and synced;
 *    files that overlap are numbered in that order. All earlier batches are flushed first: a prefix
 *    remains a prefix. tests/unit/store_crash_host_test.c kills it at random points.
 *    MOOT_ECORRUPT from commit: the old contents cannot even be listed; what is left then is to
 *    wipe the folder and install every group anew.
 *
 * Threads: as storage/store.h says. ingest_commit may run beside everything but write. Memory: the
 * cache, at most two write buffers, and one batch. */
#ifndef MOOT_HOST_STORE_ROCKSDB_H
#define MOOT_HOST_STORE_ROCKSDB_H

#include "storage/store.h"

struct moot_store_rocksdb_options {
    const char *path;            /* A folder; made when missing. */
    uint64_t cache_bytes;        /* 0: MOOT_STORE_CACHE_BYTES */
    uint64_t write_buffer_bytes; /* At which RocksDB flushes by itself; 0:
                                    MOOT_STORE_WRITE_BUFFER_BYTES */
    uint64_t file_bytes;         /* Of a sorted file; 0: 32 MiB. Tests use small ones. */
    bool compress;               /* LZ4 */
    /* RocksDB's own words about an error, for the log; may be NULL. Called on any thread. */
    void (*report)(void *context, const char *text);
    void *report_context;
};

/* MOOT_EBUSY: another process has it open. MOOT_ECORRUPT, MOOT_EIO, MOOT_ENOSPACE. */
int moot_store_rocksdb_open(const struct moot_store_rocksdb_options *options,
                            struct moot_store **out) MOOT_MUST_USE;

/* Gauges for INFO and metrics. */
struct moot_store_rocksdb_stats {
    uint64_t memtable_bytes;   /* Of all memtables. */
    uint64_t cache_bytes;      /* In use. */
    uint64_t disk_bytes;       /* Of live sorted files. */
    uint64_t level0_files;     /* Each costs a read. */
    uint64_t compaction_bytes; /* Estimate of what compaction has before it. */
    uint64_t keys_estimate;
    uint64_t stalls; /* Writes that had to wait. */
};
void moot_store_rocksdb_stats(struct moot_store *store, struct moot_store_rocksdb_stats *out);

#endif
