/* Goal: the simulator's clients notice each answer that no node may give: bytes that are no reply,
 * a reply too many, an error that says nothing of what was done, a value or a list that cannot be,
 * a machine taken in that does not know the secret; and that none comes at all. Method: bytes are
 * sent to a client that expects an answer, twice: as a node would, and with one thing changed. */
#include "sim_claims.h"

#include "check/large.h"
#include "storage/journal_format.h"

enum { CLIENT = 7, STRANGER = UINT32_MAX };

static struct sim_client *client(void) { return &claims.world->clients[CLIENT]; }

static void expect(enum sim_step step, size_t operation, uint32_t number)
{
    *client() =
        (struct sim_client){.number = CLIENT, .process = 1, .connected = true, .machine = 1};
    moot_buffer_init(&client()->in);
    moot_buffer_init(&client()->out);
    client()->expected[client()->expected_count++] = (struct sim_expected){step, operation, number};
}

static void hear(struct moot_slice bytes)
{
    struct sim_event event = {.kind = SIM_TO_CLIENT, .machine = CLIENT};
    event.block = moot_block_copy(bytes);
    sim__client_bytes(claims.world, client(), &event);
    moot_block_release(event.block);
    sim__client_deinit(client());
}

static void hear_text(const char *text) { hear(moot_slice_text(text)); }

static size_t asked(enum moot_operation_kind kind, const char *value)
{
    struct moot_history_value argument =
        value == NULL ? moot_history_none() : moot_history_bytes(moot_slice_text(value));
    return moot_history_call(&claims.world->history, 1, kind, MOOT_SLICE_LITERAL("k"), argument,
                             (struct moot_instant){0});
}

static void no_reply(bool broken)
{
    expect(SIM_STEP_READY, SIZE_MAX, 0);
    hear_text(broken ? "OK\r\n" : "+OK\r\n");
}

static void reply_too_many(bool broken)
{
    expect(SIM_STEP_READY, SIZE_MAX, 0);
    hear_text(broken ? "+OK\r\n+OK\r\n" : "+OK\r\n");
}

static void error_that_says_nothing(bool broken)
{
    expect(SIM_STEP_OPERATION, asked(MOOT_OPERATION_WRITE, "a"), 0);
    hear_text(broken ? "-ERR a bad day\r\n" : "-TRYAGAIN a bad day\r\n");
}

static void field_that_was_there(bool broken)
{
    claims.world->swarm.workload = SIM_WORKLOAD_SET;
    expect(SIM_STEP_OPERATION, asked(MOOT_OPERATION_ADD, "a"), 0);
    hear_text(broken ? ":0\r\n" : ":1\r\n");
}

static void large_value(bool broken)
{
    struct moot_buffer value, reply;
    moot_buffer_init(&value);
    moot_buffer_init(&reply);
    moot_large_put(MOOT_SLICE_LITERAL("v1"), JOURNAL_MAGIC, &value);
    moot_buffer_append_text(&reply, "$");
    moot_buffer_append_u64(&reply, value.size - (broken ? 1 : 0)); /* Its end is lost. */
    moot_buffer_append_text(&reply, "\r\n");
    moot_buffer_append(&reply, value.data, value.size - (broken ? 1 : 0));
    moot_buffer_append_text(&reply, "\r\n");
    claims.world->swarm.workload = SIM_WORKLOAD_LARGE;
    expect(SIM_STEP_OPERATION, asked(MOOT_OPERATION_READ, NULL), 0);
    hear(moot_buffer_slice(&reply));
    moot_buffer_deinit(&value);
    moot_buffer_deinit(&reply);
}

static size_t asked_txn(struct moot_history_step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        steps[i] = (struct moot_history_step){.kind = MOOT_OPERATION_APPEND,
                                              .key = MOOT_SLICE_LITERAL("k"),
                                              .value = moot_history_bytes(MOOT_SLICE_LITERAL("v"))};
    }
    return moot_history_call_txn(&claims.world->history, 1, steps, count, (struct moot_instant){0});
}

static void watched_list(bool broken)
{
    claims.world->swarm.workload = SIM_WORKLOAD_TXN;
    struct moot_history_step steps[2];
    size_t operation = asked_txn(steps, 2);
    expect(SIM_STEP_TXN_READ, SIZE_MAX, 0);
    client()->txn = (struct sim_txn){.is_watching = true, .operation = operation, .reads = 1};
    hear_text(broken ? "$1\r\na\r\n" : "*1\r\n$1\r\na\r\n");
}

