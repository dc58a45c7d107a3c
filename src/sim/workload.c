#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/rule.h"
#include "base/status.h"
#include "check/large.h"
#include "sim/world.h"
#include "storage/journal_format.h"
#include "wire/resp.h"

static const char *const NAMES[SIM_WORKLOADS] = {
    "register", "counter", "list",  "set", "queue",        "bank", "ids",
    "once",     "expiry",  "large", "txn", "register-txn", "any"};
enum { FAILS_MAX = 2, HEALED_S = 10, ASK_WORDS = 6 };
enum { OPEN_MAX = 4, DOUBTS_MAX = 6 };

const char *sim__workload_name(uint32_t workload) { return NAMES[workload]; }

/* ---- asking ---- */

static void name_key(char name[16], uint32_t key, uint32_t generation)
{
    snprintf(name, 16, generation == 0 ? "k%u" : "k%u.%u", key, generation);
}

struct moot_slice sim__key_name(struct sim_world *world, uint32_t key)
{
    struct sim_key *used = &world->keys[key];
    if (used->name[0] == 0) {
        name_key(used->name, key, used->generation);
    }
    return moot_slice_text(used->name);
}

/* Operations that overlap can have been done in any order, and those in doubt overlap with all that
 * come later. What a register holds tells who was last; of lists and sums many orders look alike,
 * and judging takes exponential time in how many overlap. */
static bool is_hard_to_judge(const struct sim_world *world)
{
    return world->swarm.workload == SIM_WORKLOAD_LIST ||
           world->swarm.workload == SIM_WORKLOAD_COUNTER;
}

/* The key that the operation is about; NULL: clients no longer use it, or it is a read. */
static struct sim_key *key_of(struct sim_world *world, const struct moot_operation *operation)
{
    bool changes =
        operation->kind != MOOT_OPERATION_READ && operation->kind != MOOT_OPERATION_LENGTH;
    for (uint32_t i = 0; i < world->swarm.keys && changes && is_hard_to_judge(world); i++) {
        if (moot_slice_equal(operation->key, sim__key_name(world, i))) {
            return &world->keys[i];
        }
    }
    return NULL;
}

static void key_is_open(struct sim_world *world, size_t operation)
{
    struct sim_key *key = key_of(world, &world->history.operations[operation]);
    if (key != NULL) {
        key->open++;
    }
}

static void key_is_settled(struct sim_world *world, size_t operation, bool in_doubt)
{
    struct sim_key *key = key_of(world, &world->history.operations[operation]);
    if (key == NULL) {
        return;
    }
    MOOT_ASSERT(key->open > 0);
    key->open--;
    key->doubts += in_doubt;
    if (key->doubts >= DOUBTS_MAX) {
        *key = (struct sim_key){.generation = key->generation + 1};
        MOOT_SOMETIMES(true, "the simulator's clients left a key that was too much in doubt");
    }
}

/* Of all keys that were ever used, one after the other; false when there is no `number`-th. */
static bool key_ever_used(const struct sim_world *world, uint32_t number, uint32_t *key,
                          uint32_t *generation)
{
    for (*key = 0; *key < world->swarm.keys; ++*key) {
        if (number <= world->keys[*key].generation) {
            *generation = number;
            return true;
        }
        number -= world->keys[*key].generation + 1;
    }
    return false;
}

/* Every value is written once in a run. */
struct moot_slice sim__unique(struct sim_world *world, char text[SIM_VALUE_MAX])
{
    int size = snprintf(text, SIM_VALUE_MAX, "v%llu", (unsigned long long)++world->values);
    uint64_t padding = sim__one_in(world, 4) ? sim__below(world, 32) : 0;
    while (padding-- > 0) {
        text[size++] = '.';
    }
    return moot_slice_make(text, (size_t)size);
}

static struct moot_instant now_of(const struct sim_world *world)
{
    return (struct moot_instant){world->now};
}

/* How long a value lives, in the workload where they do not for ever. */
static uint64_t lifetime_ms(struct moot_slice value) { return 20 + moot_hash64(value, 7) % 600; }

/* Large values differ from small ones only between client and node. Some look like the journal's
 * own headers, as a client can make them. */
static struct moot_slice on_the_wire(struct sim_world *world, struct moot_slice value)
{
    if (world->swarm.workload != SIM_WORKLOAD_LARGE) {
        return value;
    }
    moot_buffer_reset(&world->large, 2 * MOOT_LARGE_MAX);
    moot_large_put(value, JOURNAL_MAGIC, &world->large);
    return moot_buffer_slice(&world->large);
}

static struct moot_slice off_the_wire(struct sim_world *world, struct moot_slice bytes)
{
    struct moot_slice value = bytes;
    if (world->swarm.workload == SIM_WORKLOAD_LARGE &&
        !moot_large_take(bytes, JOURNAL_MAGIC, &value)) {
        sim__violation(world, "a large value came back with %zu bytes", bytes.size);
    }
    return value;
}

/* One command that is one operation. */
struct ask {
    enum moot_operation_kind kind;
    const char *words[ASK_WORDS]; /* NULL: ends. "$key", "$value" and others stand for something. */
    bool has_integer;
    int64_t integer;
};

