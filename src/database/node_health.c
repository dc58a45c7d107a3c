/* What the failure detectors say, and a leader that is ill.
 *
 * Detectors live in the driver. What they say is kept for people and for routing, and forgotten
 * when they fall silent. The one thing that follows from it here is that a leader may *offer* its
 * office to another: by a transfer, which that one wins by an election like any other. So a lying
 * detector costs a pause, and nothing else.
 *
 * Gray failure (Huang et al., "Gray Failure: The Achilles' Heel of Cloud-Scale Systems", HotOS
 * 2017): what heartbeats cannot see. A leader whose disk hangs still beats, and its followers may
 * even commit without it, for as long as all of them are well; a leader behind a slow link makes
 * everybody wait. Both know it of themselves. */
#include "base/assert.h"
#include "base/status.h"
#include "database/node_internal.h"

static void put_ms(struct moot_buffer *out, uint64_t us)
{
    moot_buffer_append_u64(out, us / 1000);
    moot_buffer_append_text(out, " ms");
}

/* ---- what the driver says ---- */

static void tell(struct moot_node *node, const struct moot_input *input)
{
    struct moot_buffer line;
    moot_buffer_init(&line);
    moot_buffer_append_text(&line, "node ");
    moot_buffer_append_u64(&line, input->node);
    moot_buffer_append_text(&line, ": ");
    moot_buffer_append_text(&line, edge__health_text((enum moot_health)input->status));
    moot_buffer_append_text(&line, ", as far as the failure detectors can tell; phi ");
    moot_buffer_append_u64(&line, input->amount / 1000);
    moot_buffer_append_text(&line, ".");
    moot_buffer_append_u64(&line, input->amount / 100 % 10);
    bool well = input->status == MOOT_HEALTH_ALIVE || input->status == MOOT_HEALTH_LEFT;
    moot_outbox_log(&node->outbox, well ? MOOT_LOG_INFO : MOOT_LOG_WARN, moot_buffer_slice(&line));
    moot_buffer_deinit(&line);
}

void node__health(struct moot_node *node, const struct moot_input *input)
{
    MOOT_ASSERT(input->status >= 0);
    MOOT_ASSERT(input->status < MOOT_HEALTH_STATES);
    struct moot_peer *peer = moot_peers_find(&node->peers, input->node);
    if (peer == NULL) {
        return;
    }
    struct moot_peer_health *health = &peer->health;
    bool met = health->state == MOOT_HEALTH_UNKNOWN && input->status == MOOT_HEALTH_ALIVE;
    if (input->status != (int)health->state && input->status != MOOT_HEALTH_UNKNOWN && !met) {
        tell(node, input);
    }
    health->state = (enum moot_health)input->status;
    health->phi_milli = (uint32_t)moot_min_u64(input->amount, UINT32_MAX);
    health->round_trip_us = input->link.round_trip_us;
    health->others_us = input->link.others_us;
    health->heard_of = node->context.now.instant;
}

/* ---- handing over ---- */

static bool leads_others(const struct moot_node *node)
{
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        if (group__leads(node->groups[id]) && node->groups[id]->members.voter_count > 1) {
            return true;
        }
    }
    return false;
}

/* Offers all offices to `to` (0: whoever is best), for a reason that people will read. */
static void hand_over(struct moot_node *node, moot_node_id to, const struct moot_buffer *why)
{
    bool any = false;
    for (moot_group_id id = 0; id < MOOT_GROUPS_MAX; id++) {
        struct moot_group *group = node->groups[id];
        if (group__leads(group) && group->members.voter_count > 1) {
            any = moot_group_transfer(group, to) == 0 || any;
        }
    }
    if (!any) {
        return; /* Under way already, or there is nobody to take it. */
    }
    struct moot_edge_hand_overs *told = &node->edge.hand_overs;
    told->count++;
    size_t size = moot_min_u64(why->size, sizeof(told->why) - 1);
    memcpy(told->why, why->data, size);
    told->why[size] = '\0';
    struct moot_buffer line;
    moot_buffer_init(&line);
    moot_buffer_append_text(&line, "hands over leadership: ");
    moot_buffer_append_slice(&line, moot_buffer_slice(why));
    moot_outbox_log(&node->outbox, MOOT_LOG_WARN, moot_buffer_slice(&line));
    moot_buffer_deinit(&line);
}

/* ---- the disk ---- */

void node__disk_answered(struct moot_node *node)
{
    struct moot_instant now = node->context.now.instant;
    if (node->edge.hand_overs.disk_hangs) {
        node->edge.hand_overs.disk_hangs = false;
        struct moot_buffer line;
        moot_buffer_init(&line);
        moot_buffer_append_text(&line, "the journal's disk answers again, after ");
        put_ms(&line, moot_instant_since(now, node->disk_since).ns / 1000);
        moot_outbox_log(&node->outbox, MOOT_LOG_WARN, moot_buffer_slice(&line));
        moot_buffer_deinit(&line);
    }
    node->disk_since = now;
}

static void watch_disk(struct moot_node *node)
{
    struct moot_instant now = node->context.now.instant;
    if (!moot_outbox_in_flight(&node->outbox)) {
        node->disk_since = now;
        return;
    }
    uint64_t waits_ns = moot_instant_since(now, node->disk_since).ns;
    if (waits_ns < MOOT_DISK_HUNG_MS * MOOT_MSEC_NS || moot_instant_before(now, node->hung_next)) {
        return;
    }
    struct moot_buffer why;
    moot_buffer_init(&why);
    moot_buffer_append_text(&why, "the disk hangs: no journal write has become durable for ");
    put_ms(&why, waits_ns / 1000);
    if (!node->edge.hand_overs.disk_hangs) {
        node->edge.hand_overs.disk_hangs = true;
        moot_outbox_log(&node->outbox, MOOT_LOG_WARN, moot_buffer_slice(&why));
    }
    if (leads_others(node)) {
        MOOT_SOMETIMES(true, "a leader hands over because its disk hangs");
        hand_over(node, 0, &why);
        node->hung_next = moot_instant_add(now, moot_ms(MOOT_DISK_AGAIN_MS));
    }
    moot_buffer_deinit(&why);
}

