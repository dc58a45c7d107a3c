/* Commands that an entry of the log left for later.
 *
 * A read behind a write of its pipeline goes into the log with it, and so do all that follow in the
 * batch. The replies of an entry are bounded, and so is the work of one: a read that does not fit
 * is left, and with it all of its connection behind it, undone, in their order (MOOT_ITEM_CHAINED).
 * The edge keeps them, asks for nothing else of that client meanwhile, and asks for them again:
 * reads that come first outside the log, where they have their parts and long reads; a write when
 * the reads before it are answered. And only when the client has taken what it was given: so a few
 * replies at a time are under way for it, however many it asked for. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/rule.h"
#include "database/edge/edge.h"

_Static_assert(MOOT_LEFT_READS_MAX *MOOT_REPLIES_BYTES_MAX + MOOT_OUTPUT_SOFT <= MOOT_OUTPUT_HARD,
               "who reads is not closed for what it is given at once");

struct left {
    uint64_t slot;
    enum moot_ref_kind kind;
    struct moot_slice item;
    struct moot_item parsed;
};

void edge__left(struct moot_edge *edge, const struct moot_ref *ref, struct moot_slice item)
{
    struct moot_connection *connection = edge__find(edge, ref->connection);
    MOOT_ASSERT(ref->is_chained);
    if (connection == NULL || ref->kind == MOOT_REF_NONE) {
        return; /* Gone, or told that it is in doubt: it is not done. */
    }
    MOOT_SOMETIMES(true, "commands behind a write were left for later");
    MOOT_ASSERT(connection->chained > 0);
    connection->chained--;
    moot_put_u64(&connection->left, ref->slot);
    moot_put_u8(&connection->left, (uint8_t)ref->kind);
    moot_put_bytes(&connection->left, item);
    edge__want_pump(edge, connection);
}

/* Returns the size of what is first. */
static size_t first_left(const struct moot_connection *connection, struct left *out)
{
    struct moot_reader reader = moot_reader_make(moot_buffer_slice(&connection->left));
    out->slot = moot_get_u64(&reader);
    out->kind = (enum moot_ref_kind)moot_get_u8(&reader);
    out->item = moot_get_bytes(&reader);
    struct moot_reader items = moot_reader_make(out->item);
    bool good = moot_item_next(&items, &out->parsed) && !reader.failed;
    MOOT_ASSERT(good);
    return connection->left.size - moot_reader_left(&reader);
}

/* May this one be asked for now? The rule of order of edge.h, again. */
static bool is_next(const struct moot_stream_edge *stream, const struct moot_connection *connection,
                    bool is_read, bool is_behind)
{
    const struct moot_open_reads *reads = &connection->reads;
    bool one_batch = reads->generation == stream->read_generation;
    if (is_behind || reads->count == 0) {
        return true;
    }
    return is_read && one_batch && reads->count < MOOT_LEFT_READS_MAX;
}

static void ask(struct moot_edge *edge, struct moot_connection *connection, const struct left *left,
                bool is_read)
{
    struct moot_stream_edge *stream = &edge->streams[MOOT_GROUP_DB0];
    struct moot_ref ref = {.connection = connection->id, .slot = left->slot, .kind = left->kind};
    uint8_t flags = left->parsed.flags & (uint8_t)~MOOT_ITEM_CHAINED;
    struct moot_buffer *out =
        edge__open_item(edge, connection, MOOT_GROUP_DB0, !is_read, &ref, &flags);
    moot_put_u8(out, flags);
    moot_buffer_append(out, left->item.data + 1, left->item.size - 1);
    moot_stream_edge_added(stream, left->item.size);
}

void edge__ask_again(struct moot_edge *edge, struct moot_connection *connection)
{
    const struct moot_stream_edge *stream = &edge->streams[MOOT_GROUP_DB0];
    struct left left;
    while (connection->left.size > 0) {
        bool in_older =
            connection->chained > 0 && connection->chain_generation != stream->generation;
        bool has_room = connection->unsent + connection->out.size < MOOT_OUTPUT_SOFT &&
                        !edge__is_greedy(edge, connection);
        size_t size = first_left(connection, &left);
        if (edge->is_removed) {
            moot_buffer_reset(&edge->scratch, 4096);
            edge__refuse_removed(edge, &edge->scratch);
            edge__reply(edge, connection, left.slot, moot_buffer_slice(&edge->scratch));
        } else {
            bool is_read = moot_item_is_read(&left.parsed);
            bool is_behind = connection->building[MOOT_GROUP_DB0] == stream->generation;
            if (in_older || !has_room || !is_next(stream, connection, is_read, is_behind)) {
                return;
            }
            ask(edge, connection, &left, is_read);
        }
        moot_buffer_consume(&connection->left, size);
    }
    moot_buffer_reset(&connection->left, 0);
}
