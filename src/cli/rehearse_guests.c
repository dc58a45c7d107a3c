#include "cli/rehearse_guests.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/slice.h"
#include "cli/cli.h"

uint64_t rehearse_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int guests_listen(struct guests *guests, uint16_t port, uint32_t nodes)
{
    for (uint32_t i = 0; i < nodes; i++) {
        int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)(port + i)),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
            bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 64) != 0) {
            int status = cli_fail("127.0.0.1:%u: %s; choose other ports with --port", port + i,
                                  strerror(errno));
            if (fd >= 0) {
                close(fd);
            }
            return status;
        }
        guests->listeners[guests->listener_count++] = fd;
    }
    return CLI_OK;
}

static void forget(struct guest_socket *socket)
{
    close(socket->fd);
    moot_buffer_deinit(&socket->in);
    moot_buffer_deinit(&socket->out);
    moot_buffer_deinit(&socket->replies);
    moot_resp_parser_deinit(&socket->parser);
    socket->guest = 0;
}

void guests_close(struct guests *guests)
{
    for (uint32_t i = 0; i < guests->listener_count; i++) {
        close(guests->listeners[i]);
    }
    for (uint32_t i = 0; i < MOOT_REHEARSAL_GUESTS_MAX; i++) {
        if (guests->sockets[i].guest != 0) {
            guests->counts.unanswered += guests->sockets[i].asked_count;
            forget(&guests->sockets[i]);
        }
    }
}

nfds_t guests_poll(const struct guests *guests, struct pollfd *polls)
{
    nfds_t count = 0;
    for (uint32_t i = 0; i < guests->listener_count; i++) {
        polls[count++] = (struct pollfd){.fd = guests->listeners[i], .events = POLLIN};
    }
    for (uint32_t i = 0; i < MOOT_REHEARSAL_GUESTS_MAX; i++) {
        const struct guest_socket *socket = &guests->sockets[i];
        int events = (socket->is_over ? 0 : POLLIN) | (socket->out.size > 0 ? POLLOUT : 0);
        polls[count++] =
            (struct pollfd){.fd = socket->guest != 0 ? socket->fd : -1, .events = (short)events};
    }
    return count;
}

/* ---- the book ---- */

static void count_error(struct guest_counts *counts, struct moot_slice text)
{
    char word[24];
    size_t size = 0;
    while (size < text.size && size < sizeof(word) - 1 && text.data[size] != ' ') {
        word[size] = (char)text.data[size];
        size++;
    }
    word[size] = '\0';
    counts->errors++;
    for (uint32_t i = 0; i < GUEST_WORDS; i++) {
        if (counts->words[i].count == 0) {
            memcpy(counts->words[i].word, word, size + 1);
        }
        if (strcmp(counts->words[i].word, word) == 0) {
            counts->words[i].count++;
            return;
        }
    }
}

static void note_asked(struct guests *guests, struct guest_socket *socket)
{
    size_t done = 0, consumed;
    while (done < socket->in.size) {
        struct moot_slice rest = moot_slice_make(socket->in.data + done, socket->in.size - done);
        int status = moot_resp_parse(&socket->parser, rest, &consumed);
        if (status != 0) {
            break; /* The node says what is wrong; here it only cannot be counted. */
        }
        done += consumed;
        if (socket->parser.arg_count > 0) {
            guests->counts.commands++;
            if (socket->asked_count < GUEST_PENDING_MAX) {
                uint32_t at = (socket->asked_first + socket->asked_count++) % GUEST_PENDING_MAX;
                socket->asked_us[at] = rehearse_now_us();
            }
        }
    }
    moot_buffer_consume(&socket->in, done);
}

static void note_answered(struct guests *guests, struct guest_socket *socket)
{
    struct guest_counts *counts = &guests->counts;
    size_t done = 0, consumed, head;
    while (done < socket->replies.size) {
        struct moot_slice rest =
            moot_slice_make(socket->replies.data + done, socket->replies.size - done);
        struct moot_resp_value value;
        if (moot_resp_skip(rest, &consumed) != 0 || moot_resp_read(rest, &value, &head) != 0) {
            break;
        }
        done += consumed;
        counts->answers++;
        if (value.type == MOOT_RESP_ERROR) {
            count_error(counts, value.text);
        }
        if (socket->asked_count > 0 && value.type != MOOT_RESP_PUSH) {
            uint64_t waited = rehearse_now_us() - socket->asked_us[socket->asked_first];
            socket->asked_first = (socket->asked_first + 1) % GUEST_PENDING_MAX;
            socket->asked_count--;
            counts->wait_sum_us += waited;
            counts->wait_max_us = moot_max_u64(counts->wait_max_us, waited);
        }
    }
    moot_buffer_consume(&socket->replies, done);
}

