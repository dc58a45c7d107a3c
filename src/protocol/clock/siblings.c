/* Dotted version vector sets: all values of a key under one vector (DAIS 2014, section 5). */
#include "base/assert.h"
#include "base/rule.h"
#include "base/status.h"
#include "protocol/clock/version_internal.h"

#include <string.h>

enum { FORMAT = 1 };

void moot_siblings_init(struct moot_siblings *siblings) { *siblings = (struct moot_siblings){0}; }

/* One actor's part of a set: its counter and its values, newest first. */
struct part {
    moot_actor actor;
    uint64_t counter;
    uint32_t live;
    const uint64_t *values;
};

/* Builds a set actor by actor, in their order. */
struct builder {
    struct moot_siblings out;
    bool full;
};

static void build(struct builder *builder, struct part part)
{
    struct moot_siblings *out = &builder->out;
    if (builder->full || out->actor_count == MOOT_VERSION_MAX ||
        part.live > MOOT_SIBLINGS_MAX - out->value_count) {
        builder->full = true;
        return;
    }
    MOOT_ASSERT(part.live <= part.counter);
    out->actors[out->actor_count++] = (struct moot_siblings_actor){
        .actor = part.actor, .counter = part.counter, .live = part.live};
    if (part.live > 0) {
        memcpy(out->values + out->value_count, part.values, part.live * sizeof(out->values[0]));
    }
    out->value_count += part.live;
}

/* Walks a set; `next` is the part at `at`, with an actor beyond all others at the end. */
struct walk {
    const struct moot_siblings *set;
    uint32_t at;
    uint32_t value_at;
};

static struct part look(const struct walk *walk)
{
    if (walk->at == walk->set->actor_count) {
        return (struct part){.actor = 0};
    }
    const struct moot_siblings_actor *actor = &walk->set->actors[walk->at];
    return (struct part){.actor = actor->actor,
                         .counter = actor->counter,
                         .live = actor->live,
                         .values = walk->set->values + walk->value_at};
}

static struct part take(struct walk *walk)
{
    struct part part = look(walk);
    MOOT_ASSERT(part.actor != 0);
    walk->value_at += part.live;
    walk->at += 1;
    return part;
}

void moot_siblings_context(const struct moot_siblings *siblings, struct moot_version *out)
{
    MOOT_ASSERT(siblings->actor_count <= MOOT_VERSION_MAX);
    *out = (struct moot_version){.count = siblings->actor_count};
    for (uint32_t i = 0; i < siblings->actor_count; i++) {
        out->dots[i] = (struct moot_dot){.actor = siblings->actors[i].actor,
                                         .counter = siblings->actors[i].counter};
    }
}

/* DAIS 2014, `discard`: of writes n, n-1, ... those above m have not been seen. */
static struct part discard(struct part part, uint64_t seen)
{
    uint64_t unseen = part.counter > seen ? part.counter - seen : 0;
    part.live = (uint32_t)moot_min_u64(part.live, unseen);
    part.counter = moot_max_u64(part.counter, seen);
    return part;
}

/* DAIS 2014, `merge` of one actor: from the side that knows more, what the other side has not heard
 * of, and what both still hold. */
static struct part merge(struct part a, struct part b)
{
    MOOT_ASSERT(a.actor == b.actor);
    struct part more = a.counter >= b.counter ? a : b;
    struct part less = a.counter >= b.counter ? b : a;
    uint64_t stands = more.counter - less.counter + less.live;
    more.live = (uint32_t)moot_min_u64(more.live, stands);
    return more;
}

/* `siblings` without what `context` has seen, and with its counters; `actor`, when it is not 0,
 * adds a write of `value`. */
