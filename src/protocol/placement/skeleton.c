#include <string.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"
#include "moot/rendezvous.h"
#include "protocol/placement/mix.h"

enum { SKELETON_VERSION = 1, FANOUT = MOOT_SKELETON_FANOUT };

/* How many nodes a level has above one of `below`. */
static uint32_t level_above(uint32_t below) { return (below + FANOUT - 1) / FANOUT; }

static uint32_t sums_count(uint32_t capacity)
{
    uint32_t total = capacity;
    for (uint32_t width = capacity; width > 1;) {
        width = level_above(width);
        total += width;
    }
    return total;
}

size_t moot_skeleton_size(uint32_t capacity)
{
    MOOT_ASSERT(capacity >= 1);
    MOOT_ASSERT(capacity <= MOOT_PLACE_MEMBERS_MAX);
    return sums_count(capacity) * sizeof(uint64_t) + capacity * sizeof(moot_node_id);
}

static uint32_t width_of(const struct moot_skeleton *skeleton, uint32_t level)
{
    return skeleton->first[level + 1] - skeleton->first[level];
}

void moot_skeleton_init(struct moot_skeleton *skeleton, void *memory, uint32_t capacity)
{
    MOOT_ASSERT((uintptr_t)memory % 8 == 0);
    memset(memory, 0, moot_skeleton_size(capacity));
    *skeleton = (struct moot_skeleton){.sums = memory, .capacity = capacity};
    skeleton->nodes = (moot_node_id *)(skeleton->sums + sums_count(capacity));
    uint32_t width = capacity;
    skeleton->first[1] = width;
    skeleton->levels = 1;
    while (width > 1) {
        MOOT_ASSERT(skeleton->levels < MOOT_SKELETON_LEVELS_MAX);
        width = level_above(width);
        skeleton->first[skeleton->levels + 1] = skeleton->first[skeleton->levels] + width;
        skeleton->levels += 1;
    }
    MOOT_ASSERT(skeleton->first[skeleton->levels] == sums_count(capacity));
}

/* The leaf's weight, and with it those of all above. */
static void set_weight(struct moot_skeleton *skeleton, uint32_t leaf, uint32_t weight)
{
    uint64_t old = skeleton->sums[leaf];
    uint32_t at = leaf;
    for (uint32_t level = 0; level < skeleton->levels; level++) {
        uint64_t *sum = &skeleton->sums[skeleton->first[level] + at];
        MOOT_ASSERT(*sum >= old);
        *sum = *sum - old + weight;
        at /= FANOUT;
    }
}

int moot_skeleton_set(struct moot_skeleton *skeleton, moot_node_id node, uint32_t weight)
{
    if (node == 0 || weight > MOOT_PLACE_WEIGHT_MAX) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    uint32_t free_leaf = skeleton->capacity;
    uint32_t leaf = 0;
    for (; leaf < skeleton->capacity && skeleton->nodes[leaf] != node; leaf++) {
        if (skeleton->nodes[leaf] == 0 && free_leaf == skeleton->capacity) {
            free_leaf = leaf;
        }
    }
    if (leaf == skeleton->capacity) {
        if (weight == 0) {
            return MOOT_OK;
        }
        if (free_leaf == skeleton->capacity) {
            return MOOT_FAIL(MOOT_ELIMIT);
        }
        leaf = free_leaf;
    }
    set_weight(skeleton, leaf, weight);
    skeleton->nodes[leaf] = weight == 0 ? 0 : node;
    return MOOT_OK;
}

/* Weighted rendezvous among the children of a node: places first to end-1 of `level`. A leaf is
 * scored by its member's id, an inner node by its place. */
static uint32_t choose_child(const struct moot_skeleton *skeleton, uint32_t level, uint32_t first,
                             uint32_t end, uint64_t key)
{
    const uint64_t *sums = &skeleton->sums[skeleton->first[level]];
    uint32_t best = end;
    uint64_t best_cost = 0;
    for (uint32_t child = first; child < end; child++) {
        if (sums[child] == 0) {
            continue;
        }
        uint64_t id = level == 0 ? skeleton->nodes[child] : child;
        uint64_t cost = place__cost(place__mix3(key, level, id));
        if (best == end || place__cost_before(cost, sums[child], best_cost, sums[best])) {
            best = child;
            best_cost = cost;
        }
    }
    return best;
}