static void ask_named(struct sim_world *world, struct sim_client *client, const struct ask *ask,
                      uint32_t key, struct moot_slice name)
{
    char text[SIM_VALUE_MAX], digits[24];
    struct moot_slice args[ASK_WORDS + SIM_KEYS_MAX], value = {NULL, 0};
    struct moot_history_value argument = moot_history_none();
    uint32_t argc = 0;
    uint64_t lives_ms = 0;
    for (uint32_t i = 0; i < ASK_WORDS && ask->words[i] != NULL; i++) {
        args[argc] = moot_slice_text(ask->words[i]);
        if (strcmp(ask->words[i], "$key") == 0) {
            args[argc] = name;
        } else if (strcmp(ask->words[i], "$value") == 0) {
            value = sim__unique(world, text);
            args[argc] = on_the_wire(world, value);
            argument = moot_history_bytes(value);
        } else if (strcmp(ask->words[i], "$integer") == 0) {
            args[argc] = moot_slice_make(digits, moot_text_i64(digits, ask->integer));
        } else if (strcmp(ask->words[i], "$ms") == 0) {
            args[argc] = moot_slice_make(digits, moot_text_u64(digits, lifetime_ms(value)));
            lives_ms = lifetime_ms(value);
        } else if (strcmp(ask->words[i], "$all") == 0) {
            for (uint32_t k = 0; k < world->swarm.keys; k++) {
                args[argc++] = sim__key_name(world, k);
            }
            continue;
        }
        argc++;
    }
    if (ask->has_integer) {
        argument = moot_history_integer(ask->integer);
    }
    size_t operation = moot_history_call(&world->history, client->process, ask->kind, name,
                                         argument, now_of(world));
    if (lives_ms != 0) {
        moot_history_lives(&world->history, operation, lives_ms);
    }
    sim__note_call(world, client, operation);
    key_is_open(world, operation);
    world->result->counts.operations++;
    sim__trace(world, "c%u asks m%u: %s %s %.*s", client->number, client->machine, ask->words[0],
               (const char *)name.data, (int)value.size, (const char *)value.data);
    sim__command(client, args, argc, (struct sim_expected){SIM_STEP_OPERATION, operation, key});
}

static void ask_one(struct sim_world *world, struct sim_client *client, const struct ask *ask,
                    uint32_t key)
{
    ask_named(world, client, ask, key, sim__key_name(world, key));
}

struct choice {
    uint32_t weight;
    struct ask ask;
};
static const struct choice REGISTER_CHOICES[] = {
    {8, {MOOT_OPERATION_READ, {"GET", "$key"}, false, 0}},
    {7, {MOOT_OPERATION_WRITE, {"SET", "$key", "$value"}, false, 0}},
    {1, {MOOT_OPERATION_DELETE, {"DEL", "$key"}, false, 0}},
    {2, {MOOT_OPERATION_SWAP, {"GETSET", "$key", "$value"}, false, 0}},
};
static const struct choice COUNTER_CHOICES[] = {
    {2, {MOOT_OPERATION_INCREMENT, {"INCRBY", "$key", "$integer"}, true, 1}},
    {2, {MOOT_OPERATION_INCREMENT, {"INCRBY", "$key", "$integer"}, true, 7}},
    {1, {MOOT_OPERATION_INCREMENT, {"DECRBY", "$key", "3"}, true, -3}},
    {3, {MOOT_OPERATION_READ, {"GET", "$key"}, false, 0}},
};
static const struct choice LIST_CHOICES[] = {
    {5, {MOOT_OPERATION_PUSH, {"RPUSH", "$key", "$value"}, false, 0}},
    {3, {MOOT_OPERATION_PUSH_FRONT, {"LPUSH", "$key", "$value"}, false, 0}},
    {3, {MOOT_OPERATION_POP, {"LPOP", "$key"}, false, 0}},
    {3, {MOOT_OPERATION_POP_BACK, {"RPOP", "$key"}, false, 0}},
    {2, {MOOT_OPERATION_LENGTH, {"LLEN", "$key"}, false, 0}},
    {4, {MOOT_OPERATION_READ, {"LRANGE", "$key", "0", "-1"}, false, 0}},
};
static const struct choice SET_CHOICES[] = {
    {4, {MOOT_OPERATION_ADD, {"HSET", "$key", "$value", "1"}, false, 0}},
    {1, {MOOT_OPERATION_READ, {"HGETALL", "$key"}, false, 0}},
};
static const struct choice BANK_CHOICES[] = {
    {1, {MOOT_OPERATION_READ, {"MGET", "$all"}, false, 0}},
};
static const struct choice IDS_CHOICES[] = {
    {1, {MOOT_OPERATION_GENERATE, {"INCR", "id"}, false, 0}},
};
static const struct choice ONCE_CHOICES[] = {
    {1, {MOOT_OPERATION_READ, {"GET", "$key"}, false, 0}},
};
static const struct choice EXPIRY_CHOICES[] = {
    {4, {MOOT_OPERATION_WRITE, {"SET", "$key", "$value", "PX", "$ms"}, false, 0}},
    {5, {MOOT_OPERATION_READ, {"GET", "$key"}, false, 0}},
    {1, {MOOT_OPERATION_LENGTH, {"STRLEN", "$key"}, false, 0}},
};
static const struct choice TXN_CHOICES[] = {
    /* One step each, outside of any MULTI. */
    {1, {MOOT_OPERATION_PUSH, {"RPUSH", "$key", "$value"}, false, 0}},
    {2, {MOOT_OPERATION_READ, {"LRANGE", "$key", "0", "-1"}, false, 0}},
};
static const struct choice REGISTER_TXN_CHOICES[] = {
    {5, {MOOT_OPERATION_READ, {"GET", "$key"}, false, 0}},
};
static const struct {
    const struct choice *choices;
    size_t count;
    struct ask last; /* The last read of a key. */
} ASKED[SIM_WORKLOADS] = {
    {REGISTER_CHOICES,
     MOOT_ARRAY_LEN(REGISTER_CHOICES),
     {MOOT_OPERATION_READ, {"GET", "$key"}, false, 0}},
    {COUNTER_CHOICES,
     MOOT_ARRAY_LEN(COUNTER_CHOICES),
     {MOOT_OPERATION_READ, {"GET", "$key"}, false, 0}},
    {LIST_CHOICES,
     MOOT_ARRAY_LEN(LIST_CHOICES),
     {MOOT_OPERATION_READ, {"LRANGE", "$key", "0", "-1"}, false, 0}},
    {SET_CHOICES,
     MOOT_ARRAY_LEN(SET_CHOICES),
     {MOOT_OPERATION_READ, {"HGETALL", "$key"}, false, 0}},
    {NULL, 0, {MOOT_OPERATION_READ, {"LRANGE", "$key", "0", "-1"}, false, 0}}, /* queue.c */
    {BANK_CHOICES, MOOT_ARRAY_LEN(BANK_CHOICES), {MOOT_OPERATION_READ, {"MGET", "$all"}, false, 0}},
    {IDS_CHOICES, MOOT_ARRAY_LEN(IDS_CHOICES), {MOOT_OPERATION_GENERATE, {"INCR", "id"}, false, 0}},
    {ONCE_CHOICES, MOOT_ARRAY_LEN(ONCE_CHOICES), {MOOT_OPERATION_READ, {"GET", "$key"}, false, 0}},
    {EXPIRY_CHOICES,
     MOOT_ARRAY_LEN(EXPIRY_CHOICES),
     {MOOT_OPERATION_READ, {"GET", "$key"}, false, 0}},
    {REGISTER_CHOICES,
     MOOT_ARRAY_LEN(REGISTER_CHOICES),
     {MOOT_OPERATION_READ, {"GET", "$key"}, false, 0}},
    {TXN_CHOICES,
     MOOT_ARRAY_LEN(TXN_CHOICES),
     {MOOT_OPERATION_READ, {"LRANGE", "$key", "0", "-1"}, false, 0}},
    {REGISTER_TXN_CHOICES,
     MOOT_ARRAY_LEN(REGISTER_TXN_CHOICES),
     {MOOT_OPERATION_READ, {"GET", "$key"}, false, 0}},
    {NULL, 0, {MOOT_OPERATION_READ, {NULL}, false, 0}}, /* any.c */
};

