/* Snapshots and compaction (paper section 7; thesis chapter 5). Their bytes travel by the driver;
 * here is only what they do to the log. */
#include "base/assert.h"
#include "base/rule.h"
#include "base/status.h"
#include "protocol/raft/raft.h"

static void answer(struct moot_raft *raft, moot_node_id to, uint64_t session, moot_index index)
{
    struct moot_raft_message *reply = raft__send(raft, MOOT_RAFT_SNAPSHOT_REPLY, to, true, false);
    reply->session = session;
    reply->snapshot_reply.installed = true;
    reply->snapshot_reply.index = index;
}

void raft__on_snapshot(struct moot_raft *raft, const struct moot_raft_message *message)
{
    if (message->term < raft->term) {
        struct moot_raft_message *reply =
            raft__send(raft, MOOT_RAFT_SNAPSHOT_REPLY, message->from, true, false);
        reply->session = message->session; /* Refused; the term says why. */
        return;
    }
    MOOT_ASSERT(raft->leader == message->from);
    raft__heard_leader(raft, message->from);
    moot_index index = message->snapshot.index;
    moot_term own_term = 0;
    if (!MOOT_RULE(raft_snapshot_not_below_commit, index > raft->commit)) {
        RAFT_TRACE(raft, SNAPSHOT_OLD, message->from, index, raft->commit);
        answer(raft, message->from, message->session, index);
        return;
    }
    if (!raft->impaired && raft__log_term(raft, index, &own_term) &&
        own_term == message->snapshot.index_term) {
        /* The log reaches it and agrees, so all of it up to there is what is committed. */
        RAFT_TRACE(raft, SNAPSHOT_IN_LOG, message->from, index, own_term);
        raft__set_commit(raft, index);
        answer(raft, message->from, message->session, index);
        return;
    }
    RAFT_TRACE(raft, SNAPSHOT_OFFERED, message->from, index, message->snapshot.index_term,
               raft->commit);
    raft->offer_from = message->from;
    raft->offer_session = message->session;
    raft->offer_index = index;
    raft->offer_term = message->term;
    struct moot_raft_effect *effect = raft__effect(raft, MOOT_RAFT_EFFECT_SNAPSHOT_OFFERED);
    effect->snapshot.node = message->from;
    effect->snapshot.index = index;
    effect->snapshot.term = message->snapshot.index_term;
    effect->snapshot.members = message->snapshot.members;
}

/* The store is the snapshot now. Entries after it stay only if the log agrees at its index: a log
 * that disagrees there holds another history (paper 7; hashicorp/raft #697 kept it). */
static void adopt(struct moot_raft *raft, moot_index index, moot_term term,
                  const struct moot_members *members)
{
    moot_term own_term = 0;
    bool reached = raft__log_term(raft, index, &own_term);
    if (reached && MOOT_RULE(raft_snapshot_keeps_suffix_only_on_term_match, own_term == term)) {
        RAFT_TRACE(raft, SNAPSHOT_KEEP_SUFFIX, index, term, index + 1, raft->last);
        MOOT_SOMETIMES(raft->last > index, "a snapshot kept the log's suffix");
        raft__log_compact(raft, index);
        raft__members_compact(raft, index);
    } else {
        RAFT_TRACE(raft, SNAPSHOT_DROP_LOG, index, term);
        MOOT_SOMETIMES(reached, "a snapshot dropped a log that disagreed");
        raft__log_reset(raft, index, term);
        raft->pending_count = 0;
    }
    raft->base.index = index;
    raft->base.members = *members; /* As of its index (PITFALLS 3). */
}

int raft__on_installed(struct moot_raft *raft, moot_index index, moot_term term,
                       const struct moot_members *members)
{
    if (index <= raft->commit || !moot_members_is_valid(members) || index > RAFT_INDEX_MAX ||
        term > raft->term || raft->role == MOOT_RAFT_LEADER) {
        return MOOT_FAIL(MOOT_EREFUSED);
    }
    adopt(raft, index, term, members);
    raft->commit = index;
    raft->applied = index;
    raft__members_changed(raft);
    raft__maybe_repaired(raft, index);
    bool wanted = raft->offer_from != 0 && raft->offer_index == index &&
                  raft->offer_term == raft->term && raft->leader == raft->offer_from;
    if (wanted) {
        answer(raft, raft->offer_from, raft->offer_session, index);
    }
    raft->offer_from = 0;
    return 0;
}

void raft__on_snapshot_reply(struct moot_raft *raft, const struct moot_raft_message *message)
{
    struct raft_peer *peer = raft__peer(raft, message->from);
    if (raft->role != MOOT_RAFT_LEADER || peer == NULL) {
        return;
    }
    if (!MOOT_RULE(raft_session_match, message->session == peer->session)) {
        RAFT_TRACE(raft, SESSION_STALE, peer->node, message->session, peer->session);
        return;
    }
    moot_index index = message->snapshot_reply.index;
    bool installed = message->snapshot_reply.installed;
    peer->heard = raft->now;
    RAFT_TRACE(raft, SNAPSHOT_ANSWER, peer->node, installed, index);
    if (!installed) {
        raft__on_snapshot_failed(raft, peer->node);
    } else if (index <= raft->commit && index > peer->match) {
        raft__peer_acknowledged(raft, peer, index);
        raft__peer_probe(raft, peer, peer->match + 1);
        raft__maybe_commit(raft);
    } else if (peer->state == RAFT_PEER_SNAPSHOT) {
        raft__peer_probe(raft, peer, peer->match + 1);
    }
}

/* The next probe finds out again what it needs, after a while. */
void raft__on_snapshot_failed(struct moot_raft *raft, moot_node_id node)
{
    struct raft_peer *peer = raft__peer(raft, node);
    if (raft->role == MOOT_RAFT_LEADER && peer != NULL && peer->state == RAFT_PEER_SNAPSHOT) {
        raft__peer_probe(raft, peer, peer->match + 1);
        peer->probing = true;
    }
}

int raft__on_compact(struct moot_raft *raft, moot_index index)
{
    if (index > raft->applied) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    if (index <= raft->snapshot_index) {
        return 0;
    }
    raft__log_compact(raft, index);
    raft__members_compact(raft, index);
    RAFT_TRACE(raft, COMPACTED, index, index + 1);
    return 0;
}

int moot_raft_snapshot_message(const struct moot_raft *raft, moot_node_id node, moot_index index,
                               moot_term term, const struct moot_members *members,
                               struct moot_raft_message *out)
{
    if (raft->role != MOOT_RAFT_LEADER) {
        return MOOT_FAIL(MOOT_ENOTLEADER);
    }
    const struct raft_peer *peer = raft__peer(raft, node);
    if (peer == NULL || index == 0 || index > raft->commit || term > raft->term ||
        !moot_members_is_valid(members)) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    *out = (struct moot_raft_message){.kind = MOOT_RAFT_SNAPSHOT,
                                      .from = raft->options.self,
                                      .to = node,
                                      .term = raft->term,
                                      .session = peer->session,
                                      .wall_ms = raft->wall_ms};
    out->snapshot.index = index;
    out->snapshot.index_term = term;
    out->snapshot.members = *members;
    return 0;
}
