/* Scripts of commands, run through the engine on a store in memory that often answers WOULDBLOCK.
 *
 *     {"SET k v", "+OK"},            reply as sent, each line end shown as a blank
 *     {"HKEYS h", "~ *2 $1 a $1 b"}, the same in any order of its words
 *     {"!resp3", ""}                 directives: !resp2 !resp3 !db N !pass MS (time passes)
 *
 * Words are split at blanks; "..." keeps blanks, and knows \r \n \0 and \". A command that only
 * reads is run, drawn by lot, as a read or as part of a log entry: the answers must be the same. */
#ifndef MOOT_TEST_COMMAND_SCRIPT_H
#define MOOT_TEST_COMMAND_SCRIPT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "command_engine.h"

struct script_step {
    const char *command, *reply;
};

static inline char script_escaped(char c)
{
    return c == 'r' ? '\r' : c == 'n' ? '\n' : c == '0' ? '\0' : c;
}

/* Takes a line apart into script->args. */
static inline void script_split(struct script *script, const char *line)
{
    size_t starts[SCRIPT_ARGS_MAX], sizes[SCRIPT_ARGS_MAX];
    script->argc = 0;
    moot_buffer_reset(&script->words, 1 << 20);
    for (const char *at = line; *at != '\0';) {
        if (*at == ' ') {
            at++;
            continue;
        }
        assert_true(script->argc < SCRIPT_ARGS_MAX);
        starts[script->argc] = script->words.size;
        bool quoted = *at == '"';
        for (at += quoted; *at != '\0' && *at != (quoted ? '"' : ' '); at++) {
            bool escapes = quoted && *at == '\\';
            char c = escapes ? script_escaped(*++at) : *at;
            moot_buffer_append(&script->words, &c, 1);
        }
        at += quoted;
        sizes[script->argc] = script->words.size - starts[script->argc];
        script->argc++;
    }
    for (uint32_t i = 0; i < script->argc; i++) {
        script->args[i] = moot_slice_make(
            script->words.size == 0 ? NULL : script->words.data + starts[i], sizes[i]);
    }
}

static inline const char *script_show(struct script *script, struct moot_slice reply)
{
    moot_buffer_reset(&script->shown, 1 << 20);
    for (size_t i = 0; i < reply.size; i++) {
        bool line_end = reply.data[i] == '\r' && i + 1 < reply.size && reply.data[i + 1] == '\n';
        if (line_end && i + 2 == reply.size) {
            break;
        }
        moot_buffer_append(&script->shown, line_end ? " " : (const char *)reply.data + i, 1);
        i += line_end;
    }
    moot_buffer_append(&script->shown, "", 1);
    return (const char *)script->shown.data;
}

/* The reply to a line, as one line of text. */
static inline const char *script_reply(struct script *script, const char *line)
{
    script_split(script, line);
    return script_show(script, script_call(script));
}

static inline int script_compare_words(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}
/* The words of a text in order. */
static inline void script_sort_words(char *text)
{
    char *words[SCRIPT_ARGS_MAX], *kept = strdup(text), *at = kept;
    size_t count = 0;
    for (char *word; (word = strsep(&at, " ")) != NULL;) {
        words[count++] = word;
    }
    qsort(words, count, sizeof *words, script_compare_words);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        text = stpcpy(text, words[i]);
        text = stpcpy(text, i + 1 < count ? " " : "");
    }
    free(kept);
}

static inline bool script_directive(struct script *script, const char *line)
{
    if (strncmp(line, "!resp", 5) == 0) {
        script->protocol = (uint8_t)(line[5] - '0');
    } else if (strncmp(line, "!db ", 4) == 0) {
        script->database = (uint8_t)atoi(line + 4);
    } else if (strncmp(line, "!pass ", 6) == 0) {
        script->now_ms += (uint64_t)atoll(line + 6);
    } else {
        return false;
    }
    return true;
}

static inline void script_step(struct script *script, const struct script_step *step)
{
    if (script_directive(script, step->command)) {
        return;
    }
    char *reply = strdup(script_reply(script, step->command)), *want = strdup(step->reply);
    char *compared = want;
    if (strncmp(want, "~ ", 2) == 0) {
        compared = want + 2;
        script_sort_words(reply);
        script_sort_words(compared);
    }
    if (strcmp(reply, compared) != 0) {
        print_error("%s\n  want %s\n  got  %s\n", step->command, compared, reply);
        fail();
    }
    free(reply);
    free(want);
}

/* Runs the steps with several seeds: other misses, other flushes, other roads for reads. */
static inline void script_run(const struct script_step *steps, size_t count)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct script *script = script_make(seed, seed == 1 ? 0 : 3);
        script->only_log = seed == 2;
        for (size_t i = 0; i < count; i++) {
            script_step(script, &steps[i]);
        }
        script_end(script);
    }
}

#endif
