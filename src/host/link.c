#include "host/link.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/block.h"
#include "base/memory.h"
#include "base/status.h"
#include "host/handshake_mac.h"
#include "host/say.h"
#include "wire/address.h"

enum {
    TAKE_BYTES = 2 * MOOT_FRAME_BYTES_MAX, /* Written at once: what cannot be overtaken any more. */
    COPY_BYTES = 32 * 1024, /* A message up to this size is copied whole: cheaper than its parts. */
};

/* ---- ends ---- */

static void unhold(struct link *link)
{
    MOOT_ASSERT(link->holds > 0);
    if (--link->holds > 0) {
        return;
    }
    moot_frame_sender_deinit(&link->sender);
    moot_frame_receiver_deinit(&link->receiver);
    moot_buffer_deinit(&link->out);
    moot_free(link->handshake);
    moot_free(link);
}

static void on_closed(uv_handle_t *handle) { unhold(handle->data); }

void link__close(struct link *link)
{
    if (link->state == LINK_CLOSED) {
        return;
    }
    struct peers *peers = &link->loop->peers;
    if (link->state == LINK_SHAKING || link->state == LINK_DIALING) {
        MOOT_ASSERT(peers->unproven > 0);
        peers->unproven--;
    }
    link->state = LINK_CLOSED;
    *link->at = link->next;
    if (link->next != NULL) {
        link->next->at = link->at;
    }
    uv_close((uv_handle_t *)&link->tcp, on_closed);
}

static void fail(struct link *link, int status, const char *why)
{
    if (link->state != LINK_CLOSED) {
        peers__link_down(link->loop, link, status, why);
        link__close(link);
    }
}

void link__refused(struct link *link, const char *why) { fail(link, MOOT_EREFUSED, why); }

/* A kernel that closes or resets a link lives; its process may not. */
static void fail_uv(struct link *link, int error)
{
    bool by_kernel = error == UV_EOF || error == UV_ECONNRESET || error == UV_EPIPE;
    fail(link, by_kernel ? 0 : MOOT_EIO, uv_strerror(error));
}

/* ---- writing ---- */

static void on_written(uv_write_t *write, int status)
{
    struct link *link = write->data;
    link->write_active = false;
    if (link->state == LINK_CLOSED) {
        return;
    }
    if (status != 0) {
        fail_uv(link, status);
        return;
    }
    moot_buffer_reset(&link->out, TAKE_BYTES * 2);
    link__flush(link);
}

/* Sends what is in `out`. False: the rest waits for the socket, or the link has failed. */
static bool write_out(struct link *link)
{
    uv_buf_t buf = uv_buf_init((char *)link->out.data, (unsigned)link->out.size);
    int sent = uv_try_write((uv_stream_t *)&link->tcp, &buf, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        fail_uv(link, sent);
        return false;
    }
    size_t taken = sent < 0 ? 0 : (size_t)sent;
    if (taken == link->out.size) {
        moot_buffer_reset(&link->out, TAKE_BYTES * 2);
        return true;
    }
    buf = uv_buf_init((char *)link->out.data + taken, (unsigned)(link->out.size - taken));
    link->write.data = link;
    link->write_active = true;
    int error = uv_write(&link->write, (uv_stream_t *)&link->tcp, &buf, 1, on_written);
    if (error != 0) {
        link->write_active = false;
        fail_uv(link, error);
    }
    return false;
}

void link__flush(struct link *link)
{
    while (link->state != LINK_CLOSED && !link->write_active) {
        if (link->state == LINK_UP && link->out.size == 0) {
            moot_frame_take(&link->sender, &link->out, TAKE_BYTES);
        }
        if (link->out.size == 0 || !write_out(link)) {
            return;
        }
    }
}

static void send_whole(struct link *link, const struct moot_effect *effect, size_t size,
                       enum moot_lane lane, int *status)
{
    uint8_t bytes[COPY_BYTES];
    size_t filled = 0;
    for (uint32_t i = 0; i < effect->send.part_count; i++) {
        struct moot_slice part = effect->send.parts[i].bytes;
        if (part.size > 0) {
            memcpy(bytes + filled, part.data, part.size);
        }
        filled += part.size;
    }
    MOOT_ASSERT(filled == size);
    *status = moot_frame_send(&link->sender, lane, (struct moot_slice){bytes, size}, NULL, 0);
}

static void send_parts(struct link *link, const struct moot_effect *effect, enum moot_lane lane,
                       int *status)
{
    uint32_t count = effect->send.part_count;
    struct moot_frame_part *parts = moot_alloc(count * sizeof(*parts));
    for (uint32_t i = 0; i < count; i++) {
        const struct moot_part *part = &effect->send.parts[i];
        if (part->owner == NULL) {
            parts[i] = (struct moot_frame_part){moot_block_copy(part->bytes), 0,
                                                (uint32_t)part->bytes.size};
            continue;
        }
        MOOT_ASSERT(part->bytes.data >= part->owner->data);
        size_t offset = (size_t)(part->bytes.data - part->owner->data);
        MOOT_ASSERT(offset + part->bytes.size <= part->owner->size);
        parts[i] =
            (struct moot_frame_part){part->owner, (uint32_t)offset, (uint32_t)part->bytes.size};
    }
    *status = moot_frame_send(&link->sender, lane, (struct moot_slice){0}, parts, count);
    for (uint32_t i = 0; i < count; i++) {
        if (effect->send.parts[i].owner == NULL) {
            moot_block_release(parts[i].block);
        }
    }
    moot_free(parts);
}

