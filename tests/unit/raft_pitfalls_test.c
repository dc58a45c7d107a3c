/* PITFALLS section 3, Raft lines 1 to 30: one test a line, as far as it concerns the core. Lines
 * 18, 20 to 23, 29 and 30 are the whole node's: node_pitfalls_test. */
#include "raft_one.h"

static const moot_term TERMS_1[] = {1, 1, 1, 1, 1, 1};

/* Goal: no membership change before an entry of the own term is committed. */
static void pitfall_01_change_waits_for_own_no_op(void **state)
{
    (void)state;
    struct one *one = one_open(
        (struct one_start){.voters = 4, .term = 1, .terms = TERMS_1, .count = 3, .applied = 3});
    one_lead(one, 4);
    uint64_t session_2 = one_session(one, 2);
    uint64_t session_3 = one_session(one, 3);
    const moot_node_id three[] = {1, 2, 3};
    assert_int_equal(one_change(one, three, 3), MOOT_EBUSY);
    one_durable(one, 4, 2);
    one_acknowledge(one, 2, session_2, 4, 0);
    assert_int_equal(one_change(one, three, 3), MOOT_EBUSY);
    one_acknowledge(one, 3, session_3, 4, 0);
    assert_int_equal(one_status(one).commit, 4);
    assert_int_equal(one_change(one, three, 3), 0);
    one_close(one);
}

/* Goal: one change at a time; a configuration whose entry is overwritten is rolled back. */
static void pitfall_02_one_change_and_rollback(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3});
    one_lead(one, 3);
    uint64_t session = one_session(one, 2);
    one_durable(one, 1, 1);
    one_acknowledge(one, 2, session, 1, 0);
    const moot_node_id four[] = {1, 2, 3, 4};
    const moot_node_id five[] = {1, 2, 3, 4, 5};
    assert_int_equal(one_change(one, four, 4), 0);
    assert_non_null(one_effect(one, MOOT_RAFT_EFFECT_MEMBERS, 0));
    assert_true(moot_members_is_joint(one_members(one)));
    assert_int_equal(one_change(one, five, 5), MOOT_EBUSY);
    /* A leader of term 2 overwrites entry 2. */
    const moot_term terms[] = {2};
    one_append(one, 2, 2, 1, 1, 1, terms, 1);
    const struct moot_raft_effect *members = one_effect(one, MOOT_RAFT_EFFECT_MEMBERS, 0);
    assert_non_null(members);
    struct moot_members before = cluster_members(3, 0);
    assert_true(moot_members_equal(&members->members, &before));
    assert_true(moot_members_equal(one_members(one), &before));
    one_close(one);

    /* Learners come without a joint step; the next change waits for them all the same. */
    one = one_open((struct one_start){.voters = 3});
    one_lead(one, 3);
    session = one_session(one, 2);
    one_durable(one, 1, 1);
    one_acknowledge(one, 2, session, 1, 0);
    struct moot_raft_event learner = {
        .kind = MOOT_RAFT_EVENT_MEMBERS,
        .members = {.voters = {1, 2, 3}, .voter_count = 3, .learners = {4}, .learner_count = 1}};
    assert_int_equal(one_step(one, learner), 0);
    assert_false(moot_members_is_joint(one_members(one)));
    assert_int_equal(one_change(one, four, 4), MOOT_EBUSY);
    one_durable(one, 2, 1);
    one_acknowledge(one, 2, session, 2, 0);
    assert_int_equal(one_effect(one, MOOT_RAFT_EFFECT_MEMBERS_DONE, 0)->done.index, 2);
    assert_int_equal(one_change(one, four, 4), 0);
    one_close(one);
}

/* Goal: a configuration is in force from its append, and a snapshot's as of its index. */
static void pitfall_03_members_in_force_on_append(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3, .term = 1});
    struct moot_members five = cluster_members(5, 0);
    struct moot_raft_message message = {.kind = MOOT_RAFT_APPEND, .from = 2, .term = 1};
    message.append.count = 1;
    message.append.entries = one->entries;
    one->entries[0] = (struct moot_raft_entry){1, sizeof(five), MOOT_RAFT_ENTRY_MEMBERS, &five};
    one_receive(one, message);
    assert_int_equal(one_status(one).commit, 0);
    assert_true(moot_members_equal(one_members(one), &five));
    /* A snapshot that ends at the entry carries it; one of the other history replaces it. */
    struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_SNAPSHOT_INSTALLED};
    event.installed.index = 4;
    event.installed.term = 1;
    event.installed.members = cluster_members(4, 1);
    assert_int_equal(one_step(one, event), 0);
    assert_true(moot_members_equal(one_members(one), &event.installed.members));
    one_close(one);
}

/* Goal: a removed leader does not count itself, leads until the commit, then steps down and says
 * who may follow. */
