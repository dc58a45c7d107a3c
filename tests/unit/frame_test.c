#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/slice.h"
#include "base/status.h"
#include "wire/frame.h"

enum { KEY = 77, BUDGET = 4 * MOOT_FRAME_BYTES_MAX };

static void send_text(struct moot_frame_sender *sender, enum moot_lane lane, const char *text)
{
    assert_int_equal(moot_frame_send(sender, lane, moot_slice_text(text), NULL, 0), MOOT_OK);
}

static struct moot_block *pattern_block(size_t size, uint64_t seed)
{
    struct moot_rng rng;
    moot_rng_init(&rng, seed);
    struct moot_block *block = moot_block_make(size);
    for (size_t i = 0; i < size; i++) {
        block->data[i] = (uint8_t)moot_rng_next(&rng);
    }
    return block;
}

static void send_block(struct moot_frame_sender *sender, enum moot_lane lane, size_t size,
                       uint64_t seed)
{
    struct moot_block *block = pattern_block(size, seed);
    struct moot_frame_part part = {block, 0, (uint32_t)size};
    assert_int_equal(moot_frame_send(sender, lane, (struct moot_slice){NULL, 0}, &part, 1),
                     MOOT_OK);
    moot_block_release(block);
}

/* All that is queued, as bytes of the link. */
static void take_all(struct moot_frame_sender *sender, struct moot_buffer *out)
{
    while (!moot_frame_sender_is_empty(sender)) {
        assert_true(moot_frame_take(sender, out, BUDGET) > 0);
    }
}

/* Notes each message as `u:text;` or `b:text;`, as long as there are any. */
static int note_messages(struct moot_frame_receiver *receiver, struct moot_slice bytes,
                         struct moot_buffer *out)
{
    for (;;) {
        struct moot_frame_message message;
        int status = moot_frame_receive(receiver, &bytes, &message);
        if (status != MOOT_OK) {
            assert_null(message.block);
            return status;
        }
        moot_buffer_append_text(out, message.lane == MOOT_LANE_URGENT ? "u:" : "b:");
        moot_buffer_append_slice(out, moot_block_slice(message.block));
        moot_buffer_append_text(out, ";");
        moot_block_release(message.block);
    }
}

/* A link's bytes with short, empty, and three-frame messages on both lanes. */
static void sample_link(struct moot_buffer *link, struct moot_buffer *wanted)
{
    struct moot_frame_sender sender;
    moot_frame_sender_init(&sender, KEY);
    moot_buffer_init(link);
    moot_buffer_init(wanted);
    send_text(&sender, MOOT_LANE_BULK, "one");
    send_text(&sender, MOOT_LANE_BULK, "");
    send_text(&sender, MOOT_LANE_URGENT, "beat");
    send_text(&sender, MOOT_LANE_BULK, "three");
    take_all(&sender, link);
    moot_buffer_append_text(wanted, "u:beat;b:one;b:;b:three;");
    moot_frame_sender_deinit(&sender);
}

/* Goal: messages arrive whole and in order, however the bytes are torn. Method: the link's bytes in
 * two pieces cut at every offset, and in pieces of each small size. */
static void torn_anywhere_gives_the_same_messages(void **state)
{
    (void)state;
    struct moot_buffer link, wanted;
    sample_link(&link, &wanted);
    for (size_t cut = 0; cut <= 2 * link.size; cut++) {
        struct moot_frame_receiver receiver;
        struct moot_buffer got;
        moot_frame_receiver_init(&receiver, KEY);
        moot_buffer_init(&got);
        size_t step = cut <= link.size ? link.size : cut - link.size;
        size_t stop = cut <= link.size ? cut : step;
        for (size_t at = 0; at < link.size; at = stop, stop += step) {
            stop = stop < link.size ? stop : link.size;
            struct moot_slice piece = {link.data + at, stop - at};
            assert_int_equal(note_messages(&receiver, piece, &got), MOOT_EAGAIN);
        }
        assert_true(moot_slice_equal(moot_buffer_slice(&got), moot_buffer_slice(&wanted)));
        moot_buffer_deinit(&got);
        moot_frame_receiver_deinit(&receiver);
    }
    moot_buffer_deinit(&link);
    moot_buffer_deinit(&wanted);
}

/* Goal: a message is its head and its parts, in order, across frames; blocks are shared, not
 * copied, and let go when taken. */
