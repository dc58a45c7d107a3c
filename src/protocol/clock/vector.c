/* One counter a node, sorted by node; what goes when there is no room. */
#include "moot/vector.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/rule.h"
#include "base/status.h"

#include <string.h>

enum { FORMAT = 1 };
/* A list from outside may not come near the end of the numbers: the owner still has to count. */
static const uint64_t RECEIVED_MAX = UINT64_MAX >> 1;

void moot_vector_init(struct moot_vector *vector) { *vector = (struct moot_vector){0}; }

/* Where the node's entry is, or where it would be. */
static uint32_t place_of(const struct moot_vector *vector, moot_node_id node)
{
    uint32_t low = 0;
    uint32_t high = vector->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (vector->entries[middle].node < node) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_at(const struct moot_vector *vector, uint32_t place, moot_node_id node)
{
    return place < vector->count && vector->entries[place].node == node;
}

uint64_t moot_vector_get(const struct moot_vector *vector, moot_node_id node)
{
    uint32_t place = place_of(vector, node);
    return is_at(vector, place, node) ? vector->entries[place].counter : 0;
}

/* Never 0, so that 0 says "nothing was dropped". */
static uint64_t not_zero(uint64_t hash) { return hash == 0 ? 1 : hash; }

/* The entry that has been still for the longest goes; ties: the lower node, which comes first.
 * `sorted` has one entry more than a vector holds. */
static uint32_t stillest(const struct moot_vector_entry *sorted, uint32_t count, moot_node_id self)
{
    uint32_t found = count;
    for (uint32_t i = 0; i < count; i++) {
        if (sorted[i].node != self && (found == count || sorted[i].seen < sorted[found].seen)) {
            found = i;
        }
    }
    MOOT_ASSERT(found < count);
    return found;
}

static uint64_t hash_dropped(uint64_t pruned, const struct moot_vector_entry *entry)
{
    return not_zero(moot_hash_mix(moot_hash_mix(pruned, entry->node), entry->counter));
}

/* Keeps what fits of a sorted list that may be too long; returns how many went. */
static uint32_t keep(struct moot_vector *vector, struct moot_vector_entry *sorted, uint32_t count,
                     moot_node_id self)
{
    uint32_t dropped = 0;
    while (count > MOOT_VECTOR_MAX) {
        uint32_t at = stillest(sorted, count, self);
        vector->pruned = hash_dropped(vector->pruned, &sorted[at]);
        memmove(sorted + at, sorted + at + 1, (count - at - 1) * sizeof(*sorted));
        count -= 1;
        dropped += 1;
    }
    MOOT_SOMETIMES(dropped > 0, "a vector clock had no room and dropped an entry");
    memcpy(vector->entries, sorted, count * sizeof(*sorted));
    vector->count = count;
    return dropped;
}

uint32_t moot_vector_tick(struct moot_vector *vector, moot_node_id node, uint32_t now)
{
    MOOT_ASSERT(node != 0);
    uint32_t place = place_of(vector, node);
    if (is_at(vector, place, node)) {
        struct moot_vector_entry *entry = &vector->entries[place];
        MOOT_ASSERT(entry->counter < UINT64_MAX);
        entry->counter += 1;
        entry->seen = now > entry->seen ? now : entry->seen;
        return 0;
    }
    struct moot_vector_entry sorted[MOOT_VECTOR_MAX + 1];
    memcpy(sorted, vector->entries, place * sizeof(*sorted));
    sorted[place] = (struct moot_vector_entry){.counter = 1, .node = node, .seen = now};
    memcpy(sorted + place + 1, vector->entries + place, (vector->count - place) * sizeof(*sorted));
    return keep(vector, sorted, vector->count + 1, node);
}

static struct moot_vector_entry greater_of(const struct moot_vector_entry *a,
                                           const struct moot_vector_entry *b)
{
    MOOT_ASSERT(a->node == b->node);
    struct moot_vector_entry greater = a->counter >= b->counter ? *a : *b;
    if (a->counter == b->counter && b->seen > a->seen) {
        greater.seen = b->seen;
    }
    return greater;
}

/* What two shortened lists have lost together. The same loss stays the same; two different ones
 * become a third, whichever of them is named first. */
static uint64_t merge_pruned(uint64_t a, uint64_t b)
{
    if (a == b || b == 0) {
        return a;
    }
    return a == 0 ? b : not_zero(moot_hash_mix(moot_min_u64(a, b), moot_max_u64(a, b)));
}

uint32_t moot_vector_merge(struct moot_vector *into, const struct moot_vector *from,
                           moot_node_id self)
{
    MOOT_ASSERT(into->count <= MOOT_VECTOR_MAX);
    MOOT_ASSERT(from->count <= MOOT_VECTOR_MAX);
    struct moot_vector_entry sorted[2 * MOOT_VECTOR_MAX];
    uint32_t count = 0;
    uint32_t a = 0;
    uint32_t b = 0;
    while (a < into->count || b < from->count) {
        if (b == from->count ||
            (a < into->count && into->entries[a].node < from->entries[b].node)) {
            sorted[count++] = into->entries[a++];
        } else if (a == into->count || into->entries[a].node > from->entries[b].node) {
            sorted[count++] = from->entries[b++];
        } else {
            sorted[count++] = greater_of(&into->entries[a++], &from->entries[b++]);
        }
    }
    into->pruned = merge_pruned(into->pruned, from->pruned);
    return keep(into, sorted, count, self);
}

/* Does `a` know an event that `b` does not, by what is listed? */
static bool has_more(const struct moot_vector *a, const struct moot_vector *b)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        while (at < b->count && b->entries[at].node < a->entries[i].node) {
            at++;
        }
        bool known = is_at(b, at, a->entries[i].node);
        if (a->entries[i].counter > (known ? b->entries[at].counter : 0)) {
            return true;
        }
    }
    return false;
}

