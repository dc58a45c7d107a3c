/* The door: start, step, look. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/rule.h"
#include "base/status.h"
#include "protocol/raft/raft.h"

#include <string.h>

static bool restore_is_sound(const struct moot_raft_options *options,
                             const struct moot_raft_restore *restore)
{
    moot_index last = restore->snapshot_index + restore->entry_count;
    if (restore->term > RAFT_TERM_MAX || restore->snapshot_index > RAFT_INDEX_MAX ||
        restore->snapshot_term > restore->term || restore->applied < restore->snapshot_index ||
        restore->applied > last || restore->entry_count > options->log_entries_max ||
        !moot_members_is_valid(&restore->members)) {
        return false;
    }
    moot_term term = restore->snapshot_term;
    for (uint64_t i = 0; i < restore->entry_count; i++) {
        const struct moot_raft_entry *entry = &restore->entries[i];
        bool members = entry->kind == MOOT_RAFT_ENTRY_MEMBERS;
        if (entry->term < term || entry->term == 0 || entry->term > restore->term ||
            entry->kind > MOOT_RAFT_ENTRY_MEMBERS || members != (entry->members != NULL) ||
            (members && !moot_members_is_valid(entry->members))) {
            return false;
        }
        term = entry->term;
    }
    return true;
}

static void restore_log(struct moot_raft *raft, const struct moot_raft_restore *restore)
{
    raft__log_reset(raft, restore->snapshot_index, restore->snapshot_term);
    raft->base.index = restore->snapshot_index;
    raft->base.members = restore->members;
    for (uint64_t i = 0; i < restore->entry_count; i++) {
        raft__log_push(raft, restore->entries[i].term, restore->entries[i].size);
        if (restore->entries[i].kind == MOOT_RAFT_ENTRY_MEMBERS) {
            raft__members_push(raft, raft->last, restore->entries[i].members);
        }
    }
    raft->durable = raft->last;
    raft->commit = restore->applied;
    raft->applied = restore->applied;
}

int moot_raft_init(void *memory, const struct moot_raft_options *options,
                   const struct moot_raft_restore *restore, struct moot_instant now,
                   struct moot_raft **out)
{
    MOOT_ASSERT(options->self != 0);
    MOOT_ASSERT(options->window > 0 && options->window <= RAFT_WINDOW_MAX);
    MOOT_ASSERT(options->append_entries_max > 0);
    MOOT_ASSERT(options->append_entries_max <= MOOT_RAFT_ENTRIES_PER_APPEND);
    MOOT_ASSERT(options->log_entries_max > 2 * RAFT_LOG_RESERVE);
    MOOT_ASSERT(options->heartbeat.ns > 0 && options->election_min.ns > options->heartbeat.ns);
    if (!restore_is_sound(options, restore)) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    struct moot_raft *raft = memory;
    memset(raft, 0, sizeof(*raft));
    raft->options = *options;
    raft->now = now;
    moot_rng_init(&raft->rng, moot_hash_mix(options->seed, options->self));
    raft->term = restore->term;
    raft->vote = restore->vote; /* Kept with its term: PITFALLS 9. */
    raft->hard_state_durable = restore->term;
    restore_log(raft, restore);
    raft->impaired = restore->impaired;
    raft->impaired_until = restore->impaired_until;
    if (raft->impaired && raft->impaired_until == UINT64_MAX) {
        raft->term++; /* See raft__maybe_repaired. Reported with the first step. */
        raft->vote = 0;
        raft->hard_state_dirty = true;
    }
    raft->role = MOOT_RAFT_FOLLOWER;
    raft__members_changed(raft);
    raft__reset_election(raft);
    moot_raft_check(raft);
    *out = raft;
    return 0;
}

/* ---- a log that is what it was ---- */

/* Alagappan et al., "Protocol-Aware Recovery", FAST 2018, section 3.4: a faulty entry that is given
 * back is no reason any more not to vote. Not before it is on disk: the next start would miss it
 * again, and what was promised meanwhile would rest on it. */
