#include "host/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/status.h"
#include "host/disk_posix.h"
#include "host/folder.h"
#include "host/handshake_mac.h"
#include "host/listen.h"
#include "host/loop.h"
#include "host/recorder.h"
#include "host/say.h"
#include "host/store_rocksdb.h"
#include "wire/address.h"

enum {
    PORT_DEFAULT = 7001,
    PEER_PORT_ABOVE = 10000,
};

struct moot_server {
    struct moot_server_options options;
    int lock_fd, client_fd, peer_fd, client_port;
    struct moot_address address;
    struct moot_buffer secret;
    struct moot_disk_posix *disk;
    struct moot_store *store;
    struct moot_node *node;
    struct moot_identity identity; /* The node's: it outlives the brain. */
    struct recorder *recorder;
};

/* A sentence for people; cut when it is too long. */
__attribute__((format(printf, 2, 3))) static void explain(char why[MOOT_WHY_BYTES],
                                                          const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(why, MOOT_WHY_BYTES, format, list);
    va_end(list);
}

/* ---- opening ---- */

static int lock_folder(struct moot_server *server, char why[MOOT_WHY_BYTES])
{
    const char *dir = server->options.dir;
    char path[HOST_PATH_BYTES];
    if (host__make_folder(dir, 0700) != 0) {
        explain(why, "the folder %s cannot be made: %s", dir, strerror(errno));
        return MOOT_FAIL(MOOT_EIO);
    }
    server->lock_fd =
        host__path(path, dir, "lock") ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (server->lock_fd < 0) {
        explain(why, "%s/lock cannot be opened: %s", dir, strerror(errno));
        return MOOT_FAIL(MOOT_EIO);
    }
    if (flock(server->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        explain(why, "another process uses %s: stop it first (`moot down --dir %s`)", dir, dir);
        return MOOT_FAIL(MOOT_EBUSY);
    }
    return MOOT_OK;
}

static int port_in(const char *address)
{
    struct moot_slice host;
    uint16_t port;
    return moot_address_split(moot_slice_text(address), &host, &port) ? port : -1;
}

/* The ports of last time, when none or any was asked for: others know this node by them. */
static void recall_ports(struct moot_server *server)
{
    struct moot_server_options *options = &server->options;
    char path[HOST_PATH_BYTES], client[MOOT_ADDRESS_MAX], peer[MOOT_ADDRESS_MAX];
    struct moot_buffer text;
    moot_buffer_init(&text);
    if (host__path(path, options->dir, "addresses") &&
        host__read_file(path, 2 * MOOT_ADDRESS_MAX + 64, &text) == MOOT_OK) {
        moot_buffer_append(&text, "", 1);
        if (sscanf((char *)text.data, "client %261s peer %261s", client, peer) == 2) {
            options->port = options->port <= 0 ? port_in(client) : options->port;
            options->peer_port = options->peer_port <= 0 ? port_in(peer) : options->peer_port;
        }
    }
    moot_buffer_deinit(&text);
    if (options->port < 0) {
        options->port = PORT_DEFAULT;
    }
    if (options->peer_port < 0) {
        bool any = options->port == 0 || options->port + PEER_PORT_ABOVE > UINT16_MAX;
        options->peer_port = any ? 0 : options->port + PEER_PORT_ABOVE;
    }
}

static int name_address(char out[MOOT_ADDRESS_MAX], const char *host, int port,
                        char why[MOOT_WHY_BYTES])
{
    bool six = strchr(host, ':') != NULL;
    int size = snprintf(out, MOOT_ADDRESS_MAX, six ? "[%s]:%d" : "%s:%d", host, port);
    if (size < 0 || size >= MOOT_ADDRESS_MAX) {
        explain(why, "the host name %.64s... is too long", host);
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    return MOOT_OK;
}

static int listen_both(struct moot_server *server, char why[MOOT_WHY_BYTES])
{
    const struct moot_server_options *options = &server->options;
    const char *host = options->bind == NULL ? "127.0.0.1" : options->bind;
    const char *named = options->advertise == NULL ? host : options->advertise;
    if (strcmp(named, "0.0.0.0") == 0 || strcmp(named, "::") == 0) {
        explain(why,
                "others cannot dial %s: name the host they reach this node by with --advertise",
                named);
        return MOOT_FAIL(MOOT_EREFUSED);
    }
    int peer_port;
    int status = host__listen(host, options->port, options->insecure_bind, &server->client_fd,
                              &server->client_port, why, MOOT_WHY_BYTES);
    if (status == MOOT_OK) {
        status = host__listen(host, options->peer_port, options->insecure_bind, &server->peer_fd,
                              &peer_port, why, MOOT_WHY_BYTES);
    }
    if (status == MOOT_OK) {
        status = name_address(server->address.client, named, server->client_port, why);
    }
    if (status == MOOT_OK) {
        status = name_address(server->address.peer, named, peer_port, why);
    }
    return status;
}

static int read_secret(struct moot_server *server, char why[MOOT_WHY_BYTES])
{
    char own[HOST_PATH_BYTES];
    const char *path = server->options.secret_file;
    if (path == NULL) {
        path = host__path(own, server->options.dir, "secret") ? own : "";
    }
    if (server->options.make_secret && access(path, F_OK) != 0 &&
        host__make_secret(path) != MOOT_OK) {
        explain(why, "the secret %s cannot be made: %s", path, strerror(errno));
        return MOOT_FAIL(MOOT_EIO);
    }
    int status = host__read_file(path, MOOT_SECRET_MAX, &server->secret);
    if (status == MOOT_ENOTFOUND) {
        explain(
            why,
            "%s is missing: copy the file `secret` of a node of the cluster there, or name it with "
            "--secret-file",
            path);
    } else if (status != MOOT_OK) {
        explain(why, "the secret %s cannot be read: %s", path, moot_status_text(status));
    } else {
        while (server->secret.size > 0 && server->secret.data[server->secret.size - 1] <= ' ') {
            server->secret.size--; /* The line end is not part of it. */
        }
        if (server->secret.size < MOOT_SECRET_MIN) {
            explain(why, "the secret in %s is shorter than %d bytes: anyone could guess it", path,
                    MOOT_SECRET_MIN);
            status = MOOT_FAIL(MOOT_EREFUSED);
        }
    }
    return status;
}

int moot_server_open(const struct moot_server_options *options, struct moot_server **out,
                     char why[MOOT_WHY_BYTES])
{
    struct moot_server *server = moot_alloc_zero(sizeof(*server));
    server->options = *options;
    server->lock_fd = server->client_fd = server->peer_fd = -1;
    moot_buffer_init(&server->secret);
    int status = lock_folder(server, why);
    if (status == MOOT_OK) {
        recall_ports(server);
        status = listen_both(server, why);
    }
    if (status == MOOT_OK) {
        status = read_secret(server, why);
    }
    if (status != MOOT_OK) {
        moot_server_close(server);
        server = NULL;
    }
    *out = server;
    return status;
}

const struct moot_address *moot_server_address(const struct moot_server *server)
{
    return &server->address;
}

struct moot_admission moot_server_admission(const struct moot_server *server)
{
    return (struct moot_admission){moot_buffer_slice(&server->secret), moot_host_mac()};
}

/* ---- starting ---- */

#define STORE_LOST "store.lost"

static void on_store_report(void *context, const char *text)
{
    (void)context;
    host__say(MOOT_LOG_WARN, "store: %s", text);
}

static void remove_file(const struct moot_server *server, const char *name)
{
    char path[HOST_PATH_BYTES];
    if (host__path(path, server->options.dir, name)) {
        unlink(path);
    }
}

/* The file that says so is there from before the store is set aside until the brain has written it
 * into the new store: who is killed in between does it again. */
static bool store_is_lost(const struct moot_server *server)
{
    char path[HOST_PATH_BYTES];
    return host__path(path, server->options.dir, STORE_LOST) && access(path, F_OK) == 0;
}

static void give_up_store(const struct moot_server *server)
{
    char path[HOST_PATH_BYTES];
    if (!host__path(path, server->options.dir, STORE_LOST) ||
        host__write_file(path, 0644, MOOT_SLICE_LITERAL("the store is rotten\n")) != MOOT_OK) {
        host__say(MOOT_LOG_ERROR, "%s/" STORE_LOST " cannot be written: %s", server->options.dir,
                  strerror(errno));
    }
}

static int set_store_aside(const struct moot_server *server, const char *path,
                           char why[MOOT_WHY_BYTES])
{
    char name[64], aside[HOST_PATH_BYTES];
    for (int number = 1; access(path, F_OK) == 0; number++) {
        snprintf(name, sizeof(name), "store.rotten.%d", number);
        if (!host__path(aside, server->options.dir, name)) {
            explain(why, "the name of %s is too long", server->options.dir);
            return MOOT_FAIL(MOOT_ELIMIT);
        }
        if (access(aside, F_OK) == 0) {
            continue;
        }
        if (rename(path, aside) != 0) {
            explain(why, "the rotten store %s cannot be set aside: %s", path, strerror(errno));
            return MOOT_FAIL(MOOT_EIO);
        }
        host__say(MOOT_LOG_WARN,
                  "the rotten store is set aside as %s: remove it when this node is whole again",
                  aside);
    }
    return MOOT_OK;
}

static int open_files(struct moot_server *server, char why[MOOT_WHY_BYTES])
{
    const struct moot_server_options *options = &server->options;
    char path[HOST_PATH_BYTES];
    if (server->disk == NULL) {
        if (!host__path(path, options->dir, "journal") ||
            moot_disk_posix_open(path, &server->disk) != MOOT_OK) {
            explain(why, "the journal's folder in %s cannot be opened: %s", options->dir,
                    strerror(errno));
            return MOOT_FAIL(MOOT_EIO);
        }
        if (!moot_disk_posix_is_direct(server->disk)) {
            host__say(MOOT_LOG_INFO,
                      "journal: %s has no O_DIRECT; writes go through the cache and "
                      "are synced one by one",
                      path);
        }
    }
    if (server->store == NULL) {
        if (!host__path(path, options->dir, "store")) {
            explain(why, "the name of %s is too long", options->dir);
            return MOOT_FAIL(MOOT_ELIMIT);
        }
        if (store_is_lost(server)) {
            int moved = set_store_aside(server, path, why);
            if (moved != MOOT_OK) {
                return moved;
            }
        }
        struct moot_store_rocksdb_options store_options = {
            .path = path, .cache_bytes = options->store_cache_bytes, .report = on_store_report};
        int status = moot_store_rocksdb_open(&store_options, &server->store);
        if (status != MOOT_OK) {
            explain(why,
                    "the store %s cannot be opened: %s. If it is damaged, and other nodes have the "
                    "data, make the file %s/" STORE_LOST
                    ": then this node sets it aside and is installed from the others",
                    path, moot_status_text(status), options->dir);
            return status;
        }
    }
    return MOOT_OK;
}

static int open_node(struct moot_server *server, const struct moot_identity *format,
                     char why[MOOT_WHY_BYTES])
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    struct moot_node_options options = {
        .disk = moot_disk_posix_disk(server->disk),
        .store = server->store,
        .format = format,
        .now = {{uv_hrtime()}, (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000},
        .journal = {MOOT_JOURNAL_SEGMENT_BYTES, MOOT_JOURNAL_SEGMENTS_MAX},
        .election_ms = server->options.election_ms,
        .heartbeat_ms = server->options.heartbeat_ms,
        .admission = moot_server_admission(server),
        .raft_trace = server->options.raft_trace,
        .store_lost = store_is_lost(server),
    };
    ssize_t got = getrandom(&options.seed, sizeof(options.seed), 0);
    MOOT_ASSERT(got == sizeof(options.seed));
    char sentence[256] = "";
    int status = server->recorder != NULL
                     ? recorder__open_node(server->recorder, &options, &server->node, sentence)
                     : moot_node_open(&options, &server->node, sentence);
    if (status != MOOT_OK) {
        explain(why, "%s", sentence[0] != '\0' ? sentence : moot_status_text(status));
    }
    return status;
}

static void remember_ports(const struct moot_server *server)
{
    const struct moot_address *self = &moot_node_identity(server->node)->self;
    char path[HOST_PATH_BYTES], text[2 * MOOT_ADDRESS_MAX + 32];
    int size = snprintf(text, sizeof(text), "client %s\npeer %s\n", self->client, self->peer);
    if (!host__path(path, server->options.dir, "addresses") ||
        host__write_file(path, 0644, moot_slice_make(text, (size_t)size)) != MOOT_OK) {
        host__say(MOOT_LOG_WARN, "%s/addresses cannot be written: %s", server->options.dir,
                  strerror(errno));
    }
    if (strcmp(self->client, server->address.client) != 0 ||
        strcmp(self->peer, server->address.peer) != 0) {
        host__say(MOOT_LOG_WARN,
                  "the cluster knows this node as %s (peers: %s), but it listens on %s (peers: %s)",
                  self->client, self->peer, server->address.client, server->address.peer);
    }
}

static int open_recorder(struct moot_server *server, char why[MOOT_WHY_BYTES])
{
    const struct moot_server_options *options = &server->options;
    if (options->record_dir != NULL && server->recorder == NULL) {
        const struct recorder_options record = {
            .dir = options->record_dir,
            .limit_bytes = options->record_bytes != 0 ? options->record_bytes
                                                      : (uint64_t)MOOT_RECORD_MB * 1024 * 1024,
            .span = {options->record_minutes * 60 * MOOT_SEC_NS},
            .once = options->record_once,
        };
        server->recorder = recorder__open(&record, why, MOOT_WHY_BYTES);
        return server->recorder != NULL ? MOOT_OK : MOOT_FAIL(MOOT_EIO);
    }
    return MOOT_OK;
}

int moot_server_start(struct moot_server *server, const struct moot_identity *format,
                      char why[MOOT_WHY_BYTES])
{
    MOOT_ASSERT(server->node == NULL);
    int status = open_files(server, why);
    if (status == MOOT_OK) {
        status = open_recorder(server, why);
    }
    if (status == MOOT_OK) {
        /* First as it is: what is formatted stays what it is. */
        status = open_node(server, NULL, why);
        if (status == MOOT_ENOTFOUND && format != NULL) {
            status = open_node(server, format, why);
        }
    }
    if (status == MOOT_OK) {
        remove_file(server, STORE_LOST); /* The store says it now. */
        remember_ports(server);
    }
    return status;
}

/* ---- running ---- */

/* Files enough for all clients; else fewer clients. */
static uint32_t clients_allowed(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return MOOT_CLIENTS_MAX;
    }
    rlim_t want = MOOT_CLIENTS_MAX + MOOT_FILES_BESIDE_CLIENTS;
    if (limit.rlim_cur < want) {
        limit.rlim_cur =
            limit.rlim_max == RLIM_INFINITY || limit.rlim_max > want ? want : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            getrlimit(RLIMIT_NOFILE, &limit);
        }
    }
    if (limit.rlim_cur >= want) {
        return MOOT_CLIENTS_MAX;
    }
    uint32_t allowed = limit.rlim_cur > 2 * MOOT_FILES_BESIDE_CLIENTS
                           ? (uint32_t)limit.rlim_cur - MOOT_FILES_BESIDE_CLIENTS
                           : (uint32_t)limit.rlim_cur / 2;
    host__say(MOOT_LOG_WARN, "only %llu open files allowed: at most %u clients (see ulimit -n)",
              (unsigned long long)limit.rlim_cur, allowed);
    return allowed == 0 ? 1 : allowed;
}

