/* Isolation levels against their definitions (Adya 1999): every order of the versions of every key,
 * the graph of dependencies that follows from it, and its cycles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/slice.h"
#include "check/transaction.h"

enum { TXNS_MAX = 5, STEPS_MAX = 4, KEYS = 2, VALUES_MAX = 4 /* Of a key, numbered from 1. */ };

struct step {
    bool is_read;
    int key, value;
    int seen[VALUES_MAX], seen_count; /* Of a register the last one counts. */
};

struct txn {
    struct step steps[STEPS_MAX];
    int count, done; /* Steps that ran. */
    enum moot_outcome outcome;
    bool happens;
    uint32_t process;
    uint64_t called, returned;
};

struct world {
    struct txn txns[TXNS_MAX];
    int count;
    bool lists;
    int values[KEYS];                 /* How many there are; */
    int writer[KEYS][VALUES_MAX + 1]; /* of each its transaction, */
    int place[KEYS][VALUES_MAX + 1];  /* and its step there. */
};

/* ---- random executions, isolated or not ---- */

struct state {
    int items[VALUES_MAX], count;
};

enum mode { SERIAL, DIRTY, COMMITTED, SNAPSHOT, MODES };

static void append(struct state *state, int value) { state->items[state->count++] = value; }

static void take_back(struct state *state, const struct world *world, int key, int txn)
{
    int kept = 0;
    for (int i = 0; i < state->count; i++) {
        if (world->writer[key][state->items[i]] != txn) {
            state->items[kept++] = state->items[i];
        }
    }
    state->count = kept;
}

static void make_steps(struct moot_rng *rng, struct world *world)
{
    world->count = 2 + (int)moot_rng_below(rng, TXNS_MAX - 1);
    for (int t = 0; t < world->count; t++) {
        struct txn *txn = &world->txns[t];
        uint64_t dice = moot_rng_below(rng, 16);
        *txn = (struct txn){
            .count = 1 + (int)moot_rng_below(rng, STEPS_MAX),
            .process = (uint32_t)moot_rng_below(rng, 3),
            .outcome = dice == 0  ? MOOT_OUTCOME_FAIL
                       : dice < 3 ? MOOT_OUTCOME_INDOUBT
                                  : MOOT_OUTCOME_OK,
        };
        txn->happens = txn->outcome == MOOT_OUTCOME_OK ||
                       (txn->outcome == MOOT_OUTCOME_INDOUBT && moot_rng_chance(rng, 1, 2));
        for (int s = 0; s < txn->count; s++) {
            int key = (int)moot_rng_below(rng, KEYS);
            bool is_read = world->values[key] == VALUES_MAX || moot_rng_chance(rng, 1, 2);
            txn->steps[s] = (struct step){.is_read = is_read, .key = key};
            if (!is_read) {
                int value = ++world->values[key];
                txn->steps[s].value = value;
                world->writer[key][value] = t;
                world->place[key][value] = s;
            }
        }
    }
}

/* The whole execution: what is shared, what each transaction began with, and its own writes. */
struct execution {
    enum mode mode;
    struct state shared[KEYS];
    struct state begun[TXNS_MAX][KEYS];
    struct state past[32]; /* Of any key and time, for reads that go astray; */
    int past_key[32], past_count;
};

static void run_read(struct execution *execution, struct world *world, int t, struct step *step)
{
    struct state view =
        execution->mode == SNAPSHOT ? execution->begun[t][step->key] : execution->shared[step->key];
    struct txn *txn = &world->txns[t];
    bool buffered = execution->mode == SNAPSHOT || execution->mode == COMMITTED;
    for (int i = 0; i < txn->done && buffered; i++) { /* And what it wrote itself. */
        if (!txn->steps[i].is_read && txn->steps[i].key == step->key) {
            append(&view, txn->steps[i].value);
        }
    }
    step->seen_count = view.count;
    memcpy(step->seen, view.items, sizeof(view.items));
}

