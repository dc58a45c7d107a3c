/* Two generals (Akkoyunlu, Ekanadham, Huber 1975; Gray, "Notes on Data Base Operating Systems",
 * 1978): over messengers that may be caught, no protocol of finitely many messages makes both
 * attack in every run in which one does. */
#include "lab/scene.h"

#include <stdio.h>

enum { DEPTH_MAX = 6, TRAVEL_US = 1000 };

/* A protocol of `depth` messages that go to and fro: a general attacks when all that it should have
 * received has come. Message i (from 0) goes from A when i is even. It is sent only if the one
 * before arrived. Of a run in which message `lost` is caught (depth: none), who attacks? */
static void play(uint32_t depth, uint32_t lost, bool *a, bool *b)
{
    uint32_t arrived = lost < depth ? lost : depth;
    /* B is satisfied by the last message to it, A by the last to it. */
    uint32_t to_b = depth % 2 == 1 ? depth : depth - 1; /* How many must have arrived for B. */
    uint32_t to_a = depth % 2 == 0 ? depth : depth - 1;
    *b = arrived >= to_b;
    *a = arrived >= to_a;
}

static void draw(struct lab *lab, uint32_t depth, uint32_t lost, const uint32_t lines[2])
{
    uint64_t began = lab->now_us;
    for (uint32_t i = 0; i <= lost && i < depth; i++) {
        char text[64];
        snprintf(text, sizeof(text), i == 0 ? "attack at dawn" : "acknowledgement %u", i);
        lab->now_us = began + i * TRAVEL_US;
        lab_message(lab, lines[i % 2], lines[1 - i % 2], "messenger", lab->now_us + TRAVEL_US,
                    i == lost, text);
    }
    lab->now_us = began + (depth + 1) * TRAVEL_US;
}

void lab_scene_generals(struct lab *lab)
{
    const uint32_t lines[2] = {lab_line(lab, MOOT_PICTURE_NODE, "A"),
                               lab_line(lab, MOOT_PICTURE_NODE, "B")};
    bool always = true;
    for (uint32_t depth = 1; depth <= DEPTH_MAX; depth++) {
        uint32_t splits = 0, split_at = 0;
        for (uint32_t lost = 0; lost <= depth; lost++) {
            bool a, b;
            play(depth, lost, &a, &b);
            if (a != b) {
                splits++;
                split_at = lost;
            }
        }
        bool a, b;
        play(depth, depth, &a, &b);
        always = always && splits > 0 && a && b;
        lab_say(lab, MOOT_PICTURE_NOBODY,
                "%u message%s: if number %u is caught, one general attacks alone", depth,
                depth == 1 ? "" : "s", split_at + 1);
        draw(lab, depth, split_at, lines);
        play(depth, split_at, &a, &b);
        lab_say(lab, lines[0], "%s", a ? "attacks" : "stays");
        lab_say(lab, lines[1], "%s", b ? "attacks" : "stays");
    }
    lab_claim(lab, always, "with 1 to %d messages there is a loss after which exactly one attacks",
              DEPTH_MAX);
    /* The argument for any number: drop messages from the end; at some one the runs differ. */
    bool chain = true;
    for (uint32_t depth = 1; depth <= 64; depth++) {
        uint32_t changes = 0;
        bool last_a = false, last_b = false;
        for (uint32_t lost = 0; lost <= depth; lost++) {
            bool a, b;
            play(depth, lost, &a, &b);
            changes += lost > 0 && (a != last_a) != (b != last_b);
            last_a = a;
            last_b = b;
        }
        chain = chain && changes > 0;
    }
    lab_claim(lab, chain, "and so with up to 64: each step of one more message changes one mind");
    lab_answer(lab, "No. The last message that matters may be the lost one, and its sender cannot "
                    "know. A database answers 'in doubt' instead of guessing.");
}