static void parts_of_blocks_arrive_as_one_message(void **state)
{
    (void)state;
    struct moot_frame_sender sender;
    struct moot_frame_receiver receiver;
    struct moot_buffer link;
    moot_frame_sender_init(&sender, KEY);
    moot_frame_receiver_init(&receiver, KEY);
    moot_buffer_init(&link);
    struct moot_block *a = pattern_block(100000, 1), *b = pattern_block(70000, 2);
    struct moot_frame_part parts[] = {{a, 10, 99000}, {b, 0, 0}, {b, 5, 69000}, {a, 0, 7}};
    assert_int_equal(moot_frame_send(&sender, MOOT_LANE_BULK, MOOT_SLICE_LITERAL("head"), parts, 4),
                     MOOT_OK);
    assert_int_equal(a->references, 3);
    take_all(&sender, &link);
    assert_int_equal(a->references, 1);
    assert_int_equal(b->references, 1);
    assert_int_equal(sender.queued_bytes, 0);

    struct moot_slice bytes = moot_buffer_slice(&link);
    struct moot_frame_message message;
    assert_int_equal(moot_frame_receive(&receiver, &bytes, &message), MOOT_OK);
    assert_int_equal(bytes.size, 0);
    const uint8_t *data = message.block->data;
    assert_int_equal(message.block->size, 4 + 99000 + 69000 + 7);
    assert_memory_equal(data, "head", 4);
    assert_memory_equal(data + 4, a->data + 10, 99000);
    assert_memory_equal(data + 4 + 99000, b->data + 5, 69000);
    assert_memory_equal(data + 4 + 99000 + 69000, a->data, 7);
    moot_block_release(message.block);
    moot_block_release(a);
    moot_block_release(b);
    moot_buffer_deinit(&link);
    moot_frame_receiver_deinit(&receiver);
    moot_frame_sender_deinit(&sender);
}

/* Goal: an urgent message waits for one frame at most, not for the bulk message before it. */
static void urgent_overtakes_bulk(void **state)
{
    (void)state;
    struct moot_frame_sender sender;
    struct moot_frame_receiver receiver;
    moot_frame_sender_init(&sender, KEY);
    moot_frame_receiver_init(&receiver, KEY);
    struct moot_buffer link;
    moot_buffer_init(&link);
    send_block(&sender, MOOT_LANE_BULK, 1000000, 3);
    send_text(&sender, MOOT_LANE_BULK, "later");
    assert_int_equal(moot_frame_take(&sender, &link, MOOT_FRAME_BYTES_MAX), MOOT_FRAME_BYTES_MAX);
    send_text(&sender, MOOT_LANE_URGENT, "beat");
    send_text(&sender, MOOT_LANE_URGENT, "vote");
    size_t taken = moot_frame_take(&sender, &link, MOOT_FRAME_BYTES_MAX);
    assert_int_equal(taken, 2 * (MOOT_FRAME_HEAD_BYTES + 4));
    take_all(&sender, &link);

    static const struct {
        enum moot_lane lane;
        size_t size;
    } wanted[] = {{MOOT_LANE_URGENT, 4},
                  {MOOT_LANE_URGENT, 4},
                  {MOOT_LANE_BULK, 1000000},
                  {MOOT_LANE_BULK, 5}};
    struct moot_slice bytes = moot_buffer_slice(&link);
    for (size_t i = 0; i < MOOT_ARRAY_LEN(wanted); i++) {
        struct moot_frame_message message;
        assert_int_equal(moot_frame_receive(&receiver, &bytes, &message), MOOT_OK);
        assert_int_equal(message.lane, wanted[i].lane);
        assert_int_equal(message.block->size, wanted[i].size);
        moot_block_release(message.block);
    }
    assert_int_equal(bytes.size, 0);
    moot_buffer_deinit(&link);
    moot_frame_receiver_deinit(&receiver);
    moot_frame_sender_deinit(&sender);
}

/* Goal: no damaged byte goes unnoticed, and no message after it is believed. Method: each bit of
 * the link's bytes flipped in turn. */