static void finish(struct execution *execution, struct world *world, int t)
{
    struct txn *txn = &world->txns[t];
    bool buffered = execution->mode == SNAPSHOT || execution->mode == COMMITTED;
    for (int s = 0; s < txn->count; s++) {
        const struct step *step = &txn->steps[s];
        if (!step->is_read && txn->happens && buffered) {
            append(&execution->shared[step->key], step->value);
        } else if (!step->is_read && !txn->happens && !buffered) {
            take_back(&execution->shared[step->key], world, step->key, t);
        }
    }
}

static void run_step(struct execution *execution, struct world *world, int t, uint64_t now)
{
    struct txn *txn = &world->txns[t];
    struct step *step = &txn->steps[txn->done];
    if (txn->done == 0) {
        txn->called = now;
        memcpy(execution->begun[t], execution->shared, sizeof(execution->shared));
    }
    bool at_once = execution->mode == SERIAL || execution->mode == DIRTY;
    if (step->is_read) {
        run_read(execution, world, t, step);
    } else if (at_once) {
        append(&execution->shared[step->key], step->value);
    }
    if (execution->past_count < 32) {
        execution->past_key[execution->past_count] = step->key;
        execution->past[execution->past_count++] = execution->shared[step->key];
    }
    txn->done++;
    if (txn->done == txn->count) {
        finish(execution, world, t);
        txn->returned = now + 1;
    }
}

/* Some reads see a state of another time. */
static void stray(struct moot_rng *rng, struct world *world, const struct execution *execution)
{
    for (uint64_t tries = moot_rng_below(rng, 3); tries > 0; tries--) {
        struct txn *txn = &world->txns[moot_rng_below(rng, (uint64_t)world->count)];
        struct step *step = &txn->steps[moot_rng_below(rng, (uint64_t)txn->count)];
        int past = (int)moot_rng_below(rng, (uint64_t)execution->past_count);
        if (step->is_read && execution->past_key[past] == step->key) {
            step->seen_count = execution->past[past].count;
            memcpy(step->seen, execution->past[past].items, sizeof(step->seen));
        }
    }
}

static void make_world(struct moot_rng *rng, struct world *world, bool lists)
{
    static struct execution execution;
    memset(&execution, 0, sizeof(execution));
    *world = (struct world){.lists = lists};
    execution.mode = (enum mode)moot_rng_below(rng, MODES);
    make_steps(rng, world);
    int left = world->count, current = 0;
    for (uint64_t now = 10; left > 0; now += 10) {
        bool stays = execution.mode == SERIAL && world->txns[current].done > 0 &&
                     world->txns[current].done < world->txns[current].count;
        while (!stays && (current = (int)moot_rng_below(rng, (uint64_t)world->count),
                          world->txns[current].done == world->txns[current].count)) {
        }
        run_step(&execution, world, current, now);
        left -= world->txns[current].done == world->txns[current].count;
    }
    if (moot_rng_chance(rng, 1, 2)) {
        stray(rng, world, &execution);
    }
}

static void write_world(const struct world *world, struct moot_history *history)
{
    static const char *const names[KEYS] = {"x", "y"};
    static const char *const digits[VALUES_MAX + 1] = {"0", "1", "2", "3", "4"};
    moot_history_init(history);
    for (int t = 0; t < world->count; t++) {
        const struct txn *txn = &world->txns[t];
        struct moot_history_step steps[STEPS_MAX];
        struct moot_slice items[STEPS_MAX][VALUES_MAX];
        for (int s = 0; s < txn->count; s++) {
            const struct step *step = &txn->steps[s];
            for (int i = 0; i < step->seen_count; i++) {
                items[s][i] = moot_slice_text(digits[step->seen[i]]);
            }
            steps[s] = (struct moot_history_step){
                .kind = step->is_read  ? MOOT_OPERATION_READ
                        : world->lists ? MOOT_OPERATION_APPEND
                                       : MOOT_OPERATION_WRITE,
                .key = moot_slice_text(names[step->key]),
                .value = moot_history_bytes(moot_slice_text(digits[step->value])),
            };
            if (step->is_read && world->lists) {
                steps[s].value = moot_history_list(items[s], (size_t)step->seen_count);
            } else if (step->is_read) {
                steps[s].value = step->seen_count == 0
                                     ? moot_history_nil()
                                     : moot_history_bytes(items[s][step->seen_count - 1]);
            }
        }
        moot_history_add(history, &(struct moot_operation){
                                      .process = txn->process,
                                      .kind = MOOT_OPERATION_TXN,
                                      .outcome = txn->outcome,
                                      .steps = steps,
                                      .steps_count = (size_t)txn->count,
                                      .called = {txn->called},
                                      .returned = {txn->returned},
                                  });
    }
}