static void pitfall_04_removed_leader(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_make(4);
    cluster_create_all(cluster, 3, 0);
    moot_node_id leader = cluster_elect(cluster, 2000);
    assert_int_not_equal(leader, 0);
    moot_node_id rest[3];
    uint8_t count = 0;
    for (moot_node_id id = 1; id <= 3; id++) {
        if (id != leader) {
            rest[count++] = id;
        }
    }
    assert_int_equal(cluster_change(cluster, leader, rest, count, NULL, 0), 0);
    cluster_flush(cluster, leader);
    uint64_t start_ns = cluster->now_ns;
    while (cluster_leader(cluster) == leader) {
        assert_true(cluster_advance(cluster, start_ns + 100 * MOOT_MSEC_NS));
    }
    assert_int_equal(cluster->nodes[leader].members_done, 1);
    assert_int_equal(cluster->nodes[leader].members_status, 0);
    moot_node_id next = cluster_elect(cluster, 50); /* Sooner than any election time-out. */
    assert_true(next != 0 && next != leader);
    cluster_free(cluster);

    struct one *one = one_open((struct one_start){.voters = 3});
    one_lead(one, 3);
    uint64_t session_2 = one_session(one, 2);
    uint64_t session_3 = one_session(one, 3);
    one_durable(one, 1, 1);
    one_acknowledge(one, 2, session_2, 1, 0);
    const moot_node_id others[] = {2, 3};
    assert_int_equal(one_change(one, others, 2), 0); /* Joint, entry 2. */
    one_durable(one, 2, 1);
    one_acknowledge(one, 2, session_2, 2, 0);
    assert_int_equal(one_status(one).commit, 1); /* Of {2,3} only one. */
    one_acknowledge(one, 3, session_3, 2, 0);
    assert_int_equal(one_status(one).commit, 2);
    assert_int_equal(one_status(one).last, 3); /* The entry that leaves came by itself. */
    one_durable(one, 3, 1);
    one_acknowledge(one, 2, session_2, 3, 0);
    assert_int_equal(one_status(one).commit, 2); /* We hold it, and do not count. */
    assert_int_equal(one_status(one).role, MOOT_RAFT_LEADER);
    one_acknowledge(one, 3, session_3, 3, 0);
    assert_int_equal(one_status(one).commit, 3);
    assert_int_equal(one_status(one).role, MOOT_RAFT_FOLLOWER);
    assert_non_null(one_sent(one, MOOT_RAFT_TIMEOUT_NOW, 0));
    one_close(one);
}

/* Goal: a removed server cannot disturb the others. Method: it times out a thousand times. */
static void pitfall_05_removed_server_does_not_disrupt(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_make(5);
    struct moot_members four = cluster_members(4, 0);
    struct moot_members three = cluster_members(3, 0);
    for (moot_node_id id = 1; id <= 3; id++) {
        cluster_create(cluster, id, &three);
    }
    moot_node_id leader = cluster_elect(cluster, 2000);
    cluster_run_ms(cluster, 100);
    moot_term term = cluster_status(cluster, leader).term;
    cluster_create(cluster, 4, &four); /* It believes to be a member, and hears nobody. */
    cluster->nodes[4].disk_term = 7;
    cluster_crash(cluster, 4, 0);
    cluster_start(cluster, 4);
    uint64_t asked = cluster->sent[MOOT_RAFT_PRE_VOTE];
    while (cluster->sent[MOOT_RAFT_PRE_VOTE] < asked + 3 * 1000) {
        cluster_run_ms(cluster, 100);
    }
    assert_int_equal(cluster_leader(cluster), leader);
    assert_int_equal(cluster_status(cluster, leader).term, term);
    cluster_free(cluster);
}

/* Goal: no pre-vote deadlock between a longer log in a lower term and a shorter one in a higher
 * term: a grant carries the request's term, a refusal the voter's own. */
static void pitfall_06_pre_vote_does_not_deadlock(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_make(6);
    cluster_create_all(cluster, 3, 0);
    moot_node_id leader = cluster_elect(cluster, 2000);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(cluster_submit(cluster, leader), 0);
    }
    cluster_flush(cluster, leader);
    cluster_run_ms(cluster, 100);
    /* The longest log stays in its term; another is ahead in terms, and its log is shorter. */
    moot_node_id other = leader % 3 + 1;
    moot_node_id third = other % 3 + 1;
    cluster_crash(cluster, other, 0);
    assert_int_equal(cluster_submit(cluster, leader), 0);
    cluster_flush(cluster, leader);
    cluster_run_ms(cluster, 100);
    cluster_crash(cluster, third, 0);
    cluster_crash(cluster, leader, 0);
    cluster->nodes[other].disk_term = 40;
    cluster->nodes[other].disk_vote = 0;
    cluster_start(cluster, other);
    cluster_start(cluster, leader);
    assert_int_equal(cluster_elect(cluster, 3000), leader); /* With two of three alive. */
    assert_true(cluster_status(cluster, leader).term > 40);
    cluster_free(cluster);

    struct one *one =
        one_open((struct one_start){.voters = 3, .term = 5, .terms = TERMS_1, .count = 2});
    one_ask_vote(one, MOOT_RAFT_PRE_VOTE, 2, 9, 4, 4, false);
    const struct moot_raft_effect *reply = one_sent(one, MOOT_RAFT_PRE_VOTE_REPLY, 2);
    assert_true(reply->message.vote_reply.granted);
    assert_int_equal(reply->message.term, 9);
    assert_int_equal(one_status(one).term, 5); /* Asking changes nothing. */
    one_ask_vote(one, MOOT_RAFT_PRE_VOTE, 2, 3, 4, 2, false);
    reply = one_sent(one, MOOT_RAFT_PRE_VOTE_REPLY, 2);
    assert_false(reply->message.vote_reply.granted);
    assert_int_equal(reply->message.term, 5);
    one_close(one);
}

