#include "check/sessions.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/slice.h"
#include "check/evidence.h"
#include "check/transactions.h"

enum { NONE = MOOT_TXN_NONE, READS = 0, WRITES = 1 };
enum {
    ARROWS_MAX = 3 /* Into one operation. */,
    SMALL_MAX = 200 /* Operations worth shrinking. */
};

static const struct model {
    const char *name;
    unsigned guarantees;
    const char *broken;
} models[] = {
#define X(text, guarantees, broken) {text, guarantees, broken},
    MOOT_SESSION_MODELS(X)
#undef X
};

/* The operations of one kind of one process on one key: a part of `marks`. */
struct run {
    uint32_t first, end, session;
    unsigned kind; /* READS or WRITES */
};

struct sessions {
    struct moot_txns *txns; /* Each transaction is one operation of one step. */
    unsigned guarantees;
    uint32_t *order;     /* Operations by process and call; later, causes first. */
    uint32_t *session;   /* Of each operation that was answered, else NONE; */
    uint32_t *place;     /* in its session, from 0. */
    uint32_t *before[2]; /* By operation: the last read and write of its process before it, */
    uint32_t *on_key[2]; /* and those on its key (of reads: with a known result). */
    uint32_t sessions;
    /* By operation and session: how many operations of it, up to the last read (write) that leads
     * here. With monotonic reads and writes all earlier ones of the kind lead here too, so that a
     * number says which. NULL where nothing leads from one process to another but values. */
    uint32_t *clocks[2];
    uint32_t *marks; /* Reads that saw a value and writes, by key, kind, session and place. */
    struct run *runs;
    uint32_t *runs_start; /* By key, and one more. */
    struct moot_graph arrows;
    bool is_broken;          /* By arrows, not by an operation alone. */
    struct moot_buffer path; /* uint32_t: operations from a write to a read that it leads to. */
};

bool moot_session_model_from_text(const char *text, unsigned *guarantees)
{
    for (size_t i = 0; i < MOOT_ARRAY_LEN(models); i++) {
        if (strcmp(text, models[i].name) == 0) {
            *guarantees = models[i].guarantees;
            return true;
        }
    }
    return false;
}

static bool grants(const struct sessions *sessions, unsigned guarantee)
{
    return (sessions->guarantees & guarantee) != 0;
}

/* ---- processes ---- */

/* What a process did last, while its operations are walked over. */
struct walk {
    uint32_t last;       /* Of any kind; of an earlier process until this one had an answer. */
    uint32_t of[2];      /* By kind. */
    uint32_t *on_key[2]; /* By kind and key; of earlier processes too. */
};

static bool is_same_process(const struct sessions *sessions, uint32_t a, uint32_t b)
{
    const struct moot_operation *operations = sessions->txns->history->operations;
    return a != NONE && operations[a].process == operations[b].process;
}

/* The next operation of a process, or the first one of the next. An in-doubt write comes after what
 * its process did before, but nothing comes after it. */
static void walk_on(struct sessions *sessions, struct walk *walk, uint32_t one)
{
    const struct moot_txn_step *step = moot_txn_only_step(sessions->txns, one);
    bool same = is_same_process(sessions, walk->last, one);
    for (unsigned kind = READS; kind <= WRITES; kind++) {
        uint32_t on_key = walk->on_key[kind][step->key];
        walk->of[kind] = same ? walk->of[kind] : NONE;
        sessions->before[kind][one] = walk->of[kind];
        sessions->on_key[kind][one] = is_same_process(sessions, on_key, one) ? on_key : NONE;
    }
    if (same) {
        moot_graph_add(&sessions->txns->graph, walk->last, one, MOOT_EDGE_PROCESS, NONE);
    }
    if (moot_txn_operation(sessions->txns, one)->outcome != MOOT_OUTCOME_OK) {
        return;
    }
    unsigned kind = step->is_read ? READS : WRITES;
    sessions->session[one] = same ? sessions->session[walk->last] : sessions->sessions++;
    sessions->place[one] = same ? sessions->place[walk->last] + 1 : 0;
    walk->last = walk->of[kind] = one;
    if (!step->is_read || step->known) {
        walk->on_key[kind][step->key] = one;
    }
}

