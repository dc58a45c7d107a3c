/* Two clients read a key, then both write it, through different replicas: last-writer-wins by wall
 * clock, and dotted version vectors (Preguica and others 2010). */
#include "lab/scene.h"

#include <stdio.h>

#include "base/assert.h"
#include "moot/version.h"

enum { REPLICAS = 2, ROUNDS = 60 };

struct lww {
    uint64_t stamp, value;
};

static void lww_merge(struct lww *into, const struct lww *from)
{
    if (from->stamp > into->stamp) {
        *into = *from;
    }
}

static void write_at(struct moot_siblings *siblings, const struct moot_version *context,
                     uint32_t replica, uint64_t value)
{
    struct moot_dot dot;
    int status = moot_siblings_write(siblings, context, replica + 1, value, &dot);
    MOOT_ASSERT(status == 0);
}

static bool holds(const struct moot_siblings *siblings, uint64_t value)
{
    for (uint32_t i = 0; i < siblings->value_count; i++) {
        if (siblings->values[i] == value) {
            return true;
        }
    }
    return false;
}

/* Each replica learns what the other knows. */
static void exchange(struct lww last[REPLICAS], struct moot_siblings siblings[REPLICAS])
{
    lww_merge(&last[0], &last[1]);
    lww_merge(&last[1], &last[0]);
    for (uint32_t i = 0; i < REPLICAS; i++) {
        int status = moot_siblings_sync(&siblings[i], &siblings[1 - i]);
        MOOT_ASSERT(status == 0);
    }
}

void lab_scene_siblings(struct lab *lab)
{
    uint32_t replicas[REPLICAS] = {lab_line(lab, MOOT_PICTURE_NODE, "replica 1"),
                                   lab_line(lab, MOOT_PICTURE_NODE, "replica 2")};
    uint32_t clients[REPLICAS] = {lab_line(lab, MOOT_PICTURE_CLIENT, "ann"),
                                  lab_line(lab, MOOT_PICTURE_CLIENT, "bob")};
    struct lww last[REPLICAS] = {{0}};
    struct moot_siblings siblings[REPLICAS];
    moot_siblings_init(&siblings[0]);
    moot_siblings_init(&siblings[1]);
    uint64_t skew_us = 5000; /* Replica 2's clock is so much behind. */
    uint32_t lost_by_lww = 0, lost_by_dots = 0, most = 0, later_lost = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct moot_version context[REPLICAS];
        uint64_t values[REPLICAS] = {2 * round + 1, 2 * round + 2};
        bool drawn = round < 4;
        uint32_t first = (uint32_t)lab_below(lab, 2);
        for (uint32_t i = 0; i < REPLICAS; i++) {
            moot_siblings_context(&siblings[i], &context[i]);
        }
        for (uint32_t turn = 0; turn < REPLICAS; turn++) {
            uint32_t i = turn == 0 ? first : 1 - first;
            lab->now_us += 1000;
            last[i] = (struct lww){lab->now_us + (i == 0 ? skew_us : 0), values[i]};
            write_at(&siblings[i], &context[i], i, values[i]);
            if (drawn) {
                char asked[32];
                snprintf(asked, sizeof(asked), "SET cart v%llu", (unsigned long long)values[i]);
                lab_operation(lab, clients[i], replicas[i], lab->now_us + 300, false, asked, "OK");
            }
        }
        lab->now_us += 1000;
        if (drawn) {
            lab_message(lab, replicas[0], replicas[1], "sync", lab->now_us + 500, false, "");
            lab_message(lab, replicas[1], replicas[0], "sync", lab->now_us + 500, false, "");
        }
        exchange(last, siblings);
        lab->now_us += 1000;
        lost_by_lww += (last[0].value != values[0]) + (last[0].value != values[1]);
        later_lost += last[0].value == values[first];
        for (uint32_t i = 0; i < REPLICAS; i++) {
            lost_by_dots += !holds(&siblings[0], values[i]);
        }
        most = siblings[0].value_count > most ? siblings[0].value_count : most;
        if (drawn) {
            lab_say(lab, replicas[0],
                    "last writer wins keeps v%llu; version vectors keep %u values",
                    (unsigned long long)last[0].value, siblings[0].value_count);
        }
        /* Ann reads both and writes one that replaces them. */
        moot_siblings_context(&siblings[0], &context[0]);
        write_at(&siblings[0], &context[0], 0, 1000000 + round);
        last[0] = last[1] = (struct lww){lab->now_us + skew_us, 1000000 + round};
        exchange(last, siblings);
        lost_by_dots += siblings[1].value_count != 1;
        lab->now_us += 2000;
    }
    lab_claim(lab, last[0].value == last[1].value, "last-writer-wins replicas agree in the end");
    lab_claim(lab, later_lost > 0,
              "but lost %u acknowledged writes in %d rounds, %u of them the later one", lost_by_lww,
              ROUNDS, later_lost);
    lab_claim(lab, lost_by_dots == 0 && most == 2,
              "dotted version vectors lost none, and never kept more than %u values at once", most);
    lab_answer(lab, "With last-writer-wins, whoever has the slower clock. With dotted version "
                    "vectors nobody: both values stand until somebody who has seen both writes.");
}
