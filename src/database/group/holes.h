/* What a journal gave back of a log, with holes where rot took entries.
 *
 * One replica whose log has holes is repaired by its leader. Where a majority has some nobody may
 * lead (protocol/raft: who lost something neither votes nor acknowledges), and they would wait for
 * ever although every entry still stands somewhere. So they ask each other. Alagappan et al.,
 * "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018, sections 3.4 and 3.5, adapted:
 * there the leader decides what a faulty entry was; here the log itself does.
 *
 * Raft's log matching (Ongaro and Ousterhout 2014, 5.3) says: entries of the same index and term in
 * two logs, at whatever times, have the same entries before them. So an entry that stands behind a
 * hole, the *anchor*, names what was in it. Whoever has the anchor's index and term, and the
 * entries before it without a gap of its own, has them bit for bit; whether they were committed,
 * who leads, and what has become of the other's log since does not matter. Nothing is guessed from
 * numbers of answers, and one answer is enough.
 *
 * When every hole is filled the log is exactly what it was. It is written to the journal again from
 * the first hole on, and when that is durable the replica is as good as one that was only down: it
 * has every entry that it acknowledged, and its term and vote were never lost (else the node does
 * not open: node_open.c). Until then it does what every impaired replica does: nothing. When a
 * leader is heard it stays with the leader, who repairs it in the usual way; answers that come
 * later find nothing to fill.
 *
 * It takes part only if it is known what the log was, but for the holes (node_open.c, knows_log):
 *
 *   - Of each lost batch the header stands. It names the least index in it, and older entries from
 *     there on may be void, so they count as lost, too.
 *   - The last entry that stands came after all that is lost: it ends the log, and nothing cut it.
 *     A hole at the end has no anchor: nobody knows how long the log was.
 *   - No entry was written by a process that had dropped part of the log. Such a one follows a
 *     leader from where its own log broke off, and what is in its journal is shorter than what it
 *     once acknowledged. Batches say of which groups they are whole (journal.h).
 *   - The store was not lost (lost.c): what the journal has let go of is in it. And its last entry
 * is the one that the log had there.
 *
 * When in doubt it waits for a leader, as ever. */
#ifndef MOOT_DATABASE_GROUP_HOLES_H
#define MOOT_DATABASE_GROUP_HOLES_H

#include "base/memory.h"
#include "database/group/message.h"

struct moot_kept_entry {
    struct moot_block *block; /* NULL: lost. */
    moot_term term;
    enum moot_raft_entry_kind kind;
};

/* Entries as the journal gave them back, also those that the store contains: another replica may
 * still need them. Kept while nobody leads. */
struct moot_holes {
    struct moot_kept_entry *kept; /* first, first + 1, ...; NULL: nothing is kept. */
    moot_index first;
    uint64_t count;
    bool repairs;        /* What is lost from `begin` on is asked for. */
    moot_index begin;    /* Behind what the store contains, or with its last entry; */
    moot_term before;    /* the one before that is of this term, or MOOT_HOLES_UNKNOWN. */
    uint64_t missing;    /* So many, from `begin` on. */
    moot_index log_last; /* As far as the core has it; */
    moot_term log_term;  /* what is kept is the same log while it ends there. */
    uint64_t asked;
    struct moot_instant ask_next;
};

#define MOOT_HOLES_UNKNOWN UINT64_MAX

static inline moot_index moot_holes_last(const struct moot_holes *holes)
{
    return holes->first + holes->count - 1;
}
void moot_holes_drop(struct moot_holes *holes);
/* NULL: not kept, or lost. */
const struct moot_kept_entry *moot_holes_at(const struct moot_holes *holes, moot_index index);
/* Hole number `number` (of as many as there are, and round again); false: there is none. */
bool moot_holes_ask(const struct moot_holes *holes, uint64_t number, struct moot_hole_ask *ask);
/* How many entries were filled. MOOT_EINVALID: the answer contradicts what stands here, which
 * cannot be unless one of the two logs is none; nothing was filled. */
int moot_holes_fill(struct moot_holes *holes, const struct moot_hole_give *give,
                    uint64_t *filled) MOOT_MUST_USE;

#endif
