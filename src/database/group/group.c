#include "database/group/group.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/status.h"
#include "database/group/entry.h"

/* ---- open and close ---- */

/* The journal lets go only of what the store has, durably: who lacks that has a new store, or one
 * of long ago. What it lacks it may have acknowledged: it may not go on as though it never had. */
static bool has_what_was_freed(const struct moot_group *group,
                               const struct moot_group_restore *restore)
{
    moot_index end = restore->first + restore->entry_count;
    bool reaches =
        restore->entry_count > 0 && restore->first <= group->applied + 1 && end > restore->freed;
    return group->applied >= restore->freed || reaches;
}

/* Keeps of the journal's entries those that follow what the store has applied. They are in doubt
 * when the store was replaced by a snapshot whose last entry is not the one that the journal has at
 * that index: then none of them may be kept (PITFALLS 19), and the journal must hear of it even if
 * it ends there. Else what is appended now would seem to follow the entries that the snapshot
 * replaced, and the next start would throw it away with them. */
static int choose_entries(struct moot_group *group, const struct moot_group_restore *restore,
                          uint64_t *skip, const char **why)
{
    *skip = restore->entry_count;
    bool is_its_store = restore->impaired || has_what_was_freed(group, restore);
    if (!MOOT_RULE(open_store_has_what_was_freed, is_its_store)) {
        *why = "the store lacks what the journal has let go of: it is a new one, or one of long "
               "ago; if other nodes have the data, make the file store.lost in the data folder: "
               "then this node sets the store aside and is installed from the others";
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    moot_index end = restore->first + restore->entry_count;
    if (restore->entry_count == 0 || end <= group->applied) {
        /* The store is further than the journal knows: an install was cut short, or a slow disk.
         * It must hear of it, or would not miss this store. */
        if (!restore->impaired && restore->freed < group->applied) {
            MOOT_SOMETIMES(true, "a store was further than its journal");
            group__record_snapshot(group);
        }
        return 0;
    }
    if (restore->first > group->applied + 1) {
        if (restore->impaired) {
            return 0;
        }
        *why = "the journal begins after the last entry that the store contains; bring this node "
               "back as a new replica (moot server --join)";
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    if (restore->first <= group->applied) {
        bool same = restore->entries[group->applied - restore->first].term == group->applied_term;
        MOOT_SOMETIMES(!same, "a restart met a log that its snapshot had replaced");
        if (!MOOT_RULE(restore_suffix_matches_snapshot, same)) {
            group__record_snapshot(group);
            return 0;
        }
    }
    *skip = group->applied + 1 - restore->first;
    return 0;
}

/* What was executed may be in the store before the journal has the term of it: a slow disk, and the
 * power fails. No vote of that term had left then. The journal hears of it with the first batch of
 * this start: or what is promised and written in that term now would be known as of no term, as
 * soon as the store is lost. */
static void learn_term(const struct moot_group *group, struct moot_group_restore *restore)
{
    if (restore->term < group->applied_term) {
        MOOT_SOMETIMES(true, "a store knew a later term than its journal");
        restore->term = group->applied_term;
        restore->vote = 0;
    }
}

/* The entries in the form that the core wants; fills the log on the way. */
static int restore_log(struct moot_group *group, struct moot_group_restore *restore, uint64_t skip,
                       struct moot_raft_entry *entries)
{
    for (uint64_t i = skip; i < restore->entry_count; i++) {
        const struct moot_record *record = &restore->entries[i];
        struct moot_entry envelope;
        int status = moot_entry_decode(moot_block_slice(restore->blocks[i]), &envelope);
        if (status != 0) {
            return status;
        }
        struct moot_raft_entry *entry = &entries[i - skip];
        *entry = (struct moot_raft_entry){.term = record->term,
                                          .size = (uint32_t)record->bytes.size,
                                          .kind = (enum moot_raft_entry_kind)record->entry_kind};
        if (entry->kind == MOOT_RAFT_ENTRY_MEMBERS) {
            struct moot_members *members = moot_arena_alloc(&group->arena, sizeof(*members));
            struct moot_reader reader = moot_reader_make(envelope.body);
            if (!moot_members_decode(&reader, members)) {
                return MOOT_FAIL(MOOT_ECORRUPT);
            }
            entry->members = members;
            group->addresses_came = true;
        }
        moot_hlc_raise(&group->clock, envelope.stamp);
        moot_log_append(&group->log, moot_block_retain(restore->blocks[i]), entry->term,
                        entry->kind);
    }
    return 0;
}

static struct moot_raft_options raft_options(const struct moot_group *group,
                                             const struct moot_node_options *options,
                                             uint64_t restored)
{
    uint64_t election = options->election_ms != 0 ? options->election_ms : MOOT_ELECTION_MS;
    uint64_t heartbeat = options->heartbeat_ms != 0 ? options->heartbeat_ms : MOOT_HEARTBEAT_MS;
    /* What is not committed must fit one batch of the journal: see restate.c. */
    uint64_t uncommitted =
        moot_min_u64(MOOT_LOG_UNCOMMITTED_BYTES, options->journal.segment_bytes / 8 * 3);
    /* The journal keeps what the store has not flushed, and a slow disk takes many entries at once:
     * there may be more of them than were ever in memory together. */
    bool fits = restored <= MOOT_LOG_ENTRIES_MAX / 2;
    uint64_t entries_max = MOOT_LOG_ENTRIES_MAX + (fits ? 0 : restored);
    MOOT_SOMETIMES(restored > MOOT_LOG_ENTRIES_MAX, "a restart took up a log longer than memory's");
    MOOT_ASSERT(entries_max <= UINT32_MAX);
    return (struct moot_raft_options){.self = group->context->self,
                                      .election_min = moot_ms(election),
                                      .heartbeat = moot_ms(heartbeat),
                                      .append_bytes_max = MOOT_APPEND_BYTES_MAX,
                                      .append_entries_max = MOOT_APPEND_ENTRIES_MAX,
                                      .window = MOOT_APPEND_WINDOW,
                                      .uncommitted_bytes_max = uncommitted,
                                      .log_entries_max = (uint32_t)entries_max,
                                      .clock_bound_ms = MOOT_CLOCK_BOUND_MS,
                                      .seed = moot_rng_next(group->context->rng),
                                      .trace = options->raft_trace};
}

static int open_raft(struct moot_group *group, const struct moot_node_options *options,
                     struct moot_group_restore *restore, const char **why)
{
    uint64_t skip;
    learn_term(group, restore);
    int status = choose_entries(group, restore, &skip, why);
    if (status != 0) {
        return status;
    }
    uint64_t count = restore->entry_count - skip;
    struct moot_raft_entry *entries = moot_alloc(sizeof(*entries) * (count + 1));
    status = restore_log(group, restore, skip, entries);
    if (status == 0) {
        uint64_t lost = group->holes.repairs ? moot_holes_last(&group->holes) - group->applied : 0;
        struct moot_raft_options raft = raft_options(group, options, moot_max_u64(count, lost));
        struct moot_raft_restore core = {.term = restore->term,
                                         .vote = restore->vote,
                                         .snapshot_index = group->applied,
                                         .snapshot_term = group->applied_term,
                                         .members = group->applied_members,
                                         .applied = group->applied,
                                         .entries = entries,
                                         .entry_count = count,
                                         .impaired = restore->impaired,
                                         .impaired_until = restore->impaired_until};
        group->raft_memory = moot_alloc(moot_raft_size(&raft)); /* The core sets what it reads. */
        status = moot_raft_init(group->raft_memory, &raft, &core, group->context->now.instant,
                                &group->raft);
        if (status != 0) {
            *why = "the journal and the store contradict each other";
        }
    }
    moot_free(entries);
    return status;
}

int moot_group_open(struct moot_group_context *context, moot_group_id id,
                    const struct moot_node_options *options, const struct moot_members *initial,
                    struct moot_group_restore *restore, struct moot_group **out, const char **why)
{
    struct moot_group *group = moot_alloc_zero(sizeof(*group));
    group->id = id;
    group->context = context;
    group->effects = moot_alloc(sizeof(*group->effects));
    moot_arena_init(&group->arena);
    moot_buffer_init(&group->scratch);
    moot_buffer_init(&group->send.resume);
    moot_buffer_init(&group->send.chunk);
    moot_ring_init(&group->ring, context->ring_bytes);
    moot_batch_init(&group->lost_again);
    moot_waiters_init(&group->waiters);
    *why =
        "the store cannot be read; if other nodes have the data, make the file store.lost in the "
        "data folder: then this node sets the store aside and is installed from the others";
    int status = group__record_load(group, initial);
    moot_log_init(&group->log, group->applied + 1);
    moot_hlc_init(&group->clock, MOOT_CLOCK_BOUND_MS, group->applied_stamp);
    group->engine = moot_engine_make_sized(context->store, id, context->recent_bytes);
    moot_engine_shared(group->engine)->members = &group->applied_members;
    moot_engine_shared(group->engine)->feature_level = &group->feature_level;
    if (status == MOOT_EVERSION) {
        *why = GROUP_UPGRADE_TEXT;
    }
    if (status == 0) {
        status = group__lost_load(group, restore);
    }
    if (status == 0 && group->engine == NULL) {
        status = MOOT_FAIL(MOOT_ECORRUPT);
    }
    if (status == 0) {
        group__holes_open(group, restore);
        status = open_raft(group, options, restore, why);
    }
    if (status != 0) {
        moot_group_close(group);
        *out = NULL;
        return status;
    }
    struct moot_raft_status raft;
    moot_raft_status(group->raft, &raft);
    group->role = raft.role;
    group->term = raft.term;
    group->commit = raft.commit;
    group->members = *raft.members;
    group->flushed = group->applied;
    group__holes_opened(group);
    group->directory_changed = id == MOOT_GROUP_SYSTEM;
    *out = group;
    return 0;
}

void moot_group_close(struct moot_group *group)
{
    for (size_t i = 0; i < group->read_count; i++) {
        moot_block_release(group->reads[i].owner);
    }
    group__long_reads_drop(group);
    moot_free(group->reads);
    moot_free(group->persisted);
    moot_free(group->streams);
    moot_free(group->raft_memory);
    moot_free(group->effects);
    moot_log_deinit(&group->log);
    moot_holes_drop(&group->holes);
    moot_ring_deinit(&group->ring);
    moot_batch_deinit(&group->lost_again);
    moot_waiters_deinit(&group->waiters);
    if (group->engine != NULL) {
        moot_engine_destroy(group->engine);
    }
    moot_buffer_deinit(&group->send.resume);
    moot_buffer_deinit(&group->send.chunk);
    moot_buffer_deinit(&group->scratch);
    moot_arena_deinit(&group->arena);
    moot_free(group);
}

/* ---- small things ---- */

bool group__leads(const struct moot_group *group)
{
    return group->role == MOOT_RAFT_LEADER && !group->fenced;
}

void group__log(struct moot_group *group, enum moot_log_level level, const char *text, uint64_t a,
                const char *text2, uint64_t b)
{
    struct moot_buffer line;
    moot_buffer_init(&line);
    moot_buffer_append_text(&line, group->id == MOOT_GROUP_SYSTEM ? "system: " : "db0: ");
    moot_buffer_append_text(&line, text);
    moot_buffer_append_u64(&line, a);
    if (text2 != NULL) {
        moot_buffer_append_text(&line, text2);
        moot_buffer_append_u64(&line, b);
    }
    moot_outbox_log(group->context->outbox, level, moot_buffer_slice(&line));
    moot_buffer_deinit(&line);
}

/* From here on this replica neither votes, acknowledges, executes nor serves: it is as good as dead
 * to the others. */
void group__fence(struct moot_group *group, const char *why)
{
    if (group->fenced) {
        return;
    }
    group__log(group, MOOT_LOG_ERROR, "REPLICA FENCED at index ", group->applied, " of term ",
               group->applied_term);
    moot_outbox_log(group->context->outbox, MOOT_LOG_ERROR, moot_slice_text(why));
    group__follow(group);
    group->fenced = true;
}

/* ---- inputs ---- */

/* A follower compares the leader's hashes at an index with its own. */
static void on_chain(struct moot_group *group, moot_node_id from,
                     const struct moot_message *message)
{
    if (from != group->leader) {
        return; /* Only the leader may call a replica wrong. */
    }
    const struct moot_contents *said = &message->chain;
    const struct moot_contents *own = &group->chains[said->index % MOOT_CHAIN_WINDOW];
    bool same = moot_contents_agree(own, said);
    if (!MOOT_RULE(chain_equal_or_fenced, same)) {
        group__fence(
            group, "its contents differ from the leader's at the same index, and which of them is "
                   "right no machine can tell: compare, then start a new node (moot server "
                   "--join) and put it in this one's place (moot cluster replace OLD NEW)");
    }
}

static void on_decline(struct moot_group *group, moot_node_id from,
                       const struct moot_message *message)
{
    struct moot_waiter *waiter =
        moot_waiters_find(&group->waiters, from, message->wake.incarnation, message->wake.waiter);
    if (waiter == NULL) {
        return;
    }
    struct moot_waiter gone = *waiter; /* Its keys may be another's turn now. */
    waiter->key_count = 0;
    waiter->keys = NULL;
    waiter->prints = NULL;
    waiter->keyspaces = NULL;
    moot_waiters_remove(&group->waiters, waiter);
    group__wake_keys(group, &gone);
    for (uint32_t i = 0; i < gone.key_count; i++) {
        moot_free((void *)gone.keys[i].data);
    }
    moot_free(gone.keys);
    moot_free(gone.prints);
    moot_free(gone.keyspaces);
}

/* Bytes of entries are looked at before the core may accept them. */
static bool entries_are_readable(const struct moot_message *message)
{
    const struct moot_raft_message *raft = &message->raft.message;
    for (uint32_t i = 0; raft->kind == MOOT_RAFT_APPEND && i < raft->append.count; i++) {
        struct moot_entry entry;
        if (moot_entry_decode(message->raft.bytes[i], &entry) != 0) {
            return false;
        }
    }
    return true;
}

/* A full follower hears heartbeats, and so stays one, and votes. What it does not take is lost, as
 * if by the network. */
static bool takes_when_full(const struct moot_raft_message *raft)
{
    bool grows = (raft->kind == MOOT_RAFT_APPEND && raft->append.count > 0) ||
                 raft->kind == MOOT_RAFT_SNAPSHOT;
    MOOT_SOMETIMES(grows, "a full follower took no entries");
    return !grows;
}

void moot_group_receive(struct moot_group *group, moot_node_id from,
                        const struct moot_message *message, struct moot_block *owner)
{
    if (group->fenced) {
        group__heard_while_fenced(group, from, message);
        return;
    }
    switch (message->kind) {
    case MOOT_MESSAGE_RAFT: {
        if (message->raft.message.from != from ||
            message->raft.message.to != group->context->self || !entries_are_readable(message)) {
            return;
        }
        struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_RECEIVE};
        event.message = &message->raft.message;
        if (group->context->disk_is_full && !takes_when_full(event.message)) {
            return;
        }
        group->receiving_session = message->raft.message.session;
        int status = group__step_with(group, &event, message->raft.bytes, owner);
        (void)status; /* A message that the core refuses is dropped; it has traced why. */
        return;
    }
    case MOOT_MESSAGE_SUBMIT:
        group__submit(group, from, &message->submit, owner);
        return;
    case MOOT_MESSAGE_DECLINE:
        on_decline(group, from, message);
        return;
    case MOOT_MESSAGE_CHAIN:
        on_chain(group, from, message);
        return;
    case MOOT_MESSAGE_SNAPSHOT_CHUNK:
        if (!group->context->disk_is_full) { /* Else it is sent again. */
            group__snapshot_chunk(group, from, message);
        }
        return;
    case MOOT_MESSAGE_SNAPSHOT_ACK:
        group__snapshot_ack(group, from, message);
        return;
    case MOOT_MESSAGE_HOLE_ASK:
        group__hole_ask(group, from, &message->hole_ask);
        return;
    case MOOT_MESSAGE_HOLE_GIVE:
        group__hole_give(group, &message->hole_give);
        return;
    case MOOT_MESSAGE_TRANSFER: {
        int status = moot_group_transfer(group, message->transfer_to);
        (void)status; /* Not the leader any more, or busy: whoever asked looks at the status. */
        return;
    }
    case MOOT_MESSAGE_ANSWER:
    case MOOT_MESSAGE_NACK:
    case MOOT_MESSAGE_WAKE:
    case MOOT_MESSAGE_ASK:
    case MOOT_MESSAGE_ROOM:
        break; /* For the edge, or the node. */
    }
    MOOT_UNREACHABLE();
}

void moot_group_peer_down(struct moot_group *group, moot_node_id node, bool closed_by_kernel)
{
    moot_waiters_remove_edge(&group->waiters, node, 0);
    if (closed_by_kernel && !group->fenced) {
        struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_PEER_LOST};
        event.node = node;
        int status = group__step(group, &event);
        MOOT_ASSERT(status == 0);
    }
}

