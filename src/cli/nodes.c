#include "cli/nodes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/status.h"
#include "host/folder.h"

enum { PEER_PORT_ABOVE = 10000, FILE_MAX = 16384, LOG_SHOWN = 2000, SPEC_BYTES = 6000 };

void cli_nodes_folder(const struct cli_nodes *nodes, uint32_t k, char out[CLI_PATH_BYTES])
{
    snprintf(out, CLI_PATH_BYTES, "%.4000s/node%u", nodes->dir, k);
}

static bool log_of(const struct cli_nodes *nodes, uint32_t k, char out[HOST_PATH_BYTES])
{
    char name[32];
    snprintf(name, sizeof(name), nodes->logs_outside ? "node%u.log" : "node%u/log", k);
    return host__path(out, nodes->dir, name);
}

static bool file_of(const struct cli_nodes *nodes, const char *name, char out[HOST_PATH_BYTES])
{
    return host__path(out, nodes->dir, name);
}

/* ---- the file `cluster` ---- */

static bool parse_cluster(struct cli_nodes *nodes, char *text)
{
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        unsigned k;
        char client[MOOT_ADDRESS_MAX], peer[MOOT_ADDRESS_MAX];
        if (sscanf(line, "cluster %32[0-9a-f]", nodes->cluster) == 1) {
            continue;
        }
        if (sscanf(line, "node %u %261s %261s", &k, client, peer) != 3 || k != nodes->count + 1 ||
            k > MOOT_MEMBERS_MAX) {
            return false;
        }
        memcpy(nodes->client[nodes->count], client, sizeof(client));
        memcpy(nodes->peer[nodes->count], peer, sizeof(peer));
        nodes->count++;
    }
    return nodes->count > 0 && strlen(nodes->cluster) == 2 * MOOT_CLUSTER_ID_BYTES;
}

int cli_nodes_read(struct cli_nodes *nodes, const char *dir)
{
    *nodes = (struct cli_nodes){0};
    char path[HOST_PATH_BYTES];
    if (realpath(dir, nodes->dir) == NULL) {
        if (errno == ENOENT) {
            return 1;
        }
        cli_fail("%s: %s", dir, strerror(errno));
        return -1;
    }
    struct moot_buffer text;
    moot_buffer_init(&text);
    int status =
        file_of(nodes, "cluster", path) ? host__read_file(path, FILE_MAX, &text) : MOOT_EIO;
    int result = 0;
    if (status == MOOT_ENOTFOUND) {
        result = 1;
    } else {
        moot_buffer_append(&text, "", 1);
        if (status != MOOT_OK || !parse_cluster(nodes, (char *)text.data)) {
            cli_fail("%s cannot be read, or was not written by `moot up`", path);
            result = -1;
        }
    }
    moot_buffer_deinit(&text);
    nodes->formatted = result == 0 && file_of(nodes, "formatted", path) && access(path, F_OK) == 0;
    return result;
}

/* A port nobody uses, kept for us by a socket that never listens, so that nobody is given it before
 * the node takes it. A node sets SO_REUSEADDR and may bind it beside; the holder sets that only
 * once it is bound, so that it does not hold what another holds. 0: there is none. */
static int hold_port(struct cli_nodes *nodes)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(any);
    int on = 1;
    if (fd < 0) {
        return 0;
    }
    if (bind(fd, (struct sockaddr *)&any, size) != 0 ||
        getsockname(fd, (struct sockaddr *)&any, &size) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) {
        close(fd);
        return 0;
    }
    MOOT_ASSERT(nodes->held_count < MOOT_ARRAY_LEN(nodes->held));
    nodes->held[nodes->held_count++] = fd;
    return ntohs(any.sin_port);
}

