#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/slice.h"
#include "moot/vector.h"

static struct moot_vector of(const uint64_t *counters, uint32_t count)
{
    struct moot_vector vector;
    moot_vector_init(&vector);
    for (uint32_t i = 0; i < count; i++) {
        for (uint64_t n = 0; n < counters[i]; n++) {
            (void)moot_vector_tick(&vector, i + 1, 0);
        }
    }
    return vector;
}

/* Goal: the four answers; an absent node counts as 0 (PITFALLS 96). Method: by hand, both ways. */
static void the_four_answers(void **state)
{
    (void)state;
    static const struct {
        uint64_t a[3], b[3];
        enum moot_order order, back;
    } cases[] = {
        {{0, 0, 0}, {0, 0, 0}, MOOT_ORDER_EQUAL, MOOT_ORDER_EQUAL},
        {{0, 0, 0}, {0, 1, 0}, MOOT_ORDER_BEFORE, MOOT_ORDER_AFTER},
        {{1, 2, 3}, {1, 2, 3}, MOOT_ORDER_EQUAL, MOOT_ORDER_EQUAL},
        {{1, 2, 0}, {1, 2, 1}, MOOT_ORDER_BEFORE, MOOT_ORDER_AFTER},
        {{0, 2, 3}, {1, 0, 0}, MOOT_ORDER_CONCURRENT, MOOT_ORDER_CONCURRENT},
        {{2, 1, 1}, {1, 2, 1}, MOOT_ORDER_CONCURRENT, MOOT_ORDER_CONCURRENT},
        {{3, 0, 1}, {2, 0, 1}, MOOT_ORDER_AFTER, MOOT_ORDER_BEFORE},
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        struct moot_vector a = of(cases[i].a, 3);
        struct moot_vector b = of(cases[i].b, 3);
        assert_int_equal(moot_vector_compare(&a, &b), cases[i].order);
        assert_int_equal(moot_vector_compare(&b, &a), cases[i].back);
        assert_int_equal(moot_vector_get(&a, 1), cases[i].a[0]);
        assert_int_equal(moot_vector_get(&a, 99), 0);
    }
}

/* A run of many nodes. Each keeps a bounded vector and, beside it, the whole truth. */
enum { NODES_MAX = 48, WIRES = 24 };
struct both {
    struct moot_vector vector;
    uint64_t truth[NODES_MAX];
};

static enum moot_order truth_of(const struct both *a, const struct both *b)
{
    bool a_more = false;
    bool b_more = false;
    for (int i = 0; i < NODES_MAX; i++) {
        a_more = a_more || a->truth[i] > b->truth[i];
        b_more = b_more || b->truth[i] > a->truth[i];
    }
    return moot_order_of(a_more, b_more);
}

/* What a run showed: pairs whose answer was exact, and pairs whose order was lost. */
struct seen {
    uint64_t exact, lost, dropped;
};

static void judge(const struct both *a, const struct both *b, struct seen *seen)
{
    enum moot_order said = moot_vector_compare(&a->vector, &b->vector);
    enum moot_order truth = truth_of(a, b);
    /* No order is invented: what is said to be in the past is. */
    if (said == MOOT_ORDER_BEFORE || said == MOOT_ORDER_EQUAL) {
        assert_true(truth == MOOT_ORDER_BEFORE || truth == MOOT_ORDER_EQUAL);
    }
    if (said == MOOT_ORDER_AFTER || said == MOOT_ORDER_EQUAL) {
        assert_true(truth == MOOT_ORDER_AFTER || truth == MOOT_ORDER_EQUAL);
    }
    seen->exact += said == truth;
    seen->lost += said != truth;
}

