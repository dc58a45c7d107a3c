/* Anything that clients may send to a whole node, which is a cluster of one: several connections,
 * torn anywhere, with time between. Every connection is answered in whole replies, the node's
 * invariants hold after each turn, and it never stops by itself.
 *
 * The input: pieces, each one byte that says whose turn it is and what happens (bits 0-1 the
 * connection, 2-3: bytes, half closed, closed and opened anew, time passes) and, for bytes, one
 * that says how many follow. */
#include "base/assert.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/slice.h"
#include "base/status.h"
#include "database/group/long_read.h"
#include "database/node.h"
#include "sim/disk_sim.h"
#include "storage/snapshot.h"
#include "storage/store_memory.h"
#include "wire/resp.h"

enum { CONNECTIONS = 4, INPUTS_MAX = 256, TURNS_MAX = 400, PIECES_MAX = 64 };

struct client {
    moot_connection_id id;
    struct moot_buffer replies;
    bool open, ended; /* Ended: it sends no more. */
};

struct world {
    struct moot_node *node;
    struct moot_disk_sim *disk;
    struct moot_store *store;
    struct moot_store_pin *pin; /* Of long reads, within the effects of a turn. */
    struct moot_arena arena;    /* Of inputs that wait. */
    struct moot_input inputs[INPUTS_MAX];
    size_t input_count;
    struct moot_now now;
    struct moot_instant deadline;
    struct client clients[CONNECTIONS];
    moot_connection_id next_id;
};

static const struct moot_journal_options JOURNAL = {MOOT_JOURNAL_BATCH_BYTES_MAX * 2, 4};

static void give(struct world *world, struct moot_input input)
{
    input.bytes = moot_arena_copy(&world->arena, input.bytes);
    MOOT_ASSERT(world->input_count < INPUTS_MAX);
    world->inputs[world->input_count++] = input;
}

static struct client *client_of(struct world *world, moot_connection_id id)
{
    for (int i = 0; i < CONNECTIONS; i++) {
        if (world->clients[i].open && world->clients[i].id == id) {
            return &world->clients[i];
        }
    }
    return NULL; /* Closed meanwhile. */
}

/* What a client has received is a row of whole replies. */
static void close_client(struct client *client)
{
    struct moot_slice left = moot_buffer_slice(&client->replies);
    while (left.size > 0) {
        size_t size;
        int status = moot_resp_skip(left, &size);
        MOOT_ASSERT(status == MOOT_OK);
        left = moot_slice_make(left.data + size, left.size - size);
    }
    moot_buffer_deinit(&client->replies);
    client->open = false;
}

static void open_client(struct world *world, struct client *client)
{
    client->id = ++world->next_id;
    client->open = true;
    client->ended = false;
    moot_buffer_init(&client->replies);
    struct moot_input input = {.kind = MOOT_INPUT_CLIENT_OPENED, .connection = client->id};
    input.bytes = MOOT_SLICE_LITERAL("127.0.0.1:5");
    give(world, input);
}

static void journal(struct world *world, const struct moot_effect *effect)
{
    size_t size = effect->journal.bytes.size;
    void *aligned = moot_alloc_aligned(MOOT_JOURNAL_ALIGN, size);
    memcpy(aligned, effect->journal.bytes.data, size);
    int status = moot_journal_write_now(moot_disk_sim_disk(world->disk), JOURNAL.segment_bytes,
                                        &effect->journal.where, aligned, size);
    MOOT_ASSERT(status == MOOT_OK);
    moot_free(aligned);
    give(world,
         (struct moot_input){.kind = MOOT_INPUT_DURABLE, .ticket = effect->journal.where.batch});
}

static void fetch(struct world *world, const struct moot_effect *effect)
{
    const struct moot_store_ops *ops = world->store->ops;
    for (uint32_t i = 0; i < effect->fetch.key_count; i++) {
        (void)ops->fetch(world->store, effect->fetch.keys[i]);
    }
    for (uint32_t i = 0; i < effect->fetch.range_count; i++) {
        (void)ops->fetch_range(world->store, effect->fetch.ranges[i], effect->fetch.reverse[i],
                               effect->fetch.range_limit);
    }
    give(world, (struct moot_input){.kind = MOOT_INPUT_FETCHED, .ticket = effect->ticket});
}

static void long_read(struct world *world, const struct moot_effect *effect)
{
    struct moot_input input = {.kind = MOOT_INPUT_LONG_READ, .ticket = effect->ticket};
    struct moot_buffer replies;
    moot_buffer_init(&replies);
    input.status = moot_long_read_run(world->store, world->pin, &effect->long_read, NULL, NULL,
                                      &input.amount, &replies);
    input.bytes = moot_buffer_slice(&replies);
    give(world, input);
    moot_buffer_deinit(&replies);
}

