#include "moot/range_map.h"

#include <string.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/slice.h"
#include "base/status.h"

enum { RANGE_MAP_VERSION = 1 };

static struct moot_slice start_of(const struct moot_key_range *range)
{
    return moot_slice_make(range->start, range->start_size);
}

void moot_range_map_init(struct moot_range_map *map, struct moot_key_range *ranges,
                         uint32_t capacity, uint32_t shard)
{
    MOOT_ASSERT(capacity >= 1);
    MOOT_ASSERT(capacity <= MOOT_RANGES_MAX);
    MOOT_ASSERT(shard != 0);
    ranges[0] = (struct moot_key_range){.shard = shard, .epoch = 1};
    *map = (struct moot_range_map){.ranges = ranges, .count = 1, .capacity = capacity};
}

uint32_t moot_range_map_find(const struct moot_range_map *map, struct moot_slice key)
{
    uint32_t low = 0; /* The answer is in [low, high). */
    uint32_t high = map->count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (moot_slice_compare(start_of(&map->ranges[middle]), key) <= 0) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

uint32_t moot_range_map_place(const struct moot_range_map *map, uint32_t shard)
{
    uint32_t place = 0;
    while (place < map->count && map->ranges[place].shard != shard) {
        place += 1;
    }
    return place;
}

int moot_range_map_check(const struct moot_range_map *map, struct moot_slice key, uint32_t shard,
                         uint64_t epoch)
{
    const struct moot_key_range *range = &map->ranges[moot_range_map_find(map, key)];
    return range->shard == shard && range->epoch == epoch ? MOOT_OK : MOOT_FAIL(MOOT_EREFUSED);
}

int moot_range_map_split(struct moot_range_map *map, struct moot_slice at, uint32_t shard)
{
    uint32_t place = moot_range_map_find(map, at);
    struct moot_key_range *left = &map->ranges[place];
    if (at.size > MOOT_RANGE_KEY_MAX || moot_slice_equal(start_of(left), at) || shard == 0 ||
        moot_range_map_place(map, shard) < map->count || left->epoch == UINT64_MAX) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    if (map->count == map->capacity) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    struct moot_key_range right = {.start_size = (uint8_t)at.size,
                                   .shard = shard,
                                   .epoch = left->epoch + 1,
                                   .bytes = left->bytes / 2,
                                   .load = left->load / 2};
    MOOT_ASSERT(at.size > 0); /* The empty key begins the first range. */
    memcpy(right.start, at.data, at.size);
    left->epoch += 1;
    left->bytes -= right.bytes;
    left->load -= right.load;
    memmove(&left[2], &left[1], (map->count - place - 1) * sizeof(*left));
    left[1] = right;
    map->count += 1;
    return MOOT_OK;
}

static uint64_t add_saturating(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

int moot_range_map_merge(struct moot_range_map *map, uint32_t shard)
{
    uint32_t place = moot_range_map_place(map, shard);
    if (place + 1 >= map->count) {
        return MOOT_FAIL(MOOT_ENOTFOUND);
    }
    struct moot_key_range *left = &map->ranges[place];
    const struct moot_key_range *right = &left[1];
    left->epoch = add_saturating(moot_max_u64(left->epoch, right->epoch), 1);
    left->bytes = add_saturating(left->bytes, right->bytes);
    left->load = add_saturating(left->load, right->load);
    memmove(&left[1], &left[2], (map->count - place - 2) * sizeof(*left));
    map->count -= 1;
    return MOOT_OK;
}

int moot_range_separator(struct moot_slice a, struct moot_slice b, uint8_t out[MOOT_RANGE_KEY_MAX],
                         size_t *size)
{
    if (moot_slice_compare(a, b) >= 0) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    /* b up to and with the first byte in which it differs from a, or goes beyond it: greater than
     * a, not greater than b, and no shorter one is greater than a. */
    size_t shared = 0;
    while (shared < a.size && a.data[shared] == b.data[shared]) {
        shared += 1;
    }
    MOOT_ASSERT(shared < b.size);
    if (shared + 1 > MOOT_RANGE_KEY_MAX) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    memcpy(out, b.data, shared + 1);
    *size = shared + 1;
    return MOOT_OK;
}

bool moot_range_policy_is_valid(const struct moot_range_policy *policy)
{
    return policy->split_bytes > 0 && policy->split_load > 0 &&
           policy->merge_bytes <= policy->split_bytes / 2 &&
           policy->merge_load <= policy->split_load / 2;
}

struct moot_range_advice moot_range_map_advise(const struct moot_range_map *map,
                                               const struct moot_range_policy *policy,
                                               uint32_t from)
{
    MOOT_ASSERT(moot_range_policy_is_valid(policy));
    for (uint32_t place = from; place < map->count; place++) {
        const struct moot_key_range *range = &map->ranges[place];
        if (range->bytes > policy->split_bytes || range->load > policy->split_load) {
            return (struct moot_range_advice){MOOT_RANGE_SPLIT, range->shard, place};
        }
        if (place + 1 < map->count &&
            add_saturating(range->bytes, range[1].bytes) < policy->merge_bytes &&
            add_saturating(range->load, range[1].load) < policy->merge_load) {
            return (struct moot_range_advice){MOOT_RANGE_MERGE, range->shard, place};
        }
    }
    return (struct moot_range_advice){MOOT_RANGE_KEEP, 0, map->count};
}

void moot_range_map_check_all(const struct moot_range_map *map)
{
    MOOT_ASSERT(map->count >= 1);
    MOOT_ASSERT(map->count <= map->capacity);
    MOOT_ASSERT(map->ranges[0].start_size == 0);
    for (uint32_t place = 0; place < map->count; place++) {
        const struct moot_key_range *range = &map->ranges[place];
        MOOT_ASSERT(range->shard != 0);
        MOOT_ASSERT(moot_range_map_place(map, range->shard) == place);
        MOOT_ASSERT(place == 0 || moot_slice_compare(start_of(&range[-1]), start_of(range)) < 0);
    }
}

/* ---- encoding ---- */

int moot_range_map_encode(const struct moot_range_map *map, uint8_t *out, size_t size, size_t *used)
{
    struct moot_writer writer = moot_writer_make(out, size);
    moot_write_u8(&writer, RANGE_MAP_VERSION);
    moot_write_varint(&writer, map->count);
    for (uint32_t place = 0; place < map->count; place++) {
        const struct moot_key_range *range = &map->ranges[place];
        moot_write_bytes(&writer, start_of(range));
        moot_write_u32(&writer, range->shard);
        moot_write_varint(&writer, range->epoch);
        moot_write_varint(&writer, range->bytes);
        moot_write_varint(&writer, range->load);
    }
    *used = writer.failed ? 0 : (size_t)(writer.at - out);
    return writer.failed ? MOOT_FAIL(MOOT_ELIMIT) : MOOT_OK;
}

/* The next range; it must begin after the last one (the first: at the empty key). */
static int decode_range(struct moot_range_map *map, struct moot_reader *reader)
{
    struct moot_slice start = moot_get_bytes(reader);
    struct moot_key_range range = {.shard = moot_get_u32(reader)};
    range.epoch = moot_get_varint(reader);
    range.bytes = moot_get_varint(reader);
    range.load = moot_get_varint(reader);
    bool rises = map->count == 0
                     ? start.size == 0
                     : moot_slice_compare(start_of(&map->ranges[map->count - 1]), start) < 0;
    if (reader->failed || start.size > MOOT_RANGE_KEY_MAX || !rises || range.shard == 0 ||
        moot_range_map_place(map, range.shard) < map->count) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    if (start.size > 0) {
        memcpy(range.start, start.data, start.size);
    }
    range.start_size = (uint8_t)start.size;
    map->ranges[map->count++] = range;
    return MOOT_OK;
}

static int decode_ranges(struct moot_range_map *map, struct moot_reader *reader)
{
    uint64_t count = moot_get_varint(reader);
    if (reader->failed || count == 0 || count > moot_reader_left(reader) / 8) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    if (count > map->capacity) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    map->count = 0;
    for (uint64_t i = 0; i < count; i++) {
        int status = decode_range(map, reader);
        if (status != MOOT_OK) {
            return status;
        }
    }
    return moot_reader_left(reader) == 0 ? MOOT_OK : MOOT_FAIL(MOOT_EINVALID);
}

int moot_range_map_decode(struct moot_range_map *map, struct moot_slice bytes)
{
    struct moot_reader reader = moot_reader_make(bytes);
    uint8_t version = moot_get_u8(&reader);
    int status = reader.failed                  ? MOOT_FAIL(MOOT_EINVALID)
                 : version != RANGE_MAP_VERSION ? MOOT_FAIL(MOOT_EVERSION)
                                                : decode_ranges(map, &reader);
    if (status != MOOT_OK) {
        moot_range_map_init(map, map->ranges, map->capacity, 1);
    }
    return status;
}