static void ask_some(struct sim_world *world, struct sim_client *client)
{
    const struct choice *choices = ASKED[world->swarm.workload].choices;
    uint64_t sum = 0, at;
    for (size_t i = 0; i < ASKED[world->swarm.workload].count; i++) {
        sum += choices[i].weight;
    }
    for (at = sim__below(world, sum); at >= choices->weight; choices++) {
        at -= choices->weight;
    }
    uint32_t key = (uint32_t)sim__below(world, world->swarm.keys);
    bool is_busy = world->keys[key].open >= OPEN_MAX;
    ask_one(world, client, is_busy ? &ASKED[world->swarm.workload].last : &choices->ask, key);
}

/* One transaction or some, as many as a client may have unanswered. Who watches either waits for
 * what it reads, or has said already what it will do. */
static void ask_txns(struct sim_world *world, struct sim_client *client)
{
    uint64_t count = 1 + sim__below(world, world->swarm.pipeline);
    if (sim__one_in(world, 3)) {
        bool at_once = sim__one_in(world, 3);
        client->watch_failed = false;
        sim__ask_watching(world, client, at_once);
        if (!at_once) {
            return;
        }
        count--;
    }
    while (count-- > 0 && client->expected_count + 2 + SIM_TXN_STEPS_MAX <= SIM_EXPECTED_MAX) {
        sim__ask_txn(world, client);
    }
}

static bool is_of_txns(const struct sim_world *world)
{
    return world->swarm.workload == SIM_WORKLOAD_TXN ||
           world->swarm.workload == SIM_WORKLOAD_REGISTER_TXN;
}

/* Compare-and-set: WATCH and GET; then, when both are answered, MULTI SET EXEC. */
static void ask_watch(struct sim_world *world, struct sim_client *client)
{
    uint32_t key = (uint32_t)sim__below(world, world->swarm.keys);
    struct moot_slice watch[] = {MOOT_SLICE_LITERAL("WATCH"), sim__key_name(world, key)};
    static const struct ask read = {MOOT_OPERATION_READ, {"GET", "$key"}, false, 0};
    client->watch_failed = false;
    client->watched_known = false;
    sim__command(client, watch, 2, (struct sim_expected){SIM_STEP_WATCH, SIZE_MAX, key});
    ask_one(world, client, &read, key);
    client->expected[client->expected_count - 1].step = SIM_STEP_WATCHED_READ;
}

