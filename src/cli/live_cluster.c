/* A cluster of this program in a folder of its own. Its processes end with this one, also when it
 * is killed: the kernel sends them SIGKILL, which a stopped one hears too. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/limits.h"
#include "cli/live.h"
#include "cli/view.h"

enum {
    POLL_MS = 20,
    PORT_IN_NETWORK = 7001, /* Nobody else is there. */
    CACHE_MB = 16,
};

void live_cluster_folder(const struct live_cluster *cluster, uint32_t node,
                         char out[CLI_PATH_BYTES])
{
    cli_nodes_folder(&cluster->nodes, node + 1, out);
}

static bool make_disk(struct live_cluster *cluster, uint32_t node)
{
    char folder[CLI_PATH_BYTES];
    live_cluster_folder(cluster, node, folder);
    if (cluster->has_disks && !cluster->disk_is_made[node]) {
        cluster->disk_is_made[node] = live_disks_make(folder);
        return cluster->disk_is_made[node];
    }
    return true;
}

static bool spawn(struct live_cluster *cluster, uint32_t node, const char *join)
{
    char host[32];
    struct cli_node_options options = {
        .store_cache_mb = CACHE_MB, .with_parent = true, .parent_signal = SIGKILL, .join = join};
    if (cluster->networked) {
        live_network_address(node + 1, host);
        options.host = host;
        options.network = live_network_namespace(node + 1);
    }
    if (cluster->has_clocks) {
        options.environment = live_clocks_environment(cluster->nodes.dir, node);
    }
    bool ready = make_disk(cluster, node) &&
                 (!cluster->has_clocks || live_clocks_set(cluster->nodes.dir, node, 0));
    pid_t pid = ready ? cli_nodes_spawn(&cluster->nodes, node + 1, &options) : -1;
    cluster->pids[node] = pid > 0 ? pid : 0;
    cluster->is_stopped[node] = false;
    return pid > 0;
}

/* Where a node is found, in a network of our own. */
static void name_in_network(struct cli_nodes *nodes, uint32_t node)
{
    char host[32];
    live_network_address(node + 1, host);
    snprintf(nodes->client[node], MOOT_ADDRESS_MAX, "%s:%d", host, PORT_IN_NETWORK);
    snprintf(nodes->peer[node], MOOT_ADDRESS_MAX, "%s:%d", host, PORT_IN_NETWORK + 10000);
}

static void publish(struct live_cluster *cluster, uint32_t node)
{
    memcpy(cluster->servers->address[node], cluster->nodes.client[node], MOOT_ADDRESS_MAX);
    atomic_store(&cluster->servers->count, node + 1);
}

bool live_cluster_start(struct live_cluster *cluster, struct live_servers *servers, uint32_t count)
{
    bool networked = cluster->networked;
    const char *temporary = getenv("TMPDIR");
    char folder[CLI_PATH_BYTES];
    cluster->servers = servers;
    snprintf(folder, sizeof(folder), "%.3900s/moot-live-XXXXXX",
             temporary != NULL && *temporary != '\0' ? temporary : "/tmp");
    if (mkdtemp(folder) == NULL) {
        cli_fail("no folder can be made as %s: %s", folder, strerror(errno));
        return false;
    }
    if (cli_nodes_make(&cluster->nodes, folder, count, networked ? PORT_IN_NETWORK : 0) != 0) {
        return false;
    }
    cluster->nodes.logs_outside = true; /* A node's folder may be lost, or full. */
    for (uint32_t i = 0; i < count; i++) {
        if (networked) {
            name_in_network(&cluster->nodes, i);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        cluster->ids[i] = i + 1;
        if (!spawn(cluster, i, NULL)) {
            return false;
        }
        publish(cluster, i);
    }
    if (!live_cluster_serves(cluster, MOOT_UP_READY_S)) {
        for (uint32_t i = 0; i < count && !live_is_interrupted(); i++) {
            cli_nodes_show_log(&cluster->nodes, i + 1);
        }
        return false;
    }
    return cli_nodes_mark_formatted(&cluster->nodes) == 0;
}

/* ---- the end ---- */

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status, (void)kind, (void)walk;
    return remove(path);
}

