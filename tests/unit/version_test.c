#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/slice.h"
#include "moot/version.h"

enum { A = 1, B = 2, C = 3 };
static const struct moot_version NOTHING;

static void write_at(struct moot_siblings *at, moot_actor actor, const struct moot_version *context,
                     uint64_t value)
{
    struct moot_dot dot;
    assert_int_equal(moot_siblings_write(at, context, actor, value, &dot), 0);
    assert_int_equal(dot.actor, actor);
}

static struct moot_version context_of(const struct moot_siblings *at)
{
    struct moot_version context;
    moot_siblings_context(at, &context);
    return context;
}

static bool has_value(const struct moot_siblings *at, uint64_t value)
{
    for (uint32_t i = 0; i < at->value_count; i++) {
        if (at->values[i] == value) {
            return true;
        }
    }
    return false;
}

/* Goal: the lost update of one vector a server. Two clients have both seen v1 and write through A:
 * with plain vectors {A 2} and {A 3} the second would replace the first unseen; with dots both
 * stand, and a client that has seen both replaces both. (arXiv 1011.5808, section 3.) */
static void two_writers_through_one_server(void **state)
{
    (void)state;
    struct moot_version first = {0};
    assert_int_equal(moot_version_add(&first, (struct moot_dot){A, 2}), 0);
    struct moot_version second = {0};
    assert_int_equal(moot_version_add(&second, (struct moot_dot){A, 3}), 0);
    assert_int_equal(moot_version_compare(&first, &second), MOOT_ORDER_BEFORE); /* The fallacy. */

    struct moot_siblings at = {0};
    write_at(&at, A, &NOTHING, 1);
    struct moot_version seen = context_of(&at);
    write_at(&at, A, &seen, 2);
    write_at(&at, A, &seen, 3);
    assert_int_equal(at.value_count, 2);
    assert_true(has_value(&at, 2) && has_value(&at, 3) && !has_value(&at, 1));
    struct moot_version both = context_of(&at);
    write_at(&at, A, &both, 4);
    assert_int_equal(at.value_count, 1);
    assert_int_equal(at.values[0], 4);

    /* The same with the clock of one value each. */
    struct moot_dotted x = {.dot = {A, 2}, .context = seen};
    struct moot_dotted y = {.dot = {A, 3}, .context = seen};
    struct moot_dotted z = {.dot = {A, 4}, .context = both};
    assert_int_equal(moot_dotted_compare(&x, &y), MOOT_ORDER_CONCURRENT);
    assert_int_equal(moot_dotted_compare(&x, &z), MOOT_ORDER_BEFORE);
    assert_int_equal(moot_dotted_compare(&z, &y), MOOT_ORDER_AFTER);
    assert_int_equal(moot_dotted_compare(&z, &z), MOOT_ORDER_EQUAL);
}

/* What a server with one plain vector a value does, the way Riak did before dots: the stored
 * siblings share one vector, which each write raises; a write replaces all when its context covers
 * that vector, and else joins them. */
struct naive {
    uint64_t counter;
    uint32_t siblings;
};
static void naive_write(struct naive *at, uint64_t *context)
{
    bool covers = *context >= at->counter;
    at->counter += 1;
    at->siblings = covers ? 1 : at->siblings + 1;
}

/* Goal: sibling explosion (riak_test #383 and #480; PITFALLS 50): interleaved writers, each of
 * which has the reply to its own last write, and nothing newer. M rounds of N writers: the plain
 * way ends with about N * M siblings, this one never has more than N. */
static void interleaved_writers_do_not_explode(void **state)
{
    (void)state;
    enum { WRITERS = 4, ROUNDS = 50 };
    struct moot_siblings at = {0};
    struct naive naive = {0};
    struct moot_version contexts[WRITERS] = {0};
    uint64_t naive_contexts[WRITERS] = {0};
    for (uint64_t round = 0; round < ROUNDS; round++) {
        for (uint64_t writer = 0; writer < WRITERS; writer++) {
            struct moot_dot dot;
            uint64_t value = round * WRITERS + writer;
            assert_int_equal(moot_siblings_write(&at, &contexts[writer], A, value, &dot), 0);
            assert_true(at.value_count <= WRITERS);
            contexts[writer] = context_of(&at); /* The reply; by its next turn it is old. */
            naive_write(&naive, &naive_contexts[writer]);
            naive_contexts[writer] = naive.counter;
        }
    }
    assert_true(naive.siblings >= WRITERS * (ROUNDS - 1));
}

/* Goal: writes through two servers that are apart are siblings; once somebody has seen both, one
 * value is left everywhere: no false conflict remains. */
