/* Membership and leadership: the directory's wishes brought about, a graceful stop. */
#include "base/assert.h"
#include "base/status.h"
#include "database/group/entry.h"
#include "database/node_internal.h"
#include "database/system/reconcile.h"

#include <string.h>

/* Ids are never used again: who was removed stays it. */
static void find_removed(struct moot_node *node)
{
    enum moot_node_state state = moot_directory_state(&node->directory, node->identity.node);
    bool removed = node->told_removed || state == MOOT_NODE_REMOVED;
    if (removed && !node->edge.is_removed) {
        moot_outbox_log(&node->outbox, MOOT_LOG_WARN,
                        MOOT_SLICE_LITERAL("this node was removed from the cluster: it serves no "
                                           "clients any more, and can be stopped"));
        node->edge.is_removed = true;
    }
}

/* The removal may have been committed while this node was cut off: then others have ended its
 * links, and nothing but their word tells it. They have proved the secret, and go by a committed
 * entry. */
void node__refused_by(struct moot_node *node, moot_node_id peer)
{
    enum moot_node_state state = moot_directory_state(&node->directory, peer);
    if (state != MOOT_NODE_REMOVED) { /* Else it is the one that was. */
        MOOT_SOMETIMES(!node->edge.is_removed, "a node was told that it is no member any more");
        node->told_removed = true;
        find_removed(node);
    }
}

/* A node's address never changes, so that is all there is. */
static bool differs(const struct moot_directory *directory, const struct moot_directory *before)
{
    bool differs = directory->count != before->count || directory->next != before->next;
    for (uint32_t i = 0; i < directory->count && !differs; i++) {
        differs = directory->nodes[i].address.node != before->nodes[i].address.node ||
                  directory->nodes[i].state != before->nodes[i].state;
    }
    return differs;
}

/* The directory follows what the system group has applied.
 *
 * A change is flushed soon: after a restart nothing is committed before a majority has met, and to
 * meet they need each other's addresses. Those of the first members stand in every identity; those
 * of later ones here, and until they are in the store in the log (node__late_addresses). */
void node__directory(struct moot_node *node)
{
    struct moot_group *system = node->groups[MOOT_GROUP_SYSTEM];
    if (!system->directory_changed || system->fenced || system->install.active) {
        return;
    }
    const struct moot_directory before = node->directory;
    int status = moot_directory_load(&node->directory, moot_engine_view(system->engine));
    if (status == MOOT_EWOULDBLOCK) {
        if (!system->stuck) {
            group__stick(system);
        }
        return;
    }
    if (status != 0) {
        group__rot(system, "the directory of nodes cannot be read");
        return;
    }
    system->directory_changed = false;
    node->directory_unflushed |= differs(&node->directory, &before);
    node->peers_told = false;
    find_removed(node);
}

/* The first leader of the system group writes down whom the cluster was formed of. */
static void form(struct moot_node *node)
{
    struct moot_group *system = node->groups[MOOT_GROUP_SYSTEM];
    if (node->directory.formed || !group__leads(system) ||
        node->edge.groups[MOOT_GROUP_SYSTEM].leader == 0 ||
        moot_instant_before(node->context.now.instant, node->form_next)) {
        return;
    }
    node->form_next = moot_instant_add(node->context.now.instant, moot_ms(MOOT_FORM_MS));
    static const char digits[] = "0123456789abcdef";
    struct moot_buffer bytes, text;
    moot_buffer_init(&bytes);
    moot_buffer_init(&text);
    moot_identity_encode(&node->identity, &bytes);
    for (size_t i = 0; i < bytes.size; i++) {
        char pair[2] = {digits[bytes.data[i] >> 4], digits[bytes.data[i] & 15]};
        moot_buffer_append(&text, pair, 2);
    }
    struct moot_slice args[2] = {MOOT_SLICE_LITERAL("moot.form"), moot_buffer_slice(&text)};
    moot_edge_own_command(&node->edge, MOOT_GROUP_SYSTEM, args, 2);
    moot_buffer_deinit(&bytes);
    moot_buffer_deinit(&text);
}

static uint32_t caught_up(const struct moot_group *group, struct moot_caught_up *out)
{
    uint32_t count = 0;
    for (uint8_t i = 0; i < group->members.learner_count; i++) {
        struct moot_raft_progress progress;
        moot_node_id node = group->members.learners[i];
        bool known = moot_raft_progress(group->raft, node, &progress);
        out[count++] = (struct moot_caught_up){
            node, known && progress.active && !progress.wants_snapshot &&
                      progress.match + MOOT_CAUGHT_UP_ENTRIES >= group->commit &&
                      progress.match > 0};
    }
    return count;
}

