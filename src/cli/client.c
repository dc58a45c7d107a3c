#include "cli/client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/status.h"
#include "wire/address.h"

enum { WHY_BYTES = 256 };

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for `events` until `end_ms`; 0, or an errno. */
static int wait_for(int fd, short events, int64_t end_ms)
{
    for (;;) {
        int64_t left = end_ms - now_ms();
        if (left <= 0) {
            return ETIMEDOUT;
        }
        struct pollfd poll_fd = {.fd = fd, .events = events};
        int ready = poll(&poll_fd, 1, (int)left);
        if (ready > 0) {
            return 0;
        }
        if (ready < 0 && errno != EINTR) {
            return errno;
        }
    }
}

static int connect_one(const struct addrinfo *at, int64_t end_ms, int *code)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        *code = errno;
        return -1;
    }
    *code = connect(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
    if (*code == EINPROGRESS) {
        *code = wait_for(fd, POLLOUT, end_ms);
        socklen_t size = sizeof(*code);
        if (*code == 0) {
            getsockopt(fd, SOL_SOCKET, SO_ERROR, code, &size);
        }
    }
    if (*code != 0) {
        close(fd);
        return -1;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

int cli_connect(struct cli_client *client, const char *address, int limit_ms, char why[256])
{
    *client = (struct cli_client){.fd = -1};
    moot_buffer_init(&client->in);
    char host[MOOT_ADDRESS_MAX];
    char service[8];
    struct moot_slice name;
    uint16_t port;
    if (!moot_address_split(moot_slice_text(address), &name, &port)) {
        snprintf(why, WHY_BYTES, "'%.100s' is no address: write HOST:PORT", address);
        return -1;
    }
    snprintf(host, sizeof(host), "%.*s", (int)name.size, (const char *)name.data);
    snprintf(service, sizeof(service), "%u", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int failed = getaddrinfo(host, service, &hints, &found);
    if (failed != 0) {
        snprintf(why, WHY_BYTES, "address %.100s: %s", address, gai_strerror(failed));
        return -1;
    }
    int code = 0;
    int64_t end_ms = now_ms() + limit_ms;
    for (struct addrinfo *at = found; at != NULL && client->fd < 0; at = at->ai_next) {
        client->fd = connect_one(at, end_ms, &code);
    }
    freeaddrinfo(found);
    if (client->fd < 0) {
        snprintf(why, WHY_BYTES, "no node answers at %.100s: %s", address, strerror(code));
        return -1;
    }
    return 0;
}

void cli_disconnect(struct cli_client *client)
{
    if (client->fd >= 0) {
        close(client->fd);
    }
    client->fd = -1;
    moot_buffer_deinit(&client->in);
}

static int lose(struct cli_client *client, int code, char why[256])
{
    cli_disconnect(client);
    const char *text = code == ETIMEDOUT ? "no answer in time"
                       : code == 0       ? "the node closed the connection"
                                         : strerror(code);
    snprintf(why, WHY_BYTES, "%s", text);
    return -1;
}

static int send_all(struct cli_client *client, struct moot_slice bytes, int64_t end_ms)
{
    while (bytes.size > 0) {
        ssize_t sent = send(client->fd, bytes.data, bytes.size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            return errno;
        }
        if (sent < 0) {
            int code = wait_for(client->fd, POLLOUT, end_ms);
            if (code != 0) {
                return code;
            }
            continue;
        }
        bytes = (struct moot_slice){bytes.data + sent, bytes.size - (size_t)sent};
    }
    return 0;
}

int cli_send(struct cli_client *client, struct moot_slice bytes, int limit_ms, char why[256])
{
    int code = send_all(client, bytes, now_ms() + limit_ms);
    return code == 0 ? 0 : lose(client, code, why);
}

int cli_receive(struct cli_client *client, int limit_ms, struct moot_resp_value *reply,
                char why[256])
{
    int64_t end_ms = now_ms() + limit_ms;
    moot_buffer_consume(&client->in, client->reply_size);
    client->reply_size = 0;
    for (;;) {
        int status = moot_resp_skip(moot_buffer_slice(&client->in), &client->reply_size);
        if (status == MOOT_OK) {
            size_t head;
            status = moot_resp_read(moot_buffer_slice(&client->in), reply, &head);
        }
        if (status == MOOT_OK) {
            return 0;
        }
        client->reply_size = 0;
        if (status != MOOT_EAGAIN) {
            return lose(client, EPROTO, why);
        }
        int code = wait_for(client->fd, POLLIN, end_ms);
        if (code != 0) {
            return lose(client, code, why);
        }
        ssize_t got = recv(client->fd, moot_buffer_reserve(&client->in, 65536), 65536, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            return lose(client, got == 0 ? 0 : errno, why);
        }
        client->in.size += got > 0 ? (size_t)got : 0;
    }
}

int cli_command(struct cli_client *client, int argc, const char *const *argv, int limit_ms,
                struct moot_resp_value *reply, char why[256])
{
    int64_t end_ms = now_ms() + limit_ms;
    struct moot_buffer out;
    moot_buffer_init(&out);
    struct moot_resp resp = {&out, 2};
    moot_resp_array(&resp, (uint64_t)argc);
    for (int i = 0; i < argc; i++) {
        moot_resp_bulk_text(&resp, argv[i]);
    }
    int status = cli_send(client, moot_buffer_slice(&out), limit_ms, why);
    moot_buffer_deinit(&out);
    int left_ms = (int)(end_ms - now_ms());
    return status == 0 ? cli_receive(client, left_ms > 0 ? left_ms : 0, reply, why) : status;
}

int cli_status_of(const char *address, int limit_ms, struct moot_buffer *json, char why[256])
{
    static const char *const words[] = {"MOOT", "STATUS"};
    struct cli_client client;
    struct moot_resp_value reply;
    if (cli_connect(&client, address, limit_ms, why) != 0) {
        return -1;
    }
    int status = cli_command(&client, 2, words, limit_ms, &reply, why);
    if (status == 0 && reply.type == MOOT_RESP_BULK) {
        moot_buffer_append_slice(json, reply.text);
    } else if (status == 0) {
        snprintf(why, WHY_BYTES, "%s answered: %.*s", address,
                 (int)moot_min_u64(reply.text.size, 150), (const char *)reply.text.data);
        status = -1;
    }
    cli_disconnect(&client);
    return status;
}