void link__send(struct link *link, const struct moot_effect *effect)
{
    MOOT_ASSERT(link->state == LINK_UP);
    enum moot_lane lane = effect->send.urgent ? MOOT_LANE_URGENT : MOOT_LANE_BULK;
    size_t size = 0;
    for (uint32_t i = 0; i < effect->send.part_count; i++) {
        size += effect->send.parts[i].bytes.size;
    }
    int status;
    if (size <= COPY_BYTES) {
        send_whole(link, effect, size, lane, &status);
    } else {
        send_parts(link, effect, lane, &status);
    }
    if (status == MOOT_ELIMIT) {
        host__say(MOOT_LOG_ERROR, "a message of %zu bytes to node %u is over the limit: dropped",
                  size, effect->send.node);
    } /* MOOT_EOVERLOADED: dropped; Raft sends again. */
}

void link__send_beat(struct link *link, const struct moot_beat *beat)
{
    MOOT_ASSERT(link->state == LINK_UP);
    uint8_t bytes[MOOT_BEAT_BYTES];
    moot_beat_encode(beat, bytes);
    int status = moot_frame_send(&link->sender, MOOT_LANE_URGENT,
                                 moot_slice_make(bytes, sizeof(bytes)), NULL, 0);
    if (status == MOOT_OK) { /* Else the queue is full: nobody can say that this link is quick. */
        link__flush(link);
    }
}

/* ---- reading ---- */

/* True: it was the link's own message. */
static bool receive_beat(struct link *link, struct moot_block *block)
{
    struct moot_slice bytes = moot_block_slice(block);
    struct moot_beat beat;
    bool is_beat = moot_beat_is(bytes);
    bool is_whole = is_beat && moot_beat_decode(bytes, &beat);
    peers__link_heard(link, is_whole ? &beat : NULL);
    if (is_beat) {
        moot_block_release(block);
    }
    return is_beat;
}

static void receive_frames(struct link *link, struct moot_slice bytes)
{
    struct moot_loop *loop = link->loop;
    for (;;) {
        struct moot_frame_message message;
        int status = moot_frame_receive(&link->receiver, &bytes, &message);
        if (status == MOOT_EAGAIN) {
            return;
        }
        if (status != MOOT_OK) {
            fail(link, status, "a frame is damaged, or the handshake was refused");
            return;
        }
        if (receive_beat(link, message.block)) {
            if (link->state == LINK_CLOSED) {
                return;
            }
            continue;
        }
        loop__keep_block(loop, message.block);
        struct moot_input *input = loop__input(loop, MOOT_INPUT_PEER_MESSAGE);
        input->node = link->identity.node;
        input->bytes = moot_block_slice(message.block);
    }
}

/* Of a message that takes its time the brain hears now and then: whoever waits for it waits on. */
static void tell_part(struct link *link)
{
    struct moot_slice part = moot_frame_receiver_part(&link->receiver);
    uint64_t now = loop__now_ns();
    if (link->state == LINK_CLOSED || part.size == 0) {
        link->part_ns = now;
        return;
    }
    if (now - link->part_ns < MOOT_PART_MS * MOOT_MSEC_NS) {
        return;
    }
    link->part_ns = now;
    struct moot_slice first = {part.data, moot_min_u64(part.size, MOOT_PART_BYTES)};
    struct moot_block *kept =
        moot_block_copy(first); /* The message may be whole before the turn. */
    loop__keep_block(link->loop, kept);
    struct moot_input *input = loop__input(link->loop, MOOT_INPUT_PEER_PART);
    input->node = link->identity.node;
    input->amount = part.size;
    input->bytes = moot_block_slice(kept);
}

static void opened(struct link *link)
{
    link->loop->peers.unproven--;
    link->state = LINK_UP;
    link->identity = link->handshake->peer;
    moot_free(link->handshake);
    link->handshake = NULL;
    moot_frame_sender_init(&link->sender, link->identity.send_key);
    moot_frame_receiver_init(&link->receiver, link->identity.receive_key);
    if (!peers__link_up(link->loop, link)) {
        link__close(link);
    }
}

static void receive_handshake(struct link *link, struct moot_slice bytes)
{
    enum moot_handshake_state state = moot_handshake_input(link->handshake, &bytes, &link->out);
    link__flush(link);
    if (link->state == LINK_CLOSED || state == MOOT_HANDSHAKE_MORE) {
        return;
    }
    if (state == MOOT_HANDSHAKE_REFUSED) {
        fail(link, MOOT_EREFUSED, moot_refusal_text(link->handshake->refusal));
        return;
    }
    opened(link);
    if (link->state == LINK_UP) {
        link->part_ns = loop__now_ns();
        receive_frames(link, bytes);
    }
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct link *link = stream->data;
    if (link->state == LINK_CLOSED || size == 0 || size == UV_ENOBUFS) {
        return;
    }
    if (size < 0) {
        fail_uv(link, (int)size);
        return;
    }
    /* Frames are put together in blocks of their own: the read memory may be used again at once. */
    struct moot_slice bytes = {(const uint8_t *)buf->base, (size_t)size};
    if (link->state == LINK_SHAKING) {
        receive_handshake(link, bytes);
    } else {
        receive_frames(link, bytes);
        tell_part(link);
    }
}

