/* Readings in, intervals out, and no promise taken back. */
#include "moot/bounded.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/rule.h"
#include "base/status.h"

enum { FORMAT = 1, DRIFT_MAX_PPM = 100000, MILLION = 1000000 };
static const uint64_t AGE_MAX_NS = 3600 * MOOT_SEC_NS;
static const uint64_t ERROR_MAX_NS = 3600 * MOOT_SEC_NS;
static const uint64_t WALL_MAX_NS = UINT64_MAX >> 1; /* The year 2262; no sum below overflows. */
static const uint64_t WAIT_MAX_NS = 3600 * MOOT_SEC_NS;

const char *moot_bounded_text(enum moot_bounded_state state)
{
    switch (state) {
    case MOOT_BOUNDED_GOOD:
        return "the clock is within its bound";
    case MOOT_BOUNDED_NO_READING:
        return "the clock has not been read yet";
    case MOOT_BOUNDED_UNSYNCHRONISED:
        return "the kernel says that its clock is not synchronised";
    case MOOT_BOUNDED_OLD:
        return "the last reading of the clock is too old";
    case MOOT_BOUNDED_WIDE:
        return "the error of the clock may be larger than is allowed";
    case MOOT_BOUNDED_STEPPED:
        return "the clock was stepped by more than its error: earlier stamps may be wrong";
    case MOOT_BOUNDED_CONTRADICTED:
        return "a peer's clock contradicts this one: one of the two breaks its bound";
    }
    return "unknown";
}

void moot_bounded_init(struct moot_bounded *clock, const struct moot_bounded_options *options,
                       uint64_t floor_ns)
{
    MOOT_ASSERT(options->age_max.ns > 0);
    MOOT_ASSERT(options->age_max.ns <= AGE_MAX_NS);
    MOOT_ASSERT(options->error_max_ns <= ERROR_MAX_NS);
    MOOT_ASSERT(options->drift_ppm <= DRIFT_MAX_PPM);
    *clock = (struct moot_bounded){
        .options = *options, .state = MOOT_BOUNDED_NO_READING, .stamp_ns = floor_ns};
}

static bool is_broken(enum moot_bounded_state state)
{
    return state == MOOT_BOUNDED_STEPPED || state == MOOT_BOUNDED_CONTRADICTED;
}

static uint64_t drift_ppm(const struct moot_bounded *clock)
{
    return moot_max_u64(clock->reading.drift_ppm, clock->options.drift_ppm);
}

/* The error `elapsed_ns` after the reading (the paper's section 3: it grows by the drift from what
 * it was when the daemon last heard of a time master). Rounded up. */
static uint64_t error_ns(const struct moot_bounded *clock, uint64_t elapsed_ns)
{
    MOOT_ASSERT(elapsed_ns <= AGE_MAX_NS);
    uint64_t grown_ns = (elapsed_ns * drift_ppm(clock) + MILLION - 1) / MILLION;
    return clock->reading.error_ns + grown_ns + (clock->reading.leap_near ? MOOT_SEC_NS : 0);
}

enum moot_bounded_state moot_bounded_state(const struct moot_bounded *clock,
                                           struct moot_instant now)
{
    if (clock->state != MOOT_BOUNDED_GOOD) {
        return clock->state;
    }
    uint64_t age_ns = moot_instant_since(now, clock->read_at).ns;
    if (age_ns > clock->options.age_max.ns) {
        return MOOT_BOUNDED_OLD;
    }
    bool wide = error_ns(clock, age_ns) > clock->options.error_max_ns;
    return wide ? MOOT_BOUNDED_WIDE : MOOT_BOUNDED_GOOD;
}

/* What the last reading says about `now`, whatever was promised before. */
static struct moot_bounded_interval reckon(const struct moot_bounded *clock,
                                           struct moot_instant now)
{
    uint64_t elapsed_ns = moot_instant_since(now, clock->read_at).ns;
    uint64_t error = error_ns(clock, elapsed_ns);
    uint64_t middle = clock->reading.wall_ns + elapsed_ns;
    return (struct moot_bounded_interval){.earliest_ns = middle > error ? middle - error : 0,
                                          .latest_ns = middle + error};
}