/* Goal: a node that is ahead in terms frees itself: its refusal of an append carries its term, and
 * the leader gives way. Also under one-way cuts somebody leads in the end. */
static void pitfall_07_stale_leader_learns_the_term(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3, .term = 8});
    one_append(one, 2, 6, 0, 0, 0, NULL, 0);
    const struct moot_raft_effect *reply = one_sent(one, MOOT_RAFT_APPEND_REPLY, 2);
    assert_false(reply->message.append_reply.accepted);
    assert_int_equal(reply->message.term, 8);
    assert_int_equal(reply->message.append_reply.round, 0); /* Confirms no read of term 6. */
    one_close(one);

    for (uint32_t way = 0; way < 2; way++) {
        struct cluster *cluster = cluster_make(70 + way);
        cluster_create_all(cluster, 3, 0);
        moot_node_id leader = cluster_elect(cluster, 2000);
        moot_node_id deaf = leader % 3 + 1;
        for (moot_node_id id = 1; id <= 3; id++) {
            cluster->cut[way == 0 ? id : deaf][way == 0 ? deaf : id] = true;
        }
        cluster_run_ms(cluster, 3000);
        assert_int_equal(cluster_leader(cluster), leader); /* Not even disturbed. */
        cluster_heal(cluster);
        cluster_run_ms(cluster, 1000);
        leader = cluster_elect(cluster, 1000);
        assert_int_not_equal(leader, 0);
        assert_int_equal(cluster->nodes[deaf].state.index, cluster->committed_last);
        cluster_free(cluster);
    }
}

/* Goal: a vote leaves after it is on disk, also the one for oneself. */
static void pitfall_08_votes_are_durable_first(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3, .term = 1});
    one_ask_vote(one, MOOT_RAFT_VOTE, 2, 2, 0, 0, false);
    const struct moot_raft_effect *reply = one_sent(one, MOOT_RAFT_VOTE_REPLY, 2);
    assert_true(reply->message.vote_reply.granted);
    assert_true(reply->after_durable);
    const struct moot_raft_effect *hard = one_effect(one, MOOT_RAFT_EFFECT_HARD_STATE, 0);
    assert_true(hard < reply);
    assert_int_equal(hard->hard_state.term, 2);
    assert_int_equal(hard->hard_state.vote, 2);
    one_time_out(one);
    one_answer_vote(one, MOOT_RAFT_PRE_VOTE_REPLY, 2, 3, true);
    assert_true(one_sent(one, MOOT_RAFT_VOTE, 3)->after_durable);
    one_close(one);

    struct one *alone = one_open((struct one_start){.voters = 1, .learners = 1});
    one_time_out(alone);
    assert_int_equal(one_status(alone).role, MOOT_RAFT_CANDIDATE); /* Not leader yet. */
    one_durable(alone, 0, 1);
    assert_int_equal(one_status(alone).role, MOOT_RAFT_LEADER);
    one_close(alone);
}

/* Goal: a restart in the same term keeps the vote. */
static void pitfall_09_restart_keeps_the_vote(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3, .term = 4, .vote = 2});
    one_ask_vote(one, MOOT_RAFT_VOTE, 3, 4, 9, 3, false);
    assert_false(one_sent(one, MOOT_RAFT_VOTE_REPLY, 3)->message.vote_reply.granted);
    one_ask_vote(one, MOOT_RAFT_VOTE, 2, 4, 9, 3, false);
    assert_true(one_sent(one, MOOT_RAFT_VOTE_REPLY, 2)->message.vote_reply.granted);
    one_ask_vote(one, MOOT_RAFT_VOTE, 3, 5, 9, 3, false);
    assert_true(one_sent(one, MOOT_RAFT_VOTE_REPLY, 3)->message.vote_reply.granted);
    one_close(one);
}

