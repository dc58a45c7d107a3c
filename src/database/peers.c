#include "database/peers.h"

#include <string.h>

#include "base/assert.h"

/* Where the id's row is, or would be. */
static uint32_t place_of(const struct moot_peers *peers, moot_node_id node)
{
    uint32_t low = 0, high = peers->count;
    MOOT_ASSERT(peers->count <= MOOT_PEERS_MAX);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (peers->all[middle].node < node) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct moot_peer *moot_peers_look(const struct moot_peers *peers, moot_node_id node)
{
    uint32_t at = place_of(peers, node);
    return at < peers->count && peers->all[at].node == node ? &peers->all[at] : NULL;
}

struct moot_peer *moot_peers_find(struct moot_peers *peers, moot_node_id node)
{
    return (struct moot_peer *)moot_peers_look(peers, node);
}

struct moot_peer *moot_peers_add(struct moot_peers *peers, moot_node_id node)
{
    uint32_t at = place_of(peers, node);
    MOOT_ASSERT(node != 0);
    struct moot_peer *peer = &peers->all[at];
    if (at < peers->count && peer->node == node) {
        return peer;
    }
    if (peers->count == MOOT_PEERS_MAX) {
        return NULL;
    }
    memmove(peer + 1, peer, (peers->count - at) * sizeof(*peer));
    peers->count++;
    *peer = (struct moot_peer){.node = node};
    return peer;
}

void moot_peers_remove(struct moot_peers *peers, struct moot_peer *peer)
{
    size_t at = (size_t)(peer - peers->all);
    MOOT_ASSERT(at < peers->count);
    peers->count--;
    memmove(peer, peer + 1, (peers->count - at) * sizeof(*peer));
}
