/* A window of gaps, and what a silence means against it. */
#include "moot/detector.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/rule.h"
#include "base/status.h"
#include "protocol/detector/normal_tail.h"

enum {
    FORMAT = 1,
    LOG10_E_MICRO = 434294, /* log10(e), in millionths, rounded down. */
    GAP_MAX_S = 120,        /* So that 128 squares of microseconds fit 64 bits: (2^27)^2 * 2^7. */
};
static const uint64_t SILENCE_MAX_US = UINT32_MAX; /* 71 minutes; longer ones are no news. */

bool moot_detector_options_are_valid(const struct moot_detector_options *options)
{
    if (options->threshold_milli == 0 || options->threshold_milli > MOOT_DETECTOR_MILLI_MAX ||
        options->gap_max.ns > GAP_MAX_S * MOOT_SEC_NS || options->gap_first.ns < MOOT_USEC_NS ||
        options->gap_first.ns > options->gap_max.ns) {
        return false;
    }
    switch (options->kind) {
    case MOOT_DETECTOR_TIMEOUT:
        return options->timeout.ns >= MOOT_USEC_NS &&
               options->timeout.ns <= SILENCE_MAX_US * MOOT_USEC_NS;
    case MOOT_DETECTOR_NORMAL:
        return options->deviation_min.ns >= MOOT_USEC_NS &&
               options->deviation_min.ns <= GAP_MAX_S * MOOT_SEC_NS &&
               options->slack.ns <= GAP_MAX_S * MOOT_SEC_NS;
    case MOOT_DETECTOR_EXPONENTIAL:
        return true;
    }
    return false;
}

static uint64_t us_of(struct moot_duration gap) { return gap.ns / MOOT_USEC_NS; }

/* The greatest number whose square is not above x: digit by digit, from the top. */
static uint64_t root_of(uint64_t x)
{
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 31; bit > 0; bit >>= 1) {
        uint64_t with = root | bit;
        if (with * with <= x) {
            root = with;
        }
    }
    return root;
}

static uint64_t square_of_difference(uint64_t a, uint64_t b)
{
    uint64_t difference = a > b ? a - b : b - a;
    return difference * difference;
}

/* The paper's section 5.2: mean and variance of the window. The gaps that are still missing at the
 * start are gap_first, give or take a quarter. */
static void learn(struct moot_detector *detector)
{
    MOOT_ASSERT(detector->count <= MOOT_DETECTOR_WINDOW);
    uint64_t first_us = us_of(detector->options.gap_first);
    uint64_t missing =
        detector->count < MOOT_DETECTOR_GAPS_FIRST ? MOOT_DETECTOR_GAPS_FIRST - detector->count : 0;
    uint64_t all = detector->count + missing;
    uint64_t sum_us = missing * first_us;
    for (uint32_t i = 0; i < detector->count; i++) {
        sum_us += detector->gaps_us[i];
    }
    uint64_t mean_us = sum_us / all;
    uint64_t quarter_us = first_us / 4;
    uint64_t squares =
        missing * (square_of_difference(first_us, mean_us) + quarter_us * quarter_us);
    for (uint32_t i = 0; i < detector->count; i++) {
        squares += square_of_difference(detector->gaps_us[i], mean_us);
    }
    detector->mean_us = moot_max_u64(mean_us, 1);
    detector->deviation_us = root_of(squares / all);
}

void moot_detector_init(struct moot_detector *detector, const struct moot_detector_options *options,
                        struct moot_instant now)
{
    MOOT_ASSERT(moot_detector_options_are_valid(options));
    *detector = (struct moot_detector){.options = *options, .heard_last = now};
    learn(detector);
}

static void add_gap(struct moot_detector *detector, uint64_t gap_us)
{
    detector->gaps_us[detector->next] =
        (uint32_t)moot_min_u64(gap_us, us_of(detector->options.gap_max));
    detector->next = (detector->next + 1) % MOOT_DETECTOR_WINDOW;
    detector->count += detector->count < MOOT_DETECTOR_WINDOW;
}

void moot_detector_heard(struct moot_detector *detector, struct moot_instant now)
{
    MOOT_ASSERT(!moot_instant_before(now, detector->heard_last));
    uint64_t gap_us = us_of(moot_instant_since(now, detector->heard_last));
    detector->heard_last = now;
    if (!detector->heard) { /* What is before the first heartbeat is no gap. */
        detector->heard = true;
        return;
    }
    if (detector->catching_up && gap_us < detector->mean_us / 2) {
        MOOT_SOMETIMES(true, "heartbeats that came at once after a pause were not learned from");
        return;
    }
    detector->catching_up = false;
    add_gap(detector, gap_us);
    learn(detector);
}

static uint64_t normal_milli(const struct moot_detector *detector, uint64_t silence_us)
{
    uint64_t expected_us = detector->mean_us + us_of(detector->options.slack);
    uint64_t deviation_us =
        moot_max_u64(detector->deviation_us, us_of(detector->options.deviation_min));
    MOOT_ASSERT(deviation_us > 0);
    int64_t z_1024 = ((int64_t)silence_us - (int64_t)expected_us) * 1024 / (int64_t)deviation_us;
    return detector__normal_tail_micro(z_1024) / 1000;
}

