/* MULTI, EXEC, DISCARD, WATCH, UNWATCH.
 *
 * WATCH is stateless for the cluster: the edge remembers each key's stamp, and EXEC carries them as
 * preconditions of one log entry, checked where it is executed. So it holds across forwarding and
 * fail-over. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/memory.h"
#include "database/edge/edge.h"

static void begin(struct moot_edge *edge, struct moot_connection *connection)
{
    if (connection->in_multi) {
        edge__error(edge, connection, "ERR MULTI calls can not be nested");
        return;
    }
    connection->in_multi = true;
    connection->multi_failed = false;
    connection->multi_database = connection->database;
    edge__reply_text(edge, connection, "+OK\r\n");
}

static void discard(struct moot_edge *edge, struct moot_connection *connection)
{
    if (!connection->in_multi) {
        edge__error(edge, connection, "ERR DISCARD without MULTI");
        return;
    }
    moot_connection_end_multi(connection);
    edge__reply_text(edge, connection, "+OK\r\n");
}

static void exec(struct moot_edge *edge, struct moot_connection *connection)
{
    if (!connection->in_multi) {
        edge__error(edge, connection, "ERR EXEC without MULTI");
        return;
    }
    if (connection->multi_failed) {
        moot_connection_end_multi(connection);
        edge__error(edge, connection,
                    "EXECABORT Transaction discarded because of previous errors.");
        return;
    }
    if (connection->queued == 0 && connection->watch_count == 0) {
        moot_connection_end_multi(connection);
        edge__reply_text(edge, connection, "*0\r\n");
        return;
    }
    struct moot_buffer body;
    moot_buffer_init(&body);
    moot_put_varint(&body, connection->watch_count);
    for (uint32_t i = 0; i < connection->watch_count; i++) {
        const struct moot_watch *watch = &connection->watches[i];
        moot_put_u8(&body, watch->database);
        moot_put_bytes(&body, moot_block_slice(watch->key));
        moot_put_u64(&body, watch->stamp.time);
        moot_put_u32(&body, watch->stamp.ordinal);
    }
    moot_put_varint(&body, connection->queued);
    moot_buffer_append_slice(&body, moot_buffer_slice(&connection->queue));
    uint8_t database = connection->database;
    bool is_write = connection->multi_writes;
    moot_connection_end_multi(connection);
    if (body.size > MOOT_QUERY_MAX) { /* Watched keys, too: it must fit one entry. */
        moot_buffer_deinit(&body);
        edge__error(edge, connection,
                    "EXECABORT Transaction discarded because of: it is too large");
        return;
    }
    /* A SELECT inside decides the database only if the transaction runs: nothing behind it is
     * parsed before that is known. */
    connection->barrier =
        edge__submit_body(edge, connection, MOOT_GROUP_DB0, is_write, MOOT_ITEM_EXEC, database,
                          moot_buffer_slice(&body), MOOT_REF_EXEC) &&
        connection->multi_database != database;
    connection->exec_selects = connection->barrier;
    connection->exec_slot = connection->slot_first + connection->slot_count - 1;
    moot_buffer_deinit(&body);
}

void edge__exec_done(struct moot_connection *connection, uint64_t slot, struct moot_slice reply)
{
    bool ran = reply.size > 2 && reply.data[0] == '*' && reply.data[1] != '-';
    /* Not by the barrier alone: behind an EXEC that selects nothing, a WATCH or a blocking command
     * of the same pipeline may have raised one. */
    if (connection->exec_selects && connection->exec_slot == slot) {
        connection->exec_selects = false;
        connection->database = ran ? connection->multi_database : connection->database;
    }
}

