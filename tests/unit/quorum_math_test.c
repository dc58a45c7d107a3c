#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/slice.h"
#include "moot/pbs.h"
#include "moot/quorum_math.h"

static struct moot_plan plain(uint8_t n, uint8_t r, uint8_t w)
{
    return (struct moot_plan){.zone_count = 1, .zone_nodes = {n}, .read = {r, 0}, .write = {w, 0}};
}

static struct moot_plan_answer judge(struct moot_plan plan)
{
    struct moot_plan_answer answer;
    assert_int_equal(moot_plan_check(&plan), 0);
    moot_plan_judge(&plan, &answer);
    return answer;
}

/* Goal: the plans that everybody knows. Method: by hand. */
static void known_plans(void **state)
{
    (void)state;
    struct moot_plan_answer answer = judge(plain(3, 2, 2));
    assert_true(answer.is_safe && answer.writes_meet);
    assert_int_equal(answer.read_write_meet, 1);
    assert_int_equal(answer.both.nodes, 1);
    answer = judge(plain(3, 1, 1));
    assert_true(!answer.is_safe && !answer.writes_meet);
    assert_int_equal(answer.both.nodes, 2);
    answer = judge(plain(3, 1, 3)); /* Read one, write all. */
    assert_true(answer.is_safe && answer.writes_meet);
    assert_int_equal(answer.reads.nodes, 2);
    assert_int_equal(answer.writes.nodes, 0);

    /* Flexible Paxos, Howard et al. section 4: elect with 5 of 6, replicate to 2. */
    struct moot_plan paxos = plain(6, 5, 2);
    paxos.use = MOOT_PLAN_CONSENSUS;
    answer = judge(paxos);
    assert_true(answer.is_safe && !answer.writes_meet);
    assert_int_equal(answer.writes.nodes, 4);
    assert_int_equal(answer.reads.nodes, 1);
    paxos.read.nodes = 4; /* 4 + 2 = 6: they can miss each other. */
    assert_false(judge(paxos).is_safe);

    /* Three zones of three: a majority in each of two zones, for both. */
    struct moot_plan zones = {
        .zone_count = 3, .zone_nodes = {3, 3, 3}, .read = {2, 2}, .write = {2, 2}};
    answer = judge(zones);
    assert_true(answer.is_safe && answer.writes_meet);
    assert_int_equal(answer.read_write_meet, 1);
    assert_int_equal(answer.both.zones, 1);
    assert_int_equal(answer.both.nodes, 3); /* Two and two kill two zones; any three do not. */
    zones.read = (struct moot_quorum_rule){2, 1}; /* Local reads ... */
    assert_false(judge(zones).is_safe);
    zones.write = (struct moot_quorum_rule){2, 3}; /* ... need writes in each zone. */
    answer = judge(zones);
    assert_true(answer.is_safe);
    assert_int_equal(answer.writes.zones, 0);
    assert_int_equal(answer.reads.zones, 2);

    struct moot_plan sloppy = plain(3, 2, 2);
    sloppy.sloppy = true;
    sloppy.spares = 2;
    answer = judge(sloppy);
    assert_int_equal(answer.writes.nodes, 3);
    assert_int_equal(answer.absent_max, 0); /* One home node away, and a read may miss. */
    sloppy = plain(5, 4, 4);
    sloppy.sloppy = true;
    assert_int_equal(judge(sloppy).absent_max, 2);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    struct moot_plan plans[] = {plain(3, 0, 2), plain(3, 4, 2), plain(3, 2, 0), plain(65, 1, 1),
                                plain(0, 1, 1), plain(3, 2, 2), plain(3, 2, 2), plain(3, 2, 2)};
    plans[5].read = (struct moot_quorum_rule){2, 2}; /* There is one zone. */
    plans[6].spares = 1;                             /* Not sloppy. */
    plans[7].use = MOOT_PLAN_CONSENSUS;
    plans[7].sloppy = true; /* Two leaders could decide. */
    for (size_t i = 0; i < MOOT_ARRAY_LEN(plans); i++) {
        assert_int_equal(moot_plan_check(&plans[i]), MOOT_EINVALID);
    }
}

/* ---- beside a naive twin that tries every set of nodes ---- */

static bool is_quorum(const struct moot_plan *plan, struct moot_quorum_rule rule, uint32_t set)
{
    uint32_t total = 0;
    uint32_t zones = 0;
    uint32_t node = 0;
    for (uint32_t zone = 0; zone < plan->zone_count; zone++) {
        uint32_t here = 0;
        for (uint32_t i = 0; i < plan->zone_nodes[zone]; i++) {
            here += set >> node++ & 1;
        }
        total += here;
        zones += here >= rule.nodes;
    }
    return rule.zones == 0 ? total >= rule.nodes : zones >= rule.zones;
}

