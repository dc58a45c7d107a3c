/* What detectors read from elsewhere: learned gaps, and heartbeats. The first byte chooses; the
 * rest is the encoding. */
#include "base/assert.h"
#include "base/slice.h"
#include "moot/detector.h"

static void gaps(struct moot_slice bytes)
{
    static const struct moot_detector_options options = {
        .kind = MOOT_DETECTOR_NORMAL,
        .threshold_milli = 8000,
        .gap_first = {100 * MOOT_MSEC_NS},
        .gap_max = {120 * MOOT_SEC_NS},
        .deviation_min = {MOOT_USEC_NS},
    };
    struct moot_detector detector;
    struct moot_instant now = {0};
    moot_detector_init(&detector, &options, now);
    int status = moot_detector_restore(&detector, bytes);
    MOOT_ASSERT(status == 0 || status == MOOT_EINVALID || status == MOOT_EVERSION);
    if (status == 0) {
        uint8_t again[MOOT_DETECTOR_BYTES_MAX];
        size_t size;
        MOOT_ASSERT(moot_detector_encode(&detector, again, sizeof(again), &size) == 0);
        struct moot_detector copy;
        moot_detector_init(&copy, &options, now);
        MOOT_ASSERT(moot_detector_restore(&copy, moot_slice_make(again, size)) == 0);
        MOOT_ASSERT(copy.mean_us == detector.mean_us);
        MOOT_ASSERT(copy.deviation_us == detector.deviation_us);
    }
    struct moot_instant at = moot_detector_deadline(&detector, 8000);
    MOOT_ASSERT(at.ns == MOOT_NEVER.ns || moot_detector_suspects(&detector, at));
    now.ns += 1000 * MOOT_SEC_NS;
    moot_detector_heard(&detector, now);
}

static void heartbeat(struct moot_slice bytes)
{
    struct moot_heartbeat beat;
    int status = moot_heartbeat_decode(bytes, &beat);
    MOOT_ASSERT(status == 0 || status == MOOT_EINVALID || status == MOOT_EVERSION);
    if (status == 0) {
        uint8_t again[MOOT_HEARTBEAT_BYTES];
        size_t size;
        MOOT_ASSERT(moot_heartbeat_encode(&beat, again, sizeof(again), &size) == 0);
        MOOT_ASSERT(moot_slice_equal(moot_slice_make(again, size), bytes));
        MOOT_ASSERT(!moot_heartbeat_is_news(&beat, &beat));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct moot_slice rest = moot_slice_make(data + 1, size - 1);
    if (data[0] % 2 == 0) {
        gaps(rest);
    } else {
        heartbeat(rest);
    }
    return 0;
}
