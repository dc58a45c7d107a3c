/* Two replicas of 10,000 keys, three of which differ: found by comparing digests, level by level.
 */
#include <stdio.h>
#include <stdlib.h>

#include "moot/merkle.h"

enum { KEYS = 10000, LEAVES = 4096 };
static uint64_t values[2][KEYS]; /* Of key number i; its hash is moot_hash64 of its digits. */
static uint64_t hashes[KEYS];

static int by_key(const void *a, const void *b)
{
    const struct moot_merkle_item *left = a;
    const struct moot_merkle_item *right = b;
    return left->key < right->key ? -1 : left->key > right->key;
}

/* The pairs of a leaf, sorted; a real store keeps them so. */
static uint32_t list(int replica, uint32_t leaf, uint64_t from, struct moot_merkle_item *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        if (moot_merkle_leaf(hashes[i], LEAVES) == leaf && hashes[i] >= from &&
            count < MOOT_MERKLE_ITEMS_PER_MESSAGE) {
            out[count++] = (struct moot_merkle_item){hashes[i], values[replica][i]};
        }
    }
    qsort(out, count, sizeof(out[0]), by_key);
    return count;
}

int main(void)
{
    static struct moot_merkle trees[2];
    static struct moot_merkle_compare compare;
    static struct moot_merkle_message reply;
    static struct moot_merkle_item items[MOOT_MERKLE_ITEMS_PER_MESSAGE];
    for (int replica = 0; replica < 2; replica++) {
        moot_merkle_init(&trees[replica], malloc(moot_merkle_size(LEAVES)), LEAVES);
        for (uint32_t i = 0; i < KEYS; i++) {
            char key[16];
            int size = snprintf(key, sizeof(key), "%u", i);
            hashes[i] = moot_hash64((struct moot_slice){(const uint8_t *)key, (size_t)size}, 0);
            values[replica][i] = replica == 1 && i % 4000 == 77 ? 2 : 1;
            moot_merkle_add(&trees[replica], moot_merkle_leaf(hashes[i], LEAVES),
                            moot_hash_mix(hashes[i], values[replica][i]));
        }
        printf("replica %d: root %016llx\n", replica,
               (unsigned long long)moot_merkle_root(&trees[replica]));
    }
    struct moot_merkle_effects effects;
    struct moot_merkle_event event = {.kind = MOOT_MERKLE_EVENT_START, .scope = 1};
    moot_merkle_compare_init(&compare, &trees[0], malloc(moot_merkle_compare_size(&trees[0])),
                             moot_ms(100));
    uint32_t messages = 0;
    for (;;) {
        moot_merkle_compare_step(&compare, &event, &effects);
        for (uint32_t i = 0; i < effects.different_count; i++) {
            printf("  key hash %016llx differs\n", (unsigned long long)effects.different[i]);
        }
        if (effects.next == MOOT_MERKLE_EFFECT_SEND) {
            const struct moot_merkle_message *request = &compare.message;
            int status;
            messages += 2;
            if (request->kind == MOOT_MERKLE_NODES) {
                printf("%u nodes are asked about\n", request->count);
                status = moot_merkle_answer_nodes(&trees[1], 1, request, &reply);
            } else {
                uint32_t count = list(1, request->items.leaf, request->items.from, items);
                printf("leaf %u: %u pairs are sent\n", request->items.leaf, request->count);
                status = moot_merkle_answer_items(items, count, UINT64_MAX, 1, request, &reply);
            }
            if (status != 0) {
                return 1;
            }
            event = (struct moot_merkle_event){.kind = MOOT_MERKLE_EVENT_REPLY, .message = &reply};
        } else if (effects.next == MOOT_MERKLE_EFFECT_LIST) {
            uint32_t count = list(0, effects.leaf, effects.from, items);
            event = (struct moot_merkle_event){
                .kind = MOOT_MERKLE_EVENT_LISTED, .items = items, .item_count = count};
        } else {
            break;
        }
    }
    printf("%u messages for %d keys\n", messages, KEYS);
    return 0;
}
