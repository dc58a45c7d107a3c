/* What has no answer: commands whose time is over, and those of a node that is no member any more.
 *
 * What never left is surely not done, and its client is told so. What left is in doubt: it may have
 * been executed, or may yet be. A pop is not told "in doubt" as long as its fate may still become
 * known; but a removed node may never hear of it. An element that comes after its client was told
 * is given back. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/rule.h"
#include "database/edge/edge.h"
#include "database/group/entry.h"

enum { ADDRESSES_TOLD = 3 };

#define NOT_DONE                                                                                   \
    "-CLUSTERDOWN no leader could be reached in time; surely not done, safe to retry\r\n"

/* Those of a batch's items that are elements on their way back to their lists. */
static void collect_gifts(const struct moot_submission *batch, struct moot_buffer *gifts)
{
    struct moot_slice whole =
        batch->block != NULL ? moot_block_slice(batch->block) : moot_buffer_slice(&batch->items);
    struct moot_slice items = {whole.data + MOOT_ENTRY_HEADER_BYTES,
                               whole.size - MOOT_ENTRY_HEADER_BYTES};
    struct moot_reader reader = moot_reader_make(items);
    struct moot_item item;
    for (uint32_t i = 0; i < batch->ref_count; i++) {
        size_t from = items.size - moot_reader_left(&reader);
        bool good = moot_item_next(&reader, &item);
        MOOT_ASSERT(good);
        if (batch->refs[i].kind == MOOT_REF_GIFT) {
            size_t to = items.size - moot_reader_left(&reader);
            moot_buffer_append(gifts, items.data + from, to - from);
        }
    }
}

/* The batch never left: they go with a later one, however long that takes. But from a node that was
 * removed nothing is taken. */
static void give_again(struct moot_edge *edge, struct moot_stream_edge *stream,
                       struct moot_buffer *gifts)
{
    struct moot_slice items = moot_buffer_slice(gifts);
    struct moot_reader reader = moot_reader_make(items);
    struct moot_item item;
    for (size_t from = 0; !edge->is_removed && moot_item_next(&reader, &item);) {
        MOOT_SOMETIMES(true, "an element on its way back waited for a leader");
        size_t to = items.size - moot_reader_left(&reader);
        struct moot_ref ref = {.kind = MOOT_REF_GIFT};
        struct moot_buffer *out = moot_stream_edge_add(stream, true, ref, edge->now.instant);
        moot_buffer_append(out, items.data + from, to - from);
        moot_stream_edge_added(stream, to - from);
        from = to;
    }
    moot_buffer_deinit(gifts);
}

/* The batch never left: a waiter's new try goes back to its place. */
static void deliver_not_done(struct moot_edge *edge, struct moot_submission *unsent,
                             struct moot_slice error)
{
    for (uint32_t i = 0; i < unsent->ref_count; i++) {
        bool waits = unsent->refs[i].kind == MOOT_REF_RETRY;
        edge->counts.timed_out += !waits;
        edge__deliver(edge, &unsent->refs[i], waits ? (struct moot_slice){NULL, 0} : error);
    }
}

/* A first try that may never be answered is told so; an element that comes all the same finds
 * nobody, and is given back. */
static void leave_pop(struct moot_edge *edge, struct moot_ref *ref, struct moot_slice error)
{
    MOOT_ASSERT(ref->kind == MOOT_REF_BLOCK);
    struct moot_ref told = *ref;
    told.kind = MOOT_REF_REPLY;
    ref->connection = EDGE_NOBODY;
    edge->counts.in_doubt++;
    edge__deliver(edge, &told, error);
}

static bool has_ended(const struct moot_edge *edge, moot_connection_id id)
{
    const struct moot_connection *connection = edge__find(edge, id);
    return connection != NULL && connection->has_ended;
}

/* Tells the clients of a batch that has no answer, *count of them; but not those that may get an
 * element: who was told INDOUBT would not take it, and it would be lost when the pop runs after
 * all. They are prepared to wait, and wait until it is known, unless they send no more. */