int cli_nodes_add(struct cli_nodes *nodes)
{
    MOOT_ASSERT(nodes->count < MOOT_MEMBERS_MAX);
    int client = hold_port(nodes);
    int peer = hold_port(nodes);
    if (client == 0 || peer == 0) {
        cli_fail("no free port on 127.0.0.1: %s", strerror(errno));
        return -1;
    }
    snprintf(nodes->client[nodes->count], MOOT_ADDRESS_MAX, "127.0.0.1:%d", client);
    snprintf(nodes->peer[nodes->count], MOOT_ADDRESS_MAX, "127.0.0.1:%d", peer);
    nodes->count++;
    return 0;
}

void cli_nodes_let_ports_go(struct cli_nodes *nodes)
{
    while (nodes->held_count > 0) {
        close(nodes->held[--nodes->held_count]);
    }
}

static int write_cluster(const struct cli_nodes *nodes)
{
    char path[HOST_PATH_BYTES], line[2 * MOOT_ADDRESS_MAX + 64];
    struct moot_buffer text;
    moot_buffer_init(&text);
    snprintf(line, sizeof(line), "cluster %s\n", nodes->cluster);
    moot_buffer_append_text(&text, line);
    for (uint32_t i = 0; i < nodes->count; i++) {
        snprintf(line, sizeof(line), "node %u %s %s\n", i + 1, nodes->client[i], nodes->peer[i]);
        moot_buffer_append_text(&text, line);
    }
    int status = file_of(nodes, "cluster", path)
                     ? host__write_file(path, 0644, moot_buffer_slice(&text))
                     : MOOT_EIO;
    moot_buffer_deinit(&text);
    return status;
}