/* Goal: replicas of an older term's entry are not counted. (Figure 8 itself: tests/paper.) */
static void pitfall_10_counts_only_own_term(void **state)
{
    (void)state;
    struct one *one =
        one_open((struct one_start){.voters = 3, .term = 1, .terms = TERMS_1, .count = 3});
    one_lead(one, 3); /* Entry 4 is of term 2. */
    uint64_t session = one_session(one, 2);
    one_durable(one, 4, 2);
    one_acknowledge(one, 2, session, 3, 0); /* Two of three have 1 to 3. */
    assert_int_equal(one_status(one).commit, 0);
    one_acknowledge(one, 2, session, 4, 0);
    assert_int_equal(one_status(one).commit, 4);
    one_close(one);
}

/* Goal: a follower commits no further than the message's entries reach. */
static void pitfall_11_commit_bounded_by_new_entries(void **state)
{
    (void)state;
    struct one *one =
        one_open((struct one_start){.voters = 3, .term = 2, .terms = TERMS_1, .count = 6});
    one_append(one, 2, 2, 2, 1, 6, NULL, 0); /* Heartbeat at 2: what follows may be another's. */
    assert_int_equal(one_status(one).commit, 2);
    const moot_term terms[] = {1};
    one_append(one, 2, 2, 2, 1, 6, terms, 1);
    assert_int_equal(one_status(one).commit, 3);
    one_close(one);
}

/* Goal: a late, shorter copy of an append removes nothing. */
static void pitfall_12_late_append_truncates_nothing(void **state)
{
    (void)state;
    struct one *one =
        one_open((struct one_start){.voters = 3, .term = 1, .terms = TERMS_1, .count = 6});
    one_append(one, 2, 1, 0, 0, 0, TERMS_1, 2);
    assert_int_equal(one_status(one).last, 6);
    assert_null(one_effect(one, MOOT_RAFT_EFFECT_APPENDED, 0));
    assert_int_equal(one_sent(one, MOOT_RAFT_APPEND_REPLY, 2)->message.append_reply.match, 2);
    const moot_term conflict[] = {1, 2};
    one_append(one, 2, 2, 2, 1, 0, conflict, 2); /* Entry 3 agrees, entry 4 conflicts. */
    const struct moot_raft_effect *appended = one_effect(one, MOOT_RAFT_EFFECT_APPENDED, 0);
    assert_int_equal(appended->appended.first, 4);
    assert_int_equal(appended->appended.offset, 1);
    assert_int_equal(one_status(one).last, 4);
    one_close(one);
}

/* Goal: the leader counts its own entry only from its own disk; with one node that is all. */
static void pitfall_13_leader_counts_only_durable(void **state)
{
    (void)state;
    struct one *alone = one_open((struct one_start){.voters = 1});
    one_lead(alone, 1);
    assert_int_equal(one_status(alone).commit, 0);
    one_durable(alone, 1, 1);
    assert_int_equal(one_status(alone).commit, 1);
    one_close(alone);

    struct one *one = one_open((struct one_start){.voters = 3});
    one_lead(one, 3);
    uint64_t session = one_session(one, 2);
    one_acknowledge(one, 2, session, 1, 0);
    assert_int_equal(one_status(one).commit, 0);
    one_durable(one, 1, 1);
    assert_int_equal(one_status(one).commit, 1);
    one_close(one);
}

/* Goal: the disk's word about an entry that has since been overwritten says nothing. */
static void pitfall_14_append_aba(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3, .term = 1});
    const moot_term first[] = {1, 1};
    const moot_term second[] = {2, 2};
    one_append(one, 2, 1, 0, 0, 0, first, 2);
    one_append(one, 3, 2, 0, 0, 0, second, 2);
    one_durable(one, 2, 1);
    assert_int_equal(one_status(one).durable, 0);
    one_durable(one, 2, 2);
    assert_int_equal(one_status(one).durable, 2);
    one_close(one);
}

/* Goal: back-off skips whole terms; a follower whose snapshot ends where the log ends goes on. */
static void pitfall_15_back_off_and_snapshot_at_last(void **state)
{
    (void)state;
    static const moot_term mine[] = {1, 1, 1, 4, 4, 5, 5, 6, 6, 6};
    struct one *one =
        one_open((struct one_start){.voters = 3, .term = 7, .terms = mine, .count = 10});
    one_lead(one, 3); /* Figure 7 (f): 1 1 1 2 2 2 3 3 3 3 3; refuses after 10. */
    uint64_t session = one_session(one, 2);
    one_refuse(one, 2, session, 10, 10, 3);
    struct moot_raft_progress progress;
    assert_true(moot_raft_progress(one->raft, 2, &progress));
    assert_int_equal(progress.next, 4); /* One step for terms 4, 5 and 6. */
    one_close(one);

    one = one_open((struct one_start){
        .voters = 3, .term = 1, .snapshot = 5, .snapshot_term = 1, .terms = TERMS_1, .count = 1});
    one_lead(one, 3);
    session = one_session(one, 2);
    one_refuse(one, 2, session, 6, 0, 0);
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_FLUSH), 0);
    assert_non_null(one_effect(one, MOOT_RAFT_EFFECT_SNAPSHOT_NEEDED, 0));
    uint64_t session_3 = 0;
    one->now_ns += 20 * MOOT_MSEC_NS;
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_TICK), 0);
    session_3 = one_session(one, 3);
    one_durable(one, 7, 2);
    one_acknowledge(one, 3, session_3, 7, 0);
    assert_int_equal(one_status(one).commit, 7);
    struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_APPLIED, .applied = 7};
    assert_int_equal(one_step(one, event), 0);
    event = (struct moot_raft_event){.kind = MOOT_RAFT_EVENT_COMPACT, .compact = 7};
    assert_int_equal(one_step(one, event), 0);
    struct moot_raft_message installed = {
        .kind = MOOT_RAFT_SNAPSHOT_REPLY, .from = 2, .term = 2, .session = session};
    installed.snapshot_reply.installed = true;
    installed.snapshot_reply.index = 7; /* The last. */
    one_receive(one, installed);
    assert_true(moot_raft_progress(one->raft, 2, &progress));
    assert_false(progress.wants_snapshot);
    assert_int_equal(progress.match, 7);
    assert_int_equal(one_submit(one), 0);
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_FLUSH), 0);
    assert_int_equal(one_sent(one, MOOT_RAFT_APPEND, 2)->message.append.count, 1);
    one_close(one);
}

