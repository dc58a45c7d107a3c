#include "sim/solo.h"

#include "base/assert.h"
#include "base/status.h"
#include "database/group/long_read.h"
#include "sim/disk_sim.h"
#include "storage/snapshot.h"
#include "storage/store_memory.h"

/* Of memory, not of a disk: small segments, so that tests pass through compaction too. */
enum {
    SEGMENT_BYTES = 16 << 20,
    SEGMENTS_MAX = 4,
    INPUTS_MAX = 65536,
    TURNS_MAX = 100000,
    PINS = 16
};

struct queue {
    struct moot_arena arena;
    struct moot_input *items;
    size_t count, capacity;
};

struct solo_pin {
    moot_ticket ticket; /* 0: free. */
    struct moot_store_pin *pin;
};

struct moot_solo {
    struct moot_solo_calls calls;
    struct moot_identity identity;
    struct moot_disk_sim *disk;
    struct moot_store *store;
    struct moot_node *node;
    struct moot_instant deadline;
    struct queue queues[2]; /* One fills while the other is turned over. */
    uint32_t filling;
    struct solo_pin pins[PINS];
    struct moot_buffer scratch;
    void *aligned; /* The journal's bytes, where its disk wants them. */
    size_t aligned_size;
    bool stopped;
};

static void queue_init(struct queue *queue)
{
    moot_arena_init(&queue->arena);
    queue->items = NULL;
    queue->count = queue->capacity = 0;
}

static void queue_deinit(struct queue *queue)
{
    moot_arena_deinit(&queue->arena);
    moot_free(queue->items);
}

void moot_solo_input(struct moot_solo *solo, const struct moot_input *input)
{
    struct queue *queue = &solo->queues[solo->filling];
    MOOT_ASSERT(queue->count < INPUTS_MAX);
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity == 0 ? 64 : 2 * queue->capacity;
        queue->items = moot_realloc(queue->items, queue->capacity * sizeof(*queue->items));
    }
    queue->items[queue->count] = *input;
    if (input->bytes.size > 0) {
        queue->items[queue->count].bytes = moot_arena_copy(&queue->arena, input->bytes);
    }
    queue->count++;
}

static void answer(struct moot_solo *solo, enum moot_input_kind kind, moot_ticket ticket,
                   int status, struct moot_slice bytes)
{
    moot_solo_input(solo, &(struct moot_input){
                              .kind = kind, .ticket = ticket, .status = status, .bytes = bytes});
}

static void do_journal(struct moot_solo *solo, const struct moot_effect *effect)
{
    struct moot_slice bytes = effect->journal.bytes;
    if (solo->aligned_size < bytes.size) {
        moot_free(solo->aligned);
        solo->aligned = moot_alloc_aligned(MOOT_JOURNAL_ALIGN, bytes.size);
        solo->aligned_size = bytes.size;
    }
    memcpy(solo->aligned, bytes.data, bytes.size);
    int status = moot_journal_write_now(moot_disk_sim_disk(solo->disk), SEGMENT_BYTES,
                                        &effect->journal.where, solo->aligned, bytes.size);
    MOOT_ASSERT(status == 0); /* Memory does not fail. */
    answer(solo, MOOT_INPUT_DURABLE, effect->journal.where.batch, 0, (struct moot_slice){NULL, 0});
}

static void do_store_write(struct moot_solo *solo, const struct moot_effect *effect)
{
    int status = solo->store->ops->write(solo->store, effect->batch);
    MOOT_ASSERT(status == 0);
}

static void do_flush(struct moot_solo *solo, const struct moot_effect *effect)
{
    answer(solo, MOOT_INPUT_FLUSHED, effect->ticket, solo->store->ops->flush(solo->store),
           (struct moot_slice){NULL, 0});
}

/* This store never answers WOULDBLOCK, so nobody asks; the answer is right all the same. */
static void do_fetch(struct moot_solo *solo, const struct moot_effect *effect)
{
    answer(solo, MOOT_INPUT_FETCHED, effect->ticket, 0, (struct moot_slice){NULL, 0});
}

static struct solo_pin *find_pin(struct moot_solo *solo, moot_ticket ticket)
{
    for (uint32_t i = 0; i < PINS; i++) {
        if (solo->pins[i].ticket == ticket) {
            return &solo->pins[i];
        }
    }
    return NULL;
}

