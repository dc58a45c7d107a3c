/* What a node knows of each other one, by id: a small table, where ids may be any.
 *
 * Ids are never used again, so a cluster that replaces nodes gets to ids far above the number of
 * its nodes. Whatever is kept for each peer stands in one row here, found by its id; rows are in
 * the order of ids, so that whoever walks them does the same on every run. The table is bounded:
 * node_peers.c makes rows, and gives up those of which nothing needs to be remembered.
 *
 * Who has no row: nothing was heard of it. */
#ifndef MOOT_DATABASE_PEERS_H
#define MOOT_DATABASE_PEERS_H

#include "base/limits.h"
#include "database/turn.h"

/* What the driver was told of a peer. */
enum moot_peer_wish {
    MOOT_PEER_NOTHING,
    MOOT_PEER_LINK,
    MOOT_PEER_TELL_REMOVED, /* It is dialed to hear that it was. */
    MOOT_PEER_REFUSE
};

/* What this node's failure detectors think of another. For people and routing. */
struct moot_peer_health {
    enum moot_health state;
    uint32_t phi_milli, round_trip_us, others_us;
    struct moot_instant heard_of; /* When the detectors last spoke of it. */
};

struct moot_peer {
    moot_node_id node;
    char address[MOOT_ADDRESS_MAX]; /* As the directory or the log has it; "": neither has. */
    bool linked;
    uint32_t level; /* The feature level that its release knows, as it said last; 0: not met. */
    struct moot_instant linked_at; /* When a link was last told to begin or end. */
    enum moot_peer_wish wish;
    bool tell_again;                 /* It has linked since. */
    struct moot_instant tell_until;  /* Who was removed is dialed to hear of it until then. */
    bool has_no_room;                /* It takes no entries: its disk is full. */
    struct moot_instant short_until; /* It said that it is short of space; holds until then. */
    struct moot_peer_health health;
};

struct moot_peers {
    struct moot_peer all[MOOT_PEERS_MAX]; /* By id. */
    uint32_t count;
};

/* NULL: it has no row. Good until a row is added or removed. */
struct moot_peer *moot_peers_find(struct moot_peers *peers, moot_node_id node);
const struct moot_peer *moot_peers_look(const struct moot_peers *peers, moot_node_id node);
static inline bool moot_peers_linked(const struct moot_peers *peers, moot_node_id node)
{
    const struct moot_peer *peer = moot_peers_look(peers, node);
    return peer != NULL && peer->linked;
}
/* Its row, or a new one; NULL: there is no room. */
struct moot_peer *moot_peers_add(struct moot_peers *peers, moot_node_id node);
void moot_peers_remove(struct moot_peers *peers, struct moot_peer *peer);

#endif
