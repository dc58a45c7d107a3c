#include "moot/slot_map.h"

#include <string.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"

enum { SLOT_MAP_VERSION = 1 };

void moot_slot_map_init(struct moot_slot_map *map) { memset(map, 0, sizeof(*map)); }

int moot_slot_map_assign(struct moot_slot_map *map, uint16_t first, uint16_t last, uint32_t owner)
{
    if (last >= MOOT_SLOTS || first > last) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    for (uint32_t slot = first; slot <= last; slot++) {
        map->owner[slot] = owner;
    }
    return MOOT_OK;
}

uint32_t moot_slot_map_count(const struct moot_slot_map *map, uint32_t owner)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < MOOT_SLOTS; slot++) {
        count += map->owner[slot] == owner;
    }
    return count;
}

bool moot_slot_map_run(const struct moot_slot_map *map, uint32_t from, struct moot_slot_run *out)
{
    if (from >= MOOT_SLOTS) {
        return false;
    }
    uint32_t last = from;
    while (last + 1 < MOOT_SLOTS && map->owner[last + 1] == map->owner[from]) {
        last += 1;
    }
    *out = (struct moot_slot_run){(uint16_t)from, (uint16_t)last, map->owner[from]};
    return true;
}

bool moot_slot_map_move(const struct moot_slot_map *old, const struct moot_slot_map *fresh,
                        uint32_t from, struct moot_slot_move *out)
{
    while (from < MOOT_SLOTS && old->owner[from] == fresh->owner[from]) {
        from += 1;
    }
    if (from >= MOOT_SLOTS) {
        return false;
    }
    uint32_t last = from;
    while (last + 1 < MOOT_SLOTS && old->owner[last + 1] == old->owner[from] &&
           fresh->owner[last + 1] == fresh->owner[from]) {
        last += 1;
    }
    *out = (struct moot_slot_move){(uint16_t)from, (uint16_t)last, old->owner[from],
                                   fresh->owner[from]};
    return true;
}

/* ---- balance ---- */

/* The exact share of one owner is 16,384 * weight / sum. */
static uint64_t whole_of(const struct moot_slot_share *share, uint64_t sum)
{
    return (uint64_t)MOOT_SLOTS * share->weight / sum;
}
static uint64_t remainder_of(const struct moot_slot_share *share, uint64_t sum)
{
    return (uint64_t)MOOT_SLOTS * share->weight % sum;
}

/* Who of two gets a slot that is left over by rounding down? */
static bool remainder_before(const struct moot_slot_map *map, const struct moot_slot_share *a,
                             const struct moot_slot_share *b, uint64_t sum)
{
    uint64_t rest_a = remainder_of(a, sum);
    uint64_t rest_b = remainder_of(b, sum);
    if (rest_a != rest_b) {
        return rest_a > rest_b;
    }
    /* Who has more than the rounded share already loses nothing by getting it. */
    int64_t over_a = (int64_t)moot_slot_map_count(map, a->owner) - (int64_t)whole_of(a, sum);
    int64_t over_b = (int64_t)moot_slot_map_count(map, b->owner) - (int64_t)whole_of(b, sum);
    return over_a != over_b ? over_a > over_b : a->owner < b->owner;
}

/* Shares by largest remainder into scratch. The sum of remainders is less than `count` slots, so
 * nobody gets two. A top bit marks who has got one. */
static void deal_shares(const struct moot_slot_map *map, const struct moot_slot_share *shares,
                        size_t count, uint64_t sum, uint32_t *scratch)
{
    const uint32_t marked = UINT32_C(1) << 31;
    uint32_t left = MOOT_SLOTS;
    for (size_t i = 0; i < count; i++) {
        scratch[i] = (uint32_t)whole_of(&shares[i], sum);
        left -= scratch[i];
    }
    MOOT_ASSERT(left < count || left == 0);
    for (; left > 0; left--) {
        size_t best = count;
        for (size_t i = 0; i < count; i++) {
            if ((scratch[i] & marked) == 0 && shares[i].weight > 0 &&
                (best == count || remainder_before(map, &shares[i], &shares[best], sum))) {
                best = i;
            }
        }
        MOOT_ASSERT(best < count);
        scratch[best] = (scratch[best] + 1) | marked;
    }
    for (size_t i = 0; i < count; i++) {
        scratch[i] &= ~marked;
    }
}

