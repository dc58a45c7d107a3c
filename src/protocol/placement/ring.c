#include "moot/ring.h"

#include <string.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"
#include "protocol/placement/mix.h"

enum { RING_VERSION = 1 };

static bool point_before(const struct moot_hash_ring_point *a, const struct moot_hash_ring_point *b)
{
    return a->position != b->position ? a->position < b->position : a->node < b->node;
}

static uint64_t position_of(uint64_t seed, moot_node_id node, uint32_t i)
{
    return place__mix3(seed, node, i);
}

void moot_hash_ring_init(struct moot_hash_ring *ring, uint64_t seed,
                         struct moot_place_member *members, uint32_t member_capacity,
                         struct moot_hash_ring_point *points, uint32_t point_capacity)
{
    MOOT_ASSERT(member_capacity <= MOOT_PLACE_MEMBERS_MAX);
    MOOT_ASSERT(point_capacity <= MOOT_RING_POINTS_MAX);
    *ring = (struct moot_hash_ring){.members = members,
                                    .points = points,
                                    .member_capacity = member_capacity,
                                    .point_capacity = point_capacity,
                                    .seed = seed};
}

/* The place of the first member whose id is not less. */
static uint32_t member_place(const struct moot_hash_ring *ring, moot_node_id node)
{
    uint32_t low = 0;
    uint32_t high = ring->member_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ring->members[middle].node < node) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Members with points in a zone. */
static uint32_t zone_depth(const struct moot_hash_ring *ring, uint32_t zone)
{
    uint32_t depth = 0;
    for (uint32_t i = 0; i < ring->member_count; i++) {
        depth += ring->members[i].zone == zone && ring->members[i].weight > 0;
    }
    return depth;
}

/* ---- points ---- */

static void sift_down(struct moot_hash_ring_point *heap, uint32_t at, uint32_t count)
{
    struct moot_hash_ring_point moving = heap[at];
    for (uint32_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && point_before(&heap[child], &heap[child + 1])) {
            child += 1;
        }
        if (!point_before(&moving, &heap[child])) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

static void heap_sort(struct moot_hash_ring_point *points, uint32_t count)
{
    for (uint32_t at = count / 2; at > 0; at--) {
        sift_down(points, at - 1, count);
    }
    for (uint32_t end = count; end > 1; end--) {
        struct moot_hash_ring_point last = points[end - 1];
        points[end - 1] = points[0];
        points[0] = last;
        sift_down(points, 0, end - 1);
    }
}

static void remove_points(struct moot_hash_ring *ring, moot_node_id node)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < ring->point_count; i++) {
        if (ring->points[i].node != node) {
            ring->points[kept++] = ring->points[i];
        }
    }
    ring->point_count = kept;
}

/* The newcomer's points are sorted at the far end of the array, where the spare room is, and merged
 * with the old ones from the back, so that nothing is overwritten before it is read. */
static void add_points(struct moot_hash_ring *ring, const struct moot_place_member *member)
{
    uint32_t old = ring->point_count;
    uint32_t left = member->weight;
    MOOT_ASSERT((uint64_t)old + 2 * (uint64_t)left <= ring->point_capacity);
    struct moot_hash_ring_point *fresh = &ring->points[ring->point_capacity - left];
    for (uint32_t i = 0; i < left; i++) {
        fresh[i] = (struct moot_hash_ring_point){position_of(ring->seed, member->node, i),
                                                 member->node, member->zone};
    }
    heap_sort(fresh, left);
    ring->point_count = old + left;
    while (left > 0) {
        bool take_old = old > 0 && point_before(&fresh[left - 1], &ring->points[old - 1]);
        const struct moot_hash_ring_point *last = take_old ? &ring->points[--old] : &fresh[--left];
        ring->points[old + left] = *last;
    }
}

/* ---- members ---- */

