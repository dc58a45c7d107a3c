/* Anti-entropy costs in proportion to the differences (Merkle 1987; Dynamo 2007, section 4.7):
 * messages and bytes to compare two replicas of 100,000 keys over 16,384 leaves, measured and
 * computed. */
#include <stdio.h>

#include "../unit/merkle_world.h"

enum { KEYS = 100000, LEAVES = 16384 };

/* Expected number of `width` nodes hit by d differences that fall independently. */
static double hit(double width, uint32_t d)
{
    double miss = 1;
    for (uint32_t i = 0; i < d; i++) {
        miss *= 1 - 1 / width;
    }
    return width * (1 - miss);
}

/* What theory says the bytes are: a node that is opened costs its 16 digests, its number, and two
 * bytes in the answer; a leaf its pairs (16 bytes each) and two heads; a difference 8 bytes. */
static double theory_bytes(const struct moot_merkle *tree, uint32_t d, double *messages)
{
    double bytes = 0;
    *messages = 0;
    for (uint32_t level = 0; level + 1 < tree->levels; level++) {
        double width = tree->first[level + 1] - tree->first[level];
        double opened = level == 0 ? 1 : hit(width, d);
        double asked = opened / MOOT_MERKLE_NODES_PER_MESSAGE;
        *messages += 2 * (asked < 1 && d > 0 ? 1 : asked);
        bytes += opened * (16 * 8 + 3 + 2) + 25 * 2 * (asked < 1 ? 1 : asked);
        if (d == 0) {
            *messages = 2;
            return bytes;
        }
    }
    double leaves = hit(LEAVES, d);
    *messages += 2 * leaves;
    return bytes + leaves * (32 + 23 + (double)KEYS / LEAVES * 16) + 8.0 * d;
}

/* Goal: the measured cost is the computed one, grows with the differences and not with the keys.
 * Method: d random keys changed, 0 to 10,000. */
static void cost_follows_the_differences(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 10, 100, 1000, 10000};
    uint64_t bytes_of_one = 0;
    printf("# differing  messages  (theory)     bytes  (theory)  bytes each  of copying all\n");
    for (size_t c = 0; c < MOOT_ARRAY_LEN(counts); c++) {
        struct moot_rng rng;
        struct merkle_replica a;
        struct merkle_replica b;
        uint32_t d = counts[c];
        moot_rng_init(&rng, 11);
        replica_open(&a, KEYS, LEAVES);
        replica_open(&b, KEYS, LEAVES);
        uint32_t left = d;
        for (uint32_t i = 0; i < KEYS; i++) {
            uint64_t key = i * (UINT64_MAX / KEYS) + moot_rng_below(&rng, UINT64_MAX / KEYS);
            uint64_t value = moot_rng_next(&rng);
            bool differs = moot_rng_chance(&rng, left, KEYS - i); /* Exactly d of them. */
            left -= differs;
            replica_put(&a, key, value);
            replica_put(&b, key, value + differs);
        }
        struct merkle_talk talk = {.keys = calloc(KEYS, 8), .list_max = 256};
        talk_run(&talk, &a, &b);
        double messages;
        double bytes = theory_bytes(&a.tree, d, &messages);
        printf("# %9u  %8llu  %8.0f  %8llu  %8.0f  %10.0f  %8.2f %%\n", d,
               (unsigned long long)talk.messages, messages, (unsigned long long)talk.bytes, bytes,
               d == 0 ? 0 : (double)talk.bytes / d, (double)talk.bytes * 100 / (KEYS * 16.0));
        assert_int_equal(talk.different, d);
        assert_true((double)talk.messages > messages * 0.9 - 4);
        assert_true((double)talk.messages < messages * 1.1 + 4);
        assert_true((double)talk.bytes > bytes * 0.8);
        assert_true((double)talk.bytes < bytes * 1.25);
        bytes_of_one = d == 1 ? talk.bytes : bytes_of_one;
        /* No difference costs more than the first one: paths only share. */
        assert_true(d == 0 || talk.bytes <= bytes_of_one * d * 5 / 4);
        free(talk.keys);
        replica_close(&a);
        replica_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cost_follows_the_differences)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
