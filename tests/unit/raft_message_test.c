/* The core, message by message: what the pitfalls and the figures do not already say. */
#include "raft_one.h"

static const moot_term ONES[] = {1, 1, 1, 1, 1, 1};

/* ---- votes ---- */

/* Goal: a vote goes to a log that is at least as up to date. Method: own log ends at 3^2. */
static void votes_go_by_the_log(void **state)
{
    (void)state;
    static const moot_term own[] = {1, 2, 2};
    static const struct {
        moot_index last_index;
        moot_term last_term;
        bool granted;
    } cases[] = {{3, 2, true},  {4, 2, true},  {2, 2, false}, {1, 3, true},
                 {9, 1, false}, {0, 0, false}, {3, 3, true}};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        for (uint32_t pre = 0; pre < 2; pre++) {
            struct one *one =
                one_open((struct one_start){.voters = 3, .term = 4, .terms = own, .count = 3});
            one_ask_vote(one, pre ? MOOT_RAFT_PRE_VOTE : MOOT_RAFT_VOTE, 2, 5, cases[i].last_index,
                         cases[i].last_term, false);
            const struct moot_raft_effect *reply =
                one_sent(one, pre ? MOOT_RAFT_PRE_VOTE_REPLY : MOOT_RAFT_VOTE_REPLY, 2);
            assert_int_equal(reply->message.vote_reply.granted, cases[i].granted);
            assert_int_equal(one_status(one).term, pre ? 4 : 5);
            one_close(one);
        }
    }
}

/* Goal: one vote a term, the same answer when asked again, also by a copy. */
static void one_vote_a_term(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3, .term = 1});
    one_ask_vote(one, MOOT_RAFT_VOTE, 2, 2, 0, 0, false);
    assert_true(one_sent(one, MOOT_RAFT_VOTE_REPLY, 2)->message.vote_reply.granted);
    one_ask_vote(one, MOOT_RAFT_VOTE, 3, 2, 5, 1, false);
    assert_false(one_sent(one, MOOT_RAFT_VOTE_REPLY, 3)->message.vote_reply.granted);
    one_ask_vote(one, MOOT_RAFT_VOTE, 2, 2, 0, 0, false);
    assert_true(one_sent(one, MOOT_RAFT_VOTE_REPLY, 2)->message.vote_reply.granted);
    assert_null(one_effect(one, MOOT_RAFT_EFFECT_HARD_STATE, 0)); /* Nothing new to write. */
    one_ask_vote(one, MOOT_RAFT_VOTE, 3, 1, 5, 0, false);         /* An old term. */
    assert_false(one_sent(one, MOOT_RAFT_VOTE_REPLY, 3)->message.vote_reply.granted);
    assert_int_equal(one_sent(one, MOOT_RAFT_VOTE_REPLY, 3)->message.term, 2);
    one_close(one);
}

/* Goal: an election: pre-votes, votes, no-op; stray answers count for nothing. */
static void an_election(void **state)
{
    (void)state;
    struct one *one =
        one_open((struct one_start){.voters = 5, .term = 1, .terms = ONES, .count = 2});
    one_time_out(one);
    assert_int_equal(one_status(one).role, MOOT_RAFT_PRE_CANDIDATE);
    assert_int_equal(one_status(one).term, 1);
    for (moot_node_id id = 2; id <= 5; id++) {
        const struct moot_raft_effect *ask = one_sent(one, MOOT_RAFT_PRE_VOTE, id);
        assert_int_equal(ask->message.term, 2);
        assert_int_equal(ask->message.vote.last_index, 2);
        assert_int_equal(ask->message.vote.last_term, 1);
        assert_true(ask->urgent);
    }
    one_answer_vote(one, MOOT_RAFT_VOTE_REPLY, 2, 1, true);     /* Another kind. */
    one_answer_vote(one, MOOT_RAFT_PRE_VOTE_REPLY, 9, 2, true); /* A stranger. */
    one_answer_vote(one, MOOT_RAFT_PRE_VOTE_REPLY, 2, 2, true);
    one_answer_vote(one, MOOT_RAFT_PRE_VOTE_REPLY, 2, 2, true); /* A copy. */
    assert_int_equal(one_status(one).role, MOOT_RAFT_PRE_CANDIDATE);
    one_answer_vote(one, MOOT_RAFT_PRE_VOTE_REPLY, 3, 2, true);
    assert_int_equal(one_status(one).role, MOOT_RAFT_CANDIDATE);
    assert_int_equal(one_effect(one, MOOT_RAFT_EFFECT_HARD_STATE, 0)->hard_state.vote, 1);
    one_answer_vote(one, MOOT_RAFT_VOTE_REPLY, 2, 2, true);
    one_answer_vote(one, MOOT_RAFT_VOTE_REPLY, 4, 1, true); /* Of an old term. */
    assert_int_equal(one_status(one).role, MOOT_RAFT_CANDIDATE);
    one_answer_vote(one, MOOT_RAFT_VOTE_REPLY, 4, 2, true);
    assert_int_equal(one_status(one).role, MOOT_RAFT_LEADER);
    const struct moot_raft_effect *noop = one_effect(one, MOOT_RAFT_EFFECT_APPENDED, 0);
    assert_int_equal(noop->appended.kind, MOOT_RAFT_ENTRY_NOOP);
    assert_int_equal(noop->appended.first, 3);
    assert_int_equal(noop->appended.term, 2);
    one_close(one);
}

