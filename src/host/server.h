/* A server: one node's folder, ports, journal, store and brain, put together and run.
 *
 *     DIR/lock       held while a process uses DIR
 *     DIR/journal/   the journal's segments
 *     DIR/store/     RocksDB
 *     DIR/addresses  "client HOST:PORT" and "peer HOST:PORT": what the node was formatted with
 *     DIR/secret     the cluster's secret, unless another file was named; mode 0600
 *     DIR/pid        while it runs: the process id
 *     DIR/port       while it runs: the port for clients
 *
 * In steps, because a node that joins must know its ports before it has an identity: open (folder
 * and ports), start (disk, store, brain), run. */
#ifndef MOOT_HOST_SERVER_H
#define MOOT_HOST_SERVER_H

#include "database/node.h"

enum { MOOT_WHY_BYTES = 512 };

struct moot_server_options {
    const char *dir;
    const char *bind;        /* NULL: 127.0.0.1. Beyond loopback only with insecure_bind. */
    const char *advertise;   /* The host that others reach this node by; NULL: bind. */
    int port, peer_port;     /* 0: any free one. -1: as last time, else 7001; and that + 10000. */
    bool insecure_bind;      /* There is no TLS yet: whoever reaches the port reads everything. */
    const char *secret_file; /* NULL: DIR/secret */
    bool make_secret;        /* Make the file when it is missing: only for a new cluster. */
    uint64_t store_cache_bytes;         /* 0: from limits.h */
    uint64_t election_ms, heartbeat_ms; /* 0: from limits.h */
    bool raft_trace;
    const char *record_dir;  /* NULL: no flight recorder (host/recorder.h). */
    uint64_t record_bytes;   /* Of all recordings there; 0: from limits.h */
    uint64_t record_minutes; /* Of one file; 0: as its bytes reach. */
    bool record_once;        /* No ring: until the limit is reached. */
};

struct moot_server; /* opaque */

/* On failure *out is NULL, and `why` is a sentence that says what to do. */
int moot_server_open(const struct moot_server_options *options, struct moot_server **out,
                     char why[MOOT_WHY_BYTES]) MOOT_MUST_USE;
/* Where it listens: what its identity should say. `node` in it is 0. */
const struct moot_address *moot_server_address(const struct moot_server *server);
/* What proves to a node of the cluster that this one knows the secret. Valid until close. */
struct moot_admission moot_server_admission(const struct moot_server *server);
/* Opens disk, store and brain. MOOT_ENOTFOUND: the folder is empty and `format` is NULL: call again
 * with an identity. A formatted folder ignores `format`. */
int moot_server_start(struct moot_server *server, const struct moot_identity *format,
                      char why[MOOT_WHY_BYTES]) MOOT_MUST_USE;
/* Serves until asked to stop (0) or something fails (already said on standard error).
 * MOOT_ECORRUPT: the store is rotten, and others have all that it holds: close, open and start
 * again on the same ports, and it begins with an empty store (the rotten one is set aside). */
int moot_server_run(struct moot_server *server);
void moot_server_close(struct moot_server *server);

#endif
