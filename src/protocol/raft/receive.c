/* The door for messages: what is malformed is dropped, what is of a higher term is believed, and
 * the rest goes to its kind's file. */
#include "base/assert.h"
#include "base/rule.h"
#include "protocol/raft/raft.h"

static uint64_t append_fault(const struct moot_raft_message *message)
{
    moot_term term = message->append.previous_term;
    if (message->append.count > MOOT_RAFT_ENTRIES_PER_APPEND ||
        (message->append.count > 0 && message->append.entries == NULL)) {
        return 10;
    }
    if (message->append.previous_index > RAFT_INDEX_MAX || term > message->term ||
        (message->append.previous_index == 0 && term != 0)) {
        return 11;
    }
    for (uint32_t i = 0; i < message->append.count; i++) {
        const struct moot_raft_entry *entry = &message->append.entries[i];
        if (entry->term < term || entry->term == 0 || entry->term > message->term) {
            return 12;
        }
        term = entry->term;
        bool members = entry->kind == MOOT_RAFT_ENTRY_MEMBERS;
        if (entry->kind > MOOT_RAFT_ENTRY_MEMBERS || members != (entry->members != NULL) ||
            (members && !moot_members_is_valid(entry->members))) {
            return 13;
        }
    }
    return 0;
}

uint64_t raft__message_fault(const struct moot_raft *raft, const struct moot_raft_message *message)
{
    if (message->kind >= MOOT_RAFT_MESSAGE_KINDS) {
        return 1;
    }
    if (message->to != raft->options.self || message->from == 0 ||
        message->from == raft->options.self) {
        return 2;
    }
    if (message->term == 0 || message->term > RAFT_TERM_MAX) {
        /* Only a node that never took part answers in term 0. */
        bool reply = message->kind == MOOT_RAFT_PRE_VOTE_REPLY;
        return message->term == 0 && reply && !message->vote_reply.granted ? 0 : 3;
    }
    switch (message->kind) {
    case MOOT_RAFT_PRE_VOTE:
    case MOOT_RAFT_VOTE:
        return message->vote.last_term >= message->term || message->vote.last_index > RAFT_INDEX_MAX
                   ? 4
                   : 0;
    case MOOT_RAFT_APPEND:
        return append_fault(message);
    case MOOT_RAFT_APPEND_REPLY:
        return message->append_reply.match > RAFT_INDEX_MAX ||
                       message->append_reply.hint_index > RAFT_INDEX_MAX ||
                       message->append_reply.previous_index > RAFT_INDEX_MAX
                   ? 5
                   : 0;
    case MOOT_RAFT_SNAPSHOT:
        return message->snapshot.index == 0 || message->snapshot.index > RAFT_INDEX_MAX ||
                       message->snapshot.index_term == 0 ||
                       message->snapshot.index_term > message->term ||
                       !moot_members_is_valid(&message->snapshot.members)
                   ? 6
                   : 0;
    default:
        return 0;
    }
}

/* Our clock when we sent what this message answers. */
static uint64_t asked_wall_ms(const struct moot_raft *raft, const struct moot_raft_message *message)
{
    bool voting =
        message->kind == MOOT_RAFT_PRE_VOTE_REPLY || message->kind == MOOT_RAFT_VOTE_REPLY;
    if (voting && message->term >= raft->term &&
        (raft->role == MOOT_RAFT_PRE_CANDIDATE || raft->role == MOOT_RAFT_CANDIDATE)) {
        return raft->campaign_wall_ms;
    }
    if (message->kind == MOOT_RAFT_APPEND_REPLY && raft->role == MOOT_RAFT_LEADER &&
        message->term == raft->term) {
        uint64_t round = message->append_reply.round;
        if (round > 0 && round <= raft->round_sent && round + RAFT_ROUNDS_KEPT > raft->round_sent) {
            return raft->round_wall_ms[round % RAFT_ROUNDS_KEPT];
        }
    }
    return UINT64_MAX;
}

/* Paper figure 2, "rules for servers": a higher term is adopted at once. Votes do so in vote.c,
 * because a standing leader shields its followers from them; pre-votes never do. */
static bool settle_term(struct moot_raft *raft, const struct moot_raft_message *message)
{
    bool from_leader = message->kind == MOOT_RAFT_APPEND || message->kind == MOOT_RAFT_SNAPSHOT;
    if (message->term > raft->term) {
        RAFT_TRACE(raft, TERM_ADOPTED, message->from, message->term, raft->term);
        if (raft->role == MOOT_RAFT_LEADER) {
            RAFT_TRACE(raft, STEP_DOWN, raft->term, 5);
        }
        raft__become_follower(raft, message->term, from_leader ? message->from : 0);
        return true;
    }
    if (message->term < raft->term) {
        return from_leader; /* It is told our term; others are late and say nothing. */
    }
    if (!from_leader || (raft->role == MOOT_RAFT_FOLLOWER && raft->leader == message->from)) {
        return true;
    }
    /* Two leaders of one term cannot be (paper 5.2); whoever says so does not speak Raft. */
    if (raft->role == MOOT_RAFT_LEADER || raft->leader != 0) {
        RAFT_TRACE(raft, DROP_INVALID, message->kind, message->from, 7);
        return false;
    }
    RAFT_TRACE(raft, FOLLOW, message->from, message->term);
    raft__become_follower(raft, message->term, message->from);
    return true;
}

void raft__on_receive(struct moot_raft *raft, const struct moot_raft_message *message)
{
    uint64_t fault = raft__message_fault(raft, message);
    if (fault != 0) {
        RAFT_TRACE(raft, DROP_INVALID, message->kind, message->from, fault);
        return;
    }
    raft__clock_seen(raft, message, asked_wall_ms(raft, message));
    if (message->kind == MOOT_RAFT_PRE_VOTE) {
        raft__on_pre_vote(raft, message);
        return;
    }
    if (message->kind == MOOT_RAFT_VOTE) {
        raft__on_vote(raft, message);
        return;
    }
    if (message->kind == MOOT_RAFT_PRE_VOTE_REPLY &&
        (message->vote_reply.granted || message->term <= raft->term)) {
        raft__on_vote_reply(raft, message);
        return;
    }
    if (!settle_term(raft, message)) {
        return;
    }
    switch (message->kind) {
    case MOOT_RAFT_VOTE_REPLY:
        raft__on_vote_reply(raft, message);
        break;
    case MOOT_RAFT_APPEND:
        raft__on_append(raft, message);
        break;
    case MOOT_RAFT_APPEND_REPLY:
        raft__on_append_reply(raft, message);
        break;
    case MOOT_RAFT_SNAPSHOT:
        raft__on_snapshot(raft, message);
        break;
    case MOOT_RAFT_SNAPSHOT_REPLY:
        raft__on_snapshot_reply(raft, message);
        break;
    case MOOT_RAFT_TIMEOUT_NOW:
        raft__on_timeout_now(raft, message);
        break;
    default:
        break; /* A refused pre-vote of a higher term: adopting it was all. */
    }
}
