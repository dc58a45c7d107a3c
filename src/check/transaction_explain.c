/* Why no order of the versions will do (transaction_chains.c), in words: each choice that was
 * forced, with the cycle that the other way round would have closed, and at the end a pair of which
 * either way closes one. */
#include "base/assert.h"
#include "base/slice.h"
#include "check/evidence.h"
#include "check/transactions.h"

struct explaining {
    struct moot_txns *txns;
    const struct moot_txn_chains *chains;
    const struct moot_txn_choice *made;
    uint32_t count;             /* The last one is the pair that is neither way. */
    bool *needed;               /* By choice. */
    struct moot_buffer *cycles; /* By choice, and one more: struct moot_edge. */
};

static const struct moot_txn_chain *chain_at(const struct explaining *explaining, uint32_t number)
{
    return (const struct moot_txn_chain *)(const void *)explaining->chains->chains.data + number;
}

static void add_choice(const struct explaining *explaining, struct moot_graph *graph,
                       struct moot_txn_choice choice)
{
    const struct moot_txn_chain *first = chain_at(explaining, choice.first);
    const struct moot_txn_chain *second = chain_at(explaining, choice.second);
    const uint32_t *readers =
        (const uint32_t *)(const void *)explaining->chains->readers.data + first->readers;
    uint32_t version = second->head_version;
    moot_graph_add(graph, first->tail, second->head, MOOT_EDGE_WW_CHOSEN, version);
    for (uint32_t i = 0; i < first->readers_count; i++) {
        moot_graph_add(graph, readers[i], second->head, MOOT_EDGE_RW_CHOSEN, version);
    }
}

/* The cycle that one more choice closes, with the first `count` made. */
static void find_cycle(const struct explaining *explaining, uint32_t count,
                       struct moot_txn_choice more, struct moot_buffer *cycle)
{
    const struct moot_graph *known = &explaining->txns->graph;
    const struct moot_edge *edges = (const void *)known->edges.data;
    struct moot_graph graph;
    moot_graph_init(&graph, known->real);
    while (graph.count < known->count) {
        moot_graph_join(&graph);
    }
    for (size_t i = 0; i < known->edges.size / sizeof(*edges); i++) {
        moot_graph_add(&graph, edges[i].from, edges[i].to, edges[i].kind, edges[i].version);
    }
    for (uint32_t i = 0; i < count; i++) {
        add_choice(explaining, &graph, explaining->made[i]);
    }
    add_choice(explaining, &graph, more);
    moot_graph_seal(&graph);
    bool spaced = explaining->txns->level == MOOT_ISOLATION_SNAPSHOT;
    bool found = moot_graph_cycle(&graph, ~0U, spaced ? MOOT_RW_NOT_ADJACENT : MOOT_RW_ANY, cycle);
    MOOT_ASSERT(found); /* That is why the choice was forced. */
    moot_graph_deinit(&graph);
}

/* Whether an edge of a cycle is one that a choice stands for. */
static bool is_of(const struct explaining *explaining, const struct moot_edge *edge,
                  struct moot_txn_choice choice)
{
    const struct moot_txn_chain *first = chain_at(explaining, choice.first);
    bool is_from = first->tail == edge->from;
    for (uint32_t i = 0; i < first->readers_count && !is_from; i++) {
        is_from = ((const uint32_t *)(const void *)
                       explaining->chains->readers.data)[first->readers + i] == edge->from;
    }
    return is_from && chain_at(explaining, choice.second)->head_version == edge->version;
}

static void need_choices(struct explaining *explaining, uint32_t count,
                         const struct moot_buffer *cycle)
{
    const struct moot_edge *edges = (const void *)cycle->data;
    for (size_t i = 0; i < cycle->size / sizeof(*edges); i++) {
        bool chosen = edges[i].kind == MOOT_EDGE_WW_CHOSEN || edges[i].kind == MOOT_EDGE_RW_CHOSEN;
        for (uint32_t j = 0; j < count && chosen; j++) {
            explaining->needed[j] |= is_of(explaining, &edges[i], explaining->made[j]);
        }
    }
}

static struct moot_txn_choice reverse(struct moot_txn_choice choice)
{
    return (struct moot_txn_choice){.first = choice.second, .second = choice.first};
}

/* From the end on, the cycles of the choices that cycles behind them need. */
static void find_cycles(struct explaining *explaining)
{
    uint32_t last = explaining->count - 1;
    struct moot_buffer *cycles = explaining->cycles;
    find_cycle(explaining, last, explaining->made[last], &cycles[last]);
    need_choices(explaining, last, &cycles[last]);
    find_cycle(explaining, last, reverse(explaining->made[last]), &cycles[last + 1]);
    need_choices(explaining, last, &cycles[last + 1]);
    for (uint32_t i = last; i > 0; i--) {
        if (explaining->needed[i - 1]) {
            find_cycle(explaining, i - 1, reverse(explaining->made[i - 1]), &cycles[i - 1]);
            need_choices(explaining, i - 1, &cycles[i - 1]);
        }
    }
}

/* ---- words ---- */

/* The number of a transaction in the words, from 1 on; a new one joins the evidence. */
static uint32_t number_of(struct explaining *explaining, uint32_t txn)
{
    struct moot_buffer *evidence = &explaining->txns->verdict->evidence;
    uint32_t operation = explaining->txns->txns[txn].operation, number = 0;
    const uint32_t *known = (const void *)evidence->data;
    while (number < evidence->size / sizeof(uint32_t) && known[number] != operation) {
        number++;
    }
    if (number == evidence->size / sizeof(uint32_t)) {
        moot_buffer_append(evidence, &operation, sizeof(operation));
    }
    return number + 1;
}