void moot_group_peer_up(struct moot_group *group, moot_node_id node, uint64_t incarnation)
{
    moot_waiters_remove_edge(&group->waiters, node, incarnation);
}

void moot_group_fetched(struct moot_group *group, moot_ticket ticket, int status)
{
    if (!group->stuck || group->fetch != ticket) {
        return;
    }
    group->stuck = false;
    if (status == MOOT_ECORRUPT) {
        group__rot(group, "the store failed its checksum");
    }
}

void moot_group_flush_begins(struct moot_group *group)
{
    group->flushing = group->applied;
    group->mended_unflushed = false;
}

/* The lowest index that a follower which is alive may still ask for. */
static moot_index wanted_by_followers(const struct moot_group *group)
{
    moot_node_id all[2 * MOOT_QUORUM_VOTERS_MAX + 2 * MOOT_QUORUM_LEARNERS_MAX];
    size_t count = moot_members_all(&group->members, all);
    moot_index lowest = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        struct moot_raft_progress progress;
        if (moot_raft_progress(group->raft, all[i], &progress) && progress.active &&
            !progress.wants_snapshot) {
            lowest = moot_min_u64(lowest, progress.match);
        }
    }
    return lowest;
}

/* What was executed need not be in memory any more, but for followers that still want it: the
 * journal has it until the store has flushed it. */
