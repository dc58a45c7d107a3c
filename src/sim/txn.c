/* Transactions on lists: MULTI, some RPUSH and LRANGE over several keys, EXEC; some of them watch
 * and read lists before, and append only if nobody else did meanwhile.
 *
 * Every element is appended once, so a list that somebody reads tells the whole order of the
 * transactions that appended to it, and cycles of dependencies (check/transaction.h) show each way
 * in which transactions can be mixed up, torn, lost or done twice. */
#include "base/assert.h"
#include "base/rule.h"
#include "check/intern.h"
#include "sim/world.h"
#include "wire/resp.h"

/* Every read carries the whole list: clients go on with another key before it gets long. */
enum { APPENDED_MAX = 50 };

static void leave_long_lists(struct sim_world *world)
{
    for (uint32_t key = 0; key < world->swarm.keys; key++) {
        if (world->keys[key].appended >= APPENDED_MAX) {
            world->keys[key] = (struct sim_key){.generation = world->keys[key].generation + 1};
            MOOT_SOMETIMES(true, "the simulator's clients left a list that had grown long");
        }
    }
}

/* A step on any key. `text` is where a value that is appended goes. */
static void make_step(struct sim_world *world, bool is_read, struct moot_history_step *step,
                      char text[SIM_VALUE_MAX])
{
    uint32_t key = (uint32_t)sim__below(world, world->swarm.keys);
    *step = (struct moot_history_step){
        .kind = is_read ? MOOT_OPERATION_READ : MOOT_OPERATION_APPEND,
        .key = sim__key_name(world, key),
        .value = is_read ? moot_history_none() : moot_history_bytes(sim__unique(world, text)),
    };
    world->keys[key].appended += !is_read;
}

static void ask_step(struct sim_client *client, const struct moot_history_step *step,
                     struct sim_expected expected)
{
    if (step->kind == MOOT_OPERATION_READ) {
        struct moot_slice read[] = {MOOT_SLICE_LITERAL("LRANGE"), step->key,
                                    MOOT_SLICE_LITERAL("0"), MOOT_SLICE_LITERAL("-1")};
        sim__command(client, read, 4, expected);
    } else {
        struct moot_slice push[] = {MOOT_SLICE_LITERAL("RPUSH"), step->key, step->value.bytes};
        sim__command(client, push, 3, expected);
    }
}

/* MULTI, the steps from `first` on, EXEC. */
static void ask_exec(struct sim_client *client, const struct moot_history_step *steps,
                     uint32_t first, uint32_t count, size_t operation)
{
    struct moot_slice multi = MOOT_SLICE_LITERAL("MULTI"), exec = MOOT_SLICE_LITERAL("EXEC");
    struct sim_expected ready = {SIM_STEP_READY, SIZE_MAX, 0};
    sim__command(client, &multi, 1, ready);
    for (uint32_t i = first; i < count; i++) {
        ask_step(client, &steps[i], ready);
    }
    sim__command(client, &exec, 1, (struct sim_expected){SIM_STEP_EXEC, operation, 0});
}

static size_t call(struct sim_world *world, struct sim_client *client,
                   const struct moot_history_step *steps, uint32_t count)
{
    size_t operation = moot_history_call_txn(&world->history, client->process, steps, count,
                                             (struct moot_instant){world->now});
    sim__record_call(world, client, operation);
    world->result->counts.operations++;
    sim__trace(world, "c%u asks m%u: a transaction of %u", client->number, client->machine, count);
    return operation;
}

void sim__ask_txn(struct sim_world *world, struct sim_client *client)
{
    char texts[SIM_TXN_STEPS_MAX][SIM_VALUE_MAX];
    struct moot_history_step steps[SIM_TXN_STEPS_MAX] = {{.kind = MOOT_OPERATION_READ}};
    uint32_t count = 1 + (uint32_t)sim__below(world, SIM_TXN_STEPS_MAX);
    leave_long_lists(world);
    for (uint32_t i = 0; i < count; i++) {
        make_step(world, sim__one_in(world, 2), &steps[i], texts[i]);
    }
    size_t operation = call(world, client, steps, count); /* Nothing has been sent yet. */
    ask_exec(client, steps, 0, count, operation);
}

