/* Every try is this program run anew with a command line: an assertion ends only that process, and
 * what is printed at the end has been run exactly so. A smaller world is another world, so trying
 * is all there is: parts are taken away one after the other, and stay away when it still fails with
 * the same words (numbers apart). Delta debugging (Zeller and Hildebrandt 2002), greedy. */
#include "cli/sim_shrink.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/slice.h"

enum { ARGS_MAX = 16, WORD_BYTES = SIM_FAULT_LIST_BYTES + 16, WORDS_BYTES = 160, ROUNDS_MAX = 4 };

struct command {
    char words[ARGS_MAX][WORD_BYTES];
    char *argv[ARGS_MAX + 1];
    int count;
};
struct failure {
    bool failed;
    char words[WORDS_BYTES]; /* Without numbers: the same fault in a smaller world has others. */
    uint64_t nodes, virtual_ms;
};

static void add(struct command *command, const char *name, const char *value)
{
    snprintf(command->words[command->count], WORD_BYTES, "%s%s", name, value);
    command->argv[command->count] = command->words[command->count];
    command->argv[++command->count] = NULL;
}

static void add_number(struct command *command, const char *name, uint64_t value, const char *unit)
{
    char digits[40];
    snprintf(digits, sizeof(digits), "=%" PRIu64 "%s", value, unit);
    add(command, name, digits);
}

static void command_of(const struct moot_shrink *shrink, struct command *command)
{
    char list[SIM_FAULT_LIST_BYTES];
    command->count = 0;
    add(command, "moot", "");
    add(command, "sim", "");
    add_number(command, "--seed", shrink->seed, "");
    if (shrink->nodes != 0) {
        add_number(command, "--nodes", shrink->nodes, "");
    }
    add_number(command, "--ops", shrink->operations, "");
    if (shrink->workload != NULL) {
        add(command, "--workload=", shrink->workload);
    }
    sim_fault_list(shrink->faults, list);
    add(command, "--faults=", list);
    if (shrink->faults_ms != 0) {
        add_number(command, "--faults-end", shrink->faults_ms, "ms");
    }
    if (shrink->planted != 0) {
        add_number(command, "--plant", shrink->planted, "");
    }
    if (shrink->mutant != NULL) {
        add(command, "--mutant=", shrink->mutant);
    }
}

static uint64_t number_after(const char *line, const char *name, uint64_t scale)
{
    const char *at = strstr(line, name);
    double value = 0;
    if (at != NULL) {
        (void)sscanf(at + strlen(name), "%lf", &value);
    }
    return (uint64_t)(value * (double)scale);
}

static void keep_words(struct failure *failure, const char *words)
{
    size_t size = 0;
    for (const char *at = words; *at != '\0' && *at != '\n' && size + 1 < WORDS_BYTES; at++) {
        if (!isdigit((unsigned char)*at)) {
            failure->words[size++] = *at;
        }
    }
    failure->words[size] = '\0';
}

static void read_output(FILE *file, struct failure *failure)
{
    char line[8192];
    while (fgets(line, sizeof(line), file) != NULL) {
        const char *violation = strstr(line, "VIOLATION: ");
        if (strncmp(line, "seed=", 5) == 0) {
            failure->nodes = number_after(line, "nodes=", 1);
            failure->virtual_ms = number_after(line, "virtual=", 1000);
        } else if (violation == line && failure->words[0] == '\0') {
            keep_words(failure, line);
        } else if (strstr(line, "assert") != NULL && violation == NULL) {
            keep_words(failure, line); /* Which one it was. */
        }
    }
}

