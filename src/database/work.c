#include "database/work.h"

#include "base/assert.h"
#include "base/status.h"
#include "database/group/long_read.h"
#include "storage/snapshot.h"

/* ---- what is kept of an effect ---- */

static void copy_ranges(struct moot_work *work, const struct moot_range *ranges, uint32_t count)
{
    work->range_count = count;
    work->ranges = moot_arena_alloc(&work->arena, count * sizeof(*ranges));
    for (uint32_t i = 0; i < count; i++) {
        work->ranges[i].from = moot_arena_copy(&work->arena, ranges[i].from);
        work->ranges[i].to = moot_arena_copy(&work->arena, ranges[i].to);
    }
}

static void copy_fetch(struct moot_work *work, const struct moot_effect *effect)
{
    work->key_count = effect->fetch.key_count;
    work->keys = moot_arena_alloc(&work->arena, work->key_count * sizeof(*work->keys));
    for (uint32_t i = 0; i < work->key_count; i++) {
        work->keys[i] = moot_arena_copy(&work->arena, effect->fetch.keys[i]);
    }
    copy_ranges(work, effect->fetch.ranges, effect->fetch.range_count);
    work->reverse = moot_arena_alloc(&work->arena, work->range_count + 1);
    for (uint32_t i = 0; i < work->range_count; i++) {
        work->reverse[i] = effect->fetch.reverse[i];
    }
    work->limit = effect->fetch.range_limit;
}

static void copy_ingest(struct moot_work *work, const struct moot_effect *effect)
{
    work->step = effect->ingest.step;
    if (work->step == MOOT_INGEST_BEGIN) {
        copy_ranges(work, effect->ingest.ranges, effect->ingest.range_count);
    } else if (work->step == MOOT_INGEST_ADD) {
        work->chunk = moot_arena_copy(&work->arena, effect->ingest.chunk);
    } else if (work->step == MOOT_INGEST_COMMIT && effect->ingest.extra != NULL) {
        moot_buffer_append_slice(&work->extra.bytes,
                                 moot_buffer_slice(&effect->ingest.extra->bytes));
        work->extra.count = effect->ingest.extra->count;
    }
}

void moot_work_init(struct moot_work *work, const struct moot_effect *effect)
{
    *work = (struct moot_work){.kind = effect->kind, .ticket = effect->ticket};
    moot_arena_init(&work->arena);
    moot_batch_init(&work->extra);
    moot_buffer_init(&work->result);
    switch (effect->kind) {
    case MOOT_EFFECT_FLUSH:
        break;
    case MOOT_EFFECT_FETCH:
        copy_fetch(work, effect);
        break;
    case MOOT_EFFECT_INGEST:
        copy_ingest(work, effect);
        break;
    case MOOT_EFFECT_PIN_READ:
        copy_ranges(work, &effect->pin_read.range, 1);
        work->limit = effect->pin_read.bytes_max;
        break;
    case MOOT_EFFECT_LONG_READ:
        work->long_read = moot_long_read_copy(&effect->long_read, &work->arena);
        break;
    default:
        MOOT_UNREACHABLE();
    }
}

void moot_work_deinit(struct moot_work *work)
{
    moot_arena_deinit(&work->arena);
    moot_batch_deinit(&work->extra);
    moot_buffer_deinit(&work->result);
}

bool moot_work_is_commit(const struct moot_work *work)
{
    return work->kind == MOOT_EFFECT_INGEST && work->step == MOOT_INGEST_COMMIT;
}

/* ---- doing it ---- */

static int fetch(const struct moot_work *work, struct moot_store *store)
{
    int status = MOOT_OK;
    for (uint32_t i = 0; i < work->key_count && status == MOOT_OK; i++) {
        status = store->ops->fetch(store, work->keys[i]);
        if (status == MOOT_ENOTFOUND) { /* It is known now that there is nothing. */
            status = MOOT_OK;
        }
    }
    for (uint32_t i = 0; i < work->range_count && status == MOOT_OK; i++) {
        status = store->ops->fetch_range(store, work->ranges[i], work->reverse[i], work->limit);
        if (status == MOOT_ENOTFOUND) {
            status = MOOT_OK;
        }
    }
    return status;
}

static int ingest(const struct moot_work *work, struct moot_store *store)
{
    switch (work->step) {
    case MOOT_INGEST_BEGIN:
        return store->ops->ingest_begin(store, work->ranges, work->range_count);
    case MOOT_INGEST_ADD: {
        struct moot_snapshot_reader reader;
        int status = moot_snapshot_read(&reader, work->chunk);
        struct moot_slice key, value;
        while (status == MOOT_OK && moot_snapshot_next(&reader, &key, &value)) {
            status = store->ops->ingest_add(store, key, value);
        }
        if (status == MOOT_OK && reader.failed) {
            status = MOOT_FAIL(MOOT_ECORRUPT);
        }
        return status;
    }
    case MOOT_INGEST_COMMIT:
        return store->ops->ingest_commit(store, &work->extra);
    case MOOT_INGEST_ABORT:
        store->ops->ingest_abort(store);
        return MOOT_OK;
    }
    MOOT_UNREACHABLE();
}

void moot_work_perform(struct moot_work *work, struct moot_store *store, struct moot_store_pin *pin,
                       bool (*is_over)(void *over), void *over)
{
    switch (work->kind) {
    case MOOT_EFFECT_FETCH:
        work->status = fetch(work, store);
        break;
    case MOOT_EFFECT_FLUSH:
        work->status = store->ops->flush(store);
        break;
    case MOOT_EFFECT_INGEST:
        work->status = ingest(work, store);
        break;
    case MOOT_EFFECT_PIN_READ:
        MOOT_ASSERT(pin != NULL);
        work->status = moot_snapshot_write(store, pin, work->ranges[0], work->limit, &work->result);
        break;
    case MOOT_EFFECT_LONG_READ:
        MOOT_ASSERT(pin != NULL);
        work->status = moot_long_read_run(store, pin, &work->long_read, is_over, over, &work->index,
                                          &work->result);
        break;
    default:
        MOOT_UNREACHABLE();
    }
}

struct moot_input moot_work_answer(const struct moot_work *work)
{
    enum moot_input_kind kind = work->kind == MOOT_EFFECT_FETCH       ? MOOT_INPUT_FETCHED
                                : work->kind == MOOT_EFFECT_FLUSH     ? MOOT_INPUT_FLUSHED
                                : work->kind == MOOT_EFFECT_INGEST    ? MOOT_INPUT_INGESTED
                                : work->kind == MOOT_EFFECT_LONG_READ ? MOOT_INPUT_LONG_READ
                                                                      : MOOT_INPUT_CHUNK;
    return (struct moot_input){.kind = kind,
                               .status = work->status,
                               .amount = work->index,
                               .ticket = work->ticket,
                               .bytes = moot_buffer_slice(&work->result)};
}