/* Goal: a refusal by a majority ends it; a refusal of a higher term is adopted. */
static void a_lost_election(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3, .term = 1});
    one_time_out(one);
    one_answer_vote(one, MOOT_RAFT_PRE_VOTE_REPLY, 2, 1, false);
    assert_int_equal(one_status(one).role, MOOT_RAFT_PRE_CANDIDATE);
    one_answer_vote(one, MOOT_RAFT_PRE_VOTE_REPLY, 3, 1, false);
    assert_int_equal(one_status(one).role, MOOT_RAFT_FOLLOWER);
    one_time_out(one);
    one_answer_vote(one, MOOT_RAFT_PRE_VOTE_REPLY, 2, 6, false);
    assert_int_equal(one_status(one).term, 6);
    assert_int_equal(one_status(one).role, MOOT_RAFT_FOLLOWER);
    one_time_out(one);
    one_append(one, 3, 6, 0, 0, 0, NULL, 0); /* A leader of the term came first. */
    assert_int_equal(one_status(one).role, MOOT_RAFT_FOLLOWER);
    assert_int_equal(one_status(one).leader, 3);
    one_close(one);
}

/* Goal: a closed link to the leader starts a pre-vote soon, and lets others' be granted; a word
 * from the leader takes it back. */
static void a_closed_link_is_a_hint(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3, .term = 1});
    one_append(one, 2, 1, 0, 0, 0, NULL, 0);
    struct moot_raft_event lost = {.kind = MOOT_RAFT_EVENT_PEER_LOST, .node = 3};
    assert_int_equal(one_step(one, lost), 0);
    assert_true(moot_raft_deadline(one->raft).ns >= one->now_ns + 100 * MOOT_MSEC_NS);
    lost.node = 2;
    assert_int_equal(one_step(one, lost), 0);
    assert_true(moot_raft_deadline(one->raft).ns <= one->now_ns + 100 * MOOT_MSEC_NS / 8);
    one_ask_vote(one, MOOT_RAFT_PRE_VOTE, 3, 2, 0, 0, false);
    assert_true(one_sent(one, MOOT_RAFT_PRE_VOTE_REPLY, 3)->message.vote_reply.granted);
    one_append(one, 2, 1, 0, 0, 0, NULL, 0);
    one_ask_vote(one, MOOT_RAFT_PRE_VOTE, 3, 2, 0, 0, false);
    assert_false(one_sent(one, MOOT_RAFT_PRE_VOTE_REPLY, 3)->message.vote_reply.granted);
    assert_true(moot_raft_deadline(one->raft).ns >= one->now_ns + 100 * MOOT_MSEC_NS);
    one_close(one);
}

/* ---- appends ---- */

/* Goal: what a refusal hints at. Method: own log 1 1 4 4; previous entries that it lacks. */
static void a_refusal_hints(void **state)
{
    (void)state;
    static const moot_term own[] = {1, 1, 4, 4};
    static const struct {
        moot_index previous;
        moot_term previous_term;
        moot_index hint;
        moot_term hint_term;
    } cases[] = {{9, 5, 4, 4}, {4, 5, 4, 4}, {4, 3, 2, 1}, {3, 2, 2, 1}, {5, 2, 4, 4}};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        struct one *one =
            one_open((struct one_start){.voters = 3, .term = 6, .terms = own, .count = 4});
        one_append(one, 2, 6, cases[i].previous, cases[i].previous_term, 0, NULL, 0);
        const struct moot_raft_message *reply = &one_sent(one, MOOT_RAFT_APPEND_REPLY, 2)->message;
        assert_false(reply->append_reply.accepted);
        assert_int_equal(reply->append_reply.previous_index, cases[i].previous);
        assert_int_equal(reply->append_reply.hint_index, cases[i].hint);
        assert_int_equal(reply->append_reply.hint_term, cases[i].hint_term);
        assert_int_equal(reply->append_reply.round, 9); /* Still: this is our leader. */
        one_close(one);
    }
}

/* Goal: an acknowledgement of new entries waits for the disk; of a heartbeat, it does not wait, and
 * so says only what is there. */
