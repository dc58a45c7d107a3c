/* What a step says: effects, in the order in which the driver performs them. */
#include "base/assert.h"
#include "protocol/raft/raft.h"

#include <string.h>

void raft__trace(struct moot_raft *raft, uint16_t kind, const uint64_t *fields)
{
    MOOT_ASSERT(kind < MOOT_RAFT_TRACE_KINDS);
    if (raft->out == NULL || raft->out->count >= RAFT_EFFECTS_FOR_TRACE) {
        return; /* Traces explain; they never crowd out what they explain. */
    }
    struct moot_raft_effect *effect = raft__effect(raft, MOOT_RAFT_EFFECT_TRACE);
    effect->trace.kind = kind;
    memcpy(effect->trace.field, fields, sizeof(effect->trace.field));
}

struct moot_raft_effect *raft__effect(struct moot_raft *raft, enum moot_raft_effect_kind kind)
{
    MOOT_ASSERT(raft->out != NULL);
    MOOT_ASSERT(raft->out->count < MOOT_RAFT_EFFECTS_MAX);
    struct moot_raft_effect *effect = &raft->out->items[raft->out->count++];
    memset(effect, 0, sizeof(*effect));
    effect->kind = kind;
    return effect;
}

bool raft__has_room_for_bulk(const struct moot_raft *raft)
{
    return raft->out->count < RAFT_EFFECTS_FOR_BULK;
}

/* Paper figure 2: term and vote are on disk before any answer that depends on them. The journal
 * keeps order, so this goes before the entries and the messages of the same step. */
void raft__flush_hard_state(struct moot_raft *raft)
{
    if (!raft->hard_state_dirty) {
        return;
    }
    raft->hard_state_dirty = false;
    struct moot_raft_effect *effect = raft__effect(raft, MOOT_RAFT_EFFECT_HARD_STATE);
    effect->hard_state.term = raft->term;
    effect->hard_state.vote = raft->vote;
}

struct moot_raft_message *raft__send(struct moot_raft *raft, enum moot_raft_message_kind kind,
                                     moot_node_id to, bool after_durable, bool urgent)
{
    MOOT_ASSERT(to != 0);
    MOOT_ASSERT(to != raft->options.self);
    raft__flush_hard_state(raft);
    struct moot_raft_effect *effect = raft__effect(raft, MOOT_RAFT_EFFECT_SEND);
    effect->after_durable = after_durable;
    effect->urgent = urgent;
    effect->message.kind = kind;
    effect->message.from = raft->options.self;
    effect->message.to = to;
    effect->message.term = raft->term;
    effect->message.wall_ms = raft->wall_ms;
    return &effect->message;
}

void raft__effect_state(struct moot_raft *raft)
{
    struct moot_raft_effect *effect = raft__effect(raft, MOOT_RAFT_EFFECT_STATE);
    effect->state.role = raft->role;
    effect->state.term = raft->term;
    effect->state.leader = raft->leader;
}