/* ---- the definitions ---- */

enum { OUTSIDE_NONE = -1, OUTSIDE_WRONG = -2 };

/* How many of the values that a read saw were there before its transaction's own; NONE when it
 * looks inside only, WRONG when it contradicts what its transaction did before. */
static int outside(const struct world *world, const struct txn *txn, int at)
{
    const struct step *read = &txn->steps[at];
    int left = read->seen_count;
    for (int i = at - 1; i >= 0; i--) {
        const struct step *before = &txn->steps[i];
        if (before->key != read->key) {
            continue;
        }
        if (before->is_read && world->lists) {
            bool same = left == before->seen_count &&
                        memcmp(read->seen, before->seen, (size_t)left * sizeof(int)) == 0;
            return same ? OUTSIDE_NONE : OUTSIDE_WRONG;
        }
        if (before->is_read) {
            bool same = (left == 0) == (before->seen_count == 0) &&
                        (left == 0 || read->seen[left - 1] == before->seen[before->seen_count - 1]);
            return same ? OUTSIDE_NONE : OUTSIDE_WRONG;
        }
        if (left == 0 || read->seen[left - 1] != before->value) {
            return OUTSIDE_WRONG;
        }
        if (!world->lists) {
            return OUTSIDE_NONE;
        }
        left--;
    }
    return left;
}

static bool is_final(const struct world *world, int key, int value)
{
    const struct txn *txn = &world->txns[world->writer[key][value]];
    for (int s = world->place[key][value] + 1; s < txn->count; s++) {
        if (!txn->steps[s].is_read && txn->steps[s].key == key) {
            return false;
        }
    }
    return true;
}

/* The values that a read shows: of a register the last one only. */
static int first_shown(const struct world *world, const struct step *read)
{
    return world->lists || read->seen_count == 0 ? 0 : read->seen_count - 1;
}

/* How many of the values that a read shows there are up to the last that another wrote. */
static int foreign(const struct world *world, int t, int s)
{
    const struct step *read = &world->txns[t].steps[s];
    int left = read->seen_count, first = first_shown(world, read);
    while (left > first && world->writer[read->key][read->seen[left - 1]] == t) {
        left--;
    }
    return left > first ? left : 0;
}

/* In doubt, and seen by who was answered: it happened. */
static void find_committed(const struct world *world, bool committed[TXNS_MAX])
{
    for (int t = 0; t < world->count; t++) {
        committed[t] = world->txns[t].outcome == MOOT_OUTCOME_OK;
    }
    for (int t = 0; t < world->count; t++) {
        const struct txn *txn = &world->txns[t];
        for (int s = 0; s < txn->count && txn->outcome == MOOT_OUTCOME_OK; s++) {
            const struct step *step = &txn->steps[s];
            for (int i = first_shown(world, step); step->is_read && i < step->seen_count; i++) {
                int writer = world->writer[step->key][step->seen[i]];
                committed[writer] |= world->txns[writer].outcome != MOOT_OUTCOME_FAIL;
            }
        }
    }
}

/* G1a, G1b and what is wrong with one read alone; internal inconsistency from snapshots on. */
static bool reads_are_good(const struct world *world, enum moot_isolation level)
{
    for (int t = 0; t < world->count; t++) {
        const struct txn *txn = &world->txns[t];
        for (int s = 0; s < txn->count && txn->outcome == MOOT_OUTCOME_OK; s++) {
            const struct step *step = &txn->steps[s];
            if (!step->is_read || level < MOOT_ISOLATION_READ_COMMITTED) {
                continue;
            }
            for (int i = first_shown(world, step); i < step->seen_count; i++) {
                int writer = world->writer[step->key][step->seen[i]];
                bool is_later = writer == t && world->place[step->key][step->seen[i]] > s;
                if (world->txns[writer].outcome == MOOT_OUTCOME_FAIL || is_later) {
                    return false;
                }
            }
            int others = foreign(world, t, s);
            if (others > 0 && !is_final(world, step->key, step->seen[others - 1])) {
                return false;
            }
            bool wrong = outside(world, txn, s) == OUTSIDE_WRONG;
            if (wrong && level >= MOOT_ISOLATION_SNAPSHOT) {
                return false;
            }
        }
    }
    return true;
}

