/* What a look-up costs: nanoseconds for a key, by scheme, at 10, 100 and 1,000 nodes.
 *
 *   build/placement [KEYS]     prints a table; on a machine with nothing else to do */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "moot/crush.h"
#include "moot/jump.h"
#include "moot/rendezvous.h"
#include "moot/ring.h"
#include "moot/slot_map.h"

enum { NODES_MAX = 1000, POINTS = 100, RUNS = 5 };
enum scheme { MODULO, JUMP, RING, PREFERENCE, RENDEZVOUS, SKELETON, CRUSH, SLOTS, SCHEMES };
static const char *const NAMES[SCHEMES] = {
    "modulo",     "jump",     "ring (100 points)",   "ring, 3 replicas",
    "rendezvous", "skeleton", "CRUSH (racks of 20)", "slot map"};

static struct moot_place_member members[NODES_MAX], ring_members[NODES_MAX];
static struct moot_hash_ring_point points[(NODES_MAX + 1) * POINTS];
static struct moot_hash_ring ring;
static uint64_t skeleton_memory[2 * NODES_MAX];
static struct moot_skeleton skeleton;
static struct moot_crush_item items[2 * NODES_MAX];
static struct moot_crush crush;
static struct moot_slot_map slots;
static struct moot_slot_share shares[NODES_MAX];
static uint32_t scratch[NODES_MAX];

static bool set_up(uint32_t nodes)
{
    uint32_t rack = 0;
    int status = 0;
    moot_hash_ring_init(&ring, 1, ring_members, NODES_MAX, points, (NODES_MAX + 1) * POINTS);
    moot_skeleton_init(&skeleton, skeleton_memory, nodes);
    moot_crush_init(&crush, items, 2 * NODES_MAX, 2);
    moot_slot_map_init(&slots);
    for (uint32_t i = 0; i < nodes && status == 0; i++) {
        uint32_t place;
        members[i] = (struct moot_place_member){i + 1, i % 3, POINTS};
        shares[i] = (struct moot_slot_share){i + 1, 1};
        status = moot_hash_ring_set(&ring, &members[i]);
        status = status != 0 ? status : moot_skeleton_set(&skeleton, i + 1, POINTS);
        if (status == 0 && i % 20 == 0) {
            status = moot_crush_add(&crush, MOOT_CRUSH_ROOT, 1, i / 20, 0, &rack);
        }
        status = status != 0 ? status : moot_crush_add(&crush, rack, 0, i + 1, POINTS, &place);
    }
    return status == 0 && moot_slot_map_balance(&slots, shares, nodes, scratch) == 0;
}

static uint32_t look_up(enum scheme scheme, uint64_t key, uint32_t nodes)
{
    static const struct moot_crush_rule one = {MOOT_CRUSH_FIRST_N, 1, {{0, 1}}};
    moot_node_id out[MOOT_PLACE_REPLICAS_MAX];
    switch (scheme) {
    case MODULO:
        return moot_modulo_bucket(key, nodes);
    case JUMP:
        return moot_jump_bucket(key, nodes);
    case RING:
        return moot_hash_ring_owner(&ring, key);
    case PREFERENCE:
        return moot_hash_ring_preference(&ring, key, 3, out) == 3 ? out[2] : 0;
    case RENDEZVOUS:
        return (uint32_t)moot_rendezvous_pick(members, nodes, key);
    case SKELETON:
        return moot_skeleton_pick(&skeleton, key);
    case CRUSH:
        return moot_crush_select(&crush, &one, key, out) == 1 ? out[0] : 0;
    case SLOTS:
    case SCHEMES:
        break;
    }
    uint8_t bytes[16]; /* With its CRC: the others are given the key's hash. */
    for (int i = 0; i < 16; i++) {
        bytes[i] = (uint8_t)(key >> (4 * i));
    }
    return moot_slot_map_owner(&slots, (struct moot_slice){bytes, sizeof(bytes)});
}

static double run_ns(enum scheme scheme, uint32_t nodes, uint32_t keys)
{
    double best = 1e30;
    static volatile uint32_t sink;
    for (int run = 0; run < RUNS; run++) {
        struct timespec begin;
        struct timespec end;
        uint32_t sum = 0;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        for (uint64_t i = 1; i <= keys; i++) {
            sum += look_up(scheme, i * UINT64_C(0x9e3779b97f4a7c15), nodes);
        }
        clock_gettime(CLOCK_MONOTONIC, &end);
        sink = sum;
        double ns =
            (double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec);
        best = ns / keys < best ? ns / keys : best;
    }
    (void)sink;
    return best;
}

int main(int argc, char **argv)
{
    static const uint32_t sizes[] = {10, 100, 1000};
    uint32_t keys = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 200000;
    keys = keys == 0 ? 1 : keys;
    printf("| ns a look-up, best of %d | 10 nodes | 100 nodes | 1,000 nodes |\n|---|--:|--:|--:|\n",
           RUNS);
    for (int scheme = 0; scheme < SCHEMES; scheme++) {
        printf("| %s |", NAMES[scheme]);
        for (size_t s = 0; s < MOOT_ARRAY_LEN(sizes); s++) {
            if (!set_up(sizes[s])) {
                return 1;
            }
            uint32_t fewer = scheme == RENDEZVOUS && sizes[s] == 1000 ? keys / 10 + 1 : keys;
            printf(" %.0f |", run_ns((enum scheme)scheme, sizes[s], fewer));
        }
        printf("\n");
    }
    return 0;
}
