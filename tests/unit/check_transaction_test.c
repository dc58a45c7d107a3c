/* Transactions: anomalies by hand, and small random histories against every order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/slice.h"
#include "check/causal.h"
#include "check/transaction.h"

/* One transaction a line, `process call return outcome` and then its steps:
 *
 *     1 0 9 ok | a x 1 | r x 1 2 | r y | w z 3
 *
 * appends 1 to x, reads [1 2] there and nothing in y, and writes 3 to z. `return` may be - . */
static struct moot_slice word(char **at)
{
    char *text = strsep(at, " ");
    return moot_slice_text(text);
}

static void add_line(struct moot_history *history, bool lists, char *line)
{
    static struct moot_slice items[64];
    struct moot_history_step steps[16];
    char *head = strsep(&line, "|");
    char returned[32] = "", outcome[32] = "";
    unsigned process;
    unsigned long long called;
    assert_int_equal(sscanf(head, "%u %llu %31s %31s", &process, &called, returned, outcome), 4);
    struct moot_operation txn = {
        .process = process,
        .kind = MOOT_OPERATION_TXN,
        .outcome = strcmp(outcome, "ok") == 0     ? MOOT_OUTCOME_OK
                   : strcmp(outcome, "fail") == 0 ? MOOT_OUTCOME_FAIL
                                                  : MOOT_OUTCOME_INDOUBT,
        .called = {called},
        .returned = {returned[0] == '-' ? UINT64_MAX : strtoull(returned, NULL, 10)},
        .steps = steps,
    };
    size_t used = 0;
    for (char *part; (part = strsep(&line, "|")) != NULL;) {
        struct moot_history_step *step = &steps[txn.steps_count++];
        char *at = part + strspn(part, " ");
        at[strcspn(at, "\n")] = 0;
        at[strlen(at) - (strlen(at) > 0 && at[strlen(at) - 1] == ' ')] = 0;
        char kind = at[0];
        at += 2;
        step->key = word(&at);
        step->kind = kind == 'r'   ? MOOT_OPERATION_READ
                     : kind == 'a' ? MOOT_OPERATION_APPEND
                                   : MOOT_OPERATION_WRITE;
        size_t first = used;
        while (at != NULL) {
            items[used++] = word(&at);
        }
        if (kind == 'r' && lists) {
            step->value = moot_history_list(items + first, used - first);
        } else {
            step->value = used > first ? moot_history_bytes(items[first]) : moot_history_nil();
        }
    }
    moot_history_add(history, &txn);
}

static void judge(const struct moot_history *history, bool lists, enum moot_isolation level,
                  struct moot_verdict *verdict)
{
    moot_verdict_init(verdict);
    (lists ? moot_check_append_txns : moot_check_register_txns)(history, level, verdict);
}

struct hand_made {
    const char *text;
    enum moot_isolation forbids; /* The first level at which it is a violation; COUNT: none. */
    const char *says;
};

#define NEVER MOOT_ISOLATION_LEVELS_COUNT

