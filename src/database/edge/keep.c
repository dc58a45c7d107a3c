/* Connections that outlive the brain: what one brain says of them, and the next one reads.
 *
 * When a node's brain is opened again within its process, its clients' sockets stay. At rest every
 * command that was begun has its answer, but for those who wait for an element of a list: they wait
 * on under their old arrival, as after a fail-over. What is not parsed yet, a transaction that is
 * being queued, and watched keys with their stamps go along: stamps are the group's, not the
 * brain's. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/memory.h"
#include "database/edge/edge.h"
#include "database/execute/engine.h"

enum { KEEP_VERSION = 1 };

enum keep_flag {
    KEEP_ENDED = 1,
    KEEP_MULTI = 2,
    KEEP_MULTI_FAILED = 4,
    KEEP_NONCE = 8,
    KEEP_WITH = 16,
    KEEP_WAITS = 32,
    KEEP_POPS_LEFT = 64,
    KEEP_MULTI_WRITES = 128,
};

void moot_edge_rest(struct moot_edge *edge, bool on)
{
    MOOT_ASSERT(edge->is_resting != on);
    edge->is_resting = on;
    for (size_t i = 0; !on && i < edge->table_capacity; i++) {
        if (edge->table[i] != NULL) {
            edge__want_pump(edge, edge->table[i]);
        }
    }
}

bool moot_edge_is_at_rest(const struct moot_edge *edge)
{
    MOOT_ASSERT(edge->is_resting);
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        const struct moot_stream_edge *stream = &edge->streams[group];
        if (stream->sent_count > 0 || stream->writes.ref_count > 0 || stream->reads.ref_count > 0) {
            return false;
        }
    }
    for (size_t i = 0; i < edge->blocked_count; i++) {
        if (edge->blocked[i].retrying) {
            return false;
        }
    }
    for (size_t i = 0; i < edge->table_capacity; i++) {
        if (edge->table[i] != NULL && edge->table[i]->left.size > 0) {
            return false;
        }
    }
    return true;
}

static const struct moot_blocked *wait_of(const struct moot_edge *edge,
                                          const struct moot_connection *connection)
{
    for (size_t i = 0; connection->waits && i < edge->blocked_count; i++) {
        if (edge->blocked[i].connection == connection->id) {
            return &edge->blocked[i];
        }
    }
    return NULL;
}

/* ---- one brain ---- */

static void put_text(struct moot_buffer *out, const char *text)
{
    moot_put_bytes(out, moot_slice_text(text));
}

static void put_stamp(struct moot_buffer *out, struct moot_stamp stamp)
{
    moot_put_u64(out, stamp.time);
    moot_put_u32(out, stamp.ordinal);
}

static uint8_t flags_of(const struct moot_connection *connection, const struct moot_blocked *waits)
{
    uint32_t flags = 0;
    flags |= connection->has_ended ? KEEP_ENDED : 0;
    flags |= connection->in_multi ? KEEP_MULTI : 0;
    flags |= connection->multi_failed ? KEEP_MULTI_FAILED : 0;
    flags |= connection->multi_writes ? KEEP_MULTI_WRITES : 0;
    flags |= connection->has_nonce ? KEEP_NONCE : 0;
    flags |= connection->with_id != NULL ? KEEP_WITH : 0;
    flags |= waits != NULL ? KEEP_WAITS : 0;
    flags |= waits != NULL && waits->pops_left ? KEEP_POPS_LEFT : 0;
    return (uint8_t)flags;
}

static void put_state(struct moot_buffer *out, const struct moot_connection *connection)
{
    moot_put_u8(out, connection->multi_database);
    moot_put_varint(out, connection->queued);
    moot_put_bytes(out, moot_buffer_slice(&connection->queue));
    moot_put_varint(out, connection->watch_count);
    for (uint32_t i = 0; i < connection->watch_count; i++) {
        const struct moot_watch *watch = &connection->watches[i];
        moot_put_u8(out, watch->database);
        moot_put_bytes(out, moot_block_slice(watch->key));
        put_stamp(out, watch->stamp);
    }
    if (connection->has_nonce) {
        moot_buffer_append(out, connection->nonce, sizeof(connection->nonce));
    }
    if (connection->with_id != NULL) {
        moot_put_bytes(out, moot_block_slice(connection->with_id));
    }
}