static void acknowledgements_are_of_what_is_durable(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3, .term = 1});
    one_append(one, 2, 1, 0, 0, 0, ONES, 4);
    const struct moot_raft_effect *reply = one_sent(one, MOOT_RAFT_APPEND_REPLY, 2);
    assert_true(reply->after_durable);
    assert_int_equal(reply->message.append_reply.match, 4);
    assert_int_equal(reply->message.session, 5);
    one_append(one, 2, 1, 4, 1, 0, NULL, 0);
    reply = one_sent(one, MOOT_RAFT_APPEND_REPLY, 2);
    assert_false(reply->after_durable);
    assert_true(reply->urgent);
    assert_int_equal(reply->message.append_reply.match, 0);
    assert_int_equal(reply->message.append_reply.round, 9);
    one_durable(one, 3, 1);
    one_append(one, 2, 1, 4, 1, 0, NULL, 0);
    assert_int_equal(one_sent(one, MOOT_RAFT_APPEND_REPLY, 2)->message.append_reply.match, 3);
    one_close(one);
}

/* Goal: committed entries are never truncated, whatever is received. */
static void committed_entries_stay(void **state)
{
    (void)state;
    struct one *one = one_open(
        (struct one_start){.voters = 3, .term = 1, .terms = ONES, .count = 4, .applied = 3});
    const moot_term other[] = {2};
    one_append(one, 2, 2, 2, 1, 0, other, 1);
    assert_true(one_traced(one, MOOT_RAFT_TRACE_TRUNCATE_COMMITTED));
    assert_int_equal(one_status(one).last, 4);
    one_append(one, 2, 2, 3, 1, 0, other, 1);
    assert_int_equal(one_status(one).last, 4);
    moot_term term = 0;
    assert_true(moot_raft_term_at(one->raft, 4, &term));
    assert_int_equal(term, 2);
    one_close(one);
}

/* Goal: a full log takes what fits, acknowledges that, and a full leader refuses. */
static void a_full_log_takes_what_fits(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3, .term = 1});
    static const moot_term ones[60] = {[0 ... 59] = 1};
    one_append(one, 2, 1, 0, 0, 0, ones, 60);
    one_append(one, 2, 1, 60, 1, 0, ones, 60);
    one_append(one, 2, 1, 120, 1, 0, ones, 60);
    assert_int_equal(one_status(one).last, 128);
    assert_int_equal(one_sent(one, MOOT_RAFT_APPEND_REPLY, 2)->message.append_reply.match, 128);
    one_close(one);

    one = one_open((struct one_start){.voters = 3});
    one_lead(one, 3);
    uint32_t taken = 0;
    while (one_submit(one) == 0) {
        taken++;
    }
    assert_int_equal(one->status, MOOT_EOVERLOADED);
    assert_int_equal(taken, 63); /* Half of the places, with the no-op. */
    one_close(one);
}

/* Goal: batches, window, and sending again what nobody answers. */
static void appends_flow(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3});
    one_lead(one, 3);
    uint64_t session = one_session(one, 2);
    one_durable(one, 1, 1);
    one_acknowledge(one, 2, session, 1, 0); /* Found: now a window of 4 appends of 8 entries. */
    for (uint32_t i = 0; i < 50; i++) {
        assert_int_equal(one_submit(one), 0);
    }
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_FLUSH), 0);
    struct moot_raft_progress progress;
    assert_true(moot_raft_progress(one->raft, 2, &progress));
    assert_int_equal(progress.in_flight, 4);
    assert_int_equal(progress.next, 2 + 4 * 8);
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_FLUSH), 0);
    assert_null(one_sent(one, MOOT_RAFT_APPEND, 2)); /* The window is full. */
    one_acknowledge(one, 2, session, 17, 0);         /* Two of them at once. */
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_FLUSH), 0);
    assert_true(moot_raft_progress(one->raft, 2, &progress));
    assert_int_equal(progress.in_flight, 4);
    assert_int_equal(progress.next, 2 + 6 * 8);
    for (uint32_t i = 0; i < 4; i++) { /* The rest is lost; heartbeats are answered. */
        one->now_ns = moot_raft_deadline(one->raft).ns;
        assert_int_equal(one_event(one, MOOT_RAFT_EVENT_TICK), 0);
        one_acknowledge(one, 2, session, 17, 0);
    }
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_FLUSH), 0);
    const struct moot_raft_effect *again = one_sent(one, MOOT_RAFT_APPEND, 2);
    assert_int_equal(again->message.append.previous_index, 17);
    assert_int_equal(again->message.append.count, 8);
    one_close(one);
}

/* Goal: a follower that refuses at its own match has lost entries; its old word no longer counts.
 */
static void a_follower_that_lost_entries(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3});
    one_lead(one, 3);
    uint64_t session = one_session(one, 2);
    assert_int_equal(one_submit(one), 0);
    one_acknowledge(one, 2, session, 2, 0); /* Before our own disk has it. */
    one_refuse(one, 2, session, 2, 1, 1);
    one_durable(one, 2, 1);
    assert_int_equal(one_status(one).commit, 0);
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_FLUSH), 0);
    assert_int_equal(one_sent(one, MOOT_RAFT_APPEND, 2)->message.append.previous_index, 1);
    one_acknowledge(one, 2, session, 2, 0);
    assert_int_equal(one_status(one).commit, 2);
    one_close(one);
}

/* ---- impaired ---- */

