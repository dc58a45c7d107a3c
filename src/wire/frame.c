#include "wire/frame.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/rule.h"
#include "base/status.h"

enum {
    MAGIC = 0x4d01, /* 'M', version 1. */
    FLAG_FIRST = 1,
    FLAG_LAST = 2,
    PAYLOAD_MAX = MOOT_FRAME_BYTES_MAX - MOOT_FRAME_HEAD_BYTES,
    TORN_KEEP = 4096, /* A link that once carried a snapshot need not keep 64 KiB for it. */
};
_Static_assert(MOOT_MESSAGE_BYTES_MAX <= UINT32_MAX, "`left` has 32 bits");

struct head {
    uint32_t check;
    uint16_t magic;
    uint8_t lane, flags;
    uint32_t length, left;
    uint64_t checksum;
};

/* The seed of frame `number`. */
static uint64_t seed_of(uint64_t key, uint64_t number) { return moot_hash_mix(key, number); }

static uint32_t head_check(const uint8_t *at, uint64_t seed)
{
    struct moot_slice checked = {at + 4, MOOT_FRAME_HEAD_BYTES - 4};
    return (uint32_t)moot_hash64(checked, seed);
}

static void put_head(uint8_t *at, const struct head *head, uint64_t seed)
{
    at[4] = (uint8_t)head->magic;
    at[5] = (uint8_t)(head->magic >> 8);
    at[6] = head->lane;
    at[7] = head->flags;
    moot_store_le32(at + 8, head->length);
    moot_store_le32(at + 12, head->left);
    moot_store_le64(at + 16, head->checksum);
    moot_store_le32(at, head_check(at, seed));
}

static struct head get_head(const uint8_t *at)
{
    return (struct head){
        .check = moot_load_le32(at),
        .magic = (uint16_t)(at[4] | at[5] << 8),
        .lane = at[6],
        .flags = at[7],
        .length = moot_load_le32(at + 8),
        .left = moot_load_le32(at + 12),
        .checksum = moot_load_le64(at + 16),
    };
}

/* ---- sending ---- */

/* Invariant: taken < size, or both are 0, while it is queued. part and part_taken say where the
 * byte `taken` is. */
struct moot_frame_queued {
    struct moot_frame_queued *next;
    size_t cost;
    uint32_t size, taken;
    uint32_t part_count, part, part_taken;
    struct moot_frame_part parts[];
};

void moot_frame_sender_init(struct moot_frame_sender *sender, uint64_t key)
{
    *sender = (struct moot_frame_sender){.key = key};
}

static void drop_first(struct moot_frame_sender *sender, size_t lane)
{
    struct moot_frame_queued *message = sender->first[lane];
    MOOT_ASSERT(message != NULL);
    MOOT_ASSERT(sender->queued_bytes >= message->cost);
    sender->first[lane] = message->next;
    if (message->next == NULL) {
        sender->last[lane] = NULL;
    }
    sender->queued_bytes -= message->cost;
    for (uint32_t i = 0; i < message->part_count; i++) {
        moot_block_release(message->parts[i].block);
    }
    moot_free(message);
}

void moot_frame_sender_deinit(struct moot_frame_sender *sender)
{
    for (size_t lane = 0; lane < MOOT_LANES; lane++) {
        while (sender->first[lane] != NULL) {
            drop_first(sender, lane);
        }
    }
    MOOT_ASSERT(sender->queued_bytes == 0);
}

int moot_frame_send(struct moot_frame_sender *sender, enum moot_lane lane, struct moot_slice head,
                    const struct moot_frame_part *parts, size_t part_count)
{
    MOOT_ASSERT(lane == MOOT_LANE_URGENT || lane == MOOT_LANE_BULK);
    if (part_count > MOOT_MESSAGE_PARTS_MAX) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    uint64_t size = head.size;
    for (size_t i = 0; i < part_count; i++) {
        MOOT_ASSERT((uint64_t)parts[i].offset + parts[i].size <= parts[i].block->size);
        size += parts[i].size;
    }
    if (size > MOOT_MESSAGE_BYTES_MAX) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    size_t bookkeeping =
        sizeof(struct moot_frame_queued) + (part_count + 1) * sizeof(struct moot_frame_part);
    size_t most =
        MOOT_PEER_QUEUE_BYTES_MAX - (lane == MOOT_LANE_URGENT ? 0 : MOOT_PEER_URGENT_BYTES);
    if (sender->queued_bytes + bookkeeping + size > most) {
        MOOT_SOMETIMES(true, "a peer's queue is full");
        return MOOT_FAIL(MOOT_EOVERLOADED);
    }

    struct moot_frame_queued *message = moot_alloc(bookkeeping);
    *message = (struct moot_frame_queued){.cost = bookkeeping + size, .size = (uint32_t)size};
    if (head.size > 0) {
        message->parts[message->part_count++] =
            (struct moot_frame_part){moot_block_copy(head), 0, (uint32_t)head.size};
    }
    for (size_t i = 0; i < part_count; i++) {
        message->parts[message->part_count++] = parts[i];
        moot_block_retain(parts[i].block);
    }
    if (sender->last[lane] == NULL) {
        sender->first[lane] = message;
    } else {
        sender->last[lane]->next = message;
    }
    sender->last[lane] = message;
    sender->queued_bytes += message->cost;
    return MOOT_OK;
}

