/* One core, spoken to message by message: for tests that say exactly what arrives. */
#ifndef MOOT_TESTS_RAFT_ONE_H
#define MOOT_TESTS_RAFT_ONE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "raft_cluster.h"

struct one {
    struct moot_raft_options options;
    struct moot_raft *raft;
    void *memory;
    struct moot_raft_effects effects;
    struct moot_raft_message message; /* Being received. */
    struct moot_raft_entry entries[64];
    struct moot_members in_force;
    uint64_t now_ns;
    uint64_t wall_ms;
    int status;
};

struct one_start {
    uint32_t voters, learners;
    moot_term term;
    moot_node_id vote;
    const moot_term *terms; /* Of entries snapshot + 1 and on. */
    uint32_t count;
    moot_index snapshot, applied;
    moot_term snapshot_term;
    bool impaired;
    moot_index impaired_until;
};

/* Core of node 1. */
static inline struct one *one_open(struct one_start start)
{
    struct one *one = moot_alloc_zero(sizeof(*one));
    one->options = (struct moot_raft_options){
        .self = 1,
        .election_min = moot_ms(100),
        .heartbeat = moot_ms(20),
        .append_bytes_max = 1000,
        .append_entries_max = 8,
        .window = 4,
        .uncommitted_bytes_max = 10000,
        .log_entries_max = 128,
        .clock_bound_ms = 500,
        .seed = 7,
        .trace = true,
    };
    struct moot_raft_entry entries[128] = {{0}};
    for (uint32_t i = 0; i < start.count; i++) {
        entries[i] = (struct moot_raft_entry){start.terms[i], 10, MOOT_RAFT_ENTRY_DATA, NULL};
    }
    struct moot_raft_restore restore = {
        .term = start.term,
        .vote = start.vote,
        .snapshot_index = start.snapshot,
        .snapshot_term = start.snapshot_term,
        .members = cluster_members(start.voters, start.learners),
        .applied = moot_max_u64(start.applied, start.snapshot),
        .entries = entries,
        .entry_count = start.count,
        .impaired = start.impaired,
        .impaired_until = start.impaired_until,
    };
    one->now_ns = MOOT_SEC_NS;
    one->wall_ms = 1000000;
    one->memory = moot_alloc(moot_raft_size(&one->options));
    int status = moot_raft_init(one->memory, &one->options, &restore,
                                (struct moot_instant){one->now_ns}, &one->raft);
    assert_int_equal(status, 0);
    return one;
}

static inline void one_close(struct one *one)
{
    moot_free(one->memory);
    moot_free(one);
}

static inline int one_step(struct one *one, struct moot_raft_event event)
{
    event.now.ns = one->now_ns;
    event.wall_ms = one->wall_ms;
    one->status = moot_raft_step(one->raft, &event, &one->effects);
    moot_raft_check(one->raft);
    return one->status;
}

static inline int one_event(struct one *one, enum moot_raft_event_kind kind)
{
    return one_step(one, (struct moot_raft_event){.kind = kind});
}

/* Receives `message`; sender, term and the rest are given, `to` and the clock are filled in. */
static inline void one_receive(struct one *one, struct moot_raft_message message)
{
    message.to = 1;
    if (message.wall_ms == 0) {
        message.wall_ms = one->wall_ms;
    }
    one->message = message;
    int status = one_step(
        one, (struct moot_raft_event){.kind = MOOT_RAFT_EVENT_RECEIVE, .message = &one->message});
    assert_int_equal(status, 0);
}

/* An append of `count` entries of these terms after (previous, previous_term). */
static inline void one_append(struct one *one, moot_node_id from, moot_term term,
                              moot_index previous, moot_term previous_term, moot_index commit,
                              const moot_term *terms, uint32_t count)
{
    struct moot_raft_message message = {
        .kind = MOOT_RAFT_APPEND, .from = from, .term = term, .session = 5};
    message.append.previous_index = previous;
    message.append.previous_term = previous_term;
    message.append.commit = commit;
    message.append.round = 9;
    message.append.count = count;
    message.append.entries = one->entries;
    for (uint32_t i = 0; i < count; i++) {
        one->entries[i] = (struct moot_raft_entry){terms[i], 10, MOOT_RAFT_ENTRY_DATA, NULL};
    }
    one_receive(one, message);
}

static inline void one_ask_vote(struct one *one, enum moot_raft_message_kind kind,
                                moot_node_id from, moot_term term, moot_index last_index,
                                moot_term last_term, bool transfer)
{
    struct moot_raft_message message = {.kind = kind, .from = from, .term = term};
    message.vote.last_index = last_index;
    message.vote.last_term = last_term;
    message.vote.transfer = transfer;
    one_receive(one, message);
}