/* The level of a silence; rises with it. */
static uint32_t level(const struct moot_detector *detector, uint64_t silence_us)
{
    MOOT_ASSERT(silence_us <= SILENCE_MAX_US);
    uint64_t milli = 0;
    switch (detector->options.kind) {
    case MOOT_DETECTOR_TIMEOUT:
        milli = silence_us * 1000 / us_of(detector->options.timeout);
        break;
    case MOOT_DETECTOR_NORMAL:
        milli = normal_milli(detector, silence_us);
        break;
    case MOOT_DETECTOR_EXPONENTIAL:
        milli = silence_us * LOG10_E_MICRO / (detector->mean_us * 1000);
        break;
    }
    return (uint32_t)moot_min_u64(milli, MOOT_DETECTOR_MILLI_MAX);
}

uint32_t moot_detector_milli(const struct moot_detector *detector, struct moot_instant now)
{
    uint64_t silence_us = us_of(moot_instant_since(now, detector->heard_last));
    return level(detector, moot_min_u64(silence_us, SILENCE_MAX_US));
}

struct moot_instant moot_detector_deadline(const struct moot_detector *detector, uint32_t milli)
{
    MOOT_ASSERT(milli > 0);
    MOOT_ASSERT(milli <= MOOT_DETECTOR_MILLI_MAX);
    uint64_t low_us = 0;
    uint64_t high_us = SILENCE_MAX_US;
    if (level(detector, high_us) < milli) {
        return MOOT_NEVER;
    }
    while (low_us < high_us) { /* The level rises with the silence: halve until one is left. */
        uint64_t middle_us = low_us + (high_us - low_us) / 2;
        if (level(detector, middle_us) >= milli) {
            high_us = middle_us;
        } else {
            low_us = middle_us + 1;
        }
    }
    return moot_instant_add(detector->heard_last, (struct moot_duration){low_us * MOOT_USEC_NS});
}

void moot_detector_excuse(struct moot_detector *detector, struct moot_instant now,
                          struct moot_duration lost)
{
    if (lost.ns == 0) {
        return;
    }
    struct moot_instant shifted = moot_instant_add(detector->heard_last, lost);
    detector->heard_last = moot_instant_min(shifted, now);
    detector->catching_up = true;
}

void moot_observer_init(struct moot_observer *observer, struct moot_duration pause_min,
                        struct moot_instant now)
{
    MOOT_ASSERT(pause_min.ns > 0);
    *observer = (struct moot_observer){.last = now, .pause_min = pause_min};
}

struct moot_duration moot_observer_tick(struct moot_observer *observer, struct moot_instant now)
{
    struct moot_duration away = moot_instant_since(now, observer->last);
    MOOT_ASSERT(!moot_instant_before(now, observer->last));
    observer->last = now;
    if (!MOOT_RULE(detector_excuses_own_pause, away.ns > observer->pause_min.ns)) {
        return (struct moot_duration){0};
    }
    MOOT_SOMETIMES(true, "an observer was paused");
    return away;
}

int moot_detector_encode(const struct moot_detector *detector, uint8_t *out, size_t size,
                         size_t *written)
{
    struct moot_writer writer = moot_writer_make(out, size);
    moot_write_u8(&writer, FORMAT);
    moot_write_varint(&writer, detector->count);
    uint32_t oldest = detector->count < MOOT_DETECTOR_WINDOW ? 0 : detector->next;
    for (uint32_t i = 0; i < detector->count; i++) {
        moot_write_varint(&writer, detector->gaps_us[(oldest + i) % MOOT_DETECTOR_WINDOW]);
    }
    if (writer.failed) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    *written = (size_t)(writer.at - out);
    MOOT_ASSERT(*written <= MOOT_DETECTOR_BYTES_MAX);
    return 0;
}

int moot_detector_restore(struct moot_detector *detector, struct moot_slice bytes)
{
    struct moot_reader reader = moot_reader_make(bytes);
    uint8_t format = moot_get_u8(&reader);
    if (!reader.failed && format != FORMAT) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    struct moot_detector restored = *detector;
    restored.count = 0;
    restored.next = 0;
    uint64_t count = moot_get_varint(&reader);
    if (count > MOOT_DETECTOR_WINDOW) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    for (uint64_t i = 0; i < count; i++) {
        add_gap(&restored, moot_get_varint(&reader));
    }
    if (reader.failed || moot_reader_left(&reader) > 0) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    learn(&restored);
    *detector = restored;
    return 0;
}

bool moot_heartbeat_is_news(const struct moot_heartbeat *last, const struct moot_heartbeat *beat)
{
    if (last->node == 0) {
        return true;
    }
    if (last->node != beat->node) {
        return false;
    }
    return beat->incarnation > last->incarnation ||
           (beat->incarnation == last->incarnation && beat->number > last->number);
}

int moot_heartbeat_encode(const struct moot_heartbeat *beat, uint8_t *out, size_t size,
                          size_t *written)
{
    struct moot_writer writer = moot_writer_make(out, size);
    moot_write_u8(&writer, FORMAT);
    moot_write_u32(&writer, beat->node);
    moot_write_u64(&writer, beat->incarnation);
    moot_write_u64(&writer, beat->number);
    if (writer.failed) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    *written = (size_t)(writer.at - out);
    MOOT_ASSERT(*written == MOOT_HEARTBEAT_BYTES);
    return 0;
}

int moot_heartbeat_decode(struct moot_slice bytes, struct moot_heartbeat *out)
{
    struct moot_reader reader = moot_reader_make(bytes);
    uint8_t format = moot_get_u8(&reader);
    if (!reader.failed && format != FORMAT) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    struct moot_heartbeat beat;
    beat.node = moot_get_u32(&reader);
    beat.incarnation = moot_get_u64(&reader);
    beat.number = moot_get_u64(&reader);
    if (reader.failed || moot_reader_left(&reader) > 0 || beat.node == 0) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    *out = beat;
    return 0;
}
