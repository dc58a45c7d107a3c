/* Deletes, and those who found nothing: what is wrong whichever delete was whose.
 *
 * A cluster of a value stands together, and no delete is inside it. So, of a cluster C and any
 * other operation X: C is wholly before X when something of C returned before X was called
 * (C.first_end < X.call), and wholly after it when something of C was called after X returned
 * (X.return < C.last_call). Three things then cannot be:
 *
 * - C both before and after X, which found nothing or is a delete.
 * - X found nothing, a C is before it, and every delete that was called before X returned is before
 *   such a C. (The C with the greatest last_call rules out the most deletes, and each by itself.)
 * - Deletes found something, each a value of its own, and there are not so many. X can have found
 *   the value of C unless C is wholly after X, or wholly before an E that left nothing and is
 * before X. (The E called last rules out the most.) So X needs a C with a last_call that is not too
 * late and a first_end that is not too early; taking the deletes by their returns, and for each the
 * C with the least first_end that will do, finds a value for each if that can be: any other choice
 *   can be exchanged for this one.
 *
 * All three stay so when the history goes on: operations are added, and what was in doubt returns.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "check/zones.h"

enum { NOBODY = MOOT_ZONES_NOBODY };

void moot_zones_collect_absent(struct moot_zones *zones, uint64_t cut)
{
    zones->absent_count = 0;
    for (size_t i = 0; i < zones->key->count; i++) {
        const struct moot_operation *operation =
            &zones->key->history->operations[zones->key->operations[i]];
        uint64_t end = moot_judged_end(operation);
        bool returned = end != MOOT_NEVER.ns && end <= cut;
        bool is_nil = operation->kind == MOOT_OPERATION_READ && returned &&
                      operation->result.kind == MOOT_HISTORY_NIL;
        if (operation->called.ns > cut || (operation->kind != MOOT_OPERATION_DELETE && !is_nil)) {
            continue;
        }
        struct moot_zones_absent *absent = &zones->absent[zones->absent_count++];
        *absent = (struct moot_zones_absent){
            .kind = MOOT_ZONES_DELETES,
            .operation = zones->key->operations[i],
            .from = operation->called.ns + 1,
            .until = returned ? end + 1 : MOOT_NEVER.ns,
        };
        if (!returned) {
            absent->kind = MOOT_ZONES_MAY_DELETE;
        } else if (is_nil) {
            absent->kind = MOOT_ZONES_FINDS_NIL;
        } else if (operation->result.kind == MOOT_HISTORY_INTEGER) {
            absent->kind = operation->result.integer == 1 ? MOOT_ZONES_TAKES : MOOT_ZONES_FINDS_NIL;
        }
    }
}

/* Whose value is the greatest among those with a key up to some limit? */
struct entry {
    uint64_t key, value;
    uint32_t who; /* A cluster, or a place in zones->absent. */
};
struct table {
    struct entry *entries;
    uint32_t count;
};

static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    if (a->key != b->key) {
        return (a->key > b->key) - (a->key < b->key);
    }
    return (a->who > b->who) - (a->who < b->who);
}

/* Sorted, and each with the greatest value up to it. */
static void table_seal(struct table *table)
{
    qsort(table->entries, table->count, sizeof(*table->entries), compare_entries);
    for (uint32_t i = 1; i < table->count; i++) {
        const struct entry *before = &table->entries[i - 1];
        if (before->value >= table->entries[i].value) {
            table->entries[i].value = before->value;
            table->entries[i].who = before->who;
        }
    }
}

/* Among those with a key less than `limit`; NULL when there is none. */
static const struct entry *table_find(const struct table *table, uint64_t limit)
{
    uint32_t low = 0, high = table->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (table->entries[middle].key < limit) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? NULL : &table->entries[low - 1];
}

struct tables {
    struct table values;  /* Clusters that happened, by first_end: the greatest last_call. */
    struct table sources; /* All clusters, by last_call: the greatest first_end. */
    struct table deletes; /* Whatever may have left nothing, by call: the greatest return. */
    struct table absents; /* Whatever returned and left nothing, by return: the greatest call. */
};

