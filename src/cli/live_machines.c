/* Faults of disks and clocks, and what a node has to do about them: refuse growth and go on with
 * the rest, hand over leadership, come back. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "cli/client.h"
#include "cli/live_faults.h"

enum {
    NOTICE_MS = 15000, /* A node looks at its disk once a second; an election may come between. */
    POLL_MS = 50,
    ANSWER_MS = 2000,
    LATE_MS = 1500, /* A write that failed may show so much later. */
    MIB = 1024 * 1024,
    SKEW_MIN_MS = 50,
    SKEW_MAX_MS = 400, /* Below MOOT_CLOCK_BOUND_MS, with room for what measuring it takes. */
};

/* ---- what a node answers ---- */

enum answer { ANSWER_NONE, ANSWER_DONE, ANSWER_REFUSED, ANSWER_ERROR };

static enum answer answer_of(const struct live_cluster *cluster, uint32_t node, const char *first,
                             const char *second, const char *third)
{
    const char *const words[] = {first, second, third};
    struct cli_client link;
    struct moot_resp_value reply;
    char why[256];
    enum answer answer = ANSWER_NONE;
    if (cli_connect(&link, cluster->nodes.client[node], ANSWER_MS, why) != 0) {
        return ANSWER_NONE;
    }
    if (cli_command(&link, third != NULL ? 3 : 2, words, ANSWER_MS, &reply, why) == 0) {
        bool error = reply.type == MOOT_RESP_ERROR;
        bool refused = error && moot_slice_starts_with(reply.text, MOOT_SLICE_LITERAL("OOM "));
        answer = refused ? ANSWER_REFUSED : error ? ANSWER_ERROR : ANSWER_DONE;
    }
    cli_disconnect(&link);
    return answer;
}

static enum answer grow(const struct live_cluster *cluster, uint32_t node)
{
    return answer_of(cluster, node, "SET", "moot:check:space", "1");
}

/* ---- disks ---- */

static void fill(struct live_faults *faults, uint32_t node, uint64_t leave_mib)
{
    char folder[CLI_PATH_BYTES];
    live_cluster_folder(faults->cluster, node, folder);
    if (!live_disks_fill(folder, leave_mib * MIB)) {
        live__get_stuck(faults, "a disk could not be filled");
    }
}

static void empty(const struct live_faults *faults, uint32_t node)
{
    char folder[CLI_PATH_BYTES];
    live_cluster_folder(faults->cluster, node, folder);
    live_disks_free(folder);
}