/* Goal: reads wait for the own no-op; a round's number is never used again. */
static void pitfall_16_reads_wait_for_no_op(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3});
    one_lead(one, 3);
    uint64_t session = one_session(one, 2);
    uint64_t round = one_status(one).round;
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_READ), 0);
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_FLUSH), 0);
    assert_int_equal(one_sent(one, MOOT_RAFT_APPEND, 2)->message.append.round, round);
    one_acknowledge(one, 2, session, 0, round);
    assert_null(one_effect(one, MOOT_RAFT_EFFECT_ROUND, 0));
    one_durable(one, 1, 1);
    one_acknowledge(one, 2, session, 1, 0);
    assert_int_equal(one_effect(one, MOOT_RAFT_EFFECT_ROUND, 0)->round, round);
    /* Deposed and elected again: the numbers go on. */
    one_append(one, 2, 2, 1, 1, 1, NULL, 0);
    one_lead(one, 3);
    assert_true(one_status(one).round > round);
    one_close(one);
}

/* Goal: an answer to what was sent before the read arrived confirms nothing for it. */
static void pitfall_17_round_is_sent_after_the_read(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3});
    one_lead(one, 3);
    uint64_t session = one_session(one, 2);
    one_durable(one, 1, 1);
    one_acknowledge(one, 2, session, 1, 0);
    one->now_ns = moot_raft_deadline(one->raft).ns;
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_TICK), 0);
    uint64_t early = one_sent(one, MOOT_RAFT_APPEND, 2)->message.append.round;
    uint64_t round = one_status(one).round;
    assert_true(round > early);
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_READ), 0);
    one_acknowledge(one, 2, session, 1, early);
    const struct moot_raft_effect *effect = one_effect(one, MOOT_RAFT_EFFECT_ROUND, 0);
    assert_true(effect == NULL || effect->round < round);
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_FLUSH), 0);
    assert_true(one_sent(one, MOOT_RAFT_APPEND, 2)->urgent);
    one_acknowledge(one, 2, session, 1, round);
    assert_int_equal(one_effect(one, MOOT_RAFT_EFFECT_ROUND, 0)->round, round);
    one_close(one);
}

/* Goal: a round costs no more messages than a majority needs, goes first to who echoed last, and a
 * silent follower holds it up for a part of a heartbeat, not for ever. */
static void a_round_asks_a_majority_then_all(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3});
    one_lead(one, 3);
    uint64_t session_3 = one_session(one, 3);
    one_durable(one, 1, 1);
    one_acknowledge(one, 3, session_3, 1, one_status(one).round - 1); /* Node 2 says nothing. */
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_READ), 0);
    uint64_t round = one_status(one).round;
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_FLUSH), 0);
    assert_int_equal(one_sent(one, MOOT_RAFT_APPEND, 3)->message.append.round, round);
    assert_null(one_sent(one, MOOT_RAFT_APPEND, 2));
    /* Now 3 is silent: 2 is asked well before the next heartbeat, once. */
    uint64_t begun_ns = one->now_ns;
    one->now_ns = moot_raft_deadline(one->raft).ns;
    assert_true(one->now_ns - begun_ns <= 10 * MOOT_MSEC_NS);
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_TICK), 0);
    assert_int_equal(one_sent(one, MOOT_RAFT_APPEND, 2)->message.append.round, round);
    assert_null(one_sent(one, MOOT_RAFT_APPEND, 3));
    uint64_t session_2 = one_session(one, 2);
    assert_true(moot_raft_deadline(one->raft).ns > one->now_ns);
    one_acknowledge(one, 2, session_2, 0, round);
    assert_int_equal(one_effect(one, MOOT_RAFT_EFFECT_ROUND, 0)->round, round);
    /* And 2 is who is asked from now on. */
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_READ), 0);
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_FLUSH), 0);
    assert_non_null(one_sent(one, MOOT_RAFT_APPEND, 2));
    assert_null(one_sent(one, MOOT_RAFT_APPEND, 3));
    one_close(one);
}