static size_t share_of(const struct moot_slot_share *shares, size_t count, uint32_t owner)
{
    size_t i = 0;
    while (i < count && shares[i].owner != owner) {
        i += 1;
    }
    return i;
}

static int check_shares(const struct moot_slot_share *shares, size_t count, uint64_t *sum)
{
    *sum = 0;
    if (count > MOOT_SLOT_OWNERS_MAX) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    for (size_t i = 0; i < count; i++) {
        if (shares[i].owner == 0 || shares[i].weight > MOOT_PLACE_WEIGHT_MAX ||
            share_of(shares, i, shares[i].owner) < i) {
            return MOOT_FAIL(MOOT_EINVALID);
        }
        *sum += shares[i].weight;
    }
    return *sum == 0 ? MOOT_FAIL(MOOT_EINVALID) : MOOT_OK;
}

int moot_slot_map_balance(struct moot_slot_map *map, const struct moot_slot_share *shares,
                          size_t count, uint32_t *scratch)
{
    uint64_t sum;
    int status = check_shares(shares, count, &sum);
    if (status != MOOT_OK) {
        return status;
    }
    deal_shares(map, shares, count, sum, scratch);
    /* Whoever is listed keeps its first slots, up to its share; the others become free. */
    for (uint32_t slot = 0; slot < MOOT_SLOTS; slot++) {
        size_t i = share_of(shares, count, map->owner[slot]);
        if (i < count && scratch[i] > 0) {
            scratch[i] -= 1;
        } else {
            map->owner[slot] = 0;
        }
    }
    /* What is missing goes to the free ones, in order: long runs. */
    size_t next = 0;
    for (uint32_t slot = 0; slot < MOOT_SLOTS; slot++) {
        if (map->owner[slot] != 0) {
            continue;
        }
        while (scratch[next] == 0) {
            next += 1;
            MOOT_ASSERT(next < count);
        }
        map->owner[slot] = shares[next].owner;
        scratch[next] -= 1;
    }
    for (size_t i = 0; i < count; i++) {
        scratch[i] = moot_slot_map_count(map, shares[i].owner);
    }
    return MOOT_OK;
}

/* ---- encoding ---- */

int moot_slot_map_encode(const struct moot_slot_map *map, uint8_t *out, size_t size, size_t *used)
{
    struct moot_writer writer = moot_writer_make(out, size);
    struct moot_slot_run run;
    moot_write_u8(&writer, SLOT_MAP_VERSION);
    moot_write_u64(&writer, map->epoch);
    for (uint32_t at = 0; moot_slot_map_run(map, at, &run); at = run.last + 1u) {
        moot_write_varint(&writer, run.last - run.first + 1u);
        moot_write_varint(&writer, run.owner);
    }
    *used = writer.failed ? 0 : (size_t)(writer.at - out);
    return writer.failed ? MOOT_FAIL(MOOT_ELIMIT) : MOOT_OK;
}

int moot_slot_map_decode(struct moot_slot_map *map, struct moot_slice bytes)
{
    struct moot_reader reader = moot_reader_make(bytes);
    moot_slot_map_init(map);
    uint8_t version = moot_get_u8(&reader);
    uint64_t epoch = moot_get_u64(&reader);
    if (reader.failed) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    if (version != SLOT_MAP_VERSION) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    uint32_t at = 0;
    while (at < MOOT_SLOTS) {
        uint64_t length = moot_get_varint(&reader);
        uint64_t owner = moot_get_varint(&reader);
        bool joins = at > 0 && owner == map->owner[at - 1]; /* One map, one encoding. */
        if (reader.failed || length == 0 || length > MOOT_SLOTS - at || owner > UINT32_MAX ||
            joins) {
            moot_slot_map_init(map);
            return MOOT_FAIL(MOOT_EINVALID);
        }
        for (uint32_t i = 0; i < length; i++) {
            map->owner[at++] = (uint32_t)owner;
        }
    }
    if (moot_reader_left(&reader) != 0) {
        moot_slot_map_init(map);
        return MOOT_FAIL(MOOT_EINVALID);
    }
    map->epoch = epoch;
    return MOOT_OK;
}
