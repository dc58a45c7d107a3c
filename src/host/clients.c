/* Connections of clients: bytes in, bytes out, and nothing about what they mean.
 *
 * Writing: the turn's replies to a client are one slice of the node's memory nearly always, and go
 * to the socket from there. What the socket does not take is copied, and given to libuv in pieces,
 * so that progress is seen and the brain can be told how much is unsent.
 *
 * A client that sends no more (half a close) is told to the brain, which closes it when it has its
 * replies.
 *
 * Closing on the brain's wish: what is unsent is sent, then our side is shut, then what the client
 * still sends is read and dropped until it closes too, or has lingered too long (while it takes its
 * replies, however slowly, it does not linger). Closing with unread bytes in the socket would reset
 * the connection, and could destroy the last reply on its way. */
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/assert.h"
#include "base/block.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/status.h"
#include "host/loop_internal.h"
#include "host/say.h"

enum {
    PIECE_BYTES = 1024 * 1024,
    STEP_BYTES = 4 * 1024, /* Unsent output is told when it has changed by this, or is none. */
    SLOTS = 1 << 14,
};
_Static_assert((int)MOOT_CLIENTS_MAX <= (int)SLOTS, "a slot's number must fit an id");

struct client {
    uv_tcp_t tcp;
    uv_write_t write;
    uv_shutdown_t shut;
    struct moot_loop *loop;
    moot_connection_id id;
    struct client *dirty_next;
    struct moot_slice direct;   /* This turn's replies, still in the node's memory. */
    struct moot_buffer pending; /* Replies that wait behind `writing`. */
    struct moot_buffer writing; /* Given to libuv piece by piece; `written` are sent. */
    size_t written;
    uint64_t told;      /* What the brain knows of unsent output. */
    uint64_t linger_ns; /* When to close no matter what; 0: not closing. */
    bool write_active, dirty;
    bool told_closed; /* CLIENT_CLOSED was pushed: the brain knows it no more. */
    bool shutting;
    bool ended; /* It sends no more. */
    bool is_kept;
    struct moot_buffer kept; /* What the next brain is to know of it. */
    char address[64];
};

static moot_connection_id slot_of(moot_connection_id id) { return id % SLOTS; }

static struct client *find_client(struct moot_loop *loop, moot_connection_id id)
{
    struct client *client =
        slot_of(id) < loop->clients.count_max ? loop->clients.slots[slot_of(id)] : NULL;
    return client != NULL && client->id == id && !client->told_closed ? client : NULL;
}

static size_t unsent(const struct client *client)
{
    return client->direct.size + client->pending.size + client->writing.size - client->written;
}

/* ---- closing ---- */

static void on_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    struct clients *clients = &client->loop->clients;
    uint32_t slot = (uint32_t)slot_of(client->id);
    MOOT_ASSERT(clients->slots[slot] == client);
    clients->slots[slot] = NULL;
    clients->free_slots[clients->free_count++] = slot;
    clients->count--;
    moot_buffer_deinit(&client->pending);
    moot_buffer_deinit(&client->writing);
    moot_buffer_deinit(&client->kept);
    moot_free(client);
}

static void tell_closed(struct client *client)
{
    if (!client->told_closed) {
        client->told_closed = true;
        loop__input(client->loop, MOOT_INPUT_CLIENT_CLOSED)->connection = client->id;
    }
}

static void drop(struct client *client)
{
    tell_closed(client);
    client->direct = (struct moot_slice){0};
    if (!uv_is_closing((uv_handle_t *)&client->tcp)) {
        uv_close((uv_handle_t *)&client->tcp, on_closed);
    }
}

static void on_shut(uv_shutdown_t *shut, int status)
{
    struct client *client = shut->data;
    if (status != UV_ECANCELED && (status != 0 || client->ended)) {
        drop(client);
    }
}

/* The brain wants it closed, and nothing is unsent: shut our side, and wait for the other. */
static void shut_when_sent(struct client *client)
{
    if (client->linger_ns == 0 || unsent(client) > 0 || client->shutting ||
        uv_is_closing((uv_handle_t *)&client->tcp)) {
        return;
    }
    client->shutting = true;
    tell_closed(client);
    client->shut.data = client;
    if (uv_shutdown(&client->shut, (uv_stream_t *)&client->tcp, on_shut) != 0) {
        drop(client);
    }
}

/* ---- writing ---- */

static void linger(struct client *client)
{
    client->linger_ns = loop__now_ns() + MOOT_LINGER_MS * MOOT_MSEC_NS;
}

