/* The folder of a local cluster, and the processes of its nodes.
 *
 *     DIR/cluster   the cluster's id and its nodes' addresses, written once
 *     DIR/secret    its secret, mode 0600
 *     DIR/formatted written when the cluster has first served a write: from then on a node whose
 *                   folder is empty has lost its disk, and may not be formatted again under its old
 *                   id (it could vote twice in one term)
 *     DIR/node<k>   the folder of node k; its log is DIR/node<k>/log, or DIR/node<k>.log */
#ifndef MOOT_CLI_NODES_H
#define MOOT_CLI_NODES_H

#include <sys/types.h>

#include "base/limits.h"
#include "cli/cli.h"

struct cli_nodes {
    char dir[CLI_PATH_BYTES]; /* Absolute. */
    char cluster[2 * MOOT_CLUSTER_ID_BYTES + 1];
    char client[MOOT_MEMBERS_MAX][MOOT_ADDRESS_MAX], peer[MOOT_MEMBERS_MAX][MOOT_ADDRESS_MAX];
    uint32_t count;
    bool formatted;
    bool logs_outside;              /* DIR/node<k>.log */
    int held[2 * MOOT_MEMBERS_MAX]; /* Sockets that keep the ports which were chosen. */
    uint32_t held_count;
};

/* Reads DIR. 1: it holds no cluster; -1: said why. */
int cli_nodes_read(struct cli_nodes *nodes, const char *dir);
/* Makes the folder, a secret and the file `cluster` for nodes at ports from `port` on (0: free
 * ones, held until they are let go, once the nodes have them). -1: said why. */
int cli_nodes_make(struct cli_nodes *nodes, const char *dir, uint32_t count, int port);
/* One more, at free ports, which are held; for a node that joins. -1: said why. */
int cli_nodes_add(struct cli_nodes *nodes);
void cli_nodes_let_ports_go(struct cli_nodes *nodes);
int cli_nodes_mark_formatted(struct cli_nodes *nodes);
/* DIR/node<k>, k from 1. */
void cli_nodes_folder(const struct cli_nodes *nodes, uint32_t k, char out[CLI_PATH_BYTES]);

struct cli_node_options {
    long election_ms, heartbeat_ms, store_cache_mb; /* 0: the program's own */
    bool with_parent;                               /* The node ends when this process does, */
    int parent_signal; /* by this signal (0: SIGTERM; SIGKILL also ends one that is stopped). */
    const char *host;  /* NULL: loopback only; else every address, and others know this one. */
    const char *join;  /* The cluster's client address, for a node that is not a first one. */
    int network;       /* 0, or the network namespace that the node lives in. */
    const char *const *environment; /* NULL, or NAME=VALUE ..., and NULL; beside our own. */
};
/* Starts node k as `moot server`; its pid, or -1 and said why. */
pid_t cli_nodes_spawn(const struct cli_nodes *nodes, uint32_t k,
                      const struct cli_node_options *options);
/* Prints the last lines of a node's log on standard error. */
void cli_nodes_show_log(const struct cli_nodes *nodes, uint32_t k);

/* The process named in DIR's pid file, if it lives and is a moot of that folder; else 0. */
pid_t cli_pid_of(const char *dir);
/* Asks the processes to stop and waits until all are gone; after `limit_ms` it ends them. Entries 0
 * are skipped. True: all stopped by themselves. */
bool cli_stop_all(const pid_t *pids, size_t count, int limit_ms);

#endif
