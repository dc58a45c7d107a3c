/* Start: the journal is read back, the groups come back as followers, and a new incarnation is made
 * durable before anything leaves. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"
#include "database/node_internal.h"

struct restore {
    struct moot_group_restore groups[MOOT_GROUPS_MAX];
    struct moot_identity identity;
    uint64_t incarnation;
    const struct moot_journal_report *report; /* Whole before the first record is read. */
    bool has_identity;
    int status;
};

/* ---- reading the journal back ---- */

static void say(char why[256], const char *text)
{
    size_t size = moot_min_u64(strlen(text), 255);
    memcpy(why, text, size);
    why[size] = '\0';
}

static void drop_entries(struct moot_group_restore *group, uint64_t keep)
{
    while (group->entry_count > keep) {
        moot_block_release(group->blocks[--group->entry_count]);
    }
}

/* NULL: one that is lost. */
static void add_entry(struct moot_group_restore *group, const struct moot_record *record)
{
    uint64_t count = group->entry_count;
    if ((count & (count + 1)) == 0) { /* Grows at 0, 1, 3, 7, ...: by doubling. */
        group->entries = moot_realloc(group->entries, sizeof(*group->entries) * (count + 1) * 2);
        group->blocks = moot_realloc(group->blocks, sizeof(*group->blocks) * (count + 1) * 2);
    }
    group->blocks[count] = NULL;
    group->entries[count] = (struct moot_record){.batch = 0};
    if (record != NULL) {
        group->blocks[count] = moot_block_copy(record->bytes);
        group->entries[count] = *record;
        group->entries[count].bytes = moot_block_slice(group->blocks[count]);
    }
    group->entry_count++;
}

/* What stands behind entries that are lost is kept: it says what they were (group/holes.c). */
static void add_hole(struct moot_group_restore *group, moot_index until)
{
    MOOT_ASSERT(until - group->first <= MOOT_LOG_ENTRIES_MAX);
    while (group->first + group->entry_count < until) {
        add_entry(group, NULL);
    }
}

/* An entry voids everything at and above its index, whatever a snapshot says (PITFALLS, Raft 20).
 */
static void on_entry(struct restore *restore, struct moot_group_restore *group,
                     const struct moot_record *record)
{
    if (record->index <= group->freed) {
        group->freed = record->index - 1; /* See MOOT_RECORD_FREED. */
    }
    group->touched = moot_max_u64(group->touched, record->batch);
    group->ended = record->batch;
    bool is_rotten = restore->report->rotten_batches > 0;
    bool follows = group->entry_count > 0 && record->index >= group->first;
    if (follows && record->index <= group->first + group->entry_count) {
        drop_entries(group, record->index - group->first);
    } else if (follows && is_rotten && record->index - group->first <= MOOT_LOG_ENTRIES_MAX) {
        add_hole(group, record->index);
    } else {
        drop_entries(group, 0);
        group->first = record->index;
    }
    add_entry(group, record);
}

/* The log starts after the snapshot; what is above it stays only if the entry at its index is the
 * snapshot's. That entry may have gone with its segment: it was committed, so it was the same; or
 * it was another, that the snapshot itself freed, and then the snapshot says so. */
static void on_snapshot(struct moot_group_restore *group, const struct moot_record *record)
{
    group->freed = record->index;
    group->freed_batch = record->batch;
    group->touched = moot_max_u64(group->touched, record->batch);
    if (record->voids) {
        drop_entries(group, 0);
        group->ended = record->batch;
        return;
    }
    if (group->entry_count == 0 || record->index < group->first) {
        return;
    }
    uint64_t at = record->index - group->first;
    bool same = at < group->entry_count && group->entries[at].term == record->term;
    if (!same) {
        drop_entries(group, 0);
        group->ended = 0; /* Or its entry is lost, and the log went on. */
    }
}

static int on_identity(struct restore *restore, const struct moot_record *record)
{
    struct moot_reader reader = moot_reader_make(record->bytes);
    uint64_t incarnation = moot_get_u64(&reader);
    struct moot_slice identity = moot_get_bytes(&reader);
    if (reader.failed) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    restore->incarnation = moot_max_u64(restore->incarnation, incarnation);
    restore->has_identity = true;
    return moot_identity_decode(identity, &restore->identity);
}