static void compact(struct moot_group *group)
{
    uint64_t bytes_max = group->context->log_memory_bytes;
    bool full = group->log.bytes > bytes_max / 4 || group->log.count > MOOT_LOG_ENTRIES_MAX / 4;
    bool crowded = group->log.bytes > bytes_max / 4 * 3 ||
                   group->log.count > MOOT_LOG_ENTRIES_MAX / 4 * 3 ||
                   MOOT_FORCED(group->context->chance, compacts_all);
    if ((!full && !crowded && !MOOT_RARELY(group->context->chance, compacts)) || group->fenced ||
        group->install.active) {
        return;
    }
    moot_index to = group->applied;
    if (!crowded && group__leads(group)) {
        to = moot_min_u64(to, wanted_by_followers(group));
    }
    if (to < group->log.first) {
        return;
    }
    struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_COMPACT};
    event.compact = to;
    if (group__step(group, &event) == 0) {
        moot_log_compact(&group->log, to);
        MOOT_SOMETIMES(true, "a log was compacted");
    }
}

void moot_group_flush_done(struct moot_group *group, struct moot_journal *journal)
{
    group->flushed = moot_max_u64(group->flushed, group->flushing);
    moot_group_free(group, journal);
}

/* ---- the leader's regular work ---- */

static void expire(struct moot_group *group)
{
    bool due = !moot_instant_before(group->context->now.instant, group->expire_next);
    if (!due || group->expire_pending != 0 || group->stuck || group->id == MOOT_GROUP_SYSTEM) {
        return;
    }
    moot_buffer_reset(&group->scratch, 64 * 1024);
    uint32_t count = 0;
    uint64_t next_ms = 0;
    int status = moot_engine_due(group->engine, group->context->stamp_ms, MOOT_EXPIRE_BATCH_MAX,
                                 &group->scratch, &count, &next_ms);
    if (status == MOOT_EWOULDBLOCK) {
        group__stick(group);
        return;
    }
    /* Remains of large deletions are removed by entries; an idle group makes empty ones for them.
     */
    bool garbage = moot_engine_shared(group->engine)->garbage_count > 0;
    if (status == 0 && (count > 0 || garbage)) {
        struct moot_block *block =
            group__entry_block(group, MOOT_ENTRY_EXPIRE, moot_buffer_slice(&group->scratch));
        moot_index index;
        if (group__append(group, block, &index) == 0) {
            group->expire_pending = index;
        }
    }
    uint64_t wait = count == MOOT_EXPIRE_BATCH_MAX || garbage ? 1 : MOOT_EXPIRE_MS;
    group->expire_next = moot_instant_add(group->context->now.instant, moot_ms(wait));
}

