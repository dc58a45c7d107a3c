#include "check/expiry.h"

#include "base/assert.h"
#include "base/memory.h"
#include "check/evidence.h"
#include "check/intern.h"
#include "check/linearizability.h"
#include "check/shrink.h"

enum {
    LATE_MS = 100, /* A slow machine may make a reader late. */
    STAMP_MS = 2,  /* Stamps are rounded down, and so are the ends of lives. */
};

struct moot_expiry_options moot_expiry_within(uint64_t clocks_ms)
{
    return (struct moot_expiry_options){.late_ms = clocks_ms + LATE_MS,
                                        .early_ms = clocks_ms + STAMP_MS};
}

/* ---- by time ---- */

struct expiry {
    const struct moot_history *history;
    const struct moot_expiry_options *options;
    struct moot_verdict *verdict;
    struct moot_intern keys, texts;
    struct moot_pairs writes;       /* (key, value) -> its write + 1 */
    uint32_t *first_of_key, *after; /* Writes of a key, linked; 0: none, else the write + 1. */
};

/* An instant that is never is UINT64_MAX: sums that reach it stay there. */
static uint64_t plus(uint64_t ns, uint64_t ms)
{
    uint64_t more = ms > UINT64_MAX / MOOT_MSEC_NS ? UINT64_MAX : ms * MOOT_MSEC_NS;
    return ns > UINT64_MAX - more ? UINT64_MAX : ns + more;
}

static uint64_t end_of(const struct moot_operation *write, uint64_t from_ns)
{
    return write->lives_ms == 0 ? UINT64_MAX : plus(from_ns, write->lives_ms);
}

static void collect(struct expiry *expiry)
{
    for (uint32_t i = 0; i < expiry->history->count; i++) {
        const struct moot_operation *write = &expiry->history->operations[i];
        if (write->kind == MOOT_OPERATION_READ || write->kind == MOOT_OPERATION_LENGTH) {
            continue;
        }
        if (write->kind != MOOT_OPERATION_WRITE || write->argument.kind != MOOT_HISTORY_BYTES) {
            moot_evidence_not_judged(expiry->history, expiry->verdict, i);
            continue;
        }
        uint32_t key = moot_intern_add(&expiry->keys, write->key);
        uint32_t text = moot_intern_add(&expiry->texts, write->argument.bytes);
        *moot_pairs_at(&expiry->writes, key, text, 0) = i + UINT64_C(1);
        expiry->after[i] = expiry->first_of_key[key];
        expiry->first_of_key[key] = i + 1;
    }
}

static void judge_seen(struct expiry *expiry, uint32_t number)
{
    const struct moot_operation *read = &expiry->history->operations[number];
    uint32_t key = moot_intern_add(&expiry->keys, read->key);
    uint32_t text = moot_intern_add(&expiry->texts, read->result.bytes);
    uint64_t found = *moot_pairs_at(&expiry->writes, key, text, 0);
    const char *what = NULL;
    uint32_t witness = found == 0 ? MOOT_EVIDENCE_NONE : (uint32_t)(found - 1);
    if (found == 0) {
        what = "a value was read that nobody wrote:";
    } else {
        const struct moot_operation *write = &expiry->history->operations[witness];
        uint64_t end_ns = plus(end_of(write, write->returned.ns), expiry->options->late_ms);
        if (write->outcome == MOOT_OUTCOME_FAIL) {
            what = "a value was read whose write failed:";
        } else if (write->outcome == MOOT_OUTCOME_OK && read->called.ns > end_ns) {
            what = "a value was read long after it had expired:";
        }
    }
    if (what != NULL) {
        moot_evidence_conclude(expiry->history, expiry->verdict, MOOT_JUDGEMENT_VIOLATION, what,
                               number, witness);
    }
}

/* The write that surely was before the read and was called last, or NONE: what ended before that
 * one was called is no longer there. */
static uint32_t last_before(const struct expiry *expiry, uint32_t key,
                            const struct moot_operation *read)
{
    uint32_t last = MOOT_EVIDENCE_NONE;
    for (uint32_t at = expiry->first_of_key[key]; at != 0; at = expiry->after[at - 1]) {
        const struct moot_operation *write = &expiry->history->operations[at - 1];
        bool sure = write->outcome == MOOT_OUTCOME_OK && write->returned.ns < read->called.ns;
        if (sure && (last == MOOT_EVIDENCE_NONE ||
                     write->called.ns > expiry->history->operations[last].called.ns)) {
            last = at - 1;
        }
    }
    return last;
}