static void reconcile(struct moot_node *node, struct moot_group *group)
{
    struct moot_raft_status raft;
    moot_raft_status(group->raft, &raft);
    if (!group__leads(group) || raft.changing || !raft.leads_committed) {
        return;
    }
    struct moot_caught_up learners[MOOT_QUORUM_LEARNERS_MAX];
    uint32_t count = caught_up(group, learners);
    struct moot_reconcile next = moot_reconcile_next(&node->directory, &group->members,
                                                     node->identity.node, learners, count);
    if (next.kind == MOOT_RECONCILE_CHANGE) {
        int status = moot_group_change_members(group, &next.change);
        (void)status; /* Busy: it is tried again. */
        node->peers_told = false;
    }
}

/* Who leads a group and was removed may not know it: once it is no member of the system group it
 * hears no more of the directory, and would lead, and stay in its group, for ever. */
static void take_over(struct moot_node *node, struct moot_group *group)
{
    moot_node_id leader = group->fenced ? 0 : moot_raft_leader(group->raft);
    bool wanted = moot_directory_state(&node->directory, leader) == MOOT_NODE_REMOVED &&
                  leader != node->identity.node && !node->edge.is_removed &&
                  moot_members_has_voter(&group->members, node->identity.node);
    if (wanted && moot_instant_before(node->context.now.instant, node->take_over_at[group->id])) {
        return;
    }
    node->take_over_at[group->id] =
        moot_instant_add(node->context.now.instant, moot_ms(MOOT_TAKE_OVER_MS));
    if (wanted) {
        MOOT_SOMETIMES(true, "a leader that was removed was asked to hand over");
        struct moot_message message = {.kind = MOOT_MESSAGE_TRANSFER, .group = group->id};
        message.transfer_to = node->identity.node;
        struct moot_post post = {.to = leader, .message = &message};
        moot_outbox_post(&node->outbox, &post);
    }
}

void node__members_tick(struct moot_node *node)
{
    form(node);
    if (moot_instant_before(node->context.now.instant, node->reconcile_next)) {
        return;
    }
    node->reconcile_next = moot_instant_add(node->context.now.instant, moot_ms(MOOT_RECONCILE_MS));
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        struct moot_group *group = node->groups[id];
        reconcile(node, group);
        take_over(node, group);
        if (group->fenced || moot_raft_leader(group->raft) != 0) {
            node->led_at[id] = node->context.now.instant;
        }
    }
    node__peers_tick(node);
}

/* The edge sends to leaders in every round of a turn; the rest of what it knows of the groups only
 * matters when commands are executed: then all of it is as it is now. */
void node__tell_leaders(struct moot_node *node)
{
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        const struct moot_group *group = node->groups[id];
        if (node->edge.pump_count > 0) {
            moot_node_group(node, id, &node->edge.groups[id]);
        } else {
            node->edge.groups[id].leader = group->fenced ? 0 : moot_raft_leader(group->raft);
            node->edge.groups[id].term = moot_raft_term(group->raft);
        }
    }
}

/* A store that failed its checksum is given up when others lead all groups: they have what was
 * committed, and who is left of them can go on without this node. */
void node__rot_tick(struct moot_node *node)
{
    bool rotten = false, others_lead = true;
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        struct moot_group *group = node->groups[id];
        rotten = rotten || group->rotten;
        bool led = group->fenced ? group->others_lead
                                 : group->leader != 0 && group->leader != node->identity.node;
        others_lead = others_lead && led;
    }
    if (!rotten || node->fatal != 0) {
        return;
    }
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        if (group__leads(node->groups[id]) && node->groups[id]->members.voter_count > 1) {
            int status = moot_group_transfer(node->groups[id], 0);
            (void)status; /* Under way already. */
        }
    }
    if (MOOT_RULE(rot_gives_up_only_when_led, others_lead)) {
        node__fail(
            node, MOOT_ECORRUPT,
            "the store failed its checksum: it is set aside, and installed anew from others");
    }
}

bool node__hands_over(struct moot_node *node)
{
    bool leads = false;
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        struct moot_group *group = node->groups[id];
        if (group__leads(group) && group->members.voter_count > 1) {
            leads = true;
            int status = moot_group_transfer(group, 0);
            (void)status; /* Under way already. */
        }
    }
    return leads;
}

/* A graceful stop: leadership goes to others first, so that nobody waits for an election. */
void node__stop_tick(struct moot_node *node)
{
    if (!node->stopping || node->stopped) {
        return;
    }
    bool leads = node__hands_over(node);
    bool over = !moot_instant_before(node->context.now.instant, node->stop_by);
    if (!leads || over) {
        node->stopped = !moot_outbox_in_flight(&node->outbox) || over;
    }
}