static const struct hand_made appends[] = {
    {"1 0 1 ok | a x 1 | a y 1\n2 2 3 ok | r x 1 | r y 1 | a x 2\n3 4 5 ok | r x 1 2", NEVER, ""},
    {"1 0 9 ok | a x 1 | a y 1\n2 0 9 ok | a x 2 | a y 2\n3 10 11 ok | r x 1 2 | r y 2 1",
     MOOT_ISOLATION_READ_UNCOMMITTED, "G0 (write cycle)"},
    {"1 0 1 fail | a x 1\n2 2 3 ok | r x 1", MOOT_ISOLATION_READ_COMMITTED, "G1a, aborted read"},
    {"1 0 1 fail | a x 1\n2 2 3 ok | a x 2\n3 4 5 ok | r x 1 2", MOOT_ISOLATION_READ_COMMITTED,
     "dirty update"},
    {"1 0 1 - | a x 1\n2 2 3 ok | r x 1", NEVER, ""},
    {"1 0 5 ok | a x 1 | a x 2\n2 2 3 ok | r x 1", MOOT_ISOLATION_READ_COMMITTED,
     "G1b, intermediate read"},
    {"1 0 9 ok | a x 1 | r y 2\n2 0 9 ok | a y 2 | r x 1", MOOT_ISOLATION_READ_COMMITTED,
     "G1c (circular information flow)"},
    {"1 0 9 ok | r x | r y 2\n2 0 9 ok | a x 1 | a y 2\n3 10 11 ok | r x 1",
     MOOT_ISOLATION_SNAPSHOT, "G-single (read skew)"},
    {"1 0 9 ok | r x | r y 2\n2 0 9 ok | a x 1 | a y 2", MOOT_ISOLATION_SNAPSHOT,
     "without a read of all that was appended"},
    {"1 0 9 ok | r x | a x 1\n2 0 9 ok | r x | a x 2\n3 10 11 ok | r x 1 2",
     MOOT_ISOLATION_SNAPSHOT, "lost update"},
    {"1 0 9 ok | r x | a x 1\n2 0 9 ok | r x | a x 2", MOOT_ISOLATION_SNAPSHOT, "lost update"},
    {"1 0 9 ok | a x 1 | r x", MOOT_ISOLATION_SNAPSHOT, "internal inconsistency"},
    {"1 0 9 ok | r x | r x 1\n2 0 9 ok | a x 1", MOOT_ISOLATION_SNAPSHOT, "internal"},
    {"1 0 9 ok | r x 1 | a x 1", MOOT_ISOLATION_READ_COMMITTED, "only wrote later"},
    {"1 0 9 ok | a x 1 | r x 1 | a x 2 | r x 1 2", NEVER, ""},
    {"1 0 9 ok | r x | a y 1\n2 0 9 ok | r y | a x 2\n3 10 11 ok | r x 2 | r y 1",
     MOOT_ISOLATION_SERIALIZABLE, "G2"},
    {"1 0 9 ok | r x | a y 1\n2 0 9 ok | r y | a x 2", MOOT_ISOLATION_SERIALIZABLE, "G2"},
    /* The long fork: two readers see two writes in different orders. */
    {"1 0 9 ok | a x 1\n2 0 9 ok | a y 1\n3 0 9 ok | r x 1 | r y\n4 0 9 ok | r x | r y 1",
     MOOT_ISOLATION_SNAPSHOT, "G-nonadjacent"},
    {"1 0 1 ok | a x 1\n1 2 3 ok | r x", MOOT_ISOLATION_SESSION_SERIALIZABLE,
     "the same process called"},
    {"1 0 1 ok | a x 1\n2 2 3 ok | r x", MOOT_ISOLATION_STRICT_SERIALIZABLE, "was over before T"},
    {"1 0 1 ok | a x 1\n2 1 3 ok | r x", NEVER, ""},
    {"1 0 9 ok | r x 7", MOOT_ISOLATION_READ_UNCOMMITTED, "garbage read"},
    {"1 0 1 ok | a x 1\n2 2 3 ok | r x 1 1", MOOT_ISOLATION_READ_UNCOMMITTED, "duplicate"},
    {"1 0 1 ok | a x 1\n2 0 1 ok | a x 2\n3 2 3 ok | r x 1 2\n4 2 3 ok | r x 2",
     MOOT_ISOLATION_READ_UNCOMMITTED, "incompatible orders"},
};

