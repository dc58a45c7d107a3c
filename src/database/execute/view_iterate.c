/* Iterating: two sorted sequences merged, the overlay's as it was when the iterator began, and the
 * store's. Where both have a key the overlay is right. */
#include "base/assert.h"
#include "base/status.h"
#include "database/execute/view_internal.h"

struct view_cursor {
    struct view_cursor *next_free;
    struct moot_view *view;
    struct moot_buffer from, to; /* What range points to: walks begin many iterators in one turn. */
    struct moot_range range;
    bool reverse;
    uint64_t op; /* Sees what was done before this operation. */

    /* Below. The store's iterator covers what is left of the range. */
    struct moot_store_iterator *below;
    bool below_ended, below_step; /* step: before it is looked at again */
    struct moot_buffer passed;    /* The last key taken from below: where to go on after a miss. */
    bool has_passed;

    /* Above: the next entry to look at. */
    struct view_node *node;
};

/* One merged entry, from either side. */
struct found {
    struct moot_slice key, value;
    bool is_there;  /* False: this side has ended. */
    bool is_hidden; /* Above: deleted. */
};

static struct view_cursor *take_cursor(struct moot_view *view)
{
    struct view_cursor *cursor = view->free_cursors;
    if (cursor == NULL) {
        cursor = moot_alloc_zero(sizeof(*cursor));
    } else {
        view->free_cursors = cursor->next_free;
    }
    *cursor = (struct view_cursor){
        .view = view, .from = cursor->from, .to = cursor->to, .passed = cursor->passed};
    view->open_cursors++;
    return cursor;
}

void view__free_cursors(struct moot_view *view)
{
    while (view->free_cursors != NULL) {
        struct view_cursor *next = view->free_cursors->next_free;
        moot_buffer_deinit(&view->free_cursors->from);
        moot_buffer_deinit(&view->free_cursors->to);
        moot_buffer_deinit(&view->free_cursors->passed);
        moot_free(view->free_cursors);
        view->free_cursors = next;
    }
}

/* (Re)opens the store's iterator over what is left: the whole range, or beyond `limit`. */
static int open_below(struct view_cursor *cursor, struct moot_range range)
{
    const struct moot_store_ops *ops = cursor->view->store->ops;
    if (cursor->below != NULL) {
        ops->iterate_end(cursor->below);
        cursor->below = NULL;
    }
    cursor->below_step = false;
    cursor->below_ended =
        range.to.size > 0 && moot_slice_compare(range.from, range.to) >= 0; /* Nothing is left. */
    if (cursor->below_ended) {
        return MOOT_OK;
    }
    return ops->iterate(cursor->view->store, NULL, range, cursor->reverse, &cursor->below);
}

int moot_view_iterate(struct moot_view *view, enum moot_when when, struct moot_range range,
                      bool reverse, struct moot_view_iterator *iterator)
{
    MOOT_ASSERT(when == MOOT_WHEN_NOW);
    struct view_cursor *cursor = take_cursor(view);
    iterator->view = view;
    iterator->state = cursor;
    cursor->from.size = cursor->to.size = 0;
    moot_buffer_append_slice(&cursor->from, range.from);
    moot_buffer_append_slice(&cursor->to, range.to);
    cursor->range =
        (struct moot_range){moot_buffer_slice(&cursor->from), moot_buffer_slice(&cursor->to)};
    cursor->reverse = reverse;
    cursor->op = view->op_next;
    if (moot_view_has_changes(view)) {
        view__sort(view);
        cursor->node = reverse ? view__before(view, cursor->range.to, cursor->range.to.size == 0)
                               : view__at_or_after(view, cursor->range.from);
    }
    int status = open_below(cursor, cursor->range);
    if (status == MOOT_EWOULDBLOCK) {
        view__miss_range(view, cursor->range, reverse);
    }
    if (status != MOOT_OK) {
        moot_view_iterate_end(iterator);
    }
    return status;
}

/* What is left of the range for the store: after (or before) the last key taken from it. */
static struct moot_range rest_of(struct view_cursor *cursor)
{
    struct moot_range rest = cursor->range;
    if (cursor->has_passed && cursor->reverse) {
        rest.to = moot_buffer_slice(&cursor->passed);
    } else if (cursor->has_passed) {
        *moot_buffer_reserve(&cursor->passed, 1) = 0; /* The least key after it. */
        rest.from = (struct moot_slice){cursor->passed.data, cursor->passed.size + 1};
    }
    return rest;
}

