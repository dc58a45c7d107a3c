/* What clients ask of lists that they take turns at: pushes at one end and pops at the other, many
 * of which wait. Clients that serve queues keep a connection full of other things too: so pops
 * stand before, between and behind reads, writes and MULTIs of one pipeline, wait at several lists,
 * for ever or for an instant, and some of their clients go while they wait.
 *
 * A pop at several lists is one operation for each: the one that gave nothing, where another did,
 * was surely not done. In half of the worlds the ends are exchanged.
 *
 * One connection's commands are done in their order, which no history says: they overlap. So a read
 * behind a push that was acknowledged must see its elements, unless somebody popped them meanwhile;
 * and ECHO is answered with what was said. */
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/rule.h"
#include "sim/world.h"

enum { LISTS_OF_POP_MAX = 3, AROUND_MAX = 3, COMMANDS_OF_ONE = 4, VALUES_MAX = 2 };
enum { FOR_EVER_ONE_IN = 10, VANISH_ONE_IN = 20, VANISH_US = 30 * 1000 };

static bool is_mirrored(const struct sim_world *world)
{
    return moot_hash_mix(world->options->seed, 0x90e0) % 2 == 1;
}

/* ---- asking ---- */

static size_t call(struct sim_world *world, struct sim_client *client,
                   enum moot_operation_kind kind, uint32_t key, struct moot_history_value argument)
{
    size_t operation =
        moot_history_call(&world->history, client->process, kind, sim__key_name(world, key),
                          argument, (struct moot_instant){world->now});
    sim__note_call(world, client, operation);
    world->result->counts.operations++;
    return operation;
}

static uint32_t any_key(struct sim_world *world)
{
    return (uint32_t)sim__below(world, world->swarm.keys);
}

static void ask_push(struct sim_world *world, struct sim_client *client)
{
    char texts[VALUES_MAX][SIM_VALUE_MAX];
    struct moot_slice args[2 + VALUES_MAX] = {is_mirrored(world) ? MOOT_SLICE_LITERAL("LPUSH")
                                                                 : MOOT_SLICE_LITERAL("RPUSH")};
    uint32_t key = any_key(world), count = sim__one_in(world, 4) ? 2 : 1;
    args[1] = sim__key_name(world, key);
    for (uint32_t i = 0; i < count; i++) {
        args[2 + i] = sim__unique(world, texts[i]);
    }
    struct moot_history_value argument =
        count == 1 ? moot_history_bytes(args[2]) : moot_history_list(args + 2, count);
    size_t operation = call(world, client, MOOT_OPERATION_PUSH, key, argument);
    sim__trace(world, "c%u asks m%u: push %s %.*s", client->number, client->machine,
               world->keys[key].name, (int)args[2].size, (const char *)args[2].data);
    sim__command(client, args, 2 + count, (struct sim_expected){SIM_STEP_OPERATION, operation, 0});
}

static void ask_read(struct sim_world *world, struct sim_client *client)
{
    uint32_t key = any_key(world);
    struct moot_slice args[] = {MOOT_SLICE_LITERAL("LRANGE"), sim__key_name(world, key),
                                MOOT_SLICE_LITERAL("0"), MOOT_SLICE_LITERAL("-1")};
    size_t operation = call(world, client, MOOT_OPERATION_READ, key, moot_history_none());
    sim__trace(world, "c%u asks m%u: read %s", client->number, client->machine,
               world->keys[key].name);
    sim__command(client, args, 4, (struct sim_expected){SIM_STEP_OPERATION, operation, 0});
}

/* What nobody judges but by its place: a length, all keys, a word. */
static void ask_something(struct sim_world *world, struct sim_client *client)
{
    struct moot_slice length[] = {MOOT_SLICE_LITERAL("LLEN"), sim__key_name(world, any_key(world))};
    struct moot_slice keys[] = {MOOT_SLICE_LITERAL("KEYS"), MOOT_SLICE_LITERAL("*")};
    struct moot_slice echo[] = {MOOT_SLICE_LITERAL("ECHO"), {NULL, 0}};
    char digits[24];
    uint64_t which = sim__below(world, 8);
    if (which < 4) {
        sim__command(client, length, 2, (struct sim_expected){SIM_STEP_LENGTH, SIZE_MAX, 0});
    } else if (which < 7) {
        uint32_t word = (uint32_t)++world->values;
        echo[1] = moot_slice_make(digits, moot_text_u64(digits, word));
        sim__command(client, echo, 2, (struct sim_expected){SIM_STEP_ECHO, SIZE_MAX, word});
    } else {
        sim__command(client, keys, 2, (struct sim_expected){SIM_STEP_SKIM, SIZE_MAX, 0});
    }
}

