/* What a store holds, looked at from outside: does everything the engine keeps in step agree with
 * what it could be computed from? */
#ifndef MOOT_TESTS_UNIT_ENGINE_CONTENTS_H
#define MOOT_TESTS_UNIT_ENGINE_CONTENTS_H

#include "engine_world.h"

struct contents {
    struct moot_keyspace_sums sums[MOOT_DATABASES];
    uint64_t with_expiry, expiries, elements, elements_in_heads, element_digests, head_digests;
};

static inline void contents_add(struct contents *contents, struct moot_slice key,
                                struct moot_slice value)
{
    struct moot_key_parts parts;
    if (key.data[0] == MOOT_KEY_EXPIRY) {
        contents->expiries++;
    }
    if (key.data[0] != MOOT_KEY_DATA) {
        return;
    }
    assert_true(moot_key_parse(key, &parts));
    if (!parts.is_head) {
        contents->elements++;
        contents->element_digests +=
            moot_hash_mix(moot_hash64(parts.element, 0), moot_hash64(value, 0));
        return;
    }
    struct moot_head head;
    assert_int_equal(moot_head_decode(value, &head), MOOT_OK);
    contents->sums[parts.keyspace].count++;
    contents->sums[parts.keyspace].digest +=
        moot_hash_mix(moot_hash64(key, 0), moot_hash64(value, 0));
    contents->with_expiry += head.expiry_ms != 0;
    contents->elements_in_heads += head.count;
    contents->head_digests += head.digest;
    assert_true(head.type == MOOT_TYPE_STRING || head.count > 0);
}

/* Walks the whole store; everything must be flushed. */
static inline void contents_check(struct world *world)
{
    struct contents contents = {0};
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