/* Goal: a snapshot keeps the suffix only if the log agrees at its index; an old one is ignored. */
static void pitfall_19_snapshot_and_suffix(void **state)
{
    (void)state;
    static const struct {
        moot_index index;
        moot_term term;
        moot_index last;
        int status;
    } cases[] = {
        {4, 1, 6, 0},            /* Agrees: entries 5 and 6 stay. */
        {4, 2, 4, 0},            /* Disagrees: all go. */
        {9, 2, 9, 0},            /* Beyond the log: all go. */
        {2, 1, 6, MOOT_EREFUSED} /* Below the commit: ignored. */
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        struct one *one = one_open(
            (struct one_start){.voters = 3, .term = 2, .terms = TERMS_1, .count = 6, .applied = 2});
        struct moot_raft_event event = {.kind = MOOT_RAFT_EVENT_SNAPSHOT_INSTALLED};
        event.installed.index = cases[i].index;
        event.installed.term = cases[i].term;
        event.installed.members = cluster_members(3, 0);
        assert_int_equal(one_step(one, event), cases[i].status);
        assert_int_equal(one_status(one).last, cases[i].last);
        if (cases[i].status == 0) {
            assert_int_equal(one_status(one).first, cases[i].index + 1);
            moot_term term = 0;
            assert_true(moot_raft_term_at(one->raft, cases[i].index, &term));
            assert_int_equal(term, cases[i].term);
        }
        one_close(one);
    }
    struct one *one = one_open(
        (struct one_start){.voters = 3, .term = 2, .terms = TERMS_1, .count = 6, .applied = 5});
    struct moot_raft_message offer = {.kind = MOOT_RAFT_SNAPSHOT, .from = 2, .term = 2};
    offer.snapshot.index = 3;
    offer.snapshot.index_term = 1;
    offer.snapshot.members = cluster_members(3, 0);
    one_receive(one, offer);
    assert_null(one_effect(one, MOOT_RAFT_EFFECT_SNAPSHOT_OFFERED, 0));
    assert_true(one_sent(one, MOOT_RAFT_SNAPSHOT_REPLY, 2)->message.snapshot_reply.installed);
    assert_int_equal(one_status(one).last, 6);
    one_close(one);
}

/* Goal: a learner that is asked for its vote gives it; one that lags can still be promoted. */
static void pitfall_24_learner_votes(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_make(24);
    cluster_create_all(cluster, 2, 1);
    moot_node_id leader = cluster_elect(cluster, 2000);
    cluster_run_ms(cluster, 100);
    assert_int_equal(cluster->nodes[3].state.index, cluster->committed_last);
    /* Node 3 is promoted, and does not hear of it; the others need its vote. */
    cluster_cut_node(cluster, 3, true);
    const moot_node_id three[] = {1, 2, 3};
    assert_int_equal(cluster_change(cluster, leader, three, 3, NULL, 0), 0);
    cluster_flush(cluster, leader);
    cluster_run_ms(cluster, 200);
    assert_false(cluster_status(cluster, leader).changing);
    moot_node_id other = 3 - leader;
    cluster_crash(cluster, leader, 0);
    cluster_run_ms(cluster,
                   500); /* Two of three are left, and one of them thinks it is a learner. */
    assert_true(moot_members_has_learner(&cluster->nodes[3].state.members, 3));
    cluster_heal(cluster);
    assert_int_equal(cluster_elect(cluster, 3000), other);
    cluster_free(cluster);
}

/* Goal: joint: majorities of both sets for votes, commits, reads and check-quorum; a new leader
 * leaves what it inherits. */