static void watched_register(bool broken)
{
    claims.world->swarm.workload = SIM_WORKLOAD_REGISTER_TXN;
    struct moot_history_step steps[2];
    size_t operation = asked_txn(steps, 2);
    expect(SIM_STEP_TXN_READ, SIZE_MAX, 0);
    client()->txn = (struct sim_txn){.is_watching = true, .operation = operation, .reads = 1};
    hear_text(broken ? "*1\r\n$1\r\na\r\n" : "$1\r\na\r\n");
}

static void exec_of_fewer(bool broken)
{
    claims.world->swarm.workload = SIM_WORKLOAD_TXN;
    struct moot_history_step steps[2];
    size_t operation = asked_txn(steps, 2);
    expect(SIM_STEP_EXEC, operation, 0);
    hear_text(broken ? "*1\r\n:1\r\n" : "*2\r\n:1\r\n:2\r\n");
}

static void exec_of_others(bool broken)
{
    claims.world->swarm.workload = SIM_WORKLOAD_TXN;
    struct moot_history_step steps[1];
    size_t operation = asked_txn(steps, 1);
    expect(SIM_STEP_EXEC, operation, 0);
    hear_text(broken ? "*1\r\n+OK\r\n" : "*1\r\n:1\r\n");
}

static void exec_of_registers(bool broken)
{
    claims.world->swarm.workload = SIM_WORKLOAD_REGISTER_TXN;
    struct moot_history_step steps[1];
    size_t operation = asked_txn(steps, 1);
    expect(SIM_STEP_EXEC, operation, 0);
    hear_text(broken ? "*1\r\n:1\r\n" : "*1\r\n+OK\r\n");
}

static void getset(bool broken)
{
    claims.world->swarm.workload = SIM_WORKLOAD_REGISTER_TXN;
    struct moot_history_step steps[2];
    size_t operation = asked_txn(steps, 2);
    expect(SIM_STEP_GETSET, operation, 0);
    hear_text(broken ? "+OK\r\n" : "$1\r\na\r\n");
}

/* ---- queues ---- */

/* A pop at the lists k and l. */
static void expect_pop(enum sim_step step)
{
    claims.world->swarm.workload = SIM_WORKLOAD_QUEUE;
    size_t first = asked(MOOT_OPERATION_POP, NULL);
    (void)moot_history_call(&claims.world->history, 1, MOOT_OPERATION_POP, MOOT_SLICE_LITERAL("l"),
                            moot_history_none(), (struct moot_instant){0});
    expect(step, first, 2);
}

static enum moot_outcome outcome_of(size_t operation)
{
    return claims.world->history.operations[operation].outcome;
}

static void pop_elsewhere(bool broken)
{
    expect_pop(SIM_STEP_POP);
    hear_text(broken ? "*2\r\n$1\r\nm\r\n$1\r\na\r\n" : "*2\r\n$1\r\nl\r\n$1\r\na\r\n");
    assert_true(broken || outcome_of(0) == MOOT_OUTCOME_FAIL);
    assert_true(broken || outcome_of(1) == MOOT_OUTCOME_OK);
}

static void pop_of_nothing(bool broken)
{
    expect_pop(SIM_STEP_POP);
    hear_text(broken ? ":0\r\n" : "*-1\r\n");
    assert_true(broken || outcome_of(0) == MOOT_OUTCOME_OK);
    assert_true(broken || outcome_of(1) == MOOT_OUTCOME_OK);
}

static void pop_within_multi(bool broken)
{
    expect_pop(SIM_STEP_EXEC_POP);
    hear_text(broken ? "*2\r\n*-1\r\n:3\r\n" : "*2\r\n:3\r\n*-1\r\n");
}

static void word(bool broken)
{
    expect(SIM_STEP_ECHO, SIZE_MAX, 17);
    hear_text(broken ? "$2\r\n18\r\n" : "$2\r\n17\r\n");
}

static void length(bool broken)
{
    expect(SIM_STEP_LENGTH, SIZE_MAX, 0);
    hear_text(broken ? "$1\r\n3\r\n" : ":3\r\n");
}

static void push_of_another_kind(bool broken)
{
    claims.world->swarm.workload = SIM_WORKLOAD_QUEUE;
    expect(SIM_STEP_OPERATION, asked(MOOT_OPERATION_PUSH, "a"), 0);
    hear_text(broken ? "*-1\r\n" : ":1\r\n");
}

