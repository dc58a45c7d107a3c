/* `moot up`: a whole cluster on this machine, for trying, for scripts and for tests. */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/nodes.h"
#include "cli/view.h"

enum { POLL_MS = 20 };

struct options {
    long nodes, port;
    bool nodes_given, port_given;
    const char *dir;
    bool detach;
    struct cli_node_options node;
};

enum { KEY_ELECTION = 256, KEY_HEARTBEAT, KEY_CACHE };
static const struct argp_option table[] = {
    {"nodes", 'n', "N", 0, "how many nodes (3)", 0},
    {"port", 'p', "PORT", 0,
     "client port of the first node, the others follow (7001); 0: free ones", 0},
    {"dir", 'd', "DIR", 0, "where the data is (./moot-data)", 0},
    {"detach", 'D', NULL, 0, "return when the cluster serves; `moot down` stops it", 0},
    {"election-ms", KEY_ELECTION, "MS", 0, "least election time-out", 1},
    {"heartbeat-ms", KEY_HEARTBEAT, "MS", 0, "gap between heartbeats", 1},
    {"store-cache-mb", KEY_CACHE, "MB", 0, "memory for the store's cache, each node", 1},
    {0},
};

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case 'n':
        options->nodes = cli_number("--nodes", text, 1, MOOT_MEMBERS_MAX);
        options->nodes_given = true;
        return 0;
    case 'p':
        options->port = cli_number("--port", text, 0, 65535);
        options->port_given = options->port != 0;
        return 0;
    case 'd':
        options->dir = text;
        return 0;
    case 'D':
        options->detach = true;
        return 0;
    case KEY_ELECTION:
        options->node.election_ms = cli_number("--election-ms", text, 10, 600000);
        return 0;
    case KEY_HEARTBEAT:
        options->node.heartbeat_ms = cli_number("--heartbeat-ms", text, 1, 60000);
        return 0;
    case KEY_CACHE:
        options->node.store_cache_mb = cli_number("--store-cache-mb", text, 1, 1 << 20);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    table,
    parse,
    NULL,
    "Starts a cluster on this machine (nodes are processes of their own), waits until it serves "
    "writes, and shows its state until Ctrl-C, which stops it. Data found in DIR is used again.",
    NULL,
    NULL,
    NULL};

struct cluster {
    struct cli_nodes nodes;
    pid_t pids[MOOT_MEMBERS_MAX];
    bool detached, stopping;
};

static volatile sig_atomic_t asked_to_stop;
static void on_signal(int number) { asked_to_stop = number; }

static void nap(int ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- children ---- */

/* Says of each child that has ended since that it has. How many live. */
static uint32_t look_after(struct cluster *cluster)
{
    uint32_t alive = 0;
    for (uint32_t i = 0; i < cluster->nodes.count; i++) {
        int status;
        if (cluster->pids[i] <= 0) {
            continue;
        }
        if (waitpid(cluster->pids[i], &status, WNOHANG) != cluster->pids[i]) {
            alive++;
            continue;
        }
        cluster->pids[i] = 0;
        fflush(stdout);
        if (WIFSIGNALED(status)) {
            cli_fail("node %u was ended by signal %d (%s)", i + 1, WTERMSIG(status),
                     strsignal(WTERMSIG(status)));
        } else {
            cli_fail("node %u ended with status %d", i + 1, WEXITSTATUS(status));
        }
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            cli_nodes_show_log(&cluster->nodes, i + 1);
        }
    }
    return alive;
}

static int stop(struct cluster *cluster, int status)
{
    printf("moot: stopping the nodes\n");
    fflush(stdout);
    if (!cli_stop_all(cluster->pids, cluster->nodes.count, MOOT_DOWN_MS)) {
        printf("moot: not all stopped in %d s; those were ended by force\n", MOOT_DOWN_MS / 1000);
    }
    printf("moot: stopped; the data stays in %s\n", cluster->nodes.dir);
    return status;
}

/* ---- getting ready ---- */

/* A write that changes nothing, but goes the whole way: log, disks, majority, execution. */
static bool serves_write(const struct cluster *cluster, uint32_t k, char why[256])
{
    static const char *const words[] = {"DEL", "moot:ready"};
    struct cli_client client;
    struct moot_resp_value reply;
    bool served = false;
    if (cli_connect(&client, cluster->nodes.client[k - 1], MOOT_UP_ASK_MS, why) != 0) {
        return false;
    }
    if (cli_command(&client, 2, words, MOOT_UP_ASK_MS, &reply, why) == 0) {
        served = reply.type == MOOT_RESP_INTEGER;
        if (!served) {
            snprintf(why, 256, "node %u answers: %.*s", k, (int)moot_min_u64(reply.text.size, 200),
                     (const char *)reply.text.data);
        }
    }
    cli_disconnect(&client);
    return served;
}

