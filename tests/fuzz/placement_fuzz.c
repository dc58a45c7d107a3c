/* What the placement modules read: any bytes, for each kind of map. What is accepted holds its
 * invariants, can be used, and is encoded as the same again. */
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "base/status.h"
#include "moot/crush.h"
#include "moot/planner.h"
#include "moot/range_map.h"
#include "moot/rendezvous.h"
#include "moot/ring.h"
#include "moot/slot_map.h"

static uint8_t again[MOOT_SLOT_MAP_BYTES_MAX];

static bool is_accepted(int status)
{
    MOOT_ASSERT(status == 0 || status == MOOT_EINVALID || status == MOOT_EVERSION ||
                status == MOOT_ELIMIT);
    return status == 0;
}

static void try_ring(struct moot_slice bytes)
{
    static struct moot_place_member members[16];
    static struct moot_hash_ring_point points[1024];
    struct moot_hash_ring ring;
    size_t used;
    moot_node_id out[MOOT_PLACE_REPLICAS_MAX];
    moot_hash_ring_init(&ring, 0, members, 16, points, 1024);
    bool accepted = is_accepted(moot_hash_ring_decode(&ring, bytes));
    moot_hash_ring_check(&ring);
    MOOT_ASSERT(accepted || ring.member_count == 0);
    (void)moot_hash_ring_preference(&ring, bytes.size, 5, out);
    if (accepted) {
        MOOT_ASSERT(moot_hash_ring_encode(&ring, again, sizeof(again), &used) == 0);
        MOOT_ASSERT(moot_hash_ring_decode(&ring, moot_slice_make(again, used)) == 0);
    }
}

static void try_skeleton(struct moot_slice bytes)
{
    uint64_t memory[128];
    struct moot_skeleton skeleton;
    size_t used;
    MOOT_ASSERT(moot_skeleton_size(64) <= sizeof(memory));
    moot_skeleton_init(&skeleton, memory, 64);
    bool accepted = is_accepted(moot_skeleton_decode(&skeleton, bytes));
    MOOT_ASSERT(accepted || moot_skeleton_pick(&skeleton, 3) == 0);
    if (accepted) {
        moot_node_id winner = moot_skeleton_pick(&skeleton, bytes.size);
        MOOT_ASSERT(moot_skeleton_encode(&skeleton, again, sizeof(again), &used) == 0);
        MOOT_ASSERT(moot_skeleton_decode(&skeleton, moot_slice_make(again, used)) == 0);
        MOOT_ASSERT(moot_skeleton_pick(&skeleton, bytes.size) == winner);
    }
}

static void try_crush(struct moot_slice bytes)
{
    static const struct moot_crush_rule rule = {MOOT_CRUSH_FIRST_N, 2, {{2, 2}, {1, 2}}};
    struct moot_crush_item items[32];
    struct moot_crush map;
    size_t used;
    moot_node_id out[MOOT_PLACE_REPLICAS_MAX];
    moot_crush_init(&map, items, 32, 3);
    bool accepted = is_accepted(moot_crush_decode(&map, bytes));
    MOOT_ASSERT(accepted || map.count == 1);
    MOOT_ASSERT(moot_crush_select(&map, &rule, bytes.size, out) <= 4);
    if (accepted) {
        MOOT_ASSERT(moot_crush_encode(&map, again, sizeof(again), &used) == 0);
        MOOT_ASSERT(moot_crush_decode(&map, moot_slice_make(again, used)) == 0);
    }
}

static void try_ranges(struct moot_slice bytes)
{
    struct moot_key_range ranges[32];
    struct moot_range_map map;
    size_t used;
    moot_range_map_init(&map, ranges, 32, 1);
    bool accepted = is_accepted(moot_range_map_decode(&map, bytes));
    moot_range_map_check_all(&map);
    MOOT_ASSERT(moot_range_map_find(&map, bytes) < map.count);
    if (accepted) {
        MOOT_ASSERT(moot_range_map_encode(&map, again, sizeof(again), &used) == 0);
        MOOT_ASSERT(moot_range_map_decode(&map, moot_slice_make(again, used)) == 0);
    }
}

static void try_slots(struct moot_slice bytes)
{
    static struct moot_slot_map map;
    size_t used;
    if (is_accepted(moot_slot_map_decode(&map, bytes))) {
        MOOT_ASSERT(moot_slot_map_encode(&map, again, sizeof(again), &used) == 0);
        MOOT_ASSERT(moot_slot_map_decode(&map, moot_slice_make(again, used)) == 0);
    }
}

/* A map, or moves; an accepted map is planned from. */
static void try_planner(struct moot_slice bytes)
{
    static const struct moot_planner_options options = {.shards = 8, .replicas = 3};
    static const struct moot_planner_member members[] = {
        {1, 0, 1, 0}, {2, 0, 2, 0}, {3, 1, 1, 9}, {4, 1, 0, 0}, {5, 2, 1, 0}};
    static uint64_t memory[512];
    struct moot_planner_move moves[8];
    struct moot_planner_summary summary;
    moot_node_id map[24];
    moot_node_id target[24];
    size_t count;
    if (is_accepted(moot_planner_moves_decode(bytes, moves, 8, &count))) {
        MOOT_ASSERT(moot_planner_moves_encode(moves, count, again, sizeof(again), &count) == 0);
    }
    MOOT_ASSERT(moot_planner_size(&options, members, 5) <= sizeof(memory));
    if (is_accepted(moot_planner_map_decode(&options, bytes, map))) {
        MOOT_ASSERT(moot_planner_solve(memory, &options, members, 5, map, target, &summary) == 0);
        MOOT_ASSERT(summary.copies <= 24);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const targets[])(struct moot_slice) = {try_ring,   try_skeleton, try_crush,
                                                         try_ranges, try_slots,    try_planner};
    if (size > 0) {
        targets[data[0] % MOOT_ARRAY_LEN(targets)](moot_slice_make(data + 1, size - 1));
    }
    return 0;
}
