/* A group of SWIM members in virtual time: a network that delays and loses, members that die, are
 * cut off, or are slow to look at what came. */
#ifndef MOOT_TESTS_SWIM_WORLD_H
#define MOOT_TESTS_SWIM_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "moot/status.h"
#include "moot/swim.h"

struct swim_event {
    uint64_t at, order;
    uint32_t to; /* Member. */
    uint32_t size;
    uint8_t *bytes; /* NULL: a tick. */
};

struct swim_node {
    struct moot_swim *swim; /* NULL: not there. */
    void *memory;
    uint64_t tick_at;
    bool down;            /* Its packets are lost, and it does not run. */
    uint32_t side;        /* Of a partition. */
    uint64_t slow_ns;     /* How long it takes, at most, before it looks at a packet. */
    uint64_t stuck_until; /* It does not run before. */
};

struct swim_world {
    uint32_t capacity;
    struct swim_node *nodes; /* By id; 0 is unused. */
    struct swim_event *heap;
    size_t count, room;
    uint64_t now, order;
    struct moot_rng rng;
    uint32_t loss_ppm;
    uint64_t delay_ns; /* At most. */
    struct moot_swim_config config;
    struct moot_swim_out out;
    /* Called for every change that a member notices. */
    void (*changed)(struct swim_world *world, moot_node_id at,
                    const struct moot_swim_change *change);
    void *context;
};

