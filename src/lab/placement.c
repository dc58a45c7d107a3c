/* Where keys go, and how many go elsewhere when a node joins: consistent hashing (Karger 1997),
 * highest random weight (Thaler and Ravishankar 1998), jump hash (Lamping and Veach 2014), modulo.
 */
#include "lab/scene.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/memory.h"
#include "moot/jump.h"
#include "moot/rendezvous.h"
#include "moot/ring.h"

enum { BEFORE = 10, AFTER = 11, KEYS = 20000, VIRTUAL_NODES = 128, DRAWN = 40 };
enum { RING, RENDEZVOUS, JUMP, MODULO, SCHEMES };
static const char *const NAMES[SCHEMES] = {"ring", "rendezvous", "jump", "modulo"};

struct map {
    struct moot_hash_ring ring;
    struct moot_place_member ring_members[AFTER], members[AFTER];
    struct moot_hash_ring_point *points;
    uint32_t count;
};

static void map_init(struct map *map, uint64_t seed)
{
    uint32_t capacity = VIRTUAL_NODES * (AFTER + 1);
    map->points = moot_alloc(capacity * sizeof(*map->points));
    moot_hash_ring_init(&map->ring, seed, map->ring_members, AFTER, map->points, capacity);
    map->count = 0;
}

static void join(struct map *map)
{
    struct moot_place_member member = {
        .node = map->count + 1, .zone = map->count + 1, .weight = VIRTUAL_NODES};
    int status = moot_hash_ring_set(&map->ring, &member);
    MOOT_ASSERT(status == 0);
    map->members[map->count++] = member;
}

/* From 1. */
static uint32_t owner(const struct map *map, int scheme, uint64_t key)
{
    switch (scheme) {
    case RING:
        return moot_hash_ring_owner(&map->ring, key);
    case RENDEZVOUS:
        return map->members[moot_rendezvous_pick(map->members, map->count, key)].node;
    case JUMP:
        return moot_jump_bucket(key, map->count) + 1;
    default:
        return moot_modulo_bucket(key, map->count) + 1;
    }
}

void lab_scene_placement(struct lab *lab)
{
    uint32_t lines[AFTER];
    for (uint32_t i = 0; i < AFTER; i++) {
        char name[16];
        snprintf(name, sizeof(name), "node %u", i + 1);
        lines[i] = lab_line(lab, MOOT_PICTURE_NODE, name);
    }
    struct map before = {0}, after = {0};
    map_init(&before, 7);
    map_init(&after, 7);
    for (uint32_t i = 0; i < AFTER; i++) {
        if (i < BEFORE) {
            join(&before);
        }
        join(&after);
    }
    uint64_t salt = moot_rng_next(&lab->rng);
    double optimum = (double)KEYS / AFTER;
    lab_tell(lab, "%d keys on %d nodes; node %d joins. At least 1/%d of the keys, %.0f, must move.",
             KEYS, BEFORE, AFTER, AFTER, optimum);
    bool frugal = true, greedy = false, sideways = false;
    for (int scheme = 0; scheme < SCHEMES; scheme++) {
        uint32_t moved = 0, elsewhere = 0, load[AFTER] = {0}, most = 0;
        lab_mark(lab, MOOT_PICTURE_NOBODY, MOOT_PICTURE_PHASE, "%s", NAMES[scheme]);
        uint64_t began = lab->now_us;
        for (uint64_t i = 0; i < KEYS; i++) {
            uint64_t number = salt + i;
            uint64_t key = moot_place_key((struct moot_slice){(const uint8_t *)&number, 8});
            uint32_t old = owner(&before, scheme, key), now = owner(&after, scheme, key);
            load[now - 1]++;
            if (old == now) {
                continue;
            }
            moved++;
            elsewhere += now != AFTER; /* Between two nodes that were there before. */
            if (i < DRAWN * 10 && i % 10 < 4) {
                lab->now_us = began + 100 * i;
                lab_message(lab, lines[old - 1], lines[now - 1], NAMES[scheme], lab->now_us + 2000,
                            false, "a key moves");
            }
        }
        for (uint32_t i = 0; i < AFTER; i++) {
            most = load[i] > most ? load[i] : most;
        }
        lab->now_us = began + 60000;
        lab_say(lab, MOOT_PICTURE_NOBODY,
                "%-10s %5u keys move (%.2f of the optimum), %5u between old nodes; fullest node "
                "%.2f of the mean",
                NAMES[scheme], moved, moved / optimum, elsewhere, most * (double)AFTER / KEYS);
        if (scheme == MODULO) {
            greedy = moved > 8 * optimum;
            sideways = elsewhere > 0;
        } else {
            frugal = frugal && moved < 1.35 * optimum && elsewhere == 0;
        }
    }
    lab_claim(lab, frugal,
              "ring, rendezvous and jump move little more than they must, all of it "
              "to the newcomer");
    lab_claim(lab, greedy && sideways, "modulo moves nearly everything, also between old nodes");
    lab_answer(lab, "1/n of them. Ring, rendezvous and jump come close; modulo moves (n-1)/n.");
    moot_free(before.points);
    moot_free(after.points);
}
