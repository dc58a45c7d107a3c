/* What the parts of the zones hand each other: clusters of values, and what contradicts what.
 *
 *     zones.c           clusters, their conflicts, the verdict and its words
 *     zones_absent.c    deletes, and those who found nothing
 *     zones_schedule.c  an order of all of it, when there is one that is easy to find
 *
 * Instants are kept plus one here: nil was there at 0, before them all. */
#ifndef MOOT_CHECK_ZONES_H
#define MOOT_CHECK_ZONES_H

#include "check/intern.h"
#include "check/judge.h"

enum { MOOT_ZONES_NOBODY = UINT32_MAX };

/* The write of one value and the reads of it. */
struct moot_zones_cluster {
    uint64_t first_end, last_call;
    uint32_t first_ended, last_called; /* Their operations, or NOBODY: the write of nil. */
    uint32_t write;                    /* Or NOBODY. */
    uint32_t members;                  /* In the prefix judged. */
};

/* What is wrong with a prefix: operations by number in the history. */
struct moot_zones_conflict {
    const char *what; /* NULL: nothing. */
    uint32_t a, b;    /* a returned before b was called, */
    uint32_t c, d;    /* and c before d; NOBODY in front is the beginning. */
};

/* How an operation has to do with nothing being there. */
enum moot_zones_absence {
    MOOT_ZONES_FINDS_NIL,  /* It found nothing, and changed nothing: a read of nil, DEL -> 0. */
    MOOT_ZONES_TAKES,      /* It found something and left nothing: DEL -> 1. */
    MOOT_ZONES_DELETES,    /* It left nothing. */
    MOOT_ZONES_MAY_DELETE, /* The same, if it happened. */
};
struct moot_zones_absent {
    enum moot_zones_absence kind;
    uint32_t operation;
    uint64_t from, until; /* Its call and return. */
};

struct moot_zones {
    const struct moot_judged_key *key;
    struct moot_intern values;
    uint32_t *cluster_of; /* By position in the key; NOBODY: of none. */
    struct moot_zones_cluster *clusters;
    uint32_t clusters_count; /* The last one is nil's, and empty where there are deletes. */
    bool has_deletes;
    /* Of the prefix judged last, both by first_end; those with members: */
    uint32_t *forward, *backward;
    uint32_t forward_count, backward_count;
    struct moot_zones_absent *absent; /* Only where there are deletes. */
    uint32_t absent_count;
};

/* Collects those of the prefix up to the instant `cut`. */
void moot_zones_collect_absent(struct moot_zones *zones, uint64_t cut);
/* What is wrong with them; the clusters are known not to conflict with each other. */
struct moot_zones_conflict moot_zones_judge_absent(const struct moot_zones *zones);
/* True when an order of all operations was found: the key is linearizable. The prefix judged last
 * was the whole, and nothing was wrong with it. */
bool moot_zones_schedule(const struct moot_zones *zones);

#endif
