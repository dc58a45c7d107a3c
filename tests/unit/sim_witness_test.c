/* Goal: each check of what one process claims (src/sim/witness.c), and of what clients are answered
 * (src/sim/probe.c), finds what it is there to find, and nothing where all is well.
 * Method: nodes that are made up claim the same twice, the second time with one thing changed. A
 * rule of Raft whose mutant one of them finds is named beside it. */
#include "sim_claims.h"

#include "../../src/sim/witness.c"

static struct sim_machine *machine(uint32_t node) { return claims.world->machines[node]; }
static struct moot_group_view *view(uint32_t node) { return &claims.nodes[node].view; }

static void start(void)
{
    for (uint32_t i = 0; i < NODES; i++) {
        sim__witness_start(claims.world, machine(i));
    }
}

/* A turn of the node has ended. */
static void look(uint32_t node)
{
    struct sim_seen *seen = &machine(node)->seen[GROUP];
    sim__witness(claims.world, machine(node), GROUP, view(node));
    seen->commit = view(node)->commit;
    seen->led = view(node)->leads;
    seen->led_term = view(node)->term;
}

/* ---- logs ---- */

static void lineage(bool broken)
{
    start();
    claims_append(0, 4, 2);
    look(0);
    claims.nodes[1].log[3].term = broken ? 2 : 1; /* Where the first has term 1. */
    claims_append(1, 4, 2);
    look(1);
}

static void lineage_behind_a_snapshot(bool broken)
{
    start();
    view(1)->first = 3;
    claims.nodes[1].log[2].term = broken ? 7 : 1; /* Of the snapshot. */
    look(1);
}

static void written(bool broken)
{
    start();
    claims_append(0, 4, 1);
    view(0)->durable = broken ? 4 : 3;
    look(0);
}

static void durable_after_its_batch(bool broken)
{
    start();
    claims_append(0, 4, 1);
    look(0);
    machine(0)->journal_last = 6;
    machine(0)->journal_durable = broken ? 5 : 6;
    view(0)->durable = 4;
    look(0);
}

static void another_entry_at_its_index(bool broken)
{
    start();
    claims_append(0, 4, 1);
    look(0);
    machine(0)->journal_last = machine(0)->journal_durable = 6;
    claims_append(0, 4, 2); /* In the place of the one that is on disk. */
    look(0);
    view(0)->durable = broken ? 4 : 3;
    look(0);
}

/* ---- leaders ---- */

static void vote(uint32_t node, moot_term term)
{
    view(node)->term = term;
    view(node)->vote = 1;
    look(node);
    machine(node)->journal_last++;
    machine(node)->journal_durable++;
}

static void votes(bool broken)
{
    start();
    vote(0, 2);
    if (!broken) {
        vote(1, 2);
    }
    view(0)->leads = true;
    look(0);
}

static void votes_on_disk(bool broken)
{
    start();
    vote(0, 2);
    vote(1, 2);
    machine(1)->journal_durable -= broken ? 1 : 0;
    view(0)->leads = true;
    look(0);
}

static void votes_of_the_outgoing(bool broken)
{
    start();
    vote(0, 2);
    vote(1, 2);
    claims.members.outgoing[0] = 3;
    claims.members.outgoing[1] = broken ? 9 : 1;
    claims.members.outgoing[2] = 2;
    claims.members.outgoing_count = 3;
    view(0)->leads = true;
    look(0);
}

static void lead(void)
{
    start();
    vote(0, 2);
    vote(1, 2);
    view(0)->leads = true;
    look(0);
}

static void counts_its_own_term(bool broken)
{
    lead();
    view(0)->commit = broken ? 3 : 4;
    claims_append(0, 4, 2);
    look(0);
}

/* A turn every half second, in which the leader hears the others. */
static void clock(bool broken)
{
    lead();
    machine(0)->wall_offset_ms = broken ? CLOCK_OFF_MS + 1 : CLOCK_OFF_MS;
    for (uint32_t i = 0; i < 2 * CLOCK_OFF_MAX_S + 4; i++) {
        claims.world->now += MOOT_SEC_NS / 2;
        claims.world->links[1][0].heard_at = claims.world->links[2][0].heard_at = claims.world->now;
        look(0);
    }
}

static void clock_behind(bool broken)
{
    lead();
    machine(0)->wall_offset_ms = -CLOCK_OFF_MS - 1;
    for (uint32_t i = 0; i < 2 * CLOCK_OFF_MAX_S + 4; i++) {
        claims.world->now += MOOT_SEC_NS / 2;
        for (uint32_t other = 1; other < (broken ? 3u : 2u); other++) { /* Or one is not heard. */
            claims.world->links[other][0].heard_at = claims.world->now;
        }
        look(0);
    }
}

static void removal(bool broken)
{
    struct sim_client admin = {.ordered_at = 20 * MOOT_SEC_NS};
    claims.world->groups[GROUP].members = claims.members;
    machine(1)->running = !broken;
    machine(1)->down_since = MOOT_SEC_NS;
    sim__check_removal(claims.world, &admin, machine(2));
}

