#include "cli/sim.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/rule.h"
#include "base/slice.h"
#include "cli/sim_picture.h"
#include "cli/sim_shrink.h"
#include "cli/sim_sweep.h"
#include "sim/compare.h"
#include "sim/mutant.h"
#include "sim/scarcity.h"
#include "sim/sim.h"

enum { EXIT_FINE = 0, EXIT_VIOLATION = 1, EXIT_UNKNOWN = 2, EXIT_USAGE = 2 };
enum { SEED_SECONDS_MAX = 60, JOBS_MAX = 64 };
enum {
    OPTION_SEEDS = 0x100,
    OPTION_TRACE,
    OPTION_TWICE,
    OPTION_MARKS,
    OPTION_MUTANT,
    OPTION_FAULTS,
    OPTION_WORKLOAD,
    OPTION_LIST_FAULTS,
    OPTION_FROM,
    OPTION_UNTIL,
    OPTION_BREAK_AT,
    OPTION_FAULTS_END,
    OPTION_SHRINK,
    OPTION_UPSET,
    OPTION_PLANT,
    OPTION_SWEEP,
    OPTION_SWEEP_AT,
    OPTION_SWEEP_EVERY,
    OPTION_JOBS,
    OPTION_JUDGE
};

struct settings {
    uint64_t first, last;
    uint64_t nodes, operations;
    const char *trace, *mutant;
    const char *faults; /* As it was written. */
    const char *workload;
    uint32_t workload_number;
    struct sim_fault_wish wish;
    uint64_t from_ns, until_ns, break_ns, faults_ns, upset_ns, planted, judge_max;
    const char *faults_end; /* As it was written. */
    enum moot_sim_sweep sweep;
    uint64_t sweep_at;
    struct moot_cli_sweep_part sweep_part;
    uint64_t jobs;
    bool sweep_persists;
    bool has_seed, twice, marks, lists_faults, shrinks;
};

static const struct argp_option options[] = {
    {"seed", 's', "N", 0, "The world of this seed", 0},
    {"seeds", OPTION_SEEDS, "A..B", 0, "All worlds from A to B; stops at the first violation", 0},
    {"nodes", 'n', "N", 0, "First members, 1 to 9; without it the seed says", 0},
    {"ops", 'o', "N", 0, "Operations of clients (300)", 0},
    {"faults", OPTION_FAULTS, "LIST", 0, "a,b: these faults and no others; -a,-b: not these; none",
     0},
    {"workload", OPTION_WORKLOAD, "NAME", 0,
     "What clients do: register, counter, list, set, queue, bank, ids, once, expiry, large, txn, "
     "register-txn, any; without it the seed says",
     0},
    {"list-faults", OPTION_LIST_FAULTS, NULL, 0, "What faults there are, and what they do", 0},
    {"trace", OPTION_TRACE, "FILE", 0,
     "Every input and effect, a line each; - is stderr. FILE.html: a picture; FILE.json: its data",
     0},
    {"from", OPTION_FROM, "TIME", 0, "The trace or picture begins here: 2.5s, 300ms", 0},
    {"until", OPTION_UNTIL, "TIME", 0, "The picture ends here", 0},
    {"break-at", OPTION_BREAK_AT, "TIME", 0, "Raise SIGTRAP at this virtual time, for a debugger",
     0},
    {"faults-end", OPTION_FAULTS_END, "TIME", 0, "Faults end here; without it the seed says", 0},
    {"shrink", OPTION_SHRINK, NULL, 0, "Find the smallest command line that fails in the same way",
     0},
    {"twice", OPTION_TWICE, NULL, 0,
     "Run each seed twice; where they part, if they do, is a violation", 0},
    {"sweep", OPTION_SWEEP, "KIND", 0,
     "One world again and again, in each another one of these fails: write, sync (of journals), "
     "store (a write of it), open (a start, at a change of its disk), alloc (memory; only the "
     "program moot_scarce can); crash: after each effect; power: all processes, after each. "
     "Without "
     "other faults, unless --faults says",
     0},
    {"sweep-at", OPTION_SWEEP_AT, "N[+]|A..B", 0,
     "Only the world of the N-th; + for good, or with a death in the next start; or only those "
     "from A to B, of both sorts",
     0},
    {"sweep-every", OPTION_SWEEP_EVERY, "N", 0, "Of these only every N-th", 0},
    {"jobs", OPTION_JOBS, "N", 0, "So many processes share a sweep (1)", 0},
    {"judge", OPTION_JUDGE, "N", 0,
     "Of a key the judge may look at N configurations (50000); more may know what was unknown", 0},
    {"plant", OPTION_PLANT, "N", OPTION_HIDDEN, "For tests of --shrink: a bug that is known", 0},
    {"upset", OPTION_UPSET, "TIME", OPTION_HIDDEN,
     "For tests of --twice: chance that no seed decides", 0},
    {"marks", OPTION_MARKS, NULL, 0,
     "At the end list the rare paths that no seed reached (and, in mutants builds, the rules met)",
     0},
    {"mutant", OPTION_MUTANT, "RULE", 0, "With one safety rule off (-Dmutants=true builds)", 0},
    {0},
};

