#include "sim/event.h"

#include "base/memory.h"

static bool comes_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void sim_events_deinit(struct sim_events *events)
{
    for (size_t i = 0; i < events->count; i++) {
        moot_block_release(events->heap[i].block);
    }
    moot_free(events->heap);
    *events = (struct sim_events){0};
}

void sim_events_add(struct sim_events *events, const struct sim_event *event)
{
    if (events->count == events->capacity) {
        events->capacity = events->capacity == 0 ? 256 : events->capacity * 2;
        events->heap = moot_realloc(events->heap, sizeof(*events->heap) * events->capacity);
    }
    struct sim_event added = *event;
    added.order = ++events->order;
    size_t at = events->count++;
    while (at > 0 && comes_before(&added, &events->heap[(at - 1) / 2])) {
        events->heap[at] = events->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    events->heap[at] = added;
}

bool sim_events_take(struct sim_events *events, struct sim_event *event)
{
    if (events->count == 0) {
        return false;
    }
    *event = events->heap[0];
    struct sim_event last = events->heap[--events->count];
    size_t at = 0;
    for (size_t child = 1; child < events->count; child = 2 * at + 1) {
        if (child + 1 < events->count &&
            comes_before(&events->heap[child + 1], &events->heap[child])) {
            child++;
        }
        if (!comes_before(&events->heap[child], &last)) {
            break;
        }
        events->heap[at] = events->heap[child];
        at = child;
    }
    if (events->count > 0) {
        events->heap[at] = last;
    }
    return true;
}