/* False when unknown. */
static bool find_sessions(struct sessions *sessions)
{
    struct moot_txns *txns = sessions->txns;
    const struct moot_operation *operations = txns->history->operations;
    size_t bytes = (txns->keys.count + (size_t)1) * sizeof(uint32_t);
    struct walk walk = {NONE, {NONE, NONE}, {moot_alloc(bytes), moot_alloc(bytes)}};
    memset(walk.on_key[READS], 0xff, bytes);
    memset(walk.on_key[WRITES], 0xff, bytes);
    memset(sessions->session, 0xff, txns->count * sizeof(*sessions->session)); /* NONE */
    moot_txns_order_by_process(txns, sessions->order);
    bool good = true;
    for (uint32_t i = 0; i < txns->count && good; i++) {
        uint32_t one = sessions->order[i];
        if (!txns->txns[one].committed) {
            continue;
        }
        good = !is_same_process(sessions, walk.last, one) ||
               operations[walk.last].returned.ns < operations[one].called.ns;
        if (good) {
            walk_on(sessions, &walk, one);
        } else {
            moot_txns_conclude(txns, MOOT_JUDGEMENT_UNKNOWN,
                               "a process overlaps itself, and has no order of its own:", walk.last,
                               one);
        }
    }
    moot_free(walk.on_key[READS]);
    moot_free(walk.on_key[WRITES]);
    return good;
}

/* ---- arrows ---- */

/* The operations that lead straight to one; how many. Those that lead there through others of the
 * same process are left out. */
static uint32_t arrows_into(const struct sessions *sessions, uint32_t one,
                            uint32_t from[ARROWS_MAX])
{
    bool is_read = moot_txn_only_step(sessions->txns, one)->is_read;
    uint32_t count = 0, source = moot_txn_source(sessions->txns, one);
    uint32_t read = sessions->before[READS][one];
    uint32_t write = grants(sessions, MOOT_SESSION_MONOTONIC_WRITES)
                         ? sessions->before[WRITES][one]
                         : sessions->on_key[WRITES][one];
    if (source != NONE) {
        from[count++] = source;
    }
    if (read != NONE && grants(sessions, is_read ? MOOT_SESSION_MONOTONIC_READS
                                                 : MOOT_SESSION_WRITES_FOLLOW_READS)) {
        from[count++] = read;
    }
    if (write != NONE && (!is_read || grants(sessions, MOOT_SESSION_READ_YOUR_WRITES))) {
        from[count++] = write;
    }
    return count;
}

/* Why the second comes after the first, which leads straight to it. */
static const char *reason(const struct sessions *sessions, uint32_t from, uint32_t to)
{
    bool from_read = moot_txn_only_step(sessions->txns, from)->is_read,
         to_read = moot_txn_only_step(sessions->txns, to)->is_read;
    if (moot_txn_source(sessions->txns, to) == from) {
        return "read what it wrote";
    }
    if (from_read) {
        return to_read ? "the same process reads later (monotonic reads)"
                       : "the same process writes later (writes follow reads)";
    }
    if (to_read) {
        return "the same process reads later (read your writes)";
    }
    return moot_txn_only_step(sessions->txns, from)->key ==
                   moot_txn_only_step(sessions->txns, to)->key
               ? "the same process writes the same key later"
               : "the same process writes later (monotonic writes)";
}

/* Operations in an order that agrees with the causal one, which has no cycle. */
static void order_causes_first(struct sessions *sessions)
{
    const struct moot_graph *graph = &sessions->txns->graph;
    const struct moot_edge *edges = (const void *)graph->edges.data;
    uint32_t count = graph->count, head = 0, tail = 0;
    uint32_t *needs = moot_alloc_zero((count + (size_t)1) * sizeof(*needs));
    for (size_t i = 0; i < graph->edges.size / sizeof(*edges); i++) {
        needs[edges[i].to]++;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (needs[i] == 0) {
            sessions->order[tail++] = i;
        }
    }
    while (head < tail) {
        uint32_t one = sessions->order[head++];
        for (uint32_t i = graph->start[one]; i < graph->start[one + 1]; i++) {
            if (--needs[edges[i].to] == 0) {
                sessions->order[tail++] = edges[i].to;
            }
        }
    }
    MOOT_ASSERT(tail == count);
    moot_free(needs);
}