static bool number(const char *text, uint64_t *out)
{
    return moot_slice_to_u64(moot_slice_text(text), out);
}

/* 2.5s, 300ms, 40us; a bare number is seconds. */
static bool duration(const char *text, uint64_t *out_ns)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}};
    char *end;
    double value = strtod(text, &end);
    for (size_t i = 0; i < MOOT_ARRAY_LEN(units) && end != text; i++) {
        if (strcmp(end, units[i].unit) == 0 && value * units[i].ns >= 1 && value < 1e9) {
            *out_ns = (uint64_t)(value * units[i].ns);
            return true;
        }
    }
    return false;
}

static bool range(const char *text, uint64_t *from, uint64_t *to)
{
    const char *dots = strstr(text, "..");
    if (dots == NULL) {
        return false;
    }
    struct moot_slice first = {(const uint8_t *)text, (size_t)(dots - text)};
    return moot_slice_to_u64(first, from) && number(dots + 2, to) && *from <= *to;
}

static error_t parse_time(int key, char *text, struct argp_state *state)
{
    struct settings *settings = state->input;
    uint64_t *into = key == OPTION_FROM         ? &settings->from_ns
                     : key == OPTION_UNTIL      ? &settings->until_ns
                     : key == OPTION_BREAK_AT   ? &settings->break_ns
                     : key == OPTION_FAULTS_END ? &settings->faults_ns
                                                : &settings->upset_ns;
    if (!duration(text, into)) {
        argp_error(state, "a time is written as 2.5s or 300ms, not %s", text);
    }
    if (key == OPTION_FAULTS_END) {
        settings->faults_end = text;
    }
    return 0;
}

static error_t parse_sweep(int key, const char *text, struct argp_state *state)
{
    struct settings *settings = state->input;
    if (key == OPTION_SWEEP) {
        settings->sweep = moot_cli_sweep_kind(text);
        if (settings->sweep == MOOT_SIM_SWEEP_ALLOC && !moot_scarcity_is_there()) {
            argp_error(state, "--sweep alloc: this program's allocator does not fail; "
                              "build/moot_scarce is moot with one that does");
        } else if (settings->sweep == MOOT_SIM_SWEEP_NONE) {
            argp_error(state,
                       "--sweep needs write, sync, store, open, alloc, crash or power, not %s",
                       text);
        }
        return 0;
    }
    if (key == OPTION_JOBS) {
        if (!number(text, &settings->jobs) || settings->jobs == 0 || settings->jobs > JOBS_MAX) {
            argp_error(state, "--jobs needs 1 to 64, not %s", text);
        }
        return 0;
    }
    if (key == OPTION_SWEEP_EVERY) {
        if (!number(text, &settings->sweep_part.every) || settings->sweep_part.every == 0) {
            argp_error(state, "--sweep-every needs a number, not %s", text);
        }
        return 0;
    }
    struct moot_cli_sweep_part *part = &settings->sweep_part;
    if (range(text, &part->first, &part->last)) {
        return 0;
    }
    const char *plus = strchr(text, '+');
    struct moot_slice digits = {(const uint8_t *)text,
                                plus == NULL ? strlen(text) : (size_t)(plus - text)};
    settings->sweep_persists = plus != NULL;
    if (!moot_slice_to_u64(digits, &settings->sweep_at) || settings->sweep_at == 0) {
        argp_error(state, "--sweep-at needs a number, not %s", text);
    }
    return 0;
}

