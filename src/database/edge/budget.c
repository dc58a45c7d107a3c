/* What the buffers of all clients may take together.
 *
 * Each connection's bytes are counted: what it has sent and is not parsed, what is queued by MULTI
 * and watched, replies that wait for their turn or for the driver, and what the driver holds for
 * it. Every limit of one connection would be true and useless times ten thousand, so there is one
 * for all, in two steps, as Redis has them for one client's output:
 *
 *   - past MOOT_CLIENTS_SOFT_BYTES nothing more is read from those that hold more than the average;
 *     what is kept for later in empty buffers is given back;
 *   - past MOOT_CLIENTS_BYTES_MAX the one that holds most is closed, at once, and the next;
 *   - if the first lasts MOOT_CLIENTS_PATIENCE_MS, who does not read is closed, most unread first:
 *     else some that never read again would stop everybody else who holds much for a moment.
 *
 * Who holds little is served all the time: the average of what is too much is far above it. */
#include "base/assert.h"
#include "base/limits.h"
#include "base/rule.h"
#include "database/edge/edge.h"

void edge__count(struct moot_edge *edge, struct moot_connection *connection)
{
    size_t held = moot_connection_bytes(connection);
    MOOT_ASSERT(edge->clients_bytes >= connection->held);
    edge->clients_bytes = edge->clients_bytes - connection->held + held;
    connection->held = held;
}

/* The greatest by what it does not read, or by all that it holds; NULL: nobody has any. */
static struct moot_connection *greediest(const struct moot_edge *edge, bool by_unread)
{
    struct moot_connection *most = NULL;
    uint64_t most_bytes = 0;
    for (size_t i = 0; i < edge->table_capacity; i++) {
        struct moot_connection *connection = edge->table[i];
        uint64_t bytes = connection == NULL ? 0 : by_unread ? connection->unsent : connection->held;
        if (bytes > most_bytes || (bytes > 0 && bytes == most_bytes && connection->id < most->id)) {
            most = connection;
            most_bytes = bytes;
        }
    }
    return most;
}

static void tell(struct moot_edge *edge, const struct moot_connection *first, uint64_t before,
                 uint64_t count)
{
    struct moot_buffer line;
    moot_buffer_init(&line);
    moot_buffer_append_text(&line, "clients were closed: their buffers held ");
    moot_buffer_append_u64(&line, before);
    moot_buffer_append_text(&line, " bytes together, and may hold ");
    moot_buffer_append_u64(&line, edge->clients_bytes_max);
    moot_buffer_append_text(&line, " (for a while ");
    moot_buffer_append_u64(&line, edge__clients_soft_bytes(edge));
    moot_buffer_append_text(&line, "); the first was client ");
    moot_buffer_append_u64(&line, first->number);
    moot_buffer_append_text(&line, " from ");
    moot_buffer_append_text(&line, first->address);
    moot_buffer_append_text(&line, " with ");
    moot_buffer_append_u64(&line, first->held);
    moot_buffer_append_text(&line, ", of which it had not read ");
    moot_buffer_append_u64(&line, first->unsent);
    moot_buffer_append_text(&line, count > 1 ? "; clients closed: " : "");
    if (count > 1) {
        moot_buffer_append_u64(&line, count);
    }
    moot_outbox_log(edge->outbox, MOOT_LOG_WARN, moot_buffer_slice(&line));
    moot_buffer_deinit(&line);
}

/* Nothing of it stays: what it has not read is dropped by the driver, too. */
static void evict(struct moot_edge *edge, struct moot_connection *connection)
{
    struct moot_effect *effect = moot_outbox_effect(edge->outbox, MOOT_EFFECT_CLIENT_CLOSE);
    effect->client.connection = connection->id;
    effect->client.on = true;
    edge->counts.evicted++;
    moot_edge_closed(edge, connection->id);
}

static void evict_down_to(struct moot_edge *edge, uint64_t bytes, bool unread_first)
{
    uint64_t before = edge->clients_bytes, count = 0;
    struct moot_connection first = {0};
    while (edge->clients_bytes > bytes) {
        struct moot_connection *next = unread_first ? greediest(edge, true) : NULL;
        next = next != NULL ? next : greediest(edge, false);
        MOOT_ASSERT(next != NULL);
        first = count++ == 0 ? *next : first;
        evict(edge, next);
    }
    if (count > 0) {
        MOOT_SOMETIMES(true, "clients were closed for what all held together");
        tell(edge, &first, before, count);
    }
}

/* Those that may go on do so; buffers that are kept empty for later are given back. */
static void look(struct moot_edge *edge)
{
    for (size_t i = 0; i < edge->table_capacity; i++) {
        struct moot_connection *connection = edge->table[i];
        if (connection == NULL) {
            continue;
        }
        moot_connection_trim(connection);
        edge__count(edge, connection);
        bool asks = connection->left.size > 0;
        bool waits = connection->is_paused || connection->in.size > 0 || connection->has_ended;
        if ((asks || (waits && !connection->is_closing)) && !edge__is_greedy(edge, connection)) {
            edge__want_pump(edge, connection);
        }
    }
}

/* At the end of a turn, before the replies leave: then what every client is owed is known. */
void edge__bound_clients(struct moot_edge *edge)
{
    for (size_t i = 0; i < edge->dirty_count; i++) {
        edge__count(edge, edge->dirty[i]); /* Until here a reply was counted as its bytes. */
    }
    bool was_over = edge->clients_over.ns != MOOT_NEVER.ns;
    bool over = edge->clients_bytes > edge__clients_soft_bytes(edge);
    if (!over && !was_over && !edge->has_greedy) {
        return;
    }
    MOOT_SOMETIMES(!over && !was_over, "all held too much only within a turn");
    struct moot_instant now = edge->now.instant;
    if (!was_over) {
        edge->clients_over = edge->clients_look = now;
    }
    if (edge->clients_bytes > edge->clients_bytes_max) {
        look(edge);
        evict_down_to(edge, edge->clients_bytes_max, false);
    }
    struct moot_instant patience =
        moot_instant_add(edge->clients_over, moot_ms(MOOT_CLIENTS_PATIENCE_MS));
    if (!moot_instant_before(now, patience)) {
        evict_down_to(edge, edge__clients_soft_bytes(edge), true);
    }
    over = edge->clients_bytes > edge__clients_soft_bytes(edge);
    if (!over || !moot_instant_before(now, edge->clients_look)) {
        look(edge);
        edge->clients_look = moot_instant_add(now, moot_ms(MOOT_CLIENTS_LOOK_MS));
    }
    edge->clients_over = over ? edge->clients_over : MOOT_NEVER;
    edge->has_greedy = over;
}

void moot_edge_check(const struct moot_edge *edge)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < edge->table_capacity; i++) {
        const struct moot_connection *connection = edge->table[i];
        if (connection != NULL) {
            MOOT_ASSERT(connection->held == moot_connection_bytes(connection));
            bytes += connection->held;
        }
    }
    MOOT_ASSERT(bytes == edge->clients_bytes);
    MOOT_ASSERT(bytes <= edge->clients_bytes_max);
}
