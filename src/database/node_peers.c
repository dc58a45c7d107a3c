/* Whom the driver links with: a row for each peer, what is wished of it, and the driver told.
 *
 * Rows are made for who is listed in the directory, for who stands in a configuration in the log,
 * and for who links by itself. Those that were removed keep theirs while there is room, and so are
 * refused, and told, as ever; who was removed and has none gets one when it links. */
#include "base/assert.h"
#include "base/codec.h"
#include "database/group/entry.h"
#include "database/node_internal.h"

#include <string.h>

/* ---- rows ---- */

/* Nothing has to be remembered of it: it was removed and told so, or is a stranger that went. */
static bool is_idle(const struct moot_node *node, const struct moot_peer *peer)
{
    bool was_removed = moot_directory_state(&node->directory, peer->node) == MOOT_NODE_REMOVED;
    return !peer->linked && moot_directory_find(&node->directory, peer->node) == NULL &&
           (was_removed || peer->address[0] == '\0') &&
           (peer->wish == MOOT_PEER_REFUSE || peer->wish == MOOT_PEER_NOTHING);
}

/* NULL: so many strangers have links that there is no room. */
static struct moot_peer *row_of(struct moot_node *node, moot_node_id id)
{
    MOOT_ASSERT(id != node->identity.node);
    struct moot_peer *peer = moot_peers_add(&node->peers, id);
    for (uint32_t i = 0; peer == NULL && i < node->peers.count; i++) {
        if (is_idle(node, &node->peers.all[i])) {
            moot_peers_remove(&node->peers, &node->peers.all[i]);
            peer = moot_peers_add(&node->peers, id);
        }
    }
    return peer;
}

void node__link(struct moot_node *node, moot_node_id id, bool up, uint32_t level)
{
    bool may_be = up && id != 0 && id != node->identity.node;
    struct moot_peer *peer = may_be ? row_of(node, id) : moot_peers_find(&node->peers, id);
    if (peer != NULL) {
        peer->linked = up;
        peer->level = up ? level : peer->level;
        peer->linked_at = node->context.now.instant;
        peer->tell_again |= up; /* The driver may have forgotten what it was told. */
        node->peers_told = node->peers_told && !up;
    }
}

/* ---- addresses ---- */

/* A node's address never changes: whoever moves gets a new id. False: there is no room. */
static bool keep_address(struct moot_node *node, const struct moot_address *address)
{
    if (address->node == node->identity.node) {
        return true;
    }
    struct moot_peer *peer = row_of(node, address->node);
    if (peer != NULL && peer->address[0] == '\0') {
        memcpy(peer->address, address->peer, sizeof(peer->address));
        node->peers_told = false;
    }
    return peer != NULL;
}

static void take_addresses(struct moot_node *node, struct moot_slice entry)
{
    struct moot_entry envelope;
    if (moot_entry_decode(entry, &envelope) != 0) {
        return;
    }
    struct moot_reader reader = moot_reader_make(envelope.body);
    struct moot_members members;
    struct moot_address address;
    bool good = moot_members_decode(&reader, &members);
    while (good && moot_directory_next_address(&reader, &address)) {
        (void)keep_address(node, &address); /* It comes again with the directory. */
    }
}

/* A configuration is in force as soon as it is in the log, so its nodes may be needed to execute
 * anything at all; their addresses, which stand in executed log only, came with it. */
void node__late_addresses(struct moot_node *node)
{
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        struct moot_group *group = node->groups[id];
        if (!group->addresses_came) {
            continue;
        }
        group->addresses_came = false;
        moot_index last = moot_log_last(&group->log);
        for (moot_index index = group->log.first; index <= last; index++) {
            const struct moot_log_entry *entry = moot_log_at(&group->log, index);
            if (entry != NULL && entry->kind == MOOT_RAFT_ENTRY_MEMBERS) {
                take_addresses(node, moot_block_slice(entry->block));
            }
        }
    }
}

/* The group's configuration here may be an old one, or none, in which who leads it now never was:
 * and only the leader can bring a newer one. So whoever is without a leader for long refuses
 * nobody. */
static bool group_wants(const struct moot_node *node, moot_group_id id, moot_node_id peer)
{
    const struct moot_group *group = node->groups[id];
    struct moot_instant late = moot_instant_add(node->led_at[id], moot_ms(MOOT_UNLED_MS));
    bool unled = !node->edge.is_removed && !group->fenced &&
                 !moot_instant_before(node->context.now.instant, late);
    MOOT_SOMETIMES(unled, "without a leader, the link of a removed node is wanted");
    return unled || moot_members_has(&group->members, peer) ||
           (!group->fenced && moot_raft_leader(group->raft) == peer);
}

/* A removed node may still have to hand over, and be told so: its link ends only when no group has
 * it any more. */