static void watch(struct moot_edge *edge, struct moot_connection *connection,
                  const struct moot_slice *args, uint32_t argc)
{
    if (connection->in_multi) {
        edge__error(edge, connection, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    if (connection->watch_count + argc - 1 > MOOT_WATCH_MAX) {
        edge__error(edge, connection, "ERR too many watched keys");
        return;
    }
    for (uint32_t i = 1; i < argc; i++) {
        if (args[i].size > MOOT_KEY_MAX) { /* An entry with such a key would be malformed. */
            edge__error(edge, connection, "ERR a key is longer than 32768 bytes");
            return;
        }
    }
    /* The commands behind it may depend on the stamps: they wait. */
    connection->barrier = edge__submit(edge, connection, MOOT_GROUP_DB0, false, MOOT_ITEM_STAMP,
                                       connection->database, args, argc, MOOT_REF_WATCH);
    if (!connection->barrier) {
        return;
    }
    for (uint32_t i = 1; i < argc; i++) {
        if (connection->watch_count == connection->watch_capacity) {
            connection->watch_capacity =
                connection->watch_capacity == 0 ? 8 : connection->watch_capacity * 2;
            connection->watches = moot_realloc(connection->watches, sizeof(*connection->watches) *
                                                                        connection->watch_capacity);
        }
        connection->watches[connection->watch_count++] =
            (struct moot_watch){.database = connection->database,
                                .key = moot_block_copy(args[i]),
                                .stamp = {.time = UINT64_MAX}}; /* Until it is known: no EXEC. */
        connection->watch_bytes += sizeof(struct moot_block) + args[i].size;
    }
}

/* The stamps of the keys watched last have come. */
void edge__watched(struct moot_edge *edge, struct moot_connection *connection, uint64_t slot,
                   struct moot_slice stamps)
{
    struct moot_reader reader = moot_reader_make(stamps);
    uint32_t count = (uint32_t)(stamps.size / 12);
    MOOT_ASSERT(count <= connection->watch_count);
    for (uint32_t i = connection->watch_count - count; i < connection->watch_count; i++) {
        connection->watches[i].stamp.time = moot_get_u64(&reader);
        connection->watches[i].stamp.ordinal = moot_get_u32(&reader);
    }
    edge__reply(edge, connection, slot, MOOT_SLICE_LITERAL("+OK\r\n"));
}

static bool is_named(const struct moot_command *command, const char *name)
{
    return moot_slice_equal(moot_slice_text(command->name), moot_slice_text(name));
}

/* SELECT inside MULTI is executed with the rest; only its argument is looked at here, for what
 * comes after EXEC. */
static bool queue_select(struct moot_edge *edge, struct moot_connection *connection,
                         const struct moot_slice *args)
{
    uint64_t database;
    if (!moot_slice_to_u64(args[1], &database) || database >= MOOT_DATABASES) {
        edge__error(edge, connection, "ERR DB index is out of range");
        connection->multi_failed = true;
        return false;
    }
    connection->multi_database = (uint8_t)database;
    return true;
}

static void queue(struct moot_edge *edge, struct moot_connection *connection,
                  const struct moot_command *command, const struct moot_slice *args, uint32_t argc)
{
    bool runs_inside = command->place != MOOT_PLACE_EDGE || is_named(command, "ping") ||
                       is_named(command, "echo") || is_named(command, "time") ||
                       is_named(command, "select");
    if (!runs_inside || (command->flags & (MOOT_FLAG_NO_MULTI | MOOT_FLAG_SYSTEM)) != 0) {
        edge__error(edge, connection, "ERR Command not allowed inside a transaction");
        connection->multi_failed = true;
        return;
    }
    if (is_named(command, "select") && !queue_select(edge, connection, args)) {
        return;
    }
    if (connection->with_id != NULL) {
        edge__error(edge, connection, "ERR a transaction has one id: WITH ID goes with EXEC");
        connection->multi_failed = true;
        return;
    }
    size_t bytes = 0;
    for (uint32_t i = 0; i < argc; i++) {
        bytes += args[i].size + 5;
    }
    if (connection->queued >= MOOT_MULTI_COMMANDS_MAX ||
        connection->queue.size + bytes > MOOT_QUERY_MAX) {
        edge__error(edge, connection, "ERR the transaction is too large");
        connection->multi_failed = true;
        return;
    }
    moot_item_put_body(&connection->queue, args, argc);
    connection->queued++;
    connection->multi_writes |= command->place == MOOT_PLACE_WRITE;
    edge__reply_text(edge, connection, "+QUEUED\r\n");
}

bool edge__multi(struct moot_edge *edge, struct moot_connection *connection,
                 const struct moot_command *command, const struct moot_slice *args, uint32_t argc)
{
    if (!connection->in_multi && (command->flags & MOOT_FLAG_MULTI_STATE) == 0) {
        return false;
    }
    if (is_named(command, "multi")) {
        begin(edge, connection);
    } else if (is_named(command, "exec")) {
        exec(edge, connection);
    } else if (is_named(command, "discard")) {
        discard(edge, connection);
    } else if (is_named(command, "watch")) {
        watch(edge, connection, args, argc);
    } else if (connection->in_multi && (command->flags & MOOT_FLAG_MULTI_STATE) == 0) {
        queue(edge, connection, command, args, argc);
    } else {
        return false; /* QUIT and RESET end the transaction themselves. */
    }
    return true;
}
