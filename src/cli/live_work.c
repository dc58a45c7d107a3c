/* What clients ask: the same kinds of work as the simulator's.
 *
 * Keys change every two seconds: what is in doubt on a key stays concurrent with all that follows,
 * so that one key for the whole run would make judging it slow. */
#include <stdio.h>
#include <string.h>
#include <time.h>

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

/* So often is a model asked. Sets of large values keep the disks busy, and judging ids is easy. */
static const uint8_t weights[LIVE_MODELS_COUNT] = {
    [LIVE_REGISTER] = 4,   [LIVE_COUNTER] = 3,      [LIVE_APPEND] = 3, [LIVE_SET] = 3,
    [LIVE_QUEUE] = 3,      [LIVE_BANK] = 2,         [LIVE_IDS] = 1,    [LIVE_ONCE] = 2,
    [LIVE_APPEND_TXN] = 4, [LIVE_REGISTER_TXN] = 4, [LIVE_EXPIRY] = 3, [LIVE_LARGE] = 1,
};

enum { LIFE_MIN_MS = 50, LIFE_SPAN_MS = 3000, EXPIRY_EPOCHS = 6, TRANSFER_MAX = 100 };

/* With the seed, because keys must be new: the target may have seen another run. Keys that expire
 * stay in use for longer than they live; there is one counter of ids. */
static void name_key(char out[LIVE_WORD_BYTES], enum live_model model, uint64_t seed,
                     uint64_t epoch, uint64_t i)
{
    epoch = model == LIVE_EXPIRY ? epoch / EXPIRY_EPOCHS : model == LIVE_IDS ? 0 : epoch;
    snprintf(out, LIVE_WORD_BYTES, "%s:%llu:%llu:%llu", live_model_names[model],
             (unsigned long long)seed, (unsigned long long)epoch,
             model == LIVE_IDS ? 0 : (unsigned long long)i);
}

static void ask(struct live_work *work, enum moot_operation_kind kind, const char *command,
                bool has_value)
{
    memset(work->words, 0, sizeof(work->words));
    work->steps = LIVE_STEPS_ONE;
    work->lives_ms = 0;
    work->kind = kind;
    work->words[0] = command;
    work->words[1] = work->key;
    work->words[2] = has_value ? work->value : NULL;
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
        work->steps = LIVE_STEPS_CAS;
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

static void read_accounts(struct live_work *work, uint64_t seed, uint64_t epoch)
{
    ask(work, MOOT_OPERATION_READ, "MGET", false);
    for (uint64_t i = 0; i < LIVE_KEYS; i++) {
        name_key(work->other[i], LIVE_BANK, seed, epoch, i);
        work->words[1 + i] = work->other[i];
    }
}

/* Where nothing was is nothing, so the sum is 0. */
static void choose_bank(struct live_work *work, struct moot_rng *rng,
                        const struct live_choice *choice, bool writes)
{
    if (!writes) {
        read_accounts(work, choice->seed, choice->epoch);
        return;
    }
    ask(work, MOOT_OPERATION_WRITE, "EXEC", false);
    work->steps = LIVE_STEPS_TRANSFER;
    name_key(work->other[0], LIVE_BANK, choice->seed, choice->epoch,
             moot_rng_below(rng, LIVE_KEYS));
    unsigned amount = 1 + (unsigned)moot_rng_below(rng, TRANSFER_MAX);
    snprintf(work->number, sizeof(work->number), "%u", amount);
    snprintf(work->less, sizeof(work->less), "-%u", amount);
}

/* Every value is written once, so that lists tell the order of all that was appended to them. */
static struct live_txn_step *add_step(struct live_work *work, const struct live_choice *choice,
                                      uint64_t key, bool writes)
{
    MOOT_ASSERT(work->txn_count < LIVE_TXN_STEPS_MAX);
    struct live_txn_step *step = &work->txn[work->txn_count];
    step->writes = writes;
    name_key(step->key, work->model, choice->seed, choice->epoch, key);
    snprintf(step->value, sizeof(step->value), "%u.%llu.%u", choice->client,
             (unsigned long long)choice->number, work->txn_count++);
    return step;
}

/* What is written was mostly read before, so that the order of a register's values is known; a
 * write that did not look is the third of four. */
static void add_register_steps(struct live_work *work, const struct live_choice *choice,
                               uint64_t dice, uint64_t key, uint64_t other)
{
    add_step(work, choice, key, dice == 2);
    if (dice < 2) {
        add_step(work, choice, key, true);
    }
    add_step(work, choice, other, false);
    if (dice == 0) {
        add_step(work, choice, other, true);
    } else if (dice == 1) {
        add_step(work, choice, key, false);
    }
}

static void choose_txn(struct live_work *work, struct moot_rng *rng,
                       const struct live_choice *choice)
{
    uint64_t key = moot_rng_below(rng, LIVE_KEYS), dice = moot_rng_below(rng, 4);
    uint64_t other = (key + 1 + moot_rng_below(rng, LIVE_KEYS - 1)) % LIVE_KEYS;
    ask(work, MOOT_OPERATION_TXN, "EXEC", false);
    work->steps = LIVE_STEPS_TXN;
    work->txn_count = work->watched = 0;
    if (moot_rng_chance(rng, 1, 3)) {
        work->watched = 2;
        add_step(work, choice, key, false);
        add_step(work, choice, other, false);
        add_step(work, choice, key, true); /* Or `other`: what is seen decides. */
        if (dice == 0) {
            add_step(work, choice, moot_rng_below(rng, LIVE_KEYS), false);
        }
    } else if (work->model == LIVE_REGISTER_TXN) {
        add_register_steps(work, choice, dice, key, other);
    } else {
        for (uint64_t i = 0; i <= dice; i++) {
            add_step(work, choice, moot_rng_below(rng, LIVE_KEYS), moot_rng_chance(rng, 1, 2));
        }
    }
}

static void choose_once(struct live_work *work, struct moot_rng *rng,
                        const struct live_choice *choice, bool writes)
{
    if (!writes) {
        ask(work, MOOT_OPERATION_READ, "GET", false);
        return;
    }
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    int64_t by = 1 + (int64_t)moot_rng_below(rng, 9);
    ask(work, MOOT_OPERATION_INCREMENT, "WITH", false);
    work->steps = LIVE_STEPS_ONCE;
    work->argument = moot_history_integer(by);
    snprintf(work->number, sizeof(work->number), "%lld", (long long)by);
    snprintf(work->other[0], LIVE_WORD_BYTES, "%llu:%llu.%u.%llu",
             (unsigned long long)wall.tv_sec * 1000 + (unsigned long long)wall.tv_nsec / 1000000,
             (unsigned long long)choice->seed, choice->client, (unsigned long long)choice->number);
    const char *const words[] = {"WITH", "ID", work->other[0], "INCRBY", work->key, work->number};
    memcpy(work->words, words, sizeof(words));
}

static void choose_expiry(struct live_work *work, struct moot_rng *rng, bool writes)
{
    if (!writes) {
        ask(work, MOOT_OPERATION_READ, "GET", false);
        return;
    }
    ask(work, MOOT_OPERATION_WRITE, "SET", true);
    work->lives_ms = LIFE_MIN_MS + moot_rng_below(rng, LIFE_SPAN_MS);
    snprintf(work->number, sizeof(work->number), "%llu", (unsigned long long)work->lives_ms);
    work->words[3] = "PX";
    work->words[4] = work->number;
}

static enum live_model choose_model(struct moot_rng *rng, uint32_t models)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < LIVE_MODELS_COUNT; i++) {
        sum += (models >> i & 1) != 0 ? weights[i] : 0;
    }
    MOOT_ASSERT(sum > 0);
    uint64_t dice = moot_rng_below(rng, sum);
    for (uint32_t i = 0;; i++) {
        uint64_t weight = (models >> i & 1) != 0 ? weights[i] : 0;
        if (dice < weight) {
            return (enum live_model)i;
        }
        dice -= weight;
    }
}