static void maybe_refilled(struct moot_raft *raft)
{
    if (!raft->impaired || raft->refilled == 0) {
        return;
    }
    if (MOOT_RULE(holes_filled_are_durable_first, raft->durable >= raft->refilled)) {
        RAFT_TRACE(raft, REFILL_DURABLE, raft->refilled);
        MOOT_SOMETIMES(true, "an impaired log was refilled without a leader");
        raft->impaired = false;
        raft->refilled = 0;
    }
}

static bool may_refill(const struct moot_raft *raft, moot_index first,
                       const struct moot_raft_entry *entries, uint64_t count)
{
    moot_term term = raft__log_last_term(raft);
    if (!raft->impaired || raft->role != MOOT_RAFT_FOLLOWER || raft->leader != 0 || count == 0 ||
        first != raft->last + 1 || count > raft__log_room(raft)) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (entries[i].term < term || entries[i].term > raft->term || entries[i].term == 0) {
            return false;
        }
        term = entries[i].term;
    }
    return true;
}

static int on_refill(struct moot_raft *raft, moot_index first,
                     const struct moot_raft_entry *entries, uint64_t count)
{
    if (!may_refill(raft, first, entries, count)) {
        return MOOT_FAIL(MOOT_EREFUSED);
    }
    RAFT_TRACE(raft, REFILLED, first, first + count - 1);
    bool members = false;
    for (uint64_t i = 0; i < count; i++) {
        raft__log_push(raft, entries[i].term, entries[i].size);
        if (entries[i].kind == MOOT_RAFT_ENTRY_MEMBERS) {
            raft__members_push(raft, raft->last, entries[i].members);
            members = true;
        }
    }
    if (members) {
        raft__members_changed(raft);
    }
    raft->refilled = raft->last;
    maybe_refilled(raft);
    return 0;
}

/* What the disk has. An acknowledgement names the term of the entry as it was appended: the place
 * may since have been truncated and written again, and then says nothing (ABA, PITFALLS 14). */
static void on_durable(struct moot_raft *raft, moot_index index, moot_term term)
{
    /* Entries and hard states go to disk in the order in which they were reported, so an entry of
     * a term is preceded by that term's hard state. */
    raft->hard_state_durable =
        moot_max_u64(raft->hard_state_durable, moot_min_u64(term, raft->term));
    moot_term own_term = 0;
    if (index > raft->durable) {
        bool reached = raft__log_term(raft, index, &own_term);
        if (!MOOT_RULE(raft_durable_term_matches, reached && own_term == term)) {
            RAFT_TRACE(raft, DURABLE_VOID, index, term);
            MOOT_SOMETIMES(true, "a void acknowledgement of the disk was ignored");
        } else {
            raft->durable = moot_min_u64(index, raft->last);
            RAFT_TRACE(raft, DURABLE, index, term);
        }
    }
    maybe_refilled(raft);
    raft__count_votes(raft);
    if (raft->role == MOOT_RAFT_LEADER) {
        raft__maybe_commit(raft);
    }
}

static int dispatch(struct moot_raft *raft, const struct moot_raft_event *event)
{
    switch (event->kind) {
    case MOOT_RAFT_EVENT_TICK:
        raft__on_tick(raft);
        return 0;
    case MOOT_RAFT_EVENT_RECEIVE:
        raft__on_receive(raft, event->message);
        return 0;
    case MOOT_RAFT_EVENT_DURABLE:
        on_durable(raft, event->durable.index, event->durable.term);
        return 0;
    case MOOT_RAFT_EVENT_APPLIED:
        MOOT_ASSERT(event->applied <= raft->commit);
        raft->applied = moot_max_u64(raft->applied, event->applied);
        return 0;
    case MOOT_RAFT_EVENT_SUBMIT:
        return raft__on_submit(raft, event->submit.size);
    case MOOT_RAFT_EVENT_READ:
        return raft__on_read(raft);
    case MOOT_RAFT_EVENT_MEMBERS:
        return raft__on_members(raft, &event->members);
    case MOOT_RAFT_EVENT_TRANSFER:
        return raft__on_transfer(raft, event->node);
    case MOOT_RAFT_EVENT_COMPACT:
        return raft__on_compact(raft, event->compact);
    case MOOT_RAFT_EVENT_SNAPSHOT_INSTALLED:
        return raft__on_installed(raft, event->installed.index, event->installed.term,
                                  &event->installed.members);
    case MOOT_RAFT_EVENT_SNAPSHOT_FAILED:
        raft__on_snapshot_failed(raft, event->node);
        return 0;
    case MOOT_RAFT_EVENT_PEER_LOST:
        raft__on_peer_lost(raft, event->node);
        return 0;
    case MOOT_RAFT_EVENT_STEP_DOWN:
        if (raft->role == MOOT_RAFT_LEADER) {
            struct raft_peer *successor = raft__best_successor(raft);
            if (successor != NULL) {
                raft__tell_to_campaign(raft, successor);
            }
            raft__step_down(raft, 1);
        }
        return 0;
    case MOOT_RAFT_EVENT_FLUSH:
        raft__on_flush(raft);
        return 0;
    case MOOT_RAFT_EVENT_REFILL:
        return on_refill(raft, event->refill.first, event->refill.entries, event->refill.count);
    default:
        return MOOT_FAIL(MOOT_EINVALID);
    }
}