/* By every node that lives: each endpoint that is printed works. */
static bool all_serve_writes(const struct cluster *cluster, char why[256])
{
    for (uint32_t i = 0; i < cluster->nodes.count; i++) {
        if (cluster->pids[i] > 0 && !serves_write(cluster, i + 1, why)) {
            return false;
        }
    }
    return true;
}

static int wait_until_ready(struct cluster *cluster)
{
    char why[256] = "";
    double start = seconds_now();
    double told = start;
    while (!all_serve_writes(cluster, why)) {
        uint32_t alive = look_after(cluster);
        /* A new cluster must be whole; one with data goes on without a node that is lost. */
        uint32_t need =
            cluster->nodes.formatted ? cluster->nodes.count / 2 + 1 : cluster->nodes.count;
        if (asked_to_stop || alive < need) {
            return asked_to_stop
                       ? CLI_FAILED
                       : cli_fail("%u of %u nodes run: too few", alive, cluster->nodes.count);
        }
        if (seconds_now() - start > MOOT_UP_READY_S) {
            return cli_fail("no write was served in %d s: %s. The logs are %s/node*/log",
                            MOOT_UP_READY_S, why, cluster->nodes.dir);
        }
        if (seconds_now() - told > 1) {
            told = seconds_now();
            printf("moot: waiting: %s\n", why);
            fflush(stdout);
        }
        nap(POLL_MS);
    }
    printf("moot: writes are served after %.2f s\n", seconds_now() - start);
    return CLI_OK;
}

static const char *port_text(const char *address) { return strrchr(address, ':') + 1; }

static void say_ready(const struct cluster *cluster)
{
    const struct cli_nodes *nodes = &cluster->nodes;
    struct cli_view view;
    char why[256];
    printf("moot: ready\n");
    printf("\n  endpoints ");
    const char *ports[3] = {NULL, NULL, NULL}; /* Of up to three nodes that live. */
    uint32_t alive = 0, first = 0;
    for (uint32_t i = 0; i < nodes->count; i++) {
        if (cluster->pids[i] > 0) {
            printf(" redis://%s", nodes->client[i]);
            first = alive == 0 ? i : first;
            ports[alive++ % 3] = port_text(nodes->client[i]);
        }
    }
    for (uint32_t i = alive; i < 3; i++) {
        ports[i] = ports[0];
    }
    if (cli_view_ask(&view, nodes->client[first], MOOT_UP_ASK_MS, why) && view.leader > 0) {
        printf("\n  leader     node %lld", (long long)view.leader);
    }
    printf("\n\n  try        redis-cli -p %s SET greeting hello\n"
           "             redis-cli -p %s GET greeting\n"
           "             redis-cli -p %s INCR visits\n\n",
           ports[0], ports[1], ports[2]);
    fflush(stdout);
}

/* ---- watching ---- */

/* Counters of one moment, from each node that answers. */
struct sample {
    bool any;
    int64_t leader, term, commit, ops;
    int64_t applied[MOOT_MEMBERS_MAX]; /* -1: no answer. */
    double at;
};

static void take_sample(const struct cluster *cluster, struct sample *sample)
{
    *sample = (struct sample){.leader = -1, .at = seconds_now()};
    for (uint32_t i = 0; i < cluster->nodes.count; i++) {
        struct cli_view view;
        char why[256];
        sample->applied[i] = -1;
        if (cluster->pids[i] <= 0 ||
            !cli_view_ask(&view, cluster->nodes.client[i], MOOT_UP_ASK_MS / 4, why)) {
            continue;
        }
        sample->any = true;
        sample->applied[i] = view.applied;
        sample->ops += view.ops > 0 ? view.ops : 0;
        if (view.term > sample->term || (view.term == sample->term && sample->leader <= 0)) {
            sample->term = view.term;
            sample->leader = view.leader;
        }
        sample->commit = view.commit > sample->commit ? view.commit : sample->commit;
    }
}

static void format_status(const struct cluster *cluster, const struct sample *before,
                          const struct sample *now, char out[512])
{
    /* Our own question to each node is not counted. */
    int64_t asked = 0;
    for (uint32_t i = 0; i < cluster->nodes.count; i++) {
        asked += now->applied[i] >= 0 ? 1 : 0;
    }
    int64_t done = now->ops - before->ops > asked ? now->ops - before->ops - asked : 0;
    double span = now->at - before->at;
    char leader[32] = "none";
    if (now->leader > 0) {
        snprintf(leader, sizeof(leader), "node %lld", (long long)now->leader);
    }
    int size = snprintf(out, 512, "leader %s  term %lld  commit %lld  %.0f ops/s  lag", leader,
                        (long long)now->term, (long long)now->commit,
                        span > 0 ? (double)done / span : 0.0);
    for (uint32_t i = 0; i < cluster->nodes.count && size < 480; i++) {
        if (now->applied[i] < 0) {
            size += snprintf(out + size, 512 - (size_t)size, " down");
            continue;
        }
        int64_t lag = now->commit > now->applied[i] ? now->commit - now->applied[i] : 0;
        size += snprintf(out + size, 512 - (size_t)size, " %lld", (long long)lag);
    }
}