/* All steps are decided now, so that the transaction is called before anything of it is sent. */
void sim__ask_watching(struct sim_world *world, struct sim_client *client)
{
    char texts[SIM_TXN_STEPS_MAX][SIM_VALUE_MAX];
    struct moot_history_step steps[SIM_TXN_STEPS_MAX] = {{.kind = MOOT_OPERATION_READ}};
    uint32_t reads = 1 + (uint32_t)sim__below(world, 2);
    uint32_t count = reads + 1 + (uint32_t)sim__below(world, 2);
    MOOT_ASSERT(count <= SIM_TXN_STEPS_MAX);
    leave_long_lists(world);
    struct moot_slice watch[1 + SIM_TXN_STEPS_MAX] = {MOOT_SLICE_LITERAL("WATCH")};
    for (uint32_t i = 0; i < count; i++) {
        make_step(world, i < reads, &steps[i], texts[i]);
        watch[1 + i] = steps[i].key;
    }
    size_t operation = call(world, client, steps, count);
    client->txn = (struct sim_txn){.is_watching = true, .operation = operation, .reads = reads};
    for (uint32_t i = 0; i < count; i++) { /* As the history keeps them. */
        client->txn.steps[i] = world->history.operations[operation].steps[i];
    }
    sim__command(client, watch, 1 + reads, (struct sim_expected){SIM_STEP_WATCH, SIZE_MAX, 0});
    for (uint32_t i = 0; i < reads; i++) {
        ask_step(client, &steps[i], (struct sim_expected){SIM_STEP_TXN_READ, SIZE_MAX, i});
    }
}

void sim__ask_watched(struct sim_world *world, struct sim_client *client)
{
    const struct sim_txn *txn = &client->txn;
    uint32_t count = (uint32_t)world->history.operations[txn->operation].steps_count;
    ask_exec(client, txn->steps, txn->reads, count, txn->operation);
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

void sim__on_watched_list(struct sim_world *world, struct sim_client *client, uint32_t step,
                          struct moot_slice reply)
{
    MOOT_ASSERT(client->txn.is_watching);
    MOOT_ASSERT(step < client->txn.reads);
    if (read_list(world, reply, 0, &client->txn.steps[step]) == 0) {
        sim__violation(world, "LRANGE was answered with something else");
    }
}

/* One answer within EXEC's; returns where it ends, or 0 when it is of another kind. */
static size_t read_step(struct sim_world *world, struct moot_slice reply, size_t at,
                        struct moot_history_step *step)
{
    struct moot_resp_value head;
    if (step->kind == MOOT_OPERATION_READ) {
        return read_list(world, reply, at, step);
    }
    at = sim__read_head(reply, at, &head);
    return head.type == MOOT_RESP_INTEGER ? at : 0;
}

enum moot_outcome sim__read_txn(struct sim_world *world, struct sim_client *client,
                                size_t operation, struct moot_slice reply,
                                struct moot_history_step steps[SIM_TXN_STEPS_MAX])
{
    const struct moot_operation *txn = &world->history.operations[operation];
    bool watched = operation == client->txn.operation && client->txn.reads > 0;
    uint32_t first = watched ? client->txn.reads : 0, count = (uint32_t)txn->steps_count;
    struct moot_resp_value head;
    size_t at = sim__read_head(reply, 0, &head);
    MOOT_ASSERT(count <= SIM_TXN_STEPS_MAX);
    MOOT_SOMETIMES(watched && head.type == MOOT_RESP_ARRAY, "a watched list had not changed");
    MOOT_SOMETIMES(watched && head.type == MOOT_RESP_NULL, "a watched list had changed");
    if (head.type == MOOT_RESP_NULL) { /* A client that gave up on its reads may still watch. */
        return MOOT_OUTCOME_FAIL;
    }
    bool good = head.type == MOOT_RESP_ARRAY && head.integer == (int64_t)(count - first);
    for (uint32_t i = 0; i < count && good; i++) {
        steps[i] = watched ? client->txn.steps[i] : txn->steps[i];
        at = i < first ? at : read_step(world, reply, at, &steps[i]);
        good = at != 0;
        for (uint32_t j = 0; j < i; j++) {
            MOOT_SOMETIMES(steps[i].kind == MOOT_OPERATION_READ &&
                               steps[j].kind == MOOT_OPERATION_APPEND &&
                               moot_slice_equal(steps[j].key, steps[i].key),
                           "a transaction read a list that it had appended to");
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
