#include "cli/lab.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "cli/cli.h"
#include "lab/lab.h"

enum { OPTION_HTML = 0x100 };

struct settings {
    const char *verb, *scene, *html;
    uint64_t seed;
};

static const struct argp_option options[] = {
    {"seed", 's', "N", 0, "Decides everything that is left to chance (1)", 0},
    {"html", OPTION_HTML, "FILE", 0, "Also draw it: one page, to be opened in a browser", 0},
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
    case OPTION_HTML:
        settings->html = text;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num == 0) {
            settings->verb = text;
        } else if (state->arg_num == 1) {
            settings->scene = text;
        } else {
            argp_error(state, "one scene at a time; %s is too much", text);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int list(void)
{
    size_t count;
    const struct lab_scene *scenes = lab_scenes(&count);
    for (size_t i = 0; i < count; i++) {
        printf("  %-12s %s\n", scenes[i].name, scenes[i].line);
    }
    printf("\nmoot lab run NAME [--seed N] [--html FILE]\n");
    return CLI_OK;
}

static int write_page(const char *path, const struct moot_buffer *page)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return cli_fail("%s: %s", path, strerror(errno));
    }
    bool whole = fwrite(page->data, 1, page->size, file) == page->size;
    if (fclose(file) != 0 || !whole) {
        return cli_fail("%s: %s", path, strerror(errno));
    }
    printf("Drawn in %s\n", path);
    return CLI_OK;
}

static int run(const struct settings *settings)
{
    const struct lab_scene *scene = lab_scene_of(settings->scene);
    if (scene == NULL) {
        cli_fail("there is no scene %s; these are:", settings->scene);
        (void)list();
        return CLI_USAGE;
    }
    struct lab_result result;
    lab_result_init(&result);
    lab_run(scene, settings->seed, &result);
    fwrite(result.text.data, 1, result.text.size, stdout);
    int status = CLI_OK;
    if (settings->html != NULL) {
        status = write_page(settings->html, &result.page);
    }
    if (!result.held) {
        status = cli_fail("the scene %s does not hold with --seed %llu", scene->name,
                          (unsigned long long)settings->seed);
    }
    lab_result_deinit(&result);
    return status;
}

int moot_cli_lab(int argc, char **argv)
{
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "list\nrun NAME",
        .doc = "Small deterministic scenes on moot's own algorithms, each with a question, a "
               "picture and an answer that code has checked.\vThe exit status is 0 when every "
               "claim of the scene held. Example: moot lab run figure-8 --html figure-8.html"};
    struct settings settings = {.seed = 1};
    argp_parse(&argp, argc, argv, 0, NULL, &settings);
    if (settings.verb != NULL && strcmp(settings.verb, "list") == 0 && settings.scene == NULL) {
        return list();
    }
    if (settings.verb != NULL && strcmp(settings.verb, "run") == 0 && settings.scene != NULL) {
        return run(&settings);
    }
    cli_fail("say `moot lab list`, or `moot lab run NAME`; moot lab --help says more");
    return CLI_USAGE;
}