static int visit(void *context, const struct moot_record *record)
{
    struct restore *restore = context;
    if (record->kind == MOOT_RECORD_IDENTITY) {
        return on_identity(restore, record);
    }
    if (record->group >= MOOT_GROUPS_MAX) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    struct moot_group_restore *group = &restore->groups[record->group];
    group->highest = moot_max_u64(group->highest, record->index);
    switch (record->kind) {
    case MOOT_RECORD_HARD_STATE:
        group->term = record->term;
        group->vote = record->vote;
        group->hard_batch = record->batch;
        return 0;
    case MOOT_RECORD_ENTRY:
        on_entry(restore, group, record);
        return 0;
    case MOOT_RECORD_SNAPSHOT:
        on_snapshot(group, record);
        return 0;
    case MOOT_RECORD_FREED:
        group->freed = record->index;
        group->freed_batch = record->batch;
        return 0;
    case MOOT_RECORD_IDENTITY:
        return 0;
    }
    return MOOT_FAIL(MOOT_EVERSION);
}

/* A vote may have been given in a term further ahead than anything that stands: who does not know
 * may vote twice in one term. Every hard state is in two batches, so this takes the rot of both. */
static bool knows_promises(const struct restore *restore, const struct moot_journal_report *report)
{
    bool all = true;
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        const struct moot_group_restore *group = &restore->groups[id];
        bool known = MOOT_RULE(open_hard_state_known, group->hard_batch > report->hard_lost);
        all = all && (!group->impaired || known);
    }
    return all;
}

/* Leaves what surely stands. A batch of which nothing is known may have replaced any entry before
 * it, so that those after it would seem to follow others than they did: a log that never was, and
 * that a leader would take for its own where the ends agree. Of one whose header stands it is known
 * from which index on it may have made older entries void. */
static void drop_lost(struct moot_group_restore *group, const struct moot_journal_loss *loss)
{
    bool unknown = loss->last == UINT64_MAX;
    if (!MOOT_RULE(open_unknown_loss_drops_all, !unknown)) {
        MOOT_SOMETIMES(group->entry_count > 0, "a log behind a batch of which nothing is known "
                                               "was dropped");
        drop_entries(group, 0);
        return;
    }
    for (uint64_t i = 0; i < group->entry_count; i++) {
        bool may_be_void = group->first + i >= loss->first && group->entries[i].batch < loss->batch;
        if (loss->first > 0 && may_be_void) {
            moot_block_release(group->blocks[i]);
            group->blocks[i] = NULL;
            group->entries[i] = (struct moot_record){.batch = 0};
        }
    }
}

/* A gap in what a group has not lost anything of: what is before it was replaced. */
static void drop_before_holes(struct moot_group_restore *group)
{
    uint64_t from = group->entry_count;
    while (from > 0 && group->blocks[from - 1] != NULL) {
        from--;
    }
    for (uint64_t i = 0; i < from; i++) {
        moot_block_release(group->blocks[i]);
    }
    group->first += from;
    group->entry_count -= from;
    if (from > 0 && group->entry_count > 0) {
        size_t count = (size_t)group->entry_count;
        memmove(group->entries, group->entries + from, sizeof(*group->entries) * count);
        memmove(group->blocks, group->blocks + from, sizeof(*group->blocks) * count);
    }
}

static bool concerns(const struct moot_journal_loss *loss, moot_group_id id)
{
    return loss->group == id || loss->group == UINT32_MAX;
}

/* Is it known what the group's log was, but for entries whose place is known? Then it ended with
 * the last one that stands, or with a snapshot, which came after all that is lost; and who wrote
 * that was not itself one who had dropped part of the log. */
