/* Reads without the log (thesis 6.4): a leader may serve what had arrived before a round began,
 * once a majority has echoed that round, because none of them had then voted for a later leader.
 *
 * Rounds are numbers that every append and heartbeat carries and every answer echoes. They are
 * never used twice by one process, whatever the term (etcd #20418: a request id used again after a
 * leader change confirmed the wrong leadership). */
#include "base/assert.h"
#include "base/rule.h"
#include "base/status.h"
#include "protocol/raft/raft.h"

bool raft__leads_committed(const struct moot_raft *raft)
{
    return raft->role == MOOT_RAFT_LEADER && raft->commit >= raft->term_first;
}

int raft__on_read(struct moot_raft *raft)
{
    if (raft->role != MOOT_RAFT_LEADER) {
        return MOOT_FAIL(MOOT_ENOTLEADER);
    }
    raft->reads_wait = true; /* For the round to be sent next: what is out already is too old. */
    if (raft__members(raft)->voter_count == 1 && raft__is_voter(raft) &&
        !moot_members_is_joint(raft__members(raft))) {
        raft__begin_round(raft);
        raft__maybe_confirm(raft);
    }
    return 0;
}

void raft__begin_round(struct moot_raft *raft)
{
    MOOT_ASSERT(raft->role == MOOT_RAFT_LEADER);
    raft->round_sent++;
    raft->round_wall_ms[raft->round_sent % RAFT_ROUNDS_KEPT] = raft->wall_ms;
    if (raft->reads_wait) {
        RAFT_TRACE(raft, ROUND_BEGUN, raft->round_sent);
        raft->reads_wait = false;
    }
}

void raft__maybe_confirm(struct moot_raft *raft)
{
    MOOT_ASSERT(raft->role == MOOT_RAFT_LEADER);
    /* Before its own no-op is committed a leader may not know of everything that is (thesis 6.4,
     * step 1). */
    if (raft->round_sent == raft->round_confirmed ||
        !MOOT_RULE(raft_read_after_noop, raft__leads_committed(raft))) {
        return;
    }
    uint64_t echoed = raft__quorum_round(raft);
    uint64_t confirmed =
        MOOT_RULE(raft_read_round_majority, echoed >= raft->round_sent) ? raft->round_sent : echoed;
    if (confirmed > raft->round_confirmed) {
        raft->round_confirmed = confirmed;
        RAFT_TRACE(raft, ROUND_CONFIRMED, confirmed);
        raft__effect(raft, MOOT_RAFT_EFFECT_ROUND)->round = confirmed;
    }
}