/* Copies the next `size` bytes of the message. */
static void copy_parts(struct moot_frame_queued *message, uint8_t *to, uint32_t size)
{
    MOOT_ASSERT(message->taken + size <= message->size);
    message->taken += size;
    while (size > 0) {
        MOOT_ASSERT(message->part < message->part_count);
        const struct moot_frame_part *part = &message->parts[message->part];
        uint32_t count = (uint32_t)moot_min_u64(size, part->size - message->part_taken);
        memcpy(to, part->block->data + part->offset + message->part_taken, count);
        to += count;
        size -= count;
        message->part_taken += count;
        if (message->part_taken == part->size) {
            message->part++;
            message->part_taken = 0;
        }
    }
}

size_t moot_frame_take(struct moot_frame_sender *sender, struct moot_buffer *out, size_t budget)
{
    MOOT_ASSERT(budget >= MOOT_FRAME_BYTES_MAX);
    size_t written = 0;
    while (!moot_frame_sender_is_empty(sender)) {
        enum moot_lane lane =
            sender->first[MOOT_LANE_URGENT] != NULL ? MOOT_LANE_URGENT : MOOT_LANE_BULK;
        struct moot_frame_queued *message = sender->first[lane];
        uint32_t left = message->size - message->taken;
        uint32_t length = left < PAYLOAD_MAX ? left : PAYLOAD_MAX;
        if (written + MOOT_FRAME_HEAD_BYTES + length > budget) {
            break;
        }
        MOOT_SOMETIMES(lane == MOOT_LANE_URGENT && sender->first[MOOT_LANE_BULK] != NULL &&
                           sender->first[MOOT_LANE_BULK]->taken > 0,
                       "an urgent message overtakes the rest of a bulk one");
        uint8_t *at = moot_buffer_reserve(out, MOOT_FRAME_HEAD_BYTES + length);
        uint8_t *payload = at + MOOT_FRAME_HEAD_BYTES;
        uint64_t seed = seed_of(sender->key, sender->number++);
        struct head head = {
            .magic = MAGIC,
            .lane = (uint8_t)lane,
            .flags = (uint8_t)((message->taken == 0 ? FLAG_FIRST : 0) |
                               (left == length ? FLAG_LAST : 0)),
            .length = length,
            .left = left - length,
        };
        copy_parts(message, payload, length);
        head.checksum = moot_hash64(moot_slice_make(payload, length), seed);
        put_head(at, &head, seed);
        out->size += MOOT_FRAME_HEAD_BYTES + length;
        written += MOOT_FRAME_HEAD_BYTES + length;
        if (head.left == 0) {
            drop_first(sender, lane);
        }
    }
    return written;
}

/* ---- receiving ---- */

void moot_frame_receiver_init(struct moot_frame_receiver *receiver, uint64_t key)
{
    *receiver = (struct moot_frame_receiver){.key = key};
    moot_buffer_init(&receiver->torn);
}

void moot_frame_receiver_deinit(struct moot_frame_receiver *receiver)
{
    for (size_t lane = 0; lane < MOOT_LANES; lane++) {
        moot_block_release(receiver->lanes[lane].block);
        receiver->lanes[lane].block = NULL;
    }
    moot_buffer_deinit(&receiver->torn);
}

static bool shape_is_valid(const struct moot_frame_receiver *receiver, const struct head *head)
{
    if (head->magic != MAGIC || head->lane >= MOOT_LANES || head->length > PAYLOAD_MAX ||
        (head->flags & ~(FLAG_FIRST | FLAG_LAST)) != 0) {
        return false;
    }
    const struct moot_block *block = receiver->lanes[head->lane].block;
    uint64_t to_come = (uint64_t)head->length + head->left;
    bool first = (head->flags & FLAG_FIRST) != 0, last = (head->flags & FLAG_LAST) != 0;
    if (first != (block == NULL) || last != (head->left == 0)) {
        return false;
    }
    if (first) {
        /* Only an empty message has an empty frame: otherwise frames could come without end. */
        return to_come <= MOOT_MESSAGE_BYTES_MAX && (head->length > 0 || last);
    }
    return head->length > 0 && to_come == block->size - receiver->lanes[head->lane].filled;
}

/* Looks at the front of `bytes`. 0: a whole sound frame. MOOT_EAGAIN: so far nothing is wrong, and
 * *need is the least number of bytes that tells more. */
