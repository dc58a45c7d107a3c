/* The engine on a store in memory that often answers WOULDBLOCK, for tests of commands: one command
 * at a time, run until it is through. */
#ifndef MOOT_TEST_COMMAND_ENGINE_H
#define MOOT_TEST_COMMAND_ENGINE_H

#include <stdlib.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/rng.h"
#include "base/status.h"
#include "database/execute/engine.h"
#include "storage/store_memory.h"

enum { SCRIPT_ARGS_MAX = 4096, SCRIPT_TRIES_MAX = 10000 };

struct script {
    struct moot_store *store;
    struct moot_engine *engine;
    struct moot_rng rng;
    struct moot_buffer words, replies, shown, item;
    struct moot_slice args[SCRIPT_ARGS_MAX];
    uint32_t argc;
    moot_index index;
    uint64_t now_ms, expired, blocked;
    uint8_t protocol, database;
    bool only_log; /* Run reads as part of entries too. */
};

static inline struct script *script_make(uint64_t seed, uint32_t wouldblock_one_in)
{
    struct script *script = calloc(1, sizeof *script);
    struct moot_store_memory_options options = {seed, wouldblock_one_in};
    script->store = moot_store_memory_open(&options);
    script->engine = moot_engine_make(script->store, MOOT_GROUP_DB0);
    moot_rng_init(&script->rng, seed);
    moot_buffer_init(&script->words);
    moot_buffer_init(&script->replies);
    moot_buffer_init(&script->shown);
    moot_buffer_init(&script->item);
    script->now_ms = 1700000000000;
    script->protocol = 2;
    return script;
}

static inline void script_end(struct script *script)
{
    moot_engine_destroy(script->engine);
    script->store->ops->close(script->store);
    moot_buffer_deinit(&script->words);
    moot_buffer_deinit(&script->replies);
    moot_buffer_deinit(&script->shown);
    moot_buffer_deinit(&script->item);
    free(script);
}

/* Brings in what was missing. */
static inline void script_fetch(struct script *script)
{
    struct moot_view *view = moot_engine_view(script->engine);
    const struct moot_view_misses *misses = moot_view_misses(view);
    script->blocked++;
    MOOT_ASSERT(misses->key_count + misses->range_count > 0);
    for (uint32_t i = 0; i < misses->key_count; i++) {
        MOOT_ASSERT(script->store->ops->fetch(script->store, misses->keys[i]) == 0);
    }
    for (uint32_t i = 0; i < misses->range_count; i++) {
        MOOT_ASSERT(
            script->store->ops->fetch_range(script->store, misses->ranges[i], false, 1000000) == 0);
    }
    moot_view_forget_misses(view);
}

static inline void script_flush(struct script *script)
{
    struct moot_batch batch;
    moot_batch_init(&batch);
    moot_view_flush(moot_engine_view(script->engine), &batch);
    MOOT_ASSERT(script->store->ops->write(script->store, &batch) == 0);
    moot_batch_deinit(&batch);
}

static inline struct moot_stamp script_stamp(const struct script *script)
{
    return (struct moot_stamp){moot_hlc_pack(script->now_ms, 0) + script->index, 0};
}

static inline void script_expire(struct script *script)
{
    struct moot_call_shared *shared = moot_engine_shared(script->engine);
    struct moot_buffer body;
    moot_buffer_init(&body);
    moot_put_u16(&body, shared->due_keyspace);
    moot_put_bytes(&body, shared->due_key);
    script->index++;
    int status, tries = 0;
    while ((status = moot_engine_expire(script->engine, script->index, script_stamp(script),
                                        moot_buffer_slice(&body))) == MOOT_EWOULDBLOCK) {
        script_fetch(script);
        MOOT_ASSERT(++tries < SCRIPT_TRIES_MAX);
    }
    MOOT_ASSERT(status == 0);
    moot_view_take_hash(moot_engine_view(script->engine));
    moot_buffer_deinit(&body);
    script->expired++;
}

/* Runs script->args until it is through; its reply is in the returned slice, empty when it waits.
 */
static inline struct moot_slice script_call(struct script *script)
{
    const struct moot_command *command = moot_command_find(script->args[0]);
    bool is_read = command != NULL && command->place == MOOT_PLACE_READ && !script->only_log &&
                   moot_rng_chance(&script->rng, 1, 2);
    moot_buffer_reset(&script->item, 1 << 20);
    moot_item_put(&script->item, script->protocol == 3 ? MOOT_ITEM_RESP3 : 0, script->database,
                  (struct moot_slice){NULL, 0}, script->args, script->argc);
    moot_buffer_reset(&script->replies, 1 << 20);
    script->index++;
    int status;
    for (int tries = 0;; tries++) {
        struct moot_engine_run run = {
            .index = script->index,
            .stamp = script_stamp(script),
            .now_ms = script->now_ms,
            .seed = script->index * 7919,
            .is_read = is_read,
            .batch = moot_buffer_slice(&script->item),
            .replies = &script->replies,
        };
        status = moot_engine_run(script->engine, &run);
        if (status == MOOT_EWOULDBLOCK) {
            script_fetch(script);
        } else if (status == MOOT_EDUE) {
            script_expire(script);
            script->index++;
        } else {
            break;
        }
        MOOT_ASSERT(tries < SCRIPT_TRIES_MAX);
    }
    MOOT_ASSERT(status == 0);
    moot_view_take_hash(moot_engine_view(script->engine));
    struct moot_reader reader = moot_reader_make(moot_buffer_slice(&script->replies));
    struct moot_slice reply = moot_get_bytes(&reader);
    MOOT_ASSERT(!reader.failed);
    MOOT_ASSERT(moot_reader_left(&reader) == 0);
    size_t consumed = 0;
    if (reply.size > 0) { /* Exactly one well-formed reply. */
        MOOT_ASSERT(moot_resp_skip(reply, &consumed) == 0);
    }
    MOOT_ASSERT(consumed == reply.size);
    if (moot_rng_chance(&script->rng, 1, 4)) {
        script_flush(script);
    }
    return reply;
}

#endif
