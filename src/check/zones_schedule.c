/* An order of values, deletes and those who found nothing, built from left to right.
 *
 * Forward zones have their places; the rest are items, each with a stretch of time at some instant
 * of which it must happen:
 *
 *     VALUE    a cluster with a backward zone: all of it at one instant; then something is there
 *     TAKE     a delete that found something: something must be there; then nothing is
 *     DELETE   a delete of which that is not known: then nothing is there
 *     NIL      who found nothing: nothing must be there
 *     SPARE_VALUE, SPARE_DELETE   in doubt: as often as once, or not at all
 *
 * Time is gone through once, from left to right, and nothing happens before it must: an item's time
 * ends, or a zone begins. What has no effect may be put where time has already passed:
 *
 * - Whenever nothing is there, everyone who may find nothing does so: it costs nothing.
 * - Where a delete is needed, it is the one whose time ends first; one in doubt only when there is
 *   no other. The same with values.
 * - A value whose time ends may have come and gone unseen at any moment of its time when another
 *   was there; a delete that may have found nothing, at any when nothing was.
 * - A value that went unseen could have been deleted unseen, and what is there when a zone begins
 *   too: such moments are kept as slots, one for each delete that found something.
 * - So it can be open what is there: a delete may have gone into a slot, or have made it go; a
 * value may have gone unseen, or be there. That is decided when somebody needs it (UNSURE).
 *
 * An order that comes out is right, because each step was; that none comes out proves nothing. */
#include <stdlib.h>

#include "base/assert.h"
#include "check/zones.h"

enum kind { NIL, TAKE, DELETE, VALUE, HEAPS, SPARE_VALUE = HEAPS, SPARE_DELETE };

struct item {
    enum kind kind;
    uint64_t from, until;
};

/* Items whose time has come, the one whose time ends first on top. */
struct heap {
    struct item *items;
    uint32_t count;
};

enum state {
    ABSENT,
    PRESENT,
    UNSURE, /* Nothing, and the slot `option` is free; or something, and that slot is taken. */
};

struct schedule {
    const struct moot_zones *zones;
    struct item *items; /* By `from`. */
    uint32_t count, next;
    uint32_t zone; /* The next one. */
    struct heap heaps[HEAPS];
    uint32_t spare_values, spare_deletes;
    uint64_t now;
    enum state state;
    uint32_t option;
    uint64_t last_there, last_absent; /* The last moments when it was sure, before `state`. */
    uint64_t *slots;                  /* Ascending. */
    uint32_t *slot_next;              /* Of each slot: itself, or one behind it if it is taken. */
    uint32_t slots_count;
};

static void heap_push(struct heap *heap, struct item item)
{
    uint32_t at = heap->count++;
    while (at > 0 && heap->items[(at - 1) / 2].until > item.until) {
        heap->items[at] = heap->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap->items[at] = item;
}

static struct item heap_pop(struct heap *heap)
{
    MOOT_ASSERT(heap->count > 0);
    struct item top = heap->items[0], last = heap->items[--heap->count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < heap->count && heap->items[child + 1].until < heap->items[child].until) {
            child++;
        }
        if (child >= heap->count || heap->items[child].until >= last.until) {
            break;
        }
        heap->items[at] = heap->items[child];
        at = child;
    }
    heap->items[at] = last;
    return top;
}

static uint32_t add_slot(struct schedule *schedule)
{
    MOOT_ASSERT(schedule->slots_count == 0 ||
                schedule->slots[schedule->slots_count - 1] <= schedule->now);
    schedule->slot_next[schedule->slots_count] = schedule->slots_count;
    schedule->slots[schedule->slots_count] = schedule->now;
    return schedule->slots_count++;
}

/* The first free slot that is not before `from`; slots_count when there is none. */
static uint32_t find_slot(struct schedule *schedule, uint64_t from)
{
    uint32_t low = 0, high = schedule->slots_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (schedule->slots[middle] < from) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    uint32_t found = low;
    while (found < schedule->slots_count && schedule->slot_next[found] != found) {
        found = schedule->slot_next[found];
    }
    for (uint32_t at = low; at < found;) { /* Shorter the next time. */
        uint32_t after = schedule->slot_next[at];
        schedule->slot_next[at] = found;
        at = after;
    }
    return found;
}

static void take_slot(struct schedule *schedule, uint32_t slot)
{
    MOOT_ASSERT(schedule->slot_next[slot] == slot);
    schedule->slot_next[slot] = slot + 1;
}

static const struct moot_zones_cluster *zone_at(const struct moot_zones *zones, uint32_t number)
{
    return &zones->clusters[zones->forward[number]];
}

