/* Registers whose written values are all different: which read goes with which write is known, so
 * there is little to search. (Gibbons and Korach 1997, section 4.)
 *
 * A value's cluster is its write and the reads of it; in an order that works, a cluster stands
 * together. Let first_end be the least return in a cluster and last_call the greatest call. Cluster
 * A must come before B when some operation of A returned before some operation of B was called:
 * A.first_end < B.last_call. A history is linearizable exactly when no read returned before the
 * write of its value was called, and no two clusters must each come before the other.
 *
 *     forward zone   first_end < last_call: it must own that stretch of time
 *     backward zone  otherwise: any instant of it will do
 *
 * Two clusters conflict when two forward zones overlap, or a forward zone contains a backward one.
 * Nil is the cluster of a write that ended before time began. An in-doubt write whose value was
 * read took effect, and never returned; one whose value was not read may be left out.
 *
 * Deletes all write the same: nil. Which delete a read of nil saw is not known, so they are no
 * clusters (when values are written more than once the problem is NP-complete; same paper). Three
 * steps, the first two in O(n log n):
 *
 * 1. What no choice of deletes can mend is a violation (zones_absent.c): values in conflict; nil or
 *    a delete in the midst of a forward zone; nil where a value was before and every delete that
 *    could be between is too early or too late; more deletes that found something than there are
 *    values for them.
 * 2. Else an order is built (zones_schedule.c), which leaves open for as long as it can which
 * delete went where. If it comes out, it is the proof.
 * 3. Else nothing is said here, and the key is searched, which is exact. It takes several deletes
 * and writes open at once, and an unlucky choice: one in seventy of random histories with up to
 *    twelve operations open at any time. So the verdict is right in any case, and near-linear in
 *    all but these. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/slice.h"
#include "check/zones.h"

enum { NOBODY = MOOT_ZONES_NOBODY };

static const struct moot_operation *operation_at(const struct moot_zones *zones, uint32_t number)
{
    return &zones->key->history->operations[number];
}

/* The number of a value; false when its kind is none that a register holds. */
static bool value_number(struct moot_intern *values, const struct moot_history_value *value,
                         uint32_t *number)
{
    char digits[24];
    struct moot_slice text = value->bytes;
    if (value->kind == MOOT_HISTORY_INTEGER) {
        text = moot_slice_make(digits, moot_text_i64(digits, value->integer));
    } else if (value->kind != MOOT_HISTORY_BYTES) {
        return false;
    }
    *number = moot_intern_add(values, text);
    return true;
}

/* Fills cluster_of; false when zones do not apply. */
static bool find_values(struct moot_zones *zones)
{
    const struct moot_judged_key *key = zones->key;
    for (size_t i = 0; i < key->count; i++) {
        const struct moot_operation *operation = operation_at(zones, key->operations[i]);
        zones->cluster_of[i] = NOBODY;
        if (operation->kind == MOOT_OPERATION_READ) {
            bool known = operation->outcome == MOOT_OUTCOME_OK;
            if (known && operation->result.kind != MOOT_HISTORY_NIL &&
                operation->result.kind != MOOT_HISTORY_NONE &&
                !value_number(&zones->values, &operation->result, &zones->cluster_of[i])) {
                return false;
            }
        } else if (operation->kind == MOOT_OPERATION_DELETE) {
            const struct moot_history_value *found = &operation->result;
            bool is_flag = found->kind == MOOT_HISTORY_INTEGER && (uint64_t)found->integer <= 1;
            zones->has_deletes = true;
            if (!is_flag && found->kind != MOOT_HISTORY_NONE) {
                return false;
            }
        } else if (operation->kind != MOOT_OPERATION_WRITE ||
                   !value_number(&zones->values, &operation->argument, &zones->cluster_of[i])) {
            return false;
        }
    }
    return true;
}

static bool find_clusters(struct moot_zones *zones)
{
    const struct moot_judged_key *key = zones->key;
    if (!find_values(zones)) {
        return false;
    }
    zones->clusters_count = zones->values.count + 1;
    zones->clusters = moot_alloc(zones->clusters_count * sizeof(*zones->clusters));
    for (uint32_t i = 0; i < zones->clusters_count; i++) {
        zones->clusters[i].write = NOBODY;
    }
    for (size_t i = 0; i < key->count; i++) {
        const struct moot_operation *operation = operation_at(zones, key->operations[i]);
        if (operation->kind == MOOT_OPERATION_WRITE) {
            struct moot_zones_cluster *cluster = &zones->clusters[zones->cluster_of[i]];
            if (cluster->write != NOBODY) {
                return false; /* Written twice: which of them a read saw is not known. */
            }
            cluster->write = key->operations[i];
        } else if (operation->kind == MOOT_OPERATION_READ && !zones->has_deletes &&
                   operation->outcome == MOOT_OUTCOME_OK &&
                   operation->result.kind == MOOT_HISTORY_NIL) {
            zones->cluster_of[i] = zones->clusters_count - 1;
        }
    }
    return true;
}