static void removal_of_one_just_gone(bool broken)
{
    struct sim_client admin = {.ordered_at = 20 * MOOT_SEC_NS};
    claims.world->groups[GROUP].members = claims.members;
    machine(1)->running = false; /* Not long enough ago for anybody to know. */
    machine(1)->down_since = (broken ? 14 : 16) * MOOT_SEC_NS;
    sim__check_removal(claims.world, &admin, machine(2));
}

static void removal_of_the_last(bool broken)
{
    struct sim_client admin = {.ordered_at = 20 * MOOT_SEC_NS};
    lead();
    claims.leader = 1;
    machine(0)->kept[GROUP].is_known = true;
    claims.world->groups[GROUP].members = claims.members;
    machine(0)->removed = true;
    machine(1)->removed = broken;
    sim__check_removal(claims.world, &admin, machine(2));
}

static void given_up(bool broken)
{
    machine(0)->fenced_at = 30 * MOOT_SEC_NS;
    for (moot_group_id group = 0; group < MOOT_GROUPS_MAX; group++) {
        machine(1)->logs[group].led_at = (group == GROUP && broken ? 24 : 26) * MOOT_SEC_NS;
    }
    sim__check_given_up(claims.world, machine(0));
}

/* ---- reads, queues, stamps ---- */

static void reads(bool broken)
{
    lead();
    claims.world->groups[GROUP].committed_last = 3;
    view(0)->applied = 2;
    view(0)->reads_placed = view(0)->reads_waiting = 1;
    look(0);
    view(0)->applied = broken ? 2 : 3;
    view(0)->reads_run = 1;
    view(0)->reads_waiting = 0;
    look(0);
}

/* The floor of a read that was dropped with its leader is not the next one's. */
static void reads_that_were_dropped(bool broken)
{
    lead();
    claims.world->groups[GROUP].committed_last = 3;
    view(0)->reads_placed = view(0)->reads_waiting = 1;
    look(0);
    view(0)->reads_waiting = 0;
    look(0);
    claims.world->groups[GROUP].committed_last = 9;
    view(0)->applied = broken ? 8 : 9;
    view(0)->reads_placed = 2;
    view(0)->reads_run = 1;
    look(0);
}

static void queue(bool broken)
{
    start();
    claims.world->swarm.knobs[SIM_FAULT_NARROW] = 4000;
    view(0)->queued_bytes = 4000 + QUEUE_SLACK_BYTES + (broken ? 1 : 0);
    look(0);
}

/* ---- clients (probe.c) ---- */

static struct sim_client client = {.number = 7, .machine = 1};

static void answered(enum sim_step step, enum moot_resp_type type, const char *text)
{
    struct sim_expected expected = {step, SIZE_MAX, 0};
    struct moot_resp_value head = {.type = type, .text = moot_slice_text(text)};
    assert_true(sim__probe_answer(claims.world, &client, &expected, &head));
}

static void order_from_afar(bool broken)
{
    answered(SIM_STEP_REFUSED, broken ? MOOT_RESP_SIMPLE : MOOT_RESP_ERROR,
             broken ? "OK" : "NOPERM only from here");
}

static void order_that_fails(bool broken)
{
    answered(SIM_STEP_REFUSED, MOOT_RESP_ERROR, broken ? "ERR no such node" : "NOPERM no");
}

static void id_of_another(bool broken)
{
    answered(SIM_STEP_MISMATCH, broken ? MOOT_RESP_INTEGER : MOOT_RESP_ERROR,
             broken ? "" : "IDMISMATCH it had another command");
}

static size_t asked(enum moot_operation_kind kind, const char *value)
{
    struct moot_history_value argument =
        value == NULL ? moot_history_none() : moot_history_bytes(moot_slice_text(value));
    return moot_history_call(&claims.world->history, 1, kind, MOOT_SLICE_LITERAL("k"), argument,
                             (struct moot_instant){100 * MOOT_SEC_NS});
}

static void read_before_its_write(bool broken)
{
    size_t read = asked(MOOT_OPERATION_READ, NULL), write = asked(MOOT_OPERATION_WRITE, "new");
    struct moot_history_value seen = moot_history_bytes(moot_slice_text(broken ? "new" : "old"));
    struct sim_client one = {.number = 3, .expected_count = 1};
    one.expected[0] = (struct sim_expected){SIM_STEP_OPERATION, write, 0};
    sim__probe_order(claims.world, &one, &claims.world->history.operations[read], &seen);
}

static void popped_before_its_push(bool broken)
{
    size_t pop = asked(MOOT_OPERATION_POP, NULL), push = asked(MOOT_OPERATION_PUSH, "new");
    const struct moot_slice items[] = {MOOT_SLICE_LITERAL("x"), MOOT_SLICE_LITERAL("new")};
    struct moot_history_value seen = moot_history_list(items, broken ? 2 : 1);
    struct sim_client one = {.number = 3, .expected_count = 1};
    one.expected[0] = (struct sim_expected){SIM_STEP_OPERATION, push, 0};
    sim__probe_order(claims.world, &one, &claims.world->history.operations[pop], &seen);
}

