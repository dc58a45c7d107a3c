#include "raft_one.h"

/* A number that is mostly small, so that messages nearly fit, and now and then absurd. */
static uint64_t some(struct moot_rng *rng, uint64_t most)
{
    if (moot_rng_chance(rng, 1, 40)) {
        return moot_rng_chance(rng, 1, 2) ? UINT64_MAX - moot_rng_below(rng, 3)
                                          : moot_rng_next(rng);
    }
    return moot_rng_below(rng, most + 1);
}

static struct moot_members some_members(struct moot_rng *rng)
{
    struct moot_members members = cluster_members(1 + (uint32_t)moot_rng_below(rng, 5), 0);
    if (moot_rng_chance(rng, 1, 3)) {
        members.outgoing_count = 2;
        members.outgoing[0] = 1;
        members.outgoing[1] = 2 + (moot_node_id)moot_rng_below(rng, 4);
    }
    if (moot_rng_chance(rng, 1, 20)) {
        members.learner_count = (uint8_t)moot_rng_next(rng);
    }
    return members;
}

static void some_append(struct one *one, struct moot_rng *rng, struct moot_raft_message *message,
                        struct moot_members *members)
{
    struct moot_raft_status status = one_status(one);
    message->append.previous_index = some(rng, status.last + 2);
    moot_term term = 0;
    if (moot_rng_chance(rng, 3, 4) &&
        moot_raft_term_at(one->raft, message->append.previous_index, &term)) {
        message->append.previous_term = term; /* Fits, so that what follows is looked at. */
    } else {
        message->append.previous_term = some(rng, status.term + 1);
    }
    message->append.commit = some(rng, status.last + 5);
    message->append.round = some(rng, 5);
    message->append.count = (uint32_t)moot_rng_below(rng, 6);
    message->append.entries = moot_rng_chance(rng, 1, 50) ? NULL : one->entries;
    term = message->append.previous_term;
    for (uint32_t i = 0; i < message->append.count; i++) {
        term = moot_max_u64(term, 1) + moot_rng_chance(rng, 1, 4);
        one->entries[i] = (struct moot_raft_entry){
            .term = moot_rng_chance(rng, 1, 30) ? some(rng, 5) : term,
            .size = (uint32_t)moot_rng_below(rng, 200),
            .kind = moot_rng_chance(rng, 1, 6) ? MOOT_RAFT_ENTRY_MEMBERS : MOOT_RAFT_ENTRY_DATA};
        if (one->entries[i].kind == MOOT_RAFT_ENTRY_MEMBERS) {
            members[i] = some_members(rng);
            one->entries[i].members = moot_rng_chance(rng, 1, 30) ? NULL : &members[i];
        }
    }
}

static void some_message(struct one *one, struct moot_rng *rng)
{
    struct moot_members members[8];
    struct moot_raft_status status = one_status(one);
    struct moot_raft_message message = {
        .kind = (enum moot_raft_message_kind)moot_rng_below(rng, MOOT_RAFT_MESSAGE_KINDS + 1),
        .from = (moot_node_id)some(rng, 6),
        .term = status.term + moot_rng_below(rng, 3),
        .session = some(rng, 12),
        .wall_ms = some(rng, 2000000) + 1};
    if (moot_rng_chance(rng, 1, 20)) {
        message.term = some(rng, status.term);
    }
    switch (message.kind) {
    case MOOT_RAFT_PRE_VOTE:
    case MOOT_RAFT_VOTE:
        message.vote.last_index = some(rng, status.last + 2);
        message.vote.last_term = some(rng, status.term + 1);
        message.vote.transfer = moot_rng_chance(rng, 1, 4);
        break;
    case MOOT_RAFT_PRE_VOTE_REPLY:
    case MOOT_RAFT_VOTE_REPLY:
        message.vote_reply.granted = moot_rng_chance(rng, 2, 3);
        break;
    case MOOT_RAFT_APPEND:
        some_append(one, rng, &message, members);
        break;
    case MOOT_RAFT_APPEND_REPLY:
        message.append_reply.accepted = moot_rng_chance(rng, 2, 3);
        message.append_reply.match = some(rng, status.last + 1);
        message.append_reply.hint_index = some(rng, status.last + 1);
        message.append_reply.hint_term = some(rng, status.term);
        message.append_reply.previous_index = some(rng, status.last + 1);
        message.append_reply.round = some(rng, status.round);
        message.append_reply.applied = some(rng, status.last);
        break;
    case MOOT_RAFT_SNAPSHOT:
        message.snapshot.index = some(rng, status.last + 10);
        message.snapshot.index_term = some(rng, status.term);
        message.snapshot.members = some_members(rng);
        break;
    case MOOT_RAFT_SNAPSHOT_REPLY:
        message.snapshot_reply.installed = moot_rng_chance(rng, 1, 2);
        message.snapshot_reply.index = some(rng, status.last + 1);
        break;
    default:
        break;
    }
    one_receive(one, message);
}