/* All are nearly full: growth is refused through every node, and the rest goes on. */
static void fill_all(struct live_faults *faults, uint64_t leave_mib)
{
    uint32_t all[LIVE_SERVERS_MAX];
    uint32_t count = live__members(faults, all);
    uint64_t end = live_now_ns() + NOTICE_MS * UINT64_C(1000000);
    for (uint32_t i = 0; i < count; i++) {
        fill(faults, all[i], leave_mib);
    }
    for (uint32_t i = 0; i < count; i++) {
        while (grow(faults->cluster, all[i]) != ANSWER_REFUSED && live_nap_ms(POLL_MS)) {
            if (live_now_ns() > end) {
                live__get_stuck(faults, "full disks did not refuse growth");
                return;
            }
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct live_cluster *cluster = faults->cluster;
        while (answer_of(cluster, all[i], "GET", "moot:check:space", NULL) != ANSWER_DONE ||
               answer_of(cluster, all[i], "DEL", "moot:check:space", NULL) != ANSWER_DONE) {
            if (!live_nap_ms(POLL_MS)) {
                return;
            }
            if (live_now_ns() > end) {
                live__get_stuck(faults, "full disks refused reads or deletions");
                return;
            }
        }
    }
}

/* False: it got stuck. */
static bool wait_for_another_leader(struct live_faults *faults, uint32_t not_this, const char *what)
{
    uint64_t end = live_now_ns() + NOTICE_MS * UINT64_C(1000000);
    while (live_cluster_leader(faults->cluster) == not_this && live_nap_ms(POLL_MS)) {
        if (live_now_ns() > end) {
            live__get_stuck(faults, what);
            return false;
        }
    }
    return true;
}

void live__run_disk(struct live_faults *faults, struct live_band *band)
{
    enum { ALL_NEARLY, LEADER_NEARLY, ONE_FULL, WAYS };
    struct live_cluster *cluster = faults->cluster;
    uint32_t all[LIVE_SERVERS_MAX];
    uint32_t count = live__members(faults, all);
    uint64_t way = moot_rng_below(&faults->rng, WAYS);
    /* Growth is refused below a quarter; what is left is for the log and what else goes on. */
    uint64_t leave_mib = moot_rng_between(&faults->rng, LIVE_DISK_MIB / 7, LIVE_DISK_MIB / 5);
    uint32_t victim = live__choose_victim(faults);
    victim = way == LEADER_NEARLY ? live_cluster_leader(cluster) : victim;
    long long id = (long long)cluster->ids[victim];
    if (way == ALL_NEARLY) {
        snprintf(band->words, sizeof(band->words), "all nodes, %llu MiB left",
                 (unsigned long long)leave_mib);
        fill_all(faults, leave_mib);
    } else if (way == LEADER_NEARLY) {
        snprintf(band->words, sizeof(band->words), "leader %lld, %llu MiB left", id,
                 (unsigned long long)leave_mib);
        fill(faults, victim, leave_mib);
        if (count > 1) {
            wait_for_another_leader(faults, victim, "a leader kept the office on a full disk");
        }
    } else {
        snprintf(band->words, sizeof(band->words), "node %lld, to the last byte", id);
        fill(faults, victim, 0);
    }
    live_nap_ms(live__chance_ms(faults));
    for (uint32_t i = 0; i < count; i++) {
        empty(faults, all[i]);
    }
    uint64_t end = live_now_ns() + LATE_MS * UINT64_C(1000000);
    while (way == ONE_FULL && live_now_ns() < end && live_nap_ms(POLL_MS)) {
        live_cluster_revive(cluster, victim); /* It may have ended, as it is specified. */
    }
}

/* ---- clocks ---- */

void live__run_clock(struct live_faults *faults, struct live_band *band)
{
    static const int64_t far_ms[] = {1000, 60 * 1000, 3600 * 1000, INT64_C(10) * 86400 * 1000,
                                     INT64_C(3650) * 86400 * 1000};
    struct live_cluster *cluster = faults->cluster;
    uint32_t all[LIVE_SERVERS_MAX];
    uint32_t count = live__members(faults, all);
    uint32_t victim = live__choose_victim(faults);
    bool far = band->fault == LIVE_FAULT_JUMP;
    bool led = live_cluster_leader(cluster) == victim;
    int64_t off_ms = far ? far_ms[moot_rng_below(&faults->rng, MOOT_ARRAY_LEN(far_ms))]
                         : (int64_t)moot_rng_between(&faults->rng, SKEW_MIN_MS, SKEW_MAX_MS);
    off_ms = moot_rng_chance(&faults->rng, 1, 2) ? off_ms : -off_ms;
    snprintf(band->words, sizeof(band->words), "node %lld%s, %+.3f s",
             (long long)cluster->ids[victim], led ? " (leader)" : "", (double)off_ms / 1000);
    if (!live_clocks_set(cluster->nodes.dir, victim, off_ms)) {
        live__get_stuck(faults, "a clock could not be set");
        return;
    }
    if (far && led && count > 2) {
        wait_for_another_leader(faults, victim, "a leader kept the office with a wrong clock");
    }
    live_nap_ms(live__chance_ms(faults));
    if (!live_clocks_set(cluster->nodes.dir, victim, 0)) {
        live__get_stuck(faults, "a clock could not be set");
    }
}
