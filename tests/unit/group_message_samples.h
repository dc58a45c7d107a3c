/* One message of every kind, and of every kind of the core, with all its fields set: for the tests
 * and the fuzzer of what peers send. */
#ifndef MOOT_TESTS_GROUP_MESSAGE_SAMPLES_H
#define MOOT_TESTS_GROUP_MESSAGE_SAMPLES_H

#include "base/assert.h"
#include "base/codec.h"
#include "base/memory.h"
#include "base/status.h"
#include "database/group/entry.h"
#include "database/group/message.h"

enum {
    SAMPLES_RAFT = MOOT_RAFT_MESSAGE_KINDS,
    SAMPLES = MOOT_MESSAGE_HOLE_GIVE + SAMPLES_RAFT - 1
};

static const struct moot_members SAMPLE_MEMBERS = {.voters = {1, 2, 5},
                                                   .voter_count = 3,
                                                   .outgoing = {1, 2, 3},
                                                   .outgoing_count = 3,
                                                   .learners = {7},
                                                   .learner_count = 1,
                                                   .learners_next = {3},
                                                   .learner_next_count = 1};

/* Two entries: a batch, and a configuration. */
static inline void sample_entries(struct moot_arena *arena, uint32_t *count,
                                  const struct moot_raft_entry **entries_out,
                                  const struct moot_slice **bytes_out)
{
    struct moot_raft_entry *entries = moot_arena_alloc(arena, sizeof(*entries) * 2);
    struct moot_slice *bytes = moot_arena_alloc(arena, sizeof(*bytes) * 2);
    struct moot_buffer envelope;
    moot_buffer_init(&envelope);
    for (int i = 0; i < 2; i++) {
        struct moot_entry entry = {
            .kind = i == 0 ? MOOT_ENTRY_COMMANDS : MOOT_ENTRY_MEMBERS, .stamp = 99, .edge = 4};
        envelope.size = 0;
        moot_buffer_reserve(&envelope, MOOT_ENTRY_HEADER_BYTES);
        moot_entry_put_header(envelope.data, &entry);
        envelope.size = MOOT_ENTRY_HEADER_BYTES;
        if (i == 0) {
            moot_buffer_append_text(&envelope, "items");
        } else {
            moot_members_encode(&SAMPLE_MEMBERS, &envelope);
        }
        bytes[i] = moot_arena_copy(arena, moot_buffer_slice(&envelope));
        entries[i] = (struct moot_raft_entry){.term = 6 + i,
                                              .size = (uint32_t)envelope.size,
                                              .kind = i == 0 ? MOOT_RAFT_ENTRY_DATA
                                                             : MOOT_RAFT_ENTRY_MEMBERS};
    }
    moot_buffer_deinit(&envelope);
    *count = 2;
    *entries_out = entries;
    *bytes_out = bytes;
}

static inline void sample_raft(enum moot_raft_message_kind kind, struct moot_arena *arena,
                               struct moot_message *out)
{
    struct moot_raft_message *raft = &out->raft.message;
    out->kind = MOOT_MESSAGE_RAFT;
    *raft = (struct moot_raft_message){
        .kind = kind, .from = 3, .to = 2, .term = 1ull << 40, .session = 77, .wall_ms = 1234567};
    switch (kind) {
    case MOOT_RAFT_PRE_VOTE:
    case MOOT_RAFT_VOTE:
        raft->vote.last_index = 12;
        raft->vote.last_term = 11;
        raft->vote.transfer = true;
        return;
    case MOOT_RAFT_PRE_VOTE_REPLY:
    case MOOT_RAFT_VOTE_REPLY:
        raft->vote_reply.granted = true;
        return;
    case MOOT_RAFT_APPEND:
        raft->append.previous_index = 21;
        raft->append.previous_term = 5;
        raft->append.commit = 20;
        raft->append.round = 9;
        sample_entries(arena, &raft->append.count, &raft->append.entries, &out->raft.bytes);
        return;
    case MOOT_RAFT_APPEND_REPLY:
        raft->append_reply.accepted = true;
        raft->append_reply.match = 31;
        raft->append_reply.hint_index = 32;
        raft->append_reply.hint_term = 33;
        raft->append_reply.previous_index = 34;
        raft->append_reply.round = 35;
        raft->append_reply.applied = 36;
        return;
    case MOOT_RAFT_SNAPSHOT:
        raft->snapshot.index = 41;
        raft->snapshot.index_term = 42;
        raft->snapshot.members = SAMPLE_MEMBERS;
        return;
    case MOOT_RAFT_SNAPSHOT_REPLY:
        raft->snapshot_reply.installed = true;
        raft->snapshot_reply.index = 51;
        return;
    case MOOT_RAFT_TIMEOUT_NOW:
    case MOOT_RAFT_MESSAGE_KINDS:
        return;
    }
}