void live_cluster_end(struct live_cluster *cluster, bool keep)
{
    if (!cli_stop_all(cluster->pids, cluster->nodes.count, MOOT_DOWN_MS)) {
        fprintf(stderr, "moot: not all nodes stopped in %d s; those were ended by force\n",
                MOOT_DOWN_MS / 1000);
    }
    cli_nodes_let_ports_go(&cluster->nodes);
    for (uint32_t i = 0; i < cluster->nodes.count; i++) {
        if (cluster->disk_is_made[i]) {
            char folder[CLI_PATH_BYTES];
            live_cluster_folder(cluster, i, folder);
            keep ? live_disks_keep(folder) : live_disks_drop(folder);
        }
    }
    if (keep && cluster->nodes.dir[0] != '\0') {
        printf("kept: %s (logs in node*.log)\n", cluster->nodes.dir);
    } else if (cluster->nodes.dir[0] != '\0') {
        nftw(cluster->nodes.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
}

/* ---- what nodes say ---- */

bool live_cluster_has(const struct live_cluster *cluster, uint32_t node)
{
    return node < cluster->nodes.count && !atomic_load(&cluster->servers->is_out[node]);
}

uint32_t live_cluster_leader(const struct live_cluster *cluster)
{
    static struct cli_view view; /* Large. */
    int64_t term = -1, leader = 0;
    char why[256];
    for (uint32_t i = 0; i < cluster->nodes.count; i++) {
        if (live_cluster_has(cluster, i) && !cluster->is_stopped[i] &&
            cli_view_ask(&view, cluster->nodes.client[i], MOOT_UP_ASK_MS, why) && view.leader > 0 &&
            view.term > term) {
            term = view.term;
            leader = view.leader;
        }
    }
    for (uint32_t i = 0; i < cluster->nodes.count; i++) {
        if (leader > 0 && cluster->ids[i] == leader && live_cluster_has(cluster, i)) {
            return i;
        }
    }
    return 0;
}

bool live_cluster_serves(const struct live_cluster *cluster, uint64_t seconds)
{
    uint64_t end = live_now_ns() + seconds * 1000000000u;
    for (uint32_t i = 0; i < cluster->nodes.count; i++) {
        while (live_cluster_has(cluster, i) &&
               !live_serves(cluster->nodes.client[i], MOOT_UP_ASK_MS)) {
            if (live_now_ns() > end || !live_nap_ms(POLL_MS)) {
                return false;
            }
        }
    }
    return true;
}

/* ---- faults of processes ---- */

void live_cluster_kill(struct live_cluster *cluster, uint32_t node)
{
    if (cluster->pids[node] > 0) {
        kill(cluster->pids[node], SIGKILL);
        waitpid(cluster->pids[node], NULL, 0);
    }
    cluster->pids[node] = 0;
}

bool live_cluster_restart(struct live_cluster *cluster, uint32_t node)
{
    MOOT_ASSERT(cluster->pids[node] == 0);
    return spawn(cluster, node, NULL);
}

void live_cluster_stop(struct live_cluster *cluster, uint32_t node)
{
    if (cluster->pids[node] > 0) {
        kill(cluster->pids[node], SIGSTOP);
        cluster->is_stopped[node] = true;
    }
}

void live_cluster_continue(struct live_cluster *cluster, uint32_t node)
{
    if (cluster->pids[node] > 0 && cluster->is_stopped[node]) {
        kill(cluster->pids[node], SIGCONT);
    }
    cluster->is_stopped[node] = false;
}

void live_cluster_revive(struct live_cluster *cluster, uint32_t node)
{
    if (cluster->pids[node] > 0 &&
        waitpid(cluster->pids[node], NULL, WNOHANG) == cluster->pids[node]) {
        spawn(cluster, node, NULL);
    }
}

uint32_t live_cluster_look_after(struct live_cluster *cluster)
{
    uint32_t ended = 0;
    for (uint32_t i = 0; i < cluster->nodes.count; i++) {
        if (cluster->pids[i] > 0 && waitpid(cluster->pids[i], NULL, WNOHANG) == cluster->pids[i]) {
            cli_fail("node %lld ended by itself", (long long)cluster->ids[i]);
            cli_nodes_show_log(&cluster->nodes, i + 1);
            cluster->pids[i] = 0;
            ended++;
            spawn(cluster, i, NULL);
        }
    }
    return ended;
}

/* ---- replacement ---- */

/* `moot cluster replace OLD NEW`, at the leader and from its own machine, which here is its
 * namespace: others may give no orders. Its words go to the folder. */
static _Noreturn void become_order(const struct live_cluster *cluster, uint32_t leader, int64_t old,
                                   int64_t new)
{
    char log[CLI_PATH_BYTES + 16], from[24], to[24];
    const char *port = strrchr(cluster->nodes.client[leader], ':') + 1;
    snprintf(log, sizeof(log), "%s/replace.log", cluster->nodes.dir);
    snprintf(from, sizeof(from), "%lld", (long long)old);
    snprintf(to, sizeof(to), "%lld", (long long)new);
    char *argv[] = {"moot", "cluster", "replace", from, to, "--port", (char *)port, NULL};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    bool there =
        !cluster->networked || setns(live_network_namespace(leader + 1), CLONE_NEWNET) == 0;
    if (there && out >= 0 && dup2(out, 1) >= 0 && dup2(out, 2) >= 0) {
        execv("/proc/self/exe", argv);
    }
    _exit(CLI_FAILED);
}

/* Again with whoever leads then, when leadership moved meanwhile. */
static bool order_replacement(const struct live_cluster *cluster, int64_t old, int64_t new)
{
    uint64_t end = live_now_ns() + MOOT_UP_READY_S * 1000000000ull;
    while (live_now_ns() < end && live_nap_ms(POLL_MS)) {
        uint32_t leader = live_cluster_leader(cluster);
        int status = -1;
        pid_t pid = fork();
        if (pid == 0) {
            become_order(cluster, leader, old, new);
        }
        while (pid > 0 && waitpid(pid, &status, WNOHANG) == 0) {
            if (live_now_ns() > end || !live_nap_ms(POLL_MS)) {
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
                return false;
            }
        }
        if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == CLI_OK) {
            return true;
        }
    }
    return false;
}

/* The id that the cluster gave to a node which joined. */
static int64_t id_of(const struct live_cluster *cluster, uint32_t node)
{
    static struct cli_view view; /* Large. */
    char why[256];
    uint64_t end = live_now_ns() + MOOT_UP_READY_S * 1000000000ull;
    while (!cli_view_ask(&view, cluster->nodes.client[node], MOOT_UP_ASK_MS, why) ||
           view.node <= 0) {
        if (live_now_ns() > end || !live_nap_ms(POLL_MS)) {
            return 0;
        }
    }
    return view.node;
}

bool live_cluster_replace(struct live_cluster *cluster, uint32_t node)
{
    uint32_t fresh = cluster->nodes.count, through = 0;
    char folder[CLI_PATH_BYTES];
    MOOT_ASSERT(fresh < LIVE_SERVERS_MAX);
    live_cluster_kill(cluster, node);
    cli_nodes_folder(&cluster->nodes, node + 1, folder);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (cluster->disk_is_made[node]) {
        live_disks_drop(folder);
        cluster->disk_is_made[node] = false;
        (void)rmdir(folder);
    }
    while (through == node || !live_cluster_has(cluster, through)) {
        through++;
    }
    if (cluster->networked) {
        name_in_network(&cluster->nodes, fresh);
        cluster->nodes.count++;
    } else if (cli_nodes_add(&cluster->nodes) != 0) {
        return false;
    }
    atomic_store(&cluster->servers->is_out[node], true);
    if (!spawn(cluster, fresh, cluster->nodes.client[through])) {
        return false;
    }
    publish(cluster, fresh);
    cluster->ids[fresh] = id_of(cluster, fresh);
    if (cluster->ids[fresh] == 0 ||
        !order_replacement(cluster, cluster->ids[node], cluster->ids[fresh])) {
        cli_fail("node %lld was not replaced; see %s", (long long)cluster->ids[node],
                 cluster->nodes.dir);
        return false;
    }
    return true;
}