/* What says which worlds there are. */
static error_t parse_world(int key, const char *text, struct argp_state *state)
{
    struct settings *settings = state->input;
    switch (key) {
    case 's':
        if (!number(text, &settings->first)) {
            argp_error(state, "--seed needs a number, not %s", text);
        }
        settings->last = settings->first;
        settings->has_seed = true;
        return 0;
    case OPTION_SEEDS:
        if (!range(text, &settings->first, &settings->last)) {
            argp_error(state, "--seeds needs A..B, not %s", text);
        }
        settings->has_seed = true;
        return 0;
    case 'n':
        if (!number(text, &settings->nodes) || settings->nodes < 1 || settings->nodes > 9) {
            argp_error(state, "--nodes needs 1 to 9, not %s", text);
        }
        return 0;
    case 'o':
        if (!number(text, &settings->operations) || settings->operations > 10 * 1000 * 1000) {
            argp_error(state, "--ops needs a number up to 10^7, not %s", text);
        }
        return 0;
    case OPTION_FAULTS:
        settings->faults = text;
        if (!sim_fault_wish_parse(text, &settings->wish)) {
            argp_error(state, "--faults: no fault is called as one in %s; see --list-faults", text);
        }
        return 0;
    case OPTION_WORKLOAD:
        settings->workload = text;
        settings->workload_number = moot_sim_workload(text);
        if (settings->workload_number == 0) {
            argp_error(state, "--workload: there is no %s", text);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct settings *settings = state->input;
    switch (key) {
    case OPTION_FROM:
    case OPTION_UNTIL:
    case OPTION_BREAK_AT:
    case OPTION_FAULTS_END:
    case OPTION_UPSET:
        return parse_time(key, text, state);
    case OPTION_SWEEP:
    case OPTION_SWEEP_AT:
    case OPTION_SWEEP_EVERY:
    case OPTION_JOBS:
        return parse_sweep(key, text, state);
    case OPTION_PLANT:
        if (!number(text, &settings->planted)) {
            argp_error(state, "--plant needs a number, not %s", text);
        }
        return 0;
    case OPTION_JUDGE:
        if (!number(text, &settings->judge_max) || settings->judge_max == 0) {
            argp_error(state, "--judge needs a number, not %s", text);
        }
        return 0;
    case OPTION_SHRINK:
        settings->shrinks = true;
        return 0;
    case OPTION_TRACE:
        settings->trace = text;
        return 0;
    case OPTION_TWICE:
        settings->twice = true;
        return 0;
    case OPTION_MARKS:
        settings->marks = true;
        return 0;
    case OPTION_MUTANT:
        settings->mutant = text;
        return 0;
    case OPTION_LIST_FAULTS:
        settings->lists_faults = true;
        return 0;
    case ARGP_KEY_END:
        if (!settings->has_seed && !settings->lists_faults) {
            argp_error(state, "--seed N or --seeds A..B is needed");
        }
        return 0;
    default:
        return parse_world(key, text, state);
    }
}

/* ---- one seed ---- */

/* The command line of the world under way, for the signal handler: a failed assertion ends the
 * process, and must say which seed it was. */
static char running[352 + SIM_FAULT_LIST_BYTES];
static FILE *running_trace;
static struct moot_picture *running_picture;
static const char *running_picture_path;

static void command_line(const struct settings *settings, uint64_t seed, uint64_t sweep_at,
                         bool persists)
{
    char sweep[64] = "", nodes[32] = "", planted[32] = "", judge[32] = "", end[40] = "",
         mutant[64] = "", workload[32] = "", faults[SIM_FAULT_LIST_BYTES] = "";
    if (settings->nodes != 0) {
        snprintf(nodes, sizeof(nodes), " --nodes %" PRIu64, settings->nodes);
    }
    if (settings->workload != NULL) {
        snprintf(workload, sizeof(workload), " --workload %.16s", settings->workload);
    }
    if (settings->mutant != NULL) {
        snprintf(mutant, sizeof(mutant), " --mutant %s", settings->mutant);
    }
    if (settings->faults != NULL) {
        snprintf(faults, sizeof(faults), " --faults=%.1000s", settings->faults);
    }
    if (settings->faults_end != NULL) {
        snprintf(end, sizeof(end), " --faults-end %.24s", settings->faults_end);
    }
    if (settings->sweep != MOOT_SIM_SWEEP_NONE && sweep_at != 0) {
        snprintf(sweep, sizeof(sweep), " --sweep %s --sweep-at %" PRIu64 "%s",
                 moot_cli_sweep_name(settings->sweep), sweep_at, persists ? "+" : "");
    }
    if (settings->planted != 0) {
        snprintf(planted, sizeof(planted), " --plant %" PRIu64, settings->planted);
    }
    if (settings->judge_max != 0) {
        snprintf(judge, sizeof(judge), " --judge %" PRIu64, settings->judge_max);
    }
    const char *program = settings->sweep == MOOT_SIM_SWEEP_ALLOC ? "moot_scarce" : "moot";
    snprintf(running, sizeof(running),
             "%s sim --seed %" PRIu64 "%s --ops %" PRIu64 "%s%s%s%s%s%s%s", program, seed, nodes,
             settings->operations, workload, mutant, faults, end, judge, planted, sweep);
}

/* What it calls for the trace and the picture is not promised to work in a handler; it mostly does,
 * the process dies anyway, and they show what it died of. */
static void on_death(int number)
{
    static const char before[] = "\nVIOLATION: an assertion failed, or no end came, in: ";
    bool told = write(STDERR_FILENO, before, sizeof(before) - 1) > 0 &&
                write(STDERR_FILENO, running, strlen(running)) > 0 &&
                write(STDERR_FILENO, "\n", 1) > 0;
    (void)told; /* To nobody, if nobody reads. */
    if (running_trace != NULL) {
        fflush(running_trace); // NOLINT(bugprone-signal-handler)
    }
    if (running_picture != NULL) {
        signal(number, SIG_DFL); /* It must not come back here. */
        // NOLINTBEGIN(bugprone-signal-handler)
        moot_picture_verdict(running_picture,
                             MOOT_SLICE_LITERAL("an assertion failed, or no end came"));
        (void)moot_cli_write_picture(running_picture, 0, running_picture_path);
        // NOLINTEND(bugprone-signal-handler)
    }
    _exit(number == SIGABRT || number == SIGILL || number == SIGALRM ? EXIT_VIOLATION
                                                                     : 128 + number);
}

static void watch_for_death(void)
{
    static const int numbers[] = {SIGABRT, SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGTRAP, SIGALRM};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(numbers); i++) {
        signal(numbers[i], on_death);
    }
}

static void print_line(uint64_t seed, const struct moot_sim_result *result)
{
    const struct moot_sim_counts *c = &result->counts;
    printf("seed=%" PRIu64 " nodes=%u workload=%s virtual=%.1fs ops=%" PRIu64 " ok=%" PRIu64
           " fail=%" PRIu64 " indoubt=%" PRIu64 " turns=%" PRIu64 " messages=%" PRIu64
           " elections=%" PRIu64 " restarts=%" PRIu64 " unsynced=%" PRIu64 " torn=%" PRIu64
           " flushes=%" PRIu64 " installs=%" PRIu64 " long-reads=%" PRIu64,
           seed, result->nodes, result->workload, (double)result->virtual_ns / 1e9, c->operations,
           c->ok, c->failed, c->in_doubt, c->turns, c->messages, c->elections, c->restarts,
           c->unsynced, c->torn, c->flushes, c->installs, c->long_reads);
    for (uint32_t i = 0; i < SIM_FAULTS; i++) {
        if (c->faults[i] != 0) {
            printf(" %s=%" PRIu64, SIM_FAULT_ROWS[i].name, c->faults[i]);
        }
    }
    printf("%s%s hash=%016" PRIx64 " verdict=%s\n", c->stopped != 0 ? " stopped=safely" : "",
           c->unknown != 0 ? " judge=gave-up" : "", result->hash,
           result->violated  ? "VIOLATION"
           : c->unknown != 0 ? "unknown"
                             : "ok");
    if (result->violated) {
        printf("VIOLATION: %.*s\n%s\n", (int)result->words.size, (const char *)result->words.data,
               running);
    } else if (c->unknown != 0) {
        printf("not known to be right: %s\n", running);
    }
    fflush(stdout);
}

static bool run_again(const struct moot_sim_options *how, const struct moot_sim_result *first)
{
    struct moot_sim_result again;
    moot_sim_result_init(&again);
    moot_sim_run(how, &again);
    bool same = again.hash == first->hash && again.virtual_ns == first->virtual_ns;
    if (!same) {
        struct moot_buffer words;
        moot_buffer_init(&words);
        if (!moot_sim_compare(how, &words)) {
            moot_buffer_append_text(&words, "side by side they do not part: does the first leave "
                                            "something behind for the second?\n");
        }
        printf("VIOLATION: the same seed went two ways: hash %016" PRIx64 " and %016" PRIx64
               "\n%.*s%s --twice\n",
               first->hash, again.hash, (int)words.size, (const char *)words.data, running);
        moot_buffer_deinit(&words);
    }
    moot_sim_result_deinit(&again);
    return same;
}

static struct moot_picture *picture_of(const struct settings *settings, uint64_t seed)
{
    char title[64];
    snprintf(title, sizeof(title), "moot sim, seed %" PRIu64, seed);
    struct moot_picture_options how = {.title = moot_slice_text(title),
                                       .subtitle = moot_slice_text(running),
                                       .from = settings->from_ns,
                                       .until = settings->until_ns};
    return running_picture_path == NULL ? NULL : moot_picture_make(&how);
}

static bool keep_picture(const struct moot_sim_result *result)
{
    struct moot_picture *picture = running_picture;
    running_picture = NULL;
    bool good = picture == NULL ||
                moot_cli_write_picture(picture, result->virtual_ns, running_picture_path);
    moot_picture_free(picture);
    return good;
}

/* What a batch of seeds was worth. */
enum { GAVE_UP_SHOWN_MAX = 20 };
struct batch {
    uint64_t worlds, virtual_ns, gave_up, operations;
    uint64_t gave_up_seeds[GAVE_UP_SHOWN_MAX];
    struct timespec began;
};

static void gave_up_on(struct batch *batch, uint64_t seed)
{
    if (batch->gave_up < GAVE_UP_SHOWN_MAX) {
        batch->gave_up_seeds[batch->gave_up] = seed;
    }
    batch->gave_up++;
}

static void add_world(struct batch *batch, uint64_t seed, const struct moot_sim_result *result)
{
    batch->worlds++;
    batch->virtual_ns += result->virtual_ns;
    batch->operations += result->counts.operations;
    if (result->counts.unknown != 0) {
        gave_up_on(batch, seed);
    }
}

/* To stderr: it has real times in it, and what is on stdout is the same whenever it is run. */
static void print_batch(const struct batch *batch)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double took = (double)(now.tv_sec - batch->began.tv_sec) +
                  (double)(now.tv_nsec - batch->began.tv_nsec) / 1e9;
    double virtual_s = (double)batch->virtual_ns / 1e9;
    took = took > 0.001 ? took : 0.001;
    fprintf(stderr,
            "%" PRIu64 " worlds with %" PRIu64
            " operations: %.0f virtual seconds in %.1f s (%.0f a "
            "second), %.0f worlds a minute\n",
            batch->worlds, batch->operations, virtual_s, took, virtual_s / took,
            60.0 * (double)batch->worlds / took);
    if (batch->gave_up == 0) {
        return;
    }
    fprintf(stderr, "the judge gave up on %" PRIu64 " of them, which are not known to be right:",
            batch->gave_up);
    for (size_t i = 0; i < batch->gave_up && i < GAVE_UP_SHOWN_MAX; i++) {
        fprintf(stderr, " %" PRIu64, batch->gave_up_seeds[i]);
    }
    fprintf(stderr, "%s\n", batch->gave_up > GAVE_UP_SHOWN_MAX ? " ..." : "");
}

