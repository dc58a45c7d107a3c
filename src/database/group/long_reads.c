/* The group's half of long reads: see long_read.h.
 *
 * What a long read sees is the state at its place, which is a state that this leader was confirmed
 * for: so its answer is right whenever it comes, also when another one leads by then. Until its
 * store is pinned no further entry is applied; that is at the end of the same turn.
 *
 * The edge is told with the batch's other replies that some come later (an answer with the status
 * MOOT_EAGAIN), and with the last of them no more than that. If an answer or the leader is lost it
 * sends the batch again, as any other; a leader that is still at it does not begin anew. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"
#include "database/group/entry.h"
#include "database/group/group.h"

static struct moot_long_job *job_of(struct moot_group *group, const struct moot_placed_read *read)
{
    for (uint32_t i = 0; i < group->long_reads.count; i++) {
        struct moot_long_job *job = &group->long_reads.jobs[i];
        if (job->read.edge == read->edge && job->read.incarnation == read->incarnation &&
            job->read.number == read->number) {
            return job;
        }
    }
    return NULL;
}

void group__long_reads_admit(struct moot_group *group, const struct moot_placed_read *read,
                             uint64_t seed, struct moot_engine_aside *aside)
{
    const struct moot_long_job *job = job_of(group, read);
    uint64_t one_in = group->context->long_read_one_in;
    MOOT_ASSERT(group->long_reads.commands <= MOOT_LONG_READS_MAX);
    aside->all = one_in != 0 && seed % one_in == 0;
    aside->room = job != NULL ? job->aside.count : MOOT_LONG_READS_MAX - group->long_reads.commands;
    aside->count = 0;
}

void group__long_reads_begin(struct moot_group *group, const struct moot_placed_read *read,
                             const struct moot_engine_run *run)
{
    struct moot_long_reads *long_reads = &group->long_reads;
    if (job_of(group, read) != NULL) {
        MOOT_SOMETIMES(true, "a long read came again while it was under way");
        return;
    }
    MOOT_SOMETIMES(true, "a read went on beside turns");
    MOOT_ASSERT(run->aside->count > 0);
    MOOT_ASSERT(long_reads->count < MOOT_LONG_READS_MAX);
    struct moot_long_job *job = &long_reads->jobs[long_reads->count++];
    *job = (struct moot_long_job){.read = *read,
                                  .stamp = run->stamp.time,
                                  .now_ms = run->now_ms,
                                  .seed = run->seed,
                                  .aside = *run->aside};
    job->read.place = group->applied;
    job->read.owner = moot_block_retain(read->owner);
    long_reads->commands += job->aside.count;
    long_reads->begun += job->aside.count;
    long_reads->waits = true;
}

static void hand_out(struct moot_group *group, struct moot_long_job *job, moot_ticket pin)
{
    MOOT_ASSERT(job->read.place == group->applied);
    struct moot_effect *effect = moot_outbox_effect(group->context->outbox, MOOT_EFFECT_LONG_READ);
    effect->ticket = job->ticket = ++group->context->next_ticket;
    effect->long_read = (struct moot_long_read){
        .pin = pin,
        .group = group->id,
        .now_ms = job->now_ms,
        .seed = job->seed,
        .replies_max = job->read.edge == group->context->self ? MOOT_REPLIES_HERE_BYTES_MAX
                                                              : MOOT_REPLIES_BYTES_MAX,
        .batch = job->read.items,
        .items = job->aside.items,
        .item_count = job->aside.count,
        .rest = job->aside.rest};
}

void group__long_reads_pin(struct moot_group *group)
{
    struct moot_long_reads *long_reads = &group->long_reads;
    if (!long_reads->waits) {
        return;
    }
    long_reads->waits = false;
    moot_ticket pin = ++group->context->next_ticket;
    moot_outbox_effect(group->context->outbox, MOOT_EFFECT_PIN)->ticket = pin;
    for (uint32_t i = 0; i < long_reads->count; i++) {
        if (long_reads->jobs[i].ticket == 0) {
            hand_out(group, &long_reads->jobs[i], pin);
        }
    }
    moot_outbox_effect(group->context->outbox, MOOT_EFFECT_UNPIN)->ticket = pin;
}

/* Its edge sends the batch again, to whoever leads. */
static void give_back(struct moot_group *group, const struct moot_long_job *job)
{
    group__nack(group, job->read.edge, job->read.incarnation, UINT64_MAX, MOOT_ENOTLEADER);
}

/* A read met a key past its expiry: as within a turn, its expiry becomes an entry, and the read
 * gets its place behind that. */
static void expire_first(struct moot_group *group, const struct moot_long_job *job,
                         struct moot_slice body)
{
    moot_index index;
    struct moot_block *block = group__entry_block(group, MOOT_ENTRY_EXPIRE, body);
    if (group__append(group, block, &index) != 0) {
        give_back(group, job);
        return;
    }
    MOOT_SOMETIMES(true, "a long read waited for the expiry of a key");
    struct moot_placed_read read = job->read;
    read.owner = moot_block_retain(read.owner);
    read.place = index;
    read.round = MOOT_ROUND_NOT_ASKED;
    group__place_read(group, &read);
}

static void answer(struct moot_group *group, const struct moot_long_job *job,
                   struct moot_slice replies)
{
    struct moot_block *block = moot_block_copy(replies);
    MOOT_SOMETIMES(!group__leads(group), "a long read was answered after its leader's office");
    group__answer(group, job->read.edge, MOOT_SUBMIT_READS, job->read.incarnation, job->read.number,
                  MOOT_EAGAIN, job->stamp, block);
    moot_block_release(block);
}

static void finish(struct moot_group *group, const struct moot_long_job *job,
                   const struct moot_input *input)
{
    if (group->fenced) {
        give_back(group, job); /* What it read is in doubt. */
    } else if (input->status == 0) {
        MOOT_ASSERT(input->amount == job->read.place); /* The pin was of that moment. */
        answer(group, job, input->bytes);
    } else if (input->status == MOOT_EDUE && group__leads(group)) {
        expire_first(group, job, input->bytes);
    } else if (input->status == MOOT_EDUE) {
        give_back(group, job);
    } else {
        give_back(group, job);
        if (input->status == MOOT_ECORRUPT) {
            group__rot(group, "the store failed its checksum during a long read");
        } else {
            group__fence(group, moot_status_text(input->status));
        }
    }
}

void moot_group_long_read_done(struct moot_group *group, const struct moot_input *input)
{
    struct moot_long_reads *long_reads = &group->long_reads;
    for (uint32_t i = 0; i < long_reads->count; i++) {
        if (long_reads->jobs[i].ticket != input->ticket) {
            continue;
        }
        struct moot_long_job job = long_reads->jobs[i];
        MOOT_ASSERT(long_reads->commands >= job.aside.count);
        long_reads->commands -= job.aside.count;
        long_reads->count--;
        memmove(&long_reads->jobs[i], &long_reads->jobs[i + 1],
                sizeof(job) * (long_reads->count - i));
        finish(group, &job, input);
        moot_block_release(job.read.owner);
        return;
    }
}

void group__long_reads_drop(struct moot_group *group)
{
    for (uint32_t i = 0; i < group->long_reads.count; i++) {
        moot_block_release(group->long_reads.jobs[i].read.owner);
    }
    group->long_reads.count = group->long_reads.commands = 0;
}
