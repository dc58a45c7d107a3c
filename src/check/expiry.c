#include "check/expiry.h"

#include "base/assert.h"
#include "base/memory.h"
#include "check/evidence.h"
#include "check/intern.h"

struct expiry {
    const struct moot_history *history;
    const struct moot_expiry_options *options;
    struct moot_verdict *verdict;
    struct moot_intern keys, texts;
    struct moot_pairs writes;       /* (key, value) -> its write + 1 */
    uint32_t *first_of_key, *after; /* Writes of a key, linked; 0: none, else the write + 1. */
};

static uint64_t lives_ns(const struct expiry *expiry, struct moot_slice value)
{
    return expiry->options->lifetime_ms(value) * MOOT_MSEC_NS;
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
        uint64_t late_ns = expiry->options->late_ms * MOOT_MSEC_NS;
        uint64_t end_ns = write->returned.ns + lives_ns(expiry, read->result.bytes) + late_ns;
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
    uint64_t until = read->returned.ns + expiry->options->early_ms * MOOT_MSEC_NS;
    for (uint32_t at = expiry->first_of_key[key]; at != 0; at = expiry->after[at - 1]) {
        const struct moot_operation *write = &expiry->history->operations[at - 1];
        bool over = write->outcome == MOOT_OUTCOME_OK && write->returned.ns < last_called;
        bool possible =
            write->outcome != MOOT_OUTCOME_FAIL && !over && write->called.ns <= read->returned.ns;
        if (possible && write->called.ns + lives_ns(expiry, write->argument.bytes) <= until) {
            return;
        }
    }
    moot_evidence_conclude(expiry->history, expiry->verdict, MOOT_JUDGEMENT_VIOLATION,
                           "a value had gone before its time:", number, last);
}

void moot_check_expiry(const struct moot_history *history,
                       const struct moot_expiry_options *options, struct moot_verdict *verdict)
{
    MOOT_ASSERT(options->lifetime_ms != NULL);
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
