#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "base/status.h"
#include "moot/quorum.h"

struct answers {
    enum moot_vote vote[16];
    uint64_t value[16];
};

static enum moot_vote vote_of(const void *context, moot_node_id node)
{
    return ((const struct answers *)context)->vote[node];
}
static uint64_t value_of(const void *context, moot_node_id node)
{
    return ((const struct answers *)context)->value[node];
}

static struct moot_members plain(uint8_t count)
{
    struct moot_members members = {.voter_count = count};
    for (uint8_t i = 0; i < count; i++) {
        members.voters[i] = i + 1u;
    }
    return members;
}

/* Goal: a majority of one set, at every size. Method: y, n and - for each voter, by hand. */
static void a_majority_decides(void **state)
{
    (void)state;
    static const struct {
        const char *votes;
        enum moot_tally tally;
    } cases[] = {
        {"y", MOOT_TALLY_WON},         {"-", MOOT_TALLY_PENDING},   {"n", MOOT_TALLY_LOST},
        {"y-", MOOT_TALLY_PENDING},    {"yn", MOOT_TALLY_LOST},     {"yy", MOOT_TALLY_WON},
        {"yy-", MOOT_TALLY_WON},       {"yn-", MOOT_TALLY_PENDING}, {"nn-", MOOT_TALLY_LOST},
        {"yy--", MOOT_TALLY_PENDING},  {"yyy-", MOOT_TALLY_WON},    {"yynn", MOOT_TALLY_LOST},
        {"nn--y", MOOT_TALLY_PENDING}, {"yyynn", MOOT_TALLY_WON},   {"nnn--", MOOT_TALLY_LOST},
        {"yyyyynnnn", MOOT_TALLY_WON},
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(cases); i++) {
        struct answers answers = {0};
        struct moot_members members = plain((uint8_t)strlen(cases[i].votes));
        for (size_t v = 0; cases[i].votes[v] != '\0'; v++) {
            answers.vote[v + 1] = cases[i].votes[v] == 'y'   ? MOOT_VOTE_YES
                                  : cases[i].votes[v] == 'n' ? MOOT_VOTE_NO
                                                             : MOOT_VOTE_MISSING;
        }
        assert_int_equal(moot_quorum_tally(&members, vote_of, &answers), cases[i].tally);
    }
}

/* Goal: the value that a majority has reached. Method: by hand, and joint sets take the lesser. */
static void a_majority_has_reached(void **state)
{
    (void)state;
    struct answers answers = {.value = {0, 9, 7, 5, 3, 1, 8}};
    static const uint64_t reached[] = {0, 9, 7, 7, 5, 5};
    for (uint8_t count = 1; count <= 5; count++) {
        struct moot_members members = plain(count);
        assert_int_equal(moot_quorum_reached(&members, value_of, &answers), reached[count]);
    }
    struct moot_members joint = {
        .voters = {1, 2, 6}, .voter_count = 3, .outgoing = {3, 4, 5}, .outgoing_count = 3};
    assert_int_equal(moot_quorum_reached(&joint, value_of, &answers), 3);
}

/* Goal: joint means both. Method: every combination of answers of {1,2,3} and {3,4,5}: won exactly
 * when both sets alone are, lost exactly when one is. */
static void joint_means_both(void **state)
{
    (void)state;
    struct moot_members joint = {
        .voters = {1, 2, 3}, .voter_count = 3, .outgoing = {3, 4, 5}, .outgoing_count = 3};
    struct moot_members in = {.voters = {1, 2, 3}, .voter_count = 3};
    struct moot_members out = {.voters = {3, 4, 5}, .voter_count = 3};
    for (uint32_t code = 0; code < 243; code++) {
        struct answers answers = {0};
        for (uint32_t node = 1, rest = code; node <= 5; node++, rest /= 3) {
            answers.vote[node] = (enum moot_vote)(rest % 3);
        }
        enum moot_tally a = moot_quorum_tally(&in, vote_of, &answers);
        enum moot_tally b = moot_quorum_tally(&out, vote_of, &answers);
        enum moot_tally both = a == MOOT_TALLY_LOST || b == MOOT_TALLY_LOST ? MOOT_TALLY_LOST
                               : a == MOOT_TALLY_WON && b == MOOT_TALLY_WON ? MOOT_TALLY_WON
                                                                            : MOOT_TALLY_PENDING;
        assert_int_equal(moot_quorum_tally(&joint, vote_of, &answers), both);
    }
}

/* Goal: entering and leaving a change. Method: a demotion, a swap, learners only, malformed ones.
 */