static void told_in_doubt(enum sim_step step, size_t operation, const char *text)
{
    struct sim_expected expected = {step, operation, 1};
    sim__probe_doubt(claims.world, &client, &expected, moot_slice_text(text));
}

static void waiter_in_doubt(bool broken)
{
    size_t pop = asked(MOOT_OPERATION_POP, NULL), push = asked(MOOT_OPERATION_PUSH, "a");
    told_in_doubt(SIM_STEP_OPERATION, push, "INDOUBT no answer in time");
    told_in_doubt(SIM_STEP_OPERATION, pop, "INDOUBT no answer in time"); /* Which does not wait. */
    told_in_doubt(SIM_STEP_POP, pop,
                  broken ? "INDOUBT no answer in time" : "INDOUBT the reply is gone");
}

static void doubt_in_calm(bool broken)
{
    claims.world->phase = broken ? SIM_PHASE_HEALED : SIM_PHASE_FAULTS;
    claims.world->healed_at = 90 * MOOT_SEC_NS;
    told_in_doubt(SIM_STEP_OPERATION, asked(MOOT_OPERATION_WRITE, "a"),
                  "INDOUBT no answer in time");
}

static void doubt_soon_after(bool broken)
{
    claims.world->phase = SIM_PHASE_HEALED;
    claims.world->healed_at = (broken ? 93 : 95) * MOOT_SEC_NS;
    told_in_doubt(SIM_STEP_OPERATION, asked(MOOT_OPERATION_WRITE, "a"),
                  "INDOUBT no answer in time");
}

static const struct told told[] = {
    {"log matching of what is not committed", lineage, "behind one of term 2; elsewhere"},
    {"log matching behind a snapshot", lineage_behind_a_snapshot, "behind one of term 7"},
    {"durable, and not written", written, "calls entry 4 durable, which it has not written"},
    {"durable before its batch", durable_after_its_batch,
     "it came after batch 5, and the disk has"},
    {"durable as another entry was", another_entry_at_its_index, "it came after batch 6, and the"},
    {"a majority of votes", votes, "the votes for it on disks are no majority"},
    {"on disks", votes_on_disk, "the votes for it on disks are no majority"},
    {"of the outgoing too", votes_of_the_outgoing, "the votes for it on disks are no majority"},
    {"counting (5.4.2)", counts_its_own_term, "commits entry 3 of term 1 by counting it"},
    {"a clock ahead", clock, "with a clock that 2 voters contradict"},
    {"a clock behind", clock_behind, "with a clock that 2 voters contradict"},
    {"a removal", removal, "of 2 voters that stay 1 are down"},
    {"down for how long", removal_of_one_just_gone, "of 2 voters that stay 1 are down"},
    {"a removal of the last", removal_of_the_last, "no voter of group 1 stays"},
    {"a store given up", given_up, "gives up its store, and nobody else leads group 1"},
    {"reads", reads, "has served a read at 2, and 3 was committed when the read came"},
    {"reads after others were dropped", reads_that_were_dropped, "a read at 8, and 9 was"},
    {"a queue", queue, "bytes of commands waiting, and room for 4000"},
    {"an order from afar", order_from_afar, "whose order came from another machine: OK"},
    {"an order that fails for another reason", order_that_fails, "ERR no such node"},
    {"an id of another command", id_of_another, "whose id had another command"},
    {"a read before its write", read_before_its_write, "wrote behind the read: new"},
    {"an element before its push", popped_before_its_push, "wrote behind the read: new"},
    {"a waiter in doubt", waiter_in_doubt, "waits for an element, that nobody knows"},
    {"doubt in a calm", doubt_in_calm, "in doubt, and nothing had failed for 6 s"},
    {"doubt soon after", doubt_soon_after, "in doubt, and nothing had failed for 6 s"},
};

static void every_check_can_fail(void **state)
{
    (void)state;
    tell_all(told, MOOT_ARRAY_LEN(told));
}

/* Stamps of leaders only, the most and the least of them all. */
static void clocks_apart(void **state)
{
    (void)state;
    claims_begin();
    start();
    view(1)->stamp_ms = sim__wall_ms(claims.world) + 5000;
    look(1);
    assert_int_equal(sim__clocks_apart_ms(claims.world), 0);
    view(0)->stamp_ms = sim__wall_ms(claims.world) - 40;
    vote(0, 2);
    vote(1, 2);
    view(0)->leads = true;
    look(0);
    assert_int_equal(sim__clocks_apart_ms(claims.world), 0);
    view(0)->stamp_ms += 70;
    look(0);
    assert_int_equal(sim__clocks_apart_ms(claims.world), 70);
    assert_false(claims.result.violated);
    claims_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_check_can_fail),
        cmocka_unit_test(clocks_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
