/* What a Lamport clock cannot tell and a vector clock can: Ada posts, Ben answers, and Cid, who has
 * seen neither, posts too. Also the rule for delivering an answer after what it answers. */
#include <stdio.h>

#include "moot/lamport.h"
#include "moot/vector.h"

enum { ADA = 1, BEN = 2, CID = 3 };

struct post {
    const char *text;
    struct moot_vector vector;
    struct moot_lamport_stamp stamp;
};

static void compare(const struct post *a, const struct post *b)
{
    enum moot_order order = moot_vector_compare(&a->vector, &b->vector);
    printf("  \"%s\" / \"%s\": Lamport %llu and %llu, vectors say %s\n", a->text, b->text,
           (unsigned long long)a->stamp.time, (unsigned long long)b->stamp.time,
           moot_order_text(order));
}

int main(void)
{
    struct moot_vector at[4];
    struct moot_lamport clock[4];
    for (moot_node_id node = ADA; node <= CID; node++) {
        moot_vector_init(&at[node]);
        moot_lamport_init(&clock[node], node, 0, UINT64_MAX);
    }
    struct post question = {.text = "Lunch?"};
    (void)moot_vector_tick(&at[ADA], ADA, 1);
    question.vector = at[ADA];
    question.stamp = moot_lamport_tick(&clock[ADA]);

    struct post answer = {.text = "Yes, at noon."};
    if (moot_lamport_receive(&clock[BEN], question.stamp, &answer.stamp) != 0) {
        return 1;
    }
    (void)moot_vector_merge(&at[BEN], &question.vector, BEN);
    (void)moot_vector_tick(&at[BEN], BEN, 2);
    answer.vector = at[BEN];

    struct post other = {.text = "Who has my pen?"};
    (void)moot_vector_tick(&at[CID], CID, 3);
    other.vector = at[CID];
    other.stamp = moot_lamport_tick(&clock[CID]);

    printf("Three posts, compared pair by pair:\n");
    compare(&question, &answer);
    compare(&question, &other);
    compare(&other, &answer);

    printf("Cid gets the answer first. He has %llu of Ada's posts, and the answer knows %llu:\n",
           (unsigned long long)moot_vector_get(&at[CID], ADA),
           (unsigned long long)moot_vector_get(&answer.vector, ADA));
    printf("  so he keeps it back until the question is there.\n");

    uint8_t bytes[MOOT_VECTOR_BYTES_MAX];
    size_t size = 0;
    struct moot_vector back;
    if (moot_vector_encode(&answer.vector, bytes, sizeof(bytes), &size) != 0 ||
        moot_vector_decode((struct moot_slice){bytes, size}, &back) != 0) {
        return 1;
    }
    printf("On the wire the answer's vector takes %zu bytes.\n", size);
    bool right = moot_vector_compare(&question.vector, &back) == MOOT_ORDER_BEFORE &&
                 moot_vector_compare(&other.vector, &back) == MOOT_ORDER_CONCURRENT;
    return right ? 0 : 1;
}