/* A push and a read behind it; somebody pops meanwhile, or nobody. */
static void unseen(bool broken)
{
    claims.world->swarm.workload = SIM_WORKLOAD_QUEUE;
    size_t push = asked(MOOT_OPERATION_PUSH, "a"), read = asked(MOOT_OPERATION_READ, NULL);
    size_t pop = asked(MOOT_OPERATION_POP, NULL);
    moot_history_return(&claims.world->history, push, MOOT_OUTCOME_OK, moot_history_integer(1),
                        (struct moot_instant){0});
    moot_history_return(&claims.world->history, pop, MOOT_OUTCOME_OK,
                        broken ? moot_history_nil() : moot_history_bytes(MOOT_SLICE_LITERAL("a")),
                        (struct moot_instant){0});
    expect(SIM_STEP_OPERATION, read, 0);
    client()->asked_first = push;
    hear_text("*0\r\n");
    sim__check_unseen(claims.world);
    moot_buffer_deinit(&claims.world->unseen);
}

static void nonce(bool broken)
{
    char text[2 * MOOT_MAC_BYTES + 16];
    int size = snprintf(text, sizeof(text), "$%d\r\n", 2 * MOOT_MAC_BYTES);
    memset(text + size, broken ? 'x' : 'a', 2 * MOOT_MAC_BYTES);
    memcpy(text + size + 2 * MOOT_MAC_BYTES, "\r\n", 3);
    expect(SIM_STEP_NONCE, SIZE_MAX, 2);
    client()->is_admin = true;
    hear_text(text);
}

static void stranger(bool broken)
{
    expect(SIM_STEP_JOIN, SIZE_MAX, STRANGER);
    client()->is_admin = true;
    hear_text(broken ? "$2\r\n00\r\n" : "-DENIED\r\n");
}

static void no_answer(bool broken)
{
    claims.world->phase = SIM_PHASE_HEALED;
    claims.world->phase_since = MOOT_SEC_NS;
    claims.world->now = (broken ? 17 : 15) * MOOT_SEC_NS;
    expect(SIM_STEP_OPERATION, asked(MOOT_OPERATION_WRITE, "a"), 0);
    sim__client_give_up(claims.world, client());
    sim__client_deinit(client());
}

/* Of one that sends no more; or any other, whose connection may end at any time. */
static void closed_early(bool broken)
{
    claims.world->phase = SIM_PHASE_HEALED;
    claims.world->now = 7 * MOOT_SEC_NS;
    expect(SIM_STEP_OPERATION, asked(MOOT_OPERATION_WRITE, "a"), 0);
    client()->has_ended = broken;
    struct sim_event closed = {.kind = SIM_TO_CLIENT, .machine = CLIENT};
    sim__client_bytes(claims.world, client(), &closed);
    sim__client_deinit(client());
}

static const struct told told[] = {
    {"bytes", no_reply, "m1 sent client 7 bytes that are no reply"},
    {"replies", reply_too_many, "m1 sent client 7 a reply nobody asked for"},
    {"errors", error_that_says_nothing, "m1 answered client 7: ERR a bad day"},
    {"fields", field_that_was_there, "a field that was never there before was there already"},
    {"large values", large_value, "a large value came back with"},
    {"watched lists", watched_list, "LRANGE was answered with something else"},
    {"watched registers", watched_register, "GET was answered with something else"},
    {"EXEC", exec_of_fewer, "EXEC of 2 commands was answered with something else"},
    {"EXEC of RPUSH", exec_of_others, "EXEC of 1 commands was answered with something else"},
    {"EXEC of SET", exec_of_registers, "EXEC of 1 commands was answered with something else"},
    {"GETSET", getset, "EXEC of 2 commands was answered with something else"},
    {"pops of other lists", pop_elsewhere, "answered client 7, which pops, with something else"},
    {"pops of nothing", pop_of_nothing, "answered client 7, which pops, with something else"},
    {"pops within MULTI", pop_within_multi, "which pops, with something else"},
    {"words", word, "which asked for its own word, with something else"},
    {"lengths", length, "which asked for a length, with something else"},
    {"pushes", push_of_another_kind, "which asked for a push, with something else"},
    {"own pushes", unseen, "a read does not show a, pushed before it on the same connection"},
    {"a nonce", nonce, "MOOT JOIN answered something that is no nonce"},
    {"a stranger", stranger, "with the secret of another cluster was taken in"},
    {"a hasty end", closed_early, "m1 closed the connection of client 7 before it had all answers"},
    {"silence", no_answer, "liveness: client 7 got no answer from m1 in 15 s without faults"},
};

static void every_wrong_answer_is_noticed(void **state)
{
    (void)state;
    tell_all(told, MOOT_ARRAY_LEN(told));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_wrong_answer_is_noticed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