moot_node_id moot_skeleton_pick(const struct moot_skeleton *skeleton, uint64_t key)
{
    uint32_t top = skeleton->levels - 1;
    if (skeleton->sums[skeleton->first[top]] == 0) {
        return 0;
    }
    uint32_t at = 0;
    for (uint32_t level = top; level > 0; level--) {
        uint32_t first = at * FANOUT;
        uint32_t end = (uint32_t)moot_min_u64(first + FANOUT, width_of(skeleton, level - 1));
        at = choose_child(skeleton, level - 1, first, end, key);
        MOOT_ASSERT(at < end); /* A sum that is not 0 has a child that is not. */
    }
    MOOT_ASSERT(skeleton->nodes[at] != 0);
    return skeleton->nodes[at];
}

int moot_skeleton_encode(const struct moot_skeleton *skeleton, uint8_t *out, size_t size,
                         size_t *used)
{
    struct moot_writer writer = moot_writer_make(out, size);
    uint32_t count = 0;
    for (uint32_t leaf = 0; leaf < skeleton->capacity; leaf++) {
        count += skeleton->nodes[leaf] != 0;
    }
    moot_write_u8(&writer, SKELETON_VERSION);
    moot_write_varint(&writer, skeleton->capacity);
    moot_write_varint(&writer, count);
    for (uint32_t leaf = 0; leaf < skeleton->capacity; leaf++) {
        if (skeleton->nodes[leaf] != 0) {
            moot_write_varint(&writer, leaf);
            moot_write_u32(&writer, skeleton->nodes[leaf]);
            moot_write_u32(&writer, (uint32_t)skeleton->sums[leaf]);
        }
    }
    *used = writer.failed ? 0 : (size_t)(writer.at - out);
    return writer.failed ? MOOT_FAIL(MOOT_ELIMIT) : MOOT_OK;
}

static bool has_node(const struct moot_skeleton *skeleton, uint32_t leaves, moot_node_id node)
{
    for (uint32_t leaf = 0; leaf < leaves; leaf++) {
        if (skeleton->nodes[leaf] == node) {
            return true;
        }
    }
    return false;
}

static int decode_leaves(struct moot_skeleton *skeleton, struct moot_reader *reader)
{
    uint64_t count = moot_get_varint(reader);
    if (reader->failed || count > skeleton->capacity) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    uint32_t next = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t leaf = moot_get_varint(reader);
        moot_node_id node = moot_get_u32(reader);
        uint32_t weight = moot_get_u32(reader);
        if (reader->failed || leaf < next || leaf >= skeleton->capacity || node == 0 ||
            weight == 0 || weight > MOOT_PLACE_WEIGHT_MAX || has_node(skeleton, next, node)) {
            return MOOT_FAIL(MOOT_EINVALID);
        }
        skeleton->nodes[leaf] = node;
        set_weight(skeleton, (uint32_t)leaf, weight);
        next = (uint32_t)leaf + 1;
    }
    return moot_reader_left(reader) == 0 ? MOOT_OK : MOOT_FAIL(MOOT_EINVALID);
}

int moot_skeleton_decode(struct moot_skeleton *skeleton, struct moot_slice bytes)
{
    moot_skeleton_init(skeleton, skeleton->sums, skeleton->capacity);
    struct moot_reader reader = moot_reader_make(bytes);
    uint8_t version = moot_get_u8(&reader);
    uint64_t capacity = moot_get_varint(&reader);
    if (reader.failed) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    if (version != SKELETON_VERSION) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    if (capacity != skeleton->capacity) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    int status = decode_leaves(skeleton, &reader);
    if (status != MOOT_OK) {
        moot_skeleton_init(skeleton, skeleton->sums, skeleton->capacity);
    }
    return status;
}