/* From one account to another, both or neither; where nothing was is nothing, so the sum is 0. */
static void ask_transfer(struct sim_world *world, struct sim_client *client)
{
    char less[24], more[24];
    uint32_t from = (uint32_t)sim__below(world, world->swarm.keys);
    uint32_t to = (uint32_t)sim__below(world, world->swarm.keys);
    int64_t amount = 1 + (int64_t)sim__below(world, 100);
    struct moot_slice multi = MOOT_SLICE_LITERAL("MULTI"), exec = MOOT_SLICE_LITERAL("EXEC");
    struct moot_slice take[] = {
        MOOT_SLICE_LITERAL("INCRBY"), sim__key_name(world, from), {NULL, 0}};
    struct moot_slice give[] = {MOOT_SLICE_LITERAL("INCRBY"), sim__key_name(world, to), {NULL, 0}};
    take[2] = moot_slice_make(less, moot_text_i64(less, -amount));
    give[2] = moot_slice_make(more, moot_text_i64(more, amount));
    size_t operation =
        moot_history_call(&world->history, client->process, MOOT_OPERATION_WRITE,
                          sim__key_name(world, from), moot_history_none(), now_of(world));
    sim__note_call(world, client, operation);
    world->result->counts.operations++;
    struct sim_expected ready = {SIM_STEP_READY, SIZE_MAX, from};
    sim__command(client, &multi, 1, ready);
    sim__command(client, take, 3, ready);
    sim__command(client, give, 3, ready);
    sim__command(client, &exec, 1, (struct sim_expected){SIM_STEP_EXEC, operation, from});
}

/* The same command under the same id, until somebody says that it is done. */
static void ask_once(struct sim_world *world, struct sim_client *client)
{
    struct sim_once *once = &client->once;
    char digits[24];
    if (!once->active) {
        uint64_t wall_ms = UINT64_C(1700000000000) + world->now / MOOT_MSEC_NS;
        *once = (struct sim_once){.active = true,
                                  .key = (uint32_t)sim__below(world, world->swarm.keys),
                                  .by = 1 + (int64_t)sim__below(world, 9)};
        snprintf(once->id, sizeof(once->id), "%llu:%llu", (unsigned long long)wall_ms,
                 (unsigned long long)++world->values);
        once->operation = moot_history_call(
            &world->history, client->process, MOOT_OPERATION_INCREMENT,
            sim__key_name(world, once->key), moot_history_integer(once->by), now_of(world));
        sim__note_call(world, client, once->operation);
        world->result->counts.operations++;
    }
    once->tries++;
    struct moot_slice args[] = {MOOT_SLICE_LITERAL("WITH"),      MOOT_SLICE_LITERAL("ID"),
                                moot_slice_text(once->id),       MOOT_SLICE_LITERAL("INCRBY"),
                                sim__key_name(world, once->key), {NULL, 0}};
    args[5] = moot_slice_make(digits, moot_text_i64(digits, once->by));
    sim__command(client, args, 6, (struct sim_expected){SIM_STEP_ONCE, once->operation, once->key});
}

static void ask_exec(struct sim_world *world, struct sim_client *client)
{
    char text[SIM_VALUE_MAX];
    uint32_t key = client->watched_key;
    struct moot_slice value = sim__unique(world, text);
    struct moot_slice multi = MOOT_SLICE_LITERAL("MULTI"), exec = MOOT_SLICE_LITERAL("EXEC");
    struct moot_slice set[] = {MOOT_SLICE_LITERAL("SET"), sim__key_name(world, key),
                               on_the_wire(world, value)};
    struct moot_slice was = {client->watched, client->watched_size};
    client->watched_known = false;
    size_t operation =
        moot_history_call_cas(&world->history, client->process, sim__key_name(world, key),
                              was.size == 0 ? moot_history_nil() : moot_history_bytes(was),
                              moot_history_bytes(value), now_of(world));
    sim__note_call(world, client, operation);
    world->result->counts.operations++;
    sim__command(client, &multi, 1, (struct sim_expected){SIM_STEP_READY, SIZE_MAX, key});
    sim__command(client, set, 3, (struct sim_expected){SIM_STEP_READY, SIZE_MAX, key});
    sim__command(client, &exec, 1, (struct sim_expected){SIM_STEP_EXEC, operation, key});
}

static void ask_remove(struct sim_world *world, struct sim_client *client, uint32_t slot)
{
    char digits[24];
    struct moot_slice args[] = {MOOT_SLICE_LITERAL("MOOT"),
                                MOOT_SLICE_LITERAL("CLUSTER"),
                                MOOT_SLICE_LITERAL("REMOVE"),
                                {NULL, 0}};
    args[3] = moot_slice_make(digits, moot_text_u64(digits, world->machines[slot]->id));
    client->ordered_at = world->now;
    sim__command(client, args, 4, (struct sim_expected){SIM_STEP_REMOVE, SIZE_MAX, slot});
}

