#include "moot/crush.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"
#include "protocol/placement/mix.h"

enum { CRUSH_VERSION = 1, LEAF_TRIES = 8 };

void moot_crush_init(struct moot_crush *map, struct moot_crush_item *items, uint32_t capacity,
                     uint32_t root_level)
{
    MOOT_ASSERT(capacity >= 1);
    MOOT_ASSERT(capacity <= MOOT_PLACE_MEMBERS_MAX);
    MOOT_ASSERT(root_level >= 1);
    MOOT_ASSERT(root_level <= MOOT_CRUSH_LEVEL_MAX);
    items[MOOT_CRUSH_ROOT] = (struct moot_crush_item){.level = root_level,
                                                      .parent = MOOT_CRUSH_NONE,
                                                      .child = MOOT_CRUSH_NONE,
                                                      .sibling = MOOT_CRUSH_NONE};
    *map = (struct moot_crush){.items = items, .count = 1, .capacity = capacity};
}

uint32_t moot_crush_find(const struct moot_crush *map, uint32_t level, uint32_t id)
{
    for (uint32_t place = 0; place < map->count; place++) {
        if (map->items[place].level == level && map->items[place].id == id) {
            return place;
        }
    }
    return MOOT_CRUSH_NONE;
}

/* A device's weight counts in everything above it. */
static void change_weight(struct moot_crush *map, uint32_t place, uint32_t weight)
{
    uint64_t old = map->items[place].weight;
    for (uint32_t at = place; at != MOOT_CRUSH_NONE; at = map->items[at].parent) {
        MOOT_ASSERT(map->items[at].weight >= old);
        map->items[at].weight = map->items[at].weight - old + weight;
    }
}

int moot_crush_add(struct moot_crush *map, uint32_t parent, uint32_t level, uint32_t id,
                   uint32_t weight, uint32_t *place)
{
    if (parent >= map->count || map->items[parent].level <= level ||
        weight > MOOT_PLACE_WEIGHT_MAX || (level == 0 ? id == 0 : weight != 0) ||
        moot_crush_find(map, level, id) != MOOT_CRUSH_NONE) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    if (map->count == map->capacity) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    *place = map->count++;
    map->items[*place] = (struct moot_crush_item){.id = id,
                                                  .level = level,
                                                  .parent = parent,
                                                  .child = MOOT_CRUSH_NONE,
                                                  .sibling = map->items[parent].child,
                                                  .accept = MOOT_CRUSH_ACCEPT_ALL};
    map->items[parent].child = *place;
    change_weight(map, *place, weight);
    return MOOT_OK;
}

int moot_crush_set_weight(struct moot_crush *map, uint32_t place, uint32_t weight)
{
    if (place >= map->count || map->items[place].level != 0 || weight > MOOT_PLACE_WEIGHT_MAX) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    change_weight(map, place, weight);
    return MOOT_OK;
}

int moot_crush_set_accept(struct moot_crush *map, uint32_t place, uint32_t accept)
{
    if (place >= map->count || map->items[place].level != 0 || accept > MOOT_CRUSH_ACCEPT_ALL) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    map->items[place].accept = accept;
    return MOOT_OK;
}

bool moot_crush_rule_is_valid(const struct moot_crush_rule *rule)
{
    if (rule->step_count == 0 || rule->step_count > MOOT_CRUSH_STEPS_MAX ||
        (rule->mode != MOOT_CRUSH_FIRST_N && rule->mode != MOOT_CRUSH_INDEPENDENT)) {
        return false;
    }
    uint32_t devices = 1;
    for (uint32_t i = 0; i < rule->step_count; i++) {
        const struct moot_crush_step *step = &rule->steps[i];
        if (step->count == 0 || step->count > MOOT_PLACE_REPLICAS_MAX ||
            step->level > MOOT_CRUSH_LEVEL_MAX ||
            (i > 0 && step->level >= rule->steps[i - 1].level)) {
            return false;
        }
        devices *= step->count;
        if (devices > MOOT_PLACE_REPLICAS_MAX) {
            return false;
        }
    }
    return true;
}

/* ---- choosing ---- */

/* Straw2: the child with the least -ln(u)/weight; equal ones by id, so that the order in which the
 * children are linked means nothing. */
