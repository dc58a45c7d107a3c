#include "cli/sim_sweep.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

enum { JOBS_MAX = 64, LOOK_MS = 20, TELL_S = 10, ABANDONED_MAX = 50 };

static const struct {
    const char *name, *words;
} KINDS[MOOT_SIM_SWEEPS] = {
    [MOOT_SIM_SWEEP_WRITE] = {"write", "writes of journals, each failed once and for good"},
    [MOOT_SIM_SWEEP_SYNC] = {"sync", "syncs of journals, each failed once and for good"},
    [MOOT_SIM_SWEEP_STORE] = {"store", "writes of stores, each failed once and for good"},
    [MOOT_SIM_SWEEP_CRASH] = {"crash", "effects, with the death of the process after each, and "
                                       "again in the start that follows"},
    [MOOT_SIM_SWEEP_POWER] = {"power", "effects, with the death of all processes after each, and "
                                       "again in the starts that follow"},
    [MOOT_SIM_SWEEP_OPEN] = {"open", "changes of disks in starts, with a death at each, and at "
                                     "each start after it"},
    [MOOT_SIM_SWEEP_ALLOC] = {"alloc", "allocations in turns, each failed once and for good"},
};

enum moot_sim_sweep moot_cli_sweep_kind(const char *name)
{
    for (int kind = MOOT_SIM_SWEEP_WRITE; kind < MOOT_SIM_SWEEPS; kind++) {
        if (strcmp(KINDS[kind].name, name) == 0) {
            return (enum moot_sim_sweep)kind;
        }
    }
    return MOOT_SIM_SWEEP_NONE;
}

const char *moot_cli_sweep_name(enum moot_sim_sweep kind) { return KINDS[kind].name; }

/* ---- worlds ---- */

/* Which failures there are: `each` of them once, and then each for good. */
struct plan {
    const struct moot_cli_sweep *sweep;
    struct moot_cli_swept *swept; /* Memory that all processes share. */
    uint64_t first, step, each;
};

static void add(uint64_t *shared, uint64_t amount)
{
    __atomic_fetch_add(shared, amount, __ATOMIC_RELAXED);
}

static enum moot_cli_world run_one(const struct plan *plan, const struct moot_sim_options *how,
                                   struct moot_sim_counts *counts)
{
    struct moot_sim_result result;
    moot_sim_result_init(&result);
    enum moot_cli_world world = plan->sweep->run(how, &result, plan->sweep->context);
    add(&plan->swept->worlds, 1);
    add(&plan->swept->operations, result.counts.operations);
    add(&plan->swept->virtual_ns, result.virtual_ns);
    add(&plan->swept->unknown, world == MOOT_WORLD_UNKNOWN);
    if (counts != NULL) {
        *counts = result.counts;
    }
    moot_sim_result_deinit(&result);
    return world;
}

/* A child that does not outlive who waits for it. */
static pid_t fork_child(void)
{
    pid_t parent = getpid(), child;
    fflush(NULL);
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(MOOT_WORLD_WRONG);
        }
    }
    return child;
}

static enum moot_cli_world outcome_of(int status)
{
    bool ended = WIFEXITED(status) && WEXITSTATUS(status) <= (int)MOOT_WORLD_UNKNOWN;
    return ended ? (enum moot_cli_world)WEXITSTATUS(status) : MOOT_WORLD_WRONG;
}

static uint64_t worlds_of(const struct plan *plan) { return 2 * plan->each; }

/* From the `first` world on each so-manieth, `most` of them, until one is wrong. */
static enum moot_cli_world run_some(const struct plan *plan, uint64_t first, uint64_t most)
{
    enum moot_cli_world worst = MOOT_WORLD_FINE;
    struct moot_sim_options how = plan->sweep->options;
    uint64_t i = first, jobs = plan->sweep->jobs;
    for (uint64_t k = 0; k < most && i < worlds_of(plan); k++, i += jobs) {
        how.sweep_at = plan->first + i % plan->each * plan->step;
        how.sweep_persists = i >= plan->each;
        enum moot_cli_world world = run_one(plan, &how, NULL);
        worst = world > worst ? world : worst;
        if (worst == MOOT_WORLD_WRONG) {
            break;
        }
    }
    return worst;
}

/* Who runs out of memory leaves a node behind: a few of these are as many as a process takes. */
static enum moot_cli_world run_apart(const struct plan *plan, uint64_t first)
{
    int status = 0;
    pid_t child = fork_child();
    if (child == 0) {
        enum moot_cli_world world = run_some(plan, first, ABANDONED_MAX);
        fflush(NULL);
        _exit((int)world);
    }
    return child > 0 && waitpid(child, &status, 0) == child ? outcome_of(status) : MOOT_WORLD_WRONG;
}

static enum moot_cli_world run_share(const struct plan *plan, uint32_t job)
{
    enum moot_cli_world worst = MOOT_WORLD_FINE;
    if (plan->sweep->options.sweep != MOOT_SIM_SWEEP_ALLOC) {
        return run_some(plan, job, UINT64_MAX);
    }
    for (uint64_t first = job; first < worlds_of(plan) && worst != MOOT_WORLD_WRONG;
         first += ABANDONED_MAX * plan->sweep->jobs) {
        enum moot_cli_world world = run_apart(plan, first);
        worst = world > worst ? world : worst;
    }
    return worst;
}

