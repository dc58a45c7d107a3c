/* Transactions on lists: MULTI, some RPUSH and LRANGE over several keys, EXEC; or on registers: SET
 * and GET, and GETSET and MGET alone. Some of them watch and read keys before, and write only if
 * nobody else did meanwhile: when they have seen what was there, or all in one pipeline.
 *
 * Every element is appended once, so a list that somebody reads tells the whole order of the
 * transactions that appended to it, and cycles of dependencies (check/transaction.h) show each way
 * in which transactions can be mixed up, torn, lost or done twice. Of registers less is known; but
 * their reads are those that most clients make, and an EXEC that only reads is a read. */
#include "base/assert.h"
#include "base/hash.h"
#include "base/rule.h"
#include "check/intern.h"
#include "sim/world.h"
#include "wire/resp.h"

/* Every read carries the whole list: clients go on with another key before it gets long. */
enum { APPENDED_MAX = 50 };

static bool is_of_lists(const struct sim_world *world)
{
    return world->swarm.workload == SIM_WORKLOAD_TXN;
}

static void leave_long_lists(struct sim_world *world)
{
    for (uint32_t key = 0; key < world->swarm.keys && is_of_lists(world); key++) {
        if (world->keys[key].appended >= APPENDED_MAX) {
            world->keys[key] = (struct sim_key){.generation = world->keys[key].generation + 1};
            MOOT_SOMETIMES(true, "the simulator's clients left a list that had grown long");
        }
    }
}

/* A step on any key. `text` is where a value that is written goes. */
static void make_step(struct sim_world *world, bool is_read, struct moot_history_step *step,
                      char text[SIM_VALUE_MAX])
{
    uint32_t key = (uint32_t)sim__below(world, world->swarm.keys);
    *step = (struct moot_history_step){
        .kind = is_read              ? MOOT_OPERATION_READ
                : is_of_lists(world) ? MOOT_OPERATION_APPEND
                                     : MOOT_OPERATION_WRITE,
        .key = sim__key_name(world, key),
        .value = is_read ? moot_history_none() : moot_history_bytes(sim__unique(world, text)),
    };
    world->keys[key].appended += !is_read;
}

static void ask_step(struct sim_client *client, const struct moot_history_step *step, bool of_lists,
                     struct sim_expected expected)
{
    struct moot_slice range[] = {MOOT_SLICE_LITERAL("LRANGE"), step->key, MOOT_SLICE_LITERAL("0"),
                                 MOOT_SLICE_LITERAL("-1")};
    struct moot_slice get[] = {MOOT_SLICE_LITERAL("GET"), step->key};
    struct moot_slice write[] = {of_lists ? MOOT_SLICE_LITERAL("RPUSH") : MOOT_SLICE_LITERAL("SET"),
                                 step->key, step->value.bytes};
    if (step->kind == MOOT_OPERATION_READ) {
        sim__command(client, of_lists ? range : get, of_lists ? 4 : 2, expected);
    } else {
        sim__command(client, write, 3, expected);
    }
}

/* MULTI, the steps from `first` on, EXEC. */
static void ask_exec(struct sim_client *client, const struct moot_history_step *steps,
                     bool of_lists, uint32_t first, size_t operation, uint32_t count)
{
    struct moot_slice multi = MOOT_SLICE_LITERAL("MULTI"), exec = MOOT_SLICE_LITERAL("EXEC");
    struct sim_expected ready = {SIM_STEP_READY, SIZE_MAX, 0};
    sim__command(client, &multi, 1, ready);
    for (uint32_t i = first; i < count; i++) {
        ask_step(client, &steps[i], of_lists, ready);
    }
    sim__command(client, &exec, 1, (struct sim_expected){SIM_STEP_EXEC, operation, 0});
}

static size_t call(struct sim_world *world, struct sim_client *client,
                   const struct moot_history_step *steps, uint32_t count)
{
    size_t operation = moot_history_call_txn(&world->history, client->process, steps, count,
                                             (struct moot_instant){world->now});
    sim__note_call(world, client, operation);
    world->result->counts.operations++;
    sim__trace(world, "c%u asks m%u: a transaction of %u", client->number, client->machine, count);
    return operation;
}

