#include "host/pulse.h"

#include "base/assert.h"
#include "base/limits.h"

void pulse__init(struct pulse *pulse, uint64_t now_ns)
{
    struct moot_detector_options options = {
        .kind = MOOT_DETECTOR_NORMAL,
        .threshold_milli = MOOT_PHI_SUSPECT_MILLI,
        .gap_first = moot_ms(MOOT_LINK_BEAT_MS),
        .gap_max = moot_ms(MOOT_LINK_GAP_MAX_MS),
        .deviation_min = moot_ms(MOOT_LINK_DEVIATION_MS),
        .slack = moot_ms(MOOT_LINK_SLACK_MS),
    };
    *pulse = (struct pulse){.fed_ns = now_ns};
    moot_detector_init(&pulse->detector, &options, (struct moot_instant){now_ns});
}

/* Busy traffic must not teach a pace that an idle link cannot keep: what comes within a beat of the
 * last counts as nothing. Every link has beats, so gaps are then of one beat to two, always. */
void pulse__heard(struct pulse *pulse, uint64_t now_ns)
{
    MOOT_ASSERT(now_ns >= pulse->fed_ns);
    bool first = !pulse->heard;
    pulse->heard = true;
    if (first || now_ns - pulse->fed_ns >= MOOT_LINK_BEAT_MS * MOOT_MSEC_NS / 2) {
        pulse->fed_ns = now_ns;
        moot_detector_heard(&pulse->detector, (struct moot_instant){now_ns});
    }
}

/* The number is this node's own clock when it asked. */
bool pulse__echo(struct pulse *pulse, const struct moot_beat *beat, uint64_t now_ns)
{
    uint64_t now_us = now_ns / MOOT_USEC_NS;
    if (beat->number > now_us || now_us - beat->number > MOOT_LINK_ECHO_MAX_US) {
        return false;
    }
    uint32_t took_us = (uint32_t)moot_max_u64(now_us - beat->number, 1); /* 0 is not known. */
    pulse->round_trips_us[pulse->echoes++ % PULSE_ROUND_TRIPS] = took_us;
    pulse->round_trip_us = took_us;
    for (uint32_t i = 0; i < pulse->echoes && i < PULSE_ROUND_TRIPS; i++) {
        pulse->round_trip_us =
            (uint32_t)moot_min_u64(pulse->round_trip_us, pulse->round_trips_us[i]);
    }
    return true;
}

/* What it was like before is another link's, perhaps of an earlier life; and the gap between the
 * two says nothing about this one's pace. */
void pulse__link_begins(struct pulse *pulse, uint64_t now_ns)
{
    pulse__init(pulse, now_ns);
    pulse->heard = true;
    moot_detector_heard(&pulse->detector, (struct moot_instant){now_ns});
}

void pulse__link_ended(struct pulse *pulse)
{
    pulse->round_trip_us = pulse->others_us = pulse->echoes = 0;
}

void pulse__excuse(struct pulse *pulse, uint64_t now_ns, uint64_t lost_ns)
{
    moot_detector_excuse(&pulse->detector, (struct moot_instant){now_ns},
                         (struct moot_duration){lost_ns});
}

uint32_t pulse__phi_milli(const struct pulse *pulse, uint64_t now_ns)
{
    return moot_detector_milli(&pulse->detector, (struct moot_instant){now_ns});
}

enum moot_health pulse__judge(const enum moot_swim_state *swim, bool link_up, bool heard,
                              uint32_t phi_milli)
{
    bool link_lives = link_up && heard && phi_milli < MOOT_PHI_SUSPECT_MILLI;
    if (swim == NULL) {
        /* It died before SWIM met it, or no UDP comes through: the link alone tells. */
        bool is_gone = !link_up && phi_milli >= MOOT_PHI_FAILED_MILLI;
        return !heard       ? MOOT_HEALTH_UNKNOWN
               : link_lives ? MOOT_HEALTH_ALIVE
               : is_gone    ? MOOT_HEALTH_FAILED
                            : MOOT_HEALTH_SUSPECT;
    }
    switch (*swim) {
    case MOOT_SWIM_LEFT:
        return MOOT_HEALTH_LEFT;
    case MOOT_SWIM_ALIVE:
        return link_lives || !heard ? MOOT_HEALTH_ALIVE : MOOT_HEALTH_SUSPECT;
    case MOOT_SWIM_SUSPECT:
        return link_lives ? MOOT_HEALTH_ALIVE : MOOT_HEALTH_SUSPECT;
    case MOOT_SWIM_DEAD:
        /* Who came back by its link may not be back in SWIM yet when it falls silent again. */
        return link_lives                                              ? MOOT_HEALTH_ALIVE
               : link_up && heard && phi_milli < MOOT_PHI_FAILED_MILLI ? MOOT_HEALTH_SUSPECT
                                                                       : MOOT_HEALTH_FAILED;
    }
    MOOT_UNREACHABLE();
}
