/* Which nodes we keep a link to, who dials, and what the brain is told of it.
 *
 * Of two nodes the one with the lower id dials, so that there is one link, not two or none; it
 * dials until it succeeds, with exponential back-off and full jitter, so that a node that comes
 * back is not met by everybody at once. The other one dials only after a long silence: the lower id
 * may not know its address. (A node that restarts knows whom it had applied; a newer member stands
 * in its log only, and its vote may be what is needed to commit that.) A link that is accepted
 * replaces an older one from the same node: the other side knows better whether that one still
 * lives. */
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/status.h"
#include "host/link.h"
#include "host/pulse.h"
#include "host/say.h"
#include "host/swim_udp.h"

struct peer {
    uv_timer_t redial;
    struct moot_loop *loop;
    moot_node_id node;
    char address[MOOT_ADDRESS_MAX]; /* Empty: not to be dialed. */
    bool refused;                   /* The brain wants no link to it, */
    bool removed;                   /* because it was removed: it is told so, and dialed for that
                                       when there is an address. */
    uint64_t incarnation;           /* Greatest seen in this process. */
    struct link *up, *dialing;
    uint64_t up_since_ns;
    uint32_t attempts; /* Since a link last held. */
    bool told_failure; /* One line a silence, not one a dial. */
    bool told_up;      /* Of the link that is up. */
    struct pulse pulse;
};

static struct peer *find_peer(struct moot_loop *loop, moot_node_id node)
{
    for (uint32_t i = 0; i < loop->peers.count; i++) {
        if (loop->peers.all[i]->node == node) {
            return loop->peers.all[i];
        }
    }
    return NULL;
}

/* One that only is refused: its place is needed. The brain says it again, should it ever link. */
static struct peer *take_place(struct moot_loop *loop)
{
    for (uint32_t i = 0; i < loop->peers.count; i++) { /* In turn: the newest stay longest. */
        loop->peers.taken = (loop->peers.taken + 1) % loop->peers.count;
        struct peer *peer = loop->peers.all[loop->peers.taken];
        if (peer->up == NULL && peer->dialing == NULL && peer->address[0] == '\0') {
            MOOT_ASSERT(!uv_is_active((uv_handle_t *)&peer->redial));
            uv_timer_t redial = peer->redial; /* A handle that libuv has in its lists stays. */
            *peer = (struct peer){.redial = redial};
            return peer;
        }
    }
    return NULL;
}

static struct peer *add_peer(struct moot_loop *loop, moot_node_id node)
{
    struct peer *peer = NULL;
    if (loop->peers.count < MOOT_PEERS_MAX) {
        peer = moot_alloc_zero(sizeof(*peer));
        uv_timer_init(&loop->uv, &peer->redial);
        peer->redial.data = peer;
        loop->peers.all[loop->peers.count++] = peer;
    } else if ((peer = take_place(loop)) == NULL) {
        host__say(MOOT_LOG_ERROR, "node %u: no room for links with more than %d nodes", node,
                  MOOT_PEERS_MAX);
        return NULL;
    }
    peer->loop = loop;
    peer->node = node;
    pulse__init(&peer->pulse, loop__now_ns());
    return peer;
}

static bool is_ours_to_dial(const struct peer *peer)
{
    return peer->loop->options.identity->node < peer->node;
}

static void on_redial(uv_timer_t *timer)
{
    struct peer *peer = timer->data;
    if (peer->up == NULL && peer->dialing == NULL && peer->address[0] != '\0') {
        peer->dialing = link__dial(peer->loop, peer, peer->node, peer->address);
    }
}

/* Full jitter: anywhere in [0, cap), the cap doubling (Brooker, "Exponential Backoff And Jitter").
 */
static void dial_later(struct peer *peer)
{
    if (peer->address[0] == '\0') {
        return;
    }
    uint64_t cap_ms = MOOT_REDIAL_MAX_MS;
    if (peer->refused) {
        cap_ms = MOOT_REDIAL_REMOVED_MS;
    }
    if (peer->attempts < 11) {
        cap_ms = moot_min_u64(cap_ms, (uint64_t)MOOT_REDIAL_MIN_MS << peer->attempts);
    }
    uint64_t wait_ms = peer->attempts == 0 ? 0 : moot_rng_below(&peer->loop->rng, cap_ms) + 1;
    if (!is_ours_to_dial(peer) && !peer->refused) {
        wait_ms += MOOT_REDIAL_SILENCE_MS;
    }
    peer->attempts++;
    uv_timer_start(&peer->redial, on_redial, wait_ms, 0);
}