static enum moot_cli_world worth(const struct moot_sim_result *result)
{
    return result->violated              ? MOOT_WORLD_WRONG
           : result->counts.unknown != 0 ? MOOT_WORLD_UNKNOWN
                                         : MOOT_WORLD_FINE;
}

/* Only what is not fine is worth a line. */
static enum moot_cli_world run_swept(const struct moot_sim_options *how,
                                     struct moot_sim_result *result, void *context)
{
    const struct settings *settings = context;
    command_line(settings, how->seed, how->sweep_at, how->sweep_persists);
    alarm(SEED_SECONDS_MAX);
    moot_sim_run(how, result);
    if (worth(result) != MOOT_WORLD_FINE) {
        print_line(how->seed, result);
    }
    return worth(result);
}

static enum moot_cli_world run_sweep(const struct settings *settings,
                                     const struct moot_sim_options *how, struct batch *batch)
{
    struct moot_cli_sweep sweep = {.options = *how,
                                   .part = settings->sweep_part,
                                   .jobs = (uint32_t)moot_max_u64(settings->jobs, 1),
                                   .run = run_swept,
                                   .context = (void *)settings};
    struct moot_cli_swept swept;
    enum moot_cli_world worst = moot_cli_sweep(&sweep, &swept);
    batch->worlds += swept.worlds;
    batch->operations += swept.operations;
    batch->virtual_ns += swept.virtual_ns;
    if (swept.unknown > 0) {
        gave_up_on(batch, how->seed);
    }
    return worst;
}

