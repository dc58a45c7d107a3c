/* What clients ask: the same kinds of work as the simulator's.
 *
 * Keys change every two seconds: what is in doubt on a key stays concurrent with all that follows,
 * so that one key for the whole run would make judging it slow. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "cli/live.h"

const char *const live_model_names[LIVE_MODELS_COUNT] = {
#define X(name, text, promise) text,
    LIVE_MODELS(X)
#undef X
};
const char *const live_model_promises[LIVE_MODELS_COUNT] = {
#define X(name, text, promise) promise,
    LIVE_MODELS(X)
#undef X
};

/* With the seed, because keys must be new: the target may have seen another run. */
static void make_key(struct live_work *work, uint64_t seed, uint64_t epoch, uint64_t i)
{
    snprintf(work->key, sizeof(work->key), "%s:%llu:%llu:%llu", live_model_names[work->model],
             (unsigned long long)seed, (unsigned long long)epoch, (unsigned long long)i);
}

static void ask(struct live_work *work, enum moot_operation_kind kind, const char *command,
                bool has_value)
{
    work->kind = kind;
    work->words[0] = command;
    work->words[1] = work->key;
    work->words[2] = has_value ? work->value : NULL;
    work->words[3] = NULL;
    work->argument =
        has_value ? moot_history_bytes(moot_slice_text(work->value)) : moot_history_none();
}

/* The last keys of the registers also see SWAP and CAS, which a judge has to search; the first ones
 * are judged fast however many operations they have. */
static void choose_register(struct live_work *work, struct moot_rng *rng, bool plain)
{
    uint64_t dice = moot_rng_below(rng, plain ? 5 : 8);
    if (dice < 2) {
        ask(work, MOOT_OPERATION_WRITE, "SET", true);
    } else if (dice < 5) {
        ask(work, MOOT_OPERATION_READ, "GET", false);
    } else if (dice == 5) {
        ask(work, MOOT_OPERATION_SWAP, "GETSET", true);
    } else if (dice == 6) {
        ask(work, MOOT_OPERATION_DELETE, "DEL", false);
    } else {
        ask(work, MOOT_OPERATION_CAS, "EXEC", true);
    }
}

static void read_list(struct live_work *work)
{
    ask(work, MOOT_OPERATION_READ, "LRANGE", false);
    work->words[2] = "0";
    work->words[3] = "-1";
}

static void choose_append(struct live_work *work, struct moot_rng *rng)
{
    static const struct {
        enum moot_operation_kind kind;
        const char *name;
        bool has_value;
    } kinds[] = {
        {MOOT_OPERATION_PUSH, "RPUSH", true},   {MOOT_OPERATION_PUSH_FRONT, "LPUSH", true},
        {MOOT_OPERATION_POP, "LPOP", false},    {MOOT_OPERATION_POP_BACK, "RPOP", false},
        {MOOT_OPERATION_LENGTH, "LLEN", false},
    };
    uint64_t dice = moot_rng_below(rng, MOOT_ARRAY_LEN(kinds) + 1);
    if (dice == MOOT_ARRAY_LEN(kinds)) {
        read_list(work);
    } else {
        ask(work, kinds[dice].kind, kinds[dice].name, kinds[dice].has_value);
    }
}

static void choose_counter(struct live_work *work, bool writes)
{
    if (!writes) {
        ask(work, MOOT_OPERATION_READ, "GET", false);
        return;
    }
    ask(work, MOOT_OPERATION_INCREMENT, "INCRBY", false);
    work->words[2] = "1";
    work->argument = moot_history_integer(1);
}

static void choose_set(struct live_work *work, bool writes)
{
    if (!writes) { /* The fields of a hash are a set. */
        ask(work, MOOT_OPERATION_READ, "HKEYS", false);
        return;
    }
    ask(work, MOOT_OPERATION_ADD, "HSET", true);
    work->words[3] = "1";
}

static void choose_queue(struct live_work *work, struct moot_rng *rng, bool writes)
{
    if (writes) {
        ask(work, MOOT_OPERATION_PUSH, "RPUSH", true);
    } else if (moot_rng_chance(rng, 1, 2)) {
        ask(work, MOOT_OPERATION_POP, "LPOP", false);
    } else {
        ask(work, MOOT_OPERATION_POP, "BLPOP", false);
        work->words[2] = "0.02";
    }
}

void live_work_choose(struct live_work *work, struct moot_rng *rng, uint64_t seed, uint64_t epoch,
                      uint32_t client, uint64_t number)
{
    work->model = (enum live_model)moot_rng_below(rng, LIVE_MODELS_COUNT);
    uint64_t key = moot_rng_below(rng, LIVE_KEYS);
    bool writes = moot_rng_chance(rng, 1, 2);
    make_key(work, seed, epoch, key);
    snprintf(work->value, sizeof(work->value), "%u.%llu", client, (unsigned long long)number);
    switch (work->model) {
    case LIVE_REGISTER:
        choose_register(work, rng, key < LIVE_KEYS / 2);
        break;
    case LIVE_COUNTER:
        choose_counter(work, writes);
        break;
    case LIVE_APPEND:
        choose_append(work, rng);
        break;
    case LIVE_SET:
        choose_set(work, writes);
        break;
    default:
        choose_queue(work, rng, writes);
        break;
    }
    MOOT_ASSERT(work->words[0] != NULL && work->words[1] == work->key);
}

void live_work_last_read(struct live_work *work, uint64_t seed, uint64_t number)
{
    work->model = (enum live_model)(number % LIVE_MODELS_COUNT);
    uint64_t key = number / LIVE_MODELS_COUNT;
    make_key(work, seed, key / LIVE_KEYS, key % LIVE_KEYS);
    if (work->model == LIVE_APPEND || work->model == LIVE_QUEUE) {
        read_list(work);
    } else {
        ask(work, MOOT_OPERATION_READ, work->model == LIVE_SET ? "HKEYS" : "GET", false);
    }
}