/* Goal: impaired, a node neither votes nor campaigns nor acknowledges; yet it takes entries, and is
 * well again when they reach what it had lost. */
static void an_impaired_node_is_repaired_by_a_leader(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){
        .voters = 3, .term = 2, .terms = ONES, .count = 2, .impaired = true, .impaired_until = 4});
    one_ask_vote(one, MOOT_RAFT_VOTE, 3, 3, 9, 2, false);
    assert_false(one_sent(one, MOOT_RAFT_VOTE_REPLY, 3)->message.vote_reply.granted);
    one_time_out(one);
    assert_int_equal(one_status(one).role, MOOT_RAFT_FOLLOWER);
    assert_true(moot_raft_deadline(one->raft).ns > one->now_ns);
    one_append(one, 2, 3, 2, 1, 0, ONES, 1);
    const struct moot_raft_message *reply = &one_sent(one, MOOT_RAFT_APPEND_REPLY, 2)->message;
    assert_false(reply->append_reply.accepted);
    assert_int_equal(reply->append_reply.hint_index, 3);
    assert_true(one_status(one).impaired);
    one_append(one, 2, 3, 3, 1, 4, ONES, 1);
    assert_false(one_status(one).impaired);
    assert_true(one_sent(one, MOOT_RAFT_APPEND_REPLY, 2)->message.append_reply.accepted);
    assert_int_equal(one_status(one).commit, 4);
    one_close(one);
}

/* Goal: when it is not known what was lost, only a leader elected without us repairs: the term is
 * raised first, and an entry of the leader's own term must come. */
static void an_impaired_node_that_knows_nothing(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3,
                                                  .term = 2,
                                                  .vote = 2,
                                                  .terms = ONES,
                                                  .count = 2,
                                                  .impaired = true,
                                                  .impaired_until = UINT64_MAX});
    one_append(one, 2, 2, 2, 1, 2, ONES, 1); /* The leader of our old term. */
    assert_int_equal(one_effect(one, MOOT_RAFT_EFFECT_HARD_STATE, 0)->hard_state.term, 3);
    assert_int_equal(one_sent(one, MOOT_RAFT_APPEND_REPLY, 2)->message.term, 3);
    assert_true(one_status(one).impaired);
    one_append(one, 3, 4, 2, 1, 3, ONES, 1);
    assert_true(one_status(one).impaired);
    const moot_term own[] = {4};
    one_append(one, 3, 4, 3, 1, 3, own, 1);
    assert_false(one_status(one).impaired);
    one_close(one);
}

static int refill(struct one *one, moot_index first, const moot_term *terms, uint32_t count)
{
    struct moot_raft_entry entries[8] = {{0}};
    for (uint32_t i = 0; i < count; i++) {
        entries[i] = (struct moot_raft_entry){terms[i], 10, MOOT_RAFT_ENTRY_DATA, NULL};
    }
    struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_REFILL};
    event.refill.first = first;
    event.refill.count = count;
    event.refill.entries = entries;
    return one_step(one, event);
}

static struct one *open_impaired(void)
{
    return one_open((struct one_start){.voters = 3,
                                       .term = 2,
                                       .terms = ONES,
                                       .count = 2,
                                       .impaired = true,
                                       .impaired_until = UINT64_MAX});
}

/* Goal: who has its whole log again is well without any leader, as soon as that is on disk, and not
 * before. Method: two entries come back; votes are asked for before and after they are durable. */
static void a_log_that_is_refilled(void **state)
{
    (void)state;
    struct one *one = open_impaired();
    const moot_term back[] = {1, 2};
    assert_int_equal(refill(one, 3, back, 2), 0);
    assert_int_equal(one_status(one).last, 4);
    assert_true(one_status(one).impaired);
    one_ask_vote(one, MOOT_RAFT_VOTE, 3, 4, 9, 2, false);
    assert_false(one_sent(one, MOOT_RAFT_VOTE_REPLY, 3)->message.vote_reply.granted);
    one_durable(one, 3, 1);
    assert_true(one_status(one).impaired);
    one_durable(one, 4, 2);
    assert_false(one_status(one).impaired);
    one_ask_vote(one, MOOT_RAFT_VOTE, 3, 5, 3, 1, false); /* A log that lacks what came back. */
    assert_false(one_sent(one, MOOT_RAFT_VOTE_REPLY, 3)->message.vote_reply.granted);
    one_ask_vote(one, MOOT_RAFT_VOTE, 2, 6, 4, 2, false);
    assert_true(one_sent(one, MOOT_RAFT_VOTE_REPLY, 2)->message.vote_reply.granted);
    one_close(one);
}

/* Goal: nothing is taken back that does not follow the log, too late, or by who lost nothing; and
 * when a leader cuts what came back before it is durable, he repairs the log, and nobody else.
 * Method: a gap, terms that fall, a term that never was, a leader that is heard, a whole log. */
