#include "host/journal_thread.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/status.h"
#include "host/say.h"

enum { MEAN_OF = 8 }; /* Writes. */

struct request {
    struct moot_journal_write where;
    struct moot_slice bytes;
};

/* A ring. Positions only grow; position p is requests[p % QUEUE].
 * Invariant: named <= written <= queued <= named + MOOT_JOURNAL_QUEUE. */
struct journal_thread {
    struct moot_disk *disk;
    uint64_t segment_bytes;
    uv_async_t *async;
    pthread_t thread;
    uint8_t *aligned; /* What goes to the disk: of whoever writes. */
    size_t aligned_size;

    pthread_mutex_t lock; /* Guards all below. */
    pthread_cond_t some_queued, some_written;
    struct request requests[MOOT_JOURNAL_QUEUE];
    uint64_t queued, written;
    uint64_t mean_ns; /* Of a write, the last ones weighing most. */
    uint64_t quick;   /* Writes since the last one that was much too slow. */
    bool writing;     /* Somebody is. */
    bool stopping;
    bool given_up; /* It was to stop while it waited for space. */

    uint64_t named; /* The loop's own. */
};

static struct request *request_at(struct journal_thread *journal, uint64_t position)
{
    return &journal->requests[position % MOOT_JOURNAL_QUEUE];
}

/* How many requests from `first` go to the disk as one write: those that continue it in its
 * segment.
 */
static uint64_t run_length(struct journal_thread *journal, uint64_t first, uint64_t end,
                           size_t *size)
{
    const struct request *head = request_at(journal, first);
    uint64_t count = 1;
    *size = head->bytes.size;
    while (first + count < end) {
        const struct request *next = request_at(journal, first + count);
        bool continues = !next->where.creates_segment && next->where.recycles[0] == '\0' &&
                         strcmp(next->where.segment, head->where.segment) == 0 &&
                         next->where.offset == head->where.offset + *size;
        if (!continues || *size + next->bytes.size > MOOT_JOURNAL_RUN_BYTES) {
            break;
        }
        *size += next->bytes.size;
        count++;
    }
    return count;
}

static bool is_stopping(struct journal_thread *journal)
{
    pthread_mutex_lock(&journal->lock);
    bool stopping = journal->stopping;
    pthread_mutex_unlock(&journal->lock);
    return stopping;
}

/* There is no room for a further segment, and nothing was written: that can be tried again. To
 * everybody else the disk hangs meanwhile. False: nobody waits for it any more. */
static bool wait_for_space(struct journal_thread *journal, const struct moot_journal_write *where,
                           bool *told)
{
    if (!*told) {
        *told = true;
        host__say(MOOT_LOG_ERROR,
                  "journal: the disk is full: no room for a further segment (%s). "
                  "Nothing is acknowledged until there is; free some space.",
                  where->segment);
    }
    nanosleep(&(struct timespec){.tv_nsec = MOOT_JOURNAL_SPACE_MS * 1000 * 1000}, NULL);
    return !is_stopping(journal);
}

/* False: it was given up, and nothing was written. */
static bool write_run(struct journal_thread *journal, uint64_t first, uint64_t count, size_t size)
{
    if (journal->aligned_size < size) {
        free(journal->aligned);
        journal->aligned_size = size * 2;
        journal->aligned = aligned_alloc(MOOT_JOURNAL_ALIGN, journal->aligned_size);
        MOOT_ASSERT(journal->aligned != NULL);
    }
    size_t filled = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct moot_slice bytes = request_at(journal, first + i)->bytes;
        memcpy(journal->aligned + filled, bytes.data, bytes.size);
        filled += bytes.size;
    }
    MOOT_ASSERT(filled == size);
    const struct moot_journal_write *where = &request_at(journal, first)->where;
    bool told = false, makes = where->creates_segment && where->recycles[0] == '\0';
    int status;
    while ((status = moot_journal_write_now(journal->disk, journal->segment_bytes, where,
                                            journal->aligned, size)) == MOOT_ENOSPACE &&
           makes) {
        if (!wait_for_space(journal, where, &told)) {
            return false;
        }
    }
    if (told) {
        host__say(MOOT_LOG_WARN, "journal: the disk has room again");
    }
    if (status != MOOT_OK) {
        host__die("journal: writing batch %llu to %s failed: %s. This node stops, because nobody "
                  "knows what its disk holds now; check the disk and start it again.",
                  (unsigned long long)where->batch, where->segment, moot_status_text(status));
    }
    return true;
}

/* Holding the lock, but not while it writes: requests stay where they are until they are named. */
static void write_unlocked(struct journal_thread *journal, uint64_t first, uint64_t count,
                           size_t size)
{
    MOOT_ASSERT(!journal->writing);
    journal->writing = true;
    pthread_mutex_unlock(&journal->lock);
    uint64_t before_ns = uv_hrtime();
    bool written = write_run(journal, first, count, size);
    uint64_t took_ns = uv_hrtime() - before_ns;
    pthread_mutex_lock(&journal->lock);
    journal->writing = false;
    journal->given_up = !written;
    journal->written += written ? count : 0;
    journal->mean_ns = journal->mean_ns - journal->mean_ns / MEAN_OF + took_ns / MEAN_OF;
    journal->quick = took_ns > MOOT_JOURNAL_HERE_NEVER_MS * MOOT_MSEC_NS ? 0 : journal->quick + 1;
}