/* Each is judged where it is asked for; what is left of both must still be a cluster. */
static void ask_remove_two(struct sim_world *world, struct sim_client *client)
{
    uint32_t first = (uint32_t)sim__below(world, world->machine_count), asked = 0;
    for (uint32_t i = 0; i < world->machine_count && asked < 2; i++) {
        uint32_t slot = (first + i) % world->machine_count;
        const struct sim_machine *machine = world->machines[slot];
        if (machine != NULL && machine->id != 0 && !machine->removed) {
            ask_remove(world, client, slot);
            asked++;
        }
    }
    sim__count(world, SIM_FAULT_REMOVE_TWO);
}

static void ask_remove_some(struct sim_world *world, struct sim_client *client)
{
    uint32_t members = 0, chosen = UINT32_MAX;
    for (uint32_t i = 0; i < world->machine_count; i++) {
        const struct sim_machine *machine = world->machines[i];
        if (machine != NULL && machine->id != 0 && !machine->removed) {
            members++;
            chosen = sim__one_in(world, members) ? i : chosen;
        }
    }
    if (members > 2) {
        ask_remove(world, client, chosen);
    }
}

/* As an operator does: who is gone for good is removed, and another machine comes. */
static bool ask_replace(struct sim_world *world, struct sim_client *client)
{
    for (uint32_t i = 0; i < world->machine_count; i++) {
        const struct sim_machine *machine = world->machines[i];
        if (machine != NULL && machine->lost && !machine->removed) {
            ask_remove(world, client, i);
            return true;
        }
    }
    return false;
}

static bool ask_admin(struct sim_world *world, struct sim_client *client)
{
    enum sim_fault wish = world->admin_wish;
    if (ask_replace(world, client)) {
        return true;
    }
    world->admin_wish = SIM_FAULTS;
    if (wish == SIM_FAULT_JOIN) {
        sim__ask_join(world, client);
    } else if (wish == SIM_FAULT_REMOVE) {
        ask_remove_some(world, client);
    } else if (wish == SIM_FAULT_REMOVE_TWO) {
        ask_remove_two(world, client);
    } else if (wish == SIM_FAULT_TRANSFER) {
        struct moot_slice args[] = {MOOT_SLICE_LITERAL("MOOT"), MOOT_SLICE_LITERAL("CLUSTER"),
                                    MOOT_SLICE_LITERAL("TRANSFER")};
        sim__count(world, SIM_FAULT_TRANSFER);
        sim__command(client, args, 3, (struct sim_expected){SIM_STEP_SKIM, SIZE_MAX, 0});
    }
    return client->expected_count > 0;
}

static void ask_about(struct sim_world *world, struct sim_client *client)
{
    static const char *const words[][2] = {
        {"PING", NULL}, {"INFO", NULL}, {"MOOT", "STATUS"}, {"ROLE", NULL}, {"CLUSTER", "SLOTS"}};
    const char *const *chosen = words[sim__below(world, MOOT_ARRAY_LEN(words))];
    struct moot_slice args[2] = {moot_slice_text(chosen[0]), {NULL, 0}};
    if (chosen[1] != NULL) {
        args[1] = moot_slice_text(chosen[1]);
    }
    sim__command(client, args, chosen[1] != NULL ? 2 : 1,
                 (struct sim_expected){SIM_STEP_SKIM, SIZE_MAX, 0});
}

/* Reads of the whole database, also where no other command reads. */
static void ask_keys(struct sim_world *world, struct sim_client *client)
{
    static const char *const words[][4] = {{"KEYS", "*"}, {"SCAN", "0", "COUNT", "100"}};
    const char *const *chosen = words[sim__below(world, MOOT_ARRAY_LEN(words))];
    struct moot_slice args[4];
    uint32_t argc = 0;
    while (argc < MOOT_ARRAY_LEN(args) && chosen[argc] != NULL) {
        args[argc] = moot_slice_text(chosen[argc]);
        argc++;
    }
    sim__command(client, args, argc, (struct sim_expected){SIM_STEP_SKIM, SIZE_MAX, 0});
}

/* A slow workload is not waited for: what it asked for without faults is enough. */
static bool is_more_wanted(const struct sim_world *world)
{
    bool in_time = world->phase == SIM_PHASE_FAULTS ||
                   (world->phase == SIM_PHASE_HEALED &&
                    world->now - world->phase_since <= HEALED_S * MOOT_SEC_NS);
    return world->result->counts.operations < world->options->operations && in_time;
}

static void ask_last(struct sim_world *world, struct sim_client *client)
{
    uint32_t key, generation;
    char name[16];
    if (key_ever_used(world, client->last_reads, &key, &generation)) {
        name_key(name, key, generation);
        ask_named(world, client, &ASKED[world->swarm.workload].last, key, moot_slice_text(name));
    }
}

/* `steps` are those of a transaction that was done, else NULL. */
static void settle_steps(struct sim_world *world, struct sim_client *client, size_t operation,
                         enum moot_outcome outcome, struct moot_history_value result,
                         const struct moot_history_step *steps)
{
    struct moot_sim_counts *counts = &world->result->counts;
    if (steps != NULL) {
        moot_history_return_txn(&world->history, operation, outcome, steps, now_of(world));
    } else {
        moot_history_return(&world->history, operation, outcome, result, now_of(world));
    }
    key_is_settled(world, operation, outcome == MOOT_OUTCOME_INDOUBT);
    counts->ok += outcome == MOOT_OUTCOME_OK;
    counts->failed += outcome == MOOT_OUTCOME_FAIL;
    counts->in_doubt += outcome == MOOT_OUTCOME_INDOUBT;
    if (outcome == MOOT_OUTCOME_INDOUBT) { /* It may still be at it: another process goes on. */
        client->process += SIM_CLIENTS_MAX;
    }
}

