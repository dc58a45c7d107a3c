/* What peers send: any bytes, and each kind of message with bytes changed where the input says.
 * Whatever is accepted is encoded again and accepted as the same. */
#include "../unit/group_message_samples.h"

static void decode(struct moot_slice bytes, struct moot_arena *arena)
{
    struct moot_message message;
    int status = moot_message_decode(bytes, arena, &message);
    MOOT_ASSERT(status == 0 || status == MOOT_EINVALID || status == MOOT_EVERSION);
    if (status == 0) {
        sample_accepted(&message, arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct moot_arena arena;
    struct moot_message message;
    struct moot_buffer bytes;
    moot_arena_init(&arena);
    moot_buffer_init(&bytes);
    decode(moot_slice_make(data, size), &arena);
    if (size > 0) {
        sample_message(data[0] % SAMPLES, &arena, &message);
        sample_wire(&message, &bytes);
        for (size_t i = 1; i + 1 < size; i += 2) {
            bytes.data[data[i] % bytes.size] = data[i + 1];
        }
        decode(moot_buffer_slice(&bytes), &arena);
    }
    moot_buffer_deinit(&bytes);
    moot_arena_deinit(&arena);
    return 0;
}