static enum moot_cli_world run_seed(const struct settings *settings, uint64_t seed, FILE *trace,
                                    struct batch *batch)
{
    struct moot_sim_options how = {.seed = seed,
                                   .nodes = (uint32_t)settings->nodes,
                                   .operations = settings->operations,
                                   .faults = settings->wish,
                                   .workload = settings->workload_number,
                                   .from_ns = settings->from_ns,
                                   .break_ns = settings->break_ns,
                                   .faults_ns = settings->faults_ns,
                                   .upset_ns = settings->upset_ns,
                                   .planted = settings->planted,
                                   .judge_max = settings->judge_max,
                                   .sweep = settings->sweep,
                                   .sweep_at = settings->sweep_at,
                                   .sweep_persists = settings->sweep_persists,
                                   .trace = trace};
    struct moot_sim_result result;
    if (settings->sweep != MOOT_SIM_SWEEP_NONE && settings->sweep_at == 0) {
        return run_sweep(settings, &how, batch);
    }
    command_line(settings, seed, settings->sweep_at, settings->sweep_persists);
    alarm(SEED_SECONDS_MAX + (unsigned)(settings->operations / 100));
    moot_sim_result_init(&result);
    how.picture = running_picture = picture_of(settings, seed);
    moot_sim_run(&how, &result);
    print_line(seed, &result);
    add_world(batch, seed, &result);
    enum moot_cli_world world = keep_picture(&result) ? worth(&result) : MOOT_WORLD_WRONG;
    how.trace = NULL;
    how.picture = NULL;
    if (world != MOOT_WORLD_WRONG && settings->twice && !run_again(&how, &result)) {
        world = MOOT_WORLD_WRONG;
    }
    moot_sim_result_deinit(&result);
    return world;
}

