/* The decisions a core can report, and the text of each.
 *
 * A trace is a number and up to six fields; the sentence is made outside, by whoever shows it.
 * A sentence states the decision and its reason. {0} to {5} are the fields. */
#ifndef MOOT_PROTOCOL_RAFT_TRACE_H
#define MOOT_PROTOCOL_RAFT_TRACE_H

#include "base/buffer.h"
#include "moot/raft.h"

/* X(NAME, sentence). New kinds go at the end: recordings keep the numbers. */
#define MOOT_RAFT_TRACE_TABLE(X)                                                                   \
    X(NONE, "nothing")                                                                             \
    X(STARTED, "start in term {0}: log {1}..{2}, committed to {3}")                                \
    X(IMPAIRED, "impaired until log reaches {0}: no votes, no acknowledgements, no candidacy")     \
    X(REPAIRED, "log reaches {0} in term {1} -> impaired no more")                                 \
    X(DROP_INVALID, "message kind {0} from n{1} is malformed (reason {2}) -> drop")                \
    X(TERM_ADOPTED, "n{0} is in term {1}, higher than {2} -> adopt it")                            \
    X(FOLLOW, "n{0} leads term {1} -> follow it")                                                  \
    X(PRE_VOTE_STARTED, "nobody leads term {0} -> ask for pre-votes for term {1}; log ends at "    \
                        "{2}^{3}")                                                                 \
    X(CANDIDATE, "pre-votes are enough -> candidate in term {0}; log ends at {1}^{2}")             \
    X(CANDIDATE_TRANSFER, "n{0} hands over -> candidate in term {1} without pre-vote")             \
    X(LEADER, "votes are enough -> lead term {0}; own first entry is {1}")                         \
    X(PRE_VOTE_GRANTED, "n{0} asks for pre-vote in term {1}: log {2}^{3} is up to date (own "      \
                        "{4}^{5}) -> grant")                                                       \
    X(VOTE_GRANTED, "n{0} asks for vote in term {1}: log {2}^{3} is up to date (own {4}^{5}) -> "  \
                    "grant")                                                                       \
    X(REFUSE_TERM, "n{0} asks for vote in term {1}, not above own term {2} -> refuse")             \
    X(REFUSE_LOG, "n{0} asks for vote in term {1}: log {2}^{3} is behind own {4}^{5} -> refuse")   \
    X(REFUSE_VOTED, "n{0} asks for vote in term {1}, but it went to n{2} -> refuse")               \
    X(REFUSE_STICKY, "n{0} asks for vote in term {1}, but n{2} leads and was heard {3} ms ago -> " \
                     "refuse")                                                                     \
    X(REFUSE_IMPAIRED, "n{0} asks for vote in term {1}, but this log is impaired -> refuse")       \
    X(REFUSE_CLOCK, "n{0} asks for pre-vote in term {1}, but its clock is off the majority's -> "  \
                    "refuse")                                                                      \
    X(VOTE_COUNTED, "n{0} answers for term {1}: granted {2}")                                      \
    X(ELECTION_LOST, "a majority refuses in term {0} -> follower")                                 \
    X(STAY, "election time-out, but {0} (1 not a voter, 2 impaired, 3 wrong clock, 4 log full) "   \
            "-> do not campaign")                                                                  \
    X(STEP_DOWN, "give up leadership of term {0}: reason {1} (1 asked, 2 no quorum, 3 removed, "   \
                 "4 wrong clock, 5 higher term, 6 another leader)")                                \
    X(SUBMITTED, "append {0}^{1}, {2} bytes")                                                      \
    X(APPEND_SENT, "append to n{0}: after {1}^{2}, {3} entries, commit {4}, round {5}")            \
    X(HEARTBEAT_SENT, "heartbeat to n{0}: match {1}, commit {2}, round {3}")                       \
    X(APPEND_STALE, "append from n{0} of term {1}, below own {2} -> refuse")                       \
    X(APPEND_MISMATCH, "append from n{0} after {1}^{2}, not in log -> refuse, hint {3}^{4}")       \
    X(APPEND_ACCEPTED, "append from n{0} after {1}: {2} entries, {3} new -> match {4}, round {5}") \
    X(TRUNCATED, "entry {0}^{1} conflicts with leader's term {2} -> drop {0}..{3}")                \
    X(TRUNCATE_COMMITTED, "append from n{0} conflicts at {1}, at or below commit {2} -> drop it")  \
    X(LOG_FULL, "log is full at {0} -> keep {1} of {2} entries")                                   \
    X(DURABLE, "durable to {0}^{1}")                                                               \
    X(DURABLE_VOID, "durable {0}^{1} is of an entry that is gone -> ignore")                       \
    X(ACKNOWLEDGED, "n{0} has {1} on disk -> next {2}, round {3}")                                 \
    X(REFUSED, "n{0} refuses after {1}, hint {2}^{3} -> next {4}")                                 \
    X(REFUSED_STALE, "n{0} refuses after {1}, an old answer -> ignore")                            \
    X(REGRESSED, "n{0} refuses at its own match {1}: it lost entries -> match 0, next {2}")        \
    X(SESSION_STALE, "answer of n{0} is of session {1}, now {2} -> drop")                          \
    X(RESEND, "n{0} silent about {1} appends -> again from {2}")                                   \
    X(COMMITTED, "a majority has {0}^{1} on disk -> commit {0}")                                   \
    X(COMMIT_LEARNED, "leader has committed {0}, log matches to {1} -> commit {2}")                \
    X(ROUND_BEGUN, "reads wait -> round {0}")                                                      \
    X(ROUND_CONFIRMED, "a majority echoes round {0} -> leadership held when it began")             \
    X(MEMBERS_IN_FORCE, "configuration at {0} in force: {1} voters, {2} outgoing, {3} learners")   \
    X(MEMBERS_ROLLED_BACK, "configuration at {0} is truncated -> back to the one at {1}")          \
    X(MEMBERS_LEAVE, "joint configuration at {0} is committed -> append the one that leaves it")   \
    X(MEMBERS_DONE, "configuration at {0} is committed -> change is complete")                     \
    X(TRANSFER_STARTED, "hand over to n{0}: it has {1} of {2}")                                    \
    X(TRANSFER_NOW, "n{0} has the whole log to {1} -> tell it to campaign")                        \
    X(TRANSFER_ENDED, "transfer to n{0} ended: status -{1}")                                       \
    X(TIMEOUT_NOW_IGNORED, "n{0} hands over, but {1} (1 not a voter, 2 impaired, 3 wrong clock, "  \
                           "4 log full, 5 not its follower) -> ignore")                            \
    X(SNAPSHOT_NEEDED, "n{0} needs {1}, log starts at {2} -> snapshot")                            \
    X(SNAPSHOT_OFFERED, "n{0} offers snapshot {1}^{2}, commit is {3} -> take it")                  \
    X(SNAPSHOT_OLD, "n{0} offers snapshot {1}, commit is {2} -> have it")                          \
    X(SNAPSHOT_IN_LOG, "n{0} offers snapshot {1}^{2}, and the log has it -> commit {1}")           \
    X(SNAPSHOT_KEEP_SUFFIX, "snapshot {0}^{1} installed, log agrees there -> keep {2}..{3}")       \
    X(SNAPSHOT_DROP_LOG, "snapshot {0}^{1} installed, log disagrees or ends before -> drop log")   \
    X(SNAPSHOT_ANSWER, "n{0} answers snapshot: installed {1}, index {2}")                          \
    X(COMPACTED, "entries to {0} are in the store -> log starts at {1}")                           \
    X(PEER_LOST, "link to n{0}, the leader, closed -> pre-vote in {1} ms unless it is heard")      \
    X(CLOCK_WRONG, "clock is off {0} of {1} voters by more than {2} ms")                           \
    X(CLOCK_RIGHT, "clock agrees with a majority again")                                           \
    X(REFILLED, "entries {0} to {1} are what they were before some were lost -> take them back")   \
    X(REFILL_DURABLE, "log is what it was, durable to {0} -> impaired no more")

enum moot_raft_trace_kind {
#define X(name, text) MOOT_RAFT_TRACE_##name,
    MOOT_RAFT_TRACE_TABLE(X)
#undef X
        MOOT_RAFT_TRACE_KINDS
};

/* Appends the sentence of `trace`, without a new line. Pure. */
void moot_raft_trace_render(const struct moot_raft_trace *trace, struct moot_buffer *out);

#endif