static void write_number(const struct moot_server *server, const char *name, long number)
{
    char path[HOST_PATH_BYTES], text[32];
    int size = snprintf(text, sizeof(text), "%ld\n", number);
    if (!host__path(path, server->options.dir, name) ||
        host__write_file(path, 0644, moot_slice_make(text, (size_t)size)) != MOOT_OK) {
        host__say(MOOT_LOG_WARN, "%s/%s cannot be written: %s", server->options.dir, name,
                  strerror(errno));
    }
}

static bool wants_reopen(void *context)
{
    const struct moot_server *server = context;
    return recorder__wants_next(server->recorder);
}

/* As when the process ends and comes back. The store stays open, but is flushed: what it says to a
 * brain that opens, that takes for durable, and lets the journal forget. */
static struct moot_node *reopen(void *context, uint64_t *incarnation)
{
    struct moot_server *server = context;
    char why[MOOT_WHY_BYTES] = "the store could not be flushed";
    uint64_t began_ns = uv_hrtime();
    struct moot_disk *disk = moot_disk_posix_disk(server->disk);
    char spare[32];
    while (moot_node_take_spare(server->node, spare)) {
        (void)disk->ops->remove(disk, spare); /* If it stays, it is read and found to be one. */
    }
    moot_node_close(server->node);
    server->node = NULL;
    server->store->ops->ingest_abort(server->store);
    int status = server->store->ops->flush(server->store);
    if (status == MOOT_OK) {
        recorder__next(server->recorder);
        status = open_node(server, NULL, why);
    }
    if (status != MOOT_OK) {
        host__die("the node could not be opened again, for the next recording: %s: %s",
                  moot_status_text(status), why);
    }
    *incarnation = moot_node_incarnation(server->node);
    host__say(MOOT_LOG_INFO, "opened again within %u ms, as incarnation %llu",
              (unsigned)((uv_hrtime() - began_ns) / MOOT_MSEC_NS),
              (unsigned long long)*incarnation);
    return server->node;
}