void sim__settle(struct sim_world *world, struct sim_client *client, size_t operation,
                 enum moot_outcome outcome, struct moot_history_value result)
{
    settle_steps(world, client, operation, outcome, result, NULL);
}

/* Nothing is known but the outcome. */
static void settle_all(struct sim_world *world, struct sim_client *client,
                       const struct sim_expected *expected, enum moot_outcome outcome)
{
    bool pops = expected->step == SIM_STEP_POP || expected->step == SIM_STEP_EXEC_POP;
    size_t count = expected->operation == SIZE_MAX ? 0 : pops ? expected->number : 1;
    for (size_t i = 0; i < count; i++) {
        sim__settle(world, client, expected->operation + i, outcome, moot_history_none());
    }
}

bool sim__ask(struct sim_world *world, struct sim_client *client)
{
    MOOT_ASSERT(client->expected_count == 0);
    client->asked_first = world->history.count;
    if (client->is_admin && client->is_misplaced) { /* It connects to the leader. */
        client->is_misplaced = false;
        sim__client_break(world, client);
        return false;
    }
    if (client->is_admin) {
        return ask_admin(world, client);
    }
    if (client->fails >= FAILS_MAX) { /* Perhaps another node serves. */
        client->fails = 0;
        sim__client_break(world, client);
        return false;
    }
    if (world->swarm.workload == SIM_WORKLOAD_ANY) {
        return sim__ask_any(world, client, is_more_wanted(world));
    }
    if (world->phase == SIM_PHASE_LAST_READS) {
        ask_last(world, client);
        return client->expected_count > 0;
    }
    if (client->once.active) {
        ask_once(world, client);
        return true;
    }
    if (client->txn.is_watching) {
        client->txn.is_watching = false;
        if (!client->watch_failed) {
            sim__ask_watched(world, client);
            return true;
        }
        sim__settle(world, client, client->txn.operation, MOOT_OUTCOME_FAIL, moot_history_none());
    }
    if (!is_more_wanted(world)) {
        return false;
    }
    if (sim__probe(world, client)) {
        return true;
    }
    if (world->swarm.workload == SIM_WORKLOAD_ONCE && !sim__one_in(world, 3)) {
        ask_once(world, client);
    } else if (world->swarm.workload == SIM_WORKLOAD_BANK && !sim__one_in(world, 3)) {
        ask_transfer(world, client);
    } else if (is_of_txns(world) && !sim__one_in(world, 3)) {
        ask_txns(world, client);
    } else if (world->swarm.workload == SIM_WORKLOAD_QUEUE) {
        sim__ask_queue(world, client);
    } else if (client->watched_known) {
        ask_exec(world, client);
    } else if (world->swarm.workload == SIM_WORKLOAD_REGISTER && sim__one_in(world, 5)) {
        ask_watch(world, client);
    } else if (world->swarm.workload == SIM_WORKLOAD_REGISTER && world->swarm.keys == 1 &&
               sim__one_in(world, sim__level(world, SIM_FAULT_FLUSH_ALL))) {
        static const struct ask flush = {MOOT_OPERATION_DELETE, {"FLUSHDB"}, false, 0};
        sim__count(world, SIM_FAULT_FLUSH_ALL);
        ask_one(world, client, &flush, 0);
    } else {
        if (sim__one_in(world, 50)) {
            ask_about(world, client);
        }
        if (sim__one_in(world, 10)) {
            ask_keys(world, client);
        }
        uint64_t count = 1 + sim__below(world, world->swarm.pipeline);
        while (count-- > 0) {
            ask_some(world, client);
        }
    }
    return true;
}

/* ---- answers ---- */

/* An error says of itself what happened; anything else that a client is told here is wrong. */
static bool outcome_of_error(struct moot_slice text, enum moot_outcome *outcome)
{
    static const char *const not_done[] = {"CLUSTERDOWN ", "TRYAGAIN ", "OVERLOADED ",
                                           "LOADING ",     "OOM ",      "EXECABORT "};
    if (moot_slice_starts_with(text, MOOT_SLICE_LITERAL("INDOUBT "))) {
        *outcome = MOOT_OUTCOME_INDOUBT;
        return true;
    }
    *outcome = MOOT_OUTCOME_FAIL;
    for (size_t i = 0; i < MOOT_ARRAY_LEN(not_done); i++) {
        if (moot_slice_starts_with(text, moot_slice_text(not_done[i]))) {
            return true;
        }
    }
    return false;
}

/* Done, and the answer is kept in the protocol of the first try; or a clock is far off. */
static bool is_about_id(struct moot_slice text)
{
    return moot_slice_starts_with(text, MOOT_SLICE_LITERAL("IDEXPIRED ")) ||
           moot_slice_starts_with(text, MOOT_SLICE_LITERAL("IDDONE ")) ||
           moot_slice_starts_with(text, MOOT_SLICE_LITERAL("ERR the id must not be made in"));
}

