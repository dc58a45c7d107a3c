#include "database/edge/edge.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/rule.h"
#include "base/status.h"
#include "database/group/entry.h"

enum {
    TABLE_FIRST = 16, /* Places for connections; at most half of them are taken. */
    WITH_ARGS = 3,    /* WITH ID id */
};

/* ---- the table of connections ---- */

static size_t home(const struct moot_edge *edge, moot_connection_id id)
{
    return (size_t)moot_hash_mix(id, 1) & (edge->table_capacity - 1);
}

struct moot_connection *edge__find(const struct moot_edge *edge, moot_connection_id id)
{
    for (size_t at = home(edge, id);; at = (at + 1) & (edge->table_capacity - 1)) {
        if (edge->table[at] == NULL || edge->table[at]->id == id) {
            return edge->table[at];
        }
    }
}

static void table_put(struct moot_edge *edge, struct moot_connection *connection)
{
    size_t at = home(edge, connection->id);
    while (edge->table[at] != NULL) {
        at = (at + 1) & (edge->table_capacity - 1);
    }
    edge->table[at] = connection;
}

static void table_grow(struct moot_edge *edge)
{
    struct moot_connection **old = edge->table;
    size_t capacity = edge->table_capacity;
    edge->table_capacity *= 2;
    edge->table = moot_alloc_zero(sizeof(*old) * edge->table_capacity);
    for (size_t i = 0; i < capacity; i++) {
        if (old[i] != NULL) {
            table_put(edge, old[i]);
        }
    }
    moot_free(old);
}

/* Backward-shift deletion: no grave is left, so look-ups stay short. */
static void table_remove(struct moot_edge *edge, moot_connection_id id)
{
    size_t mask = edge->table_capacity - 1;
    size_t hole = home(edge, id);
    while (edge->table[hole] == NULL || edge->table[hole]->id != id) {
        MOOT_ASSERT(edge->table[hole] != NULL);
        hole = (hole + 1) & mask;
    }
    for (size_t at = (hole + 1) & mask; edge->table[at] != NULL; at = (at + 1) & mask) {
        size_t want = home(edge, edge->table[at]->id);
        if (((at - want) & mask) >= ((at - hole) & mask)) {
            edge->table[hole] = edge->table[at];
            hole = at;
        }
    }
    edge->table[hole] = NULL;
}

static void list_add(struct moot_connection ***list, size_t *count, size_t *capacity,
                     struct moot_connection *connection)
{
    if (*count == *capacity) {
        *capacity = *capacity == 0 ? 64 : *capacity * 2;
        *list = moot_realloc(*list, sizeof(**list) * *capacity);
    }
    (*list)[(*count)++] = connection;
}

static void list_remove(struct moot_connection **list, size_t *count,
                        const struct moot_connection *connection)
{
    for (size_t i = 0; i < *count; i++) {
        if (list[i] == connection) {
            memmove(&list[i], &list[i + 1], sizeof(*list) * (*count - i - 1));
            (*count)--;
            return;
        }
    }
}

void edge__mark(struct moot_edge *edge, struct moot_connection *connection)
{
    if (!connection->is_dirty) {
        connection->is_dirty = true;
        list_add(&edge->dirty, &edge->dirty_count, &edge->dirty_capacity, connection);
    }
}

void edge__want_pump(struct moot_edge *edge, struct moot_connection *connection)
{
    if (!connection->wants_pump) {
        connection->wants_pump = true;
        list_add(&edge->pump, &edge->pump_count, &edge->pump_capacity, connection);
    }
}

/* ---- life ---- */

