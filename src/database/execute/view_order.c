/* The overlay in key order: a skip list (Pugh, "Skip Lists: A Probabilistic Alternative to Balanced
 * Trees", 1990) whose levels come from the keys' hashes, so that it is the same in every run. */
#include "base/assert.h"
#include "database/execute/view_internal.h"

/* One in four goes one level up. */
static uint32_t level_of(uint64_t hash)
{
    uint32_t level = 1;
    for (uint64_t bits = hash >> 32; level < VIEW_LEVELS && (bits & 3) == 3; bits >>= 2) {
        level++;
    }
    return level;
}

/* Fills `link` with the pointers that lead to the first node at or after `key` on each level. */
static void find_links(struct moot_view *view, struct moot_slice key,
                       struct view_node **link[VIEW_LEVELS])
{
    struct view_node **from = view->first;
    for (uint32_t level = VIEW_LEVELS; level-- > 0;) {
        while (from[level] != NULL && moot_slice_compare(from[level]->entry->key, key) < 0) {
            from = from[level]->next;
        }
        link[level] = &from[level];
    }
}

void view__sort(struct moot_view *view)
{
    for (; view->sorted_count < view->entry_count; view->sorted_count++) {
        struct view_entry *entry = view->entries[view->sorted_count];
        struct view_node **link[VIEW_LEVELS];
        find_links(view, entry->key, link);
        MOOT_ASSERT(*link[0] == NULL || (*link[0])->entry != entry);
        uint32_t levels = level_of(entry->hash);
        struct view_node *node =
            moot_arena_alloc(&view->arena, sizeof(*node) + levels * sizeof(node->next[0]));
        node->entry = entry;
        for (uint32_t level = 0; level < levels; level++) {
            node->next[level] = *link[level];
            *link[level] = node;
        }
    }
}

struct view_node *view__at_or_after(const struct moot_view *view, struct moot_slice key)
{
    struct view_node *const *from = view->first;
    for (uint32_t level = VIEW_LEVELS; level-- > 0;) {
        while (from[level] != NULL && moot_slice_compare(from[level]->entry->key, key) < 0) {
            from = from[level]->next;
        }
    }
    return from[0];
}

struct view_node *view__before(const struct moot_view *view, struct moot_slice key, bool all)
{
    struct view_node *const *from = view->first;
    struct view_node *last = NULL;
    for (uint32_t level = VIEW_LEVELS; level-- > 0;) {
        while (from[level] != NULL &&
               (all || moot_slice_compare(from[level]->entry->key, key) < 0)) {
            last = from[level];
            from = last->next;
        }
    }
    return last;
}