/* A pop that takes what is there, or nothing. */
static void ask_take(struct sim_world *world, struct sim_client *client)
{
    uint32_t key = any_key(world);
    struct moot_slice args[] = {is_mirrored(world) ? MOOT_SLICE_LITERAL("RPOP")
                                                   : MOOT_SLICE_LITERAL("LPOP"),
                                sim__key_name(world, key)};
    size_t operation = call(world, client, MOOT_OPERATION_POP, key, moot_history_none());
    sim__command(client, args, 2, (struct sim_expected){SIM_STEP_OPERATION, operation, 0});
}

/* Where faults are, a client may wait as long as it has patience, and may go at any time. */
static const char *how_long(struct sim_world *world, struct sim_client *client)
{
    static const char *const waits[] = {"0.001", "0.05", "0.05", "0.05", "0.3", "1.5"};
    bool has_faults = world->phase == SIM_PHASE_FAULTS;
    bool for_ever = has_faults && sim__one_in(world, FOR_EVER_ONE_IN);
    if (has_faults && sim__one_in(world, for_ever ? 2 : VANISH_ONE_IN)) {
        sim__at(world, world->now + sim__around(world, VANISH_US),
                (struct sim_event){.kind = SIM_CLIENT_GIVEUP,
                                   .machine = client->number,
                                   .epoch = client->epoch + 1});
    }
    return for_ever ? "0" : waits[sim__below(world, MOOT_ARRAY_LEN(waits))];
}

/* `step` is that of the answer. */
static void ask_pop(struct sim_world *world, struct sim_client *client, const char *wait,
                    enum sim_step step)
{
    struct moot_slice args[2 + LISTS_OF_POP_MAX] = {
        is_mirrored(world) ? MOOT_SLICE_LITERAL("BRPOP") : MOOT_SLICE_LITERAL("BLPOP")};
    uint32_t key = any_key(world), keys = world->swarm.keys, count = 1;
    if (keys > 1 && sim__one_in(world, 3)) {
        count = 2 + (uint32_t)sim__below(world, moot_min_u64(keys, LISTS_OF_POP_MAX) - 1);
    }
    size_t first = world->history.count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t one = (key + i) % keys;
        args[1 + i] = sim__key_name(world, one);
        (void)call(world, client, MOOT_OPERATION_POP, one, moot_history_none());
    }
    MOOT_ASSERT(world->history.count == first + count);
    args[1 + count] = moot_slice_text(wait);
    sim__trace(world, "c%u asks m%u: pop %s and %u more, for %s s", client->number, client->machine,
               world->keys[key].name, count - 1, wait);
    struct sim_expected expected = {step, first, count};
    if (step == SIM_STEP_EXEC_POP) { /* What waits elsewhere does not within MULTI. */
        struct moot_slice multi = MOOT_SLICE_LITERAL("MULTI"), exec = MOOT_SLICE_LITERAL("EXEC");
        struct moot_slice length[] = {MOOT_SLICE_LITERAL("LLEN"), args[1]};
        struct sim_expected ready = {SIM_STEP_READY, SIZE_MAX, 0};
        sim__command(client, &multi, 1, ready);
        sim__command(client, length, 2, ready);
        sim__command(client, args, 2 + count, ready);
        sim__command(client, &exec, 1, expected);
    } else {
        sim__command(client, args, 2 + count, expected);
    }
}

static void ask_one(struct sim_world *world, struct sim_client *client)
{
    uint64_t which = sim__below(world, 24);
    if (which < 11) {
        ask_push(world, client);
    } else if (which < 19) {
        ask_pop(world, client, how_long(world, client), SIM_STEP_POP);
    } else if (which < 20) {
        ask_pop(world, client, "0", SIM_STEP_EXEC_POP);
    } else if (which < 21) {
        ask_take(world, client);
    } else if (which < 23) {
        ask_read(world, client);
    } else {
        ask_something(world, client);
    }
}