static void put_connection(struct moot_buffer *out, const struct moot_connection *connection,
                           const struct moot_blocked *waits)
{
    moot_put_u8(out, KEEP_VERSION);
    moot_put_varint(out, connection->number);
    put_text(out, connection->address);
    put_text(out, connection->name);
    put_text(out, connection->library);
    put_text(out, connection->library_version);
    moot_put_varint(out, connection->opened.ns);
    moot_put_varint(out, connection->active.ns);
    put_text(out, connection->command == NULL ? "" : connection->command);
    moot_put_u8(out, connection->protocol);
    moot_put_u8(out, connection->database);
    moot_put_u8(out, flags_of(connection, waits));
    moot_put_bytes(out, moot_buffer_slice(&connection->in));
    put_state(out, connection);
    if (waits != NULL) {
        moot_put_u8(out, waits->database);
        moot_put_u8(out, waits->protocol);
        put_stamp(out, waits->arrival);
        moot_put_u64(out, waits->deadline.ns);
        moot_put_bytes(out, moot_block_slice(waits->args));
    }
}

void moot_edge_keep(struct moot_edge *edge)
{
    for (size_t i = 0; i < edge->table_capacity; i++) {
        const struct moot_connection *connection = edge->table[i];
        if (connection == NULL || connection->is_closed || connection->is_closing) {
            continue;
        }
        const struct moot_blocked *waits = wait_of(edge, connection);
        MOOT_ASSERT(connection->slot_count == (waits != NULL ? 1 : 0));
        moot_buffer_reset(&edge->scratch, 1024 * 1024);
        put_connection(&edge->scratch, connection, waits);
        struct moot_slice bytes =
            moot_arena_copy(&edge->outbox->arena, moot_buffer_slice(&edge->scratch));
        struct moot_effect *effect = moot_outbox_effect(edge->outbox, MOOT_EFFECT_CLIENT_KEEP);
        effect->client.connection = connection->id;
        effect->client.bytes = bytes;
    }
}

/* ---- the next one ---- */

static void get_text(struct moot_reader *reader, char *out, size_t max)
{
    struct moot_slice text = moot_get_bytes(reader);
    if (text.size >= max) {
        reader->failed = true;
        return;
    }
    if (text.size > 0) {
        memcpy(out, text.data, text.size);
    }
    out[text.size] = '\0';
}

static struct moot_stamp get_stamp(struct moot_reader *reader)
{
    struct moot_stamp stamp;
    stamp.time = moot_get_u64(reader);
    stamp.ordinal = moot_get_u32(reader);
    return stamp;
}

static void get_watches(struct moot_reader *reader, struct moot_connection *connection)
{
    uint64_t count = moot_get_varint(reader);
    if (reader->failed || count > MOOT_WATCH_MAX) {
        reader->failed = true;
        return;
    }
    if (count == 0) {
        return;
    }
    connection->watch_capacity = (uint32_t)count;
    connection->watches = moot_realloc(connection->watches, sizeof(*connection->watches) * count);
    for (uint64_t i = 0; i < count && !reader->failed; i++) {
        uint8_t database = moot_get_u8(reader);
        struct moot_slice key = moot_get_bytes(reader);
        struct moot_stamp stamp = get_stamp(reader);
        connection->watches[connection->watch_count++] =
            (struct moot_watch){database, moot_block_copy(key), stamp};
        connection->watch_bytes += sizeof(struct moot_block) + key.size;
    }
}

static void get_state(struct moot_reader *reader, uint8_t flags, struct moot_connection *connection)
{
    connection->in_multi = (flags & KEEP_MULTI) != 0;
    connection->multi_failed = (flags & KEEP_MULTI_FAILED) != 0;
    connection->multi_writes = (flags & KEEP_MULTI_WRITES) != 0;
    connection->multi_database = moot_get_u8(reader);
    uint64_t queued = moot_get_varint(reader);
    struct moot_slice queue = moot_get_bytes(reader);
    reader->failed = reader->failed || queued > MOOT_MULTI_COMMANDS_MAX ||
                     connection->multi_database >= MOOT_DATABASES;
    connection->queued = (uint32_t)queued;
    moot_buffer_append_slice(&connection->queue, queue);
    get_watches(reader, connection);
    if ((flags & KEEP_NONCE) != 0) {
        struct moot_slice nonce = moot_get_raw(reader, sizeof(connection->nonce));
        connection->has_nonce = nonce.size == sizeof(connection->nonce);
        if (connection->has_nonce) {
            memcpy(connection->nonce, nonce.data, nonce.size);
        }
    }
    if ((flags & KEEP_WITH) != 0) {
        struct moot_slice id = moot_get_bytes(reader);
        reader->failed = reader->failed || id.size == 0 || id.size > MOOT_ID_MAX;
        connection->with_id = reader->failed ? NULL : moot_block_copy(id);
    }
}