static void a_conflict_is_kept_and_then_resolved(void **state)
{
    (void)state;
    struct moot_siblings a = {0};
    struct moot_siblings b = {0};
    write_at(&a, A, &NOTHING, 1);
    assert_int_equal(moot_siblings_sync(&b, &a), 0);
    struct moot_version seen = context_of(&b);
    write_at(&a, A, &seen, 2);
    write_at(&b, B, &seen, 3);
    assert_int_equal(moot_siblings_sync(&a, &b), 0);
    assert_int_equal(a.value_count, 2);
    assert_int_equal(moot_siblings_dot(&a, 0).actor, A);
    assert_int_equal(moot_siblings_dot(&a, 1).actor, B);
    struct moot_version both = context_of(&a);
    write_at(&b, B, &both, 4); /* B has never seen value 2 itself: the context has. */
    assert_int_equal(b.value_count, 1);
    assert_int_equal(moot_siblings_sync(&a, &b), 0);
    assert_true(moot_siblings_equal(&a, &b));
    assert_int_equal(a.values[0], 4);
}

/* Goal: a deletion removes what its client had seen, and what it had not seen survives, whichever
 * way the replicas meet. */
static void deletions(void **state)
{
    (void)state;
    struct moot_siblings a = {0};
    struct moot_siblings b = {0};
    write_at(&a, A, &NOTHING, 1);
    assert_int_equal(moot_siblings_sync(&b, &a), 0);
    struct moot_version seen = context_of(&a);
    write_at(&b, B, &NOTHING, 2); /* Blind: replaces nothing. */
    assert_int_equal(b.value_count, 2);
    assert_int_equal(moot_siblings_remove(&a, &seen), 0);
    assert_int_equal(a.value_count, 0);
    assert_false(moot_siblings_retire(&b, B));
    assert_int_equal(moot_siblings_sync(&b, &a), 0);
    assert_int_equal(moot_siblings_sync(&a, &b), 0);
    assert_true(moot_siblings_equal(&a, &b));
    assert_int_equal(a.value_count, 1);
    assert_int_equal(a.values[0], 2);
    assert_true(moot_siblings_retire(&a, A)); /* Its values are gone. */
    assert_int_equal(a.actor_count, 1);
}

/* Goal: a replica that lost its data and goes on under its old name loses new writes (kv679,
 * PITFALLS 51); a context shows it, and a new actor cures it. */
static void an_actor_that_lost_its_data(void **state)
{
    (void)state;
    struct moot_siblings a = {0};
    for (uint64_t value = 1; value <= 3; value++) {
        struct moot_version seen = context_of(&a);
        write_at(&a, A, &seen, value);
    }
    struct moot_siblings b = a;
    struct moot_version known = context_of(&b);
    moot_siblings_init(&a); /* The disk is gone. */
    struct moot_dot dot;
    assert_int_equal(moot_siblings_write(&a, &known, A, 9, &dot), MOOT_EREFUSED);
    assert_int_equal(a.actor_count, 0);
    struct moot_siblings wrong = a;
    write_at(&wrong, A, &NOTHING, 10); /* Nothing can show it: a blind write. */
    assert_int_equal(moot_siblings_sync(&wrong, &b), 0);
    assert_false(has_value(&wrong, 10)); /* Lost. */
    enum { A_AGAIN = 1001 };
    write_at(&a, A_AGAIN, &known, 9);
    write_at(&a, A_AGAIN, &NOTHING, 10);
    assert_int_equal(moot_siblings_sync(&a, &b), 0);
    assert_true(has_value(&a, 9) && has_value(&a, 10) && !has_value(&a, 3));
}

/* Goal: a full set refuses and stays as it is. */
static void limits(void **state)
{
    (void)state;
    struct moot_siblings at = {0};
    struct moot_dot dot;
    for (uint64_t value = 0; value < MOOT_SIBLINGS_MAX; value++) {
        write_at(&at, A, &NOTHING, value);
    }
    struct moot_siblings before = at;
    assert_int_equal(moot_siblings_write(&at, &NOTHING, A, 99, &dot), MOOT_ELIMIT);
    assert_true(moot_siblings_equal(&at, &before));
    struct moot_version seen = context_of(&at);
    write_at(&at, A, &seen, 99); /* Replacing needs no room. */
    assert_int_equal(at.value_count, 1);
    for (moot_actor actor = 2; actor <= MOOT_VERSION_MAX; actor++) {
        write_at(&at, actor, &NOTHING, actor);
    }
    assert_int_equal(moot_siblings_write(&at, &NOTHING, 99, 99, &dot), MOOT_ELIMIT);
    struct moot_siblings other = {0};
    write_at(&other, 50, &NOTHING, 1);
    before = at;
    assert_int_equal(moot_siblings_sync(&at, &other), MOOT_ELIMIT);
    assert_true(moot_siblings_equal(&at, &before));
    seen = context_of(&other);
    assert_int_equal(moot_siblings_remove(&at, &seen), MOOT_ELIMIT);
    struct moot_version full = context_of(&at);
    assert_int_equal(moot_version_merge(&full, &seen), MOOT_ELIMIT);
    assert_int_equal(full.count, MOOT_VERSION_MAX);
}