_Static_assert((int)MOOT_GROUPS_MAX <= (int)MOOT_JOURNAL_WHOLE_MAX, "each group can be whole");
static bool knows_log(const struct moot_group_restore *group, moot_group_id id,
                      const struct moot_journal_report *report)
{
    uint64_t last = group->entry_count;
    bool ends = true;
    for (uint32_t i = 0; i < report->loss_count; i++) {
        const struct moot_journal_loss *loss = &report->losses[i];
        bool is_named = loss->last != UINT64_MAX && loss->batch != UINT64_MAX;
        ends = ends && (!concerns(loss, id) ||
                        (is_named && (loss->first == 0 || loss->batch < group->ended)));
    }
    /* Else the node does not open (knows_promises); but this must not depend on it. */
    bool votes_known = report->hard_lost == 0 || group->hard_batch > report->hard_lost;
    votes_known = votes_known && (last == 0 || group->entries[last - 1].term <= group->term);
    return votes_known && MOOT_RULE(holes_need_the_end, ends) &&
           MOOT_RULE(holes_only_of_a_whole_life, group->touched <= report->whole_batch[id]);
}

/* What was acknowledged and is lost: those groups neither vote nor acknowledge until a leader has
 * given it back. */
static void impair(struct restore *restore, const struct moot_journal_report *report)
{
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        restore->groups[id].lost_from = UINT64_MAX;
    }
    for (moot_group_id id = 0; report->damage == MOOT_DAMAGE_ROT && id < MOOT_GROUPS_MAX; id++) {
        struct moot_group_restore *group = &restore->groups[id];
        moot_term seen = group->entry_count == 0 ? 0 : group->entries[group->entry_count - 1].term;
        group->knows_log = knows_log(group, id, report);
        group->knows_freed = true;
        for (uint32_t i = 0; i < report->loss_count; i++) {
            const struct moot_journal_loss *loss = &report->losses[i];
            if (!concerns(loss, id)) {
                continue;
            }
            group->knows_freed =
                group->knows_freed && (!loss->frees || group->freed_batch > loss->batch);
            if (loss->first > 0 || loss->last > 0) {
                group->lost_from = moot_min_u64(group->lost_from, loss->first);
            }
            MOOT_SOMETIMES(true, "a group came back impaired by rot");
            group->impaired = true;
            /* The batch may have held a term and a vote beside what its header names, and then
             * nobody knows how far its promises went. */
            group->impaired_until = UINT64_MAX;
            drop_lost(group, loss);
        }
        if (!group->impaired) {
            drop_before_holes(group);
        }
        if (group->impaired) { /* The hard state that came with the last entry may be lost. */
            group->vote = seen > group->term ? 0 : group->vote;
            group->term = moot_max_u64(group->term, seen);
        }
    }
}

/* ---- the first write ---- */

static int write_incarnation(struct moot_node *node, const struct restore *restore,
                             struct moot_disk *disk, uint64_t segment_bytes)
{
    struct moot_buffer body, identity, batch;
    moot_buffer_init(&body);
    moot_buffer_init(&identity);
    moot_buffer_init(&batch);
    moot_identity_encode(&node->identity, &identity);
    moot_put_u64(&body, node->incarnation);
    moot_put_bytes(&body, moot_buffer_slice(&identity));
    struct moot_record records[1 + MOOT_GROUPS_MAX] = {
        {.kind = MOOT_RECORD_IDENTITY, .group = UINT32_MAX, .bytes = moot_buffer_slice(&body)}};
    size_t count = 1;
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        const struct moot_group_restore *group = &restore->groups[id];
        struct moot_record hard = {
            .kind = MOOT_RECORD_HARD_STATE, .group = id, .term = group->term, .vote = group->vote};
        if (group->term > 0) {
            records[count++] = hard;
            moot_outbox_repeat(&node->outbox, &hard);
        }
    }
    struct moot_journal_write where;
    int status = moot_journal_layout(node->journal, records, count, 0, &batch, &where);
    if (status == 0) {
        void *aligned = moot_alloc_aligned(MOOT_JOURNAL_ALIGN, batch.size);
        memcpy(aligned, batch.data, batch.size);
        status = moot_journal_write_now(disk, segment_bytes, &where, aligned, batch.size);
        moot_free(aligned);
        node->outbox.durable_batch = where.batch;
    }
    moot_buffer_deinit(&body);
    moot_buffer_deinit(&identity);
    moot_buffer_deinit(&batch);
    return status;
}