static void tell_down(struct peer *peer, int status)
{
    struct moot_input *input = loop__input(peer->loop, MOOT_INPUT_PEER_DOWN);
    input->node = peer->node;
    input->status = status;
    pulse__link_ended(&peer->pulse);
}

static void tell_up(struct peer *peer)
{
    const struct moot_peer_identity *who = &peer->up->identity;
    peer->told_up = true;
    peer->told_failure = false;
    host__say(MOOT_LOG_INFO, "node %u: link up (%s, incarnation %llu)", who->node, who->address,
              (unsigned long long)who->incarnation);
}

/* ---- what links tell ---- */

/* It may have missed its removal, and would try for ever. */
static void say_removed(struct link *link)
{
    struct moot_beat beat = {MOOT_BEAT_REMOVED, 0, 0};
    link__send_beat(link, &beat);
}

/* The link is closed by whoever made it. */
static void dialed_in_vain(struct peer *peer, const struct link *link)
{
    if (peer->dialing == link) {
        peer->dialing = NULL;
        dial_later(peer);
    }
}

bool peers__link_up(struct moot_loop *loop, struct link *link)
{
    const struct moot_peer_identity *who = &link->identity;
    if (who->purpose != MOOT_LINK_PEER || who->node == 0 || who->node > MOOT_NODE_ID_MAX) {
        return false; /* Joining goes by the client port, and gives no greater number. */
    }
    struct peer *peer = link->peer != NULL ? link->peer : find_peer(loop, who->node);
    if (peer == NULL) {
        peer = add_peer(loop, who->node); /* It proved the secret; the brain will know it soon. */
    }
    if (peer != NULL && peer->removed) {
        say_removed(link);
    }
    if (peer == NULL) {
        return false;
    }
    if (peer->refused) {
        dialed_in_vain(peer, link);
        return false;
    }
    MOOT_ASSERT(peer->node == who->node);
    if (who->incarnation < peer->incarnation) {
        host__say(MOOT_LOG_WARN,
                  "node %u at %s: refused: its incarnation %llu is older than %llu, seen before; a "
                  "node that lost its disk must come back by --join",
                  who->node, who->address, (unsigned long long)who->incarnation,
                  (unsigned long long)peer->incarnation);
        dialed_in_vain(peer, link);
        return false;
    }
    if (peer->up != NULL) {
        link__close(peer->up);
        tell_down(peer, 0);
    }
    if (peer->dialing != NULL && peer->dialing != link) {
        link__close(peer->dialing);
    }
    uv_timer_stop(&peer->redial);
    peer->dialing = NULL;
    peer->up = link;
    link->peer = peer;
    peer->up_since_ns = loop__now_ns();
    pulse__link_begins(&peer->pulse, peer->up_since_ns);
    peer->incarnation = who->incarnation;
    peer->told_up = false;
    if (peer->attempts <= MOOT_DIALS_TOLD) {
        tell_up(peer);
    }
    struct moot_input *input = loop__input(loop, MOOT_INPUT_PEER_UP);
    input->node = peer->node;
    input->amount = who->incarnation;
    input->status = (int)moot_min_u64(who->feature_level, INT32_MAX);
    return true;
}

void peers__link_down(struct moot_loop *loop, struct link *link, int status, const char *why)
{
    struct peer *peer = link->peer;
    if (peer == NULL) {
        uint64_t now = loop__now_ns();
        if (status != 0 &&
            now >= loop->peers.stranger_told_ns + MOOT_STRANGER_TOLD_MS * MOOT_MSEC_NS) {
            loop->peers.stranger_told_ns = now;
            host__say(MOOT_LOG_WARN, "a stranger's link ended in its handshake: %s", why);
        }
        return;
    }
    if (peer->up == link) {
        peer->up = NULL;
        if (peer->told_up) {
            host__say(MOOT_LOG_WARN, "node %u: link down: %s", peer->node, why);
        }
        tell_down(peer, status);
    } else if (!peer->told_failure && !peer->refused) {
        peer->told_failure = true;
        host__say(MOOT_LOG_WARN, "node %u at %s: no link: %s; trying on", peer->node, peer->address,
                  why);
    }
    if (peer->dialing == link) {
        peer->dialing = NULL;
    }
    dial_later(peer);
}

/* ---- how the others are ---- */