static void *journal_main(void *argument)
{
    struct journal_thread *journal = argument;
    pthread_setname_np(pthread_self(), "moot-journal");
    pthread_mutex_lock(&journal->lock);
    for (;;) {
        while ((journal->queued == journal->written && !journal->stopping) || journal->writing) {
            pthread_cond_wait(&journal->some_queued, &journal->lock);
        }
        if (journal->queued == journal->written || journal->given_up) {
            break;
        }
        uint64_t first = journal->written;
        size_t size;
        uint64_t count = run_length(journal, first, journal->queued, &size);
        write_unlocked(journal, first, count, size);
        pthread_mutex_unlock(&journal->lock);
        /* Without the lock, so that who is woken does not run into it. */
        pthread_cond_signal(&journal->some_written);
        uv_async_send(journal->async);
        pthread_mutex_lock(&journal->lock);
    }
    pthread_mutex_unlock(&journal->lock);
    return NULL;
}

struct journal_thread *journal_thread__start(struct moot_disk *disk, uint64_t segment_bytes,
                                             uv_async_t *async)
{
    struct journal_thread *journal = moot_alloc_zero(sizeof(*journal));
    journal->disk = disk;
    journal->segment_bytes = segment_bytes;
    journal->async = async;
    pthread_mutex_init(&journal->lock, NULL);
    pthread_cond_init(&journal->some_queued, NULL);
    pthread_cond_init(&journal->some_written, NULL);
    int failed = pthread_create(&journal->thread, NULL, journal_main, journal);
    MOOT_ASSERT(failed == 0);
    return journal;
}

void journal_thread__stop(struct journal_thread *journal)
{
    pthread_mutex_lock(&journal->lock);
    journal->stopping = true;
    pthread_cond_signal(&journal->some_queued);
    pthread_mutex_unlock(&journal->lock);
    pthread_join(journal->thread, NULL);
    MOOT_ASSERT(journal->written == journal->queued || journal->given_up);
    pthread_mutex_destroy(&journal->lock);
    pthread_cond_destroy(&journal->some_queued);
    pthread_cond_destroy(&journal->some_written);
    free(journal->aligned);
    moot_free(journal);
}

bool journal_thread__write(struct journal_thread *journal, const struct moot_journal_write *where,
                           struct moot_slice bytes)
{
    MOOT_ASSERT(bytes.size > 0);
    MOOT_ASSERT(bytes.size % MOOT_JOURNAL_ALIGN == 0);
    pthread_mutex_lock(&journal->lock);
    MOOT_ASSERT(!journal->stopping);
    bool room = journal->queued - journal->named < MOOT_JOURNAL_QUEUE;
    if (room) {
        *request_at(journal, journal->queued) = (struct request){*where, bytes};
        journal->queued++;
    }
    while (!room && journal->written == journal->named) {
        pthread_cond_signal(&journal->some_queued);
        pthread_cond_wait(&journal->some_written, &journal->lock);
    }
    pthread_mutex_unlock(&journal->lock);
    return room;
}

/* Nothing is being written or waits to be named, and it is one small write to a quick disk. New
 * segments are slow: the thread's. */
static bool should_write_here(struct journal_thread *journal, size_t *size)
{
    uint64_t first = journal->written;
    const struct moot_journal_write *where = &request_at(journal, first)->where;
    return !journal->writing && journal->named == first && !where->creates_segment &&
           journal->quick >= MOOT_JOURNAL_HERE_AFTER &&
           journal->mean_ns <= MOOT_JOURNAL_HERE_US * UINT64_C(1000) &&
           run_length(journal, first, journal->queued, size) == journal->queued - first &&
           *size <= MOOT_JOURNAL_HERE_BYTES;
}

bool journal_thread__go(struct journal_thread *journal, bool may_wait)
{
    pthread_mutex_lock(&journal->lock);
    bool some = journal->written < journal->queued;
    size_t size;
    bool here = some && may_wait && should_write_here(journal, &size);
    if (here) {
        write_unlocked(journal, journal->written, journal->queued - journal->written, size);
    }
    bool wake = some && !here && !journal->writing;
    pthread_mutex_unlock(&journal->lock);
    if (wake) {
        pthread_cond_signal(&journal->some_queued);
    }
    return here;
}

bool journal_thread__durable(struct journal_thread *journal, moot_ticket *batch)
{
    pthread_mutex_lock(&journal->lock);
    bool some = journal->named < journal->written;
    if (some) {
        *batch = request_at(journal, journal->named)->where.batch;
        journal->named++;
    }
    pthread_mutex_unlock(&journal->lock);
    return some;
}

moot_ticket journal_thread__oldest_pending(const struct journal_thread *journal)
{
    /* `named` and `queued` are written by this thread only. */
    return journal->named == journal->queued
               ? 0
               : journal->requests[journal->named % MOOT_JOURNAL_QUEUE].where.batch;
}