/* ---- opening ---- */

/* Has some group been here before? */
static bool has_store(struct moot_store *store)
{
    struct moot_arena arena;
    moot_arena_init(&arena);
    bool found = false;
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        struct moot_slice value;
        struct moot_slice key = moot_key_group(&arena, id, 0, (struct moot_slice){NULL, 0});
        int status;
        while ((status = store->ops->get(store, key, &arena, &value)) == MOOT_EWOULDBLOCK) {
            status = store->ops->fetch(store, key);
            if (status != 0) {
                break;
            }
        }
        found = found || status != MOOT_ENOTFOUND;
    }
    moot_arena_deinit(&arena);
    return found;
}

static int check_identity(const struct moot_node_options *options, struct restore *restore,
                          const struct moot_journal_report *report, char why[256])
{
    if (!restore->has_identity && report->damage == MOOT_DAMAGE_ROT) {
        say(why, "the journal has lost this node's identity to rot: bring it back as a new replica "
                 "(an empty folder and moot server --join)");
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    if (!restore->has_identity) {
        if (options->format == NULL) {
            say(why, "the data folder is empty: format it (moot up, moot server) or join a cluster "
                     "(moot server --join)");
            return MOOT_FAIL(MOOT_ENOTFOUND);
        }
        if (!MOOT_RULE(open_no_store_without_journal, !has_store(options->store))) {
            say(why, "the data folder has a store but no identity: its journal is lost; bring this "
                     "node back as a "
                     "new replica (an empty folder and moot server --join)");
            return MOOT_FAIL(MOOT_ECORRUPT);
        }
        restore->identity = *options->format;
        return 0;
    }
    if (options->format != NULL &&
        (memcmp(options->format->cluster, restore->identity.cluster, MOOT_CLUSTER_ID_BYTES) != 0 ||
         options->format->node != restore->identity.node)) {
        say(why, "the data folder belongs to another node or cluster");
        return MOOT_FAIL(MOOT_EREFUSED);
    }
    return 0;
}

static struct moot_members initial_members(const struct moot_identity *identity)
{
    struct moot_members members = {0};
    for (uint32_t i = 0; i < identity->initial_count; i++) {
        members.voters[members.voter_count++] = identity->initial[i].node;
    }
    return members;
}

static int open_groups(struct moot_node *node, const struct moot_node_options *options,
                       struct restore *restore, char why[256])
{
    struct moot_members initial = initial_members(&node->identity);
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        const char *text = "";
        int status = moot_group_open(&node->context, id, options, &initial, &restore->groups[id],
                                     &node->groups[id], &text);
        if (status != 0) {
            say(why, text);
            return status;
        }
    }
    return 0;
}

/* What groups and the edge share, and their limits; all but the groups themselves. */
static void set_up(struct moot_node *node, const struct moot_node_options *options)
{
    node->context = (struct moot_group_context){
        .outbox = &node->outbox,
        .store = options->store,
        .directory = &node->directory,
        .peers = &node->peers,
        .now = options->now,
        .self = node->identity.node,
        .feature_level = options->feature_level != 0 ? options->feature_level : MOOT_FEATURE_LEVEL,
        .self_incarnation = node->incarnation,
        .log_memory_bytes =
            options->log_memory_bytes != 0 ? options->log_memory_bytes : MOOT_LOG_MEMORY_BYTES,
        .recent_bytes = options->recent_bytes != 0 ? options->recent_bytes : MOOT_RECENT_BYTES,
        .read_elements =
            options->read_elements != 0 ? options->read_elements : MOOT_READ_ELEMENTS_MAX,
        .ring_bytes = options->ring_bytes != 0 ? options->ring_bytes : MOOT_REPLY_RING_BYTES,
        .long_read_one_in = options->long_read_one_in,
        .rng = &node->rng,
        .chance = &node->chance};
    moot_edge_init(&node->edge, &node->outbox, &node->identity, node->incarnation, &node->directory,
                   &node->peers, options->now);
    node->edge.admission = options->admission;
    node__clock_init(node, options->election_ms);
    node->edge.read_elements = node->context.read_elements;
    if (options->clients_bytes != 0) {
        node->edge.clients_bytes_max = options->clients_bytes;
    }
    if (options->edge_queue_bytes != 0) {
        node->edge.streams[MOOT_GROUP_DB0].queue_bytes_max = options->edge_queue_bytes;
    }
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        node->led_at[id] = options->now.instant;
    }
}

