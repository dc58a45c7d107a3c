#include "host/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/status.h"

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    }
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static int port_of(int fd)
{
    struct sockaddr_storage bound = {0};
    socklen_t size = sizeof(bound);
    if (getsockname(fd, (struct sockaddr *)&bound, &size) != 0) {
        return 0;
    }
    in_port_t port = 0;
    if (bound.ss_family == AF_INET6) {
        port = ((struct sockaddr_in6 *)&bound)->sin6_port;
    } else if (bound.ss_family == AF_INET) {
        port = ((struct sockaddr_in *)&bound)->sin_port;
    }
    return ntohs(port);
}

static int listen_at(const struct addrinfo *at, const char *host, int port, char *why,
                     size_t why_size)
{
    int on = 1;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0) {
        return fd;
    }
    if (errno == EADDRINUSE) {
        snprintf(why, why_size,
                 "port %d on %s is in use: stop who uses it (`ss -ltnp 'sport = :%d'` shows who), "
                 "or choose another port",
                 port, host, port);
    } else {
        snprintf(why, why_size, "cannot listen on %s port %d: %s", host, port, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

int host__listen(const char *host, int port, bool beyond_loopback, int *fd, int *bound_port,
                 char *why, size_t why_size)
{
    char service[16];
    snprintf(service, sizeof(service), "%d", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    int failed = getaddrinfo(host, service, &hints, &found);
    if (failed != 0) {
        snprintf(why, why_size, "address %s: %s; give a host name or number of this machine", host,
                 gai_strerror(failed));
        return MOOT_FAIL(MOOT_EREFUSED);
    }
    if (!is_loopback(found->ai_addr) && !beyond_loopback) {
        snprintf(why, why_size,
                 "%s can be reached by others, and moot has no TLS yet: whoever reaches the port "
                 "reads and writes everything. Bind to 127.0.0.1, or say --insecure-bind if the "
                 "network is trusted",
                 host);
        freeaddrinfo(found);
        return MOOT_FAIL(MOOT_EREFUSED);
    }
    *fd = listen_at(found, host, port, why, why_size);
    freeaddrinfo(found);
    if (*fd < 0) {
        return MOOT_FAIL(MOOT_EREFUSED);
    }
    *bound_port = port_of(*fd);
    return MOOT_OK;
}
