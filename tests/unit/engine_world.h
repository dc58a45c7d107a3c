/* An engine over a store in memory, driven as a group drives it: run, fetch what was missing, run
 * again, flush. */
#ifndef MOOT_TESTS_UNIT_ENGINE_WORLD_H
#define MOOT_TESTS_UNIT_ENGINE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/codec.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/slice.h"
#include "base/status.h"
#include "database/execute/engine.h"
#include "storage/store_memory.h"

struct world {
    struct moot_store *store;
    struct moot_engine *engine;
    uint64_t index, now_ms, chain, restarts;
    bool is_read, refuse_growth, flush_each;
    struct moot_buffer batch, replies, text;
    struct moot_batch writes;
};

enum { WORLD_START_MS = 1000000000 };

static inline void world_make(struct world *world, uint64_t seed, uint32_t wouldblock_one_in)
{
    *world = (struct world){.now_ms = WORLD_START_MS, .flush_each = true};
    struct moot_store_memory_options options = {seed, wouldblock_one_in};
    world->store = moot_store_memory_open(&options);
    world->engine = moot_engine_make(world->store, MOOT_GROUP_DB0);
    assert_int_equal(moot_engine_status(world->engine), MOOT_OK);
    moot_batch_init(&world->writes);
}

static inline void world_end(struct world *world)
{
    moot_engine_destroy(world->engine);
    world->store->ops->close(world->store);
    moot_buffer_deinit(&world->batch);
    moot_buffer_deinit(&world->replies);
    moot_buffer_deinit(&world->text);
    moot_batch_deinit(&world->writes);
}

/* Fetches all that the view asked for. */
static inline void world_fetch(struct world *world)
{
    struct moot_view *view = moot_engine_view(world->engine);
    const struct moot_view_misses *misses = moot_view_misses(view);
    assert_true(misses->key_count + misses->range_count > 0);
    for (uint32_t i = 0; i < misses->key_count; i++) {
        int status = world->store->ops->fetch(world->store, misses->keys[i]);
        assert_true(status == MOOT_OK || status == MOOT_ENOTFOUND);
    }
    for (uint32_t i = 0; i < misses->range_count; i++) {
        assert_int_equal(world->store->ops->fetch_range(world->store, misses->ranges[i],
                                                        misses->range_reverse[i], 1000),
                         MOOT_OK);
    }
    moot_view_forget_misses(view);
    world->restarts++;
}

/* The end of a turn. */
static inline void world_flush(struct world *world)
{
    moot_batch_reset(&world->writes);
    moot_view_flush(moot_engine_view(world->engine), &world->writes);
    assert_int_equal(world->store->ops->write(world->store, &world->writes), MOOT_OK);
}

/* Runs world->batch, as one entry or as reads; its status, when it is not "fetch and run again". */
static inline int world_run(struct world *world)
{
    world->replies.size = 0;
    world->index += !world->is_read;
    struct moot_engine_run run = {
        .index = world->index,
        .stamp = {moot_hlc_pack(world->now_ms, (uint16_t)world->index), 0},
        .now_ms = world->now_ms,
        .seed = world->index,
        .is_read = world->is_read,
        .refuse_growth = world->refuse_growth,
        .batch = moot_buffer_slice(&world->batch),
        .replies = &world->replies,
    };
    int status;
    while ((status = moot_engine_run(world->engine, &run)) == MOOT_EWOULDBLOCK) {
        assert_int_equal(world->replies.size, 0);
        world_fetch(world);
    }
    uint64_t link = moot_view_take_hash(moot_engine_view(world->engine));
    if (!world->is_read && status == MOOT_OK) {
        world->chain = moot_hash_mix(world->chain, link);
    }
    if (world->flush_each) {
        world_flush(world);
    }
    world->batch.size = 0;
    return status;
}

/* Words between blanks become arguments. */
static inline uint32_t world_split(const char *line, struct moot_slice *args, uint32_t max)
{
    uint32_t argc = 0;
    while (*line != '\0') {
        size_t size = strcspn(line, " ");
        if (size > 0) {
            assert_true(argc < max);
            args[argc++] = moot_slice_make(line, size);
        }
        line += size + (line[size] == ' ');
    }
    return argc;
}

static inline void world_add(struct world *world, uint8_t flags, uint8_t database, const char *id,
                             const char *line)
{
    struct moot_slice args[64];
    uint32_t argc = world_split(line, args, 64);
    flags = (uint8_t)(flags | (id != NULL ? MOOT_ITEM_ID : 0));
    moot_item_put(&world->batch, flags, database, moot_slice_text(id == NULL ? "" : id), args,
                  argc);
}

/* All replies of the last run, one after the other, with "." for CR LF and "~" for "waits". */
static inline const char *world_replies(struct world *world)
{
    struct moot_reader reader = moot_reader_make(moot_buffer_slice(&world->replies));
    world->text.size = 0;
    while (moot_reader_left(&reader) > 0) {
        struct moot_slice reply = moot_get_bytes(&reader);
        assert_false(reader.failed);
        for (size_t i = 0; i < reply.size; i++) {
            if (reply.data[i] == '\r') {
                continue;
            }
            moot_put_u8(&world->text, reply.data[i] == '\n' ? '.' : reply.data[i]);
        }
        if (reply.size == 0) {
            moot_put_u8(&world->text, '~');
        }
    }
    moot_put_u8(&world->text, 0);
    return (const char *)world->text.data;
}

/* One command as one entry. */
static inline const char *world_write(struct world *world, const char *line)
{
    world->is_read = false;
    world_add(world, 0, 0, NULL, line);
    assert_int_equal(world_run(world), MOOT_OK);
    return world_replies(world);
}
static inline const char *world_write_id(struct world *world, const char *id, const char *line)
{
    world->is_read = false;
    world_add(world, 0, 0, id, line);
    assert_int_equal(world_run(world), MOOT_OK);
    return world_replies(world);
}
static inline const char *world_read(struct world *world, const char *line)
{
    world->is_read = true;
    world_add(world, 0, 0, NULL, line);
    assert_int_equal(world_run(world), MOOT_OK);
    return world_replies(world);
}

#endif