static void any_flipped_bit_is_caught(void **state)
{
    (void)state;
    struct moot_buffer link, wanted;
    sample_link(&link, &wanted);
    for (size_t bit = 0; bit < 8 * link.size; bit++) {
        link.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct moot_frame_receiver receiver;
        struct moot_buffer got;
        moot_frame_receiver_init(&receiver, KEY);
        moot_buffer_init(&got);
        assert_int_equal(note_messages(&receiver, moot_buffer_slice(&link), &got), MOOT_ECORRUPT);
        assert_true(got.size < wanted.size);
        assert_true(got.size == 0 || memcmp(got.data, wanted.data, got.size) == 0);
        size_t before = got.size;
        assert_int_equal(note_messages(&receiver, moot_buffer_slice(&link), &got), MOOT_ECORRUPT);
        assert_int_equal(got.size, before);
        moot_buffer_deinit(&got);
        moot_frame_receiver_deinit(&receiver);
        link.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    moot_buffer_deinit(&link);
    moot_buffer_deinit(&wanted);
}

static void expect_corrupt(uint64_t key, struct moot_slice bytes)
{
    struct moot_frame_receiver receiver;
    struct moot_buffer got;
    moot_frame_receiver_init(&receiver, key);
    moot_buffer_init(&got);
    assert_int_equal(note_messages(&receiver, bytes, &got), MOOT_ECORRUPT);
    moot_buffer_deinit(&got);
    moot_frame_receiver_deinit(&receiver);
}

/* Goal: a sound frame in the wrong place is caught: lost, repeated, swapped, or of another session.
 */
static void misplaced_frames_are_caught(void **state)
{
    (void)state;
    struct moot_frame_sender sender;
    moot_frame_sender_init(&sender, KEY);
    struct moot_buffer frames[3], link;
    for (size_t i = 0; i < 3; i++) {
        moot_buffer_init(&frames[i]);
        send_text(&sender, MOOT_LANE_BULK, "same");
        take_all(&sender, &frames[i]);
    }
    moot_buffer_init(&link);
    expect_corrupt(KEY + 1, moot_buffer_slice(&frames[0]));
    expect_corrupt(KEY, moot_buffer_slice(&frames[1]));
    static const int orders[][2] = {{0, 2}, {0, 0}, {1, 0}};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(orders); i++) {
        link.size = 0;
        moot_buffer_append_slice(&link, moot_buffer_slice(&frames[orders[i][0]]));
        moot_buffer_append_slice(&link, moot_buffer_slice(&frames[orders[i][1]]));
        expect_corrupt(KEY, moot_buffer_slice(&link));
    }
    for (size_t i = 0; i < 3; i++) {
        moot_buffer_deinit(&frames[i]);
    }
    moot_buffer_deinit(&link);
    moot_frame_sender_deinit(&sender);
}

/* Goal: the queue is bounded; what is refused leaves no trace; urgent messages have their reserve;
 * room comes back as bytes are taken. */
static void full_queue_refuses(void **state)
{
    (void)state;
    struct moot_frame_sender sender;
    moot_frame_sender_init(&sender, KEY);
    struct moot_block *block = pattern_block(1024 * 1024, 4);
    struct moot_frame_part part = {block, 0, (uint32_t)block->size};
    struct moot_slice none = {NULL, 0};
    int status = MOOT_OK;
    while (status == MOOT_OK) {
        status = moot_frame_send(&sender, MOOT_LANE_BULK, none, &part, 1);
    }
    assert_int_equal(status, MOOT_EOVERLOADED);
    uint32_t references = block->references;
    assert_int_equal(references, 1 + 61); /* 62 MiB, and bookkeeping. */
    send_text(&sender, MOOT_LANE_URGENT, "beat");
    for (status = MOOT_OK; status == MOOT_OK;) {
        status = moot_frame_send(&sender, MOOT_LANE_URGENT, none, &part, 1);
        assert_true(sender.queued_bytes <= MOOT_PEER_QUEUE_BYTES_MAX);
    }
    assert_int_equal(status, MOOT_EOVERLOADED);
    struct moot_buffer link;
    moot_buffer_init(&link);
    for (int i = 0; i < 40; i++) {
        link.size = 0;
        moot_frame_take(&sender, &link, 1024 * 1024);
    }
    assert_int_equal(moot_frame_send(&sender, MOOT_LANE_BULK, none, &part, 1), MOOT_OK);
    moot_buffer_deinit(&link);
    moot_frame_sender_deinit(&sender);
    assert_int_equal(block->references, 1);
    moot_block_release(block);
}

