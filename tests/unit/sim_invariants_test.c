/* Goal: each check of what must hold between nodes (src/sim/invariants.c), and of what a start must
 * find on its disk (src/sim/atlas.c), finds what it is there to find, and nothing where all is
 * well. Method: nodes that are made up claim the same twice, the second time with one thing
 * changed. */
#define sim__witness no_witness /* It has a test of its own. */

#include "sim_claims.h"

#include "../../src/sim/atlas.c"
#include "../../src/sim/invariants.c"

void no_witness(struct sim_world *world, struct sim_machine *machine, moot_group_id group,
                const struct moot_group_view *view)
{
    (void)world, (void)machine, (void)group, (void)view;
}

static struct sim_machine *machine(uint32_t node) { return claims.world->machines[node]; }
static struct moot_group_view *view(uint32_t node) { return &claims.nodes[node].view; }

/* A turn of the node has ended. */
static void look(uint32_t node) { sim__check(claims.world, machine(node)); }

static void start(void)
{
    for (uint32_t i = 0; i < NODES; i++) {
        look(i);
    }
}

static void lead(void)
{
    start();
    view(0)->leads = true;
    look(0);
}

/* ---- between nodes ---- */

static void terms(bool broken)
{
    start();
    view(0)->term = broken ? 1000 * 1000 + 1 : 1000 * 1000;
    view(0)->leads = true;
    look(0);
}

static void two_leaders(bool broken)
{
    lead();
    view(1)->term = broken ? 1 : 2; /* Of the same term, or the next. */
    view(1)->leads = true;
    look(1);
}

static void completeness(bool broken)
{
    start();
    claims.world->groups[GROUP].committed_last = broken ? 4 : 3;
    claims.world->groups[GROUP].committed_term = 1;
    view(0)->term = 2;
    view(0)->leads = true;
    look(0);
}

/* It is in the leader's log, and on its disk, and on one more, or on none. */
static void majority(bool broken)
{
    lead();
    for (uint32_t i = 0; i < 2; i++) {
        claims_append(i, 4, 1);
        look(i);
        machine(i)->journal_last = machine(i)->journal_durable = 6;
        view(i)->durable = i == 0 || !broken ? 4 : 3;
        look(i);
    }
    view(0)->commit = 4;
    look(0);
}

/* The same index on a majority, but another entry. */
static void majority_of_another(bool broken)
{
    lead();
    claims_append(0, 4, 1);
    look(0);
    claims_append(1, 4, broken ? 2 : 1);
    look(1);
    for (uint32_t i = 0; i < 2; i++) {
        machine(i)->journal_last = machine(i)->journal_durable = 6;
        view(i)->durable = 4;
        look(i);
    }
    view(0)->commit = 4;
    look(0);
}

static void members(bool broken)
{
    lead();
    struct moot_members after = claims.members;
    after.voter_count = 2;
    if (!broken) { /* By the joint one. */
        after.outgoing_count = 3;
        memcpy(after.outgoing, claims.members.voters, sizeof(after.outgoing));
    }
    view(0)->members = &after;
    look(0);
    after.outgoing_count = 0;
    memset(after.outgoing, 0, sizeof(after.outgoing));
    look(0);
}

static void second_change(bool broken)
{
    lead();
    struct moot_members joint = claims.members;
    joint.voter_count = 2;
    joint.outgoing_count = 3;
    memcpy(joint.outgoing, claims.members.voters, sizeof(joint.outgoing));
    view(0)->members = &joint;
    look(0);
    joint.voter_count = broken ? 1 : 2; /* Before the first is done. */
    look(0);
}

static void commits(bool broken)
{
    lead();
    view(0)->commit = 3;
    look(0);
    claims.nodes[1].log[3].hash = broken ? 99 : 3;
    view(1)->commit = 3;
    look(1);
}

static void applied(bool broken)
{
    start();
    for (uint32_t i = 0; i < 2; i++) {
        view(i)->commit = view(i)->applied = 3;
        view(i)->chain = 7;
        view(i)->digest = broken && i == 1 ? 6 : 5;
        look(i);
    }
}

