/* Inputs and effects in words. */
#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/slice.h"
#include "cli/replay_picture.h"
#include "sim/record_words.h"

__attribute__((format(printf, 2, 3))) static void say(struct moot_buffer *out, const char *format,
                                                      ...)
{
    char text[256];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    moot_buffer_append_text(out, text);
}

static void say_message(struct moot_slice bytes, struct moot_buffer *out)
{
    struct moot_arena arena;
    struct moot_buffer words;
    moot_arena_init(&arena);
    moot_buffer_init(&words);
    struct moot_slice kind = sim_record_message(bytes, &arena, &words);
    moot_buffer_append_slice(out, kind);
    moot_buffer_append_text(out, " (");
    moot_buffer_append_slice(out, moot_buffer_slice(&words));
    moot_buffer_append_text(out, ")");
    moot_buffer_deinit(&words);
    moot_arena_deinit(&arena);
}

static void say_resp(struct moot_slice bytes, struct moot_buffer *out)
{
    struct moot_buffer words;
    moot_buffer_init(&words);
    sim_record_resp(bytes, &words);
    for (size_t i = 0; i < words.size; i++) { /* A line stays one, and a terminal a terminal. */
        words.data[i] = words.data[i] < ' ' || words.data[i] > '~' ? '?' : words.data[i];
    }
    moot_buffer_append_slice(out, moot_buffer_slice(&words));
    moot_buffer_deinit(&words);
}

void replay_input_words(const struct moot_input *input, struct moot_buffer *out)
{
    switch (input->kind) {
    case MOOT_INPUT_CLIENT_BYTES:
        say(out, "#%llu: ", (unsigned long long)input->connection);
        say_resp(input->bytes, out);
        break;
    case MOOT_INPUT_CLIENT_OPENED:
    case MOOT_INPUT_CLIENT_ENDED:
    case MOOT_INPUT_CLIENT_SENT:
    case MOOT_INPUT_CLIENT_CLOSED:
    case MOOT_INPUT_CLIENT_KEPT:
        say(out, "#%llu", (unsigned long long)input->connection);
        break;
    case MOOT_INPUT_PEER_UP:
        say(out, "n%u, incarnation %llu", input->node, (unsigned long long)input->amount);
        break;
    case MOOT_INPUT_PEER_DOWN:
        say(out, "n%u, status %d", input->node, input->status);
        break;
    case MOOT_INPUT_PEER_MESSAGE:
        say(out, "n%u: ", input->node);
        say_message(input->bytes, out);
        break;
    case MOOT_INPUT_PEER_PART:
        say(out, "n%u, %llu bytes of a message so far", input->node,
            (unsigned long long)input->amount);
        break;
    case MOOT_INPUT_SPACE:
        say(out, "%llu bytes", (unsigned long long)input->amount);
        break;
    case MOOT_INPUT_TICK:
    case MOOT_INPUT_STOP:
    case MOOT_INPUT_REOPEN:
        break;
    default:
        say(out, "%llu, status %d, %zu bytes", (unsigned long long)input->ticket, input->status,
            input->bytes.size);
    }
}

static void say_send(const struct moot_effect *effect, struct moot_buffer *out)
{
    struct moot_buffer whole;
    moot_buffer_init(&whole);
    for (uint32_t i = 0; i < effect->send.part_count; i++) {
        moot_buffer_append_slice(&whole, effect->send.parts[i].bytes);
    }
    say(out, "n%u: ", effect->send.node);
    say_message(moot_buffer_slice(&whole), out);
    moot_buffer_deinit(&whole);
}

void replay_effect_words(const struct moot_effect *effect, struct moot_buffer *out)
{
    switch (effect->kind) {
    case MOOT_EFFECT_JOURNAL:
        say(out, "batch %llu, %zu bytes to %s at %llu",
            (unsigned long long)effect->journal.where.batch, effect->journal.bytes.size,
            effect->journal.where.segment, (unsigned long long)effect->journal.where.offset);
        break;
    case MOOT_EFFECT_STORE_WRITE:
        say(out, "%llu operations, %zu bytes", (unsigned long long)effect->batch->count,
            effect->batch->bytes.size);
        break;
    case MOOT_EFFECT_FETCH:
        say(out, "%llu: %u keys, %u ranges", (unsigned long long)effect->ticket,
            effect->fetch.key_count, effect->fetch.range_count);
        break;
    case MOOT_EFFECT_SEND:
        say_send(effect, out);
        break;
    case MOOT_EFFECT_PEER:
        say(out, "n%u at %.*s", effect->peer.node, (int)effect->peer.address.size,
            (const char *)effect->peer.address.data);
        break;
    case MOOT_EFFECT_REPLY:
        say(out, "#%llu: ", (unsigned long long)effect->client.connection);
        say_resp(effect->client.bytes, out);
        break;
    case MOOT_EFFECT_CLIENT_PAUSE:
        say(out, "#%llu %s", (unsigned long long)effect->client.connection,
            effect->client.on ? "read no more" : "read again");
        break;
    case MOOT_EFFECT_CLIENT_CLOSE:
    case MOOT_EFFECT_CLIENT_KEEP:
        say(out, "#%llu", (unsigned long long)effect->client.connection);
        break;
    case MOOT_EFFECT_LOG:
    case MOOT_EFFECT_STOP:
        moot_buffer_append_slice(out, effect->log.text);
        break;
    default:
        say(out, "%llu", (unsigned long long)effect->ticket);
    }
}