void peers__link_heard(struct link *link, const struct moot_beat *beat)
{
    struct peer *peer = link->peer;
    if (peer == NULL || peer->up != link) {
        return;
    }
    uint64_t now = loop__now_ns();
    pulse__heard(&peer->pulse, now);
    if (beat != NULL && beat->kind == MOOT_BEAT_ASK) {
        peer->pulse.others_us = beat->others_us;
        struct moot_beat echo = {MOOT_BEAT_ECHO, beat->number, 0};
        link__send_beat(link, &echo);
    } else if (beat != NULL && beat->kind == MOOT_BEAT_LEAVE) {
        peer->pulse.left = true;
    } else if (beat != NULL && beat->kind == MOOT_BEAT_REMOVED) {
        link__refused(link, "this node was removed from the cluster");
    } else if (beat != NULL) {
        (void)pulse__echo(&peer->pulse, beat, now);
    }
}

/* The shortest round trip with somebody other than `peer`; 0: none is known. */
static uint32_t others_us(const struct moot_loop *loop, const struct peer *peer)
{
    uint32_t least = 0;
    for (uint32_t i = 0; i < loop->peers.count; i++) {
        uint32_t took_us = loop->peers.all[i]->pulse.round_trip_us;
        bool counts = loop->peers.all[i] != peer && took_us > 0;
        if (counts && (least == 0 || took_us < least)) {
            least = took_us;
        }
    }
    return least;
}

static void on_beat(uv_timer_t *timer)
{
    struct moot_loop *loop = timer->data;
    uint64_t now = loop__now_ns();
    struct moot_duration lost =
        moot_observer_tick(&loop->peers.observer, (struct moot_instant){now});
    for (uint32_t i = 0; i < loop->peers.count; i++) {
        struct peer *peer = loop->peers.all[i];
        enum moot_swim_state swim;
        bool known = swim_udp__state(loop->swim, peer->node, &swim);
        pulse__excuse(&peer->pulse, now, lost.ns);
        uint32_t phi_milli = pulse__phi_milli(&peer->pulse, now);
        struct moot_input *input = loop__input(loop, MOOT_INPUT_HEALTH);
        input->node = peer->node;
        input->status =
            pulse__judge(known ? &swim : NULL, peer->up != NULL, peer->pulse.heard, phi_milli);
        if (peer->pulse.left) {
            input->status = MOOT_HEALTH_LEFT; /* SWIM may hear of it late, or not at all. */
        }
        input->amount = phi_milli;
        input->link.round_trip_us = peer->pulse.round_trip_us;
        input->link.others_us = peer->pulse.others_us;
    }
    /* Sending may end a link, and says so by inputs of its own. */
    for (uint32_t i = 0; i < loop->peers.count; i++) {
        struct peer *peer = loop->peers.all[i];
        if (peer->up != NULL) {
            struct moot_beat beat = {MOOT_BEAT_ASK, now / MOOT_USEC_NS, others_us(loop, peer)};
            link__send_beat(peer->up, &beat);
        }
    }
}

void peers__leave(struct moot_loop *loop)
{
    for (uint32_t i = 0; i < loop->peers.count; i++) {
        struct link *link = loop->peers.all[i]->up;
        if (link != NULL) {
            struct moot_beat goodbye = {MOOT_BEAT_LEAVE, 0, 0};
            link__send_beat(link, &goodbye);
        }
    }
}

/* ---- effects ---- */

static void end_links(struct peer *peer)
{
    if (peer->dialing != NULL) {
        link__close(peer->dialing);
        peer->dialing = NULL;
    }
    if (peer->up != NULL && peer->removed) {
        say_removed(peer->up); /* Which may end the link itself. */
    }
    if (peer->up != NULL) {
        link__close(peer->up);
        peer->up = NULL;
        tell_down(peer, MOOT_ENOTFOUND);
    }
    uv_timer_stop(&peer->redial);
}

void peers__effect_peer(struct moot_loop *loop, const struct moot_effect *effect)
{
    struct moot_slice address = effect->peer.address;
    MOOT_ASSERT(address.size < MOOT_ADDRESS_MAX);
    if (effect->peer.node == loop->options.identity->node) {
        return;
    }
    struct peer *peer = find_peer(loop, effect->peer.node);
    if (peer == NULL) {
        peer = add_peer(loop, effect->peer.node);
    }
    bool refused = address.size == 0 || effect->peer.is_removed;
    if (peer == NULL ||
        (!peer->refused && !refused && moot_slice_equal(address, moot_slice_text(peer->address)))) {
        return;
    }
    memcpy(peer->address, address.data == NULL ? (const uint8_t *)"" : address.data, address.size);
    peer->address[address.size] = '\0';
    peer->refused = refused;
    peer->removed = effect->peer.is_removed;
    swim_udp__member(loop->swim, peer->node, refused ? "" : peer->address);
    if (peer->refused) {
        end_links(peer);
        peer->attempts = 1; /* Who had a link has been told. */
        dial_later(peer);
    } else if (peer->up == NULL) {
        end_links(peer); /* Perhaps one to an old address. */
        peer->attempts = 0;
        dial_later(peer);
    }
}

