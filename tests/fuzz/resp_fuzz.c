/* Any bytes read whole, and torn as the first byte says, give the same commands and the same end.
 */
#include "base/assert.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/status.h"
#include "wire/resp.h"

/* A chain over all commands and the last status; the pieces grow by `step`. */
static uint64_t read_all(struct moot_slice all, size_t step)
{
    struct moot_resp_parser parser;
    moot_resp_parser_init(&parser);
    uint64_t chain = 0;
    size_t at = 0, size = 0;
    int status = MOOT_EAGAIN;
    while (status == MOOT_EAGAIN && size < all.size) {
        size = size + step < all.size ? size + step : all.size;
        /* A copy of the exact size: the sanitizer sees a read behind it. */
        uint8_t *copy = moot_alloc(size);
        memcpy(copy, all.data, size);
        for (;;) {
            struct moot_slice bytes = {copy + at, size - at};
            size_t consumed;
            status = moot_resp_parse(&parser, bytes, &consumed);
            if (status != MOOT_OK) {
                break;
            }
            MOOT_ASSERT(consumed > 0 && consumed <= bytes.size);
            chain = moot_hash_mix(chain, parser.arg_count);
            for (uint32_t i = 0; i < parser.arg_count; i++) {
                chain = moot_hash64(moot_resp_arg(&parser, bytes, i), chain);
            }
            at += consumed;
        }
        moot_free(copy);
    }
    MOOT_ASSERT(status == MOOT_EAGAIN || parser.error != NULL);
    if (status != MOOT_EAGAIN) {
        chain = moot_hash64(moot_slice_text(parser.error), chain);
    }
    moot_resp_parser_deinit(&parser);
    return moot_hash_mix(chain, (uint64_t)status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct moot_slice all = {data + 1, size - 1};
    MOOT_ASSERT(read_all(all, all.size) == read_all(all, 1 + data[0] % 37));
    size_t consumed = 0;
    struct moot_resp_value value;
    if (moot_resp_skip(all, &consumed) == MOOT_OK) {
        MOOT_ASSERT(consumed > 0 && consumed <= all.size);
        size_t head;
        MOOT_ASSERT(moot_resp_read(all, &value, &head) == MOOT_OK);
        MOOT_ASSERT(head <= consumed);
        all.size = consumed - 1;
        MOOT_ASSERT(moot_resp_skip(all, &consumed) == MOOT_EAGAIN);
    }
    return 0;
}
