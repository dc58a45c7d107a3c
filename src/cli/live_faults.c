/* Which fault comes when: one at a time, sometimes of two nodes at once, then a wait until every
 * member serves writes again. That wait is a promise of its own: what never recovers has failed,
 * however little was lost. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/assert.h"
#include "cli/live_faults.h"

enum {
    GAP_MS = 700,      /* At most, between two faults. */
    FAULT_MIN_MS = 50, /* How long one lasts */
    FAULT_MAX_MS = 3000,
    FLAP_MS = 200,
    TWO_PERCENT = 12, /* So often two nodes at once: a majority of three. */
};

const char *const live_fault_names[LIVE_FAULTS_COUNT] = {
#define X(name, text, words) text,
    LIVE_FAULTS(X)
#undef X
};

#define BIT(name)      (1u << LIVE_FAULT_##name)
#define PROCESS_BITS   (BIT(KILL) | BIT(PAUSE))
#define DISK_BITS      (BIT(REPLACE) | BIT(DISK_FULL))
#define CLOCK_BITS     (BIT(SKEW) | BIT(JUMP))
#define PARTITION_BITS (BIT(ISOLATE) | BIT(HALVES) | BIT(BRIDGE) | BIT(ONE_WAY) | BIT(FLAP))
#define NETWORK_BITS   (PARTITION_BITS | BIT(DELAY) | BIT(LOSS))