static void applied_by_another_way(bool broken)
{
    start();
    for (uint32_t i = 0; i < 2; i++) {
        view(i)->commit = view(i)->applied = 3;
        view(i)->chain = broken && i == 1 ? 6 : 7;
        look(i);
    }
}

/* ---- one process ---- */

static void backwards(bool broken)
{
    start();
    view(1)->commit = 3;
    look(1);
    view(1)->commit = broken ? 2 : 3;
    look(1);
}

static void term_backwards(bool broken)
{
    start();
    view(1)->term = 5;
    look(1);
    view(1)->term = broken ? 4 : 6;
    look(1);
}

static void apply(uint32_t node, uint64_t incarnation, uint64_t executed, uint64_t run)
{
    claims.nodes[node].stream = (struct sim_stream){incarnation, executed};
    view(node)->batches_run = run;
    view(node)->applied++;
    view(node)->commit = view(node)->applied;
    look(node);
}

static void stream_backwards(bool broken)
{
    start();
    apply(0, 1, 5, 5);
    apply(0, broken ? 1 : 2, broken ? 4 : 1, 6);
}

static void batch_twice(bool broken)
{
    start();
    apply(0, 1, 5, 5);
    apply(0, 1, 6, broken ? 7 : 6);
}

static void rules(bool broken)
{
    start();
    machine(0)->is_older = broken;
    view(0)->feature_level = MOOT_FEATURE_LEVEL + 1;
    look(0);
}

static void fenced(bool broken)
{
    start();
    view(0)->fenced = broken;
    look(0);
}

/* ---- the end ---- */

static void convergence(bool broken)
{
    const char *why = NULL;
    start();
    claims.leader = 1;
    for (uint32_t i = 0; i < NODES; i++) {
        view(i)->commit = view(i)->applied = 3;
        view(i)->digest = broken && i == 2 ? 4 : 3;
    }
    bool converged = group_has_converged(claims.world, GROUP, &why);
    assert_true(converged);
    view(1)->applied = 2;
    assert_false(group_has_converged(claims.world, GROUP, &why));
    assert_string_equal(why, "a member has not applied what the leader has");
    machine(1)->running = false;
    assert_false(group_has_converged(claims.world, GROUP, &why));
    assert_string_equal(why, "a member does not run");
    view(0)->applied = 2;
    assert_false(group_has_converged(claims.world, GROUP, &why));
    assert_string_equal(why, "the leader has not applied its log");
    claims.leader = 0;
    assert_false(group_has_converged(claims.world, GROUP, &why));
    assert_string_equal(why, "a group has no leader");
}

static void emptied(void **state)
{
    (void)state;
    const char *what = NULL;
    claims_begin();
    start();
    assert_true(sim__has_emptied(claims.world, &what));
    view(0)->waiters = 1;
    assert_false(sim__has_emptied(claims.world, &what));
    assert_string_equal(what, "a client that waits, and is not there");
    view(0)->waiters = 0;
    view(0)->log_bytes = LOG_BYTES_LEFT_MAX + UINT64_C(1);
    assert_false(sim__has_emptied(claims.world, &what));
    assert_string_equal(what, "a log that is not compacted");
    view(0)->log_bytes = 0;
    machine(0)->flight_count = machine(0)->pin_count = LEFT_MAX;
    machine(0)->input_count = INPUTS_LEFT_MAX;
    assert_true(sim__has_emptied(claims.world, &what));
    machine(0)->input_count++;
    assert_false(sim__has_emptied(claims.world, &what));
    assert_string_equal(what, "inputs");
    machine(0)->pin_count++;
    assert_false(sim__has_emptied(claims.world, &what));
    assert_string_equal(what, "pins of the store");
    machine(0)->flight_count++;
    assert_false(sim__has_emptied(claims.world, &what));
    assert_string_equal(what, "journal writes in flight");
    uint8_t bytes[4];
    machine(0)->connection_count = 1;
    machine(0)->connections[0].backlog = (struct moot_buffer){.data = bytes, .size = 1};
    assert_false(sim__has_emptied(claims.world, &what));
    assert_string_equal(what, "bytes of a client that are not read");
    claims_end();
}

/* ---- what a start finds (atlas.c) ---- */

