/* Batches of items, as peers and the log give them: whatever the bytes, the engine answers each
 * item or refuses the batch as a whole, and the same bytes give the same result on a second engine
 * whose store makes it start over. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/slice.h"
#include "base/status.h"
#include "database/execute/engine.h"
#include "storage/store_memory.h"

struct outcome {
    int status;
    uint64_t replies, chain, digest, contents;
};

static void fetch(struct moot_store *store, struct moot_view *view)
{
    const struct moot_view_misses *misses = moot_view_misses(view);
    MOOT_ASSERT(misses->key_count + misses->range_count > 0);
    for (uint32_t i = 0; i < misses->key_count; i++) {
        (void)store->ops->fetch(store, misses->keys[i]);
    }
    for (uint32_t i = 0; i < misses->range_count; i++) {
        (void)store->ops->fetch_range(store, misses->ranges[i], misses->range_reverse[i], 1000);
    }
    moot_view_forget_misses(view);
}

/* Every item has one reply, and nothing is left over. */
static void check_replies(struct moot_slice batch, struct moot_slice replies)
{
    struct moot_reader items = moot_reader_make(batch), answers = moot_reader_make(replies);
    struct moot_item item;
    while (moot_item_next(&items, &item)) {
        (void)moot_get_bytes(&answers);
    }
    MOOT_ASSERT(!items.failed);
    MOOT_ASSERT(!answers.failed);
    MOOT_ASSERT(moot_reader_left(&answers) == 0);
}

/* The same batch as two entries: the second meets what the first left. */
static struct outcome run_twice(struct moot_slice batch, uint32_t wouldblock_one_in)
{
    struct moot_store_memory_options options = {1, wouldblock_one_in};
    struct moot_store *store = moot_store_memory_open(&options);
    struct moot_engine *engine = moot_engine_make_sized(store, MOOT_GROUP_DB0, 0);
    struct moot_view *view = moot_engine_view(engine);
    struct moot_buffer replies;
    struct moot_batch writes;
    struct outcome outcome = {0};
    moot_buffer_init(&replies);
    moot_batch_init(&writes);
    for (moot_index index = 1; index <= 2; index++) {
        struct moot_engine_run run = {.index = index,
                                      .stamp = {moot_hlc_pack(1000000 + index, 0), 0},
                                      .now_ms = 1000000 + index,
                                      .seed = 7,
                                      .batch = batch,
                                      .replies = &replies};
        replies.size = 0;
        while ((outcome.status = moot_engine_run(engine, &run)) == MOOT_EWOULDBLOCK) {
            fetch(store, view);
        }
        MOOT_ASSERT(outcome.status == MOOT_OK || outcome.status == MOOT_EINVALID);
        if (outcome.status == MOOT_OK) {
            check_replies(batch, moot_buffer_slice(&replies));
        }
        outcome.replies = moot_hash64(moot_buffer_slice(&replies), outcome.replies);
        outcome.chain = moot_hash_mix(outcome.chain, moot_view_take_hash(view));
        moot_batch_reset(&writes);
        moot_view_flush(view, &writes);
        int status = store->ops->write(store, &writes);
        MOOT_ASSERT(status == MOOT_OK);
    }
    outcome.digest = moot_engine_shared(engine)->contents_digest;
    outcome.contents = moot_store_memory_digest(store);
    moot_engine_destroy(engine);
    store->ops->close(store);
    moot_buffer_deinit(&replies);
    moot_batch_deinit(&writes);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct moot_slice batch = {data, size};
    struct outcome plain = run_twice(batch, 0), blocked = run_twice(batch, 2);
    MOOT_ASSERT(plain.status == blocked.status);
    MOOT_ASSERT(plain.replies == blocked.replies);
    MOOT_ASSERT(plain.chain == blocked.chain);
    MOOT_ASSERT(plain.digest == blocked.digest);
    MOOT_ASSERT(plain.contents == blocked.contents);
    return 0;
}
