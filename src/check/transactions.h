/* What the parts of the transaction checkers hand each other: the history with numbers for names,
 * who wrote what, and the graph in the making. */
#ifndef MOOT_CHECK_TRANSACTIONS_H
#define MOOT_CHECK_TRANSACTIONS_H

#include "base/assert.h"
#include "check/graph.h"
#include "check/intern.h"
#include "check/transaction.h"

enum { MOOT_TXN_NONE = UINT32_MAX };

/* One written value of one key. */
struct moot_txn_version {
    uint32_t key, text;
    uint32_t writer; /* Or NONE: seen, and nobody wrote it. */
    bool is_final;   /* The writer's last write of the key. */
};

struct moot_txn_step {
    bool is_read;
    uint32_t key;
    uint32_t version; /* Of a write. */
    /* Of a read, when it is known: the versions it lists, the latest last; a register's read has
     * one, or none for nil. */
    bool known;
    size_t seen;
    uint32_t seen_count;
    /* Of these, how many were there before the transaction's own writes; NONE when the read looks
     * inside the transaction only, or contradicts it. */
    uint32_t outside;
};

struct moot_txn {
    uint32_t operation;
    const struct moot_history_step *source;
    uint32_t first, count; /* Its steps. */
    bool committed;        /* Acknowledged; or in doubt, and seen. */
};

struct moot_txns {
    const struct moot_history *history;
    struct moot_verdict *verdict;
    enum moot_isolation level;
    bool lists;
    struct moot_arena arena;
    struct moot_intern keys, texts;
    struct moot_pairs numbers; /* (key, text) -> version + 1 */
    struct moot_txn *txns;
    uint32_t count;
    struct moot_txn_version *versions;
    uint32_t versions_count, versions_capacity;
    struct moot_buffer steps; /* struct moot_txn_step */
    struct moot_buffer seen;  /* uint32_t: versions */
    struct moot_graph graph;  /* A node for each transaction. */
};

static inline struct moot_txn_step *moot_txn_step_at(const struct moot_txns *txns, uint32_t number)
{
    return (struct moot_txn_step *)(void *)txns->steps.data + number;
}
static inline const uint32_t *moot_txn_seen(const struct moot_txns *txns,
                                            const struct moot_txn_step *step)
{
    return (const uint32_t *)(const void *)txns->seen.data + step->seen;
}
static inline const struct moot_operation *moot_txn_operation(const struct moot_txns *txns,
                                                              uint32_t txn)
{
    return &txns->history->operations[txns->txns[txn].operation];
}

/* Makes all of it from a history; false when the verdict is made: unknown or a violation. */
bool moot_txns_collect(struct moot_txns *txns, const struct moot_history *history,
                       enum moot_isolation level, bool lists, struct moot_verdict *verdict);
void moot_txns_deinit(struct moot_txns *txns);

/* Of histories whose transactions are one operation of one step, as checkers of single reads and
 * writes have them: false, and the verdict is made, when this one is none. */
bool moot_txns_are_single(struct moot_txns *txns);
/* Of these: the step. */
static inline const struct moot_txn_step *moot_txn_only_step(const struct moot_txns *txns,
                                                             uint32_t txn)
{
    MOOT_ASSERT(txns->txns[txn].count == 1);
    return moot_txn_step_at(txns, txns->txns[txn].first);
}
/* Who wrote what a read saw; NONE for nil, for what is not known, and for a write. */
uint32_t moot_txn_source(const struct moot_txns *txns, uint32_t txn);
/* Their numbers by process, and of each process by call, into `order`. */
void moot_txns_order_by_process(const struct moot_txns *txns, uint32_t *order);

/* Anomalies of single reads: aborted, intermediate, internal; and lost updates. False after the
 * first one that the level forbids. */
bool moot_txns_judge_reads(struct moot_txns *txns);

/* The last step of a transaction that writes a key, or NONE. */
uint32_t moot_txns_write_of(const struct moot_txns *txns, uint32_t txn, uint32_t key);

/* Adds the edges of sessions and of real time, as the level says; seals the graph; looks for the
 * cycles that the level forbids. False after a violation. */
bool moot_txns_judge_cycles(struct moot_txns *txns);

/* Words for a cycle: struct moot_edge. */
void moot_txns_describe_cycle(const struct moot_txns *txns, const char *name,
                              const struct moot_buffer *cycle);

/* "T<from> wrote .. and later T<to> ..": why one is before the other. */
void moot_txns_describe_edge(const struct moot_txns *txns, const struct moot_edge *edge,
                             uint32_t from, uint32_t to, struct moot_buffer *words);

/* A violation or what is unknown, with one or two transactions, or NONE. */
void moot_txns_conclude(struct moot_txns *txns, enum moot_judgement judgement, const char *what,
                        uint32_t first, uint32_t second);

/* Versions of one key in a row, each but the first written by who read the one before. */
struct moot_txn_chain {
    uint32_t key;
    uint32_t head, tail; /* Who wrote the first and the last, */
    uint32_t head_version, tail_version;
    uint32_t readers_count; /* and who read the last, and did not write the key: */
    size_t readers;         /* index in `readers` of all chains. */
    /* One whose first_end is less than another's last_call is before it, and the graph has that: as
     * `known` in transaction_register.c. 0 and UINT64_MAX: nothing is known. */
    uint64_t last_call, first_end;
};
struct moot_txn_chains {
    struct moot_buffer chains;  /* struct moot_txn_chain, those of one key together. */
    struct moot_buffer readers; /* uint32_t: transactions */
};
/* Of two chains of a key, which came first. */
struct moot_txn_choice {
    uint32_t first, second;
};

void moot_txn_chains_init(struct moot_txn_chains *chains);
void moot_txn_chains_deinit(struct moot_txn_chains *chains);

/* From snapshot isolation on, with the graph sealed and no cycle in it: a violation if the chains
 * of no key's versions can be ordered so that there is none, or unknown if that is too much to
 * decide. */
void moot_txns_judge_order(struct moot_txns *txns, const struct moot_txn_chains *chains);

/* The same without words. Appends to `made`, after a violation, the choices (struct
 * moot_txn_choice) of which each was forced by those before it, the last of them a pair that goes
 * neither way; nothing where it took more to find it out. */
enum moot_judgement moot_txns_order_chains(const struct moot_txns *txns,
                                           const struct moot_txn_chains *chains,
                                           struct moot_buffer *made);

/* Registers: true when an order of all committed transactions was found that agrees with the
 * sealed graph and gives every read. */
bool moot_txns_find_order(const struct moot_txns *txns);

#endif
