#include "database/group/message.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/status.h"
#include "database/group/entry.h"
#include "database/system/directory.h"

/* ---- Raft ---- */

static void encode_raft(const struct moot_raft_message *raft, struct moot_buffer *out)
{
    moot_put_u8(out, (uint8_t)raft->kind);
    moot_put_u32(out, raft->from);
    moot_put_u32(out, raft->to);
    moot_put_u64(out, raft->term);
    moot_put_u64(out, raft->session);
    moot_put_u64(out, raft->wall_ms);
    switch (raft->kind) {
    case MOOT_RAFT_PRE_VOTE:
    case MOOT_RAFT_VOTE:
        moot_put_u64(out, raft->vote.last_index);
        moot_put_u64(out, raft->vote.last_term);
        moot_put_u8(out, raft->vote.transfer);
        return;
    case MOOT_RAFT_PRE_VOTE_REPLY:
    case MOOT_RAFT_VOTE_REPLY:
        moot_put_u8(out, raft->vote_reply.granted);
        return;
    case MOOT_RAFT_APPEND:
        moot_put_u64(out, raft->append.previous_index);
        moot_put_u64(out, raft->append.previous_term);
        moot_put_u64(out, raft->append.commit);
        moot_put_u64(out, raft->append.round);
        moot_put_u32(out, raft->append.count);
        return; /* The entries' heads follow: encode_entries. */
    case MOOT_RAFT_APPEND_REPLY:
        moot_put_u8(out, raft->append_reply.accepted);
        moot_put_u64(out, raft->append_reply.match);
        moot_put_u64(out, raft->append_reply.hint_index);
        moot_put_u64(out, raft->append_reply.hint_term);
        moot_put_u64(out, raft->append_reply.previous_index);
        moot_put_u64(out, raft->append_reply.round);
        moot_put_u64(out, raft->append_reply.applied);
        return;
    case MOOT_RAFT_SNAPSHOT:
        moot_put_u64(out, raft->snapshot.index);
        moot_put_u64(out, raft->snapshot.index_term);
        moot_members_encode(&raft->snapshot.members, out);
        return;
    case MOOT_RAFT_SNAPSHOT_REPLY:
        moot_put_u8(out, raft->snapshot_reply.installed);
        moot_put_u64(out, raft->snapshot_reply.index);
        return;
    case MOOT_RAFT_TIMEOUT_NOW:
        return;
    case MOOT_RAFT_MESSAGE_KINDS:
        break;
    }
    MOOT_UNREACHABLE();
}

/* Heads first, then (as parts of the message, or here on decoding) all bytes: so that a receiver
 * knows the whole shape early. */
static void encode_entries(const struct moot_raft_entry *entries, uint32_t count,
                           struct moot_buffer *out)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct moot_raft_entry *entry = &entries[i];
        moot_put_u64(out, entry->term);
        moot_put_u32(out, entry->size);
        moot_put_u8(out, (uint8_t)entry->kind);
    }
}

static bool decode_entry_members(struct moot_slice bytes, struct moot_arena *arena,
                                 struct moot_raft_entry *entry)
{
    struct moot_entry envelope;
    if (moot_entry_decode(bytes, &envelope) != 0 || envelope.kind != MOOT_ENTRY_MEMBERS) {
        return false;
    }
    struct moot_members *members = moot_arena_alloc(arena, sizeof(*members));
    struct moot_reader body = moot_reader_make(envelope.body);
    entry->members = members;
    if (!moot_members_decode(&body, members)) {
        return false;
    }
    struct moot_address address;
    while (moot_directory_next_address(&body, &address)) {
    }
    return !body.failed;
}

/* An entry must have the header that every reader of the log counts on. What the header says is
 * judged when it is executed, by a release that knows it; but a configuration must come as one: in
 * disguise it would be executed without ever having been in force. */
static bool decode_entry(struct moot_slice bytes, struct moot_arena *arena,
                         struct moot_raft_entry *entry)
{
    if (entry->kind == MOOT_RAFT_ENTRY_MEMBERS) {
        return decode_entry_members(bytes, arena, entry);
    }
    bool disguised = bytes.size >= MOOT_ENTRY_HEADER_BYTES && bytes.data[0] == MOOT_ENTRY_VERSION &&
                     bytes.data[1] == MOOT_ENTRY_MEMBERS;
    return bytes.size >= MOOT_ENTRY_HEADER_BYTES && !disguised;
}

