/* A consistent-hash ring: five nodes in three zones, one of them twice as large; then one leaves.
 */
#include <stdio.h>

#include "moot/ring.h"

enum { KEYS = 100000 };

static void count_keys(const struct moot_hash_ring *ring, uint32_t counts[8])
{
    for (uint32_t i = 0; i < KEYS; i++) {
        char key[32];
        int size = snprintf(key, sizeof(key), "user:%u", i);
        struct moot_slice slice = {(const uint8_t *)key, (size_t)size};
        counts[moot_hash_ring_owner(ring, moot_place_key(slice))] += 1;
    }
}

int main(void)
{
    static struct moot_place_member members[8];
    static struct moot_hash_ring_point points[2048];
    struct moot_hash_ring ring;
    moot_hash_ring_init(&ring, 0, members, 8, points, 2048);
    for (moot_node_id node = 1; node <= 5; node++) {
        struct moot_place_member member = {
            .node = node, .zone = node % 3, .weight = node == 5 ? 256 : 128};
        if (moot_hash_ring_set(&ring, &member) != 0) {
            return 1;
        }
    }
    uint32_t before[8] = {0};
    uint32_t after[8] = {0};
    moot_node_id list[MOOT_PLACE_REPLICAS_MAX];
    count_keys(&ring, before);
    struct moot_slice key = {(const uint8_t *)"user:42", 7};
    size_t replicas = moot_hash_ring_preference(&ring, moot_place_key(key), 3, list);
    printf("user:42 is on");
    for (size_t i = 0; i < replicas; i++) {
        printf(" node %u (zone %u)", list[i], list[i] % 3);
    }
    printf(": three zones\n\n");
    (void)moot_hash_ring_remove(&ring, 2);
    count_keys(&ring, after);
    printf("node  weight  fair share  keys  after node 2 left\n");
    for (moot_node_id node = 1; node <= 5; node++) {
        unsigned weight = node == 5 ? 256 : 128;
        printf("%4u  %6u  %10u  %5u  %5u (%+d)\n", node, weight, KEYS / 768 * weight, before[node],
               after[node], (int)after[node] - (int)before[node]);
    }
    printf("\nNode 2's keys went to the others; no other key moved.\n");
    return 0;
}
