/* Garbage: ranges of keys that nobody will read or write again, the elements of a dead incarnation
 * or a keyspace that was flushed. Deleting a range costs the store a step for each key in it
 * (docs/decisions/no-range-tombstones.md), and whoever deletes a million fields must not stop the
 * turns of all replicas. So the range is noted, and each later run removes a piece of it. All of it
 * is part of the log's execution: every replica removes the same piece at the same place.
 *
 * A record: group, 'g', the range's first key -> its end. What is left of a range is noted anew
 * under the first key that is left, so that no run walks over what another removed. */
#include "base/assert.h"
#include "base/rule.h"
#include "base/status.h"
#include "database/command/command.h"

enum { RECORD_GARBAGE = 'g', RECORD_PREFIX = 6, RECORDS_A_RUN = 8 };

static struct moot_slice record_key(struct moot_call *call, struct moot_slice from)
{
    return moot_key_group(call->arena, call->shared->group, RECORD_GARBAGE, from);
}

/* One range may begin where another does, which lies within it (a list that was removed, in a
 * keyspace that was flushed then): they are one from there on, as far as the longer goes. */
static int note(struct moot_call *call, struct moot_range range)
{
    struct moot_slice key = record_key(call, range.from), end;
    int status = moot_view_get(call->view, MOOT_WHEN_NOW, key, &end);
    if (status != MOOT_OK && status != MOOT_ENOTFOUND) {
        return status;
    }
    MOOT_SOMETIMES(status == MOOT_OK, "garbage begins where other garbage does");
    call->shared->garbage_count += status == MOOT_ENOTFOUND;
    bool is_longer = status == MOOT_OK && moot_slice_compare(end, range.to) > 0;
    return is_longer ? MOOT_OK : moot_view_put(call->view, key, range.to);
}

int moot_garbage_add(struct moot_call *call, struct moot_range range)
{
    MOOT_ASSERT(!call->is_read);
    MOOT_SOMETIMES(true, "a range was left to be collected");
    return note(call, range);
}

int moot_garbage_has(struct moot_call *call, moot_keyspace keyspace, bool *has)
{
    static const uint8_t kinds[] = {MOOT_KEY_DATA, MOOT_KEY_EXPIRY, MOOT_KEY_KEYSPACE};
    *has = false;
    for (size_t i = 0; i < MOOT_ARRAY_LEN(kinds) && call->shared->garbage_count > 0; i++) {
        struct moot_slice prefix = moot_key_keyspace_range(call->arena, kinds[i], keyspace).from;
        struct moot_view_iterator iterator;
        struct moot_slice key, value;
        int status = moot_view_iterate(call->view, MOOT_WHEN_NOW,
                                       moot_key_prefix_range(call->arena, record_key(call, prefix)),
                                       false, &iterator);
        status = status == MOOT_OK ? moot_view_next(&iterator, &key, &value) : status;
        moot_view_iterate_end(&iterator);
        if (status != MOOT_ENOTFOUND) {
            *has = true;
            return status;
        }
    }
    return MOOT_OK;
}

/* A walk over a dead range, which may cover pieces of others that were removed a moment ago:
 * whether the store still shows them depends on when this replica flushed last, so they do not
 * count. */
struct walk {
    struct moot_call *call;
    uint64_t *left;
    bool any, meets_removed;
    struct moot_slice rest; /* The first key that is left, empty when none is. */
};

/* As far as the end, the first key that is left, or a removed piece: *skip is where that ends. */
static int walk_on(struct walk *walk, struct moot_range range, struct moot_slice *skip)
{
    struct moot_view_iterator iterator;
    struct moot_slice key, value;
    struct moot_view *view = walk->call->view;
    *skip = (struct moot_slice){NULL, 0};
    int status = moot_view_iterate(view, MOOT_WHEN_NOW, range, false, &iterator);
    while (status == MOOT_OK && (status = moot_view_next(&iterator, &key, &value)) == MOOT_OK) {
        const struct moot_slice *removed =
            walk->meets_removed ? moot_view_deleted(view, key) : NULL;
        if (!MOOT_RULE(garbage_removed_is_not_counted, removed == NULL)) {
            MOOT_SOMETIMES(true, "garbage was walked over that was removed, but not flushed");
            *skip = moot_arena_copy(walk->call->arena, *removed);
            break;
        }
        if (*walk->left == 0) {
            walk->rest = moot_arena_copy(walk->call->arena, key);
            break;
        }
        (*walk->left)--;
        walk->any = true;
    }
    moot_view_iterate_end(&iterator);
    return status == MOOT_ENOTFOUND ? MOOT_OK : status;
}

/* Walks over up to *left keys of the range. */
static int walk_range(struct walk *walk, struct moot_range range)
{
    struct moot_slice skip = range.from;
    walk->meets_removed = moot_view_meets_deleted(walk->call->view, range);
    int status = MOOT_OK;
    while (status == MOOT_OK && skip.size > 0 && moot_slice_compare(skip, range.to) < 0) {
        range.from = skip;
        status = walk_on(walk, range, &skip);
    }
    return status;
}

/* Removes a piece of one range, and notes what is left. */
static int collect_range(struct moot_call *call, struct moot_range range, uint64_t *left)
{
    struct walk walk = {.call = call, .left = left};
    int status = walk_range(&walk, range);
    struct moot_slice rest = walk.rest;
    if (status == MOOT_OK && walk.any) {
        status = moot_view_delete_range(call->view, range.from, rest.size > 0 ? rest : range.to);
    }
    if (status == MOOT_OK && (walk.any || rest.size == 0)) {
        status = moot_view_delete(call->view, record_key(call, range.from));
        call->shared->garbage_count--;
        if (status == MOOT_OK && rest.size > 0) {
            return note(call, (struct moot_range){rest, range.to});
        }
    }
    return status;
}

int moot_garbage_collect(struct moot_call *call, uint64_t left)
{
    if (call->shared->garbage_count == 0) {
        return MOOT_OK;
    }
    struct moot_range ranges[RECORDS_A_RUN];
    uint32_t count = 0;
    struct moot_view_iterator iterator;
    struct moot_slice key, value;
    struct moot_range records =
        moot_key_prefix_range(call->arena, record_key(call, (struct moot_slice){NULL, 0}));
    int status = moot_view_iterate(call->view, MOOT_WHEN_NOW, records, false, &iterator);
    while (status == MOOT_OK && count < RECORDS_A_RUN) {
        status = moot_view_next(&iterator, &key, &value);
        if (status == MOOT_OK) {
            MOOT_ASSERT(key.size > RECORD_PREFIX);
            struct moot_slice from = {key.data + RECORD_PREFIX, key.size - RECORD_PREFIX};
            ranges[count++] = (struct moot_range){moot_arena_copy(call->arena, from),
                                                  moot_arena_copy(call->arena, value)};
        }
    }
    moot_view_iterate_end(&iterator);
    if (status != MOOT_OK && status != MOOT_ENOTFOUND) {
        return status;
    }
    status = count == 0 ? MOOT_FAIL(MOOT_ECORRUPT) : MOOT_OK; /* The count says there is some. */
    for (uint32_t i = 0; i < count && left > 0 && status == MOOT_OK; i++) {
        status = collect_range(call, ranges[i], &left);
    }
    return status;
}
