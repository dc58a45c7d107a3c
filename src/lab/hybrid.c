/* A hybrid logical clock (Kulkarni and others 2014) among machines whose wall clocks are wrong. */
#include "lab/scene.h"

#include <stdio.h>

#include "moot/hlc.h"
#include "moot/status.h"

enum { NODES = 3, MESSAGES = 30, BOUND_MS = 500, DELAY_US = 3000, BEGIN_MS = 1000000 };

struct machine {
    struct moot_hlc clock;
    int64_t offset_ms;
    uint32_t line;
};

static uint64_t wall_ms(const struct lab *lab, const struct machine *machine)
{
    return (uint64_t)((int64_t)(BEGIN_MS + lab->now_us / 1000) + machine->offset_ms);
}

static uint64_t distance(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

void lab_scene_hybrid(struct lab *lab)
{
    struct machine machines[NODES];
    static const int64_t OFFSETS[NODES] = {0, 40, -60};
    for (uint32_t i = 0; i < NODES; i++) {
        char name[16];
        snprintf(name, sizeof(name), "node %u", i + 1);
        machines[i] = (struct machine){.offset_ms = OFFSETS[i],
                                       .line = lab_line(lab, MOOT_PICTURE_NODE, name)};
        moot_hlc_init(&machines[i].clock, BOUND_MS, 0);
    }
    uint32_t wall_inversions = 0, inversions = 0, refused = 0, healthy_refused = 0;
    uint64_t farthest_ms = 0, jump_at = MESSAGES / 3, back_at = 2 * MESSAGES / 3;
    for (uint32_t i = 0; i < MESSAGES; i++) {
        lab->now_us += 2000 + lab_below(lab, 8000);
        if (i == jump_at || i == back_at) {
            machines[1].offset_ms = i == jump_at ? 60000 : -5000;
            lab_say(lab, machines[1].line, "its wall clock jumps to %+lld ms",
                    (long long)machines[1].offset_ms);
        }
        uint32_t from = i % NODES, to = (from + 1 + (uint32_t)lab_below(lab, NODES - 1)) % NODES;
        uint64_t sent_wall = wall_ms(lab, &machines[from]);
        moot_hlc_stamp sent = moot_hlc_next(&machines[from].clock, sent_wall);
        char text[64];
        snprintf(text, sizeof(text), "stamp %llu ms + %llu",
                 (unsigned long long)(moot_hlc_ms(sent) - BEGIN_MS),
                 (unsigned long long)(sent & 0xFFFF));
        lab_message(lab, machines[from].line, machines[to].line, "message", lab->now_us + DELAY_US,
                    false, text);
        lab->now_us += DELAY_US;
        uint64_t got_wall = wall_ms(lab, &machines[to]);
        wall_inversions += got_wall < sent_wall;
        if (moot_hlc_observe(&machines[to].clock, got_wall, sent) != MOOT_OK) {
            refused++;
            healthy_refused += from != 1 && to != 1;
            lab_say(lab, machines[to].line, "refuses a stamp of %s: %+lld ms ahead of its clock",
                    lab_name(lab, machines[from].line), (long long)(moot_hlc_ms(sent) - got_wall));
            continue;
        }
        moot_hlc_stamp received = moot_hlc_next(&machines[to].clock, got_wall);
        inversions += received <= sent;
        if (from != 1 && to != 1) {
            farthest_ms = moot_max_u64(
                farthest_ms, distance(moot_hlc_ms(received), BEGIN_MS + lab->now_us / 1000));
        }
        lab_state(lab, machines[to].line, "hlc ms", "%llu",
                  (unsigned long long)(moot_hlc_ms(received) - BEGIN_MS));
    }
    lab_claim(lab, wall_inversions > 0, "%u receipts have an earlier wall time than their sending",
              wall_inversions);
    lab_claim(lab, inversions == 0, "no receipt that was taken has an earlier hybrid stamp");
    lab_claim(lab, refused > 0 && healthy_refused == 0,
              "the clock a minute ahead was refused (%u times), nobody else", refused);
    lab_claim(lab, farthest_ms <= 100 + DELAY_US / 1000,
              "stamps of the others stay within %llu ms of true time",
              (unsigned long long)farthest_ms);
    lab_answer(lab, "Order: a cause has the smaller stamp, whatever the clocks do. Closeness to "
                    "true time: because a stamp too far ahead is refused, not followed.");
}