static void perform(struct world *world, const struct moot_effect *effect)
{
    struct client *client;
    switch (effect->kind) {
    case MOOT_EFFECT_JOURNAL:
        journal(world, effect);
        return;
    case MOOT_EFFECT_STORE_WRITE: {
        int status = world->store->ops->write(world->store, effect->batch);
        MOOT_ASSERT(status == MOOT_OK);
        return;
    }
    case MOOT_EFFECT_FLUSH:
        give(world, (struct moot_input){.kind = MOOT_INPUT_FLUSHED,
                                        .ticket = effect->ticket,
                                        .status = world->store->ops->flush(world->store)});
        return;
    case MOOT_EFFECT_FETCH:
        fetch(world, effect);
        return;
    case MOOT_EFFECT_REPLY:
        client = client_of(world, effect->client.connection);
        if (client != NULL) {
            moot_buffer_append_slice(&client->replies, effect->client.bytes);
        }
        return;
    case MOOT_EFFECT_CLIENT_CLOSE:
        client = client_of(world, effect->client.connection);
        if (client != NULL) {
            close_client(client);
        }
        give(world, (struct moot_input){.kind = MOOT_INPUT_CLIENT_CLOSED,
                                        .connection = effect->client.connection});
        return;
    case MOOT_EFFECT_STOP:
        MOOT_UNREACHABLE();
    case MOOT_EFFECT_PIN: /* For long reads; there is nobody to send a snapshot to. */
        MOOT_ASSERT(world->pin == NULL);
        world->pin = world->store->ops->pin(world->store);
        return;
    case MOOT_EFFECT_LONG_READ:
        long_read(world, effect);
        return;
    case MOOT_EFFECT_UNPIN:
        world->store->ops->unpin(world->store, world->pin);
        world->pin = NULL;
        return;
    case MOOT_EFFECT_PIN_READ:
    case MOOT_EFFECT_INGEST:
        MOOT_UNREACHABLE();
    default:
        return;
    }
}

static void turn(struct world *world)
{
    struct moot_input inputs[INPUTS_MAX];
    size_t count = world->input_count;
    memcpy(inputs, world->inputs, count * sizeof(inputs[0]));
    world->input_count = 0;
    struct moot_effects effects;
    moot_node_turn(world->node, inputs, count, world->now, &effects);
    world->deadline = effects.deadline;
    for (size_t i = 0; i < effects.count; i++) {
        perform(world, &effects.items[i]);
    }
    moot_node_check(world->node);
}

/* Until nobody has anything to do before `ms` are over. */
static void run(struct world *world, uint64_t ms)
{
    struct moot_instant end = moot_instant_add(world->now.instant, moot_ms(ms));
    for (int i = 0; i < TURNS_MAX; i++) {
        if (world->input_count == 0) {
            bool idle = moot_instant_before(end, world->deadline);
            struct moot_instant next = idle ? end : world->deadline;
            if (moot_instant_before(world->now.instant, next)) {
                world->now.wall_ms += (next.ns - world->now.instant.ns) / MOOT_MSEC_NS;
                world->now.instant = next;
            }
            if (idle) {
                return;
            }
        }
        turn(world);
    }
}

static struct moot_identity alone(void)
{
    struct moot_identity identity = {.node = 1, .initial_count = 1};
    identity.self = (struct moot_address){1, "127.0.0.1:17001", "127.0.0.1:7001"};
    identity.initial[0] = identity.self;
    return identity;
}

static void open_world(struct world *world)
{
    static const struct moot_store_memory_options memory = {.seed = 1, .wouldblock_one_in = 4};
    struct moot_identity identity = alone();
    *world = (struct world){.now = {{1000 * MOOT_SEC_NS}, 1700000000000}};
    moot_arena_init(&world->arena);
    world->disk = moot_disk_sim_make(1);
    world->store = moot_store_memory_open(&memory);
    struct moot_node_options options = {.disk = moot_disk_sim_disk(world->disk),
                                        .store = world->store,
                                        .format = &identity,
                                        .now = world->now,
                                        .seed = 3,
                                        .recent_bytes = 64 * 1024,
                                        .read_elements = 3,
                                        .long_read_one_in = 4,
                                        .journal = JOURNAL};
    char why[256];
    int status = moot_node_open(&options, &world->node, why);
    MOOT_ASSERT(status == MOOT_OK);
    world->deadline = world->now.instant;
    for (int i = 0; i < CONNECTIONS; i++) {
        open_client(world, &world->clients[i]);
    }
    run(world, 3 * MOOT_ELECTION_MS); /* It leads by then. */
}

static void close_world(struct world *world)
{
    run(world, 100);
    for (int i = 0; i < CONNECTIONS; i++) {
        if (world->clients[i].open) {
            close_client(&world->clients[i]);
        }
    }
    moot_node_close(world->node);
    world->store->ops->close(world->store);
    moot_disk_sim_free(world->disk);
    moot_arena_deinit(&world->arena);
}

/* One piece; what is left of the input. */
static struct moot_slice piece(struct world *world, struct moot_slice left)
{
    uint8_t what = left.data[0];
    struct client *client = &world->clients[what % CONNECTIONS];
    struct moot_input input = {.kind = MOOT_INPUT_CLIENT_BYTES, .connection = client->id};
    left = moot_slice_make(left.data + 1, left.size - 1);
    if (!client->open) {
        open_client(world, client);
        input.connection = client->id;
    }
    switch (what >> 2 & 3) {
    case 0: {
        size_t size = left.size == 0 ? 0 : left.data[0];
        size = size < left.size ? size : left.size == 0 ? 0 : left.size - 1;
        if (size > 0) {
            input.bytes = moot_slice_make(left.data + 1, size);
            if (!client->ended) {
                give(world, input);
            }
            left = moot_slice_make(left.data + 1 + size, left.size - 1 - size);
        }
        break;
    }
    case 1:
        input.kind = MOOT_INPUT_CLIENT_ENDED;
        if (!client->ended) {
            give(world, input);
        }
        client->ended = true;
        break;
    case 2:
        close_client(client);
        input.kind = MOOT_INPUT_CLIENT_CLOSED;
        give(world, input);
        break;
    default:
        run(world, 1 + (what >> 4) * 40);
    }
    if ((what & 0x80) != 0) {
        run(world, 0);
    }
    return left;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *world = moot_alloc(sizeof(*world));
    open_world(world);
    struct moot_slice left = {data, size};
    for (int i = 0; i < PIECES_MAX && left.size > 0; i++) {
        left = piece(world, left);
    }
    close_world(world);
    moot_free(world);
    return 0;
}