static void pitfall_25_joint_needs_both_majorities(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3});
    one_lead(one, 3);
    uint64_t session_2 = one_session(one, 2);
    one_durable(one, 1, 1);
    one_acknowledge(one, 2, session_2, 1, 0);
    const moot_node_id next[] = {1, 4, 5};
    assert_int_equal(one_change(one, next, 3), 0);
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_FLUSH), 0);
    uint64_t session_4 = one_session(one, 4);
    one_durable(one, 2, 1);
    one_acknowledge(one, 2, session_2, 2, 0); /* The old majority. */
    assert_int_equal(one_status(one).commit, 1);
    uint64_t round = one_status(one).round;
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_READ), 0);
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_FLUSH), 0);
    one_acknowledge(one, 2, session_2, 2, round);
    assert_null(one_effect(one, MOOT_RAFT_EFFECT_ROUND, 0));
    one_acknowledge(one, 4, session_4, 1, round); /* Now the new one too: for the round. */
    assert_int_equal(one_effect(one, MOOT_RAFT_EFFECT_ROUND, 0)->round, round);
    assert_int_equal(one_status(one).commit, 1);
    /* Only 4 and 5 are heard from now on: the old set has no majority, and leadership ends. */
    for (uint32_t i = 0; i < 10 && one_status(one).role == MOOT_RAFT_LEADER; i++) {
        one->now_ns += 20 * MOOT_MSEC_NS;
        one_acknowledge(one, 4, session_4, 1, 0);
        assert_int_equal(one_event(one, MOOT_RAFT_EVENT_TICK), 0);
    }
    assert_int_equal(one_status(one).role, MOOT_RAFT_FOLLOWER);
    /* Votes: 4 and 5 are not enough. */
    one_time_out(one);
    one_answer_vote(one, MOOT_RAFT_PRE_VOTE_REPLY, 4, 2, true);
    one_answer_vote(one, MOOT_RAFT_PRE_VOTE_REPLY, 5, 2, true);
    assert_int_equal(one_status(one).role, MOOT_RAFT_PRE_CANDIDATE);
    one_answer_vote(one, MOOT_RAFT_PRE_VOTE_REPLY, 3, 2, true);
    assert_int_equal(one_status(one).role, MOOT_RAFT_CANDIDATE);
    one_answer_vote(one, MOOT_RAFT_VOTE_REPLY, 3, 2, true);
    assert_int_equal(one_status(one).role, MOOT_RAFT_CANDIDATE);
    one_answer_vote(one, MOOT_RAFT_VOTE_REPLY, 5, 2, true);
    assert_int_equal(one_status(one).role, MOOT_RAFT_LEADER);
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_FLUSH), 0);
    session_2 = one_session(one, 2);
    session_4 = one_session(one, 4);
    one_durable(one, 3, 2);
    one_acknowledge(one, 2, session_2, 3, 0);
    one_acknowledge(one, 4, session_4, 3, 0);
    assert_int_equal(one_status(one).commit, 3);
    assert_false(moot_members_is_joint(one_members(one))); /* Left by the new leader. */
    assert_int_equal(one_status(one).last, 4);
    one_close(one);
}

/* Goal: n = 1 and 2, even sizes, and a change to a set with nobody in common. */
static void pitfall_26_sizes_and_disjoint_sets(void **state)
{
    (void)state;
    static const struct {
        uint32_t from;
        moot_node_id to[5];
        uint8_t count;
    } cases[] = {{1, {2}, 1},    {1, {1, 2}, 2},       {2, {1}, 1},
                 {2, {3, 4}, 2}, {4, {5, 6, 7, 8}, 4}, {3, {4, 5, 6}, 3}};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        struct cluster *cluster = cluster_make(260 + i);
        cluster->check_matching = true;
        struct moot_members members = cluster_members(cases[i].from, 0);
        for (moot_node_id id = 1; id <= 8; id++) {
            cluster_create(cluster, id, &members);
        }
        moot_node_id leader = cluster_elect(cluster, 3000);
        assert_int_not_equal(leader, 0);
        assert_int_equal(cluster_change(cluster, leader, cases[i].to, cases[i].count, NULL, 0), 0);
        cluster_flush(cluster, leader);
        cluster_run_ms(cluster, 3000);
        leader = cluster_elect(cluster, 3000);
        assert_int_not_equal(leader, 0);
        struct moot_raft_status status = cluster_status(cluster, leader);
        assert_false(status.changing);
        assert_int_equal(status.members->voter_count, cases[i].count);
        assert_memory_equal(status.members->voters, cases[i].to,
                            cases[i].count * sizeof(moot_node_id));
        assert_true(moot_members_has_voter(status.members, leader));
        assert_int_equal(cluster_submit(cluster, leader), 0);
        cluster_flush(cluster, leader);
        cluster_run_ms(cluster, 200);
        assert_int_equal(cluster_status(cluster, leader).commit,
                         cluster_status(cluster, leader).last);
        cluster_free(cluster);
    }
}