int cli_nodes_make(struct cli_nodes *nodes, const char *dir, uint32_t count, int port)
{
    *nodes = (struct cli_nodes){.count = count};
    char path[HOST_PATH_BYTES];
    if (host__make_folder(dir, 0755) != 0 || realpath(dir, nodes->dir) == NULL) {
        cli_fail("the folder %s cannot be made: %s", dir, strerror(errno));
        return -1;
    }
    uint8_t id[MOOT_CLUSTER_ID_BYTES];
    ssize_t got = getrandom(id, sizeof(id), 0);
    MOOT_ASSERT(got == (ssize_t)sizeof(id));
    for (size_t i = 0; i < sizeof(id); i++) {
        snprintf(nodes->cluster + 2 * i, 3, "%02x", id[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        int client = port == 0 ? hold_port(nodes) : port + (int)i;
        int peer = port == 0 || client + PEER_PORT_ABOVE > UINT16_MAX ? hold_port(nodes)
                                                                      : client + PEER_PORT_ABOVE;
        if (client == 0 || peer == 0) {
            cli_fail("no free port on 127.0.0.1: %s", strerror(errno));
            return -1;
        }
        snprintf(nodes->client[i], MOOT_ADDRESS_MAX, "127.0.0.1:%d", client);
        snprintf(nodes->peer[i], MOOT_ADDRESS_MAX, "127.0.0.1:%d", peer);
    }
    if (!file_of(nodes, "secret", path) || host__make_secret(path) != MOOT_OK ||
        write_cluster(nodes) != MOOT_OK) {
        cli_fail("%s cannot be written: %s", nodes->dir, strerror(errno));
        return -1;
    }
    return 0;
}

int cli_nodes_mark_formatted(struct cli_nodes *nodes)
{
    char path[HOST_PATH_BYTES];
    nodes->formatted = true;
    return file_of(nodes, "formatted", path) &&
                   host__write_file(path, 0644, MOOT_SLICE_LITERAL("yes\n")) == MOOT_OK
               ? 0
               : -1;
}

/* ---- processes ---- */

static void spec_of(const struct cli_nodes *nodes, char out[SPEC_BYTES])
{
    size_t size = 0;
    for (uint32_t i = 0; i < nodes->count; i++) {
        size += (size_t)snprintf(out + size, SPEC_BYTES - size, "%s%u=%s/%s", i == 0 ? "" : ",",
                                 i + 1, nodes->peer[i], nodes->client[i]);
        MOOT_ASSERT(size < SPEC_BYTES);
    }
}

static const char *port_text(const char *address) { return strrchr(address, ':') + 1; }

/* In the child: becomes the node, or ends. */
static _Noreturn void become_node(const struct cli_node_options *options, const char *log,
                                  char **argv)
{
    pid_t parent = getppid();
    /* Out of our process group: Ctrl-C is for us, and we tell the nodes. */
    setpgid(0, 0);
    if (options->with_parent) {
        prctl(PR_SET_PDEATHSIG, options->parent_signal != 0 ? options->parent_signal : SIGTERM);
        if (getppid() != parent) {
            _exit(CLI_FAILED);
        }
    }
    if (options->network > 0 && setns(options->network, CLONE_NEWNET) != 0) {
        _exit(CLI_FAILED);
    }
    int in = open("/dev/null", O_RDONLY);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) {
        _exit(CLI_FAILED);
    }
    if (in > 2) {
        close(in);
    }
    if (out > 2) {
        close(out);
    }
    for (size_t i = 0; options->environment != NULL && options->environment[i] != NULL; i++) {
        putenv((char *)options->environment[i]); /* It only reads it. */
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* By its name if it still has one, so that it is called moot in lists of processes. */
    char exe[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (size > 0) {
        exe[size] = '\0';
        execv(exe, argv);
    }
    execv("/proc/self/exe", argv);
    dprintf(2, "moot: cannot start %s: %s\n", argv[0], strerror(errno));
    _exit(CLI_FAILED);
}

pid_t cli_nodes_spawn(const struct cli_nodes *nodes, uint32_t k,
                      const struct cli_node_options *options)
{
    char folder[CLI_PATH_BYTES], log[HOST_PATH_BYTES], secret[HOST_PATH_BYTES], id[16];
    char spec[SPEC_BYTES], election[24], heartbeat[24], cache[24];
    cli_nodes_folder(nodes, k, folder);
    spec_of(nodes, spec);
    if (host__make_folder(folder, 0700) != 0 || !log_of(nodes, k, log) ||
        !file_of(nodes, "secret", secret)) {
        cli_fail("%s cannot be made: %s", folder, strerror(errno));
        return -1;
    }
    snprintf(id, sizeof(id), "%u", k);
    snprintf(election, sizeof(election), "%ld", options->election_ms);
    snprintf(heartbeat, sizeof(heartbeat), "%ld", options->heartbeat_ms);
    snprintf(cache, sizeof(cache), "%ld", options->store_cache_mb);
    char *argv[32] = {"moot", "server", "--dir", folder, "--secret-file", secret};
    int count = 6;
#define ADD(name, value) (argv[count++] = (name), argv[count++] = (value))
    ADD("--port", (char *)port_text(nodes->client[k - 1]));
    ADD("--peer-port", (char *)port_text(nodes->peer[k - 1]));
    if (options->host != NULL) {
        ADD("--bind", "0.0.0.0");
        ADD("--advertise", (char *)options->host);
        argv[count++] = "--insecure-bind";
    }
    if (options->join != NULL) {
        ADD("--join", (char *)options->join);
    } else if (nodes->formatted) {
        argv[count++] = "--no-format";
    } else {
        ADD("--id", id);
        ADD("--cluster", (char *)nodes->cluster);
        ADD("--initial", spec);
    }
    if (options->election_ms > 0) {
        ADD("--election-ms", election);
    }
    if (options->heartbeat_ms > 0) {
        ADD("--heartbeat-ms", heartbeat);
    }
    if (options->store_cache_mb > 0) {
        ADD("--store-cache-mb", cache);
    }
#undef ADD
    MOOT_ASSERT((size_t)count < MOOT_ARRAY_LEN(argv));
    pid_t pid = fork();
    if (pid == 0) {
        become_node(options, log, argv);
    }
    if (pid < 0) {
        cli_fail("node %u cannot be started: %s", k, strerror(errno));
    }
    return pid;
}

void cli_nodes_show_log(const struct cli_nodes *nodes, uint32_t k)
{
    char path[HOST_PATH_BYTES];
    FILE *log = log_of(nodes, k, path) ? fopen(path, "r") : NULL;
    if (log == NULL) {
        return;
    }
    fprintf(stderr, "moot: the end of %s:\n", path);
    bool cut = fseek(log, -LOG_SHOWN, SEEK_END) == 0;
    char line[1024];
    for (bool first = cut; fgets(line, sizeof(line), log) != NULL; first = false) {
        if (!first) {
            fprintf(stderr, "    %s", line);
        }
    }
    fclose(log);
}

/* The value of --dir in a process' arguments is this folder. */
static bool serves(pid_t pid, const char *dir)
{
    char path[64], real[PATH_MAX], theirs[PATH_MAX], exe[PATH_MAX];
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    ssize_t size = readlink(path, exe, sizeof(exe) - 1);
    if (size <= 0 || realpath(dir, real) == NULL) {
        return false;
    }
    exe[size] = '\0';
    const char *name = strrchr(exe, '/');
    /* A rebuilt program reads "moot (deleted)". */
    if (name == NULL || strncmp(name, "/moot", 5) != 0) {
        return false;
    }
    snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    struct moot_buffer words;
    moot_buffer_init(&words);
    bool found = false;
    if (host__read_file(path, 65536, &words) == MOOT_OK && words.size > 0) {
        moot_buffer_append(&words, "", 1);
        const char *end = (const char *)words.data + words.size;
        bool next = false;
        for (const char *word = (const char *)words.data; word < end; word += strlen(word) + 1) {
            bool given = next || strncmp(word, "--dir=", 6) == 0;
            const char *value = next ? word : word + 6;
            found =
                found || (given && realpath(value, theirs) != NULL && strcmp(theirs, real) == 0);
            next = strcmp(word, "--dir") == 0;
        }
    }
    moot_buffer_deinit(&words);
    return found;
}

pid_t cli_pid_of(const char *dir)
{
    char path[HOST_PATH_BYTES];
    struct moot_buffer text;
    moot_buffer_init(&text);
    long pid = 0;
    if (host__path(path, dir, "pid") && host__read_file(path, 64, &text) == MOOT_OK) {
        moot_buffer_append(&text, "", 1);
        pid = strtol((char *)text.data, NULL, 10);
    }
    moot_buffer_deinit(&text);
    return pid > 0 && serves((pid_t)pid, dir) ? (pid_t)pid : 0;
}

/* Gone, or a zombie that its parent has not asked for; a child of ours is asked for here. */
static bool is_gone(pid_t pid)
{
    if (waitpid(pid, NULL, WNOHANG) == pid || kill(pid, 0) != 0) {
        return true;
    }
    char path[64], state = '?';
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *stat = fopen(path, "r");
    if (stat == NULL) {
        return true;
    }
    int read = fscanf(stat, "%*d %*[^)]) %c", &state);
    fclose(stat);
    return read == 1 && (state == 'Z' || state == 'X');
}

bool cli_stop_all(const pid_t *pids, size_t count, int limit_ms)
{
    for (size_t i = 0; i < count; i++) {
        if (pids[i] > 0) {
            kill(pids[i], SIGTERM);
            kill(pids[i], SIGCONT); /* One that was stopped by a signal could not hear it. */
        }
    }
    bool by_themselves = true;
    const struct timespec nap = {.tv_nsec = 10 * 1000 * 1000};
    for (int waited_ms = 0;; waited_ms += 10) {
        size_t left = 0;
        for (size_t i = 0; i < count; i++) {
            bool lives = pids[i] > 0 && !is_gone(pids[i]);
            left += lives ? 1 : 0;
            if (lives && waited_ms == limit_ms) {
                kill(pids[i], SIGKILL);
                by_themselves = false;
            }
        }
        if (left == 0) {
            return by_themselves;
        }
        nanosleep(&nap, NULL);
    }
}
