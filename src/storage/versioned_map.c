#include "storage/versioned_map.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"

struct moot_version {
    struct moot_version *older; /* Its sequence is below this one's. */
    uint64_t sequence;
    size_t size;
    bool deleted;
    uint8_t bytes[];
};

static struct moot_versioned_node *node_make(unsigned height, struct moot_slice key)
{
    size_t tower = height * sizeof(struct moot_versioned_node *);
    struct moot_versioned_node *node = moot_alloc(sizeof(*node) + tower + key.size);
    memset(node, 0, sizeof(*node) + tower);
    uint8_t *copy = (uint8_t *)node + sizeof(*node) + tower;
    if (key.size > 0) {
        memcpy(copy, key.data, key.size);
    }
    node->key = (struct moot_slice){copy, key.size};
    node->height = (uint8_t)height;
    return node;
}

static void node_free(struct moot_versioned_node *node)
{
    while (node->newest != NULL) {
        struct moot_version *older = node->newest->older;
        moot_free(node->newest);
        node->newest = older;
    }
    moot_free(node);
}

void moot_versioned_map_init(struct moot_versioned_map *map, uint64_t seed)
{
    *map = (struct moot_versioned_map){.head =
                                           node_make(MOOT_SKIP_HEIGHT_MAX, (struct moot_slice){0})};
    moot_rng_init(&map->heights, seed);
}

void moot_versioned_map_deinit(struct moot_versioned_map *map)
{
    struct moot_versioned_node *node = map->head;
    while (node != NULL) {
        struct moot_versioned_node *next = node->next[0];
        node_free(node);
        node = next;
    }
    moot_free(map->untrimmed);
    *map = (struct moot_versioned_map){0};
}

/* The last node before `key` on every level: before[i] is at least i + 1 high. */
static void find_before(const struct moot_versioned_map *map, struct moot_slice key,
                        struct moot_versioned_node *before[MOOT_SKIP_HEIGHT_MAX])
{
    struct moot_versioned_node *at = map->head;
    const struct moot_versioned_node *known_above = NULL; /* Compared on the level above. */
    for (int level = MOOT_SKIP_HEIGHT_MAX - 1; level >= 0; level--) {
        for (;;) {
            struct moot_versioned_node *next = at->next[level];
            if (next == NULL || next == known_above || moot_slice_compare(next->key, key) >= 0) {
                known_above = next;
                break;
            }
            at = next;
        }
        before[level] = at;
    }
}

struct moot_versioned_node *moot_versioned_map_seek(const struct moot_versioned_map *map,
                                                    struct moot_slice key)
{
    struct moot_versioned_node *before[MOOT_SKIP_HEIGHT_MAX];
    find_before(map, key, before);
    return before[0]->next[0];
}

static struct moot_versioned_node *insert(struct moot_versioned_map *map, struct moot_slice key,
                                          struct moot_versioned_node **before)
{
    unsigned height = 1;
    uint64_t coins = moot_rng_next(&map->heights);
    for (; height < MOOT_SKIP_HEIGHT_MAX && (coins & 3) == 0; coins >>= 2) {
        height++;
    }
    struct moot_versioned_node *node = node_make(height, key);
    for (unsigned level = 0; level < height; level++) {
        node->next[level] = before[level]->next[level];
        before[level]->next[level] = node;
    }
    node->prev = before[0] == map->head ? NULL : before[0];
    if (node->next[0] == NULL) {
        map->last = node;
    } else {
        node->next[0]->prev = node;
    }
    map->nodes++;
    return node;
}

static void unlink_and_free(struct moot_versioned_map *map, struct moot_versioned_node *node)
{
    struct moot_versioned_node *before[MOOT_SKIP_HEIGHT_MAX];
    find_before(map, node->key, before);
    for (unsigned level = 0; level < node->height; level++) {
        MOOT_ASSERT(before[level]->next[level] == node);
        before[level]->next[level] = node->next[level];
    }
    if (node->next[0] == NULL) {
        map->last = node->prev;
    } else {
        node->next[0]->prev = node->prev;
    }
    MOOT_ASSERT(map->nodes > 0);
    map->nodes--;
    node_free(node);
}