static const struct hand_made registers[] = {
    {"1 0 1 ok | w x 1 | w y 1\n2 2 3 ok | r x 1 | r y 1 | w x 2\n3 4 5 ok | r x 2", NEVER, ""},
    {"1 0 1 fail | w x 1\n2 2 3 ok | r x 1", MOOT_ISOLATION_READ_COMMITTED, "G1a"},
    {"1 0 5 ok | w x 1 | w x 2\n2 2 3 ok | r x 1", MOOT_ISOLATION_READ_COMMITTED, "G1b"},
    {"1 0 9 ok | w x 1 | r y 2\n2 0 9 ok | w y 2 | r x 1", MOOT_ISOLATION_READ_COMMITTED, "G1c"},
    {"1 0 9 ok | r x | r y 2\n2 0 9 ok | w x 1 | w y 2", MOOT_ISOLATION_SNAPSHOT, "G-single"},
    {"1 0 9 ok | r x | w x 1\n2 0 9 ok | r x | w x 2", MOOT_ISOLATION_SNAPSHOT, "lost update"},
    {"1 0 9 ok | r x | w y 1\n2 0 9 ok | r y | w x 2", MOOT_ISOLATION_SERIALIZABLE, "G2"},
    {"1 0 9 ok | w x 1 | r x 2\n2 0 9 ok | w x 2", MOOT_ISOLATION_SNAPSHOT, "internal"},
    {"1 0 1 ok | w x 1\n2 2 3 ok | w x 2\n3 4 5 ok | r x 1", MOOT_ISOLATION_STRICT_SERIALIZABLE,
     "real time"},
    {"1 0 1 ok | w x 1\n2 2 3 ok | w x 2\n3 4 5 ok | r x 2", NEVER, ""},
    {"1 0 1 ok | w x 1\n1 2 3 ok | r x", MOOT_ISOLATION_SESSION_SERIALIZABLE, "process"},
    {"1 0 1 - | w x 1\n1 2 3 ok | r x\n2 8 9 ok | r x 1", NEVER, ""},
};

static void history_of(struct moot_history *history, bool lists, const char *text)
{
    char copy[4096], *rest = copy;
    moot_history_init(history);
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        add_line(history, lists, line);
    }
}

static void judge_all(const struct hand_made *cases, size_t count, bool lists)
{
    for (size_t i = 0; i < count; i++) {
        for (unsigned level = 0; level < MOOT_ISOLATION_LEVELS_COUNT; level++) {
            struct moot_history history;
            struct moot_verdict verdict;
            history_of(&history, lists, cases[i].text);
            judge(&history, lists, level, &verdict);
            moot_buffer_append(&verdict.words, "", 1);
            const char *words = (const char *)verdict.words.data;
            bool bad = level >= cases[i].forbids;
            bool right = (verdict.judgement == MOOT_JUDGEMENT_VIOLATION) == bad;
            right &= bad || verdict.judgement == MOOT_JUDGEMENT_VALID;
            if (!right || (level == cases[i].forbids && strncmp(cases[i].says, "without", 7) != 0 &&
                           strstr(words, cases[i].says) == NULL)) {
                fail_msg("%s\nat %s: %s: %s", cases[i].text, moot_isolation_text(level),
                         moot_judgement_text(verdict.judgement), words);
            }
            moot_verdict_deinit(&verdict);
            moot_history_deinit(&history);
        }
    }
}

/* Goal: each anomaly is a violation from its level on, named, and none below.
 * Method: the smallest history of each, judged at every level. */
static void anomalies_by_hand(void **state)
{
    (void)state;
    judge_all(appends, sizeof(appends) / sizeof(appends[0]), true);
    judge_all(registers, sizeof(registers) / sizeof(registers[0]), false);
}

/* The oracle. Values are numbers: a list is its digits, least significant the last. */
enum { TXNS_MAX = 6, STEPS = 3, KEYS = 2 };

struct tiny_step {
    bool is_read;
    int key;
    uint64_t value; /* Written, or seen. */
};

struct tiny {
    struct tiny_step steps[STEPS];
    int count, process, outcome;
    uint64_t called, returned;
};

struct world {
    struct tiny txns[TXNS_MAX];
    int count;
    bool lists;
};

static uint64_t after_write(bool lists, uint64_t state, uint64_t value)
{
    return lists ? state * 32 + value : value;
}

/* Runs a transaction on a state; false when a read disagrees. `record`: reads take what they see.
 */