/* Counts what is in the prefix up to the instant `cut`, and finds the ends of each cluster. Of what
 * had not returned by then, writes may have happened, and reads have no result yet. */
static void measure(struct moot_zones *zones, uint64_t cut)
{
    for (uint32_t i = 0; i < zones->clusters_count; i++) {
        struct moot_zones_cluster *cluster = &zones->clusters[i];
        cluster->first_end = MOOT_NEVER.ns;
        cluster->last_call = 0;
        cluster->first_ended = cluster->last_called = NOBODY;
        cluster->members = 0;
    }
    zones->clusters[zones->clusters_count - 1].first_end = 0; /* Nil was there from the start. */
    for (size_t i = 0; i < zones->key->count; i++) {
        uint32_t number = zones->key->operations[i];
        const struct moot_operation *operation = operation_at(zones, number);
        uint64_t end = moot_judged_end(operation);
        bool returned = end != MOOT_NEVER.ns && end <= cut;
        if (zones->cluster_of[i] == NOBODY || operation->called.ns > cut ||
            (operation->kind == MOOT_OPERATION_READ && !returned)) {
            continue;
        }
        struct moot_zones_cluster *cluster = &zones->clusters[zones->cluster_of[i]];
        cluster->members += operation->kind == MOOT_OPERATION_READ || returned;
        if (returned && end + 1 < cluster->first_end) {
            cluster->first_end = end + 1;
            cluster->first_ended = number;
        }
        if (cluster->last_called == NOBODY || operation->called.ns >= cluster->last_call) {
            cluster->last_call = operation->called.ns + 1;
            cluster->last_called = number;
        }
    }
}

static int compare_by_first_end(const void *left, const void *right, void *context)
{
    const struct moot_zones_cluster *clusters = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    uint64_t end_a = clusters[a].first_end, end_b = clusters[b].first_end;
    return end_a != end_b ? (end_a > end_b) - (end_a < end_b) : (a > b) - (a < b);
}

static bool each_before_the_other(const struct moot_zones_cluster *a,
                                  const struct moot_zones_cluster *b)
{
    return a->first_end < b->last_call && b->first_end < a->last_call;
}

static struct moot_zones_conflict conflict_between(const struct moot_zones_cluster *a,
                                                   const struct moot_zones_cluster *b)
{
    MOOT_ASSERT(each_before_the_other(a, b));
    return (struct moot_zones_conflict){
        .what = "two values that must each be wholly before the other",
        .a = a->first_ended,
        .b = b->last_called,
        .c = b->first_ended,
        .d = a->last_called,
    };
}

/* The rules for one cluster alone. */
static struct moot_zones_conflict judge_cluster(const struct moot_zones *zones, uint32_t at)
{
    const struct moot_zones_cluster *cluster = &zones->clusters[at];
    struct moot_zones_conflict conflict = {
        .a = cluster->first_ended, .b = NOBODY, .c = NOBODY, .d = NOBODY};
    if (at == zones->clusters_count - 1) {
        return conflict;
    }
    if (cluster->write == NOBODY) {
        conflict.what = "a value that nobody wrote";
    } else if (cluster->first_end < operation_at(zones, cluster->write)->called.ns + 1) {
        conflict.what = "a value read before its write was called";
        conflict.b = cluster->write;
    }
    return conflict;
}

/* Two clusters of which each must come before the other, if there are. */
static struct moot_zones_conflict judge_pairs(const struct moot_zones *zones)
{
    /* Sorted zones that overlap at all overlap next to each other. */
    for (uint32_t i = 1; i < zones->forward_count; i++) {
        const struct moot_zones_cluster *a = &zones->clusters[zones->forward[i - 1]];
        const struct moot_zones_cluster *b = &zones->clusters[zones->forward[i]];
        if (each_before_the_other(a, b)) {
            return conflict_between(a, b);
        }
    }
    /* The forward zones are apart: only the last that begins before a backward one can hold it. */
    for (uint32_t i = 0; i < zones->backward_count; i++) {
        const struct moot_zones_cluster *inner = &zones->clusters[zones->backward[i]];
        uint32_t low = 0, high = zones->forward_count;
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (zones->clusters[zones->forward[middle]].first_end < inner->last_call) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        const struct moot_zones_cluster *outer =
            low == 0 ? NULL : &zones->clusters[zones->forward[low - 1]];
        if (outer != NULL && each_before_the_other(outer, inner)) {
            return conflict_between(outer, inner);
        }
    }
    return (struct moot_zones_conflict){0};
}