/* What stands around a pop in its pipeline. */
static void ask_beside(struct sim_world *world, struct sim_client *client)
{
    uint64_t count = sim__below(world, AROUND_MAX);
    while (count-- > 0) {
        uint64_t which = sim__below(world, 8);
        if (which < 3) {
            ask_push(world, client);
        } else if (which < 5) {
            ask_read(world, client);
        } else {
            ask_something(world, client);
        }
    }
}

void sim__ask_queue(struct sim_world *world, struct sim_client *client)
{
    if (sim__one_in(world, 3)) {
        ask_beside(world, client);
        ask_pop(world, client, how_long(world, client), SIM_STEP_POP);
        ask_beside(world, client);
        return;
    }
    uint64_t count = 1 + sim__below(world, world->swarm.pipeline);
    while (count-- > 0 && client->expected_count + COMMANDS_OF_ONE <= SIM_EXPECTED_MAX) {
        ask_one(world, client);
    }
}

/* ---- answers ---- */

/* Which of the lists that were waited at gave something: below `count`; or `count`, none did; or
 * more, the answer is something else. */
static uint32_t read_pop(const struct sim_world *world, const struct sim_expected *expected,
                         struct moot_slice reply, size_t at, struct moot_slice *element)
{
    const struct moot_operation *operations = &world->history.operations[expected->operation];
    struct moot_resp_value head, key, value;
    at = sim__read_head(reply, at, &head);
    if (head.type == MOOT_RESP_NULL) {
        return expected->number;
    }
    if (head.type != MOOT_RESP_ARRAY || head.integer != 2) {
        return UINT32_MAX;
    }
    at = sim__read_head(reply, at, &key);
    (void)sim__read_head(reply, at, &value);
    for (uint32_t i = 0; i < expected->number; i++) {
        if (value.type == MOOT_RESP_BULK && moot_slice_equal(operations[i].key, key.text)) {
            *element = value.text;
            return i;
        }
    }
    return UINT32_MAX;
}

void sim__on_pop(struct sim_world *world, struct sim_client *client,
                 const struct sim_expected *expected, struct moot_slice reply)
{
    struct moot_slice element = {NULL, 0};
    struct moot_resp_value head;
    uint32_t taken = UINT32_MAX;
    if (expected->step == SIM_STEP_POP) {
        taken = read_pop(world, expected, reply, 0, &element);
    } else { /* EXEC's: a length, and the pop's. */
        size_t at = sim__read_head(reply, 0, &head);
        bool good = head.type == MOOT_RESP_ARRAY && head.integer == 2;
        at = good ? sim__read_head(reply, at, &head) : 0;
        good = good && head.type == MOOT_RESP_INTEGER;
        taken = good ? read_pop(world, expected, reply, at, &element) : UINT32_MAX;
    }
    if (taken > expected->number) {
        sim__violation(world, "m%u answered client %u, which pops, with something else",
                       client->machine, client->number);
    }
    MOOT_SOMETIMES(taken > 0 && taken < expected->number, "a pop took from a list behind others");
    for (uint32_t i = 0; i < expected->number; i++) {
        size_t operation = expected->operation + i;
        struct moot_history_value value =
            i == taken ? moot_history_bytes(element) : moot_history_nil();
        if (i == taken) {
            sim__probe_order(world, client, &world->history.operations[operation], &value);
        }
        enum moot_outcome outcome = taken > expected->number                  ? MOOT_OUTCOME_INDOUBT
                                    : taken == i || taken == expected->number ? MOOT_OUTCOME_OK
                                                                              : MOOT_OUTCOME_FAIL;
        sim__settle(world, client, operation, outcome, value);
    }
    client->fails = 0;
}

void sim__on_word(struct sim_world *world, const struct sim_client *client,
                  const struct sim_expected *expected, const struct moot_resp_value *head)
{
    char digits[24];
    struct moot_slice word = moot_slice_make(digits, moot_text_u64(digits, expected->number));
    bool good = expected->step == SIM_STEP_LENGTH
                    ? head->type == MOOT_RESP_INTEGER
                    : head->type == MOOT_RESP_BULK && moot_slice_equal(head->text, word);
    if (!good) {
        sim__violation(world, "m%u answered client %u, which asked for %s, with something else",
                       client->machine, client->number,
                       expected->step == SIM_STEP_LENGTH ? "a length" : "its own word");
    }
}