static void deliver_late(struct moot_edge *edge, struct moot_submission *sent,
                         struct moot_slice error, uint64_t *count)
{
    for (uint32_t i = 0; i < sent->ref_count; i++) {
        struct moot_ref told = sent->refs[i];
        bool pops = told.kind == MOOT_REF_RETRY || told.kind == MOOT_REF_BLOCK;
        if (MOOT_RULE(edge_pop_resolved_before_answer, !pops)) {
            sent->refs[i].kind = MOOT_REF_NONE;
            *count += told.kind != MOOT_REF_NONE && told.kind != MOOT_REF_GIFT;
            edge__deliver(edge, &told, error);
        } else if (told.kind == MOOT_REF_BLOCK && has_ended(edge, told.connection)) {
            leave_pop(edge, &sent->refs[i], error);
        }
    }
}

/* A batch that never left is surely not done. */
static void give_up_building(struct moot_edge *edge, struct moot_stream_edge *stream,
                             struct moot_submission *building, struct moot_slice error)
{
    struct moot_submission taken = *building;
    struct moot_buffer gifts;
    moot_buffer_init(&gifts);
    collect_gifts(building, &gifts);
    building->refs = NULL;
    building->ref_capacity = 0;
    moot_stream_edge_drop_building(building, stream);
    deliver_not_done(edge, &taken, error);
    give_again(edge, stream, &gifts);
    moot_free(taken.refs);
}

/* Also one that is full, but has waited for a leader or for its turn. */
static void give_up_unsent(struct moot_edge *edge, struct moot_stream_edge *stream,
                           struct moot_submission *unsent, struct moot_slice error)
{
    struct moot_submission taken = *unsent;
    struct moot_buffer gifts;
    moot_buffer_init(&gifts);
    collect_gifts(unsent, &gifts);
    unsent->refs = NULL;
    moot_stream_edge_remove(stream, unsent);
    deliver_not_done(edge, &taken, error);
    give_again(edge, stream, &gifts);
    moot_free(taken.refs);
}

#define IN_DOUBT                                                                                   \
    "-INDOUBT no answer from the leader in time; it may have been executed, or may yet be; read "  \
    "before you retry\r\n"

static void give_up_writes(struct moot_edge *edge, struct moot_submission *sent)
{
    deliver_late(edge, sent, MOOT_SLICE_LITERAL(IN_DOUBT), &edge->counts.in_doubt);
}

/* Nobody waits for them any more: they are not asked for again, and an answer finds nothing. */
static void give_up_reads(struct moot_edge *edge, struct moot_stream_edge *stream,
                          struct moot_submission *sent)
{
    struct moot_submission taken = *sent;
    sent->refs = NULL;
    moot_stream_edge_remove(stream, sent);
    deliver_late(
        edge, &taken,
        MOOT_SLICE_LITERAL(
            "-TRYAGAIN no answer from the leader in time; surely not done, safe to retry\r\n"),
        &edge->counts.timed_out);
    moot_free(taken.refs);
}

void edge__leave_late(struct moot_edge *edge, const struct moot_connection *connection)
{
    struct moot_stream_edge *stream = &edge->streams[MOOT_GROUP_DB0];
    MOOT_ASSERT(connection->has_ended);
    for (size_t i = 0; i < stream->sent_count; i++) {
        struct moot_submission *sent = &stream->sent[i];
        for (uint32_t at = 0; sent->given_up && at < sent->ref_count; at++) {
            struct moot_ref *ref = &sent->refs[at];
            if (ref->kind == MOOT_REF_BLOCK && ref->connection == connection->id) {
                leave_pop(edge, ref, MOOT_SLICE_LITERAL(IN_DOUBT));
            }
        }
    }
}

void edge__time_outs(struct moot_edge *edge)
{
    struct moot_duration limit = moot_ms(MOOT_REQUEST_TIMEOUT_MS);
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        struct moot_stream_edge *stream = &edge->streams[group];
        struct moot_submission *building[2] = {&stream->writes, &stream->reads};
        if (stream->queued_commands == 0) {
            continue; /* Nothing waits. */
        }
        for (int i = 0; i < 2; i++) {
            if (building[i]->ref_count > 0 &&
                !moot_instant_before(edge->now.instant,
                                     moot_instant_add(building[i]->since, limit))) {
                give_up_building(edge, stream, building[i], MOOT_SLICE_LITERAL(NOT_DONE));
            }
        }
        for (size_t i = 0; i < stream->sent_count; i++) {
            struct moot_submission *sent = &stream->sent[i];
            bool over =
                !moot_instant_before(edge->now.instant, moot_stream_edge_over(stream, sent));
            if (!over || sent->given_up) {
                continue;
            }
            if (sent->number == 0) {
                give_up_unsent(edge, stream, sent, MOOT_SLICE_LITERAL(NOT_DONE));
                i--;
                continue;
            }
            if (sent->kind == MOOT_SUBMIT_READS) {
                give_up_reads(edge, stream, sent);
                i--;
                continue;
            }
            /* The numbers of a stream have no holes: the batch stays, and is executed once, or
             * never if this edge dies. */
            sent->given_up = true;
            struct moot_submission told = *sent;
            give_up_writes(edge, &told);
        }
    }
}

