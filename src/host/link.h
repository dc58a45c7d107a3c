/* One link to another node: a socket, the handshake that opens it, and frames in two lanes.
 *
 *     DIALING   --[connected]-->  SHAKING  --[both proved the secret]-->  UP  --[any end]--> CLOSED
 *     (accepted) ---------------> SHAKING
 *
 * Whose link it is and whether it may stay, peers.c decides: by the functions link calls at the end
 * of this header. */
#ifndef MOOT_HOST_LINK_H
#define MOOT_HOST_LINK_H

#include "host/loop_internal.h"
#include "wire/beat.h"
#include "wire/frame.h"
#include "wire/handshake.h"

enum link_state { LINK_DIALING, LINK_SHAKING, LINK_UP, LINK_CLOSED };

struct link {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    uv_getaddrinfo_t resolve;
    struct moot_loop *loop;
    struct link *next, **at; /* In peers.links. */
    struct link *dirty_next;
    moot_node_id expected; /* Who should answer a dial. */
    struct peer *peer;     /* Who was dialed, or who proved to be there; else NULL. */
    enum link_state state;
    bool dialed, write_active, dirty;
    uint32_t holds;      /* libuv's requests and handles that still refer to this memory. */
    uint64_t give_up_ns; /* For the handshake. */
    uint64_t part_ns;    /* No message was being put together, or the brain was told of it. */
    struct moot_handshake *handshake;
    struct moot_peer_identity identity; /* When UP. */
    struct moot_frame_sender sender;    /* When UP. */
    struct moot_frame_receiver receiver;
    struct moot_buffer out; /* Bytes on their way; `written` of them are sent. */
    size_t written;
};

/* Dials `address` (host:port). Its end or its being up is told later, never inside the call. */
struct link *link__dial(struct moot_loop *loop, struct peer *peer, moot_node_id expected,
                        const char *address);
/* Takes the next connection of peers' listener. */
void link__accept(struct moot_loop *loop, uv_stream_t *listener);
/* Queues a message; it leaves with link__flush. Dropped when the queue is full. */
void link__send(struct link *link, const struct moot_effect *effect);
/* The link's own: see wire/beat.h. */
void link__send_beat(struct link *link, const struct moot_beat *beat);
void link__flush(struct link *link);
/* The other side does not want it: as when it had ended by itself. */
void link__refused(struct link *link, const char *why);
/* Ends the link without a word to peers.c. */
void link__close(struct link *link);

/* peers.c: the handshake is done. False: not wanted; the link then closes. */
bool peers__link_up(struct moot_loop *loop, struct link *link);
/* peers.c: a message came; a beat, if it was one (else NULL). */
void peers__link_heard(struct link *link, const struct moot_beat *beat);
/* peers.c: the link has ended by itself: it failed, or the other side closed it. `status` is 0 when
 * the other side's kernel closed it. */
void peers__link_down(struct moot_loop *loop, struct link *link, int status, const char *why);

#endif
