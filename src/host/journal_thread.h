/* The journal's thread: writes laid-out batches, in order, and says which are durable.
 *
 * The loop hands over a batch and goes on; a thread that is asleep is woken at once, and a thread
 * that is writing finds all that came meanwhile: neighbours in one segment are then written as one
 * (group commit). That is safe because a write torn anywhere looks like batches torn one by one:
 * the chain in their headers decides what stands.
 *
 * The queue is bounded: when it is full the loop waits for the disk, which is what a node with a
 * hung disk should do. Its heartbeats stop, and others take over. */
#ifndef MOOT_HOST_JOURNAL_THREAD_H
#define MOOT_HOST_JOURNAL_THREAD_H

#include <uv.h>

#include "storage/journal.h"

struct journal_thread; /* opaque */

/* `async` is signalled whenever batches have become durable. Disk and async outlive the thread. */
struct journal_thread *journal_thread__start(struct moot_disk *disk, uint64_t segment_bytes,
                                             uv_async_t *async);
/* Writes what is queued, then ends. */
void journal_thread__stop(struct journal_thread *journal);

/* Queues a batch. Its bytes must stay until journal_thread__durable has named it. False: the queue
 * is full; this call has waited until a batch is durable: name it and try again. */
bool journal_thread__write(struct journal_thread *journal, const struct moot_journal_write *where,
                           struct moot_slice bytes) MOOT_MUST_USE;
/* The next batch that has become durable, in order; false when there is none. */
bool journal_thread__durable(struct journal_thread *journal, moot_ticket *batch);
/* The oldest batch that was queued and not yet named durable; 0: none. What depends on it or on a
 * later one must not leave. */
moot_ticket journal_thread__oldest_pending(const struct journal_thread *journal);

#endif
