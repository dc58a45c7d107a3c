/* The journal's thread: writes laid-out batches, in order, and says which are durable.
 *
 * The loop hands over a batch and goes on; a thread that is asleep is woken at the end of the turn,
 * and a thread that is writing finds all that came meanwhile: neighbours in one segment are then
 * written as one (group commit). That is safe because a write torn anywhere looks like batches torn
 * one by one: the chain in their headers decides what stands.
 *
 * To wake a thread and to be woken by it costs as much as a small write of a quick disk. A follower
 * that can only acknowledge when its batch is durable therefore writes it on the loop itself. Not
 * so a leader, whose heartbeats must not wait for a disk, and not on a disk that has been slow:
 * that holds a loop once, and then is the thread's until it has been quick for a while. Beginning
 * writes without waiting (io_submit) was tried: it needs a kernel worker for each durable write,
 * which runs late on busy cores, and a third of the throughput was lost.
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

/* Queues a batch, for journal_thread__go. Its bytes must stay until journal_thread__durable has
 * named it. False: the queue is full; this call has waited until a batch is durable: name it and
 * try again. */
bool journal_thread__write(struct journal_thread *journal, const struct moot_journal_write *where,
                           struct moot_slice bytes) MOOT_MUST_USE;
/* Once a turn, after its sends: what is queued gets written, by the thread or, when the loop may
 * wait and that is quicker, by this call. True: by this call, and there are batches to name. */
bool journal_thread__go(struct journal_thread *journal, bool may_wait) MOOT_MUST_USE;
/* The next batch that has become durable, in order; false when there is none. */
bool journal_thread__durable(struct journal_thread *journal, moot_ticket *batch);
/* The oldest batch that was queued and not yet named durable; 0: none. What depends on it or on a
 * later one must not leave. */
moot_ticket journal_thread__oldest_pending(const struct journal_thread *journal);

#endif
