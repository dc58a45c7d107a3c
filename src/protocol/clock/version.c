/* Version vectors, and the clock of one value. */
#include "moot/version.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"
#include "protocol/clock/version_internal.h"

#include <string.h>

enum { FORMAT = 1 };

void moot_version_init(struct moot_version *version) { *version = (struct moot_version){0}; }

/* Where the actor is, or where it would be. Sixteen at most: a walk is the fastest search. */
static uint32_t place_of(const struct moot_version *version, moot_actor actor)
{
    uint32_t place = 0;
    while (place < version->count && version->dots[place].actor < actor) {
        place++;
    }
    return place;
}

uint64_t moot_version_get(const struct moot_version *version, moot_actor actor)
{
    MOOT_ASSERT(version->count <= MOOT_VERSION_MAX);
    uint32_t place = place_of(version, actor);
    bool known = place < version->count && version->dots[place].actor == actor;
    return known ? version->dots[place].counter : 0;
}

int moot_version_add(struct moot_version *version, struct moot_dot dot)
{
    MOOT_ASSERT(dot.actor != 0);
    MOOT_ASSERT(dot.counter != 0);
    uint32_t place = place_of(version, dot.actor);
    if (place < version->count && version->dots[place].actor == dot.actor) {
        version->dots[place].counter = moot_max_u64(version->dots[place].counter, dot.counter);
        return 0;
    }
    if (version->count == MOOT_VERSION_MAX) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    memmove(version->dots + place + 1, version->dots + place,
            (version->count - place) * sizeof(version->dots[0]));
    version->dots[place] = dot;
    version->count += 1;
    return 0;
}

int moot_version_merge(struct moot_version *into, const struct moot_version *from)
{
    struct moot_version merged = *into;
    for (uint32_t i = 0; i < from->count; i++) {
        int status = moot_version_add(&merged, from->dots[i]);
        if (status != 0) {
            return status;
        }
    }
    *into = merged;
    return 0;
}

static bool has_more(const struct moot_version *a, const struct moot_version *b)
{
    for (uint32_t i = 0; i < a->count; i++) {
        if (!moot_version_has(b, a->dots[i])) {
            return true;
        }
    }
    return false;
}

enum moot_order moot_version_compare(const struct moot_version *a, const struct moot_version *b)
{
    return moot_order_of(has_more(a, b), has_more(b, a));
}

bool moot_version_is_valid(const struct moot_version *version)
{
    if (version->count > MOOT_VERSION_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < version->count; i++) {
        const struct moot_dot *dot = &version->dots[i];
        if (dot->actor == 0 || dot->counter == 0 || dot->counter > VERSION__COUNTER_MAX ||
            (i > 0 && dot->actor <= version->dots[i - 1].actor)) {
            return false;
        }
    }
    return true;
}

static void write_version(struct moot_writer *writer, const struct moot_version *version)
{
    MOOT_ASSERT(moot_version_is_valid(version));
    moot_write_varint(writer, version->count);
    for (uint32_t i = 0; i < version->count; i++) {
        moot_write_varint(writer, version->dots[i].actor);
        moot_write_varint(writer, version->dots[i].counter);
    }
}

static bool read_version(struct moot_reader *reader, struct moot_version *out)
{
    *out = (struct moot_version){0};
    uint64_t count = moot_get_varint(reader);
    if (reader->failed || count > MOOT_VERSION_MAX) {
        return false;
    }
    out->count = (uint32_t)count;
    for (uint32_t i = 0; i < out->count; i++) {
        out->dots[i].actor = moot_get_varint(reader);
        out->dots[i].counter = moot_get_varint(reader);
    }
    return !reader->failed && moot_version_is_valid(out);
}

int moot_version_encode(const struct moot_version *version, uint64_t tag, uint8_t *out, size_t size,
                        size_t *written)
{
    struct moot_writer writer = moot_writer_make(out, size);
    moot_write_u8(&writer, FORMAT);
    moot_write_u64(&writer, tag);
    write_version(&writer, version);
    return version__finish(&writer, out, MOOT_VERSION_BYTES_MAX, written);
}

int moot_version_decode(struct moot_slice bytes, uint64_t tag, struct moot_version *out)
{
    struct moot_reader reader = moot_reader_make(bytes);
    uint8_t format = moot_get_u8(&reader);
    if (!reader.failed && format != FORMAT) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    uint64_t about = moot_get_u64(&reader);
    struct moot_version version;
    if (!read_version(&reader, &version) || moot_reader_left(&reader) > 0) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    if (about != tag) {
        return MOOT_FAIL(MOOT_EREFUSED);
    }
    *out = version;
    return 0;
}

enum moot_order moot_dotted_compare(const struct moot_dotted *a, const struct moot_dotted *b)
{
    if (a->dot.actor == b->dot.actor && a->dot.counter == b->dot.counter) {
        return MOOT_ORDER_EQUAL;
    }
    /* arXiv 1011.5808, section 5.2: one look-up each way. Who has seen the other's dot is later. */
    bool a_saw_b = moot_version_has(&a->context, b->dot);
    bool b_saw_a = moot_version_has(&b->context, a->dot);
    if (a_saw_b && b_saw_a) {
        return MOOT_ORDER_CONCURRENT; /* No run does this; what was received may claim it. */
    }
    return a_saw_b ? MOOT_ORDER_AFTER : (b_saw_a ? MOOT_ORDER_BEFORE : MOOT_ORDER_CONCURRENT);
}

int moot_dotted_encode(const struct moot_dotted *dotted, uint8_t *out, size_t size, size_t *written)
{
    MOOT_ASSERT(dotted->dot.actor != 0);
    MOOT_ASSERT(dotted->dot.counter != 0);
    struct moot_writer writer = moot_writer_make(out, size);
    moot_write_u8(&writer, FORMAT);
    moot_write_varint(&writer, dotted->dot.actor);
    moot_write_varint(&writer, dotted->dot.counter);
    write_version(&writer, &dotted->context);
    return version__finish(&writer, out, MOOT_DOTTED_BYTES_MAX, written);
}

int moot_dotted_decode(struct moot_slice bytes, struct moot_dotted *out)
{
    struct moot_reader reader = moot_reader_make(bytes);
    uint8_t format = moot_get_u8(&reader);
    if (!reader.failed && format != FORMAT) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    struct moot_dotted dotted;
    dotted.dot.actor = moot_get_varint(&reader);
    dotted.dot.counter = moot_get_varint(&reader);
    if (!read_version(&reader, &dotted.context) || moot_reader_left(&reader) > 0 ||
        dotted.dot.actor == 0 || dotted.dot.counter == 0 ||
        dotted.dot.counter > VERSION__COUNTER_MAX ||
        moot_version_has(&dotted.context, dotted.dot)) { /* Nobody has seen his own write before. */
        return MOOT_FAIL(MOOT_EINVALID);
    }
    *out = dotted;
    return 0;
}

int version__finish(const struct moot_writer *writer, const uint8_t *out, size_t max,
                    size_t *written)
{
    if (writer->failed) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    *written = (size_t)(writer->at - out);
    MOOT_ASSERT(*written <= max);
    return 0;
}
