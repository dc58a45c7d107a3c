/* Counting events, and jumping past what messages say. */
#include "moot/lamport.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/rule.h"
#include "base/status.h"

enum { FORMAT = 1 };

void moot_lamport_init(struct moot_lamport *clock, moot_node_id node, uint64_t floor,
                       uint64_t ahead_max)
{
    MOOT_ASSERT(node != 0);
    MOOT_ASSERT(floor <= MOOT_LAMPORT_TIME_MAX);
    *clock = (struct moot_lamport){.time = floor, .ahead_max = ahead_max, .node = node};
}

struct moot_lamport_stamp moot_lamport_tick(struct moot_lamport *clock)
{
    MOOT_ASSERT(clock->node != 0);
    MOOT_ASSERT(clock->time < UINT64_MAX); /* 2^63 local events away from what a message may say. */
    clock->time += 1;
    return (struct moot_lamport_stamp){.time = clock->time, .node = clock->node};
}

int moot_lamport_receive(struct moot_lamport *clock, struct moot_lamport_stamp message,
                         struct moot_lamport_stamp *out)
{
    bool far = message.time > clock->time && message.time - clock->time > clock->ahead_max;
    if (far || message.time > MOOT_LAMPORT_TIME_MAX) {
        MOOT_SOMETIMES(true, "a Lamport time from too far ahead was refused");
        return MOOT_FAIL(MOOT_EREFUSED);
    }
    clock->time = moot_max_u64(clock->time, message.time);
    *out = moot_lamport_tick(clock);
    MOOT_ASSERT(out->time > message.time);
    return 0;
}

int moot_lamport_compare(struct moot_lamport_stamp a, struct moot_lamport_stamp b)
{
    int by_time = (a.time > b.time) - (a.time < b.time);
    return by_time != 0 ? by_time : (a.node > b.node) - (a.node < b.node);
}

int moot_lamport_encode(struct moot_lamport_stamp stamp, uint8_t *out, size_t size, size_t *written)
{
    struct moot_writer writer = moot_writer_make(out, size);
    moot_write_u8(&writer, FORMAT);
    moot_write_u64(&writer, stamp.time);
    moot_write_u32(&writer, stamp.node);
    if (writer.failed) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    *written = (size_t)(writer.at - out);
    MOOT_ASSERT(*written == MOOT_LAMPORT_STAMP_BYTES);
    return 0;
}

int moot_lamport_decode(struct moot_slice bytes, struct moot_lamport_stamp *out)
{
    struct moot_reader reader = moot_reader_make(bytes);
    uint8_t format = moot_get_u8(&reader);
    if (!reader.failed && format != FORMAT) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    struct moot_lamport_stamp stamp;
    stamp.time = moot_get_u64(&reader);
    stamp.node = moot_get_u32(&reader);
    if (reader.failed || moot_reader_left(&reader) > 0 || stamp.node == 0) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    *out = stamp;
    return 0;
}