/* ---- no member any more ---- */

void edge__refuse_removed(const struct moot_edge *edge, struct moot_buffer *out)
{
    moot_buffer_append_text(
        out, "-CLUSTERDOWN this node was removed from the cluster; surely not done; connect to");
    uint32_t told = 0;
    for (uint32_t i = 0; i < edge->directory->count && told < ADDRESSES_TOLD; i++) {
        const struct moot_directory_node *node = &edge->directory->nodes[i];
        if (node->state == MOOT_NODE_MEMBER && node->address.node != edge->identity->node) {
            moot_buffer_append_text(out, told++ > 0 ? " or " : " ");
            moot_buffer_append_text(out, node->address.client);
        }
    }
    moot_buffer_append_text(out, told > 0 ? "\r\n" : " another\r\n");
}

/* Nobody takes anything from here: no leader is known, or there is no link to it. */
static bool is_alone(const struct moot_edge *edge, const struct moot_stream_edge *stream)
{
    moot_node_id leader = stream->leader;
    return leader == 0 ||
           (leader != edge->identity->node && !moot_peers_linked(edge->peers, leader));
}

static void give_up_all_unsent(struct moot_edge *edge, struct moot_stream_edge *stream,
                               struct moot_slice error)
{
    if (stream->writes.ref_count > 0) {
        give_up_building(edge, stream, &stream->writes, error);
    }
    if (stream->reads.ref_count > 0) {
        give_up_building(edge, stream, &stream->reads, error);
    }
    while (stream->sent_count > stream->numbered) {
        give_up_unsent(edge, stream, &stream->sent[stream->sent_count - 1], error);
    }
}

/* The pops of a batch that may never be answered; an element that comes all the same finds nobody.
 */
static void leave_pops(struct moot_edge *edge, struct moot_submission *sent)
{
    struct moot_slice error = MOOT_SLICE_LITERAL(
        "-INDOUBT this node was removed from the cluster, and no answer came in time; it may have "
        "been executed; read before you retry\r\n");
    for (uint32_t i = 0; i < sent->ref_count; i++) {
        struct moot_ref *ref = &sent->refs[i];
        if (ref->kind == MOOT_REF_RETRY) {
            edge->counts.in_doubt += edge__leave_try(edge, ref->slot, error);
        } else if (ref->kind == MOOT_REF_BLOCK && ref->connection != EDGE_NOBODY) {
            leave_pop(edge, ref, error);
        }
    }
}

void edge__removed_tick(struct moot_edge *edge)
{
    struct moot_duration limit = moot_ms(MOOT_REQUEST_TIMEOUT_MS);
    struct moot_buffer text;
    moot_buffer_init(&text);
    edge__refuse_removed(edge, &text);
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        struct moot_stream_edge *stream = &edge->streams[group];
        if (is_alone(edge, stream)) { /* Else it may still be taken, for a moment. */
            give_up_all_unsent(edge, stream, moot_buffer_slice(&text));
        }
        for (size_t i = 0; i < stream->sent_count; i++) {
            struct moot_submission *sent = &stream->sent[i];
            struct moot_instant over =
                moot_instant_add(sent->since, limit); /* Also a long read's. */
            if (sent->number == 0 || moot_instant_before(edge->now.instant, over)) {
                continue;
            }
            if (sent->kind == MOOT_SUBMIT_READS) {
                give_up_reads(edge, stream, sent);
                i--;
                continue;
            }
            if (!sent->given_up) {
                sent->given_up = true;
                give_up_writes(edge, sent);
            }
            leave_pops(edge, sent);
        }
    }
    edge__end_waits(edge, moot_buffer_slice(&text));
    moot_buffer_deinit(&text);
}