static void judge_nothing(struct expiry *expiry, uint32_t number)
{
    const struct moot_operation *read = &expiry->history->operations[number];
    uint32_t key = moot_intern_add(&expiry->keys, read->key);
    uint32_t last = last_before(expiry, key, read);
    if (last == MOOT_EVIDENCE_NONE) {
        return; /* Perhaps nothing was ever there. */
    }
    uint64_t last_called = expiry->history->operations[last].called.ns;
    uint64_t until = plus(read->returned.ns, expiry->options->early_ms);
    for (uint32_t at = expiry->first_of_key[key]; at != 0; at = expiry->after[at - 1]) {
        const struct moot_operation *write = &expiry->history->operations[at - 1];
        bool over = write->outcome == MOOT_OUTCOME_OK && write->returned.ns < last_called;
        bool possible =
            write->outcome != MOOT_OUTCOME_FAIL && !over && write->called.ns <= read->returned.ns;
        if (possible && end_of(write, write->called.ns) <= until) {
            return;
        }
    }
    moot_evidence_conclude(expiry->history, expiry->verdict, MOOT_JUDGEMENT_VIOLATION,
                           "a value had gone before its time:", number, last);
}

static void judge_times(const struct moot_history *history,
                        const struct moot_expiry_options *options, struct moot_verdict *verdict)
{
    moot_evidence_begin(history, verdict);
    size_t bytes = (history->count + 1) * sizeof(uint32_t);
    struct expiry expiry = {.history = history,
                            .options = options,
                            .verdict = verdict,
                            .first_of_key = moot_alloc_zero(bytes),
                            .after = moot_alloc_zero(bytes)};
    moot_intern_init(&expiry.keys);
    moot_intern_init(&expiry.texts);
    moot_pairs_init(&expiry.writes);
    collect(&expiry);
    for (uint32_t i = 0; i < history->count; i++) {
        const struct moot_operation *read = &history->operations[i];
        if (moot_evidence_is_read(read) && read->result.kind == MOOT_HISTORY_BYTES) {
            judge_seen(&expiry, i);
        } else if (moot_evidence_is_read(read) && read->result.kind == MOOT_HISTORY_NIL) {
            judge_nothing(&expiry, i);
        } else if (moot_evidence_is_read(read)) {
            moot_evidence_not_judged(history, verdict, i);
        }
    }
    verdict->keys = expiry.keys.count;
    moot_pairs_deinit(&expiry.writes);
    moot_intern_deinit(&expiry.texts);
    moot_intern_deinit(&expiry.keys);
    moot_free(expiry.after);
    moot_free(expiry.first_of_key);
}

/* ---- by order ---- */

/* What found nothing deleted; what says nothing of the value is a read that was not answered. */
static struct moot_operation as_of_register(const struct moot_operation *operation)
{
    struct moot_operation one = *operation;
    bool nothing = one.outcome == MOOT_OUTCOME_OK && one.result.kind == MOOT_HISTORY_NIL;
    one.lives_ms = 0;
    if (one.kind == MOOT_OPERATION_LENGTH) {
        one.kind = MOOT_OPERATION_READ;
        one.result = moot_history_none();
    } else if (one.kind == MOOT_OPERATION_READ && nothing) {
        one.kind = MOOT_OPERATION_DELETE;
        one.result = moot_history_none();
    }
    return one;
}

static void judge_order(const struct moot_history *history,
                        const struct moot_expiry_options *options, struct moot_verdict *verdict)
{
    const struct moot_linearizability_options how = {.configurations_max =
                                                         options->configurations_max};
    struct moot_history registers = {.count = history->count}; /* Its bytes are the other's. */
    struct moot_verdict found;
    registers.operations = moot_alloc((history->count + 1) * sizeof(*registers.operations));
    for (size_t i = 0; i < history->count; i++) {
        registers.operations[i] = as_of_register(&history->operations[i]);
    }
    moot_verdict_init(&found);
    moot_check_linearizable(&registers, &moot_model_register, &how, &found);
    if (found.judgement == MOOT_JUDGEMENT_VIOLATION) { /* Numbers are those of `history`, too. */
        size_t needed;
        moot_shrink(&registers, &moot_model_register, &found, &needed);
    }
    moot_free(registers.operations);
    if (found.judgement == MOOT_JUDGEMENT_VALID) {
        moot_verdict_deinit(&found);
        return;
    }
    moot_verdict_deinit(verdict);
    *verdict = found;
    if (found.judgement == MOOT_JUDGEMENT_VIOLATION) {
        moot_buffer_append_text(&verdict->words,
                                "so a value came back that had gone, or had been written over; a "
                                "read of nothing is shown as a delete\n");
    }
}

void moot_check_expiry(const struct moot_history *history,
                       const struct moot_expiry_options *options, struct moot_verdict *verdict)
{
    judge_times(history, options, verdict);
    if (verdict->judgement == MOOT_JUDGEMENT_VALID) {
        judge_order(history, options, verdict);
    }
}
