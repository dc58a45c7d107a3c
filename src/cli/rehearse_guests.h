/* The guests of a rehearsal: real sockets on one side, connections of simulated nodes on the other,
 * and a book of what was asked and answered. */
#ifndef MOOT_CLI_REHEARSE_GUESTS_H
#define MOOT_CLI_REHEARSE_GUESTS_H

#include <poll.h>

#include "sim/rehearsal.h"
#include "wire/resp.h"

enum {
    GUEST_PENDING_MAX = 4096, /* Commands of one guest whose waiting time is measured. */
    GUEST_OUT_MAX = 64 << 20, /* Unsent bytes at which a guest that does not read is closed. */
    GUEST_WORDS = 24,         /* Different errors that are counted apart. */
};

struct guest_counts {
    uint64_t connections, refused, lost; /* lost: by the cluster. */
    uint64_t commands, answers, errors, unanswered;
    uint64_t wait_sum_us, wait_max_us;
    struct {
        char word[24];
        uint64_t count;
    } words[GUEST_WORDS];
};

struct guest_socket {
    uint64_t guest; /* 0: free. */
    int fd;
    bool is_over; /* The cluster has closed it: closed when all is sent. */
    struct moot_buffer in, out, replies;
    struct moot_resp_parser parser;
    uint64_t asked_us[GUEST_PENDING_MAX];
    uint32_t asked_first, asked_count;
};

struct guests {
    struct moot_rehearsal *rehearsal; /* Set once it is open. */
    int listeners[16];
    uint32_t listener_count;
    struct guest_socket sockets[MOOT_REHEARSAL_GUESTS_MAX];
    struct guest_counts counts;
};

/* Listens on 127.0.0.1:port and the `nodes` - 1 after it. 0, or what cli_fail returns. */
int guests_listen(struct guests *guests, uint16_t port, uint32_t nodes);
void guests_close(struct guests *guests);
/* Fills `polls` (listeners and sockets, 16 + MOOT_REHEARSAL_GUESTS_MAX of them); how many. */
nfds_t guests_poll(const struct guests *guests, struct pollfd *polls);
/* Accepts, reads and writes what is ready. */
void guests_serve(struct guests *guests, const struct pollfd *polls, nfds_t count);
/* Calls of the rehearsal; the context is struct guests. */
void guests_bytes(void *context, uint64_t guest, struct moot_slice bytes);
void guests_closed(void *context, uint64_t guest);

uint64_t rehearse_now_us(void); /* Monotonic. */

#endif