void moot_edge_init(struct moot_edge *edge, struct moot_outbox *outbox,
                    const struct moot_identity *identity, uint64_t incarnation,
                    struct moot_directory *directory, const struct moot_peers *peers,
                    struct moot_now now)
{
    *edge = (struct moot_edge){.outbox = outbox,
                               .identity = identity,
                               .incarnation = incarnation,
                               .directory = directory,
                               .peers = peers,
                               .now = now,
                               .started = now.instant,
                               .started_wall_ms = now.wall_ms,
                               .table_capacity = TABLE_FIRST,
                               .next_client = 1,
                               .next_waiter = 1,
                               .clients_over = MOOT_NEVER,
                               .clients_bytes_max = MOOT_CLIENTS_BYTES_MAX,
                               .read_elements = MOOT_READ_ELEMENTS_MAX,
                               .free_bytes = UINT64_MAX};
    edge->table = moot_alloc_zero(sizeof(*edge->table) * edge->table_capacity);
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        moot_stream_edge_init(&edge->streams[group], group, incarnation);
    }
    moot_arena_init(&edge->arena);
    moot_buffer_init(&edge->scratch);
}

void moot_edge_deinit(struct moot_edge *edge)
{
    for (size_t i = 0; i < edge->table_capacity; i++) {
        if (edge->table[i] != NULL) {
            moot_connection_destroy(edge->table[i]);
        }
    }
    for (size_t i = 0; i < edge->blocked_count; i++) {
        moot_block_release(edge->blocked[i].args);
    }
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        moot_stream_edge_deinit(&edge->streams[group]);
    }
    moot_free(edge->blocked);
    moot_free(edge->table);
    moot_free(edge->dirty);
    moot_free(edge->pump);
    moot_arena_deinit(&edge->arena);
    moot_buffer_deinit(&edge->scratch);
}

void moot_edge_opened(struct moot_edge *edge, moot_connection_id id, struct moot_slice address)
{
    MOOT_ASSERT(id != EDGE_NOBODY);
    if ((edge->connection_count + 1) * 2 > edge->table_capacity) {
        table_grow(edge);
    }
    struct moot_connection *connection = moot_connection_make(id, address);
    connection->number = edge->next_client++;
    connection->opened = connection->active = edge->now.instant;
    table_put(edge, connection);
    edge__count(edge, connection);
    edge->connection_count++;
    edge->counts.connections++;
    if (edge->connection_count > MOOT_CLIENTS_MAX) {
        edge->counts.rejected++;
        moot_connection_slot(connection);
        edge__reply(edge, connection, connection->slot_first,
                    MOOT_SLICE_LITERAL("-ERR max number of clients reached\r\n"));
        connection->is_closing = true;
        edge__mark(edge, connection);
    }
}

void moot_edge_closed(struct moot_edge *edge, moot_connection_id id)
{
    struct moot_connection *connection = edge__find(edge, id);
    if (connection == NULL) {
        return;
    }
    edge__client_gone(edge, connection);
    list_remove(edge->dirty, &edge->dirty_count, connection);
    list_remove(edge->pump, &edge->pump_count, connection);
    table_remove(edge, id);
    edge->connection_count--;
    edge->clients_bytes -= connection->held;
    moot_connection_destroy(connection);
}

/* ---- replies ---- */

void edge__reply(struct moot_edge *edge, struct moot_connection *connection, uint64_t slot,
                 struct moot_slice reply)
{
    moot_connection_answer(connection, slot, reply);
    connection->held += reply.size; /* Nearly; at the end of the turn it is counted. */
    edge->clients_bytes += reply.size;
    edge__mark(edge, connection);
    if (connection->slot_count == 0 && connection->barrier) {
        connection->barrier = connection->waits = false;
        edge__want_pump(edge, connection);
    }
    if (connection->in.size > 0 || connection->left.size > 0 || connection->has_ended) {
        edge__want_pump(edge, connection);
    }
}

void edge__reply_text(struct moot_edge *edge, struct moot_connection *connection, const char *text)
{
    uint64_t slot = moot_connection_slot(connection);
    edge__reply(edge, connection, slot, moot_slice_text(text));
}

struct moot_resp edge__resp(struct moot_edge *edge, const struct moot_connection *connection)
{
    moot_buffer_reset(&edge->scratch, 1024 * 1024);
    return (struct moot_resp){&edge->scratch, connection->protocol};
}

