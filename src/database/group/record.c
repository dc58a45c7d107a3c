/* The group's record in the store, and its edge streams: written in one batch with the data they
 * describe, so that after a crash the store says exactly which entries it contains. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"
#include "database/group/entry.h"
#include "database/group/group.h"

enum { RECORD_VERSION = GROUP_RECORD_VERSION, KIND_STREAM = 's' };

struct moot_contents group__contents(const struct moot_group *group)
{
    return (struct moot_contents){group->applied, group->chain,
                                  moot_engine_shared(group->engine)->contents_digest};
}

void group__record_put(struct moot_group *group, struct moot_batch *batch)
{
    struct moot_buffer *out = &group->scratch;
    moot_buffer_reset(out, 4096);
    moot_put_u8(out, RECORD_VERSION);
    moot_put_u64(out, group->applied);
    moot_put_u64(out, group->applied_term);
    moot_put_u64(out, group->applied_stamp);
    moot_put_u64(out, group->chain);
    moot_put_u32(out, group->feature_level);
    moot_members_encode(&group->applied_members, out);
    struct moot_slice key = moot_key_group(&group->context->outbox->arena, group->id,
                                           GROUP_KIND_RECORD, (struct moot_slice){NULL, 0});
    moot_batch_put(batch, key, moot_buffer_slice(out));
}

void group__streams_put(struct moot_group *group, const struct moot_stream *stream)
{
    uint8_t node[4];
    moot_store_be32(node, stream->edge);
    uint8_t value[17];
    value[0] = RECORD_VERSION;
    moot_store_le64(value + 1, stream->incarnation);
    moot_store_le64(value + 9, stream->executed);
    struct moot_slice key = moot_key_group(&group->context->outbox->arena, group->id, KIND_STREAM,
                                           moot_slice_make(node, sizeof(node)));
    struct moot_view *view = moot_engine_view(group->engine);
    moot_view_budget(view, UINT64_MAX);
    int status = moot_view_put(view, key, moot_slice_make(value, sizeof(value)));
    MOOT_ASSERT(status == 0);
}

/* At open and after an install there is no turn to come back to: what is not in memory is fetched
 * on the spot. */
int group__get_now(struct moot_store *store, struct moot_slice key, struct moot_arena *arena,
                   struct moot_slice *value)
{
    int status;
    while ((status = store->ops->get(store, key, arena, value)) == MOOT_EWOULDBLOCK) {
        int fetched = store->ops->fetch(store, key);
        if (fetched != 0 && fetched != MOOT_ENOTFOUND) {
            return fetched;
        }
    }
    return status;
}

static int decode_record(struct moot_group *group, struct moot_slice bytes)
{
    struct moot_reader reader = moot_reader_make(bytes);
    if (moot_get_u8(&reader) != RECORD_VERSION) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    group->applied = moot_get_u64(&reader);
    group->applied_term = moot_get_u64(&reader);
    group->applied_stamp = moot_get_u64(&reader);
    group->chain = moot_get_u64(&reader);
    group->feature_level = moot_get_u32(&reader);
    if (!moot_members_decode(&reader, &group->applied_members) || reader.failed) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    return group__knows_level(group, group->feature_level) ? 0 : MOOT_FAIL(MOOT_EVERSION);
}

static int decode_stream(struct moot_group *group, struct moot_slice key, struct moot_slice value,
                         size_t prefix)
{
    if (key.size != prefix + 4 || value.size != 17 || value.data[0] != RECORD_VERSION) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    struct moot_stream *stream = group__stream(group, moot_load_be32(key.data + prefix));
    stream->incarnation = moot_load_le64(value.data + 1);
    stream->executed = moot_load_le64(value.data + 9);
    return 0;
}

/* One pass over the streams; MOOT_EWOULDBLOCK when part of them was not in memory. */
static int load_streams(struct moot_group *group, struct moot_range range, size_t prefix)
{
    struct moot_store *store = group->context->store;
    struct moot_store_iterator *iterator;
    int status = store->ops->iterate(store, NULL, range, false, &iterator);
    if (status != 0) {
        return status;
    }
    struct moot_slice key, value;
    while ((status = store->ops->entry(iterator, &key, &value)) == 0) {
        status = decode_stream(group, key, value, prefix);
        if (status == 0) {
            status = store->ops->next(iterator);
        }
        if (status != 0) {
            break;
        }
    }
    store->ops->iterate_end(iterator);
    return status == MOOT_ENOTFOUND ? 0 : status;
}

int group__record_load(struct moot_group *group, const struct moot_members *initial)
{
    struct moot_store *store = group->context->store;
    struct moot_arena *arena = &group->arena;
    struct moot_slice none = {NULL, 0}, value;
    group->applied = 0;
    group->applied_term = 0;
    group->applied_stamp = 0;
    group->chain = 0;
    group->feature_level = 0;
    group->applied_members = *initial;
    group->stream_count = 0;
    int status = group__get_now(store, moot_key_group(arena, group->id, GROUP_KIND_RECORD, none),
                                arena, &value);
    if (status == 0) {
        status = decode_record(group, value);
    } else if (status == MOOT_ENOTFOUND) {
        status = 0;
    }
    if (status != 0) {
        return status;
    }
    struct moot_slice prefix = moot_key_group(arena, group->id, KIND_STREAM, none);
    struct moot_range range = moot_key_prefix_range(arena, prefix);
    uint32_t limit = MOOT_NODES_MAX; /* There is one for each node that ever wrote. */
    while ((status = load_streams(group, range, prefix.size)) == MOOT_EWOULDBLOCK) {
        status = store->ops->fetch_range(store, range, false, limit);
        if (status != 0) {
            return status;
        }
        limit = limit <= MOOT_NODE_ID_MAX ? 2 * limit : limit;
    }
    return status;
}
