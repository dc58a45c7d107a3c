/* `moot check --live` and `--target`: real servers, real clients, faults from a seed, a verdict.
 *
 *     live.c          the command line, and the run from its beginning to its verdict
 *     live_cluster.c  a cluster of this program in a folder of its own; its processes
 *     live_network.c  network namespaces, and the switch between them that cuts, delays and loses
 *     live_disks.c    a small disk for each node, that can be filled
 *     live_clocks.c   a wall clock for each node, that can be set
 *     live_faults.c   which fault comes when, from the seed; healing
 *     live_machines.c faults of disks and clocks, and what a node has to do then
 *     live_clients.c  clients: threads, connections, histories, samples of latency
 *     live_steps.c    how they ask: one command, several at once, several that belong together
 *     live_txn.c      how they ask transactions over several keys
 *     live_work.c     what they ask
 *     live_report.c   the verdict in words, live_page.c the page
 *
 * A seed repeats the choices, not the run: real machines do not take the same time twice. */
#ifndef MOOT_CLI_LIVE_H
#define MOOT_CLI_LIVE_H

#include "base/limits.h"
#include "base/rng.h"
#include "check/history.h"
#include "check/verdict.h"
#include "cli/nodes.h"

enum { LIVE_VALID = 0, LIVE_VIOLATION = 1, LIVE_UNKNOWN = 2 };
enum { LIVE_SERVERS_MAX = MOOT_MEMBERS_MAX, LIVE_CLIENTS_MAX = 256, LIVE_WHY_BYTES = 256 };

/* argv[0] is the subcommand's name. Returns the exit status: 0 valid, 1 violation, 2 not known. */
int moot_cli_live(int argc, char **argv);

uint64_t live_now_ns(void);
/* False when Ctrl-C (or SIGTERM) came meanwhile. */
bool live_nap_ms(uint64_t ms);
bool live_is_interrupted(void);

/* ---- servers, as clients know them ---- */
struct live_servers {
    char address[LIVE_SERVERS_MAX][MOOT_ADDRESS_MAX];
    _Atomic bool is_out[LIVE_SERVERS_MAX]; /* Gone for good. */
    _Atomic uint32_t count;                /* Grows only. */
    bool spread; /* Clients begin at different ones; otherwise all at the first that serves. */
};

/* ---- clients ---- */
#define LIVE_MODELS(X)                                                                             \
    X(REGISTER, "register", "registers are linearizable (SET, GET, DEL, GETSET, WATCH+EXEC)")      \
    X(COUNTER, "counter", "counters are linearizable (INCRBY, GET)")                               \
    X(APPEND, "append", "lists are linearizable (RPUSH, LPUSH, LPOP, RPOP, LLEN, LRANGE)")         \
    X(SET, "set", "no acknowledged element of a set is lost (HSET, HKEYS)")                        \
    X(QUEUE, "queue", "queues lose nothing and give nothing twice (RPUSH, LPOP, BLPOP)")           \
    X(BANK, "bank", "a transfer is whole or not at all: the total is kept (MULTI, INCRBY, MGET)")  \
    X(APPEND_TXN, "append-txn",                                                                    \
      "transactions on lists are strictly serializable (WATCH, MULTI, RPUSH, LRANGE)")             \
    X(REGISTER_TXN, "register-txn",                                                                \
      "transactions on registers are strictly serializable (WATCH, MULTI, SET, GET)")              \
    X(IDS, "ids", "no id is given twice (INCR)")                                                   \
    X(ONCE, "once", "an increment that is sent again counts once (WITH ID, INCRBY, GET)")          \
    X(EXPIRY, "expiry", "a key lives as long as it was told to, and no longer (SET PX, GET)")      \
    X(LARGE, "large", "large values come back whole, and are linearizable (SET, GET)")
enum live_model {
#define X(name, text, promise) LIVE_##name,
    LIVE_MODELS(X)
#undef X
        LIVE_MODELS_COUNT
};
extern const char *const live_model_names[LIVE_MODELS_COUNT];
extern const char *const live_model_promises[LIVE_MODELS_COUNT];

struct live_sample {
    uint64_t at_ns; /* When it was answered, or given up. */
    uint32_t took_us;
    uint8_t outcome;
};
struct live_result {
    struct moot_history histories[LIVE_MODELS_COUNT];
    struct live_sample *samples;
    size_t count;
    uint64_t outcomes[3]; /* by moot_outcome */
    char strange[8][128]; /* Replies that no client should get; the first ones. */
    size_t strange_count;
};
struct live_clients;

enum { LIVE_MODELS_ALL = (1u << LIVE_MODELS_COUNT) - 1 };

/* `models`: a bit for each that is to be asked. */
struct live_clients *live_clients_start(struct live_servers *servers, uint32_t count, uint64_t seed,
                                        uint32_t pace_us, uint32_t models);
/* Ends the load; what is under way is answered, or in doubt after a time-out. */
void live_clients_end(struct live_clients *clients);
/* Reads every key through every server that serves (with servers->spread) or the first one. False:
 * some could not be read. */