void edge__reply_scratch(struct moot_edge *edge, struct moot_connection *connection)
{
    uint64_t slot = moot_connection_slot(connection);
    edge__reply(edge, connection, slot, moot_buffer_slice(&edge->scratch));
}

void edge__error(struct moot_edge *edge, struct moot_connection *connection, const char *text)
{
    struct moot_resp resp = edge__resp(edge, connection);
    moot_resp_error(&resp, text);
    edge__reply_scratch(edge, connection);
}

/* ---- to the groups ---- */

static bool admit(struct moot_edge *edge, struct moot_connection *connection, moot_group_id group,
                  size_t bytes)
{
    if (edge->is_removed) {
        if (connection != NULL) {
            moot_buffer_reset(&edge->scratch, 4096);
            edge__refuse_removed(edge, &edge->scratch);
            edge__reply_scratch(edge, connection);
        }
        return false;
    }
    if (MOOT_RULE(edge_admission_bounded, moot_stream_edge_admits(&edge->streams[group], bytes))) {
        return true;
    }
    edge->counts.overloaded++;
    if (connection != NULL) {
        edge__error(
            edge, connection,
            "OVERLOADED this node has as many commands waiting as it may; retry after 40 ms");
    }
    return false;
}

/* A read is about to be put outside the log. */
static void open_read(const struct moot_stream_edge *stream, struct moot_open_reads *reads)
{
    if (reads->count == 0) {
        *reads = (struct moot_open_reads){.generation = stream->read_generation,
                                          .ref = stream->reads.ref_count,
                                          .from = stream->reads.items.size};
    }
    reads->count++;
}

/* What is in the log behind a read may be left for later, with it. */
static void chain(struct moot_connection *connection, const struct moot_stream_edge *stream,
                  bool is_write, struct moot_ref *ref, uint8_t *flags)
{
    MOOT_ASSERT(connection->chained == 0 || connection->chain_generation == stream->generation);
    if (!is_write || connection->chained > 0) {
        ref->is_chained = true;
        *flags |= MOOT_ITEM_CHAINED;
        connection->chained++;
        connection->chain_generation = stream->generation;
    }
}

struct moot_buffer *edge__open_item(struct moot_edge *edge, struct moot_connection *connection,
                                    moot_group_id group, bool is_write, struct moot_ref *ref,
                                    uint8_t *flags)
{
    struct moot_stream_edge *stream = &edge->streams[group];
    bool behind = connection != NULL && connection->building[group] == stream->generation;
    bool to_log = is_write || behind;
    if (connection != NULL && to_log) {
        connection->building[group] = stream->generation;
    }
    if (!to_log) {
        MOOT_ASSERT(connection != NULL && group == MOOT_GROUP_DB0);
        open_read(stream, &connection->reads);
    }
    if (connection != NULL && to_log && group == MOOT_GROUP_DB0) {
        chain(connection, stream, is_write, ref, flags);
    }
    ref->is_placed_read = !to_log;
    return moot_stream_edge_add(stream, to_log, *ref, edge->now.instant);
}

static struct moot_buffer *open_item(struct moot_edge *edge, struct moot_connection *connection,
                                     moot_group_id group, bool is_write, enum moot_ref_kind kind,
                                     uint8_t *flags)
{
    edge->counts.writes += is_write;
    edge->counts.reads += !is_write;
    struct moot_ref ref = {.kind = kind};
    if (connection != NULL) {
        ref.connection = connection->id;
        ref.slot = moot_connection_slot(connection);
    }
    return edge__open_item(edge, connection, group, is_write, &ref, flags);
}