static void do_pin(struct moot_solo *solo, const struct moot_effect *effect)
{
    struct solo_pin *slot = find_pin(solo, 0);
    MOOT_ASSERT(slot != NULL && effect->ticket != 0);
    *slot = (struct solo_pin){effect->ticket, solo->store->ops->pin(solo->store)};
}

static void do_unpin(struct moot_solo *solo, const struct moot_effect *effect)
{
    struct solo_pin *slot = find_pin(solo, effect->ticket);
    MOOT_ASSERT(slot != NULL);
    solo->store->ops->unpin(solo->store, slot->pin);
    *slot = (struct solo_pin){0};
}

static void do_pin_read(struct moot_solo *solo, const struct moot_effect *effect)
{
    struct solo_pin *slot = find_pin(solo, effect->pin_read.pin);
    MOOT_ASSERT(slot != NULL);
    moot_buffer_reset(&solo->scratch, SIZE_MAX);
    int status = moot_snapshot_write(solo->store, slot->pin, effect->pin_read.range,
                                     effect->pin_read.bytes_max, &solo->scratch);
    answer(solo, MOOT_INPUT_CHUNK, effect->ticket, status, moot_buffer_slice(&solo->scratch));
}

/* The pin is used at once, so it may go as soon as it is told to. */
static void do_long_read(struct moot_solo *solo, const struct moot_effect *effect)
{
    struct solo_pin *slot = find_pin(solo, effect->long_read.pin);
    MOOT_ASSERT(slot != NULL);
    moot_buffer_reset(&solo->scratch, SIZE_MAX);
    moot_index index;
    int status = moot_long_read_run(solo->store, slot->pin, &effect->long_read, NULL, NULL, &index,
                                    &solo->scratch);
    moot_solo_input(solo, &(struct moot_input){.kind = MOOT_INPUT_LONG_READ,
                                               .ticket = effect->ticket,
                                               .status = status,
                                               .amount = index,
                                               .bytes = moot_buffer_slice(&solo->scratch)});
}

static int ingest_chunk(struct moot_store *store, struct moot_slice chunk)
{
    struct moot_snapshot_reader reader;
    struct moot_slice key, value;
    int status = moot_snapshot_read(&reader, chunk);
    while (status == 0 && moot_snapshot_next(&reader, &key, &value)) {
        status = store->ops->ingest_add(store, key, value);
    }
    return status;
}

static void do_ingest(struct moot_solo *solo, const struct moot_effect *effect)
{
    struct moot_store *store = solo->store;
    int status = 0;
    switch (effect->ingest.step) {
    case MOOT_INGEST_BEGIN:
        status = store->ops->ingest_begin(store, effect->ingest.ranges, effect->ingest.range_count);
        break;
    case MOOT_INGEST_ADD:
        status = ingest_chunk(store, effect->ingest.chunk);
        break;
    case MOOT_INGEST_COMMIT:
        status = store->ops->ingest_commit(store, effect->ingest.extra);
        break;
    case MOOT_INGEST_ABORT:
        store->ops->ingest_abort(store);
        break;
    }
    answer(solo, MOOT_INPUT_INGESTED, effect->ticket, status, (struct moot_slice){NULL, 0});
}

static void do_send(struct moot_solo *solo, const struct moot_effect *effect)
{
    moot_buffer_reset(&solo->scratch, SIZE_MAX);
    for (uint32_t i = 0; i < effect->send.part_count; i++) {
        moot_buffer_append_slice(&solo->scratch, effect->send.parts[i].bytes);
    }
    solo->calls.send(solo->calls.context, effect->send.node, moot_buffer_slice(&solo->scratch));
}

static void do_reply(struct moot_solo *solo, const struct moot_effect *effect)
{
    solo->calls.reply(solo->calls.context, effect->client.connection, effect->client.bytes);
}

static void do_close(struct moot_solo *solo, const struct moot_effect *effect)
{
    moot_connection_id connection = effect->client.connection;
    moot_solo_input(
        solo, &(struct moot_input){.kind = MOOT_INPUT_CLIENT_CLOSED, .connection = connection});
    solo->calls.closed(solo->calls.context, connection);
}

static void do_log(struct moot_solo *solo, const struct moot_effect *effect)
{
    solo->calls.say(solo->calls.context, effect->log.text);
}

static void do_stop(struct moot_solo *solo, const struct moot_effect *effect)
{
    solo->stopped = true;
    solo->calls.stop(solo->calls.context, effect->status, effect->log.text);
}