static struct seen run(uint64_t seed, uint64_t nodes, uint32_t steps)
{
    static struct both at[NODES_MAX];
    static struct both wires[WIRES];
    struct moot_rng rng;
    moot_rng_init(&rng, seed);
    memset(at, 0, sizeof(at));
    memset(wires, 0, sizeof(wires));
    struct seen seen = {0};
    for (uint32_t step = 1; step <= steps; step++) {
        uint64_t node = moot_rng_below(&rng, nodes);
        uint64_t wire = moot_rng_below(&rng, WIRES);
        moot_node_id id = (moot_node_id)node + 1;
        if (moot_rng_chance(&rng, 1, 2)) {
            seen.dropped += moot_vector_merge(&at[node].vector, &wires[wire].vector, id);
            for (int i = 0; i < NODES_MAX; i++) {
                at[node].truth[i] = moot_max_u64(at[node].truth[i], wires[wire].truth[i]);
            }
        }
        seen.dropped += moot_vector_tick(&at[node].vector, id, step);
        at[node].truth[node] += 1;
        assert_true(moot_vector_is_valid(&at[node].vector));
        assert_true(moot_vector_get(&at[node].vector, id) == at[node].truth[node]);
        wires[moot_rng_below(&rng, WIRES)] = at[node];
        judge(&at[node], &wires[moot_rng_below(&rng, WIRES)], &seen);
        judge(&at[moot_rng_below(&rng, nodes)], &at[moot_rng_below(&rng, nodes)], &seen);
        judge(&wires[moot_rng_below(&rng, WIRES)], &at[moot_rng_below(&rng, nodes)], &seen);
    }
    return seen;
}

/* Goal: order of vectors is causality, both ways (Mattern, theorem 10), while all nodes fit. */
static void order_is_causality(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct seen seen = run(seed, 2 + seed, 400);
        assert_int_equal(seen.dropped, 0);
        assert_int_equal(seen.lost, 0);
    }
}

/* Goal: with more nodes than fit, orders may be lost and none is invented (PITFALLS 53). The rule
 * must also cost something here, or the test shows nothing. */
static void pruning_loses_order_and_invents_none(void **state)
{
    (void)state;
    struct seen all = {0};
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct seen seen = run(seed, NODES_MAX, 1000);
        all.dropped += seen.dropped;
        all.lost += seen.lost;
        all.exact += seen.exact;
    }
    assert_true(all.dropped > 0);
    assert_true(all.lost > 0);
    assert_true(all.exact > all.lost);
}

/* Goal: the header's example: pruning in silence would lose a write, here it is a conflict.
 * Method: a full list {1..32} and a write by 33 drops node 1; the other side has {1..32} minus
 * nothing and a write of its own. */
static void a_shortened_list_is_not_taken_for_an_old_one(void **state)
{
    (void)state;
    struct moot_vector base;
    moot_vector_init(&base);
    for (moot_node_id node = 1; node <= MOOT_VECTOR_MAX; node++) {
        (void)moot_vector_tick(&base, node, 100 + node);
    }
    struct moot_vector first = base;
    (void)moot_vector_tick(&first, 1, 50); /* A write at node 1; `seen` stays the newest known. */
    struct moot_vector shortened = first;
    assert_int_equal(moot_vector_tick(&shortened, 33, 200), 1);
    assert_int_equal(moot_vector_get(&shortened, 1), 0); /* The stillest went. */
    assert_int_equal(moot_vector_get(&shortened, 33), 1);
    struct moot_vector other = base;
    (void)moot_vector_tick(&other, 2, 300);
    /* In truth concurrent. By the entries alone {33} is the only news of `shortened`. */
    assert_int_equal(moot_vector_compare(&shortened, &other), MOOT_ORDER_CONCURRENT);
    /* In truth after `first`: the order is lost, and that is the price. */
    assert_int_equal(moot_vector_compare(&shortened, &first), MOOT_ORDER_CONCURRENT);
    /* A copy is still itself, and its successor still comes after it. */
    struct moot_vector next = shortened;
    assert_int_equal(moot_vector_compare(&shortened, &next), MOOT_ORDER_EQUAL);
    (void)moot_vector_tick(&next, 33, 201);
    assert_int_equal(moot_vector_compare(&shortened, &next), MOOT_ORDER_BEFORE);
    /* Conflicts end: who merges both knows more than either. */
    struct moot_vector merged = next;
    (void)moot_vector_merge(&merged, &shortened, 33);
    assert_int_equal(moot_vector_compare(&shortened, &merged), MOOT_ORDER_BEFORE);
}