static bool decode_entries(struct moot_reader *reader, struct moot_arena *arena, uint32_t count,
                           const struct moot_raft_entry **entries_out,
                           const struct moot_slice **bytes_out)
{
    if (count > MOOT_RAFT_ENTRIES_PER_APPEND) {
        return false;
    }
    struct moot_raft_entry *entries = moot_arena_alloc(arena, sizeof(*entries) * (count + 1));
    struct moot_slice *bytes = moot_arena_alloc(arena, sizeof(*bytes) * (count + 1));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t term = moot_get_u64(reader);
        uint32_t size = moot_get_u32(reader);
        uint8_t kind = moot_get_u8(reader);
        if (kind > MOOT_RAFT_ENTRY_MEMBERS || size > MOOT_ENTRY_BYTES_MAX) {
            return false;
        }
        entries[i] = (struct moot_raft_entry){
            .term = term, .size = size, .kind = (enum moot_raft_entry_kind)kind};
    }
    for (uint32_t i = 0; i < count; i++) {
        bytes[i] = moot_get_raw(reader, entries[i].size);
        if (reader->failed || !decode_entry(bytes[i], arena, &entries[i])) {
            return false;
        }
    }
    *entries_out = entries;
    *bytes_out = bytes;
    return !reader->failed;
}

static bool decode_raft(struct moot_reader *reader, struct moot_arena *arena,
                        struct moot_message *out)
{
    struct moot_raft_message *raft = &out->raft.message;
    uint8_t kind = moot_get_u8(reader);
    if (kind >= MOOT_RAFT_MESSAGE_KINDS) {
        return false;
    }
    raft->kind = (enum moot_raft_message_kind)kind;
    raft->from = moot_get_u32(reader);
    raft->to = moot_get_u32(reader);
    raft->term = moot_get_u64(reader);
    raft->session = moot_get_u64(reader);
    raft->wall_ms = moot_get_u64(reader);
    switch (raft->kind) {
    case MOOT_RAFT_PRE_VOTE:
    case MOOT_RAFT_VOTE:
        raft->vote.last_index = moot_get_u64(reader);
        raft->vote.last_term = moot_get_u64(reader);
        raft->vote.transfer = moot_get_u8(reader) != 0;
        break;
    case MOOT_RAFT_PRE_VOTE_REPLY:
    case MOOT_RAFT_VOTE_REPLY:
        raft->vote_reply.granted = moot_get_u8(reader) != 0;
        break;
    case MOOT_RAFT_APPEND:
        raft->append.previous_index = moot_get_u64(reader);
        raft->append.previous_term = moot_get_u64(reader);
        raft->append.commit = moot_get_u64(reader);
        raft->append.round = moot_get_u64(reader);
        raft->append.count = moot_get_u32(reader);
        return decode_entries(reader, arena, raft->append.count, &raft->append.entries,
                              &out->raft.bytes);
    case MOOT_RAFT_APPEND_REPLY:
        raft->append_reply.accepted = moot_get_u8(reader) != 0;
        raft->append_reply.match = moot_get_u64(reader);
        raft->append_reply.hint_index = moot_get_u64(reader);
        raft->append_reply.hint_term = moot_get_u64(reader);
        raft->append_reply.previous_index = moot_get_u64(reader);
        raft->append_reply.round = moot_get_u64(reader);
        raft->append_reply.applied = moot_get_u64(reader);
        break;
    case MOOT_RAFT_SNAPSHOT:
        raft->snapshot.index = moot_get_u64(reader);
        raft->snapshot.index_term = moot_get_u64(reader);
        return moot_members_decode(reader, &raft->snapshot.members);
    case MOOT_RAFT_SNAPSHOT_REPLY:
        raft->snapshot_reply.installed = moot_get_u8(reader) != 0;
        raft->snapshot_reply.index = moot_get_u64(reader);
        break;
    case MOOT_RAFT_TIMEOUT_NOW:
    case MOOT_RAFT_MESSAGE_KINDS:
        break;
    }
    return !reader->failed;
}

/* ---- the rest ---- */

static void encode_submit(const struct moot_submit *submit, struct moot_buffer *out)
{
    moot_put_u8(out, (uint8_t)submit->kind);
    moot_put_u64(out, submit->incarnation);
    moot_put_u64(out, submit->epoch);
    moot_put_u64(out, submit->sequence);
    moot_put_u64(out, submit->number);
    moot_buffer_append_slice(out, submit->items);
}

static bool decode_kind(struct moot_reader *reader, enum moot_submit_kind *kind)
{
    uint8_t byte = moot_get_u8(reader);
    *kind = (enum moot_submit_kind)byte;
    return byte >= MOOT_SUBMIT_WRITES && byte <= MOOT_SUBMIT_WAITERS;
}