static uint32_t *clock_of(const struct sessions *sessions, unsigned kind, uint32_t operation)
{
    return sessions->clocks[kind] + (size_t)operation * sessions->sessions;
}

static void compute_clocks(struct sessions *sessions)
{
    const struct moot_txns *txns = sessions->txns;
    size_t words = (size_t)sessions->sessions * txns->count + 1;
    sessions->clocks[READS] = moot_alloc_zero(words * sizeof(uint32_t));
    sessions->clocks[WRITES] = moot_alloc_zero(words * sizeof(uint32_t));
    for (uint32_t i = 0; i < txns->count; i++) {
        uint32_t one = sessions->order[i], from[ARROWS_MAX];
        uint32_t count = txns->txns[one].committed ? arrows_into(sessions, one, from) : 0;
        for (uint32_t j = 0; j < count; j++) {
            for (unsigned kind = READS; kind <= WRITES; kind++) {
                const uint32_t *known = clock_of(sessions, kind, from[j]);
                uint32_t *clock = clock_of(sessions, kind, one);
                for (uint32_t s = 0; s < sessions->sessions; s++) {
                    clock[s] = known[s] > clock[s] ? known[s] : clock[s];
                }
            }
        }
        if (sessions->session[one] != NONE) {
            unsigned kind = moot_txn_only_step(txns, one)->is_read ? READS : WRITES;
            clock_of(sessions, kind, one)[sessions->session[one]] = sessions->place[one] + 1;
        }
    }
}

static int compare_marks(const void *left, const void *right, void *context)
{
    const struct sessions *sessions = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    const struct moot_txn_step *step_a = moot_txn_only_step(sessions->txns, a),
                               *step_b = moot_txn_only_step(sessions->txns, b);
    if (step_a->key != step_b->key) {
        return (step_a->key > step_b->key) - (step_a->key < step_b->key);
    }
    if (step_a->is_read != step_b->is_read) {
        return step_a->is_read ? -1 : 1;
    }
    uint32_t session_a = sessions->session[a], session_b = sessions->session[b];
    if (session_a != session_b) {
        return (session_a > session_b) - (session_a < session_b);
    }
    return (sessions->place[a] > sessions->place[b]) - (sessions->place[a] < sessions->place[b]);
}

static void make_runs(struct sessions *sessions)
{
    const struct moot_txns *txns = sessions->txns;
    uint32_t count = 0, runs = 0;
    sessions->marks = moot_alloc((txns->count + (size_t)1) * sizeof(uint32_t));
    sessions->runs = moot_alloc((txns->count + (size_t)1) * sizeof(struct run));
    sessions->runs_start = moot_alloc_zero((txns->keys.count + (size_t)2) * sizeof(uint32_t));
    for (uint32_t i = 0; i < txns->count; i++) {
        bool saw = !moot_txn_only_step(txns, i)->is_read || moot_txn_source(txns, i) != NONE;
        if (sessions->session[i] != NONE && saw) {
            sessions->marks[count++] = i;
        }
    }
    qsort_r(sessions->marks, count, sizeof(*sessions->marks), compare_marks, sessions);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t one = sessions->marks[i];
        const struct moot_txn_step *step = moot_txn_only_step(txns, one);
        const struct run *last = runs == 0 ? NULL : &sessions->runs[runs - 1];
        unsigned kind = step->is_read ? READS : WRITES;
        if (last == NULL || last->session != sessions->session[one] || last->kind != kind ||
            moot_txn_only_step(txns, sessions->marks[last->first])->key != step->key) {
            sessions->runs[runs++] = (struct run){i, i, sessions->session[one], kind};
            sessions->runs_start[step->key + 1]++;
        }
        sessions->runs[runs - 1].end = i + 1;
    }
    for (uint32_t key = 0; key < txns->keys.count; key++) {
        sessions->runs_start[key + 1] += sessions->runs_start[key];
    }
}

