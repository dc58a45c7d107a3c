/* Is a history linearizable: is there one order of its operations that respects real time and in
 * which every answer is right? (Herlihy and Wing 1990.)
 *
 * Intuition: each operation took effect at one instant between its call and its return. Try to put
 * the instants down, return by return, and go back when an answer fits nowhere.
 *
 * The search is Wing and Gong's (1993) with Lowe's two improvements (2017): operations are placed
 * just in time, when a return demands it, and a configuration (what is placed, the state it gives)
 * is searched once. Keys are independent objects, so each is judged alone (locality, called
 * P-compositionality by Horn and Kroening 2015). Beyond the papers:
 *
 * - A configuration is small: everything that returned before the frontier is placed, so only the
 *   placed operations still open there are listed, not a bit for each operation of the history.
 * - An answer that fits now and changes nothing (a read) is placed at once: moving it to the front
 *   of any order that works gives another that works.
 * - In-doubt operations may be placed at any time after their call, or never. They are tried last,
 *   and only where the next operation placed tells that they were: one that the next would hide
 *   may as well not have happened. Values that nobody read are one value;
 *   of equal ones the first called goes first; and a configuration that used more of them than an
 *   equal one searched before is not searched again, because it can do nothing that one could not.
 *
 * - A state that came from one operation alone is not left before all who found it are placed: with
 *   different values the search hardly ever goes back, compare-and-set and deletes included.
 *
 * Registers of reads, writes and deletes whose written values are all different are decided without
 * a search in O(n log n), by zones (Gibbons and Korach 1997, section 4). Without deletes always;
 * with them, unless several open at once leave a choice that cannot be seen through (zones.c says
 * when): such a key is searched, so that the verdict is exact in any case.
 *
 * The time is exponential in the worst case, so there is a budget, and `unknown` when it ends: so
 * many configurations, and MOOT_CHECK_COMPARISONS comparisons between them for each. */
#ifndef MOOT_CHECK_LINEARIZABILITY_H
#define MOOT_CHECK_LINEARIZABILITY_H

#include "check/history.h"
#include "check/verdict.h"

/* An operation as the model sees it, made once a history, so that a step is a few comparisons of
 * numbers. What the numbers mean is the model's affair. */
struct moot_model_step {
    enum moot_operation_kind kind; /* Set by the checker. */
    bool result_known;             /* False: any result is right (in doubt, or not looked at). */
    bool changes_nothing; /* In no state does it change the state: a read, a refused compare. */
    bool blind;           /* It may happen in any state, and gives the same state after each. */
    uint64_t argument;
    uint64_t expected;
    uint64_t result;
};

#define MOOT_STATE_ANY UINT64_MAX

/* A sequential object. A state is one word; a model with larger states numbers them, so that equal
 * numbers mean equal states, and only those. */
struct moot_model {
    const char *name;
    /* The object of one key. */
    void *(*open)(void);
    void (*close)(void *object);
    /* False when this model has no such operation, or its argument or result are of a wrong kind:
     * the history cannot be judged. `step` was zeroed. */
    bool (*compile)(void *object, const struct moot_operation *operation,
                    struct moot_model_step *step);
    /* May be NULL. Once, after every operation of the key: makes steps equal that nobody can tell
     * apart, like writes of values that were never read; or notes what, as all of them together
     * show, cannot be, so that `apply` refuses it. */
    void (*simplify)(void *object, struct moot_model_step *const *steps, size_t count);
    /* May be NULL. The state that a step leads to if it changes any, and the one that it must have
     * found; MOOT_STATE_ANY where there is none. A state is not left while somebody must still find
     * it and nothing leads back. */
    void (*trace)(const struct moot_model_step *step, uint64_t *leads_to, uint64_t *found);
    /* With trace: the step, whose result nobody knows, did lead to the state that trace tells. */
    void (*confirm)(struct moot_model_step *step);
    /* May be NULL. The part of a state that goes for good when it becomes `next`, or
     * MOOT_STATE_ANY; and the parts that must be there for a step to fit, until the next call. Both
     * are small numbers. */
    uint64_t (*gone)(void *object, uint64_t state, uint64_t next);
    const uint64_t *(*needed)(void *object, const struct moot_model_step *step, size_t *count);
    /* The state before the first operation. */
    uint64_t (*initial)(void *object);
    /* True when `step` may happen in `state` and give its result; *next is the state after it. */
    bool (*apply)(void *object, uint64_t state, const struct moot_model_step *step, uint64_t *next);
    void (*describe)(void *object, uint64_t state, struct moot_buffer *out);
};

/* A register: read, write, cas, delete, swap. Absent at first; absent reads nil. */
extern const struct moot_model moot_model_register;
/* A counter: increment, read, write, delete. An absent counter is 0, and reads nil or 0. */
extern const struct moot_model moot_model_counter;
/* A string (append, write, read, length, delete) or list (push, push-front, pop, pop-back, read,
 * length, delete); an absent one is empty, and reads nil or empty. */
extern const struct moot_model moot_model_append;

struct moot_linearizability_options {
    uint64_t configurations_max; /* Budget for each key; 0: MOOT_CHECK_CONFIGURATIONS_MAX. */
    bool search_only;            /* For tests: decide nothing by zones. */
};

/* Judges every key; stops at the first violation. `verdict` was initialised and never used. A
 * violation is certain even when other keys are unknown. */
void moot_check_linearizable(const struct moot_history *history, const struct moot_model *model,
                             const struct moot_linearizability_options *options,
                             struct moot_verdict *verdict);

#endif
