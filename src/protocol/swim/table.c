#include "protocol/swim/swim.h"

#include <string.h>

#include "base/assert.h"
#include "base/status.h"

/* Ids are often dense; a multiplication spreads them (Knuth, volume 3, section 6.4). */
static uint32_t home_of(const struct moot_swim *swim, moot_node_id id)
{
    return (uint32_t)((id * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & swim->mask;
}

static uint32_t cell_of(const struct moot_swim *swim, moot_node_id id)
{
    uint32_t cell = home_of(swim, id);
    while (swim->hash[cell] != 0 && swim->slots[swim->hash[cell] - 1].member.id != id) {
        cell = (cell + 1) & swim->mask;
    }
    return cell;
}

uint32_t swim__slot_of(const struct moot_swim *swim, moot_node_id id)
{
    uint32_t found = swim->hash[cell_of(swim, id)];
    return found == 0 ? SWIM_NONE : found - 1;
}

uint32_t swim__slot_make(struct moot_swim *swim, moot_node_id id)
{
    MOOT_ASSERT(id != 0);
    MOOT_ASSERT(swim__slot_of(swim, id) == SWIM_NONE);
    uint32_t index = swim->free_slot;
    if (index == SWIM_NONE) {
        swim->counts.full++;
        return SWIM_NONE;
    }
    struct swim_slot *slot = &swim->slots[index];
    swim->free_slot = slot->next_free;
    *slot = (struct swim_slot){.member.id = id, .told = 0xFF, .next_free = SWIM_NONE};
    memset(slot->at, 0xFF, sizeof(slot->at));
    swim->hash[cell_of(swim, id)] = index + 1;
    swim->used++;
    return index;
}

/* Linear probing closes the gap behind a removed cell, so that no search ends early. */
static void hash_remove(struct moot_swim *swim, moot_node_id id)
{
    uint32_t gap = cell_of(swim, id);
    MOOT_ASSERT(swim->hash[gap] != 0);
    for (uint32_t cell = (gap + 1) & swim->mask; swim->hash[cell] != 0;
         cell = (cell + 1) & swim->mask) {
        uint32_t home = home_of(swim, swim->slots[swim->hash[cell] - 1].member.id);
        if (((cell - home) & swim->mask) >= ((cell - gap) & swim->mask)) {
            swim->hash[gap] = swim->hash[cell];
            gap = cell;
        }
    }
    swim->hash[gap] = 0;
}

void swim__slot_forget(struct moot_swim *swim, uint32_t index)
{
    struct swim_slot *slot = &swim->slots[index];
    MOOT_ASSERT(index != 0);
    MOOT_ASSERT(!slot->counted);
    for (int kind = 0; kind < SWIM_SETS; kind++) {
        if (swim__set_has(swim, (enum swim_set_kind)kind, index)) {
            swim__set_remove(swim, (enum swim_set_kind)kind, index);
        }
    }
    hash_remove(swim, slot->member.id);
    slot->member.id = 0;
    slot->next_free = swim->free_slot;
    swim->free_slot = index;
    swim->used--;
}

bool swim__set_has(const struct moot_swim *swim, enum swim_set_kind kind, uint32_t slot)
{
    return swim->slots[slot].at[kind] != SWIM_NONE;
}

void swim__set_add(struct moot_swim *swim, enum swim_set_kind kind, uint32_t slot)
{
    struct swim_set *set = &swim->sets[kind];
    MOOT_ASSERT(!swim__set_has(swim, kind, slot));
    MOOT_ASSERT(set->count < swim->capacity);
    set->items[set->count] = slot;
    swim->slots[slot].at[kind] = set->count++;
}

void swim__set_remove(struct moot_swim *swim, enum swim_set_kind kind, uint32_t slot)
{
    struct swim_set *set = &swim->sets[kind];
    uint32_t at = swim->slots[slot].at[kind];
    MOOT_ASSERT(at < set->count && set->items[at] == slot);
    uint32_t last = set->items[--set->count];
    set->items[at] = last;
    swim->slots[last].at[kind] = at;
    swim->slots[slot].at[kind] = SWIM_NONE;
}

/* ---- memory ---- */

static uint32_t cells_for(uint32_t capacity)
{
    uint32_t cells = 4;
    while (cells < 2 * capacity) {
        cells *= 2;
    }
    return cells;
}

static size_t aligned(size_t bytes) { return (bytes + 15) / 16 * 16; }

size_t moot_swim_memory(uint32_t capacity)
{
    MOOT_ASSERT(capacity >= 1 && capacity <= MOOT_SWIM_CAPACITY_MAX);
    return aligned(sizeof(struct moot_swim)) + aligned(capacity * sizeof(struct swim_slot)) +
           aligned(cells_for(capacity) * sizeof(uint32_t)) +
           SWIM_SETS * aligned(capacity * sizeof(uint32_t));
}

static void set_default(struct moot_duration *value, uint64_t ns)
{
    if (value->ns == 0) {
        value->ns = ns;
    }
}

static void set_default_u8(uint8_t *value, uint8_t otherwise)
{
    if (*value == 0) {
        *value = otherwise;
    }
}

static bool complete(struct moot_swim_config *config)
{
    set_default(&config->interval, MOOT_SEC_NS);
    set_default(&config->timeout, config->interval.ns / 2);
    set_default(&config->sync, 30 * config->interval.ns);
    set_default(&config->reconnect, 10 * config->interval.ns);
    set_default(&config->forget, 300 * config->interval.ns);
    set_default_u8(&config->indirect, 3);
    set_default_u8(&config->gossip_multiplier, 3);
    set_default_u8(&config->suspicion_multiplier, 5);
    set_default_u8(&config->suspicion_max_multiplier, 6);
    set_default_u8(&config->confirmations, 3);
    set_default_u8(&config->awareness_max, 8);
    return config->self != 0 && config->timeout.ns < config->interval.ns &&
           config->interval.ns <= 3600 * MOOT_SEC_NS &&
           config->address.size <= MOOT_SWIM_ADDRESS_MAX &&
           config->indirect <= MOOT_SWIM_INDIRECT_MAX &&
           config->confirmations < MOOT_SWIM_CONFIRM_MAX;
}

static void *carve(uint8_t **at, size_t bytes)
{
    void *piece = *at;
    memset(piece, 0, bytes);
    *at += aligned(bytes);
    return piece;
}

static void begin(struct moot_swim *swim, struct moot_instant now)
{
    const struct moot_swim_config *config = &swim->config;
    uint32_t self = swim__slot_make(swim, config->self);
    MOOT_ASSERT(self == 0);
    struct swim_slot *slot = &swim->slots[0];
    slot->member.incarnation = config->incarnation;
    slot->member.address = config->address;
    slot->member.since = now;
    slot->told = MOOT_SWIM_ALIVE;
    slot->counted = true;
    swim->listed = 1;
    swim__set_add(swim, SWIM_SET_RUMOURS, 0);
    /* Not all at the same moment, though all may start together. */
    uint64_t period = config->interval.ns;
    swim->probe.end =
        moot_instant_add(now, (struct moot_duration){moot_rng_below(&swim->rng, period) + 1});
    swim->sync_at = moot_instant_add(
        now, (struct moot_duration){moot_rng_below(&swim->rng, 2 * config->sync.ns)});
    swim->reconnect_at = moot_instant_add(now, config->reconnect);
    swim->forget_at = moot_instant_add(now, config->interval);
    swim->due = MOOT_NEVER;
}

int moot_swim_init(const struct moot_swim_config *config, uint32_t capacity, void *memory,
                   size_t bytes, struct moot_instant now, struct moot_swim **out)
{
    struct moot_swim_config whole = *config;
    *out = NULL;
    if (capacity == 0 || capacity > MOOT_SWIM_CAPACITY_MAX || bytes < moot_swim_memory(capacity) ||
        !complete(&whole)) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    uint8_t *at = memory;
    struct moot_swim *swim = carve(&at, sizeof(*swim));
    swim->config = whole;
    swim->capacity = capacity;
    moot_rng_init(&swim->rng, whole.seed ^ (uint64_t)whole.self << 32);
    swim->slots = carve(&at, capacity * sizeof(*swim->slots));
    swim->mask = cells_for(capacity) - 1;
    swim->hash = carve(&at, (swim->mask + 1) * sizeof(*swim->hash));
    for (int kind = 0; kind < SWIM_SETS; kind++) {
        swim->sets[kind].items = carve(&at, capacity * sizeof(uint32_t));
    }
    for (uint32_t i = 0; i < capacity; i++) {
        swim->slots[i].next_free = i + 1 < capacity ? i + 1 : SWIM_NONE;
    }
    begin(swim, now);
    *out = swim;
    return MOOT_OK;
}

/* ---- questions ---- */

bool moot_swim_find(const struct moot_swim *swim, moot_node_id id, struct moot_swim_member *out)
{
    uint32_t slot = id == 0 ? SWIM_NONE : swim__slot_of(swim, id);
    if (slot == SWIM_NONE) {
        return false;
    }
    *out = swim->slots[slot].member;
    return true;
}

bool moot_swim_next_member(const struct moot_swim *swim, uint32_t *at, struct moot_swim_member *out)
{
    while (*at < swim->capacity) {
        const struct swim_slot *slot = &swim->slots[(*at)++];
        if (slot->member.id != 0) {
            *out = slot->member;
            return true;
        }
    }
    return false;
}

uint32_t moot_swim_count(const struct moot_swim *swim) { return swim->listed; }

uint32_t moot_swim_awareness(const struct moot_swim *swim) { return swim->awareness; }

const struct moot_swim_counts *moot_swim_counts(const struct moot_swim *swim)
{
    return &swim->counts;
}

bool moot_swim_next_change(struct moot_swim *swim, struct moot_swim_change *out)
{
    if (swim->forgotten_count > 0) {
        *out = (struct moot_swim_change){swim->forgotten[--swim->forgotten_count], MOOT_SWIM_DEAD,
                                         true};
        return true;
    }
    struct swim_set *changed = &swim->sets[SWIM_SET_CHANGED];
    while (changed->count > 0) {
        uint32_t index = changed->items[changed->count - 1];
        struct swim_slot *slot = &swim->slots[index];
        swim__set_remove(swim, SWIM_SET_CHANGED, index);
        if (slot->told != slot->member.state) {
            slot->told = slot->member.state;
            *out = (struct moot_swim_change){slot->member.id,
                                             (enum moot_swim_state)slot->member.state, false};
            return true;
        }
    }
    return false;
}

void moot_swim_check(const struct moot_swim *swim)
{
    uint32_t used = 0, listed = 0;
    for (uint32_t i = 0; i < swim->capacity; i++) {
        const struct swim_slot *slot = &swim->slots[i];
        if (slot->member.id == 0) {
            continue;
        }
        used++;
        listed += slot->counted;
        MOOT_ASSERT(swim__slot_of(swim, slot->member.id) == i);
        MOOT_ASSERT(slot->counted == swim__is_listed(slot));
        bool other = i != 0;
        MOOT_ASSERT(swim__set_has(swim, SWIM_SET_ORDER, i) == (other && slot->counted));
        MOOT_ASSERT(swim__set_has(swim, SWIM_SET_GONE, i) == (other && !slot->counted));
        MOOT_ASSERT(swim__set_has(swim, SWIM_SET_SUSPECTS, i) ==
                    (slot->member.state == MOOT_SWIM_SUSPECT));
        for (int kind = 0; kind < SWIM_SETS; kind++) {
            MOOT_ASSERT(slot->at[kind] == SWIM_NONE || swim->sets[kind].items[slot->at[kind]] == i);
        }
    }
    MOOT_ASSERT(used == swim->used && listed == swim->listed);
    MOOT_ASSERT(swim->slots[0].member.id == swim->config.self);
    MOOT_ASSERT(swim->awareness < swim->config.awareness_max);
}
