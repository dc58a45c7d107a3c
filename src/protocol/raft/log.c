/* Terms and sizes of the entries in memory.
 *
 * Terms never fall along a log, and a term lasts for thousands of entries, so they are kept as runs
 * in a ring; sizes lie in a ring addressed by index. Both rings lie behind struct moot_raft and are
 * found by arithmetic, so that the whole core can be copied as plain memory.
 * Invariant: runs cover (snapshot_index, last] without gaps, terms rising. */
#include "base/assert.h"
#include "protocol/raft/raft.h"

static size_t aligned(size_t size) { return (size + 15) & ~(size_t)15; }

size_t moot_raft_size(const struct moot_raft_options *options)
{
    MOOT_ASSERT(options->log_entries_max > 0);
    return aligned(sizeof(struct moot_raft)) +
           aligned(options->log_entries_max * sizeof(struct raft_run)) +
           aligned(options->log_entries_max * sizeof(uint32_t));
}

struct raft_run *raft__log_runs(const struct moot_raft *raft)
{
    return (struct raft_run *)((uintptr_t)raft + aligned(sizeof(struct moot_raft)));
}

uint32_t *raft__log_sizes(const struct moot_raft *raft)
{
    return (uint32_t *)((uintptr_t)raft__log_runs(raft) +
                        aligned(raft->options.log_entries_max * sizeof(struct raft_run)));
}

/* The run number `at`, oldest is 0. */
static struct raft_run *run_at(const struct moot_raft *raft, uint32_t at)
{
    MOOT_ASSERT(at < raft->run_count);
    uint64_t slot = (uint64_t)raft->run_first + at, max = raft->options.log_entries_max;
    return raft__log_runs(raft) + (slot < max ? slot : slot - max); /* A division costs more. */
}

/* Number of the run that holds `index`. */
static uint32_t run_of(const struct moot_raft *raft, moot_index index)
{
    MOOT_ASSERT(index > raft->snapshot_index);
    MOOT_ASSERT(index <= raft->last);
    uint32_t high = raft->run_count - 1;
    if (run_at(raft, high)->first <= index) {
        return high; /* Nearly always: the newest term. */
    }
    uint32_t low = 0; /* run low starts at or before index, run high after it. */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (run_at(raft, middle)->first <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

bool raft__log_term(const struct moot_raft *raft, moot_index index, moot_term *term)
{
    if (index < raft->snapshot_index || index > raft->last) {
        return false;
    }
    *term = index == raft->snapshot_index ? raft->snapshot_term
                                          : run_at(raft, run_of(raft, index))->term;
    return true;
}

moot_term raft__log_last_term(const struct moot_raft *raft)
{
    return raft->run_count == 0 ? raft->snapshot_term : run_at(raft, raft->run_count - 1)->term;
}

uint32_t raft__log_size(const struct moot_raft *raft, moot_index index)
{
    MOOT_ASSERT(index > raft->snapshot_index);
    MOOT_ASSERT(index <= raft->last);
    return raft__log_sizes(raft)[index % raft->options.log_entries_max];
}

uint64_t raft__log_room(const struct moot_raft *raft)
{
    MOOT_ASSERT(raft->last - raft->snapshot_index <= raft->options.log_entries_max);
    return raft->options.log_entries_max - (raft->last - raft->snapshot_index);
}

void raft__log_push(struct moot_raft *raft, moot_term term, uint32_t size)
{
    MOOT_ASSERT(raft__log_room(raft) > 0);
    MOOT_ASSERT(term >= raft__log_last_term(raft));
    raft->last++;
    if (raft->run_count == 0 || raft__log_last_term(raft) != term) {
        raft->run_count++;
        *run_at(raft, raft->run_count - 1) = (struct raft_run){raft->last, term};
    }
    raft__log_sizes(raft)[raft->last % raft->options.log_entries_max] = size;
}

void raft__log_truncate(struct moot_raft *raft, moot_index from)
{
    MOOT_ASSERT(from > raft->snapshot_index);
    MOOT_ASSERT(from <= raft->last);
    raft->last = from - 1;
    raft->durable = moot_min_u64(raft->durable, raft->last);
    raft->refilled = from <= raft->refilled ? 0 : raft->refilled;
    while (raft->run_count > 0 && run_at(raft, raft->run_count - 1)->first >= from) {
        raft->run_count--;
    }
}

void raft__log_compact(struct moot_raft *raft, moot_index index)
{
    moot_term term = 0;
    bool reached = raft__log_term(raft, index, &term);
    MOOT_ASSERT(reached);
    if (index == raft->last) {
        raft->run_count = 0;
    } else {
        while (run_of(raft, index + 1) > 0) {
            raft->run_first = (raft->run_first + 1) % raft->options.log_entries_max;
            raft->run_count--;
        }
        run_at(raft, 0)->first = index + 1;
    }
    raft->snapshot_index = index;
    raft->snapshot_term = term;
    raft->durable = moot_max_u64(raft->durable, index);
}

void raft__log_reset(struct moot_raft *raft, moot_index index, moot_term term)
{
    raft->snapshot_index = index;
    raft->snapshot_term = term;
    raft->last = index;
    raft->durable = index;
    raft->refilled = 0;
    raft->run_first = 0;
    raft->run_count = 0;
}

moot_index raft__log_find(const struct moot_raft *raft, moot_index index, moot_term term)
{
    index = moot_min_u64(index, raft->last);
    if (index <= raft->snapshot_index || raft->run_count == 0) {
        return raft->snapshot_index;
    }
    uint32_t run = run_of(raft, index);
    if (run_at(raft, run)->term <= term) {
        return index;
    }
    while (run > 0) {
        if (run_at(raft, run - 1)->term <= term) {
            return run_at(raft, run)->first - 1;
        }
        run--;
    }
    return raft->snapshot_index;
}

bool raft__log_is_up_to_date(const struct moot_raft *raft, moot_index index, moot_term term)
{
    moot_term own_term = raft__log_last_term(raft);
    return term > own_term || (term == own_term && index >= raft->last);
}