void live_work_choose(struct live_work *work, struct moot_rng *rng,
                      const struct live_choice *choice)
{
    work->model = choose_model(rng, choice->models);
    uint64_t key = moot_rng_below(rng, LIVE_KEYS);
    bool writes = moot_rng_chance(rng, 1, 2);
    name_key(work->key, work->model, choice->seed, choice->epoch, key);
    snprintf(work->value, sizeof(work->value), "%u.%llu", choice->client,
             (unsigned long long)choice->number);
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
    case LIVE_QUEUE:
        choose_queue(work, rng, writes);
        break;
    case LIVE_BANK:
        choose_bank(work, rng, choice, writes);
        break;
    case LIVE_APPEND_TXN:
    case LIVE_REGISTER_TXN:
        choose_txn(work, rng, choice);
        break;
    case LIVE_IDS:
        ask(work, MOOT_OPERATION_GENERATE, "INCR", false);
        break;
    case LIVE_ONCE:
        choose_once(work, rng, choice, writes);
        break;
    case LIVE_EXPIRY:
        choose_expiry(work, rng, writes);
        break;
    case LIVE_LARGE:
        choose_register(work, rng, true);
        break;
    case LIVE_MODELS_COUNT:
        MOOT_UNREACHABLE();
    }
    MOOT_ASSERT(work->words[0] != NULL && work->words[1] != NULL);
}

bool live_work_last_read(struct live_work *work, uint64_t seed, uint64_t number)
{
    work->model = (enum live_model)(number % LIVE_MODELS_COUNT);
    uint64_t epoch = number / LIVE_MODELS_COUNT / LIVE_KEYS;
    uint64_t key = number / LIVE_MODELS_COUNT % LIVE_KEYS;
    name_key(work->key, work->model, seed, epoch, key);
    if (work->model == LIVE_APPEND || work->model == LIVE_QUEUE || work->model == LIVE_APPEND_TXN) {
        read_list(work);
    } else if (work->model == LIVE_BANK) {
        read_accounts(work, seed, epoch);
        return key == 0;
    } else {
        ask(work, MOOT_OPERATION_READ, work->model == LIVE_SET ? "HKEYS" : "GET", false);
    }
    return work->model != LIVE_IDS && (work->model != LIVE_EXPIRY || epoch % EXPIRY_EPOCHS == 0);
}
