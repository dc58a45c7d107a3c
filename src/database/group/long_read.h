/* A driver's half of long reads: commands of a batch of reads, run on a pin of the store.
 *
 * A read that touches more elements than one may within a turn (MOOT_READ_ELEMENTS_MAX) is set
 * aside at its place in the log, and so are all reads of a batch behind those that have touched
 * many times that. At the end of that turn the group hands over what it has executed to the store,
 * so that the store is exactly at that place, pins it, and gives the command out as a LONG_READ
 * effect (long_reads.c). The driver runs it with moot_long_read_run, on any thread, for as long as
 * it takes, and gives back what that said as a LONG_READ input. Meanwhile the group executes
 * entries, serves reads, and takes part in elections.
 *
 * The commands are the same code as within turns: an engine on a store that is a pin
 * (storage/store_pinned.h). Only the budget differs (MOOT_LONG_READ_ELEMENTS_MAX); replies are
 * bounded as those of any batch. */
#ifndef MOOT_DATABASE_GROUP_LONG_READ_H
#define MOOT_DATABASE_GROUP_LONG_READ_H

#include "base/buffer.h"
#include "database/turn.h"

/* A copy whose bytes are the arena's: the effect's are gone after the turn. */
struct moot_long_read moot_long_read_copy(const struct moot_long_read *read,
                                          struct moot_arena *arena);

/* Appends to `out` the replies of the whole batch, empty where a command was not asked for; *index:
 * the applied index that the pin contains. MOOT_EDUE: a key is past its expiry, and `out` says
 * which, as the body of an EXPIRE entry. MOOT_ECORRUPT, MOOT_EVERSION, MOOT_EIO: of the store.
 * `is_over` (NULL: never) may ask it to end early, with MOOT_EIO. */
int moot_long_read_run(struct moot_store *store, struct moot_store_pin *pin,
                       const struct moot_long_read *read, bool (*is_over)(void *over), void *over,
                       moot_index *index, struct moot_buffer *out) MOOT_MUST_USE;

#endif