void peers__effect_send(struct moot_loop *loop, const struct moot_effect *effect)
{
    /* Nothing leaves before what it depends on is durable. */
    moot_ticket pending = journal_thread__oldest_pending(loop->journal);
    MOOT_ASSERT(pending == 0 || effect->send.after < pending);
    struct peer *peer = find_peer(loop, effect->send.node);
    if (peer == NULL || peer->up == NULL) {
        return;
    }
    link__send(peer->up, effect);
    if (!peer->up->dirty) {
        peer->up->dirty = true;
        peer->up->dirty_next = loop->peers.dirty;
        loop->peers.dirty = peer->up;
    }
}

void peers__flush(struct moot_loop *loop)
{
    while (loop->peers.dirty != NULL) {
        struct link *link = loop->peers.dirty;
        loop->peers.dirty = link->dirty_next;
        link->dirty = false;
        link__flush(link);
    }
}

/* ---- life ---- */

static void on_connection(uv_stream_t *listener, int status)
{
    if (status == 0) {
        link__accept(listener->loop->data, listener);
    }
}

void peers__init(struct moot_loop *loop)
{
    if (loop->options.peer_fd < 0) {
        return;
    }
    int failed = uv_tcp_init(&loop->uv, &loop->peers.listener);
    failed |= uv_tcp_open(&loop->peers.listener, loop->options.peer_fd);
    failed |= uv_listen((uv_stream_t *)&loop->peers.listener, MOOT_NODES_MAX, on_connection);
    MOOT_ASSERT(failed == 0);
    loop->peers.listening = true;
    moot_observer_init(&loop->peers.observer, moot_ms(MOOT_LINK_GAP_MAX_MS),
                       (struct moot_instant){loop__now_ns()});
    uv_timer_init(&loop->uv, &loop->peers.beat_timer);
    loop->peers.beat_timer.data = loop;
    uv_timer_start(&loop->peers.beat_timer, on_beat, MOOT_LINK_BEAT_MS, MOOT_LINK_BEAT_MS);
}

void peers__second(struct moot_loop *loop)
{
    uint64_t now = loop__now_ns();
    struct link *next;
    for (struct link *link = loop->peers.links; link != NULL; link = next) {
        next = link->next;
        if (link->state != LINK_UP && link->give_up_ns <= now) {
            peers__link_down(loop, link, MOOT_EIO, "no handshake in time");
            link__close(link);
        }
    }
    for (uint32_t i = 0; i < loop->peers.count; i++) {
        struct peer *peer = loop->peers.all[i];
        if (peer->up != NULL && now - peer->up_since_ns >= MOOT_REDIAL_MAX_MS * MOOT_MSEC_NS) {
            peer->attempts = 0; /* It holds. */
            if (!peer->told_up) {
                tell_up(peer);
            }
        }
    }
}

/* Their handshakes name an incarnation that is over, also those under way. */
void peers__forget(struct moot_loop *loop)
{
    MOOT_ASSERT(loop->peers.dirty == NULL);
    while (loop->peers.links != NULL) {
        link__close(loop->peers.links);
    }
    for (uint32_t i = 0; i < loop->peers.count; i++) {
        struct peer *peer = loop->peers.all[i];
        if (peer->up != NULL) {
            pulse__link_ended(&peer->pulse);
        }
        uv_timer_stop(&peer->redial);
        peer->up = peer->dialing = NULL;
        peer->address[0] = '\0';
        peer->attempts = 0;
        peer->refused = peer->told_up = peer->told_failure = false;
    }
}

void peers__close(struct moot_loop *loop)
{
    if (loop->peers.listening) {
        uv_close((uv_handle_t *)&loop->peers.listener, NULL);
        uv_close((uv_handle_t *)&loop->peers.beat_timer, NULL);
    }
    while (loop->peers.links != NULL) {
        link__close(loop->peers.links);
    }
    for (uint32_t i = 0; i < loop->peers.count; i++) {
        uv_close((uv_handle_t *)&loop->peers.all[i]->redial, NULL);
    }
}

void peers__deinit(struct moot_loop *loop)
{
    MOOT_ASSERT(loop->peers.links == NULL);
    for (uint32_t i = 0; i < loop->peers.count; i++) {
        moot_free(loop->peers.all[i]);
    }
}