size_t sim__read_head(struct moot_slice bytes, size_t at, struct moot_resp_value *value)
{
    size_t consumed;
    int status =
        moot_resp_read((struct moot_slice){bytes.data + at, bytes.size - at}, value, &consumed);
    MOOT_ASSERT(status == 0); /* moot_resp_skip has been over it. */
    return at + consumed;
}

/* An aggregate as a list; of pairs only the first. */
static struct moot_history_value read_list(struct sim_world *world, struct moot_slice reply,
                                           size_t at, const struct moot_resp_value *head)
{
    bool pairs = world->swarm.workload == SIM_WORKLOAD_SET;
    size_t count = (size_t)head->integer * (head->type == MOOT_RESP_MAP ? 2 : 1);
    struct moot_slice *items =
        moot_arena_alloc(&world->history.arena, sizeof(*items) * (count + 1));
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct moot_resp_value value;
        at = sim__read_head(reply, at, &value);
        if (!pairs || i % 2 == 0) {
            bool is_empty = value.type == MOOT_RESP_NULL; /* An account that was never used. */
            items[kept++] = is_empty ? MOOT_SLICE_LITERAL("0") : value.text;
        }
    }
    return moot_history_list(items, kept);
}

static struct moot_history_value read_value(struct sim_world *world, struct moot_slice reply,
                                            const struct moot_operation *operation)
{
    struct moot_resp_value head;
    size_t at = sim__read_head(reply, 0, &head);
    int64_t integer;
    switch (head.type) {
    case MOOT_RESP_INTEGER:
        if (operation->kind == MOOT_OPERATION_ADD && head.integer != 1) {
            sim__violation(world, "a field that was never there before was there already");
        }
        return operation->kind == MOOT_OPERATION_ADD ? moot_history_none()
                                                     : moot_history_integer(head.integer);
    case MOOT_RESP_NULL:
        return moot_history_nil();
    case MOOT_RESP_BULK:
        if (world->swarm.workload != SIM_WORKLOAD_EXPIRY &&
            world->swarm.workload != SIM_WORKLOAD_REGISTER &&
            moot_slice_to_i64(head.text, &integer)) {
            return moot_history_integer(integer);
        }
        return moot_history_bytes(off_the_wire(world, head.text));
    case MOOT_RESP_ARRAY:
    case MOOT_RESP_MAP:
    case MOOT_RESP_SET:
        return read_list(world, reply, at, &head);
    default:
        return moot_history_none();
    }
}

static void on_txn(struct sim_world *world, struct sim_client *client,
                   const struct sim_expected *expected, struct moot_slice reply)
{
    struct moot_history_step steps[SIM_TXN_STEPS_MAX];
    enum moot_outcome outcome = sim__read_txn(world, client, expected, reply, steps);
    client->fails = 0;
    settle_steps(world, client, expected->operation, outcome, moot_history_none(),
                 outcome == MOOT_OUTCOME_OK ? steps : NULL);
}

static void on_watched(struct sim_world *world, struct sim_client *client,
                       const struct sim_expected *expected, const struct moot_history_value *value)
{
    if (client->watch_failed || client->expected_count > 0) {
        return;
    }
    client->watched_known = true;
    client->watched_key = expected->number;
    client->watched_size = value->kind == MOOT_HISTORY_NIL ? 0 : value->bytes.size;
    MOOT_ASSERT(client->watched_size <= sizeof(client->watched));
    if (client->watched_size > 0) {
        memcpy(client->watched, value->bytes.data, client->watched_size);
    }
    (void)world;
}

static void on_operation(struct sim_world *world, struct sim_client *client,
                         const struct sim_expected *expected, struct moot_slice reply,
                         const struct moot_resp_value *head)
{
    const struct moot_operation *operation = &world->history.operations[expected->operation];
    bool of_queue = world->swarm.workload == SIM_WORKLOAD_QUEUE;
    if (operation->kind == MOOT_OPERATION_TXN) {
        on_txn(world, client, expected, reply);
        return;
    }
    if (of_queue) {
        sim__check_kind(world, client, operation, head);
    }
    struct moot_history_value value = read_value(world, reply, operation);
    enum moot_outcome outcome = MOOT_OUTCOME_OK;
    sim__probe_order(world, client, operation, &value);
    if (expected->step == SIM_STEP_EXEC) { /* A refusal may be because of any write: no result. */
        outcome = value.kind == MOOT_HISTORY_NIL ? MOOT_OUTCOME_FAIL : MOOT_OUTCOME_OK;
        value = moot_history_integer(1);
    } else if (expected->step == SIM_STEP_WATCHED_READ) {
        on_watched(world, client, expected, &value);
    } else if (world->phase == SIM_PHASE_LAST_READS) {
        client->last_reads++;
    }
    if (of_queue && operation->kind == MOOT_OPERATION_READ) {
        sim__note_unseen(world, client, expected->operation, &value);
    }
    client->fails = 0;
    client->once.was_answered = client->once.was_answered || expected->step == SIM_STEP_ONCE;
    client->once.active = client->once.active && expected->step != SIM_STEP_ONCE;
    sim__settle(world, client, expected->operation, outcome, value);
}

