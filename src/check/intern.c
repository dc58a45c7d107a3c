#include "check/intern.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/slice.h"

enum { SLOTS_FIRST = 64 };

void moot_intern_init(struct moot_intern *intern)
{
    *intern = (struct moot_intern){.slots_count = SLOTS_FIRST};
    intern->slots = moot_alloc_zero(SLOTS_FIRST * sizeof(*intern->slots));
    moot_arena_init(&intern->arena);
}

void moot_intern_deinit(struct moot_intern *intern)
{
    moot_free(intern->texts);
    moot_free(intern->slots);
    moot_arena_deinit(&intern->arena);
    *intern = (struct moot_intern){0};
}

/* The slot that holds `bytes`, or the empty one where they belong. */
static uint32_t text_slot(const struct moot_intern *intern, struct moot_slice bytes)
{
    uint32_t mask = intern->slots_count - 1;
    uint32_t slot = (uint32_t)moot_hash64(bytes, 0) & mask;
    while (intern->slots[slot] != 0 &&
           !moot_slice_equal(intern->texts[intern->slots[slot] - 1], bytes)) {
        slot = (slot + 1) & mask;
    }
    return slot;
}

static void intern_grow(struct moot_intern *intern)
{
    MOOT_ASSERT(intern->slots_count < UINT32_MAX / 2);
    moot_free(intern->slots);
    intern->slots_count *= 2;
    intern->slots = moot_alloc_zero(intern->slots_count * sizeof(*intern->slots));
    for (uint32_t number = 0; number < intern->count; number++) {
        intern->slots[text_slot(intern, intern->texts[number])] = number + 1;
    }
}

bool moot_intern_find(const struct moot_intern *intern, struct moot_slice bytes, uint32_t *number)
{
    uint32_t found = intern->slots[text_slot(intern, bytes)];
    *number = found - 1;
    return found != 0;
}

uint32_t moot_intern_add(struct moot_intern *intern, struct moot_slice bytes)
{
    uint32_t number;
    if (moot_intern_find(intern, bytes, &number)) {
        return number;
    }
    if (intern->count == intern->capacity) {
        intern->capacity = intern->capacity == 0 ? SLOTS_FIRST / 2 : intern->capacity * 2;
        intern->texts = moot_realloc(intern->texts, intern->capacity * sizeof(*intern->texts));
    }
    number = intern->count++;
    intern->texts[number] = moot_arena_copy(&intern->arena, bytes);
    intern->slots[text_slot(intern, bytes)] = number + 1;
    if (intern->count > intern->slots_count / 2) {
        intern_grow(intern);
    }
    return number;
}

void moot_pairs_init(struct moot_pairs *pairs)
{
    *pairs = (struct moot_pairs){.slots_count = SLOTS_FIRST};
    pairs->slots = moot_alloc_zero(SLOTS_FIRST * sizeof(*pairs->slots));
}

void moot_pairs_deinit(struct moot_pairs *pairs)
{
    moot_free(pairs->slots);
    *pairs = (struct moot_pairs){0};
}

static struct moot_pair *pair_slot(const struct moot_pairs *pairs, uint64_t a, uint64_t b)
{
    uint32_t mask = pairs->slots_count - 1;
    uint32_t slot = (uint32_t)(moot_hash_mix(moot_hash_mix(0, a), b) >> 20) & mask;
    while (pairs->slots[slot].taken && (pairs->slots[slot].a != a || pairs->slots[slot].b != b)) {
        slot = (slot + 1) & mask;
    }
    return &pairs->slots[slot];
}

static void pairs_grow(struct moot_pairs *pairs)
{
    MOOT_ASSERT(pairs->slots_count < UINT32_MAX / 2);
    struct moot_pairs grown = {.count = pairs->count, .slots_count = pairs->slots_count * 2};
    grown.slots = moot_alloc_zero(grown.slots_count * sizeof(*grown.slots));
    for (uint32_t i = 0; i < pairs->slots_count; i++) {
        const struct moot_pair *pair = &pairs->slots[i];
        if (pair->taken) {
            *pair_slot(&grown, pair->a, pair->b) = *pair;
        }
    }
    moot_free(pairs->slots);
    *pairs = grown;
}

uint64_t *moot_pairs_at(struct moot_pairs *pairs, uint64_t a, uint64_t b, uint64_t value_new)
{
    if (pairs->count >= pairs->slots_count / 2) {
        pairs_grow(pairs);
    }
    struct moot_pair *pair = pair_slot(pairs, a, b);
    if (!pair->taken) {
        *pair = (struct moot_pair){.a = a, .b = b, .value = value_new, .taken = true};
        pairs->count++;
    }
    return &pair->value;
}