static bool run(struct world *world, struct tiny *txn, uint64_t state[KEYS], bool record)
{
    for (int i = 0; i < txn->count; i++) {
        struct tiny_step *step = &txn->steps[i];
        if (!step->is_read) {
            state[step->key] = after_write(world->lists, state[step->key], step->value);
        } else if (record) {
            step->value = state[step->key];
        } else if (txn->outcome == MOOT_OUTCOME_OK && step->value != state[step->key]) {
            return false;
        }
    }
    return true;
}

/* True when some order of the transactions not yet placed works. */
static bool some_order(struct world *world, unsigned placed, const uint64_t state[KEYS],
                       enum moot_isolation level)
{
    bool done = true;
    for (int i = 0; i < world->count; i++) {
        done &= (placed >> i & 1) != 0 || world->txns[i].outcome != MOOT_OUTCOME_OK;
    }
    if (done) {
        return true;
    }
    for (int i = 0; i < world->count; i++) {
        struct tiny *txn = &world->txns[i];
        bool may = (placed >> i & 1) == 0 && txn->outcome != MOOT_OUTCOME_FAIL;
        for (int j = 0; j < world->count && may; j++) {
            struct tiny *other = &world->txns[j];
            bool before =
                other->outcome == MOOT_OUTCOME_OK && other->returned < txn->called &&
                (level == MOOT_ISOLATION_STRICT_SERIALIZABLE ||
                 (level == MOOT_ISOLATION_SESSION_SERIALIZABLE && other->process == txn->process));
            may = (placed >> j & 1) != 0 || !before;
        }
        uint64_t next[KEYS];
        memcpy(next, state, sizeof(next));
        if (may && run(world, txn, next, false) &&
            some_order(world, placed | 1U << i, next, level)) {
            return true;
        }
    }
    return false;
}

static bool writes_key(const struct tiny *txn, int key)
{
    bool does = false;
    for (int i = 0; i < txn->count; i++) {
        does |= !txn->steps[i].is_read && txn->steps[i].key == key;
    }
    return does;
}

/* Snapshot isolation: an order of commits, and for each transaction a snapshot somewhere before its
 * own commit, with nobody between who wrote what it writes (Berenson et al. 1995). */
static bool some_commits(struct world *world, unsigned placed, int *order, int count,
                         uint64_t states[TXNS_MAX + 1][KEYS])
{
    bool done = true;
    for (int i = 0; i < world->count; i++) {
        done &= (placed >> i & 1) != 0 || world->txns[i].outcome != MOOT_OUTCOME_OK;
    }
    for (int i = 0; i < world->count && !done; i++) {
        struct tiny *txn = &world->txns[i];
        if ((placed >> i & 1) != 0 || txn->outcome == MOOT_OUTCOME_FAIL) {
            continue;
        }
        bool fits = false, conflict = false;
        for (int snapshot = count; snapshot >= 0 && !fits && !conflict; snapshot--) {
            uint64_t own[KEYS];
            memcpy(own, states[snapshot], sizeof(own));
            fits = run(world, txn, own, false);
            for (int key = 0; key < KEYS && snapshot > 0; key++) {
                conflict |=
                    writes_key(txn, key) && writes_key(&world->txns[order[snapshot - 1]], key);
            }
        }
        if (!fits) {
            continue;
        }
        memcpy(states[count + 1], states[count], sizeof(states[0]));
        for (int j = 0; j < txn->count; j++) {
            struct tiny_step *step = &txn->steps[j];
            if (!step->is_read) {
                uint64_t *at = &states[count + 1][step->key];
                *at = after_write(world->lists, *at, step->value);
            }
        }
        order[count] = i;
        if (some_commits(world, placed | 1U << i, order, count + 1, states)) {
            return true;
        }
    }
    return done;
}

static bool oracle(struct world *world, enum moot_isolation level)
{
    uint64_t states[TXNS_MAX + 1][KEYS] = {{0}};
    int order[TXNS_MAX];
    if (level == MOOT_ISOLATION_SNAPSHOT) {
        return some_commits(world, 0, order, 0, states);
    }
    return some_order(world, 0, states[0], level);
}