static void what_is_no_refill(void **state)
{
    (void)state;
    struct one *one = open_impaired();
    const moot_term back[] = {2, 2}, falls[] = {2, 1}, late[] = {2, 9};
    assert_int_equal(refill(one, 4, back, 2), MOOT_EREFUSED);
    assert_int_equal(refill(one, 2, back, 2), MOOT_EREFUSED);
    assert_int_equal(refill(one, 3, falls, 2), MOOT_EREFUSED);
    assert_int_equal(refill(one, 3, late, 2), MOOT_EREFUSED);
    assert_int_equal(refill(one, 3, back, 0), MOOT_EREFUSED);
    assert_int_equal(refill(one, 3, back, 2), 0);
    const moot_term other[] = {3};
    one_append(one, 2, 4, 2, 1, 0, other, 1); /* Another entry at 3. */
    assert_int_equal(one_status(one).last, 3);
    one_durable(one, 4, 2);
    one_durable(one, 3, 3);
    assert_true(one_status(one).impaired);
    assert_int_equal(refill(one, 4, late, 1), MOOT_EREFUSED);
    const moot_term own[] = {4};
    one_append(one, 2, 4, 3, 3, 0, own, 1);
    assert_false(one_status(one).impaired);
    one_close(one);
    one = one_open((struct one_start){.voters = 3, .term = 2, .terms = ONES, .count = 2});
    assert_int_equal(refill(one, 3, back, 2), MOOT_EREFUSED);
    one_close(one);
}

/* Goal: the entries that would repair a follower are sent again, although it refuses every
 * heartbeat meanwhile. Method: the first ones are lost; heartbeats are refused for a second. */
static void lost_entries_are_sent_again_to_who_refuses(void **state)
{
    (void)state;
    struct one *one =
        one_open((struct one_start){.voters = 3, .term = 1, .terms = ONES, .count = 2});
    one_lead(one, 3);
    uint64_t session = one_session(one, 2);
    uint32_t sent = 0;
    one_refuse(one, 2, session, 2, 0, 0);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(one_event(one, MOOT_RAFT_EVENT_FLUSH), 0);
        const struct moot_raft_effect *append = one_sent(one, MOOT_RAFT_APPEND, 2);
        sent += append != NULL && append->message.append.count > 0;
        one_time_out(one);
        assert_int_equal(one_status(one).role, MOOT_RAFT_LEADER);
        append = one_sent(one, MOOT_RAFT_APPEND, 2);
        sent += append != NULL && append->message.append.count > 0;
        one_refuse(one, 2, session, 0, 0, 0);
    }
    assert_true(sent > 5);
    one_close(one);
}

/* Goal: the leader leads an impaired follower on by its hints, and counts it when it is well. */
static void a_leader_repairs_an_impaired_follower(void **state)
{
    (void)state;
    for (uint32_t known = 0; known < 2; known++) {
        struct cluster *cluster = cluster_make(900 + known);
        cluster->check_matching = true;
        cluster_create_all(cluster, 3, 0);
        moot_node_id leader = cluster_elect(cluster, 2000);
        for (uint32_t i = 0; i < 40; i++) {
            assert_int_equal(cluster_submit(cluster, leader), 0);
        }
        cluster_flush(cluster, leader);
        cluster_run_ms(cluster, 100);
        moot_node_id hurt = leader % 3 + 1;
        struct cluster_node *node = &cluster->nodes[hurt];
        cluster_crash(cluster, hurt, 0);
        moot_index had = node->disk.last;
        node->disk.last = 7;
        node->rotten = true;
        node->rotten_until = known ? had : UINT64_MAX;
        cluster_start(cluster, hurt);
        cluster_run_ms(cluster, 3000);
        assert_false(cluster_status(cluster, hurt).impaired);
        leader = cluster_elect(cluster, 1000);
        assert_int_not_equal(leader, 0);
        moot_node_id third = 6 - leader - hurt;
        if (third != 0 && third != leader && third != hurt) {
            cluster_crash(cluster, third, 0); /* Now it is needed for every commit. */
        }
        assert_int_equal(cluster_submit(cluster, leader), 0);
        cluster_flush(cluster, leader);
        cluster_run_ms(cluster, 200);
        assert_int_equal(node->state.index, cluster->committed_last);
        cluster_free(cluster);
    }
}

/* ---- the wrong-clock rule ---- */

/* Goal: one clock far off, ahead or behind: its node gives up leadership and does not come back,
 * the others elect; put right, everything is as before. */
static void a_wrong_clock_does_not_lead(void **state)
{
    (void)state;
    for (int64_t sign = -1; sign <= 1; sign += 2) {
        struct cluster *cluster = cluster_make(700);
        cluster_create_all(cluster, 3, 0);
        moot_node_id wrong = cluster_elect(cluster, 2000);
        cluster_run_ms(cluster, 100);
        cluster->nodes[wrong].wall_offset_ms = sign * 3600000;
        cluster_run_ms(cluster, 1500);
        moot_node_id leader = cluster_leader(cluster);
        assert_true(leader != 0 && leader != wrong);
        assert_true(cluster_status(cluster, leader).leads_committed);
        /* Put right, it is as good as any. */
        cluster->nodes[wrong].wall_offset_ms = 0;
        cluster_run_ms(cluster, 2000);
        assert_false(cluster_status(cluster, wrong).clock_is_wrong);
        assert_int_equal(
            cluster_event_node(cluster, cluster_leader(cluster), MOOT_RAFT_EVENT_TRANSFER, wrong),
            0);
        cluster_run_ms(cluster, 200);
        assert_int_equal(cluster_leader(cluster), wrong);
        cluster_free(cluster);
    }
}