static void run(const struct moot_shrink *shrink, struct failure *failure)
{
    struct command command;
    int pipes[2], status = 0;
    *failure = (struct failure){0};
    command_of(shrink, &command);
    fflush(stdout);
    if (pipe(pipes) != 0) {
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        dup2(pipes[1], STDOUT_FILENO);
        dup2(pipes[1], STDERR_FILENO);
        close(pipes[0]);
        close(pipes[1]);
        execv("/proc/self/exe", command.argv);
        _exit(127);
    }
    close(pipes[1]);
    FILE *file = fdopen(pipes[0], "r");
    if (file != NULL) {
        read_output(file, failure);
        fclose(file);
    }
    failure->failed = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
                      (WEXITSTATUS(status) == 1 || WEXITSTATUS(status) >= 128);
}

static void print_command(const char *before, const struct moot_shrink *shrink)
{
    struct command command;
    command_of(shrink, &command);
    printf("%s", before);
    for (int i = 0; i < command.count; i++) {
        printf("%s%s", i == 0 ? "" : " ", command.argv[i]);
    }
    printf("\n");
    fflush(stdout);
}

/* The smaller one becomes the smallest when it fails in the same way. */
static bool try(struct moot_shrink *smallest, const struct moot_shrink *smaller,
                const struct failure *wanted)
{
    struct failure failure;
    run(smaller, &failure);
    bool same = failure.failed && strcmp(failure.words, wanted->words) == 0;
    if (same) {
        *smallest = *smaller;
        print_command("fails: ", smallest);
    }
    return same;
}

/* Downwards by steps that get smaller: it need not be monotone. */
static bool lower(struct moot_shrink *smallest, uint64_t *field, uint64_t least,
                  const struct failure *wanted)
{
    bool any = false;
    for (uint64_t step = *field / 2; step > 0; step /= 2) {
        struct moot_shrink smaller = *smallest;
        uint64_t *lowered =
            (uint64_t *)(void *)((char *)&smaller + ((char *)field - (char *)smallest));
        while (*field >= least + step) {
            *lowered = *field - step;
            if (!try(smallest, &smaller, wanted)) {
                break;
            }
            any = true;
        }
    }
    return any;
}

static bool fewer_nodes(struct moot_shrink *smallest, const struct failure *wanted)
{
    for (uint64_t nodes = 1; nodes < smallest->nodes; nodes++) {
        struct moot_shrink smaller = *smallest;
        smaller.nodes = nodes;
        if (try(smallest, &smaller, wanted)) {
            return true;
        }
    }
    return false;
}

static bool fewer_faults(struct moot_shrink *smallest, const struct failure *wanted)
{
    bool any = false;
    struct moot_shrink smaller = *smallest;
    smaller.faults = (sim_fault_set){0};
    if (sim_fault_any(smallest->faults) && try(smallest, &smaller, wanted)) {
        return true;
    }
    for (uint32_t i = 0; i < SIM_FAULTS; i++) {
        smaller = *smallest;
        sim_fault_put(&smaller.faults, i, false);
        any = (sim_fault_has(smallest->faults, i) && try(smallest, &smaller, wanted)) || any;
    }
    return any;
}

bool moot_cli_shrink(struct moot_shrink *smallest)
{
    struct failure wanted;
    run(smallest, &wanted);
    if (!wanted.failed) {
        print_command("this does not fail: ", smallest);
        return false;
    }
    print_command("fails: ", smallest);
    smallest->nodes = wanted.nodes != 0 ? wanted.nodes : smallest->nodes;
    if (smallest->faults_ms == 0 && wanted.virtual_ms != 0) { /* Not longer than it took. */
        struct moot_shrink shorter = *smallest;
        shorter.faults_ms = wanted.virtual_ms + 1;
        (void)try(smallest, &shorter, &wanted);
    }
    bool more = true;
    for (int round = 0; more && round < ROUNDS_MAX; round++) {
        more = lower(smallest, &smallest->operations, 1, &wanted);
        more = fewer_faults(smallest, &wanted) || more;
        more = fewer_nodes(smallest, &wanted) || more;
        if (smallest->faults_ms != 0) {
            more = lower(smallest, &smallest->faults_ms, 1, &wanted) || more;
        }
    }
    print_command("smallest: ", smallest);
    return true;
}