static void write_world(const struct world *world, struct moot_history *history)
{
    char text[2048];
    size_t at = 0;
    for (int i = 0; i < world->count; i++) {
        const struct tiny *txn = &world->txns[i];
        static const char *const outcomes[] = {"doubt", "ok", "fail"};
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%d %llu %llu %s", i > 0 ? "\n" : "",
                               txn->process, (unsigned long long)txn->called,
                               (unsigned long long)txn->returned, outcomes[txn->outcome]);
        for (int j = 0; j < txn->count; j++) {
            const struct tiny_step *step = &txn->steps[j];
            char kind = step->is_read ? 'r' : world->lists ? 'a' : 'w';
            at += (size_t)snprintf(text + at, sizeof(text) - at, " | %c %c", kind, 'x' + step->key);
            int shift = 0;
            while (world->lists && step->value >> shift >= 32) {
                shift += 5;
            }
            for (uint64_t value = step->value; value != 0 && shift >= 0; shift -= 5) {
                at += (size_t)snprintf(text + at, sizeof(text) - at, " %d",
                                       (int)(value >> shift & 31));
            }
        }
    }
    history_of(history, world->lists, text);
}

/* Some reads see a state of another time. */
static void damage(struct moot_rng *rng, struct world *world, uint64_t tries_max,
                   uint64_t states[TXNS_MAX + 1][KEYS])
{
    for (uint64_t tries = moot_rng_below(rng, tries_max); tries > 0; tries--) {
        struct tiny *txn = &world->txns[moot_rng_below(rng, (uint64_t)world->count)];
        struct tiny_step *step = &txn->steps[moot_rng_below(rng, (uint64_t)txn->count)];
        if (step->is_read) {
            step->value = states[moot_rng_below(rng, (uint64_t)world->count + 1)][step->key];
        }
    }
}

static void make_world(struct moot_rng *rng, struct world *world, int steps_max)
{
    uint64_t states[TXNS_MAX + 1][KEYS] = {{0}},
                               reach = 1 + moot_rng_below(rng, steps_max == 1 ? 20 : 60);
    uint64_t values[KEYS] = {0}, stale = moot_rng_below(rng, 3);
    world->count = 2 + (int)moot_rng_below(rng, TXNS_MAX - 1);
    for (int i = 0; i < world->count; i++) {
        struct tiny *txn = &world->txns[i];
        uint64_t at = 100 + 10 * (uint64_t)i;
        *txn = (struct tiny){
            .count = 1 + (int)moot_rng_below(rng, (uint64_t)steps_max),
            .process = (int)moot_rng_below(rng, 3),
            .outcome = MOOT_OUTCOME_OK,
            .called = at - moot_rng_below(rng, reach),
            .returned = at + moot_rng_below(rng, reach),
        };
        for (int j = 0; j < txn->count; j++) {
            struct tiny_step *step = &txn->steps[j];
            step->is_read = moot_rng_chance(rng, 1, 2);
            step->key = (int)moot_rng_below(rng, KEYS);
            step->value = step->is_read ? 0 : ++values[step->key];
        }
        /* Reads from a snapshot that may be old: often wrong, and often not. */
        uint64_t back = moot_rng_chance(rng, stale, 4) ? moot_rng_below(rng, 3) : 0, own[KEYS];
        memcpy(own, states[(uint64_t)i - moot_min_u64(back, (uint64_t)i)], sizeof(own));
        run(world, txn, own, true);
        memcpy(states[i + 1], states[i], sizeof(states[0]));
        if (moot_rng_chance(rng, 1, 8)) {
            txn->outcome = moot_rng_chance(rng, 1, 2) ? MOOT_OUTCOME_FAIL : MOOT_OUTCOME_INDOUBT;
        }
        for (int j = 0; j < txn->count && txn->outcome != MOOT_OUTCOME_FAIL; j++) {
            struct tiny_step *step = &txn->steps[j];
            if (!step->is_read) {
                states[i + 1][step->key] =
                    after_write(world->lists, states[i + 1][step->key], step->value);
            }
        }
    }
    damage(rng, world, steps_max == 1 ? 12 : 4, states);
}