static struct moot_slice rest(struct moot_reader *reader)
{
    return moot_get_raw(reader, moot_reader_left(reader));
}

static void encode_chunk(const struct moot_message *message, struct moot_buffer *out)
{
    moot_put_u64(out, message->chunk.index);
    moot_put_u64(out, message->chunk.term);
    moot_put_u64(out, message->chunk.session);
    moot_put_u64(out, message->chunk.sequence);
    moot_put_u8(out, message->chunk.last);
    moot_buffer_append_slice(out, message->chunk.chunk);
}

static void encode_hole_give(const struct moot_hole_give *give, struct moot_buffer *out)
{
    moot_put_u64(out, give->last);
    moot_put_u64(out, give->anchor);
    moot_put_u64(out, give->before);
    moot_put_u32(out, give->count);
    encode_entries(give->entries, give->count, out);
}

void moot_message_encode(const struct moot_message *message, struct moot_buffer *out)
{
    moot_put_u8(out, MOOT_MESSAGE_VERSION);
    moot_put_u8(out, (uint8_t)message->kind);
    moot_put_u32(out, message->group);
    switch (message->kind) {
    case MOOT_MESSAGE_RAFT:
        encode_raft(&message->raft.message, out);
        if (message->raft.message.kind == MOOT_RAFT_APPEND) {
            const struct moot_raft_message *raft = &message->raft.message;
            encode_entries(raft->append.entries, raft->append.count, out);
        }
        return;
    case MOOT_MESSAGE_SUBMIT:
        encode_submit(&message->submit, out);
        return;
    case MOOT_MESSAGE_ANSWER:
        moot_put_u8(out, (uint8_t)message->answer.kind);
        moot_put_u64(out, message->answer.incarnation);
        moot_put_u64(out, message->answer.number);
        moot_put_u32(out, (uint32_t)-message->answer.status);
        moot_put_u64(out, message->answer.stamp);
        moot_buffer_append_slice(out, message->answer.replies);
        return;
    case MOOT_MESSAGE_NACK:
        moot_put_u64(out, message->nack.incarnation);
        moot_put_u64(out, message->nack.epoch);
        moot_put_u32(out, message->nack.leader);
        moot_put_u32(out, (uint32_t)-message->nack.status);
        return;
    case MOOT_MESSAGE_WAKE:
    case MOOT_MESSAGE_DECLINE:
    case MOOT_MESSAGE_ASK:
        moot_put_u64(out, message->wake.incarnation);
        moot_put_u64(out, message->wake.waiter);
        return;
    case MOOT_MESSAGE_CHAIN:
        moot_put_u64(out, message->chain.index);
        moot_put_u64(out, message->chain.chain);
        moot_put_u64(out, message->chain.digest);
        return;
    case MOOT_MESSAGE_SNAPSHOT_CHUNK:
        encode_chunk(message, out);
        return;
    case MOOT_MESSAGE_SNAPSHOT_ACK:
        moot_put_u64(out, message->chunk_ack.index);
        moot_put_u64(out, message->chunk_ack.session);
        moot_put_u64(out, message->chunk_ack.sequence);
        moot_put_u32(out, (uint32_t)-message->chunk_ack.status);
        return;
    case MOOT_MESSAGE_TRANSFER:
        moot_put_u32(out, message->transfer_to);
        return;
    case MOOT_MESSAGE_ROOM:
        moot_put_u8(out, (uint8_t)message->room);
        return;
    case MOOT_MESSAGE_HOLE_ASK:
        moot_put_u64(out, message->hole_ask.first);
        moot_put_u64(out, message->hole_ask.last);
        moot_put_u64(out, message->hole_ask.anchor);
        return;
    case MOOT_MESSAGE_HOLE_GIVE:
        encode_hole_give(&message->hole_give, out);
        return;
    }
    MOOT_UNREACHABLE();
}

/* A status on the wire is its absolute value; anything else than our table's numbers is malformed.
 */
static bool decode_status(struct moot_reader *reader, int *status)
{
    uint32_t value = moot_get_u32(reader);
    *status = value > 1000 ? 0 : -(int)value;
    return value <= 1000;
}

static bool decode_room(struct moot_reader *reader, enum moot_room *room)
{
    uint8_t byte = moot_get_u8(reader);
    *room = (enum moot_room)byte;
    return byte <= MOOT_ROOM_NONE;
}