/* Goal: also one that never leapt, and that all had agreed with, is a majority's to call wrong.
 * Method: the leader's clock goes away from the others' in steps below the bound. */
static void a_clock_that_drifts_away_does_not_lead(void **state)
{
    (void)state;
    for (int64_t sign = -1; sign <= 1; sign += 2) {
        struct cluster *cluster = cluster_make(705);
        cluster_create_all(cluster, 3, 0);
        moot_node_id wrong = cluster_elect(cluster, 2000);
        cluster_run_ms(cluster, 500);
        for (int i = 0; i < 30; i++) {
            cluster->nodes[wrong].wall_offset_ms += sign * 100;
            cluster_run_ms(cluster, 50);
        }
        cluster_run_ms(cluster, 1500);
        moot_node_id leader = cluster_leader(cluster);
        assert_true(leader != 0 && leader != wrong);
        cluster_free(cluster);
    }
}

/* Goal: a voter refuses the pre-vote of a node whose clock is off a majority's, ahead or behind,
 * and only then. Method: 1 knows 2's clock, or does not; 3 asks. */
static void a_voter_refuses_a_wrong_clock(void **state)
{
    (void)state;
    static const struct {
        bool knows;
        int64_t off_ms;
        bool granted;
    } cases[] = {{true, 0, true},
                 {true, 499, true},
                 {true, 3600000, false},
                 {true, -900000, false},
                 {false, 3600000, true}};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        struct one *one = one_open((struct one_start){.voters = 3, .term = 1});
        if (cases[i].knows) {
            one_append(one, 2, 1, 0, 0, 0, NULL, 0);
        }
        one->now_ns += 150 * MOOT_MSEC_NS;
        struct moot_raft_message ask = {.kind = MOOT_RAFT_PRE_VOTE,
                                        .from = 3,
                                        .term = 2,
                                        .wall_ms =
                                            (uint64_t)((int64_t)one->wall_ms + cases[i].off_ms)};
        one_receive(one, ask);
        assert_int_equal(one_sent(one, MOOT_RAFT_PRE_VOTE_REPLY, 3)->message.vote_reply.granted,
                         cases[i].granted);
        one_close(one);
    }
}

/* Goal: one clock off never stops the rest. Method: three nodes, each in turn off, and one of the
 * others dead: two of three are alive, and one of the two must lead. */
static void one_wrong_clock_stops_nobody(void **state)
{
    (void)state;
    for (moot_node_id wrong = 1; wrong <= 3; wrong++) {
        for (moot_node_id dead = 1; dead <= 3; dead++) {
            struct cluster *cluster = cluster_make(710 + wrong * 4 + dead);
            cluster_create_all(cluster, 3, 0);
            cluster->nodes[wrong].wall_offset_ms = dead % 2 == 0 ? 5000 : -5000;
            assert_int_not_equal(cluster_elect(cluster, 3000), 0);
            cluster_run_ms(cluster, 500);
            cluster_crash(cluster, dead, 0);
            cluster_run_ms(cluster, 3000);
            assert_int_not_equal(cluster_elect(cluster, 3000), 0);
            cluster_free(cluster);
        }
    }
}

/* Goal: of two voters, or of two that are left of three, a leader whose own wall clock leaps hands
 * over, either way, and the other is not disturbed any more; a follower's leap disturbs nobody.
 * Method: each of these, an hour. */
static void of_two_who_leaps_yields(void **state)
{
    (void)state;
    for (uint32_t variant = 0; variant < 8; variant++) {
        struct cluster *cluster = cluster_make(760 + variant);
        uint32_t voters = variant % 2 == 0 ? 2 : 3;
        bool leader_leaps = variant / 4 == 0;
        cluster_create_all(cluster, voters, 0);
        moot_node_id leader = cluster_elect(cluster, 3000);
        moot_node_id other = leader % 2 + 1;
        if (voters == 3) {
            other = leader % 3 + 1;
            cluster_crash(cluster, 6 - leader - other, 0);
        }
        cluster_run_ms(cluster, 300);
        assert_int_equal(cluster_leader(cluster), leader);
        moot_node_id leaps = leader_leaps ? leader : other;
        cluster->nodes[leaps].wall_offset_ms = variant / 2 % 2 == 0 ? 3600000 : -3600000;
        cluster_run_ms(cluster, 1500);
        moot_node_id stays = leader_leaps ? other : leader;
        for (int i = 0; i < 100; i++) {
            cluster_run_ms(cluster, 100);
            assert_int_equal(cluster_leader(cluster), stays);
        }
        cluster_free(cluster);
    }
}