static inline void one_answer_vote(struct one *one, enum moot_raft_message_kind kind,
                                   moot_node_id from, moot_term term, bool granted)
{
    struct moot_raft_message message = {.kind = kind, .from = from, .term = term};
    message.vote_reply.granted = granted;
    one_receive(one, message);
}

/* Effect number `nth` (from 0) of a kind in the last step; NULL when there is none. */
static inline const struct moot_raft_effect *
one_effect(const struct one *one, enum moot_raft_effect_kind kind, uint32_t nth)
{
    for (uint32_t i = 0; i < one->effects.count; i++) {
        if (one->effects.items[i].kind == kind && nth-- == 0) {
            return &one->effects.items[i];
        }
    }
    return NULL;
}

/* The message of a kind to `to` (0: anyone) in the last step. */
static inline const struct moot_raft_effect *
one_sent(const struct one *one, enum moot_raft_message_kind kind, moot_node_id to)
{
    for (uint32_t i = 0; i < one->effects.count; i++) {
        const struct moot_raft_effect *effect = &one->effects.items[i];
        if (effect->kind == MOOT_RAFT_EFFECT_SEND && effect->message.kind == kind &&
            (to == 0 || effect->message.to == to)) {
            return effect;
        }
    }
    return NULL;
}

static inline bool one_traced(const struct one *one, enum moot_raft_trace_kind kind)
{
    for (uint32_t i = 0; i < one->effects.count; i++) {
        if (one->effects.items[i].kind == MOOT_RAFT_EFFECT_TRACE &&
            one->effects.items[i].trace.kind == kind) {
            return true;
        }
    }
    return false;
}

static inline struct moot_raft_status one_status(const struct one *one)
{
    struct moot_raft_status status;
    moot_raft_status(one->raft, &status);
    return status;
}

/* The configuration in force. */
static inline const struct moot_members *one_members(struct one *one)
{
    one->in_force = *one_status(one).members;
    return &one->in_force;
}

static inline void one_time_out(struct one *one)
{
    one->now_ns = moot_raft_deadline(one->raft).ns;
    int status = one_event(one, MOOT_RAFT_EVENT_TICK);
    assert_int_equal(status, 0);
}

static inline void one_durable(struct one *one, moot_index index, moot_term term)
{
    struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_DURABLE};
    event.durable.index = index;
    event.durable.term = term;
    assert_int_equal(one_step(one, event), 0);
}

/* Node 1 wins an election with the votes of 2 to `voters`. Its no-op is sent, not durable. */
static inline void one_lead(struct one *one, uint32_t voters)
{
    one_time_out(one);
    moot_term term = one_status(one).term + 1;
    for (moot_node_id from = 2; from <= voters; from++) {
        one_answer_vote(one, MOOT_RAFT_PRE_VOTE_REPLY, from, term, true);
    }
    one_durable(one, 0, term);
    for (moot_node_id from = 2; from <= voters; from++) {
        one_answer_vote(one, MOOT_RAFT_VOTE_REPLY, from, term, true);
    }
    assert_int_equal(one_status(one).role, MOOT_RAFT_LEADER);
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_FLUSH), 0);
}

/* The session of `node`, from the last message to it in this step's effects. */
static inline uint64_t one_session(const struct one *one, moot_node_id node)
{
    const struct moot_raft_effect *sent = one_sent(one, MOOT_RAFT_APPEND, node);
    assert_non_null(sent);
    return sent->message.session;
}

/* `from` acknowledges up to `match`, in the session of the last append or heartbeat to it. */
static inline void one_acknowledge(struct one *one, moot_node_id from, uint64_t session,
                                   moot_index match, uint64_t round)
{
    struct moot_raft_message message = {.kind = MOOT_RAFT_APPEND_REPLY,
                                        .from = from,
                                        .term = one_status(one).term,
                                        .session = session};
    message.append_reply.accepted = true;
    message.append_reply.match = match;
    message.append_reply.round = round;
    one_receive(one, message);
}

static inline void one_refuse(struct one *one, moot_node_id from, uint64_t session,
                              moot_index previous, moot_index hint, moot_term hint_term)
{
    struct moot_raft_message message = {.kind = MOOT_RAFT_APPEND_REPLY,
                                        .from = from,
                                        .term = one_status(one).term,
                                        .session = session};
    message.append_reply.previous_index = previous;
    message.append_reply.hint_index = hint;
    message.append_reply.hint_term = hint_term;
    one_receive(one, message);
}

static inline int one_submit(struct one *one)
{
    struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_SUBMIT};
    event.submit.size = 10;
    return one_step(one, event);
}

static inline int one_change(struct one *one, const moot_node_id *voters, uint8_t count)
{
    struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_MEMBERS};
    memcpy(event.members.voters, voters, count * sizeof(*voters));
    event.members.voter_count = count;
    return one_step(one, event);
}

#endif