static bool decode_hole_ask(struct moot_reader *reader, struct moot_hole_ask *ask)
{
    ask->first = moot_get_u64(reader);
    ask->last = moot_get_u64(reader);
    ask->anchor = moot_get_u64(reader);
    return ask->first > 0 && ask->first <= ask->last && ask->last < UINT64_MAX;
}

static bool decode_hole_give(struct moot_reader *reader, struct moot_arena *arena,
                             struct moot_hole_give *give)
{
    give->last = moot_get_u64(reader);
    give->anchor = moot_get_u64(reader);
    give->before = moot_get_u64(reader);
    give->count = moot_get_u32(reader);
    return give->last < UINT64_MAX && give->count <= give->last &&
           decode_entries(reader, arena, give->count, &give->entries, &give->bytes);
}

static bool decode_body(struct moot_reader *reader, struct moot_arena *arena,
                        struct moot_message *out)
{
    switch (out->kind) {
    case MOOT_MESSAGE_RAFT:
        return decode_raft(reader, arena, out);
    case MOOT_MESSAGE_SUBMIT:
        if (!decode_kind(reader, &out->submit.kind)) {
            return false;
        }
        out->submit.incarnation = moot_get_u64(reader);
        out->submit.epoch = moot_get_u64(reader);
        out->submit.sequence = moot_get_u64(reader);
        out->submit.number = moot_get_u64(reader);
        out->submit.items = rest(reader);
        return true;
    case MOOT_MESSAGE_ANSWER:
        if (!decode_kind(reader, &out->answer.kind)) {
            return false;
        }
        out->answer.incarnation = moot_get_u64(reader);
        out->answer.number = moot_get_u64(reader);
        if (!decode_status(reader, &out->answer.status)) {
            return false;
        }
        out->answer.stamp = moot_get_u64(reader);
        out->answer.replies = rest(reader);
        return true;
    case MOOT_MESSAGE_NACK:
        out->nack.incarnation = moot_get_u64(reader);
        out->nack.epoch = moot_get_u64(reader);
        out->nack.leader = moot_get_u32(reader);
        return decode_status(reader, &out->nack.status);
    case MOOT_MESSAGE_WAKE:
    case MOOT_MESSAGE_DECLINE:
    case MOOT_MESSAGE_ASK:
        out->wake.incarnation = moot_get_u64(reader);
        out->wake.waiter = moot_get_u64(reader);
        return true;
    case MOOT_MESSAGE_CHAIN:
        out->chain.index = moot_get_u64(reader);
        out->chain.chain = moot_get_u64(reader);
        out->chain.digest = moot_get_u64(reader);
        return true;
    case MOOT_MESSAGE_SNAPSHOT_CHUNK:
        out->chunk.index = moot_get_u64(reader);
        out->chunk.term = moot_get_u64(reader);
        out->chunk.session = moot_get_u64(reader);
        out->chunk.sequence = moot_get_u64(reader);
        out->chunk.last = moot_get_u8(reader) != 0;
        out->chunk.chunk = rest(reader);
        return true;
    case MOOT_MESSAGE_SNAPSHOT_ACK:
        out->chunk_ack.index = moot_get_u64(reader);
        out->chunk_ack.session = moot_get_u64(reader);
        out->chunk_ack.sequence = moot_get_u64(reader);
        return decode_status(reader, &out->chunk_ack.status);
    case MOOT_MESSAGE_TRANSFER:
        out->transfer_to = moot_get_u32(reader);
        return true;
    case MOOT_MESSAGE_ROOM:
        return decode_room(reader, &out->room);
    case MOOT_MESSAGE_HOLE_ASK:
        return decode_hole_ask(reader, &out->hole_ask);
    case MOOT_MESSAGE_HOLE_GIVE:
        return decode_hole_give(reader, arena, &out->hole_give);
    }
    return false;
}

int moot_message_decode(struct moot_slice bytes, struct moot_arena *arena, struct moot_message *out)
{
    struct moot_reader reader = moot_reader_make(bytes);
    *out = (struct moot_message){0};
    if (moot_get_u8(&reader) != MOOT_MESSAGE_VERSION) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    uint8_t kind = moot_get_u8(&reader);
    if (kind < MOOT_MESSAGE_RAFT || kind > MOOT_MESSAGE_HOLE_GIVE) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    out->kind = (enum moot_message_kind)kind;
    out->group = moot_get_u32(&reader);
    if (out->group >= MOOT_GROUPS_MAX || !decode_body(&reader, arena, out) || reader.failed ||
        moot_reader_left(&reader) != 0) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    return 0;
}