bool live_faults_parse(const char *text, uint32_t *enabled)
{
    static const struct {
        const char *name;
        uint32_t bits;
    } groups[] = {{"all", PROCESS_BITS | DISK_BITS | CLOCK_BITS | NETWORK_BITS},
                  {"process", PROCESS_BITS},
                  {"disk", DISK_BITS},
                  {"clock", CLOCK_BITS},
                  {"partition", PARTITION_BITS},
                  {"network", NETWORK_BITS},
                  {"none", 0}};
    char copy[256];
    snprintf(copy, sizeof(copy), "%s", text);
    *enabled = 0;
    for (char *name = strtok(copy, ","); name != NULL; name = strtok(NULL, ",")) {
        bool found = false;
        for (size_t i = 0; i < MOOT_ARRAY_LEN(groups); i++) {
            if (strcmp(name, groups[i].name) == 0) {
                *enabled |= groups[i].bits;
                found = true;
            }
        }
        for (uint32_t i = 0; i < LIVE_FAULT_HOOK; i++) {
            if (strcmp(name, live_fault_names[i]) == 0) {
                *enabled |= 1u << i;
                found = true;
            }
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

/* ---- choosing ---- */

void live__get_stuck(struct live_faults *faults, const char *what)
{
    if (!live_is_interrupted() && faults->stuck[0] == '\0') {
        const struct live_band *band = &faults->bands[faults->count - 1];
        snprintf(faults->stuck, sizeof(faults->stuck), "%s (%s of %.60s)", what,
                 live_fault_names[band->fault], band->words);
    }
}

uint64_t live__chance_ms(struct live_faults *faults)
{
    return moot_rng_between(&faults->rng, FAULT_MIN_MS, FAULT_MAX_MS);
}

uint32_t live__members(const struct live_faults *faults, uint32_t out[LIVE_SERVERS_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < faults->cluster->nodes.count; i++) {
        if (live_cluster_has(faults->cluster, i)) {
            out[count++] = i;
        }
    }
    MOOT_ASSERT(count > 0);
    return count;
}

/* A member; every second time the one that leads. */
uint32_t live__choose_victim(struct live_faults *faults)
{
    uint32_t all[LIVE_SERVERS_MAX];
    uint32_t count = live__members(faults, all);
    bool leader = moot_rng_chance(&faults->rng, 1, 2);
    uint32_t other = all[moot_rng_below(&faults->rng, count)];
    return leader ? live_cluster_leader(faults->cluster) : other;
}

static void shuffle(struct live_faults *faults, uint32_t *nodes, uint32_t count)
{
    for (uint32_t i = count; i > 1; i--) {
        uint32_t k = (uint32_t)moot_rng_below(&faults->rng, i);
        uint32_t swapped = nodes[i - 1];
        nodes[i - 1] = nodes[k];
        nodes[k] = swapped;
    }
}

/* ---- networks ---- */

/* Slot 0 are the clients: they reach every node, whatever the nodes do not. */
static void cut(uint32_t from, uint32_t to)
{
    live_network_set(from + 1, to + 1, (struct live_link){.cut = true});
}

static void cut_both(uint32_t a, uint32_t b)
{
    cut(a, b);
    cut(b, a);
}

static void cut_from_all(struct live_faults *faults, uint32_t node, bool both)
{
    uint32_t all[LIVE_SERVERS_MAX];
    uint32_t count = live__members(faults, all);
    for (uint32_t i = 0; i < count; i++) {
        if (all[i] != node) {
            cut(node, all[i]);
            if (both) {
                cut(all[i], node);
            }
        }
    }
}

/* `bridged`: one node of them hears both sides. */
static void cut_halves(struct live_faults *faults, bool bridged, struct live_band *band)
{
    uint32_t all[LIVE_SERVERS_MAX];
    uint32_t count = live__members(faults, all);
    shuffle(faults, all, count);
    uint32_t first = bridged ? 1 : 0;
    uint32_t middle = first + (count - first) / 2;
    for (uint32_t i = first; i < middle; i++) {
        for (uint32_t k = middle; k < count; k++) {
            cut_both(all[i], all[k]);
        }
    }
    size_t size = 0;
    for (uint32_t i = 0; i < count && size < sizeof(band->words) - 16; i++) {
        const char *sign = i == 0 ? "" : i == middle ? " | " : i == first ? " < " : " ";
        size += (size_t)snprintf(band->words + size, sizeof(band->words) - size, "%s%lld", sign,
                                 (long long)faults->cluster->ids[all[i]]);
    }
}

static void spoil_links(struct live_faults *faults, bool loss, struct live_band *band)
{
    uint32_t all[LIVE_SERVERS_MAX], spoiled = 0;
    uint32_t count = live__members(faults, all);
    uint32_t delay_ms = (uint32_t)moot_rng_between(&faults->rng, 1, 80);
    uint32_t lost = (uint32_t)moot_rng_between(&faults->rng, 10, 300);
    struct live_link link = {.loss = loss ? lost : 0,
                             .delay_us = loss ? 0 : delay_ms * 1000,
                             .jitter_us = loss ? 0 : delay_ms * 2000};
    bool one_by_one = moot_rng_chance(&faults->rng, 1, 2);
    for (uint32_t i = 0; i < count * count; i++) {
        bool chosen = !one_by_one || moot_rng_chance(&faults->rng, 1, 2);
        if (all[i / count] != all[i % count] && chosen) {
            live_network_set(all[i / count] + 1, all[i % count] + 1, link);
            spoiled++;
        }
    }
    if (loss) {
        snprintf(band->words, sizeof(band->words), "%u.%u %% on %u links", lost / 10, lost % 10,
                 spoiled);
    } else {
        snprintf(band->words, sizeof(band->words), "%u to %u ms on %u links", delay_ms,
                 3 * delay_ms, spoiled);
    }
}

static void run_network(struct live_faults *faults, struct live_band *band)
{
    uint32_t victim = 0;
    uint64_t left_ms = live__chance_ms(faults);
    if (band->fault == LIVE_FAULT_ISOLATE) {
        victim = live_cluster_leader(faults->cluster);
        cut_from_all(faults, victim, true);
    } else if (band->fault == LIVE_FAULT_ONE_WAY || band->fault == LIVE_FAULT_FLAP) {
        victim = live__choose_victim(faults);
        cut_from_all(faults, victim, band->fault == LIVE_FAULT_FLAP);
    } else if (band->fault == LIVE_FAULT_DELAY || band->fault == LIVE_FAULT_LOSS) {
        spoil_links(faults, band->fault == LIVE_FAULT_LOSS, band);
    } else {
        cut_halves(faults, band->fault == LIVE_FAULT_BRIDGE, band);
    }
    if (band->words[0] == '\0') {
        snprintf(band->words, sizeof(band->words), "node %lld",
                 (long long)faults->cluster->ids[victim]);
    }
    bool is_cut = true;
    while (left_ms > 0) {
        uint64_t step = band->fault == LIVE_FAULT_FLAP
                            ? moot_min_u64(left_ms, moot_rng_between(&faults->rng, 20, FLAP_MS))
                            : left_ms;
        if (!live_nap_ms(step)) {
            break;
        }
        left_ms -= step;
        is_cut = !is_cut;
        if (is_cut) {
            cut_from_all(faults, victim, true);
        } else if (left_ms > 0) {
            live_network_heal();
        }
    }
    live_network_heal();
}

/* ---- processes ---- */

static void strike(struct live_faults *faults, enum live_fault fault, uint32_t node)
{
    if (fault == LIVE_FAULT_KILL) {
        live_cluster_kill(faults->cluster, node);
    } else {
        live_cluster_stop(faults->cluster, node);
    }
}

static void heal(struct live_faults *faults, enum live_fault fault, uint32_t node)
{
    if (fault == LIVE_FAULT_KILL) {
        if (!live_cluster_restart(faults->cluster, node)) {
            live__get_stuck(faults, "a node could not be started again");
        }
    } else {
        live_cluster_continue(faults->cluster, node);
    }
}

static void run_process(struct live_faults *faults, struct live_band *band)
{
    uint32_t all[LIVE_SERVERS_MAX], count = live__members(faults, all);
    bool two = count > 1 && moot_rng_below(&faults->rng, 100) < TWO_PERCENT;
    uint32_t victims[2] = {live__choose_victim(faults)};
    uint32_t other = (uint32_t)moot_rng_below(&faults->rng, count);
    victims[1] = all[other] != victims[0] ? all[other] : all[(other + 1) % count];
    snprintf(band->words, sizeof(band->words), two ? "nodes %lld, %lld" : "node %lld",
             (long long)faults->cluster->ids[victims[0]],
             (long long)faults->cluster->ids[victims[1]]);
    for (int i = 0; i < 1 + two; i++) {
        strike(faults, band->fault, victims[i]);
    }
    live_nap_ms(live__chance_ms(faults));
    for (int i = 0; i < 1 + two; i++) {
        heal(faults, band->fault, victims[i]);
    }
}

static void run_replace(struct live_faults *faults, struct live_band *band)
{
    uint32_t victim = live__choose_victim(faults);
    snprintf(band->words, sizeof(band->words), "node %lld",
             (long long)faults->cluster->ids[victim]);
    if (!live_cluster_replace(faults->cluster, victim)) {
        live__get_stuck(faults, "a node was not replaced");
        return;
    }
    size_t size = strlen(band->words);
    snprintf(band->words + size, sizeof(band->words) - size, " by %lld",
             (long long)faults->cluster->ids[faults->cluster->nodes.count - 1]);
}

/* ---- hooks ---- */

static void call_hook(struct live_faults *faults, const char *event, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    setenv("MOOT_EVENT", event, 1);
    setenv("MOOT_FAULT", text, 1);
    int status = system(faults->hook);
    if (status != 0) {
        cli_fail("the hook ended with status %d at %s of fault %llu", WEXITSTATUS(status), event,
                 (unsigned long long)number);
    }
}

static void run_hook(struct live_faults *faults, struct live_band *band)
{
    snprintf(band->words, sizeof(band->words), "fault %u", faults->count);
    call_hook(faults, "begin", faults->count);
    live_nap_ms(live__chance_ms(faults));
    call_hook(faults, "end", faults->count);
}

/* ---- the whole ---- */

static bool may_replace(const struct live_faults *faults)
{
    uint32_t all[LIVE_SERVERS_MAX];
    return faults->cluster != NULL && faults->cluster->nodes.count < LIVE_SERVERS_MAX &&
           live__members(faults, all) >= 3;
}

/* A fault that is enabled, or COUNT. */
static enum live_fault choose_fault(struct live_faults *faults)
{
    enum live_fault found[LIVE_FAULTS_COUNT];
    uint64_t count = 0;
    for (uint32_t i = 0; i < LIVE_FAULTS_COUNT; i++) {
        bool possible = i != LIVE_FAULT_REPLACE || may_replace(faults);
        if ((faults->enabled & 1u << i) != 0 && possible) {
            found[count++] = (enum live_fault)i;
        }
    }
    return count == 0 ? LIVE_FAULTS_COUNT : found[moot_rng_below(&faults->rng, count)];
}

static void one_round(struct live_faults *faults, enum live_fault fault)
{
    struct live_band *band = &faults->bands[faults->count++];
    *band = (struct live_band){.fault = fault, .from_ns = live_now_ns()};
    if (fault == LIVE_FAULT_HOOK) {
        run_hook(faults, band);
    } else if (fault == LIVE_FAULT_REPLACE) {
        run_replace(faults, band);
    } else if (fault == LIVE_FAULT_DISK_FULL) {
        live__run_disk(faults, band);
    } else if (fault == LIVE_FAULT_SKEW || fault == LIVE_FAULT_JUMP) {
        live__run_clock(faults, band);
    } else if (fault == LIVE_FAULT_KILL || fault == LIVE_FAULT_PAUSE) {
        run_process(faults, band);
    } else {
        run_network(faults, band);
    }
    band->healed_ns = live_now_ns();
    if (faults->cluster != NULL && !live_is_interrupted()) {
        faults->ended_alone += live_cluster_look_after(faults->cluster);
        if (!live_cluster_serves(faults->cluster, faults->recovery_s)) {
            live__get_stuck(faults, "not every node served writes again in time");
        }
    }
    band->serving_ns = live_now_ns();
}

void live_faults_run(struct live_faults *faults, uint64_t end_ns)
{
    while (live_now_ns() < end_ns && faults->stuck[0] == '\0') {
        uint64_t left_ms = (end_ns - live_now_ns()) / 1000000;
        uint64_t gap_ms = moot_rng_below(&faults->rng, GAP_MS + 1);
        enum live_fault fault = choose_fault(faults);
        bool idle =
            fault == LIVE_FAULTS_COUNT || gap_ms >= left_ms || faults->count == LIVE_BANDS_MAX;
        if (!live_nap_ms(idle ? left_ms + 1 : gap_ms)) {
            return;
        }
        if (!idle) {
            one_round(faults, fault);
        }
    }
}