static void leave_zone(struct moot_hash_ring *ring, const struct moot_place_member *member)
{
    uint32_t depth = member->weight > 0 ? zone_depth(ring, member->zone) : 0;
    if (depth > 0 && depth <= MOOT_PLACE_REPLICAS_MAX) {
        MOOT_ASSERT(ring->zones_deep[depth - 1] > 0);
        ring->zones_deep[depth - 1] -= 1;
    }
}
static void enter_zone(struct moot_hash_ring *ring, const struct moot_place_member *member)
{
    uint32_t depth = member->weight > 0 ? zone_depth(ring, member->zone) : 0;
    if (depth > 0 && depth <= MOOT_PLACE_REPLICAS_MAX) {
        ring->zones_deep[depth - 1] += 1;
    }
}

int moot_hash_ring_set(struct moot_hash_ring *ring, const struct moot_place_member *member)
{
    if (member->node == 0 || member->weight > MOOT_PLACE_WEIGHT_MAX) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    uint32_t place = member_place(ring, member->node);
    bool is_new = place == ring->member_count || ring->members[place].node != member->node;
    uint32_t freed = is_new ? 0 : ring->members[place].weight;
    if ((is_new && ring->member_count == ring->member_capacity) ||
        ring->point_count - freed + 2 * (uint64_t)member->weight > ring->point_capacity) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    struct moot_place_member wanted = *member; /* It may be one of ours. */
    if (!is_new) {
        (void)moot_hash_ring_remove(ring, wanted.node);
    }
    memmove(&ring->members[place + 1], &ring->members[place],
            (ring->member_count - place) * sizeof(ring->members[0]));
    ring->members[place] = wanted;
    ring->member_count += 1;
    enter_zone(ring, &wanted);
    add_points(ring, &wanted);
    return MOOT_OK;
}

bool moot_hash_ring_remove(struct moot_hash_ring *ring, moot_node_id node)
{
    uint32_t place = member_place(ring, node);
    if (place == ring->member_count || ring->members[place].node != node) {
        return false;
    }
    leave_zone(ring, &ring->members[place]);
    remove_points(ring, node);
    ring->member_count -= 1;
    memmove(&ring->members[place], &ring->members[place + 1],
            (ring->member_count - place) * sizeof(ring->members[0]));
    return true;
}

/* ---- look-up ---- */

/* The first point at or after the key; behind the last comes the first. */
static uint32_t point_of(const struct moot_hash_ring *ring, uint64_t key)
{
    uint32_t low = 0;
    uint32_t count = ring->point_count;
    while (count > 0) { /* The answer is in [low, low + count]. */
        uint32_t half = count / 2;
        bool before = ring->points[low + half].position < key;
        low = before ? low + half + 1 : low;
        count = before ? count - half - 1 : half;
    }
    return low == ring->point_count ? 0 : low;
}

moot_node_id moot_hash_ring_owner(const struct moot_hash_ring *ring, uint64_t key)
{
    return ring->point_count == 0 ? 0 : ring->points[point_of(ring, key)].node;
}

/* The list so far, with the zone of each. */
struct list {
    moot_node_id *nodes;
    uint32_t zones[MOOT_PLACE_REPLICAS_MAX];
    size_t count, wanted;
};

static bool list_has(const struct list *list, const struct moot_hash_ring_point *point)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->nodes[i] == point->node) {
            return true;
        }
    }
    return false;
}
static bool zone_is_new(const struct list *list, size_t from, uint32_t zone)
{
    for (size_t i = from; i < list->count; i++) {
        if (list->zones[i] == zone) {
            return false;
        }
    }
    return true;
}

/* One walk around the ring: takes a node of each zone that has one left. `zones` is how many do, so
 * that the walk ends as soon as it can, which on average is soon. */
static void walk_round(const struct moot_hash_ring *ring, uint32_t start, uint32_t zones,
                       struct list *list)
{
    size_t from = list->count;
    uint32_t at = start;
    for (uint32_t i = 0; i < ring->point_count; i++) {
        if (list->count == list->wanted || list->count - from == zones) {
            return;
        }
        const struct moot_hash_ring_point *point = &ring->points[at];
        if (zone_is_new(list, from, point->zone) && !list_has(list, point)) {
            list->nodes[list->count] = point->node;
            list->zones[list->count++] = point->zone;
        }
        at = at + 1 == ring->point_count ? 0 : at + 1;
    }
    MOOT_ASSERT(list->count == list->wanted || list->count - from == zones);
}