static void do_nothing(struct moot_solo *solo, const struct moot_effect *effect)
{
    (void)solo; /* Links are the caller's; clients are few and read at once. */
    (void)effect;
}

typedef void (*perform_effect)(struct moot_solo *solo, const struct moot_effect *effect);
static const perform_effect PERFORMERS[MOOT_EFFECT_KINDS] = {
    [MOOT_EFFECT_JOURNAL] = do_journal,
    [MOOT_EFFECT_STORE_WRITE] = do_store_write,
    [MOOT_EFFECT_FLUSH] = do_flush,
    [MOOT_EFFECT_FETCH] = do_fetch,
    [MOOT_EFFECT_PIN] = do_pin,
    [MOOT_EFFECT_UNPIN] = do_unpin,
    [MOOT_EFFECT_PIN_READ] = do_pin_read,
    [MOOT_EFFECT_INGEST] = do_ingest,
    [MOOT_EFFECT_LONG_READ] = do_long_read,
    [MOOT_EFFECT_SEND] = do_send,
    [MOOT_EFFECT_PEER] = do_nothing,
    [MOOT_EFFECT_REPLY] = do_reply,
    [MOOT_EFFECT_CLIENT_PAUSE] = do_nothing,
    [MOOT_EFFECT_CLIENT_CLOSE] = do_close,
    [MOOT_EFFECT_LOG] = do_log,
    [MOOT_EFFECT_STOP] = do_stop,
};

void moot_solo_run(struct moot_solo *solo, struct moot_now now)
{
    bool due = !moot_instant_before(now.instant, solo->deadline);
    if (due) {
        moot_solo_input(solo, &(struct moot_input){.kind = MOOT_INPUT_TICK});
    }
    uint32_t turns = 0;
    while (!solo->stopped && solo->queues[solo->filling].count > 0) {
        MOOT_ASSERT(++turns < TURNS_MAX);
        struct queue *queue = &solo->queues[solo->filling];
        solo->filling = 1 - solo->filling;
        struct moot_effects effects;
        moot_node_turn(solo->node, queue->items, queue->count, now, &effects);
        solo->deadline = effects.deadline;
        for (size_t i = 0; i < effects.count && !solo->stopped; i++) {
            MOOT_ASSERT(effects.items[i].kind < MOOT_EFFECT_KINDS);
            PERFORMERS[effects.items[i].kind](solo, &effects.items[i]);
        }
        queue->count = 0;
        moot_arena_reset(&queue->arena);
    }
}

struct moot_instant moot_solo_deadline(const struct moot_solo *solo) { return solo->deadline; }

uint64_t moot_solo_incarnation(const struct moot_solo *solo)
{
    return moot_node_incarnation(solo->node);
}

int moot_solo_open(const struct moot_solo_options *options, struct moot_solo **out, char why[256])
{
    struct moot_solo *solo = moot_alloc_zero(sizeof(*solo));
    solo->calls = options->calls;
    solo->identity = *options->identity;
    solo->disk = moot_disk_sim_make(options->seed);
    solo->store = moot_store_memory_open(&(struct moot_store_memory_options){options->seed, 0});
    queue_init(&solo->queues[0]);
    queue_init(&solo->queues[1]);
    moot_buffer_init(&solo->scratch);
    struct moot_node_options node = {
        .disk = moot_disk_sim_disk(solo->disk),
        .store = solo->store,
        .format = &solo->identity,
        .now = options->now,
        .seed = options->seed,
        .journal = {.segment_bytes = SEGMENT_BYTES, .segments_max = SEGMENTS_MAX}};
    int status = moot_node_open(&node, &solo->node, why);
    if (status != 0) {
        moot_solo_close(solo);
        *out = NULL;
        return status;
    }
    solo->deadline = options->now.instant;
    *out = solo;
    return MOOT_OK;
}

void moot_solo_close(struct moot_solo *solo)
{
    if (solo->node != NULL) {
        moot_node_close(solo->node);
    }
    for (uint32_t i = 0; i < PINS; i++) {
        if (solo->pins[i].ticket != 0) {
            solo->store->ops->unpin(solo->store, solo->pins[i].pin);
        }
    }
    solo->store->ops->close(solo->store);
    moot_disk_sim_free(solo->disk);
    queue_deinit(&solo->queues[0]);
    queue_deinit(&solo->queues[1]);
    moot_buffer_deinit(&solo->scratch);
    moot_free(solo->aligned);
    moot_free(solo);
}