static void update(const struct moot_siblings *siblings, const struct moot_version *context,
                   moot_actor actor, uint64_t value, struct builder *builder)
{
    uint64_t written[MOOT_SIBLINGS_MAX + 1];
    struct walk walk = {.set = siblings};
    uint32_t at = 0;
    bool pending = actor != 0;
    while (true) {
        moot_actor here = look(&walk).actor;
        moot_actor there = at < context->count ? context->dots[at].actor : 0;
        moot_actor next = here == 0 || (there != 0 && there < here) ? there : here;
        if (pending && (next == 0 || actor < next)) {
            next = actor;
        }
        if (next == 0) {
            return;
        }
        struct part part = next == here ? take(&walk) : (struct part){.actor = next};
        uint64_t seen = next == there ? context->dots[at++].counter : 0;
        part = discard(part, seen);
        if (pending && next == actor) { /* `event`: the new dot is the actor's next. */
            pending = false;
            written[0] = value;
            if (part.live > 0) {
                memcpy(written + 1, part.values, part.live * sizeof(written[0]));
            }
            part.counter += 1;
            part.live += 1;
            part.values = written;
        }
        build(builder, part);
    }
}

static uint64_t counter_of(const struct moot_siblings *siblings, moot_actor actor)
{
    for (uint32_t i = 0; i < siblings->actor_count; i++) {
        if (siblings->actors[i].actor == actor) {
            return siblings->actors[i].counter;
        }
    }
    return 0;
}