bool live_clients_last_reads(struct live_clients *clients);
/* Merges what all saw; the times of operations are since the start. Frees the clients. */
void live_clients_result(struct live_clients *clients, struct live_result *result);
void live_result_deinit(struct live_result *result);
/* A write that changes nothing, but goes the whole way. */
bool live_serves(const char *address, int limit_ms);
/* Whether the first of the servers that answers knows the command. */
bool live_knows(const struct live_servers *servers, const char *command);

/* ---- what clients ask (live_work.c) ---- */
enum { LIVE_WORD_BYTES = 64, LIVE_KEYS = 6 /* of a model, at one time */, LIVE_EPOCH_S = 2 };
enum { LIVE_WORDS_MAX = 10, LIVE_TXN_STEPS_MAX = 4 };
enum live_steps {
    LIVE_STEPS_ONE,      /* One command. */
    LIVE_STEPS_CAS,      /* WATCH, GET, MULTI, SET, EXEC */
    LIVE_STEPS_TRANSFER, /* MULTI, INCRBY of `key`, INCRBY of `other`, EXEC */
    LIVE_STEPS_ONCE,     /* One command, sent again until it is answered. */
    LIVE_STEPS_TXN,      /* [WATCH, reads,] MULTI, reads and writes, EXEC */
};
struct live_txn_step {
    bool writes;
    char key[LIVE_WORD_BYTES], value[LIVE_WORD_BYTES];
};
struct live_work {
    enum live_model model;
    enum live_steps steps;
    enum moot_operation_kind kind;
    const char *words[LIVE_WORDS_MAX]; /* NULL after the last. */
    struct moot_history_value argument;
    char key[LIVE_WORD_BYTES], value[LIVE_WORD_BYTES];
    char other[LIVE_KEYS][LIVE_WORD_BYTES]; /* More keys, or an id. */
    char number[24], less[24];              /* Milliseconds to live, or an amount and minus it. */
    uint64_t lives_ms;                      /* 0: for ever. */
    /* Of a transaction. The first `watched` are reads before MULTI; what they see decides to which
     * of their keys the next one writes. */
    struct live_txn_step txn[LIVE_TXN_STEPS_MAX];
    uint32_t txn_count, watched;
};
/* Which work it is to be; the words and the argument point into `work`. */
struct live_choice {
    uint64_t seed, epoch, number;
    uint32_t client, models;
};
void live_work_choose(struct live_work *work, struct moot_rng *rng,
                      const struct live_choice *choice);
/* False: nothing needs to be read there. */
bool live_work_last_read(struct live_work *work, uint64_t seed, uint64_t number);
static inline uint64_t live_work_last_reads(uint64_t epochs)
{
    return epochs * LIVE_MODELS_COUNT * LIVE_KEYS;
}

/* ---- the network (live_network.c) ---- */
struct live_link {
    bool cut;
    uint32_t delay_us, jitter_us, loss; /* loss: of a thousand packets */
};
/* Puts this process into a network namespace of its own, with `slots` more beside it, each with one
 * address, and a thread that carries packets between them. Before other threads are started. False
 * and why: there is a loopback, and no more. */
bool live_network_start(uint32_t slots, uint64_t seed, char why[LIVE_WHY_BYTES]);
/* The namespace of a slot, from 1; 0 is ours. */
int live_network_namespace(uint32_t slot);
void live_network_address(uint32_t slot, char out[32]);
void live_network_set(uint32_t from, uint32_t to, struct live_link link);
void live_network_heal(void);
struct live_packets {
    uint64_t carried, cut, lost, delayed;
};
struct live_packets live_network_packets(void);

/* ---- disks and clocks (live_disks.c, live_clocks.c) ---- */
enum { LIVE_DISK_MIB = 1024 };
/* Both before the nodes are started; false and why. `count`: disks, at most at a time. */
bool live_disks_start(uint32_t count, char why[LIVE_WHY_BYTES]);
bool live_clocks_start(char why[LIVE_WHY_BYTES]);
/* Mounts one on the folder, which it makes; false: said why. */
bool live_disks_make(const char *folder);
void live_disks_drop(const char *folder);
/* What is on it stays in the folder, without it. */
void live_disks_keep(const char *folder);
/* Leaves so much room; false: it could not. */
bool live_disks_fill(const char *folder, uint64_t leave_bytes);
void live_disks_free(const char *folder);
/* How far a node's wall clock is off; `folder` is the cluster's. */
bool live_clocks_set(const char *folder, uint32_t node, int64_t off_ms);
const char *const *live_clocks_environment(const char *folder, uint32_t node);

/* ---- the cluster (live_cluster.c) ---- */
struct live_cluster {
    struct cli_nodes nodes;
    struct live_servers *servers;
    pid_t pids[LIVE_SERVERS_MAX];
    bool is_stopped[LIVE_SERVERS_MAX]; /* by SIGSTOP */
    int64_t ids[LIVE_SERVERS_MAX];
    bool networked, has_disks, has_clocks;
    bool disk_is_made[LIVE_SERVERS_MAX];
};
/* Makes a folder, starts `count` nodes and waits until all serve writes. False: said why. Which of
 * networks, disks and clocks it has is set before. */