static void some_event(struct one *one, struct moot_rng *rng)
{
    struct moot_raft_status status = one_status(one);
    struct moot_raft_event event = {0};
    switch (moot_rng_below(rng, 9)) {
    case 0:
        one->now_ns = moot_raft_deadline(one->raft).ns;
        event.kind = MOOT_RAFT_EVENT_TICK;
        break;
    case 1:
        event.kind = MOOT_RAFT_EVENT_DURABLE;
        event.durable.index = some(rng, status.last + 1);
        event.durable.term = some(rng, status.term);
        break;
    case 2:
        event.kind = MOOT_RAFT_EVENT_SUBMIT;
        event.submit.size = 10;
        break;
    case 3:
        event.kind = MOOT_RAFT_EVENT_READ;
        break;
    case 4:
        event.kind = MOOT_RAFT_EVENT_COMPACT;
        event.compact = some(rng, status.applied + 1);
        break;
    case 5:
        event.kind = MOOT_RAFT_EVENT_APPLIED;
        event.applied = status.commit;
        break;
    case 6:
        event.kind = MOOT_RAFT_EVENT_SNAPSHOT_INSTALLED;
        event.installed.index = some(rng, status.last + 5);
        event.installed.term = some(rng, status.term);
        event.installed.members = some_members(rng);
        break;
    case 7:
        event.kind =
            moot_rng_chance(rng, 1, 2) ? MOOT_RAFT_EVENT_TRANSFER : MOOT_RAFT_EVENT_PEER_LOST;
        event.node = (moot_node_id)some(rng, 6);
        break;
    default:
        event.kind = MOOT_RAFT_EVENT_MEMBERS;
        event.members.voter_count = 1 + (uint8_t)moot_rng_below(rng, 5);
        for (uint8_t i = 0; i < event.members.voter_count; i++) {
            event.members.voters[i] = i + 1u;
        }
    }
    (void)!one_step(one, event);
    (void)!one_event(one, MOOT_RAFT_EVENT_FLUSH);
}

/* Goal: whatever is received, the core keeps its own invariants and never asserts: messages are
 * checked, not believed. Method: messages that nearly fit, in every role, after every kind of
 * event.
 */
static void nothing_received_breaks_the_core(void **state)
{
    (void)state;
    uint64_t roles[4] = {0};
    uint64_t first = getenv("SEED") == NULL ? 1 : strtoull(getenv("SEED"), NULL, 10);
    uint64_t last = getenv("SEED") == NULL ? 1000 : first;
    for (uint64_t seed = first; seed <= last; seed++) {
        struct moot_rng rng;
        moot_rng_init(&rng, seed);
        struct one *one = one_open((struct one_start){.voters = 1 + (uint32_t)(seed % 5)});
        for (uint32_t i = 0; i < 600; i++) {
            if (moot_rng_chance(&rng, 1, 4)) {
                some_event(one, &rng);
            } else {
                some_message(one, &rng);
            }
            one->now_ns += moot_rng_below(&rng, 30 * MOOT_MSEC_NS);
            roles[one_status(one).role]++;
        }
        one_close(one);
    }
    for (uint32_t role = 0; role < 4; role++) {
        assert_true(roles[role] > 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_received_breaks_the_core)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
