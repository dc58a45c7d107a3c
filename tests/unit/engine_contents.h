/* What a store holds, looked at from outside: does everything the engine keeps in step agree with
 * what it could be computed from? */
#ifndef MOOT_TESTS_UNIT_ENGINE_CONTENTS_H
#define MOOT_TESTS_UNIT_ENGINE_CONTENTS_H

#include "engine_world.h"

enum { GARBAGE_MAX = 4096 };

struct contents {
    struct world *world;
    struct moot_range garbage[GARBAGE_MAX];
    struct moot_arena arena;
    size_t garbage_count;
    struct moot_slice key; /* Of the last live head ... */
    moot_keyspace keyspace;
    uint64_t incarnation; /* ... whose elements follow it. */
    struct moot_keyspace_sums sums[MOOT_DATABASES];
    uint64_t with_expiry, expiries, elements, elements_in_heads, element_digests, head_digests;
};

static inline bool is_garbage(const struct contents *contents, struct moot_slice key)
{
    for (size_t i = 0; i < contents->garbage_count; i++) {
        if (moot_slice_compare(key, contents->garbage[i].from) >= 0 &&
            moot_slice_compare(key, contents->garbage[i].to) < 0) {
            return true;
        }
    }
    return false;
}

static inline void contents_add(struct contents *contents, struct moot_slice key,
                                struct moot_slice value)
{
    struct moot_key_parts parts;
    if (key.data[0] == MOOT_KEY_GROUP && key.data[5] == 'g') {
        assert_true(contents->garbage_count < GARBAGE_MAX);
        struct moot_slice from = {key.data + 6, key.size - 6};
        contents->garbage[contents->garbage_count++] = (struct moot_range){
            moot_arena_copy(&contents->arena, from), moot_arena_copy(&contents->arena, value)};
    }
    if (is_garbage(contents, key)) {
        return;
    }
    if (key.data[0] == MOOT_KEY_EXPIRY) {
        contents->expiries++;
    }
    if (key.data[0] != MOOT_KEY_DATA) {
        return;
    }
    assert_true(moot_key_parse(key, &parts));
    assert_true(moot_keyspace_is_live(moot_engine_shared(contents->world->engine), parts.keyspace));
    if (!parts.is_head) {
        assert_true(moot_slice_equal(parts.key, contents->key));
        assert_int_equal(parts.keyspace, contents->keyspace);
        assert_true(parts.incarnation == contents->incarnation);
        contents->elements++;
        contents->element_digests +=
            moot_hash_mix(moot_hash64(parts.element, 0), moot_hash64(value, 0));
        return;
    }
    struct moot_head head;
    assert_int_equal(moot_head_decode(value, &head), MOOT_OK);
    uint16_t place = moot_keyspace_place(parts.keyspace);
    contents->sums[place].count++;
    contents->sums[place].digest += moot_hash_mix(moot_hash64(key, 0), moot_hash64(value, 0));
    contents->key = moot_arena_copy(&contents->arena, parts.key);
    contents->keyspace = parts.keyspace;
    contents->incarnation = head.incarnation;
    contents->with_expiry += head.expiry_ms != 0;
    contents->elements_in_heads += head.count;
    contents->head_digests += head.digest;
    assert_true(head.type == MOOT_TYPE_STRING || head.count > 0);
}

/* Walks the whole store; everything must be flushed. */
static inline void contents_check(struct world *world)
{
    static struct contents contents;
    contents = (struct contents){.world = world};
    struct moot_store *store = world->store;
    struct moot_store_pin *pin = store->ops->pin(store);
    struct moot_store_iterator *iterator;
    struct moot_slice key, value;
    struct moot_range all = {{NULL, 0}, {NULL, 0}};
    assert_int_equal(store->ops->iterate(store, pin, all, false, &iterator), MOOT_OK);
    while (store->ops->entry(iterator, &key, &value) == MOOT_OK) {
        contents_add(&contents, key, value);
        (void)store->ops->next(iterator);
    }
    store->ops->iterate_end(iterator);
    store->ops->unpin(store, pin);
    const struct moot_call_shared *shared = moot_engine_shared(world->engine);
    assert_int_equal(shared->garbage_count, contents.garbage_count);
    moot_arena_deinit(&contents.arena);
    uint64_t digest = 0;
    for (size_t i = 0; i < MOOT_DATABASES; i++) {
        assert_int_equal(contents.sums[i].count, shared->sums[i].count);
        assert_true(contents.sums[i].digest == shared->sums[i].digest);
        digest += contents.sums[i].digest;
    }
    assert_true(digest == shared->contents_digest);
    assert_int_equal(contents.with_expiry, contents.expiries);
    assert_int_equal(contents.elements, contents.elements_in_heads);
    assert_true(contents.element_digests == contents.head_digests);
}

#endif
