/* The wide form: l, c and j of figure 5. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/rule.h"
#include "base/status.h"
#include "moot/hlc.h"

enum { FORMAT = 1 };
/* What comes from outside leaves the last 2^62 nanoseconds, 146 years, for counting. */
static const uint64_t RECEIVED_MAX_NS = UINT64_MAX - (UINT64_C(1) << 62);

void moot_hlc_wide_init(struct moot_hlc_wide_clock *clock, moot_node_id node, uint64_t bound_ns,
                        struct moot_hlc_wide floor)
{
    MOOT_ASSERT(node != 0);
    MOOT_ASSERT(floor.wall_ns <= RECEIVED_MAX_NS);
    floor.node = node;
    *clock = (struct moot_hlc_wide_clock){.last = floor, .bound_ns = bound_ns};
}

/* The event after `last` that is not before `wall_ns`: a time that rose resets the counter, and a
 * full counter carries into the time. */
static struct moot_hlc_wide step(struct moot_hlc_wide last, uint64_t wall_ns)
{
    if (wall_ns > last.wall_ns) {
        last.wall_ns = wall_ns;
        last.counter = 0;
    } else if (last.counter < UINT32_MAX) {
        last.counter += 1;
    } else {
        MOOT_ASSERT(last.wall_ns < UINT64_MAX);
        last.wall_ns += 1;
        last.counter = 0;
    }
    return last;
}

struct moot_hlc_wide moot_hlc_wide_next(struct moot_hlc_wide_clock *clock, uint64_t wall_ns)
{
    struct moot_hlc_wide next = step(clock->last, moot_min_u64(wall_ns, RECEIVED_MAX_NS));
    MOOT_ASSERT(moot_hlc_wide_compare(next, clock->last) > 0);
    clock->last = next;
    return next;
}

int moot_hlc_wide_receive(struct moot_hlc_wide_clock *clock, uint64_t wall_ns,
                          struct moot_hlc_wide message, struct moot_hlc_wide *out)
{
    uint64_t ahead_ns = message.wall_ns > wall_ns ? message.wall_ns - wall_ns : 0;
    if (ahead_ns > clock->bound_ns || message.wall_ns > RECEIVED_MAX_NS) {
        MOOT_SOMETIMES(true, "a wide stamp from too far ahead was refused");
        clock->refused += 1;
        clock->refused_ahead_ns = moot_max_u64(clock->refused_ahead_ns, ahead_ns);
        return MOOT_FAIL(MOOT_EREFUSED);
    }
    /* l' = max(l, l.m, pt). Of equal times the greater counter goes on; a time that is alone the
     * greatest brings its own. */
    struct moot_hlc_wide greater = clock->last;
    if (message.wall_ns > greater.wall_ns ||
        (message.wall_ns == greater.wall_ns && message.counter > greater.counter)) {
        greater.wall_ns = message.wall_ns;
        greater.counter = message.counter;
    }
    clock->last = step(greater, moot_min_u64(wall_ns, RECEIVED_MAX_NS));
    *out = clock->last;
    MOOT_ASSERT(out->wall_ns > message.wall_ns || out->counter > message.counter);
    return 0;
}

int moot_hlc_wide_compare(struct moot_hlc_wide a, struct moot_hlc_wide b)
{
    if (a.wall_ns != b.wall_ns) {
        return a.wall_ns > b.wall_ns ? 1 : -1;
    }
    if (a.counter != b.counter) {
        return a.counter > b.counter ? 1 : -1;
    }
    return (a.node > b.node) - (a.node < b.node);
}

moot_hlc_stamp moot_hlc_from_wide(struct moot_hlc_wide wide)
{
    uint64_t rest_ns = wide.wall_ns % MOOT_MSEC_NS;
    return moot_hlc_pack(wide.wall_ns / MOOT_MSEC_NS, (uint16_t)(rest_ns * 65536 / MOOT_MSEC_NS));
}

int moot_hlc_wide_encode(struct moot_hlc_wide stamp, uint8_t *out, size_t size, size_t *written)
{
    struct moot_writer writer = moot_writer_make(out, size);
    moot_write_u8(&writer, FORMAT);
    moot_write_u64(&writer, stamp.wall_ns);
    moot_write_u32(&writer, stamp.counter);
    moot_write_u32(&writer, stamp.node);
    if (writer.failed) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    *written = (size_t)(writer.at - out);
    MOOT_ASSERT(*written == MOOT_HLC_WIDE_BYTES);
    return 0;
}

int moot_hlc_wide_decode(struct moot_slice bytes, struct moot_hlc_wide *out)
{
    struct moot_reader reader = moot_reader_make(bytes);
    uint8_t format = moot_get_u8(&reader);
    if (!reader.failed && format != FORMAT) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    struct moot_hlc_wide stamp;
    stamp.wall_ns = moot_get_u64(&reader);
    stamp.counter = moot_get_u32(&reader);
    stamp.node = moot_get_u32(&reader);
    if (reader.failed || moot_reader_left(&reader) > 0 || stamp.node == 0) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    *out = stamp;
    return 0;
}