/* Goal: absurd numbers are dropped; answers to an earlier life of a follower do not count. */
static void pitfall_27_absurd_numbers_and_old_sessions(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3, .term = 1});
    one_append(one, 2, UINT64_MAX, 0, 0, 0, NULL, 0);
    assert_true(one_traced(one, MOOT_RAFT_TRACE_DROP_INVALID));
    one_append(one, 2, 1, UINT64_MAX - 2, 1, 0, TERMS_1, 6);
    assert_true(one_traced(one, MOOT_RAFT_TRACE_DROP_INVALID));
    one_ask_vote(one, MOOT_RAFT_VOTE, 2, UINT64_MAX, 1, 1, false);
    assert_true(one_traced(one, MOOT_RAFT_TRACE_DROP_INVALID));
    assert_int_equal(one_status(one).term, 1);
    const moot_term falling[] = {1, 1, 3, 2};
    one_append(one, 2, 3, 0, 0, 0, falling, 4);
    assert_true(one_traced(one, MOOT_RAFT_TRACE_DROP_INVALID));
    one_append(one, 1, 1, 0, 0, 0, NULL, 0); /* From ourselves. */
    assert_true(one_traced(one, MOOT_RAFT_TRACE_DROP_INVALID));
    one_close(one);

    one = one_open((struct one_start){.voters = 2});
    one_lead(one, 2);
    uint64_t session = one_session(one, 2);
    one_durable(one, 1, 1);
    one_acknowledge(one, 2, session + 1, 1, 0);
    assert_int_equal(one_status(one).commit, 0);
    one_acknowledge(one, 2, session, 1, 0);
    assert_int_equal(one_status(one).commit, 1);
    const moot_node_id alone[] = {1};
    const moot_node_id both[] = {1, 2};
    assert_int_equal(one_change(one, alone, 1), 0);
    one_durable(one, 2, 1);
    one_acknowledge(one, 2, session, 2, 0);
    one_durable(one, 3, 1);
    assert_int_equal(one_status(one).commit, 3);
    assert_int_equal(one_change(one, both, 2), 0); /* Again: a new follower. */
    assert_int_equal(one_event(one, MOOT_RAFT_EVENT_FLUSH), 0);
    assert_true(one_session(one, 2) != session);
    one_durable(one, 4, 1);
    one_acknowledge(one, 2, session, 4, 0); /* Of the node before it was wiped. */
    assert_int_equal(one_status(one).commit, 3);
    one_close(one);
}

/* Goal: a transfer to a node that lags, or leaves, ends after one election time-out. */
static void pitfall_28_transfer_aborts(void **state)
{
    (void)state;
    struct one *one = one_open((struct one_start){.voters = 3});
    one_lead(one, 3);
    uint64_t session_3 = one_session(one, 3);
    assert_int_equal(
        one_step(one, (struct moot_raft_event){.kind = MOOT_RAFT_EVENT_TRANSFER, .node = 2}), 0);
    assert_null(one_sent(one, MOOT_RAFT_TIMEOUT_NOW, 0)); /* It has nothing yet. */
    assert_int_equal(one_submit(one), MOOT_EBUSY);
    bool ended = false;
    for (uint32_t i = 0; i < 8 && !ended; i++) {
        one_acknowledge(one, 3, session_3, 1, 0);
        one->now_ns = moot_raft_deadline(one->raft).ns;
        assert_int_equal(one_event(one, MOOT_RAFT_EVENT_TICK), 0);
        const struct moot_raft_effect *done = one_effect(one, MOOT_RAFT_EFFECT_TRANSFER_DONE, 0);
        if (done != NULL) {
            assert_int_equal(done->done.status, MOOT_EINDOUBT);
            ended = true;
        }
    }
    assert_true(ended);
    assert_int_equal(one_status(one).role, MOOT_RAFT_LEADER);
    assert_int_equal(one_submit(one), 0); /* Open again. */
    assert_int_equal(
        one_step(one, (struct moot_raft_event){.kind = MOOT_RAFT_EVENT_TRANSFER, .node = 9}),
        MOOT_EINVALID);
    one_close(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pitfall_01_change_waits_for_own_no_op),
        cmocka_unit_test(pitfall_02_one_change_and_rollback),
        cmocka_unit_test(pitfall_03_members_in_force_on_append),
        cmocka_unit_test(pitfall_04_removed_leader),
        cmocka_unit_test(pitfall_05_removed_server_does_not_disrupt),
        cmocka_unit_test(pitfall_06_pre_vote_does_not_deadlock),
        cmocka_unit_test(pitfall_07_stale_leader_learns_the_term),
        cmocka_unit_test(pitfall_08_votes_are_durable_first),
        cmocka_unit_test(pitfall_09_restart_keeps_the_vote),
        cmocka_unit_test(pitfall_10_counts_only_own_term),
        cmocka_unit_test(pitfall_11_commit_bounded_by_new_entries),
        cmocka_unit_test(pitfall_12_late_append_truncates_nothing),
        cmocka_unit_test(pitfall_13_leader_counts_only_durable),
        cmocka_unit_test(pitfall_14_append_aba),
        cmocka_unit_test(pitfall_15_back_off_and_snapshot_at_last),
        cmocka_unit_test(pitfall_16_reads_wait_for_no_op),
        cmocka_unit_test(pitfall_17_round_is_sent_after_the_read),
        cmocka_unit_test(a_round_asks_a_majority_then_all),
        cmocka_unit_test(pitfall_19_snapshot_and_suffix),
        cmocka_unit_test(pitfall_24_learner_votes),
        cmocka_unit_test(pitfall_25_joint_needs_both_majorities),
        cmocka_unit_test(pitfall_26_sizes_and_disjoint_sets),
        cmocka_unit_test(pitfall_27_absurd_numbers_and_old_sessions),
        cmocka_unit_test(pitfall_28_transfer_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
