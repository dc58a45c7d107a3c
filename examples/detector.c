/* Two peers, three detectors, one silence: what each says as it gets longer. The first peer beats
 * like a metronome, the second comes and goes; a fixed time-out cannot tell them apart. */
#include <stdio.h>

#include "moot/detector.h"

static struct moot_instant at_ms(uint64_t ms) { return (struct moot_instant){ms * MOOT_MSEC_NS}; }

int main(void)
{
    static const char *const names[] = {"time-out 500 ms", "phi, normal", "phi, exponential"};
    struct moot_detector steady[3];
    struct moot_detector restless[3];
    for (int kind = 0; kind < 3; kind++) {
        struct moot_detector_options options = {
            .kind = (enum moot_detector_kind)kind,
            .threshold_milli = kind == MOOT_DETECTOR_TIMEOUT ? 1000 : 5000,
            .timeout = {500 * MOOT_MSEC_NS},
            .gap_first = {100 * MOOT_MSEC_NS},
            .gap_max = {5 * MOOT_SEC_NS},
            .deviation_min = {10 * MOOT_MSEC_NS},
        };
        moot_detector_init(&steady[kind], &options, at_ms(0));
        moot_detector_init(&restless[kind], &options, at_ms(0));
        for (uint64_t beat = 1; beat <= 100; beat++) {
            moot_detector_heard(&steady[kind], at_ms(beat * 100));
            /* The same pace on average, by fits and starts. */
            uint64_t late_ms = beat % 6 * 16;
            moot_detector_heard(&restless[kind], at_ms(beat * 100 + (beat < 100 ? late_ms : 0)));
        }
    }
    printf("silence   %-28s%s\n", "of a steady peer", "of a restless peer");
    for (uint64_t silence_ms = 100; silence_ms <= 800; silence_ms += 100) {
        for (int kind = 0; kind < 3; kind++) {
            struct moot_instant now = at_ms(10000 + silence_ms);
            uint32_t a = moot_detector_milli(&steady[kind], now);
            uint32_t b = moot_detector_milli(&restless[kind], now);
            printf("%4u ms   %6u.%02u %-18s%6u.%02u %-10s %s\n", (unsigned)silence_ms, a / 1000,
                   a % 1000 / 10, moot_detector_suspects(&steady[kind], now) ? "suspected" : "",
                   b / 1000, b % 1000 / 10,
                   moot_detector_suspects(&restless[kind], now) ? "suspected" : "", names[kind]);
        }
    }
    struct moot_instant a = moot_detector_deadline(&steady[1], 5000);
    struct moot_instant b = moot_detector_deadline(&restless[1], 5000);
    printf(
        "phi = 5 means: one such silence in 100,000 would be innocent. The normal detector needs "
        "%u ms for the steady peer and %u ms for the restless one.\n",
        (unsigned)((a.ns / MOOT_MSEC_NS) - 10000), (unsigned)((b.ns / MOOT_MSEC_NS) - 10000));
    return a.ns < b.ns ? 0 : 1;
}