/* Goal: merge is commutative and idempotent, and nobody's own entry is ever dropped. */
static void merging(void **state)
{
    (void)state;
    struct moot_rng rng;
    moot_rng_init(&rng, 5);
    for (int round = 0; round < 2000; round++) {
        struct moot_vector a = {0};
        struct moot_vector b = {0};
        for (uint64_t i = moot_rng_below(&rng, 60); i > 0; i--) {
            (void)moot_vector_tick(&a, (moot_node_id)moot_rng_between(&rng, 1, 60), (uint32_t)i);
            (void)moot_vector_tick(&b, (moot_node_id)moot_rng_between(&rng, 1, 60), (uint32_t)i);
        }
        struct moot_vector ab = a;
        struct moot_vector ba = b;
        (void)moot_vector_merge(&ab, &b, 0);
        (void)moot_vector_merge(&ba, &a, 0);
        assert_int_equal(moot_vector_compare(&ab, &ba), MOOT_ORDER_EQUAL);
        struct moot_vector again = ab;
        assert_int_equal(moot_vector_merge(&again, &ab, 0), 0);
        assert_memory_equal(&again, &ab, sizeof(ab.entries[0]) * ab.count);
        moot_node_id self = (moot_node_id)moot_rng_between(&rng, 61, 70);
        (void)moot_vector_tick(&a, self, 0); /* The stillest of all. */
        (void)moot_vector_merge(&a, &b, self);
        assert_int_equal(moot_vector_get(&a, self), 1);
    }
}

/* Goal: the wire form comes back as it was, at every size; cut or changed bytes never do harm. */
static void the_wire_form(void **state)
{
    (void)state;
    uint8_t bytes[MOOT_VECTOR_BYTES_MAX + 1];
    struct moot_vector vector = {0};
    for (moot_node_id node = 0; node <= 40; node++) {
        size_t size = 0;
        assert_int_equal(moot_vector_encode(&vector, bytes, MOOT_VECTOR_BYTES_MAX, &size), 0);
        struct moot_vector back;
        assert_int_equal(moot_vector_decode(moot_slice_make(bytes, size), &back), 0);
        assert_int_equal(moot_vector_compare(&vector, &back), MOOT_ORDER_EQUAL);
        assert_true(back.pruned == vector.pruned);
        for (size_t cut = 0; cut < size; cut++) {
            assert_int_equal(moot_vector_decode(moot_slice_make(bytes, cut), &back), MOOT_EINVALID);
            assert_int_equal(moot_vector_encode(&vector, bytes, cut, &size), MOOT_ELIMIT);
        }
        (void)moot_vector_tick(&vector, UINT32_MAX - node, node);
    }
    static const uint8_t newer[] = {2, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t twice[] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 5, 1, 0, 5, 1, 0};
    static const uint8_t zero[] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 5, 0, 0};
    struct moot_vector back;
    assert_int_equal(moot_vector_decode(moot_slice_make(newer, sizeof(newer)), &back),
                     MOOT_EVERSION);
    assert_int_equal(moot_vector_decode(moot_slice_make(twice, sizeof(twice)), &back),
                     MOOT_EINVALID);
    assert_int_equal(moot_vector_decode(moot_slice_make(zero, sizeof(zero)), &back), MOOT_EINVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_four_answers),
        cmocka_unit_test(order_is_causality),
        cmocka_unit_test(pruning_loses_order_and_invents_none),
        cmocka_unit_test(a_shortened_list_is_not_taken_for_an_old_one),
        cmocka_unit_test(merging),
        cmocka_unit_test(the_wire_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