int moot_raft_step(struct moot_raft *raft, const struct moot_raft_event *event,
                   struct moot_raft_effects *out)
{
    MOOT_ASSERT(raft->out == NULL);
    out->count = 0;
    raft->out = out;
    raft->now.ns = moot_max_u64(raft->now.ns, event->now.ns);
    raft->wall_ms = event->wall_ms;
    raft__clock_step(raft);
    raft__flush_hard_state(raft);
    int status = dispatch(raft, event);
    raft__flush_hard_state(raft);
    raft->out = NULL;
    MOOT_ASSERT(raft->commit <= raft->last);
    MOOT_ASSERT(raft->durable <= raft->last);
    MOOT_ASSERT(raft->applied <= raft->commit);
    return status;
}

struct moot_instant moot_raft_deadline(const struct moot_raft *raft)
{
    if (raft->role != MOOT_RAFT_LEADER) {
        return raft->election_deadline;
    }
    struct moot_instant next = moot_instant_min(raft->heartbeat_deadline, raft->round_widen);
    return raft->transfer_to == 0 ? next : moot_instant_min(next, raft->transfer_deadline);
}

moot_node_id moot_raft_leader(const struct moot_raft *raft) { return raft->leader; }
moot_term moot_raft_term(const struct moot_raft *raft) { return raft->term; }

void moot_raft_status(const struct moot_raft *raft, struct moot_raft_status *out)
{
    const struct moot_members *members = raft__members(raft);
    *out = (struct moot_raft_status){
        .role = raft->role,
        .term = raft->term,
        .leader = raft->leader,
        .vote = raft->vote,
        .first = raft->snapshot_index + 1,
        .last = raft->last,
        .durable = raft->durable,
        .commit = raft->commit,
        .applied = raft->applied,
        .round = raft->round_sent + 1,
        .leads_committed = raft__leads_committed(raft),
        .impaired = raft->impaired,
        .changing = raft__members_index(raft) > raft->commit || moot_members_is_joint(members),
        .clock_is_wrong = raft->clock_is_wrong,
        .transfer_to = raft->role == MOOT_RAFT_LEADER ? raft->transfer_to : 0,
        .members = members,
    };
}

bool moot_raft_progress(const struct moot_raft *raft, moot_node_id node,
                        struct moot_raft_progress *out)
{
    const struct raft_peer *peer = raft__peer(raft, node);
    if (peer == NULL || raft->role != MOOT_RAFT_LEADER) {
        return false;
    }
    *out = (struct moot_raft_progress){
        .match = peer->match,
        .next = peer->next,
        .applied = peer->applied,
        .active = raft__peer_is_active(raft, peer),
        .wants_snapshot = peer->state == RAFT_PEER_SNAPSHOT,
        .in_flight = peer->in_flight,
    };
    return true;
}

bool moot_raft_term_at(const struct moot_raft *raft, moot_index index, moot_term *term)
{
    return raft__log_term(raft, index, term);
}