static uint32_t draw_straws(const struct moot_crush *map, uint32_t domain, uint64_t key,
                            uint64_t rank)
{
    uint32_t best = MOOT_CRUSH_NONE;
    uint64_t best_cost = 0;
    for (uint32_t child = map->items[domain].child; child != MOOT_CRUSH_NONE;
         child = map->items[child].sibling) {
        const struct moot_crush_item *item = &map->items[child];
        if (item->weight == 0) {
            continue;
        }
        uint64_t cost = place__cost(place__mix3(key, (uint64_t)item->level << 32 | item->id, rank));
        const struct moot_crush_item *winner = best == MOOT_CRUSH_NONE ? NULL : &map->items[best];
        if (winner == NULL || place__cost_before(cost, item->weight, best_cost, winner->weight) ||
            (!place__cost_before(best_cost, winner->weight, cost, item->weight) &&
             (item->level < winner->level ||
              (item->level == winner->level && item->id < winner->id)))) {
            best = child;
            best_cost = cost;
        }
    }
    return best;
}

/* Down from `domain` to an item of `level`; NONE when the walk ends in a branch without one. */
static uint32_t descend(const struct moot_crush *map, uint32_t domain, uint32_t level, uint64_t key,
                        uint64_t rank)
{
    uint32_t at = domain;
    while (at != MOOT_CRUSH_NONE && map->items[at].level > level) {
        at = draw_straws(map, at, key, rank);
    }
    return at != MOOT_CRUSH_NONE && map->items[at].level == level ? at : MOOT_CRUSH_NONE;
}

static bool accepts(const struct moot_crush_item *device, uint64_t key)
{
    return (place__mix2(key, device->id) & 0xffff) < device->accept;
}

/* A device below an item that takes the key, or NONE. Not by the replica's rank: a copy that shifts
 * from the second place to the first stays on its device. */
static uint32_t device_below(const struct moot_crush *map, uint32_t item, uint64_t key)
{
    for (uint64_t attempt = 0; attempt < LEAF_TRIES; attempt++) {
        uint32_t device = descend(map, item, 0, key, UINT64_C(1) << 32 | attempt);
        if (device != MOOT_CRUSH_NONE && accepts(&map->items[device], key)) {
            return device;
        }
        if (map->items[item].level == 0) {
            break; /* There is only one. */
        }
    }
    return MOOT_CRUSH_NONE;
}

static bool has(const uint32_t *items, size_t count, uint32_t item)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i] == item) {
            return true;
        }
    }
    return false;
}

/* What one step chose below one domain: items, and in the last step a device of each. */
struct choice {
    uint32_t items[MOOT_PLACE_REPLICAS_MAX];
    uint32_t devices[MOOT_PLACE_REPLICAS_MAX];
    size_t count;
};

/* select(n, t) of algorithm 1, below one domain. */
static void choose(const struct moot_crush *map, const struct moot_crush_rule *rule,
                   const struct moot_crush_step *step, bool is_last, uint32_t domain, uint64_t key,
                   struct choice *out)
{
    uint64_t failures = 0; /* First-n: of all ranks together. */
    out->count = 0;
    for (uint32_t rank = 0; rank < step->count; rank++) {
        uint32_t item = MOOT_CRUSH_NONE;
        uint32_t device = MOOT_CRUSH_NONE;
        bool found = false;
        for (uint64_t attempt = 0; attempt < MOOT_CRUSH_TRIES_MAX && !found; attempt++) {
            uint64_t retry =
                rule->mode == MOOT_CRUSH_FIRST_N ? rank + failures : rank + attempt * step->count;
            item = domain == MOOT_CRUSH_NONE ? MOOT_CRUSH_NONE
                                             : descend(map, domain, step->level, key, retry);
            found = item != MOOT_CRUSH_NONE && !has(out->items, out->count, item);
            if (found && is_last) {
                device = device_below(map, item, key);
                found = device != MOOT_CRUSH_NONE;
            }
            failures += !found;
        }
        if (found || rule->mode == MOOT_CRUSH_INDEPENDENT) {
            out->items[out->count] = found ? item : MOOT_CRUSH_NONE;
            out->devices[out->count++] = found ? device : MOOT_CRUSH_NONE;
        }
    }
}