/* Nobody knows who has space: each other voter is asked once, the next one first, and asks on when
 * it has none itself; so a node with space is found, and where there is none all come to rest. */
static void watch_space(struct moot_node *node)
{
    struct moot_instant now = node->context.now.instant;
    const struct moot_members *members = &node->groups[MOOT_GROUP_DB0]->members;
    if (!node->disk_is_low) {
        node->space_offers = 0;
        node->space_next =
            moot_instant_min(node->space_next, moot_instant_add(now, moot_ms(MOOT_DISK_AGAIN_MS)));
        return;
    }
    if (!leads_others(node) || moot_instant_before(now, node->space_next)) {
        return;
    }
    uint32_t own = 0;
    while (own < members->voter_count && members->voters[own] != node->identity.node) {
        own++;
    }
    node->space_offers++;
    if (node->space_offers >= members->voter_count) {
        node->space_offers = 0;
        node->space_next = moot_instant_add(now, moot_ms(MOOT_DISK_LOW_REST_MS));
        return;
    }
    MOOT_SOMETIMES(true, "a leader hands over because its disk is nearly full");
    struct moot_buffer why;
    moot_buffer_init(&why);
    moot_buffer_append_text(&why, "the disk is nearly full: MiB left: ");
    moot_buffer_append_u64(&why, node->free_bytes / 1024 / 1024);
    hand_over(node, members->voters[(own + node->space_offers) % members->voter_count], &why);
    node->space_next = moot_instant_add(now, moot_ms(MOOT_DISK_AGAIN_MS));
    moot_buffer_deinit(&why);
}

/* ---- the links ---- */

static bool is_fresh(const struct moot_node *node, const struct moot_peer *peer)
{
    uint64_t age_ns = moot_instant_since(node->context.now.instant, peer->health.heard_of).ns;
    return peer->linked && age_ns < MOOT_HEALTH_STALE_MS * MOOT_MSEC_NS;
}

/* How long a majority takes to answer this node: with three voters the quicker of two. And the
 * shortest way between two others, with who stands at one end of it. False: not known. */
static bool round_trips(const struct moot_node *node, uint32_t *own_us, uint32_t *others_us,
                        moot_node_id *quickest)
{
    const struct moot_members *members = &node->groups[MOOT_GROUP_DB0]->members;
    uint32_t sorted[MOOT_QUORUM_VOTERS_MAX], count = 0;
    *others_us = UINT32_MAX;
    for (uint8_t i = 0; i < members->voter_count; i++) {
        moot_node_id voter = members->voters[i];
        const struct moot_peer *peer = moot_peers_look(&node->peers, voter);
        if (peer == NULL || !is_fresh(node, peer)) {
            continue;
        }
        const struct moot_peer_health *health = &peer->health;
        if (health->others_us > 0 && health->others_us < *others_us) {
            *others_us = health->others_us;
            *quickest = voter;
        }
        if (health->round_trip_us == 0) {
            continue;
        }
        uint32_t at = count++;
        for (; at > 0 && sorted[at - 1] > health->round_trip_us; at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = health->round_trip_us;
    }
    uint32_t needed = members->voter_count / 2u;
    if (needed == 0 || count < needed || *others_us == UINT32_MAX) {
        return false;
    }
    *own_us = sorted[needed - 1];
    return true;
}

static void watch_links(struct moot_node *node)
{
    struct moot_instant now = node->context.now.instant;
    uint32_t own_us, others_us;
    moot_node_id quickest = 0;
    bool slow = leads_others(node) && round_trips(node, &own_us, &others_us, &quickest) &&
                own_us >= MOOT_LINK_SLOW_US && own_us / MOOT_LINK_SLOW_TIMES >= others_us;
    if (!slow) {
        node->slow_since = MOOT_NEVER;
        return;
    }
    node->slow_since = moot_instant_min(node->slow_since, now);
    if (moot_instant_since(now, node->slow_since).ns < MOOT_LINK_SLOW_MS * MOOT_MSEC_NS ||
        moot_instant_before(now, node->slow_next)) {
        return;
    }
    MOOT_SOMETIMES(true, "a leader hands over because its links are slow");
    struct moot_buffer why;
    moot_buffer_init(&why);
    moot_buffer_append_text(&why, "the links of this node are slow: a majority answers it in ");
    put_ms(&why, own_us);
    moot_buffer_append_text(&why, ", others each other in ");
    put_ms(&why, others_us);
    hand_over(node, quickest, &why);
    node->slow_next = moot_instant_add(now, moot_ms(MOOT_HAND_OVER_REST_MS));
    moot_buffer_deinit(&why);
}

/* Once a turn. A leader has turns often: its heartbeats and the reconciling of members see to it.
 */
void node__health_tick(struct moot_node *node)
{
    struct moot_instant now = node->context.now.instant;
    uint64_t turn_ns = moot_instant_since(now, node->health_ticked).ns;
    node->health_ticked = now;
    if (turn_ns >= MOOT_STOOD_STILL_MS * MOOT_MSEC_NS) {
        /* What answered meanwhile may be in the next turn's inputs. */
        node->disk_since = node->edge.hand_overs.disk_hangs ? node->disk_since : now;
        node->slow_since = MOOT_NEVER;
    }
    watch_disk(node);
    watch_space(node);
    watch_links(node);
}