static void note_untrimmed(struct moot_versioned_map *map, struct moot_versioned_node *node)
{
    if (node->untrimmed) {
        return;
    }
    if (map->untrimmed_count == map->untrimmed_capacity) {
        map->untrimmed_capacity = map->untrimmed_capacity == 0 ? 64 : 2 * map->untrimmed_capacity;
        map->untrimmed =
            moot_realloc(map->untrimmed, map->untrimmed_capacity * sizeof(*map->untrimmed));
    }
    map->untrimmed[map->untrimmed_count++] = node;
    node->untrimmed = true;
}

static void add_version(struct moot_versioned_map *map, struct moot_versioned_node *node,
                        uint64_t sequence, bool deleted, struct moot_slice value)
{
    struct moot_version *version = moot_alloc(sizeof(*version) + value.size);
    *version = (struct moot_version){
        .older = node->newest, .sequence = sequence, .size = value.size, .deleted = deleted};
    if (value.size > 0) {
        memcpy(version->bytes, value.data, value.size);
    }
    if (node->newest != NULL && node->newest->sequence == sequence) {
        version->older = node->newest->older;
        moot_free(node->newest);
    }
    MOOT_ASSERT(version->older == NULL || version->older->sequence < sequence);
    node->newest = version;
    note_untrimmed(map, node);
}

void moot_versioned_map_put(struct moot_versioned_map *map, uint64_t sequence,
                            struct moot_slice key, struct moot_slice value)
{
    MOOT_ASSERT(sequence >= map->sequence);
    MOOT_ASSERT(key.size > 0);
    map->sequence = sequence;
    struct moot_versioned_node *before[MOOT_SKIP_HEIGHT_MAX];
    find_before(map, key, before);
    struct moot_versioned_node *node = before[0]->next[0];
    if (node == NULL || !moot_slice_equal(node->key, key)) {
        node = insert(map, key, before);
    }
    add_version(map, node, sequence, false, value);
}

void moot_versioned_map_delete(struct moot_versioned_map *map, uint64_t sequence,
                               struct moot_slice key)
{
    MOOT_ASSERT(sequence >= map->sequence);
    map->sequence = sequence;
    struct moot_versioned_node *node = moot_versioned_map_seek(map, key);
    if (node == NULL || !moot_slice_equal(node->key, key) || node->newest == NULL ||
        node->newest->deleted) {
        return;
    }
    add_version(map, node, sequence, true, (struct moot_slice){NULL, 0});
}

bool moot_versioned_node_read(const struct moot_versioned_node *node, uint64_t sequence,
                              struct moot_slice *value)
{
    const struct moot_version *version = node->newest;
    while (version != NULL && version->sequence > sequence) {
        version = version->older;
    }
    if (version == NULL || version->deleted) {
        return false;
    }
    *value = (struct moot_slice){version->bytes, version->size};
    return true;
}

void moot_versioned_map_rollback(struct moot_versioned_map *map, uint64_t sequence)
{
    MOOT_ASSERT(sequence <= map->sequence);
    for (size_t i = 0; i < map->untrimmed_count; i++) {
        struct moot_versioned_node *node = map->untrimmed[i];
        while (node->newest != NULL && node->newest->sequence > sequence) {
            struct moot_version *older = node->newest->older;
            moot_free(node->newest);
            node->newest = older;
        }
    }
    map->sequence = sequence;
}

/* Leaves the versions above `horizon` and the newest at or below it. True when that is all there
 * is to do for this key until it is written again. */
static bool trim_node(struct moot_versioned_node *node, uint64_t horizon)
{
    struct moot_version **link = &node->newest;
    while (*link != NULL && (*link)->sequence > horizon) {
        link = &(*link)->older;
    }
    if (*link != NULL && !(*link)->deleted) {
        link = &(*link)->older; /* Still read at the horizon. */
    }
    while (*link != NULL) { /* A deletion at the end of the chain says no more than its absence. */
        struct moot_version *older = (*link)->older;
        moot_free(*link);
        *link = older;
    }
    return node->newest == NULL || (node->newest->sequence <= horizon);
}

void moot_versioned_map_trim(struct moot_versioned_map *map, uint64_t horizon)
{
    size_t kept = 0;
    for (size_t i = 0; i < map->untrimmed_count; i++) {
        struct moot_versioned_node *node = map->untrimmed[i];
        if (!trim_node(node, horizon)) {
            map->untrimmed[kept++] = node;
        } else if (node->newest == NULL) {
            unlink_and_free(map, node);
        } else {
            node->untrimmed = false;
        }
    }
    map->untrimmed_count = kept;
}