static uint32_t bits(uint32_t set) { return (uint32_t)__builtin_popcount(set); }

static uint32_t naive_overlap(const struct moot_plan *plan, struct moot_quorum_rule a,
                              struct moot_quorum_rule b, uint32_t all)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t one = 0; one <= all; one++) {
        for (uint32_t two = 0; is_quorum(plan, a, one) && two <= all; two++) {
            if (bits(one & two) < least && is_quorum(plan, b, two)) {
                least = bits(one & two);
            }
        }
    }
    return least;
}

static uint32_t naive_survival(const struct moot_plan *plan, struct moot_quorum_rule rule,
                               uint32_t all)
{
    uint32_t least_fatal = bits(all) + 1;
    for (uint32_t dead = 0; dead <= all; dead++) {
        if (bits(dead) < least_fatal && !is_quorum(plan, rule, all & ~dead)) {
            least_fatal = bits(dead);
        }
    }
    return least_fatal - 1;
}

static uint32_t naive_zone_survival(const struct moot_plan *plan, struct moot_quorum_rule rule)
{
    uint32_t least_fatal = plan->zone_count + 1U;
    for (uint32_t dead = 0; dead < 1U << plan->zone_count; dead++) {
        uint32_t alive = 0;
        uint32_t node = 0;
        for (uint32_t zone = 0; zone < plan->zone_count; zone++) {
            for (uint32_t i = 0; i < plan->zone_nodes[zone]; i++) {
                alive |= (~dead >> zone & 1) << node++;
            }
        }
        if (bits(dead) < least_fatal && !is_quorum(plan, rule, alive)) {
            least_fatal = bits(dead);
        }
    }
    return least_fatal - 1;
}

/* Goal: every number is what trying everything gives. Method: random plans of up to eight nodes. */
static void as_if_everything_was_tried(void **state)
{
    (void)state;
    struct moot_rng rng;
    moot_rng_init(&rng, 21);
    uint32_t judged = 0;
    for (int round = 0; round < 3000; round++) {
        struct moot_plan plan = {.zone_count = (uint8_t)moot_rng_between(&rng, 1, 4)};
        uint32_t nodes = 0;
        for (uint32_t i = 0; i < plan.zone_count; i++) {
            plan.zone_nodes[i] = (uint8_t)moot_rng_between(&rng, 1, 3);
            nodes += plan.zone_nodes[i];
        }
        struct moot_quorum_rule *rules[] = {&plan.read, &plan.write};
        for (int i = 0; i < 2; i++) {
            rules[i]->nodes = (uint8_t)moot_rng_between(&rng, 1, nodes);
            rules[i]->zones = (uint8_t)moot_rng_below(&rng, plan.zone_count + 1U);
        }
        if (nodes > 8 || moot_plan_check(&plan) != 0) {
            continue;
        }
        judged++;
        uint32_t all = (1U << nodes) - 1;
        struct moot_plan_answer answer;
        moot_plan_judge(&plan, &answer);
        assert_int_equal(answer.nodes, nodes);
        assert_int_equal(answer.read_write_meet, naive_overlap(&plan, plan.read, plan.write, all));
        assert_int_equal(answer.write_write_meet,
                         naive_overlap(&plan, plan.write, plan.write, all));
        assert_int_equal(answer.reads.nodes, naive_survival(&plan, plan.read, all));
        assert_int_equal(answer.writes.nodes, naive_survival(&plan, plan.write, all));
        assert_int_equal(answer.reads.zones, naive_zone_survival(&plan, plan.read));
        assert_int_equal(answer.writes.zones, naive_zone_survival(&plan, plan.write));
    }
    assert_true(judged > 300);
}

/* Goal: the words say what the numbers say; a buffer that is too small is no harm. */
static void in_words(void **state)
{
    (void)state;
    char text[MOOT_PLAN_TEXT_MAX];
    struct moot_plan plan = plain(3, 2, 2);
    assert_int_equal(moot_plan_explain(&plan, text, sizeof(text)), 0);
    assert_string_equal(text, "3 nodes. Read: any 2 nodes. Write: any 2 nodes.\n"
                              "Reads see every acknowledged write: they share at least 1 node.\n"
                              "Two writes share at least 1 node: one notices the other.\n"
                              "Reads go on while at most 1 node fails, whichever.\n"
                              "Writes go on while at most 1 node fails, whichever.\n");
    plan = plain(3, 1, 1);
    assert_int_equal(moot_plan_explain(&plan, text, sizeof(text)), 0);
    assert_non_null(strstr(text, "A read may miss an acknowledged write"));
    plan = plain(6, 4, 2);
    plan.use = MOOT_PLAN_CONSENSUS;
    assert_int_equal(moot_plan_explain(&plan, text, sizeof(text)), 0);
    assert_non_null(strstr(text, "UNSAFE"));
    plan = (struct moot_plan){.zone_count = 8, .read = {7, 7}, .write = {8, 8}};
    memset(plan.zone_nodes, 8, sizeof(plan.zone_nodes));
    assert_int_equal(moot_plan_explain(&plan, text, sizeof(text)), 0);
    size_t size = strlen(text);
    for (size_t room = 1; room <= size; room++) {
        char *small = text + MOOT_PLAN_TEXT_MAX - room;
        assert_int_equal(moot_plan_explain(&plan, small, room), MOOT_ELIMIT);
        assert_true(strlen(small) < room);
    }
}

