/* N replicas, a write acknowledged by W, a read that asks R: Gifford 1979; Dynamo 2007, 4.5. A
 * stale read is one that begins after a write was acknowledged, and misses it. */
#include "lab/scene.h"

#include <stdio.h>

enum { REPLICAS = 3, ROUNDS = 400, DRAWN = 3 };

struct replica {
    uint64_t version, next, next_at_us; /* What it holds; what is on the way to it. */
};

struct keeper {
    struct replica replicas[REPLICAS];
    uint32_t lines[REPLICAS + 1]; /* The last is the client. */
};

static void arrive(struct keeper *keeper, uint64_t now_us)
{
    for (uint32_t i = 0; i < REPLICAS; i++) {
        struct replica *replica = &keeper->replicas[i];
        if (replica->next > replica->version && replica->next_at_us <= now_us) {
            replica->version = replica->next;
        }
    }
}

/* Sends the version to all; the instant at which W of them have it. */
static uint64_t write_out(struct lab *lab, struct keeper *keeper, uint64_t version, uint32_t w,
                          bool drawn)
{
    uint64_t at[REPLICAS];
    for (uint32_t i = 0; i < REPLICAS; i++) {
        at[i] = lab->now_us + 500 + lab_below(lab, 20000);
        keeper->replicas[i].next = version;
        keeper->replicas[i].next_at_us = at[i];
        if (drawn) {
            char text[24];
            snprintf(text, sizeof(text), "v%llu", (unsigned long long)version);
            lab_message(lab, keeper->lines[REPLICAS], keeper->lines[i], "write", at[i], false,
                        text);
        }
    }
    for (uint32_t i = 0; i < REPLICAS; i++) {
        uint32_t sooner = 0;
        for (uint32_t j = 0; j < REPLICAS; j++) {
            sooner += at[j] < at[i] || (at[j] == at[i] && j < i);
        }
        if (sooner == w - 1) {
            return at[i];
        }
    }
    return UINT64_MAX;
}

/* The newest version that R replicas, chosen by chance, hold now. */
static uint64_t read_from(struct lab *lab, const struct keeper *keeper, uint32_t r, bool drawn)
{
    uint32_t order[REPLICAS];
    for (uint32_t i = 0; i < REPLICAS; i++) {
        uint32_t j = (uint32_t)lab_below(lab, i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    uint64_t newest = 0;
    for (uint32_t i = 0; i < r; i++) {
        uint64_t version = keeper->replicas[order[i]].version;
        newest = version > newest ? version : newest;
        if (drawn) {
            char text[24];
            snprintf(text, sizeof(text), "v%llu", (unsigned long long)version);
            lab_message(lab, keeper->lines[order[i]], keeper->lines[REPLICAS], "read",
                        lab->now_us + 400, false, text);
        }
    }
    return newest;
}

static uint32_t run(struct lab *lab, struct keeper *keeper, uint32_t r, uint32_t w)
{
    uint32_t stale = 0;
    for (uint32_t i = 0; i < REPLICAS; i++) {
        keeper->replicas[i] = (struct replica){0};
    }
    uint64_t shown_until = lab->now_us;
    for (uint64_t version = 1; version <= ROUNDS; version++) {
        bool drawn = version <= DRAWN;
        uint64_t began = lab->now_us;
        uint64_t acknowledged = write_out(lab, keeper, version, w, drawn);
        if (drawn) {
            char asked[24];
            snprintf(asked, sizeof(asked), "write v%llu", (unsigned long long)version);
            lab_operation(lab, keeper->lines[REPLICAS], MOOT_PICTURE_NOBODY, acknowledged, false,
                          asked, "ok");
        }
        lab->now_us = acknowledged + 1;
        arrive(keeper, lab->now_us);
        uint64_t seen = read_from(lab, keeper, r, drawn);
        stale += seen < version;
        if (drawn) {
            char answer[24];
            snprintf(answer, sizeof(answer), "v%llu", (unsigned long long)seen);
            lab_operation(lab, keeper->lines[REPLICAS], MOOT_PICTURE_NOBODY, lab->now_us + 500,
                          seen < version, "read", answer);
            shown_until = lab->now_us + 500;
        }
        lab->now_us = began + 25000; /* All have it before the next write. */
        arrive(keeper, lab->now_us);
        if (version >= DRAWN) {
            lab->now_us = began; /* What is not drawn takes no room on the picture. */
            for (uint32_t i = 0; i < REPLICAS; i++) {
                keeper->replicas[i].version = version;
            }
        }
    }
    lab->now_us = shown_until + 30000;
    return stale;
}

void lab_scene_quorums(struct lab *lab)
{
    struct keeper keeper = {0};
    for (uint32_t i = 0; i < REPLICAS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "replica %u", i + 1);
        keeper.lines[i] = lab_line(lab, MOOT_PICTURE_NODE, name);
    }
    keeper.lines[REPLICAS] = lab_line(lab, MOOT_PICTURE_CLIENT, "client");
    bool exact = true;
    for (uint32_t r = 1; r <= REPLICAS; r++) {
        for (uint32_t w = 1; w <= REPLICAS; w++) {
            lab_mark(lab, MOOT_PICTURE_NOBODY, MOOT_PICTURE_PHASE, "R=%u W=%u", r, w);
            uint32_t stale = run(lab, &keeper, r, w);
            bool may = r + w <= REPLICAS;
            exact = exact && may == (stale > 0);
            lab_tell(lab, "  N=%d R=%u W=%u  R+W %s N   %3u of %d reads stale", REPLICAS, r, w,
                     may ? "<=" : "> ", stale, ROUNDS);
        }
    }
    lab_claim(lab, exact, "stale reads were seen exactly where R+W <= N");
    lab_answer(lab, "When R+W <= N: the replicas that were asked may all be others than those that "
                    "have the write. With R+W > N at least one has it.");
}