/* Goal: lists and registers are judged exactly at the levels that have an oracle.
 * Method: small random databases that sometimes read from old snapshots, against every order. */
static void agrees_with_every_order(void **state)
{
    (void)state;
    struct moot_rng rng;
    moot_rng_init(&rng, 5);
    size_t counts[2][3] = {{0}};
    for (int round = 0; round < 20000; round++) {
        struct world world = {.lists = round % 2 == 0};
        struct moot_history history;
        make_world(&rng, &world, STEPS);
        write_world(&world, &history);
        for (unsigned level = MOOT_ISOLATION_SNAPSHOT; level < MOOT_ISOLATION_LEVELS_COUNT;
             level++) {
            struct moot_verdict verdict;
            judge(&history, world.lists, level, &verdict);
            bool good = oracle(&world, level);
            bool right =
                verdict.judgement == (good ? MOOT_JUDGEMENT_VALID : MOOT_JUDGEMENT_VIOLATION);
            counts[world.lists][verdict.judgement]++;
            if (!right) {
                struct moot_buffer text;
                moot_buffer_init(&text);
                moot_history_write(&history, &text);
                fail_msg("round %d at %s: %s, wanted %s\n%.*s%.*s", round,
                         moot_isolation_text(level), moot_judgement_text(verdict.judgement),
                         good ? "valid" : "violation", (int)text.size, (const char *)text.data,
                         (int)verdict.words.size, (const char *)verdict.words.data);
            }
            moot_verdict_deinit(&verdict);
        }
        moot_history_deinit(&history);
    }
    assert_true(counts[1][MOOT_JUDGEMENT_VALID] > 1000);
    assert_true(counts[1][MOOT_JUDGEMENT_VIOLATION] > 1000);
    assert_true(counts[0][MOOT_JUDGEMENT_VALID] > 1000);
    assert_true(counts[0][MOOT_JUDGEMENT_VIOLATION] > 1000);
}

/* Goal: what is sequentially consistent is causally so, in both senses, and sequential is
 * judged exactly. Method: single reads and writes, against every order. */
static void sequential_is_causal(void **state)
{
    (void)state;
    struct moot_rng rng;
    moot_rng_init(&rng, 6);
    size_t counts[3] = {0}, weaker = 0;
    for (int round = 0; round < 20000; round++) {
        struct world world = {.lists = false};
        struct moot_history history;
        struct moot_verdict causal, convergent, sequential;
        make_world(&rng, &world, 1);
        write_world(&world, &history);
        bool good = oracle(&world, MOOT_ISOLATION_SESSION_SERIALIZABLE);
        moot_verdict_init(&causal);
        moot_verdict_init(&convergent);
        moot_verdict_init(&sequential);
        moot_check_causal(&history, false, &causal);
        moot_check_causal(&history, true, &convergent);
        moot_check_sequential(&history, &sequential);
        assert_true(!good || causal.judgement != MOOT_JUDGEMENT_VIOLATION);
        assert_true(!good || convergent.judgement != MOOT_JUDGEMENT_VIOLATION);
        assert_true(causal.judgement != MOOT_JUDGEMENT_VIOLATION ||
                    convergent.judgement == MOOT_JUDGEMENT_VIOLATION);
        assert_int_equal(sequential.judgement,
                         good ? MOOT_JUDGEMENT_VALID : MOOT_JUDGEMENT_VIOLATION);
        counts[sequential.judgement]++;
        weaker += !good && causal.judgement == MOOT_JUDGEMENT_VALID;
        moot_verdict_deinit(&causal);
        moot_verdict_deinit(&convergent);
        moot_verdict_deinit(&sequential);
        moot_history_deinit(&history);
    }
    assert_true(counts[MOOT_JUDGEMENT_VALID] > 1000);
    assert_true(counts[MOOT_JUDGEMENT_VIOLATION] > 200);
    assert_true(weaker > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anomalies_by_hand),
        cmocka_unit_test(agrees_with_every_order),
        cmocka_unit_test(sequential_is_causal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
