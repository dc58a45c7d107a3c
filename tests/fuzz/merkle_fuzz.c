/* What the digest module reads: trees and messages of any bytes. What is accepted is encoded as the
 * same again, and may be answered and given to a comparison. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "base/status.h"
#include "moot/merkle.h"

enum { LEAVES = 300 };

static void try_tree(struct moot_slice bytes)
{
    uint64_t memory[512];
    uint8_t again[8192];
    struct moot_merkle tree;
    size_t used;
    MOOT_ASSERT(moot_merkle_size(LEAVES) <= sizeof(memory));
    moot_merkle_init(&tree, memory, LEAVES);
    int status = moot_merkle_decode(&tree, bytes);
    MOOT_ASSERT(status == 0 || status == MOOT_EINVALID || status == MOOT_EVERSION);
    moot_merkle_check(&tree);
    if (status == 0) {
        struct moot_merkle copy;
        uint64_t copy_memory[512];
        moot_merkle_init(&copy, copy_memory, LEAVES);
        MOOT_ASSERT(moot_merkle_encode(&tree, again, sizeof(again), &used) == 0);
        MOOT_ASSERT(moot_merkle_decode(&copy, moot_slice_make(again, used)) == 0);
        MOOT_ASSERT(moot_merkle_root(&copy) == moot_merkle_root(&tree));
    }
}

static void try_message(struct moot_slice bytes)
{
    static struct moot_merkle_message message;
    static struct moot_merkle_message reply;
    static struct moot_merkle_compare compare;
    uint8_t again[MOOT_MERKLE_MESSAGE_MAX];
    size_t used;
    int status = moot_merkle_message_decode(bytes, &message);
    MOOT_ASSERT(status == 0 || status == MOOT_EINVALID || status == MOOT_EVERSION);
    if (status != 0) {
        return;
    }
    MOOT_ASSERT(moot_merkle_message_encode(&message, again, sizeof(again), &used) == 0);
    MOOT_ASSERT(moot_merkle_message_decode(moot_slice_make(again, used), &reply) == 0);
    uint64_t memory[512];
    uint64_t bits[16];
    struct moot_merkle tree;
    struct moot_merkle_effects effects;
    moot_merkle_init(&tree, memory, LEAVES);
    moot_merkle_add(&tree, 5, 55);
    struct moot_merkle_item mine = {message.items.from, 1};
    if (moot_merkle_answer_nodes(&tree, message.scope, &message, &reply) == 0 ||
        (message.kind == MOOT_MERKLE_ITEMS &&
         moot_merkle_answer_items(&mine, 1, UINT64_MAX, message.scope, &message, &reply) == 0)) {
        MOOT_ASSERT(moot_merkle_message_encode(&reply, again, sizeof(again), &used) == 0);
        MOOT_ASSERT(moot_merkle_message_decode(moot_slice_make(again, used), &reply) == 0);
    }
    /* As an answer to the first question, and to one about pairs. */
    MOOT_ASSERT(moot_merkle_compare_size(&tree) <= sizeof(bits));
    moot_merkle_compare_init(&compare, &tree, bits, moot_ms(1));
    struct moot_merkle_event event = {.kind = MOOT_MERKLE_EVENT_START, .scope = message.scope};
    moot_merkle_compare_step(&compare, &event, &effects);
    for (int i = 0; i < 4; i++) {
        message.round = compare.message.round;
        event = (struct moot_merkle_event){.kind = MOOT_MERKLE_EVENT_REPLY, .message = &message};
        if (effects.next == MOOT_MERKLE_EFFECT_LIST) {
            event = (struct moot_merkle_event){.kind = MOOT_MERKLE_EVENT_LISTED};
        }
        moot_merkle_compare_step(&compare, &event, &effects);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) {
        struct moot_slice rest = moot_slice_make(data + 1, size - 1);
        if (data[0] % 2 == 0) {
            try_tree(rest);
        } else {
            try_message(rest);
        }
    }
    return 0;
}
