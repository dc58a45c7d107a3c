/* What a choice of N, R and W promises, and what it survives.
 *
 * Intuition: a read sees an acknowledged write exactly when every set of nodes that may answer the
 * read shares a node with every set that may have taken the write. With "any R of N" and "any W of
 * N" the least overlap is R + W - N: at least 1, and no read misses. (Gifford: "Weighted Voting for
 * Replicated Data", SOSP 1979.) The smaller the quorums, the more failures they survive and the
 * less they promise; everything here is that one trade, counted.
 *
 *   overlap   the least number of nodes that any read quorum shares with any write quorum, and any
 *             write quorum with any other.
 *   survives  the most nodes, and the most whole zones, that may fail, whichever they are, and a
 *             quorum is still left.
 *
 * Quorums over zones: "k nodes in each of any z zones". z = all zones is EACH_QUORUM; z = 2 of 3
 * zones with a majority in each survives a zone and more; and z = 1 is one zone's own quorum, which
 * meets another zone's in nobody.
 *
 * Consensus is the same arithmetic under other names: read = elect (phase 1), write = replicate
 * (phase 2). Only those two must meet each other; two replication quorums need not, so a group of 6
 * may replicate to 2 if it elects with 5. (Howard, Malkhi, Spiegelman: "Flexible Paxos: Quorum
 * Intersection Revisited", OPODIS 2016, sections 3 and 4.) For data that is merged and not ordered,
 * writes that meet in nobody mean that two writers may not notice each other.
 *
 * Sloppy (DeCandia et al.: "Dynamo", SOSP 2007, section 4.6): while a home node cannot be reached,
 * another node takes the write, with a hint. It survives more, and the overlap shrinks by one for
 * each home node that was replaced; `absent_max` says how many may be replaced before a read can
 * miss.
 *
 * Not handled: weights; how stale a read is when quorums do not meet (moot/pbs.h); joint majorities
 * of a changing group (moot/quorum.h). */
#ifndef MOOT_QUORUM_MATH_H
#define MOOT_QUORUM_MATH_H

#include "moot/base.h"
#include "moot/status.h"

enum {
    MOOT_PLAN_ZONES_MAX = 8,
    MOOT_PLAN_NODES_MAX = 64,
    MOOT_PLAN_BYTES_MAX = 1 + 1 + 1 + MOOT_PLAN_ZONES_MAX + 4 + 1,
    MOOT_PLAN_TEXT_MAX = 2048, /* No text is longer. */
};

/* zones = 0: any `nodes` nodes. Else: `nodes` nodes in each of any `zones` zones. */
struct moot_quorum_rule {
    uint8_t nodes, zones;
};
enum moot_plan_use {
    MOOT_PLAN_READ_WRITE,
    MOOT_PLAN_CONSENSUS, /* read: elect; write: replicate */
};
struct moot_plan {
    enum moot_plan_use use;
    uint8_t zone_count; /* 1 and up. */
    uint8_t zone_nodes[MOOT_PLAN_ZONES_MAX];
    struct moot_quorum_rule read, write;
    bool sloppy;    /* Only where neither rule names zones, and not for consensus. */
    uint8_t spares; /* Sloppy: nodes that may stand in for home nodes. */
};

struct moot_plan_survival {
    uint32_t nodes, zones;
};
struct moot_plan_answer {
    uint32_t nodes;                             /* N */
    uint32_t read_size, write_size;             /* Nodes in the smallest quorum. */
    uint32_t read_write_meet, write_write_meet; /* Least overlap. */
    struct moot_plan_survival reads, writes, both;
    /* Reads see acknowledged writes; for consensus: a new leader learns of every decision. Under a
     * sloppy plan: as long as no more than absent_max home nodes were replaced. */
    bool is_safe;
    uint32_t absent_max;
    /* Two writes always share a node: one of the two is noticed. Under a sloppy plan: as long as no
     * home node was replaced. */
    bool writes_meet;
};

/* MOOT_EINVALID: no such quorum exists, or sloppy where it cannot be. */
int moot_plan_check(const struct moot_plan *plan) MOOT_MUST_USE;
/* The plan must have passed the check. */
void moot_plan_judge(const struct moot_plan *plan, struct moot_plan_answer *out);
/* The answer in words, for EXPLAIN: lines, each ended by a line feed; NUL at the end. MOOT_ELIMIT:
 * `size` is too small, MOOT_PLAN_TEXT_MAX always suffices; then `out` holds what fitted. */
int moot_plan_explain(const struct moot_plan *plan, char *out, size_t size) MOOT_MUST_USE;

/* MOOT_ELIMIT: `size` is too small. */
int moot_plan_encode(const struct moot_plan *plan, uint8_t *out, size_t size,
                     size_t *written) MOOT_MUST_USE;
/* What is decoded has passed the check. MOOT_EINVALID, MOOT_EVERSION; `out` is then untouched. */
int moot_plan_decode(struct moot_slice bytes, struct moot_plan *out) MOOT_MUST_USE;

#endif