static void get_wait(struct moot_edge *edge, struct moot_reader *reader, bool pops_left,
                     struct moot_connection *connection)
{
    struct moot_blocked made = {.connection = connection->id, .pops_left = pops_left};
    made.database = moot_get_u8(reader);
    made.protocol = moot_get_u8(reader);
    made.arrival = get_stamp(reader);
    made.deadline.ns = moot_get_u64(reader);
    struct moot_slice command = moot_get_bytes(reader);
    struct moot_reader body = moot_reader_make(command);
    struct moot_slice *args;
    uint32_t argc = 0;
    moot_arena_reset(&edge->arena);
    bool good = !reader->failed && made.database < MOOT_DATABASES &&
                moot_item_args(&body, &edge->arena, &args, &argc) && argc >= 3;
    if (!good) {
        reader->failed = true;
        return;
    }
    made.id = edge->next_waiter++;
    made.slot = moot_connection_slot(connection);
    made.args = moot_block_copy(command);
    connection->waits = connection->barrier = true;
    edge__add_blocked(edge, &made);
}

static void get_connection(struct moot_edge *edge, struct moot_reader *reader,
                           struct moot_connection *connection)
{
    char command[MOOT_NAME_MAX] = "";
    get_text(reader, connection->name, sizeof(connection->name));
    get_text(reader, connection->library, sizeof(connection->library));
    get_text(reader, connection->library_version, sizeof(connection->library_version));
    connection->opened.ns = moot_min_u64(moot_get_varint(reader), edge->now.instant.ns);
    connection->active.ns = moot_min_u64(moot_get_varint(reader), edge->now.instant.ns);
    get_text(reader, command, sizeof(command));
    connection->protocol = moot_get_u8(reader);
    connection->database = moot_get_u8(reader);
    uint8_t flags = moot_get_u8(reader);
    moot_buffer_append_slice(&connection->in, moot_get_bytes(reader));
    get_state(reader, flags, connection);
    if ((flags & KEEP_WAITS) != 0) {
        get_wait(edge, reader, (flags & KEEP_POPS_LEFT) != 0, connection);
    }
    const struct moot_command *last =
        reader->failed || command[0] == '\0' ? NULL : moot_command_find(moot_slice_text(command));
    connection->command = last == NULL ? NULL : last->name;
    connection->has_ended = (flags & KEEP_ENDED) != 0;
    reader->failed = reader->failed || connection->database >= MOOT_DATABASES ||
                     (connection->protocol != 2 && connection->protocol != 3);
}

/* The driver says what the brain before has said; a recording may say anything. */
void moot_edge_kept(struct moot_edge *edge, moot_connection_id id, struct moot_slice bytes)
{
    struct moot_reader reader = moot_reader_make(bytes);
    if (edge__find(edge, id) != NULL) {
        return;
    }
    reader.failed = moot_get_u8(&reader) != KEEP_VERSION;
    uint64_t number = moot_get_varint(&reader);
    moot_edge_opened(edge, id, moot_get_bytes(&reader));
    struct moot_connection *connection = edge__find(edge, id);
    MOOT_ASSERT(connection != NULL);
    if (connection->is_closing) {
        return; /* One too many. */
    }
    if (!reader.failed && number > 0 && number < UINT64_MAX) {
        connection->number = number;
        edge->next_client = moot_max_u64(edge->next_client, number + 1);
        get_connection(edge, &reader, connection);
        edge__count(edge, connection);
    }
    if (reader.failed) {
        connection->protocol = 2;
        connection->is_closing = true;
        edge__mark(edge, connection);
        return;
    }
    edge__want_pump(edge, connection);
}