bool live_cluster_start(struct live_cluster *cluster, struct live_servers *servers, uint32_t count);
/* Ends every process; removes the folder unless it is to be kept. */
void live_cluster_end(struct live_cluster *cluster, bool keep);
/* Nodes are numbered from 0. */
bool live_cluster_has(const struct live_cluster *cluster, uint32_t node);
/* The node that leads, as the highest term says; 0 when nobody knows. */
uint32_t live_cluster_leader(const struct live_cluster *cluster);
void live_cluster_kill(struct live_cluster *cluster, uint32_t node);
bool live_cluster_restart(struct live_cluster *cluster, uint32_t node);
void live_cluster_stop(struct live_cluster *cluster, uint32_t node);
void live_cluster_continue(struct live_cluster *cluster, uint32_t node);
/* The node loses its disk; a new one joins and takes its place. False: said why. */
bool live_cluster_replace(struct live_cluster *cluster, uint32_t node);
/* Nodes that ended though nobody ended them are started again; how many they were. */
uint32_t live_cluster_look_after(struct live_cluster *cluster);
/* The same of one that may have ended. */
void live_cluster_revive(struct live_cluster *cluster, uint32_t node);
void live_cluster_folder(const struct live_cluster *cluster, uint32_t node,
                         char out[CLI_PATH_BYTES]);
/* Waits until every member serves writes. */
bool live_cluster_serves(const struct live_cluster *cluster, uint64_t seconds);

/* ---- faults (live_faults.c) ---- */
#define LIVE_FAULTS(X)                                                                             \
    X(KILL, "kill", "SIGKILL, and started again")                                                  \
    X(PAUSE, "pause", "SIGSTOP and SIGCONT")                                                       \
    X(REPLACE, "replace", "disk lost; a new node takes the place")                                 \
    X(DISK_FULL, "disk-full", "a disk nearly full, or to the last byte")                           \
    X(SKEW, "skew", "a wall clock off, by less than the bound")                                    \
    X(JUMP, "jump", "a wall clock far off, forward or back")                                       \
    X(ISOLATE, "isolate", "the leader cut off from all other nodes")                               \
    X(HALVES, "halves", "two groups that do not hear each other")                                  \
    X(BRIDGE, "bridge", "two groups that only one node hears both of")                             \
    X(ONE_WAY, "one-way", "a node's packets to others lost, theirs not")                           \
    X(FLAP, "flap", "a node's links cut and healed, again and again")                              \
    X(DELAY, "delay", "links slow, each packet differently")                                       \
    X(LOSS, "loss", "links that lose packets")                                                     \
    X(HOOK, "hook", "what --hook does")
enum live_fault {
#define X(name, text, words) LIVE_FAULT_##name,
    LIVE_FAULTS(X)
#undef X
        LIVE_FAULTS_COUNT
};
extern const char *const live_fault_names[LIVE_FAULTS_COUNT];
enum { LIVE_BANDS_MAX = 4096 };
/* One fault: from when to when, to whom. */
struct live_band {
    enum live_fault fault;
    uint64_t from_ns, healed_ns, serving_ns; /* serving: all members served writes again. */
    char words[96];
};
struct live_faults {
    struct moot_rng rng;
    uint32_t enabled;             /* A bit for each. */
    struct live_cluster *cluster; /* NULL: --target */
    const char *hook;
    struct live_band bands[LIVE_BANDS_MAX];
    uint32_t count, ended_alone, recovery_s;
    char stuck[128]; /* Empty, or what did not come to its end. */
};
/* Names with commas, and the groups all, process, disk, clock, partition, network. False: no such
 * name. */
bool live_faults_parse(const char *text, uint32_t *enabled);
/* One fault after the other until `end_ns`. */
void live_faults_run(struct live_faults *faults, uint64_t end_ns);

/* ---- the report ---- */
struct live_report {
    const char *what;    /* Which servers. */
    const char *network; /* How they are connected, and what else could not be had. */
    const char *again;   /* The command line. */
    uint64_t seed, start_ns, end_ns;
    uint64_t clocks_ms; /* How far the clocks of leaders may be apart, by what was done to them. */
    const struct live_faults *faults;
    const struct live_result *result;
    struct moot_verdict verdicts[LIVE_MODELS_COUNT];
    bool read_all;     /* The last reads were all answered. */
    int status;        /* LIVE_VALID ... */
    char verdict[256]; /* In one sentence. */
    struct live_packets packets;
};
/* Times of the acknowledged, in microseconds. */
struct live_figures {
    uint32_t p50, p90, p99, p999, max;
    uint64_t seconds, seconds_served; /* Whole ones; with at least one acknowledgement. */
    uint64_t longest_gap_ms;          /* Between two acknowledgements of anybody. */
};
void live_report_judge(struct live_report *report);
void live_report_figures(const struct live_report *report, struct live_figures *figures);
void live_report_print(struct live_report *report);
/* FOLDER/MODEL.json, for `moot check --history`. False: said why. */
bool live_report_histories(const struct live_report *report, const char *folder);
bool live_report_page(const struct live_report *report, const char *file);

#endif