/* ---- processes ---- */

static void tell(const struct plan *plan, struct timespec *last)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - last->tv_sec >= TELL_S) {
        *last = now;
        fprintf(stderr, "%s, seed %" PRIu64 ": %" PRIu64 " of %" PRIu64 "\n",
                KINDS[plan->sweep->options.sweep].name, plan->sweep->options.seed,
                __atomic_load_n(&plan->swept->worlds, __ATOMIC_RELAXED), worlds_of(plan));
    }
}

/* Waits for all; when one has found something wrong the others are ended. */
static enum moot_cli_world wait_for(const struct plan *plan, pid_t *children, uint32_t count)
{
    enum moot_cli_world worst = MOOT_WORLD_FINE;
    struct timespec last, nap = {.tv_nsec = LOOK_MS * 1000000L};
    clock_gettime(CLOCK_MONOTONIC, &last);
    for (uint32_t left = count; left > 0; nanosleep(&nap, NULL)) {
        tell(plan, &last);
        for (uint32_t i = 0; i < count; i++) {
            int status = 0;
            if (children[i] == 0 || waitpid(children[i], &status, WNOHANG) != children[i]) {
                continue;
            }
            children[i] = 0;
            left--;
            if (worst != MOOT_WORLD_WRONG) { /* Else it was ended from here. */
                enum moot_cli_world world = outcome_of(status);
                worst = world > worst ? world : worst;
            }
            for (uint32_t k = 0; k < count && worst == MOOT_WORLD_WRONG; k++) {
                if (children[k] != 0) {
                    kill(children[k], SIGKILL);
                }
            }
        }
    }
    return worst;
}

static enum moot_cli_world run_plan(const struct plan *plan)
{
    pid_t children[JOBS_MAX];
    uint32_t jobs = plan->sweep->jobs, count = 0;
    MOOT_ASSERT(jobs >= 1 && jobs <= JOBS_MAX);
    alarm(0);
    for (uint32_t job = 0; job < jobs; job++) {
        children[count] = fork_child();
        if (children[count] == 0) {
            enum moot_cli_world world = run_share(plan, job);
            exit((int)world);
        } else if (children[count] < 0) {
            fprintf(stderr, "moot sim: no process can be made for a share of the sweep\n");
            return count == 0 ? MOOT_WORLD_UNKNOWN : wait_for(plan, children, count);
        }
        count++;
    }
    return wait_for(plan, children, count);
}

static void print_swept(const struct plan *plan, uint64_t all, uint64_t last)
{
    const struct moot_sim_options *how = &plan->sweep->options;
    char which[80] = "", unknown[80] = "";
    if (plan->each != all) {
        snprintf(which, sizeof(which), " (tried: %" PRIu64 " to %" PRIu64 ", each %" PRIu64 ".)",
                 plan->first, last, plan->step);
    }
    if (plan->swept->unknown > 0) {
        snprintf(unknown, sizeof(unknown), ", of %" PRIu64 " of which nobody knows",
                 plan->swept->unknown);
    }
    printf("sweep=%s seed=%" PRIu64 ": %" PRIu64 " %s%s: %" PRIu64 " worlds keep their "
           "promises%s\n",
           KINDS[how->sweep].name, how->seed, all, KINDS[how->sweep].words, which, worlds_of(plan),
           unknown);
}

enum moot_cli_world moot_cli_sweep(const struct moot_cli_sweep *sweep, struct moot_cli_swept *swept)
{
    struct moot_sim_options how = sweep->options;
    struct moot_sim_counts counts;
    MOOT_ASSERT(how.sweep > MOOT_SIM_SWEEP_NONE && how.sweep < MOOT_SIM_SWEEPS);
    struct plan plan = {.sweep = sweep, .first = 1, .step = 1};
    plan.swept =
        mmap(NULL, sizeof(*swept), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (plan.swept == MAP_FAILED) {
        fprintf(stderr, "moot sim: no memory can be shared\n");
        return MOOT_WORLD_UNKNOWN;
    }
    how.sweep_at = 0;
    enum moot_cli_world worst = run_one(&plan, &how, &counts);
    uint64_t all = counts.swept[how.sweep];
    uint64_t last = sweep->part.last == 0 ? all : moot_min_u64(sweep->part.last, all);
    plan.first = sweep->part.first == 0 ? 1 : sweep->part.first;
    plan.step = sweep->part.every == 0 ? 1 : sweep->part.every;
    plan.each = plan.first > last ? 0 : (last - plan.first) / plan.step + 1;
    if (worst != MOOT_WORLD_WRONG && plan.each > 0) {
        enum moot_cli_world world = run_plan(&plan);
        worst = world > worst ? world : worst;
    }
    if (worst != MOOT_WORLD_WRONG) {
        print_swept(&plan, all, last);
    }
    *swept = *plan.swept;
    munmap(plan.swept, sizeof(*swept));
    return worst;
}
