/* An ordered map in memory whose past can be read and taken back: a skip list (Pugh 1990) of keys,
 * each with its versions, newest first.
 *
 * Every write names a sequence number that never falls. A reader names one too, and sees for each
 * key the newest version at or below it. `rollback` forgets all versions above a number; `trim`
 * forgets those that no reader at or above a number can see. Both visit only the keys written since
 * they were last trimmed.
 *
 * Not handled here: which numbers are still read (the store knows), threads. */
#ifndef MOOT_STORAGE_VERSIONED_MAP_H
#define MOOT_STORAGE_VERSIONED_MAP_H

#include "base/rng.h"
#include "base/slice.h"

struct moot_version;

enum { MOOT_SKIP_HEIGHT_MAX = 16 }; /* A quarter of the nodes rises: 4^16 keys. */

/* One key. Lives until a trim or rollback finds that it has no versions left. */
struct moot_versioned_node {
    struct moot_slice key;              /* read-only */
    struct moot_version *newest;        /* private */
    struct moot_versioned_node *prev;   /* read-only: NULL at the first */
    bool untrimmed;                     /* private: in the map's list of keys to trim */
    uint8_t height;                     /* private */
    struct moot_versioned_node *next[]; /* read-only: next[0], NULL at the last */
};

struct moot_versioned_map {
    struct moot_versioned_node *head;       /* private: no key; its next[] begin the list */
    struct moot_versioned_node *last;       /* read-only: NULL when empty */
    struct moot_versioned_node **untrimmed; /* private */
    size_t untrimmed_count, untrimmed_capacity;
    struct moot_rng heights; /* private */
    uint64_t sequence;       /* read-only: the greatest written */
    uint64_t nodes;          /* read-only */
};

void moot_versioned_map_init(struct moot_versioned_map *map, uint64_t seed);
void moot_versioned_map_deinit(struct moot_versioned_map *map);

/* `sequence` is not below any written before. A second write with the same number replaces. */
void moot_versioned_map_put(struct moot_versioned_map *map, uint64_t sequence,
                            struct moot_slice key, struct moot_slice value);
/* Does nothing when the key is not there. */
void moot_versioned_map_delete(struct moot_versioned_map *map, uint64_t sequence,
                               struct moot_slice key);

/* The first node with a key at or above `key`, in whatever state; NULL: none. */
struct moot_versioned_node *moot_versioned_map_seek(const struct moot_versioned_map *map,
                                                    struct moot_slice key);
/* What a reader at `sequence` sees of a node; false: nothing. */
bool moot_versioned_node_read(const struct moot_versioned_node *node, uint64_t sequence,
                              struct moot_slice *value);

/* Forget every version above `sequence`, which becomes the greatest. */
void moot_versioned_map_rollback(struct moot_versioned_map *map, uint64_t sequence);
/* Forget what no reader at or above `horizon` sees. */
void moot_versioned_map_trim(struct moot_versioned_map *map, uint64_t horizon);

#endif