/* ---- sockets ---- */

static void take_leave(struct guests *guests, struct guest_socket *socket)
{
    if (!socket->is_over) {
        moot_rehearsal_leave(guests->rehearsal, socket->guest);
    }
    guests->counts.unanswered += socket->asked_count;
    forget(socket);
}

static void greet(struct guests *guests, uint32_t slot)
{
    int fd = accept4(guests->listeners[slot], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    struct guest_socket *socket = guests->sockets;
    while (socket < guests->sockets + MOOT_REHEARSAL_GUESTS_MAX && socket->guest != 0) {
        socket++;
    }
    bool has_room = socket < guests->sockets + MOOT_REHEARSAL_GUESTS_MAX;
    uint64_t guest = has_room ? moot_rehearsal_connect(guests->rehearsal, slot) : 0;
    if (guest == 0) { /* As a kernel whose process is gone: a reset. */
        struct linger now = {.l_onoff = 1};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        close(fd);
        guests->counts.refused++;
        return;
    }
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    *socket = (struct guest_socket){.guest = guest, .fd = fd};
    moot_buffer_init(&socket->in);
    moot_buffer_init(&socket->out);
    moot_buffer_init(&socket->replies);
    moot_resp_parser_init(&socket->parser);
    guests->counts.connections++;
}

static bool read_some(struct guests *guests, struct guest_socket *socket)
{
    uint8_t bytes[16384];
    ssize_t got = read(socket->fd, bytes, sizeof(bytes));
    if (got <= 0) {
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    }
    struct moot_slice slice = moot_slice_make(bytes, (size_t)got);
    moot_rehearsal_send(guests->rehearsal, socket->guest, slice);
    moot_buffer_append_slice(&socket->in, slice);
    note_asked(guests, socket);
    return true;
}

static bool write_some(struct guest_socket *socket)
{
    ssize_t put = send(socket->fd, socket->out.data, socket->out.size, MSG_NOSIGNAL);
    if (put < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    moot_buffer_consume(&socket->out, (size_t)put);
    return true;
}

void guests_serve(struct guests *guests, const struct pollfd *polls, nfds_t count)
{
    MOOT_ASSERT(count == guests->listener_count + MOOT_REHEARSAL_GUESTS_MAX);
    for (uint32_t i = 0; i < MOOT_REHEARSAL_GUESTS_MAX; i++) {
        struct guest_socket *socket = &guests->sockets[i];
        int events = polls[guests->listener_count + i].revents;
        if (socket->guest == 0 || polls[guests->listener_count + i].fd < 0) {
            continue;
        }
        bool good = true;
        if (!socket->is_over && (events & (POLLIN | POLLHUP | POLLERR)) != 0) {
            good = read_some(guests, socket);
        }
        if (good && socket->out.size > 0) {
            good = write_some(socket);
        }
        if (!good || socket->out.size > GUEST_OUT_MAX ||
            (socket->is_over && socket->out.size == 0)) {
            take_leave(guests, socket);
        }
    }
    for (uint32_t i = 0; i < guests->listener_count; i++) {
        if ((polls[i].revents & POLLIN) != 0) {
            greet(guests, i);
        }
    }
}

/* ---- calls of the rehearsal ---- */

static struct guest_socket *socket_of(struct guests *guests, uint64_t guest)
{
    for (uint32_t i = 0; i < MOOT_REHEARSAL_GUESTS_MAX; i++) {
        if (guests->sockets[i].guest == guest) {
            return &guests->sockets[i];
        }
    }
    return NULL;
}

void guests_bytes(void *context, uint64_t guest, struct moot_slice bytes)
{
    struct guests *guests = context;
    struct guest_socket *socket = socket_of(guests, guest);
    if (socket != NULL) {
        moot_buffer_append_slice(&socket->out, bytes);
        moot_buffer_append_slice(&socket->replies, bytes);
        note_answered(guests, socket);
        (void)write_some(socket); /* What fails now fails again when it is polled. */
    }
}

void guests_closed(void *context, uint64_t guest)
{
    struct guests *guests = context;
    struct guest_socket *socket = socket_of(guests, guest);
    if (socket != NULL) {
        socket->is_over = true;
        guests->counts.lost++;
        shutdown(socket->fd, SHUT_RD);
        if (socket->out.size == 0) {
            take_leave(guests, socket);
        }
    }
}