/* The last operation of a run at a place less than `limit`, or NONE. */
static uint32_t last_before(const struct sessions *sessions, const struct run *run, uint32_t limit)
{
    uint32_t low = run->first, high = run->end;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (sessions->place[sessions->marks[middle]] < limit) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == run->first ? NONE : sessions->marks[low - 1];
}

/* ---- words ---- */

/* The place of an operation in the evidence, where it is put if it is not there yet. */
static uint32_t place_shown(struct moot_verdict *verdict, uint32_t operation)
{
    const uint32_t *shown = (const uint32_t *)(const void *)verdict->evidence.data;
    uint32_t count = (uint32_t)(verdict->evidence.size / sizeof(uint32_t)), i = 0;
    while (i < count && shown[i] != operation) {
        i++;
    }
    if (i == count) {
        moot_buffer_append(&verdict->evidence, &operation, sizeof(operation));
    }
    return i;
}

/* "T3", by the place of a transaction's operation in the evidence. */
static void append_name(struct sessions *sessions, uint32_t one, struct moot_buffer *words)
{
    uint32_t place = place_shown(sessions->txns->verdict, sessions->txns->txns[one].operation);
    moot_buffer_append_text(words, "T");
    moot_buffer_append_u64(words, place + UINT64_C(1));
}

static bool leads_straight(const struct sessions *sessions, uint32_t from, uint32_t to)
{
    if (sessions->session[from] == NONE) { /* In doubt: its process does not know of it. */
        return false;
    }
    bool from_read = moot_txn_only_step(sessions->txns, from)->is_read,
         to_read = moot_txn_only_step(sessions->txns, to)->is_read;
    bool same_key = moot_txn_only_step(sessions->txns, from)->key ==
                    moot_txn_only_step(sessions->txns, to)->key;
    if (from_read) {
        return grants(sessions,
                      to_read ? MOOT_SESSION_MONOTONIC_READS : MOOT_SESSION_WRITES_FOLLOW_READS);
    }
    bool chained = same_key || grants(sessions, MOOT_SESSION_MONOTONIC_WRITES);
    return chained && (!to_read || grants(sessions, MOOT_SESSION_READ_YOUR_WRITES));
}

/* Into sessions->path: how a write leads to a read, without what it need not go through. */
static void find_path(struct sessions *sessions, uint32_t write, uint32_t read)
{
    uint32_t count = sessions->txns->count, head = 0, tail = 0, from[ARROWS_MAX];
    uint32_t *next = moot_alloc((count + (size_t)1) * sizeof(*next));
    uint32_t *queue = moot_alloc((count + (size_t)1) * sizeof(*queue));
    memset(next, 0xff, (count + (size_t)1) * sizeof(*next));
    queue[tail++] = read;
    next[read] = read;
    while (head < tail && next[write] == NONE) {
        uint32_t one = queue[head++], arrows = arrows_into(sessions, one, from);
        for (uint32_t i = 0; i < arrows; i++) {
            if (next[from[i]] == NONE) {
                next[from[i]] = one;
                queue[tail++] = from[i];
            }
        }
    }
    MOOT_ASSERT(next[write] != NONE);
    uint32_t *path = queue; /* No longer than what was queued. */
    uint32_t length = 0;
    for (uint32_t one = write;; one = next[one]) {
        while (length >= 2 && is_same_process(sessions, path[length - 2], one) &&
               is_same_process(sessions, path[length - 1], one) &&
               leads_straight(sessions, path[length - 2], one)) {
            length--;
        }
        path[length++] = one;
        if (one == read) {
            break;
        }
    }
    moot_buffer_reset(&sessions->path, 0);
    moot_buffer_append(&sessions->path, path, length * sizeof(*path));
    moot_free(next);
    moot_free(queue);
}