/* An answer of another kind belongs to another command. */
void sim__check_kind(struct sim_world *world, const struct sim_client *client,
                     const struct moot_operation *operation, const struct moot_resp_value *head)
{
    bool good = operation->kind == MOOT_OPERATION_PUSH ? head->type == MOOT_RESP_INTEGER
                : operation->kind == MOOT_OPERATION_READ
                    ? head->type == MOOT_RESP_ARRAY
                    : head->type == MOOT_RESP_NULL || head->type == MOOT_RESP_BULK;
    if (!good) {
        sim__violation(world, "m%u answered client %u, which asked for a %s, with something else",
                       client->machine, client->number, moot_operation_kind_text(operation->kind));
    }
}

/* ---- reads behind pushes of their own connection ---- */

struct unseen { /* The read did not show all that was pushed. */
    size_t read, push;
};

static bool is_in(const struct moot_history_value *list, struct moot_slice element)
{
    bool found = false;
    for (size_t i = 0; i < list->count && !found; i++) {
        found = moot_slice_equal(list->items[i], element);
    }
    return found;
}

/* Its elements, one or several. */
static const struct moot_slice *elements_of(const struct moot_operation *push, size_t *count)
{
    bool many = push->argument.kind == MOOT_HISTORY_LIST;
    *count = many ? push->argument.count : 1;
    return many ? push->argument.items : &push->argument.bytes;
}

static bool shows(const struct moot_history_value *list, const struct moot_operation *push)
{
    size_t count;
    const struct moot_slice *elements = elements_of(push, &count);
    bool all = true;
    for (size_t i = 0; i < count; i++) {
        all = all && is_in(list, elements[i]);
    }
    return all;
}

void sim__note_unseen(struct sim_world *world, const struct sim_client *client, size_t read,
                      const struct moot_history_value *list)
{
    const struct moot_operation *operations = world->history.operations;
    MOOT_ASSERT(client->asked_first <= read);
    for (size_t i = client->asked_first; i < read; i++) { /* All of this client's pipeline. */
        if (operations[i].kind == MOOT_OPERATION_PUSH && operations[i].outcome == MOOT_OUTCOME_OK &&
            moot_slice_equal(operations[i].key, operations[read].key) &&
            !shows(list, &operations[i])) {
            struct unseen unseen = {read, i};
            moot_buffer_append(&world->unseen, &unseen, sizeof(unseen));
        }
    }
}

/* May somebody have popped it before the read was answered? */
static bool may_be_popped(const struct moot_history *history, const struct moot_operation *read,
                          struct moot_slice element)
{
    for (size_t i = 0; i < history->count; i++) {
        const struct moot_operation *pop = &history->operations[i];
        if (pop->kind != MOOT_OPERATION_POP || pop->called.ns > read->returned.ns ||
            !moot_slice_equal(pop->key, read->key)) {
            continue;
        }
        bool took = pop->outcome == MOOT_OUTCOME_OK && pop->result.kind == MOOT_HISTORY_BYTES &&
                    moot_slice_equal(pop->result.bytes, element);
        if (took || pop->outcome == MOOT_OUTCOME_INDOUBT) {
            return true;
        }
    }
    return false;
}

void sim__check_unseen(struct sim_world *world)
{
    const struct moot_history *history = &world->history;
    size_t all = world->unseen.size / sizeof(struct unseen);
    for (size_t i = 0; i < all; i++) {
        struct unseen unseen;
        memcpy(&unseen, world->unseen.data + i * sizeof(unseen), sizeof(unseen));
        const struct moot_operation *read = &history->operations[unseen.read];
        size_t count;
        const struct moot_slice *elements = elements_of(&history->operations[unseen.push], &count);
        for (size_t j = 0; j < count; j++) {
            if (!is_in(&read->result, elements[j]) && !may_be_popped(history, read, elements[j])) {
                const uint32_t shown[2] = {(uint32_t)unseen.push, (uint32_t)unseen.read};
                struct moot_buffer words;
                moot_buffer_init(&words);
                sim__record_wrong(world, unseen.read);
                sim__show_evidence(world, shown, 2, &words);
                sim__violation(world,
                               "a read does not show %.*s, pushed before it on the same"
                               " connection, and nobody had popped that\n%.*s",
                               (int)elements[j].size, (const char *)elements[j].data,
                               (int)words.size, (const char *)words.data);
                moot_buffer_deinit(&words);
                return;
            }
        }
    }
}