static void send_chain(struct moot_group *group)
{
    if (moot_instant_before(group->context->now.instant, group->chain_next)) {
        return;
    }
    group->chain_next = moot_instant_add(group->context->now.instant, moot_ms(MOOT_CHAIN_MS));
    moot_node_id all[2 * MOOT_QUORUM_VOTERS_MAX + 2 * MOOT_QUORUM_LEARNERS_MAX];
    size_t count = moot_members_all(&group->members, all);
    for (size_t i = 0; i < count; i++) {
        if (all[i] != group->context->self) {
            struct moot_message message = {.kind = MOOT_MESSAGE_CHAIN, .group = group->id};
            message.chain = group__contents(group);
            group__post(group, all[i], &message, NULL);
        }
    }
}

static void tell_waiter(struct moot_group *group, const struct moot_waiter *waiter,
                        enum moot_message_kind kind)
{
    struct moot_message message = {.kind = kind, .group = group->id};
    message.wake.incarnation = waiter->incarnation;
    message.wake.waiter = waiter->id;
    group__post(group, waiter->edge, &message, NULL);
}

/* A wake or its answer may have been lost: say it again. */
static void wake_again(struct moot_group *group)
{
    if (moot_instant_before(group->context->now.instant, group->wake_next)) {
        return;
    }
    group->wake_next = moot_instant_add(group->context->now.instant, moot_ms(MOOT_WAITERS_LOOK_MS));
    for (uint32_t i = 0; i < group->waiters.count; i++) {
        struct moot_waiter *waiter = &group->waiters.items[i];
        struct moot_instant due =
            moot_instant_add(waiter->woken_at, moot_ms(MOOT_WAITERS_AGAIN_MS));
        struct moot_instant over =
            moot_instant_add(waiter->woken_first, moot_ms(MOOT_WAITERS_PATIENCE_MS));
        if (waiter->woken && !waiter->overdue && !waiter->tried &&
            !moot_instant_before(group->context->now.instant, over)) {
            MOOT_SOMETIMES(true, "a waiter whose node said nothing was passed over");
            waiter->overdue = true;
            group__wake_keys(group, waiter);
        }
        if (waiter->woken && !moot_instant_before(group->context->now.instant, due)) {
            waiter->woken_at = group->context->now.instant;
            tell_waiter(group, waiter, MOOT_MESSAGE_WAKE);
        }
    }
}

