#include "check/explain.h"

#include "base/slice.h"
#include "check/shrink.h"

enum { LANES_MAX = 24 /* Operations; more fill no terminal. */ };

void moot_explain_evidence(const struct moot_history *history, const struct moot_model *model,
                           struct moot_verdict *verdict, struct moot_buffer *out)
{
    size_t count, needed;
    if (model != NULL) {
        moot_shrink(history, model, verdict, &needed);
        (void)moot_evidence_of(verdict, &count);
        if (needed == 0) {
            return; /* It was not made smaller within its budget. */
        }
        moot_buffer_append_text(out, "  the smallest part found that fails by itself: ");
        moot_buffer_append_u64(out, needed);
        moot_buffer_append_text(out, needed == 1 ? " operation\n" : " operations\n");
        moot_buffer_append_text(out,
                                "  (every other write of the key may have happened or not, at any "
                                "time after its call; ");
        moot_buffer_append_u64(out, count - needed);
        moot_buffer_append_text(out, " shown)\n");
    }
    const uint32_t *operations = moot_evidence_of(verdict, &count);
    if (count > 0 && count <= LANES_MAX) {
        moot_draw_lanes(history, operations, count, out);
    }
}