/* Goal: of two that begin with different clocks the earlier leads, so that nothing expires before
 * its time; also after both have led. Method: one is an hour ahead from the start. */
static void of_two_the_earlier_leads(void **state)
{
    (void)state;
    for (moot_node_id wrong = 1; wrong <= 2; wrong++) {
        for (uint32_t seed = 0; seed < 5; seed++) {
            struct cluster *cluster = cluster_make(790 + seed);
            cluster_create_all(cluster, 2, 0);
            cluster->nodes[wrong].wall_offset_ms = 3600000;
            for (int i = 0; i < 50; i++) {
                cluster_run_ms(cluster, 100);
                assert_int_not_equal(cluster_leader(cluster), wrong);
            }
            assert_int_equal(cluster_leader(cluster), 3 - wrong);
            cluster_free(cluster);
        }
    }
}

/* Goal: clocks that all leap, each to another time, leave nobody out of office for long. Method:
 * two or three nodes; every order of who is ahead. */
static void when_all_leap_somebody_leads(void **state)
{
    (void)state;
    for (uint32_t variant = 0; variant < 12; variant++) {
        struct cluster *cluster = cluster_make(800 + variant);
        uint32_t voters = 2 + variant % 2;
        cluster_create_all(cluster, voters, 0);
        assert_int_not_equal(cluster_elect(cluster, 3000), 0);
        cluster_run_ms(cluster, 300);
        for (moot_node_id id = 1; id <= voters; id++) {
            cluster->nodes[id].wall_offset_ms =
                (int64_t)((id + variant / 2) % 3) * 3600000 - 1800000;
        }
        cluster_run_ms(cluster, 3000);
        assert_int_not_equal(cluster_elect(cluster, 3000), 0);
        cluster_run_ms(cluster, 3000);
        assert_int_not_equal(cluster_leader(cluster), 0);
        cluster_free(cluster);
    }
}

/* Goal: a slow network, and a long pause, are not a wrong clock. */
static void delay_is_not_a_wrong_clock(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_make(720);
    cluster->options.clock_bound_ms = 20;
    cluster_create_all(cluster, 3, 0);
    moot_node_id leader = cluster_elect(cluster, 2000);
    cluster->delay_min_ns = cluster->delay_max_ns = 40 * MOOT_MSEC_NS;
    cluster_run_ms(cluster, 2000);
    assert_int_equal(cluster_leader(cluster), leader);
    cluster->delay_min_ns = cluster->delay_max_ns = MOOT_MSEC_NS;
    cluster->nodes[leader].paused = true;
    cluster_run_ms(cluster, 1000);
    cluster->nodes[leader].paused = false;
    cluster_run_ms(cluster, 1000);
    for (moot_node_id id = 1; id <= 3; id++) {
        assert_false(cluster_status(cluster, id).clock_is_wrong);
    }
    assert_int_not_equal(cluster_elect(cluster, 1000), 0);
    cluster_free(cluster);
}

/* ---- the rest of the door ---- */

/* Goal: a contradictory restore is refused. Method: one contradiction each. */
static void a_contradictory_restore_is_refused(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3});
    static const struct moot_raft_entry falling[] = {{2, 1, MOOT_RAFT_ENTRY_DATA, NULL},
                                                     {1, 1, MOOT_RAFT_ENTRY_DATA, NULL}};
    struct moot_raft_restore good = {.term = 2, .members = cluster_members(3, 0)};
    struct moot_raft_restore bad[5];
    for (size_t i = 0; i < MOOT_ARRAY_LEN(bad); i++) {
        bad[i] = good;
    }
    bad[0].members.voter_count = 0;
    bad[1].applied = 1;
    bad[2].snapshot_index = 4; /* Applied is below. */
    bad[3].entries = falling;
    bad[3].entry_count = 2;
    bad[4].snapshot_index = bad[4].applied = 1;
    bad[4].snapshot_term = 3;
    void *memory = moot_alloc(moot_raft_size(&one->options));
    struct moot_raft *raft = NULL;
    for (size_t i = 0; i < MOOT_ARRAY_LEN(bad); i++) {
        assert_int_equal(
            moot_raft_init(memory, &one->options, &bad[i], (struct moot_instant){0}, &raft),
            MOOT_EINVALID);
    }
    assert_int_equal(moot_raft_init(memory, &one->options, &good, (struct moot_instant){0}, &raft),
                     0);
    moot_free(memory);
    one_close(one);
}

/* Goal: a follower refuses what only a leader may do, without effects. */
static void a_follower_refuses(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3});
    const moot_node_id all[] = {1, 2, 3};
    assert_int_equal(one_submit(one), MOOT_ENOTLEADER);
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_READ), MOOT_ENOTLEADER);
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_TRANSFER), MOOT_ENOTLEADER);
    assert_int_equal(one_change(one, all, 3), MOOT_ENOTLEADER);
    assert_int_equal(one->effects.count, 0);
    one_close(one);
}