/* The brain counts what is held for each client. While nothing is, which is nearly always, there is
 * nothing to tell. */
static void tell_unsent(struct client *client)
{
    uint64_t bytes = unsent(client), told = client->told;
    uint64_t change = bytes > told ? bytes - told : told - bytes;
    bool matters = change >= STEP_BYTES || (bytes == 0) != (told == 0);
    if (matters && !client->told_closed) {
        client->told = bytes;
        struct moot_input *input = loop__input(client->loop, MOOT_INPUT_CLIENT_SENT);
        input->connection = client->id;
        input->amount = bytes;
    }
}

/* What is sent does not stay beside what is not: a slow reader takes at most twice what it is owed.
 */
static void give_back(struct client *client)
{
    size_t rest = client->writing.size - client->written;
    if (client->written >= PIECE_BYTES && rest > 0 && rest <= client->written) {
        struct moot_buffer kept;
        moot_buffer_init(&kept);
        moot_buffer_append(&kept, client->writing.data + client->written, rest);
        moot_buffer_deinit(&client->writing);
        client->writing = kept;
        client->written = 0;
    }
}

static void write_piece(struct client *client);

static void on_written(uv_write_t *write, int status)
{
    struct client *client = write->data;
    client->write_active = false;
    if (uv_is_closing((uv_handle_t *)&client->tcp)) {
        return;
    }
    if (status != 0) {
        drop(client);
        return;
    }
    client->written += moot_min_u64(client->writing.size - client->written, PIECE_BYTES);
    if (client->linger_ns != 0) {
        linger(client);
    }
    give_back(client);
    write_piece(client);
    tell_unsent(client);
    shut_when_sent(client);
}

static void write_piece(struct client *client)
{
    MOOT_ASSERT(!client->write_active);
    if (client->written == client->writing.size) {
        struct moot_buffer empty = client->writing;
        client->writing = client->pending;
        client->pending = empty;
        moot_buffer_reset(&client->pending, 0);
        client->written = 0;
    }
    size_t size = moot_min_u64(client->writing.size - client->written, PIECE_BYTES);
    if (size == 0) {
        moot_buffer_reset(&client->writing, 0);
        return;
    }
    uv_buf_t buf = uv_buf_init((char *)client->writing.data + client->written, (unsigned)size);
    client->write.data = client;
    client->write_active = true;
    if (uv_write(&client->write, (uv_stream_t *)&client->tcp, &buf, 1, on_written) != 0) {
        client->write_active = false;
        drop(client);
    }
}

static void flush_client(struct client *client)
{
    if (uv_is_closing((uv_handle_t *)&client->tcp) || client->write_active) {
        moot_buffer_append_slice(&client->pending, client->direct);
        client->direct = (struct moot_slice){0};
        tell_unsent(client);
        return;
    }
    MOOT_ASSERT(client->writing.size == 0);
    bool from_node = client->direct.size > 0;
    struct moot_slice bytes = from_node ? client->direct : moot_buffer_slice(&client->pending);
    uv_buf_t buf = uv_buf_init((char *)bytes.data, (unsigned)moot_min_u64(bytes.size, INT32_MAX));
    int sent = bytes.size == 0 ? 0 : uv_try_write((uv_stream_t *)&client->tcp, &buf, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        drop(client);
        return;
    }
    size_t taken = sent < 0 ? 0 : (size_t)sent;
    client->direct = (struct moot_slice){0};
    if (taken == bytes.size) {
        moot_buffer_reset(&client->pending, 0);
    } else if (from_node) {
        moot_buffer_append(&client->pending, bytes.data + taken, bytes.size - taken);
    } else {
        moot_buffer_consume(&client->pending, taken);
    }
    write_piece(client);
    tell_unsent(client);
    shut_when_sent(client);
}

static void mark_dirty(struct client *client)
{
    if (!client->dirty) {
        client->dirty = true;
        client->dirty_next = client->loop->clients.dirty;
        client->loop->clients.dirty = client;
    }
}

void clients__flush(struct moot_loop *loop)
{
    while (loop->clients.dirty != NULL) {
        struct client *client = loop->clients.dirty;
        loop->clients.dirty = client->dirty_next;
        client->dirty = false;
        flush_client(client);
    }
}