static inline bool swim_before(const struct swim_event *a, const struct swim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static inline void swim_push(struct swim_world *world, struct swim_event event)
{
    if (world->count == world->room) {
        world->room = world->room == 0 ? 1024 : 2 * world->room;
        world->heap = realloc(world->heap, world->room * sizeof(*world->heap));
        assert_non_null(world->heap);
    }
    event.order = world->order++;
    size_t at = world->count++;
    while (at > 0 && swim_before(&event, &world->heap[(at - 1) / 2])) {
        world->heap[at] = world->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    world->heap[at] = event;
}

static inline struct swim_event swim_pop(struct swim_world *world)
{
    struct swim_event first = world->heap[0], moved = world->heap[--world->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= world->count) {
            break;
        }
        if (child + 1 < world->count && swim_before(&world->heap[child + 1], &world->heap[child])) {
            child++;
        }
        if (!swim_before(&world->heap[child], &moved)) {
            break;
        }
        world->heap[at] = world->heap[child];
        at = child;
    }
    if (world->count > 0) {
        world->heap[at] = moved;
    }
    return first;
}

static inline struct swim_world *swim_world_make(uint32_t capacity, uint64_t seed)
{
    struct swim_world *world = calloc(1, sizeof(*world));
    world->capacity = capacity;
    world->nodes = calloc(capacity + 1, sizeof(*world->nodes));
    world->delay_ns = 2 * MOOT_MSEC_NS;
    world->now = MOOT_SEC_NS;
    world->config.seed = seed;
    moot_rng_init(&world->rng, seed);
    return world;
}

static inline void swim_world_free(struct swim_world *world)
{
    while (world->count > 0) {
        free(world->heap[--world->count].bytes);
    }
    for (uint32_t id = 1; id <= world->capacity; id++) {
        free(world->nodes[id].memory);
    }
    free(world->heap);
    free(world->nodes);
    free(world);
}

static inline struct moot_swim_address swim_address(moot_node_id id)
{
    struct moot_swim_address address = {.size = 4};
    memcpy(address.bytes, &id, 4);
    return address;
}

static inline void swim_arm(struct swim_world *world, moot_node_id id)
{
    struct swim_node *node = &world->nodes[id];
    uint64_t at = moot_swim_deadline(node->swim).ns;
    at = at > world->now ? at : world->now + 1;
    if (node->tick_at <= world->now || at < node->tick_at) {
        node->tick_at = at;
        swim_push(world, (struct swim_event){.at = at, .to = id});
    }
}

/* Sends what is in world->out, and tells of changes. */
static inline void swim_flush(struct swim_world *world, moot_node_id from)
{
    for (uint32_t i = 0; i < world->out.count; i++) {
        moot_node_id to;
        memcpy(&to, world->out.sends[i].address.bytes, 4);
        assert_true(to >= 1 && to <= world->capacity);
        if (moot_rng_below(&world->rng, 1000000) < world->loss_ppm ||
            world->nodes[from].side != world->nodes[to].side) {
            continue;
        }
        uint8_t *bytes = malloc(world->out.sends[i].size);
        memcpy(bytes, world->out.sends[i].bytes, world->out.sends[i].size);
        uint64_t at = world->now + 1 + moot_rng_below(&world->rng, world->delay_ns);
        if (world->nodes[to].slow_ns > 0) {
            at += moot_rng_below(&world->rng, world->nodes[to].slow_ns);
        }
        swim_push(world, (struct swim_event){
                             .at = at, .to = to, .size = world->out.sends[i].size, .bytes = bytes});
    }
    world->out.count = 0;
    struct moot_swim_change change;
    while (moot_swim_next_change(world->nodes[from].swim, &change)) {
        if (world->changed != NULL) {
            world->changed(world, from, &change);
        }
    }
    swim_arm(world, from);
}

static inline void swim_start(struct swim_world *world, moot_node_id id, uint64_t incarnation,
                              moot_node_id seed)
{
    struct swim_node *node = &world->nodes[id];
    struct moot_swim_config config = world->config;
    config.self = id;
    config.address = swim_address(id);
    config.incarnation = incarnation;
    size_t bytes = moot_swim_memory(world->capacity);
    free(node->memory);
    node->memory = malloc(bytes);
    int status = moot_swim_init(&config, world->capacity, node->memory, bytes,
                                (struct moot_instant){world->now}, &node->swim);
    assert_int_equal(status, MOOT_OK);
    node->down = false;
    node->tick_at = 0;
    if (seed != 0) {
        struct moot_swim_address address = swim_address(seed);
        moot_swim_join(node->swim, (struct moot_instant){world->now}, &address, 1, &world->out);
    }
    swim_flush(world, id);
}

static inline void swim_step(struct swim_world *world)
{
    struct swim_event event = swim_pop(world);
    struct swim_node *node = &world->nodes[event.to];
    world->now = event.at;
    if (node->swim == NULL || node->down) {
        free(event.bytes);
        return;
    }
    if (node->stuck_until > world->now) {
        event.at = node->stuck_until;
        swim_push(world, event);
        return;
    }
    struct moot_instant now = {world->now};
    if (event.bytes != NULL) {
        int status = moot_swim_receive(node->swim, now,
                                       (struct moot_slice){event.bytes, event.size}, &world->out);
        assert_int_equal(status, MOOT_OK);
        free(event.bytes);
    } else if (event.at == node->tick_at || node->stuck_until > 0) {
        moot_swim_tick(node->swim, now, &world->out);
        node->tick_at = 0;
    } else {
        return; /* Another tick came in its place. */
    }
    swim_flush(world, event.to);
}

static inline void swim_run(struct swim_world *world, uint64_t ns)
{
    uint64_t end = world->now + ns;
    while (world->count > 0 && world->heap[0].at <= end) {
        swim_step(world);
    }
    world->now = end;
}

/* A whole group that has found itself. */
static inline struct swim_world *swim_group(uint32_t count, uint64_t seed,
                                            const struct moot_swim_config *config)
{
    struct swim_world *world = swim_world_make(count, seed);
    if (config != NULL) {
        world->config = *config;
        world->config.seed = seed;
    }
    for (moot_node_id id = 1; id <= count; id++) {
        swim_start(world, id, 1,
                   id == 1 ? 0 : 1 + (moot_node_id)moot_rng_below(&world->rng, id - 1));
        swim_run(world, 10 * MOOT_MSEC_NS);
    }
    for (uint32_t i = 0; i < 200; i++) {
        swim_run(world, MOOT_SEC_NS);
        bool whole = true;
        for (moot_node_id id = 1; id <= count; id++) {
            whole = whole && moot_swim_count(world->nodes[id].swim) == count;
        }
        if (whole) {
            return world;
        }
    }
    fail_msg("%u members did not find each other in 200 periods", count);
    return NULL;
}

static inline enum moot_swim_state swim_sees(const struct swim_world *world, moot_node_id at,
                                             moot_node_id id)
{
    struct moot_swim_member member;
    assert_true(moot_swim_find(world->nodes[at].swim, id, &member));
    return (enum moot_swim_state)member.state;
}

static inline void swim_check_all(const struct swim_world *world)
{
    for (uint32_t id = 1; id <= world->capacity; id++) {
        if (world->nodes[id].swim != NULL) {
            moot_swim_check(world->nodes[id].swim);
        }
    }
}

#endif
