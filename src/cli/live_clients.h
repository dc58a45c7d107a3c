/* Inside of the clients: what live_clients.c (threads, connections, merging), live_steps.c (how an
 * operation is asked, and what became of it) and live_txn.c (the same of transactions) share. */
#ifndef MOOT_CLI_LIVE_CLIENTS_H
#define MOOT_CLI_LIVE_CLIENTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "cli/client.h"
#include "cli/live.h"

struct live_client {
    struct live_clients *all;
    pthread_t thread;
    uint32_t id, server;
    bool pinned, connected, pipelines;
    struct moot_rng rng;
    struct cli_client link;
    uint64_t written; /* Makes every value different. */
    struct moot_history histories[LIVE_MODELS_COUNT];
    struct moot_buffer samples; /* struct live_sample */
    struct moot_buffer out, large;
    uint64_t outcomes[3];
};

/* live_clients.c: lose() ends the connection, and moves on to another server unless the client is
 * pinned. connected() waits for one; false when the load ends before. */
void live__lose(struct live_client *client);
void live__leave(struct live_client *client); /* Ends it, and stays with the server. */
bool live__connected(struct live_client *client);
void live__count(struct live_client *client, enum moot_outcome outcome, uint64_t sent_ns);
void live__remember_strange(struct live_clients *all, struct moot_slice text);

/* live_steps.c, each on a connection that is there. */
void live__run(struct live_client *client, const struct live_work *work);
enum moot_outcome live__run_one(struct live_client *client, const struct live_work *work);
/* Several commands before the first answer; `works` are of one command each. */
enum { LIVE_PIPELINE_MAX = 8 };
void live__run_pipeline(struct live_client *client, const struct live_work *works, size_t count);
/* One command, and its answer; who is refused or in doubt moves on, unless it is pinned. */
enum moot_outcome live__ask(struct live_client *client, const char *const *words,
                            struct moot_resp_value *reply);
/* live_txn.c */
void live__run_txn(struct live_client *client, const struct live_work *work);
/* Asks, perhaps only half a command, and is gone without waiting. */
void live__vanish(struct live_client *client, const struct live_work *work);

#endif
