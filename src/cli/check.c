#include "cli/check.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/slice.h"
#include "check/causal.h"
#include "check/expiry.h"
#include "check/linearizability.h"
#include "check/sessions.h"
#include "check/set.h"
#include "check/transaction.h"
#include "cli/check_show.h"
#include "cli/live.h"

enum { EXIT_VALID = 0, EXIT_VIOLATION = 1, EXIT_UNKNOWN = 2 };
enum { OPTION_TOTAL = 0x100, OPTION_BUDGET, OPTION_ISOLATION, OPTION_HTML, OPTION_CLOCKS };

struct settings {
    const char *history;
    const char *model;
    int64_t total;
    bool has_total;
    uint64_t budget;
    uint64_t clocks_ms;
    const char *html;
    enum moot_isolation isolation;
};

static const struct argp_option options[] = {
    {"history", 'f', "FILE", 0, "The history: JSON lines or Jepsen's EDN; - is the standard input",
     0},
    {"model", 'm', "MODEL", 0, "What it is judged by, see below", 0},
    {"isolation", OPTION_ISOLATION, "LEVEL", 0, "Of transactions; without it, the strictest", 0},
    {"total", OPTION_TOTAL, "SUM", 0, "What the balances of a bank sum up to", 0},
    {"clocks", OPTION_CLOCKS, "MS", 0, "expiry: how far apart clocks may be (500)", 0},
    {"budget", OPTION_BUDGET, "N", 0, "Configurations searched for one key before giving up", 0},
    {"html", OPTION_HTML, "FILE", 0, "Write a page with a picture of it", 0},
    {0},
};

