/* Batches enter RocksDB on a thread of their own: a put into its skip list costs 2 to 3 us, and a
 * batch has thousands. The store's contract is kept: reads see the batch at once, because they look
 * into the one under way first, and all that cannot (walks, flushes, ingests) waits for its end; a
 * pin is made by this thread, then. One is under way at a time; a write that comes too early waits
 * for the one before. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/status.h"
#include "host/store_rocksdb_internal.h"

enum { KEEP_BYTES = 8 * 1024 * 1024 }; /* Of a batch's memory; more is given back. */

/* Where an operation begins in the batch, plus one; 0: an empty slot. */
struct slot {
    uint32_t tag, place;
};

struct store_writer {
    struct store_rocksdb *rocks;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t given, done;
    bool stopping;     /* Guarded by lock, as are changes of the next two. */
    atomic_int status; /* The first failure stays. */
    atomic_bool
        busy; /* Set by who gives, cleared by the thread: the batch is constant meanwhile. */
    struct moot_batch batch;
    struct moot_store_pin *pins; /* Guarded by lock: to be made when the batch is written. */

    /* Of who gives: which keys the batch has, made when somebody asks for one. */
    struct slot *slots;
    uint32_t slot_mask;
    bool is_indexed, has_ranges;
};

int store_writer__status(const struct store_writer *writer)
{
    return atomic_load_explicit(&writer->status, memory_order_relaxed);
}

static void make_pins(struct store_writer *writer)
{
    while (writer->pins != NULL) {
        struct moot_store_pin *pin = writer->pins;
        writer->pins = pin->next;
        pin->snapshot = rocksdb_create_snapshot(writer->rocks->db);
        MOOT_ASSERT(pin->snapshot != NULL);
    }
}

static void *writer_main(void *argument)
{
    struct store_writer *writer = argument;
    pthread_mutex_lock(&writer->lock);
    for (;;) {
        while (!atomic_load_explicit(&writer->busy, memory_order_relaxed) && !writer->stopping) {
            pthread_cond_wait(&writer->given, &writer->lock);
        }
        if (!atomic_load_explicit(&writer->busy, memory_order_relaxed)) {
            break;
        }
        int status = store_writer__status(
            writer); /* After a failure nothing may follow: a hole in the prefix. */
        pthread_mutex_unlock(&writer->lock);
        if (status == MOOT_OK) {
            status = store_rocksdb__write_batch(writer->rocks, &writer->batch);
        }
        pthread_mutex_lock(&writer->lock);
        make_pins(writer); /* After a failure too: it is told by the next write. */
        atomic_store_explicit(&writer->status, status, memory_order_relaxed);
        atomic_store_explicit(&writer->busy, false, memory_order_release);
        pthread_cond_broadcast(&writer->done);
    }
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

struct store_writer *store_writer__start(struct store_rocksdb *rocks)
{
    struct store_writer *writer = moot_alloc_zero(sizeof(*writer));
    writer->rocks = rocks;
    moot_batch_init(&writer->batch);
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->given, NULL);
    pthread_cond_init(&writer->done, NULL);
    int failed = pthread_create(&writer->thread, NULL, writer_main, writer);
    MOOT_ASSERT(failed == 0);
    return writer;
}

void store_writer__stop(struct store_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    writer->stopping = true;
    pthread_cond_signal(&writer->given);
    pthread_mutex_unlock(&writer->lock);
    pthread_join(writer->thread, NULL);
    MOOT_ASSERT(!atomic_load_explicit(&writer->busy, memory_order_relaxed));
    pthread_mutex_destroy(&writer->lock);
    pthread_cond_destroy(&writer->given);
    pthread_cond_destroy(&writer->done);
    moot_batch_deinit(&writer->batch);
    moot_free(writer->slots);
    moot_free(writer);
}

int store_writer__wait(struct store_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    while (atomic_load_explicit(&writer->busy, memory_order_relaxed)) {
        pthread_cond_wait(&writer->done, &writer->lock);
    }
    int status = store_writer__status(writer);
    pthread_mutex_unlock(&writer->lock);
    return status;
}

void store_writer__pin(struct store_writer *writer, struct moot_store_pin *pin)
{
    pthread_mutex_lock(&writer->lock);
    *pin = (struct moot_store_pin){.next = writer->pins};
    writer->pins = pin;
    if (!atomic_load_explicit(&writer->busy, memory_order_relaxed)) {
        make_pins(writer);
    }
    pthread_mutex_unlock(&writer->lock);
}

int store_writer__pinned(struct store_writer *writer, const struct moot_store_pin *pin)
{
    pthread_mutex_lock(&writer->lock);
    while (pin->snapshot == NULL) {
        pthread_cond_wait(&writer->done, &writer->lock);
    }
    int status = store_writer__status(writer);
    pthread_mutex_unlock(&writer->lock);
    return status;
}

int store_writer__give(struct store_writer *writer, const struct moot_batch *batch)
{
    int status = store_writer__wait(writer);
    if (status != MOOT_OK) {
        return status;
    }
    moot_buffer_reset(&writer->batch.bytes, KEEP_BYTES);
    moot_buffer_append_slice(&writer->batch.bytes, moot_buffer_slice(&batch->bytes));
    writer->batch.count = batch->count;
    writer->is_indexed = false;
    pthread_mutex_lock(&writer->lock);
    atomic_store_explicit(&writer->busy, true, memory_order_relaxed);
    pthread_mutex_unlock(&writer->lock);
    pthread_cond_signal(&writer->given);
    return MOOT_OK;
}

