/* SWIM (Das and others 2002): six members, one cut off for a moment, one dead for good. */
#include "lab/scene.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "moot/swim.h"

enum { MEMBERS = 6, QUEUE = 512, STEP_US = 5000, CUT_OFF = 4, VICTIM = 5 };

struct packet {
    uint64_t at_us;
    uint32_t to, size; /* to 0: free. */
    uint8_t bytes[MOOT_SWIM_PACKET_MAX];
};

struct group {
    struct lab *lab;
    struct moot_swim *members[MEMBERS + 1];
    void *memory[MEMBERS + 1];
    uint32_t lines[MEMBERS + 1];
    bool cut[MEMBERS + 1], dead[MEMBERS + 1];
    struct packet queue[QUEUE];
    struct moot_swim_out out;
    uint32_t suspected, refuted, buried_wrongly, sent;
};

static struct moot_instant instant(const struct lab *lab)
{
    return (struct moot_instant){lab->now_us * MOOT_USEC_NS};
}

static void send_all(struct group *group, uint32_t from)
{
    static const char *const KINDS[] = {"ping", "ack", "nack", "ping-req", "sync"};
    for (uint32_t i = 0; i < group->out.count; i++) {
        uint32_t to = group->out.sends[i].address.bytes[0];
        bool lost = group->cut[from] || group->cut[to] || group->dead[to];
        uint64_t at = group->lab->now_us + 2000 + lab_below(group->lab, 20000);
        group->sent++;
        lab_message(group->lab, group->lines[from], group->lines[to],
                    KINDS[group->out.sends[i].bytes[1] % MOOT_ARRAY_LEN(KINDS)], at, lost, "");
        struct packet *packet = group->queue;
        while (!lost && packet->to != 0) {
            packet++;
            MOOT_ASSERT(packet < group->queue + QUEUE);
        }
        if (!lost) {
            packet->at_us = at;
            packet->to = to;
            packet->size = group->out.sends[i].size;
            memcpy(packet->bytes, group->out.sends[i].bytes, packet->size);
        }
    }
    struct moot_swim_change change;
    while (moot_swim_next_change(group->members[from], &change)) {
        lab_say(group->lab, group->lines[from], "member %u is %s", change.id,
                moot_swim_state_text(change.state));
        group->suspected += change.id == CUT_OFF && change.state == MOOT_SWIM_SUSPECT;
        group->refuted += change.id == CUT_OFF && change.state == MOOT_SWIM_ALIVE;
        group->buried_wrongly += change.id != VICTIM && change.state == MOOT_SWIM_DEAD;
    }
    lab_state(group->lab, group->lines[from], "sees", "%u members",
              moot_swim_count(group->members[from]));
}

static void run_until(struct group *group, uint64_t end_us)
{
    struct lab *lab = group->lab;
    for (; lab->now_us < end_us; lab->now_us += STEP_US) {
        for (uint32_t i = 0; i < QUEUE; i++) {
            struct packet *packet = &group->queue[i];
            if (packet->to == 0 || packet->at_us > lab->now_us) {
                continue;
            }
            uint32_t to = packet->to;
            int status =
                moot_swim_receive(group->members[to], instant(lab),
                                  (struct moot_slice){packet->bytes, packet->size}, &group->out);
            MOOT_ASSERT(status == 0);
            packet->to = 0;
            if (!group->dead[to]) {
                send_all(group, to);
            }
        }
        for (uint32_t i = 1; i <= MEMBERS; i++) {
            if (!group->dead[i] &&
                !moot_instant_before(instant(lab), moot_swim_deadline(group->members[i]))) {
                moot_swim_tick(group->members[i], instant(lab), &group->out);
                send_all(group, i);
            }
        }
    }
}

static void make(struct group *group)
{
    struct lab *lab = group->lab;
    size_t bytes = moot_swim_memory(MEMBERS);
    for (uint32_t i = 1; i <= MEMBERS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "member %u", i);
        group->lines[i] = lab_line(lab, MOOT_PICTURE_NODE, name);
        group->memory[i] = moot_alloc(bytes);
        struct moot_swim_config config = {.self = i,
                                          .address = {.size = 1, .bytes = {(uint8_t)i}},
                                          .incarnation = 1,
                                          .seed = moot_rng_next(&lab->rng),
                                          .interval = moot_ms(500),
                                          .timeout = moot_ms(150)};
        int status = moot_swim_init(&config, MEMBERS, group->memory[i], bytes, instant(lab),
                                    &group->members[i]);
        MOOT_ASSERT(status == 0);
    }
    for (uint32_t i = 2; i <= MEMBERS; i++) {
        struct moot_swim_address seed = {.size = 1, .bytes = {1}};
        moot_swim_join(group->members[i], instant(lab), &seed, 1, &group->out);
        send_all(group, i);
    }
}

void lab_scene_swim(struct lab *lab)
{
    struct group *group = moot_alloc_zero(sizeof(*group));
    group->lab = lab;
    make(group);
    run_until(group, 3000 * 1000);
    bool whole = true;
    for (uint32_t i = 1; i <= MEMBERS; i++) {
        whole = whole && moot_swim_count(group->members[i]) == MEMBERS;
    }
    group->suspected = group->refuted = 0;
    lab_say(lab, MOOT_PICTURE_NOBODY, "member %d is cut off, until somebody notices", CUT_OFF);
    uint64_t began = lab->now_us;
    group->cut[CUT_OFF] = true;
    while (group->suspected == 0 && lab->now_us < began + 30000 * 1000) {
        run_until(group, lab->now_us + STEP_US);
    }
    group->cut[CUT_OFF] = false;
    (void)moot_picture_fault(
        lab->picture, &(struct moot_picture_fault){.name = MOOT_SLICE_LITERAL("cut off"),
                                                   .lines = UINT64_C(1) << group->lines[CUT_OFF],
                                                   .from = began * MOOT_USEC_NS,
                                                   .until = lab->now_us * MOOT_USEC_NS});
    run_until(group, lab->now_us + 6000 * 1000);
    lab_say(lab, MOOT_PICTURE_NOBODY, "member %d dies", VICTIM);
    group->dead[VICTIM] = true;
    lab_role(lab, group->lines[VICTIM], "down", 0);
    run_until(group, lab->now_us + 20000 * 1000);
    uint32_t know = 0;
    for (uint32_t i = 1; i <= MEMBERS; i++) {
        struct moot_swim_member member;
        bool found = moot_swim_find(group->members[i], VICTIM, &member);
        know += i != VICTIM && found && member.state == MOOT_SWIM_DEAD;
    }
    lab_claim(lab, whole, "six members that knew one address found each other");
    lab_claim(lab, group->suspected > 0 && group->refuted > 0,
              "the one cut off was suspected (by %u) and refuted it", group->suspected);
    lab_claim(lab, group->buried_wrongly == 0, "nobody who lives was called dead");
    lab_claim(lab, know == MEMBERS - 1, "all %d others know that member %d is dead", MEMBERS - 1,
              VICTIM);
    lab_answer(lab,
               "Each asks one other at a time, a few help when it does not answer, and the news "
               "travel on these very messages (%u in all); a suspect has time to object.",
               group->sent);
    for (uint32_t i = 1; i <= MEMBERS; i++) {
        moot_free(group->memory[i]);
    }
    moot_free(group);
}
