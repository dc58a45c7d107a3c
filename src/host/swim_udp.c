#include "host/swim_udp.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/status.h"
#include "host/handshake_mac.h"
#include "host/say.h"
#include "wire/address.h"
#include "wire/datagram.h"

enum {
    INCARNATION_SHIFT = 32, /* Below it SWIM counts refutations within one life of a process. */
};
_Static_assert((int)MOOT_DATAGRAM_BODY_MAX >= (int)MOOT_SWIM_PACKET_MAX,
               "a packet fits a datagram");

struct target {
    struct swim_udp *owner;
    moot_node_id node;
    char text[MOOT_ADDRESS_MAX]; /* Empty: no member (any more). */
    struct moot_swim_address address;
    uv_getaddrinfo_t resolve;
    bool resolving;
    bool known; /* SWIM has said something of it. */
    enum moot_swim_state state;
};

struct swim_udp {
    struct moot_loop *loop;
    uv_udp_t udp;
    uv_timer_t due, join;
    struct sockaddr_storage bind_to;
    bool bound, told_bind, closing;
    struct target self, targets[MOOT_PEERS_MAX];
    uint32_t target_count;
    struct moot_admission admission;
    struct moot_swim *swim; /* NULL until this node's own address is known. */
    void *memory;
    struct moot_swim_out out;
    uint64_t leave_by_ns; /* 0: not leaving. */
    uint64_t verdicts[MOOT_DATAGRAM_VERDICTS], malformed, told_ns;
    uint8_t receiving[2 * MOOT_DATAGRAM_BYTES_MAX]; /* Room to see that one is too long. */
};

static struct moot_instant now(void) { return (struct moot_instant){loop__now_ns()}; }

/* ---- addresses ---- */

static bool to_swim(const struct sockaddr *from, struct moot_swim_address *out)
{
    if (from->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const struct sockaddr_in *)from;
        out->size = 6;
        memcpy(out->bytes, &four->sin_addr, 4);
        memcpy(out->bytes + 4, &four->sin_port, 2);
        return true;
    }
    if (from->sa_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
        out->size = 18;
        memcpy(out->bytes, &six->sin6_addr, 16);
        memcpy(out->bytes + 16, &six->sin6_port, 2);
        return true;
    }
    return false;
}

/* False: no address that this can be (it came from another node). */
static bool to_kernel(const struct moot_swim_address *from, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (from->size == 6) {
        struct sockaddr_in *four = (struct sockaddr_in *)out;
        four->sin_family = AF_INET;
        memcpy(&four->sin_addr, from->bytes, 4);
        memcpy(&four->sin_port, from->bytes + 4, 2);
        return four->sin_port != 0;
    }
    if (from->size == 18) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
        six->sin6_family = AF_INET6;
        memcpy(&six->sin6_addr, from->bytes, 16);
        memcpy(&six->sin6_port, from->bytes + 16, 2);
        return six->sin6_port != 0;
    }
    return false;
}

static struct target *find_target(const struct swim_udp *swim, moot_node_id node)
{
    for (uint32_t i = 0; i < swim->target_count; i++) {
        if (swim->targets[i].node == node) {
            return (struct target *)&swim->targets[i];
        }
    }
    return NULL;
}

static void begin(struct swim_udp *swim);
static void on_join(uv_timer_t *timer);

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *found)
{
    struct target *target = resolve->data;
    target->resolving = false;
    if (status == 0 && !target->owner->closing) {
        (void)to_swim(found->ai_addr, &target->address);
        begin(target->owner);
        uv_timer_start(&target->owner->join, on_join, 0, 0); /* It can be greeted. */
    }
    uv_freeaddrinfo(found);
}