size_t moot_crush_select(const struct moot_crush *map, const struct moot_crush_rule *rule,
                         uint64_t key, moot_node_id out[MOOT_PLACE_REPLICAS_MAX])
{
    MOOT_ASSERT(moot_crush_rule_is_valid(rule));
    uint32_t domains[MOOT_PLACE_REPLICAS_MAX] = {MOOT_CRUSH_ROOT};
    size_t count = 1;
    for (uint32_t i = 0; i < rule->step_count; i++) {
        bool is_last = i + 1 == rule->step_count;
        uint32_t next[MOOT_PLACE_REPLICAS_MAX];
        size_t next_count = 0;
        for (size_t d = 0; d < count; d++) {
            struct choice choice;
            choose(map, rule, &rule->steps[i], is_last, domains[d], key, &choice);
            for (size_t c = 0; c < choice.count; c++) {
                MOOT_ASSERT(next_count < MOOT_PLACE_REPLICAS_MAX);
                next[next_count++] = is_last ? choice.devices[c] : choice.items[c];
            }
        }
        count = next_count;
        for (size_t d = 0; d < count; d++) {
            domains[d] = next[d];
        }
    }
    for (size_t d = 0; d < count; d++) {
        out[d] = domains[d] == MOOT_CRUSH_NONE ? 0 : map->items[domains[d]].id;
    }
    return count;
}

/* ---- encoding ---- */

int moot_crush_encode(const struct moot_crush *map, uint8_t *out, size_t size, size_t *used)
{
    struct moot_writer writer = moot_writer_make(out, size);
    moot_write_u8(&writer, CRUSH_VERSION);
    moot_write_u8(&writer, (uint8_t)map->items[MOOT_CRUSH_ROOT].level);
    moot_write_varint(&writer, map->count - 1);
    for (uint32_t place = 1; place < map->count; place++) {
        const struct moot_crush_item *item = &map->items[place];
        moot_write_varint(&writer, item->parent);
        moot_write_u8(&writer, (uint8_t)item->level);
        moot_write_u32(&writer, item->id);
        if (item->level == 0) {
            moot_write_varint(&writer, item->weight);
            moot_write_varint(&writer, item->accept);
        }
    }
    *used = writer.failed ? 0 : (size_t)(writer.at - out);
    return writer.failed ? MOOT_FAIL(MOOT_ELIMIT) : MOOT_OK;
}

static int decode_item(struct moot_crush *map, struct moot_reader *reader)
{
    uint64_t parent = moot_get_varint(reader);
    uint8_t level = moot_get_u8(reader);
    uint32_t id = moot_get_u32(reader);
    uint64_t weight = level == 0 ? moot_get_varint(reader) : 0;
    uint64_t accept = level == 0 ? moot_get_varint(reader) : MOOT_CRUSH_ACCEPT_ALL;
    if (reader->failed || parent >= map->count || weight > MOOT_PLACE_WEIGHT_MAX ||
        accept > MOOT_CRUSH_ACCEPT_ALL) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    uint32_t place;
    int status = moot_crush_add(map, (uint32_t)parent, level, id, (uint32_t)weight, &place);
    if (status == MOOT_OK) {
        map->items[place].accept = (uint32_t)accept;
    }
    return status;
}

int moot_crush_decode(struct moot_crush *map, struct moot_slice bytes)
{
    struct moot_reader reader = moot_reader_make(bytes);
    uint8_t version = moot_get_u8(&reader);
    uint8_t root_level = moot_get_u8(&reader);
    uint64_t count = moot_get_varint(&reader);
    moot_crush_init(map, map->items, map->capacity, 1);
    if (reader.failed) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    if (version != CRUSH_VERSION) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    if (root_level < 1 || root_level > MOOT_CRUSH_LEVEL_MAX ||
        count > moot_reader_left(&reader) / 6) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    moot_crush_init(map, map->items, map->capacity, root_level);
    int status = MOOT_OK;
    for (uint64_t i = 0; i < count && status == MOOT_OK; i++) {
        status = decode_item(map, &reader);
    }
    if (status == MOOT_OK && moot_reader_left(&reader) != 0) {
        status = MOOT_FAIL(MOOT_EINVALID);
    }
    if (status != MOOT_OK) {
        moot_crush_init(map, map->items, map->capacity, root_level);
    }
    return status;
}
