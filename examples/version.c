/* A shopping basket in two data centres, with dotted version vectors: what is a conflict, what is
 * not, and how a conflict ends. Values are numbers of this program's own: places in `baskets`. */
#include <stdio.h>

#include "moot/version.h"

enum { PARIS = 1, OSLO = 2 };

static const char *const baskets[] = {"bread", "bread, milk", "bread, eggs", "bread, milk, eggs",
                                      "tea"};

static void show(const char *where, const struct moot_siblings *at)
{
    printf("  %-5s has", where);
    for (uint32_t i = 0; i < at->value_count; i++) {
        struct moot_dot dot = moot_siblings_dot(at, i);
        printf("%s {%s} as (%s, %llu)", i > 0 ? " and" : "", baskets[at->values[i]],
               dot.actor == PARIS ? "Paris" : "Oslo", (unsigned long long)dot.counter);
    }
    printf("\n");
}

static bool put(struct moot_siblings *at, moot_actor actor, const struct moot_version *context,
                uint64_t basket)
{
    struct moot_dot dot;
    return moot_siblings_write(at, context, actor, basket, &dot) == 0;
}

static bool exchange(struct moot_siblings *a, struct moot_siblings *b)
{
    return moot_siblings_sync(a, b) == 0 && moot_siblings_sync(b, a) == 0;
}

int main(void)
{
    struct moot_siblings paris;
    struct moot_siblings oslo;
    struct moot_version nothing;
    struct moot_version seen;
    moot_siblings_init(&paris);
    moot_siblings_init(&oslo);
    moot_version_init(&nothing);

    printf("A first basket, in Paris, copied to Oslo.\n");
    bool fine = put(&paris, PARIS, &nothing, 0) && exchange(&paris, &oslo);
    moot_siblings_context(&paris, &seen);
    show("Paris", &paris);

    printf("The phone adds milk in Paris, the laptop eggs in Oslo; both had seen the bread.\n");
    fine = fine && put(&paris, PARIS, &seen, 1) && put(&oslo, OSLO, &seen, 2);
    fine = fine && exchange(&paris, &oslo) && paris.value_count == 2;
    show("Paris", &paris);

    printf("Somebody has read both, and writes the union in Oslo: it replaces exactly those.\n");
    moot_siblings_context(&paris, &seen);
    fine = fine && put(&oslo, OSLO, &seen, 3) && oslo.value_count == 1;
    show("Oslo", &oslo);

    printf("Meanwhile a blind write of tea in Paris. What it had not seen is not lost:\n");
    fine = fine && put(&paris, PARIS, &nothing, 4) && exchange(&paris, &oslo);
    fine = fine && moot_siblings_equal(&paris, &oslo) && oslo.value_count == 2;
    show("Paris", &paris);
    show("Oslo", &oslo);

    uint8_t bytes[MOOT_SIBLINGS_BYTES_MAX];
    size_t size = 0;
    fine = fine && moot_siblings_encode(&oslo, bytes, sizeof(bytes), &size) == 0;
    printf("All of it, two values and the past of five writes, takes %zu bytes.\n", size);
    return fine ? 0 : 1;
}