/* Whether an earlier try was done is known only when the same id is answered. */
static void on_refused_once(struct sim_world *world, struct sim_client *client,
                            struct moot_slice text)
{
    if (moot_slice_starts_with(text, MOOT_SLICE_LITERAL("IDDONE "))) {
        client->once.active = false;
        sim__settle(world, client, client->once.operation, MOOT_OUTCOME_OK, moot_history_none());
        return;
    }
    static const char *const over[] = {"IDEXPIRED ", "ERR the id must not be made in the future"};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(over); i++) {
        if (moot_slice_starts_with(text, moot_slice_text(over[i]))) {
            bool first = client->once.tries == 1;
            client->once.active = false;
            sim__settle(world, client, client->once.operation,
                        first ? MOOT_OUTCOME_FAIL : MOOT_OUTCOME_INDOUBT, moot_history_none());
            return;
        }
    }
}

static void on_error(struct sim_world *world, struct sim_client *client,
                     const struct sim_expected *expected, struct moot_slice text)
{
    enum moot_outcome outcome;
    if (!outcome_of_error(text, &outcome) && !is_about_id(text)) {
        sim__violation(world, "m%u answered client %u: %.*s", client->machine, client->number,
                       (int)text.size, (const char *)text.data);
        return;
    }
    client->fails++;
    sim__probe_doubt(world, client, expected, text);
    if (expected->step == SIM_STEP_ONCE) {
        on_refused_once(world, client, text);
        return;
    }
    client->watch_failed = client->watch_failed || expected->step == SIM_STEP_WATCH ||
                           expected->step == SIM_STEP_WATCHED_READ ||
                           expected->step == SIM_STEP_TXN_READ;
    settle_all(world, client, expected, outcome);
}

/* Refusals of an administrator's wish are allowed. */
static void on_admin(struct sim_world *world, struct sim_client *client,
                     const struct sim_expected *expected, const struct moot_resp_value *head)
{
    if (expected->step == SIM_STEP_NONCE && head->type == MOOT_RESP_BULK) {
        sim__on_nonce(world, client, expected->number, head->text);
    } else if (expected->step == SIM_STEP_JOIN && head->type == MOOT_RESP_BULK) {
        sim__on_joined(world, expected->number, head->text);
    } else if (head->type == MOOT_RESP_ERROR && client->expected_count == 0 &&
               moot_slice_starts_with(head->text, MOOT_SLICE_LITERAL("NOTLEADER "))) {
        client->is_misplaced = true;
    } else if (expected->step == SIM_STEP_REMOVE && head->type != MOOT_RESP_ERROR) {
        struct sim_machine *machine = world->machines[expected->number];
        if (machine->lost && !machine->removed && world->phase == SIM_PHASE_FAULTS) {
            world->admin_wish = SIM_FAULT_JOIN;
        } else if (!machine->lost) {
            sim__count(world, SIM_FAULT_REMOVE);
        }
        machine->removed = true;
        sim__check_removal(world, client, machine);
        sim__trace(world, "m%u is to be removed", expected->number);
    }
}

void sim__answer(struct sim_world *world, struct sim_client *client,
                 const struct sim_expected *expected, struct moot_slice reply)
{
    struct moot_resp_value head;
    (void)sim__read_head(reply, 0, &head);
    if (client->is_admin) {
        on_admin(world, client, expected, &head);
    } else if (expected->step == SIM_STEP_SKIM ||
               sim__probe_answer(world, client, expected, &head)) {
        return;
    } else if (expected->step == SIM_STEP_ANY) {
        sim__on_any(world, client, reply);
    } else if (head.type == MOOT_RESP_ERROR) {
        on_error(world, client, expected, head.text);
    } else if (expected->step == SIM_STEP_TXN_READ) {
        sim__on_watched(world, client, expected->number, reply);
    } else if (expected->step == SIM_STEP_POP || expected->step == SIM_STEP_EXEC_POP) {
        sim__on_pop(world, client, expected, reply);
    } else if (expected->step == SIM_STEP_LENGTH || expected->step == SIM_STEP_ECHO) {
        sim__on_word(world, client, expected, &head);
    } else if (expected->operation != SIZE_MAX) {
        on_operation(world, client, expected, reply, &head);
    }
}

void sim__unanswered(struct sim_world *world, struct sim_client *client)
{
    for (size_t i = 0; i < client->expected_count; i++) {
        if (client->expected[i].step != SIM_STEP_ONCE) {
            settle_all(world, client, &client->expected[i], MOOT_OUTCOME_INDOUBT);
        }
    }
    if (client->txn.is_watching) { /* Nothing that changes anything was sent. */
        client->txn.is_watching = false;
        sim__settle(world, client, client->txn.operation, MOOT_OUTCOME_FAIL, moot_history_none());
    }
    sim__any_unanswered(world, client);
    client->expected_count = 0;
    client->watched_known = false;
    client->watch_failed = true;
    client->fails = 0;
}

bool sim__has_finished(const struct sim_world *world, const struct sim_client *client)
{
    bool is_any = world->swarm.workload == SIM_WORKLOAD_ANY && !client->is_admin;
    if (is_any && !sim__any_has_finished(world, client)) {
        return false;
    }
    if (world->phase == SIM_PHASE_LAST_READS) {
        uint32_t key, generation;
        return client->is_admin || is_any ||
               !key_ever_used(world, client->last_reads, &key, &generation);
    }
    return client->expected_count == 0 && !client->once.active && !client->txn.is_watching &&
           (client->is_admin || !is_more_wanted(world));
}