struct orders {
    int items[KEYS][VALUES_MAX], count[KEYS];
};

typedef bool relation[TXNS_MAX][TXNS_MAX];

static void close_over(relation r)
{
    for (int k = 0; k < TXNS_MAX; k++) {
        for (int i = 0; i < TXNS_MAX; i++) {
            for (int j = 0; j < TXNS_MAX; j++) {
                r[i][j] |= r[i][k] && r[k][j];
            }
        }
    }
}

static bool goes_round(const relation r)
{
    relation all;
    memcpy(all, r, sizeof(all));
    close_over(all);
    bool found = false;
    for (int i = 0; i < TXNS_MAX; i++) {
        found |= all[i][i];
    }
    return found;
}

/* Is what a read shows of another time a beginning of the order? And its edges. */
static bool add_read(const struct world *world, const struct orders *orders, int t, int s,
                     enum moot_isolation level, relation wr, relation rw)
{
    const struct step *read = &world->txns[t].steps[s];
    const int *order = orders->items[read->key];
    int at = 0, count = orders->count[read->key], before = outside(world, &world->txns[t], s);
    int others = foreign(world, t, s);
    for (int i = 0; world->lists && i < read->seen_count; i++) {
        int writer = world->writer[read->key][read->seen[i]];
        if (world->txns[writer].outcome == MOOT_OUTCOME_FAIL) {
            continue; /* Judged apart. */
        }
        if (at == count || order[at] != read->seen[i]) {
            return false;
        }
        at++;
    }
    if (level < MOOT_ISOLATION_READ_COMMITTED) {
        return true;
    }
    if (others > 0) {
        wr[world->writer[read->key][read->seen[others - 1]]][t] = true;
    }
    if (before < 0) {
        return true;
    }
    int next = 0; /* The place of what comes after what it read. */
    while (before > 0 && next < count && order[next++] != read->seen[before - 1]) {
    }
    for (; next < count; next++) {
        int writer = world->writer[read->key][order[next]];
        rw[t][writer] |= writer != t;
    }
    return true;
}

/* Whether these orders of versions show nothing that the level forbids. */
static bool is_allowed(const struct world *world, const struct orders *orders,
                       const bool committed[TXNS_MAX], enum moot_isolation level)
{
    relation ww = {{false}}, wr = {{false}}, rw = {{false}}, plain, all, spaced;
    for (int key = 0; key < KEYS; key++) {
        for (int i = 0; i < orders->count[key]; i++) {
            for (int j = i + 1; j < orders->count[key]; j++) {
                int a = world->writer[key][orders->items[key][i]];
                int b = world->writer[key][orders->items[key][j]];
                ww[a][b] |= a != b;
            }
        }
    }
    for (int t = 0; t < world->count; t++) {
        for (int s = 0; s < world->txns[t].count; s++) {
            if (world->txns[t].outcome == MOOT_OUTCOME_OK && world->txns[t].steps[s].is_read &&
                !add_read(world, orders, t, s, level, wr, rw)) {
                return false;
            }
        }
    }
    if (goes_round(ww)) { /* G0 */
        return false;
    }
    for (int a = 0; a < TXNS_MAX; a++) {
        for (int b = 0; b < TXNS_MAX; b++) {
            const struct txn *first = &world->txns[a], *then = &world->txns[b];
            bool both = a < world->count && b < world->count && committed[a] && committed[b];
            bool in_time =
                both && first->outcome == MOOT_OUTCOME_OK && first->returned < then->called &&
                (level == MOOT_ISOLATION_STRICT_SERIALIZABLE ||
                 (level == MOOT_ISOLATION_SESSION_SERIALIZABLE && first->process == then->process));
            plain[a][b] = ww[a][b] || wr[a][b] || in_time;
            all[a][b] = plain[a][b] || rw[a][b];
        }
    }
    if (level >= MOOT_ISOLATION_READ_COMMITTED && goes_round(plain)) { /* G1c */
        return false;
    }
    close_over(plain);
    memcpy(spaced, plain, sizeof(spaced)); /* An anti-dependency, and then something else. */
    for (int a = 0; a < TXNS_MAX; a++) {
        for (int b = 0; b < TXNS_MAX; b++) {
            for (int c = 0; c < TXNS_MAX; c++) {
                spaced[a][c] |= rw[a][b] && plain[b][c];
            }
        }
    }
    if (level >= MOOT_ISOLATION_SNAPSHOT && goes_round(spaced)) { /* G-single, G-nonadjacent */
        return false;
    }
    return level < MOOT_ISOLATION_SERIALIZABLE || !goes_round(all); /* G2 */
}