/* May the log have these reads? Not those that may touch more elements than an entry may. */
static bool are_cheap(struct moot_slice items)
{
    struct moot_reader reader = moot_reader_make(items);
    struct moot_item item;
    while (moot_item_next(&reader, &item)) {
        if ((item.flags & MOOT_ITEM_EXEC) != 0) {
            return false;
        }
        struct moot_reader body = moot_reader_make(item.body);
        (void)moot_get_varint(&body);
        const struct moot_command *command = moot_command_find(moot_get_bytes(&body));
        if (command == NULL ||
            ((item.flags & MOOT_ITEM_STAMP) == 0 && (command->flags & MOOT_FLAG_FAST) == 0)) {
            return false;
        }
    }
    MOOT_ASSERT(!reader.failed);
    return true;
}

/* Puts the connection's open reads into the log, before what comes next; false when that cannot be:
 * some were sent, others stand between them, or there is no room. */
static bool take_along(struct moot_stream_edge *stream, struct moot_connection *connection)
{
    struct moot_open_reads *reads = &connection->reads;
    bool here = reads->generation == stream->read_generation &&
                stream->reads.ref_count - reads->ref == reads->count;
    if (!here) {
        return false;
    }
    struct moot_slice items = {stream->reads.items.data + reads->from,
                               stream->reads.items.size - reads->from};
    if (!are_cheap(items) || !moot_stream_edge_move_reads(stream, reads->ref, reads->from)) {
        return false;
    }
    MOOT_SOMETIMES(true, "reads went into the log with the write behind them");
    connection->chained += reads->count;
    connection->chain_generation = stream->generation;
    reads->count = 0;
    return true;
}

/* WITH only says something of the command behind it, if there is one: that is what has an order. */
static struct moot_slice name_of(const struct moot_slice *args, uint32_t argc)
{
    bool with = argc > WITH_ARGS && moot_slice_equal_nocase(args[0], "with");
    return with ? args[WITH_ARGS] : args[0];
}

static bool goes_to_the_log(const struct moot_connection *connection, struct moot_slice name)
{
    const struct moot_command *command = moot_command_find(name);
    if (command == NULL) {
        return false;
    }
    bool exec = moot_slice_equal(moot_slice_text(command->name), MOOT_SLICE_LITERAL("exec"));
    return (exec && connection->multi_writes) ||
           (!connection->in_multi && command->place == MOOT_PLACE_WRITE);
}

/* KEYS of many keys would go into the log with the write before it, to be run by every replica
 * within a turn, or refused: it waits for the write's reply, and then is a read. */
static bool is_long_behind_write(const struct moot_edge *edge,
                                 const struct moot_connection *connection, struct moot_slice name)
{
    uint64_t generation = edge->streams[MOOT_GROUP_DB0].generation;
    bool waits = connection->building[MOOT_GROUP_DB0] == generation && !connection->in_multi &&
                 edge->key_counts[connection->database] > edge->read_elements &&
                 moot_slice_equal_nocase(name, "keys");
    MOOT_SOMETIMES(waits, "KEYS waited for the write before it");
    return waits;
}

static bool may_block(struct moot_slice name)
{
    const struct moot_command *command = moot_command_find(name);
    return command != NULL && (command->flags & MOOT_FLAG_BLOCKING) != 0;
}

/* What is in the log behind a read may come back undone: nothing that is asked later may overtake
 * it, in another batch, nor wait for an element, which is answered with nothing, too. */
static bool is_behind_chain(const struct moot_edge *edge, const struct moot_connection *connection,
                            struct moot_slice name)
{
    if (connection->chained == 0) {
        return false;
    }
    bool same = connection->chain_generation == edge->streams[MOOT_GROUP_DB0].generation;
    return !MOOT_RULE(edge_nothing_overtakes_what_is_left, same && !may_block(name));
}

/* Reads in two batches may be answered at two leaders, the second first, by an earlier state. */
static bool is_behind_sent_reads(const struct moot_edge *edge,
                                 const struct moot_connection *connection)
{
    bool sent = connection->reads.count > 0 &&
                connection->reads.generation != edge->streams[MOOT_GROUP_DB0].read_generation;
    MOOT_SOMETIMES(sent, "a read waited for those before it, which had left");
    return !MOOT_RULE(edge_reads_in_one_batch, !sent);
}