static void changes_enter_and_leave(void **state)
{
    (void)state;
    struct moot_members now = plain(3);
    struct moot_members joint;
    struct moot_members after;
    /* 3 becomes a learner, 4 comes, 5 learns. */
    struct moot_members_change change = {
        .voters = {1, 2, 4}, .voter_count = 3, .learners = {3, 5}, .learner_count = 2};
    assert_int_equal(moot_members_enter(&now, &change, &joint), 0);
    assert_true(moot_members_is_valid(&joint));
    assert_true(moot_members_is_joint(&joint));
    assert_int_equal(joint.outgoing_count, 3);
    assert_int_equal(joint.learner_count, 1);
    assert_int_equal(joint.learners[0], 5);
    assert_int_equal(joint.learner_next_count, 1);
    assert_int_equal(joint.learners_next[0], 3); /* Votes in the outgoing set until it is left. */
    assert_true(moot_members_has_voter(&joint, 3));
    assert_int_equal(moot_members_enter(&joint, &change, &after), MOOT_EBUSY);
    moot_members_leave(&joint, &after);
    assert_false(moot_members_is_joint(&after));
    assert_false(moot_members_has_voter(&after, 3));
    assert_true(moot_members_has_learner(&after, 3));
    moot_node_id all[2 * MOOT_QUORUM_VOTERS_MAX + 2 * MOOT_QUORUM_LEARNERS_MAX];
    assert_int_equal(moot_members_all(&joint, all), 5);

    struct moot_members_change learner = {
        .voters = {1, 2, 3}, .voter_count = 3, .learners = {4}, .learner_count = 1};
    assert_int_equal(moot_members_enter(&now, &learner, &after), 0);
    assert_false(moot_members_is_joint(&after)); /* No voter changes: at once. */

    static const struct moot_members_change bad[] = {
        {.voter_count = 0},
        {.voters = {2, 1}, .voter_count = 2},
        {.voters = {1, 1}, .voter_count = 2},
        {.voters = {0, 1}, .voter_count = 2},
        {.voters = {1, 2}, .voter_count = 2, .learners = {2}, .learner_count = 1},
        {.voters = {1}, .voter_count = MOOT_QUORUM_VOTERS_MAX + 1},
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(bad); i++) {
        assert_int_equal(moot_members_enter(&now, &bad[i], &after), MOOT_EINVALID);
    }
}

/* Goal: whatever is entered is valid, and leaving ends at the target. Method: random targets. */
static void any_change_ends_at_its_target(void **state)
{
    (void)state;
    struct moot_rng rng;
    moot_rng_init(&rng, 5);
    struct moot_members now = plain(3);
    for (uint32_t round = 0; round < 2000; round++) {
        struct moot_members_change target = {0};
        for (moot_node_id node = 1; node <= 14; node++) {
            uint64_t kind = moot_rng_below(&rng, 4);
            if (kind == 0 && target.voter_count < MOOT_QUORUM_VOTERS_MAX) {
                target.voters[target.voter_count++] = node;
            } else if (kind == 1 && target.learner_count < MOOT_QUORUM_LEARNERS_MAX) {
                target.learners[target.learner_count++] = node;
            }
        }
        if (target.voter_count == 0) {
            continue;
        }
        struct moot_members next;
        assert_int_equal(moot_members_enter(&now, &target, &next), 0);
        assert_true(moot_members_is_valid(&next));
        if (moot_members_is_joint(&next)) {
            struct moot_members left;
            moot_members_leave(&next, &left);
            next = left;
        }
        struct moot_members wanted = {.voter_count = target.voter_count,
                                      .learner_count = target.learner_count};
        memcpy(wanted.voters, target.voters, sizeof(target.voters));
        memcpy(wanted.learners, target.learners, sizeof(target.learners));
        assert_true(moot_members_equal(&next, &wanted));
        now = next;
    }
}

/* Goal: a received configuration is checked. Method: one fault each. */
static void malformed_members_are_refused(void **state)
{
    (void)state;
    static const struct moot_members bad[] = {
        {.voter_count = 0},
        {.voters = {1}, .voter_count = 200},
        {.voters = {3, 2}, .voter_count = 2},
        {.voters = {1}, .voter_count = 1, .learners = {1}, .learner_count = 1},
        {.voters = {1}, .voter_count = 1, .learners_next = {2}, .learner_next_count = 1},
        {.voters = {1},
         .voter_count = 1,
         .outgoing = {1, 2},
         .outgoing_count = 2,
         .learners = {2},
         .learner_count = 1},
        {.voters = {1},
         .voter_count = 1,
         .outgoing = {1, 2},
         .outgoing_count = 2,
         .learners_next = {1},
         .learner_next_count = 1},
    };
    for (size_t i = 0; i < MOOT_ARRAY_LEN(bad); i++) {
        assert_false(moot_members_is_valid(&bad[i]));
    }
    struct moot_members good = {.voters = {1},
                                .voter_count = 1,
                                .outgoing = {1, 2},
                                .outgoing_count = 2,
                                .learners_next = {2},
                                .learner_next_count = 1};
    assert_true(moot_members_is_valid(&good));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_majority_decides),
        cmocka_unit_test(a_majority_has_reached),
        cmocka_unit_test(joint_means_both),
        cmocka_unit_test(changes_enter_and_leave),
        cmocka_unit_test(any_change_ends_at_its_target),
        cmocka_unit_test(malformed_members_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