static bool is_wanted(const struct moot_node *node, moot_node_id peer)
{
    bool wanted = moot_directory_state(&node->directory, peer) == MOOT_NODE_MEMBER;
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX && !wanted; id++) {
        wanted = group_wants(node, id, peer);
    }
    return wanted;
}

/* A machine that lost its disk comes back where it was, as another node. */
static bool address_is_taken(const struct moot_directory *directory,
                             const struct moot_peer *removed)
{
    for (uint32_t i = 0; i < directory->count; i++) {
        const struct moot_directory_node *node = &directory->nodes[i];
        if (node->state == MOOT_NODE_MEMBER && strcmp(node->address.peer, removed->address) == 0) {
            return true;
        }
    }
    return false;
}

/* Who was cut off while it was removed may know nobody any more who is a member: it is dialed to
 * hear of it, for a while, where its address is known. Who came by itself is linked without. */
static enum moot_peer_wish wish_for(struct moot_node *node, struct moot_peer *peer)
{
    bool known = peer->address[0] != '\0';
    bool unnamed = moot_directory_state(&node->directory, peer->node) == MOOT_NODE_UNKNOWN;
    MOOT_SOMETIMES(unnamed && known, "a member's address was known from the log alone");
    if (unnamed || is_wanted(node, peer->node)) {
        return known ? MOOT_PEER_LINK : peer->linked ? MOOT_PEER_NOTHING : peer->wish;
    }
    if (peer->wish == MOOT_PEER_NOTHING || peer->wish == MOOT_PEER_LINK) {
        peer->tell_until =
            moot_instant_add(node->context.now.instant, moot_ms(MOOT_TELL_REMOVED_MS));
    }
    bool over = !known || !moot_instant_before(node->context.now.instant, peer->tell_until) ||
                address_is_taken(&node->directory, peer);
    return over || node->edge.is_removed ? MOOT_PEER_REFUSE : MOOT_PEER_TELL_REMOVED;
}

static void tell(struct moot_node *node, struct moot_peer *peer, enum moot_peer_wish wish)
{
    bool again = peer->tell_again && peer->wish == wish && wish != MOOT_PEER_LINK;
    bool changed = peer->wish != wish;
    peer->tell_again = false;
    peer->wish = wish;
    if ((!changed && !again) || wish == MOOT_PEER_NOTHING) {
        return;
    }
    MOOT_SOMETIMES(again, "a removed node was linked with, and told again");
    struct moot_effect *effect = moot_outbox_effect(&node->outbox, MOOT_EFFECT_PEER);
    effect->peer.node = peer->node;
    effect->peer.address =
        wish == MOOT_PEER_REFUSE
            ? (struct moot_slice){NULL, 0}
            : moot_arena_copy(&node->outbox.arena, moot_slice_text(peer->address));
    effect->peer.is_removed = wish != MOOT_PEER_LINK;
}

void node__tell_peers(struct moot_node *node)
{
    if (node->peers_told) {
        return;
    }
    bool all = true;
    for (uint32_t i = 0; i < node->directory.count; i++) {
        all = keep_address(node, &node->directory.nodes[i].address) && all;
    }
    for (uint32_t i = 0; i < node->peers.count; i++) {
        tell(node, &node->peers.all[i], wish_for(node, &node->peers.all[i]));
    }
    node->peers_told = all;
}

/* A link proves the secret, and no more: who holds it and is neither in the directory nor in a
 * group's configuration had a place once, or never. Not at once: a node that has just joined, or a
 * newer member that stands only in the log, becomes known by what its link brings. */
static bool is_stranger(const struct moot_node *node, moot_node_id id)
{
    return moot_directory_state(&node->directory, id) == MOOT_NODE_UNKNOWN &&
           !moot_members_has(&node->groups[MOOT_GROUP_SYSTEM]->members, id) &&
           !moot_members_has(&node->groups[MOOT_GROUP_DB0]->members, id);
}

static void end_stranger(struct moot_node *node, struct moot_peer *peer)
{
    struct moot_instant over = moot_instant_add(peer->linked_at, moot_ms(MOOT_STRANGER_MS));
    if (peer->linked && !moot_instant_before(node->context.now.instant, over) &&
        is_stranger(node, peer->node)) {
        MOOT_SOMETIMES(true, "the link of a node that nobody names was ended");
        peer->linked_at = node->context.now.instant;
        struct moot_effect *effect = moot_outbox_effect(&node->outbox, MOOT_EFFECT_PEER);
        effect->peer.node = peer->node;
        effect->peer.address = (struct moot_slice){NULL, 0};
        effect->peer.is_removed = false;
    }
}

void node__peers_tick(struct moot_node *node)
{
    for (uint32_t i = 0; i < node->peers.count; i++) {
        struct moot_peer *peer = &node->peers.all[i];
        end_stranger(node, peer);
        /* A removal that is complete ends the link. */
        node->peers_told = node->peers_told &&
                           moot_directory_state(&node->directory, peer->node) != MOOT_NODE_REMOVED;
    }
}
