/* Room on the disks: what a node does when its own is nearly full, or full, and what a leader does
 * when the others' are.
 *
 *   - nearly full (the low-water mark): a leader refuses growth and offers its office to the
 *     others. A follower takes what the leader's log has, and tells the leader once a second. A
 *     leader of whose voters fewer than a majority have space refuses growth, too: what is left
 *     admits deletes, and what the log itself needs.
 *   - full (a quarter of that mark): a follower takes no further entries, and so acknowledges none;
 *     nor is it sent any. It keeps what it has, follows, votes, answers for what it has
 *     acknowledged, and its clients are served through the leader. With space again it takes what
 *     it lacks.
 *
 * So neither the store, which cannot take back a write that failed, nor the journal meets the end
 * of the disk, unless something else takes all the rest within a second; the journal waits then
 * (host/journal_thread.c), and a store that cannot write ends the process:
 * docs/decisions/full-disks.md.
 */
#include "base/assert.h"
#include "base/limits.h"
#include "base/rule.h"
#include "database/node_internal.h"

static void tell(struct moot_node *node, const char *text)
{
    moot_outbox_log(&node->outbox, MOOT_LOG_WARN, moot_slice_text(text));
}

static void set_low(struct moot_node *node, bool low)
{
    if (low != node->disk_is_low) {
        node->disk_is_low = low;
        tell(node,
             low ? "the disk is nearly full: growth is refused, deletes and reads go on; free "
                   "some space"
                 : "the disk has space again: growth is allowed");
    }
}

static void set_full(struct moot_node *node, bool full)
{
    if (full != node->context.disk_is_full) {
        node->context.disk_is_full = full;
        tell(node, full
                       ? "the disk is full: as a follower this node takes and acknowledges nothing "
                         "new until there is space; it keeps what it has"
                       : "the disk is no longer full: this node takes new entries again");
    }
}

static void set_refusal(struct moot_node *node)
{
    bool refuse = node->disk_is_low || node->is_crowded;
    node->context.refuse_growth = node->edge.refuse_growth = refuse;
    node->edge.disk_is_full = node->context.disk_is_full;
}

void node__space(struct moot_node *node, uint64_t free_bytes, uint64_t disk_bytes)
{
    uint64_t mark = (uint64_t)MOOT_DISK_LOW_MIB * 1024 * 1024;
    if (disk_bytes > 0) {
        mark = moot_min_u64(mark, disk_bytes / MOOT_DISK_LOW_PART);
    }
    /* Out of it only well above it: what it lacks comes at once. */
    uint64_t full_mark = mark / MOOT_DISK_FULL_PART * (node->context.disk_is_full ? 2 : 1);
    node->free_bytes = node->edge.free_bytes = free_bytes;
    set_low(node, free_bytes < mark);
    set_full(node, free_bytes < full_mark);
    set_refusal(node);
}

/* ---- the others ---- */

void node__room_of(struct moot_node *node, moot_node_id from, enum moot_room room)
{
    struct moot_peer *peer = moot_peers_find(&node->peers, from);
    if (peer != NULL) {
        uint64_t holds_ms = room != MOOT_ROOM_ENOUGH ? MOOT_DISK_WORD_MS : 0;
        peer->short_until = moot_instant_add(node->context.now.instant, moot_ms(holds_ms));
        peer->has_no_room = room == MOOT_ROOM_NONE;
    }
}

static bool is_short(const struct moot_node *node, const struct moot_peer *peer)
{
    return peer != NULL && moot_instant_before(node->context.now.instant, peer->short_until);
}

/* Who says nothing any more is sent entries again, and drops them, or takes them. */
static void forget_room(struct moot_node *node)
{
    for (uint32_t i = 0; i < node->peers.count; i++) {
        struct moot_peer *peer = &node->peers.all[i];
        peer->has_no_room &= is_short(node, peer);
    }
}

static bool has_space(const struct moot_node *node, moot_node_id voter)
{
    struct moot_raft_progress progress;
    if (voter == node->identity.node) {
        return !node->disk_is_low;
    }
    return moot_raft_progress(node->groups[MOOT_GROUP_DB0]->raft, voter, &progress) &&
           progress.active && !is_short(node, moot_peers_look(&node->peers, voter));
}

/* Some are short of space, and fewer than a majority are not. */
static bool is_crowded(const struct moot_node *node)
{
    const struct moot_members *members = &node->groups[MOOT_GROUP_DB0]->members;
    uint32_t with_space = 0;
    bool any = false;
    for (uint8_t i = 0; i < members->voter_count; i++) {
        any = any || is_short(node, moot_peers_look(&node->peers, members->voters[i]));
    }
    for (uint8_t i = 0; any && i < members->voter_count; i++) {
        with_space += has_space(node, members->voters[i]);
    }
    return any && with_space < members->voter_count / 2u + 1;
}

void node__space_tick(struct moot_node *node)
{
    struct moot_instant now = node->context.now.instant;
    struct moot_group *db0 = node->groups[MOOT_GROUP_DB0];
    bool leads = group__leads(db0);
    forget_room(node);
    bool crowded = leads && is_crowded(node);
    if (crowded && !node->is_crowded) {
        MOOT_SOMETIMES(true, "a leader with space refused growth for others that have none");
        tell(node, "the disks of others are nearly full, and fewer than a majority have space: "
                   "growth is refused, deletes and reads go on; free some space");
    }
    node->is_crowded = crowded;
    set_refusal(node);
    enum moot_room room = node->context.disk_is_full ? MOOT_ROOM_NONE
                          : node->disk_is_low        ? MOOT_ROOM_LOW
                                                     : MOOT_ROOM_ENOUGH;
    bool due = room != node->room_told ||
               (room != MOOT_ROOM_ENOUGH && !moot_instant_before(now, node->space_told));
    if (due && !leads && db0->leader != 0 && !db0->fenced) {
        node->room_told = room;
        node->space_told = moot_instant_add(now, moot_ms(MOOT_DISK_TELL_MS));
        struct moot_message message = {
            .kind = MOOT_MESSAGE_ROOM, .group = MOOT_GROUP_DB0, .room = room};
        group__post(db0, db0->leader, &message, NULL);
    }
}