static int open_parts(struct moot_node *node, const struct moot_node_options *options,
                      struct restore *restore, char why[256])
{
    struct moot_journal_report report;
    say(why, "the journal cannot be read");
    restore->report = &report;
    int status = moot_journal_open(options->disk, &options->journal, visit, restore, &report,
                                   &node->journal);
    if (status == 0) {
        status = check_identity(options, restore, &report, why);
    }
    if (status != 0) {
        return status;
    }
    impair(restore, &report);
    if (report.hard_lost > 0 && !knows_promises(restore, &report)) {
        say(why, "the journal has lost to rot how this node voted last: bring it back as a new "
                 "replica (an empty folder and moot server --join)");
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    if (options->store_lost && restore->incarnation > 0) {
        say(why, "the new store cannot be written");
        status = moot_group_store_is_lost(options->store, restore->groups, MOOT_GROUPS_MAX);
        if (status != 0) {
            return status;
        }
    }
    node->rotten = report.damage == MOOT_DAMAGE_ROT;
    node->identity = restore->identity;
    /* Each start has written a batch of its own, and any rotten one may have been such. */
    node->incarnation = restore->incarnation + 1 + report.rotten_batches;
    moot_outbox_init(&node->outbox, node->identity.node);
    node->outbox.batch_bytes_max =
        moot_min_u64(MOOT_JOURNAL_BATCH_BYTES_MAX, options->journal.segment_bytes) / 2;
    node->outbox.restate.records = node__restate;
    node->outbox.restate.context = node;
    moot_directory_from_identity(&node->directory, &node->identity);
    set_up(node, options);
    status = open_groups(node, options, restore, why);
    for (moot_group_id id = 0; status == 0 && id < MOOT_GROUPS_MAX; id++) {
        /* A flush may never come: all may be in the store, and the journal full of it. */
        moot_group_free(node->groups[id], node->journal);
    }
    if (status == 0) {
        say(why, "the journal cannot be written");
        status = write_incarnation(node, restore, options->disk, options->journal.segment_bytes);
    }
    return status;
}

int moot_node_open(const struct moot_node_options *options, struct moot_node **out, char why[256])
{
    struct moot_node *node = moot_alloc_zero(sizeof(*node));
    struct restore *restore = moot_alloc_zero(sizeof(*restore));
    moot_rng_init(&node->rng, options->seed);
    node->chance = options->chance;
    node->flush_bytes = options->flush_bytes != 0 ? options->flush_bytes : MOOT_STORE_FLUSH_BYTES;
    node->free_bytes = UINT64_MAX;
    node->journal_bytes_max = options->journal.segment_bytes * options->journal.segments_max / 2;
    moot_arena_init(&node->arena);
    int status = open_parts(node, options, restore, why);
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        drop_entries(&restore->groups[id], 0);
        moot_free(restore->groups[id].entries);
        moot_free(restore->groups[id].blocks);
    }
    moot_free(restore);
    *out = node;
    if (status != 0) {
        moot_node_close(node);
        *out = NULL;
    }
    return status;
}

void moot_node_close(struct moot_node *node)
{
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        if (node->groups[id] != NULL) {
            moot_group_close(node->groups[id]);
        }
    }
    if (node->edge.table != NULL) {
        moot_edge_deinit(&node->edge);
    }
    if (node->outbox.list != NULL) {
        node->outbox.local_next = node->outbox.local_count;
        moot_outbox_deinit(&node->outbox);
    }
    if (node->journal != NULL) {
        moot_journal_close(node->journal);
    }
    moot_arena_deinit(&node->arena);
    moot_free(node->restated);
    moot_free(node);
}