/* Goal: the largest message passes, one byte more is refused by both ends. */
static void message_size_is_bounded(void **state)
{
    (void)state;
    struct moot_frame_sender sender;
    struct moot_frame_receiver receiver;
    moot_frame_sender_init(&sender, KEY);
    moot_frame_receiver_init(&receiver, KEY);
    struct moot_block *block = moot_block_make(MOOT_MESSAGE_BYTES_MAX);
    memset(block->data, 'm', block->size);
    struct moot_frame_part part = {block, 0, (uint32_t)block->size};
    assert_int_equal(moot_frame_send(&sender, MOOT_LANE_BULK, MOOT_SLICE_LITERAL("x"), &part, 1),
                     MOOT_ELIMIT);
    assert_int_equal(
        moot_frame_send(&sender, MOOT_LANE_BULK, (struct moot_slice){NULL, 0}, &part, 1), MOOT_OK);
    struct moot_buffer link;
    moot_buffer_init(&link);
    size_t messages = 0;
    while (!moot_frame_sender_is_empty(&sender)) {
        link.size = 0;
        assert_in_range(moot_frame_take(&sender, &link, BUDGET), 1, BUDGET);
        struct moot_slice bytes = moot_buffer_slice(&link);
        struct moot_frame_message message;
        while (moot_frame_receive(&receiver, &bytes, &message) == MOOT_OK) {
            assert_true(moot_slice_equal(moot_block_slice(message.block), moot_block_slice(block)));
            moot_block_release(message.block);
            messages++;
        }
    }
    assert_int_equal(messages, 1);
    moot_buffer_deinit(&link);
    moot_block_release(block);
    moot_frame_receiver_deinit(&receiver);
    moot_frame_sender_deinit(&sender);
}

/* Goal: what has come of a large message can be looked at, and nothing else. Method: an urgent and
 * a short message, then a large one, a frame at a time. */
static void a_part_can_be_looked_at(void **state)
{
    (void)state;
    enum { SIZE = 3 * MOOT_FRAME_BYTES_MAX };
    struct moot_frame_sender sender;
    struct moot_frame_receiver receiver;
    struct moot_frame_message message;
    struct moot_buffer link;
    moot_frame_sender_init(&sender, KEY);
    moot_frame_receiver_init(&receiver, KEY);
    moot_buffer_init(&link);
    assert_int_equal(moot_frame_receiver_part(&receiver).size, 0);
    send_text(&sender, MOOT_LANE_BULK, "short");
    send_block(&sender, MOOT_LANE_BULK, SIZE, 1);
    struct moot_block *whole = pattern_block(SIZE, 1);
    size_t seen = 0, parts = 0;
    int status = MOOT_EAGAIN;
    while (status == MOOT_EAGAIN) {
        moot_buffer_reset(&link, SIZE_MAX);
        moot_frame_take(&sender, &link, MOOT_FRAME_BYTES_MAX);
        struct moot_slice bytes = moot_buffer_slice(&link);
        status = moot_frame_receive(&receiver, &bytes, &message);
        struct moot_slice part = moot_frame_receiver_part(&receiver);
        if (status == MOOT_OK && message.block->size == 5) {
            assert_int_equal(part.size, 0);
            moot_block_release(message.block);
            status = moot_frame_receive(&receiver, &bytes, &message);
        } else if (status == MOOT_EAGAIN) {
            assert_true(part.size > seen && part.size < SIZE);
            assert_memory_equal(part.data, whole->data, part.size);
            seen = part.size;
            parts++;
        }
    }
    assert_int_equal(status, MOOT_OK);
    assert_true(parts >= 2);
    assert_int_equal(moot_frame_receiver_part(&receiver).size, 0);
    moot_block_release(message.block);
    moot_block_release(whole);
    moot_buffer_deinit(&link);
    moot_frame_receiver_deinit(&receiver);
    moot_frame_sender_deinit(&sender);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torn_anywhere_gives_the_same_messages),
        cmocka_unit_test(parts_of_blocks_arrive_as_one_message),
        cmocka_unit_test(urgent_overtakes_bulk),
        cmocka_unit_test(any_flipped_bit_is_caught),
        cmocka_unit_test(misplaced_frames_are_caught),
        cmocka_unit_test(full_queue_refuses),
        cmocka_unit_test(message_size_is_bounded),
        cmocka_unit_test(a_part_can_be_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