/* ---- reading ---- */

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct client *client = stream->data;
    if (size < 0) {
        if (size == UV_EOF && !client->told_closed && client->linger_ns == 0) {
            client->ended = true;
            loop__input(client->loop, MOOT_INPUT_CLIENT_ENDED)->connection = client->id;
        } else if (size != UV_ENOBUFS) {
            drop(client);
        }
        return;
    }
    if (size == 0 || client->told_closed || client->linger_ns != 0) {
        return;
    }
    loop__keep_read(client->loop, (size_t)size);
    struct moot_input *input = loop__input(client->loop, MOOT_INPUT_CLIENT_BYTES);
    input->connection = client->id;
    input->bytes = (struct moot_slice){(const uint8_t *)buf->base, (size_t)size};
}

static void read_on(struct client *client)
{
    if (!client->ended && !uv_is_closing((uv_handle_t *)&client->tcp)) {
        uv_read_start((uv_stream_t *)&client->tcp, loop__alloc, on_read);
    }
}

/* ---- effects ---- */

static void reply(struct client *client, struct moot_slice bytes)
{
    if (client->linger_ns != 0 || bytes.size == 0) {
        return; /* Nothing follows the brain's own close. */
    }
    bool first = unsent(client) == 0;
    if (first) {
        client->direct = bytes;
    } else {
        moot_buffer_append_slice(&client->pending, client->direct);
        client->direct = (struct moot_slice){0};
        moot_buffer_append_slice(&client->pending, bytes);
    }
    mark_dirty(client);
}

static void close_by_brain(struct client *client, bool at_once)
{
    if (at_once ||
        unsent(client) > MOOT_OUTPUT_HARD) { /* It does not read: waiting for it is in vain. */
        drop(client);
        return;
    }
    linger(client);
    read_on(client);
    mark_dirty(client);
}

void clients__effect(struct moot_loop *loop, const struct moot_effect *effect)
{
    struct client *client = find_client(loop, effect->client.connection);
    if (client == NULL) {
        return; /* It has gone since; the brain learns of it in the next turn. */
    }
    switch (effect->kind) {
    case MOOT_EFFECT_REPLY:
        reply(client, effect->client.bytes);
        break;
    case MOOT_EFFECT_CLIENT_PAUSE:
        if (effect->client.on) {
            uv_read_stop((uv_stream_t *)&client->tcp);
        } else {
            read_on(client);
        }
        break;
    case MOOT_EFFECT_CLIENT_CLOSE:
        close_by_brain(client, effect->client.on);
        break;
    case MOOT_EFFECT_CLIENT_KEEP:
        client->is_kept = true;
        moot_buffer_reset(&client->kept, 0);
        moot_buffer_append_slice(&client->kept, effect->client.bytes);
        break;
    default:
        MOOT_UNREACHABLE();
    }
}

/* ---- accepting ---- */

static void name_remote(struct client *client)
{
    struct sockaddr_storage remote;
    int size = sizeof(remote);
    char host[46] = "?";
    int port = 0;
    if (uv_tcp_getpeername(&client->tcp, (struct sockaddr *)&remote, &size) == 0) {
        uv_ip_name((struct sockaddr *)&remote, host, sizeof(host));
        port = ntohs(remote.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&remote)->sin6_port
                                                  : ((struct sockaddr_in *)&remote)->sin_port);
    }
    bool six = strchr(host, ':') != NULL;
    snprintf(client->address, sizeof(client->address), six ? "[%s]:%d" : "%s:%d", host, port);
}

static void on_refused(uv_handle_t *handle) { moot_free(handle); }

/* Redis' words: clients match on them. */
static void refuse(struct moot_loop *loop)
{
    static const char text[] = "-ERR max number of clients reached\r\n";
    uv_tcp_t *tcp = moot_alloc(sizeof(*tcp));
    uv_tcp_init(&loop->uv, tcp);
    if (uv_accept((uv_stream_t *)&loop->clients.listener, (uv_stream_t *)tcp) == 0) {
        uv_buf_t buf = uv_buf_init((char *)text, sizeof(text) - 1);
        uv_try_write((uv_stream_t *)tcp, &buf, 1);
    }
    uv_close((uv_handle_t *)tcp, on_refused);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct moot_loop *loop = listener->loop->data;
    struct clients *clients = &loop->clients;
    if (status != 0) {
        host__say(MOOT_LOG_WARN, "a client could not be accepted: %s", uv_strerror(status));
        return;
    }
    if (clients->free_count == 0) {
        refuse(loop);
        return;
    }
    uint32_t slot = clients->free_slots[--clients->free_count];
    struct client *client = moot_alloc_zero(sizeof(*client));
    client->loop = loop;
    client->id = ++clients->serial * SLOTS + slot;
    clients->slots[slot] = client;
    clients->count++;
    uv_tcp_init(&loop->uv, &client->tcp);
    client->tcp.data = client;
    client->told_closed = true; /* Until it is open. */
    if (uv_accept(listener, (uv_stream_t *)&client->tcp) != 0) {
        drop(client);
        return;
    }
    client->told_closed = false;
    uv_tcp_nodelay(&client->tcp, 1);
    name_remote(client);
    struct moot_input *input = loop__input(loop, MOOT_INPUT_CLIENT_OPENED);
    input->connection = client->id;
    input->bytes = moot_slice_text(client->address);
    read_on(client);
}