/* What ends a waiter that nobody wakes (its time is over, its client has gone) is said once, and
 * may be lost on a link that stays up, or find its edge without a leader: so the leader asks. */
static void ask_waiters(struct moot_group *group)
{
    struct moot_instant now = group->context->now.instant;
    if (group->waiters.count == 0) {
        group->ask_next = moot_instant_add(now, moot_ms(MOOT_WAITERS_ASK_MS));
    }
    if (moot_instant_before(now, group->ask_next)) {
        return;
    }
    group->ask_next = moot_instant_add(now, moot_ms(MOOT_WAITERS_ASK_MS));
    uint64_t count = moot_min_u64(group->waiters.count, MOOT_WAITERS_ASKED);
    for (uint64_t i = 0; i < count; i++) {
        group->asked_last = (group->asked_last + 1) % group->waiters.count;
        const struct moot_waiter *waiter = &group->waiters.items[group->asked_last];
        if (!waiter->woken) { /* Else it is told again and again as it is. */
            tell_waiter(group, waiter, MOOT_MESSAGE_ASK);
        }
    }
}

/* ---- the end of a turn ---- */

static void flush_core(struct moot_group *group)
{
    int status = group__step_plain(group, MOOT_RAFT_EVENT_FLUSH);
    MOOT_ASSERT(status == 0);
}