/* ---- looking into the batch under way ---- */

static uint32_t tag_of(uint64_t hash) { return (uint32_t)(hash >> 32); }

static void index_batch(struct store_writer *writer)
{
    uint32_t count = 1024;
    while (count < writer->batch.count * 2) {
        count *= 2;
    }
    if (writer->slot_mask + 1 != count) {
        moot_free(writer->slots);
        writer->slots = moot_alloc(sizeof(*writer->slots) * count);
        writer->slot_mask = count - 1;
    }
    memset(writer->slots, 0, sizeof(*writer->slots) * count);
    writer->has_ranges = false;
    struct moot_reader reader = moot_reader_make(moot_buffer_slice(&writer->batch.bytes));
    size_t whole = moot_reader_left(&reader);
    MOOT_ASSERT(whole < UINT32_MAX);
    enum moot_batch_op op;
    struct moot_slice key, value;
    for (uint32_t at = 0; moot_batch_next(&reader, &op, &key, &value);
         at = (uint32_t)(whole - moot_reader_left(&reader))) {
        writer->has_ranges |= op == MOOT_BATCH_DELETE_RANGE;
        uint64_t hash = moot_hash64(key, 0);
        uint32_t slot = (uint32_t)hash & writer->slot_mask;
        while (writer->slots[slot].place != 0) {
            slot = (slot + 1) & writer->slot_mask;
        }
        writer->slots[slot] = (struct slot){tag_of(hash), at + 1};
    }
    writer->is_indexed = true;
}

bool store_writer__find(struct store_writer *writer, struct moot_slice key, bool *present,
                        struct moot_slice *value)
{
    if (!atomic_load_explicit(&writer->busy, memory_order_acquire)) {
        return false;
    }
    if (!writer->is_indexed) {
        index_batch(writer);
    }
    if (writer->has_ranges) {
        int status = store_writer__wait(writer);
        (void)status; /* The caller asks for it. */
        return false;
    }
    /* A key that is there twice: its later operation stands behind the earlier one. */
    uint64_t hash = moot_hash64(key, 0);
    bool found = false;
    for (uint32_t slot = (uint32_t)hash & writer->slot_mask; writer->slots[slot].place != 0;
         slot = (slot + 1) & writer->slot_mask) {
        if (writer->slots[slot].tag != tag_of(hash)) {
            continue;
        }
        struct moot_slice bytes = moot_buffer_slice(&writer->batch.bytes);
        size_t at = writer->slots[slot].place - 1;
        struct moot_reader reader =
            moot_reader_make((struct moot_slice){bytes.data + at, bytes.size - at});
        enum moot_batch_op op;
        struct moot_slice other, its_value;
        bool is_op = moot_batch_next(&reader, &op, &other, &its_value);
        MOOT_ASSERT(is_op);
        if (moot_slice_equal(key, other)) {
            found = true;
            *present = op == MOOT_BATCH_PUT;
            *value = its_value;
        }
    }
    return found;
}

/* ---- order ---- */

/* An operation, and the first bytes of its key: most comparisons need no more. */
struct op {
    uint64_t head;
    enum moot_batch_op kind;
    uint32_t at;
    struct moot_slice key, value;
};

static uint64_t head_of(struct moot_slice key)
{
    uint8_t head[8] = {0};
    memcpy(head, key.data, moot_min_u64(key.size, sizeof(head)));
    return (uint64_t)moot_load_be32(head) << 32 | moot_load_be32(head + 4);
}

static int by_key(const void *a, const void *b)
{
    const struct op *x = *(const struct op *const *)a, *y = *(const struct op *const *)b;
    if (x->head != y->head) {
        return x->head < y->head ? -1 : 1;
    }
    int order = moot_slice_compare(x->key, y->key);
    return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

/* A skip list takes neighbours faster: they share most of the way to their place. */
void store_writer__put_sorted(rocksdb_writebatch_t *out, const struct moot_batch *batch)
{
    struct op *ops = moot_alloc(sizeof(*ops) * batch->count);
    struct op **order = moot_alloc(sizeof(struct op *) * batch->count);
    struct moot_reader reader = moot_reader_make(moot_buffer_slice(&batch->bytes));
    uint32_t count = 0;
    struct op *op = ops;
    while (count < batch->count && moot_batch_next(&reader, &op->kind, &op->key, &op->value)) {
        MOOT_ASSERT(op->kind != MOOT_BATCH_DELETE_RANGE);
        op->head = head_of(op->key);
        op->at = count;
        order[count++] = op++;
    }
    MOOT_ASSERT(!reader.failed && count == batch->count); /* Batches are ours. */
    qsort(order, count, sizeof(struct op *), by_key);
    for (uint32_t i = 0; i < count; i++) {
        op = order[i];
        if (op->kind == MOOT_BATCH_PUT) {
            rocksdb_writebatch_put(out, (const char *)op->key.data, op->key.size,
                                   (const char *)op->value.data, op->value.size);
        } else {
            rocksdb_writebatch_delete(out, (const char *)op->key.data, op->key.size);
        }
    }
    moot_free(order);
    moot_free(ops);
}
