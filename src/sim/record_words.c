#include "sim/record_words.h"

#include "base/slice.h"
#include "database/group/message.h"
#include "moot/raft.h"

enum { RESP_SHOWN_MAX = 160 };

/* ---- messages between nodes ---- */

static void number(struct moot_buffer *out, const char *before, uint64_t value)
{
    moot_buffer_append_text(out, before);
    moot_buffer_append_u64(out, value);
}

static void place(struct moot_buffer *out, const char *before, moot_index index, moot_term term)
{
    number(out, before, index);
    number(out, "^", term);
}

static const char *append_words(const struct moot_raft_message *message, struct moot_buffer *out)
{
    place(out, ", after ", message->append.previous_index, message->append.previous_term);
    if (message->append.count > 0) {
        number(out, ", ", message->append.count);
        place(out, " entries, to ", message->append.previous_index + message->append.count,
              message->append.entries[message->append.count - 1].term);
    }
    number(out, ", commit ", message->append.commit);
    number(out, ", round ", message->append.round);
    return message->append.count > 0 ? "append" : "heartbeat";
}

static const char *append_reply_words(const struct moot_raft_message *message,
                                      struct moot_buffer *out)
{
    if (message->append_reply.accepted) {
        number(out, ", accepted, match ", message->append_reply.match);
    } else {
        number(out, ", refused after ", message->append_reply.previous_index);
        place(out, ", hint ", message->append_reply.hint_index, message->append_reply.hint_term);
    }
    number(out, ", round ", message->append_reply.round);
    number(out, ", applied ", message->append_reply.applied);
    return "append reply";
}

static const char *raft_words(const struct moot_raft_message *message, struct moot_buffer *out)
{
    number(out, "term ", message->term);
    switch (message->kind) {
    case MOOT_RAFT_PRE_VOTE:
    case MOOT_RAFT_VOTE:
        place(out, ", log ends at ", message->vote.last_index, message->vote.last_term);
        moot_buffer_append_text(out, message->vote.transfer ? ", by transfer" : "");
        return message->kind == MOOT_RAFT_VOTE ? "vote" : "pre-vote";
    case MOOT_RAFT_PRE_VOTE_REPLY:
    case MOOT_RAFT_VOTE_REPLY:
        moot_buffer_append_text(out, message->vote_reply.granted ? ", granted" : ", refused");
        return message->kind == MOOT_RAFT_VOTE_REPLY ? "vote reply" : "pre-vote reply";
    case MOOT_RAFT_APPEND:
        return append_words(message, out);
    case MOOT_RAFT_APPEND_REPLY:
        return append_reply_words(message, out);
    case MOOT_RAFT_SNAPSHOT:
        place(out, ", of ", message->snapshot.index, message->snapshot.index_term);
        return "snapshot";
    case MOOT_RAFT_SNAPSHOT_REPLY:
        number(out, message->snapshot_reply.installed ? ", installed, " : ", refused, ",
               message->snapshot_reply.index);
        return "snapshot reply";
    case MOOT_RAFT_TIMEOUT_NOW:
        return "time-out now";
    default:
        return "raft";
    }
}

static const char *submit_words(const struct moot_submit *submit, struct moot_buffer *out)
{
    number(out,
           submit->kind == MOOT_SUBMIT_WRITES  ? "writes, batch "
           : submit->kind == MOOT_SUBMIT_READS ? "reads, batch "
                                               : "waiters, batch ",
           submit->number);
    number(out, ", epoch ", submit->epoch);
    number(out, ", sequence ", submit->sequence);
    number(out, ", bytes ", submit->items.size);
    return "submit";
}

static const char *other_words(const struct moot_message *message, struct moot_buffer *out)
{
    switch (message->kind) {
    case MOOT_MESSAGE_ANSWER:
        number(out, message->answer.kind == MOOT_SUBMIT_WRITES ? "writes, batch " : "batch ",
               message->answer.number);
        number(out, ", bytes ", message->answer.replies.size);
        moot_buffer_append_text(out, message->answer.status == 0 ? "" : ", refused");
        return "answer";
    case MOOT_MESSAGE_NACK:
        number(out, "epoch ", message->nack.epoch);
        number(out, ", leader ", message->nack.leader);
        return "nack";
    case MOOT_MESSAGE_WAKE:
        number(out, "waiter ", message->wake.waiter);
        return "wake";
    case MOOT_MESSAGE_DECLINE:
        number(out, "waiter ", message->wake.waiter);
        return "decline";
    case MOOT_MESSAGE_ASK:
        number(out, "waiter ", message->wake.waiter);
        return "ask";
    case MOOT_MESSAGE_CHAIN:
        number(out, "at ", message->chain.index);
        return "chain";
    case MOOT_MESSAGE_SNAPSHOT_CHUNK:
        place(out, "of ", message->chunk.index, message->chunk.term);
        number(out, ", sequence ", message->chunk.sequence);
        number(out, message->chunk.last ? ", last, bytes " : ", bytes ", message->chunk.chunk.size);
        return "chunk";
    case MOOT_MESSAGE_SNAPSHOT_ACK:
        number(out, "of ", message->chunk_ack.index);
        number(out, ", sequence ", message->chunk_ack.sequence);
        return "chunk ack";
    case MOOT_MESSAGE_TRANSFER:
        number(out, "to ", message->transfer_to);
        return "transfer";
    case MOOT_MESSAGE_HOLE_ASK:
        number(out, "lost ", message->hole_ask.first);
        place(out, " up to ", message->hole_ask.last, message->hole_ask.anchor);
        return "hole ask";
    case MOOT_MESSAGE_HOLE_GIVE:
        number(out, "entries ", message->hole_give.count);
        place(out, " up to ", message->hole_give.last, message->hole_give.anchor);
        return "hole give";
    default:
        return "message";
    }
}