/* MGET of several keys, or GETSET of one. */
static void ask_in_one(struct sim_client *client, const struct moot_history_step *steps,
                       uint32_t count, size_t operation)
{
    struct moot_slice args[1 + SIM_TXN_STEPS_MAX] = {MOOT_SLICE_LITERAL("MGET")};
    if (steps[count - 1].kind == MOOT_OPERATION_READ) {
        for (uint32_t i = 0; i < count; i++) {
            args[1 + i] = steps[i].key;
        }
        sim__command(client, args, 1 + count, (struct sim_expected){SIM_STEP_EXEC, operation, 0});
    } else {
        args[0] = MOOT_SLICE_LITERAL("GETSET");
        args[1] = steps[1].key;
        args[2] = steps[1].value.bytes;
        sim__command(client, args, 3, (struct sim_expected){SIM_STEP_GETSET, operation, 0});
    }
}

/* In a quarter of the worlds registers are written blindly: then nobody is told in which order, and
 * the judge has to find out (check/transaction_chains.c). */
static bool is_blind(const struct sim_world *world)
{
    return !is_of_lists(world) && moot_hash_mix(world->options->seed, 0xb11d) % 4 == 0;
}

/* In the others, who writes a register has read it before. */
static uint32_t make_steps(struct sim_world *world, bool reads, uint32_t wanted,
                           struct moot_history_step steps[SIM_TXN_STEPS_MAX],
                           char texts[SIM_TXN_STEPS_MAX][SIM_VALUE_MAX])
{
    uint32_t count = 0;
    while (count < wanted) {
        bool is_read = reads || sim__one_in(world, 2);
        bool pairs = !is_read && !is_of_lists(world) && !is_blind(world);
        if (pairs && count + 1 == SIM_TXN_STEPS_MAX) {
            break;
        }
        make_step(world, is_read, &steps[count], texts[count]);
        if (pairs) {
            steps[count + 1] = steps[count];
            steps[count].kind = MOOT_OPERATION_READ;
            steps[count].value = moot_history_none();
        }
        count += pairs ? 2 : 1;
    }
    return count;
}

void sim__ask_txn(struct sim_world *world, struct sim_client *client)
{
    char texts[SIM_TXN_STEPS_MAX][SIM_VALUE_MAX];
    struct moot_history_step steps[SIM_TXN_STEPS_MAX] = {{.kind = MOOT_OPERATION_READ}};
    uint32_t wanted = 1 + (uint32_t)sim__below(world, SIM_TXN_STEPS_MAX);
    bool reads = sim__one_in(world, 5);
    leave_long_lists(world);
    uint32_t count = make_steps(world, reads, wanted, steps, texts);
    size_t operation = call(world, client, steps, count); /* Nothing has been sent yet. */
    bool is_getset = count == 2 && steps[0].kind == MOOT_OPERATION_READ &&
                     steps[1].kind == MOOT_OPERATION_WRITE &&
                     moot_slice_equal(steps[0].key, steps[1].key);
    if (!is_of_lists(world) && (reads || is_getset) && sim__one_in(world, 2)) {
        ask_in_one(client, steps, count, operation);
    } else {
        ask_exec(client, steps, is_of_lists(world), 0, operation, count);
    }
}