/* ---- random runs beside a model that keeps the whole past of every write ---- */

enum { REPLICAS = 4, WRITES_MAX = 500, CLIENTS = 5 };
struct model {
    bool known[REPLICAS][WRITES_MAX];      /* The replica has heard of this write ... */
    bool replaced[WRITES_MAX][WRITES_MAX]; /* ... and write i had seen write j. */
    struct moot_siblings at[REPLICAS];
    struct moot_version contexts[CLIENTS];
    bool seen[CLIENTS][WRITES_MAX];
    uint32_t writes;
};

/* A replica shows exactly the known writes that no known write had seen. Deletions are writes whose
 * value is not stored; here they are left out, `deletions` has them. */
static void check_replica(const struct model *model, uint32_t replica)
{
    uint32_t expected = 0;
    for (uint32_t i = 0; i < model->writes; i++) {
        bool stands = model->known[replica][i];
        for (uint32_t j = 0; j < model->writes && stands; j++) {
            stands = !(model->known[replica][j] && model->replaced[j][i]);
        }
        assert_int_equal(has_value(&model->at[replica], i), stands);
        expected += stands;
    }
    assert_int_equal(model->at[replica].value_count, expected);
}

static void client_reads(struct model *model, uint64_t client, uint64_t replica)
{
    model->contexts[client] = context_of(&model->at[replica]);
    /* The context covers what is known there, also what was replaced. */
    memcpy(model->seen[client], model->known[replica], sizeof(model->seen[client]));
}

static void client_writes(struct model *model, uint64_t client, uint64_t replica)
{
    uint32_t write = model->writes;
    struct moot_dot dot;
    int status = moot_siblings_write(&model->at[replica], &model->contexts[client], replica + 1,
                                     write, &dot);
    if (status == MOOT_ELIMIT) {
        return;
    }
    assert_int_equal(status, 0);
    model->writes += 1;
    memcpy(model->replaced[write], model->seen[client], sizeof(model->seen[client]));
    /* A context names whole prefixes: the replica now knows of the past too. */
    for (uint32_t i = 0; i < write; i++) {
        model->known[replica][i] = model->known[replica][i] || model->seen[client][i];
    }
    model->known[replica][write] = true;
}

static void replicas_meet(struct model *model, uint64_t to, uint64_t from)
{
    if (moot_siblings_sync(&model->at[to], &model->at[from]) != 0) {
        return;
    }
    for (uint32_t i = 0; i < model->writes; i++) {
        model->known[to][i] = model->known[to][i] || model->known[from][i];
    }
}

/* PITFALLS 54: on states that a run can reach. */
static void check_laws(const struct moot_siblings *a, const struct moot_siblings *b,
                       const struct moot_siblings *c)
{
    struct moot_siblings ab = *a;
    struct moot_siblings ba = *b;
    struct moot_siblings bc = *b;
    if (moot_siblings_sync(&ab, b) != 0 || moot_siblings_sync(&bc, c) != 0) {
        return;
    }
    assert_int_equal(moot_siblings_sync(&ba, a), 0);
    assert_true(moot_siblings_equal(&ab, &ba));
    struct moot_siblings again = ab;
    assert_int_equal(moot_siblings_sync(&again, b), 0);
    assert_int_equal(moot_siblings_sync(&again, &again), 0);
    assert_true(moot_siblings_equal(&again, &ab));
    struct moot_siblings left = ab;
    struct moot_siblings right = *a;
    int status = moot_siblings_sync(&left, c);
    if (status == 0) {
        assert_int_equal(moot_siblings_sync(&right, &bc), 0);
        assert_true(moot_siblings_equal(&left, &right));
    }
}

/* Goal: exactly the writes that nobody had seen stand, at every replica and step; sync obeys its
 * laws. Method: clients read, write with old and new contexts, and replicas meet, at random. */