static void append_arrow(struct sessions *sessions, const char *indent, uint32_t from, uint32_t to,
                         const char *why, struct moot_buffer *words)
{
    moot_buffer_append_text(words, indent);
    append_name(sessions, from, words);
    moot_buffer_append_text(words, " leads to ");
    append_name(sessions, to, words);
    moot_buffer_append_text(words, ": ");
    moot_buffer_append_text(words, why);
    moot_buffer_append_text(words, "\n");
}

static void append_path(struct sessions *sessions, uint32_t write, uint32_t read,
                        struct moot_buffer *words)
{
    find_path(sessions, write, read);
    const uint32_t *path = (const uint32_t *)(const void *)sessions->path.data;
    size_t length = sessions->path.size / sizeof(*path);
    for (size_t i = 1; i < length; i++) {
        append_arrow(sessions, "    ", path[i - 1], path[i], reason(sessions, path[i - 1], path[i]),
                     words);
    }
}

/* Whoever wrote what is read in the evidence belongs to it, or a read would seem to be of nothing.
 */
static void show_sources(struct sessions *sessions)
{
    struct moot_verdict *verdict = sessions->txns->verdict;
    for (size_t i = 0; i < verdict->evidence.size / sizeof(uint32_t); i++) {
        uint32_t shown = ((const uint32_t *)(const void *)verdict->evidence.data)[i];
        /* A transaction is an operation. */
        uint32_t source = moot_txn_source(sessions->txns, shown);
        if (source != NONE) {
            place_shown(verdict, source);
        }
    }
}

/* What is wrong. */
struct finding {
    uint32_t read, write;            /* A read of nil, and a write that leads to it; */
    const struct moot_buffer *cycle; /* or a cycle: struct moot_edge. */
};

/* Those of kind WW are from a write that leads to a read (the edge's version) to the write that it
 * returned. Returns a read that shows the cycle, or else an operation of it. */
static uint32_t say_cycle(struct sessions *sessions, const struct moot_buffer *cycle,
                          struct moot_buffer *words)
{
    const struct moot_edge *edges = (const void *)cycle->data;
    bool is_causal = sessions->arrows.start == NULL; /* Of the processes' whole orders. */
    uint32_t culprit = edges[0].from;
    for (size_t i = 0; i < cycle->size / sizeof(*edges); i++) {
        const struct moot_edge *edge = &edges[i];
        if (edge->kind != MOOT_EDGE_WW) {
            append_arrow(sessions, "  ", edge->from, edge->to,
                         is_causal && edge->kind == MOOT_EDGE_PROCESS
                             ? "the same process did it later"
                             : reason(sessions, edge->from, edge->to),
                         words);
            continue;
        }
        culprit = edge->version;
        moot_buffer_append_text(words, "  ");
        append_name(sessions, edge->from, words);
        moot_buffer_append_text(words, " is older than ");
        append_name(sessions, edge->to, words);
        moot_buffer_append_text(words, ", because ");
        append_name(sessions, culprit, words);
        moot_buffer_append_text(words, " read the latter, and cannot have missed the former:\n");
        append_path(sessions, edge->from, culprit, words);
    }
    moot_buffer_append_text(words, is_causal ? "  so each comes before itself\n"
                                             : "  so each comes before itself: no order of the"
                                               " writes exists\n");
    return culprit;
}

static uint32_t say(struct sessions *sessions, const struct finding *finding,
                    struct moot_buffer *words)
{
    if (finding->cycle != NULL) {
        return say_cycle(sessions, finding->cycle, words);
    }
    moot_buffer_append_text(words, "  ");
    append_name(sessions, finding->read, words);
    moot_buffer_append_text(words, " read nil, and cannot have missed the write ");
    append_name(sessions, finding->write, words);
    moot_buffer_append_text(words, ":\n");
    append_path(sessions, finding->write, finding->read, words);
    return finding->read;
}

static int compare_by_call(const void *left, const void *right, void *context)
{
    const struct moot_operation *operations = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    uint64_t call_a = operations[a].called.ns, call_b = operations[b].called.ns;
    return call_a != call_b ? (call_a > call_b) - (call_a < call_b) : (a > b) - (a < b);
}