/* All steps are decided now, so that the transaction is called before anything of it is sent. */
void sim__ask_watching(struct sim_world *world, struct sim_client *client, bool at_once)
{
    char texts[SIM_TXN_STEPS_MAX][SIM_VALUE_MAX];
    struct moot_history_step steps[SIM_TXN_STEPS_MAX] = {{.kind = MOOT_OPERATION_READ}};
    uint32_t reads = 1 + (uint32_t)sim__below(world, 2);
    uint32_t count = reads + 1 + (uint32_t)sim__below(world, 2);
    bool only_reads = sim__one_in(world, 5);
    MOOT_ASSERT(count <= SIM_TXN_STEPS_MAX);
    leave_long_lists(world);
    struct moot_slice watch[1 + SIM_TXN_STEPS_MAX] = {MOOT_SLICE_LITERAL("WATCH")};
    for (uint32_t i = 0; i < count; i++) {
        make_step(world, i < reads || only_reads, &steps[i], texts[i]);
        if (i >= reads && !is_of_lists(world)) {
            steps[i].key = steps[sim__below(world, reads)].key;
        }
        watch[1 + i] = steps[i].key;
    }
    size_t operation = call(world, client, steps, count);
    client->txn = (struct sim_txn){.is_watching = !at_once, .operation = operation, .reads = reads};
    for (uint32_t i = 0; i < count; i++) { /* As the history keeps them. */
        client->txn.steps[i] = world->history.operations[operation].steps[i];
    }
    sim__command(client, watch, 1 + reads, (struct sim_expected){SIM_STEP_WATCH, SIZE_MAX, 0});
    for (uint32_t i = 0; i < reads; i++) {
        ask_step(client, &steps[i], is_of_lists(world),
                 (struct sim_expected){SIM_STEP_TXN_READ, SIZE_MAX, i});
    }
    if (at_once) {
        ask_exec(client, steps, is_of_lists(world), reads, operation, count);
    }
}

void sim__ask_watched(struct sim_world *world, struct sim_client *client)
{
    const struct sim_txn *txn = &client->txn;
    uint32_t count = (uint32_t)world->history.operations[txn->operation].steps_count;
    ask_exec(client, txn->steps, is_of_lists(world), txn->reads, txn->operation, count);
}

/* ---- answers ---- */

/* A list whose head is at `at`, into a step; returns where it ends, or 0 when it is none. */
static size_t read_list(struct sim_world *world, struct moot_slice reply, size_t at,
                        struct moot_history_step *step)
{
    struct moot_resp_value head;
    at = sim__read_head(reply, at, &head);
    if (head.type != MOOT_RESP_ARRAY) {
        return 0;
    }
    size_t count = (size_t)head.integer;
    struct moot_slice *items =
        moot_arena_alloc(&world->history.arena, sizeof(*items) * (count + 1));
    for (size_t i = 0; i < count; i++) {
        struct moot_resp_value element;
        at = sim__read_head(reply, at, &element);
        items[i] = moot_arena_copy(&world->history.arena, element.text);
    }
    step->value = moot_history_list(items, count);
    return at;
}

/* The same of a register. */
static size_t read_register(struct sim_world *world, struct moot_slice reply, size_t at,
                            struct moot_history_step *step)
{
    struct moot_resp_value head;
    at = sim__read_head(reply, at, &head);
    if (head.type != MOOT_RESP_NULL && head.type != MOOT_RESP_BULK) {
        return 0;
    }
    step->value = head.type == MOOT_RESP_NULL
                      ? moot_history_nil()
                      : moot_history_bytes(moot_arena_copy(&world->history.arena, head.text));
    return at;
}

static size_t read_key(struct sim_world *world, struct moot_slice reply, size_t at,
                       struct moot_history_step *step)
{
    return is_of_lists(world) ? read_list(world, reply, at, step)
                              : read_register(world, reply, at, step);
}

void sim__on_watched(struct sim_world *world, struct sim_client *client, uint32_t step,
                     struct moot_slice reply)
{
    MOOT_ASSERT(step < client->txn.reads);
    if (read_key(world, reply, 0, &client->txn.steps[step]) == 0) {
        sim__violation(world, "%s was answered with something else",
                       is_of_lists(world) ? "LRANGE" : "GET");
    }
}

/* One answer within EXEC's; returns where it ends, or 0 when it is of another kind. */
static size_t read_step(struct sim_world *world, struct moot_slice reply, size_t at,
                        struct moot_history_step *step)
{
    struct moot_resp_value head;
    if (step->kind == MOOT_OPERATION_READ) {
        return read_key(world, reply, at, step);
    }
    at = sim__read_head(reply, at, &head);
    return head.type == (is_of_lists(world) ? MOOT_RESP_INTEGER : MOOT_RESP_SIMPLE) ? at : 0;
}

/* GETSET's answer is what was read. */
static bool read_old(struct sim_world *world, const struct moot_operation *txn,
                     struct moot_slice reply, struct moot_history_step steps[SIM_TXN_STEPS_MAX])
{
    MOOT_ASSERT(txn->steps_count == 2);
    steps[0] = txn->steps[0];
    steps[1] = txn->steps[1];
    return read_register(world, reply, 0, &steps[0]) != 0;
}