/* The last zone that begins before an instant, or NULL. */
static const struct moot_zones_cluster *zone_before(const struct moot_zones *zones, uint64_t at)
{
    uint32_t low = 0, high = zones->forward_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (zone_at(zones, middle)->first_end < at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? NULL : zone_at(zones, low - 1);
}

/* Adds an item; its time does not begin or end in the midst of a zone. False when none is left. */
static bool add_item(struct schedule *schedule, enum kind kind, uint64_t from, uint64_t until)
{
    const struct moot_zones_cluster *first = zone_before(schedule->zones, from);
    if (first != NULL && from < first->last_call) {
        from = first->last_call;
    }
    const struct moot_zones_cluster *last =
        until == MOOT_NEVER.ns ? NULL : zone_before(schedule->zones, until);
    if (last != NULL && until < last->last_call) {
        until = last->first_end;
    }
    schedule->items[schedule->count++] = (struct item){kind, from, until};
    return from <= until;
}

static int compare_items(const void *left, const void *right)
{
    const struct item *a = left, *b = right;
    if (a->from != b->from) {
        return (a->from > b->from) - (a->from < b->from);
    }
    if (a->until != b->until) {
        return (a->until > b->until) - (a->until < b->until);
    }
    return (int)a->kind - (int)b->kind;
}

static bool collect(struct schedule *schedule)
{
    static const enum kind kinds[] = {
        [MOOT_ZONES_FINDS_NIL] = NIL,
        [MOOT_ZONES_TAKES] = TAKE,
        [MOOT_ZONES_DELETES] = DELETE,
        [MOOT_ZONES_MAY_DELETE] = SPARE_DELETE,
    };
    const struct moot_zones *zones = schedule->zones;
    bool good = true;
    for (uint32_t i = 0; i < zones->backward_count; i++) {
        const struct moot_zones_cluster *cluster = &zones->clusters[zones->backward[i]];
        good = add_item(schedule, VALUE, cluster->last_call, cluster->first_end) && good;
    }
    for (uint32_t i = 0; i + 1 < zones->clusters_count; i++) {
        const struct moot_zones_cluster *cluster = &zones->clusters[i];
        if (cluster->members == 0 && cluster->write != MOOT_ZONES_NOBODY) {
            good = add_item(schedule, SPARE_VALUE, cluster->last_call, MOOT_NEVER.ns) && good;
        }
    }
    for (uint32_t i = 0; i < zones->absent_count; i++) {
        const struct moot_zones_absent *absent = &zones->absent[i];
        good = add_item(schedule, kinds[absent->kind], absent->from, absent->until) && good;
    }
    qsort(schedule->items, schedule->count, sizeof(*schedule->items), compare_items);
    return good;
}

/* Nothing is there, from now on. */
static void goes(struct schedule *schedule)
{
    if (schedule->state == PRESENT) {
        schedule->last_there = schedule->now;
    }
    schedule->state = ABSENT;
    schedule->heaps[NIL].count = 0;
}

/* Something is there, from now on; before, nothing was, if that was open. */
static void comes(struct schedule *schedule)
{
    if (schedule->state != PRESENT) {
        schedule->last_absent = schedule->now;
        schedule->heaps[NIL].count = 0;
    }
    schedule->state = PRESENT;
}

/* A delete in a slot: for that moment nothing was there. */
static void absent_in(struct schedule *schedule, uint32_t slot)
{
    static const uint32_t looked_at_max =
        64; /* So that it stays n log n; more wait all the same. */
    struct heap *heap = &schedule->heaps[NIL];
    uint32_t count = heap->count;
    if (count > looked_at_max) {
        return;
    }
    heap->count = 0;
    for (uint32_t i = 0; i < count; i++) { /* What is kept goes where it was, or before. */
        struct item item = heap->items[i];
        if (item.from > schedule->slots[slot]) {
            heap_push(heap, item);
        }
    }
}

static bool was_there(const struct schedule *schedule, uint64_t since)
{
    return schedule->state == PRESENT || schedule->last_there >= since;
}

/* Nothing is there, and a delete must have found something: in a slot, or a value that comes now.
 * The value first, if it would have to come anyway. */
static bool take_absent(struct schedule *schedule, const struct item *take)
{
    struct heap *values = &schedule->heaps[VALUE];
    bool must_come = values->count > 0 && !was_there(schedule, values->items[0].from);
    uint32_t slot = find_slot(schedule, take->from);
    if (!must_come && slot < schedule->slots_count) {
        take_slot(schedule, slot);
        return true;
    }
    if (values->count > 0) {
        heap_pop(values);
    } else if (schedule->spare_values > 0) {
        schedule->spare_values--;
    } else {
        return false;
    }
    comes(schedule);
    goes(schedule);
    return true;
}

/* A delete that found something, now or in a slot. */
static bool take(struct schedule *schedule, const struct item *item)
{
    uint32_t slot = find_slot(schedule, item->from);
    bool has_slot = slot < schedule->slots_count;
    if (schedule->state == ABSENT) {
        return take_absent(schedule, item);
    }
    if (schedule->state == UNSURE && has_slot && slot != schedule->option) {
        take_slot(schedule, slot);
        absent_in(schedule, slot);
    } else if (schedule->state == UNSURE) {
        take_slot(schedule, schedule->option); /* So something is there. */
        schedule->state = PRESENT;
        goes(schedule);
    } else if (has_slot) {
        schedule->last_there = schedule->now;
        schedule->state = UNSURE;
        schedule->option = slot;
        absent_in(schedule, slot);
    } else {
        goes(schedule);
    }
    return true;
}

/* Somebody must find nothing, now. */
static bool make_absent(struct schedule *schedule)
{
    if (schedule->state == UNSURE) {
        goes(schedule);
        return true;
    }
    MOOT_ASSERT(schedule->state == PRESENT);
    if (schedule->heaps[TAKE].count > 0) { /* Perhaps into a slot; then it is asked again. */
        struct item item = heap_pop(&schedule->heaps[TAKE]);
        return take(schedule, &item);
    }
    if (schedule->heaps[DELETE].count > 0) {
        heap_pop(&schedule->heaps[DELETE]);
    } else if (schedule->spare_deletes > 0) {
        schedule->spare_deletes--;
    } else {
        return false;
    }
    goes(schedule);
    return true;
}

/* A value comes, or has come and gone. */
static void put_value(struct schedule *schedule, const struct item *item)
{
    bool was = was_there(schedule, item->from);
    if (schedule->state == PRESENT) {
        add_slot(schedule);
        return;
    }
    comes(schedule);
    if (was) {
        schedule->state = UNSURE;
        schedule->option = add_slot(schedule);
    }
}

static void open_item(struct schedule *schedule, const struct item *item)
{
    schedule->now = item->from;
    if (item->kind == SPARE_VALUE) {
        schedule->spare_values++;
    } else if (item->kind == SPARE_DELETE) {
        schedule->spare_deletes++;
    } else if (item->kind != NIL || schedule->state != ABSENT) {
        heap_push(&schedule->heaps[item->kind], *item);
    }
}

/* The time of the top of a heap ends. False when it cannot happen. */
static bool close_item(struct schedule *schedule, enum kind kind)
{
    struct heap *heap = &schedule->heaps[kind];
    schedule->now = heap->items[0].until;
    if (kind == NIL) {
        return make_absent(schedule);
    }
    struct item item = heap_pop(heap);
    if (kind == TAKE) {
        return take(schedule, &item);
    }
    if (kind == VALUE) {
        put_value(schedule, &item);
    } else if (schedule->state != ABSENT && schedule->last_absent < item.from) {
        goes(schedule);
    }
    return true;
}

static void begin_zone(struct schedule *schedule)
{
    const struct moot_zones_cluster *zone = zone_at(schedule->zones, schedule->zone++);
    schedule->now = zone->first_end;
    if (schedule->state == UNSURE && schedule->heaps[NIL].count == 0) {
        take_slot(schedule, schedule->option); /* For a later one. */
        schedule->state = PRESENT;
    }
    if (schedule->state == PRESENT) {
        add_slot(schedule);
    }
    comes(schedule);
    schedule->now = zone->last_call;
}

/* What happens next, at one instant; false when it cannot. Items come before others go, and both
 * before a zone begins. *done at the end. */
static bool step(struct schedule *schedule, bool *done)
{
    uint64_t opens =
        schedule->next < schedule->count ? schedule->items[schedule->next].from : MOOT_NEVER.ns;
    uint64_t zone = schedule->zone < schedule->zones->forward_count
                        ? zone_at(schedule->zones, schedule->zone)->first_end
                        : MOOT_NEVER.ns;
    uint64_t closes = MOOT_NEVER.ns;
    enum kind kind = HEAPS;
    for (enum kind k = NIL; k < HEAPS; k++) {
        const struct heap *heap = &schedule->heaps[k];
        if (heap->count > 0 && heap->items[0].until < closes) {
            closes = heap->items[0].until;
            kind = k;
        }
    }
    if (schedule->next < schedule->count && opens <= closes && opens <= zone) {
        open_item(schedule, &schedule->items[schedule->next++]);
        return true;
    }
    if (kind != HEAPS && closes <= zone) {
        return close_item(schedule, kind);
    }
    if (schedule->zone < schedule->zones->forward_count) {
        begin_zone(schedule);
        return true;
    }
    *done = true;
    return true;
}

bool moot_zones_schedule(const struct moot_zones *zones)
{
    size_t most = (size_t)zones->clusters_count + zones->absent_count;
    struct schedule schedule = {.zones = zones};
    schedule.items = moot_alloc(most * sizeof(*schedule.items));
    for (enum kind kind = NIL; kind < HEAPS; kind++) {
        schedule.heaps[kind].items = moot_alloc(most * sizeof(struct item));
    }
    schedule.slots = moot_alloc(most * sizeof(*schedule.slots));
    schedule.slot_next = moot_alloc(most * sizeof(*schedule.slot_next));
    bool good = collect(&schedule), done = false;
    while (good && !done) {
        good = step(&schedule, &done);
    }
    for (enum kind kind = NIL; kind < HEAPS; kind++) {
        MOOT_ASSERT(!done || schedule.heaps[kind].count == 0);
        moot_free(schedule.heaps[kind].items);
    }
    moot_free(schedule.slots);
    moot_free(schedule.slot_next);
    moot_free(schedule.items);
    return good;
}
