/* Every node in a network namespace of its own, and between them a switch which is a thread of this
 * process.
 *
 *     namespace of node 1   moot0 10.77.0.2 ──┐
 *     namespace of node 2   moot0 10.77.0.3 ──┤ switch: cut, delay, lose, per direction
 *     ours (the clients)    moot0 10.77.0.1 ──┘
 *
 * Each end is a TUN device: what the kernel would send over the wire we read from a descriptor, and
 * what we write to it arrives. So faults need neither bridge, nor `tc netem` (which many kernels
 * lack), nor rules that must be removed again, and they can be different in each direction. All of
 * it ends with its processes: nothing has a name outside. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/memory.h"
#include "cli/live.h"

enum {
    SLOTS_MAX = LIVE_SERVERS_MAX + 1,
    MTU = 9000,
    HELD_MAX = 65536, /* Packets on their way; more are lost, as in a full queue. */
    IPV4_HEAD = 20,
    IPV4_SOURCE = 12,
    IPV4_TARGET = 16,
};

/* A delayed packet. */
struct packet {
    uint64_t due_ns, number; /* number: orders equal times */
    uint32_t to, size;
    uint8_t *bytes;
};

static struct {
    uint32_t slots;
    int device[SLOTS_MAX], space[SLOTS_MAX];
    pthread_mutex_t lock; /* Of links and counts. */
    struct live_link links[SLOTS_MAX][SLOTS_MAX];
    struct live_packets counts;
    struct packet *heap; /* The next one due first. */
    uint32_t held;
    uint64_t numbers;
    struct moot_rng rng;
    pthread_t thread;
} network = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- packets on their way ---- */

static bool before(const struct packet *a, const struct packet *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->number < b->number;
}

static void hold(struct packet packet)
{
    uint32_t at = network.held++;
    for (; at > 0 && before(&packet, &network.heap[(at - 1) / 2]); at = (at - 1) / 2) {
        network.heap[at] = network.heap[(at - 1) / 2];
    }
    network.heap[at] = packet;
}

static struct packet take_first(void)
{
    MOOT_ASSERT(network.held > 0);
    struct packet first = network.heap[0];
    struct packet last = network.heap[--network.held];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= network.held) {
            break;
        }
        if (child + 1 < network.held && before(&network.heap[child + 1], &network.heap[child])) {
            child++;
        }
        if (!before(&network.heap[child], &last)) {
            break;
        }
        network.heap[at] = network.heap[child];
        at = child;
    }
    network.heap[at] = last;
    return first;
}

static void deliver(uint32_t to, const uint8_t *bytes, size_t size)
{
    /* A full device loses it, as a network may. */
    ssize_t written = write(network.device[to], bytes, size);
    (void)written;
}

/* What the link does to one packet. */
static void carry(uint32_t from, const uint8_t *bytes, size_t size)
{
    if (size < IPV4_HEAD || bytes[0] >> 4 != 4) {
        return; /* IPv6 neighbours looking for each other. */
    }
    uint32_t to = bytes[IPV4_TARGET + 3] - 1u;
    if (to >= network.slots || bytes[IPV4_SOURCE + 3] != from + 1) {
        return;
    }
    pthread_mutex_lock(&network.lock);
    struct live_link link = network.links[from][to];
    bool lost = link.loss > 0 && moot_rng_chance(&network.rng, link.loss, 1000);
    bool late = link.delay_us > 0 || link.jitter_us > 0;
    lost |= late && network.held == HELD_MAX;
    network.counts.cut += link.cut ? 1 : 0;
    network.counts.lost += lost && !link.cut ? 1 : 0;
    network.counts.delayed += late && !lost && !link.cut ? 1 : 0;
    network.counts.carried += !lost && !link.cut ? 1 : 0;
    pthread_mutex_unlock(&network.lock);
    if (link.cut || lost) {
        return;
    }
    if (!late) {
        deliver(to, bytes, size);
        return;
    }
    uint64_t wait_us = link.delay_us + moot_rng_below(&network.rng, (uint64_t)link.jitter_us + 1);
    struct packet packet = {
        .due_ns = live_now_ns() + wait_us * 1000,
        .number = network.numbers++,
        .to = to,
        .size = (uint32_t)size,
        .bytes = moot_alloc(size),
    };
    memcpy(packet.bytes, bytes, size);
    hold(packet);
}

static void deliver_due(void)
{
    uint64_t now = live_now_ns();
    while (network.held > 0 && network.heap[0].due_ns <= now) {
        struct packet packet = take_first();
        deliver(packet.to, packet.bytes, packet.size);
        moot_free(packet.bytes);
    }
}

static void *run_switch(void *unused)
{
    static uint8_t bytes[65536];
    struct pollfd polls[SLOTS_MAX];
    (void)unused;
    for (;;) {
        struct timespec wait = {.tv_sec = 1};
        if (network.held > 0) {
            uint64_t now = live_now_ns(), due = network.heap[0].due_ns;
            uint64_t left = due > now ? due - now : 0;
            wait = (struct timespec){.tv_sec = (time_t)(left / 1000000000u),
                                     .tv_nsec = (long)(left % 1000000000u)};
        }
        for (uint32_t i = 0; i < network.slots; i++) {
            polls[i] = (struct pollfd){.fd = network.device[i], .events = POLLIN};
        }
        int ready = ppoll(polls, network.slots, &wait, NULL);
        for (uint32_t i = 0; ready > 0 && i < network.slots; i++) {
            ssize_t size;
            while ((polls[i].revents & POLLIN) != 0 &&
                   (size = read(network.device[i], bytes, sizeof(bytes))) > 0) {
                carry(i, bytes, (size_t)size);
            }
        }
        deliver_due();
    }
    return NULL;
}

