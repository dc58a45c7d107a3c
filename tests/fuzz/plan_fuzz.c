/* Plans of quorums from elsewhere: any bytes are an encoding. What is accepted can be judged and
 * told in words. */
#include "base/assert.h"
#include "base/slice.h"
#include "moot/quorum_math.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct moot_plan plan;
    struct moot_slice bytes = moot_slice_make(data, size);
    int status = moot_plan_decode(bytes, &plan);
    MOOT_ASSERT(status == 0 || status == MOOT_EINVALID || status == MOOT_EVERSION);
    if (status != 0) {
        return 0;
    }
    uint8_t again[MOOT_PLAN_BYTES_MAX];
    size_t written;
    MOOT_ASSERT(moot_plan_encode(&plan, again, sizeof(again), &written) == 0);
    MOOT_ASSERT(moot_slice_equal(moot_slice_make(again, written), bytes));
    struct moot_plan_answer answer;
    moot_plan_judge(&plan, &answer);
    MOOT_ASSERT(answer.read_write_meet <= answer.write_size);
    MOOT_ASSERT(answer.reads.nodes < answer.nodes);
    MOOT_ASSERT(answer.both.nodes <= answer.writes.nodes);
    char text[MOOT_PLAN_TEXT_MAX];
    MOOT_ASSERT(moot_plan_explain(&plan, text, sizeof(text)) == 0);
    return 0;
}