static void say_cycle(struct explaining *explaining, const struct moot_buffer *cycle)
{
    const struct moot_edge *edges = (const void *)cycle->data;
    struct moot_buffer *words = &explaining->txns->verdict->words;
    for (size_t i = 0; i < cycle->size / sizeof(*edges); i++) {
        moot_buffer_append_text(words, "  ");
        moot_txns_describe_edge(explaining->txns, &edges[i], number_of(explaining, edges[i].from),
                                number_of(explaining, edges[i].to), words);
    }
}

/* "T1 wrote "a" to "x" before T2 wrote "b"" */
static void say_choice(struct explaining *explaining, struct moot_txn_choice choice)
{
    const struct moot_txn_chain *first = chain_at(explaining, choice.first);
    const struct moot_txn_chain *second = chain_at(explaining, choice.second);
    const struct moot_txns *txns = explaining->txns;
    struct moot_buffer *words = &explaining->txns->verdict->words;
    const uint32_t versions[2] = {first->tail_version, second->head_version};
    const uint32_t writers[2] = {first->tail, second->head};
    for (size_t i = 0; i < 2; i++) {
        moot_buffer_append_text(words, i == 0 ? "T" : " before T");
        moot_buffer_append_u64(words, number_of(explaining, writers[i]));
        moot_buffer_append_text(words, txns->lists ? " appended " : " wrote ");
        struct moot_history_value value =
            moot_history_bytes(txns->texts.texts[txns->versions[versions[i]].text]);
        moot_history_value_describe(&value, words);
        if (i == 0) {
            value = moot_history_bytes(txns->keys.texts[first->key]);
            moot_buffer_append_text(words, " to ");
            moot_history_value_describe(&value, words);
        }
    }
}

static void number_all(struct explaining *explaining)
{
    for (uint32_t i = 0; i <= explaining->count; i++) {
        const struct moot_edge *edges = (const void *)explaining->cycles[i].data;
        for (size_t j = 0; j < explaining->cycles[i].size / sizeof(*edges); j++) {
            number_of(explaining, edges[j].from);
        }
    }
}

static void say_all(struct explaining *explaining)
{
    struct moot_verdict *verdict = explaining->txns->verdict;
    struct moot_buffer *words = &verdict->words;
    uint32_t last = explaining->count - 1;
    number_all(explaining);
    const uint32_t *operations = (const void *)verdict->evidence.data;
    for (size_t i = 0; i < verdict->evidence.size / sizeof(uint32_t); i++) {
        moot_buffer_append_text(words, "    T");
        moot_buffer_append_u64(words, i + 1);
        moot_buffer_append_text(words, ": ");
        moot_operation_describe(&explaining->txns->history->operations[operations[i]], words);
        moot_buffer_append_text(words, "\n");
    }
    for (uint32_t i = 0; i < last; i++) {
        if (explaining->needed[i]) {
            moot_buffer_append_text(words, "  ");
            say_choice(explaining, explaining->made[i]);
            moot_buffer_append_text(words, ", for otherwise:\n");
            say_cycle(explaining, &explaining->cycles[i]);
        }
    }
    for (uint32_t i = 0; i < 2; i++) {
        struct moot_txn_choice choice = explaining->made[last];
        moot_buffer_append_text(words, i == 0 ? "  if " : "  and if ");
        say_choice(explaining, i == 0 ? choice : reverse(choice));
        moot_buffer_append_text(words, ":\n");
        say_cycle(explaining, &explaining->cycles[last + i]);
    }
    verdict->operation = ((const uint32_t *)(const void *)verdict->evidence.data)[0];
}

static void explain(struct moot_txns *txns, const struct moot_txn_chains *chains,
                    const struct moot_buffer *made)
{
    struct explaining explaining = {
        .txns = txns,
        .chains = chains,
        .made = (const void *)made->data,
        .count = (uint32_t)(made->size / sizeof(struct moot_txn_choice)),
    };
    explaining.needed = moot_alloc_zero(explaining.count * sizeof(bool));
    explaining.cycles = moot_alloc((explaining.count + (size_t)1) * sizeof(struct moot_buffer));
    for (uint32_t i = 0; i <= explaining.count; i++) {
        moot_buffer_init(&explaining.cycles[i]);
    }
    find_cycles(&explaining);
    say_all(&explaining);
    for (uint32_t i = 0; i <= explaining.count; i++) {
        moot_buffer_deinit(&explaining.cycles[i]);
    }
    moot_free(explaining.needed);
    moot_free(explaining.cycles);
}

void moot_txns_judge_order(struct moot_txns *txns, const struct moot_txn_chains *chains)
{
    struct moot_buffer made;
    moot_buffer_init(&made);
    switch (moot_txns_order_chains(txns, chains, &made)) {
    case MOOT_JUDGEMENT_VALID:
        break;
    case MOOT_JUDGEMENT_UNKNOWN:
        moot_txns_conclude(txns, MOOT_JUDGEMENT_UNKNOWN,
                           "no anomaly was found, and no order of the transactions either: the"
                           " order in which values were written is not known",
                           MOOT_TXN_NONE, MOOT_TXN_NONE);
        break;
    case MOOT_JUDGEMENT_VIOLATION:
        moot_txns_conclude(txns, MOOT_JUDGEMENT_VIOLATION,
                           made.size > 0
                               ? "no order of what was written explains every read:"
                               : "no order of what was written explains every read; each that there"
                                 " could be was tried with these alone:",
                           MOOT_TXN_NONE, MOOT_TXN_NONE);
        if (made.size > 0) {
            explain(txns, chains, &made);
        }
        break;
    }
    moot_buffer_deinit(&made);
}
