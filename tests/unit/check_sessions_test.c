/* Session guarantees against their definition: every order of the writes, and every set of them
 * that a read may have been answered from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/rng.h"
#include "check/causal.h"
#include "check/sessions.h"
#include "check_histories.h"

enum { OPERATIONS_MAX = 8, WRITES_MAX = 4, KEYS = 2, PROCESSES = 3, NONE = -1 };

struct tiny {
    bool is_read, is_in_doubt;
    int process, key, value; /* 0: nil. */
};

struct world {
    struct tiny all[OPERATIONS_MAX];
    int count;
};

static const struct {
    const char *name;
    unsigned guarantees;
} models[] = {
#define X(text, guarantees, broken) {text, guarantees},
    MOOT_SESSION_MODELS(X)
#undef X
};

/* ---- the oracle ---- */

/* Who wrote what a read saw, or NONE. */
static int source_of(const struct world *world, int read)
{
    for (int i = 0; i < world->count; i++) {
        if (!world->all[i].is_read && world->all[i].value == world->all[read].value) {
            return i;
        }
    }
    return NONE;
}

static bool is_seen(const struct world *world, int write)
{
    bool seen = false;
    for (int i = 0; i < world->count; i++) {
        seen |= world->all[i].is_read && source_of(world, i) == write;
    }
    return seen;
}

static bool happened(const struct world *world, int operation)
{
    return !world->all[operation].is_in_doubt || is_seen(world, operation);
}

/* One process did `a`, knew that it was done, and then did `b`. */
static bool is_earlier(const struct world *world, int a, int b)
{
    return a < b && world->all[a].process == world->all[b].process && !world->all[a].is_in_doubt;
}

static bool is_causal(const struct world *world)
{
    bool reaches[OPERATIONS_MAX][OPERATIONS_MAX] = {{false}};
    for (int i = 0; i < world->count; i++) {
        for (int j = 0; j < world->count; j++) {
            reaches[i][j] =
                is_earlier(world, i, j) || (world->all[j].is_read && source_of(world, j) == i);
        }
    }
    for (int k = 0; k < world->count; k++) {
        for (int i = 0; i < world->count; i++) {
            for (int j = 0; j < world->count; j++) {
                reaches[i][j] |= reaches[i][k] && reaches[k][j];
            }
        }
    }
    bool good = true;
    for (int i = 0; i < world->count; i++) {
        good &= !reaches[i][i];
    }
    return good;
}

/* Must `a` be before `b` in the order of the writes? */
static bool must_precede(const struct world *world, int a, int b, unsigned guarantees)
{
    bool one_key = world->all[a].key == world->all[b].key;
    bool must =
        is_earlier(world, a, b) && (one_key || (guarantees & MOOT_SESSION_MONOTONIC_WRITES) != 0);
    for (int read = 0; read < world->count; read++) {
        must |= (guarantees & MOOT_SESSION_WRITES_FOLLOW_READS) != 0 && world->all[read].is_read &&
                is_earlier(world, read, b) && source_of(world, read) == a;
    }
    return must;
}

/* May a copy that holds `set` (a bit for each operation) answer the read, by this guarantee? */
static bool may_answer(const struct world *world, int read, unsigned set, unsigned guarantees)
{
    for (int i = 0; i < world->count; i++) {
        bool has = (set >> i & 1) != 0;
        int seen = world->all[i].is_read ? source_of(world, i) : NONE;
        if (is_earlier(world, i, read) && (guarantees & MOOT_SESSION_READ_YOUR_WRITES) != 0 &&
            !world->all[i].is_read && !has) {
            return false;
        }
        if (is_earlier(world, i, read) && (guarantees & MOOT_SESSION_MONOTONIC_READS) != 0 &&
            seen != NONE && (set >> seen & 1) == 0) {
            return false;
        }
        for (int held = 0; held < world->count; held++) {
            if ((set >> held & 1) == 0 || !is_earlier(world, i, held)) {
                continue;
            }
            if ((guarantees & MOOT_SESSION_MONOTONIC_WRITES) != 0 && !world->all[i].is_read &&
                !has) {
                return false;
            }
            if ((guarantees & MOOT_SESSION_WRITES_FOLLOW_READS) != 0 && seen != NONE &&
                (set >> seen & 1) == 0) {
                return false;
            }
        }
    }
    return true;
}

