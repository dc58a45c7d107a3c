/* `moot check --live`, `moot check --target`: from the command line to the verdict. */
#include "cli/live.h"

#include <argp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/assert.h"
#include "base/slice.h"
#include "moot/base.h"
#include "wire/address.h"

enum { RECOVERY_SECONDS = 60, NAP_STEP_MS = 50 };

struct options {
    bool live, loopback, keep, spread, faults_given;
    long nodes, seconds, clients, pace_ms;
    uint64_t seed;
    const char *target, *hook, *html, *histories;
    uint32_t faults;
    const char *faults_text;
};

enum {
    KEY_LIVE = 256,
    KEY_TARGET,
    KEY_NODES,
    KEY_SECONDS,
    KEY_FAULTS,
    KEY_SEED,
    KEY_HTML,
    KEY_HOOK,
    KEY_CLIENTS,
    KEY_PACE,
    KEY_LOOPBACK,
    KEY_KEEP,
    KEY_SPREAD,
    KEY_HISTORIES
};
static const struct argp_option table[] = {
    {"live", KEY_LIVE, NULL, 0, "a new cluster of this program, and faults", 0},
    {"target", KEY_TARGET, "redis://HOST:PORT[,HOST:PORT...]", 0, "servers that are there", 0},
    {"seconds", KEY_SECONDS, "N", 0, "how long (60)", 1},
    {"seed", KEY_SEED, "S", 0, "of every choice (a new one, printed)", 1},
    {"clients", KEY_CLIENTS, "N", 0, "how many at once (12)", 1},
    {"pace-ms", KEY_PACE, "MS", 0, "mean pause between a client's operations (4)", 1},
    {"html", KEY_HTML, "FILE", 0, "write the report as a page", 1},
    {"histories", KEY_HISTORIES, "DIR", 0, "write what clients saw, for moot check --history", 1},
    {"nodes", KEY_NODES, "N", 0, "--live: how many nodes (3)", 2},
    {"faults", KEY_FAULTS, "NAME,...", 0, "--live: which faults, see below (all)", 2},
    {"loopback", KEY_LOOPBACK, NULL, 0, "--live: no faults of the network", 2},
    {"keep", KEY_KEEP, NULL, 0, "--live: leave the folder with data and logs", 2},
    {"hook", KEY_HOOK, "CMD", 0, "--target: run by sh when a fault is due", 3},
    {"spread", KEY_SPREAD, NULL, 0, "--target: clients of all servers at once", 3},
    {0},
};