int moot_siblings_write(struct moot_siblings *siblings, const struct moot_version *context,
                        moot_actor actor, uint64_t value, struct moot_dot *dot)
{
    MOOT_ASSERT(actor != 0);
    MOOT_ASSERT(moot_version_is_valid(context));
    uint64_t own = counter_of(siblings, actor);
    if (own == VERSION__COUNTER_MAX) { /* Only a peer that lies brings an actor there. */
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    if (moot_version_get(context, actor) > own) {
        MOOT_SOMETIMES(true, "a context that claims writes never made was refused");
        return MOOT_FAIL(MOOT_EREFUSED);
    }
    struct builder builder = {0};
    update(siblings, context, actor, value, &builder);
    if (builder.full) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    *siblings = builder.out;
    *dot = (struct moot_dot){.actor = actor, .counter = own + 1};
    MOOT_ASSERT(moot_siblings_is_valid(siblings));
    return 0;
}

int moot_siblings_remove(struct moot_siblings *siblings, const struct moot_version *context)
{
    MOOT_ASSERT(moot_version_is_valid(context));
    struct builder builder = {0};
    update(siblings, context, 0, 0, &builder);
    if (builder.full) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    *siblings = builder.out;
    MOOT_ASSERT(moot_siblings_is_valid(siblings));
    return 0;
}

int moot_siblings_sync(struct moot_siblings *into, const struct moot_siblings *from)
{
    struct builder builder = {0};
    struct walk a = {.set = into};
    struct walk b = {.set = from};
    while (look(&a).actor != 0 || look(&b).actor != 0) {
        moot_actor mine = look(&a).actor;
        moot_actor theirs = look(&b).actor;
        if (mine == theirs) {
            struct part part = take(&a);
            build(&builder, merge(part, take(&b)));
        } else if (theirs == 0 || (mine != 0 && mine < theirs)) {
            build(&builder, take(&a));
        } else {
            build(&builder, take(&b));
        }
    }
    if (builder.full) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    *into = builder.out;
    MOOT_ASSERT(moot_siblings_is_valid(into));
    return 0;
}

bool moot_siblings_retire(struct moot_siblings *siblings, moot_actor actor)
{
    for (uint32_t i = 0; i < siblings->actor_count; i++) {
        if (siblings->actors[i].actor == actor) {
            if (siblings->actors[i].live > 0) {
                return false;
            }
            siblings->actor_count -= 1;
            memmove(siblings->actors + i, siblings->actors + i + 1,
                    (siblings->actor_count - i) * sizeof(siblings->actors[0]));
            siblings->actors[siblings->actor_count] = (struct moot_siblings_actor){0};
            return true;
        }
    }
    return false;
}

struct moot_dot moot_siblings_dot(const struct moot_siblings *siblings, uint32_t place)
{
    MOOT_ASSERT(place < siblings->value_count);
    struct walk walk = {.set = siblings};
    while (true) {
        uint32_t first = walk.value_at;
        struct part part = take(&walk);
        if (place < walk.value_at) {
            return (struct moot_dot){.actor = part.actor,
                                     .counter = part.counter - (place - first)};
        }
    }
}

bool moot_siblings_equal(const struct moot_siblings *a, const struct moot_siblings *b)
{
    if (a->actor_count != b->actor_count || a->value_count != b->value_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->actor_count; i++) {
        const struct moot_siblings_actor *one = &a->actors[i];
        const struct moot_siblings_actor *two = &b->actors[i];
        if (one->actor != two->actor || one->counter != two->counter || one->live != two->live) {
            return false;
        }
    }
    return memcmp(a->values, b->values, a->value_count * sizeof(a->values[0])) == 0;
}

bool moot_siblings_is_valid(const struct moot_siblings *siblings)
{
    if (siblings->actor_count > MOOT_VERSION_MAX || siblings->value_count > MOOT_SIBLINGS_MAX) {
        return false;
    }
    uint64_t values = 0;
    for (uint32_t i = 0; i < siblings->actor_count; i++) {
        const struct moot_siblings_actor *actor = &siblings->actors[i];
        if (actor->actor == 0 || actor->counter == 0 || actor->counter > VERSION__COUNTER_MAX ||
            actor->live > actor->counter ||
            (i > 0 && actor->actor <= siblings->actors[i - 1].actor)) {
            return false;
        }
        values += actor->live;
    }
    return values == siblings->value_count;
}

int moot_siblings_encode(const struct moot_siblings *siblings, uint8_t *out, size_t size,
                         size_t *written)
{
    MOOT_ASSERT(moot_siblings_is_valid(siblings));
    struct moot_writer writer = moot_writer_make(out, size);
    moot_write_u8(&writer, FORMAT);
    moot_write_varint(&writer, siblings->actor_count);
    for (uint32_t i = 0; i < siblings->actor_count; i++) {
        moot_write_varint(&writer, siblings->actors[i].actor);
        moot_write_varint(&writer, siblings->actors[i].counter);
        moot_write_varint(&writer, siblings->actors[i].live);
    }
    for (uint32_t i = 0; i < siblings->value_count; i++) {
        moot_write_u64(&writer, siblings->values[i]);
    }
    return version__finish(&writer, out, MOOT_SIBLINGS_BYTES_MAX, written);
}

int moot_siblings_decode(struct moot_slice bytes, struct moot_siblings *out)
{
    struct moot_reader reader = moot_reader_make(bytes);
    uint8_t format = moot_get_u8(&reader);
    if (!reader.failed && format != FORMAT) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    struct moot_siblings set = {0};
    uint64_t count = moot_get_varint(&reader);
    if (reader.failed || count > MOOT_VERSION_MAX) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    set.actor_count = (uint32_t)count;
    for (uint32_t i = 0; i < set.actor_count; i++) {
        set.actors[i].actor = moot_get_varint(&reader);
        set.actors[i].counter = moot_get_varint(&reader);
        uint64_t live = moot_get_varint(&reader);
        if (live > MOOT_SIBLINGS_MAX - set.value_count) {
            return MOOT_FAIL(MOOT_EINVALID);
        }
        set.actors[i].live = (uint32_t)live;
        set.value_count += set.actors[i].live;
    }
    for (uint32_t i = 0; i < set.value_count; i++) {
        set.values[i] = moot_get_u64(&reader);
    }
    if (reader.failed || moot_reader_left(&reader) > 0 || !moot_siblings_is_valid(&set)) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    *out = set;
    return 0;
}
