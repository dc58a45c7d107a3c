#include "sim/event.h"

#include "base/assert.h"
#include "base/memory.h"

enum { PLACE_BITS = 24, CHILDREN = 4, CAPACITY_FIRST = 256 };

static bool comes_before(struct sim_event_key a, struct sim_event_key b)
{
    return a.at != b.at ? a.at < b.at : a.order < b.order;
}

static uint32_t place_of(struct sim_event_key key)
{
    return (uint32_t)key.order & ((1u << PLACE_BITS) - 1);
}

static uint64_t next_order(struct sim_events *events)
{
    MOOT_ASSERT(events->order < UINT64_C(1) << (64 - PLACE_BITS));
    return events->order++ << PLACE_BITS;
}

void sim_events_init(struct sim_events *events)
{
    *events = (struct sim_events){0};
    for (uint32_t i = 0; i < SIM_DEADLINES; i++) {
        events->deadlines[i].at = UINT64_MAX;
    }
}

void sim_events_deinit(struct sim_events *events)
{
    for (size_t i = 0; i < events->heap_count; i++) {
        moot_block_release(events->items[place_of(events->heap[i])].block);
    }
    moot_free(events->heap);
    moot_free(events->queue);
    moot_free(events->items);
    moot_free(events->unused);
    *events = (struct sim_events){0};
}

static struct sim_event_key *queue_at(const struct sim_events *events, size_t number)
{
    return &events->queue[(events->queue_first + number) & (events->capacity - 1)];
}

static void grow(struct sim_events *events)
{
    size_t before = events->capacity;
    size_t capacity = before == 0 ? (size_t)CAPACITY_FIRST : before * 2;
    MOOT_ASSERT(events->unused_count == 0);
    MOOT_ASSERT(capacity <= (size_t)1 << PLACE_BITS);
    struct sim_event_key *queue = moot_alloc(sizeof(*queue) * capacity);
    for (size_t i = 0; i < events->queue_count; i++) {
        queue[i] = *queue_at(events, i);
    }
    moot_free(events->queue);
    events->queue = queue;
    events->queue_first = 0;
    events->heap = moot_realloc(events->heap, sizeof(*events->heap) * capacity);
    events->items = moot_realloc(events->items, sizeof(*events->items) * capacity);
    events->unused = moot_realloc(events->unused, sizeof(*events->unused) * capacity);
    for (size_t place = capacity; place > before; place--) {
        events->unused[events->unused_count++] = (uint32_t)(place - 1);
    }
    events->capacity = capacity;
}

/* False: it would not be the last. */
static bool add_to_queue(struct sim_events *events, struct sim_event_key added)
{
    if (events->queue_count > 0 &&
        comes_before(added, *queue_at(events, events->queue_count - 1))) {
        return false;
    }
    events->queue_count++;
    *queue_at(events, events->queue_count - 1) = added;
    return true;
}

void sim_events_add(struct sim_events *events, const struct sim_event *event)
{
    if (events->count == events->capacity) {
        grow(events);
    }
    events->count++;
    uint32_t place = events->unused[--events->unused_count];
    events->items[place] = *event;
    struct sim_event_key added = {event->at, next_order(events) | place};
    if (event->kind == SIM_CLIENT_GIVEUP && add_to_queue(events, added)) {
        MOOT_ASSERT(event->block == NULL);
        return;
    }
    size_t at = events->heap_count++;
    while (at > 0 && comes_before(added, events->heap[(at - 1) / CHILDREN])) {
        events->heap[at] = events->heap[(at - 1) / CHILDREN];
        at = (at - 1) / CHILDREN;
    }
    events->heap[at] = added;
}

void sim_events_set_deadline(struct sim_events *events, uint32_t machine, uint64_t at)
{
    MOOT_ASSERT(machine < SIM_DEADLINES);
    struct sim_event_key deadline = {at, next_order(events)};
    events->deadlines[machine] = deadline;
    if (machine != events->first_deadline) {
        bool is_first = comes_before(deadline, events->deadlines[events->first_deadline]);
        events->first_deadline = is_first ? machine : events->first_deadline;
        return;
    }
    uint32_t first = 0;
    for (uint32_t i = 1; i < SIM_DEADLINES; i++) {
        first = comes_before(events->deadlines[i], events->deadlines[first]) ? i : first;
    }
    events->first_deadline = first;
}

/* What comes first of heap and queue; `at` UINT64_MAX when both are empty. */
static struct sim_event_key first_event(const struct sim_events *events)
{
    struct sim_event_key first = {UINT64_MAX, UINT64_MAX};
    if (events->heap_count > 0) {
        first = events->heap[0];
    }
    if (events->queue_count > 0 && comes_before(*queue_at(events, 0), first)) {
        first = *queue_at(events, 0);
    }
    return first;
}

uint64_t sim_events_next(const struct sim_events *events)
{
    return moot_min_u64(first_event(events).at, events->deadlines[events->first_deadline].at);
}

/* The last key goes to the gap at the top, or to where that one sinks. */
static void close_gap(struct sim_events *events)
{
    struct sim_event_key *heap = events->heap, last = heap[--events->heap_count];
    size_t count = events->heap_count, at = 0;
    for (size_t child = 1; child < count; child = at * CHILDREN + 1) {
        size_t end = child + CHILDREN < count ? child + CHILDREN : count, least = child;
        for (size_t other = child + 1; other < end; other++) {
            least = comes_before(heap[other], heap[least]) ? other : least;
        }
        if (!comes_before(heap[least], last)) {
            break;
        }
        heap[at] = heap[least];
        at = least;
    }
    heap[at] = last;
}

bool sim_events_take(struct sim_events *events, struct sim_event *event)
{
    struct sim_event_key first = first_event(events);
    struct sim_event_key deadline = events->deadlines[events->first_deadline];
    if (deadline.at != UINT64_MAX && comes_before(deadline, first)) {
        uint32_t machine = events->first_deadline;
        *event = (struct sim_event){.at = deadline.at, .kind = SIM_TICK, .machine = machine};
        sim_events_set_deadline(events, machine, UINT64_MAX);
        return true;
    }
    if (events->count == 0) {
        return false;
    }
    uint32_t place = place_of(first);
    *event = events->items[place];
    events->unused[events->unused_count++] = place;
    events->count--;
    if (events->queue_count > 0 && queue_at(events, 0)->order == first.order) {
        events->queue_first++;
        events->queue_count--;
    } else {
        close_gap(events);
    }
    return true;
}