size_t moot_hash_ring_preference(const struct moot_hash_ring *ring, uint64_t key, size_t replicas,
                                 moot_node_id out[MOOT_PLACE_REPLICAS_MAX])
{
    MOOT_ASSERT(replicas <= MOOT_PLACE_REPLICAS_MAX);
    struct list list = {.nodes = out, .wanted = replicas};
    if (ring->point_count == 0) {
        return 0;
    }
    uint32_t start = point_of(ring, key);
    for (uint32_t round = 0; round < replicas && ring->zones_deep[round] > 0; round++) {
        walk_round(ring, start, ring->zones_deep[round], &list);
    }
    return list.count;
}

void moot_hash_ring_check(const struct moot_hash_ring *ring)
{
    uint64_t points = 0;
    uint32_t deep[MOOT_PLACE_REPLICAS_MAX] = {0};
    for (uint32_t i = 0; i < ring->member_count; i++) {
        const struct moot_place_member *member = &ring->members[i];
        MOOT_ASSERT(i == 0 || ring->members[i - 1].node < member->node);
        points += member->weight;
        uint32_t rank = 0; /* Members of its zone before it. */
        for (uint32_t j = 0; j < i; j++) {
            rank += ring->members[j].zone == member->zone && ring->members[j].weight > 0;
        }
        if (member->weight > 0 && rank < MOOT_PLACE_REPLICAS_MAX) {
            deep[rank] += 1;
        }
    }
    MOOT_ASSERT(points == ring->point_count);
    MOOT_ASSERT(memcmp(deep, ring->zones_deep, sizeof(deep)) == 0);
    for (uint32_t i = 1; i < ring->point_count; i++) {
        MOOT_ASSERT(!point_before(&ring->points[i], &ring->points[i - 1]));
    }
}

/* ---- encoding ---- */

int moot_hash_ring_encode(const struct moot_hash_ring *ring, uint8_t *out, size_t size,
                          size_t *used)
{
    struct moot_writer writer = moot_writer_make(out, size);
    moot_write_u8(&writer, RING_VERSION);
    moot_write_u64(&writer, ring->seed);
    moot_write_varint(&writer, ring->member_count);
    for (uint32_t i = 0; i < ring->member_count; i++) {
        moot_write_u32(&writer, ring->members[i].node);
        moot_write_u32(&writer, ring->members[i].zone);
        moot_write_u32(&writer, ring->members[i].weight);
    }
    *used = writer.failed ? 0 : (size_t)(writer.at - out);
    return writer.failed ? MOOT_FAIL(MOOT_ELIMIT) : MOOT_OK;
}

static int decode_members(struct moot_hash_ring *ring, struct moot_reader *reader)
{
    uint64_t count = moot_get_varint(reader);
    if (reader->failed || count > moot_reader_left(reader) / 12) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    for (uint64_t i = 0; i < count; i++) {
        struct moot_place_member member = {.node = moot_get_u32(reader),
                                           .zone = moot_get_u32(reader),
                                           .weight = moot_get_u32(reader)};
        if (i > 0 && member.node <= ring->members[i - 1].node) {
            return MOOT_FAIL(MOOT_EINVALID);
        }
        int status = moot_hash_ring_set(ring, &member);
        if (status != MOOT_OK) {
            return status;
        }
    }
    return moot_reader_left(reader) == 0 ? MOOT_OK : MOOT_FAIL(MOOT_EINVALID);
}

int moot_hash_ring_decode(struct moot_hash_ring *ring, struct moot_slice bytes)
{
    struct moot_reader reader = moot_reader_make(bytes);
    uint8_t version = moot_get_u8(&reader);
    uint64_t seed = moot_get_u64(&reader);
    moot_hash_ring_init(ring, seed, ring->members, ring->member_capacity, ring->points,
                        ring->point_capacity);
    if (reader.failed) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    if (version != RING_VERSION) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    int status = decode_members(ring, &reader);
    if (status != MOOT_OK) {
        moot_hash_ring_init(ring, seed, ring->members, ring->member_capacity, ring->points,
                            ring->point_capacity);
    }
    return status;
}