/* Some order of what committed transactions wrote, each transaction's own in its order. Of a
 * register only the last that a transaction wrote is a version. */
static bool some_orders(const struct world *world, struct orders *orders,
                        const bool committed[TXNS_MAX], enum moot_isolation level, int key)
{
    if (key == KEYS) {
        return is_allowed(world, orders, committed, level);
    }
    bool whole = true;
    for (int value = 1; value <= world->values[key]; value++) {
        int writer = world->writer[key][value];
        bool taken = !committed[writer] || (!world->lists && !is_final(world, key, value));
        bool early = false;
        for (int i = 0; i < orders->count[key]; i++) {
            taken |= orders->items[key][i] == value;
        }
        for (int other = 1; other < value && world->lists && !taken; other++) {
            bool placed = false;
            for (int i = 0; i < orders->count[key]; i++) {
                placed |= orders->items[key][i] == other;
            }
            early |= world->writer[key][other] == writer && !placed;
        }
        if (taken) {
            continue;
        }
        whole = false;
        if (early) {
            continue;
        }
        orders->items[key][orders->count[key]++] = value;
        bool found = some_orders(world, orders, committed, level, key);
        orders->count[key]--;
        if (found) {
            return true;
        }
    }
    return whole && some_orders(world, orders, committed, level, key + 1);
}

static bool oracle(const struct world *world, enum moot_isolation level)
{
    bool committed[TXNS_MAX] = {false};
    struct orders orders = {.count = {0}};
    find_committed(world, committed);
    return reads_are_good(world, level) && some_orders(world, &orders, committed, level, 0);
}

/* Goal: at every level, from read uncommitted on, lists and registers are judged exactly as the
 * definition says; no verdict is unknown.
 * Method: small random executions, serial, dirty, of committed reads and of snapshots, some with
 * reads astray; each level must forbid some that the one below allows. */
static void agrees_with_the_definitions(void **state)
{
    (void)state;
    struct moot_rng rng;
    size_t first[2][MOOT_ISOLATION_LEVELS_COUNT + 1] = {{0}};
    moot_rng_init(&rng, 21);
    for (int round = 0; round < 30000; round++) {
        struct world world;
        struct moot_history history;
        make_world(&rng, &world, round % 2 == 0);
        write_world(&world, &history);
        unsigned forbids = MOOT_ISOLATION_LEVELS_COUNT;
        for (unsigned level = 0; level < MOOT_ISOLATION_LEVELS_COUNT; level++) {
            struct moot_verdict verdict;
            moot_verdict_init(&verdict);
            (world.lists ? moot_check_append_txns : moot_check_register_txns)(&history, level,
                                                                              &verdict);
            bool good = oracle(&world, level);
            forbids = good || level >= forbids ? forbids : level;
            bool right =
                verdict.judgement == (good ? MOOT_JUDGEMENT_VALID : MOOT_JUDGEMENT_VIOLATION);
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
        first[world.lists][forbids]++;
        moot_history_deinit(&history);
    }
    for (unsigned level = 0; level <= MOOT_ISOLATION_LEVELS_COUNT; level++) {
        bool any = level == MOOT_ISOLATION_READ_UNCOMMITTED; /* Of registers, any order will do. */
        if (first[1][level] < 20 || (first[0][level] < 20 && !any)) {
            fail_msg("level %u is the first to forbid %zu lists, %zu registers", level,
                     first[1][level], first[0][level]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_definitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
