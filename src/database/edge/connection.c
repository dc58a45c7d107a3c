#include "database/edge/connection.h"

#include "base/assert.h"
#include "base/memory.h"

enum { SLOTS_FIRST = 16 };

struct moot_connection *moot_connection_make(moot_connection_id id, struct moot_slice address)
{
    struct moot_connection *connection = moot_alloc_zero(sizeof(*connection));
    connection->id = id;
    connection->protocol = 2;
    size_t size = moot_min_u64(address.size, MOOT_PEERNAME_MAX - 1);
    if (size > 0) {
        memcpy(connection->address, address.data, size);
    }
    moot_resp_parser_init(&connection->parser);
    connection->slot_capacity = SLOTS_FIRST;
    connection->slots = moot_alloc_zero(sizeof(*connection->slots) * SLOTS_FIRST);
    return connection;
}

void moot_connection_destroy(struct moot_connection *connection)
{
    for (uint32_t i = 0; i < connection->slot_count; i++) {
        moot_free(
            connection->slots[(connection->slot_head + i) & (connection->slot_capacity - 1)].bytes);
    }
    moot_connection_forget_watches(connection);
    moot_block_release(connection->with_id);
    moot_resp_parser_deinit(&connection->parser);
    moot_buffer_deinit(&connection->in);
    moot_buffer_deinit(&connection->out);
    moot_buffer_deinit(&connection->queue);
    moot_buffer_deinit(&connection->left);
    moot_free(connection->watches);
    moot_free(connection->slots);
    moot_free(connection);
}

size_t moot_connection_bytes(const struct moot_connection *connection)
{
    const struct moot_resp_parser *parser = &connection->parser;
    return sizeof(*connection) + connection->in.capacity + connection->out.capacity +
           connection->queue.capacity + connection->left.capacity + connection->unsent +
           connection->slot_bytes + connection->slot_capacity * sizeof(*connection->slots) +
           connection->watch_bytes + connection->watch_capacity * sizeof(*connection->watches) +
           parser->arg_capacity * sizeof(*parser->args) + parser->inline_text.capacity;
}

void moot_connection_trim(struct moot_connection *connection)
{
    if (connection->in.size == 0) {
        moot_buffer_reset(&connection->in, 0);
    }
    if (connection->out.size == 0) {
        moot_buffer_reset(&connection->out, 0);
    }
    if (connection->queue.size == 0) {
        moot_buffer_reset(&connection->queue, 0);
    }
    if (connection->slot_count == 0 && connection->slot_capacity > SLOTS_FIRST) {
        moot_free(connection->slots);
        connection->slots = moot_alloc_zero(sizeof(*connection->slots) * SLOTS_FIRST);
        connection->slot_capacity = SLOTS_FIRST;
        connection->slot_head = 0;
    }
}

static struct moot_slot *slot_at(struct moot_connection *connection, uint32_t place)
{
    MOOT_ASSERT(place < connection->slot_count);
    return &connection->slots[(connection->slot_head + place) & (connection->slot_capacity - 1)];
}

uint64_t moot_connection_slot(struct moot_connection *connection)
{
    if (connection->slot_count == connection->slot_capacity) {
        uint32_t capacity = connection->slot_capacity * 2;
        struct moot_slot *slots = moot_alloc_zero(sizeof(*slots) * capacity);
        for (uint32_t i = 0; i < connection->slot_count; i++) {
            slots[i] = *slot_at(connection, i);
        }
        moot_free(connection->slots);
        connection->slots = slots;
        connection->slot_capacity = capacity;
        connection->slot_head = 0;
    }
    connection->slot_count++;
    *slot_at(connection, connection->slot_count - 1) = (struct moot_slot){0};
    return connection->slot_first + connection->slot_count - 1;
}

static void pop_ready(struct moot_connection *connection)
{
    while (connection->slot_count > 0) {
        struct moot_slot *slot = slot_at(connection, 0);
        if (!slot->ready) {
            return;
        }
        if (slot->bytes != NULL) {
            moot_buffer_append(&connection->out, slot->bytes, slot->size);
            moot_free(slot->bytes);
            connection->slot_bytes -= slot->size;
        }
        connection->slot_head = (connection->slot_head + 1) & (connection->slot_capacity - 1);
        connection->slot_first++;
        connection->slot_count--;
    }
}

void moot_connection_answer(struct moot_connection *connection, uint64_t sequence,
                            struct moot_slice reply)
{
    MOOT_ASSERT(sequence >= connection->slot_first);
    uint32_t place = (uint32_t)(sequence - connection->slot_first);
    struct moot_slot *slot = slot_at(connection, place);
    MOOT_ASSERT(!slot->ready);
    slot->ready = true;
    if (place == 0) {
        moot_buffer_append_slice(&connection->out, reply);
        pop_ready(connection);
        return;
    }
    connection->slot_bytes += reply.size;
    slot->size = reply.size;
    slot->bytes = moot_alloc(reply.size);
    if (reply.size > 0) {
        memcpy(slot->bytes, reply.data, reply.size);
    }
}

void moot_connection_forget_watches(struct moot_connection *connection)
{
    for (uint32_t i = 0; i < connection->watch_count; i++) {
        moot_block_release(connection->watches[i].key);
    }
    connection->watch_count = 0;
    connection->watch_bytes = 0;
}

void moot_connection_end_multi(struct moot_connection *connection)
{
    connection->in_multi = connection->multi_failed = connection->multi_writes = false;
    moot_buffer_reset(&connection->queue, 4096);
    connection->queued = 0;
    moot_connection_forget_watches(connection);
}

void moot_connection_reset(struct moot_connection *connection)
{
    moot_connection_end_multi(connection);
    connection->protocol = 2;
    connection->database = 0;
    connection->name[0] = '\0';
    moot_block_release(connection->with_id);
    connection->with_id = NULL;
    connection->has_with = false;
}
