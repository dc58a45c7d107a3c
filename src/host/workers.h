/* Threads for the store's slow work, each with a queue, done in order.
 *
 * Four, so that nothing waits for what it does not need: one fetches what a command misses (a
 * client is waiting), one flushes and installs snapshots (seconds; and a store must not be flushed
 * while it ingests), one reads pinned snapshots for others (rate-limited by who asks), one runs
 * reads that take too long for a turn.
 *
 * Jobs copy what they need; answers become inputs, valid until the end of the turn that gets them.
 */
#ifndef MOOT_HOST_WORKERS_H
#define MOOT_HOST_WORKERS_H

#include <uv.h>

#include "database/turn.h"

struct workers; /* opaque */

/* `async` is signalled whenever a job is done. */
struct workers *workers__start(struct moot_store *store, uv_async_t *async);
/* Lets the jobs under way finish (long reads: soon), drops the others, forgets all pins. */
void workers__stop(struct workers *workers);

/* Takes FLUSH, FETCH, PIN, UNPIN, PIN_READ, INGEST and LONG_READ effects. */
void workers__effect(struct workers *workers, const struct moot_effect *effect);
/* The answer of a job that is done, as an input; false when there is none. */
bool workers__answer(struct workers *workers, struct moot_input *input);
/* The turn that got the answers is over: their bytes may go. */
void workers__forget_answers(struct workers *workers);
/* Waits until no ingest is being committed: the store must not be written beside it. */
void workers__wait_for_commit(struct workers *workers);

#endif