enum moot_outcome sim__read_txn(struct sim_world *world, struct sim_client *client,
                                const struct sim_expected *expected, struct moot_slice reply,
                                struct moot_history_step steps[SIM_TXN_STEPS_MAX])
{
    const struct moot_operation *txn = &world->history.operations[expected->operation];
    bool watched = expected->operation == client->txn.operation && client->txn.reads > 0;
    uint32_t first = watched ? client->txn.reads : 0, count = (uint32_t)txn->steps_count;
    struct moot_resp_value head;
    size_t at = sim__read_head(reply, 0, &head);
    MOOT_ASSERT(count <= SIM_TXN_STEPS_MAX);
    MOOT_SOMETIMES(watched && head.type == MOOT_RESP_ARRAY, "a watched key had not changed");
    MOOT_SOMETIMES(watched && head.type == MOOT_RESP_NULL, "a watched key had changed");
    bool in_one = expected->step == SIM_STEP_GETSET;
    if (head.type == MOOT_RESP_NULL &&
        !in_one) { /* A client that gave up on its reads may still watch. */
        return MOOT_OUTCOME_FAIL;
    }
    bool good = in_one ? read_old(world, txn, reply, steps)
                       : head.type == MOOT_RESP_ARRAY && head.integer == (int64_t)(count - first);
    for (uint32_t i = 0; i < count && good && !in_one; i++) {
        steps[i] = watched ? client->txn.steps[i] : txn->steps[i];
        if (i < first && client->watch_failed) { /* Perhaps nothing was watched: who knows when. */
            steps[i].value = moot_history_none();
        }
        at = i < first ? at : read_step(world, reply, at, &steps[i]);
        good = at != 0;
        for (uint32_t j = 0; j < i; j++) {
            MOOT_SOMETIMES(steps[i].kind == MOOT_OPERATION_READ &&
                               steps[j].kind != MOOT_OPERATION_READ &&
                               moot_slice_equal(steps[j].key, steps[i].key),
                           "a transaction read a key that it had written");
        }
    }
    if (!good) {
        sim__violation(world, "EXEC of %u commands was answered with something else",
                       count - first);
    }
    return good ? MOOT_OUTCOME_OK : MOOT_OUTCOME_INDOUBT;
}

/* ---- what came of those in doubt ---- */

/* Elements that a read outside of transactions saw, as the last ones of each key are. */
static void collect_seen(const struct sim_world *world, struct moot_intern *seen)
{
    for (size_t i = 0; i < world->history.count; i++) {
        const struct moot_operation *read = &world->history.operations[i];
        bool is_list = read->kind == MOOT_OPERATION_READ && read->outcome == MOOT_OUTCOME_OK &&
                       read->result.kind == MOOT_HISTORY_LIST;
        for (size_t j = 0; is_list && j < read->result.count; j++) {
            moot_intern_add(seen, read->result.items[j]);
        }
    }
}

void sim__note_txns(const struct sim_world *world)
{
    struct moot_intern seen;
    moot_intern_init(&seen);
    collect_seen(world, &seen);
    for (size_t i = 0; i < world->history.count; i++) {
        const struct moot_operation *txn = &world->history.operations[i];
        for (size_t j = 0; txn->kind == MOOT_OPERATION_TXN && j < txn->steps_count; j++) {
            const struct moot_history_step *step = &txn->steps[j];
            uint32_t number;
            bool appends = step->kind == MOOT_OPERATION_APPEND;
            bool was_done = appends && moot_intern_find(&seen, step->value.bytes, &number);
            bool in_doubt = appends && txn->outcome == MOOT_OUTCOME_INDOUBT;
            MOOT_SOMETIMES(in_doubt && was_done, "a transaction in doubt had been executed");
            MOOT_SOMETIMES(in_doubt && !was_done, "a transaction in doubt had not been executed");
            MOOT_SOMETIMES(appends && txn->outcome == MOOT_OUTCOME_FAIL,
                           "a transaction that appends was refused");
        }
    }
    moot_intern_deinit(&seen);
}
