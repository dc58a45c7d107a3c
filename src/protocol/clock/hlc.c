/* The packed form, and its ceiling. */
#include "moot/hlc.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/rule.h"
#include "base/status.h"

enum { COUNTER_BITS = 16, FORMAT = 1 };
static const uint64_t MS_MAX = UINT64_MAX >> COUNTER_BITS;

/* The first stamp of a wall-clock millisecond; a clock beyond the year 10,000 stops there. */
static moot_hlc_stamp stamp_of(uint64_t wall_ms)
{
    return moot_hlc_pack(moot_min_u64(wall_ms, MS_MAX), 0);
}

void moot_hlc_init(struct moot_hlc *clock, uint64_t bound_ms, moot_hlc_stamp floor)
{
    *clock = (struct moot_hlc){.last = floor, .bound_ms = bound_ms};
    MOOT_ASSERT(clock->last == floor);
}

moot_hlc_stamp moot_hlc_next(struct moot_hlc *clock, uint64_t wall_ms)
{
    MOOT_ASSERT(clock->last < UINT64_MAX);
    /* Figure 5, "send or local event". Adding one to the packed stamp is both cases at once: a
     * counter that is full carries into the milliseconds. */
    moot_hlc_stamp next = moot_max_u64(stamp_of(wall_ms), clock->last + 1);
    MOOT_ASSERT(next > clock->last);
    clock->last = next;
    return next;
}

/* Is `stamp_at` within `bound` of `wall`, all in one unit? */
static bool is_near(uint64_t wall, uint64_t bound, uint64_t stamp_at)
{
    return stamp_at <= wall || stamp_at - wall <= bound;
}

int moot_hlc_observe(struct moot_hlc *clock, uint64_t wall_ms, moot_hlc_stamp remote)
{
    uint64_t remote_ms = moot_hlc_ms(remote);
    if (remote > MOOT_HLC_RECEIVED_MAX ||
        !MOOT_RULE(hlc_remote_within_bound, is_near(wall_ms, clock->bound_ms, remote_ms))) {
        MOOT_SOMETIMES(true, "a stamp from too far ahead was refused");
        uint64_t ahead_ms = remote_ms > wall_ms ? remote_ms - wall_ms : 0;
        clock->refused += 1;
        clock->refused_ahead_ms = moot_max_u64(clock->refused_ahead_ms, ahead_ms);
        return MOOT_FAIL(MOOT_EREFUSED);
    }
    moot_hlc_raise(clock, remote);
    return 0;
}

void moot_hlc_raise(struct moot_hlc *clock, moot_hlc_stamp floor)
{
    clock->last = moot_max_u64(clock->last, floor);
    MOOT_ASSERT(clock->last >= floor);
}

void moot_hlc_ceiling_init(struct moot_hlc_ceiling *ceiling, moot_hlc_stamp durable,
                           uint64_t window_ms)
{
    MOOT_ASSERT(window_ms > 0);
    MOOT_ASSERT(window_ms <= MS_MAX);
    *ceiling =
        (struct moot_hlc_ceiling){.durable = durable, .asked = durable, .window_ms = window_ms};
}

bool moot_hlc_ceiling_wants(struct moot_hlc_ceiling *ceiling, const struct moot_hlc *clock,
                            uint64_t wall_ms, moot_hlc_stamp *persist)
{
    MOOT_ASSERT(ceiling->durable <= ceiling->asked);
    uint64_t now_ms = moot_max_u64(moot_min_u64(wall_ms, MS_MAX), moot_hlc_ms(clock->last));
    uint64_t asked_ms = moot_hlc_ms(ceiling->asked);
    if (asked_ms > now_ms && asked_ms - now_ms >= (ceiling->window_ms + 1) / 2) {
        return false;
    }
    uint64_t left_ms = MS_MAX - now_ms;
    moot_hlc_stamp next =
        moot_hlc_pack(now_ms + moot_min_u64(ceiling->window_ms, left_ms), UINT16_MAX);
    if (next <= ceiling->asked) {
        return false; /* At the end of time there is nothing more to ask for. */
    }
    ceiling->asked = next;
    *persist = next;
    return true;
}

void moot_hlc_ceiling_durable(struct moot_hlc_ceiling *ceiling, moot_hlc_stamp persisted)
{
    MOOT_ASSERT(persisted <= ceiling->asked);
    ceiling->durable = moot_max_u64(ceiling->durable, persisted);
}

int moot_hlc_next_below(struct moot_hlc *clock, const struct moot_hlc_ceiling *ceiling,
                        uint64_t wall_ms, moot_hlc_stamp *out)
{
    struct moot_hlc ahead = *clock;
    if (ahead.last >= ceiling->durable || moot_hlc_next(&ahead, wall_ms) > ceiling->durable) {
        return MOOT_FAIL(MOOT_EBUSY);
    }
    *clock = ahead;
    *out = ahead.last;
    MOOT_ASSERT(*out <= ceiling->durable);
    return 0;
}

int moot_hlc_encode(moot_hlc_stamp stamp, uint8_t *out, size_t size, size_t *written)
{
    struct moot_writer writer = moot_writer_make(out, size);
    moot_write_u8(&writer, FORMAT);
    moot_write_u64(&writer, stamp);
    if (writer.failed) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    *written = (size_t)(writer.at - out);
    MOOT_ASSERT(*written == MOOT_HLC_STAMP_BYTES);
    return 0;
}

int moot_hlc_decode(struct moot_slice bytes, moot_hlc_stamp *out)
{
    struct moot_reader reader = moot_reader_make(bytes);
    uint8_t format = moot_get_u8(&reader);
    if (!reader.failed && format != FORMAT) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    moot_hlc_stamp stamp = moot_get_u64(&reader);
    if (reader.failed || moot_reader_left(&reader) > 0) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    *out = stamp;
    return 0;
}
