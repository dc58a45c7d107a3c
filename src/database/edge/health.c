/* What the failure detectors think of other nodes, in the words of INFO, CLUSTER NODES and MOOT
 * STATUS. Advice: nothing here decides anything. */
#include "base/assert.h"
#include "database/edge/edge.h"

static const struct moot_peer_health *health_of(const struct moot_edge *edge, moot_node_id node)
{
    static const struct moot_peer_health nothing = {.state = MOOT_HEALTH_UNKNOWN};
    const struct moot_peer *peer = moot_peers_look(edge->peers, node);
    return peer == NULL ? &nothing : &peer->health;
}

enum moot_health edge__health(const struct moot_edge *edge, moot_node_id node, uint32_t *phi_milli)
{
    *phi_milli = 0;
    if (node == edge->identity->node) {
        return MOOT_HEALTH_ALIVE;
    }
    const struct moot_peer_health *health = health_of(edge, node);
    uint64_t age_ns = moot_instant_since(edge->now.instant, health->heard_of).ns;
    if (age_ns >= MOOT_HEALTH_STALE_MS * MOOT_MSEC_NS) {
        return MOOT_HEALTH_UNKNOWN; /* The detectors themselves are silent. */
    }
    *phi_milli = health->phi_milli;
    return health->state;
}

const char *edge__health_text(enum moot_health state)
{
    static const char *const texts[MOOT_HEALTH_STATES] = {"unknown", "alive", "suspect", "failed",
                                                          "left"};
    MOOT_ASSERT(state < MOOT_HEALTH_STATES);
    return texts[state];
}

/* Redis: "fail?" is what this node alone believes, "fail" what is agreed on. */
const char *edge__cluster_flag(const struct moot_edge *edge, moot_node_id node)
{
    uint32_t phi_milli;
    switch (edge__health(edge, node, &phi_milli)) {
    case MOOT_HEALTH_SUSPECT:
        return ",fail?";
    case MOOT_HEALTH_FAILED:
    case MOOT_HEALTH_LEFT:
        return ",fail";
    case MOOT_HEALTH_UNKNOWN: /* Redis' "handshake" is for nodes that nobody has taken in yet. */
        return moot_members_has_voter(edge->groups[MOOT_GROUP_DB0].members, node) ? ""
                                                                                  : ",handshake";
    case MOOT_HEALTH_ALIVE:
    case MOOT_HEALTH_STATES:
        break;
    }
    return "";
}

/* One decimal: 3.2 */
static void put_phi(struct moot_buffer *out, uint32_t phi_milli)
{
    moot_buffer_append_u64(out, phi_milli / 1000);
    moot_buffer_append_text(out, ".");
    moot_buffer_append_u64(out, phi_milli / 100 % 10);
}

static void put_field(struct moot_buffer *out, const char *name, uint64_t value)
{
    moot_buffer_append_text(out, name);
    moot_buffer_append_u64(out, value);
}

/* "low": growth is refused, for this disk or for others'; "full": a follower takes nothing. */
static const char *disk_text(const struct moot_edge *edge)
{
    return edge->disk_is_full ? "full" : edge->refuse_growth ? "low" : "ok";
}

void edge__info_peers(const struct moot_edge *edge, struct moot_buffer *out)
{
    for (uint32_t i = 0; i < edge->directory->count; i++) {
        const struct moot_directory_node *node = &edge->directory->nodes[i];
        moot_node_id id = node->address.node;
        if (id == edge->identity->node || node->state != MOOT_NODE_MEMBER) {
            continue;
        }
        uint32_t phi_milli;
        enum moot_health state = edge__health(edge, id, &phi_milli);
        put_field(out, "peer", id);
        moot_buffer_append_text(out, ":state=");
        moot_buffer_append_text(out, edge__health_text(state));
        moot_buffer_append_text(out, ",phi=");
        put_phi(out, phi_milli);
        put_field(out, ",round_trip_us=", health_of(edge, id)->round_trip_us);
        put_field(out, ",link=", moot_peers_linked(edge->peers, id));
        moot_buffer_append_text(out, "\r\n");
    }
    moot_buffer_append_text(out, "moot_disk:");
    moot_buffer_append_text(out, disk_text(edge));
    put_field(out, "\r\nmoot_disk_hangs:", edge->hand_overs.disk_hangs);
    put_field(out, "\r\nmoot_hand_overs:", edge->hand_overs.count);
    moot_buffer_append_text(out, "\r\nmoot_last_hand_over:");
    moot_buffer_append_text(out, edge->hand_overs.why);
    moot_buffer_append_text(out, "\r\n");
}

void edge__status_health(const struct moot_edge *edge, moot_node_id node, struct moot_buffer *out)
{
    uint32_t phi_milli;
    moot_buffer_append_text(out, ",\"health\": \"");
    moot_buffer_append_text(out, edge__health_text(edge__health(edge, node, &phi_milli)));
    put_field(out, "\",\"phi_milli\": ", phi_milli);
    put_field(out, ",\"round_trip_us\": ", health_of(edge, node)->round_trip_us);
}

/* The reason is this node's own sentence: no character of it needs escaping. */
void edge__status_hand_overs(const struct moot_edge *edge, struct moot_buffer *out)
{
    put_field(out, "\"hand_overs\": ", edge->hand_overs.count);
    moot_buffer_append_text(out, ",\"last_hand_over\": \"");
    moot_buffer_append_text(out, edge->hand_overs.why);
    moot_buffer_append_text(out, "\",\"disk\": \"");
    moot_buffer_append_text(out, disk_text(edge));
    moot_buffer_append_text(out, edge->hand_overs.disk_hangs ? "\",\"disk_hangs\": true,"
                                                             : "\",\"disk_hangs\": false,");
}
