/* Who a node is, as the journal and the reply to a join say it: what is decoded is encoded to the
 * same bytes. */
#include "base/assert.h"
#include "base/status.h"
#include "database/node.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct moot_identity identity;
    struct moot_slice bytes = {data, size};
    int status = moot_identity_decode(bytes, &identity);
    MOOT_ASSERT(status == 0 || status == MOOT_EINVALID || status == MOOT_EVERSION);
    if (status == 0) {
        struct moot_buffer again;
        moot_buffer_init(&again);
        moot_identity_encode(&identity, &again);
        MOOT_ASSERT(again.size <= size); /* A length may have been written longer than it needs. */
        MOOT_ASSERT(again.size < size || moot_slice_equal(moot_buffer_slice(&again), bytes));
        moot_buffer_deinit(&again);
    }
    return 0;
}