static void kept(moot_term term, moot_node_id vote, moot_index durable)
{
    machine(0)->kept[GROUP].term = term;
    machine(0)->kept[GROUP].vote = vote;
    machine(0)->kept[GROUP].durable = durable;
}

static void term_on_disk(bool broken)
{
    kept(broken ? 2 : 1, 0, 3);
    sim__check_opened(claims.world, machine(0));
}

static void entries_on_disk(bool broken)
{
    kept(1, 0, broken ? 4 : 3);
    sim__check_opened(claims.world, machine(0));
}

/* Another leader has replaced the whole log, and only some of what came instead was written. */
static void replaced_on_disk(bool broken)
{
    start();
    view(0)->term = 2;
    for (moot_index index = 1; index <= 3; index++) {
        claims_append(0, index, 2);
    }
    view(0)->durable = broken ? 3 : 0;
    look(0);
    view(0)->last = view(0)->durable = 2;
    sim__check_opened(claims.world, machine(0));
}

static void vote_on_disk(bool broken)
{
    kept(1, 2, 3);
    view(0)->vote = broken ? 3 : 2;
    sim__check_opened(claims.world, machine(0));
}

/* It knew once that entries were lost; that is over when they are there again, and not before. */
static void loss_on_disk(bool broken)
{
    machine(0)->damaged = true;
    kept(1, 0, 9);
    view(0)->impaired = true;
    sim__check_opened(claims.world, machine(0));
    machine(0)->damaged = true;
    view(0)->impaired = false;
    view(0)->last = broken ? 8 : 9;
    machine(0)->kept[GROUP].durable = 3; /* As far as its last process knew. */
    sim__check_opened(claims.world, machine(0));
}

static void rot_that_is_not_there(bool broken)
{
    machine(0)->damaged = !broken;
    kept(1, 0, 3);
    view(0)->impaired = true;
    sim__check_opened(claims.world, machine(0));
}

static const struct told told[] = {
    {"terms", terms, "terms ran away: 1000001"},
    {"two leaders", two_leaders, "group 1 has two leaders in term 1: nodes 1 and 2"},
    {"leader completeness", completeness, "leads with a log that ends at 3, and 4 is committed"},
    {"a majority of disks", majority, "committed entry 4, which is not durable on a majority"},
    {"of the same entry", majority_of_another, "committed entry 4, which is not durable"},
    {"joint consensus", members, "leader 1 went over to other members at once"},
    {"one change at a time", second_change, "leader 1 went over to other members at once"},
    {"log matching", commits, "log matching: group 1: node 2 has committed another entry at 3"},
    {"state machine safety", applied,
     "state machine safety: group 1: node 2 holds another content"},
    {"by the same way", applied_by_another_way, "group 1: node 2 holds another chain at 3"},
    {"commit", backwards, "group 1 of node 2 went back in term, commit or applied"},
    {"term", term_backwards, "group 1 of node 2 went back in term, commit or applied"},
    {"streams", stream_backwards, "group 1 of node 1: the stream of edge 1 went back"},
    {"batches", batch_twice, "group 1 of node 1 ran 2 batches, and 1 were new"},
    {"rules", rules, "group 1 of node 1 runs by rules that its program does not know"},
    {"fences", fenced, "group 1 of node 1 has fenced itself"},
    {"convergence", convergence, "at the end node 3 holds something else than node 1 in group 1"},
    {"the term on a disk", term_on_disk, "forgotten without a word: term 2 and entry 3 were"},
    {"entries on a disk", entries_on_disk, "forgotten without a word: term 1 and entry 4 were"},
    {"a log replaced on a disk", replaced_on_disk, "entry 3 were durable, 2 and 2 are there"},
    {"a vote on a disk", vote_on_disk, "forgotten its vote in term 1: it was for node 2, and is"},
    {"a loss on a disk", loss_on_disk, "knew that entries up to 9 were lost, and has forgotten it"},
    {"rot", rot_that_is_not_there, "node 1 says that its disk is rotten, and it is not"},
};

static void every_check_can_fail(void **state)
{
    (void)state;
    tell_all(told, MOOT_ARRAY_LEN(told));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_check_can_fail),
        cmocka_unit_test(emptied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
