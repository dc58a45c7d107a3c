/* The batches on a machine's disk, for those who damage them. */
#ifndef MOOT_SIM_ATLAS_H
#define MOOT_SIM_ATLAS_H

#include "sim/world.h"
#include "storage/journal_format.h"

enum { SIM_BATCHES_MAX = 4096 };

/* One whose header stands. */
struct sim_batch {
    char name[JOURNAL_NAME_BYTES];
    uint64_t offset, length, number, durable, epoch, epoch_start, first, head;
    bool identity;
    uint32_t span_count;
    struct journal_span spans[MOOT_GROUPS_MAX];
};
struct sim_batches {
    struct sim_batch *items; /* moot_free */
    size_t count;            /* SIM_BATCHES_MAX: and perhaps more. */
    struct moot_disk_sim *disk;
    uint64_t end_offset; /* Behind the last batch of the last file. */
    char end_name[JOURNAL_NAME_BYTES];
    uint64_t end_size;
};

struct sim_batches sim__batches(const struct sim_machine *machine);
/* The batch of the latest life that names the most as durable: it must be spared. NULL: none. */
const struct sim_batch *sim__witness_of(const struct sim_batches *all);
/* Any of the first quarter, or of the last. */
const struct sim_batch *sim__choose_batch(struct sim_world *world, const struct sim_batches *all,
                                          bool old);
/* A bit of it flips, or sectors of it; `body`: not its header. */
void sim__rot_batch(struct sim_world *world, struct sim_machine *machine,
                    const struct sim_batch *batch, bool body);

#endif