/* Goal: terms of any entry are right after any mix of pushes, truncations and compactions. Method:
 * a naive twin beside it. */
static void terms_against_a_naive_twin(void **state)
{
    (void)state;
    struct moot_rng rng;
    moot_rng_init(&rng, 11);
    struct one *one = one_open((struct one_start){.voters = 3, .term = 1});
    moot_term twin[2000] = {0};
    moot_index last = 0;
    moot_index commit = 0;
    moot_index first = 1;
    moot_term term = 1;
    for (uint32_t step = 0; step < 3000 && last < 1900; step++) {
        moot_node_id from = 2 + (moot_node_id)(term % 2); /* A leader a term. */
        if (moot_rng_chance(&rng, 1, 5)) {
            term++;
            from = 2 + (moot_node_id)(term % 2);
            if (moot_rng_chance(&rng, 1, 2)) {
                last = commit + moot_rng_below(&rng, last - commit + 1);
            }
        }
        if (last - first > 100) {
            commit = last;
        }
        moot_term fresh[8];
        uint32_t count = (uint32_t)moot_rng_below(&rng, 5);
        for (uint32_t i = 0; i < count; i++) {
            fresh[i] = term;
            twin[last + 1 + i] = term;
        }
        one_append(one, from, term, last, twin[last], commit, fresh, count);
        if (count > 0) {
            last += count;
        } else {
            last = one_status(one).last; /* Nothing was truncated without a conflict. */
        }
        assert_int_equal(one_status(one).last, last);
        if (moot_rng_chance(&rng, 1, 10) || one_status(one).last - first > 90) {
            commit = one_status(one).commit;
            struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_APPLIED, .applied = commit};
            assert_int_equal(one_step(one, event), 0);
            event = (struct moot_raft_event){.kind = MOOT_RAFT_EVENT_COMPACT, .compact = commit};
            assert_int_equal(one_step(one, event), 0);
            first = one_status(one).first;
        }
        for (moot_index index = first - 1; index <= last; index++) {
            moot_term got = 0;
            assert_true(moot_raft_term_at(one->raft, index, &got));
            assert_int_equal(got, twin[index]);
        }
        moot_term none = 0;
        assert_false(moot_raft_term_at(one->raft, last + 1, &none));
    }
    assert_true(last > 500);
    one_close(one);
}

/* Goal: every trace has a sentence, and its fields land in it. */
static void traces_are_sentences(void **state)
{
    (void)state;
    struct moot_buffer out;
    moot_buffer_init(&out);
    struct moot_raft_trace trace = {.kind = MOOT_RAFT_TRACE_COMMITTED, .field = {17, 3}};
    moot_raft_trace_render(&trace, &out);
    assert_true(moot_slice_equal(moot_buffer_slice(&out),
                                 moot_slice_text("a majority has 17^3 on disk -> commit 17")));
    for (uint16_t kind = 0; kind <= MOOT_RAFT_TRACE_KINDS; kind++) {
        trace.kind = kind;
        moot_raft_trace_render(&trace, &out);
    }
    moot_buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(votes_go_by_the_log),
        cmocka_unit_test(one_vote_a_term),
        cmocka_unit_test(an_election),
        cmocka_unit_test(a_lost_election),
        cmocka_unit_test(a_closed_link_is_a_hint),
        cmocka_unit_test(a_refusal_hints),
        cmocka_unit_test(acknowledgements_are_of_what_is_durable),
        cmocka_unit_test(committed_entries_stay),
        cmocka_unit_test(a_full_log_takes_what_fits),
        cmocka_unit_test(appends_flow),
        cmocka_unit_test(a_follower_that_lost_entries),
        cmocka_unit_test(an_impaired_node_is_repaired_by_a_leader),
        cmocka_unit_test(an_impaired_node_that_knows_nothing),
        cmocka_unit_test(a_log_that_is_refilled),
        cmocka_unit_test(what_is_no_refill),
        cmocka_unit_test(a_leader_repairs_an_impaired_follower),
        cmocka_unit_test(lost_entries_are_sent_again_to_who_refuses),
        cmocka_unit_test(a_wrong_clock_does_not_lead),
        cmocka_unit_test(a_clock_that_drifts_away_does_not_lead),
        cmocka_unit_test(a_voter_refuses_a_wrong_clock),
        cmocka_unit_test(one_wrong_clock_stops_nobody),
        cmocka_unit_test(of_two_who_leaps_yields),
        cmocka_unit_test(of_two_the_earlier_leads),
        cmocka_unit_test(when_all_leap_somebody_leads),
        cmocka_unit_test(delay_is_not_a_wrong_clock),
        cmocka_unit_test(a_contradictory_restore_is_refused),
        cmocka_unit_test(a_follower_refuses),
        cmocka_unit_test(terms_against_a_naive_twin),
        cmocka_unit_test(traces_are_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