int moot_server_run(struct moot_server *server)
{
    MOOT_ASSERT(server->node != NULL);
    server->identity = *moot_node_identity(server->node);
    const struct moot_identity *identity = &server->identity;
    struct moot_loop_options options = {
        .node = server->node,
        .disk = moot_disk_posix_disk(server->disk),
        .segment_bytes = MOOT_JOURNAL_SEGMENT_BYTES,
        .store = server->store,
        .dir = server->options.dir,
        .client_fd = server->client_fd,
        .peer_fd = server->peer_fd,
        .identity = identity,
        .incarnation = moot_node_incarnation(server->node),
        .secret = moot_buffer_slice(&server->secret),
        .clients_max = clients_allowed(),
        .turn = server->recorder != NULL ? recorder__turn : NULL,
        .turn_context = server->recorder,
    };
    if (server->recorder != NULL && !server->options.record_once) {
        options.reopen.context = server;
        options.reopen.wanted = wants_reopen;
        options.reopen.perform = reopen;
    }
    server->client_fd = server->peer_fd = -1; /* The loop closes them. */
    host__say(MOOT_LOG_INFO,
              "moot " MOOT_VERSION ": node %u, clients at %s, peers at %s, data in %s",
              identity->node, server->address.client, server->address.peer, server->options.dir);
    write_number(server, "port", server->client_port);
    write_number(server, "pid", (long)getpid()); /* Last: who sees it may read the port. */
    int status = moot_loop_run(&options);
    if (status == MOOT_ECORRUPT) {
        give_up_store(server);
    }
    remove_file(server, "pid");
    remove_file(server, "port");
    host__say(MOOT_LOG_INFO, "stopped");
    return status;
}

void moot_server_close(struct moot_server *server)
{
    if (server->node != NULL) {
        moot_node_close(server->node);
    }
    if (server->recorder != NULL) {
        recorder__close(server->recorder);
    }
    if (server->store != NULL) {
        server->store->ops->close(server->store);
    }
    if (server->disk != NULL) {
        moot_disk_posix_close(server->disk);
    }
    int const fds[] = {server->client_fd, server->peer_fd, server->lock_fd};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(fds); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    moot_buffer_deinit(&server->secret);
    moot_free(server);
}