/* Makes the verdict. The words are made twice: first to know of which operations they speak, so
 * that T1, T2 ... can be numbered as they were called. */
static void tell(struct sessions *sessions, const char *title, const struct finding *finding)
{
    const struct moot_history *history = sessions->txns->history;
    struct moot_verdict *verdict = sessions->txns->verdict;
    struct moot_buffer words, evidence;
    moot_buffer_init(&words);
    say(sessions, finding, &words);
    show_sources(sessions);
    size_t count = verdict->evidence.size / sizeof(uint32_t);
    qsort_r(verdict->evidence.data, count, sizeof(uint32_t), compare_by_call, history->operations);
    moot_buffer_reset(&words, 0);
    uint32_t culprit = say(sessions, finding, &words);
    evidence = verdict->evidence;
    moot_buffer_init(&verdict->evidence);
    moot_evidence_conclude(history, verdict, MOOT_JUDGEMENT_VIOLATION, title, MOOT_EVIDENCE_NONE,
                           MOOT_EVIDENCE_NONE);
    moot_buffer_deinit(&verdict->evidence);
    verdict->evidence = evidence;
    verdict->operation = sessions->txns->txns[culprit].operation;
    const uint32_t *shown = (const uint32_t *)(const void *)evidence.data;
    for (size_t i = 0; i < count; i++) {
        moot_buffer_append_text(&verdict->words, "    T");
        moot_buffer_append_u64(&verdict->words, i + 1);
        moot_buffer_append_text(&verdict->words, ": ");
        moot_operation_describe(&history->operations[shown[i]], &verdict->words);
        moot_buffer_append_text(&verdict->words, "\n");
    }
    moot_buffer_append_slice(&verdict->words, moot_buffer_slice(&words));
    moot_buffer_deinit(&words);
    sessions->is_broken = true;
}

/* ---- judging ---- */

/* What a read says of a write that leads to it. False on a violation. */
static bool meet(struct sessions *sessions, const char *title, uint32_t read, uint32_t write)
{
    uint32_t source = moot_txn_source(sessions->txns, read);
    if (write == NONE || write == source) {
        return true;
    }
    if (source == NONE) {
        tell(sessions, title, &(struct finding){.read = read, .write = write});
        return false;
    }
    moot_graph_add(&sessions->arrows, write, source, MOOT_EDGE_WW, read);
    return true;
}

static bool judge_read(struct sessions *sessions, const char *title, uint32_t read)
{
    if (sessions->clocks[READS] == NULL) { /* Only what its own process did can lead to it. */
        uint32_t other = sessions->on_key[READS][read], write = sessions->on_key[WRITES][read];
        uint32_t seen = other == NONE ? NONE : moot_txn_source(sessions->txns, other);
        return (!grants(sessions, MOOT_SESSION_MONOTONIC_READS) ||
                meet(sessions, title, read, seen)) &&
               (!grants(sessions, MOOT_SESSION_READ_YOUR_WRITES) ||
                meet(sessions, title, read, write));
    }
    uint32_t key = moot_txn_only_step(sessions->txns, read)->key;
    bool good = true;
    for (uint32_t i = sessions->runs_start[key]; i < sessions->runs_start[key + 1] && good; i++) {
        const struct run *run = &sessions->runs[i];
        uint32_t limit = clock_of(sessions, run->kind, read)[run->session];
        if (run->session == sessions->session[read] && limit > sessions->place[read]) {
            limit = sessions->place[read]; /* Not the read itself. */
        }
        if (run->kind == READS || grants(sessions, MOOT_SESSION_MONOTONIC_WRITES)) {
            uint32_t last = last_before(sessions, run, limit);
            uint32_t write =
                last == NONE || run->kind == WRITES ? last : moot_txn_source(sessions->txns, last);
            good = meet(sessions, title, read, write);
        }
    }
    return good;
}