/* Must this command wait for others of its connection? See the header: order. */
static bool must_wait(struct moot_edge *edge, struct moot_connection *connection,
                      struct moot_slice name)
{
    struct moot_stream_edge *stream = &edge->streams[MOOT_GROUP_DB0];
    if (is_behind_chain(edge, connection, name) || is_behind_sent_reads(edge, connection)) {
        return true;
    }
    bool free = connection->reads.count == 0 || !goes_to_the_log(connection, name) ||
                (!may_block(name) && take_along(stream, connection));
    if (!MOOT_RULE(edge_write_after_reads, free)) {
        MOOT_SOMETIMES(true, "a write waited for the reads before it");
        return true;
    }
    return is_long_behind_write(edge, connection, name);
}

static uint8_t item_flags(const struct moot_connection *connection, uint8_t flags)
{
    return connection != NULL && connection->protocol == 3 ? flags | MOOT_ITEM_RESP3 : flags;
}

bool edge__submit(struct moot_edge *edge, struct moot_connection *connection, moot_group_id group,
                  bool is_write, uint8_t flags, uint8_t database, const struct moot_slice *args,
                  uint32_t argc, enum moot_ref_kind kind)
{
    size_t bytes = 16;
    for (uint32_t i = 0; i < argc; i++) {
        bytes += args[i].size + 5;
    }
    if (!admit(edge, connection, group, bytes)) {
        return false;
    }
    struct moot_slice id = {NULL, 0};
    flags = item_flags(connection, flags);
    if (connection != NULL && connection->with_id != NULL && is_write) {
        id = moot_block_slice(connection->with_id);
        flags |= MOOT_ITEM_ID;
    }
    struct moot_buffer *out = open_item(edge, connection, group, is_write, kind, &flags);
    size_t before = out->size;
    moot_item_put(out, flags, database, id, args, argc);
    moot_stream_edge_added(&edge->streams[group], out->size - before);
    return true;
}

bool edge__submit_body(struct moot_edge *edge, struct moot_connection *connection,
                       moot_group_id group, bool is_write, uint8_t flags, uint8_t database,
                       struct moot_slice body, enum moot_ref_kind kind)
{
    if (!admit(edge, connection, group, body.size + 16)) {
        return false;
    }
    struct moot_slice id = {NULL, 0};
    flags = item_flags(connection, flags);
    if (connection->with_id != NULL && is_write) {
        id = moot_block_slice(connection->with_id);
        flags |= MOOT_ITEM_ID;
    }
    struct moot_buffer *out = open_item(edge, connection, group, is_write, kind, &flags);
    size_t before = out->size;
    moot_put_u8(out, flags);
    moot_put_u8(out, database);
    if ((flags & MOOT_ITEM_ID) != 0) {
        moot_put_bytes(out, id);
    }
    moot_buffer_append_slice(out, body);
    moot_stream_edge_added(&edge->streams[group], out->size - before);
    return true;
}

void moot_edge_own_command(struct moot_edge *edge, moot_group_id group,
                           const struct moot_slice *args, uint32_t argc)
{
    bool sent = edge__submit(edge, NULL, group, true, 0, 0, args, argc, MOOT_REF_NONE);
    (void)sent; /* Refused by a full queue: the node asks again. */
}

/* ---- one command ---- */

static void unknown_command(struct moot_edge *edge, struct moot_connection *connection,
                            const struct moot_slice *args, uint32_t argc)
{
    struct moot_buffer text;
    moot_buffer_init(&text);
    moot_buffer_append_text(&text, "ERR unknown command '");
    moot_buffer_append(&text, args[0].data, moot_min_u64(args[0].size, 128));
    moot_buffer_append_text(&text, "', with args beginning with: ");
    for (uint32_t i = 1; i < argc && text.size < 256; i++) {
        moot_buffer_append_text(&text, "'");
        moot_buffer_append(&text, args[i].data, moot_min_u64(args[i].size, 64));
        moot_buffer_append_text(&text, "' ");
    }
    struct moot_resp resp = edge__resp(edge, connection);
    moot_resp_error_slice(&resp, moot_buffer_slice(&text));
    edge__reply_scratch(edge, connection);
    moot_buffer_deinit(&text);
    connection->multi_failed = true;
}