/* The value of a key in a set of writes, ordered. */
static int value_in(const struct world *world, const int *order, int count, unsigned set, int key)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if ((set >> order[i] & 1) != 0 && world->all[order[i]].key == key) {
            value = world->all[order[i]].value;
        }
    }
    return value;
}

static bool explains(const struct world *world, const int *order, int count, unsigned guarantees)
{
    unsigned all = 0;
    for (int i = 0; i < count; i++) {
        all |= 1U << order[i];
    }
    for (int read = 0; read < world->count; read++) {
        bool found = !world->all[read].is_read;
        for (unsigned set = all;; set = (set - 1) & all) {
            found = found || (value_in(world, order, count, set, world->all[read].key) ==
                                  world->all[read].value &&
                              may_answer(world, read, set, guarantees));
            if (found || set == 0) {
                break;
            }
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static bool some_order(const struct world *world, int *order, int count, unsigned guarantees)
{
    bool whole = true;
    for (int i = 0; i < world->count; i++) {
        bool placed = world->all[i].is_read || !happened(world, i), may = true;
        for (int j = 0; j < count; j++) {
            placed |= order[j] == i;
            may &= !must_precede(world, i, order[j], guarantees);
        }
        if (placed) {
            continue;
        }
        whole = false;
        MOOT_ASSERT(count < OPERATIONS_MAX); /* Each is placed once. */
        order[count] = i;
        if (may && some_order(world, order, count + 1, guarantees)) {
            return true;
        }
    }
    return whole && explains(world, order, count, guarantees);
}

static bool oracle(const struct world *world, unsigned guarantees)
{
    int order[OPERATIONS_MAX];
    return is_causal(world) && some_order(world, order, 0, guarantees);
}

/* ---- random histories ---- */

/* Reads see what copies that lag hold; or anything. */
static int seen_by(struct moot_rng *rng, const struct world *world, int until, bool any, int key)
{
    int value = 0;
    for (int i = 0; i < until; i++) {
        bool sees = any ? moot_rng_chance(rng, 1, 2) : !moot_rng_chance(rng, 1, 6);
        if (!world->all[i].is_read && world->all[i].key == key && sees) {
            value = world->all[i].value;
        }
    }
    return value;
}

static void make_world(struct moot_rng *rng, struct world *world)
{
    int writes = 0;
    bool any = moot_rng_chance(rng, 1, 3), ahead = moot_rng_chance(rng, 1, 8);
    world->count = 3 + (int)moot_rng_below(rng, OPERATIONS_MAX - 2);
    for (int i = 0; i < world->count; i++) {
        world->all[i] = (struct tiny){
            .is_read = writes == WRITES_MAX || moot_rng_chance(rng, 1, 2),
            .process = (int)moot_rng_below(rng, PROCESSES),
            .key = (int)moot_rng_below(rng, KEYS),
        };
        if (!world->all[i].is_read) {
            world->all[i].value = ++writes;
            world->all[i].is_in_doubt = moot_rng_chance(rng, 1, 8);
        }
    }
    for (int i = 0; i < world->count; i++) {
        if (world->all[i].is_read) {
            world->all[i].value =
                seen_by(rng, world, ahead ? world->count : i, any, world->all[i].key);
        }
    }
}

/* Only the operations whose bits are set. */
static void write_world(const struct world *world, unsigned kept, struct moot_history *history)
{
    static const char *const keys[KEYS] = {"x", "y"};
    moot_history_init(history);
    for (int i = 0; i < world->count; i++) {
        const struct tiny *tiny = &world->all[i];
        char digits[24];
        struct moot_slice text =
            moot_slice_make(digits, moot_text_u64(digits, (uint64_t)tiny->value));
        struct moot_history_value value =
            tiny->value == 0 ? moot_history_nil() : moot_history_bytes(text);
        struct moot_operation operation = {
            .process = (uint32_t)tiny->process,
            .kind = tiny->is_read ? MOOT_OPERATION_READ : MOOT_OPERATION_WRITE,
            .outcome = tiny->is_in_doubt ? MOOT_OUTCOME_INDOUBT : MOOT_OUTCOME_OK,
            .key = moot_slice_text(keys[tiny->key]),
            .called = {10 * (uint64_t)i + 1},
            .returned = {tiny->is_in_doubt ? UINT64_MAX : 10 * (uint64_t)i + 5},
        };
        *(tiny->is_read ? &operation.result : &operation.argument) = value;
        if ((kept >> i & 1) != 0) {
            moot_history_add(history, &operation);
        }
    }
}

static void fail_with(const struct moot_history *history, const char *model, int round,
                      const struct moot_verdict *verdict, const char *wanted)
{
    struct moot_buffer text;
    moot_buffer_init(&text);
    moot_history_write(history, &text);
    fail_msg("round %d, %s: %s, wanted %s\n%.*s%.*s", round, model,
             moot_judgement_text(verdict->judgement), wanted, (int)text.size,
             (const char *)text.data, (int)verdict->words.size, (const char *)verdict->words.data);
}

/* The evidence fails by itself; and without any one of its reads, or writes that none of it reads,
 * it does not fail any more, where one guarantee alone is judged. */
static void check_evidence(const struct world *world, size_t model,
                           const struct moot_verdict *verdict)
{
    const uint32_t *evidence = (const uint32_t *)(const void *)verdict->evidence.data;
    unsigned kept = 0;
    for (size_t i = 0; i < verdict->evidence.size / sizeof(*evidence); i++) {
        kept |= 1U << evidence[i];
    }
    assert_true(kept != 0);
    for (int without = NONE; without < world->count; without++) {
        unsigned part = without == NONE ? kept : kept & ~(1U << without);
        bool is_read = without == NONE;
        for (int i = 0; i < world->count && without != NONE; i++) {
            is_read |=
                (kept >> i & 1) != 0 && world->all[i].is_read && source_of(world, i) == without;
        }
        if (without != NONE && (part == kept || is_read || model > 1)) {
            continue;
        }
        struct moot_history history;
        struct moot_verdict small;
        write_world(world, part, &history);
        moot_verdict_init(&small);
        moot_check_sessions(&history, models[model].guarantees, &small);
        bool fails = small.judgement == MOOT_JUDGEMENT_VIOLATION;
        if (fails != (without == NONE)) {
            fail_with(&history, models[model].name, without, &small, "the smallest evidence");
        }
        moot_verdict_deinit(&small);
        moot_history_deinit(&history);
    }
}

/* Goal: each model says what its definition says, and shows it by a smallest part; all four
 * guarantees together are causal convergence. Method: thousands of small random histories. */
static void agrees_with_the_definitions(void **state)
{
    (void)state;
    struct moot_rng rng;
    size_t counts[MOOT_ARRAY_LEN(models)][2] = {{0}};
    moot_rng_init(&rng, 11);
    for (int round = 0; round < 4000; round++) {
        struct world world;
        struct moot_history history;
        make_world(&rng, &world);
        write_world(&world, UINT32_MAX, &history);
        for (size_t i = 0; i < MOOT_ARRAY_LEN(models); i++) {
            struct moot_verdict verdict;
            moot_verdict_init(&verdict);
            moot_check_sessions(&history, models[i].guarantees, &verdict);
            bool good = oracle(&world, models[i].guarantees);
            if (verdict.judgement != (good ? MOOT_JUDGEMENT_VALID : MOOT_JUDGEMENT_VIOLATION)) {
                fail_with(&history, models[i].name, round, &verdict, good ? "valid" : "violation");
            }
            if (!good) {
                check_evidence(&world, i, &verdict);
            }
            counts[i][good]++;
            if (i + 1 == MOOT_ARRAY_LEN(models)) {
                struct moot_verdict convergent;
                moot_verdict_init(&convergent);
                moot_check_causal(&history, true, &convergent);
                assert_int_equal(convergent.judgement, verdict.judgement);
                moot_verdict_deinit(&convergent);
            }
            moot_verdict_deinit(&verdict);
        }
        moot_history_deinit(&history);
    }
    for (size_t i = 0; i < MOOT_ARRAY_LEN(models); i++) {
        if (counts[i][0] < 100 || counts[i][1] < 100) {
            fail_msg("%s: %zu violations, %zu valid", models[i].name, counts[i][0], counts[i][1]);
        }
    }
    /* No model is the same as a narrower one. */
    assert_true(counts[2][0] > counts[0][0] && counts[3][0] > counts[0][0]);
    assert_true(counts[4][0] > counts[2][0] && counts[4][0] > counts[3][0]);
}

/* Goal: a long history is judged, and a fault late in it found and told in a few operations.
 * Method: 20 processes read and write 50 keys of one copy, 1 % in doubt; then one looks back. */
static void long_histories(void **state)
{
    (void)state;
    enum { LONG = 20000, MANY_KEYS = 50, MANY_PROCESSES = 20 };
    struct moot_rng rng;
    struct moot_history history;
    moot_rng_init(&rng, 12);
    moot_history_init(&history);
    uint64_t latest[MANY_KEYS] = {0};
    for (uint64_t i = 1; i <= LONG; i++) {
        uint64_t key = moot_rng_below(&rng, MANY_KEYS);
        char name[24], digits[24];
        bool last = i == LONG, is_read = last || moot_rng_chance(&rng, 1, 2);
        key = last ? 7 : key;
        struct moot_operation operation = {
            .process = (uint32_t)moot_rng_below(&rng, MANY_PROCESSES),
            .kind = is_read ? MOOT_OPERATION_READ : MOOT_OPERATION_WRITE,
            .outcome = MOOT_OUTCOME_OK,
            .key = moot_slice_make(name, moot_text_u64(name, key)),
            .called = {10 * i},
            .returned = {10 * i + 5},
        };
        if (!is_read && moot_rng_chance(&rng, 1, 50)) {
            operation.outcome = MOOT_OUTCOME_INDOUBT;
            operation.returned.ns = UINT64_MAX;
        }
        uint64_t seen = last ? 0 : latest[key];
        struct moot_history_value value =
            is_read && seen == 0 ? moot_history_nil()
                                 : moot_history_bytes(moot_slice_make(
                                       digits, moot_text_u64(digits, is_read ? seen : i)));
        *(is_read ? &operation.result : &operation.argument) = value;
        latest[key] = is_read ? latest[key] : i;
        for (size_t m = 0; last && m < MOOT_ARRAY_LEN(models); m++) {
            struct moot_verdict verdict;
            moot_verdict_init(&verdict);
            moot_check_sessions(&history, models[m].guarantees, &verdict);
            assert_int_equal(verdict.judgement, MOOT_JUDGEMENT_VALID);
            moot_verdict_deinit(&verdict);
        }
        moot_history_add(&history, &operation);
    }
    for (size_t m = 0; m < MOOT_ARRAY_LEN(models); m++) {
        struct moot_verdict verdict;
        moot_verdict_init(&verdict);
        moot_check_sessions(&history, models[m].guarantees, &verdict);
        assert_int_equal(verdict.judgement, MOOT_JUDGEMENT_VIOLATION);
        assert_int_equal(verdict.operation, LONG - 1);
        assert_in_range(verdict.evidence.size / sizeof(uint32_t), 2, 8);
        moot_verdict_deinit(&verdict);
    }
    moot_history_deinit(&history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_definitions),
        cmocka_unit_test(long_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
