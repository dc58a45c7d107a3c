/* Commands in, replies out: the engine alone, without a network, log or disk, for comparing it with
 * another server. Reads RESP from standard input and answers on standard output; the store answers
 * WOULDBLOCK often, and reads run as part of entries or not, by lot.
 *
 *     command_shell SEED [ONE_IN]
 *
 * Of the commands for connections only SELECT, HELLO and COMMAND are known. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../unit/command_engine.h"
#include "database/command/docs.h"
#include "wire/resp.h"

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* What the edge would say before a command reaches a log. */
static bool answer_here(struct script *script, struct moot_resp *reply, struct moot_arena *arena)
{
    const struct moot_slice *args = script->args;
    const struct moot_command *command = moot_command_find(args[0]);
    if (command == NULL || !moot_command_arity_fits(command, script->argc)) {
        struct moot_buffer text;
        moot_buffer_init(&text);
        moot_buffer_append_text(&text, command == NULL ? "ERR unknown command"
                                                       : "ERR wrong number of arguments for '");
        if (command != NULL) {
            moot_buffer_append_text(&text, command->name);
            moot_buffer_append_text(&text, "' command");
        }
        moot_resp_error_slice(reply, moot_buffer_slice(&text));
        moot_buffer_deinit(&text);
        return true;
    }
    if (moot_slice_equal_nocase(args[0], "command")) {
        moot_command_answer(reply, args, script->argc, arena);
        return true;
    }
    int64_t number = 0;
    if (moot_slice_equal_nocase(args[0], "select") && moot_slice_to_i64(args[1], &number) &&
        number >= 0 && number < MOOT_DATABASES) {
        script->database = (uint8_t)number;
        moot_resp_simple(reply, "OK");
        return true;
    }
    if (moot_slice_equal_nocase(args[0], "hello") && script->argc == 2 &&
        moot_slice_to_i64(args[1], &number) && (number == 2 || number == 3)) {
        script->protocol = (uint8_t)number;
        reply->protocol = script->protocol;
        moot_resp_map(reply, 0);
        return true;
    }
    return false;
}

static void answer(struct script *script, struct moot_buffer *out)
{
    struct moot_arena arena;
    moot_arena_init(&arena);
    struct moot_resp reply = {out, script->protocol};
    script->now_ms = moot_max_u64(script->now_ms, wall_ms());
    if (!answer_here(script, &reply, &arena)) {
        struct moot_slice answered = script_call(script);
        if (answered.size > 0) {
            moot_buffer_append_slice(out, answered);
        } else {
            moot_resp_null_array(&reply); /* It would wait: as if the time-out had come. */
        }
    }
    moot_arena_deinit(&arena);
}

/* False at the end of the input. */
static bool send_and_read(struct moot_buffer *in, struct moot_buffer *out)
{
    for (size_t sent = 0; sent < out->size;) {
        ssize_t size = write(STDOUT_FILENO, out->data + sent, out->size - sent);
        if (size <= 0) {
            return false;
        }
        sent += (size_t)size;
    }
    moot_buffer_reset(out, 1 << 20);
    ssize_t size = read(STDIN_FILENO, moot_buffer_reserve(in, 1 << 16), 1 << 16);
    if (size <= 0) {
        return false;
    }
    in->size += (size_t)size;
    return true;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    uint32_t one_in = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 4;
    struct script *script = script_make(seed, one_in);
    struct moot_resp_parser parser;
    struct moot_buffer in, out;
    moot_resp_parser_init(&parser);
    moot_buffer_init(&in);
    moot_buffer_init(&out);
    do {
        size_t consumed;
        int status;
        while ((status = moot_resp_parse(&parser, moot_buffer_slice(&in), &consumed)) == 0) {
            script->argc = parser.arg_count;
            if (script->argc > SCRIPT_ARGS_MAX) {
                fprintf(stderr, "too many arguments\n");
                return 1;
            }
            for (uint32_t i = 0; i < script->argc; i++) {
                script->args[i] = moot_resp_arg(&parser, moot_buffer_slice(&in), i);
            }
            if (script->argc > 0) {
                answer(script, &out);
            }
            moot_buffer_consume(&in, consumed);
        }
        if (status != MOOT_EAGAIN) {
            fprintf(stderr, "%s\n", parser.error);
            return 1;
        }
    } while (send_and_read(&in, &out));
    moot_buffer_deinit(&in);
    moot_buffer_deinit(&out);
    moot_resp_parser_deinit(&parser);
    script_end(script);
    return 0;
}