static void tell_applied(struct moot_group *group)
{
    if (group->applied_told == group->applied) {
        return;
    }
    struct moot_raft_status raft;
    moot_raft_status(group->raft, &raft);
    moot_index applied = moot_min_u64(group->applied, raft.commit);
    if (raft.applied < applied) {
        struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_APPLIED, .applied = applied};
        int status = group__step(group, &event);
        MOOT_ASSERT(status == 0);
    }
    group->applied_told = applied;
}

bool moot_group_progress(struct moot_group *group)
{
    bool again = false;
    if (group->fenced) {
        return false;
    }
    moot_arena_reset(&group->arena);
    if (!moot_instant_before(group->context->now.instant, moot_raft_deadline(group->raft))) {
        int status = group__step_plain(group, MOOT_RAFT_EVENT_TICK);
        MOOT_ASSERT(status == 0);
    }
    if (group__leads(group)) {
        group__give_level(group);
        expire(group);
        send_chain(group);
        wake_again(group);
        ask_waiters(group);
    }
    group__snapshot_tick(group);
    group__holes_tick(group);
    group__apply(group, &again);
    group__ask_round(group);
    flush_core(group);
    group__apply(group, &again); /* A flush may confirm a round, or commit in a group of one. */
    tell_applied(group);
    compact(group);
    return again && !group->fenced;
}

