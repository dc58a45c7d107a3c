#include "cli/rehearse.h"

#include <argp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/slice.h"
#include "cli/cli.h"
#include "cli/rehearse_guests.h"
#include "cli/sim_picture.h"
#include "picture/picture.h"

enum { OPTION_FAULTS = 0x100, OPTION_GAP, OPTION_SECONDS, OPTION_HTML };
enum { NODES_MAX = 9, PORT_DEFAULT = 7101, GAP_MS_DEFAULT = 3000, TURN_MS = 20 };

static const char FAULTS_DEFAULT[] =
    "crash,crash-leader,pause,partition,isolate-leader,one-way,slow-disk,slow-link,break-client,"
    "drop-clients,transfer";

struct settings {
    uint64_t seed, seconds, gap_ms;
    uint16_t port;
    uint32_t nodes;
    const char *faults, *html;
    struct sim_fault_wish wish;
};

static const struct argp_option options[] = {
    {"seed", 's', "N", 0, "Decides which faults come, and when (1)", 0},
    {"faults", OPTION_FAULTS, "LIST", 0,
     "As of `moot sim --list-faults`; \"none\" for none. Without it: crashes, pauses, partitions, "
     "slow disks and links, lost connections, transfers",
     0},
    {"gap", OPTION_GAP, "MS", 0, "Between two faults, on average (3000)", 0},
    {"nodes", 'n', "N", 0, "Nodes of the cluster, 1 to 9 (3)", 0},
    {"port", 'p', "PORT", 0, "Of the first node on 127.0.0.1; the others follow (7101)", 0},
    {"seconds", OPTION_SECONDS, "N", 0, "End after so long; without it, at Ctrl-C", 0},
    {"html", OPTION_HTML, "FILE", 0, "At the end, draw all of it on one page", 0},
    {0},
};

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct settings *settings = state->input;
    switch (key) {
    case 's':
        if (!moot_slice_to_u64(moot_slice_text(text), &settings->seed)) {
            argp_error(state, "--seed needs a number, not %s", text);
        }
        return 0;
    case OPTION_FAULTS:
        settings->faults = text;
        return 0;
    case OPTION_GAP:
        settings->gap_ms = (uint64_t)cli_number("--gap", text, 10, 3600 * 1000);
        return 0;
    case 'n':
        settings->nodes = (uint32_t)cli_number("--nodes", text, 1, NODES_MAX);
        return 0;
    case 'p':
        settings->port = (uint16_t)cli_number("--port", text, 1, 65535 - NODES_MAX);
        return 0;
    case OPTION_SECONDS:
        settings->seconds = (uint64_t)cli_number("--seconds", text, 1, 7 * 24 * 3600);
        return 0;
    case OPTION_HTML:
        settings->html = text;
        return 0;
    case ARGP_KEY_END:
        if (!sim_fault_wish_parse(settings->faults, &settings->wish)) {
            argp_error(state,
                       "--faults: no fault is called as one in %s; see moot sim "
                       "--list-faults",
                       settings->faults);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* ---- what is said ---- */

static void say_ready(const struct settings *settings)
{
    printf("moot: ready\nA simulated cluster of %u; clients at", settings->nodes);
    for (uint32_t i = 0; i < settings->nodes; i++) {
        printf(" 127.0.0.1:%u", settings->port + i);
    }
    printf("\nseed %" PRIu64 ": the same seed brings the same faults at the same times.\n"
           "Try: redis-cli -p %u SET greeting hello\n",
           settings->seed, settings->port);
    fflush(stdout);
}

/* What has struck since it was last asked. */
static void say_faults(const struct moot_sim_result *result, uint64_t told[SIM_FAULTS],
                       uint64_t now_ms)
{
    for (uint32_t i = 0; i < SIM_FAULTS; i++) {
        if (result->counts.faults[i] != told[i]) {
            told[i] = result->counts.faults[i];
            if (SIM_FAULT_ROWS[i].sort == SIM_FAULT_STRIKES) {
                printf("%8.1f s  %s: %s\n", (double)now_ms / 1000, SIM_FAULT_ROWS[i].name,
                       SIM_FAULT_ROWS[i].words);
                fflush(stdout);
            }
        }
    }
}

static void say_verdict(const struct guests *guests, const struct moot_sim_result *result)
{
    const struct guest_counts *counts = &guests->counts;
    printf("\nWhat the clients saw\n"
           "  connections     %8" PRIu64 ", %" PRIu64 " refused, %" PRIu64 " lost\n"
           "  commands        %8" PRIu64 ", %" PRIu64 " answered, %" PRIu64 " never\n",
           counts->connections, counts->refused, counts->lost, counts->commands, counts->answers,
           counts->unanswered);
    for (uint32_t i = 0; i < GUEST_WORDS && counts->words[i].count > 0; i++) {
        printf("  -%-14s %8" PRIu64 "\n", counts->words[i].word, counts->words[i].count);
    }
    if (counts->answers > 0) {
        printf("  waiting time    %8.1f ms on average, %.1f ms at most\n",
               (double)counts->wait_sum_us / (double)counts->answers / 1000,
               (double)counts->wait_max_us / 1000);
    }
    printf("What was done to the cluster\n");
    for (uint32_t i = 0; i < SIM_FAULTS; i++) {
        if (result->counts.faults[i] != 0) {
            printf("  %-15s %8" PRIu64 "\n", SIM_FAULT_ROWS[i].name, result->counts.faults[i]);
        }
    }
    if (result->violated) {
        printf("verdict: VIOLATION: %.*s\n", (int)result->words.size,
               (const char *)result->words.data);
    } else {
        printf("verdict: ok. No promise was broken in %.1f s; after the last fault all replicas "
               "came to hold the same.\n",
               (double)result->virtual_ns / 1e9);
    }
    fflush(stdout);
}

/* ---- the run ---- */

static bool serve(const struct settings *settings, struct guests *guests,
                  struct moot_rehearsal *rehearsal, const struct moot_sim_result *result)
{
    uint64_t told[SIM_FAULTS] = {0}, began_us = rehearse_now_us();
    struct pollfd polls[16 + MOOT_REHEARSAL_GUESTS_MAX];
    for (;;) {
        uint64_t now_us = rehearse_now_us() - began_us;
        if (!moot_rehearsal_run(rehearsal, now_us * MOOT_USEC_NS)) {
            return false;
        }
        say_faults(result, told, now_us / 1000);
        if (interrupted != 0 || (settings->seconds != 0 && now_us >= settings->seconds * 1000000)) {
            return true;
        }
        uint64_t next_us = moot_rehearsal_next(rehearsal) / MOOT_USEC_NS;
        uint64_t wait_ms = next_us > now_us ? (next_us - now_us) / 1000 : 0;
        nfds_t count = guests_poll(guests, polls);
        if (poll(polls, count, (int)moot_min_u64(wait_ms, TURN_MS)) > 0) {
            guests_serve(guests, polls, count);
        }
    }
}

static int rehearse(const struct settings *settings)
{
    static struct guests guests; /* Half a megabyte: not for the stack. */
    struct moot_sim_result result;
    struct moot_rehearsal_options how = {
        .sim = {.seed = settings->seed,
                .nodes = settings->nodes,
                .operations = UINT64_MAX,
                .faults = settings->wish,
                .client_port = settings->port,
                .wall_begin_ms = (uint64_t)time(NULL) * 1000},
        .gap_ms = settings->gap_ms,
        .calls = {.context = &guests, .bytes = guests_bytes, .closed = guests_closed}};
    if (guests_listen(&guests, settings->port, settings->nodes) != CLI_OK) {
        guests_close(&guests);
        return CLI_FAILED;
    }
    if (settings->html != NULL) {
        how.sim.picture = moot_picture_make(
            &(struct moot_picture_options){.title = MOOT_SLICE_LITERAL("moot rehearse"),
                                           .subtitle = moot_slice_text(settings->faults)});
    }
    moot_sim_result_init(&result);
    struct moot_rehearsal *rehearsal = moot_rehearsal_open(&how, &result);
    guests.rehearsal = rehearsal;
    say_ready(settings);
    bool good = serve(settings, &guests, rehearsal, &result);
    guests_close(&guests);
    moot_rehearsal_close(rehearsal);
    say_verdict(&guests, &result);
    if (settings->html != NULL) {
        good = moot_cli_write_picture(how.sim.picture, result.virtual_ns, settings->html) && good;
        moot_picture_free(how.sim.picture);
    }
    int status = good && !result.violated ? CLI_OK : CLI_FAILED;
    moot_sim_result_deinit(&result);
    return status;
}

int moot_cli_rehearse(int argc, char **argv)
{
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .doc = "A simulated cluster on real ports: point an application at it, and it meets "
               "fail-over, replies in doubt and slow quorums. At the end it says what the clients "
               "saw.\vExample: moot rehearse --seed 7 --faults crash-leader,partition --gap 1000"};
    struct settings settings = {.seed = 1,
                                .gap_ms = GAP_MS_DEFAULT,
                                .port = PORT_DEFAULT,
                                .nodes = 3,
                                .faults = FAULTS_DEFAULT};
    argp_parse(&argp, argc, argv, 0, NULL, &settings);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return rehearse(&settings);
}
