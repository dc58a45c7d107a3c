/* A store that failed its checksum, and a replica that begins again without one.
 *
 * The journal is sound: term, vote and the end of the log are what they were. What is lost is the
 * state machine, and with it all that the journal has let go of. So the replica may not simply go
 * on: it would elect, or acknowledge to, a leader by a log that it does not have. It is fenced
 * until it hears that another one leads, which therefore has all that was committed; then the node
 * stops, its store is set aside, and it begins again with an empty one as a replica whose log is
 * impaired: no votes and no acknowledgements before a leader has brought it as far as it may ever
 * have acknowledged (protocol/raft, DESIGN 8). That it is in this state is a record in the new
 * store, made durable before anything else, and removed when what mended it is durable. The store
 * is flushed then: should all lose power before one comes by itself, several that were mended long
 * ago would all be in this state again, and none of them could vote.
 *
 * Nothing is destroyed by itself: the rotten store stays beside the new one, for who has no other
 * copy. A group with one voter never hears another leader: it stays fenced. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"
#include "database/group/group.h"

enum { KIND_LOST = 'w', LOST_BYTES = 8 };

static struct moot_slice lost_key(struct moot_arena *arena, moot_group_id id)
{
    return moot_key_group(arena, id, KIND_LOST, (struct moot_slice){NULL, 0});
}

static void put_lost(struct moot_batch *batch, struct moot_arena *arena, moot_group_id id,
                     moot_index until)
{
    uint8_t value[LOST_BYTES];
    moot_store_le64(value, until);
    moot_batch_put(batch, lost_key(arena, id), moot_slice_make(value, sizeof(value)));
}

/* ---- finding it rotten ---- */

void group__rot(struct moot_group *group, const char *why)
{
    bool was_fenced = group->fenced;
    group__fence(group, why);
    if (!was_fenced) {
        MOOT_SOMETIMES(true, "a store failed its checksum");
        group->rotten = true;
        moot_outbox_log(group->context->outbox, MOOT_LOG_ERROR,
                        moot_slice_text("once another replica is heard to lead, this node begins "
                                        "again with an empty store, installed from that one"));
    }
}

void group__heard_while_fenced(struct moot_group *group, moot_node_id from,
                               const struct moot_message *message)
{
    MOOT_ASSERT(group->fenced);
    const struct moot_raft_message *raft = &message->raft.message;
    bool leads = message->kind == MOOT_MESSAGE_RAFT && raft->kind == MOOT_RAFT_APPEND &&
                 raft->from == from && raft->term >= group->term && from != group->context->self;
    group->others_lead = group->others_lead || leads;
}

/* ---- beginning again ---- */

int moot_group_store_is_lost(struct moot_store *store, const struct moot_group_restore *restores,
                             moot_group_id count)
{
    struct moot_batch batch;
    struct moot_arena arena;
    moot_batch_init(&batch);
    moot_arena_init(&arena);
    for (moot_group_id id = 0; id < count; id++) {
        /* Not known when the journal holds no entry any more: the core has a way for that. */
        put_lost(&batch, &arena, id, restores[id].highest > 0 ? restores[id].highest : UINT64_MAX);
    }
    int status = store->ops->write(store, &batch);
    if (status == 0) {
        status = store->ops->flush(store);
    }
    moot_batch_deinit(&batch);
    moot_arena_deinit(&arena);
    return status;
}

int group__lost_load(struct moot_group *group, struct moot_group_restore *restore)
{
    struct moot_slice value;
    int status = group__get_now(group->context->store, lost_key(&group->arena, group->id),
                                &group->arena, &value);
    if (status == MOOT_ENOTFOUND) {
        return 0;
    }
    if (status == 0 && value.size != LOST_BYTES) {
        status = MOOT_FAIL(MOOT_ECORRUPT);
    }
    if (status != 0) {
        return status;
    }
    moot_index until = moot_max_u64(moot_load_le64(value.data), restore->highest);
    group->store_lost = true;
    moot_batch_reset(&group->lost_again);
    put_lost(&group->lost_again, &group->arena, group->id, until);
    bool is_safe = false; /* Its log may lack what it acknowledged. */
    if (!MOOT_RULE(lost_store_is_impaired, is_safe)) {
        restore->impaired_until =
            restore->impaired ? moot_max_u64(restore->impaired_until, until) : until;
        restore->impaired = true;
    }
    MOOT_SOMETIMES(true, "a replica began again with an empty store");
    return 0;
}

/* With a snapshot that is installed before it is mended the record would go. */
const struct moot_batch *group__lost_again(struct moot_group *group)
{
    return group->store_lost ? &group->lost_again : NULL;
}

void group__lost_tick(struct moot_group *group)
{
    if (!group->store_lost || group->fenced) {
        return;
    }
    struct moot_raft_status raft;
    moot_raft_status(group->raft, &raft);
    if (raft.impaired || group->install.active) {
        group->mended = 0;
        return;
    }
    struct moot_outbox *outbox = group->context->outbox;
    if (group->mended == 0) {
        group->mended = outbox->recorded;
    }
    if (outbox->durable < group->mended) {
        return;
    }
    group->store_lost = false;
    group->mended_unflushed = true;
    moot_batch_delete(&outbox->batch, lost_key(&outbox->arena, group->id));
    group__log(group, MOOT_LOG_INFO,
               "the replica is whole again: its store was lost, and was filled "
               "from another; it votes again from index ",
               group->applied, NULL, 0);
}