/* All of --help fits a screen: what a model promises, reads and costs is in docs/history.md. */
static const char doc[] =
    "Judges a history of operations. Exits with 0 when it is valid, 1 on a violation, and 2 when "
    "that is not known or the command line or file is wrong."
    "\vEach key alone, linearizable:\n"
    "  register  counter  append (a string or list)\n"
    "Registers, all keys together, the stronger models first:\n"
    "  sequential  convergent  causal  sessions (all four guarantees of a session)\n"
    "  writes-follow-reads  monotonic-writes  monotonic-reads  read-your-writes\n"
    "Transactions:\n"
    "  append-txn (to lists)  register-txn\n"
    "  --isolation read-uncommitted, read-committed, snapshot-isolation,\n"
    "  serializable, session-serializable, strict-serializable\n"
    "Promises:\n"
    "  set  queue  exactly-once  ids  expiry  bank (with --total)\n"
    "What each reads, promises, costs: docs/history.md. Real servers: --live --help.";

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct settings *settings = state->input;
    switch (key) {
    case 'f':
        settings->history = text;
        return 0;
    case 'm':
        settings->model = text;
        return 0;
    case OPTION_HTML:
        settings->html = text;
        return 0;
    case OPTION_TOTAL:
        settings->has_total = true;
        if (!moot_slice_to_i64(moot_slice_text(text), &settings->total)) {
            argp_error(state, "--total needs an integer, not %s", text);
        }
        return 0;
    case OPTION_ISOLATION:
        if (!moot_isolation_from_text(text, &settings->isolation)) {
            argp_error(state, "there is no isolation %s", text);
        }
        return 0;
    case OPTION_CLOCKS:
        if (!moot_slice_to_u64(moot_slice_text(text), &settings->clocks_ms)) {
            argp_error(state, "--clocks needs milliseconds, not %s", text);
        }
        return 0;
    case OPTION_BUDGET:
        if (!moot_slice_to_u64(moot_slice_text(text), &settings->budget) || settings->budget == 0 ||
            settings->budget > 1000 * 1000 * 1000) {
            argp_error(state, "--budget needs an integer from 1 to 10^9, not %s", text);
        }
        return 0;
    case ARGP_KEY_END:
        if (settings->history == NULL || settings->model == NULL) {
            argp_error(state, "--history FILE and --model MODEL are needed");
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The whole file; false after saying why not. */
static bool read_file(const char *name, struct moot_buffer *text)
{
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
    if (file == NULL) {
        fprintf(stderr, "moot check: cannot open %s: %s\n", name, strerror(errno));
        return false;
    }
    const size_t chunk = 256 * 1024;
    size_t got;
    do {
        got = fread(moot_buffer_reserve(text, chunk), 1, chunk, file);
        text->size += got;
    } while (got == chunk);
    bool failed = ferror(file) != 0;
    if (failed) {
        fprintf(stderr, "moot check: cannot read %s: %s\n", name, strerror(errno));
    }
    if (file != stdin) {
        fclose(file);
    }
    return !failed;
}

/* The model of linearizability, or NULL. */
static const struct moot_model *linearizable_model(const char *name)
{
    static const struct moot_model *const models[] = {&moot_model_register, &moot_model_counter,
                                                      &moot_model_append};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(models); i++) {
        if (strcmp(name, models[i]->name) == 0) {
            return models[i];
        }
    }
    return NULL;
}

/* False when there is no such model. */
static bool judge(const struct settings *settings, const struct moot_history *history,
                  struct moot_verdict *verdict)
{
    static const struct {
        const char *name;
        void (*check)(const struct moot_history *history, struct moot_verdict *verdict);
    } checkers[] = {
        {"set", moot_check_set},
        {"queue", moot_check_queue},
        {"exactly-once", moot_check_exactly_once},
        {"ids", moot_check_ids},
    };
    struct moot_linearizability_options how = {.configurations_max = settings->budget};
    const struct moot_model *model = linearizable_model(settings->model);
    if (model != NULL) {
        moot_check_linearizable(history, model, &how, verdict);
        return true;
    }
    for (size_t i = 0; i < MOOT_ARRAY_LEN(checkers); i++) {
        if (strcmp(settings->model, checkers[i].name) == 0) {
            checkers[i].check(history, verdict);
            return true;
        }
    }
    if (strcmp(settings->model, "expiry") == 0) {
        struct moot_expiry_options within = moot_expiry_within(settings->clocks_ms);
        within.configurations_max = settings->budget;
        moot_check_expiry(history, &within, verdict);
        return true;
    }
    if (strcmp(settings->model, "append-txn") == 0) {
        moot_check_append_txns(history, settings->isolation, verdict);
        return true;
    }
    if (strcmp(settings->model, "register-txn") == 0) {
        moot_check_register_txns(history, settings->isolation, verdict);
        return true;
    }
    if (strcmp(settings->model, "sequential") == 0) {
        moot_check_sequential(history, verdict);
        return true;
    }
    unsigned guarantees;
    if (moot_session_model_from_text(settings->model, &guarantees)) {
        moot_check_sessions(history, guarantees, verdict);
        return true;
    }
    if (strcmp(settings->model, "causal") == 0 || strcmp(settings->model, "convergent") == 0) {
        moot_check_causal(history, settings->model[1] == 'o', verdict);
        return true;
    }
    if (strcmp(settings->model, "bank") == 0 && settings->has_total) {
        moot_check_bank(history, settings->total, verdict);
        return true;
    }
    return false;
}

static int read_history(const struct settings *settings, struct moot_history *history,
                        struct moot_slice text, size_t *line, const char **why)
{
    if (!moot_history_is_edn(text)) {
        return moot_history_read(history, text, line, why);
    }
    bool counts =
        strcmp(settings->model, "counter") == 0 || strcmp(settings->model, "exactly-once") == 0;
    return moot_history_read_edn(history, text, counts, line, why);
}

static int judge_text(const struct settings *settings, struct moot_slice text)
{
    struct moot_history history;
    struct moot_verdict verdict;
    size_t line;
    const char *why;
    int exit_status = EXIT_UNKNOWN;
    moot_history_init(&history);
    moot_verdict_init(&verdict);
    if (read_history(settings, &history, text, &line, &why) != 0) {
        fprintf(stderr, "moot check: %s, line %zu: %s\n", settings->history, line, why);
    } else if (history.count == 0) {
        fprintf(stderr, "moot check: %s has no operations\n", settings->history);
    } else if (!judge(settings, &history, &verdict)) {
        fprintf(stderr, "moot check: no model %s%s; see moot check --help\n", settings->model,
                strcmp(settings->model, "bank") == 0 ? " without --total SUM" : "");
    } else {
        printf("%s: %zu operations, %zu keys, model %s\n", moot_judgement_text(verdict.judgement),
               history.count, verdict.keys, settings->model);
        if (verdict.words.size > 0) {
            fwrite(verdict.words.data, 1, verdict.words.size, stdout);
        }
        if (verdict.judgement == MOOT_JUDGEMENT_VIOLATION) {
            moot_check_show_evidence(&history, linearizable_model(settings->model), &verdict);
        }
        exit_status = verdict.judgement == MOOT_JUDGEMENT_VALID       ? EXIT_VALID
                      : verdict.judgement == MOOT_JUDGEMENT_VIOLATION ? EXIT_VIOLATION
                                                                      : EXIT_UNKNOWN;
        if (settings->html != NULL &&
            !moot_check_write_page(&history, &verdict, settings->history, settings->html)) {
            exit_status = EXIT_UNKNOWN;
        }
    }
    moot_verdict_deinit(&verdict);
    moot_history_deinit(&history);
    return exit_status;
}

/* Real servers instead of a file: a command line of its own. */
static bool is_live(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--live") == 0 || strncmp(argv[i], "--target", 8) == 0) {
            return true;
        }
    }
    return false;
}

int moot_cli_check(int argc, char **argv)
{
    if (is_live(argc, argv)) {
        return moot_cli_live(argc, argv);
    }
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .doc = doc,
    };
    struct settings settings = {.isolation = MOOT_ISOLATION_STRICT_SERIALIZABLE,
                                .clocks_ms = MOOT_CLOCK_BOUND_MS};
    static char name[] = "moot check";
    argv[0] = name; /* For argp's texts. */
    argp_err_exit_status = EXIT_UNKNOWN;
    if (argp_parse(&argp, argc, argv, 0, NULL, &settings) != 0) {
        return EXIT_UNKNOWN;
    }
    struct moot_buffer text;
    moot_buffer_init(&text);
    int exit_status = EXIT_UNKNOWN;
    if (read_file(settings.history, &text)) {
        exit_status = judge_text(&settings, moot_buffer_slice(&text));
    }
    moot_buffer_deinit(&text);
    return exit_status;
}