static void resolve(struct target *target)
{
    struct moot_slice name;
    uint16_t port;
    if (target->resolving || target->address.size > 0 ||
        !moot_address_split(moot_slice_text(target->text), &name, &port)) {
        return;
    }
    char host[MOOT_ADDRESS_MAX], service[8];
    snprintf(host, sizeof(host), "%.*s", (int)name.size, (const char *)name.data);
    snprintf(service, sizeof(service), "%u", port);
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    hints.ai_family = target->owner->bind_to.ss_family;
    target->resolve.data = target;
    target->resolving = uv_getaddrinfo(&target->owner->loop->uv, &target->resolve, on_resolved,
                                       host, service, &hints) == 0;
}

/* ---- sending ---- */

static void on_due(uv_timer_t *timer);

static void arm(struct swim_udp *swim)
{
    struct moot_instant at = moot_swim_deadline(swim->swim);
    if (at.ns == MOOT_NEVER.ns || swim->closing) {
        uv_timer_stop(&swim->due);
        return;
    }
    uint64_t at_ms = at.ns / MOOT_MSEC_NS + 1;
    uv_update_time(&swim->loop->uv);
    uint64_t now_ms = uv_now(&swim->loop->uv);
    uv_timer_start(&swim->due, on_due, at_ms > now_ms ? at_ms - now_ms : 0, 0);
}

/* What changed, and what is to be sent. A packet that the kernel does not take at once is lost, as
 * any may be. */
static void settle(struct swim_udp *swim)
{
    struct moot_swim_change change;
    while (moot_swim_next_change(swim->swim, &change)) {
        struct target *target = find_target(swim, change.id);
        if (target != NULL) {
            target->known = true;
            target->state = change.forgotten ? target->state : change.state;
        }
    }
    for (uint32_t i = 0; i < swim->out.count && swim->bound; i++) {
        uint8_t bytes[MOOT_DATAGRAM_BYTES_MAX];
        struct sockaddr_storage to;
        if (!to_kernel(&swim->out.sends[i].address, &to)) {
            continue;
        }
        struct moot_slice body = {swim->out.sends[i].bytes, swim->out.sends[i].size};
        size_t size = moot_datagram_seal(&swim->admission, swim->loop->options.identity->cluster,
                                         swim->loop->options.identity->node, body, bytes);
        uv_buf_t buf = uv_buf_init((char *)bytes, (unsigned)size);
        (void)uv_udp_try_send(&swim->udp, &buf, 1, (const struct sockaddr *)&to);
    }
    swim->out.count = 0;
    arm(swim);
}

static void on_due(uv_timer_t *timer)
{
    struct swim_udp *swim = timer->data;
    moot_swim_tick(swim->swim, now(), &swim->out);
    settle(swim);
}

/* ---- receiving ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct swim_udp *swim = handle->data;
    *buf = uv_buf_init((char *)swim->receiving, sizeof(swim->receiving));
}

static void tell_stranger(struct swim_udp *swim, const struct sockaddr *from)
{
    uint64_t now_ns = loop__now_ns();
    if (swim->told_ns != 0 && now_ns < swim->told_ns + MOOT_SWIM_STRANGER_MS * MOOT_MSEC_NS) {
        return;
    }
    swim->told_ns = now_ns;
    char host[64] = "?";
    uv_ip_name(from, host, sizeof(host));
    host__say(MOOT_LOG_WARN,
              "failure detector: dropped packets, the last from %s: %llu malformed, %llu of other "
              "clusters, %llu without the secret",
              host, (unsigned long long)(swim->verdicts[MOOT_DATAGRAM_MALFORMED] + swim->malformed),
              (unsigned long long)swim->verdicts[MOOT_DATAGRAM_FOREIGN],
              (unsigned long long)swim->verdicts[MOOT_DATAGRAM_FORGED]);
}

static void on_receive(uv_udp_t *udp, ssize_t size, const uv_buf_t *buf,
                       const struct sockaddr *from, unsigned flags)
{
    struct swim_udp *swim = udp->data;
    if (size < 0 || from == NULL || swim->swim == NULL || swim->closing) {
        return; /* Nothing more to read, or an error of an earlier send. */
    }
    moot_node_id sender = 0;
    struct moot_slice body;
    struct moot_slice bytes = {(const uint8_t *)buf->base, (size_t)size};
    enum moot_datagram_verdict verdict = MOOT_DATAGRAM_MALFORMED;
    if ((flags & UV_UDP_PARTIAL) == 0) {
        verdict = moot_datagram_open(&swim->admission, swim->loop->options.identity->cluster, bytes,
                                     &sender, &body);
    }
    swim->verdicts[verdict]++;
    if (verdict != MOOT_DATAGRAM_ACCEPTED) {
        tell_stranger(swim, from);
        return;
    }
    const struct target *target = find_target(swim, sender);
    if (target != NULL && target->text[0] == '\0') {
        return; /* It was removed. */
    }
    if (moot_swim_receive(swim->swim, now(), body, &swim->out) != MOOT_OK) {
        swim->malformed++;
        return;
    }
    settle(swim);
}