static bool has_cycle(struct sessions *sessions, const struct moot_graph *graph, const char *title)
{
    struct moot_buffer cycle;
    moot_buffer_init(&cycle);
    bool found = moot_graph_cycle(graph, MOOT_EDGES_WR | MOOT_EDGES_PROCESS, MOOT_RW_ANY, &cycle);
    if (found) {
        tell(sessions, title, &(struct finding){.cycle = &cycle});
    }
    moot_buffer_deinit(&cycle);
    return found;
}

/* The causal order: of each process, and from each write to who read it. False when it is none. */
static bool order_causes(struct sessions *sessions)
{
    struct moot_txns *txns = sessions->txns;
    for (uint32_t i = 0; i < txns->count; i++) {
        uint32_t source = txns->txns[i].committed ? moot_txn_source(txns, i) : NONE;
        if (source != NONE) {
            moot_graph_add(&txns->graph, source, i, MOOT_EDGE_WR, NONE);
        }
    }
    moot_graph_seal(&txns->graph);
    if (has_cycle(sessions, &txns->graph, "CyclicCO, an effect before its cause:")) {
        return false;
    }
    order_causes_first(sessions);
    return true;
}

static void add_arrows(struct sessions *sessions)
{
    for (uint32_t i = 0; i < sessions->txns->count; i++) {
        uint32_t from[ARROWS_MAX];
        uint32_t count = sessions->txns->txns[i].committed ? arrows_into(sessions, i, from) : 0;
        for (uint32_t j = 0; j < count; j++) {
            bool read = from[j] == moot_txn_source(sessions->txns, i);
            moot_graph_add(&sessions->arrows, from[j], i, read ? MOOT_EDGE_WR : MOOT_EDGE_PROCESS,
                           NONE);
        }
    }
}

static void judge_arrows(struct sessions *sessions, const char *title)
{
    struct moot_txns *txns = sessions->txns;
    if (!find_sessions(sessions) || !order_causes(sessions)) {
        return;
    }
    if (grants(sessions, MOOT_SESSION_MONOTONIC_WRITES | MOOT_SESSION_WRITES_FOLLOW_READS)) {
        if ((uint64_t)sessions->sessions * txns->count > MOOT_CHECK_CAUSAL_MAX / 2) {
            moot_txns_conclude(txns, MOOT_JUDGEMENT_UNKNOWN, "too many operations and processes",
                               NONE, NONE);
            return;
        }
        compute_clocks(sessions);
        make_runs(sessions);
    }
    add_arrows(sessions);
    for (uint32_t i = 0; i < txns->count; i++) {
        const struct moot_txn_step *step = moot_txn_only_step(txns, i);
        if (sessions->session[i] != NONE && step->is_read && step->known &&
            !judge_read(sessions, title, i)) {
            return;
        }
    }
    moot_graph_seal(&sessions->arrows);
    has_cycle(sessions, &sessions->arrows, title);
}

static const char *title_of(unsigned guarantees)
{
    const char *title = NULL;
    for (size_t i = 0; i < MOOT_ARRAY_LEN(models); i++) {
        title = models[i].guarantees == guarantees ? models[i].broken : title;
    }
    MOOT_ASSERT(title != NULL); /* No other sets are judged. */
    return title;
}

/* True when it is a violation because of arrows: then a part of the history may show it too. */
static bool judge(const struct moot_history *history, unsigned guarantees,
                  struct moot_verdict *verdict)
{
    struct moot_txns txns;
    struct sessions sessions = {.txns = &txns, .guarantees = guarantees};
    if (moot_txns_collect(&txns, history, MOOT_ISOLATION_READ_COMMITTED, false /* lists */,
                          verdict) &&
        moot_txns_are_single(&txns) && moot_txns_judge_reads(&txns)) {
        size_t bytes = (txns.count + (size_t)1) * sizeof(uint32_t);
        uint32_t **arrays[] = {&sessions.order,          &sessions.session,
                               &sessions.place,          &sessions.before[READS],
                               &sessions.before[WRITES], &sessions.on_key[READS],
                               &sessions.on_key[WRITES]};
        for (size_t i = 0; i < MOOT_ARRAY_LEN(arrays); i++) {
            *arrays[i] = moot_alloc_zero(bytes);
        }
        moot_graph_init(&sessions.arrows, txns.count);
        moot_buffer_init(&sessions.path);
        judge_arrows(&sessions, title_of(guarantees));
        for (size_t i = 0; i < MOOT_ARRAY_LEN(arrays); i++) {
            moot_free(*arrays[i]);
        }
        moot_graph_deinit(&sessions.arrows);
        moot_buffer_deinit(&sessions.path);
        moot_free(sessions.clocks[READS]);
        moot_free(sessions.clocks[WRITES]);
        moot_free(sessions.marks);
        moot_free(sessions.runs);
        moot_free(sessions.runs_start);
    }
    moot_txns_deinit(&txns);
    return sessions.is_broken;
}

