/* A planned restart of the brain within its process: the flight recorder wants to begin a file with
 * a fresh one (docs/decisions/recording-ring.md).
 *
 * In this order, each step while the node goes on as ever, and begun again when what it stands on
 * is no longer so:
 *
 *     wait      until the others are a majority without this node, nothing is under repair, and the
 *               disk has room
 *     turn over the journal goes on in a new file, and the store is flushed until nothing before it
 *               is needed: the next brain reads the journal, and all of it is recorded
 *     hand over what the node leads
 *     rest      no further command is begun; those under way are answered. When that takes too
 *               long, clients go on, and it is tried again later.
 *     stop      at a standstill: CLIENT_KEEP, STOP
 *
 * What is on its way to the journal then, as a follower, was not acknowledged yet. To the others
 * this is a restart like any other; the next brain is a new incarnation. */
#include "base/assert.h"
#include "database/node_internal.h"

/* Of the other voters as many have a link to this node as make a majority without it; or all of
 * them, where two nodes can never do without each other. */
static bool others_suffice(const struct moot_node *node, const struct moot_members *members)
{
    uint32_t others = 0, linked = 0;
    for (uint32_t i = 0; i < members->voter_count; i++) {
        moot_node_id voter = members->voters[i];
        others += voter != node->identity.node;
        linked += moot_peers_linked(&node->peers, voter);
    }
    uint32_t majority = members->voter_count / 2u + 1;
    return linked >= majority || linked == others;
}

/* May this node be gone for a moment? */
static bool may_go(const struct moot_node *node)
{
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        const struct moot_group *group = node->groups[id];
        struct moot_raft_status raft;
        moot_raft_status(group->raft, &raft);
        bool votes = moot_members_has_voter(&group->members, node->identity.node);
        bool led = !votes || group->leader != 0;
        bool busy = group->fenced || group->install.active || raft.impaired || raft.changing;
        if (!led || busy || (votes && !others_suffice(node, &group->members))) {
            return false;
        }
    }
    return !node->rotten && !node->disk_is_low; /* It takes a further file of the journal's. */
}

static void tell_that_it_waits(struct moot_node *node)
{
    struct moot_instant now = node->context.now.instant;
    if (node->reopen.wanted_since.ns == 0) {
        node->reopen.wanted_since = now;
    }
    bool long_ago =
        moot_instant_since(now, node->reopen.wanted_since).ns >= moot_ms(MOOT_REOPEN_TOLD_MS).ns;
    if (long_ago && !node->reopen.told) {
        node->reopen.told = true;
        moot_outbox_log(&node->outbox, MOOT_LOG_INFO,
                        moot_slice_text("the recording's next file waits: the others would be no "
                                        "majority without this node, or it is being repaired, or "
                                        "its disk is nearly full"));
    }
}

/* The journal has turned over to a new segment, and what lies before is in the store; or that takes
 * too long, and the next brain reads more. */
static bool is_prepared(struct moot_node *node)
{
    struct moot_instant now = node->context.now.instant;
    if (!node->reopen.turned) {
        node->reopen.turned = true;
        node->reopen.generation = moot_journal_turn_over(node->journal);
        node->reopen.turned_by = moot_instant_add(now, moot_ms(MOOT_REOPEN_TURN_MS));
    }
    bool unstored = false, wants_batch = false;
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        unstored = unstored || node->groups[id]->applied > node->groups[id]->flushed;
    }
    bool past = moot_journal_is_past(node->journal, node->reopen.generation,
                                     node->outbox.durable_batch, &wants_batch);
    bool over = !moot_instant_before(now, node->reopen.turned_by);
    MOOT_SOMETIMES(over && !past, "a planned restart did not wait for the journal");
    node->reopen.mark_due = !past && !over && wants_batch;
    node->reopen.flush_due = !past && !over && !wants_batch && unstored && !node->flushing;
    return past || over;
}

/* Everything goes on as ever. */
static void put_off(struct moot_node *node)
{
    if (node->edge.is_resting) {
        moot_edge_rest(&node->edge, false);
    }
    if (node->reopen.turned) {
        moot_journal_turn_back(node->journal);
    }
    node->reopen.turned = node->reopen.mark_due = node->reopen.flush_due = false;
}

void node__reopen_ends(struct moot_node *node)
{
    put_off(node);
    node->reopen.wanted = false;
}

void node__reopen_tick(struct moot_node *node)
{
    struct moot_instant now = node->context.now.instant;
    if (!node->reopen.wanted || node->stopping || node->stopped ||
        moot_instant_before(now, node->reopen.not_before)) {
        return;
    }
    if (!may_go(node)) {
        tell_that_it_waits(node);
        put_off(node);
        return;
    }
    bool ready = is_prepared(node) && !node__hands_over(node);
    bool is_resting = node->edge.is_resting;
    if (ready && !is_resting) {
        moot_edge_rest(&node->edge, true);
        node->reopen.rest_by = moot_instant_add(now, moot_ms(MOOT_REOPEN_REST_MS));
    } else if (is_resting && (!ready || !moot_instant_before(now, node->reopen.rest_by))) {
        MOOT_SOMETIMES(true, "a planned restart was put off");
        put_off(node);
        node->reopen.not_before = moot_instant_add(now, moot_ms(MOOT_REOPEN_AGAIN_MS));
    }
}

void node__reopen_end(struct moot_node *node, bool again)
{
    if (!node->reopen.wanted || !node->edge.is_resting || again || node->fatal != 0) {
        return;
    }
    bool leads = false; /* Since the tick, even. */
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        const struct moot_group *group = node->groups[id];
        leads = leads || (group__leads(group) && group->members.voter_count > 1);
    }
    if (!leads && moot_edge_is_at_rest(&node->edge)) {
        MOOT_SOMETIMES(true, "a brain came to rest, to be opened again");
        node->stopped = true;
    }
}

bool moot_node_take_spare(struct moot_node *node, char name[32])
{
    MOOT_ASSERT(node->stopped);
    return node->reopen.turned && moot_journal_take_spare(node->journal, name);
}