/* The store's next entry that is not in a cleared range. */
static int look_below(struct view_cursor *cursor, struct found *found)
{
    const struct moot_store_ops *ops = cursor->view->store->ops;
    *found = (struct found){0};
    while (!cursor->below_ended) {
        if (cursor->below_step) {
            (void)ops->next(cursor->below); /* What it failed with is what entry says. */
            cursor->below_step = false;
        }
        int status = ops->entry(cursor->below, &found->key, &found->value);
        if (status == MOOT_ENOTFOUND) {
            cursor->below_ended = true;
            break;
        }
        if (status == MOOT_EWOULDBLOCK) {
            view__miss_range(cursor->view, rest_of(cursor), cursor->reverse);
        }
        if (status != MOOT_OK) {
            return status;
        }
        const struct moot_range *cleared = view__cleared(cursor->view, found->key, cursor->op);
        if (cleared == NULL) {
            found->is_there = true;
            break;
        }
        struct moot_range rest = cursor->range;
        if (cursor->reverse) {
            rest.to = cleared->from;
        } else {
            rest.from = cleared->to;
        }
        status = open_below(cursor, rest);
        if (status == MOOT_EWOULDBLOCK) {
            view__miss_range(cursor->view, rest, cursor->reverse);
        }
        if (status != MOOT_OK) {
            return status;
        }
    }
    return MOOT_OK;
}

static void step_above(struct view_cursor *cursor)
{
    cursor->node = cursor->reverse ? view__before(cursor->view, cursor->node->entry->key, false)
                                   : cursor->node->next[0];
}

/* The overlay's next entry about which it had something to say when the iterator began. */
static void look_above(struct view_cursor *cursor, struct found *found)
{
    *found = (struct found){0};
    for (; cursor->node != NULL; step_above(cursor)) {
        const struct view_entry *entry = cursor->node->entry;
        bool inside = cursor->reverse ? moot_slice_compare(entry->key, cursor->range.from) >= 0
                                      : cursor->range.to.size == 0 ||
                                            moot_slice_compare(entry->key, cursor->range.to) < 0;
        if (!inside) {
            cursor->node = NULL;
            return;
        }
        enum view_state state = view__state_at(cursor->view, entry, cursor->op, &found->value);
        if (view_state_is_change(state)) {
            found->key = entry->key;
            found->is_there = true;
            found->is_hidden = state != VIEW_PUT;
            return;
        }
    }
}

/* Takes what look_below showed. */
static void pass_below(struct view_cursor *cursor, struct moot_slice key)
{
    cursor->passed.size = 0;
    moot_buffer_append_slice(&cursor->passed, key);
    cursor->has_passed = true;
    cursor->below_step = true;
}

int moot_view_next(struct moot_view_iterator *iterator, struct moot_slice *key,
                   struct moot_slice *value)
{
    struct view_cursor *cursor = iterator->state;
    MOOT_ASSERT(cursor != NULL);
    for (;;) {
        struct found above, below;
        look_above(cursor, &above);
        int status = look_below(cursor, &below);
        if (status != MOOT_OK) {
            return status;
        }
        if (!above.is_there && !below.is_there) {
            return MOOT_ENOTFOUND;
        }
        int order = !above.is_there ? 1 : !below.is_there ? -1 : 0;
        if (order == 0) {
            order = moot_slice_compare(above.key, below.key);
            order = cursor->reverse ? -order : order;
        }
        if (order >= 0) {
            pass_below(cursor, below.key);
        }
        if (order <= 0) {
            step_above(cursor);
            if (above.is_hidden) {
                continue;
            }
        }
        if (!view__spend(cursor->view)) {
            return MOOT_FAIL(MOOT_EBUDGET);
        }
        *key = order <= 0 ? above.key : below.key;
        *value = order <= 0 ? above.value : below.value;
        return MOOT_OK;
    }
}

void moot_view_iterate_end(struct moot_view_iterator *iterator)
{
    struct view_cursor *cursor = iterator->state;
    if (cursor == NULL) {
        return; /* It never began, or has ended. */
    }
    MOOT_ASSERT(cursor->view->open_cursors > 0);
    if (cursor->below != NULL) {
        cursor->view->store->ops->iterate_end(cursor->below);
        cursor->below = NULL;
    }
    cursor->view->open_cursors--;
    cursor->next_free = cursor->view->free_cursors;
    cursor->view->free_cursors = cursor;
    iterator->state = NULL;
}