struct moot_slice sim_record_message(struct moot_slice bytes, struct moot_arena *arena,
                                     struct moot_buffer *out)
{
    struct moot_message message;
    if (moot_message_decode(bytes, arena, &message) != 0) {
        number(out, "not readable, bytes ", bytes.size);
        return MOOT_SLICE_LITERAL("garbage");
    }
    moot_buffer_append_text(out, message.group == MOOT_GROUP_SYSTEM ? "system: " : "db0: ");
    if (message.kind == MOOT_MESSAGE_RAFT) {
        return moot_slice_text(raft_words(&message.raft.message, out));
    }
    if (message.kind == MOOT_MESSAGE_SUBMIT) {
        return moot_slice_text(submit_words(&message.submit, out));
    }
    return moot_slice_text(other_words(&message, out));
}

/* ---- clients ---- */

/* Lengths are for machines: `*2 $3 GET $2 k1` is shown as `GET k1`. */
void sim_record_resp(struct moot_slice bytes, struct moot_buffer *out)
{
    size_t begin = out->size;
    for (size_t at = 0; at < bytes.size;) {
        size_t end = at;
        while (end < bytes.size && bytes.data[end] != '\r') {
            end++;
        }
        struct moot_slice line = {bytes.data + at, end - at};
        at = end + 2;
        bool is_nil = line.size > 1 && line.data[1] == '-' && line.data[0] != ':';
        bool is_length = line.size > 0 && (line.data[0] == '*' || line.data[0] == '$') && !is_nil;
        if (is_length || line.size == 0) {
            continue;
        }
        moot_buffer_append_text(out, out->size == begin ? "" : " ");
        moot_buffer_append_slice(out,
                                 is_nil && line.data[0] != '-' ? MOOT_SLICE_LITERAL("nil") : line);
        if (out->size - begin > RESP_SHOWN_MAX) {
            moot_buffer_append_text(out, " ...");
            return;
        }
    }
}

/* What a transaction asks, or what its reads were told. */
static void steps_words(const struct moot_operation *txn, bool answered, struct moot_buffer *out)
{
    size_t begin = out->size;
    for (size_t i = 0; i < txn->steps_count; i++) {
        const struct moot_history_step *step = &txn->steps[i];
        bool is_read = step->kind == MOOT_OPERATION_READ;
        if (answered && !is_read) {
            continue;
        }
        moot_buffer_append_text(out, out->size == begin ? "" : "; ");
        moot_buffer_append_text(out, answered ? "" : moot_operation_kind_text(step->kind));
        moot_buffer_append_text(out, answered ? "" : " ");
        moot_buffer_append_slice(out, step->key);
        if (answered || !is_read) {
            moot_buffer_append_text(out, answered ? " = " : " ");
            moot_history_value_describe(&step->value, out);
        }
    }
    if (out->size == begin) {
        moot_buffer_append_text(out, "done");
    }
}

void sim_record_asked(const struct moot_operation *operation, struct moot_buffer *out)
{
    if (operation->kind == MOOT_OPERATION_TXN) {
        steps_words(operation, false /* answered */, out);
        return;
    }
    moot_buffer_append_text(out, moot_operation_kind_text(operation->kind));
    moot_buffer_append_text(out, " ");
    moot_buffer_append_slice(out, operation->key);
    if (operation->kind == MOOT_OPERATION_CAS) {
        moot_buffer_append_text(out, " ");
        moot_history_value_describe(&operation->expected, out);
        moot_buffer_append_text(out, " ->");
    }
    if (operation->argument.kind != MOOT_HISTORY_NONE) {
        moot_buffer_append_text(out, " ");
        moot_history_value_describe(&operation->argument, out);
    }
}

void sim_record_answered(const struct moot_operation *operation, struct moot_buffer *out)
{
    if (operation->outcome == MOOT_OUTCOME_OK && operation->kind == MOOT_OPERATION_TXN) {
        steps_words(operation, true /* answered */, out);
    } else if (operation->outcome == MOOT_OUTCOME_OK &&
               operation->result.kind != MOOT_HISTORY_NONE) {
        moot_history_value_describe(&operation->result, out);
    } else {
        moot_buffer_append_text(out, operation->outcome == MOOT_OUTCOME_OK     ? "done"
                                     : operation->outcome == MOOT_OUTCOME_FAIL ? "not done"
                                                                               : "in doubt");
    }
}

static bool says(const struct moot_operation *operation, const struct moot_history_value *value)
{
    return value->kind > MOOT_HISTORY_NIL &&
           (moot_history_value_equal(&operation->argument, value) ||
            moot_history_value_equal(&operation->expected, value) ||
            moot_history_value_equal(&operation->result, value));
}

bool sim_record_is_evidence(const struct moot_operation *operation,
                            const struct moot_operation *wrong)
{
    if (!moot_slice_equal(operation->key, wrong->key)) {
        return false;
    }
    bool overlaps =
        operation->called.ns <= wrong->returned.ns && operation->returned.ns >= wrong->called.ns;
    return overlaps || says(operation, &wrong->result) || says(operation, &wrong->argument) ||
           says(operation, &wrong->expected);
}