static void wrong_arity(struct moot_edge *edge, struct moot_connection *connection,
                        const struct moot_command *command)
{
    struct moot_buffer text;
    moot_buffer_init(&text);
    moot_buffer_append_text(&text, "ERR wrong number of arguments for '");
    moot_buffer_append_text(&text, command->name);
    moot_buffer_append_text(&text, "' command");
    struct moot_resp resp = edge__resp(edge, connection);
    moot_resp_error_slice(&resp, moot_buffer_slice(&text));
    edge__reply_scratch(edge, connection);
    moot_buffer_deinit(&text);
    connection->multi_failed = true;
}

/* WITH <options> [command ...]: what it says holds for this command, or for the next. Returns how
 * many arguments belong to it; 0: an error was answered. */
static uint32_t with_options(struct moot_edge *edge, struct moot_connection *connection,
                             const struct moot_slice *args, uint32_t argc)
{
    if (argc < 3 || !moot_slice_equal_nocase(args[1], "id")) {
        edge__error(edge, connection, "ERR WITH knows ID <id> so far: WITH ID <id> <command ...>");
        return 0;
    }
    if (args[2].size == 0 || args[2].size > MOOT_ID_MAX) {
        edge__error(edge, connection, "ERR an id has 1 to 128 bytes");
        return 0;
    }
    moot_block_release(connection->with_id);
    connection->with_id = moot_block_copy(args[2]);
    return WITH_ARGS;
}

static void drop_with(struct moot_connection *connection)
{
    moot_block_release(connection->with_id);
    connection->with_id = NULL;
}

static void dispatch(struct moot_edge *edge, struct moot_connection *connection,
                     const struct moot_slice *args, uint32_t argc)
{
    const struct moot_command *command = moot_command_find(args[0]);
    /* What the system group executes is proposed by nodes, never sent by a client. */
    if (command == NULL || (command->flags & MOOT_FLAG_SYSTEM) != 0) {
        unknown_command(edge, connection, args, argc);
        return;
    }
    connection->active = edge->now.instant;
    connection->command = command->name;
    if (!moot_command_arity_fits(command, argc)) {
        wrong_arity(edge, connection, command);
        return;
    }
    if (edge__multi(edge, connection, command, args, argc)) {
        return;
    }
    if (command->place == MOOT_PLACE_EDGE) {
        edge__local(edge, connection, command, args, argc);
        return;
    }
    if ((command->flags & MOOT_FLAG_BLOCKING) != 0) {
        edge__block(edge, connection, command, args, argc);
        return;
    }
    edge__submit(edge, connection, MOOT_GROUP_DB0, command->place == MOOT_PLACE_WRITE, 0,
                 connection->database, args, argc, MOOT_REF_REPLY);
}

static void one_command(struct moot_edge *edge, struct moot_connection *connection,
                        const struct moot_slice *args, uint32_t argc)
{
    edge->counts.commands++;
    if (moot_slice_equal_nocase(args[0], "with")) {
        uint32_t taken = with_options(edge, connection, args, argc);
        if (taken > 0 && taken == argc) {
            edge__reply_text(edge, connection, "+OK\r\n");
        }
        if (taken == 0 || taken == argc) {
            return;
        }
        args += taken;
        argc -= taken;
    }
    dispatch(edge, connection, args, argc);
    drop_with(connection);
}

/* ---- parsing ---- */