static void random_runs(void **state)
{
    (void)state;
    static struct model model;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct moot_rng rng;
        moot_rng_init(&rng, seed);
        memset(&model, 0, sizeof(model));
        static struct moot_siblings history[64];
        memset(history, 0, sizeof(history));
        uint64_t blind = 1 + moot_rng_below(&rng, 30);
        for (uint32_t step = 0; step < 500 && model.writes < WRITES_MAX; step++) {
            uint64_t client = moot_rng_below(&rng, CLIENTS);
            uint64_t replica = moot_rng_below(&rng, REPLICAS);
            switch (moot_rng_below(&rng, 4)) {
            case 0:
                client_reads(&model, client, replica);
                break;
            case 1:
                replicas_meet(&model, replica, moot_rng_below(&rng, REPLICAS));
                break;
            default:
                if (moot_rng_chance(&rng, 1, blind)) {
                    model.contexts[client] = NOTHING;
                    memset(model.seen[client], 0, sizeof(model.seen[client]));
                }
                client_writes(&model, client, replica);
            }
            if (step % 16 == 0) {
                check_replica(&model, (uint32_t)replica);
            }
            history[moot_rng_below(&rng, 64)] = model.at[replica];
            for (int triple = 0; triple < 20; triple++) {
                check_laws(&history[moot_rng_below(&rng, 64)], &history[moot_rng_below(&rng, 64)],
                           &history[moot_rng_below(&rng, 64)]);
            }
        }
        assert_true(model.writes > 50);
    }
}

/* Goal: the wire forms come back as they were, and a context of another key is refused
 * (PITFALLS 52). */
static void the_wire_forms(void **state)
{
    (void)state;
    struct moot_siblings at = {0};
    uint8_t bytes[MOOT_SIBLINGS_BYTES_MAX];
    struct moot_rng rng;
    moot_rng_init(&rng, 8);
    for (uint64_t i = 0; i < 40; i++) {
        size_t size;
        assert_int_equal(moot_siblings_encode(&at, bytes, sizeof(bytes), &size), 0);
        struct moot_siblings back;
        assert_int_equal(moot_siblings_decode(moot_slice_make(bytes, size), &back), 0);
        assert_true(moot_siblings_equal(&at, &back));
        for (size_t cut = 0; cut < size; cut++) {
            assert_int_equal(moot_siblings_decode(moot_slice_make(bytes, cut), &back),
                             MOOT_EINVALID);
        }
        struct moot_version seen = context_of(&at);
        struct moot_version context;
        assert_int_equal(moot_version_encode(&seen, 77, bytes, sizeof(bytes), &size), 0);
        assert_int_equal(moot_version_decode(moot_slice_make(bytes, size), 77, &context), 0);
        assert_int_equal(moot_version_compare(&seen, &context), MOOT_ORDER_EQUAL);
        assert_int_equal(moot_version_decode(moot_slice_make(bytes, size), 78, &context),
                         MOOT_EREFUSED);
        assert_int_equal(moot_version_decode(moot_slice_make(bytes, size - 1), 77, &context),
                         MOOT_EINVALID);
        struct moot_dotted dotted = {.dot = {500, i + 1}, .context = seen};
        struct moot_dotted dotted_back;
        assert_int_equal(moot_dotted_encode(&dotted, bytes, sizeof(bytes), &size), 0);
        assert_int_equal(moot_dotted_decode(moot_slice_make(bytes, size), &dotted_back), 0);
        assert_int_equal(moot_dotted_compare(&dotted, &dotted_back), MOOT_ORDER_EQUAL);
        assert_int_equal(moot_version_compare(&dotted_back.context, &seen), MOOT_ORDER_EQUAL);
        write_at(&at, moot_rng_between(&rng, 1, 9), &NOTHING, UINT64_MAX - i);
    }
    static const uint8_t newer[] = {9, 0};
    struct moot_siblings back;
    assert_int_equal(moot_siblings_decode(moot_slice_make(newer, 2), &back), MOOT_EVERSION);
    static const uint8_t own_past[] = {1, 5, 2, 1, 5, 2}; /* A dot inside its own context. */
    struct moot_dotted dotted;
    assert_int_equal(moot_dotted_decode(moot_slice_make(own_past, sizeof(own_past)), &dotted),
                     MOOT_EINVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_writers_through_one_server),
        cmocka_unit_test(interleaved_writers_do_not_explode),
        cmocka_unit_test(a_conflict_is_kept_and_then_resolved),
        cmocka_unit_test(deletions),
        cmocka_unit_test(an_actor_that_lost_its_data),
        cmocka_unit_test(limits),
        cmocka_unit_test(random_runs),
        cmocka_unit_test(the_wire_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