/* ---- life ---- */

void clients__init(struct moot_loop *loop)
{
    struct clients *clients = &loop->clients;
    uint32_t max = loop->options.clients_max == 0 ? MOOT_CLIENTS_MAX : loop->options.clients_max;
    MOOT_ASSERT(max <= SLOTS);
    clients->count_max = max;
    clients->slots = moot_alloc_zero(max * sizeof(struct client *));
    clients->free_slots = moot_alloc(max * sizeof(uint32_t));
    for (uint32_t i = 0; i < max; i++) {
        clients->free_slots[clients->free_count++] = max - 1 - i;
    }
    int failed = uv_tcp_init(&loop->uv, &clients->listener);
    failed |= uv_tcp_open(&clients->listener, loop->options.client_fd);
    failed |= uv_listen((uv_stream_t *)&clients->listener, MOOT_ACCEPT_QUEUE, on_connection);
    MOOT_ASSERT(failed == 0);
}

void clients__second(struct moot_loop *loop)
{
    uint64_t now = loop__now_ns();
    for (uint32_t i = 0; loop->clients.count > 0 && i < loop->clients.count_max; i++) {
        struct client *client = loop->clients.slots[i];
        if (client != NULL && client->linger_ns != 0 && client->linger_ns <= now) {
            drop(client);
        }
    }
}

static void tell_kept(struct client *client)
{
    struct moot_block *block = moot_block_copy(moot_buffer_slice(&client->kept));
    loop__keep_block(client->loop, block);
    struct moot_input *input = loop__input(client->loop, MOOT_INPUT_CLIENT_KEPT);
    input->connection = client->id;
    input->bytes = moot_block_slice(block);
    moot_buffer_reset(&client->kept, 0);
    client->is_kept = false;
    client->told = 0;
    tell_unsent(client);
    read_on(client); /* The fresh brain has not said otherwise. */
}

void clients__reopened(struct moot_loop *loop)
{
    for (uint32_t i = 0; i < loop->clients.count_max; i++) {
        struct client *client = loop->clients.slots[i];
        if (client == NULL || client->told_closed || client->linger_ns != 0) {
            continue;
        }
        if (client->is_kept) {
            tell_kept(client);
        } else {
            drop(client);
        }
    }
}

/* What its kernel has not confirmed yet: unsent here, or on its way. */
static uint64_t undelivered(const struct client *client)
{
    uint64_t bytes = unsent(client);
    if (client->write_active) { /* Of the piece under way, what libuv has left. */
        bytes -= moot_min_u64(client->writing.size - client->written, PIECE_BYTES);
        bytes += uv_stream_get_write_queue_size((const uv_stream_t *)&client->tcp);
    }
    uv_os_fd_t fd;
    int queued = 0;
    if (uv_fileno((const uv_handle_t *)&client->tcp, &fd) == 0 &&
        ioctl(fd, SIOCOUTQ, &queued) == 0 && queued > 0) {
        bytes += (uint64_t)queued;
    }
    return bytes;
}

uint64_t clients__drain(struct moot_loop *loop)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < loop->clients.count_max; i++) {
        struct client *client = loop->clients.slots[i];
        if (client != NULL && !uv_is_closing((uv_handle_t *)&client->tcp)) {
            uv_read_stop((uv_stream_t *)&client->tcp);
            bytes += undelivered(client);
        }
    }
    return bytes;
}

void clients__close(struct moot_loop *loop)
{
    uv_close((uv_handle_t *)&loop->clients.listener, NULL);
    for (uint32_t i = 0; i < loop->clients.count_max; i++) {
        if (loop->clients.slots[i] != NULL) {
            drop(loop->clients.slots[i]);
        }
    }
}

void clients__deinit(struct moot_loop *loop)
{
    MOOT_ASSERT(loop->clients.count == 0);
    moot_free(loop->clients.slots);
    moot_free(loop->clients.free_slots);
}