static void the_wire_form(void **state)
{
    (void)state;
    uint8_t bytes[MOOT_PLAN_BYTES_MAX + 1] = {0};
    struct moot_plan plan = {
        .zone_count = 3, .zone_nodes = {3, 2, 1}, .read = {1, 2}, .write = {4, 0}};
    struct moot_plan back;
    size_t size;
    assert_int_equal(moot_plan_encode(&plan, bytes, sizeof(bytes), &size), 0);
    assert_int_equal(moot_plan_decode(moot_slice_make(bytes, size), &back), 0);
    uint8_t again[MOOT_PLAN_BYTES_MAX];
    size_t again_size;
    assert_int_equal(moot_plan_encode(&back, again, sizeof(again), &again_size), 0);
    assert_int_equal(again_size, size);
    assert_memory_equal(again, bytes, size);
    assert_true(back.zone_nodes[1] == 2 && back.read.zones == 2 && back.write.nodes == 4);
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_equal(moot_plan_decode(moot_slice_make(bytes, cut), &back), MOOT_EINVALID);
        assert_int_equal(moot_plan_encode(&plan, bytes, cut, &size), MOOT_ELIMIT);
    }
    assert_int_equal(moot_plan_encode(&plan, bytes, sizeof(bytes), &size), 0);
    bytes[6] = 4; /* A read quorum that cannot be. */
    assert_int_equal(moot_plan_decode(moot_slice_make(bytes, size), &back), MOOT_EINVALID);
    bytes[0] = 2;
    assert_int_equal(moot_plan_decode(moot_slice_make(bytes, size), &back), MOOT_EVERSION);
}

/* Goal: a seed is a curve: the same numbers, sorted, on every machine; and what must hold of any.
 */
static void trials_of_pbs(void **state)
{
    (void)state;
    enum { TRIALS = 2000 };
    static uint32_t first[TRIALS], again[TRIALS], reads[TRIALS];
    const struct moot_pbs_delay delay = {500000, 1000, 3000, 2000};
    struct moot_pbs_model model = {3, 1, 1, delay, delay, delay, delay};
    struct moot_pbs_trials trials = {first, reads, NULL, TRIALS};
    assert_int_equal(moot_pbs_run(&model, 7, &trials), 0);
    trials.fresh_after_us = again;
    assert_int_equal(moot_pbs_run(&model, 7, &trials), 0);
    assert_memory_equal(first, again, sizeof(first));
    for (int i = 1; i < TRIALS; i++) {
        assert_true(first[i - 1] <= first[i] && reads[i - 1] <= reads[i]);
    }
    assert_true(first[TRIALS - 1] > 0); /* R + W <= N: some read is stale ... */
    uint32_t t = moot_pbs_quantile(first, TRIALS, 990000);
    assert_true(moot_pbs_share_within(first, TRIALS, t) >= 990000);
    assert_true(t == 0 || moot_pbs_share_within(first, TRIALS, t - 1) < 990000);
    for (model.r = 1; model.r <= 3; model.r++) {
        for (model.w = 4 - model.r; model.w <= 3; model.w++) {
            assert_int_equal(moot_pbs_run(&model, 8, &trials), 0);
            assert_int_equal(again[TRIALS - 1], 0); /* ... and R + W > N: none. */
            assert_int_equal(moot_pbs_k_staleness_ppb(3, model.r, model.w, 1), 0);
        }
    }
    model.r = 4;
    model.w = 1;
    assert_int_equal(moot_pbs_run(&model, 8, &trials), MOOT_EINVALID);
    model.r = 1;
    model.read.pareto_alpha_milli = 0;
    assert_int_equal(moot_pbs_run(&model, 8, &trials), MOOT_EINVALID);
    assert_int_equal(moot_pbs_k_staleness_ppb(3, 1, 1, 0), MOOT_PBS_ONE_PPB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_plans),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(as_if_everything_was_tried),
        cmocka_unit_test(in_words),
        cmocka_unit_test(the_wire_form),
        cmocka_unit_test(trials_of_pbs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
