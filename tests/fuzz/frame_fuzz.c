/* Two ways in. Any bytes: whole and torn, the receiver says the same. And a link whose frames are
 * sound but whose bytes were changed where the input says: no message arrives that was not sent. */
#include "base/assert.h"
#include "base/block.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/slice.h"
#include "base/status.h"
#include "wire/frame.h"

enum { KEY = 5 };

/* A chain over all messages, and their count; *status is how it ended. */
static uint64_t receive_all(struct moot_slice all, size_t step, size_t *count, int *status)
{
    struct moot_frame_receiver receiver;
    moot_frame_receiver_init(&receiver, KEY);
    uint64_t chain = 0;
    *count = 0;
    *status = MOOT_EAGAIN;
    for (size_t at = 0; at < all.size && *status == MOOT_EAGAIN; at += step) {
        size_t size = all.size - at < step ? all.size - at : step;
        uint8_t *copy = moot_alloc(size);
        memcpy(copy, all.data + at, size);
        struct moot_slice bytes = {copy, size};
        struct moot_frame_message message;
        while ((*status = moot_frame_receive(&receiver, &bytes, &message)) == MOOT_OK) {
            chain =
                moot_hash_mix(moot_hash64(moot_block_slice(message.block), chain), message.lane);
            moot_block_release(message.block);
            (*count)++;
        }
        moot_free(copy);
    }
    moot_frame_receiver_deinit(&receiver);
    return chain;
}

static void torn_agrees_with_whole(struct moot_slice all, size_t step)
{
    size_t whole_count, torn_count;
    int whole_status, torn_status;
    uint64_t whole = receive_all(all, all.size, &whole_count, &whole_status);
    uint64_t torn = receive_all(all, step, &torn_count, &torn_status);
    MOOT_ASSERT(whole == torn);
    MOOT_ASSERT(whole_count == torn_count);
    MOOT_ASSERT(whole_status == torn_status);
}

/* Sends the input as messages of the sizes it says, with the payloads it is. */
static void send_input(struct moot_slice all, struct moot_buffer *link)
{
    struct moot_frame_sender sender;
    moot_frame_sender_init(&sender, KEY);
    while (all.size > 0) {
        size_t size = all.data[0] % 32 < all.size ? all.data[0] % 32 : all.size;
        /* Some are long, so that they take several frames. */
        struct moot_block *block = moot_block_make(all.data[0] > 250 ? 150000 : 3);
        memset(block->data, all.data[0], block->size);
        struct moot_frame_part part = {block, 0, (uint32_t)block->size};
        int status = moot_frame_send(&sender, all.data[0] & 1 ? MOOT_LANE_BULK : MOOT_LANE_URGENT,
                                     (struct moot_slice){all.data, size}, &part, 1);
        MOOT_ASSERT(status == MOOT_OK || status == MOOT_EOVERLOADED);
        moot_block_release(block);
        if (all.data[0] & 2) {
            moot_frame_take(&sender, link, MOOT_FRAME_BYTES_MAX);
        }
        size = size == 0 ? 1 : size;
        all.data += size;
        all.size -= size;
    }
    while (!moot_frame_sender_is_empty(&sender)) {
        moot_frame_take(&sender, link, MOOT_FRAME_BYTES_MAX);
    }
    moot_frame_sender_deinit(&sender);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 8 || size > 4096) {
        return 0;
    }
    size_t step = 1 + data[0] % 61;
    size_t damage_at = (size_t)data[1] | (size_t)data[2] << 8 | (size_t)data[3] << 16;
    uint8_t damage = data[4];
    struct moot_slice all = {data + 5, size - 5};
    torn_agrees_with_whole(all, step);

    struct moot_buffer link;
    moot_buffer_init(&link);
    send_input(all, &link);
    size_t sent, arrived;
    int status;
    receive_all(moot_buffer_slice(&link), link.size, &sent, &status);
    MOOT_ASSERT(status == MOOT_EAGAIN);
    MOOT_ASSERT(sent > 0);
    link.data[damage_at % link.size] ^= damage;
    receive_all(moot_buffer_slice(&link), step * 16, &arrived, &status);
    if (damage == 0) {
        MOOT_ASSERT(status == MOOT_EAGAIN && arrived == sent);
    } else {
        MOOT_ASSERT(status == MOOT_ECORRUPT && arrived < sent);
    }
    moot_buffer_deinit(&link);
    return 0;
}