/* Linked into this binary, but nothing that a simulated node does comes there. */
static bool is_elsewhere(const struct moot_mark *mark)
{
    static const char *const places[] = {
        "src/wire/frame.c", /* Sockets: the driver's part. */
        "src/protocol/clock/bounded.c",
        "src/protocol/clock/hlc.c", /* A group takes the stamps of its own log. */
        "src/protocol/clock/lamport.c",
        "src/protocol/clock/siblings.c",
        "src/protocol/clock/vector.c",
        "src/protocol/detector/",
        "src/protocol/swim/",
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(places); i++) {
        if (mark->hits == 0 && strstr(mark->file, places[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static void print_marks(void)
{
    size_t count, missed = 0, elsewhere = 0;
    const struct moot_mark *marks = moot_marks(&count);
    for (size_t i = 0; i < count; i++) {
        if (is_elsewhere(&marks[i])) {
            elsewhere++;
        } else if (marks[i].hits == 0) {
            missed++;
            printf("never: %s:%" PRIu32 ": %s\n", marks[i].file, marks[i].line, marks[i].why);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (is_elsewhere(&marks[i])) {
            printf("not simulated: %s:%" PRIu32 ": %s\n", marks[i].file, marks[i].line,
                   marks[i].why);
        }
    }
    printf("%zu of %zu marks were reached; %zu more belong to what no simulated node runs\n",
           count - missed - elsewhere, count - elsewhere, elsewhere);
}

static void print_met(void)
{
    for (uint32_t i = 0; moot_sim_met(i) != NULL; i++) {
        printf("met: %s\n", moot_sim_met(i));
    }
}

static void list_faults(void)
{
    for (uint32_t i = 0; i < SIM_FAULTS; i++) {
        const struct sim_fault_row *row = &SIM_FAULT_ROWS[i];
        printf("%-16s %s\n", row->name, row->words);
    }
}

static int shrink(const struct settings *settings)
{
    struct moot_shrink smallest = {.seed = settings->first,
                                   .nodes = settings->nodes,
                                   .operations = settings->operations,
                                   .faults_ms = settings->faults_ns / MOOT_MSEC_NS,
                                   .faults = sim_faults_of(settings->first, &settings->wish),
                                   .planted = settings->planted,
                                   .mutant = settings->mutant,
                                   .workload = settings->workload};
    if (settings->first != settings->last) {
        fprintf(stderr, "moot sim: --shrink needs one seed\n");
        return EXIT_USAGE;
    }
    return moot_cli_shrink(&smallest) ? EXIT_VIOLATION : EXIT_FINE;
}

/* A world takes some hundred megabytes in large pieces, of which it touches little, and gives them
 * back. What the process keeps of them costs the next world no page fault. */
static void keep_memory(void)
{
    static const int piece_bytes = 32 * 1024 * 1024, kept_bytes = 1024 * 1024 * 1024;
    mallopt(M_MMAP_THRESHOLD, piece_bytes);
    mallopt(M_TRIM_THRESHOLD, kept_bytes);
    mallopt(M_TOP_PAD, piece_bytes);
}

int moot_cli_sim(int argc, char **argv)
{
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .doc = "Runs clusters of this very code in virtual time, under faults; one seed decides "
               "everything. One line of result for each seed. Exits with 0 when all is well, 1 on "
               "a violation, 2 when there is none but some history could not be judged in time "
               "(verdict=unknown), or the command line is wrong.",
    };
    struct settings settings = {.operations = 300};
    argp_err_exit_status = EXIT_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &settings) != 0) {
        return EXIT_USAGE;
    }
    if (settings.sweep != MOOT_SIM_SWEEP_NONE && settings.faults == NULL) {
        settings.wish.is_chosen = true;
    }
    if (settings.lists_faults) {
        list_faults();
        return EXIT_FINE;
    }
    if (settings.mutant != NULL && !moot_sim_mutant(settings.mutant)) {
        fprintf(stderr, "moot sim: this build has no mutants; configure it with -Dmutants=true\n");
        return EXIT_USAGE;
    }
    if (settings.trace != NULL && moot_cli_is_picture(settings.trace)) {
        running_picture_path = settings.trace;
    } else if (settings.trace != NULL) {
        running_trace = strcmp(settings.trace, "-") == 0 ? stderr : fopen(settings.trace, "w");
        if (running_trace == NULL) {
            fprintf(stderr, "moot sim: cannot open %s: %s\n", settings.trace, strerror(errno));
            return EXIT_USAGE;
        }
    }
    if (settings.shrinks) {
        return shrink(&settings);
    }
    watch_for_death();
    keep_memory();
    if (settings.break_ns != 0) {
        signal(SIGTRAP, SIG_DFL);
    }
    enum moot_cli_world worst = MOOT_WORLD_FINE;
    struct batch batch = {0};
    clock_gettime(CLOCK_MONOTONIC, &batch.began);
    for (uint64_t seed = settings.first; worst != MOOT_WORLD_WRONG && seed <= settings.last;
         seed++) {
        enum moot_cli_world world = run_seed(&settings, seed, running_trace, &batch);
        worst = world > worst ? world : worst;
    }
    if (settings.first != settings.last || batch.worlds > 1) {
        print_batch(&batch);
    }
    if (running_trace != NULL) {
        fclose(running_trace);
    }
    if (settings.marks) {
        print_marks();
        print_met();
    }
    static const int statuses[] = {[MOOT_WORLD_FINE] = EXIT_FINE,
                                   [MOOT_WORLD_UNKNOWN] = EXIT_UNKNOWN,
                                   [MOOT_WORLD_WRONG] = EXIT_VIOLATION};
    return statuses[worst];
}