/* ---- beginning ---- */

/* Once the own address is known: the protocol, then the socket. Both are tried again later. */
static void begin(struct swim_udp *swim)
{
    if (swim->swim == NULL && swim->self.address.size > 0) {
        const struct moot_loop_options *options = &swim->loop->options;
        struct moot_swim_config config = {
            .self = options->identity->node,
            .address = swim->self.address,
            .incarnation = options->incarnation << INCARNATION_SHIFT,
            .interval = moot_ms(MOOT_SWIM_INTERVAL_MS),
            .timeout = moot_ms(MOOT_SWIM_TIMEOUT_MS),
            .forget = {MOOT_SWIM_FORGET_S * MOOT_SEC_NS},
            .suspicion_multiplier = MOOT_SWIM_SUSPICION_TIMES,
            .suspicion_max_multiplier = MOOT_SWIM_SUSPICION_MAX_TIMES,
        };
        ssize_t got = getrandom(&config.seed, sizeof(config.seed), 0);
        MOOT_ASSERT(got == sizeof(config.seed));
        size_t bytes = moot_swim_memory(MOOT_PEERS_MAX);
        swim->memory = moot_alloc_zero(bytes);
        int status =
            moot_swim_init(&config, MOOT_PEERS_MAX, swim->memory, bytes, now(), &swim->swim);
        MOOT_ASSERT(status == MOOT_OK);
        arm(swim);
    }
    if (swim->swim == NULL || swim->bound) {
        return;
    }
    int error = uv_udp_bind(&swim->udp, (const struct sockaddr *)&swim->bind_to, 0);
    if (error == 0) {
        error = uv_udp_recv_start(&swim->udp, on_alloc, on_receive);
    }
    swim->bound = error == 0;
    if (error != 0 && !swim->told_bind) {
        swim->told_bind = true;
        host__say(MOOT_LOG_WARN,
                  "failure detector: no UDP port %s: %s; it is tried again, and links alone tell "
                  "who is alive meanwhile",
                  swim->loop->options.identity->self.peer, uv_strerror(error));
    }
}

/* Greets every node of the cluster that SWIM does not know; also the way back from a partition that
 * lasted longer than memory. */
static void on_join(uv_timer_t *timer)
{
    struct swim_udp *swim = timer->data;
    resolve(&swim->self);
    begin(swim);
    struct moot_swim_address seeds[MOOT_SWIM_SENDS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < swim->target_count; i++) {
        struct target *target = &swim->targets[i];
        struct moot_swim_member member;
        resolve(target);
        if (swim->swim == NULL || target->text[0] == '\0' || target->address.size == 0 ||
            count == MOOT_SWIM_SENDS_MAX || moot_swim_find(swim->swim, target->node, &member)) {
            continue;
        }
        seeds[count++] = target->address;
    }
    if (count > 0 && swim->leave_by_ns == 0) {
        moot_swim_join(swim->swim, now(), seeds, count, &swim->out);
        settle(swim);
    }
    /* Soon again while somebody has not answered the greeting. */
    uint64_t wait_ms =
        swim->swim == NULL || !swim->bound || count > 0 ? MOOT_SWIM_INTERVAL_MS : MOOT_SWIM_JOIN_MS;
    uv_timer_start(&swim->join, on_join, wait_ms, 0);
}