enum moot_bounded_state moot_bounded_feed(struct moot_bounded *clock, struct moot_instant now,
                                          const struct moot_bounded_reading *reading)
{
    MOOT_ASSERT(!moot_instant_before(now, clock->read_at));
    if (is_broken(clock->state)) {
        return clock->state;
    }
    bool usable = reading->synchronised && reading->wall_ns <= WALL_MAX_NS &&
                  reading->error_ns <= ERROR_MAX_NS && reading->drift_ppm <= DRIFT_MAX_PPM;
    if (!usable) {
        clock->state = MOOT_BOUNDED_UNSYNCHRONISED;
        return clock->state;
    }
    /* An old reading binds too, as long as it may be used at all; and a promise binds for ever. */
    bool promised = clock->state == MOOT_BOUNDED_GOOD &&
                    moot_instant_since(now, clock->read_at).ns <= clock->options.age_max.ns;
    struct moot_bounded_interval then = {0, UINT64_MAX};
    if (promised) {
        then = reckon(clock, now);
    }
    clock->reading = *reading;
    clock->read_at = now;
    struct moot_bounded_interval this = reckon(clock, now);
    bool stepped = this.latest_ns < moot_max_u64(then.earliest_ns, clock->floor.earliest_ns) ||
                   this.earliest_ns > then.latest_ns;
    clock->state = MOOT_BOUNDED_GOOD;
    if (!MOOT_RULE(bounded_clock_within_promise, !stepped)) {
        MOOT_SOMETIMES(true, "a clock was stepped by more than its error");
        clock->state = MOOT_BOUNDED_STEPPED;
    }
    return moot_bounded_state(clock, now);
}

int moot_bounded_now(struct moot_bounded *clock, struct moot_instant now,
                     struct moot_bounded_interval *out)
{
    if (moot_bounded_state(clock, now) != MOOT_BOUNDED_GOOD) {
        return MOOT_FAIL(MOOT_EREFUSED);
    }
    struct moot_bounded_interval this = reckon(clock, now);
    /* True time has not gone back since the last promise, so its earliest still holds; a later
     * latest is only less sharp. feed() has seen to it that the two do not cross. */
    this.earliest_ns = moot_max_u64(this.earliest_ns, clock->floor.earliest_ns);
    this.latest_ns = moot_max_u64(this.latest_ns, clock->floor.latest_ns);
    MOOT_ASSERT(this.earliest_ns <= this.latest_ns);
    clock->floor = this;
    *out = this;
    return 0;
}

bool moot_bounded_after(struct moot_bounded *clock, struct moot_instant now, uint64_t wall_ns)
{
    struct moot_bounded_interval this;
    return moot_bounded_now(clock, now, &this) == 0 &&
           MOOT_RULE(bounded_after_is_sure, wall_ns < this.earliest_ns);
}

bool moot_bounded_before(struct moot_bounded *clock, struct moot_instant now, uint64_t wall_ns)
{
    struct moot_bounded_interval this;
    return moot_bounded_now(clock, now, &this) == 0 && this.latest_ns < wall_ns;
}

int moot_bounded_commit(struct moot_bounded *clock, struct moot_instant now, uint64_t *stamp_ns)
{
    struct moot_bounded_interval this;
    int status = moot_bounded_now(clock, now, &this);
    if (status != 0) {
        return status;
    }
    MOOT_ASSERT(clock->stamp_ns < UINT64_MAX);
    /* Section 4.2.1: no less than now().latest, and greater than any this leader gave before. */
    clock->stamp_ns = moot_max_u64(this.latest_ns, clock->stamp_ns + 1);
    *stamp_ns = clock->stamp_ns;
    return 0;
}