/* ---- devices and namespaces ---- */

static bool set_up(int control, const char *name, const char *address)
{
    struct ifreq request = {0};
    struct sockaddr_in where = {.sin_family = AF_INET};
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    if (address != NULL) {
        MOOT_ASSERT(inet_pton(AF_INET, address, &where.sin_addr) == 1);
        memcpy(&request.ifr_addr, &where, sizeof(where));
        if (ioctl(control, SIOCSIFADDR, &request) != 0) {
            return false;
        }
        where.sin_addr.s_addr = htonl(0xffffff00);
        memcpy(&request.ifr_netmask, &where, sizeof(where));
        if (ioctl(control, SIOCSIFNETMASK, &request) != 0) {
            return false;
        }
        request.ifr_mtu = MTU;
        if (ioctl(control, SIOCSIFMTU, &request) != 0) {
            return false;
        }
    }
    if (ioctl(control, SIOCGIFFLAGS, &request) != 0) {
        return false;
    }
    request.ifr_flags |= IFF_UP | IFF_RUNNING;
    return ioctl(control, SIOCSIFFLAGS, &request) == 0;
}

/* In the namespace that this thread is in: loopback up, and one device. */
static bool make_device(uint32_t slot)
{
    char address[32];
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(request.ifr_name, sizeof(request.ifr_name), "moot0");
    live_network_address(slot, address);
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int device = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    bool made = control >= 0 && device >= 0 && ioctl(device, TUNSETIFF, &request) == 0 &&
                set_up(control, "lo", NULL) && set_up(control, "moot0", address);
    int code = errno;
    if (control >= 0) {
        close(control);
    }
    if (!made && device >= 0) {
        close(device);
    }
    network.device[slot] = made ? device : -1;
    errno = code;
    return made;
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) {
        close(fd);
    }
    return written;
}

/* Root needs no more than a namespace; others may become root of one of their own. */
static bool leave_host(void)
{
    char map[64];
    uid_t user = geteuid();
    gid_t group = getegid();
    if (unshare(CLONE_NEWNET) == 0) {
        return true;
    }
    if (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
        return false;
    }
    snprintf(map, sizeof(map), "0 %u 1", (unsigned)user);
    bool mapped =
        write_text("/proc/self/uid_map", map) && write_text("/proc/self/setgroups", "deny");
    snprintf(map, sizeof(map), "0 %u 1", (unsigned)group);
    return mapped && write_text("/proc/self/gid_map", map);
}

static int current_namespace(void)
{
    return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* From the host's namespace, `host`; back in it when it fails. */
static bool make_all(uint32_t slots, char why[LIVE_WHY_BYTES])
{
    for (uint32_t i = 0; i <= slots; i++) {
        bool made = i == 0 ? leave_host() : unshare(CLONE_NEWNET) == 0;
        if (!made) {
            snprintf(why, LIVE_WHY_BYTES, "no network namespace can be made: %s", strerror(errno));
            return false;
        }
        if (!make_device(i)) {
            snprintf(why, LIVE_WHY_BYTES, "no TUN device can be made: %s", strerror(errno));
            return false;
        }
        network.space[i] = current_namespace();
        network.slots = i + 1;
        MOOT_ASSERT(network.space[i] >= 0);
    }
    return true;
}

bool live_network_start(uint32_t slots, uint64_t seed, char why[LIVE_WHY_BYTES])
{
    MOOT_ASSERT(slots < SLOTS_MAX && network.slots == 0);
    int probe = open("/dev/net/tun", O_RDWR | O_CLOEXEC); /* Before anything is changed. */
    if (probe < 0) {
        snprintf(why, LIVE_WHY_BYTES, "/dev/net/tun cannot be used: %s", strerror(errno));
        return false;
    }
    close(probe);
    int host = current_namespace();
    bool made = host >= 0 && make_all(slots, why);
    int back = made ? network.space[0] : host;
    if (back >= 0 && setns(back, CLONE_NEWNET) != 0) {
        made = false; /* No way back to the host's: then the loopback of where we are. */
        int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        bool up = control >= 0 && set_up(control, "lo", NULL);
        snprintf(why, LIVE_WHY_BYTES, "there is no way back from a namespace%s",
                 up ? "" : ", and no loopback in it");
        close(control);
    }
    if (host >= 0) {
        close(host);
    }
    if (!made) {
        for (uint32_t i = 0; i < network.slots; i++) {
            close(network.device[i]);
            close(network.space[i]);
        }
        network.slots = 0;
        return false;
    }
    network.heap = moot_alloc(HELD_MAX * sizeof(*network.heap));
    moot_rng_init(&network.rng, seed);
    MOOT_ASSERT(pthread_create(&network.thread, NULL, run_switch, NULL) == 0);
    pthread_detach(network.thread);
    return true;
}

int live_network_namespace(uint32_t slot)
{
    MOOT_ASSERT(slot < network.slots);
    return network.space[slot];
}

void live_network_address(uint32_t slot, char out[32])
{
    snprintf(out, 32, "10.77.0.%u", slot + 1);
}

/* ---- faults ---- */

void live_network_set(uint32_t from, uint32_t to, struct live_link link)
{
    MOOT_ASSERT(from < network.slots && to < network.slots);
    pthread_mutex_lock(&network.lock);
    network.links[from][to] = link;
    pthread_mutex_unlock(&network.lock);
}

void live_network_heal(void)
{
    pthread_mutex_lock(&network.lock);
    memset(network.links, 0, sizeof(network.links));
    pthread_mutex_unlock(&network.lock);
}

struct live_packets live_network_packets(void)
{
    pthread_mutex_lock(&network.lock);
    struct live_packets counts = network.counts;
    pthread_mutex_unlock(&network.lock);
    return counts;
}