struct swim_udp *swim_udp__start(struct moot_loop *loop)
{
    if (loop->options.peer_fd < 0) {
        return NULL;
    }
    struct swim_udp *swim = moot_alloc_zero(sizeof(*swim));
    socklen_t size = sizeof(swim->bind_to);
    int failed = getsockname(loop->options.peer_fd, (struct sockaddr *)&swim->bind_to, &size);
    swim->loop = loop;
    swim->admission = (struct moot_admission){loop->options.secret, moot_host_mac()};
    swim->self.owner = swim;
    snprintf(swim->self.text, sizeof(swim->self.text), "%s", loop->options.identity->self.peer);
    failed |= uv_udp_init(&loop->uv, &swim->udp);
    failed |= uv_timer_init(&loop->uv, &swim->due);
    failed |= uv_timer_init(&loop->uv, &swim->join);
    swim->udp.data = swim->due.data = swim->join.data = swim;
    failed |= uv_timer_start(&swim->join, on_join, 0, 0);
    MOOT_ASSERT(failed == 0);
    return swim;
}

/* A new one, or that of a node which was removed. */
static struct target *free_target(struct swim_udp *swim)
{
    if (swim->target_count < MOOT_PEERS_MAX) {
        return &swim->targets[swim->target_count++];
    }
    for (uint32_t i = 0; i < MOOT_PEERS_MAX; i++) {
        if (swim->targets[i].text[0] == '\0' && !swim->targets[i].resolving) {
            return &swim->targets[i];
        }
    }
    return NULL;
}

void swim_udp__member(struct swim_udp *swim, moot_node_id node, const char *address)
{
    if (swim == NULL || node == swim->loop->options.identity->node) {
        return;
    }
    struct target *target = find_target(swim, node);
    if (target == NULL) {
        target = free_target(swim);
        if (target == NULL) {
            return;
        }
        *target = (struct target){.owner = swim, .node = node};
    }
    if (strcmp(target->text, address) != 0) {
        snprintf(target->text, sizeof(target->text), "%s", address);
        target->address.size = 0;
        uv_timer_start(&swim->join, on_join, 0, 0);
    }
}

bool swim_udp__state(const struct swim_udp *swim, moot_node_id node, enum moot_swim_state *state)
{
    const struct target *target = swim == NULL ? NULL : find_target(swim, node);
    struct moot_swim_member member;
    if (target != NULL && swim->swim != NULL && moot_swim_find(swim->swim, node, &member)) {
        *state = (enum moot_swim_state)member.state;
        return true;
    }
    if (target == NULL || !target->known) {
        return false;
    }
    *state = target->state;
    return true;
}

/* ---- the end ---- */

void swim_udp__leave(struct swim_udp *swim)
{
    if (swim != NULL && swim->swim != NULL && swim->leave_by_ns == 0) {
        swim->leave_by_ns = loop__now_ns() + MOOT_SWIM_LEAVE_MS * MOOT_MSEC_NS;
        moot_swim_leave(swim->swim, now());
        arm(swim);
    }
}

bool swim_udp__is_leaving(const struct swim_udp *swim)
{
    return swim != NULL && swim->leave_by_ns != 0 && swim->bound &&
           moot_swim_count(swim->swim) > 0 && !moot_swim_has_left(swim->swim) &&
           loop__now_ns() < swim->leave_by_ns;
}

void swim_udp__close(struct swim_udp *swim)
{
    if (swim != NULL) {
        swim->closing = true;
        uv_close((uv_handle_t *)&swim->udp, NULL);
        uv_close((uv_handle_t *)&swim->due, NULL);
        uv_close((uv_handle_t *)&swim->join, NULL);
    }
}

void swim_udp__deinit(struct swim_udp *swim)
{
    if (swim != NULL) {
        moot_free(swim->memory);
        moot_free(swim);
    }
}