static const char doc[] =
    "Drives real servers with concurrent clients under faults, and judges what the clients were "
    "told. Exits with 0 when every promise was kept, 1 when one was broken, and 2 when that is not "
    "known.\v"
    "Faults, one at a time, and their groups:\n"
    "  process    kill, pause\n"
    "  disk       replace (all is lost, a new node comes), disk-full\n"
    "  clock      skew (within the bound), jump (beyond it)\n"
    "  network    delay, loss, and those of partition\n"
    "  partition  isolate (the leader), halves, bridge, one-way, flap\n"
    "or all, or none. What a machine does not allow is left out, and said: the\n"
    "network needs namespaces, disk-full a mount namespace, clock libfaketime.\n"
    "\n"
    "Without --spread, clients of --target use the first server until it is lost or\n"
    "refuses, and then the next. --hook finds MOOT_EVENT (begin or end) and\n"
    "MOOT_FAULT (its number, from 1) in its environment.\n"
    "\n"
    "A seed repeats the choices, not the times: docs/testing.md says more.";

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case KEY_LIVE:
        options->live = true;
        return 0;
    case KEY_TARGET:
        options->target = text;
        return 0;
    case KEY_NODES:
        options->nodes = cli_number("--nodes", text, 1, MOOT_MEMBERS_MAX);
        return 0;
    case KEY_SECONDS:
        options->seconds = cli_number("--seconds", text, 1, 7 * 24 * 3600);
        return 0;
    case KEY_CLIENTS:
        options->clients = cli_number("--clients", text, 1, LIVE_CLIENTS_MAX);
        return 0;
    case KEY_PACE:
        options->pace_ms = cli_number("--pace-ms", text, 0, 1000);
        return 0;
    case KEY_SEED:
        if (!moot_slice_to_u64(moot_slice_text(text), &options->seed)) {
            argp_error(state, "--seed needs a whole number, not %s", text);
        }
        return 0;
    case KEY_FAULTS:
        options->faults_text = text;
        if (!live_faults_parse(text, &options->faults)) {
            argp_error(state, "--faults: a name in '%s' is none of the faults", text);
        }
        return 0;
    case KEY_HTML:
        options->html = text;
        return 0;
    case KEY_HISTORIES:
        options->histories = text;
        return 0;
    case KEY_HOOK:
        options->hook = text;
        return 0;
    case KEY_LOOPBACK:
        options->loopback = true;
        return 0;
    case KEY_KEEP:
        options->keep = true;
        return 0;
    case KEY_SPREAD:
        options->spread = true;
        return 0;
    case ARGP_KEY_END:
        if (options->live == (options->target != NULL)) {
            argp_error(state, "either --live or --target");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- time, and Ctrl-C ---- */

static volatile sig_atomic_t asked_to_stop;
static void on_signal(int number) { asked_to_stop = number; }

bool live_is_interrupted(void) { return asked_to_stop != 0; }

uint64_t live_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool live_nap_ms(uint64_t ms)
{
    uint64_t end = live_now_ns() + ms * 1000000u;
    while (asked_to_stop == 0) {
        uint64_t now = live_now_ns();
        uint64_t left = end > now ? moot_min_u64(end - now, NAP_STEP_MS * 1000000u) : 0;
        if (left == 0) {
            return true;
        }
        nanosleep(&(struct timespec){.tv_nsec = (long)left}, NULL);
    }
    return false;
}

/* ---- beginning ---- */

struct run {
    const struct options *options;
    struct live_servers servers;
    struct live_cluster cluster;
    struct live_faults faults;
    struct live_result result;
    struct live_report report;
    char network[1024], what[512], again[1024];
};

static bool take_targets(struct run *run, const char *text)
{
    char copy[LIVE_SERVERS_MAX * MOOT_ADDRESS_MAX];
    static const char scheme[] = "redis://";
    snprintf(copy, sizeof(copy), "%s", text);
    uint32_t count = 0;
    for (char *one = strtok(copy, ","); one != NULL; one = strtok(NULL, ",")) {
        struct moot_slice host;
        uint16_t port;
        const char *address =
            strncmp(one, scheme, strlen(scheme)) == 0 ? one + strlen(scheme) : one;
        if (count == LIVE_SERVERS_MAX || strlen(address) >= MOOT_ADDRESS_MAX ||
            !moot_address_split(moot_slice_text(address), &host, &port)) {
            cli_fail("--target: '%s' is no redis://HOST:PORT, or too many", one);
            return false;
        }
        snprintf(run->servers.address[count++], MOOT_ADDRESS_MAX, "%s", address);
    }
    run->servers.spread = run->options->spread;
    atomic_store(&run->servers.count, count);
    snprintf(run->what, sizeof(run->what), "%.400s", text);
    snprintf(run->network, sizeof(run->network), "as it is");
    return count > 0;
}

/* What cannot be had here: said in the report, and at once to whoever asked for it by name. */
static void leave_out(struct run *run, const char *group, const char *why)
{
    uint32_t bits = 0;
    live_faults_parse(group, &bits);
    size_t size = strlen(run->network);
    if ((run->faults.enabled & bits) == 0) {
        return;
    }
    snprintf(run->network + size, sizeof(run->network) - size, "; left out: %s (%s)", group, why);
    if (run->options->faults_text != NULL && strcmp(run->options->faults_text, "all") != 0) {
        fprintf(stderr, "moot: left out: %s: %s\n", group, why);
    }
    run->faults.enabled &= ~bits;
}

static bool wants(const struct run *run, const char *group)
{
    uint32_t bits = 0;
    live_faults_parse(group, &bits);
    return (run->faults.enabled & bits) != 0;
}

/* Namespaces, small disks and clocks of their own, when they are needed and can be had. */
static void prepare(struct run *run)
{
    char why[LIVE_WHY_BYTES] = "--loopback was given";
    struct live_cluster *cluster = &run->cluster;
    cluster->networked =
        !run->options->loopback && live_network_start(LIVE_SERVERS_MAX, run->options->seed, why);
    snprintf(run->network, sizeof(run->network), "%s",
             cluster->networked ? "a network namespace for each node, and a switch between them"
                                : "loopback");
    if (!cluster->networked) {
        leave_out(run, "network", why);
    }
    if (wants(run, "disk-full")) {
        cluster->has_disks = live_disks_start((uint32_t)run->options->nodes + 1, why);
        if (!cluster->has_disks) {
            leave_out(run, "disk-full", why);
        }
    }
    if (wants(run, "clock")) {
        cluster->has_clocks = live_clocks_start(why);
        if (!cluster->has_clocks) {
            leave_out(run, "clock", why);
        }
    }
}

static bool begin_live(struct run *run)
{
    const struct options *options = run->options;
    prepare(run);
    run->servers.spread = true;
    run->faults.cluster = &run->cluster;
    snprintf(run->what, sizeof(run->what), "%ld new nodes of moot " MOOT_VERSION, options->nodes);
    printf("%s\nnetwork: %s\n", run->what, run->network);
    fflush(stdout);
    return live_cluster_start(&run->cluster, &run->servers, (uint32_t)options->nodes);
}

static void begin_target(struct run *run)
{
    run->faults.enabled = run->options->hook != NULL ? 1u << LIVE_FAULT_HOOK : 0;
    run->faults.hook = run->options->hook;
    printf("target: %s\n", run->what);
}

static void tell_again(struct run *run)
{
    const struct options *options = run->options;
    size_t size;
    char *out = run->again;
    if (options->target != NULL) {
        size = (size_t)snprintf(out, sizeof(run->again), "moot check --target %.300s%s",
                                options->target, options->spread ? " --spread" : "");
        if (options->hook != NULL) {
            size += (size_t)snprintf(out + size, sizeof(run->again) - size, " --hook '%.300s'",
                                     options->hook);
        }
    } else {
        size = (size_t)snprintf(out, sizeof(run->again),
                                "moot check --live --nodes %ld --faults %.200s%s", options->nodes,
                                options->faults_text != NULL ? options->faults_text : "all",
                                options->loopback ? " --loopback" : "");
    }
    snprintf(out + size, sizeof(run->again) - size,
             " --seconds %ld --clients %ld --pace-ms %ld --seed %llu", options->seconds,
             options->clients, options->pace_ms, (unsigned long long)options->seed);
    printf("again:   %s\n", run->again);
    fflush(stdout);
}

/* ---- the run ---- */

/* Load, faults, healing, last reads. False when Ctrl-C came; clients are then left alone. */
static bool drive(struct run *run)
{
    const struct options *options = run->options;
    struct live_report *report = &run->report;
    uint32_t models = LIVE_MODELS_ALL;
    if (options->target != NULL && !live_knows(&run->servers, "WITH")) {
        models &= ~(1u << LIVE_ONCE); /* It is moot's own. */
    }
    struct live_clients *clients =
        live_clients_start(&run->servers, (uint32_t)options->clients, options->seed,
                           (uint32_t)options->pace_ms * 1000, models);
    report->start_ns = live_now_ns();
    live_faults_run(&run->faults, report->start_ns + (uint64_t)options->seconds * 1000000000u);
    if (live_is_interrupted()) {
        return false;
    }
    report->end_ns = live_now_ns();
    live_clients_end(clients);
    report->read_all = run->faults.stuck[0] == '\0' && live_clients_last_reads(clients);
    if (live_is_interrupted()) {
        return false;
    }
    live_clients_result(clients, &run->result);
    return true;
}

static int conclude(struct run *run)
{
    struct live_report *report = &run->report;
    report->what = run->what;
    report->network = run->network;
    report->again = run->again;
    report->seed = run->options->seed;
    report->faults = &run->faults;
    report->result = &run->result;
    if (run->cluster.networked) {
        report->packets = live_network_packets();
    }
    for (uint32_t i = 0; i < run->faults.count; i++) {
        enum live_fault fault = run->faults.bands[i].fault;
        if (fault == LIVE_FAULT_SKEW || fault == LIVE_FAULT_JUMP) {
            report->clocks_ms = MOOT_CLOCK_BOUND_MS;
        }
    }
    live_report_judge(report);
    live_report_print(report);
    int status = report->status;
    if (run->options->html != NULL && !live_report_page(report, run->options->html)) {
        status = status == LIVE_VALID ? LIVE_UNKNOWN : status;
    }
    const char *folder = run->options->histories;
    if (folder == NULL && run->options->live && status != LIVE_VALID) {
        folder = run->cluster.nodes.dir; /* It is kept. */
    }
    if (folder != NULL && !live_report_histories(report, folder)) {
        status = status == LIVE_VALID ? LIVE_UNKNOWN : status;
    }
    for (int model = 0; model < LIVE_MODELS_COUNT; model++) {
        moot_verdict_deinit(&report->verdicts[model]);
    }
    live_result_deinit(&run->result);
    return status;
}

static int run_it(struct run *run)
{
    const struct options *options = run->options;
    tell_again(run);
    if (options->target != NULL) {
        begin_target(run);
    } else if (!begin_live(run)) {
        live_cluster_end(&run->cluster, options->keep);
        return LIVE_UNKNOWN;
    }
    bool done = drive(run);
    int status = done ? conclude(run) : LIVE_UNKNOWN;
    if (options->live) {
        live_cluster_end(&run->cluster, options->keep || (done && status != LIVE_VALID));
    }
    if (!done) {
        printf("interrupted: nothing was judged\n");
    }
    return status;
}

int moot_cli_live(int argc, char **argv)
{
    static const struct argp argp = {.options = table, .parser = parse, .doc = doc};
    struct options options = {.nodes = 3, .seconds = 60, .clients = 12, .pace_ms = 4};
    static struct run run; /* Large. */
    ssize_t got = getrandom(&options.seed, sizeof(uint32_t), 0);
    MOOT_ASSERT(got == sizeof(uint32_t));
    argp_err_exit_status = LIVE_UNKNOWN;
    live_faults_parse("all", &options.faults);
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    run.options = &options;
    run.faults.enabled = options.faults;
    run.faults.recovery_s = RECOVERY_SECONDS;
    moot_rng_init(&run.faults.rng, options.seed);
    if (options.target != NULL && !take_targets(&run, options.target)) {
        return LIVE_UNKNOWN;
    }
    return run_it(&run);
}