static bool may_parse(struct moot_edge *edge, const struct moot_connection *connection)
{
    return !edge->is_resting && !connection->barrier && !connection->is_closing &&
           connection->left.size == 0 && !connection->is_held &&
           connection->slot_count < MOOT_PIPELINE_MAX &&
           connection->unsent + connection->out.size < MOOT_OUTPUT_SOFT &&
           !edge__is_greedy(edge, connection);
}

static void protocol_error(struct moot_edge *edge, struct moot_connection *connection)
{
    edge__error(edge, connection, connection->parser.error);
    connection->is_closing = true;
    edge__mark(edge, connection);
}

/* It sends no more, and what it has sent is all parsed: it is closed when it has its replies. */
static void close_if_ended(struct moot_edge *edge, struct moot_connection *connection)
{
    if (connection->has_ended && may_parse(edge, connection)) {
        connection->is_closing = true;
        edge__mark(edge, connection);
    }
}

static void pause(struct moot_edge *edge, struct moot_connection *connection, bool on)
{
    if (connection->is_paused != on) {
        connection->is_paused = on;
        struct moot_effect *effect = moot_outbox_effect(edge->outbox, MOOT_EFFECT_CLIENT_PAUSE);
        effect->client.connection = connection->id;
        effect->client.on = on;
    }
}

static void pump(struct moot_edge *edge, struct moot_connection *connection)
{
    size_t done = 0;
    connection->is_held = false;
    edge__ask_again(edge, connection);
    while (may_parse(edge, connection) && done < connection->in.size) {
        struct moot_slice bytes = {connection->in.data + done, connection->in.size - done};
        size_t consumed = 0;
        int status = moot_resp_parse(&connection->parser, bytes, &consumed);
        if (status == MOOT_EAGAIN) {
            break;
        }
        if (status != 0) {
            protocol_error(edge, connection);
            break;
        }
        uint32_t argc = connection->parser.arg_count;
        if (argc > 0) {
            moot_arena_reset(&edge->arena);
            struct moot_slice *args = moot_arena_alloc(&edge->arena, sizeof(*args) * argc);
            for (uint32_t i = 0; i < argc; i++) {
                args[i] = moot_resp_arg(&connection->parser, bytes, i);
            }
            connection->is_held = must_wait(edge, connection, name_of(args, argc));
            if (connection->is_held) {
                break; /* It is parsed again when what it waits for is answered. */
            }
            one_command(edge, connection, args, argc);
        }
        done += consumed;
    }
    moot_buffer_consume(&connection->in, done);
    if (connection->in.size == 0) {
        moot_buffer_reset(&connection->in, 64 * 1024);
    }
    close_if_ended(edge, connection);
    edge__count(edge, connection);
    /* What cannot be parsed now must not pile up: the kernel's buffers hold the rest. But who waits
     * for an element is read, for else nobody would know that it has gone. */
    bool may_hold = connection->is_held || connection->waits;
    bool full = !may_parse(edge, connection) && connection->in.size > 0 &&
                (!may_hold || connection->in.size > MOOT_HELD_BYTES);
    pause(edge, connection, full || connection->is_closing);
}

void moot_edge_bytes(struct moot_edge *edge, moot_connection_id id, struct moot_slice bytes)
{
    struct moot_connection *connection = edge__find(edge, id);
    if (connection == NULL || connection->is_closing) {
        return;
    }
    edge->counts.bytes_in += bytes.size;
    moot_buffer_append_slice(&connection->in, bytes);
    pump(edge, connection);
}

static void give_replies(struct moot_edge *edge, const struct moot_connection *connection)
{
    if (connection->out.size > 0 && !connection->is_closed) {
        moot_outbox_reply(edge->outbox, connection->id, moot_buffer_slice(&connection->out));
        edge->counts.bytes_out += connection->out.size;
    }
}

