/* The loop: drives one brain (database/node.h) on real sockets, a real clock and real disks.
 *
 * One thread runs turns. An iteration of libuv's loop collects everything that is ready: bytes of
 * all readable sockets, answers of the journal's thread and of the workers, timers. Then comes one
 * moot_node_turn with all of it, then its effects in order, then one write to each client and peer
 * that has something to send. Nothing here is done once a command: at pipeline 16 a turn carries
 * hundreds.
 *
 * Other threads do what waits: one writes the journal (host/journal_thread.h), three do the
 * store's slow work (host/workers.h). They answer by inputs.
 *
 * The brain may be exchanged for a fresh one of the same node (`reopen`): it is asked to come to
 * rest, and says when. Clients' sockets stay, and what they send meanwhile is the kernel's to hold;
 * links to peers are made anew, because they name the brain's incarnation.
 *
 * What ends the process, with one line that says why: a failed journal or store write (what is on
 * the disk is then unknown: a second try could say "done" of data that is lost), a failed
 * assertion.
 */
#ifndef MOOT_HOST_LOOP_H
#define MOOT_HOST_LOOP_H

#include "database/node.h"

struct moot_loop_options {
    struct moot_node *node;
    struct moot_disk *disk; /* The journal's; used on the journal's thread. */
    uint64_t segment_bytes;
    struct moot_store *store;
    const char *dir; /* Whose file system's free space is told to the brain. */
    int client_fd;   /* Listening sockets; closed by the loop. peer_fd may be -1: no peers. */
    int peer_fd;
    const struct moot_identity *identity;
    uint64_t incarnation;     /* Of this start. */
    struct moot_slice secret; /* The cluster's, for the handshake with peers. */
    uint32_t clients_max;     /* 0: MOOT_CLIENTS_MAX */
    /* In place of moot_node_turn, which it must call: who wants to see turns. NULL: nobody. */
    void (*turn)(void *context, struct moot_node *node, const struct moot_input *inputs,
                 size_t count, struct moot_now now, struct moot_effects *out);
    void *turn_context;
    /* Who wants the brain opened again from time to time, beneath its clients; NULL: nobody. */
    struct {
        void *context;
        bool (*wanted)(void *context); /* Asked after each turn. */
        /* The brain is at rest, and no thread uses disk or store: closes it, makes the store
         * durable, and opens it again. Ends the process when that fails. */
        struct moot_node *(*perform)(void *context, uint64_t *incarnation);
    } reopen;
};

/* Runs until the brain's STOP effect, and returns its status: 0 when somebody asked (SIGTERM,
 * SIGINT), else a failure that has been printed. All connections are closed and threads ended. */
int moot_loop_run(const struct moot_loop_options *options);

#endif