/* ---- beginnings ---- */

static struct link *link_make(struct moot_loop *loop)
{
    struct link *link = moot_alloc_zero(sizeof(*link));
    link->loop = loop;
    link->holds = 1;
    link->state = LINK_DIALING;
    link->give_up_ns = loop__now_ns() + MOOT_HANDSHAKE_MS * MOOT_MSEC_NS;
    moot_buffer_init(&link->out);
    moot_frame_sender_init(&link->sender, 0);
    moot_frame_receiver_init(&link->receiver, 0);
    uv_tcp_init(&loop->uv, &link->tcp);
    link->tcp.data = link;
    link->next = loop->peers.links;
    link->at = &loop->peers.links;
    if (link->next != NULL) {
        link->next->at = &link->next;
    }
    loop->peers.links = link;
    loop->peers.unproven++;
    return link;
}

static void shake(struct link *link)
{
    struct moot_loop *loop = link->loop;
    const struct moot_loop_options *self = &loop->options;
    link->state = LINK_SHAKING;
    uv_tcp_nodelay(&link->tcp, 1);
    /* The kernel should hold little that is unsent: what it holds cannot be overtaken. */
    uv_os_fd_t fd;
    int unsent_max = 4 * TAKE_BYTES;
    if (uv_fileno((uv_handle_t *)&link->tcp, &fd) == 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_max, sizeof(unsent_max));
    }
    const struct moot_identity *identity = self->identity;
    struct moot_handshake_options options = {
        .initiator = link->dialed,
        .purpose = MOOT_LINK_PEER,
        .node = identity->node,
        .incarnation = self->incarnation,
        .address = moot_slice_text(identity->self.peer),
        .expected = link->expected,
        .secret = self->secret,
        .mac = moot_host_mac(),
    };
    memcpy(options.cluster_id, identity->cluster, MOOT_CLUSTER_ID_BYTES);
    ssize_t got = getrandom(options.nonce, sizeof(options.nonce), 0);
    MOOT_ASSERT(got == sizeof(options.nonce));
    link->handshake = moot_alloc(sizeof(*link->handshake));
    moot_handshake_begin(link->handshake, &options, &link->out);
    uv_read_start((uv_stream_t *)&link->tcp, loop__alloc, on_read);
    link__flush(link);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct link *link = connect->data;
    if (link->state == LINK_CLOSED) {
        return;
    }
    if (status != 0) {
        fail(link, MOOT_EIO, uv_strerror(status));
        return;
    }
    shake(link);
}

static int connect_to(struct link *link, const struct sockaddr *address)
{
    link->connect.data = link;
    return uv_tcp_connect(&link->connect, &link->tcp, address, on_connected);
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *found)
{
    struct link *link = resolve->data;
    if (link->state != LINK_CLOSED) {
        int error = status != 0 ? status : connect_to(link, found->ai_addr);
        if (error != 0) {
            fail(link, MOOT_EIO, uv_strerror(error));
        }
    }
    uv_freeaddrinfo(found);
    unhold(link);
}

/* Also for addresses written as numbers: getaddrinfo reads them without asking anybody, and a link
 * is dialed seldom. */
struct link *link__dial(struct moot_loop *loop, struct peer *peer, moot_node_id expected,
                        const char *address)
{
    struct link *link = link_make(loop);
    link->dialed = true;
    link->expected = expected;
    link->peer = peer;
    char host[MOOT_ADDRESS_MAX];
    char service[8];
    struct moot_slice name = {0};
    uint16_t port = 0; /* An address that is none is dialed in vain. */
    (void)moot_address_split(moot_slice_text(address), &name, &port);
    snprintf(host, sizeof(host), "%.*s", (int)name.size, (const char *)name.data);
    snprintf(service, sizeof(service), "%u", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    link->resolve.data = link;
    link->holds++;
    int error = uv_getaddrinfo(&loop->uv, &link->resolve, on_resolved, host, service, &hints);
    if (error != 0) { /* Out of memory, or a name that no resolver takes: time runs out on it. */
        link->holds--;
        host__say(MOOT_LOG_WARN, "address %s: %s", address, uv_strerror(error));
    }
    return link;
}

void link__accept(struct moot_loop *loop, uv_stream_t *listener)
{
    struct link *link = link_make(loop);
    bool room = loop->peers.unproven <= MOOT_NODES_MAX; /* Strangers may not fill our memory. */
    if (uv_accept(listener, (uv_stream_t *)&link->tcp) != 0 || !room) {
        link__close(link);
        return;
    }
    shake(link);
}
