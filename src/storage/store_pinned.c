#include "storage/store_pinned.h"

#include "base/assert.h"
#include "base/status.h"

struct moot_store_iterator {
    struct moot_store_pinned *pinned;
    struct moot_store_iterator *below;
};

static struct moot_store_pinned *pinned_of(struct moot_store *store)
{
    return (struct moot_store_pinned *)store;
}

static bool has_ended(const struct moot_store_pinned *pinned)
{
    return pinned->is_over != NULL && pinned->is_over(pinned->over);
}

static int pinned_get(struct moot_store *store, struct moot_slice key, struct moot_arena *arena,
                      struct moot_slice *value)
{
    struct moot_store_pinned *pinned = pinned_of(store);
    if (has_ended(pinned)) {
        return MOOT_FAIL(MOOT_EIO);
    }
    return pinned->below->ops->pin_get(pinned->below, pinned->pin, key, arena, value);
}

static int pinned_iterate(struct moot_store *store, struct moot_store_pin *pin,
                          struct moot_range range, bool reverse, struct moot_store_iterator **out)
{
    struct moot_store_pinned *pinned = pinned_of(store);
    MOOT_ASSERT(pin == NULL); /* There is one moment only. */
    struct moot_store_iterator *below;
    int status = pinned->below->ops->iterate(pinned->below, pinned->pin, range, reverse, &below);
    if (status != MOOT_OK) {
        return status;
    }
    *out = moot_alloc(sizeof(**out));
    **out = (struct moot_store_iterator){pinned, below};
    return MOOT_OK;
}

static int pinned_entry(struct moot_store_iterator *iterator, struct moot_slice *key,
                        struct moot_slice *value)
{
    if (has_ended(iterator->pinned)) {
        return MOOT_FAIL(MOOT_EIO);
    }
    int status = iterator->pinned->below->ops->entry(iterator->below, key, value);
    MOOT_ASSERT(status != MOOT_EWOULDBLOCK);
    return status;
}

static int pinned_next(struct moot_store_iterator *iterator)
{
    return iterator->pinned->below->ops->next(iterator->below);
}

static void pinned_iterate_end(struct moot_store_iterator *iterator)
{
    iterator->pinned->below->ops->iterate_end(iterator->below);
    moot_free(iterator);
}

/* All else is for a store that can block, or be written. */
static const struct moot_store_ops PINNED = {
    .get = pinned_get,
    .iterate = pinned_iterate,
    .entry = pinned_entry,
    .next = pinned_next,
    .iterate_end = pinned_iterate_end,
};

void moot_store_pinned_init(struct moot_store_pinned *pinned, struct moot_store *below,
                            struct moot_store_pin *pin, bool (*is_over)(void *over), void *over)
{
    MOOT_ASSERT(below->ops->pin_get != NULL);
    *pinned = (struct moot_store_pinned){{&PINNED}, below, pin, is_over, over};
}