static int inspect(const struct moot_frame_receiver *receiver, struct moot_slice bytes,
                   struct head *head, size_t *need)
{
    *need = MOOT_FRAME_HEAD_BYTES;
    if (bytes.size < *need) {
        return MOOT_EAGAIN;
    }
    uint64_t seed = seed_of(receiver->key, receiver->number);
    *head = get_head(bytes.data);
    if (!MOOT_RULE(frame_head_check, head->check == head_check(bytes.data, seed)) ||
        !shape_is_valid(receiver, head)) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    *need += head->length;
    if (bytes.size < *need) {
        return MOOT_EAGAIN;
    }
    struct moot_slice payload = {bytes.data + MOOT_FRAME_HEAD_BYTES, head->length};
    if (!MOOT_RULE(frame_checksum, head->checksum == moot_hash64(payload, seed))) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    return MOOT_OK;
}

/* Adds a sound frame to its lane's message. True: the message is whole. */
static bool add_frame(struct moot_frame_receiver *receiver, const struct head *head,
                      const uint8_t *payload, struct moot_frame_message *message)
{
    struct moot_block *block = receiver->lanes[head->lane].block;
    if (block == NULL) {
        block = moot_block_make(head->length + head->left);
        receiver->lanes[head->lane].block = block;
        receiver->lanes[head->lane].filled = 0;
    }
    uint32_t filled = receiver->lanes[head->lane].filled;
    MOOT_ASSERT(filled + head->length <= block->size);
    if (head->length > 0) {
        memcpy(block->data + filled, payload, head->length);
    }
    receiver->lanes[head->lane].filled = filled + head->length;
    receiver->number++;
    if (head->left > 0) {
        return false;
    }
    MOOT_ASSERT(filled + head->length == block->size);
    receiver->lanes[head->lane].block = NULL;
    *message = (struct moot_frame_message){head->lane, block};
    return true;
}

/* Moves bytes from the front of *bytes until receiver->torn has `size`. False: there are not so
 * many. */
static bool fill_torn(struct moot_frame_receiver *receiver, struct moot_slice *bytes, size_t size)
{
    struct moot_buffer *torn = &receiver->torn;
    MOOT_ASSERT(size <= MOOT_FRAME_BYTES_MAX);
    size_t missing = size > torn->size ? size - torn->size : 0;
    size_t count = moot_min_u64(missing, bytes->size);
    if (count > 0) {
        moot_buffer_append(torn, bytes->data, count);
        bytes->data += count;
        bytes->size -= count;
    }
    return torn->size >= size;
}

/* The next frame, torn or not: 0 and *payload, which is valid until the next call. */
static int next_frame(struct moot_frame_receiver *receiver, struct moot_slice *bytes,
                      struct head *head, const uint8_t **payload)
{
    size_t need;
    int status;
    if (receiver->torn.size == 0) {
        status = inspect(receiver, *bytes, head, &need);
        if (status == MOOT_OK) { /* Whole where it lies: nothing is copied twice. */
            *payload = bytes->data + MOOT_FRAME_HEAD_BYTES;
            bytes->data += need;
            bytes->size -= need;
            return MOOT_OK;
        }
        if (status != MOOT_EAGAIN) {
            return status;
        }
    }
    do {
        status = inspect(receiver, moot_buffer_slice(&receiver->torn), head, &need);
    } while (status == MOOT_EAGAIN && fill_torn(receiver, bytes, need));
    if (status == MOOT_OK) {
        *payload = receiver->torn.data + MOOT_FRAME_HEAD_BYTES;
    }
    return status;
}

int moot_frame_receive(struct moot_frame_receiver *receiver, struct moot_slice *bytes,
                       struct moot_frame_message *message)
{
    *message = (struct moot_frame_message){0};
    while (receiver->failure == MOOT_OK) {
        struct head head;
        const uint8_t *payload;
        int status = next_frame(receiver, bytes, &head, &payload);
        if (status == MOOT_EAGAIN) {
            MOOT_ASSERT(bytes->size == 0);
            return status;
        }
        if (status != MOOT_OK) {
            receiver->failure = status;
            break;
        }
        bool whole = add_frame(receiver, &head, payload, message);
        moot_buffer_reset(&receiver->torn, TORN_KEEP);
        if (whole) {
            return MOOT_OK;
        }
    }
    return receiver->failure;
}

struct moot_slice moot_frame_receiver_part(const struct moot_frame_receiver *receiver)
{
    const struct moot_block *block = receiver->lanes[MOOT_LANE_BULK].block;
    uint32_t filled = receiver->lanes[MOOT_LANE_BULK].filled;
    MOOT_ASSERT(block == NULL || filled < block->size);
    return block == NULL ? (struct moot_slice){NULL, 0} : (struct moot_slice){block->data, filled};
}
