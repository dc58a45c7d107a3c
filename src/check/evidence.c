#include "check/evidence.h"

#include "base/assert.h"
#include "base/slice.h"

void moot_evidence_begin(const struct moot_history *history, struct moot_verdict *verdict)
{
    MOOT_ASSERT(verdict->judgement == MOOT_JUDGEMENT_VALID);
    MOOT_ASSERT(verdict->words.size == 0);
    MOOT_ASSERT(history->count < UINT32_MAX);
    verdict->operations = history->count;
}

void moot_evidence_conclude(const struct moot_history *history, struct moot_verdict *verdict,
                            enum moot_judgement judgement, const char *what, uint32_t first,
                            uint32_t second)
{
    MOOT_ASSERT(judgement != MOOT_JUDGEMENT_VALID);
    if (verdict->judgement == MOOT_JUDGEMENT_VIOLATION) {
        return;
    }
    moot_buffer_reset(&verdict->words, 0);
    moot_buffer_reset(&verdict->evidence, 0);
    verdict->judgement = judgement;
    verdict->operation = first == MOOT_EVIDENCE_NONE ? 0 : first;
    moot_buffer_append_text(&verdict->words, what);
    moot_buffer_append_text(&verdict->words, "\n");
    const uint32_t shown[2] = {first, second};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(shown); i++) {
        if (shown[i] != MOOT_EVIDENCE_NONE) {
            moot_buffer_append(&verdict->evidence, &shown[i], sizeof(shown[i]));
            moot_buffer_append_text(&verdict->words, "    ");
            moot_operation_describe(&history->operations[shown[i]], &verdict->words);
            moot_buffer_append_text(&verdict->words, "\n");
        }
    }
}

void moot_evidence_not_judged(const struct moot_history *history, struct moot_verdict *verdict,
                              uint32_t operation)
{
    moot_evidence_conclude(history, verdict, MOOT_JUDGEMENT_UNKNOWN,
                           "this checker has no such operation, or not with such a value:",
                           operation, MOOT_EVIDENCE_NONE);
}

uint64_t moot_evidence_end(const struct moot_operation *operation)
{
    return operation->outcome == MOOT_OUTCOME_OK ? operation->returned.ns : MOOT_NEVER.ns;
}

bool moot_evidence_is_read(const struct moot_operation *operation)
{
    return operation->kind == MOOT_OPERATION_READ && operation->outcome == MOOT_OUTCOME_OK &&
           operation->result.kind != MOOT_HISTORY_NONE;
}

bool moot_evidence_text(const struct moot_history_value *value, char *digits,
                        struct moot_slice *text)
{
    *text = value->bytes;
    if (value->kind == MOOT_HISTORY_INTEGER) {
        *text = moot_slice_make(digits, moot_text_i64(digits, value->integer));
    }
    return value->kind == MOOT_HISTORY_INTEGER || value->kind == MOOT_HISTORY_BYTES;
}