static int watch(struct cluster *cluster)
{
    bool terminal = isatty(STDOUT_FILENO) != 0;
    struct sample before, now;
    int64_t leader = -2;
    take_sample(cluster, &before);
    while (!asked_to_stop) {
        nap(1000);
        if (look_after(cluster) == 0) {
            return cli_fail("all nodes have ended");
        }
        if (asked_to_stop) {
            break;
        }
        char line[512];
        take_sample(cluster, &now);
        format_status(cluster, &before, &now, line);
        if (terminal) {
            printf("\r\033[K%s", line);
        } else if (now.leader != leader) { /* In a file, only what is new. */
            printf("%s\n", line);
        }
        leader = now.leader;
        fflush(stdout);
        before = now;
    }
    printf("\n");
    return stop(cluster, CLI_OK);
}

/* ---- beginning ---- */

static int check_found(const struct options *options, const struct cli_nodes *nodes)
{
    if (options->nodes_given && options->nodes != (long)nodes->count) {
        return cli_fail("%s holds a cluster of %u nodes: leave out --nodes, or name another --dir "
                        "(growing it: moot server --join)",
                        options->dir, nodes->count);
    }
    if (options->port_given && options->port != atol(port_text(nodes->client[0]))) {
        return cli_fail("%s holds a cluster at port %s: leave out --port, or name another --dir",
                        options->dir, port_text(nodes->client[0]));
    }
    for (uint32_t k = 1; k <= nodes->count; k++) {
        char folder[CLI_PATH_BYTES];
        cli_nodes_folder(nodes, k, folder);
        pid_t pid = cli_pid_of(folder);
        if (pid > 0) {
            return cli_fail("node %u of %s is running (process %d): stop it with `moot down --dir "
                            "%s`",
                            k, options->dir, (int)pid, options->dir);
        }
    }
    return CLI_OK;
}

static int prepare(struct cluster *cluster, const struct options *options)
{
    int found = cli_nodes_read(&cluster->nodes, options->dir);
    if (found < 0) {
        return CLI_FAILED;
    }
    if (found == 0) {
        printf("moot: %u nodes, with the data found in %s\n", cluster->nodes.count,
               cluster->nodes.dir);
        return check_found(options, &cluster->nodes);
    }
    if (cli_nodes_make(&cluster->nodes, options->dir, (uint32_t)options->nodes,
                       (int)options->port) != 0) {
        return CLI_FAILED;
    }
    printf("moot: %u new nodes in %s\n", cluster->nodes.count, cluster->nodes.dir);
    return CLI_OK;
}

static int start_all(struct cluster *cluster, const struct options *options)
{
    for (uint32_t i = 0; i < cluster->nodes.count; i++) {
        cluster->pids[i] = cli_nodes_spawn(&cluster->nodes, i + 1, &options->node);
        if (cluster->pids[i] < 0) {
            return CLI_FAILED;
        }
        printf("  node %u  clients at %s  process %d  log %s/node%u/log\n", i + 1,
               cluster->nodes.client[i], (int)cluster->pids[i], options->dir, i + 1);
    }
    fflush(stdout);
    int status = wait_until_ready(cluster);
    cli_nodes_let_ports_go(&cluster->nodes);
    if (status == CLI_OK && !cluster->nodes.formatted &&
        cli_nodes_mark_formatted(&cluster->nodes) != 0) {
        status = cli_fail("%s cannot be written: %s", cluster->nodes.dir, strerror(errno));
    }
    return status;
}

int moot_cli_up(int argc, char **argv)
{
    struct options options = {.nodes = 3, .port = CLI_PORT_DEFAULT, .dir = "./moot-data"};
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    options.node.with_parent = !options.detach;
    static struct cluster cluster; /* Large. */
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    int status = prepare(&cluster, &options);
    if (status != CLI_OK) {
        return status;
    }
    status = start_all(&cluster, &options);
    if (status != CLI_OK) {
        return stop(&cluster, status);
    }
    say_ready(&cluster);
    if (options.detach) {
        printf("  stop       moot down --dir %s\n", options.dir);
        return CLI_OK;
    }
    return watch(&cluster);
}