void edge__close(struct moot_edge *edge, struct moot_connection *connection)
{
    if (!connection->is_closed) {
        give_replies(edge, connection); /* An element of a list may be among them. */
        moot_buffer_reset(&connection->out, 0);
        edge__count(edge, connection);
        connection->is_closed = true;
        struct moot_effect *effect = moot_outbox_effect(edge->outbox, MOOT_EFFECT_CLIENT_CLOSE);
        effect->client.connection = connection->id;
        edge__client_gone(edge, connection);
    }
}

/* It has its replies before what it waits for; what stands behind that is not looked at. */
void moot_edge_ended(struct moot_edge *edge, moot_connection_id id)
{
    struct moot_connection *connection = edge__find(edge, id);
    if (connection == NULL || connection->is_closing) {
        return;
    }
    connection->has_ended = true;
    if (connection->waits) {
        edge__end_wait(edge, connection);
    }
    pump(edge, connection);
}

void moot_edge_sent(struct moot_edge *edge, moot_connection_id id, uint64_t unsent)
{
    struct moot_connection *connection = edge__find(edge, id);
    if (connection != NULL) {
        connection->unsent = unsent;
        edge__count(edge, connection);
        edge__want_pump(edge, connection);
        if (unsent > MOOT_OUTPUT_HARD) {
            edge__mark(edge, connection); /* To be closed, also without another reply. */
        }
    }
}

static void pump_all(struct moot_edge *edge)
{
    size_t count = edge->pump_count;
    for (size_t i = 0; i < count; i++) {
        struct moot_connection *connection = edge->pump[i];
        connection->wants_pump = false;
        pump(edge, connection);
    }
    edge->pump_count -= count;
    if (edge->pump_count > 0) {
        memmove(edge->pump, edge->pump + count, sizeof(*edge->pump) * edge->pump_count);
    }
}

/* ---- the turn ---- */

void moot_edge_flush(struct moot_edge *edge)
{
    pump_all(edge);
    edge__blocked_tick(edge);
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        moot_stream_edge_leader(&edge->streams[group], edge->groups[group].leader,
                                edge->groups[group].term);
        bool renewed =
            moot_stream_edge_flush(&edge->streams[group], edge->outbox, edge->now.instant);
        if (group == MOOT_GROUP_DB0) {
            edge__register_waiters(edge, renewed);
        }
    }
    edge__time_outs(edge);
    if (edge->is_removed) {
        edge__removed_tick(edge);
    }
}

void moot_edge_reply(struct moot_edge *edge)
{
    edge__bound_clients(edge);
    for (size_t i = 0; i < edge->dirty_count; i++) {
        struct moot_connection *connection = edge->dirty[i];
        connection->is_dirty = false;
        give_replies(edge, connection);
        /* A driver that gets rid of all of it at once has nothing to tell. */
        bool waits = connection->in.size > 0 || connection->left.size > 0 || connection->has_ended;
        if (waits && connection->out.size >= MOOT_OUTPUT_SOFT) {
            edge__want_pump(edge, connection);
        }
        moot_buffer_reset(&connection->out, 64 * 1024);
        edge__count(edge, connection);
        if (connection->unsent > MOOT_OUTPUT_HARD) {
            MOOT_SOMETIMES(true, "a slow reader was closed");
            edge__close(edge, connection);
        }
        if (connection->is_closing && connection->slot_count == 0) {
            edge__close(edge, connection);
        }
    }
    edge->dirty_count = 0;
}

struct moot_instant moot_edge_deadline(const struct moot_edge *edge)
{
    struct moot_instant deadline = edge->pump_count > 0 ? edge->now.instant : MOOT_NEVER;
    if (edge->clients_over.ns != MOOT_NEVER.ns) {
        deadline = moot_instant_min(deadline, edge->clients_look);
    }
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        deadline = moot_instant_min(deadline, moot_stream_edge_deadline(&edge->streams[group]));
    }
    for (size_t i = 0; i < edge->blocked_count; i++) {
        if (!edge->blocked[i].retrying) { /* Else its answer comes first, whenever that is. */
            deadline = moot_instant_min(deadline, edge->blocked[i].deadline);
        }
    }
    return deadline;
}