void moot_group_store(struct moot_group *group, bool force)
{
    group__lost_tick(group);
    if (!group->dirty) {
        return;
    }
    struct moot_instant due = moot_instant_add(group->dirty_since, moot_ms(MOOT_UNSTORED_MS));
    bool pins = (group->snapshot_wanted_count > 0 && group->send.node == 0) ||
                !MOOT_RULE(long_read_sees_all_applied, !group->long_reads.waits);
    if (force || pins || group->install.active || group->fenced ||
        moot_view_size(moot_engine_view(group->engine)) >= MOOT_UNSTORED_BYTES ||
        moot_view_count(moot_engine_view(group->engine)) >= MOOT_UNSTORED_KEYS ||
        moot_view_ranges(moot_engine_view(group->engine)) >= MOOT_UNSTORED_RANGES ||
        !moot_instant_before(group->context->now.instant, due) ||
        MOOT_RARELY(group->context->chance, view_flushes)) {
        moot_view_flush(moot_engine_view(group->engine), &group->context->outbox->batch);
        group__record_put(group, &group->context->outbox->batch);
        group->dirty = false;
    }
}

struct moot_instant moot_group_deadline(const struct moot_group *group)
{
    if (group->fenced) {
        return MOOT_NEVER;
    }
    struct moot_instant deadline =
        moot_instant_min(moot_raft_deadline(group->raft), group__holes_deadline(group));
    if (group->dirty) {
        struct moot_instant due = moot_instant_add(group->dirty_since, moot_ms(MOOT_UNSTORED_MS));
        deadline = moot_instant_min(deadline, due);
    }
    if (group__leads(group)) {
        /* While a fetch or an expiry is under way its end gives a turn: no time to wait for. */
        bool expires = group->id != MOOT_GROUP_SYSTEM && !group->stuck;
        if (expires && group->expire_pending == 0) {
            deadline = moot_instant_min(deadline, group->expire_next);
        }
        deadline = moot_instant_min(deadline, group->chain_next);
    }
    if (group->send.node != 0 || group->install.active) {
        struct moot_instant soon =
            moot_instant_add(group->context->now.instant, moot_ms(MOOT_SNAPSHOT_LOOK_MS));
        deadline = moot_instant_min(deadline, soon);
    }
    return deadline;
}

/* ---- orders ---- */

int moot_group_transfer(struct moot_group *group, moot_node_id to)
{
    struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_TRANSFER};
    event.node = to;
    return group->fenced ? MOOT_FAIL(MOOT_EREFUSED) : group__step(group, &event);
}

void moot_group_step_down(struct moot_group *group)
{
    struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_STEP_DOWN};
    if (!group->fenced) {
        int status = group__step(group, &event);
        (void)status; /* Not the leader: nothing to give up. */
    }
}

int moot_group_change_members(struct moot_group *group, const struct moot_members_change *change)
{
    struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_MEMBERS};
    event.members = *change;
    return group->fenced ? MOOT_FAIL(MOOT_EREFUSED) : group__step(group, &event);
}