/* ---- the smallest part ---- */

struct part {
    const struct moot_history *history;
    uint32_t operations[SMALL_MAX];
    size_t count;
};

/* Judges a part of a history alone, without its operation at `without`. A part of a history that
 * keeps a guarantee keeps it: fewer operations draw fewer arrows. */
static bool judge_part(const struct part *part, size_t without, unsigned guarantees,
                       struct moot_verdict *verdict)
{
    struct moot_history small;
    moot_history_init(&small);
    for (size_t i = 0; i < part->count; i++) {
        if (i != without) {
            moot_history_add(&small, &part->history->operations[part->operations[i]]);
        }
    }
    bool is_broken = judge(&small, guarantees, verdict);
    moot_history_deinit(&small);
    return is_broken;
}

static bool is_broken(const struct part *part, size_t without, unsigned guarantees)
{
    struct moot_verdict verdict;
    moot_verdict_init(&verdict);
    bool broken = judge_part(part, without, guarantees, &verdict);
    moot_verdict_deinit(&verdict);
    return broken;
}

/* Leaves out whatever it can; a write only after those who read it. */
static void make_small(struct part *part, unsigned guarantees)
{
    for (bool again = true; again;) {
        again = false;
        for (size_t i = part->count; i-- > 0;) {
            if (is_broken(part, i, guarantees)) {
                part->count--;
                memmove(part->operations + i, part->operations + i + 1,
                        (part->count - i) * sizeof(*part->operations));
                again = true;
            }
        }
    }
}

static int compare_u32(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

/* The evidence made small, under the narrowest model that it breaks, and told anew. */
static void shrink(const struct moot_history *history, unsigned guarantees,
                   struct moot_verdict *verdict)
{
    struct part part = {.history = history, .count = verdict->evidence.size / sizeof(uint32_t)};
    if (part.count > SMALL_MAX) {
        return;
    }
    memcpy(part.operations, verdict->evidence.data, verdict->evidence.size);
    qsort(part.operations, part.count, sizeof(*part.operations), compare_u32);
    unsigned narrowest = 0;
    for (size_t i = 0; i < MOOT_ARRAY_LEN(models) && narrowest == 0; i++) {
        bool asked = (models[i].guarantees & ~guarantees) == 0;
        narrowest =
            asked && is_broken(&part, SIZE_MAX, models[i].guarantees) ? models[i].guarantees : 0;
    }
    MOOT_ASSERT(narrowest != 0); /* The evidence shows what it is the evidence of. */
    make_small(&part, narrowest);
    struct moot_verdict small;
    moot_verdict_init(&small);
    bool broken = judge_part(&part, SIZE_MAX, narrowest, &small);
    MOOT_ASSERT(broken);
    small.operation = part.operations[small.operation];
    for (size_t i = 0; i < small.evidence.size / sizeof(uint32_t); i++) {
        uint32_t *shown = (uint32_t *)(void *)small.evidence.data + i;
        *shown = part.operations[*shown];
    }
    small.operations = verdict->operations;
    small.keys = verdict->keys;
    moot_verdict_deinit(verdict);
    *verdict = small;
}

void moot_check_sessions(const struct moot_history *history, unsigned guarantees,
                         struct moot_verdict *verdict)
{
    if (judge(history, guarantees, verdict)) {
        shrink(history, guarantees, verdict);
    }
}