enum moot_order moot_vector_compare(const struct moot_vector *a, const struct moot_vector *b)
{
    MOOT_ASSERT(a->count <= MOOT_VECTOR_MAX);
    MOOT_ASSERT(b->count <= MOOT_VECTOR_MAX);
    /* What was dropped is taken to be news to the other side, unless the other dropped the same. */
    bool alike = a->pruned == b->pruned;
    return moot_order_of((!alike && a->pruned != 0) || has_more(a, b),
                         (!alike && b->pruned != 0) || has_more(b, a));
}

bool moot_vector_is_valid(const struct moot_vector *vector)
{
    if (vector->count > MOOT_VECTOR_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < vector->count; i++) {
        const struct moot_vector_entry *entry = &vector->entries[i];
        if (entry->counter == 0 || entry->node == 0 ||
            (i > 0 && entry->node <= vector->entries[i - 1].node)) {
            return false;
        }
    }
    return true;
}

int moot_vector_encode(const struct moot_vector *vector, uint8_t *out, size_t size, size_t *written)
{
    MOOT_ASSERT(moot_vector_is_valid(vector));
    struct moot_writer writer = moot_writer_make(out, size);
    moot_write_u8(&writer, FORMAT);
    moot_write_u64(&writer, vector->pruned);
    moot_write_varint(&writer, vector->count);
    for (uint32_t i = 0; i < vector->count; i++) {
        moot_write_varint(&writer, vector->entries[i].node);
        moot_write_varint(&writer, vector->entries[i].counter);
        moot_write_varint(&writer, vector->entries[i].seen);
    }
    if (writer.failed) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    *written = (size_t)(writer.at - out);
    MOOT_ASSERT(*written <= MOOT_VECTOR_BYTES_MAX);
    return 0;
}

int moot_vector_decode(struct moot_slice bytes, struct moot_vector *out)
{
    struct moot_reader reader = moot_reader_make(bytes);
    uint8_t format = moot_get_u8(&reader);
    if (!reader.failed && format != FORMAT) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    struct moot_vector vector = {0};
    vector.pruned = moot_get_u64(&reader);
    uint64_t count = moot_get_varint(&reader);
    if (reader.failed || count > MOOT_VECTOR_MAX) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    vector.count = (uint32_t)count;
    for (uint32_t i = 0; i < vector.count; i++) {
        uint64_t node = moot_get_varint(&reader);
        vector.entries[i].counter = moot_get_varint(&reader);
        uint64_t seen = moot_get_varint(&reader);
        if (node > UINT32_MAX || seen > UINT32_MAX || vector.entries[i].counter > RECEIVED_MAX) {
            return MOOT_FAIL(MOOT_EINVALID);
        }
        vector.entries[i].node = (moot_node_id)node;
        vector.entries[i].seen = (uint32_t)seen;
    }
    if (reader.failed || moot_reader_left(&reader) > 0 || !moot_vector_is_valid(&vector)) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    *out = vector;
    return 0;
}