static void tables_init(struct tables *tables, const struct moot_zones *zones)
{
    struct table *all[] = {&tables->values, &tables->sources, &tables->deletes, &tables->absents};
    size_t most = (size_t)zones->clusters_count + zones->absent_count;
    for (size_t i = 0; i < MOOT_ARRAY_LEN(all); i++) {
        *all[i] = (struct table){.entries = moot_alloc(most * sizeof(struct entry))};
    }
    for (uint32_t i = 0; i + 1 < zones->clusters_count; i++) { /* All but nil's. */
        const struct moot_zones_cluster *cluster = &zones->clusters[i];
        struct entry value = {cluster->first_end, cluster->last_call, i};
        struct entry source = {cluster->last_call, cluster->first_end, i};
        if (cluster->members > 0) {
            tables->values.entries[tables->values.count++] = value;
        }
        if (cluster->last_called != NOBODY) {
            tables->sources.entries[tables->sources.count++] = source;
        }
    }
    for (uint32_t i = 0; i < zones->absent_count; i++) {
        const struct moot_zones_absent *absent = &zones->absent[i];
        struct entry delete = {absent->from, absent->until, i};
        struct entry left = {absent->until, absent->from, i};
        if (absent->kind != MOOT_ZONES_FINDS_NIL) {
            tables->deletes.entries[tables->deletes.count++] = delete;
        }
        if (absent->kind != MOOT_ZONES_MAY_DELETE) {
            tables->absents.entries[tables->absents.count++] = left;
        }
    }
    for (size_t i = 0; i < MOOT_ARRAY_LEN(all); i++) {
        table_seal(all[i]);
    }
}

static void tables_deinit(struct tables *tables)
{
    moot_free(tables->values.entries);
    moot_free(tables->sources.entries);
    moot_free(tables->deletes.entries);
    moot_free(tables->absents.entries);
}

/* In the midst of a value? The forward zones are apart, so only the last that begins before can
 * hold it. */
static struct moot_zones_conflict judge_within(const struct moot_zones *zones,
                                               const struct moot_zones_absent *absent)
{
    uint32_t low = 0, high = zones->forward_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (zones->clusters[zones->forward[middle]].first_end < absent->from) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const struct moot_zones_cluster *zone =
        low == 0 ? NULL : &zones->clusters[zones->forward[low - 1]];
    if (zone == NULL || absent->until >= zone->last_call) {
        return (struct moot_zones_conflict){0};
    }
    return (struct moot_zones_conflict){
        .what = absent->kind == MOOT_ZONES_FINDS_NIL
                    ? "nothing found where a value must have been all the time"
                    : "a delete where a value must have been all the time",
        .a = zone->first_ended,
        .b = absent->operation,
        .c = absent->operation,
        .d = zone->last_called,
    };
}

/* Who found nothing: was a value before, and could a delete have come between? */
static struct moot_zones_conflict judge_nil(const struct moot_zones *zones,
                                            const struct tables *tables,
                                            const struct moot_zones_absent *absent)
{
    const struct entry *value = table_find(&tables->values, absent->from);
    const struct entry *delete = table_find(&tables->deletes, absent->until + 1);
    if (value == NULL || (delete != NULL && delete->value >= value->value)) {
        return (struct moot_zones_conflict){0};
    }
    struct moot_zones_conflict conflict = {
        .what = "nothing found after a value, and no delete that could have come between",
        .a = zones->clusters[value->who].first_ended,
        .b = absent->operation,
        .c = NOBODY,
        .d = NOBODY,
    };
    if (delete != NULL) { /* The one that returned last of those that were called in time. */
        conflict.c = zones->absent[delete->who].operation;
        conflict.d = zones->clusters[value->who].last_called;
    }
    return conflict;
}

/* No value was left for a delete that found something. */
static struct moot_zones_conflict explain_take(const struct moot_zones *zones,
                                               const struct tables *tables,
                                               const struct moot_zones_absent *absent)
{
    const struct entry *left = table_find(&tables->absents, absent->from);
    const struct entry *source = table_find(&tables->sources, absent->until + 1);
    bool could = source != NULL && (left == NULL || source->value >= left->value);
    struct moot_zones_conflict conflict = {
        .what = could ? "a delete that found something, though others had deleted all it could find"
                      : "a delete that found something, and no value that it could have found",
        .a = absent->operation,
        .b = NOBODY,
        .c = NOBODY,
        .d = NOBODY,
    };
    if (left != NULL) {
        conflict.a = zones->absent[left->who].operation;
        conflict.b = absent->operation;
    }
    if (left != NULL && source != NULL && !could) { /* The one that stood longest. */
        conflict.c = zones->clusters[source->who].first_ended;
        conflict.d = conflict.a;
    }
    return conflict;
}

/* Clusters by first_end, of which some are there to be taken: a tree over places, each node with
 * how many of those below it are. */
struct pool {
    uint32_t *counts;
    uint32_t leaves; /* A power of two. */
};

static void pool_add(struct pool *pool, uint32_t place, uint32_t by)
{
    for (uint32_t node = pool->leaves + place; node > 0; node /= 2) {
        pool->counts[node] += by; /* UINT32_MAX is one less. */
    }
}

/* The first place from `place` on that is there; false when none is. */
static bool pool_find(const struct pool *pool, uint32_t place, uint32_t *found)
{
    uint32_t node = pool->leaves + place;
    if (place >= pool->leaves) {
        return false;
    }
    while (pool->counts[node] == 0) { /* Up, to the next one on the right; */
        while (node % 2 == 1 && node > 1) {
            node /= 2;
        }
        if (node <= 1) {
            return false;
        }
        node++;
    }
    while (node < pool->leaves) { /* and down, to the left. */
        node = 2 * node + (pool->counts[2 * node] == 0);
    }
    *found = node - pool->leaves;
    return true;
}