static inline void sample_other(enum moot_message_kind kind, struct moot_arena *arena,
                                struct moot_message *out)
{
    out->kind = kind;
    switch (kind) {
    case MOOT_MESSAGE_SUBMIT:
        out->submit = (struct moot_submit){
            MOOT_SUBMIT_READS, 61, 62, 63, 64, MOOT_SLICE_LITERAL("some items")};
        return;
    case MOOT_MESSAGE_ANSWER:
        out->answer.kind = MOOT_SUBMIT_WRITES;
        out->answer.incarnation = 71;
        out->answer.number = 72;
        out->answer.status = MOOT_EINDOUBT;
        out->answer.stamp = 73;
        out->answer.replies = MOOT_SLICE_LITERAL("\3+OK");
        return;
    case MOOT_MESSAGE_NACK:
        out->nack.incarnation = 81;
        out->nack.epoch = UINT64_MAX;
        out->nack.leader = 2;
        out->nack.status = MOOT_EAGAIN;
        return;
    case MOOT_MESSAGE_WAKE:
    case MOOT_MESSAGE_DECLINE:
    case MOOT_MESSAGE_ASK:
        out->wake.incarnation = 91;
        out->wake.waiter = 92;
        return;
    case MOOT_MESSAGE_CHAIN:
        out->chain.index = 101;
        out->chain.chain = 0xfedcba9876543210;
        out->chain.digest = 0x0f1e2d3c4b5a6978;
        return;
    case MOOT_MESSAGE_SNAPSHOT_CHUNK:
        out->chunk.index = 111;
        out->chunk.term = 112;
        out->chunk.session = 113;
        out->chunk.sequence = 114;
        out->chunk.last = true;
        out->chunk.chunk = MOOT_SLICE_LITERAL("pairs");
        return;
    case MOOT_MESSAGE_SNAPSHOT_ACK:
        out->chunk_ack.index = 121;
        out->chunk_ack.session = 122;
        out->chunk_ack.sequence = 123;
        out->chunk_ack.status = MOOT_EBUSY;
        return;
    case MOOT_MESSAGE_TRANSFER:
        out->transfer_to = 3;
        return;
    case MOOT_MESSAGE_ROOM:
        out->room = MOOT_ROOM_NONE;
        return;
    case MOOT_MESSAGE_HOLE_ASK:
        out->hole_ask = (struct moot_hole_ask){131, 132, 133};
        return;
    case MOOT_MESSAGE_HOLE_GIVE:
        out->hole_give = (struct moot_hole_give){.last = 141, .anchor = 142, .before = 3};
        sample_entries(arena, &out->hole_give.count, &out->hole_give.entries,
                       &out->hole_give.bytes);
        return;
    case MOOT_MESSAGE_RAFT:
        break;
    }
    MOOT_UNREACHABLE();
}

/* 0 .. SAMPLES - 1 */
static inline void sample_message(int which, struct moot_arena *arena, struct moot_message *out)
{
    *out = (struct moot_message){.group = MOOT_GROUP_DB0};
    if (which < SAMPLES_RAFT) {
        sample_raft((enum moot_raft_message_kind)which, arena, out);
    } else {
        sample_other((enum moot_message_kind)(which - SAMPLES_RAFT + MOOT_MESSAGE_SUBMIT), arena,
                     out);
    }
}

/* As it goes over a link: the entries of an append, or what fills a hole, follow it. */
static inline void sample_wire(const struct moot_message *message, struct moot_buffer *out)
{
    moot_message_encode(message, out);
    if (message->kind == MOOT_MESSAGE_RAFT && message->raft.message.kind == MOOT_RAFT_APPEND) {
        for (uint32_t i = 0; i < message->raft.message.append.count; i++) {
            moot_buffer_append_slice(out, message->raft.bytes[i]);
        }
    }
    for (uint32_t i = 0; message->kind == MOOT_MESSAGE_HOLE_GIVE && i < message->hole_give.count;
         i++) {
        moot_buffer_append_slice(out, message->hole_give.bytes[i]);
    }
}

/* Whatever was decoded can be encoded, and that is decoded to the same bytes again: nothing in it
 * is outside of what the fields may be. */
static inline void sample_accepted(const struct moot_message *message, struct moot_arena *arena)
{
    struct moot_buffer once, twice;
    moot_buffer_init(&once);
    moot_buffer_init(&twice);
    sample_wire(message, &once);
    struct moot_message again;
    int status = moot_message_decode(moot_buffer_slice(&once), arena, &again);
    MOOT_ASSERT(status == 0);
    sample_wire(&again, &twice);
    MOOT_ASSERT(moot_slice_equal(moot_buffer_slice(&once), moot_buffer_slice(&twice)));
    moot_buffer_deinit(&once);
    moot_buffer_deinit(&twice);
}

#endif