struct moot_instant moot_bounded_wait(struct moot_bounded *clock, struct moot_instant now,
                                      uint64_t stamp_ns)
{
    struct moot_bounded_interval this;
    if (moot_bounded_now(clock, now, &this) != 0) {
        return MOOT_NEVER;
    }
    if (stamp_ns < this.earliest_ns) {
        return now;
    }
    /* Not from the floor: earliest follows the reading again only once it is above the floor. */
    uint64_t missing_ns = stamp_ns - reckon(clock, now).earliest_ns;
    if (missing_ns > WAIT_MAX_NS) {
        return MOOT_NEVER;
    }
    /* Earliest runs slower than time by the drift; 1 to be past it, 1 for the rounding. */
    uint64_t pace = MILLION - drift_ppm(clock);
    uint64_t wait_ns = ((missing_ns + 2) * MILLION + pace - 1) / pace;
    return moot_instant_add(now, (struct moot_duration){wait_ns});
}

int moot_bounded_check(struct moot_bounded *clock, struct moot_instant now,
                       struct moot_bounded_interval sent)
{
    struct moot_bounded_interval this;
    if (moot_bounded_now(clock, now, &this) != 0) {
        return 0;
    }
    if (sent.earliest_ns > this.latest_ns) {
        MOOT_SOMETIMES(true, "a peer's interval contradicted the clock");
        clock->state = MOOT_BOUNDED_CONTRADICTED;
        return MOOT_FAIL(MOOT_EREFUSED);
    }
    return 0;
}

static int finish(const struct moot_writer *writer, const uint8_t *out, size_t expected,
                  size_t *written)
{
    if (writer->failed) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    *written = (size_t)(writer->at - out);
    MOOT_ASSERT(*written == expected);
    return 0;
}

enum { FLAG_SYNCHRONISED = 1, FLAG_LEAP_NEAR = 2, FLAGS = 3 };

int moot_bounded_reading_encode(const struct moot_bounded_reading *reading, uint8_t *out,
                                size_t size, size_t *written)
{
    struct moot_writer writer = moot_writer_make(out, size);
    moot_write_u8(&writer, FORMAT);
    moot_write_u8(&writer, (uint8_t)((reading->synchronised ? FLAG_SYNCHRONISED : 0) |
                                     (reading->leap_near ? FLAG_LEAP_NEAR : 0)));
    moot_write_u64(&writer, reading->wall_ns);
    moot_write_u64(&writer, reading->error_ns);
    moot_write_u32(&writer, reading->drift_ppm);
    return finish(&writer, out, MOOT_BOUNDED_READING_BYTES, written);
}

int moot_bounded_reading_decode(struct moot_slice bytes, struct moot_bounded_reading *out)
{
    struct moot_reader reader = moot_reader_make(bytes);
    uint8_t format = moot_get_u8(&reader);
    if (!reader.failed && format != FORMAT) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    uint8_t flags = moot_get_u8(&reader);
    struct moot_bounded_reading reading = {
        .synchronised = (flags & FLAG_SYNCHRONISED) != 0,
        .leap_near = (flags & FLAG_LEAP_NEAR) != 0,
    };
    reading.wall_ns = moot_get_u64(&reader);
    reading.error_ns = moot_get_u64(&reader);
    reading.drift_ppm = moot_get_u32(&reader);
    if (reader.failed || moot_reader_left(&reader) > 0 || flags > FLAGS) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    *out = reading;
    return 0;
}

int moot_bounded_interval_encode(struct moot_bounded_interval interval, uint8_t *out, size_t size,
                                 size_t *written)
{
    struct moot_writer writer = moot_writer_make(out, size);
    moot_write_u8(&writer, FORMAT);
    moot_write_u64(&writer, interval.earliest_ns);
    moot_write_u64(&writer, interval.latest_ns);
    return finish(&writer, out, MOOT_BOUNDED_INTERVAL_BYTES, written);
}

int moot_bounded_interval_decode(struct moot_slice bytes, struct moot_bounded_interval *out)
{
    struct moot_reader reader = moot_reader_make(bytes);
    uint8_t format = moot_get_u8(&reader);
    if (!reader.failed && format != FORMAT) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    struct moot_bounded_interval interval;
    interval.earliest_ns = moot_get_u64(&reader);
    interval.latest_ns = moot_get_u64(&reader);
    if (reader.failed || moot_reader_left(&reader) > 0 ||
        interval.earliest_ns > interval.latest_ns) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    *out = interval;
    return 0;
}