static int compare_takes(const void *left, const void *right, void *context)
{
    const struct moot_zones_absent *absent = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    if (absent[a].until != absent[b].until) {
        return (absent[a].until > absent[b].until) - (absent[a].until < absent[b].until);
    }
    return (a > b) - (a < b);
}

/* A cluster that may be deleted. */
struct source {
    uint64_t first_end, last_call;
    uint32_t place; /* By first_end. */
};

static int compare_by_end(const void *left, const void *right)
{
    const struct source *a = left, *b = right;
    if (a->first_end != b->first_end) {
        return (a->first_end > b->first_end) - (a->first_end < b->first_end);
    }
    return (a->last_call > b->last_call) - (a->last_call < b->last_call);
}

static int compare_by_call(const void *left, const void *right)
{
    const struct source *a = left, *b = right;
    if (a->last_call != b->last_call) {
        return (a->last_call > b->last_call) - (a->last_call < b->last_call);
    }
    return (a->place > b->place) - (a->place < b->place);
}

/* Into `ends` what they end with, ascending; into `sources` the clusters by last_call. */
static uint32_t collect_sources(const struct moot_zones *zones, struct source *sources,
                                uint64_t *ends)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i + 1 < zones->clusters_count; i++) {
        const struct moot_zones_cluster *cluster = &zones->clusters[i];
        if (cluster->last_called != NOBODY) {
            sources[count++] =
                (struct source){.first_end = cluster->first_end, .last_call = cluster->last_call};
        }
    }
    qsort(sources, count, sizeof(*sources), compare_by_end);
    for (uint32_t i = 0; i < count; i++) {
        sources[i].place = i;
        ends[i] = sources[i].first_end;
    }
    qsort(sources, count, sizeof(*sources), compare_by_call);
    return count;
}

/* The first place whose end is at least `end`. */
static uint32_t place_of(const uint64_t *ends, uint32_t count, uint64_t end)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ends[middle] < end) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* A value for each delete that found something. */
static struct moot_zones_conflict judge_takes(const struct moot_zones *zones,
                                              const struct tables *tables)
{
    struct moot_zones_conflict conflict = {0};
    struct source *sources = moot_alloc(zones->clusters_count * sizeof(*sources));
    uint64_t *ends = moot_alloc(zones->clusters_count * sizeof(*ends));
    uint32_t *takes = moot_alloc((zones->absent_count + (size_t)1) * sizeof(*takes));
    uint32_t count = collect_sources(zones, sources, ends), takes_count = 0, added = 0;
    struct pool pool = {.leaves = 1};
    while (pool.leaves < count) {
        pool.leaves *= 2;
    }
    pool.counts = moot_alloc_zero(2 * (size_t)pool.leaves * sizeof(*pool.counts));
    for (uint32_t i = 0; i < zones->absent_count; i++) {
        if (zones->absent[i].kind == MOOT_ZONES_TAKES) {
            takes[takes_count++] = i;
        }
    }
    qsort_r(takes, takes_count, sizeof(*takes), compare_takes, zones->absent);
    for (uint32_t i = 0; i < takes_count && conflict.what == NULL; i++) {
        const struct moot_zones_absent *absent = &zones->absent[takes[i]];
        const struct entry *left = table_find(&tables->absents, absent->from);
        uint32_t first = left == NULL ? 0 : place_of(ends, count, left->value), found;
        for (; added < count && sources[added].last_call <= absent->until; added++) {
            pool_add(&pool, sources[added].place, 1);
        }
        if (pool_find(&pool, first, &found)) {
            pool_add(&pool, found, UINT32_MAX);
        } else {
            conflict = explain_take(zones, tables, absent);
        }
    }
    moot_free(sources);
    moot_free(ends);
    moot_free(takes);
    moot_free(pool.counts);
    return conflict;
}

struct moot_zones_conflict moot_zones_judge_absent(const struct moot_zones *zones)
{
    struct moot_zones_conflict conflict = {0};
    struct tables tables;
    tables_init(&tables, zones);
    for (uint32_t i = 0; i < zones->absent_count && conflict.what == NULL; i++) {
        const struct moot_zones_absent *absent = &zones->absent[i];
        if (absent->kind == MOOT_ZONES_MAY_DELETE) {
            continue;
        }
        conflict = judge_within(zones, absent);
        if (conflict.what == NULL && absent->kind == MOOT_ZONES_FINDS_NIL) {
            conflict = judge_nil(zones, &tables, absent);
        }
    }
    if (conflict.what == NULL) {
        conflict = judge_takes(zones, &tables);
    }
    tables_deinit(&tables);
    return conflict;
}
