/* Rendezvous hashing: three caches agree on who holds a page without talking; one of them closes.
 * Then 1,000 members, by scoring all and through the skeleton. */
#include <stdio.h>
#include <string.h>

#include "moot/rendezvous.h"

static uint64_t key_of(const char *text)
{
    return moot_place_key((struct moot_slice){(const uint8_t *)text, strlen(text)});
}

int main(void)
{
    static const char *pages[] = {"/", "/news", "/login", "/about", "/faq", "/search"};
    struct moot_place_member caches[] = {{1, 0, 10}, {2, 0, 10}, {3, 0, 20}};
    printf("page      all three  without 2\n");
    for (size_t i = 0; i < MOOT_ARRAY_LEN(pages); i++) {
        moot_node_id list[MOOT_PLACE_REPLICAS_MAX];
        int32_t all = moot_rendezvous_pick(caches, 3, key_of(pages[i]));
        (void)moot_rendezvous_replicas(caches, 3, key_of(pages[i]), 3, list);
        caches[1].weight = 0;
        int32_t rest = moot_rendezvous_pick(caches, 3, key_of(pages[i]));
        caches[1].weight = 10;
        printf("%-8s  cache %u    cache %u   (its list: %u %u %u)\n", pages[i], caches[all].node,
               caches[rest].node, list[0], list[1], list[2]);
    }
    static uint64_t memory[2048];
    static uint32_t counts[1001];
    struct moot_skeleton skeleton;
    if (moot_skeleton_size(1000) > sizeof(memory)) {
        return 1;
    }
    moot_skeleton_init(&skeleton, memory, 1000);
    for (moot_node_id node = 1; node <= 1000; node++) {
        if (moot_skeleton_set(&skeleton, node, node <= 500 ? 1 : 3) != 0) {
            return 1;
        }
    }
    for (uint32_t i = 0; i < 1000000; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "key %u", i);
        counts[moot_skeleton_pick(&skeleton, key_of(key))] += 1;
    }
    uint32_t light = 0;
    for (moot_node_id node = 1; node <= 500; node++) {
        light += counts[node];
    }
    printf("\n1,000 members in a tree of %u levels, half of weight 1, half of weight 3:\n",
           skeleton.levels);
    printf("the light half has %u of 1,000,000 keys; a quarter is fair\n", light);
    return 0;
}
