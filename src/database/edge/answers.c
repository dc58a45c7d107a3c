/* What comes back from groups: replies to their clients, sessions that broke, and clients that wait
 * for a list to grow. What does not come back: late.c.
 *
 * A blocked client is a command that answered "waits" and is registered with the leader under its
 * arrival stamp. When the leader wakes it, the edge tries the same command again as an ordinary
 * numbered batch: exactly once, whatever fails. If the client has gone by the time an element
 * arrives for it, the element is pushed back where it came from. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/status.h"
#include "database/command/decimal.h"
#include "database/edge/edge.h"
#include "database/group/entry.h"

/* ---- replies ---- */

/* They stand in order of their ids. */
static struct moot_blocked *find_blocked(struct moot_edge *edge, uint64_t id)
{
    size_t low = 0, high = edge->blocked_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (edge->blocked[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < edge->blocked_count && edge->blocked[low].id == id ? &edge->blocked[low] : NULL;
}

static void remove_blocked(struct moot_edge *edge, struct moot_blocked *blocked)
{
    size_t at = (size_t)(blocked - edge->blocked);
    MOOT_ASSERT(edge->blocked_bytes >= blocked->args->size);
    edge->blocked_bytes -= blocked->args->size;
    moot_block_release(blocked->args);
    edge->blocked_count--;
    memmove(blocked, blocked + 1, sizeof(*blocked) * (edge->blocked_count - at));
}

static void decline_to(struct moot_edge *edge, moot_node_id leader, uint64_t incarnation,
                       uint64_t id)
{
    struct moot_message message = {.kind = MOOT_MESSAGE_DECLINE, .group = MOOT_GROUP_DB0};
    message.wake.incarnation = incarnation;
    message.wake.waiter = id;
    struct moot_post post = {.to = leader, .message = &message};
    moot_outbox_post(edge->outbox, &post);
}

/* The leader need not keep the waiter, and may wake the next. Said once: should it be lost, the
 * leader asks. */
static void decline(struct moot_edge *edge, uint64_t id)
{
    moot_node_id leader = edge->streams[MOOT_GROUP_DB0].leader;
    if (leader != 0) {
        decline_to(edge, leader, edge->incarnation, id);
    }
}

/* Whoever would take an element; NULL: it has gone, or is told nothing more. */
static struct moot_connection *taker(const struct moot_edge *edge, moot_connection_id id)
{
    struct moot_connection *connection = edge__find(edge, id);
    return connection == NULL || connection->is_closed ? NULL : connection;
}

/* An element came for a client that is gone: back to the end it was popped from. */
static void give_back(struct moot_edge *edge, bool from_left, uint8_t database,
                      struct moot_slice reply)
{
    struct moot_resp_value array, key, element;
    size_t a, b, c;
    if (moot_resp_read(reply, &array, &a) != 0 || array.type != MOOT_RESP_ARRAY ||
        array.integer != 2 ||
        moot_resp_read((struct moot_slice){reply.data + a, reply.size - a}, &key, &b) != 0 ||
        moot_resp_read((struct moot_slice){reply.data + a + b, reply.size - a - b}, &element, &c) !=
            0) {
        return;
    }
    MOOT_SOMETIMES(true, "an element was given back for a client that is gone");
    struct moot_slice args[3] = {from_left ? MOOT_SLICE_LITERAL("lpush")
                                           : MOOT_SLICE_LITERAL("rpush"),
                                 key.text, element.text};
    /* It was admitted when it was first pushed: neither a full queue nor a full disk refuses it. */
    struct moot_stream_edge *stream = &edge->streams[MOOT_GROUP_DB0];
    struct moot_ref ref = {.kind = MOOT_REF_GIFT};
    struct moot_buffer *out = moot_stream_edge_add(stream, true, ref, edge->now.instant);
    size_t before = out->size;
    moot_item_put(out, MOOT_ITEM_RETRY, database, (struct moot_slice){NULL, 0}, args, 3);
    moot_stream_edge_added(stream, out->size - before);
}

static bool body_pops_left(struct moot_slice body)
{
    struct moot_reader reader = moot_reader_make(body);
    (void)moot_get_varint(&reader);
    struct moot_slice name = moot_get_bytes(&reader);
    return name.size > 1 && (name.data[1] == 'l' || name.data[1] == 'L'); /* BLPOP, not BRPOP */
}

static void retry_done(struct moot_edge *edge, uint64_t id, struct moot_slice reply)
{
    struct moot_blocked *blocked = find_blocked(edge, id);
    MOOT_ASSERT(blocked != NULL); /* A retrying waiter is kept until its answer. */
    blocked->retrying = false;
    struct moot_connection *connection = taker(edge, blocked->connection);
    if (reply.size == 0 && connection != NULL) {
        blocked->registered = false; /* Somebody was faster: back to the old place. */
        return;
    }
    if (reply.size > 0 && connection == NULL) {
        give_back(edge, blocked->pops_left, blocked->database, reply);
    } else if (reply.size > 0) {
        edge__reply(edge, connection, blocked->slot, reply);
    }
    decline(edge, id);
    remove_blocked(edge, blocked);
}

void edge__add_blocked(struct moot_edge *edge, const struct moot_blocked *made)
{
    MOOT_ASSERT(edge->blocked_count == 0 || edge->blocked[edge->blocked_count - 1].id < made->id);
    if (edge->blocked_count == edge->blocked_capacity) {
        edge->blocked_capacity = edge->blocked_capacity == 0 ? 16 : edge->blocked_capacity * 2;
        edge->blocked =
            moot_realloc(edge->blocked, sizeof(*edge->blocked) * edge->blocked_capacity);
    }
    edge->blocked[edge->blocked_count++] = *made;
    edge->blocked_bytes += made->args->size;
}

/* The seconds of a blocking command's last argument; MOOT_NEVER for 0. Returns an error, or NULL.
 */
static const char *read_timeout(struct moot_slice text, struct moot_instant now,
                                struct moot_instant *deadline)
{
    uint64_t ms;
    const char *error = moot_decimal_timeout(text, &ms);
    if (error == NULL && ms > MOOT_BLOCK_SECONDS_MAX * UINT64_C(1000)) {
        error = "ERR timeout is out of range";
    }
    if (error == NULL) {
        *deadline = ms == 0 ? MOOT_NEVER : moot_instant_add(now, moot_ms(ms));
    }
    return error;
}

/* The end of who sends no more and would have to wait: it looks just like who has gone. So nobody
 * waits for an element on its behalf, as in Redis: it would be lost with the reply. It is closed
 * when it has its earlier replies. */
static void say_nothing(struct moot_edge *edge, struct moot_connection *connection, uint64_t slot)
{
    MOOT_ASSERT(connection->has_ended && connection->waits);
    connection->is_closing = true;
    edge__reply(edge, connection, slot, (struct moot_slice){NULL, 0});
}

/* The first try of a blocking command found nothing (or had to stand behind others). */
static void begin_wait(struct moot_edge *edge, const struct moot_ref *ref, struct moot_slice item,
                       struct moot_stamp arrival)
{
    struct moot_connection *connection = taker(edge, ref->connection);
    if (connection == NULL) {
        return;
    }
    if (connection->has_ended) {
        say_nothing(edge, connection, ref->slot);
        return;
    }
    struct moot_reader reader = moot_reader_make(item);
    struct moot_item parsed;
    bool good = moot_item_next(&reader, &parsed);
    MOOT_ASSERT(good);
    if (edge->blocked_bytes + parsed.body.size > MOOT_WAITING_BYTES_MAX) {
        MOOT_SOMETIMES(true, "a client may not wait: too much is kept for those that do");
        edge__reply(edge, connection, ref->slot,
                    MOOT_SLICE_LITERAL("-OVERLOADED the commands that wait on this node name as "
                                       "many keys as they may; nothing was done\r\n"));
        return;
    }
    struct moot_blocked made = {.id = edge->next_waiter++,
                                .connection = ref->connection,
                                .slot = ref->slot,
                                .args = moot_block_copy(parsed.body),
                                .database = parsed.database,
                                .protocol = connection->protocol,
                                .pops_left = body_pops_left(parsed.body),
                                .arrival = arrival,
                                .deadline = MOOT_NEVER};
    struct moot_reader body = moot_reader_make(parsed.body);
    struct moot_slice *args;
    uint32_t argc;
    moot_arena_reset(&edge->arena);
    if (moot_item_args(&body, &edge->arena, &args, &argc)) {
        const char *error = read_timeout(args[argc - 1], edge->now.instant, &made.deadline);
        MOOT_ASSERT(error == NULL); /* It was looked at when the command came. */
    }
    edge__add_blocked(edge, &made);
}

void edge__deliver(struct moot_edge *edge, const struct moot_ref *ref, struct moot_slice reply)
{
    if (ref->kind == MOOT_REF_NONE || ref->kind == MOOT_REF_GIFT) {
        return;
    }
    if (ref->kind == MOOT_REF_RETRY) {
        retry_done(edge, ref->slot, reply);
        return;
    }
    struct moot_connection *connection = edge__find(edge, ref->connection);
    if (connection == NULL) {
        return;
    }
    if (ref->is_placed_read) {
        MOOT_ASSERT(connection->reads.count > 0);
        connection->reads.count--;
    }
    if (ref->is_chained) {
        MOOT_ASSERT(connection->chained > 0);
        connection->chained--;
    }
    /* Stamps are raw; an error is told by its line end, which no ordinal's high bytes can be. */
    bool is_text =
        reply.size >= 2 && reply.data[reply.size - 1] == '\n' && reply.data[reply.size - 2] == '\r';
    if (ref->kind == MOOT_REF_WATCH && !is_text) {
        edge__watched(edge, connection, ref->slot, reply);
        return;
    }
    if (ref->kind == MOOT_REF_EXEC) {
        edge__exec_done(connection, ref->slot, reply);
    }
    edge__reply(edge, connection, ref->slot, reply);
}

/* Hands the replies of one batch to those who asked; items are walked beside them for what has to
 * wait. */
static void deliver_all(struct moot_edge *edge, struct moot_submission *done,
                        struct moot_slice replies, moot_hlc_stamp stamp)
{
    struct moot_reader reader = moot_reader_make(replies);
    struct moot_slice items = {done->block->data + MOOT_ENTRY_HEADER_BYTES,
                               done->block->size - MOOT_ENTRY_HEADER_BYTES};
    struct moot_reader walk = moot_reader_make(items);
    bool walks = false;
    for (uint32_t i = 0; i < done->ref_count; i++) {
        walks = walks || done->refs[i].kind == MOOT_REF_BLOCK || done->refs[i].is_chained;
    }
    for (uint32_t i = 0; i < done->ref_count; i++) {
        struct moot_slice reply = moot_get_bytes(&reader);
        struct moot_item item = {0};
        size_t at = items.size - moot_reader_left(&walk);
        if (walks && !moot_item_next(&walk, &item)) {
            walks = false;
        }
        size_t end = items.size - moot_reader_left(&walk);
        const struct moot_ref *ref = &done->refs[i];
        if (reader.failed) {
            edge__deliver(edge, ref,
                          MOOT_SLICE_LITERAL(
                              "-INDOUBT the reply was damaged; it may have been executed\r\n"));
        } else if (ref->kind == MOOT_REF_BLOCK && reply.size == 0) {
            begin_wait(edge, ref, moot_slice_make(items.data + at, end - at),
                       (struct moot_stamp){stamp, i});
        } else if (ref->kind == MOOT_REF_BLOCK && taker(edge, ref->connection) == NULL) {
            give_back(edge, body_pops_left(item.body), item.database, reply);
        } else if (ref->is_chained && reply.size == 0) {
            edge__left(edge, ref, moot_slice_make(items.data + at, end - at));
        } else {
            edge__deliver(edge, ref, reply);
        }
    }
}

static void deliver_error(struct moot_edge *edge, struct moot_submission *done,
                          struct moot_slice error)
{
    for (uint32_t i = 0; i < done->ref_count; i++) {
        edge__deliver(edge, &done->refs[i], error);
    }
}

/* Those that were not told anything yet. */
static uint32_t refs_open(const struct moot_submission *submission)
{
    uint32_t open = 0;
    for (uint32_t i = 0; i < submission->ref_count; i++) {
        open += submission->refs[i].kind != MOOT_REF_NONE;
    }
    return open;
}

/* The rest of a batch of reads is asked for, before all that is behind it. */
static void ask_rest(struct moot_edge *edge, struct moot_stream_edge *stream,
                     struct moot_submission *sent, uint64_t wait_ms)
{
    moot_stream_edge_shorten(stream, sent);
    moot_stream_edge_break(stream, moot_instant_add(edge->now.instant, moot_ms(wait_ms)));
}

/* A reply of an earlier try at a batch, after a later one has told more: whoever sent two reads in
 * one pipeline would see the second go back in time. */
static bool is_outdated(const struct moot_submission *sent, moot_hlc_stamp stamp)
{
    return stamp < sent->told_stamp || (sent->kept != NULL && stamp < sent->kept_stamp);
}

/* What a part says of each reference: as it came, or as it was kept. */
static struct moot_slice next_reply(struct moot_reader *came, struct moot_reader *kept)
{
    struct moot_slice reply = moot_get_bytes(came), before = moot_get_bytes(kept);
    reply = came->failed ? (struct moot_slice){NULL, 0} : reply;
    return reply.size > 0 || kept->failed ? reply : before;
}

/* Tells what can be told, and puts what has to wait into `waits`, which stays empty when nothing
 * does. How many are open then. */
static uint32_t tell_part(struct moot_edge *edge, struct moot_submission *sent,
                          struct moot_reader *came, struct moot_reader *kept,
                          struct moot_buffer *waits)
{
    uint32_t open = 0, waiting = 0;
    edge->parts++;
    for (uint32_t i = 0; i < sent->ref_count; i++) {
        struct moot_slice reply = next_reply(came, kept), held = {NULL, 0};
        struct moot_ref told = sent->refs[i];
        struct moot_connection *connection =
            told.kind == MOOT_REF_NONE ? NULL : edge__find(edge, told.connection);
        bool is_behind = connection != NULL && connection->open_in_part == edge->parts;
        if (told.kind != MOOT_REF_NONE && (reply.size == 0 || is_behind)) {
            open++;
            waiting += reply.size > 0;
            held = reply;
            if (connection != NULL) {
                connection->open_in_part = edge->parts;
            }
        } else if (told.kind != MOOT_REF_NONE) {
            MOOT_ASSERT(told.kind == MOOT_REF_REPLY || told.kind == MOOT_REF_WATCH ||
                        told.kind == MOOT_REF_EXEC);
            sent->refs[i].kind = MOOT_REF_NONE;
            edge__deliver(edge, &told, reply);
        }
        moot_put_bytes(waits, held);
    }
    waits->size = waiting > 0 ? waits->size : 0;
    return open;
}

/* Some replies of a batch of reads; the others come later (group/long_reads.c), and are empty here.
 * The batch stays until all are there: if its leader is lost it is sent again as a whole, and what
 * was told already is not told again. Or there are no more replies than one answer may have: then
 * the leader has ended the session, and the rest is asked for before all that is behind it.
 *
 * The replies of one connection are told in the order of its commands, and those of one try at the
 * batch together: a later try sees a later state, and what an earlier one is still at comes after
 * it. */
static void on_part(struct moot_edge *edge, struct moot_stream_edge *stream,
                    struct moot_submission *sent, struct moot_slice replies, moot_hlc_stamp stamp)
{
    struct moot_block *before = sent->kept_stamp == stamp ? sent->kept : NULL;
    struct moot_slice nothing = {NULL, 0};
    struct moot_reader came = moot_reader_make(replies);
    struct moot_reader kept = moot_reader_make(before == NULL ? nothing : moot_block_slice(before));
    struct moot_buffer waits;
    uint32_t count = sent->ref_count;
    MOOT_ASSERT(sent->number != 0);
    if (before == NULL) {
        moot_block_release(sent->kept); /* Of an earlier try. */
    }
    sent->kept = NULL;
    moot_buffer_init(&waits);
    uint32_t open = tell_part(edge, sent, &came, &kept, &waits);
    if (waits.size > 0 && !came.failed) {
        MOOT_SOMETIMES(true, "a reply waited for a longer read of its connection");
        sent->kept = moot_block_copy(moot_buffer_slice(&waits));
        sent->kept_stamp = stamp;
    }
    moot_buffer_deinit(&waits);
    moot_block_release(before);
    sent->told_stamp = open < count ? stamp : sent->told_stamp;
    sent->is_long = !came.failed;
    sent->since = edge->now.instant;
    if (open == 0) {
        moot_stream_edge_remove(stream, sent);
    } else if (came.failed) {
        ask_rest(edge, stream, sent, open < count ? 0 : 10); /* The latter: it went wrong. */
    }
}

static void on_answer(struct moot_edge *edge, struct moot_stream_edge *stream,
                      const struct moot_message *message)
{
    moot_stream_edge_heard(stream, edge->now.instant);
    if (message->answer.kind == MOOT_SUBMIT_WAITERS) {
        moot_stream_edge_waiters_answered(stream, message->answer.number);
        return;
    }
    struct moot_submission *done =
        moot_stream_edge_find(stream, message->answer.kind, message->answer.number);
    if (done == NULL) {
        return; /* Answered before: by the ring of another leader, or twice by the network. */
    }
    bool reads = done->kind == MOOT_SUBMIT_READS;
    bool has_replies = message->answer.status == MOOT_EAGAIN || message->answer.status == 0;
    bool is_in_time = !reads || !has_replies || !is_outdated(done, message->answer.stamp);
    if (!MOOT_RULE(edge_reads_in_order, is_in_time)) {
        MOOT_SOMETIMES(true, "an earlier try at a batch of reads was answered after a later one");
        ask_rest(edge, stream, done, 0);
        return;
    }
    if (message->answer.status == MOOT_EAGAIN && reads) {
        on_part(edge, stream, done, message->answer.replies, message->answer.stamp);
        return;
    }
    struct moot_submission taken = *done; /* Delivering may add to the stream. */
    moot_block_retain(taken.block);
    done->refs = NULL;
    moot_stream_edge_remove(stream, done);
    if (taken.kind == MOOT_SUBMIT_WRITES) {
        moot_stream_edge_answered(stream, taken.ref_count, edge->now.instant);
    }
    MOOT_SOMETIMES(taken.given_up, "an answer came after its clients were told INDOUBT");
    if (message->answer.status == 0) {
        deliver_all(edge, &taken, message->answer.replies, message->answer.stamp);
    } else if (message->answer.status == MOOT_EINDOUBT) {
        edge->counts.in_doubt += refs_open(&taken);
        deliver_error(
            edge, &taken,
            MOOT_SLICE_LITERAL(
                "-INDOUBT executed, but its reply is no longer kept; read before you retry\r\n"));
    } else {
        deliver_error(
            edge, &taken,
            MOOT_SLICE_LITERAL("-ERR the batch was refused as malformed; nothing was done\r\n"));
    }
    moot_free(taken.refs);
    moot_block_release(taken.block);
}

static void on_nack(struct moot_edge *edge, struct moot_stream_edge *stream, moot_node_id from,
                    const struct moot_message *message)
{
    bool current = message->nack.epoch == stream->epoch || message->nack.epoch == UINT64_MAX;
    if (!current || from != stream->leader) {
        return;
    }
    uint64_t wait_ms = message->nack.status == MOOT_EOVERLOADED ? 20
                       : message->nack.status == MOOT_EAGAIN    ? 0
                                                                : 10;
    moot_stream_edge_break(stream, moot_instant_add(edge->now.instant, moot_ms(wait_ms)));
    MOOT_SOMETIMES(true, "a session was refused and begun again");
}

/* Also of a process that was here before: its clients went with it. */
static void on_ask(struct moot_edge *edge, moot_node_id from, const struct moot_message *message)
{
    uint64_t incarnation = message->wake.incarnation, id = message->wake.waiter;
    if (incarnation != edge->incarnation || find_blocked(edge, id) == NULL) {
        MOOT_SOMETIMES(true, "a leader asked after a waiter that had gone");
        decline_to(edge, from, incarnation, id);
    }
}

static void on_wake(struct moot_edge *edge, moot_node_id from, uint64_t id)
{
    struct moot_blocked *blocked = find_blocked(edge, id);
    if (blocked == NULL) {
        decline_to(edge, from, edge->incarnation, id);
        return;
    }
    if (blocked->retrying || !blocked->registered) {
        return;
    }
    struct moot_connection *connection = edge__find(edge, blocked->connection);
    MOOT_ASSERT(connection != NULL); /* edge__client_gone takes care of that. */
    blocked->retrying = true;
    struct moot_stream_edge *stream = &edge->streams[MOOT_GROUP_DB0];
    struct moot_ref ref = {.connection = blocked->connection, .slot = id, .kind = MOOT_REF_RETRY};
    struct moot_buffer *out = moot_stream_edge_add(stream, true, ref, edge->now.instant);
    size_t before = out->size;
    uint8_t flags = MOOT_ITEM_BLOCKING | MOOT_ITEM_RETRY;
    moot_put_u8(out, blocked->protocol == 3 ? flags | MOOT_ITEM_RESP3 : flags);
    moot_put_u8(out, blocked->database);
    moot_buffer_append_slice(out, moot_block_slice(blocked->args));
    moot_stream_edge_added(stream, out->size - before);
}

void moot_edge_receive(struct moot_edge *edge, moot_node_id from,
                       const struct moot_message *message)
{
    struct moot_stream_edge *stream = &edge->streams[message->group];
    if (message->kind == MOOT_MESSAGE_ASK) {
        on_ask(edge, from, message);
        return;
    }
    uint64_t incarnation = message->kind == MOOT_MESSAGE_ANSWER ? message->answer.incarnation
                           : message->kind == MOOT_MESSAGE_NACK ? message->nack.incarnation
                                                                : message->wake.incarnation;
    if (incarnation != edge->incarnation) {
        return; /* For the process that was here before. */
    }
    if (message->kind == MOOT_MESSAGE_ANSWER) {
        on_answer(edge, stream, message);
    } else if (message->kind == MOOT_MESSAGE_NACK) {
        on_nack(edge, stream, from, message);
    } else if (message->group == MOOT_GROUP_DB0) {
        on_wake(edge, from, message->wake.waiter);
    }
}

void moot_edge_part(struct moot_edge *edge, moot_node_id from, const struct moot_message *message)
{
    struct moot_stream_edge *stream = &edge->streams[message->group];
    MOOT_ASSERT(message->kind == MOOT_MESSAGE_ANSWER);
    if (message->answer.incarnation == edge->incarnation && from == stream->leader) {
        moot_stream_edge_moved(stream, edge->now.instant);
    }
}

void moot_edge_peer_changed(struct moot_edge *edge, moot_node_id node)
{
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        if (edge->streams[group].leader == node) {
            moot_stream_edge_break(&edge->streams[group], edge->now.instant);
        }
    }
}

/* ---- blocking ---- */

void edge__block(struct moot_edge *edge, struct moot_connection *connection,
                 const struct moot_command *command, const struct moot_slice *args, uint32_t argc)
{
    (void)command;
    struct moot_instant deadline;
    const char *error = read_timeout(args[argc - 1], edge->now.instant, &deadline);
    if (error != NULL) {
        edge__error(edge, connection, error);
        return;
    }
    if (connection->with_id != NULL) {
        edge__error(edge, connection,
                    "ERR a command that may wait has no id: WITH ID goes with LPOP and RPOP");
        return;
    }
    /* Nothing behind it is looked at before it is answered, as in Redis. */
    connection->barrier = edge__submit(edge, connection, MOOT_GROUP_DB0, true, MOOT_ITEM_BLOCKING,
                                       connection->database, args, argc, MOOT_REF_BLOCK);
    connection->waits = connection->barrier;
}

void edge__client_gone(struct moot_edge *edge, struct moot_connection *connection)
{
    for (size_t i = edge->blocked_count; i > 0; i--) {
        struct moot_blocked *blocked = &edge->blocked[i - 1];
        if (blocked->connection == connection->id && !blocked->retrying) {
            decline(edge, blocked->id);
            remove_blocked(edge, blocked);
        }
    }
}

void edge__end_wait(struct moot_edge *edge, struct moot_connection *connection)
{
    MOOT_ASSERT(connection->has_ended && connection->waits);
    struct moot_blocked *blocked = NULL;
    for (size_t i = 0; i < edge->blocked_count && blocked == NULL; i++) {
        blocked = edge->blocked[i].connection == connection->id ? &edge->blocked[i] : NULL;
    }
    if (blocked == NULL) {
        MOOT_SOMETIMES(true, "a client ended while the first try of its pop was under way");
        edge__leave_late(edge, connection);
        return; /* Else its answer decides: begin_wait. */
    }
    say_nothing(edge, connection, blocked->slot);
    if (blocked->retrying) {
        blocked->connection = EDGE_NOBODY; /* What comes is given back. */
    } else {
        decline(edge, blocked->id);
        remove_blocked(edge, blocked);
    }
}

bool edge__unblock(struct moot_edge *edge, struct moot_connection *connection,
                   struct moot_slice reply)
{
    for (size_t i = 0; i < edge->blocked_count; i++) {
        struct moot_blocked *blocked = &edge->blocked[i];
        if (blocked->connection == connection->id && !blocked->retrying) {
            edge__reply(edge, connection, blocked->slot, reply);
            decline(edge, blocked->id);
            remove_blocked(edge, blocked);
            return true;
        }
    }
    return false;
}

void edge__end_waits(struct moot_edge *edge, struct moot_slice reply)
{
    for (size_t i = edge->blocked_count; i > 0; i--) {
        struct moot_blocked *blocked = &edge->blocked[i - 1];
        struct moot_connection *connection = edge__find(edge, blocked->connection);
        if (!blocked->retrying) {
            MOOT_ASSERT(connection != NULL); /* edge__client_gone takes care of that. */
            edge__reply(edge, connection, blocked->slot, reply);
            decline(edge, blocked->id);
            remove_blocked(edge, blocked);
        }
    }
}

bool edge__leave_try(struct moot_edge *edge, uint64_t id, struct moot_slice reply)
{
    struct moot_blocked *blocked = find_blocked(edge, id);
    MOOT_ASSERT(blocked != NULL && blocked->retrying);
    struct moot_connection *connection = edge__find(edge, blocked->connection);
    blocked->connection = EDGE_NOBODY;
    if (connection != NULL) {
        edge__reply(edge, connection, blocked->slot, reply);
    }
    return connection != NULL;
}

void edge__blocked_tick(struct moot_edge *edge)
{
    for (size_t i = edge->blocked_count; i > 0; i--) {
        struct moot_blocked *blocked = &edge->blocked[i - 1];
        bool over = !moot_instant_before(edge->now.instant, blocked->deadline);
        if (!over || blocked->retrying) {
            continue; /* A try under way may still bring an element. */
        }
        struct moot_connection *connection = edge__find(edge, blocked->connection);
        if (connection != NULL) {
            edge__reply(edge, connection, blocked->slot,
                        blocked->protocol == 3 ? MOOT_SLICE_LITERAL("_\r\n")
                                               : MOOT_SLICE_LITERAL("*-1\r\n"));
        }
        decline(edge, blocked->id);
        remove_blocked(edge, blocked);
    }
}

static void put_wish(struct moot_edge *edge, const struct moot_blocked *blocked,
                     struct moot_buffer *out)
{
    struct moot_reader body = moot_reader_make(moot_block_slice(blocked->args));
    struct moot_slice *args;
    uint32_t argc;
    moot_arena_reset(&edge->arena);
    bool good = moot_item_args(&body, &edge->arena, &args, &argc);
    MOOT_ASSERT(good);
    struct moot_waiter_wish wish = {.id = blocked->id,
                                    .arrival = blocked->arrival,
                                    .database = blocked->database,
                                    .key_count = argc - 2,
                                    .keys = args + 1};
    moot_waiter_wish_put(out, &wish);
}

/* In pieces: each is one message. Without a leader they are all registered when there is one. */
void edge__register_waiters(struct moot_edge *edge, bool all)
{
    struct moot_stream_edge *stream = &edge->streams[MOOT_GROUP_DB0];
    struct moot_buffer *wishes = &edge->scratch;
    bool sent = true;
    moot_buffer_reset(wishes, 1024 * 1024);
    for (size_t i = 0; i < edge->blocked_count && sent; i++) {
        struct moot_blocked *blocked = &edge->blocked[i];
        if (blocked->retrying || (blocked->registered && !all)) {
            continue;
        }
        put_wish(edge, blocked, wishes);
        blocked->registered = true;
        if (wishes->size >= MOOT_BATCH_BYTES_MAX) {
            sent = moot_stream_edge_send_waiters(stream, edge->outbox, moot_buffer_slice(wishes));
            wishes->size = 0;
        }
    }
    if (sent && wishes->size > 0) {
        (void)moot_stream_edge_send_waiters(stream, edge->outbox, moot_buffer_slice(wishes));
    }
}