static struct moot_zones_conflict judge_prefix(struct moot_zones *zones, uint64_t cut)
{
    measure(zones, cut);
    zones->forward_count = zones->backward_count = 0;
    for (uint32_t i = 0; i < zones->clusters_count; i++) {
        const struct moot_zones_cluster *cluster = &zones->clusters[i];
        if (cluster->members == 0) {
            continue; /* Also the in-doubt write that nobody read: it need not have happened. */
        }
        struct moot_zones_conflict conflict = judge_cluster(zones, i);
        if (conflict.what != NULL) {
            return conflict;
        }
        if (cluster->first_end < cluster->last_call) {
            zones->forward[zones->forward_count++] = i;
        } else {
            zones->backward[zones->backward_count++] = i;
        }
    }
    qsort_r(zones->forward, zones->forward_count, sizeof(*zones->forward), compare_by_first_end,
            zones->clusters);
    struct moot_zones_conflict conflict = judge_pairs(zones);
    if (conflict.what == NULL && zones->has_deletes) {
        moot_zones_collect_absent(zones, cut);
        conflict = moot_zones_judge_absent(zones);
    }
    return conflict;
}

static int compare_u64(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* The least cut whose prefix fails. A prefix of a linearizable history is linearizable, so failing
 * is monotone in the cut, and halving finds it. */
static uint64_t shortest_failing(struct moot_zones *zones)
{
    const struct moot_judged_key *key = zones->key;
    uint64_t *ends = moot_alloc(key->count * sizeof(*ends));
    size_t count = 0;
    for (size_t i = 0; i < key->count; i++) {
        uint64_t end = moot_judged_end(operation_at(zones, key->operations[i]));
        if (end != MOOT_NEVER.ns) {
            ends[count++] = end;
        }
    }
    qsort(ends, count, sizeof(*ends), compare_u64);
    size_t low = 0, high = count - 1; /* The whole is known to fail. */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (judge_prefix(zones, ends[middle]).what != NULL) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    uint64_t cut = ends[low];
    moot_free(ends);
    return cut;
}

static void describe_order(const struct moot_zones *zones, uint32_t before, uint32_t after,
                           struct moot_buffer *words)
{
    moot_buffer_append_text(words, "\n    ");
    if (before == NOBODY) {
        moot_buffer_append_text(words, "the beginning, when it was nil");
    } else {
        moot_operation_describe(operation_at(zones, before), words);
    }
    moot_buffer_append_text(words, "\n      was over before\n    ");
    moot_operation_describe(operation_at(zones, after), words);
}

static void explain(struct moot_zones *zones, struct moot_verdict *verdict)
{
    uint64_t cut = shortest_failing(zones);
    struct moot_zones_conflict conflict = judge_prefix(zones, cut);
    MOOT_ASSERT(conflict.what != NULL);
    for (size_t i = 0; i < zones->key->count; i++) {
        const struct moot_operation *operation = operation_at(zones, zones->key->operations[i]);
        if (moot_judged_end(operation) == cut) {
            verdict->operation = zones->key->operations[i];
        }
    }
    struct moot_buffer *words = &verdict->words;
    moot_operation_describe(operation_at(zones, (uint32_t)verdict->operation), words);
    moot_buffer_append_text(words, "\n  is where the shortest failing prefix ends. It shows ");
    moot_buffer_append_text(words, conflict.what);
    moot_buffer_append_text(words, ":");
    if (conflict.b != NOBODY) {
        describe_order(zones, conflict.a, conflict.b, words);
    }
    if (conflict.d != NOBODY) {
        moot_buffer_append_text(words, "\n  and");
        describe_order(zones, conflict.c, conflict.d, words);
    }
    if (conflict.b == NOBODY) {
        moot_buffer_append_text(words, "\n    ");
        moot_operation_describe(operation_at(zones, conflict.a), words);
    }
    moot_buffer_append_text(words, "\n");
    moot_judged_describe_around(zones->key, verdict->operation, words);
}

bool moot_zones_judge(const struct moot_judged_key *key, struct moot_verdict *verdict)
{
    struct moot_zones zones = {.key = key};
    moot_intern_init(&zones.values);
    zones.cluster_of = moot_alloc(key->count * sizeof(*zones.cluster_of));
    bool decides = find_clusters(&zones);
    if (decides) {
        zones.forward = moot_alloc(zones.clusters_count * sizeof(*zones.forward));
        zones.backward = moot_alloc(zones.clusters_count * sizeof(*zones.backward));
        zones.absent = moot_alloc(key->count * sizeof(*zones.absent));
        verdict->judgement = MOOT_JUDGEMENT_VALID;
        if (judge_prefix(&zones, MOOT_NEVER.ns).what != NULL) {
            verdict->judgement = MOOT_JUDGEMENT_VIOLATION;
            explain(&zones, verdict);
        } else {
            decides = !zones.has_deletes || moot_zones_schedule(&zones);
        }
    }
    moot_free(zones.forward);
    moot_free(zones.backward);
    moot_free(zones.absent);
    moot_free(zones.clusters);
    moot_free(zones.cluster_of);
    moot_intern_deinit(&zones.values);
    return decides;
}
